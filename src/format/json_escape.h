// Escapes inside JSON strings.
#pragma once

#include <string>
#include <string_view>

namespace kappa::format {

/// Unescapes the inside of a JSON string whose escapes follow the grammar; `out` is overwritten. Fails, with a reason,
/// on
/// \u0000 and on unpaired surrogates, which text cannot hold.
bool UnescapeJsonString(std::string_view inside, std::string& out, std::string& reason);

}  // namespace kappa::format
