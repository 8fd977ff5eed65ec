// ClientComplaints: why connections were closed, on standard error, at a rate that no client can drive up.
#pragma once

#include <fmt/format.h>

#include <mutex>
#include <string>
#include <string_view>

#include "io/clock.h"

namespace kappa::cli {

/// Thread-safe.
class ClientComplaints {
 public:
  /// `wire` names it in the lines: "Kafka".
  explicit ClientComplaints(std::string wire) : wire_(std::move(wire)) {}

  void Add(std::string_view peer, std::string_view reason) {
    const std::lock_guard lock(mutex_);
    const int64_t second = io::RealClock().SteadyMicros() / 1'000'000;
    if (second != second_) {
      if (left_out_ > 0) fmt::print(stderr, "kappa: {} more connections of {} clients were closed for errors\n", left_out_, wire_);
      second_ = second;
      lines_ = left_out_ = 0;
    }
    if (++lines_ > kLinesPerSecond) {
      ++left_out_;
    } else {
      fmt::print(stderr, "kappa: {} client {}: {}\n", wire_, peer, reason);
    }
  }

 private:
  static constexpr int kLinesPerSecond = 10;
  const std::string wire_;
  std::mutex mutex_;
  int64_t second_ = 0;  // guarded by mutex_, as the counts of that second are
  int lines_ = 0, left_out_ = 0;
};

}  // namespace kappa::cli
