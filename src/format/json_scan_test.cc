// The scanner's grammar, held against the plain validator, in windows of every size.
#include "format/json_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "format/decoder.h"
#include "format/json_diagnosis.h"

namespace kappa::format {
namespace {

/// Records in one buffer, separated as given, with padding behind.
struct Records {
  Records(const std::vector<std::string>& texts, std::string_view separator) {
    std::vector<size_t> starts;
    for (const std::string& text : texts) {
      starts.push_back(bytes.size());
      bytes += text;
      bytes += separator;
    }
    bytes.append(kPadding, '"');  // the worst bytes to read
    for (size_t i = 0; i < texts.size(); ++i) views.emplace_back(bytes.data() + starts[i], texts[i].size());
  }
  std::string bytes;
  std::vector<std::string_view> views;
};

struct Scanned {
  bool good;
  std::vector<std::pair<JsonToken::Kind, std::string>> tokens;
  friend bool operator==(const Scanned&, const Scanned&) = default;
};

std::vector<Scanned> ScanAll(const std::vector<std::string>& names, const Records& records) {
  JsonScanner scanner(names);
  std::vector<Scanned> out;
  std::span<const std::string_view> rest = records.views;
  while (!rest.empty()) {
    const JsonScanner::Window window = scanner.Scan(rest);
    for (size_t i = 0; i < window.good; ++i) {
      Scanned one{true, {}};
      for (size_t c = 0; c < names.size(); ++c) {
        const JsonToken& token = scanner.tokens(c)[i];
        one.tokens.emplace_back(token.kind, token.text());
      }
      out.push_back(std::move(one));
    }
    if (window.bad) out.push_back({false, {}});
    EXPECT_EQ(window.records, window.good + (window.bad ? 1 : 0));
    EXPECT_GT(window.records, 0u);
    rest = rest.subspan(window.records);
  }
  return out;
}

using Token = std::pair<JsonToken::Kind, std::string>;

TEST(JsonScanTest, TokensAreTheLastMemberOfEachName) {
  Records records({R"({"a":1,"b":"x","c":[1,{"a":2}],"a":2.5})", R"({})", R"( { "b" : "q\n" , "d":null , "c" : { } } )"}, "\n");
  auto scanned = ScanAll({"a", "b", "c"}, records);
  ASSERT_EQ(scanned.size(), 3u);
  EXPECT_THAT(scanned[0].tokens,
              testing::ElementsAre(Token{JsonToken::kNumber, "2.5"}, Token{JsonToken::kString, "x"}, Token{JsonToken::kArray, R"([1,{"a":2}])"}));
  EXPECT_THAT(scanned[1].tokens, testing::Each(Token{JsonToken::kMissing, ""}));
  EXPECT_THAT(scanned[2].tokens,
              testing::ElementsAre(Token{JsonToken::kMissing, ""}, Token{JsonToken::kEscaped, R"(q\n)"}, Token{JsonToken::kObject, "{ }"}));
}

TEST(JsonScanTest, EscapedNamesAreMatchedUnescaped) {
  Records records({R"({"\u0061":1})", R"({"a\u0000":1})", R"({"a":3})"}, "\n");
  auto scanned = ScanAll({"a"}, records);
  EXPECT_EQ(scanned[0].tokens[0].second, "1");
  EXPECT_EQ(scanned[1].tokens[0].first, JsonToken::kMissing);
  EXPECT_EQ(scanned[2].tokens[0].second, "3");
}

TEST(JsonScanTest, GrammarIsCheckedEverywhere) {
  const std::vector<std::string> bad = {
      R"({"a":1)",
      R"({"a":)",
      R"({"a")",
      R"({"a)",
      "{",
      "}",
      "",
      " ",
      "1",
      "[]",
      "null",
      R"({"a":1}})",
      R"({"a":1}x)",
      R"({"a":1} {"a":2})",
      R"({"a":1,})",
      R"({,"a":1})",
      R"({"a" 1})",
      R"({"a"::1})",
      R"({a:1})",
      R"({'a':1})",
      R"({"a":01})",
      R"({"a":-})",
      R"({"a":1.})",
      R"({"a":.5})",
      R"({"a":1e})",
      R"({"a":+1})",
      R"({"a":tru})",
      R"({"a":truex})",
      R"({"a":NaN})",
      R"({"a":nul})",
      R"({"a":"x"y})",
      R"({"a":x"y"})",
      R"({"a":1"y"})",
      R"({"a":"\x"})",
      R"({"a":"\u12"})",
      R"({"a":"\u12g4"})",
      R"({"z":"\q"})",
      R"({"z\q":1})",
      R"({"z":[1,2,]})",
      R"({"z":[1 2]})",
      R"({"z":[)",
      R"({"z":[}])",
      R"({"z":{"a":1]})",
      R"({"z":{1:2}})",
      R"({"z":{"a"}})",
      R"({"a":1]})",
      "{\"a\":\"\x01\"}",
      "{\"a\":\"\n\"}",
      "{\"a\":\"\xff\"}",
      "{\"a\":\"\xc0\x80\"}",
      "{\"a\":\"\xed\xa0\x80\"}",
      "{\"a\":1}\xff",
      "{\"a\":\x01}",
      "{\"a\":1}\\",
      "\xef\xbb\xbf{}",
      std::string("{\"a\":1}\0", 8),
      R"({"z":[[[01]]]})",
      R"({"a":"\")",
  };
  for (const std::string& text : bad) {
    EXPECT_NE(JsonDiagnosis(text), "") << text;
    // Between good records, in a row and apart; the neighbours must not notice.
    for (std::string_view separator : {"\n", "\r\n", "#\"", ""}) {
      Records records({R"({"a":1})", text, R"({"a":2})", text, text, R"({"a":3})"}, separator);
      auto scanned = ScanAll({"a"}, records);
      ASSERT_EQ(scanned.size(), 6u) << text;
      for (size_t i : {1, 3, 4}) EXPECT_FALSE(scanned[i].good) << text << " in a row: " << separator;
      EXPECT_EQ(scanned[0].tokens, std::vector<Token>({{JsonToken::kInteger, "1"}})) << text;
      EXPECT_EQ(scanned[2].tokens, std::vector<Token>({{JsonToken::kInteger, "2"}})) << text;
      EXPECT_EQ(scanned[5].tokens, std::vector<Token>({{JsonToken::kInteger, "3"}})) << text;
    }
  }
}

// Records spelled alike are parsed by their shape, others between them by structure; the tokens must not tell.
TEST(JsonScanTest, ShapesGiveTheSameTokens) {
  const std::vector<std::string> kinds = {
      R"({"a":%,"b":"x%","c":[%,{"q":"%"}]})",
      R"({"a": %, "b": "\u00e9%", "other": {"deep": [null, %]}})",
      R"({"b":"%"})",
      R"({"a":-%,"a":%e2,"c":null})",
      "{\"b\":\"gr\xc3\xbc\xc3\x9f %\",\"a\":%.50,\"c\":true}\r",
      R"({"c":{ "x" : [ ] },"a":false})",
      R"({"long":"a literal of more than thirty-two bytes stands behind","name of more than thirty-two bytes, twice as long it is":%,"a":1})"};
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::string> texts;
    const size_t variety = 1 + random() % kinds.size();
    for (int i = 0; i < 700; ++i) {
      std::string text = kinds[random() % 40 == 0 ? random() % kinds.size() : random() % variety];
      for (size_t at; (at = text.find('%')) != std::string::npos;)
        text.replace(at, 1, std::to_string(1 + random() % (i % 2 == 0 ? 10 : 2'000'000'000)));
      texts.push_back(std::move(text));
    }
    const std::vector<std::string> names = {"c", "a", "absent", "b"};
    const auto scanned = ScanAll(names, Records(texts, "\n"));
    ASSERT_EQ(scanned.size(), texts.size());
    for (size_t i = 0; i < texts.size(); ++i) ASSERT_EQ(ScanAll(names, Records({texts[i]}, "\n"))[0], scanned[i]) << texts[i];
  }
}

TEST(JsonScanTest, DepthIsBounded) {
  auto nested = [](int depth) {
    return R"({"a":)" + std::string(static_cast<size_t>(depth - 1), '[') + std::string(static_cast<size_t>(depth - 1), ']') + "}";
  };
  Records records({nested(kJsonDepthMax), nested(kJsonDepthMax + 1), nested(100000), R"({"a":1})"}, "\n");
  auto scanned = ScanAll({"a"}, records);
  EXPECT_TRUE(scanned[0].good);
  EXPECT_FALSE(scanned[1].good);
  EXPECT_FALSE(scanned[2].good);
  EXPECT_TRUE(scanned[3].good);
  EXPECT_EQ(JsonDiagnosis(nested(kJsonDepthMax)), "");
  EXPECT_EQ(JsonDiagnosis(nested(kJsonDepthMax + 1)), "invalid JSON at byte 1028: nesting is too deep");
}

TEST(JsonScanTest, DiagnosisNamesThePlace) {
  EXPECT_EQ(JsonDiagnosis(R"({"a":1,"b":tru})"), "invalid JSON at byte 11: expected a value");
  EXPECT_EQ(JsonDiagnosis(R"({"a":1)"), "invalid JSON at byte 6: unexpected end of input");
  EXPECT_EQ(JsonDiagnosis(R"({"a":1} x)"), "invalid JSON at byte 8: unexpected text after the object");
  EXPECT_EQ(JsonDiagnosis("{\"a\":\"\xff\"}"), "invalid JSON at byte 6: invalid byte sequence for encoding \"UTF8\"");
  EXPECT_EQ(JsonDiagnosis("[1]"), "invalid JSON at byte 0: expected a JSON object");
}

// Damages good records at random and compares the scanner with the validator, in one window and one by one.
TEST(JsonScanTest, AgreesWithTheValidatorOnDamagedRecords) {
  std::mt19937 random(7);
  const std::vector<std::string> seeds = {
      R"({"event_id":17,"user":"u1\"2","tags":["a","b\\",{"x":[]}],"n":-1.5e+3,"t":true,"f":false,"z":null})",
      R"({"a":"plain text without anything","b":"\u00e9\ud83d\ude00","c":{"d":{"e":[1,2,3]}}})",
      "{\"a\":\"gr\xc3\xbc\xc3\x9f\xe2\x82\xac\xf0\x9f\x98\x80\"}",
  };
  const std::string alphabet = "{}[]:,\"\\ \n\t0123456789-+.eEtrufalsn\x01\xc3\xff";
  for (int round = 0; round < 500; ++round) {
    std::vector<std::string> texts, whole;
    for (int i = 0; i < 8; ++i) {
      std::string text = seeds[random() % seeds.size()];
      whole.push_back(text);
      for (unsigned edits = random() % 3; edits > 0; --edits) {
        const size_t at = random() % text.size();
        switch (random() % 3) {
          case 0: text[at] = alphabet[random() % alphabet.size()]; break;
          case 1: text.erase(at, 1 + random() % 3); break;
          default: text.insert(at, 1, alphabet[random() % alphabet.size()]); break;
        }
        if (text.empty()) text = "{";
      }
      texts.push_back(text);
    }
    const std::vector<std::string> names = {"user", "a", "tags", "n", "c"};
    Records together(texts, "\n");
    Records apart(texts, "\"[");
    const auto scanned = ScanAll(names, together);
    ASSERT_EQ(scanned, ScanAll(names, apart));
    for (size_t i = 0; i < texts.size(); ++i) {
      ASSERT_EQ(scanned[i].good, JsonDiagnosis(texts[i]).empty()) << texts[i] << "\n" << JsonDiagnosis(texts[i]);
      ASSERT_EQ(ScanAll(names, Records({texts[i]}, "\n"))[0], scanned[i]) << texts[i];
      // Behind records of the shape that it had before the damage.
      ASSERT_EQ(ScanAll(names, Records({whole[i], whole[i], texts[i]}, "\n"))[2], scanned[i]) << texts[i];
    }
  }
}

}  // namespace
}  // namespace kappa::format
