// The leaves of expressions and what all nodes share.
#include "expr/expression.h"

#include <fmt/format.h>

#include "expr/cast.h"
#include "expr/literal_text.h"
#include "expr/node.h"

namespace kappa::expr {

using data::Batch;
using data::ColumnPtr;

Result<Argument> Rows::EvaluateArgument(const Expression& expression, EvalContext& context) const {
  if (!expression.is_row_constant()) {
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr column, Evaluate(expression, context));
    return Argument{std::move(column), false};
  }
  const int64_t errors_before = context.errors;
  Batch one;
  one.rows = 1;
  KAPPA_ASSIGN_OR_RETURN(ColumnPtr column, expression.Evaluate(one, context));
  context.errors += (context.errors - errors_before) * (count() - 1);  // every row failed
  return Argument{std::move(column), true};
}

Result<ColumnPtr> Node::EvaluateNonEmpty(const Rows& rows, EvalContext& context) const {
  if (rows.count() == 0) return data::NullColumn(type(), 0);
  return Run(rows, context);
}

bool DependsOnSession(const Expression& expression) {
  if (const auto* node = dynamic_cast<const Node*>(&expression); node != nullptr && node->depends_on_session()) return true;
  for (const ExprPtr& child : expression.children()) {
    if (DependsOnSession(*child)) return true;
  }
  return false;
}

// ---- ColumnRef

Result<ColumnPtr> ColumnRef::Evaluate(const Batch& batch, std::span<const int32_t> rows, EvalContext&) const {
  KAPPA_CHECK(index_ >= 0 && static_cast<size_t>(index_) < batch.columns.size());
  return data::Gather(*batch.columns[static_cast<size_t>(index_)], rows);
}

Result<ColumnPtr> ColumnRef::Evaluate(const Batch& batch, EvalContext&) const {
  KAPPA_CHECK(index_ >= 0 && static_cast<size_t>(index_) < batch.columns.size());
  return batch.columns[static_cast<size_t>(index_)];
}

std::string ColumnRef::ToString(std::span<const std::string> names) const {
  if (static_cast<size_t>(index_) < names.size() && !names[static_cast<size_t>(index_)].empty()) return names[static_cast<size_t>(index_)];
  return fmt::format("${}", index_);
}

ExprPtr ColumnRef::WithChildren(std::vector<ExprPtr>) const { return std::make_shared<ColumnRef>(*this); }

// ---- Literal

Result<ColumnPtr> Literal::Evaluate(const Batch&, std::span<const int32_t> rows, EvalContext&) const {
  if (rows.size() == 1) return column_;
  return data::ConstantColumn(value_, static_cast<int64_t>(rows.size()));
}

Result<ColumnPtr> Literal::Evaluate(const Batch& batch, EvalContext&) const {
  if (batch.rows == 1) return column_;
  return data::ConstantColumn(value_, batch.rows);
}

std::string Literal::ToString(std::span<const std::string>) const { return LiteralText(value_); }

ExprPtr Literal::WithChildren(std::vector<ExprPtr>) const { return std::make_shared<Literal>(*this); }

// ---- Parameter

namespace {
Result<data::Value> ParameterValue(const Parameter& parameter, EvalContext& context) {
  const auto index = static_cast<size_t>(parameter.index());
  if (index >= context.parameters.size()) return Error(sqlstate::kUndefinedParameter, fmt::format("there is no parameter ${}", index + 1));
  const data::Value& value = context.parameters[index];
  if (value.type.Same(parameter.type())) return value;
  if (value.null) return data::Value::Null(parameter.type());
  if (value.type.id == data::TypeId::kUnknown) return data::FromText(value.bytes, parameter.type(), context.text);
  if (HasCast(value.type, parameter.type(), CastContext::kAssignment)) {  // a driver sent a narrower number, for example
    KernelCall call{{{data::ConstantColumn(value, 1), false}}, 1, parameter.type(), context};
    KAPPA_ASSIGN_OR_RETURN(const ColumnPtr column, CastKernel(value.type, parameter.type(), false)(call));
    return data::ValueAt(*column, 0);
  }
  return Error(sqlstate::kDatatypeMismatch, fmt::format("type of parameter ${} ({}) does not match that when preparing the plan ({})", index + 1,
                                                        value.type.ToString(), parameter.type().ToString()));
}
}  // namespace

Result<ColumnPtr> Parameter::Evaluate(const Batch&, std::span<const int32_t> rows, EvalContext& context) const {
  KAPPA_ASSIGN_OR_RETURN(data::Value value, ParameterValue(*this, context));
  return data::ConstantColumn(value, static_cast<int64_t>(rows.size()));
}

Result<ColumnPtr> Parameter::Evaluate(const Batch& batch, EvalContext& context) const {
  KAPPA_ASSIGN_OR_RETURN(data::Value value, ParameterValue(*this, context));
  return data::ConstantColumn(value, batch.rows);
}

std::string Parameter::ToString(std::span<const std::string>) const { return fmt::format("${}", index_ + 1); }

ExprPtr Parameter::WithChildren(std::vector<ExprPtr>) const { return std::make_shared<Parameter>(*this); }

// ---- Construction of leaves

ExprPtr MakeColumn(int index, data::Type type, std::string name) { return std::make_shared<ColumnRef>(index, type, std::move(name)); }
ExprPtr MakeLiteral(data::Value value) { return std::make_shared<Literal>(std::move(value)); }
ExprPtr MakeNull(data::Type type) { return MakeLiteral(data::Value::Null(type)); }

Result<std::vector<data::ColumnPtr>> EvaluateAll(std::span<const ExprPtr> expressions, const data::Batch& batch, EvalContext& context) {
  std::vector<data::ColumnPtr> columns;
  columns.reserve(expressions.size());
  for (const ExprPtr& expression : expressions) {
    KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr column, expression->Evaluate(batch, context));
    columns.push_back(std::move(column));
  }
  return columns;
}

Result<data::Value> EvaluateConstant(const Expression& expression, EvalContext& context) {
  Batch one;
  one.rows = 1;
  KAPPA_ASSIGN_OR_RETURN(ColumnPtr column, expression.Evaluate(one, context));
  data::Value value = data::ValueAt(*column, 0);
  value.type = expression.type();
  return value;
}

}  // namespace kappa::expr
