// The order of many-way inner joins: the smallest inputs first, so that what is kept between two joins is small and the rows of the
// largest input pass through one join alone.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "sql/optimize/conjuncts.h"
#include "sql/optimize/optimize.h"

namespace kappa::sql {
namespace {

using expr::ExprPtr;
using plan::Join;
using plan::JoinType;
using plan::NodeKind;
using plan::NodePtr;

/// A tree of inner joins, taken apart. Expressions are over all leaves' columns side by side.
struct Tree {
  struct Leaf {
    NodePtr node;
    int first_column = 0;
    double rows = 0;
  };
  struct Member {  // of a class of equal expressions
    size_t leaf;
    ExprPtr expression;
  };
  std::vector<Leaf> leaves;
  std::vector<std::pair<ExprPtr, ExprPtr>> equal;
  std::vector<ExprPtr> conditions;
  std::vector<std::vector<Member>> classes;

  int width() const { return leaves.empty() ? 0 : leaves.back().first_column + leaves.back().node->schema.size(); }
  size_t LeafOf(int column) const {
    size_t leaf = leaves.size() - 1;
    while (leaves[leaf].first_column > column) --leaf;
    return leaf;
  }
  std::vector<bool> LeavesOf(const ExprPtr& expression) const {
    std::vector<bool> used, of(leaves.size());
    expr::CollectColumns(*expression, used);
    for (size_t c = 0; c < used.size(); ++c)
      if (used[c]) of[LeafOf(static_cast<int>(c))] = true;
    return of;
  }
};

/// Rows of a plan, as a multiple of nothing in particular: only which is larger matters. 0: nobody knows.
double RowsOf(const plan::Node& node, const InputRows& rows) {
  switch (node.kind) {
    case NodeKind::kScan: {
      const auto& scan = static_cast<const plan::Scan&>(node);
      const int64_t known = rows(scan.relation_id);
      return known == 0 ? 0 : std::max(1.0, static_cast<double>(known) * (scan.predicate ? 0.3 : 1));
    }
    case NodeKind::kValues: return std::max<double>(1, static_cast<double>(static_cast<const plan::Values&>(node).rows.size()));
    case NodeKind::kFilter: return RowsOf(*node.inputs[0], rows) * 0.3;
    case NodeKind::kAggregate: {
      const auto& aggregate = static_cast<const plan::Aggregate&>(node);
      const double input = RowsOf(*node.inputs[0], rows);
      return aggregate.keys.empty() ? std::min(input, 1.0) : std::pow(input, 0.75);
    }
    default: {
      double most = 0;
      for (const NodePtr& input : node.inputs) {
        const double one = RowsOf(*input, rows);
        if (one == 0) return 0;
        most = std::max(most, one);
      }
      return most;
    }
  }
}

ExprPtr Shifted(const ExprPtr& expression, int by) {
  std::vector<bool> used;
  expr::CollectColumns(*expression, used);
  std::vector<int> mapping(used.size());
  std::iota(mapping.begin(), mapping.end(), by);
  return expr::RemapColumns(expression, mapping);
}

bool IsPlainInner(const plan::Node& node) {
  if (node.kind != NodeKind::kJoin) return false;
  const auto& join = static_cast<const Join&>(node);
  return (join.type == JoinType::kInner || join.type == JoinType::kCross) && join.left_expiry.column < 0 && join.right_expiry.column < 0 &&
         std::none_of(join.null_equal.begin(), join.null_equal.end(), [](bool equal) { return equal; });
}

void TakeApart(const NodePtr& node, Tree& tree) {
  if (!IsPlainInner(*node)) {
    tree.leaves.push_back({node, tree.width()});
    return;
  }
  const auto& join = static_cast<const Join&>(*node);
  const int left = tree.width();
  TakeApart(join.inputs[0], tree);
  const int right = tree.width();
  TakeApart(join.inputs[1], tree);
  for (size_t i = 0; i < join.left_keys.size(); ++i) tree.equal.emplace_back(Shifted(join.left_keys[i], left), Shifted(join.right_keys[i], right));
  if (join.residual) SplitConjuncts(Shifted(join.residual, left), tree.conditions);
}

/// Classes of expressions that the keys make equal. False when a key is not of one leaf, or a leaf is in a class twice.
bool Classify(Tree& tree) {
  const auto leaf_of = [&](const ExprPtr& e) -> std::optional<size_t> {
    const std::vector<bool> of = tree.LeavesOf(e);
    if (std::count(of.begin(), of.end(), true) != 1) return std::nullopt;
    return static_cast<size_t>(std::find(of.begin(), of.end(), true) - of.begin());
  };
  const auto class_of = [&](const ExprPtr& e) {
    return std::find_if(tree.classes.begin(), tree.classes.end(), [&](const auto& members) {
      return std::any_of(members.begin(), members.end(), [&](const Tree::Member& m) { return plan::SameExpression(*m.expression, *e); });
    });
  };
  for (const auto& [a, b] : tree.equal) {
    const auto leaf_a = leaf_of(a), leaf_b = leaf_of(b);
    if (!leaf_a || !leaf_b) return false;
    auto of_a = class_of(a), of_b = class_of(b);
    if (of_a == tree.classes.end() && of_b == tree.classes.end()) {
      tree.classes.push_back({{*leaf_a, a}, {*leaf_b, b}});
    } else if (of_a == tree.classes.end()) {
      of_b->push_back({*leaf_a, a});
    } else if (of_b == tree.classes.end()) {
      of_a->push_back({*leaf_b, b});
    } else if (of_a != of_b) {
      of_a->insert(of_a->end(), of_b->begin(), of_b->end());
      tree.classes.erase(of_b);
    }
  }
  for (const auto& members : tree.classes) {
    std::vector<bool> seen(tree.leaves.size());
    for (const Tree::Member& member : members) {
      if (seen[member.leaf]) return false;
      seen[member.leaf] = true;
    }
  }
  return true;
}

/// The smallest leaf, then always the smallest of those that a key connects with what is there.
std::vector<size_t> Order(const Tree& tree) {
  std::vector<bool> taken(tree.leaves.size());
  std::vector<size_t> order;
  while (order.size() < tree.leaves.size()) {
    const auto connected = [&](size_t leaf) {
      return std::any_of(tree.classes.begin(), tree.classes.end(), [&](const auto& members) {
        bool has = false, meets = false;
        for (const Tree::Member& member : members) {
          has = has || member.leaf == leaf;
          meets = meets || taken[member.leaf];
        }
        return has && meets;
      });
    };
    size_t best = tree.leaves.size();
    bool best_connected = false;
    for (size_t leaf = 0; leaf < tree.leaves.size(); ++leaf) {
      if (taken[leaf]) continue;
      const bool is_connected = connected(leaf);
      const bool better = best == tree.leaves.size() || (is_connected && !best_connected) ||
                          (is_connected == best_connected && tree.leaves[leaf].rows < tree.leaves[best].rows);
      if (better) best = leaf, best_connected = is_connected;
    }
    taken[best] = true;
    order.push_back(best);
  }
  return order;
}

/// Left-deep joins in this order, then the columns as they were.
NodePtr Build(const Tree& tree, const std::vector<size_t>& order, const data::Schema& schema) {
  std::vector<int> position(static_cast<size_t>(tree.width()), -1);  // of each column in what is built
  std::vector<bool> there(tree.leaves.size()), applied(tree.conditions.size());
  NodePtr built;
  for (const size_t next : order) {
    const Tree::Leaf& leaf = tree.leaves[next];
    const int width = built ? built->schema.size() : 0;
    std::vector<ExprPtr> left_keys, right_keys;
    for (const auto& members : tree.classes) {
      const auto own = std::find_if(members.begin(), members.end(), [&](const auto& m) { return m.leaf == next; });
      const auto other = std::find_if(members.begin(), members.end(), [&](const auto& m) { return there[m.leaf]; });
      if (own == members.end() || other == members.end()) continue;
      left_keys.push_back(expr::RemapColumns(other->expression, position));
      std::vector<int> local(position.size(), -1);
      for (int c = 0; c < leaf.node->schema.size(); ++c) local[static_cast<size_t>(leaf.first_column + c)] = c;
      right_keys.push_back(expr::RemapColumns(own->expression, local));
    }
    for (int c = 0; c < leaf.node->schema.size(); ++c) position[static_cast<size_t>(leaf.first_column + c)] = width + c;
    there[next] = true;
    if (!built) {
      built = leaf.node;
      continue;
    }
    std::vector<ExprPtr> residual;
    for (size_t i = 0; i < tree.conditions.size(); ++i) {
      const std::vector<bool> of = tree.LeavesOf(tree.conditions[i]);
      bool whole = !applied[i];
      for (size_t l = 0; l < of.size(); ++l) whole = whole && (!of[l] || there[l]);
      if (!whole) continue;
      applied[i] = true;
      residual.push_back(expr::RemapColumns(tree.conditions[i], position));
    }
    ExprPtr condition = AllOf(std::move(residual));
    const JoinType type = left_keys.empty() && !condition ? JoinType::kCross : JoinType::kInner;
    built = plan::MakeJoin(type, std::move(built), leaf.node, std::move(left_keys), std::move(right_keys), std::move(condition));
  }
  std::vector<ExprPtr> columns;
  for (size_t c = 0; c < position.size(); ++c) columns.push_back(expr::MakeColumn(position[c], schema.fields[c].type, schema.fields[c].name));
  return plan::MakeProject(std::move(built), std::move(columns), plan::ColumnNames(schema));
}

NodePtr Reorder(const NodePtr& node, const InputRows& rows) {
  Tree tree;
  TakeApart(node, tree);
  if (tree.leaves.size() < 3) return nullptr;
  for (Tree::Leaf& leaf : tree.leaves) {
    leaf.rows = RowsOf(*leaf.node, rows);
    if (leaf.rows == 0) return nullptr;
  }
  for (const auto& condition : tree.conditions)
    if (!condition->is_immutable()) return nullptr;
  if (!Classify(tree)) return nullptr;
  const std::vector<size_t> order = Order(tree);
  if (std::is_sorted(order.begin(), order.end())) return nullptr;
  for (Tree::Leaf& leaf : tree.leaves) leaf.node = OrderJoins(leaf.node, rows);
  return Build(tree, order, node->schema);
}

}  // namespace

InputRows RecordedRows(std::map<uint32_t, int64_t> rows) {
  return [rows = std::move(rows)](uint32_t relation) {
    const auto found = rows.find(relation);
    return found == rows.end() ? 0 : found->second;
  };
}

NodePtr OrderJoins(const NodePtr& plan, const InputRows& rows) {
  if (!rows) return plan;
  if (IsPlainInner(*plan)) {
    if (NodePtr reordered = Reorder(plan, rows)) return reordered;
  }
  std::vector<NodePtr> inputs;
  for (const NodePtr& input : plan->inputs) inputs.push_back(OrderJoins(input, rows));
  return plan::WithInputs(plan, std::move(inputs));
}

}  // namespace kappa::sql
