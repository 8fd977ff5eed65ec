// EXPLAIN's text and JSON, plan hashes, and the append-only proofs of the makers.
#include <gtest/gtest.h>

#include "base/hash.h"
#include "plan/build.h"

namespace kappa::plan {
namespace {

using data::TypeId;
using data::Value;
using expr::ExprPtr;

const data::Schema kSchema{{{"a \"b\"", TypeId::kText, true}, {"n", TypeId::kInt8, false}}};

NodePtr Stream() { return MakeScan(RelationKind::kStream, 1, "s", kSchema, {0, 1}); }
ExprPtr Column(int i) { return expr::MakeColumn(i, kSchema.fields[static_cast<size_t>(i)].type, kSchema.fields[static_cast<size_t>(i)].name); }

TEST(ExplainTest, TextHasOneOperatorALine) {
  const NodePtr sorted = MakeSort(Stream(), {{Column(1), true, true}, {Column(0), false, true}});
  const NodePtr plan = MakeLimit(sorted, expr::MakeLiteral(Value::Fixed<int32_t>(TypeId::kInt4, 3)), nullptr);
  EXPECT_EQ(Explain(*plan), "Limit 3\n  Sort by n DESC, a \"b\" NULLS FIRST\n    Scan stream s [a \"b\", n]\n");
}

TEST(ExplainTest, JsonEscapes) {
  EXPECT_EQ(
      ExplainJson(*Stream()),
      R"json({"operator":"Scan","text":"Scan stream s [a \"b\", n]","columns":[{"name":"a \"b\"","type":"text"},{"name":"n","type":"bigint"}],"append_only":true,"inputs":[]})json");
}

TEST(ExplainTest, StagesAreShownAndNoPartOfTheHash) {
  const NodePtr distinct = MakeAggregate(Stream(), {Column(1)}, {}, {"n"}, -1, 0);
  EXPECT_EQ(Explain(*distinct), "Distinct by n in two stages\n  Scan stream s [a \"b\", n]\n");
  EXPECT_NE(ExplainJson(*distinct).find("\"two_stages\":true"), std::string::npos);
  EXPECT_EQ(PlanHash(*distinct), Hash64("Distinct by n\n  Scan stream s [a \"b\", n]\nn bigint\n"));
  const NodePtr table = MakeScan(RelationKind::kTable, 2, "t", kSchema, {0, 1});
  EXPECT_NE(ExplainJson(*MakeAggregate(table, {Column(1)}, {}, {"n"}, -1, 0)).find("\"two_stages\":true"), std::string::npos);
}

TEST(ExplainTest, LongValuesDifferInTheirHash) {
  const auto values = [](int64_t last) {
    std::vector<std::vector<ExprPtr>> rows;
    for (int64_t i = 0; i < 5; ++i) rows.push_back({expr::MakeLiteral(Value::Int8(i < 4 ? i : last))});
    return MakeValues({{{"x", TypeId::kInt8, true}}}, std::move(rows));
  };
  EXPECT_EQ(PlanHash(*values(4)), PlanHash(*values(4)));
  EXPECT_NE(PlanHash(*values(4)), PlanHash(*values(5)));
}

TEST(ExplainTest, ColumnsOfOneNameAreToldApart) {
  const auto join = [](int left, int right) {
    const ExprPtr less = *expr::MakeOperator("<", {expr::MakeColumn(left, TypeId::kInt8, "n"), expr::MakeColumn(right, TypeId::kInt8, "n")}, 0);
    return MakeJoin(JoinType::kInner, Stream(), Stream(), {Column(0)}, {Column(0)}, less);
  };
  EXPECT_EQ(Explain(*join(1, 3)).substr(0, 62), "Join inner on left.a \"b\" = right.a \"b\" residual (n < n#2)\n  Sc");
  EXPECT_NE(PlanHash(*join(1, 3)), PlanHash(*join(3, 1)));
}

TEST(BuildTest, AppendOnlyIsProvenFromTheInputs) {
  const NodePtr table = MakeScan(RelationKind::kTable, 2, "t", kSchema, {0, 1});
  EXPECT_TRUE(MakeFilter(Stream(), expr::MakeLiteral(Value::Bool(true)))->append_only);
  EXPECT_FALSE(MakeFilter(table, expr::MakeLiteral(Value::Bool(true)))->append_only);
  EXPECT_TRUE(MakeJoin(JoinType::kInner, Stream(), Stream(), {Column(0)}, {Column(0)}, nullptr)->append_only);
  EXPECT_FALSE(MakeJoin(JoinType::kLeft, Stream(), Stream(), {Column(0)}, {Column(0)}, nullptr)->append_only);
  EXPECT_FALSE(MakeUnion({Stream(), table})->append_only);
  EXPECT_TRUE(MakeAggregate(Stream(), {Column(0)}, {}, {"a"})->append_only) << "DISTINCT gives each row when it is first seen";
  EXPECT_FALSE(MakeAggregate(table, {Column(0)}, {}, {"a"})->append_only);
  const expr::AggregateCall count = *expr::ResolveAggregate("count", {}, /*star=*/true, /*distinct=*/false, 0);
  EXPECT_FALSE(MakeAggregate(Stream(), {Column(0)}, {count}, {"a", "n"})->append_only);
  EXPECT_TRUE(MakeAggregate(Stream(), {Column(0)}, {}, {"a"}, 0, 1)->append_only);
  const NodePtr filter = MakeFilter(Stream(), expr::MakeLiteral(Value::Bool(true)));
  EXPECT_FALSE(WithInputs(filter, {table})->append_only);
}

TEST(BuildTest, SmallTablesAreReplicated) {
  const NodePtr table = MakeScan(RelationKind::kTable, 2, "t", kSchema, {0, 1});
  const auto replicated = [&](JoinType type, NodePtr left, NodePtr right, int64_t rows) {
    const NodePtr join = MakeJoin(type, std::move(left), std::move(right), {Column(0)}, {Column(0)}, nullptr);
    const NodePtr result = WithReplicatedTables(join, [rows](uint32_t) { return rows; }, 100);
    return static_cast<const Join&>(*result).replicated;
  };
  EXPECT_EQ(replicated(JoinType::kInner, Stream(), table, 100), 1);
  EXPECT_EQ(replicated(JoinType::kInner, table, Stream(), 100), 0);
  EXPECT_EQ(replicated(JoinType::kInner, Stream(), table, 101), -1) << "too large";
  EXPECT_EQ(replicated(JoinType::kInner, Stream(), Stream(), 1), -1);
  EXPECT_EQ(replicated(JoinType::kInner, table, table, 1), -1) << "rows of the other side may go, from another shard";
  EXPECT_EQ(replicated(JoinType::kLeft, Stream(), table, 1), 1);
  EXPECT_EQ(replicated(JoinType::kRight, Stream(), table, 1), -1) << "every shard would give the table's rows alone";
  EXPECT_EQ(replicated(JoinType::kFull, Stream(), table, 1), -1);
  EXPECT_EQ(replicated(JoinType::kAnti, Stream(), table, 1), 1);
  EXPECT_EQ(replicated(JoinType::kAnti, table, Stream(), 1), -1);
  const NodePtr filtered = MakeFilter(table, expr::MakeLiteral(Value::Bool(true)));
  EXPECT_EQ(replicated(JoinType::kInner, Stream(), filtered, 1), 1);
  EXPECT_EQ(replicated(JoinType::kInner, Stream(), MakeUnion({table, table}), 1), -1);
}

TEST(BuildTest, OuterJoinsMakeColumnsNullable) {
  const NodePtr join = MakeJoin(JoinType::kLeft, Stream(), Stream(), {Column(0)}, {Column(0)}, nullptr);
  EXPECT_FALSE(join->schema.fields[1].nullable);
  EXPECT_TRUE(join->schema.fields[3].nullable);
}

}  // namespace
}  // namespace kappa::plan
