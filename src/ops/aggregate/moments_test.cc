// Goal: sums, variances and regressions are exact functions of the values that are there: no order and no delete leaves a bit.
// Method: random doubles and numerics of extreme exponents and scales, inserted and deleted in several orders; the same bits must
// come as from the remaining values alone, and those must equal arithmetic over rationals.
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>

#include "data/numeric.h"
#include "ops/aggregate/wide_sum.h"
#include "ops/testing.h"
#include "plan/build.h"

namespace kappa::ops {
namespace {

using boost::multiprecision::cpp_int;
using data::Numeric;
using data::TypeId;
using data::Value;
using expr::AggregateKind;

double RandomDouble(std::mt19937_64& random) {
  switch (random() % 6) {
    case 0: return std::bit_cast<double>(random() % (uint64_t{1} << 52));  // subnormal
    case 1: return std::ldexp(static_cast<double>(random() % 2000) - 1000, static_cast<int>(random() % 2000) - 1070);
    case 2: return static_cast<double>(static_cast<int64_t>(random() % 100) - 50) / 4;
    case 3: return std::ldexp(static_cast<double>(random()), -1120 + static_cast<int>(random() % 30));
    default: return (static_cast<double>(random() >> 11) * 0x1p-53 - 0.5) * 1000;
  }
}

constexpr uint64_t kInfinityBits = 0x7ff0000000000000;

/// value / 2^-1074 as an integer.
cpp_int Scaled(double value) {
  const Decomposed parts = Decompose(value);
  cpp_int result = cpp_int(parts.mantissa) << static_cast<unsigned>(parts.mantissa == 0 ? 0 : parts.exponent + 1074);
  return parts.negative ? -result : result;
}

/// numerator / denominator * 2^exponent to the nearest double, by bisection over the doubles' bits: slow and plain.
double Nearest(cpp_int numerator, cpp_int denominator, int exponent) {
  const bool negative = numerator < 0;
  if (negative) numerator = -numerator;
  if (exponent < 0) denominator <<= static_cast<unsigned>(-exponent);
  else numerator <<= static_cast<unsigned>(exponent);
  const auto at_least = [&](const cpp_int& scaled) { return (numerator << 1075) >= scaled * denominator; };  // scaled in units of 2^-1075
  const auto twice = [](uint64_t bits) -> cpp_int { return Scaled(std::bit_cast<double>(bits)) * 2; };
  uint64_t low = 0, high = kInfinityBits - 1;
  while (low < high) {  // the largest double that is not above
    const uint64_t middle = low + (high - low + 1) / 2;
    if (at_least(twice(middle))) low = middle;
    else high = middle - 1;
  }
  cpp_int half = (twice(low) + (low + 1 < kInfinityBits ? twice(low + 1) : cpp_int(1) << 2099)) / 2;
  const bool above = at_least(half), tie = above && (numerator << 1075) == half * denominator;
  const uint64_t bits = above && (!tie || low % 2 == 1) ? low + 1 : low;
  const double value = std::bit_cast<double>(bits);
  return negative ? -value : value;
}

data::Schema PairSchema() { return {{{"y", TypeId::kFloat8}, {"x", TypeId::kFloat8}, {"n", TypeId::kNumeric}, {"i", TypeId::kInt8}}}; }

struct Aggregate {
  const char* name;
  std::vector<const char*> arguments;
};

plan::NodePtr Plan(const std::vector<Aggregate>& aggregates) {
  std::vector<expr::AggregateCall> calls;
  std::vector<std::string> names;
  for (const Aggregate& aggregate : aggregates) {
    std::vector<expr::ExprPtr> arguments;
    for (const char* argument : aggregate.arguments) arguments.push_back(Col(PairSchema(), argument));
    auto call = expr::ResolveAggregate(aggregate.name, std::move(arguments), false, false, 0);
    KAPPA_CHECK(call.ok());
    calls.push_back(std::move(call).value());
    names.push_back("a" + std::to_string(names.size()));
  }
  return plan::MakeAggregate(TestInput(PairSchema(), false), {}, std::move(calls), std::move(names), -1, 0);
}

/// The one row that the changes lead to.
TestRow Result(const plan::Node& plan, const std::vector<std::pair<TestRow, int64_t>>& changes, std::mt19937_64& random) {
  auto op = MakeOrDie(plan);
  for (size_t from = 0; from < changes.size();) {
    const size_t count = std::min(changes.size() - from, 1 + random() % 5);
    std::vector<TestRow> rows;
    std::vector<int64_t> weights;
    for (size_t i = from; i < from + count; ++i) {
      rows.push_back(changes[i].first);
      weights.push_back(changes[i].second);
    }
    Output none;
    KAPPA_CHECK(op->OnBatch(0, MakeBatch(PairSchema(), rows, weights), none).ok());
    from += count;
  }
  Output out;
  EpochContext epoch;
  KAPPA_CHECK(op->OnEpochEnd(epoch, out).ok());
  KAPPA_CHECK(out.size() == 1 && out[0].rows == 1);
  TestRow row;
  for (const auto& column : out[0].columns) row.push_back(data::ValueAt(*column, 0));
  return row;
}

TEST(WideSumTest, RoundsOnce) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 3000; ++round) {
    WideSum sum{};
    cpp_int exact = 0;
    for (int i = 0; i < 6; ++i) {
      double value = RandomDouble(random);
      if (round % 3 == 0) value = std::ldexp(value, -1060);  // near and below the smallest
      const Decomposed parts = Decompose(value);
      const auto weight = static_cast<int64_t>(random() % 7) - 3;
      sum.Add(Int256::Product(parts.mantissa, parts.negative, weight), parts.mantissa == 0 ? 0 : parts.exponent);
      exact += Scaled(value) * weight;
    }
    ASSERT_EQ(sum.ToDouble(), Nearest(exact, 1, -1074));
  }
}

TEST(MomentsTest, FloatsAreExactInAnyOrder) {
  const auto plan = Plan({{"sum", {"x"}},
                          {"avg", {"x"}},
                          {"var_pop", {"x"}},
                          {"stddev_samp", {"x"}},
                          {"covar_pop", {"y", "x"}},
                          {"covar_samp", {"y", "x"}},
                          {"corr", {"y", "x"}},
                          {"regr_slope", {"y", "x"}},
                          {"regr_intercept", {"y", "x"}},
                          {"regr_r2", {"y", "x"}},
                          {"regr_sxx", {"y", "x"}},
                          {"regr_sxy", {"y", "x"}},
                          {"regr_avgy", {"y", "x"}},
                          {"regr_count", {"y", "x"}}});
  std::mt19937_64 random(2);
  for (int round = 0; round < 150; ++round) {
    std::vector<TestRow> kept;
    std::vector<std::pair<TestRow, int64_t>> changes;
    const auto make = [&] {
      // Products of larger values are out of a double's range.
      const auto value = [&] {
        double v = RandomDouble(random);
        while (std::abs(v) > 1e120) v = RandomDouble(random);
        return random() % 12 == 0 ? Value::Null(TypeId::kFloat8) : Value::Fixed<double>(TypeId::kFloat8, v);
      };
      return TestRow{value(), value(), Value::Null(TypeId::kNumeric), Value::Null(TypeId::kInt8)};
    };
    for (size_t i = 1 + random() % 12; i > 0; --i) {
      kept.push_back(make());
      changes.emplace_back(kept.back(), 1);
    }
    for (size_t i = random() % 12; i > 0; --i) {
      TestRow gone = make();
      if (random() % 8 == 0) gone[1] = Value::Fixed<double>(TypeId::kFloat8, random() % 2 == 0 ? INFINITY : std::nan(""));
      changes.emplace_back(gone, 2);
      changes.emplace_back(gone, -2);
    }
    std::vector<std::pair<TestRow, int64_t>> plain(changes.begin(), changes.begin() + static_cast<ptrdiff_t>(kept.size()));
    const TestRow expected = Result(*plan, plain, random);
    for (int order = 0; order < 4; ++order) {
      std::shuffle(changes.begin(), changes.end(), random);
      ASSERT_EQ(Result(*plan, changes, random), expected);
    }
    // Against rationals.
    cpp_int n = 0, sx = 0, sxx = 0, pairs = 0, px = 0, py = 0, pxy = 0;
    for (const TestRow& row : kept) {
      if (row[1].null) continue;
      const cpp_int x = Scaled(row[1].As<double>());
      n += 1;
      sx += x;
      sxx += x * x;
      if (row[0].null) continue;
      const cpp_int y = Scaled(row[0].As<double>());
      pairs += 1;
      px += x;
      py += y;
      pxy += x * y;
    }
    if (n > 0) {
      ASSERT_EQ(expected[0].As<double>(), Nearest(sx, 1, -1074));
      ASSERT_EQ(expected[2].As<double>(), Nearest(n * sxx - sx * sx, n * n, -2148));
      if (n > 1) { ASSERT_EQ(expected[3].As<double>(), std::sqrt(Nearest(n * sxx - sx * sx, n * (n - 1), -2148))); }
    } else {
      ASSERT_TRUE(expected[0].null && expected[2].null);
    }
    cpp_int pxx = 0, pyy = 0;
    for (const TestRow& row : kept) {
      if (row[0].null || row[1].null) continue;
      pxx += Scaled(row[1].As<double>()) * Scaled(row[1].As<double>());
      pyy += Scaled(row[0].As<double>()) * Scaled(row[0].As<double>());
    }
    const cpp_int dxx = pairs * pxx - px * px, dyy = pairs * pyy - py * py, dxy = pairs * pxy - px * py;
    const auto expect = [&](size_t column, double value) {  // out of range: NULL, and an error is counted
      if (std::isinf(value)) ASSERT_TRUE(expected[column].null);
      else ASSERT_EQ(expected[column], Value::Fixed<double>(TypeId::kFloat8, value)) << column;
    };
    if (dxx > 0) {
      expect(7, Nearest(dxy, dxx, 0));
      expect(8, Nearest(py * pxx - px * pxy, dxx, -1074));
      expect(9, dyy == 0 ? 1 : Nearest(dxy * dxy, dxx * dyy, 0));
      expect(10, Nearest(dxx, pairs, -2148));
    } else {
      ASSERT_TRUE(expected[7].null && expected[8].null && expected[9].null);
    }
    if (pairs > 0) {
      ASSERT_EQ(expected[12].As<double>(), Nearest(py, pairs, -1074));
      ASSERT_EQ(expected[4].As<double>(), Nearest(pairs * pxy - px * py, pairs * pairs, -2148));
    }
    if (pairs > 1) {
      ASSERT_EQ(expected[5].As<double>(), Nearest(pairs * pxy - px * py, pairs * (pairs - 1), -2148));
    } else {
      ASSERT_TRUE(expected[5].null);
    }
    ASSERT_EQ(expected[13].As<int64_t>(), static_cast<int64_t>(pairs));
  }
}

Numeric RandomNumeric(std::mt19937_64& random) {
  switch (random() % 12) {
    case 0: return *Numeric::Parse("-98765432109876543210987654321098765432109.8765");
    case 1: return *Numeric::Parse("0.00000000000000000000000000000000000000000000000007");
    case 2: return Numeric(static_cast<int128_t>(random()) * 1'000'000'007, static_cast<int>(random() % 25));
    case 3: return Numeric(static_cast<int64_t>(random()), 0);
    default: return Numeric(static_cast<int64_t>(random() % 100'000) - 50'000, static_cast<int>(random() % 9));
  }
}

TEST(MomentsTest, NumericsAreExactInAnyOrder) {
  const auto plan =
      Plan({{"sum", {"n"}}, {"avg", {"n"}}, {"var_pop", {"n"}}, {"var_samp", {"n"}}, {"stddev_pop", {"n"}}, {"stddev", {"i"}}, {"variance", {"i"}}});
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<TestRow> kept;
    std::vector<std::pair<TestRow, int64_t>> changes;
    const auto make = [&] {
      return TestRow{Value::Null(TypeId::kFloat8), Value::Null(TypeId::kFloat8), Value::Bytes(TypeId::kNumeric, RandomNumeric(random).ToBytes()),
                     Value::Int8(random() % 3 == 0 ? static_cast<int64_t>(random()) : static_cast<int64_t>(random() % 100))};
    };
    for (size_t i = 1 + random() % 8; i > 0; --i) {
      kept.push_back(make());
      changes.emplace_back(kept.back(), 1);
    }
    for (size_t i = random() % 8; i > 0; --i) {
      TestRow gone = make();
      if (random() % 6 == 0) gone[2] = Value::Bytes(TypeId::kNumeric, (random() % 2 == 0 ? Numeric::Nan() : Numeric::Infinity()).ToBytes());
      changes.emplace_back(gone, 1);
      changes.emplace_back(gone, -1);
    }
    // What PostgreSQL computes: the sums by numeric's own arithmetic, then its formula.
    Numeric sum, squares;
    int128_t int_sum = 0;
    Numeric int_squares;
    for (const TestRow& row : kept) {
      const Numeric value = Numeric::FromBytes(row[2].bytes);
      sum = *Add(sum, value);
      squares = *Add(squares, *Multiply(value, value));
      int_sum += row[3].As<int64_t>();
      int_squares = *Add(int_squares, *Multiply(Numeric(row[3].As<int64_t>()), Numeric(row[3].As<int64_t>())));
    }
    const Numeric n(static_cast<int64_t>(kept.size()));
    const auto variance = [&](const Numeric& s, const Numeric& s2, bool sample) -> Value {
      if (sample && kept.size() == 1) return Value::Null(TypeId::kNumeric);
      const Numeric numerator = *Subtract(*Multiply(n, s2), *Multiply(s, s));
      if (numerator.sign() <= 0) return Value::Bytes(TypeId::kNumeric, Numeric(0).ToBytes());
      return Value::Bytes(TypeId::kNumeric, Divide(numerator, *Multiply(n, sample ? *Subtract(n, Numeric(1)) : n))->ToBytes());
    };
    const auto root = [](const Value& v) {
      if (v.null) return v;
      const Numeric value = Numeric::FromBytes(v.bytes);
      return value.is_zero() ? v : Value::Bytes(TypeId::kNumeric, Sqrt(value, value.scale())->ToBytes());
    };
    const TestRow expected = {Value::Bytes(TypeId::kNumeric, sum.ToBytes()),
                              Value::Bytes(TypeId::kNumeric, Divide(sum, n)->ToBytes()),
                              variance(sum, squares, false),
                              variance(sum, squares, true),
                              root(variance(sum, squares, false)),
                              root(variance(Numeric(int_sum), int_squares, true)),
                              variance(Numeric(int_sum), int_squares, true)};
    for (int order = 0; order < 4; ++order) {
      ASSERT_EQ(Result(*plan, changes, random), expected);
      std::shuffle(changes.begin(), changes.end(), random);
    }
  }
}

}  // namespace
}  // namespace kappa::ops
