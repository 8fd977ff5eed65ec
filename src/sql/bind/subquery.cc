// Queries inside expressions, and the outer columns that they refer to.
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
      if (index == kOuterColumnsMax) return Error(sqlstate::kProgramLimitExceeded, "a sub-query refers to more than " + std::to_string(kOuterColumnsMax) + " outer columns").At(position);
      environment->outer.push_back(Placed(*found, position));
    }
    return std::optional<ExprPtr>(std::make_shared<expr::Parameter>(environment->first_parameter + static_cast<int>(index), (*found)->type()));
  }
  return std::optional<ExprPtr>();
}

Result<ExprPtr> Binder::SubqueryExpression(const PgQuery__SubLink& link, const ExprContext& context) {
  const int position = At(link.location);
  if (for_view_) return Unsupported("a sub-query in an expression of a view", "Join with the other relation, or define a second view and join with it.", position);
  if (context.in_aggregate) return Unsupported("a sub-query in an aggregate's argument", "Compute it in a sub-select of FROM.", position);

  if (link.testexpr != nullptr && link.testexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR) return Unsupported("a row compared with a sub-query", "Use EXISTS.", position);

  Environment environment{environment_, context.scope, 0, {}};
  environment.first_parameter = environment_ != nullptr ? environment_->first_parameter + kOuterColumnsMax : parameters_max_;
  environment_ = &environment;
  Result<NodePtr> bound = Select(*link.subselect->select_stmt, /*keep_unknown=*/false);
  environment_ = environment.parent;
  if (!bound.ok()) return bound.error();
  NodePtr plan = std::move(*bound);
  if (link.sub_link_type != PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK && plan->schema.size() != 1)
    return Error(sqlstate::kSyntaxError, plan->schema.size() == 0 ? "subquery must return a column" : link.testexpr != nullptr ? "subquery has too many columns" : "subquery must return only one column").At(position);

  const auto make = [&](Subquery::Kind kind, NodePtr inner, ExprPtr needle, data::Type type) {
    InferParameters(*inner);
    Subquery subquery{kind, Optimize(inner), environment.outer, environment.first_parameter};
    return plan::MakeSubquery(std::move(subquery), std::move(needle), type);
  };
  switch (link.sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
      return make(Subquery::Kind::kExists, plan::MakeLimit(std::move(plan), expr::MakeLiteral(data::Value::Int8(1)), nullptr), nullptr, TypeId::kBool);
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK: {
      const data::Type type = plan->schema.fields[0].type;
      return make(Subquery::Kind::kScalar, std::move(plan), nullptr, type);
    }
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK: {
      const data::Type type = data::Type::ArrayOf(plan->schema.fields[0].type.id);
      if (plan->schema.fields[0].type.is_array()) return Unsupported("ARRAY(..) of arrays", "", position);
      return make(Subquery::Kind::kArray, std::move(plan), nullptr, type);
    }
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK: {
      const bool all = link.sub_link_type == PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK;
      const std::string name = link.n_oper_name == 0 ? "=" : TextOf(*link.oper_name[link.n_oper_name - 1]);
      KAPPA_ASSIGN_OR_RETURN(ExprPtr needle, Expr(*link.testexpr, context));
      const data::Type column = plan->schema.fields[0].type;
      const bool member = (name == "=" && !all) || (name == "<>" && all);
      if (!member) {
        if (column.is_array()) return Unsupported("ANY and ALL over a sub-query of arrays", "", position);
        const ExprPtr array = make(Subquery::Kind::kArray, std::move(plan), nullptr, data::Type::ArrayOf(column.id));
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

}  // namespace kappa::sql
