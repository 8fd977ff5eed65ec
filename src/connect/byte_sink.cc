// Writing files plain, through zstd and through gzip: PATH.tmp.PID.N first, renamed when complete.
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "connect/byte_stream.h"
#include "io/file.h"
#include "io/folder.h"

namespace kappa::connect {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

/// Bytes into the temporary file, in large writes.
class TemporaryFile {
 public:
  static Result<std::unique_ptr<TemporaryFile>> Make(const std::string& path) {
    static std::atomic<int> serial{0};
    auto file = std::make_unique<TemporaryFile>();
    file->path_ = path;
    file->temporary_ = path + ".tmp." + std::to_string(getpid()) + "." + std::to_string(serial++);
    KAPPA_ASSIGN_OR_RETURN(file->file_, io::File::Open(file->temporary_, io::File::Mode::kCreate));
    return file;
  }
  ~TemporaryFile() {
    if (file_.is_open()) unlink(temporary_.c_str());
  }
  Status Write(std::string_view bytes) {
    buffer_.append(bytes);
    return buffer_.size() < kBufferBytes ? Status() : Flush();
  }
  Status Close() {
    KAPPA_RETURN_IF_ERROR(Flush());
    KAPPA_RETURN_IF_ERROR(file_.Sync());
    KAPPA_RETURN_IF_ERROR(io::DurableRename(temporary_, path_));
    file_.Close();
    return {};
  }

 private:
  Status Flush() {
    KAPPA_RETURN_IF_ERROR(file_.WriteAt(position_, buffer_));
    position_ += buffer_.size();
    buffer_.clear();
    return {};
  }

  std::string path_, temporary_, buffer_;
  io::File file_;
  uint64_t position_ = 0;
};

class PlainSink final : public ByteSink {
 public:
  explicit PlainSink(std::unique_ptr<TemporaryFile> file) : file_(std::move(file)) {}
  Status Write(std::string_view bytes) override { return file_->Write(bytes); }
  Status Close() override { return file_->Close(); }

 private:
  std::unique_ptr<TemporaryFile> file_;
};

class ZstdSink final : public ByteSink {
 public:
  explicit ZstdSink(std::unique_ptr<TemporaryFile> file) : file_(std::move(file)), context_(ZSTD_createCCtx()), out_(kBufferBytes, '\0') {
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
  }
  Status Write(std::string_view bytes) override { return Compress(bytes, ZSTD_e_continue); }
  Status Close() override {
    KAPPA_RETURN_IF_ERROR(Compress({}, ZSTD_e_end));
    return file_->Close();
  }

 private:
  Status Compress(std::string_view bytes, ZSTD_EndDirective directive) {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    for (;;) {
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      const size_t left = ZSTD_compressStream2(context_.get(), &out, &in, directive);
      if (ZSTD_isError(left)) return Error(sqlstate::kInternalError, std::string("could not compress: ") + ZSTD_getErrorName(left));
      KAPPA_RETURN_IF_ERROR(file_->Write({out_.data(), out.pos}));
      if (directive == ZSTD_e_end ? left == 0 : in.pos == in.size) return {};
    }
  }
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<TemporaryFile> file_;
  std::unique_ptr<ZSTD_CCtx, Free> context_;
  std::string out_;
};

class GzipSink final : public ByteSink {
 public:
  explicit GzipSink(std::unique_ptr<TemporaryFile> file) : file_(std::move(file)), out_(kBufferBytes, '\0') {
    ready_ = deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~GzipSink() override { deflateEnd(&stream_); }
  Status Write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const std::string_view part = bytes.substr(0, 1u << 30);
      KAPPA_RETURN_IF_ERROR(Compress(part, Z_NO_FLUSH));
      bytes.remove_prefix(part.size());
    }
    return {};
  }
  Status Close() override {
    KAPPA_RETURN_IF_ERROR(Compress({}, Z_FINISH));
    return file_->Close();
  }

 private:
  Status Compress(std::string_view bytes, int flush) {
    if (!ready_) return Error(sqlstate::kOutOfMemory, "out of memory");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    for (;;) {
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
      stream_.avail_out = static_cast<uInt>(out_.size());
      const int code = deflate(&stream_, flush);
      KAPPA_RETURN_IF_ERROR(file_->Write({out_.data(), out_.size() - stream_.avail_out}));
      if (flush == Z_FINISH ? code == Z_STREAM_END : stream_.avail_in == 0 && stream_.avail_out != 0) return {};
    }
  }
  std::unique_ptr<TemporaryFile> file_;
  z_stream stream_{};
  std::string out_;
  bool ready_ = false;
};

}  // namespace

Result<std::unique_ptr<ByteSink>> OpenByteSink(const std::string& path, Compression compression) {
  KAPPA_ASSIGN_OR_RETURN(std::unique_ptr<TemporaryFile> file, TemporaryFile::Make(path));
  switch (compression) {
    case Compression::kZstd: return std::unique_ptr<ByteSink>(new ZstdSink(std::move(file)));
    case Compression::kGzip: return std::unique_ptr<ByteSink>(new GzipSink(std::move(file)));
    case Compression::kNone: break;
  }
  return std::unique_ptr<ByteSink>(new PlainSink(std::move(file)));
}

}  // namespace kappa::connect
