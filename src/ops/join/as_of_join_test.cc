// Goal: as-of joins are right after every epoch of any change streams, also across restarts, in one bounded run, and when state goes with
// the watermark.
// Method: random changes of both sides; the sum of the output must equal the pairs that a loop over all rows finds.
#include <gtest/gtest.h>

#include "data/compare.h"
#include "ops/testing.h"
#include "plan/build.h"

namespace kappa::ops {
namespace {

using data::TypeId;
using data::Value;
using Match = plan::AsOfJoin::Match;

data::Schema LeftSchema() { return {{{"k", TypeId::kInt4}, {"t", TypeId::kTimestamp}, {"l", TypeId::kInt4}}}; }
data::Schema RightSchema() { return {{{"k", TypeId::kInt4}, {"t", TypeId::kTimestamp}, {"r", TypeId::kText}}}; }

Value Time(int64_t us) { return Value::Fixed<int64_t>(TypeId::kTimestamp, us); }

TestRow RandomLeft(std::mt19937_64& random, int64_t time) {
  return {random() % 9 == 0 ? Value::Null(TypeId::kInt4) : Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(random() % 3)),
          random() % 9 == 0 ? Value::Null(TypeId::kTimestamp) : Time(time), Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(random() % 2))};
}
TestRow RandomRight(std::mt19937_64& random, int64_t time) {
  TestRow row = RandomLeft(random, time);
  row[2] = Value::Text(std::string(random() % 20, static_cast<char>('a' + random() % 3)));
  return row;
}

plan::NodePtr Node(bool outer, Match match, bool left_append_only, bool right_append_only, bool keys) {
  const data::Schema left = LeftSchema(), right = RightSchema();
  std::vector<expr::ExprPtr> left_keys, right_keys;
  if (keys) {
    left_keys = {Col(left, "k")};
    right_keys = {Col(right, "k")};
  }
  return plan::MakeAsOfJoin(outer, TestInput(left, left_append_only), TestInput(right, right_append_only), std::move(left_keys),
                            std::move(right_keys), Col(left, "t"), Col(right, "t"), match);
}

/// Which right row a left row means, as its definition says; -1: none.
int Wanted(const TestRow& left, const std::vector<TestRow>& right, const std::vector<std::string>& bytes, Match match, bool keys) {
  int best = -1;
  if (left[1].null || (keys && left[0].null)) return best;
  for (size_t i = 0; i < right.size(); ++i) {
    if (right[i][1].null || (keys && (right[i][0].null || !(right[i][0] == left[0])))) continue;
    const auto at = right[i][1].As<int64_t>(), time = left[1].As<int64_t>();
    const bool fits = match == Match::kAtOrBefore  ? at <= time
                      : match == Match::kBefore    ? at < time
                      : match == Match::kAtOrAfter ? at >= time
                                                   : at > time;
    if (!fits) continue;
    if (best < 0) {
      best = static_cast<int>(i);
      continue;
    }
    const auto known = right[static_cast<size_t>(best)][1].As<int64_t>();
    const bool nearer = match == Match::kAtOrBefore || match == Match::kBefore ? at > known : at < known;
    if (nearer || (at == known && bytes[i] < bytes[static_cast<size_t>(best)])) best = static_cast<int>(i);
  }
  return best;
}

Multiset Expected(const std::vector<TestRow>& left, const std::vector<TestRow>& right, bool outer, Match match, bool keys) {
  const data::ChangeBatch batch = MakeBatch(RightSchema(), right);
  const data::RowKeys row_keys(batch.columns, batch.rows, false);
  std::vector<std::string> bytes;
  for (int64_t i = 0; i < batch.rows; ++i) bytes.emplace_back(row_keys.key(i));
  data::Schema both = LeftSchema();
  for (const data::Field& field : RightSchema().fields) both.fields.push_back(field);
  std::vector<TestRow> out;
  for (TestRow row : left) {
    const int match_row = Wanted(row, right, bytes, match, keys);
    if (match_row < 0 && !outer) continue;
    for (size_t c = 0; c < 3; ++c) row.push_back(match_row < 0 ? Value::Null(both.fields[3 + c].type) : right[static_cast<size_t>(match_row)][c]);
    out.push_back(std::move(row));
  }
  return ToMultiset(both, out);
}

TEST(AsOfJoinTest, EqualsItsDefinitionAfterEveryEpoch) {
  for (const Match match : {Match::kAtOrBefore, Match::kBefore, Match::kAtOrAfter, Match::kAfter}) {
    for (int variant = 0; variant < 8; ++variant) {
      const bool outer = variant & 1, append_only = variant & 2, keys = (variant & 4) == 0;
      SCOPED_TRACE(testing::Message() << "match " << static_cast<int>(match) << " variant " << variant);
      std::mt19937_64 random(static_cast<uint64_t>(variant) * 4 + static_cast<uint64_t>(match));
      const auto time = [](std::mt19937_64& r) { return static_cast<int64_t>(r() % 30) - 9; };
      TestStream left(LeftSchema(), append_only, [&](std::mt19937_64& r) { return RandomLeft(r, time(r)); });
      TestStream right(RightSchema(), append_only, [&](std::mt19937_64& r) { return RandomRight(r, time(r)); });
      const plan::NodePtr node = Node(outer, match, append_only, append_only, keys);
      TestRun run([&] { return MakeOrDie(*node); });
      for (int epoch = 0; epoch < 40; ++epoch) {
        const size_t changes = random() % 4 == 0 ? 0 : 1 + random() % 6;
        for (int port = 0; port < 2; ++port)
          for (data::ChangeBatch& batch : (port == 0 ? left : right).Epoch(random, changes + random() % 3)) run.Batch(port, std::move(batch));
        const bool flush = random() % 4 != 0;
        run.End(INT64_MIN, flush);
        if (!flush) continue;
        ASSERT_EQ(run.contents(), Expected(left.rows(), right.rows(), outer, match, keys)) << "epoch " << epoch;
        if (random() % 3 == 0) run.Restart();
      }
    }
  }
}

TEST(AsOfJoinTest, OneBoundedRunGivesTheSame) {
  for (const Match match : {Match::kAtOrBefore, Match::kBefore, Match::kAtOrAfter, Match::kAfter}) {
    for (int variant = 0; variant < 8; ++variant) {
      const bool outer = variant & 1, append_only = variant & 2, keys = (variant & 4) == 0;
      SCOPED_TRACE(testing::Message() << "match " << static_cast<int>(match) << " variant " << variant);
      std::mt19937_64 random(static_cast<uint64_t>(variant) * 4 + static_cast<uint64_t>(match) + 100);
      const auto time = [](std::mt19937_64& r) { return static_cast<int64_t>(r() % 40); };
      TestStream left(LeftSchema(), append_only, [&](std::mt19937_64& r) { return RandomLeft(r, time(r)); });
      TestStream right(RightSchema(), append_only, [&](std::mt19937_64& r) { return RandomRight(r, time(r)); });
      const plan::NodePtr node = Node(outer, match, append_only, append_only, keys);
      TestRun run([&] { return MakeOrDie(*node, /*bounded=*/true); });
      for (int step = 0; step < 3; ++step) {
        for (data::ChangeBatch& batch : left.Epoch(random, 30)) run.Batch(0, std::move(batch));
        for (data::ChangeBatch& batch : right.Epoch(random, 20)) run.Batch(1, std::move(batch));
        run.End(INT64_MIN, /*flush=*/step == 2);
      }
      EXPECT_EQ(run.contents(), Expected(left.rows(), right.rows(), outer, match, keys));
    }
  }
}

TEST(AsOfJoinTest, LeftRowsAreNotKeptWhenTheRightSideHasEnded) {
  for (const bool append_only : {true, false}) {
    std::mt19937_64 random(7);
    const auto time = [](std::mt19937_64& r) { return static_cast<int64_t>(r() % 40); };
    TestStream left(LeftSchema(), true, [&](std::mt19937_64& r) { return RandomLeft(r, time(r)); });
    TestStream right(RightSchema(), append_only, [&](std::mt19937_64& r) { return RandomRight(r, time(r)); });
    const plan::NodePtr node = Node(/*outer=*/true, Match::kAtOrBefore, true, append_only, true);
    TestRun run([&] { return MakeOrDie(*node, /*bounded=*/true); });
    for (data::ChangeBatch& batch : left.Epoch(random, 30)) run.Batch(0, std::move(batch));
    for (data::ChangeBatch& batch : right.Epoch(random, 200)) run.Batch(1, std::move(batch));
    run.End(INT64_MIN, /*flush=*/false);
    run.op().OnInputEnd(1);
    int64_t held = INT64_MAX;  // with the left rows that came before the end
    for (data::ChangeBatch& batch : left.Epoch(random, 100)) {
      run.Batch(0, std::move(batch));
      EXPECT_LE(run.op().held_bytes(), held);
      held = run.op().held_bytes();
    }
    EXPECT_GT(held, 0);
    run.End(INT64_MIN, /*flush=*/false);
    EXPECT_EQ(run.contents(), Expected(left.rows(), right.rows(), true, Match::kAtOrBefore, true));
    run.End();
    EXPECT_EQ(run.contents(), Expected(left.rows(), right.rows(), true, Match::kAtOrBefore, true));
  }
}

TEST(AsOfJoinTest, ABoundedRunWithoutRightRows) {
  const plan::NodePtr node = Node(/*outer=*/true, Match::kAtOrBefore, true, true, true);
  TestRun run([&] { return MakeOrDie(*node, /*bounded=*/true); });
  const TestRow row = {Value::Fixed<int32_t>(TypeId::kInt4, 1), Time(5), Value::Fixed<int32_t>(TypeId::kInt4, 2)};
  run.Batch(0, MakeBatch(LeftSchema(), {row}));
  run.End();
  EXPECT_EQ(run.contents(), Expected({row}, {}, true, Match::kAtOrBefore, true));
}

// Rows of both sides come up to `kSpread` behind the newest; nothing comes from before the watermark.
TEST(AsOfJoinTest, StateGoesWithTheWatermarks) {
  constexpr int64_t kSpread = 20, kLag = 7;
  for (const Match match : {Match::kAtOrBefore, Match::kBefore}) {
    for (const bool both : {false, true}) {
      SCOPED_TRACE(testing::Message() << "match " << static_cast<int>(match) << (both ? ", both sides" : ", right side"));
      std::mt19937_64 random(static_cast<uint64_t>(match) * 2 + both);
      auto node = std::make_shared<plan::AsOfJoin>(static_cast<const plan::AsOfJoin&>(*Node(true, match, both, true, true)));
      node->right_progress = plan::AsOfJoin::Progress{7, 0};
      if (both) node->left_progress = plan::AsOfJoin::Progress{7, kLag};
      int64_t now = 1000;
      // Without a promise left rows are of any age, and come and go.
      const auto left_time = [&](std::mt19937_64& r) {
        return both ? now - kLag + static_cast<int64_t>(r() % kSpread) : static_cast<int64_t>(r() % static_cast<uint64_t>(now + kSpread));
      };
      TestStream left(LeftSchema(), both, [&](std::mt19937_64& r) { return RandomLeft(r, left_time(r)); });
      TestStream right(RightSchema(), true, [&](std::mt19937_64& r) { return RandomRight(r, now + static_cast<int64_t>(r() % kSpread)); });
      TestRun run([&] { return MakeOrDie(*node); });
      for (int epoch = 0; epoch < 150; ++epoch) {
        for (int port = 0; port < 2; ++port)
          for (data::ChangeBatch& batch : (port == 0 ? left : right).Epoch(random, 1 + random() % 5)) run.Batch(port, std::move(batch));
        now += static_cast<int64_t>(random() % 4);
        const bool flush = random() % 3 != 0;
        run.End(now, flush);
        if (!flush) continue;
        ASSERT_EQ(run.contents(), Expected(left.rows(), right.rows(), true, match, true)) << "epoch " << epoch;
        if (random() % 5 == 0) run.Restart();
        if (both) { ASSERT_LT(run.op().state_rows(), 150) << "of " << left.rows().size() + right.rows().size(); }
      }
    }
  }
}

// Changes of a table have numbers: of those with one time the last counts, in whatever order they come.
TEST(AsOfJoinTest, OfOneTimeTheGreatestTieCounts) {
  const data::Schema left_schema = LeftSchema(), right_schema{{{"k", TypeId::kInt4}, {"t", TypeId::kTimestamp}, {"n", TypeId::kInt8}}};
  data::Schema both = left_schema;
  for (const data::Field& field : right_schema.fields) both.fields.push_back(field);
  for (const Match match : {Match::kAtOrBefore, Match::kBefore, Match::kAtOrAfter, Match::kAfter}) {
    for (const bool bounded : {false, true}) {
      SCOPED_TRACE(testing::Message() << "match " << static_cast<int>(match) << (bounded ? ", bounded" : ""));
      std::mt19937_64 random(static_cast<uint64_t>(match) * 2 + bounded);
      const plan::NodePtr node =
          plan::MakeAsOfJoin(/*outer=*/false, TestInput(left_schema, true), TestInput(right_schema, true), {Col(left_schema, "k")},
                             {Col(right_schema, "k")}, Col(left_schema, "t"), Col(right_schema, "t"), match, Col(right_schema, "n"));
      TestRun run([&] { return MakeOrDie(*node, bounded); });
      std::vector<TestRow> left, right;
      for (int step = 0; step < 30; ++step) {
        left.push_back(RandomLeft(random, static_cast<int64_t>(random() % 6)));
        right.push_back({Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(random() % 3)), Time(static_cast<int64_t>(random() % 6)),
                         Value::Int8(static_cast<int64_t>((step * 7) % 30) - 300)});
        run.Batch(0, MakeBatch(left_schema, {left.back()}));
        run.Batch(1, MakeBatch(right_schema, {right.back()}));
        if (bounded && step < 29) continue;
        run.End();
        std::vector<TestRow> wanted;
        for (TestRow row : left) {
          const TestRow* best = nullptr;
          for (const TestRow& candidate : right) {
            if (row[0].null || row[1].null || !(row[0] == candidate[0])) continue;
            const auto at = candidate[1].As<int64_t>(), time = row[1].As<int64_t>();
            const bool before = match == Match::kAtOrBefore || match == Match::kBefore;
            const bool inclusive = match == Match::kAtOrBefore || match == Match::kAtOrAfter;
            if (before ? (inclusive ? at > time : at >= time) : (inclusive ? at < time : at <= time)) continue;
            const auto known = best == nullptr ? 0 : (*best)[1].As<int64_t>();
            const bool nearer = best == nullptr || (before ? at > known : at < known);
            if (nearer || (at == known && candidate[2].As<int64_t>() > (*best)[2].As<int64_t>())) best = &candidate;
          }
          if (best == nullptr) continue;
          row.insert(row.end(), best->begin(), best->end());
          wanted.push_back(std::move(row));
        }
        ASSERT_EQ(run.contents(), ToMultiset(both, wanted)) << "step " << step;
        if (!bounded && step % 5 == 4) run.Restart();
      }
    }
  }
}

// A right row that comes between a left row and its match takes the left row over.
TEST(AsOfJoinTest, ALaterArrivalCorrectsThePair) {
  const plan::NodePtr node = Node(/*outer=*/false, Match::kAtOrBefore, true, true, true);
  TestRun run([&] { return MakeOrDie(*node); });
  const Value key = Value::Fixed<int32_t>(TypeId::kInt4, 1);
  run.Batch(0, MakeBatch(LeftSchema(), {{key, Time(10), Value::Fixed<int32_t>(TypeId::kInt4, 0)}}));
  run.Batch(1, MakeBatch(RightSchema(), {{key, Time(4), Value::Text("four")}}));
  run.End();
  run.Batch(1, MakeBatch(RightSchema(), {{key, Time(8), Value::Text("eight")}, {key, Time(11), Value::Text("eleven")}}));
  const Output out = run.End();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].rows, 2);  // the old pair and the new one
  EXPECT_EQ(run.contents().size(), 1u);
  run.Batch(1, MakeBatch(RightSchema(), {{key, Time(3), Value::Text("three")}, {key, Time(12), Value::Text("twelve")}}));
  EXPECT_TRUE(run.End().empty());  // they matter to nobody
}

}  // namespace
}  // namespace kappa::ops
