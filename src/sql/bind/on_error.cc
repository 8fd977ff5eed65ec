// WITH (on_error = 'dead_letter'): the rows of streams for which an expression would fail are left out at the scan, and become dead letters.
#include <algorithm>

#include "sql/bind/nodes.h"
#include "sql/bind/window_columns.h"

namespace kappa::sql {
namespace {

using plan::NodeKind;
using Step = plan::CheckErrors::Step;
using Steps = std::vector<Step>;

/// Columns and constants cannot fail.
bool MayFail(const expr::Expression& expression) {
  using Kind = expr::Expression::Kind;
  return expression.kind() != Kind::kColumn && expression.kind() != Kind::kLiteral && expression.kind() != Kind::kSubquery;
}

void Add(Steps& steps, const ExprPtr& expression, bool filter = false) {
  if (!expression || (!filter && !MayFail(*expression))) return;
  for (const Step& step : steps)
    if (step.filter == filter && plan::SameExpression(*step.expression, *expression)) return;
  steps.push_back({expression, filter});
}
void Add(Steps& steps, const std::vector<ExprPtr>& expressions) {
  for (const ExprPtr& expression : expressions) Add(steps, expression);
}

/// An aggregate's FILTER says for which rows the arguments are computed.
void Add(Steps& steps, const expr::AggregateCall& call) {
  Add(steps, call.filter);
  std::vector<ExprPtr> arguments = call.arguments;
  for (const expr::AggregateOrder& order : call.order_by) arguments.push_back(order.expression);
  for (const ExprPtr& argument : arguments) {
    if (!call.filter) {
      Add(steps, argument);
      continue;
    }
    Result<ExprPtr> guarded = expr::MakeCase(nullptr, {{call.filter, argument}}, nullptr, 0);
    KAPPA_CHECK(guarded.ok());
    if (MayFail(*argument)) Add(steps, *guarded);
  }
}

/// The steps that read the columns [from, from + width) alone, over these. Where a filter is lost, so is what comes after it.
Steps Below(const Steps& steps, int from, int width) {
  Steps below;
  for (const Step& step : steps) {
    std::vector<bool> used;
    expr::CollectColumns(*step.expression, used);
    bool reads = true;
    std::vector<int> mapping(used.size());
    for (size_t i = 0; i < used.size(); ++i) {
      mapping[i] = std::max(0, static_cast<int>(i) - from);
      reads = reads && (!used[i] || (static_cast<int>(i) >= from && static_cast<int>(i) < from + width));
    }
    if (reads) below.push_back({expr::RemapColumns(step.expression, mapping), step.filter});
    else if (step.filter) break;
  }
  return below;
}

void Add(Steps& steps, const Steps& more) {
  for (const Step& step : more) Add(steps, step.expression, step.filter);
}

}  // namespace

/// The plan with its streams' rows checked as they come: also what is computed of one side of a join, whether or not the row finds a match. `above`: what the nodes above compute for each row of this one, in order.
NodePtr Binder::CheckErrors(const NodePtr& node, std::vector<plan::CheckErrors::Step> above) const {
  const auto over = [&](std::vector<Steps> steps) {
    std::vector<NodePtr> inputs;
    for (size_t i = 0; i < node->inputs.size(); ++i) inputs.push_back(CheckErrors(node->inputs[i], std::move(steps[i])));
    return plan::WithInputs(node, std::move(inputs));
  };
  Steps steps;
  switch (node->kind) {
    case NodeKind::kScan: {
      const auto& scan = static_cast<const plan::Scan&>(*node);
      const catalog::Stream* stream = scan.relation_kind == plan::RelationKind::kStream ? context_.catalog->FindStream(scan.name) : nullptr;
      if (scan.predicate) Add(steps, scan.predicate, /*filter=*/true);
      Add(steps, above);
      while (!steps.empty() && steps.back().filter && !MayFail(*steps.back().expression)) steps.pop_back();
      if (stream == nullptr || steps.empty()) return node;
      auto with_origin = std::make_shared<plan::Scan>(scan);
      with_origin->predicate = nullptr;
      with_origin->columns.insert(with_origin->columns.end(),
                                  {stream->schema.size() + plan::kPartitionColumn, stream->schema.size() + plan::kOffsetColumn});
      with_origin->schema.fields.insert(with_origin->schema.fields.end(),
                                        {{"_partition", data::TypeId::kInt4, false}, {"_offset", data::TypeId::kInt8, false}});
      return plan::MakeCheckErrors(std::move(with_origin), std::move(steps));
    }
    case NodeKind::kFilter:
      Add(steps, static_cast<const plan::Filter&>(*node).predicate, /*filter=*/true);
      Add(steps, above);
      return over({std::move(steps)});
    case NodeKind::kProject: {
      const auto& project = static_cast<const plan::Project&>(*node);
      Add(steps, project.expressions);
      for (const Step& step : above) Add(steps, expr::SubstituteColumns(step.expression, project.expressions), step.filter);
      return over({std::move(steps)});
    }
    case NodeKind::kTemporalFilter:
      for (const auto& bound : static_cast<const plan::TemporalFilter&>(*node).bounds) Add(steps, bound.value);
      Add(steps, above);
      return over({std::move(steps)});
    case NodeKind::kUnnest: {
      const auto& unnest = static_cast<const plan::Unnest&>(*node);
      Add(steps, unnest.array);
      Add(steps, unnest.more);
      if (unnest.outer) Add(steps, Below(above, 0, node->inputs[0]->schema.size()));
      return over({std::move(steps)});
    }
    case NodeKind::kWindow: {
      const int column = static_cast<const plan::Window&>(*node).time_column;
      const data::Field& time = node->schema.fields[static_cast<size_t>(column)];
      Add(steps, expr::MakeIsNull(expr::MakeColumn(column, time.type, time.name), /*negated=*/true), /*filter=*/true);  // others are in no window
      Add(steps, Below(above, 0, node->inputs[0]->schema.size()));
      return over({std::move(steps)});
    }
    case NodeKind::kUnion: return over(std::vector<Steps>(node->inputs.size(), above));
    case NodeKind::kAggregate: {
      const auto& aggregate = static_cast<const plan::Aggregate&>(*node);
      Add(steps, aggregate.keys);
      for (const expr::AggregateCall& call : aggregate.aggregates) Add(steps, call);
      return over({std::move(steps)});
    }
    case NodeKind::kSession: {
      Add(steps, static_cast<const plan::Session&>(*node).keys);
      return over({std::move(steps)});
    }
    case NodeKind::kSessionAggregate: {
      const auto& sessions = static_cast<const plan::SessionAggregate&>(*node);
      Add(steps, sessions.keys);
      for (const expr::AggregateCall& call : sessions.aggregates) Add(steps, call);
      return over({std::move(steps)});
    }
    case NodeKind::kJoin: {
      const auto& join = static_cast<const plan::Join&>(*node);
      Steps right;
      Add(steps, join.left_keys);
      Add(right, join.right_keys);
      const int width = node->inputs[0]->schema.size();
      Add(steps, Below(above, 0, width));
      if (!join.left_only()) Add(right, Below(above, width, node->inputs[1]->schema.size()));
      return over({std::move(steps), std::move(right)});
    }
    case NodeKind::kAsOfJoin: {
      const auto& join = static_cast<const plan::AsOfJoin&>(*node);
      Steps right;
      Add(steps, join.left_keys);
      Add(steps, join.left_time);
      Add(right, join.right_keys);
      Add(right, join.right_time);
      const int width = node->inputs[0]->schema.size();
      Add(steps, Below(above, 0, width));
      Add(right, Below(above, width, node->inputs[1]->schema.size()));
      return over({std::move(steps), std::move(right)});
    }
    case NodeKind::kOver: {
      const auto& window = static_cast<const plan::OverWindow&>(*node);
      Add(steps, window.partition);
      for (const plan::SortKey& key : window.order) Add(steps, key.expression);
      for (const plan::WindowCall& call : window.calls) {
        Add(steps, call.arguments);
        Add(steps, call.aggregate);
      }
      return over({std::move(steps)});
    }
    case NodeKind::kTopN: {
      const auto& top = static_cast<const plan::TopN&>(*node);
      Add(steps, top.partition);
      for (const plan::SortKey& key : top.order) Add(steps, key.expression);
      return over({std::move(steps)});
    }
    default: return over(std::vector<Steps>(node->inputs.size()));
  }
}

}  // namespace kappa::sql
