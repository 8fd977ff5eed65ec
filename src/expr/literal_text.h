// Literals as SQL text.
#pragma once

#include <string>

#include "data/value.h"

namespace kappa::expr {

/// The value as it would be written in SQL, with a cast where the text alone would mean another type.
std::string LiteralText(const data::Value& value);

}  // namespace kappa::expr
