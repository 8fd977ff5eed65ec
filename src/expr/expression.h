// Expressions: immutable, typed trees that are evaluated a batch at a time.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/text.h"
#include "data/value.h"

namespace kappa::expr {

class Expression;
using ExprPtr = std::shared_ptr<const Expression>;

/// What evaluation may depend on besides the rows.
struct EvalContext {
  data::TextOptions text;
  int64_t now_us = 0;  // now(): the epoch's wall time in a view, the statement's start in a query
  /// true: the first failing row fails the evaluation (queries). false: a failing row gives NULL and is counted (views:
  /// one bad row must not stop a stream, and the same row always gives the same NULL).
  bool fail_on_error = true;
  int64_t errors = 0;           // rows that failed, when fail_on_error is false
  std::string first_error;      // the message of one of them
  std::vector<data::Value> parameters;   // $1.. at index 0..; also the outer row's values of a correlated sub-query
  /// Answers the functions that only the engine can: pg_get_viewdef(oid), current_setting(text), to_regclass(text) ...
  std::function<Result<data::Value>(std::string_view name, const std::vector<data::Value>& arguments)> engine_function;
};

/// One node. Every node has a type; evaluation gives a column of that type.
class Expression {
 public:
  enum class Kind : uint8_t { kColumn, kLiteral, kParameter, kCall, kAnd, kOr, kNot, kIsNull, kIsNotNull, kCase, kCoalesce, kIn, kSubquery, kOther };

  virtual ~Expression() = default;
  Kind kind() const { return kind_; }
  const data::Type& type() const { return type_; }
  const std::vector<ExprPtr>& children() const { return children_; }

  /// Values for `rows` of the batch: result row i belongs to batch row rows[i]. Only those rows are computed, so that an
  /// error in a branch of CASE that is not taken does not surface. Thread-safe.
  virtual Result<data::ColumnPtr> Evaluate(const data::Batch& batch, std::span<const int32_t> rows, EvalContext& context) const = 0;
  /// Values for all rows of the batch.
  virtual Result<data::ColumnPtr> Evaluate(const data::Batch& batch, EvalContext& context) const = 0;
  /// SQL-like text for EXPLAIN, column references by `names` where given ("$3" style otherwise).
  virtual std::string ToString(std::span<const std::string> names) const = 0;
  /// The same node over other children (same types). Used by rewrites.
  virtual ExprPtr WithChildren(std::vector<ExprPtr> children) const = 0;
  /// False for now(), random() and sub-queries: such nodes are not folded and views refuse them.
  virtual bool is_immutable() const { return true; }
  /// The operator, function ("cast" for casts) that a kCall applies: "=", "lower". Empty for other kinds.
  virtual std::string_view call_name() const { return {}; }
  /// True when all rows of one evaluation get the same value: no columns, sub-queries or volatile functions below.
  bool is_row_constant() const { return row_constant_; }

 protected:
  Expression(Kind kind, data::Type type, std::vector<ExprPtr> children = {}) : kind_(kind), type_(type), children_(std::move(children)) {
    row_constant_ = kind != Kind::kColumn && kind != Kind::kSubquery;
    for (const ExprPtr& child : children_) row_constant_ = row_constant_ && child->row_constant_;
  }
  void set_row_varying() { row_constant_ = false; }

 private:
  Kind kind_;
  bool row_constant_;
  data::Type type_;
  std::vector<ExprPtr> children_;
};

/// Reference to an input column by index.
class ColumnRef final : public Expression {
 public:
  ColumnRef(int index, data::Type type, std::string name) : Expression(Kind::kColumn, type), index_(index), name_(std::move(name)) {}
  int index() const { return index_; }
  const std::string& name() const { return name_; }
  Result<data::ColumnPtr> Evaluate(const data::Batch& batch, std::span<const int32_t> rows, EvalContext& context) const override;
  Result<data::ColumnPtr> Evaluate(const data::Batch& batch, EvalContext& context) const override;
  std::string ToString(std::span<const std::string> names) const override;
  ExprPtr WithChildren(std::vector<ExprPtr>) const override;

 private:
  int index_;
  std::string name_;
};

class Literal final : public Expression {
 public:
  explicit Literal(data::Value value) : Expression(Kind::kLiteral, value.type), value_(std::move(value)), column_(data::ConstantColumn(value_, 1)) {}
  const data::Value& value() const { return value_; }
  Result<data::ColumnPtr> Evaluate(const data::Batch& batch, std::span<const int32_t> rows, EvalContext& context) const override;
  Result<data::ColumnPtr> Evaluate(const data::Batch& batch, EvalContext& context) const override;
  std::string ToString(std::span<const std::string> names) const override;
  ExprPtr WithChildren(std::vector<ExprPtr>) const override;

 private:
  data::Value value_;
  data::ColumnPtr column_;  // the value as one row
};

/// $n of a prepared statement (index from 0), or a column of the outer row inside a correlated sub-query.
class Parameter final : public Expression {
 public:
  Parameter(int index, data::Type type) : Expression(Kind::kParameter, type), index_(index) {}
  int index() const { return index_; }
  Result<data::ColumnPtr> Evaluate(const data::Batch& batch, std::span<const int32_t> rows, EvalContext& context) const override;
  Result<data::ColumnPtr> Evaluate(const data::Batch& batch, EvalContext& context) const override;
  std::string ToString(std::span<const std::string> names) const override;
  ExprPtr WithChildren(std::vector<ExprPtr>) const override;
  bool is_immutable() const override { return false; }

 private:
  int index_;
};

// ---- Construction. All functions resolve overloads as PostgreSQL does (exact match, then implicit casts, unknown
// literals take the type of the other side) and insert casts. `position` is the 1-based character position for errors.

ExprPtr MakeColumn(int index, data::Type type, std::string name);
ExprPtr MakeLiteral(data::Value value);
ExprPtr MakeNull(data::Type type);
/// AND, OR with SQL's three-valued logic; arguments are cast from unknown, else must be boolean (42804).
Result<ExprPtr> MakeAnd(std::vector<ExprPtr> args, int position);
Result<ExprPtr> MakeOr(std::vector<ExprPtr> args, int position);
Result<ExprPtr> MakeNot(ExprPtr arg, int position);
ExprPtr MakeIsNull(ExprPtr arg, bool negated);
/// name: "+", "||", "->>", "~", "LIKE" is "~~", ILIKE "~~*", "NOT LIKE" "!~~" ... ; one argument for prefix operators.
Result<ExprPtr> MakeOperator(std::string_view name, std::vector<ExprPtr> args, int position);
/// A scalar function; 42883 with a hint of the nearest name or of the types that exist.
Result<ExprPtr> MakeFunction(std::string_view name, std::vector<ExprPtr> args, int position);
/// CASE: `operand` may be null; `otherwise` null means NULL.
Result<ExprPtr> MakeCase(ExprPtr operand, std::vector<std::pair<ExprPtr, ExprPtr>> branches, ExprPtr otherwise, int position);
Result<ExprPtr> MakeCoalesce(std::vector<ExprPtr> args, int position);
Result<ExprPtr> MakeNullIf(ExprPtr a, ExprPtr b, int position);
/// GREATEST and LEAST.
Result<ExprPtr> MakeGreatest(std::vector<ExprPtr> args, bool least, int position);
/// needle [NOT] IN (list).
Result<ExprPtr> MakeIn(ExprPtr needle, std::vector<ExprPtr> list, bool negated, int position);
/// left operator ANY|ALL (array).
Result<ExprPtr> MakeArrayComparison(std::string_view op, ExprPtr left, ExprPtr array, bool all, int position);
/// IS [NOT] DISTINCT FROM.
Result<ExprPtr> MakeDistinct(ExprPtr a, ExprPtr b, bool negated, int position);
/// ARRAY[...] and subscripts a[i] (1-based).
Result<ExprPtr> MakeArray(std::vector<ExprPtr> elements, int position);
Result<ExprPtr> MakeSubscript(ExprPtr array, ExprPtr index, int position);

enum class CastContext : uint8_t { kExplicit, kAssignment, kImplicit };
/// Fails with cannot_coerce (explicit) or datatype_mismatch when there is no such cast in this context. Casts of literals
/// are folded, so a malformed literal fails here, at its position.
Result<ExprPtr> MakeCast(ExprPtr arg, data::Type type, CastContext context, int position);
/// arg::regclass and its kin; `name` is "regclass", "regtype", "regproc", "regnamespace", "regrole". Text becomes the object's
/// oid when the statement runs (undefined_table ..), numbers are oids already. The result is an oid that carries the reg type as
/// its modifier: a cast of it to text gives the object's name, and so should a select list, see IsRegType.
Result<ExprPtr> MakeRegCast(ExprPtr arg, std::string_view name, int position);
/// True for the type of a MakeRegCast: cast it to text before it is shown.
bool IsRegType(const data::Type& type);
/// The type of UNION, CASE, VALUES columns and IN lists (PostgreSQL's rules); `what` names the construct in the error.
Result<data::Type> CommonType(std::span<const data::Type> types, std::string_view what, int position);

/// True when the name is a scalar function (not: an aggregate, a set-returning function).
bool IsScalarFunction(std::string_view name);
std::vector<std::string> FunctionNames();

/// One row of the reference of operators and functions.
struct FunctionInfo {
  enum class Kind : uint8_t { kOperator, kFunction, kSystem /* psql and drivers need it */, kAggregate };
  std::string name;                    // "+", "lower"
  std::vector<std::string> arguments;  // types; "anyelement" and so on; the last one starts with "variadic " when it repeats
  std::string result;
  std::string description;             // one line
  Kind kind = Kind::kFunction;
};
/// All operators, scalar functions and aggregates, by kind and name.
std::vector<FunctionInfo> ListFunctions();

/// Evaluates an expression without column references.
Result<data::Value> EvaluateConstant(const Expression& expression, EvalContext& context);
/// Replaces immutable sub-trees without columns and parameters by literals; AND/OR simplified. Errors stay for run time.
ExprPtr FoldConstants(const ExprPtr& expression);
/// Rewrites column references: index i becomes mapping[i].
ExprPtr RemapColumns(const ExprPtr& expression, std::span<const int> mapping);
/// Replaces column i by replacements[i].
ExprPtr SubstituteColumns(const ExprPtr& expression, std::span<const ExprPtr> replacements);
/// Adds the indexes of referenced columns to `used`.
void CollectColumns(const Expression& expression, std::vector<bool>& used);
/// The values of each expression for all rows of the batch.
Result<std::vector<data::ColumnPtr>> EvaluateAll(std::span<const ExprPtr> expressions, const data::Batch& batch, EvalContext& context);
/// Rows where the boolean expression is TRUE.
Result<std::vector<int32_t>> SelectTrue(const Expression& predicate, const data::Batch& batch, EvalContext& context);

}  // namespace kappa::expr
