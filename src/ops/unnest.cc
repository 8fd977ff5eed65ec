// Unnest: a row for each element of an array, or of several side by side.
#include "data/array.h"
#include "ops/factories.h"

namespace kappa::ops {
namespace {

// Input        changes of any weight.
// State        none.
// Watermark    passed by.
// Retractions  weights are kept; elements are a function of the row.
// Cost         one gather of the row's columns (views, not strings) per element. A batch is worked off in slices of rows, fewer
//              the more elements a row has: arrays are computed for one slice at a time.
// Threads      one at a time.
class Unnest final : public Operator {
 public:
  Unnest(const plan::Unnest& node, const OperatorOptions& options)
      : arrays_{node.array}, with_ordinality_(node.with_ordinality), outer_(node.outer), context_(options.context), watch_(options.watch) {
    arrays_.insert(arrays_.end(), node.more.begin(), node.more.end());
  }

  Status OnBatch(int, data::ChangeBatch batch, Output& out) override {
    constexpr int64_t kFewElements = 16 * 1024, kManyElements = 256 * 1024;
    for (int64_t from = 0; from < batch.rows;) {
      const int64_t count = std::min(slice_rows_, batch.rows - from);
      const data::ChangeBatch slice = count == batch.rows ? batch : data::Slice(batch, from, count);
      int64_t elements = 0;
      KAPPA_RETURN_IF_ERROR(Expand(slice, out, elements));
      if (elements > kManyElements) slice_rows_ = std::max<int64_t>(1, count / 4);
      else if (elements < kFewElements) slice_rows_ = std::min<int64_t>(1 << 16, slice_rows_ * 4);
      if (watch_ && elements > kFewElements) KAPPA_RETURN_IF_ERROR(watch_(0));
      from += count;
    }
    return {};
  }
  int64_t errors() const override { return context_.errors; }

 private:
  Status Expand(const data::ChangeBatch& batch, Output& out, int64_t& count) {
    std::vector<data::ColumnPtr> columns;  // elements of each array
    std::vector<std::vector<int32_t>> parents(arrays_.size());
    std::vector<int64_t> ordinals;
    for (size_t i = 0; i < arrays_.size(); ++i) {
      KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr arrays, arrays_[i]->Evaluate(batch.AsBatch(), context_));
      columns.push_back(data::Unnest(*arrays, parents[i], with_ordinality_ && arrays_.size() == 1 ? &ordinals : nullptr));
    }
    std::vector<int32_t> rows;                             // of the batch, one for each output row
    std::vector<std::vector<int32_t>> places(arrays_.size());  // of the elements; -1 for none; empty: all in order
    if (arrays_.size() == 1) {
      rows = std::move(parents[0]);
      if (outer_) AddEmptyRows(batch.rows, rows, places[0]);
    } else {
      SideBySide(batch.rows, parents, rows, places, ordinals);
    }
    count = static_cast<int64_t>(rows.size());
    if (rows.empty()) return {};
    data::ChangeBatch result = data::Gather(batch, rows);
    result.rows = count;
    for (size_t i = 0; i < columns.size(); ++i)
      result.columns.push_back(places[i].empty() ? std::move(columns[i]) : data::Gather(*columns[i], places[i]));
    if (with_ordinality_) {
      auto column = std::make_shared<data::Column>(data::TypeId::kInt8, static_cast<int64_t>(ordinals.size()));
      std::copy(ordinals.begin(), ordinals.end(), column->mutable_data<int64_t>());
      data::ColumnPtr ordinal = std::move(column);
      if (arrays_.size() == 1 && !places[0].empty()) ordinal = data::Gather(*ordinal, places[0]);
      if (arrays_.size() > 1) {
        for (size_t i = 0; i < rows.size(); ++i)
          if (ordinals[i] == 0) {
            ordinal = WithoutZeros(ordinals);
            break;
          }
      }
      result.columns.push_back(std::move(ordinal));
    }
    out.push_back(std::move(result));
    return {};
  }

  static data::ColumnPtr WithoutZeros(const std::vector<int64_t>& ordinals) {
    data::ColumnBuilder builder(data::TypeId::kInt8, static_cast<int64_t>(ordinals.size()));
    for (const int64_t ordinal : ordinals) {
      if (ordinal == 0) builder.AppendNull();
      else builder.Append(ordinal);
    }
    return builder.Finish();
  }

  /// Row by row the longest array decides; the others end in NULLs. The ordinal of a row without elements (outer) is 0.
  void SideBySide(int64_t rows, const std::vector<std::vector<int32_t>>& parents, std::vector<int32_t>& out,
                  std::vector<std::vector<int32_t>>& places, std::vector<int64_t>& ordinals) const {
    std::vector<size_t> at(parents.size());
    for (int32_t row = 0; row < rows; ++row) {
      int64_t longest = 0;
      std::vector<std::pair<size_t, int64_t>> runs;
      for (size_t i = 0; i < parents.size(); ++i) {
        const size_t from = at[i];
        while (at[i] < parents[i].size() && parents[i][at[i]] == row) ++at[i];
        runs.emplace_back(from, static_cast<int64_t>(at[i] - from));
        longest = std::max(longest, runs.back().second);
      }
      const int64_t given = longest == 0 && outer_ ? 1 : longest;
      for (int64_t k = 0; k < given; ++k) {
        out.push_back(row);
        ordinals.push_back(longest == 0 ? 0 : k + 1);
        for (size_t i = 0; i < parents.size(); ++i)
          places[i].push_back(k < runs[i].second ? static_cast<int32_t>(runs[i].first) + static_cast<int32_t>(k) : -1);
      }
    }
  }

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

  std::vector<expr::ExprPtr> arrays_;
  bool with_ordinality_, outer_;
  expr::EvalContext context_;
  std::function<Status(int64_t)> watch_;
  int64_t slice_rows_ = 64;  // adapts to the number of elements; it changes nothing but where batches end
};

}  // namespace

std::unique_ptr<Operator> MakeUnnest(const plan::Unnest& node, const OperatorOptions& options) { return std::make_unique<Unnest>(node, options); }

}  // namespace kappa::ops
