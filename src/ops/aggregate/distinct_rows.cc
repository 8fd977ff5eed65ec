#include "ops/aggregate/distinct_rows.h"

#include "data/row_key.h"
#include "ops/aggregate/group_combiner.h"
#include "ops/aggregate/group_keys.h"
#include "state/integer_set.h"
#include "state/keyed_table.h"

namespace kappa::ops {
namespace {

// Input        inserts; at kCombinedPort keys that a GroupCombiner found in some rows.
// State        a table of the keys seen so far, each with a word that is not 0. Where the plan knows the key of many values: a table of the other
//              keys, each with the set of its values.
// Watermark    ignored.
// Retractions  none: a key is given once, in the batch that brings it.
// Cost         one probe per row; of a set that is small, in cache.
// Threads      one at a time.
class DistinctRows final : public Operator {
 public:
  DistinctRows(const plan::Aggregate& node, const OperatorOptions& options)
      : keys_(node.keys),
        value_key_(node.value_key),
        context_(options.context),
        table_(arena_, 0, value_key_ < 0 ? sizeof(uint64_t) : sizeof(state::IntegerSetHead)),
        narrow_sets_(arena_),
        wide_sets_(arena_) {}

  Status OnBatch(int port, data::ChangeBatch batch, Output& out) override {
    data::Batch keys;
    keys.rows = batch.rows;
    if (port == kCombinedPort) {
      keys.columns.assign(batch.columns.begin(), batch.columns.end() - 1);
    } else {
      KAPPA_ASSIGN_OR_RETURN(keys.columns, expr::EvaluateAll(keys_, batch.AsBatch(), context_));
    }
    for (data::ColumnPtr& column : keys.columns) column = data::CanonicalColumn(column);
    std::vector<int32_t> rows;
    rows.reserve(static_cast<size_t>(batch.rows));
    for (int64_t i = 0; i < batch.rows; ++i) {
      if (batch.weight(i) < 0) return Error(sqlstate::kInternalError, "a row went away from input that only grows");
      if (batch.weight(i) > 0) rows.push_back(static_cast<int32_t>(i));
    }
    const std::vector<int32_t> fresh = value_key_ < 0 ? TakeFresh(keys, rows) : TakeFreshValues(keys, rows);
    if (fresh.empty()) return {};
    rows_seen() += fresh.size();
    data::ChangeBatch first(std::move(keys));
    if (static_cast<int64_t>(fresh.size()) < first.rows) first = data::Gather(first, fresh);
    out.push_back(data::ChangeBatch(AsShown(first.AsBatch())));
    return {};
  }
  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) override { visit("groups", arena_); }
  Status OnRestored() override {
    KAPPA_RETURN_IF_ERROR(arena_.CheckLoaded());
    return table_.Attach();
  }
  int64_t state_rows() const override {
    uint64_t rows;
    std::memcpy(&rows, arena_.root() + sizeof(state::Ref), sizeof rows);
    return static_cast<int64_t>(rows);
  }
  int64_t errors() const override { return context_.errors; }

 private:
  /// In the arena's root, behind the table.
  uint64_t& rows_seen() { return *reinterpret_cast<uint64_t*>(arena_.MutableRoot() + sizeof(state::Ref)); }

  /// Enters the keys of `rows`; gives those rows whose key was not there.
  std::vector<int32_t> TakeFresh(const data::Batch& keys, std::span<const int32_t> rows) {
    std::vector<int32_t> fresh;
    const int64_t before = table_.rows();
    refs_.resize(rows.size());
    table_.FindOrInsertBatch(data::RowKeys(keys.columns, keys.rows), rows, refs_.data());
    if (table_.rows() == before) return fresh;
    fresh.reserve(static_cast<size_t>(table_.rows() - before));
    for (size_t i = 0; i < rows.size(); ++i) {
      if (*reinterpret_cast<const uint64_t*>(table_.Payload(refs_[i])) != 0) continue;
      *reinterpret_cast<uint64_t*>(table_.MutablePayload(refs_[i])) = 1;
      fresh.push_back(rows[i]);
    }
    return fresh;
  }

  /// The same, values in the sets of the other keys.
  std::vector<int32_t> TakeFreshValues(const data::Batch& keys, std::span<const int32_t> rows) {
    std::vector<data::ColumnPtr> others = keys.columns;
    others.erase(others.begin() + value_key_);
    refs_.resize(rows.size());
    if (others.empty()) std::fill(refs_.begin(), refs_.end(), table_.FindOrInsert({}, Hash64({})));
    else table_.FindOrInsertBatch(data::RowKeys(others, keys.rows), rows, refs_.data());
    const data::Column& values = *keys.columns[static_cast<size_t>(value_key_)];
    switch (values.type().width()) {
      case 1: return AddValues<uint8_t>(values, rows, narrow_sets_);
      case 2: return AddValues<uint16_t>(values, rows, narrow_sets_);
      case 4: return AddValues<uint32_t>(values, rows, narrow_sets_);
      default: return AddValues<uint64_t>(values, rows, wide_sets_);
    }
  }

  /// Adds the values of `rows` to the sets of their groups; gives the rows whose value was not there. Equal words are equal values of a canonical
  /// column.
  template <typename Value, typename Slot>
  std::vector<int32_t> AddValues(const data::Column& column, std::span<const int32_t> rows, state::IntegerSets<Slot>& sets) {
    const Value* values = column.data<Value>();
    const auto head = [&](size_t i) -> const state::IntegerSetHead& {
      return *reinterpret_cast<const state::IntegerSetHead*>(table_.Payload(refs_[i]));
    };
    constexpr size_t kBlock = 64;  // as a table's: enough to keep all of a core's line fills busy
    uint64_t hashes[kBlock];
    std::vector<int32_t> fresh(rows.size());
    size_t count = 0;
    for (size_t from = 0; from < rows.size(); from += kBlock) {
      const size_t to = std::min(rows.size(), from + kBlock);
      for (size_t i = from; i < to; ++i) {
        hashes[i - from] = state::IntegerSets<Slot>::Hash(values[rows[i]]);
        sets.Prefetch(head(i), hashes[i - from]);
      }
      for (size_t i = from; i < to; ++i) {
        const auto writable = [&]() -> state::IntegerSetHead& { return *reinterpret_cast<state::IntegerSetHead*>(table_.MutablePayload(refs_[i])); };
        fresh[count] = rows[i];
        if (column.IsNull(rows[i])) count += AddNull(head(i), writable) ? 1 : 0;
        else count += sets.Add(head(i), values[rows[i]], hashes[i - from], writable) ? 1 : 0;
      }
    }
    fresh.resize(count);
    return fresh;
  }
  template <typename Writable> static bool AddNull(const state::IntegerSetHead& set, Writable&& writable) {
    if (set.has_null != 0) return false;
    writable().has_null = 1;
    return true;
  }

  std::vector<expr::ExprPtr> keys_;
  int value_key_;
  expr::EvalContext context_;
  state::Arena arena_;
  state::KeyedTable table_;
  state::IntegerSets<uint32_t> narrow_sets_;  // where values have up to 4 bytes
  state::IntegerSets<uint64_t> wide_sets_;
  std::vector<state::Ref> refs_;  // scratch of a batch
};

}  // namespace

Result<std::unique_ptr<Operator>> MakeDistinctRows(const plan::Aggregate& node, const OperatorOptions& options) {
  return std::unique_ptr<Operator>(std::make_unique<DistinctRows>(node, options));
}

}  // namespace kappa::ops
