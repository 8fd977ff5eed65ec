// Views: what their queries may not hold, which columns identify a row, and EMIT ON WINDOW CLOSE.
#include <algorithm>
#include <set>

#include "sql/bind/nodes.h"
#include "sql/optimize/optimize.h"

namespace kappa::sql {
namespace {

using plan::NodeKind;

const expr::ColumnRef* AsColumn(const ExprPtr& expression) {
  return expression->kind() == expr::Expression::Kind::kColumn ? static_cast<const expr::ColumnRef*>(expression.get()) : nullptr;
}

/// Where a column of a plan comes from when filters, projections and unnests only pass it on.
struct Origin {
  const plan::Node* node = nullptr;  // a Window or a Scan; null when the column is computed
  int column = 0;
};
Origin Trace(const plan::Node& node, int column) {
  switch (node.kind) {
    case NodeKind::kFilter: return Trace(*node.inputs[0], column);
    case NodeKind::kProject: {
      const expr::ColumnRef* reference = AsColumn(static_cast<const plan::Project&>(node).expressions[static_cast<size_t>(column)]);
      return reference != nullptr ? Trace(*node.inputs[0], reference->index()) : Origin{};
    }
    case NodeKind::kUnnest: return column < node.inputs[0]->schema.size() ? Trace(*node.inputs[0], column) : Origin{};
    case NodeKind::kWindow:
    case NodeKind::kScan: return {&node, column};
    default: return {};
  }
}

/// The chain of filters, projections, unnests and windows over one stream, with late rows left out.
NodePtr DropLateRows(const NodePtr& node) {
  if (node->kind == NodeKind::kScan) {
    auto scan = std::make_shared<plan::Scan>(static_cast<const plan::Scan&>(*node));
    scan->late = plan::LateRows::kDrop;
    return scan;
  }
  return plan::WithInputs(node, {DropLateRows(node->inputs[0])});
}

/// The stream scan under a chain, null when the chain holds anything else.
const plan::Scan* StreamUnder(const plan::Node& node) {
  switch (node.kind) {
    case NodeKind::kFilter:
    case NodeKind::kProject:
    case NodeKind::kUnnest:
    case NodeKind::kWindow: return StreamUnder(*node.inputs[0]);
    case NodeKind::kScan: {
      const auto& scan = static_cast<const plan::Scan&>(node);
      return scan.relation_kind == plan::RelationKind::kStream ? &scan : nullptr;
    }
    default: return nullptr;
  }
}

}  // namespace

Result<NodePtr> Binder::ViewQuery(const PgQuery__Node& query) {
  for_view_ = true;
  const int start = tree_.statement().offset + 1;
  if (query.node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return Error(sqlstate::kSyntaxError, "a view's query must be a SELECT").At(start);
  KAPPA_ASSIGN_OR_RETURN(NodePtr plan, Select(*query.select_stmt, /*keep_unknown=*/false));
  plan = UnknownToText(std::move(plan));
  if (plan->schema.size() == 0) return Error(sqlstate::kInvalidObjectDefinition, "a view must have at least one column").At(start);
  std::set<std::string> names;
  for (const data::Field& field : plan->schema.fields) {
    if (names.insert(field.name).second) continue;
    return Error(sqlstate::kDuplicateColumn, "column \"" + field.name + "\" specified more than once").Hint("Name the columns apart with AS.").At(start);
  }
  if (tree_.statement().emit == Emit::kOnWindowClose) {
    KAPPA_ASSIGN_OR_RETURN(plan, CloseWindows(plan));
  }
  KAPPA_ASSIGN_OR_RETURN(plan, Finish(std::move(plan)));
  KAPPA_RETURN_IF_ERROR(CheckView(*plan));
  return plan;
}

Status Binder::CheckView(const plan::Node& plan) const {
  if (plan.kind == NodeKind::kTableFunction)
    return Unsupported("function " + static_cast<const plan::TableFunction&>(plan).name + " in a view", "Views read streams, tables and other views.", tree_.statement().offset + 1);
  for (const NodePtr& input : plan.inputs) {
    KAPPA_RETURN_IF_ERROR(CheckView(*input));
  }
  return {};
}

/// Makes the one aggregate of the plan a closing one: a group is given once, when its window has closed.
Result<NodePtr> Binder::CloseWindows(const NodePtr& plan) {
  const int position = window_position_ > 0 ? window_position_ : tree_.statement().offset + 1;
  const auto refuse = [&](std::string why) {
    return Error(sqlstate::kFeatureNotSupported, "EMIT ON WINDOW CLOSE is not supported for this query").Detail(std::move(why))
        .Hint("Write SELECT .. FROM TUMBLE(stream, event_time, INTERVAL '1 minute') GROUP BY window_start, window_end, .. EMIT ON WINDOW CLOSE.").At(position);
  };
  if (plan->kind == NodeKind::kProject || plan->kind == NodeKind::kFilter || plan->kind == NodeKind::kUnnest) {
    KAPPA_ASSIGN_OR_RETURN(NodePtr input, CloseWindows(plan->inputs[0]));
    return plan::WithInputs(plan, {std::move(input)});
  }
  if (plan->kind != NodeKind::kAggregate) return refuse("It has no GROUP BY over a window.");
  const auto& aggregate = static_cast<const plan::Aggregate&>(*plan);
  const NodePtr& input = aggregate.inputs[0];

  const auto window_column = [&](int column) -> const plan::Window* {
    const Origin origin = Trace(*input, column);
    return origin.node != nullptr && origin.node->kind == NodeKind::kWindow ? static_cast<const plan::Window*>(origin.node) : nullptr;
  };
  const auto is_end = [&](int column) {
    const plan::Window* window = window_column(column);
    return window != nullptr && Trace(*input, column).column == window->schema.size() - 1;
  };
  const auto is_start = [&](int column) {
    const plan::Window* window = window_column(column);
    return window != nullptr && Trace(*input, column).column == window->schema.size() - 2;
  };
  int close_key = -1;
  bool by_start = false;
  const plan::Window* window = nullptr;
  for (size_t i = 0; i < aggregate.keys.size(); ++i) {
    const expr::ColumnRef* key = AsColumn(aggregate.keys[i]);
    if (key == nullptr) continue;
    if (is_end(key->index()) && close_key < 0) {
      close_key = static_cast<int>(i);
      window = window_column(key->index());
    }
    if (is_start(key->index())) {
      by_start = true;
      if (window == nullptr) window = window_column(key->index());
    }
  }
  if (window == nullptr) return refuse("Neither window_start nor window_end of a TUMBLE or HOP is in GROUP BY.");
  const plan::Scan* scan = StreamUnder(*input);
  if (scan == nullptr) return refuse("The window must be directly over one stream.");
  const catalog::Stream* stream = context_.catalog->FindStream(scan->name);
  if (stream == nullptr || stream->event_time < 0)
    return Error(sqlstate::kInvalidObjectDefinition, "stream \"" + scan->name + "\" has no watermark").Detail("EMIT ON WINDOW CLOSE needs a watermark to know when a window has closed.")
        .Hint("Declare it: WATERMARK FOR ts AS ts - INTERVAL '5 seconds'.").At(position);
  const Origin time = Trace(*window->inputs[0], window->time_column);
  const bool event_time = time.node == scan && scan->columns[static_cast<size_t>(time.column)] == stream->event_time;
  if (!event_time)
    return Error(sqlstate::kInvalidObjectDefinition, "EMIT ON WINDOW CLOSE needs windows over the event time of stream \"" + stream->name + "\"")
        .Hint("Its watermark is on column \"" + stream->schema.fields[static_cast<size_t>(stream->event_time)].name + "\".").At(position);

  std::vector<ExprPtr> keys = aggregate.keys;
  std::vector<std::string> names = plan::ColumnNames(aggregate.schema);
  const NodePtr dropped = DropLateRows(input);
  if (close_key >= 0) return plan::MakeAggregate(dropped, std::move(keys), aggregate.aggregates, std::move(names), close_key, stream->id);

  // Grouped by window_start alone: window_end is a hidden key, which changes no group.
  KAPPA_CHECK(by_start);
  int end = -1;
  for (int i = 0; i < input->schema.size() && end < 0; ++i)
    if (is_end(i)) end = i;
  if (end < 0) return refuse("window_end is not passed on to GROUP BY.");
  close_key = static_cast<int>(keys.size());
  keys.push_back(expr::MakeColumn(end, input->schema.fields[static_cast<size_t>(end)].type, "window_end"));
  names.insert(names.begin() + close_key, "window_end");
  const NodePtr closing = plan::MakeAggregate(dropped, std::move(keys), aggregate.aggregates, std::move(names), close_key, stream->id);
  std::vector<ExprPtr> kept;
  for (int i = 0; i < closing->schema.size(); ++i) {
    const data::Field& field = closing->schema.fields[static_cast<size_t>(i)];
    if (i != close_key) kept.push_back(expr::MakeColumn(i, field.type, field.name));
  }
  return plan::MakeProject(closing, std::move(kept), plan::ColumnNames(aggregate.schema));
}

std::vector<int> Binder::KeyColumns(const plan::Node& plan) const {
  switch (plan.kind) {
    case NodeKind::kAggregate: {
      std::vector<int> keys;
      for (size_t i = 0; i < static_cast<const plan::Aggregate&>(plan).keys.size(); ++i) keys.push_back(static_cast<int>(i));
      return keys;
    }
    case NodeKind::kFilter: return KeyColumns(*plan.inputs[0]);
    case NodeKind::kProject: {
      const auto& project = static_cast<const plan::Project&>(plan);
      std::vector<int> keys;
      for (const int key : KeyColumns(*plan.inputs[0])) {
        const auto found = std::find_if(project.expressions.begin(), project.expressions.end(), [&](const ExprPtr& e) { return AsColumn(e) != nullptr && AsColumn(e)->index() == key; });
        if (found == project.expressions.end()) return {};
        keys.push_back(static_cast<int>(found - project.expressions.begin()));
      }
      return keys;
    }
    case NodeKind::kScan: {
      const auto& scan = static_cast<const plan::Scan&>(plan);
      std::vector<int> source;
      if (scan.relation_kind == plan::RelationKind::kTable) {
        if (const catalog::Table* table = context_.catalog->FindTable(scan.name)) source = table->primary_key;
      } else if (scan.relation_kind == plan::RelationKind::kView) {
        const catalog::View* view = context_.catalog->FindView(scan.name);
        const catalog::ViewVersion* version = view == nullptr ? nullptr : view->FindVersion(scan.version > 0 ? scan.version : view->serving);
        if (version != nullptr) source = version->key_columns;
      }
      std::vector<int> keys;
      for (const int key : source) {
        const auto found = std::find(scan.columns.begin(), scan.columns.end(), key);
        if (found == scan.columns.end()) return {};
        keys.push_back(static_cast<int>(found - scan.columns.begin()));
      }
      return keys;
    }
    case NodeKind::kJoin: {
      // A side whose key is joined on adds at most one row, so the left side's key still identifies a row.
      const auto& join = static_cast<const plan::Join&>(plan);
      if (join.left_only()) return KeyColumns(*plan.inputs[0]);
      const std::vector<int> right = KeyColumns(*plan.inputs[1]);
      if (right.empty() || (join.type != plan::JoinType::kInner && join.type != plan::JoinType::kLeft)) return {};
      for (const int key : right) {
        const bool joined = std::any_of(join.right_keys.begin(), join.right_keys.end(), [&](const ExprPtr& e) { return AsColumn(e) != nullptr && AsColumn(e)->index() == key; });
        if (!joined) return {};
      }
      return KeyColumns(*plan.inputs[0]);
    }
    default: return {};
  }
}

}  // namespace kappa::sql
