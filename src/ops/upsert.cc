// Upsert: the current row of every key, and what each batch changes about it.
#include "ops/upsert.h"

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

class Upsert final : public Operator {
 public:
  Upsert(data::Schema schema, std::vector<int> primary_key)
      : schema_(std::move(schema)), primary_key_(std::move(primary_key)), table_(arena_, 0, sizeof(UpsertEntry)) {}

  Status OnBatch(int, data::ChangeBatch batch, Output& out) override {
    if (batch.rows == 0) return {};
    std::vector<data::ColumnPtr> key_columns;
    for (int column : primary_key_) key_columns.push_back(batch.columns[static_cast<size_t>(column)]);
    data::RowKeys keys(key_columns, batch.rows);
    data::RowKeys rows(batch.columns, batch.rows, /*canonical=*/false);
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
    RowDecoder deleted(schema_);
    std::vector<int32_t> inserted;
    std::string scratch;
    for (const Touched& key : touched) {
      UpsertEntry* entry = Entry(key.key);
      entry->touched = 0;
      bool keep = batch.weight(key.last) > 0;
      std::string_view row = rows.key(key.last);
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

  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) override { visit("rows", arena_); }
  Status OnRestored() override {
    KAPPA_RETURN_IF_ERROR(arena_.CheckLoaded());
    return table_.Attach();
  }
  int64_t state_rows() const override { return table_.rows(); }

 private:
  UpsertEntry* Entry(state::Ref key) { return reinterpret_cast<UpsertEntry*>(table_.MutablePayload(key)); }

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
  state::Arena arena_;
  state::KeyedTable table_;
};

}  // namespace

std::unique_ptr<Operator> MakeUpsert(data::Schema schema, std::vector<int> primary_key) {
  return std::make_unique<Upsert>(std::move(schema), std::move(primary_key));
}

}  // namespace kappa::ops
