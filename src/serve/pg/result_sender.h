// ResultSender: turns results into messages and sends them in large writes.
#pragma once

#include <cstdint>
#include <span>

#include "engine/engine.h"
#include "serve/net/client_registry.h"
#include "serve/net/socket.h"
#include "serve/pg/backend_message.h"

namespace kappa::serve::pg {

/// Where the sending of a result stands.
struct RowCursor {
  size_t batch = 0;
  int64_t row = 0;
  bool AtEnd(const engine::QueryResult& result) const;
};

class ResultSender {
 public:
  ResultSender(Socket& socket, int64_t stall_timeout_us) : socket_(socket), stall_timeout_us_(stall_timeout_us) {}

  BackendMessages& messages() { return messages_; }
  /// Sends what is buffered. False when the client is gone; everything after that is dropped.
  bool Flush();
  bool FlushIfLarge() { return messages_.size() < kFlushBytes ? connected_ : Flush(); }
  bool connected() const { return connected_; }

  void SendNotices(const engine::QueryResult& result);
  /// Sends rows from the cursor on, at most `rows_max` (0: all), and gives their number. Fails with query_canceled when
  /// `client` was cancelled in between, program_limit_exceeded for a row of more than 2 GiB.
  Result<int64_t> SendRows(const engine::QueryResult& result, RowCursor& cursor, int64_t rows_max, std::span<const int16_t> formats,
                           const data::TextOptions& text, const Client& client);

 private:
  static constexpr size_t kFlushBytes = 128 << 10;
  Socket& socket_;
  const int64_t stall_timeout_us_;
  BackendMessages messages_;
  bool connected_ = true;
};

}  // namespace kappa::serve::pg
