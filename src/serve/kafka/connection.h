// Connection: cuts one client's stream into requests and sends the answers in their order, within the server's limits.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/clock.h"
#include "serve/kafka/broker.h"
#include "serve/kafka/server.h"
#include "serve/kafka/stream.h"

namespace kappa::serve::kafka {

class Connection;

/// Everything that connections share. Outlives them.
struct Connections {
  Connections(KafkaServerOptions given, io::Clock& given_clock) : options(std::move(given)), clock(given_clock) {}

  const KafkaServerOptions options;
  io::Clock& clock;
  KafkaMetrics metrics;
  Broker* broker = nullptr;
  std::atomic<bool> stopping{false};

  std::mutex mutex;
  std::condition_variable all_closed;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> open;  // guarded by mutex
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
  Connection(boost::asio::ip::tcp::socket socket, Connections& all, std::shared_ptr<Gate> gate);
  ~Connection();

  boost::asio::any_io_executor executor() { return stream_.get_executor(); }
  void Advertise(Endpoint endpoint) { client_.advertised = std::move(endpoint); }
  void Start();
  /// Answers what is under way, then closes.
  void Drain();
  const std::string& host() const { return client_.host; }
  void CheckTimeouts(int64_t now_us);
  /// Counts an answer that is about to be given to Complete: memory must be seen as taken from when it is. Any thread.
  void Announce(const Answer& answer) { all_.metrics.in_flight_bytes.fetch_add(static_cast<int64_t>(FrameMemory(answer.frame))); }
  void Complete(uint64_t number, Answer answer);

 private:
  struct Slot {
    size_t request_bytes;
    bool ready = false;
    Answer answer;
  };

  void Touch() { active_us_ = all_.clock.SteadyMicros(); }
  void Hold(size_t bytes);
  void Release(size_t bytes);
  void Close();
  void CloseFor(std::string_view reason);
  void RetryAfter(int64_t ms);
  /// True when memory for `more` bytes must be waited for.
  bool MemoryIsScarce(size_t more) const;
  /// True when no further request may be taken in now; then something else calls Pump again.
  bool MustWait();
  /// Handles the frames that are in the buffer, then reads on.
  void Pump();
  void Handle(std::string_view frame);
  void ReadSome();
  void StartLarge(std::string_view head, size_t length);
  bool Received(boost::system::error_code error, size_t bytes);
  /// Writes the answers that are ready and first in order.
  void Flush();
  /// Writes what is in out_ from out_done_ on: bytes together as far as they go, parts of files one by one.
  void WriteOut();
  void SendSlice();

  ClientStream stream_;
  boost::asio::steady_timer retry_timer_;
  Connections& all_;
  const std::shared_ptr<Gate> gate_;
  std::string peer_;
  Client client_;

  std::unique_ptr<char[]> buffer_;  // received but not handled: [begin_, end_)
  size_t begin_ = 0, end_ = 0;
  size_t capacity_ = 0;             // of buffer_
  std::unique_ptr<char[]> large_;   // a frame too large for buffer_, being received
  size_t large_bytes_ = 0;
  bool reading_ = false;

  std::deque<Slot> slots_;  // requests not answered, in order; the first has number first_slot_
  uint64_t first_slot_ = 0;
  std::optional<uint64_t> waits_for_;  // the request that must be answered before the next is handled
  Frame out_;                          // being written
  size_t out_done_ = 0;                // pieces of it that were handed over
  bool writing_ = false;
  bool draining_ = false;
  bool closed_ = false;

  size_t unanswered_bytes_ = 0;
  size_t held_bytes_ = 0;  // this connection's part of in_flight_bytes
  const int64_t begun_us_;
  int64_t active_us_;
  bool shaking_hands_ = false;  // of TLS
};

}  // namespace kappa::serve::kafka
