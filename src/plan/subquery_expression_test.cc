// Sub-query expressions: one run for each distinct outer row, and SQL's three-valued answers. The runner is a fake that
// gives rows by the value of the outer parameter and counts its runs.
#include "plan/subquery_expression.h"

#include <gtest/gtest.h>

#include "plan/build.h"

namespace kappa::plan {
namespace {

using data::Batch;
using data::TypeId;
using data::Value;
using expr::ExprPtr;

Batch Int8s(const std::vector<std::optional<int64_t>>& values) {
  data::ColumnBuilder builder(TypeId::kInt8);
  for (const auto& value : values) {
    if (value) builder.Append<int64_t>(*value);
    else builder.AppendNull();
  }
  return {static_cast<int64_t>(values.size()), {builder.Finish()}};
}

class SubqueryExpressionTest : public testing::Test {
 protected:
  /// The answers of a sub-query over outer rows, as text; the runner gives rows_[outer value].
  std::vector<std::string> Evaluate(Subquery::Kind kind, data::Type type, const Batch& outer, bool correlated = true) {
    Subquery subquery;
    subquery.kind = kind;
    subquery.plan = MakeValues({{{"x", TypeId::kInt8, true}}}, {});
    const ExprPtr column = expr::MakeColumn(0, TypeId::kInt8, "a");
    if (correlated) subquery.outer = {column};
    subquery.first_parameter = 2;
    const ExprPtr expression = MakeSubquery(subquery, kind == Subquery::Kind::kIn ? column : nullptr, type);
    const SubqueryScope scope([this](const NodePtr&, const std::vector<Value>& parameters) -> Result<Batch> {
      ++runs_;
      parameters_ = parameters;
      const Value key = parameters.size() > 2 ? parameters[2] : Value::Int8(0);
      return Int8s(rows_[key.null ? -1 : key.As<int64_t>()]);
    });
    expr::EvalContext context;
    context.parameters = {Value::Text("first")};
    const Result<data::ColumnPtr> result = expression->Evaluate(outer, context);
    if (!result.ok()) return {result.error().ToString()};
    std::vector<std::string> texts;
    for (int64_t i = 0; i < (*result)->size(); ++i) texts.push_back((*result)->IsNull(i) ? "NULL" : data::ToText(data::ValueAt(**result, i)));
    return texts;
  }

  std::map<int64_t, std::vector<std::optional<int64_t>>> rows_;
  std::vector<Value> parameters_;
  int runs_ = 0;
};

using Texts = std::vector<std::string>;

TEST_F(SubqueryExpressionTest, RunsOnceForEachDistinctOuterRow) {
  rows_ = {{1, {10}}, {2, {20}}};
  EXPECT_EQ(Evaluate(Subquery::Kind::kScalar, TypeId::kInt8, Int8s({1, 2, 1, 1, std::nullopt})), (Texts{"10", "20", "10", "10", "NULL"}));
  EXPECT_EQ(runs_, 3);
  // Outer values come after the statement's parameters, at their number.
  ASSERT_EQ(parameters_.size(), 3u);
  EXPECT_EQ(parameters_[0], Value::Text("first"));
}

TEST_F(SubqueryExpressionTest, AnUncorrelatedPlanRunsOnceABatch) {
  rows_ = {{0, {7}}};
  EXPECT_EQ(Evaluate(Subquery::Kind::kScalar, TypeId::kInt8, Int8s({1, 2, 3}), /*correlated=*/false), (Texts{"7", "7", "7"}));
  EXPECT_EQ(runs_, 1);
  EXPECT_EQ(Evaluate(Subquery::Kind::kScalar, TypeId::kInt8, Int8s({}), false), Texts{});
  EXPECT_EQ(runs_, 1);
}

TEST_F(SubqueryExpressionTest, AScalarHasAtMostOneRow) {
  rows_ = {{1, {}}, {2, {1, 2}}};
  EXPECT_EQ(Evaluate(Subquery::Kind::kScalar, TypeId::kInt8, Int8s({1})), Texts{"NULL"});
  EXPECT_EQ(Evaluate(Subquery::Kind::kScalar, TypeId::kInt8, Int8s({2})),
            Texts{"more than one row returned by a subquery used as an expression (SQLSTATE 21000)"});
}

TEST_F(SubqueryExpressionTest, ExistsCountsRowsNotValues) {
  rows_ = {{1, {}}, {2, {std::nullopt}}};
  EXPECT_EQ(Evaluate(Subquery::Kind::kExists, TypeId::kBool, Int8s({1, 2})), (Texts{"f", "t"}));
}

TEST_F(SubqueryExpressionTest, InIsThreeValued) {
  rows_ = {{0, {1, 2}}};
  EXPECT_EQ(Evaluate(Subquery::Kind::kIn, TypeId::kBool, Int8s({1, 3, std::nullopt}), false), (Texts{"t", "f", "NULL"}));
  rows_ = {{0, {1, std::nullopt}}};
  EXPECT_EQ(Evaluate(Subquery::Kind::kIn, TypeId::kBool, Int8s({1, 3, std::nullopt}), false), (Texts{"t", "NULL", "NULL"}));
  rows_ = {{0, {}}};
  EXPECT_EQ(Evaluate(Subquery::Kind::kIn, TypeId::kBool, Int8s({1, std::nullopt}), false), (Texts{"f", "f"}));
}

TEST_F(SubqueryExpressionTest, ArrayHoldsAllRowsInOrder) {
  rows_ = {{1, {3, std::nullopt, 1}}, {2, {}}};
  EXPECT_EQ(Evaluate(Subquery::Kind::kArray, data::Type::ArrayOf(TypeId::kInt8), Int8s({1, 2})), (Texts{"{3,NULL,1}", "{}"}));
}

TEST_F(SubqueryExpressionTest, WithoutARunnerItIsNotSupported) {
  const ExprPtr expression = MakeSubquery({Subquery::Kind::kExists, MakeValues({}, {{}}), {}, 0}, nullptr, TypeId::kBool);
  expr::EvalContext context;
  const Result<data::ColumnPtr> result = expression->Evaluate(Int8s({1}), context);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().sqlstate(), sqlstate::kFeatureNotSupported);
}

}  // namespace
}  // namespace kappa::plan
