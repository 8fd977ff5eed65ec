#include "serve/kafka/connection.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "io/file.h"

namespace kappa::serve::kafka {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Frames up to this size are handled where they were received; larger ones get memory of their own.
constexpr size_t kBufferBytes = 64 << 10;
constexpr size_t kFirstBufferBytes = 2 << 10;  // until a frame needs more: most connections of many have nothing to do
constexpr int kMemoryRetryMs = 10;
constexpr size_t kSendBytesMax = 1 << 20;  // of a file, in one call
constexpr size_t kModestBytes = 1 << 20;
// Of a client that has not said who it is: what it needs for that is some hundred bytes.
constexpr int32_t kStrangersFrameBytesMax = 16 << 10;

}  // namespace

Connection::Connection(tcp::socket socket, Connections& all, std::shared_ptr<Gate> gate)
    : stream_(std::move(socket), all.options.tls),
      retry_timer_(stream_.get_executor()),
      all_(all),
      gate_(std::move(gate)),
      client_(all.options),
      begun_us_(all.clock.SteadyMicros()),
      active_us_(begun_us_) {
  error_code error;
  stream_.socket().set_option(tcp::no_delay(true), error);
  const tcp::endpoint peer = stream_.socket().remote_endpoint(error);
  client_.host = peer.address().to_string();
  peer_ = fmt::format("{}:{}", client_.host, peer.port());
  client_.takes_slices = stream_.secured() == nullptr;
  const tcp::endpoint local = stream_.socket().local_endpoint(error);
  client_.advertised = {local.address().to_string(), local.port()};
  all_.metrics.connections_open.fetch_add(1);
}

Connection::~Connection() {
  all_.metrics.in_flight_bytes.fetch_sub(static_cast<int64_t>(held_bytes_));
  all_.metrics.connections_open.fetch_sub(1);
}

void Connection::Start() {
  if (stream_.secured() == nullptr) return Pump();
  shaking_hands_ = true;
  stream_.secured()->async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](error_code error) {
    self->shaking_hands_ = false;
    self->Touch();
    if (self->closed_) return;
    if (error == asio::error::eof || error == asio::error::connection_reset) return self->Close();  // a probe of the port
    if (error) return self->CloseFor(fmt::format("TLS handshake failed: {}", error.message()));
    self->client_.authentication.SetCertificateName(TlsPeerName(self->stream_.secured()->native_handle()));
    self->Pump();
  });
}

void Connection::Drain() {
  draining_ = true;
  retry_timer_.cancel();
  if (slots_.empty() && !writing_) Close();
}

void Connection::CheckTimeouts(int64_t now_us) {
  if (shaking_hands_ || client_.authentication.pending()) {
    const int64_t limit_ms = all_.options.authentication_timeout_ms;
    if ((now_us - begun_us_) / 1000 > limit_ms) CloseFor(fmt::format("no authentication within {} ms", limit_ms));
    return;
  }
  const int64_t quiet_ms = (now_us - active_us_) / 1000;
  const bool inside_frame = large_ || (reading_ && end_ > begin_);
  if ((writing_ || inside_frame) && quiet_ms > all_.options.stall_timeout_ms) return Close();
  if (!writing_ && slots_.empty() && quiet_ms > all_.options.idle_timeout_ms) Close();
}

void Connection::Complete(uint64_t number, Answer answer) {
  held_bytes_ += FrameMemory(answer.frame);  // announced
  if (closed_) return;
  Slot& slot = slots_[number - first_slot_];
  slot.ready = true;
  slot.answer = std::move(answer);
  if (slot.answer.mute_ms > 0)
    client_.muted_until_us = std::max(client_.muted_until_us, all_.clock.SteadyMicros() + slot.answer.mute_ms * int64_t{1000});
  if (waits_for_ == number) waits_for_.reset();
  if (!slot.answer.close.empty()) draining_ = true;  // nothing after it is handled
  Flush();
  Pump();
}

void Connection::Hold(size_t bytes) {
  held_bytes_ += bytes;
  all_.metrics.in_flight_bytes.fetch_add(static_cast<int64_t>(bytes));
}

void Connection::Release(size_t bytes) {
  held_bytes_ -= bytes;
  all_.metrics.in_flight_bytes.fetch_sub(static_cast<int64_t>(bytes));
}

void Connection::Close() {
  if (closed_) return;
  closed_ = true;
  stream_.Close(/*say_goodbye=*/!writing_ && !shaking_hands_);
  retry_timer_.cancel();
  // Each caller holds a reference of its own, so this is not the last one.
  std::lock_guard lock(all_.mutex);
  all_.open.erase(this);
  if (all_.open.empty()) all_.all_closed.notify_all();
}

void Connection::CloseFor(std::string_view reason) {
  all_.metrics.client_errors.fetch_add(1);
  if (all_.options.on_client_error) all_.options.on_client_error(peer_, reason);
  Close();
}

bool Connection::MustWait() {
  if (closed_ || draining_ || reading_ || waits_for_) return true;
  if (unanswered_bytes_ > all_.options.connection_unanswered_bytes_max || held_bytes_ > all_.options.connection_unanswered_bytes_max ||
      slots_.size() > static_cast<size_t>(all_.options.connection_unanswered_requests_max)) {
    return true;  // Complete or the end of a write goes on
  }
  if (client_.muted_until_us != 0) {
    const int64_t left_us = client_.muted_until_us - all_.clock.SteadyMicros();
    if (left_us > 0) {
      RetryAfter(left_us / 1000 + 1);
      return true;
    }
    client_.muted_until_us = 0;
  }
  if (!MemoryIsScarce(0)) return false;
  RetryAfter(kMemoryRetryMs);
  return true;
}

void Connection::RetryAfter(int64_t ms) {
  retry_timer_.expires_after(std::chrono::milliseconds(ms));
  retry_timer_.async_wait([self = shared_from_this()](error_code error) {
    if (!error) self->Pump();
  });
}

bool Connection::MemoryIsScarce(size_t more) const {
  const int64_t held = all_.metrics.in_flight_bytes.load();
  const auto most = static_cast<int64_t>(all_.options.in_flight_bytes_max);
  // The upper half is for those who hold and ask for little: who does not read its answers cannot keep others from theirs.
  const bool modest = held_bytes_ + unanswered_bytes_ + more <= kModestBytes;
  return held > (modest ? most : most / 2);
}

void Connection::Pump() {
  while (!MustWait()) {
    const bool stranger = client_.authentication.pending();
    const int32_t length_min = client_.authentication.takes_bare_message() ? 0 : 8;
    const int32_t length_max = stranger ? std::min(kStrangersFrameBytesMax, all_.options.frame_bytes_max) : all_.options.frame_bytes_max;
    const std::string_view bytes(buffer_.get() + begin_, end_ - begin_);
    const int64_t length = bytes.size() < 4 ? 0 : ByteReader(bytes).Big<int32_t>();
    if (bytes.size() >= 4 && (length < length_min || length > length_max)) {
      if (LooksLikeTls(bytes)) return CloseFor("a TLS handshake came, but this port speaks plain text");
      return CloseFor(
          fmt::format("frame of {} bytes; from {} to {} are allowed{}", length, length_min, length_max, stranger ? " before authentication" : ""));
    }
    const size_t whole = 4 + static_cast<size_t>(length);
    if (bytes.size() < 4 || (bytes.size() < whole && whole <= kBufferBytes)) return ReadSome();
    if (bytes.size() < whole && MemoryIsScarce(static_cast<size_t>(length))) return RetryAfter(kMemoryRetryMs);
    if (bytes.size() < whole) return StartLarge(bytes.substr(4), static_cast<size_t>(length));
    begin_ += whole;
    Handle(bytes.substr(4, whole - 4));
  }
}

void Connection::Handle(std::string_view frame) {
  const uint64_t number = first_slot_ + slots_.size();
  slots_.push_back({.request_bytes = frame.size()});
  unanswered_bytes_ += frame.size();
  waits_for_ = number;
  auto reply = [gate = gate_, self = weak_from_this(), number](Answer answer) { gate->Post(self, number, std::move(answer)); };
  if (all_.broker->Handle(frame, client_, std::move(reply)) == Pace::kGoOn) waits_for_.reset();
}

void Connection::ReadSome() {
  const size_t kept = end_ - begin_;
  if (kept == capacity_) {  // at first, and when a frame needs more
    capacity_ = capacity_ == 0 ? kFirstBufferBytes : kBufferBytes;
    auto larger = std::make_unique_for_overwrite<char[]>(capacity_);
    if (kept > 0) std::memcpy(larger.get(), buffer_.get() + begin_, kept);
    buffer_ = std::move(larger);
  } else if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, kept);
  }
  begin_ = 0;
  end_ = kept;
  reading_ = true;
  stream_.async_read_some(asio::buffer(buffer_.get() + end_, capacity_ - end_), [self = shared_from_this()](error_code error, size_t bytes) {
    self->reading_ = false;
    if (!self->Received(error, bytes)) return;
    self->end_ += bytes;
    self->Pump();
  });
}

void Connection::StartLarge(std::string_view head, size_t length) {
  Hold(length);
  large_ = std::make_unique_for_overwrite<char[]>(length);
  large_bytes_ = length;
  std::memcpy(large_.get(), head.data(), head.size());
  begin_ = end_ = 0;
  reading_ = true;
  // The condition sees every arrival: a frame may take long as long as it moves.
  asio::async_read(
      stream_, asio::buffer(large_.get() + head.size(), length - head.size()),
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

bool Connection::Received(error_code error, size_t bytes) {
  Touch();
  all_.metrics.bytes_in.fetch_add(bytes, std::memory_order_relaxed);
  if (error) Close();
  return !error && !closed_;
}

void Connection::Flush() {
  if (writing_ || closed_) return;
  while (!slots_.empty() && slots_.front().ready) {
    Answer& answer = slots_.front().answer;
    for (Chunk& chunk : answer.frame) out_.push_back(std::move(chunk));
    answer.frame.clear();
    if (!answer.close.empty()) {
      if (!out_.empty()) break;  // earlier answers and its own first
      return CloseFor(answer.close);
    }
    unanswered_bytes_ -= slots_.front().request_bytes;
    slots_.pop_front();
    ++first_slot_;
    if (out_.size() >= 64) break;
  }
  if (out_.empty()) {
    if (draining_ && slots_.empty()) Close();
    return;
  }
  writing_ = true;
  WriteOut();
}

void Connection::WriteOut() {
  Touch();
  if (out_done_ == out_.size()) {
    writing_ = false;
    Release(FrameMemory(out_));
    out_.clear();
    out_done_ = 0;
    Flush();
    return Pump();
  }
  if (out_[out_done_].slice.bytes > 0) return SendSlice();
  std::vector<asio::const_buffer> buffers;
  for (; out_done_ < out_.size() && out_[out_done_].slice.bytes == 0; ++out_done_) buffers.push_back(asio::buffer(out_[out_done_].bytes));
  asio::async_write(
      stream_, buffers,
      [self = shared_from_this()](error_code error, size_t) {
        self->Touch();
        return error ? size_t{0} : size_t{4} << 20;
      },
      [self = shared_from_this()](error_code error, size_t written) {
        self->all_.metrics.bytes_out.fetch_add(written, std::memory_order_relaxed);
        error ? self->Close() : self->WriteOut();
      });
}

void Connection::SendSlice() {
  if (closed_) return;
  log::FileSlice& slice = out_[out_done_].slice;
  tcp::socket& socket = stream_.socket();
  error_code ignored;
  if (!socket.native_non_blocking()) socket.native_non_blocking(true, ignored);
  while (slice.bytes > 0) {
    size_t sent = 0;
    const int failed = slice.file->SendTo(socket.native_handle(), slice.position, std::min(slice.bytes, kSendBytesMax), sent);
    if (failed == EAGAIN) {
      return socket.async_wait(tcp::socket::wait_write, [self = shared_from_this()](error_code error) {
        self->Touch();
        error ? self->Close() : self->SendSlice();
      });
    }
    if (failed != 0 || sent == 0) return Close();  // the client was told a length already: there is no other way to tell
    slice.position += sent;
    slice.bytes -= sent;
    all_.metrics.bytes_out.fetch_add(sent, std::memory_order_relaxed);
  }
  slice.file.reset();
  ++out_done_;
  asio::post(stream_.get_executor(), [self = shared_from_this()] { self->WriteOut(); });  // others have their turn between two parts
}

void Gate::Post(const std::weak_ptr<Connection>& to, uint64_t number, Answer answer) {
  std::lock_guard lock(mutex_);
  if (!open_) return;
  if (auto connection = to.lock()) {
    connection->Announce(answer);
    asio::post(connection->executor(),
               [connection, number, answer = std::move(answer)]() mutable { connection->Complete(number, std::move(answer)); });
  }
}

}  // namespace kappa::serve::kafka
