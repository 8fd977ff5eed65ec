// Goal: type names, aliases, OIDs and modifiers are PostgreSQL's.
// Method: names in, spelling and OID out.
#include "data/type.h"

#include <gtest/gtest.h>

namespace kappa::data {
namespace {

std::string Spelling(std::string_view name) {
  Result<Type> type = TypeFromName(name);
  return type.ok() ? type->ToString() : type.error().message();
}

TEST(TypeTest, NamesAndAliases) {
  EXPECT_EQ(Spelling("int"), "integer");
  EXPECT_EQ(Spelling("int8"), "bigint");
  EXPECT_EQ(Spelling("float"), "double precision");
  EXPECT_EQ(Spelling("float(10)"), "real");
  EXPECT_EQ(Spelling("varchar"), "text");
  EXPECT_EQ(Spelling("varchar(10)"), "character varying(10)");
  EXPECT_EQ(Spelling("numeric(12, 2)"), "numeric(12,2)");
  EXPECT_EQ(Spelling("numeric(3,-2)[]"), "numeric(3,-2)[]");
  EXPECT_EQ(Spelling("timestamp(3) with time zone"), "timestamp(3) with time zone");
  EXPECT_EQ(Spelling("timestamptz"), "timestamp with time zone");
  EXPECT_EQ(Spelling("interval day to second"), "interval day to second");
  EXPECT_EQ(Spelling("_text"), "text[]");
  EXPECT_EQ(Spelling("text[][]"), "text[]");
  EXPECT_EQ(Spelling("nosuch"), "type \"nosuch\" does not exist");
  EXPECT_EQ(Spelling("numeric(0)"), "NUMERIC precision 0 must be between 1 and 1000");
}

TEST(TypeTest, OidsRoundTrip) {
  for (uint32_t oid : {16u, 17u, 20u, 21u, 23u, 25u, 26u, 700u, 701u, 1082u, 1114u, 1184u, 1186u, 1700u, 2950u, 3802u, 1000u, 1007u, 1009u, 1231u}) {
    EXPECT_EQ(TypeFromOid(oid).oid(), oid);
  }
  EXPECT_EQ(TypeFromOid(0).id, TypeId::kUnknown);
  EXPECT_EQ(TypeFromOid(999999).id, TypeId::kUnknown);
  EXPECT_EQ(TypeFromName("varchar(5)")->oid(), 1043u);
}

TEST(TypeTest, NumericModifier) {
  Type type = *TypeFromName("numeric(12,2)");
  EXPECT_EQ(type.modifier, ((12 << 16) | 2) + 4);
  EXPECT_EQ(NumericPrecision(type.modifier), 12);
  EXPECT_EQ(NumericScale(type.modifier), 2);
  EXPECT_EQ(NumericScale(TypeFromName("numeric(3,-5)")->modifier), -5);
}

}  // namespace
}  // namespace kappa::data
