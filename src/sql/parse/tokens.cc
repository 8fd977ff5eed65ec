// Tokens by pg_query_scan.
#include "sql/parse/tokens.h"

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#include <algorithm>
#include <cctype>
#include <climits>

namespace kappa::sql {
namespace {

/// Byte offset of the first byte that is not UTF-8 (or is zero), -1 when there is none.
int InvalidUtf8At(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c != 0 && c < 0x80) {
      ++i;
      continue;
    }
    const size_t length = c >= 0xC2 && c <= 0xDF ? 2 : c >= 0xE0 && c <= 0xEF ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (length == 0 || i + length > text.size()) return static_cast<int>(i);
    for (size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return static_cast<int>(i);
    const auto second = static_cast<unsigned char>(text[i + 1]);
    if ((c == 0xE0 && second < 0xA0) || (c == 0xED && second > 0x9F) || (c == 0xF0 && second < 0x90) || (c == 0xF4 && second > 0x8F))
      return static_cast<int>(i);  // overlong forms, surrogates, beyond U+10FFFF
    i += length;
  }
  return -1;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

Token::Kind KindOf(const PgQuery__ScanToken& token, char first) {
  switch (token.token) {
    case PG_QUERY__TOKEN__IDENT:
    case PG_QUERY__TOKEN__UIDENT: return first == '"' || token.token == PG_QUERY__TOKEN__UIDENT ? Token::Kind::kQuoted : Token::Kind::kWord;
    case PG_QUERY__TOKEN__ICONST:
    case PG_QUERY__TOKEN__FCONST: return Token::Kind::kNumber;
    case PG_QUERY__TOKEN__SCONST:
    case PG_QUERY__TOKEN__USCONST:
    case PG_QUERY__TOKEN__BCONST:
    case PG_QUERY__TOKEN__XCONST: return Token::Kind::kString;
    case PG_QUERY__TOKEN__PARAM: return Token::Kind::kParameter;
    default: return token.keyword_kind == PG_QUERY__KEYWORD_KIND__NO_KEYWORD ? Token::Kind::kSymbol : Token::Kind::kWord;
  }
}

}  // namespace

int CountCharacters(std::string_view text, int bytes) {
  int count = 0;
  for (int i = 0; i < bytes && i < static_cast<int>(text.size()); ++i)
    if ((static_cast<unsigned char>(text[static_cast<size_t>(i)]) & 0xC0) != 0x80) ++count;
  return count;
}

int ByteOffset(std::string_view text, int characters) {
  int at = 0;
  for (; at < static_cast<int>(text.size()); ++at) {
    if ((static_cast<unsigned char>(text[static_cast<size_t>(at)]) & 0xC0) == 0x80) continue;
    if (characters-- == 0) break;
  }
  return at;
}

const char* SqlStateOfParserMessage(std::string_view message) {
  const auto has = [&](std::string_view part) { return message.find(part) != std::string_view::npos; };
  if (has("stack depth") || has("memory exhausted")) return sqlstate::kStatementTooComplex;
  if (has("not supported") || has("not implemented") || has("not yet implemented")) return sqlstate::kFeatureNotSupported;
  if (message.starts_with("frame start") || message.starts_with("frame end")) return sqlstate::kWindowingError;
  return sqlstate::kSyntaxError;
}

Result<std::vector<Token>> ScanTokens(const std::string& text) {
  if (text.size() > kStatementBytesMax)
    return Error(sqlstate::kProgramLimitExceeded, "statement text of " + std::to_string(text.size()) + " bytes is too long")
        .Hint("One text may have at most " + std::to_string(kStatementBytesMax) + " bytes.");
  if (const int at = InvalidUtf8At(text); at >= 0) {
    static constexpr char kHex[] = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(text[static_cast<size_t>(at)]);
    return Error(sqlstate::kCharacterNotInRepertoire,
                 std::string("invalid byte sequence for encoding \"UTF8\": 0x") + kHex[byte >> 4] + kHex[byte & 15])
        .At(CountCharacters(text, at) + 1);
  }
  PgQueryScanResult scanned = pg_query_scan(text.c_str());
  if (scanned.error != nullptr) {
    const std::string message = scanned.error->message;
    const int position = std::max(scanned.error->cursorpos, 0);
    pg_query_free_scan_result(scanned);
    return Error(SqlStateOfParserMessage(message), message).At(position);
  }
  PgQuery__ScanResult* result = pg_query__scan_result__unpack(nullptr, scanned.pbuf.len, reinterpret_cast<const uint8_t*>(scanned.pbuf.data));
  pg_query_free_scan_result(scanned);
  if (result == nullptr) return Error(sqlstate::kInternalError, "the scanner's answer could not be read");
  std::vector<Token> tokens;
  tokens.reserve(result->n_tokens);
  for (size_t i = 0; i < result->n_tokens; ++i) {
    const PgQuery__ScanToken& raw = *result->tokens[i];
    if (raw.token == PG_QUERY__TOKEN__SQL_COMMENT || raw.token == PG_QUERY__TOKEN__C_COMMENT) continue;
    if (raw.start < 0 || raw.end <= raw.start || raw.end > static_cast<int>(text.size())) continue;
    const std::string_view bytes = std::string_view(text).substr(static_cast<size_t>(raw.start), static_cast<size_t>(raw.end - raw.start));
    Token token{KindOf(raw, bytes[0]), raw.start, raw.end, {}};
    if (token.kind == Token::Kind::kWord) token.word = Lower(bytes);
    if (token.kind == Token::Kind::kSymbol) token.word = std::string(bytes);
    tokens.push_back(std::move(token));
  }
  pg_query__scan_result__free_unpacked(result, nullptr);
  return tokens;
}

}  // namespace kappa::sql
