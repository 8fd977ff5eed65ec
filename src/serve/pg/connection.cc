#include "serve/pg/connection.h"

#include <simdjson.h>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

#include "serve/pg/authentication.h"

namespace kappa::serve::pg {
namespace {

/// Settings that the server reports, with what it says when the engine does not know them. `changes`: a client may set it.
struct ReportedSetting {
  const char* name;
  const char* fallback;
  bool changes;
};
constexpr ReportedSetting kReported[] = {
    {"application_name", "", true},
    {"client_encoding", "UTF8", true},
    {"DateStyle", "ISO, MDY", true},
    {"default_transaction_read_only", "off", true},
    {"in_hot_standby", "off", false},
    {"integer_datetimes", "on", false},
    {"IntervalStyle", "postgres", true},
    {"is_superuser", "on", false},
    {"server_encoding", "UTF8", false},
    {"server_version", "15.0", false},
    {"session_authorization", "", false},
    {"standard_conforming_strings", "on", true},
    {"TimeZone", "UTC", true},
};

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

bool IsUtf8Name(std::string_view encoding) {
  std::string letters;
  for (const unsigned char c : encoding) {
    if (std::isalnum(c)) letters.push_back(static_cast<char>(std::tolower(c)));
  }
  return letters == "utf8" || letters == "unicode" || letters == "sqlascii";
}

/// Words of libpq's "options" parameter: separated by spaces, a backslash takes the next character literally.
std::vector<std::string> SplitOptions(std::string_view options) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  for (size_t i = 0; i < options.size(); ++i) {
    const char c = options[i];
    if (std::isspace(static_cast<unsigned char>(c))) {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
      continue;
    }
    in_word = true;
    word.push_back(c == '\\' && i + 1 < options.size() ? options[++i] : c);
  }
  if (in_word) words.push_back(word);
  return words;
}

Error AdminShutdown() { return Error(sqlstate::kAdminShutdown, "terminating connection due to administrator command"); }

}  // namespace

std::string DeallocatedName(std::string_view text) {
  size_t at = 0;
  const auto next_word = [&]() -> std::string_view {
    while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at]))) ++at;
    const size_t begin = at;
    if (at < text.size() && text[at] == '"') {
      for (++at; at < text.size(); ++at) {
        if (text[at] != '"') continue;
        if (at + 1 < text.size() && text[at + 1] == '"') ++at;
        else break;
      }
      ++at;
    } else {
      while (at < text.size() && !std::isspace(static_cast<unsigned char>(text[at])) && text[at] != ';') ++at;
    }
    return text.substr(begin, at - begin);
  };
  if (!EqualsIgnoringCase(next_word(), "deallocate")) return {};
  std::string_view word = next_word();
  if (EqualsIgnoringCase(word, "prepare")) {
    if (const std::string_view name = next_word(); !name.empty() && name != ";") word = name;
  }
  std::string name;
  if (word.starts_with('"')) {
    for (size_t i = 1; i + 1 < word.size(); ++i) {
      name.push_back(word[i]);
      if (word[i] == '"') ++i;
    }
    return name;
  }
  for (const unsigned char c : word) name.push_back(static_cast<char>(std::tolower(c)));
  return name == "all" ? std::string() : name;
}

Connection::Connection(Socket& socket, engine::Engine& engine, ClientRegistry& registry, const PgServerOptions& options,
                       const std::atomic<bool>& stopping)
    : socket_(socket),
      engine_(engine),
      registry_(registry),
      options_(options),
      stopping_(stopping),
      reader_(socket, options.message_bytes_max, options.frame_timeout_us),
      sender_(socket, options.write_stall_timeout_us) {}

Connection::~Connection() {
  if (client_) registry_.Remove(*client_);
}

void Connection::Fatal(const Error& error) {
  sender_.messages().ErrorOrNotice(Severity::kFatal, error);
  sender_.Flush();
}

void Connection::Run(bool over_limit) {
  if (!Startup(over_limit)) return;
  const int64_t idle_us = options_.idle_timeout_us > 0 ? options_.idle_timeout_us : -1;
  while (sender_.connected()) {
    switch (reader_.ReadFrame(idle_us)) {
      case FrameReader::Status::kFrame: break;
      case FrameReader::Status::kEnd:
        if (stopping_) Fatal(AdminShutdown());
        return;
      case FrameReader::Status::kTimeout: return Fatal(Error("57P05", "terminating connection due to idle-session timeout"));
      case FrameReader::Status::kBadType:
        return Fatal(
            Error(sqlstate::kProtocolViolation, "invalid frontend message type " + std::to_string(static_cast<unsigned char>(reader_.type()))));
      case FrameReader::Status::kBadLength: return Fatal(Error(sqlstate::kProtocolViolation, "invalid message length"));
    }
    const Result<FrontendMessage> message = DecodeFrontendMessage(reader_.type(), reader_.body());
    if (!message.ok()) return Fatal(message.error());
    if (stopping_) return Fatal(AdminShutdown());
    if (!Dispatch(*message)) return;
  }
}

bool Connection::Startup(bool over_limit) {
  // An SSL and a GSS request may come first, each answered with "no".
  for (int packets = 0; packets < 3; ++packets) {
    switch (reader_.ReadStartup(options_.startup_timeout_us)) {
      case FrameReader::Status::kFrame: break;
      case FrameReader::Status::kBadLength: Fatal(Error(sqlstate::kProtocolViolation, "invalid length of startup packet")); return false;
      default: return false;
    }
    const std::string body(reader_.body());  // outlives what is read next
    const Result<StartupPacket> packet = DecodeStartup(body);
    if (!packet.ok()) {
      Fatal(packet.error());
      return false;
    }
    switch (packet->kind) {
      case StartupPacket::Kind::kCancel: registry_.Cancel(packet->process_id, packet->secret); return false;
      case StartupPacket::Kind::kSsl:
        if (options_.tls != nullptr && !socket_.encrypted()) {
          if (reader_.HasBytes()) {  // somebody in between could have put them there
            Fatal(Error(sqlstate::kProtocolViolation, "received unencrypted data after SSL request"));
            return false;
          }
          if (!socket_.Write("S", options_.startup_timeout_us) || !socket_.StartTls(*options_.tls, options_.startup_timeout_us)) return false;
          continue;
        }
        [[fallthrough]];
      case StartupPacket::Kind::kGssEncryption:
        if (!socket_.Write("N", options_.startup_timeout_us)) return false;
        continue;
      case StartupPacket::Kind::kStartup: break;
    }
    if (packet->major != 3) {
      Fatal(Error(sqlstate::kFeatureNotSupported,
                  fmt::format("unsupported frontend protocol {}.{}: server supports 3.0 to 3.0", packet->major, packet->minor)));
      return false;
    }
    if (stopping_) {
      Fatal(Error(sqlstate::kCannotConnectNow, "the database system is shutting down"));
      return false;
    }
    if (over_limit) {
      Fatal(Error(sqlstate::kTooManyConnections, "sorry, too many clients already"));
      return false;
    }
    if (options_.tls != nullptr && !socket_.encrypted()) {
      Fatal(Error(sqlstate::kInvalidAuthorization, "connections without encryption are not accepted").Hint("Connect with sslmode=require."));
      return false;
    }
    return StartSession(*packet);
  }
  Fatal(Error(sqlstate::kProtocolViolation, "invalid startup packet: too many encryption requests"));
  return false;
}

bool Connection::StartSession(const StartupPacket& packet) {
  std::string_view user, database;
  std::vector<std::string> unknown_options;
  for (const auto& [name, value] : packet.parameters) {
    if (name == "user") user = value;
    else if (name == "database") database = value;
    else if (name.starts_with("_pq_.")) unknown_options.emplace_back(name);
    else if (name == "replication" && !EqualsIgnoringCase(value, "false") && !EqualsIgnoringCase(value, "off") && value != "0" && value != "no") {
      Fatal(Error(sqlstate::kFeatureNotSupported, "replication connections are not supported"));
      return false;
    } else if (name == "client_encoding" && !IsUtf8Name(value)) {
      Fatal(Error(sqlstate::kInvalidParameterValue, "invalid value for parameter \"client_encoding\": \"" + std::string(value) + "\"")
                .Detail("The only encoding is UTF8."));
      return false;
    }
  }
  if (user.empty()) {
    Fatal(Error(sqlstate::kInvalidAuthorization, "no PostgreSQL user name specified in startup packet"));
    return false;
  }
  if (database.empty()) database = user;
  if (options_.users != nullptr) {
    Status known = Authenticate(reader_, sender_, *options_.users, user, options_.startup_timeout_us);
    if (!known.ok()) {
      Fatal(known.error());
      return false;
    }
  }

  session_ = engine_.NewSession();
  client_ = registry_.Add(*session_, socket_);
  extended_ = std::make_unique<ExtendedQuery>(*session_, sender_, *client_, options_);
  BackendMessages& out = sender_.messages();
  if (packet.minor > 0 || !unknown_options.empty()) out.NegotiateProtocolVersion(0, unknown_options);
  out.AuthenticationOk();
  // The engine learns the names through settings; a session that knows none ignores them.
  (void)session_->Set(engine::kUserSetting, user);
  (void)session_->Set(engine::kDatabaseSetting, database);
  (void)session_->Set(engine::kProcessIdSetting, std::to_string(client_->process_id));
  reported_["session_authorization"] = user;
  for (const auto& [name, value] : packet.parameters) ApplyStartupParameter(name, value);
  ReportSettings(/*all=*/true);
  out.BackendKeyData(client_->process_id, client_->secret);
  Ready();
  return sender_.connected();
}

void Connection::ApplyStartupParameter(std::string_view name, std::string_view value) {
  if (name == "options") return ApplyOptions(value);
  if (name == "user" || name == "database" || name == "replication" || name == "client_encoding" || name.starts_with("_pq_.")) return;
  // A driver's favourite setting must not keep it out: what the engine does not take is said, and left as it is.
  if (const Status status = session_->Set(name, value); !status.ok()) {
    sender_.messages().ErrorOrNotice(Severity::kNotice,
                                     Error(status.error().sqlstate().c_str(), "startup parameter ignored: " + status.error().message()));
  }
}

void Connection::ApplyOptions(std::string_view options) {
  const std::vector<std::string> words = SplitOptions(options);
  for (size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (word == "-c" && i + 1 < words.size()) word = words[++i];
    else if (word.starts_with("--") || word.starts_with("-c")) word.remove_prefix(2);
    else continue;
    const size_t equals = word.find('=');
    if (equals != word.npos && word.substr(0, equals) != "options") ApplyStartupParameter(word.substr(0, equals), word.substr(equals + 1));
  }
}

void Connection::ReportSettings(bool all) {
  for (const ReportedSetting& setting : kReported) {
    if (!all && !setting.changes) continue;
    std::string value = session_->setting(setting.name);
    if (value.empty()) value = std::string_view(setting.name) == "session_authorization" ? reported_["session_authorization"] : setting.fallback;
    auto [it, is_new] = reported_.try_emplace(setting.name);
    if (!all && !is_new && it->second == value) continue;
    it->second = value;
    sender_.messages().ParameterStatus(setting.name, value);
  }
}

void Connection::Ready() {
  sender_.messages().ReadyForQuery(static_cast<char>(session_->transaction_state()));
  sender_.Flush();
}

bool Connection::Dispatch(const FrontendMessage& message) {
  if (std::holds_alternative<TerminateMessage>(message)) return false;
  if (std::holds_alternative<SyncMessage>(message)) {
    Sync();
    return true;
  }
  if (skip_until_sync_) return true;
  if (const auto* query = std::get_if<QueryMessage>(&message)) {
    SimpleQuery(query->text);
    return true;
  }
  if (std::holds_alternative<FlushMessage>(message)) return sender_.Flush();
  if (std::holds_alternative<CopyMessage>(message)) return true;  // left over from a COPY that failed
  if (std::holds_alternative<PasswordMessage>(message)) {
    Fatal(Error(sqlstate::kProtocolViolation, "unexpected password message"));
    return false;
  }
  Status status;
  if (const auto* parse = std::get_if<ParseMessage>(&message)) status = extended_->Parse(*parse);
  else if (const auto* bind = std::get_if<BindMessage>(&message)) status = extended_->Bind(*bind);
  else if (const auto* describe = std::get_if<DescribeMessage>(&message)) status = extended_->Describe(*describe);
  else if (const auto* execute = std::get_if<ExecuteMessage>(&message)) status = Execute(*execute);
  else if (const auto* close = std::get_if<CloseMessage>(&message)) extended_->Close(*close);
  else {
    // FunctionCall is a cycle of its own, like Query.
    sender_.messages().ErrorOrNotice(Severity::kError, Error(sqlstate::kFeatureNotSupported, "the function call protocol is not supported"));
    Ready();
    return true;
  }
  if (!status.ok()) {
    sender_.messages().ErrorOrNotice(Severity::kError, status.error());
    skip_until_sync_ = true;
  }
  return sender_.FlushIfLarge();
}

Status Connection::Execute(const ExecuteMessage& message) {
  std::string tag, text;
  KAPPA_RETURN_IF_ERROR(extended_->Execute(message, tag, text));
  if (!tag.empty()) AfterStatement(tag, text);
  return {};
}

void Connection::Sync() {
  skip_until_sync_ = false;
  if (session_->transaction_state() == engine::TransactionState::kIdle) extended_->DropPortals();
  Ready();
}

void Connection::SimpleQuery(std::string_view text) {
  extended_->DropUnnamed();
  if (const Status status = RunStatements(text); !status.ok()) sender_.messages().ErrorOrNotice(Severity::kError, status.error());
  if (session_->transaction_state() == engine::TransactionState::kIdle) extended_->DropPortals();
  Ready();
}

Status Connection::RunStatements(std::string_view text) {
  if (!simdjson::validate_utf8(text.data(), text.size())) {
    return Error(sqlstate::kCharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\"");
  }
  const BusyScope busy(*client_);
  KAPPA_ASSIGN_OR_RETURN(const auto statements, session_->PrepareAll(text));
  BackendMessages& out = sender_.messages();
  bool any = false;
  for (const auto& statement : statements) {
    if (statement->is_empty()) continue;
    any = true;
    if (client_->cancelled) return Error(sqlstate::kQueryCanceled, "canceling statement due to user request");
    KAPPA_ASSIGN_OR_RETURN(const engine::QueryResult result, session_->Execute(*statement, {}));
    sender_.SendNotices(result);
    if (result.has_rows) {
      const std::vector<int16_t> formats(result.schema.fields.size(), 0);
      out.RowDescription(result.schema, formats);
      RowCursor cursor;
      KAPPA_ASSIGN_OR_RETURN([[maybe_unused]] const int64_t rows, sender_.SendRows(result, cursor, 0, formats, session_->text_options(), *client_));
    }
    out.CommandComplete(result.tag);
    AfterStatement(result.tag, statements.size() == 1 ? text : std::string_view());
    if (!sender_.FlushIfLarge()) return {};
  }
  if (!any) out.EmptyQueryResponse();
  return {};
}

void Connection::AfterStatement(std::string_view tag, std::string_view text) {
  if (tag.starts_with("SELECT") || tag.starts_with("INSERT")) return;
  if (tag == "DEALLOCATE ALL" || tag == "DISCARD ALL") extended_->DeallocateAll();
  else if (tag == "DEALLOCATE") {
    if (const std::string name = DeallocatedName(text); !name.empty()) extended_->Deallocate(name);
  }
  if (tag == "SET" || tag == "RESET" || tag == "DISCARD ALL" || tag == "COMMIT" || tag == "ROLLBACK") {
    extended_->ForgetParsed();
    ReportSettings(/*all=*/false);
  }
}

}  // namespace kappa::serve::pg
