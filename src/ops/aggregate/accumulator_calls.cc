#include "ops/aggregate/accumulator_calls.h"

#include <algorithm>
#include <cstring>

#include "plan/build.h"

namespace kappa::ops {
namespace {

/// count(*) without FILTER where the head counts rows.
class RowCount final : public Accumulator {
 public:
  uint32_t bytes() const override { return 0; }
  Status Update(std::span<const data::ColumnPtr>, const AccumulatorRows&) override { return {}; }
  Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext&) override {
    auto column = std::make_shared<data::Column>(data::TypeId::kInt8, static_cast<int64_t>(groups.payloads.size()));
    for (size_t i = 0; i < groups.payloads.size(); ++i) std::memcpy(column->mutable_data<int64_t>() + i, groups.payloads[i], sizeof(int64_t));
    return data::ColumnPtr(std::move(column));
  }
  bool merges() const override { return true; }
  Status Merge(char*, char*) override { return {}; }
  bool is_plain(char*) const override { return true; }
};

/// The rows of a column that are not NULL.
void ListPresent(const data::Column& column, std::span<const int32_t> rows, std::vector<int32_t>& present) {
  present.clear();
  for (const int32_t row : rows)
    if (!column.IsNull(row)) present.push_back(row);
}

}  // namespace

Status AccumulatorCalls::Make(const std::vector<expr::AggregateCall>& calls, const AccumulatorSetup& setup, PayloadHead head) {
  payload_bytes_ = head.bytes;
  for (const expr::AggregateCall& call : calls) {
    AccumulatorPtr accumulator;
    if (head.counts && call.kind == expr::AggregateKind::kCountStar && call.filter == nullptr) {
      accumulator = std::make_unique<RowCount>();
    } else {
      KAPPA_ASSIGN_OR_RETURN(accumulator, MakeAccumulator(call, setup));
    }
    accumulator->set_offset(payload_bytes_);
    payload_bytes_ += accumulator->bytes();
    calls_.push_back({call, std::move(accumulator)});
    ShareExpressions(calls_.back());
    if (NeedsDistinctSet(call)) ShareSet(calls_.size() - 1);
  }
  for (Set& set : sets_) {
    std::vector<Accumulator*> members;
    for (const size_t call : set.calls) members.push_back(calls_[call].accumulator.get());
    set.values = std::make_unique<DistinctSet>(std::move(members), setup);
    set.values->set_offset(payload_bytes_);
    payload_bytes_ += set.values->bytes();
  }
  if (payload_bytes_ > setup.max_payload_bytes) return Error(sqlstate::kStatementTooComplex, "too many aggregate functions in one GROUP BY");
  return {};
}

void AccumulatorCalls::ShareExpressions(Call& call) {
  if (call.call.filter != nullptr) {
    const auto same = [&](const expr::ExprPtr& other) { return plan::SameExpression(*other, *call.call.filter); };
    call.filter = static_cast<int>(std::find_if(filters_.begin(), filters_.end(), same) - filters_.begin());
    if (call.filter == static_cast<int>(filters_.size())) filters_.push_back(call.call.filter);
  }
  const auto add = [&](const expr::ExprPtr& expression) {
    const auto same = [&](const Argument& other) { return plan::SameExpression(*other.expression, *expression); };
    const auto found = std::find_if(arguments_.begin(), arguments_.end(), same);
    call.arguments.push_back(static_cast<int>(found - arguments_.begin()));
    if (found == arguments_.end()) {
      const auto kind = expression->kind();
      arguments_.push_back({expression, kind == expr::Expression::Kind::kColumn || kind == expr::Expression::Kind::kLiteral, false, nullptr});
    }
    if (call.filter < 0) arguments_[static_cast<size_t>(call.arguments.back())].whole = true;
  };
  for (const expr::ExprPtr& argument : call.call.arguments) add(argument);
  for (const expr::AggregateOrder& order : call.call.order_by) add(order.expression);
}

void AccumulatorCalls::ShareSet(size_t call) {
  calls_[call].in_set = true;
  const auto fits = [&](const Set& set) {
    return calls_[set.calls[0]].arguments == calls_[call].arguments && set.calls.size() < DistinctSet::kMembersMax;
  };
  auto set = std::find_if(sets_.begin(), sets_.end(), fits);
  if (set == sets_.end()) set = sets_.emplace(sets_.end());
  set->calls.push_back(call);
}

Status AccumulatorCalls::Update(const data::ChangeBatch& batch, std::span<const int32_t> select, char* const* payloads, const state::Ref* groups,
                                expr::EvalContext& context) {
  const data::Batch input = batch.AsBatch();
  const bool all = static_cast<int64_t>(select.size()) == batch.rows;
  AccumulatorRows rows;
  rows.weights = batch.weights ? batch.weights->data() : nullptr;
  rows.payloads = payloads;
  rows.groups = groups;
  std::vector<std::vector<int32_t>> filtered(filters_.size());
  for (size_t i = 0; i < filters_.size(); ++i) {
    KAPPA_ASSIGN_OR_RETURN(filtered[i], expr::SelectTrue(*filters_[i], input, context));
    if (all) continue;
    std::vector<int32_t> both;
    std::set_intersection(filtered[i].begin(), filtered[i].end(), select.begin(), select.end(), std::back_inserter(both));
    filtered[i] = std::move(both);
  }
  for (Argument& argument : arguments_) {
    argument.column = nullptr;
    if (argument.cannot_fail || (argument.whole && all)) { KAPPA_ASSIGN_OR_RETURN(argument.column, argument.expression->Evaluate(input, context)); }
  }
  std::vector<int32_t> present;
  for (Call& call : calls_) {
    if (call.in_set) continue;
    rows.rows = call.filter >= 0 ? std::span<const int32_t>(filtered[static_cast<size_t>(call.filter)]) : select;
    KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> arguments, ArgumentsOf(call, input, rows.rows, context));
    if (!call.accumulator->takes_nulls() && !arguments.empty() && arguments[0]->has_nulls()) {
      ListPresent(*arguments[0], rows.rows, present);
      rows.rows = present;
    }
    KAPPA_RETURN_IF_ERROR(call.accumulator->Update(arguments, rows));
  }
  for (Set& set : sets_) KAPPA_RETURN_IF_ERROR(UpdateSet(set, input, rows, select, filtered, context));
  for (Argument& argument : arguments_) argument.column = nullptr;
  return {};
}

Status AccumulatorCalls::UpdateSet(Set& set, const data::Batch& input, AccumulatorRows rows, std::span<const int32_t> select,
                                   const std::vector<std::vector<int32_t>>& filtered, expr::EvalContext& context) {
  uint64_t all_rows = 0;  // the members without FILTER
  for (size_t member = 0; member < set.calls.size(); ++member)
    if (calls_[set.calls[member]].filter < 0) all_rows |= uint64_t{1} << member;
  std::vector<uint64_t> masks(static_cast<size_t>(input.rows), all_rows);
  for (size_t member = 0; member < set.calls.size(); ++member) {
    const int filter = calls_[set.calls[member]].filter;
    if (filter < 0) continue;
    for (const int32_t row : filtered[static_cast<size_t>(filter)]) masks[static_cast<size_t>(row)] |= uint64_t{1} << member;
  }
  std::vector<int32_t> some, present;
  if (all_rows == 0) {
    for (const int32_t row : select)
      if (masks[static_cast<size_t>(row)] != 0) some.push_back(row);
    select = some;
  }
  KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> arguments, ArgumentsOf(calls_[set.calls[0]], input, select, context));
  if (arguments[0]->has_nulls()) {
    ListPresent(*arguments[0], select, present);
    select = present;
  }
  rows.rows = select;
  return set.values->Update(arguments, rows, masks.data());
}

/// The call's arguments, with values at least where `select` says.
Result<std::vector<data::ColumnPtr>> AccumulatorCalls::ArgumentsOf(const Call& call, const data::Batch& input, std::span<const int32_t> select,
                                                                   expr::EvalContext& context) {
  std::vector<data::ColumnPtr> columns;
  for (const int index : call.arguments) {
    const Argument& argument = arguments_[static_cast<size_t>(index)];
    if (argument.column != nullptr) {
      columns.push_back(argument.column);
      continue;
    }
    KAPPA_ASSIGN_OR_RETURN(const data::ColumnPtr part, argument.expression->Evaluate(input, select, context));
    std::vector<int32_t> back(static_cast<size_t>(input.rows), -1);
    for (size_t i = 0; i < select.size(); ++i) back[static_cast<size_t>(select[i])] = static_cast<int32_t>(i);
    columns.push_back(data::Gather(*part, back));
  }
  return columns;
}

bool AccumulatorCalls::merges() const {
  return sets_.empty() && std::all_of(calls_.begin(), calls_.end(), [](const Call& call) { return call.accumulator->merges(); });
}

bool AccumulatorCalls::IsPlain(char* payload) const {
  return std::all_of(calls_.begin(), calls_.end(), [&](const Call& call) { return call.accumulator->is_plain(payload); });
}

Status AccumulatorCalls::Merge(char* into, char* from) {
  for (Call& call : calls_) KAPPA_RETURN_IF_ERROR(call.accumulator->Merge(into, from));
  return {};
}

Result<std::vector<data::ColumnPtr>> AccumulatorCalls::Finish(std::span<char* const> payloads, expr::EvalContext& context) {
  std::vector<data::ColumnPtr> columns;
  for (Call& call : calls_) {
    KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr column, call.accumulator->Finish({payloads}, context));
    columns.push_back(std::move(column));
  }
  return columns;
}

void AccumulatorCalls::Drop(char* payload) {
  for (Call& call : calls_) call.accumulator->Drop(payload);
  for (Set& set : sets_) set.values->Drop(payload);
}

void AccumulatorCalls::VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) {
  for (size_t i = 0; i < calls_.size(); ++i) {
    calls_[i].accumulator->VisitState([&](state::Arena& arena) { visit("values" + std::to_string(i), arena); });
  }
  for (size_t i = 0; i < sets_.size(); ++i) visit("distinct" + std::to_string(i), sets_[i].values->arena());
}

Status AccumulatorCalls::OnRestored() {
  for (Call& call : calls_) KAPPA_RETURN_IF_ERROR(call.accumulator->OnRestored());
  for (Set& set : sets_) KAPPA_RETURN_IF_ERROR(set.values->OnRestored());
  return {};
}

}  // namespace kappa::ops
