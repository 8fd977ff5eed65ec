// Reading files plain, through zstd and through gzip.
#include "connect/byte_stream.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cctype>
#include <vector>

namespace kappa::connect {
namespace {

constexpr size_t kReadBytes = 256 << 10;

class PlainStream final : public ByteStream {
 public:
  explicit PlainStream(io::File file) : file_(std::move(file)) {}
  Result<size_t> Read(char* into, size_t bytes) override {
    KAPPA_ASSIGN_OR_RETURN(const size_t got, file_.ReadAt(position_, into, bytes));
    position_ += got;
    return got;
  }
  const io::File* plain_file() const override { return &file_; }
  const std::string& path() const { return file_.path(); }

 private:
  io::File file_;
  uint64_t position_ = 0;
};

/// The compressed bytes of a decompressor, refilled as needed.
class Input {
 public:
  explicit Input(io::File file) : plain_(std::move(file)), buffer_(kReadBytes) {}
  /// Makes data()[0, size()) non-empty unless the file is at its end.
  Status Refill() {
    if (at_ < end_ || done_) return {};
    at_ = 0;
    KAPPA_ASSIGN_OR_RETURN(end_, plain_.Read(buffer_.data(), buffer_.size()));
    done_ = end_ == 0;
    return {};
  }
  const char* data() const { return buffer_.data() + at_; }
  size_t size() const { return end_ - at_; }
  bool AtEnd() const { return done_; }
  void Consume(size_t bytes) {
    at_ += bytes;
    consumed_ += bytes;
  }
  Error Corrupt(const char* format, std::string_view reason) const {
    return Error(sqlstate::kDataCorrupted, "could not decompress file \"" + plain_.path() + "\": " + std::string(reason))
        .Detail("The " + std::string(format) + " data is damaged or cut near byte " + std::to_string(consumed_) + ".");
  }

 private:
  PlainStream plain_;
  std::vector<char> buffer_;
  size_t at_ = 0, end_ = 0;
  uint64_t consumed_ = 0;
  bool done_ = false;
};

class ZstdStream final : public ByteStream {
 public:
  explicit ZstdStream(io::File file) : input_(std::move(file)), context_(ZSTD_createDCtx()) {
    // Frames made with --long=31 are read too; the window is allocated only when the frame's header asks for it.
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, 31);
  }
  Result<size_t> Read(char* into, size_t bytes) override {
    ZSTD_outBuffer out{into, bytes, 0};
    while (out.pos < bytes) {
      KAPPA_RETURN_IF_ERROR(input_.Refill());
      if (input_.AtEnd() && !in_frame_) break;
      ZSTD_inBuffer in{input_.data(), input_.size(), 0};  // empty at the end: output may still be pending
      const size_t before = out.pos;
      const size_t left = ZSTD_decompressStream(context_.get(), &out, &in);
      input_.Consume(in.pos);
      if (ZSTD_isError(left)) return input_.Corrupt("zstd", ZSTD_getErrorName(left));
      in_frame_ = left != 0;
      if (input_.AtEnd() && in_frame_ && out.pos == before) return input_.Corrupt("zstd", "unexpected end of file");
    }
    return out.pos;
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  Input input_;
  std::unique_ptr<ZSTD_DCtx, Free> context_;
  bool in_frame_ = false;
};

class GzipStream final : public ByteStream {
 public:
  explicit GzipStream(io::File file) : input_(std::move(file)) { ready_ = inflateInit2(&stream_, 15 + 16) == Z_OK; }
  ~GzipStream() override { inflateEnd(&stream_); }
  Result<size_t> Read(char* into, size_t bytes) override {
    if (!ready_) return Error(sqlstate::kOutOfMemory, "out of memory");
    size_t done = 0;
    while (done < bytes) {
      KAPPA_RETURN_IF_ERROR(input_.Refill());
      if (input_.AtEnd() && !in_member_) break;
      const auto room = static_cast<uInt>(std::min<size_t>(bytes - done, 1u << 30));
      const auto given = static_cast<uInt>(input_.size());
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input_.data()));
      stream_.avail_in = given;
      stream_.next_out = reinterpret_cast<Bytef*>(into + done);
      stream_.avail_out = room;
      in_member_ = true;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      input_.Consume(given - stream_.avail_in);
      done += room - stream_.avail_out;
      if (code == Z_STREAM_END) {  // another member may follow, as from cat a.gz b.gz
        in_member_ = false;
        inflateReset(&stream_);
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        return input_.Corrupt("gzip", stream_.msg != nullptr ? stream_.msg : "invalid data");
      } else if (input_.AtEnd() && stream_.avail_out == room) {
        return input_.Corrupt("gzip", "unexpected end of file");
      }
    }
    return done;
  }

 private:
  Input input_;
  z_stream stream_{};
  bool ready_ = false;
  bool in_member_ = false;
};

}  // namespace

FileKind KindOfFile(std::string_view path) {
  std::string name(path.substr(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1));
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  FileKind kind;
  if (name.ends_with(".zst")) kind.compression = Compression::kZstd;
  if (name.ends_with(".gz")) kind.compression = Compression::kGzip;
  if (kind.compression != Compression::kNone) name.resize(name.rfind('.'));
  if (const size_t dot = name.rfind('.'); dot != std::string::npos) kind.extension = name.substr(dot);
  return kind;
}

Result<std::unique_ptr<ByteStream>> OpenByteStream(const std::string& path, Compression compression) {
  KAPPA_ASSIGN_OR_RETURN(io::File file, io::File::Open(path, io::File::Mode::kRead));
  switch (compression) {
    case Compression::kZstd: return std::unique_ptr<ByteStream>(new ZstdStream(std::move(file)));
    case Compression::kGzip: return std::unique_ptr<ByteStream>(new GzipStream(std::move(file)));
    case Compression::kNone: break;
  }
  return std::unique_ptr<ByteStream>(new PlainStream(std::move(file)));
}

}  // namespace kappa::connect
