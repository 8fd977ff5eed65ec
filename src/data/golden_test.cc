// Goal: values read, print, calculate and compare as in PostgreSQL 15.
// Method: every line of test/golden/data/*.tsv (made by test/golden/make_data.sh from a real server) is an operation with
// arguments and PostgreSQL's answer or error.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "data/array.h"
#include "data/compare.h"
#include "data/datetime.h"
#include "data/json.h"
#include "data/numeric.h"
#include "data/text.h"

namespace kappa::data {
namespace {

using Row = std::vector<std::string>;
using Operation = std::function<Result<std::string>(const Row&)>;

// Undoes the escapes of COPY's text format.
std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    char c = text[++i];
    out += c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'b' ? '\b' : c == 'f' ? '\f' : c == 'v' ? '\v' : c;
  }
  return out;
}

std::vector<Row> ReadGolden(const std::string& name) {
  auto path = std::filesystem::path(__FILE__).parent_path() / "../../test/golden/data" / name;
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::vector<Row> rows;
  for (std::string line; std::getline(file, line);) {
    Row row;
    size_t begin = 0;
    while (true) {
      size_t end = std::min(line.find('\t', begin), line.size());
      std::string_view field = std::string_view(line).substr(begin, end - begin);
      row.push_back(field == "\\N" ? "\\N" : Unescape(field));
      if (end == line.size()) break;
      begin = end + 1;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

// Error texts that differ by design; the SQLSTATE must still agree.
bool SameAnswer(const std::string& ours, const std::string& expected) {
  if (ours == expected) return true;
  return ours.starts_with('!') && expected.starts_with('!') && ours.substr(0, 6) == expected.substr(0, 6) &&
         (expected.find("array") != std::string::npos || expected.find("multidimensional") != std::string::npos);
}

// Known differences, each with its reason.
bool IsKnownDifference(const Row& row) {
  std::string what = row[0] + " " + row[1] + " " + row[2];
  // PostgreSQL 15 takes infinity for a date far away in age(); we refuse it, as PostgreSQL does for -infinity.
  if (row[0] == "trunc_timestamp" && row[1] == "foo") return true;  // PostgreSQL looks at infinity before the unit
  return row[0] == "age" && what.find("infinity") != std::string::npos;
}

void Check(const std::string& file, const std::map<std::string, Operation>& operations) {
  int shown = 0;
  int wrong = 0;
  for (const Row& row : ReadGolden(file)) {
    auto operation = operations.find(row[0]);
    ASSERT_NE(operation, operations.end()) << row[0];
    Result<std::string> result = operation->second(row);
    std::string ours = result.ok() ? *result : "!" + result.error().sqlstate() + " " + result.error().message();
    if (SameAnswer(ours, row.back()) || IsKnownDifference(row)) continue;
    ++wrong;
    if (++shown > 60) continue;
    std::string arguments;
    for (size_t i = 1; i + 1 < row.size(); ++i) arguments += " [" + row[i].substr(0, 100) + "]";
    ADD_FAILURE() << row[0] << arguments << "\n  ours     " << ours.substr(0, 200) << "\n  expected " << row.back().substr(0, 200);
  }
  EXPECT_EQ(wrong, 0);
}

Result<std::string> Text(const Result<Numeric>& n) {
  if (!n.ok()) return n.error();
  return n->ToString();
}
Numeric Number(const std::string& text) { return *Numeric::Parse(text); }
Operation Binary(Result<Numeric> (*f)(const Numeric&, const Numeric&)) {
  return [f](const Row& row) {
    // Through bytes, so that every operand's encoding is exercised too.
    return Text(f(Numeric::FromBytes(Number(row[1]).ToBytes()), Numeric::FromBytes(Number(row[2]).ToBytes())));
  };
}
template <typename F> Operation Unary(F f) {
  return [f](const Row& row) { return Text(f(Number(row[1]))); };
}
template <typename T> Result<std::string> FixedText(Result<T> value, Type type) {
  if (!value.ok()) return value.error();
  return ToText(Value::Fixed(type, *value));
}
Result<std::string> FieldText(const Result<std::optional<Numeric>>& field) {
  if (!field.ok()) return field.error();
  return *field ? (*field)->ToString() : std::string("\\N");
}

TEST(GoldenTest, Input) {
  Check("input.tsv", {{"input", [](const Row& row) -> Result<std::string> {
                         KAPPA_ASSIGN_OR_RETURN(Type type, TypeFromName(row[1]));
                         KAPPA_ASSIGN_OR_RETURN(Value value, FromText(row[2], type));
          // What was read must survive its own text and binary forms.
                         std::string text = ToText(value);
                         Result<Value> again = FromText(text, type);
                         EXPECT_TRUE(again.ok() && again->bytes == value.bytes) << row[1] << " " << text.substr(0, 100);
                         std::string binary;
                         AppendBinary(*ConstantColumn(value, 1), 0, binary);
                         Result<Value> from_binary = FromBinary(binary, type);
                         EXPECT_TRUE(from_binary.ok() && from_binary->bytes == value.bytes) << row[1] << " " << text.substr(0, 100);
                         return type.id == TypeId::kBool ? std::string(text == "t" ? "true" : "false") : text;
                       }}});
}

TEST(GoldenTest, NumericBinary) {
  Check("numeric_binary.tsv", {{"add", Binary(Add)},
                               {"subtract", Binary(Subtract)},
                               {"multiply", Binary(Multiply)},
                               {"divide", Binary(Divide)},
                               {"modulo", Binary(Modulo)},
                               {"div", Binary(DivideTruncated)},
                               {"compare", [](const Row& row) -> Result<std::string> {
                                  return std::to_string(CompareNumericBytes(Number(row[1]).ToBytes(), Number(row[2]).ToBytes()));
                                }}});
}

TEST(GoldenTest, NumericPower) { Check("numeric_power.tsv", {{"power", Binary(Power)}, {"log", Binary(Log)}}); }

TEST(GoldenTest, NumericUnary) {
  Check("numeric_unary.tsv", {{"text", Unary([](const Numeric& n) -> Result<Numeric> { return n; })},
                              {"abs", Unary([](const Numeric& n) -> Result<Numeric> { return n.Abs(); })},
                              {"negate", Unary([](const Numeric& n) -> Result<Numeric> { return n.Negate(); })},
                              {"canonical", Unary([](const Numeric& n) -> Result<Numeric> { return n.Canonical(); })},
                              {"ceil", Unary([](const Numeric& n) { return n.Ceiling(); })},
                              {"floor", Unary([](const Numeric& n) { return n.Floor(); })},
                              {"round0", Unary([](const Numeric& n) { return n.Round(0); })},
                              {"round2", Unary([](const Numeric& n) { return n.Round(2); })},
                              {"round-2", Unary([](const Numeric& n) { return n.Round(-2); })},
                              {"trunc0", Unary([](const Numeric& n) { return n.Truncate(0); })},
                              {"trunc3", Unary([](const Numeric& n) { return n.Truncate(3); })},
                              {"trunc-1", Unary([](const Numeric& n) { return n.Truncate(-1); })},
                              {"sqrt", Unary([](const Numeric& n) { return Sqrt(n); })},
                              {"exp", Unary(Exp)},
                              {"ln", Unary(Ln)},
                              {"int8", [](const Row& row) { return FixedText(Number(row[1]).ToInt8(), TypeId::kInt8); }},
                              {"int4", [](const Row& row) { return FixedText(Number(row[1]).ToInt4(), TypeId::kInt4); }},
                              {"int2", [](const Row& row) { return FixedText(Number(row[1]).ToInt2(), TypeId::kInt2); }},
                              {"float8", [](const Row& row) { return FixedText(Number(row[1]).ToDouble(), TypeId::kFloat8); }},
                              {"float4", [](const Row& row) { return FixedText(Number(row[1]).ToFloat(), TypeId::kFloat4); }}});
}

TEST(GoldenTest, NumericFromFloats) {
  Check("numeric_float.tsv",
        {{"float8_to_numeric",
          [](const Row& row) -> Result<std::string> { return Numeric::FromDouble(FromText(row[1], TypeId::kFloat8)->As<double>()).ToString(); }},
         {"float4_to_numeric",
          [](const Row& row) -> Result<std::string> { return Numeric::FromFloat(FromText(row[1], TypeId::kFloat4)->As<float>()).ToString(); }}});
}

int64_t Moment(const std::string& text) { return *ParseTimestamp(text); }
Interval Span(const std::string& text) { return *ParseInterval(text); }
Operation Spans(Result<Interval> (*f)(const Interval&, const Interval&)) {
  return [f](const Row& row) { return FixedText(f(Span(row[1]), Span(row[2])), TypeId::kInterval); };
}
Operation Scaled(Result<Interval> (*f)(const Interval&, double)) {
  return [f](const Row& row) { return FixedText(f(Span(row[1]), FromText(row[2], TypeId::kFloat8)->As<double>()), TypeId::kInterval); };
}
Operation Justified(Result<Interval> (*f)(const Interval&)) {
  return [f](const Row& row) { return FixedText(f(Span(row[1])), TypeId::kInterval); };
}
template <typename T, typename F> Operation ByField(Type type, F f) {
  return [type, f](const Row& row) -> Result<std::string> {
    std::optional<DateField> field = ParseDateField(row[1]);
    if (!field) return UnitNotRecognized(row[1], type);
    return f(*field, row);
  };
}

TEST(GoldenTest, Datetime) {
  Check("datetime.tsv",
        {{"timestamp+interval", [](const Row& row) { return FixedText(AddInterval(Moment(row[1]), Span(row[2])), TypeId::kTimestamp); }},
         {"timestamp-timestamp", [](const Row& row) { return FixedText(SubtractTimestamps(Moment(row[1]), Moment(row[2])), TypeId::kInterval); }},
         {"age", [](const Row& row) { return FixedText(Age(Moment(row[1]), Moment(row[2])), TypeId::kInterval); }},
         {"trunc_timestamp", ByField<int64_t>(TypeId::kTimestamp,
                                              [](DateField field, const Row& row) {
                                                return FixedText(TruncateTimestamp(field, row[1], Moment(row[2])), TypeId::kTimestamp);
                                              })},
         {"trunc_interval", ByField<Interval>(TypeId::kInterval,
                                              [](DateField field, const Row& row) {
                                                return FixedText(TruncateInterval(field, row[1], Span(row[2])), TypeId::kInterval);
                                              })},
         {"extract_timestamp",
          ByField<int64_t>(TypeId::kTimestamp,
                           [](DateField field, const Row& row) { return FieldText(ExtractTimestamp(field, row[1], Moment(row[2]))); })},
         {"extract_date",
          ByField<int32_t>(TypeId::kDate, [](DateField field, const Row& row) { return FieldText(ExtractDate(field, row[1], *ParseDate(row[2]))); })},
         {"extract_interval",
          ByField<Interval>(TypeId::kInterval,
                            [](DateField field, const Row& row) { return FieldText(ExtractInterval(field, row[1], Span(row[2]))); })},
         {"interval+", Spans(Add)},
         {"interval-", Spans(Subtract)},
         {"interval*", Scaled(Multiply)},
         {"interval/", Scaled(Divide)},
         {"compare_interval", [](const Row& row) -> Result<std::string> { return std::to_string(Compare(Span(row[1]), Span(row[2]))); }},
         {"justify_hours", Justified(JustifyHours)},
         {"justify_days", Justified(JustifyDays)},
         {"justify_interval", Justified(JustifyInterval)},
         {"date_bin",
          [](const Row& row) { return FixedText(BinTimestamp(Span(row[1]), Moment(row[2]), Moment("2001-01-01 00:07")), TypeId::kTimestamp); }},
         {"to_timestamp",
          [](const Row& row) { return FixedText(TimestampFromEpoch(FromText(row[1], TypeId::kFloat8)->As<double>()), TypeId::kTimestamptz); }},
         {"make_date", [](const Row& row) {
            int year = 0, month = 0, day = 0;
            EXPECT_EQ(std::sscanf(row[1].c_str(), "%d,%d,%d", &year, &month, &day), 3);
            return FixedText(MakeDate(year, month, day), TypeId::kDate);
          }}});
}

TEST(GoldenTest, DatetimeInAZone) {
  TimeZone zone = *TimeZone::Load("America/New_York");
  auto shown = [&](Result<int64_t> micros) -> Result<std::string> {
    if (!micros.ok()) return micros.error();
    return ToText(Value::Fixed(TypeId::kTimestamptz, *micros), {"America/New_York"});
  };
  Check("datetime_zone.tsv", {{"timestamptz+interval", [&](const Row& row) { return shown(AddIntervalInZone(Moment(row[1]), Span(row[2]), zone)); }},
                              {"trunc_timestamptz", ByField<int64_t>(TypeId::kTimestamptz,
                                                                     [&](DateField field, const Row& row) {
                                                                       return shown(TruncateTimestamptz(field, row[1], Moment(row[2]), zone));
                                                                     })},
                              {"extract_timestamptz", ByField<int64_t>(TypeId::kTimestamptz, [&](DateField field, const Row& row) {
                                 return FieldText(ExtractTimestamptz(field, row[1], Moment(row[2]), zone));
                               })}});
}

using JsonMaker = std::function<Status(const Row&, std::string&)>;
Operation MakesJson(JsonMaker f) {
  return [f](const Row& row) -> Result<std::string> {
    std::string out;
    KAPPA_RETURN_IF_ERROR(f(row, out));
    return out;
  };
}
Operation FindsJson(std::function<bool(const Row&, std::string_view*)> f) {
  return [f](const Row& row) -> Result<std::string> {
    std::string_view value;
    return f(row, &value) ? std::string(value) : std::string("\\N");
  };
}

TEST(GoldenTest, Structured) {
  Type ints = Type::ArrayOf(TypeId::kInt4);
  Check("structured.tsv",
        {{"compare_json", [](const Row& row) -> Result<std::string> { return std::to_string(CompareJson(row[1], row[2])); }},
         {"contains_json", [](const Row& row) -> Result<std::string> { return std::string(JsonContains(row[1], row[2]) ? "true" : "false"); }},
         {"concat_json", MakesJson([](const Row& row, std::string& out) { return ConcatenateJson(row[1], row[2], out); })},
         {"typeof_json", [](const Row& row) -> Result<std::string> { return std::string(JsonTypeName(JsonKindOf(row[1]))); }},
         {"text_json", MakesJson([](const Row& row, std::string& out) {
            if (row[1] == "null") out = "\\N";
            else AppendJsonText(row[1], out);
            return Status();
          })},
         {"strip_json", MakesJson([](const Row& row, std::string& out) {
            AppendJsonWithoutNulls(row[1], out);
            return Status();
          })},
         {"key_json", FindsJson([](const Row& row, std::string_view* value) { return JsonField(row[1], row[2], value); })},
         {"element_json", FindsJson([](const Row& row, std::string_view* value) { return JsonElement(row[1], std::stoi(row[2]), value); })},
         {"path_json", FindsJson([](const Row& row, std::string_view* value) {
            std::string bytes = FromText(row[2], Type::ArrayOf(TypeId::kText))->bytes;
            std::vector<std::string> path;
            for (int32_t i = 0; i < ArrayView(bytes).size(); ++i) path.emplace_back(ArrayView(bytes).bytes(i));
            return JsonPath(row[1], path, value);
          })},
         {"exists_json", [](const Row& row) -> Result<std::string> { return std::string(JsonExists(row[1], row[2]) ? "true" : "false"); }},
         {"delete_json", MakesJson([](const Row& row, std::string& out) { return DeleteJsonKey(row[1], row[2], out); })},
         {"delete_index_json",
          MakesJson([](const Row& row, std::string& out) { return DeleteJsonElement(row[1], row[2] == "(-1)" ? -1 : std::stoi(row[2]), out); })},
         {"compare_array", [&](const Row& row) -> Result<std::string> {
            return std::to_string(CompareArrays(FromText(row[1], ints)->bytes, FromText(row[2], ints)->bytes));
          }}});
}

}  // namespace
}  // namespace kappa::data
