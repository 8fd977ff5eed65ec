// LIKE, ILIKE and regular expressions.
#include <fmt/format.h>
#include <re2/re2.h>

#include <absl/container/flat_hash_map.h>

#include "expr/functions/regex.h"
#include "expr/functions/register.h"
#include "expr/functions/utf8.h"
#include "expr/rowwise.h"

namespace kappa::expr {
namespace {

// ---- LIKE

constexpr const char* kInvalidEscape = "22025";

/// -1: the pattern ends inside an escape; else whether it matches.
int MatchLike(std::string_view text, std::string_view pattern) {
  size_t t = 0, p = 0;
  size_t retry_text = std::string_view::npos, retry_pattern = 0;
  for (;;) {
    if (p < pattern.size() && pattern[p] == '%') {
      retry_pattern = ++p;
      retry_text = t;
      continue;
    }
    bool matched = false;
    if (p == pattern.size()) {
      if (t == text.size()) return 1;
    } else if (t < text.size()) {
      if (pattern[p] == '_') {
        t += CharacterSize(text, t);
        ++p;
        matched = true;
      } else {
        size_t literal = p;
        if (pattern[p] == '\\' && ++literal == pattern.size()) return -1;
        if (pattern[literal] == text[t]) {
          p = literal + 1;
          ++t;
          matched = true;
        }
      }
    }
    if (matched) continue;
    // Give one more character to the last %.
    if (retry_text == std::string_view::npos || retry_text >= text.size()) return 0;
    retry_text += CharacterSize(text, retry_text);
    t = retry_text;
    p = retry_pattern;
  }
}

/// A pattern that is the same for all rows, by its shape.
struct LikePattern {
  enum class Shape : uint8_t { kExact, kPrefix, kSuffix, kContains, kGeneral } shape = Shape::kGeneral;
  std::string literal;
  std::string pattern;

  static Result<LikePattern> Parse(std::string_view pattern) {
    LikePattern out;
    out.pattern = pattern;
    const bool starts = !pattern.empty() && pattern.front() == '%';
    bool ends = false, inner = false;
    for (size_t i = 0; i < pattern.size(); ++i) {
      if (pattern[i] == '\\') {
        if (++i == pattern.size()) return Error(kInvalidEscape, "LIKE pattern must not end with escape character");
        out.literal += pattern[i];
      } else if (pattern[i] == '_') {
        inner = true;
      } else if (pattern[i] == '%') {
        if (i == pattern.size() - 1) ends = true;
        else if (i > 0) inner = true;
      } else {
        out.literal += pattern[i];
      }
    }
    if (inner) return out;
    out.shape = starts && ends ? Shape::kContains : starts ? Shape::kSuffix : ends ? Shape::kPrefix : Shape::kExact;
    return out;
  }

  bool Matches(std::string_view text) const {
    switch (shape) {
      case Shape::kExact: return text == literal;
      case Shape::kPrefix: return text.starts_with(literal);
      case Shape::kSuffix: return text.ends_with(literal);
      case Shape::kContains: return text.size() >= literal.size() && memmem(text.data(), text.size(), literal.data(), literal.size()) != nullptr;
      case Shape::kGeneral: return MatchLike(text, pattern) == 1;
    }
    return false;
  }
};

Kernel Like(bool ignore_case, bool negated) {
  return [ignore_case, negated](KernelCall& call) -> Result<data::ColumnPtr> {
    auto out = std::make_shared<data::Column>(call.type, call.rows);
    uint8_t* values = out->mutable_data<uint8_t>();
    const Argument& text = call.arguments[0];
    const Argument& pattern = call.arguments[1];
    if (pattern.constant) {
      auto parsed = LikePattern::Parse(ignore_case ? Lower(pattern.bytes(0)) : std::string(pattern.bytes(0)));
      if (parsed.ok()) {
        for (int64_t row = 0; row < call.rows; ++row) {
          values[row] = (ignore_case ? parsed->Matches(Lower(text.bytes(row))) : parsed->Matches(text.bytes(row))) != negated;
        }
        FinishNulls(call, *out);
        return data::ColumnPtr(std::move(out));
      }
    }
    for (int64_t row = 0; row < call.rows; ++row) {
      if (call.AnyNull(row)) continue;
      const int match = ignore_case ? MatchLike(Lower(text.bytes(row)), Lower(pattern.bytes(row))) : MatchLike(text.bytes(row), pattern.bytes(row));
      if (match < 0) {
        Error error(kInvalidEscape, "LIKE pattern must not end with escape character");
        if (!call.Tolerate(error)) return error;
        out->SetNull(row);
        continue;
      }
      values[row] = (match == 1) != negated;
    }
    FinishNulls(call, *out);
    return data::ColumnPtr(std::move(out));
  };
}

/// LIKE .. ESCAPE: the pattern with backslash as the escape character.
Result<std::string> LikeEscape(std::string_view pattern, std::string_view escape) {
  if (CharacterCount(escape) > 1) return Error(kInvalidEscape, "invalid escape string").Hint("Escape string must be empty or one character.");
  if (escape == "\\") return std::string(pattern);
  std::string out;
  bool escaped = false;
  for (size_t at = 0; at < pattern.size();) {
    const size_t size = CharacterSize(pattern, at);
    const std::string_view character = pattern.substr(at, size);
    at += size;
    if (!escape.empty() && character == escape && !escaped) {
      out += '\\';
      escaped = true;
      continue;
    }
    if (character == "\\" && !escaped) out += '\\';
    out += character;
    escaped = false;
  }
  return out;
}

/// SIMILAR TO: SQL's pattern as a regular expression that must match the whole text. % and _ are those of LIKE; the rest of
/// the syntax is that of regular expressions, except for the characters that SQL does not treat specially.
Result<std::string> SimilarPattern(std::string_view pattern, std::string_view escape) {
  if (CharacterCount(escape) > 1) return Error(kInvalidEscape, "invalid escape string").Hint("Escape string must be empty or one character.");
  std::string out = "^(?:";
  bool in_class = false;
  int quotes = 0;  // escaped ones: what lies between them is substring()'s result
  for (size_t at = 0; at < pattern.size();) {
    const size_t size = CharacterSize(pattern, at);
    const std::string_view character = pattern.substr(at, size);
    at += size;
    if (!escape.empty() && character == escape) {
      if (at >= pattern.size()) break;
      const size_t next = CharacterSize(pattern, at);
      if (pattern[at] == '"') {
        if (++quotes > 2) return Error("2200C", "SQL regular expression may not contain more than two escape-double-quote separators");
        if (quotes == 1) out.replace(0, 4, "^(?U:");  // before it the shortest match
        out += quotes == 1 ? ")(" : ")(?:";
      } else if (next == 1) out += RE2::QuoteMeta(re2::StringPiece(pattern.data() + at, 1));
      else out += pattern.substr(at, next);
      at += next;
    } else if (in_class) {
      if (character == "\\") out += '\\';
      out += character;
      in_class = character != "]";
    } else if (character == "%") {
      out += ".*";
    } else if (character == "_") {
      out += '.';
    } else if (character == "[") {
      out += '[';
      in_class = true;
    } else if (character == "(") {
      out += "(?:";
    } else if (character == "." || character == "^" || character == "$" || character == "\\") {
      out += '\\';
      out += character;
    } else {
      out += character;
    }
  }
  return out + ")$";
}

// ---- Regular expressions

/// PostgreSQL's syntax as RE2's. What RE2 cannot do is refused by RE2 or here.
Result<std::string> TranslateRegex(std::string_view pattern) {
  if (pattern.starts_with("***=")) return RE2::QuoteMeta(re2::StringPiece(pattern.data() + 4, pattern.size() - 4));
  if (pattern.starts_with("***:")) pattern.remove_prefix(4);
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (in_class) {
      if (c == '[' && i + 1 < pattern.size() && (pattern[i + 1] == ':' || pattern[i + 1] == '.' || pattern[i + 1] == '=')) {
        const size_t end = pattern.find(std::string{pattern[i + 1], ']'}, i + 2);
        if (end == std::string_view::npos) return Error(sqlstate::kInvalidRegularExpression, "invalid regular expression: brackets [] not balanced");
        out += pattern.substr(i, end + 2 - i);
        i = end + 1;
        continue;
      }
      if (c == ']') in_class = false;
      else if (c == '[') out += '\\';  // a plain character here, which RE2 would take for a class name's start
      out += c;
      if (c == '\\' && i + 1 < pattern.size()) out += pattern[++i];
      continue;
    }
    if (c == '[') {
      in_class = true;
      out += c;
      if (i + 1 < pattern.size() && pattern[i + 1] == '^') out += pattern[++i];
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') {
        out += "\\]";
        ++i;
      }
      continue;
    }
    if (c == '\\' && i + 1 < pattern.size()) {
      const char next = pattern[++i];
      if (next == 'y') out += "\\b";
      else if (next == 'Y') out += "\\B";
      else if (next == 'm' || next == 'M')
        return Error(sqlstate::kFeatureNotSupported, fmt::format("regular expression escape \\{} is not supported", next))
            .Hint("Use \\y, which matches at both ends of a word.");
      else if (next == 'Z') out += "\\z";
      else if (next >= '1' && next <= '9') return Error(sqlstate::kFeatureNotSupported, "back references in regular expressions are not supported");
      else {
        out += '\\';
        out += next;
      }
      continue;
    }
    if (c == '(' && pattern.substr(i).starts_with("(?") && i + 2 < pattern.size()) {
      const char next = pattern[i + 2];
      if (next == '=' || next == '!' || next == '<')
        return Error(sqlstate::kFeatureNotSupported, "look-around in regular expressions is not supported");
    }
    out += c;
  }
  return out;
}

bool HasNonGreedy(std::string_view pattern) {
  for (size_t i = 1; i < pattern.size(); ++i) {
    if (pattern[i] != '?') continue;
    const char before = pattern[i - 1];
    if (before == '*' || before == '+' || before == '?' || before == '}') return true;
  }
  return false;
}

}  // namespace

/// What every match of a pattern holds, and how many bytes of the match can come before its first place; -1: any number.
struct RequiredText {
  std::string text;  // empty: nothing is known
  int before = -1;
};

struct CompiledRegex {
  RE2 re;
  RequiredText required;
  CompiledRegex(const std::string& pattern, const RE2::Options& options) : re(pattern, options) {}
};

namespace {

/// The position of the ] that ends the bracket expression at `at`; the pattern's size when there is none.
size_t ClassEnd(std::string_view pattern, size_t at) {
  ++at;
  if (at < pattern.size() && pattern[at] == '^') ++at;
  for (const size_t first = at; at < pattern.size(); ++at) {
    if (pattern[at] == ']' && at > first) return at;
    if (pattern[at] == '\\') {
      ++at;
      continue;
    }
    if (pattern[at] != '[' || at + 1 >= pattern.size() || (pattern[at + 1] != ':' && pattern[at + 1] != '.' && pattern[at + 1] != '=')) continue;
    const char end[] = {pattern[at + 1], ']'};
    const size_t found = pattern.find(std::string_view(end, 2), at + 2);
    if (found == std::string_view::npos) return pattern.size();
    at = found + 1;
  }
  return pattern.size();
}

/// At most so many bytes are matched by what stands before the end of `pattern`; -1: nobody knows.
int WidthMax(std::string_view pattern) {
  constexpr int kCharacterBytesMax = 4;
  int width = 0;
  for (size_t at = 0; at < pattern.size(); ++at) {
    switch (const char c = pattern[at]; c) {
      case '*':
      case '+':
      case '{': return -1;
      case '(':
      case ')':
      case '|':  // the sum of the alternatives is no less than the longest
      case '?':
      case '^':
      case '$': break;
      case '\\':
        ++at;
        width += kCharacterBytesMax;
        break;
      case '[':
        at = ClassEnd(pattern, at);
        width += kCharacterBytesMax;
        break;
      case '.': width += kCharacterBytesMax; break;
      default: ++width;
    }
  }
  return width;
}

/// The longest text that every match of a pattern must hold, as far as a look at its top level tells: texts without it, mostly many, need
/// not be given to RE2. Groups, classes and what may be left out tell nothing.
RequiredText FindRequiredText(std::string_view pattern) {
  constexpr size_t kWorthMin = 3;
  if (pattern.starts_with("***")) return {};
  std::string best, run;
  size_t run_at = 0, best_at = 0;
  const auto end_run = [&] {
    if (run.size() > best.size()) best = run, best_at = run_at;
    run.clear();
  };
  const auto add = [&](size_t at, char c) {
    if (run.empty()) run_at = at;
    run.push_back(c);
  };
  for (size_t at = 0; at < pattern.size(); ++at) {
    const char c = pattern[at];
    switch (c) {
      case '|': return {};
      case '(': {
        if (at + 1 < pattern.size() && pattern[at + 1] == '?' && (at + 2 >= pattern.size() || pattern[at + 2] != ':')) return {};  // options
        end_run();
        int depth = 0;
        for (; at < pattern.size(); ++at) {
          if (pattern[at] == '\\') ++at;
          else if (pattern[at] == '[') at = ClassEnd(pattern, at);
          else if (pattern[at] == '(') ++depth;
          else if (pattern[at] == ')' && --depth == 0) break;
        }
        break;
      }
      case '\\':
        ++at;
        if (at >= pattern.size()) return {};
        if (std::isalnum(static_cast<unsigned char>(pattern[at])) != 0) {
          if (std::string_view("dDsSwWyYmMA").find(pattern[at]) == std::string_view::npos) return {};  // a character by its number and such
          end_run();
          break;
        }
        add(at - 1, pattern[at]);
        break;
      case '*':
      case '?':
      case '{':
        if (!run.empty()) run.pop_back();
        end_run();
        if (c == '{') at = std::min(pattern.find('}', at), pattern.size());
        break;
      case '[':
        end_run();
        at = ClassEnd(pattern, at);
        break;
      case '+':
      case '.':
      case '^':
      case '$': end_run(); break;
      default:
        if (static_cast<signed char>(c) < 0) return {};
        add(at, c);
    }
  }
  end_run();
  if (best.size() < kWorthMin) return {};
  return {best, WidthMax(pattern.substr(0, best_at))};
}

}  // namespace

Result<RegexFlags> ParseRegexFlags(std::string_view flags) {
  RegexFlags out;
  for (size_t at = 0; at < flags.size();) {
    const size_t size = CharacterSize(flags, at);
    switch (flags[at]) {
      case 'g': out.global = true; break;
      case 'i': out.ignore_case = true; break;
      case 'c': out.ignore_case = false; break;
      case 'n':
      case 'm': out.newline = true; break;
      case 's': out.newline = false; break;
      case 'q': out.literal = true; break;
      case 't': break;
      case 'p':
      case 'w':
      case 'x':
      case 'b':
      case 'e': return Error(sqlstate::kFeatureNotSupported, fmt::format("regular expression option \"{}\" is not supported", flags[at]));
      default: return Error(sqlstate::kInvalidParameterValue, fmt::format("invalid regular expression option: \"{}\"", flags.substr(at, size)));
    }
    at += size;
  }
  return out;
}

Result<Regex> Regex::Compile(std::string_view pattern, RegexFlags flags) {
  constexpr size_t kCachedMax = 256;
  thread_local absl::flat_hash_map<std::string, std::shared_ptr<const CompiledRegex>> cache;
  thread_local std::pair<std::string, std::shared_ptr<const CompiledRegex>> last;  // rows one after the other have the same one
  const char mark = static_cast<char>('0' + (flags.ignore_case ? 1 : 0) + (flags.newline ? 2 : 0) + (flags.literal ? 4 : 0));
  if (last.second != nullptr && last.first[0] == mark && std::string_view(last.first).substr(1) == pattern) return Regex(last.second);
  std::string key{mark};
  key += pattern;
  if (auto found = cache.find(key); found != cache.end()) {
    last = *found;
    return Regex(last.second);
  }
  // (?i) and such at the start apply to the whole pattern.
  std::string_view body = pattern;
  RE2::Options options(RE2::Quiet);
  options.set_dot_nl(!flags.newline);
  options.set_never_nl(false);
  std::string translated;
  if (flags.literal) {
    translated = RE2::QuoteMeta(re2::StringPiece(body.data(), body.size()));
  } else {
    KAPPA_ASSIGN_OR_RETURN(translated, TranslateRegex(body));
    if (flags.newline) translated.insert(0, "(?m)");
    options.set_longest_match(!HasNonGreedy(body));
  }
  options.set_case_sensitive(!flags.ignore_case);
  auto compiled = std::make_shared<CompiledRegex>(translated, options);
  if (!compiled->re.ok()) return Error(sqlstate::kInvalidRegularExpression, "invalid regular expression: " + compiled->re.error());
  if (!flags.ignore_case && !flags.literal) compiled->required = FindRequiredText(body);
  if (cache.size() >= kCachedMax) cache.clear();
  cache.emplace(std::move(key), compiled);
  return Regex(std::move(compiled));
}

namespace {

/// The first match from byte `from` on. Where the required text is, and how little can come before it, tell where a match can start: there
/// RE2 need not look for the start, which costs it as much as the rest.
bool Search(const CompiledRegex& compiled, std::string_view text, size_t from, re2::StringPiece* pieces, int count) {
  constexpr int kStartsMax = 4;  // places tried for one required text,
  constexpr int kTextsMax = 3;   // and required texts: many matches that fail late would cost more than one search
  if (from > text.size()) return false;
  const auto& [required, before] = compiled.required;
  const re2::StringPiece whole(text.data(), text.size());
  size_t start = from;
  for (int n = 0; !required.empty(); ++n) {
    const void* found = memmem(text.data() + start, text.size() - start, required.data(), required.size());
    if (found == nullptr) return false;
    if (before < 0 || before >= kStartsMax || n == kTextsMax) break;
    const auto at = static_cast<size_t>(static_cast<const char*>(found) - text.data());
    for (start = std::max(start, at - std::min(at, static_cast<size_t>(before))); start <= at; ++start) {
      const bool inside_character = (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80;
      if (!inside_character && compiled.re.Match(whole, start, text.size(), RE2::ANCHOR_START, pieces, count)) return true;
    }
  }
  return compiled.re.Match(whole, start, text.size(), RE2::UNANCHORED, pieces, count);
}

}  // namespace

bool Regex::Matches(std::string_view text) const { return Search(*compiled_, text, 0, nullptr, 0); }

int Regex::group_count() const { return compiled_->re.NumberOfCapturingGroups(); }

std::optional<std::string_view> Regex::FindGroup(std::string_view text, int group) const {
  constexpr int kPiecesMax = 10;
  if (group > group_count() || group < 0) return std::nullopt;
  if (group >= kPiecesMax) {
    std::vector<RegexSpan> groups;
    if (!Find(text, 0, groups) || !groups[static_cast<size_t>(group)].matched) return std::nullopt;
    const RegexSpan& span = groups[static_cast<size_t>(group)];
    return text.substr(span.at, span.size);
  }
  re2::StringPiece pieces[kPiecesMax];
  if (!Search(*compiled_, text, 0, pieces, group + 1)) return std::nullopt;
  const re2::StringPiece& piece = pieces[group];
  if (piece.data() == nullptr) return std::nullopt;
  return std::string_view(piece.data(), piece.size());
}

bool Regex::Find(std::string_view text, size_t from, std::vector<RegexSpan>& groups) const {
  thread_local std::vector<re2::StringPiece> pieces;
  pieces.assign(static_cast<size_t>(group_count()) + 1, {});
  if (!Search(*compiled_, text, from, pieces.data(), static_cast<int>(pieces.size()))) return false;
  groups.clear();
  for (const re2::StringPiece& piece : pieces) {
    if (piece.data() == nullptr) groups.push_back({});
    else groups.push_back({static_cast<size_t>(piece.data() - text.data()), piece.size(), true});
  }
  return true;
}

namespace {

Kernel Match(bool ignore_case, bool negated) {
  return [ignore_case, negated](KernelCall& call) -> Result<data::ColumnPtr> {
    std::optional<Regex> constant;
    if (call.arguments[1].constant) {
      auto compiled = Regex::Compile(call.arguments[1].bytes(0), {.ignore_case = ignore_case});
      if (compiled.ok()) constant = *std::move(compiled);
    }
    return Rowwise([&](std::string_view text, std::string_view pattern) -> Result<bool> {
      if (constant) return constant->Matches(text) != negated;
      KAPPA_ASSIGN_OR_RETURN(const Regex regex, Regex::Compile(pattern, {.ignore_case = ignore_case}));
      return regex.Matches(text) != negated;
    })(call);
  };
}

/// Appends the replacement with \1..\9, \& and \\ filled in.
void AppendReplacement(std::string_view replacement, std::string_view text, const std::vector<RegexSpan>& groups, std::string& out) {
  for (size_t i = 0; i < replacement.size(); ++i) {
    if (replacement[i] != '\\' || i + 1 == replacement.size()) {
      out += replacement[i];
      continue;
    }
    const char next = replacement[++i];
    if (next >= '1' && next <= '9') {
      const auto group = static_cast<size_t>(next - '0');
      if (group < groups.size() && groups[group].matched) out += text.substr(groups[group].at, groups[group].size);
    } else if (next == '&') {
      out += text.substr(groups[0].at, groups[0].size);
    } else if (next == '\\') {
      out += '\\';
    } else {
      out += '\\';
      out += next;
    }
  }
}

/// The matches of a text one after the other; behind an empty one the search goes on with the next character.
class RegexMatches {
 public:
  RegexMatches(const Regex& regex, std::string_view text, int32_t start)
      : regex_(regex), text_(text), from_(CharacterOffset(text, start - 1)), ended_(start - 1 > CharacterCount(text)) {}

  bool Next(std::vector<RegexSpan>& groups) {
    if (ended_ || !regex_.Find(text_, from_, groups)) return false;
    from_ = groups[0].at + groups[0].size;
    if (groups[0].size > 0) return true;
    ended_ = from_ >= text_.size();
    if (!ended_) from_ += CharacterSize(text_, from_);
    return true;
  }

 private:
  const Regex& regex_;
  std::string_view text_;
  size_t from_;
  bool ended_;
};

Error InvalidParameter(std::string_view name, int32_t value) {
  return Error(sqlstate::kInvalidParameterValue, fmt::format("invalid value for parameter \"{}\": {}", name, value));
}

/// The nth match from a character on is replaced, or all of them when `nth` is 0.
Result<std::string> RegexReplace(std::string_view text, std::string_view pattern, std::string_view replacement, std::string_view options,
                                 int32_t start = 1, std::optional<int32_t> nth = {}) {
  if (start <= 0) return InvalidParameter("start", start);
  if (nth && *nth < 0) return InvalidParameter("n", *nth);
  KAPPA_ASSIGN_OR_RETURN(const RegexFlags flags, ParseRegexFlags(options));
  KAPPA_ASSIGN_OR_RETURN(const Regex regex, Regex::Compile(pattern, flags));
  const int32_t chosen = nth.value_or(flags.global ? 0 : 1);
  std::string out;
  size_t done = 0;
  std::vector<RegexSpan> groups;
  RegexMatches matches(regex, text, start);
  for (int32_t number = 1; matches.Next(groups); ++number) {
    if (chosen != 0 && number != chosen) continue;
    out += text.substr(done, groups[0].at - done);
    AppendReplacement(replacement, text, groups, out);
    done = groups[0].at + groups[0].size;
    if (number == chosen) break;
  }
  return out + std::string(text.substr(done));
}

/// substring(text from pattern): the first group, or the whole match when there is none.
Result<std::optional<std::string_view>> RegexSubstring(std::string_view text, std::string_view pattern) {
  KAPPA_ASSIGN_OR_RETURN(const Regex regex, Regex::Compile(pattern, {}));
  return regex.FindGroup(text, std::min(regex.group_count(), 1));
}

/// Options of a function that has its own way to take more than the first match.
Result<Regex> CompileNotGlobal(std::string_view function, std::string_view pattern, std::string_view options) {
  KAPPA_ASSIGN_OR_RETURN(const RegexFlags flags, ParseRegexFlags(options));
  if (flags.global) return Error(sqlstate::kInvalidParameterValue, fmt::format("{}() does not support the \"global\" option", function));
  return Regex::Compile(pattern, flags);
}

Result<int32_t> RegexCount(std::string_view text, std::string_view pattern, int32_t start, std::string_view options) {
  if (start <= 0) return InvalidParameter("start", start);
  KAPPA_ASSIGN_OR_RETURN(const Regex regex, CompileNotGlobal("regexp_count", pattern, options));
  int32_t count = 0;
  std::vector<RegexSpan> groups;
  for (RegexMatches matches(regex, text, start); matches.Next(groups);) ++count;
  return count;
}

/// A group (0: all) of the nth match from a character on; not matched when there is none.
Result<RegexSpan> NthMatch(std::string_view function, std::string_view text, std::string_view pattern, int32_t start, int32_t nth,
                           std::string_view options, int32_t group) {
  if (start <= 0) return InvalidParameter("start", start);
  if (nth <= 0) return InvalidParameter("n", nth);
  if (group < 0) return InvalidParameter("subexpr", group);
  KAPPA_ASSIGN_OR_RETURN(const Regex regex, CompileNotGlobal(function, pattern, options));
  if (group > regex.group_count()) return RegexSpan{};
  std::vector<RegexSpan> groups;
  RegexMatches matches(regex, text, start);
  for (int32_t number = 1; matches.Next(groups); ++number)
    if (number == nth) return groups[static_cast<size_t>(group)];
  return RegexSpan{};
}

Result<int32_t> RegexPosition(std::string_view text, std::string_view pattern, int32_t start, int32_t nth, int32_t end, std::string_view options,
                              int32_t group) {
  if (end != 0 && end != 1) return InvalidParameter("endoption", end);
  KAPPA_ASSIGN_OR_RETURN(const RegexSpan span, NthMatch("regexp_instr", text, pattern, start, nth, options, group));
  if (!span.matched) return 0;
  return static_cast<int32_t>(CharacterCount(text.substr(0, end == 1 ? span.at + span.size : span.at))) + 1;
}

Result<std::optional<std::string_view>> RegexPart(std::string_view text, std::string_view pattern, int32_t start, int32_t nth,
                                                  std::string_view options, int32_t group) {
  KAPPA_ASSIGN_OR_RETURN(const RegexSpan span, NthMatch("regexp_substr", text, pattern, start, nth, options, group));
  return span.matched ? std::optional(text.substr(span.at, span.size)) : std::nullopt;
}

void RegisterRegexPlaces(Registry& registry) {
  using View = std::string_view;
  const char* place = "where the n-th match (of the 1st), or a group of it, starts or ends; 0 without one";
  registry.Function("regexp_instr", "text, text -> int4", Rowwise([](View t, View p) { return RegexPosition(t, p, 1, 1, 0, "", 0); }), place);
  registry.Function("regexp_instr", "text, text, int4 -> int4",
                    Rowwise([](View t, View p, int32_t s) { return RegexPosition(t, p, s, 1, 0, "", 0); }), place);
  registry.Function("regexp_instr", "text, text, int4, int4 -> int4",
                    Rowwise([](View t, View p, int32_t s, int32_t n) { return RegexPosition(t, p, s, n, 0, "", 0); }), place);
  registry.Function("regexp_instr", "text, text, int4, int4, int4 -> int4",
                    Rowwise([](View t, View p, int32_t s, int32_t n, int32_t e) { return RegexPosition(t, p, s, n, e, "", 0); }), place);
  registry.Function("regexp_instr", "text, text, int4, int4, int4, text -> int4",
                    Rowwise([](View t, View p, int32_t s, int32_t n, int32_t e, View o) { return RegexPosition(t, p, s, n, e, o, 0); }), place);
  registry.Function("regexp_instr", "text, text, int4, int4, int4, text, int4 -> int4",
                    Rowwise([](View t, View p, int32_t s, int32_t n, int32_t e, View o, int32_t g) { return RegexPosition(t, p, s, n, e, o, g); }),
                    place);
  const char* part = "the n-th part (or the 1st) that matches a regular expression, or a group of it";
  registry.Function("regexp_substr", "text, text -> text", Rowwise([](View t, View p) { return RegexPart(t, p, 1, 1, "", 0); }), part);
  registry.Function("regexp_substr", "text, text, int4 -> text", Rowwise([](View t, View p, int32_t s) { return RegexPart(t, p, s, 1, "", 0); }),
                    part);
  registry.Function("regexp_substr", "text, text, int4, int4 -> text",
                    Rowwise([](View t, View p, int32_t s, int32_t n) { return RegexPart(t, p, s, n, "", 0); }), part);
  registry.Function("regexp_substr", "text, text, int4, int4, text -> text",
                    Rowwise([](View t, View p, int32_t s, int32_t n, View o) { return RegexPart(t, p, s, n, o, 0); }), part);
  registry.Function("regexp_substr", "text, text, int4, int4, text, int4 -> text",
                    Rowwise([](View t, View p, int32_t s, int32_t n, View o, int32_t g) { return RegexPart(t, p, s, n, o, g); }), part);
  const char* replaced = "the n-th match from a character on replaced, all of them for 0";
  registry.Function("regexp_replace", "text, text, text, int4 -> text",
                    Rowwise([](View t, View p, View w, int32_t s) { return RegexReplace(t, p, w, "", s); }), replaced);
  registry.Function("regexp_replace", "text, text, text, int4, int4 -> text",
                    Rowwise([](View t, View p, View w, int32_t s, int32_t n) { return RegexReplace(t, p, w, "", s, n); }), replaced);
  registry.Function("regexp_replace", "text, text, text, int4, int4, text -> text",
                    Rowwise([](View t, View p, View w, int32_t s, int32_t n, View o) { return RegexReplace(t, p, w, o, s, n); }), replaced);
}

}  // namespace

void RegisterPatterns(Registry& registry) {
  using View = std::string_view;
  const char* kMatch = "text, text -> bool";
  registry.Operator("~~", kMatch, Like(false, false), "LIKE");
  registry.Operator("!~~", kMatch, Like(false, true), "NOT LIKE");
  registry.Operator("~~*", kMatch, Like(true, false), "ILIKE");
  registry.Operator("!~~*", kMatch, Like(true, true), "NOT ILIKE");
  registry.Function("like_escape", "text, text -> text", Rowwise([](View pattern, View escape) { return LikeEscape(pattern, escape); }),
                    "a LIKE pattern with backslash as its escape character");
  registry.Function("similar_to_escape", "text -> text", Rowwise([](View pattern) { return SimilarPattern(pattern, "\\"); }),
                    "a SIMILAR TO pattern as a regular expression");
  registry.Function("similar_to_escape", "text, text -> text", Rowwise([](View pattern, View escape) { return SimilarPattern(pattern, escape); }),
                    "a SIMILAR TO pattern as a regular expression");
  registry.Operator("~", kMatch, Match(false, false), "matches a regular expression");
  registry.Operator("!~", kMatch, Match(false, true), "does not match a regular expression");
  registry.Operator("~*", kMatch, Match(true, false), "matches a regular expression, ignoring case");
  registry.Operator("!~*", kMatch, Match(true, true), "does not match a regular expression, ignoring case");
  registry.Function("regexp_like", kMatch, Match(false, false), "matches a regular expression");
  registry.Function("regexp_like", "text, text, text -> bool", Rowwise([](View text, View pattern, View options) -> Result<bool> {
                      KAPPA_ASSIGN_OR_RETURN(const RegexFlags flags, ParseRegexFlags(options));
                      KAPPA_ASSIGN_OR_RETURN(const Regex regex, Regex::Compile(pattern, flags));
                      return regex.Matches(text);
                    }),
                    "matches a regular expression with options");
  registry.Function("regexp_replace", "text, text, text -> text",
                    Rowwise([](View text, View pattern, View with) { return RegexReplace(text, pattern, with, ""); }), "first match replaced");
  registry.Function("regexp_replace", "text, text, text, text -> text",
                    Rowwise([](View text, View pattern, View with, View options) { return RegexReplace(text, pattern, with, options); }),
                    "first match, or all with option g, replaced");
  registry.Function("regexp_count", "text, text -> int4", Rowwise([](View text, View pattern) { return RegexCount(text, pattern, 1, ""); }),
                    "number of matches");
  registry.Function("regexp_count", "text, text, int4 -> int4",
                    Rowwise([](View text, View pattern, int32_t start) { return RegexCount(text, pattern, start, ""); }),
                    "number of matches from a character on");
  registry.Function("regexp_count", "text, text, int4, text -> int4",
                    Rowwise([](View text, View pattern, int32_t start, View options) { return RegexCount(text, pattern, start, options); }),
                    "number of matches from a character on");
  RegisterRegexPlaces(registry);
  registry.Function("substring", "text, text -> text", Rowwise([](View text, View pattern) { return RegexSubstring(text, pattern); }),
                    "the part that matches a regular expression or its first group");
  registry.Function("substring", "text, text, text -> text", Rowwise([](View text, View pattern, View escape) -> Result<std::optional<View>> {
                      KAPPA_ASSIGN_OR_RETURN(const std::string regex, SimilarPattern(pattern, escape));
                      return RegexSubstring(text, regex);
                    }),
                    "the part of a text that a SIMILAR TO pattern marks by the escape character and quotes");
}

}  // namespace kappa::expr
