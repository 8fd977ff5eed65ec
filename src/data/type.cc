// The registry of types: names, aliases, OIDs, widths, and PostgreSQL's spelling of modifiers.
#include "data/type.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/check.h"
#include "data/enum_type.h"
#include "data/interval_fields.h"
#include "data/record.h"

namespace kappa::data {
namespace {

struct TypeFacts {
  TypeId id;
  const char* sql_name;      // as PostgreSQL's format_type spells it
  uint32_t oid;
  uint32_t array_oid;
  int16_t length;            // pg_type.typlen
  int8_t width;              // bytes of a physical value
};

constexpr uint32_t kVarcharOid = 1043;
constexpr uint32_t kVarcharArrayOid = 1015;

constexpr std::array kFacts = {
    TypeFacts{TypeId::kUnknown, "unknown", 705, 0, -2, 16},
    TypeFacts{TypeId::kBool, "boolean", 16, 1000, 1, 1},
    TypeFacts{TypeId::kInt2, "smallint", 21, 1005, 2, 2},
    TypeFacts{TypeId::kInt4, "integer", 23, 1007, 4, 4},
    TypeFacts{TypeId::kInt8, "bigint", 20, 1016, 8, 8},
    TypeFacts{TypeId::kOid, "oid", 26, 1028, 4, 8},
    TypeFacts{TypeId::kFloat4, "real", 700, 1021, 4, 4},
    TypeFacts{TypeId::kFloat8, "double precision", 701, 1022, 8, 8},
    TypeFacts{TypeId::kNumeric, "numeric", 1700, 1231, -1, 16},
    TypeFacts{TypeId::kText, "text", 25, 1009, -1, 16},
    TypeFacts{TypeId::kBytea, "bytea", 17, 1001, -1, 16},
    TypeFacts{TypeId::kDate, "date", 1082, 1182, 4, 4},
    TypeFacts{TypeId::kTimestamp, "timestamp without time zone", 1114, 1115, 8, 8},
    TypeFacts{TypeId::kTimestamptz, "timestamp with time zone", 1184, 1185, 8, 8},
    TypeFacts{TypeId::kInterval, "interval", 1186, 1187, 16, 16},
    TypeFacts{TypeId::kJsonb, "jsonb", 3802, 3807, -1, 16},
    TypeFacts{TypeId::kUuid, "uuid", 2950, 2951, 16, 16},
    TypeFacts{TypeId::kArray, "anyarray", 2277, 0, -1, 16},
    TypeFacts{TypeId::kRecord, "record", 2249, 2287, -1, 16},
    TypeFacts{TypeId::kEnum, "anyenum", 3500, 0, 4, 16},
    TypeFacts{TypeId::kTime, "time without time zone", 1083, 1183, 8, 8},
};

const TypeFacts& Facts(TypeId id) {
  const TypeFacts& facts = kFacts[static_cast<size_t>(id)];
  KAPPA_DCHECK(facts.id == id);
  return facts;
}

struct Alias {
  std::string_view name;
  TypeId id;
};
// pg_type names and SQL spellings. json is stored as jsonb: kappa keeps one JSON type.
constexpr std::array kAliases = {
    Alias{"bool", TypeId::kBool},
    Alias{"boolean", TypeId::kBool},
    Alias{"int2", TypeId::kInt2},
    Alias{"smallint", TypeId::kInt2},
    Alias{"int4", TypeId::kInt4},
    Alias{"int", TypeId::kInt4},
    Alias{"integer", TypeId::kInt4},
    Alias{"int8", TypeId::kInt8},
    Alias{"bigint", TypeId::kInt8},
    Alias{"oid", TypeId::kOid},
    Alias{"float4", TypeId::kFloat4},
    Alias{"real", TypeId::kFloat4},
    Alias{"float8", TypeId::kFloat8},
    Alias{"float", TypeId::kFloat8},
    Alias{"double precision", TypeId::kFloat8},
    Alias{"double", TypeId::kFloat8},
    Alias{"numeric", TypeId::kNumeric},
    Alias{"decimal", TypeId::kNumeric},
    Alias{"dec", TypeId::kNumeric},
    Alias{"text", TypeId::kText},
    Alias{"varchar", TypeId::kText},
    Alias{"character varying", TypeId::kText},
    Alias{"string", TypeId::kText},
    Alias{"name", TypeId::kText},
    Alias{"bytea", TypeId::kBytea},
    Alias{"date", TypeId::kDate},
    Alias{"time", TypeId::kTime},
    Alias{"time without time zone", TypeId::kTime},
    Alias{"timestamp", TypeId::kTimestamp},
    Alias{"timestamp without time zone", TypeId::kTimestamp},
    Alias{"timestamptz", TypeId::kTimestamptz},
    Alias{"timestamp with time zone", TypeId::kTimestamptz},
    Alias{"interval", TypeId::kInterval},
    Alias{"jsonb", TypeId::kJsonb},
    Alias{"json", TypeId::kJsonb},
    Alias{"uuid", TypeId::kUuid},
    Alias{"record", TypeId::kRecord},
    Alias{"unknown", TypeId::kUnknown},
};
// Types that PostgreSQL has and kappa does not: a clearer refusal than "does not exist".
constexpr std::string_view kRefused[] = {
    "char",          "character",    "bpchar",         "timetz",        "money",          "bit",       "varbit",    "xml",
    "inet",          "cidr",         "macaddr",        "macaddr8",      "point",          "line",      "lseg",      "box",
    "path",          "polygon",      "circle",         "tsvector",      "tsquery",        "jsonpath",  "int4range", "int8range",
    "numrange",      "tsrange",      "tstzrange",      "daterange",     "int4multirange", "refcursor", "pg_lsn",    "int8multirange",
    "nummultirange", "tsmultirange", "tstzmultirange", "datemultirange"};

Error NoSuchType(std::string_view name) { return Error(sqlstate::kUndefinedObject, "type \"" + std::string(name) + "\" does not exist"); }

// The integers of "(12, 2)".
Result<std::vector<int>> ParseModifiers(std::string_view text) {
  std::vector<int> out;
  while (!text.empty()) {
    size_t comma = std::min(text.find(','), text.size());
    std::string_view part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    int value = 0;
    auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size()) return Error(sqlstate::kInvalidParameterValue, "invalid type modifier");
    out.push_back(value);
  }
  return out;
}

Result<Type> ApplyModifiers(Type type, const std::vector<int>& modifiers, std::string_view name) {
  TypeId id = type.is_array() ? type.element : type.id;
  Error bad(sqlstate::kInvalidParameterValue, "invalid type modifier");
  switch (id) {
    case TypeId::kNumeric: {
      KAPPA_ASSIGN_OR_RETURN(int32_t modifier, NumericModifier(modifiers));
      return type.WithModifier(modifier);
    }
    case TypeId::kText: {
      if (modifiers.size() != 1) return bad;
      if (modifiers[0] < 1) return Error(sqlstate::kInvalidParameterValue, "length for type varchar must be at least 1");
      if (modifiers[0] > 10485760) return Error(sqlstate::kInvalidParameterValue, "length for type varchar cannot exceed 10485760");
      return type.WithModifier(modifiers[0] + 4);
    }
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz:
      if (modifiers.size() != 1) return bad;
      if (modifiers[0] < 0)
        return Error(sqlstate::kInvalidParameterValue, std::string(id == TypeId::kTimestamp ? "TIMESTAMP" : "TIMESTAMP WITH TIME ZONE") + "(" +
                                                           std::to_string(modifiers[0]) + ") precision must not be negative");
      return type.WithModifier(std::min(modifiers[0], 6));
    case TypeId::kInterval:
      if (modifiers.size() != 1 || modifiers[0] < 0) return bad;
      return type.WithModifier(IntervalModifier(kIntervalFullRange, std::min(modifiers[0], 6)));
    case TypeId::kFloat8:  // float(p)
      if (modifiers.size() != 1) return bad;
      if (modifiers[0] < 1) return Error(sqlstate::kInvalidParameterValue, "precision for type float must be at least 1 bit");
      if (modifiers[0] > 53) return Error(sqlstate::kInvalidParameterValue, "precision for type float must be less than 54 bits");
      if (modifiers[0] <= 24) {
        if (type.is_array()) type.element = TypeId::kFloat4;
        else type.id = TypeId::kFloat4;
      }
      return type;
    default: return Error(sqlstate::kSyntaxError, "type modifier is not allowed for type \"" + std::string(name) + "\"");
  }
}

// Text of a modifier as format_type prints it: "(12,2)", or "" without one.
std::string ModifierText(TypeId id, int32_t modifier) {
  if (modifier < 0) return "";
  switch (id) {
    case TypeId::kNumeric:
      if (modifier < 4) return "";
      return "(" + std::to_string(NumericPrecision(modifier)) + "," + std::to_string(NumericScale(modifier)) + ")";
    case TypeId::kText: return "(" + std::to_string(modifier - 4) + ")";
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return "(" + std::to_string(modifier) + ")";
    case TypeId::kInterval: return IntervalModifierText(modifier);
    default: return "";
  }
}

std::string ScalarName(TypeId id, int32_t modifier) {
  std::string suffix = ModifierText(id, modifier);
  switch (id) {
    case TypeId::kText: return suffix.empty() ? "text" : "character varying" + suffix;
    case TypeId::kTimestamp: return "timestamp" + suffix + " without time zone";
    case TypeId::kTimestamptz: return "timestamp" + suffix + " with time zone";
    case TypeId::kEnum:
      if (const EnumDefinition* definition = FindEnum(Type(id).WithModifier(modifier))) return definition->name;
      return Facts(id).sql_name;
    case TypeId::kRecord:
      if (const RecordDefinition* definition = FindRecord(Type(id).WithModifier(modifier)); definition != nullptr && !definition->name.empty())
        return definition->name;
      return Facts(id).sql_name;
    default: return Facts(id).sql_name + suffix;
  }
}

}  // namespace

bool Type::is_variable() const {
  switch (id) {
    case TypeId::kUnknown:
    case TypeId::kNumeric:
    case TypeId::kText:
    case TypeId::kBytea:
    case TypeId::kJsonb:
    case TypeId::kUuid:
    case TypeId::kArray:
    case TypeId::kRecord:
    case TypeId::kEnum: return true;
    default: return false;
  }
}

int Type::width() const { return Facts(id).width; }

std::string Type::ToString() const {
  if (is_array()) return element == TypeId::kUnknown ? "anyarray" : ScalarName(element, modifier) + "[]";
  return ScalarName(id, modifier);
}

uint32_t Type::oid() const {
  if (is_enum() && modifier >= 0) return EnumOid(*this);
  if (is_record()) {
    if (const uint32_t named = CompositeOid(*this)) return named;
  }
  if (is_array()) {
    if (element == TypeId::kText && modifier >= 0) return kVarcharArrayOid;
    return element == TypeId::kUnknown ? Facts(id).oid : Facts(element).array_oid;
  }
  if (id == TypeId::kText && modifier >= 0) return kVarcharOid;
  return Facts(id).oid;
}

int16_t Type::length() const { return Facts(id).length; }

bool IsInteger(TypeId id) { return id == TypeId::kInt2 || id == TypeId::kInt4 || id == TypeId::kInt8; }
bool IsNumber(TypeId id) { return IsInteger(id) || id == TypeId::kFloat4 || id == TypeId::kFloat8 || id == TypeId::kNumeric; }

Result<Type> TypeFromName(std::string_view full_name) {
  std::string_view name = full_name;
  int dimensions = 0;
  while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
  while (name.ends_with(']')) {
    size_t open = name.rfind('[');
    if (open == std::string_view::npos) return NoSuchType(full_name);
    name = name.substr(0, open);
    ++dimensions;
  }
  // The modifier may stand in the middle: "timestamp(3) with time zone".
  std::string flat(name);
  std::vector<int> modifiers;
  bool has_modifiers = false;
  if (size_t open = flat.find('('); open != std::string::npos) {
    size_t close = flat.find(')', open);
    if (close == std::string::npos) return NoSuchType(full_name);
    KAPPA_ASSIGN_OR_RETURN(modifiers, ParseModifiers(std::string_view(flat).substr(open + 1, close - open - 1)));
    flat.erase(open, close - open + 1);
    has_modifiers = true;
  }
  while (!flat.empty() && flat.back() == ' ') flat.pop_back();
  std::string_view base = flat;
  if (base.starts_with("pg_catalog.")) base.remove_prefix(11);
  if (base.starts_with('_')) {
    base.remove_prefix(1);
    ++dimensions;
  }
  int32_t range_modifier = -1;
  if (base.starts_with("interval ")) {
    range_modifier = IntervalModifierFromWords(base.substr(9));
    if (range_modifier < 0) return NoSuchType(full_name);
    base = "interval";
    if (has_modifiers && modifiers.size() == 1) {
      range_modifier = (range_modifier & ~0xFFFF) | std::clamp(modifiers[0], 0, 6);
      has_modifiers = false;
    }
  }
  auto alias = std::find_if(kAliases.begin(), kAliases.end(), [&](const Alias& a) { return a.name == base; });
  if (alias == kAliases.end()) {
    if (std::find(std::begin(kRefused), std::end(kRefused), base) != std::end(kRefused))
      return Error(sqlstate::kFeatureNotSupported, "type \"" + std::string(base) + "\" is not supported")
          .Hint(base == "char" || base == "character" || base == "bpchar" ? "Use text or varchar."
                : base.ends_with("range")                                 ? "Keep the bounds in two columns."
                                                                          : "Use text.");
    return NoSuchType(full_name);
  }
  Type type(alias->id);
  if (dimensions > 0) {
    if (alias->id == TypeId::kUnknown) return NoSuchType(full_name);
    type = Type::ArrayOf(alias->id);
  }
  if (range_modifier >= 0) return type.WithModifier(range_modifier);
  if (!has_modifiers) return type;
  return ApplyModifiers(type, modifiers, base);
}

Type TypeFromOid(uint32_t oid) {
  if (oid == 0) return TypeId::kUnknown;
  for (const TypeFacts& facts : kFacts) {
    if (facts.oid == oid) return facts.id;
    if (facts.array_oid == oid) return Type::ArrayOf(facts.id);
  }
  switch (oid) {
    case kVarcharOid:
    case 19 /* name */:
    case 1042 /* bpchar */:
    case 18 /* "char" */: return TypeId::kText;
    case kVarcharArrayOid:
    case 1003 /* name[] */: return Type::ArrayOf(TypeId::kText);
    case 114: return TypeId::kJsonb;
    case 199: return Type::ArrayOf(TypeId::kJsonb);
    default: break;
  }
  const Type composite = CompositeFromOid(oid);
  return composite.id == TypeId::kUnknown ? EnumFromOid(oid) : composite;
}

Result<int32_t> NumericModifier(std::span<const int> modifiers) {
  if (modifiers.empty() || modifiers.size() > 2) return Error(sqlstate::kInvalidParameterValue, "invalid NUMERIC type modifier");
  int precision = modifiers[0];
  int scale = modifiers.size() == 2 ? modifiers[1] : 0;
  if (precision < 1 || precision > 1000)
    return Error(sqlstate::kInvalidParameterValue, "NUMERIC precision " + std::to_string(precision) + " must be between 1 and 1000");
  if (scale < -1000 || scale > 1000)
    return Error(sqlstate::kInvalidParameterValue, "NUMERIC scale " + std::to_string(scale) + " must be between -1000 and 1000");
  return ((precision << 16) | (scale & 0x7ff)) + 4;
}

int Schema::Find(std::string_view name) const {
  for (int i = 0; i < size(); ++i) {
    if (fields[static_cast<size_t>(i)].name == name) return i;
  }
  return -1;
}

}  // namespace kappa::data
