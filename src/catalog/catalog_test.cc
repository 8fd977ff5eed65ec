// Lookups in a snapshot.
#include "catalog/catalog.h"

#include <gtest/gtest.h>

namespace kappa::catalog {
namespace {

TEST(SnapshotTest, FindsByNameOverAllKinds) {
  Snapshot snapshot;
  snapshot.streams["s"].name = "s";
  snapshot.tables["t"].name = "t";
  snapshot.views["v"].name = "v";
  EXPECT_NE(snapshot.FindStream("s"), nullptr);
  EXPECT_EQ(snapshot.FindStream("t"), nullptr);
  EXPECT_NE(snapshot.FindTable("t"), nullptr);
  EXPECT_NE(snapshot.FindView("v"), nullptr);
  EXPECT_TRUE(snapshot.Exists("v"));
  EXPECT_FALSE(snapshot.Exists("V"));
  EXPECT_EQ(snapshot.Names(), (std::vector<std::string>{"s", "t", "v"}));
}

TEST(ViewTest, FindsVersionsByNumber) {
  View view;
  view.versions.resize(2);
  view.versions[0].number = 1;
  view.versions[1].number = 3;
  EXPECT_EQ(view.FindVersion(3), &view.versions[1]);
  EXPECT_EQ(view.FindVersion(2), nullptr);
}

}  // namespace
}  // namespace kappa::catalog
