// Sorting beyond memory: runs of records in blobs, and their merge.
#include "ops/sorted_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "ops/over/order_key.h"
#include "ops/row_decoder.h"
#include "state/blob.h"
#include "state/memory.h"

namespace kappa::ops {
namespace {

constexpr int64_t kAddRows = 8192, kGiveRows = 8192;
constexpr size_t kBytesMin = 1 << 20, kBytesMax = 64 << 20;
constexpr uint64_t kMemoryShare = 16;

/// Of rows that wait to be sorted. A share of the bound, so that the number of runs depends on how many times more rows than memory there are.
size_t BytesMax() { return std::clamp<size_t>(state::GetMemoryUse().limit_bytes / kMemoryShare, kBytesMin, kBytesMax); }

}  // namespace

//   at  bytes  field of a record
//    0      4  bytes of the order key
//    4      4  bytes of the order key and the row
//    8      8  weight
//   16      -  order key, row
struct SortedRows::Head {
  uint32_t order_size, size;
  int64_t weight;
};

/// Reads a run: Next comes to its first row.
class SortedRows::Run {
 public:
  Run(const state::Arena& arena, std::span<const state::Ref> blobs) : arena_(&arena), blobs_(blobs) { FetchNext(); }
  bool at_end() const { return at_end_; }
  std::string_view bytes() const { return bytes_; }  // until Next
  std::string_view row() const { return bytes_.substr(head_.order_size); }
  int64_t weight() const { return head_.weight; }
  bool IsBefore(const Run& other) const { return prefix_ != other.prefix_ ? prefix_ < other.prefix_ : bytes_ < other.bytes_; }

  void Next() {
    if (left_.empty()) {
      at_end_ = blobs_.empty();
      if (at_end_) return;
      left_ = state::BlobView(*arena_, blobs_.front(), scratch_);
      blobs_ = blobs_.subspan(1);
      FetchNext();
    }
    std::memcpy(&head_, left_.data(), sizeof head_);
    bytes_ = left_.substr(sizeof head_, head_.size);
    left_.remove_prefix(sizeof head_ + head_.size);
    prefix_ = OrderPrefix(bytes_);
  }

 private:
  void FetchNext() {
    if (!blobs_.empty()) state::WillRead(arena_->Get(blobs_.front()), state::kPageBytes - blobs_.front() % state::kPageBytes);
  }

  const state::Arena* arena_;
  std::span<const state::Ref> blobs_;
  std::string scratch_;
  std::string_view left_, bytes_;
  Head head_{};
  uint64_t prefix_ = 0;
  bool at_end_ = false;
};

/// Takes rows in order, each with its sum, and gives batches.
class SortedRows::Giver {
 public:
  Giver(const data::Schema& schema, const std::function<Status(data::Batch)>& consume) : decoder_(schema), consume_(consume) {}
  Status Give(std::string_view row, int64_t weight) {
    if (weight < 0) {
      return Error(sqlstate::kInternalError, "a change deletes a row that the view does not have")
          .Detail(fmt::format("The row's count would be {}.", weight));
    }
    for (; weight > 0; --weight) {
      decoder_.Append(row, /*borrow=*/false);
      if (decoder_.rows() >= state::StepRows(kGiveRows)) KAPPA_RETURN_IF_ERROR(consume_(decoder_.Finish()));
    }
    return {};
  }
  Status Finish() { return decoder_.rows() > 0 ? consume_(decoder_.Finish()) : Status(); }

 private:
  RowDecoder decoder_;
  const std::function<Status(data::Batch)>& consume_;
};

Status SortedRows::Add(const data::ChangeBatch& changes) {
  if (const int64_t step = state::StepRows(kAddRows); changes.rows > step) {
    for (int64_t at = 0; at < changes.rows; at += step) KAPPA_RETURN_IF_ERROR(Add(data::Slice(changes, at, std::min(step, changes.rows - at))));
    return {};
  }
  std::vector<SortColumn> columns;
  for (const data::ColumnPtr& column : changes.columns) columns.push_back({column});
  const OrderKeys orders(columns, changes.rows);
  const data::RowKeys rows(changes.columns, changes.rows, /*canonical=*/false, /*hashed=*/false);
  for (int64_t i = 0; i < changes.rows; ++i) {
    const int64_t weight = changes.weight(i);
    if (weight == 0) continue;
    const std::string_view order = orders.key(i), row = rows.key(i);
    entries_.push_back(
        {OrderPrefix(order), bytes_.size(), static_cast<uint32_t>(order.size()), static_cast<uint32_t>(order.size() + row.size()), weight});
    bytes_.append(order).append(row);
    row_count_ += weight;
    digest_.Add(HashBytes128(row), weight);
  }
  return bytes_.size() + entries_.size() * sizeof(Entry) < BytesMax() ? Status() : StoreRun();
}

/// Calls `visit` with each row that waits, in order, and its sum.
Status SortedRows::VisitSorted(const std::function<Status(const Entry& row, int64_t weight)>& visit) {
  std::sort(entries_.begin(), entries_.end(),
            [&](const Entry& a, const Entry& b) { return a.prefix != b.prefix ? a.prefix < b.prefix : Bytes(a) < Bytes(b); });
  for (size_t from = 0, to; from < entries_.size(); from = to) {
    int64_t weight = 0;
    for (to = from; to < entries_.size() && Bytes(entries_[to]) == Bytes(entries_[from]); ++to) weight += entries_[to].weight;
    KAPPA_RETURN_IF_ERROR(visit(entries_[from], weight));
  }
  entries_.clear();
  bytes_.clear();
  return {};
}

Status SortedRows::StoreRun() {
  KAPPA_RETURN_IF_ERROR(state::CheckMemory());
  std::vector<state::Ref> run;
  std::string blob;
  const auto store = [&] {
    if (!blob.empty()) run.push_back(state::StoreBlob(arena_, blob));
    blob.clear();
  };
  KAPPA_RETURN_IF_ERROR(VisitSorted([&](const Entry& row, int64_t weight) -> Status {
    if (weight == 0) return {};
    const Head head{row.order_size, row.size, weight};
    if (blob.size() + sizeof head + row.size > state::kBlobBlockMax) store();
    blob.append(reinterpret_cast<const char*>(&head), sizeof head).append(Bytes(row));
    return {};
  }));
  store();
  if (!run.empty()) runs_.push_back(std::move(run));
  return {};
}

Status SortedRows::Take(const std::function<Status(data::Batch)>& consume) {
  Giver giver(schema_, consume);
  if (runs_.empty()) {
    KAPPA_RETURN_IF_ERROR(VisitSorted([&](const Entry& row, int64_t weight) { return giver.Give(Bytes(row).substr(row.order_size), weight); }));
  } else {
    KAPPA_RETURN_IF_ERROR(StoreRun());
    KAPPA_RETURN_IF_ERROR(Merge(giver));
  }
  KAPPA_RETURN_IF_ERROR(giver.Finish());
  entries_ = {};
  bytes_ = {};
  runs_.clear();
  arena_.Clear();
  return {};
}

Status SortedRows::Merge(Giver& giver) const {
  std::vector<Run> runs;
  runs.reserve(runs_.size());
  for (const std::vector<state::Ref>& blobs : runs_) runs.emplace_back(arena_, blobs);
  std::vector<Run*> heap;
  const auto after = [](const Run* a, const Run* b) { return b->IsBefore(*a); };
  const auto push = [&](Run* run) {
    run->Next();
    if (run->at_end()) return;
    heap.push_back(run);
    std::push_heap(heap.begin(), heap.end(), after);
  };
  const auto pop = [&] {
    std::pop_heap(heap.begin(), heap.end(), after);
    Run* run = heap.back();
    heap.pop_back();
    return run;
  };
  for (Run& run : runs) push(&run);
  while (!heap.empty()) {
    Run* first = pop();
    int64_t weight = first->weight();
    while (!heap.empty() && heap.front()->bytes() == first->bytes()) {  // a run has a row once
      Run* same = pop();
      weight += same->weight();
      push(same);
    }
    KAPPA_RETURN_IF_ERROR(giver.Give(first->row(), weight));
    push(first);
  }
  return {};
}

}  // namespace kappa::ops
