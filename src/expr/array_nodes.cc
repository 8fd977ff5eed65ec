// ARRAY[..], subscripts, and comparisons with ANY or ALL elements of an array.
#include <fmt/format.h>

#include "data/enum_type.h"
#include "expr/call.h"
#include "expr/cast.h"
#include "expr/functions/arrays.h"
#include "expr/functions/regex.h"
#include "expr/rowwise.h"

namespace kappa::expr {

using data::ArrayView;
using data::ColumnPtr;
using data::Type;
using data::TypeId;

namespace {

std::string Join(std::span<const ExprPtr> expressions, std::span<const std::string> names) {
  std::string text;
  for (size_t i = 0; i < expressions.size(); ++i) text += (i > 0 ? ", " : "") + expressions[i]->ToString(names);
  return text;
}

/// ARRAY[..]; of arrays it makes an array with one dimension more.
class ArrayConstructor final : public Node {
 public:
  ArrayConstructor(Type type, std::vector<ExprPtr> elements) : Node(Kind::kOther, type, std::move(elements)) {}
  std::string ToString(std::span<const std::string> names) const override { return "ARRAY[" + Join(children(), names) + "]"; }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<ArrayConstructor>(type(), std::move(children)); }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KernelCall call{{}, rows.count(), type(), context};
    for (const ExprPtr& child : children()) {
      KAPPA_ASSIGN_OR_RETURN(Argument argument, rows.EvaluateArgument(*child, context));
      call.arguments.push_back(std::move(argument));
    }
    data::ColumnBuilder builder(type(), call.rows);
    const bool nested = children()[0]->type().is_array();
    for (int64_t row = 0; row < call.rows; ++row) {
      Result<std::string> array = nested ? Nested(call, row) : Flat(call, row);
      if (array.ok()) {
        builder.AppendBytes(*array);
      } else {
        if (!call.Tolerate(array.error())) return array.error();
        builder.AppendNull();
      }
    }
    return builder.Finish();
  }

 private:
  Result<std::string> Flat(const KernelCall& call, int64_t row) const {
    data::ArrayBuilder array(type().element);
    for (const Argument& argument : call.arguments) {
      if (argument.IsNull(row)) array.AppendNull();
      else array.Append(PhysicalBytes(argument, row));
    }
    return array.Finish();
  }
  Result<std::string> Nested(const KernelCall& call, int64_t row) const {
    data::ArrayBuilder array(type().element);
    std::vector<int32_t> inner;
    for (size_t i = 0; i < call.arguments.size(); ++i) {
      const ArrayView part(call.arguments[i].IsNull(row) ? std::string_view() : call.arguments[i].bytes(row));
      std::vector<int32_t> lengths = LengthsOf(part);
      if (i == 0) inner = std::move(lengths);
      else if (lengths != inner) return Error("2202E", "multidimensional arrays must have array expressions with matching dimensions");
      AppendElements(part, array);
    }
    if (inner.empty()) return array.Finish();
    inner.insert(inner.begin(), static_cast<int32_t>(call.arguments.size()));
    if (inner.size() > data::kArrayDimensionsMax) {
      return Error(sqlstate::kProgramLimitExceeded, fmt::format("number of array dimensions ({}) exceeds the maximum allowed (6)", inner.size()));
    }
    return array.Finish(std::move(inner));
  }
};

/// array[i][j]..: NULL when a subscript is NULL or out of bounds, or when there are fewer or more than dimensions.
class Subscript final : public Node {
 public:
  explicit Subscript(std::vector<ExprPtr> children) : Node(Kind::kOther, data::ElementType(children[0]->type()), children) {}
  std::string ToString(std::span<const std::string> names) const override {
    std::string text = "(" + children()[0]->ToString(names) + ")";
    for (size_t i = 1; i < children().size(); ++i) text += "[" + children()[i]->ToString(names) + "]";
    return text;
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<Subscript>(std::move(children)); }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    if (const Expression& array = *children()[0]; array.call_name() == "regexp_match" && children().size() == 2)
      return MatchedGroup(array, rows, context);
    KernelCall call{{}, rows.count(), type(), context};
    KAPPA_RETURN_IF_ERROR(AddArguments(children(), rows, context, call));
    data::ColumnBuilder builder(type(), call.rows);
    for (int64_t row = 0; row < call.rows; ++row) {
      const int32_t element = call.AnyNull(row) ? -1 : IndexOf(call, row);
      if (element < 0) {
        builder.AppendNull();
        continue;
      }
      const ArrayView array(call.arguments[0].bytes(row));
      if (array.IsNull(element)) builder.AppendNull();
      else if (type().is_variable()) builder.AppendBytes(array.bytes(element));
      else data::AppendValue(builder, data::ArrayElement(array, element));
    }
    return builder.Finish();
  }

 private:
  static Status AddArguments(const std::vector<ExprPtr>& expressions, const Rows& rows, EvalContext& context, KernelCall& call) {
    for (const ExprPtr& expression : expressions) {
      KAPPA_ASSIGN_OR_RETURN(Argument argument, rows.EvaluateArgument(*expression, context));
      call.arguments.push_back(std::move(argument));
    }
    return {};
  }

  /// (regexp_match(..))[n], which is how one part of a text is asked for: the array is not made.
  Result<ColumnPtr> MatchedGroup(const Expression& match, const Rows& rows, EvalContext& context) const {
    using View = std::string_view;
    KernelCall call{{}, rows.count(), type(), context};
    KAPPA_RETURN_IF_ERROR(AddArguments(match.children(), rows, context, call));
    KAPPA_RETURN_IF_ERROR(AddArguments({children()[1]}, rows, context, call));
    if (call.arguments.size() == 3)
      return Rowwise([](View text, View pattern, int32_t element) { return RegexMatchElement(text, pattern, "", element); })(call);
    return Rowwise([](View text, View pattern, View options, int32_t element) { return RegexMatchElement(text, pattern, options, element); })(call);
  }

  static int32_t IndexOf(const KernelCall& call, int64_t row) {
    const ArrayView array(call.arguments[0].bytes(row));
    if (array.dimensions() != static_cast<int>(call.arguments.size()) - 1) return -1;
    int32_t index = 0;
    for (int i = 0; i < array.dimensions(); ++i) {
      const int32_t subscript = call.arguments[static_cast<size_t>(i) + 1].Get<int32_t>(row);
      if (subscript < 1 || subscript > array.length(i)) return -1;
      index = index * array.length(i) + subscript - 1;
    }
    return index;
  }
};

/// left op ANY|ALL (array): the operator's kernel runs once over all elements of all arrays.
class ArrayComparison final : public Node {
 public:
  ArrayComparison(const Signature* comparison, bool all, ExprPtr left, ExprPtr array)
      : Node(Kind::kOther, TypeId::kBool, {std::move(left), std::move(array)}), comparison_(comparison), all_(all) {}
  std::string ToString(std::span<const std::string> names) const override {
    return fmt::format("({} {} {} ({}))", children()[0]->ToString(names), comparison_->name, all_ ? "ALL" : "ANY", children()[1]->ToString(names));
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override {
    return std::make_shared<ArrayComparison>(comparison_, all_, std::move(children[0]), std::move(children[1]));
  }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr left, rows.Evaluate(*children()[0], context));
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr arrays, rows.Evaluate(*children()[1], context));
    std::vector<int32_t> parents;
    ColumnPtr elements = data::Unnest(*arrays, parents);
    ColumnPtr results = data::NullColumn(TypeId::kBool, 0);
    if (elements->size() > 0) {
      KernelCall call{
          {{data::Gather(*left, parents), false}, {std::move(elements), false}}, static_cast<int64_t>(parents.size()), TypeId::kBool, context};
      KAPPA_ASSIGN_OR_RETURN(results, comparison_->kernel(call));
    }
    auto out = std::make_shared<data::Column>(TypeId::kBool, rows.count());
    uint8_t* values = out->mutable_data<uint8_t>();
    for (int64_t row = 0; row < rows.count(); ++row) values[row] = all_;
    std::vector<uint8_t> unknown(static_cast<size_t>(rows.count()));
    for (size_t i = 0; i < parents.size(); ++i) {
      const auto element = static_cast<int64_t>(i);
      if (results->IsNull(element)) unknown[static_cast<size_t>(parents[i])] = 1;
      else if ((results->data<uint8_t>()[i] != 0) != all_) values[parents[i]] = !all_;  // decided
    }
    for (int64_t row = 0; row < rows.count(); ++row) {
      if (arrays->IsNull(row) || (unknown[static_cast<size_t>(row)] != 0 && (values[row] != 0) == all_)) out->SetNull(row);
    }
    return ColumnPtr(std::move(out));
  }

 private:
  const Signature* comparison_;
  bool all_;
};

}  // namespace

Result<ExprPtr> MakeArrayComparison(std::string_view op, ExprPtr left, ExprPtr array, bool all, int position) {
  if (array->type().id == TypeId::kUnknown) {
    const Type element = left->type().id == TypeId::kUnknown ? TypeId::kText : left->type();
    KAPPA_ASSIGN_OR_RETURN(array, MakeCast(std::move(array), data::ArrayType(element), CastContext::kImplicit, position));
  }
  if (!array->type().is_array()) return Error(sqlstate::kWrongObjectType, "op ANY/ALL (array) requires array on right side").At(position);
  const Type element = data::ElementType(array->type());
  if (element.is_enum()) {
    // Kernels compare enums by their bytes, not as elements of arrays: constants are an IN list, others are told the other way to say it.
    const ExprPtr constant = FoldConstants(array);
    const bool equal = op == "=" && !all, unequal = (op == "<>" || op == "!=") && all;
    const auto* values = dynamic_cast<const Literal*>(constant.get());
    if (values == nullptr || values->value().null || !(equal || unequal) || ArrayView(values->value().bytes).size() == 0)
      return Error(sqlstate::kFeatureNotSupported, "this comparison with the elements of an array of an enum is not supported")
          .Hint("Write array @> ARRAY[value], or IN (..).")
          .At(position);
    const ArrayView view(values->value().bytes);
    std::vector<ExprPtr> list;
    for (int32_t i = 0; i < view.size(); ++i)
      list.push_back(view.IsNull(i) ? MakeNull(element) : MakeLiteral(data::Value::Bytes(element, std::string(view.bytes(i)))));
    return MakeIn(std::move(left), std::move(list), unequal, position);
  }
  KAPPA_ASSIGN_OR_RETURN(ExprPtr resolved, MakeOperator(op, {left, MakeColumn(0, element, "element")}, position));
  if (resolved->type().id != TypeId::kBool)
    return Error(sqlstate::kWrongObjectType, "op ANY/ALL (array) requires operator to yield boolean").At(position);
  const auto* call = dynamic_cast<const Call*>(resolved.get());
  KAPPA_CHECK(call != nullptr);
  left = call->children()[0];
  const Type wanted = call->children()[1]->type();
  if (!wanted.Same(element)) {
    KAPPA_ASSIGN_OR_RETURN(array, MakeCast(std::move(array), Type::ArrayOf(wanted.id), CastContext::kImplicit, position));
  }
  // = ANY and <> ALL of constants are IN lists, which know faster ways. Other arrays stay as they were written: GROUP BY keys are found in them.
  const ExprPtr folded = FoldConstants(array);
  const auto* literal = dynamic_cast<const Literal*>(folded.get());
  const bool in = op == "=" && !all, not_in = (op == "<>" || op == "!=") && all;
  if (literal != nullptr && !literal->value().null && (in || not_in)) {
    const ArrayView view(literal->value().bytes);
    std::vector<ExprPtr> list;
    for (int32_t i = 0; i < view.size(); ++i)
      list.push_back(view.IsNull(i) ? MakeNull(wanted) : MakeLiteral(data::Value::Bytes(wanted, std::string(view.bytes(i)))));
    if (!list.empty()) return MakeIn(std::move(left), std::move(list), not_in, position);
  }
  return ExprPtr(std::make_shared<ArrayComparison>(&call->signature(), all, std::move(left), literal != nullptr ? folded : std::move(array)));
}

Result<ExprPtr> MakeArray(std::vector<ExprPtr> elements, int position) {
  if (elements.empty()) {
    return Error(sqlstate::kIndeterminateDatatype, "cannot determine type of empty array")
        .Hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
        .At(position);
  }
  KAPPA_ASSIGN_OR_RETURN(Type type, CommonType(TypesOf(elements), "ARRAY", position));
  type = type.WithoutModifier();
  for (ExprPtr& element : elements) { KAPPA_ASSIGN_OR_RETURN(element, MakeCast(std::move(element), type, CastContext::kImplicit, position)); }
  return ExprPtr(std::make_shared<ArrayConstructor>(type.is_array() ? type : data::ArrayType(type), std::move(elements)));
}

Result<ExprPtr> MakeSubscript(ExprPtr array, ExprPtr index, int position) {
  if (array->type().id == TypeId::kJsonb) {
    if (!IsInteger(index->type().id)) return MakeOperator("->", {std::move(array), std::move(index)}, position);
    KAPPA_ASSIGN_OR_RETURN(index, MakeCast(std::move(index), TypeId::kInt4, CastContext::kAssignment, position));
    return MakeOperator("->", {std::move(array), std::move(index)}, position);
  }
  std::vector<ExprPtr> children;
  if (const auto* inner = dynamic_cast<const Subscript*>(array.get())) {
    children = inner->children();  // a[i][j] reaches into two dimensions
  } else if (array->type().is_array()) {
    children.push_back(std::move(array));
  } else {
    return Error(sqlstate::kDatatypeMismatch,
                 fmt::format("cannot subscript type {} because it does not support subscripting", array->type().WithoutModifier().ToString()))
        .At(position);
  }
  if (index->type().id != TypeId::kUnknown && !HasCast(index->type(), TypeId::kInt4, CastContext::kAssignment)) {
    return Error(sqlstate::kDatatypeMismatch, "array subscript must have type integer").At(position);
  }
  KAPPA_ASSIGN_OR_RETURN(index, MakeCast(std::move(index), TypeId::kInt4, CastContext::kAssignment, position));
  children.push_back(std::move(index));
  return ExprPtr(std::make_shared<Subscript>(std::move(children)));
}

}  // namespace kappa::expr
