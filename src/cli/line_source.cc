#include "cli/line_source.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <zstd.h>

namespace kappa::cli {
namespace {

constexpr size_t kReadBytes = 1 << 20;

/// Size of what a file holds, decompressed; nullopt when only reading would tell.
std::optional<uint64_t> ContentBytes(const std::string& path) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  switch (connect::KindOfFile(path).compression) {
    case connect::Compression::kNone: return size;
    case connect::Compression::kGzip: {  // the trailer has the size modulo 4 GB, of the last member
      uint32_t low = 0;
      if (size < 18 || size > (1u << 30) || !file.seekg(-4, std::ios::end) || !file.read(reinterpret_cast<char*>(&low), 4) || low < size)
        return std::nullopt;
      return low;
    }
    case connect::Compression::kZstd: {
      char head[32];
      file.read(head, sizeof head);
      const unsigned long long bytes = ZSTD_getFrameContentSize(head, static_cast<size_t>(file.gcount()));
      if (bytes == ZSTD_CONTENTSIZE_UNKNOWN || bytes == ZSTD_CONTENTSIZE_ERROR) return std::nullopt;
      return bytes;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<LineSource> LineSource::Open(std::vector<std::string> paths) {
  LineSource source;
  if (paths.empty()) paths.push_back("-");
  for (const std::string& path : paths) {
    std::optional<uint64_t> bytes;
    if (path != "-") {
      KAPPA_RETURN_IF_ERROR(connect::OpenByteStream(path, connect::KindOfFile(path).compression).status());
      bytes = ContentBytes(path);
    }
    source.bytes_total_ = source.bytes_total_ && bytes ? std::optional(*source.bytes_total_ + *bytes) : std::nullopt;
  }
  source.paths_ = std::move(paths);
  return source;
}

/// Adds bytes to the buffer; false at the end of the current file.
Result<bool> LineSource::Fill() {
  if (begin_ > 0) std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  if (buffer_.size() < end_ + kReadBytes + kPadding) buffer_.resize(std::max(end_ + kReadBytes + kPadding, buffer_.size() * 2));
  size_t got = 0;
  if (stream_) {
    KAPPA_ASSIGN_OR_RETURN(got, stream_->Read(buffer_.data() + end_, kReadBytes));
  } else {
    ssize_t bytes;
    do { bytes = ::read(STDIN_FILENO, buffer_.data() + end_, kReadBytes); } while (bytes < 0 && errno == EAGAIN);
    if (bytes < 0 && errno != EINTR) return Error(sqlstate::kIoError, fmt::format("could not read standard input: {}", std::strerror(errno)));
    got = bytes < 0 ? 0 : static_cast<size_t>(bytes);  // EINTR: Ctrl-C ends the input
  }
  end_ += got;
  return got > 0;
}

Result<std::optional<std::string_view>> LineSource::Next() {
  size_t searched = 0;
  while (true) {
    if (!open_) {
      if (next_path_ == paths_.size()) return std::optional<std::string_view>();
      const std::string& path = paths_[next_path_++];
      stream_.reset();
      if (path != "-") { KAPPA_ASSIGN_OR_RETURN(stream_, connect::OpenByteStream(path, connect::KindOfFile(path).compression)); }
      open_ = true;
      searched = 0;
    }
    const std::string_view bytes(buffer_.data() + begin_, end_ - begin_);
    size_t length = bytes.find('\n', searched);
    if (length == std::string_view::npos) {
      if (bytes.size() > kLineBytesMax) return Error(sqlstate::kProgramLimitExceeded, fmt::format("line is longer than {} bytes", kLineBytesMax));
      searched = bytes.size();
      KAPPA_ASSIGN_OR_RETURN(const bool more, Fill());
      if (more) continue;
      open_ = false;
      if (begin_ == end_) continue;
      length = end_ - begin_;  // a last line without an end
    }
    std::string_view line(buffer_.data() + begin_, length);
    const size_t taken = std::min(length + 1, end_ - begin_);
    begin_ += taken;
    bytes_read_ += taken;
    if (line.ends_with('\r')) line.remove_suffix(1);
    return std::optional(line);
  }
}

}  // namespace kappa::cli
