// Domains: a base type, and constraints that its values must satisfy. Values of a domain are values of the base type; the constraints hold where
// values come into being: casts, INSERT and UPDATE, records of the log.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "expr/expression.h"

namespace kappa::expr {

struct Domain {
  struct Check {
    std::string name;
    ExprPtr condition;  // over column 0, the value; only FALSE refuses it
  };
  std::string name;
  data::Type base;
  bool not_null = false;
  ExprPtr default_value;      // of the base type, without columns; null: NULL
  std::vector<Check> checks;  // by name
};
using DomainPtr = std::shared_ptr<const Domain>;

/// The rows whose value the domain refuses, ascending, each with the first constraint that does (23502, 23514, or the error of a condition).
std::vector<std::pair<int64_t, Error>> DomainViolations(const Domain& domain, const data::ColumnPtr& values, const data::TextOptions& text = {});
/// value::domain, for a value of the base type.
ExprPtr MakeDomainCast(ExprPtr value, DomainPtr domain);
/// The domain that the expression casts to; null for other expressions.
const Domain* DomainOf(const Expression& expression);

}  // namespace kappa::expr
