#include "expr/domain.h"

#include <numeric>
#include <optional>

#include "expr/node.h"

namespace kappa::expr {
namespace {

/// Whether the value of one row satisfies all checks: the error when it does not.
std::optional<Error> Violation(const Domain& domain, const data::Batch& batch, int32_t row, const data::TextOptions& text) {
  if (domain.not_null && batch.columns[0]->IsNull(row))
    return Error(sqlstate::kNotNullViolation, "domain " + domain.name + " does not allow null values");
  for (const Domain::Check& check : domain.checks) {
    EvalContext context;
    context.text = text;
    const Result<data::ColumnPtr> holds = check.condition->Evaluate(batch, std::span(&row, 1), context);
    if (!holds.ok()) return holds.error();
    if (!(*holds)->IsNull(0) && (*holds)->data<uint8_t>()[0] == 0)
      return Error("23514", "value for domain " + domain.name + " violates check constraint \"" + check.name + "\"");
  }
  return std::nullopt;
}

class DomainCast final : public Node {
 public:
  const Domain& domain() const { return *domain_; }
  DomainCast(const ExprPtr& value, DomainPtr domain) : Node(Kind::kOther, value->type(), {value}), domain_(std::move(domain)) {}
  std::string ToString(std::span<const std::string> names) const override { return "(" + children()[0]->ToString(names) + ")::" + domain_->name; }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<DomainCast>(children[0], domain_); }

 protected:
  Result<data::ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr values, rows.Evaluate(*children()[0], context));
    const auto refused = DomainViolations(*domain_, values, context.text);
    if (refused.empty()) return values;
    const KernelCall call{{}, rows.count(), type(), context};
    std::vector<int32_t> places(static_cast<size_t>(rows.count()));
    std::iota(places.begin(), places.end(), 0);
    for (const auto& [row, error] : refused) {
      if (!call.Tolerate(error)) return error;
      places[static_cast<size_t>(row)] = -1;
    }
    data::ColumnBuilder builder(type(), rows.count());
    for (int64_t row = 0; row < rows.count(); ++row) {
      if (places[static_cast<size_t>(row)] < 0) builder.AppendNull();
      else data::AppendValue(builder, data::ValueAt(*values, row));
    }
    return builder.Finish();
  }

 private:
  DomainPtr domain_;
};

}  // namespace

std::vector<std::pair<int64_t, Error>> DomainViolations(const Domain& domain, const data::ColumnPtr& values, const data::TextOptions& text) {
  data::Batch batch;
  batch.rows = values->size();
  batch.columns = {values};
  // Whole columns first: most often no row is refused.
  bool suspect = domain.not_null && values->has_nulls();
  for (const Domain::Check& check : domain.checks) {
    if (suspect) break;
    EvalContext context;
    context.text = text;
    const Result<data::ColumnPtr> holds = check.condition->Evaluate(batch, context);
    suspect = !holds.ok();
    for (int64_t row = 0; !suspect && row < batch.rows; ++row) suspect = !(*holds)->IsNull(row) && (*holds)->data<uint8_t>()[row] == 0;
  }
  std::vector<std::pair<int64_t, Error>> refused;
  for (int64_t row = 0; suspect && row < batch.rows; ++row)
    if (auto error = Violation(domain, batch, static_cast<int32_t>(row), text)) refused.emplace_back(row, std::move(*error));
  return refused;
}

const Domain* DomainOf(const Expression& expression) {
  const auto* cast = dynamic_cast<const DomainCast*>(&expression);
  return cast == nullptr ? nullptr : &cast->domain();
}

ExprPtr MakeDomainCast(ExprPtr value, DomainPtr domain) { return std::make_shared<DomainCast>(value, std::move(domain)); }

}  // namespace kappa::expr
