// DISTINCT inside of aggregates as a DISTINCT below them: its rows are split over the shards by their values too, not only by their groups.
#include <algorithm>

#include "sql/bind/window_columns.h"
#include "sql/optimize/optimize.h"

namespace kappa::sql {
namespace {

using expr::AggregateCall;
using expr::ExprPtr;
using plan::NodePtr;

bool SameArguments(const AggregateCall& a, const AggregateCall& b) {
  return std::equal(a.arguments.begin(), a.arguments.end(), b.arguments.begin(), b.arguments.end(),
                    [](const ExprPtr& x, const ExprPtr& y) { return plan::SameExpression(*x, *y); });
}

/// True when the aggregate needs each value of its groups once and nothing else. Where windows close, their values go with them, which is the
/// aggregate's own business; where rows may go again, the distinct ones would be taken back one by one.
bool IsOfDistinctRows(const plan::Aggregate& aggregate) {
  const std::vector<AggregateCall>& calls = aggregate.aggregates;
  return !calls.empty() && aggregate.close_key < 0 && aggregate.inputs[0]->append_only &&
         std::all_of(
             calls.begin(), calls.end(),
             [&](const AggregateCall& call) {
               return call.distinct && call.filter == nullptr && !expr::TakesOrder(call.kind) && SameArguments(call, calls[0]);
             });
}

NodePtr OverDistinctRows(const plan::Aggregate& aggregate) {
  std::vector<ExprPtr> columns = aggregate.keys;
  std::vector<std::string> names;
  for (size_t i = 0; i < columns.size(); ++i) names.push_back(aggregate.schema.fields[i].name);
  const auto place = [&](const ExprPtr& expression) {
    auto found = std::find_if(columns.begin(), columns.end(), [&](const ExprPtr& column) { return plan::SameExpression(*column, *expression); });
    if (found == columns.end()) {
      const expr::ColumnRef* column = AsColumn(expression);
      names.push_back(column != nullptr ? column->name() : "value");
      found = columns.insert(columns.end(), expression);
    }
    return expr::MakeColumn(static_cast<int>(found - columns.begin()), expression->type(), names[static_cast<size_t>(found - columns.begin())]);
  };
  std::vector<ExprPtr> keys, arguments;
  for (size_t i = 0; i < aggregate.keys.size(); ++i) keys.push_back(expr::MakeColumn(static_cast<int>(i), aggregate.keys[i]->type(), names[i]));
  for (const ExprPtr& argument : aggregate.aggregates[0].arguments) arguments.push_back(place(argument));
  std::vector<AggregateCall> calls = aggregate.aggregates;
  for (AggregateCall& call : calls) {
    call.distinct = false;
    call.arguments = arguments;
  }
  const bool one_value = columns.size() == aggregate.keys.size() + 1 && columns.back()->type().width() <= plan::Aggregate::kValueBytesMax;
  NodePtr distinct = plan::MakeAggregate(aggregate.inputs[0], std::move(columns), {}, std::move(names), /*close_key=*/-1, /*close_stream=*/0,
                                         one_value ? static_cast<int>(aggregate.keys.size()) : -1);
  std::vector<std::string> shown;
  for (const data::Field& field : aggregate.schema.fields) shown.push_back(field.name);
  return plan::MakeAggregate(std::move(distinct), std::move(keys), std::move(calls), std::move(shown));
}

}  // namespace

NodePtr DistinctFirst(const NodePtr& node) {
  std::vector<NodePtr> inputs;
  for (const NodePtr& input : node->inputs) inputs.push_back(DistinctFirst(input));
  NodePtr result = plan::WithInputs(node, std::move(inputs));
  if (result->kind != plan::NodeKind::kAggregate) return result;
  const auto& aggregate = static_cast<const plan::Aggregate&>(*result);
  return IsOfDistinctRows(aggregate) ? OverDistinctRows(aggregate) : result;
}

}  // namespace kappa::sql
