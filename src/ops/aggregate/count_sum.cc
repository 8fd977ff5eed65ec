// count, bool_and, bool_or, and sum and avg of integers and intervals: states that are plain numbers.
#include "base/int128.h"
#include "data/numeric.h"
#include "ops/aggregate/accumulator.h"

namespace kappa::ops {
namespace {

// State: the count.
class Count final : public Accumulator {
 public:
  uint32_t bytes() const override { return 8; }
  Status Update(std::span<const data::ColumnPtr>, const AccumulatorRows& in) override {
    if (in.weights == nullptr) {
      for (int32_t row : in.rows) ++At<int64_t>(in.payloads[row]);
    } else {
      for (int32_t row : in.rows) At<int64_t>(in.payloads[row]) += in.weights[row];
    }
    return {};
  }
  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext&) override {
    auto column = std::make_shared<data::Column>(data::TypeId::kInt8, static_cast<int64_t>(groups.payloads.size()));
    for (size_t i = 0; i < groups.payloads.size(); ++i) column->mutable_data<int64_t>()[i] = At<int64_t>(groups.payloads[i]);
    return data::ColumnPtr(std::move(column));
  }
  bool merges() const override { return true; }
  bool is_plain(char*) const override { return true; }
  Status Merge(char* into, char* from) override {
    At<int64_t>(into) += At<int64_t>(from);
    return {};
  }
};

struct BoolState {
  int64_t count[2];  // of false, of true
};

// State: how many are false, how many true.
class BoolAggregate final : public Accumulator {
 public:
  explicit BoolAggregate(bool any) : any_(any) {}
  uint32_t bytes() const override { return sizeof(BoolState); }
  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    const auto* values = arguments[0]->data<uint8_t>();
    for (int32_t row : in.rows) At<BoolState>(in.payloads[row]).count[values[row] != 0] += in.weight(row);
    return {};
  }
  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext&) override {
    data::ColumnBuilder builder(data::TypeId::kBool, static_cast<int64_t>(groups.payloads.size()));
    for (char* payload : groups.payloads) {
      const auto& state = At<BoolState>(payload);
      if (state.count[0] + state.count[1] <= 0) builder.AppendNull();
      else builder.Append<uint8_t>(any_ ? state.count[1] > 0 : state.count[0] <= 0);
    }
    return builder.Finish();
  }
  bool merges() const override { return true; }
  bool is_plain(char*) const override { return true; }
  Status Merge(char* into, char* from) override {
    for (int i = 0; i < 2; ++i) At<BoolState>(into).count[i] += At<BoolState>(from).count[i];
    return {};
  }

 private:
  bool any_;
};

struct IntegerState {
  uint64_t sum[2];  // an int128; apart, so that 8-byte alignment suffices
  int64_t count;
};
inline int128_t SumOf(const IntegerState& state) { return static_cast<int128_t>(static_cast<uint128_t>(state.sum[1]) << 64 | state.sum[0]); }
inline void AddTo(IntegerState& state, int128_t value) {
  auto sum = static_cast<uint128_t>(SumOf(state) + value);
  state.sum[0] = static_cast<uint64_t>(sum);
  state.sum[1] = static_cast<uint64_t>(sum >> 64);
}
inline void AddTo(IntegerState& state, const IntegerState& other) {
  AddTo(state, SumOf(other));
  state.count += other.count;
}

// State: sum (128 bits: 2^64 values of int8 fit) and count.
class IntegerSum final : public Accumulator {
 public:
  IntegerSum(data::Type result, bool average) : result_(result), average_(average) {}
  uint32_t bytes() const override { return sizeof(IntegerState); }
  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    switch (arguments[0]->type().width()) {
      case 2: Add<int16_t>(*arguments[0], in); break;
      case 4: Add<int32_t>(*arguments[0], in); break;
      default: Add<int64_t>(*arguments[0], in); break;
    }
    return {};
  }
  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext& context) override {
    data::ColumnBuilder builder(result_, static_cast<int64_t>(groups.payloads.size()));
    for (char* payload : groups.payloads) {
      const auto& state = At<IntegerState>(payload);
      int128_t sum = SumOf(state);
      if (state.count <= 0) {
        builder.AppendNull();
      } else if (average_) {
        KAPPA_ASSIGN_OR_RETURN(data::Numeric average, data::Divide(data::Numeric(sum), data::Numeric(state.count)));
        average.AppendTo(builder);
      } else if (result_.id == data::TypeId::kNumeric) {
        data::Numeric(sum).AppendTo(builder);
      } else if (sum < INT64_MIN || sum > INT64_MAX) {
        KAPPA_RETURN_IF_ERROR(HandleRowError(Error(sqlstate::kNumericValueOutOfRange, "bigint out of range"), context));
        builder.AppendNull();
      } else {
        builder.Append(static_cast<int64_t>(sum));
      }
    }
    return builder.Finish();
  }
  bool merges() const override { return true; }
  bool is_plain(char*) const override { return true; }
  Status Merge(char* into, char* from) override {
    AddTo(At<IntegerState>(into), At<IntegerState>(from));
    return {};
  }

 private:
  template <typename T> void Add(const data::Column& column, const AccumulatorRows& in) {
    const T* values = column.data<T>();
    if (in.weights == nullptr) {
      for (int32_t row : in.rows) {
        auto& state = At<IntegerState>(in.payloads[row]);
        AddTo(state, values[row]);
        ++state.count;
      }
      return;
    }
    for (int32_t row : in.rows) {
      auto& state = At<IntegerState>(in.payloads[row]);
      AddTo(state, static_cast<int128_t>(values[row]) * in.weights[row]);
      state.count += in.weights[row];
    }
  }
  data::Type result_;
  bool average_;
};

struct IntervalState {
  IntegerState micros;  // and the count
  int64_t days;
  int64_t months;
};

// State: sums of the three parts, and the count.
class IntervalSum final : public Accumulator {
 public:
  explicit IntervalSum(expr::ExprPtr divide) : divide_(std::move(divide)) {}
  uint32_t bytes() const override { return sizeof(IntervalState); }
  bool is_plain(char*) const override { return true; }
  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    const auto* values = arguments[0]->data<data::Interval>();
    for (int32_t row : in.rows) {
      auto& state = At<IntervalState>(in.payloads[row]);
      int64_t weight = in.weight(row);
      AddTo(state.micros, static_cast<int128_t>(values[row].micros) * weight);
      state.micros.count += weight;
      state.days += values[row].days * weight;
      state.months += values[row].months * weight;
    }
    return {};
  }
  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext& context) override {
    data::ColumnBuilder sums(data::TypeId::kInterval), counts(data::TypeId::kFloat8);
    for (char* payload : groups.payloads) {
      const auto& state = At<IntervalState>(payload);
      int128_t micros = SumOf(state.micros);
      counts.Append(static_cast<double>(std::max<int64_t>(state.micros.count, 1)));
      if (state.micros.count <= 0) {
        sums.AppendNull();
      } else if (micros < INT64_MIN || micros > INT64_MAX || state.days != static_cast<int32_t>(state.days) ||
                 state.months != static_cast<int32_t>(state.months)) {
        KAPPA_RETURN_IF_ERROR(HandleRowError(Error(sqlstate::kDatetimeFieldOverflow, "interval out of range"), context));
        sums.AppendNull();
      } else {
        sums.Append(data::Interval{static_cast<int64_t>(micros), static_cast<int32_t>(state.days), static_cast<int32_t>(state.months)});
      }
    }
    if (divide_ == nullptr) return sums.Finish();
    data::Batch batch{static_cast<int64_t>(groups.payloads.size()), {sums.Finish(), counts.Finish()}};
    return divide_->Evaluate(batch, context);
  }
  bool merges() const override { return true; }
  Status Merge(char* into, char* from) override {
    auto &state = At<IntervalState>(into), &other = At<IntervalState>(from);
    AddTo(state.micros, other.micros);
    state.days += other.days;
    state.months += other.months;
    return {};
  }

 private:
  expr::ExprPtr divide_;  // interval / double precision, for avg
};

}  // namespace

AccumulatorPtr MakeCount() { return std::make_unique<Count>(); }
AccumulatorPtr MakeBoolAggregate(bool any) { return std::make_unique<BoolAggregate>(any); }
AccumulatorPtr MakeIntegerSum(data::Type result, bool average) { return std::make_unique<IntegerSum>(result, average); }
Result<AccumulatorPtr> MakeIntervalSum(bool average) {
  expr::ExprPtr divide;
  if (average) {
    KAPPA_ASSIGN_OR_RETURN(
        divide,
        expr::MakeOperator("/", {expr::MakeColumn(0, data::TypeId::kInterval, "sum"), expr::MakeColumn(1, data::TypeId::kFloat8, "count")}, 0));
  }
  return AccumulatorPtr(std::make_unique<IntervalSum>(std::move(divide)));
}

}  // namespace kappa::ops
