// TemporalFilter: conditions on now(): rows come and go as time passes.
#include "data/row_key.h"
#include "ops/factories.h"
#include "ops/row_decoder.h"
#include "ops/time_tree.h"
#include "state/keyed_table.h"

namespace kappa::ops {
namespace {

/// What a row of the row table carries.
struct TemporalRow {
  int64_t count;
  int64_t emitted;       // copies given out
  int64_t since, until;  // shown at these times and between
  state::Ref node;       // of the time when it changes next; 0: none
  state::Ref next, previous;
  uint64_t touched;  // 1 in an epoch that changed it
};
/// Rows that come or go at one time.
struct DueNode : TimeNode {
  state::Ref head;
};

int64_t Minus(int64_t a, int64_t b) {
  int64_t result;
  if (!__builtin_sub_overflow(a, b, &result)) return result;
  return b > 0 ? INT64_MIN : INT64_MAX;
}

// Input        changes of any weight.
// State        the rows that are shown or will be, with counts, and a tree of the times when they change. Rows whose time is
//              over are dropped: time does not go back.
// Watermark    passed by: time is the wall time of epochs, as the journal has it.
// Retractions  at the end of an epoch, rows whose time came are given with their count, rows whose time is over are taken back.
// Cost         O(log n) for a row that comes and for one that goes.
// Threads      one at a time.
class TemporalFilter final : public Operator {
 public:
  TemporalFilter(const plan::TemporalFilter& node, const OperatorOptions& options)
      : bounds_(node.bounds),
        schema_(node.schema),
        context_(options.context),
        rows_(arena_, 0, sizeof(TemporalRow)),
        tree_(arena_, sizeof(DueNode)) {}

  Status OnBatch(int, data::ChangeBatch batch, Output&) override {
    std::vector<int32_t> select;
    for (int64_t i = 0; i < batch.rows; ++i)
      if (batch.weight(i) != 0) select.push_back(static_cast<int32_t>(i));
    std::vector<int64_t> since(static_cast<size_t>(batch.rows), INT64_MIN), until(since.size(), INT64_MAX);
    for (const plan::TemporalFilter::Bound& bound : bounds_) {
      KAPPA_ASSIGN_OR_RETURN(const data::ColumnPtr values, bound.value->Evaluate(batch.AsBatch(), context_));
      std::erase_if(select, [&](int32_t row) { return values->IsNull(row); });
      const auto* times = values->data<int64_t>();
      for (const int32_t row : select) {
        const auto at = static_cast<size_t>(row);
        const bool infinite = times[row] == INT64_MIN || times[row] == INT64_MAX;
        const int64_t edge = infinite ? times[row] : Minus(times[row], bound.shift_us);
        // value > now + shift: shown before the edge; value < now + shift: after it.
        if (bound.before) until[at] = std::min(until[at], bound.inclusive || infinite ? edge : Minus(edge, 1));
        else since[at] = std::max(since[at], bound.inclusive || infinite ? edge : Minus(edge, -1));
      }
    }
    std::erase_if(select, [&](int32_t row) { return since[static_cast<size_t>(row)] > until[static_cast<size_t>(row)]; });
    const data::RowKeys keys(batch.columns, batch.rows, /*canonical=*/false);
    std::vector<state::Ref> refs(select.size());
    rows_.FindOrInsertBatch(keys, select, refs.data());
    for (size_t i = 0; i < select.size(); ++i) {
      TemporalRow* row = MutableRow(refs[i]);
      row->count += batch.weight(select[i]);
      row->since = since[static_cast<size_t>(select[i])];
      row->until = until[static_cast<size_t>(select[i])];
      if (row->touched == 0) {
        row->touched = 1;
        touched_.push_back(refs[i]);
      }
    }
    return {};
  }

  Status OnEpochEnd(const EpochContext& epoch, Output& out) override {
    if (!epoch.flush) return {};
    SetNow(std::max(now(), epoch.wall_us));
    RowDecoder decoder(schema_);
    std::vector<int64_t> weights;
    for (const state::Ref ref : touched_) MutableRow(ref)->touched = 0;
    for (const state::Ref ref : touched_) KAPPA_RETURN_IF_ERROR(Update(ref, decoder, weights));
    touched_.clear();
    while (true) {
      state::Ref due = root();
      const state::Ref first = tree_.First(due);
      if (first == 0 || tree_.Get(first)->time > now()) break;
      KAPPA_RETURN_IF_ERROR(Update(static_cast<const DueNode*>(tree_.Get(first))->head, decoder, weights));
    }
    if (decoder.rows() == 0) return {};
    data::ChangeBatch batch(decoder.Finish());
    if (std::any_of(weights.begin(), weights.end(), [](int64_t w) { return w != 1; }))
      batch.weights = std::make_shared<const std::vector<int64_t>>(std::move(weights));
    out.push_back(std::move(batch));
    return {};
  }

  int64_t next_due_us() const override {
    const state::Ref first = tree_.First(root());
    return first == 0 ? INT64_MAX : tree_.Get(first)->time;
  }
  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) override { visit("rows", arena_); }
  Status OnRestored() override {
    KAPPA_RETURN_IF_ERROR(arena_.CheckLoaded());
    return rows_.Attach();
  }
  int64_t state_rows() const override { return rows_.rows(); }
  int64_t errors() const override { return context_.errors; }

 private:
  // Root words of the arena: 0 rows, 1 root of the tree, 2 the latest time (0: none yet).
  int64_t Word(int index) const {
    int64_t word;
    std::memcpy(&word, arena_.root() + 8 * index, sizeof word);
    return word;
  }
  void SetWord(int index, int64_t word) { std::memcpy(arena_.MutableRoot() + 8 * index, &word, sizeof word); }
  state::Ref root() const { return static_cast<state::Ref>(Word(1)); }
  int64_t now() const { return Word(2); }
  void SetNow(int64_t now) {
    if (now != Word(2)) SetWord(2, now);
  }

  TemporalRow* MutableRow(state::Ref row) { return reinterpret_cast<TemporalRow*>(rows_.MutablePayload(row)); }
  const TemporalRow* Row(state::Ref row) const { return reinterpret_cast<const TemporalRow*>(rows_.Payload(row)); }

  /// Gives or takes what the row's time asks for, and puts it where it changes next, or away.
  Status Update(state::Ref ref, RowDecoder& decoder, std::vector<int64_t>& weights) {
    std::string scratch;
    TemporalRow* row = MutableRow(ref);
    const bool over = now() > row->until, shown = !over && now() >= row->since;
    if (!over && row->count < 0) return Error(sqlstate::kInternalError, "a change deletes a row that is not there");
    const int64_t wanted = shown ? row->count : 0;
    if (wanted != row->emitted) {
      decoder.Append(rows_.Key(ref, scratch), /*borrow=*/false);
      weights.push_back(wanted - row->emitted);
      row->emitted = wanted;
    }
    const bool gone = over || row->count == 0;
    const bool changes = !gone && (!shown || row->until != INT64_MAX);
    const int64_t due = shown ? row->until + 1 : row->since;
    if (row->node != 0 && changes && tree_.Get(row->node)->time == due) return {};
    if (row->node != 0) Unlink(ref);
    if (gone) rows_.Erase(ref);
    else if (changes) Link(ref, due);
    return {};
  }
  void Link(state::Ref ref, int64_t due) {
    state::Ref top = root();
    const state::Ref node = tree_.FindOrInsert(top, due);
    if (top != root()) SetWord(1, static_cast<int64_t>(top));
    auto* list = static_cast<DueNode*>(tree_.Mutable(node));
    TemporalRow* row = MutableRow(ref);
    row->node = node;
    row->next = list->head;
    row->previous = 0;
    if (list->head != 0) MutableRow(list->head)->previous = ref;
    list->head = ref;
  }
  void Unlink(state::Ref ref) {
    const TemporalRow row = *Row(ref);
    if (row.next != 0) MutableRow(row.next)->previous = row.previous;
    if (row.previous != 0) {
      MutableRow(row.previous)->next = row.next;
    } else {
      static_cast<DueNode*>(tree_.Mutable(row.node))->head = row.next;
      if (row.next == 0) {
        state::Ref top = root();
        tree_.Erase(top, row.node);
        if (top != root()) SetWord(1, static_cast<int64_t>(top));
      }
    }
    MutableRow(ref)->node = 0;
  }

  std::vector<plan::TemporalFilter::Bound> bounds_;
  data::Schema schema_;
  expr::EvalContext context_;
  state::Arena arena_;
  state::KeyedTable rows_;
  TimeTree tree_;
  std::vector<state::Ref> touched_;  // of the epoch
};

}  // namespace

std::unique_ptr<Operator> MakeTemporalFilter(const plan::TemporalFilter& node, const OperatorOptions& options) {
  return std::make_unique<TemporalFilter>(node, options);
}

}  // namespace kappa::ops
