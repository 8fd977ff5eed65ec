// Window functions: calls with OVER, WINDOW clauses, frames; DISTINCT ON.
#include <algorithm>

#include "sql/bind/nodes.h"
#include "sql/parse/tokens.h"

namespace kappa::sql {
namespace {

using data::TypeId;
using plan::WindowCall;
using plan::WindowFrame;
using Kind = WindowCall::Kind;

struct WindowName {
  std::string_view name;
  Kind kind;
  size_t arguments_min, arguments_max;
};
constexpr WindowName kNames[] = {
    {"row_number", Kind::kRowNumber, 0, 0},
    {"rank", Kind::kRank, 0, 0},
    {"dense_rank", Kind::kDenseRank, 0, 0},
    {"percent_rank", Kind::kPercentRank, 0, 0},
    {"cume_dist", Kind::kCumeDist, 0, 0},
    {"ntile", Kind::kNtile, 1, 1},
    {"lag", Kind::kLag, 1, 3},
    {"lead", Kind::kLead, 1, 3},
    {"first_value", Kind::kFirstValue, 1, 1},
    {"last_value", Kind::kLastValue, 1, 1},
    {"nth_value", Kind::kNthValue, 2, 2},
};

const WindowName* FindName(std::string_view name) {
  const auto* found = std::find_if(std::begin(kNames), std::end(kNames), [&](const WindowName& known) { return known.name == name; });
  return found == std::end(kNames) ? nullptr : found;
}

// PostgreSQL's parsenodes.h.
enum FrameOption : int {
  kNonDefault = 0x1,
  kRange = 0x2,
  kRows = 0x4,
  kGroups = 0x8,
  kStartUnboundedPreceding = 0x20,
  kEndUnboundedPreceding = 0x40,
  kStartUnboundedFollowing = 0x80,
  kEndUnboundedFollowing = 0x100,
  kStartCurrentRow = 0x200,
  kEndCurrentRow = 0x400,
  kStartOffsetPreceding = 0x800,
  kEndOffsetPreceding = 0x1000,
  kStartOffsetFollowing = 0x2000,
  kEndOffsetFollowing = 0x4000,
  kExcludeCurrentRow = 0x8000,
  kExcludeGroup = 0x10000,
  kExcludeTies = 0x20000,
};

bool SameKeys(const BoundWindow& a, const BoundWindow& b) {
  if (a.partition.size() != b.partition.size() || a.order.size() != b.order.size()) return false;
  for (size_t i = 0; i < a.partition.size(); ++i)
    if (!plan::SameExpression(*a.partition[i], *b.partition[i])) return false;
  for (size_t i = 0; i < a.order.size(); ++i)
    if (!plan::SameExpression(*a.order[i].expression, *b.order[i].expression) || a.order[i].descending != b.order[i].descending ||
        a.order[i].nulls_first != b.order[i].nulls_first)
      return false;
  return true;
}

/// What an offset of RANGE may be for an order key of this type; kUnknown when there is no such frame.
data::Type RangeOffsetType(const data::Type& key) {
  switch (key.id) {
    case TypeId::kInt2:
    case TypeId::kInt4:
    case TypeId::kInt8: return TypeId::kInt8;
    case TypeId::kFloat4:
    case TypeId::kFloat8: return TypeId::kFloat8;
    case TypeId::kNumeric: return TypeId::kNumeric;
    case TypeId::kDate:
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz:
    case TypeId::kInterval: return TypeId::kInterval;
    default: return TypeId::kUnknown;
  }
}

}  // namespace

bool IsWindowFunction(std::string_view name) { return FindName(name) != nullptr; }

/// PARTITION BY, ORDER BY and frame of a definition, with what it takes from the window that it names.
Result<BoundWindow> Binder::WindowOf(const PgQuery__WindowDef& definition, const ExprContext& context) {
  const int position = At(definition.location);
  const PgQuery__SelectStmt& select = *context.windows->select;
  const auto find = [&](const std::string& name) -> const PgQuery__WindowDef* {
    for (size_t i = 0; i < select.n_window_clause; ++i)
      if (select.window_clause[i]->window_def->name == name) return select.window_clause[i]->window_def;
    return nullptr;
  };
  const auto missing = [&](const std::string& name) {
    return Error(sqlstate::kUndefinedObject, "window \"" + name + "\" does not exist").At(position);
  };
  const bool defines = std::any_of(select.window_clause, select.window_clause + select.n_window_clause,
                                   [&](const PgQuery__Node* node) { return node->window_def == &definition; });
  if (!defines && definition.name[0] != '\0') {  // OVER name
    const PgQuery__WindowDef* named = find(definition.name);
    if (named == nullptr) return missing(definition.name);
    return WindowOf(*named, context);
  }
  BoundWindow window;
  window.frame_options = definition.frame_options;
  window.start_offset = definition.start_offset;
  window.end_offset = definition.end_offset;
  ExprContext inside = context;
  inside.sets = nullptr;
  inside.in_window = true;
  for (size_t i = 0; i < definition.n_partition_clause; ++i) {
    inside.clause = "PARTITION BY";
    KAPPA_ASSIGN_OR_RETURN(ExprPtr key, Expr(*definition.partition_clause[i], inside));
    if (key->type().id == TypeId::kUnknown) continue;  // a constant
    window.partition.push_back(std::move(key));
  }
  for (size_t i = 0; i < definition.n_order_clause; ++i) {
    const PgQuery__SortBy& sort = *definition.order_clause[i]->sort_by;
    inside.clause = "ORDER BY";
    plan::SortKey key;
    KAPPA_ASSIGN_OR_RETURN(key.descending, IsDescending(sort));
    key.nulls_first = sort.sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT
                          ? key.descending
                          : sort.sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST;
    KAPPA_ASSIGN_OR_RETURN(key.expression, Expr(*sort.node, inside));
    if (key.expression->type().id == TypeId::kUnknown) continue;
    window.order.push_back(std::move(key));
  }
  if (definition.refname[0] == '\0') return window;
  const PgQuery__WindowDef* base = find(definition.refname);
  if (base == nullptr || base == &definition) return missing(definition.refname);
  if (++depth_ > kDepthMax) return Error(sqlstate::kStatementTooComplex, "window definitions are nested too deeply").At(position);
  KAPPA_ASSIGN_OR_RETURN(BoundWindow inherited, WindowOf(*base, context));
  --depth_;
  const auto refuse = [&](const std::string& what) { return Error(sqlstate::kWindowingError, what).At(position); };
  if (definition.n_partition_clause > 0) return refuse(std::string("cannot override PARTITION BY clause of window \"") + definition.refname + "\"");
  if (definition.n_order_clause > 0 && !inherited.order.empty())
    return refuse(std::string("cannot override ORDER BY clause of window \"") + definition.refname + "\"");
  if ((inherited.frame_options & kNonDefault) != 0)
    return refuse(std::string("cannot copy window \"") + definition.refname + "\" because it has a frame clause");
  window.partition = std::move(inherited.partition);
  if (definition.n_order_clause == 0) window.order = std::move(inherited.order);
  return window;
}

Result<WindowFrame> Binder::FrameOf(const BoundWindow& window, int position) {
  using Bound = WindowFrame::Bound;
  WindowFrame frame;
  const int options = window.frame_options;
  frame.mode = (options & kRows) != 0 ? WindowFrame::Mode::kRows : (options & kGroups) != 0 ? WindowFrame::Mode::kGroups : WindowFrame::Mode::kRange;
  frame.start = (options & kStartOffsetPreceding) != 0   ? Bound::kPreceding
                : (options & kStartOffsetFollowing) != 0 ? Bound::kFollowing
                : (options & kStartCurrentRow) != 0      ? Bound::kCurrentRow
                                                         : Bound::kUnboundedPreceding;
  frame.end = (options & kEndOffsetPreceding) != 0      ? Bound::kPreceding
              : (options & kEndOffsetFollowing) != 0    ? Bound::kFollowing
              : (options & kEndUnboundedFollowing) != 0 ? Bound::kUnboundedFollowing
                                                        : Bound::kCurrentRow;
  if ((options & kExcludeCurrentRow) != 0) frame.exclude = WindowFrame::Exclude::kCurrentRow;
  if ((options & kExcludeGroup) != 0) frame.exclude = WindowFrame::Exclude::kGroup;
  if ((options & kExcludeTies) != 0) frame.exclude = WindowFrame::Exclude::kTies;
  const bool range = frame.mode == WindowFrame::Mode::kRange;
  if (frame.mode == WindowFrame::Mode::kGroups && window.order.empty())
    return Error(sqlstate::kWindowingError, "GROUPS mode requires an ORDER BY clause").At(position);
  const auto offset = [&](const PgQuery__Node* node, bool start) -> Result<ExprPtr> {
    const int at = At(LocationOf(*node));
    const char* clause = range ? "RANGE" : frame.mode == WindowFrame::Mode::kRows ? "ROWS" : "GROUPS";
    const Scope empty;
    if (node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF)
      return Error(sqlstate::kInvalidColumnReference, std::string("argument of ") + clause + " must not contain variables").At(at);
    KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Expr(*node, {.scope = &empty, .clause = clause}));
    data::Type wanted = TypeId::kInt8;
    if (range) {
      if (window.order.size() != 1)
        return Error(sqlstate::kWindowingError, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column").At(position);
      const data::Type key = window.order[0].expression->type();
      wanted = RangeOffsetType(key);
      if (wanted.id == TypeId::kUnknown)
        return Error(sqlstate::kFeatureNotSupported,
                     "RANGE with offset PRECEDING/FOLLOWING is not supported for column type " + key.WithoutModifier().ToString())
            .At(at);
      const bool fits = value->type().id == TypeId::kUnknown || value->type().id == wanted.id || value->type().id == TypeId::kInt2 ||
                        value->type().id == TypeId::kInt4 ||
                        (wanted.id != TypeId::kInt8 && wanted.id != TypeId::kInterval && data::IsNumber(value->type().id));
      if (!fits || (wanted.id == TypeId::kInterval && data::IsNumber(value->type().id)))
        return Error(sqlstate::kFeatureNotSupported, "RANGE with offset PRECEDING/FOLLOWING is not supported for column type " +
                                                         key.WithoutModifier().ToString() + " and offset type " +
                                                         value->type().WithoutModifier().ToString())
            .Hint("Cast the offset value to an appropriate type.")
            .At(at);
    } else if (value->type().id != TypeId::kUnknown && !data::IsNumber(value->type().id)) {
      return Error(sqlstate::kDatatypeMismatch, std::string("argument of ") + clause + " must be type bigint, not type " + value->type().ToString())
          .At(at);
    }
    KAPPA_ASSIGN_OR_RETURN(value, expr::MakeCast(std::move(value), wanted, expr::CastContext::kAssignment, at));
    value = expr::FoldConstants(value);
    if (!value->is_row_constant())
      return Error(sqlstate::kInvalidColumnReference, std::string("argument of ") + clause + " must not contain variables").At(at);
    if (value->kind() == expr::Expression::Kind::kLiteral) {
      const data::Value& literal = static_cast<const expr::Literal&>(*value).value();
      const std::string which = start ? "frame starting offset" : "frame ending offset";
      if (literal.null) return Error("22004", which + " must not be null").At(at);
      if (!range && literal.As<int64_t>() < 0) return Error("22013", which + " must not be negative").At(at);
    }
    return value;
  };
  if (frame.start == Bound::kPreceding || frame.start == Bound::kFollowing) {
    KAPPA_ASSIGN_OR_RETURN(frame.start_offset, offset(window.start_offset, true));
  }
  if (frame.end == Bound::kPreceding || frame.end == Bound::kFollowing) {
    KAPPA_ASSIGN_OR_RETURN(frame.end_offset, offset(window.end_offset, false));
  }
  return frame;
}

Result<ExprPtr> Binder::OverCall(const std::string& name, const PgQuery__FuncCall& call, const ExprContext& context) {
  const int position = At(call.location);
  if (context.in_window) return Error(sqlstate::kWindowingError, "window function calls cannot be nested").At(position);
  if (context.in_aggregate) return Error(sqlstate::kGroupingError, "aggregate function calls cannot contain window function calls").At(position);
  if (context.windows == nullptr)
    return Error(sqlstate::kWindowingError, std::string("window functions are not allowed in ") + context.clause).At(position);
  const WindowName* known = FindName(name);
  if (known == nullptr && !expr::IsAggregate(name))
    return Error(sqlstate::kWrongObjectType, "OVER specified, but " + name + " is not a window function nor an aggregate function").At(position);
  if (call.agg_within_group || (known == nullptr && expr::IsOrderedSetAggregate(name)))
    return Error(sqlstate::kFeatureNotSupported, "OVER is not supported for ordered-set aggregate " + name).Hint("Use GROUP BY.").At(position);
  if (name == "jsonb_object_agg" || name == "json_object_agg")
    return Unsupported("aggregate function " + name + " with OVER", "Use GROUP BY, or jsonb_agg with OVER.", position);
  if (call.agg_distinct) return Error(sqlstate::kFeatureNotSupported, "DISTINCT is not implemented for window functions").At(position);
  if (call.n_agg_order > 0) return Error(sqlstate::kFeatureNotSupported, "aggregate ORDER BY is not implemented for window functions").At(position);
  if (known != nullptr && call.agg_filter != nullptr)
    return Error(sqlstate::kFeatureNotSupported, "FILTER is not implemented for non-aggregate window functions").At(position);

  ExprContext inside = context;
  inside.sets = nullptr;
  inside.in_window = true;
  KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> arguments, Exprs(call.args, call.n_args, inside));
  KAPPA_ASSIGN_OR_RETURN(BoundWindow window, WindowOf(*call.over, context));
  window.position = position;
  window.call.name = name;
  KAPPA_ASSIGN_OR_RETURN(window.call.frame, FrameOf(window, position));
  if (known == nullptr) {
    window.call.kind = Kind::kAggregate;
    KAPPA_ASSIGN_OR_RETURN(window.call.aggregate, expr::ResolveAggregate(name, std::move(arguments), call.agg_star != 0, false, position));
    if (call.agg_filter != nullptr) {
      inside.clause = "FILTER";
      KAPPA_ASSIGN_OR_RETURN(window.call.aggregate.filter, Condition(*call.agg_filter, inside));
    }
    window.call.type = window.call.aggregate.type;
  } else {
    KAPPA_RETURN_IF_ERROR(
        ResolveWindowFunction(std::move(arguments), known->arguments_min, known->arguments_max, known->kind, window.call, position));
  }
  std::vector<BoundWindow>& windows = context.windows->calls;
  const data::Type type = window.call.type;
  windows.push_back(std::move(window));
  return expr::MakeColumn(kWindowColumn + static_cast<int>(windows.size()) - 1, type, name);
}

Status Binder::ResolveWindowFunction(std::vector<ExprPtr> arguments, size_t least, size_t most, Kind kind, WindowCall& call, int position) {
  call.kind = kind;
  const auto undefined = [&] {
    std::string shape;
    for (const ExprPtr& argument : arguments) shape += (shape.empty() ? "" : ", ") + argument->type().WithoutModifier().ToString();
    return Error(sqlstate::kUndefinedFunction, "function " + call.name + "(" + shape + ") does not exist")
        .Hint("No function matches the given name and argument types. You might need to add explicit type casts.")
        .At(position);
  };
  if (arguments.size() < least || arguments.size() > most) return undefined();
  const auto integer = [&](size_t i) -> Status {
    const TypeId id = arguments[i]->type().id;
    if (id != TypeId::kUnknown && id != TypeId::kInt2 && id != TypeId::kInt4) return undefined();
    KAPPA_ASSIGN_OR_RETURN(arguments[i], expr::MakeCast(std::move(arguments[i]), TypeId::kInt4, expr::CastContext::kImplicit, position));
    return {};
  };
  switch (kind) {
    case Kind::kRowNumber:
    case Kind::kRank:
    case Kind::kDenseRank: call.type = TypeId::kInt8; break;
    case Kind::kPercentRank:
    case Kind::kCumeDist: call.type = TypeId::kFloat8; break;
    case Kind::kNtile:
      KAPPA_RETURN_IF_ERROR(integer(0));
      call.type = TypeId::kInt4;
      break;
    case Kind::kAggregate: KAPPA_CHECK(false);
    default: {
      if (arguments.size() > 1) KAPPA_RETURN_IF_ERROR(integer(1));
      data::Type type = arguments[0]->type();
      if (arguments.size() == 3) {
        const data::Type types[] = {type, arguments[2]->type()};
        KAPPA_ASSIGN_OR_RETURN(type, expr::CommonType(types, call.name, position));
      }
      if (type.id == TypeId::kUnknown) type = TypeId::kText;
      type = type.WithoutModifier();
      for (const size_t i : {size_t{0}, size_t{2}}) {
        if (i >= arguments.size()) continue;
        KAPPA_ASSIGN_OR_RETURN(arguments[i], expr::MakeCast(std::move(arguments[i]), type, expr::CastContext::kImplicit, position));
      }
      call.type = type;
    }
  }
  call.arguments = std::move(arguments);
  return {};
}

/// The plan with a node for each PARTITION BY and ORDER BY; `columns[i]` becomes the output column of call i.
Result<NodePtr> Binder::AddWindows(NodePtr plan, std::vector<BoundWindow>& windows, std::vector<int>& columns) {
  struct Group {
    std::vector<size_t> members;
    bool ranks = false;  // one ranking function: the last node, so that a condition on it makes it a top-N
  };
  std::vector<Group> groups;
  for (size_t i = 0; i < windows.size(); ++i) {
    const auto found =
        std::find_if(groups.begin(), groups.end(), [&](const Group& group) { return SameKeys(windows[group.members[0]], windows[i]); });
    if (found == groups.end()) groups.push_back({{i}, false});
    else found->members.push_back(i);
  }
  for (Group& group : groups) group.ranks = group.members.size() == 1 && windows[group.members[0]].call.kind <= Kind::kDenseRank;
  std::stable_sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.ranks < b.ranks; });
  columns.resize(windows.size());
  for (const Group& group : groups) {
    std::vector<WindowCall> calls;
    std::vector<std::string> names;
    for (const size_t i : group.members) {
      columns[i] = plan->schema.size() + static_cast<int>(calls.size());
      calls.push_back(windows[i].call);
      names.push_back(windows[i].call.name);
    }
    const BoundWindow& first = windows[group.members[0]];
    plan = plan::MakeOver(std::move(plan), first.partition, first.order, std::move(calls), std::move(names));
  }
  return plan;
}

/// DISTINCT ON: which keys, as expressions over `targets` or of the query; they must be the first of ORDER BY.
Status Binder::CheckDistinctOn(const std::vector<Order>& distinct, const std::vector<Order>& orders) const {
  const auto same = [](const Order& a, const Order& b) {
    if (a.output >= 0 || b.output >= 0) return a.output == b.output;
    return plan::SameExpression(*a.expression, *b.expression);
  };
  bool skipped = false;
  for (const Order& order : orders) {
    const bool listed = std::any_of(distinct.begin(), distinct.end(), [&](const Order& key) { return same(key, order); });
    if (listed && skipped)
      return Error(sqlstate::kInvalidColumnReference, "SELECT DISTINCT ON expressions must match initial ORDER BY expressions").At(order.position);
    skipped = skipped || !listed;
  }
  for (const Order& key : distinct) {
    const bool ordered = std::any_of(orders.begin(), orders.end(), [&](const Order& order) { return same(key, order); });
    if (!ordered && skipped)
      return Error(sqlstate::kInvalidColumnReference, "SELECT DISTINCT ON expressions must match initial ORDER BY expressions").At(key.position);
  }
  return {};
}

/// LIMIT of a view, and WITH TIES: a top-N over all rows, in the order of the Sort node that the plan ends in.
Result<NodePtr> Binder::LimitByRank(const NodePtr& plan, const ExprPtr& limit, const ExprPtr& offset, bool ties, int position) {
  const auto number = [&](const ExprPtr& expression, int64_t otherwise) -> Result<int64_t> {
    if (!expression) return otherwise;
    if (expression->kind() != expr::Expression::Kind::kLiteral)
      return Unsupported(ties ? "a parameter in FETCH .. WITH TIES" : "a LIMIT or OFFSET that is not a constant in a view", "Write a number.",
                         position);
    const data::Value& value = static_cast<const expr::Literal&>(*expression).value();
    return value.null ? otherwise : value.As<int64_t>();
  };
  KAPPA_ASSIGN_OR_RETURN(const int64_t count, number(limit, INT64_MAX));
  KAPPA_ASSIGN_OR_RETURN(const int64_t skipped, number(offset, 0));
  if (count == INT64_MAX && skipped == 0) return plan;
  const bool sorted = plan->kind == plan::NodeKind::kSort;
  std::vector<plan::SortKey> keys = sorted ? static_cast<const plan::Sort&>(*plan).keys : std::vector<plan::SortKey>();
  const int64_t from = skipped == INT64_MAX ? INT64_MAX : skipped + 1;
  const int64_t to = count == INT64_MAX || count > INT64_MAX - 1 - skipped ? INT64_MAX : skipped + count;
  NodePtr top =
      plan::MakeTopN(sorted ? plan->inputs[0] : plan, {}, keys, ties ? plan::TopN::Rank::kTies : plan::TopN::Rank::kRowNumber, from, to, "");
  return for_view_ || keys.empty() ? top : plan::MakeSort(std::move(top), std::move(keys));
}

}  // namespace kappa::sql
