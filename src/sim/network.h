// Connections of clients to the server: messages are under way for any time, arrive in order, and are lost with their connection.
#pragma once

#include <deque>
#include <functional>
#include <map>

#include "sim/simulated_disk.h"

namespace kappa::sim {

class Network {
 public:
  using ConnectionId = int;
  using Message = std::function<void()>;

  explicit Network(Random& random) : random_(random) {}

  ConnectionId Connect() {
    connections_[next_];
    return next_++;
  }
  /// False when the connection is gone. `work` runs on the server some time.
  bool Send(ConnectionId id, Message work) {
    auto found = connections_.find(id);
    if (found == connections_.end() || found->second.cut) return false;
    found->second.requests.push_back(std::move(work));
    return true;
  }
  /// From the server; lost when the client is gone. `work` runs on the client some time.
  void Answer(ConnectionId id, Message work) {
    auto found = connections_.find(id);
    if (found != connections_.end() && !found->second.cut) found->second.answers.push_back(std::move(work));
  }
  bool IsUp(ConnectionId id) const {
    auto found = connections_.find(id);
    return found != connections_.end() && !found->second.cut;
  }
  /// Answers under way are lost. Requests under way still reach the server, at any time: also after those of the client's next connection.
  void Cut(ConnectionId id) {
    auto found = connections_.find(id);
    if (found == connections_.end()) return;
    found->second.cut = true;
    found->second.slow = Chance(random_, 0.5) ? 0 : 0.98 + 0.018 * std::uniform_real_distribution<>()(random_);
    found->second.answers.clear();
    if (found->second.requests.empty()) connections_.erase(found);
  }
  /// The server died: all connections are gone with all that is under way.
  void CutAll() { connections_.clear(); }

  /// Lets one message arrive, of any connection and direction. False when none is under way.
  bool DeliverOne() {
    std::vector<std::pair<ConnectionId, bool>> ready;
    for (const auto& [id, connection] : connections_) {
      if (!connection.requests.empty() && !Chance(random_, connection.slow)) ready.emplace_back(id, true);
      if (!connection.answers.empty()) ready.emplace_back(id, false);
    }
    if (ready.empty()) return false;
    const auto [id, request] = ready[Below(random_, ready.size())];
    Connection& connection = connections_[id];
    auto& queue = request ? connection.requests : connection.answers;
    Message message = std::move(queue.front());
    queue.pop_front();
    if (connection.cut && connection.requests.empty()) connections_.erase(id);
    message();
    return true;
  }
  /// A connection that is up, by chance, rather one with a request under way; -1 without any.
  ConnectionId Any() const {
    std::vector<ConnectionId> up, sending;
    for (const auto& [id, connection] : connections_) {
      if (connection.cut) continue;
      up.push_back(id);
      if (!connection.requests.empty()) sending.push_back(id);
    }
    if (!sending.empty() && Chance(random_, 0.5)) return sending[Below(random_, sending.size())];
    return up.empty() ? -1 : up[Below(random_, up.size())];
  }

 private:
  struct Connection {
    std::deque<Message> requests, answers;
    bool cut = false;
    double slow = 0;  // what is under way takes longer, or very long
  };
  Random& random_;
  std::map<ConnectionId, Connection> connections_;
  ConnectionId next_ = 0;
};

}  // namespace kappa::sim
