// The operator contract. An operator maps change batches to change batches and is right for inserts, deletes and updates.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/batch.h"
#include "expr/expression.h"
#include "plan/node.h"
#include "state/arena.h"

namespace kappa::ops {

/// The layout of all operators' state (payloads of tables, rows, root words). Raise it with any change to one of them: a
/// checkpoint of another layout is not read, the views are rebuilt from the log instead.
inline constexpr uint32_t kStateLayout = 7;

/// Takes the batches that an operator gives: keeps them, or hands each on at once. An operator may be called with one that failed; whoever
/// calls it looks at status() afterwards.
class Output {
 public:
  using Consumer = std::function<Status(data::ChangeBatch)>;
  Output() = default;
  explicit Output(Consumer consumer) : consumer_(std::move(consumer)) {}

  void push_back(data::ChangeBatch batch) {
    if (!consumer_) kept_.push_back(std::move(batch));
    else if (batch.rows > 0 && status_.ok()) status_ = consumer_(std::move(batch));
  }
  /// The consumer's first error.
  const Status& status() const { return status_; }

  /// What was kept.
  auto begin() const { return kept_.begin(); }
  auto end() const { return kept_.end(); }
  size_t size() const { return kept_.size(); }
  bool empty() const { return kept_.empty(); }
  const data::ChangeBatch& operator[](size_t i) const { return kept_[i]; }
  std::vector<data::ChangeBatch> Take() { return std::exchange(kept_, {}); }

 private:
  Consumer consumer_;
  Status status_;
  std::vector<data::ChangeBatch> kept_;
};

/// What is known at the end of an epoch (or of a bulk step: many epochs at once).
struct EpochContext {
  uint64_t epoch = 0;
  int64_t wall_us = 0;
  /// Watermark per stream id, microseconds since 1970; INT64_MIN while unknown. At the end of bounded input INT64_MAX.
  const absl::flat_hash_map<uint32_t, int64_t>* watermarks = nullptr;
  /// false in the middle of a bulk step: windows that the watermark closed are emitted and dropped, but updating operators
  /// go on collecting; their net changes come with the OnEpochEnd that has flush = true.
  bool flush = true;
  /// Bounded runs: this flush is the only one, and nothing comes after it.
  bool last = false;
};

/// A row of a stream that a view leaves out because an expression fails for it.
struct FailedRow {
  int32_t partition = 0;
  int64_t offset = 0;
  std::string reason;
};

/// Lifecycle: Make, [state pages loaded, OnRestored], then epochs: OnBatch* for each port, one OnEpochEnd. An updating
/// operator collects in OnBatch and emits its net changes in OnEpochEnd; a stateless one emits in OnBatch.
/// Threads: one instance belongs to one shard; one thread calls it at a time.
class Operator {
 public:
  virtual ~Operator() = default;
  /// `port` is the index of the plan node's input.
  virtual Status OnBatch(int port, data::ChangeBatch batch, Output& out) = 0;
  virtual Status OnEpochEnd(const EpochContext&, Output&) { return {}; }
  /// Bounded runs: no more rows come to this port, so nothing need be kept for them.
  virtual void OnInputEnd(int /*port*/) {}
  /// Names and arenas of the state, in a fixed order. They are what checkpoints store.
  virtual void VisitState(const std::function<void(std::string_view name, state::Arena&)>&) {}
  /// After the arenas were loaded from a checkpoint: rebuild what is derived from them.
  virtual Status OnRestored() { return {}; }
  /// The wall time at which the output changes though no input does, for an epoch to be cut; INT64_MAX: never.
  virtual int64_t next_due_us() const { return INT64_MAX; }
  /// Rows and bytes kept, for EXPLAIN ANALYZE and metrics.
  virtual int64_t state_rows() const { return 0; }
  /// Bytes kept outside of the arenas, for the bound of a query's memory.
  virtual int64_t held_bytes() const { return 0; }
  /// The evaluation context whose error counts are reported for the view.
  virtual int64_t errors() const { return 0; }
  /// Moves the rows that failed since the last call to `out`.
  virtual void TakeFailed(std::vector<FailedRow>&) {}
};

/// How rows must be split over the shards for an input port: as they come, by these key expressions (over the input), all to one shard, or all
/// to each.
struct Distribution {
  enum class Kind : uint8_t { kAny, kHash, kSingle, kReplicated } kind = Kind::kAny;
  std::vector<expr::ExprPtr> keys;
};
/// What a plan node asks of its input `port`. Rows that must meet, such as those of equal keys, meet in one shard.
Distribution RequiredDistribution(const plan::Node& node, int port);

/// Options common to all operators of a running plan.
struct OperatorOptions {
  bool bounded = false;  // a query: errors fail it, order-dependent operators are allowed
  bool once = false;     // one flush comes, and nothing after it: rows may wait for it in columns
  expr::EvalContext context;
  /// Bounded runs only. An operator that may give far more rows than it got, or work long on one batch, calls this from time to
  /// time with the bytes that it is about to take: it fails when the run must stop (cancelled, out of memory). Null: nobody watches.
  std::function<Status(int64_t more_bytes)> watch;
};
/// Memory of a batch's values; strings are shared between batches and not counted.
inline int64_t BatchBytes(const data::ChangeBatch& batch) {
  int64_t bytes = batch.weights ? batch.rows * 8 : 0;
  for (const data::ColumnPtr& column : batch.columns) bytes += column->memory_bytes();
  return bytes;
}
/// The operator for a plan node (not for scans, which flow/ feeds). Fails with feature_not_supported for nodes that only
/// queries may use when `bounded` is false.
Result<std::unique_ptr<Operator>> MakeOperator(const plan::Node& node, const OperatorOptions& options);

}  // namespace kappa::ops
