// ClientRegistry: the connections that are served now, so that another thread can cancel what one of them runs.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "engine/engine.h"
#include "serve/net/socket.h"

namespace kappa::serve {

/// One connection, as other threads see it.
struct Client {
  int32_t process_id = 0;
  int32_t secret = 0;
  engine::Session* session = nullptr;
  const Socket* socket = nullptr;
  std::atomic<bool> busy{false};       // a statement runs or its rows are being sent
  std::atomic<bool> cancelled{false};  // of the statement that runs
};

/// Marks a client busy for the time of one statement, and forgets cancels that came before it.
class BusyScope {
 public:
  explicit BusyScope(Client& client) : client_(client) {
    client_.cancelled = false;
    client_.busy = true;
  }
  ~BusyScope() { client_.busy = false; }
  BusyScope(const BusyScope&) = delete;
  BusyScope& operator=(const BusyScope&) = delete;

 private:
  Client& client_;
};

class ClientRegistry {
 public:
  /// Gives the client a process id of its own and a random secret. `session` and `socket` must live until Remove.
  std::shared_ptr<Client> Add(engine::Session& session, const Socket& socket);
  void Remove(const Client& client);

  /// A CancelRequest: does nothing unless id and secret fit and a statement runs.
  void Cancel(int32_t process_id, int32_t secret);
  void CancelAll();
  /// Cancels the statements of clients that have closed their connection.
  void CancelAbandoned();

 private:
  static void CancelLocked(Client& client);

  std::mutex mutex_;
  int32_t last_process_id_ = 0;
  std::map<int32_t, std::shared_ptr<Client>> clients_;  // guarded by mutex_
};

}  // namespace kappa::serve
