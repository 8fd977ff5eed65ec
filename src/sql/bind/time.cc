// Time in views: conditions on now(), and how long the rows of a join can still meet another.
#include <algorithm>
#include <optional>

#include "sql/bind/nodes.h"
#include "sql/bind/window_columns.h"

namespace kappa::sql {
namespace {

using data::TypeId;
using plan::NodeKind;

constexpr int64_t kDayMicros = 86'400'000'000;
constexpr int64_t kLongDayMicros = 7'200'000'000;  // by which days of a time zone may be longer

bool IsCall(const expr::Expression& expression, std::string_view name, size_t children) {
  return expression.kind() == expr::Expression::Kind::kCall && expression.call_name() == name && expression.children().size() == children;
}

bool ReadsNow(const expr::Expression& expression) {
  if (IsCall(expression, "now", 0)) return true;
  return std::any_of(expression.children().begin(), expression.children().end(), [](const ExprPtr& child) { return ReadsNow(*child); });
}

void SplitAnd(const ExprPtr& predicate, std::vector<ExprPtr>& conjuncts) {
  if (predicate->kind() != expr::Expression::Kind::kAnd) return conjuncts.push_back(predicate);
  for (const ExprPtr& child : predicate->children()) SplitAnd(child, conjuncts);
}

/// A constant interval without months, days as 24 hours.
std::optional<int64_t> FixedLength(const ExprPtr& expression) {
  const ExprPtr folded = expr::FoldConstants(expression);
  if (folded->kind() != expr::Expression::Kind::kLiteral || folded->type().id != TypeId::kInterval) return std::nullopt;
  const data::Value& value = static_cast<const expr::Literal&>(*folded).value();
  if (value.null) return std::nullopt;
  const auto interval = value.As<data::Interval>();
  int64_t days = 0, micros = 0;
  if (interval.months != 0 || __builtin_mul_overflow(int64_t{interval.days}, kDayMicros, &days) ||
      __builtin_add_overflow(days, interval.micros, &micros))
    return std::nullopt;
  return micros > INT64_MIN / 4 && micros < INT64_MAX / 4 ? std::optional<int64_t>(micros) : std::nullopt;
}

/// `base` plus or minus constant intervals, as (base, microseconds). Without such, the expression itself and 0.
std::pair<ExprPtr, int64_t> Shifted(const ExprPtr& expression) {
  const bool plus = IsCall(*expression, "+", 2), minus = IsCall(*expression, "-", 2);
  if (plus || minus) {
    for (size_t side = 0; side < (plus ? 2u : 1u); ++side) {
      const auto length = FixedLength(expression->children()[1 - side]);
      if (!length) continue;
      auto [base, shift] = Shifted(expression->children()[side]);
      return {std::move(base), shift + (plus ? *length : -*length)};
    }
  }
  return {expression, 0};
}

/// True when an interval in the expression has days: in a time zone they may last an hour or two more than 24.
bool HasDays(const ExprPtr& expression) {
  if (expression->kind() == expr::Expression::Kind::kLiteral && expression->type().id == TypeId::kInterval) {
    const data::Value& value = static_cast<const expr::Literal&>(*expression).value();
    return !value.null && value.As<data::Interval>().days != 0;
  }
  return std::any_of(expression->children().begin(), expression->children().end(), HasDays);
}

/// now() under casts between the types of times.
bool IsNow(const expr::Expression& expression) {
  if (IsCall(expression, "now", 0)) return true;
  const bool time = expression.type().id == TypeId::kTimestamptz || expression.type().id == TypeId::kTimestamp;
  return time && IsCall(expression, "cast", 1) && IsNow(*expression.children()[0]);
}

std::string_view Flipped(std::string_view op) { return op == ">" ? "<" : op == ">=" ? "<=" : op == "<" ? ">" : "<=" == op ? ">=" : op; }

}  // namespace

/// `time OP now() [+- interval]` as a bound; none when the conjunct has another shape.
std::optional<plan::TemporalFilter::Bound> Binder::TemporalBound(const ExprPtr& conjunct) {
  const std::string_view name = conjunct->call_name();
  if (conjunct->children().size() != 2 || (name != "<" && name != "<=" && name != ">" && name != ">=")) return std::nullopt;
  auto [left, left_shift] = Shifted(conjunct->children()[0]);
  auto [right, right_shift] = Shifted(conjunct->children()[1]);
  std::string_view op = name;
  if (IsNow(*left)) {
    std::swap(left, right);
    std::swap(left_shift, right_shift);
    op = Flipped(op);
  }
  if (!IsNow(*right) || ReadsNow(*left) || !left->is_immutable()) return std::nullopt;
  if (left->type().id != TypeId::kTimestamp && left->type().id != TypeId::kTimestamptz) return std::nullopt;
  if (left->type().id == TypeId::kTimestamp) {
    Result<ExprPtr> zoned = expr::MakeCast(left, TypeId::kTimestamptz, expr::CastContext::kExplicit, 0);
    if (!zoned.ok()) return std::nullopt;
    left = *zoned;
  }
  return plan::TemporalFilter::Bound{left, right_shift - left_shift, op[0] == '>', op.size() == 2};
}

/// Conditions on now() in WHERE become nodes that let rows come and go; now() elsewhere is refused.
Result<NodePtr> Binder::TemporalFilters(const NodePtr& node) {
  if (!for_view_ || now_position_ == 0) return node;
  if (tree_.statement().emit == Emit::kOnWindowClose)
    return Unsupported("now() with EMIT ON WINDOW CLOSE", "A group that was given once cannot lose rows as time passes: leave one of them out.",
                       now_position_);
  std::vector<NodePtr> inputs;
  for (const NodePtr& input : node->inputs) {
    KAPPA_ASSIGN_OR_RETURN(NodePtr changed, TemporalFilters(input));
    inputs.push_back(std::move(changed));
  }
  const NodePtr result = plan::WithInputs(node, std::move(inputs));
  const auto refuse = [&] {
    return Error(sqlstate::kFeatureNotSupported, "function now() is not supported in views except to compare a time with it")
        .Detail("A view's rows depend on the log alone; now() is the time of the epoch.")
        .Hint("Write WHERE ts > now() - INTERVAL '5 minutes', or use a column of the stream, such as its event time.")
        .At(now_position_);
  };
  if (result->kind != NodeKind::kFilter) {
    bool read = false;
    plan::VisitOwnExpressions(*result, [&](const ExprPtr& expression) { read = read || ReadsNow(*expression); });
    if (read) return refuse();
    return result;
  }
  std::vector<ExprPtr> conjuncts, others;
  std::vector<plan::TemporalFilter::Bound> bounds;
  SplitAnd(static_cast<const plan::Filter&>(*result).predicate, conjuncts);
  for (const ExprPtr& conjunct : conjuncts) {
    if (!ReadsNow(*conjunct)) {
      others.push_back(conjunct);
      continue;
    }
    const auto bound = TemporalBound(conjunct);
    if (!bound) return refuse();
    bounds.push_back(*bound);
  }
  if (bounds.empty()) return result;
  NodePtr plan = result->inputs[0];
  if (!others.empty()) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr rest, others.size() == 1 ? Result<ExprPtr>(others[0]) : expr::MakeAnd(std::move(others), 0));
    plan = plan::MakeFilter(std::move(plan), std::move(rest));
  }
  return plan::MakeTemporalFilter(std::move(plan), std::move(bounds));
}

/// How far a column of a plan is whole: no row that comes after the watermark W of the stream has a value below W - lag.
std::optional<Binder::Progress> Binder::ProgressOf(const plan::Node& node, int column) const {
  switch (node.kind) {
    case NodeKind::kScan: {
      const auto& scan = static_cast<const plan::Scan&>(node);
      if (scan.relation_kind != plan::RelationKind::kStream || scan.late != plan::LateRows::kDrop) return std::nullopt;
      const catalog::Stream* stream = context_.catalog->FindStream(scan.name);
      if (stream == nullptr || stream->event_time < 0 || scan.columns[static_cast<size_t>(column)] != stream->event_time) return std::nullopt;
      return Progress{stream->id, 0};
    }
    case NodeKind::kFilter: return ProgressOf(*node.inputs[0], column);
    case NodeKind::kProject: {
      const expr::ColumnRef* reference = AsColumn(static_cast<const plan::Project&>(node).expressions[static_cast<size_t>(column)]);
      return reference != nullptr ? ProgressOf(*node.inputs[0], reference->index()) : std::nullopt;
    }
    case NodeKind::kUnnest: return column < node.inputs[0]->schema.size() ? ProgressOf(*node.inputs[0], column) : std::nullopt;
    case NodeKind::kWindow: {
      const auto& window = static_cast<const plan::Window&>(node);
      const int width = node.inputs[0]->schema.size();
      if (column < width) return ProgressOf(*node.inputs[0], column);
      std::optional<Progress> time = ProgressOf(*node.inputs[0], window.time_column);
      if (time && column == width) time->lag += window.size_us;  // the end lies after the row's time, the start a size before the end
      return time;
    }
    case NodeKind::kSessionAggregate: {
      const auto& sessions = static_cast<const plan::SessionAggregate&>(node);
      if (!sessions.closes || column != static_cast<int>(sessions.keys.size()) + 1) return std::nullopt;
      return Progress{sessions.close_stream, 0};
    }
    case NodeKind::kAggregate: {
      const auto& aggregate = static_cast<const plan::Aggregate&>(node);
      if (aggregate.close_key < 0 || column >= static_cast<int>(aggregate.keys.size())) return std::nullopt;
      if (column == aggregate.close_key) return Progress{aggregate.close_stream, 0};
      const expr::ColumnRef* key = AsColumn(aggregate.keys[static_cast<size_t>(column)]);
      const expr::ColumnRef* close = AsColumn(aggregate.keys[static_cast<size_t>(aggregate.close_key)]);
      if (key == nullptr || close == nullptr) return std::nullopt;
      const ColumnOrigin start = TraceColumn(*aggregate.inputs[0], key->index()), end = TraceColumn(*aggregate.inputs[0], close->index());
      if (!IsWindowStart(start) || start.node != end.node || start.node->kind != NodeKind::kWindow) return std::nullopt;
      return Progress{aggregate.close_stream, static_cast<const plan::Window&>(*start.node).size_us};
    }
    default: return std::nullopt;
  }
}

/// Joins learn when a row can meet no other any more: then its state is dropped.
NodePtr Binder::BoundJoins(const NodePtr& node) const {
  std::vector<NodePtr> inputs;
  for (const NodePtr& input : node->inputs) inputs.push_back(BoundJoins(input));
  const NodePtr result = plan::WithInputs(node, std::move(inputs));
  if (result->kind == NodeKind::kJoin) return BoundJoin(result);
  return result->kind == NodeKind::kAsOfJoin ? BoundAsOfJoin(result) : result;
}

/// Left rows go when no right row that comes can lie before them; right rows that later ones hide, when no such left row can come.
NodePtr Binder::BoundAsOfJoin(const NodePtr& node) const {
  using Match = plan::AsOfJoin::Match;
  const auto& join = static_cast<const plan::AsOfJoin&>(*node);
  const auto is_time = [](const ExprPtr& e) {
    return AsColumn(e) != nullptr && (e->type().id == TypeId::kTimestamp || e->type().id == TypeId::kTimestamptz);
  };
  const auto progress = [&](size_t side, const ExprPtr& time) -> std::optional<plan::AsOfJoin::Progress> {
    if (!node->inputs[side]->append_only || !is_time(time)) return std::nullopt;
    const auto found = ProgressOf(*node->inputs[side], AsColumn(time)->index());
    return found ? std::optional(plan::AsOfJoin::Progress{found->stream, found->lag}) : std::nullopt;
  };
  const auto right = progress(1, join.right_time);
  if (!right || !is_time(join.left_time) || (join.match != Match::kAtOrBefore && join.match != Match::kBefore)) return node;
  auto bounded = std::make_shared<plan::AsOfJoin>(join);
  bounded->right_progress = right;
  bounded->left_progress = progress(0, join.left_time);
  return bounded;
}

/// Inner joins of append-only inputs learn when a row can meet no other any more: then its state is dropped.
NodePtr Binder::BoundJoin(const NodePtr& result) const {
  const auto& join = static_cast<const plan::Join&>(*result);
  if (join.type != plan::JoinType::kInner || !result->append_only) return result;
  const int width = result->inputs[0]->schema.size();
  auto bounded = std::make_shared<plan::Join>(join);
  // `other` is at most `own` + most: a row of its side is of no use once no `other` of that size can come.
  const auto bound = [&](int own, int other, int64_t most) {
    const bool left = own < width;
    if (left == (other < width)) return;
    plan::Join::Expiry& expiry = left ? bounded->left_expiry : bounded->right_expiry;
    const auto progress = ProgressOf(*result->inputs[left ? 1 : 0], left ? other - width : other);
    if (!progress || (expiry.column >= 0 && expiry.delay_us <= most + progress->lag)) return;
    expiry = {left ? own : own - width, progress->stream, most + progress->lag};
  };
  const auto is_time = [](const ExprPtr& e) {
    return AsColumn(e) != nullptr && (e->type().id == TypeId::kTimestamp || e->type().id == TypeId::kTimestamptz);
  };
  for (size_t i = 0; i < join.left_keys.size(); ++i) {
    if (!is_time(join.left_keys[i]) || !is_time(join.right_keys[i])) continue;
    const int left = AsColumn(join.left_keys[i])->index(), right = AsColumn(join.right_keys[i])->index() + width;
    bound(left, right, 0);
    bound(right, left, 0);
  }
  std::vector<ExprPtr> conjuncts;
  if (join.residual) SplitAnd(join.residual, conjuncts);
  for (const ExprPtr& conjunct : conjuncts) {
    const std::string_view name = conjunct->call_name();
    if (conjunct->children().size() != 2 || (name != "<" && name != "<=" && name != ">" && name != ">=")) continue;
    auto [greater, greater_shift] = Shifted(conjunct->children()[name[0] == '>' ? 0 : 1]);
    auto [less, less_shift] = Shifted(conjunct->children()[name[0] == '>' ? 1 : 0]);
    if (!is_time(greater) || !is_time(less) || !greater->type().Same(less->type())) continue;
    const int64_t slack = greater->type().id == TypeId::kTimestamptz && HasDays(expr::FoldConstants(conjunct)) ? kLongDayMicros : 0;
    bound(AsColumn(greater)->index(), AsColumn(less)->index(), greater_shift - less_shift + slack);
  }
  return bounded->left_expiry.column >= 0 || bounded->right_expiry.column >= 0 ? NodePtr(bounded) : result;
}

}  // namespace kappa::sql
