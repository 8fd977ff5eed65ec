// Aggregates that need all their values, in an order: string_agg, array_agg, jsonb_agg, jsonb_object_agg, percentiles, mode, and the
// ranks of rows that are not there.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/array.h"
#include "data/compare.h"
#include "data/json.h"
#include "ops/aggregate/value_counts.h"
#include "ops/row_decoder.h"
#include "ops/sort_order.h"
#include "plan/build.h"

namespace kappa::ops {
namespace {

using data::TypeId;
using expr::AggregateKind;

constexpr size_t kResultBytesMax = size_t{1} << 30;  // PostgreSQL's limit of a value

// Input        the arguments, and ORDER BY's expressions that are none of them.
// State        the group's values with their counts (ValueCounts); the head of their list is in the payload. In arrival order, which
//              bounded input alone may ask for, a value is made different from all others by a number.
// Order        ORDER BY, then the arguments, then the bytes of the values: nothing depends on when a row came.
// Cost         every epoch that touches a group sorts all its values, before and after.
class Collected final : public Accumulator {
 public:
  static Result<AccumulatorPtr> Make(const expr::AggregateCall& call, const AccumulatorSetup& setup) {
    auto made = std::make_unique<Collected>(call, setup);
    if (call.kind == AggregateKind::kPercentileCont && made->value_type().id == TypeId::kInterval) {
      const auto column = [&](int i, data::Type type) { return expr::MakeColumn(i, type, ""); };
      KAPPA_ASSIGN_OR_RETURN(expr::ExprPtr span, expr::MakeOperator("-", {column(1, TypeId::kInterval), column(0, TypeId::kInterval)}, 0));
      KAPPA_ASSIGN_OR_RETURN(expr::ExprPtr part, expr::MakeOperator("*", {std::move(span), column(2, TypeId::kFloat8)}, 0));
      KAPPA_ASSIGN_OR_RETURN(made->between_, expr::MakeOperator("+", {column(0, TypeId::kInterval), std::move(part)}, 0));
    }
    return AccumulatorPtr(std::move(made));
  }
  Collected(const expr::AggregateCall& call, const AccumulatorSetup& setup)
      : kind_(call.kind),
        distinct_(call.distinct),
        type_(call.type),
        direct_(call.direct),
        arguments_(call.arguments.size()),
        arrival_(setup.arrival_order && call.arrival_order && !call.distinct && call.order_by.empty()) {
    for (const expr::ExprPtr& argument : call.arguments) schema_.fields.push_back({"", argument->type()});
    for (size_t i = 0; i < arguments_; ++i) sources_.push_back(i);
    for (size_t k = 0; k < call.order_by.size(); ++k) {
      const expr::AggregateOrder& order = call.order_by[k];
      const auto same = [&](const expr::ExprPtr& argument) { return plan::SameExpression(*argument, *order.expression); };
      auto column = static_cast<size_t>(std::find_if(call.arguments.begin(), call.arguments.end(), same) - call.arguments.begin());
      if (column == arguments_) {
        column = sources_.size();
        sources_.push_back(arguments_ + k);
        schema_.fields.push_back({"", order.expression->type()});
      }
      order_.push_back({column, order.descending, order.nulls_first});
    }
    if (arrival_) {
      order_.push_back({schema_.fields.size(), false, false});
      schema_.fields.push_back({"", TypeId::kInt8});
    }
    for (size_t i = 0; i < arguments_; ++i) {
      if (std::none_of(order_.begin(), order_.end(), [&](const Order& order) { return order.column == i; })) order_.push_back({i, false, false});
    }
  }

  uint32_t bytes() const override { return sizeof(state::Ref); }
  bool takes_nulls() const override {
    return kind_ == AggregateKind::kArrayAgg || kind_ == AggregateKind::kJsonbAgg || kind_ == AggregateKind::kJsonbObjectAgg ||
           expr::IsHypotheticalSet(kind_);
  }
  data::Type value_type() const { return schema_.fields[0].type; }

  /// `arguments` are the call's, then the ORDER BY expressions.
  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    if (in.rows.empty()) return {};
    std::vector<data::ColumnPtr> values;
    for (size_t source : sources_) values.push_back(arguments[source]);
    if (arrival_) {
      auto numbers = std::make_shared<data::Column>(TypeId::kInt8, arguments[0]->size());
      for (int32_t row : in.rows) numbers->mutable_data<int64_t>()[row] = arrived_++;
      values.push_back(std::move(numbers));
    }
    counts_.Update(values, in, [&](int32_t row) { return &Head(in.payloads[row]); }, [](size_t, state::Ref, int) {});
    return {};
  }

  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext& context) override {
    const bool hypothetical = expr::IsHypotheticalSet(kind_);
    const Result<std::vector<std::optional<double>>> fractions = hypothetical ? std::vector<std::optional<double>>() : Fractions(context);
    const Status evaluated = hypothetical ? EvaluateRow(context) : fractions.status();
    data::ColumnBuilder builder(type_, static_cast<int64_t>(groups.payloads.size()));
    constexpr size_t kListsAtOnce = 64;
    std::vector<state::Ref> lists;
    for (size_t i = 0; i < groups.payloads.size(); ++i) {
      if (i % kListsAtOnce == 0) {
        lists.clear();
        for (char* next : groups.payloads.subspan(i, std::min(kListsAtOnce, groups.payloads.size() - i))) lists.push_back(Head(next));
        counts_.FetchLists(lists);
      }
      char* payload = groups.payloads[i];
      Values values = Load(Head(payload));
      if (values.rows.empty() && !hypothetical) {
        builder.AppendNull();
        continue;
      }
      const Status status = evaluated.ok() ? Append(values, *fractions, builder, context) : evaluated;
      if (status.ok()) continue;
      KAPPA_RETURN_IF_ERROR(HandleRowError(status.error(), context));
      builder.AppendNull();
    }
    return builder.Finish();
  }
  void Drop(char* payload) override {
    counts_.Drop(Head(payload));
    Head(payload) = 0;
  }
  void VisitState(const std::function<void(state::Arena&)>& visit) override { visit(counts_.arena()); }
  Status OnRestored() override { return counts_.OnRestored(); }

 private:
  struct Order {
    size_t column;
    bool descending, nulls_first;
  };
  /// A group's values in order.
  struct Values {
    std::vector<data::ColumnPtr> columns;
    std::vector<int32_t> rows;    // into the columns
    std::vector<int64_t> counts;  // by row of the columns
  };

  state::Ref& Head(char* payload) const { return At<state::Ref>(payload); }

  Values Load(state::Ref head) {
    // By their bytes first: what compares as equal keeps this order.
    std::vector<std::pair<std::string, int64_t>> entries;
    std::string scratch;
    for (state::Ref entry = head; entry != 0; entry = counts_.Get(entry)->next) {
      if (const int64_t count = counts_.Get(entry)->count; count > 0) entries.emplace_back(counts_.Value(entry, scratch), count);
    }
    std::sort(entries.begin(), entries.end());
    Values values;
    if (entries.empty()) return values;
    RowDecoder decoder(schema_);
    for (const auto& [row, count] : entries) {
      decoder.Append(row, /*borrow=*/false);
      values.counts.push_back(distinct_ ? 1 : count);
    }
    values.columns = decoder.Finish().columns;
    values.rows.resize(entries.size());
    std::iota(values.rows.begin(), values.rows.end(), 0);
    std::vector<SortColumn> order;
    for (const Order& by : order_) order.push_back({values.columns[by.column], by.descending, by.nulls_first});
    SortRows(order, values.rows);
    if (distinct_) {  // equal values are neighbours, as ORDER BY may only name arguments
      const auto repeated = std::unique(values.rows.begin(), values.rows.end(), [&](int32_t a, int32_t b) { return Equal(values, a, b); });
      values.rows.erase(repeated, values.rows.end());
    }
    return values;
  }
  bool Equal(const Values& values, int32_t a, int32_t b) const {
    for (size_t i = 0; i < arguments_; ++i) {
      const data::Column& column = *values.columns[i];
      if (column.IsNull(a) != column.IsNull(b)) return false;
      if (!column.IsNull(a) && data::CompareRows(column, a, column, b) != 0) return false;
    }
    return true;
  }

  Status Append(const Values& values, const std::vector<std::optional<double>>& fractions, data::ColumnBuilder& builder,
                expr::EvalContext& context) const {
    switch (kind_) {
      case AggregateKind::kStringAgg: return AppendText(values, builder);
      case AggregateKind::kArrayAgg: return AppendArray(values, builder);
      case AggregateKind::kJsonbAgg: return AppendJsonArray(values, builder);
      case AggregateKind::kJsonbObjectAgg: return AppendJsonObject(values, builder);
      case AggregateKind::kMode: return AppendMode(values, builder);
      case AggregateKind::kRank:
      case AggregateKind::kDenseRank:
      case AggregateKind::kPercentRank:
      case AggregateKind::kCumeDist: return AppendRank(values, builder);
      default: return AppendPercentiles(values, fractions, builder, context);
    }
  }

  template <typename Visit> static Status EachCopy(const Values& values, size_t bytes_of_one, Visit&& visit, const std::string& so_far) {
    for (int32_t row : values.rows) {
      for (int64_t copy = values.counts[static_cast<size_t>(row)]; copy > 0; --copy) {
        visit(row);
        if (so_far.size() + bytes_of_one > kResultBytesMax)
          return Error(sqlstate::kProgramLimitExceeded, "the result of an aggregate function is larger than 1 GB");
      }
    }
    return {};
  }

  Status AppendText(const Values& values, data::ColumnBuilder& builder) const {
    std::string text;
    bool first = true;
    KAPPA_RETURN_IF_ERROR(EachCopy(
        values, 0,
        [&](int32_t row) {
          if (!first && !values.columns[1]->IsNull(row)) text.append(values.columns[1]->bytes(row));
          text.append(values.columns[0]->bytes(row));
          first = false;
        },
        text));
    builder.AppendBytes(text);
    return {};
  }
  Status AppendArray(const Values& values, data::ColumnBuilder& builder) const {
    int64_t elements = 0;
    for (int32_t row : values.rows) elements += values.counts[static_cast<size_t>(row)];
    constexpr int64_t kElementsMax = 134'217'727;  // PostgreSQL's
    if (elements > kElementsMax) return Error(sqlstate::kProgramLimitExceeded, "array size exceeds the maximum allowed (134217727)");
    data::ArrayCollector array(value_type());
    for (int32_t row : values.rows)
      for (int64_t copy = values.counts[static_cast<size_t>(row)]; copy > 0; --copy) KAPPA_RETURN_IF_ERROR(array.Append(*values.columns[0], row));
    builder.AppendBytes(array.Finish());
    return {};
  }
  static std::string_view Json(const data::Column& column, int32_t row) { return column.IsNull(row) ? std::string_view("null") : column.bytes(row); }
  Status AppendJsonArray(const Values& values, data::ColumnBuilder& builder) const {
    std::string text = "[";
    KAPPA_RETURN_IF_ERROR(EachCopy(
        values, 1,
        [&](int32_t row) {
          if (text.size() > 1) text += ", ";
          text.append(Json(*values.columns[0], row));
        },
        text));
    builder.AppendBytes(text + "]");
    return {};
  }
  Status AppendJsonObject(const Values& values, data::ColumnBuilder& builder) const {
    std::vector<std::pair<std::string, std::string_view>> members;
    for (int32_t row : values.rows) {
      if (values.columns[0]->IsNull(row)) return Error(sqlstate::kInvalidParameterValue, "field name must not be null");
      members.emplace_back(values.columns[0]->bytes(row), Json(*values.columns[1], row));
    }
    std::string text;
    data::AppendJsonObject(std::move(members), text);
    builder.AppendBytes(text);
    return {};
  }
  Status AppendMode(const Values& values, data::ColumnBuilder& builder) const {
    int64_t most = 0;
    int32_t mode = -1;
    for (size_t i = 0; i < values.rows.size();) {
      int64_t count = 0;
      size_t end = i;
      for (; end < values.rows.size() && Equal(values, values.rows[i], values.rows[end]); ++end)
        count += values.counts[static_cast<size_t>(values.rows[end])];
      if (count > most) {
        most = count;
        mode = values.rows[i];
      }
      i = end;
    }
    AppendValueOf(values, mode, builder);
    return {};
  }
  static void AppendValueOf(const Values& values, int32_t row, data::ColumnBuilder& builder) {
    data::AppendValue(builder, data::ValueAt(*values.columns[0], row));
  }

  /// The fractions as numbers; of a single one that is NULL none at all.
  Result<std::vector<std::optional<double>>> Fractions(expr::EvalContext& context) {
    std::vector<std::optional<double>> fractions;
    if (direct_.empty()) return fractions;
    KAPPA_ASSIGN_OR_RETURN(const data::Value value, expr::EvaluateConstant(*direct_[0], context));
    null_fraction_ = value.null;
    lengths_.clear();
    if (value.null) return fractions;
    if (!value.type.is_array()) {
      fractions.emplace_back(value.As<double>());
    } else {
      const data::ArrayView array(value.bytes);
      for (int32_t i = 0; i < array.size(); ++i) fractions.push_back(array.IsNull(i) ? std::nullopt : std::optional(array.Get<double>(i)));
      for (int d = 0; d < array.dimensions(); ++d) lengths_.push_back(array.length(d));
    }
    for (const std::optional<double>& fraction : fractions) {
      if (fraction && !(*fraction >= 0 && *fraction <= 1)) {
        return Error(sqlstate::kNumericValueOutOfRange, fmt::format("percentile value {:g} is not between 0 and 1", *fraction));
      }
    }
    return fractions;
  }

  Status AppendPercentiles(const Values& values, const std::vector<std::optional<double>>& fractions, data::ColumnBuilder& builder,
                           expr::EvalContext& context) const {
    if (null_fraction_) {
      builder.AppendNull();
      return {};
    }
    std::vector<int64_t> ends;  // position after the copies of each row
    int64_t count = 0;
    for (int32_t row : values.rows) ends.push_back(count += values.counts[static_cast<size_t>(row)]);
    const auto at = [&](int64_t position) {
      return values.rows[static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), position) - ends.begin())];
    };
    data::ColumnBuilder parts(value_type(), static_cast<int64_t>(fractions.size()));
    for (const std::optional<double>& fraction : fractions) {
      if (!fraction) {
        parts.AppendNull();
      } else if (kind_ == AggregateKind::kPercentileDisc) {
        AppendValueOf(values, at(std::max<int64_t>(static_cast<int64_t>(std::ceil(*fraction * static_cast<double>(count))), 1) - 1), parts);
      } else {
        const double position = *fraction * static_cast<double>(count - 1);
        const int32_t low = at(static_cast<int64_t>(std::floor(position))), high = at(static_cast<int64_t>(std::ceil(position)));
        const double share = position - std::floor(position);
        if (share == 0 || (low == high && between_ != nullptr)) {
          AppendValueOf(values, low, parts);
        } else if (between_ == nullptr) {  // NaN between two infinities, as in PostgreSQL
          const double* numbers = values.columns[0]->data<double>();
          parts.Append(numbers[low] + share * (numbers[high] - numbers[low]));
        } else {
          const int32_t rows[] = {low, high};
          const data::ColumnPtr& column = values.columns[0];
          const data::Batch batch{1,
                                  {data::Gather(*column, std::span(rows, 1)), data::Gather(*column, std::span(rows + 1, 1)),
                                   data::ConstantColumn(data::Value::Fixed(TypeId::kFloat8, share), 1)}};
          KAPPA_ASSIGN_OR_RETURN(const data::ColumnPtr value, between_->Evaluate(batch, context));
          data::AppendValue(parts, data::ValueAt(*value, 0));
        }
      }
    }
    const data::ColumnPtr column = parts.Finish();
    if (!type_.is_array() || direct_[0]->type().id != TypeId::kArray) {
      data::AppendValue(builder, data::ValueAt(*column, 0));
      return {};
    }
    data::ArrayBuilder array(type_.element);
    for (int64_t i = 0; i < column->size(); ++i) array.AppendFrom(*column, i);
    builder.AppendBytes(lengths_.empty() ? array.Finish() : array.Finish(lengths_));
    return {};
  }

  /// The row that is not there, of a hypothetical set.
  Status EvaluateRow(expr::EvalContext& context) {
    row_.clear();
    for (const expr::ExprPtr& direct : direct_) {
      KAPPA_ASSIGN_OR_RETURN(const data::Value value, expr::EvaluateConstant(*direct, context));
      row_.push_back(data::ConstantColumn(value, 1));
    }
    return {};
  }

  Status AppendRank(const Values& values, data::ColumnBuilder& builder) const {
    const auto row = values.rows.empty() ? 0 : static_cast<int32_t>(values.columns[0]->size());
    std::vector<SortColumn> order;
    for (size_t k = 0; k < row_.size() && row > 0; ++k) {
      const data::ColumnPtr parts[] = {values.columns[order_[k].column], row_[k]};
      order.push_back({data::Concatenate(parts), order_[k].descending, order_[k].nulls_first});
    }
    const bool peers = kind_ == AggregateKind::kCumeDist;  // the row comes after those that equal it, else before
    const auto end = std::partition_point(values.rows.begin(), values.rows.end(),
                                          [&](int32_t other) { return CompareSorted(order, other, row) < (peers ? 1 : 0); });
    int64_t count = 0, before = 0, different = 0;
    for (auto at = values.rows.begin(); at != values.rows.end(); ++at) {
      const int64_t copies = values.counts[static_cast<size_t>(*at)];
      count += copies;
      if (at >= end) continue;
      before += copies;
      if (at == values.rows.begin() || CompareSorted(order, *(at - 1), *at) != 0) ++different;
    }
    switch (kind_) {
      case AggregateKind::kRank: builder.Append(before + 1); break;
      case AggregateKind::kDenseRank: builder.Append(different + 1); break;
      case AggregateKind::kPercentRank: builder.Append(count == 0 ? 0.0 : static_cast<double>(before) / static_cast<double>(count)); break;
      default: builder.Append(static_cast<double>(before + 1) / static_cast<double>(count + 1)); break;
    }
    return {};
  }

  AggregateKind kind_;
  bool distinct_;
  data::Type type_;
  std::vector<expr::ExprPtr> direct_;
  size_t arguments_;
  bool arrival_;
  data::Schema schema_;           // of a value: arguments, other ORDER BY expressions, the number of arrival
  std::vector<size_t> sources_;   // of the schema's columns among those given to Update
  std::vector<Order> order_;
  expr::ExprPtr between_;         // interval percentiles: low + (high - low) * share
  bool null_fraction_ = false;
  std::vector<data::ColumnPtr> row_;  // what is not there, a column of one value for each key
  std::vector<int32_t> lengths_;  // dimensions of the array of fractions
  int64_t arrived_ = 0;
  ValueCounts counts_;
};

}  // namespace

Result<AccumulatorPtr> MakeCollected(const expr::AggregateCall& call, const AccumulatorSetup& setup) { return Collected::Make(call, setup); }

}  // namespace kappa::ops
