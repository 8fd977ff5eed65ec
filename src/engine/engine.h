// Engine: the one interface through which psql, REST, the CLI and the console reach the system.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/batch.h"
#include "data/text.h"
#include "data/value.h"
#include "group/groups.h"
#include "io/clock.h"
#include "log/log.h"
#include "quota/client_quotas.h"
#include "txn/transactions.h"

namespace kappa::engine {

struct EngineOptions {
  std::string folder;                         // the data folder
  int threads = 0;                            // shards and decode threads; 0: one per core
  int64_t checkpoint_interval_us = 10'000'000;
  int64_t checkpoint_records = 2'000'000;     // a checkpoint comes earlier when so many records came since the last
  int64_t query_memory_bytes = 1ll << 30;     // rows a query may hold
  uint64_t state_memory_bytes = 0;            // of state in memory, for the whole process; 0: state::DefaultMemoryLimit()
  int64_t statement_timeout_us = 0;           // 0: none
  int64_t subscription_queue_rows = 100'000;  // a slower subscriber is cut off
  int64_t dead_letters_max = 100'000;         // rows kept in kappa.dead_letters
  int64_t cleanup_interval_us = 60'000'000;   // between two looks for what retention and compaction may take from the log
  size_t batch_rows = 8192;                   // rows per batch; tests use 1 and 7
  // Records of one step of a replay, a recovery or a query over a stream. Few enough that what is decoded stays in memory
  // that the step before has warmed up: with 200,000 a replay spends half of its time on fresh pages.
  int64_t step_records = 32'000;
  int default_partitions = 1;                 // of streams that do not say
  log::LogOptions log;
  group::GroupOptions groups;
  txn::TransactionOptions transactions;
};

/// What a statement gave.
struct QueryResult {
  std::string tag;                  // "SELECT 3", "CREATE MATERIALIZED VIEW", "INSERT 0 2"
  bool has_rows = false;
  data::Schema schema;              // when has_rows
  std::vector<data::Batch> batches;
  std::vector<std::string> notices; // NOTICE messages
  uint64_t epoch = 0;               // that the rows show
  int version = 0;                  // of the view read, when the statement reads exactly one view
};

/// A parsed and bound statement. Rebound by itself when the catalog changed in between.
class Prepared {
 public:
  virtual ~Prepared() = default;
  virtual const std::vector<data::Type>& parameter_types() const = 0;
  virtual bool has_rows() const = 0;
  virtual const data::Schema& schema() const = 0;
  virtual bool is_empty() const = 0;  // "" or a comment
};

/// Settings by which a server tells a session whom it serves: current_user, current_database(), pg_backend_pid().
inline constexpr std::string_view kUserSetting = "kappa.session_user";
inline constexpr std::string_view kDatabaseSetting = "kappa.session_database";
inline constexpr std::string_view kProcessIdSetting = "kappa.process_id";

/// 'I' idle, 'T' in a transaction block, 'E' in a failed one, as the PostgreSQL wire says it.
enum class TransactionState : char { kIdle = 'I', kInBlock = 'T', kFailed = 'E' };

/// One client. One thread at a time, except Cancel, which any thread may call.
class Session {
 public:
  virtual ~Session() = default;
  /// Splits a text into statements; fails with the position of a syntax error in the whole text. Each is bound when it is
  /// executed, so that it sees what the ones before it made; until then has_rows() and schema() tell nothing.
  virtual Result<std::vector<std::shared_ptr<Prepared>>> PrepareAll(std::string_view text) = 0;
  /// One statement; 42601 when the text holds more.
  virtual Result<std::shared_ptr<Prepared>> Prepare(std::string_view text, const std::vector<data::Type>& parameter_types) = 0;
  virtual Result<QueryResult> Execute(const Prepared& statement, const std::vector<data::Value>& parameters) = 0;
  /// Convenience for one or more statements without parameters: all results in order; stops at the first error. Statements are
  /// bound one by one, so that later ones see earlier ones' effects.
  virtual Result<std::vector<QueryResult>> Query(std::string_view text) = 0;

  virtual TransactionState transaction_state() const = 0;
  virtual std::string setting(std::string_view name) const = 0;  // "TimeZone", "application_name", "" when unknown
  virtual Status Set(std::string_view name, std::string_view value) = 0;
  virtual data::TextOptions text_options() const = 0;
  /// Stops the running statement with query_canceled.
  virtual void Cancel() = 0;
};

/// A live feed of one view's changes.
struct ChangeEvent {
  uint64_t epoch = 0;
  bool snapshot = false;      // rows of the state at subscription, not changes
  bool reset = false;         // the view was switched to another version: forget everything, a snapshot follows
  data::ChangeBatch changes;  // columns of the view
};
class Subscription {
 public:
  virtual ~Subscription() = default;
  virtual const data::Schema& schema() const = 0;
  /// Waits for the next event, at most `timeout_us`; nullopt at time-out. Fails with insufficient_resources when this
  /// subscriber was too slow and was cut off, with admin_shutdown when the engine stops, undefined_table when dropped.
  virtual Result<std::optional<ChangeEvent>> Next(int64_t timeout_us) = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  /// Opens the data folder (creates it when missing), locks it, recovers, and starts the epoch loop. Fails with object_in_use
  /// when another process holds the folder, feature_not_supported for a folder of a newer format, data_corrupted.
  static Result<std::unique_ptr<Engine>> Open(EngineOptions options, io::Clock& clock);
  /// Stops epochs and replays, writes a last checkpoint, closes the log.
  virtual Status Close() = 0;

  virtual std::unique_ptr<Session> NewSession() = 0;
  /// version 0: whatever serves. `with_snapshot`: first the current rows.
  virtual Result<std::unique_ptr<Subscription>> Subscribe(std::string_view view, int version, bool with_snapshot) = 0;
  virtual log::Log& log() = 0;
  virtual group::Groups& groups() = 0;
  virtual txn::Transactions& transactions() = 0;
  virtual quota::ClientQuotas& quotas() = 0;
  /// Deletes a topic unless a stream or table reads it (dependent_objects_still_exist).
  virtual Status DeleteTopic(const std::string& name) = 0;
  /// Runs `change` on the log between two epochs, unless a stream or table reads the topic (dependent_objects_still_exist).
  virtual Status ChangeTopic(const std::string& name, const std::function<Status()>& change) = 0;
  /// Deletes the records of a partition below `before`, as retention does: not those that a running replay or a restart still needs, nor a
  /// table's (dependent_objects_still_exist).
  virtual Status DeleteRecords(log::Partition& partition, log::Offset before) = 0;
  virtual io::Clock& clock() = 0;
  /// Everything `kappa status`, the console and /v1/status show, as one JSON document (docs/http.md).
  virtual std::string StatusJson() = 0;
  /// Prometheus text exposition.
  virtual std::string MetricsText() = 0;
  virtual bool healthy(std::string* why) = 0;
  /// Waits until everything durable in the log now is visible. For tests and read-your-writes.
  virtual Status WaitVisible(int64_t timeout_us) = 0;
};

}  // namespace kappa::engine
