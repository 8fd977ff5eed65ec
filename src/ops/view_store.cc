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

/// Rows are fetched into the cache so many before their use.
constexpr uint64_t kAhead = 8;

RowMultimap::Layout LayoutFor(const std::vector<int>& index_columns) {
  return index_columns.empty() ? RowMultimap::Layout::kRowsOnly : RowMultimap::Layout::kIndexed;
}

}  // namespace

void Digest::Add(Hash128 hash, int64_t weight) {
  sum += (static_cast<uint128_t>(hash.high) << 64 | hash.low) * static_cast<uint128_t>(static_cast<int128_t>(weight));
}

std::string Digest::ToString() const { return fmt::format("{:016x}{:016x}", static_cast<uint64_t>(sum >> 64), static_cast<uint64_t>(sum)); }

Digest DigestOf(const data::ChangeBatch& rows) {
  Digest digest;
  if (rows.rows == 0) return digest;
  const data::RowKeys keys(rows.columns, rows.rows, /*canonical=*/false);
  for (int64_t row = 0; row < rows.rows; ++row) digest.Add(HashBytes128(keys.key(row)), rows.weight(row));
  return digest;
}

struct ViewSnapshot::Impl {
  state::ArenaSnapshot arena;
  std::shared_ptr<const data::Schema> schema;
  std::vector<int> index_columns;
};

void ViewSnapshot::Scan(std::span<const int> columns, int64_t batch_rows, const std::function<bool(data::Batch)>& consume) const {
  KAPPA_CHECK(batch_rows > 0);
  if (impl_ == nullptr || row_count_ == 0) return;
  batch_rows = state::StepRows(batch_rows);  // its strings lie in pages
  state::TableReader<state::ArenaSnapshot> rows(impl_->arena, 0);
  RowDecoder decoder(*impl_->schema, columns);
  data::Keepalive keepalive = impl_->arena.keepalive();
  std::string scratch;
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

  /// Adds the weights to the rows' counts and gives the rows; 0 where the weight is 0.
  std::vector<state::Ref> Count(const data::ChangeBatch& changes) {
    KAPPA_CHECK(changes.columns.size() == schema->fields.size());
    std::vector<state::Ref> refs(static_cast<size_t>(changes.rows));
    if (changes.rows == 0) return refs;
    const data::RowKeys keys(changes.columns, changes.rows, /*canonical=*/false);
    std::vector<int32_t> select;
    select.reserve(refs.size());
    for (int64_t i = 0; i < changes.rows; ++i) {
      if (changes.weight(i) != 0) select.push_back(static_cast<int32_t>(i));
    }
    std::vector<state::Ref> found(select.size());
    const size_t step = StepRows(select.size());
    for (size_t from = 0; from < select.size(); from += step) {
      const size_t to = std::min(from + step, select.size());
      map.rows().FindOrInsertBatch(keys, std::span(select).subspan(from, to - from), found.data() + from);
      for (size_t j = from; j < to; ++j) {
        const int64_t weight = changes.weight(select[j]);
        map.MutableRow(found[j])->count += weight;
        row_count += weight;
        digest.Add(HashBytes128(keys.key(select[j])), weight);
        refs[static_cast<size_t>(select[j])] = found[j];
      }
    }
    return refs;
  }

  /// Rows that are there for the first time go into the index; those that are there no more, to `empty`.
  Status IndexNew(const data::ChangeBatch& changes, const std::vector<state::Ref>& refs, std::vector<state::Ref>& empty) {
    std::vector<state::Ref> fresh;
    std::vector<int32_t> fresh_rows;
    const size_t step = StepRows(refs.size());
    for (size_t from = 0; from < refs.size(); from += step) {
      fresh.clear();
      fresh_rows.clear();
      for (size_t i = from; i < std::min(from + step, refs.size()); ++i) {
        map.rows().FetchAhead(refs, i);
        if (i + kAhead < refs.size() && refs[i + kAhead] != 0) __builtin_prefetch(map.Row(refs[i + kAhead]));
        if (refs[i] == 0) continue;
        const RowEntry* entry = map.Row(refs[i]);
        if (entry->count < 0) {
          return Error(sqlstate::kInternalError, "a change deletes a row that the view does not have")
              .Detail(fmt::format("The row's count would be {}.", entry->count));
        }
        if (entry->count == 0) {
          empty.push_back(refs[i]);
        } else if (entry->owner == 0 && !index_columns.empty()) {
          fresh.push_back(refs[i]);
          fresh_rows.push_back(static_cast<int32_t>(i));
        }
      }
      if (fresh.empty()) continue;
      std::vector<data::ColumnPtr> columns;
      for (const int column : index_columns) columns.push_back(data::Gather(*changes.columns[static_cast<size_t>(column)], fresh_rows));
      const data::RowKeys keys(columns, static_cast<int64_t>(fresh_rows.size()));
      std::vector<int32_t> all(fresh.size());
      std::iota(all.begin(), all.end(), 0);
      std::vector<state::Ref> owners(fresh.size());
      map.keys().FindOrInsertBatch(keys, all, owners.data());
      for (size_t j = 0; j < fresh.size(); ++j) {
        if (map.Row(fresh[j])->owner == 0) map.Link(fresh[j], owners[j]);
      }
    }
    return {};
  }

  static size_t StepRows(size_t rows) { return static_cast<size_t>(state::StepRows(std::max<int64_t>(static_cast<int64_t>(rows), 1))); }

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

Status ViewStore::Apply(std::span<const data::ChangeBatch> changes) {
  // Counts first, so that the order of changes does not matter: a row's deletion and its new copy meet whatever batch they are in. Then what is
  // new is indexed and what is empty goes.
  std::vector<std::vector<state::Ref>> refs;
  for (const data::ChangeBatch& batch : changes) refs.push_back(impl_->Count(batch));
  std::vector<state::Ref> empty;
  for (size_t i = 0; i < changes.size(); ++i) KAPPA_RETURN_IF_ERROR(impl_->IndexNew(changes[i], refs[i], empty));
  impl_->map.EraseEmpty(std::move(empty));
  impl_->SaveTotals();
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
