// Goal: decoded messages hold what was sent, and no body can make the decoder read outside it.
// Method: literal bodies, and every prefix and extension of valid ones.
#include "serve/pg/frontend_message.h"

#include <gtest/gtest.h>

#include <string>

#include "base/bytes.h"

namespace kappa::serve::pg {
namespace {

using std::string_literals::operator""s;

const std::string kParse = "name\0SELECT $1\0\0\1\0\0\0\x17"s;
const std::string kBind = "portal\0name\0\0\1\0\1\0\2\0\0\0\4\0\0\0\x2a\xff\xff\xff\xff\0\1\0\0"s;

TEST(FrontendMessageTest, ParseHoldsNameTextAndTypes) {
  const auto message = DecodeFrontendMessage('P', kParse);
  ASSERT_TRUE(message.ok());
  const auto& parse = std::get<ParseMessage>(*message);
  EXPECT_EQ(parse.name, "name");
  EXPECT_EQ(parse.text, "SELECT $1");
  EXPECT_EQ(parse.parameter_oids, std::vector<uint32_t>{23});
}

TEST(FrontendMessageTest, BindHoldsFormatsAndValues) {
  const auto message = DecodeFrontendMessage('B', kBind);
  ASSERT_TRUE(message.ok());
  const auto& bind = std::get<BindMessage>(*message);
  EXPECT_EQ(bind.portal, "portal");
  EXPECT_EQ(bind.statement, "name");
  EXPECT_EQ(bind.parameter_formats, std::vector<int16_t>{1});
  ASSERT_EQ(bind.parameters.size(), 2u);
  EXPECT_EQ(bind.parameters[0], "\0\0\0\x2a"s);
  EXPECT_FALSE(bind.parameters[1].has_value());
  EXPECT_EQ(bind.result_formats, std::vector<int16_t>{0});
}

// A body that is cut anywhere, or has a byte too many, is malformed: fields never run into the next message.
TEST(FrontendMessageTest, RefusesEveryPrefixAndTrailingBytes) {
  const std::pair<char, std::string> valid[] = {{'P', kParse},     {'B', kBind},      {'Q', "SELECT 1\0"s},
                                                {'D', "Sname\0"s}, {'C', "Pname\0"s}, {'E', "p\0\0\0\0\1"s}};
  for (const auto& [type, body] : valid) {
    ASSERT_TRUE(DecodeFrontendMessage(type, body).ok()) << type;
    for (size_t length = 0; length < body.size(); ++length) {
      const auto cut = DecodeFrontendMessage(type, body.substr(0, length));
      ASSERT_FALSE(cut.ok()) << type << " cut to " << length;
      EXPECT_EQ(cut.error().sqlstate(), "08P01");
    }
    EXPECT_FALSE(DecodeFrontendMessage(type, body + "x").ok()) << type;
  }
}

// A count of 65535 in a short body must be refused before anything of that size is allocated.
TEST(FrontendMessageTest, RefusesCountsBeyondTheBody) {
  EXPECT_FALSE(DecodeFrontendMessage('P', "\0\0\xff\xff\0\0\0\1"s).ok());
  EXPECT_FALSE(DecodeFrontendMessage('B', "\0\0\xff\xff\0\1"s).ok());
  EXPECT_FALSE(DecodeFrontendMessage('B',
                                     "\0\0\0\0\0\1\x7f\xff\xff\xff"
                                     "abc\0\0"s)
                   .ok());
  EXPECT_FALSE(DecodeFrontendMessage('B', "\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"s).ok());
}

TEST(FrontendMessageTest, RefusesUnknownTypesAndKinds) {
  EXPECT_FALSE(DecodeFrontendMessage('z', "").ok());
  EXPECT_FALSE(DecodeFrontendMessage('D', "Xname\0"s).ok());
}

TEST(StartupPacketTest, HoldsParameters) {
  const std::string body = "\0\3\0\0user\0me\0database\0db\0\0"s;
  const auto packet = DecodeStartup(body);
  ASSERT_TRUE(packet.ok());
  EXPECT_EQ(packet->kind, StartupPacket::Kind::kStartup);
  ASSERT_EQ(packet->parameters.size(), 2u);
  EXPECT_EQ(packet->parameters[1].second, "db");
}

TEST(StartupPacketTest, RefusesCutPackets) {
  const std::string body = "\0\3\0\0user\0me\0\0"s;
  for (size_t length = 0; length < body.size(); ++length) EXPECT_FALSE(DecodeStartup(body.substr(0, length)).ok()) << length;
  EXPECT_FALSE(DecodeStartup(body + "x").ok());
  EXPECT_FALSE(DecodeStartup("\x04\xd2\x16\x2e\0\0\0\1"s).ok());  // a cancel request without secret
}

}  // namespace
}  // namespace kappa::serve::pg
