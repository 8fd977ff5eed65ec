// Made-up events for benchmarks and demos: the same options give the same bytes on every machine.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"

namespace kappa::connect {

struct GenerateOptions {
  int64_t events = 1'000'000;
  int64_t users = 1'000'000;             // user_id is u0 .. u(users-1), uniformly
  int64_t categories = 100;              // category is c0 .. c(categories-1), uniformly
  uint64_t seed = 1;
  size_t bytes_per_event = 200;  // length of a line with its line end; shorter than about 130 it is what the fields need
  int64_t start_us = 1'767'225'600'000'000;  // event time of event 0, microseconds since 1970: 2026-01-01
  int64_t step_us = 10;                  // event time between events
  int64_t out_of_order_us = 2'000'000;   // event times lie up to so much behind
  double late_fraction = 0.001;          // of the events lie late_us further behind
  int64_t late_us = 3'600'000'000;
  int64_t first_event = 0;  // event_id of the first; event n depends on n and the options alone, so files can be parts
};

/// Appends event `n` as one line:
/// {"event_id":7,"user_id":"u123","category":"c7","amount":12.34,"quantity":3,"ts":"2026-01-01T00:00:00.123Z","note":".."}
void AppendEvent(const GenerateOptions& options, int64_t n, std::string& out);

/// Writes JSON lines, compressed as the name says (.zst, .gz). `progress`, when given, hears the number of events
/// written. Fails with invalid_parameter_value, disk_full, io_error; then nothing appears at `path`.
Status GenerateEvents(const std::string& path, const GenerateOptions& options, const std::function<void(int64_t)>& progress = {});

}  // namespace kappa::connect
