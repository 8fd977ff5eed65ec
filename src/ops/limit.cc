// Limit: LIMIT and OFFSET of queries.
#include "ops/consolidate.h"
#include "ops/factories.h"

namespace kappa::ops {
namespace {

constexpr int64_t kEmitRows = 65536;

// Input        changes in the order that counts; bounded.
// State        none over input without deletes (append-only, or sorted), else all rows, in memory only.
// Watermark    ignored.
// Retractions  merged with their inserts first; the output has none.
// Cost         a slice of the batches.
// Threads      one at a time.
class Limit final : public Operator {
 public:
  Limit(bool plain_input, int64_t limit, int64_t offset, const OperatorOptions& options)
      : plain_input_(plain_input), limit_(limit), offset_(offset), watch_(options.watch) {}

  Status OnBatch(int, data::ChangeBatch batch, Output& out) override {
    if (batch.rows == 0 || limit_ == 0) return {};
    if (!plain_input_) {
      held_bytes_ += BatchBytes(batch);
      parts_.push_back(std::move(batch));
      return {};
    }
    return Take(batch, out);
  }
  Status OnEpochEnd(const EpochContext& epoch, Output& out) override {
    if (!epoch.flush || parts_.empty()) return {};
    data::ChangeBatch all = Consolidate(parts_);
    parts_.clear();
    held_bytes_ = 0;
    return Take(all, out);
  }
  int64_t held_bytes() const override { return held_bytes_; }

 private:
  Status Take(const data::ChangeBatch& batch, Output& out) {
    const data::ChangeBatch plain(batch.AsBatch());
    std::vector<int32_t> rows;
    for (int64_t i = 0; i < batch.rows && limit_ > 0; ++i) {
      int64_t copies = batch.weight(i);
      if (copies < 0) return Error(sqlstate::kInternalError, "a change deletes a row that was not inserted");
      const int64_t skipped = std::min(offset_, copies);
      offset_ -= skipped;
      for (copies = std::min(limit_, copies - skipped); copies > 0;) {
        const int64_t count = std::min(copies, kEmitRows - static_cast<int64_t>(rows.size()));
        rows.insert(rows.end(), static_cast<size_t>(count), static_cast<int32_t>(i));
        limit_ -= count;
        copies -= count;
        if (static_cast<int64_t>(rows.size()) == kEmitRows) KAPPA_RETURN_IF_ERROR(Emit(plain, rows, out));
      }
    }
    return rows.empty() ? Status() : Emit(plain, rows, out);
  }
  Status Emit(const data::ChangeBatch& plain, std::vector<int32_t>& rows, Output& out) {
    data::ChangeBatch piece = static_cast<int64_t>(rows.size()) == plain.rows && rows.back() - rows.front() + 1 == static_cast<int32_t>(rows.size())
                                  ? plain
                                  : data::Gather(plain, rows);
    piece.rows = static_cast<int64_t>(rows.size());
    out.push_back(std::move(piece));
    rows.clear();
    return watch_ ? watch_(0) : Status();
  }

  bool plain_input_;
  int64_t limit_;   // still to give
  int64_t offset_;  // still to skip
  std::vector<data::ChangeBatch> parts_;
  int64_t held_bytes_ = 0;
  std::function<Status(int64_t)> watch_;
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
  return std::unique_ptr<Operator>(std::make_unique<Limit>(plain, limit, offset, options));
}

}  // namespace kappa::ops
