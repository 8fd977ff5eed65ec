// The matrix of casts, and the cast node.
#include "expr/cast.h"

#include <fmt/format.h>

#include "data/enum_type.h"
#include "data/record.h"
#include "expr/functions/cast_kernels.h"
#include "expr/node.h"
#include "expr/row.h"

namespace kappa::expr {

using data::Type;
using data::TypeId;

std::optional<CastContext> CastLevel(const Type& from, const Type& to) {
  constexpr auto kImplicit = CastContext::kImplicit;
  constexpr auto kAssignment = CastContext::kAssignment;
  constexpr auto kExplicit = CastContext::kExplicit;
  if (from.Same(to) || from.id == TypeId::kUnknown) return kImplicit;
  if (to.id == TypeId::kText) return kAssignment;
  if (from.id == TypeId::kText)
    return (to.id == TypeId::kRecord && data::FindRecord(to) == nullptr) || to.id == TypeId::kUnknown ? std::nullopt : std::optional(kExplicit);
  if (from.is_array() && to.is_array()) return CastLevel(data::ElementType(from), data::ElementType(to));
  if (from.is_array() || to.is_array()) return std::nullopt;
  auto rank = [](TypeId id) {  // order of the implicit numeric casts
    switch (id) {
      case TypeId::kInt2: return 1;
      case TypeId::kInt4: return 2;
      case TypeId::kInt8: return 3;
      case TypeId::kNumeric: return 4;
      case TypeId::kFloat4: return 5;
      case TypeId::kFloat8: return 6;
      default: return 0;
    }
  };
  if (rank(from.id) > 0 && rank(to.id) > 0) return rank(from.id) < rank(to.id) ? kImplicit : kAssignment;
  switch (from.id) {
    case TypeId::kBool:
      if (to.id == TypeId::kInt4) return kExplicit;
      break;
    case TypeId::kInt2:
    case TypeId::kInt4:
    case TypeId::kInt8:
      if (to.id == TypeId::kOid) return kImplicit;
      if (to.id == TypeId::kBool && from.id == TypeId::kInt4) return kExplicit;
      break;
    case TypeId::kOid:
      if (to.id == TypeId::kInt8 || to.id == TypeId::kInt4) return kAssignment;
      break;
    case TypeId::kDate:
      if (to.id == TypeId::kTimestamp || to.id == TypeId::kTimestamptz) return kImplicit;
      break;
    case TypeId::kTimestamp:
      if (to.id == TypeId::kTimestamptz) return kImplicit;
      if (to.id == TypeId::kDate || to.id == TypeId::kTime) return kAssignment;
      break;
    case TypeId::kTime:
      if (to.id == TypeId::kInterval) return kImplicit;
      break;
    case TypeId::kInterval:
      if (to.id == TypeId::kTime) return kAssignment;
      break;
    case TypeId::kTimestamptz:
      if (to.id == TypeId::kTimestamp || to.id == TypeId::kDate || to.id == TypeId::kTime) return kAssignment;
      break;
    case TypeId::kJsonb:
      if (to.id == TypeId::kBool || IsNumber(to.id)) return kExplicit;
      break;
    default: break;
  }
  return std::nullopt;
}

bool HasCast(const Type& from, const Type& to, CastContext context) {
  const auto level = CastLevel(from, to);
  if (!level) return false;
  switch (context) {
    case CastContext::kExplicit: return true;
    case CastContext::kAssignment: return *level != CastContext::kExplicit;
    case CastContext::kImplicit: return *level == CastContext::kImplicit;
  }
  return false;
}

namespace {

bool NeedsZone(const Type& from, const Type& to) {
  const TypeId source = from.is_array() ? from.element : from.id;
  const TypeId target = to.is_array() ? to.element : to.id;
  return (source == TypeId::kTimestamptz || source == TypeId::kRecord) != (target == TypeId::kTimestamptz || target == TypeId::kRecord);
}

class Cast final : public Node {
 public:
  Cast(ExprPtr argument, Type type, bool is_explicit)
      : Node(Kind::kCall, type, {argument}), kernel_(CastKernel(argument->type(), type, is_explicit)), explicit_(is_explicit) {}

  std::string_view call_name() const override { return "cast"; }
  bool is_immutable() const override { return !IsRegType(children()[0]->type()) && Node::is_immutable(); }
  std::string ToString(std::span<const std::string> names) const override { return "(" + children()[0]->ToString(names) + ")::" + type().ToString(); }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<Cast>(std::move(children[0]), type(), explicit_); }

 protected:
  Result<data::ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(Argument argument, rows.EvaluateArgument(*children()[0], context));
    const bool constant = argument.constant;
    if (constant && argument.column->IsNull(0)) return data::NullColumn(type(), rows.count());
    KernelCall call{{{std::move(argument.column), false}}, constant ? 1 : rows.count(), type(), context};
    KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr column, kernel_(call));
    if (!constant || rows.count() == 1) return column;
    return data::ConstantColumn(data::ValueAt(*column, 0), rows.count());
  }
  bool depends_on_session() const override { return NeedsZone(children()[0]->type(), type()); }

 private:
  Kernel kernel_;
  bool explicit_;
};

/// The literal's value as `type`, or the error at its position.
Result<ExprPtr> CastUnknownLiteral(const ExprPtr& argument, const data::Value& value, Type type, bool is_explicit, int position) {
  if (value.null) return MakeNull(type);
  // varchar(n) truncates only where the cast is written; other modifiers are part of reading.
  const Type read_type = type.id == TypeId::kText ? type.WithoutModifier() : type;
  auto parsed = data::FromText(value.bytes, read_type, {});
  if (!parsed.ok()) {
    Error error = parsed.error();
    error.set_position(position);
    return error;
  }
  const TypeId scalar = type.is_array() ? type.element : type.id;
  if (scalar == TypeId::kTimestamptz || scalar == TypeId::kRecord) {
    // Without a zone of its own the text means the session's: then it is read when the statement runs.
    auto elsewhere = data::FromText(value.bytes, read_type, {.time_zone = "Etc/GMT+11"});
    if (!elsewhere.ok() || !(*elsewhere == *parsed)) {
      return ExprPtr(std::make_shared<Cast>(MakeLiteral(data::Value::Text(value.bytes)), type, is_explicit));
    }
  }
  if (read_type.modifier == type.modifier) {
    data::Value typed = *std::move(parsed);
    typed.type = type;
    return MakeLiteral(std::move(typed));
  }
  EvalContext context;
  ExprPtr cast = std::make_shared<Cast>(MakeLiteral(*std::move(parsed)), type, is_explicit);
  auto folded = EvaluateConstant(*cast, context);
  if (!folded.ok()) {
    Error error = folded.error();
    error.set_position(position);
    return error;
  }
  (void)argument;
  return MakeLiteral(*std::move(folded));
}

}  // namespace

Result<ExprPtr> MakeCast(ExprPtr arg, Type type, CastContext context, int position) {
  const bool is_explicit = context == CastContext::kExplicit;
  if (type.id == TypeId::kUnknown) return arg;
  const Type from = arg->type();
  if (from.id == TypeId::kUnknown) {
    if (const auto* literal = dynamic_cast<const Literal*>(arg.get())) return CastUnknownLiteral(arg, literal->value(), type, is_explicit, position);
    if (const auto* parameter = dynamic_cast<const Parameter*>(arg.get())) {
      ExprPtr typed = std::make_shared<Parameter>(parameter->index(), type.WithoutModifier());
      return type.modifier < 0 ? Result<ExprPtr>(typed) : MakeCast(std::move(typed), type, context, position);
    }
    return ExprPtr(std::make_shared<Cast>(std::move(arg), type, is_explicit));
  }
  if (from.id == TypeId::kRecord && !from.Same(type) && context != CastContext::kImplicit && data::FindRecord(from) != nullptr &&
      data::FindRecord(type) != nullptr)
    return RecordOf(*RowOf(*MakeRowOf(std::move(arg))), type, context, position);
  if (from.Same(type) && (type.modifier == from.modifier || (type.modifier < 0 && !IsRegType(from)))) return arg;
  if (!HasCast(from, type, context)) {
    return Error(is_explicit ? sqlstate::kCannotCoerce : sqlstate::kDatatypeMismatch,
                 fmt::format("cannot cast type {} to {}", from.WithoutModifier().ToString(), type.WithoutModifier().ToString()))
        .At(position);
  }
  ExprPtr cast = std::make_shared<Cast>(std::move(arg), type, is_explicit);
  return cast->children()[0]->kind() == Expression::Kind::kLiteral ? FoldConstants(cast) : cast;
}

}  // namespace kappa::expr
