// Expressions that a projection, or it and the filter below it, compute more than once are computed by a projection of their own.
#include <algorithm>

#include "sql/optimize/optimize.h"

namespace kappa::sql {
namespace {

using expr::Expression;
using expr::ExprPtr;
using plan::NodeKind;
using plan::NodePtr;

constexpr size_t kSharedMax = 64;  // expressions that one projection shares

/// Calls visit(node, unconditional) with every node of the tree, parents first. Unconditional nodes are computed for every row that the
/// root is computed for; others only where a branch is taken, and must not be computed for more rows: they may fail there.
template <typename Visit> void Walk(const ExprPtr& expression, bool unconditional, Visit&& visit) {
  visit(expression, unconditional);
  const auto& children = expression->children();
  for (size_t i = 0; i < children.size(); ++i) {
    bool always = unconditional;
    switch (expression->kind()) {
      case Expression::Kind::kAnd:
      case Expression::Kind::kOr:
      case Expression::Kind::kCase:
      case Expression::Kind::kCoalesce: always = always && i == 0; break;
      case Expression::Kind::kCall:
      case Expression::Kind::kNot:
      case Expression::Kind::kIsNull:
      case Expression::Kind::kIsNotNull: break;
      default: always = always && i == 0; break;
    }
    Walk(children[i], always, visit);
  }
}

/// Columns and constants cost nothing, and comparing them costs less than keeping the outcome.
bool IsWorthSharing(const Expression& e) {
  if (e.kind() != Expression::Kind::kCall && e.kind() != Expression::Kind::kCase && e.kind() != Expression::Kind::kOther) return false;
  if (e.is_row_constant() || !e.is_immutable()) return false;
  if (e.type().id != data::TypeId::kBool) return true;
  return std::any_of(e.children().begin(), e.children().end(), [](const ExprPtr& child) { return !child->children().empty(); });
}

/// An expression and where it is found.
struct Candidate {
  ExprPtr expression;
  int filter = 0, project = 0;  // how often
  bool filter_always = false, project_always = false;
};

/// What the two lists of expressions have in common, outermost first.
std::vector<Candidate> Find(const ExprPtr& predicate, const std::vector<ExprPtr>& expressions) {
  std::vector<Candidate> found;
  const auto add = [&](const ExprPtr& e, bool always, bool in_filter) {
    if (!IsWorthSharing(*e)) return;
    auto it = std::find_if(found.begin(), found.end(), [&](const Candidate& c) { return plan::SameExpression(*c.expression, *e); });
    if (it == found.end()) it = found.insert(found.end(), {e});
    if (in_filter) {
      ++it->filter;
      it->filter_always |= always;
    } else {
      ++it->project;
      it->project_always |= always;
    }
  };
  // Of an AND the first condition is computed for all rows, the others for those that are left.
  if (predicate) Walk(predicate, true, [&](const ExprPtr& e, bool always) { add(e, always, true); });
  for (const ExprPtr& expression : expressions) Walk(expression, true, [&](const ExprPtr& e, bool always) { add(e, always, false); });
  return found;
}

ExprPtr Replace(const ExprPtr& expression, const std::vector<ExprPtr>& shared, size_t first_column) {
  for (size_t i = 0; i < shared.size(); ++i) {
    if (plan::SameExpression(*expression, *shared[i])) return expr::MakeColumn(static_cast<int>(first_column + i), shared[i]->type(), "");
  }
  std::vector<ExprPtr> children;
  bool changed = false;
  for (const ExprPtr& child : expression->children()) {
    children.push_back(Replace(child, shared, first_column));
    changed |= children.back() != child;
  }
  return changed ? expression->WithChildren(std::move(children)) : expression;
}

/// The input's columns, then the shared expressions.
NodePtr Extend(const NodePtr& input, const std::vector<ExprPtr>& shared) {
  std::vector<ExprPtr> expressions;
  std::vector<std::string> names = plan::ColumnNames(input->schema);
  for (size_t i = 0; i < names.size(); ++i) expressions.push_back(expr::MakeColumn(static_cast<int>(i), input->schema.fields[i].type, names[i]));
  for (const ExprPtr& one : shared) {
    expressions.push_back(one);
    names.push_back(one->ToString(plan::ColumnNames(input->schema)));
  }
  return plan::MakeProject(input, std::move(expressions), std::move(names));
}

/// One round: the outermost expressions that are shared. Null when there are none.
NodePtr ShareOnce(const NodePtr& node) {
  const auto& project = static_cast<const plan::Project&>(*node);
  const NodePtr& input = project.inputs[0];
  const auto* scan = input->kind == NodeKind::kScan ? static_cast<const plan::Scan*>(input.get()) : nullptr;
  if (scan != nullptr && scan->relation_kind != plan::RelationKind::kStream) scan = nullptr;  // others look rows up by their predicate
  const ExprPtr predicate = input->kind == NodeKind::kFilter ? static_cast<const plan::Filter&>(*input).predicate
                            : scan != nullptr                ? scan->predicate
                                                             : nullptr;
  std::vector<ExprPtr> below, between;
  for (const Candidate& c : Find(predicate, project.expressions)) {
    if (below.size() + between.size() == kSharedMax) break;
    // A part of one that is taken already would be found again in the next round, if it is used elsewhere.
    const auto is_part = [&](const ExprPtr& whole) {
      bool part = false;
      Walk(whole, true, [&](const ExprPtr& e, bool) { part |= plan::SameExpression(*e, *c.expression); });
      return part;
    };
    if (std::any_of(below.begin(), below.end(), is_part) || std::any_of(between.begin(), between.end(), is_part)) continue;
    if (c.filter_always && c.filter + c.project > 1) below.push_back(c.expression);
    else if (c.project_always && c.project > 1) between.push_back(c.expression);
  }
  if (below.empty() && between.empty()) return nullptr;
  const size_t width = input->schema.fields.size();
  NodePtr base = input;
  std::vector<ExprPtr> expressions = project.expressions;
  if (!below.empty()) {
    NodePtr source = scan != nullptr ? nullptr : input->inputs[0];
    if (scan != nullptr) {
      auto bare = std::make_shared<plan::Scan>(*scan);
      bare->predicate = nullptr;
      source = std::move(bare);
    }
    base = plan::MakeFilter(Extend(source, below), Replace(predicate, below, width));
    for (ExprPtr& e : expressions) e = Replace(e, below, width);
  }
  if (!between.empty()) {
    const size_t first = width + below.size();
    for (ExprPtr& e : between) e = Replace(e, below, width);
    base = Extend(base, between);
    for (ExprPtr& e : expressions) e = Replace(e, between, first);
  }
  return plan::MakeProject(base, std::move(expressions), plan::ColumnNames(project.schema));
}

}  // namespace

NodePtr ShareExpressions(const NodePtr& plan) {
  std::vector<NodePtr> inputs;
  for (const NodePtr& input : plan->inputs) inputs.push_back(ShareExpressions(input));
  const NodePtr node = plan::WithInputs(plan, std::move(inputs));
  if (node->kind != NodeKind::kProject) return node;
  const NodePtr shared = ShareOnce(node);
  return shared == nullptr ? node : ShareExpressions(shared);
}

}  // namespace kappa::sql
