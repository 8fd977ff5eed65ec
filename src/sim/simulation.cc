#include "sim/simulation.h"

#include <algorithm>

#include "base/hash.h"
#include "io/disk.h"

namespace kappa::sim {
namespace {

constexpr const char* kFolder = "/simulated/log";
constexpr const char* kTransactionLog = "__transactions";
constexpr int32_t kPartitions = 2;
constexpr int32_t kAllPartitions[] = {0, 1, kCompactedPartition};
constexpr int kProducersOfPartition = 2;
constexpr int kConsumers = 3;
constexpr int kTransactionalProducers = 2;
constexpr int kStepsMin = 500, kStepsMore = 2500;
constexpr int kStartsMax = 12;          // with faults; then the disk is well, so that the run goes on
constexpr int kFinishingSteps = 20'000;  // more than enough for a healthy server to answer all

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : world_(seed), mounted_(kMountedAt, world_.disk), faults_(ChooseFaults()) {
    for (int32_t partition = 0; partition < kPartitions; ++partition) {
      for (int i = 0; i < kProducersOfPartition; ++i) clients_.push_back(MakeProducer(world_, partition));
    }
    for (int i = 0; i < kProducersOfPartition; ++i) clients_.push_back(MakeProducer(world_, kCompactedPartition));
    for (int i = 0; i < kTransactionalProducers; ++i) clients_.push_back(MakeTransactionalProducer(world_, "t" + std::to_string(i)));
    clients_.push_back(MakeCommittedReader(world_));
    for (int i = 0; i < kConsumers; ++i) clients_.push_back(MakeConsumer(world_, kPartitions));
    slow_syncs_ = Chance(random(), 0.5) ? 0.3 : 0;
    deletes_ = Chance(random(), 0.5);
  }

  Outcome Run() {
    try {
      Start();
      const int steps = kStepsMin + static_cast<int>(Below(random(), kStepsMore));
      for (int i = 0; i < steps; ++i) Survive([&] { Step(); });
      Finish();
      Rot();
    } catch (const Violation& violation) { outcome_.violation = violation.text; }
    world_.disk.KillProcess();  // what is taken down now writes nothing
    if (world_.server != nullptr) *world_.server->alive = false;
    world_.server.reset();
    outcome_.digest = CombineHash(world_.disk.Digest(), world_.history.Digest());
    outcome_.acknowledged = world_.history.acknowledged();
    outcome_.disk_calls = world_.disk.calls();
    return outcome_;
  }

 private:
  Random& random() { return world_.random; }

  DiskFaults ChooseFaults() {
    auto some = [&](double often) { return Chance(random(), 0.5) ? often : 0.0; };
    return {.crash = some(0.003), .sync_fails = some(0.002), .write_fails = some(0.003), .read_fails = some(0.003), .full = some(0.01)};
  }

  /// Runs `work`; when the server dies in it, or of it, brings it up again.
  template <class Work> void Survive(Work work) {
    try {
      work();
      return;
    } catch (const SimulatedCrash&) { NoteCrash(); }
    Start();
  }

  void NoteCrash() {
    ++outcome_.crashes;
    world_.disk.KillProcess();
    world_.disk.during_sync = nullptr;
    if (world_.server != nullptr) *world_.server->alive = false;
    world_.server.reset();
    world_.network.CutAll();
    if (Chance(random(), 0.5)) {
      ++outcome_.power_cuts;
      world_.disk.CutPower();
    }
  }

  /// Opens the log as often as it takes: it may die again, or meet a failing disk. Then checks what it holds.
  void Start() {
    for (int attempt = 0;; ++attempt) {
      world_.disk.BeginProcess();
      world_.disk.faults = attempt < kStartsMax ? faults_ : DiskFaults();
      try {
        if (Open()) break;
        throw SimulatedCrash{"could not start"};
      } catch (const SimulatedCrash&) { NoteCrash(); }
    }
    world_.disk.faults = {};
    Check();
    world_.disk.faults = faults_;
  }

  bool Open() {
    auto server = std::make_unique<Server>();
    struct TakenDownInVain {  // a log that is closed because of an exception must not write
      SimulatedDisk& disk;
      int before = std::uncaught_exceptions();
      ~TakenDownInVain() {
        if (std::uncaught_exceptions() > before) disk.KillProcess();
      }
    } taken_down{world_.disk};
    auto log = log::Log::Open(kFolder, {.sync_threads = 0, .compaction_buffer_bytes = 1}, world_.clock);
    if (!log.ok()) {
      const bool disk = log.error().Is(sqlstate::kIoError) || log.error().Is(sqlstate::kDiskFull);
      Require(disk && world_.disk.faults.read_fails + world_.disk.faults.write_fails + world_.disk.faults.full + world_.disk.faults.sync_fails > 0,
              "the log does not open: " + log.status().ToString());
      return false;
    }
    server->log = std::move(*log);
    server->topic = server->log->FindTopic(kTopic);
    server->compacted = server->log->FindTopic(kCompactedTopic);
    server->transactional = server->log->FindTopic(kTransactionalTopic);
    Require((server->topic != nullptr && server->compacted != nullptr && server->transactional != nullptr) || !topics_made_, "a topic is gone");
    auto make = [&](const char* name, const log::TopicConfig& config, std::shared_ptr<log::Topic>& topic) {
      if (topic != nullptr) return true;
      auto created = server->log->CreateTopic(name, config);
      if (created.ok()) topic = *created;
      else KillServer(*server);
      return created.ok();
    };
    const log::TopicConfig compact{.segment_bytes = 20 << 10,
                                   .delete_old = false,
                                   .compact = true,
                                   .delete_retention_ms = static_cast<int64_t>(Below(random(), 3) * 1000),
                                   .min_cleanable_dirty_ratio = 0.1};
    if (!make(kTopic, {.partitions = kPartitions, .segment_bytes = 16 << 10}, server->topic)) return false;
    if (!make(kCompactedTopic, compact, server->compacted)) return false;
    if (!make(kTransactionalTopic, {.partitions = kTransactionalPartitions, .segment_bytes = 16 << 10}, server->transactional)) return false;
    topics_made_ = true;
    world_.disk.faults.read_fails = 0;
    server->group_log = std::make_unique<log::StateLog>(*server->log, std::string(group::kGroupTopic));
    const group::GroupOptions options{.gather_ms = 100};
    auto make_id = [this] { return "member" + std::to_string(++members_); };
    server->coordinator = std::make_unique<group::Coordinator>(options, world_.clock, make_id, *server->group_log);
    Status loaded = server->group_log->Replay([&](std::string_view key, std::optional<std::string_view> value, log::Offset offset) {
      return server->coordinator->Load(key, value, offset);
    });
    Require(loaded.ok(), "the groups cannot be read: " + loaded.ToString());
    server->coordinator->FinishLoading();
    server->transaction_log = std::make_unique<log::StateLog>(*server->log, std::string(kTransactionLog));
    server->places = std::make_unique<txn::Places>(
        *server->log, [coordinator = server->coordinator.get()](const txn::Places::GroupWork& work) { work(*coordinator); });
    server->transactions = std::make_unique<txn::Coordinator>(
        txn::TransactionOptions(), world_.clock, [log = server->log.get()] { return log->NextProducerId(); }, *server->transaction_log,
        *server->places, [server = server.get()] { server->transactions_ready = true; });
    loaded = server->transaction_log->Replay([&](std::string_view key, std::optional<std::string_view> value, log::Offset offset) {
      return server->transactions->Load(key, value, offset);
    });
    Require(loaded.ok(), "the transactions cannot be read: " + loaded.ToString());
    server->transactions->FinishLoading();
    world_.server = std::move(server);
    return true;
  }

  /// As a process that ends by itself with an error.
  void KillServer(Server& server) {
    world_.disk.KillProcess();
    *server.alive = false;
  }

  void Check() {
    world_.history.CheckLog(*world_.server->topic);
    world_.history.CheckCompacted(world_.server->compacted->partition(0));
    world_.history.CheckTransactions(*world_.server->transactional, false);
    const group::Group* group = world_.server->coordinator->FindGroup(kGroup);
    for (int32_t i = 0; i < kPartitions; ++i) {
      const group::CommittedOffset* offset = group == nullptr ? nullptr : group->FindOffset(kTopic, i);
      world_.history.CheckCommit(i, offset == nullptr ? -1 : offset->offset);
    }
  }

  /// One thing happens, anywhere.
  void Step() {
    world_.clock.Advance(static_cast<int64_t>(Below(random(), Chance(random(), 0.01) ? 7'000'000 : 10'000)));
    const uint64_t which = Below(random(), 1000);
    if (which < 400) world_.network.DeliverOne();
    else if (which < 800) clients_[Below(random(), clients_.size())]->Act();
    else if (which < 930) Commit();
    else if (which < 970) Tick();
    else if (which < 985) world_.network.Cut(world_.network.Any());
    else if (which < 988) Delete();
    else if (which < 990) Compact();
    else if (which < 992) Restart();
    else if (which < 994) throw SimulatedCrash{"killed"};
    else if (which < 996)
      world_.clock.JumpWall((Chance(random(), 0.5) ? 1 : -1) * static_cast<int64_t>(Below(random(), 400ll * 24 * 3600 * 1'000'000)));
    else world_.server->log->ApplyRetention([](const log::Partition&) { return log::Offset{0}; });
  }

  /// What a sync thread does. While the disk takes its time, others go on.
  void Commit() {
    if (Chance(random(), slow_syncs_)) {
      world_.disk.during_sync = [this] {
        for (uint64_t i = 1 + Below(random(), 8); i > 0; --i) {
          if (Chance(random(), 0.01)) {
            world_.disk.KillProcess();
            throw SimulatedCrash{"killed during a sync"};
          }
          if (Chance(random(), 0.5)) world_.network.DeliverOne();
          else clients_[Below(random(), clients_.size())]->Act();
        }
      };
    }
    world_.server->log->CommitOne();
    world_.disk.during_sync = nullptr;
  }

  void Tick() {
    txn::Coordinator& transactions = *world_.server->transactions;
    if (std::exchange(world_.server->transactions_ready, false) || transactions.NextDeadline() <= world_.clock.SteadyMicros()) transactions.Tick();
    if (world_.server->coordinator->NextDeadline() <= world_.clock.SteadyMicros()) world_.server->coordinator->Tick();
  }

  void Delete() {
    if (!deletes_) return;
    const auto index = static_cast<int32_t>(Below(random(), kPartitions));
    log::Partition& partition = world_.server->topic->partition(index);
    const log::Offset most = std::min(partition.durable_end(), world_.history.SettledBelow(index));
    const log::Offset before = static_cast<log::Offset>(Below(random(), static_cast<uint64_t>(most) + 1));
    world_.history.NoteDeleted(index, before, false);
    if (partition.DeleteBefore(before).ok()) world_.history.NoteDeleted(index, partition.start_offset(), true);
  }

  void Compact() {
    world_.server->log->AllowCompaction([](const log::Partition& partition) { return partition.end_offset(); });
    world_.server->log->CompactOne();
  }

  void Restart() {
    world_.server->log->Close();
    *world_.server->alive = false;
    world_.server.reset();
    world_.network.CutAll();
    Start();
  }

  /// The faults end: all that was begun must be answered, and be there after one more restart.
  void Finish() {
    faults_ = {};
    slow_syncs_ = 0;
    world_.disk.faults = {};
    world_.producing = false;
    auto done = [&] { return world_.history.AllAcknowledged() && std::ranges::all_of(clients_, [](const auto& client) { return client->Done(); }); };
    for (int i = 0; i < kFinishingSteps && !done(); ++i) {
      world_.clock.Advance(1000);
      if (!world_.network.DeliverOne()) clients_[Below(random(), clients_.size())]->Act();
      if (i % 4 == 0) Commit();
      if (i % 16 == 0) Tick();
      if (i == kFinishingSteps / 2) Restart();  // a partition that could not take a torn write back waits for that
    }
    Require(world_.history.AllAcknowledged(), "the faults are over, but not every batch is acknowledged");
    Require(done(), "the faults are over, but not every transaction has ended");
    Compact();
    Restart();
    world_.history.CheckTransactions(*world_.server->transactional, true);
  }

  /// A bit of some file changes while nobody looks. The log may refuse to open or to read; it must not give other records, nor fewer.
  void Rot() {
    std::map<int32_t, std::vector<std::pair<log::Offset, std::string>>> before;
    for (const int32_t i : kAllPartitions) before[i] = ReadAll(i, nullptr);
    world_.server->log->Close();
    world_.server.reset();
    auto rotten = world_.disk.RotBit(Chance(random(), 0.7) ? ".seg" : "/log/");
    if (!rotten.has_value()) return;
    const std::string where = "after a flipped bit at " + std::to_string(rotten->second) + " of " + rotten->first + ": ";
    world_.server = std::make_unique<Server>();
    auto log = log::Log::Open(kFolder, {.sync_threads = 0}, world_.clock);
    if (!log.ok()) return;
    world_.server->log = std::move(*log);
    world_.server->topic = world_.server->log->FindTopic(kTopic);
    world_.server->compacted = world_.server->log->FindTopic(kCompactedTopic);
    Require(world_.server->topic != nullptr && world_.server->compacted != nullptr, where + "a topic is gone");
    for (const int32_t i : kAllPartitions) {
      bool refused = false;
      const auto after = ReadAll(i, &refused);
      Require(refused || after == before[i], where + "partition " + std::to_string(i) + " has other records");
      const bool prefix = after.size() <= before[i].size() && std::equal(after.begin(), after.end(), before[i].begin());
      Require(prefix, where + "partition " + std::to_string(i) + " has other records in front of the damage");
    }
    world_.server->log->Close();
  }

  /// All records from the start to the end, or to the first error when that is allowed.
  std::vector<std::pair<log::Offset, std::string>> ReadAll(int32_t number, bool* refused) {
    log::Partition& partition = world_.server->partition(number);
    std::vector<std::pair<log::Offset, std::string>> records;
    for (log::Offset next = partition.start_offset(); next < partition.durable_end();) {
      const log::ReadResult read = partition.Read(next, 4000);
      if (refused != nullptr && read.error != log::KafkaError::kNone) {
        *refused = true;
        return records;
      }
      Require(read.error == log::KafkaError::kNone && !read.bytes.empty(), "offset " + std::to_string(next) + " cannot be read");
      for (auto& [offset, key, value] : KeyedRecordsOf(read.bytes, next)) {
        Require(number == kCompactedPartition || offset == next, "offset " + std::to_string(next) + " is missing");
        records.emplace_back(offset, key + value);
        next = offset + 1;
      }
      next = std::max(next, EndOf(read.bytes));
    }
    return records;
  }

  World world_;
  io::MountDisk mounted_;
  DiskFaults faults_;
  std::vector<std::unique_ptr<Client>> clients_;
  double slow_syncs_ = 0;
  bool deletes_ = false;
  bool topics_made_ = false;
  uint64_t members_ = 0;
  Outcome outcome_;
};

}  // namespace

Outcome Simulate(uint64_t seed) { return Simulation(seed).Run(); }

}  // namespace kappa::sim
