// Variances of floats, correlation, covariance and linear regression: from exact sums, each rounded once.
#include <cmath>

#include "ops/aggregate/accumulator.h"
#include "ops/aggregate/exact_moments.h"

namespace kappa::ops {
namespace {

using expr::AggregateKind;

/// How many values of a variable are not finite.
struct Specials {
  int64_t nan, infinity, negative_infinity;

  void Count(double value, int64_t weight) { (std::isnan(value) ? nan : value > 0 ? infinity : negative_infinity) += weight; }
  bool any() const { return nan > 0 || infinity > 0 || negative_infinity > 0; }
  double Sum() const {
    if (nan > 0 || (infinity > 0 && negative_infinity > 0)) return std::nan("");
    return infinity > 0 ? INFINITY : -INFINITY;
  }
};

struct MomentsState {
  int64_t count;
  Specials x, y;
  ExactSums sums;
};
static_assert(sizeof(MomentsState) == 56 + 5 * 48);

bool IsVariance(AggregateKind kind) { return kind >= AggregateKind::kVarPop && kind <= AggregateKind::kStddevSamp; }

// State: the count, what is not finite, and five exact sums; of one variable only what comes before y's.
class FloatMoments final : public Accumulator {
 public:
  FloatMoments(AggregateKind kind, state::Arena* blobs) : kind_(kind), single_(IsVariance(kind)), blobs_(blobs) {}
  uint32_t bytes() const override { return sizeof(MomentsState); }

  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    if (single_) {
      const double* values = arguments[0]->data<double>();
      for (int32_t row : in.rows) {
        auto& state = At<MomentsState>(in.payloads[row]);
        const int64_t weight = in.weight(row);
        state.count += weight;
        if (std::isfinite(values[row])) AddOne(state.sums.x, state.sums.xx, Decompose(values[row]), weight);
        else state.x.Count(values[row], weight);
      }
      return {};
    }
    const double* ys = arguments[0]->data<double>();
    const double* xs = arguments[1]->data<double>();
    for (int32_t row : in.rows) {
      if (arguments[1]->IsNull(row)) continue;
      auto& state = At<MomentsState>(in.payloads[row]);
      const int64_t weight = in.weight(row);
      state.count += weight;
      if (kind_ == AggregateKind::kRegrCount) continue;
      const bool finite_x = std::isfinite(xs[row]), finite_y = std::isfinite(ys[row]);
      const Decomposed x = Decompose(finite_x ? xs[row] : 0), y = Decompose(finite_y ? ys[row] : 0);
      if (!finite_x) state.x.Count(xs[row], weight);
      if (!finite_y) state.y.Count(ys[row], weight);
      AddOne(state.sums.x, state.sums.xx, x, weight);
      AddOne(state.sums.y, state.sums.yy, y, weight);
      AddExact(state.sums.xy, static_cast<uint128_t>(x.mantissa) * y.mantissa, x.negative != y.negative, x.exponent + y.exponent, weight, *blobs_);
    }
    return {};
  }

  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext& context) override {
    if (kind_ == AggregateKind::kRegrCount) {
      data::ColumnBuilder counts(data::TypeId::kInt8, static_cast<int64_t>(groups.payloads.size()));
      for (char* payload : groups.payloads) counts.Append<int64_t>(std::max<int64_t>(At<MomentsState>(payload).count, 0));
      return counts.Finish();
    }
    data::ColumnBuilder builder(data::TypeId::kFloat8, static_cast<int64_t>(groups.payloads.size()));
    for (char* payload : groups.payloads) {
      const auto& state = At<MomentsState>(payload);
      const std::optional<double> value = state.count <= 0 ? std::nullopt : Value(state);
      if (!value) {
        builder.AppendNull();
      } else if (std::isinf(*value) && !state.x.any() && !state.y.any()) {
        KAPPA_RETURN_IF_ERROR(HandleRowError(Error(sqlstate::kNumericValueOutOfRange, "value out of range: overflow"), context));
        builder.AppendNull();
      } else {
        builder.Append(*value);
      }
    }
    return builder.Finish();
  }

  void Drop(char* payload) override {
    auto& sums = At<MomentsState>(payload).sums;
    for (ExactSum* sum : {&sums.x, &sums.y, &sums.xx, &sums.yy, &sums.xy}) DropExact(*sum, *blobs_);
  }

 private:
  void AddOne(ExactSum& sum, ExactSum& squares, const Decomposed& value, int64_t weight) {
    AddExact(sum, value.mantissa, value.negative, value.exponent, weight, *blobs_);
    AddExact(squares, static_cast<uint128_t>(value.mantissa) * value.mantissa, false, 2 * value.exponent, weight, *blobs_);
  }
  double Mean(const ExactSum& sum, const Specials& specials, int64_t n) const { return specials.any() ? specials.Sum() : ExactMean(sum, n, *blobs_); }

  /// nullopt where PostgreSQL gives NULL.
  std::optional<double> Value(const MomentsState& state) const {
    const ExactSums& sums = state.sums;
    const int64_t n = state.count;
    const bool sample = kind_ == AggregateKind::kVarSamp || kind_ == AggregateKind::kStddevSamp || kind_ == AggregateKind::kCovarSamp;
    if (sample && n == 1) return std::nullopt;
    const int64_t divisor = sample ? n - 1 : n;
    const auto sxx = [&](int64_t d) { return state.x.any() ? std::nan("") : ExactDeviation(sums.xx, sums.x, sums.x, n, d, *blobs_); };
    const auto syy = [&](int64_t d) { return state.y.any() ? std::nan("") : ExactDeviation(sums.yy, sums.y, sums.y, n, d, *blobs_); };
    const auto sxy = [&](int64_t d) {
      return state.x.any() || state.y.any() ? std::nan("") : ExactDeviation(sums.xy, sums.x, sums.y, n, d, *blobs_);
    };
    switch (kind_) {
      case AggregateKind::kVarPop:
      case AggregateKind::kVarSamp: return sxx(divisor);
      case AggregateKind::kStddevPop:
      case AggregateKind::kStddevSamp: return std::sqrt(sxx(divisor));
      case AggregateKind::kCovarPop:
      case AggregateKind::kCovarSamp: return sxy(divisor);
      case AggregateKind::kRegrAvgx: return Mean(sums.x, state.x, n);
      case AggregateKind::kRegrAvgy: return Mean(sums.y, state.y, n);
      case AggregateKind::kRegrSxx: return sxx(1);
      case AggregateKind::kRegrSyy: return syy(1);
      case AggregateKind::kRegrSxy: return sxy(1);
      default: break;
    }
    if (state.x.any() || state.y.any()) {
      // A variable that does not vary decides before the NaN or infinity in the other one does.
      if (sxx(1) == 0) return std::nullopt;
      if (syy(1) == 0 && kind_ == AggregateKind::kCorr) return std::nullopt;
      if (syy(1) == 0 && kind_ == AggregateKind::kRegrR2) return 1;
      return std::nan("");
    }
    switch (kind_) {
      case AggregateKind::kCorr: return ExactCorrelation(sums, n, *blobs_);
      case AggregateKind::kRegrR2: return ExactDetermination(sums, n, *blobs_);
      case AggregateKind::kRegrSlope: return ExactSlope(sums, n, *blobs_);
      case AggregateKind::kRegrIntercept: return ExactIntercept(sums, n, *blobs_);
      default: KAPPA_CHECK(false);
    }
  }

  AggregateKind kind_;
  bool single_;
  state::Arena* blobs_;
};

}  // namespace

AccumulatorPtr MakeFloatMoments(AggregateKind kind, const AccumulatorSetup& setup) { return std::make_unique<FloatMoments>(kind, setup.blobs); }

}  // namespace kappa::ops
