// Goal: columns keep values, NULLs and borrowed strings right through gather, slice, concatenate and builders.
// Method: small columns around word boundaries, against plain vectors of optional values.
#include "data/column.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <thread>

#include "data/batch.h"
#include "data/numeric.h"
#include "data/value.h"

namespace kappa::data {
namespace {

using Texts = std::vector<std::optional<std::string>>;

ColumnPtr Make(const Texts& texts, Type type = TypeId::kText) {
  ColumnBuilder builder(type);
  for (const auto& text : texts) {
    if (text) builder.AppendBytes(*text);
    else builder.AppendNull();
  }
  return builder.Finish();
}

Texts Read(const Column& column) {
  Texts out;
  for (int64_t i = 0; i < column.size(); ++i) { out.push_back(column.IsNull(i) ? std::nullopt : std::optional(std::string(column.bytes(i)))); }
  return out;
}

Texts RandomTexts(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  Texts out;
  for (size_t i = 0; i < count; ++i) {
    if (random() % 4 == 0) out.push_back(std::nullopt);
    else out.push_back(std::string(random() % 40, static_cast<char>('a' + random() % 26)));
  }
  return out;
}

TEST(ColumnTest, BuildersKeepTextAndNulls) {
  Texts texts = RandomTexts(1000, 1);
  ColumnPtr column = Make(texts);
  EXPECT_EQ(Read(*column), texts);
  EXPECT_EQ(column->null_count(), std::count(texts.begin(), texts.end(), std::nullopt));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(column->data<char>()) % 64, 0u);
}

TEST(ColumnTest, SliceAtEveryOffset) {
  Texts texts = RandomTexts(200, 2);
  ColumnPtr column = Make(texts);
  for (int64_t from = 0; from <= 200; from += 7) {
    for (int64_t count : {int64_t{0}, int64_t{1}, int64_t{63}, int64_t{64}, 200 - from}) {
      if (from + count > 200) continue;
      EXPECT_EQ(Read(*Slice(column, from, count)), Texts(texts.begin() + from, texts.begin() + from + count));
    }
  }
}

TEST(ColumnTest, GatherTakesNegativeRowsAsNull) {
  Texts texts = RandomTexts(100, 3);
  ColumnPtr column = Make(texts);
  std::vector<int32_t> rows = {5, -1, 99, 0, 5, -1};
  Texts expected;
  for (int32_t row : rows) expected.push_back(row < 0 ? std::nullopt : texts[static_cast<size_t>(row)]);
  EXPECT_EQ(Read(*Gather(*column, rows)), expected);
  std::vector<int32_t> none;
  EXPECT_EQ(Gather(*column, none)->size(), 0);
}

TEST(ColumnTest, ConcatenateManyPartsBoundsKeepalives) {
  std::vector<ColumnPtr> parts;
  Texts expected;
  for (uint32_t i = 0; i < 100; ++i) {
    Texts texts = RandomTexts(i % 70, i);
    parts.push_back(Make(texts));
    expected.insert(expected.end(), texts.begin(), texts.end());
  }
  ColumnPtr all = Concatenate(parts);
  parts.clear();
  EXPECT_EQ(Read(*all), expected);
  EXPECT_LE(all->keepalives().size(), kKeepalivesMax);
}

TEST(ColumnTest, ValuesUnderNullsAreZero) {
  ColumnBuilder builder(TypeId::kInt8);
  for (int64_t i = 0; i < 130; ++i) builder.Append<int64_t>(i + 1);
  ColumnPtr column = builder.Finish();
  EXPECT_FALSE(column->has_nulls());
  auto copy = std::make_shared<Column>(TypeId::kInt8, 130, Column::Uninitialized{});
  std::copy_n(column->data<int64_t>(), 130, copy->mutable_data<int64_t>());
  auto nulls = std::make_shared<Column>(TypeId::kInt8, 130);
  nulls->SetNull(0);
  nulls->SetNull(129);
  copy->MergeNulls(*nulls);
  EXPECT_TRUE(copy->IsNull(0));
  EXPECT_EQ(copy->data<int64_t>()[0], 0);
  EXPECT_EQ(copy->data<int64_t>()[129], 0);
  EXPECT_EQ(copy->data<int64_t>()[1], 2);
  EXPECT_EQ(copy->null_count(), 2);
}

/// The texts as codes of `entries`.
ColumnPtr MakeCoded(const ColumnPtr& entries, const Texts& texts) {
  auto column = std::make_shared<Column>(entries, static_cast<int64_t>(texts.size()));
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!texts[i]) {
      column->SetNull(static_cast<int64_t>(i));
      continue;
    }
    int32_t code = 0;
    while (entries->bytes(code) != *texts[i]) ++code;
    column->mutable_codes()[i] = code;
  }
  return column;
}

TEST(ColumnTest, CodedColumnsStayCodedAndReadAsTheirEntries) {
  const Texts entries = {"", "short", "a text of more than twelve bytes", "another text of more than twelve bytes"};
  ColumnPtr dictionary = Make(entries);
  std::mt19937 random(4);
  Texts texts;
  for (int i = 0; i < 300; ++i) texts.push_back(random() % 4 == 0 ? std::nullopt : entries[random() % 4]);
  const ColumnPtr column = MakeCoded(dictionary, texts);
  const std::weak_ptr<const Column> weak = dictionary;
  dictionary = nullptr;

  std::vector<int32_t> rows = {299, -1, 0, 7, 7, -1, 150};
  Texts gathered;
  for (const int32_t row : rows) gathered.push_back(row < 0 ? std::nullopt : texts[static_cast<size_t>(row)]);
  const ColumnPtr some = Gather(*column, rows);
  const ColumnPtr part = Slice(column, 61, 130);
  const std::vector<ColumnPtr> both = {part, some};
  const ColumnPtr all = Concatenate(both);
  Texts expected(texts.begin() + 61, texts.begin() + 191);
  expected.insert(expected.end(), gathered.begin(), gathered.end());
  for (const ColumnPtr& made : {some, part, all}) EXPECT_TRUE(made->is_coded());
  EXPECT_EQ(column->memory_bytes(), 300 * 4 + 5 * 8);
  EXPECT_EQ(Read(*all), expected);
  EXPECT_EQ(Read(*part), Texts(texts.begin() + 61, texts.begin() + 191));
  EXPECT_EQ(Read(*some), gathered);
  EXPECT_EQ(Read(*column), texts);
  EXPECT_EQ(column->memory_bytes(), 300 * (4 + 16) + 5 * 8);
  EXPECT_FALSE(weak.expired());

  // Of another dictionary, or none: values.
  const std::vector<ColumnPtr> mixed = {part, Make(texts), MakeCoded(Make(entries), texts)};
  const ColumnPtr plain = Concatenate(mixed);
  EXPECT_FALSE(plain->is_coded());
  expected.assign(texts.begin() + 61, texts.begin() + 191);
  for (int i = 0; i < 2; ++i) expected.insert(expected.end(), texts.begin(), texts.end());
  EXPECT_EQ(Read(*plain), expected);
}

TEST(ColumnTest, CodesAndValuesUnderNullsAreZero) {
  auto column = std::make_shared<Column>(Make({"a", "b"}), 70);
  std::fill_n(column->mutable_codes(), 70, 1);
  auto nulls = std::make_shared<Column>(TypeId::kInt8, 70);
  nulls->SetNull(0);
  nulls->SetNull(69);
  column->SetNull(33);
  column->MergeNulls(*nulls);
  for (const int row : {0, 33, 69}) {
    EXPECT_TRUE(column->IsNull(row));
    EXPECT_EQ(column->codes()[static_cast<size_t>(row)], 0);
    EXPECT_EQ(column->bytes(row), "");
  }
  EXPECT_EQ(column->null_count(), 3);
  EXPECT_EQ(column->bytes(1), "b");
  // NULLs of an empty dictionary.
  auto none = std::make_shared<Column>(Make({}), 2);
  none->SetNull(0);
  none->SetNull(1);
  EXPECT_EQ(Read(*none), (Texts{std::nullopt, std::nullopt}));
}

TEST(ColumnTest, ValuesOfACodedColumnAreLaidOutOnceForAllThreads) {
  Texts texts;
  for (int i = 0; i < 5000; ++i) texts.push_back(i % 2 == 0 ? "even" : "a text of more than twelve bytes");
  const ColumnPtr dictionary = Make({"even", "a text of more than twelve bytes"});
  for (int round = 0; round < 20; ++round) {
    const ColumnPtr column = MakeCoded(dictionary, texts);
    std::vector<Texts> read(3);
    std::vector<std::thread> threads;
    for (Texts& out : read) threads.emplace_back([&] { out = Read(*column); });
    for (std::thread& thread : threads) thread.join();
    for (const Texts& out : read) ASSERT_EQ(out, texts);
  }
}

/// Coefficients with two digits behind the point, and their values one by one; nullopt is NULL.
using Coefficients = std::vector<std::optional<int64_t>>;
ColumnPtr MakeScaled(const Coefficients& values, int scale = 2) {
  auto column = std::make_shared<Column>(TypeId::kNumeric, static_cast<int64_t>(values.size()), Column::Scale{scale});
  for (size_t i = 0; i < values.size(); ++i) {
    column->mutable_coefficients()[i] = values[i].value_or(7);
    if (!values[i]) column->SetNull(static_cast<int64_t>(i));
  }
  return column;
}
Texts NumericTexts(const Coefficients& values, int scale = 2) {
  Texts texts;
  for (const auto& value : values) texts.push_back(value ? std::optional(Numeric(*value, scale).ToBytes()) : std::nullopt);
  return texts;
}

TEST(ColumnTest, ScaledColumnsStayScaledAndReadAsNumerics) {
  std::mt19937_64 random(6);
  Coefficients values = {0, -1, INT64_MAX, INT64_MIN, 123456789};
  while (values.size() < 300) values.push_back(random() % 4 == 0 ? std::nullopt : std::optional(static_cast<int64_t>(random())));
  const ColumnPtr column = MakeScaled(values);
  const std::vector<int32_t> rows = {299, -1, 0, 3, 3, -1, 150};
  Coefficients gathered;
  for (const int32_t row : rows) gathered.push_back(row < 0 ? std::nullopt : values[static_cast<size_t>(row)]);
  const ColumnPtr some = Gather(*column, rows);
  const ColumnPtr part = Slice(column, 61, 130);
  const std::vector<ColumnPtr> both = {part, some};
  const ColumnPtr all = Concatenate(both);
  Coefficients expected(values.begin() + 61, values.begin() + 191);
  for (const ColumnPtr& made : {some, part, all}) EXPECT_TRUE(made->is_scaled() && !made->is_coded() && made->scale() == 2);
  EXPECT_EQ(column->memory_bytes(), 300 * 8 + 5 * 8);
  EXPECT_EQ(Read(*part), NumericTexts(expected));
  expected.insert(expected.end(), gathered.begin(), gathered.end());
  EXPECT_EQ(Read(*all), NumericTexts(expected));
  EXPECT_EQ(Read(*some), NumericTexts(gathered));
  EXPECT_EQ(Read(*column), NumericTexts(values));
  EXPECT_EQ(column->memory_bytes(), 300 * (8 + 16) + 5 * 8);
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(column->coefficients()[i], values[i].value_or(0));

  // Of another scale, or one by one: values.
  const std::vector<ColumnPtr> mixed = {some, MakeScaled(gathered, 3), Make(NumericTexts(gathered), TypeId::kNumeric)};
  const ColumnPtr plain = Concatenate(mixed);
  EXPECT_FALSE(plain->is_scaled());
  Texts texts = NumericTexts(gathered);
  for (const Texts& more : {NumericTexts(gathered, 3), NumericTexts(gathered)}) texts.insert(texts.end(), more.begin(), more.end());
  EXPECT_EQ(Read(*plain), texts);
}

TEST(BatchTest, WeightsFollowRows) {
  ChangeBatch a, b;
  a.rows = 2;
  a.columns = {Make({"x", "y"})};
  b = a;
  b.weights = std::make_shared<std::vector<int64_t>>(std::vector<int64_t>{-1, 3});
  std::vector<ChangeBatch> parts = {a, b};
  ChangeBatch all = Concatenate(parts);
  EXPECT_THAT(*all.weights, testing::ElementsAre(1, 1, -1, 3));
  EXPECT_THAT(*Slice(all, 1, 2).weights, testing::ElementsAre(1, -1));
  std::vector<int32_t> rows = {3, 0};
  ChangeBatch gathered = Gather(all, rows);
  EXPECT_THAT(*gathered.weights, testing::ElementsAre(3, 1));
  EXPECT_EQ(Read(*gathered.columns[0]), (Texts{"y", "x"}));
}

TEST(ValueTest, ConstantsAndBack) {
  for (const Value& value : {Value::Text("a string of more than twelve bytes"), Value::Int8(-5), Value::Null(TypeId::kInterval),
                             Value::Fixed(TypeId::kInterval, Interval{1, 2, 3}), Value::Bool(true)}) {
    ColumnPtr column = ConstantColumn(value, 70);
    EXPECT_EQ(ValueAt(*column, 69), value);
    ColumnBuilder builder(value.type);
    AppendValue(builder, value);
    EXPECT_EQ(ValueAt(*builder.Finish(), 0), value);
  }
}

}  // namespace
}  // namespace kappa::data
