// JSON values as SQL values of any type, as jsonb_populate_record reads them.
#pragma once

#include "expr/expression.h"

namespace kappa::expr {

/// A jsonb as a value of `type`: null gives NULL, an array an array, an object a row by the names of its members, anything else is read as the
/// type's text. Fails with invalid_text_representation, or as the type's input does.
ExprPtr MakeFromJson(ExprPtr json, const data::Type& type);

}  // namespace kappa::expr
