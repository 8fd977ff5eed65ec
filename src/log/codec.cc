// gzip (zlib), snappy, lz4 frames and zstd behind one function each way.
#include "log/codec.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/bytes.h"

namespace kappa::log {
namespace {

constexpr std::string_view kXerialMagic{"\x82SNAPPY\0", 8};
constexpr size_t kStepMin = 64 << 10;
// The densest snappy element is a 3-byte copy that gives 64 bytes; a claim beyond that ratio is a lie, refused before allocating.
constexpr size_t kSnappyRatioMax = 22;
constexpr int kZstdWindowLogMax = 27;  // 128 MiB, zstd's own default bound for streams

Error Malformed(const char* codec) { return Error(sqlstate::kDataCorrupted, std::string("malformed ") + codec + " data in record batch"); }
Error TooLarge(size_t bytes_max) {
  return Error(sqlstate::kProgramLimitExceeded, "record batch is too large when decompressed")
      .Detail("The limit is " + std::to_string(bytes_max) + " bytes.");
}

/// Output that doubles up to a bound. Room() is the free part after used().
class GrowingOutput {
 public:
  GrowingOutput(std::string& out, size_t first_guess, size_t bytes_max) : out_(out), bytes_max_(bytes_max) {
    out_.resize(std::min(bytes_max_, std::max(kStepMin, first_guess)));
  }
  char* at() { return out_.data() + used_; }
  size_t room() const { return out_.size() - used_; }
  void Advance(size_t bytes) { used_ += bytes; }
  /// False when the bound is reached.
  bool Grow() {
    if (out_.size() >= bytes_max_) return false;
    out_.resize(std::min(bytes_max_, out_.size() * 2));
    return true;
  }
  void Finish() { out_.resize(used_); }

 private:
  std::string& out_;
  const size_t bytes_max_;
  size_t used_ = 0;
};

Status Gunzip(std::string_view bytes, size_t bytes_max, std::string& out) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 32) != Z_OK) return Error(sqlstate::kOutOfMemory, "out of memory");  // +32: gzip or zlib header
  std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  GrowingOutput output(out, bytes.size() * 4, bytes_max);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  while (true) {
    if (output.room() == 0 && !output.Grow()) return TooLarge(bytes_max);
    stream.next_out = reinterpret_cast<Bytef*>(output.at());
    stream.avail_out = static_cast<uInt>(output.room());
    size_t room = output.room();
    int result = inflate(&stream, Z_NO_FLUSH);
    output.Advance(room - stream.avail_out);
    if (result == Z_STREAM_END) {
      if (stream.avail_in == 0) break;
      if (inflateReset(&stream) != Z_OK) return Malformed("gzip");  // members may follow one another
    } else if (result != Z_OK || (stream.avail_in == 0 && stream.avail_out > 0)) {
      return Malformed("gzip");
    }
  }
  output.Finish();
  return {};
}

Status UnsnapRaw(std::string_view bytes, size_t bytes_max, std::string& out) {
  size_t length = 0;
  if (!snappy::GetUncompressedLength(bytes.data(), bytes.size(), &length)) return Malformed("snappy");
  if (out.size() + length > bytes_max) return TooLarge(bytes_max);
  if (length / kSnappyRatioMax > bytes.size()) return Malformed("snappy");
  size_t before = out.size();
  out.resize(before + length);
  if (!snappy::RawUncompress(bytes.data(), bytes.size(), out.data() + before)) return Malformed("snappy");
  return {};
}

Status Unsnap(std::string_view bytes, size_t bytes_max, std::string& out) {
  out.clear();
  if (!bytes.starts_with(kXerialMagic)) return UnsnapRaw(bytes, bytes_max, out);
  ByteReader reader(bytes.substr(kXerialMagic.size()));
  reader.Bytes(8);  // version and lowest compatible version
  while (reader.ok() && reader.remaining() > 0) {
    auto length = reader.Big<int32_t>();
    if (length < 0) return Malformed("snappy");
    std::string_view block = reader.Bytes(static_cast<size_t>(length));
    if (!reader.ok()) break;
    KAPPA_RETURN_IF_ERROR(UnsnapRaw(block, bytes_max, out));
  }
  return reader.ok() ? Status() : Malformed("snappy");
}

struct FreeLz4 {
  void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};

Status Unlz4(std::string_view bytes, size_t bytes_max, std::string& out) {
  thread_local std::unique_ptr<LZ4F_dctx, FreeLz4> context;
  if (context == nullptr) {
    LZ4F_dctx* made = nullptr;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION))) return Error(sqlstate::kOutOfMemory, "out of memory");
    context.reset(made);
  }
  LZ4F_resetDecompressionContext(context.get());
  GrowingOutput output(out, bytes.size() * 4, bytes_max);
  const char* at = bytes.data();
  size_t left = bytes.size();
  size_t hint = 1;
  while (left > 0 || hint != 0) {
    if (output.room() == 0 && !output.Grow()) return TooLarge(bytes_max);
    size_t produced = output.room();
    size_t consumed = left;
    hint = LZ4F_decompress(context.get(), output.at(), &produced, at, &consumed, nullptr);
    if (LZ4F_isError(hint)) return Malformed("lz4");
    output.Advance(produced);
    at += consumed;
    left -= consumed;
    if (hint != 0 && consumed == 0 && produced == 0 && output.room() > 0) return Malformed("lz4");
  }
  output.Finish();
  return {};
}

struct FreeZstd {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

Status Unzstd(std::string_view bytes, size_t bytes_max, std::string& out) {
  thread_local std::unique_ptr<ZSTD_DCtx, FreeZstd> context(ZSTD_createDCtx());
  if (context == nullptr) return Error(sqlstate::kOutOfMemory, "out of memory");
  ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_only);
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax);
  // A frame may state its size; believed only as far as a first allocation goes.
  unsigned long long stated = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  size_t guess = stated < (1 << 20) ? static_cast<size_t>(stated) : bytes.size() * 4;
  GrowingOutput output(out, guess, bytes_max);
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  size_t hint = 1;
  while (input.pos < input.size || hint != 0) {
    if (output.room() == 0 && !output.Grow()) return TooLarge(bytes_max);
    ZSTD_outBuffer buffer{output.at(), output.room(), 0};
    size_t consumed_before = input.pos;
    hint = ZSTD_decompressStream(context.get(), &buffer, &input);
    if (ZSTD_isError(hint)) return Malformed("zstd");
    output.Advance(buffer.pos);
    if (hint != 0 && input.pos == consumed_before && buffer.pos == 0 && output.room() > 0) return Malformed("zstd");
  }
  output.Finish();
  return {};
}

std::string Gzip(std::string_view bytes) {
  z_stream stream{};
  KAPPA_CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  KAPPA_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace

Status Decompress(Codec codec, std::string_view bytes, size_t bytes_max, std::string& out) {
  switch (codec) {
    case Codec::kNone:
      if (bytes.size() > bytes_max) return TooLarge(bytes_max);
      out = bytes;
      return {};
    case Codec::kGzip: return Gunzip(bytes, bytes_max, out);
    case Codec::kSnappy: return Unsnap(bytes, bytes_max, out);
    case Codec::kLz4: return Unlz4(bytes, bytes_max, out);
    case Codec::kZstd: return Unzstd(bytes, bytes_max, out);
  }
  return Error(sqlstate::kDataCorrupted, "unknown codec " + std::to_string(static_cast<int>(codec)) + " in record batch");
}

std::string Compress(Codec codec, std::string_view bytes) {
  std::string out;
  switch (codec) {
    case Codec::kNone: return std::string(bytes);
    case Codec::kGzip: return Gzip(bytes);
    case Codec::kSnappy: snappy::Compress(bytes.data(), bytes.size(), &out); return out;
    case Codec::kLz4: {
      out.resize(LZ4F_compressFrameBound(bytes.size(), nullptr));
      size_t used = LZ4F_compressFrame(out.data(), out.size(), bytes.data(), bytes.size(), nullptr);
      KAPPA_CHECK(!LZ4F_isError(used));
      out.resize(used);
      return out;
    }
    case Codec::kZstd: {
      out.resize(ZSTD_compressBound(bytes.size()));
      size_t used = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1);
      KAPPA_CHECK(!ZSTD_isError(used));
      out.resize(used);
      return out;
    }
  }
  KAPPA_CHECK(false);
  return out;
}

}  // namespace kappa::log
