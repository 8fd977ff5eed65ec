// Record batches: building, parsing, every codec, and hostile bytes.
#include "log/record_batch.h"

#include <gtest/gtest.h>

#include <random>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "log/codec.h"
#include "log/log_testing.h"

namespace kappa::log {
namespace {

// The batch that the Kafka wire sends for one record: key "k", value "v", one header, written out by hand from the protocol guide.
TEST(RecordBatchTest, ParsesARecordWithHeaders) {
  ByteWriter records;
  records.ZigZag(14);
  records.Little<int8_t>(0);
  records.ZigZag(-5);  // timestamp delta
  records.ZigZag(0);
  records.ZigZag(1);
  records.Bytes("k");
  records.ZigZag(1);
  records.Bytes("v");
  records.ZigZag(2);  // headers
  records.ZigZag(1);
  records.Bytes("h");
  records.ZigZag(-1);
  records.ZigZag(0);
  records.ZigZag(0);
  records.str()[0] = static_cast<char>((records.size() - 1) * 2);
  BatchHeader header{};
  header.base_offset = 70;
  header.base_timestamp = 100;
  header.record_count = 1;
  std::vector<Record> parsed;
  ASSERT_TRUE(ParseRecords(header, records.str(), parsed).ok());
  ASSERT_EQ(parsed.size(), 1u);
  EXPECT_EQ(parsed[0].offset, 70);
  EXPECT_EQ(parsed[0].timestamp_ms, 95);
  EXPECT_EQ(parsed[0].key, "k");
  EXPECT_EQ(parsed[0].value, "v");
  for (size_t cut = 0; cut < records.size(); ++cut) {
    EXPECT_FALSE(ParseRecords(header, std::string_view(records.str()).substr(0, cut), parsed).ok()) << cut;
  }
}

class CodecTest : public ::testing::TestWithParam<int> {};

TEST_P(CodecTest, RoundTrip) {
  BatchBuilder builder;
  std::vector<std::string> values;
  for (int i = 0; i < 3000; ++i) values.push_back(std::to_string(i * 7919) + std::string(static_cast<size_t>(i % 50), 'x'));
  for (size_t i = 0; i < values.size(); ++i) {
    std::optional<std::string_view> key = i % 3 == 0 ? std::nullopt : std::optional<std::string_view>("key");
    std::optional<std::string_view> value = i % 100 == 99 ? std::nullopt : std::optional<std::string_view>(values[i]);
    builder.Add(1'700'000'000'000 + static_cast<int64_t>(i % 7) * 1000 - 3000, key, value);
  }
  std::string batch = builder.Finish(GetParam(), {.id = 9, .epoch = 2, .base_sequence = 77});
  auto header = ParseBatchHeader(batch);
  ASSERT_TRUE(header.ok());
  EXPECT_TRUE(BatchCrcMatches(batch));
  EXPECT_EQ(header->total_bytes(), batch.size());
  EXPECT_EQ(header->codec(), GetParam());
  EXPECT_EQ(header->record_count, 3000);
  EXPECT_EQ(header->producer_id, 9);
  EXPECT_EQ(header->producer_epoch, 2);
  EXPECT_EQ(header->base_sequence, 77);
  EXPECT_EQ(header->max_timestamp, 1'700'000'003'000);
  std::string storage;
  auto section = RecordsSection(batch, 1 << 20, storage);
  ASSERT_TRUE(section.ok()) << section.error().ToString();
  EXPECT_EQ(storage.empty(), GetParam() == 0);
  std::vector<Record> records;
  ASSERT_TRUE(ParseRecords(*header, *section, records).ok());
  ASSERT_EQ(records.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(records[i].offset, static_cast<int64_t>(i));
    EXPECT_EQ(records[i].timestamp_ms, 1'700'000'000'000 + static_cast<int64_t>(i % 7) * 1000 - 3000);
    EXPECT_EQ(records[i].key.has_value(), i % 3 != 0);
    if (i % 100 == 99) EXPECT_FALSE(records[i].value.has_value());
    else EXPECT_EQ(records[i].value, values[i]);
  }
}

// 100 MB of zeros in a small batch must stop at the bound.
TEST_P(CodecTest, BombsAreRefused) {
  if (GetParam() == 0) return;
  std::string bomb = Compress(static_cast<Codec>(GetParam()), std::string(100 << 20, '\0'));
  std::string out;
  Status status = Decompress(static_cast<Codec>(GetParam()), bomb, 1 << 20, out);
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(status.error().Is(sqlstate::kProgramLimitExceeded)) << status.ToString();
  EXPECT_LE(out.capacity(), 4u << 20);
}

TEST_P(CodecTest, CutOffAndGarbageAreRefused) {
  if (GetParam() == 0) return;
  const auto codec = static_cast<Codec>(GetParam());
  std::string good = Compress(codec, "some text, some text, some text, some text, and a bit more of it");
  std::string out;
  for (size_t cut = 0; cut < good.size(); ++cut) {
    Status status = Decompress(codec, std::string_view(good).substr(0, cut), 1 << 20, out);
    // A cut that leaves all blocks but only loses the trailing checksum or end mark may pass in no codec.
    EXPECT_FALSE(status.ok()) << cut << " of " << good.size();
  }
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string bad = good;
    bad[random() % bad.size()] ^= static_cast<char>(1 << random() % 8);
    [[maybe_unused]] Status status = Decompress(codec, bad, 1 << 16, out);
    EXPECT_LE(out.size(), 1u << 16);
  }
}

INSTANTIATE_TEST_SUITE_P(All, CodecTest, ::testing::Range(0, 5));

// Java's snappy: a header, then blocks with big-endian lengths.
TEST(RecordBatchTest, XerialSnappy) {
  ByteWriter framed;
  framed.Bytes(std::string_view("\x82SNAPPY\0", 8));
  framed.Big<int32_t>(1);
  framed.Big<int32_t>(1);
  for (std::string part : {"first block, ", "second block"}) {
    std::string block = Compress(Codec::kSnappy, part);
    framed.Big(static_cast<int32_t>(block.size()));
    framed.Bytes(block);
  }
  std::string out;
  ASSERT_TRUE(Decompress(Codec::kSnappy, framed.str(), 1000, out).ok());
  EXPECT_EQ(out, "first block, second block");
  EXPECT_TRUE(Decompress(Codec::kSnappy, framed.str(), 20, out).error().Is(sqlstate::kProgramLimitExceeded));
  EXPECT_FALSE(Decompress(Codec::kSnappy, std::string_view(framed.str()).substr(0, framed.size() - 1), 1000, out).ok());
}

// A few bytes that claim gigabytes must not allocate them.
TEST(RecordBatchTest, ClaimedSizesAreNotBelieved) {
  std::string out;
  EXPECT_FALSE(Decompress(Codec::kSnappy, std::string_view("\xff\xff\xff\x1f", 4), 64 << 20, out).ok());
  EXPECT_LT(out.capacity(), 1u << 20);
  BatchHeader header{};
  header.record_count = INT32_MAX;
  header.last_offset_delta = INT32_MAX - 1;
  std::vector<Record> records;
  EXPECT_FALSE(ParseRecords(header, "short", records).ok());
  EXPECT_EQ(records.capacity(), 0u);
}

// Any single flipped bit behind the length field is caught by the checksum or changes only what the log rewrites.
TEST(RecordBatchTest, EveryBitFlipIsNoticed) {
  const std::string good = OneBatch({"some value", "another"});
  for (size_t bit = 16 * 8; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] ^= static_cast<char>(1 << bit % 8);
    auto header = ParseBatchHeader(bad);
    EXPECT_TRUE(!header.ok() || !BatchCrcMatches(bad)) << bit;
  }
}

TEST(RecordBatchTest, BuilderCanBeUsedAgain) {
  BatchBuilder builder;
  builder.Add(5, "k", "v");
  std::string first = builder.Finish();
  EXPECT_EQ(builder.count(), 0);
  builder.Add(5, "k", "v");
  EXPECT_EQ(builder.Finish(), first);
}

}  // namespace
}  // namespace kappa::log
