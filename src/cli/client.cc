// libpq does the talking; this file gives it kappa's errors and prints.
#include "cli/client.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <simdjson.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "format/decoder.h"

namespace kappa::cli {
namespace {

constexpr unsigned kBoolOid = 16, kInt8Oid = 20, kInt2Oid = 21, kInt4Oid = 23, kFloat4Oid = 700, kFloat8Oid = 701, kNumericOid = 1700, kJsonOid = 114,
                   kJsonbOid = 3802;

bool IsNumberOid(unsigned oid) {
  return oid == kInt8Oid || oid == kInt2Oid || oid == kInt4Oid || oid == kFloat4Oid || oid == kFloat8Oid || oid == kNumericOid;
}

Error ErrorOf(PGconn* connection, const PGresult* result) {
  auto field = [&](int code) {
    const char* text = result == nullptr ? nullptr : PQresultErrorField(result, code);
    return std::string(text == nullptr ? "" : text);
  };
  std::string message = field(PG_DIAG_MESSAGE_PRIMARY);
  if (message.empty()) {
    message = PQerrorMessage(connection);
    while (!message.empty() && message.back() == '\n') message.pop_back();
  }
  std::string state = field(PG_DIAG_SQLSTATE);
  if (state.empty()) state = sqlstate::kConnectionFailure;
  const std::string position = field(PG_DIAG_STATEMENT_POSITION);
  return Error(state.c_str(), message)
      .Detail(field(PG_DIAG_MESSAGE_DETAIL))
      .Hint(field(PG_DIAG_MESSAGE_HINT))
      .At(position.empty() ? 0 : std::atoi(position.c_str()));
}

Rows RowsOf(const PGresult* result) {
  Rows rows;
  rows.tag = PQcmdStatus(const_cast<PGresult*>(result));
  for (int c = 0; c < PQnfields(result); ++c) {
    rows.columns.push_back(PQfname(result, c));
    rows.types.push_back(PQftype(result, c));
  }
  for (int r = 0; r < PQntuples(result); ++r) {
    auto& row = rows.rows.emplace_back();
    for (int c = 0; c < PQnfields(result); ++c) {
      if (PQgetisnull(result, r, c)) {
        row.emplace_back();
      } else {
        row.emplace_back(std::string(PQgetvalue(result, r, c), static_cast<size_t>(PQgetlength(result, r, c))));
      }
    }
  }
  return rows;
}

/// Characters, not bytes: a table stays straight with accents.
size_t Width(std::string_view text) {
  size_t width = 0;
  for (char c : text) width += (c & 0xC0) != 0x80;
  return width;
}

std::string CsvField(const std::optional<std::string>& field) {
  if (!field) return "";
  if (!field->empty() && field->find_first_of(",\"\r\n") == std::string::npos && *field != "\\.") return *field;
  std::string quoted = "\"";
  for (char c : *field) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

std::string DefaultDataFolder() {
  const char* folder = std::getenv("KAPPA_DATA");
  return folder != nullptr && *folder != 0 ? folder : "kappa-data";
}

Result<std::string> ReadEndpoint(const std::string& folder, const std::string& name) {
  std::ifstream file(folder + "/endpoints.json");
  if (!file) {
    return Error(sqlstate::kConnectionFailure, fmt::format("no server runs on data folder \"{}\"", folder))
        .Hint(fmt::format("Start one with \"kappa serve --data {}\", or name the folder with --data.", folder));
  }
  std::stringstream text;
  text << file.rdbuf();
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  std::string_view address;
  if (parser.parse(text.str()).get(document) != simdjson::SUCCESS || document[name].get(address) != simdjson::SUCCESS) {
    return Error(sqlstate::kConnectionFailure, fmt::format("\"{}/endpoints.json\" does not name \"{}\"", folder, name));
  }
  return std::string(address);
}

struct Client::Impl {
  PGconn* connection = nullptr;
  ~Impl() { PQfinish(connection); }
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::Connect(const ServerAddress& address) {
  std::string target = address.pg;
  if (target.empty()) { KAPPA_ASSIGN_OR_RETURN(target, ReadEndpoint(address.data.empty() ? DefaultDataFolder() : address.data, "pg")); }
  const size_t colon = target.rfind(':');
  if (colon == std::string::npos)
    return Error(sqlstate::kInvalidParameterValue, fmt::format("\"{}\" is not an address", target)).Hint("Write HOST:PORT.");
  const std::string host = target.substr(0, colon), port = target.substr(colon + 1);
  // Password, sslmode and certificates are libpq's to find: PGPASSWORD, ~/.pgpass, PGSSLMODE and others.
  const char* user = std::getenv("PGUSER");
  const char* keys[] = {"host", "port", "user", "dbname", "application_name", "connect_timeout", "gssencmode", nullptr};
  const char* values[] = {host.c_str(), port.c_str(), user == nullptr ? "kappa" : user, "kappa", "kappa", "10", "disable", nullptr};
  auto impl = std::make_unique<Impl>();
  impl->connection = PQconnectdbParams(keys, values, 0);
  if (PQstatus(impl->connection) != CONNECTION_OK) {
    return Error(sqlstate::kConnectionFailure, fmt::format("could not connect to the server at {}", target))
        .Detail(std::string(PQerrorMessage(impl->connection)))
        .Hint(PQconnectionNeedsPassword(impl->connection) != 0 ? "Name the user in PGUSER, and the password in PGPASSWORD or in ~/.pgpass."
                                                               : "Is it running? \"kappa serve\" starts it.");
  }
  PQsetNoticeProcessor(impl->connection, [](void*, const char* message) { fmt::print(stderr, "{}", message); }, nullptr);
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

Result<Rows> Client::Query(const std::string& sql, const std::vector<std::string>& parameters) {
  std::vector<const char*> values;
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  PGresult* result = PQexecParams(impl_->connection, sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(), nullptr, nullptr, 0);
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) {
    Error error = ErrorOf(impl_->connection, result);
    PQclear(result);
    return error;
  }
  Rows rows = RowsOf(result);
  PQclear(result);
  return rows;
}

Status Client::Script(const std::string& sql, const std::function<void(Rows)>& each) {
  if (PQsendQuery(impl_->connection, sql.c_str()) == 0) return ErrorOf(impl_->connection, nullptr);
  Status status;
  while (PGresult* result = PQgetResult(impl_->connection)) {
    const ExecStatusType outcome = PQresultStatus(result);
    if (outcome == PGRES_TUPLES_OK || outcome == PGRES_COMMAND_OK) {
      each(RowsOf(result));
    } else if (outcome != PGRES_EMPTY_QUERY && status.ok()) {
      status = ErrorOf(impl_->connection, result);
    }
    PQclear(result);
  }
  return status;
}

void Client::Cancel() {
  PGcancel* cancel = PQgetCancel(impl_->connection);
  char text[256];
  if (cancel != nullptr) PQcancel(cancel, text, sizeof text);
  PQfreeCancel(cancel);
}

void PrintRows(const Rows& rows, RowFormat format) {
  if (rows.columns.empty()) {
    if (format == RowFormat::kTable) fmt::print("{}\n", rows.tag);
    return;
  }
  std::string out;
  if (format == RowFormat::kCsv) {
    for (size_t c = 0; c < rows.columns.size(); ++c) out += (c == 0 ? "" : ",") + CsvField(rows.columns[c]);
    out += '\n';
    for (const auto& row : rows.rows) {
      for (size_t c = 0; c < row.size(); ++c) out += (c == 0 ? "" : ",") + CsvField(row[c]);
      out += '\n';
    }
  } else if (format == RowFormat::kJson) {
    for (const auto& row : rows.rows) {
      out += '{';
      for (size_t c = 0; c < row.size(); ++c) {
        if (c > 0) out += ',';
        format::AppendJsonString(rows.columns[c], out);
        out += ':';
        const unsigned type = rows.types[c];
        if (!row[c]) {
          out += "null";
        } else if (type == kBoolOid) {
          out += *row[c] == "t" ? "true" : "false";
        } else if (type == kJsonOid || type == kJsonbOid || (IsNumberOid(type) && row[c]->find_first_of("NI") == std::string::npos)) {
          out += *row[c];
        } else {
          format::AppendJsonString(*row[c], out);
        }
      }
      out += "}\n";
    }
  } else {
    std::vector<size_t> widths;
    for (const std::string& column : rows.columns) widths.push_back(Width(column));
    for (const auto& row : rows.rows) {
      for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c] ? Width(*row[c]) : 0);
    }
    auto pad = [&](const std::string& text, size_t c, bool right) {
      const std::string space(widths[c] - std::min(widths[c], Width(text)), ' ');
      return right ? space + text : text + space;
    };
    auto trim = [&] {
      while (!out.empty() && out.back() == ' ') out.pop_back();
      out += '\n';
    };
    for (size_t c = 0; c < widths.size(); ++c) out += (c == 0 ? " " : " | ") + pad(rows.columns[c], c, false);
    trim();
    for (size_t c = 0; c < widths.size(); ++c) out += (c == 0 ? "-" : "-+-") + std::string(widths[c], '-');
    out += "-\n";
    for (const auto& row : rows.rows) {
      for (size_t c = 0; c < row.size(); ++c) out += (c == 0 ? " " : " | ") + pad(row[c].value_or(""), c, IsNumberOid(rows.types[c]));
      trim();
    }
    out += fmt::format("({} row{})\n", rows.rows.size(), rows.rows.size() == 1 ? "" : "s");
  }
  std::fwrite(out.data(), 1, out.size(), stdout);
}

void PrintError(const Error& error, const std::string& sql) {
  fmt::print(stderr, "error: {}\n", error.message());
  if (error.position() > 0 && !sql.empty()) {
    // The line of the position, and a caret under the character.
    size_t byte = 0;
    for (int character = 1; byte < sql.size() && character < error.position(); ++character) {
      ++byte;
      while (byte < sql.size() && (sql[byte] & 0xC0) == 0x80) ++byte;
    }
    const size_t begin = byte == 0 ? 0 : sql.rfind('\n', byte - 1) == std::string::npos ? 0 : sql.rfind('\n', byte - 1) + 1;
    size_t end = sql.find('\n', byte);
    if (end == std::string::npos) end = sql.size();
    const auto line = 1 + std::count(sql.begin(), sql.begin() + static_cast<ptrdiff_t>(begin), '\n');
    const std::string prefix = fmt::format("line {}: ", line);
    fmt::print(stderr, "{}{}\n{}^\n", prefix, sql.substr(begin, end - begin),
               std::string(prefix.size() + Width(std::string_view(sql).substr(begin, byte - begin)), ' '));
  }
  if (!error.detail().empty()) fmt::print(stderr, "detail: {}\n", error.detail());
  if (!error.hint().empty()) fmt::print(stderr, "hint: {}\n", error.hint());
}

}  // namespace kappa::cli
