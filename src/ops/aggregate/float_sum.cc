// sum and avg of floats: exact, rounded once, so that the order of rows and deletes leave no trace in the last bit.
#include <bit>
#include <cmath>
#include <cstring>

#include "ops/aggregate/accumulator.h"
#include "ops/aggregate/wide_sum.h"
#include "state/blob.h"

namespace kappa::ops {
namespace {

/// What the payload does not hold.
struct WideState {
  int64_t nan, infinity, negative_infinity;
  WideSum sum;

  bool IsZero() const { return nan == 0 && infinity == 0 && negative_infinity == 0 && sum.IsZero(); }
};
static_assert(sizeof(WideState) == 24 + 70 * 8);

Int256 Widened(int128_t value) {
  const uint64_t sign = value < 0 ? UINT64_MAX : 0;
  return {{static_cast<uint64_t>(static_cast<uint128_t>(value)), static_cast<uint64_t>(static_cast<uint128_t>(value) >> 64), sign, sign}};
}

struct FloatState {
  uint64_t mantissa[2];  // int128: fast sum = mantissa * 2^exponent
  int64_t count;
  state::Ref wide;  // blob with a WideState, for what does not fit above
  int32_t exponent;
  uint32_t reserved;
};
int128_t Load(const FloatState& state) { return static_cast<int128_t>(static_cast<uint128_t>(state.mantissa[1]) << 64 | state.mantissa[0]); }
void Store(FloatState& state, int128_t value) {
  state.mantissa[0] = static_cast<uint64_t>(static_cast<uint128_t>(value));
  state.mantissa[1] = static_cast<uint64_t>(static_cast<uint128_t>(value) >> 64);
}
int BitLength(int128_t value) {
  auto magnitude = value < 0 ? -static_cast<uint128_t>(value) : static_cast<uint128_t>(value);
  auto high = static_cast<uint64_t>(magnitude >> 64);
  return high != 0 ? 128 - std::countl_zero(high) : 64 - std::countl_zero(static_cast<uint64_t>(magnitude));
}

// State: see FloatState. Values whose exponents lie within about 120 bits of each other, which is nearly all data, never
// leave the payload.
class FloatSum final : public Accumulator {
 public:
  FloatSum(data::Type type, data::Type result, bool average, state::Arena* blobs) : type_(type), result_(result), average_(average), blobs_(blobs) {}
  uint32_t bytes() const override { return sizeof(FloatState); }

  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    if (type_.id == data::TypeId::kFloat4) {
      for (int32_t row : in.rows) Add(At<FloatState>(in.payloads[row]), arguments[0]->data<float>()[row], in.weight(row));
    } else {
      for (int32_t row : in.rows) Add(At<FloatState>(in.payloads[row]), arguments[0]->data<double>()[row], in.weight(row));
    }
    return {};
  }

  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext& context) override {
    data::ColumnBuilder builder(result_, static_cast<int64_t>(groups.payloads.size()));
    for (char* payload : groups.payloads) {
      auto& state = At<FloatState>(payload);
      if (state.count <= 0) {
        builder.AppendNull();
        continue;
      }
      bool overflow = false;
      double sum = Total(state, overflow);
      double value = average_ ? sum / static_cast<double>(state.count) : sum;
      if (result_.id == data::TypeId::kFloat4 && !overflow) overflow = std::isfinite(value) && std::isinf(static_cast<float>(value));
      if (overflow) {
        KAPPA_RETURN_IF_ERROR(HandleRowError(Error(sqlstate::kNumericValueOutOfRange, "value out of range: overflow"), context));
        builder.AppendNull();
      } else if (result_.id == data::TypeId::kFloat4) {
        builder.Append(static_cast<float>(value));
      } else {
        builder.Append(value);
      }
    }
    return builder.Finish();
  }

  bool merges() const override { return true; }
  Status Merge(char* into, char* from) override {
    auto &state = At<FloatState>(into), &other = At<FloatState>(from);
    state.count += other.count;
    AddProduct(state, Load(other), other.exponent);
    if (other.wide == 0) return {};
    const WideState wide = LoadWide(other);
    AddWide(state, [&](WideState& sum) {
      sum.nan += wide.nan;
      sum.infinity += wide.infinity;
      sum.negative_infinity += wide.negative_infinity;
      sum.sum += wide.sum;
    });
    return {};
  }
  bool is_plain(char* payload) const override { return At<FloatState>(payload).wide == 0; }
  void Drop(char* payload) override {
    auto& state = At<FloatState>(payload);
    if (state.wide != 0) state::FreeBlob(*blobs_, state.wide);
    state.wide = 0;
  }

 private:
  void Add(FloatState& state, double value, int64_t weight) {
    state.count += weight;
    if (value == 0) return;
    if (!std::isfinite(value)) [[unlikely]]
      return AddWide(state, [&](WideState& wide) { (std::isnan(value) ? wide.nan : value > 0 ? wide.infinity : wide.negative_infinity) += weight; });
    const Decomposed parts = Decompose(value);
    const auto mantissa = static_cast<int64_t>(parts.mantissa);
    AddProduct(state, static_cast<int128_t>(parts.negative ? -mantissa : mantissa) * weight, parts.exponent);
  }

  /// Adds change * 2^exponent.
  void AddProduct(FloatState& state, int128_t change, int exponent) {
    if (change == 0) return;
    int128_t sum = Load(state);
    if (AddFast(sum, state.exponent, change, exponent)) [[likely]]
      return Store(state, sum);
    AddWide(state, [&](WideState& wide) {
      if (sum != 0) wide.sum.Add(Widened(sum), state.exponent);
      wide.sum.Add(Widened(change), exponent);
    });
    Store(state, 0);
  }

  static bool AddFast(int128_t& sum, int32_t& at, int128_t change, int exponent) {
    if (sum == 0) {
      sum = change;
      at = exponent;
      return true;
    }
    if (exponent >= at) {
      if (exponent - at > 0 && exponent - at + BitLength(change) > 125) return false;
      change *= static_cast<int128_t>(1) << (exponent - at);
      return !__builtin_add_overflow(sum, change, &sum);
    }
    if (at - exponent + BitLength(sum) > 125) return false;
    int128_t finer = sum * (static_cast<int128_t>(1) << (at - exponent));
    if (__builtin_add_overflow(finer, change, &finer)) return false;
    sum = finer;
    at = exponent;
    return true;
  }

  template <typename Change> void AddWide(FloatState& state, Change&& change) {
    WideState wide = LoadWide(state);
    change(wide);
    if (state.wide != 0) state::FreeBlob(*blobs_, state.wide);
    state.wide = wide.IsZero() ? 0 : state::StoreBlob(*blobs_, {reinterpret_cast<const char*>(&wide), sizeof wide});
  }
  WideState LoadWide(const FloatState& state) const {
    WideState wide{};
    std::string scratch;
    if (state.wide != 0) {
      std::string_view bytes = state::BlobView(*blobs_, state.wide, scratch);
      KAPPA_CHECK(bytes.size() == sizeof wide);
      std::memcpy(&wide, bytes.data(), sizeof wide);
    }
    return wide;
  }
  double Total(const FloatState& state, bool& overflow) const {
    double sum;
    if (state.wide == 0) {
      const int128_t fast = Load(state);
      const double magnitude = RoundToDouble(fast < 0 ? -static_cast<uint128_t>(fast) : static_cast<uint128_t>(fast), false, state.exponent);
      sum = fast < 0 ? -magnitude : magnitude;
    } else {
      WideState wide = LoadWide(state);
      if (wide.nan > 0 || (wide.infinity > 0 && wide.negative_infinity > 0)) return std::nan("");
      if (wide.infinity > 0) return INFINITY;
      if (wide.negative_infinity > 0) return -INFINITY;
      if (int128_t fast = Load(state); fast != 0) wide.sum.Add(Widened(fast), state.exponent);
      sum = wide.sum.ToDouble();
    }
    overflow = std::isinf(sum);
    return sum;
  }

  data::Type type_, result_;
  bool average_;
  state::Arena* blobs_;
};

}  // namespace

AccumulatorPtr MakeFloatSum(data::Type type, data::Type result, bool average, const AccumulatorSetup& setup) {
  return std::make_unique<FloatSum>(type, result, average, setup.blobs);
}

}  // namespace kappa::ops
