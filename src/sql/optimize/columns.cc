// Column pruning: each node keeps only the columns that something above it reads, down to the columns of scans.
#include <algorithm>

#include "sql/optimize/optimize.h"

namespace kappa::sql {
namespace {

using expr::ExprPtr;
using plan::NodeKind;
using plan::NodePtr;

/// A pruned node, and for each old output column its new index (-1: gone).
struct Pruned {
  NodePtr node;
  std::vector<int> mapping;
};

using Columns = std::vector<bool>;

void Use(const ExprPtr& expression, Columns& used) {
  if (!expression) return;
  Columns read;
  expr::CollectColumns(*expression, read);
  for (size_t i = 0; i < read.size() && i < used.size(); ++i) used[i] = used[i] || read[i];
}

ExprPtr Moved(const ExprPtr& expression, const std::vector<int>& mapping) { return expression ? expr::RemapColumns(expression, mapping) : nullptr; }

std::vector<ExprPtr> Moved(std::vector<ExprPtr> expressions, const std::vector<int>& mapping) {
  for (ExprPtr& expression : expressions) expression = Moved(expression, mapping);
  return expressions;
}

std::vector<int> Identity(int count) {
  std::vector<int> mapping(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) mapping[static_cast<size_t>(i)] = i;
  return mapping;
}

Pruned Prune(const NodePtr& node, Columns used);

Pruned PruneScan(const plan::Scan& scan, Columns used) {
  Use(scan.predicate, used);
  auto copy = std::make_shared<plan::Scan>(scan);
  copy->columns.clear();
  copy->schema.fields.clear();
  Pruned result{nullptr, std::vector<int>(used.size(), -1)};
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) continue;
    result.mapping[i] = static_cast<int>(copy->columns.size());
    copy->columns.push_back(scan.columns[i]);
    copy->schema.fields.push_back(scan.schema.fields[i]);
  }
  copy->predicate = Moved(scan.predicate, result.mapping);
  result.node = std::move(copy);
  return result;
}

Pruned PruneProject(const plan::Project& project, const Columns& used) {
  Columns below(static_cast<size_t>(project.inputs[0]->schema.size()));
  for (size_t i = 0; i < used.size(); ++i)
    if (used[i]) Use(project.expressions[i], below);
  const Pruned input = Prune(project.inputs[0], below);
  Pruned result{nullptr, std::vector<int>(used.size(), -1)};
  std::vector<ExprPtr> expressions;
  std::vector<std::string> names;
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) continue;
    result.mapping[i] = static_cast<int>(expressions.size());
    expressions.push_back(Moved(project.expressions[i], input.mapping));
    names.push_back(project.schema.fields[i].name);
  }
  result.node = plan::MakeProject(input.node, std::move(expressions), std::move(names));
  return result;
}

Pruned PruneAggregate(const plan::Aggregate& aggregate, const Columns& used) {
  const size_t keys = aggregate.keys.size();
  Columns below(static_cast<size_t>(aggregate.inputs[0]->schema.size()));
  for (const ExprPtr& key : aggregate.keys) Use(key, below);
  std::vector<expr::AggregateCall> calls;
  std::vector<std::string> names;
  Pruned result{nullptr, std::vector<int>(used.size(), -1)};
  for (size_t i = 0; i < keys; ++i) {
    result.mapping[i] = static_cast<int>(i);
    names.push_back(aggregate.schema.fields[i].name);
  }
  for (size_t i = 0; i < aggregate.aggregates.size(); ++i) {
    // A global aggregate keeps one call, so that it still is an aggregate and gives its one row.
    const bool last = keys == 0 && calls.empty() && i + 1 == aggregate.aggregates.size();
    if (!used[keys + i] && !last) continue;
    const expr::AggregateCall& call = aggregate.aggregates[i];
    for (const ExprPtr& argument : call.arguments) Use(argument, below);
    Use(call.filter, below);
    for (const expr::AggregateOrder& order : call.order_by) Use(order.expression, below);
    result.mapping[keys + i] = static_cast<int>(keys + calls.size());
    calls.push_back(call);
    names.push_back(aggregate.schema.fields[keys + i].name);
  }
  const Pruned input = Prune(aggregate.inputs[0], below);
  for (expr::AggregateCall& call : calls) {
    call.arguments = Moved(std::move(call.arguments), input.mapping);
    call.filter = Moved(call.filter, input.mapping);
    for (expr::AggregateOrder& order : call.order_by) order.expression = Moved(order.expression, input.mapping);
  }
  result.node = plan::MakeAggregate(input.node, Moved(aggregate.keys, input.mapping), std::move(calls), std::move(names), aggregate.close_key,
                                    aggregate.close_stream, aggregate.value_key);
  return result;
}

Pruned PruneJoin(const plan::Join& join, const Columns& used) {
  const auto left_width = static_cast<size_t>(join.inputs[0]->schema.size());
  Columns all = used;
  all.resize(left_width + static_cast<size_t>(join.inputs[1]->schema.size()));  // a semi join gives the left columns alone
  Use(join.residual, all);
  Columns left(all.begin(), all.begin() + static_cast<ptrdiff_t>(left_width)), right(all.begin() + static_cast<ptrdiff_t>(left_width), all.end());
  for (const ExprPtr& key : join.left_keys) Use(key, left);
  for (const ExprPtr& key : join.right_keys) Use(key, right);
  const Pruned a = Prune(join.inputs[0], left), b = Prune(join.inputs[1], right);
  Pruned result{nullptr, a.mapping};
  const int new_width = a.node->schema.size();
  for (const int index : b.mapping) result.mapping.push_back(index < 0 ? -1 : index + new_width);
  result.node = plan::MakeJoin(join.type, a.node, b.node, Moved(join.left_keys, a.mapping), Moved(join.right_keys, b.mapping),
                               Moved(join.residual, result.mapping), join.null_equal);
  result.mapping.resize(used.size());
  return result;
}

Pruned PruneAsOfJoin(const plan::AsOfJoin& join, const Columns& used) {
  const auto left_width = static_cast<ptrdiff_t>(join.inputs[0]->schema.size());
  Columns left(used.begin(), used.begin() + left_width), right(used.begin() + left_width, used.end());
  for (const ExprPtr& key : join.left_keys) Use(key, left);
  for (const ExprPtr& key : join.right_keys) Use(key, right);
  Use(join.left_time, left);
  Use(join.right_time, right);
  Use(join.right_tie, right);
  const Pruned a = Prune(join.inputs[0], left), b = Prune(join.inputs[1], right);
  Pruned result{nullptr, a.mapping};
  const int new_width = a.node->schema.size();
  for (const int index : b.mapping) result.mapping.push_back(index < 0 ? -1 : index + new_width);
  result.node = plan::MakeAsOfJoin(join.outer, a.node, b.node, Moved(join.left_keys, a.mapping), Moved(join.right_keys, b.mapping),
                                   Moved(join.left_time, a.mapping), Moved(join.right_time, b.mapping), join.match, Moved(join.right_tie, b.mapping));
  return result;
}

std::vector<plan::SortKey> Moved(std::vector<plan::SortKey> keys, const std::vector<int>& mapping) {
  for (plan::SortKey& key : keys) key.expression = Moved(key.expression, mapping);
  return keys;
}

void UseWindow(const std::vector<ExprPtr>& partition, const std::vector<plan::SortKey>& order, Columns& used) {
  for (const ExprPtr& key : partition) Use(key, used);
  for (const plan::SortKey& key : order) Use(key.expression, used);
}

/// Window functions that nothing reads are not computed.
Pruned PruneOver(const plan::OverWindow& over, const Columns& used) {
  const size_t width = over.inputs[0]->schema.fields.size();
  Columns below(used.begin(), used.begin() + static_cast<ptrdiff_t>(width));
  std::vector<plan::WindowCall> calls;
  std::vector<std::string> names;
  std::vector<int> places(over.calls.size(), -1);
  for (size_t i = 0; i < over.calls.size(); ++i) {
    if (!used[width + i]) continue;
    for (const ExprPtr& argument : over.calls[i].arguments) Use(argument, below);
    for (const ExprPtr& argument : over.calls[i].aggregate.arguments) Use(argument, below);
    Use(over.calls[i].aggregate.filter, below);
    places[i] = static_cast<int>(calls.size());
    calls.push_back(over.calls[i]);
    names.push_back(over.schema.fields[width + i].name);
  }
  if (calls.empty()) {
    Pruned result = Prune(over.inputs[0], below);
    result.mapping.resize(used.size(), -1);
    return result;
  }
  UseWindow(over.partition, over.order, below);
  const Pruned input = Prune(over.inputs[0], below);
  for (plan::WindowCall& call : calls) {
    call.arguments = Moved(std::move(call.arguments), input.mapping);
    call.aggregate.arguments = Moved(std::move(call.aggregate.arguments), input.mapping);
    call.aggregate.filter = Moved(call.aggregate.filter, input.mapping);
  }
  Pruned result{nullptr, input.mapping};
  for (const int place : places) result.mapping.push_back(place < 0 ? -1 : input.node->schema.size() + place);
  result.node =
      plan::MakeOver(input.node, Moved(over.partition, input.mapping), Moved(over.order, input.mapping), std::move(calls), std::move(names));
  return result;
}

Pruned PruneTopN(const plan::TopN& top, const Columns& used) {
  const size_t width = top.inputs[0]->schema.fields.size();
  Columns below(used.begin(), used.begin() + static_cast<ptrdiff_t>(width));
  UseWindow(top.partition, top.order, below);
  const Pruned input = Prune(top.inputs[0], below);
  const bool with_rank = top.with_rank && used[width];
  Pruned result{nullptr, input.mapping};
  if (top.with_rank) result.mapping.push_back(with_rank ? input.node->schema.size() : -1);
  result.node = plan::MakeTopN(input.node, Moved(top.partition, input.mapping), Moved(top.order, input.mapping), top.rank, top.from, top.to,
                               with_rank ? top.schema.fields.back().name : "");
  return result;
}

/// Nodes that pass their input's columns on and may add some: the input keeps what is used above and in the node.
template <typename Make> Pruned PrunePassing(const plan::Node& node, Columns used, const Columns& own, const Make& make) {
  const auto width = static_cast<size_t>(node.inputs[0]->schema.size());
  Columns below(used.begin(), used.begin() + static_cast<ptrdiff_t>(width));
  for (size_t i = 0; i < own.size() && i < width; ++i) below[i] = below[i] || own[i];
  const Pruned input = Prune(node.inputs[0], below);
  Pruned result{make(input), input.mapping};
  const int new_width = input.node->schema.size();
  for (size_t i = width; i < used.size(); ++i) result.mapping.push_back(new_width + static_cast<int>(i - width));
  return result;
}

Pruned Prune(const NodePtr& node, Columns used) {
  used.resize(static_cast<size_t>(node->schema.size()));
  Columns own(node->inputs.empty() ? 0 : static_cast<size_t>(node->inputs[0]->schema.size()));
  switch (node->kind) {
    case NodeKind::kScan: return PruneScan(static_cast<const plan::Scan&>(*node), std::move(used));
    case NodeKind::kProject: return PruneProject(static_cast<const plan::Project&>(*node), used);
    case NodeKind::kAggregate: return PruneAggregate(static_cast<const plan::Aggregate&>(*node), used);
    case NodeKind::kJoin: return PruneJoin(static_cast<const plan::Join&>(*node), used);
    case NodeKind::kAsOfJoin: return PruneAsOfJoin(static_cast<const plan::AsOfJoin&>(*node), used);
    case NodeKind::kOver: return PruneOver(static_cast<const plan::OverWindow&>(*node), used);
    case NodeKind::kTopN: return PruneTopN(static_cast<const plan::TopN&>(*node), used);
    case NodeKind::kFilter: {
      const auto& filter = static_cast<const plan::Filter&>(*node);
      Use(filter.predicate, own);
      return PrunePassing(*node, std::move(used), own,
                          [&](const Pruned& input) { return plan::MakeFilter(input.node, Moved(filter.predicate, input.mapping)); });
    }
    case NodeKind::kTemporalFilter: {
      const auto& filter = static_cast<const plan::TemporalFilter&>(*node);
      for (const auto& bound : filter.bounds) Use(bound.value, own);
      return PrunePassing(*node, std::move(used), own, [&](const Pruned& input) {
        std::vector<plan::TemporalFilter::Bound> bounds = filter.bounds;
        for (auto& bound : bounds) bound.value = Moved(bound.value, input.mapping);
        return plan::MakeTemporalFilter(input.node, std::move(bounds));
      });
    }
    case NodeKind::kWindow: {
      const auto& window = static_cast<const plan::Window&>(*node);
      own[static_cast<size_t>(window.time_column)] = true;
      const bool several = window.slide_us < window.size_us && window.size_us % window.slide_us == 0;  // windows of a row, made of slices
      const bool merges = several && !used[static_cast<size_t>(window.time_column)];
      return PrunePassing(*node, std::move(used), own, [&](const Pruned& input) {
        return plan::MakeWindow(input.node, input.mapping[static_cast<size_t>(window.time_column)], window.slide_us, window.size_us, window.offset_us,
                                window.shape, merges);
      });
    }
    case NodeKind::kSession: {
      const auto& session = static_cast<const plan::Session&>(*node);
      own[static_cast<size_t>(session.time_column)] = true;
      for (const ExprPtr& key : session.keys) Use(key, own);
      return PrunePassing(*node, std::move(used), own, [&](const Pruned& input) {
        return plan::MakeSession(input.node, Moved(session.keys, input.mapping), input.mapping[static_cast<size_t>(session.time_column)],
                                 session.gap_us, session.closes, session.close_stream, session.expires);
      });
    }
    case NodeKind::kSessionAggregate: return {node, Identity(node->schema.size())};  // made after pruning
    case NodeKind::kUnnest: {
      const auto& unnest = static_cast<const plan::Unnest&>(*node);
      Use(unnest.array, own);
      for (const ExprPtr& e : unnest.more) Use(e, own);
      const std::string name = node->schema.fields[own.size()].name;
      std::vector<std::string> more_names;
      for (size_t i = 0; i < unnest.more.size(); ++i) more_names.push_back(node->schema.fields[own.size() + 1 + i].name);
      return PrunePassing(*node, std::move(used), own, [&](const Pruned& input) {
        return plan::MakeUnnest(input.node, Moved(unnest.array, input.mapping), unnest.with_ordinality, unnest.outer, name,
                                Moved(unnest.more, input.mapping), more_names);
      });
    }
    case NodeKind::kSort: {
      const auto& sort = static_cast<const plan::Sort&>(*node);
      for (const plan::SortKey& key : sort.keys) Use(key.expression, own);
      return PrunePassing(*node, std::move(used), own, [&](const Pruned& input) {
        std::vector<plan::SortKey> keys = sort.keys;
        for (plan::SortKey& key : keys) key.expression = Moved(key.expression, input.mapping);
        return plan::MakeSort(input.node, std::move(keys));
      });
    }
    case NodeKind::kLimit: {
      const auto& limit = static_cast<const plan::Limit&>(*node);
      return PrunePassing(*node, std::move(used), own, [&](const Pruned& input) { return plan::MakeLimit(input.node, limit.limit, limit.offset); });
    }
    case NodeKind::kUnion: {
      // Inputs may keep different extra columns, so each is brought to the same ones.
      std::vector<NodePtr> inputs;
      std::vector<int> mapping(used.size(), -1);
      for (const NodePtr& input : node->inputs) {
        const Pruned pruned = Prune(input, used);
        std::vector<ExprPtr> kept;
        std::vector<std::string> names;
        for (size_t i = 0; i < used.size(); ++i) {
          if (!used[i]) continue;
          mapping[i] = static_cast<int>(kept.size());
          kept.push_back(expr::MakeColumn(pruned.mapping[i], pruned.node->schema.fields[static_cast<size_t>(pruned.mapping[i])].type,
                                          node->schema.fields[i].name));
          names.push_back(node->schema.fields[i].name);
        }
        inputs.push_back(plan::MakeProject(pruned.node, std::move(kept), std::move(names)));
      }
      return {plan::MakeUnion(std::move(inputs)), std::move(mapping)};
    }
    case NodeKind::kRecursive:
      return {plan::WithInputs(node, {PruneColumns(node->inputs[0]), PruneColumns(node->inputs[1])}), Identity(node->schema.size())};
    case NodeKind::kCheckErrors:  // made after pruning
    case NodeKind::kValues:
    case NodeKind::kTableFunction: return {node, Identity(node->schema.size())};
  }
  KAPPA_CHECK(false);
}

bool IsIdentity(const plan::Project& project) {
  if (project.expressions.size() != static_cast<size_t>(project.inputs[0]->schema.size())) return false;
  for (size_t i = 0; i < project.expressions.size(); ++i) {
    const ExprPtr& expression = project.expressions[i];
    if (expression->kind() != expr::Expression::Kind::kColumn || static_cast<const expr::ColumnRef&>(*expression).index() != static_cast<int>(i))
      return false;
  }
  return true;
}

/// True when the outer projection can compute over the inner one's input: nothing but columns and constants is used twice.
bool CanMerge(const plan::Project& outer, const plan::Project& inner) {
  std::vector<int> uses(inner.expressions.size());
  const auto count = [&](const auto& self, const expr::Expression& expression) -> void {
    if (expression.kind() == expr::Expression::Kind::kColumn) ++uses[static_cast<size_t>(static_cast<const expr::ColumnRef&>(expression).index())];
    for (const ExprPtr& child : expression.children()) self(self, *child);
  };
  for (const ExprPtr& expression : outer.expressions) count(count, *expression);
  for (size_t i = 0; i < uses.size(); ++i) {
    const expr::Expression::Kind kind = inner.expressions[i]->kind();
    const bool cheap =
        kind == expr::Expression::Kind::kColumn || kind == expr::Expression::Kind::kLiteral || kind == expr::Expression::Kind::kParameter;
    if (uses[i] > 1 && !cheap) return false;
    if (uses[i] == 0 && !inner.expressions[i]->is_immutable() && !cheap) return false;
  }
  return true;
}

NodePtr Simplify(const NodePtr& node, bool root) {
  std::vector<NodePtr> inputs;
  for (const NodePtr& input : node->inputs) inputs.push_back(Simplify(input, false));
  NodePtr result = plan::WithInputs(node, std::move(inputs));
  if (result->kind != NodeKind::kProject) return result;
  if (result->inputs[0]->kind == NodeKind::kProject) {
    const auto& outer = static_cast<const plan::Project&>(*result);
    const auto& inner = static_cast<const plan::Project&>(*result->inputs[0]);
    if (CanMerge(outer, inner)) {
      std::vector<ExprPtr> expressions;
      for (const ExprPtr& expression : outer.expressions) expressions.push_back(expr::SubstituteColumns(expression, inner.expressions));
      result = plan::MakeProject(inner.inputs[0], std::move(expressions), plan::ColumnNames(outer.schema));
    }
  }
  const auto& project = static_cast<const plan::Project&>(*result);
  if (!IsIdentity(project)) return result;
  const NodePtr& input = result->inputs[0];
  const std::vector<std::string> names = plan::ColumnNames(result->schema);
  if (names == plan::ColumnNames(input->schema)) return input;
  // A scan's column names are the relation's; any other node can take the projection's names.
  if (input->kind == NodeKind::kScan && root) return result;
  return input->kind == NodeKind::kScan ? input : plan::WithNames(input, names);
}

}  // namespace

NodePtr PruneColumns(const NodePtr& plan) {
  const Pruned pruned = Prune(plan, Columns(static_cast<size_t>(plan->schema.size()), true));
  const std::vector<std::string> names = plan::ColumnNames(plan->schema);
  if (pruned.mapping == Identity(plan->schema.size()) && pruned.node->schema.size() == plan->schema.size())
    return plan::WithNames(pruned.node, names);
  std::vector<ExprPtr> expressions;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto index = static_cast<size_t>(pruned.mapping[i]);
    expressions.push_back(expr::MakeColumn(static_cast<int>(index), pruned.node->schema.fields[index].type, pruned.node->schema.fields[index].name));
  }
  return plan::MakeProject(pruned.node, std::move(expressions), names);
}

NodePtr SimplifyProjections(const NodePtr& plan) { return Simplify(plan, true); }

}  // namespace kappa::sql
