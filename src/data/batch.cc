// Gathering, slicing and concatenating whole batches.
#include "data/batch.h"

#include <algorithm>

namespace kappa::data {

ChangeBatch Gather(const ChangeBatch& batch, std::span<const int32_t> rows) {
  ChangeBatch result;
  result.rows = static_cast<int64_t>(rows.size());
  result.columns.reserve(batch.columns.size());
  for (const ColumnPtr& column : batch.columns) result.columns.push_back(Gather(*column, rows));
  if (batch.weights) {
    auto weights = std::make_shared<std::vector<int64_t>>(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) (*weights)[i] = (*batch.weights)[static_cast<size_t>(rows[i])];
    result.weights = std::move(weights);
  }
  return result;
}

ChangeBatch Slice(const ChangeBatch& batch, int64_t from, int64_t count) {
  KAPPA_CHECK(from >= 0 && count >= 0 && from + count <= batch.rows);
  if (from == 0 && count == batch.rows) return batch;
  ChangeBatch result;
  result.rows = count;
  result.columns.reserve(batch.columns.size());
  for (const ColumnPtr& column : batch.columns) result.columns.push_back(Slice(column, from, count));
  if (batch.weights) {
    auto begin = batch.weights->begin() + from;
    result.weights = std::make_shared<std::vector<int64_t>>(begin, begin + count);
  }
  return result;
}

ChangeBatch Concatenate(std::span<const ChangeBatch> parts) {
  if (parts.empty()) return {};
  if (parts.size() == 1) return parts[0];
  ChangeBatch result;
  bool weighted = false;
  for (const ChangeBatch& part : parts) {
    KAPPA_CHECK(part.columns.size() == parts[0].columns.size());
    result.rows += part.rows;
    weighted |= part.weights != nullptr;
  }
  std::vector<ColumnPtr> columns(parts.size());
  for (size_t c = 0; c < parts[0].columns.size(); ++c) {
    for (size_t p = 0; p < parts.size(); ++p) columns[p] = parts[p].columns[c];
    result.columns.push_back(Concatenate(columns));
  }
  if (weighted) {
    auto weights = std::make_shared<std::vector<int64_t>>();
    weights->reserve(static_cast<size_t>(result.rows));
    for (const ChangeBatch& part : parts) {
      if (part.weights) weights->insert(weights->end(), part.weights->begin(), part.weights->end());
      else weights->insert(weights->end(), static_cast<size_t>(part.rows), 1);
    }
    result.weights = std::move(weights);
  }
  return result;
}

Batch EmptyBatch(const Schema& schema) {
  Batch batch;
  for (const Field& field : schema.fields) batch.columns.push_back(std::make_shared<Column>(field.type, 0));
  return batch;
}

}  // namespace kappa::data
