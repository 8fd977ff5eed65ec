// Over: window functions, kept up to date by changes.
#include <algorithm>
#include <cstring>
#include <deque>
#include <numeric>

#include "data/row_key.h"
#include "ops/consolidate.h"
#include "ops/factories.h"
#include "ops/over/order_key.h"
#include "ops/over/ordered_rows.h"
#include "ops/over/over_once.h"
#include "ops/over/window_functions.h"
#include "ops/row_decoder.h"
#include "state/keyed_table.h"
#include "state/memory.h"

namespace kappa::ops {
namespace {

using state::Ref;

struct PartitionHead {
  RowTree tree;
  uint32_t touched;  // 1 + its place in touched_, 0 when nothing changed since the last flush
  uint32_t reserved;
};
static_assert(sizeof(PartitionHead) == 24);

int64_t ChunkRows() { return state::StepRows(65536); }  // rows that are computed at once
constexpr int64_t kStateEvery = 64;    // rows between two that keep the functions' states

// Input        changes of any weight, one port.
// State        a table from the row key of `partition` to PartitionHead; the rows of each partition in order, each with the results that
//              were emitted for it, and about every 64th one with the states of running aggregates and dense_rank after it.
// Watermark    ignored.
// Retractions  at the end of an epoch, for each partition that changed: the range of rows from the first changed one to the last is
//              widened by what the functions reach (WindowReach), computed again, and the rows whose results differ from those
//              that were emitted give their old row (-1) and their new one (+1).
// Cost         log(rows) for each change; the widened range and what it looks at are decoded and computed: the rows in reach for lag, lead and
//              ROWS frames with offsets; the rows from the change on for ranks, running aggregates (and up to 64 before it) and frames of
//              RANGE and GROUPS that reach back (and what they reach); whole partitions for ntile, percent_rank, cume_dist, first_value and
//              lists from the partition's start, frames that reach ahead by keys or groups, and most with EXCLUDE.
// Threads      one at a time.
class Over final : public Operator {
 public:
  Over(const plan::OverWindow& node, const OperatorOptions& options, std::unique_ptr<WindowFunctions> functions)
      : partition_(node.partition),
        order_(node.order),
        schema_(node.inputs[0]->schema),
        context_(options.context),
        functions_(std::move(functions)),
        watch_(options.watch),
        rows_(arena_),
        partitions_(arena_, 0, sizeof(PartitionHead)) {
    for (int i = schema_.size(); i < node.schema.size(); ++i) results_.fields.push_back(node.schema.fields[static_cast<size_t>(i)]);
  }

  Status OnBatch(int, data::ChangeBatch batch, Output&) override {
    if (batch.rows == 0) return {};
    held_bytes_ += BatchBytes(batch);
    pending_.push_back(std::move(batch));
    return {};
  }
  Status OnEpochEnd(const EpochContext& epoch, Output& out) override {
    KAPPA_RETURN_IF_ERROR(Apply());
    return epoch.flush ? Flush(out) : Status();
  }
  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) override { visit("rows", arena_); }
  Status OnRestored() override {
    KAPPA_RETURN_IF_ERROR(arena_.CheckLoaded());
    KAPPA_RETURN_IF_ERROR(partitions_.Attach());
    kept_rows_ = 0;
    partitions_.ForEach([&](Ref partition) { kept_rows_ += reinterpret_cast<const PartitionHead*>(partitions_.Payload(partition))->tree.rows; });
    return {};
  }
  int64_t state_rows() const override { return kept_rows_; }
  int64_t held_bytes() const override { return held_bytes_; }
  int64_t errors() const override { return context_.errors; }

 private:
  /// A partition that changed: rows before `first` and the last `tail` ones are as they were.
  struct Touched {
    Ref partition;
    int64_t first;
    int64_t tail;
  };
  /// Rows that are computed together.
  struct Chunk {
    std::vector<Ref> records;
    std::vector<WindowSegment> segments;
    std::vector<uint8_t> peer_start;
    WindowStates states;
    std::deque<std::string> begin;  // states that segments begin with
  };

  PartitionHead* Head(Ref partition) { return reinterpret_cast<PartitionHead*>(partitions_.MutablePayload(partition)); }
  Status Apply();
  void FetchAhead(std::span<const Ref> partitions, const OrderKeys& orders, std::span<const int32_t> rows) const;
  size_t FetchTouched(std::span<const Touched> touched) const;
  void Changed(Ref partition, PartitionHead* head, int64_t position, bool inserted);
  int64_t PeersBegin(const RowTree& tree, int64_t position);
  int64_t PeersEnd(const RowTree& tree, int64_t position);
  Result<int64_t> FirstNeeded(const RowTree& tree, int64_t wanted_from);
  int64_t StateBefore(const RowTree& tree, int64_t position, std::string& state);
  std::vector<uint8_t> PeerStarts(std::span<const Ref> records);
  Status AddSegment(const Touched& touched, Chunk& chunk);
  Status Compute(Chunk& chunk, Output& out);
  Status EmitDeleted(Output& out);
  Status Flush(Output& out);

  std::vector<expr::ExprPtr> partition_;
  std::vector<plan::SortKey> order_;
  data::Schema schema_;   // of the input
  data::Schema results_;  // of the functions
  expr::EvalContext context_;
  std::unique_ptr<WindowFunctions> functions_;
  std::function<Status(int64_t)> watch_;
  state::Arena arena_;
  OrderedRows rows_;
  state::KeyedTable partitions_;
  int64_t kept_rows_ = 0;

  std::vector<data::ChangeBatch> pending_;  // of the epoch: applied when its sum is known
  int64_t held_bytes_ = 0;                  // of pending_
  std::vector<Touched> touched_;            // since the last flush
  std::vector<Ref> deleted_;                // records whose rows were emitted and are gone
  std::string key_a_, key_b_;
};

void Over::Changed(Ref partition, PartitionHead* head, int64_t position, bool inserted) {
  const int64_t after = head->tree.rows - position - (inserted ? 1 : 0);
  if (head->touched == 0) {
    touched_.push_back({partition, position, after});
    head->touched = static_cast<uint32_t>(touched_.size());
    return;
  }
  Touched& touched = touched_[head->touched - 1];
  touched.first = std::min(touched.first, position);
  touched.tail = std::min(touched.tail, after);
}

/// Where state is out of memory, what changes of these rows look at is fetched for all of them at a time.
void Over::FetchAhead(std::span<const Ref> partitions, const OrderKeys& orders, std::span<const int32_t> rows) const {
  std::vector<Ref> heads;
  for (const int32_t row : rows) heads.push_back(partitions[static_cast<size_t>(row)]);
  std::vector<std::string_view> keys;
  for (const int32_t row : rows) keys.push_back(orders.key(row));
  rows_.FetchPaths(TreesOf(partitions_, heads), keys);
}

/// The same for what the next partitions that changed compute again. Returns how many partitions these are.
size_t Over::FetchTouched(std::span<const Touched> touched) const {
  touched = touched.first(std::min(state::kPathsAtOnce, touched.size()));
  std::vector<Ref> heads, records;
  for (const Touched& next : touched) heads.push_back(next.partition);
  const std::vector<RowTree> trees = TreesOf(partitions_, heads);
  rows_.FetchPaths(trees, std::vector<std::string_view>(trees.size()));
  size_t count = 0;
  for (; count < touched.size() && records.size() < state::kReadsAtOnce; ++count) {
    const int64_t changed = trees[count].rows - touched[count].tail - touched[count].first;
    rows_.Read(trees[count], touched[count].first, std::min<int64_t>(changed, state::kReadsAtOnce), records);
  }
  rows_.FetchRecords(records);
  return count;
}

/// Brings the pending changes into the trees. Their sum never deletes what is not there.
Status Over::Apply() {
  if (pending_.empty()) return {};
  const data::ChangeBatch batch = Consolidate(pending_);
  pending_.clear();
  held_bytes_ = 0;
  if (batch.rows == 0) return {};
  KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> partition, expr::EvaluateAll(partition_, batch.AsBatch(), context_));
  KAPPA_ASSIGN_OR_RETURN(const std::vector<SortColumn> order, SortColumns(order_, batch.AsBatch(), context_));
  const data::RowKeys partitions(partition, batch.rows);
  const OrderKeys orders(order, batch.rows);
  const data::RowKeys bytes(batch.columns, batch.rows, /*canonical=*/false, /*hashed=*/false);
  std::vector<int32_t> all(static_cast<size_t>(batch.rows));
  std::iota(all.begin(), all.end(), 0);
  std::vector<Ref> refs(all.size());
  partitions_.FindOrInsertBatch(partitions, all, refs.data());
  // By partition, and in the order in which these lie in memory: a page that is out of it is fetched once.
  if (state::Spilling()) {
    std::sort(all.begin(), all.end(), [&](int32_t a, int32_t b) {
      const Ref ref_a = refs[static_cast<size_t>(a)], ref_b = refs[static_cast<size_t>(b)];
      return ref_a != ref_b ? ref_a < ref_b : a < b;
    });
  }
  std::string key;
  for (size_t k = 0; k < all.size(); ++k) {
    if (state::Spilling() && k % state::kPathsAtOnce == 0)
      FetchAhead(refs, orders, std::span(all).subspan(k, std::min(state::kPathsAtOnce, all.size() - k)));
    const int32_t row = all[k];
    const Ref partition_ref = refs[static_cast<size_t>(row)];
    const int64_t weight = batch.weight(row);
    PartitionHead* head = Head(partition_ref);
    for (int64_t copy = 0; copy < weight; ++copy) {
      const int64_t at = rows_.Insert(head->tree, rows_.NewRecord(orders.key(row), bytes.key(row)));
      Changed(partition_ref, head, at, true);
      ++kept_rows_;
    }
    if (weight >= 0) continue;
    key.assign(orders.key(row)).append(bytes.key(row));
    for (int64_t copy = weight; copy < 0; ++copy) {
      const int64_t at = rows_.LowerBound(head->tree, key);
      if (at == head->tree.rows || rows_.Key(rows_.At(head->tree, at), key_a_) != key)
        return Error(sqlstate::kInternalError, "a change deletes a row that its partition does not have");
      const Ref record = rows_.EraseAt(head->tree, at);
      Changed(partition_ref, head, at, false);
      --kept_rows_;
      if (rows_.Owner(record) != 0) deleted_.push_back(record);
      else rows_.FreeRecord(record);
    }
  }
  return {};
}

int64_t Over::PeersBegin(const RowTree& tree, int64_t position) {
  const Ref record = rows_.At(tree, position);
  return rows_.LowerBound(tree, rows_.Key(record, key_a_).substr(0, rows_.OrderSize(record)));
}

int64_t Over::PeersEnd(const RowTree& tree, int64_t position) {
  const Ref record = rows_.At(tree, position);
  std::string after(rows_.Key(record, key_a_).substr(0, rows_.OrderSize(record)));
  after += '\xff';  // rows begin with a byte of 0 or 1
  return rows_.LowerBound(tree, after);
}

/// What a record owns: the length of the results' bytes, the results, and the states of the functions after it, if it keeps them.
struct Results {
  std::string_view results, state;
};
Results Parse(std::string_view blob) {
  uint32_t size;
  std::memcpy(&size, blob.data(), sizeof size);
  return {blob.substr(sizeof size, size), blob.substr(sizeof size + size)};
}
std::string Format(std::string_view results, std::string_view state) {
  const auto size = static_cast<uint32_t>(results.size());
  std::string blob(reinterpret_cast<const char*>(&size), sizeof size);
  return blob.append(results).append(state);
}

/// Where groups of peers begin among consecutive rows of a partition.
std::vector<uint8_t> Over::PeerStarts(std::span<const Ref> records) {
  std::vector<uint8_t> starts(records.size(), 1);
  for (size_t i = 1; i < records.size(); ++i) {
    const std::string_view order = rows_.Key(records[i], key_a_).substr(0, rows_.OrderSize(records[i]));
    starts[i] = order == rows_.Key(records[i - 1], key_b_).substr(0, rows_.OrderSize(records[i - 1])) ? 0 : 1;
  }
  return starts;
}

/// The first row that the frames of the rows from `wanted_from` on reach back to, or one before it.
Result<int64_t> Over::FirstNeeded(const RowTree& tree, int64_t wanted_from) {
  for (int64_t back = kStateEvery;; back *= 4) {
    int64_t from = back >= wanted_from ? 0 : PeersBegin(tree, wanted_from - back);
    if (from == 0) return from;
    std::vector<Ref> records;
    rows_.Read(tree, from, wanted_from - from + 1, records);
    RowDecoder decoder(schema_);
    for (const Ref record : records) decoder.Append(rows_.Key(record, key_a_).substr(rows_.OrderSize(record)), /*borrow=*/false);
    KAPPA_ASSIGN_OR_RETURN(const bool within, functions_->FramesBegin(decoder.Finish(), wanted_from - from, PeerStarts(records), context_));
    if (within) return from;
  }
}

/// The first row after the last one before `position` that keeps its state; 0, and no state, when there is none.
int64_t Over::StateBefore(const RowTree& tree, int64_t position, std::string& state) {
  std::vector<Ref> records;
  for (int64_t back = kStateEvery; position > 0; back *= 2) {
    const int64_t from = std::max<int64_t>(0, position - back);
    records.clear();
    rows_.Read(tree, from, position - from, records);
    for (; position > from; --position) {
      const Ref owned = rows_.Owner(records[static_cast<size_t>(position - 1 - from)]);
      if (owned == 0) continue;
      state = Parse(state::BlobView(arena_, owned, key_a_)).state;
      if (!state.empty()) return position;
    }
  }
  return 0;
}

/// The rows of a partition whose results may have changed, and what those look at.
Status Over::AddSegment(const Touched& touched, Chunk& chunk) {
  const RowTree& tree = Head(touched.partition)->tree;
  const WindowReach& reach = functions_->reach();
  const int64_t rows = tree.rows;
  const auto below = [](int64_t position, int64_t by) { return by >= position ? 0 : position - by; };
  const auto above = [&](int64_t position, int64_t by) { return by >= rows - position ? rows : position + by; };
  int64_t wanted_from = below(touched.first, reach.affects_before), wanted_to = above(rows - touched.tail, reach.affects_after);
  if (reach.peers && wanted_from > 0) wanted_from = PeersBegin(tree, wanted_from - 1);
  if (reach.peers && wanted_to < rows) wanted_to = PeersEnd(tree, wanted_to);
  if (wanted_from >= wanted_to) return {};
  int64_t from = below(wanted_from, reach.needs_before), to = above(wanted_to, reach.needs_after);
  if (reach.peers && from > 0) from = PeersBegin(tree, from);
  if (reach.peers && to < rows) to = PeersEnd(tree, to - 1);
  if (reach.range_before && from > 0) {
    KAPPA_ASSIGN_OR_RETURN(const int64_t needed, FirstNeeded(tree, wanted_from));
    from = std::min(from, needed);
  }
  std::string state;
  if (reach.carries && from > 0) from = StateBefore(tree, from, state);
  const auto start = static_cast<int64_t>(chunk.records.size());
  rows_.Read(tree, from, to - from, chunk.records);
  const std::vector<uint8_t> starts = PeerStarts(std::span(chunk.records).subspan(static_cast<size_t>(start)));
  chunk.peer_start.insert(chunk.peer_start.end(), starts.begin(), starts.end());
  chunk.begin.push_back(std::move(state));
  chunk.segments.push_back({start, start + to - from, start + wanted_from - from, start + wanted_to - from, from, rows, chunk.begin.back()});
  if (!reach.carries) return {};
  int64_t last = start - 1;  // the row after which the state is kept
  for (int64_t i = start + wanted_from - from; i < start + wanted_to - from; ++i) {
    const bool ends_group = !reach.peers || i + 1 == start + to - from || starts[static_cast<size_t>(i + 1 - start)] != 0;
    if (i - last < kStateEvery || !ends_group) continue;
    chunk.states.rows.push_back(i);
    last = i;
  }
  return {};
}

data::ChangeBatch Joined(data::Batch rows, std::vector<data::ColumnPtr> results, int64_t weight) {
  data::ChangeBatch out(std::move(rows));
  std::move(results.begin(), results.end(), std::back_inserter(out.columns));
  if (weight != 1) out.weights = std::make_shared<const std::vector<int64_t>>(static_cast<size_t>(out.rows), weight);
  return out;
}

Status Over::Compute(Chunk& chunk, Output& out) {
  if (chunk.segments.empty()) return {};
  RowDecoder decoder(schema_);
  std::vector<Ref> owned;
  for (size_t i = 0; i < chunk.records.size(); ++i) {
    const Ref record = chunk.records[i];
    decoder.Append(rows_.Key(record, key_a_).substr(rows_.OrderSize(record)), /*borrow=*/false);
    if (!state::Spilling()) continue;
    owned.push_back(rows_.Owner(record));
    if (owned.size() == state::kReadsAtOnce || i + 1 == chunk.records.size()) rows_.FetchRecords(std::exchange(owned, {}));  // they are blobs too
  }
  const data::Batch batch = decoder.Finish();
  KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> results,
                         functions_->Evaluate(batch, chunk.segments, chunk.peer_start, chunk.states, context_));
  const data::RowKeys fresh(results, results[0]->size(), /*canonical=*/false, /*hashed=*/false);
  RowDecoder old_results(results_);
  std::vector<int32_t> old_rows, new_rows, new_results;
  int64_t result = 0;
  size_t kept = 0;
  for (const WindowSegment& segment : chunk.segments) {
    for (int64_t i = segment.wanted_from; i < segment.wanted_to; ++i, ++result) {
      const Ref record = chunk.records[static_cast<size_t>(i)];
      const Ref old = rows_.Owner(record);
      const bool keeps = kept < chunk.states.rows.size() && chunk.states.rows[kept] == i;
      const std::string_view state = keeps ? std::string_view(chunk.states.states[kept++]) : std::string_view();
      bool same = false;
      if (old != 0) {
        const Results was = Parse(state::BlobView(arena_, old, key_a_));
        same = was.results == fresh.key(result);
        if (same && was.state == state) continue;
        if (!same) {
          old_results.Append(was.results, /*borrow=*/false);
          old_rows.push_back(static_cast<int32_t>(i));
        }
        state::FreeBlob(arena_, old);
      }
      rows_.SetOwner(record, state::StoreBlob(arena_, Format(fresh.key(result), state)));
      if (same) continue;
      new_rows.push_back(static_cast<int32_t>(i));
      new_results.push_back(static_cast<int32_t>(result));
    }
  }
  const auto rows_at = [&](const std::vector<int32_t>& rows) {
    data::Batch gathered = data::Gather(data::ChangeBatch(batch), rows).AsBatch();
    gathered.rows = static_cast<int64_t>(rows.size());
    return gathered;
  };
  if (!old_rows.empty()) out.push_back(Joined(rows_at(old_rows), old_results.Finish().columns, -1));
  if (!new_rows.empty()) {
    std::vector<data::ColumnPtr> columns;
    for (const data::ColumnPtr& column : results) columns.push_back(data::Gather(*column, new_results));
    out.push_back(Joined(rows_at(new_rows), std::move(columns), 1));
  }
  chunk = {};
  return watch_ ? watch_(0) : Status();
}

Status Over::EmitDeleted(Output& out) {
  const auto step = static_cast<size_t>(ChunkRows());
  for (size_t from = 0; from < deleted_.size(); from += step) {
    RowDecoder rows(schema_), results(results_);
    for (size_t i = from; i < std::min(deleted_.size(), from + step); ++i) {
      rows_.FetchAhead(deleted_, i);
      const Ref record = deleted_[i], result = rows_.Owner(record);
      rows.Append(rows_.Key(record, key_a_).substr(rows_.OrderSize(record)), /*borrow=*/false);
      results.Append(Parse(state::BlobView(arena_, result, key_b_)).results, /*borrow=*/false);
      state::FreeBlob(arena_, result);
      rows_.FreeRecord(record);
    }
    data::Batch batch = rows.Finish();
    out.push_back(Joined(std::move(batch), results.Finish().columns, -1));
  }
  deleted_.clear();
  return {};
}

Status Over::Flush(Output& out) {
  KAPPA_RETURN_IF_ERROR(EmitDeleted(out));
  if (state::Spilling()) std::ranges::sort(touched_, {}, &Touched::partition);
  Chunk chunk;
  size_t fetched = 0;
  for (size_t i = 0; i < touched_.size(); ++i) {
    if (state::Spilling() && i == fetched) fetched += FetchTouched(std::span(touched_).subspan(i));
    const Touched& touched = touched_[i];
    PartitionHead* head = Head(touched.partition);
    head->touched = 0;
    if (head->tree.rows == 0) {
      partitions_.Erase(touched.partition);
      continue;
    }
    KAPPA_RETURN_IF_ERROR(AddSegment(touched, chunk));
    if (static_cast<int64_t>(chunk.records.size()) >= ChunkRows()) KAPPA_RETURN_IF_ERROR(Compute(chunk, out));
  }
  KAPPA_RETURN_IF_ERROR(Compute(chunk, out));
  touched_.clear();
  return {};
}

}  // namespace

Result<std::unique_ptr<Operator>> MakeOver(const plan::OverWindow& node, const OperatorOptions& options) {
  KAPPA_ASSIGN_OR_RETURN(auto functions, MakeWindowFunctions(node, options));
  if (!options.once) return std::unique_ptr<Operator>(std::make_unique<Over>(node, options, std::move(functions)));
  return MakeOverOnce(node, options, std::move(functions), [copy = std::make_shared<plan::OverWindow>(node), lasting = options]() mutable {
    lasting.once = false;
    return MakeOver(*copy, lasting);
  });
}

}  // namespace kappa::ops
