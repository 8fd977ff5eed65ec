// Goal: arithmetic is exact across the borders of the small and the large form.
// Method: identities on random values of 1 to 120 digits, and round trips of every form through bytes and text.
#include "data/numeric.h"

#include <gtest/gtest.h>

#include <random>

#include "data/numeric_big.h"

namespace kappa::data {
namespace {

Numeric Random(std::mt19937& random) {
  static constexpr int kLengths[] = {1, 5, 18, 19, 37, 38, 39, 40, 60, 120};
  int length = kLengths[random() % 10];
  std::string digits = random() % 2 ? "-" : "";
  int point = static_cast<int>(random() % static_cast<uint32_t>(length + 1));
  for (int i = 0; i < length; ++i) {
    if (i == point) digits += i == 0 ? "0." : ".";
    digits += static_cast<char>('0' + random() % 10);
  }
  return *Numeric::Parse(digits);
}

TEST(NumericTest, Identities) {
  std::mt19937 random(11);
  for (int i = 0; i < 20'000; ++i) {
    Numeric a = Random(random), b = Random(random), c = Random(random);
    ASSERT_EQ(Compare(*Subtract(*Add(a, b), b), a), 0) << a.ToString() << " " << b.ToString();
    ASSERT_EQ(Compare(*Multiply(a, *Add(b, c)), *Add(*Multiply(a, b), *Multiply(a, c))), 0);
    if (b.is_zero()) continue;
    Numeric quotient = *DivideTruncated(a, b);
    ASSERT_EQ(Compare(*Add(*Multiply(quotient, b), *Modulo(a, b)), a), 0) << a.ToString() << " " << b.ToString();
    ASSERT_EQ(Compare(a, b), -Compare(b, a));
  }
}

TEST(NumericTest, BytesAndTextRoundTrip) {
  std::mt19937 random(12);
  for (int i = 0; i < 20'000; ++i) {
    Numeric a = Random(random);
    std::string bytes = a.ToBytes();
    Numeric back = Numeric::FromBytes(bytes);
    ASSERT_EQ(back.ToString(), a.ToString());
    ASSERT_EQ(back.ToBytes(), bytes);
    ASSERT_EQ(Numeric::Parse(a.ToString())->ToBytes(), bytes);
    std::string canonical;
    AppendCanonicalNumeric(bytes, canonical);
    ASSERT_TRUE(IsCanonicalNumeric(canonical));
    ASSERT_EQ(CompareNumericBytes(canonical, bytes), 0);
    ASSERT_EQ(IsCanonicalNumeric(bytes), canonical == bytes);
  }
}

TEST(NumericTest, DigitCounts) {
  for (int i = 0; i < kInt128PowersOfTen; ++i) {
    EXPECT_EQ(DigitCount(PowerOfTen(i)), i + 1);
    EXPECT_EQ(DigitCount(PowerOfTen(i) - 1), i);
    EXPECT_EQ(DigitCount(-PowerOfTen(i)), i + 1);
  }
  for (int i : {39, 100, 1000, 20000}) {
    EXPECT_EQ(DigitCount(WidePowerOfTen(i)), i + 1);
    EXPECT_EQ(DigitCount(Wide(WidePowerOfTen(i) - 1)), i);
  }
}

TEST(NumericTest, LimitsOfTheFormat) {
  Numeric largest = *Numeric::Parse(std::string(131072, '9'));
  EXPECT_EQ(Add(largest, Numeric(1)).error().message(), "value overflows numeric format");
  EXPECT_EQ(Multiply(largest, largest).error().message(), "value overflows numeric format");
  EXPECT_TRUE(Subtract(largest, Numeric(1)).ok());
  EXPECT_EQ(Numeric::FromBytes(largest.ToBytes()).ToString(), std::string(131072, '9'));
}

TEST(NumericTest, OverflowDetail) {
  Result<Numeric> result = Numeric(12345).ApplyModifier(((4 << 16) | 2) + 4);
  EXPECT_EQ(result.error().detail(), "A field with precision 4, scale 2 must round to an absolute value less than 10^2.");
}

TEST(NumericTest, ZeroUnderANullReadsAsZero) { EXPECT_TRUE(Numeric::FromBytes("").is_zero()); }

}  // namespace
}  // namespace kappa::data
