// What expression nodes share: the set of rows that an evaluation is about, and arguments that may be constant.
#pragma once

#include "expr/kernel.h"

namespace kappa::expr {

/// All rows of a batch, or some of them.
class Rows {
 public:
  explicit Rows(const data::Batch& batch) : batch_(&batch), all_(true) {}
  Rows(const data::Batch& batch, std::span<const int32_t> selected) : batch_(&batch), all_(false), selected_(selected) {}

  int64_t count() const { return all_ ? batch_->rows : static_cast<int64_t>(selected_.size()); }
  /// Batch rows of these positions of the set, for a narrower set.
  std::vector<int32_t> Narrow(std::vector<int32_t> positions) const {
    if (!all_) {
      for (int32_t& position : positions) position = selected_[static_cast<size_t>(position)];
    }
    return positions;
  }
  Rows Subset(std::span<const int32_t> batch_rows) const { return Rows(*batch_, batch_rows); }
  Result<data::ColumnPtr> Evaluate(const Expression& expression, EvalContext& context) const {
    return all_ ? expression.Evaluate(*batch_, context) : expression.Evaluate(*batch_, selected_, context);
  }
  /// Like Evaluate, but an expression that is the same for all rows is computed once.
  Result<Argument> EvaluateArgument(const Expression& expression, EvalContext& context) const;

 private:
  const data::Batch* batch_;
  bool all_;
  std::span<const int32_t> selected_;
};

/// Base of the nodes whose evaluation is the same over all rows and over some.
class Node : public Expression {
 public:
  Result<data::ColumnPtr> Evaluate(const data::Batch& batch, std::span<const int32_t> rows, EvalContext& context) const final {
    return EvaluateNonEmpty(Rows(batch, rows), context);
  }
  Result<data::ColumnPtr> Evaluate(const data::Batch& batch, EvalContext& context) const final { return EvaluateNonEmpty(Rows(batch), context); }
  bool is_immutable() const override {
    for (const ExprPtr& child : children()) {
      if (!child->is_immutable()) return false;
    }
    return true;
  }

  /// An equal, simpler expression given that children are already simplified; null when there is none.
  virtual ExprPtr Simplified() const { return nullptr; }

 protected:
  using Expression::Expression;
  /// `rows` is not empty.
  virtual Result<data::ColumnPtr> Run(const Rows& rows, EvalContext& context) const = 0;
  /// True when the value depends on the session's time zone, so that it must not be folded at bind time.
  friend bool DependsOnSession(const Expression& expression);
  virtual bool depends_on_session() const { return false; }

 private:
  Result<data::ColumnPtr> EvaluateNonEmpty(const Rows& rows, EvalContext& context) const;
};

/// True when a sub-expression depends on the session's time zone.
bool DependsOnSession(const Expression& expression);
/// True when no row can fail: comparisons, boolean logic and IS NULL over columns and literals.
bool CannotFail(const Expression& expression);

}  // namespace kappa::expr
