// Project: computes the output columns from the input's.
#include "ops/factories.h"

namespace kappa::ops {
namespace {

// Input        changes of any weight.
// State        none.
// Watermark    passed by.
// Retractions  weights are kept; expressions are functions of the row, so deletes meet their inserts.
// Cost         one evaluation of each expression; plain columns are shared, not copied.
// Threads      one at a time.
class Project final : public Operator {
 public:
  Project(std::vector<expr::ExprPtr> expressions, expr::EvalContext context) : expressions_(std::move(expressions)), context_(std::move(context)) {}

  Status OnBatch(int, data::ChangeBatch batch, Output& out) override {
    if (batch.rows == 0) return {};
    data::Batch input = batch.AsBatch();
    data::ChangeBatch result;
    result.rows = batch.rows;
    result.weights = std::move(batch.weights);
    KAPPA_ASSIGN_OR_RETURN(result.columns, expr::EvaluateAll(expressions_, input, context_));
    out.push_back(std::move(result));
    return {};
  }
  int64_t errors() const override { return context_.errors; }

 private:
  std::vector<expr::ExprPtr> expressions_;
  expr::EvalContext context_;
};

}  // namespace

std::unique_ptr<Operator> MakeProject(const plan::Project& node, const OperatorOptions& options) {
  return std::make_unique<Project>(node.expressions, options.context);
}

}  // namespace kappa::ops
