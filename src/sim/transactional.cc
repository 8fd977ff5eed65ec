// A transactional producer, which begins anew after whatever goes wrong; and a reader of committed records.
#include <set>

#include "log/record_batch.h"
#include "sim/simulation.h"

namespace kappa::sim {
namespace {

constexpr int32_t kTimeoutMs = 60'000;

class TransactionalProducer final : public Caller {
 public:
  TransactionalProducer(World& world, std::string id) : Caller(world), id_(std::move(id)) {}

  void Act() override {
    if (world_.server == nullptr) return;
    if (Reconnected()) Abandon();
    if (waiting_) return;
    if (!known_) return Init();
    if (current_ == nullptr) {
      if (!world_.producing) return;
      current_ = &world_.history.AddTransaction(id_);
      batches_left_ = 1 + static_cast<int>(Below(world_.random, 5));
      commit_ = Chance(world_.random, 0.7);
      added_.clear();
    }
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
  }

  void End() {
    if (commit_) current_->commit_asked = true;
    Ask([this, identity = identity_, transaction = current_, commit = commit_](Server& server, Network::ConnectionId connection) {
      server.transactions->End(id_, identity, commit, true,
                               [this, transaction, commit,
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

  const std::string id_;
  bool known_ = false;  // has an epoch
  txn::ProducerIdentity identity_;
  int32_t sequences_[kTransactionalPartitions] = {};
  TransactionHistory* current_ = nullptr;
  int batches_left_ = 0;
  bool commit_ = false;
  std::set<int32_t> added_;
};

class CommittedReader final : public Caller {
 public:
  explicit CommittedReader(World& world) : Caller(world) {}

  void Act() override {
    if (world_.server == nullptr) return;
    Reconnected();
    if (waiting_) return;
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

 private:
  log::Offset positions_[kTransactionalPartitions] = {};
};

}  // namespace

std::unique_ptr<Client> MakeTransactionalProducer(World& world, const std::string& id) { return std::make_unique<TransactionalProducer>(world, id); }
std::unique_ptr<Client> MakeCommittedReader(World& world) { return std::make_unique<CommittedReader>(world); }

}  // namespace kappa::sim
