// Quoting of identifiers and literals.
#include "expr/quoting.h"

#include <gtest/gtest.h>

namespace kappa::expr {
namespace {

TEST(QuotingTest, IdentifiersWhereNeeded) {
  EXPECT_EQ(QuoteIdentifier("orders"), "orders");
  EXPECT_EQ(QuoteIdentifier("Orders"), "\"Orders\"");
  EXPECT_EQ(QuoteIdentifier("select"), "\"select\"");
  EXPECT_EQ(QuoteIdentifier("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(QuoteIdentifier("v$2"), "\"v$2\"");
  EXPECT_EQ(QuoteIdentifier(""), "\"\"");
}

TEST(QuotingTest, LiteralsAsTextThatReadsTheSame) {
  EXPECT_EQ(QuoteLiteral("it's"), "'it''s'");
  EXPECT_EQ(QuoteLiteral("a\\b"), "E'a\\\\b'");
}

}  // namespace
}  // namespace kappa::expr
