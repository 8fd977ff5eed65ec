// Sub-queries in expressions become joins and aggregates. A sub-query that compares its columns with outer ones is computed for all
// values at once and joined on them (pull_up.cc); one that uses outer columns in other ways is computed for the distinct outer values that
// there are (dependent.cc; Neumann and Kemper, "Unnesting Arbitrary Queries", 2015).
#include <algorithm>

#include "sql/optimize/correlation.h"

namespace kappa::sql {
namespace {

using expr::Expression;
using expr::ExprPtr;
using plan::JoinType;
using plan::NodeKind;
using plan::NodePtr;
using plan::Subquery;

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
        if ((join.type != JoinType::kInner && join.type != JoinType::kCross) || !join.residual)
          return view_ ? OuterJoin(join) : Result<NodePtr>(result);
        const NodePtr cross =
            plan::MakeJoin(JoinType::kCross, join.inputs[0], join.inputs[1], join.left_keys, join.right_keys, nullptr, join.null_equal);
        return Filter(static_cast<const plan::Filter&>(*plan::MakeFilter(cross, join.residual)));
      }
      case NodeKind::kProject:
      case NodeKind::kAggregate:
      case NodeKind::kUnnest: {
        NodePtr input = result->inputs[0];
        const int width = input->schema.size();
        KAPPA_ASSIGN_OR_RETURN(const NodePtr bound, WithColumns(result, input));
        if (input == result->inputs[0]) return bound;
        const int joined = input->schema.size();
        NodePtr over = plan::Over(*bound, input);
        if (result->kind != NodeKind::kUnnest) return over;
        return Columns(over, Range(0, width) + Range(joined, over->schema.size() - joined));
      }
      case NodeKind::kOver:
      case NodeKind::kTopN: return view_ ? Ranked(result) : Result<NodePtr>(result);
      case NodeKind::kValues: return view_ ? RowsOf(static_cast<const plan::Values&>(*result)) : Result<NodePtr>(result);
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
    SplitConjuncts(filter.predicate, conjuncts);
    for (const ExprPtr& conjunct : conjuncts) (HasSubquery(*conjunct) ? others : plain).push_back(conjunct);
    input = Filtered(std::move(input), std::move(plain));
    std::vector<ExprPtr> rest;
    for (const ExprPtr& conjunct : others) {
      KAPPA_ASSIGN_OR_RETURN(const NodePtr joined, SemiJoin(conjunct, input));
      if (joined) input = joined;
      else rest.push_back(conjunct);
    }
    Shared shared;
    for (ExprPtr& conjunct : rest) { KAPPA_ASSIGN_OR_RETURN(conjunct, Replace(conjunct, input, shared)); }
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

  /// Sub-queries of one node and what stands for them: equal ones are computed once.
  using Shared = std::vector<std::pair<ExprPtr, ExprPtr>>;

  /// The expression with its sub-queries replaced by columns that are joined to `input`, after those that it has.
  Result<ExprPtr> Replace(const ExprPtr& expression, NodePtr& input, Shared& shared) {
    if (!HasSubquery(*expression)) return expression;
    std::vector<ExprPtr> children;
    for (const ExprPtr& child : expression->children()) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr replaced, Replace(child, input, shared));
      children.push_back(std::move(replaced));
    }
    const ExprPtr bound = expression->WithChildren(std::move(children));
    const Subquery* subquery = plan::SubqueryOf(*bound);
    if (subquery == nullptr) return bound;
    for (const auto& [other, value] : shared)
      if (plan::SameExpression(*other, *bound)) return value;
    NodePtr before = input;
    Result<ExprPtr> value = Value(*bound, *subquery, input);
    if (value.ok() && *value) {
      shared.emplace_back(bound, *value);
      return value;
    }
    input = before;
    if (!view_) return bound;
    if (!value.ok()) return value.error();
    KAPPA_CHECK(*value != nullptr);
    return value;
  }

  /// The node with the sub-queries of all its expressions replaced so.
  Result<NodePtr> WithColumns(const NodePtr& node, NodePtr& input) {
    Status status;
    Shared shared;
    NodePtr bound = plan::MapOwnExpressions(node, [&](const ExprPtr& e) -> ExprPtr {
      if (!e || !status.ok()) return e;
      Result<ExprPtr> replaced = Replace(e, input, shared);
      if (replaced.ok()) return *replaced;
      status = replaced.error();
      return e;
    });
    KAPPA_RETURN_IF_ERROR(std::move(status));
    return bound;
  }

  /// A condition of an outer join decides which rows match, not which are there: its sub-queries are computed over the side whose
  /// columns they use, before the join.
  Result<NodePtr> OuterJoin(const plan::Join& join) {
    NodePtr left = join.inputs[0], right = join.inputs[1];
    const int left_width = left->schema.size(), right_width = right->schema.size();
    constexpr int kRight = 1 << 16;  // columns of the right side until the left one's width is known
    Shared left_shared, right_shared;
    const auto moved = [](const ExprPtr& e, int from, int count, int to) {
      std::vector<int> mapping(static_cast<size_t>(from + count));
      for (int i = 0; i < count; ++i) mapping[static_cast<size_t>(from + i)] = to + i;
      return expr::RemapColumns(e, mapping);
    };
    const auto replace = [&](const auto& self, const ExprPtr& e) -> Result<ExprPtr> {
      if (plan::SubqueryOf(*e) != nullptr) {
        std::vector<bool> used;
        expr::CollectColumns(*e, used);
        bool of_left = false, of_right = false;
        for (int i = 0; i < static_cast<int>(used.size()); ++i) (i < left_width ? of_left : of_right) |= used[static_cast<size_t>(i)];
        if (of_left && of_right)
          return Error(sqlstate::kFeatureNotSupported, "a sub-query that uses columns of both sides of an outer join is not supported in a view")
              .Hint("Compute it in a sub-select of FROM.");
        if (!of_right) return Replace(e, left, left_shared);
        KAPPA_ASSIGN_OR_RETURN(const ExprPtr value, Replace(moved(e, left_width, right_width, 0), right, right_shared));
        return moved(value, 0, right->schema.size(), kRight);
      }
      if (e->kind() == Expression::Kind::kColumn) {
        const int index = static_cast<const expr::ColumnRef&>(*e).index();
        return index < left_width ? e : moved(e, left_width, right_width, kRight);
      }
      if (e->children().empty()) return e;
      std::vector<ExprPtr> children;
      for (const ExprPtr& child : e->children()) {
        KAPPA_ASSIGN_OR_RETURN(ExprPtr replaced, self(self, child));
        children.push_back(std::move(replaced));
      }
      return e->WithChildren(std::move(children));
    };
    std::vector<ExprPtr> left_keys, right_keys;
    for (const ExprPtr& key : join.left_keys) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr replaced, Replace(key, left, left_shared));
      left_keys.push_back(std::move(replaced));
    }
    for (const ExprPtr& key : join.right_keys) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr replaced, Replace(key, right, right_shared));
      right_keys.push_back(std::move(replaced));
    }
    ExprPtr residual;
    if (join.residual) {
      KAPPA_ASSIGN_OR_RETURN(residual, replace(replace, join.residual));
      std::vector<int> mapping = Range(0, left->schema.size());
      mapping.resize(static_cast<size_t>(kRight), 0);
      mapping = std::move(mapping) + Range(left->schema.size(), right->schema.size());
      residual = expr::RemapColumns(residual, mapping);
    }
    const int left_now = left->schema.size();
    const NodePtr joined = plan::MakeJoin(join.type, left, right, std::move(left_keys), std::move(right_keys), std::move(residual), join.null_equal);
    return Columns(joined, join.left_only() ? Range(0, left_width) : Range(0, left_width) + Range(left_now, right_width));
  }

  /// Window functions and ranks over sub-queries.
  Result<NodePtr> Ranked(const NodePtr& node) {
    NodePtr input = node->inputs[0];
    const int width = input->schema.size(), added = node->schema.size() - width;
    KAPPA_ASSIGN_OR_RETURN(const NodePtr bound, WithColumns(node, input));
    const int joined = input->schema.size();
    NodePtr over;
    if (node->kind == NodeKind::kTopN) {
      const auto& top = static_cast<const plan::TopN&>(*bound);
      over = plan::MakeTopN(input, top.partition, top.order, top.rank, top.from, top.to, top.with_rank ? node->schema.fields.back().name : "");
    } else {
      const auto& window = static_cast<const plan::OverWindow&>(*bound);
      std::vector<std::string> names = plan::ColumnNames(node->schema);
      names.erase(names.begin(), names.begin() + width);
      over = plan::MakeOver(input, window.partition, window.order, window.calls, std::move(names));
    }
    return Columns(over, Range(0, width) + Range(joined, added));
  }

  /// VALUES with sub-queries: each row a SELECT of its own.
  Result<NodePtr> RowsOf(const plan::Values& values) {
    std::vector<NodePtr> rows;
    for (const auto& row : values.rows) {
      KAPPA_ASSIGN_OR_RETURN(NodePtr one, Run(plan::MakeProject(plan::MakeValues({}, {{}}), row, plan::ColumnNames(values.schema))));
      rows.push_back(std::move(one));
    }
    return rows.size() == 1 ? rows[0] : plan::WithNames(plan::MakeUnion(rows), plan::ColumnNames(values.schema));
  }

  Result<ExprPtr> Value(const Expression& expression, const Subquery& subquery, NodePtr& input) {
    const Level level = LevelOf(expression);
    KAPPA_ASSIGN_OR_RETURN(const NodePtr query, Run(subquery.kind == Subquery::Kind::kExists ? WithoutFirstRow(subquery.plan) : subquery.plan));
    if (!view_ && !Refers(*query, level)) return ExprPtr();
    switch (subquery.kind) {
      case Subquery::Kind::kScalar: return Scalar(query, level, expression.type(), input);
      case Subquery::Kind::kExists: return Exists(query, level, input);
      case Subquery::Kind::kIn: return In(query, level, expression.children()[0], input);
      case Subquery::Kind::kArray:
        if (!view_) return ExprPtr();  // its rows may come in an order that array_agg would not see
        return Array(query, level, expression.type(), input);
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

  /// ARRAY(query) in the order of its ORDER BY, else of the values.
  Result<ExprPtr> Array(const NodePtr& query, const Level& level, const data::Type& type, NodePtr& input) {
    std::vector<ExprPtr> columns = {ColumnOf(*query, 0)};
    std::vector<plan::SortKey> order;
    NodePtr rows = query;
    while (rows->kind == NodeKind::kProject) {
      for (ExprPtr& column : columns) column = expr::SubstituteColumns(column, static_cast<const plan::Project&>(*rows).expressions);
      rows = rows->inputs[0];
    }
    if (rows->kind == NodeKind::kSort) {
      order = static_cast<const plan::Sort&>(*rows).keys;
      rows = rows->inputs[0];
    } else if (rows->kind == NodeKind::kTopN && static_cast<const plan::TopN&>(*rows).partition.empty()) {
      order = static_cast<const plan::TopN&>(*rows).order;
    }
    NodePtr wide = query;
    if (!order.empty()) {
      std::vector<std::string> names = {query->schema.fields[0].name};
      for (const plan::SortKey& key : order) {
        names.push_back("key " + std::to_string(names.size()));
        columns.push_back(key.expression);
      }
      wide = plan::MakeProject(rows, columns, std::move(names));
    }
    KAPPA_ASSIGN_OR_RETURN(const Flat flat, Flatten(wide, level, input));
    KAPPA_ASSIGN_OR_RETURN(expr::AggregateCall values, expr::ResolveAggregate("array_agg", {ColumnOf(*flat.plan, 0)}, false, false, 0));
    for (size_t i = 0; i < order.size(); ++i)
      values.order_by.push_back({ColumnOf(*flat.plan, static_cast<int>(i) + 1), order[i].descending, order[i].nulls_first});
    const int n = JoinGroups(flat, {std::move(values)}, input);
    KAPPA_ASSIGN_OR_RETURN(ExprPtr empty, expr::MakeCast(expr::MakeLiteral(data::Value::Text("{}")), type, expr::CastContext::kExplicit, 0));
    return expr::MakeCoalesce({ColumnOf(*input, n), std::move(empty)}, 0);
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
