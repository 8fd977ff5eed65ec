// An idempotent producer, as real ones are: five batches under way, sent again from the oldest one after an error or a lost connection.
#include <list>

#include "log/record_batch.h"
#include "sim/simulation.h"

namespace kappa::sim {
namespace {

constexpr size_t kInFlightMax = 5;
constexpr size_t kCodecs = 5;
constexpr double kBeginsAnew = 0.005;  // with another id, when all is answered
constexpr uint64_t kKeys = 10;  // of each producer for the compacted topic

class Producer final : public Client {
 public:
  Producer(World& world, int32_t partition) : world_(world), history_(world.history.AddProducer(partition)) {}

  void Act() override {
    if (world_.server == nullptr) return;
    if (!world_.network.IsUp(connection_)) {
      connection_ = world_.network.Connect();
      next_ = history_.acknowledged;
      in_flight_ = 0;
      draining_ = id_asked_ = false;
    }
    if (id_ < 0) return AskForId();
    if (draining_ || in_flight_ >= kInFlightMax) return;
    if (next_ == history_.batches.size()) {
      begins_anew_ |= Chance(world_.random, kBeginsAnew);
      if (begins_anew_ && in_flight_ == 0) {
        id_ = -1;
        begins_anew_ = false;
      }
      if (!world_.producing || begins_anew_ || id_ < 0) return;
      MakeBatch();
    }
    Send(next_++);
  }

 private:
  void AskForId() {
    if (std::exchange(id_asked_, true)) return;
    world_.network.Send(connection_, [this, connection = connection_] {
      auto id = world_.server->log->NextProducerId();
      if (id.ok()) world_.history.NoteProducerId(*id);
      world_.network.Answer(connection, [this, id = id.ok() ? *id : -1] {
        id_ = id;
        id_asked_ = false;
      });
    });
  }

  void MakeBatch() {
    ProducerHistory::Batch batch;
    batch.first_sequence = next_sequence_;
    const uint64_t count = 1 + Below(world_.random, 4);
    for (uint64_t i = 0; i < count; ++i) {
      std::string value = history_.name + ":" + std::to_string(next_sequence_++) + ":";
      value.append(Below(world_.random, 2) * Below(world_.random, 1500), 'x');
      if (compacted_) {
        batch.keys.push_back(history_.name + "/" + std::to_string(Below(world_.random, kKeys)));
        if (Chance(world_.random, 0.2)) value.clear();
      }
      batch.values.push_back(std::move(value));
    }
    history_.batches.push_back(std::move(batch));
  }

  void Send(size_t index) {
    const ProducerHistory::Batch& batch = history_.batches[index];
    log::BatchBuilder builder;
    for (size_t i = 0; i < batch.values.size(); ++i) {
      const std::optional<std::string_view> value = batch.values[i].empty() ? std::nullopt : std::optional<std::string_view>(batch.values[i]);
      builder.Add(1000, compacted_ ? std::optional<std::string_view>(batch.keys[i]) : std::nullopt, value);
    }
    std::string bytes = builder.Finish(static_cast<int>(index % kCodecs), {.id = id_, .epoch = 0, .base_sequence = batch.first_sequence});
    history_.sent = std::max(history_.sent, index + 1);
    ++in_flight_;
    world_.network.Send(connection_, [this, index, connection = connection_, bytes = std::move(bytes)] { OnServer(index, connection, bytes); });
  }

  void OnServer(size_t index, Network::ConnectionId connection, const std::string& bytes) {
    auto appended = std::make_shared<log::Offset>(-1);
    if (connection > answering_) {
      answers_.clear();
      answering_ = connection;
    }
    // One of a connection of before comes late: nobody waits for its answer.
    auto place = connection == answering_ ? answers_.insert(answers_.end(), {index, std::nullopt}) : answers_.end();
    log::Partition& partition = world_.server->partition(history_.partition);
    const log::AppendResult result =
        partition.Append(bytes, [this, index, connection, place, appended, alive = world_.server->alive](log::KafkaError error) {
          if (!*alive) return;
          if (error == log::KafkaError::kNone) world_.history.NoteAcknowledged(history_.batches[index], *appended);
          Answer(connection, place, error);
        });
    *appended = result.base_offset;
    if (result.error != log::KafkaError::kNone) Answer(connection, place, result.error);
  }

  /// The server's: answers of one connection leave in the order of its requests.
  using Answers = std::list<std::pair<size_t, std::optional<log::KafkaError>>>;
  void Answer(Network::ConnectionId connection, Answers::iterator place, log::KafkaError error) {
    if (connection != answering_) return;
    place->second = error;
    for (; !answers_.empty() && answers_.front().second; answers_.pop_front()) {
      world_.network.Answer(connection, [this, answer = answers_.front()] { OnAnswer(answer.first, *answer.second); });
    }
  }

  void OnAnswer(size_t index, log::KafkaError error) {
    --in_flight_;
    // Behind a refused batch another may have been stored, when the refused one came once more by a connection of before. It is sent again.
    // A duplicate whose offset is forgotten is a success, if it was one, and its records were deleted since.
    const bool deleted =
        history_.batches[index].told_offset >= 0 && history_.batches[index].told_offset < world_.history.DeletedBelow(history_.partition);
    const bool forgotten = error == log::KafkaError::kDuplicateSequence && (deleted || compacted_);
    if (forgotten) error = log::KafkaError::kNone;
    if (error == log::KafkaError::kNone && !draining_) {
      Require(index == history_.acknowledged, history_.batches[index].values[0] + " was answered out of turn");
      ++history_.acknowledged;
      return;
    }
    Require(error == log::KafkaError::kNone || error == log::KafkaError::kKafkaStorageError || error == log::KafkaError::kOutOfOrderSequence,
            history_.batches[index].values[0] + " was refused with error " + std::to_string(static_cast<int>(error)));
    draining_ = true;
    if (in_flight_ > 0) return;
    draining_ = false;
    next_ = history_.acknowledged;
  }

  World& world_;
  ProducerHistory& history_;
  const bool compacted_ = history_.partition == kCompactedPartition;
  Network::ConnectionId connection_ = -1;
  int64_t id_ = -1;
  bool id_asked_ = false;
  bool begins_anew_ = false;
  int32_t next_sequence_ = 0;
  Answers answers_;       // that the server has to give on connection answering_
  Network::ConnectionId answering_ = -1;
  size_t next_ = 0;       // the batch to be sent next
  size_t in_flight_ = 0;  // on this connection
  bool draining_ = false; // after an error: takes all answers, then begins again
};

}  // namespace

std::unique_ptr<Client> MakeProducer(World& world, int32_t partition) { return std::make_unique<Producer>(world, partition); }

}  // namespace kappa::sim
