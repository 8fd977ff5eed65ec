#include "ops/aggregate/accumulator_calls.h"

namespace kappa::ops {

Status AccumulatorCalls::Make(const std::vector<expr::AggregateCall>& calls, const AccumulatorSetup& setup, uint32_t head_bytes) {
  payload_bytes_ = head_bytes;
  for (const expr::AggregateCall& call : calls) {
    KAPPA_ASSIGN_OR_RETURN(AccumulatorPtr accumulator, MakeAccumulator(call, setup));
    accumulator->set_offset(payload_bytes_);
    payload_bytes_ += accumulator->bytes();
    calls_.push_back({call, std::move(accumulator)});
  }
  if (payload_bytes_ > setup.max_payload_bytes) return Error(sqlstate::kStatementTooComplex, "too many aggregate functions in one GROUP BY");
  return {};
}

Status AccumulatorCalls::Update(const data::ChangeBatch& batch, std::span<const int32_t> select, char* const* payloads, const state::Ref* groups,
                                expr::EvalContext& context) {
  const data::Batch input = batch.AsBatch();
  AccumulatorRows rows;
  rows.weights = batch.weights ? batch.weights->data() : nullptr;
  rows.payloads = payloads;
  rows.groups = groups;
  std::vector<int32_t> filtered, present;
  for (Call& call : calls_) {
    std::span<const int32_t> taken = select;
    if (call.call.filter != nullptr) {
      KAPPA_ASSIGN_OR_RETURN(const std::vector<int32_t> passed, expr::SelectTrue(*call.call.filter, input, context));
      filtered.clear();
      std::set_intersection(passed.begin(), passed.end(), select.begin(), select.end(), std::back_inserter(filtered));
      taken = filtered;
    }
    const bool whole = static_cast<int64_t>(taken.size()) == batch.rows;
    std::vector<data::ColumnPtr> arguments;
    for (const expr::ExprPtr& argument : call.call.arguments) {
      // Rows that FILTER rejects must not be evaluated: they may fail.
      Result<data::ColumnPtr> column = whole ? argument->Evaluate(input, context) : argument->Evaluate(input, taken, context);
      KAPPA_RETURN_IF_ERROR(column.status());
      if (whole) {
        arguments.push_back(std::move(column).value());
        continue;
      }
      std::vector<int32_t> back(static_cast<size_t>(batch.rows), -1);
      for (size_t i = 0; i < taken.size(); ++i) back[static_cast<size_t>(taken[i])] = static_cast<int32_t>(i);
      arguments.push_back(data::Gather(**column, back));
    }
    if (!call.accumulator->takes_nulls() && !arguments.empty() && arguments[0]->has_nulls()) {
      present.clear();
      for (const int32_t row : taken)
        if (!arguments[0]->IsNull(row)) present.push_back(row);
      taken = present;
    }
    rows.rows = taken;
    KAPPA_RETURN_IF_ERROR(call.accumulator->Update(arguments, rows));
  }
  return {};
}

void AccumulatorCalls::Merge(char* into, char* from) {
  for (Call& call : calls_) call.accumulator->Merge(into, from);
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
}

}  // namespace kappa::ops
