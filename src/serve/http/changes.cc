// Server-sent events: a view's changes as they happen.
#include <cstdlib>
#include <optional>
#include <utility>

#include "format/decoder.h"
#include "serve/http/access.h"
#include "serve/http/handler.h"
#include "serve/http/json.h"
#include "serve/http/view_query.h"

namespace kappa::serve::http {
namespace {

constexpr int64_t kWaitMicros = 250'000;  // between looks at whether the client left or the server stops
constexpr size_t kFlushBytes = 64 << 10;

/// Counts one subscription; `ok` is false when there are too many.
class SubscriptionSlot {
 public:
  SubscriptionSlot(std::atomic<int>& count, int max) : count_(count), ok_(count.fetch_add(1) < max) {}
  ~SubscriptionSlot() { count_.fetch_sub(1); }
  SubscriptionSlot(const SubscriptionSlot&) = delete;
  SubscriptionSlot& operator=(const SubscriptionSlot&) = delete;
  bool ok() const { return ok_; }

 private:
  std::atomic<int>& count_;
  const bool ok_;
};

class EventWriter {
 public:
  EventWriter(Socket& socket, int64_t stall_timeout_us) : socket_(socket), stall_timeout_us_(stall_timeout_us) {}

  void Change(const data::Schema& schema, const engine::ChangeEvent& event, int64_t row) {
    const int64_t weight = event.changes.weight(row);
    std::string data = "event: change\ndata: {\"epoch\":" + std::to_string(event.epoch);
    data += weight < 0 ? ",\"op\":\"delete\"" : ",\"op\":\"insert\"";
    if (event.snapshot) data += ",\"snapshot\":true";
    data += ",\"row\":";
    format::AppendJsonRow(schema, event.changes.AsBatch(), row, data);
    data += "}\n\n";
    for (int64_t i = 0; i < std::abs(weight) && connected_; ++i) Append(data);
  }
  void Epoch(uint64_t epoch) { Append("event: epoch\ndata: {\"epoch\":" + std::to_string(epoch) + "}\n\n"); }
  void Reset(uint64_t epoch) { Append("event: reset\ndata: {\"epoch\":" + std::to_string(epoch) + "}\n\n"); }
  void Failure(const Error& error) {
    std::string data = "event: error\ndata: ";
    AppendError(error, data);
    Append(data + "\n\n");
  }
  void KeepAlive() { Append(": keep-alive\n\n"); }
  bool Flush() {
    if (connected_ && !buffer_.empty()) connected_ = socket_.Write(buffer_, stall_timeout_us_);
    buffer_.clear();
    return connected_;
  }
  bool connected() const { return connected_; }

 private:
  void Append(std::string_view text) {
    buffer_ += text;
    if (buffer_.size() >= kFlushBytes) Flush();
  }
  Socket& socket_;
  const int64_t stall_timeout_us_;
  std::string buffer_;
  bool connected_ = true;
};

struct ChangesRequest {
  bool snapshot = true;
  int version = 0;
};

Result<ChangesRequest> ParseChangesRequest(const Request& request) {
  ChangesRequest out;
  for (const auto& [name, value] : request.query) {
    if (name == "version") {
      KAPPA_ASSIGN_OR_RETURN(const int64_t version, ParseBounded(name, value, 1, INT32_MAX));
      out.version = static_cast<int>(version);
    } else if (name == "snapshot" && (value == "true" || value == "false")) {
      out.snapshot = value == "true";
    } else {
      return Error(sqlstate::kInvalidParameterValue, "invalid parameter \"" + name + "\"").Hint("Give snapshot=true|false and version=N.");
    }
  }
  return out;
}

/// Waits for events and writes them until there is a reason to end.
void Follow(Shared& shared, Socket& socket, engine::Subscription& subscription, EventWriter& writer) {
  // A snapshot may come in several events; its epoch is closed when something else follows or nothing more is there.
  std::optional<uint64_t> open_snapshot;
  int64_t quiet_us = 0;
  while (writer.Flush() && !shared.stopping && !socket.PeerGone()) {
    const int64_t wait_us = open_snapshot ? 0 : kWaitMicros;
    auto next = subscription.Next(wait_us);
    if (!next.ok()) {
      writer.Failure(next.error());
      break;
    }
    const std::optional<engine::ChangeEvent>& event = *next;
    if (open_snapshot && (!event || !event->snapshot)) writer.Epoch(*std::exchange(open_snapshot, std::nullopt));
    if (!event) {
      quiet_us += wait_us;
      if (quiet_us < shared.options.heartbeat_us) continue;
      quiet_us = 0;
      writer.KeepAlive();
      continue;
    }
    quiet_us = 0;
    if (event->reset) writer.Reset(event->epoch);
    for (int64_t row = 0; row < event->changes.rows && writer.connected(); ++row) writer.Change(subscription.schema(), *event, row);
    if (event->snapshot) open_snapshot = event->epoch;
    else if (!event->reset) writer.Epoch(event->epoch);
  }
  writer.Flush();
}

}  // namespace

void StreamChanges(Shared& shared, Socket& socket, const Request& request, std::string_view view) {
  const int64_t stall_us = shared.options.write_stall_timeout_us;
  const auto refuse = [&](const Error& error) { socket.Write(Serialize(ErrorResponse(error), false, false), stall_us); };
  const Result<ChangesRequest> wanted = ParseChangesRequest(request);
  if (!wanted.ok()) return refuse(wanted.error());
  const SubscriptionSlot slot(shared.subscriptions, shared.options.max_subscriptions);
  if (!slot.ok()) return refuse(Error(sqlstate::kTooManyConnections, "too many subscriptions").Hint("Close streams that are no longer followed."));
  const auto subscription = shared.engine.Subscribe(view, wanted->version, wanted->snapshot);
  if (!subscription.ok()) return refuse(subscription.error());
  if (!socket.Write(EventStreamHead(), stall_us)) return;
  EventWriter writer(socket, stall_us);
  Follow(shared, socket, **subscription, writer);
}

}  // namespace kappa::serve::http
