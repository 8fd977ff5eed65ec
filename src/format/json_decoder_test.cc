// What JSON records become: values of every type, what makes a record bad, and that grouping changes nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/enum_type.h"
#include "data/record.h"
#include "data/text.h"
#include "format/decoder.h"

namespace kappa::format {
namespace {

using data::TypeId;

data::Schema SchemaOf(const std::vector<std::pair<std::string, std::string>>& columns) {
  data::Schema schema;
  for (const auto& [name, type] : columns) {
    const bool not_null = type.ends_with(" not null");
    auto parsed = data::TypeFromName(not_null ? type.substr(0, type.size() - 9) : type);
    EXPECT_TRUE(parsed.ok()) << type;
    schema.fields.push_back({name, *parsed, !not_null});
  }
  return schema;
}

struct Decoded {
  std::vector<std::vector<std::string>> rows;  // "NULL" for NULL
  std::vector<int32_t> good;
  std::vector<std::pair<int64_t, std::string>> bad;
};

Decoded Decode(JsonDecoder& decoder, const std::vector<std::string>& records) {
  auto bytes = std::make_shared<std::string>();
  std::vector<size_t> starts;
  for (const std::string& record : records) {
    starts.push_back(bytes->size());
    *bytes += record + "\n";
  }
  bytes->append(kPadding, '\0');
  std::vector<std::string_view> views;
  for (size_t i = 0; i < records.size(); ++i) views.emplace_back(bytes->data() + starts[i], records[i].size());
  Decoded out;
  std::vector<BadRecord> bad;
  auto batch = decoder.Decode(views, bytes, out.good, bad);
  EXPECT_TRUE(batch.ok());
  bytes.reset();  // the columns keep what they need
  EXPECT_EQ(batch->rows, static_cast<int64_t>(out.good.size()));
  for (int64_t row = 0; row < batch->rows; ++row) {
    std::vector<std::string> values;
    for (const data::ColumnPtr& column : batch->columns) {
      EXPECT_EQ(column->size(), batch->rows);
      std::string text = "NULL";
      if (!column->IsNull(row)) {
        text.clear();
        data::AppendText(*column, row, {}, text);
      }
      values.push_back(text);
    }
    out.rows.push_back(values);
  }
  for (const BadRecord& b : bad) out.bad.emplace_back(b.index, b.reason);
  return out;
}

/// The text of one value of a type, or the reason why not.
std::string One(const std::string& type, const std::string& json, JsonTimestamps timestamps = JsonTimestamps::kIso) {
  JsonDecoder decoder(SchemaOf({{"c", type}}), {0}, {.json_timestamps = timestamps});
  Decoded decoded = Decode(decoder, {"{\"c\":" + json + "}"});
  if (!decoded.bad.empty()) return decoded.bad[0].second;
  return decoded.rows[0][0];
}

TEST(JsonDecoderTest, ScalarsOfEveryType) {
  EXPECT_EQ(One("bool", "true"), "t");
  EXPECT_EQ(One("bool", R"("off")"), "f");
  EXPECT_EQ(One("smallint", "-32768"), "-32768");
  EXPECT_EQ(One("int", "1.0"), "1");
  EXPECT_EQ(One("int", "1e3"), "1000");
  EXPECT_EQ(One("int", R"("42")"), "42");
  EXPECT_EQ(One("bigint", "-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(One("bigint", "12345678901234567"), "12345678901234567");
  EXPECT_EQ(One("real", "0.1"), "0.1");
  EXPECT_EQ(One("float8", "1e300"), "1e+300");
  EXPECT_EQ(One("float8", R"("NaN")"), "NaN");
  EXPECT_EQ(One("numeric", "12.3400"), "12.3400");
  EXPECT_EQ(One("numeric", "0.1000000000000000055511151231257827"), "0.1000000000000000055511151231257827");
  EXPECT_EQ(One("numeric", "-1.5e3"), "-1500");
  EXPECT_EQ(One("numeric(12,2)", "12.3"), "12.30");
  EXPECT_EQ(One("numeric(12,2)", "12.345"), "12.35");
  EXPECT_EQ(One("numeric(4,2)", "-99.99"), "-99.99");
  EXPECT_EQ(One("text", R"("abc")"), "abc");
  EXPECT_EQ(One("text", R"("twelve bytes")"), "twelve bytes");
  EXPECT_EQ(One("text", R"("longer than twelve bytes")"), "longer than twelve bytes");
  EXPECT_EQ(One("text", R"("a\"b\\c\/\b\f\n\r\t\u00e9\ud83d\ude00")"), "a\"b\\c/\b\f\n\r\té😀");
  EXPECT_EQ(One("text", "12.50"), "12.50");
  EXPECT_EQ(One("text", "true"), "true");
  EXPECT_EQ(One("text", R"({"a": [1, "x\n"]})"), R"({"a": [1, "x\n"]})");
  EXPECT_EQ(One("text", "null"), "NULL");
  EXPECT_EQ(One("varchar(3)", R"("äöü")"), "äöü");
  EXPECT_EQ(One("date", R"("2026-02-28")"), "2026-02-28");
  EXPECT_EQ(One("timestamp", R"("2026-01-01T10:20:30.123456")"), "2026-01-01 10:20:30.123456");
  EXPECT_EQ(One("timestamp", R"("2026-01-01T10:20:30+02:00")"), "2026-01-01 10:20:30");
  EXPECT_EQ(One("timestamp", R"("2026-01-01T10:20:30Z")"), "2026-01-01 10:20:30");
  EXPECT_EQ(One("timestamptz", R"("2026-01-01T10:20:30.5+02:00")"), "2026-01-01 08:20:30.5+00");
  EXPECT_EQ(One("timestamptz", R"("2026-01-01 10:20")"), "2026-01-01 10:20:00+00");
  EXPECT_EQ(One("interval", R"("1 day 02:03:04")"), "1 day 02:03:04");
  EXPECT_EQ(One("jsonb", R"({ "b" : 1, "a" : [ "x", null ] })"), R"({"a": ["x", null], "b": 1})");
  EXPECT_EQ(One("jsonb", R"("text")"), R"("text")");
  EXPECT_EQ(One("jsonb", R"("\u00e9\n")"), R"("é\n")");
  EXPECT_EQ(One("jsonb", "null"), "NULL");
  EXPECT_EQ(One("uuid", R"("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11")"), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
  EXPECT_EQ(One("bytea", R"("\\xDEAD")"), "\\xdead");
}

TEST(JsonDecoderTest, ObjectsAreCompositeValues) {
  const data::Type inner = data::RegisterRecord({{"x", "at"}, {data::TypeId::kInt4, data::TypeId::kTimestamptz}, "inner_of_test"});
  const data::Type outer = data::RegisterRecord({{"name", "in", "list", "all"},
                                                 {data::TypeId::kText, inner, data::Type::ArrayOf(data::TypeId::kInt4), data::ArrayType(inner)},
                                                 "outer_of_test"});
  JsonDecoder decoder(data::Schema{{{"c", outer}}}, {0}, {.json_timestamps = JsonTimestamps::kSeconds});
  const auto one = [&](const std::string& json) {
    const Decoded decoded = Decode(decoder, {"{\"c\": " + json + "}"});
    return decoded.bad.empty() ? decoded.rows[0][0] : decoded.bad[0].second;
  };
  EXPECT_EQ(one(R"x({"name": "a\"b", "in": {"x": 1, "at": 60}, "list": [1, null], "all": [{"x": 2}, null, {"at": "2024-01-01T00:00:00Z"}]})x"),
            R"x(("a""b","(1,""1970-01-01 00:01:00+00"")","{1,NULL}","{""(2,)"",NULL,""(,\\""2024-01-01 00:00:00+00\\"")""}"))x");
  EXPECT_EQ(one(R"x({"other": [{"name": 1}], "n\u0061me": "escaped key", "name2": {}})x"), R"x(("escaped key",,,))x");
  EXPECT_EQ(one(R"x({"name": "first", "name": "last"})x"), "(last,,,)");
  EXPECT_EQ(one("{}"), "(,,,)");
  EXPECT_EQ(one("null"), "NULL");
  EXPECT_EQ(one(R"x("(a,\"(5,)\",,)")x"), R"x((a,"(5,)",,))x");
  EXPECT_EQ(one("[1]"), "column \"c\": JSON has an array where outer_of_test is expected");
  EXPECT_EQ(one("5"), "column \"c\": JSON has a number where outer_of_test is expected");
  EXPECT_EQ(one(R"x({"in": {"x": "one"}})x"), "column \"c\": field \"in\": field \"x\": invalid input syntax for type integer: \"one\"");
  EXPECT_EQ(one(R"x({"list": [[1], [1, 2]]})x").substr(0, 45), "column \"c\": field \"list\": malformed JSON arra");
  EXPECT_EQ(one(R"x("(a)")x"), "column \"c\": malformed record literal: \"(a)\". Too few columns.");
}

TEST(JsonDecoderTest, Arrays) {
  EXPECT_EQ(One("text[]", R"(["a","b c",null,"NULL","","x\"y",true,1.50])"), R"({a,"b c",NULL,"NULL","","x\"y",true,1.50})");
  EXPECT_EQ(One("int[]", "[1, 2, null]"), "{1,2,NULL}");
  EXPECT_EQ(One("int[]", "[]"), "{}");
  EXPECT_EQ(One("int[]", "[1.0]"), "{1}");
  EXPECT_EQ(One("int[]", "[[1,2],[3,4]]"), "{{1,2},{3,4}}");
  EXPECT_EQ(One("int[]", R"("{1,2}")"), "{1,2}");
  EXPECT_EQ(One("numeric(6,2)[]", "[1.005]"), "{1.01}");
  EXPECT_EQ(One("timestamptz[]", "[1.5]", JsonTimestamps::kSeconds), R"({"1970-01-01 00:00:01.5+00"})");
  EXPECT_EQ(One("jsonb[]", R"([{"a":"]"},null,"x"])"), R"({"{\"a\": \"]\"}",NULL,"\"x\""})");
  EXPECT_THAT(One("int[]", "[[1,2],[3]]"), testing::HasSubstr("column \"c\": "));
  EXPECT_THAT(One("int[]", "[[1,2],3]"), testing::HasSubstr("column \"c\": "));
  EXPECT_THAT(One("int[]", R"(["x"])"), testing::HasSubstr("invalid input syntax for type integer: \"x\""));
  EXPECT_THAT(One("int[]", "[[[[[[[1]]]]]]]"), testing::HasSubstr("dimensions"));
  EXPECT_THAT(One("int[]", R"({"a":1})"), testing::HasSubstr("JSON has an object where integer[] is expected"));
}

TEST(JsonDecoderTest, NumbersAsTimestamps) {
  EXPECT_EQ(One("timestamptz", "1767225600.5", JsonTimestamps::kSeconds), "2026-01-01 00:00:00.5+00");
  EXPECT_EQ(One("timestamptz", "1767225600000.25", JsonTimestamps::kMillis), "2026-01-01 00:00:00.00025+00");
  EXPECT_EQ(One("timestamp", "1767225600000001", JsonTimestamps::kMicros), "2026-01-01 00:00:00.000001");
  EXPECT_EQ(One("timestamp", "-1e0", JsonTimestamps::kSeconds), "1969-12-31 23:59:59");
  EXPECT_EQ(One("date", "-1", JsonTimestamps::kMillis), "1969-12-31");
  EXPECT_EQ(One("timestamptz", R"("2026-01-01T00:00:00Z")", JsonTimestamps::kMillis), "2026-01-01 00:00:00+00");
  EXPECT_EQ(One("timestamptz", "1", JsonTimestamps::kIso),
            "column \"c\": JSON has a number where an ISO 8601 string is expected for type timestamp with time zone");
  EXPECT_EQ(One("timestamptz", "1e30", JsonTimestamps::kSeconds), "column \"c\": timestamp out of range: \"1e30\"");
  EXPECT_EQ(One("timestamptz", "-1e15", JsonTimestamps::kSeconds), "column \"c\": timestamp out of range: \"-1e15\"");
}

TEST(JsonDecoderTest, ValuesOfTheWrongTypeMakeBadRecords) {
  EXPECT_EQ(One("int", R"("x")"), "column \"c\": invalid input syntax for type integer: \"x\"");
  EXPECT_EQ(One("int", "1.5"), "column \"c\": invalid input syntax for type integer: \"1.5\"");
  EXPECT_EQ(One("int", "2147483648"), "column \"c\": value \"2147483648\" is out of range for type integer");
  EXPECT_EQ(One("bigint", "9223372036854775808"), "column \"c\": value \"9223372036854775808\" is out of range for type bigint");
  EXPECT_EQ(One("bigint", "1e400"), "column \"c\": value \"1e400\" is out of range for type bigint");
  EXPECT_EQ(One("int", "true"), "column \"c\": JSON has a boolean where integer is expected");
  EXPECT_EQ(One("bool", "1"), "column \"c\": JSON has a number where boolean is expected");
  EXPECT_EQ(One("int", "[1]"), "column \"c\": JSON has an array where integer is expected");
  EXPECT_EQ(One("timestamptz", "{}"), "column \"c\": JSON has an object where timestamp with time zone is expected");
  EXPECT_THAT(One("float8", "1e400"), testing::HasSubstr("out of range"));
  EXPECT_THAT(One("numeric(4,2)", "100"), testing::HasSubstr("numeric field overflow"));
  EXPECT_THAT(One("varchar(3)", R"("abcd")"), testing::HasSubstr("value too long for type character varying(3)"));
  EXPECT_THAT(One("timestamptz", R"("2026-13-01T00:00:00Z")"), testing::HasSubstr("date/time field value out of range"));
  EXPECT_THAT(One("uuid", R"("x")"), testing::HasSubstr("invalid input syntax for type uuid"));
  EXPECT_THAT(One("text", R"("a\u0000b")"), testing::HasSubstr("\\u0000 cannot be converted to text"));
  EXPECT_THAT(One("text", R"("\ud800")"), testing::HasSubstr("surrogate"));
  EXPECT_THAT(One("text", R"("\udc00")"), testing::HasSubstr("surrogate"));
  EXPECT_THAT(One("jsonb", R"("a\u0000b")"), testing::HasSubstr("column \"c\": "));
}

TEST(JsonDecoderTest, NullsAndMissingMembers) {
  JsonDecoder decoder(SchemaOf({{"a", "int not null"}, {"b", "text"}}), {1, 0}, {});
  Decoded decoded = Decode(decoder, {R"({"a":1})", R"({"b":"x"})", R"({"a":null,"b":"x"})", R"({"a":2,"b":null,"c":[{}]})"});
  EXPECT_THAT(decoded.rows, testing::ElementsAre(testing::ElementsAre("NULL", "1"), testing::ElementsAre("NULL", "2")));
  EXPECT_THAT(decoded.good, testing::ElementsAre(0, 3));
  EXPECT_THAT(decoded.bad, testing::ElementsAre(std::pair(1, "column \"a\": null value violates not-null constraint"),
                                                std::pair(2, "column \"a\": null value violates not-null constraint")));
}

// A record is good or bad whatever columns are asked for.
TEST(JsonDecoderTest, ColumnsNotAskedForAreCheckedToo) {
  const data::Schema schema = SchemaOf({{"a", "int"}, {"b", "int"}, {"c", "text"}});
  const std::vector<std::string> records = {R"({"a":1,"b":2,"c":"x"})", R"({"a":1,"b":"y","c":"x"})", R"({"a":1,"b":2,"c":"\u0000"})",
                                            R"({"a":"z","b":"y"})"};
  for (const std::vector<int>& columns : {std::vector<int>{0}, {0, 1, 2}, {2}, {}}) {
    JsonDecoder decoder(schema, columns, {});
    Decoded decoded = Decode(decoder, records);
    EXPECT_THAT(decoded.good, testing::ElementsAre(0));
    ASSERT_EQ(decoded.bad.size(), 3u);
    EXPECT_EQ(decoded.bad[0].second, "column \"b\": invalid input syntax for type integer: \"y\"");
    EXPECT_THAT(decoded.bad[1].second, testing::StartsWith("column \"c\": "));
    EXPECT_EQ(decoded.bad[2].second, "column \"a\": invalid input syntax for type integer: \"z\"");
  }
}

TEST(JsonDecoderTest, BadRecordsNameTheByte) {
  JsonDecoder decoder(SchemaOf({{"a", "int"}}), {0}, {.record_bytes_max = 100});
  Decoded decoded =
      Decode(decoder, {R"({"a":1}})", R"({"a":1)", "", R"([1])", R"({"a":")" + std::string(100, 'x') + "\"}", R"({"a":7})", "{\"z\":\"\xff\"}"});
  EXPECT_THAT(decoded.rows, testing::ElementsAre(testing::ElementsAre("7")));
  EXPECT_THAT(decoded.bad, testing::ElementsAre(std::pair(0, "invalid JSON at byte 7: unexpected text after the object"),
                                                std::pair(1, "invalid JSON at byte 6: unexpected end of input"),
                                                std::pair(2, "invalid JSON at byte 0: empty record"),
                                                std::pair(3, "invalid JSON at byte 0: expected a JSON object"),
                                                std::pair(4, "record of 108 bytes is longer than record_bytes_max (100)"),
                                                std::pair(6, "invalid JSON at byte 6: invalid byte sequence for encoding \"UTF8\"")));
  std::vector<int32_t> good;
  std::vector<BadRecord> bad;
  const std::string_view no_value;
  ASSERT_TRUE(decoder.Decode({&no_value, 1}, nullptr, good, bad).ok());
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].reason, "record has no value");
}

TEST(JsonDecoderTest, RecordOfManyMegabytes) {
  std::string big = R"({"a":1,"t":")" + std::string(15 << 20, 'x') + "\"}";
  JsonDecoder decoder(SchemaOf({{"a", "int"}, {"t", "text"}}), {0, 1}, {});
  Decoded decoded = Decode(decoder, {R"({"a":0})", big, R"({"a":2})", big + "}"});
  ASSERT_EQ(decoded.rows.size(), 3u);
  EXPECT_EQ(decoded.rows[1][1].size(), size_t{15} << 20);
  EXPECT_EQ(decoded.rows[2][0], "2");
  EXPECT_EQ(decoded.bad.size(), 1u);
}

// The same records give the same rows in one call, one by one, and after any other records.
TEST(JsonDecoderTest, GroupingChangesNothing) {
  const data::Schema schema = SchemaOf({{"id", "bigint"}, {"s", "text"}, {"n", "numeric(10,2)"}});
  std::vector<std::string> records;
  for (int i = 0; i < 5000; ++i) {
    std::string id = std::to_string(i);
    switch (i % 7) {
      case 0: records.push_back(R"({"id":)" + id + R"(,"s":"a string of some length )" + id + R"(","n":)" + id + ".5}"); break;
      case 1: records.push_back(R"({"n":)" + id + R"(, "s":"quote \" )" + id + R"(","id":)" + id + "}"); break;
      case 2: records.push_back(R"({"id":)" + id + "}"); break;
      case 3: records.push_back(R"({"id":)" + id + R"(,"s":"x","s":"y )" + id + "\"}"); break;
      case 4: records.push_back(i % 2 == 0 ? R"({"id":)" + id : R"({"id":"not )" + id + "\"}"); break;
      default: records.push_back(R"({"id":)" + id + R"(,"s":"s)" + id + R"(","n":1})"); break;
    }
  }
  JsonDecoder decoder(schema, {0, 1, 2}, {});
  const Decoded whole = Decode(decoder, records);
  EXPECT_EQ(whole.rows.size() + whole.bad.size(), records.size());
  for (size_t step : {1, 3, 1000}) {
    Decoded parts;
    for (size_t at = 0; at < records.size(); at += step) {
      const auto from = records.begin() + static_cast<ptrdiff_t>(at);
      Decoded part = Decode(decoder, {from, from + static_cast<ptrdiff_t>(std::min(step, records.size() - at))});
      parts.rows.insert(parts.rows.end(), part.rows.begin(), part.rows.end());
      for (auto& [index, reason] : part.bad) parts.bad.emplace_back(index + static_cast<int64_t>(at), reason);
    }
    EXPECT_EQ(parts.rows, whole.rows) << step;
    EXPECT_EQ(parts.bad, whole.bad) << step;
  }
}

}  // namespace
}  // namespace kappa::format
