// The keys and times by which an as-of join finds its rows.
#pragma once

#include <memory>
#include <vector>

#include "data/row_key.h"
#include "expr/expression.h"
#include "ops/over/order_key.h"

namespace kappa::ops {

/// What a side's rows are found by.
struct AsOfExpressions {
  std::vector<expr::ExprPtr> keys;
  expr::ExprPtr time;
  expr::ExprPtr tie;  // orders rows of one time, the greatest first; may be null
};

/// Of the rows of a batch.
struct AsOfKeys {
  std::vector<int32_t> select, without;  // rows with a key and a time, and the others; none of weight 0
  std::unique_ptr<data::RowKeys> keys;
  std::unique_ptr<OrderKeys> times;
};

Result<AsOfKeys> FindAsOfKeys(const AsOfExpressions& side, bool descending, const data::ChangeBatch& batch, expr::EvalContext& context);

}  // namespace kappa::ops
