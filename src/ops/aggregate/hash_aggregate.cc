// Hash aggregate: GROUP BY with retractions, and windows that emit once when they close.
#include <map>
#include <numeric>

#include "data/row_key.h"
#include "ops/aggregate/distinct_rows.h"
#include "ops/aggregate/group_combiner.h"
#include "ops/aggregate/group_keys.h"
#include "ops/factories.h"
#include "ops/row_decoder.h"
#include "ops/value_bytes.h"
#include "plan/build.h"
#include "state/keyed_table.h"

namespace kappa::ops {
namespace {

/// Groups that are finished at once: few where they must be fetched first, and their results may be long lists.
size_t EmitRows() { return state::Spilling() ? 256 : 16384; }

// Input        changes of any weight; at kCombinedPort groups that a GroupCombiner made of some rows.
// State        a table from the row key of `keys` to GroupHead and accumulators. Accumulators whose state has no bound per
//              group (DISTINCT, min and max with deletes) keep tables of their own.
// Watermark    an updating aggregate ignores it. With close_key: when the watermark of close_stream reaches a window_end, its
//              groups are emitted once and dropped; nothing is emitted before.
// Retractions  a group touched in an epoch emits its old row (-1) and its new row (+1) at the end of the epoch, nothing when
//              they are the same; its old row alone when no row is left. Without keys there is always one group.
// Cost         one probe per row; one pass over the rows per accumulator; one more probe per row for each list of arguments that is
//              DISTINCT somewhere. Equal FILTERs and arguments are evaluated once.
// Threads      one at a time.
class HashAggregate final : public Operator {
 public:
  HashAggregate(const plan::Aggregate& node, const OperatorOptions& options)
      : keys_(node.keys), close_key_(node.close_key), close_stream_(node.close_stream), context_(options.context) {
    for (size_t i = 0; i < keys_.size(); ++i) key_schema_.fields.push_back(node.schema.fields[i]);
    for (size_t i = 0; i < keys_.size(); ++i) key_schema_.fields[i].type = keys_[i]->type();
  }
  Status Make(const plan::Aggregate& node, const OperatorOptions& options);

  Status OnBatch(int port, data::ChangeBatch batch, Output& out) override;
  Status OnEpochEnd(const EpochContext& epoch, Output& out) override;
  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) override;
  Status OnRestored() override;
  int64_t state_rows() const override { return groups_->rows(); }
  int64_t errors() const override { return context_.errors; }

 private:
  void FindGroups(const std::vector<data::ColumnPtr>& key_columns, int64_t rows);
  Status Touch(const std::vector<data::ColumnPtr>& key_columns);
  Status Merge(const data::ChangeBatch& combined);
  Status Flush(Output& out);
  Status EmitChanges(std::span<const state::Ref> groups, std::span<char* const> payloads, std::span<const int32_t> old_rows,
                     const std::vector<data::ColumnPtr>& old_columns, Output& out);
  Status CloseWindows(int64_t watermark, Output& out);
  void DropGroup(state::Ref group, char* payload);
  int64_t WindowEnd(const data::Column& column, int64_t row) const;

  std::vector<expr::ExprPtr> keys_;
  data::Schema key_schema_;
  int close_key_;
  uint32_t close_stream_;
  expr::EvalContext context_;
  AccumulatorCalls calls_;
  state::Arena arena_;
  std::unique_ptr<state::KeyedTable> groups_;

  // Of the epoch: the touched groups, and the results that those of them had which were known before.
  std::vector<state::Ref> touched_;
  std::vector<int32_t> touched_old_;                   // row in the old results, -1 for a new group
  std::vector<std::vector<data::ColumnPtr>> old_;      // per call: parts
  int32_t old_rows_ = 0;
  std::map<int64_t, std::vector<state::Ref>> windows_;  // window_end -> its groups

  // Scratch of a batch.
  std::vector<state::Ref> refs_;
  std::vector<char*> payloads_;
  std::vector<int32_t> all_;
};

/// True when the rows of a bounded input come in an order of their own.
bool IsOrdered(const plan::Node& node) {
  switch (node.kind) {
    case plan::NodeKind::kSort:
    case plan::NodeKind::kValues:
    case plan::NodeKind::kTableFunction: return true;
    case plan::NodeKind::kScan: return static_cast<const plan::Scan&>(node).relation_kind == plan::RelationKind::kSystem;
    case plan::NodeKind::kFilter:
    case plan::NodeKind::kProject:
    case plan::NodeKind::kUnnest:
    case plan::NodeKind::kLimit: return IsOrdered(*node.inputs[0]);
    default: return false;
  }
}

Status HashAggregate::Make(const plan::Aggregate& node, const OperatorOptions& options) {
  KAPPA_RETURN_IF_ERROR(MakeGroupCalls(node, options, arena_, calls_));
  groups_ = std::make_unique<state::KeyedTable>(arena_, 0, calls_.payload_bytes());
  old_.resize(node.aggregates.size());
  return {};
}

Status HashAggregate::OnBatch(int port, data::ChangeBatch batch, Output&) {
  if (port == kCombinedPort) return Merge(batch);
  if (batch.weights && std::find(batch.weights->begin(), batch.weights->end(), 0) != batch.weights->end()) {
    std::vector<int32_t> rows;
    for (int64_t i = 0; i < batch.rows; ++i)
      if (batch.weight(i) != 0) rows.push_back(static_cast<int32_t>(i));
    batch = data::Gather(batch, rows);
  }
  if (batch.rows == 0) return {};
  KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> key_columns, expr::EvaluateAll(keys_, batch.AsBatch(), context_));
  FindGroups(key_columns, batch.rows);
  KAPPA_RETURN_IF_ERROR(Touch(key_columns));
  for (size_t i = 0; i < refs_.size(); ++i) HeadOf(payloads_[i])->rows += batch.weight(static_cast<int64_t>(i));
  return calls_.Update(batch, std::span(all_).first(refs_.size()), payloads_.data(), refs_.data(), context_);
}

Status HashAggregate::Merge(const data::ChangeBatch& combined) {
  const std::span<const data::ColumnPtr> columns(combined.columns);
  const std::vector<data::ColumnPtr> key_columns(columns.begin(), columns.end() - 1);
  FindGroups(key_columns, combined.rows);
  KAPPA_RETURN_IF_ERROR(Touch(key_columns));
  std::vector<uint64_t> from(calls_.payload_bytes() / sizeof(uint64_t));
  char* const payload = reinterpret_cast<char*>(from.data());
  for (size_t i = 0; i < refs_.size(); ++i) {
    const std::string_view bytes = columns.back()->bytes(static_cast<int64_t>(i));
    KAPPA_CHECK(bytes.size() == calls_.payload_bytes());
    std::memcpy(payload, bytes.data(), bytes.size());
    HeadOf(payloads_[i])->rows += HeadOf(payload)->rows;
    KAPPA_RETURN_IF_ERROR(calls_.Merge(payloads_[i], payload));
  }
  return {};
}

void HashAggregate::FindGroups(const std::vector<data::ColumnPtr>& key_columns, int64_t row_count) {
  const auto rows = static_cast<size_t>(row_count);
  if (all_.size() < rows) {
    all_.resize(rows);
    std::iota(all_.begin(), all_.end(), 0);
  }
  refs_.resize(rows);
  payloads_.resize(rows);
  groups_->FindOrInsertBatch(data::RowKeys(key_columns, row_count), std::span(all_).first(rows), refs_.data());
}

/// Resolves the groups' payloads, and remembers the groups that the epoch touches for the first time together with their results so far.
Status HashAggregate::Touch(const std::vector<data::ColumnPtr>& key_columns) {
  std::vector<char*> known;
  const bool closes = close_key_ >= 0;
  for (size_t i = 0; i < refs_.size(); ++i) {
    char* payload = groups_->MutablePayload(refs_[i]);
    payloads_[i] = payload;
    GroupHead* head = HeadOf(payload);
    if (closes) {
      if (head->known == 0) {
        head->known = 1;
        windows_[WindowEnd(*key_columns[static_cast<size_t>(close_key_)], static_cast<int64_t>(i))].push_back(refs_[i]);
      }
    } else if (head->touched == 0) {
      head->touched = 1;
      touched_.push_back(refs_[i]);
      touched_old_.push_back(head->known != 0 ? old_rows_++ : -1);
      if (head->known != 0) known.push_back(payload);
    }
  }
  if (known.empty()) return {};
  expr::EvalContext context = context_;  // its errors were counted when the results were new
  KAPPA_ASSIGN_OR_RETURN(std::vector<data::ColumnPtr> columns, calls_.Finish(known, context));
  for (size_t c = 0; c < columns.size(); ++c) old_[c].push_back(std::move(columns[c]));
  return {};
}

Status HashAggregate::OnEpochEnd(const EpochContext& epoch, Output& out) {
  if (close_key_ >= 0) {
    if (epoch.watermarks == nullptr) return {};
    auto watermark = epoch.watermarks->find(close_stream_);
    return watermark == epoch.watermarks->end() ? Status() : CloseWindows(watermark->second, out);
  }
  return epoch.flush ? Flush(out) : Status();
}

Status HashAggregate::Flush(Output& out) {
  if (keys_.empty()) {
    state::Ref group = groups_->FindOrInsert({}, Hash64({}));
    GroupHead* head = HeadOf(groups_->MutablePayload(group));
    if (head->known == 0 && head->touched == 0) {
      head->touched = 1;
      touched_.push_back(group);
      touched_old_.push_back(-1);
    }
  }
  std::vector<data::ColumnPtr> old_columns;
  if (old_rows_ > 0) {
    for (auto& parts : old_) old_columns.push_back(parts.size() == 1 ? parts[0] : data::Concatenate(parts));
  }
  std::vector<char*> payloads;
  const size_t emit_rows = EmitRows();
  for (size_t from = 0; from < touched_.size(); from += emit_rows) {
    size_t count = std::min(emit_rows, touched_.size() - from);
    payloads.clear();
    for (size_t i = from; i < from + count; ++i) {
      groups_->FetchAhead(touched_, i);
      payloads.push_back(groups_->MutablePayload(touched_[i]));
    }
    KAPPA_RETURN_IF_ERROR(
        EmitChanges(std::span(touched_).subspan(from, count), payloads, std::span(touched_old_).subspan(from, count), old_columns, out));
  }
  touched_.clear();
  touched_old_.clear();
  for (auto& parts : old_) parts.clear();
  old_rows_ = 0;
  return {};
}

/// Rows whose values differ in any of the columns: a[rows_a[i]] against b[i].
std::vector<bool> Differs(const std::vector<data::ColumnPtr>& a, std::span<const int32_t> rows_a, const std::vector<data::ColumnPtr>& b) {
  std::vector<bool> differs(rows_a.size(), false);
  for (size_t c = 0; c < b.size(); ++c) {
    for (size_t i = 0; i < rows_a.size(); ++i) {
      if (rows_a[i] < 0) continue;
      bool null_a = a[c]->IsNull(rows_a[i]), null_b = b[c]->IsNull(static_cast<int64_t>(i));
      if (null_a != null_b || (!null_a && ValueBytes(*a[c], rows_a[i]) != ValueBytes(*b[c], static_cast<int64_t>(i)))) differs[i] = true;
    }
  }
  return differs;
}

Status HashAggregate::EmitChanges(std::span<const state::Ref> groups, std::span<char* const> payloads, std::span<const int32_t> old_rows,
                                  const std::vector<data::ColumnPtr>& old_columns, Output& out) {
  KAPPA_ASSIGN_OR_RETURN(std::vector<data::ColumnPtr> fresh, calls_.Finish(payloads, context_));
  const bool any_old = std::any_of(old_rows.begin(), old_rows.end(), [](int32_t row) { return row >= 0; });
  std::vector<bool> differs(groups.size(), true);
  if (any_old) differs = Differs(old_columns, old_rows, fresh);
  RowDecoder keys(key_schema_);
  std::vector<int32_t> deleted_keys, deleted_old, inserted_keys, inserted;
  std::string scratch;
  for (size_t i = 0; i < groups.size(); ++i) {
    GroupHead* head = HeadOf(payloads[i]);
    if (head->rows < 0) return Error(sqlstate::kInternalError, "a change deletes a row that its group does not have");
    const bool lives = head->rows > 0 || keys_.empty();
    const bool was = old_rows[i] >= 0;
    if (was != lives || (was && differs[i])) {
      auto key = static_cast<int32_t>(keys.rows());
      keys.Append(groups_->Key(groups[i], scratch), /*borrow=*/false);
      if (was) {
        deleted_keys.push_back(key);
        deleted_old.push_back(old_rows[i]);
      }
      if (lives) {
        inserted_keys.push_back(key);
        inserted.push_back(static_cast<int32_t>(i));
      }
    }
    head->touched = 0;
    head->known = 1;
    if (!lives) DropGroup(groups[i], payloads[i]);
  }
  if (keys.rows() == 0) return {};
  data::ChangeBatch result(AsShown(keys.Finish()));
  const bool plain = deleted_keys.empty() && inserted.size() == groups.size();
  if (!plain) {
    std::vector<int32_t> key_rows = deleted_keys;
    key_rows.insert(key_rows.end(), inserted_keys.begin(), inserted_keys.end());
    result = data::Gather(result, key_rows);
    result.rows = static_cast<int64_t>(key_rows.size());
    auto weights = std::make_shared<std::vector<int64_t>>(key_rows.size(), 1);
    std::fill_n(weights->begin(), deleted_keys.size(), -1);
    if (!deleted_keys.empty()) result.weights = std::move(weights);
  }
  for (size_t c = 0; c < fresh.size(); ++c) {
    if (plain) {
      result.columns.push_back(std::move(fresh[c]));
      continue;
    }
    data::ColumnPtr parts[2];
    size_t count = 0;
    if (!deleted_old.empty()) parts[count++] = data::Gather(*old_columns[c], deleted_old);
    if (!inserted.empty()) parts[count++] = data::Gather(*fresh[c], inserted);
    result.columns.push_back(count == 1 ? parts[0] : data::Concatenate(parts));
  }
  out.push_back(std::move(result));
  return {};
}

void HashAggregate::DropGroup(state::Ref group, char* payload) {
  calls_.Drop(payload);
  groups_->Erase(group);
}

int64_t HashAggregate::WindowEnd(const data::Column& column, int64_t row) const {
  if (column.IsNull(row)) return INT64_MAX;
  if (column.type().id != data::TypeId::kDate) return column.data<int64_t>()[row];
  int32_t days = column.data<int32_t>()[row];
  if (days == INT32_MAX) return INT64_MAX;
  if (days == INT32_MIN) return INT64_MIN;
  return days * int64_t{86'400'000'000};
}

Status HashAggregate::CloseWindows(int64_t watermark, Output& out) {
  std::vector<char*> payloads;
  std::vector<state::Ref> groups;
  std::string scratch;
  while (!windows_.empty() && windows_.begin()->first <= watermark) {
    auto node = windows_.extract(windows_.begin());
    const std::vector<state::Ref>& all = node.mapped();
    const size_t emit_rows = EmitRows();
    for (size_t from = 0; from < all.size(); from += emit_rows) {
      payloads.clear();
      groups.clear();
      RowDecoder keys(key_schema_);
      for (size_t i = from; i < std::min(all.size(), from + emit_rows); ++i) {
        groups_->FetchAhead(all, i);
        char* payload = groups_->MutablePayload(all[i]);
        if (HeadOf(payload)->rows < 0) return Error(sqlstate::kInternalError, "a change deletes a row that its group does not have");
        if (HeadOf(payload)->rows == 0) {
          DropGroup(all[i], payload);
          continue;
        }
        groups.push_back(all[i]);
        payloads.push_back(payload);
        keys.Append(groups_->Key(all[i], scratch), /*borrow=*/false);
      }
      if (groups.empty()) continue;
      KAPPA_ASSIGN_OR_RETURN(std::vector<data::ColumnPtr> columns, calls_.Finish(payloads, context_));
      data::ChangeBatch result(AsShown(keys.Finish()));
      std::move(columns.begin(), columns.end(), std::back_inserter(result.columns));
      out.push_back(std::move(result));
      for (size_t i = 0; i < groups.size(); ++i) DropGroup(groups[i], payloads[i]);
    }
  }
  return {};
}

void HashAggregate::VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) {
  visit("groups", arena_);
  calls_.VisitState(visit);
}

Status HashAggregate::OnRestored() {
  KAPPA_RETURN_IF_ERROR(arena_.CheckLoaded());
  KAPPA_RETURN_IF_ERROR(groups_->Attach());
  KAPPA_RETURN_IF_ERROR(calls_.OnRestored());
  windows_.clear();
  if (close_key_ < 0) return {};
  std::vector<state::Ref> refs;
  groups_->ForEach([&](state::Ref group) { refs.push_back(group); });
  std::sort(refs.begin(), refs.end());
  const int column[] = {close_key_};
  std::string scratch;
  const size_t emit_rows = EmitRows();
  for (size_t from = 0; from < refs.size(); from += emit_rows) {
    RowDecoder decoder(key_schema_, column);
    size_t to = std::min(refs.size(), from + emit_rows);
    for (size_t i = from; i < to; ++i) {
      groups_->FetchAhead(refs, i);
      decoder.Append(groups_->Key(refs[i], scratch), /*borrow=*/false);
    }
    data::Batch ends = decoder.Finish();
    for (size_t i = from; i < to; ++i) windows_[WindowEnd(*ends.columns[0], static_cast<int64_t>(i - from))].push_back(refs[i]);
  }
  return {};
}

}  // namespace

Status MakeGroupCalls(const plan::Aggregate& node, const OperatorOptions& options, state::Arena& arena, AccumulatorCalls& calls) {
  AccumulatorSetup setup;
  setup.blobs = &arena;
  setup.append_only = node.inputs[0]->append_only;
  setup.drops_groups = node.close_key >= 0;
  setup.arrival_order = options.bounded && IsOrdered(*node.inputs[0]);
  return calls.Make(node.aggregates, setup, {sizeof(GroupHead), /*counts=*/true});
}

Result<std::unique_ptr<Operator>> MakeHashAggregate(const plan::Aggregate& node, const OperatorOptions& options) {
  if (node.gives_first_rows()) return MakeDistinctRows(node, options);
  auto aggregate = std::make_unique<HashAggregate>(node, options);
  KAPPA_RETURN_IF_ERROR(aggregate->Make(node, options));
  return std::unique_ptr<Operator>(std::move(aggregate));
}

}  // namespace kappa::ops
