// Parsing by libpg_query, positions, and the check that no clause is ignored.
#include "sql/parse/tree.h"

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "sql/parse/tokens.h"

namespace kappa::sql {
namespace {

/// Byte offset in the source of a byte offset in the rewritten text.
int SourceOffset(const RawStatement& statement, int at) {
  if (statement.offsets.empty()) return at;
  auto after = std::upper_bound(statement.offsets.begin(), statement.offsets.end(), at, [](int a, const auto& entry) { return a < entry.first; });
  if (after == statement.offsets.begin()) return at;
  const auto& [text_at, source_at] = *(after - 1);
  int mapped = source_at + (at - text_at);
  if (after != statement.offsets.end()) mapped = std::min(mapped, after->second);  // inside a replacement: not beyond it
  return std::min(mapped, static_cast<int>(statement.source.size()));
}

int SourcePosition(const RawStatement& statement, int at) {
  return statement.offset + CountCharacters(statement.source, SourceOffset(statement, at)) + 1;
}

/// SQL's words for a field of the tree.
std::string ClauseName(std::string_view field) {
  static const std::map<std::string_view, std::string_view> kNames = {
      {"locking_clause", "FOR UPDATE/SHARE"},
      {"window_clause", "WINDOW"},
      {"into_clause", "SELECT INTO"},
      {"with_clause", "WITH"},
      {"returning_list", "RETURNING"},
      {"partspec", "PARTITION BY"},
      {"partbound", "PARTITION OF"},
      {"inh_relations", "INHERITS"},
      {"of_typename", "OF type"},
      {"oncommit", "ON COMMIT"},
      {"tablespacename", "TABLESPACE"},
      {"table_space_name", "TABLESPACE"},
      {"access_method", "USING"},
      {"over", "OVER (a window function)"},
      {"agg_within_group", "WITHIN GROUP"},
      {"func_variadic", "VARIADIC"},
      {"identity", "GENERATED AS IDENTITY"},
      {"generated", "GENERATED AS"},
      {"compression", "COMPRESSION"},
      {"storage", "STORAGE"},
      {"coll_clause", "COLLATE"},
      {"fdwoptions", "OPTIONS"},
      {"col_names", "a column list"},
      {"options", "WITH (..)"},
      {"skip_data", "WITH NO DATA"},
      {"using_clause", "USING"},
      {"from_clause", "FROM"},
      {"on_conflict_clause", "ON CONFLICT"},
      {"override", "OVERRIDING"},
      {"catalogname", "a database name"},
      {"coldeflist", "a column definition list"},
      {"is_rowsfrom", "ROWS FROM"},
      {"concurrent", "CONCURRENTLY"},
      {"search_clause", "SEARCH"},
      {"cycle_clause", "CYCLE"},
      {"join_using_alias", "an alias of USING"},
      {"group_distinct", "GROUP BY DISTINCT"},
      {"agg_order", "ORDER BY"},
      {"agg_filter", "FILTER"},
      {"agg_distinct", "DISTINCT"},
      {"use_op", "USING operator"},
      {"deferrable", "DEFERRABLE"},
      {"initdeferred", "INITIALLY DEFERRED"},
      {"including", "INCLUDE"},
      {"indexspace", "USING INDEX TABLESPACE"},
      {"indexname", "USING INDEX"},
      {"is_no_inherit", "NO INHERIT"},
      {"nulls_not_distinct", "NULLS NOT DISTINCT"},
      {"chain", "AND CHAIN"},
      {"indirection", "a subscript or field"},
      {"setof", "SETOF"},
      {"pct_type", "%TYPE"},
      {"where_clause", "WHERE"},
      {"cterecursive", "RECURSIVE"},
      {"recursive", "WITH RECURSIVE"},
      {"is_local", "LOCAL"},
      {"relpersistence", "TEMPORARY or UNLOGGED"},
      {"defnamespace", "a qualified option"},
  };
  const auto found = kNames.find(field);
  if (found != kNames.end()) return std::string(found->second);
  std::string name(field);
  for (char& c : name) c = c == '_' ? ' ' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return name;
}

bool IsSet(const ProtobufCMessage& message, const ProtobufCFieldDescriptor& field) {
  const auto* base = reinterpret_cast<const char*>(&message);
  const char* member = base + field.offset;
  if (field.label == PROTOBUF_C_LABEL_REPEATED) {
    size_t count;
    std::memcpy(&count, base + field.quantifier_offset, sizeof count);
    return count > 0;
  }
  if ((field.flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
    uint32_t which;
    std::memcpy(&which, base + field.quantifier_offset, sizeof which);
    return which == field.id;
  }
  switch (field.type) {
    case PROTOBUF_C_TYPE_MESSAGE: {
      const void* pointer;
      std::memcpy(&pointer, member, sizeof pointer);
      return pointer != nullptr;
    }
    case PROTOBUF_C_TYPE_STRING: {
      const char* text;
      std::memcpy(&text, member, sizeof text);
      return text != nullptr && text[0] != '\0';
    }
    case PROTOBUF_C_TYPE_BOOL: {
      protobuf_c_boolean flag;
      std::memcpy(&flag, member, sizeof flag);
      return flag != 0;
    }
    default: {
      int32_t number;
      std::memcpy(&number, member, sizeof number);
      return number != 0;
    }
  }
}

}  // namespace

void ParseTree::Deleter::operator()(PgQuery__ParseResult* result) const { pg_query__parse_result__free_unpacked(result, nullptr); }

Result<ParseTree> ParseTree::Parse(const RawStatement& statement) {
  PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(statement.text.c_str());
  if (parsed.error != nullptr) {
    const std::string message = parsed.error->message;
    const int at = ByteOffset(statement.text, std::max(parsed.error->cursorpos - 1, 0));
    const int position = parsed.error->cursorpos > 0 ? SourcePosition(statement, at) : 0;
    pg_query_free_protobuf_parse_result(parsed);
    return Error(SqlStateOfParserMessage(message), message).At(position);
  }
  ParseTree tree;
  tree.statement_ = &statement;
  tree.result_.reset(pg_query__parse_result__unpack(nullptr, parsed.parse_tree.len, reinterpret_cast<const uint8_t*>(parsed.parse_tree.data)));
  pg_query_free_protobuf_parse_result(parsed);
  if (!tree.result_ || tree.result_->n_stmts != 1 || tree.result_->stmts[0]->stmt == nullptr)
    return Error(sqlstate::kSyntaxError, "the text must hold one statement").At(statement.offset + 1);
  tree.root_ = tree.result_->stmts[0]->stmt;
  return tree;
}

int ParseTree::Position(int location) const {
  if (location < 0) return 0;
  return SourcePosition(*statement_, location);
}

int ParseTree::PositionOfWord(std::string_view word) const {
  const Result<std::vector<Token>> tokens = ScanTokens(statement_->source);
  if (!tokens.ok()) return 0;
  for (size_t i = 0; i < tokens->size(); ++i) {
    const Token& token = (*tokens)[i];
    if (token.kind != Token::Kind::kWord || token.word != word || (i > 0 && (*tokens)[i - 1].Is("."))) continue;
    return statement_->offset + CountCharacters(statement_->source, token.start) + 1;
  }
  return 0;
}

Status RefuseOtherFields(const ProtobufCMessage& message, std::initializer_list<std::string_view> known, std::string_view what, int position) {
  for (unsigned i = 0; i < message.descriptor->n_fields; ++i) {
    const ProtobufCFieldDescriptor& field = message.descriptor->fields[i];
    const std::string_view name = field.name;
    if (name == "location" || name == "inh" || std::find(known.begin(), known.end(), name) != known.end() || !IsSet(message, field)) continue;
    return Error(sqlstate::kFeatureNotSupported, ClauseName(name) + " is not supported in " + std::string(what))
        .Hint("Leave the clause out. docs/sql.md lists what the language has.")
        .At(position);
  }
  return {};
}

Status VisitChildren(const ProtobufCMessage& message, const std::function<Status(std::string_view field, const ProtobufCMessage& child)>& visit) {
  for (unsigned i = 0; i < message.descriptor->n_fields; ++i) {
    const ProtobufCFieldDescriptor& field = message.descriptor->fields[i];
    if (field.type != PROTOBUF_C_TYPE_MESSAGE || !IsSet(message, field)) continue;
    const char* member = reinterpret_cast<const char*>(&message) + field.offset;
    if (field.label != PROTOBUF_C_LABEL_REPEATED) {
      const ProtobufCMessage* child;
      std::memcpy(&child, member, sizeof child);
      KAPPA_RETURN_IF_ERROR(visit(field.name, *child));
      continue;
    }
    size_t count;
    std::memcpy(&count, reinterpret_cast<const char*>(&message) + field.quantifier_offset, sizeof count);
    ProtobufCMessage* const* children;
    std::memcpy(&children, member, sizeof children);
    for (size_t k = 0; k < count; ++k) KAPPA_RETURN_IF_ERROR(visit(field.name, *children[k]));
  }
  return {};
}

std::string StatementName(const PgQuery__Node& node) {
  static const std::map<int, std::string_view> kNames = {
      {PG_QUERY__NODE__NODE_COPY_STMT, "COPY"},
      {PG_QUERY__NODE__NODE_INDEX_STMT, "CREATE INDEX"},
      {PG_QUERY__NODE__NODE_VIEW_STMT, "CREATE VIEW"},
      {PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT, "CREATE FUNCTION"},
      {PG_QUERY__NODE__NODE_CREATE_TRIG_STMT, "CREATE TRIGGER"},
      {PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT, "CREATE SCHEMA"},
      {PG_QUERY__NODE__NODE_CREATE_ROLE_STMT, "CREATE ROLE"},
      {PG_QUERY__NODE__NODE_CREATEDB_STMT, "CREATE DATABASE"},
      {PG_QUERY__NODE__NODE_CREATE_SEQ_STMT, "CREATE SEQUENCE"},
      {PG_QUERY__NODE__NODE_CREATE_EXTENSION_STMT, "CREATE EXTENSION"},
      {PG_QUERY__NODE__NODE_COMPOSITE_TYPE_STMT, "CREATE TYPE"},
      {PG_QUERY__NODE__NODE_CREATE_ENUM_STMT, "CREATE TYPE"},
      {PG_QUERY__NODE__NODE_DEFINE_STMT, "CREATE"},
      {PG_QUERY__NODE__NODE_CREATE_DOMAIN_STMT, "CREATE DOMAIN"},
      {PG_QUERY__NODE__NODE_ALTER_TABLE_STMT, "ALTER TABLE"},
      {PG_QUERY__NODE__NODE_RENAME_STMT, "ALTER .. RENAME"},
      {PG_QUERY__NODE__NODE_TRUNCATE_STMT, "TRUNCATE"},
      {PG_QUERY__NODE__NODE_VACUUM_STMT, "VACUUM"},
      {PG_QUERY__NODE__NODE_GRANT_STMT, "GRANT and REVOKE"},
      {PG_QUERY__NODE__NODE_LOCK_STMT, "LOCK"},
      {PG_QUERY__NODE__NODE_NOTIFY_STMT, "NOTIFY"},
      {PG_QUERY__NODE__NODE_LISTEN_STMT, "LISTEN"},
      {PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT, "DECLARE CURSOR"},
      {PG_QUERY__NODE__NODE_FETCH_STMT, "FETCH"},
      {PG_QUERY__NODE__NODE_PREPARE_STMT, "PREPARE"},
      {PG_QUERY__NODE__NODE_EXECUTE_STMT, "EXECUTE"},
      {PG_QUERY__NODE__NODE_REFRESH_MAT_VIEW_STMT, "REFRESH MATERIALIZED VIEW"},
      {PG_QUERY__NODE__NODE_MERGE_STMT, "MERGE"},
      {PG_QUERY__NODE__NODE_CALL_STMT, "CALL"},
      {PG_QUERY__NODE__NODE_DO_STMT, "DO"},
      {PG_QUERY__NODE__NODE_COMMENT_STMT, "COMMENT"},
      {PG_QUERY__NODE__NODE_REINDEX_STMT, "REINDEX"},
      {PG_QUERY__NODE__NODE_CHECK_POINT_STMT, "CHECKPOINT"},
      {PG_QUERY__NODE__NODE_CREATE_FOREIGN_TABLE_STMT, "CREATE FOREIGN TABLE"},
      {PG_QUERY__NODE__NODE_CREATE_SUBSCRIPTION_STMT, "CREATE SUBSCRIPTION"},
      {PG_QUERY__NODE__NODE_CREATE_PUBLICATION_STMT, "CREATE PUBLICATION"},
      {PG_QUERY__NODE__NODE_CLUSTER_STMT, "CLUSTER"},
      {PG_QUERY__NODE__NODE_CREATE_POLICY_STMT, "CREATE POLICY"},
      {PG_QUERY__NODE__NODE_RULE_STMT, "CREATE RULE"},
      {PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT, "SET CONSTRAINTS"},
      {PG_QUERY__NODE__NODE_LOAD_STMT, "LOAD"},
  };
  const auto found = kNames.find(node.node_case);
  return found == kNames.end() ? "this statement" : std::string(found->second);
}

}  // namespace kappa::sql
