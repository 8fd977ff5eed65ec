// Sub-queries that use outer columns in any way: computed for the distinct outer values that there are.
#include <algorithm>

#include "sql/optimize/correlation.h"

namespace kappa::sql {
namespace {

using expr::ExprPtr;
using plan::JoinType;
using plan::NodeKind;
using plan::NodePtr;

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
      case NodeKind::kLimit: return Limit(static_cast<const plan::Limit&>(*node));
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

  /// The first rows of each outer value.
  Result<NodePtr> Limit(const plan::Limit& limit) {
    const bool sorted = limit.inputs[0]->kind == NodeKind::kSort;
    const NodePtr& below = sorted ? limit.inputs[0]->inputs[0] : limit.inputs[0];
    KAPPA_ASSIGN_OR_RETURN(NodePtr in, Run(below));
    const int width = below->schema.size();
    std::vector<plan::SortKey> order;
    if (sorted) order = static_cast<const plan::Sort&>(*limit.inputs[0]).keys;
    for (plan::SortKey& key : order) key.expression = Over(key.expression, *in, width);
    plan::WindowCall number;
    number.type = data::TypeId::kInt8;
    number.name = "row_number";
    in = plan::MakeOver(in, ColumnsOf(*in, width, width_), std::move(order), {std::move(number)}, {"row_number"});
    // Kept: row_number > offset, and row_number - offset <= limit. A NULL of either means none.
    const auto constant = [](const ExprPtr& e) -> std::optional<int64_t> {
      if (e == nullptr) return 0;
      if (e->kind() != expr::Expression::Kind::kLiteral || static_cast<const expr::Literal&>(*e).value().null) return std::nullopt;
      return static_cast<const expr::Literal&>(*e).value().As<int64_t>();
    };
    const std::optional<int64_t> skipped = constant(limit.offset), count = constant(limit.limit);
    ExprPtr rank = ColumnOf(*in, width + width_);
    std::vector<ExprPtr> conditions;
    if (limit.offset) {
      const ExprPtr offset = skipped ? limit.offset : ZeroForNull(Over(limit.offset, *in, width));
      KAPPA_ASSIGN_OR_RETURN(ExprPtr begun, expr::MakeOperator(">", {rank, offset}, 0));
      conditions.push_back(std::move(begun));
      if (!skipped || !count) { KAPPA_ASSIGN_OR_RETURN(rank, expr::MakeOperator("-", {rank, offset}, 0)); }
    }
    if (limit.limit) {
      int64_t last = 0;  // a condition on the rank alone makes a TopN
      const bool known = skipped && count && !__builtin_add_overflow(*skipped, *count, &last);
      const ExprPtr most = known ? expr::MakeLiteral(data::Value::Int8(last)) : Over(limit.limit, *in, width);
      KAPPA_ASSIGN_OR_RETURN(ExprPtr within, expr::MakeOperator("<=", {rank, most}, 0));
      if (!count) { KAPPA_ASSIGN_OR_RETURN(within, expr::MakeOr({expr::MakeIsNull(most, false), std::move(within)}, 0)); }
      conditions.push_back(std::move(within));
    }
    return Columns(Filtered(std::move(in), std::move(conditions)), Range(0, width + width_));
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

}  // namespace

Result<NodePtr> ForEach(const NodePtr& node, const Level& level, NodePtr domain) { return Dependent(level, std::move(domain)).Run(node); }

}  // namespace kappa::sql
