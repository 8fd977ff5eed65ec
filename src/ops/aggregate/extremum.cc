// min and max: one value a group while nothing is ever deleted, else all values with their counts.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "data/compare.h"
#include "data/numeric_bytes.h"
#include "data/row_key.h"
#include "ops/aggregate/value_counts.h"
#include "ops/value_bytes.h"
#include "state/blob.h"

namespace kappa::ops {
namespace {

/// True when a should replace b. Of values that are equal but look different the one with the smaller bytes wins, so that
/// the result does not depend on the order of rows.
bool Better(const data::Type& type, bool max, std::string_view a, std::string_view b) {
  int order = data::ComparePhysical(type, a, b);
  if (order != 0) return max ? order > 0 : order < 0;
  return a < b;
}

template <typename T> struct FixedState {
  uint64_t present;
  T value;
};

// Append-only, 2 to 8 bytes. State: present, value.
template <typename T> class FixedExtremum final : public Accumulator {
 public:
  FixedExtremum(data::Type type, bool max) : type_(type), max_(max) {}
  uint32_t bytes() const override { return 16; }
  bool is_plain(char*) const override { return true; }
  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    max_ ? Run<true>(arguments[0]->data<T>(), in) : Run<false>(arguments[0]->data<T>(), in);
    return {};
  }
  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext&) override {
    data::ColumnBuilder builder(type_, static_cast<int64_t>(groups.payloads.size()));
    for (char* payload : groups.payloads) {
      const auto& state = At<FixedState<T>>(payload);
      if (state.present == 0) builder.AppendNull();
      else builder.template Append<T>(state.value);
    }
    return builder.Finish();
  }
  bool merges() const override { return true; }
  Status Merge(char* into, char* from) override {
    const auto& other = At<FixedState<T>>(from);
    if (other.present != 0) max_ ? Take<true>(At<FixedState<T>>(into), other.value) : Take<false>(At<FixedState<T>>(into), other.value);
    return {};
  }

 private:
  template <bool kMax> void Run(const T* values, const AccumulatorRows& in) {
    for (int32_t row : in.rows) Take<kMax>(At<FixedState<T>>(in.payloads[row]), values[row]);
  }
  template <bool kMax> static void Take(FixedState<T>& state, T value) {
    if (state.present != 0 && !Before<kMax>(value, state.value)) return;
    state.present = 1;
    state.value = value;
  }
  template <bool kMax> static bool Before(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(a) || std::isnan(b)) return kMax ? std::isnan(a) && !std::isnan(b) : std::isnan(b) && !std::isnan(a);
      if (a == b) return std::signbit(a) && !std::signbit(b);  // of -0 and 0, -0
    }
    return kMax ? a > b : a < b;
  }
  data::Type type_;
  bool max_;
};

// Append-only, strings and everything else. State: size + 1 (0: none), and the bytes when they fit, or the ref of a blob.
class VariableExtremum final : public Accumulator {
 public:
  VariableExtremum(data::Type type, bool max, state::Arena* blobs) : type_(type), max_(max), blobs_(blobs) {}
  uint32_t bytes() const override { return sizeof(State); }
  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    const data::Column& column = *arguments[0];
    if (column.is_scaled()) {
      const int64_t* coefficients = column.coefficients().data();
      const auto scale = static_cast<uint16_t>(column.scale());
      for (int32_t row : in.rows) {
        if (!TakeLike(scale, coefficients[row], At<State>(in.payloads[row]))) [[unlikely]]
          Take(in.payloads[row], data::EncodeSmallNumeric(coefficients[row], scale).view());
      }
      return {};
    }
    const auto* numerics = type_.id == data::TypeId::kNumeric ? column.data<data::StringView>() : nullptr;
    for (int32_t row : in.rows) {
      if (numerics != nullptr && TakeLike(numerics[row], At<State>(in.payloads[row]))) [[likely]]
        continue;
      Take(in.payloads[row], ValueBytes(column, row));
    }
    return {};
  }
  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext&) override {
    data::ColumnBuilder builder(type_, static_cast<int64_t>(groups.payloads.size()));
    for (char* payload : groups.payloads) {
      const auto& state = At<State>(payload);
      if (state.size == 0) {
        builder.AppendNull();
      } else if (type_.is_variable()) {
        builder.AppendBytes(Get(state));
      } else {
        data::Interval value;
        KAPPA_CHECK(Get(state).size() == sizeof value);
        std::memcpy(&value, Get(state).data(), sizeof value);
        builder.Append(value);
      }
    }
    return builder.Finish();
  }
  bool is_plain(char* payload) const override { return At<State>(payload).size <= sizeof(State::bytes) + 1; }
  void Drop(char* payload) override {
    auto& state = At<State>(payload);
    if (state.size > sizeof state.bytes + 1) state::FreeBlob(*blobs_, Blob(state));
    state.size = 0;
  }
  bool merges() const override { return true; }
  Status Merge(char* into, char* from) override {
    std::string copy;
    auto &state = At<State>(into), &other = At<State>(from);
    if (other.size == 0 || (state.size != 0 && !Better(type_, max_, copy = Get(other), Get(state)))) return {};
    Drop(into);
    std::swap(state, other);  // the blob has one owner
    return {};
  }

 private:
  struct State {
    uint64_t size;
    char bytes[16];
  };
  static state::Ref Blob(const State& state) {
    state::Ref blob;
    std::memcpy(&blob, state.bytes, sizeof blob);
    return blob;
  }
  /// Takes a value if it is better.
  void Take(char* payload, std::string_view value) {
    auto& state = At<State>(payload);
    if (state.size != 0 && !Better(type_, max_, value, Get(state))) return;
    Drop(payload);
    state.size = value.size() + 1;
    if (value.size() <= sizeof state.bytes) {
      if (!value.empty()) std::memcpy(state.bytes, value.data(), value.size());
    } else {
      state::Ref blob = state::StoreBlob(*blobs_, value);
      std::memcpy(state.bytes, &blob, sizeof blob);
    }
  }
  /// The same of numerics of 64 bits where there is one of the same scale, as mostly; false where there is none.
  bool TakeLike(const data::StringView& view, State& state) const {
    const data::NarrowNumeric value(view);
    uint16_t scale;
    std::memcpy(&scale, state.bytes, sizeof scale);
    return value.IsOf(scale) && TakeLike(scale, value.coefficient(), state);
  }
  bool TakeLike(uint16_t scale, int64_t coefficient, State& state) const {
    uint16_t current_scale;
    int64_t current;
    std::memcpy(&current_scale, state.bytes, sizeof current_scale);
    std::memcpy(&current, state.bytes + sizeof current_scale, sizeof current);
    if (state.size != sizeof current_scale + sizeof current + 1 || current_scale != scale) return false;
    const int64_t best = max_ ? std::max(current, coefficient) : std::min(current, coefficient);
    if (best != current) std::memcpy(state.bytes + sizeof current_scale, &best, sizeof best);
    return true;
  }
  std::string_view Get(const State& state) {
    if (state.size <= sizeof state.bytes + 1) return {state.bytes, state.size - 1};
    return state::BlobView(*blobs_, Blob(state), scratch_);
  }
  data::Type type_;
  bool max_;
  state::Arena* blobs_;
  std::string scratch_;
};

// With deletes. State: the list of the group's values, which of them is the extremum, and whether that must be found again.
// Cost: the delete of the last copy of the extremum walks the group's distinct values at the end of the epoch.
class CountedExtremum final : public Accumulator {
 public:
  CountedExtremum(data::Type type, bool max) : type_(type), max_(max) {}
  uint32_t bytes() const override { return sizeof(State); }

  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    if (in.rows.empty()) return {};
    counts_.Update(
        arguments.first(1), in, [&](int32_t row) { return &At<State>(in.payloads[row]).head; },
        [&](size_t i, state::Ref entry, int change) {
          auto& state = At<State>(in.payloads[in.rows[i]]);
          if (state.stale != 0) return;
          if (change > 0) {
            if (state.current == 0 || Better(type_, max_, Bytes(entry, one_), Bytes(state.current, two_))) state.current = entry;
          } else if (state.current == entry) {
            state.stale = 1;
            state.current = 0;
          }
        });
    return {};
  }

  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext&) override {
    data::ColumnBuilder builder(type_, static_cast<int64_t>(groups.payloads.size()));
    std::string scratch;
    for (char* payload : groups.payloads) {
      auto& state = At<State>(payload);
      if (state.stale != 0) Search(state);
      if (state.current == 0) builder.AppendNull();
      else data::AppendRow(counts_.Value(state.current, scratch), std::span(&builder, 1));
    }
    return builder.Finish();
  }
  void Drop(char* payload) override { counts_.Drop(At<State>(payload).head); }
  void VisitState(const std::function<void(state::Arena&)>& visit) override { visit(counts_.arena()); }
  Status OnRestored() override { return counts_.OnRestored(); }

 private:
  struct State {
    state::Ref head;
    state::Ref current;
    uint64_t stale;
  };
  /// The value's physical bytes: behind the NULL byte, and behind the length of a variable type.
  std::string_view Bytes(state::Ref entry, std::string& scratch) { return counts_.Value(entry, scratch).substr(type_.is_variable() ? 5 : 1); }
  void Search(State& state) {
    state.stale = 0;
    state.current = 0;
    for (state::Ref entry = state.head; entry != 0; entry = counts_.Get(entry)->next) {
      if (counts_.Get(entry)->count <= 0) continue;
      if (state.current == 0 || Better(type_, max_, Bytes(entry, one_), Bytes(state.current, two_))) state.current = entry;
    }
  }
  data::Type type_;
  bool max_;
  ValueCounts counts_;
  std::string one_, two_;
};

}  // namespace

AccumulatorPtr MakeExtremum(data::Type type, bool max, const AccumulatorSetup& setup) {
  if (!setup.append_only) return std::make_unique<CountedExtremum>(type, max);
  using data::TypeId;
  switch (type.id) {
    case TypeId::kBool: return std::make_unique<FixedExtremum<uint8_t>>(type, max);
    case TypeId::kInt2: return std::make_unique<FixedExtremum<int16_t>>(type, max);
    case TypeId::kInt4:
    case TypeId::kDate: return std::make_unique<FixedExtremum<int32_t>>(type, max);
    case TypeId::kInt8:
    case TypeId::kOid:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return std::make_unique<FixedExtremum<int64_t>>(type, max);
    case TypeId::kFloat4: return std::make_unique<FixedExtremum<float>>(type, max);
    case TypeId::kFloat8: return std::make_unique<FixedExtremum<double>>(type, max);
    default: return std::make_unique<VariableExtremum>(type, max, setup.blobs);
  }
}

}  // namespace kappa::ops
