// What the rewrites of sub-queries share: references to the outer query, and queries freed of them. Internal to sql/optimize.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "plan/subquery_expression.h"
#include "sql/optimize/conjuncts.h"
#include "sql/optimize/optimize.h"

namespace kappa::sql {

/// The outer columns of one sub-query: inside it, Parameter(first + i) stands for outer[i], an expression over the outer plan.
struct Level {
  int first = 0;
  std::vector<expr::ExprPtr> outer;
  bool Has(const expr::Expression& expression) const {
    if (expression.kind() != expr::Expression::Kind::kParameter) return false;
    const int index = static_cast<const expr::Parameter&>(expression).index() - first;
    return index >= 0 && index < static_cast<int>(outer.size());
  }
};

bool Refers(const expr::Expression& expression, const Level& level);
bool Refers(const plan::Node& node, const Level& level);
/// True when a sub-query inside the expression's own sub-queries refers to the level: it cannot be replaced from outside.
bool RefersInside(const expr::Expression& expression, const Level& level);
bool HasSubquery(const expr::Expression& expression);
/// The expression with the level's parameters replaced: by replacements[i].
expr::ExprPtr WithOuter(const expr::ExprPtr& expression, const Level& level, const std::vector<expr::ExprPtr>& replacements);

expr::ExprPtr ColumnOf(const plan::Node& node, int index);
std::vector<expr::ExprPtr> ColumnsOf(const plan::Node& node, int from, int count);
/// The node's columns of these indexes, in this order.
plan::NodePtr Columns(const plan::NodePtr& node, const std::vector<int>& indexes);
std::vector<int> Range(int from, int count);
std::vector<int> operator+(std::vector<int> a, const std::vector<int>& b);
/// The names of an aggregate's output with more keys after the old ones.
std::vector<std::string> NamesWithKeys(const plan::Aggregate& aggregate, const plan::Node& input, int first_key, int more);
bool IsCount(const expr::AggregateCall& call);
expr::ExprPtr ZeroForNull(expr::ExprPtr count);

/// A query without references to the outer one: its `width` columns, then one column for each of `outer`. A row belongs to the
/// outer rows for which they are equal.
struct Flat {
  plan::NodePtr plan;
  int width = 0;
  std::vector<expr::ExprPtr> outer;
  std::vector<bool> null_equal;

  int keys() const { return static_cast<int>(outer.size()); }
  std::vector<expr::ExprPtr> KeyColumns() const { return ColumnsOf(*plan, width, keys()); }
};

/// Moves equalities with outer columns to the top. nullopt when outer columns are used in other ways.
std::optional<Flat> PullUp(const plan::NodePtr& node, const Level& level);
/// The query for each row of `domain`, the distinct values of the level's outer columns: its columns, then the domain's.
Result<plan::NodePtr> ForEach(const plan::NodePtr& node, const Level& level, plan::NodePtr domain);
/// The query without references to the level, by one of the two.
Result<Flat> Flatten(const plan::NodePtr& node, const Level& level, const plan::NodePtr& outer_plan);

}  // namespace kappa::sql
