// Goal: the sum of what a join emits is the join of what its sides hold, in any order of changes and over restarts.
// Method: random change streams on both ports against a nested loop, for every join type, with and without residual.
#include "ops/testing.h"
#include "plan/build.h"

namespace kappa::ops {
namespace {

using data::TypeId;
using data::Value;
using plan::JoinType;

data::Schema SideSchema(const char* key) { return {{{key, TypeId::kText}, {"x", TypeId::kInt4}}}; }

TestRow RandomRow(std::mt19937_64& random) {
  return {random() % 8 == 0 ? Value::Null(TypeId::kText) : Value::Text("the key of the row is " + std::to_string(random() % 5)),
          random() % 8 == 0 ? Value::Null(TypeId::kInt4) : Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(random() % 6))};
}

bool Matches(const TestRow& left, const TestRow& right, bool keys, bool residual, bool null_equal) {
  if (keys && !(null_equal && left[0].null && right[0].null) && (left[0].null || right[0].null || left[0].bytes != right[0].bytes)) return false;
  return !residual || (!left[1].null && !right[1].null && left[1].As<int32_t>() < right[1].As<int32_t>());
}

Multiset Expected(const plan::Node& node, JoinType type, const std::vector<TestRow>& left, const std::vector<TestRow>& right, bool keys,
                  bool residual, bool null_equal) {
  std::vector<TestRow> out;
  std::vector<bool> matched(right.size(), false);
  const TestRow nulls = {Value::Null(TypeId::kText), Value::Null(TypeId::kInt4)};
  auto emit = [&](const TestRow& l, const TestRow& r) {
    out.push_back(l);
    out.back().insert(out.back().end(), r.begin(), r.end());
  };
  for (const TestRow& l : left) {
    bool any = false;
    for (size_t r = 0; r < right.size(); ++r) {
      if (!Matches(l, right[r], keys, residual, null_equal)) continue;
      any = matched[r] = true;
      if (type != JoinType::kSemi && type != JoinType::kAnti) emit(l, right[r]);
    }
    if (any == (type == JoinType::kSemi) && (type == JoinType::kSemi || type == JoinType::kAnti)) out.push_back(l);
    if (!any && (type == JoinType::kLeft || type == JoinType::kFull)) emit(l, nulls);
  }
  for (size_t r = 0; r < right.size(); ++r)
    if (!matched[r] && (type == JoinType::kRight || type == JoinType::kFull)) emit(nulls, right[r]);
  return ToMultiset(node.schema, out);
}

void RunModel(uint64_t seed, JoinType type, bool keys, bool residual, bool append_only = false, bool null_equal = false) {
  data::Schema left = SideSchema("l"), right = SideSchema("r");
  expr::ExprPtr condition;
  if (residual) condition = *expr::MakeOperator("<", {expr::MakeColumn(1, TypeId::kInt4, "x"), expr::MakeColumn(3, TypeId::kInt4, "x")}, 0);
  std::vector<expr::ExprPtr> left_keys, right_keys;
  if (keys) {
    left_keys = {Col(left, "l")};
    right_keys = {Col(right, "r")};
  }
  plan::NodePtr node =
      plan::MakeJoin(type, TestInput(left, append_only), TestInput(right, append_only), left_keys, right_keys, condition, {null_equal});
  TestStream streams[2] = {{left, append_only, RandomRow}, {right, append_only, RandomRow}};
  TestRun run([&] { return MakeOrDie(*node, !keys); });
  std::mt19937_64 random(seed);
  for (int epoch = 0; epoch < 60; ++epoch) {
    std::vector<std::pair<int, data::ChangeBatch>> batches;
    for (int port : {0, 1}) {
      if (random() % 4 == 0) continue;
      for (auto& batch : streams[port].Epoch(random, random() % 8)) batches.emplace_back(port, std::move(batch));
    }
    std::shuffle(batches.begin(), batches.end(), random);
    for (auto& [port, batch] : batches) run.Batch(port, std::move(batch));
    run.End();
    ASSERT_EQ(run.contents(), Expected(*node, type, streams[0].rows(), streams[1].rows(), keys, residual, null_equal)) << "epoch " << epoch;
    if (epoch % 9 == 4) run.Restart();
  }
}

TEST(HashJoin, Inner) { RunModel(1, JoinType::kInner, true, false); }
TEST(HashJoin, InnerAppendOnly) { RunModel(2, JoinType::kInner, true, true, true); }
TEST(HashJoin, InnerWithResidual) { RunModel(3, JoinType::kInner, true, true); }
TEST(HashJoin, Left) {
  for (uint64_t seed : {4, 5, 6}) RunModel(seed, JoinType::kLeft, true, false);
}
TEST(HashJoin, LeftWithResidual) {
  for (uint64_t seed : {7, 8, 9}) RunModel(seed, JoinType::kLeft, true, true);
}
TEST(HashJoin, Right) {
  RunModel(10, JoinType::kRight, true, false);
  RunModel(11, JoinType::kRight, true, true);
}
TEST(HashJoin, Full) {
  RunModel(12, JoinType::kFull, true, false);
  RunModel(13, JoinType::kFull, true, true);
}
TEST(HashJoin, SemiAndAnti) {
  for (const JoinType type : {JoinType::kSemi, JoinType::kAnti}) {
    for (uint64_t seed : {20, 21, 22}) {
      RunModel(seed, type, true, false);
      RunModel(seed, type, true, true);
      RunModel(seed, type, false, true);
      RunModel(seed, type, false, false);
      RunModel(seed, type, true, false, /*append_only=*/true);
    }
  }
}
TEST(HashJoin, NullsAreEqualWhenAsked) {
  for (const JoinType type : {JoinType::kInner, JoinType::kLeft, JoinType::kFull, JoinType::kSemi, JoinType::kAnti}) {
    RunModel(30, type, true, false, false, true);
    RunModel(31, type, true, true, false, true);
  }
}
TEST(HashJoin, Cross) { RunModel(14, JoinType::kCross, false, false); }
TEST(HashJoin, NestedLoop) {
  RunModel(15, JoinType::kInner, false, true);
  RunModel(16, JoinType::kLeft, false, true);
  RunModel(17, JoinType::kFull, false, true);
  RunModel(18, JoinType::kLeft, false, false);
}

using RandomKey = std::function<Value(std::mt19937_64&)>;

RandomKey TextKey(std::string prefix) {
  return [prefix](std::mt19937_64& random) { return Value::Text(prefix + std::to_string(random() % 12)); };
}

template <typename Integer> RandomKey IntegerKey(TypeId type, Integer least) {
  return [type, least](std::mt19937_64& random) {
    return Value::Fixed<Integer>(type, static_cast<Integer>(least + static_cast<Integer>(random() % 12)));
  };
}

// A side whose rows are decoded as a whole once more rows than it holds have met it, until it changes again. With `null_partners` it has rows
// of NULL; the other side has them always.
void RunResting(uint64_t seed, JoinType type, bool append_only, TypeId key_type, const RandomKey& key, bool null_partners) {
  const auto row = [&](bool nulls) {
    return [&key, key_type, nulls](std::mt19937_64& random) {
      return TestRow{nulls && random() % 8 == 0 ? Value::Null(key_type) : key(random),
                     Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(random() % 6))};
    };
  };
  data::Schema left{{{"l", key_type}, {"x", TypeId::kInt4}}}, right{{{"r", key_type}, {"x", TypeId::kInt4}}};
  const plan::NodePtr node = plan::MakeJoin(type, TestInput(left, append_only), TestInput(right, append_only), {Col(left, "l")}, {Col(right, "r")},
                                            nullptr, {/*null_equal=*/true});
  TestStream streams[2] = {{left, append_only, row(true)}, {right, append_only, row(null_partners)}};
  TestRun run([&] { return MakeOrDie(*node); });
  std::mt19937_64 random(seed);
  for (int phase = 0; phase < 6; ++phase) {
    for (auto& batch : streams[1].Epoch(random, 10)) run.Batch(1, std::move(batch));
    EXPECT_EQ(run.op().held_bytes(), 0);
    for (int epoch = 0; epoch < 5; ++epoch) {
      for (auto& batch : streams[0].Epoch(random, 20)) run.Batch(0, std::move(batch));
      run.End();
      ASSERT_EQ(run.contents(), Expected(*node, type, streams[0].rows(), streams[1].rows(), true, false, true)) << phase << "." << epoch;
    }
    EXPECT_EQ(run.op().held_bytes() > 0, !streams[1].rows().empty());
    if (phase % 3 == 1) run.Restart();
  }
}

TEST(HashJoin, DecodesASideThatRests) {
  for (const JoinType type : {JoinType::kInner, JoinType::kLeft}) {
    for (const bool append_only : {false, true}) {
      for (const char* prefix : {"", "key ", "the key of the row is "}) RunResting(1, type, append_only, TypeId::kText, TextKey(prefix), true);
      for (const bool nulls : {false, true}) {
        RunResting(2, type, append_only, TypeId::kInt2, IntegerKey<int16_t>(TypeId::kInt2, INT16_MIN), nulls);
        RunResting(3, type, append_only, TypeId::kInt4, IntegerKey<int32_t>(TypeId::kInt4, -5), nulls);
        RunResting(4, type, append_only, TypeId::kInt8, IntegerKey<int64_t>(TypeId::kInt8, INT64_MAX - 11), nulls);
      }
    }
  }
}

// Of a run: the right side comes first and waits as columns. When it ends before the left side comes, nothing of it goes into the state, unless
// rows of it go again (`growing` false) or it is too large.
void RunOnce(uint64_t seed, JoinType type, bool growing, bool ends, TypeId key_type, const RandomKey& key, size_t right_rows) {
  const auto row = [&](std::mt19937_64& random) {
    return TestRow{random() % 8 == 0 ? Value::Null(key_type) : key(random), Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(random() % 6))};
  };
  data::Schema left{{{"l", key_type}, {"x", TypeId::kInt4}}}, right{{{"r", key_type}, {"x", TypeId::kInt4}}};
  for (const bool null_equal : {false, true}) {
    const plan::NodePtr node =
        plan::MakeJoin(type, TestInput(left, true), TestInput(right, growing), {Col(left, "l")}, {Col(right, "r")}, nullptr, {null_equal});
    TestStream streams[2] = {{left, true, row}, {right, growing, row}};
    TestRun run([&] { return MakeOrDie(*node, /*bounded=*/true); });
    std::mt19937_64 random(seed);
    bool single = true;  // right rows came once each
    const auto push = [&](int port, size_t changes) {
      for (auto& batch : streams[port].Epoch(random, changes)) {
        single = single && (port == 0 || batch.weights == nullptr || std::count(batch.weights->begin(), batch.weights->end(), 1) == batch.rows);
        run.Batch(port, std::move(batch));
      }
    };
    for (size_t i = 0; i < 3; ++i) push(1, right_rows / 3);
    if (ends) run.op().OnInputEnd(1);
    for (int i = 0; i < 3; ++i) {
      push(0, 40);
      if (!ends) push(1, 5);
    }
    if (ends && single && (type == JoinType::kInner || type == JoinType::kLeft)) {
      EXPECT_EQ(run.op().state_rows(), 0) << "the right side waited, the left side need not be kept";
    }
    run.End();
    ASSERT_EQ(run.contents(), Expected(*node, type, streams[0].rows(), streams[1].rows(), true, false, null_equal)) << seed << null_equal;
  }
}

TEST(HashJoin, ARunDecodesWhatEndedFirst) {
  for (uint64_t seed = 1; seed < 8; ++seed) {
    for (const JoinType type : {JoinType::kInner, JoinType::kLeft, JoinType::kRight, JoinType::kFull, JoinType::kSemi, JoinType::kAnti}) {
      const bool waits = type == JoinType::kInner || type == JoinType::kLeft;
      for (const bool ends : {false, true}) {
        RunOnce(seed, type, false, ends, TypeId::kText, TextKey("key "), 30);
        RunOnce(seed, type, waits, ends, TypeId::kText, TextKey("the key of the row is "), 30);
        RunOnce(seed, type, waits, ends, TypeId::kInt4, IntegerKey<int32_t>(TypeId::kInt4, INT32_MIN), seed);
        const RandomKey sparse = [](std::mt19937_64& random) { return Value::Int8(static_cast<int64_t>(random() % 5) << 61); };
        RunOnce(seed, type, waits, ends, TypeId::kInt8, sparse, 30);
      }
    }
  }
}

TEST(HashJoin, EmptiesItsState) {
  data::Schema left = SideSchema("l"), right = SideSchema("r");
  plan::NodePtr node = plan::MakeJoin(JoinType::kLeft, TestInput(left, false), TestInput(right, false), {Col(left, "l")}, {Col(right, "r")}, nullptr);
  TestStream streams[2] = {{left, false, RandomRow}, {right, false, RandomRow}};
  TestRun run([&] { return MakeOrDie(*node); });
  std::mt19937_64 random(1);
  for (int port : {0, 1})
    for (auto& batch : streams[port].Epoch(random, 50)) run.Batch(port, std::move(batch));
  run.End();
  for (int port : {0, 1})
    run.Batch(port, MakeBatch(streams[port].schema(), streams[port].rows(), std::vector<int64_t>(streams[port].rows().size(), -1)));
  run.End();
  EXPECT_TRUE(run.contents().empty());
  EXPECT_EQ(run.op().state_rows(), 0);
}

TEST(HashJoin, KeysNeedOneType) {
  data::Schema left = SideSchema("l"), right = SideSchema("r");
  plan::NodePtr cross = plan::MakeJoin(JoinType::kCross, TestInput(left, false), TestInput(right, false), {}, {}, nullptr);
  EXPECT_TRUE(MakeOperator(*cross, {}).ok());
  plan::NodePtr mixed =
      plan::MakeJoin(JoinType::kInner, TestInput(left, false), TestInput(right, false), {Col(left, "l")}, {Col(right, "x")}, nullptr);
  EXPECT_EQ(MakeOperator(*mixed, {}).error().sqlstate(), sqlstate::kInternalError);
  EXPECT_EQ(RequiredDistribution(*mixed, 1).keys.size(), 1u);
  EXPECT_EQ(RequiredDistribution(*cross, 0).kind, Distribution::Kind::kSingle);
}

// Method: a watch that fails after some pieces; the operator must stop there.
TEST(HashJoin, IsWatchedWhileItWorks) {
  data::Schema left = SideSchema("l"), right = SideSchema("r");
  expr::ExprPtr never =
      *expr::MakeOperator("<", {expr::MakeColumn(1, TypeId::kInt4, "x"), expr::MakeLiteral(Value::Fixed<int32_t>(TypeId::kInt4, -1))}, 0);
  for (const JoinType type : {JoinType::kInner, JoinType::kAnti}) {
    plan::NodePtr node = plan::MakeJoin(type, TestInput(left, false), TestInput(right, false), {}, {}, never);
    OperatorOptions options;
    options.bounded = true;
    int pieces = 0;
    options.watch = [&](int64_t) -> Status {
      if (++pieces == 3) return Error(sqlstate::kQueryCanceled, "enough");
      return {};
    };
    auto op = *MakeOperator(*node, options);
    std::vector<TestRow> rows;
    for (int32_t i = 0; i < 600; ++i) rows.push_back({Value::Text("k"), Value::Fixed<int32_t>(TypeId::kInt4, i)});
    Output out;
    ASSERT_TRUE(op->OnBatch(0, MakeBatch(left, rows), out).ok());
    EXPECT_EQ(op->OnBatch(1, MakeBatch(right, rows), out).error().message(), "enough");
    EXPECT_EQ(pieces, 3);
  }
}

TEST(HashJoin, ManyPairsComeInPieces) {
  data::Schema left = SideSchema("l"), right = SideSchema("r");
  plan::NodePtr cross = plan::MakeJoin(JoinType::kCross, TestInput(left, false), TestInput(right, false), {}, {}, nullptr);
  auto op = MakeOrDie(*cross, true);
  std::vector<TestRow> rows;
  for (int32_t i = 0; i < 400; ++i) rows.push_back({Value::Text("k"), Value::Fixed<int32_t>(TypeId::kInt4, i)});
  Output out;
  ASSERT_TRUE(op->OnBatch(0, MakeBatch(left, rows), out).ok());
  ASSERT_TRUE(op->OnBatch(1, MakeBatch(right, rows), out).ok());
  EXPECT_GT(out.size(), 1u);
  int64_t total = 0;
  for (const auto& batch : out) total += batch.rows;
  EXPECT_EQ(total, 160000);
}

TEST(HashJoin, RowsThatCanMeetNoOtherGoWithTheWatermark) {
  // l.t between r.t - 5 and r.t + 20, rows at most 30 behind the watermark: model is the join of all rows.
  const data::Schema schema{{{"k", TypeId::kInt4}, {"t", TypeId::kTimestamp}, {"id", TypeId::kInt8}}};
  auto left = TestInput(schema, true), right = TestInput(schema, true);
  auto time = [](int column) { return expr::MakeColumn(column, TypeId::kTimestamp, "t"); };
  auto shifted = [&](int column, int64_t by) {
    return *expr::MakeOperator("+", {time(column), expr::MakeLiteral(Value::Fixed(TypeId::kInterval, data::Interval{by, 0, 0}))}, 0);
  };
  auto residual =
      *expr::MakeAnd({*expr::MakeOperator(">=", {time(1), shifted(4, -5)}, 0), *expr::MakeOperator("<=", {time(1), shifted(4, 20)}, 0)}, 0);
  auto plan = std::make_shared<plan::Join>(
      static_cast<const plan::Join&>(*plan::MakeJoin(plan::JoinType::kInner, left, right, {Col(schema, "k")}, {Col(schema, "k")}, residual)));
  plan->left_expiry = {1, 7, 5};    // r.t <= l.t + 5
  plan->right_expiry = {1, 7, 20};  // l.t <= r.t + 20
  TestRun run([&] { return MakeOrDie(*plan); });
  std::mt19937_64 random(1);
  std::vector<TestRow> rows[2];
  int64_t watermark = 0;
  for (int epoch = 0; epoch < 150; ++epoch) {
    for (int port = 0; port < 2; ++port) {
      std::vector<TestRow> batch;
      for (uint64_t i = random() % 4; i > 0; --i) {
        batch.push_back({Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(random() % 3)),
                         Value::Fixed<int64_t>(TypeId::kTimestamp, watermark + static_cast<int64_t>(random() % 40)),
                         Value::Int8(static_cast<int64_t>(random() % 1000))});
      }
      rows[port].insert(rows[port].end(), batch.begin(), batch.end());
      if (!batch.empty()) run.Batch(port, MakeBatch(schema, batch));
    }
    watermark += static_cast<int64_t>(random() % 15);
    run.End(watermark);
    std::vector<TestRow> expected;
    for (const TestRow& l : rows[0]) {
      for (const TestRow& r : rows[1]) {
        const int64_t distance = l[1].As<int64_t>() - r[1].As<int64_t>();
        if (l[0].As<int32_t>() != r[0].As<int32_t>() || distance < -5 || distance > 20) continue;
        TestRow joined = l;
        joined.insert(joined.end(), r.begin(), r.end());
        expected.push_back(std::move(joined));
      }
    }
    ASSERT_EQ(run.contents(), ToMultiset(plan->schema, expected)) << "epoch " << epoch;
    ASSERT_LT(run.op().state_rows(), 60);
    if (epoch % 13 == 5) run.Restart();
  }
  run.End(INT64_MAX);
  EXPECT_EQ(run.op().state_rows(), 0);
}

}  // namespace
}  // namespace kappa::ops
