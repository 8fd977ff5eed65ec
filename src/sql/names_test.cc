// Nearest names.
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

}  // namespace
}  // namespace kappa::sql
