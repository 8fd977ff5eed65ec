// One simulated run: log, group coordinator and clients in one thread, on a simulated disk, network and clock. The seed decides all.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "group/coordinator.h"
#include "group/groups.h"
#include "io/clock.h"
#include "log/log.h"
#include "log/state_log.h"
#include "sim/history.h"
#include "sim/network.h"
#include "sim/simulated_disk.h"
#include "txn/coordinator.h"
#include "txn/places.h"

namespace kappa::sim {

inline constexpr const char* kMountedAt = "/simulated";
inline constexpr const char* kTopic = "t";
inline constexpr const char* kCompactedTopic = "c";
inline constexpr const char* kTransactionalTopic = "x";
inline constexpr int32_t kTransactionalPartitions = 2;
inline constexpr int32_t kTransactionalProducers = 2;
inline constexpr const char* kGroup = "g";

/// What the server process has in memory; gone at a crash.
struct Server {
  std::unique_ptr<log::Log> log;
  std::shared_ptr<log::Topic> topic, compacted, transactional;
  std::unique_ptr<log::StateLog> group_log;
  std::unique_ptr<group::Coordinator> coordinator;
  std::unique_ptr<log::StateLog> transaction_log;
  std::unique_ptr<txn::Places> places;
  std::unique_ptr<txn::Coordinator> transactions;
  bool transactions_ready = false;  // they have work
  /// As History numbers them.
  log::Partition& partition(int32_t number) {
    if (number >= kTransactionalPartition) return transactional->partition(number - kTransactionalPartition);
    return number == kCompactedPartition ? compacted->partition(0) : topic->partition(number);
  }
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);  // what callbacks look at that may outlive it
};

/// What a client needs of its world.
struct World {
  explicit World(uint64_t seed) : random(seed), disk(kMountedAt, random), network(random) {}
  Random random;
  io::ManualClock clock{1'767'225'600'000'000};
  SimulatedDisk disk;
  Network network;
  History history;
  std::unique_ptr<Server> server;  // null while it is down
  bool producing = true;           // false: producers only finish what they began
};

/// One that speaks to the server. A new kind of client (a transactional producer, say) is one more of these.
class Client {
 public:
  virtual ~Client() = default;
  /// Does one thing, or nothing while it waits.
  virtual void Act() = 0;
  /// Whether nothing that it began is unfinished.
  virtual bool Done() const { return true; }
};

/// One that waits for the answer to each request before the next.
class Caller : public Client {
 protected:
  explicit Caller(World& world) : world_(world) {}
  /// True when the connection was lost, and is a new one: what was under way is unknown.
  bool Reconnected() {
    if (world_.network.IsUp(connection_)) return false;
    connection_ = world_.network.Connect();
    waiting_ = false;
    return true;
  }
  /// Sends work to the server, and acts no more until something answers.
  void Ask(std::function<void(Server&, Network::ConnectionId)> work) {
    waiting_ = true;
    world_.network.Send(connection_, [this, connection = connection_, work = std::move(work)] { work(*world_.server, connection); });
  }
  /// From the server to this client. Nothing comes of a server that died.
  template <class Take> auto Answering(Network::ConnectionId connection, Take take) {
    return [this, connection, take, alive = world_.server->alive](auto&&... answer) {
      if (!*alive) return;
      world_.network.Answer(connection, [this, take, answer...] {
        waiting_ = false;
        take(answer...);
      });
    };
  }

  World& world_;
  Network::ConnectionId connection_ = -1;
  bool waiting_ = false;
};

std::unique_ptr<Client> MakeProducer(World& world, int32_t partition);
std::unique_ptr<Client> MakeConsumer(World& world, int32_t partitions);
std::unique_ptr<Client> MakeTransactionalProducer(World& world, int32_t number);
std::unique_ptr<Client> MakeCommittedReader(World& world);

struct Outcome {
  uint64_t digest = 0;
  size_t acknowledged = 0;  // batches
  size_t committed = 0;     // transactions
  size_t crashes = 0;
  size_t power_cuts = 0;
  uint64_t disk_calls = 0;
  std::string violation;  // empty: all held
};

/// Runs the seed to its end, or to the first broken promise.
Outcome Simulate(uint64_t seed);

}  // namespace kappa::sim
