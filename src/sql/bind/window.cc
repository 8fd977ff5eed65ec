// Window functions in FROM: TUMBLE, HOP, CUMULATE and SESSION.
#include "sql/bind/nodes.h"

namespace kappa::sql {
namespace {

using data::TypeId;

const char* Usage(std::string_view name) {
  if (name == "tumble") return "Write TUMBLE(stream, time_column, size [, offset]).";
  if (name == "hop") return "Write HOP(stream, time_column, slide, size [, offset]).";
  if (name == "cumulate") return "Write CUMULATE(stream, time_column, step, size [, offset]).";
  return "Write SESSION(stream [PARTITION BY key, ..], time_column, gap).";
}

Error WrongArguments(const std::string& name, int position) {
  return Error(sqlstate::kUndefinedFunction, "wrong number of arguments of " + name).Hint(Usage(name)).At(position);
}

}  // namespace

Result<ExprPtr> Binder::WindowTime(const std::string& name, const PgQuery__Node& time, const FromResult& input) {
  const int position = At(LocationOf(time));
  if (time.node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
    return Error(sqlstate::kWrongObjectType, "the time argument of " + name + " must be a time column").Hint(Usage(name)).At(position);
  KAPPA_ASSIGN_OR_RETURN(ExprPtr column,
                         Column(TextsOf(time.column_ref->fields, time.column_ref->n_fields), position, {.scope = &input.scope, .clause = "FROM"}));
  if (column->kind() != expr::Expression::Kind::kColumn)
    return Error(sqlstate::kWrongObjectType, "the time argument of " + name + " must be a column of its table").At(position);
  if (column->type().id != TypeId::kTimestamp && column->type().id != TypeId::kTimestamptz)
    return Error(sqlstate::kDatatypeMismatch,
                 "the time column of " + name + " must be of type timestamp or timestamp with time zone, not " + column->type().ToString())
        .At(position);
  return column;
}

/// PROCTIME(): the scan gets the hidden column of when its rows were processed; its index.
Result<int> Binder::ProcessingTime(const PgQuery__Node& time, FromResult& input) {
  const int position = At(LocationOf(time));
  const auto* stream = input.plan->kind == plan::NodeKind::kScan ? static_cast<const plan::Scan*>(input.plan.get()) : nullptr;
  if (time.func_call->n_args > 0) return Error(sqlstate::kUndefinedFunction, "PROCTIME takes no arguments").At(position);
  if (stream == nullptr || stream->relation_kind != plan::RelationKind::kStream || stream->late == plan::LateRows::kOnly)
    return Unsupported("PROCTIME() over anything but a stream",
                       "Write TUMBLE(stream, PROCTIME(), size): rows are processed where they enter, and a sub-select can go around the window.",
                       position);
  const catalog::Stream* entry = context_.catalog->FindStream(stream->name);
  KAPPA_CHECK(entry != nullptr);
  auto scan = std::make_shared<plan::Scan>(*stream);
  scan->columns.push_back(entry->schema.size() + plan::kProcessingTimeColumn);
  scan->schema.fields.push_back({"proctime", TypeId::kTimestamptz, false});
  input.plan = scan;
  return scan->schema.size() - 1;
}

/// Windows that lie on a grid: sizes, and the offset of the grid, are the arguments from the third on.
Result<NodePtr> Binder::AlignedWindow(const std::string& name, const PgQuery__FuncCall& call, NodePtr input, int time_column) {
  const bool tumble = name == "tumble", cumulate = name == "cumulate";
  const size_t least = tumble ? 3 : 4;
  static constexpr const char* kTumble[] = {"the window size", "the window offset"};
  static constexpr const char* kHop[] = {"the slide", "the window size", "the window offset"};
  static constexpr const char* kCumulate[] = {"the step", "the window size", "the window offset"};
  std::vector<int64_t> lengths;
  for (size_t i = 2; i < call.n_args; ++i) {
    const int at = At(LocationOf(*call.args[i]));
    const std::string what = (tumble ? kTumble : cumulate ? kCumulate : kHop)[i - 2];
    KAPPA_ASSIGN_OR_RETURN(const int64_t length, ConstantInterval(*call.args[i], what, at));
    const bool offset = i == least;
    if (!offset && length <= 0) return Error(sqlstate::kInvalidParameterValue, what + " must be positive").At(at);
    lengths.push_back(length);
  }
  const int64_t slide = lengths[0], size = tumble ? lengths[0] : lengths[1];
  const int64_t offset = call.n_args > least ? lengths.back() : 0;
  constexpr int64_t kWindowsPerRowMax = 10'000;
  if (size % slide != 0)
    return Error(sqlstate::kInvalidParameterValue, std::string("the window size must be a multiple of ") + (cumulate ? "the step" : "the slide"))
        .At(At(LocationOf(*call.args[3])));
  if (size / slide > kWindowsPerRowMax)
    return Error(sqlstate::kProgramLimitExceeded, "a row would belong to " + std::to_string(size / slide) + " windows")
        .Hint("At most " + std::to_string(kWindowsPerRowMax) + " are allowed.")
        .At(At(LocationOf(*call.args[3])));
  return plan::MakeWindow(std::move(input), time_column, slide, size, offset, cumulate ? plan::Window::Shape::kCumulate : plan::Window::Shape::kHop);
}

Result<FromResult> Binder::WindowFunction(const std::string& name, const PgQuery__FuncCall& call, int position) {
  const bool session = name == "session";
  const size_t least = name == "tumble" || session ? 3 : 4;
  // PARTITION BY k, .., ts, gap arrives as partition_by => k, .., ts, gap; SESSION(t, ts, gap, k, ..) means the same.
  const bool partitioned = session && call.n_args > 1 && call.args[1]->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR &&
                           std::string_view(call.args[1]->named_arg_expr->name) == "partition_by";
  if (call.n_args < least + (partitioned ? 1 : 0) || (!session && call.n_args > least + 1)) return WrongArguments(name, position);
  for (size_t i = partitioned ? 2 : 0; i < call.n_args; ++i)
    if (call.args[i]->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR)
      return Unsupported("a named argument of " + name, Usage(name), At(LocationOf(*call.args[i])));
  if (window_position_ == 0) window_position_ = position;

  KAPPA_ASSIGN_OR_RETURN(FromResult input, WindowInput(name, *call.args[0]));
  const size_t time_at = partitioned ? call.n_args - 2 : 1;
  const PgQuery__Node& time_node = *call.args[time_at];
  int time_column = 0;
  if (time_node.node_case == PG_QUERY__NODE__NODE_FUNC_CALL &&
      TextOf(*time_node.func_call->funcname[time_node.func_call->n_funcname - 1]) == "proctime") {
    KAPPA_ASSIGN_OR_RETURN(time_column, ProcessingTime(time_node, input));
  } else {
    KAPPA_ASSIGN_OR_RETURN(const ExprPtr time, WindowTime(name, time_node, input));
    time_column = static_cast<const expr::ColumnRef&>(*time).index();
  }
  NodePtr plan;
  if (session) {
    const PgQuery__Node& gap_node = *call.args[time_at + 1];
    const int gap_position = At(LocationOf(gap_node));
    KAPPA_ASSIGN_OR_RETURN(const int64_t gap, ConstantInterval(gap_node, "the session gap", gap_position));
    if (gap <= 0) return Error(sqlstate::kInvalidParameterValue, "the session gap must be positive").At(gap_position);
    std::vector<ExprPtr> keys;
    for (size_t i = partitioned ? 1 : 3; i < (partitioned ? time_at : call.n_args); ++i) {
      const PgQuery__Node& node = partitioned && i == 1 ? *call.args[i]->named_arg_expr->arg : *call.args[i];
      KAPPA_ASSIGN_OR_RETURN(ExprPtr key, Expr(node, {.scope = &input.scope, .clause = "PARTITION BY"}));
      std::vector<bool> used;
      expr::CollectColumns(*key, used);
      if (used.empty())
        return Error(sqlstate::kInvalidParameterValue, "a key of SESSION must name a column of its table").Hint(Usage(name)).At(At(LocationOf(node)));
      keys.push_back(std::move(key));
    }
    plan = plan::MakeSession(input.plan, std::move(keys), time_column, gap, /*closes=*/false, 0);
  } else {
    KAPPA_ASSIGN_OR_RETURN(plan, AlignedWindow(name, call, input.plan, time_column));
  }
  FromResult result{plan, std::move(input.scope)};
  const int width = plan->schema.size();
  for (int i = width - 2; i < width; ++i) {
    const data::Field& field = plan->schema.fields[static_cast<size_t>(i)];
    const ExprPtr bound = expr::MakeColumn(i, field.type, field.name);
    result.scope.tables[0].columns.push_back({field.name, bound});
    result.scope.visible.push_back({field.name, bound, 0});
  }
  return result;
}

}  // namespace kappa::sql
