// Tokens of SQL text, as PostgreSQL's scanner cuts them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace kappa::sql {

/// Bytes of one statement text at most.
inline constexpr size_t kStatementBytesMax = 1 << 20;
/// Nesting of one statement at most: parentheses, chained operators, set operations, joins.
inline constexpr int kDepthMax = 500;

struct Token {
  enum class Kind : uint8_t { kWord, kQuoted, kNumber, kString, kParameter, kSymbol };
  Kind kind = Kind::kSymbol;
  int start = 0;  // bytes
  int end = 0;
  std::string word;  // kWord: lower case (keywords and unquoted identifiers); kSymbol: itself; else empty

  bool Is(std::string_view text) const { return (kind == Kind::kWord || kind == Kind::kSymbol) && word == text; }
};

/// Cuts `text` into tokens without comments. Fails with syntax_error at the character where the scanner stopped, with
/// character_not_in_repertoire for bytes that are not UTF-8, program_limit_exceeded for too long a text.
Result<std::vector<Token>> ScanTokens(const std::string& text);

/// Characters (not bytes) of the first `bytes` bytes of UTF-8 text.
int CountCharacters(std::string_view text, int bytes);
/// Byte offset of the character with this index.
int ByteOffset(std::string_view text, int characters);
/// "syntax error" for the scanner's and the parser's messages; not-supported and depth errors keep their own states.
const char* SqlStateOfParserMessage(std::string_view message);

}  // namespace kappa::sql
