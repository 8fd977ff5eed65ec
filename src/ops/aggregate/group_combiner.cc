#include "ops/aggregate/group_combiner.h"

#include <algorithm>
#include <numeric>

namespace kappa::ops {
namespace {

constexpr int64_t kRowsMin = 512;        // of a batch: below, combining saves too little
constexpr int64_t kRowsOfAGroupMin = 8;  // on average
constexpr int kPassMax = 16;

}  // namespace

Result<std::unique_ptr<GroupCombiner>> GroupCombiner::Make(const plan::Aggregate& node, const OperatorOptions& options) {
  std::unique_ptr<GroupCombiner> combiner(new GroupCombiner(node, options));
  KAPPA_RETURN_IF_ERROR(MakeGroupCalls(node, options, combiner->blobs_, combiner->calls_));
  if (!combiner->calls_.merges()) combiner = nullptr;
  return combiner;
}

std::optional<data::RepeatedRows> GroupCombiner::GroupsOf(const std::vector<data::ColumnPtr>& key_columns, int64_t rows) const {
  if (keys_.empty()) return data::RepeatedRows{{0}, std::vector<int32_t>(static_cast<size_t>(rows))};
  std::optional<data::RepeatedRows> groups = data::FindRepeatedRows(key_columns, rows);
  if (groups && static_cast<int64_t>(groups->firsts.size()) * kRowsOfAGroupMin > rows) groups.reset();
  return groups;
}

std::optional<data::ChangeBatch> GroupCombiner::NotCombined() {
  passing_ = pass_ = std::clamp(2 * pass_, 1, kPassMax);
  return std::nullopt;
}

Result<std::optional<data::ChangeBatch>> GroupCombiner::Combine(const data::ChangeBatch& batch) {
  if (batch.rows < kRowsMin || batch.weights != nullptr) return std::optional<data::ChangeBatch>();
  if (passing_ > 0) {
    --passing_;
    return std::optional<data::ChangeBatch>();
  }
  expr::EvalContext context = context_;  // the errors of rows that are not combined are counted where they go
  KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> key_columns, expr::EvaluateAll(keys_, batch.AsBatch(), context));
  const std::optional<data::RepeatedRows> groups = GroupsOf(key_columns, batch.rows);
  if (!groups) return NotCombined();
  const auto rows = static_cast<size_t>(batch.rows);
  const size_t words = calls_.payload_bytes() / sizeof(uint64_t);
  const auto states = std::make_shared<std::vector<uint64_t>>(groups->firsts.size() * words);
  const auto payload = [&](size_t group) { return reinterpret_cast<char*>(states->data() + group * words); };
  payloads_.resize(rows);
  for (size_t row = 0; row < rows; ++row) {
    payloads_[row] = payload(static_cast<size_t>(groups->kinds[row]));
    ++HeadOf(payloads_[row])->rows;
  }
  if (all_.size() < rows) {
    all_.resize(rows);
    std::iota(all_.begin(), all_.end(), 0);
  }
  KAPPA_RETURN_IF_ERROR(calls_.Update(batch, std::span(all_).first(rows), payloads_.data(), /*groups=*/nullptr, context));
  bool plain = true;
  for (size_t group = 0; group < groups->firsts.size(); ++group) plain = plain && calls_.IsPlain(payload(group));
  if (!plain) {
    for (size_t group = 0; group < groups->firsts.size(); ++group) calls_.Drop(payload(group));
    return NotCombined();
  }
  pass_ = 0;
  context_.errors = context.errors;
  data::ChangeBatch combined;
  combined.rows = static_cast<int64_t>(groups->firsts.size());
  for (const data::ColumnPtr& column : key_columns) combined.columns.push_back(data::Gather(*column, groups->firsts));
  auto column = std::make_shared<data::Column>(data::TypeId::kBytea, combined.rows);
  for (size_t group = 0; group < groups->firsts.size(); ++group)
    column->mutable_data<data::StringView>()[group] = data::StringView(payload(group), calls_.payload_bytes());
  column->AddKeepalive(states);
  combined.columns.push_back(std::move(column));
  return std::optional(std::move(combined));
}

}  // namespace kappa::ops
