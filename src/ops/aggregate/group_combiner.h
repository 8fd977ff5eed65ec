// GroupCombiner: the first of two stages of a GROUP BY. Rows are added up where they lie, and what goes to the group's shard is one row.
#pragma once

#include <memory>
#include <optional>

#include "data/repeated_rows.h"
#include "ops/aggregate/group_payload.h"

namespace kappa::ops {

/// The port of an aggregate at which combined rows come: the columns of the keys, then the payload of their group, with the number of rows
/// in its head.
inline constexpr int kCombinedPort = 1;

/// State        none from batch to batch.
/// Cost         as the aggregate's own for a row, without its probe; what was combined costs the aggregate a probe and a merge for each group.
/// Threads      one at a time.
class GroupCombiner {
 public:
  /// Null where the calls need the rows themselves (DISTINCT, percentiles; min and max of rows that may go).
  static Result<std::unique_ptr<GroupCombiner>> Make(const plan::Aggregate& node, const OperatorOptions& options);

  /// The batch combined; nullopt when its groups are too many for that to be of use, or hold values that cannot travel (numerics of hundreds of
  /// digits, long strings).
  Result<std::optional<data::ChangeBatch>> Combine(const data::ChangeBatch& batch);
  int64_t errors() const { return context_.errors; }

 private:
  GroupCombiner(const plan::Aggregate& node, const OperatorOptions& options) : keys_(node.keys), context_(options.context) {}
  std::optional<data::RepeatedRows> GroupsOf(const std::vector<data::ColumnPtr>& key_columns, int64_t rows) const;
  std::optional<data::ChangeBatch> NotCombined();

  std::vector<expr::ExprPtr> keys_;
  AccumulatorCalls calls_;
  state::Arena blobs_;  // of a batch that turns out not to be combined
  expr::EvalContext context_;
  // After batches that were not combined some pass without a look.
  int pass_ = 0, passing_ = 0;
  // Scratch of a batch.
  std::vector<int32_t> all_;
  std::vector<char*> payloads_;
};

}  // namespace kappa::ops
