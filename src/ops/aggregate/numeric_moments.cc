// Variances and standard deviations of integers and numerics: exact, with PostgreSQL's digits and display scale.
#include <vector>

#include "base/bytes.h"
#include "ops/aggregate/accumulator.h"
#include "ops/aggregate/exact_moments.h"

namespace kappa::ops {
namespace {

using data::Numeric;
using expr::AggregateKind;

// The result's digits depend on the largest scale among the values, so deletes need to know how many there are of each.
constexpr int kFastScaleMax = 7;
constexpr uint64_t kPowers[] = {1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000};

struct MomentsState {
  uint64_t sum[2];  // int128: sum of the fast values * 10^scale
  Int256 squares;   // of their squares * 10^(2 * scale)
  int64_t count;    // fast values
  state::Ref slow;  // blob with what is not fast: see SlowEntry
  uint32_t scale;
  uint32_t reserved;
};
static_assert(sizeof(MomentsState) == 72);

int128_t Load(const MomentsState& state) { return static_cast<int128_t>(static_cast<uint128_t>(state.sum[1]) << 64 | state.sum[0]); }
void Store(MomentsState& state, int128_t value) {
  state.sum[0] = static_cast<uint64_t>(static_cast<uint128_t>(value));
  state.sum[1] = static_cast<uint64_t>(static_cast<uint128_t>(value) >> 64);
}

// Values that are special, too large or too fine: per display scale (special: -1) their number and sums.
struct SlowEntry {
  int scale;
  int64_t count;
  Numeric sum, squares;
};

std::vector<SlowEntry> DecodeSlow(std::string_view bytes) {
  std::vector<SlowEntry> entries;
  ByteReader reader(bytes);
  while (reader.remaining() > 0) {
    SlowEntry entry;
    entry.scale = static_cast<int>(reader.ZigZag());
    entry.count = reader.ZigZag();
    entry.sum = Numeric::FromBytes(reader.Prefixed());
    entry.squares = Numeric::FromBytes(reader.Prefixed());
    KAPPA_CHECK(reader.ok());
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::string EncodeSlow(const std::vector<SlowEntry>& entries) {
  ByteWriter out;
  for (const SlowEntry& entry : entries) {
    if (entry.count == 0 && entry.sum.is_zero() && entry.squares.is_zero()) continue;
    out.ZigZag(entry.scale);
    out.ZigZag(entry.count);
    out.Prefixed(entry.sum.ToBytes());
    out.Prefixed(entry.squares.ToBytes());
  }
  return out.Take();
}

// State: see MomentsState; of numerics also the number of fast values of each scale.
class NumericMoments final : public Accumulator {
 public:
  NumericMoments(AggregateKind kind, data::Type type, state::Arena* blobs)
      : kind_(kind), numeric_(type.id == data::TypeId::kNumeric), blobs_(blobs) {}
  uint32_t bytes() const override { return sizeof(MomentsState) + (numeric_ ? (kFastScaleMax + 1) * 8 : 0); }

  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    if (!numeric_) {
      const auto* values = arguments[0]->data<int64_t>();
      for (int32_t row : in.rows) KAPPA_CHECK(AddFast(At<MomentsState>(in.payloads[row]), values[row], 0, in.weight(row)));
      return {};
    }
    const auto* values = arguments[0]->data<data::StringView>();
    for (int32_t row : in.rows) {
      auto& state = At<MomentsState>(in.payloads[row]);
      int128_t coefficient;
      int scale;
      if (!data::DecodeSmallNumeric(values[row], coefficient, scale) || !AddFast(state, coefficient, scale, in.weight(row))) [[unlikely]] {
        KAPPA_RETURN_IF_ERROR(AddSlow(state, Numeric::FromBytes(values[row]), in.weight(row)));
      }
    }
    return {};
  }

  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext& context) override {
    data::ColumnBuilder builder(data::TypeId::kNumeric, static_cast<int64_t>(groups.payloads.size()));
    for (char* payload : groups.payloads) {
      Result<std::optional<Numeric>> value = Value(At<MomentsState>(payload));
      if (!value.ok()) {
        KAPPA_RETURN_IF_ERROR(HandleRowError(value.error(), context));
        builder.AppendNull();
      } else if (!value->has_value()) {
        builder.AppendNull();
      } else {
        (*value)->AppendTo(builder);
      }
    }
    return builder.Finish();
  }

  void Drop(char* payload) override {
    auto& state = At<MomentsState>(payload);
    if (state.slow != 0) state::FreeBlob(*blobs_, state.slow);
    state.slow = 0;
  }

 private:
  int64_t* Counts(const MomentsState& state) const { return reinterpret_cast<int64_t*>(const_cast<MomentsState*>(&state) + 1); }

  bool AddFast(MomentsState& state, int128_t coefficient, int scale, int64_t weight) {
    const auto common = static_cast<int>(state.scale);
    if (scale > kFastScaleMax) return false;
    int128_t sum = Load(state);
    Int256 squares = state.squares;
    if (scale > common) {
      const uint64_t factor = kPowers[scale - common];
      if (__builtin_mul_overflow(sum, static_cast<int128_t>(factor), &sum) || squares.BitLength() > 200) return false;
      squares = squares.Times(factor * factor);  // below 2^47
    }
    if (scale < common && __builtin_mul_overflow(coefficient, static_cast<int128_t>(kPowers[common - scale]), &coefficient)) return false;
    if (coefficient < INT64_MIN || coefficient > INT64_MAX || squares.BitLength() > 252) return false;
    if (__builtin_add_overflow(sum, coefficient * weight, &sum)) return false;  // 63 + 63 bits
    const auto magnitude = static_cast<uint128_t>(coefficient < 0 ? -coefficient : coefficient);
    squares += Int256::Product(magnitude * magnitude, false, weight);
    Store(state, sum);
    state.squares = squares;
    state.count += weight;
    state.scale = static_cast<uint32_t>(std::max(scale, common));
    if (numeric_) Counts(state)[scale] += weight;
    return true;
  }

  Status AddSlow(MomentsState& state, const Numeric& value, int64_t weight) {
    std::string scratch;
    std::vector<SlowEntry> entries;
    if (state.slow != 0) entries = DecodeSlow(state::BlobView(*blobs_, state.slow, scratch));
    const int scale = value.is_finite() ? value.scale() : -1;
    auto entry = std::find_if(entries.begin(), entries.end(), [&](const SlowEntry& e) { return e.scale == scale; });
    if (entry == entries.end()) entry = entries.insert(entries.end(), {scale, 0, Numeric(), Numeric()});
    entry->count += weight;
    if (value.is_finite()) {
      KAPPA_ASSIGN_OR_RETURN(const Numeric weighted, data::Multiply(value, Numeric(weight)));
      KAPPA_ASSIGN_OR_RETURN(const Numeric square, data::Multiply(weighted, value));
      KAPPA_ASSIGN_OR_RETURN(entry->sum, data::Add(entry->sum, weighted));
      KAPPA_ASSIGN_OR_RETURN(entry->squares, data::Add(entry->squares, square));
    }
    if (state.slow != 0) state::FreeBlob(*blobs_, state.slow);
    const std::string bytes = EncodeSlow(entries);
    state.slow = bytes.empty() ? 0 : state::StoreBlob(*blobs_, bytes);
    return {};
  }

  Result<std::optional<Numeric>> Value(const MomentsState& state) const {
    const bool sample = kind_ == AggregateKind::kVarSamp || kind_ == AggregateKind::kStddevSamp;
    int64_t count = state.count;
    Numeric sum(Load(state), static_cast<int>(state.scale));
    KAPPA_ASSIGN_OR_RETURN(Numeric squares, ToNumeric(state.squares));
    // As many digits after the point: the coefficient is moved, not the value.
    KAPPA_ASSIGN_OR_RETURN(squares, data::Multiply(squares, Numeric(1, 2 * static_cast<int>(state.scale))));
    std::vector<SlowEntry> entries;
    std::string scratch;
    if (state.slow != 0) entries = DecodeSlow(state::BlobView(*blobs_, state.slow, scratch));
    int64_t special = 0;
    std::vector<int64_t> scales(static_cast<size_t>(kFastScaleMax) + 1);
    if (numeric_) std::copy_n(Counts(state), scales.size(), scales.begin());
    for (const SlowEntry& entry : entries) {
      count += entry.count;
      if (entry.scale < 0) {
        special += entry.count;
        continue;
      }
      if (static_cast<size_t>(entry.scale) >= scales.size()) scales.resize(static_cast<size_t>(entry.scale) + 1);
      scales[static_cast<size_t>(entry.scale)] += entry.count;
      KAPPA_ASSIGN_OR_RETURN(sum, data::Add(sum, entry.sum));
      KAPPA_ASSIGN_OR_RETURN(squares, data::Add(squares, entry.squares));
    }
    if (count <= 0 || (sample && count == 1)) return std::optional<Numeric>();
    if (special > 0) return std::optional(Numeric::Nan());
    int scale = static_cast<int>(scales.size()) - 1;
    while (scale > 0 && scales[static_cast<size_t>(scale)] <= 0) --scale;
    if (sum.scale() != scale) {  // digits cut off are zeros: all values that had more are gone
      KAPPA_ASSIGN_OR_RETURN(sum, sum.Round(scale));
    }
    if (squares.scale() != 2 * scale) { KAPPA_ASSIGN_OR_RETURN(squares, squares.Round(2 * scale)); }
    const Numeric n(count);
    KAPPA_ASSIGN_OR_RETURN(const Numeric scaled, data::Multiply(n, squares));
    KAPPA_ASSIGN_OR_RETURN(const Numeric square, data::Multiply(sum, sum));
    KAPPA_ASSIGN_OR_RETURN(const Numeric numerator, data::Subtract(scaled, square));
    if (numerator.sign() <= 0) return std::optional(Numeric(0));
    KAPPA_ASSIGN_OR_RETURN(const Numeric denominator, data::Multiply(n, Numeric(sample ? count - 1 : count)));
    KAPPA_ASSIGN_OR_RETURN(Numeric variance, data::Divide(numerator, denominator));
    if (kind_ == AggregateKind::kVarPop || kind_ == AggregateKind::kVarSamp) return std::optional(std::move(variance));
    KAPPA_ASSIGN_OR_RETURN(Numeric deviation, data::Sqrt(variance, variance.scale()));
    return std::optional(std::move(deviation));
  }

  AggregateKind kind_;
  bool numeric_;
  state::Arena* blobs_;
};

}  // namespace

AccumulatorPtr MakeNumericMoments(AggregateKind kind, data::Type type, const AccumulatorSetup& setup) {
  return std::make_unique<NumericMoments>(kind, type, setup.blobs);
}

}  // namespace kappa::ops
