// Top-N: the first rows of each partition.
#include <algorithm>
#include <numeric>

#include "data/row_key.h"
#include "ops/consolidate.h"
#include "ops/factories.h"
#include "ops/over/order_key.h"
#include "ops/over/ordered_rows.h"
#include "ops/row_decoder.h"
#include "state/keyed_table.h"
#include "state/memory.h"

namespace kappa::ops {
namespace {

using state::Ref;
using Rank = plan::TopN::Rank;

/// A partition. With one row kept (`single`), tree.root is that row's record, and there is no tree.
struct PartitionHead {
  RowTree tree;
  uint64_t worst;    // single: order prefix of the row
  uint32_t touched;  // 1 + its place in touched_, 0 when the epoch has not changed it
  uint32_t known;    // 1 once its rows were emitted
};
static_assert(sizeof(PartitionHead) == 32);

struct RankedRow {
  Ref record;
  int64_t rank;
};

int64_t EmitRows() { return state::StepRows(8192); }

// Input        changes of any weight, one port.
// State        a table from the row key of `partition` to PartitionHead; the rows of each partition, in order. Append-only input with
//              row_number, rank or WITH TIES keeps only the rows that are in, or before, the range; one row a partition without a tree.
//              Everything else keeps all rows, because a delete brings others up.
// Watermark    ignored.
// Retractions  at the end of an epoch each partition that changed emits the rows that left the range and those that came; with the
//              rank in the output also the rows whose rank changed. A row that is replaced by an equal one is not emitted.
// Cost         one probe a row; log(rows) comparisons for a row that gets in, one for a row that does not; the range is walked once for
//              each partition that changed (with rank and dense_rank from its first row).
// Threads      one at a time.
class TopN final : public Operator {
 public:
  TopN(const plan::TopN& node, const OperatorOptions& options)
      : partition_(node.partition),
        order_(node.order),
        rank_(node.rank),
        from_(node.from),
        to_(node.to),
        with_rank_(node.with_rank),
        schema_(node.inputs[0]->schema),
        context_(options.context),
        watch_(options.watch),
        rows_(arena_),
        partitions_(arena_, 0, sizeof(PartitionHead)) {
    append_only_ = node.inputs[0]->append_only;
    const bool prunes = append_only_ && rank_ != Rank::kDenseRank && to_ != INT64_MAX;
    keep_ = prunes ? to_ : INT64_MAX;
    single_ = prunes && rank_ == Rank::kRowNumber && to_ == 1;
  }

  Status OnBatch(int port, data::ChangeBatch batch, Output& out) override;
  Status OnEpochEnd(const EpochContext& epoch, Output& out) override;
  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) override { visit("rows", arena_); }
  Status OnRestored() override;
  int64_t state_rows() const override { return kept_rows_; }
  int64_t held_bytes() const override { return held_bytes_; }
  int64_t errors() const override { return context_.errors; }

 private:
  struct Touched {
    Ref partition;
    size_t old_from, old_count;  // its emitted rows, in old_
    int32_t entering = -1;       // single: the place in the batch's entering rows of the best of them
  };
  /// The keys of a batch of rows.
  struct Keys {
    std::unique_ptr<data::RowKeys> partitions;
    std::unique_ptr<OrderKeys> order;
  };

  const PartitionHead& Read(Ref partition) const { return *reinterpret_cast<const PartitionHead*>(partitions_.Payload(partition)); }
  PartitionHead* Head(Ref partition) { return reinterpret_cast<PartitionHead*>(partitions_.MutablePayload(partition)); }
  Result<Keys> Evaluate(const data::Batch& batch);
  Status Append(const data::ChangeBatch& batch);
  std::vector<int32_t> Entering(const data::ChangeBatch& batch, const Keys& keys, std::span<const Ref> partitions);
  Status Apply();
  void FetchAhead(std::span<const Ref> partitions, const OrderKeys& orders, std::span<const int32_t> rows) const;
  size_t FetchTouched(std::span<const Touched> touched) const;
  void Touch(Ref partition, PartitionHead* head);
  void ReplaceSingle(PartitionHead* head, std::string_view order, std::string_view row);
  bool MayEnter(const PartitionHead& head, std::string_view order);
  void Prune(PartitionHead* head);
  void Visible(const PartitionHead& head, std::vector<RankedRow>& out);
  void Retire(Ref record);
  bool SameRow(const RankedRow& a, const RankedRow& b, int* order);
  Status Flush(Output& out);

  std::vector<expr::ExprPtr> partition_;
  std::vector<plan::SortKey> order_;
  Rank rank_;
  int64_t from_, to_;
  bool with_rank_;
  data::Schema schema_;
  expr::EvalContext context_;
  std::function<Status(int64_t)> watch_;
  bool append_only_ = false;
  bool single_ = false;
  int64_t keep_ = INT64_MAX;  // rows that can still matter, by rank
  state::Arena arena_;
  OrderedRows rows_;
  state::KeyedTable partitions_;
  int64_t kept_rows_ = 0;

  // Of the epoch.
  std::vector<data::ChangeBatch> pending_;  // changes of input that deletes: applied when the epoch's sum is known
  int64_t held_bytes_ = 0;                  // of pending_
  std::vector<Touched> touched_;
  std::vector<RankedRow> old_;
  std::vector<Ref> retired_;  // records that old_ names and no tree holds any more
  std::string key_a_, key_b_;
};

Result<TopN::Keys> TopN::Evaluate(const data::Batch& batch) {
  KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> partition, expr::EvaluateAll(partition_, batch, context_));
  KAPPA_ASSIGN_OR_RETURN(const std::vector<SortColumn> order, SortColumns(order_, batch, context_));
  return Keys{std::make_unique<data::RowKeys>(partition, batch.rows), std::make_unique<OrderKeys>(order, batch.rows)};
}

Status TopN::OnBatch(int, data::ChangeBatch batch, Output&) {
  if (batch.rows == 0 || to_ < from_) return {};
  if (append_only_) {
    const int64_t rows = batch.rows, step = state::Spilling() ? int64_t{state::kPathsAtOnce} : rows;
    for (int64_t at = 0; at < rows; at += step)
      KAPPA_RETURN_IF_ERROR(Append(step >= rows ? batch : data::Slice(batch, at, std::min(step, rows - at))));
    return {};
  }
  held_bytes_ += BatchBytes(batch);
  pending_.push_back(std::move(batch));
  return {};
}

/// Where state is out of memory, what changes of these rows look at is fetched for all of them at a time.
void TopN::FetchAhead(std::span<const Ref> partitions, const OrderKeys& orders, std::span<const int32_t> rows) const {
  if (!state::Spilling()) return;
  std::vector<Ref> heads, records;
  for (const int32_t row : rows) heads.push_back(partitions[static_cast<size_t>(row)]);
  const std::vector<RowTree> trees = TreesOf(partitions_, heads);
  if (single_) {
    for (const RowTree& tree : trees) records.push_back(tree.root);
  } else {
    std::vector<std::string_view> keys;
    for (const int32_t row : rows) keys.push_back(orders.key(row));
    rows_.FetchPaths(trees, keys);
    for (const RowTree& tree : trees)
      if (tree.rows >= keep_) rows_.Read(tree, tree.rows - 1, 1, records);  // what a row that gets in drives out
  }
  rows_.FetchRecords(records);
}

/// The same for the rows that the next partitions show. Returns how many partitions these are.
size_t TopN::FetchTouched(std::span<const Touched> touched) const {
  touched = touched.first(std::min(state::kPathsAtOnce, touched.size()));
  std::vector<Ref> heads, records;
  for (const Touched& next : touched) heads.push_back(next.partition);
  const std::vector<RowTree> trees = TreesOf(partitions_, heads);
  if (!single_) rows_.FetchPaths(trees, std::vector<std::string_view>(trees.size()));
  size_t count = 0;
  for (; count < touched.size() && records.size() < state::kReadsAtOnce; ++count) {
    if (single_) records.push_back(trees[count].root);
    else rows_.Read(trees[count], 0, std::min<int64_t>(to_, state::kReadsAtOnce), records);
    for (size_t i = 0; i < touched[count].old_count; ++i) records.push_back(old_[touched[count].old_from + i].record);
  }
  rows_.FetchRecords(records);
  return count;
}

/// The rows that its partition shows now are remembered before the epoch's first change to it.
void TopN::Touch(Ref partition, PartitionHead* head) {
  if (head->touched != 0) return;
  const size_t from = old_.size();
  if (head->known != 0) Visible(*head, old_);
  touched_.push_back({partition, from, old_.size() - from});
  head->touched = static_cast<uint32_t>(touched_.size());
}

/// Frees a record that left its tree, at the end of the epoch when the epoch began with it.
void TopN::Retire(Ref record) {
  --kept_rows_;
  if (old_.empty()) rows_.FreeRecord(record);
  else retired_.push_back(record);
}

/// False for a row that the kept ones keep out, by its order key alone.
bool TopN::MayEnter(const PartitionHead& head, std::string_view order) {
  if (head.tree.rows < keep_) return true;
  const uint64_t prefix = OrderPrefix(order);
  const uint64_t worst = single_ ? head.worst : rows_.LastPrefix(head.tree);
  if (prefix != worst) return prefix < worst;
  const Ref record = single_ ? head.tree.root : rows_.At(head.tree, head.tree.rows - 1);
  return order <= rows_.Key(record, key_a_).substr(0, rows_.OrderSize(record));
}

void TopN::ReplaceSingle(PartitionHead* head, std::string_view order, std::string_view row) {
  if (head->tree.root != 0) {
    const std::string_view kept = rows_.Key(head->tree.root, key_a_);
    const int by_order = order.compare(kept.substr(0, std::min(kept.size(), order.size())));
    if (by_order > 0 || (by_order == 0 && row >= kept.substr(order.size()))) return;
    Retire(head->tree.root);
  }
  head->tree = {rows_.NewRecord(order, row), 1};
  head->worst = OrderPrefix(order);
  ++kept_rows_;
}

/// Drops the rows at the end that no longer can get into the range.
void TopN::Prune(PartitionHead* head) {
  while (head->tree.rows > keep_) {
    if (rank_ != Rank::kRowNumber) {  // peers of the last rank stay
      const Ref last = rows_.At(head->tree, head->tree.rows - 1);
      if (rows_.LowerBound(head->tree, rows_.Key(last, key_a_).substr(0, rows_.OrderSize(last))) < keep_) return;
    }
    Retire(rows_.EraseAt(head->tree, head->tree.rows - 1));
  }
}

/// The rows of a batch that may get in. Where a partition keeps one row, only the best of each, with its peers.
std::vector<int32_t> TopN::Entering(const data::ChangeBatch& batch, const Keys& keys, std::span<const Ref> partitions) {
  std::vector<int32_t> entering;
  for (int32_t i = 0; i < batch.rows; ++i) {
    const Ref partition = partitions[static_cast<size_t>(i)];
    const std::string_view order = keys.order->key(i);
    if (batch.weight(i) <= 0 || !MayEnter(Read(partition), order)) continue;
    if (single_) {
      PartitionHead* head = Head(partition);
      Touch(partition, head);
      int32_t& best = touched_[head->touched - 1].entering;
      const int by_order = best < 0 ? 0 : order.compare(keys.order->key(entering[static_cast<size_t>(best)]));
      if (by_order > 0) continue;
      if (by_order < 0) {
        entering[static_cast<size_t>(best)] = i;
        continue;
      }
      best = static_cast<int32_t>(entering.size());
    }
    entering.push_back(i);
  }
  if (single_) {
    for (const int32_t i : entering) touched_[Read(partitions[static_cast<size_t>(i)]).touched - 1].entering = -1;
  }
  return entering;
}

Status TopN::Append(const data::ChangeBatch& batch) {
  KAPPA_ASSIGN_OR_RETURN(const Keys keys, Evaluate(batch.AsBatch()));
  std::vector<int32_t> all(static_cast<size_t>(batch.rows));
  std::iota(all.begin(), all.end(), 0);
  std::vector<Ref> refs(all.size());
  partitions_.FindOrInsertBatch(*keys.partitions, all, refs.data());
  FetchAhead(refs, *keys.order, all);
  // Most rows of a long stream do not get in: only the others are turned into bytes.
  const std::vector<int32_t> entering = Entering(batch, keys, refs);
  if (entering.empty()) return {};
  const data::ChangeBatch rows = static_cast<int64_t>(entering.size()) == batch.rows ? batch : data::Gather(batch, entering);
  const data::RowKeys bytes(rows.columns, static_cast<int64_t>(entering.size()), /*canonical=*/false, /*hashed=*/false);
  for (size_t k = 0; k < entering.size(); ++k) {
    const int32_t i = entering[k];
    const Ref partition = refs[static_cast<size_t>(i)];
    PartitionHead* head = Head(partition);
    const std::string_view order = keys.order->key(i), row = bytes.key(static_cast<int64_t>(k));
    if (!MayEnter(*head, order)) continue;
    Touch(partition, head);
    if (single_) {
      ReplaceSingle(head, order, row);
      continue;
    }
    const int64_t weight = batch.weight(i);
    for (int64_t copies = rank_ == Rank::kRowNumber ? std::min(weight, keep_) : weight; copies > 0; --copies) {  // copies are peers
      rows_.Insert(head->tree, rows_.NewRecord(order, row));
      ++kept_rows_;
    }
    Prune(head);
  }
  return {};
}

/// Brings the pending changes into the trees. Their sum never deletes what is not there.
Status TopN::Apply() {
  if (pending_.empty()) return {};
  const data::ChangeBatch batch = Consolidate(pending_);
  pending_.clear();
  held_bytes_ = 0;
  if (batch.rows == 0) return {};
  KAPPA_ASSIGN_OR_RETURN(const Keys keys, Evaluate(batch.AsBatch()));
  const data::RowKeys bytes(batch.columns, batch.rows, /*canonical=*/false, /*hashed=*/false);
  std::vector<int32_t> all(static_cast<size_t>(batch.rows));
  std::iota(all.begin(), all.end(), 0);
  std::vector<Ref> refs(all.size());
  partitions_.FindOrInsertBatch(*keys.partitions, all, refs.data());
  std::string key;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i % state::kPathsAtOnce == 0) FetchAhead(refs, *keys.order, std::span(all).subspan(i, std::min(state::kPathsAtOnce, all.size() - i)));
    const int64_t weight = batch.weight(all[i]);
    PartitionHead* head = Head(refs[i]);
    Touch(refs[i], head);
    const std::string_view order = keys.order->key(all[i]), row = bytes.key(all[i]);
    for (int64_t k = 0; k < weight; ++k) {
      rows_.Insert(head->tree, rows_.NewRecord(order, row));
      ++kept_rows_;
    }
    if (weight >= 0) continue;
    key.assign(order).append(row);
    for (int64_t k = weight; k < 0; ++k) {
      const int64_t at = rows_.LowerBound(head->tree, key);
      if (at == head->tree.rows || rows_.Key(rows_.At(head->tree, at), key_a_) != key)
        return Error(sqlstate::kInternalError, "a change deletes a row that its partition does not have");
      Retire(rows_.EraseAt(head->tree, at));
    }
  }
  return {};
}

/// The rows of the range, in order.
void TopN::Visible(const PartitionHead& head, std::vector<RankedRow>& out) {
  if (head.tree.root == 0) return;
  if (single_) {
    out.push_back({head.tree.root, 1});
    return;
  }
  std::vector<Ref> records;
  if (rank_ == Rank::kRowNumber) {
    rows_.Read(head.tree, from_ - 1, to_ == INT64_MAX ? head.tree.rows : to_ - from_ + 1, records);
    for (size_t i = 0; i < records.size(); ++i) out.push_back({records[i], from_ + static_cast<int64_t>(i)});
    return;
  }
  int64_t position = 0, rank = 0;
  Ref peer = 0;
  for (int64_t chunk = 64; position < head.tree.rows; chunk *= 2) {
    records.clear();
    rows_.Read(head.tree, position, chunk, records);
    for (const Ref record : records) {
      ++position;
      const bool same =
          peer != 0 && rows_.Key(record, key_a_).substr(0, rows_.OrderSize(record)) == rows_.Key(peer, key_b_).substr(0, rows_.OrderSize(peer));
      if (!same) rank = rank_ == Rank::kDenseRank ? rank + 1 : position;
      peer = record;
      if (rank > to_) return;
      if ((rank_ == Rank::kTies ? position : rank) >= from_) out.push_back({record, rank});
    }
  }
}

/// Whether two rows look the same in the output; `order` receives which comes first.
bool TopN::SameRow(const RankedRow& a, const RankedRow& b, int* order) {
  *order = a.record == b.record ? 0 : rows_.Key(a.record, key_a_).compare(rows_.Key(b.record, key_b_));
  return *order == 0 && (!with_rank_ || a.rank == b.rank);
}

Status TopN::OnEpochEnd(const EpochContext& epoch, Output& out) {
  KAPPA_RETURN_IF_ERROR(Apply());
  return epoch.flush ? Flush(out) : Status();
}

Status TopN::Flush(Output& out) {
  RowDecoder decoder(schema_);
  data::ColumnBuilder ranks(data::TypeId::kInt8);
  auto weights = std::make_shared<std::vector<int64_t>>();
  bool plain = true;
  const auto emit = [&] {
    if (decoder.rows() == 0) return;
    data::ChangeBatch batch(decoder.Finish());
    if (with_rank_) batch.columns.push_back(ranks.Finish());
    if (!plain) batch.weights = std::move(weights);
    out.push_back(std::move(batch));
    weights = std::make_shared<std::vector<int64_t>>();
    plain = true;
  };
  const auto add = [&](const RankedRow& row, int64_t weight) {
    const std::string_view key = rows_.Key(row.record, key_a_);
    decoder.Append(key.substr(rows_.OrderSize(row.record)), /*borrow=*/false);
    if (with_rank_) ranks.Append(row.rank);
    weights->push_back(weight);
    plain = plain && weight == 1;
    if (decoder.rows() >= EmitRows()) emit();
  };
  std::vector<RankedRow> now;
  int64_t since_watch = 0;
  if (state::Spilling()) std::ranges::sort(touched_, {}, &Touched::partition);
  size_t fetched = 0;
  for (size_t i = 0; i < touched_.size(); ++i) {
    if (state::Spilling() && i == fetched) fetched += FetchTouched(std::span(touched_).subspan(i));
    const Touched& touched = touched_[i];
    PartitionHead* head = Head(touched.partition);
    now.clear();
    Visible(*head, now);
    size_t a = touched.old_from, b = 0;
    const size_t a_end = a + touched.old_count;
    if (watch_ && ++since_watch % 1024 == 0) KAPPA_RETURN_IF_ERROR(watch_(0));
    while (a < a_end || b < now.size()) {
      int order = a == a_end ? 1 : b == now.size() ? -1 : 0;
      if (order == 0 && SameRow(old_[a], now[b], &order)) {
        ++a;
        ++b;
        continue;
      }
      if (order <= 0) add(old_[a++], -1);
      if (order >= 0) add(now[b++], 1);
    }
    head->touched = 0;
    head->known = 1;
    if (head->tree.rows == 0) partitions_.Erase(touched.partition);
  }
  emit();
  for (const Ref record : retired_) rows_.FreeRecord(record);
  retired_.clear();
  touched_.clear();
  old_.clear();
  return {};
}

Status TopN::OnRestored() {
  KAPPA_RETURN_IF_ERROR(arena_.CheckLoaded());
  KAPPA_RETURN_IF_ERROR(partitions_.Attach());
  kept_rows_ = 0;
  partitions_.ForEach([&](Ref partition) { kept_rows_ += reinterpret_cast<const PartitionHead*>(partitions_.Payload(partition))->tree.rows; });
  return {};
}

}  // namespace

std::unique_ptr<Operator> MakeTopN(const plan::TopN& node, const OperatorOptions& options) { return std::make_unique<TopN>(node, options); }

}  // namespace kappa::ops
