// Nearest names and quoting.
#include <gtest/gtest.h>

#include "sql/statement.h"

namespace kappa::sql {
namespace {

TEST(NamesTest, FindsTheNearestName) {
  EXPECT_EQ(NearestName("prise", {"item", "price", "at"}), "price");
  EXPECT_EQ(NearestName("comits", {"commits", "comets"}), "comets");   // both one edit away: the first in order
  EXPECT_EQ(NearestName("reop", {"repo"}), "repo");       // neighbours swapped
  EXPECT_EQ(NearestName("xyz", {"item", "price"}), "");
  EXPECT_EQ(NearestName("", {"a"}), "a");
  EXPECT_EQ(NearestName(std::string(1000, 'a'), {"a"}), "");
}

TEST(NamesTest, QuotesWhereNeeded) {
  EXPECT_EQ(QuoteIdentifier("orders"), "orders");
  EXPECT_EQ(QuoteIdentifier("Orders"), "\"Orders\"");
  EXPECT_EQ(QuoteIdentifier("select"), "\"select\"");
  EXPECT_EQ(QuoteIdentifier("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(QuoteIdentifier("v$2"), "\"v$2\"");
  EXPECT_EQ(QuoteIdentifier(""), "\"\"");
  EXPECT_EQ(QuoteLiteral("it's"), "'it''s'");
  EXPECT_EQ(QuoteLiteral("a\\b"), " E'a\\\\b'");
}

}  // namespace
}  // namespace kappa::sql
