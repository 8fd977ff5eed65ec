// WITH (ttl = ..) of a view: what nothing came to for so long leaves the view, and the state. Rows of a stream go when they are older than that,
// groups over a stream when their newest row is.
#include "sql/bind/nodes.h"

namespace kappa::sql {
namespace {

using plan::NodeKind;

std::vector<ExprPtr> ColumnsOf(const plan::Node& node, int from, int to) {
  std::vector<ExprPtr> columns;
  for (int i = from; i < to; ++i) {
    const data::Field& field = node.schema.fields[static_cast<size_t>(i)];
    columns.push_back(expr::MakeColumn(i, field.type, field.name));
  }
  return columns;
}

NodePtr Projected(NodePtr node, std::vector<ExprPtr> columns) {
  std::vector<std::string> names;
  for (const ExprPtr& column : columns) names.push_back(static_cast<const expr::ColumnRef&>(*column).name());
  return plan::MakeProject(std::move(node), std::move(columns), std::move(names));
}

bool IsStream(const plan::Node& node) {
  return node.kind == NodeKind::kScan && static_cast<const plan::Scan&>(node).relation_kind == plan::RelationKind::kStream;
}

}  // namespace

/// The node with one more column, the last: when its rows came, the time of the epoch that took their record. Null where rows are not made of
/// single rows of streams.
NodePtr Binder::WithArrival(const NodePtr& node) const {
  std::vector<NodePtr> inputs;
  switch (node->kind) {
    case NodeKind::kScan: {
      if (!IsStream(*node)) return nullptr;
      auto scan = std::make_shared<plan::Scan>(static_cast<const plan::Scan&>(*node));
      scan->columns.push_back(context_.catalog->FindStream(scan->name)->schema.size() + plan::kProcessingTimeColumn);
      scan->schema.fields.push_back({"arrival", data::TypeId::kTimestamptz, false});
      return scan;
    }
    case NodeKind::kFilter:
    case NodeKind::kProject:
    case NodeKind::kUnnest:
    case NodeKind::kWindow:
    case NodeKind::kUnion:
      for (const NodePtr& input : node->inputs) {
        inputs.push_back(WithArrival(input));
        if (inputs.back() == nullptr) return nullptr;
      }
      break;
    default: return nullptr;
  }
  const int width = node->inputs[0]->schema.size();
  const data::Field arrival = inputs[0]->schema.fields.back();
  if (node->kind == NodeKind::kFilter) return plan::MakeFilter(inputs[0], static_cast<const plan::Filter&>(*node).predicate);
  if (node->kind == NodeKind::kUnion) return plan::MakeUnion(std::move(inputs));
  if (node->kind == NodeKind::kProject) {
    std::vector<ExprPtr> expressions = static_cast<const plan::Project&>(*node).expressions;
    std::vector<std::string> names = plan::ColumnNames(node->schema);
    expressions.push_back(expr::MakeColumn(width, arrival.type, arrival.name));
    names.push_back(arrival.name);
    return plan::MakeProject(inputs[0], std::move(expressions), std::move(names));
  }
  // What the node adds comes behind its input's columns: arrival moves from between them to the end.
  NodePtr widened;
  if (node->kind == NodeKind::kWindow) {
    const auto& window = static_cast<const plan::Window&>(*node);
    widened = plan::MakeWindow(inputs[0], window.time_column, window.slide_us, window.size_us, window.offset_us, window.shape);
  } else {
    const auto& unnest = static_cast<const plan::Unnest&>(*node);
    std::vector<std::string> more_names;
    for (size_t i = 0; i < unnest.more.size(); ++i) more_names.push_back(node->schema.fields[static_cast<size_t>(width) + 1 + i].name);
    widened = plan::MakeUnnest(inputs[0], unnest.array, unnest.with_ordinality, unnest.outer, node->schema.fields[static_cast<size_t>(width)].name,
                               unnest.more, more_names);
  }
  std::vector<ExprPtr> columns = ColumnsOf(*widened, 0, width);
  for (ExprPtr& added : ColumnsOf(*widened, width + 1, widened->schema.size())) columns.push_back(std::move(added));
  columns.push_back(expr::MakeColumn(width, arrival.type, arrival.name));
  return Projected(std::move(widened), std::move(columns));
}

/// The plan whose groups and rows leave after the view's time to live. A group is a session of its rows' arrivals with that gap.
NodePtr Binder::Expiring(const NodePtr& node) {
  if (IsStream(*node)) {
    expires_ = true;
    const NodePtr rows = WithArrival(node);
    const int width = node->schema.size();
    const ExprPtr arrival = ColumnsOf(*rows, width, width + 1)[0];
    return Projected(plan::MakeTemporalFilter(rows, {{arrival, -ttl_us_, /*before=*/true, /*inclusive=*/true}}), ColumnsOf(*rows, 0, width));
  }
  if (node->kind == NodeKind::kAggregate && !static_cast<const plan::Aggregate&>(*node).keys.empty()) {
    const auto& aggregate = static_cast<const plan::Aggregate&>(*node);
    if (const NodePtr rows = WithArrival(node->inputs[0])) {
      expires_ = true;
      const int arrival = rows->schema.size() - 1, keys = static_cast<int>(aggregate.keys.size());
      const NodePtr sessions = plan::MakeSession(rows, aggregate.keys, arrival, ttl_us_, /*closes=*/false, 0, /*expires=*/true);
      std::vector<ExprPtr> by = aggregate.keys;
      by.push_back(ColumnsOf(*sessions, arrival + 1, arrival + 2)[0]);
      std::vector<std::string> names = plan::ColumnNames(node->schema);
      names.insert(names.begin() + keys, "window_start");
      const NodePtr groups = plan::MakeAggregate(sessions, std::move(by), aggregate.aggregates, std::move(names));
      std::vector<ExprPtr> columns = ColumnsOf(*groups, 0, keys);
      for (ExprPtr& result : ColumnsOf(*groups, keys + 1, groups->schema.size())) columns.push_back(std::move(result));
      return Projected(groups, std::move(columns));
    }
  }
  std::vector<NodePtr> inputs;
  for (const NodePtr& input : node->inputs) inputs.push_back(Expiring(input));
  return plan::WithInputs(node, std::move(inputs));
}

}  // namespace kappa::sql
