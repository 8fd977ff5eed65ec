// Quoting of identifiers and literals as PostgreSQL's quote_ident and quote_literal.
#pragma once

#include <string>
#include <string_view>

namespace kappa::expr {

/// The name as it must be written in SQL: in double quotes unless it is lower-case and no reserved word.
std::string QuoteIdentifier(std::string_view name);
/// 'text' with quotes doubled; E'text' when it has a backslash.
std::string QuoteLiteral(std::string_view text);

}  // namespace kappa::expr
