// Columns stay columns: the right rows are sorted within their keys, and each left row finds its match there.
#include "ops/join/as_of_once.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <numeric>

#include "data/row_key.h"
#include "ops/consolidate.h"
#include "ops/over/order_key.h"

namespace kappa::ops {
namespace {

using Match = plan::AsOfJoin::Match;

/// The keys and times of some rows.
struct Keyed {
  std::vector<int32_t> select, without;  // rows with a key and a time, and the others
  std::unique_ptr<data::RowKeys> keys;
  std::unique_ptr<OrderKeys> times;
};

/// A right row: its time, as far as eight bytes tell it, and its number.
struct Candidate {
  uint64_t prefix;
  int32_t row;
};

struct HashedKey {
  std::string_view key;
  uint64_t hash;
  bool operator==(const HashedKey& other) const { return hash == other.hash && key == other.key; }
};
struct KeyHash {
  size_t operator()(const HashedKey& key) const { return static_cast<size_t>(HashWord(key.hash)); }
};

// Input        two ports; changes of any weight, all before the one flush.
// State        none in pages: the batches of both sides.
// Watermark    ignored.
// Retractions  none are given. Left rows come with their weights; right rows count while their weights sum to more than 0.
// Cost         a sort of the right rows of each key (none where they come in order), a probe and log(rows of the key) for a left row.
// Threads      one at a time.
class AsOfOnce final : public Operator {
 public:
  AsOfOnce(const plan::AsOfJoin& node, const OperatorOptions& options)
      : outer_(node.outer),
        strict_(node.match == Match::kBefore || node.match == Match::kAfter),
        descending_(node.match == Match::kAtOrBefore || node.match == Match::kBefore),
        keys_{node.left_keys, node.right_keys},
        times_{node.left_time, node.right_time},
        right_tie_(node.right_tie),
        right_schema_(node.inputs[1]->schema),
        right_append_only_(node.inputs[1]->append_only),
        context_(options.context),
        watch_(options.watch) {}

  Status OnBatch(int port, data::ChangeBatch batch, Output&) override {
    if (batch.rows == 0) return {};
    if (done_) return Error(sqlstate::kInternalError, "rows came to an as-of join after its end");
    held_bytes_ += BatchBytes(batch);
    pending_[port].push_back(std::move(batch));
    return {};
  }
  Status OnEpochEnd(const EpochContext& epoch, Output& out) override {
    if (!epoch.flush) return {};
    done_ = !pending_[0].empty() || !pending_[1].empty();
    KAPPA_RETURN_IF_ERROR(Build());
    for (data::ChangeBatch& batch : pending_[0]) {
      KAPPA_RETURN_IF_ERROR(Probe(batch, out));
      batch = {};
      if (watch_) KAPPA_RETURN_IF_ERROR(watch_(0));
    }
    pending_[0].clear();
    held_bytes_ = 0;
    return {};
  }
  int64_t held_bytes() const override { return held_bytes_; }
  int64_t errors() const override { return context_.errors; }

 private:
  Result<Keyed> Evaluate(int side, const data::ChangeBatch& batch);
  Status Build();
  void KeepOneOfATime();
  Status Probe(const data::ChangeBatch& batch, Output& out);
  bool Below(const Candidate& candidate, uint64_t prefix, std::string_view time) const {
    return candidate.prefix != prefix ? candidate.prefix < prefix : right_times_->key(candidate.row) < time;
  }

  bool outer_;
  bool strict_;
  bool descending_;
  std::vector<expr::ExprPtr> keys_[2];
  expr::ExprPtr times_[2];
  expr::ExprPtr right_tie_;  // may be null
  data::Schema right_schema_;
  bool right_append_only_;
  expr::EvalContext context_;
  std::function<Status(int64_t)> watch_;
  bool done_ = false;
  int64_t held_bytes_ = 0;
  std::vector<data::ChangeBatch> pending_[2];

  // Of the right side.
  data::Batch right_;
  std::unique_ptr<data::RowKeys> right_keys_;  // memory of groups_' keys
  std::unique_ptr<OrderKeys> right_times_;
  absl::flat_hash_map<HashedKey, int32_t, KeyHash> groups_;
  std::vector<size_t> ends_;             // of each group's candidates
  std::vector<Candidate> candidates_;  // by group, then by time away from the match
};

Result<Keyed> AsOfOnce::Evaluate(int side, const data::ChangeBatch& batch) {
  Keyed keyed;
  std::vector<data::ColumnPtr> keys;
  for (const expr::ExprPtr& key : keys_[side]) {
    KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr column, key->Evaluate(batch.AsBatch(), context_));
    keys.push_back(std::move(column));
  }
  KAPPA_ASSIGN_OR_RETURN(const data::ColumnPtr time, times_[side]->Evaluate(batch.AsBatch(), context_));
  for (int64_t i = 0; i < batch.rows; ++i) {
    bool null = time->IsNull(i);
    for (size_t k = 0; k < keys.size() && !null; ++k) null = keys[k]->IsNull(i);
    (null ? keyed.without : keyed.select).push_back(static_cast<int32_t>(i));
  }
  keyed.keys = std::make_unique<data::RowKeys>(keys, batch.rows);
  std::vector<SortColumn> order = {{time, descending_, false}};
  if (side == 1 && right_tie_) {
    KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr tie, right_tie_->Evaluate(batch.AsBatch(), context_));
    order.push_back({std::move(tie), /*descending=*/true, false});
  }
  keyed.times = std::make_unique<OrderKeys>(order, batch.rows);
  return keyed;
}

Status AsOfOnce::Build() {
  if (pending_[1].empty()) return {};
  data::ChangeBatch batch = right_append_only_ ? data::Concatenate(pending_[1]) : Consolidate(pending_[1]);
  pending_[1].clear();
  KAPPA_ASSIGN_OR_RETURN(Keyed keyed, Evaluate(1, batch));
  right_keys_ = std::move(keyed.keys);
  right_times_ = std::move(keyed.times);
  right_ = batch.AsBatch();
  // A counting sort by group keeps the order of arrival, which often is that of time.
  std::vector<int32_t> group_of(keyed.select.size());
  std::vector<size_t> starts;
  for (size_t j = 0; j < keyed.select.size(); ++j) {
    const int32_t row = keyed.select[j];
    if (batch.weight(row) < 0) return Error(sqlstate::kInternalError, "a change deletes a row that the as-of join does not have");
    const auto [it, fresh] = groups_.try_emplace(HashedKey{right_keys_->key(row), right_keys_->hash(row)}, static_cast<int32_t>(starts.size()));
    if (fresh) starts.push_back(0);
    group_of[j] = it->second;
    ++starts[static_cast<size_t>(it->second)];
  }
  size_t at = 0;
  for (size_t& start : starts) at += std::exchange(start, at);
  candidates_.resize(keyed.select.size());
  ends_ = starts;
  for (size_t j = 0; j < keyed.select.size(); ++j) {
    const int32_t row = keyed.select[j];
    candidates_[ends_[static_cast<size_t>(group_of[j])]++] = {OrderPrefix(right_times_->key(row)), row};
  }
  const auto below = [&](const Candidate& a, const Candidate& b) { return Below(a, b.prefix, right_times_->key(b.row)); };
  for (size_t g = 0; g < ends_.size(); ++g) {
    const auto first = candidates_.begin() + static_cast<ptrdiff_t>(starts[g]), last = candidates_.begin() + static_cast<ptrdiff_t>(ends_[g]);
    if (descending_) std::reverse(first, last);
    if (!std::is_sorted(first, last, below)) std::sort(first, last, below);
  }
  KeepOneOfATime();
  return {};
}

/// Of the rows of one key and time the one with the smallest bytes counts: it goes first.
void AsOfOnce::KeepOneOfATime() {
  std::vector<std::pair<size_t, size_t>> runs;  // of candidates
  std::vector<int32_t> rows;
  for (size_t g = 0, from = 0; g < ends_.size(); ++g) {
    while (from < ends_[g]) {
      size_t to = from + 1;
      const std::string_view time = right_times_->key(candidates_[from].row);
      while (to < ends_[g] && candidates_[to].prefix == candidates_[from].prefix && right_times_->key(candidates_[to].row) == time) ++to;
      if (to > from + 1) {
        runs.emplace_back(from, to);
        for (size_t i = from; i < to; ++i) rows.push_back(candidates_[i].row);
      }
      from = to;
    }
  }
  if (runs.empty()) return;
  std::vector<data::ColumnPtr> columns;
  for (const data::ColumnPtr& column : right_.columns) columns.push_back(data::Gather(*column, rows));
  const data::RowKeys bytes(columns, static_cast<int64_t>(rows.size()), /*canonical=*/false, /*hashed=*/false);
  int64_t at = 0;  // of the run's rows
  for (const auto& [from, to] : runs) {
    int64_t least = at;
    for (size_t i = from; i < to; ++i, ++at)
      if (bytes.key(at) < bytes.key(least)) least = at;
    candidates_[from].row = rows[static_cast<size_t>(least)];
  }
}

Status AsOfOnce::Probe(const data::ChangeBatch& batch, Output& out) {
  KAPPA_ASSIGN_OR_RETURN(const Keyed keyed, Evaluate(0, batch));
  std::vector<int32_t> rows, matches;
  if (outer_) {
    rows = keyed.without;
    matches.assign(rows.size(), -1);
  }
  for (const int32_t row : keyed.select) {
    int32_t match = -1;
    if (const auto group = groups_.find(HashedKey{keyed.keys->key(row), keyed.keys->hash(row)}); group != groups_.end()) {
      const auto g = static_cast<size_t>(group->second);
      const auto first = candidates_.begin() + static_cast<ptrdiff_t>(g == 0 ? 0 : ends_[g - 1]);
      const auto last = candidates_.begin() + static_cast<ptrdiff_t>(ends_[g]);
      const std::string_view time = keyed.times->key(row);
      const uint64_t prefix = OrderPrefix(time);
      const auto found = std::partition_point(first, last, [&](const Candidate& candidate) {
        if (!strict_ || candidate.prefix != prefix) return Below(candidate, prefix, time);
        return right_times_->key(candidate.row).substr(0, time.size()) <= time;
      });
      if (found != last) match = found->row;
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

std::unique_ptr<Operator> MakeAsOfOnce(const plan::AsOfJoin& node, const OperatorOptions& options) {
  return std::make_unique<AsOfOnce>(node, options);
}

}  // namespace kappa::ops
