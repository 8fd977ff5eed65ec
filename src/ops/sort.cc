// Sort: ORDER BY of queries.
#include <numeric>

#include "ops/consolidate.h"
#include "ops/factories.h"
#include "ops/sort_order.h"

namespace kappa::ops {
namespace {

constexpr size_t kEmitRows = 65536;

// Input        changes of any weight; bounded.
// State        all rows, in memory only.
// Watermark    ignored.
// Retractions  merged with their inserts before sorting; the output has none.
// Cost         n log n comparisons, most of them of eight bytes.
// Threads      one at a time.
class Sort final : public Operator {
 public:
  Sort(std::vector<plan::SortKey> keys, const OperatorOptions& options) : keys_(std::move(keys)), context_(options.context), watch_(options.watch) {}

  Status OnBatch(int, data::ChangeBatch batch, Output&) override {
    if (batch.rows > 0) {
      held_bytes_ += BatchBytes(batch);
      parts_.push_back(std::move(batch));
    }
    return {};
  }
  Status OnEpochEnd(const EpochContext& epoch, Output& out) override {
    if (!epoch.flush || parts_.empty()) return {};
    const data::ChangeBatch net = Consolidate(parts_);
    if (watch_) {
      // The rows that weights stand for, in order: indexes and values.
      KAPPA_ASSIGN_OR_RETURN(const int64_t rows, ExpandedRows(net));
      KAPPA_RETURN_IF_ERROR(watch_(rows * (8 + BatchBytes(net) / std::max<int64_t>(1, net.rows))));
    }
    KAPPA_ASSIGN_OR_RETURN(data::Batch all, Expand(net));
    parts_.clear();
    held_bytes_ = 0;
    KAPPA_ASSIGN_OR_RETURN(const std::vector<SortColumn> columns, SortColumns(keys_, all, context_));
    std::vector<int32_t> rows(static_cast<size_t>(all.rows));
    std::iota(rows.begin(), rows.end(), 0);
    SortRows(columns, rows);
    data::ChangeBatch source(std::move(all));
    for (size_t from = 0; from < rows.size(); from += kEmitRows) {
      data::ChangeBatch piece = data::Gather(source, std::span(rows).subspan(from, std::min(kEmitRows, rows.size() - from)));
      out.push_back(std::move(piece));
      if (watch_) KAPPA_RETURN_IF_ERROR(watch_(0));
    }
    return {};
  }
  int64_t state_rows() const override {
    return std::accumulate(parts_.begin(), parts_.end(), int64_t{0}, [](int64_t n, const data::ChangeBatch& part) { return n + part.rows; });
  }
  int64_t held_bytes() const override { return held_bytes_; }
  int64_t errors() const override { return context_.errors; }

 private:
  std::vector<plan::SortKey> keys_;
  expr::EvalContext context_;
  std::vector<data::ChangeBatch> parts_;
  int64_t held_bytes_ = 0;
  std::function<Status(int64_t)> watch_;
};

}  // namespace

std::unique_ptr<Operator> MakeSort(const plan::Sort& node, const OperatorOptions& options) { return std::make_unique<Sort>(node.keys, options); }

}  // namespace kappa::ops
