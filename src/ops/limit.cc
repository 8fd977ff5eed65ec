// Limit: LIMIT and OFFSET of queries.
#include "ops/consolidate.h"
#include "ops/factories.h"

namespace kappa::ops {
namespace {

// Input        changes in the order that counts; bounded.
// State        none over input without deletes (append-only, or sorted), else all rows, in memory only.
// Watermark    ignored.
// Retractions  merged with their inserts first; the output has none.
// Cost         a slice of the batches.
// Threads      one at a time.
class Limit final : public Operator {
 public:
  Limit(bool plain_input, int64_t limit, int64_t offset) : plain_input_(plain_input), limit_(limit), offset_(offset) {}

  Status OnBatch(int, data::ChangeBatch batch, Output& out) override {
    if (batch.rows == 0 || limit_ == 0) return {};
    if (!plain_input_) {
      parts_.push_back(std::move(batch));
      return {};
    }
    return Take(batch, out);
  }
  Status OnEpochEnd(const EpochContext& epoch, Output& out) override {
    if (!epoch.flush || parts_.empty()) return {};
    data::ChangeBatch all = Consolidate(parts_);
    parts_.clear();
    return Take(all, out);
  }

 private:
  Status Take(const data::ChangeBatch& batch, Output& out) {
    KAPPA_ASSIGN_OR_RETURN(data::Batch rows, Expand(batch));
    int64_t skipped = std::min(offset_, rows.rows);
    int64_t taken = std::min(limit_, rows.rows - skipped);
    offset_ -= skipped;
    limit_ -= taken;
    if (taken > 0) out.push_back(data::Slice(data::ChangeBatch(std::move(rows)), skipped, taken));
    return {};
  }

  bool plain_input_;
  int64_t limit_;   // still to give
  int64_t offset_;  // still to skip
  std::vector<data::ChangeBatch> parts_;
};

/// PostgreSQL's errors 2201W and 2201X; NULL means none.
Result<int64_t> Count(const expr::ExprPtr& expression, expr::EvalContext& context, int64_t otherwise, const char* state, const char* message) {
  if (expression == nullptr) return otherwise;
  KAPPA_ASSIGN_OR_RETURN(data::Value value, expr::EvaluateConstant(*expression, context));
  if (value.null) return otherwise;
  int64_t count = value.bytes.size() == 4 ? value.As<int32_t>() : value.bytes.size() == 2 ? value.As<int16_t>() : value.As<int64_t>();
  if (count < 0) return Error(state, message);
  return count;
}

}  // namespace

Result<std::unique_ptr<Operator>> MakeLimit(const plan::Limit& node, const OperatorOptions& options) {
  expr::EvalContext context = options.context;
  KAPPA_ASSIGN_OR_RETURN(int64_t limit, Count(node.limit, context, INT64_MAX, "2201W", "LIMIT must not be negative"));
  KAPPA_ASSIGN_OR_RETURN(int64_t offset, Count(node.offset, context, 0, "2201X", "OFFSET must not be negative"));
  const plan::Node& input = *node.inputs[0];
  bool plain = input.append_only || input.kind == plan::NodeKind::kSort || input.kind == plan::NodeKind::kLimit;
  return std::unique_ptr<Operator>(std::make_unique<Limit>(plain, limit, offset));
}

}  // namespace kappa::ops
