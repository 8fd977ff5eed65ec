#include "serve/net/client_registry.h"

#include <sys/random.h>

#include "base/check.h"

namespace kappa::serve {

std::shared_ptr<Client> ClientRegistry::Add(engine::Session& session, const Socket& socket) {
  auto client = std::make_shared<Client>();
  client->session = &session;
  client->socket = &socket;
  KAPPA_CHECK(::getrandom(&client->secret, sizeof client->secret, 0) == sizeof client->secret);
  const std::lock_guard lock(mutex_);
  do { last_process_id_ = last_process_id_ == INT32_MAX ? 1 : last_process_id_ + 1; } while (clients_.contains(last_process_id_));
  client->process_id = last_process_id_;
  clients_.emplace(client->process_id, client);
  return client;
}

void ClientRegistry::Remove(const Client& client) {
  const std::lock_guard lock(mutex_);
  clients_.erase(client.process_id);
}

void ClientRegistry::CancelLocked(Client& client) {
  if (!client.busy) return;
  client.cancelled = true;
  client.session->Cancel();
}

void ClientRegistry::Cancel(int32_t process_id, int32_t secret) {
  const std::lock_guard lock(mutex_);
  const auto it = clients_.find(process_id);
  if (it != clients_.end() && it->second->secret == secret) CancelLocked(*it->second);
}

void ClientRegistry::CancelAll() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, client] : clients_) CancelLocked(*client);
}

void ClientRegistry::CancelAbandoned() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, client] : clients_) {
    if (client->busy && client->socket->PeerGone()) CancelLocked(*client);
  }
}

}  // namespace kappa::serve
