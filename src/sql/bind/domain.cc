// Domains: CREATE DOMAIN, and the constraints of one that is there.
#include <algorithm>

#include "sql/bind/nodes.h"

namespace kappa::sql {

/// What the constraints of CREATE DOMAIN say.
Result<expr::Domain> Binder::DomainConstraints(const PgQuery__CreateDomainStmt& statement, const std::string& name, data::Type base) {
  expr::Domain domain{name, base, false, nullptr, {}};
  if (const catalog::Domain* parent = DomainNamed(*statement.type_name)) {
    KAPPA_ASSIGN_OR_RETURN(const expr::DomainPtr inherited, BindDomain(*parent, context_));
    domain = *inherited;
    domain.name = name;
  }
  const auto own_checks = static_cast<std::ptrdiff_t>(domain.checks.size());  // those of the parent come first
  bool has_default = false;
  Scope scope;
  scope.Add({"Domain", "", "value", "", {{"value", expr::MakeColumn(0, base, "value")}}, false, std::nullopt});
  std::vector<std::string> taken;
  bool null = false, not_null = false;
  for (size_t i = 0; i < statement.n_constraints; ++i) {
    const PgQuery__Constraint& constraint = *statement.constraints[i]->constraint;
    const int at = At(constraint.location);
    switch (constraint.contype) {
      case PG_QUERY__CONSTR_TYPE__CONSTR_NULL: null = true; break;
      case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL: not_null = true; break;
      case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT: {
        if (std::exchange(has_default, true)) return Error(sqlstate::kSyntaxError, "multiple default expressions").At(at);
        const Scope empty;
        KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Expr(*constraint.raw_expr, {.scope = &empty, .clause = "DEFAULT"}));
        KAPPA_ASSIGN_OR_RETURN(domain.default_value, expr::MakeCast(std::move(value), base, expr::CastContext::kAssignment, at));
        break;
      }
      case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK: {
        std::string check = constraint.conname;
        const auto is_taken = [&](const std::string& candidate) { return std::find(taken.begin(), taken.end(), candidate) != taken.end(); };
        if (!check.empty() && is_taken(check))
          return Error("42710", "constraint \"" + check + "\" for domain \"" + name + "\" already exists").At(at);
        for (int number = 0; check.empty() || is_taken(check); ++number) check = name + "_check" + (number == 0 ? "" : std::to_string(number));
        taken.push_back(check);
        KAPPA_ASSIGN_OR_RETURN(ExprPtr condition, Condition(*constraint.raw_expr, {.scope = &scope, .clause = "CHECK"}));
        if (!condition->is_immutable())
          return Unsupported("a CHECK whose answer depends on more than the value", "A record must be good or bad for ever.", at);
        domain.checks.push_back({std::move(check), std::move(condition)});
        break;
      }
      case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE: return Error(sqlstate::kSyntaxError, "unique constraints not possible for domains").At(at);
      case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY: return Error(sqlstate::kSyntaxError, "primary key constraints not possible for domains").At(at);
      case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN: return Error(sqlstate::kSyntaxError, "foreign key constraints not possible for domains").At(at);
      default: return Unsupported("this constraint of a domain", "Domains take NOT NULL, DEFAULT and CHECK.", at);
    }
  }
  if (null && not_null) return Error(sqlstate::kSyntaxError, "conflicting NULL/NOT NULL constraints").At(tree_.statement().offset + 1);
  domain.not_null = domain.not_null || not_null;
  std::sort(domain.checks.begin() + own_checks, domain.checks.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return domain;
}

Result<BoundStatement> Binder::CreateDomain(const PgQuery__CreateDomainStmt& statement) {
  const int start = tree_.statement().offset + 1;
  const std::vector<std::string> names = TextsOf(statement.domainname, statement.n_domainname);
  KAPPA_RETURN_IF_ERROR(CheckTypeName(names, start));
  if (statement.coll_clause != nullptr) return Unsupported("COLLATE in CREATE DOMAIN", "Text is compared byte by byte.", start);
  CreateDomainStatement create;
  create.domain.name = names.back();
  KAPPA_ASSIGN_OR_RETURN(create.domain.base, TypeOf(*statement.type_name));
  if (create.domain.base.is_record())
    return Error(sqlstate::kDatatypeMismatch, "\"record\" is not a valid base type for a domain").At(At(statement.type_name->location));
  if (const catalog::Domain* parent = DomainNamed(*statement.type_name)) create.domain.parent = parent->name;
  KAPPA_ASSIGN_OR_RETURN(const expr::Domain domain, DomainConstraints(statement, create.domain.name, create.domain.base));
  create.domain.not_null = domain.not_null;
  create.domain.sql = tree_.statement().source;
  return BoundStatement(std::move(create));
}

const catalog::Domain* Binder::DomainNamed(const PgQuery__TypeName& name) const {
  const std::vector<std::string> names = TextsOf(name.names, name.n_names);
  return names.size() == 1 || (names.size() == 2 && names[0] == "public") ? context_.catalog->FindDomain(names.back()) : nullptr;
}

Result<expr::DomainPtr> Binder::StoredDomain(const catalog::Domain& domain) {
  KAPPA_ASSIGN_OR_RETURN(expr::Domain constraints, DomainConstraints(*tree_.root().create_domain_stmt, domain.name, domain.base));
  return std::make_shared<const expr::Domain>(std::move(constraints));
}

Result<expr::DomainPtr> BindDomain(const catalog::Domain& domain, const BindContext& context) {
  KAPPA_ASSIGN_OR_RETURN(const std::vector<RawStatement> statements, SplitStatements(domain.sql));
  if (statements.size() != 1) return Error(sqlstate::kInternalError, "a domain must be one statement");
  KAPPA_ASSIGN_OR_RETURN(const ParseTree tree, ParseTree::Parse(statements[0]));
  if (tree.root().node_case != PG_QUERY__NODE__NODE_CREATE_DOMAIN_STMT) return Error(sqlstate::kInternalError, "a domain must be CREATE DOMAIN");
  Binder binder(tree, context);
  return binder.StoredDomain(domain);
}

Result<std::map<int, expr::DomainPtr>> BindDomains(const std::map<int, std::string>& columns, const BindContext& context) {
  std::map<int, expr::DomainPtr> bound;
  for (const auto& [column, name] : columns) {
    const catalog::Domain* domain = context.catalog->FindDomain(name);
    if (domain == nullptr) return Error(sqlstate::kDataCorrupted, "domain \"" + name + "\" is missing");
    KAPPA_ASSIGN_OR_RETURN(bound[column], BindDomain(*domain, context));
  }
  return bound;
}

}  // namespace kappa::sql
