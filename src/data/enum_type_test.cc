// Goal: values of an enum are read and shown as labels and ordered by their places, and equal definitions are one type.
// Method: a type whose labels are out of alphabetical order, long and short.
#include "data/enum_type.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "data/compare.h"
#include "data/text.h"

namespace kappa::data {
namespace {

const EnumDefinition kSizes{"size", {"small", "a label longer than twelve bytes", "Large", "é"}};

TEST(EnumTypeTest, LabelsAreReadShownAndOrdered) {
  const Type type = RegisterEnum(kSizes);
  std::vector<Value> values;
  for (const std::string& label : kSizes.labels) {
    const Result<Value> value = FromText(label, type);
    ASSERT_TRUE(value.ok());
    EXPECT_EQ(ToText(*value), label);
    values.push_back(*value);
  }
  for (size_t i = 1; i < values.size(); ++i) {
    EXPECT_LT(ComparePhysical(type, values[i - 1].bytes, values[i].bytes), 0);
    EXPECT_LT(values[i - 1].bytes, values[i].bytes);  // bytes are ordered in the same way
  }
  const Result<Value> wrong = FromText("large", type);
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().sqlstate(), sqlstate::kInvalidTextRepresentation);
}

// Clients read an array's elements by the oid that comes with them.
TEST(EnumTypeTest, BinaryArraysNameTheType) {
  const Type type = RegisterEnum(kSizes);
  const ColumnPtr column = ConstantColumn(FromText("{small}", ArrayType(type)).value(), 1);
  std::string out;
  AppendBinary(*column, 0, out);
  EXPECT_EQ(ByteReader(std::string_view(out).substr(8)).Big<uint32_t>(), EnumOid(type));
}

TEST(EnumTypeTest, TheDefinitionIsTheType) {
  const Type type = RegisterEnum(kSizes);
  EXPECT_EQ(type, RegisterEnum(kSizes));
  EXPECT_EQ(type, type.WithoutModifier());
  EXPECT_EQ(type.ToString(), "size");
  EXPECT_EQ(TypeFromOid(type.oid()), type);
  const Type other = RegisterEnum({"size", {"small"}}), renamed = RegisterEnum({"sizes", kSizes.labels});
  EXPECT_FALSE(type.Same(other));
  EXPECT_FALSE(type.Same(renamed));
  EXPECT_NE(type.oid(), other.oid());
  EXPECT_EQ(TypeFromOid(0x40000000 + 1).id, TypeId::kUnknown);
}

}  // namespace
}  // namespace kappa::data
