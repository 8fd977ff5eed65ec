// Files in and out: every text format and compression, chunk sizes, threads, and files that are wrong.
#include "connect/file_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "connect/byte_stream.h"
#include "connect/generator.h"
#include "connect/source_testing.h"
#include "data/text.h"
#include "data/value.h"

namespace kappa::connect {
namespace {

using data::TypeId;

class FileSourceTest : public testing::Test {
 protected:
  FileSourceTest() : folder_(std::filesystem::temp_directory_path() / ("kappa_file_source_test_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~FileSourceTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  std::string Write(const std::string& name, std::string_view bytes) {
    std::ofstream(Path(name), std::ios::binary) << bytes;
    return Path(name);
  }
  /// Compressed as the name says.
  std::string WriteThroughSink(const std::string& name, std::string_view bytes) {
    auto sink = OpenByteSink(Path(name), KindOfFile(name).compression);
    EXPECT_TRUE(sink.ok() && (*sink)->Write(bytes).ok() && (*sink)->Close().ok());
    return Path(name);
  }
  std::string Read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  std::filesystem::path folder_;
};

data::Schema IdAndName() {
  data::Schema schema;
  schema.fields = {{"id", TypeId::kInt8, true}, {"name", TypeId::kText, true}};
  return schema;
}

struct Contents {
  std::vector<std::string> rows;  // "offset: value|value"
  std::vector<std::string> bad;   // "offset: reason"
  std::vector<std::string> bad_bytes;
  int64_t records = 0;
  Status status;
};

Contents ReadAll(const std::string& path, const data::Schema& schema, int threads = 1, size_t target_bytes = 1 << 20,
                 const format::DecodeOptions& options = {}) {
  Contents out;
  std::vector<int> columns;
  for (int c = 0; c < schema.size(); ++c) columns.push_back(c);
  auto source = OpenFileSource(path, schema, columns, options, threads);
  if (!source.ok()) {
    out.status = source.error();
    return out;
  }
  std::optional<Helpers> helpers(std::in_place, **source, threads);
  std::vector<FileBatch> batches;  // kept, so that buffers used twice would be seen
  for (;;) {
    auto batch = (*source)->Next(target_bytes);
    if (!batch.ok()) {
      out.status = batch.error();
      break;
    }
    if (!batch->has_value()) break;
    EXPECT_EQ((*batch)->first_offset, out.records);
    out.records += (*batch)->records;
    batches.push_back(std::move(**batch));
  }
  helpers.reset();
  source->reset();
  for (const FileBatch& batch : batches) {
    EXPECT_EQ(batch.rows.rows + static_cast<int64_t>(batch.bad.size()), batch.records);
    for (int64_t row = 0; row < batch.rows.rows; ++row) {
      std::string line = std::to_string(batch.offsets.empty() ? batch.first_offset + row : batch.offsets[static_cast<size_t>(row)]) + ":";
      for (const auto& column : batch.rows.columns) {
        line += "|";
        if (column->IsNull(row)) line += "NULL";
        else data::AppendText(*column, row, {}, line);
      }
      out.rows.push_back(line);
    }
    for (const auto& bad : batch.bad) {
      out.bad.push_back(std::to_string(bad.offset) + ": " + bad.reason);
      out.bad_bytes.push_back(bad.bytes);
    }
  }
  return out;
}

TEST_F(FileSourceTest, BlankLinesAreNoRecordsAndLineEndsMayBeCrlf) {
  const std::string text = "\xef\xbb\xbf{\"id\":1}\r\n\r\n\n   \n{\"id\":2,\"name\":\"a longer name than twelve\"}\n{\"id\":\n{\"id\":3}";
  for (const char* name : {"a.jsonl", "a.ndjson", "A.JSONL", "a.jsonl.zst", "a.jsonl.gz"}) {
    WriteThroughSink(name, text);
    for (int threads : {0, 1, 2, 3}) {
      for (size_t target : {1, 100, 1 << 20}) {
        Contents contents = ReadAll(Path(name), IdAndName(), threads, target);
        EXPECT_TRUE(contents.status.ok()) << contents.status.ToString();
        EXPECT_THAT(contents.rows, testing::ElementsAre("0:|1|NULL", "1:|2|a longer name than twelve", "3:|3|NULL")) << name;
        EXPECT_THAT(contents.bad, testing::ElementsAre("2: invalid JSON at byte 6: unexpected end of input"));
        EXPECT_THAT(contents.bad_bytes, testing::ElementsAre("{\"id\":"));
      }
    }
  }
}

TEST_F(FileSourceTest, EmptyFilesHaveNoRecords) {
  for (const char* name : {"a.jsonl", "a.jsonl.zst", "a.jsonl.gz"}) {
    WriteThroughSink(name, "");
    EXPECT_EQ(ReadAll(Path(name), IdAndName()).records, 0);
    EXPECT_EQ(ReadAll(Path(name), IdAndName(), 2).records, 0);
  }
  Write("zero.jsonl.zst", "");
  EXPECT_TRUE(ReadAll(Path("zero.jsonl.zst"), IdAndName()).status.ok());
}

TEST_F(FileSourceTest, ThreadsAndChunksChangeNothing) {
  std::string text;
  for (int i = 0; i < 20000; ++i) {
    text += i % 100 == 99 ? "{\"id\":x}\n" : "{\"id\":" + std::to_string(i) + ",\"name\":\"name number " + std::to_string(i) + "\"}\n";
  }
  WriteThroughSink("a.jsonl", text);
  WriteThroughSink("a.jsonl.zst", text);
  const Contents expected = ReadAll(Path("a.jsonl"), IdAndName());
  EXPECT_EQ(expected.rows.size(), 19800u);
  EXPECT_EQ(expected.rows.back(), "19998:|19998|name number 19998");
  for (const char* name : {"a.jsonl", "a.jsonl.zst"}) {
    for (int threads : {1, 2, 4}) {
      for (size_t target : {5000, 100000}) {
        Contents contents = ReadAll(Path(name), IdAndName(), threads, target);
        EXPECT_EQ(contents.rows, expected.rows);
        EXPECT_EQ(contents.bad, expected.bad);
      }
    }
  }
}

TEST_F(FileSourceTest, LinesOfAnyLengthAreCutWhereTheyEnd) {
  // Long lines make the cut go back further than it looks, so that the file is read on as a stream there.
  std::string text;
  std::vector<std::string> expected;
  for (size_t i = 0; i < 400; ++i) {
    const std::string name(i % 50 == 0 ? 200'000 : i % 7 * 1000, 'n');
    text += "{\"name\":\"" + name + "\"}\n";
    expected.push_back(std::to_string(i) + ":|NULL|" + name);
  }
  for (const bool line_end : {true, false}) {
    if (!line_end) text.pop_back();
    Write("a.jsonl", text);
    for (const int threads : {1, 3}) {
      for (const size_t target : {4096, 70'000, 1 << 20}) EXPECT_EQ(ReadAll(Path("a.jsonl"), IdAndName(), threads, target).rows, expected);
    }
  }
}

TEST_F(FileSourceTest, WhatLiesReadyIsBounded) {
  GenerateOptions options;
  options.events = 200'000;  // 40 MB
  ASSERT_TRUE(GenerateEvents(Path("a.jsonl"), options).ok());
  auto source = OpenFileSource(Path("a.jsonl"), IdAndName(), {0}, {}, 3);
  ASSERT_TRUE(source.ok());
  EXPECT_FALSE((*source)->IsReady());
  int pieces = 0;
  while ((*source)->DecodeAhead()) ++pieces;
  EXPECT_TRUE((*source)->IsReady());
  EXPECT_GT(pieces, 1);
  EXPECT_LE(pieces, 20);
  ASSERT_TRUE((*source)->Next(1 << 20).ok());
  EXPECT_TRUE((*source)->DecodeAhead());
}

TEST_F(FileSourceTest, ASourceMayBeDroppedHalfRead) {
  GenerateOptions options;
  options.events = 20000;
  ASSERT_TRUE(GenerateEvents(Path("a.jsonl"), options).ok());
  auto source = OpenFileSource(Path("a.jsonl"), IdAndName(), {0}, {}, 3);
  ASSERT_TRUE(source.ok());
  const Helpers helpers(**source, 3);
  EXPECT_TRUE((*source)->Next(10000).ok());
}

TEST_F(FileSourceTest, RecordsTooLongAreBadWhateverTheChunks) {
  const std::string long_line = "{\"name\":\"" + std::string(20000, 'x') + "\"}";
  Write("a.jsonl", "{\"id\":1}\n" + long_line + "\r\n{\"id\":2}\n" + long_line);
  Write("a.csv", "id,name\n1,a\n2,\"" + std::string(19000, '\n') + "\"\n3,\"b\nc\"\n");
  for (int threads : {1, 2, 3}) {
    for (size_t target : {100, 30000, 1 << 20}) {
      Contents contents = ReadAll(Path("a.jsonl"), IdAndName(), threads, target, {.record_bytes_max = 10000});
      EXPECT_THAT(contents.rows, testing::ElementsAre("0:|1|NULL", "2:|2|NULL"));
      EXPECT_THAT(contents.bad, testing::ElementsAre("1: record of 20011 bytes is longer than record_bytes_max (10000)",
                                                     "3: record of 20011 bytes is longer than record_bytes_max (10000)"));
      EXPECT_EQ(contents.bad_bytes[0], long_line);
      contents = ReadAll(Path("a.csv"), IdAndName(), threads, target, {.record_bytes_max = 10000});
      EXPECT_THAT(contents.rows, testing::ElementsAre("0:|1|a", "2:|3|b\nc"));
      EXPECT_THAT(contents.bad, testing::ElementsAre("1: record of 19004 bytes is longer than record_bytes_max (10000)"));
    }
  }
}

TEST_F(FileSourceTest, TwentyMegabyteLine) {
  Write("a.jsonl", "{\"id\":1}\n{\"name\":\"" + std::string(20 << 20, 'x') + "\"}\n{\"id\":2}\n");
  for (size_t target : {1 << 20, 64 << 20}) {
    Contents contents = ReadAll(Path("a.jsonl"), IdAndName(), 1, target);
    EXPECT_THAT(contents.rows, testing::ElementsAre("0:|1|NULL", "2:|2|NULL"));
    EXPECT_THAT(contents.bad, testing::ElementsAre("1: record of 20971531 bytes is longer than record_bytes_max (16777216)"));
    EXPECT_EQ(contents.bad_bytes[0].size(), size_t{64} << 10);
  }
}

TEST_F(FileSourceTest, CsvByHeader) {
  const std::string text = "name,extra,id\r\n\"a, \"\"b\"\"\nc\",x,1\r\n\r\n,,2\n\"\",y,3\nq,z\n";
  for (const char* name : {"a.csv", "a.csv.zst", "a.csv.gz"}) {
    WriteThroughSink(name, text);
    for (size_t target : {1, 1 << 20}) {
      Contents contents = ReadAll(Path(name), IdAndName(), 2, target);
      EXPECT_THAT(contents.rows, testing::ElementsAre("0:|1|a, \"b\"\nc", "1:|2|NULL", "2:|3|"));
      EXPECT_THAT(contents.bad, testing::ElementsAre("3: missing data for column \"id\""));
    }
  }
  EXPECT_EQ(ReadAll(Write("empty.csv", ""), IdAndName()).status.ToString().substr(0, 4), "file");
}

TEST_F(FileSourceTest, FilesThatAreWrong) {
  auto state = [&](const std::string& path) {
    return ReadAll(path, IdAndName()).status.ok() ? "ok" : ReadAll(path, IdAndName()).status.error().sqlstate();
  };
  EXPECT_EQ(state(Path("missing.jsonl")), sqlstate::kUndefinedFile);
  EXPECT_EQ(state(Path("missing.parquet")), sqlstate::kUndefinedFile);
  EXPECT_EQ(state(Write("a.txt", "")), sqlstate::kInvalidParameterValue);
  EXPECT_EQ(state(Write("a.parquet.zst", "")), sqlstate::kInvalidParameterValue);
  EXPECT_EQ(state(Write("noextension", "")), sqlstate::kInvalidParameterValue);
  std::filesystem::create_directory(folder_ / "folder.jsonl");
  EXPECT_EQ(state(Path("folder.jsonl")), sqlstate::kIoError);
  EXPECT_EQ(state(Write("not.parquet", "hello")), sqlstate::kDataCorrupted);
  EXPECT_EQ(state(Write("not.jsonl.zst", "hello, this is no zstd")), sqlstate::kDataCorrupted);
  EXPECT_EQ(state(Write("not.jsonl.gz", "hello, this is no gzip")), sqlstate::kDataCorrupted);
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "{\"id\":" + std::to_string(i * 7919 % 100003) + "}\n";
  for (const char* name : {"cut.jsonl.zst", "cut.jsonl.gz"}) {
    std::string bytes = Read(WriteThroughSink(name, text));
    EXPECT_EQ(state(Path(name)), "ok");
    bytes.resize(bytes.size() / 2);
    EXPECT_EQ(state(Write(name, bytes)), sqlstate::kDataCorrupted);
    bytes[bytes.size() / 2] ^= 0x55;
    bytes[bytes.size() / 2 + 1] ^= 0x55;
    EXPECT_EQ(state(Write(name, bytes)), sqlstate::kDataCorrupted);
    Contents parallel = ReadAll(Path(name), IdAndName(), 3, 10000);
    EXPECT_TRUE(!parallel.status.ok() && parallel.status.error().Is(sqlstate::kDataCorrupted));
  }
}

TEST_F(FileSourceTest, SinksAppearOnlyWhenClosed) {
  data::Batch batch{2, {data::ConstantColumn(data::Value::Int8(7), 2), data::ConstantColumn(data::Value::Text("a,\"b\""), 2)}};
  for (const char* name : {"o.csv", "o.jsonl", "o.csv.zst", "o.jsonl.gz", "o.parquet"}) {
    auto sink = OpenFileSink(Path(name), IdAndName());
    ASSERT_TRUE(sink.ok());
    EXPECT_TRUE((*sink)->Write(batch).ok());
    EXPECT_FALSE(std::filesystem::exists(Path(name)));
    sink->reset();
    EXPECT_TRUE(std::filesystem::is_empty(folder_)) << name;
    sink = OpenFileSink(Path(name), IdAndName());
    ASSERT_TRUE(sink.ok());
    EXPECT_TRUE((*sink)->Write(batch).ok());
    EXPECT_TRUE((*sink)->Close().ok());
    EXPECT_THAT(ReadAll(Path(name), IdAndName()).rows, testing::ElementsAre("0:|7|a,\"b\"", "1:|7|a,\"b\"")) << name;
    std::filesystem::remove(Path(name));
  }
  auto sink = OpenFileSink(Path("o.csv"), IdAndName());
  EXPECT_TRUE((*sink)->Close().ok());
  EXPECT_EQ(Read(Path("o.csv")), "id,name\n");
  auto unknown = OpenFileSink(Path("o.xls"), IdAndName());
  EXPECT_TRUE(!unknown.ok() && unknown.error().Is(sqlstate::kInvalidParameterValue));
  auto nowhere = OpenFileSink(Path("no/folder/o.csv"), IdAndName());
  EXPECT_TRUE(!nowhere.ok() && nowhere.error().Is(sqlstate::kUndefinedFile));
}

TEST_F(FileSourceTest, RealCommits) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "../../examples/commits/commits.jsonl.zst";
  data::Schema schema;
  schema.fields = {{"event_id", TypeId::kText, false},
                   {"repo", TypeId::kText, false},
                   {"author", TypeId::kText, false},
                   {"authored_at", TypeId::kTimestamptz, false},
                   {"committed_at", TypeId::kTimestamptz, false},
                   {"parents", TypeId::kInt4, false},
                   {"files", TypeId::kInt4, false},
                   {"dirs", data::Type::ArrayOf(TypeId::kText), false},
                   {"subject_chars", TypeId::kInt4, false}};
  auto source = OpenFileSource(path.string(), schema, {7, 3, 1}, {}, 2);
  ASSERT_TRUE(source.ok()) << source.error().ToString();
  const Helpers helpers(**source, 2);
  int64_t rows = 0;
  for (;;) {
    auto batch = (*source)->Next(1 << 20);
    ASSERT_TRUE(batch.ok()) << batch.error().ToString();
    if (!batch->has_value()) break;
    EXPECT_TRUE((*batch)->bad.empty()) << (*batch)->bad[0].reason;
    rows += (*batch)->rows.rows;
  }
  EXPECT_EQ(rows, 212548);
}

TEST_F(FileSourceTest, GeneratedEventsAreDeterministicAndWellFormed) {
  GenerateOptions options;
  options.events = 5000;
  options.users = 50;
  options.late_fraction = 0.1;
  ASSERT_TRUE(GenerateEvents(Path("a.jsonl"), options).ok());
  std::string parts;
  for (int64_t n = 0; n < options.events; ++n) AppendEvent(options, n, parts);
  const std::string text = Read(Path("a.jsonl"));
  EXPECT_EQ(text, parts);
  EXPECT_EQ(text.size(), 5000u * 200);
  EXPECT_EQ(text.substr(0, 200).back(), '\n');
  data::Schema schema;
  schema.fields = {{"event_id", TypeId::kInt8, false},  {"user_id", TypeId::kText, false},  {"category", TypeId::kText, false},
                   {"amount", TypeId::kNumeric, false}, {"quantity", TypeId::kInt4, false}, {"ts", TypeId::kTimestamptz, false},
                   {"note", TypeId::kText, false}};
  Contents contents = ReadAll(Path("a.jsonl"), schema);
  EXPECT_EQ(contents.rows.size(), 5000u);
  EXPECT_TRUE(contents.bad.empty());
  options.users = 0;
  Status refused = GenerateEvents(Path("b.jsonl"), options);
  EXPECT_TRUE(!refused.ok() && refused.error().Is(sqlstate::kInvalidParameterValue));
}

}  // namespace
}  // namespace kappa::connect
