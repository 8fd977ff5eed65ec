#include "flow/constraints.h"

#include <algorithm>
#include <map>

namespace kappa::flow {

void TakeRefused(std::span<const ConstrainedColumn> constraints, std::span<const int> columns, data::Batch& rows, std::vector<RefusedRow>& refused) {
  std::map<int32_t, std::string> reasons;  // the first of each row
  for (const ConstrainedColumn& constraint : constraints) {
    const auto at = std::find(columns.begin(), columns.end(), constraint.column);
    if (at == columns.end()) continue;
    for (auto& [row, error] : expr::DomainViolations(*constraint.domain, rows.columns[static_cast<size_t>(at - columns.begin())]))
      reasons.try_emplace(static_cast<int32_t>(row), error.message());
  }
  if (reasons.empty()) return;
  std::vector<int32_t> kept;
  for (int32_t row = 0; row < rows.rows; ++row)
    if (!reasons.contains(row)) kept.push_back(row);
  for (auto& [row, reason] : reasons) refused.push_back({row, std::move(reason)});
  data::ChangeBatch all(std::move(rows));
  rows = data::Gather(all, kept).AsBatch();
}

}  // namespace kappa::flow
