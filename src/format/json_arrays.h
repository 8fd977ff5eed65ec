// JSON arrays as the elements of SQL arrays.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/json_scan.h"

namespace kappa::format {

/// Splits the text of a well-formed JSON array into its elements, in row-major order, and the lengths of its
/// dimensions: nested arrays are dimensions; an array without elements has none. False, with a reason, when nested
/// arrays differ in length or depth or go deeper than six.
bool SplitJsonArray(std::string_view text, std::vector<JsonToken>& elements, std::vector<int32_t>& lengths, std::string& reason);

}  // namespace kappa::format
