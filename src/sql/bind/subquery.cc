// Queries inside expressions, and the outer columns that they refer to.
#include "data/enum_type.h"
#include "plan/subquery_expression.h"

#include "sql/bind/nodes.h"
#include "sql/optimize/optimize.h"

namespace kappa::sql {

using data::TypeId;
using plan::Subquery;

Result<std::optional<ExprPtr>> Binder::OuterColumn(const std::vector<std::string>& parts, int position) {
  // The nearest query around wins. An environment further out already gives a parameter that this one inherits.
  for (Environment* environment = environment_; environment != nullptr; environment = environment->parent) {
    KAPPA_ASSIGN_OR_RETURN(const std::optional<ExprPtr> found, environment->scope->Find(parts, position));
    if (!found) continue;
    size_t index = 0;
    while (index < environment->outer.size() && !plan::SameExpression(*environment->outer[index], **found)) ++index;
    if (index == environment->outer.size()) {
      if (index == kOuterColumnsMax)
        return Error(sqlstate::kProgramLimitExceeded, "a sub-query refers to more than " + std::to_string(kOuterColumnsMax) + " outer columns")
            .At(position);
      environment->outer.push_back(Placed(*found, position));
    }
    return std::optional<ExprPtr>(std::make_shared<expr::Parameter>(environment->first_parameter + static_cast<int>(index), (*found)->type()));
  }
  return std::optional<ExprPtr>();
}

Result<ExprPtr> Binder::SubqueryExpression(const PgQuery__SubLink& link, const ExprContext& context) {
  const int position = At(link.location);
  if (subquery_position_ == 0) subquery_position_ = position;
  const bool row = link.testexpr != nullptr && link.testexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR;
  Environment environment{environment_, context.scope, 0, {}};
  environment.first_parameter = environment_ != nullptr ? environment_->first_parameter + kOuterColumnsMax : parameters_max_;
  environment_ = &environment;
  ordered_ = link.sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK;
  Result<NodePtr> bound = Select(*link.subselect->select_stmt, /*keep_unknown=*/false);
  environment_ = environment.parent;
  if (!bound.ok()) return bound.error();
  NodePtr plan = std::move(*bound);
  if (link.sub_link_type != PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK && plan->schema.size() != 1 && !row)
    return Error(sqlstate::kSyntaxError, plan->schema.size() == 0   ? "subquery must return a column"
                                         : link.testexpr != nullptr ? "subquery has too many columns"
                                                                    : "subquery must return only one column")
        .At(position);

  const auto make = [&](Subquery::Kind kind, NodePtr inner, ExprPtr needle, data::Type type) {
    InferParameters(*inner);
    Subquery subquery{kind, std::move(inner), environment.outer, environment.first_parameter};
    return plan::MakeSubquery(std::move(subquery), std::move(needle), type);
  };
  switch (link.sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
      return make(Subquery::Kind::kExists, plan::MakeLimit(std::move(plan), expr::MakeLiteral(data::Value::Int8(1)), nullptr), nullptr,
                  TypeId::kBool);
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK: {
      const data::Type type = plan->schema.fields[0].type;
      return make(Subquery::Kind::kScalar, std::move(plan), nullptr, type);
    }
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK: {
      const data::Type type = data::ArrayType(plan->schema.fields[0].type);
      return make(Subquery::Kind::kArray, std::move(plan), nullptr, type);
    }
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK: {
      const bool all = link.sub_link_type == PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK;
      const std::string name = link.n_oper_name == 0 ? "=" : TextOf(*link.oper_name[link.n_oper_name - 1]);
      if (row) {
        const PgQuery__RowExpr& needles = *link.testexpr->row_expr;
        if (static_cast<int>(needles.n_args) != plan->schema.size())
          return Error(sqlstate::kSyntaxError,
                       static_cast<int>(needles.n_args) > plan->schema.size() ? "subquery has too few columns" : "subquery has too many columns")
              .At(position);
        KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> values, Exprs(needles.args, needles.n_args, context));
        KAPPA_ASSIGN_OR_RETURN(plan, Quantified(std::move(plan), name, all, std::move(values), environment, position));
        return make(Subquery::Kind::kScalar, std::move(plan), nullptr, TypeId::kBool);
      }
      KAPPA_ASSIGN_OR_RETURN(ExprPtr needle, Expr(*link.testexpr, context));
      const data::Type column = plan->schema.fields[0].type;
      const bool member = (name == "=" && !all) || (name == "<>" && all);
      if (!member && (for_view_ || column.is_enum() || column.is_array())) {
        KAPPA_ASSIGN_OR_RETURN(plan, Quantified(std::move(plan), name, all, {std::move(needle)}, environment, position));
        return make(Subquery::Kind::kScalar, std::move(plan), nullptr, TypeId::kBool);
      }
      if (!member) {
        const ExprPtr array = make(Subquery::Kind::kArray, std::move(plan), nullptr, data::ArrayType(column));
        return expr::MakeArrayComparison(name, std::move(needle), array, all, position);
      }
      // The operator decides which types can be compared, then both sides take their common type.
      KAPPA_ASSIGN_OR_RETURN(const ExprPtr check, expr::MakeOperator("=", {needle, expr::MakeColumn(0, column, "")}, position));
      const data::Type types[] = {needle->type(), column};
      KAPPA_ASSIGN_OR_RETURN(data::Type type, expr::CommonType(types, "IN", position));
      type = type.WithoutModifier();
      KAPPA_ASSIGN_OR_RETURN(needle, expr::MakeCast(std::move(needle), type, expr::CastContext::kImplicit, position));
      KAPPA_ASSIGN_OR_RETURN(plan, CoerceColumn(plan, 0, type, expr::CastContext::kImplicit, position));
      ExprPtr in = make(Subquery::Kind::kIn, std::move(plan), std::move(needle), TypeId::kBool);
      if (!all) return in;
      return expr::MakeNot(std::move(in), position);
    }
    default: return Unsupported("this kind of sub-query", "", position);
  }
}

/// ANY is true when a comparison is, else NULL when one is, else false; ALL the other way round. A comparison of rows is an AND.
Result<NodePtr> Binder::Quantified(NodePtr plan, const std::string& op, bool all, std::vector<ExprPtr> needles, Environment& environment,
                                   int position) {
  const auto column = [](const NodePtr& node, int index) {
    const data::Field& field = node->schema.fields[static_cast<size_t>(index)];
    return expr::MakeColumn(index, field.type, field.name);
  };
  std::vector<ExprPtr> lefts, rights;
  for (size_t i = 0; i < needles.size(); ++i) {
    if (needles[i]->type().id == TypeId::kUnknown) {
      KAPPA_ASSIGN_OR_RETURN(needles[i], expr::MakeCast(std::move(needles[i]), plan->schema.fields[i].type, expr::CastContext::kImplicit, position));
    }
    if (environment.outer.size() == kOuterColumnsMax)
      return Error(sqlstate::kProgramLimitExceeded, "a sub-query refers to too many outer columns").At(position);
    auto needle = std::make_shared<expr::Parameter>(environment.first_parameter + static_cast<int>(environment.outer.size()), needles[i]->type());
    environment.outer.push_back(std::move(needles[i]));
    lefts.push_back(std::move(needle));
    rights.push_back(column(plan, static_cast<int>(i)));
  }
  ExprPtr test;
  if (lefts.size() == 1) {
    KAPPA_ASSIGN_OR_RETURN(test, expr::MakeOperator(op, {lefts[0], rights[0]}, position));
  } else {
    KAPPA_ASSIGN_OR_RETURN(test, RowTest(op, lefts, rights, /*sql=*/true, position));
  }
  plan = plan::MakeProject(std::move(plan), {std::move(test)}, {"test"});
  std::vector<expr::AggregateCall> calls;
  for (const char* name : {all ? "bool_and" : "bool_or", "count"}) {
    KAPPA_ASSIGN_OR_RETURN(expr::AggregateCall call, expr::ResolveAggregate(name, {column(plan, 0)}, false, false, position));
    calls.push_back(std::move(call));
  }
  KAPPA_ASSIGN_OR_RETURN(expr::AggregateCall rows, expr::ResolveAggregate("count", {}, true, false, position));
  calls.push_back(std::move(rows));
  plan = plan::MakeAggregate(std::move(plan), {}, std::move(calls), {all ? "every" : "any", "known", "rows"}, -1, 0);
  ExprPtr decided = column(plan, 0);
  if (all) { KAPPA_ASSIGN_OR_RETURN(decided, expr::MakeNot(std::move(decided), position)); }
  KAPPA_ASSIGN_OR_RETURN(ExprPtr unknown, expr::MakeOperator("<", {column(plan, 1), column(plan, 2)}, position));
  const auto boolean = [](bool value) { return expr::MakeLiteral(data::Value::Bool(value)); };
  KAPPA_ASSIGN_OR_RETURN(
      ExprPtr result,
      expr::MakeCase(nullptr, {{std::move(decided), boolean(!all)}, {std::move(unknown), expr::MakeNull(TypeId::kBool)}}, boolean(all), position));
  return plan::MakeProject(std::move(plan), {std::move(result)}, {"result"});
}

}  // namespace kappa::sql
