// Goal: the rows that a TemporalFilter has given are those whose bounds hold now, as time goes on, under deletes and restarts, and
// rows whose time is over leave no state. Method: random changes and times against a plain evaluation.
#include "ops/testing.h"
#include "plan/build.h"

namespace kappa::ops {
namespace {

using data::TypeId;
using data::Value;
using Bound = plan::TemporalFilter::Bound;

data::Schema InputSchema() { return {{{"id", TypeId::kInt8}, {"a", TypeId::kTimestamptz}, {"b", TypeId::kTimestamptz}}}; }

Value RandomTime(std::mt19937_64& random) {
  switch (random() % 12) {
    case 0: return Value::Null(TypeId::kTimestamptz);
    case 1: return Value::Fixed<int64_t>(TypeId::kTimestamptz, INT64_MAX);
    case 2: return Value::Fixed<int64_t>(TypeId::kTimestamptz, INT64_MIN);
    default: return Value::Fixed<int64_t>(TypeId::kTimestamptz, static_cast<int64_t>(random() % 1000));
  }
}

bool Holds(const Bound& bound, const TestRow& row, int64_t now) {
  const Value& value = row[static_cast<size_t>(static_cast<const expr::ColumnRef&>(*bound.value).index())];
  if (value.null) return false;
  const auto time = value.As<int64_t>();
  const int64_t than = now + bound.shift_us;
  if (bound.inclusive && time == than) return true;
  return bound.before ? time > than : time < than;
}

void RunModel(uint64_t seed, const std::vector<Bound>& bounds, bool append_only) {
  auto plan = plan::MakeTemporalFilter(TestInput(InputSchema(), append_only), bounds);
  auto make = [&] { return MakeOrDie(*plan); };
  std::unique_ptr<Operator> op = make();
  TestStream stream(InputSchema(), append_only, [](std::mt19937_64& random) {
    return TestRow{Value::Int8(static_cast<int64_t>(random() % 50)), RandomTime(random), RandomTime(random)};
  });
  std::mt19937_64 random(seed);
  Multiset contents;
  int64_t now = 0;
  for (uint64_t epoch = 1; epoch <= 120; ++epoch) {
    Output out;
    if (random() % 3 != 0) {
      for (auto& batch : stream.Epoch(random, random() % 10)) ASSERT_TRUE(op->OnBatch(0, std::move(batch), out).ok());
    }
    now += static_cast<int64_t>(random() % 20);
    ASSERT_TRUE(op->OnEpochEnd({epoch, now, nullptr, true}, out).ok());
    for (const data::ChangeBatch& batch : out) AddTo(contents, batch);
    std::vector<TestRow> expected;
    for (const TestRow& row : stream.rows())
      if (std::all_of(bounds.begin(), bounds.end(), [&](const Bound& bound) { return Holds(bound, row, now); })) expected.push_back(row);
    ASSERT_EQ(contents, ToMultiset(plan->schema, expected)) << "seed " << seed << " epoch " << epoch;
    ASSERT_GT(op->next_due_us(), now);
    if (epoch % 11 != 0) continue;
    auto restored = make();
    std::vector<state::Arena*> to;
    restored->VisitState([&](std::string_view, state::Arena& arena) { to.push_back(&arena); });
    size_t at = 0;
    op->VisitState([&](std::string_view, state::Arena& arena) {
      const auto delta = arena.TakeDelta();
      to[at]->Clear();
      for (size_t page = 0; page < delta.snapshot.page_count(); ++page)
        to[at]->LoadPage(static_cast<uint32_t>(page), std::string_view(delta.snapshot.page(page).bytes.data(), state::kPageBytes));
      ++at;
    });
    ASSERT_TRUE(restored->OnRestored().ok());
    op = std::move(restored);
  }
}

Bound Make(std::string_view column, int64_t shift, bool before, bool inclusive) { return {Col(InputSchema(), column), shift, before, inclusive}; }

TEST(TemporalFilter, EqualsPlainEvaluationAsTimeGoesOn) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const bool append_only = seed % 2 == 0;
    RunModel(seed, {Make("a", -100, true, false)}, append_only);
    RunModel(seed, {Make("a", 0, false, true)}, append_only);
    RunModel(seed, {Make("a", -300, true, true), Make("b", 50, false, false)}, append_only);
    RunModel(seed, {Make("a", -200, true, false), Make("a", -50, false, false)}, append_only);
  }
}

TEST(TemporalFilter, RowsWhoseTimeIsOverLeaveNoState) {
  auto plan = plan::MakeTemporalFilter(TestInput(InputSchema(), true), {Make("a", -10, true, false)});
  auto op = MakeOrDie(*plan);
  int64_t given = 0;
  for (int64_t now = 0; now < 10'000; now += 5) {
    Output out;
    const Value time = Value::Fixed<int64_t>(TypeId::kTimestamptz, now);
    ASSERT_TRUE(op->OnBatch(0, MakeBatch(InputSchema(), {{Value::Int8(now), time, time}}), out).ok());
    ASSERT_TRUE(op->OnEpochEnd({static_cast<uint64_t>(now) + 1, now, nullptr, true}, out).ok());
    for (const auto& batch : out)
      for (int64_t i = 0; i < batch.rows; ++i) given += batch.weight(i);
    ASSERT_LE(op->state_rows(), 3);
    ASSERT_EQ(given, op->state_rows());
  }
}

}  // namespace
}  // namespace kappa::ops
