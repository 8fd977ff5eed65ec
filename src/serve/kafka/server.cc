#include "serve/kafka/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "serve/kafka/broker.h"
#include "serve/kafka/connection.h"
#include "serve/net/socket.h"

namespace kappa::serve {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using kafka::Broker;
using kafka::Connection;

struct KafkaServer::Impl final : kafka::Runtime {
  Impl(KafkaServerOptions options, io::Clock& clock) : connections(std::move(options), clock), sweep_timer(io) {}

  // Destroyed in reverse: connections die with the contexts that hold their handlers, before what they refer to.
  kafka::Connections connections;
  std::shared_ptr<kafka::Gate> gate = std::make_shared<kafka::Gate>();
  std::unique_ptr<Broker> broker;
  asio::io_context io;
  asio::thread_pool offload{1};
  asio::steady_timer sweep_timer;
  std::vector<tcp::acceptor> acceptors;
  std::vector<std::thread> threads;
  std::string address;
  std::optional<kafka::Endpoint> advertised;
  bool stopped = false;

  void Post(std::function<void()> work) override { asio::post(io, std::move(work)); }
  void Offload(std::function<void()> work) override { asio::post(offload, std::move(work)); }
  void After(int64_t delay_ms, std::function<void()> work) override {
    auto timer = std::make_shared<asio::steady_timer>(io, std::chrono::milliseconds(delay_ms));
    timer->async_wait([timer, work = std::move(work)](error_code error) {
      if (!error) work();
    });
  }

  Status Listen() {
    const KafkaServerOptions& options = connections.options;
    KAPPA_ASSIGN_OR_RETURN(const HostPort parts, ParseHostPort(options.address));
    const bool authenticates = options.users != nullptr || (options.tls != nullptr && options.tls->asks_for_certificates());
    if (!options.insecure && !IsLoopbackHost(parts.host) && (options.tls == nullptr || !authenticates)) {
      return Error(sqlstate::kInvalidParameterValue, fmt::format("refusing to listen on \"{}\": it is not a loopback address", options.address))
          .Detail(options.tls == nullptr ? "Without --tls-cert this listener has no encryption." : "This listener does not ask who its clients are.")
          .Hint(fmt::format(
              "Encrypt with --tls-cert and --tls-key, and authenticate with --kafka-sasl or --tls-client-ca; or use a loopback address with {}.",
              options.flag));
    }
    const bool plain = std::ranges::find(options.mechanisms, auth::Mechanism::kPlain) != options.mechanisms.end();
    if (options.users != nullptr && plain && options.tls == nullptr && !options.plain_without_tls) {
      return Error(sqlstate::kInvalidParameterValue, "refusing SASL mechanism PLAIN without TLS: it sends passwords as they are")
          .Hint("Encrypt with --tls-cert and --tls-key, or use scram-sha-256; --kafka-sasl-plain-without-tls accepts the risk.");
    }
    error_code error;
    tcp::resolver resolver(io);
    std::vector<tcp::endpoint> endpoints;
    for (const auto& entry : resolver.resolve(parts.host, parts.port, tcp::resolver::passive, error)) {
      // A name may have both families, and clients try either: listen on all, IPv4 first.
      const tcp::endpoint endpoint = entry.endpoint();
      if (std::ranges::find(endpoints, endpoint) != endpoints.end()) continue;
      endpoints.insert(endpoint.address().is_v4() ? endpoints.begin() : endpoints.end(), endpoint);
    }
    if (error || endpoints.empty()) {
      return Error(sqlstate::kInvalidParameterValue, fmt::format("could not resolve \"{}\": {}", parts.host, error.message()))
          .Hint(fmt::format("Give an address of this machine with {}.", options.flag));
    }
    const bool any_port = endpoints.front().port() == 0;
    for (tcp::endpoint endpoint : endpoints) {
      if (any_port && !acceptors.empty()) endpoint.port(acceptors.front().local_endpoint(error).port());
      tcp::acceptor acceptor(io);
      acceptor.open(endpoint.protocol(), error);
      if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
      if (!error && endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
      if (!error) acceptor.bind(endpoint, error);
      if (!error) acceptor.listen(256, error);
      if (!error) {
        acceptors.push_back(std::move(acceptor));
        continue;
      }
      // A further address of a name may be missing on this machine.
      const bool taken = error == asio::error::address_in_use;
      if (!acceptors.empty() && (any_port || !taken)) continue;
      const std::string why = taken ? "address already in use" : error.message();
      return Error(taken ? sqlstate::kObjectInUse : sqlstate::kIoError, fmt::format("could not listen on \"{}\": {}", options.address, why))
          .Hint(fmt::format("Choose another address with {}; port 0 takes a free one.", options.flag));
    }
    const tcp::endpoint bound = acceptors.front().local_endpoint(error);
    address = fmt::format(fmt::runtime(bound.address().is_v6() ? "[{}]:{}" : "{}:{}"), bound.address().to_string(), bound.port());
    if (!options.advertised_address.empty()) {
      KAPPA_ASSIGN_OR_RETURN(const HostPort told, ParseHostPort(options.advertised_address));
      advertised = {told.host, static_cast<int32_t>(std::stol(told.port))};
      if (advertised->port == 0) advertised->port = bound.port();
    }
    return Status::Ok();
  }

  void Accept(tcp::acceptor& acceptor) {
    acceptor.async_accept(asio::make_strand(io), [this, &acceptor](error_code error, tcp::socket socket) {
      if (connections.stopping || error == asio::error::operation_aborted) return;
      if (!error) Welcome(std::move(socket));
      if (error == asio::error::no_descriptors || error == asio::error::no_buffer_space || error == asio::error::no_memory) {
        return After(50, [this, &acceptor] { Accept(acceptor); });  // let connections end instead of spinning
      }
      Accept(acceptor);
    });
  }

  bool TooManyOf(const tcp::socket& socket) {
    error_code error;
    const std::string host = socket.remote_endpoint(error).address().to_string();
    if (!broker->AdmitConnection(host)) return true;
    if (connections.options.connections_per_ip_max == 0) return false;
    std::lock_guard lock(connections.mutex);
    return std::ranges::count_if(connections.open, [&](const auto& each) { return each.second->host() == host; }) >=
           connections.options.connections_per_ip_max;
  }

  void Welcome(tcp::socket socket) {
    connections.metrics.connections_total.fetch_add(1);
    if (connections.metrics.connections_open.load() >= connections.options.connections_max || TooManyOf(socket)) {
      connections.metrics.connections_refused.fetch_add(1);
      return;  // closes it
    }
    auto connection = std::make_shared<Connection>(std::move(socket), connections, gate);
    if (advertised) connection->Advertise(*advertised);
    {
      std::lock_guard lock(connections.mutex);
      connections.open.emplace(connection.get(), connection);
    }
    asio::post(connection->executor(), [connection] { connection->Start(); });
  }

  void ForEachConnection(const std::function<void(Connection&)>& visit) {
    std::vector<std::shared_ptr<Connection>> all;
    {
      std::lock_guard lock(connections.mutex);
      for (auto& [key, connection] : connections.open) all.push_back(connection);
    }
    for (auto& connection : all) asio::post(connection->executor(), [connection, visit] { visit(*connection); });
  }

  void Sweep() {
    const int64_t shortest_ms =
        std::min({connections.options.idle_timeout_ms, connections.options.stall_timeout_ms, connections.options.authentication_timeout_ms});
    sweep_timer.expires_after(std::chrono::milliseconds(std::clamp<int64_t>(shortest_ms / 4, 10, 1000)));
    sweep_timer.async_wait([this](error_code error) {
      if (error || connections.stopping) return;
      ForEachConnection([now = connections.clock.SteadyMicros()](Connection& connection) { connection.CheckTimeouts(now); });
      Sweep();
    });
  }

  void Run() {
    connections.broker = broker.get();
    for (tcp::acceptor& acceptor : acceptors) Accept(acceptor);
    Sweep();
    for (int i = 0; i < std::max(connections.options.io_threads, 1); ++i) threads.emplace_back([this] { io.run(); });
  }

  void Stop() {
    if (std::exchange(stopped, true)) return;
    connections.stopping = true;
    asio::post(io, [this] {
      error_code error;
      for (tcp::acceptor& acceptor : acceptors) acceptor.close(error);
      sweep_timer.cancel();
    });
    broker->StopWaiting();
    ForEachConnection([](Connection& connection) { connection.Drain(); });
    {
      std::unique_lock lock(connections.mutex);
      connections.all_closed.wait_for(lock, std::chrono::seconds(2), [this] { return connections.open.empty(); });
    }
    gate->Close();
    io.stop();
    for (std::thread& thread : threads) thread.join();
    offload.stop();
    offload.join();
    decltype(connections.open) left;  // their sockets must go before the context that they belong to
    std::lock_guard lock(connections.mutex);
    left.swap(connections.open);
  }
};

KafkaServer::KafkaServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KafkaServer::~KafkaServer() { Stop(); }
std::string KafkaServer::address() const { return impl_->address; }
const KafkaMetrics& KafkaServer::metrics() const { return impl_->connections.metrics; }
void KafkaServer::Stop() { impl_->Stop(); }

Result<std::unique_ptr<KafkaServer>> KafkaServer::Start(KafkaServerOptions options, log::Log& log, group::Groups& groups,
                                                        txn::Transactions& transactions, quota::ClientQuotas& quotas, io::Clock& clock) {
  auto impl = std::make_unique<Impl>(std::move(options), clock);
  KAPPA_RETURN_IF_ERROR(impl->Listen());
  impl->broker = std::make_unique<Broker>(impl->connections.options, log, groups, transactions, quotas, clock, *impl, impl->connections.metrics);
  impl->Run();
  return std::unique_ptr<KafkaServer>(new KafkaServer(std::move(impl)));
}

}  // namespace kappa::serve
