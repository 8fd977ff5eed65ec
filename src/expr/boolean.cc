// AND, OR, NOT with three-valued logic, IS NULL, IS DISTINCT FROM.
#include <fmt/format.h>

#include <algorithm>

#include "expr/call.h"
#include "expr/loops.h"

namespace kappa::expr {

using data::ColumnPtr;
using data::Type;
using data::TypeId;

namespace {

/// AND or OR. A row is decided by its first absorbing argument (FALSE for AND, TRUE for OR); later arguments are not
/// computed for it, unless they cannot fail and computing all rows is cheaper than selecting some.
class Junction final : public Node {
 public:
  Junction(Kind kind, std::vector<ExprPtr> arguments) : Node(kind, TypeId::kBool, std::move(arguments)), absorbing_(kind == Kind::kOr) {
    for (const ExprPtr& child : children()) cheap_.push_back(CannotFail(*child));
  }

  std::string ToString(std::span<const std::string> names) const override {
    std::string text = "(";
    for (size_t i = 0; i < children().size(); ++i) {
      if (i > 0) text += kind() == Kind::kAnd ? " AND " : " OR ";
      text += children()[i]->ToString(names);
    }
    return text + ")";
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<Junction>(kind(), std::move(children)); }

  ExprPtr Simplified() const override {
    std::vector<ExprPtr> kept;
    for (const ExprPtr& child : children()) {
      const auto* literal = dynamic_cast<const Literal*>(child.get());
      if (literal != nullptr && !literal->value().null) {
        const bool value = literal->value().As<uint8_t>() != 0;
        if (value == absorbing_) return child;
        continue;
      }
      kept.push_back(child);
    }
    if (kept.size() == children().size()) return nullptr;
    if (kept.empty()) return MakeLiteral(data::Value::Bool(!absorbing_));
    if (kept.size() == 1) return kept[0];
    return WithChildren(std::move(kept));
  }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    const int64_t count = rows.count();
    auto out = std::make_shared<data::Column>(TypeId::kBool, count, data::Column::Uninitialized{});
    uint8_t* values = out->mutable_data<uint8_t>();
    std::fill_n(values, count, static_cast<uint8_t>(!absorbing_));
    std::vector<uint8_t> unknown;       // 1 where an argument was NULL; empty when none was
    std::vector<int32_t> pending;       // positions that are not decided, valid when `narrowed`
    bool narrowed = false;
    for (size_t k = 0; k < children().size(); ++k) {
      if (k > 0 && !cheap_[k]) {
        pending = Undecided(values, count);
        narrowed = true;
        if (pending.empty()) break;
      }
      if (cheap_[k] || !narrowed || static_cast<int64_t>(pending.size()) == count) {
        KAPPA_ASSIGN_OR_RETURN(Argument argument, rows.EvaluateArgument(*children()[k], context));
        Combine(argument, count, values, unknown);
      } else {
        const std::vector<int32_t> batch_rows = rows.Narrow(pending);
        KAPPA_ASSIGN_OR_RETURN(Argument argument, rows.Subset(batch_rows).EvaluateArgument(*children()[k], context));
        for (size_t i = 0; i < pending.size(); ++i) {
          const auto row = static_cast<int64_t>(i);
          if (argument.IsNull(row)) MarkUnknown(unknown, count, pending[i]);
          else if ((argument.Get<uint8_t>(row) != 0) == absorbing_) values[pending[i]] = absorbing_;
        }
      }
    }
    if (!unknown.empty()) {
      std::vector<uint64_t> words((static_cast<size_t>(count) + 63) / 64, ~uint64_t{0});
      for (int64_t i = 0; i < count; ++i) {
        const bool null = unknown[static_cast<size_t>(i)] != 0 && (values[i] != 0) != absorbing_;
        words[static_cast<size_t>(i) >> 6] &= ~(static_cast<uint64_t>(null) << (i & 63));
      }
      out->SetValidity(std::move(words));
    }
    return ColumnPtr(std::move(out));
  }

 private:
  static void MarkUnknown(std::vector<uint8_t>& unknown, int64_t count, int64_t row) {
    if (unknown.empty()) unknown.resize(static_cast<size_t>(count));
    unknown[static_cast<size_t>(row)] = 1;
  }

  void Combine(const Argument& argument, int64_t count, uint8_t* values, std::vector<uint8_t>& unknown) const {
    if (argument.constant) {
      if (argument.column->IsNull(0)) unknown.assign(static_cast<size_t>(count), 1);
      else if ((argument.Get<uint8_t>(0) != 0) == absorbing_) std::fill_n(values, count, static_cast<uint8_t>(absorbing_));
      return;
    }
    const uint8_t* input = argument.column->data<uint8_t>();
    if (!argument.column->has_nulls()) {
      if (absorbing_) ForEachRow(count, [&](int64_t i) { values[i] |= input[i]; });
      else ForEachRow(count, [&](int64_t i) { values[i] &= input[i]; });
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      if (argument.column->IsNull(i)) MarkUnknown(unknown, count, i);
      else if ((input[i] != 0) == absorbing_) values[i] = absorbing_;
    }
  }

  std::vector<int32_t> Undecided(const uint8_t* values, int64_t count) const {
    std::vector<int32_t> rows(static_cast<size_t>(count));
    size_t size = 0;
    for (int64_t i = 0; i < count; ++i) {
      rows[size] = static_cast<int32_t>(i);
      size += (values[i] != 0) != absorbing_;
    }
    rows.resize(size);
    return rows;
  }

  bool absorbing_;
  std::vector<bool> cheap_;
};

class Not final : public Node {
 public:
  explicit Not(ExprPtr argument) : Node(Kind::kNot, TypeId::kBool, {std::move(argument)}) {}
  std::string ToString(std::span<const std::string> names) const override { return "(NOT " + children()[0]->ToString(names) + ")"; }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<Not>(std::move(children[0])); }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr argument, rows.Evaluate(*children()[0], context));
    KernelCall call{{{std::move(argument), false}}, rows.count(), type(), context};
    return PureUnary<uint8_t, uint8_t>(call, [](uint8_t value) -> uint8_t { return value ^ 1; });
  }
};

class NullTest final : public Node {
 public:
  NullTest(ExprPtr argument, bool negated)
      : Node(negated ? Kind::kIsNotNull : Kind::kIsNull, TypeId::kBool, {std::move(argument)}), negated_(negated) {}
  std::string ToString(std::span<const std::string> names) const override {
    return "(" + children()[0]->ToString(names) + (negated_ ? " IS NOT NULL)" : " IS NULL)");
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<NullTest>(std::move(children[0]), negated_); }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr argument, rows.Evaluate(*children()[0], context));
    auto out = std::make_shared<data::Column>(TypeId::kBool, rows.count());
    uint8_t* values = out->mutable_data<uint8_t>();
    if (!argument->has_nulls()) {
      std::fill_n(values, rows.count(), static_cast<uint8_t>(negated_));
    } else {
      std::span<const uint64_t> validity = argument->validity();
      const uint64_t flip = negated_ ? 0 : 1;
      for (int64_t i = 0; i < rows.count(); ++i) values[i] = static_cast<uint8_t>((validity[static_cast<size_t>(i) >> 6] >> (i & 63) & 1) ^ flip);
    }
    return ColumnPtr(std::move(out));
  }

 private:
  bool negated_;
};

/// IS [NOT] DISTINCT FROM, over the "=" of the arguments' type.
class Distinct final : public Node {
 public:
  Distinct(const Signature* equal, ExprPtr a, ExprPtr b, bool negated)
      : Node(Kind::kOther, TypeId::kBool, {std::move(a), std::move(b)}), equal_(equal), negated_(negated) {}
  std::string ToString(std::span<const std::string> names) const override {
    return "(" + children()[0]->ToString(names) + (negated_ ? " IS NOT DISTINCT FROM " : " IS DISTINCT FROM ") + children()[1]->ToString(names) + ")";
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override {
    return std::make_shared<Distinct>(equal_, std::move(children[0]), std::move(children[1]), negated_);
  }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr a, rows.Evaluate(*children()[0], context));
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr b, rows.Evaluate(*children()[1], context));
    KernelCall call{{{a, false}, {b, false}}, rows.count(), TypeId::kBool, context};
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr equal, equal_->kernel(call));
    auto out = std::make_shared<data::Column>(TypeId::kBool, rows.count());
    uint8_t* values = out->mutable_data<uint8_t>();
    for (int64_t i = 0; i < rows.count(); ++i) {
      const bool a_null = a->IsNull(i), b_null = b->IsNull(i);
      const bool distinct = a_null || b_null ? a_null != b_null : equal->data<uint8_t>()[i] == 0;
      values[i] = distinct != negated_;
    }
    return ColumnPtr(std::move(out));
  }

 private:
  const Signature* equal_;
  bool negated_;
};

Result<ExprPtr> ToBoolean(ExprPtr argument, std::string_view what, int position) {
  if (argument->type().id == TypeId::kUnknown) return MakeCast(std::move(argument), TypeId::kBool, CastContext::kImplicit, position);
  if (argument->type().id == TypeId::kBool) return argument;
  return Error(sqlstate::kDatatypeMismatch,
               fmt::format("argument of {} must be type boolean, not type {}", what, argument->type().WithoutModifier().ToString()))
      .At(position);
}

Result<ExprPtr> MakeJunction(Expression::Kind kind, std::vector<ExprPtr> args, int position) {
  KAPPA_CHECK(!args.empty());
  std::vector<ExprPtr> flat;
  for (ExprPtr& arg : args) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr boolean, ToBoolean(std::move(arg), kind == Expression::Kind::kAnd ? "AND" : "OR", position));
    if (boolean->kind() == kind) flat.insert(flat.end(), boolean->children().begin(), boolean->children().end());
    else flat.push_back(std::move(boolean));
  }
  if (flat.size() == 1) return flat[0];
  return ExprPtr(std::make_shared<Junction>(kind, std::move(flat)));
}

}  // namespace

Result<ExprPtr> MakeAnd(std::vector<ExprPtr> args, int position) { return MakeJunction(Expression::Kind::kAnd, std::move(args), position); }
Result<ExprPtr> MakeOr(std::vector<ExprPtr> args, int position) { return MakeJunction(Expression::Kind::kOr, std::move(args), position); }

Result<ExprPtr> MakeNot(ExprPtr arg, int position) {
  KAPPA_ASSIGN_OR_RETURN(ExprPtr boolean, ToBoolean(std::move(arg), "NOT", position));
  return ExprPtr(std::make_shared<Not>(std::move(boolean)));
}

ExprPtr MakeIsNull(ExprPtr arg, bool negated) { return std::make_shared<NullTest>(std::move(arg), negated); }

Result<ExprPtr> MakeDistinct(ExprPtr a, ExprPtr b, bool negated, int position) {
  KAPPA_ASSIGN_OR_RETURN(ExprPtr equal, MakeOperator("=", {std::move(a), std::move(b)}, position));
  const auto* call = dynamic_cast<const Call*>(equal.get());
  KAPPA_CHECK(call != nullptr);
  return ExprPtr(std::make_shared<Distinct>(&call->signature(), call->children()[0], call->children()[1], negated));
}

}  // namespace kappa::expr
