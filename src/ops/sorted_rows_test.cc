// Goal: whatever changes come, their sum is given in order, from memory as from runs in pages.
// Method: random changes under a small bound of state memory against a multiset.
#include "ops/sorted_rows.h"

#include "ops/testing.h"
#include "state/memory.h"

namespace kappa::ops {
namespace {

using data::TypeId;
using data::Value;

data::Schema TestSchema() { return {{{"name", TypeId::kText}, {"id", TypeId::kInt8}}}; }

TestRow RandomRow(std::mt19937_64& random, size_t width) {
  return {random() % 9 == 0 ? Value::Null(TypeId::kText) : Value::Text(std::to_string(random() % 50) + std::string(width, 'x')),
          Value::Int8(static_cast<int64_t>(random() % 400))};
}

TEST(SortedRowsTest, GivesTheSumInOrder) {
  ASSERT_TRUE(state::SetMemoryLimit(1 << 20, testing::TempDir()).ok());
  for (const size_t width : {10, 500, 40'000}) {  // one run, many, records of several blocks
    SCOPED_TRACE(width);
    std::mt19937_64 random(width);
    SortedRows rows(TestSchema());
    ViewStore model(TestSchema(), {});
    std::vector<TestRow> there;
    for (int batch = 0; batch < 60; ++batch) {
      std::vector<TestRow> changes;
      std::vector<int64_t> weights;
      for (int i = 0; i < (width > 10'000 ? 4 : 100); ++i) {
        if (!there.empty() && random() % 3 == 0) {
          changes.push_back(std::exchange(there[random() % there.size()], there.back()));
          there.pop_back();
          weights.push_back(-1);
        } else {
          there.push_back(RandomRow(random, width));
          changes.push_back(there.back());
          weights.push_back(1);
        }
      }
      const data::ChangeBatch batch_of_changes = MakeBatch(TestSchema(), changes, weights);
      ASSERT_TRUE(rows.Add(batch_of_changes).ok());
      ASSERT_TRUE(model.Apply(batch_of_changes).ok());
    }
    EXPECT_EQ(rows.row_count(), model.row_count());
    EXPECT_EQ(rows.digest(), model.digest());
    std::vector<TestRow> given;
    const Status status = rows.Take([&](data::Batch batch) -> Status {
      for (int64_t i = 0; i < batch.rows; ++i) given.push_back({data::ValueAt(*batch.columns[0], i), data::ValueAt(*batch.columns[1], i)});
      return {};
    });
    ASSERT_TRUE(status.ok()) << status.error().ToString();
    const auto before = [](const TestRow& a, const TestRow& b) {
      if (a[0].null != b[0].null) return b[0].null;
      if (!a[0].null && a[0].bytes != b[0].bytes) return a[0].bytes < b[0].bytes;
      return a[1].As<int64_t>() < b[1].As<int64_t>();
    };
    EXPECT_TRUE(std::is_sorted(given.begin(), given.end(), before));
    EXPECT_EQ(ToMultiset(TestSchema(), given), ToMultiset(TestSchema(), there));
    EXPECT_TRUE(rows.empty());
  }
}

TEST(SortedRowsTest, ASumBelowZeroIsAnError) {
  SortedRows rows(TestSchema());
  ASSERT_TRUE(rows.Add(MakeBatch(TestSchema(), {{Value::Text("a"), Value::Int8(1)}}, {-1})).ok());
  const Status status = rows.Take([](data::Batch) { return Status(); });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().sqlstate(), sqlstate::kInternalError);
}

}  // namespace
}  // namespace kappa::ops
