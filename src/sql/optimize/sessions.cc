// GROUP BY over SESSION by the session's own keys: one operator that keeps no rows.
#include <algorithm>

#include "sql/optimize/optimize.h"

namespace kappa::sql {
namespace {

using expr::AggregateKind;
using expr::ExprPtr;
using plan::NodeKind;
using plan::NodePtr;

/// True when the running results of two parts can be made one.
bool Merges(const expr::AggregateCall& call) {
  if (!call.order_by.empty()) return false;
  const data::TypeId type = call.arguments.empty() ? data::TypeId::kInt8 : call.arguments[0]->type().id;
  switch (call.kind) {
    case AggregateKind::kCountStar:
    case AggregateKind::kCount: return !call.distinct;
    case AggregateKind::kBoolAnd:
    case AggregateKind::kBoolOr:
    case AggregateKind::kMin:
    case AggregateKind::kMax: return true;
    case AggregateKind::kSum:
    case AggregateKind::kAvg: return !call.distinct && (type == data::TypeId::kInt2 || type == data::TypeId::kInt4 || type == data::TypeId::kInt8);
    default: return false;
  }
}

bool Reads(const ExprPtr& expression, int from) {
  if (!expression) return false;
  std::vector<bool> used;
  expr::CollectColumns(*expression, used);
  for (size_t i = static_cast<size_t>(from); i < used.size(); ++i)
    if (used[i]) return true;
  return false;
}

/// The aggregate as one node with its session; null when it is not of that shape.
NodePtr Fused(const plan::Aggregate& aggregate) {
  if (aggregate.inputs[0]->kind != NodeKind::kSession) return nullptr;
  const auto& session = static_cast<const plan::Session&>(*aggregate.inputs[0]);
  const NodePtr& input = session.inputs[0];
  if (!input->append_only) return nullptr;
  // Keys are kept in the form that stands for all equal values; the plain aggregate gives a numeric the digits of its type again.
  if (std::any_of(session.keys.begin(), session.keys.end(), [](const ExprPtr& key) { return key->type().id == data::TypeId::kNumeric; }))
    return nullptr;
  const int width = input->schema.size();
  // Each group key must be one of the session's, and each of the session's must be there, with one of its bounds.
  std::vector<int> places;  // of each group key in the fused output
  std::vector<bool> found(session.keys.size());
  bool bounded = false;
  for (const ExprPtr& key : aggregate.keys) {
    const int column = key->kind() == expr::Expression::Kind::kColumn ? static_cast<const expr::ColumnRef&>(*key).index() : -1;
    if (column >= width) {
      bounded = true;
      places.push_back(static_cast<int>(session.keys.size()) + column - width);
      continue;
    }
    const auto same = std::find_if(session.keys.begin(), session.keys.end(), [&](const ExprPtr& own) { return plan::SameExpression(*own, *key); });
    if (same == session.keys.end()) return nullptr;
    places.push_back(static_cast<int>(same - session.keys.begin()));
    found[static_cast<size_t>(places.back())] = true;
  }
  if (!bounded || std::find(found.begin(), found.end(), false) != found.end()) return nullptr;
  for (const expr::AggregateCall& call : aggregate.aggregates) {
    const bool bounds = std::any_of(call.arguments.begin(), call.arguments.end(), [&](const ExprPtr& argument) { return Reads(argument, width); });
    if (!Merges(call) || bounds || Reads(call.filter, width)) return nullptr;
  }
  std::vector<std::string> names;
  for (size_t i = 0; i < session.keys.size(); ++i) {
    const auto at = std::find(places.begin(), places.end(), static_cast<int>(i)) - places.begin();
    names.push_back(aggregate.schema.fields[static_cast<size_t>(at)].name);
  }
  names.insert(names.end(), {"window_start", "window_end"});
  for (size_t i = aggregate.keys.size(); i < aggregate.schema.fields.size(); ++i) names.push_back(aggregate.schema.fields[i].name);
  NodePtr fused = plan::MakeSessionAggregate(input, session.keys, aggregate.aggregates, std::move(names), session.time_column, session.gap_us,
                                             session.closes, session.close_stream, session.expires);
  for (size_t i = 0; i < aggregate.aggregates.size(); ++i) places.push_back(static_cast<int>(session.keys.size() + 2 + i));
  std::vector<ExprPtr> columns;
  for (const int place : places) {
    const data::Field& field = fused->schema.fields[static_cast<size_t>(place)];
    columns.push_back(expr::MakeColumn(place, field.type, field.name));
  }
  return plan::MakeProject(std::move(fused), std::move(columns), plan::ColumnNames(aggregate.schema));
}

}  // namespace

NodePtr FuseSessions(const NodePtr& plan) {
  std::vector<NodePtr> inputs;
  for (const NodePtr& input : plan->inputs) inputs.push_back(FuseSessions(input));
  const NodePtr result = plan::WithInputs(plan, std::move(inputs));
  if (result->kind != NodeKind::kAggregate) return result;
  NodePtr fused = Fused(static_cast<const plan::Aggregate&>(*result));
  return fused ? fused : result;
}

}  // namespace kappa::sql
