// CheckErrors: keeps the rows of a stream for which the expressions of the operators above it have values, and reports the others.
#include <algorithm>
#include <numeric>

#include "ops/factories.h"

namespace kappa::ops {
namespace {

// Input        changes of any weight: rows of a stream, then the partition and the offset of their records.
// State        none; the failed rows until they are taken.
// Watermark    passed by.
// Retractions  a row fails or not by itself, so the delete of a row that was left out is left out too.
// Cost         an evaluation of each step; where rows fail, each of them is found by halving the batch.
// Threads      one at a time.
class CheckErrors final : public Operator {
 public:
  CheckErrors(const plan::CheckErrors& node, const expr::EvalContext& context) : steps_(node.steps), context_(context) {
    context_.fail_on_error = false;
    context_.errors = 0;
  }

  Status OnBatch(int, data::ChangeBatch batch, Output& out) override {
    if (batch.rows == 0) return {};
    std::vector<int32_t> rows(static_cast<size_t>(batch.rows));
    std::iota(rows.begin(), rows.end(), 0);
    const data::ColumnPtr offset = batch.columns.back(), partition = batch.columns[batch.columns.size() - 2];
    batch.columns.resize(batch.columns.size() - 2);
    const data::Batch plain = batch.AsBatch();
    for (const plan::CheckErrors::Step& step : steps_) {
      if (rows.empty()) break;
      failing_.clear();
      KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr values, Evaluate(*step.expression, plain, rows));
      if (!failing_.empty()) {
        for (const auto& [row, reason] : failing_) failed_.push_back({partition->data<int32_t>()[row], offset->data<int64_t>()[row], reason});
        errors_ += static_cast<int64_t>(failing_.size());
        std::erase_if(rows, [&](int32_t row) {
          return std::binary_search(failing_.begin(), failing_.end(), std::pair(row, std::string()),
                                    [](const auto& a, const auto& b) { return a.first < b.first; });
        });
        if (step.filter) { KAPPA_ASSIGN_OR_RETURN(values, step.expression->Evaluate(plain, rows, context_)); }
      }
      if (!step.filter) continue;
      size_t kept = 0;
      for (size_t i = 0; i < rows.size(); ++i)
        if (!values->IsNull(static_cast<int64_t>(i)) && values->data<uint8_t>()[i] != 0) rows[kept++] = rows[i];
      rows.resize(kept);
    }
    if (rows.empty()) return {};
    out.push_back(static_cast<int64_t>(rows.size()) == batch.rows ? std::move(batch) : data::Gather(batch, rows));
    return {};
  }
  int64_t errors() const override { return errors_; }
  void TakeFailed(std::vector<FailedRow>& out) override {
    std::move(failed_.begin(), failed_.end(), std::back_inserter(out));
    failed_.clear();
  }

 private:
  /// The values for `rows`; those that fail go to failing_, in ascending order.
  Result<data::ColumnPtr> Evaluate(const expr::Expression& expression, const data::Batch& batch, std::span<const int32_t> rows) {
    context_.errors = 0;
    context_.first_error.clear();
    KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr values, expression.Evaluate(batch, rows, context_));
    if (context_.errors == 0) return values;
    if (rows.size() == 1) {
      failing_.emplace_back(rows[0], context_.first_error);
      return values;
    }
    const size_t half = rows.size() / 2;
    KAPPA_RETURN_IF_ERROR(Evaluate(expression, batch, rows.first(half)).status());
    KAPPA_RETURN_IF_ERROR(Evaluate(expression, batch, rows.subspan(half)).status());
    return values;
  }

  std::vector<plan::CheckErrors::Step> steps_;
  expr::EvalContext context_;
  int64_t errors_ = 0;
  std::vector<std::pair<int32_t, std::string>> failing_;  // of one step: rows of the batch, and why
  std::vector<FailedRow> failed_;
};

}  // namespace

std::unique_ptr<Operator> MakeCheckErrors(const plan::CheckErrors& node, const OperatorOptions& options) {
  return std::make_unique<CheckErrors>(node, options.context);
}

}  // namespace kappa::ops
