// ASOF JOIN, and joins with a versioned relation FOR SYSTEM_TIME AS OF a time.
#include <algorithm>
#include <numeric>

#include "sql/bind/nodes.h"

namespace kappa::sql {
namespace {

using data::TypeId;
using plan::AsOfJoin;
using plan::JoinType;

bool IsMarker(const PgQuery__Node& node) {
  return node.node_case == PG_QUERY__NODE__NODE_FUNC_CALL && node.func_call->n_funcname == 1 && node.func_call->n_args == 0 &&
         TextOf(*node.func_call->funcname[0]) == "asof";
}

/// The conditions under ANDs. False when the marker stands elsewhere.
bool Conjuncts(const PgQuery__Node& node, std::vector<const PgQuery__Node*>& out) {
  if (IsMarker(node)) return true;
  if (node.node_case == PG_QUERY__NODE__NODE_BOOL_EXPR && node.bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) {
    for (size_t i = 0; i < node.bool_expr->n_args; ++i)
      if (!Conjuncts(*node.bool_expr->args[i], out)) return false;
    return true;
  }
  out.push_back(&node);
  return !IsAsOf(node);
}

/// 1: reads columns of the left side, 2: of the right side, 3: of both.
int SidesOf(const expr::Expression& expression, int width) {
  std::vector<bool> used;
  expr::CollectColumns(expression, used);
  int sides = 0;
  for (size_t i = 0; i < used.size(); ++i)
    if (used[i]) sides |= static_cast<int>(i) < width ? 1 : 2;
  return sides;
}

/// An expression over both sides that reads the right one alone, over that.
ExprPtr OnRight(const ExprPtr& expression, int width) {
  std::vector<bool> used;
  expr::CollectColumns(*expression, used);
  std::vector<int> mapping(used.size());
  for (size_t i = 0; i < mapping.size(); ++i) mapping[i] = std::max(0, static_cast<int>(i) - width);
  return expr::RemapColumns(expression, mapping);
}

void SplitAnd(const ExprPtr& predicate, std::vector<ExprPtr>& conjuncts) {
  if (predicate->kind() != expr::Expression::Kind::kAnd) return conjuncts.push_back(predicate);
  for (const ExprPtr& child : predicate->children()) SplitAnd(child, conjuncts);
}

bool IsTrue(const ExprPtr& expression) {
  return expression->kind() == expr::Expression::Kind::kLiteral && static_cast<const expr::Literal&>(*expression).value() == data::Value::Bool(true);
}

Result<ExprPtr> AllOf(std::vector<ExprPtr> conjuncts, int position) {
  if (conjuncts.size() == 1) return conjuncts[0];
  return expr::MakeAnd(std::move(conjuncts), position);
}

}  // namespace

bool IsAsOf(const PgQuery__Node& condition) {
  if (IsMarker(condition)) return true;
  if (condition.node_case != PG_QUERY__NODE__NODE_BOOL_EXPR) return false;
  const PgQuery__BoolExpr& all = *condition.bool_expr;
  return std::any_of(all.args, all.args + all.n_args, [](const PgQuery__Node* node) { return IsAsOf(*node); });
}

bool IsSystemTime(const PgQuery__Node& item) {
  return item.node_case == PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE && item.range_table_sample->n_method == 1 &&
         TextOf(*item.range_table_sample->method[0]) == "system_time";
}

/// What a join's condition says, by the side that it reads.
struct Binder::SidedConditions {
  std::vector<ExprPtr> left_keys, right_keys;  // equalities; the right ones are over the right side alone
  std::vector<ExprPtr> left, right;            // conditions on one side; over both
  std::vector<ExprPtr> others;
};

Result<Binder::SidedConditions> Binder::Sided(const ExprPtr& condition, int width, int position) const {
  SidedConditions sided;
  std::vector<ExprPtr> conjuncts;
  SplitAnd(condition, conjuncts);
  for (const ExprPtr& conjunct : conjuncts) {
    if (IsTrue(conjunct)) continue;
    const int sides = SidesOf(*conjunct, width);
    if (sides == 2) sided.right.push_back(conjunct);
    else if (sides < 2) sided.left.push_back(conjunct);
    else sided.others.push_back(conjunct);
  }
  for (auto it = sided.others.begin(); it != sided.others.end();) {
    const ExprPtr& conjunct = *it;
    bool key = conjunct->kind() == expr::Expression::Kind::kCall && conjunct->call_name() == "=" && conjunct->children().size() == 2;
    if (key) {
      ExprPtr a = conjunct->children()[0], b = conjunct->children()[1];
      if (SidesOf(*a, width) == 2) std::swap(a, b);
      key = SidesOf(*a, width) == 1 && SidesOf(*b, width) == 2;
      if (key && !a->type().Same(b->type())) {
        const data::Type types[] = {a->type(), b->type()};
        KAPPA_ASSIGN_OR_RETURN(const data::Type common, expr::CommonType(types, "JOIN/ON", position));
        KAPPA_ASSIGN_OR_RETURN(a, expr::MakeCast(a, common, expr::CastContext::kImplicit, position));
        KAPPA_ASSIGN_OR_RETURN(b, expr::MakeCast(b, common, expr::CastContext::kImplicit, position));
      }
      if (key) {
        sided.left_keys.push_back(std::move(a));
        sided.right_keys.push_back(OnRight(b, width));
      }
    }
    it = key ? sided.others.erase(it) : it + 1;
  }
  return sided;
}

/// Brings both to the type in which they are compared.
Status Binder::CheckTimeOrder(ExprPtr& left, ExprPtr& right, int position) const {
  KAPPA_ASSIGN_OR_RETURN(const ExprPtr compared, expr::MakeOperator(">=", {left, right}, position));
  left = compared->children()[0];
  right = compared->children()[1];
  if (left->type().Same(right->type())) return {};
  const data::Type types[] = {left->type(), right->type()};
  KAPPA_ASSIGN_OR_RETURN(const data::Type common, expr::CommonType(types, "JOIN/ON", position));
  KAPPA_ASSIGN_OR_RETURN(left, expr::MakeCast(left, common, expr::CastContext::kImplicit, position));
  KAPPA_ASSIGN_OR_RETURN(right, expr::MakeCast(right, common, expr::CastContext::kImplicit, position));
  return {};
}

Result<FromResult> Binder::AsOfItem(FromResult left, FromResult right, plan::JoinType type, const PgQuery__Node& quals, int position) {
  constexpr const char* kForm = "Write ON l.key = r.key AND l.ts >= r.ts.";
  if (type != JoinType::kInner && type != JoinType::kLeft)
    return Unsupported("this kind of ASOF JOIN", "ASOF JOIN and ASOF LEFT JOIN give each row of the left side its match.", position);
  std::vector<const PgQuery__Node*> nodes;
  if (!Conjuncts(quals, nodes))
    return Unsupported("OR in the condition of an ASOF JOIN", "Put it into parentheses, and it may read one side.", position);
  const int width = left.plan->schema.size();
  NodePtr left_plan = left.plan;
  NodePtr right_plan = right.plan;
  FromResult result = Combine(std::move(left), std::move(right), type);

  std::vector<ExprPtr> bound;
  for (const PgQuery__Node* node : nodes) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr condition, Condition(*node, {.scope = &result.scope, .clause = "JOIN/ON"}));
    bound.push_back(std::move(condition));
  }
  if (bound.empty()) return Error(sqlstate::kSyntaxError, "an ASOF JOIN needs a condition").Hint(kForm).At(position);
  KAPPA_ASSIGN_OR_RETURN(const ExprPtr condition, AllOf(std::move(bound), position));
  KAPPA_ASSIGN_OR_RETURN(SidedConditions sided, Sided(condition, width, position));

  if (sided.others.size() != 1)
    return Error(sqlstate::kFeatureNotSupported, sided.others.empty() ? "an ASOF JOIN needs a comparison of times"
                                                                      : "an ASOF JOIN takes one comparison of both sides that is no equality")
        .Hint(kForm)
        .At(position);
  std::string op(sided.others[0]->call_name());
  if (sided.others[0]->children().size() != 2 || (op != "<" && op != "<=" && op != ">" && op != ">="))
    return Error(sqlstate::kFeatureNotSupported, "this condition of an ASOF JOIN is not supported")
        .Detail("Beside equalities there must be one comparison of both sides with >=, >, <= or <.")
        .Hint(kForm)
        .At(position);
  ExprPtr left_time = sided.others[0]->children()[0], right_time = sided.others[0]->children()[1];
  if (SidesOf(*left_time, width) == 2) {
    std::swap(left_time, right_time);
    op[0] = op[0] == '<' ? '>' : '<';
  }
  if (SidesOf(*left_time, width) != 1 || SidesOf(*right_time, width) != 2)
    return Unsupported("this comparison in an ASOF JOIN", "Each side of it must read one side of the join: l.ts >= r.ts.", position);
  KAPPA_RETURN_IF_ERROR(CheckTimeOrder(left_time, right_time, position));
  right_time = OnRight(right_time, width);

  // Conditions on the right side choose among its rows; those on the left side say which rows look for one.
  if (!sided.right.empty()) {
    KAPPA_ASSIGN_OR_RETURN(const ExprPtr keep, AllOf(std::move(sided.right), position));
    right_plan = plan::MakeFilter(std::move(right_plan), OnRight(keep, width));
  }
  if (!sided.left.empty()) {
    KAPPA_ASSIGN_OR_RETURN(const ExprPtr looks, AllOf(std::move(sided.left), position));
    if (type == JoinType::kInner) left_plan = plan::MakeFilter(std::move(left_plan), looks);
    else { KAPPA_ASSIGN_OR_RETURN(left_time, expr::MakeCase(nullptr, {{looks, left_time}}, nullptr, position)); }
  }
  const AsOfJoin::Match match = op == ">="   ? AsOfJoin::Match::kAtOrBefore
                                : op == ">"  ? AsOfJoin::Match::kBefore
                                : op == "<=" ? AsOfJoin::Match::kAtOrAfter
                                             : AsOfJoin::Match::kAfter;
  result.plan = plan::MakeAsOfJoin(type == JoinType::kLeft, std::move(left_plan), std::move(right_plan), std::move(sided.left_keys),
                                   std::move(sided.right_keys), std::move(left_time), std::move(right_time), match);
  return result;
}

Result<FromResult> Binder::TemporalItem(FromResult left, const PgQuery__JoinExpr& join, plan::JoinType type) {
  const PgQuery__RangeTableSample& sample = *join.rarg->range_table_sample;
  const int position = At(sample.relation->range_var->location);
  if (type != JoinType::kInner && type != JoinType::kLeft)
    return Unsupported("this kind of join FOR SYSTEM_TIME AS OF", "JOIN and LEFT JOIN give each row of the left side its version.", position);
  if (sample.n_args != 1 || sample.repeatable != nullptr) return Error(sqlstate::kSyntaxError, "FOR SYSTEM_TIME AS OF takes one time").At(position);
  if (join.quals == nullptr || IsAsOf(*join.quals))
    return Unsupported("this join FOR SYSTEM_TIME AS OF", "Write JOIN versions FOR SYSTEM_TIME AS OF s.ts ON s.key = versions.key.", position);
  KAPPA_ASSIGN_OR_RETURN(ExprPtr time, Expr(*sample.args[0], {.scope = &left.scope, .clause = "FOR SYSTEM_TIME AS OF"}));
  if (time->type().id != TypeId::kTimestamp && time->type().id != TypeId::kTimestamptz)
    return Error(sqlstate::kDatatypeMismatch, "FOR SYSTEM_TIME AS OF needs a time, not type " + time->type().ToString())
        .At(At(LocationOf(*sample.args[0])));

  KAPPA_ASSIGN_OR_RETURN(FromResult right, Relation(*sample.relation->range_var));
  KAPPA_RETURN_IF_ERROR(CheckDuplicateTables(left.scope, right.scope, position));
  const auto* scan = right.plan->kind == plan::NodeKind::kScan ? static_cast<const plan::Scan*>(right.plan.get()) : nullptr;
  const catalog::Table* table =
      scan != nullptr && scan->relation_kind == plan::RelationKind::kTable ? context_.catalog->FindTable(scan->name) : nullptr;
  const catalog::Stream* stream = scan != nullptr && scan->relation_kind == plan::RelationKind::kStream && scan->late != plan::LateRows::kOnly
                                      ? context_.catalog->FindStream(scan->name)
                                      : nullptr;
  if ((stream == nullptr || stream->event_time < 0) && (table == nullptr || table->version_time < 0))
    return Error(sqlstate::kFeatureNotSupported, std::string("\"") + sample.relation->range_var->relname + "\" has no versions by time")
        .Detail(
            "FOR SYSTEM_TIME AS OF reads a stream with a watermark, or a table with the option version_time: each of its rows is a version from that "
            "time on.")
        .Hint("For other relations write ASOF JOIN .. ON s.key = r.key AND s.ts >= r.ts; a plain JOIN with a table joins its rows as they are now.")
        .At(position);

  const int width = left.plan->schema.size();
  const NodePtr left_plan = left.plan;
  NodePtr right_plan = right.plan;
  ExprPtr version, change, exists;  // over the right side: its time; of a table the change's number; over both: that it is no deletion
  if (table != nullptr) {
    // The table's changes, with what they are after its columns.
    data::Schema schema = table->schema;
    const data::Type type = schema.fields[static_cast<size_t>(table->version_time)].type;
    schema.fields.insert(schema.fields.end(), {{"_deleted", TypeId::kBool, false}, {"_valid_from", type, true}, {"_change", TypeId::kInt8, false}});
    std::vector<int> columns(static_cast<size_t>(schema.size()));
    std::iota(columns.begin(), columns.end(), 0);
    auto changes = plan::MakeScan(plan::RelationKind::kTable, table->id, table->name, schema, std::move(columns));
    changes->changelog = changes->append_only = true;
    right_plan = changes;
    const int first = table->schema.size();
    version = expr::MakeColumn(first + plan::kValidFromColumn, type, "_valid_from");
    change = expr::MakeColumn(first + plan::kChangeColumn, TypeId::kInt8, "_change");
    KAPPA_ASSIGN_OR_RETURN(exists, expr::MakeNot(expr::MakeColumn(width + first + plan::kDeletedColumn, TypeId::kBool, "_deleted"), position));
  } else {
    const data::Field& field = stream->schema.fields[static_cast<size_t>(stream->event_time)];
    version = expr::MakeColumn(stream->event_time, field.type, field.name);
  }
  KAPPA_RETURN_IF_ERROR(CheckTimeOrder(time, version, position));
  FromResult result = Combine(std::move(left), std::move(right), type);
  KAPPA_ASSIGN_OR_RETURN(const ExprPtr condition, Condition(*join.quals, {.scope = &result.scope, .clause = "JOIN/ON"}));
  KAPPA_ASSIGN_OR_RETURN(SidedConditions sided, Sided(condition, width, position));
  if (sided.left_keys.empty())
    return Unsupported("FOR SYSTEM_TIME AS OF without an equality of both sides",
                       "Write ON s.key = versions.key: the versions of a key follow each other.", position);
  std::vector<ExprPtr> rest = std::move(sided.others);
  if (table != nullptr) {
    // The versions of a row are those of its primary key; other equalities are conditions on the version.
    std::vector<ExprPtr> left_keys, right_keys;
    std::vector<bool> found(table->primary_key.size());
    for (size_t i = 0; i < sided.left_keys.size(); ++i) {
      const expr::ColumnRef* column =
          sided.right_keys[i]->kind() == expr::Expression::Kind::kColumn ? static_cast<const expr::ColumnRef*>(sided.right_keys[i].get()) : nullptr;
      const auto at = column == nullptr ? table->primary_key.end() : std::find(table->primary_key.begin(), table->primary_key.end(), column->index());
      if (at != table->primary_key.end() && !found[static_cast<size_t>(at - table->primary_key.begin())]) {
        found[static_cast<size_t>(at - table->primary_key.begin())] = true;
        left_keys.push_back(sided.left_keys[i]);
        right_keys.push_back(sided.right_keys[i]);
        continue;
      }
      std::vector<int> shift(static_cast<size_t>(right_plan->schema.size()));
      std::iota(shift.begin(), shift.end(), width);
      KAPPA_ASSIGN_OR_RETURN(ExprPtr equal, expr::MakeOperator("=", {sided.left_keys[i], expr::RemapColumns(sided.right_keys[i], shift)}, position));
      rest.push_back(std::move(equal));
    }
    if (std::find(found.begin(), found.end(), false) != found.end())
      return Unsupported("FOR SYSTEM_TIME AS OF on other columns than the primary key",
                         "Join on equality with each column of the table's primary key.", position);
    sided.left_keys = std::move(left_keys);
    sided.right_keys = std::move(right_keys);
    rest.push_back(std::move(exists));
  }
  result.plan = plan::MakeAsOfJoin(type == JoinType::kLeft, left_plan, right_plan, std::move(sided.left_keys), std::move(sided.right_keys),
                                   std::move(time), std::move(version), AsOfJoin::Match::kAtOrBefore, std::move(change));
  // Other conditions are about the version that was found: a version that fails is no match, and no older one takes its place.
  rest.insert(rest.end(), sided.left.begin(), sided.left.end());
  rest.insert(rest.end(), sided.right.begin(), sided.right.end());
  if (rest.empty()) return result;
  KAPPA_ASSIGN_OR_RETURN(const ExprPtr holds, AllOf(std::move(rest), position));
  if (type == JoinType::kInner) {
    result.plan = plan::MakeFilter(result.plan, holds);
    return result;
  }
  std::vector<ExprPtr> columns;
  for (int i = 0; i < result.plan->schema.size(); ++i) {
    const data::Field& field = result.plan->schema.fields[static_cast<size_t>(i)];
    ExprPtr column = expr::MakeColumn(i, field.type, field.name);
    if (i >= width) { KAPPA_ASSIGN_OR_RETURN(column, expr::MakeCase(nullptr, {{holds, std::move(column)}}, nullptr, position)); }
    columns.push_back(std::move(column));
  }
  result.plan = plan::MakeProject(result.plan, std::move(columns), plan::ColumnNames(result.plan->schema));
  return result;
}

}  // namespace kappa::sql
