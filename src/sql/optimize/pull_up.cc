// Sub-queries that compare their columns with outer ones: the comparisons move to the top, where a join takes them.
#include <algorithm>

#include "sql/optimize/correlation.h"

namespace kappa::sql {
namespace {

using expr::Expression;
using expr::ExprPtr;
using plan::JoinType;
using plan::NodeKind;
using plan::NodePtr;

bool HasColumns(const Expression& expression) {
  std::vector<bool> used;
  expr::CollectColumns(expression, used);
  return std::find(used.begin(), used.end(), true) != used.end();
}

/// `parameters = columns` as (outer expression, inner expression); null when it is none.
std::pair<ExprPtr, ExprPtr> AsCorrelation(const ExprPtr& conjunct, const Level& level) {
  if (conjunct->kind() != Expression::Kind::kCall || conjunct->call_name() != "=" || conjunct->children().size() != 2 || HasSubquery(*conjunct))
    return {};
  for (const bool swapped : {false, true}) {
    const ExprPtr &a = conjunct->children()[swapped ? 1 : 0], &b = conjunct->children()[swapped ? 0 : 1];
    if (Refers(*a, level) && !HasColumns(*a) && !Refers(*b, level) && a->type().Same(b->type())) return {WithOuter(a, level, level.outer), b};
  }
  return {};
}

class PullUpWalk {
 public:
  explicit PullUpWalk(const Level& level) : level_(level) {}

  std::optional<Flat> Run(const NodePtr& node) {
    if (!Refers(*node, level_)) return Flat{node, node->schema.size(), {}, {}};
    switch (node->kind) {
      case NodeKind::kFilter: {
        std::vector<ExprPtr> conjuncts;
        SplitConjuncts(static_cast<const plan::Filter&>(*node).predicate, conjuncts);
        std::optional<Flat> in = Run(node->inputs[0]);
        if (!in) return std::nullopt;
        return Conditions(std::move(*in), conjuncts);
      }
      case NodeKind::kProject: return Project(static_cast<const plan::Project&>(*node));
      case NodeKind::kAggregate: return Aggregate(static_cast<const plan::Aggregate&>(*node));
      case NodeKind::kJoin: return Join(static_cast<const plan::Join&>(*node));
      case NodeKind::kUnnest:
      case NodeKind::kWindow: return Passing(*node);
      case NodeKind::kUnion: return Union(*node);
      case NodeKind::kSort: return Run(node->inputs[0]);
      default: return std::nullopt;
    }
  }

 private:
  bool OwnRefer(const plan::Node& node) const {
    bool found = false;
    plan::VisitOwnExpressions(node, [&](const ExprPtr& e) { found = found || (e && Refers(*e, level_)); });
    return found;
  }

  std::optional<Flat> Conditions(Flat flat, const std::vector<ExprPtr>& conjuncts) {
    std::vector<ExprPtr> keep, inner;
    for (const ExprPtr& conjunct : conjuncts) {
      if (!Refers(*conjunct, level_)) {
        keep.push_back(conjunct);
        continue;
      }
      auto [outside, inside] = AsCorrelation(conjunct, level_);
      if (!outside) return std::nullopt;
      flat.outer.push_back(std::move(outside));
      flat.null_equal.push_back(false);
      inner.push_back(std::move(inside));
    }
    flat.plan = Filtered(flat.plan, std::move(keep));
    if (inner.empty()) return flat;
    std::vector<ExprPtr> expressions = ColumnsOf(*flat.plan, 0, flat.plan->schema.size());
    std::vector<std::string> names = plan::ColumnNames(flat.plan->schema);
    for (const ExprPtr& key : inner) {
      names.push_back(key->ToString(plan::ColumnNames(flat.plan->schema)));
      expressions.push_back(key);
    }
    flat.plan = plan::MakeProject(flat.plan, std::move(expressions), std::move(names));
    return flat;
  }

  std::optional<Flat> Project(const plan::Project& project) {
    if (OwnRefer(project)) return std::nullopt;
    std::optional<Flat> flat = Run(project.inputs[0]);
    if (!flat) return std::nullopt;
    std::vector<ExprPtr> expressions = project.expressions;
    std::vector<std::string> names = plan::ColumnNames(project.schema);
    for (const ExprPtr& key : flat->KeyColumns()) {
      names.push_back(static_cast<const expr::ColumnRef&>(*key).name());
      expressions.push_back(key);
    }
    flat->plan = plan::MakeProject(flat->plan, std::move(expressions), std::move(names));
    flat->width = project.schema.size();
    return flat;
  }

  std::optional<Flat> Aggregate(const plan::Aggregate& aggregate) {
    // Without keys there is a row even where nothing matches; that takes an outer join, see Unnester.
    if (aggregate.keys.empty() || aggregate.close_key >= 0 || OwnRefer(aggregate)) return std::nullopt;
    std::optional<Flat> flat = Run(aggregate.inputs[0]);
    if (!flat) return std::nullopt;
    std::vector<ExprPtr> keys = aggregate.keys;
    for (const ExprPtr& key : flat->KeyColumns()) keys.push_back(key);
    const int own = static_cast<int>(aggregate.keys.size()), more = flat->keys(), calls = static_cast<int>(aggregate.aggregates.size());
    NodePtr grouped =
        plan::MakeAggregate(flat->plan, std::move(keys), aggregate.aggregates, NamesWithKeys(aggregate, *flat->plan, flat->width, more), -1, 0);
    flat->plan = Columns(grouped, Range(0, own) + Range(own + more, calls) + Range(own, more));
    flat->width = own + calls;
    return flat;
  }

  std::optional<Flat> Join(const plan::Join& join) {
    const bool inner = join.type == JoinType::kInner || join.type == JoinType::kCross;
    for (const auto* keys : {&join.left_keys, &join.right_keys})
      for (const ExprPtr& key : *keys)
        if (Refers(*key, level_)) return std::nullopt;
    if (!inner && (Refers(*join.inputs[1], level_) || (join.residual && Refers(*join.residual, level_)) || join.type == JoinType::kRight ||
                   join.type == JoinType::kFull))
      return std::nullopt;
    std::optional<Flat> left = Run(join.inputs[0]), right = Run(join.inputs[1]);
    if (!left || !right) return std::nullopt;
    std::vector<int> mapping = Range(0, left->width) + Range(left->width + left->keys(), right->width);
    std::vector<ExprPtr> outside, conditions;
    if (join.residual) SplitConjuncts(expr::RemapColumns(join.residual, mapping), conditions);
    if (inner) {
      for (const ExprPtr& conjunct : conditions)
        if (Refers(*conjunct, level_)) outside.push_back(conjunct);
      std::erase_if(conditions, [&](const ExprPtr& conjunct) { return Refers(*conjunct, level_); });
    }
    Flat flat;
    flat.plan = plan::MakeJoin(join.type, left->plan, right->plan, join.left_keys, join.right_keys, AllOf(std::move(conditions)), join.null_equal);
    flat.outer = left->outer;
    flat.null_equal = left->null_equal;
    if (join.left_only()) {
      flat.width = left->width;
      return flat;
    }
    flat.outer.insert(flat.outer.end(), right->outer.begin(), right->outer.end());
    flat.null_equal.insert(flat.null_equal.end(), right->null_equal.begin(), right->null_equal.end());
    const int left_all = left->width + left->keys();
    flat.width = left->width + right->width;
    flat.plan = Columns(flat.plan, mapping + Range(left->width, left->keys()) + Range(left_all + right->width, right->keys()));
    if (outside.empty()) return flat;
    std::vector<int> back(static_cast<size_t>(left_all + right->width + right->keys()), -1);
    for (size_t i = 0; i < mapping.size(); ++i) back[static_cast<size_t>(mapping[i])] = static_cast<int>(i);
    for (ExprPtr& conjunct : outside) conjunct = expr::RemapColumns(conjunct, back);
    return Conditions(std::move(flat), outside);
  }

  /// Nodes that keep their input's columns and add some after them.
  std::optional<Flat> Passing(const plan::Node& node) {
    if (OwnRefer(node)) return std::nullopt;
    std::optional<Flat> flat = Run(node.inputs[0]);
    if (!flat) return std::nullopt;
    const int added = node.schema.size() - flat->width, keys = flat->keys();
    NodePtr over = plan::Over(node, flat->plan);
    flat->plan = Columns(over, Range(0, flat->width) + Range(flat->width + keys, added) + Range(flat->width, keys));
    flat->width += added;
    return flat;
  }

  std::optional<Flat> Union(const plan::Node& node) {
    std::optional<Flat> all;
    std::vector<NodePtr> inputs;
    for (const NodePtr& input : node.inputs) {
      std::optional<Flat> flat = Run(input);
      if (!flat || (all && (flat->keys() != all->keys() || flat->null_equal != all->null_equal))) return std::nullopt;
      for (int i = 0; all && i < flat->keys(); ++i) {
        const auto at = static_cast<size_t>(i);
        const size_t column = static_cast<size_t>(flat->width) + at;
        if (!plan::SameExpression(*flat->outer[at], *all->outer[at]) ||
            flat->plan->schema.fields[column].type != all->plan->schema.fields[column].type)
          return std::nullopt;
      }
      inputs.push_back(flat->plan);
      if (!all) all = std::move(flat);
    }
    std::vector<std::string> names = plan::ColumnNames(all->plan->schema);
    for (int i = 0; i < all->width; ++i) names[static_cast<size_t>(i)] = node.schema.fields[static_cast<size_t>(i)].name;
    all->plan = plan::WithNames(plan::MakeUnion(std::move(inputs)), names);
    return all;
  }

  const Level& level_;
};

}  // namespace

std::optional<Flat> PullUp(const NodePtr& node, const Level& level) { return PullUpWalk(level).Run(node); }

}  // namespace kappa::sql
