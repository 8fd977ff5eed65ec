// Session: gives each row the session that it lies in, and the rows of a session new bounds when it grows, merges or splits.
#include <absl/container/flat_hash_set.h>

#include <set>

#include "data/row_key.h"
#include "ops/factories.h"
#include "ops/row_decoder.h"
#include "ops/session/event_times.h"
#include "ops/time_tree.h"
#include "state/keyed_table.h"
#include "state/memory.h"

namespace kappa::ops {
namespace {

constexpr int64_t kGiveRows = 65536;  // of a batch

/// What a row of the row table carries: how often it is there, and how it was last given.
struct SessionRow {
  int64_t count;
  int64_t emitted;     // copies given out
  int64_t start, end;  // their window
  state::Ref node;     // of its time; 0: not linked
  state::Ref next, previous;  // of the same time
  uint64_t touched;    // 1 in an epoch that changed it
};
/// All rows of one partition and one time.
struct InstantNode : TimeNode {
  state::Ref head;
  state::Ref key;
};
/// What a partition key carries.
struct PartitionEntry {
  state::Ref root;  // of its instants
  int64_t bound;    // no session of it ends before (where sessions close or expire)
};

// Input        changes of any weight; append-only where sessions close. Rows with NULL or infinite time are dropped.
// State        every row with its count and the window it was last given with; by partition key a tree of the instants.
// Watermark    updating: passed by. With `closes`: a session whose end lies before the watermark can get no more rows (those at
//              exactly its end would still belong to it), so its rows are given once and dropped.
// Time         with `expires`: rows of a session whose end lies before the epochs' time are taken back and dropped.
// Retractions  at the end of an epoch, rows whose session changed are given again: the old window with -1, the new with +1.
// Cost         O(log n) for a row; the end of an epoch walks the sessions that the epoch changed.
// Threads      one at a time.
class Session final : public Operator {
 public:
  Session(const plan::Session& node, expr::EvalContext context)
      : keys_(node.keys),
        time_(static_cast<size_t>(node.time_column)),
        gap_(node.gap_us),
        closes_(node.closes),
        expires_(node.expires),
        close_stream_(node.close_stream),
        schema_(node.inputs[0]->schema),
        time_type_(schema_.fields[time_].type),
        context_(std::move(context)),
        rows_(arena_, 0, sizeof(SessionRow)),
        partitions_(arena_, 1, sizeof(PartitionEntry)),
        tree_(arena_, sizeof(InstantNode)) {}

  Status OnBatch(int, data::ChangeBatch batch, Output&) override {
    const data::Column& time = *batch.columns[time_];
    KAPPA_ASSIGN_OR_RETURN(const std::vector<int32_t> select, RowsWithTime(batch, time, gap_, context_));
    if (select.empty()) return {};
    KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> key_columns, expr::EvaluateAll(keys_, batch.AsBatch(), context_));
    const data::RowKeys keys(key_columns, batch.rows);
    const data::RowKeys rows(batch.columns, batch.rows, /*canonical=*/false);
    std::vector<state::Ref> refs(select.size()), partitions(select.size());
    rows_.FindOrInsertBatch(rows, select, refs.data());
    partitions_.FindOrInsertBatch(keys, select, partitions.data());
    for (size_t i = 0; i < select.size(); ++i) {
      SessionRow* row = MutableRow(refs[i]);
      row->count += batch.weight(select[i]);
      if (row->node == 0) Link(refs[i], partitions[i], time.data<int64_t>()[select[i]]);
      if (!closes_ && row->touched == 0) {
        row->touched = 1;
        touched_.push_back(refs[i]);
      }
    }
    return {};
  }

  Status OnEpochEnd(const EpochContext& epoch, Output& out) override {
    Emission emission(schema_, time_type_, out);
    if (closes_) {
      if (epoch.watermarks == nullptr) return {};
      const auto watermark = epoch.watermarks->find(close_stream_);
      if (watermark != epoch.watermarks->end()) KAPPA_RETURN_IF_ERROR(Close(watermark->second, emission));
    } else {
      if (expires_) Expire(epoch.wall_us, emission);
      if (epoch.flush) KAPPA_RETURN_IF_ERROR(Flush(emission));
    }
    emission.Give();
    return {};
  }

  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) override { visit("rows", arena_); }
  Status OnRestored() override {
    KAPPA_RETURN_IF_ERROR(arena_.CheckLoaded());
    KAPPA_RETURN_IF_ERROR(rows_.Attach());
    KAPPA_RETURN_IF_ERROR(partitions_.Attach());
    closing_.clear();
    if (closes_ || expires_) partitions_.ForEach([&](state::Ref key) { closing_.emplace(Partition(key)->bound, key); });
    return {};
  }
  int64_t next_due_us() const override { return !expires_ || closing_.empty() ? INT64_MAX : closing_.begin()->first + 1; }
  int64_t state_rows() const override { return rows_.rows(); }
  int64_t errors() const override { return context_.errors; }

 private:
  /// Rows on their way out.
  struct Emission {
    Emission(const data::Schema& schema, const data::Type& time, Output& out) : rows(schema), time(time), out(out) {}
    RowDecoder rows;
    const data::Type& time;
    Output& out;
    std::vector<int64_t> starts, ends, weights;
    void Add(std::string_view row, int64_t start, int64_t end, int64_t weight) {
      rows.Append(row, /*borrow=*/false);
      starts.push_back(start);
      ends.push_back(end);
      weights.push_back(weight);
      if (rows.rows() >= state::StepRows(kGiveRows)) Give();
    }
    void Give() {
      if (rows.rows() == 0) return;
      data::ChangeBatch batch(rows.Finish());
      batch.columns.push_back(TimesColumn(time, starts));
      batch.columns.push_back(TimesColumn(time, ends));
      if (std::any_of(weights.begin(), weights.end(), [](int64_t w) { return w != 1; }))
        batch.weights = std::make_shared<const std::vector<int64_t>>(weights);
      out.push_back(std::move(batch));
      starts.clear();
      ends.clear();
      weights.clear();
    }
  };
  /// A session: its instants from first to last.
  struct Span {
    state::Ref first;
    int64_t start, last;
  };

  SessionRow* MutableRow(state::Ref row) { return reinterpret_cast<SessionRow*>(rows_.MutablePayload(row)); }
  const SessionRow* Row(state::Ref row) const { return reinterpret_cast<const SessionRow*>(rows_.Payload(row)); }
  PartitionEntry* MutablePartition(state::Ref key) { return reinterpret_cast<PartitionEntry*>(partitions_.MutablePayload(key)); }
  const PartitionEntry* Partition(state::Ref key) const { return reinterpret_cast<const PartitionEntry*>(partitions_.Payload(key)); }
  const InstantNode* Instant(state::Ref node) const { return static_cast<const InstantNode*>(tree_.Get(node)); }
  InstantNode* MutableInstant(state::Ref node) { return static_cast<InstantNode*>(tree_.Mutable(node)); }

  void Link(state::Ref ref, state::Ref key, int64_t time) {
    PartitionEntry* partition = MutablePartition(key);
    const bool fresh = partition->root == 0;
    const state::Ref node = tree_.FindOrInsert(partition->root, time);
    InstantNode* instant = MutableInstant(node);
    SessionRow* row = MutableRow(ref);
    row->node = node;
    row->next = instant->head;
    if (instant->head != 0) MutableRow(instant->head)->previous = ref;
    instant->head = ref;
    instant->key = key;
    if ((closes_ || expires_) && (fresh || time + gap_ < partition->bound)) SetBound(key, time + gap_, !fresh);
  }
  void SetBound(state::Ref key, int64_t bound, bool known) {
    PartitionEntry* partition = MutablePartition(key);
    if (known) closing_.erase({partition->bound, key});
    partition->bound = bound;
    closing_.emplace(bound, key);
  }
  /// Frees a row, and its instant when it was the last there.
  void Unlink(state::Ref ref) {
    const SessionRow row = *Row(ref);
    if (row.next != 0) MutableRow(row.next)->previous = row.previous;
    if (row.previous != 0) {
      MutableRow(row.previous)->next = row.next;
    } else {
      MutableInstant(row.node)->head = row.next;
      if (row.next == 0) tree_.Erase(MutablePartition(Instant(row.node)->key)->root, row.node);
    }
    rows_.Erase(ref);
  }
  Span SessionAt(state::Ref root, state::Ref node) const {
    Span span{node, Instant(node)->time, Instant(node)->time};
    for (state::Ref at = tree_.Previous(root, node); at != 0 && span.start - Instant(at)->time <= gap_; at = tree_.Previous(root, at)) {
      span.first = at;
      span.start = Instant(at)->time;
    }
    for (state::Ref at = tree_.Next(root, node); at != 0 && Instant(at)->time - span.last <= gap_; at = tree_.Next(root, at))
      span.last = Instant(at)->time;
    return span;
  }

  Status Flush(Emission& emission) {
    // Where sessions may have changed: the instants of the touched rows, which may be gone by then, so by time.
    std::vector<std::pair<state::Ref, int64_t>> places;
    std::string scratch;
    for (const state::Ref ref : touched_) {
      SessionRow* row = MutableRow(ref);
      row->touched = 0;
      if (row->count < 0) return Error(sqlstate::kInternalError, "a change deletes a row that its session does not have");
      places.emplace_back(Instant(row->node)->key, Instant(row->node)->time);
      if (row->count > 0) continue;
      if (row->emitted > 0) emission.Add(rows_.Key(ref, scratch), row->start, row->end, -row->emitted);
      Unlink(ref);
    }
    touched_.clear();
    std::sort(places.begin(), places.end());
    places.erase(std::unique(places.begin(), places.end()), places.end());
    for (size_t i = 0; i < places.size();) {
      const state::Ref key = places[i].first;
      const state::Ref root = Partition(key)->root;
      int64_t done = INT64_MIN;  // sessions up to here are up to date
      for (; i < places.size() && places[i].first == key; ++i) {
        for (const state::Ref at : {tree_.Floor(root, places[i].second), tree_.Ceiling(root, places[i].second)}) {
          if (at == 0 || Instant(at)->time <= done) continue;
          const Span span = SessionAt(root, at);
          EmitChanges(root, span, emission);
          done = span.last;
        }
      }
      if (root == 0) partitions_.Erase(key);
    }
    return {};
  }

  /// Gives the rows of a session that were not given so yet.
  void EmitChanges(state::Ref root, const Span& span, Emission& emission) {
    std::string scratch;
    const int64_t end = span.last + gap_;
    for (state::Ref at = span.first; at != 0 && Instant(at)->time <= span.last; at = tree_.Next(root, at)) {
      for (state::Ref ref = Instant(at)->head; ref != 0; ref = Row(ref)->next) {
        const SessionRow* row = Row(ref);
        const bool same = row->emitted > 0 && row->start == span.start && row->end == end;
        if (same && row->count == row->emitted) continue;
        const std::string_view bytes = rows_.Key(ref, scratch);
        if (row->emitted > 0 && !same) emission.Add(bytes, row->start, row->end, -row->emitted);
        emission.Add(bytes, span.start, end, same ? row->count - row->emitted : row->count);
        SessionRow* given = MutableRow(ref);
        given->emitted = given->count;
        given->start = span.start;
        given->end = end;
      }
    }
  }

  Status Close(int64_t watermark, Emission& emission) {
    std::string scratch;
    while (!closing_.empty() && closing_.begin()->first < watermark) {
      const state::Ref key = closing_.begin()->second;
      closing_.erase(closing_.begin());
      PartitionEntry* partition = MutablePartition(key);
      while (partition->root != 0) {
        const Span span = SessionAt(partition->root, tree_.First(partition->root));
        const int64_t end = span.last + gap_;
        if (end >= watermark) {
          SetBound(key, end, /*known=*/false);
          break;
        }
        for (state::Ref at = span.first; at != 0 && Instant(at)->time <= span.last; at = tree_.First(partition->root)) {
          for (state::Ref ref = Instant(at)->head; ref != 0;) {
            const SessionRow row = *Row(ref);
            if (row.count < 0) return Error(sqlstate::kInternalError, "a change deletes a row that its session does not have");
            if (row.count > 0) emission.Add(rows_.Key(ref, scratch), span.start, end, row.count);
            Unlink(ref);  // with the last one the instant goes
            ref = row.next;
          }
        }
      }
      if (partition->root == 0) partitions_.Erase(key);
    }
    return {};
  }

  /// Takes back the rows of sessions that ended before `now`: time does not go back, so that no row can join them.
  void Expire(int64_t now, Emission& emission) {
    std::string scratch;
    absl::flat_hash_set<state::Ref> gone;  // of those in touched_
    while (!closing_.empty() && closing_.begin()->first < now) {
      const state::Ref key = closing_.begin()->second;
      closing_.erase(closing_.begin());
      PartitionEntry* partition = MutablePartition(key);
      while (partition->root != 0) {
        const Span span = SessionAt(partition->root, tree_.First(partition->root));
        const int64_t end = span.last + gap_;
        if (end >= now) {
          SetBound(key, end, /*known=*/false);
          break;
        }
        for (state::Ref at = span.first; at != 0 && Instant(at)->time <= span.last; at = tree_.First(partition->root)) {
          for (state::Ref ref = Instant(at)->head; ref != 0;) {
            const SessionRow row = *Row(ref);
            if (row.emitted > 0) emission.Add(rows_.Key(ref, scratch), row.start, row.end, -row.emitted);
            if (row.touched != 0) gone.insert(ref);
            Unlink(ref);  // with the last one the instant goes
            ref = row.next;
          }
        }
      }
      if (partition->root == 0) partitions_.Erase(key);
    }
    if (!gone.empty()) std::erase_if(touched_, [&](state::Ref ref) { return gone.contains(ref); });
  }

  std::vector<expr::ExprPtr> keys_;
  size_t time_;
  int64_t gap_;
  bool closes_;
  bool expires_;
  uint32_t close_stream_;
  data::Schema schema_;
  data::Type time_type_;
  expr::EvalContext context_;
  state::Arena arena_;
  state::KeyedTable rows_;
  state::KeyedTable partitions_;
  TimeTree tree_;
  std::vector<state::Ref> touched_;                   // rows, of the epoch
  std::set<std::pair<int64_t, state::Ref>> closing_;  // bound and key of every partition, where sessions close or expire
};

}  // namespace

std::unique_ptr<Operator> MakeSession(const plan::Session& node, const OperatorOptions& options) {
  return std::make_unique<Session>(node, options.context);
}

}  // namespace kappa::ops
