// Goal: what is held is counted as it came, and goes with the same count.
// Method: columns of codes and plain ones, laid out while they are held; sums of rows that delete others.
#include "ops/held_rows.h"

#include <gtest/gtest.h>

namespace kappa::ops {
namespace {

using data::ColumnPtr;

ColumnPtr Strings(std::initializer_list<std::string_view> values) {
  data::ColumnBuilder builder(data::TypeId::kText);
  for (const std::string_view value : values) builder.AppendBytes(value);
  return builder.Finish();
}

/// Rows of a coded column, NULL where the code is negative.
ColumnPtr Coded(const ColumnPtr& dictionary, const std::vector<int32_t>& codes) {
  auto column = std::make_shared<data::Column>(dictionary, static_cast<int64_t>(codes.size()));
  for (size_t i = 0; i < codes.size(); ++i) column->mutable_codes()[i] = std::max(codes[i], 0);
  for (size_t i = 0; i < codes.size(); ++i)
    if (codes[i] < 0) column->SetNull(static_cast<int64_t>(i));
  return column;
}

data::ChangeBatch Rows(const ColumnPtr& column) {
  data::Batch batch;
  batch.rows = column->size();
  batch.columns = {column};
  return data::ChangeBatch(batch);
}

TEST(HeldRows, StringsOfCodesAreCountedAndStayCodes) {
  const ColumnPtr dictionary = Strings({"a text of thirty-three characters", "short"});
  const ColumnPtr column = Coded(dictionary, {0, 1, 0, -1});
  const int64_t before = column->memory_bytes();
  EXPECT_EQ(BytesWithStrings(std::vector{column}), before + 2 * 33);
  EXPECT_EQ(column->memory_bytes(), before) << "the values were laid out";
}

TEST(HeldRows, ABatchLeavesWithTheBytesItCameWith) {
  const ColumnPtr column = Coded(Strings({"a text of thirty-three characters"}), {0, 0, 0});
  HeldRows held;
  held.Add(Rows(column));
  held.Add(Rows(Strings({"x"})));
  EXPECT_EQ(held.rows(), 4);
  const int64_t before = column->memory_bytes();
  (void)column->bytes(0);
  ASSERT_GT(column->memory_bytes(), before) << "the values were not laid out";
  EXPECT_EQ(held.Take(0).rows, 3);
  EXPECT_EQ(held.Take(1).rows, 1);
  EXPECT_EQ(held.bytes(), 0);
  EXPECT_EQ(held.rows(), 0);
}

TEST(HeldRows, TheSumIsHeldNoLonger) {
  HeldRows held;
  data::ChangeBatch gone = Rows(Strings({"a", "b"}));
  gone.weights = std::make_shared<const std::vector<int64_t>>(std::vector<int64_t>{-1, 1});
  held.Add(Rows(Strings({"a", "b"})));
  held.Add(gone);
  const data::ChangeBatch sum = held.TakeSum(/*append_only=*/false);
  ASSERT_EQ(sum.rows, 1);
  EXPECT_EQ(sum.columns[0]->bytes(0), "b");
  EXPECT_EQ(sum.weight(0), 2);
  EXPECT_TRUE(held.empty());
  EXPECT_EQ(held.bytes(), 0);
}

}  // namespace
}  // namespace kappa::ops
