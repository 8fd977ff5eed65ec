// Calls of operators and functions: resolution with PostgreSQL's errors, and evaluation.
#include "expr/call.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "expr/cast.h"
#include "expr/node.h"

namespace kappa::expr {

using data::Type;
using data::TypeId;

Call::Call(const Signature* signature, Type type, std::vector<ExprPtr> arguments)
    : Node(Kind::kCall, type, std::move(arguments)), signature_(signature) {
  if (signature->volatility == Volatility::kVolatile) set_row_varying();
}

bool Call::is_immutable() const {
  if (signature_->volatility == Volatility::kStable || signature_->volatility == Volatility::kVolatile) return false;
  return Node::is_immutable();
}

ExprPtr Call::WithChildren(std::vector<ExprPtr> children) const { return std::make_shared<Call>(signature_, type(), std::move(children)); }

std::string Call::ToString(std::span<const std::string> names) const {
  if (signature_->kind == FunctionInfo::Kind::kOperator) {
    if (children().size() == 1) return "(" + signature_->name + " " + children()[0]->ToString(names) + ")";
    return "(" + children()[0]->ToString(names) + " " + signature_->name + " " + children()[1]->ToString(names) + ")";
  }
  std::string text = signature_->name + "(";
  for (size_t i = 0; i < children().size(); ++i) text += (i > 0 ? ", " : "") + children()[i]->ToString(names);
  return text + ")";
}

Result<data::ColumnPtr> Call::Run(const Rows& rows, EvalContext& context) const {
  KernelCall call{{}, rows.count(), type(), context};
  call.arguments.reserve(children().size());
  bool all_constant = signature_->volatility != Volatility::kVolatile;
  bool null_constant = false;
  for (const ExprPtr& child : children()) {
    KAPPA_ASSIGN_OR_RETURN(Argument argument, rows.EvaluateArgument(*child, context));
    all_constant = all_constant && argument.constant;
    null_constant = null_constant || (argument.constant && argument.column->IsNull(0));
    call.arguments.push_back(std::move(argument));
  }
  if (signature_->strict && null_constant) return data::NullColumn(type(), rows.count());
  if (!all_constant || rows.count() == 1) {
    if (rows.count() == 1) {
      for (Argument& argument : call.arguments) argument.constant = false;
    }
    return signature_->kernel(call);
  }
  call.rows = 1;
  for (Argument& argument : call.arguments) argument.constant = false;
  const int64_t errors_before = context.errors;
  KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr one, signature_->kernel(call));
  context.errors += (context.errors - errors_before) * (rows.count() - 1);
  return data::ConstantColumn(data::ValueAt(*one, 0), rows.count());
}

bool CannotFail(const Expression& expression) {
  switch (expression.kind()) {
    case Expression::Kind::kColumn:
    case Expression::Kind::kLiteral: return true;
    case Expression::Kind::kCall: {
      const auto* call = dynamic_cast<const Call*>(&expression);
      if (call == nullptr || !call->signature().infallible) return false;
      break;
    }
    case Expression::Kind::kAnd:
    case Expression::Kind::kOr:
    case Expression::Kind::kNot:
    case Expression::Kind::kIsNull:
    case Expression::Kind::kIsNotNull: break;
    default: return false;
  }
  return std::all_of(expression.children().begin(), expression.children().end(), [](const ExprPtr& child) { return CannotFail(*child); });
}

std::vector<Type> TypesOf(std::span<const ExprPtr> expressions) {
  std::vector<Type> types;
  for (const ExprPtr& expression : expressions) types.push_back(expression->type());
  return types;
}

Result<ExprPtr> MakeCall(const Resolution& resolution, std::vector<ExprPtr> arguments, int position) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    KAPPA_ASSIGN_OR_RETURN(arguments[i], MakeCast(std::move(arguments[i]), resolution.arguments[i], CastContext::kImplicit, position));
  }
  return ExprPtr(std::make_shared<Call>(resolution.signature, resolution.result, std::move(arguments)));
}

namespace {

bool IsComparison(std::string_view name) { return name == "=" || name == "<>" || name == "<" || name == "<=" || name == ">" || name == ">="; }

/// The bytes of an enum's values, which are ordered as its labels are.
class EnumOrder final : public Node {
 public:
  explicit EnumOrder(ExprPtr value) : Node(Kind::kOther, TypeId::kBytea, {std::move(value)}) {}
  std::string ToString(std::span<const std::string> names) const override { return children()[0]->ToString(names); }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<EnumOrder>(std::move(children[0])); }

 protected:
  Result<data::ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(const data::ColumnPtr column, rows.Evaluate(*children()[0], context));
    auto bytes = std::make_shared<data::Column>(TypeId::kBytea, column->size());
    std::memcpy(bytes->mutable_data<data::StringView>(), column->data<data::StringView>(),
                static_cast<size_t>(column->size()) * sizeof(data::StringView));
    bytes->MergeNulls(*column);
    bytes->ShareKeepalives(*column);
    return data::ColumnPtr(std::move(bytes));
  }
};

}  // namespace

Result<ExprPtr> MakeOperator(std::string_view name, std::vector<ExprPtr> args, int position) {
  if (name == "!=") name = "<>";
  KAPPA_CHECK(args.size() == 1 || args.size() == 2);
  if (args.size() == 2 && (args[0]->type().id == TypeId::kEnum || args[1]->type().id == TypeId::kEnum) && IsComparison(name)) {
    // The literal takes the other side's type; values of one type are compared by their bytes.
    const Type type = args[0]->type().id == TypeId::kEnum ? args[0]->type() : args[1]->type();
    for (ExprPtr& arg : args)
      if (arg->type().id == TypeId::kUnknown) { KAPPA_ASSIGN_OR_RETURN(arg, MakeCast(std::move(arg), type, CastContext::kImplicit, position)); }
    if (args[0]->type().Same(args[1]->type())) {
      for (ExprPtr& arg : args) arg = std::make_shared<EnumOrder>(std::move(arg));
      return MakeOperator(name, std::move(args), position);
    }
  }
  if (args.size() == 2 && args[0]->type().id == TypeId::kRecord && args[0]->type().Same(args[1]->type())) {
    for (const Signature* signature : Functions().FindOperators(name))  // of the pseudo-type, which rows of any one type are
      if (signature->parameters[0].type.id == TypeId::kRecord)
        return ExprPtr(std::make_shared<Call>(signature, signature->result.type, std::move(args)));
  }
  const std::vector<Type> types = TypesOf(args);
  Resolution resolution;
  const ResolveFailure failure = Resolve(Functions().FindOperators(name), types, true, false, resolution);
  if (failure == ResolveFailure::kNone) return MakeCall(resolution, std::move(args), position);
  std::string shape = types.size() == 1 ? fmt::format("{} {}", name, types[0].WithoutModifier().ToString())
                                        : fmt::format("{} {} {}", types[0].WithoutModifier().ToString(), name, types[1].WithoutModifier().ToString());
  if (failure == ResolveFailure::kAmbiguous) {
    return Error(sqlstate::kAmbiguousFunction, "operator is not unique: " + shape)
        .Hint("Could not choose a best candidate operator. You might need to add explicit type casts.")
        .At(position);
  }
  return Error(sqlstate::kUndefinedFunction, "operator does not exist: " + shape)
      .Hint(types.size() == 1 ? "No operator matches the given name and argument type. You might need to add an explicit type cast."
                              : "No operator matches the given name and argument types. You might need to add explicit type casts.")
      .At(position);
}

namespace {

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

Error UnknownFunction(std::string_view name, const std::string& shape, int position) {
  std::string hint = "No function matches the given name and argument types. You might need to add explicit type casts.";
  if (Functions().FindFunctions(name).empty()) {
    size_t best = name.size() / 3 + 1;  // more edits than a third of the name would be guessing
    std::string nearest;
    for (const std::string& known : FunctionNames()) {
      if (known.size() > name.size() + best || name.size() > known.size() + best) continue;
      if (const size_t distance = EditDistance(name, known); distance < best) {
        best = distance;
        nearest = known;
      }
    }
    if (!nearest.empty()) hint = fmt::format("Perhaps you meant the function \"{}\".", nearest);
  }
  return Error(sqlstate::kUndefinedFunction, fmt::format("function {} does not exist", shape)).Hint(std::move(hint)).At(position);
}

}  // namespace

Result<ExprPtr> MakeFunction(std::string_view name, std::vector<ExprPtr> args, int position) {
  const std::vector<Type> types = TypesOf(args);
  const auto& candidates = Functions().FindFunctions(name);
  Resolution resolution;
  ResolveFailure failure = Resolve(candidates, types, false, true, resolution);
  if (failure == ResolveFailure::kNone) return MakeCall(resolution, std::move(args), position);
  if (args.size() == 1) {  // float8(x), date(x): a type's name used as a function is a cast
    const auto target = data::TypeFromName(name);
    const bool castable = target.ok() && target->id != TypeId::kUnknown && target->id != TypeId::kRecord;
    if (castable && HasCast(types[0], *target, CastContext::kExplicit))
      return MakeCast(std::move(args[0]), *target, CastContext::kExplicit, position);
  }
  failure = Resolve(candidates, types, false, false, resolution);
  if (failure == ResolveFailure::kNone) return MakeCall(resolution, std::move(args), position);
  std::string shape = std::string(name) + "(";
  for (size_t i = 0; i < types.size(); ++i) shape += (i > 0 ? ", " : "") + types[i].WithoutModifier().ToString();
  shape += ")";
  if (failure == ResolveFailure::kAmbiguous) {
    return Error(sqlstate::kAmbiguousFunction, fmt::format("function {} is not unique", shape))
        .Hint("Could not choose a best candidate function. You might need to add explicit type casts.")
        .At(position);
  }
  return UnknownFunction(name, shape, position);
}

}  // namespace kappa::expr
