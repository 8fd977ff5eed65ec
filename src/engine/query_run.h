// One run of a bound plan over an epoch's picture: what a SELECT, a sub-query of an expression and each part of WITH RECURSIVE are.
// Private to engine/.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "engine/core.h"

namespace kappa::engine {

/// What the runs of one statement share.
struct QueryContext {
  Core& core;
  ReadSet& reads;
  const std::function<bool()>& cancelled;
  flow::ThreadPool& pool;
};

/// The rows of the round before, by the id of the recursion that is at work.
using WorkingTables = std::map<uint32_t, const data::Batch*>;

/// Bound       the rows that it holds, by query_memory; time, by `cancelled`, which is asked all the while.
/// Recursion   stops as soon as a LIMIT at the root has its rows. A LIMIT further below is run on its own for the same reason.
/// Threads     one.
class QueryRun {
 public:
  QueryRun(const QueryContext& query, const expr::EvalContext& context, int depth, WorkingTables working = {})
      : query_(query), context_(context), depth_(depth), working_(std::move(working)) {}

  /// All rows of the plan.
  Result<data::Batch> Run(const plan::NodePtr& plan, std::vector<flow::Graph::NodeStats>* stats);

 private:
  /// A part of the plan that is run on its own: a Recursive, or a Limit over one. `leaf` gives its rows in the plan, wherever it stands.
  struct Part {
    plan::NodePtr plan;
    plan::NodePtr leaf;
  };
  /// Takes rows; true when no more are wanted.
  using Sink = std::function<Result<bool>(data::Batch rows)>;

  plan::NodePtr Cut(const plan::NodePtr& node, bool limited);
  Status Open(const plan::NodePtr& plan);
  Status PushStored();
  Status PushLog();
  Status PushParts();
  Status Push(int scan, const data::Batch& rows);
  Status Advance(bool flush, std::span<const flow::EpochRecord> epochs = {});
  Result<data::Batch> Take();
  Result<data::Batch> RunOther(const plan::NodePtr& plan, const WorkingTables& working) const;
  Status Recurse(const plan::Recursive& recursive, const Sink& sink) const;
  bool Satisfied() const;
  Status Check() const;
  Status Bounded(int64_t more) const;

  const QueryContext& query_;
  const expr::EvalContext& context_;
  const int depth_;
  const WorkingTables working_;
  plan::NodePtr plan_;
  std::vector<Part> parts_;
  std::vector<const plan::Scan*> scans_;
  std::unique_ptr<flow::LogFlow> flow_;
  bool log_needed_ = false;
  std::vector<data::ChangeBatch> results_;
  int64_t bytes_ = 0;        // of the results
  int64_t result_rows_ = 0;
  int64_t rows_wanted_ = INT64_MAX;  // of a LIMIT at the root
};

}  // namespace kappa::engine
