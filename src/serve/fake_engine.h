// FakeEngine: an engine for tests of the servers. It understands a few words instead of SQL and records what it was asked.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace kappa::serve {

class FakeEngine;

class FakePrepared final : public engine::Prepared {
 public:
  const std::vector<data::Type>& parameter_types() const override { return types; }
  bool has_rows() const override { return !fields.fields.empty(); }
  const data::Schema& schema() const override { return fields; }
  bool is_empty() const override { return text.empty(); }
  std::string text;
  std::vector<data::Type> types;
  data::Schema fields;
};

/// Statements: "rows N" (n int8, name text) · "echo" (one row: its parameters; types as declared, else int8) · "note" (a notice) ·
/// "fail" · "missing" (42P01) · "busy" (55000) · "wait" (until cancelled) · "BEGIN" "COMMIT" "ROLLBACK" · "SET name=value" ·
/// "DEALLOCATE name" · "SELECT ..." (rows of `view_rows`).
class FakeSession final : public engine::Session {
 public:
  explicit FakeSession(FakeEngine& engine) : engine_(engine) {}
  ~FakeSession() override;
  Result<std::vector<std::shared_ptr<engine::Prepared>>> PrepareAll(std::string_view text) override;
  Result<std::shared_ptr<engine::Prepared>> Prepare(std::string_view text, const std::vector<data::Type>& parameter_types) override;
  Result<engine::QueryResult> Execute(const engine::Prepared& statement, const std::vector<data::Value>& parameters) override;
  Result<std::vector<engine::QueryResult>> Query(std::string_view text) override;
  engine::TransactionState transaction_state() const override { return state_; }
  std::string setting(std::string_view name) const override {
    const auto it = settings_.find(name);
    return it == settings_.end() ? std::string() : it->second;
  }
  Status Set(std::string_view name, std::string_view value) override {
    if (name == "refused") return Error(sqlstate::kUndefinedObject, "unrecognized configuration parameter \"refused\"");
    settings_[std::string(name)] = value;
    return {};
  }
  data::TextOptions text_options() const override { return {}; }
  void Cancel() override;

 private:
  FakeEngine& engine_;
  engine::TransactionState state_ = engine::TransactionState::kIdle;
  std::map<std::string, std::string, std::less<>> settings_;
};

class FakeSubscription final : public engine::Subscription {
 public:
  const data::Schema& schema() const override { return fields; }
  Result<std::optional<engine::ChangeEvent>> Next(int64_t) override {
    if (!events.empty()) {
      engine::ChangeEvent event = std::move(events.front());
      events.pop_front();
      return std::optional<engine::ChangeEvent>(std::move(event));
    }
    return Error(sqlstate::kInsufficientResources, "subscriber was too slow");
  }
  data::Schema fields;
  std::deque<engine::ChangeEvent> events;  // then the error
};

class FakeEngine final : public engine::Engine {
 public:
  Status Close() override { return {}; }
  std::unique_ptr<engine::Session> NewSession() override { return std::make_unique<FakeSession>(*this); }
  Result<std::unique_ptr<engine::Subscription>> Subscribe(std::string_view view, int version, bool with_snapshot) override {
    const std::lock_guard lock(mutex);
    statements.push_back("subscribe " + std::string(view) + " " + std::to_string(version) + (with_snapshot ? " snapshot" : ""));
    if (!subscription) return Error(sqlstate::kUndefinedTable, "view \"" + std::string(view) + "\" does not exist");
    return std::unique_ptr<engine::Subscription>(std::move(subscription));
  }
  group::Groups& groups() override { CheckFailed(__FILE__, __LINE__, "the fake engine has no groups"); }
  txn::Transactions& transactions() override { CheckFailed(__FILE__, __LINE__, "the fake engine has no transactions"); }
  quota::ClientQuotas& quotas() override { CheckFailed(__FILE__, __LINE__, "the fake engine has no quotas"); }
  log::Log& log() override { CheckFailed(__FILE__, __LINE__, "the fake engine has no log"); }
  Status DeleteTopic(const std::string&) override { return {}; }
  Status ChangeTopic(const std::string&, const std::function<Status()>& change) override { return change(); }
  Status DeleteRecords(log::Partition&, log::Offset) override { return {}; }
  io::Clock& clock() override { return io::RealClock(); }
  std::string StatusJson() override { return status_json; }
  std::string MetricsText() override { return "kappa_epoch 7\n"; }
  bool healthy(std::string* why) override {
    *why = unhealthy;
    return unhealthy.empty();
  }
  Status WaitVisible(int64_t) override { return {}; }

  /// Waits until a session is in "wait"; until a session was cancelled; until a session was destroyed.
  void AwaitWaiting() {
    Await([this] { return waiting > 0; });
  }
  void AwaitCancelled() {
    Await([this] { return cancels > 0; });
  }
  void AwaitEnded(int sessions) {
    Await([&] { return ended >= sessions; });
  }
  std::vector<std::string> Statements() {
    const std::lock_guard lock(mutex);
    return statements;
  }

  data::Schema view_schema;
  data::Batch view_rows;
  std::string status_json =
      "{\"version\":\"0.1.0\",\"state\":\"serving\",\"epoch\":7,\"streams\":[{\"name\":\"s\"}],\"tables\":[],\"views\":[{\"name\":\"v\"}]}";
  std::string unhealthy;
  std::unique_ptr<FakeSubscription> subscription;

  std::mutex mutex;
  std::condition_variable changed;
  int waiting = 0, cancels = 0, ended = 0;  // guarded by mutex
  std::vector<std::string> statements;      // executed, with parameters as text

 private:
  template <typename F> void Await(const F& condition) {
    std::unique_lock lock(mutex);
    changed.wait(lock, condition);
  }
};

/// A batch of the columns (n int8, name text) with rows (first, "row first") ..
inline data::Batch NumberedRows(int64_t first, int64_t count) {
  data::ColumnBuilder numbers(data::TypeId::kInt8);
  data::ColumnBuilder names(data::TypeId::kText);
  for (int64_t i = first; i < first + count; ++i) {
    numbers.Append<int64_t>(i);
    if (i == 3) names.AppendNull();
    else names.AppendBytes("row " + std::to_string(i));
  }
  return {count, {numbers.Finish(), names.Finish()}};
}
inline data::Schema NumberedSchema() { return {{{"n", data::TypeId::kInt8, false}, {"name", data::TypeId::kText, true}}}; }

inline FakeSession::~FakeSession() {
  const std::lock_guard lock(engine_.mutex);
  ++engine_.ended;
  engine_.changed.notify_all();
}

inline void FakeSession::Cancel() {
  const std::lock_guard lock(engine_.mutex);
  ++engine_.cancels;
  engine_.changed.notify_all();
}

inline Result<std::shared_ptr<engine::Prepared>> FakeSession::Prepare(std::string_view text, const std::vector<data::Type>& declared) {
  auto prepared = std::make_shared<FakePrepared>();
  while (text.starts_with(' ')) text.remove_prefix(1);
  prepared->text = text;
  if (text == "syntax") return Error(sqlstate::kSyntaxError, "syntax error at or near \"syntax\"").At(1);
  if (text.starts_with("rows")) prepared->fields = NumberedSchema();
  if (text.starts_with("SELECT")) {
    if (text.find("\"missing\"") != text.npos) return Error(sqlstate::kUndefinedTable, "relation \"missing\" does not exist");
    prepared->fields = engine_.view_schema;
    prepared->types = declared;
  }
  if (text.starts_with("echo")) {
    prepared->types = declared;
    if (prepared->types.empty()) prepared->types = {data::TypeId::kInt8};
    for (data::Type& type : prepared->types) {
      if (type.id == data::TypeId::kUnknown || type.id == data::TypeId::kInt2) type = data::TypeId::kInt8;
      prepared->fields.fields.push_back({"value", type, true});
    }
  }
  return std::shared_ptr<engine::Prepared>(std::move(prepared));
}

inline Result<std::vector<std::shared_ptr<engine::Prepared>>> FakeSession::PrepareAll(std::string_view text) {
  std::vector<std::shared_ptr<engine::Prepared>> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    KAPPA_ASSIGN_OR_RETURN(auto prepared, Prepare(text.substr(0, end), {}));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!prepared->is_empty()) out.push_back(std::move(prepared));
  }
  return out;
}

inline Result<engine::QueryResult> FakeSession::Execute(const engine::Prepared& statement, const std::vector<data::Value>& parameters) {
  const auto& prepared = static_cast<const FakePrepared&>(statement);
  const std::string& text = prepared.text;
  {
    const std::lock_guard lock(engine_.mutex);
    std::string record = text;
    for (const data::Value& value : parameters) record += " <" + (value.null ? "null" : data::ToText(value)) + ">";
    engine_.statements.push_back(std::move(record));
  }
  engine::QueryResult result;
  result.epoch = 7;
  result.version = 2;
  result.has_rows = prepared.has_rows();
  result.schema = prepared.fields;
  const auto fail = [this](Error error) {
    if (state_ == engine::TransactionState::kInBlock) state_ = engine::TransactionState::kFailed;
    return error;
  };
  if (text == "fail") return fail(Error(sqlstate::kUndefinedColumn, "column \"x\" does not exist").Detail("A detail.").Hint("A hint.").At(5));
  if (text == "busy") return fail(Error(sqlstate::kObjectNotInPrerequisiteState, "view is still replaying"));
  if (text == "wait") {
    std::unique_lock lock(engine_.mutex);
    ++engine_.waiting;
    engine_.changed.notify_all();
    engine_.changed.wait(lock, [this] { return engine_.cancels > 0; });
    --engine_.waiting;
    return fail(Error(sqlstate::kQueryCanceled, "canceling statement due to user request"));
  }
  if (text == "BEGIN") state_ = engine::TransactionState::kInBlock;
  if (text == "COMMIT" || text == "ROLLBACK") state_ = engine::TransactionState::kIdle;
  if (text.starts_with("SET ")) {
    const size_t equals = text.find('=');
    settings_[text.substr(4, equals - 4)] = text.substr(equals + 1);
    result.tag = "SET";
    return result;
  }
  result.tag = text.substr(0, text.find(' '));
  if (text == "note") result.notices = {"a notice"};
  if (text.starts_with("rows ")) {
    const int64_t rows = std::stoll(text.substr(5));
    for (int64_t first = 0; first < rows; first += 2) result.batches.push_back(NumberedRows(first, std::min<int64_t>(2, rows - first)));
    result.tag = "SELECT " + std::to_string(rows);
  } else if (text.starts_with("SELECT")) {
    result.batches = {engine_.view_rows};
    result.tag = "SELECT " + std::to_string(engine_.view_rows.rows);
  } else if (text.starts_with("echo")) {
    data::Batch batch{1, {}};
    for (const data::Value& value : parameters) batch.columns.push_back(data::ConstantColumn(value, 1));
    result.batches = {batch};
    result.tag = "SELECT 1";
  }
  return result;
}

inline Result<std::vector<engine::QueryResult>> FakeSession::Query(std::string_view text) {
  std::vector<engine::QueryResult> results;
  KAPPA_ASSIGN_OR_RETURN(const auto statements, PrepareAll(text));
  for (const auto& statement : statements) {
    KAPPA_ASSIGN_OR_RETURN(engine::QueryResult result, Execute(*statement, {}));
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace kappa::serve
