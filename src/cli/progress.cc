#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "io/clock.h"

namespace kappa::cli {
namespace {

constexpr int64_t kRedrawUs = 100'000;
constexpr int kBarWidth = 24;

}  // namespace

std::string HumanCount(uint64_t count) {
  std::string digits = std::to_string(count);
  for (auto at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

std::string Counted(uint64_t count, std::string_view noun) { return fmt::format("{} {}{}", HumanCount(count), noun, count == 1 ? "" : "s"); }

std::string HumanBytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) value /= 1000, ++unit;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string HumanSeconds(double seconds) {
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

Progress::Progress(std::string label, std::string unit)
    : label_(std::move(label)), unit_(std::move(unit)), start_us_(io::RealClock().SteadyMicros()), shown_(isatty(STDERR_FILENO) == 1) {}

void Progress::Clear() {
  if (std::exchange(drawn_, false)) fmt::print(stderr, "\r\033[K");
}

double Progress::seconds() const { return static_cast<double>(io::RealClock().SteadyMicros() - start_us_) / 1e6; }

void Progress::Update(uint64_t count, uint64_t bytes, std::optional<double> fraction) {
  if (!shown_) return;
  const int64_t now = io::RealClock().SteadyMicros();
  if (now - drawn_us_ < kRedrawUs) return;
  drawn_us_ = now;
  const double elapsed = std::max(seconds(), 1e-3);
  std::string line = label_ + " ";
  if (fraction) {
    const double done = std::clamp(*fraction, 0.0, 1.0);
    const int filled = static_cast<int>(done * kBarWidth);
    line += fmt::format("[{:=<{}}{:<{}}] {:5.1f} %  ", "", filled, "", kBarWidth - filled, done * 100);
  }
  line += fmt::format("{} {}  {}/s  {}/s", HumanCount(count), unit_, HumanCount(static_cast<uint64_t>(static_cast<double>(count) / elapsed)),
                      HumanBytes(static_cast<uint64_t>(static_cast<double>(bytes) / elapsed)));
  if (fraction && *fraction > 0.01 && *fraction <= 1) line += fmt::format("  ETA {}", HumanSeconds(elapsed * (1 - *fraction) / *fraction));
  winsize window{};
  const size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 100;
  fmt::print(stderr, "\r\033[K{}", line.substr(0, columns - 1));
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace kappa::cli
