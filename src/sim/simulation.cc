#include "sim/simulation.h"

#include <algorithm>

#include "base/hash.h"
#include "io/disk.h"
#include "log/record_batch.h"
#include "log/segment_format.h"

namespace kappa::sim {
namespace {

constexpr const char* kFolder = "/simulated/log";
constexpr const char* kTransactionLog = "__transactions";
constexpr int32_t kPartitions = 2;
constexpr int32_t kAllPartitions[] = {0, 1, kCompactedPartition, kTransactionalPartition, kTransactionalPartition + 1};
constexpr int kProducersOfPartition = 2;
constexpr int kConsumers = 3;
constexpr int kCommittedReaders = 2;
constexpr int kStepsMin = 1000, kStepsMore = 6000;
constexpr int kStormSteps = 60;         // after a crash the next one may follow this soon
constexpr int64_t kRetentionMs = 7ll * 24 * 3600 * 1000;
constexpr uint64_t kLeapMicros = 400ull * 24 * 3600 * 1'000'000;
constexpr int kStartsMax = 12;          // with faults; then the disk is well, so that the run goes on
constexpr int kFinishingSteps = 20'000;  // more than enough for a healthy server to answer all

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : world_(seed), mounted_(kMountedAt, world_.disk), faults_(ChooseFaults()) {
    for (int32_t partition = 0; partition < kPartitions; ++partition) {
      for (int i = 0; i < kProducersOfPartition; ++i) clients_.push_back(MakeProducer(world_, partition));
    }
    for (int i = 0; i < kProducersOfPartition; ++i) clients_.push_back(MakeProducer(world_, kCompactedPartition));
    for (int i = 0; i < kConsumers; ++i) clients_.push_back(MakeConsumer(world_, kPartitions));
    others_ = clients_.size();
    for (int32_t i = 0; i < kTransactionalProducers; ++i) clients_.push_back(MakeTransactionalProducer(world_, i));
    for (int i = 0; i < kCommittedReaders; ++i) clients_.push_back(MakeCommittedReader(world_));
    const bool calm = Chance(random(), 0.3);  // few die, so that much is under way at once
    if (calm) faults_.crash = 0;
    storms_ = calm ? 0 : 0.2;
    slow_syncs_ = Chance(random(), 0.7) ? 0.4 : 0;
    transactional_ = Chance(random(), 0.6) ? 0.85 : 0.25;
    strikes_decisions_ = !calm && Chance(random(), 0.7) ? 0.02 : 0;
    deletes_ = Chance(random(), 0.5);
  }

  Outcome Run() {
    try {
      Start();
      const int steps = kStepsMin + static_cast<int>(Below(random(), kStepsMore));
      for (int i = 0; i < steps; ++i) Survive([&] { Step(); });
      Finish();
      if (Chance(random(), 0.5)) CheckAll();
      Rot();
    } catch (const Violation& violation) { outcome_.violation = violation.text; }
    world_.disk.KillProcess();  // what is taken down now writes nothing
    if (world_.server != nullptr) *world_.server->alive = false;
    world_.server.reset();
    outcome_.digest = CombineHash(world_.disk.Digest(), world_.history.Digest());
    outcome_.acknowledged = world_.history.acknowledged();
    outcome_.committed = world_.history.committed();
    outcome_.disk_calls = world_.disk.calls();
    return outcome_;
  }

 private:
  Random& random() { return world_.random; }

  DiskFaults ChooseFaults() {
    auto some = [&](double often) { return Chance(random(), 0.5) ? often : 0.0; };
    return {.crash = some(Chance(random(), 0.5) ? 0.002 : 0.0003),
            .sync_fails = some(0.002),
            .write_fails = some(0.003),
            .read_fails = some(0.003),
            .full = some(0.01)};
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
    storm_steps_ = Chance(random(), storms_) ? 1 + static_cast<int>(Below(random(), kStormSteps)) : 0;
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
    JumpWall(-static_cast<int64_t>(leapt_us_));  // a clock that is wrong at the start is believed: who could tell?
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
    if (!make(kTopic, {.partitions = kPartitions, .segment_bytes = 16 << 10, .retention_ms = kRetentionMs}, server->topic)) return false;
    if (!make(kCompactedTopic, compact, server->compacted)) return false;
    if (!make(kTransactionalTopic, {.partitions = kTransactionalPartitions, .segment_bytes = 16 << 10}, server->transactional)) return false;
    topics_made_ = true;
    server->group_log = std::make_unique<log::StateLog>(*server->log, std::string(group::kGroupTopic));
    const group::GroupOptions options{.gather_ms = 100};
    auto make_id = [this] { return "member" + std::to_string(++members_); };
    server->coordinator = std::make_unique<group::Coordinator>(options, world_.clock, make_id, *server->group_log);
    auto load = [&](log::StateLog& from, auto& into) {
      const Status loaded = from.Replay([&](auto key, auto value, auto offset) { return into.Load(key, value, offset); });
      if (loaded.ok()) return true;
      Require(world_.disk.faults.read_fails > 0 && loaded.error().Is(sqlstate::kIoError), "a coordinator cannot be loaded: " + loaded.ToString());
      KillServer(*server);
      return false;
    };
    if (!load(*server->group_log, *server->coordinator)) return false;
    server->coordinator->FinishLoading();
    server->transaction_log = std::make_unique<log::StateLog>(*server->log, std::string(kTransactionLog));
    server->places = std::make_unique<txn::Places>(
        *server->log, [coordinator = server->coordinator.get()](const txn::Places::GroupWork& work) { work(*coordinator); });
    server->transactions = std::make_unique<txn::Coordinator>(
        txn::TransactionOptions(), world_.clock, [log = server->log.get()] { return log->NextProducerId(); }, *server->transaction_log,
        *server->places, [server = server.get()] { server->transactions_ready = true; });
    if (!load(*server->transaction_log, *server->transactions)) return false;
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
    CheckTransactions(false);
    const group::Group* group = world_.server->coordinator->FindGroup(kGroup);
    for (int32_t i = 0; i < kPartitions; ++i) {
      const group::CommittedOffset* offset = group == nullptr ? nullptr : group->FindOffset(kTopic, i);
      world_.history.CheckCommit(i, offset == nullptr ? -1 : offset->offset);
    }
  }

  void CheckTransactions(bool all_ended) {
    const group::Group* group = world_.server->coordinator->FindGroup(kGroup);
    for (int32_t i = 0; i < kTransactionalProducers; ++i) {
      const group::CommittedOffset* offset = group == nullptr ? nullptr : group->FindOffset(kTransactionalTopic, i);
      const bool changing = group != nullptr && group->IsChanging(kTransactionalTopic, i);
      Require(!changing || !all_ended, "a transaction has an offset of a group that nobody knows");
      world_.history.NoteGroupOffset(i, world_.history.OffsetToBeSeen(i), offset == nullptr ? -1 : offset->offset, changing);
    }
    world_.history.CheckTransactions(*world_.server->transactional, all_ended);
  }

  /// One thing happens, anywhere.
  void Step() {
    world_.clock.Advance(static_cast<int64_t>(Below(random(), Chance(random(), 0.01) ? 7'000'000 : 10'000)));
    if (storm_steps_ > 0 && --storm_steps_ == 0) throw SimulatedCrash{"killed soon after"};
    if (Chance(random(), Danger())) throw SimulatedCrash{"killed while a transaction was decided"};
    const uint64_t which = Below(random(), 1000);
    if (which < 350) world_.network.DeliverOne();
    else if (which < 630) AnyClient().Act();
    else if (which < 880) Commit();
    else if (which < 970) Tick();
    else if (which < 982) world_.network.Cut(world_.network.Any());
    else if (which < 985) Delete();
    else if (which < 990) Compact();
    else if (which < 992) Restart();
    else if (which < 993) throw SimulatedCrash{"killed"};
    else if (which < 996)
      JumpWall(Chance(random(), 0.5) ? static_cast<int64_t>(Below(random(), kLeapMicros)) : -static_cast<int64_t>(Below(random(), leapt_us_)));
    else world_.server->log->ApplyRetention([](const log::Partition& partition) { return partition.end_offset(); });
  }

  Client& AnyClient() {
    const bool transactional = Chance(random(), transactional_);
    return *clients_[transactional ? others_ + Below(random(), clients_.size() - others_) : Below(random(), others_)];
  }

  void JumpWall(int64_t micros) {
    world_.clock.JumpWall(micros);
    leapt_us_ += static_cast<uint64_t>(micros);
  }

  /// How likely a death is now, for it is worth more between a transaction's decision and its end.
  double Danger() const {
    if (strikes_decisions_ == 0) return 0;
    const auto deciding = [](const auto& entry) { return entry.second.deciding(); };
    return std::ranges::any_of(world_.server->transactions->transactions(), deciding) ? strikes_decisions_ : 0;
  }

  /// What a sync thread does. While the disk takes its time, others go on, another sync thread too.
  void Commit() {
    if (Chance(random(), Danger() > 0 ? 0.8 : slow_syncs_)) {
      world_.disk.during_sync = [this] {
        for (uint64_t i = 1 + Below(random(), Chance(random(), 0.2) ? 60 : 8); i > 0; --i) {
          if (Chance(random(), 0.01 + Danger())) {
            world_.disk.KillProcess();
            throw SimulatedCrash{"killed during a sync"};
          }
          if (Chance(random(), 0.3)) world_.server->log->CommitOne();
          else if (Chance(random(), 0.3)) Tick();
          else if (Chance(random(), 0.5)) world_.network.DeliverOne();
          else AnyClient().Act();
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

  /// The faults end: all that was begun must be answered.
  void Finish() {
    faults_ = {};
    slow_syncs_ = strikes_decisions_ = 0;
    world_.disk.faults = {};
    world_.producing = false;
    auto done = [&] { return world_.history.AllAcknowledged() && std::ranges::all_of(clients_, [](const auto& client) { return client->Done(); }); };
    for (int i = 0; i < kFinishingSteps && !done(); ++i) {
      world_.clock.Advance(1000);
      if (!world_.network.DeliverOne()) AnyClient().Act();
      if (i % 4 == 0) Commit();
      if (i % 16 == 0) Tick();
      if (i == kFinishingSteps / 2) Restart();  // a partition that could not take a torn write back waits for that
    }
    Require(world_.history.AllAcknowledged(), "the faults are over, but not every batch is acknowledged");
    Require(done(), "the faults are over, but not every transaction has ended");
    Compact();
  }

  /// All that was answered is there after one more restart, and no transaction is open.
  void CheckAll() {
    Restart();
    CheckTransactions(true);
  }

  /// A bit of some file changes while nobody looks, after a clean stop or a kill. The log may refuse to open or to read; it must not give other records, nor fewer.
  void Rot() {
    std::map<int32_t, std::vector<std::pair<log::Offset, std::string>>> before;
    for (const int32_t i : kAllPartitions) before[i] = ReadAll(i, nullptr);
    if (Chance(random(), 0.2)) world_.server->log->Close();
    else KillServer(*world_.server);
    world_.server.reset();
    world_.disk.BeginProcess();
    auto rotten = Chance(random(), 0.6)   ? world_.disk.RotBit(".seg", log::kSegmentHeaderBytes)
                  : Chance(random(), 0.5) ? world_.disk.RotBit(".seg", 0)
                                          : world_.disk.RotBit("/log/", 0);
    if (!rotten.has_value()) return;
    const std::string where = "after a flipped bit at " + std::to_string(rotten->second) + " of " + rotten->first + ": ";
    world_.server = std::make_unique<Server>();
    auto log = log::Log::Open(kFolder, {.sync_threads = 0}, world_.clock);
    if (!log.ok()) return;
    world_.server->log = std::move(*log);
    world_.server->topic = world_.server->log->FindTopic(kTopic);
    world_.server->compacted = world_.server->log->FindTopic(kCompactedTopic);
    world_.server->transactional = world_.server->log->FindTopic(kTransactionalTopic);
    Require(world_.server->topic != nullptr && world_.server->compacted != nullptr && world_.server->transactional != nullptr,
            where + "a topic is gone");
    for (const int32_t i : kAllPartitions) {
      bool refused = false;
      const auto after = ReadAll(i, &refused);
      Require(refused || after == before[i], where + "partition " + std::to_string(i) + " has other records");
      const bool prefix = after.size() <= before[i].size() && std::equal(after.begin(), after.end(), before[i].begin());
      Require(prefix, where + "partition " + std::to_string(i) + " has other records in front of the damage");
    }
    world_.server->log->Close();
  }

  /// All records from the start to the end, or to the first error when that is allowed; committed ones, where there are transactions.
  std::vector<std::pair<log::Offset, std::string>> ReadAll(int32_t number, bool* refused) {
    log::Partition& partition = world_.server->partition(number);
    std::vector<std::pair<log::Offset, std::string>> records;
    for (log::Offset next = partition.start_offset(); next < partition.last_stable_offset();) {
      const log::ReadResult read = partition.Read(next, 4000, log::Isolation::kReadCommitted);
      if (refused != nullptr && read.error != log::KafkaError::kNone) {
        *refused = true;
        return records;
      }
      Require(read.error == log::KafkaError::kNone && !read.bytes.empty(), "offset " + std::to_string(next) + " cannot be read");
      for (std::string_view rest = read.bytes; !rest.empty();) {
        const log::BatchHeader header = *log::ParseBatchHeader(rest);
        const std::string_view batch = rest.substr(0, header.total_bytes());
        rest.remove_prefix(batch.size());
        if (read.PassesOver(header)) continue;
        for (auto& [offset, key, value] : KeyedRecordsOf(batch, next)) {
          Require(number >= kCompactedPartition || offset == next, "offset " + std::to_string(next) + " is missing");
          records.emplace_back(offset, key + value);
          next = offset + 1;
        }
      }
      next = std::max(next, EndOf(read.bytes));
    }
    return records;
  }

  World world_;
  io::MountDisk mounted_;
  DiskFaults faults_;
  std::vector<std::unique_ptr<Client>> clients_;
  size_t others_ = 0;  // of the clients so many have nothing to do with transactions: the first ones
  double transactional_ = 0;  // how likely one of the rest is next
  double slow_syncs_ = 0;
  double strikes_decisions_ = 0;
  double storms_ = 0;
  uint64_t leapt_us_ = 0;  // what the wall clock is ahead by; never behind, for then records are taken to be older than they are
  int storm_steps_ = 0;  // until the next crash; 0: none is due
  bool deletes_ = false;
  bool topics_made_ = false;
  uint64_t members_ = 0;
  Outcome outcome_;
};

}  // namespace

Outcome Simulate(uint64_t seed) { return Simulation(seed).Run(); }

}  // namespace kappa::sim
