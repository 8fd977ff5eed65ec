// Core: the engine behind engine.h. Private to engine/; each .cc file beside it holds one concern.
//
//   engine.cc     open, close, the epoch loop          ddl.cc      CREATE, ALTER, DROP
//   replay.cc     building versions beside live ones   dml.cc      INSERT, UPDATE, DELETE
//   recovery.cc   checkpoints and restart              query.cc, query_run.cc  SELECT
//   session.cc    one client                           status.cc   status, metrics
//   subscription.cc  change feeds                      system_relations.cc  kappa.* as rows
//
// Threads. The epoch thread owns `flow_` and everything marked "epoch thread". Other threads hand it work with AtBoundary,
// which runs between two epochs. `publish_` guards what readers see; the epoch thread holds it only while it applies an
// epoch's changes, readers only while they take snapshots.
#pragma once

#include <condition_variable>
#include <deque>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "catalog/catalog_log.h"
#include "engine/engine.h"
#include "engine/pg_catalog.h"
#include "flow/log_flow.h"
#include "io/folder_lock.h"
#include "ops/view_store.h"
#include "sql/statement.h"
#include "state/checkpoint.h"
#include "state/memory.h"

namespace kappa::engine {

class SubscriptionImpl;

/// When epochs that are run in bulk (a replay, a recovery) give their changes before the end: where state is beyond its bound, after as many
/// records as a dozen steps have, about as many as a live epoch may have. Changes on their way are in no pages.
class BulkFlushes {
 public:
  explicit BulkFlushes(int64_t step_records) : step_records_(step_records) {}
  /// Once for each step, which has so many records.
  bool Due(int64_t records) {
    constexpr int64_t kFlushSteps = 12;
    records_ += records;
    if (records_ < kFlushSteps * step_records_ || !state::Spilling()) return false;
    records_ = 0;
    return true;
  }

 private:
  int64_t step_records_;
  int64_t records_ = 0;  // since the last flush
};

/// Progress of a replay, for SQL, REST, CLI and console. Any thread.
struct ReplayProgress {
  std::atomic<int64_t> records_done{0};
  std::atomic<int64_t> records_total{0};
  std::atomic<int64_t> started_us{0};   // steady clock
  std::atomic<int64_t> finished_us{0};  // 0 while running
  std::atomic<bool> cancelled{false};

  double percent() const;
  double records_per_second(int64_t now_us) const;
  double eta_seconds(int64_t now_us) const;  // negative: unknown
};

/// A version being built beside the live ones.
struct Replay {
  uint32_t version_id = 0;
  std::string view;
  ReplayProgress progress;
  std::thread thread;
  // What upstream tables and views changed since the replay began, for its injected inputs. Filled by the epoch thread.
  std::mutex mutex;
  std::vector<std::pair<int, data::ChangeBatch>> pending;  // scan index, rows in the scan's columns
  // Owned by the replay thread until it asks for the handover.
  std::unique_ptr<flow::LogFlow> flow;
  std::unique_ptr<flow::JournalReader> journal;
  std::vector<flow::EpochRecord> ahead;  // read from the journal, not processed yet
  std::vector<flow::DeadLetter> dead;    // rows that the version leaves out
  std::atomic<bool> ended{false};        // the thread has nothing more to do
};

/// Of a version whose replay met an error that may pass.
struct ReplayRetry {
  std::string error;   // the last one
  int failures = 0;    // in a row
  int64_t due_us = 0;  // steady time from which on it may begin again
};

/// A version that exists at run time.
struct VersionRuntime {
  uint32_t id = 0;
  int number = 0;
  std::string view;
  plan::NodePtr plan;
  std::vector<flow::ViewInput> inputs;
  std::unique_ptr<ops::ViewStore> store;  // guarded by publish_ once `live`
  bool live = false;                      // takes part in epochs and may be read
  std::shared_ptr<Replay> replay;         // while it is built
  int64_t errors = 0;
  uint64_t state_bytes = 0;
};

struct TableRuntime {
  uint32_t id = 0;
  std::string name;
  std::unique_ptr<ops::ViewStore> store;
  std::mutex dml;  // one writing statement at a time
};

/// The settings of a session by name.
using Settings = std::map<std::string, std::string, std::less<>>;

/// What pg_stat_activity shows of a session.
struct SessionInfo {
  std::mutex mutex;
  PgActivity activity;
};

/// What a query reads: one epoch's picture.
struct ReadSet {
  uint64_t epoch = 0;
  int64_t wall_us = 0;
  catalog::SnapshotPtr catalog;
  std::map<std::pair<std::string, int>, ops::ViewSnapshot> views;  // name, version asked for (0: routed)
  std::map<std::string, ops::ViewSnapshot> tables;
  std::map<std::string, int> versions;  // view name -> version read
  const Settings* settings = nullptr;   // of the session that reads; may be null
};

struct RateMeter {
  std::deque<std::pair<int64_t, int64_t>> samples;  // steady us, count
  void Add(int64_t now_us, int64_t count);
  double per_second() const;
};

class Core final : public Engine {
 public:
  Core(EngineOptions options, io::Clock& clock);
  ~Core() override;
  Status Start();

  Status Close() override;
  std::unique_ptr<Session> NewSession() override;
  Result<std::unique_ptr<Subscription>> Subscribe(std::string_view view, int version, bool with_snapshot) override;
  log::Log& log() override { return *log_; }
  group::Groups& groups() override { return *groups_; }
  txn::Transactions& transactions() override { return *transactions_; }
  quota::ClientQuotas& quotas() override { return *quotas_; }
  Status DeleteTopic(const std::string& name) override;
  Status ChangeTopic(const std::string& name, const std::function<Status()>& change) override;
  Status DeleteRecords(log::Partition& partition, log::Offset before) override;
  io::Clock& clock() override { return clock_; }
  std::string StatusJson() override;
  std::string MetricsText() override;
  bool healthy(std::string* why) override;
  Status WaitVisible(int64_t timeout_us) override;

  // ---- for sessions
  const EngineOptions& options() const { return options_; }
  catalog::SnapshotPtr catalog() const { return catalog_->snapshot(); }
  sql::BindContext MakeBindContext(const catalog::Snapshot& snapshot) const;
  /// Runs `work` on the epoch thread between two epochs and waits for it. Fails, instead of waiting with them, while epochs wait for a log that
  /// cannot be read.
  Status AtBoundary(std::function<Status()> work) { return AtBoundary(std::move(work), /*patient=*/false); }
  /// The same for what must be done in any case: waits for as long as it takes.
  Status AtBoundaryInTime(std::function<Status()> work) { return AtBoundary(std::move(work), /*patient=*/true); }
  Status DropTopic(const std::string& name);
  void AppendGroupMetrics(std::string& out);
  void AppendTransactionMetrics(std::string& out);
  uint64_t visible_epoch() const { return visible_epoch_.load(); }

  Status CreateStream(const sql::CreateStreamStatement& statement, std::string* notice);
  Status CreateTable(const sql::CreateTableStatement& statement, std::string* notice);
  Status CreateType(const sql::CreateTypeStatement& statement, std::string_view sql);
  Status CreateDomain(const sql::CreateDomainStatement& statement);
  /// Starts the replay; `version_number` is the new version's. Does not wait.
  Status CreateView(const sql::CreateViewStatement& statement, std::string_view sql, std::string* notice, int* version_number);
  /// Waits until the version can be read, or failed.
  Status WaitReady(const std::string& view, int version, const std::function<bool()>& cancelled);
  Status AlterView(const sql::AlterViewStatement& statement);
  Status Drop(const sql::DropStatement& statement, std::vector<std::string>* notices);
  Status DropTypes(const sql::DropStatement& statement, std::vector<std::string>* notices);  // epoch thread
  /// Replays the whole log into a scratch copy of the version and compares digests.
  struct Verification {
    std::string view;
    int version = 0;
    uint64_t epoch = 0;
    std::string live_digest;
    std::string replayed_digest;
    int64_t rows = 0;
    int64_t records = 0;
    double seconds = 0;
    bool equal = false;
  };
  Result<Verification> Verify(const std::string& view, int version, const std::function<bool()>& cancelled);

  Result<ReadSet> OpenReadSet(const std::vector<const plan::Scan*>& scans, uint64_t route_key, int64_t wait_us);
  /// Runs a bound plan to its end.
  Result<data::Batch> RunQuery(const plan::NodePtr& plan, ReadSet& reads, const expr::EvalContext& context, const std::function<bool()>& cancelled);
  Result<data::Batch> RunPlan(const plan::NodePtr& plan, ReadSet& reads, const expr::EvalContext& context, const std::function<bool()>& cancelled,
                              flow::ThreadPool& pool, int depth, std::vector<flow::Graph::NodeStats>* stats);
  /// Runs the plan and tells what each operator did, as lines or as a JSON document.
  Result<std::string> ExplainAnalyze(const plan::NodePtr& plan, ReadSet& reads, const expr::EvalContext& context,
                                     const std::function<bool()>& cancelled, bool json);
  /// What the operators of a live version did since the server started or the version's replay began.
  Result<std::string> ExplainLive(const std::string& view, int version, bool json);
  Result<int64_t> InsertIntoStream(const std::string& name, const data::Batch& rows, const std::function<bool()>& cancelled);
  Result<int64_t> InsertIntoTable(const std::string& name, const data::Batch& rows, sql::InsertStatement::Conflict conflict,
                                  const std::function<bool()>& cancelled);
  Result<int64_t> UpdateTable(const std::string& name, const data::Batch& rows, bool remove, const std::function<bool()>& cancelled);
  TableRuntime* FindTableRuntime(const std::string& name);

  Result<data::Batch> SystemRows(std::string_view name, const ReadSet& reads);
  Result<data::Batch> TableFunctionRows(std::string_view name, const std::vector<data::Value>& arguments, const std::function<Status()>& check);
  Result<data::Batch> PlanRows(const std::string& text);
  Result<data::Schema> TableFunctionSchema(std::string_view name, const std::vector<data::Value>& arguments) const;
  Result<data::Value> EngineFunction(std::string_view name, const std::vector<data::Value>& arguments, const catalog::Snapshot& snapshot,
                                     const Settings& settings);
  std::shared_ptr<SessionInfo> RegisterSession();
  std::atomic<int64_t> sessions{0};

 private:
  friend class SubscriptionImpl;
  friend class QueryRun;
  struct Command {
    std::function<Status()> work;
    bool patient = false;  // waits with the epochs
    std::optional<Status> outcome;
  };
  struct Positions {
    std::map<std::pair<uint32_t, int32_t>, log::Offset> ends;
  };

  // engine.cc (epoch thread)
  void Run();
  Status RunEpoch();
  std::optional<flow::EpochRecord> CutEpoch();
  Status Process(std::span<const flow::EpochRecord> epochs, flow::FlowChanges& changes);
  Status Publish(const flow::EpochRecord& last, flow::FlowChanges& changes);
  void AddDeadLetters(std::vector<flow::DeadLetter>& dead);    // publish_ held
  void RemoveDeadLetters(const std::string& view);              // publish_ held: those of a version, "v$1"
  static std::string VersionName(const VersionRuntime& runtime);
  void QueueForReplays(const flow::FlowChanges& changes);
  void QueueInjection(VersionRuntime& runtime, int scan, const data::ChangeBatch& rows);
  void NotifySubscribers(uint64_t epoch, const flow::FlowChanges& changes);  // publish_ held
  void ResetSubscribers(const std::string& view);                            // publish_ held: it switched versions
  bool RunCommands();
  Status AtBoundary(std::function<Status()> work, bool patient);
  void FailCommands(const Error& error, bool patient_too);  // wake_mutex_ held
  /// log::Patience of live views: for as long as the server runs. Threads of the pool.
  bool WaitForLog(const log::Partition& partition, log::Offset from, int failures);
  void NoteLogIsRead();
  bool HasMemory();
  void Housekeeping();
  /// By topic and partition: records from there on are to be kept, and not to be compacted.
  struct LogNeeds {
    struct Need {
      log::Offset from = std::numeric_limits<log::Offset>::max();
      std::string by;  // what needs them, for people; empty: nothing does
    };
    using ByTopic = std::map<std::string, std::vector<Need>>;
    ByTopic keep, compact;
    static Need Of(const ByTopic& needs, const log::Partition& partition);
    static log::Offset Below(const ByTopic& needs, const log::Partition& partition) {
      return std::min(Of(needs, partition).from, partition.end_offset());
    }
  };
  LogNeeds NeedsOfLog();  // epoch thread
  /// What retention keeps of each partition, and for what; of transactions too.
  Result<std::function<LogNeeds::Need(const log::Partition&)>> LogHolds();
  /// Takes notice that the last checkpoint which was taken is on disk, if it is.
  void NoteWrittenCheckpoint() {
    if (!checkpoint_running_ && checkpoint_written_.exchange(false)) checkpoint_ends_ = checkpoint_taken_ends_;
  }
  void CleanLog();
  Status AddStreamRuntime(const catalog::Stream& stream);
  Status AddTableRuntime(const catalog::Table& table);
  flow::StreamSpec SpecOf(const catalog::Stream& stream) const;
  flow::TableSpec SpecOf(const catalog::Table& table) const;
  std::vector<flow::ConstrainedColumn> ConstraintsOf(const std::map<int, std::string>& domains) const;
  flow::FlowOptions ViewFlowOptions() const;
  flow::FlowOptions LiveFlowOptions();
  Status WaitForVisible(uint32_t relation, const std::vector<log::Offset>& offsets, const std::function<bool()>& cancelled);
  Result<int64_t> AppendRecords(log::Topic& topic, uint32_t relation,
                                const std::vector<std::pair<std::optional<std::string>, std::optional<std::string>>>& records, bool by_key,
                                const std::function<bool()>& cancelled);

  // replay.cc
  Result<std::vector<flow::ViewInput>> ResolveInputs(const plan::Node& plan, const catalog::Snapshot& snapshot) const;
  Result<plan::NodePtr> BindVersion(const catalog::ViewVersion& version, const catalog::Snapshot& snapshot) const;
  Status StartReplay(const catalog::View& view, const catalog::ViewVersion& version);  // epoch thread
  void RunReplay(std::shared_ptr<Replay> replay, std::shared_ptr<VersionRuntime> runtime);
  Status ReplayTo(Replay& replay, VersionRuntime& runtime, uint64_t target);
  Status FinishReplay(std::shared_ptr<Replay> replay);                                   // epoch thread
  void StopReplay(VersionRuntime& runtime);
  // replay_failure.cc: epoch thread
  void FailReplay(const std::string& view, uint32_t version_id, const Error& error);
  void RetryReplay(uint32_t version_id, const Error& error);
  void EndReplay(uint32_t version_id);
  bool WaitsForRetry(uint32_t version_id);
  // replay.cc, again
  Status Promote(const std::string& view, int version, bool rollback);                   // epoch thread
  Status RetireVersion(const std::string& view, int version);                            // epoch thread
  void RemoveVersion(uint32_t id);                                                      // epoch thread
  std::vector<std::string> Dependents(const catalog::Snapshot& snapshot, std::string_view name) const;

  // recovery.cc
  Status Recover();
  Status ReplayTail(log::Offset journal_from, uint64_t after_epoch);
  void MaybeCheckpoint(bool force);
  Status WriteCheckpoint(bool wait);
  void RebuildLost();
  std::string EncodeMeta() const;
  Status RestoreFrom(std::string_view bytes);  // a CheckpointMeta

  EngineOptions options_;
  io::Clock& clock_;
  PgCatalogContext CatalogContext(const catalog::Snapshot& snapshot, const Settings* settings);

  std::unique_ptr<io::FolderLock> lock_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<group::Groups> groups_;
  std::unique_ptr<txn::Transactions> transactions_;
  std::unique_ptr<quota::ClientQuotas> quotas_;
  std::unique_ptr<catalog::CatalogLog> catalog_;
  std::shared_ptr<log::Topic> journal_;
  std::unique_ptr<state::CheckpointStore> checkpoints_;
  std::unique_ptr<flow::ThreadPool> pool_;         // live
  std::unique_ptr<flow::ThreadPool> replay_pool_;  // replays and verification, at a lower priority
  int shards_ = 1;

  // Epoch thread.
  std::unique_ptr<flow::LogFlow> flow_;
  Positions positions_;  // ends up to which epochs were cut
  uint64_t epoch_ = 0;
  log::Offset journal_end_ = 0;  // offset after the record of epoch_
  std::map<std::pair<uint32_t, int32_t>, int64_t> last_data_us_;  // steady clock, for idleness
  std::set<std::pair<uint32_t, int32_t>> idle_;
  int64_t last_checkpoint_us_ = 0;
  uint64_t checkpoint_epoch_ = 0;
  bool checkpoint_forced_ = false;
  int64_t records_since_checkpoint_ = 0;
  std::atomic<int64_t> checkpoint_write_us_{0};  // what writing the last one took
  std::atomic<bool> checkpoint_full_{false};  // after a failed write: all pages next time
  std::set<uint32_t> rebuild_;                // versions whose state was lost, waiting for their inputs, or for an error to pass
  std::map<uint32_t, ReplayRetry> retries_;   // changed by the epoch thread, guarded by publish_
  std::thread checkpoint_thread_;
  std::atomic<bool> checkpoint_running_{false};
  int64_t last_housekeeping_us_ = 0;
  int64_t last_cleanup_us_ = 0;
  bool out_of_memory_ = false;    // state is at its bound and cannot spill
  uint64_t last_epoch_seen_ = 0;
  int64_t quiet_since_us_ = 0;    // 0: free memory was given back since the last epoch
  std::map<std::pair<uint32_t, int32_t>, log::Offset> checkpoint_ends_;        // of the last checkpoint that is on disk
  std::map<std::pair<uint32_t, int32_t>, log::Offset> checkpoint_taken_ends_;  // of the last one taken
  std::atomic<bool> checkpoint_written_{false};                                // that one
  std::vector<std::shared_ptr<Replay>> finished_replays_;  // threads to join

  // What wakes the epoch thread.
  std::mutex wake_mutex_;
  std::condition_variable wake_;
  bool data_waiting_ = false;
  std::atomic<int64_t> oldest_waiting_us_{0};  // steady clock, when the oldest unseen records became durable
  std::deque<std::shared_ptr<Command>> commands_;
  std::condition_variable command_done_;
  bool stop_ = false;
  std::atomic<bool> closing_{false};
  std::atomic<bool> recovering_{true};
  std::optional<Error> fatal_;  // guarded by wake_mutex_: why the epoch thread gave up
  std::optional<Error> log_wait_;  // guarded by wake_mutex_: why epochs wait
  std::atomic<uint64_t> log_read_retries_{0};
  std::atomic<bool> live_{false};  // from the start of the epoch thread on
  int listener_ = -1;
  std::thread thread_;

  // What readers see.
  mutable std::mutex publish_;
  std::condition_variable visible_changed_;
  std::map<uint32_t, std::shared_ptr<VersionRuntime>> versions_;  // by version id
  std::map<std::string, std::unique_ptr<TableRuntime>, std::less<>> tables_;
  std::unique_ptr<ops::ViewStore> dead_letters_;
  int64_t dead_letters_dropped_ = 0;
  std::map<std::pair<uint32_t, int32_t>, log::Offset> visible_;
  std::atomic<uint64_t> visible_epoch_{0};
  int64_t visible_wall_us_ = 0;
  struct StreamFigures {
    int64_t rows = 0, late = 0, dead = 0, watermark = flow::kNoWatermark;
    std::vector<int64_t> partition_watermarks;
    std::vector<bool> idle;
  };
  std::map<uint32_t, StreamFigures> stream_figures_;
  std::vector<std::weak_ptr<SubscriptionImpl>> subscriptions_;

  std::mutex sessions_mutex_;
  std::vector<std::weak_ptr<SessionInfo>> session_infos_;

  // Figures.
  int64_t opened_us_ = 0;  // steady
  std::atomic<double> last_replay_rate_{0};  // records/s, for estimates
  RateMeter epoch_rate_;
  std::map<uint32_t, RateMeter> stream_rates_;
  std::atomic<int64_t> recovery_us_{0};
  struct Histogram {
    static constexpr int kBuckets = 24;
    std::atomic<int64_t> counts[kBuckets] = {};
    std::atomic<int64_t> sum_us{0};
    std::atomic<int64_t> total{0};
    void Add(int64_t us);
  };
  Histogram freshness_;
  Histogram epoch_seconds_;
  std::atomic<uint64_t> insert_counter_{0};
};

/// Scans of a plan, sub-queries left out.
void CollectScans(const plan::Node& node, std::vector<const plan::Scan*>& scans);
/// The same, with the scans of sub-queries in expressions.
void CollectAllScans(const plan::Node& node, std::vector<const plan::Scan*>& scans);
const std::vector<sql::SystemRelation>& KappaRelations();
data::Schema PlanSchema();  // of kappa.plan

}  // namespace kappa::engine
