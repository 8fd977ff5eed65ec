// CASE, COALESCE, NULLIF, GREATEST and LEAST: branches are computed only for the rows that take them.
#include <numeric>

#include "expr/call.h"
#include "expr/loops.h"

namespace kappa::expr {

using data::ColumnPtr;
using data::Type;
using data::TypeId;

namespace {

/// Puts a result together from columns that each belong to some of its rows.
class Merger {
 public:
  Merger(Type type, int64_t rows) : type_(type), source_(static_cast<size_t>(rows), -1) {}
  /// Row positions[i] of the result is row i of `part`.
  void Add(std::span<const int32_t> positions, ColumnPtr part) {
    for (size_t i = 0; i < positions.size(); ++i) source_[static_cast<size_t>(positions[i])] = static_cast<int32_t>(rows_ + static_cast<int64_t>(i));
    rows_ += part->size();
    parts_.push_back(std::move(part));
  }
  ColumnPtr Finish() {
    if (parts_.empty()) return data::NullColumn(type_, static_cast<int64_t>(source_.size()));
    return data::Gather(*data::Concatenate(parts_), source_);
  }

 private:
  Type type_;
  int64_t rows_ = 0;
  std::vector<ColumnPtr> parts_;
  std::vector<int32_t> source_;
};

std::vector<int32_t> AllPositions(int64_t count) {
  std::vector<int32_t> positions(static_cast<size_t>(count));
  std::iota(positions.begin(), positions.end(), 0);
  return positions;
}

/// Children: condition, result, condition, result, .., otherwise.
class Case final : public Node {
 public:
  Case(Type type, std::vector<ExprPtr> list) : Node(Kind::kCase, type, std::move(list)) {
    eager_ = true;
    for (const ExprPtr& child : children()) eager_ = eager_ && CannotFail(*child);
  }

  std::string ToString(std::span<const std::string> names) const override {
    std::string text = "CASE";
    for (size_t i = 0; i + 1 < children().size(); i += 2)
      text += " WHEN " + children()[i]->ToString(names) + " THEN " + children()[i + 1]->ToString(names);
    return text + " ELSE " + children().back()->ToString(names) + " END";
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<Case>(type(), std::move(children)); }

  ExprPtr Simplified() const override {
    std::vector<ExprPtr> kept;
    for (size_t i = 0; i + 1 < children().size(); i += 2) {
      const auto* literal = dynamic_cast<const Literal*>(children()[i].get());
      if (literal == nullptr) {
        kept.push_back(children()[i]);
        kept.push_back(children()[i + 1]);
      } else if (!literal->value().null && literal->value().As<uint8_t>() != 0) {
        kept.push_back(children()[i + 1]);
        break;
      }
    }
    if (kept.size() % 2 == 0) {
      if (kept.size() + 1 == children().size()) return nullptr;
      kept.push_back(children().back());
    } else if (kept.size() == children().size()) {
      return nullptr;
    }
    return kept.size() == 1 ? kept[0] : WithChildren(std::move(kept));
  }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    if (eager_ && children().size() <= 2 * kEagerBranchesMax) return RunEager(rows, context);
    Merger merger(type(), rows.count());
    std::vector<int32_t> pending = AllPositions(rows.count());
    const auto all = static_cast<size_t>(rows.count());
    for (size_t i = 0; i + 1 < children().size() && !pending.empty(); i += 2) {
      std::vector<int32_t> batch_rows = rows.Narrow(pending);
      const Rows subset = pending.size() == all ? rows : rows.Subset(batch_rows);
      KAPPA_ASSIGN_OR_RETURN(Argument condition, subset.EvaluateArgument(*children()[i], context));
      std::vector<int32_t> taken, left;
      for (size_t k = 0; k < pending.size(); ++k) {
        const auto row = static_cast<int64_t>(k);
        const bool is_true = !condition.IsNull(row) && condition.Get<uint8_t>(row) != 0;
        (is_true ? taken : left).push_back(pending[k]);
      }
      if (taken.size() == all) return rows.Evaluate(*children()[i + 1], context);
      KAPPA_RETURN_IF_ERROR(Take(rows, taken, *children()[i + 1], merger, context));
      pending = std::move(left);
    }
    if (pending.size() == all) return rows.Evaluate(*children().back(), context);
    KAPPA_RETURN_IF_ERROR(Take(rows, pending, *children().back(), merger, context));
    return merger.Finish();
  }

 private:
  static Status Take(const Rows& rows, const std::vector<int32_t>& positions, const Expression& result, Merger& merger, EvalContext& context) {
    if (positions.empty()) return {};
    const std::vector<int32_t> batch_rows = rows.Narrow(positions);
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr part, rows.Subset(batch_rows).Evaluate(result, context));
    merger.Add(positions, std::move(part));
    return {};
  }

  /// All branches for all rows, when none can fail: cheaper than selecting rows.
  Result<ColumnPtr> RunEager(const Rows& rows, EvalContext& context) const {
    const int64_t count = rows.count();
    const size_t branches = children().size() / 2;
    std::vector<uint8_t> choice(static_cast<size_t>(count), static_cast<uint8_t>(branches));
    for (size_t k = branches; k-- > 0;) {  // the first branch that holds is written last
      KAPPA_ASSIGN_OR_RETURN(const Argument condition, rows.EvaluateArgument(*children()[2 * k], context));
      const uint8_t* holds = condition.column->data<uint8_t>();  // 0 under NULLs
      const auto branch = static_cast<uint8_t>(k);
      if (condition.constant) {
        if (holds[0] != 0) std::fill(choice.begin(), choice.end(), branch);
      } else {
        uint8_t* chosen = choice.data();
        ForEachRow(count, [&](int64_t i) { chosen[i] = holds[i] != 0 ? branch : chosen[i]; });
      }
    }
    std::vector<Argument> results;
    bool nulls = false;
    for (size_t k = 0; k <= branches; ++k) {
      KAPPA_ASSIGN_OR_RETURN(Argument result, rows.EvaluateArgument(*children()[k < branches ? 2 * k + 1 : 2 * k], context));
      nulls = nulls || result.column->has_nulls();
      results.push_back(std::move(result));
    }
    auto out = std::make_shared<data::Column>(type(), count, data::Column::Uninitialized{});
    switch (type().width()) {
      case 1: Choose<uint8_t>(choice, results, *out); break;
      case 2: Choose<int16_t>(choice, results, *out); break;
      case 4: Choose<int32_t>(choice, results, *out); break;
      case 8: Choose<int64_t>(choice, results, *out); break;
      default: Choose<data::StringView>(choice, results, *out); break;
    }
    for (const Argument& result : results) out->ShareKeepalives(*result.column);
    if (nulls) {
      std::vector<uint64_t> words((static_cast<size_t>(count) + 63) / 64);
      for (int64_t i = 0; i < count; ++i) {
        const bool valid = !results[choice[static_cast<size_t>(i)]].IsNull(i);
        words[static_cast<size_t>(i) >> 6] |= static_cast<uint64_t>(valid) << (i & 63);
      }
      out->SetValidity(std::move(words));
    }
    return ColumnPtr(std::move(out));
  }

  template <typename T> static void Choose(const std::vector<uint8_t>& choice, const std::vector<Argument>& results, data::Column& out) {
    struct Source {
      const T* values;
      int64_t step;
    };
    Source sources[kEagerBranchesMax + 1];
    for (size_t k = 0; k < results.size(); ++k) sources[k] = {results[k].column->data<T>(), results[k].constant ? 0 : 1};
    T* values = out.mutable_data<T>();
    for (size_t i = 0; i < choice.size(); ++i) {
      const Source& source = sources[choice[i]];
      values[i] = source.values[static_cast<int64_t>(i) * source.step];
    }
  }

  static constexpr size_t kEagerBranchesMax = 16;
  bool eager_;
};

class Coalesce final : public Node {
 public:
  Coalesce(Type type, std::vector<ExprPtr> children) : Node(Kind::kCoalesce, type, std::move(children)) {}

  std::string ToString(std::span<const std::string> names) const override {
    std::string text = "COALESCE(";
    for (size_t i = 0; i < children().size(); ++i) text += (i > 0 ? ", " : "") + children()[i]->ToString(names);
    return text + ")";
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<Coalesce>(type(), std::move(children)); }

  ExprPtr Simplified() const override {
    std::vector<ExprPtr> kept;
    for (const ExprPtr& child : children()) {
      const auto* literal = dynamic_cast<const Literal*>(child.get());
      if (literal != nullptr && literal->value().null) continue;
      kept.push_back(child);
      if (literal != nullptr) break;
    }
    if (kept.size() == children().size()) return nullptr;
    if (kept.empty()) return MakeNull(type());
    return kept.size() == 1 ? kept[0] : WithChildren(std::move(kept));
  }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr first, rows.Evaluate(*children()[0], context));
    if (!first->has_nulls()) return first;
    Merger merger(type(), rows.count());
    std::vector<int32_t> pending;
    for (int64_t i = 0; i < rows.count(); ++i) {
      if (first->IsNull(i)) pending.push_back(static_cast<int32_t>(i));
    }
    const std::vector<int32_t> all = AllPositions(rows.count());
    merger.Add(all, std::move(first));
    for (size_t k = 1; k < children().size() && !pending.empty(); ++k) {
      const std::vector<int32_t> batch_rows = rows.Narrow(pending);
      KAPPA_ASSIGN_OR_RETURN(ColumnPtr part, rows.Subset(batch_rows).Evaluate(*children()[k], context));
      merger.Add(pending, part);  // NULLs are overwritten by the next argument
      std::vector<int32_t> left;
      for (size_t i = 0; i < pending.size(); ++i) {
        if (part->IsNull(static_cast<int64_t>(i))) left.push_back(pending[i]);
      }
      pending = std::move(left);
    }
    return merger.Finish();
  }
};

/// Children: the value, and value = other.
class NullIf final : public Node {
 public:
  NullIf(ExprPtr value, ExprPtr equal) : Node(Kind::kOther, value->type(), {value, std::move(equal)}) {}
  std::string ToString(std::span<const std::string> names) const override {
    return "NULLIF(" + children()[0]->ToString(names) + " WHEN " + children()[1]->ToString(names) + ")";
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override {
    return std::make_shared<NullIf>(std::move(children[0]), std::move(children[1]));
  }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr value, rows.Evaluate(*children()[0], context));
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr equal, rows.Evaluate(*children()[1], context));
    std::vector<int32_t> source = AllPositions(rows.count());
    for (int64_t i = 0; i < rows.count(); ++i) {
      if (equal->data<uint8_t>()[i] != 0) source[static_cast<size_t>(i)] = -1;
    }
    return data::Gather(*value, source);
  }
};

/// GREATEST and LEAST: the extreme of the arguments that are not NULL.
class Extreme final : public Node {
 public:
  Extreme(const Signature* less_than, bool least, Type type, std::vector<ExprPtr> children)
      : Node(Kind::kOther, type, std::move(children)), less_than_(less_than), least_(least) {}
  std::string ToString(std::span<const std::string> names) const override {
    std::string text = least_ ? "LEAST(" : "GREATEST(";
    for (size_t i = 0; i < children().size(); ++i) text += (i > 0 ? ", " : "") + children()[i]->ToString(names);
    return text + ")";
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override {
    return std::make_shared<Extreme>(less_than_, least_, type(), std::move(children));
  }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr best, rows.Evaluate(*children()[0], context));
    const int64_t count = rows.count();
    std::vector<int32_t> source(static_cast<size_t>(count));
    for (size_t k = 1; k < children().size(); ++k) {
      KAPPA_ASSIGN_OR_RETURN(ColumnPtr next, rows.Evaluate(*children()[k], context));
      KernelCall call{{{least_ ? next : best, false}, {least_ ? best : next, false}}, count, TypeId::kBool, context};
      KAPPA_ASSIGN_OR_RETURN(ColumnPtr better, less_than_->kernel(call));
      for (int64_t i = 0; i < count; ++i) {
        const bool take = !next->IsNull(i) && (best->IsNull(i) || better->data<uint8_t>()[i] != 0);
        source[static_cast<size_t>(i)] = static_cast<int32_t>(take ? count + i : i);
      }
      const ColumnPtr both[] = {best, next};
      best = data::Gather(*data::Concatenate(both), source);
    }
    return best;
  }

 private:
  const Signature* less_than_;
  bool least_;
};

Result<Type> CastToCommon(std::vector<ExprPtr>& args, std::string_view what, int position) {
  KAPPA_ASSIGN_OR_RETURN(Type type, CommonType(TypesOf(args), what, position));
  for (ExprPtr& arg : args) { KAPPA_ASSIGN_OR_RETURN(arg, MakeCast(std::move(arg), type, CastContext::kImplicit, position)); }
  return type;
}

}  // namespace

Result<ExprPtr> MakeCase(ExprPtr operand, std::vector<std::pair<ExprPtr, ExprPtr>> branches, ExprPtr otherwise, int position) {
  std::vector<ExprPtr> results;
  std::vector<ExprPtr> conditions;
  if (otherwise == nullptr) otherwise = MakeNull(TypeId::kUnknown);
  results.push_back(std::move(otherwise));  // PostgreSQL lets ELSE speak first in the choice of the type
  for (auto& [condition, result] : branches) {
    if (operand != nullptr) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr equal, MakeOperator("=", {operand, std::move(condition)}, position));
      conditions.push_back(std::move(equal));
    } else if (condition->type().id == TypeId::kBool || condition->type().id == TypeId::kUnknown) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr boolean, MakeCast(std::move(condition), TypeId::kBool, CastContext::kImplicit, position));
      conditions.push_back(std::move(boolean));
    } else {
      return Error(sqlstate::kDatatypeMismatch,
                   "argument of CASE/WHEN must be type boolean, not type " + condition->type().WithoutModifier().ToString())
          .At(position);
    }
    results.push_back(std::move(result));
  }
  KAPPA_ASSIGN_OR_RETURN(Type type, CastToCommon(results, "CASE", position));
  std::vector<ExprPtr> children;
  for (size_t i = 0; i < conditions.size(); ++i) {
    children.push_back(std::move(conditions[i]));
    children.push_back(std::move(results[i + 1]));
  }
  children.push_back(std::move(results[0]));
  return ExprPtr(std::make_shared<Case>(type, std::move(children)));
}

Result<ExprPtr> MakeCoalesce(std::vector<ExprPtr> args, int position) {
  KAPPA_ASSIGN_OR_RETURN(Type type, CastToCommon(args, "COALESCE", position));
  if (args.size() == 1) return args[0];
  return ExprPtr(std::make_shared<Coalesce>(type, std::move(args)));
}

Result<ExprPtr> MakeNullIf(ExprPtr a, ExprPtr b, int position) {
  KAPPA_ASSIGN_OR_RETURN(ExprPtr equal, MakeOperator("=", {a, std::move(b)}, position));
  ExprPtr value = a->type().id == TypeId::kUnknown ? equal->children()[0] : std::move(a);
  return ExprPtr(std::make_shared<NullIf>(std::move(value), std::move(equal)));
}

Result<ExprPtr> MakeGreatest(std::vector<ExprPtr> args, bool least, int position) {
  KAPPA_ASSIGN_OR_RETURN(Type type, CastToCommon(args, least ? "LEAST" : "GREATEST", position));
  KAPPA_ASSIGN_OR_RETURN(ExprPtr less, MakeOperator("<", {args[0], args[0]}, position));
  const auto* call = dynamic_cast<const Call*>(less.get());
  KAPPA_CHECK(call != nullptr);
  if (args.size() == 1) return args[0];
  return ExprPtr(std::make_shared<Extreme>(&call->signature(), least, type, std::move(args)));
}

}  // namespace kappa::expr
