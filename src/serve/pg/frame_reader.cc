#include "serve/pg/frame_reader.h"

#include <chrono>

#include "base/bytes.h"
#include "serve/pg/frontend_message.h"

namespace kappa::serve::pg {
namespace {
constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kKeptCapacityBytes = 1 << 20;  // a buffer that a big message left behind is given back
}  // namespace

uint32_t FrameReader::Length(size_t skip) const { return ByteReader(unread().substr(skip, 4)).Big<uint32_t>(); }

void FrameReader::DropRead() {
  body_ = {};
  if (at_ == buffer_.size()) {
    buffer_.clear();
    if (buffer_.capacity() > kKeptCapacityBytes) std::string().swap(buffer_);
  } else if (at_ >= kReadBytes) {
    buffer_.erase(0, at_);
  } else {
    return;
  }
  at_ = 0;
}

FrameReader::Status FrameReader::Fill(size_t bytes, int64_t timeout_us) {
  while (unread().size() < bytes) {
    switch (socket_.Read(buffer_, kReadBytes, timeout_us)) {
      case Socket::ReadStatus::kData: break;
      case Socket::ReadStatus::kTimeout: return Status::kTimeout;
      default: return Status::kEnd;
    }
  }
  return Status::kFrame;
}

FrameReader::Status FrameReader::ReadWithin(int64_t timeout_us, size_t type_bytes) {
  DropRead();
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::microseconds(timeout_us);
  const size_t head = type_bytes + 4;
  const uint32_t length_min = type_bytes == 0 ? 8 : 4;
  size_t needed = 0;
  while (true) {
    if (unread().size() >= head) {
      const uint32_t length = Length(type_bytes);
      if (length < length_min || length > kStartupBytesMax) return Status::kBadLength;
      needed = type_bytes + length;
    }
    if (needed > 0 && unread().size() >= needed) break;
    const int64_t left = std::chrono::duration_cast<std::chrono::microseconds>(deadline - Clock::now()).count();
    if (left <= 0) return Status::kTimeout;
    switch (socket_.Read(buffer_, kReadBytes, left)) {
      case Socket::ReadStatus::kData: break;
      case Socket::ReadStatus::kTimeout: return Status::kTimeout;
      default: return Status::kEnd;
    }
  }
  type_ = type_bytes == 0 ? '\0' : unread()[0];
  body_ = unread().substr(head, needed - head);
  at_ += needed;
  return Status::kFrame;
}

bool FrameReader::HasFrame() const { return unread().size() >= 5 && unread().size() >= size_t{1} + Length(1); }

FrameReader::Status FrameReader::ReadFrame(int64_t idle_timeout_us) {
  DropRead();
  if (const Status status = Fill(1, idle_timeout_us); status != Status::kFrame) return status;
  type_ = unread()[0];
  if (!IsFrontendMessageType(type_)) return Status::kBadType;
  if (const Status status = Fill(5, frame_timeout_us_); status != Status::kFrame) return status;
  const uint32_t length = Length(1);
  if (length < 4 || length > bytes_max_) return Status::kBadLength;
  if (const Status status = Fill(size_t{1} + length, frame_timeout_us_); status != Status::kFrame) return status;
  body_ = unread().substr(5, length - 4);
  at_ += size_t{1} + length;
  return Status::kFrame;
}

}  // namespace kappa::serve::pg
