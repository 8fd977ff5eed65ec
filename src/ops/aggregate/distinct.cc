// DISTINCT: gives an accumulator each value of a group once, when it appears, and takes it back when it vanishes.
#include "data/row_key.h"
#include "ops/aggregate/value_counts.h"

namespace kappa::ops {
namespace {

// Where groups are dropped with rows in them, the payload begins with the head of the group's list of values.
class Distinct final : public Accumulator {
 public:
  Distinct(AccumulatorPtr inner, bool linked) : inner_(std::move(inner)), linked_(linked), counts_(linked) {}

  uint32_t bytes() const override { return inner_->bytes() + (linked_ ? sizeof(state::Ref) : 0); }

  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in) override {
    if (in.rows.empty()) return {};
    Place();
    // Equal values may look different (numeric 1.0 and 1.00). What the group sums must not depend on which came first, so
    // it sums the canonical one; where the type fixes the scale there is only one.
    data::ColumnPtr values = arguments[0];
    if (values->type().id != data::TypeId::kNumeric || values->type().modifier < 0) values = data::CanonicalColumn(values);
    data::RowKeys keys(std::span(&values, 1), values->size());
    std::vector<int32_t> rows;
    std::vector<int64_t> weights(static_cast<size_t>(values->size()));
    counts_.Update(keys, in, [&](int32_t row) { return &At<state::Ref>(in.payloads[row]); },
                   [&](size_t i, state::Ref, int change) {
                     int32_t row = in.rows[i];
                     rows.push_back(row);
                     weights[static_cast<size_t>(row)] = change;
                   });
    if (rows.empty()) return {};
    AccumulatorRows distinct = in;
    distinct.rows = rows;
    distinct.weights = weights.data();
    return inner_->Update(std::span(&values, 1), distinct);
  }

  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext& context) override {
    Place();
    return inner_->Finish(groups, context);
  }
  void Drop(char* payload) override {
    Place();
    inner_->Drop(payload);
    if (linked_) counts_.Drop(At<state::Ref>(payload));
  }
  void VisitState(const std::function<void(state::Arena&)>& visit) override { visit(counts_.arena()); }
  Status OnRestored() override { return counts_.OnRestored(); }

 private:
  void Place() { inner_->set_offset(offset_ + (linked_ ? static_cast<uint32_t>(sizeof(state::Ref)) : 0)); }

  AccumulatorPtr inner_;
  bool linked_;
  ValueCounts counts_;
};

}  // namespace

AccumulatorPtr MakeDistinct(AccumulatorPtr inner, const AccumulatorSetup& setup) { return std::make_unique<Distinct>(std::move(inner), setup.drops_groups); }

}  // namespace kappa::ops
