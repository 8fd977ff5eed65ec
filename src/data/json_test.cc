// Goal: jsonb text survives hostile depth, escapes and duplicate keys, and its canonical form is one per value.
// Method: generated documents; PostgreSQL's own answers are compared in golden_test.cc.
#include "data/json.h"

#include <gtest/gtest.h>

#include <random>

namespace kappa::data {
namespace {

std::string Normalized(std::string_view text) {
  std::string out;
  Status status = NormalizeJson(text, out);
  return status.ok() ? out : status.error().sqlstate() + " " + status.error().message() + " / " + status.error().detail();
}

TEST(JsonTest, DepthIsBounded) {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += open;
    EXPECT_EQ(Normalized(deep).substr(0, 5), "54001");
  }
  std::string allowed = std::string(kJsonDepthMax, '[') + std::string(kJsonDepthMax, ']');
  EXPECT_EQ(Normalized(allowed), allowed);
  EXPECT_EQ(CompareJson(allowed, allowed + ""), 0);
  EXPECT_TRUE(JsonContains(allowed, allowed));
  std::string out;
  AppendJsonWithoutNulls(allowed, out);
  EXPECT_EQ(out, allowed);
}

TEST(JsonTest, ErrorsSayWhatIsWrong) {
  EXPECT_EQ(Normalized(""), "22P02 invalid input syntax for type json / The input string ended unexpectedly.");
  EXPECT_EQ(Normalized("{\"a\" 1}"), "22P02 invalid input syntax for type json / Expected \":\", but found \"1\".");
  EXPECT_EQ(Normalized("[1,]"), "22P02 invalid input syntax for type json / Expected JSON value, but found \"]\".");
  EXPECT_EQ(Normalized("tru"), "22P02 invalid input syntax for type json / Token \"tru\" is invalid.");
  EXPECT_EQ(Normalized("\"\\u0000\""), "22P05 unsupported Unicode escape sequence / \\u0000 cannot be converted to text.");
}

std::string RandomJson(std::mt19937& random, int depth) {
  switch (random() % (depth > 0 ? 7 : 5)) {
    case 0: return "null";
    case 1: return random() % 2 ? "true" : "false";
    case 2: return std::to_string(static_cast<int>(random() % 2000) - 1000) + (random() % 2 ? ".50" : "");
    case 3: return "\"s" + std::to_string(random() % 50) + (random() % 3 ? "" : "\\n\\u00e9\\\"") + "\"";
    case 4: return "1e" + std::to_string(random() % 5);
    case 5: {
      std::string out = "[";
      for (uint32_t i = 0, n = random() % 5; i < n; ++i) out += (i ? " ,\n" : "") + RandomJson(random, depth - 1);
      return out + " ]";
    }
    default: {
      std::string out = "{ ";
      for (uint32_t i = 0, n = random() % 5; i < n; ++i) {
        out += (i ? ", " : "") + std::string("\"k") + std::string(random() % 3, 'x') + std::to_string(random() % 3) + (random() % 4 ? "" : "\\t") +
               "\" :" + RandomJson(random, depth - 1);
      }
      return out + "}";
    }
  }
}

TEST(JsonTest, NormalTextIsAFixedPoint) {
  std::mt19937 random(3);
  for (int i = 0; i < 5000; ++i) {
    std::string text = RandomJson(random, 4);
    std::string once = Normalized(text);
    ASSERT_EQ(Normalized(once), once) << text;
    std::string canonical;
    AppendCanonicalJson(once, canonical);
    ASSERT_TRUE(IsCanonicalJson(canonical));
    ASSERT_EQ(CompareJson(once, canonical), 0) << once;
    ASSERT_TRUE(JsonContains(once, canonical)) << once;
  }
}

TEST(JsonTest, OrderIsTotal) {
  std::mt19937 random(4);
  std::vector<std::string> values;
  for (int i = 0; i < 60; ++i) values.push_back(Normalized(RandomJson(random, 2)));
  for (const std::string& a : values) {
    for (const std::string& b : values) {
      ASSERT_EQ(CompareJson(a, b), -CompareJson(b, a));
      for (const std::string& c : values) {
        if (CompareJson(a, b) <= 0 && CompareJson(b, c) <= 0) { ASSERT_LE(CompareJson(a, c), 0) << a << b << c; }
      }
    }
  }
}

TEST(JsonTest, StringsRoundTrip) {
  std::string all;
  for (int c = 1; c < 128; ++c) all += static_cast<char>(c);
  std::string quoted, back;
  AppendJsonQuoted(all, quoted);
  EXPECT_EQ(Normalized(quoted), quoted);
  AppendJsonUnquoted(quoted, back);
  EXPECT_EQ(back, all);
}

}  // namespace
}  // namespace kappa::data
