// Rows of values, as ROW(a, b) and the name of a table make them. In expressions the binder makes comparisons, tests and fields of a row's
// fields; where it is a value by itself (a column, an argument, a group's key) it is packed: data/record.h.
#pragma once

#include "expr/expression.h"

namespace kappa::expr {

/// Of type record; never evaluated: RecordOf gives what is.
class Row final : public Expression {
 public:
  enum class Origin : uint8_t {
    kConstructed,  // ROW(..): its comparisons know NULL; in those of the others NULL equals NULL
    kTable,        // all columns of a table
    kRecord,       // the fields of a packed record, which is `present`
  };
  /// `present` may be null: a column that is NULL where the row is not there at all (a table that an outer join left out).
  Row(std::vector<ExprPtr> fields, std::vector<std::string> names, ExprPtr present, Origin origin);

  size_t size() const { return names_.size(); }
  const ExprPtr& field(size_t i) const { return children()[i]; }
  const std::vector<std::string>& names() const { return names_; }
  ExprPtr present() const { return children().size() > names_.size() ? children().back() : nullptr; }
  bool constructed() const { return origin_ == Origin::kConstructed; }
  /// The packed record that the fields are of; else null.
  ExprPtr record() const { return origin_ == Origin::kRecord ? present() : nullptr; }

  Result<data::ColumnPtr> Evaluate(const data::Batch& batch, std::span<const int32_t> rows, EvalContext& context) const override;
  Result<data::ColumnPtr> Evaluate(const data::Batch& batch, EvalContext& context) const override;
  std::string ToString(std::span<const std::string> names) const override;
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override;
  bool is_immutable() const override;

 private:
  std::vector<std::string> names_;
  Origin origin_;
};

ExprPtr MakeRow(std::vector<ExprPtr> fields, std::vector<std::string> names, ExprPtr present, Row::Origin origin);
/// The row that a packed record is.
ExprPtr MakeRowOf(ExprPtr record);
/// Null for other expressions.
const Row* RowOf(const Expression& expression);
/// Arrays side by side as an array of records, as long as the first.
ExprPtr MakeRecords(std::vector<std::string> names, std::vector<ExprPtr> arrays);
/// The rows of a two-dimensional array as an array of records of one field, which is the row.
ExprPtr MakeArrayRows(ExprPtr array);
/// The row as one packed value.
Result<ExprPtr> RecordOf(const Row& row);
/// The row as a value of a record type whose fields are known, each cast to its type. Fails with cannot_coerce.
Result<ExprPtr> RecordOf(const Row& row, const data::Type& type, CastContext context, int position);

}  // namespace kappa::expr
