// Goal: the operators without groups: filter, project, window, union, upsert, sort, limit. Method: single cases with known
// answers, and random changelogs for upsert.
#include "data/array.h"
#include "ops/testing.h"
#include "ops/upsert.h"
#include "plan/build.h"

namespace kappa::ops {
namespace {

using data::TypeId;
using data::Value;

data::Schema TestSchema() { return {{{"a", TypeId::kInt4}, {"t", TypeId::kText}, {"ts", TypeId::kTimestamptz}}}; }
Value Int(int32_t i) { return Value::Fixed<int32_t>(TypeId::kInt4, i); }
Value Time(int64_t us) { return Value::Fixed<int64_t>(TypeId::kTimestamptz, us); }
TestRow Row(int32_t a, const char* t = "x", int64_t ts = 0) { return {Int(a), Value::Text(t), Time(ts)}; }
expr::ExprPtr Greater(int32_t than) { return *expr::MakeOperator(">", {Col(TestSchema(), "a"), expr::MakeLiteral(Int(than))}, 0); }

Output Execute(const plan::Node& node, std::vector<data::ChangeBatch> batches, bool bounded = false) {
  auto op = MakeOrDie(node, bounded);
  Output out;
  for (auto& batch : batches) EXPECT_TRUE(op->OnBatch(0, std::move(batch), out).ok());
  EXPECT_TRUE(op->OnEpochEnd({}, out).ok());
  return out;
}
std::vector<TestRow> InOrder(const Output& out) {
  std::vector<TestRow> rows;
  for (const auto& batch : out) {
    for (int64_t i = 0; i < batch.rows; ++i) {
      EXPECT_EQ(batch.weight(i), 1);
      TestRow row;
      for (const auto& column : batch.columns) row.push_back(data::ValueAt(*column, i));
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

TEST(Filter, KeepsTrueRowsWithTheirWeights) {
  auto node = plan::MakeFilter(TestInput(TestSchema(), false), Greater(1));
  TestRow null = Row(0);
  null[0] = Value::Null(TypeId::kInt4);
  Output out = Execute(*node, {MakeBatch(TestSchema(), {Row(1), Row(2), null, Row(3)}, {1, -1, 1, 2})});
  Multiset expected;
  AddTo(expected, MakeBatch(TestSchema(), {Row(2), Row(3)}, {-1, 2}));
  EXPECT_EQ(ToMultiset(out), expected);
}

TEST(Project, ComputesColumnsAndCountsErrorsInViews) {
  auto divide = *expr::MakeOperator("/", {expr::MakeLiteral(Int(6)), Col(TestSchema(), "a")}, 0);
  auto node = plan::MakeProject(TestInput(TestSchema(), false), {Col(TestSchema(), "t"), divide}, {"t", "q"});
  auto view = MakeOrDie(*node);
  Output out;
  ASSERT_TRUE(view->OnBatch(0, MakeBatch(TestSchema(), {Row(2, "a"), Row(0, "b")}, {-1, 1}), out).ok());
  Multiset expected;
  AddTo(expected, MakeBatch(node->schema, {{Value::Text("a"), Int(3)}, {Value::Text("b"), Value::Null(TypeId::kInt4)}}, {-1, 1}));
  EXPECT_EQ(ToMultiset(out), expected);
  EXPECT_EQ(view->errors(), 1);
  auto query = MakeOrDie(*node, true);
  EXPECT_EQ(query->OnBatch(0, MakeBatch(TestSchema(), {Row(0)}), out).error().sqlstate(), sqlstate::kDivisionByZero);
}

TEST(Window, TumbleAlignsToTheEpochAlsoBefore1970) {
  auto node = plan::MakeWindow(TestInput(TestSchema(), true), 2, 10, 10, 3);
  TestRow null = Row(9);
  null[2] = Value::Null(TypeId::kTimestamptz);
  auto rows = InOrder(Execute(*node, {MakeBatch(TestSchema(), {Row(1, "x", 3), Row(2, "x", 12), Row(3, "x", 2), Row(4, "x", -8), null,
                                                               Row(5, "x", INT64_MAX), Row(6, "x", 13)})}));
  std::vector<std::pair<int64_t, int64_t>> windows;
  for (const TestRow& row : rows) windows.emplace_back(row[3].As<int64_t>(), row[4].As<int64_t>());
  EXPECT_EQ(windows, (std::vector<std::pair<int64_t, int64_t>>{{3, 13}, {3, 13}, {-7, 3}, {-17, -7}, {13, 23}}));
}

TEST(Window, HopGivesEveryWindowOfARow) {
  for (auto [slide, size] : {std::pair<int64_t, int64_t>{10, 30}, {10, 25}, {30, 10}, {7, 7}}) {
    auto node = plan::MakeWindow(TestInput(TestSchema(), true), 2, slide, size, 0);
    std::mt19937_64 random(1);
    std::vector<TestRow> in;
    for (int i = 0; i < 300; ++i) in.push_back(Row(i, "x", static_cast<int64_t>(random() % 400) - 200));
    std::vector<TestRow> expected;
    for (const TestRow& row : in) {
      int64_t t = row[2].As<int64_t>();
      for (int64_t s = -100 * slide; s <= 100 * slide; s += slide) {
        if (s <= t && t < s + size) {
          expected.push_back(row);
          expected.back().push_back(Time(s));
          expected.back().push_back(Time(s + size));
        }
      }
    }
    EXPECT_EQ(ToMultiset(Execute(*node, {MakeBatch(TestSchema(), in)})), ToMultiset(node->schema, expected)) << slide << " " << size;
  }
}

TEST(Window, CumulateGivesTheEndsAfterARow) {
  auto node = plan::MakeWindow(TestInput(TestSchema(), true), 2, 10, 30, 5, plan::Window::Shape::kCumulate);
  TestRun run([&] { return MakeOrDie(*node); });
  run.Batch(0, MakeBatch(TestSchema(), {Row(1, "a", 5), Row(2, "b", 24), Row(3, "c", 34), Row(4, "d", -1)}, {1, 1, -1, 1}));
  Multiset expected;
  const std::vector<std::tuple<int, const char*, int64_t, int64_t, int64_t, int64_t>> rows = {
      {1, "a", 5, 5, 15, 1},  {1, "a", 5, 5, 25, 1},   {1, "a", 5, 5, 35, 1},  {2, "b", 24, 5, 25, 1},
      {2, "b", 24, 5, 35, 1}, {3, "c", 34, 5, 35, -1}, {4, "d", -1, -25, 5, 1}};
  for (const auto& [id, name, time, start, end, weight] : rows) {
    TestRow row = Row(id, name, time);
    row.push_back(Time(start));
    row.push_back(Time(end));
    AddTo(expected, MakeBatch(node->schema, {row}, {weight}));
  }
  EXPECT_EQ(ToMultiset(run.End()), expected);
}

TEST(Window, MergingEqualRowsChangesNoSum) {
  std::mt19937_64 random(5);
  for (const auto shape : {plan::Window::Shape::kHop, plan::Window::Shape::kCumulate}) {
    const auto make = [&](bool merges) { return plan::MakeWindow(TestInput(TestSchema(), false), 2, 10, 30, 7, shape, merges); };
    std::vector<TestRow> rows;
    std::vector<int64_t> weights;
    for (int i = 0; i < 3000; ++i) {
      rows.push_back(
          Row(static_cast<int32_t>(random() % 4), random() % 2 == 0 ? "x" : "a text that is longer", static_cast<int64_t>(random() % 200) - 100));
      if (i % 50 == 0) rows.back()[2] = i % 100 == 0 ? Value::Null(TypeId::kTimestamptz) : Time(INT64_MAX);
      weights.push_back(static_cast<int64_t>(random() % 4) - 1);
    }
    const auto sum = [&](const plan::Node& node, int64_t& emitted) {  // without the times
      std::vector<data::ChangeBatch> batches = Execute(node, {MakeBatch(TestSchema(), rows, weights)}).Take();
      emitted = 0;
      for (data::ChangeBatch& batch : batches) {
        emitted += batch.rows;
        batch.columns.erase(batch.columns.begin() + 2);
      }
      return ToMultiset(batches);
    };
    int64_t plain = 0, merged = 0;
    EXPECT_EQ(sum(*make(false), plain), sum(*make(true), merged));
    EXPECT_LT(merged, plain / 5);
  }
}

TEST(Window, DatesAndTimesAtTheEndOfTime) {
  data::Schema schema{{{"d", TypeId::kDate}}};
  int64_t day = 86'400'000'000;
  auto node = plan::MakeWindow(TestInput(schema, true), 0, 7 * day, 7 * day, 0);
  auto date = [](int32_t d) { return TestRow{Value::Fixed<int32_t>(TypeId::kDate, d)}; };
  auto rows = InOrder(Execute(*node, {MakeBatch(schema, {date(8), date(-1), date(INT32_MIN)})}));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0][1].As<int32_t>(), 7);
  EXPECT_EQ(rows[1][1].As<int32_t>(), -7);
  auto far = plan::MakeWindow(TestInput(TestSchema(), true), 2, day, day, 0);
  auto op = MakeOrDie(*far);
  Output out;
  ASSERT_TRUE(op->OnBatch(0, MakeBatch(TestSchema(), {Row(1, "x", INT64_MAX - 1)}), out).ok());
  EXPECT_EQ(op->errors(), 1);
  EXPECT_TRUE(out.empty());
}

TEST(Union, PassesEveryPort) {
  auto input = TestInput(TestSchema(), false);
  auto op = MakeOrDie(*plan::MakeUnion({input, input}));
  Output out;
  ASSERT_TRUE(op->OnBatch(0, MakeBatch(TestSchema(), {Row(1)}), out).ok());
  ASSERT_TRUE(op->OnBatch(1, MakeBatch(TestSchema(), {Row(1)}, {-1}), out).ok());
  EXPECT_TRUE(ToMultiset(out).empty());
}

TEST(Unnest, GivesElementsWithOrdinalsAndKeepsEmptyRowsWhenOuter) {
  data::Schema schema{{{"id", TypeId::kInt4}, {"xs", data::Type::ArrayOf(TypeId::kText)}}};
  auto array = [](std::vector<const char*> texts) {
    data::ArrayBuilder builder(TypeId::kText);
    for (const char* text : texts) text == nullptr ? builder.AppendNull() : builder.Append(text);
    return Value::Bytes(data::Type::ArrayOf(TypeId::kText), builder.Finish());
  };
  auto in = MakeBatch(schema,
                      {{Int(1), array({"a", nullptr, "a long element of an array"})},
                       {Int(2), array({})},
                       {Int(3), Value::Null(data::Type::ArrayOf(TypeId::kText))},
                       {Int(4), array({"z"})}},
                      {1, 1, 1, -2});
  for (bool outer : {false, true}) {
    auto node = plan::MakeUnnest(TestInput(schema, false), Col(schema, "xs"), true, outer, "x");
    auto row = [&](int id, int64_t from, Value x, Value ordinal) {
      return TestRow{Int(id), data::ValueAt(*in.columns[1], from), std::move(x), std::move(ordinal)};
    };
    std::vector<TestRow> rows = {row(1, 0, Value::Text("a"), Value::Int8(1)), row(1, 0, Value::Null(TypeId::kText), Value::Int8(2)),
                                 row(1, 0, Value::Text("a long element of an array"), Value::Int8(3)), row(4, 3, Value::Text("z"), Value::Int8(1))};
    std::vector<int64_t> weights = {1, 1, 1, -2};
    if (outer) {
      for (int id : {2, 3}) rows.push_back(row(id, id - 1, Value::Null(TypeId::kText), Value::Null(TypeId::kInt8)));
      weights.insert(weights.end(), {1, 1});
    }
    Multiset expected;
    AddTo(expected, MakeBatch(node->schema, rows, weights));
    EXPECT_EQ(ToMultiset(Execute(*node, {in})), expected);
  }
}

TEST(Sort, OrdersByAllKeysKeepsTiesAndMergesDeletes) {
  auto input = TestInput(TestSchema(), false);
  auto node = plan::MakeSort(input, {{Col(TestSchema(), "t"), true, true}, {Col(TestSchema(), "a"), false, false}});
  TestRow null = Row(7);
  null[1] = Value::Null(TypeId::kText);
  auto rows = InOrder(Execute(*node,
                              {MakeBatch(TestSchema(), {Row(2, "b"), Row(1, "b"), Row(5, "gone"), Row(3, "same prefix of eight 1", 1)}),
                               MakeBatch(TestSchema(), {null, Row(5, "gone"), Row(4, "same prefix of eight 2"), Row(9, "a")}, {1, -1, 1, 2})},
                              true));
  std::vector<int32_t> order;
  for (const TestRow& row : rows) order.push_back(row[0].As<int32_t>());
  EXPECT_EQ(order, (std::vector<int32_t>{7, 4, 3, 1, 2, 9, 9}));
  EXPECT_EQ(MakeOperator(*node, {}).error().sqlstate(), sqlstate::kFeatureNotSupported);
}

TEST(Sort, ManyTypesSortLikeTheirValues) {
  std::mt19937_64 random(1);
  for (TypeId type : {TypeId::kFloat8, TypeId::kInt8, TypeId::kInt2}) {
    data::Schema schema{{{"v", type}}};
    std::vector<TestRow> in;
    std::vector<double> expected;
    for (int i = 0; i < 500; ++i) {
      int64_t v = static_cast<int64_t>(random() % 2001) - 1000;
      in.push_back({type == TypeId::kFloat8 ? Value::Fixed<double>(type, static_cast<double>(v) / 4)
                    : type == TypeId::kInt8 ? Value::Int8(v)
                                            : Value::Fixed<int16_t>(type, static_cast<int16_t>(v))});
      expected.push_back(type == TypeId::kFloat8 ? static_cast<double>(v) / 4 : static_cast<double>(v));
    }
    std::sort(expected.begin(), expected.end(), std::greater<>());
    auto node = plan::MakeSort(TestInput(schema, true), {{Col(schema, "v"), true, true}});
    std::vector<double> found;
    for (const TestRow& row : InOrder(Execute(*node, {MakeBatch(schema, in)}, true))) {
      found.push_back(type == TypeId::kFloat8 ? row[0].As<double>()
                      : type == TypeId::kInt8 ? static_cast<double>(row[0].As<int64_t>())
                                              : row[0].As<int16_t>());
    }
    EXPECT_EQ(found, expected);
  }
}

TEST(Limit, SkipsAndStops) {
  auto lit = [](int64_t n) { return expr::MakeLiteral(Value::Int8(n)); };
  for (bool append_only : {true, false}) {
    auto node = plan::MakeLimit(TestInput(TestSchema(), append_only), lit(3), lit(2));
    auto rows = InOrder(Execute(
        *node, {MakeBatch(TestSchema(), {Row(1)}), MakeBatch(TestSchema(), {Row(2), Row(3)}, {1, 2}), MakeBatch(TestSchema(), {Row(4), Row(5)})},
        true));
    ASSERT_EQ(rows.size(), 3u);
    EXPECT_EQ(rows[1][0], Int(3));
    EXPECT_EQ(rows[2][0], Int(4));
  }
  auto all = plan::MakeLimit(TestInput(TestSchema(), false), nullptr, lit(1));
  EXPECT_EQ(InOrder(Execute(*all, {MakeBatch(TestSchema(), {Row(1), Row(2), Row(1)}, {1, 1, -1})}, true)).size(), 0u);
  OperatorOptions bounded;
  bounded.bounded = true;
  EXPECT_EQ(MakeOperator(*plan::MakeLimit(TestInput(TestSchema(), false), lit(-1), nullptr), bounded).error().sqlstate(), "2201W");
}

TEST(Upsert, GivesTheChangesOfAChangelog) {
  std::mt19937_64 random(1);
  TestRun run([] { return MakeUpsert(TestSchema(), {0}); });
  std::map<int32_t, TestRow> model;
  for (int epoch = 0; epoch < 100; ++epoch) {
    std::vector<TestRow> rows;
    std::vector<int64_t> weights;
    for (size_t i = 0; i < random() % 20; ++i) {
      auto key = static_cast<int32_t>(random() % 15);
      TestRow row = Row(key, random() % 2 ? "short" : "a string that does not fit inline", static_cast<int64_t>(random() % 3));
      bool insert = random() % 3 != 0;
      if (insert) {
        model[key] = row;
      } else {
        model.erase(key);
        row[1] = Value::Null(TypeId::kText);  // ignored
      }
      rows.push_back(row);
      weights.push_back(insert ? 1 : -1);
    }
    run.Batch(0, MakeBatch(TestSchema(), rows, weights));
    Output out = run.End();
    std::vector<TestRow> expected;
    for (const auto& [key, row] : model) expected.push_back(row);
    ASSERT_EQ(run.contents(), ToMultiset(TestSchema(), expected));
    int64_t changes = 0;
    for (const auto& batch : out) changes += batch.rows;
    int64_t net = 0;
    for (const auto& [row, count] : ToMultiset(out)) net += std::abs(count);
    ASSERT_EQ(changes, net) << "no delete and insert of the same row";
    if (epoch % 10 == 5) run.Restart();
  }
}

TEST(Upsert, RowsThatDoNotChangeForTheirTimeToLiveAreDeleted) {
  constexpr int64_t kTtl = 20;
  data::Schema timed = TestSchema();
  timed.fields.push_back({"changed", TypeId::kTimestamptz});
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    std::mt19937_64 random(seed);
    TestRun run([] { return MakeUpsert(TestSchema(), {0}, kTtl); });
    std::map<int32_t, std::pair<TestRow, int64_t>> model;  // and when it changed
    int64_t now = 0;
    for (int epoch = 0; epoch < 150; ++epoch) {
      for (size_t batch = 0; batch < random() % 3; ++batch) {  // a step of several epochs has batches of several times
        std::vector<TestRow> rows;
        std::vector<int64_t> weights;
        for (size_t i = 0; i < random() % 5; ++i) {
          now += static_cast<int64_t>(random() % 4);
          const auto key = static_cast<int32_t>(random() % 15);
          TestRow row = Row(key, random() % 2 ? "short" : "a string that does not fit inline", static_cast<int64_t>(random() % 3));
          const bool insert = random() % 4 != 0;
          if (insert) model[key] = {row, now};
          else model.erase(key);
          row.push_back(Value::Fixed<int64_t>(TypeId::kTimestamptz, now));
          rows.push_back(row);
          weights.push_back(insert ? 1 : -1);
        }
        run.Batch(0, MakeBatch(timed, rows, weights));
      }
      now += static_cast<int64_t>(random() % (epoch % 15 == 0 ? 40 : 4));
      run.End(INT64_MIN, true, now);
      std::vector<TestRow> expected;
      std::erase_if(model, [&](const auto& entry) { return now - entry.second.second > kTtl; });
      for (const auto& [key, entry] : model) expected.push_back(entry.first);
      ASSERT_EQ(run.contents(), ToMultiset(TestSchema(), expected)) << "seed " << seed << " epoch " << epoch;
      ASSERT_EQ(run.op().state_rows(), static_cast<int64_t>(expected.size()));
      ASSERT_GT(run.op().next_due_us(), now);
      if (epoch % 10 == 5) run.Restart();
    }
    run.End(INT64_MIN, true, now + kTtl + 1);
    EXPECT_TRUE(run.contents().empty());
    EXPECT_EQ(run.op().next_due_us(), INT64_MAX);
  }
}

}  // namespace
}  // namespace kappa::ops
