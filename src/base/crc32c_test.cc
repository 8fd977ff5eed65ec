// The checksum of a text is that of its bytes one after the other.
#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace kappa {
namespace {

TEST(Crc32cTest, KnownValues) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);  // RFC 3720's polynomial, its usual check value
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
}

TEST(Crc32cTest, LongTextsAsByteByByte) {
  std::mt19937_64 random(1);
  std::string text(20'000, '\0');
  for (char& c : text) c = static_cast<char>(random());
  uint32_t crc = 0;
  size_t done = 0;
  for (const size_t size : {1ul, 7ul, 1023ul, 1024ul, 3071ul, 3072ul, 3073ul, 6144ul, 9999ul, 20'000ul}) {
    for (; done < size; ++done) crc = Crc32c(std::string_view(text).substr(done, 1), crc);
    EXPECT_EQ(Crc32c(std::string_view(text).substr(0, size)), crc) << size;
    EXPECT_EQ(Crc32c(std::string_view(text).substr(size / 3, size - size / 3), Crc32c(std::string_view(text).substr(0, size / 3))), crc) << size;
  }
}

}  // namespace
}  // namespace kappa
