// As-of join, kept up to date by changes: each left row with the nearest right row of its key.
#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "ops/factories.h"
#include "ops/held_rows.h"
#include "ops/join/as_of_keys.h"
#include "ops/join/as_of_once.h"
#include "ops/over/ordered_rows.h"
#include "ops/row_decoder.h"
#include "state/keyed_table.h"
#include "state/memory.h"

namespace kappa::ops {
namespace {

using state::Ref;
using Match = plan::AsOfJoin::Match;

constexpr int kLeft = 0, kRight = 1;
int64_t EmitRows() { return state::StepRows(65536); }
constexpr size_t kTieBytes = 9;  // of an int8 in an order key

/// What a key carries: its rows of both sides, and when the watermarks let the next of them go.
struct KeyHead {
  RowTree sides[2];
  int64_t due[2];
  uint32_t has_due[2];  // 0: nothing goes before something comes
};
static_assert(sizeof(KeyHead) == 56);

// Input        two ports, changes of any weight.
// State        a table from the join key to KeyHead; the rows of each key and side, ordered by time away from the match: the match of a left
//              row is the first right row that is not before it (or, when times must differ, after it) in this order.
// Watermark    with right_progress a left row whose time the watermark is past is not kept: no right row can come between it and its match. With
//              left_progress too, right rows go once a later one hides them from all left rows that may come.
// Retractions  at the end of an epoch, or of a step after which too many changes would wait. A change of the right side at a time matters to the left rows between that time and the next right row
//              before it: they give their old pair (-1) and their new one (+1). Then the changes of left rows give pairs with the new
//              right side, with their own weights.
// Cost         log(rows) for a change; for one of the right side also the left rows that it is, or was, the match of.
// Threads      one at a time.
class AsOfJoin final : public Operator {
 public:
  AsOfJoin(const plan::AsOfJoin& node, const OperatorOptions& options)
      : outer_(node.outer),
        strict_(node.match == Match::kBefore || node.match == Match::kAfter),
        descending_(node.match == Match::kAtOrBefore || node.match == Match::kBefore),
        inputs_{{{node.left_keys, node.left_time, nullptr}, node.inputs[0]->schema, node.inputs[0]->append_only},
                {{node.right_keys, node.right_time, node.right_tie}, node.inputs[1]->schema, node.inputs[1]->append_only}},
        left_progress_(node.left_progress),
        right_progress_(node.right_progress),
        context_(options.context),
        rows_(arena_),
        keys_(arena_, 0, sizeof(KeyHead)) {
    KAPPA_CHECK(!right_progress_ || descending_);
  }

  Status OnBatch(int port, data::ChangeBatch batch, Output&) override {
    if (batch.rows == 0) return {};
    inputs_[port].pending.Add(std::move(batch));
    return {};
  }
  Status OnEpochEnd(const EpochContext& epoch, Output& out) override {
    if (!epoch.flush && !HeldRows::TooMany()) return {};
    SetBounds(epoch);
    KAPPA_RETURN_IF_ERROR(ApplyRight(out));
    KAPPA_RETURN_IF_ERROR(ApplyLeft(out));
    for (const Ref record : retired_) rows_.FreeRecord(record);
    retired_.clear();
    Settle();
    Expire();
    return {};
  }
  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) override { visit("rows", arena_); }
  Status OnRestored() override {
    KAPPA_RETURN_IF_ERROR(arena_.CheckLoaded());
    KAPPA_RETURN_IF_ERROR(keys_.Attach());
    kept_rows_ = 0;
    for (auto& due : due_) due.clear();
    keys_.ForEach([&](Ref key) {
      const KeyHead& head = *reinterpret_cast<const KeyHead*>(keys_.Payload(key));
      for (const int side : {kLeft, kRight}) {
        kept_rows_ += head.sides[side].rows;
        if (head.has_due[side] != 0) due_[side].emplace(head.due[side], key);
      }
    });
    return {};
  }
  int64_t state_rows() const override { return kept_rows_; }
  int64_t held_bytes() const override { return inputs_[kLeft].pending.bytes() + inputs_[kRight].pending.bytes(); }
  int64_t errors() const override { return context_.errors; }

 private:
  struct Input {
    AsOfExpressions expressions;
    data::Schema schema;
    bool append_only;
    HeldRows pending{};
  };
  /// The pending changes of a side, and the keys of `select`. Work goes by `order`, in which rows of a key, and keys that lie together, are
  /// together (of left rows only where state is out of memory).
  struct Changes : AsOfKeys {
    data::ChangeBatch batch;
    std::vector<Ref> refs;
    std::vector<size_t> order;  // of select: by key, time, and place in the batch
    Ref ref(size_t at) const { return refs[order[at]]; }
    int32_t row(size_t at) const { return select[order[at]]; }
  };
  /// A time at which the right side of a key changes.
  struct Instant {
    std::string_view time;
    std::string before;  // the time of the right row before it; empty: none
    Ref match;  // the right row at or after it, before the changes
  };
  /// Pairs on their way out: rows of the state on the left.
  struct Pairs {
    explicit Pairs(const data::Schema& schema) : left(schema) {}
    RowDecoder left;
    std::vector<Ref> right;
    std::vector<int64_t> weights;
  };

  KeyHead* Head(Ref key) { return reinterpret_cast<KeyHead*>(keys_.MutablePayload(key)); }
  Result<Changes> Take(int side);
  void FetchAhead(int side, const Changes& changes, size_t at) const;
  void SetBounds(const EpochContext& epoch);
  Ref FirstFrom(const RowTree& tree, std::string_view key) const;
  /// The time of an order key, which a tie may follow.
  std::string_view TimePart(int side, std::string_view order) const {
    return order.substr(0, order.size() - (inputs_[side].expressions.tie ? kTieBytes : 0));
  }
  std::string TimeOf(int side, Ref record);
  int64_t MicrosOf(Ref record);
  bool SameRow(Ref a, Ref b);
  Status Change(RowTree& tree, std::string_view time, std::string_view row, int64_t weight);
  Status ApplyRight(Output& out);
  Status ChangeKey(Ref key, const Changes& changes, const data::RowKeys& bytes, std::span<const size_t> rows, Pairs& pairs, Output& out);
  Status ApplyLeft(Output& out);
  std::vector<data::ColumnPtr> RightColumns(std::span<const Ref> refs);
  void Emit(data::Batch left, std::span<const Ref> right, std::vector<int64_t> weights, Output& out);
  void EmitPairs(Pairs& pairs, Output& out);
  void Settle();
  void SetDue(Ref key, int side, std::optional<int64_t> due);
  void Expire();

  bool outer_;
  bool strict_;  // times of a pair differ
  bool descending_;  // the order of both sides
  Input inputs_[2];
  std::optional<plan::AsOfJoin::Progress> left_progress_, right_progress_;
  expr::EvalContext context_;
  state::Arena arena_;
  OrderedRows rows_;
  state::KeyedTable keys_;
  int64_t kept_rows_ = 0;
  std::set<std::pair<int64_t, Ref>> due_[2];  // time and key, where rows can go

  // Of the flush.
  int64_t left_bound_ = INT64_MIN;  // no right row comes with a time before it
  int64_t right_bound_ = INT64_MIN;  // no row of either side does
  std::vector<Ref> touched_;  // keys
  std::vector<Ref> retired_;  // records that left their trees and may still be emitted
  std::string scratch_a_, scratch_b_;
};

Result<AsOfJoin::Changes> AsOfJoin::Take(int side) {
  Input& input = inputs_[side];
  Changes changes;
  if (input.pending.empty()) return changes;
  changes.batch = input.pending.TakeSum(input.append_only);
  if (changes.batch.rows == 0) return changes;
  KAPPA_ASSIGN_OR_RETURN(static_cast<AsOfKeys&>(changes), FindAsOfKeys(input.expressions, descending_, changes.batch, context_));
  changes.refs.resize(changes.select.size());
  keys_.FindOrInsertBatch(*changes.keys, changes.select, changes.refs.data());
  changes.order.resize(changes.refs.size());
  std::iota(changes.order.begin(), changes.order.end(), size_t{0});
  // Left rows are looked at one by one: their order matters to what must be fetched, and to nothing else.
  if (side == kLeft && !state::Spilling()) return changes;
  std::sort(changes.order.begin(), changes.order.end(), [&](size_t a, size_t b) {
    if (changes.refs[a] != changes.refs[b]) return changes.refs[a] < changes.refs[b];
    const int by_time = changes.times->key(changes.select[a]).compare(changes.times->key(changes.select[b]));
    return by_time != 0 ? by_time < 0 : a < b;
  });
  return changes;
}

/// Where state is out of memory, what the changes from `at` on look at is fetched for many of them at a time.
void AsOfJoin::FetchAhead(int side, const Changes& changes, size_t at) const {
  const size_t count = std::min(state::kPathsAtOnce, changes.order.size() - at);
  std::vector<Ref> refs;
  for (size_t i = at; i < at + count; ++i) refs.push_back(changes.ref(i));
  keys_.FetchAhead(refs, 0);
  std::vector<RowTree> trees;
  std::vector<std::string_view> times;
  for (size_t i = 0; i < count; ++i) {
    const KeyHead& head = *reinterpret_cast<const KeyHead*>(keys_.Payload(refs[i]));
    for (const int tree : {kLeft, kRight}) {
      trees.push_back(head.sides[tree]);
      times.push_back(TimePart(side, changes.times->key(changes.row(at + i))));
    }
  }
  rows_.FetchPaths(trees, times);
}

/// Up to where the watermarks promise that nothing comes any more.
void AsOfJoin::SetBounds(const EpochContext& epoch) {
  const auto bound = [&](const std::optional<plan::AsOfJoin::Progress>& progress) {
    if (!progress || epoch.watermarks == nullptr) return INT64_MIN;
    const auto watermark = epoch.watermarks->find(progress->stream);
    int64_t time = INT64_MIN;
    if (watermark == epoch.watermarks->end() || __builtin_sub_overflow(watermark->second, progress->lag_us, &time)) return INT64_MIN;
    return time;
  };
  left_bound_ = bound(right_progress_);
  right_bound_ = std::min(left_bound_, bound(left_progress_));
}

/// The first row that is not below `key`; 0: none.
Ref AsOfJoin::FirstFrom(const RowTree& tree, std::string_view key) const {
  const int64_t at = rows_.LowerBound(tree, key);
  return at < tree.rows ? rows_.At(tree, at) : 0;
}

std::string AsOfJoin::TimeOf(int side, Ref record) {
  return std::string(TimePart(side, rows_.Key(record, scratch_a_).substr(0, rows_.OrderSize(record))));
}

/// The time of a record as microseconds: where rows expire it is a timestamp, in descending order.
int64_t AsOfJoin::MicrosOf(Ref record) { return static_cast<int64_t>(~OrderPrefix(rows_.Key(record, scratch_a_)) ^ 1ULL << 63); }

bool AsOfJoin::SameRow(Ref a, Ref b) {
  if (a == b || a == 0 || b == 0) return a == b;
  return rows_.Key(a, scratch_a_) == rows_.Key(b, scratch_b_);
}

/// A time followed by this lies after all rows of the time: their bytes begin with 0 or 1.
std::string AfterAll(std::string_view time) { return std::string(time) + '\xff'; }

Status AsOfJoin::Change(RowTree& tree, std::string_view time, std::string_view row, int64_t weight) {
  for (; weight > 0; --weight, ++kept_rows_) rows_.Insert(tree, rows_.NewRecord(time, row));
  if (weight == 0) return {};
  const std::string key = std::string(time).append(row);
  for (; weight < 0; ++weight, --kept_rows_) {
    const int64_t at = rows_.LowerBound(tree, key);
    if (at == tree.rows || rows_.Key(rows_.At(tree, at), scratch_a_) != key)
      return Error(sqlstate::kInternalError, "a change deletes a row that the as-of join does not have");
    retired_.push_back(rows_.EraseAt(tree, at));
  }
  return {};
}

Status AsOfJoin::ApplyRight(Output& out) {
  KAPPA_ASSIGN_OR_RETURN(const Changes changes, Take(kRight));
  if (changes.select.empty()) return {};
  const data::RowKeys bytes(changes.batch.columns, changes.batch.rows, /*canonical=*/false, /*hashed=*/false);
  Pairs pairs(inputs_[kLeft].schema);
  size_t fetched = 0;
  for (size_t from = 0, to; from < changes.order.size(); from = to) {
    for (to = from + 1; to < changes.order.size() && changes.ref(to) == changes.ref(from);) ++to;
    if (state::Spilling() && to > fetched) {
      FetchAhead(kRight, changes, from);
      fetched = from + state::kPathsAtOnce;
    }
    KAPPA_RETURN_IF_ERROR(ChangeKey(changes.ref(from), changes, bytes, std::span(changes.order).subspan(from, to - from), pairs, out));
  }
  EmitPairs(pairs, out);
  return {};
}

/// Changes the right side of one key. `rows` index `changes.select`, by time.
Status AsOfJoin::ChangeKey(Ref key, const Changes& changes, const data::RowKeys& bytes, std::span<const size_t> rows, Pairs& pairs, Output& out) {
  KeyHead* head = Head(key);
  touched_.push_back(key);
  const auto time_of = [&](size_t row) { return TimePart(kRight, changes.times->key(changes.select[row])); };
  std::vector<Instant> instants;
  const bool left_rows = head->sides[kLeft].rows > 0;
  for (const size_t row : rows) {
    if (!left_rows || (!instants.empty() && instants.back().time == time_of(row))) continue;
    const RowTree& right = head->sides[kRight];
    const int64_t at = rows_.LowerBound(right, time_of(row));
    Instant instant{time_of(row), at > 0 ? TimeOf(kRight, rows_.At(right, at - 1)) : "", at < right.rows ? rows_.At(right, at) : 0};
    if (!instants.empty() && instants.back().time > instant.before) instant.before = instants.back().time;
    instants.push_back(std::move(instant));
  }
  for (const size_t row : rows) {
    const int32_t i = changes.select[row];
    KAPPA_RETURN_IF_ERROR(Change(head->sides[kRight], changes.times->key(i), bytes.key(i), changes.batch.weight(i)));
  }
  std::vector<Ref> left;
  for (const Instant& instant : instants) {
    const Ref now = FirstFrom(head->sides[kRight], instant.time);
    if (SameRow(instant.match, now)) continue;
    // Left rows between the right row before and this time; which of the two bounds belongs to them depends on the comparison.
    const RowTree& tree = head->sides[kLeft];
    const int64_t from = instant.before.empty() ? 0 : rows_.LowerBound(tree, strict_ ? instant.before : AfterAll(instant.before));
    const int64_t to = rows_.LowerBound(tree, strict_ ? std::string(instant.time) : AfterAll(instant.time));
    left.clear();
    rows_.Read(tree, from, to - from, left);
    for (size_t i = 0; i < left.size(); ++i) {
      rows_.FetchAhead(left, i);
      const Ref record = left[i];
      const std::string_view row = rows_.Key(record, scratch_a_).substr(rows_.OrderSize(record));
      for (const auto& [match, weight] : {std::pair(instant.match, int64_t{-1}), std::pair(now, int64_t{1})}) {
        if (match == 0 && !outer_) continue;
        pairs.left.Append(row, /*borrow=*/false);
        pairs.right.push_back(match);
        pairs.weights.push_back(weight);
      }
      if (pairs.left.rows() >= EmitRows()) EmitPairs(pairs, out);
    }
  }
  return {};
}

Status AsOfJoin::ApplyLeft(Output& out) {
  KAPPA_ASSIGN_OR_RETURN(const Changes changes, Take(kLeft));
  std::vector<int32_t> rows;  // of the batch, as they come out
  std::vector<Ref> matches;
  if (outer_) {
    rows = changes.without;
    matches.resize(rows.size());
  }
  if (!changes.select.empty()) {
    const data::RowKeys bytes(changes.batch.columns, changes.batch.rows, /*canonical=*/false, /*hashed=*/false);
    for (size_t at = 0; at < changes.order.size(); ++at) {
      if (state::Spilling() && at % state::kPathsAtOnce == 0) FetchAhead(kLeft, changes, at);
      const Ref key = changes.ref(at);
      const int32_t i = changes.row(at);
      const std::string_view time = changes.times->key(i);
      const RowTree& right = reinterpret_cast<const KeyHead*>(keys_.Payload(key))->sides[kRight];
      const Ref match = right.rows == 0 ? 0 : strict_ ? FirstFrom(right, AfterAll(time)) : FirstFrom(right, time);
      if (match != 0 || outer_) {
        rows.push_back(i);
        matches.push_back(match);
      }
      touched_.push_back(key);
      const bool settled = right_progress_ && static_cast<int64_t>(~OrderPrefix(time) ^ 1ULL << 63) < left_bound_;
      if (!settled) KAPPA_RETURN_IF_ERROR(Change(Head(key)->sides[kLeft], time, bytes.key(i), changes.batch.weight(i)));
    }
  }
  const auto step = static_cast<size_t>(EmitRows());
  for (size_t from = 0; from < rows.size(); from += step) {
    const auto part = std::span(rows).subspan(from, std::min(step, rows.size() - from));
    data::ChangeBatch left = data::Gather(changes.batch, part);
    std::vector<int64_t> weights = left.weights ? *left.weights : std::vector<int64_t>();
    Emit(left.AsBatch(), std::span(matches).subspan(from, part.size()), std::move(weights), out);
  }
  return {};
}

/// The right rows as columns, each decoded once; NULLs for 0.
std::vector<data::ColumnPtr> AsOfJoin::RightColumns(std::span<const Ref> refs) {
  RowDecoder decoder(inputs_[kRight].schema);
  absl::flat_hash_map<Ref, int32_t> known;
  std::vector<int32_t> places(refs.size(), -1);
  for (size_t i = 0; i < refs.size(); ++i) {
    rows_.FetchAhead(refs, i);
    if (refs[i] == 0) continue;
    const auto [it, fresh] = known.try_emplace(refs[i], static_cast<int32_t>(decoder.rows()));
    if (fresh) decoder.Append(rows_.Key(refs[i], scratch_a_).substr(rows_.OrderSize(refs[i])), /*borrow=*/false);
    places[i] = it->second;
  }
  const data::Batch decoded = decoder.Finish();
  std::vector<data::ColumnPtr> columns;
  for (const data::ColumnPtr& column : decoded.columns) columns.push_back(data::Gather(*column, places));
  return columns;
}

/// No weights: all are 1.
void AsOfJoin::Emit(data::Batch left, std::span<const Ref> right, std::vector<int64_t> weights, Output& out) {
  data::ChangeBatch batch(std::move(left));
  for (data::ColumnPtr& column : RightColumns(right)) batch.columns.push_back(std::move(column));
  if (!weights.empty()) batch.weights = std::make_shared<const std::vector<int64_t>>(std::move(weights));
  out.push_back(std::move(batch));
}

void AsOfJoin::EmitPairs(Pairs& pairs, Output& out) {
  if (pairs.right.empty()) return;
  Emit(pairs.left.Finish(), pairs.right, std::exchange(pairs.weights, {}), out);
  pairs.right.clear();
}

void AsOfJoin::SetDue(Ref key, int side, std::optional<int64_t> due) {
  KeyHead* head = Head(key);
  if (head->has_due[side] != 0) due_[side].erase({head->due[side], key});
  if (due) due_[side].emplace(*due, key);
  head->has_due[side] = due ? 1 : 0;
  head->due[side] = due.value_or(0);
}

/// Frees the keys that became empty; the others learn when their next row can go.
void AsOfJoin::Settle() {
  std::sort(touched_.begin(), touched_.end());
  touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
  for (size_t i = 0; i < touched_.size(); ++i) {
    keys_.FetchAhead(touched_, i);
    const Ref key = touched_[i];
    const KeyHead head = *reinterpret_cast<const KeyHead*>(keys_.Payload(key));
    std::optional<int64_t> due[2];
    const RowTree &left = head.sides[kLeft], &right = head.sides[kRight];
    if (right_progress_ && left.rows > 0) due[kLeft] = MicrosOf(rows_.At(left, left.rows - 1));
    if (right_progress_ && left_progress_ && right.rows > 0) {
      const int64_t oldest = rows_.LowerBound(right, TimeOf(kRight, rows_.At(right, right.rows - 1)));
      if (oldest > 0) due[kRight] = MicrosOf(rows_.At(right, oldest - 1));  // the row that hides the oldest
    }
    for (const int side : {kLeft, kRight})
      if (due[side] || head.has_due[side] != 0) SetDue(key, side, due[side]);
    if (left.rows == 0 && right.rows == 0) keys_.Erase(key);
  }
  touched_.clear();
}

void AsOfJoin::Expire() {
  for (const int side : {kLeft, kRight}) {
    const int64_t bound = side == kLeft ? left_bound_ : right_bound_;
    while (!due_[side].empty() && due_[side].begin()->first < bound) {
      const Ref key = due_[side].begin()->second;
      RowTree& tree = Head(key)->sides[side];
      // The rows of the oldest time go.
      const int64_t oldest = rows_.LowerBound(tree, TimeOf(side, rows_.At(tree, tree.rows - 1)));
      while (tree.rows > oldest) {
        rows_.FreeRecord(rows_.EraseAt(tree, tree.rows - 1));
        --kept_rows_;
      }
      touched_.push_back(key);
      Settle();
    }
  }
}

}  // namespace

std::unique_ptr<Operator> MakeAsOfJoin(const plan::AsOfJoin& node, const OperatorOptions& options) {
  auto lasting = std::make_unique<AsOfJoin>(node, options);
  if (options.once) return MakeAsOfOnce(node, options, std::move(lasting));
  return lasting;
}

}  // namespace kappa::ops
