// bit_and, bit_or, bit_xor.
#include "ops/aggregate/accumulator.h"

namespace kappa::ops {
namespace {

using expr::AggregateKind;

// State: how many values there are, and of each bit in how many it is set; bit_xor needs only whether that is odd: one word.
template <typename T> class BitAggregate final : public Accumulator {
 public:
  BitAggregate(AggregateKind kind, data::Type type) : kind_(kind), type_(type) {}
  uint32_t bytes() const override { return kind_ == AggregateKind::kBitXor ? 16 : 8 + 8 * kBits; }

  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    const T* values = arguments[0]->data<T>();
    for (int32_t row : in.rows) {
      auto* state = &At<int64_t>(in.payloads[row]);
      const int64_t weight = in.weight(row);
      const auto bits = static_cast<Bits>(values[row]);
      state[0] += weight;
      if (kind_ == AggregateKind::kBitXor) {
        if (weight % 2 != 0) state[1] ^= static_cast<int64_t>(bits);
        continue;
      }
      for (int bit = 0; bit < kBits; ++bit) state[1 + bit] += static_cast<int64_t>(bits >> bit & 1) * weight;
    }
    return {};
  }

  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext&) override {
    data::ColumnBuilder builder(type_, static_cast<int64_t>(groups.payloads.size()));
    for (char* payload : groups.payloads) {
      const auto* state = &At<int64_t>(payload);
      if (state[0] <= 0) {
        builder.AppendNull();
        continue;
      }
      if (kind_ == AggregateKind::kBitXor) {
        builder.Append(static_cast<T>(state[1]));
        continue;
      }
      Bits result = 0;
      for (int bit = 0; bit < kBits; ++bit) {
        const bool set = kind_ == AggregateKind::kBitOr ? state[1 + bit] > 0 : state[1 + bit] >= state[0];
        if (set) result = static_cast<Bits>(result | static_cast<Bits>(Bits{1} << bit));
      }
      builder.Append(static_cast<T>(result));
    }
    return builder.Finish();
  }

 private:
  using Bits = std::make_unsigned_t<T>;
  static constexpr int kBits = 8 * sizeof(T);
  AggregateKind kind_;
  data::Type type_;
};

}  // namespace

AccumulatorPtr MakeBitAggregate(AggregateKind kind, data::Type type) {
  switch (type.width()) {
    case 2: return std::make_unique<BitAggregate<int16_t>>(kind, type);
    case 4: return std::make_unique<BitAggregate<int32_t>>(kind, type);
    default: return std::make_unique<BitAggregate<int64_t>>(kind, type);
  }
}

}  // namespace kappa::ops
