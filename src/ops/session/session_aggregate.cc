// SessionAggregate: GROUP BY over SESSION without keeping rows: sessions and their running results grow and merge in place.
#include <algorithm>
#include <set>

#include "data/row_key.h"
#include "ops/aggregate/accumulator_calls.h"
#include "ops/factories.h"
#include "ops/row_decoder.h"
#include "ops/session/event_times.h"
#include "ops/time_tree.h"
#include "ops/value_bytes.h"
#include "state/keyed_table.h"
#include "state/memory.h"

namespace kappa::ops {
namespace {

/// A session, by its first time; the accumulators' states follow.
struct SessionNode : TimeNode {
  int64_t last;
  state::Ref key;
  uint32_t touched;  // its place in touched_ + 1 within an epoch that changed it
  uint32_t known;    // 1 once it was emitted
};
/// What a partition key carries.
struct PartitionEntry {
  state::Ref root;    // of its sessions
  state::Ref newest;  // the last of them: most rows belong there
  int64_t bound;      // no session of it ends before (where sessions close or expire)
};

size_t EmitSessions() { return static_cast<size_t>(state::StepRows(65536)); }  // that are finished at once
constexpr uint32_t kNodeBytesMax = 8192;

// Input        append-only. Rows with NULL or infinite time are dropped.
// State        by partition key a tree of disjoint sessions with their accumulators; no rows.
// Watermark    updating: passed by, sessions are kept for ever. With `closes`: a session whose end lies before the watermark can
//              get no more rows (those at exactly its end would still belong to it): it is emitted once and dropped.
// Time         with `expires`: a session whose end lies before the epochs' time is taken back and dropped.
// Retractions  a session that an epoch changed emits its old row (-1) and its new row (+1) at the end of the epoch, nothing when they
//              are the same; of sessions that merged, all old rows and one new row.
// Cost         one probe per row, and for rows that are not in the newest session O(log n); one pass per accumulator.
// Threads      one at a time.
class SessionAggregate final : public Operator {
 public:
  SessionAggregate(const plan::SessionAggregate& node, const OperatorOptions& options)
      : keys_(node.keys),
        time_(static_cast<size_t>(node.time_column)),
        gap_(node.gap_us),
        closes_(node.closes),
        expires_(node.expires),
        close_stream_(node.close_stream),
        time_type_(node.inputs[0]->schema.fields[time_].type),
        context_(options.context),
        partitions_(arena_, 0, sizeof(PartitionEntry)) {
    for (size_t i = 0; i < keys_.size(); ++i) key_schema_.fields.push_back({node.schema.fields[i].name, keys_[i]->type(), true});
  }
  Status Make(const plan::SessionAggregate& node) {
    AccumulatorSetup setup;
    setup.blobs = &arena_;
    setup.append_only = true;
    setup.drops_groups = closes_ || expires_;
    setup.max_payload_bytes = kNodeBytesMax;
    KAPPA_RETURN_IF_ERROR(calls_.Make(node.aggregates, setup, {sizeof(SessionNode)}));
    tree_ = std::make_unique<TimeTree>(arena_, calls_.payload_bytes());
    return {};
  }

  Status OnBatch(int, data::ChangeBatch batch, Output&) override {
    const data::Column& time = *batch.columns[time_];
    KAPPA_ASSIGN_OR_RETURN(const std::vector<int32_t> select, RowsWithTime(batch, time, gap_, context_));
    if (select.empty()) return {};
    KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> key_columns, expr::EvaluateAll(keys_, batch.AsBatch(), context_));
    const data::RowKeys keys(key_columns, batch.rows);
    partition_refs_.resize(select.size());
    partitions_.FindOrInsertBatch(keys, select, partition_refs_.data());
    sessions_.resize(static_cast<size_t>(batch.rows));
    payloads_.resize(static_cast<size_t>(batch.rows));
    absorbed_.clear();
    const auto* times = time.data<int64_t>();
    for (size_t i = 0; i < select.size(); ++i) {
      const auto row = static_cast<size_t>(select[i]);
      sessions_[row] = Assign(partition_refs_[i], times[row]);
      payloads_[row] = arena_.Mutable(sessions_[row]);
    }
    KAPPA_RETURN_IF_ERROR(KeepOldResults());
    KAPPA_RETURN_IF_ERROR(calls_.Update(batch, select, payloads_.data(), sessions_.data(), context_));
    for (const auto& [from, into] : absorbed_) {
      KAPPA_RETURN_IF_ERROR(calls_.Merge(arena_.Mutable(into), arena_.Mutable(from)));
      calls_.Drop(arena_.Mutable(from));
      arena_.Free(from, calls_.payload_bytes());
    }
    return {};
  }

  Status OnEpochEnd(const EpochContext& epoch, Output& out) override {
    if (expires_) KAPPA_RETURN_IF_ERROR(Expire(epoch.wall_us));
    if (!closes_) return epoch.flush ? Flush(out) : Status();
    if (epoch.watermarks == nullptr) return {};
    const auto watermark = epoch.watermarks->find(close_stream_);
    return watermark == epoch.watermarks->end() ? Status() : Close(watermark->second, out);
  }

  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) override { visit("sessions", arena_); }
  Status OnRestored() override {
    KAPPA_RETURN_IF_ERROR(arena_.CheckLoaded());
    KAPPA_RETURN_IF_ERROR(partitions_.Attach());
    closing_.clear();
    if (closes_ || expires_) partitions_.ForEach([&](state::Ref key) { closing_.emplace(Partition(key)->bound, key); });
    return {};
  }
  int64_t next_due_us() const override { return !expires_ || closing_.empty() ? INT64_MAX : closing_.begin()->first + 1; }
  int64_t state_rows() const override { return partitions_.rows(); }
  int64_t errors() const override { return context_.errors; }

 private:
  /// Sessions on their way out.
  struct Emission {
    explicit Emission(const data::Schema& key_schema) : keys(key_schema) {}
    RowDecoder keys;
    std::vector<int64_t> starts, ends;
    void Add(std::string_view key, int64_t start, int64_t end) {
      keys.Append(key, /*borrow=*/false);
      starts.push_back(start);
      ends.push_back(end);
    }
    data::ChangeBatch Finish(const data::Type& time, std::vector<data::ColumnPtr> results) {
      data::ChangeBatch batch(keys.Finish());
      batch.rows = static_cast<int64_t>(starts.size());
      batch.columns.push_back(TimesColumn(time, starts));
      batch.columns.push_back(TimesColumn(time, ends));
      std::move(results.begin(), results.end(), std::back_inserter(batch.columns));
      starts.clear();
      ends.clear();
      return batch;
    }
  };
  struct Old {
    state::Ref key;
    int64_t start, last;
  };
  struct Touched {
    state::Ref session;
    int32_t old;
  };  // session 0: merged into another; old -1: none

  const SessionNode* Get(state::Ref session) const { return static_cast<const SessionNode*>(tree_->Get(session)); }
  SessionNode* Mutable(state::Ref session) { return static_cast<SessionNode*>(tree_->Mutable(session)); }
  PartitionEntry* MutablePartition(state::Ref key) { return reinterpret_cast<PartitionEntry*>(partitions_.MutablePayload(key)); }
  const PartitionEntry* Partition(state::Ref key) const { return reinterpret_cast<const PartitionEntry*>(partitions_.Payload(key)); }

  /// The session that a row belongs to, after it grew, merged or was made for it.
  state::Ref Assign(state::Ref key, int64_t time) {
    const PartitionEntry partition = *Partition(key);  // a copy: writing moves pages
    const state::Ref newest = partition.newest;
    const state::Ref before = newest != 0 && Get(newest)->time <= time ? newest : tree_->Floor(partition.root, time);
    if (before != 0 && time <= Get(before)->last + gap_) {
      Touch(before);
      if (time > Get(before)->last) {
        Mutable(before)->last = time;
        const state::Ref after = before == newest ? 0 : tree_->Next(partition.root, before);
        if (after != 0 && Get(after)->time - time <= gap_) Absorb(key, before, after);
      }
      return before;
    }
    const state::Ref after = before == newest ? 0 : tree_->Ceiling(partition.root, time);
    if (after != 0 && Get(after)->time - time <= gap_) {
      Touch(after);
      Mutable(after)->time = time;  // the order in the tree stays: no other session lies between
      return after;
    }
    PartitionEntry* owner = MutablePartition(key);
    const bool fresh = owner->root == 0;
    const state::Ref session = tree_->Insert(owner->root, time);
    SessionNode* node = Mutable(session);
    node->last = time;
    node->key = key;
    if (newest == 0 || time > Get(newest)->time) owner->newest = session;
    Touch(session);
    if ((closes_ || expires_) && (fresh || time + gap_ < owner->bound)) SetBound(key, time + gap_, !fresh);
    return session;
  }
  /// `after` becomes a part of `before`. It lives on until the batch's rows have reached its accumulators.
  void Absorb(state::Ref key, state::Ref before, state::Ref after) {
    Touch(after);
    SessionNode* node = Mutable(after);
    Mutable(before)->last = node->last;
    if (!closes_) touched_[node->touched - 1].session = 0;
    PartitionEntry* partition = MutablePartition(key);
    tree_->Detach(partition->root, after);
    if (partition->newest == after) partition->newest = before;
    absorbed_.emplace_back(after, before);
  }
  /// Remembers what the session's row was, in the first change of an epoch.
  void Touch(state::Ref session) {
    if (closes_ || Get(session)->touched != 0) return;
    SessionNode* node = Mutable(session);
    touched_.push_back({session, node->known != 0 ? static_cast<int32_t>(old_.size()) : -1});
    node->touched = static_cast<uint32_t>(touched_.size());
    if (node->known == 0) return;
    old_.push_back({node->key, node->time, node->last});
    old_payloads_.push_back(reinterpret_cast<char*>(node));
  }
  /// The results of the sessions that Touch has met, before they change.
  Status KeepOldResults() {
    if (old_payloads_.empty()) return {};
    expr::EvalContext context = context_;  // its errors were counted when the results were new
    KAPPA_ASSIGN_OR_RETURN(std::vector<data::ColumnPtr> columns, calls_.Finish(old_payloads_, context));
    old_results_.resize(columns.size());
    for (size_t c = 0; c < columns.size(); ++c) old_results_[c].push_back(std::move(columns[c]));
    old_payloads_.clear();
    return {};
  }
  void SetBound(state::Ref key, int64_t bound, bool known) {
    PartitionEntry* partition = MutablePartition(key);
    if (known) closing_.erase({partition->bound, key});
    partition->bound = bound;
    closing_.emplace(bound, key);
  }

  Status Flush(Output& out) {
    if (touched_.empty()) return {};
    std::vector<data::ColumnPtr> old_results;
    for (const auto& parts : old_results_) old_results.push_back(parts.size() == 1 ? parts[0] : data::Concatenate(parts));
    std::vector<bool> unchanged(old_.size());
    std::vector<state::Ref> sessions;
    std::vector<int32_t> olds;
    std::string scratch;
    for (size_t from = 0; from < touched_.size();) {
      sessions.clear();
      olds.clear();
      std::vector<char*> payloads;
      for (size_t i = from; state::Spilling() && i < std::min(touched_.size(), from + EmitSessions()); ++i)
        if (touched_[i].session != 0) state::WillRead(Get(touched_[i].session), calls_.payload_bytes());
      for (; from < touched_.size() && sessions.size() < EmitSessions(); ++from) {
        if (touched_[from].session == 0) continue;
        sessions.push_back(touched_[from].session);
        olds.push_back(touched_[from].old);
        payloads.push_back(arena_.Mutable(sessions.back()));
      }
      KAPPA_ASSIGN_OR_RETURN(std::vector<data::ColumnPtr> results, calls_.Finish(payloads, context_));
      Emission emission(key_schema_);
      std::vector<int32_t> changed;
      for (size_t i = 0; i < sessions.size(); ++i) {
        SessionNode* node = Mutable(sessions[i]);
        node->touched = 0;
        node->known = 1;
        if (olds[i] >= 0 && SameRow(old_[static_cast<size_t>(olds[i])], old_results, olds[i], *node, results, static_cast<int64_t>(i))) {
          unchanged[static_cast<size_t>(olds[i])] = true;
          continue;
        }
        emission.Add(partitions_.Key(node->key, scratch), node->time, node->last + gap_);
        changed.push_back(static_cast<int32_t>(i));
      }
      if (changed.empty()) continue;
      if (changed.size() < sessions.size())
        for (data::ColumnPtr& column : results) column = data::Gather(*column, changed);
      out.push_back(emission.Finish(time_type_, std::move(results)));
    }
    EmitOld(old_results, unchanged, out);
    std::sort(emptied_.begin(), emptied_.end());
    emptied_.erase(std::unique(emptied_.begin(), emptied_.end()), emptied_.end());
    for (const state::Ref key : emptied_)
      if (Partition(key)->root == 0) partitions_.Erase(key);
    emptied_.clear();
    touched_.clear();
    old_.clear();
    old_results_.clear();
    return {};
  }

  bool SameRow(const Old& old, const std::vector<data::ColumnPtr>& old_results, int32_t old_row, const SessionNode& node,
               const std::vector<data::ColumnPtr>& results, int64_t row) const {
    if (old.start != node.time || old.last != node.last) return false;
    for (size_t c = 0; c < results.size(); ++c) {
      const bool null = results[c]->IsNull(row);
      if (null != old_results[c]->IsNull(old_row) || (!null && ValueBytes(*results[c], row) != ValueBytes(*old_results[c], old_row))) return false;
    }
    return true;
  }

  void EmitOld(const std::vector<data::ColumnPtr>& old_results, const std::vector<bool>& unchanged, Output& out) {
    Emission emission(key_schema_);
    std::vector<int32_t> deleted;
    std::string scratch;
    for (size_t i = 0; i < old_.size(); ++i) {
      if (unchanged[i]) continue;
      emission.Add(partitions_.Key(old_[i].key, scratch), old_[i].start, old_[i].last + gap_);
      deleted.push_back(static_cast<int32_t>(i));
    }
    if (deleted.empty()) return;
    std::vector<data::ColumnPtr> results;
    for (const data::ColumnPtr& column : old_results) results.push_back(data::Gather(*column, deleted));
    data::ChangeBatch batch = emission.Finish(time_type_, std::move(results));
    batch.weights = std::make_shared<const std::vector<int64_t>>(deleted.size(), -1);
    out.push_back(std::move(batch));
  }

  /// Drops the sessions that ended before `now`: time does not go back, so that no row can join them. The next flush takes their rows back.
  Status Expire(int64_t now) {
    std::vector<state::Ref> expired;
    while (!closing_.empty() && closing_.begin()->first < now) {
      const state::Ref key = closing_.begin()->second;
      closing_.erase(closing_.begin());
      PartitionEntry* partition = MutablePartition(key);
      while (partition->root != 0) {
        const state::Ref first = tree_->First(partition->root);
        const int64_t end = Get(first)->last + gap_;
        if (end >= now) {
          SetBound(key, end, /*known=*/false);
          break;
        }
        Touch(first);
        touched_[Get(first)->touched - 1].session = 0;
        tree_->Detach(partition->root, first);
        expired.push_back(first);
      }
      if (partition->root != 0) continue;
      partition->newest = 0;
      emptied_.push_back(key);
    }
    KAPPA_RETURN_IF_ERROR(KeepOldResults());
    for (const state::Ref session : expired) {
      calls_.Drop(arena_.Mutable(session));
      arena_.Free(session, calls_.payload_bytes());
    }
    return {};
  }

  Status Close(int64_t watermark, Output& out) {
    std::vector<state::Ref> closed;
    Emission emission(key_schema_);
    std::string scratch;
    while (!closing_.empty() && closing_.begin()->first < watermark) {
      const state::Ref key = closing_.begin()->second;
      closing_.erase(closing_.begin());
      PartitionEntry* partition = MutablePartition(key);
      while (partition->root != 0) {
        const state::Ref first = tree_->First(partition->root);
        const int64_t end = Get(first)->last + gap_;
        if (end >= watermark) {
          SetBound(key, end, /*known=*/false);
          break;
        }
        emission.Add(partitions_.Key(key, scratch), Get(first)->time, end);
        tree_->Detach(partition->root, first);
        closed.push_back(first);
      }
      if (partition->root == 0) partitions_.Erase(key);
      if (closed.size() >= EmitSessions()) KAPPA_RETURN_IF_ERROR(GiveClosed(closed, emission, out));
    }
    return GiveClosed(closed, emission, out);
  }

  Status GiveClosed(std::vector<state::Ref>& closed, Emission& emission, Output& out) {
    if (closed.empty()) return {};
    std::vector<char*> payloads;
    for (const state::Ref session : closed) payloads.push_back(arena_.Mutable(session));
    KAPPA_ASSIGN_OR_RETURN(std::vector<data::ColumnPtr> results, calls_.Finish(payloads, context_));
    out.push_back(emission.Finish(time_type_, std::move(results)));
    for (const state::Ref session : closed) {
      calls_.Drop(arena_.Mutable(session));
      arena_.Free(session, calls_.payload_bytes());
    }
    closed.clear();
    return {};
  }

  std::vector<expr::ExprPtr> keys_;
  data::Schema key_schema_;
  size_t time_;
  int64_t gap_;
  bool closes_;
  bool expires_;
  uint32_t close_stream_;
  data::Type time_type_;
  expr::EvalContext context_;
  AccumulatorCalls calls_;
  state::Arena arena_;
  state::KeyedTable partitions_;
  std::unique_ptr<TimeTree> tree_;
  std::set<std::pair<int64_t, state::Ref>> closing_;  // bound and key of every partition, where sessions close or expire

  // Of the epoch.
  std::vector<Touched> touched_;
  std::vector<Old> old_;
  std::vector<state::Ref> emptied_;  // partitions whose last session expired
  std::vector<std::vector<data::ColumnPtr>> old_results_;  // per call: parts

  // Of the batch.
  std::vector<state::Ref> partition_refs_, sessions_;
  std::vector<char*> payloads_, old_payloads_;
  std::vector<std::pair<state::Ref, state::Ref>> absorbed_;  // from, into; in order
};

}  // namespace

Result<std::unique_ptr<Operator>> MakeSessionAggregate(const plan::SessionAggregate& node, const OperatorOptions& options) {
  KAPPA_CHECK(node.inputs[0]->append_only);
  auto sessions = std::make_unique<SessionAggregate>(node, options);
  KAPPA_RETURN_IF_ERROR(sessions->Make(node));
  return std::unique_ptr<Operator>(std::move(sessions));
}

}  // namespace kappa::ops
