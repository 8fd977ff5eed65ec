// For the tests of operators: rows as values, random change streams with their model, and a driver that restores operators
// from their pages in the middle of a run.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "data/row_key.h"
#include "data/value.h"
#include "ops/operator.h"

namespace kappa::ops {

using TestRow = std::vector<data::Value>;
/// Rows by their bytes (as displayed), with counts; never a count of 0.
using Multiset = std::map<std::string, int64_t>;

inline data::ChangeBatch MakeBatch(const data::Schema& schema, const std::vector<TestRow>& rows, const std::vector<int64_t>& weights = {}) {
  data::ChangeBatch batch;
  batch.rows = static_cast<int64_t>(rows.size());
  for (size_t c = 0; c < schema.fields.size(); ++c) {
    data::ColumnBuilder builder(schema.fields[c].type);
    for (const TestRow& row : rows) data::AppendValue(builder, row[c]);
    batch.columns.push_back(builder.Finish());
  }
  if (!weights.empty()) batch.weights = std::make_shared<const std::vector<int64_t>>(weights);
  return batch;
}

inline void AddTo(Multiset& set, const data::ChangeBatch& batch) {
  data::RowKeys keys(batch.columns, batch.rows, /*canonical=*/false);
  for (int64_t i = 0; i < batch.rows; ++i) {
    int64_t& count = set[std::string(keys.key(i))];
    count += batch.weight(i);
    if (count == 0) set.erase(std::string(keys.key(i)));
  }
}
inline Multiset ToMultiset(const auto& output) {
  Multiset set;
  for (const data::ChangeBatch& batch : output) AddTo(set, batch);
  return set;
}
inline Multiset ToMultiset(const data::Schema& schema, const std::vector<TestRow>& rows) {
  Multiset set;
  AddTo(set, MakeBatch(schema, rows));
  return set;
}

/// The contents of one input, and random changes to it.
class TestStream {
 public:
  TestStream(data::Schema schema, bool append_only, std::function<TestRow(std::mt19937_64&)> make)
      : schema_(std::move(schema)), append_only_(append_only), make_(std::move(make)) {}

  const data::Schema& schema() const { return schema_; }
  const std::vector<TestRow>& rows() const { return rows_; }
  /// About `changes` changes of one epoch as batches. The order within is random: a delete may come before its insert.
  std::vector<data::ChangeBatch> Epoch(std::mt19937_64& random, size_t changes) {
    std::vector<std::pair<TestRow, int64_t>> list;
    for (size_t i = 0; i < changes; ++i) {
      if (!append_only_ && !rows_.empty() && random() % 5 < 2) {
        size_t at = random() % rows_.size();
        list.emplace_back(rows_[at], -1);
        rows_.erase(rows_.begin() + static_cast<ptrdiff_t>(at));
      } else {
        TestRow row = make_(random);
        int64_t weight = random() % 8 == 0 ? 3 : 1;
        for (int64_t k = 0; k < weight; ++k) rows_.push_back(row);
        list.emplace_back(std::move(row), weight);
      }
    }
    std::shuffle(list.begin(), list.end(), random);
    std::vector<data::ChangeBatch> batches;
    for (size_t from = 0; from < list.size();) {
      size_t count = std::min(list.size() - from, 1 + random() % 7);
      if (random() % 3 == 0) count = list.size() - from;
      std::vector<TestRow> rows;
      std::vector<int64_t> weights;
      for (size_t i = from; i < from + count; ++i) {
        rows.push_back(list[i].first);
        weights.push_back(list[i].second);
      }
      bool plain = std::all_of(weights.begin(), weights.end(), [](int64_t w) { return w == 1; });
      batches.push_back(MakeBatch(schema_, rows, plain ? std::vector<int64_t>() : weights));
      from += count;
    }
    return batches;
  }

 private:
  data::Schema schema_;
  bool append_only_;
  std::function<TestRow(std::mt19937_64&)> make_;
  std::vector<TestRow> rows_;
};

/// An operator, its pages as a checkpoint would keep them, and the sum of its output.
class TestRun {
 public:
  explicit TestRun(std::function<std::unique_ptr<Operator>()> make) : make_(std::move(make)), op_(make_()) {}

  void Batch(int port, data::ChangeBatch batch) { Check(op_->OnBatch(port, std::move(batch), epoch_output_)); }
  /// Ends the epoch and returns what it emitted.
  Output End(int64_t watermark = INT64_MIN, bool flush = true, int64_t wall_us = 0) {
    absl::flat_hash_map<uint32_t, int64_t> watermarks{{7, watermark}};
    Check(op_->OnEpochEnd({++epoch_, wall_us, &watermarks, flush}, epoch_output_));
    for (const data::ChangeBatch& batch : epoch_output_) AddTo(contents_, batch);
    // As readers do: what changes next is copied first.
    snapshots_.clear();
    op_->VisitState([&](std::string_view, state::Arena& arena) { snapshots_.push_back(arena.Snapshot()); });
    return std::exchange(epoch_output_, {});
  }
  /// Stores the changed pages, then goes on with a new operator that has loaded all stored ones.
  void Restart() {
    op_->VisitState([&](std::string_view name, state::Arena& arena) {
      auto delta = arena.TakeDelta();
      auto& stored = disk_[std::string(name)];
      stored.resize(delta.snapshot.page_count());
      for (uint32_t page : delta.pages) stored[page] = std::string(delta.snapshot.page(page).bytes.data(), state::kPageBytes);
    });
    op_ = make_();
    op_->VisitState([&](std::string_view name, state::Arena& arena) {
      const auto& stored = disk_.at(std::string(name));
      arena.Clear();
      for (size_t page = 0; page < stored.size(); ++page) arena.LoadPage(static_cast<uint32_t>(page), stored[page]);
    });
    Check(op_->OnRestored());
  }
  Operator& op() { return *op_; }
  const Multiset& contents() const { return contents_; }

 private:
  static void Check(const Status& status) { ASSERT_TRUE(status.ok()) << status.ToString(); }
  std::function<std::unique_ptr<Operator>()> make_;
  std::unique_ptr<Operator> op_;
  uint64_t epoch_ = 0;
  Output epoch_output_;
  std::vector<state::ArenaSnapshot> snapshots_;
  Multiset contents_;
  std::map<std::string, std::vector<std::string>> disk_;
};

/// A leaf that stands for an input in plans.
inline plan::NodePtr TestInput(const data::Schema& schema, bool append_only) {
  auto scan = std::make_shared<plan::Scan>();
  scan->schema = schema;
  scan->append_only = append_only;
  return scan;
}
inline expr::ExprPtr Col(const data::Schema& schema, std::string_view name) {
  int index = schema.Find(name);
  KAPPA_CHECK(index >= 0);
  return expr::MakeColumn(index, schema.fields[static_cast<size_t>(index)].type, std::string(name));
}
/// `bounded`: as a query runs it, with one flush.
inline std::unique_ptr<Operator> MakeOrDie(const plan::Node& node, bool bounded = false) {
  OperatorOptions options;
  options.bounded = options.once = bounded;
  options.context.fail_on_error = bounded;
  auto op = MakeOperator(node, options);
  KAPPA_CHECK(op.ok());
  return std::move(op).value();
}

}  // namespace kappa::ops
