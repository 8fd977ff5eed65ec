// Upsert: the current row of every key, and what each batch changes about it.
#include "ops/upsert.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "data/row_key.h"
#include "ops/row_decoder.h"
#include "state/blob.h"
#include "state/keyed_table.h"

namespace kappa::ops {
namespace {

/// What a key carries: the bytes of its row (0: none yet), and its place in the list of touched keys + 1 within a batch.
struct UpsertEntry {
  state::Ref row;
  uint64_t touched;
};
/// The same where rows have a time to live: also when the row changed last, and its neighbours in that order.
struct AgingEntry : UpsertEntry {
  int64_t changed_us;
  state::Ref older, newer;
};

class Upsert final : public Operator {
 public:
  Upsert(data::Schema schema, std::vector<int> primary_key, int64_t ttl_us)
      : schema_(std::move(schema)),
        primary_key_(std::move(primary_key)),
        ttl_us_(ttl_us),
        table_(arena_, 0, ttl_us > 0 ? sizeof(AgingEntry) : sizeof(UpsertEntry)) {}

  Status OnBatch(int, data::ChangeBatch batch, Output& out) override {
    if (batch.rows == 0) return {};
    data::ColumnPtr times;
    if (ttl_us_ > 0) {
      times = std::move(batch.columns.back());
      batch.columns.pop_back();
    }
    std::vector<data::ColumnPtr> key_columns;
    for (int column : primary_key_) key_columns.push_back(batch.columns[static_cast<size_t>(column)]);
    data::RowKeys keys(key_columns, batch.rows);
    data::RowKeys rows(batch.columns, batch.rows, /*canonical=*/false, /*hashed=*/false);
    std::vector<int32_t> select(static_cast<size_t>(batch.rows));
    std::iota(select.begin(), select.end(), 0);
    std::vector<state::Ref> refs(select.size());
    table_.FindOrInsertBatch(keys, select, refs.data());

    struct Touched {
      state::Ref key;
      int32_t last;
    };
    std::vector<Touched> touched;
    for (size_t i = 0; i < refs.size(); ++i) {
      UpsertEntry* entry = Entry(refs[i]);
      if (entry->touched == 0) {
        touched.push_back({refs[i], 0});
        entry->touched = touched.size();
      }
      touched[entry->touched - 1].last = static_cast<int32_t>(i);
    }
    // So that keys are linked in the order of their last changes.
    if (times) std::sort(touched.begin(), touched.end(), [](const Touched& a, const Touched& b) { return a.last < b.last; });
    RowDecoder deleted(schema_);
    std::vector<int32_t> inserted;
    std::string scratch;
    for (const Touched& key : touched) {
      UpsertEntry* entry = Entry(key.key);
      entry->touched = 0;
      bool keep = batch.weight(key.last) > 0;
      std::string_view row = rows.key(key.last);
      if (times) {
        const bool known = entry->row != 0;
        if (known) Unlink(key.key);
        if (keep) LinkNewest(key.key, times->data<int64_t>()[key.last]);
        entry = Entry(key.key);
      }
      if (entry->row != 0) {
        if (keep && state::BlobEquals(arena_, entry->row, row)) continue;
        deleted.Append(state::BlobView(arena_, entry->row, scratch), /*borrow=*/false);
        state::FreeBlob(arena_, entry->row);
        entry->row = 0;
      }
      if (keep) {
        inserted.push_back(key.last);
        entry->row = state::StoreBlob(arena_, row);
      } else {
        table_.Erase(key.key);
      }
    }
    Emit(batch, deleted, inserted, out);
    return {};
  }

  Status OnEpochEnd(const EpochContext& epoch, Output& out) override {
    if (ttl_us_ == 0) return {};
    RowDecoder deleted(schema_);
    std::string scratch;
    for (state::Ref key = Word(kOldest); key != 0 && Aging(key)->changed_us < epoch.wall_us - ttl_us_; key = Word(kOldest)) {
      deleted.Append(state::BlobView(arena_, Aging(key)->row, scratch), /*borrow=*/false);
      state::FreeBlob(arena_, Aging(key)->row);
      Unlink(key);
      table_.Erase(key);
    }
    if (deleted.rows() == 0) return {};
    data::ChangeBatch batch(deleted.Finish());
    batch.weights = std::make_shared<const std::vector<int64_t>>(static_cast<size_t>(batch.rows), -1);
    out.push_back(std::move(batch));
    return {};
  }
  int64_t next_due_us() const override {
    const state::Ref oldest = ttl_us_ == 0 ? 0 : Word(kOldest);
    return oldest == 0 ? INT64_MAX : Aging(oldest)->changed_us + ttl_us_ + 1;
  }
  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) override { visit("rows", arena_); }
  Status OnRestored() override {
    KAPPA_RETURN_IF_ERROR(arena_.CheckLoaded());
    return table_.Attach();
  }
  int64_t state_rows() const override { return table_.rows(); }

 private:
  UpsertEntry* Entry(state::Ref key) { return reinterpret_cast<UpsertEntry*>(table_.MutablePayload(key)); }

  // Root words of the arena: 0 the table, then the ends of the list of keys by their last changes.
  static constexpr int kOldest = 1, kNewest = 2;
  state::Ref Word(int index) const {
    state::Ref word;
    std::memcpy(&word, arena_.root() + 8 * index, sizeof word);
    return word;
  }
  void SetWord(int index, state::Ref word) { std::memcpy(arena_.MutableRoot() + 8 * index, &word, sizeof word); }
  const AgingEntry* Aging(state::Ref key) const { return reinterpret_cast<const AgingEntry*>(table_.Payload(key)); }
  AgingEntry* MutableAging(state::Ref key) { return reinterpret_cast<AgingEntry*>(table_.MutablePayload(key)); }
  void LinkNewest(state::Ref key, int64_t changed_us) {
    const state::Ref before = Word(kNewest);
    AgingEntry* entry = MutableAging(key);
    entry->changed_us = changed_us;
    entry->older = before;
    entry->newer = 0;
    if (before != 0) MutableAging(before)->newer = key;
    else SetWord(kOldest, key);
    SetWord(kNewest, key);
  }
  void Unlink(state::Ref key) {
    const AgingEntry entry = *Aging(key);  // a copy: writing moves pages
    if (entry.older != 0) MutableAging(entry.older)->newer = entry.newer;
    else SetWord(kOldest, entry.newer);
    if (entry.newer != 0) MutableAging(entry.newer)->older = entry.older;
    else SetWord(kNewest, entry.older);
  }

  static void Emit(const data::ChangeBatch& batch, RowDecoder& deleted, const std::vector<int32_t>& inserted, Output& out) {
    if (deleted.rows() == 0 && inserted.empty()) return;
    data::ChangeBatch fresh(data::Batch{batch.rows, batch.columns});
    fresh = data::Gather(fresh, inserted);
    if (deleted.rows() == 0) {
      out.push_back(std::move(fresh));
      return;
    }
    data::ChangeBatch parts[2] = {data::ChangeBatch(deleted.Finish()), std::move(fresh)};
    parts[0].weights = std::make_shared<const std::vector<int64_t>>(static_cast<size_t>(parts[0].rows), -1);
    out.push_back(parts[1].rows == 0 ? std::move(parts[0]) : data::Concatenate(parts));
  }

  data::Schema schema_;
  std::vector<int> primary_key_;
  int64_t ttl_us_;
  state::Arena arena_;
  state::KeyedTable table_;
};

}  // namespace

std::unique_ptr<Operator> MakeUpsert(data::Schema schema, std::vector<int> primary_key, int64_t ttl_us) {
  return std::make_unique<Upsert>(std::move(schema), std::move(primary_key), ttl_us);
}

}  // namespace kappa::ops
