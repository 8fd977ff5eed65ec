// FrameReader: cuts the client's byte stream into frames. Memory grows with the bytes that arrive, never with a length
// that was only claimed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "serve/net/socket.h"

namespace kappa::serve::pg {

class FrameReader {
 public:
  enum class Status : uint8_t { kFrame, kEnd, kTimeout, kBadType, kBadLength };

  FrameReader(Socket& socket, size_t bytes_max, int64_t frame_timeout_us)
      : socket_(socket), bytes_max_(bytes_max), frame_timeout_us_(frame_timeout_us) {}

  /// A packet without type byte, at most kStartupBytesMax bytes; all of it within the time.
  Status ReadStartup(int64_t timeout_us) { return ReadWithin(timeout_us, /*type_bytes=*/0); }
  /// A frame with type byte under the same bounds, for clients that are not known yet.
  Status ReadSmallFrame(int64_t timeout_us) { return ReadWithin(timeout_us, /*type_bytes=*/1); }
  /// A frame with type byte. Waits `idle_timeout_us` (< 0: for ever) for its first byte.
  Status ReadFrame(int64_t idle_timeout_us);
  /// True when a whole further frame has arrived already.
  bool HasFrame() const;
  /// True when bytes behind the last frame have arrived already.
  bool HasBytes() const { return !unread().empty(); }

  // Of the last kFrame; valid until the next read.
  char type() const { return type_; }
  std::string_view body() const { return body_; }

 private:
  Status ReadWithin(int64_t timeout_us, size_t type_bytes);
  Status Fill(size_t bytes, int64_t timeout_us);
  std::string_view unread() const { return std::string_view(buffer_).substr(at_); }
  uint32_t Length(size_t skip) const;
  void DropRead();

  Socket& socket_;
  const size_t bytes_max_;
  const int64_t frame_timeout_us_;
  std::string buffer_;
  size_t at_ = 0;
  char type_ = 0;
  std::string_view body_;
};

}  // namespace kappa::serve::pg
