// Goal: aggregates that keep their values, bit aggregates, and DISTINCT with FILTERs follow inserts and deletes. Method: random
// change streams with restarts against a recomputation from the remaining rows.
#include <set>

#include "data/array.h"
#include "ops/testing.h"
#include "plan/build.h"

namespace kappa::ops {
namespace {

using data::TypeId;
using data::Value;

data::Schema InputSchema() {
  return {
      {{"k", TypeId::kInt4}, {"i", TypeId::kInt4}, {"t", TypeId::kText}, {"b", TypeId::kBool}, {"c", TypeId::kBool}, {"w", TypeId::kTimestamptz}}};
}

TestRow RandomRow(std::mt19937_64& random) {
  const auto maybe = [&](Value value) { return random() % 7 == 0 ? Value::Null(value.type) : std::move(value); };
  return {Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(random() % 6)),
          maybe(Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(random() % 9) - 4)),
          maybe(Value::Text(std::string(random() % 20, 'y') + std::to_string(random() % 5))),
          maybe(Value::Bool(random() % 2)),
          maybe(Value::Bool(random() % 3 == 0)),
          Value::Fixed<int64_t>(TypeId::kTimestamptz, 1'000'000 * (1 + static_cast<int64_t>(random() % 10)))};
}

using Rows = std::vector<const TestRow*>;
using Model = std::function<Value(const Rows&)>;
struct Case {
  expr::AggregateCall call;
  Model model;
};

std::vector<Value> Values(const Rows& rows, size_t column, int filter = -1) {
  std::vector<Value> values;
  for (const TestRow* row : rows) {
    if (filter >= 0 && ((*row)[static_cast<size_t>(filter)].null || (*row)[static_cast<size_t>(filter)].As<uint8_t>() == 0)) continue;
    if (!(*row)[column].null) values.push_back((*row)[column]);
  }
  return values;
}
std::vector<int32_t> Ints(const Rows& rows) {
  std::vector<int32_t> ints;
  for (const Value& value : Values(rows, 1)) ints.push_back(value.As<int32_t>());
  std::sort(ints.begin(), ints.end());
  return ints;
}

expr::AggregateCall Plain(std::string_view name, std::vector<std::string> arguments, bool distinct = false, const char* filter = nullptr) {
  std::vector<expr::ExprPtr> expressions;
  for (const std::string& argument : arguments)
    expressions.push_back(argument == "," ? expr::MakeLiteral(Value::Text(",")) : Col(InputSchema(), argument));
  auto call = expr::ResolveAggregate(name, std::move(expressions), false, distinct, 0);
  KAPPA_CHECK(call.ok());
  if (filter != nullptr) call->filter = Col(InputSchema(), filter);
  return std::move(call).value();
}
expr::AggregateCall WithinGroup(std::string_view name, std::optional<double> fraction, bool descending) {
  std::vector<expr::ExprPtr> direct;
  if (fraction) direct.push_back(expr::MakeLiteral(Value::Fixed<double>(TypeId::kFloat8, *fraction)));
  auto call = expr::ResolveOrderedSet(name, std::move(direct), {{Col(InputSchema(), "i"), descending, descending}}, 0);
  KAPPA_CHECK(call.ok());
  return std::move(call).value();
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  const auto distinct_count = [](size_t column, int filter) {
    return [=](const Rows& rows) {
      std::set<std::string> seen;
      for (const Value& value : Values(rows, column, filter)) seen.insert(value.bytes);
      return Value::Int8(static_cast<int64_t>(seen.size()));
    };
  };
  cases.push_back({Plain("count", {"i"}, true), distinct_count(1, -1)});
  cases.push_back({Plain("count", {"i"}, true, "b"), distinct_count(1, 3)});
  cases.push_back({Plain("count", {"i"}, true, "c"), distinct_count(1, 4)});
  cases.push_back({Plain("count", {"t"}, true, "c"), distinct_count(2, 4)});
  cases.push_back({Plain("count", {"t"}, true, "b"), distinct_count(2, 3)});
  cases.push_back({Plain("sum", {"i"}, true, "b"), [](const Rows& rows) {
                     std::set<int32_t> seen;
                     for (const Value& value : Values(rows, 1, 3)) seen.insert(value.As<int32_t>());
                     int64_t sum = 0;
                     for (int32_t value : seen) sum += value;
                     return seen.empty() ? Value::Null(TypeId::kInt8) : Value::Int8(sum);
                   }});
  for (const char* name : {"bit_and", "bit_or", "bit_xor"}) {
    cases.push_back({Plain(name, {"i"}), [name = std::string(name)](const Rows& rows) {
                       const std::vector<int32_t> ints = Ints(rows);
                       if (ints.empty()) return Value::Null(TypeId::kInt4);
                       int32_t bits = ints[0];
                       for (size_t i = 1; i < ints.size(); ++i)
                         bits = name == "bit_and" ? bits & ints[i] : name == "bit_or" ? bits | ints[i] : bits ^ ints[i];
                       return Value::Fixed<int32_t>(TypeId::kInt4, bits);
                     }});
  }
  const auto joined = [](bool distinct, bool descending) {
    return [=](const Rows& rows) {
      std::vector<std::string> texts;
      for (const Value& value : Values(rows, 2)) texts.push_back(value.bytes);
      std::sort(texts.begin(), texts.end());
      if (distinct) texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
      if (descending) std::reverse(texts.begin(), texts.end());
      if (texts.empty()) return Value::Null(TypeId::kText);
      std::string all;
      for (size_t i = 0; i < texts.size(); ++i) all += (i > 0 ? "," : "") + texts[i];
      return Value::Text(all);
    };
  };
  cases.push_back({Plain("string_agg", {"t", ","}), joined(false, false)});
  cases.push_back({Plain("string_agg", {"t", ","}, true), joined(true, false)});
  cases.push_back({Plain("string_agg", {"t", ","}), joined(false, true)});
  cases.back().call.order_by = {{Col(InputSchema(), "t"), true, true}};
  cases.push_back({Plain("array_agg", {"i"}), [](const Rows& rows) {
                     data::ArrayBuilder array(TypeId::kInt4);
                     const std::vector<int32_t> ints = Ints(rows);
                     for (int32_t value : ints) array.Append(Value::Fixed<int32_t>(TypeId::kInt4, value).bytes);
                     for (size_t i = ints.size(); i < rows.size(); ++i) array.AppendNull();
                     return Value::Bytes(data::Type::ArrayOf(TypeId::kInt4), array.Finish());
                   }});
  for (double fraction : {0.0, 0.3, 1.0}) {
    for (bool descending : {false, true}) {
      const auto sorted = [descending](const Rows& rows) {
        std::vector<int32_t> ints = Ints(rows);
        if (descending) std::reverse(ints.begin(), ints.end());
        return ints;
      };
      cases.push_back({WithinGroup("percentile_disc", fraction, descending), [=](const Rows& rows) {
                         const std::vector<int32_t> ints = sorted(rows);
                         if (ints.empty()) return Value::Null(TypeId::kInt4);
                         const auto position = static_cast<size_t>(std::max(std::ceil(fraction * static_cast<double>(ints.size())), 1.0));
                         return Value::Fixed<int32_t>(TypeId::kInt4, ints[position - 1]);
                       }});
      cases.push_back({WithinGroup("percentile_cont", fraction, descending), [=](const Rows& rows) {
                         const std::vector<int32_t> ints = sorted(rows);
                         if (ints.empty()) return Value::Null(TypeId::kFloat8);
                         const double position = fraction * static_cast<double>(ints.size() - 1);
                         const double low = ints[static_cast<size_t>(std::floor(position))], high = ints[static_cast<size_t>(std::ceil(position))];
                         return Value::Fixed<double>(TypeId::kFloat8, low + (position - std::floor(position)) * (high - low));
                       }});
    }
  }
  cases.push_back({WithinGroup("mode", std::nullopt, false), [](const Rows& rows) {
                     const std::vector<int32_t> ints = Ints(rows);
                     if (ints.empty()) return Value::Null(TypeId::kInt4);
                     int32_t mode = ints[0];
                     for (int32_t value : ints)
                       if (std::count(ints.begin(), ints.end(), value) > std::count(ints.begin(), ints.end(), mode)) mode = value;
                     return Value::Fixed<int32_t>(TypeId::kInt4, mode);
                   }});
  cases.push_back({Plain("any_value", {"b"}), [](const Rows& rows) {
                     const std::vector<Value> values = Values(rows, 3);
                     if (values.empty()) return Value::Null(TypeId::kBool);
                     return Value::Bool(std::all_of(values.begin(), values.end(), [](const Value& value) { return value.As<uint8_t>() != 0; }));
                   }});
  return cases;
}

std::shared_ptr<const plan::Aggregate> Plan(const std::vector<Case>& cases, bool append_only, const char* key, int close_key = -1) {
  std::vector<expr::AggregateCall> calls;
  std::vector<std::string> names = {"key"};
  for (const Case& one : cases) {
    calls.push_back(one.call);
    names.push_back("a" + std::to_string(names.size()));
  }
  return std::static_pointer_cast<const plan::Aggregate>(
      plan::MakeAggregate(TestInput(InputSchema(), append_only), {Col(InputSchema(), key)}, std::move(calls), std::move(names), close_key, 7));
}

Multiset Expected(const std::vector<Case>& cases, const plan::Node& plan, const std::vector<TestRow>& rows, size_t key) {
  std::map<std::string, std::pair<Value, Rows>> groups;
  for (const TestRow& row : rows) {
    auto& group = groups[row[key].bytes];
    group.first = row[key];
    group.second.push_back(&row);
  }
  std::vector<TestRow> out;
  for (const auto& [bytes, group] : groups) {
    TestRow row = {group.first};
    for (const Case& one : cases) row.push_back(one.model(group.second));
    out.push_back(std::move(row));
  }
  return ToMultiset(plan.schema, out);
}

TEST(CollectedTest, EqualsRecomputation) {
  const std::vector<Case> cases = Cases();
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    const bool append_only = seed % 3 == 0;
    const auto plan = Plan(cases, append_only, "k");
    TestStream stream(InputSchema(), append_only, RandomRow);
    TestRun run([&] { return MakeOrDie(*plan); });
    std::mt19937_64 random(seed);
    for (int epoch = 0; epoch < 40; ++epoch) {
      for (auto& batch : stream.Epoch(random, random() % 25)) run.Batch(0, std::move(batch));
      run.End();
      ASSERT_EQ(run.contents(), Expected(cases, *plan, stream.rows(), 0)) << "seed " << seed << " epoch " << epoch;
      if (epoch % 7 == 3) run.Restart();
    }
  }
}

TEST(CollectedTest, ClosedWindowsLeaveNoState) {
  const std::vector<Case> cases = Cases();
  for (const bool append_only : {true, false}) {
    const auto plan = Plan(cases, append_only, "w", /*close_key=*/0);
    TestStream stream(InputSchema(), append_only, RandomRow);
    TestRun run([&] { return MakeOrDie(*plan); });
    std::mt19937_64 random(5);
    for (int epoch = 0; epoch < 6; ++epoch) {
      for (auto& batch : stream.Epoch(random, 30)) run.Batch(0, std::move(batch));
      run.End(0);
      if (epoch % 2 == 1) run.Restart();
    }
    run.End(INT64_MAX);
    EXPECT_EQ(run.contents(), Expected(cases, *plan, stream.rows(), 5));
    EXPECT_EQ(run.op().state_rows(), 0);
  }
}

}  // namespace
}  // namespace kappa::ops
