// JSON arrays as the elements of SQL arrays, JSON objects as the fields of rows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/json_scan.h"

namespace kappa::format {

/// Splits the text of a well-formed JSON array into its elements, in row-major order, and the lengths of its
/// dimensions: nested arrays are dimensions; an array without elements has none. False, with a reason, when nested
/// arrays differ in length or depth or go deeper than six.
bool SplitJsonArray(std::string_view text, std::vector<JsonToken>& elements, std::vector<int32_t>& lengths, std::string& reason);

/// The members of these names of a well-formed JSON object; kMissing for those that it does not have. Of equal keys the last counts.
std::vector<JsonToken> SplitJsonObject(std::string_view text, std::span<const std::string> names);

}  // namespace kappa::format
