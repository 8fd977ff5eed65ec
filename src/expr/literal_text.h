// Literals as SQL text.
#pragma once

#include <string>
#include <string_view>

#include "data/value.h"

namespace kappa::expr {

/// 'text' with quotes doubled.
std::string QuoteLiteral(std::string_view text);
/// The value as it would be written in SQL, with a cast where the text alone would mean another type.
std::string LiteralText(const data::Value& value);

}  // namespace kappa::expr
