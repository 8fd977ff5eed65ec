#include "serve/http/handler.h"

#include <simdjson.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "format/decoder.h"
#include "serve/http/access.h"
#include "serve/http/embedded.h"
#include "serve/http/json.h"
#include "serve/http/view_query.h"

namespace kappa::serve::http {
namespace {

constexpr size_t kPreparedMax = 64;
constexpr int64_t kSqlRowsMax = 10'000;
constexpr std::string_view kViewsPrefix = "/v1/views/";

Response Failure(int status, Error error) {
  Response response;
  response.status = status;
  response.body = ErrorJson(error);
  return response;
}

Response NotFound(std::string_view path) {
  return Failure(404, Error(sqlstate::kUndefinedObject, "no such path: " + std::string(path)).Hint("See /openapi.json."));
}

Response NotAllowed(std::string_view method, std::string allow) {
  Response response = Failure(405, Error(sqlstate::kFeatureNotSupported, "method " + std::string(method) + " is not allowed here"));
  response.allow = std::move(allow);
  return response;
}

bool IsJson(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return type == "application/json";
}

/// The members of a small JSON object. Owns its text.
class JsonBody {
 public:
  static Result<JsonBody> Parse(const std::string& text) {
    JsonBody body;
    body.parser_ = std::make_unique<simdjson::dom::parser>();
    if (body.parser_->parse(simdjson::padded_string(text)).get(body.object_) != simdjson::SUCCESS) {
      return Error(sqlstate::kInvalidTextRepresentation, "request body is not a JSON object");
    }
    return body;
  }
  Result<std::string> Text(const char* name) const {
    std::string_view text;
    if (object_[name].get(text) != simdjson::SUCCESS) {
      return Error(sqlstate::kInvalidParameterValue, "member \"" + std::string(name) + "\" must be a string");
    }
    return std::string(text);
  }
  bool Is(const char* name, std::string_view value) const {
    std::string_view text;
    return object_[name].get(text) == simdjson::SUCCESS && text == value;
  }
  Result<int64_t> Number(const char* name, int64_t min, int64_t max) const {
    int64_t number = 0;
    if (object_[name].get(number) != simdjson::SUCCESS || number < min || number > max) {
      return Error(sqlstate::kInvalidParameterValue,
                   "member \"" + std::string(name) + "\" must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    }
    return number;
  }

 private:
  std::unique_ptr<simdjson::dom::parser> parser_;
  simdjson::dom::object object_;
};

}  // namespace

Response ErrorResponse(const Error& error) { return Failure(HttpStatus(error), error); }

Handler::Handler(Shared& shared, Socket& socket)
    : shared_(shared), socket_(socket), session_(shared.engine.NewSession()), client_(shared.registry.Add(*session_, socket)) {}

Handler::~Handler() { shared_.registry.Remove(*client_); }

void Handler::Refuse(int status, const Error& error) {
  socket_.Write(Serialize(Failure(status, error), /*keep_alive=*/false, /*head_only=*/false), shared_.options.write_stall_timeout_us);
}

bool Handler::Serve(const Request& request) {
  const std::string_view path = request.path;
  constexpr std::string_view kChanges = "/changes";
  if (path.starts_with(kViewsPrefix) && path.ends_with(kChanges) && path.size() > kViewsPrefix.size() + kChanges.size() && request.method == "GET") {
    if (const Status allowed = CheckHost(request, shared_.listen_host, shared_.options.hosts); !allowed.ok()) {
      Refuse(403, allowed.error());
    } else {
      StreamChanges(shared_, socket_, request, path.substr(kViewsPrefix.size(), path.size() - kViewsPrefix.size() - kChanges.size()));
    }
    return false;
  }
  Response response;
  {
    const BusyScope busy(*client_);
    response = Answer(request);
  }
  const bool keep_alive = request.keep_alive && !shared_.stopping;
  return socket_.Write(Serialize(response, keep_alive, request.method == "HEAD"), shared_.options.write_stall_timeout_us) && keep_alive;
}

Response Handler::Answer(const Request& request) {
  if (const Status allowed = CheckHost(request, shared_.listen_host, shared_.options.hosts); !allowed.ok()) return Failure(403, allowed.error());
  const std::string_view path = request.path;
  if (request.method == "POST") return AnswerPost(request);
  const bool is_post_path = path == "/v1/sql" || (path.starts_with(kViewsPrefix) && (path.ends_with("/promote") || path.ends_with("/rollback")));
  if (request.method != "GET" && request.method != "HEAD") return NotAllowed(request.method, is_post_path ? "POST" : "GET, HEAD");
  if (path == "/") return EmbeddedPage("index.html", "text/html; charset=utf-8");
  if (path == "/console.js") return EmbeddedPage("console.js", "text/javascript; charset=utf-8");
  if (path == "/console.css") return EmbeddedPage("console.css", "text/css; charset=utf-8");
  if (path == "/openapi.json") return EmbeddedPage("openapi.json", "application/json");
  if (path == "/metrics") return Metrics();
  if (path == "/healthz" || path == "/readyz") return Health(/*ready=*/true);
  if (path == "/livez") return Health(/*ready=*/false);
  if (path == "/v1/status") return Response{.body = shared_.engine.StatusJson()};
  if (path == "/v1/views") return StatusPart("views");
  if (path == "/v1/streams") return StatusPart("streams");
  if (is_post_path) return NotAllowed(request.method, "POST");
  if (path.starts_with(kViewsPrefix)) {
    const std::string_view name = path.substr(kViewsPrefix.size());
    if (!name.empty() && name.find('/') == name.npos) return AnswerView(request, name);
  }
  return NotFound(path);
}

Result<std::shared_ptr<engine::Prepared>> Handler::Prepare(const std::string& text, const std::vector<data::Type>& types) {
  if (const auto it = prepared_.find(text); it != prepared_.end() && it->second->parameter_types() == types) return it->second;
  KAPPA_ASSIGN_OR_RETURN(auto prepared, session_->Prepare(text, types));
  if (prepared_.size() >= kPreparedMax) prepared_.clear();
  prepared_[text] = prepared;
  return prepared;
}

Response Handler::AnswerView(const Request& request, std::string_view name) {
  const auto run = [&]() -> Result<std::string> {
    KAPPA_ASSIGN_OR_RETURN(const std::string relation, QuotedRelation(name, request.query));
    // Not from the cache: the columns must be those of now.
    KAPPA_ASSIGN_OR_RETURN(const auto whole, session_->Prepare("SELECT * FROM " + relation, {}));
    KAPPA_ASSIGN_OR_RETURN(const ViewQuery query, BuildViewQuery(name, relation, whole->schema(), request.query, session_->text_options()));
    KAPPA_ASSIGN_OR_RETURN(const auto prepared, Prepare(query.text, query.types));
    KAPPA_ASSIGN_OR_RETURN(const engine::QueryResult result, session_->Execute(*prepared, query.values));
    std::string rows;
    const bool truncated = AppendRowObjects(result, query.rows_max, rows);
    std::string out = "{";
    AppendKey("view", out);
    format::AppendJsonString(name, out);
    out += ",\"version\":" + std::to_string(result.version) + ",\"epoch\":" + std::to_string(result.epoch);
    out += truncated ? ",\"truncated\":true,\"rows\":" : ",\"truncated\":false,\"rows\":";
    return out + rows + "}\n";
  };
  Result<std::string> body = run();
  if (body.ok()) return Response{.body = std::move(*body)};
  Error error = body.error();
  error.set_position(0);  // the client did not write the text that it points into
  return ErrorResponse(error);
}

Response Handler::AnswerPost(const Request& request) {
  const std::string_view path = request.path;
  if (const Status allowed = CheckOrigin(request); !allowed.ok()) return Failure(403, allowed.error());
  const bool is_view = path.starts_with(kViewsPrefix) && (path.ends_with("/promote") || path.ends_with("/rollback"));
  if (path != "/v1/sql" && !is_view) { return path.starts_with("/v1/") || path == "/" ? NotAllowed(request.method, "GET, HEAD") : NotFound(path); }
  // A form of another site cannot send this type without asking first.
  if (!IsJson(request.content_type)) { return Failure(415, Error(sqlstate::kInvalidParameterValue, "content type must be application/json")); }
  if (!is_view) return RunSql(request);
  const size_t slash = path.rfind('/');
  const std::string_view name = path.substr(kViewsPrefix.size(), std::max(slash, kViewsPrefix.size()) - kViewsPrefix.size());
  if (name.empty() || name.find('/') != name.npos) return NotFound(path);
  return AlterView(request, name, path.substr(slash + 1));
}

Response Handler::AlterView(const Request& request, std::string_view name, std::string_view action) {
  const auto run = [&]() -> Result<std::string> {
    KAPPA_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(request.body));
    std::string text = "ALTER MATERIALIZED VIEW " + QuoteName(name);
    if (action == "promote") {
      KAPPA_ASSIGN_OR_RETURN(const int64_t version, body.Number("version", 1, INT32_MAX));
      text += " PROMOTE VERSION " + std::to_string(version);
    } else {
      text += " ROLLBACK";
    }
    KAPPA_ASSIGN_OR_RETURN(const auto prepared, session_->Prepare(text, {}));
    KAPPA_ASSIGN_OR_RETURN(const engine::QueryResult result, session_->Execute(*prepared, {}));
    std::string out = "{\"tag\":";
    format::AppendJsonString(result.tag, out);
    return out + "}\n";
  };
  Result<std::string> body = run();
  if (!body.ok()) return ErrorResponse(body.error());
  return Response{.body = std::move(*body)};
}

Response Handler::RunSql(const Request& request) {
  const Result<JsonBody> body = JsonBody::Parse(request.body);
  if (!body.ok()) return ErrorResponse(body.error());
  const Result<std::string> query = body->Text("query");
  if (!query.ok()) return ErrorResponse(query.error());
  const bool as_text = body->Is("format", "text");
  Response response{.body = "{\"results\":["};
  bool first = true;
  // A session of its own: no transaction and no setting reaches into another request.
  const std::unique_ptr<engine::Session> session = shared_.engine.NewSession();
  const std::shared_ptr<Client> client = shared_.registry.Add(*session, socket_);
  const auto run = [&]() -> Status {
    const BusyScope busy(*client);
    KAPPA_ASSIGN_OR_RETURN(const auto statements, session->PrepareAll(*query));
    for (const auto& statement : statements) {
      if (statement->is_empty()) continue;
      if (client->cancelled) return Error(sqlstate::kQueryCanceled, "canceling statement due to user request");
      KAPPA_ASSIGN_OR_RETURN(const engine::QueryResult result, session->Execute(*statement, {}));
      if (!std::exchange(first, false)) response.body += ',';
      AppendSqlResult(result, kSqlRowsMax, as_text, session->text_options(), response.body);
    }
    return {};
  };
  const Status status = run();
  shared_.registry.Remove(*client);
  response.body += ']';
  if (!status.ok()) {
    response.status = HttpStatus(status.error());
    response.body += ",\"error\":";
    AppendError(status.error(), response.body);
  }
  response.body += "}\n";
  return response;
}

Response Handler::StatusPart(const char* member) {
  simdjson::dom::parser parser;
  const simdjson::padded_string text(shared_.engine.StatusJson());
  simdjson::dom::element part;
  if (parser.parse(text)[member].get(part) != simdjson::SUCCESS) {
    return Failure(500, Error(sqlstate::kInternalError, "status document has no member \"" + std::string(member) + "\""));
  }
  std::string out = "{";
  AppendKey(member, out);
  out += simdjson::minify(part);
  return Response{.body = out + "}\n"};
}

Response Handler::EmbeddedPage(std::string_view name, std::string_view content_type) {
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    if (file.name == name) return Response{.content_type = std::string(content_type), .body = std::string(file.bytes), .is_page = true};
  }
  return NotFound(name);
}

Response Handler::Metrics() {
  Response response{.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = shared_.engine.MetricsText()};
  if (shared_.more_metrics) response.body += shared_.more_metrics();
  return response;
}

Response Handler::Health(bool ready) {
  Response response{.content_type = "text/plain; charset=utf-8", .body = "ok\n"};
  std::string why;
  if (ready && (shared_.stopping || !shared_.engine.healthy(&why))) {
    response.status = 503;
    response.body = (shared_.stopping ? "stopping" : why) + "\n";
  }
  return response;
}

}  // namespace kappa::serve::http
