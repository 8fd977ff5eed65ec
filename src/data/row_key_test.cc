// Goal: equal rows, in SQL's grouping sense, and only those give equal keys, and keys decode to the rows.
// Method: pairs of values known to be equal or different; round trips of mixed columns.
#include "data/row_key.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "data/numeric.h"
#include "data/value.h"

namespace kappa::data {
namespace {

std::string KeyOf(const Value& value) {
  std::vector<ColumnPtr> columns = {ConstantColumn(value, 1)};
  return std::string(RowKeys(columns, 1).key(0));
}
Value Decimal(std::string_view text) { return Value::Bytes(TypeId::kNumeric, Numeric::Parse(text)->ToBytes()); }

TEST(RowKeyTest, CanonicalEquality) {
  EXPECT_EQ(KeyOf(Value::Fixed(TypeId::kFloat8, 0.0)), KeyOf(Value::Fixed(TypeId::kFloat8, -0.0)));
  EXPECT_EQ(KeyOf(Value::Fixed(TypeId::kFloat8, std::numeric_limits<double>::quiet_NaN())), KeyOf(Value::Fixed(TypeId::kFloat8, -std::nan("7"))));
  EXPECT_EQ(KeyOf(Decimal("1.0")), KeyOf(Decimal("1")));
  EXPECT_EQ(KeyOf(Decimal("0.000")), KeyOf(Decimal("-0")));
  EXPECT_EQ(KeyOf(Decimal("123456789012345678901234567890123456789012345.500")), KeyOf(Decimal("123456789012345678901234567890123456789012345.5")));
  EXPECT_NE(KeyOf(Decimal("10")), KeyOf(Decimal("1")));
  EXPECT_NE(KeyOf(Decimal("NaN")), KeyOf(Decimal("Infinity")));
  EXPECT_EQ(KeyOf(Value::Fixed(TypeId::kInterval, Interval{0, 30, 0})), KeyOf(Value::Fixed(TypeId::kInterval, Interval{0, 0, 1})));
  EXPECT_EQ(KeyOf(Value::Fixed(TypeId::kInterval, Interval{86'400'000'000, 0, 0})), KeyOf(Value::Fixed(TypeId::kInterval, Interval{0, 1, 0})));
  EXPECT_NE(KeyOf(Value::Text("")), KeyOf(Value::Null(TypeId::kText)));
}

TEST(RowKeyTest, KeysThatStoreRowsKeepTheDisplayScale) {
  std::vector<ColumnPtr> columns = {ConstantColumn(Decimal("1.50"), 1)};
  RowKeys keys(columns, 1, false);
  std::vector<ColumnBuilder> builders;
  builders.emplace_back(TypeId::kNumeric);
  AppendRow(keys.key(0), builders);
  EXPECT_EQ(Numeric::FromBytes(builders[0].Finish()->bytes(0)).ToString(), "1.50");
}

TEST(RowKeyTest, DocumentedLayout) {
  std::vector<ColumnPtr> columns = {ConstantColumn(Value::Fixed<int32_t>(TypeId::kInt4, 42), 2), ConstantColumn(Value::Text("ab"), 2),
                                    ConstantColumn(Value::Null(TypeId::kInt8), 2)};
  RowKeys keys(columns, 2);
  std::string expected("\x01\x2A\0\0\0\x01\x02\0\0\0ab\0", 13);
  EXPECT_EQ(keys.key(0), expected);
  EXPECT_EQ(keys.key(1), expected);
  EXPECT_EQ(keys.hash(1), Hash64(expected));
}

TEST(RowKeyTest, RoundTripsMixedColumns) {
  std::vector<Type> types = {TypeId::kBool, TypeId::kInt2, TypeId::kInt4, TypeId::kInt8, TypeId::kFloat8, TypeId::kInterval, TypeId::kText};
  std::vector<ColumnBuilder> builders(types.begin(), types.end());
  for (int i = 0; i < 300; ++i) {
    for (size_t c = 0; c < types.size(); ++c) {
      if ((i + static_cast<int>(c)) % 5 == 0) {
        builders[c].AppendNull();
        continue;
      }
      switch (types[c].id) {
        case TypeId::kBool: builders[c].Append<uint8_t>(i & 1); break;
        case TypeId::kInt2: builders[c].Append<int16_t>(static_cast<int16_t>(-i)); break;
        case TypeId::kInt4: builders[c].Append<int32_t>(i * 1000); break;
        case TypeId::kInt8: builders[c].Append<int64_t>(int64_t{i} << 40); break;
        case TypeId::kFloat8: builders[c].Append<double>(i / 3.0); break;
        case TypeId::kInterval: builders[c].Append(Interval{i, i, 0}); break;
        default: builders[c].AppendBytes(std::string(static_cast<size_t>(i % 30), 'k')); break;
      }
    }
  }
  std::vector<ColumnPtr> columns;
  for (ColumnBuilder& builder : builders) columns.push_back(builder.Finish());
  RowKeys keys(columns, 300);
  for (int i = 0; i < 300; ++i) AppendRow(keys.key(i), builders);
  for (size_t c = 0; c < types.size(); ++c) {
    ColumnPtr back = builders[c].Finish();
    for (int i = 0; i < 300; ++i) EXPECT_EQ(ValueAt(*back, i), ValueAt(*columns[c], i)) << c << " " << i;
  }
}

TEST(RowKeyTest, RowsThatRepeatHaveTheKeysOfTheirValues) {
  // Three kinds of text, one of them NULL, long ones of equal ends, beside a number that repeats: keys are made once for each kind.
  const std::string long_text = "a text of more than twelve bytes, ", end = ", and the same end";
  constexpr int kRows = 2000;
  ColumnBuilder texts(TypeId::kText), numbers(TypeId::kInt4), decimals(TypeId::kNumeric);
  for (int i = 0; i < kRows; ++i) {
    if (i % 3 == 0) texts.AppendNull();
    else if (i % 3 == 1) texts.AppendBytes(i % 2 == 0 ? "" : "short");
    else texts.AppendBytes(long_text + (i % 2 == 0 ? "a" : "b") + end);
    numbers.Append<int32_t>(i % 7);
    decimals.AppendBytes(Numeric::Parse(i % 2 == 0 ? "1.0" : "1")->ToBytes());
  }
  const std::vector<ColumnPtr> columns = {texts.Finish(), numbers.Finish(), decimals.Finish()};
  const RowKeys keys(columns, kRows);
  EXPECT_TRUE(keys.has_kinds());
  EXPECT_EQ(keys.kind_count(), 42u);
  for (int i = 0; i < kRows; ++i) {
    const int32_t row = i;
    std::vector<ColumnPtr> alone;
    for (const ColumnPtr& column : columns) alone.push_back(Gather(*column, std::span(&row, 1)));
    const RowKeys key(alone, 1);
    ASSERT_EQ(keys.key(i), key.key(0)) << i;
    ASSERT_EQ(keys.hash(i), key.hash(0)) << i;
  }
}

TEST(RowKeyTest, KindsOfCodesAreThoseOfTheirValues) {
  // Of three entries two are the same text: rows of two kinds with one key.
  constexpr int kRows = 3000;
  ColumnBuilder entries(TypeId::kText), numbers(TypeId::kInt8);
  for (const char* text : {"a text of more than twelve bytes", "b", "a text of more than twelve bytes"}) entries.AppendBytes(text);
  auto codes = std::make_shared<Column>(entries.Finish(), kRows);
  for (int i = 0; i < kRows; ++i) {
    codes->mutable_codes()[i] = i % 3;
    if (i % 11 == 5) codes->SetNull(i);
    numbers.Append<int64_t>(i / 1000);
  }
  ColumnBuilder texts(TypeId::kText);
  for (int i = 0; i < kRows; ++i) texts.AppendFrom(*codes, i);
  const ColumnPtr values = texts.Finish(), number = numbers.Finish();
  for (const bool alone : {true, false}) {
    const std::vector<ColumnPtr> coded = alone ? std::vector<ColumnPtr>{codes} : std::vector<ColumnPtr>{number, codes};
    const std::vector<ColumnPtr> plain = alone ? std::vector<ColumnPtr>{values} : std::vector<ColumnPtr>{number, values};
    const RowKeys keys(coded, kRows), expected(plain, kRows);
    EXPECT_EQ(keys.kind_count(), alone ? 4u : 12u);
    for (int i = 0; i < kRows; ++i) {
      ASSERT_EQ(keys.key(i), expected.key(i)) << i;
      ASSERT_EQ(keys.hash(i), expected.hash(i)) << i;
    }
  }
}

TEST(RowKeyTest, CodesThatDifferHaveNoKinds) {
  ColumnBuilder entries(TypeId::kInterval);
  for (int i = 0; i < 2000; ++i) entries.Append(Interval{i, 0, 0});
  auto codes = std::make_shared<Column>(entries.Finish(), 4000);
  for (int i = 0; i < 4000; ++i) codes->mutable_codes()[i] = i / 2;
  const std::vector<ColumnPtr> columns = {codes};
  EXPECT_FALSE(RowKeys(columns, 4000).has_kinds());
}

TEST(RowKeyTest, RowsThatDifferHaveNoKinds) {
  ColumnBuilder builder(TypeId::kInt8);
  for (int64_t i = 0; i < 4000; ++i) builder.Append<int64_t>(i / 2 * 1'000'003);
  const std::vector<ColumnPtr> columns = {builder.Finish()};
  EXPECT_FALSE(RowKeys(columns, 4000).has_kinds());
}

TEST(RowKeyTest, NoColumns) {
  RowKeys keys({}, 3);
  EXPECT_EQ(keys.key(2), "");
}

}  // namespace
}  // namespace kappa::data
