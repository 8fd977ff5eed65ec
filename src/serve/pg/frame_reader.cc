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

FrameReader::Status FrameReader::ReadStartup(int64_t timeout_us) {
  DropRead();
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::microseconds(timeout_us);
  size_t needed = 4;
  while (true) {
    if (unread().size() >= 4) {
      const uint32_t length = Length(0);
      if (length < 8 || length > kStartupBytesMax) return Status::kBadLength;
      needed = length;
    }
    if (unread().size() >= needed && needed >= 8) break;
    const int64_t left = std::chrono::duration_cast<std::chrono::microseconds>(deadline - Clock::now()).count();
    if (left <= 0) return Status::kTimeout;
    switch (socket_.Read(buffer_, kReadBytes, left)) {
      case Socket::ReadStatus::kData: break;
      case Socket::ReadStatus::kTimeout: return Status::kTimeout;
      default: return Status::kEnd;
    }
  }
  body_ = unread().substr(4, needed - 4);
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
