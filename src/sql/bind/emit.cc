// EMIT ON WINDOW CLOSE: which groups of a view's query can be given once, and when.
#include <algorithm>

#include "data/enum_type.h"
#include "expr/row.h"
#include "sql/bind/nodes.h"
#include "sql/bind/window_columns.h"
#include "sql/optimize/conjuncts.h"

namespace kappa::sql {
namespace {

using plan::NodeKind;

int TimeColumn(const plan::Node& window) {
  return window.kind == NodeKind::kWindow ? static_cast<const plan::Window&>(window).time_column
                                          : static_cast<const plan::Session&>(window).time_column;
}
/// Filters, projections, unnests and windows: nodes that make rows of single rows (a session also bounds them).
bool IsChain(const plan::Node& node) {
  return node.kind == NodeKind::kFilter || node.kind == NodeKind::kProject || node.kind == NodeKind::kUnnest || IsWindow(node);
}

/// True when all rows of one value of a window's bound come at once. Sessions, and windows of CUMULATE, that begin together may end at
/// different times.
bool ClosesAtOnce(const ColumnOrigin& origin) {
  return IsWindowEnd(origin) || (IsWindowStart(origin) && origin.node->kind == NodeKind::kWindow &&
                                 static_cast<const plan::Window&>(*origin.node).shape != plan::Window::Shape::kCumulate);
}

/// The window's bound that a column is, also by way of ranks and keys of a GROUP BY; nothing when it is none.
ColumnOrigin TraceBound(const plan::Node& node, int column) {
  switch (node.kind) {
    case NodeKind::kFilter: return TraceBound(*node.inputs[0], column);
    case NodeKind::kOver:
    case NodeKind::kTopN: return column < node.inputs[0]->schema.size() ? TraceBound(*node.inputs[0], column) : ColumnOrigin{};
    case NodeKind::kProject: {
      const expr::ColumnRef* reference = AsColumn(static_cast<const plan::Project&>(node).expressions[static_cast<size_t>(column)]);
      return reference != nullptr ? TraceBound(*node.inputs[0], reference->index()) : ColumnOrigin{};
    }
    case NodeKind::kAggregate: {
      const auto& keys = static_cast<const plan::Aggregate&>(node).keys;
      const expr::ColumnRef* key = column < static_cast<int>(keys.size()) ? AsColumn(keys[static_cast<size_t>(column)]) : nullptr;
      return key != nullptr ? TraceColumn(*node.inputs[0], key->index()) : ColumnOrigin{};
    }
    case NodeKind::kWindow:
    case NodeKind::kSession: return TraceColumn(node, column);
    default: return {};
  }
}

/// True when all rows of one value of a column come at once: a window's bound, or a key of a GROUP BY that is one.
bool IsWindowKey(const plan::Node& node, int column) { return ClosesAtOnce(TraceBound(node, column)); }

/// The same for the rows of a join, of which those of the left side all come.
ColumnOrigin TraceBoundOfRows(const plan::Node& node, int column) {
  if (node.kind != NodeKind::kJoin) return TraceBound(node, column);
  const plan::JoinType type = static_cast<const plan::Join&>(node).type;
  const bool left = type != plan::JoinType::kRight && type != plan::JoinType::kFull && column < node.inputs[0]->schema.size();
  return left ? TraceBoundOfRows(*node.inputs[0], column) : ColumnOrigin{};
}

/// The stream under a window.
uint32_t StreamUnder(const plan::Node& node) {
  return node.kind == NodeKind::kScan ? static_cast<const plan::Scan&>(node).relation_id : StreamUnder(*node.inputs[0]);
}

/// True when windows of both that have equal bounds close at the same time.
bool CloseTogether(const ColumnOrigin& a, const ColumnOrigin& b) {
  if (a.node == nullptr || b.node == nullptr || !IsWindow(*a.node) || a.node->kind != b.node->kind) return false;
  if (StreamUnder(*a.node) != StreamUnder(*b.node)) return false;
  if (IsWindowEnd(a) && IsWindowEnd(b)) return true;
  return IsWindowStart(a) && IsWindowStart(b) && ClosesAtOnce(a) && ClosesAtOnce(b) &&
         static_cast<const plan::Window&>(*a.node).size_us == static_cast<const plan::Window&>(*b.node).size_us;
}

/// True when only rows of windows that close together meet: a row without a partner will never have one.
bool JoinsWindows(const plan::Join& join) {
  std::vector<ExprPtr> conjuncts;
  if (join.residual) SplitConjuncts(join.residual, conjuncts);
  const int width = join.inputs[0]->schema.size();
  return std::any_of(conjuncts.begin(), conjuncts.end(), [&](const ExprPtr& conjunct) {
    if (conjunct->call_name() != "=") return false;
    const expr::ColumnRef *a = AsColumn(conjunct->children()[0]), *b = AsColumn(conjunct->children()[1]);
    if (a == nullptr || b == nullptr || (a->index() < width) == (b->index() < width)) return false;
    const int left = std::min(a->index(), b->index()), right = std::max(a->index(), b->index()) - width;
    return CloseTogether(TraceBoundOfRows(*join.inputs[0], left), TraceBoundOfRows(*join.inputs[1], right));
  });
}

/// The column of a node that is the end of its window; -1 when it has none.
int WindowEndOf(const plan::Node& node) {
  for (int i = 0; i < node.schema.size(); ++i)
    if (IsWindowEnd(TraceColumn(node, i))) return i;
  return -1;
}

/// A projection that also passes on the end of the window under it.
NodePtr WithWindowEnd(const NodePtr& node) {
  if (node->kind != NodeKind::kProject) return node;
  const int end = WindowEndOf(*node->inputs[0]);
  if (end < 0) return node;
  std::vector<ExprPtr> expressions = static_cast<const plan::Project&>(*node).expressions;
  std::vector<std::string> names = plan::ColumnNames(node->schema);
  expressions.push_back(expr::MakeColumn(end, node->inputs[0]->schema.fields[static_cast<size_t>(end)].type, "window_end"));
  names.push_back("window_end");
  return plan::MakeProject(node->inputs[0], std::move(expressions), std::move(names));
}

/// The node under a chain.
const NodePtr& Bottom(const NodePtr& node) { return IsChain(*node) ? Bottom(node->inputs[0]) : node; }

/// The chain over another bottom, its sessions closed by a stream's watermark.
NodePtr Rebased(const NodePtr& node, const NodePtr& bottom, uint32_t stream) {
  if (!IsChain(*node)) return bottom;
  NodePtr input = Rebased(node->inputs[0], bottom, stream);
  if (node->kind != NodeKind::kSession) return plan::WithInputs(node, {std::move(input)});
  const auto& session = static_cast<const plan::Session&>(*node);
  return plan::MakeSession(std::move(input), session.keys, session.time_column, session.gap_us, /*closes=*/true, stream);
}

bool HoldsOtherSession(const plan::Node& node, const plan::Node* window) {
  if (!IsChain(node)) return false;
  return (node.kind == NodeKind::kSession && &node != window) || HoldsOtherSession(*node.inputs[0], window);
}

/// True when each window of `inner` lies within one window of `outer`, so that the start of the inner tells when it is whole.
bool Nests(const plan::Node& outer, const plan::Node& inner) {
  if (outer.kind != NodeKind::kWindow || inner.kind != NodeKind::kWindow) return false;
  const auto &a = static_cast<const plan::Window&>(outer), &b = static_cast<const plan::Window&>(inner);
  const bool tumbles = b.shape == plan::Window::Shape::kHop && b.slide_us == b.size_us;
  const int64_t grid = a.shape == plan::Window::Shape::kCumulate ? a.size_us : a.slide_us;
  const bool steps = a.shape != plan::Window::Shape::kCumulate || a.slide_us % b.size_us == 0;
  return tumbles && steps && grid % b.size_us == 0 && (a.offset_us - b.offset_us) % b.size_us == 0;
}

}  // namespace

/// Under a closing aggregate: the chain with its late rows left out, or, over another windowed GROUP BY, with that one closing too.
Result<NodePtr> Binder::ClosingInput(const NodePtr& input, const plan::Node& window, uint32_t* stream_id) {
  const int position = window_position_ > 0 ? window_position_ : tree_.statement().offset + 1;
  const NodePtr& bottom = Bottom(input);
  if (HoldsOtherSession(*input, &window)) return CloseRefused("A window over the rows of SESSION cannot tell when it is whole.");
  const ColumnOrigin time = TraceColumn(*window.inputs[0], TimeColumn(window));
  if (bottom->kind == NodeKind::kScan && static_cast<const plan::Scan&>(*bottom).relation_kind == plan::RelationKind::kStream) {
    const auto& scan = static_cast<const plan::Scan&>(*bottom);
    const catalog::Stream* stream = context_.catalog->FindStream(scan.name);
    if (stream == nullptr || stream->event_time < 0)
      return Error(sqlstate::kInvalidObjectDefinition, "stream \"" + scan.name + "\" has no watermark")
          .Detail("EMIT ON WINDOW CLOSE needs a watermark to know when a window has closed.")
          .Hint("Declare it: WATERMARK FOR ts AS ts - INTERVAL '5 seconds'.")
          .At(position);
    const bool event_time = time.node == &scan && scan.columns[static_cast<size_t>(time.column)] == stream->event_time;
    if (!event_time)
      return Error(sqlstate::kInvalidObjectDefinition, "EMIT ON WINDOW CLOSE needs windows over the event time of stream \"" + stream->name + "\"")
          .Hint("Its watermark is on column \"" + stream->schema.fields[static_cast<size_t>(stream->event_time)].name + "\".")
          .At(position);
    auto in_time = std::make_shared<plan::Scan>(scan);
    in_time->late = plan::LateRows::kDrop;
    *stream_id = stream->id;
    return Rebased(input, in_time, *stream_id);
  }
  if (bottom->kind != NodeKind::kAggregate) return CloseRefused("The window must be over one stream, or over another GROUP BY of a window.");
  // A roll-up: the groups below come when their windows close, so their bounds tell how far this level's time is whole.
  KAPPA_ASSIGN_OR_RETURN(const NodePtr closing, CloseAggregate(bottom, stream_id));
  const auto& below = static_cast<const plan::Aggregate&>(*bottom);
  const expr::ColumnRef* key =
      time.node == &below && time.column < static_cast<int>(below.keys.size()) ? AsColumn(below.keys[static_cast<size_t>(time.column)]) : nullptr;
  const ColumnOrigin bound = key != nullptr ? TraceColumn(*below.inputs[0], key->index()) : ColumnOrigin{};
  if (!IsWindowEnd(bound) && !(IsWindowStart(bound) && Nests(window, *bound.node)))
    return CloseRefused(
        "A window over windows needs the inner window_end as its time, or window_start when each inner window lies within one outer window.");
  return Rebased(input, closing, *stream_id);
}

Error Binder::CloseRefused(std::string why) const {
  const int position = window_position_ > 0 ? window_position_ : tree_.statement().offset + 1;
  return Error(sqlstate::kFeatureNotSupported, "EMIT ON WINDOW CLOSE is not supported for this query")
      .Detail(std::move(why))
      .Hint("Write SELECT .. FROM TUMBLE(stream, event_time, INTERVAL '1 minute') GROUP BY window_start, window_end, .. EMIT ON WINDOW CLOSE.")
      .At(position);
}

/// The rows of windows, held back until their windows close: a closing aggregate collects those of each window, and of each value of
/// `partition`, which are taken apart again.
Result<NodePtr> Binder::HoldRows(const NodePtr& rows, int window_end, const std::vector<ExprPtr>& partition) {
  uint32_t stream = 0;
  KAPPA_ASSIGN_OR_RETURN(NodePtr input, ClosingInput(rows, *TraceColumn(*rows, window_end).node, &stream));
  const std::vector<std::string> columns = plan::ColumnNames(rows->schema);
  std::vector<ExprPtr> fields;
  for (int i = 0; i < rows->schema.size(); ++i)
    fields.push_back(expr::MakeColumn(i, rows->schema.fields[static_cast<size_t>(i)].type, columns[static_cast<size_t>(i)]));
  std::vector<ExprPtr> keys = {fields[static_cast<size_t>(window_end)]};
  for (const ExprPtr& key : partition)
    if (!plan::SameExpression(*key, *keys[0])) keys.push_back(key);
  std::vector<std::string> names(keys.size(), "key");
  names.push_back("rows");
  const ExprPtr row = expr::MakeRow(std::move(fields), columns, nullptr, expr::Row::Origin::kTable);
  KAPPA_ASSIGN_OR_RETURN(ExprPtr record, expr::RecordOf(*expr::RowOf(*row)));
  const data::Type type = record->type();
  KAPPA_ASSIGN_OR_RETURN(expr::AggregateCall collect, expr::ResolveAggregate("array_agg", {std::move(record)}, false, false, 0));
  const auto collected = static_cast<int>(keys.size());
  const NodePtr closing = plan::MakeAggregate(std::move(input), std::move(keys), {std::move(collect)}, std::move(names), /*close_key=*/0, stream);
  const NodePtr each = plan::MakeUnnest(closing, expr::MakeColumn(collected, data::ArrayType(type), "rows"), false, false, "row");
  const ExprPtr back = expr::MakeRowOf(expr::MakeColumn(collected + 1, type, "row"));
  std::vector<ExprPtr> outputs;
  for (size_t i = 0; i < columns.size(); ++i) outputs.push_back(expr::RowOf(*back)->field(i));
  return plan::MakeProject(each, std::move(outputs), columns);
}

/// Makes every windowed aggregate of the plan a closing one: a group is given once, when its window has closed; so are rows of windows.
/// `partition`: of what reads the plan's rows.
Result<NodePtr> Binder::CloseWindows(const NodePtr& plan, const std::vector<ExprPtr>& partition) {
  if (const NodePtr& bottom = Bottom(plan); IsChain(*plan) && bottom->kind == NodeKind::kScan) {
    if (const int end = WindowEndOf(*plan); end >= 0) return HoldRows(plan, end, partition);
  }
  if (plan->kind == NodeKind::kProject || plan->kind == NodeKind::kFilter || plan->kind == NodeKind::kUnnest) {
    KAPPA_ASSIGN_OR_RETURN(NodePtr input, CloseWindows(plan->inputs[0]));
    return plan::WithInputs(plan, {std::move(input)});
  }
  if (plan->kind == NodeKind::kOver || plan->kind == NodeKind::kTopN) {
    const std::vector<ExprPtr>& own =
        plan->kind == NodeKind::kOver ? static_cast<const plan::OverWindow&>(*plan).partition : static_cast<const plan::TopN&>(*plan).partition;
    const bool by_window = std::any_of(own.begin(), own.end(), [&](const ExprPtr& key) {
      return AsColumn(key) != nullptr && IsWindowKey(*plan->inputs[0], AsColumn(key)->index());
    });
    if (!by_window)
      return CloseRefused("A window function, DISTINCT ON or LIMIT is not within a window: PARTITION BY window_end (or window_start) is missing.");
    KAPPA_ASSIGN_OR_RETURN(NodePtr input, CloseWindows(plan->inputs[0], own));
    return plan::WithInputs(plan, {std::move(input)});
  }
  if (plan->kind == NodeKind::kJoin) {
    const auto& join = static_cast<const plan::Join&>(*plan);
    KAPPA_ASSIGN_OR_RETURN(NodePtr left, CloseWindows(plan->inputs[0]));
    KAPPA_ASSIGN_OR_RETURN(NodePtr right, CloseWindows(plan->inputs[1]));
    if (join.type != plan::JoinType::kInner && join.type != plan::JoinType::kCross && !JoinsWindows(join))
      return CloseRefused(
          "An outer join would take rows back: both sides must be windows over one stream, with equal window_end (or window_start, of windows of one "
          "size).");
    return plan::WithInputs(plan, {std::move(left), std::move(right)});
  }
  if (plan->kind == NodeKind::kUnion) {
    std::vector<NodePtr> inputs;
    for (const NodePtr& input : plan->inputs) {
      KAPPA_ASSIGN_OR_RETURN(NodePtr closing, CloseWindows(input));
      inputs.push_back(std::move(closing));
    }
    return plan::WithInputs(plan, std::move(inputs));
  }
  if (plan->kind != NodeKind::kAggregate) return CloseRefused("It has no window.");
  if (static_cast<const plan::Aggregate&>(*plan).aggregates.empty() && plan->inputs[0]->kind == NodeKind::kUnion) {
    // UNION: a row is given when the first window that has it closes, and never taken back.
    KAPPA_ASSIGN_OR_RETURN(NodePtr input, CloseWindows(plan->inputs[0]));
    return plan::WithInputs(plan, {std::move(input)});
  }
  uint32_t stream = 0;
  return CloseAggregate(plan, &stream);
}

Result<NodePtr> Binder::CloseAggregate(const NodePtr& plan, uint32_t* stream_id) {
  const auto& aggregate = static_cast<const plan::Aggregate&>(*plan);
  const NodePtr input = WindowEndOf(*aggregate.inputs[0]) >= 0 ? aggregate.inputs[0] : WithWindowEnd(aggregate.inputs[0]);
  int close_key = -1;
  const plan::Node* window = nullptr;
  for (size_t i = 0; i < aggregate.keys.size(); ++i) {
    const expr::ColumnRef* key = AsColumn(aggregate.keys[i]);
    if (key == nullptr) continue;
    const ColumnOrigin origin = TraceColumn(*input, key->index());
    if (IsWindowEnd(origin) && close_key < 0) {
      close_key = static_cast<int>(i);
      window = origin.node;
    }
    if (IsWindowStart(origin) && window == nullptr) window = origin.node;
  }
  if (window == nullptr) return CloseRefused("Neither window_start nor window_end of a window function is in GROUP BY.");
  KAPPA_ASSIGN_OR_RETURN(const NodePtr closing_input, ClosingInput(input, *window, stream_id));
  std::vector<ExprPtr> keys = aggregate.keys;
  std::vector<std::string> names = plan::ColumnNames(aggregate.schema);
  if (close_key >= 0) return plan::MakeAggregate(closing_input, std::move(keys), aggregate.aggregates, std::move(names), close_key, *stream_id);

  // Grouped by window_start alone: window_end is a hidden key. Only of CUMULATE it would change the groups.
  if (window->kind == NodeKind::kWindow && static_cast<const plan::Window&>(*window).shape == plan::Window::Shape::kCumulate)
    return CloseRefused("The windows of CUMULATE share their window_start: window_end must be in GROUP BY.");
  int end = -1;
  for (int i = 0; i < input->schema.size() && end < 0; ++i) {
    const ColumnOrigin origin = TraceColumn(*input, i);
    if (IsWindowEnd(origin) && origin.node == window) end = i;
  }
  if (end < 0) return CloseRefused("window_end is not passed on to GROUP BY.");
  close_key = static_cast<int>(keys.size());
  keys.push_back(expr::MakeColumn(end, input->schema.fields[static_cast<size_t>(end)].type, "window_end"));
  names.insert(names.begin() + close_key, "window_end");
  const NodePtr closing = plan::MakeAggregate(closing_input, std::move(keys), aggregate.aggregates, std::move(names), close_key, *stream_id);
  std::vector<ExprPtr> kept;
  for (int i = 0; i < closing->schema.size(); ++i) {
    const data::Field& field = closing->schema.fields[static_cast<size_t>(i)];
    if (i != close_key) kept.push_back(expr::MakeColumn(i, field.type, field.name));
  }
  return plan::MakeProject(closing, std::move(kept), plan::ColumnNames(aggregate.schema));
}

}  // namespace kappa::sql
