// Window functions over sorted rows: the columns of an Over node's calls for rows that lie in the order of their partitions.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/operator.h"

namespace kappa::ops {

/// Consecutive rows [from, to) of a batch that are rows base, base + 1, .. of a partition with `total` rows. Results are wanted for
/// [wanted_from, wanted_to); the others are there because the wanted ones look at them.
struct WindowSegment {
  int64_t from, to;
  int64_t wanted_from, wanted_to;
  int64_t base;
  int64_t total;
  std::string_view state;  // what the functions that carry state knew after row base - 1; empty where base is 0
};

/// How far functions look, in rows; kAll: to the end of the partition.
struct WindowReach {
  static constexpr int64_t kAll = INT64_MAX;
  int64_t affects_before = 0;  // a change at row p may change results from p - affects_before ..
  int64_t affects_after = 0;   // .. to p + affects_after
  int64_t needs_before = 0;    // results need that many rows before and after them
  int64_t needs_after = 0;
  bool peers = false;          // all of this to whole groups of rows that the order leaves equal
  bool carries = false;        // needs_before is what is needed beside the state after an earlier row (WindowSegment::state)
  bool range_before = false;   // frames begin at a distance of keys: see FramesBegin
};

/// The states after some of the wanted rows, each the last of its peers: computing may go on behind them another time.
struct WindowStates {
  std::vector<int64_t> rows;        // of the batch, ascending
  std::vector<std::string> states;  // empty: not to be had
};

/// Threads      one at a time; nothing is kept between calls of Evaluate.
class WindowFunctions {
 public:
  virtual ~WindowFunctions() = default;
  virtual const WindowReach& reach() const = 0;
  /// `peer_start[i]` is 1 where row i begins a group of peers (or a segment). Gives a column for each call, with the wanted rows of all
  /// segments.
  virtual Result<std::vector<data::ColumnPtr>> Evaluate(const data::Batch& batch, std::span<const WindowSegment> segments,
                                                        std::span<const uint8_t> peer_start, WindowStates& states, expr::EvalContext& context) = 0;
  /// Whether the frames of row `row` begin within these rows of one partition (`range_before`), so that no earlier ones are needed.
  virtual Result<bool> FramesBegin(const data::Batch& batch, int64_t row, std::span<const uint8_t> peer_start, expr::EvalContext& context) = 0;
};

Result<std::unique_ptr<WindowFunctions>> MakeWindowFunctions(const plan::OverWindow& node, const OperatorOptions& options);

}  // namespace kappa::ops
