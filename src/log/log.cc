// A folder of topics: opening, creating, deleting, producer ids.
//
//   FOLDER/LOCK                              flock, pid of the holder
//   FOLDER/format                            "kappa log 1"
//   FOLDER/producer_ids                      below which producer ids may have been given
//   FOLDER/clean                             there after a clean stop: all names are durable
//   FOLDER/topics/<name>/config              topic_config.h
//   FOLDER/topics/<name>/<partition>/        segments (segment_format.h), index files, producer snapshots
//   FOLDER/staging/                          topics being created or deleted; emptied at open
#include "log/log.h"

#include <pthread.h>

#include <charconv>
#include <chrono>
#include <condition_variable>
#include <shared_mutex>
#include <thread>

#include "base/checksum_line.h"
#include "io/failpoint.h"
#include "io/folder.h"
#include "io/folder_lock.h"
#include "log/number_file.h"
#include "log/partition_log.h"
#include "log/retention_clock.h"
#include "log/topic_config.h"

namespace kappa::log {
namespace {

constexpr std::string_view kFormatWords = "kappa log ";
constexpr std::string_view kFormat = "kappa log 1\n";
constexpr std::string_view kProducerIdsFirstLine = "kappa producer ids 1\n";
constexpr int64_t kProducerIdsBlock = 1000;
constexpr std::string_view kTrustedTimeFirstLine = "kappa trusted time 1\n";
constexpr int64_t kTrustedTimeStepMs = 10 * 60 * 1000;  // far less than a leap of the clock

class TopicOnDisk final : public Topic {
 public:
  TopicOnDisk(std::string name, TopicConfig config) : name_(std::move(name)), config_(config) {}

  static Result<std::shared_ptr<TopicOnDisk>> Open(const std::string& folder, const std::string& name, const std::shared_ptr<LogShared>& shared) {
    std::string path = folder + "/config";
    KAPPA_ASSIGN_OR_RETURN(std::string text, io::ReadWholeFile(path, 64 << 10));
    KAPPA_ASSIGN_OR_RETURN(TopicConfig config, DecodeTopicConfig(text, name, path));
    auto topic = std::make_shared<TopicOnDisk>(name, config);
    for (int32_t i = 0; i < config.partitions; ++i) {
      auto partition = std::make_shared<PartitionLog>(shared, name, i, config, folder + "/" + std::to_string(i));
      KAPPA_RETURN_IF_ERROR(partition->Open());
      topic->partitions_.push_back(std::move(partition));
    }
    return topic;
  }

  const std::string& name() const override { return name_; }
  /// The same partitions under other settings, and further ones.
  std::shared_ptr<TopicOnDisk> With(const TopicConfig& config, std::vector<std::shared_ptr<PartitionLog>> added) const {
    auto topic = std::make_shared<TopicOnDisk>(name_, config);
    topic->partitions_ = partitions_;
    for (auto& partition : topic->partitions_) partition->Alter(config);
    topic->partitions_.insert(topic->partitions_.end(), added.begin(), added.end());
    return topic;
  }

  const TopicConfig& config() const override { return config_; }
  int32_t partition_count() const override { return config_.partitions; }
  Partition& partition(int32_t index) override { return log(index); }
  PartitionLog& log(int32_t index) {
    KAPPA_CHECK(index >= 0 && index < config_.partitions);
    return *partitions_[static_cast<size_t>(index)];
  }
  void Stop(KafkaError error) {
    for (auto& partition : partitions_) partition->Stop(error);
  }
  /// Moves the folder away. Whoever appends or reads meanwhile is told that the topic is gone, not that its files are missing.
  Status MoveAway(const std::string& from, const std::string& to) {
    std::vector<PartitionLog::FileLocks> locks(partitions_.size());
    std::vector<KafkaError> before;
    for (size_t i = 0; i < partitions_.size(); ++i) before.push_back(partitions_[i]->RefuseWhile(KafkaError::kUnknownTopicOrPartition, locks[i]));
    Status moved = io::DurableRename(from, to);
    if (!moved.ok()) {
      for (size_t i = 0; i < partitions_.size(); ++i) partitions_[i]->RefuseWhile(before[i], locks[i]);
    }
    return moved;
  }

 private:
  const std::string name_;
  const TopicConfig config_;
  std::vector<std::shared_ptr<PartitionLog>> partitions_;
};

class LogOnDisk final : public Log {
 public:
  LogOnDisk(std::string folder, LogOptions options, io::Clock& clock)
      : folder_(std::move(folder)), shared_(std::make_shared<LogShared>(options, clock)), retention_clock_(clock) {}
  ~LogOnDisk() override { Close(); }

  Status Open();
  /// Lets go of everything without writing: for a folder that could not be opened whole.
  void Abandon() {
    shared_->commit.Stop();
    closed_ = true;
  }

  Result<std::shared_ptr<Topic>> CreateTopic(const std::string& name, const TopicConfig& config) override;
  Result<std::shared_ptr<Topic>> AlterTopic(const std::string& name, const TopicConfig& config) override;
  Status DeleteTopic(const std::string& name) override;
  std::shared_ptr<Topic> FindTopic(std::string_view name) const override {
    std::shared_lock lock(topics_mutex_);
    auto found = topics_.find(name);
    return found == topics_.end() ? nullptr : found->second;
  }
  std::vector<std::shared_ptr<Topic>> ListTopics() const override {
    std::shared_lock lock(topics_mutex_);
    std::vector<std::shared_ptr<Topic>> topics;
    for (const auto& [name, topic] : topics_) topics.push_back(topic);
    return topics;
  }
  int AddDurableListener(std::function<void(Partition&)> listener) override { return shared_->commit.AddListener(std::move(listener)); }
  void RemoveDurableListener(int id) override { shared_->commit.RemoveListener(id); }
  Result<int64_t> NextProducerId() override;
  bool CommitOne() override { return shared_->commit.CommitOne(); }
  void ApplyRetention(const std::function<Offset(const Partition&)>& keep_from) override;
  void AllowCompaction(const std::function<Offset(const Partition&)>& below) override;
  bool CompactOne() override;
  CompactionFigures compaction() const override {
    std::lock_guard lock(compaction_mutex_);
    return compaction_figures_;
  }
  void Close() override;

 private:
  std::vector<std::shared_ptr<TopicOnDisk>> Topics() const;
  int64_t TrustedNowMs();
  void RunCompaction();
  Status PaceCompaction(uint64_t read, uint64_t written);
  Status CheckFormat();
  Status ReadTrustedTime();
  Status WriteTrustedTime(int64_t now_ms);
  Status ReadProducerIds();
  Status WriteProducerIds(int64_t end) const;
  void SkipProducerIds();
  Status SyncNames(const std::vector<std::string>& topics);
  std::string CleanMarker() const { return folder_ + "/clean"; }
  std::string TopicsFolder() const { return folder_ + "/topics"; }
  std::string Staging() const { return folder_ + "/staging"; }

  const std::string folder_;
  std::unique_ptr<io::FolderLock> lock_;
  std::shared_ptr<LogShared> shared_;

  std::mutex ddl_mutex_;  // one CreateTopic, DeleteTopic or Close at a time; taken before topics_mutex_
  int64_t staged_ = 0;
  bool closed_ = false;

  mutable std::shared_mutex topics_mutex_;
  std::map<std::string, std::shared_ptr<TopicOnDisk>, std::less<>> topics_;

  std::mutex producer_ids_mutex_;
  int64_t next_producer_id_ = 0;
  int64_t producer_ids_end_ = 0;  // of the block that the file reserves
  bool producer_ids_lost_ = false;

  std::mutex retention_mutex_;
  RetentionClock retention_clock_;
  int64_t trusted_ms_ = -1;  // what the file says of when the wall clock was believed

  std::mutex compaction_pass_mutex_;     // one pass at a time; taken before the next one
  mutable std::mutex compaction_mutex_;  // guards what follows
  std::condition_variable compaction_wakes_;
  bool compaction_due_ = false, compaction_stops_ = false;
  int64_t compaction_free_us_ = 0;  // steady time from which on it has used up no bytes
  CompactionFigures compaction_figures_;
  std::thread compaction_;
};

Status LogOnDisk::Open() {
  KAPPA_RETURN_IF_ERROR(io::CreateFolders(folder_));
  KAPPA_ASSIGN_OR_RETURN(lock_, io::FolderLock::Take(folder_));
  KAPPA_RETURN_IF_ERROR(CheckFormat());
  KAPPA_RETURN_IF_ERROR(ReadProducerIds());
  KAPPA_RETURN_IF_ERROR(ReadTrustedTime());
  const bool clean = io::Exists(CleanMarker());
  if (clean) KAPPA_RETURN_IF_ERROR(io::DurableUnlink(CleanMarker()));
  KAPPA_RETURN_IF_ERROR(io::CreateFolders(Staging()));
  KAPPA_ASSIGN_OR_RETURN(std::vector<std::string> staged, io::ListFolder(Staging()));
  for (const std::string& name : staged) KAPPA_RETURN_IF_ERROR(io::RemoveTree(Staging() + "/" + name));
  KAPPA_RETURN_IF_ERROR(io::CreateFolders(TopicsFolder()));
  KAPPA_ASSIGN_OR_RETURN(std::vector<std::string> names, io::ListFolder(TopicsFolder()));
  if (!clean && !io::Without("names_sync")) KAPPA_RETURN_IF_ERROR(SyncNames(names));
  for (const std::string& name : names) {
    if (!IsValidTopicName(name)) {
      return Error(sqlstate::kDataCorrupted, "folder \"" + TopicsFolder() + "\" holds \"" + name + "\", which is no topic").Hint("Move it away.");
    }
    KAPPA_ASSIGN_OR_RETURN(auto topic, TopicOnDisk::Open(TopicsFolder() + "/" + name, name, shared_));
    topics_.emplace(name, std::move(topic));
  }
  if (producer_ids_lost_) SkipProducerIds();
  return {};
}

/// Without the file that says which ids were given: begins behind all that the log has seen, and behind the time, for ids may have been given to
/// clients that have sent nothing yet. More than 2^20 in a millisecond are never given.
void LogOnDisk::SkipProducerIds() {
  int64_t next = shared_->NowMs() << 20;
  for (const auto& [name, topic] : topics_) {
    for (int32_t i = 0; i < topic->partition_count(); ++i) {
      for (const ProducerInfo& producer : topic->partition(i).producers()) next = std::max(next, producer.id + 1);
    }
  }
  next_producer_id_ = producer_ids_end_ = next;
}

/// What died before may have renamed a file, and not have come to the sync of its folder: we see the new name, a power cut would show the old
/// one. After a clean stop there is nothing like that, and after a power cut what we see is what the disk has: so the marker need not be durable.
Status LogOnDisk::SyncNames(const std::vector<std::string>& topics) {
  KAPPA_RETURN_IF_ERROR(io::SyncDirectory(folder_));
  KAPPA_RETURN_IF_ERROR(io::SyncDirectory(TopicsFolder()));
  for (const std::string& name : topics) {
    if (!IsValidTopicName(name)) continue;
    const std::string folder = TopicsFolder() + "/" + name;
    KAPPA_RETURN_IF_ERROR(io::SyncDirectory(folder));
    KAPPA_ASSIGN_OR_RETURN(std::vector<std::string> entries, io::ListFolder(folder));
    for (const std::string& entry : entries) {
      if (entry.find_first_not_of("0123456789") == entry.npos) KAPPA_RETURN_IF_ERROR(io::SyncDirectory(folder + "/" + entry));
    }
  }
  return {};
}

Status LogOnDisk::CheckFormat() {
  std::string path = folder_ + "/format";
  auto text = io::ReadWholeFile(path, 4096);
  if (text.ok()) {
    if (*text == kFormat) return {};
    // A number and nothing else is a newer format; other bytes are damage, and not to be printed.
    const size_t words = kFormatWords.size(), digits_end = text->find_first_not_of("0123456789", words);
    if (text->starts_with(kFormatWords) && digits_end > words && text->substr(std::min(digits_end, text->size())) == "\n") {
      return Error(sqlstate::kFeatureNotSupported, "data folder \"" + folder_ + "\" has a newer format")
          .Detail("It says \"" + text->substr(0, text->find('\n')) + "\", this program knows \"kappa log 1\".")
          .Hint("Open the folder with the newer program that wrote it.");
    }
    return Error(sqlstate::kDataCorrupted, "file \"" + path + "\" is damaged").Hint("It must hold the line \"kappa log 1\".");
  }
  if (!text.error().Is(sqlstate::kUndefinedFile)) return text.status();
  if (io::Exists(TopicsFolder())) {
    return Error(sqlstate::kDataCorrupted, "file \"" + path + "\" is missing").Hint("Restore it: it must hold the line \"kappa log 1\".");
  }
  KAPPA_RETURN_IF_ERROR(WriteProducerIds(0));
  return io::WriteFileAtomically(path, kFormat);
}

Status LogOnDisk::WriteProducerIds(int64_t end) const { return WriteNumber(folder_ + "/producer_ids", kProducerIdsFirstLine, end); }

Status LogOnDisk::ReadProducerIds() {
  KAPPA_ASSIGN_OR_RETURN(const std::optional<int64_t> end, ReadNumber(folder_ + "/producer_ids", kProducerIdsFirstLine));
  producer_ids_lost_ = !end;
  next_producer_id_ = producer_ids_end_ = end.value_or(0);
  return {};
}

Status LogOnDisk::WriteTrustedTime(int64_t now_ms) {
  KAPPA_RETURN_IF_ERROR(WriteNumber(folder_ + "/trusted_time", kTrustedTimeFirstLine, now_ms));
  trusted_ms_ = now_ms;
  return {};
}

Status LogOnDisk::ReadTrustedTime() {
  KAPPA_ASSIGN_OR_RETURN(const std::optional<int64_t> time, ReadNumber(folder_ + "/trusted_time", kTrustedTimeFirstLine));
  if (!time) return WriteTrustedTime(shared_->NowMs());
  trusted_ms_ = *time;
  retention_clock_.Remember(*time);
  return {};
}

int64_t LogOnDisk::TrustedNowMs() {
  std::lock_guard lock(retention_mutex_);
  const int64_t now_ms = retention_clock_.NowMs();
  // What could not be written is written by a later call. A clock that went back is believed as well, but an older time is the more careful one.
  if (now_ms - trusted_ms_ >= kTrustedTimeStepMs || (now_ms >= 0 && now_ms < trusted_ms_)) {
    [[maybe_unused]] Status written = WriteTrustedTime(now_ms);
  }
  return now_ms;
}

Result<int64_t> LogOnDisk::NextProducerId() {
  std::lock_guard lock(producer_ids_mutex_);
  if (next_producer_id_ == producer_ids_end_) {
    int64_t end = producer_ids_end_ + kProducerIdsBlock;
    if (!io::Without("producer_ids")) KAPPA_RETURN_IF_ERROR(WriteProducerIds(end));
    producer_ids_end_ = end;
  }
  return next_producer_id_++;
}

/// Built aside and renamed into place: a crash leaves the whole topic or none.
Result<std::shared_ptr<Topic>> LogOnDisk::CreateTopic(const std::string& name, const TopicConfig& config) {
  if (!IsValidTopicName(name)) {
    return Error(sqlstate::kInvalidParameterValue, "invalid topic name \"" + name + "\"")
        .Hint("A topic name has 1 to 249 of the characters a-z, A-Z, 0-9, \".\", \"_\" and \"-\", and is not \".\" or \"..\".");
  }
  KAPPA_RETURN_IF_ERROR(ValidateTopicConfig(config));
  std::lock_guard lock(ddl_mutex_);
  if (closed_) return Error(sqlstate::kObjectNotInPrerequisiteState, "the log is closed");
  if (FindTopic(name) != nullptr) return Error(sqlstate::kDuplicateTable, "topic \"" + name + "\" already exists");
  std::string staged = Staging() + "/" + std::to_string(++staged_);
  std::string folder = TopicsFolder() + "/" + name;
  auto build = [&]() -> Status {
    for (int32_t i = 0; i < config.partitions; ++i) { KAPPA_RETURN_IF_ERROR(PartitionLog::CreateFolder(staged + "/" + std::to_string(i), name, i)); }
    KAPPA_RETURN_IF_ERROR(io::WriteFileAtomically(staged + "/config", EncodeTopicConfig(name, config)));
    return io::DurableRename(staged, folder);
  };
  Status built = build();
  if (!built.ok()) {
    if (io::Exists(folder)) io::AbortOnSyncFailure(built);  // renamed, but the folder could not be synced
    [[maybe_unused]] Status removed = io::RemoveTree(staged);  // else at the next open
    return built.error();
  }
  auto topic = TopicOnDisk::Open(folder, name, shared_);
  if (!topic.ok()) {
    // A disk that cannot be read now: the next attempt must find the name free.
    io::AbortOnSyncFailure(io::DurableRename(folder, staged));
    [[maybe_unused]] Status removed = io::RemoveTree(staged);
    return topic.error();
  }
  std::unique_lock topics_lock(topics_mutex_);
  topics_.emplace(name, *topic);
  return std::shared_ptr<Topic>(*topic);
}

/// Done once the configuration is replaced: folders beyond its number of partitions are what a crash left.
Result<std::shared_ptr<Topic>> LogOnDisk::AlterTopic(const std::string& name, const TopicConfig& config) {
  KAPPA_RETURN_IF_ERROR(ValidateTopicConfig(config));
  std::lock_guard lock(ddl_mutex_);
  std::shared_ptr<TopicOnDisk> topic;
  {
    std::shared_lock topics_lock(topics_mutex_);
    auto found = topics_.find(name);
    if (found == topics_.end() || closed_) return Error(sqlstate::kUndefinedTable, "topic \"" + name + "\" does not exist");
    topic = found->second;
  }
  const TopicConfig& before = topic->config();
  if (config.unsafe != before.unsafe || config.internal != before.internal || config.partitions < before.partitions) {
    return Error(sqlstate::kInvalidParameterValue, "topic \"" + name + "\" cannot be changed like this")
        .Detail("Its durability stays as it was made, and its partitions can only become more.");
  }
  const std::string folder = TopicsFolder() + "/" + name;
  std::vector<std::shared_ptr<PartitionLog>> added;
  for (int32_t i = before.partitions; i < config.partitions; ++i) {
    const std::string path = folder + "/" + std::to_string(i);
    if (io::Exists(path)) KAPPA_RETURN_IF_ERROR(io::RemoveTree(path));
    KAPPA_RETURN_IF_ERROR(PartitionLog::CreateFolder(path, name, i));
    added.push_back(std::make_shared<PartitionLog>(shared_, name, i, config, path));
    KAPPA_RETURN_IF_ERROR(added.back()->Open());
  }
  if (!added.empty()) KAPPA_RETURN_IF_ERROR(io::SyncDirectory(folder));
  KAPPA_RETURN_IF_ERROR(io::WriteFileAtomically(folder + "/config", EncodeTopicConfig(name, config)));
  std::shared_ptr<TopicOnDisk> altered = topic->With(config, std::move(added));
  std::unique_lock topics_lock(topics_mutex_);
  topics_[name] = altered;
  return std::shared_ptr<Topic>(altered);
}

/// Gone once the rename is durable; the files follow.
Status LogOnDisk::DeleteTopic(const std::string& name) {
  std::lock_guard lock(ddl_mutex_);
  std::shared_ptr<TopicOnDisk> topic;
  {
    std::unique_lock topics_lock(topics_mutex_);
    auto found = topics_.find(name);
    if (found == topics_.end() || closed_) return Error(sqlstate::kUndefinedTable, "topic \"" + name + "\" does not exist");
    topic = found->second;
  }
  std::string staged = Staging() + "/" + std::to_string(++staged_);
  Status renamed = topic->MoveAway(TopicsFolder() + "/" + name, staged);
  if (!renamed.ok()) {
    if (io::Exists(staged)) io::AbortOnSyncFailure(renamed);  // renamed, but the folders could not be synced
    return renamed;
  }
  topic->Stop(KafkaError::kUnknownTopicOrPartition);
  {
    std::unique_lock topics_lock(topics_mutex_);
    topics_.erase(name);
  }
  [[maybe_unused]] Status removed = io::RemoveTree(staged);  // else at the next open
  return {};
}

std::vector<std::shared_ptr<TopicOnDisk>> LogOnDisk::Topics() const {
  std::vector<std::shared_ptr<TopicOnDisk>> topics;
  std::shared_lock lock(topics_mutex_);
  for (const auto& [name, topic] : topics_) topics.push_back(topic);
  return topics;
}

void LogOnDisk::ApplyRetention(const std::function<Offset(const Partition&)>& keep_from) {
  const int64_t now_ms = TrustedNowMs();
  for (const auto& topic : Topics()) {
    for (int32_t i = 0; i < topic->partition_count(); ++i) topic->log(i).ApplyRetention(now_ms, keep_from(topic->log(i)));
  }
}

void LogOnDisk::AllowCompaction(const std::function<Offset(const Partition&)>& below) {
  for (const auto& topic : Topics()) {
    if (!topic->config().compact) continue;
    for (int32_t i = 0; i < topic->partition_count(); ++i) topic->log(i).AllowCompaction(below(topic->log(i)));
  }
  std::lock_guard lock(compaction_mutex_);
  if (shared_->options.sync_threads == 0 || compaction_stops_) return;
  compaction_due_ = true;
  if (!compaction_.joinable()) compaction_ = std::thread([this] { RunCompaction(); });
  compaction_wakes_.notify_one();
}

void LogOnDisk::RunCompaction() {
  pthread_setname_np(pthread_self(), "log-compaction");
  std::unique_lock lock(compaction_mutex_);
  while (true) {
    compaction_wakes_.wait(lock, [this] { return compaction_due_ || compaction_stops_; });
    if (compaction_stops_) return;
    compaction_due_ = false;
    lock.unlock();
    while (CompactOne()) {}
    lock.lock();
  }
}

/// Waits until what was read and written fits the rate.
Status LogOnDisk::PaceCompaction(uint64_t read, uint64_t written) {
  std::unique_lock lock(compaction_mutex_);
  compaction_figures_.bytes_read += read;
  compaction_figures_.bytes_written += written;
  const uint64_t rate = shared_->options.compaction_bytes_per_second;
  if (rate > 0 && shared_->options.sync_threads > 0) {
    constexpr int64_t kBurstMicros = 20'000;  // so that it does not sleep for every batch
    const int64_t now_us = shared_->clock.SteadyMicros();
    compaction_free_us_ = std::max(compaction_free_us_, now_us) + static_cast<int64_t>((read + written) * 1'000'000 / rate);
    if (compaction_free_us_ > now_us + kBurstMicros) {
      compaction_wakes_.wait_for(lock, std::chrono::microseconds(compaction_free_us_ - now_us), [this] { return compaction_stops_; });
    }
  }
  if (compaction_stops_) return Error(sqlstate::kQueryCanceled, "the log is closed");
  return {};
}

bool LogOnDisk::CompactOne() {
  std::lock_guard pass_lock(compaction_pass_mutex_);
  const int64_t now_ms = TrustedNowMs();
  std::shared_ptr<TopicOnDisk> neediest;
  int32_t index = 0;
  double most = -1;
  for (const auto& topic : Topics()) {
    if (!topic->config().compact) continue;
    for (int32_t i = 0; i < topic->partition_count(); ++i) {
      const PartitionLog::CompactionNeed need = topic->log(i).NeedOfCompaction(now_ms);
      if (!need.must || need.dirty_ratio <= most) continue;
      most = need.dirty_ratio;
      neediest = topic;
      index = i;
    }
  }
  if (neediest == nullptr) return false;
  const auto removed = neediest->log(index).Compact(now_ms, [this](uint64_t read, uint64_t written) { return PaceCompaction(read, written); });
  std::lock_guard lock(compaction_mutex_);
  if (removed.ok()) {
    ++compaction_figures_.passes;
    compaction_figures_.records_removed += *removed;
  } else if (!removed.error().Is(sqlstate::kQueryCanceled)) {
    ++compaction_figures_.failures;
    compaction_figures_.last_failure = "topic \"" + neediest->name() + "\" partition " + std::to_string(index) + ": " + removed.error().message();
  }
  return removed.ok();
}

void LogOnDisk::Close() {
  {
    std::lock_guard lock(compaction_mutex_);
    compaction_stops_ = true;
    compaction_wakes_.notify_one();
  }
  if (compaction_.joinable()) compaction_.join();
  std::lock_guard lock(ddl_mutex_);
  if (closed_) return;
  closed_ = true;
  for (auto& [name, topic] : topics_) topic->Stop(KafkaError::kKafkaStorageError);
  shared_->commit.Stop();
  for (auto& [name, topic] : topics_) {
    for (int32_t i = 0; i < topic->partition_count(); ++i) topic->log(i).CloseFiles();
  }
  [[maybe_unused]] Status marked = io::ReplaceFile(CleanMarker(), "");  // without it the next open takes a little longer
  lock_.reset();
}

}  // namespace

Result<std::unique_ptr<Log>> Log::Open(const std::string& folder, LogOptions options, io::Clock& clock) {
  auto log = std::make_unique<LogOnDisk>(folder, options, clock);
  Status opened = log->Open();
  if (!opened.ok()) {
    log->Abandon();
    return opened.error();
  }
  return std::unique_ptr<Log>(std::move(log));
}

}  // namespace kappa::log
