// Session: one client's statements, settings and transaction state.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "engine/core.h"
#include "plan/subquery_expression.h"

namespace kappa::engine {
namespace {

template <class... Ts> struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts> Overloaded(Ts...) -> Overloaded<Ts...>;

constexpr int64_t kSmallWaitUs = 0;
constexpr size_t kActivityQueryMax = 1024;

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

data::Batch TextRows(const std::vector<std::vector<std::string>>& rows, size_t columns) {
  data::Batch batch;
  batch.rows = static_cast<int64_t>(rows.size());
  for (size_t c = 0; c < columns; ++c) {
    data::ColumnBuilder builder(data::TypeId::kText);
    for (const auto& row : rows) builder.AppendBytes(row[c]);
    batch.columns.push_back(builder.Finish());
  }
  return batch;
}

class PreparedImpl final : public Prepared {
 public:
  sql::RawStatement raw;
  bool empty = false;
  std::optional<uint64_t> catalog_change;  // that `bound` was bound against; nothing: not bound
  sql::BoundStatement bound;
  std::vector<data::Type> given_types;
  std::vector<data::Type> types;
  data::Schema columns;
  bool rows = false;

  const std::vector<data::Type>& parameter_types() const override { return types; }
  bool has_rows() const override { return rows; }
  const data::Schema& schema() const override { return columns; }
  bool is_empty() const override { return empty; }
};

class SessionImpl final : public Session {
 public:
  SessionImpl(Core& core, uint64_t id) : core_(core), info_(core.RegisterSession()) {
    ++core_.sessions;
    // Spread evenly over the routes: multiples of the golden ratio.
    route_key_ = (id * 61) % 100;
    settings_ = {{"server_version", "15.0"},
                 {"server_version_num", "150000"},
                 {"server_encoding", "UTF8"},
                 {"client_encoding", "UTF8"},
                 {"DateStyle", "ISO, MDY"},
                 {"IntervalStyle", "postgres"},
                 {"TimeZone", "UTC"},
                 {"integer_datetimes", "on"},
                 {"standard_conforming_strings", "on"},
                 {"is_superuser", "on"},
                 {"session_authorization", "kappa"},
                 {"application_name", ""},
                 {"search_path", "\"$user\", public"},
                 {"default_transaction_read_only", "off"},
                 {"in_hot_standby", "off"},
                 {"transaction_isolation", "read committed"},
                 {"default_transaction_isolation", "read committed"},
                 {"extra_float_digits", "1"},
                 {"client_min_messages", "notice"},
                 {"statement_timeout", "0"},
                 {"lock_timeout", "0"},
                 {"idle_in_transaction_session_timeout", "0"},
                 {"bytea_output", "hex"},
                 {"row_security", "on"},
                 {"datestyle", "ISO, MDY"},
                 {"lc_collate", "C"},
                 {"lc_ctype", "C"},
                 {"max_identifier_length", "63"},
                 {"transaction_read_only", "off"},
                 {"xmloption", "content"},
                 {"jit", "off"},
                 {"kappa.wait", "on"},
                 {std::string(kUserSetting), "kappa"},
                 {std::string(kDatabaseSetting), "kappa"}};
    defaults_ = settings_;
    info_->activity.state = "idle";
    info_->activity.started_us = core_.clock().WallMicros();
  }
  ~SessionImpl() override { --core_.sessions; }

  Result<std::vector<std::shared_ptr<Prepared>>> PrepareAll(std::string_view text) override {
    KAPPA_ASSIGN_OR_RETURN(std::vector<sql::RawStatement> statements, sql::SplitStatements(text));
    std::vector<std::shared_ptr<Prepared>> prepared;
    for (sql::RawStatement& statement : statements) {
      // Bound when it runs: it may need what a statement before it makes.
      auto one = std::make_shared<PreparedImpl>();
      one->raw = std::move(statement);
      prepared.push_back(std::move(one));
    }
    return prepared;
  }

  Result<std::shared_ptr<Prepared>> Prepare(std::string_view text, const std::vector<data::Type>& parameter_types) override {
    KAPPA_ASSIGN_OR_RETURN(std::vector<sql::RawStatement> statements, sql::SplitStatements(text));
    if (statements.size() > 1) return Error(sqlstate::kSyntaxError, "cannot insert multiple commands into a prepared statement");
    if (statements.empty()) {
      auto prepared = std::make_shared<PreparedImpl>();
      prepared->empty = true;
      return std::shared_ptr<Prepared>(prepared);
    }
    KAPPA_ASSIGN_OR_RETURN(auto prepared, Bind(std::move(statements[0]), parameter_types));
    return std::shared_ptr<Prepared>(prepared);
  }

  Result<QueryResult> Execute(const Prepared& statement, const std::vector<data::Value>& parameters) override {
    const auto& prepared = static_cast<const PreparedImpl&>(statement);
    cancelled_ = false;
    if (prepared.empty) return QueryResult{};
    const PreparedImpl* current = &prepared;
    std::shared_ptr<PreparedImpl> rebound;
    if (core_.catalog()->change != prepared.catalog_change) {
      auto again = Bind(prepared.raw, prepared.given_types);
      if (!again.ok()) return Fail(again.error());
      rebound = std::move(again).value();
      current = rebound.get();
    }
    if (parameters.size() < current->types.size()) {
      return Fail(Error(sqlstate::kProtocolViolation,
                        fmt::format("the statement takes {} parameters, {} were given", current->types.size(), parameters.size())));
    }
    if (transaction_ == TransactionState::kFailed && !std::holds_alternative<sql::TransactionStatement>(current->bound)) {
      return Error(sqlstate::kInFailedSqlTransaction, "current transaction is aborted, commands ignored until end of transaction block");
    }
    started_us_ = core_.clock().SteadyMicros();
    ShowActivity(current->raw.source);
    auto result = Run(*current, parameters);
    ShowActivity({});
    if (!result.ok() && result.error().Is(sqlstate::kQueryCanceled) && !cancelled_ && TimedOut()) {
      return Fail(Error(sqlstate::kQueryCanceled, "canceling statement due to statement timeout")
                      .Detail(result.error().detail())
                      .Hint(result.error().hint()));
    }
    if (!result.ok()) return Fail(result.error());
    return result;
  }

  Result<std::vector<QueryResult>> Query(std::string_view text) override {
    auto statements = sql::SplitStatements(text);
    if (!statements.ok()) return Fail(statements.error());
    std::vector<QueryResult> results;
    for (sql::RawStatement& statement : *statements) {
      auto prepared = Bind(std::move(statement), {});
      if (!prepared.ok()) return Fail(prepared.error());
      KAPPA_ASSIGN_OR_RETURN(QueryResult result, Execute(**prepared, {}));
      results.push_back(std::move(result));
    }
    return results;
  }

  TransactionState transaction_state() const override { return transaction_; }
  std::string setting(std::string_view name) const override {
    const std::string* value = FindSetting(name);
    return value == nullptr ? "" : *value;
  }
  Status Set(std::string_view name, std::string_view value) override {
    if (name == kUserSetting || name == kDatabaseSetting || name == kProcessIdSetting) {
      settings_[std::string(name)] = std::string(value);
      std::lock_guard guard(info_->mutex);
      if (name == kUserSetting) info_->activity.user = value;
      if (name == kDatabaseSetting) info_->activity.database = value;
      if (name == kProcessIdSetting) info_->activity.pid = std::atoi(std::string(value).c_str());
      return {};
    }
    for (auto& [key, current] : settings_) {
      if (Lower(key) != Lower(name)) continue;
      if (key == "TimeZone") {
        std::string zone(value);
        if (Lower(zone) == "utc" || Lower(zone) == "gmt") zone = "UTC";
        auto probe = data::FromText("2000-01-01 00:00:00+00", data::TypeId::kTimestamptz);
        data::TextOptions options;
        options.time_zone = zone;
        auto local = data::FromText("2000-01-01 00:00:00", data::TypeId::kTimestamptz, options);
        if (!probe.ok() || !local.ok())
          return Error(sqlstate::kInvalidParameterValue, fmt::format("invalid value for parameter \"TimeZone\": \"{}\"", value));
        current = zone;
        return {};
      }
      if (key == "statement_timeout") {
        KAPPA_ASSIGN_OR_RETURN(statement_timeout_us_, Duration(key, value));
        current =
            statement_timeout_us_ % 1000 == 0 && statement_timeout_us_ > 0 ? fmt::format("{}ms", statement_timeout_us_ / 1000) : std::string(value);
        return {};
      }
      if ((key == "client_encoding") && Lower(value) != "utf8" && Lower(value) != "utf-8" && Lower(value) != "unicode" &&
          Lower(value) != "sql_ascii") {
        return Error(sqlstate::kFeatureNotSupported, fmt::format("client encoding \"{}\" is not supported", value)).Hint("Use UTF8.");
      }
      current = std::string(value);
      return {};
    }
    if (name.find('.') != std::string_view::npos) {
      settings_[std::string(name)] = std::string(value);
      return {};
    }
    return Error(sqlstate::kUndefinedObject, fmt::format("unrecognized configuration parameter \"{}\"", name));
  }
  data::TextOptions text_options() const override {
    data::TextOptions options;
    options.time_zone = setting("TimeZone");
    return options;
  }
  void Cancel() override { cancelled_ = true; }

 private:
  const std::string* FindSetting(std::string_view name) const {
    auto it = settings_.find(name);
    if (it != settings_.end()) return &it->second;
    for (const auto& [key, value] : settings_) {
      if (Lower(key) == Lower(name)) return &value;
    }
    return nullptr;
  }

  /// Back to the default; "all": every setting but those by which the server named its client.
  Status Reset(std::string_view name) {
    const bool all = Lower(name) == "all";
    bool known = all;
    for (auto it = settings_.begin(); it != settings_.end();) {
      const bool ours = it->first == kUserSetting || it->first == kDatabaseSetting || it->first == kProcessIdSetting;
      if (ours || (!all && Lower(it->first) != Lower(name))) {
        ++it;
        continue;
      }
      known = true;
      auto standard = defaults_.find(it->first);
      if (standard == defaults_.end()) {
        it = settings_.erase(it);
      } else {
        it->second = standard->second;
        if (it->first == "statement_timeout") statement_timeout_us_ = 0;
        ++it;
      }
    }
    if (!known) return Error(sqlstate::kUndefinedObject, fmt::format("unrecognized configuration parameter \"{}\"", name));
    return {};
  }

  /// A statement that wrote: it stands, whatever ends the block.
  void NoteWrite() { wrote_in_block_ = wrote_in_block_ || transaction_ == TransactionState::kInBlock; }

  Error Fail(Error error) {
    if (transaction_ == TransactionState::kInBlock) transaction_ = TransactionState::kFailed;
    return error;
  }

  /// "250", "250ms", "2s", "1 min": PostgreSQL's spelling of a setting in milliseconds, as microseconds.
  static Result<int64_t> Duration(std::string_view name, std::string_view value) {
    static constexpr std::pair<std::string_view, int64_t> kUnits[] = {
        {"", 1'000}, {"us", 1}, {"ms", 1'000}, {"s", 1'000'000}, {"min", 60'000'000}, {"h", 3'600'000'000}, {"d", 86'400'000'000}};
    constexpr int64_t kMsMax = 2'147'483'647;
    int64_t count = 0;
    const auto [end, status] = std::from_chars(value.data(), value.data() + value.size(), count);
    std::string_view unit(end, static_cast<size_t>(value.data() + value.size() - end));
    while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
    for (const auto& [text, us] : kUnits) {
      if (status != std::errc() || unit != text) continue;
      if (count < 0 || count > kMsMax * 1000 / us) {
        return Error(sqlstate::kInvalidParameterValue,
                     fmt::format("{} is outside the valid range for parameter \"{}\" (0 .. {} ms)", value, name, kMsMax));
      }
      return count * us;
    }
    return Error(sqlstate::kInvalidParameterValue, fmt::format("invalid value for parameter \"{}\": \"{}\"", name, value))
        .Hint("Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".");
  }

  bool TimedOut() const {
    const int64_t server = core_.options().statement_timeout_us, session = statement_timeout_us_;
    const int64_t limit = server > 0 && session > 0 ? std::min(server, session) : std::max(server, session);
    return limit > 0 && core_.clock().SteadyMicros() - started_us_ > limit;
  }
  /// `query` is what runs now; empty when it ended.
  void ShowActivity(std::string_view query) {
    std::lock_guard guard(info_->mutex);
    PgActivity& activity = info_->activity;
    if (query.empty()) {
      activity.state = transaction_ == TransactionState::kIdle      ? "idle"
                       : transaction_ == TransactionState::kInBlock ? "idle in transaction"
                                                                    : "idle in transaction (aborted)";
    } else {
      activity.state = "active";
      activity.query = query.substr(0, kActivityQueryMax);
      activity.application_name = setting("application_name");
    }
  }

  /// Functions that the session itself answers; the rest of the catalog's is the engine's.
  Result<data::Value> SystemFunction(std::string_view name, const std::vector<data::Value>& arguments, const catalog::Snapshot& snapshot) {
    if (name == "current_user" || name == "current_role" || name == "user" || name == "session_user") return data::Value::Text(setting(kUserSetting));
    if (name == "current_database" || name == "current_catalog") return data::Value::Text(setting(kDatabaseSetting));
    if (name == "pg_backend_pid") return data::Value::Fixed<int32_t>(data::TypeId::kInt4, info_->activity.pid);
    if (name == "current_setting") {
      if (arguments.empty() || arguments[0].null) return data::Value::Null(data::TypeId::kText);
      const std::string* value = FindSetting(arguments[0].bytes);
      if (value != nullptr) return data::Value::Text(*value);
      const bool missing_ok = arguments.size() > 1 && !arguments[1].null && arguments[1].As<uint8_t>() != 0;
      if (missing_ok) return data::Value::Null(data::TypeId::kText);
      return Error(sqlstate::kUndefinedObject, fmt::format("unrecognized configuration parameter \"{}\"", arguments[0].bytes));
    }
    if (name == "set_config") {
      if (arguments.size() < 2 || arguments[0].null) return Error(sqlstate::kNullValueNotAllowed, "SET requires parameter name");
      KAPPA_RETURN_IF_ERROR(arguments[1].null ? Reset(arguments[0].bytes) : Set(arguments[0].bytes, arguments[1].bytes));
      return data::Value::Text(setting(arguments[0].bytes));
    }
    return core_.EngineFunction(name, arguments, snapshot, settings_);
  }

  std::function<bool()> Cancelled() {
    return [this] { return cancelled_.load() || TimedOut(); };
  }

  Result<std::shared_ptr<PreparedImpl>> Bind(sql::RawStatement raw, const std::vector<data::Type>& parameter_types) {
    auto prepared = std::make_shared<PreparedImpl>();
    const catalog::SnapshotPtr snapshot = core_.catalog();
    sql::BindContext context = core_.MakeBindContext(*snapshot);
    context.parameter_types = parameter_types;
    context.text = text_options();
    KAPPA_ASSIGN_OR_RETURN(prepared->bound, sql::Bind(raw, context));
    prepared->raw = std::move(raw);
    prepared->given_types = parameter_types;
    prepared->catalog_change = snapshot->change;
    std::visit(Overloaded{[&](const sql::SelectStatement& s) {
                            prepared->rows = true;
                            prepared->columns = s.plan->schema;
                            prepared->types = s.parameter_types;
                          },
                          [&](const sql::InsertStatement& s) { prepared->types = s.parameter_types; },
                          [&](const sql::UpdateStatement& s) { prepared->types = s.parameter_types; },
                          [&](const sql::DeleteStatement& s) { prepared->types = s.parameter_types; },
                          [&](const sql::ExplainStatement&) {
                            prepared->rows = true;
                            prepared->columns.fields = {{"QUERY PLAN", data::TypeId::kText}};
                          },
                          [&](const sql::ShowStatement& s) {
                            prepared->rows = true;
                            prepared->columns = ShowSchema(s);
                          },
                          [](const auto&) {}},
               prepared->bound);
    return prepared;
  }

  static data::Schema ShowSchema(const sql::ShowStatement& show) {
    data::Schema schema;
    if (show.name == "streams") {
      schema.fields = {{"name", data::TypeId::kText}, {"topic", data::TypeId::kText}, {"partitions", data::TypeId::kText}};
    } else if (show.name == "tables") {
      schema.fields = {{"name", data::TypeId::kText}, {"topic", data::TypeId::kText}};
    } else if (show.name == "views") {
      schema.fields = {{"name", data::TypeId::kText}, {"serving", data::TypeId::kText}, {"versions", data::TypeId::kText}};
    } else if (show.name == "topics") {
      schema.fields = {{"name", data::TypeId::kText}, {"partitions", data::TypeId::kText}, {"bytes", data::TypeId::kText}};
    } else if (show.name == "all") {
      schema.fields = {{"name", data::TypeId::kText}, {"setting", data::TypeId::kText}, {"description", data::TypeId::kText}};
    } else {
      schema.fields = {{show.name, data::TypeId::kText}};
    }
    return schema;
  }

  expr::EvalContext Context(const std::vector<data::Value>& parameters, const catalog::SnapshotPtr& snapshot) {
    expr::EvalContext context;
    context.text = text_options();
    context.now_us = core_.clock().WallMicros();
    context.parameters = parameters;
    context.engine_function = [this, snapshot](std::string_view name, const std::vector<data::Value>& arguments) {
      return SystemFunction(name, arguments, *snapshot);
    };
    return context;
  }

  Result<data::Batch> RunPlan(const plan::NodePtr& plan, const std::vector<data::Value>& parameters, QueryResult* result) {
    std::vector<const plan::Scan*> scans;
    CollectAllScans(*plan, scans);
    KAPPA_ASSIGN_OR_RETURN(ReadSet reads, core_.OpenReadSet(scans, route_key_, kSmallWaitUs));
    reads.settings = &settings_;
    if (result != nullptr) {
      result->epoch = reads.epoch;
      if (reads.versions.size() == 1) result->version = reads.versions.begin()->second;
    }
    return core_.RunQuery(plan, reads, Context(parameters, reads.catalog), Cancelled());
  }

  Result<QueryResult> Run(const PreparedImpl& prepared, const std::vector<data::Value>& parameters) {
    QueryResult result;
    result.has_rows = prepared.rows;
    result.schema = prepared.columns;
    Status status = std::visit([&](const auto& statement) { return RunOne(statement, prepared, parameters, result); }, prepared.bound);
    if (!status.ok()) return status.error();
    return result;
  }

  Status RunOne(const sql::SelectStatement& statement, const PreparedImpl&, const std::vector<data::Value>& parameters, QueryResult& result) {
    KAPPA_ASSIGN_OR_RETURN(data::Batch rows, RunPlan(statement.plan, parameters, &result));
    result.tag = fmt::format("SELECT {}", rows.rows);
    result.batches.push_back(std::move(rows));
    return {};
  }
  Status RunOne(const sql::CreateStreamStatement& statement, const PreparedImpl& prepared, const std::vector<data::Value>&, QueryResult& result) {
    result.tag = "CREATE STREAM";
    sql::CreateStreamStatement create = statement;
    create.stream.sql = prepared.raw.source;
    return Noticed(result, [&](std::string* notice) { return core_.CreateStream(create, notice); });
  }
  Status RunOne(const sql::CreateTableStatement& statement, const PreparedImpl& prepared, const std::vector<data::Value>&, QueryResult& result) {
    result.tag = "CREATE TABLE";
    sql::CreateTableStatement create = statement;
    create.table.sql = prepared.raw.source;
    return Noticed(result, [&](std::string* notice) { return core_.CreateTable(create, notice); });
  }
  Status RunOne(const sql::CreateTypeStatement& statement, const PreparedImpl& prepared, const std::vector<data::Value>&, QueryResult& result) {
    result.tag = "CREATE TYPE";
    return core_.CreateType(statement, prepared.raw.source);
  }
  Status RunOne(const sql::CreateDomainStatement& statement, const PreparedImpl&, const std::vector<data::Value>&, QueryResult& result) {
    result.tag = "CREATE DOMAIN";
    return core_.CreateDomain(statement);
  }
  Status RunOne(const sql::CreateViewStatement& statement, const PreparedImpl& prepared, const std::vector<data::Value>&, QueryResult& result) {
    result.tag = "CREATE MATERIALIZED VIEW";
    int number = 0;
    KAPPA_RETURN_IF_ERROR(Noticed(result, [&](std::string* notice) { return core_.CreateView(statement, prepared.raw.source, notice, &number); }));
    if (number == 0 || setting("kappa.wait") == "off") return {};
    return core_.WaitReady(statement.name, number, Cancelled());
  }
  Status RunOne(const sql::AlterViewStatement& statement, const PreparedImpl&, const std::vector<data::Value>&, QueryResult& result) {
    result.tag = "ALTER MATERIALIZED VIEW";
    return core_.AlterView(statement);
  }
  Status RunOne(const sql::DropStatement& statement, const PreparedImpl&, const std::vector<data::Value>&, QueryResult& result) {
    using Kind = sql::DropStatement::Kind;
    result.tag = statement.kind == Kind::kStream   ? "DROP STREAM"
                 : statement.kind == Kind::kTable  ? "DROP TABLE"
                 : statement.kind == Kind::kType   ? "DROP TYPE"
                 : statement.kind == Kind::kDomain ? "DROP DOMAIN"
                                                   : "DROP MATERIALIZED VIEW";
    return core_.Drop(statement, &result.notices);
  }
  Status RunOne(const sql::InsertStatement& statement, const PreparedImpl&, const std::vector<data::Value>& parameters, QueryResult& result) {
    KAPPA_ASSIGN_OR_RETURN(data::Batch rows, RunPlan(statement.plan, parameters, nullptr));
    auto count = statement.into_stream ? core_.InsertIntoStream(statement.target, rows, Cancelled())
                                       : core_.InsertIntoTable(statement.target, rows, statement.conflict, Cancelled());
    KAPPA_RETURN_IF_ERROR(count.status());
    NoteWrite();
    result.tag = fmt::format("INSERT 0 {}", *count);
    return {};
  }
  Status RunOne(const sql::UpdateStatement& statement, const PreparedImpl&, const std::vector<data::Value>& parameters, QueryResult& result) {
    return Modify(statement.target, statement.plan, parameters, false, result);
  }
  Status RunOne(const sql::DeleteStatement& statement, const PreparedImpl&, const std::vector<data::Value>& parameters, QueryResult& result) {
    return Modify(statement.target, statement.plan, parameters, true, result);
  }
  Status Modify(const std::string& target, const plan::NodePtr& plan, const std::vector<data::Value>& parameters, bool remove, QueryResult& result) {
    TableRuntime* table = core_.FindTableRuntime(target);
    if (table == nullptr) return Error(sqlstate::kUndefinedTable, fmt::format("table \"{}\" does not exist", target));
    std::lock_guard writer(table->dml);  // from reading the rows to their new versions being visible
    KAPPA_ASSIGN_OR_RETURN(data::Batch rows, RunPlan(plan, parameters, nullptr));
    KAPPA_ASSIGN_OR_RETURN(int64_t count, core_.UpdateTable(target, rows, remove, Cancelled()));
    NoteWrite();
    result.tag = fmt::format("{} {}", remove ? "DELETE" : "UPDATE", count);
    return {};
  }
  Status RunOne(const sql::ExplainStatement& statement, const PreparedImpl&, const std::vector<data::Value>& parameters, QueryResult& result) {
    std::string text;
    if (statement.analyze && !statement.view.empty()) {
      KAPPA_ASSIGN_OR_RETURN(text, core_.ExplainLive(statement.view, statement.version, statement.json));
    } else if (statement.analyze) {
      std::vector<const plan::Scan*> scans;
      CollectAllScans(*statement.plan, scans);
      KAPPA_ASSIGN_OR_RETURN(ReadSet reads, core_.OpenReadSet(scans, route_key_, kSmallWaitUs));
      reads.settings = &settings_;
      KAPPA_ASSIGN_OR_RETURN(text, core_.ExplainAnalyze(statement.plan, reads, Context(parameters, reads.catalog), Cancelled(), statement.json));
    } else {
      text = statement.json ? plan::ExplainJson(*statement.plan) : plan::Explain(*statement.plan);
    }
    std::vector<std::vector<std::string>> lines;
    if (statement.json) {
      lines.push_back({text});
    } else {
      for (size_t at = 0; at < text.size();) {
        size_t end = text.find('\n', at);
        if (end == std::string::npos) end = text.size();
        lines.push_back({text.substr(at, end - at)});
        at = end + 1;
      }
    }
    result.tag = "EXPLAIN";
    result.batches.push_back(TextRows(lines, 1));
    return {};
  }
  Status RunOne(const sql::ShowStatement& statement, const PreparedImpl&, const std::vector<data::Value>&, QueryResult& result) {
    result.tag = "SHOW";
    const catalog::SnapshotPtr snapshot = core_.catalog();
    std::vector<std::vector<std::string>> rows;
    if (statement.name == "streams") {
      for (const auto& [name, stream] : snapshot->streams) rows.push_back({name, stream.topic, std::to_string(stream.partitions)});
    } else if (statement.name == "tables") {
      for (const auto& [name, table] : snapshot->tables) rows.push_back({name, table.topic});
    } else if (statement.name == "views") {
      for (const auto& [name, view] : snapshot->views) rows.push_back({name, std::to_string(view.serving), std::to_string(view.versions.size())});
    } else if (statement.name == "topics") {
      for (const auto& topic : core_.log().ListTopics()) {
        if (topic->config().internal) continue;
        uint64_t bytes = 0;
        for (int32_t p = 0; p < topic->partition_count(); ++p) bytes += topic->partition(p).size_bytes();
        rows.push_back({topic->name(), std::to_string(topic->partition_count()), std::to_string(bytes)});
      }
    } else if (statement.name == "all") {
      for (const auto& [key, value] : settings_) rows.push_back({key, value, ""});
    } else {
      std::string name = statement.name;
      if (Lower(name) == "time zone") name = "TimeZone";
      if (Lower(name) == "transaction isolation level") name = "transaction_isolation";
      bool known = false;
      for (const auto& [key, value] : settings_) known |= Lower(key) == Lower(name);
      if (!known) return Error(sqlstate::kUndefinedObject, fmt::format("unrecognized configuration parameter \"{}\"", statement.name));
      rows.push_back({setting(name)});
    }
    const size_t columns = static_cast<size_t>(result.schema.size());
    result.batches.push_back(TextRows(rows, columns));
    return {};
  }
  Status RunOne(const sql::SetStatement& statement, const PreparedImpl&, const std::vector<data::Value>&, QueryResult& result) {
    result.tag = statement.reset ? "RESET" : "SET";
    if (statement.reset) return Reset(statement.name);
    if (Lower(statement.name) == "time zone") return Set("TimeZone", statement.value);
    return Set(statement.name, statement.value);
  }
  Status RunOne(const sql::TransactionStatement& statement, const PreparedImpl&, const std::vector<data::Value>&, QueryResult& result) {
    using Kind = sql::TransactionStatement::Kind;
    switch (statement.kind) {
      case Kind::kBegin:
        result.tag = "BEGIN";
        if (transaction_ != TransactionState::kIdle) result.notices.push_back("there is already a transaction in progress");
        if (transaction_ == TransactionState::kIdle) {
          transaction_ = TransactionState::kInBlock;
          wrote_in_block_ = false;
        }
        return {};
      case Kind::kCommit:
        result.tag = transaction_ == TransactionState::kFailed ? "ROLLBACK" : "COMMIT";
        if (transaction_ == TransactionState::kFailed) NoteWhatStays(result);
        if (transaction_ == TransactionState::kIdle) result.notices.push_back("there is no transaction in progress");
        transaction_ = TransactionState::kIdle;
        return {};
      case Kind::kRollback:
        result.tag = "ROLLBACK";
        if (transaction_ == TransactionState::kIdle) result.notices.push_back("there is no transaction in progress");
        NoteWhatStays(result);
        transaction_ = TransactionState::kIdle;
        return {};
    }
    return {};
  }
  Status RunOne(const sql::UtilityStatement& statement, const PreparedImpl&, const std::vector<data::Value>&, QueryResult& result) {
    result.tag = statement.tag;
    return {};
  }

  void NoteWhatStays(QueryResult& result) {
    if (wrote_in_block_) result.notices.push_back("the block's writes are in the log since each statement ended: ROLLBACK does not undo them");
    wrote_in_block_ = false;
  }

  template <class F> Status Noticed(QueryResult& result, F&& run) {
    std::string notice;
    Status status = run(&notice);
    if (!notice.empty()) result.notices.push_back(std::move(notice));
    return status;
  }

  Core& core_;
  std::shared_ptr<SessionInfo> info_;
  uint64_t route_key_ = 0;
  Settings settings_;
  Settings defaults_;
  bool wrote_in_block_ = false;
  TransactionState transaction_ = TransactionState::kIdle;
  std::atomic<bool> cancelled_{false};
  int64_t statement_timeout_us_ = 0;  // of SET statement_timeout; 0: none
  int64_t started_us_ = 0;
};

}  // namespace

std::unique_ptr<Session> Core::NewSession() {
  static std::atomic<uint64_t> next{0};
  return std::make_unique<SessionImpl>(*this, next++);
}

}  // namespace kappa::engine
