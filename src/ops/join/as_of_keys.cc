#include "ops/join/as_of_keys.h"

namespace kappa::ops {

Result<AsOfKeys> FindAsOfKeys(const AsOfExpressions& side, bool descending, const data::ChangeBatch& batch, expr::EvalContext& context) {
  AsOfKeys found;
  KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> keys, expr::EvaluateAll(side.keys, batch.AsBatch(), context));
  KAPPA_ASSIGN_OR_RETURN(const data::ColumnPtr time, side.time->Evaluate(batch.AsBatch(), context));
  for (int64_t i = 0; i < batch.rows; ++i) {
    if (batch.weight(i) == 0) continue;
    bool null = time->IsNull(i);
    for (size_t k = 0; k < keys.size() && !null; ++k) null = keys[k]->IsNull(i);
    (null ? found.without : found.select).push_back(static_cast<int32_t>(i));
  }
  found.keys = std::make_unique<data::RowKeys>(keys, batch.rows);
  std::vector<SortColumn> order = {{time, descending, false}};
  if (side.tie) {
    KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr tie, side.tie->Evaluate(batch.AsBatch(), context));
    order.push_back({std::move(tie), /*descending=*/true, false});
  }
  found.times = std::make_unique<OrderKeys>(order, batch.rows);
  return found;
}

}  // namespace kappa::ops
