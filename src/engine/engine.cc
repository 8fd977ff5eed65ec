// Opening, closing, and the epoch loop: cut an epoch, journal it, compute it, make it visible.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "engine/core.h"
#include "io/folder.h"
#include "log/record_batch.h"
#include "state/memory.h"

namespace kappa::engine {
namespace {

constexpr int64_t kEpochRecordsMax = 400'000;  // what one epoch may hold: bounds its memory
constexpr int64_t kHousekeepingUs = 1'000'000;
constexpr int64_t kCatchUpUs = 10'000'000;
constexpr std::chrono::milliseconds kLogPauseFirst{50}, kLogPauseMost{5000};  // between reads of a log that cannot be read; doubled each time
constexpr int64_t kTickUs = 1'000'000;  // between epochs that hold no records
constexpr int64_t kQuietUs = 2'000'000;  // after so long without an epoch, memory that was kept for the next is given back

data::Schema DeadLetterSchema() {
  data::Schema schema;
  schema.fields = {{"topic", data::TypeId::kText, false},  {"partition", data::TypeId::kInt4, false}, {"offset", data::TypeId::kInt8, false},
                   {"reason", data::TypeId::kText, false}, {"bytes", data::TypeId::kBytea, true},     {"view", data::TypeId::kText, true}};
  return schema;
}

log::Isolation IsolationOf(const catalog::Stream& stream) {
  return stream.read_uncommitted ? log::Isolation::kReadUncommitted : log::Isolation::kReadCommitted;
}

log::Offset ReadableEnd(const log::Partition& partition, log::Isolation isolation) {
  return isolation == log::Isolation::kReadCommitted ? partition.last_stable_offset() : partition.durable_end();
}

}  // namespace

Core::Core(EngineOptions options, io::Clock& clock) : options_(std::move(options)), clock_(clock) {
  shards_ = options_.threads > 0 ? options_.threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  dead_letters_ = std::make_unique<ops::ViewStore>(DeadLetterSchema(), std::vector<int>{});
}

Core::~Core() { (void)Close(); }

Result<std::unique_ptr<Engine>> Engine::Open(EngineOptions options, io::Clock& clock) {
  auto core = std::make_unique<Core>(std::move(options), clock);
  KAPPA_RETURN_IF_ERROR(core->Start());
  return std::unique_ptr<Engine>(std::move(core));
}

Status Core::Start() {
  opened_us_ = clock_.SteadyMicros();
  KAPPA_RETURN_IF_ERROR(io::CreateFolders(options_.folder));
  KAPPA_ASSIGN_OR_RETURN(lock_, io::FolderLock::Take(options_.folder));
  KAPPA_RETURN_IF_ERROR(
      state::SetMemoryLimit(options_.state_memory_bytes > 0 ? options_.state_memory_bytes : state::DefaultMemoryLimit(), options_.folder));
  KAPPA_ASSIGN_OR_RETURN(log_, log::Log::Open(options_.folder + "/log", options_.log, clock_));
  KAPPA_ASSIGN_OR_RETURN(groups_, group::Groups::Open(options_.groups, *log_, clock_));
  KAPPA_ASSIGN_OR_RETURN(transactions_, txn::Transactions::Open(options_.transactions, *log_, *groups_, clock_));
  KAPPA_ASSIGN_OR_RETURN(quotas_, quota::ClientQuotas::Open(options_.folder + "/quotas"));
  KAPPA_ASSIGN_OR_RETURN(catalog_, catalog::CatalogLog::Open(*log_));
  KAPPA_ASSIGN_OR_RETURN(journal_, flow::OpenJournal(*log_));
  pool_ = std::make_unique<flow::ThreadPool>(shards_);
  replay_pool_ = std::make_unique<flow::ThreadPool>(shards_, 5);
  KAPPA_RETURN_IF_ERROR(Recover());
  listener_ = log_->AddDurableListener([this](log::Partition&) {
    int64_t none = 0;
    oldest_waiting_us_.compare_exchange_strong(none, clock_.SteadyMicros());
    std::lock_guard guard(wake_mutex_);
    data_waiting_ = true;
    wake_.notify_one();
  });
  data_waiting_ = true;  // what was durable before we opened
  live_ = true;
  thread_ = std::thread([this] { Run(); });
  // What was acknowledged before the restart is answered from the first query on. A full disk must not keep readers out.
  (void)WaitVisible(kCatchUpUs);
  recovering_ = false;
  recovery_us_ = clock_.SteadyMicros() - opened_us_;
  return {};
}

Status Core::Close() {
  if (closing_.exchange(true)) return {};
  std::vector<std::shared_ptr<Replay>> replays;
  {
    std::lock_guard guard(publish_);
    for (auto& [id, runtime] : versions_) {
      if (runtime->replay) replays.push_back(runtime->replay);
    }
  }
  for (auto& replay : replays) replay->progress.cancelled = true;
  {
    std::lock_guard guard(wake_mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  {
    // Nobody answers commands any more.
    std::lock_guard guard(wake_mutex_);
    for (auto& command : commands_) command->outcome = Error(sqlstate::kAdminShutdown, "the server is shutting down");
    commands_.clear();
    command_done_.notify_all();
  }
  replays.insert(replays.end(), finished_replays_.begin(), finished_replays_.end());
  for (auto& replay : replays) {
    if (replay->thread.joinable()) replay->thread.join();
  }
  if (checkpoint_thread_.joinable()) checkpoint_thread_.join();
  Status status;
  if (flow_ && checkpoints_ && !fatal_) status = WriteCheckpoint(true);
  {
    std::lock_guard guard(publish_);
    visible_changed_.notify_all();
  }
  transactions_.reset();
  groups_.reset();
  if (log_) {
    if (listener_ >= 0) log_->RemoveDurableListener(listener_);
    log_->Close();
  }
  return status;
}

void Core::Run() {
  while (true) {
    {
      std::unique_lock guard(wake_mutex_);
      wake_.wait_for(guard, std::chrono::milliseconds(100), [this] { return stop_ || data_waiting_ || !commands_.empty(); });
      if (stop_) return;
      data_waiting_ = false;
    }
    RunCommands();
    if (!HasMemory()) continue;  // a command may make room, and so may whoever looks after the disk
    Status status = RunEpoch();
    if (!status.ok()) {
      // The log is safe; what is derived from it stopped. Readers keep the last epoch, health says why.
      std::lock_guard guard(wake_mutex_);
      fatal_ = status.error();  // also of a wait that the end of the server cut short: half an epoch must not go to a checkpoint
      if (!stop_ || !log_wait_) fmt::print(stderr, "kappa: epochs stopped: {}\n", status.ToString());
      FailCommands(*fatal_, /*patient_too=*/true);
      return;
    }
    Housekeeping();
  }
}

bool Core::HasMemory() {
  Status status = state::CheckMemory();
  if (status.ok() != out_of_memory_) return status.ok();
  out_of_memory_ = !status.ok();
  fmt::print(stderr, "kappa: {}\n", status.ok() ? "state has room again, epochs go on" : "epochs wait: " + status.ToString());
  return status.ok();
}

bool Core::RunCommands() {
  bool any = false;
  while (true) {
    std::shared_ptr<Command> command;
    {
      std::lock_guard guard(wake_mutex_);
      if (commands_.empty()) return any;
      command = commands_.front();
      commands_.pop_front();
    }
    any = true;
    Status status = command->work();
    std::lock_guard guard(wake_mutex_);
    command->outcome = std::move(status);
    command_done_.notify_all();
  }
}

void Core::FailCommands(const Error& error, bool patient_too) {
  std::erase_if(commands_, [&](const auto& command) {
    if (command->patient && !patient_too) return false;
    command->outcome = error;
    return true;
  });
  command_done_.notify_all();
}

bool Core::WaitForLog(const log::Partition& partition, log::Offset from, int failures) {
  if (!live_) return log::BriefPatience(partition, from, failures);  // nobody is served yet: who starts the server is told
  ++log_read_retries_;
  const auto pause = std::min(kLogPauseMost, kLogPauseFirst * (1 << std::min(failures - 1, 10)));
  std::unique_lock guard(wake_mutex_);
  if (failures > log::kBriefFailuresMax && !log_wait_) {
    log_wait_ = Error(sqlstate::kIoError,
                      fmt::format("epochs wait: topic \"{}\" partition {} cannot be read at offset {}", partition.topic(), partition.index(), from))
                    .Hint("It is tried again and again. Look at the disk, and for the files of the topic.");
    fmt::print(stderr, "kappa: {}\n", log_wait_->ToString());
    FailCommands(*log_wait_, /*patient_too=*/false);
  }
  return !wake_.wait_for(guard, pause, [this] { return stop_; });
}

void Core::NoteLogIsRead() {
  std::lock_guard guard(wake_mutex_);
  if (!log_wait_) return;
  log_wait_.reset();
  fmt::print(stderr, "kappa: the log can be read again, epochs go on\n");
}

Status Core::AtBoundary(std::function<Status()> work, bool patient) {
  auto command = std::make_shared<Command>();
  command->work = std::move(work);
  command->patient = patient;
  std::unique_lock guard(wake_mutex_);
  if (fatal_) return *fatal_;
  if (log_wait_ && !patient) return *log_wait_;
  if (stop_) return Error(sqlstate::kAdminShutdown, "the server is shutting down");
  commands_.push_back(command);
  wake_.notify_one();
  command_done_.wait(guard, [&] { return command->outcome.has_value(); });
  return *command->outcome;
}

std::optional<flow::EpochRecord> Core::CutEpoch() {
  flow::EpochRecord record;
  record.epoch = epoch_ + 1;
  record.wall_us = std::max(clock_.WallMicros(), visible_wall_us_);  // never back, whatever the clock does: now() of views is this
  const int64_t now = clock_.SteadyMicros();
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  int64_t budget = kEpochRecordsMax;
  auto cut = [&](uint32_t relation, log::Topic& topic, int64_t idle_timeout_us, log::Isolation isolation) {
    for (int32_t p = 0; p < topic.partition_count(); ++p) {
      const std::pair key{relation, p};
      log::Offset& cut_to = positions_.ends[key];
      // Where aborted records are left out, what is not decided yet is not there yet: the epoch would depend on more than the log below its ends.
      const log::Offset readable = ReadableEnd(topic.partition(p), isolation);
      if (readable > cut_to && budget > 0) {
        // An epoch may end inside a batch only where it is bounded; readers cope with both.
        const log::Offset end = std::min(readable, std::max(cut_to, topic.partition(p).start_offset()) + budget);
        budget -= end - cut_to;
        records_since_checkpoint_ += end - cut_to;
        record.ends.push_back({relation, p, end});
        cut_to = end;
        last_data_us_[key] = now;
        if (idle_.erase(key) > 0) record.idle.push_back({relation, p, false});
        if (end < readable) {
          std::lock_guard guard(wake_mutex_);
          data_waiting_ = true;
        }
      } else if (idle_timeout_us >= 0 && topic.partition_count() > 1 && !idle_.contains(key)) {
        auto [seen, first] = last_data_us_.try_emplace(key, now);
        if (now - seen->second >= idle_timeout_us) {
          idle_.insert(key);
          record.idle.push_back({relation, p, true});
        }
      }
    }
  };
  for (const auto& [name, stream] : snapshot->streams) {
    if (auto topic = log_->FindTopic(stream.topic)) {
      cut(stream.id, *topic, stream.idle_timeout_ms < 0 ? -1 : stream.idle_timeout_ms * 1000, IsolationOf(stream));
    }
  }
  for (const auto& [name, table] : snapshot->tables) {
    if (auto topic = log_->FindTopic(table.topic)) cut(table.id, *topic, -1, log::Isolation::kReadCommitted);
  }
  if (record.ends.empty() && record.idle.empty()) {
    // Rows come and go with time where views read now(): an epoch without records, at most one a second.
    if (flow_->next_due_us() > record.wall_us || record.wall_us - visible_wall_us_ < kTickUs) return std::nullopt;
  }
  return record;
}

Status Core::RunEpoch() {
  const int64_t waiting_since = oldest_waiting_us_.exchange(0);
  std::optional<flow::EpochRecord> record = CutEpoch();
  if (!record) return {};
  const int64_t begin = clock_.SteadyMicros();

  // The record's fsync overlaps the processing; nothing is visible before both are done.
  log::BatchBuilder batch;
  batch.Add(record->wall_us / 1000, std::nullopt, record->Encode());
  auto mutex = std::make_shared<std::mutex>();
  auto durable = std::make_shared<std::condition_variable>();
  auto outcome = std::make_shared<std::optional<log::KafkaError>>();
  const std::string bytes = batch.Finish();
  log::AppendResult append;
  while (true) {
    append = journal_->partition(0).Append(bytes, [mutex, durable, outcome](log::KafkaError error) {
      std::lock_guard guard(*mutex);
      *outcome = error;
      durable->notify_all();
    });
    if (append.error == log::KafkaError::kNone) break;
    // Disk full: wait for space, nothing is lost meanwhile. Stop when asked.
    fmt::print(stderr, "kappa: could not write the journal ({}); trying again in a second\n", append.message);
    std::unique_lock guard(wake_mutex_);
    if (wake_.wait_for(guard, std::chrono::seconds(1), [this] { return stop_; })) return {};
  }
  flow::FlowChanges changes;
  KAPPA_RETURN_IF_ERROR(Process(std::span(&*record, 1), changes));
  {
    std::unique_lock guard(*mutex);
    durable->wait(guard, [&] { return outcome->has_value(); });
    if (**outcome != log::KafkaError::kNone) return Error(sqlstate::kIoError, "could not make the journal durable");
  }
  epoch_ = record->epoch;
  journal_end_ = append.next_offset;
  KAPPA_RETURN_IF_ERROR(Publish(*record, changes));
  const int64_t now = clock_.SteadyMicros();
  epoch_seconds_.Add(now - begin);
  if (waiting_since > 0) freshness_.Add(now - waiting_since);
  return {};
}

Status Core::Process(std::span<const flow::EpochRecord> epochs, flow::FlowChanges& changes) {
  KAPPA_RETURN_IF_ERROR(flow_->Advance(epochs, true, changes));
  NoteLogIsRead();
  QueueForReplays(changes);
  return {};
}

void Core::AddDeadLetters(std::vector<flow::DeadLetter>& dead) {
  if (dead.empty()) return;
  data::ColumnBuilder topic(data::TypeId::kText), partition(data::TypeId::kInt4), offset(data::TypeId::kInt8), reason(data::TypeId::kText),
      bytes(data::TypeId::kBytea), view(data::TypeId::kText);
  int64_t rows = 0;
  for (const flow::DeadLetter& letter : dead) {
    if (dead_letters_->row_count() + rows >= options_.dead_letters_max) {
      ++dead_letters_dropped_;  // still in the log; only this copy is bounded
      continue;
    }
    topic.AppendBytes(letter.topic);
    partition.Append<int32_t>(letter.partition);
    offset.Append<int64_t>(letter.offset);
    reason.AppendBytes(letter.reason);
    const auto left_out_by = versions_.find(letter.view);
    if (letter.view == 0 || left_out_by == versions_.end()) {
      bytes.AppendBytes(std::string_view(letter.bytes).substr(0, 64 << 10));
      view.AppendNull();
    } else {
      bytes.AppendNull();  // the record is whole, in the log
      view.AppendBytes(VersionName(*left_out_by->second));
    }
    ++rows;
  }
  if (rows == 0) return;
  data::Batch batch;
  batch.rows = rows;
  for (data::ColumnBuilder* builder : {&topic, &partition, &offset, &reason, &bytes, &view}) batch.columns.push_back(builder->Finish());
  Status status = dead_letters_->Apply(data::ChangeBatch(std::move(batch)));
  KAPPA_CHECK(status.ok());
}

std::string Core::VersionName(const VersionRuntime& runtime) { return fmt::format("{}${}", runtime.view, runtime.number); }

void Core::RemoveDeadLetters(const std::string& view) {
  std::vector<int> columns(static_cast<size_t>(DeadLetterSchema().size()));
  std::iota(columns.begin(), columns.end(), 0);
  std::vector<data::ChangeBatch> gone;
  dead_letters_->Snapshot().Scan(columns, 8192, [&](data::Batch batch) {
    std::vector<int32_t> rows;
    const data::Column& names = *batch.columns.back();
    for (int64_t i = 0; i < batch.rows; ++i)
      if (!names.IsNull(i) && names.bytes(i) == view) rows.push_back(static_cast<int32_t>(i));
    data::ChangeBatch part = data::Gather(data::ChangeBatch(std::move(batch)), rows);
    part.weights = std::make_shared<const std::vector<int64_t>>(rows.size(), -1);
    if (!rows.empty()) gone.push_back(std::move(part));
    return true;
  });
  for (data::ChangeBatch& part : gone) KAPPA_CHECK(dead_letters_->Apply(std::move(part)).ok());
}

Status Core::Publish(const flow::EpochRecord& last, flow::FlowChanges& changes) {
  std::lock_guard guard(publish_);
  for (auto& [id, batches] : changes.tables) {
    for (auto& [name, table] : tables_) {
      if (table->id == id) KAPPA_RETURN_IF_ERROR(table->store->Apply(batches));
    }
  }
  for (auto& [id, batches] : changes.views) {
    auto version = versions_.find(id);
    if (version == versions_.end() || !version->second->live) continue;
    KAPPA_RETURN_IF_ERROR(version->second->store->Apply(batches));
  }
  AddDeadLetters(changes.dead);
  for (const auto& [key, end] : positions_.ends) visible_[key] = end;
  for (const auto& [id, feed] : flow_->streams()) {
    StreamFigures& figures = stream_figures_[id];
    figures.rows = feed->rows();
    figures.late = feed->late_rows();
    figures.dead = feed->dead_rows();
    figures.watermark = feed->clock().watermark();
    figures.partition_watermarks.clear();
    figures.idle.clear();
    for (int p = 0; p < feed->clock().partitions(); ++p) {
      figures.partition_watermarks.push_back(feed->clock().partition_watermark(p));
      figures.idle.push_back(feed->clock().idle(p));
    }
  }
  visible_epoch_ = last.epoch;
  visible_wall_us_ = last.wall_us;
  NotifySubscribers(last.epoch, changes);
  visible_changed_.notify_all();
  return {};
}

void Core::QueueForReplays(const flow::FlowChanges& changes) {
  for (auto& [id, runtime] : versions_) {
    if (!runtime->replay) continue;
    for (size_t i = 0; i < runtime->inputs.size(); ++i) {
      const flow::ViewInput& input = runtime->inputs[i];
      const bool table = input.kind == flow::ViewInput::Kind::kTable;
      if (!table && input.kind != flow::ViewInput::Kind::kView) continue;
      const auto& source = table ? changes.tables : changes.views;
      auto rows = source.find(input.id);
      if (rows == source.end()) continue;
      for (const data::ChangeBatch& batch : rows->second) QueueInjection(*runtime, static_cast<int>(i), batch);
    }
  }
}

void Core::Housekeeping() {
  const int64_t now = clock_.SteadyMicros();
  if (now - last_housekeeping_us_ >= kHousekeepingUs) {
    last_housekeeping_us_ = now;
    for (auto& replay : finished_replays_) {
      if (replay->ended && replay->thread.joinable()) replay->thread.join();
    }
    RebuildLost();
    std::erase_if(finished_replays_, [](const auto& replay) { return !replay->thread.joinable(); });
    std::lock_guard guard(publish_);
    epoch_rate_.Add(now, static_cast<int64_t>(epoch_));
    for (const auto& [id, figures] : stream_figures_) stream_rates_[id].Add(now, figures.rows + figures.dead);
    for (auto& [id, runtime] : versions_) {
      if (!runtime->live || !flow_->HasView(id)) continue;
      runtime->errors = flow_->graph(id).errors();
      runtime->state_bytes = flow_->graph(id).state_bytes() + runtime->store->memory_bytes();
    }
  }
  if (now - last_cleanup_us_ >= options_.cleanup_interval_us) {
    last_cleanup_us_ = now;
    CleanLog();
  }
  MaybeCheckpoint(false);
  if (epoch_ != last_epoch_seen_ || checkpoint_running_) {
    last_epoch_seen_ = epoch_;
    quiet_since_us_ = now;
  } else if (quiet_since_us_ != 0 && now - quiet_since_us_ >= kQuietUs) {
    quiet_since_us_ = 0;
    state::ReleaseFreeMemory();
  }
}

Core::LogNeeds::Need Core::LogNeeds::Of(const ByTopic& needs, const log::Partition& partition) {
  if (partition.topic().starts_with("__")) return {0, "the server itself"};
  auto it = needs.find(partition.topic());
  if (it == needs.end() || static_cast<size_t>(partition.index()) >= it->second.size()) return {};
  return it->second[static_cast<size_t>(partition.index())];
}

Core::LogNeeds Core::NeedsOfLog() {
  NoteWrittenCheckpoint();
  // Kept: what a running replay has still to read, and what a restart would read after the last checkpoint.
  LogNeeds needs;
  auto& [keep, compact] = needs;
  auto checkpointed = [&](int64_t relation, int partition) {
    auto stored = checkpoint_ends_.find({relation, partition});
    return stored == checkpoint_ends_.end() ? 0 : stored->second;
  };
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  for (const auto& [name, stream] : snapshot->streams) {
    std::string replay = retries_.empty() ? "" : "a replay that begins again soon";
    for (const auto& [id, runtime] : versions_) {
      if (!runtime->replay) continue;
      for (const flow::ViewInput& input : runtime->inputs) {
        if (input.kind == flow::ViewInput::Kind::kStream && input.id == stream.id) replay = "the replay of " + VersionName(*runtime);
      }
    }
    std::vector<LogNeeds::Need>& of_topic = keep[stream.topic];  // which other streams may read too
    of_topic.resize(std::max(of_topic.size(), static_cast<size_t>(stream.partitions)));
    for (int32_t p = 0; p < stream.partitions; ++p) {
      LogNeeds::Need need{checkpointed(stream.id, p), "a restart, until the next checkpoint"};
      if (!replay.empty()) need = {0, replay};
      if (need.from < of_topic[static_cast<size_t>(p)].from) of_topic[static_cast<size_t>(p)] = std::move(need);
    }
    compact[stream.topic] = of_topic;
  }
  for (const auto& [name, table] : snapshot->tables) {
    keep[table.topic] = {{0, "table " + name}};
    // What a table holds is the last record of each key, so that compaction takes nothing from it; but its versions are all of them.
    compact[table.topic] = {{table.version_time >= 0 ? 0 : checkpointed(table.id, 0), "table " + name}};
  }
  return needs;
}

Result<std::function<Core::LogNeeds::Need(const log::Partition&)>> Core::LogHolds() {
  LogNeeds needs;
  KAPPA_RETURN_IF_ERROR(AtBoundary([&]() -> Status {
    needs = NeedsOfLog();
    return {};
  }));
  return [keep = std::move(needs.keep)](const log::Partition& partition) {
    LogNeeds::Need need = LogNeeds::Of(keep, partition);
    const log::Offset stable = partition.last_stable_offset();
    if (stable < partition.durable_end() && stable < need.from) need = {stable, "a transaction that is open"};
    return need;
  };
}

void Core::CleanLog() {
  const LogNeeds needs = NeedsOfLog();
  log_->ApplyRetention([&](const log::Partition& partition) { return LogNeeds::Below(needs.keep, partition); });
  log_->AllowCompaction([&](const log::Partition& partition) { return LogNeeds::Below(needs.compact, partition); });
}

Status Core::DeleteRecords(log::Partition& partition, log::Offset before) {
  return AtBoundary([&]() -> Status {
    const log::Offset needed = LogNeeds::Below(NeedsOfLog().keep, partition);
    if (before <= needed) return partition.DeleteBefore(before);
    return Error(sqlstate::kDependentObjectsStillExist,
                 fmt::format("records of topic \"{}\" partition {} from offset {} on are still needed", partition.topic(), partition.index(), needed))
        .Detail("A table keeps all its records; a stream those that a running replay, or a restart since the last checkpoint, has still to read.")
        .Hint("Try again after the replay, or the next checkpoint.");
  });
}

flow::StreamSpec Core::SpecOf(const catalog::Stream& stream) const {
  flow::StreamSpec spec;
  spec.id = stream.id;
  spec.name = stream.name;
  spec.topic = stream.topic;
  spec.schema = stream.schema;
  spec.event_time = stream.event_time;
  spec.watermark_delay_us = stream.watermark_delay_us + stream.allowed_lateness_us;
  spec.future_limit_us = stream.future_limit_us;
  spec.partitions = stream.partitions;
  spec.isolation = IsolationOf(stream);
  spec.constraints = ConstraintsOf(stream.domains);
  if (stream.json_timestamps == "s") spec.decode.json_timestamps = format::JsonTimestamps::kSeconds;
  if (stream.json_timestamps == "ms") spec.decode.json_timestamps = format::JsonTimestamps::kMillis;
  if (stream.json_timestamps == "us") spec.decode.json_timestamps = format::JsonTimestamps::kMicros;
  return spec;
}

flow::FlowOptions Core::ViewFlowOptions() const {
  flow::FlowOptions options;
  options.shards = shards_;
  options.batch_rows = options_.batch_rows;
  options.operators.context.fail_on_error = false;
  return options;
}

flow::FlowOptions Core::LiveFlowOptions() {
  flow::FlowOptions options = ViewFlowOptions();
  options.patience = [this](const log::Partition& partition, log::Offset from, int failures) { return WaitForLog(partition, from, failures); };
  return options;
}

Status Core::AddStreamRuntime(const catalog::Stream& stream) {
  auto topic = log_->FindTopic(stream.topic);
  if (!topic) return Error(sqlstate::kDataCorrupted, fmt::format("topic \"{}\" of stream \"{}\" is missing", stream.topic, stream.name));
  flow_->AddStream(SpecOf(stream), std::move(topic));
  return {};
}

std::vector<flow::ConstrainedColumn> Core::ConstraintsOf(const std::map<int, std::string>& domains) const {
  std::vector<flow::ConstrainedColumn> constraints;
  if (domains.empty()) return constraints;
  Result<std::map<int, expr::DomainPtr>> bound = sql::BindDomains(domains, MakeBindContext(*catalog_->snapshot()));
  KAPPA_CHECK(bound.ok());  // it was bound when it was made, and a domain does not change
  for (auto& [column, domain] : *bound) constraints.push_back({column, std::move(domain)});
  return constraints;
}

flow::TableSpec Core::SpecOf(const catalog::Table& table) const {
  return {table.id, table.name, table.schema, table.primary_key, table.version_time, table.ttl_us, ConstraintsOf(table.domains)};
}

Status Core::AddTableRuntime(const catalog::Table& table) {
  auto topic = log_->FindTopic(table.topic);
  if (!topic) return Error(sqlstate::kDataCorrupted, fmt::format("topic \"{}\" of table \"{}\" is missing", table.topic, table.name));
  KAPPA_RETURN_IF_ERROR(flow_->AddTable(SpecOf(table), std::move(topic)));
  auto runtime = std::make_unique<TableRuntime>();
  runtime->id = table.id;
  runtime->name = table.name;
  runtime->store = std::make_unique<ops::ViewStore>(table.schema, table.primary_key);
  std::lock_guard guard(publish_);
  tables_[table.name] = std::move(runtime);
  return {};
}

Status Core::WaitVisible(int64_t timeout_us) {
  std::map<std::pair<uint32_t, int32_t>, log::Offset> wanted;
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  auto want = [&](uint32_t id, const std::string& topic_name, log::Isolation isolation) {
    auto topic = log_->FindTopic(topic_name);
    for (int32_t p = 0; topic && p < topic->partition_count(); ++p) wanted[{id, p}] = ReadableEnd(topic->partition(p), isolation);
  };
  for (const auto& [name, stream] : snapshot->streams) want(stream.id, stream.topic, IsolationOf(stream));
  for (const auto& [name, table] : snapshot->tables) want(table.id, table.topic, log::Isolation::kReadCommitted);
  std::unique_lock guard(publish_);
  const bool done = visible_changed_.wait_for(guard, std::chrono::microseconds(timeout_us), [&] {
    if (closing_) return true;
    return std::all_of(wanted.begin(), wanted.end(), [&](const auto& w) { return w.second == 0 || visible_[w.first] >= w.second; });
  });
  if (closing_) return Error(sqlstate::kAdminShutdown, "the server is shutting down");
  if (!done) return Error(sqlstate::kQueryCanceled, "the log is not visible yet after the given time");
  return {};
}

/// As long as it takes: a transaction that began before these records holds them up until it ends.
Status Core::WaitForVisible(uint32_t relation, const std::vector<log::Offset>& offsets, const std::function<bool()>& cancelled) {
  std::unique_lock guard(publish_);
  while (true) {
    bool done = true;
    for (size_t p = 0; p < offsets.size(); ++p) done &= visible_[{relation, static_cast<int32_t>(p)}] >= offsets[p];
    if (done) return {};
    if (closing_) return Error(sqlstate::kAdminShutdown, "the server is shutting down").Detail("The rows are in the log.");
    if (cancelled()) {
      Error error(sqlstate::kQueryCanceled, "canceling statement due to user request");
      std::lock_guard wake(wake_mutex_);
      if (log_wait_)
        return std::move(error).Detail("The rows are in the log. They become visible once it can be read: " + log_wait_->message() + ".");
      return std::move(error)
          .Detail("The rows are in the log. They become visible once the transactions before them have ended.")
          .Hint("kappa.transactions shows open transactions.");
    }
    visible_changed_.wait_for(guard, std::chrono::milliseconds(200));
    std::lock_guard wake(wake_mutex_);
    if (fatal_) return *fatal_;
  }
}

}  // namespace kappa::engine
