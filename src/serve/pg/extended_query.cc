#include "serve/pg/extended_query.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <utility>

namespace kappa::serve::pg {
namespace {

constexpr size_t kParsedMax = 64;
constexpr size_t kParsedTextBytesMax = 16 << 10;

Error BadEncoding() { return Error(sqlstate::kCharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\""); }

/// One format per item, from none (all text), one (for all) or one each.
Result<std::vector<int16_t>> ExpandFormats(const std::vector<int16_t>& given, size_t count, const char* mismatch) {
  for (const int16_t format : given) {
    if (format != 0 && format != 1) return Error(sqlstate::kInvalidParameterValue, "unsupported format code: " + std::to_string(format));
  }
  if (given.empty()) return std::vector<int16_t>(count, 0);
  if (given.size() == 1) return std::vector<int16_t>(count, given[0]);
  if (given.size() == count) return given;
  return Error(sqlstate::kProtocolViolation, fmt::format(fmt::runtime(mismatch), given.size(), count));
}

bool SameShape(const data::Schema& a, const data::Schema& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.fields.size(); ++i) {
    if (!WireType(a.fields[i].type).Same(WireType(b.fields[i].type))) return false;
  }
  return true;
}

}  // namespace

Result<ExtendedQuery::StatementPtr> ExtendedQuery::FindStatement(std::string_view name) const {
  const auto it = statements_.find(name);
  if (it != statements_.end()) return it->second;
  if (name.empty()) return Error(sqlstate::kInvalidSqlStatementName, "unnamed prepared statement does not exist");
  return Error(sqlstate::kInvalidSqlStatementName, "prepared statement \"" + std::string(name) + "\" does not exist");
}

Result<ExtendedQuery::StatementPtr> ExtendedQuery::Prepare(std::string_view text, const std::vector<uint32_t>& oids) {
  std::string key(text);
  key.push_back('\0');
  key.append(reinterpret_cast<const char*>(oids.data()), oids.size() * sizeof(uint32_t));
  if (const auto it = parsed_.find(key); it != parsed_.end()) return it->second;
  if (!simdjson::validate_utf8(text.data(), text.size())) return BadEncoding();
  auto statement = std::make_shared<Statement>();
  statement->text = text;
  for (const uint32_t oid : oids) statement->declared.push_back(data::TypeFromOid(oid));
  KAPPA_ASSIGN_OR_RETURN(statement->prepared, session_.Prepare(text, statement->declared));
  if (key.size() <= kParsedTextBytesMax) {
    if (parsed_.size() >= kParsedMax) parsed_.clear();
    parsed_.emplace(std::move(key), statement);
  }
  return StatementPtr(std::move(statement));
}

Status ExtendedQuery::Parse(const ParseMessage& message) {
  if (!message.name.empty() && statements_.contains(message.name)) {
    return Error("42P05", "prepared statement \"" + std::string(message.name) + "\" already exists");
  }
  if (message.name.empty()) statements_.erase("");
  if (static_cast<int>(statements_.size()) >= options_.statements_max) {
    return Error(sqlstate::kInsufficientResources, "too many prepared statements")
        .Hint("Close statements that are no longer used, or run DEALLOCATE ALL.");
  }
  const BusyScope busy(client_);
  KAPPA_ASSIGN_OR_RETURN(StatementPtr statement, Prepare(message.text, message.parameter_oids));
  statements_[std::string(message.name)] = std::move(statement);
  sender_.messages().ParseComplete();
  return {};
}

Result<std::vector<data::Value>> ExtendedQuery::Parameters(const Statement& statement, const BindMessage& message) const {
  const std::vector<data::Type>& types = statement.prepared->parameter_types();
  const size_t count = message.parameters.size();
  KAPPA_ASSIGN_OR_RETURN(const std::vector<int16_t> formats,
                         ExpandFormats(message.parameter_formats, count, "bind message has {} parameter formats but {} parameters"));
  if (count != types.size()) {
    return Error(sqlstate::kProtocolViolation, fmt::format("bind message supplies {} parameters, but prepared statement \"{}\" requires {}", count,
                                                           message.statement, types.size()));
  }
  const data::TextOptions text = session_.text_options();
  std::vector<data::Value> values;
  values.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const data::Type wanted = WireType(types[i]);
    if (!message.parameters[i]) {
      values.push_back(data::Value::Null(wanted));
      continue;
    }
    const std::string_view bytes = *message.parameters[i];
    if (formats[i] == 0) {
      if (!simdjson::validate_utf8(bytes.data(), bytes.size()) || bytes.find('\0') != bytes.npos) return BadEncoding();
      KAPPA_ASSIGN_OR_RETURN(data::Value value, data::FromText(bytes, wanted, text));
      values.push_back(std::move(value));
      continue;
    }
    // The binary form is that of the type the client declared, which need not be the one the statement works with.
    const bool declared = i < statement.declared.size() && statement.declared[i].id != data::TypeId::kUnknown;
    const data::Type given = declared ? statement.declared[i] : wanted;
    KAPPA_ASSIGN_OR_RETURN(data::Value value, data::FromBinary(bytes, given));
    if (!given.Same(wanted)) { KAPPA_ASSIGN_OR_RETURN(value, data::FromText(data::ToText(value, text), wanted, text)); }
    values.push_back(std::move(value));
  }
  return values;
}

Status ExtendedQuery::Bind(const BindMessage& message) {
  KAPPA_ASSIGN_OR_RETURN(StatementPtr statement, FindStatement(message.statement));
  if (!message.portal.empty() && portals_.contains(message.portal)) {
    return Error("42P03", "cursor \"" + std::string(message.portal) + "\" already exists");
  }
  if (static_cast<int>(portals_.size()) >= options_.portals_max) {
    return Error(sqlstate::kInsufficientResources, "too many open portals").Hint("Close portals that are no longer read.");
  }
  Portal portal;
  KAPPA_ASSIGN_OR_RETURN(portal.parameters, Parameters(*statement, message));
  const size_t columns = statement->prepared->has_rows() ? statement->prepared->schema().fields.size() : 0;
  if (columns > 0 || message.result_formats.size() > 1) {
    KAPPA_ASSIGN_OR_RETURN(portal.formats,
                           ExpandFormats(message.result_formats, columns, "bind message has {} result formats but query has {} columns"));
  }
  portal.statement = std::move(statement);
  portals_.insert_or_assign(std::string(message.portal), std::move(portal));
  sender_.messages().BindComplete();
  return {};
}

Status ExtendedQuery::Describe(const DescribeMessage& message) {
  BackendMessages& out = sender_.messages();
  const engine::Prepared* prepared = nullptr;
  std::vector<int16_t> formats;
  if (message.kind == 'S') {
    KAPPA_ASSIGN_OR_RETURN(const StatementPtr statement, FindStatement(message.name));
    prepared = statement->prepared.get();
    std::vector<uint32_t> oids;
    for (const data::Type& type : prepared->parameter_types()) oids.push_back(WireType(type).oid());
    out.ParameterDescription(oids);
    if (prepared->has_rows()) formats.assign(prepared->schema().fields.size(), 0);
  } else {
    const auto it = portals_.find(message.name);
    if (it == portals_.end()) return Error(sqlstate::kInvalidCursorName, "portal \"" + std::string(message.name) + "\" does not exist");
    prepared = it->second.statement->prepared.get();
    formats = it->second.formats;
  }
  if (!prepared->has_rows()) {
    out.NoData();
    return {};
  }
  formats.resize(prepared->schema().fields.size(), 0);
  out.RowDescription(prepared->schema(), formats);
  return {};
}

Status ExtendedQuery::Execute(const ExecuteMessage& message, std::string& tag, std::string& text) {
  const auto it = portals_.find(message.portal);
  if (it == portals_.end()) return Error(sqlstate::kInvalidCursorName, "portal \"" + std::string(message.portal) + "\" does not exist");
  Portal& portal = it->second;
  BackendMessages& out = sender_.messages();
  const engine::Prepared& prepared = *portal.statement->prepared;
  if (prepared.is_empty()) {
    out.EmptyQueryResponse();
    return {};
  }
  const BusyScope busy(client_);
  const bool first = !portal.result.has_value();
  if (first) {
    const data::Schema described = prepared.has_rows() ? prepared.schema() : data::Schema{};
    KAPPA_ASSIGN_OR_RETURN(portal.result, session_.Execute(prepared, portal.parameters));
    sender_.SendNotices(*portal.result);
    if (portal.result->has_rows && !SameShape(described, portal.result->schema)) {
      portal.complete = true;
      return Error(sqlstate::kFeatureNotSupported, "cached plan must not change result type");
    }
  }
  engine::QueryResult& result = *portal.result;
  if (!result.has_rows) {
    if (portal.complete) { return Error(sqlstate::kObjectNotInPrerequisiteState, "portal \"" + std::string(message.portal) + "\" cannot be run"); }
    portal.complete = true;
    tag = result.tag;
    text = portal.statement->text;
    out.CommandComplete(result.tag);
    return {};
  }
  KAPPA_ASSIGN_OR_RETURN(const int64_t sent,
                         sender_.SendRows(result, portal.cursor, message.rows_max, portal.formats, session_.text_options(), client_));
  // As PostgreSQL: a portal that gave exactly rows_max rows is suspended even when no row is left.
  if (message.rows_max > 0 && sent == message.rows_max) {
    out.PortalSuspended();
    return {};
  }
  portal.complete = true;
  result.batches.clear();
  portal.cursor = {};
  tag = result.tag.starts_with("SELECT ") ? "SELECT " + std::to_string(sent) : result.tag;
  text = portal.statement->text;
  out.CommandComplete(tag);
  return {};
}

void ExtendedQuery::Close(const CloseMessage& message) {
  if (message.kind == 'S') {
    if (const auto it = statements_.find(message.name); it != statements_.end()) statements_.erase(it);
  } else if (const auto it = portals_.find(message.name); it != portals_.end()) {
    portals_.erase(it);
  }
  sender_.messages().CloseComplete();
}

void ExtendedQuery::DropUnnamed() {
  statements_.erase("");
  portals_.erase("");
}

}  // namespace kappa::serve::pg
