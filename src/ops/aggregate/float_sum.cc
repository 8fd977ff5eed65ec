// sum and avg of floats: exact, rounded once, so that the order of rows and deletes leave no trace in the last bit.
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/int128.h"
#include "ops/aggregate/accumulator.h"
#include "state/blob.h"

namespace kappa::ops {
namespace {

// Every finite double is a multiple of 2^-1074 below 2^1024. The wide sum is a fixed-point number in that unit: digits of
// 32 bits in words of 64, so that 2^31 additions cannot overflow a word between two carries; 70 * 32 bits = 2098 + 142 bits
// of room for weights.
constexpr int kDigits = 70;
constexpr int kUnitExponent = -1074;

struct WideSum {
  int64_t nan, infinity, negative_infinity;
  std::array<int64_t, kDigits> digits;

  /// Adds mantissa * 2^exponent (exponent >= -1074), |mantissa| < 2^127.
  void Add(int128_t mantissa, int exponent) {
    bool negative = mantissa < 0;
    auto magnitude = negative ? -static_cast<uint128_t>(mantissa) : static_cast<uint128_t>(mantissa);
    int shift = exponent - kUnitExponent;
    auto at = static_cast<size_t>(shift / 32);
    int bits = shift % 32;
    for (uint128_t rest = magnitude, carry = 0; rest != 0 || carry != 0; ++at) {
      KAPPA_CHECK(at < kDigits);
      uint128_t digit = ((rest & 0xffffffffu) << bits) + carry;
      carry = digit >> 32;
      auto low = static_cast<int64_t>(static_cast<uint32_t>(digit));
      digits[at] += negative ? -low : low;
      rest >>= 32;
    }
    Carry();
  }
  void Carry() {
    int64_t carry = 0;
    for (size_t i = 0; i + 1 < kDigits; ++i) {
      int64_t sum = digits[i] + carry;
      carry = sum >> 32;
      digits[i] = sum - (carry << 32);
    }
    digits[kDigits - 1] += carry;  // keeps the sign
  }
  bool IsZero() const {
    for (int64_t digit : digits) if (digit != 0) return false;
    return nan == 0 && infinity == 0 && negative_infinity == 0;
  }
  /// Nearest, ties to even; infinite when it is out of range.
  double ToDouble() const {
    WideSum magnitude = *this;
    bool negative = digits[kDigits - 1] < 0;
    if (negative) {
      for (int64_t& digit : magnitude.digits) digit = -digit;
      magnitude.Carry();
    }
    int top = kDigits - 1;
    while (top >= 0 && magnitude.digits[static_cast<size_t>(top)] == 0) --top;
    if (top < 0) return 0;
    uint128_t head = 0;
    bool rest = false;
    for (int i = top; i >= 0; --i) {
      auto digit = static_cast<uint64_t>(magnitude.digits[static_cast<size_t>(i)]);
      if (top - i < 3) head = head << 32 | digit;
      else rest |= digit != 0;
    }
    int low = std::max(top - 2, 0);
    if (rest) head |= 1;  // far below the last bit that counts
    double value = std::ldexp(static_cast<double>(head), low * 32 + kUnitExponent);
    return negative ? -value : value;
  }
};

struct FloatState {
  uint64_t mantissa[2];  // int128: fast sum = mantissa * 2^exponent
  int64_t count;
  state::Ref wide;  // blob with a WideSum, for what does not fit above
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

  void Drop(char* payload) override {
    auto& state = At<FloatState>(payload);
    if (state.wide != 0) state::FreeBlob(*blobs_, state.wide);
    state.wide = 0;
  }

 private:
  void Add(FloatState& state, double value, int64_t weight) {
    state.count += weight;
    if (value == 0) return;
    if (!std::isfinite(value)) [[unlikely]] return AddWide(state, [&](WideSum& wide) {
      (std::isnan(value) ? wide.nan : value > 0 ? wide.infinity : wide.negative_infinity) += weight;
    });
    auto bits = std::bit_cast<uint64_t>(value);
    auto mantissa = static_cast<int64_t>(bits & ((1ULL << 52) - 1));
    int exponent = static_cast<int>(bits >> 52 & 0x7ff);
    if (exponent != 0) mantissa |= 1LL << 52;
    else exponent = 1;
    int zeros = std::countr_zero(static_cast<uint64_t>(mantissa));
    mantissa >>= zeros;
    exponent += zeros + kUnitExponent - 1;
    int128_t change = static_cast<int128_t>(value < 0 ? -mantissa : mantissa) * weight;
    int128_t sum = Load(state);
    if (AddFast(sum, state.exponent, change, exponent)) [[likely]] return Store(state, sum);
    AddWide(state, [&](WideSum& wide) {
      if (sum != 0) wide.Add(sum, state.exponent);
      wide.Add(change, exponent);
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
    WideSum wide = LoadWide(state);
    change(wide);
    if (state.wide != 0) state::FreeBlob(*blobs_, state.wide);
    state.wide = wide.IsZero() ? 0 : state::StoreBlob(*blobs_, {reinterpret_cast<const char*>(&wide), sizeof wide});
  }
  WideSum LoadWide(const FloatState& state) const {
    WideSum wide{};
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
      sum = std::ldexp(static_cast<double>(Load(state)), state.exponent);
    } else {
      WideSum wide = LoadWide(state);
      if (wide.nan > 0 || (wide.infinity > 0 && wide.negative_infinity > 0)) return std::nan("");
      if (wide.infinity > 0) return INFINITY;
      if (wide.negative_infinity > 0) return -INFINITY;
      if (int128_t fast = Load(state); fast != 0) wide.Add(fast, state.exponent);
      sum = wide.ToDouble();
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
