// Texts that a pattern cannot match are told without running it: the same answers as with the pattern in a group, of which nothing is known.
#include <gtest/gtest.h>

#include <random>

#include "expr/functions/regex.h"

namespace kappa::expr {
namespace {

TEST(Regex, TextsWithoutWhatEveryMatchHolds) {
  const char* pieces[] = {"abc",   "ab",           "a",   "b",    "c",   ".",   "*",   "+", "?", "|", "(", ")",  "(?:", "[ab]", "(a|^)", "abcabc",
                          "[^]a]", "[[:alpha:]|]", "{2}", "{1,}", "\\.", "\\d", "\\(", "^", "$", "é", "=", "[(]"};
  std::mt19937 random(11);
  int compiled = 0, matched = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string pattern;
    for (unsigned n = 1 + random() % 6; n > 0; --n) pattern += pieces[random() % std::size(pieces)];
    const auto plain = Regex::Compile(pattern, {});
    const auto grouped = Regex::Compile("(?:" + pattern + ")", {});
    if (!plain.ok() || !grouped.ok()) continue;
    ++compiled;
    for (int k = 0; k < 5; ++k) {
      std::string text;
      for (unsigned n = random() % 8; n > 0; --n) text += random() % 3 == 0 ? "abc" : std::string(1, "abc.=(1"[random() % 7]);
      ASSERT_EQ(plain->Matches(text), grouped->Matches(text)) << pattern << " on " << text;
      std::vector<RegexSpan> a, b;
      ASSERT_EQ(plain->Find(text, 0, a), grouped->Find(text, 0, b)) << pattern << " on " << text;
      ASSERT_EQ(a.size(), b.size());
      for (size_t i = 0; i < a.size(); ++i) {
        ASSERT_TRUE(a[i].matched == b[i].matched && a[i].at == b[i].at && a[i].size == b[i].size) << pattern << " on " << text << ", group " << i;
        const auto group = plain->FindGroup(text, static_cast<int>(i));
        ASSERT_EQ(group.has_value(), a[i].matched) << pattern << " on " << text << ", group " << i;
        if (group) { ASSERT_EQ(*group, std::string_view(text).substr(a[i].at, a[i].size)) << pattern << " on " << text << ", group " << i; }
      }
      matched += plain->Matches(text) ? 1 : 0;
    }
  }
  EXPECT_GT(compiled, 5000);
  EXPECT_GT(matched, 5000);
}

}  // namespace
}  // namespace kappa::expr
