// WITH: queries that are bound once and used by name; recursive ones.
#include <algorithm>

#include "sql/bind/nodes.h"
#include "sql/bind/recursion.h"
#include "sql/parse/tokens.h"

namespace kappa::sql {

Status Binder::BindWith(const PgQuery__WithClause* with) {
  if (with == nullptr) return {};
  const size_t first = common_tables_.size();
  for (size_t i = 0; i < with->n_ctes; ++i) {
    const PgQuery__CommonTableExpr& definition = *with->ctes[i]->common_table_expr;
    const int at = At(definition.location);
    if (definition.search_clause != nullptr) return Unsupported("SEARCH", "Keep the order in a column of the recursive query.", at);
    if (definition.cycle_clause != nullptr) return Unsupported("CYCLE", "Keep the path in an array column, and stop where it holds the key.", at);
    KAPPA_RETURN_IF_ERROR(RefuseOtherFields(definition.base, {"ctename", "aliascolnames", "ctematerialized", "ctequery"}, "WITH", at));
    if (definition.ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
      return Unsupported("a data-modifying statement in WITH", "Run it as a statement of its own.", at);
    for (size_t k = 0; k < i; ++k)
      if (std::string_view(with->ctes[k]->common_table_expr->ctename) == definition.ctename)
        return Error(sqlstate::kAmbiguousAlias, std::string("WITH query name \"") + definition.ctename + "\" specified more than once").At(at);
  }
  KAPPA_ASSIGN_OR_RETURN(const std::vector<WithItem> items, OrderWith(*with, [this](int location) { return At(location); }));
  for (const WithItem& item : items) {
    const PgQuery__CommonTableExpr& definition = *item.definition;
    const int at = At(definition.location);
    Result<NodePtr> bound = item.recursive ? RecursiveQuery(definition) : Select(*definition.ctequery->select_stmt, /*keep_unknown=*/false);
    if (!bound.ok()) return bound.error();
    NodePtr plan = std::move(*bound);
    std::vector<std::string> columns = TextsOf(definition.aliascolnames, definition.n_aliascolnames);
    if (static_cast<int>(columns.size()) > plan->schema.size())
      return Error(sqlstate::kInvalidColumnReference, std::string("WITH query \"") + definition.ctename + "\" has " +
                                                          std::to_string(plan->schema.size()) + " columns available but " +
                                                          std::to_string(columns.size()) + " columns specified")
          .At(at);
    if (plan::Depth(*plan) > kDepthMax) return Error(sqlstate::kStatementTooComplex, "WITH queries are nested too deeply").At(at);
    common_tables_.push_back({definition.ctename, std::move(plan), std::move(columns), false});
  }
  KAPPA_CHECK(common_tables_.size() == first + items.size());
  return {};
}

Result<NodePtr> Binder::RecursiveQuery(const PgQuery__CommonTableExpr& definition) {
  const std::string name = definition.ctename;
  const int at = At(definition.location);
  if (for_view_)
    return Unsupported("WITH RECURSIVE in a view", "Run the recursive query over a view when you read it: views follow changes row by row.", at);
  KAPPA_RETURN_IF_ERROR(CheckRecursion(definition, [this](int location) { return At(location); }));
  const PgQuery__SelectStmt& select = *definition.ctequery->select_stmt;
  const size_t common_tables = common_tables_.size();
  KAPPA_RETURN_IF_ERROR(BindWith(select.with_clause));
  KAPPA_ASSIGN_OR_RETURN(NodePtr base, Select(*select.larg, /*keep_unknown=*/false));
  std::vector<std::string> names = plan::ColumnNames(base->schema);
  const std::vector<std::string> columns = TextsOf(definition.aliascolnames, definition.n_aliascolnames);
  for (size_t i = 0; i < std::min(names.size(), columns.size()); ++i) names[i] = columns[i];
  base = plan::WithNames(base, names);

  const uint32_t id = recursions_++;
  std::vector<int> all;
  for (int i = 0; i < base->schema.size(); ++i) all.push_back(i);
  data::Schema working = base->schema;
  for (data::Field& field : working.fields) field = {field.name, field.type.WithoutModifier(), true};  // the step may give values without it
  common_tables_.push_back({name, plan::MakeScan(plan::RelationKind::kWorking, id, name, working, std::move(all)), {}, true});
  KAPPA_ASSIGN_OR_RETURN(NodePtr step, Select(*select.rarg, /*keep_unknown=*/true));
  common_tables_.resize(common_tables);

  const auto targets = [](const PgQuery__SelectStmt* side) {
    while (side->larg != nullptr) side = side->larg;
    return side;
  };
  const auto position = [&](const PgQuery__SelectStmt& side, int column) {
    const PgQuery__SelectStmt& first = *targets(&side);
    if (static_cast<size_t>(column) < first.n_target_list) return At(first.target_list[column]->res_target->location);
    return at;
  };
  if (step->schema.size() != base->schema.size())
    return Error(sqlstate::kSyntaxError, "each UNION query must have the same number of columns").At(position(*select.rarg, 0));
  for (int i = 0; i < base->schema.size(); ++i) {
    const auto column = static_cast<size_t>(i);
    const data::Type types[] = {base->schema.fields[column].type, step->schema.fields[column].type};
    KAPPA_ASSIGN_OR_RETURN(data::Type type, expr::CommonType(types, "UNION", position(*select.rarg, i)));
    if (!type.Same(types[0]))
      return Error(sqlstate::kDatatypeMismatch, "recursive query \"" + name + "\" column " + std::to_string(i + 1) + " has type " +
                                                    types[0].ToString() + " in non-recursive term but type " + type.ToString() + " overall")
          .Hint("Cast the output of the non-recursive term to the correct type.")
          .At(position(*select.larg, i));
    KAPPA_ASSIGN_OR_RETURN(step, CoerceColumn(step, i, types[0].WithoutModifier(), expr::CastContext::kImplicit, position(*select.rarg, i)));
  }
  return plan::MakeRecursive(name, id, select.all == 0, std::move(base), std::move(step));
}

}  // namespace kappa::sql
