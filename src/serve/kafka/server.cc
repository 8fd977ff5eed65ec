#include "serve/kafka/server.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#ifdef __SANITIZE_THREAD__
#define BOOST_ASIO_DISABLE_FENCED_BLOCK  // the sanitizer knows no fences; the scheduler's mutexes order everything anyway
#endif
#include <fmt/format.h>
#include <boost/asio.hpp>

#include "base/bytes.h"
#include "serve/kafka/broker.h"
#include "serve/net/socket.h"

namespace kappa::serve {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using kafka::Answer;
using kafka::Broker;
using kafka::Pace;

// Frames up to this size are handled where they were received; larger ones get memory of their own.
constexpr size_t kBufferBytes = 64 << 10;
constexpr int kMemoryRetryMs = 10;

class Connection;

/// Everything that connections share. Outlives them.
struct Server {
  Server(KafkaServerOptions given, io::Clock& given_clock) : options(std::move(given)), clock(given_clock) {}

  const KafkaServerOptions options;
  io::Clock& clock;
  KafkaMetrics metrics;
  Broker* broker = nullptr;
  std::atomic<bool> stopping{false};

  std::mutex mutex;
  std::condition_variable all_closed;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections;  // the open ones; guarded by mutex
};

/// Lets answers in while the server lives. Answers may come from threads of the log, even after the server is gone.
class Gate {
 public:
  void Post(const std::weak_ptr<Connection>& to, uint64_t number, Answer answer);
  void Close() {
    std::lock_guard lock(mutex_);
    open_ = false;
  }

 private:
  std::mutex mutex_;
  bool open_ = true;
};

/// One client. All functions but the constructor's run on its strand. Requests are handled as they come; a slot for each keeps the
/// answers in the order of the requests.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Server& server, std::shared_ptr<Gate> gate)
      : socket_(std::move(socket)),
        retry_timer_(socket_.get_executor()),
        server_(server),
        gate_(std::move(gate)),
        active_us_(server.clock.SteadyMicros()) {
    error_code error;
    socket_.set_option(tcp::no_delay(true), error);
    const tcp::endpoint peer = socket_.remote_endpoint(error);
    client_.host = peer.address().to_string();
    peer_ = fmt::format("{}:{}", client_.host, peer.port());
    const tcp::endpoint local = socket_.local_endpoint(error);
    client_.advertised = {local.address().to_string(), local.port()};
    server_.metrics.connections_open.fetch_add(1);
  }
  ~Connection() {
    server_.metrics.in_flight_bytes.fetch_sub(static_cast<int64_t>(held_bytes_));
    server_.metrics.connections_open.fetch_sub(1);
  }

  asio::any_io_executor executor() { return socket_.get_executor(); }
  void Advertise(kafka::Endpoint endpoint) { client_.advertised = std::move(endpoint); }
  void Start() { Pump(); }

  /// Answers what is under way, then closes.
  void Drain() {
    draining_ = true;
    retry_timer_.cancel();
    if (slots_.empty() && !writing_) Close();
  }

  void CheckTimeouts(int64_t now_us) {
    const int64_t quiet_ms = (now_us - active_us_) / 1000;
    const bool inside_frame = large_ || (reading_ && end_ > begin_);
    if ((writing_ || inside_frame) && quiet_ms > server_.options.stall_timeout_ms) return Close();
    if (!writing_ && slots_.empty() && quiet_ms > server_.options.idle_timeout_ms) Close();
  }

  void Complete(uint64_t number, Answer answer) {
    if (closed_) return;
    Slot& slot = slots_[number - first_slot_];
    slot.ready = true;
    slot.answer = std::move(answer);
    Hold(kafka::FrameBytes(slot.answer.frame));
    if (waits_for_ == number) waits_for_.reset();
    if (!slot.answer.close.empty()) draining_ = true;  // nothing after it is handled
    Flush();
    Pump();
  }

 private:
  struct Slot {
    size_t request_bytes;
    bool ready = false;
    Answer answer;
  };

  void Touch() { active_us_ = server_.clock.SteadyMicros(); }
  void Hold(size_t bytes) {
    held_bytes_ += bytes;
    server_.metrics.in_flight_bytes.fetch_add(static_cast<int64_t>(bytes));
  }
  void Release(size_t bytes) {
    held_bytes_ -= bytes;
    server_.metrics.in_flight_bytes.fetch_sub(static_cast<int64_t>(bytes));
  }
  void Close() {
    if (closed_) return;
    closed_ = true;
    error_code error;
    socket_.shutdown(tcp::socket::shutdown_both, error);
    socket_.close(error);
    retry_timer_.cancel();
    // Each caller holds a reference of its own, so this is not the last one.
    std::lock_guard lock(server_.mutex);
    server_.connections.erase(this);
    if (server_.connections.empty()) server_.all_closed.notify_all();
  }
  void CloseFor(std::string_view reason) {
    server_.metrics.client_errors.fetch_add(1);
    if (server_.options.on_client_error) server_.options.on_client_error(peer_, reason);
    Close();
  }

  /// True when no further request may be taken in now; then something else calls Pump again.
  bool MustWait() {
    if (closed_ || draining_ || reading_ || waits_for_) return true;
    if (unanswered_bytes_ > server_.options.connection_unanswered_bytes_max || held_bytes_ > server_.options.connection_unanswered_bytes_max ||
        slots_.size() > static_cast<size_t>(server_.options.connection_unanswered_requests_max)) {
      return true;  // Complete or the end of a write goes on
    }
    if (server_.metrics.in_flight_bytes.load() <= static_cast<int64_t>(server_.options.in_flight_bytes_max)) return false;
    retry_timer_.expires_after(std::chrono::milliseconds(kMemoryRetryMs));
    retry_timer_.async_wait([self = shared_from_this()](error_code error) {
      if (!error) self->Pump();
    });
    return true;
  }

  /// Handles the frames that are in the buffer, then reads on.
  void Pump() {
    while (!MustWait()) {
      const std::string_view bytes(buffer_.get() + begin_, end_ - begin_);
      const int64_t length = bytes.size() < 4 ? 0 : ByteReader(bytes).Big<int32_t>();
      if (bytes.size() >= 4 && (length < 8 || length > server_.options.frame_bytes_max)) {
        return CloseFor(fmt::format("frame of {} bytes; from 8 to {} are allowed", length, server_.options.frame_bytes_max));
      }
      const size_t whole = 4 + static_cast<size_t>(length);
      if (bytes.size() < 4 || (bytes.size() < whole && whole <= kBufferBytes)) return ReadSome();
      if (bytes.size() < whole) return StartLarge(bytes.substr(4), static_cast<size_t>(length));
      begin_ += whole;
      Handle(bytes.substr(4, whole - 4));
    }
  }

  void Handle(std::string_view frame) {
    const uint64_t number = first_slot_ + slots_.size();
    slots_.push_back({.request_bytes = frame.size()});
    unanswered_bytes_ += frame.size();
    waits_for_ = number;
    auto reply = [gate = gate_, self = weak_from_this(), number](Answer answer) { gate->Post(self, number, std::move(answer)); };
    if (server_.broker->Handle(frame, client_, std::move(reply)) == Pace::kGoOn) waits_for_.reset();
  }

  void ReadSome() {
    if (!buffer_) buffer_ = std::make_unique_for_overwrite<char[]>(kBufferBytes);
    if (begin_ > 0) std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    reading_ = true;
    socket_.async_read_some(asio::buffer(buffer_.get() + end_, kBufferBytes - end_), [self = shared_from_this()](error_code error, size_t bytes) {
      self->reading_ = false;
      if (!self->Received(error, bytes)) return;
      self->end_ += bytes;
      self->Pump();
    });
  }

  void StartLarge(std::string_view head, size_t length) {
    Hold(length);
    large_ = std::make_unique_for_overwrite<char[]>(length);
    large_bytes_ = length;
    std::memcpy(large_.get(), head.data(), head.size());
    begin_ = end_ = 0;
    reading_ = true;
    // The condition sees every arrival: a frame may take long as long as it moves.
    asio::async_read(
        socket_, asio::buffer(large_.get() + head.size(), length - head.size()),
        [self = shared_from_this()](error_code error, size_t) {
          self->Touch();
          return error ? size_t{0} : size_t{4} << 20;
        },
        [self = shared_from_this()](error_code error, size_t bytes) {
          self->reading_ = false;
          std::unique_ptr<char[]> frame = std::move(self->large_);
          if (self->Received(error, bytes)) self->Handle({frame.get(), self->large_bytes_});
          frame.reset();
          self->Release(self->large_bytes_);
          self->Pump();
        });
  }

  bool Received(error_code error, size_t bytes) {
    Touch();
    server_.metrics.bytes_in.fetch_add(bytes, std::memory_order_relaxed);
    if (error) Close();
    return !error && !closed_;
  }

  /// Writes the answers that are ready and first in order.
  void Flush() {
    if (writing_ || closed_) return;
    while (!slots_.empty() && slots_.front().ready) {
      Answer& answer = slots_.front().answer;
      if (!answer.close.empty()) {
        if (!out_.empty()) break;  // earlier answers first
        return CloseFor(answer.close);
      }
      for (std::string& chunk : answer.frame) out_.push_back(std::move(chunk));
      unanswered_bytes_ -= slots_.front().request_bytes;
      slots_.pop_front();
      ++first_slot_;
      if (out_.size() >= 64) break;
    }
    if (out_.empty()) {
      if (draining_ && slots_.empty()) Close();
      return;
    }
    std::vector<asio::const_buffer> buffers;
    for (const std::string& chunk : out_) buffers.push_back(asio::buffer(chunk));
    writing_ = true;
    Touch();
    asio::async_write(
        socket_, buffers,
        [self = shared_from_this()](error_code error, size_t) {
          self->Touch();
          return error ? size_t{0} : size_t{4} << 20;
        },
        [self = shared_from_this(), bytes = asio::buffer_size(buffers)](error_code error, size_t written) {
          self->writing_ = false;
          self->out_.clear();
          self->Release(bytes);
          self->server_.metrics.bytes_out.fetch_add(written, std::memory_order_relaxed);
          if (error) return self->Close();
          self->Flush();
          self->Pump();
        });
  }

  tcp::socket socket_;
  asio::steady_timer retry_timer_;
  Server& server_;
  const std::shared_ptr<Gate> gate_;
  std::string peer_;
  kafka::Client client_;

  std::unique_ptr<char[]> buffer_;  // received but not handled: [begin_, end_)
  size_t begin_ = 0, end_ = 0;
  std::unique_ptr<char[]> large_;   // a frame too large for buffer_, being received
  size_t large_bytes_ = 0;
  bool reading_ = false;

  std::deque<Slot> slots_;  // requests not answered, in order; the first has number first_slot_
  uint64_t first_slot_ = 0;
  std::optional<uint64_t> waits_for_;  // the request that must be answered before the next is handled
  std::vector<std::string> out_;       // being written
  bool writing_ = false;
  bool draining_ = false;
  bool closed_ = false;

  size_t unanswered_bytes_ = 0;
  size_t held_bytes_ = 0;  // this connection's part of in_flight_bytes
  int64_t active_us_;
};

void Gate::Post(const std::weak_ptr<Connection>& to, uint64_t number, Answer answer) {
  std::lock_guard lock(mutex_);
  if (!open_) return;
  if (auto connection = to.lock()) {
    asio::post(connection->executor(),
               [connection, number, answer = std::move(answer)]() mutable { connection->Complete(number, std::move(answer)); });
  }
}

}  // namespace

struct KafkaServer::Impl final : kafka::Runtime {
  Impl(KafkaServerOptions options, io::Clock& clock) : server(std::move(options), clock), sweep_timer(io) {}

  // Destroyed in reverse: connections die with the contexts that hold their handlers, before what they refer to.
  Server server;
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
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
    const KafkaServerOptions& options = server.options;
    KAPPA_ASSIGN_OR_RETURN(const HostPort parts, ParseHostPort(options.address));
    if (!options.insecure && !IsLoopbackHost(parts.host)) {
      return Error(sqlstate::kInvalidParameterValue, fmt::format("refusing to listen on \"{}\": it is not a loopback address", options.address))
          .Detail("This listener has no authentication and no encryption yet.")
          .Hint(
              fmt::format("Use a loopback address with {}, and an SSH tunnel or a proxy that authenticates for access from outside.", options.flag));
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
      if (server.stopping || error == asio::error::operation_aborted) return;
      if (!error) Welcome(std::move(socket));
      if (error == asio::error::no_descriptors || error == asio::error::no_buffer_space || error == asio::error::no_memory) {
        return After(50, [this, &acceptor] { Accept(acceptor); });  // let connections end instead of spinning
      }
      Accept(acceptor);
    });
  }

  void Welcome(tcp::socket socket) {
    server.metrics.connections_total.fetch_add(1);
    if (server.metrics.connections_open.load() >= server.options.connections_max) {
      server.metrics.connections_refused.fetch_add(1);
      return;  // closes it
    }
    auto connection = std::make_shared<Connection>(std::move(socket), server, gate);
    if (advertised) connection->Advertise(*advertised);
    {
      std::lock_guard lock(server.mutex);
      server.connections.emplace(connection.get(), connection);
    }
    asio::post(connection->executor(), [connection] { connection->Start(); });
  }

  void ForEachConnection(const std::function<void(Connection&)>& visit) {
    std::vector<std::shared_ptr<Connection>> all;
    {
      std::lock_guard lock(server.mutex);
      for (auto& [key, connection] : server.connections) all.push_back(connection);
    }
    for (auto& connection : all) asio::post(connection->executor(), [connection, visit] { visit(*connection); });
  }

  void Sweep() {
    const int64_t shortest_ms = std::min(server.options.idle_timeout_ms, server.options.stall_timeout_ms);
    sweep_timer.expires_after(std::chrono::milliseconds(std::clamp<int64_t>(shortest_ms / 4, 10, 1000)));
    sweep_timer.async_wait([this](error_code error) {
      if (error || server.stopping) return;
      ForEachConnection([now = server.clock.SteadyMicros()](Connection& connection) { connection.CheckTimeouts(now); });
      Sweep();
    });
  }

  void Run() {
    server.broker = broker.get();
    for (tcp::acceptor& acceptor : acceptors) Accept(acceptor);
    Sweep();
    for (int i = 0; i < std::max(server.options.io_threads, 1); ++i) threads.emplace_back([this] { io.run(); });
  }

  void Stop() {
    if (std::exchange(stopped, true)) return;
    server.stopping = true;
    asio::post(io, [this] {
      error_code error;
      for (tcp::acceptor& acceptor : acceptors) acceptor.close(error);
      sweep_timer.cancel();
    });
    broker->StopWaiting();
    ForEachConnection([](Connection& connection) { connection.Drain(); });
    {
      std::unique_lock lock(server.mutex);
      server.all_closed.wait_for(lock, std::chrono::seconds(2), [this] { return server.connections.empty(); });
    }
    gate->Close();
    io.stop();
    for (std::thread& thread : threads) thread.join();
    offload.stop();
    offload.join();
    decltype(server.connections) left;  // their sockets must go before the context that they belong to
    std::lock_guard lock(server.mutex);
    left.swap(server.connections);
  }
};

KafkaServer::KafkaServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KafkaServer::~KafkaServer() { Stop(); }
std::string KafkaServer::address() const { return impl_->address; }
const KafkaMetrics& KafkaServer::metrics() const { return impl_->server.metrics; }
void KafkaServer::Stop() { impl_->Stop(); }

Result<std::unique_ptr<KafkaServer>> KafkaServer::Start(KafkaServerOptions options, log::Log& log, group::Groups& groups,
                                                        txn::Transactions& transactions, io::Clock& clock) {
  auto impl = std::make_unique<Impl>(std::move(options), clock);
  KAPPA_RETURN_IF_ERROR(impl->Listen());
  impl->broker = std::make_unique<Broker>(impl->server.options, log, groups, transactions, clock, *impl, impl->server.metrics);
  impl->Run();
  return std::unique_ptr<KafkaServer>(new KafkaServer(std::move(impl)));
}

}  // namespace kappa::serve
