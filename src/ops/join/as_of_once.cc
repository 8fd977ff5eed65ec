// Columns stay columns: the right rows are sorted within their keys, and each left row finds its match there.
#include "ops/join/as_of_once.h"

#include <algorithm>

#include "ops/held_rows.h"
#include "ops/join/as_of_keys.h"
#include "ops/over/sorted_groups.h"

namespace kappa::ops {
namespace {

using Match = plan::AsOfJoin::Match;

// Input        two ports; changes of any weight, all before the one flush.
// State        none in pages: the batches of the right side, and those of the left one until the right side has ended. When such batches of all
//              operators become too many, a lasting one takes them, which may spill.
// Watermark    ignored.
// Retractions  none are given. Left rows come with their weights; right rows count while their weights sum to more than 0.
// Cost         a sort of the right rows of each key (none where they come in order), a probe and log(rows of the key) for a left row.
// Threads      one at a time.
class AsOfOnce final : public Operator {
 public:
  AsOfOnce(const plan::AsOfJoin& node, const OperatorOptions& options, std::unique_ptr<Operator> lasting)
      : outer_(node.outer),
        strict_(node.match == Match::kBefore || node.match == Match::kAfter),
        descending_(node.match == Match::kAtOrBefore || node.match == Match::kBefore),
        expressions_{{node.left_keys, node.left_time, nullptr}, {node.right_keys, node.right_time, node.right_tie}},
        right_schema_(node.inputs[1]->schema),
        append_only_{node.inputs[0]->append_only, node.inputs[1]->append_only},
        context_(options.context),
        watch_(options.watch),
        lasting_(std::move(lasting)) {}

  Status OnBatch(int port, data::ChangeBatch batch, Output& out) override {
    if (handed_over_) return lasting_->OnBatch(port, std::move(batch), out);
    if (batch.rows == 0) return {};
    if (done_ || (port == 1 && right_ended_)) return Error(sqlstate::kInternalError, "rows came to an as-of join after its end");
    pending_[port].Add(std::move(batch));
    return right_ended_ ? ProbePending(out) : Status();
  }
  void OnInputEnd(int port) override { right_ended_ = right_ended_ || port == 1; }
  Status OnEpochEnd(const EpochContext& epoch, Output& out) override {
    if (handed_over_) return lasting_->OnEpochEnd(epoch, out);
    if (!epoch.flush) {
      if (right_ended_ || !HeldRows::TooMany()) return {};
      handed_over_ = true;
      for (const int port : {1, 0}) KAPPA_RETURN_IF_ERROR(HandOver(pending_[port], port, append_only_[port], *lasting_, epoch, out));
      return {};
    }
    done_ = !pending_[0].empty() || !pending_[1].empty();
    return ProbePending(out);
  }
  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) override { lasting_->VisitState(visit); }
  int64_t state_rows() const override { return handed_over_ ? lasting_->state_rows() : right_.rows + pending_[0].rows() + pending_[1].rows(); }
  int64_t held_bytes() const override { return handed_over_ ? lasting_->held_bytes() : right_bytes_ + pending_[0].bytes() + pending_[1].bytes(); }
  int64_t errors() const override { return context_.errors + lasting_->errors(); }

 private:
  Status Build();
  void KeepOneOfATime();
  Status ProbePending(Output& out);
  Status Probe(const data::ChangeBatch& batch, Output& out);

  bool outer_;
  bool strict_;
  bool descending_;
  AsOfExpressions expressions_[2];
  data::Schema right_schema_;
  bool append_only_[2];
  expr::EvalContext context_;
  std::function<Status(int64_t)> watch_;
  bool right_ended_ = false;
  bool done_ = false;
  HeldRows pending_[2];
  std::unique_ptr<Operator> lasting_;
  bool handed_over_ = false;  // to lasting_

  // Of the right side.
  data::Batch right_;
  int64_t right_bytes_ = 0;
  std::unique_ptr<data::RowKeys> right_keys_;
  std::unique_ptr<OrderKeys> right_times_;
  std::unique_ptr<SortedGroups> candidates_;  // by key, then by time away from the match
};

Status AsOfOnce::Build() {
  if (pending_[1].empty()) return {};
  right_bytes_ = pending_[1].bytes();
  const data::ChangeBatch batch = pending_[1].TakeSum(append_only_[1]);
  KAPPA_ASSIGN_OR_RETURN(AsOfKeys keyed, FindAsOfKeys(expressions_[1], descending_, batch, context_));
  right_keys_ = std::move(keyed.keys);
  right_times_ = std::move(keyed.times);
  right_ = batch.AsBatch();
  for (const int32_t row : keyed.select)
    if (batch.weight(row) < 0) return Error(sqlstate::kInternalError, "a change deletes a row that the as-of join does not have");
  candidates_ = std::make_unique<SortedGroups>(*right_keys_, *right_times_, keyed.select);
  KeepOneOfATime();
  return {};
}

/// Of the rows of one key and time the one with the smallest bytes counts: it goes first.
void AsOfOnce::KeepOneOfATime() {
  const std::vector<std::pair<size_t, size_t>> ties = candidates_->Ties();
  if (ties.empty()) return;
  const std::span<SortedGroups::Entry> entries = candidates_->entries();
  std::vector<int32_t> rows;
  for (const auto& [from, to] : ties)
    for (size_t i = from; i < to; ++i) rows.push_back(entries[i].row);
  std::vector<data::ColumnPtr> columns;
  for (const data::ColumnPtr& column : right_.columns) columns.push_back(data::Gather(*column, rows));
  const data::RowKeys bytes(columns, static_cast<int64_t>(rows.size()), /*canonical=*/false, /*hashed=*/false);
  int64_t at = 0;  // of the run's rows
  for (const auto& [from, to] : ties) {
    int64_t least = at;
    for (size_t i = from; i < to; ++i, ++at)
      if (bytes.key(at) < bytes.key(least)) least = at;
    entries[from].row = rows[static_cast<size_t>(least)];
  }
}

Status AsOfOnce::ProbePending(Output& out) {
  if (pending_[0].empty() && pending_[1].empty()) return {};
  KAPPA_RETURN_IF_ERROR(Build());
  for (size_t i = 0; i < pending_[0].batches().size(); ++i) {
    KAPPA_RETURN_IF_ERROR(Probe(pending_[0].Take(i), out));
    if (watch_) KAPPA_RETURN_IF_ERROR(watch_(0));
  }
  pending_[0].Clear();
  return {};
}

Status AsOfOnce::Probe(const data::ChangeBatch& batch, Output& out) {
  KAPPA_ASSIGN_OR_RETURN(const AsOfKeys keyed, FindAsOfKeys(expressions_[0], descending_, batch, context_));
  std::vector<int32_t> rows, matches;
  if (outer_) {
    rows = keyed.without;
    matches.assign(rows.size(), -1);
  }
  for (const int32_t row : keyed.select) {
    int32_t match = -1;
    const auto group = candidates_ == nullptr ? std::nullopt : candidates_->Find(keyed.keys->key(row), keyed.keys->hash(row));
    if (group) {
      const std::span<const SortedGroups::Entry> entries = candidates_->group(*group);
      const std::string_view time = keyed.times->key(row);
      const uint64_t prefix = OrderPrefix(time);
      const auto found = std::partition_point(entries.begin(), entries.end(), [&](const SortedGroups::Entry& entry) {
        if (!strict_ || entry.prefix != prefix) return candidates_->IsBelow(entry, prefix, time);
        return right_times_->key(entry.row).substr(0, time.size()) <= time;
      });
      if (found != entries.end()) match = found->row;
    }
    if (match < 0 && !outer_) continue;
    rows.push_back(row);
    matches.push_back(match);
  }
  if (rows.empty()) return {};
  data::ChangeBatch joined =
      static_cast<int64_t>(rows.size()) == batch.rows && std::is_sorted(rows.begin(), rows.end()) ? batch : data::Gather(batch, rows);
  for (size_t c = 0; c < right_schema_.fields.size(); ++c)
    joined.columns.push_back(right_.columns.empty() ? data::NullColumn(right_schema_.fields[c].type, static_cast<int64_t>(rows.size()))
                                                    : data::Gather(*right_.columns[c], matches));
  out.push_back(std::move(joined));
  return {};
}

}  // namespace

std::unique_ptr<Operator> MakeAsOfOnce(const plan::AsOfJoin& node, const OperatorOptions& options, std::unique_ptr<Operator> lasting) {
  return std::make_unique<AsOfOnce>(node, options, std::move(lasting));
}

}  // namespace kappa::ops
