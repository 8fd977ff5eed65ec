// Frames of ROWS, GROUPS and RANGE, with PostgreSQL's rules for NULL, NaN and infinity.
#include "ops/over/window_frame.h"

#include <algorithm>
#include <cmath>

#include "base/int128.h"
#include "data/compare.h"
#include "data/datetime.h"
#include "data/numeric.h"

namespace kappa::ops {
namespace {

using Mode = plan::WindowFrame::Mode;
using Bound = plan::WindowFrame::Bound;
using Exclude = plan::WindowFrame::Exclude;
using data::TypeId;

int64_t Plus(int64_t a, int64_t b) {
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? (b > 0 ? INT64_MAX : INT64_MIN) : sum;
}

int128_t Span(const data::Interval& interval) {
  return interval.micros + (interval.days + static_cast<int128_t>(interval.months) * 30) * 86'400'000'000;
}

/// PostgreSQL's 22013 for offsets that are negative (or NaN).
Status CheckSize(const data::Value& offset) {
  bool bad = false;
  switch (offset.type.id) {
    case TypeId::kInt8: bad = offset.As<int64_t>() < 0; break;
    case TypeId::kFloat8: bad = !(offset.As<double>() >= 0); break;
    case TypeId::kNumeric: {
      const data::Numeric number = data::Numeric::FromBytes(offset.bytes);
      bad = number.is_nan() || number.sign() < 0;
      break;
    }
    case TypeId::kInterval: bad = Span(offset.As<data::Interval>()) < 0; break;
    default: break;
  }
  return bad ? Status(Error("22013", "invalid preceding or following size in window function")) : Status();
}

/// The bounds of rows as numbers of one kind, compared with the keys.
template <typename Number, typename Compare>
std::vector<int64_t> Walk(bool start, bool descending, const WindowSegment& segment, int64_t first, int64_t last, const std::vector<Number>& keys,
                          const std::vector<Number>& bounds, const std::vector<int64_t>& nulls, const Compare& compare) {
  std::vector<int64_t> result;
  int64_t at = first;
  for (int64_t i = segment.wanted_from; i < segment.wanted_to; ++i) {
    const int64_t row = i - segment.from;
    if (nulls[static_cast<size_t>(row)] >= 0) {
      result.push_back(nulls[static_cast<size_t>(row)]);
      continue;
    }
    const Number& bound = bounds[static_cast<size_t>(row)];
    // A start passes over the keys before the bound, an end over those that are not after it.
    while (at < last) {
      int order = compare(keys[static_cast<size_t>(at)], bound);
      if (descending) order = -order;
      if (start ? order >= 0 : order > 0) break;
      ++at;
    }
    result.push_back(at);
  }
  return result;
}

}  // namespace

PeerGroups::PeerGroups(const WindowSegment& segment, std::span<const uint8_t> peer_start) : rows(segment.to - segment.from) {
  group.reserve(static_cast<size_t>(rows));
  for (int64_t i = 0; i < rows; ++i) {
    if (i == 0 || peer_start[static_cast<size_t>(segment.from + i)] != 0) start.push_back(i);
    group.push_back(static_cast<int64_t>(start.size()) - 1);
  }
  start.push_back(rows);
}

Result<FrameBounds> FrameBounds::Make(const plan::WindowFrame& frame, const std::vector<plan::SortKey>& order, expr::EvalContext& context) {
  FrameBounds bounds;
  bounds.frame_ = frame;
  bounds.ordered_ = !order.empty();
  bounds.descending_ = !order.empty() && order[0].descending;
  const bool range = frame.mode == Mode::kRange;
  const auto offset = [&](const expr::ExprPtr& expression, const char* which, data::Value& value) -> Status {
    if (!expression) return {};
    KAPPA_ASSIGN_OR_RETURN(value, expr::EvaluateConstant(*expression, context));
    if (value.null) return Error("22004", std::string("frame ") + which + " offset must not be null");
    if (range) return CheckSize(value);
    if (value.As<int64_t>() < 0) return Error("22013", std::string("frame ") + which + " offset must not be negative");
    return {};
  };
  KAPPA_RETURN_IF_ERROR(offset(frame.start_offset, "starting", bounds.start_));
  KAPPA_RETURN_IF_ERROR(offset(frame.end_offset, "ending", bounds.end_));
  return bounds;
}

std::vector<int64_t> FrameBounds::RangeBound(bool start, const WindowSegment& segment, const data::Column& column) const {
  const auto rows = static_cast<size_t>(segment.to - segment.from);
  const data::Value& offset = start ? start_ : end_;
  // Towards smaller keys: PRECEDING in ascending order.
  const bool minus = ((start ? frame_.start : frame_.end) == Bound::kPreceding) != descending_;
  // Rows with a NULL key see their peers; for the others only keys that are not NULL are in reach of an offset.
  std::vector<int64_t> nulls(rows, -1);
  int64_t first = 0, last = static_cast<int64_t>(rows);
  const auto null = [&](int64_t row) { return column.IsNull(segment.from + row); };
  while (first < last && null(first)) ++first;
  while (last > first && null(last - 1)) --last;
  for (int64_t row = 0; row < first; ++row) nulls[static_cast<size_t>(row)] = start ? 0 : first;
  for (int64_t row = last; row < static_cast<int64_t>(rows); ++row) nulls[static_cast<size_t>(row)] = start ? last : static_cast<int64_t>(rows);

  const auto walk = [&](const auto& keys, const auto& bounds, const auto& compare) {
    return Walk(start, descending_, segment, first, last, keys, bounds, nulls, compare);
  };
  const TypeId type = column.type().id;
  if (type == TypeId::kNumeric) {
    const data::Numeric size = data::Numeric::FromBytes(offset.bytes);
    std::vector<data::Numeric> keys(rows), bounds(rows);
    for (int64_t i = first; i < last; ++i) {
      const auto at = static_cast<size_t>(i);
      keys[at] = data::Numeric::FromBytes(column.bytes(segment.from + i));
      const Result<data::Numeric> bound = data::Add(keys[at], minus ? size.Negate() : size);
      // Out of range, or infinity from infinity: everything is within reach.
      const bool all = !bound.ok() || (bound->is_nan() && !keys[at].is_nan());
      bounds[at] = !all ? *bound : start != descending_ ? data::Numeric::NegativeInfinity() : data::Numeric::Nan();
    }
    return walk(keys, bounds, [](const data::Numeric& a, const data::Numeric& b) { return data::Compare(a, b); });
  }
  if (type == TypeId::kFloat4 || type == TypeId::kFloat8) {
    const double size = offset.As<double>();
    std::vector<double> keys(rows), bounds(rows);
    for (int64_t i = first; i < last; ++i) {
      const auto at = static_cast<size_t>(i);
      keys[at] = type == TypeId::kFloat4 ? column.data<float>()[segment.from + i] : column.data<double>()[segment.from + i];
      bounds[at] = minus ? keys[at] - size : keys[at] + size;
      if (std::isnan(bounds[at]) && !std::isnan(keys[at])) bounds[at] = start != descending_ ? -INFINITY : NAN;
    }
    return walk(keys, bounds, [](double a, double b) {
      if (std::isnan(a) || std::isnan(b)) return static_cast<int>(std::isnan(a)) - static_cast<int>(std::isnan(b));
      return (a > b) - (a < b);
    });
  }
  std::vector<int128_t> keys(rows), bounds(rows);
  for (int64_t i = first; i < last; ++i) {
    const auto at = static_cast<size_t>(i);
    const int64_t row = segment.from + i;
    switch (type) {
      case TypeId::kInt2: keys[at] = column.data<int16_t>()[row]; break;
      case TypeId::kInt4: keys[at] = column.data<int32_t>()[row]; break;
      case TypeId::kInterval: keys[at] = Span(column.data<data::Interval>()[row]); break;
      case TypeId::kDate: {
        const int32_t days = column.data<int32_t>()[row];
        keys[at] = days == INT32_MAX ? INT64_MAX : days == INT32_MIN ? INT64_MIN : days * int128_t{86'400'000'000};
        break;
      }
      default: keys[at] = column.data<int64_t>()[row]; break;
    }
    if (offset.type.id != TypeId::kInterval) {
      bounds[at] = minus ? keys[at] - offset.As<int64_t>() : keys[at] + offset.As<int64_t>();
    } else if (type == TypeId::kInterval) {
      bounds[at] = minus ? keys[at] - Span(offset.As<data::Interval>()) : keys[at] + Span(offset.As<data::Interval>());
    } else if (keys[at] == INT64_MAX || keys[at] == INT64_MIN) {
      bounds[at] = keys[at];  // infinity stays where it is
    } else {
      data::Interval size = offset.As<data::Interval>();
      if (minus) size = {-size.micros, -size.days, -size.months};
      const Result<int64_t> moved = data::AddInterval(static_cast<int64_t>(keys[at]), size);
      bounds[at] = moved.ok() ? *moved : minus ? INT64_MIN : INT64_MAX;
    }
  }
  return walk(keys, bounds, [](int128_t a, int128_t b) { return (a > b) - (a < b); });
}

std::vector<FrameRange> FrameBounds::Compute(const WindowSegment& segment, const PeerGroups& peers, const data::Column* key_column) const {
  const auto wanted = static_cast<size_t>(segment.wanted_to - segment.wanted_from);
  std::vector<FrameRange> frames(wanted);
  const auto groups = static_cast<int64_t>(peers.start.size()) - 1;
  const auto bound = [&](bool start) {
    const Bound kind = start ? frame_.start : frame_.end;
    const auto set = [&](size_t i, int64_t value) { (start ? frames[i].start : frames[i].end) = value; };
    if (kind == Bound::kUnboundedPreceding || kind == Bound::kUnboundedFollowing) {
      for (size_t i = 0; i < wanted; ++i) set(i, kind == Bound::kUnboundedPreceding ? 0 : peers.rows);
      return;
    }
    const data::Value& offset = start ? start_ : end_;
    if (frame_.mode == Mode::kRange && kind != Bound::kCurrentRow) {
      const std::vector<int64_t> bounds = RangeBound(start, segment, *key_column);
      for (size_t i = 0; i < wanted; ++i) set(i, bounds[i]);
      return;
    }
    const int64_t by = kind == Bound::kCurrentRow ? 0 : kind == Bound::kPreceding ? -Rows(offset) : Rows(offset);
    for (size_t i = 0; i < wanted; ++i) {
      const int64_t row = segment.wanted_from - segment.from + static_cast<int64_t>(i);
      if (frame_.mode == Mode::kRows) {
        set(i, std::clamp<int64_t>(Plus(row + (start ? 0 : 1), by), 0, peers.rows));
        continue;
      }
      const int64_t group = Plus(peers.group[static_cast<size_t>(row)] + (start ? 0 : 1), by);
      set(i, peers.start[static_cast<size_t>(std::clamp<int64_t>(group, 0, groups))]);
    }
  };
  bound(true);
  bound(false);
  return frames;
}

FramePieces FrameBounds::Pieces(const FrameRange& range, int64_t row, const PeerGroups& peers) const {
  FramePieces out;
  if (frame_.exclude == Exclude::kNone) {
    out.Add(range.start, range.end);
    return out;
  }
  const FrameRange hole = frame_.exclude == Exclude::kCurrentRow ? FrameRange{row, row + 1} : peers.Of(row);
  out.Add(range.start, std::min(range.end, hole.start));
  if (frame_.exclude == Exclude::kTies && row >= range.start && row < range.end) out.Add(row, row + 1);
  out.Add(std::max(range.start, hole.end), range.end);
  return out;
}

void FrameBounds::AddReach(WindowReach& reach) const {
  const auto widen = [](int64_t& to, int64_t by) { to = std::max(to, by); };
  const bool offsets = frame_.start_offset || frame_.end_offset;
  const bool all = !ordered_ && frame_.mode != Mode::kRows;
  // Frames that reach back by keys or groups and no further than the row: what comes before is found by looking (FramesBegin).
  const bool back = (frame_.start == Bound::kPreceding || frame_.start == Bound::kCurrentRow) &&
                    (frame_.end == Bound::kPreceding || frame_.end == Bound::kCurrentRow);
  if (!all && frame_.mode != Mode::kRows && offsets && back && !excludes()) {
    reach.affects_after = WindowReach::kAll;
    reach.peers = reach.range_before = true;
    return;
  }
  const bool groups = frame_.mode != Mode::kRows;
  if (all || frame_.exclude == Exclude::kGroup || frame_.exclude == Exclude::kTies || (groups && offsets)) {
    reach.affects_before = reach.affects_after = reach.needs_before = reach.needs_after = WindowReach::kAll;
    return;
  }
  reach.peers = reach.peers || groups;
  const auto before = [&](int64_t rows) { widen(reach.affects_after, rows), widen(reach.needs_before, rows); };
  const auto after = [&](int64_t rows) { widen(reach.affects_before, rows), widen(reach.needs_after, rows); };
  const auto bound = [&](Bound kind, const data::Value& offset) {
    switch (kind) {
      case Bound::kUnboundedPreceding: return before(WindowReach::kAll);
      case Bound::kPreceding: return before(Rows(offset));
      case Bound::kCurrentRow: return;
      case Bound::kFollowing: return after(Rows(offset));
      case Bound::kUnboundedFollowing: return after(WindowReach::kAll);
    }
  };
  bound(frame_.start, start_);
  bound(frame_.end, end_);
}

}  // namespace kappa::ops
