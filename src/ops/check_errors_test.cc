// Goal: rows for which a step fails are left out, each with its reason and its record's place, and nothing else changes.
// Method: random batches over a division and a cast behind a condition; what must come out is worked out row by row.
#include <gtest/gtest.h>

#include "ops/testing.h"
#include "plan/build.h"

namespace kappa::ops {
namespace {

using data::TypeId;
using data::Value;

data::Schema ScanSchema() {
  return {{{"a", TypeId::kInt4}, {"b", TypeId::kInt4}, {"t", TypeId::kText}, {"_partition", TypeId::kInt4}, {"_offset", TypeId::kInt8}}};
}

expr::ExprPtr Must(Result<expr::ExprPtr> made) {
  KAPPA_CHECK(made.ok());
  return *made;
}

Value Int(int32_t value) { return Value::Fixed<int32_t>(TypeId::kInt4, value); }

TEST(CheckErrorsTest, FailedRowsAreReportedAndOthersPass) {
  const data::Schema schema = ScanSchema();
  const expr::ExprPtr a = Col(schema, "a"), b = Col(schema, "b"), t = Col(schema, "t");
  const expr::ExprPtr positive = Must(expr::MakeOperator(">", {a, expr::MakeLiteral(Int(0))}, 0));
  const expr::ExprPtr quotient = Must(expr::MakeOperator("/", {a, b}, 0));
  const expr::ExprPtr number = Must(expr::MakeCast(t, TypeId::kInt4, expr::CastContext::kExplicit, 0));
  const plan::NodePtr node = plan::MakeCheckErrors(TestInput(schema, true), {{quotient, false}, {positive, true}, {number, false}});
  std::mt19937_64 random(3);
  for (size_t rows = 1; rows < 70; ++rows) {
    const std::unique_ptr<Operator> op = MakeOrDie(*node);
    std::vector<TestRow> all, kept;
    std::vector<int64_t> weights, kept_weights;
    std::vector<std::tuple<int32_t, int64_t, std::string>> failed;
    for (size_t i = 0; i < rows; ++i) {
      const auto a_value = static_cast<int32_t>(random() % 4) - 1, b_value = static_cast<int32_t>(random() % (rows % 3 == 0 ? 1 : 5));
      const bool word = random() % 5 == 0;
      const int64_t offset = static_cast<int64_t>(100 + i), weight = random() % 3 == 0 ? -1 : 1;
      all.push_back({Int(a_value), Int(b_value), Value::Text(word ? "x" : "7"), Int(static_cast<int32_t>(i % 3)), Value::Int8(offset)});
      weights.push_back(weight);
      const auto fail = [&](const char* why) { failed.emplace_back(static_cast<int32_t>(i % 3), offset, why); };
      if (b_value == 0) fail("division by zero");
      else if (a_value > 0 && word) fail("invalid input syntax for type integer: \"x\"");
      else if (a_value > 0) kept.push_back({all.back()[0], all.back()[1], all.back()[2]}), kept_weights.push_back(weight);
    }
    Output out;
    ASSERT_TRUE(op->OnBatch(0, MakeBatch(schema, all, weights), out).ok());
    Multiset wanted;
    if (!kept.empty()) AddTo(wanted, MakeBatch(node->schema, kept, kept_weights));
    EXPECT_EQ(ToMultiset(out), wanted) << rows;
    std::vector<FailedRow> reported;
    op->TakeFailed(reported);
    std::vector<std::tuple<int32_t, int64_t, std::string>> places;
    for (const FailedRow& row : reported) places.emplace_back(row.partition, row.offset, row.reason);
    std::sort(places.begin(), places.end());
    std::sort(failed.begin(), failed.end());
    EXPECT_EQ(places, failed) << rows;
    EXPECT_EQ(op->errors(), static_cast<int64_t>(failed.size()));
    reported.clear();
    op->TakeFailed(reported);
    EXPECT_TRUE(reported.empty());
  }
}

}  // namespace
}  // namespace kappa::ops
