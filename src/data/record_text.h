// PostgreSQL's text of a row.
#pragma once

#include "data/text.h"

namespace kappa::data {

/// (1,"a b",)
void AppendRecordText(std::string_view bytes, const TextOptions& options, std::string& out);

}  // namespace kappa::data
