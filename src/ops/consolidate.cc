// Consolidation by the rows' bytes.
#include "ops/consolidate.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>

#include "data/row_key.h"

namespace kappa::ops {

data::ChangeBatch Consolidate(std::span<const data::ChangeBatch> changes) {
  if (changes.empty()) return {};
  data::ChangeBatch all = changes.size() == 1 ? changes[0] : data::Concatenate(changes);
  if (all.weights == nullptr || std::all_of(all.weights->begin(), all.weights->end(), [](int64_t w) { return w > 0; })) return all;
  data::RowKeys keys(all.columns, all.rows, /*canonical=*/false);
  absl::flat_hash_map<std::string_view, size_t> first;
  std::vector<int32_t> rows;
  std::vector<int64_t> weights;
  for (int64_t i = 0; i < all.rows; ++i) {
    auto [it, fresh] = first.try_emplace(keys.key(i), rows.size());
    if (fresh) {
      rows.push_back(static_cast<int32_t>(i));
      weights.push_back(0);
    }
    weights[it->second] += all.weight(i);
  }
  std::vector<int32_t> kept;
  auto kept_weights = std::make_shared<std::vector<int64_t>>();
  for (size_t i = 0; i < rows.size(); ++i) {
    if (weights[i] == 0) continue;
    kept.push_back(rows[i]);
    kept_weights->push_back(weights[i]);
  }
  all.weights = nullptr;
  data::ChangeBatch out = data::Gather(all, kept);
  out.rows = static_cast<int64_t>(kept.size());
  out.weights = std::move(kept_weights);
  return out;
}

Result<int64_t> ExpandedRows(const data::ChangeBatch& changes) {
  if (changes.weights == nullptr) return changes.rows;
  int64_t rows = 0;
  for (int64_t i = 0; i < changes.rows; ++i) {
    const int64_t weight = changes.weight(i);
    if (weight < 0) return Error(sqlstate::kInternalError, "a change deletes a row that was not inserted");
    if (weight > INT32_MAX - rows) return Error(sqlstate::kOutOfMemory, "too many rows to keep in memory").Hint("Select fewer rows, or aggregate.");
    rows += weight;
  }
  return rows;
}

Result<data::Batch> Expand(const data::ChangeBatch& changes) {
  if (changes.weights == nullptr) return changes.AsBatch();
  KAPPA_ASSIGN_OR_RETURN(const int64_t count, ExpandedRows(changes));
  std::vector<int32_t> rows;
  rows.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < changes.rows; ++i) rows.insert(rows.end(), static_cast<size_t>(changes.weight(i)), static_cast<int32_t>(i));
  data::ChangeBatch plain(changes.AsBatch());
  data::Batch out = data::Gather(plain, rows).AsBatch();
  out.rows = static_cast<int64_t>(rows.size());
  return out;
}

}  // namespace kappa::ops
