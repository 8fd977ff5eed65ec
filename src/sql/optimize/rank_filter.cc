// Ranking functions under a condition on the rank: WHERE rn <= 10, rn < 10, rn = 1, rn BETWEEN 2 AND 5.
#include <algorithm>

#include "sql/optimize/optimize.h"

namespace kappa::sql {
namespace {

using expr::Expression;
using expr::ExprPtr;

/// The value of an integer literal.
bool IntegerOf(const Expression& expression, int64_t& value) {
  if (expression.kind() != Expression::Kind::kLiteral || !data::IsInteger(expression.type().id)) return false;
  const data::Value& literal = static_cast<const expr::Literal&>(expression).value();
  if (literal.null) return false;
  value = literal.bytes.size() == 2 ? literal.As<int16_t>() : literal.bytes.size() == 4 ? literal.As<int32_t>() : literal.As<int64_t>();
  return true;
}

bool IsColumn(const Expression& expression, int column) {
  return expression.kind() == Expression::Kind::kColumn && static_cast<const expr::ColumnRef&>(expression).index() == column;
}

/// Narrows [from, to] when the conjunct compares the column with an integer.
bool Narrow(const Expression& conjunct, int column, int64_t& from, int64_t& to) {
  if (conjunct.kind() != Expression::Kind::kCall || conjunct.children().size() != 2) return false;
  std::string name(conjunct.call_name());
  const bool left = IsColumn(*conjunct.children()[0], column);
  int64_t value = 0;
  if ((!left && !IsColumn(*conjunct.children()[1], column)) || !IntegerOf(*conjunct.children()[left ? 1 : 0], value)) return false;
  if (!left && name.size() > 0 && name[0] == '<') name[0] = '>';
  else if (!left && name.size() > 0 && name[0] == '>') name[0] = '<';
  if (value == INT64_MAX || value == INT64_MIN) return false;
  if (name == "=") from = std::max(from, value), to = std::min(to, value);
  else if (name == "<=") to = std::min(to, value);
  else if (name == "<") to = std::min(to, value - 1);
  else if (name == ">=") from = std::max(from, value);
  else if (name == ">") from = std::max(from, value + 1);
  else return false;
  return true;
}

}  // namespace

plan::NodePtr RankFilter(const plan::NodePtr& node, std::vector<ExprPtr>& conjuncts) {
  using Kind = plan::WindowCall::Kind;
  const auto& over = static_cast<const plan::OverWindow&>(*node);
  if (over.calls.size() != 1 || over.calls[0].kind > Kind::kDenseRank) return node;
  const int column = node->inputs[0]->schema.size();
  int64_t from = 1, to = INT64_MAX;
  std::vector<ExprPtr> others;
  for (const ExprPtr& conjunct : conjuncts)
    if (!Narrow(*conjunct, column, from, to)) others.push_back(conjunct);
  if (to == INT64_MAX) return node;  // rank > n: all rows have to be ranked
  conjuncts = std::move(others);
  const Kind kind = over.calls[0].kind;
  const plan::TopN::Rank rank = kind == Kind::kRowNumber ? plan::TopN::Rank::kRowNumber
                                : kind == Kind::kRank    ? plan::TopN::Rank::kRank
                                                         : plan::TopN::Rank::kDenseRank;
  return plan::MakeTopN(node->inputs[0], over.partition, over.order, rank, from, std::max(to, from - 1), node->schema.fields.back().name);
}

}  // namespace kappa::sql
