// Where the columns of windows go: through the nodes that only pass rows on.
#pragma once

#include "plan/build.h"

namespace kappa::sql {

inline const expr::ColumnRef* AsColumn(const expr::ExprPtr& expression) {
  return expression->kind() == expr::Expression::Kind::kColumn ? static_cast<const expr::ColumnRef*>(expression.get()) : nullptr;
}

inline bool IsWindow(const plan::Node& node) { return node.kind == plan::NodeKind::kWindow || node.kind == plan::NodeKind::kSession; }

/// Where a column of a plan comes from when filters, projections, unnests and windows only pass it on.
struct ColumnOrigin {
  const plan::Node* node = nullptr;  // a window, or what lies under the chain; null when the column is computed
  int column = 0;
};
inline ColumnOrigin TraceColumn(const plan::Node& node, int column) {
  switch (node.kind) {
    case plan::NodeKind::kFilter: return TraceColumn(*node.inputs[0], column);
    case plan::NodeKind::kProject: {
      const expr::ColumnRef* reference = AsColumn(static_cast<const plan::Project&>(node).expressions[static_cast<size_t>(column)]);
      return reference != nullptr ? TraceColumn(*node.inputs[0], reference->index()) : ColumnOrigin{};
    }
    case plan::NodeKind::kUnnest: return column < node.inputs[0]->schema.size() ? TraceColumn(*node.inputs[0], column) : ColumnOrigin{};
    case plan::NodeKind::kWindow:
    case plan::NodeKind::kSession: return column < node.inputs[0]->schema.size() ? TraceColumn(*node.inputs[0], column) : ColumnOrigin{&node, column};
    default: return {&node, column};
  }
}
inline bool IsWindowEnd(const ColumnOrigin& origin) {
  return origin.node != nullptr && IsWindow(*origin.node) && origin.column == origin.node->schema.size() - 1;
}
inline bool IsWindowStart(const ColumnOrigin& origin) {
  return origin.node != nullptr && IsWindow(*origin.node) && origin.column == origin.node->schema.size() - 2;
}

}  // namespace kappa::sql
