// sum and avg of numeric: exact, independent of order, with PostgreSQL's display scale under deletes too.
#include <algorithm>
#include <vector>

#include "base/bytes.h"
#include "data/numeric.h"
#include "ops/aggregate/accumulator.h"
#include "state/blob.h"

namespace kappa::ops {
namespace {

using data::Numeric;

// The sum's display scale is the largest of the values that are in it, so deletes need to know how many there are of each.
constexpr int kCountedScales = 8;   // 0..7 are counted in the payload
constexpr int kFastScaleMax = expr::kSumScaleMax;

struct SumState {
  uint64_t sum[2];  // int128: sum of the fast values * 10^scale
  int64_t count;    // fast values
  state::Ref slow;  // blob with what is not fast: see SlowEntry
  uint32_t scale;
  uint32_t reserved;
};

int128_t Load(const SumState& state) { return static_cast<int128_t>(static_cast<uint128_t>(state.sum[1]) << 64 | state.sum[0]); }
void Store(SumState& state, int128_t value) {
  state.sum[0] = static_cast<uint64_t>(static_cast<uint128_t>(value));
  state.sum[1] = static_cast<uint64_t>(static_cast<uint128_t>(value) >> 64);
}

const int128_t* Powers() {
  static const auto powers = [] {
    std::array<int128_t, kFastScaleMax + 1> p{1};
    for (size_t i = 1; i < p.size(); ++i) p[i] = p[i - 1] * 10;
    return p;
  }();
  return powers.data();
}

// Values that are special, too large or too fine: per kind and display scale their number and sum.
struct SlowEntry {
  Numeric::Kind kind;
  int scale;
  int64_t count;
  Numeric sum;
};

std::vector<SlowEntry> DecodeSlow(std::string_view bytes) {
  std::vector<SlowEntry> entries;
  ByteReader reader(bytes);
  while (reader.remaining() > 0) {
    SlowEntry entry;
    entry.kind = static_cast<Numeric::Kind>(reader.Little<uint8_t>());
    entry.scale = static_cast<int>(reader.Varint());
    entry.count = reader.ZigZag();
    entry.sum = Numeric::FromBytes(reader.Prefixed());
    KAPPA_CHECK(reader.ok());
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::string EncodeSlow(const std::vector<SlowEntry>& entries) {
  ByteWriter out;
  for (const SlowEntry& entry : entries) {
    if (entry.count == 0 && entry.sum.is_zero()) continue;
    out.Little<uint8_t>(static_cast<uint8_t>(entry.kind));
    out.Varint(static_cast<uint64_t>(entry.scale));
    out.ZigZag(entry.count);
    out.Prefixed(entry.sum.ToBytes());
  }
  return out.Take();
}

// State: see SumState; with deletes also the number of values of each scale. Where the type fixes the scale, or without
// deletes, scales need no counts.
class NumericSum final : public Accumulator {
 public:
  NumericSum(data::Type type, bool average, const AccumulatorSetup& setup)
      : average_(average), fixed_scale_(expr::SumScale(type)), counted_(fixed_scale_ < 0 && !setup.append_only), blobs_(setup.blobs) {}
  uint32_t bytes() const override { return sizeof(SumState) + (counted_ ? kCountedScales * 8 : 0); }

  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    if (arguments[0]->is_scaled()) return AddScaled(*arguments[0], in);
    const auto* values = arguments[0]->data<data::StringView>();
    const bool inserts = in.weights == nullptr && !counted_;
    for (int32_t row : in.rows) {
      auto& state = At<SumState>(in.payloads[row]);
      if (inserts && AddLike(state, values[row])) [[likely]]
        continue;
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
      auto& state = At<SumState>(payload);
      if (state.slow == 0 && state.count <= 0) {
        builder.AppendNull();
        continue;
      }
      Result<std::pair<Numeric, int64_t>> total = Total(state);
      if (total.ok() && total->second <= 0) {
        builder.AppendNull();
        continue;
      }
      Result<Numeric> value = !total.ok() ? Result<Numeric>(total.error())
                              : average_  ? data::Divide(total->first, Numeric(total->second))
                                          : Result<Numeric>(total->first);
      if (value.ok()) {
        value->AppendTo(builder);
      } else {
        KAPPA_RETURN_IF_ERROR(HandleRowError(value.error(), context));
        builder.AppendNull();
      }
    }
    return builder.Finish();
  }

  bool merges() const override { return !counted_; }
  Status Merge(char* into, char* from) override {
    auto &state = At<SumState>(into), &other = At<SumState>(from);
    const auto scale = static_cast<int>(other.scale);
    if (AddSum(state, Load(other), scale)) state.count += other.count;
    else KAPPA_RETURN_IF_ERROR(AddEntry(state, {Numeric::Kind::kFinite, scale, other.count, Numeric(Load(other), scale)}));
    if (other.slow == 0) return {};
    std::string scratch;
    for (const SlowEntry& entry : DecodeSlow(state::BlobView(*blobs_, other.slow, scratch))) KAPPA_RETURN_IF_ERROR(AddEntry(state, entry));
    return {};
  }
  bool is_plain(char* payload) const override { return At<SumState>(payload).slow == 0; }
  void Drop(char* payload) override {
    auto& state = At<SumState>(payload);
    if (state.slow != 0) state::FreeBlob(*blobs_, state.slow);
    state.slow = 0;
  }

 private:
  int64_t* Counts(const SumState& state) const { return reinterpret_cast<int64_t*>(const_cast<SumState*>(&state) + 1); }

  Status AddScaled(const data::Column& column, const AccumulatorRows& in) {
    const int64_t* coefficients = column.coefficients().data();
    const int scale = column.scale();
    const bool like = in.weights == nullptr && !counted_ && (fixed_scale_ < 0 || fixed_scale_ == scale);
    for (int32_t row : in.rows) {
      auto& state = At<SumState>(in.payloads[row]);
      if (like && static_cast<int>(state.scale) == scale && AddLike(state, coefficients[row])) [[likely]]
        continue;
      if (!AddFast(state, coefficients[row], scale, in.weight(row)))
        KAPPA_RETURN_IF_ERROR(AddSlow(state, Numeric(coefficients[row], scale), in.weight(row)));
    }
    return {};
  }

  /// Adds a value of 64 bits whose scale is the sum's, as most have; false when it is none.
  bool AddLike(SumState& state, const data::StringView& view) const {
    const data::NarrowNumeric value(view);
    if (!value.IsOf(static_cast<int>(state.scale)) || (fixed_scale_ >= 0 && static_cast<int>(state.scale) != fixed_scale_)) return false;
    return AddLike(state, value.coefficient());
  }
  static bool AddLike(SumState& state, int64_t coefficient) {
    int128_t sum;
    if (__builtin_add_overflow(Load(state), static_cast<int128_t>(coefficient), &sum)) return false;
    Store(state, sum);
    ++state.count;
    return true;
  }

  bool AddFast(SumState& state, int128_t coefficient, int scale, int64_t weight) {
    if (fixed_scale_ >= 0) {
      if (scale != fixed_scale_) return false;
      state.scale = static_cast<uint32_t>(scale);
    } else if (scale > (counted_ ? kCountedScales - 1 : kFastScaleMax)) {
      return false;
    }
    if (weight != 1 && __builtin_mul_overflow(coefficient, static_cast<int128_t>(weight), &coefficient)) return false;
    if (!AddSum(state, coefficient, scale)) return false;
    state.count += weight;
    if (counted_) Counts(state)[scale] += weight;
    return true;
  }

  /// Adds to the sum alone; false when it would overflow.
  static bool AddSum(SumState& state, int128_t coefficient, int scale) {
    int128_t sum = Load(state);
    auto common = static_cast<int>(state.scale);
    if (scale > common && __builtin_mul_overflow(sum, Powers()[scale - common], &sum)) return false;
    if (scale < common && __builtin_mul_overflow(coefficient, Powers()[common - scale], &coefficient)) return false;
    if (__builtin_add_overflow(sum, coefficient, &sum)) return false;
    Store(state, sum);
    state.scale = static_cast<uint32_t>(std::max(scale, common));
    return true;
  }

  Status AddSlow(SumState& state, const Numeric& value, int64_t weight) {
    if (!value.is_finite()) return AddEntry(state, {value.kind(), 0, weight, Numeric(0, 0)});
    KAPPA_ASSIGN_OR_RETURN(Numeric weighted, data::Multiply(value, Numeric(weight)));
    return AddEntry(state, {value.kind(), value.scale(), weight, std::move(weighted)});
  }

  Status AddEntry(SumState& state, const SlowEntry& added) {
    std::string scratch;
    std::vector<SlowEntry> entries;
    if (state.slow != 0) entries = DecodeSlow(state::BlobView(*blobs_, state.slow, scratch));
    auto entry = std::find_if(entries.begin(), entries.end(), [&](const SlowEntry& e) { return e.kind == added.kind && e.scale == added.scale; });
    if (entry == entries.end()) entry = entries.insert(entries.end(), {added.kind, added.scale, 0, Numeric(0, added.scale)});
    entry->count += added.count;
    KAPPA_ASSIGN_OR_RETURN(entry->sum, data::Add(entry->sum, added.sum));
    if (state.slow != 0) state::FreeBlob(*blobs_, state.slow);
    std::string bytes = EncodeSlow(entries);
    state.slow = bytes.empty() ? 0 : state::StoreBlob(*blobs_, bytes);
    return {};
  }

  /// The exact sum with its display scale, and the number of values.
  Result<std::pair<Numeric, int64_t>> Total(const SumState& state) const {
    if (state.slow == 0) return std::pair(Shown(Numeric(Load(state), static_cast<int>(state.scale)), FastScale(state, {})), state.count);
    std::string scratch;
    std::vector<SlowEntry> entries = DecodeSlow(state::BlobView(*blobs_, state.slow, scratch));
    int64_t count = state.count;
    int64_t specials[4] = {};
    Numeric sum(Load(state), static_cast<int>(state.scale));
    for (const SlowEntry& entry : entries) {
      count += entry.count;
      if (entry.kind != Numeric::Kind::kFinite) specials[static_cast<size_t>(entry.kind)] += entry.count;
      KAPPA_ASSIGN_OR_RETURN(sum, data::Add(sum, entry.sum));
    }
    bool positive = specials[static_cast<size_t>(Numeric::Kind::kInfinity)] > 0;
    bool negative = specials[static_cast<size_t>(Numeric::Kind::kNegativeInfinity)] > 0;
    if (specials[static_cast<size_t>(Numeric::Kind::kNan)] > 0 || (positive && negative)) return std::pair(Numeric::Nan(), count);
    if (positive) return std::pair(Numeric::Infinity(), count);
    if (negative) return std::pair(Numeric::NegativeInfinity(), count);
    return std::pair(Shown(std::move(sum), FastScale(state, entries)), count);
  }

  /// The largest scale of which there are values.
  int FastScale(const SumState& state, const std::vector<SlowEntry>& entries) const {
    int most = 0;
    auto slow_count = [&](int scale) {
      int64_t n = 0;
      for (const SlowEntry& e : entries)
        if (e.kind == Numeric::Kind::kFinite && e.scale == scale) n += e.count;
      return n;
    };
    if (counted_) {
      for (int scale = 0; scale < kCountedScales; ++scale)
        if (Counts(state)[scale] + slow_count(scale) > 0) most = scale;
    } else if (state.count > 0) {
      most = static_cast<int>(state.scale);
    }
    for (const SlowEntry& e : entries) {
      if (e.kind == Numeric::Kind::kFinite && e.scale > most && (counted_ && e.scale < kCountedScales ? false : e.count > 0)) most = e.scale;
    }
    return most;
  }

  /// `sum` shown with `scale` digits; digits cut off are zeros, as all values that had more are gone.
  static Numeric Shown(Numeric sum, int scale) {
    if (sum.scale() == scale) return sum;
    auto rounded = sum.Round(scale);
    return rounded.ok() ? std::move(rounded).value() : sum;
  }

  bool average_;
  int fixed_scale_;
  bool counted_;
  state::Arena* blobs_;
};

}  // namespace

AccumulatorPtr MakeNumericSum(data::Type type, bool average, const AccumulatorSetup& setup) {
  return std::make_unique<NumericSum>(type, average, setup);
}

}  // namespace kappa::ops
