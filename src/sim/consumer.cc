// A consumer in a group: joins, reads what is assigned to it from the committed offset on, commits.
#include <algorithm>

#include "sim/simulation.h"

namespace kappa::sim {
namespace {

constexpr int32_t kSessionMs = 6'000;

class Consumer final : public Caller {
 public:
  Consumer(World& world, int32_t partitions) : Caller(world), partitions_(partitions) {}

  void Act() override {
    if (world_.server == nullptr) return;
    if (Reconnected()) in_ = false;
    if (waiting_) return;
    if (!in_) return Join();
    switch (Below(world_.random, 12)) {
      case 0: return Commit();
      case 1: return Heartbeat();
      case 2: return Chance(world_.random, 0.02) ? Leave() : Heartbeat();
      default: return Read();
    }
  }

 private:
  group::MemberClaim Claim() const { return {.group = kGroup, .generation = generation_, .member_id = member_id_, .instance_id = {}}; }
  void Out(group::GroupError error) {
    in_ = false;
    if (error == group::GroupError::kUnknownMemberId) member_id_.clear();
  }

  void Join() {
    group::JoinRequest request{.group = kGroup,
                               .member_id = member_id_,
                               .instance_id = {},
                               .client_id = "c",
                               .client_host = "h",
                               .session_timeout_ms = kSessionMs,
                               .rebalance_timeout_ms = kSessionMs,
                               .protocol_type = "consumer",
                               .protocols = {{"range", ""}}};
    Ask([this, request](Server& server, Network::ConnectionId connection) {
      server.coordinator->Join(request, Answering(connection, [this](const group::JoinResult& joined) { OnJoined(joined); }));
    });
  }

  void OnJoined(const group::JoinResult& joined) {
    if (joined.error == group::GroupError::kMemberIdRequired) member_id_ = joined.member_id;
    if (joined.error != group::GroupError::kNone) return Out(joined.error);
    member_id_ = joined.member_id;
    generation_ = joined.generation;
    group::SyncRequest request{.claim = Claim(), .protocol_type = {}, .protocol = {}, .assignments = {}};
    if (joined.leader == member_id_ && !joined.members.empty()) {
      for (int32_t i = 0; i < partitions_; ++i) {
        request.assignments[joined.members[static_cast<size_t>(i) % joined.members.size()].member_id] += static_cast<char>('0' + i);
      }
    }
    Ask([this, request](Server& server, Network::ConnectionId connection) {
      server.coordinator->Sync(request, Answering(connection, [this](const group::SyncResult& synced) { OnSynced(synced); }));
    });
  }

  void OnSynced(const group::SyncResult& synced) {
    if (synced.error != group::GroupError::kNone) return Out(synced.error);
    assigned_.clear();
    for (char partition : synced.assignment) assigned_.push_back(partition - '0');
    Ask([this, assigned = assigned_](Server& server, Network::ConnectionId connection) {
      // What is answered was taken before, and is told from then on.
      std::vector<std::pair<int32_t, size_t>> known;
      for (int32_t partition : assigned) known.emplace_back(partition, world_.history.commits(partition).accepted.size());
      const std::vector<group::TopicPartitions> asked{{kTopic, assigned}};
      server.coordinator->Fetch(kGroup, asked, [this, connection, known, alive = server.alive](const group::FetchedOffsets& fetched) {
        if (!*alive) return;
        std::map<int32_t, log::Offset> positions;
        for (const auto& [partition, count] : known) {
          auto topic = fetched.find(kTopic);
          const bool found = topic != fetched.end() && topic->second.contains(partition);
          const log::Offset offset = found ? topic->second.at(partition).offset : -1;
          const std::vector<log::Offset>& accepted = world_.history.commits(partition).accepted;
          const log::Offset expected = count == 0 ? -1 : accepted[count - 1];
          Require(offset == expected, "the committed offset of partition " + std::to_string(partition) + " was fetched as " + std::to_string(offset) +
                                          " instead of " + std::to_string(expected));
          if (count > 0) world_.history.NoteToldCommit(partition, count - 1);
          positions[partition] = std::max<log::Offset>(offset, 0);
        }
        world_.network.Answer(connection, [this, positions] {
          waiting_ = false;
          in_ = true;
          positions_ = positions;
        });
      });
    });
  }

  void Heartbeat() {
    Ask([this, claim = Claim()](Server& server, Network::ConnectionId connection) {
      const group::GroupError error = server.coordinator->Heartbeat(claim);
      Answering(connection, [this](group::GroupError answered) {
        if (answered != group::GroupError::kNone) Out(answered);
      })(error);
    });
  }

  void Leave() {
    Ask([this, id = member_id_](Server& server, Network::ConnectionId connection) {
      server.coordinator->Leave(kGroup, {{id, std::nullopt}}, Answering(connection, [this](const std::vector<group::GroupError>&) {
                                  in_ = false;
                                  member_id_.clear();
                                }));
    });
  }

  void Read() {
    if (assigned_.empty()) return Heartbeat();
    const int32_t index = assigned_[Below(world_.random, assigned_.size())];
    const size_t bytes = Below(world_.random, 20'000);
    Ask([this, index, bytes, from = positions_[index]](Server& server, Network::ConnectionId connection) {
      const log::ReadResult read = server.topic->partition(index).Read(from, bytes);
      log::Offset next = from;
      if (read.error == log::KafkaError::kNone) {
        const auto records = RecordsOf(read.bytes, from);
        world_.history.NoteRead(index, read.high_watermark, records);
        next += static_cast<log::Offset>(records.size());
      } else {
        const bool gone = read.error == log::KafkaError::kOffsetOutOfRange;
        Require(gone ? from < read.log_start_offset : read.error == log::KafkaError::kKafkaStorageError,
                "offset " + std::to_string(from) + " of partition " + std::to_string(index) + " gave error " +
                    std::to_string(static_cast<int>(read.error)));
        if (gone) next = read.log_start_offset;
      }
      Answering(connection, [this, index](log::Offset position) { positions_[index] = position; })(next);
    });
  }

  void Commit() {
    if (assigned_.empty()) return Heartbeat();
    std::vector<group::OffsetToCommit> offsets;
    for (int32_t index : assigned_) offsets.push_back({.topic = kTopic, .partition = index, .offset = positions_[index], .metadata = {}});
    Ask([this, claim = Claim(), offsets](Server& server, Network::ConnectionId connection) {
      const uint64_t before = server.coordinator->commits();
      auto places = std::make_shared<std::vector<std::pair<int32_t, size_t>>>();
      auto take = Answering(connection, [this](group::GroupError error) {
        if (error != group::GroupError::kNone && error != group::GroupError::kCoordinatorNotAvailable) Out(error);
      });
      // Noted before the call, for the answer may come within it, or death; taken back when it was refused.
      for (const group::OffsetToCommit& offset : offsets) {
        std::vector<log::Offset>& accepted = world_.history.commits(offset.partition).accepted;
        accepted.push_back(offset.offset);
        places->emplace_back(offset.partition, accepted.size() - 1);
      }
      server.coordinator->Commit(claim, offsets, [this, places, take, alive = server.alive](const std::vector<group::GroupError>& errors) {
        if (!*alive) return;
        if (errors[0] == group::GroupError::kNone) {
          for (const auto& [partition, place] : *places) world_.history.NoteToldCommit(partition, place);
        }
        take(errors[0]);
      });
      if (server.coordinator->commits() == before) {
        for (const group::OffsetToCommit& offset : offsets) world_.history.commits(offset.partition).accepted.pop_back();
      }
    });
  }

  const int32_t partitions_;
  bool in_ = false;  // has an assignment
  std::string member_id_;
  int32_t generation_ = -1;
  std::vector<int32_t> assigned_;
  std::map<int32_t, log::Offset> positions_;
};

}  // namespace

std::unique_ptr<Client> MakeConsumer(World& world, int32_t partitions) { return std::make_unique<Consumer>(world, partitions); }

}  // namespace kappa::sim
