// Entry points of binding, inference of parameter types, EXPLAIN.
#include "sql/bind/binder.h"

#include <algorithm>

#include "plan/subquery_expression.h"
#include "sql/bind/nodes.h"
#include "sql/optimize/optimize.h"
#include "sql/parse/tokens.h"

namespace kappa::sql {
namespace {

using data::TypeId;

/// The highest $n of the statement.
int HighestParameter(const RawStatement& statement) {
  if (statement.text.find('$') == std::string::npos) return 0;
  const Result<std::vector<Token>> tokens = ScanTokens(statement.text);
  int highest = 0;
  if (!tokens.ok()) return 0;
  for (const Token& token : *tokens) {
    if (token.kind != Token::Kind::kParameter) continue;
    const std::string digits = statement.text.substr(static_cast<size_t>(token.start) + 1, static_cast<size_t>(token.end - token.start) - 1);
    if (digits.size() <= 5) highest = std::max(highest, std::atoi(digits.c_str()));
  }
  return highest;
}

}  // namespace

Error Binder::Unsupported(std::string what, std::string hint, int position) const {
  Error error = Error(sqlstate::kFeatureNotSupported, std::move(what) + " is not supported").At(position);
  if (hint.empty()) hint = "docs/sql.md lists what the language has.";
  return std::move(error).Hint(std::move(hint));
}

Result<BoundStatement> Binder::Statement() {
  parameters_max_ = std::max(HighestParameter(tree_.statement()), static_cast<int>(parameter_types_.size()));
  KAPPA_ASSIGN_OR_RETURN(BoundStatement statement, Dispatch(tree_.root()));
  // What no use told is text, as in PostgreSQL.
  for (data::Type& type : parameter_types_) {
    if (type.id != TypeId::kUnknown) continue;
    type = TypeId::kText;
    inferred_ = true;
  }
  return statement;
}

Result<BoundStatement> Binder::Dispatch(const PgQuery__Node& node) {
  const int start = tree_.statement().offset + 1;
  const Emit emit = tree_.statement().emit;
  const bool view = node.node_case == PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT || node.node_case == PG_QUERY__NODE__NODE_EXPLAIN_STMT;
  if (emit != Emit::kDefault && !view) {
    const int position = tree_.statement().offset + CountCharacters(tree_.statement().source, tree_.statement().emit_at) + 1;
    return Unsupported("EMIT outside of a view", "CREATE MATERIALIZED VIEW v AS SELECT .. EMIT ON WINDOW CLOSE, then SELECT from v.", position);
  }
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT: {
      KAPPA_ASSIGN_OR_RETURN(NodePtr plan, Select(*node.select_stmt, /*keep_unknown=*/false));
      KAPPA_ASSIGN_OR_RETURN(plan, Finish(Shown(std::move(plan))));
      return BoundStatement(SelectStatement{std::move(plan), parameter_types_});
    }
    case PG_QUERY__NODE__NODE_CREATE_STMT: return CreateTable(*node.create_stmt);
    case PG_QUERY__NODE__NODE_CREATE_DOMAIN_STMT: return CreateDomain(*node.create_domain_stmt);
    case PG_QUERY__NODE__NODE_ALTER_DOMAIN_STMT:
      return Unsupported("ALTER DOMAIN", "What is in the log was checked as the domain was: create another domain, and a stream or table with it.",
                         start);
    case PG_QUERY__NODE__NODE_CREATE_ENUM_STMT: return CreateEnum(*node.create_enum_stmt);
    case PG_QUERY__NODE__NODE_COMPOSITE_TYPE_STMT: return CreateComposite(*node.composite_type_stmt);
    case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT: return CreateView(*node.create_table_as_stmt);
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT: return AlterView(*node.alter_table_stmt);
    case PG_QUERY__NODE__NODE_DROP_STMT: return Drop(*node.drop_stmt);
    case PG_QUERY__NODE__NODE_INSERT_STMT: return Insert(*node.insert_stmt);
    case PG_QUERY__NODE__NODE_UPDATE_STMT: return Update(*node.update_stmt);
    case PG_QUERY__NODE__NODE_DELETE_STMT: return Delete(*node.delete_stmt);
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT: return BindExplain(*node.explain_stmt);
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
    case PG_QUERY__NODE__NODE_DISCARD_STMT:
    case PG_QUERY__NODE__NODE_DEALLOCATE_STMT:
    case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT:
    case PG_QUERY__NODE__NODE_UNLISTEN_STMT: return Session(node);
    case PG_QUERY__NODE__NODE_COPY_STMT: return Unsupported("COPY", "Use INSERT, produce over the Kafka protocol, or read with SELECT.", start);
    case PG_QUERY__NODE__NODE_VIEW_STMT: return Unsupported("CREATE VIEW", "Use CREATE MATERIALIZED VIEW: kappa keeps it up to date.", start);
    case PG_QUERY__NODE__NODE_INDEX_STMT: return Unsupported("CREATE INDEX", "Views are read by their group keys without an index.", start);
    case PG_QUERY__NODE__NODE_REFRESH_MAT_VIEW_STMT:
      return Unsupported("REFRESH MATERIALIZED VIEW", "Views are always up to date. CREATE OR REPLACE MATERIALIZED VIEW replays the log.", start);
    case PG_QUERY__NODE__NODE_LISTEN_STMT:
    case PG_QUERY__NODE__NODE_NOTIFY_STMT:
      return Unsupported(StatementName(node), "Follow a view's changes over HTTP: GET /v1/views/NAME/changes.", start);
    case PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT: return Unsupported("CREATE SCHEMA", "All objects live in schema public.", start);
    case PG_QUERY__NODE__NODE_TRUNCATE_STMT: return Unsupported("TRUNCATE", "Use DELETE FROM on a table; a stream keeps its events.", start);
    default: return Unsupported(StatementName(node), "docs/sql.md lists what the language has.", start);
  }
}

Result<NodePtr> Binder::Finish(NodePtr plan) {
  InferParameters(*plan);
  if (plan::Depth(*plan) > 2 * kDepthMax) return Error(sqlstate::kStatementTooComplex, "query is nested too deeply");
  Result<NodePtr> unnested = UnnestSubqueries(plan, for_view_);
  if (!unnested.ok()) {
    Error error = unnested.error();
    if (error.position() == 0) error.set_position(subquery_position_ > 0 ? subquery_position_ : tree_.statement().offset + 1);
    return error;
  }
  KAPPA_ASSIGN_OR_RETURN(plan, TemporalFilters(*unnested));
  if (ttl_us_ > 0) plan = Expiring(plan);
  return Optimize(plan, context_.input_rows);
}

void Binder::InferParameters(const expr::Expression& expression) {
  // A cast of a parameter without a type is that parameter with one.
  if (expression.kind() == expr::Expression::Kind::kParameter) {
    const auto index = static_cast<size_t>(static_cast<const expr::Parameter&>(expression).index());
    if (index < parameter_types_.size() && parameter_types_[index].id == TypeId::kUnknown && expression.type().id != TypeId::kUnknown) {
      parameter_types_[index] = expression.type().WithoutModifier();
      inferred_ = true;
    }
  }
  for (const ExprPtr& child : expression.children()) InferParameters(*child);
}

void Binder::InferParameters(const plan::Node& plan) {
  plan::VisitExpressions(plan, [this](const ExprPtr& expression) { InferParameters(*expression); });
}

Result<BoundStatement> Binder::BindExplain(const PgQuery__ExplainStmt& statement) {
  ExplainStatement explain;
  for (size_t i = 0; i < statement.n_options; ++i) {
    const PgQuery__DefElem& option = *statement.options[i]->def_elem;
    const std::string name = option.defname;
    KAPPA_ASSIGN_OR_RETURN(const std::string value, OptionText(option));
    const bool on = value == "true" || value == "on" || value == "1";
    if (name == "analyze") {
      explain.analyze = on;
    } else if (name == "format") {
      if (value != "json" && value != "text") return Unsupported("EXPLAIN (FORMAT " + value + ")", "Use TEXT or JSON.", At(option.location));
      explain.json = value == "json";
    } else if (name == "verbose" || name == "costs" || name == "timing" || name == "summary" || name == "buffers") {
      if (on && name != "costs" && name != "timing" && name != "summary")
        return Unsupported("EXPLAIN (" + name + ")", "Options are ANALYZE and FORMAT.", At(option.location));
    } else {
      return Unsupported("EXPLAIN (" + name + ")", "Options are ANALYZE and FORMAT.", At(option.location));
    }
  }
  const PgQuery__Node& query = *statement.query;
  if (tree_.statement().explain_view) {
    // EXPLAIN MATERIALIZED VIEW v, or v$2: the plan of the stored query.
    const PgQuery__RangeVar& name = *query.select_stmt->from_clause[0]->range_var;
    KAPPA_ASSIGN_OR_RETURN(const FromResult read, Relation(name));
    const plan::Scan* scan = read.plan->kind == plan::NodeKind::kScan ? static_cast<const plan::Scan*>(read.plan.get()) : nullptr;
    if (scan == nullptr || scan->relation_kind != plan::RelationKind::kView)
      return Error(sqlstate::kWrongObjectType, std::string("\"") + name.relname + "\" is not a materialized view").At(At(name.location));
    const catalog::View& view = *context_.catalog->FindView(scan->name);
    const catalog::ViewVersion* version = view.FindVersion(scan->version > 0 ? scan->version : view.serving);
    if (version == nullptr) version = &view.versions.front();
    explain.view = view.name;
    explain.version = version->number;
    KAPPA_ASSIGN_OR_RETURN(explain.plan, BindViewQuery(version->query, context_, version->dead_letters, version->ttl_us));
    return BoundStatement(std::move(explain));
  }
  if (query.node_case == PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT) {
    KAPPA_ASSIGN_OR_RETURN(BoundStatement view, CreateView(*query.create_table_as_stmt));
    explain.plan = std::get<CreateViewStatement>(view).plan;
    return BoundStatement(std::move(explain));
  }
  if (query.node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
    return Unsupported("EXPLAIN of this statement", "EXPLAIN takes SELECT and CREATE MATERIALIZED VIEW.", tree_.statement().offset + 1);
  if (tree_.statement().emit != Emit::kDefault)
    return Unsupported("EXPLAIN of a SELECT with EMIT", "EXPLAIN CREATE MATERIALIZED VIEW v AS SELECT ..", tree_.statement().offset + 1);
  KAPPA_ASSIGN_OR_RETURN(NodePtr plan, Select(*query.select_stmt, /*keep_unknown=*/false));
  KAPPA_ASSIGN_OR_RETURN(explain.plan, Finish(Shown(std::move(plan))));
  return BoundStatement(std::move(explain));
}

namespace {

/// Moves the position of a malformed literal's error from the operator or function around it to the literal itself, which
/// the message quotes at its end: invalid input syntax for type integer: "x".
Error AtLiteral(Error error, const RawStatement& statement) {
  const std::string& message = error.message();
  const size_t colon = message.find(": \"");
  const bool malformed =
      error.Is(sqlstate::kInvalidTextRepresentation) || error.Is(sqlstate::kInvalidDatetimeFormat) || error.Is(sqlstate::kDatetimeFieldOverflow);
  if (!malformed || colon == std::string::npos || !message.ends_with('"')) return error;
  const std::string quoted = message.substr(colon + 3, message.size() - colon - 4);
  const Result<std::vector<Token>> tokens = ScanTokens(statement.source);
  if (!tokens.ok()) return error;
  int found = -1;
  for (const Token& token : *tokens) {
    if (token.kind != Token::Kind::kString ||
        statement.source.substr(static_cast<size_t>(token.start), static_cast<size_t>(token.end - token.start)) != "'" + quoted + "'")
      continue;
    if (found >= 0) return error;  // two alike: the position stays where it is
    found = token.start;
  }
  if (found >= 0) error.set_position(statement.offset + CountCharacters(statement.source, found) + 1);
  return error;
}

}  // namespace

Result<BoundStatement> Bind(const RawStatement& statement, const BindContext& context) {
  KAPPA_ASSIGN_OR_RETURN(const ParseTree tree, ParseTree::Parse(statement));
  BindContext typed = context;
  constexpr int kRounds = 3;  // the second binds with inferred types; conflicts surface as type errors
  for (int round = 1;; ++round) {
    Binder binder(tree, typed);
    Result<BoundStatement> bound = binder.Statement();
    if (!bound.ok()) return AtLiteral(bound.error(), statement);
    if (!binder.inferred() || round == kRounds) return bound;
    typed.parameter_types = binder.parameter_types();
  }
}

Result<NodePtr> BindViewQuery(std::string_view query, const BindContext& context, bool dead_letters, int64_t ttl_us) {
  KAPPA_ASSIGN_OR_RETURN(const std::vector<RawStatement> statements, SplitStatements(query));
  if (statements.size() != 1) return Error(sqlstate::kSyntaxError, "a view's query must be one statement");
  KAPPA_ASSIGN_OR_RETURN(const ParseTree tree, ParseTree::Parse(statements[0]));
  if (tree.root().node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return Error(sqlstate::kSyntaxError, "a view's query must be a SELECT");
  Binder binder(tree, context);
  return binder.ViewQuery(tree.root(), dead_letters, ttl_us);
}

}  // namespace kappa::sql
