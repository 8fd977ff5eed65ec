// Columns stay columns: row numbers are sorted within their partitions, and rows are gathered when they are computed.
#include "ops/over/over_once.h"

#include <algorithm>
#include <numeric>

#include "data/row_key.h"
#include "ops/consolidate.h"
#include "ops/held_rows.h"
#include "ops/over/sorted_groups.h"

namespace kappa::ops {
namespace {

constexpr size_t kChunkRows = 16384;   // that are computed at once; a partition goes as a whole
constexpr int64_t kSortedRows = 1 << 19;  // about so many are sorted at once: what sorting holds for a row is more than the row

// Input        one port; changes of any weight, all before the one flush.
// State        none in pages: the batches. When those of all operators become too many, a lasting one takes them, which may spill.
// Watermark    ignored.
// Retractions  none are given.
// Cost         a probe for each row, a sort of the rows of each partition (none where they come in order), the functions. Many rows are parted
//              by their partition's hash first.
// Threads      one at a time.
class OverOnce final : public Operator {
 public:
  OverOnce(const plan::OverWindow& node, const OperatorOptions& options, std::unique_ptr<WindowFunctions> functions,
           std::function<Result<std::unique_ptr<Operator>>()> make_lasting)
      : partition_(node.partition),
        order_(node.order),
        append_only_(node.inputs[0]->append_only),
        context_(options.context),
        functions_(std::move(functions)),
        watch_(options.watch),
        make_lasting_(std::move(make_lasting)) {}

  Status OnBatch(int port, data::ChangeBatch batch, Output& out) override {
    if (lasting_) return lasting_->OnBatch(port, std::move(batch), out);
    if (batch.rows == 0) return {};
    if (done_) return Error(sqlstate::kInternalError, "rows came to window functions after their end");
    pending_.Add(std::move(batch));
    return {};
  }
  Status OnEpochEnd(const EpochContext& epoch, Output& out) override {
    if (lasting_) return lasting_->OnEpochEnd(epoch, out);
    if (pending_.empty()) return {};
    if (!epoch.flush) {
      if (!HeldRows::TooMany()) return {};
      KAPPA_ASSIGN_OR_RETURN(lasting_, make_lasting_());
      return HandOver(pending_, 0, append_only_, *lasting_, epoch, out);
    }
    done_ = true;
    const int64_t parts = partition_.empty() ? 1 : (pending_.rows() + kSortedRows - 1) / kSortedRows;
    if (parts == 1) KAPPA_RETURN_IF_ERROR(Run(pending_.batches(), out));
    else KAPPA_RETURN_IF_ERROR(RunParts(static_cast<size_t>(parts), out));
    pending_.Clear();
    return {};
  }
  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) override {
    if (lasting_) lasting_->VisitState(visit);
  }
  int64_t state_rows() const override { return lasting_ ? lasting_->state_rows() : pending_.rows(); }
  int64_t held_bytes() const override { return lasting_ ? lasting_->held_bytes() : pending_.bytes(); }
  int64_t errors() const override { return lasting_ ? lasting_->errors() : context_.errors; }

 private:
  Status RunParts(size_t parts, Output& out);
  Status Run(std::span<const data::ChangeBatch> changes, Output& out);
  void SortPeers(const data::Batch& rows, SortedGroups& partitions) const;
  Status Compute(const data::Batch& rows, std::vector<int32_t>& chunk, std::vector<WindowSegment>& segments, std::vector<uint8_t>& peer_start,
                 Output& out);

  std::vector<expr::ExprPtr> partition_;
  std::vector<plan::SortKey> order_;
  bool append_only_;
  expr::EvalContext context_;
  std::unique_ptr<WindowFunctions> functions_;
  std::function<Status(int64_t)> watch_;
  HeldRows pending_;
  bool done_ = false;
  std::function<Result<std::unique_ptr<Operator>>()> make_lasting_;
  std::unique_ptr<Operator> lasting_;
};

/// Whole partitions at a time.
Status OverOnce::RunParts(size_t parts, Output& out) {
  const int64_t errors = context_.errors;
  const std::span<const data::ChangeBatch> batches = pending_.batches();
  std::vector<std::vector<std::vector<int32_t>>> rows_of_part(parts, std::vector<std::vector<int32_t>>(batches.size()));
  for (size_t b = 0; b < batches.size(); ++b) {
    KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> columns, expr::EvaluateAll(partition_, batches[b].AsBatch(), context_));
    const data::RowKeys keys(columns, batches[b].rows);
    for (int64_t i = 0; i < batches[b].rows; ++i) rows_of_part[(HashWord(keys.hash(i)) >> 32) * parts >> 32][b].push_back(static_cast<int32_t>(i));
  }
  context_.errors = errors;  // they are counted where the keys are worked out for good
  for (std::vector<std::vector<int32_t>>& rows : rows_of_part) {
    std::vector<data::ChangeBatch> part;
    for (size_t b = 0; b < batches.size(); ++b)
      if (!rows[b].empty()) part.push_back(data::Gather(batches[b], rows[b]));
    rows = {};
    if (!part.empty()) KAPPA_RETURN_IF_ERROR(Run(part, out));
  }
  return {};
}

Status OverOnce::Run(std::span<const data::ChangeBatch> changes, Output& out) {
  const data::ChangeBatch rows = append_only_ ? data::Concatenate(changes) : Consolidate(changes);
  const data::Batch batch = rows.AsBatch();
  KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> partition, expr::EvaluateAll(partition_, batch, context_));
  KAPPA_ASSIGN_OR_RETURN(const std::vector<SortColumn> order, SortColumns(order_, batch, context_));
  std::vector<int32_t> select;  // rows as often as they are there
  select.reserve(static_cast<size_t>(rows.rows));
  for (int64_t i = 0; i < rows.rows; ++i) {
    if (rows.weight(i) < 0) return Error(sqlstate::kInternalError, "a change deletes a row that its partition does not have");
    select.insert(select.end(), static_cast<size_t>(rows.weight(i)), static_cast<int32_t>(i));
  }
  const data::RowKeys keys(partition, rows.rows);
  const OrderKeys orders(order, rows.rows);
  SortedGroups partitions(keys, orders, select);
  SortPeers(batch, partitions);
  std::vector<int32_t> chunk;
  std::vector<WindowSegment> segments;
  std::vector<uint8_t> peer_start;
  for (size_t p = 0; p < partitions.size(); ++p) {
    const std::span<const SortedGroups::Entry> entries = partitions.group(p);
    const auto from = static_cast<int64_t>(chunk.size()), count = static_cast<int64_t>(entries.size());
    for (size_t i = 0; i < entries.size(); ++i) {
      chunk.push_back(entries[i].row);
      peer_start.push_back(i == 0 || !partitions.ArePeers(entries[i - 1], entries[i]) ? 1 : 0);
    }
    segments.push_back({from, from + count, from, from + count, 0, count, {}});
    if (chunk.size() >= kChunkRows) KAPPA_RETURN_IF_ERROR(Compute(batch, chunk, segments, peer_start, out));
  }
  return Compute(batch, chunk, segments, peer_start, out);
}

/// Rows that the order leaves equal lie by their bytes, so that results do not depend on the order of arrival.
void OverOnce::SortPeers(const data::Batch& rows, SortedGroups& partitions) const {
  const std::vector<std::pair<size_t, size_t>> ties = partitions.Ties();
  if (ties.empty()) return;
  std::vector<int32_t> tied;
  for (const auto& [from, to] : ties)
    for (size_t i = from; i < to; ++i) tied.push_back(partitions.entries()[i].row);
  std::vector<data::ColumnPtr> columns;
  for (const data::ColumnPtr& column : rows.columns) columns.push_back(data::Gather(*column, tied));
  const data::RowKeys bytes(columns, static_cast<int64_t>(tied.size()), /*canonical=*/false, /*hashed=*/false);
  std::vector<int32_t> order;  // indexes into tied
  size_t at = 0;
  for (const auto& [from, to] : ties) {
    order.resize(to - from);
    std::iota(order.begin(), order.end(), static_cast<int32_t>(at));
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return bytes.key(a) < bytes.key(b); });
    for (size_t i = from; i < to; ++i) partitions.entries()[i].row = tied[static_cast<size_t>(order[i - from])];
    at += to - from;
  }
}

Status OverOnce::Compute(const data::Batch& rows, std::vector<int32_t>& chunk, std::vector<WindowSegment>& segments, std::vector<uint8_t>& peer_start,
                         Output& out) {
  if (chunk.empty()) return {};
  data::ChangeBatch result;
  result.rows = static_cast<int64_t>(chunk.size());
  for (const data::ColumnPtr& column : rows.columns) result.columns.push_back(data::Gather(*column, chunk));
  WindowStates states;
  KAPPA_ASSIGN_OR_RETURN(std::vector<data::ColumnPtr> columns, functions_->Evaluate(result.AsBatch(), segments, peer_start, states, context_));
  std::move(columns.begin(), columns.end(), std::back_inserter(result.columns));
  out.push_back(std::move(result));
  chunk.clear();
  segments.clear();
  peer_start.clear();
  return watch_ ? watch_(0) : Status();
}

}  // namespace

std::unique_ptr<Operator> MakeOverOnce(const plan::OverWindow& node, const OperatorOptions& options, std::unique_ptr<WindowFunctions> functions,
                                       std::function<Result<std::unique_ptr<Operator>>()> make_lasting) {
  return std::make_unique<OverOnce>(node, options, std::move(functions), std::move(make_lasting));
}

}  // namespace kappa::ops
