// Lookups in a snapshot, and changes of types as they are stored.
#include <gtest/gtest.h>

#include "catalog/catalog_log.h"
#include "data/enum_type.h"
#include "data/record.h"

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

TEST(CatalogLogTest, TypesComeAndGo) {
  NamedType mood{7, "mood", {"sad", "happy", ""}, "CREATE TYPE ..", 5};
  const Result<Change> stored = DecodeChange(EncodeChange(mood));
  ASSERT_TRUE(stored.ok());
  Snapshot snapshot = Apply(Snapshot(), *stored);
  const NamedType* found = snapshot.FindType("mood");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->labels, mood.labels);
  EXPECT_EQ(found->id, 7u);
  EXPECT_EQ(found->type(), mood.type());
  const Result<Change> gone = DecodeChange(EncodeChange(Dropped{Dropped::Kind::kType, 7, "mood"}));
  ASSERT_TRUE(gone.ok());
  EXPECT_EQ(Apply(snapshot, *gone).FindType("mood"), nullptr);
  EXPECT_FALSE(DecodeChange(EncodeChange(mood).substr(0, 9)).ok());
}

TEST(CatalogLogTest, CompositeTypesAreKnownFromTheirColumns) {
  NamedType place{7, "place", {}, "CREATE TYPE ..", 5, true, {{{"city", data::TypeId::kText}, {"zip", data::TypeId::kInt4}}}};
  const Result<Change> stored = DecodeChange(EncodeChange(place));
  ASSERT_TRUE(stored.ok());
  const Snapshot snapshot = Apply(Snapshot(), *stored);
  const NamedType* found = snapshot.FindType("place");
  ASSERT_NE(found, nullptr);
  EXPECT_TRUE(found->composite);
  EXPECT_EQ(found->type(), place.type());
  EXPECT_EQ(found->type().ToString(), "place");
  // The name is part of which type it is.
  const data::Type row = data::RegisterRecord({{"city", "zip"}, {data::TypeId::kText, data::TypeId::kInt4}});
  EXPECT_FALSE(found->type().Same(row));
  EXPECT_EQ(row.ToString(), "record");
  EXPECT_EQ(data::TypeFromOid(found->type().oid()), found->type());

  Table people;
  people.id = 10;
  people.name = "people";
  people.schema.fields = {{"id", data::TypeId::kInt4, false}, {"homes", data::ArrayType(place.type())}};
  people.primary_key = {0};
  const Result<Change> table = DecodeChange(EncodeChange(people));
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(std::get<Table>(*table).schema.fields[1].type.ToString(), "place[]");
}

TEST(Changes, DomainsAreStoredWithTheColumnsThatUseThem) {
  Domain age;
  age.id = 9;
  age.name = "age";
  age.base = data::TypeId::kInt4;
  age.not_null = true;
  age.sql = "CREATE DOMAIN age AS int NOT NULL CHECK (VALUE > 0)";
  Table people;
  people.id = 10;
  people.name = "people";
  people.schema.fields = {{"id", data::TypeId::kInt4, false}, {"age", data::TypeId::kInt4, false}};
  people.primary_key = {0};
  people.domains[1] = "age";
  Snapshot snapshot;
  for (const Change& change : {Change(age), Change(people)}) {
    const Result<Change> decoded = DecodeChange(EncodeChange(change));
    ASSERT_TRUE(decoded.ok());
    snapshot = Apply(snapshot, *decoded);
  }
  const Domain* found = snapshot.FindDomain("age");
  ASSERT_NE(found, nullptr);
  EXPECT_TRUE(found->not_null);
  EXPECT_EQ(found->base, age.base);
  EXPECT_EQ(found->sql, age.sql);
  EXPECT_TRUE(snapshot.TypeExists("age"));
  EXPECT_EQ(snapshot.FindTable("people")->domains, people.domains);
  const Result<Change> gone = DecodeChange(EncodeChange(Dropped{Dropped::Kind::kDomain, 9, "age"}));
  ASSERT_TRUE(gone.ok());
  EXPECT_FALSE(Apply(snapshot, *gone).TypeExists("age"));
  EXPECT_FALSE(DecodeChange(EncodeChange(age).substr(0, 9)).ok());
}

}  // namespace
}  // namespace kappa::catalog
