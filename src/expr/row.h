// Rows of values, as ROW(a, b) and the name of a table make them. A row has no column of its own: the binder makes comparisons, tests
// and JSON of its fields; only its text is computed as a whole.
#pragma once

#include "expr/expression.h"

namespace kappa::expr {

/// Of type record; never evaluated.
class Row final : public Expression {
 public:
  /// `present` may be null: a column that is NULL where the row is not there at all (a table that an outer join left out).
  Row(std::vector<ExprPtr> fields, std::vector<std::string> names, ExprPtr present, bool constructed);

  size_t size() const { return names_.size(); }
  const ExprPtr& field(size_t i) const { return children()[i]; }
  const std::vector<std::string>& names() const { return names_; }
  ExprPtr present() const { return children().size() > names_.size() ? children().back() : nullptr; }
  /// Written as ROW(..): its comparisons know NULL. Those of a table's rows do not: there NULL equals NULL.
  bool constructed() const { return constructed_; }

  Result<data::ColumnPtr> Evaluate(const data::Batch& batch, std::span<const int32_t> rows, EvalContext& context) const override;
  Result<data::ColumnPtr> Evaluate(const data::Batch& batch, EvalContext& context) const override;
  std::string ToString(std::span<const std::string> names) const override;
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override;
  bool is_immutable() const override;

 private:
  std::vector<std::string> names_;
  bool constructed_;
};

ExprPtr MakeRow(std::vector<ExprPtr> fields, std::vector<std::string> names, ExprPtr present, bool constructed);
/// Null for other expressions.
const Row* RowOf(const Expression& expression);
/// PostgreSQL's text of a row: (1,"a b",).
ExprPtr MakeRowText(const Row& row);

}  // namespace kappa::expr
