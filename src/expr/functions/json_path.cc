// What a SQL/JSON path finds in a jsonb, and the functions that ask. The rules are PostgreSQL's jsonpath_exec.c's.
#include "expr/functions/json_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/array.h"
#include "data/json.h"
#include "expr/functions/regex.h"
#include "expr/functions/register.h"
#include "expr/functions/session_zone.h"
#include "expr/rowwise.h"

namespace kappa::expr {
namespace {

using data::JsonKind;
using data::Numeric;
using View = std::string_view;

constexpr const char* kNoArray = "22039";          // sql_json_array_not_found
constexpr const char* kNoMember = "2203A";         // sql_json_member_not_found
constexpr const char* kNoNumber = "22036";         // non_numeric_sql_json_item
constexpr const char* kNoSingleton = "22038";      // singleton_sql_json_item_required
constexpr const char* kNoObject = "2203C";         // sql_json_object_not_found
constexpr const char* kBadSubscript = "22033";     // invalid_sql_json_subscript
constexpr const char* kNoNumberOperand = "2203B";  // sql_json_number_not_found
constexpr const char* kBadDatetime = "22031";      // invalid_argument_for_sql_json_datetime_function
constexpr int kDepthMax = 10'000;                  // steps within each other

bool IsContainer(View json) { return data::JsonKindOf(json) == JsonKind::kArray || data::JsonKindOf(json) == JsonKind::kObject; }

std::string TextOf(View json_string) {
  std::string text;
  data::AppendJsonUnquoted(json_string, text);
  return text;
}

}  // namespace

Status JsonPathRun::Find(std::vector<View>& found) {
  Status status = Step(*path_.root, root_, found);
  return refused_.ok() ? status : refused_;
}

Status JsonPathRun::Next(const Node& node, View item, std::vector<View>& found) {
  if (node.next) return Step(*node.next, item, found);
  found.push_back(item);
  return {};
}

/// The same step for each element of an array: what lax mode does where an array stands for its elements.
Status JsonPathRun::EachElement(const Node& node, View array, std::vector<View>& found) {
  for (data::JsonIterator it(array); it.Next();) KAPPA_RETURN_IF_ERROR(Step(node, it.value(), found, /*unwrap=*/false));
  return {};
}

Status JsonPathRun::Step(const Node& node, View item, std::vector<View>& found, bool unwrap) {
  if (depth_ >= kDepthMax) return Error(sqlstate::kStatementTooComplex, "jsonpath goes too deep");
  struct Depth {
    int& depth;
    explicit Depth(int& d) : depth(++d) {}
    ~Depth() { --depth; }
  } depth(depth_);
  const JsonKind kind = data::JsonKindOf(item);
  const bool array = kind == JsonKind::kArray, object = kind == JsonKind::kObject;
  if (node.kind >= Kind::kEqual) {
    const Truth truth = Test(node, item);
    return Next(node, truth == Truth::kTrue ? "true" : truth == Truth::kFalse ? "false" : "null", found);
  }
  switch (node.kind) {
    case Kind::kRoot: return Next(node, root_, found);
    case Kind::kCurrent: return Next(node, current_, found);
    case Kind::kLiteral: return Next(node, node.text, found);
    case Kind::kVariable: {
      KAPPA_ASSIGN_OR_RETURN(const View value, Variable(node.text));
      return Next(node, value, found);
    }
    case Kind::kLast:
      if (array_size_ < 0) return Error(sqlstate::kInternalError, "evaluating jsonpath LAST outside of array subscript");
      return Next(node, Keep(std::to_string(array_size_ - 1)), found);
    case Kind::kKey: {
      View value;
      if (object) {
        if (data::JsonField(item, node.text, &value)) return Next(node, value, found);
        if (ignores_) return {};
        return Error(kNoMember, fmt::format("JSON object does not contain key \"{}\"", node.text));
      }
      if (unwrap && array) return EachElement(node, item, found);
      return ignores_ ? Status() : Error(kNoMember, "jsonpath member accessor can only be applied to an object");
    }
    case Kind::kAnyKey:
      if (object) {
        for (data::JsonIterator it(item); it.Next();) KAPPA_RETURN_IF_ERROR(Next(node, it.value(), found));
        return {};
      }
      if (unwrap && array) return EachElement(node, item, found);
      return ignores_ ? Status() : Error(kNoObject, "jsonpath wildcard member accessor can only be applied to an object");
    case Kind::kElements:
      if (array) {
        for (data::JsonIterator it(item); it.Next();) KAPPA_RETURN_IF_ERROR(Next(node, it.value(), found));
        return {};
      }
      if (path_.lax) return Next(node, item, found);
      return ignores_ ? Status() : Error(kNoArray, "jsonpath wildcard array accessor can only be applied to an array");
    case Kind::kSubscripts:
      if (array || path_.lax) return Subscripts(node, item, found);
      return ignores_ ? Status() : Error(kNoArray, "jsonpath array accessor can only be applied to an array");
    case Kind::kAny: {
      const bool ignores = ignores_;
      if (node.first == 0) {
        ignores_ = true;
        Status status = Next(node, item, found);
        ignores_ = ignores;
        KAPPA_RETURN_IF_ERROR(std::move(status));
      }
      return Descend(node, item, 1, found);
    }
    case Kind::kFilter: {
      if (unwrap && array) return EachElement(node, item, found);
      const View around = current_;
      current_ = item;
      const Truth truth = Test(*node.left, item);
      current_ = around;
      return truth == Truth::kTrue ? Next(node, item, found) : Status();
    }
    case Kind::kAdd:
    case Kind::kSubtract:
    case Kind::kMultiply:
    case Kind::kDivide:
    case Kind::kModulo: return Arithmetic(node, item, found);
    case Kind::kPlus:
    case Kind::kMinus: {
      std::vector<View> operands;
      KAPPA_RETURN_IF_ERROR(Unwrapped(*node.left, item, operands));
      for (const View operand : operands) {
        if (data::JsonKindOf(operand) != JsonKind::kNumber)
          return Error(kNoNumberOperand,
                       fmt::format("operand of unary jsonpath operator {} is not a numeric value", node.kind == Kind::kPlus ? '+' : '-'));
        if (node.kind == Kind::kPlus) {
          KAPPA_RETURN_IF_ERROR(Next(node, operand, found));
          continue;
        }
        KAPPA_ASSIGN_OR_RETURN(const Numeric number, Numeric::Parse(operand));
        KAPPA_RETURN_IF_ERROR(Next(node, Keep(number.Negate().ToString()), found));
      }
      return {};
    }
    case Kind::kType: {
      const JsonDatetime* datetime = DatetimeOf(item);
      return Next(node, Keep(fmt::format("\"{}\"", datetime == nullptr ? data::JsonTypeName(kind) : datetime->TypeName())), found);
    }
    case Kind::kKeyValue:
      if (unwrap && array) return EachElement(node, item, found);
      return KeyValues(node, item, found);
    case Kind::kDatetime:
      if (unwrap && array) return EachElement(node, item, found);
      return Datetime(node, item, found);
    case Kind::kSize:
      if (!array && !path_.lax) return ignores_ ? Status() : Error(kNoArray, "jsonpath item method .size() can only be applied to an array");
      return Next(node, Keep(std::to_string(array ? data::JsonLength(item) : 1)), found);
    default:
      if (unwrap && array) return EachElement(node, item, found);
      return Method(node, item, found);
  }
}

/// .**: the item's members and elements from level to level, parents before what is in them.
Status JsonPathRun::Descend(const Node& node, View item, int64_t level, std::vector<View>& found) {
  if (!IsContainer(item) || (node.last >= 0 && level > node.last)) return {};
  if (level > data::kJsonDepthMax) return Error(sqlstate::kStatementTooComplex, "jsonpath goes too deep");
  const bool ignores = ignores_;
  for (data::JsonIterator it(item); it.Next();) {
    const View value = it.value();
    // The deepest level, "last", is that of the values that hold no others.
    const bool wanted = node.first < 0 ? node.last < 0 && !IsContainer(value) : level >= node.first;
    if (wanted) {
      ignores_ = true;
      Status status = Next(node, value, found);
      ignores_ = ignores;
      KAPPA_RETURN_IF_ERROR(std::move(status));
    }
    KAPPA_RETURN_IF_ERROR(Descend(node, value, level + 1, found));
  }
  return {};
}

Status JsonPathRun::Subscripts(const Node& node, View item, std::vector<View>& found) {
  const bool array = data::JsonKindOf(item) == JsonKind::kArray;
  const int64_t around = array_size_, size = array ? data::JsonLength(item) : 1;
  const auto index = [&](const Node& subscript) -> Result<int64_t> {
    std::vector<View> values;
    KAPPA_RETURN_IF_ERROR(Step(subscript, item, values));
    if (values.size() != 1 || data::JsonKindOf(values[0]) != JsonKind::kNumber)
      return Error(kBadSubscript, "jsonpath array subscript is not a single numeric value");
    KAPPA_ASSIGN_OR_RETURN(const Numeric number, Numeric::Parse(values[0]));
    KAPPA_ASSIGN_OR_RETURN(const Numeric whole, number.Truncate(0));
    const Result<int32_t> at = whole.ToInt4();
    if (!at.ok()) return Error(kBadSubscript, "jsonpath array subscript is out of integer range");
    return int64_t{*at};
  };
  const auto all = [&]() -> Status {
    for (const auto& [from_node, to_node] : node.subscripts) {
      KAPPA_ASSIGN_OR_RETURN(int64_t from, index(*from_node));
      int64_t to = from;
      if (to_node) { KAPPA_ASSIGN_OR_RETURN(to, index(*to_node)); }
      if (!ignores_ && (from < 0 || from > to || to >= size)) return Error(kBadSubscript, "jsonpath array subscript is out of bounds");
      from = std::max<int64_t>(from, 0);
      to = std::min(to, size - 1);
      for (int64_t at = from; at <= to; ++at) {
        View value = item;
        if (array && !data::JsonElement(item, at, &value)) continue;
        KAPPA_RETURN_IF_ERROR(Next(node, value, found));
      }
    }
    return {};
  };
  array_size_ = size;
  Status status = all();
  array_size_ = around;
  return status;
}

Status JsonPathRun::Unwrapped(const Node& node, View item, std::vector<View>& found) {
  std::vector<View> values;
  KAPPA_RETURN_IF_ERROR(Step(node, item, values));
  for (const View value : values) {
    if (!path_.lax || data::JsonKindOf(value) != JsonKind::kArray) {
      found.push_back(value);
      continue;
    }
    for (data::JsonIterator it(value); it.Next();) found.push_back(it.value());
  }
  return {};
}

Result<Numeric> JsonPathRun::Operand(const Node& node, View item, const char* side, const char* op) {
  std::vector<View> values;
  KAPPA_RETURN_IF_ERROR(Unwrapped(node, item, values));
  if (values.size() != 1 || data::JsonKindOf(values[0]) != JsonKind::kNumber)
    return Error(kNoSingleton, fmt::format("{} operand of jsonpath operator {} is not a single numeric value", side, op));
  return Numeric::Parse(values[0]);
}

Status JsonPathRun::Arithmetic(const Node& node, View item, std::vector<View>& found) {
  const char* op = node.kind == Kind::kAdd        ? "+"
                   : node.kind == Kind::kSubtract ? "-"
                   : node.kind == Kind::kMultiply ? "*"
                   : node.kind == Kind::kDivide   ? "/"
                                                  : "%";
  KAPPA_ASSIGN_OR_RETURN(const Numeric left, Operand(*node.left, item, "left", op));
  KAPPA_ASSIGN_OR_RETURN(const Numeric right, Operand(*node.right, item, "right", op));
  KAPPA_ASSIGN_OR_RETURN(const Numeric result, node.kind == Kind::kAdd        ? data::Add(left, right)
                                               : node.kind == Kind::kSubtract ? data::Subtract(left, right)
                                               : node.kind == Kind::kMultiply ? data::Multiply(left, right)
                                               : node.kind == Kind::kDivide   ? data::Divide(left, right)
                                                                              : data::Modulo(left, right));
  return Next(node, Keep(result.ToString()), found);
}

/// .abs(), .ceiling(), .floor(), .double()
Status JsonPathRun::Method(const Node& node, View item, std::vector<View>& found) {
  const JsonKind kind = data::JsonKindOf(item);
  if (node.kind == Kind::kDouble) {
    if (kind != JsonKind::kNumber && kind != JsonKind::kString)
      return Error(kNoNumber, "jsonpath item method .double() can only be applied to a string or numeric value");
    const Result<data::Value> value = data::FromText(kind == JsonKind::kString ? TextOf(item) : std::string(item), data::TypeId::kFloat8);
    if (!value.ok())
      return Error(kNoNumber, kind == JsonKind::kString
                                  ? "string argument of jsonpath item method .double() is not a valid representation of a double precision number"
                                  : "numeric argument of jsonpath item method .double() is out of range for type double precision");
    if (!std::isfinite(value->As<double>())) return Error(kNoNumber, "NaN or Infinity is not allowed for jsonpath item method .double()");
    // A number stays as it is written, a string becomes one.
    return Next(node, kind == JsonKind::kNumber ? item : Keep(Numeric::FromDouble(value->As<double>()).ToString()), found);
  }
  if (kind != JsonKind::kNumber) {
    const char* name = node.kind == Kind::kAbs ? "abs" : node.kind == Kind::kFloor ? "floor" : "ceiling";
    return Error(kNoNumber, fmt::format("jsonpath item method .{}() can only be applied to a numeric value", name));
  }
  KAPPA_ASSIGN_OR_RETURN(const Numeric number, Numeric::Parse(item));
  if (node.kind == Kind::kAbs) return Next(node, Keep(number.Abs().ToString()), found);
  KAPPA_ASSIGN_OR_RETURN(const Numeric whole, node.kind == Kind::kFloor ? number.Floor() : number.Ceiling());
  return Next(node, Keep(whole.ToString()), found);
}

Result<View> JsonPathRun::Variable(const std::string& name) {
  View value;
  if (data::JsonKindOf(variables_) == JsonKind::kObject && data::JsonField(variables_, name, &value)) return value;
  return Error(sqlstate::kUndefinedObject, fmt::format("could not find jsonpath variable \"{}\"", name));
}

JsonPathRun::Truth JsonPathRun::Test(const Node& node, View item) {
  switch (node.kind) {
    case Kind::kAnd:
    case Kind::kOr: {
      const Truth decides = node.kind == Kind::kAnd ? Truth::kFalse : Truth::kTrue, neutral = node.kind == Kind::kAnd ? Truth::kTrue : Truth::kFalse;
      const Truth left = Test(*node.left, item);
      if (left == decides) return decides;
      const Truth right = Test(*node.right, item);
      return right == neutral ? left : right;
    }
    case Kind::kNot: {
      const Truth truth = Test(*node.left, item);
      return truth == Truth::kUnknown ? truth : truth == Truth::kTrue ? Truth::kFalse : Truth::kTrue;
    }
    case Kind::kIsUnknown: return Test(*node.left, item) == Truth::kUnknown ? Truth::kTrue : Truth::kFalse;
    case Kind::kExists: {
      std::vector<View> values;
      const Status status = Step(*node.left, item, values);
      if (!status.ok() && !(path_.lax && !values.empty())) return Truth::kUnknown;
      return values.empty() ? Truth::kFalse : Truth::kTrue;
    }
    default: return Pairs(node, item);
  }
}

/// A comparison holds when it does for one pair of values of its sides.
JsonPathRun::Truth JsonPathRun::Pairs(const Node& node, View item) {
  std::vector<View> left, right;
  if (!Unwrapped(*node.left, item, left).ok()) return Truth::kUnknown;
  if (node.kind == Kind::kLikeRegex) right.emplace_back();
  else if (node.kind == Kind::kStartsWith ? !Step(*node.right, item, right).ok() : !Unwrapped(*node.right, item, right).ok()) return Truth::kUnknown;
  bool found = false, unknown = false;
  for (const View a : left) {
    for (const View b : right) {
      const Truth truth = Compare(node, a, b);
      if (truth == Truth::kUnknown) {
        if (!path_.lax) return truth;
        unknown = true;
      } else if (truth == Truth::kTrue) {
        if (path_.lax) return truth;
        found = true;
      }
    }
  }
  return found ? Truth::kTrue : unknown ? Truth::kUnknown : Truth::kFalse;
}

/// An object for each member: its key, its value, and a number that tells which object it is of.
Status JsonPathRun::KeyValues(const Node& node, View item, std::vector<View>& found) {
  if (data::JsonKindOf(item) != JsonKind::kObject) return Error(kNoObject, "jsonpath item method .keyvalue() can only be applied to an object");
  constexpr int64_t kOther = 10'000'000'000;  // objects that are not in the jsonb itself
  const std::less<const char*> before;
  const bool in_root = !before(item.data(), root_.data()) && before(item.data(), root_.data() + root_.size());
  const int64_t id = in_root ? item.data() - root_.data() : kOther * (1 + static_cast<int64_t>(made_.size()));
  const std::string id_text = std::to_string(id);
  for (data::JsonIterator it(item); it.Next();) {
    std::string key, object;
    data::AppendJsonQuoted(it.key(), key);
    data::AppendJsonObject({{"key", key}, {"value", it.value()}, {"id", id_text}}, object);
    KAPPA_RETURN_IF_ERROR(Next(node, Keep(std::move(object)), found));
  }
  return {};
}

Status JsonPathRun::Datetime(const Node& node, View item, std::vector<View>& found) {
  if (data::JsonKindOf(item) != JsonKind::kString) return Error(kBadDatetime, "jsonpath item method .datetime() can only be applied to a string");
  const std::string text = TextOf(item);
  KAPPA_ASSIGN_OR_RETURN(const JsonDatetime datetime, node.templated ? ReadJsonDatetime(text, node.text) : ReadJsonDatetime(text));
  const View made = Keep('"' + datetime.ToString() + '"');
  datetimes_.emplace(made.data(), datetime);
  return Next(node, made, found);
}

const JsonDatetime* JsonPathRun::DatetimeOf(View item) const {
  const auto known = datetimes_.find(item.data());
  return known == datetimes_.end() ? nullptr : &known->second;
}

std::optional<int> JsonPathRun::CompareDatetimes(const JsonDatetime& a, const JsonDatetime& b) {
  if (a.dated() != b.dated()) return std::nullopt;
  if (a.zoned() != b.zoned() && zone_ == nullptr) {  // which moment it is depends on the session's zone
    const JsonDatetime &local = a.zoned() ? b : a, &zoned = a.zoned() ? a : b;
    const auto name = [](const JsonDatetime& value) {  // as PostgreSQL calls them here
      switch (value.kind) {
        case JsonDatetime::Kind::kDate: return "date";
        case JsonDatetime::Kind::kTime: return "time";
        case JsonDatetime::Kind::kTimetz: return "timetz";
        case JsonDatetime::Kind::kTimestamp: return "timestamp";
        case JsonDatetime::Kind::kTimestamptz: break;
      }
      return "timestamptz";
    };
    refused_ =
        Error(sqlstate::kFeatureNotSupported, fmt::format("cannot convert value from {} to {} without time zone usage", name(local), name(zoned)))
            .Hint("Give both a zone, or neither.");
    return std::nullopt;
  }
  constexpr int64_t kDayMicros = 86'400'000'000;
  const bool zoned = a.zoned() || b.zoned();
  const auto offset = [&](const JsonDatetime& value) -> int64_t {
    if (!zoned || value.zoned()) return value.zone_seconds;
    if (!value.dated()) return zone_->zone.OffsetAt(zone_->now_us);
    const int64_t local = value.days * kDayMicros + value.micros;
    return (local - zone_->zone.ToUtc(local)) / 1'000'000;
  };
  const auto moment = [&](const JsonDatetime& value) { return value.days * kDayMicros + value.micros - offset(value) * 1'000'000; };
  if (moment(a) != moment(b)) return moment(a) < moment(b) ? -1 : 1;
  if (zoned && !a.dated() && offset(a) != offset(b)) return offset(a) > offset(b) ? -1 : 1;
  return 0;
}

JsonPathRun::Truth JsonPathRun::Compare(const Node& node, View a, View b) {
  const auto truth = [](bool holds) { return holds ? Truth::kTrue : Truth::kFalse; };
  const JsonKind kind = data::JsonKindOf(a);
  if (node.kind == Kind::kLikeRegex) {
    if (kind != JsonKind::kString || DatetimeOf(a) != nullptr) return Truth::kUnknown;
    const bool lines = node.flags.find('m') != std::string::npos, all = node.flags.find('s') != std::string::npos;
    RegexFlags flags;
    flags.ignore_case = node.flags.find('i') != std::string::npos;
    flags.literal = node.flags.find('q') != std::string::npos;
    flags.newline = lines || !all;  // without "s" a dot matches no newline
    const Result<Regex> regex = Regex::Compile(node.text, flags);
    return regex.ok() ? truth(regex->Matches(TextOf(a))) : Truth::kUnknown;
  }
  const JsonKind other = data::JsonKindOf(b);
  if ((DatetimeOf(a) != nullptr || DatetimeOf(b) != nullptr) && node.kind == Kind::kStartsWith) return Truth::kUnknown;
  if (node.kind == Kind::kStartsWith)
    return kind == JsonKind::kString && other == JsonKind::kString ? truth(TextOf(a).starts_with(TextOf(b))) : Truth::kUnknown;
  if (kind != other) {  // null is another value than all others, and neither less nor greater; the rest cannot be compared
    if (kind == JsonKind::kNull || other == JsonKind::kNull) return truth(node.kind == Kind::kNotEqual);
    return Truth::kUnknown;
  }
  int order = 0;
  switch (kind) {
    case JsonKind::kNull: break;
    case JsonKind::kBoolean: order = a == b ? 0 : a == "true" ? 1 : -1; break;
    case JsonKind::kNumber: {
      const Result<Numeric> x = Numeric::Parse(a), y = Numeric::Parse(b);
      if (!x.ok() || !y.ok()) return Truth::kUnknown;
      order = data::Compare(*x, *y);
      break;
    }
    case JsonKind::kString: {
      const JsonDatetime *x = DatetimeOf(a), *y = DatetimeOf(b);
      if (x == nullptr && y == nullptr) {
        order = TextOf(a).compare(TextOf(b));
        break;
      }
      const std::optional<int> compared = x == nullptr || y == nullptr ? std::nullopt : CompareDatetimes(*x, *y);
      if (!compared) return Truth::kUnknown;
      order = *compared;
      break;
    }
    default: return Truth::kUnknown;
  }
  switch (node.kind) {
    case Kind::kEqual: return truth(order == 0);
    case Kind::kNotEqual: return truth(order != 0);
    case Kind::kLess: return truth(order < 0);
    case Kind::kLessOrEqual: return truth(order <= 0);
    case Kind::kGreater: return truth(order > 0);
    default: return truth(order >= 0);
  }
}

namespace {

/// Parsed once for all rows with the same path, as most have.
Result<std::shared_ptr<const JsonPath>> Parsed(View text) {
  thread_local std::string known;
  thread_local std::shared_ptr<const JsonPath> path;
  if (path != nullptr && known == text) return path;
  KAPPA_ASSIGN_OR_RETURN(path, ParseJsonPath(text));
  known = text;
  return path;
}

/// What a path finds. `failed`: an error that `silent` keeps quiet; what was found before it counts.
struct Found {
  std::shared_ptr<const JsonPath> path;
  std::unique_ptr<JsonPathRun> run;  // owns what values were made
  std::vector<View> values;
  bool failed = false;
};
struct PathCall {
  View json, path, variables = "{}";
  bool silent = false;
  const JsonPathZone* zone = nullptr;
};
Result<Found> Find(const PathCall& call) {
  const auto& [json, text, variables, silent, zone] = call;
  if (data::JsonKindOf(variables) != JsonKind::kObject)
    return Error(sqlstate::kInvalidParameterValue, "\"vars\" argument is not an object")
        .Detail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.");
  Found found;
  KAPPA_ASSIGN_OR_RETURN(found.path, Parsed(text));
  found.run = std::make_unique<JsonPathRun>(*found.path, json, variables, zone);
  Status status = found.run->Find(found.values);
  if (status.ok()) return found;
  const bool quiet = silent && !status.error().Is(sqlstate::kUndefinedObject) && !status.error().Is(sqlstate::kStatementTooComplex) &&
                     !status.error().Is(sqlstate::kFeatureNotSupported);
  if (!quiet) return status.error();
  found.failed = true;
  return found;
}

/// Whether there is anything. In lax mode what comes after the first value is not looked at.
Result<std::optional<bool>> Exists(const PathCall& call) {
  PathCall quiet = call;
  quiet.silent = true;
  KAPPA_ASSIGN_OR_RETURN(const Found found, Find(quiet));
  if (!found.failed || (found.path->lax && !found.values.empty())) return std::optional<bool>(!found.values.empty());
  if (call.silent) return std::optional<bool>();
  return Find(call).error();
}
Result<std::optional<bool>> Match(const PathCall& call) {
  KAPPA_ASSIGN_OR_RETURN(const Found found, Find(call));
  if (found.values.size() == 1 && !found.failed) {
    const JsonKind kind = data::JsonKindOf(found.values[0]);
    if (kind == JsonKind::kBoolean) return std::optional<bool>(found.values[0] == "true");
    if (kind == JsonKind::kNull) return std::optional<bool>();
  }
  if (call.silent) return std::optional<bool>();
  return Error(kNoSingleton, "single boolean result is expected");
}
Result<std::string> QueryArray(const PathCall& call) {
  KAPPA_ASSIGN_OR_RETURN(const Found found, Find(call));
  std::string out = "[";
  for (const View value : found.values) out.append(out.size() > 1 ? ", " : "").append(value);
  return out + "]";
}
Result<std::optional<std::string>> QueryFirst(const PathCall& call) {
  KAPPA_ASSIGN_OR_RETURN(const Found found, Find(call));
  return found.values.empty() ? std::nullopt : std::optional<std::string>(found.values[0]);
}
Result<std::string> Rows(const PathCall& call) {
  KAPPA_ASSIGN_OR_RETURN(const Found found, Find(call));
  data::ArrayBuilder builder(data::TypeId::kJsonb);
  for (const View value : found.values) builder.Append(value);
  return builder.Finish();
}

}  // namespace

void RegisterJsonPath(Registry& registry) {
  const auto add = [&](const std::string& name, const std::string& result, auto run, const std::string& note, bool system = false) {
    for (const bool zoned : {false, true}) {
      const auto put = [&](const char* arguments, Kernel kernel) {
        const std::string signature = fmt::format("{} -> {}", arguments, result), full_name = zoned ? name + "_tz" : name;
        const std::string full_note = zoned && !system ? note + "; times without a zone are of the session's" : note;
        Signature& added = system ? registry.System(full_name, signature, std::move(kernel), full_note)
                                  : registry.Function(full_name, signature, std::move(kernel), full_note);
        if (zoned) added.Session();
      };
      const auto in_zone = [run, zoned](EvalContext& context, PathCall call) -> decltype(run(call)) {
        if (!zoned) return run(call);
        KAPPA_ASSIGN_OR_RETURN(const data::TimeZone session, SessionZone(context));
        const JsonPathZone zone{session, context.now_us};
        call.zone = &zone;
        return run(call);
      };
      put("jsonb, text", Rowwise([in_zone](EvalContext& context, View json, View path) { return in_zone(context, {.json = json, .path = path}); }));
      put("jsonb, text, jsonb", Rowwise([in_zone](EvalContext& context, View json, View path, View variables) {
            return in_zone(context, {.json = json, .path = path, .variables = variables});
          }));
      put("jsonb, text, jsonb, bool", Rowwise([in_zone](EvalContext& context, View json, View path, View variables, bool silent) {
            return in_zone(context, {.json = json, .path = path, .variables = variables, .silent = silent});
          }));
    }
  };
  add("jsonb_path_exists", "bool", Exists, "whether a JSON path finds anything");
  add("jsonb_path_match", "bool", Match, "result of a JSON path that is a predicate");
  add("jsonb_path_query_array", "jsonb", QueryArray, "what a JSON path finds, as an array");
  add("jsonb_path_query_first", "jsonb", QueryFirst, "the first value that a JSON path finds");
  add("kappa_json_path", "jsonb[]", Rows, "rows of a set-returning function as an array", /*system=*/true);
  registry.Operator("@?", "jsonb, text -> bool", Rowwise([](View json, View path) { return Exists({.json = json, .path = path, .silent = true}); }),
                    "whether a JSON path finds anything; errors give NULL");
  registry.Operator("@@", "jsonb, text -> bool", Rowwise([](View json, View path) { return Match({.json = json, .path = path, .silent = true}); }),
                    "result of a JSON path that is a predicate; errors give NULL");
}

}  // namespace kappa::expr
