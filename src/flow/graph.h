// Graph: one plan, running. Operators are replicated over shards; rows move between shards by hash where an operator asks.
// Parts of the plan that are the same run once.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "flow/thread_pool.h"
#include "ops/operator.h"
#include "plan/node.h"

namespace kappa::flow {

struct GraphOptions {
  int shards = 1;
  size_t batch_rows = 8192;
  ops::OperatorOptions operators;
  /// Rows of functions in FROM (generate_series, kappa.diff). Not set for views.
  std::function<Result<data::Batch>(const plan::TableFunction&)> table_function;
  /// Bounded runs on one shard: called every few ten thousand rows with the bytes that the graph holds; its error stops the
  /// step. With it set, large intermediate results flow on to the next operator in pieces instead of being kept whole.
  std::function<Status(int64_t bytes)> watch;
};

/// Lifecycle: Make, [VisitState to load pages, Restored], then Push* and Step, again and again.
/// A step goes through the plan bottom up, pipeline by pipeline; within one the shards work side by side on the pool. Where state is beyond
/// its bound, what waits for the next pipeline goes there in pieces.
/// Threads: one caller at a time.
class Graph {
 public:
  static Result<std::unique_ptr<Graph>> Make(plan::NodePtr plan, GraphOptions options);
  ~Graph();

  /// The leaves of the plan that read relations, in its order; Push addresses them by index.
  const std::vector<const plan::Scan*>& scans() const;
  const plan::Node& plan() const;
  /// Rows of scan `index`: its columns, in order; the scan's predicate is applied here.
  void Push(int index, data::ChangeBatch rows);
  /// From now on the plan's rows are counted and dropped: Step gives none.
  void DropOutput();
  /// Where state is beyond its bound, what a step gives in great number goes here as it comes, from one thread at a time, and is no part of
  /// Step's output. Its sum with that is what the step gives.
  void GiveTo(std::function<Status(data::ChangeBatch)> consumer);
  /// Rows that the plan gave so far.
  int64_t rows_given() const;
  /// Bounded runs: nothing more will be pushed to this scan.
  void EndScan(int index);
  /// Runs what was pushed. With `end`, the operators finish an epoch (or a part of a bulk step, see EpochContext::flush).
  Status Step(ThreadPool& pool, const ops::EpochContext* end, std::vector<data::ChangeBatch>& out);

  /// All state: name ("3.0.groups": node, shard, arena) and arena.
  void VisitState(const std::function<void(std::string_view name, state::Arena&)>& visit);
  /// After all arenas were loaded. `started` is what started() gave when they were stored.
  Status Restored(bool started);
  /// True once constant sources gave their rows.
  bool started() const;
  int64_t errors() const;
  /// Moves the rows that failed since the last call to `out`, with the id of their stream.
  void TakeFailed(std::vector<std::pair<uint32_t, ops::FailedRow>>& out);
  /// The earliest wall time at which an operator's output changes by itself.
  int64_t next_due_us() const;
  int64_t state_rows() const;
  uint64_t state_bytes() const;
  /// What a node did since the graph was made, all shards together, and what it keeps. For EXPLAIN ANALYZE.
  struct NodeStats {
    int depth = 0;
    std::string text;
    int64_t rows_in = 0, rows_out = 0, batches = 0;  // batches that came in
    int64_t nanos = 0;                               // wall time of its part of the steps
    int64_t errors = 0;                              // rows for which an expression failed
    int64_t state_rows = 0;
    uint64_t state_bytes = 0;
  };
  /// In Explain's order: a node, then its inputs. A node with several users shows its figures once.
  std::vector<NodeStats> stats();

 private:
  struct Impl;
  explicit Graph(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kappa::flow
