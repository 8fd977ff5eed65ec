// Window: TUMBLE, HOP and CUMULATE give each row the windows that it falls in.
#include <absl/container/flat_hash_set.h>

#include "data/row_key.h"
#include "ops/factories.h"

namespace kappa::ops {
namespace {

constexpr int64_t kDayMicros = 86'400'000'000;

int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

// Input        changes of any weight. Rows with NULL or infinite time are dropped: no window holds them.
// State        none.
// Watermark    passed by.
// Retractions  weights are kept; windows are a function of the row.
// Cost         TUMBLE shares the input's columns; HOP and CUMULATE gather up to size / slide copies of each row (views, not strings),
//              where the plan allows it after merging equal rows of a slice: an aggregate then sees each of them once a window.
// Threads      one at a time.
class Window final : public Operator {
 public:
  Window(const plan::Window& node, expr::EvalContext context)
      : cumulate_(node.shape == plan::Window::Shape::kCumulate),
        time_(node.time_column),
        slide_(node.slide_us),
        size_(node.size_us),
        offset_(node.offset_us),
        slices_(node.merges),
        merges_(node.merges),
        context_(std::move(context)) {
    KAPPA_CHECK(slide_ > 0 && size_ > 0);
  }

  Status OnBatch(int, data::ChangeBatch batch, Output& out) override {
    if (batch.rows == 0) return {};
    if (slices_ && batch.columns[static_cast<size_t>(time_)]->type().id != data::TypeId::kDate) {
      batch.columns[static_cast<size_t>(time_)] = SliceStarts(*batch.columns[static_cast<size_t>(time_)]);
      if (merges_) batch = MergeSlices(std::move(batch));
    }
    const data::ColumnPtr time_column = batch.columns[static_cast<size_t>(time_)];  // outlives the batch below
    const data::Column& time = *time_column;
    const bool date = time.type().id == data::TypeId::kDate;
    std::vector<int32_t> rows;
    std::vector<int64_t> starts, ends;
    rows.reserve(static_cast<size_t>(batch.rows));
    starts.reserve(static_cast<size_t>(batch.rows));
    const int64_t margin = size_ > INT64_MAX / 4 - slide_ ? INT64_MAX / 2 : size_ + 2 * slide_;
    const int64_t grid = cumulate_ ? size_ : slide_;  // distance of the window starts
    int64_t last = 0;  // newest window start at or before the row before; rows come nearly in order, so it is mostly right
    bool known = false;
    for (int64_t i = 0; i < batch.rows; ++i) {
      if (time.IsNull(i)) continue;
      int64_t t;
      if (date) {
        int32_t days = time.data<int32_t>()[i];
        if (days == INT32_MIN || days == INT32_MAX) continue;
        t = days * kDayMicros;
      } else {
        t = time.data<int64_t>()[i];
        if (t == INT64_MIN || t == INT64_MAX) continue;
      }
      if (t < INT64_MIN + margin || t > INT64_MAX - margin) {
        Error error(sqlstate::kDatetimeFieldOverflow, "timestamp out of range");
        if (context_.fail_on_error) return error;
        if (context_.errors++ == 0) context_.first_error = error.message();
        continue;
      }
      if (!known || t < last || t - last >= grid) {
        int64_t phase = offset_ % grid;
        last = FloorDivide(t - phase, grid) * grid + phase;
        known = true;
      }
      if (cumulate_) {
        for (int64_t end = last + (t - last) / slide_ * slide_ + slide_; end <= last + size_; end += slide_) {
          rows.push_back(static_cast<int32_t>(i));
          starts.push_back(last);
          ends.push_back(end);
        }
        continue;
      }
      for (int64_t start = last; start > t - size_; start -= slide_) {
        rows.push_back(static_cast<int32_t>(i));
        starts.push_back(start);
      }
    }
    if (rows.empty()) return {};
    bool same = static_cast<int64_t>(rows.size()) == batch.rows && slide_ == size_;
    data::ChangeBatch result = same ? std::move(batch) : data::Gather(batch, rows);
    result.columns.push_back(TimeColumn(time.type(), starts, 0));
    result.columns.push_back(cumulate_ ? TimeColumn(time.type(), ends, 0) : TimeColumn(time.type(), starts, size_));
    out.push_back(std::move(result));
    return {};
  }
  int64_t errors() const override { return context_.errors; }

 private:
  static data::ColumnPtr TimeColumn(const data::Type& type, const std::vector<int64_t>& starts, int64_t add) {
    auto column = std::make_shared<data::Column>(type, static_cast<int64_t>(starts.size()));
    if (type.id == data::TypeId::kDate) {
      auto* to = column->mutable_data<int32_t>();
      for (size_t i = 0; i < starts.size(); ++i) to[i] = static_cast<int32_t>(FloorDivide(starts[i] + add, kDayMicros));
    } else {
      auto* to = column->mutable_data<int64_t>();
      for (size_t i = 0; i < starts.size(); ++i) to[i] = starts[i] + add;
    }
    return column;
  }

  static bool HasSlice(const data::Column& time, int64_t row) {
    const int64_t t = time.data<int64_t>()[row];
    return !time.IsNull(row) && t > INT64_MIN / 4 && t < INT64_MAX / 4;
  }
  /// The times as the starts of their slices, which are in the same windows. Nobody asks for the times of rows that may be merged, but
  /// operators keep whole rows: one that goes must look like one that came, whatever it was merged with.
  data::ColumnPtr SliceStarts(const data::Column& time) const {
    auto starts = std::make_shared<data::Column>(time.type(), time.size(), data::Column::Uninitialized{});
    auto* to = starts->mutable_data<int64_t>();
    const int64_t phase = offset_ % slide_;
    for (int64_t i = 0; i < time.size(); ++i) {
      const int64_t t = time.data<int64_t>()[i];
      to[i] = HasSlice(time, i) ? FloorDivide(t - phase, slide_) * slide_ + phase : t;
    }
    starts->MergeNulls(time);
    return starts;
  }
  /// The batch with equal rows of a slice merged. Rows that no window holds stay as they are.
  data::ChangeBatch MergeSlices(data::ChangeBatch batch) {
    const data::Column& time = *batch.columns[static_cast<size_t>(time_)];
    std::vector<data::ColumnPtr> others = batch.columns;
    others.erase(others.begin() + time_);
    const data::RowKeys keys(others, batch.rows, /*canonical=*/false);
    struct Row {
      int64_t slice;
      int32_t row, place;  // place: in `rows`
    };
    const auto hash = [&](const Row& r) { return static_cast<size_t>(HashWord(keys.hash(r.row) + static_cast<uint64_t>(r.slice))); };
    const auto equal = [&](const Row& a, const Row& b) { return a.slice == b.slice && keys.key(a.row) == keys.key(b.row); };
    absl::flat_hash_set<Row, decltype(hash), decltype(equal)> known(static_cast<size_t>(batch.rows), hash, equal);
    std::vector<int32_t> rows;
    auto weights = std::make_shared<std::vector<int64_t>>();
    for (int64_t i = 0; i < batch.rows; ++i) {
      const auto row = static_cast<int32_t>(i), place = static_cast<int32_t>(rows.size());
      if (HasSlice(time, i)) {
        const auto [it, fresh] = known.insert({time.data<int64_t>()[i], row, place});
        if (!fresh) {
          (*weights)[static_cast<size_t>(it->place)] += batch.weight(i);
          continue;
        }
      }
      rows.push_back(row);
      weights->push_back(batch.weight(i));
    }
    seen_rows_ += batch.rows;
    kept_rows_ += static_cast<int64_t>(rows.size());
    if (seen_rows_ >= kMergeTrialRows && kept_rows_ > seen_rows_ / 4 * 3) merges_ = false;  // not worth it: rows differ too much
    if (static_cast<int64_t>(rows.size()) == batch.rows) return batch;
    size_t changed = 0;  // what came and went within the batch is left out
    for (size_t k = 0; k < rows.size(); ++k) {
      if ((*weights)[k] == 0) continue;
      rows[changed] = rows[k];
      (*weights)[changed++] = (*weights)[k];
    }
    rows.resize(changed);
    weights->resize(changed);
    batch.weights = nullptr;
    data::ChangeBatch merged = data::Gather(batch, rows);
    merged.weights = std::move(weights);
    return merged;
  }

  static constexpr int64_t kMergeTrialRows = 65536;
  bool cumulate_;
  int time_;
  int64_t slide_, size_, offset_;
  bool slices_;  // the plan allows to merge rows of a slice
  bool merges_;  // while it helps
  int64_t seen_rows_ = 0, kept_rows_ = 0;
  expr::EvalContext context_;
};

}  // namespace

std::unique_ptr<Operator> MakeWindow(const plan::Window& node, const OperatorOptions& options) {
  return std::make_unique<Window>(node, options.context);
}

}  // namespace kappa::ops
