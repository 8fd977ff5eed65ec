// Goal: watermarks and verdicts are those of the design. Method: a clock fed row by row, and the same rows in other pieces.
#include "flow/stream_clock.h"

#include <gtest/gtest.h>

#include "data/column.h"

namespace kappa::flow {
namespace {

data::ColumnPtr Times(std::initializer_list<int64_t> times) {
  data::ColumnBuilder builder(data::TypeId::kTimestamp);
  for (int64_t time : times) {
    if (time < 0) builder.AppendNull();
    else builder.Append<int64_t>(time);
  }
  return builder.Finish();
}

std::vector<uint8_t> Judge(StreamClock& clock, int partition, const data::ColumnPtr& times, int64_t wall = 1'000'000) {
  std::vector<uint8_t> late(static_cast<size_t>(times->size()), 0);
  clock.Judge(partition, *times, 0, times->size(), wall, late.data());
  return late;
}

TEST(StreamClockTest, ARowBelowItsPartitionsWatermarkIsLate) {
  StreamClock clock(1, 10, 1'000'000);
  EXPECT_EQ(Judge(clock, 0, Times({100, 95, 90, 89, 101, 90, 91})), (std::vector<uint8_t>{0, 0, 0, 1, 0, 1, 0}));
  clock.EndEpoch();
  EXPECT_EQ(clock.watermark(), 91);
}

TEST(StreamClockTest, NullTimesAreNeverLateAndMoveNothing) {
  StreamClock clock(1, 0, 1'000'000);
  EXPECT_EQ(Judge(clock, 0, Times({50, -1, 40})), (std::vector<uint8_t>{0, 0, 1}));
}

TEST(StreamClockTest, APartitionWithoutRowsHoldsTheWatermarkUntilItIsIdle) {
  StreamClock clock(2, 0, 1'000'000);
  Judge(clock, 0, Times({100}));
  clock.EndEpoch();
  EXPECT_EQ(clock.watermark(), kNoWatermark);
  clock.SetIdle(1, true);
  clock.EndEpoch();
  EXPECT_EQ(clock.watermark(), 100);
  // It wakes up behind the others: its rows are late, the watermark stays.
  clock.SetIdle(1, false);
  EXPECT_EQ(Judge(clock, 1, Times({99, 100})), (std::vector<uint8_t>{1, 0}));
  clock.EndEpoch();
  EXPECT_EQ(clock.watermark(), 100);
}

TEST(StreamClockTest, WhenAllAreIdleNobodyHoldsTimeBack) {
  StreamClock clock(2, 0, 1'000'000);
  Judge(clock, 0, Times({100}));
  clock.SetIdle(0, true);
  clock.SetIdle(1, true);
  clock.EndEpoch();
  EXPECT_EQ(clock.watermark(), 100);
}

TEST(StreamClockTest, TheFarFutureIsLateAndMovesNothing) {
  StreamClock clock(1, 0, 1'000);
  EXPECT_EQ(Judge(clock, 0, Times({100, 2'001, 101}), 1'000), (std::vector<uint8_t>{0, 1, 0}));
  clock.EndEpoch();
  EXPECT_EQ(clock.watermark(), 101);
}

TEST(StreamClockTest, PiecesDoNotMatter) {
  const auto times = Times({100, 95, 120, 90, 110, 109, 130, 119, 121});
  StreamClock whole(1, 10, 1'000'000);
  const std::vector<uint8_t> wanted = Judge(whole, 0, times);
  StreamClock pieces(1, 10, 1'000'000);
  std::vector<uint8_t> late(9, 0);
  for (int64_t row = 0; row < 9; ++row) pieces.Judge(0, *times, row, row + 1, 1'000'000, late.data());
  EXPECT_EQ(late, wanted);
  ByteWriter out;
  whole.Encode(out);
  StreamClock restored(1, 10, 1'000'000);
  ByteReader in(out.str());
  restored.Decode(in);
  EXPECT_TRUE(in.AtEnd());
  EXPECT_EQ(restored.partition_watermark(0), pieces.partition_watermark(0));
}

}  // namespace
}  // namespace kappa::flow
