// Evaluation of window functions: ranks by counting, lag and first_value and their kin by picking rows, aggregates by moving an accumulator
// along the frames.
#include "ops/over/window_functions.h"

#include <algorithm>
#include <cstring>
#include <deque>

#include "data/array.h"
#include "data/compare.h"
#include "ops/aggregate/accumulator.h"
#include "ops/over/window_frame.h"
#include "ops/value_bytes.h"

namespace kappa::ops {
namespace {

using data::ColumnPtr;
using data::TypeId;
using plan::WindowCall;
using Kind = WindowCall::Kind;

/// What the calls of one Evaluate share.
struct Rows {
  const data::Batch& batch;
  std::span<const WindowSegment> segments;
  std::span<const PeerGroups> peers;
  const data::Column* key;  // the order key, where a RANGE offset needs it
  int64_t wanted;           // in all segments
  const WindowStates& states;
  expr::EvalContext& context;
  std::span<const std::string_view> begin;  // of each segment: the state to begin with
  std::vector<std::string>* after;          // of the rows of `states`: the states come here
};

class Function {
 public:
  virtual ~Function() = default;
  virtual void AddReach(WindowReach& reach) const = 0;
  /// Bytes of the state with which Evaluate can begin in the middle of a partition; 0: there is none.
  virtual size_t state_bytes() const { return 0; }
  /// The frames, where rows before them have to be looked for.
  virtual const FrameBounds* bounds() const { return nullptr; }
  virtual bool needs_key() const { return false; }
  virtual Result<ColumnPtr> Evaluate(const Rows& rows) = 0;
};

void ReachAll(WindowReach& reach) { reach.affects_before = reach.affects_after = reach.needs_before = reach.needs_after = WindowReach::kAll; }

class RankFunction final : public Function {
 public:
  explicit RankFunction(Kind kind) : kind_(kind) {}
  size_t state_bytes() const override { return kind_ == Kind::kDenseRank ? sizeof(int64_t) : 0; }
  void AddReach(WindowReach& reach) const override {
    if (kind_ == Kind::kPercentRank || kind_ == Kind::kCumeDist) return ReachAll(reach);
    reach.affects_after = WindowReach::kAll;
    if (kind_ == Kind::kRank) reach.peers = true;
    if (kind_ == Kind::kDenseRank) reach.peers = reach.carries = true;
  }
  Result<ColumnPtr> Evaluate(const Rows& rows) override {
    const bool fraction = kind_ == Kind::kPercentRank || kind_ == Kind::kCumeDist;
    auto column = std::make_shared<data::Column>(fraction ? TypeId::kFloat8 : TypeId::kInt8, rows.wanted);
    int64_t out = 0;
    for (size_t s = 0; s < rows.segments.size(); ++s) {
      const WindowSegment& segment = rows.segments[s];
      const PeerGroups& peers = rows.peers[s];
      int64_t groups = 0;  // before the segment
      if (kind_ == Kind::kDenseRank && !rows.begin[s].empty()) std::memcpy(&groups, rows.begin[s].data(), sizeof groups);
      for (int64_t i = segment.wanted_from; i < segment.wanted_to; ++i, ++out) {
        const int64_t row = i - segment.from;
        const FrameRange group = peers.Of(row);
        const int64_t rank = segment.base + group.start + 1;
        switch (kind_) {
          case Kind::kRowNumber: column->mutable_data<int64_t>()[out] = segment.base + row + 1; break;
          case Kind::kRank: column->mutable_data<int64_t>()[out] = rank; break;
          case Kind::kDenseRank: column->mutable_data<int64_t>()[out] = groups + peers.group[static_cast<size_t>(row)] + 1; break;
          case Kind::kPercentRank:
            column->mutable_data<double>()[out] = segment.total <= 1 ? 0 : static_cast<double>(rank - 1) / static_cast<double>(segment.total - 1);
            break;
          default: column->mutable_data<double>()[out] = static_cast<double>(segment.base + group.end) / static_cast<double>(segment.total); break;
        }
      }
      for (size_t k = 0; kind_ == Kind::kDenseRank && k < rows.states.rows.size(); ++k) {
        const int64_t row = rows.states.rows[k];
        if (row < segment.wanted_from || row >= segment.wanted_to) continue;
        const int64_t count = groups + peers.group[static_cast<size_t>(row - segment.from)] + 1;
        (*rows.after)[k].assign(reinterpret_cast<const char*>(&count), sizeof count);
      }
    }
    return ColumnPtr(std::move(column));
  }

 private:
  Kind kind_;
};

class Ntile final : public Function {
 public:
  explicit Ntile(expr::ExprPtr buckets) : buckets_(std::move(buckets)) {}
  void AddReach(WindowReach& reach) const override { ReachAll(reach); }
  Result<ColumnPtr> Evaluate(const Rows& rows) override {
    KAPPA_ASSIGN_OR_RETURN(const ColumnPtr buckets, buckets_->Evaluate(rows.batch, rows.context));
    auto column = std::make_shared<data::Column>(TypeId::kInt4, rows.wanted);
    int64_t out = 0;
    for (const WindowSegment& segment : rows.segments) {
      const bool null = segment.from == segment.to || buckets->IsNull(segment.from);  // the partition's first row says how many
      const int64_t count = null ? 0 : buckets->data<int32_t>()[segment.from];
      const bool bad = !null && count <= 0;
      if (bad) KAPPA_RETURN_IF_ERROR(HandleRowError(Error("22014", "argument of ntile must be greater than zero"), rows.context));
      const int64_t size = count <= 0 ? 1 : segment.total / count, larger = count <= 0 ? 0 : segment.total % count;  // so many buckets hold one more
      for (int64_t i = segment.wanted_from; i < segment.wanted_to; ++i, ++out) {
        if (null || bad) {
          column->SetNull(out);
          continue;
        }
        const int64_t row = segment.base + i - segment.from;
        const int64_t bucket = row < larger * (size + 1) ? row / (size + 1) : larger + (row - larger * (size + 1)) / size;
        column->mutable_data<int32_t>()[out] = static_cast<int32_t>(bucket + 1);
      }
    }
    return ColumnPtr(std::move(column));
  }

 private:
  expr::ExprPtr buckets_;
};

/// lag, lead: the value some rows away.
class Neighbor final : public Function {
 public:
  explicit Neighbor(const WindowCall& call) : lag_(call.kind == Kind::kLag), arguments_(call.arguments) {}
  void AddReach(WindowReach& reach) const override {
    int64_t offset = 1;
    if (arguments_.size() > 1) {
      if (arguments_[1]->kind() != expr::Expression::Kind::kLiteral) return ReachAll(reach);
      const data::Value& value = static_cast<const expr::Literal&>(*arguments_[1]).value();
      offset = value.null ? 0 : value.As<int32_t>();
    }
    if (lag_) offset = -offset;
    if (offset < 0) {
      reach.affects_after = std::max(reach.affects_after, -offset);
      reach.needs_before = std::max(reach.needs_before, -offset);
    } else {
      reach.affects_before = std::max(reach.affects_before, offset);
      reach.needs_after = std::max(reach.needs_after, offset);
    }
  }
  Result<ColumnPtr> Evaluate(const Rows& rows) override {
    KAPPA_ASSIGN_OR_RETURN(const std::vector<ColumnPtr> columns, expr::EvaluateAll(arguments_, rows.batch, rows.context));
    std::vector<int32_t> picked;
    picked.reserve(static_cast<size_t>(rows.wanted));
    for (const WindowSegment& segment : rows.segments) {
      for (int64_t i = segment.wanted_from; i < segment.wanted_to; ++i) {
        if (columns.size() > 1 && columns[1]->IsNull(i)) {
          picked.push_back(-1);
          continue;
        }
        const int64_t offset = columns.size() > 1 ? columns[1]->data<int32_t>()[i] : 1;
        const int64_t at = lag_ ? i - offset : i + offset;
        const bool inside = at >= segment.from && at < segment.to;
        picked.push_back(inside ? static_cast<int32_t>(at) : columns.size() > 2 ? static_cast<int32_t>(rows.batch.rows + i) : -1);
      }
    }
    if (columns.size() < 3) return data::Gather(*columns[0], picked);
    const ColumnPtr both[] = {columns[0], columns[2]};
    return data::Gather(*data::Concatenate(both), picked);
  }

 private:
  bool lag_;
  std::vector<expr::ExprPtr> arguments_;
};

/// first_value, last_value, nth_value.
class FrameValue final : public Function {
 public:
  FrameValue(const WindowCall& call, FrameBounds bounds) : kind_(call.kind), arguments_(call.arguments), bounds_(std::move(bounds)) {}
  void AddReach(WindowReach& reach) const override { bounds_.AddReach(reach); }
  const FrameBounds* bounds() const override { return &bounds_; }
  bool needs_key() const override { return bounds_.needs_key(); }
  Result<ColumnPtr> Evaluate(const Rows& rows) override {
    KAPPA_ASSIGN_OR_RETURN(const ColumnPtr values, arguments_[0]->Evaluate(rows.batch, rows.context));
    ColumnPtr nth;
    if (kind_ == Kind::kNthValue) { KAPPA_ASSIGN_OR_RETURN(nth, arguments_[1]->Evaluate(rows.batch, rows.context)); }
    std::vector<int32_t> picked;
    picked.reserve(static_cast<size_t>(rows.wanted));
    for (size_t s = 0; s < rows.segments.size(); ++s) {
      const WindowSegment& segment = rows.segments[s];
      const std::vector<FrameRange> frames = bounds_.Compute(segment, rows.peers[s], rows.key);
      for (int64_t i = segment.wanted_from; i < segment.wanted_to; ++i) {
        const FramePieces pieces = bounds_.Pieces(frames[static_cast<size_t>(i - segment.wanted_from)], i - segment.from, rows.peers[s]);
        int64_t skip = 0;
        bool none = pieces.count == 0;
        if (kind_ == Kind::kNthValue) {
          none = none || nth->IsNull(i);
          skip = nth->IsNull(i) ? 0 : nth->data<int32_t>()[i] - 1;
          if (skip < 0) {
            KAPPA_RETURN_IF_ERROR(HandleRowError(Error("22016", "argument of nth_value must be greater than zero"), rows.context));
            none = true;
          }
        }
        int64_t at = -1;
        if (!none && kind_ == Kind::kLastValue) at = pieces.pieces[pieces.count - 1].end - 1;
        for (int p = 0; !none && kind_ != Kind::kLastValue && p < pieces.count && at < 0; ++p) {
          const int64_t size = pieces.pieces[p].end - pieces.pieces[p].start;
          if (skip < size) at = pieces.pieces[p].start + skip;
          skip -= size;
        }
        picked.push_back(at < 0 ? -1 : static_cast<int32_t>(segment.from + at));
      }
    }
    return data::Gather(*values, picked);
  }

 private:
  Kind kind_;
  std::vector<expr::ExprPtr> arguments_;
  FrameBounds bounds_;
};

/// Which rows an aggregate takes, and its arguments.
struct AggregateInput {
  std::vector<ColumnPtr> arguments;
  std::vector<uint8_t> taken;  // FILTER is true
};

Result<AggregateInput> EvaluateInput(const expr::AggregateCall& call, const data::Batch& batch, expr::EvalContext& context) {
  AggregateInput input;
  const auto rows = static_cast<size_t>(batch.rows);
  input.taken.assign(rows, 1);
  std::vector<int32_t> select;
  if (call.filter != nullptr) {
    KAPPA_ASSIGN_OR_RETURN(select, expr::SelectTrue(*call.filter, batch, context));
    input.taken.assign(rows, 0);
    for (const int32_t row : select) input.taken[static_cast<size_t>(row)] = 1;
  }
  const bool whole = call.filter == nullptr || select.size() == rows;
  for (const expr::ExprPtr& argument : call.arguments) {
    // Rows that FILTER rejects must not be evaluated: they may fail.
    Result<ColumnPtr> column = whole ? argument->Evaluate(batch, context) : argument->Evaluate(batch, select, context);
    KAPPA_RETURN_IF_ERROR(column.status());
    if (!whole) {
      std::vector<int32_t> back(rows, -1);
      for (size_t i = 0; i < select.size(); ++i) back[static_cast<size_t>(select[i])] = static_cast<int32_t>(i);
      column = data::Gather(**column, back);
    }
    input.arguments.push_back(std::move(*column));
  }
  return input;
}

/// An aggregate whose accumulator follows the frame. The states of frames wait for one Finish, as far as they are plain bytes.
class MovingAggregate final : public Function {
 public:
  MovingAggregate(const WindowCall& call, FrameBounds bounds) : call_(call.aggregate), bounds_(std::move(bounds)) {}
  Status Make() {
    AccumulatorSetup setup;
    setup.blobs = &arena_;
    setup.append_only = bounds_.grows() && !bounds_.excludes();
    setup.drops_groups = true;
    takes_back_ = !setup.append_only;
    KAPPA_ASSIGN_OR_RETURN(accumulator_, MakeAccumulator(call_, setup));
    accumulator_->set_offset(0);
    words_ = std::max<size_t>(accumulator_->bytes() / 8, 1);
    state_.assign(words_, 0);
    return {};
  }
  size_t state_bytes() const override { return bounds_.carries() ? words_ * 8 : 0; }
  const FrameBounds* bounds() const override { return &bounds_; }
  void AddReach(WindowReach& reach) const override {
    if (!bounds_.carries()) return bounds_.AddReach(reach);
    reach.affects_after = WindowReach::kAll;
    reach.carries = true;
    reach.peers = reach.peers || !bounds_.by_rows();
  }
  bool needs_key() const override { return bounds_.needs_key(); }

  Result<ColumnPtr> Evaluate(const Rows& rows) override {
    KAPPA_ASSIGN_OR_RETURN(input_, EvaluateInput(call_, rows.batch, rows.context));
    const auto count = static_cast<size_t>(rows.batch.rows);
    payloads_.assign(count, payload());
    groups_.assign(count, state::Ref{8});
    back_.assign(takes_back_ ? count : 0, -1);
    if (!accumulator_->takes_nulls() && !input_.arguments.empty() && input_.arguments[0]->has_nulls())
      for (size_t i = 0; i < count; ++i) input_.taken[i] = input_.taken[i] != 0 && !input_.arguments[0]->IsNull(static_cast<int64_t>(i));
    results_.clear();
    waiting_.clear();
    result_count_ = 0;
    std::vector<int32_t> picked;
    picked.reserve(static_cast<size_t>(rows.wanted));
    for (size_t s = 0; s < rows.segments.size(); ++s) KAPPA_RETURN_IF_ERROR(EvaluateSegment(rows, s, picked));
    KAPPA_RETURN_IF_ERROR(FinishWaiting(rows.context));
    input_ = {};
    if (results_.empty()) return data::NullColumn(call_.type, 0);
    const ColumnPtr all = results_.size() == 1 ? results_[0] : data::Concatenate(results_);
    results_.clear();
    if (result_count_ == static_cast<int64_t>(picked.size())) return all;
    return data::Gather(*all, picked);
  }

 private:
  char* payload() { return reinterpret_cast<char*>(state_.data()); }

  Status EvaluateSegment(const Rows& rows, size_t s, std::vector<int32_t>& picked) {
    const WindowSegment& segment = rows.segments[s];
    const PeerGroups& peers = rows.peers[s];
    const std::vector<FrameRange> frames = bounds_.Compute(segment, peers, rows.key);
    FrameRange now{0, 0};
    const bool carried = state_bytes() > 0 && !rows.begin[s].empty();
    if (carried) std::memcpy(payload(), rows.begin[s].data(), state_bytes());
    size_t keep =
        static_cast<size_t>(std::lower_bound(rows.states.rows.begin(), rows.states.rows.end(), segment.wanted_from) - rows.states.rows.begin());
    bool same = false;
    for (int64_t i = segment.wanted_from; i < segment.wanted_to; ++i) {
      FrameRange frame = frames[static_cast<size_t>(i - segment.wanted_from)];
      frame.end = std::max(frame.start, frame.end);
      if (!same || frame.start != now.start || frame.end != now.end || bounds_.excludes()) {
        const bool restart =
            !carried && (frame.start >= now.end || (frame.start > now.start && (!takes_back_ || frame.start - now.start > frame.end - frame.start)));
        if (restart) {
          Reset();
          now = {frame.start, frame.start};
        }
        KAPPA_RETURN_IF_ERROR(Update(segment.from + now.end, segment.from + frame.end, 1));
        KAPPA_RETURN_IF_ERROR(Update(segment.from + now.start, segment.from + frame.start, -1));
        now = frame;
        KAPPA_RETURN_IF_ERROR(Exclude(segment, frame, i, peers, -1));
        KAPPA_RETURN_IF_ERROR(TakeResult(rows.context));
        KAPPA_RETURN_IF_ERROR(Exclude(segment, frame, i, peers, 1));
        same = true;
      }
      picked.push_back(static_cast<int32_t>(result_count_ - 1));
      if (state_bytes() > 0 && keep < rows.states.rows.size() && rows.states.rows[keep] == i) {
        if (accumulator_->is_plain(payload())) (*rows.after)[keep].assign(payload(), state_bytes());
        ++keep;
      }
    }
    Reset();
    return {};
  }
  /// Takes the state as the next result.
  Status TakeResult(expr::EvalContext& context) {
    ++result_count_;
    if (accumulator_->is_plain(payload())) {
      waiting_.insert(waiting_.end(), state_.begin(), state_.end());
      return {};
    }
    KAPPA_RETURN_IF_ERROR(FinishWaiting(context));
    char* one = payload();
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr result, accumulator_->Finish({std::span<char* const>(&one, 1)}, context));
    results_.push_back(std::move(result));
    return {};
  }
  Status FinishWaiting(expr::EvalContext& context) {
    if (waiting_.empty()) return {};
    std::vector<char*> payloads;
    for (size_t at = 0; at < waiting_.size(); at += words_) payloads.push_back(reinterpret_cast<char*>(waiting_.data() + at));
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr result, accumulator_->Finish({payloads}, context));
    results_.push_back(std::move(result));
    waiting_.clear();
    return {};
  }
  void Reset() {
    accumulator_->Drop(payload());
    std::fill(state_.begin(), state_.end(), 0);
  }
  Status Exclude(const WindowSegment& segment, const FrameRange& frame, int64_t i, const PeerGroups& peers, int64_t weight) {
    if (!bounds_.excludes()) return {};
    const FramePieces kept = bounds_.Pieces(frame, i - segment.from, peers);
    int64_t at = frame.start;
    for (int p = 0; p < kept.count; ++p) {
      KAPPA_RETURN_IF_ERROR(Update(segment.from + at, segment.from + kept.pieces[p].start, weight));
      at = kept.pieces[p].end;
    }
    return Update(segment.from + at, segment.from + frame.end, weight);
  }
  Status Update(int64_t from, int64_t to, int64_t weight) {
    if (from >= to) return {};
    selected_.clear();
    for (int64_t i = from; i < to; ++i)
      if (input_.taken[static_cast<size_t>(i)] != 0) selected_.push_back(static_cast<int32_t>(i));
    if (selected_.empty()) return {};
    AccumulatorRows in;
    in.rows = selected_;
    in.weights = weight == 1 ? nullptr : back_.data();
    in.payloads = payloads_.data();
    in.groups = groups_.data();
    return accumulator_->Update(input_.arguments, in);
  }

  expr::AggregateCall call_;
  FrameBounds bounds_;
  state::Arena arena_;  // scratch: nothing in it outlives Evaluate
  AccumulatorPtr accumulator_;
  bool takes_back_ = false;
  size_t words_ = 1;
  std::vector<uint64_t> state_;
  AggregateInput input_;
  std::vector<char*> payloads_;
  std::vector<state::Ref> groups_;
  std::vector<int64_t> back_;
  std::vector<int32_t> selected_;
  std::vector<ColumnPtr> results_;
  std::vector<uint64_t> waiting_;  // states whose results are not in results_ yet
  int64_t result_count_ = 0;
};

/// min and max: the rows that may still become the extremum wait in a queue.
class ExtremumAggregate final : public Function {
 public:
  ExtremumAggregate(const WindowCall& call, FrameBounds bounds)
      : call_(call.aggregate), max_(call.aggregate.kind == expr::AggregateKind::kMax), bounds_(std::move(bounds)) {}
  void AddReach(WindowReach& reach) const override { bounds_.AddReach(reach); }
  const FrameBounds* bounds() const override { return &bounds_; }
  bool needs_key() const override { return bounds_.needs_key(); }
  Result<ColumnPtr> Evaluate(const Rows& rows) override {
    KAPPA_ASSIGN_OR_RETURN(AggregateInput input, EvaluateInput(call_, rows.batch, rows.context));
    const data::Column& values = *input.arguments[0];
    const data::RowComparator compare = data::RowComparatorFor(values.type());
    // Of values that are equal but look different the smaller bytes win, as in GROUP BY.
    const auto better = [&](int64_t a, int64_t b) {
      const int order = compare(values, a, values, b);
      if (order != 0) return max_ ? order > 0 : order < 0;
      return ValueBytes(values, a) < ValueBytes(values, b);
    };
    const auto taken = [&](int64_t row) { return input.taken[static_cast<size_t>(row)] != 0 && !values.IsNull(row); };
    std::vector<int32_t> picked;
    picked.reserve(static_cast<size_t>(rows.wanted));
    for (size_t s = 0; s < rows.segments.size(); ++s) {
      const WindowSegment& segment = rows.segments[s];
      const std::vector<FrameRange> frames = bounds_.Compute(segment, rows.peers[s], rows.key);
      std::deque<int64_t> queue;
      int64_t next = 0;
      for (int64_t i = segment.wanted_from; i < segment.wanted_to; ++i) {
        const FrameRange& frame = frames[static_cast<size_t>(i - segment.wanted_from)];
        int64_t best = -1;
        if (bounds_.excludes()) {
          const FramePieces pieces = bounds_.Pieces(frame, i - segment.from, rows.peers[s]);
          for (int p = 0; p < pieces.count; ++p)
            for (int64_t row = segment.from + pieces.pieces[p].start; row < segment.from + pieces.pieces[p].end; ++row)
              if (taken(row) && (best < 0 || better(row, best))) best = row;
        } else {
          for (next = std::max(next, frame.start); next < frame.end; ++next) {
            const int64_t row = segment.from + next;
            if (!taken(row)) continue;
            while (!queue.empty() && !better(queue.back(), row)) queue.pop_back();
            queue.push_back(row);
          }
          while (!queue.empty() && queue.front() < segment.from + frame.start) queue.pop_front();
          if (!queue.empty() && frame.start < frame.end) best = queue.front();
        }
        picked.push_back(static_cast<int32_t>(best));
      }
    }
    return data::Gather(values, picked);
  }

 private:
  expr::AggregateCall call_;
  bool max_;
  FrameBounds bounds_;
};

/// string_agg, array_agg and jsonb_agg: the frame's rows in the window's order.
class ListAggregate final : public Function {
 public:
  ListAggregate(const WindowCall& call, FrameBounds bounds) : call_(call.aggregate), bounds_(std::move(bounds)) {}
  void AddReach(WindowReach& reach) const override { bounds_.AddReach(reach); }
  const FrameBounds* bounds() const override { return &bounds_; }
  bool needs_key() const override { return bounds_.needs_key(); }
  Result<ColumnPtr> Evaluate(const Rows& rows) override {
    KAPPA_ASSIGN_OR_RETURN(const AggregateInput input, EvaluateInput(call_, rows.batch, rows.context));
    const bool array = call_.kind == expr::AggregateKind::kArrayAgg, json = call_.kind == expr::AggregateKind::kJsonbAgg;
    const data::Column& values = *input.arguments[0];
    data::ColumnBuilder builder(call_.type, rows.wanted);
    for (size_t s = 0; s < rows.segments.size(); ++s) {
      const WindowSegment& segment = rows.segments[s];
      const std::vector<FrameRange> frames = bounds_.Compute(segment, rows.peers[s], rows.key);
      for (int64_t i = segment.wanted_from; i < segment.wanted_to; ++i) {
        const FramePieces pieces = bounds_.Pieces(frames[static_cast<size_t>(i - segment.wanted_from)], i - segment.from, rows.peers[s]);
        data::ArrayCollector elements(values.type());
        std::string text;
        bool any = false;
        Status collected;
        for (int p = 0; p < pieces.count; ++p) {
          for (int64_t row = segment.from + pieces.pieces[p].start; row < segment.from + pieces.pieces[p].end; ++row) {
            if (input.taken[static_cast<size_t>(row)] == 0 || (!array && !json && values.IsNull(row))) continue;
            if (array) collected = collected.ok() ? elements.Append(values, row) : collected;
            else if (json) text.append(any ? ", " : "[").append(values.IsNull(row) ? std::string_view("null") : values.bytes(row));
            else text.append(any && !input.arguments[1]->IsNull(row) ? input.arguments[1]->bytes(row) : std::string_view()).append(values.bytes(row));
            any = true;
          }
        }
        if (!collected.ok()) KAPPA_RETURN_IF_ERROR(HandleRowError(collected.error(), rows.context));
        if (!any || !collected.ok()) builder.AppendNull();
        else builder.AppendBytes(array ? elements.Finish() : json ? text + "]" : text);
      }
    }
    return builder.Finish();
  }

 private:
  expr::AggregateCall call_;
  FrameBounds bounds_;
};

class WindowFunctionList final : public WindowFunctions {
 public:
  Status Make(const plan::OverWindow& node, const OperatorOptions& options) {
    expr::EvalContext context = options.context;
    for (const WindowCall& call : node.calls) {
      KAPPA_ASSIGN_OR_RETURN(std::unique_ptr<Function> function, MakeFunction(call, node, context));
      function->AddReach(reach_);
      if (function->needs_key()) key_ = node.order[0].expression;
      functions_.push_back(std::move(function));
    }
    return {};
  }
  const WindowReach& reach() const override { return reach_; }
  Result<std::vector<ColumnPtr>> Evaluate(const data::Batch& batch, std::span<const WindowSegment> segments, std::span<const uint8_t> peer_start,
                                          WindowStates& states, expr::EvalContext& context) override {
    std::vector<PeerGroups> peers;
    peers.reserve(segments.size());
    int64_t wanted = 0;
    for (const WindowSegment& segment : segments) {
      peers.emplace_back(segment, peer_start);
      wanted += segment.wanted_to - segment.wanted_from;
    }
    ColumnPtr key;
    if (key_) { KAPPA_ASSIGN_OR_RETURN(key, key_->Evaluate(batch, context)); }
    // A state is the states of the functions that have one, in their order.
    states.states.assign(states.rows.size(), "");
    std::vector<uint8_t> whole(states.rows.size(), 1);
    std::vector<ColumnPtr> columns;
    size_t at = 0;
    for (const auto& function : functions_) {
      std::vector<std::string_view> begin;
      for (const WindowSegment& segment : segments)
        begin.push_back(segment.state.empty() ? segment.state : segment.state.substr(at, function->state_bytes()));
      std::vector<std::string> after(states.rows.size());
      KAPPA_ASSIGN_OR_RETURN(ColumnPtr column, function->Evaluate({batch, segments, peers, key.get(), wanted, states, context, begin, &after}));
      columns.push_back(std::move(column));
      at += function->state_bytes();
      for (size_t k = 0; k < after.size(); ++k) {
        states.states[k] += after[k];
        if (after[k].size() != function->state_bytes()) whole[k] = 0;
      }
    }
    for (size_t k = 0; k < whole.size(); ++k)
      if (whole[k] == 0) states.states[k].clear();
    return columns;
  }
  Result<bool> FramesBegin(const data::Batch& batch, int64_t row, std::span<const uint8_t> peer_start, expr::EvalContext& context) override {
    const WindowSegment segment{0, batch.rows, row, row + 1, 0, batch.rows, {}};
    const PeerGroups peers(segment, peer_start);
    ColumnPtr key;
    if (key_) { KAPPA_ASSIGN_OR_RETURN(key, key_->Evaluate(batch, context)); }
    for (const auto& function : functions_)
      if (function->bounds() != nullptr && function->bounds()->looks_back() && function->bounds()->Compute(segment, peers, key.get())[0].start == 0)
        return false;
    return true;
  }

 private:
  static Result<std::unique_ptr<Function>> MakeFunction(const WindowCall& call, const plan::OverWindow& node, expr::EvalContext& context) {
    switch (call.kind) {
      case Kind::kRowNumber:
      case Kind::kRank:
      case Kind::kDenseRank:
      case Kind::kPercentRank:
      case Kind::kCumeDist: return std::unique_ptr<Function>(std::make_unique<RankFunction>(call.kind));
      case Kind::kNtile: return std::unique_ptr<Function>(std::make_unique<Ntile>(call.arguments[0]));
      case Kind::kLag:
      case Kind::kLead: return std::unique_ptr<Function>(std::make_unique<Neighbor>(call));
      default: break;
    }
    KAPPA_ASSIGN_OR_RETURN(FrameBounds bounds, FrameBounds::Make(call.frame, node.order, context));
    if (call.kind != Kind::kAggregate) return std::unique_ptr<Function>(std::make_unique<FrameValue>(call, std::move(bounds)));
    switch (call.aggregate.kind) {
      case expr::AggregateKind::kMin:
      case expr::AggregateKind::kMax:
        if (bounds.carries()) break;
        return std::unique_ptr<Function>(std::make_unique<ExtremumAggregate>(call, std::move(bounds)));
      case expr::AggregateKind::kStringAgg:
      case expr::AggregateKind::kArrayAgg:
      case expr::AggregateKind::kJsonbAgg: return std::unique_ptr<Function>(std::make_unique<ListAggregate>(call, std::move(bounds)));
      default: break;
    }
    auto moving = std::make_unique<MovingAggregate>(call, std::move(bounds));
    KAPPA_RETURN_IF_ERROR(moving->Make());
    return std::unique_ptr<Function>(std::move(moving));
  }

  std::vector<std::unique_ptr<Function>> functions_;
  expr::ExprPtr key_;
  WindowReach reach_;
};

}  // namespace

Result<std::unique_ptr<WindowFunctions>> MakeWindowFunctions(const plan::OverWindow& node, const OperatorOptions& options) {
  auto list = std::make_unique<WindowFunctionList>();
  KAPPA_RETURN_IF_ERROR(list->Make(node, options));
  return std::unique_ptr<WindowFunctions>(std::move(list));
}

}  // namespace kappa::ops
