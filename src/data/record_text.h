// PostgreSQL's text of a row.
#pragma once

#include "data/text.h"

namespace kappa::data {

/// Reads what AppendRecordText writes, as a type whose fields are known. Fails with invalid_text_representation, or as its fields do.
Result<Value> ParseRecordText(std::string_view text, const Type& type, const TextOptions& options);
/// (1,"a b",)
void AppendRecordText(std::string_view bytes, const TextOptions& options, std::string& out);

}  // namespace kappa::data
