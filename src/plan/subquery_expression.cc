// Evaluation of sub-queries inside expressions: one run of the plan for each distinct outer row of a batch.
#include "plan/subquery_expression.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <numeric>

#include "data/array.h"
#include "data/row_key.h"

namespace kappa::plan {
namespace {

using data::Batch;
using data::ColumnPtr;
using data::Value;
using expr::EvalContext;
using expr::ExprPtr;

thread_local SubqueryRunner* current_runner = nullptr;

/// The answer for one distinct outer row.
struct Answer {
  Value value;                              // kScalar, kExists, kArray
  absl::flat_hash_set<std::string> members;  // kIn: keys of the non-NULL rows
  bool has_null = false;                    // kIn
  int64_t rows = 0;
};

class SubqueryExpression final : public expr::Expression {
 public:
  SubqueryExpression(Subquery subquery, data::Type type, std::vector<ExprPtr> children)
      : Expression(Kind::kSubquery, type, std::move(children)), subquery_(std::move(subquery)) {
    subquery_.outer.clear();  // they are children
  }

  const Subquery& subquery() const { return subquery_; }

  Result<ColumnPtr> Evaluate(const Batch& batch, std::span<const int32_t> rows, EvalContext& context) const override {
    const size_t needles = subquery_.kind == Subquery::Kind::kIn ? 1 : 0;
    const auto count = static_cast<int64_t>(rows.size());
    ColumnPtr needle;
    std::vector<ColumnPtr> outer;
    for (size_t i = 0; i < children().size(); ++i) {
      KAPPA_ASSIGN_OR_RETURN(ColumnPtr column, children()[i]->Evaluate(batch, rows, context));
      if (i < needles) needle = std::move(column);
      else outer.push_back(std::move(column));
    }
    data::ColumnBuilder result(type(), count);
    if (count == 0) return result.Finish();

    const data::RowKeys outer_keys(outer, count, /*canonical=*/false);
    std::optional<data::RowKeys> needle_keys;
    if (needle) needle_keys.emplace(std::span<const ColumnPtr>(&needle, 1), count);
    absl::flat_hash_map<std::string, Answer> answers;
    for (int64_t row = 0; row < count; ++row) {
      const auto [entry, added] = answers.try_emplace(std::string(outer_keys.key(row)));
      if (added) { KAPPA_ASSIGN_OR_RETURN(entry->second, Run(outer, row, context)); }
      const Answer& answer = entry->second;
      if (!needle) {
        data::AppendValue(result, answer.value);
      } else if (answer.rows == 0) {
        result.Append<uint8_t>(0);
      } else if (needle->IsNull(row)) {
        result.AppendNull();
      } else if (answer.members.contains(std::string(needle_keys->key(row)))) {
        result.Append<uint8_t>(1);
      } else if (answer.has_null) {
        result.AppendNull();
      } else {
        result.Append<uint8_t>(0);
      }
    }
    return result.Finish();
  }

  Result<ColumnPtr> Evaluate(const Batch& batch, EvalContext& context) const override {
    std::vector<int32_t> rows(static_cast<size_t>(batch.rows));
    std::iota(rows.begin(), rows.end(), 0);
    return Evaluate(batch, rows, context);
  }

  std::string ToString(std::span<const std::string> names) const override {
    const size_t needles = subquery_.kind == Subquery::Kind::kIn ? 1 : 0;
    std::string text = "(subquery";
    for (size_t i = needles; i < children().size(); ++i) text += (i == needles ? " of " : ", ") + children()[i]->ToString(names);
    text += ")";
    switch (subquery_.kind) {
      case Subquery::Kind::kScalar: return text;
      case Subquery::Kind::kExists: return "EXISTS " + text;
      case Subquery::Kind::kIn: return children()[0]->ToString(names) + " IN " + text;
      case Subquery::Kind::kArray: return "ARRAY" + text;
    }
    return text;
  }

  ExprPtr WithChildren(std::vector<ExprPtr> children) const override {
    return std::make_shared<SubqueryExpression>(subquery_, type(), std::move(children));
  }
  bool is_immutable() const override { return false; }

 private:
  Result<Answer> Run(const std::vector<ColumnPtr>& outer, int64_t row, EvalContext& context) const {
    if (current_runner == nullptr) return Error(sqlstate::kFeatureNotSupported, "sub-queries in expressions are not supported here");
    std::vector<Value> parameters = context.parameters;
    if (!outer.empty()) {
      parameters.resize(std::max(parameters.size(), static_cast<size_t>(subquery_.first_parameter) + outer.size()));
      for (size_t i = 0; i < outer.size(); ++i) parameters[static_cast<size_t>(subquery_.first_parameter) + i] = data::ValueAt(*outer[i], row);
    }
    KAPPA_ASSIGN_OR_RETURN(const Batch batch, (*current_runner)(subquery_.plan, parameters));
    Answer answer;
    answer.rows = batch.rows;
    switch (subquery_.kind) {
      case Subquery::Kind::kExists: answer.value = Value::Bool(batch.rows > 0); break;
      case Subquery::Kind::kScalar:
        if (batch.rows > 1) return Error(sqlstate::kCardinalityViolation, "more than one row returned by a subquery used as an expression");
        answer.value = batch.rows == 0 ? Value::Null(type()) : data::ValueAt(*batch.columns[0], 0);
        break;
      case Subquery::Kind::kIn: {
        const data::RowKeys keys(std::span<const ColumnPtr>(batch.columns.data(), 1), batch.rows);
        for (int64_t i = 0; i < batch.rows; ++i) {
          if (batch.columns[0]->IsNull(i)) answer.has_null = true;
          else answer.members.insert(std::string(keys.key(i)));
        }
        break;
      }
      case Subquery::Kind::kArray: {
        data::ArrayCollector array(batch.columns[0]->type());
        for (int64_t i = 0; i < batch.rows; ++i) KAPPA_RETURN_IF_ERROR(array.Append(*batch.columns[0], i));
        answer.value = Value::Bytes(type(), array.Finish());
        break;
      }
    }
    return answer;
  }

  Subquery subquery_;
};

}  // namespace

SubqueryScope::SubqueryScope(SubqueryRunner runner) : previous_(current_runner), runner_(std::move(runner)) { current_runner = &runner_; }
SubqueryScope::~SubqueryScope() { current_runner = previous_; }

ExprPtr MakeSubquery(Subquery subquery, ExprPtr needle, data::Type type) {
  KAPPA_CHECK((needle != nullptr) == (subquery.kind == Subquery::Kind::kIn));
  std::vector<ExprPtr> children;
  if (needle) children.push_back(std::move(needle));
  children.insert(children.end(), subquery.outer.begin(), subquery.outer.end());
  return std::make_shared<SubqueryExpression>(std::move(subquery), type, std::move(children));
}

ExprPtr WithSubqueryPlan(const expr::Expression& expression, NodePtr plan) {
  const Subquery* old = SubqueryOf(expression);
  KAPPA_CHECK(old != nullptr);
  Subquery subquery = *old;
  subquery.plan = std::move(plan);
  return std::make_shared<SubqueryExpression>(std::move(subquery), expression.type(), expression.children());
}

const Subquery* SubqueryOf(const expr::Expression& expression) {
  if (expression.kind() != expr::Expression::Kind::kSubquery) return nullptr;
  return &static_cast<const SubqueryExpression&>(expression).subquery();
}

}  // namespace kappa::plan
