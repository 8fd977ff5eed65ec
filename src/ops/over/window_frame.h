// Frames: for each row of a segment, which rows its window functions see.
#pragma once

#include <vector>

#include "ops/over/window_functions.h"

namespace kappa::ops {

/// Positions count from the segment's first row.
struct FrameRange {
  int64_t start, end;  // [start, end); empty when end <= start
};
struct FramePieces {
  FrameRange pieces[3];
  int count = 0;
  void Add(int64_t start, int64_t end) {
    if (start < end) pieces[count++] = {start, end};
  }
  int64_t rows() const {
    int64_t n = 0;
    for (int i = 0; i < count; ++i) n += pieces[i].end - pieces[i].start;
    return n;
  }
};

/// The groups of peers of a segment.
struct PeerGroups {
  PeerGroups(const WindowSegment& segment, std::span<const uint8_t> peer_start);
  int64_t rows;
  std::vector<int64_t> group;  // of each row
  std::vector<int64_t> start;  // first row of each group, then `rows`
  FrameRange Of(int64_t row) const {
    return {start[static_cast<size_t>(group[static_cast<size_t>(row)])], start[static_cast<size_t>(group[static_cast<size_t>(row)]) + 1]};
  }
};

/// A frame clause whose offsets are known.
class FrameBounds {
 public:
  /// `order` is the Over node's; `key_column` in Compute is its one key where RANGE has an offset.
  static Result<FrameBounds> Make(const plan::WindowFrame& frame, const std::vector<plan::SortKey>& order, expr::EvalContext& context);
  bool needs_key() const { return frame_.mode == plan::WindowFrame::Mode::kRange && (frame_.start_offset || frame_.end_offset); }
  /// The frames of the segment's wanted rows, in order. Starts and ends never go down.
  std::vector<FrameRange> Compute(const WindowSegment& segment, const PeerGroups& peers, const data::Column* key_column) const;
  /// Row `row`'s frame without what EXCLUDE leaves out.
  FramePieces Pieces(const FrameRange& range, int64_t row, const PeerGroups& peers) const;
  bool excludes() const { return frame_.exclude != plan::WindowFrame::Exclude::kNone; }
  /// The frame is everything up to the row: a state that went over the rows before is enough to go on.
  bool carries() const {
    return grows() && !excludes() && frame_.end == plan::WindowFrame::Bound::kCurrentRow &&
           (ordered_ || frame_.mode == plan::WindowFrame::Mode::kRows);
  }
  bool by_rows() const { return frame_.mode == plan::WindowFrame::Mode::kRows; }
  /// Frames that begin at an offset of keys or groups.
  bool looks_back() const { return !by_rows() && frame_.start == plan::WindowFrame::Bound::kPreceding; }
  bool grows() const { return frame_.start == plan::WindowFrame::Bound::kUnboundedPreceding; }
  void AddReach(WindowReach& reach) const;

 private:
  /// Whether row `row` of the key column is inside of the bound of row `of`, for a start or an end.
  std::vector<int64_t> RangeBound(bool start, const WindowSegment& segment, const data::Column& keys) const;
  int64_t Rows(const data::Value& offset) const { return offset.As<int64_t>(); }

  plan::WindowFrame frame_;
  data::Value start_, end_;  // offsets
  bool ordered_ = false, descending_ = false;
};

}  // namespace kappa::ops
