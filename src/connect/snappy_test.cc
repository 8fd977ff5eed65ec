// Goal: what Snappy's own library compresses comes back, and damaged streams are refused where the library refuses them, without a byte
// read or written outside.
// Method: bytes of several kinds, from near every margin's size; mutations and cuts of their streams, in memory of exactly their size.
#include "connect/snappy.h"

#include <gtest/gtest.h>
#include <snappy.h>

#include <random>
#include <string>
#include <vector>

namespace kappa::connect {
namespace {

/// As DecompressSnappy, in memory of its own, so that sanitizers see what lies outside.
std::optional<std::string> Decompressed(std::string_view stream) {
  const std::vector<uint8_t> bytes(stream.begin(), stream.end());
  const std::optional<size_t> length = SnappyLength(bytes);
  if (!length) return std::nullopt;
  std::vector<uint8_t> out(*length);
  if (!DecompressSnappy(bytes, out)) return std::nullopt;
  return std::string(out.begin(), out.end());
}

/// Values of 8 bytes that share most of them, words, one letter, noise, or all of that.
std::string MakeBytes(int kind, size_t size, std::mt19937_64& random) {
  std::string out;
  while (out.size() < size) {
    switch (kind == 4 ? static_cast<int>(random() % 4) : kind) {
      case 0: {
        const uint64_t value = random() % 1'000'000;
        out.append(reinterpret_cast<const char*>(&value), sizeof value);
        break;
      }
      case 1: out += "word" + std::to_string(random() % 50) + ' '; break;
      case 2: out.append(random() % 200, 'x'); break;
      default: {
        for (size_t i = random() % 300; i > 0; --i) out += static_cast<char>(random());
        break;
      }
    }
  }
  out.resize(size);
  return out;
}

TEST(SnappyTest, GivesBackWhatTheLibraryCompressed) {
  std::mt19937_64 random(1);
  for (int kind = 0; kind < 5; ++kind) {
    for (const size_t size : {0, 1, 15, 16, 59, 60, 61, 95, 96, 97, 160, 256, 257, 1000, 65'535, 65'536, 200'000}) {
      const std::string bytes = MakeBytes(kind, size, random);
      std::string stream;
      snappy::Compress(bytes.data(), bytes.size(), &stream);
      ASSERT_TRUE(Decompressed(stream) == bytes) << kind << " " << size;
    }
  }
}

TEST(SnappyTest, RefusesWhatTheLibraryRefuses) {
  std::mt19937_64 random(2);
  int refused = 0, taken = 0;
  for (int round = 0; round < 10'000; ++round) {
    const std::string bytes = MakeBytes(static_cast<int>(random() % 5), random() % 700, random);
    std::string stream;
    snappy::Compress(bytes.data(), bytes.size(), &stream);
    if (round % 4 == 0) stream.resize(random() % stream.size());
    constexpr size_t kLengthBytes = 2;  // of a damaged length the library would allocate gigabytes
    for (uint64_t i = random() % 3; i > 0 && stream.size() > kLengthBytes; --i)
      stream[kLengthBytes + random() % (stream.size() - kLengthBytes)] = static_cast<char>(random());
    std::string expected;
    const bool ok = snappy::Uncompress(stream.data(), stream.size(), &expected);
    const std::optional<std::string> out = Decompressed(stream);
    ASSERT_EQ(out.has_value(), ok) << round;
    if (ok) { ASSERT_TRUE(*out == expected) << round; }
    ++(ok ? taken : refused);
  }
  EXPECT_GT(refused, 1500);
  EXPECT_GT(taken, 1500);
}

TEST(SnappyTest, TakesEveryKindOfElement) {
  // A literal of 61 bytes whose length lies in four, then copies with offsets of 1, 2 and 4 bytes, overlapping ones too.
  using std::string_literals::operator""s;
  const std::string text = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY";
  const std::string stream = "\x60\xfc\x3c\0\0\0"s + text +
                             "\x01\x3d"       // 4 bytes from 61 back
                             "\x1a\x01\x00"   // 7 from 1 back
                             "\x2e\x02\x00"   // 12 from 2 back
                             "\x2f\x48\0\0\0"s;  // 12 from 72 back
  std::string expected = text + "0123" + "3333333" + "333333333333";
  expected += expected.substr(expected.size() - 72, 12);
  const std::optional<std::string> out = Decompressed(stream);
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(*out, expected);
}

TEST(SnappyTest, LengthsThatCannotBeAreRefusedAtOnce) {
  const auto length = [](std::string_view stream) { return SnappyLength({reinterpret_cast<const uint8_t*>(stream.data()), stream.size()}); };
  EXPECT_EQ(length(""), std::nullopt);
  EXPECT_EQ(length("\x80"), std::nullopt);
  EXPECT_EQ(length("\xff\xff\xff\xff\x0f"), std::nullopt);
  EXPECT_EQ(length("\xff\xff\xff\xff\xff\x01"), std::nullopt);
  EXPECT_EQ(length("\x14x"), 20u);
}

}  // namespace
}  // namespace kappa::connect
