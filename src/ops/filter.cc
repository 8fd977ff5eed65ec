// Filter: keeps the rows where the predicate is TRUE.
#include "ops/factories.h"

namespace kappa::ops {
namespace {

// Input        changes of any weight.
// State        none.
// Watermark    passed by.
// Retractions  a change passes or not by its row alone, so the delete of a row that passed passes too.
// Cost         one evaluation, one gather of the rows that pass.
// Threads      one at a time.
class Filter final : public Operator {
 public:
  Filter(expr::ExprPtr predicate, expr::EvalContext context) : predicate_(std::move(predicate)), context_(std::move(context)) {}

  Status OnBatch(int, data::ChangeBatch batch, Output& out) override {
    if (batch.rows == 0) return {};
    KAPPA_ASSIGN_OR_RETURN(std::vector<int32_t> rows, expr::SelectTrue(*predicate_, batch.AsBatch(), context_));
    if (rows.empty()) return {};
    out.push_back(static_cast<int64_t>(rows.size()) == batch.rows ? std::move(batch) : data::Gather(batch, rows));
    return {};
  }
  int64_t errors() const override { return context_.errors; }

 private:
  expr::ExprPtr predicate_;
  expr::EvalContext context_;
};

}  // namespace

std::unique_ptr<Operator> MakeFilter(const plan::Filter& node, const OperatorOptions& options) {
  return std::make_unique<Filter>(node.predicate, options.context);
}

}  // namespace kappa::ops
