// Sketch: an event costs two hashes and about 200 copied bytes, some 60 ns; the disk takes the rest.
#include "connect/generator.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>

#include "connect/byte_stream.h"
#include "data/calendar.h"

namespace kappa::connect {
namespace {

constexpr int64_t kEventsPerPiece = 4096;
constexpr std::string_view kWords = "the quick brown fox jumps over the lazy dog and runs along the river bank until the evening comes again ";

/// splitmix64 (Steele, Lea, Flood 2014).
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

/// An even choice below `bound` from the 32 low bits.
uint64_t Choose(uint64_t bits, int64_t bound) { return (bits & 0xffffffff) * static_cast<uint64_t>(bound) >> 32; }

class Line {
 public:
  explicit Line(char* at) : start_(at), at_(at) {}
  void Text(std::string_view text) {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void Number(uint64_t value) { at_ = std::to_chars(at_, at_ + 20, value).ptr; }
  void Digits(uint64_t value, int count) {
    for (int i = count - 1; i >= 0; --i) {
      at_[i] = static_cast<char>('0' + value % 10);
      value /= 10;
    }
    at_ += count;
  }
  size_t size() const { return static_cast<size_t>(at_ - start_); }

 private:
  char* start_;
  char* at_;
};

constexpr size_t kFieldsBytesMax = 256;  // everything but the note, with room to spare

}  // namespace

void AppendEvent(const GenerateOptions& options, int64_t n, std::string& out) {
  const uint64_t a = Mix(options.seed * 0xd1342543de82ef95 + static_cast<uint64_t>(n));
  const uint64_t b = Mix(a);
  const uint64_t c = Mix(b);
  int64_t micros = options.start_us + n * options.step_us;
  if (options.out_of_order_us > 0) micros -= static_cast<int64_t>(Choose(b >> 32, options.out_of_order_us));
  if (static_cast<double>(c >> 32) < options.late_fraction * 4294967296.0) micros -= options.late_us;

  const size_t before = out.size();
  out.resize(before + options.bytes_per_event + kFieldsBytesMax);
  Line line(out.data() + before);
  line.Text(R"({"event_id":)");
  line.Number(static_cast<uint64_t>(n));
  line.Text(R"(,"user_id":"u)");
  line.Number(Choose(a, options.users));
  line.Text(R"(","category":"c)");
  line.Number(Choose(a >> 32, options.categories));
  line.Text(R"(","amount":)");
  const uint64_t cents = Choose(b, 100'000);
  line.Number(cents / 100);
  line.Text(".");
  line.Digits(cents % 100, 2);
  line.Text(R"(,"quantity":)");
  line.Number(1 + Choose(c, 9));
  line.Text(R"(,"ts":")");
  const int64_t days = data::FloorDiv(micros, data::kMicrosPerDay);
  const auto millis = static_cast<uint64_t>(micros - days * data::kMicrosPerDay) / 1000;
  thread_local int64_t known_days = INT64_MIN;  // event times stay on one day for long
  thread_local data::CivilDate date;
  if (known_days != days) {
    date = data::CivilFromDays(days);
    known_days = days;
  }
  line.Digits(static_cast<uint64_t>(date.year), 4);
  line.Text("-");
  line.Digits(static_cast<uint64_t>(date.month), 2);
  line.Text("-");
  line.Digits(static_cast<uint64_t>(date.day), 2);
  line.Text("T");
  line.Digits(millis / 3'600'000, 2);
  line.Text(":");
  line.Digits(millis / 60'000 % 60, 2);
  line.Text(":");
  line.Digits(millis / 1000 % 60, 2);
  line.Text(".");
  line.Digits(millis % 1000, 3);
  line.Text(R"(Z","note":")");
  constexpr size_t kTailBytes = 3;  // "} and the line end
  for (size_t left = options.bytes_per_event > line.size() + kTailBytes ? options.bytes_per_event - line.size() - kTailBytes : 0; left > 0;) {
    const std::string_view words = kWords.substr(0, left);
    line.Text(words);
    left -= words.size();
  }
  line.Text("\"}\n");
  out.resize(before + line.size());
}

Status GenerateEvents(const std::string& path, const GenerateOptions& options, const std::function<void(int64_t)>& progress) {
  const bool valid = options.events >= 0 && options.first_event >= 0 && options.users >= 1 && options.users <= UINT32_MAX &&
                     options.categories >= 1 && options.categories <= UINT32_MAX && options.bytes_per_event <= (1 << 20) && options.step_us >= 0 &&
                     options.out_of_order_us >= 0 && options.out_of_order_us <= UINT32_MAX && options.late_us >= 0 && options.late_fraction >= 0 &&
                     options.late_fraction <= 1;
  // The years written have four digits.
  constexpr int64_t kYearZero = data::DaysFromCivil(0, 1, 1) * data::kMicrosPerDay;
  constexpr int64_t kYear10000 = data::DaysFromCivil(10000, 1, 1) * data::kMicrosPerDay;
  int64_t span = 0, end = 0;
  const bool ends = valid && !__builtin_mul_overflow(options.first_event + options.events, options.step_us, &span) &&
                    !__builtin_add_overflow(options.start_us, span, &end) && end < kYear10000 &&
                    options.start_us - options.out_of_order_us >= kYearZero + options.late_us;
  if (!ends) return Error(sqlstate::kInvalidParameterValue, "options of the event generator are out of range");
  KAPPA_ASSIGN_OR_RETURN(std::unique_ptr<ByteSink> sink, OpenByteSink(path, KindOfFile(path).compression));
  std::string piece;
  for (int64_t done = 0; done < options.events;) {
    piece.clear();
    const int64_t until = std::min(done + kEventsPerPiece, options.events);
    for (; done < until; ++done) AppendEvent(options, options.first_event + done, piece);
    KAPPA_RETURN_IF_ERROR(sink->Write(piece));
    if (progress) progress(done);
  }
  return sink->Close();
}

}  // namespace kappa::connect
