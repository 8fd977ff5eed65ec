// Goal: sessions are those of all rows that are there, whatever the order of rows, deletes and restarts; closed ones come once.
// Method: random change streams against sessions computed from the sorted rows; a TimeTree against std::map.
#include "data/numeric.h"
#include "ops/testing.h"
#include "ops/time_tree.h"
#include "plan/build.h"

namespace kappa::ops {
namespace {

using data::TypeId;
using data::Value;
using expr::AggregateKind;

constexpr int64_t kGap = 10;

data::Schema InputSchema() { return {{{"k", TypeId::kText}, {"t", TypeId::kTimestamp}, {"v", TypeId::kInt8}, {"s", TypeId::kText}}}; }

/// Rows of few keys within [from, from + span), some without a key, a value or a time.
TestRow RandomRow(std::mt19937_64& random, int64_t from, int64_t span) {
  TestRow row;
  row.push_back(random() % 8 == 0 ? Value::Null(TypeId::kText) : Value::Text("key number " + std::to_string(random() % 4)));
  row.push_back(random() % 20 == 0 ? Value::Null(TypeId::kTimestamp)
                                   : Value::Fixed<int64_t>(TypeId::kTimestamp, from + static_cast<int64_t>(random() % static_cast<uint64_t>(span))));
  row.push_back(random() % 8 == 0 ? Value::Null(TypeId::kInt8) : Value::Int8(static_cast<int64_t>(random() % 100) - 50));
  row.push_back(Value::Text(std::string(random() % 30, 'x')));
  return row;
}

struct ModelSession {
  Value key;
  int64_t start = 0, end = 0;
  std::vector<TestRow> rows;
};
/// The sessions of rows that have a time, by sorting.
std::vector<ModelSession> Sessions(std::vector<TestRow> rows, bool keyed) {
  std::erase_if(rows, [](const TestRow& row) { return row[1].null; });
  auto key = [&](const TestRow& row) { return !keyed || row[0].null ? std::string() : "V" + row[0].bytes; };
  std::sort(rows.begin(), rows.end(),
            [&](const TestRow& a, const TestRow& b) { return std::pair(key(a), a[1].As<int64_t>()) < std::pair(key(b), b[1].As<int64_t>()); });
  std::vector<ModelSession> sessions;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto time = rows[i][1].As<int64_t>();
    if (i == 0 || key(rows[i]) != key(rows[i - 1]) || time > sessions.back().end) sessions.push_back({rows[i][0], time, 0, {}});
    sessions.back().end = time + kGap;
    sessions.back().rows.push_back(rows[i]);
  }
  return sessions;
}

Value Time(int64_t t) { return Value::Fixed<int64_t>(TypeId::kTimestamp, t); }

std::vector<expr::ExprPtr> Keys(bool keyed) { return keyed ? std::vector<expr::ExprPtr>{Col(InputSchema(), "k")} : std::vector<expr::ExprPtr>{}; }

plan::NodePtr SessionPlan(bool append_only, bool keyed, bool closes, bool expires = false) {
  return plan::MakeSession(TestInput(InputSchema(), append_only), Keys(keyed), 1, kGap, closes, 7, expires);
}
plan::NodePtr AggregatePlan(bool keyed, bool closes, bool expires = false) {
  auto call = [](AggregateKind kind, std::string_view argument, data::Type type) {
    expr::AggregateCall call{.kind = kind, .arguments = {}, .distinct = false, .filter = nullptr, .order_by = {}, .type = type, .name = "a"};
    if (!argument.empty()) call.arguments.push_back(Col(InputSchema(), argument));
    return call;
  };
  std::vector<std::string> names = {"window_start", "window_end", "n", "c", "total", "least", "longest"};
  if (keyed) names.insert(names.begin(), "k");
  return plan::MakeSessionAggregate(TestInput(InputSchema(), true), Keys(keyed),
                                    {call(AggregateKind::kCountStar, "", TypeId::kInt8), call(AggregateKind::kCount, "v", TypeId::kInt8),
                                     call(AggregateKind::kSum, "v", TypeId::kNumeric), call(AggregateKind::kMin, "v", TypeId::kInt8),
                                     call(AggregateKind::kMax, "s", TypeId::kText)},
                                    names, 1, kGap, closes, 7, expires);
}

/// Of the sessions that end before the watermark, or not before `now`.
Multiset ExpectedRows(const data::Schema& schema, const std::vector<TestRow>& rows, bool keyed, int64_t watermark = INT64_MAX,
                      int64_t now = INT64_MIN) {
  std::vector<TestRow> out;
  for (const ModelSession& session : Sessions(rows, keyed)) {
    if (session.end >= watermark || session.end < now) continue;
    for (TestRow row : session.rows) {
      row.push_back(Time(session.start));
      row.push_back(Time(session.end));
      out.push_back(std::move(row));
    }
  }
  return ToMultiset(schema, out);
}
Multiset ExpectedResults(const data::Schema& schema, const std::vector<TestRow>& rows, bool keyed, int64_t watermark = INT64_MAX,
                         int64_t now = INT64_MIN) {
  std::vector<TestRow> out;
  for (const ModelSession& session : Sessions(rows, keyed)) {
    if (session.end >= watermark || session.end < now) continue;
    int64_t count = 0, sum = 0, least = INT64_MAX;
    std::string longest;
    for (const TestRow& row : session.rows) {
      longest = std::max(longest, row[3].bytes);
      if (row[2].null) continue;
      ++count;
      sum += row[2].As<int64_t>();
      least = std::min(least, row[2].As<int64_t>());
    }
    TestRow row = {Time(session.start),
                   Time(session.end),
                   Value::Int8(static_cast<int64_t>(session.rows.size())),
                   Value::Int8(count),
                   count == 0 ? Value::Null(TypeId::kNumeric) : Value::Bytes(TypeId::kNumeric, data::Numeric(sum).ToBytes()),
                   count == 0 ? Value::Null(TypeId::kInt8) : Value::Int8(least),
                   Value::Text(longest)};
    if (keyed) row.insert(row.begin(), session.key);
    out.push_back(std::move(row));
  }
  return ToMultiset(schema, out);
}

void RunUpdating(uint64_t seed, const plan::NodePtr& plan, bool append_only, bool keyed) {
  TestStream stream(InputSchema(), append_only, [](std::mt19937_64& random) { return RandomRow(random, 0, 400); });
  TestRun run([&] { return MakeOrDie(*plan); });
  std::mt19937_64 random(seed);
  for (int epoch = 0; epoch < 60; ++epoch) {
    for (auto& batch : stream.Epoch(random, random() % 12)) run.Batch(0, std::move(batch));
    const Output output = run.End();
    const bool rows = plan->kind == plan::NodeKind::kSession;
    ASSERT_EQ(run.contents(), rows ? ExpectedRows(plan->schema, stream.rows(), keyed) : ExpectedResults(plan->schema, stream.rows(), keyed))
        << "seed " << seed << " epoch " << epoch;
    if (epoch % 7 == 3) run.Restart();
  }
}

TEST(Session, RowsFollowTheirSessionsUnderDeletes) {
  for (uint64_t seed = 1; seed <= 8; ++seed) RunUpdating(seed, SessionPlan(false, true, false), false, true);
  RunUpdating(9, SessionPlan(false, false, false), false, false);
}
TEST(SessionAggregate, SessionsGrowAndMerge) {
  for (uint64_t seed = 1; seed <= 8; ++seed) RunUpdating(seed, AggregatePlan(true, false), true, true);
  RunUpdating(9, AggregatePlan(false, false), true, false);
}

/// Rows that are in time for a watermark that moves on; sessions come when they are closed, and leave nothing behind.
void RunClosing(uint64_t seed, const plan::NodePtr& plan) {
  TestRun run([&] { return MakeOrDie(*plan); });
  std::mt19937_64 random(seed);
  std::vector<TestRow> rows;
  int64_t watermark = 0, most = 0;
  for (int epoch = 0; epoch < 80; ++epoch) {
    TestStream stream(InputSchema(), true, [&](std::mt19937_64& r) { return RandomRow(r, watermark, 60); });
    for (auto& batch : stream.Epoch(random, random() % 6)) run.Batch(0, std::move(batch));
    rows.insert(rows.end(), stream.rows().begin(), stream.rows().end());
    watermark += static_cast<int64_t>(random() % 25);
    const Output output = run.End(watermark, /*flush=*/random() % 2 == 0);
    const bool of_rows = plan->kind == plan::NodeKind::kSession;
    ASSERT_EQ(run.contents(), of_rows ? ExpectedRows(plan->schema, rows, true, watermark) : ExpectedResults(plan->schema, rows, true, watermark))
        << "seed " << seed << " epoch " << epoch;
    for (const auto& [row, count] : ToMultiset(output)) ASSERT_GT(count, 0);
    most = std::max(most, run.op().state_rows());
    if (epoch % 7 == 3) run.Restart();
  }
  EXPECT_LT(most, 60);  // about 6 * 80 / 2 rows came in all
  run.End(INT64_MAX);
  EXPECT_EQ(run.op().state_rows(), 0);
}

TEST(Session, ClosedSessionsComeOnceAndLeaveNoState) {
  for (uint64_t seed = 1; seed <= 8; ++seed) RunClosing(seed, SessionPlan(true, true, true));
}
TEST(SessionAggregate, ClosedSessionsComeOnceAndLeaveNoState) {
  for (uint64_t seed = 1; seed <= 8; ++seed) RunClosing(seed, AggregatePlan(true, true));
}

/// Rows whose time is that of their epoch, as processing time is; several epochs may be one step, whose rows come in any order. Sessions that
/// are over are taken back and leave nothing behind.
void RunExpiring(uint64_t seed, const plan::NodePtr& plan) {
  TestRun run([&] { return MakeOrDie(*plan); });
  std::mt19937_64 random(seed);
  std::vector<TestRow> rows;
  int64_t now = 0, most = 0;
  for (int step = 0; step < 120; ++step) {
    const int64_t before = now;
    now += static_cast<int64_t>(random() % (step % 10 == 0 ? 40 : 12));
    TestStream stream(InputSchema(), true, [&](std::mt19937_64& r) { return RandomRow(r, before, now - before + 1); });
    for (auto& batch : stream.Epoch(random, random() % 6)) run.Batch(0, std::move(batch));
    rows.insert(rows.end(), stream.rows().begin(), stream.rows().end());
    const bool flush = random() % 3 != 0;
    run.End(INT64_MIN, flush, now);
    most = std::max(most, run.op().state_rows());
    if (!flush) continue;
    const bool of_rows = plan->kind == plan::NodeKind::kSession;
    ASSERT_EQ(run.contents(),
              of_rows ? ExpectedRows(plan->schema, rows, true, INT64_MAX, now) : ExpectedResults(plan->schema, rows, true, INT64_MAX, now))
        << "seed " << seed << " step " << step;
    ASSERT_GE(run.op().next_due_us(), now);
    if (step % 7 == 3) run.Restart();
  }
  EXPECT_LT(most, 60);
  run.End(INT64_MIN, /*flush=*/true, now + kGap + 1);
  EXPECT_TRUE(run.contents().empty());
  EXPECT_EQ(run.op().state_rows(), 0);
  EXPECT_EQ(run.op().next_due_us(), INT64_MAX);
}

TEST(Session, IdleSessionsAreTakenBackAndLeaveNoState) {
  for (uint64_t seed = 1; seed <= 16; ++seed) RunExpiring(seed, SessionPlan(true, true, false, true));
}
TEST(SessionAggregate, IdleSessionsAreTakenBackAndLeaveNoState) {
  for (uint64_t seed = 1; seed <= 16; ++seed) RunExpiring(seed, AggregatePlan(true, false, true));
}

TEST(SessionAggregate, RowsAtTheGapBelongTogetherAndKeepTheSessionOpen) {
  auto plan = AggregatePlan(true, true);
  TestRun run([&] { return MakeOrDie(*plan); });
  auto row = [](int64_t t) { return TestRow{Value::Text("a"), Time(t), Value::Int8(1), Value::Text("")}; };
  run.Batch(0, MakeBatch(InputSchema(), {row(0)}));
  run.End(kGap);  // a row at 10 would still be in time, and at the gap
  EXPECT_TRUE(run.contents().empty());
  run.Batch(0, MakeBatch(InputSchema(), {row(kGap)}));
  run.End(2 * kGap + 1);
  EXPECT_EQ(run.contents(), ExpectedResults(plan->schema, {row(0), row(kGap)}, true));
}

TEST(Session, TimesAtTheEndOfTimeAreLeftOut) {
  auto plan = SessionPlan(true, true, false);
  TestRun run([&] { return MakeOrDie(*plan); });
  auto row = [](int64_t t) { return TestRow{Value::Text("a"), Time(t), Value::Int8(1), Value::Text("")}; };
  run.Batch(0, MakeBatch(InputSchema(), {row(INT64_MIN), row(INT64_MAX), row(INT64_MAX - 3), row(5)}));
  run.End();
  EXPECT_EQ(run.contents(), ExpectedRows(plan->schema, {row(5)}, true));
  EXPECT_EQ(run.op().errors(), 1);
}

TEST(TimeTree, BehavesLikeAMap) {
  state::Arena arena;
  TimeTree tree(arena, sizeof(TimeNode));
  state::Ref root = 0;
  std::map<int64_t, state::Ref> model;
  std::mt19937_64 random(1);
  for (int step = 0; step < 20'000; ++step) {
    const auto time = static_cast<int64_t>(random() % 500);
    if (random() % 2 == 0) {
      const state::Ref node = tree.FindOrInsert(root, time);
      ASSERT_EQ(model.try_emplace(time, node).first->second, node);
    } else if (auto found = model.find(time); found != model.end()) {
      tree.Erase(root, found->second);
      model.erase(found);
    }
    const auto after = model.lower_bound(time);
    ASSERT_EQ(tree.Ceiling(root, time), after == model.end() ? 0 : after->second);
    const auto beyond = model.upper_bound(time);
    ASSERT_EQ(tree.Floor(root, time), beyond == model.begin() ? 0 : std::prev(beyond)->second);
  }
  state::Ref at = tree.First(root);
  for (const auto& [time, node] : model) {
    ASSERT_EQ(at, node);
    at = tree.Next(root, at);
  }
  EXPECT_EQ(at, 0u);
}

}  // namespace
}  // namespace kappa::ops
