// Arrays as text: {1,NULL,"a b"}. Used by text.cc.
#pragma once

#include <string>
#include <string_view>

#include "data/text.h"

namespace kappa::data {

void AppendArrayText(std::string_view bytes, const TextOptions& options, std::string& out);
/// `type` is the array type; the elements are read with its element type and modifier.
Result<Value> ParseArrayText(std::string_view text, Type type, const TextOptions& options);

}  // namespace kappa::data
