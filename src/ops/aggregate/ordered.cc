// string_agg and array_agg: they depend on the order of rows, so only queries over bounded input may use them.
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <algorithm>

#include "data/array.h"
#include "data/row_key.h"
#include "ops/aggregate/accumulator.h"
#include "ops/consolidate.h"
#include "ops/sort_order.h"

namespace kappa::ops {
namespace {

// State: the payload holds the number of the group + 1; the rows are kept in memory only, as the batches they came in.
class OrderedAggregate final : public Accumulator {
 public:
  explicit OrderedAggregate(const expr::AggregateCall& call)
      : kind_(call.kind), distinct_(call.distinct), argument_count_(call.arguments.size()), type_(call.type) {
    for (const auto& [expression, descending] : call.order_by) descending_.push_back(descending);
  }
  uint32_t bytes() const override { return 8; }
  bool takes_nulls() const override { return kind_ == expr::AggregateKind::kArrayAgg; }

  /// `arguments` are the call's, then the ORDER BY expressions.
  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    KAPPA_CHECK(arguments.size() == argument_count_ + descending_.size());
    if (in.rows.empty()) return {};
    for (int32_t row : in.rows) {
      auto& group = At<uint64_t>(in.payloads[row]);
      if (group == 0) {
        groups_.emplace_back();
        group = groups_.size();
      }
      groups_[group - 1].push_back({static_cast<int32_t>(rows_), in.weight(row)});
      has_deletes_ |= in.weight(row) < 0;
      ++rows_;
    }
    if (rows_ > INT32_MAX) return Error(sqlstate::kProgramLimitExceeded, "too many rows in " + std::string(kind_ == expr::AggregateKind::kStringAgg ? "string_agg" : "array_agg"));
    data::ChangeBatch part;
    part.rows = static_cast<int64_t>(in.rows.size());
    for (const data::ColumnPtr& column : arguments) part.columns.push_back(data::Gather(*column, in.rows));
    parts_.push_back(std::move(part));
    return {};
  }

  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext&) override {
    if (parts_.size() > 1) parts_ = {data::Concatenate(parts_)};
    std::vector<SortColumn> order;
    std::unique_ptr<data::RowKeys> whole, distinct;
    if (!parts_.empty()) {
      const data::ChangeBatch& all = parts_[0];
      for (size_t i = 0; i < descending_.size(); ++i) order.push_back({all.columns[argument_count_ + i], descending_[i], descending_[i]});
      if (distinct_ && order.empty()) for (size_t i = 0; i < argument_count_; ++i) order.push_back({all.columns[i], false, false});
      if (has_deletes_) whole = std::make_unique<data::RowKeys>(all.columns, all.rows, /*canonical=*/false);
      if (distinct_) distinct = std::make_unique<data::RowKeys>(std::span(all.columns).first(argument_count_), all.rows);
    }
    data::ColumnBuilder builder(type_, static_cast<int64_t>(groups.payloads.size()));
    for (char* payload : groups.payloads) {
      uint64_t group = At<uint64_t>(payload);
      std::vector<int32_t> rows = group == 0 ? std::vector<int32_t>() : Rows(groups_[group - 1], whole.get());
      SortRows(order, rows);
      if (distinct) {
        absl::flat_hash_set<std::string_view> seen;
        std::erase_if(rows, [&](int32_t row) { return !seen.insert(distinct->key(row)).second; });
      }
      if (rows.empty()) builder.AppendNull();
      else Append(rows, builder);
    }
    return builder.Finish();
  }

 private:
  struct Item {
    int32_t row;
    int64_t weight;
  };
  /// The rows that are left of a group, in order of arrival.
  std::vector<int32_t> Rows(const std::vector<Item>& items, const data::RowKeys* keys) const {
    std::vector<int32_t> rows;
    if (keys == nullptr) {
      for (const Item& item : items) rows.insert(rows.end(), static_cast<size_t>(item.weight), item.row);
      return rows;
    }
    absl::flat_hash_map<std::string_view, int64_t> left;
    for (const Item& item : items) left[keys->key(item.row)] += item.weight;
    for (const Item& item : items) {  // of equal rows the first to come stay
      int64_t& count = left[keys->key(item.row)];
      for (int64_t k = 0; k < item.weight && count > 0; ++k, --count) rows.push_back(item.row);
    }
    return rows;
  }
  void Append(const std::vector<int32_t>& rows, data::ColumnBuilder& builder) const {
    const std::vector<data::ColumnPtr>& columns = parts_[0].columns;
    if (kind_ == expr::AggregateKind::kArrayAgg) {
      data::ArrayBuilder array(type_.element);
      for (int32_t row : rows) array.AppendFrom(*columns[0], row);
      builder.AppendBytes(array.Finish());
      return;
    }
    std::string text;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (i > 0 && !columns[1]->IsNull(rows[i])) text.append(columns[1]->bytes(rows[i]));
      text.append(columns[0]->bytes(rows[i]));
    }
    builder.AppendBytes(text);
  }

  expr::AggregateKind kind_;
  bool distinct_;
  size_t argument_count_;
  data::Type type_;
  std::vector<bool> descending_;
  std::vector<data::ChangeBatch> parts_;
  std::vector<std::vector<Item>> groups_;
  int64_t rows_ = 0;
  bool has_deletes_ = false;
};

}  // namespace

Result<AccumulatorPtr> MakeOrderedAggregate(const expr::AggregateCall& call) {
  return AccumulatorPtr(std::make_unique<OrderedAggregate>(call));
}

}  // namespace kappa::ops
