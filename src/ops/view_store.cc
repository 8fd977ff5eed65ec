// ViewStore: applying changes, and reading them back from snapshots.
#include "ops/view_store.h"

#include <fmt/format.h>

#include <numeric>

#include "ops/row_decoder.h"
#include "ops/row_multimap.h"
#include "state/memory.h"

namespace kappa::ops {
namespace {

// Words of the arena's root after the multimap's: digest (two), rows with multiplicity.
constexpr int kDigestWord = 2;
constexpr int kRowCountWord = 4;

/// Rows of a batch where pages may be out of memory: its strings lie in them, and should still be there when they are looked at.
constexpr int64_t kSpillingRows = 1024;

RowMultimap::Layout LayoutFor(const std::vector<int>& index_columns) {
  return index_columns.empty() ? RowMultimap::Layout::kRowsOnly : RowMultimap::Layout::kIndexed;
}

}  // namespace

void Digest::Add(Hash128 hash, int64_t weight) {
  sum += (static_cast<uint128_t>(hash.high) << 64 | hash.low) * static_cast<uint128_t>(static_cast<int128_t>(weight));
}

std::string Digest::ToString() const { return fmt::format("{:016x}{:016x}", static_cast<uint64_t>(sum >> 64), static_cast<uint64_t>(sum)); }

struct ViewSnapshot::Impl {
  state::ArenaSnapshot arena;
  std::shared_ptr<const data::Schema> schema;
  std::vector<int> index_columns;
};

void ViewSnapshot::Scan(std::span<const int> columns, int64_t batch_rows, const std::function<bool(data::Batch)>& consume) const {
  KAPPA_CHECK(batch_rows > 0);
  if (impl_ == nullptr || row_count_ == 0) return;
  if (state::Spilling()) batch_rows = std::min(batch_rows, kSpillingRows);
  state::TableReader<state::ArenaSnapshot> rows(impl_->arena, 0);
  RowDecoder decoder(*impl_->schema, columns);
  data::Keepalive keepalive = impl_->arena.keepalive();
  std::string scratch;
  constexpr uint64_t kAhead = 8;
  for (uint64_t i = 0; i < rows.slot_count(); ++i) {
    rows.FetchAhead(i);
    if (i + kAhead < rows.slot_count()) {
      if (state::Ref ahead = rows.RowAt(i + kAhead); ahead != 0) __builtin_prefetch(impl_->arena.Get(ahead));
    }
    state::Ref row = rows.RowAt(i);
    if (row == 0) continue;
    int64_t count = reinterpret_cast<const RowEntry*>(rows.Payload(row))->count;
    for (; count > 0; --count) {
      decoder.Append(rows.Key(row, scratch), rows.KeyIsInline(row));
      if (decoder.rows() == batch_rows && !consume(decoder.Finish(keepalive))) return;
    }
  }
  if (decoder.rows() > 0) consume(decoder.Finish(keepalive));
}

data::Batch ViewSnapshot::Lookup(std::string_view key, std::span<const int> columns) const {
  KAPPA_CHECK(impl_ != nullptr && !impl_->index_columns.empty());
  RowDecoder decoder(*impl_->schema, columns);
  state::TableReader<state::ArenaSnapshot> rows(impl_->arena, 0), keys(impl_->arena, 1);
  state::Ref found = keys.Find(key, Hash64(key));
  std::string scratch;
  for (state::Ref row = found == 0 ? 0 : reinterpret_cast<const KeyEntry*>(keys.Payload(found))->head; row != 0;) {
    const auto* entry = reinterpret_cast<const RowEntry*>(rows.Payload(row));
    for (int64_t count = entry->count; count > 0; --count) decoder.Append(rows.Key(row, scratch), rows.KeyIsInline(row));
    row = entry->next;
  }
  return decoder.Finish(impl_->arena.keepalive());
}

const std::vector<int>& ViewSnapshot::index_columns() const {
  static const std::vector<int> kNone;
  return impl_ == nullptr ? kNone : impl_->index_columns;
}

struct ViewStore::Impl {
  Impl(data::Schema s, std::vector<int> index)
      : schema(std::make_shared<const data::Schema>(std::move(s))), index_columns(std::move(index)), map(arena, LayoutFor(index_columns)) {}

  void SaveTotals() {
    char* root = arena.MutableRoot();
    std::memcpy(root + 8 * kDigestWord, &digest.sum, sizeof digest.sum);
    std::memcpy(root + 8 * kRowCountWord, &row_count, sizeof row_count);
  }
  void LoadTotals() {
    std::memcpy(&digest.sum, arena.root() + 8 * kDigestWord, sizeof digest.sum);
    std::memcpy(&row_count, arena.root() + 8 * kRowCountWord, sizeof row_count);
  }

  std::shared_ptr<const data::Schema> schema;
  std::vector<int> index_columns;
  state::Arena arena;
  RowMultimap map;
  Digest digest;
  int64_t row_count = 0;
};

ViewStore::ViewStore(data::Schema schema, std::vector<int> index_columns)
    : impl_(std::make_unique<Impl>(std::move(schema), std::move(index_columns))) {}
ViewStore::~ViewStore() = default;

Status ViewStore::Apply(const data::ChangeBatch& changes) {
  Impl& impl = *impl_;
  KAPPA_CHECK(changes.columns.size() == impl.schema->fields.size());
  if (changes.rows == 0) return {};
  data::RowKeys rows(changes.columns, changes.rows, /*canonical=*/false);
  std::vector<int32_t> select;
  select.reserve(static_cast<size_t>(changes.rows));
  for (int64_t i = 0; i < changes.rows; ++i) {
    if (changes.weight(i) != 0) select.push_back(static_cast<int32_t>(i));
  }
  std::vector<state::Ref> refs(select.size());
  const size_t step = state::Spilling() ? static_cast<size_t>(kSpillingRows) : std::max<size_t>(select.size(), 1);
  // Counts first, so that the order within the batch does not matter; then what is new is indexed and what is empty goes.
  for (size_t from = 0; from < select.size(); from += step) {
    const size_t to = std::min(from + step, select.size());
    impl.map.rows().FindOrInsertBatch(rows, std::span(select).subspan(from, to - from), refs.data() + from);
    for (size_t j = from; j < to; ++j) {
      int64_t weight = changes.weight(select[j]);
      impl.map.MutableRow(refs[j])->count += weight;
      impl.row_count += weight;
      impl.digest.Add(HashBytes128(rows.key(select[j])), weight);
    }
  }
  std::vector<state::Ref> empty, fresh;
  std::vector<int32_t> fresh_rows;
  for (size_t from = 0; from < select.size(); from += step) {
    fresh.clear();
    fresh_rows.clear();
    for (size_t j = from; j < std::min(from + step, select.size()); ++j) {
      impl.map.rows().FetchAhead(refs, j);
      const RowEntry* entry = impl.map.Row(refs[j]);
      if (entry->count < 0) {
        return Error(sqlstate::kInternalError, "a change deletes a row that the view does not have")
            .Detail(fmt::format("The row's count would be {}.", entry->count));
      }
      if (entry->count == 0) {
        empty.push_back(refs[j]);
      } else if (entry->owner == 0 && !impl.index_columns.empty()) {
        fresh.push_back(refs[j]);
        fresh_rows.push_back(select[j]);
      }
    }
    if (fresh.empty()) continue;
    std::vector<data::ColumnPtr> columns;
    for (int column : impl.index_columns) columns.push_back(data::Gather(*changes.columns[static_cast<size_t>(column)], fresh_rows));
    data::RowKeys keys(columns, static_cast<int64_t>(fresh_rows.size()));
    std::vector<int32_t> all(fresh.size());
    std::iota(all.begin(), all.end(), 0);
    std::vector<state::Ref> owners(fresh.size());
    impl.map.keys().FindOrInsertBatch(keys, all, owners.data());
    for (size_t j = 0; j < fresh.size(); ++j) {
      if (impl.map.Row(fresh[j])->owner == 0) impl.map.Link(fresh[j], owners[j]);
    }
  }
  impl.map.EraseEmpty(std::move(empty));
  impl.SaveTotals();
  return {};
}

ViewSnapshot ViewStore::Snapshot() {
  ViewSnapshot snapshot;
  auto impl = std::make_shared<ViewSnapshot::Impl>();
  impl->arena = impl_->arena.Snapshot();
  impl->schema = impl_->schema;
  impl->index_columns = impl_->index_columns;
  snapshot.impl_ = std::move(impl);
  snapshot.row_count_ = impl_->row_count;
  snapshot.digest_ = impl_->digest;
  return snapshot;
}

int64_t ViewStore::row_count() const { return impl_->row_count; }
Digest ViewStore::digest() const { return impl_->digest; }
uint64_t ViewStore::memory_bytes() const { return impl_->arena.memory_bytes(); }
const data::Schema& ViewStore::schema() const { return *impl_->schema; }

void ViewStore::VisitState(const std::function<void(std::string_view name, state::Arena&)>& visit) { visit("rows", impl_->arena); }

Status ViewStore::OnRestored() {
  KAPPA_RETURN_IF_ERROR(impl_->arena.CheckLoaded());
  KAPPA_RETURN_IF_ERROR(impl_->map.Attach());
  impl_->LoadTotals();
  return {};
}

void ViewStore::Clear() {
  impl_->arena.Clear();
  KAPPA_CHECK(impl_->map.Attach().ok());
  impl_->LoadTotals();
}

}  // namespace kappa::ops
