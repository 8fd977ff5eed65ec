// SQL/JSON paths: what '$.items[*] ? (@.price > 10)' means, as a tree, and the values that it finds in a jsonb.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "data/numeric.h"
#include "data/time_zone.h"
#include "expr/functions/json_path_datetime.h"

namespace kappa::expr {

/// A step or an operand. Steps are chained by `next`: each works on what the one before it found.
struct JsonPathNode {
  enum class Kind : uint8_t {
    kRoot,      // $
    kCurrent,   // @
    kLast,      // the last subscript
    kLiteral,   // `text`: a scalar as jsonb
    kVariable,  // $name
    kKey,       // .name
    kAnyKey,    // .*
    kAny,       // .**{first to last}
    kElements,  // [*]
    kSubscripts,
    kFilter,    // ? (left)
    kAdd,
    kSubtract,
    kMultiply,
    kDivide,
    kModulo,
    kPlus,
    kMinus,
    kType,
    kSize,
    kDouble,
    kCeiling,
    kFloor,
    kAbs,
    kKeyValue,
    kDatetime,  // `text`: the template, when `templated`
    kEqual,
    kNotEqual,
    kLess,
    kLessOrEqual,
    kGreater,
    kGreaterOrEqual,
    kAnd,
    kOr,
    kNot,
    kIsUnknown,
    kExists,
    kStartsWith,
    kLikeRegex,
  };
  using Ptr = std::unique_ptr<JsonPathNode>;

  Kind kind;
  std::string text;                             // key, variable, literal; pattern and flags of like_regex
  std::string flags;
  bool templated = false;
  Ptr left, right;                              // operands
  std::vector<std::pair<Ptr, Ptr>> subscripts;  // from, to (null: one)
  int64_t first = 0, last = 0;                  // of kAny; -1: the deepest level
  Ptr next;

  explicit JsonPathNode(Kind k) : kind(k) {}
  bool is_predicate() const { return kind >= Kind::kEqual && !next; }
};

struct JsonPath {
  bool lax = true;
  JsonPathNode::Ptr root;
};
/// Fails with syntax_error in PostgreSQL's words.
Result<std::shared_ptr<const JsonPath>> ParseJsonPath(std::string_view text);

/// The session's zone, and when the statement began: times of a day have the offset of then.
struct JsonPathZone {
  data::TimeZone zone;
  int64_t now_us = 0;
};

/// One run of a path over a jsonb.
class JsonPathRun {
 public:
  using View = std::string_view;
  /// `variables` is a jsonb object; all views must outlive the run.
  /// With a `zone`, times without one are of it where they are compared with times that have one; without, that is refused.
  JsonPathRun(const JsonPath& path, View json, View variables, const JsonPathZone* zone)
      : path_(path), root_(json), variables_(variables), zone_(zone), ignores_(path.lax) {}

  /// Appends what the path finds, in order, up to the first error; the views live as long as the run and what it was given.
  Status Find(std::vector<View>& found);

 private:
  using Node = JsonPathNode;
  using Kind = JsonPathNode::Kind;
  enum class Truth : uint8_t { kFalse, kTrue, kUnknown };

  View Keep(std::string text) { return made_.emplace_back(std::move(text)); }
  Status Step(const Node& node, View item, std::vector<View>& found, bool unwrap);
  Status Step(const Node& node, View item, std::vector<View>& found) { return Step(node, item, found, path_.lax); }
  Status Next(const Node& node, View item, std::vector<View>& found);
  Status EachElement(const Node& node, View array, std::vector<View>& found);
  Status Descend(const Node& node, View item, int64_t level, std::vector<View>& found);
  Status Subscripts(const Node& node, View item, std::vector<View>& found);
  Status Arithmetic(const Node& node, View item, std::vector<View>& found);
  Status Method(const Node& node, View item, std::vector<View>& found);
  Result<data::Numeric> Operand(const Node& node, View item, const char* side, const char* op);
  /// The operand's values, arrays among them taken apart in lax mode.
  Status Unwrapped(const Node& node, View item, std::vector<View>& found);
  Result<View> Variable(const std::string& name);
  Truth Test(const Node& node, View item);
  Truth Pairs(const Node& node, View item);
  Truth Compare(const Node& node, View a, View b);
  Status KeyValues(const Node& node, View item, std::vector<View>& found);
  Status Datetime(const Node& node, View item, std::vector<View>& found);
  /// What .datetime() made; null for other values.
  const JsonDatetime* DatetimeOf(View item) const;
  /// nullopt where they cannot be compared.
  std::optional<int> CompareDatetimes(const JsonDatetime& a, const JsonDatetime& b);

  const JsonPath& path_;
  View root_, variables_;
  const JsonPathZone* zone_;
  View current_;
  int64_t array_size_ = -1;  // of the innermost subscripted array; -1: none
  bool ignores_;             // structural errors
  int depth_ = 0;
  std::deque<std::string> made_;
  std::map<const char*, JsonDatetime> datetimes_;  // by where their text is in made_
  Status refused_;                                 // an error that no predicate keeps quiet
};

}  // namespace kappa::expr
