// Goal: the sum of what an aggregate emits is the aggregate of what it was given, in any order of changes and over restarts.
// Method: random change streams against a recomputation from the remaining rows; single cases for the edges.
#include <cmath>

#include "data/array.h"
#include "data/numeric.h"
#include "ops/aggregate/group_combiner.h"
#include "ops/testing.h"
#include "plan/build.h"

namespace kappa::ops {
namespace {

using data::Numeric;
using data::TypeId;
using data::Value;
using expr::AggregateKind;

data::Schema InputSchema() {
  return {{{"k", TypeId::kText},
           {"b", TypeId::kBool},
           {"i", TypeId::kInt4},
           {"l", TypeId::kInt8},
           {"n", TypeId::kNumeric},
           {"f", TypeId::kFloat8},
           {"t", TypeId::kText},
           {"v", TypeId::kInterval},
           {"w", TypeId::kTimestamptz}}};
}

Value RandomNumeric(std::mt19937_64& random) {
  switch (random() % 40) {
    case 0: return Value::Bytes(TypeId::kNumeric, Numeric::Nan().ToBytes());
    case 1: return Value::Bytes(TypeId::kNumeric, Numeric::Infinity().ToBytes());
    case 2: return Value::Bytes(TypeId::kNumeric, Numeric::Parse("-123456789012345678901234567890123456789012345.678")->ToBytes());
    case 3: return Value::Bytes(TypeId::kNumeric, Numeric::Parse("0.0000000000000000000000000000000000000000000001")->ToBytes());
    default: return Value::Bytes(TypeId::kNumeric, Numeric(static_cast<int64_t>(random() % 2000) - 1000, static_cast<int>(random() % 10)).ToBytes());
  }
}

TestRow RandomRow(std::mt19937_64& random) {
  auto null = [&] { return random() % 6 == 0; };
  auto small = [&] { return static_cast<int64_t>(random() % 20) - 10; };
  std::string key = "group number " + std::to_string(random() % 12);
  TestRow row;
  row.push_back(null() ? Value::Null(TypeId::kText) : Value::Text(key));
  row.push_back(null() ? Value::Null(TypeId::kBool) : Value::Bool(random() % 2));
  row.push_back(null() ? Value::Null(TypeId::kInt4) : Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(small())));
  row.push_back(null() ? Value::Null(TypeId::kInt8) : Value::Int8(small() * 1'000'000'000'000'000));
  row.push_back(null() ? Value::Null(TypeId::kNumeric) : RandomNumeric(random));
  row.push_back(null() ? Value::Null(TypeId::kFloat8) : Value::Fixed<double>(TypeId::kFloat8, static_cast<double>(small()) / 8));
  row.push_back(null() ? Value::Null(TypeId::kText) : Value::Text(std::string(random() % 30, 'x') + std::to_string(small())));
  row.push_back(
      null() ? Value::Null(TypeId::kInterval)
             : Value::Fixed(TypeId::kInterval, data::Interval{small() * 1'000'000, static_cast<int32_t>(small()), static_cast<int32_t>(small())}));
  row.push_back(Value::Fixed<int64_t>(TypeId::kTimestamptz, 1'000'000 * (1 + static_cast<int64_t>(random() % 10))));
  return row;
}

expr::AggregateCall Call(AggregateKind kind, std::string_view argument, data::Type type, bool distinct = false) {
  expr::AggregateCall call{.kind = kind, .arguments = {}, .distinct = distinct, .filter = nullptr, .order_by = {}, .type = type, .name = "a"};
  if (!argument.empty()) call.arguments.push_back(Col(InputSchema(), argument));
  return call;
}

std::vector<expr::AggregateCall> AllCalls() {
  std::vector<expr::AggregateCall> calls = {
      Call(AggregateKind::kCountStar, "", TypeId::kInt8),  Call(AggregateKind::kCount, "i", TypeId::kInt8),
      Call(AggregateKind::kSum, "i", TypeId::kInt8),       Call(AggregateKind::kSum, "l", TypeId::kNumeric),
      Call(AggregateKind::kAvg, "i", TypeId::kNumeric),    Call(AggregateKind::kSum, "n", TypeId::kNumeric),
      Call(AggregateKind::kAvg, "n", TypeId::kNumeric),    Call(AggregateKind::kSum, "f", TypeId::kFloat8),
      Call(AggregateKind::kAvg, "f", TypeId::kFloat8),     Call(AggregateKind::kMin, "i", TypeId::kInt4),
      Call(AggregateKind::kMax, "i", TypeId::kInt4),       Call(AggregateKind::kMin, "t", TypeId::kText),
      Call(AggregateKind::kMax, "t", TypeId::kText),       Call(AggregateKind::kMax, "n", TypeId::kNumeric),
      Call(AggregateKind::kMin, "f", TypeId::kFloat8),     Call(AggregateKind::kBoolAnd, "b", TypeId::kBool),
      Call(AggregateKind::kBoolOr, "b", TypeId::kBool),    Call(AggregateKind::kCount, "t", TypeId::kInt8, true),
      Call(AggregateKind::kSum, "i", TypeId::kInt8, true), Call(AggregateKind::kSum, "v", TypeId::kInterval),
      Call(AggregateKind::kMin, "v", TypeId::kInterval),   Call(AggregateKind::kSum, "i", TypeId::kInt8),
      Call(AggregateKind::kMin, "l", TypeId::kInt8)};
  for (size_t i = calls.size() - 2; i < calls.size(); ++i) calls[i].filter = Col(InputSchema(), "b");
  return calls;
}

int CompareForTest(const Value& a, const Value& b) {
  auto sign = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  switch (a.type.id) {
    case TypeId::kInt4: return sign(a.As<int32_t>(), b.As<int32_t>());
    case TypeId::kInt8: return sign(a.As<int64_t>(), b.As<int64_t>());
    case TypeId::kFloat8: return sign(a.As<double>(), b.As<double>());
    case TypeId::kText: return sign(a.bytes, b.bytes);
    case TypeId::kNumeric: return Compare(Numeric::FromBytes(a.bytes), Numeric::FromBytes(b.bytes));
    default: {
      auto span = [](const Value& v) {
        auto i = v.As<data::Interval>();
        return static_cast<int128_t>(i.micros) + (i.days + static_cast<int128_t>(30) * i.months) * 86'400'000'000;
      };
      return sign(span(a), span(b));
    }
  }
}

Value NumericValue(const Numeric& n) { return Value::Bytes(TypeId::kNumeric, n.ToBytes()); }

/// One aggregate of some rows, computed plainly.
Value Expected(const expr::AggregateCall& call, const std::vector<const TestRow*>& rows) {
  std::vector<Value> values;
  for (const TestRow* row : rows) {
    const Value& pass = (*row)[1];
    if (call.filter && (pass.null || pass.As<uint8_t>() == 0)) continue;
    if (call.arguments.empty()) {
      values.push_back(Value::Int8(0));
      continue;
    }
    const Value& v = (*row)[static_cast<size_t>(static_cast<const expr::ColumnRef&>(*call.arguments[0]).index())];
    if (!v.null && !(call.distinct && std::find(values.begin(), values.end(), v) != values.end())) values.push_back(v);
  }
  if (call.kind == AggregateKind::kCount || call.kind == AggregateKind::kCountStar) return Value::Int8(static_cast<int64_t>(values.size()));
  if (values.empty()) return Value::Null(call.type);
  switch (call.kind) {
    case AggregateKind::kMin:
    case AggregateKind::kMax: {
      Value best = values[0];
      for (const Value& v : values) {
        int order = CompareForTest(v, best) * (call.kind == AggregateKind::kMax ? -1 : 1);
        if (order < 0 || (order == 0 && v.bytes < best.bytes)) best = v;
      }
      return best;
    }
    case AggregateKind::kBoolAnd: return Value::Bool(std::all_of(values.begin(), values.end(), [](const Value& v) { return v.As<uint8_t>() != 0; }));
    case AggregateKind::kBoolOr: return Value::Bool(std::any_of(values.begin(), values.end(), [](const Value& v) { return v.As<uint8_t>() != 0; }));
    default: break;
  }
  const bool average = call.kind == AggregateKind::kAvg;
  switch (values[0].type.id) {
    case TypeId::kInt4:
    case TypeId::kInt8: {
      int128_t sum = 0;
      for (const Value& v : values) sum += v.type.id == TypeId::kInt4 ? v.As<int32_t>() : v.As<int64_t>();
      if (average) return NumericValue(*Divide(Numeric(sum), Numeric(static_cast<int64_t>(values.size()))));
      return call.type.id == TypeId::kInt8 ? Value::Int8(static_cast<int64_t>(sum)) : NumericValue(Numeric(sum));
    }
    case TypeId::kNumeric: {
      Numeric sum;
      for (const Value& v : values) sum = *Add(sum, Numeric::FromBytes(v.bytes));
      return NumericValue(average ? *Divide(sum, Numeric(static_cast<int64_t>(values.size()))) : sum);
    }
    case TypeId::kFloat8: {
      double sum = 0;
      for (const Value& v : values) sum += v.As<double>();
      return Value::Fixed<double>(TypeId::kFloat8, average ? sum / static_cast<double>(values.size()) : sum);
    }
    default: {
      data::Interval sum;
      for (const Value& v : values) {
        auto i = v.As<data::Interval>();
        sum = {sum.micros + i.micros, sum.days + i.days, sum.months + i.months};
      }
      return Value::Fixed(TypeId::kInterval, sum);
    }
  }
}

Multiset ExpectedGroups(const plan::Aggregate& node, const std::vector<TestRow>& rows) {
  std::map<std::string, std::pair<TestRow, std::vector<const TestRow*>>> groups;
  if (node.keys.empty()) groups[""];
  for (const TestRow& row : rows) {
    TestRow key;
    std::string bytes;
    for (const auto& expression : node.keys) {
      key.push_back(row[static_cast<size_t>(static_cast<const expr::ColumnRef&>(*expression).index())]);
      bytes += key.back().null ? std::string("N") : "V" + std::to_string(key.back().bytes.size()) + ":" + key.back().bytes;
    }
    auto& group = groups[bytes];
    group.first = key;
    group.second.push_back(&row);
  }
  std::vector<TestRow> out;
  for (const auto& [bytes, group] : groups) {
    TestRow row = group.first;
    for (const auto& call : node.aggregates) row.push_back(Expected(call, group.second));
    out.push_back(std::move(row));
  }
  return ToMultiset(node.schema, out);
}

std::shared_ptr<const plan::Aggregate> Plan(bool append_only, std::vector<std::string> keys, std::vector<expr::AggregateCall> calls,
                                            int close_key = -1) {
  std::vector<expr::ExprPtr> expressions;
  std::vector<std::string> names = keys;
  for (const std::string& key : keys) expressions.push_back(Col(InputSchema(), key));
  for (size_t i = 0; i < calls.size(); ++i) names.push_back("a" + std::to_string(i));
  return std::static_pointer_cast<const plan::Aggregate>(
      plan::MakeAggregate(TestInput(InputSchema(), append_only), std::move(expressions), std::move(calls), std::move(names), close_key, 7));
}

void RunModel(uint64_t seed, bool append_only, std::vector<std::string> keys) {
  auto plan = Plan(append_only, keys, AllCalls());
  TestStream stream(InputSchema(), append_only, RandomRow);
  TestRun run([&] { return MakeOrDie(*plan); });
  std::mt19937_64 random(seed);
  for (int epoch = 0; epoch < 60; ++epoch) {
    for (auto& batch : stream.Epoch(random, random() % 30)) run.Batch(0, std::move(batch));
    Output output = run.End();
    ASSERT_EQ(run.contents(), ExpectedGroups(*plan, stream.rows())) << "epoch " << epoch;
    for (const auto& [row, count] : ToMultiset(output)) ASSERT_TRUE(count == 1 || count == -1);
    if (epoch % 7 == 3) run.Restart();
  }
}

TEST(HashAggregate, EqualsRecomputationWithDeletes) {
  for (uint64_t seed : {1, 2, 3}) RunModel(seed, false, {"k"});
}
TEST(HashAggregate, EqualsRecomputationAppendOnly) {
  for (uint64_t seed : {4, 5, 6}) RunModel(seed, true, {"k"});
}
TEST(HashAggregate, EqualsRecomputationGlobal) {
  RunModel(7, false, {});
  RunModel(8, true, {});
}
TEST(HashAggregate, EqualsRecomputationSeveralKeys) { RunModel(9, false, {"k", "i", "b"}); }

/// What EXPLAIN says of a call is what its accumulator can do.
TEST(HashAggregate, PlansKnowWhichCallsAreCombined) {
  std::vector<expr::AggregateCall> calls = AllCalls();
  for (const AggregateKind kind : {AggregateKind::kBitOr, AggregateKind::kStddevPop, AggregateKind::kArrayAgg, AggregateKind::kAnyValue})
    calls.push_back(Call(kind, "i", kind == AggregateKind::kStddevPop ? TypeId::kNumeric : TypeId::kInt4));
  for (const bool append_only : {true, false}) {
    for (size_t i = 0; i <= calls.size(); ++i) {
      const auto plan = Plan(append_only, {"k"}, i == calls.size() ? std::vector<expr::AggregateCall>() : std::vector{calls[i]});
      auto combiner = GroupCombiner::Make(*plan, {});
      ASSERT_TRUE(combiner.ok());
      EXPECT_EQ(plan::HasTwoStages(*plan), *combiner != nullptr) << "call " << i << " append only " << append_only;
    }
  }
}

/// A row whose values fit into the payload of their group.
TestRow PlainRow(std::mt19937_64& random) {
  TestRow row = RandomRow(random);
  row[4] = NumericValue(Numeric(static_cast<int64_t>(random() % 2000) - 1000, static_cast<int>(random() % 10)));
  row[6] = Value::Text(std::string(random() % 10, 'x'));
  return row;
}

/// Some of the rows, with weight -1; they are no longer among them.
data::ChangeBatch TakeBack(std::vector<TestRow>& rows, std::mt19937_64& random) {
  std::vector<TestRow> gone;
  for (size_t i = rows.size() / 3; i > 0; --i) {
    std::swap(rows[random() % rows.size()], rows.back());
    gone.push_back(std::move(rows.back()));
    rows.pop_back();
  }
  data::ChangeBatch batch = MakeBatch(InputSchema(), gone);
  batch.weights = std::make_shared<const std::vector<int64_t>>(gone.size(), -1);
  return batch;
}

/// Batches of 600 rows, combined where that is possible, and some that are too small for it or take rows back.
void RunCombined(uint64_t seed, std::vector<std::string> keys, bool append_only = true) {
  std::vector<expr::AggregateCall> calls = AllCalls();
  std::erase_if(calls, [&](const expr::AggregateCall& call) { return !plan::HasTwoStages(*Plan(append_only, keys, {call})); });
  const auto plan = Plan(append_only, keys, calls);
  auto combiner = GroupCombiner::Make(*plan, {});
  ASSERT_TRUE(combiner.ok() && *combiner != nullptr);
  TestRun run([&] { return MakeOrDie(*plan); });
  std::mt19937_64 random(seed);
  std::vector<TestRow> all;
  size_t combined = 0, as_they_are = 0;
  for (int epoch = 0; epoch < 12; ++epoch) {
    for (int batch = 0; batch < 3; ++batch) {
      const bool plain = epoch < 3 || random() % 2 == 0;
      std::vector<TestRow> rows;
      for (size_t i = random() % 4 == 0 ? 100 : 600; i > 0; --i) rows.push_back(plain ? PlainRow(random) : RandomRow(random));
      all.insert(all.end(), rows.begin(), rows.end());
      const data::ChangeBatch changes = MakeBatch(InputSchema(), rows);
      auto made = (*combiner)->Combine(changes);
      ASSERT_TRUE(made.ok());
      if (made->has_value()) ++combined, run.Batch(kCombinedPort, std::move(**made));
      else ++as_they_are, run.Batch(0, changes);
    }
    if (!append_only) {
      const data::ChangeBatch gone = TakeBack(all, random);
      ASSERT_FALSE((*combiner)->Combine(gone)->has_value());
      run.Batch(0, gone);
    }
    run.End();
    ASSERT_EQ(run.contents(), ExpectedGroups(*plan, all)) << "epoch " << epoch;
    if (epoch % 4 == 1) run.Restart();
  }
  EXPECT_GT(combined, 6u);
  EXPECT_GT(as_they_are, 6u);
}

TEST(HashAggregate, TakesCombinedRows) {
  RunCombined(20, {"k"});
  RunCombined(21, {"k", "b"});
  RunCombined(22, {});
  RunCombined(23, {"k"}, /*append_only=*/false);
  RunCombined(24, {}, /*append_only=*/false);
}

TEST(HashAggregate, CombinesNoRowsThatItNeeds) {
  const auto none = [](const plan::Aggregate& plan) { return *GroupCombiner::Make(plan, {}) == nullptr; };
  EXPECT_TRUE(none(*Plan(false, {"k"}, {Call(AggregateKind::kMin, "i", TypeId::kInt4)})));
  EXPECT_FALSE(none(*Plan(false, {"k"}, {Call(AggregateKind::kCountStar, "", TypeId::kInt8)})));
  EXPECT_TRUE(none(*Plan(true, {"k"}, {Call(AggregateKind::kCount, "t", TypeId::kInt8, true)})));
  EXPECT_FALSE(none(*Plan(true, {"k"}, {Call(AggregateKind::kCountStar, "", TypeId::kInt8)})));
}

// Sums of numerics with so many digits that two of them do not fit side by side.
TEST(HashAggregate, CombinedSumsMayOutgrowTheirPayload) {
  const auto plan = Plan(true, {}, {Call(AggregateKind::kSum, "n", TypeId::kNumeric), Call(AggregateKind::kAvg, "n", TypeId::kNumeric)});
  const auto combiner = std::move(GroupCombiner::Make(*plan, {})).value();
  TestRun run([&] { return MakeOrDie(*plan); });
  std::mt19937_64 random(3);
  std::vector<TestRow> all;
  for (const char* number : {"90000000000000000000000000000000000", "0.000000000000000000000000000001", "-7.5"}) {
    std::vector<TestRow> rows(600, RandomRow(random));
    for (TestRow& row : rows) row[4] = NumericValue(*Numeric::Parse(number));
    all.insert(all.end(), rows.begin(), rows.end());
    auto combined = combiner->Combine(MakeBatch(InputSchema(), rows));
    ASSERT_TRUE(combined.ok() && combined->has_value()) << number;
    run.Batch(kCombinedPort, std::move(**combined));
  }
  run.End();
  EXPECT_EQ(run.contents(), ExpectedGroups(*plan, all));
}

/// The batch with its numerics, which are all of this scale, as a scaled column.
data::ChangeBatch WithCoefficients(data::ChangeBatch batch, int scale) {
  const data::Column& numerics = *batch.columns[4];
  auto scaled = std::make_shared<data::Column>(numerics.type(), batch.rows, data::Column::Scale{scale});
  for (int64_t i = 0; i < batch.rows; ++i) {
    scaled->mutable_coefficients()[i] = static_cast<int64_t>(Numeric::FromBytes(numerics.bytes(i)).small());
    if (numerics.IsNull(i)) scaled->SetNull(i);
  }
  batch.columns[4] = std::move(scaled);
  return batch;
}

/// Numerics come as coefficients, of two scales, and one by one, also large and special ones.
void RunScaled(uint64_t seed, bool append_only) {
  std::vector<expr::AggregateCall> calls = AllCalls();
  std::erase_if(calls, [](const expr::AggregateCall& call) { return call.arguments.empty() || call.arguments[0]->type().id != TypeId::kNumeric; });
  for (const AggregateKind kind : {AggregateKind::kMin, AggregateKind::kMax}) calls.push_back(Call(kind, "n", TypeId::kNumeric));
  const auto plan = Plan(append_only, {"k"}, calls);
  TestRun run([&] { return MakeOrDie(*plan); });
  std::mt19937_64 random(seed);
  std::vector<TestRow> all;
  for (int epoch = 0; epoch < 30; ++epoch) {
    std::vector<TestRow> rows;
    const int scale = static_cast<int>(random() % 3) - 1;
    for (size_t i = random() % 60; i > 0; --i) {
      TestRow& row = rows.emplace_back(RandomRow(random));
      const auto coefficient = static_cast<int64_t>(random() % 5 == 0 ? random() : random() % 2000);
      if (scale >= 0 && !row[4].null) row[4] = NumericValue(Numeric(coefficient, 2 * scale));
    }
    all.insert(all.end(), rows.begin(), rows.end());
    data::ChangeBatch batch = MakeBatch(InputSchema(), rows);
    run.Batch(0, scale < 0 ? std::move(batch) : WithCoefficients(std::move(batch), 2 * scale));
    if (!append_only && !all.empty()) run.Batch(0, TakeBack(all, random));
    run.End();
    ASSERT_EQ(run.contents(), ExpectedGroups(*plan, all)) << "epoch " << epoch;
    if (epoch % 9 == 4) run.Restart();
  }
}

TEST(HashAggregate, TakesCoefficients) {
  for (const uint64_t seed : {30, 31, 32}) RunScaled(seed, true);
  RunScaled(33, false);
}

TEST(HashAggregate, NothingGivesOneRowWithoutKeysAndNoneWithKeys) {
  auto global = Plan(false, {}, {Call(AggregateKind::kCountStar, "", TypeId::kInt8), Call(AggregateKind::kSum, "i", TypeId::kInt8)});
  TestRun run([&] { return MakeOrDie(*global); });
  Output output = run.End();
  EXPECT_EQ(ToMultiset(output), ToMultiset(global->schema, {{Value::Int8(0), Value::Null(TypeId::kInt8)}}));
  EXPECT_TRUE(run.End().empty());
  run.Restart();
  EXPECT_TRUE(run.End().empty());
  auto keyed = Plan(false, {"k"}, {Call(AggregateKind::kCountStar, "", TypeId::kInt8)});
  TestRun other([&] { return MakeOrDie(*keyed); });
  EXPECT_TRUE(other.End().empty());
}

TEST(HashAggregate, EmitsNothingWhenTheResultStaysTheSame) {
  auto plan = Plan(false, {"k"}, {Call(AggregateKind::kMax, "i", TypeId::kInt4)});
  TestRun run([&] { return MakeOrDie(*plan); });
  std::mt19937_64 random(1);
  TestRow row = RandomRow(random);
  row[2] = Value::Fixed<int32_t>(TypeId::kInt4, 5);
  run.Batch(0, MakeBatch(InputSchema(), {row}));
  EXPECT_EQ(run.End().size(), 1u);
  row[2] = Value::Fixed<int32_t>(TypeId::kInt4, 4);
  run.Batch(0, MakeBatch(InputSchema(), {row}));
  EXPECT_TRUE(run.End().empty());
}

TEST(HashAggregate, CollectsOverABulkStep) {
  auto plan = Plan(true, {"k"}, {Call(AggregateKind::kCountStar, "", TypeId::kInt8)});
  TestRun run([&] { return MakeOrDie(*plan); });
  std::mt19937_64 random(1);
  TestRow row = RandomRow(random);
  run.Batch(0, MakeBatch(InputSchema(), {row}));
  EXPECT_TRUE(run.End(0, /*flush=*/false).empty());
  run.Batch(0, MakeBatch(InputSchema(), {row}));
  EXPECT_EQ(ToMultiset(run.End()), ToMultiset(plan->schema, {{row[0], Value::Int8(2)}}));
}

TEST(HashAggregate, MoreDeletesThanRowsIsAnError) {
  auto plan = Plan(false, {"k"}, {Call(AggregateKind::kCountStar, "", TypeId::kInt8)});
  auto op = MakeOrDie(*plan);
  std::mt19937_64 random(1);
  Output out;
  ASSERT_TRUE(op->OnBatch(0, MakeBatch(InputSchema(), {RandomRow(random)}, {-1}), out).ok());
  EXPECT_EQ(op->OnEpochEnd({}, out).error().sqlstate(), sqlstate::kInternalError);
}

TEST(HashAggregate, WindowsAreEmittedOnceWhenTheWatermarkPasses) {
  auto plan = Plan(true, {"w", "k"}, AllCalls(), /*close_key=*/0);
  TestStream stream(InputSchema(), true, RandomRow);
  TestRun run([&] { return MakeOrDie(*plan); });
  std::mt19937_64 random(11);
  std::vector<TestRow> given;
  for (int second = 0; second <= 11; ++second) {
    for (auto& batch : stream.Epoch(random, 40)) {  // rows of windows that are still open only
      std::vector<int32_t> open;
      for (int64_t i = 0; i < batch.rows; ++i)
        if (batch.columns[8]->data<int64_t>()[i] > (second - 1) * 1'000'000) open.push_back(static_cast<int32_t>(i));
      data::ChangeBatch part = data::Gather(batch, open);
      for (int64_t i = 0; i < part.rows; ++i) {
        TestRow row;
        for (const auto& column : part.columns) row.push_back(data::ValueAt(*column, i));
        for (int64_t k = 0; k < part.weight(i); ++k) given.push_back(row);
      }
      run.Batch(0, std::move(part));
    }
    int64_t watermark = second == 11 ? INT64_MAX : second * 1'000'000;
    Output output = run.End(watermark, random() % 2 == 0);
    std::vector<TestRow> closed;
    for (const TestRow& row : given)
      if (row[8].As<int64_t>() <= watermark) closed.push_back(row);
    ASSERT_EQ(run.contents(), ExpectedGroups(*plan, closed));
    for (const auto& [row, count] : run.contents()) ASSERT_EQ(count, 1);
    if (second % 3 == 1) run.Restart();
  }
  EXPECT_EQ(run.op().state_rows(), 0);
}

TEST(HashAggregate, FloatSumsAreExactUnderDeletes) {
  auto plan = Plan(false, {}, {Call(AggregateKind::kSum, "f", TypeId::kFloat8)});
  TestRun run([&] { return MakeOrDie(*plan); });
  std::mt19937_64 random(1);
  TestRow base = RandomRow(random);
  auto change = [&](double value, int64_t weight) {
    base[5] = Value::Fixed<double>(TypeId::kFloat8, value);
    run.Batch(0, MakeBatch(InputSchema(), {base}, {weight}));
  };
  auto expect = [&](double value) {
    run.End();
    EXPECT_EQ(run.contents(), ToMultiset(plan->schema, {{Value::Fixed<double>(TypeId::kFloat8, value)}})) << value;
  };
  change(0.1, 1);
  change(1e300, 1);
  change(5e-324, 1);
  expect(1e300);
  change(1e300, -1);
  expect(0.1);
  change(0.1, -1);
  expect(5e-324);
  change(-1.7e308, 5);
  change(1.7e308, 6);
  change(5e-324, -1);
  expect(1.7e308);
  change(INFINITY, 1);
  expect(INFINITY);
  change(-INFINITY, 1);
  run.End();
  change(INFINITY, -1);
  change(-INFINITY, -1);
  run.End();
  run.Restart();
  change(1.7e308, -1);
  change(1.0, 1);
  change(0x1p-53, 1);
  change(0x1p-105, 1);  // just above half an ulp: must round up
  expect(1.0 + 0x1p-52);
}

TEST(HashAggregate, IntegerSumOutOfRangeIsNullInAViewAndFailsAQuery) {
  data::Schema schema{{{"x", TypeId::kInt8}}};
  expr::AggregateCall call{.kind = AggregateKind::kSum,
                           .arguments = {Col(schema, "x")},
                           .distinct = false,
                           .filter = nullptr,
                           .order_by = {},
                           .type = TypeId::kInt8,
                           .name = "sum"};
  auto plan = plan::MakeAggregate(TestInput(schema, false), {}, {call}, {"s"}, -1, 0);
  for (bool bounded : {false, true}) {
    auto op = MakeOrDie(*plan, bounded);
    Output out;
    ASSERT_TRUE(op->OnBatch(0, MakeBatch(schema, {{Value::Int8(INT64_MAX)}, {Value::Int8(1)}}), out).ok());
    Status status = op->OnEpochEnd({}, out);
    if (bounded) {
      EXPECT_EQ(status.error().message(), "bigint out of range");
    } else {
      EXPECT_EQ(ToMultiset(out), ToMultiset(plan->schema, {{Value::Null(TypeId::kInt8)}}));
      EXPECT_EQ(op->errors(), 1);
    }
  }
}

TEST(HashAggregate, StringAggOrdersAndDeletes) {
  data::Schema schema{{{"t", TypeId::kText}, {"o", TypeId::kInt4}}};
  expr::AggregateCall call{.kind = AggregateKind::kStringAgg,
                           .arguments = {Col(schema, "t"), expr::MakeLiteral(Value::Text(","))},
                           .distinct = false,
                           .filter = nullptr,
                           .order_by = {},
                           .type = TypeId::kText,
                           .name = "string_agg"};
  expr::AggregateCall ordered = call, distinct = call;
  ordered.order_by = {{Col(schema, "o"), true}};
  distinct.distinct = true;
  auto plan = plan::MakeAggregate(TestInput(schema, false), {}, {call, ordered, distinct}, {"a", "b", "c"}, -1, 0);
  TestRun run([&] { return MakeOrDie(*plan); });
  auto row = [](const char* t, int o) {
    return TestRow{t == nullptr ? Value::Null(TypeId::kText) : Value::Text(t), Value::Fixed<int32_t>(TypeId::kInt4, o)};
  };
  run.Batch(0, MakeBatch(schema, {row("b", 1), row("gone", 9), row("a", 3), row(nullptr, 4)}));
  run.Batch(0, MakeBatch(schema, {row("gone", 9), row("b", 2)}, {-1, 1}));
  run.End();
  EXPECT_EQ(run.contents(), ToMultiset(plan->schema, {{Value::Text("a,b,b"), Value::Text("a,b,b"), Value::Text("a,b")}}));
}

TEST(HashAggregate, ArrayAggKeepsNullsAndOrders) {
  data::Schema schema{{{"x", TypeId::kInt4}}};
  expr::AggregateCall call{.kind = AggregateKind::kArrayAgg,
                           .arguments = {Col(schema, "x")},
                           .distinct = false,
                           .filter = nullptr,
                           .order_by = {{Col(schema, "x"), true, true}},
                           .type = data::Type::ArrayOf(TypeId::kInt4),
                           .name = "array_agg"};
  auto plan = plan::MakeAggregate(TestInput(schema, true), {}, {call}, {"a"}, -1, 0);
  TestRun run([&] { return MakeOrDie(*plan, true); });
  auto i = [](int32_t v) { return Value::Fixed<int32_t>(TypeId::kInt4, v); };
  run.Batch(0, MakeBatch(schema, {{i(1)}, {Value::Null(TypeId::kInt4)}, {i(3)}}));
  run.End();
  data::ArrayBuilder expected(TypeId::kInt4);
  expected.AppendNull();
  for (int32_t v : {3, 1}) expected.Append(i(v).bytes);
  EXPECT_EQ(run.contents(), ToMultiset(plan->schema, {{Value::Bytes(call.type, expected.Finish())}}));
}

}  // namespace
}  // namespace kappa::ops
