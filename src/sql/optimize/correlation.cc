#include "sql/optimize/correlation.h"

#include <algorithm>

namespace kappa::sql {

using expr::Expression;
using expr::ExprPtr;
using plan::NodePtr;
using plan::Subquery;

bool Refers(const Expression& expression, const Level& level) {
  if (level.Has(expression)) return true;
  if (const Subquery* subquery = plan::SubqueryOf(expression); subquery != nullptr && Refers(*subquery->plan, level)) return true;
  return std::any_of(expression.children().begin(), expression.children().end(), [&](const ExprPtr& child) { return Refers(*child, level); });
}
bool Refers(const plan::Node& node, const Level& level) {
  bool found = false;
  plan::VisitExpressions(node, [&](const ExprPtr& e) { found = found || (e && Refers(*e, level)); });
  return found;
}
bool RefersInside(const Expression& expression, const Level& level) {
  if (const Subquery* subquery = plan::SubqueryOf(expression); subquery != nullptr && Refers(*subquery->plan, level)) return true;
  return std::any_of(expression.children().begin(), expression.children().end(), [&](const ExprPtr& child) { return RefersInside(*child, level); });
}

bool HasSubquery(const Expression& expression) {
  if (expression.kind() == Expression::Kind::kSubquery) return true;
  return std::any_of(expression.children().begin(), expression.children().end(), [](const ExprPtr& child) { return HasSubquery(*child); });
}
ExprPtr WithOuter(const ExprPtr& expression, const Level& level, const std::vector<ExprPtr>& replacements) {
  if (level.Has(*expression)) return replacements[static_cast<size_t>(static_cast<const expr::Parameter&>(*expression).index() - level.first)];
  std::vector<ExprPtr> children;
  bool changed = false;
  for (const ExprPtr& child : expression->children()) {
    children.push_back(WithOuter(child, level, replacements));
    changed = changed || children.back() != child;
  }
  return changed ? expression->WithChildren(std::move(children)) : expression;
}

ExprPtr ColumnOf(const plan::Node& node, int index) {
  const data::Field& field = node.schema.fields[static_cast<size_t>(index)];
  return expr::MakeColumn(index, field.type, field.name);
}

std::vector<ExprPtr> ColumnsOf(const plan::Node& node, int from, int count) {
  std::vector<ExprPtr> columns;
  for (int i = from; i < from + count; ++i) columns.push_back(ColumnOf(node, i));
  return columns;
}

NodePtr Columns(const NodePtr& node, const std::vector<int>& indexes) {
  std::vector<ExprPtr> expressions;
  std::vector<std::string> names;
  for (const int index : indexes) {
    expressions.push_back(ColumnOf(*node, index));
    names.push_back(node->schema.fields[static_cast<size_t>(index)].name);
  }
  return plan::MakeProject(node, std::move(expressions), std::move(names));
}

std::vector<int> Range(int from, int count) {
  std::vector<int> range;
  for (int i = 0; i < count; ++i) range.push_back(from + i);
  return range;
}
std::vector<int> operator+(std::vector<int> a, const std::vector<int>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<std::string> NamesWithKeys(const plan::Aggregate& aggregate, const plan::Node& input, int first_key, int more) {
  std::vector<std::string> names = plan::ColumnNames(aggregate.schema);
  std::vector<std::string> keys;
  for (int i = 0; i < more; ++i) keys.push_back(input.schema.fields[static_cast<size_t>(first_key + i)].name);
  names.insert(names.begin() + static_cast<ptrdiff_t>(aggregate.keys.size()), keys.begin(), keys.end());
  return names;
}

bool IsCount(const expr::AggregateCall& call) {
  using enum expr::AggregateKind;
  return call.kind == kCount || call.kind == kCountStar || call.kind == kRegrCount;
}

ExprPtr ZeroForNull(ExprPtr count) {
  Result<ExprPtr> value = expr::MakeCoalesce({std::move(count), expr::MakeLiteral(data::Value::Int8(0))}, 0);
  KAPPA_CHECK(value.ok());
  return *value;
}

Result<Flat> Flatten(const NodePtr& node, const Level& level, const NodePtr& outer_plan) {
  if (std::optional<Flat> flat = PullUp(node, level)) return std::move(*flat);
  std::vector<std::string> names;
  for (size_t i = 0; i < level.outer.size(); ++i) names.push_back("outer " + std::to_string(i + 1));
  NodePtr values = plan::MakeProject(outer_plan, level.outer, names);
  std::vector<ExprPtr> keys = ColumnsOf(*values, 0, values->schema.size());
  const NodePtr domain = plan::MakeAggregate(values, std::move(keys), {}, names, -1, 0);
  KAPPA_ASSIGN_OR_RETURN(NodePtr plan, ForEach(node, level, domain));
  return Flat{std::move(plan), node->schema.size(), level.outer, std::vector<bool>(level.outer.size(), true)};
}

}  // namespace kappa::sql
