// Parquet: every type there and back, conversions from other writers' types, and what is refused.
#include "connect/parquet.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "connect/parquet_columns.h"
#include "connect/source_testing.h"
#include "data/text.h"
#include "data/value.h"

namespace kappa::connect {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ParquetTest : public testing::Test {
 protected:
  ParquetTest() : folder_(std::filesystem::temp_directory_path() / ("kappa_parquet_test_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~ParquetTest() override { std::filesystem::remove_all(folder_); }
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  /// Writes one column "c" with Arrow's own writer, in row groups of three rows.
  std::string WriteArrow(const std::shared_ptr<arrow::Array>& array, bool nullable = true, int64_t group_rows = 3,
                         const std::shared_ptr<parquet::WriterProperties>& properties = parquet::default_writer_properties()) {
    const std::string path = Path("arrow.parquet");
    auto schema = arrow::schema({arrow::field("c", array->type(), nullable)});
    auto sink = *arrow::io::FileOutputStream::Open(path);
    EXPECT_TRUE(parquet::arrow::WriteTable(*arrow::Table::Make(schema, {array}), arrow::default_memory_pool(), sink, group_rows, properties).ok());
    EXPECT_TRUE(sink->Close().ok());
    return path;
  }

  std::filesystem::path folder_;
};

data::Schema SchemaOf(const std::vector<std::pair<std::string, std::string>>& columns) {
  data::Schema schema;
  for (const auto& [name, type] : columns) {
    const bool not_null = type.ends_with(" not null");
    schema.fields.push_back({name, *data::TypeFromName(not_null ? type.substr(0, type.size() - 9) : type), !not_null});
  }
  return schema;
}

/// Whether each batch's first column is coded.
std::vector<bool> CodedBatches(const std::string& path, const data::Schema& schema) {
  std::vector<bool> out;
  auto source = OpenFileSource(path, schema, {0}, {}, 1);
  EXPECT_TRUE(source.ok());
  for (;;) {
    auto batch = (*source)->Next(64 << 20);
    EXPECT_TRUE(batch.ok());
    if (!batch->has_value()) return out;
    out.push_back((**batch).rows.columns[0]->is_coded());
  }
}

struct Contents {
  std::vector<std::vector<std::string>> columns;
  std::vector<std::string> bad;
  std::vector<int64_t> offsets;
  int64_t records = 0;
  Status status;
};

Contents ReadAll(const std::string& path, const data::Schema& schema, std::vector<int> columns, size_t target_bytes = 1 << 20, int threads = 1) {
  Contents out;
  out.columns.resize(columns.size());
  auto source = OpenFileSource(path, schema, columns, {}, threads);
  if (!source.ok()) {
    out.status = source.error();
    return out;
  }
  const Helpers helpers(**source, threads);
  for (;;) {
    auto batch = (*source)->Next(target_bytes);
    if (!batch.ok()) {
      out.status = batch.error();
      return out;
    }
    if (!batch->has_value()) return out;
    const FileBatch& b = **batch;
    EXPECT_EQ(b.first_offset, out.records);
    EXPECT_EQ(b.rows.columns.size(), columns.size());
    out.records += b.records;
    for (int64_t row = 0; row < b.rows.rows; ++row) {
      out.offsets.push_back(b.offsets.empty() ? b.first_offset + row : b.offsets[static_cast<size_t>(row)]);
      for (size_t c = 0; c < columns.size(); ++c) {
        std::string text = b.rows.columns[c]->IsNull(row) ? "NULL" : "";
        if (text.empty()) data::AppendText(*b.rows.columns[c], row, {}, text);
        out.columns[c].push_back(text);
      }
    }
    for (const auto& bad : b.bad) out.bad.push_back(std::to_string(bad.offset) + ": " + bad.reason);
  }
}

TEST_F(ParquetTest, EveryTypeThereAndBack) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"bool", {"t", "f"}},
      {"smallint", {"-32768", "32767"}},
      {"int", {"-2147483648", "1"}},
      {"bigint", {"-9223372036854775808", "1"}},
      {"oid", {"0", "4294967295"}},
      {"real", {"0.1", "NaN"}},
      {"float8", {"1e+300", "-Infinity"}},
      {"numeric", {"123456789012345678901234567890123456789012345678901234567890.5", "NaN"}},
      {"numeric(12,2)", {"-9999999999.99", "0.00"}},
      {"numeric(38,10)", {"1234567890123456789012345678.0123456789", "-1.0000000000"}},
      {"text", {"", "a text of more than twelve bytes, äöü"}},
      {"varchar(5)", {"äöü€x", ""}},
      {"bytea", {"\\x00ff", "\\x"}},
      {"date", {"0044-03-15 BC", "2026-02-28"}},
      {"timestamp", {"1969-12-31 23:59:59.999999", "9999-12-31 00:00:00"}},
      {"timestamptz", {"2026-01-01 00:00:00.000001+00", "1900-01-01 00:00:00+00"}},
      {"interval", {"1 year 2 mons 3 days 04:05:06.7", "00:00:00"}},
      {"jsonb", {"{\"a\": [1, null]}", "\"x\""}},
      {"uuid", {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"}},
      {"text[]", {"{}", "{a,NULL,\"b c\"}"}},
      {"int[]", {"{1,2,NULL}", "{}"}},
      {"numeric(6,2)[]", {"{1.50}", "{NULL}"}},
      {"timestamptz[]", {"{\"2026-01-01 00:00:00+00\"}", "{}"}},
  };
  data::Schema schema;
  data::Batch batch{6, {}};
  std::vector<int> columns;
  for (const auto& [type, values] : cases) {
    schema.fields.push_back({"c" + std::to_string(columns.size()), *data::TypeFromName(type), true});
    columns.push_back(static_cast<int>(columns.size()));
    data::ColumnBuilder builder(schema.fields.back().type);
    for (int i = 0; i < 2; ++i) {
      for (const std::string& text : values) {
        auto value = data::FromText(text, schema.fields.back().type);
        ASSERT_TRUE(value.ok()) << type << " " << value.error().ToString();
        data::AppendValue(builder, *value);
      }
      builder.AppendNull();
    }
    batch.columns.push_back(builder.Finish());
  }
  auto sink = OpenFileSink(Path("a.parquet"), schema);
  ASSERT_TRUE(sink.ok()) << sink.error().ToString();
  ASSERT_TRUE((*sink)->Write(batch).ok());
  ASSERT_TRUE((*sink)->Close().ok());
  for (size_t target : {1, 1 << 20}) {
    for (int threads : {0, 1, 2}) {
      Contents contents = ReadAll(Path("a.parquet"), schema, columns, target, threads);
      ASSERT_TRUE(contents.status.ok()) << contents.status.ToString();
      EXPECT_THAT(contents.bad, testing::IsEmpty());
      for (size_t c = 0; c < cases.size(); ++c) {
        const auto& values = cases[c].second;
        EXPECT_THAT(contents.columns[c], ElementsAre(values[0], values[1], "NULL", values[0], values[1], "NULL")) << cases[c].first;
      }
    }
  }
}

TEST_F(ParquetTest, ColumnsAreChosenAndMissingOnesAreNull) {
  auto sink = OpenFileSink(Path("a.parquet"), SchemaOf({{"a", "int"}, {"b", "text"}, {"x", "text[]"}}));
  data::Batch batch{3,
                    {data::ConstantColumn(data::Value::Fixed<int32_t>(data::TypeId::kInt4, 5), 3), data::ConstantColumn(data::Value::Text("b"), 3),
                     data::NullColumn(data::Type::ArrayOf(data::TypeId::kText), 3)}};
  ASSERT_TRUE((*sink)->Write(batch).ok() && (*sink)->Close().ok());
  Contents contents = ReadAll(Path("a.parquet"), SchemaOf({{"missing", "jsonb"}, {"b", "text"}, {"a", "bigint"}}), {2, 0, 1});
  ASSERT_TRUE(contents.status.ok()) << contents.status.ToString();
  EXPECT_THAT(contents.columns, ElementsAre(ElementsAre("5", "5", "5"), ElementsAre("NULL", "NULL", "NULL"), ElementsAre("b", "b", "b")));
  contents = ReadAll(Path("a.parquet"), SchemaOf({{"a", "int"}}), {}, 1);  // no column at all: rows still count
  EXPECT_EQ(contents.records, 3);
  contents = ReadAll(Path("a.parquet"), SchemaOf({{"missing", "int not null"}}), {});
  ASSERT_FALSE(contents.status.ok());
  EXPECT_TRUE(contents.status.error().Is(sqlstate::kUndefinedColumn));
}

TEST_F(ParquetTest, TypesOfOtherWriters) {
  auto read = [&](const std::shared_ptr<arrow::Array>& array, const std::string& type) {
    Contents contents = ReadAll(WriteArrow(array), SchemaOf({{"c", type}}), {0});
    if (!contents.status.ok()) return std::vector<std::string>{contents.status.error().message()};
    contents.columns[0].insert(contents.columns[0].end(), contents.bad.begin(), contents.bad.end());
    return contents.columns[0];
  };
  auto build = [](auto builder, auto... values) {
    EXPECT_TRUE((builder.Append(values).ok() && ...));
    EXPECT_TRUE(builder.AppendNull().ok());
    return *builder.Finish();
  };
  auto* pool = arrow::default_memory_pool();
  EXPECT_THAT(read(build(arrow::UInt8Builder(), 255), "smallint"), ElementsAre("255", "NULL"));
  EXPECT_THAT(read(build(arrow::Int64Builder(), 1, 70000, 2), "smallint"),
              ElementsAre("1", "2", "NULL", "1: column \"c\": value \"70000\" is out of range for type smallint"));
  EXPECT_THAT(read(build(arrow::UInt64Builder(), 1u, UINT64_MAX), "bigint"),
              ElementsAre("1", "NULL", "1: column \"c\": value \"18446744073709551615\" is out of range for type bigint"));
  EXPECT_THAT(read(build(arrow::UInt64Builder(), UINT64_MAX), "numeric"), ElementsAre("18446744073709551615", "NULL"));
  EXPECT_THAT(read(build(arrow::Int32Builder(), -7), "float8"), ElementsAre("-7", "NULL"));
  EXPECT_THAT(read(build(arrow::FloatBuilder(), 0.5f), "float8"), ElementsAre("0.5", "NULL"));
  EXPECT_THAT(read(build(arrow::DoubleBuilder(), 0.5, 1e300), "real"), ElementsAre("0.5", "NULL", HasSubstr("is out of range for type real")));
  EXPECT_THAT(read(build(arrow::TimestampBuilder(arrow::timestamp(arrow::TimeUnit::MILLI), pool), -1), "timestamp"),
              ElementsAre("1969-12-31 23:59:59.999", "NULL"));
  EXPECT_THAT(read(build(arrow::TimestampBuilder(arrow::timestamp(arrow::TimeUnit::NANO, "UTC"), pool), -1), "timestamptz"),
              ElementsAre("1969-12-31 23:59:59.999999+00", "NULL"));
  EXPECT_THAT(read(build(arrow::TimestampBuilder(arrow::timestamp(arrow::TimeUnit::MILLI), pool), INT64_MAX), "timestamp"),
              ElementsAre("NULL", "0: column \"c\": timestamp out of range"));
  EXPECT_THAT(read(build(arrow::Date32Builder(), -1), "date"), ElementsAre("1969-12-31", "NULL"));
  EXPECT_THAT(read(build(arrow::Decimal128Builder(arrow::decimal128(10, 3), pool), arrow::Decimal128(-1500)), "numeric"),
              ElementsAre("-1.500", "NULL"));
  EXPECT_THAT(read(build(arrow::Decimal128Builder(arrow::decimal128(10, 3), pool), arrow::Decimal128(-1500)), "numeric(4,1)"),
              ElementsAre("-1.5", "NULL"));
  EXPECT_THAT(
      read(build(arrow::Decimal256Builder(arrow::decimal256(60, 2), pool), arrow::Decimal256("12345678901234567890123456789012345678901234567890")),
           "numeric"),
      ElementsAre("123456789012345678901234567890123456789012345678.90", "NULL"));
  EXPECT_THAT(read(build(arrow::StringBuilder(), "12", "x"), "int"),
              ElementsAre("12", "NULL", "1: column \"c\": invalid input syntax for type integer: \"x\""));
  EXPECT_THAT(read(build(arrow::LargeStringBuilder(), "a string of more than twelve bytes"), "text"),
              ElementsAre("a string of more than twelve bytes", "NULL"));
  EXPECT_THAT(read(build(arrow::StringDictionary32Builder(), "a", "b", "a"), "text"), ElementsAre("a", "b", "a", "NULL"));
  EXPECT_THAT(read(build(arrow::BinaryBuilder(), "a\xff"), "bytea"), ElementsAre("\\x61ff", "NULL"));
  EXPECT_THAT(read(build(arrow::BinaryBuilder(), "a\xff"), "text"),
              ElementsAre("NULL", "0: column \"c\": invalid byte sequence for encoding \"UTF8\" at byte 1"));
  EXPECT_THAT(read(build(arrow::Int32Builder(), 1), "text"), ElementsAre(HasSubstr("is of type int32, which cannot be read as text")));
  EXPECT_THAT(read(build(arrow::Time64Builder(arrow::time64(arrow::TimeUnit::MICRO), pool), 1), "interval"),
              ElementsAre(HasSubstr("cannot be read as interval")));
}

TEST_F(ParquetTest, RowsAreRefusedWhateverIsAskedFor) {
  arrow::Int64Builder builder;
  for (int64_t value : {1, 1 << 20, 3, 4}) ASSERT_TRUE(builder.Append(value).ok());
  ASSERT_TRUE(builder.AppendNull().ok());
  const std::string path = WriteArrow(*builder.Finish());
  for (const std::vector<int>& columns : {std::vector<int>{0}, {}}) {
    Contents contents = ReadAll(path, SchemaOf({{"c", "smallint not null"}}), columns);
    EXPECT_THAT(contents.bad, ElementsAre("1: column \"c\": value \"1048576\" is out of range for type smallint",
                                          "4: column \"c\": null value violates not-null constraint"));
    EXPECT_THAT(contents.offsets, ElementsAre(0, 2, 3));
    EXPECT_EQ(contents.records, 5);
  }
}

/// Values short, long and NULL, 50 different ones, each row group with others.
std::shared_ptr<arrow::Array> RepeatingTexts(int rows, std::vector<std::string>& expected) {
  arrow::StringBuilder builder;
  for (int i = 0; i < rows; ++i) {
    if (i % 11 == 3) {
      EXPECT_TRUE(builder.AppendNull().ok());
      expected.push_back("NULL");
      continue;
    }
    const int value = i / 10'000 * 100 + i * 7919 % 50;
    expected.push_back((value % 2 == 0 ? "v" : "a value of more than twelve bytes: ") + std::to_string(value));
    EXPECT_TRUE(builder.Append(expected.back()).ok());
  }
  return *builder.Finish();
}

TEST_F(ParquetTest, EveryEncodingAndPageGivesTheSameTexts) {
  std::vector<std::string> expected;
  const auto array = RepeatingTexts(30'000, expected);
  using parquet::Encoding;
  for (const auto version : {parquet::ParquetDataPageVersion::V1, parquet::ParquetDataPageVersion::V2}) {
    for (const auto encoding : {Encoding::RLE_DICTIONARY, Encoding::PLAIN, Encoding::DELTA_BYTE_ARRAY, Encoding::DELTA_LENGTH_BYTE_ARRAY}) {
      parquet::WriterProperties::Builder properties;
      // A dictionary of 1 KiB is soon full: the column chunk begins with codes and goes on with plain values.
      properties.data_page_version(version)->data_pagesize(4096)->compression(parquet::Compression::SNAPPY);
      if (encoding == Encoding::RLE_DICTIONARY)
        properties.dictionary_pagesize_limit(version == parquet::ParquetDataPageVersion::V1 ? 1 << 20 : 1 << 10);
      else properties.disable_dictionary()->encoding(encoding);
      const std::string path = WriteArrow(array, true, 10'000, properties.build());
      for (const int threads : {0, 2}) {
        const Contents contents = ReadAll(path, SchemaOf({{"c", "text"}}), {0}, 1 << 16, threads);
        ASSERT_TRUE(contents.status.ok()) << contents.status.ToString();
        EXPECT_THAT(contents.bad, testing::IsEmpty());
        ASSERT_EQ(contents.columns[0], expected) << static_cast<int>(encoding) << " " << threads;
      }
    }
  }
}

TEST_F(ParquetTest, ColumnsKeepTheCodesOfTheirPages) {
  // Two row groups with dictionaries of their own, the second of texts that become too many for it: then pages hold the texts themselves.
  arrow::StringBuilder builder;
  std::vector<std::string> expected;
  constexpr int kGroupRows = 30'000;
  for (int i = 0; i < 2 * kGroupRows; ++i) {
    if (i % 5 == 0) {
      ASSERT_TRUE(builder.AppendNull().ok());
      expected.push_back("NULL");
      continue;
    }
    const int values = i < kGroupRows + 12'000 ? 40 : 20'000;
    expected.push_back((i < kGroupRows ? "a text of the first group " : "of the second ") + std::to_string(i % values));
    ASSERT_TRUE(builder.Append(expected.back()).ok());
  }
  const auto array = *builder.Finish();
  const auto schema = SchemaOf({{"c", "text"}});
  for (const auto version : {parquet::ParquetDataPageVersion::V1, parquet::ParquetDataPageVersion::V2}) {
    for (const auto compression : {arrow::Compression::UNCOMPRESSED, arrow::Compression::SNAPPY, arrow::Compression::ZSTD}) {
      const auto properties = parquet::WriterProperties::Builder()
                                  .data_page_version(version)
                                  ->compression(compression)
                                  ->data_pagesize(3'000)
                                  ->write_batch_size(500)
                                  ->dictionary_pagesize_limit(5'000)
                                  ->build();
      const std::string path = WriteArrow(array, true, kGroupRows, properties);
      for (const size_t target : {size_t{64} << 20, size_t{3'000}}) EXPECT_TRUE(ReadAll(path, schema, {0}, target, 2).columns[0] == expected);
      // 30,000 rows are three batches of 8,192 rows and a rest; the dictionary ends in the second batch of the second group.
      EXPECT_THAT(CodedBatches(path, schema), ElementsAre(true, true, true, true, true, false, false, false));
    }
  }
}

TEST_F(ParquetTest, AnEntryOfADictionaryRefusesTheRowsThatUseIt) {
  arrow::BinaryBuilder builder;
  for (const char* value : {"a", "b\xff", "a long value that is no UTF-8: \xff", "a", "b\xff", "c"}) ASSERT_TRUE(builder.Append(value).ok());
  ASSERT_TRUE(builder.AppendNull().ok());
  const std::string path = WriteArrow(*builder.Finish(), true, 4);  // the second row group has a dictionary of its own
  for (const std::vector<int>& columns : {std::vector<int>{0}, {}}) {
    const Contents contents = ReadAll(path, SchemaOf({{"c", "text"}}), columns);
    ASSERT_TRUE(contents.status.ok()) << contents.status.ToString();
    EXPECT_THAT(contents.bad, ElementsAre("1: column \"c\": invalid byte sequence for encoding \"UTF8\" at byte 1",
                                          "2: column \"c\": invalid byte sequence for encoding \"UTF8\" at byte 31",
                                          "4: column \"c\": invalid byte sequence for encoding \"UTF8\" at byte 1"));
    EXPECT_THAT(contents.offsets, ElementsAre(0, 3, 5, 6));
    if (!columns.empty()) { EXPECT_THAT(contents.columns[0], ElementsAre("a", "a", "c", "NULL")); }
  }
}

TEST_F(ParquetTest, TextsAreCheckedByteByByteWhereTheyMustBe) {
  // Lengths around what lies in a view and what is read at once; a zero byte or a broken character at either end.
  arrow::BinaryBuilder builder;
  std::vector<std::string> good, bad;
  for (size_t size = 0; size <= 40; ++size) {
    std::string text(size, 'x');
    ASSERT_TRUE(builder.Append(text).ok());
    good.push_back(text);
    if (size < 2) continue;
    for (const char broken : {'\0', '\x80', '\xff'}) {
      for (const size_t at : {size_t{0}, size / 2, size - 1}) {
        std::string wrong = text;
        wrong[at] = broken;
        ASSERT_TRUE(builder.Append(wrong).ok());
        bad.push_back(wrong);
      }
    }
    text.replace(0, 2, "ä");
    ASSERT_TRUE(builder.Append(text).ok());
    good.push_back(text);
  }
  const auto array = *builder.Finish();
  for (const bool dictionary : {false, true}) {
    parquet::WriterProperties::Builder properties;
    if (!dictionary) properties.disable_dictionary();
    const Contents contents = ReadAll(WriteArrow(array, true, 1 << 20, properties.build()), SchemaOf({{"c", "text"}}), {0});
    ASSERT_TRUE(contents.status.ok()) << contents.status.ToString();
    EXPECT_EQ(contents.columns[0], good);
    EXPECT_EQ(contents.bad.size(), bad.size());
  }
}

TEST_F(ParquetTest, ColumnsOfNothingButNull) {
  for (const auto& array :
       {*arrow::MakeArrayOfNull(arrow::utf8(), 10), *arrow::MakeArrayOfNull(arrow::dictionary(arrow::int32(), arrow::utf8()), 10)}) {
    const Contents contents = ReadAll(WriteArrow(array), SchemaOf({{"c", "text"}}), {0});
    ASSERT_TRUE(contents.status.ok()) << contents.status.ToString();
    EXPECT_THAT(contents.columns[0], testing::AllOf(testing::SizeIs(10), testing::Each("NULL")));
  }
}

TEST_F(ParquetTest, DecimalsOfEveryWidth) {
  for (const bool as_integer : {false, true}) {
    for (const int precision : {4, 9, 18, 38}) {
      arrow::Decimal128Builder builder(arrow::decimal128(precision, 2));
      std::vector<std::string> expected;
      for (const char* text : {"0.00", "-0.01", "99.99", "-99.99", "12.30"}) {
        ASSERT_TRUE(builder.Append(*arrow::Decimal128::FromString(text)).ok());
        expected.push_back(text);
      }
      ASSERT_TRUE(builder.AppendNull().ok());
      expected.push_back("NULL");
      if (precision == 38) {
        expected.push_back("-123456789012345678901234567890123456.78");
        ASSERT_TRUE(builder.Append(*arrow::Decimal128::FromString(expected.back())).ok());
      }
      parquet::WriterProperties::Builder properties;
      if (as_integer) properties.enable_store_decimal_as_integer();
      const std::string path = WriteArrow(*builder.Finish(), true, 3, properties.build());
      for (const char* type : {"numeric", "numeric(38,2)"}) {
        const Contents contents = ReadAll(path, SchemaOf({{"c", type}}), {0});
        ASSERT_TRUE(contents.status.ok()) << contents.status.ToString();
        EXPECT_EQ(contents.columns[0], expected) << precision << " " << as_integer;
      }
    }
  }
}

TEST_F(ParquetTest, ColumnsOfPagesAndOfArraysStayAligned) {
  // c0 is read from its pages, c1 (a list) by Arrow, whose batches are cut elsewhere.
  const data::Schema schema = SchemaOf({{"c0", "bigint"}, {"c1", "int[]"}});
  constexpr int64_t kRows = 20'000;
  data::ColumnBuilder numbers(data::TypeId::kInt8), lists(data::Type::ArrayOf(data::TypeId::kInt4));
  for (int64_t i = 0; i < kRows; ++i) {
    numbers.Append<int64_t>(i);
    data::AppendValue(lists, *data::FromText("{" + std::to_string(i) + "}", schema.fields[1].type));
  }
  auto sink = OpenFileSink(Path("a.parquet"), schema);
  ASSERT_TRUE((*sink)->Write({kRows, {numbers.Finish(), lists.Finish()}}).ok() && (*sink)->Close().ok());
  for (const size_t target : {size_t{1000}, size_t{1} << 20}) {
    const Contents contents = ReadAll(Path("a.parquet"), schema, {0, 1}, target, 2);
    ASSERT_TRUE(contents.status.ok()) << contents.status.ToString();
    ASSERT_EQ(contents.columns[0].size(), static_cast<size_t>(kRows));
    for (size_t i = 0; i < contents.columns[0].size(); ++i) ASSERT_EQ("{" + contents.columns[0][i] + "}", contents.columns[1][i]);
  }
}

TEST_F(ParquetTest, ValuesThatTheFileCannotHold) {
  auto write = [&](const std::string& type, const std::string& text) {
    const data::Schema schema = SchemaOf({{"c", type}});
    auto sink = OpenFileSink(Path("a.parquet"), schema);
    if (!sink.ok()) return sink.error().sqlstate();
    Status status = (*sink)->Write({1, {data::ConstantColumn(*data::FromText(text, schema.fields[0].type), 1)}});
    return status.ok() ? "ok" : status.error().sqlstate();
  };
  EXPECT_EQ(write("timestamp", "infinity"), sqlstate::kDatetimeFieldOverflow);
  EXPECT_EQ(write("date", "-infinity"), sqlstate::kDatetimeFieldOverflow);
  EXPECT_EQ(write("numeric(5,2)", "NaN"), sqlstate::kNumericValueOutOfRange);
  EXPECT_EQ(write("int[]", "{{1,2},{3,4}}"), sqlstate::kFeatureNotSupported);
  EXPECT_FALSE(std::filesystem::exists(Path("a.parquet")));
}

TEST_F(ParquetTest, DamagedFiles) {
  arrow::StringBuilder builder;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(builder.Append("value " + std::to_string(i * 7919)).ok());
  const std::string path = WriteArrow(*builder.Finish());
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  for (size_t kept : {size_t{0}, size_t{4}, size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
    std::ofstream(Path("cut.parquet"), std::ios::binary) << bytes.substr(0, kept);
    Contents contents = ReadAll(Path("cut.parquet"), SchemaOf({{"c", "text"}}), {0});
    ASSERT_FALSE(contents.status.ok()) << kept;
    EXPECT_TRUE(contents.status.error().Is(sqlstate::kDataCorrupted)) << contents.status.ToString();
  }
  // Any damage gives an error or other values, never a crash.
  for (size_t at = 4; at < bytes.size(); at += 1009) {
    std::string damaged = bytes;
    damaged[at] ^= 0x5a;
    std::ofstream(Path("damaged.parquet"), std::ios::binary) << damaged;
    ReadAll(Path("damaged.parquet"), SchemaOf({{"c", "text"}}), {0});
  }
}

}  // namespace
}  // namespace kappa::connect
