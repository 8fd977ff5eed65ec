// Regular expressions: PostgreSQL's syntax where RE2 can do it.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace kappa::expr {

struct RegexFlags {
  bool ignore_case = false;
  bool newline = false;  // . and brackets do not match newlines, ^ and $ match at lines
  bool literal = false;
  bool global = false;
};
/// The letters of the flags argument of regexp_replace and others.
Result<RegexFlags> ParseRegexFlags(std::string_view flags);

/// Bytes of a text that a match or group covers; `matched` is false for a group that took no part.
struct RegexSpan {
  size_t at = 0;
  size_t size = 0;
  bool matched = false;
};

struct CompiledRegex;

/// One element of regexp_match's array: its groups, or the whole match of a pattern without groups. nullopt where the element, or the
/// array, is NULL.
Result<std::optional<std::string_view>> RegexMatchElement(std::string_view text, std::string_view pattern, std::string_view options, int32_t element);

class Regex {
 public:
  /// Cached by thread, so that a pattern is compiled once. Fails with invalid_regular_expression, or feature_not_supported
  /// for look-around and back references.
  static Result<Regex> Compile(std::string_view pattern, RegexFlags flags);
  bool Matches(std::string_view text) const;
  /// The first match that starts at byte `from` or later: the whole match, then the groups.
  bool Find(std::string_view text, size_t from, std::vector<RegexSpan>& groups) const;
  /// The bytes that a group (0: the whole pattern) covers in the first match; nullopt without a match, or when it took no part.
  std::optional<std::string_view> FindGroup(std::string_view text, int group) const;
  int group_count() const;

 private:
  explicit Regex(std::shared_ptr<const CompiledRegex> compiled) : compiled_(std::move(compiled)) {}
  std::shared_ptr<const CompiledRegex> compiled_;
};

}  // namespace kappa::expr
