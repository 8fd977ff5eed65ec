// Unnest: a row for each element of an array.
#include "data/array.h"
#include "ops/factories.h"

namespace kappa::ops {
namespace {

// Input        changes of any weight.
// State        none.
// Watermark    passed by.
// Retractions  weights are kept; elements are a function of the row.
// Cost         one gather of the row's columns (views, not strings) per element.
// Threads      one at a time.
class Unnest final : public Operator {
 public:
  Unnest(const plan::Unnest& node, expr::EvalContext context)
      : array_(node.array), with_ordinality_(node.with_ordinality), outer_(node.outer), context_(std::move(context)) {}

  Status OnBatch(int, data::ChangeBatch batch, Output& out) override {
    if (batch.rows == 0) return {};
    KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr arrays, array_->Evaluate(batch.AsBatch(), context_));
    std::vector<int32_t> parents;
    std::vector<int64_t> ordinals;
    data::ColumnPtr elements = data::Unnest(*arrays, parents, with_ordinality_ ? &ordinals : nullptr);
    std::vector<int32_t> places;  // of the elements; -1 for a row without any
    if (outer_) AddEmptyRows(batch.rows, parents, places);
    if (parents.empty()) return {};
    data::ChangeBatch result = data::Gather(batch, parents);
    result.rows = static_cast<int64_t>(parents.size());
    data::ColumnPtr ordinal;
    if (with_ordinality_) {
      auto column = std::make_shared<data::Column>(data::TypeId::kInt8, static_cast<int64_t>(ordinals.size()));
      std::copy(ordinals.begin(), ordinals.end(), column->mutable_data<int64_t>());
      ordinal = std::move(column);
    }
    if (!places.empty()) {
      elements = data::Gather(*elements, places);
      if (ordinal) ordinal = data::Gather(*ordinal, places);
    }
    result.columns.push_back(std::move(elements));
    if (ordinal) result.columns.push_back(std::move(ordinal));
    out.push_back(std::move(result));
    return {};
  }
  int64_t errors() const override { return context_.errors; }

 private:
  static void AddEmptyRows(int64_t rows, std::vector<int32_t>& parents, std::vector<int32_t>& places) {
    std::vector<int32_t> all;
    size_t next = 0;
    for (int32_t row = 0; row < rows; ++row) {
      if (next == parents.size() || parents[next] != row) {
        all.push_back(row);
        places.push_back(-1);
      }
      for (; next < parents.size() && parents[next] == row; ++next) {
        all.push_back(row);
        places.push_back(static_cast<int32_t>(next));
      }
    }
    parents = std::move(all);
  }

  expr::ExprPtr array_;
  bool with_ordinality_, outer_;
  expr::EvalContext context_;
};

}  // namespace

std::unique_ptr<Operator> MakeUnnest(const plan::Unnest& node, const OperatorOptions& options) {
  return std::make_unique<Unnest>(node, options.context);
}

}  // namespace kappa::ops
