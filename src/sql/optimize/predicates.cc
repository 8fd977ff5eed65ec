// Predicate pushdown. A conjunct moves down to the lowest node that has all its columns; equalities of both sides of a
// join become its keys; what reaches a scan becomes the scan's predicate.
#include <algorithm>

#include "sql/optimize/conjuncts.h"
#include "sql/optimize/optimize.h"

namespace kappa::sql {
namespace {

using expr::Expression;
using expr::ExprPtr;
using plan::JoinType;
using plan::NodeKind;
using plan::NodePtr;

/// False for sub-queries and volatile functions, which stay where the user wrote them.
bool IsMovable(const Expression& expression) {
  if (expression.kind() == Expression::Kind::kSubquery) return false;
  const auto& children = expression.children();
  const bool constant_children = std::all_of(children.begin(), children.end(), [](const ExprPtr& child) { return child->is_row_constant(); });
  if (constant_children && !expression.is_row_constant() && expression.kind() != Expression::Kind::kColumn) return false;  // random()
  return std::all_of(children.begin(), children.end(), [](const ExprPtr& child) { return IsMovable(*child); });
}

/// Which side of a join an expression reads: 1 left, 2 right, 3 both, 0 neither.
int SidesOf(const Expression& expression, int left_width) {
  std::vector<bool> used;
  expr::CollectColumns(expression, used);
  int sides = 0;
  for (size_t i = 0; i < used.size(); ++i)
    if (used[i]) sides |= static_cast<int>(i) < left_width ? 1 : 2;
  return sides;
}

/// The expression over the right input alone.
ExprPtr OnRight(const ExprPtr& expression, int left_width) {
  std::vector<bool> used;
  expr::CollectColumns(*expression, used);
  std::vector<int> mapping(used.size());
  for (size_t i = 0; i < mapping.size(); ++i) mapping[i] = std::max(0, static_cast<int>(i) - left_width);
  return expr::RemapColumns(expression, mapping);
}

/// An equality of an expression of the left and one of the right input, as (left, right); null when it is none.
std::pair<ExprPtr, ExprPtr> AsKeys(const ExprPtr& conjunct, int left_width) {
  if (conjunct->kind() != Expression::Kind::kCall || conjunct->call_name() != "=" || conjunct->children().size() != 2 || !IsMovable(*conjunct))
    return {};
  const ExprPtr &a = conjunct->children()[0], &b = conjunct->children()[1];
  if (!a->type().Same(b->type())) return {};
  const int left = SidesOf(*a, left_width), right = SidesOf(*b, left_width);
  if (left == 1 && right == 2) return {a, OnRight(b, left_width)};
  if (left == 2 && right == 1) return {b, OnRight(a, left_width)};
  return {};
}

NodePtr Push(const NodePtr& node, std::vector<ExprPtr> conjuncts);

/// Inner and cross joins as one list: FROM a, b, c or a JOIN b JOIN c. Columns of the conjuncts are those of the inputs side
/// by side.
struct JoinList {
  std::vector<NodePtr> inputs;
  std::vector<ExprPtr> conjuncts;
};

bool IsPlainInner(const plan::Node& node) {
  if (node.kind != NodeKind::kJoin) return false;
  const auto& join = static_cast<const plan::Join&>(node);
  return (join.type == JoinType::kInner || join.type == JoinType::kCross) && join.left_keys.empty();
}

void Flatten(const NodePtr& node, int first_column, JoinList& list) {
  if (!IsPlainInner(*node)) {
    list.inputs.push_back(node);
    return;
  }
  const auto& join = static_cast<const plan::Join&>(*node);
  Flatten(join.inputs[0], first_column, list);
  Flatten(join.inputs[1], first_column + join.inputs[0]->schema.size(), list);
  if (!join.residual) return;
  std::vector<int> mapping(static_cast<size_t>(join.schema.size()));
  for (size_t i = 0; i < mapping.size(); ++i) mapping[i] = first_column + static_cast<int>(i);
  SplitConjuncts(expr::RemapColumns(join.residual, mapping), list.conjuncts);
}

/// The order in which each input but the first shares an equality with those before it, where there is such an order; else as
/// near to the written one as can be. Inputs without an equality would make cross products.
std::vector<size_t> ConnectedOrder(const JoinList& list, const std::vector<ExprPtr>& conjuncts) {
  std::vector<size_t> input_of;
  for (size_t i = 0; i < list.inputs.size(); ++i) input_of.insert(input_of.end(), static_cast<size_t>(list.inputs[i]->schema.size()), i);
  std::vector<std::vector<bool>> equalities;  // which inputs each equality reads
  for (const ExprPtr& conjunct : conjuncts) {
    if (conjunct->call_name() != "=" || !IsMovable(*conjunct)) continue;
    std::vector<bool> used, inputs(list.inputs.size());
    expr::CollectColumns(*conjunct, used);
    for (size_t i = 0; i < used.size(); ++i)
      if (used[i]) inputs[input_of[i]] = true;
    equalities.push_back(std::move(inputs));
  }
  std::vector<size_t> order = {0};
  std::vector<bool> placed(list.inputs.size());
  placed[0] = true;
  const auto connects = [&](size_t next) {
    return std::any_of(equalities.begin(), equalities.end(), [&](const std::vector<bool>& inputs) {
      bool others = false;
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (inputs[i] && i != next && !placed[i]) return false;
        others = others || (inputs[i] && i != next);
      }
      return inputs[next] && others;
    });
  };
  while (order.size() < list.inputs.size()) {
    size_t next = list.inputs.size();
    for (size_t i = 0; i < list.inputs.size() && next == list.inputs.size(); ++i)
      if (!placed[i] && connects(i)) next = i;
    for (size_t i = 0; i < list.inputs.size() && next == list.inputs.size(); ++i)
      if (!placed[i]) next = i;
    placed[next] = true;
    order.push_back(next);
  }
  return order;
}

NodePtr PushIntoJoin(const plan::Join& join, std::vector<ExprPtr> above);

/// Three or more inner-joined inputs in an order without needless cross products; null when the written order is as good.
NodePtr Reordered(const NodePtr& node, const std::vector<ExprPtr>& above) {
  JoinList list;
  Flatten(node, 0, list);
  if (list.inputs.size() < 3) return nullptr;
  list.conjuncts.insert(list.conjuncts.end(), above.begin(), above.end());
  const std::vector<size_t> order = ConnectedOrder(list, list.conjuncts);
  if (std::is_sorted(order.begin(), order.end())) return nullptr;
  std::vector<int> first(list.inputs.size()), mapping(static_cast<size_t>(node->schema.size()));
  NodePtr joined;
  for (const size_t input : order) {
    first[input] = joined ? joined->schema.size() : 0;
    joined = joined ? plan::MakeJoin(JoinType::kCross, joined, list.inputs[input], {}, {}, nullptr) : list.inputs[input];
  }
  size_t column = 0;
  for (size_t i = 0; i < list.inputs.size(); ++i)
    for (int k = 0; k < list.inputs[i]->schema.size(); ++k) mapping[column++] = first[i] + k;
  for (ExprPtr& conjunct : list.conjuncts) conjunct = expr::RemapColumns(conjunct, mapping);
  NodePtr pushed = PushIntoJoin(static_cast<const plan::Join&>(*joined), std::move(list.conjuncts));
  std::vector<ExprPtr> columns;
  for (const int index : mapping) {
    const data::Field& field = pushed->schema.fields[static_cast<size_t>(index)];
    columns.push_back(expr::MakeColumn(index, field.type, field.name));
  }
  return plan::MakeProject(std::move(pushed), std::move(columns), plan::ColumnNames(node->schema));
}

NodePtr PushIntoJoin(const plan::Join& join, std::vector<ExprPtr> above) {
  const int width = join.inputs[0]->schema.size();
  const bool keeps_left = join.type == JoinType::kInner || join.type == JoinType::kCross || join.type == JoinType::kLeft || join.left_only();
  const bool keeps_right = join.type == JoinType::kInner || join.type == JoinType::kCross || join.type == JoinType::kRight;
  const bool inner = keeps_left && keeps_right;
  std::vector<ExprPtr> left, right, residual, stay;
  std::vector<ExprPtr> left_keys = join.left_keys, right_keys = join.right_keys;
  std::vector<bool> null_equal = join.null_equal;
  null_equal.resize(left_keys.size());
  const auto add_key = [&](const ExprPtr& conjunct) {
    auto [a, b] = AsKeys(conjunct, width);
    if (!a) return false;
    for (size_t i = 0; i < left_keys.size(); ++i) {
      if (!plan::SameExpression(*left_keys[i], *a) || !plan::SameExpression(*right_keys[i], *b)) continue;
      null_equal[i] = false;
      return true;
    }
    left_keys.push_back(std::move(a));
    right_keys.push_back(std::move(b));
    null_equal.push_back(false);
    return true;
  };
  // Conditions of WHERE: below the join where the side's rows are not padded with NULLs by it.
  for (const ExprPtr& conjunct : above) {
    const int sides = SidesOf(*conjunct, width);
    const bool movable = IsMovable(*conjunct);
    if (movable && sides == 1 && keeps_left) left.push_back(conjunct);
    else if (movable && sides == 2 && keeps_right) right.push_back(OnRight(conjunct, width));
    else if (inner && movable && sides == 3 && add_key(conjunct)) continue;
    else if (inner && movable && sides == 3) residual.push_back(conjunct);
    else stay.push_back(conjunct);
  }
  // Conditions of ON: below the join on the side whose unmatched rows the join drops.
  std::vector<ExprPtr> on;
  if (join.residual) SplitConjuncts(join.residual, on);
  DropTrue(on);
  for (const ExprPtr& conjunct : on) {
    const int sides = SidesOf(*conjunct, width);
    const bool movable = IsMovable(*conjunct);
    if (movable && sides == 1 && (keeps_right || join.type == JoinType::kSemi)) left.push_back(conjunct);  // inner, right, semi
    else if (movable && sides == 2 && keeps_left) right.push_back(OnRight(conjunct, width));               // inner, left, semi, anti
    else if (sides == 3 && add_key(conjunct)) continue;
    else residual.push_back(conjunct);
  }
  DropTrue(residual);
  JoinType type = join.type;
  if (type == JoinType::kCross && (!left_keys.empty() || !residual.empty())) type = JoinType::kInner;
  if (type == JoinType::kInner && left_keys.empty() && residual.empty()) type = JoinType::kCross;
  NodePtr result = plan::MakeJoin(type, Push(join.inputs[0], std::move(left)), Push(join.inputs[1], std::move(right)), std::move(left_keys),
                                  std::move(right_keys), AllOf(std::move(residual)), std::move(null_equal));
  result = plan::WithNames(result, plan::ColumnNames(join.schema));
  return Filtered(std::move(result), std::move(stay));
}

/// Splits the conjuncts into those that read only columns below `width` (or, with `columns`, only those) and the rest.
template <typename Reads>
std::pair<std::vector<ExprPtr>, std::vector<ExprPtr>> Partition(const std::vector<ExprPtr>& conjuncts, const Reads& may_read) {
  std::vector<ExprPtr> down, stay;
  for (const ExprPtr& conjunct : conjuncts) {
    std::vector<bool> used;
    expr::CollectColumns(*conjunct, used);
    bool all = IsMovable(*conjunct);
    for (size_t i = 0; i < used.size() && all; ++i) all = !used[i] || may_read(static_cast<int>(i));
    (all ? down : stay).push_back(conjunct);
  }
  return {std::move(down), std::move(stay)};
}

/// Conditions on PARTITION BY columns choose whole partitions, so they move below; a condition on the rank of a ranking function makes
/// it a top-N.
NodePtr PushThroughWindow(const NodePtr& node, std::vector<ExprPtr> conjuncts) {
  const bool top = node->kind == NodeKind::kTopN;
  const std::vector<ExprPtr>& partition =
      top ? static_cast<const plan::TopN&>(*node).partition : static_cast<const plan::OverWindow&>(*node).partition;
  const auto is_partition = [&](int column) {
    return std::any_of(partition.begin(), partition.end(), [&](const ExprPtr& key) {
      return key->kind() == Expression::Kind::kColumn && static_cast<const expr::ColumnRef&>(*key).index() == column;
    });
  };
  auto [down, stay] = Partition(conjuncts, is_partition);
  if (partition.empty()) {  // the rows of other partitions count: there is but one
    stay = std::move(conjuncts);
    down.clear();
  }
  NodePtr pushed = plan::WithInputs(node, {Push(node->inputs[0], std::move(down))});
  if (!top) pushed = RankFilter(pushed, stay);
  return Filtered(std::move(pushed), std::move(stay));
}

NodePtr Push(const NodePtr& node, std::vector<ExprPtr> conjuncts) {
  switch (node->kind) {
    case NodeKind::kFilter: {
      std::vector<ExprPtr> all;
      SplitConjuncts(static_cast<const plan::Filter&>(*node).predicate, all);
      all.insert(all.end(), conjuncts.begin(), conjuncts.end());
      return Push(node->inputs[0], std::move(all));
    }
    case NodeKind::kProject: {
      const auto& project = static_cast<const plan::Project&>(*node);
      const auto movable = [&](int column) { return IsMovable(*project.expressions[static_cast<size_t>(column)]); };
      auto [down, stay] = Partition(conjuncts, movable);
      for (ExprPtr& conjunct : down) conjunct = expr::FoldConstants(expr::SubstituteColumns(conjunct, project.expressions));
      return Filtered(plan::WithInputs(node, {Push(node->inputs[0], std::move(down))}), std::move(stay));
    }
    case NodeKind::kTemporalFilter: return plan::WithInputs(node, {Push(node->inputs[0], std::move(conjuncts))});
    case NodeKind::kWindow:
    case NodeKind::kUnnest: {
      const int width = node->inputs[0]->schema.size();
      auto [down, stay] = Partition(conjuncts, [&](int column) { return column < width; });
      return Filtered(plan::WithInputs(node, {Push(node->inputs[0], std::move(down))}), std::move(stay));
    }
    case NodeKind::kSession: {
      // A row that is left out may part a session in two: only whole partitions may be left out below.
      const auto& session = static_cast<const plan::Session&>(*node);
      auto [down, stay] = Partition(conjuncts, [&](int column) {
        return std::any_of(session.keys.begin(), session.keys.end(), [&](const ExprPtr& key) {
          return key->kind() == Expression::Kind::kColumn && static_cast<const expr::ColumnRef&>(*key).index() == column;
        });
      });
      return Filtered(plan::WithInputs(node, {Push(node->inputs[0], std::move(down))}), std::move(stay));
    }
    case NodeKind::kCheckErrors:  // made after this
    case NodeKind::kSessionAggregate: return Filtered(plan::WithInputs(node, {Push(node->inputs[0], {})}), std::move(conjuncts));
    case NodeKind::kAggregate: {
      const auto& aggregate = static_cast<const plan::Aggregate&>(*node);
      const int keys = static_cast<int>(aggregate.keys.size());
      // A global aggregate gives a row even for no input, so nothing may move below it.
      auto [down, stay] = Partition(conjuncts, [&](int column) { return column < keys; });
      if (keys == 0) {
        stay.insert(stay.begin(), down.begin(), down.end());
        down.clear();
      }
      for (ExprPtr& conjunct : down) conjunct = expr::SubstituteColumns(conjunct, aggregate.keys);
      return Filtered(plan::WithInputs(node, {Push(node->inputs[0], std::move(down))}), std::move(stay));
    }
    case NodeKind::kOver:
    case NodeKind::kTopN: return PushThroughWindow(node, std::move(conjuncts));
    case NodeKind::kJoin: {
      if (IsPlainInner(*node)) {
        if (NodePtr reordered = Reordered(node, conjuncts)) return reordered;
      }
      return PushIntoJoin(static_cast<const plan::Join&>(*node), std::move(conjuncts));
    }
    case NodeKind::kAsOfJoin: {
      // A right row that is left out would let an older one through: only conditions on the left may move below.
      const int width = node->inputs[0]->schema.size();
      auto [down, stay] = Partition(conjuncts, [&](int column) { return column < width; });
      return Filtered(plan::WithInputs(node, {Push(node->inputs[0], std::move(down)), Push(node->inputs[1], {})}), std::move(stay));
    }
    case NodeKind::kUnion: {
      auto [down, stay] = Partition(conjuncts, [](int) { return true; });
      std::vector<NodePtr> inputs;
      for (const NodePtr& input : node->inputs) inputs.push_back(Push(input, down));
      return Filtered(plan::WithInputs(node, std::move(inputs)), std::move(stay));
    }
    case NodeKind::kSort: {
      auto [down, stay] = Partition(conjuncts, [](int) { return true; });
      return Filtered(plan::WithInputs(node, {Push(node->inputs[0], std::move(down))}), std::move(stay));
    }
    case NodeKind::kLimit: return Filtered(plan::WithInputs(node, {Push(node->inputs[0], {})}), std::move(conjuncts));
    case NodeKind::kScan: {
      auto [down, stay] = Partition(conjuncts, [](int) { return true; });
      if (down.empty()) return Filtered(node, std::move(stay));
      auto scan = std::make_shared<plan::Scan>(static_cast<const plan::Scan&>(*node));
      if (scan->predicate) down.insert(down.begin(), scan->predicate);
      DropTrue(down);
      scan->predicate = AllOf(std::move(down));
      return Filtered(scan, std::move(stay));
    }
    case NodeKind::kRecursive:  // its step reads what it gives: nothing may be left out
      return Filtered(plan::WithInputs(node, {Push(node->inputs[0], {}), Push(node->inputs[1], {})}), std::move(conjuncts));
    case NodeKind::kValues:
    case NodeKind::kTableFunction: return Filtered(node, std::move(conjuncts));
  }
  KAPPA_CHECK(false);
}

}  // namespace

NodePtr PushPredicates(const NodePtr& plan) { return Push(plan, {}); }

}  // namespace kappa::sql
