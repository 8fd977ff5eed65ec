// A transactional producer, which begins anew after whatever goes wrong; and a reader of committed records and offsets.
#include <set>

#include "log/record_batch.h"
#include "sim/simulation.h"

namespace kappa::sim {
namespace {

constexpr int32_t kTimeoutMs = 60'000;
// How often the connection breaks as these are sent: they may come when the next transaction is open.
constexpr double kBreaksWithBatch = 0.12, kBreaksWithOffset = 0.25;

class TransactionalProducer final : public Caller {
 public:
  TransactionalProducer(World& world, int32_t number) : Caller(world), id_("t" + std::to_string(number)), number_(number) {}

  void Act() override {
    if (world_.server == nullptr) return;
    if (Reconnected()) Abandon();
    if (waiting_) return;
    if (!known_) return Init();
    if (current_ == nullptr) {
      if (!world_.producing) return;
      current_ = &world_.history.AddTransaction(id_);
      batches_left_ = static_cast<int>(Below(world_.random, 4));
      commit_ = Chance(world_.random, 0.7);
      added_.clear();
      group_ = Chance(world_.random, 0.6) || batches_left_ == 0 ? Offsets::kWanted : Offsets::kNone;
    }
    if (group_ != Offsets::kNone && (batches_left_ == 0 || Chance(world_.random, 0.3)))
      return group_ == Offsets::kWanted ? AddGroup() : CommitOffset();
    if (batches_left_ == 0) return End();
    const auto partition = static_cast<int32_t>(Below(world_.random, kTransactionalPartitions));
    return added_.contains(partition) ? Append(partition) : Add(partition);
  }
  bool Done() const override { return known_ && current_ == nullptr; }

 private:
  /// What became of the transaction is unknown, or it is aborted by the next epoch.
  void Abandon() {
    current_ = nullptr;
    known_ = false;
  }
  void Take(const txn::ProducerIdentity& identity) {
    identity_ = identity;
    known_ = true;
    current_ = nullptr;
    for (int32_t& sequence : sequences_) sequence = 0;
  }
  /// Errors after which the same request is sent again.
  static bool IsPassing(txn::TxnError error) {
    return error == txn::TxnError::kConcurrentTransactions || error == txn::TxnError::kCoordinatorNotAvailable;
  }
  /// Errors that tell a producer to begin anew: its transaction was aborted at its timeout.
  static bool IsFencing(txn::TxnError error) { return error == txn::TxnError::kProducerFenced || error == txn::TxnError::kInvalidTxnState; }
  void Refused(const char* what, txn::TxnError error) {
    Require(IsPassing(error) || IsFencing(error), id_ + ": " + what + " gave error " + std::to_string(static_cast<int>(error)));
    if (IsFencing(error)) Abandon();
  }

  void Init() {
    Ask([this](Server& server, Network::ConnectionId connection) {
      server.transactions->InitProducer(id_, kTimeoutMs, {}, Answering(connection, [this](const txn::Coordinator::InitResult& result) {
                                          if (result.error != txn::TxnError::kNone) return Refused("a new epoch", result.error);
                                          Take(result.producer);
                                        }));
    });
  }

  void Add(int32_t partition) {
    Ask([this, partition, identity = identity_](Server& server, Network::ConnectionId connection) {
      server.transactions->AddPartitions(id_, identity, {{kTransactionalTopic, partition}},
                                         Answering(connection, [this, partition](txn::TxnError error) {
                                           if (error != txn::TxnError::kNone) return Refused("a partition", error);
                                           added_.insert(partition);
                                         }));
    });
  }

  void AddGroup() {
    Ask([this, identity = identity_](Server& server, Network::ConnectionId connection) {
      server.transactions->AddGroup(id_, identity, kGroup, Answering(connection, [this](txn::TxnError error) {
                                      if (error != txn::TxnError::kNone) return Refused("a group", error);
                                      group_ = Offsets::kBegun;
                                    }));
    });
  }

  void CommitOffset() {
    if (current_->group_offset < 0) world_.history.NewOffset(*current_, number_);
    const group::OffsetToCommit offset{.topic = kTransactionalTopic, .partition = number_, .offset = current_->group_offset, .metadata = {}};
    Ask([this, offset, identity = identity_](Server& server, Network::ConnectionId connection) {
      const group::MemberClaim nobody{.group = kGroup, .generation = -1, .member_id = {}, .instance_id = {}};
      server.coordinator->CommitInTransaction(nobody, identity.id, identity.epoch, {offset}, Answering(connection, [this](group::GroupError error) {
                                                using enum group::GroupError;
                                                if (error == kCoordinatorNotAvailable) return;
                                                Require(error == kNone || error == kInvalidTxnState || error == kInvalidProducerEpoch,
                                                        id_ + ": an offset gave error " + std::to_string(static_cast<int>(error)));
                                                if (error == kNone) group_ = Offsets::kNone;
                                                else Abandon();
                                              }));
    });
    if (Chance(world_.random, kBreaksWithOffset)) world_.network.Cut(connection_);
  }

  void Append(int32_t partition) {
    --batches_left_;
    log::BatchBuilder builder;
    std::vector<std::string> values;
    for (uint64_t i = 1 + Below(world_.random, 3); i > 0; --i) {
      values.push_back(world_.history.NewValue(*current_, partition));
      builder.Add(1000, std::nullopt, values.back());
    }
    int32_t& sequence = sequences_[partition];
    const std::string bytes = builder.Finish(static_cast<int>(Below(world_.random, 5)),
                                             {.id = identity_.id, .epoch = identity_.epoch, .base_sequence = sequence, .transactional = true});
    sequence += static_cast<int32_t>(values.size());
    Ask([this, partition, bytes, transaction = current_, values](Server& server, Network::ConnectionId connection) {
      auto offset = std::make_shared<log::Offset>(-1);
      auto answer = Answering(connection, [this](log::KafkaError error) {
        using enum log::KafkaError;
        Require(error == kNone || error == kKafkaStorageError || error == kOutOfOrderSequence || error == kInvalidTxnState ||
                    error == kInvalidProducerEpoch,
                id_ + ": a batch gave error " + std::to_string(static_cast<int>(error)));
        if (error != kNone) Abandon();
      });
      const log::AppendResult result = server.transactional->partition(partition).Append(
          bytes, [this, offset, transaction, values, answer, alive = server.alive](log::KafkaError error) {
            if (*alive && error == log::KafkaError::kNone) world_.history.NoteAppended(*transaction, values, *offset);
            answer(error);
          });
      *offset = result.base_offset;
      if (result.error != log::KafkaError::kNone) answer(result.error);
    });
    if (Chance(world_.random, kBreaksWithBatch)) world_.network.Cut(connection_);
  }

  void End() {
    if (commit_) current_->commit_asked = true;
    Ask([this, identity = identity_, transaction = current_, commit = commit_](Server& server, Network::ConnectionId connection) {
      server.transactions->End(id_, identity, commit, true,
                               [transaction, commit,
                                answer = Answering(connection,
                                                   [this](const txn::EndResult& result) {
                                                     if (result.error != txn::TxnError::kNone) return Refused("an end", result.error);
                                                     Take(result.producer);
                                                   }),
                                alive = server.alive](const txn::EndResult& result) {
                                 if (*alive && result.error == txn::TxnError::kNone && commit) transaction->committed = true;
                                 answer(result);
                               });
    });
  }

  enum class Offsets : uint8_t { kNone, kWanted, kBegun };

  const std::string id_;
  const int32_t number_;  // also the partition for which it commits offsets
  bool known_ = false;  // has an epoch
  txn::ProducerIdentity identity_;
  int32_t sequences_[kTransactionalPartitions] = {};
  TransactionHistory* current_ = nullptr;
  int batches_left_ = 0;
  bool commit_ = false;
  Offsets group_ = Offsets::kNone;  // kNone: it has none left to commit
  std::set<int32_t> added_;
};

class CommittedReader final : public Caller {
 public:
  explicit CommittedReader(World& world) : Caller(world) {}

  void Act() override {
    if (world_.server == nullptr) return;
    Reconnected();
    if (waiting_) return;
    Chance(world_.random, 0.3) ? FetchOffset() : Read();
  }

 private:
  void FetchOffset() {
    const auto partition = static_cast<int32_t>(Below(world_.random, kTransactionalProducers));
    Ask([this, partition](Server& server, Network::ConnectionId connection) {
      const std::vector<group::TopicPartitions> asked{{kTransactionalTopic, {partition}}};
      auto answer = Answering(connection, [] {});
      server.coordinator->Fetch(
          kGroup, asked,
          [this, partition, answer, at_least = world_.history.OffsetToBeSeen(partition), alive = server.alive](const group::FetchedOffsets& fetched) {
            if (!*alive) return;
            const auto topic = fetched.find(kTransactionalTopic);
            const group::CommittedOffset offset = topic == fetched.end() ? group::CommittedOffset() : topic->second.at(partition);
            world_.history.NoteGroupOffset(partition, at_least, offset.offset, offset.changing);
            answer();
          });
    });
  }

  void Read() {
    const auto partition = static_cast<int32_t>(Below(world_.random, kTransactionalPartitions));
    const size_t bytes = Below(world_.random, 20'000);
    Ask([this, partition, bytes, from = positions_[partition]](Server& server, Network::ConnectionId connection) {
      const log::ReadResult read = server.transactional->partition(partition).Read(from, bytes, log::Isolation::kReadCommitted);
      Require(read.error == log::KafkaError::kNone || read.error == log::KafkaError::kKafkaStorageError,
              "a reader of committed records got error " + std::to_string(static_cast<int>(read.error)));
      if (read.error == log::KafkaError::kNone) world_.history.NoteCommitted(partition, from, read);
      Answering(connection, [this, partition](log::Offset next) { positions_[partition] = next; })(read.bytes.empty() ? from : EndOf(read.bytes));
    });
  }

  log::Offset positions_[kTransactionalPartitions] = {};
};

}  // namespace

std::unique_ptr<Client> MakeTransactionalProducer(World& world, int32_t number) { return std::make_unique<TransactionalProducer>(world, number); }
std::unique_ptr<Client> MakeCommittedReader(World& world) { return std::make_unique<CommittedReader>(world); }

}  // namespace kappa::sim
