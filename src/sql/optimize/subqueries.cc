// Sub-queries in expressions become joins and aggregates. A sub-query that compares its columns with outer ones is computed for all
// values at once and joined on them; one that uses outer columns in other ways is computed for the distinct outer values that
// there are (Neumann and Kemper, "Unnesting Arbitrary Queries", 2015).
#include <algorithm>

#include "plan/subquery_expression.h"
#include "sql/optimize/optimize.h"

namespace kappa::sql {
namespace {

using expr::Expression;
using expr::ExprPtr;
using plan::JoinType;
using plan::NodeKind;
using plan::NodePtr;
using plan::Subquery;

/// The outer columns of one sub-query: inside it, Parameter(first + i) stands for outer[i], an expression over the outer plan.
struct Level {
  int first = 0;
  std::vector<ExprPtr> outer;
  bool Has(const Expression& expression) const {
    if (expression.kind() != Expression::Kind::kParameter) return false;
    const int index = static_cast<const expr::Parameter&>(expression).index() - first;
    return index >= 0 && index < static_cast<int>(outer.size());
  }
};

bool Refers(const plan::Node& node, const Level& level);
bool Refers(const Expression& expression, const Level& level) {
  if (level.Has(expression)) return true;
  if (const Subquery* subquery = plan::SubqueryOf(expression); subquery != nullptr && Refers(*subquery->plan, level)) return true;
  return std::any_of(expression.children().begin(), expression.children().end(), [&](const ExprPtr& child) { return Refers(*child, level); });
}
bool Refers(const plan::Node& node, const Level& level) {
  bool found = false;
  plan::VisitExpressions(node, [&](const ExprPtr& e) { found = found || (e && Refers(*e, level)); });
  return found;
}
/// True when a sub-query inside the expression's own sub-queries refers to the level: it cannot be replaced from outside.
bool RefersInside(const Expression& expression, const Level& level) {
  if (const Subquery* subquery = plan::SubqueryOf(expression); subquery != nullptr && Refers(*subquery->plan, level)) return true;
  return std::any_of(expression.children().begin(), expression.children().end(), [&](const ExprPtr& child) { return RefersInside(*child, level); });
}

bool HasSubquery(const Expression& expression) {
  if (expression.kind() == Expression::Kind::kSubquery) return true;
  return std::any_of(expression.children().begin(), expression.children().end(), [](const ExprPtr& child) { return HasSubquery(*child); });
}
bool HasColumns(const Expression& expression) {
  std::vector<bool> used;
  expr::CollectColumns(expression, used);
  return std::find(used.begin(), used.end(), true) != used.end();
}

/// The expression with the level's parameters replaced: by replacements[i].
ExprPtr WithOuter(const ExprPtr& expression, const Level& level, const std::vector<ExprPtr>& replacements) {
  if (level.Has(*expression)) return replacements[static_cast<size_t>(static_cast<const expr::Parameter&>(*expression).index() - level.first)];
  std::vector<ExprPtr> children;
  bool changed = false;
  for (const ExprPtr& child : expression->children()) {
    children.push_back(WithOuter(child, level, replacements));
    changed = changed || children.back() != child;
  }
  return changed ? expression->WithChildren(std::move(children)) : expression;
}

ExprPtr ColumnOf(const plan::Node& node, int index) {
  const data::Field& field = node.schema.fields[static_cast<size_t>(index)];
  return expr::MakeColumn(index, field.type, field.name);
}

std::vector<ExprPtr> ColumnsOf(const plan::Node& node, int from, int count) {
  std::vector<ExprPtr> columns;
  for (int i = from; i < from + count; ++i) columns.push_back(ColumnOf(node, i));
  return columns;
}

NodePtr Columns(const NodePtr& node, const std::vector<int>& indexes) {
  std::vector<ExprPtr> expressions;
  std::vector<std::string> names;
  for (const int index : indexes) {
    expressions.push_back(ColumnOf(*node, index));
    names.push_back(node->schema.fields[static_cast<size_t>(index)].name);
  }
  return plan::MakeProject(node, std::move(expressions), std::move(names));
}

std::vector<int> Range(int from, int count) {
  std::vector<int> range;
  for (int i = 0; i < count; ++i) range.push_back(from + i);
  return range;
}
std::vector<int> operator+(std::vector<int> a, const std::vector<int>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

ExprPtr AllOf(std::vector<ExprPtr> conjuncts) {
  if (conjuncts.empty()) return nullptr;
  if (conjuncts.size() == 1) return conjuncts[0];
  Result<ExprPtr> all = expr::MakeAnd(std::move(conjuncts), 0);
  KAPPA_CHECK(all.ok());  // the parts are boolean
  return *all;
}
NodePtr Filtered(NodePtr node, std::vector<ExprPtr> conjuncts) {
  ExprPtr predicate = AllOf(std::move(conjuncts));
  return predicate ? plan::MakeFilter(std::move(node), std::move(predicate)) : node;
}
void Split(const ExprPtr& predicate, std::vector<ExprPtr>& conjuncts) {
  if (predicate->kind() != Expression::Kind::kAnd) {
    conjuncts.push_back(predicate);
    return;
  }
  for (const ExprPtr& child : predicate->children()) Split(child, conjuncts);
}

/// The names of an aggregate's output with more keys after the old ones.
std::vector<std::string> NamesWithKeys(const plan::Aggregate& aggregate, const plan::Node& input, int first_key, int more) {
  std::vector<std::string> names = plan::ColumnNames(aggregate.schema);
  std::vector<std::string> keys;
  for (int i = 0; i < more; ++i) keys.push_back(input.schema.fields[static_cast<size_t>(first_key + i)].name);
  names.insert(names.begin() + static_cast<ptrdiff_t>(aggregate.keys.size()), keys.begin(), keys.end());
  return names;
}

/// A query without references to the outer one: its `width` columns, then one column for each of `outer`. A row belongs to the
/// outer rows for which they are equal.
struct Flat {
  NodePtr plan;
  int width = 0;
  std::vector<ExprPtr> outer;
  std::vector<bool> null_equal;

  int keys() const { return static_cast<int>(outer.size()); }
  std::vector<ExprPtr> KeyColumns() const { return ColumnsOf(*plan, width, keys()); }
};

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

/// Moves equalities with outer columns to the top. nullopt when outer columns are used in other ways.
class PullUp {
 public:
  explicit PullUp(const Level& level) : level_(level) {}

  std::optional<Flat> Run(const NodePtr& node) {
    if (!Refers(*node, level_)) return Flat{node, node->schema.size(), {}, {}};
    switch (node->kind) {
      case NodeKind::kFilter: {
        std::vector<ExprPtr> conjuncts;
        Split(static_cast<const plan::Filter&>(*node).predicate, conjuncts);
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
    if (join.residual) Split(expr::RemapColumns(join.residual, mapping), conditions);
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

bool IsCount(const expr::AggregateCall& call) {
  using enum expr::AggregateKind;
  return call.kind == kCount || call.kind == kCountStar || call.kind == kRegrCount;
}

ExprPtr ZeroForNull(ExprPtr count) {
  Result<ExprPtr> value = expr::MakeCoalesce({std::move(count), expr::MakeLiteral(data::Value::Int8(0))}, 0);
  KAPPA_CHECK(value.ok());
  return *value;
}

/// Computes a query for each row of `domain`, the distinct outer values: its columns, then the domain's.
class Dependent {
 public:
  Dependent(const Level& level, NodePtr domain) : level_(level), domain_(std::move(domain)), width_(domain_->schema.size()) {}

  Result<NodePtr> Run(const NodePtr& node) {
    if (!Refers(*node, level_)) return plan::MakeJoin(JoinType::kCross, node, domain_, {}, {}, nullptr);
    bool inside = false;
    plan::VisitOwnExpressions(*node, [&](const ExprPtr& e) { inside = inside || (e && RefersInside(*e, level_)); });
    if (inside) return Refused("a sub-query in this place of a correlated sub-query");
    switch (node->kind) {
      case NodeKind::kFilter: {
        KAPPA_ASSIGN_OR_RETURN(NodePtr in, Run(node->inputs[0]));
        return plan::MakeFilter(in, Over(static_cast<const plan::Filter&>(*node).predicate, *in, node->inputs[0]->schema.size()));
      }
      case NodeKind::kProject: {
        const auto& project = static_cast<const plan::Project&>(*node);
        KAPPA_ASSIGN_OR_RETURN(NodePtr in, Run(node->inputs[0]));
        const int width = node->inputs[0]->schema.size();
        std::vector<ExprPtr> expressions;
        for (const ExprPtr& e : project.expressions) expressions.push_back(Over(e, *in, width));
        for (const ExprPtr& e : ColumnsOf(*in, width, width_)) expressions.push_back(e);
        return plan::MakeProject(in, std::move(expressions), Names(*node));
      }
      case NodeKind::kAggregate: return Aggregate(static_cast<const plan::Aggregate&>(*node));
      case NodeKind::kJoin: return Join(static_cast<const plan::Join&>(*node));
      case NodeKind::kUnnest:
      case NodeKind::kWindow: {
        KAPPA_ASSIGN_OR_RETURN(NodePtr in, Run(node->inputs[0]));
        const int width = node->inputs[0]->schema.size(), added = node->schema.size() - width;
        const NodePtr bound = plan::MapOwnExpressions(node, [&](const ExprPtr& e) { return Over(e, *in, width); });
        return Columns(plan::Over(*bound, in), Range(0, width) + Range(width + width_, added) + Range(width, width_));
      }
      case NodeKind::kOver:
      case NodeKind::kTopN: {
        // Each outer value has partitions of its own.
        KAPPA_ASSIGN_OR_RETURN(NodePtr in, Run(node->inputs[0]));
        const int width = node->inputs[0]->schema.size(), added = node->schema.size() - width;
        const NodePtr bound = plan::MapOwnExpressions(node, [&](const ExprPtr& e) { return Over(e, *in, width); });
        const bool top = node->kind == NodeKind::kTopN;
        std::vector<ExprPtr> partition =
            top ? static_cast<const plan::TopN&>(*bound).partition : static_cast<const plan::OverWindow&>(*bound).partition;
        for (const ExprPtr& e : ColumnsOf(*in, width, width_)) partition.push_back(e);
        NodePtr made;
        if (top) {
          const auto& by_rank = static_cast<const plan::TopN&>(*bound);
          made = plan::MakeTopN(in, std::move(partition), by_rank.order, by_rank.rank, by_rank.from, by_rank.to,
                                by_rank.with_rank ? node->schema.fields.back().name : "");
        } else {
          const auto& over = static_cast<const plan::OverWindow&>(*bound);
          std::vector<std::string> names = plan::ColumnNames(node->schema);
          names.erase(names.begin(), names.begin() + width);
          made = plan::MakeOver(in, std::move(partition), over.order, over.calls, std::move(names));
        }
        return Columns(made, Range(0, width) + Range(width + width_, added) + Range(width, width_));
      }
      case NodeKind::kUnion: {
        std::vector<NodePtr> inputs;
        for (const NodePtr& input : node->inputs) {
          KAPPA_ASSIGN_OR_RETURN(NodePtr in, Run(input));
          inputs.push_back(std::move(in));
        }
        return plan::WithNames(plan::MakeUnion(std::move(inputs)), Names(*node));
      }
      case NodeKind::kSort: return Run(node->inputs[0]);
      case NodeKind::kValues: {
        std::vector<NodePtr> rows;
        for (const auto& row : static_cast<const plan::Values&>(*node).rows) {
          std::vector<ExprPtr> expressions;
          for (const ExprPtr& e : row) expressions.push_back(Over(e, *domain_, 0));
          for (const ExprPtr& e : ColumnsOf(*domain_, 0, width_)) expressions.push_back(e);
          rows.push_back(plan::MakeProject(domain_, std::move(expressions), Names(*node)));
        }
        return rows.size() == 1 ? rows[0] : plan::MakeUnion(std::move(rows));
      }
      case NodeKind::kLimit: return Refused("LIMIT or OFFSET in a correlated sub-query");
      case NodeKind::kTableFunction: return Refused("function " + static_cast<const plan::TableFunction&>(*node).name + " with outer columns");
      default: return Refused("this correlated sub-query");
    }
  }

 private:
  static Error Refused(std::string what) {
    return Error(sqlstate::kFeatureNotSupported, std::move(what) + " is not supported").Hint("Write a join, or GROUP BY in a sub-select of FROM.");
  }

  /// The expression over `in`, where the domain's columns begin at `at`.
  ExprPtr Over(const ExprPtr& expression, const plan::Node& in, int at) const {
    return expression ? WithOuter(expression, level_, ColumnsOf(in, at, width_)) : nullptr;
  }

  std::vector<std::string> Names(const plan::Node& node) const {
    std::vector<std::string> names = plan::ColumnNames(node.schema);
    for (const data::Field& field : domain_->schema.fields) names.push_back(field.name);
    return names;
  }

  Result<NodePtr> Aggregate(const plan::Aggregate& aggregate) {
    if (aggregate.close_key >= 0) return Refused("EMIT ON WINDOW CLOSE in a correlated sub-query");
    KAPPA_ASSIGN_OR_RETURN(NodePtr in, Run(aggregate.inputs[0]));
    const int width = aggregate.inputs[0]->schema.size(), own = static_cast<int>(aggregate.keys.size()),
              calls = static_cast<int>(aggregate.aggregates.size());
    std::vector<ExprPtr> keys;
    for (const ExprPtr& key : aggregate.keys) keys.push_back(Over(key, *in, width));
    for (const ExprPtr& key : ColumnsOf(*in, width, width_)) keys.push_back(key);
    std::vector<expr::AggregateCall> bound = aggregate.aggregates;
    for (expr::AggregateCall& call : bound) {
      for (ExprPtr& argument : call.arguments) argument = Over(argument, *in, width);
      call.filter = Over(call.filter, *in, width);
      for (expr::AggregateOrder& order : call.order_by) order.expression = Over(order.expression, *in, width);
    }
    NodePtr grouped = plan::MakeAggregate(in, std::move(keys), std::move(bound), NamesWithKeys(aggregate, *in, width, width_), -1, 0);
    if (own > 0) return Columns(grouped, Range(0, own) + Range(own + width_, calls) + Range(own, width_));
    // Values without a row have an empty group: counts of 0, else NULL.
    const NodePtr joined = plan::MakeJoin(JoinType::kLeft, domain_, grouped, ColumnsOf(*domain_, 0, width_), ColumnsOf(*grouped, 0, width_), nullptr,
                                          std::vector<bool>(static_cast<size_t>(width_), true));
    std::vector<ExprPtr> expressions;
    for (int i = 0; i < calls; ++i) {
      ExprPtr value = ColumnOf(*joined, 2 * width_ + i);
      expressions.push_back(IsCount(aggregate.aggregates[static_cast<size_t>(i)]) ? ZeroForNull(std::move(value)) : std::move(value));
    }
    for (const ExprPtr& e : ColumnsOf(*joined, 0, width_)) expressions.push_back(e);
    return plan::MakeProject(joined, std::move(expressions), Names(aggregate));
  }

  Result<NodePtr> Join(const plan::Join& join) {
    const int left_width = join.inputs[0]->schema.size(), right_width = join.inputs[1]->schema.size();
    const bool inner = join.type == JoinType::kInner || join.type == JoinType::kCross;
    const bool by_right = inner && !Refers(*join.inputs[0], level_) && Refers(*join.inputs[1], level_);
    const bool by_both = !by_right && Refers(*join.inputs[1], level_);
    NodePtr left = join.inputs[0], right = join.inputs[1];
    if (!by_right || join.type == JoinType::kRight || join.type == JoinType::kFull) { KAPPA_ASSIGN_OR_RETURN(left, Run(left)); }
    const bool both = by_both || join.type == JoinType::kRight || join.type == JoinType::kFull;
    if (by_right || both) { KAPPA_ASSIGN_OR_RETURN(right, Run(right)); }
    const int left_all = left->schema.size();
    // Conditions see the domain's columns where they are.
    std::vector<ExprPtr> left_keys, right_keys, residual;
    std::vector<bool> null_equal = join.null_equal;
    null_equal.resize(join.left_keys.size());
    const bool keys_refer = std::any_of(join.left_keys.begin(), join.left_keys.end(), [&](const ExprPtr& e) { return Refers(*e, level_); }) ||
                            std::any_of(join.right_keys.begin(), join.right_keys.end(), [&](const ExprPtr& e) { return Refers(*e, level_); });
    if (keys_refer && !both) {
      // A key of the side without the domain would need it: take it on both.
      if (by_right) {
        KAPPA_ASSIGN_OR_RETURN(left, Run(join.inputs[0]));
      } else {
        KAPPA_ASSIGN_OR_RETURN(right, Run(join.inputs[1]));
      }
    }
    const bool has_left = left->schema.size() > left_width, has_right = right->schema.size() > right_width;
    for (const ExprPtr& key : join.left_keys) left_keys.push_back(has_left ? Over(key, *left, left_width) : key);
    for (const ExprPtr& key : join.right_keys) right_keys.push_back(has_right ? Over(key, *right, right_width) : key);
    if (has_left && has_right) {
      for (const ExprPtr& e : ColumnsOf(*left, left_width, width_)) left_keys.push_back(e);
      for (const ExprPtr& e : ColumnsOf(*right, right_width, width_)) right_keys.push_back(e);
      null_equal.resize(left_keys.size(), true);
    }
    (void)left_all;
    const int left_now = left->schema.size();
    ExprPtr condition;
    if (join.residual) {
      condition = expr::RemapColumns(join.residual, Range(0, left_width) + Range(left_now, right_width));
      std::vector<ExprPtr> domain;
      for (int i = 0; i < width_; ++i) {
        const data::Field& field = domain_->schema.fields[static_cast<size_t>(i)];
        domain.push_back(expr::MakeColumn(has_left ? left_width + i : left_now + right_width + i, field.type, field.name));
      }
      condition = WithOuter(condition, level_, domain);
    }
    const JoinType type = join.type == JoinType::kCross && (condition || !left_keys.empty()) ? JoinType::kInner : join.type;
    const NodePtr joined =
        plan::MakeJoin(type, left, right, std::move(left_keys), std::move(right_keys), std::move(condition), std::move(null_equal));
    if (join.left_only()) return joined;
    const int domain_right = left_now + right_width;
    const std::vector<int> own = Range(0, left_width) + Range(left_now, right_width);
    if (join.type != JoinType::kFull)
      return Columns(joined, own + Range(has_left && join.type != JoinType::kRight ? left_width : domain_right, width_));
    std::vector<ExprPtr> expressions;
    for (const int index : own) expressions.push_back(ColumnOf(*joined, index));
    for (int i = 0; i < width_; ++i) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr value, expr::MakeCoalesce({ColumnOf(*joined, left_width + i), ColumnOf(*joined, domain_right + i)}, 0));
      expressions.push_back(std::move(value));
    }
    return plan::MakeProject(joined, std::move(expressions), Names(join));
  }

  const Level& level_;
  const NodePtr domain_;
  const int width_;
};

Result<Flat> Flatten(const NodePtr& node, const Level& level, const NodePtr& outer_plan) {
  if (std::optional<Flat> flat = PullUp(level).Run(node)) return std::move(*flat);
  std::vector<std::string> names;
  for (size_t i = 0; i < level.outer.size(); ++i) names.push_back("outer " + std::to_string(i + 1));
  NodePtr values = plan::MakeProject(outer_plan, level.outer, names);
  std::vector<ExprPtr> keys = ColumnsOf(*values, 0, values->schema.size());
  const NodePtr domain = plan::MakeAggregate(values, std::move(keys), {}, names, -1, 0);
  KAPPA_ASSIGN_OR_RETURN(NodePtr plan, Dependent(level, domain).Run(node));
  return Flat{std::move(plan), node->schema.size(), level.outer, std::vector<bool>(level.outer.size(), true)};
}

/// An aggregate without keys under projections and filters: exactly one row, or none where a filter says so.
struct OneRow {
  const plan::Aggregate* aggregate = nullptr;
  std::vector<const plan::Node*> above;  // top down
};
std::optional<OneRow> AsOneRow(const plan::Node& node) {
  OneRow result;
  for (const plan::Node* at = &node;; at = at->inputs[0].get()) {
    switch (at->kind) {
      case NodeKind::kAggregate:
        result.aggregate = static_cast<const plan::Aggregate*>(at);
        return result.aggregate->keys.empty() ? std::optional(result) : std::nullopt;
      case NodeKind::kProject:
      case NodeKind::kFilter: result.above.push_back(at); break;
      case NodeKind::kSort: break;
      default: return std::nullopt;
    }
  }
}

class Unnester {
 public:
  explicit Unnester(bool view) : view_(view) {}

  Result<NodePtr> Run(const NodePtr& node) {
    std::vector<NodePtr> inputs;
    for (const NodePtr& input : node->inputs) {
      KAPPA_ASSIGN_OR_RETURN(NodePtr run, Run(input));
      inputs.push_back(std::move(run));
    }
    NodePtr result = plan::WithInputs(node, std::move(inputs));
    bool any = false;
    plan::VisitOwnExpressions(*result, [&](const ExprPtr& e) { any = any || (e && HasSubquery(*e)); });
    if (!any) return result;
    switch (result->kind) {
      case NodeKind::kFilter: return Filter(static_cast<const plan::Filter&>(*result));
      case NodeKind::kJoin: {
        const auto& join = static_cast<const plan::Join&>(*result);
        if ((join.type != JoinType::kInner && join.type != JoinType::kCross) || !join.residual) return Kept(result, "the condition of an outer join");
        const NodePtr cross =
            plan::MakeJoin(JoinType::kCross, join.inputs[0], join.inputs[1], join.left_keys, join.right_keys, nullptr, join.null_equal);
        return Filter(static_cast<const plan::Filter&>(*plan::MakeFilter(cross, join.residual)));
      }
      case NodeKind::kProject:
      case NodeKind::kAggregate:
      case NodeKind::kUnnest: {
        NodePtr input = result->inputs[0];
        const int width = input->schema.size();
        Status status;
        NodePtr bound = plan::MapOwnExpressions(result, [&](const ExprPtr& e) -> ExprPtr {
          if (!e || !status.ok()) return e;
          Result<ExprPtr> replaced = Replace(e, input);
          if (replaced.ok()) return *replaced;
          status = replaced.error();
          return e;
        });
        KAPPA_RETURN_IF_ERROR(std::move(status));
        if (input == result->inputs[0]) return bound;
        const int joined = input->schema.size();
        NodePtr over = plan::Over(*bound, input);
        if (result->kind != NodeKind::kUnnest) return over;
        return Columns(over, Range(0, width) + Range(joined, over->schema.size() - joined));
      }
      default: return Kept(result, "this place");
    }
  }

  /// left with the rows of `inner` that belong to each of its rows; `on` is over both sides' columns.
  Result<NodePtr> Lateral(const NodePtr& left, const NodePtr& inner, const Level& level, JoinType type, const ExprPtr& on) {
    KAPPA_ASSIGN_OR_RETURN(NodePtr query, Run(inner));
    const int width = left->schema.size(), added = query->schema.size();
    if (!Refers(*query, level)) return plan::MakeJoin(type, left, query, {}, {}, on);
    const std::optional<OneRow> one = AsOneRow(*query);
    const bool filtered =
        one && std::any_of(one->above.begin(), one->above.end(), [](const plan::Node* node) { return node->kind == NodeKind::kFilter; });
    if (one && !(type == JoinType::kLeft && (filtered || on))) {
      NodePtr input = left;
      KAPPA_ASSIGN_OR_RETURN(auto row, JoinOneRow(*one, level, input));
      std::vector<ExprPtr> expressions = ColumnsOf(*input, 0, width);
      std::vector<std::string> names = plan::ColumnNames(left->schema);
      expressions.insert(expressions.end(), row.first.begin(), row.first.end());
      for (const data::Field& field : query->schema.fields) names.push_back(field.name);
      NodePtr result = plan::MakeProject(Filtered(input, row.second), std::move(expressions), std::move(names));
      return on ? plan::MakeFilter(std::move(result), on) : result;
    }
    KAPPA_ASSIGN_OR_RETURN(const Flat flat, Flatten(query, level, left));
    const JoinType join = type == JoinType::kCross ? JoinType::kInner : type;
    return Columns(plan::MakeJoin(join, left, flat.plan, flat.outer, flat.KeyColumns(), on, flat.null_equal), Range(0, width + added));
  }

 private:
  Result<NodePtr> Kept(const NodePtr& node, const char* where) {
    if (!view_) return node;
    return Error(sqlstate::kFeatureNotSupported, std::string("a sub-query in ") + where + " is not supported in a view")
        .Hint("Compute it in a sub-select of FROM.");
  }

  static Level LevelOf(const Expression& expression) {
    const Subquery& subquery = *plan::SubqueryOf(expression);
    Level level;
    level.first = subquery.first_parameter;
    const size_t needles = subquery.kind == Subquery::Kind::kIn ? 1 : 0;
    level.outer.assign(expression.children().begin() + static_cast<ptrdiff_t>(needles), expression.children().end());
    return level;
  }

  /// EXISTS asks for the first row alone: without that it is a query like any other.
  static NodePtr WithoutFirstRow(const NodePtr& plan) {
    if (plan->kind != NodeKind::kLimit) return plan;
    const auto& limit = static_cast<const plan::Limit&>(*plan);
    const bool one = !limit.offset && limit.limit && limit.limit->kind() == Expression::Kind::kLiteral &&
                     static_cast<const expr::Literal&>(*limit.limit).value() == data::Value::Int8(1);
    return one ? plan->inputs[0] : plan;
  }

  Result<NodePtr> Filter(const plan::Filter& filter) {
    NodePtr input = filter.inputs[0];
    const int width = input->schema.size();
    std::vector<ExprPtr> conjuncts, plain, others;
    Split(filter.predicate, conjuncts);
    for (const ExprPtr& conjunct : conjuncts) (HasSubquery(*conjunct) ? others : plain).push_back(conjunct);
    input = Filtered(std::move(input), std::move(plain));
    std::vector<ExprPtr> rest;
    for (const ExprPtr& conjunct : others) {
      KAPPA_ASSIGN_OR_RETURN(const NodePtr joined, SemiJoin(conjunct, input));
      if (joined) input = joined;
      else rest.push_back(conjunct);
    }
    for (ExprPtr& conjunct : rest) { KAPPA_ASSIGN_OR_RETURN(conjunct, Replace(conjunct, input)); }
    const bool wider = input->schema.size() > width;
    input = Filtered(std::move(input), std::move(rest));
    return wider ? Columns(input, Range(0, width)) : input;
  }

  /// EXISTS, NOT EXISTS and IN as a condition of WHERE; null when it is something else, or better run as it is.
  Result<NodePtr> SemiJoin(const ExprPtr& conjunct, const NodePtr& input) {
    const bool negated = conjunct->kind() == Expression::Kind::kNot;
    const ExprPtr& test = negated ? conjunct->children()[0] : conjunct;
    const Subquery* subquery = plan::SubqueryOf(*test);
    if (subquery == nullptr) return NodePtr();
    const bool in = subquery->kind == Subquery::Kind::kIn;
    if ((!in && subquery->kind != Subquery::Kind::kExists) || (in && negated)) return NodePtr();
    if (std::any_of(test->children().begin(), test->children().end(), [](const ExprPtr& child) { return HasSubquery(*child); })) return NodePtr();
    const Level level = LevelOf(*test);
    KAPPA_ASSIGN_OR_RETURN(const NodePtr query, Run(WithoutFirstRow(subquery->plan)));
    if (!view_ && !Refers(*query, level)) return NodePtr();  // one run of it is cheaper
    if (AsOneRow(*query)) return NodePtr();
    Result<Flat> flat = Flatten(query, level, input);
    if (!flat.ok() && !view_) return NodePtr();
    if (!flat.ok()) return flat.error();
    std::vector<ExprPtr> left = flat->outer, right = flat->KeyColumns();
    std::vector<bool> null_equal = flat->null_equal;
    if (in) {
      left.push_back(test->children()[0]);
      right.push_back(ColumnOf(*flat->plan, 0));
      null_equal.push_back(false);
    }
    return plan::MakeJoin(negated ? JoinType::kAnti : JoinType::kSemi, input, flat->plan, std::move(left), std::move(right), nullptr,
                          std::move(null_equal));
  }

  /// The expression with its sub-queries replaced by columns that are joined to `input`.
  Result<ExprPtr> Replace(const ExprPtr& expression, NodePtr& input) {
    if (!HasSubquery(*expression)) return expression;
    std::vector<ExprPtr> children;
    for (const ExprPtr& child : expression->children()) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr replaced, Replace(child, input));
      children.push_back(std::move(replaced));
    }
    const ExprPtr bound = expression->WithChildren(std::move(children));
    const Subquery* subquery = plan::SubqueryOf(*bound);
    if (subquery == nullptr) return bound;
    NodePtr before = input;
    Result<ExprPtr> value = Value(*bound, *subquery, input);
    if (value.ok() && *value) return value;
    input = before;
    if (!view_) return bound;
    if (!value.ok()) return value.error();
    return Error(sqlstate::kFeatureNotSupported, "ARRAY(sub-query) is not supported in a view")
        .Hint("Join with the other relation, or define a second view and join with it.");
  }

  Result<ExprPtr> Value(const Expression& expression, const Subquery& subquery, NodePtr& input) {
    const Level level = LevelOf(expression);
    KAPPA_ASSIGN_OR_RETURN(const NodePtr query, Run(subquery.kind == Subquery::Kind::kExists ? WithoutFirstRow(subquery.plan) : subquery.plan));
    if (!view_ && !Refers(*query, level)) return ExprPtr();
    switch (subquery.kind) {
      case Subquery::Kind::kScalar: return Scalar(query, level, expression.type(), input);
      case Subquery::Kind::kExists: return Exists(query, level, input);
      case Subquery::Kind::kIn: return In(query, level, expression.children()[0], input);
      case Subquery::Kind::kArray: return ExprPtr();
    }
    return ExprPtr();
  }

  /// Joins the row of an aggregate without keys: the values of the query's columns, and the conditions under which the row is there.
  Result<std::pair<std::vector<ExprPtr>, std::vector<ExprPtr>>> JoinOneRow(const OneRow& one, const Level& level, NodePtr& input) {
    const plan::Aggregate& aggregate = *one.aggregate;
    for (const expr::AggregateCall& call : aggregate.aggregates) {
      bool refers = call.filter && Refers(*call.filter, level);
      for (const ExprPtr& argument : call.arguments) refers = refers || Refers(*argument, level);
      for (const expr::AggregateOrder& order : call.order_by) refers = refers || Refers(*order.expression, level);
      if (refers) return JoinDependentRow(one, level, input);
    }
    for (const plan::Node* node : one.above) {
      bool inside = false;
      plan::VisitOwnExpressions(*node, [&](const ExprPtr& e) { inside = inside || RefersInside(*e, level); });
      if (inside) return Error(sqlstate::kFeatureNotSupported, "a sub-query in this place of a correlated sub-query is not supported");
    }
    KAPPA_ASSIGN_OR_RETURN(const Flat flat, Flatten(aggregate.inputs[0], level, input));
    std::vector<std::string> names;
    for (const ExprPtr& key : flat.KeyColumns()) names.push_back(static_cast<const expr::ColumnRef&>(*key).name());
    for (const data::Field& field : aggregate.schema.fields) names.push_back(field.name);
    const NodePtr grouped = plan::MakeAggregate(flat.plan, flat.KeyColumns(), aggregate.aggregates, std::move(names), -1, 0);
    const int base = input->schema.size() + flat.keys();
    const bool keyed = flat.keys() > 0;
    input = plan::MakeJoin(keyed ? JoinType::kLeft : JoinType::kCross, input, grouped, flat.outer, ColumnsOf(*grouped, 0, flat.keys()), nullptr,
                           flat.null_equal);
    std::vector<ExprPtr> row;
    for (size_t i = 0; i < aggregate.aggregates.size(); ++i) {
      ExprPtr value = ColumnOf(*input, base + static_cast<int>(i));
      row.push_back(keyed && IsCount(aggregate.aggregates[i]) ? ZeroForNull(std::move(value)) : std::move(value));
    }
    return Above(one, level, std::move(row));
  }

  /// The same when the aggregates' arguments use outer columns.
  Result<std::pair<std::vector<ExprPtr>, std::vector<ExprPtr>>> JoinDependentRow(const OneRow& one, const Level& level, NodePtr& input) {
    const auto self = std::shared_ptr<const plan::Node>(std::shared_ptr<void>(), one.aggregate);
    KAPPA_ASSIGN_OR_RETURN(const Flat flat, Flatten(self, level, input));
    const int base = input->schema.size();
    input = plan::MakeJoin(JoinType::kLeft, input, flat.plan, flat.outer, flat.KeyColumns(), nullptr, flat.null_equal);
    return Above(one, level, ColumnsOf(*input, base, flat.width));
  }

  /// Applies the projections and filters above the aggregate to its row.
  std::pair<std::vector<ExprPtr>, std::vector<ExprPtr>> Above(const OneRow& one, const Level& level, std::vector<ExprPtr> row) {
    std::vector<ExprPtr> conditions;
    for (size_t i = one.above.size(); i-- > 0;) {
      // Outer expressions go in last: they are over the input already.
      const auto over_row = [&](const ExprPtr& e) {
        std::vector<ExprPtr> slots;
        const ExprPtr columns = expr::SubstituteColumns(e, row);
        return WithOuter(columns, level, level.outer);
      };
      if (one.above[i]->kind == NodeKind::kFilter) {
        conditions.push_back(over_row(static_cast<const plan::Filter&>(*one.above[i]).predicate));
        continue;
      }
      std::vector<ExprPtr> next;
      for (const ExprPtr& e : static_cast<const plan::Project&>(*one.above[i]).expressions) next.push_back(over_row(e));
      row = std::move(next);
    }
    return {std::move(row), std::move(conditions)};
  }

  Result<ExprPtr> Scalar(const NodePtr& query, const Level& level, const data::Type& type, NodePtr& input) {
    if (const std::optional<OneRow> one = AsOneRow(*query)) {
      KAPPA_ASSIGN_OR_RETURN(auto row, JoinOneRow(*one, level, input));
      if (row.second.empty()) return row.first[0];
      return expr::MakeCase(nullptr, {{AllOf(std::move(row.second)), row.first[0]}}, nullptr, 0);
    }
    if (!view_) return ExprPtr();  // more than one row is an error of the query
    KAPPA_ASSIGN_OR_RETURN(const Flat flat, Flatten(query, level, input));
    // More than one row is an error, and the error of a row is a NULL.
    KAPPA_ASSIGN_OR_RETURN(expr::AggregateCall count, expr::ResolveAggregate("count", {}, true, false, 0));
    expr::AggregateCall value{expr::AggregateKind::kMin, {ColumnOf(*flat.plan, 0)}, false, nullptr, {}, type, "min"};
    const int n = JoinGroups(flat, {std::move(count), std::move(value)}, input);
    KAPPA_ASSIGN_OR_RETURN(ExprPtr single, expr::MakeOperator("<=", {ColumnOf(*input, n), expr::MakeLiteral(data::Value::Int8(1))}, 0));
    return expr::MakeCase(nullptr, {{std::move(single), ColumnOf(*input, n + 1)}}, nullptr, 0);
  }

  /// Joins aggregates over the rows of each outer row; the index of the first one's column.
  int JoinGroups(const Flat& flat, std::vector<expr::AggregateCall> calls, NodePtr& input) {
    std::vector<std::string> names;
    for (const ExprPtr& key : flat.KeyColumns()) names.push_back(static_cast<const expr::ColumnRef&>(*key).name());
    for (const expr::AggregateCall& call : calls) names.push_back(call.ToString(plan::ColumnNames(flat.plan->schema)));
    const NodePtr grouped = plan::MakeAggregate(flat.plan, flat.KeyColumns(), std::move(calls), std::move(names), -1, 0);
    const int first = input->schema.size() + flat.keys();
    input = plan::MakeJoin(flat.keys() > 0 ? JoinType::kLeft : JoinType::kCross, input, grouped, flat.outer, ColumnsOf(*grouped, 0, flat.keys()),
                           nullptr, flat.null_equal);
    return first;
  }

  Result<ExprPtr> Exists(const NodePtr& query, const Level& level, NodePtr& input) {
    if (const std::optional<OneRow> one = AsOneRow(*query)) {
      KAPPA_ASSIGN_OR_RETURN(auto row, JoinOneRow(*one, level, input));
      if (row.second.empty()) return expr::MakeLiteral(data::Value::Bool(true));
      return expr::MakeCoalesce({AllOf(std::move(row.second)), expr::MakeLiteral(data::Value::Bool(false))}, 0);
    }
    KAPPA_ASSIGN_OR_RETURN(const Flat flat, Flatten(query, level, input));
    KAPPA_ASSIGN_OR_RETURN(expr::AggregateCall count, expr::ResolveAggregate("count", {}, true, false, 0));
    const int n = JoinGroups(flat, {std::move(count)}, input);
    return expr::MakeOperator(">", {ZeroForNull(ColumnOf(*input, n)), expr::MakeLiteral(data::Value::Int8(0))}, 0);
  }

  /// needle IN (query), with NULL where PostgreSQL says so: no row is equal, but the needle or a row is NULL.
  Result<ExprPtr> In(const NodePtr& query, const Level& level, const ExprPtr& needle, NodePtr& input) {
    KAPPA_ASSIGN_OR_RETURN(const Flat flat, Flatten(query, level, input));
    KAPPA_ASSIGN_OR_RETURN(expr::AggregateCall rows, expr::ResolveAggregate("count", {}, true, false, 0));
    KAPPA_ASSIGN_OR_RETURN(expr::AggregateCall values, expr::ResolveAggregate("count", {ColumnOf(*flat.plan, 0)}, false, false, 0));
    const int n = JoinGroups(flat, {std::move(rows), std::move(values)}, input);
    Flat members = flat;  // keyed by the value too
    members.plan = Columns(flat.plan, Range(0, flat.width) + Range(flat.width, flat.keys()) + std::vector<int>{0});
    members.outer.push_back(needle);
    members.null_equal.push_back(false);
    KAPPA_ASSIGN_OR_RETURN(expr::AggregateCall found, expr::ResolveAggregate("count", {}, true, false, 0));
    const int m = JoinGroups(members, {std::move(found)}, input);
    const ExprPtr zero = expr::MakeLiteral(data::Value::Int8(0)), all = ZeroForNull(ColumnOf(*input, n));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr matched, expr::MakeOperator(">", {ColumnOf(*input, m), zero}, 0));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr none, expr::MakeOperator("=", {all, zero}, 0));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr nulls, expr::MakeOperator("<", {ColumnOf(*input, n + 1), ColumnOf(*input, n)}, 0));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr unknown, expr::MakeOr({expr::MakeIsNull(needle, false), std::move(nulls)}, 0));
    return expr::MakeCase(nullptr,
                          {{std::move(matched), expr::MakeLiteral(data::Value::Bool(true))},
                           {std::move(none), expr::MakeLiteral(data::Value::Bool(false))},
                           {std::move(unknown), expr::MakeNull(data::TypeId::kBool)}},
                          expr::MakeLiteral(data::Value::Bool(false)), 0);
  }

  const bool view_;
};

}  // namespace

Result<NodePtr> UnnestSubqueries(const NodePtr& plan, bool view) { return Unnester(view).Run(plan); }

Result<NodePtr> JoinLateral(const NodePtr& left, const NodePtr& query, int first_parameter, std::vector<ExprPtr> outer, JoinType type,
                            const ExprPtr& on, bool view) {
  return Unnester(view).Lateral(left, query, Level{first_parameter, std::move(outer)}, type, on);
}

NodePtr OptimizeSubqueries(const NodePtr& plan) {
  const auto inside = [](const auto& self, const ExprPtr& expression) -> ExprPtr {
    if (!expression || !HasSubquery(*expression)) return expression;
    std::vector<ExprPtr> children;
    for (const ExprPtr& child : expression->children()) children.push_back(self(self, child));
    ExprPtr result = expression->WithChildren(std::move(children));
    const Subquery* subquery = plan::SubqueryOf(*result);
    return subquery == nullptr ? result : plan::WithSubqueryPlan(*result, Optimize(subquery->plan));
  };
  return plan::MapExpressions(plan, [&](const ExprPtr& e) { return inside(inside, e); });
}

}  // namespace kappa::sql
