// Goal: the server speaks the protocol as clients rely on it, and nothing a client sends can do more than end its connection.
// Method: a raw client against a server over a fake engine; messages are compared byte for byte where it matters.
#include "serve/pg/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/bytes.h"
#include "serve/fake_engine.h"
#include "serve/net/test_client.h"
#include "serve/pg/connection.h"

namespace kappa::serve {
namespace {

using std::string_literals::operator""s;
using testing::ElementsAre;
using testing::HasSubstr;

std::string Frame(char type, const std::string& body) {
  ByteWriter writer;
  writer.Big(type);
  writer.Big(static_cast<int32_t>(body.size() + 4));
  writer.Bytes(body);
  return writer.Take();
}
std::string Packet(const std::string& body) {
  ByteWriter writer;
  writer.Big(static_cast<int32_t>(body.size() + 4));
  writer.Bytes(body);
  return writer.Take();
}
std::string Query(const std::string& text) { return Frame('Q', text + "\0"s); }
std::string Parse(const std::string& name, const std::string& text, const std::vector<int32_t>& oids = {}) {
  ByteWriter body;
  body.Bytes(name + "\0"s + text + "\0"s);
  body.Big(static_cast<int16_t>(oids.size()));
  for (const int32_t oid : oids) body.Big(oid);
  return Frame('P', body.Take());
}
std::string Bind(const std::string& portal, const std::string& statement, const std::vector<std::string>& values = {}, int16_t format = 0,
                 int16_t result_format = 0) {
  ByteWriter body;
  body.Bytes(portal + "\0"s + statement + "\0"s);
  body.Big<int16_t>(1);
  body.Big(format);
  body.Big(static_cast<int16_t>(values.size()));
  for (const std::string& value : values) {
    body.Big(static_cast<int32_t>(value.size()));
    body.Bytes(value);
  }
  body.Big<int16_t>(1);
  body.Big(result_format);
  return Frame('B', body.Take());
}
std::string Describe(char kind, const std::string& name) { return Frame('D', std::string(1, kind) + name + "\0"s); }
std::string Execute(const std::string& portal, int32_t rows_max = 0) {
  ByteWriter body;
  body.Bytes(portal + "\0"s);
  body.Big(rows_max);
  return Frame('E', body.Take());
}
const std::string kSync = Frame('S', "");

struct Message {
  char type = 0;  // 0: the server closed
  std::string body;
  /// Field of an error or notice.
  std::string Field(char name) const {
    for (size_t at = 0; at + 1 < body.size() && body[at] != 0;) {
      const size_t end = body.find('\0', at);
      if (body[at] == name) return body.substr(at + 1, end - at - 1);
      at = end + 1;
    }
    return {};
  }
};

class Client : public TestClient {
 public:
  using TestClient::TestClient;
  Message Next() {
    const std::string head = Receive(5);
    if (head.size() < 5) return {};
    ByteReader reader(head);
    Message message;
    message.type = reader.Big<char>();
    message.body = Receive(static_cast<size_t>(reader.Big<int32_t>()) - 4);
    return message;
  }
  /// All messages up to ReadyForQuery, or to the end.
  std::vector<Message> UntilReady() {
    std::vector<Message> messages;
    do messages.push_back(Next());
    while (messages.back().type != 'Z' && messages.back().type != 0);
    return messages;
  }
  /// The types of those messages, then the transaction status: "TDDCZI".
  std::string Ask(const std::string& bytes) {
    Send(bytes);
    last = UntilReady();
    std::string types;
    for (const Message& message : last) types += message.type;
    return types + (last.back().type == 'Z' ? last.back().body : "");
  }
  const Message& First(char type) const {
    for (const Message& message : last) {
      if (message.type == type) return message;
    }
    static const Message none;
    return none;
  }
  void Start(const std::string& parameters = "") {
    Send(Packet("\0\3\0\0user\0me\0"s + parameters + "\0"s));
    for (const Message& message : last = UntilReady()) {
      if (message.type == 'S')
        settings[message.body.substr(0, message.body.find('\0'))] =
            message.body.substr(message.body.find('\0') + 1, message.body.size() - message.body.find('\0') - 2);
      if (message.type == 'K') key = message.body;
    }
  }
  std::vector<Message> last;
  std::map<std::string, std::string> settings;
  std::string key;  // process id and secret
};

class PgServerTest : public testing::Test {
 protected:
  void SetUp() override { StartServer({}); }
  void StartServer(PgServerOptions options) {
    options.address = "127.0.0.1:0";
    server.reset();
    auto started = PgServer::Start(options, engine);
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    server = std::move(*started);
  }
  std::unique_ptr<Client> Connect(const std::string& parameters = "") {
    auto client = std::make_unique<Client>(server->address());
    client->Start(parameters);
    return client;
  }
  FakeEngine engine;
  std::unique_ptr<PgServer> server;
};

TEST_F(PgServerTest, RefusesEncryptionThenStarts) {
  Client client(server->address());
  client.Send(Packet("\x04\xd2\x16\x2f"));  // SSLRequest
  EXPECT_EQ(client.Receive(1), "N");
  client.Send(Packet("\x04\xd2\x16\x30"));  // GSSENCRequest
  EXPECT_EQ(client.Receive(1), "N");
  client.Start("application_name\0test\0TimeZone\0UTC\0"s);
  EXPECT_EQ(client.last.front().type, 'R');
  EXPECT_EQ(client.last.back().body, "I");
  EXPECT_EQ(client.settings["application_name"], "test");
  EXPECT_EQ(client.settings["client_encoding"], "UTF8");
  EXPECT_EQ(client.settings["session_authorization"], "me");
  EXPECT_EQ(client.settings["integer_datetimes"], "on");
  EXPECT_EQ(client.key.size(), 8u);
}

TEST_F(PgServerTest, TakesSettingsFromOptionsAndSaysWhatItIgnores) {
  const auto client = Connect("options\0-c TimeZone=Europe/Paris --application_name=a\\ b -c refused=1\0"s);
  EXPECT_EQ(client->settings["TimeZone"], "Europe/Paris");
  EXPECT_EQ(client->settings["application_name"], "a b");
  EXPECT_THAT(client->First('N').Field('M'), HasSubstr("refused"));
}

TEST_F(PgServerTest, SimpleQuerySendsWhatCameBeforeAnError) {
  const auto client = Connect();
  EXPECT_EQ(client->Ask(Query("rows 3; fail; rows 1")), "TDDDCEZI");
  EXPECT_EQ(client->First('C').body, "SELECT 3\0"s);
  const Message& error = client->First('E');
  EXPECT_EQ(error.Field('S'), "ERROR");
  EXPECT_EQ(error.Field('V'), "ERROR");
  EXPECT_EQ(error.Field('C'), "42703");
  EXPECT_EQ(error.Field('D'), "A detail.");
  EXPECT_EQ(error.Field('H'), "A hint.");
  EXPECT_EQ(error.Field('P'), "5");
  EXPECT_THAT(engine.Statements(), ElementsAre("rows 3", "fail"));
}

TEST_F(PgServerTest, RowsAreDescribedAndNullsAreMarked) {
  const auto client = Connect();
  client->Ask(Query("rows 4"));
  // Two fields: name, no table, type 20 (int8) of 8 bytes and 25 (text) of any, no modifier, text format.
  EXPECT_EQ(client->First('T').body,
            "\0\2n\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0"
            "name\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"s);
  EXPECT_EQ(client->First('D').body,
            "\0\2\0\0\0\1"
            "0\0\0\0\5row 0"s);
  EXPECT_EQ(client->last[4].body,
            "\0\2\0\0\0\1"
            "3\xff\xff\xff\xff"s);
}

TEST_F(PgServerTest, EmptyQueriesAndNotices) {
  const auto client = Connect();
  EXPECT_EQ(client->Ask(Query("")), "IZI");
  EXPECT_EQ(client->Ask(Query(" ; ")), "IZI");
  EXPECT_EQ(client->Ask(Query("note")), "NCZI");
  EXPECT_EQ(client->First('N').Field('S'), "NOTICE");
  EXPECT_EQ(client->Ask(Query("syntax")), "EZI");
}

TEST_F(PgServerTest, ReportsTheStateOfTheTransaction) {
  const auto client = Connect();
  EXPECT_EQ(client->Ask(Query("BEGIN")), "CZT");
  EXPECT_EQ(client->Ask(Query("fail")), "EZE");
  EXPECT_EQ(client->Ask(Query("ROLLBACK")), "CZI");
}

TEST_F(PgServerTest, ReportsSettingsThatChange) {
  const auto client = Connect();
  EXPECT_EQ(client->Ask(Query("SET TimeZone=Asia/Tokyo")), "CSZI");
  EXPECT_EQ(client->First('S').body, "TimeZone\0Asia/Tokyo\0"s);
  EXPECT_EQ(client->Ask(Query("SET TimeZone=Asia/Tokyo")), "CZI");
  EXPECT_EQ(client->Ask(Query("SET unreported=1")), "CZI");
}

TEST_F(PgServerTest, ExtendedQueryRunsOnePreparedStatement) {
  const auto client = Connect();
  EXPECT_EQ(client->Ask(Parse("s", "rows 2") + Describe('S', "s") + Bind("", "s") + Describe('P', "") + Execute("") + kSync), "1tT2TDDCZI");
  EXPECT_EQ(client->First('t').body, "\0\0"s);
  // The statement stays, the portal does not.
  EXPECT_EQ(client->Ask(Bind("", "s") + Execute("") + kSync), "2DDCZI");
  EXPECT_EQ(client->Ask(Execute("") + kSync), "EZI");
  EXPECT_EQ(client->First('E').Field('C'), "34000");
  EXPECT_EQ(client->Ask(Parse("s", "rows 1") + kSync), "EZI");
  EXPECT_EQ(client->First('E').Field('C'), "42P05");
  EXPECT_EQ(client->Ask(Frame('C', "Ss\0"s) + Frame('C', "Sabsent\0"s) + Bind("", "s") + kSync), "33EZI");
  EXPECT_EQ(client->First('E').Field('C'), "26000");
}

TEST_F(PgServerTest, StatementsWithoutRowsHaveNoDescription) {
  const auto client = Connect();
  EXPECT_EQ(client->Ask(Parse("", "BEGIN") + Bind("", "") + Describe('P', "") + Execute("") + kSync), "12nCZT");
  EXPECT_EQ(client->Ask(Execute("") + kSync), "EZT");  // once only
  EXPECT_EQ(client->Ask(Parse("", "") + Bind("", "") + Describe('P', "") + Execute("") + kSync), "12nIZT");
}

TEST_F(PgServerTest, AnErrorSkipsEverythingUpToSync) {
  const auto client = Connect();
  EXPECT_EQ(client->Ask(Bind("", "absent") + Parse("s", "rows 1") + Query("rows 1") + Execute("") + kSync), "EZI");
  EXPECT_TRUE(engine.Statements().empty());
  EXPECT_EQ(client->Ask(Bind("", "s") + kSync), "EZI");  // the Parse was skipped, too
  EXPECT_EQ(client->Ask(Query("rows 1")), "TDCZI");
}

TEST_F(PgServerTest, PortalsAreReadInParts) {
  const auto client = Connect();
  EXPECT_EQ(client->Ask(Parse("", "rows 5") + Bind("", "") + Execute("", 2) + Execute("", 2) + Execute("", 2) + Execute("", 2) + kSync),
            "12DDsDDsDCCZI");
  std::vector<std::string> tags;
  for (const Message& message : client->last) {
    if (message.type == 'C') tags.push_back(message.body);
  }
  EXPECT_THAT(tags, ElementsAre("SELECT 1\0"s, "SELECT 0\0"s));
  EXPECT_THAT(engine.Statements(), ElementsAre("rows 5"));  // run once
}

TEST_F(PgServerTest, PortalsLiveAsLongAsTheirTransaction) {
  const auto client = Connect();
  client->Ask(Query("BEGIN"));
  EXPECT_EQ(client->Ask(Parse("", "rows 3") + Bind("c", "") + Execute("c", 2) + kSync), "12DDsZT");
  EXPECT_EQ(client->Ask(Execute("c", 2) + kSync), "DCZT");
  EXPECT_EQ(client->Ask(Parse("", "rows 3") + Bind("c", "") + kSync), "1EZT");
  EXPECT_EQ(client->First('E').Field('C'), "42P03");
  client->Ask(Query("COMMIT"));
  EXPECT_EQ(client->Ask(Execute("c") + kSync), "EZI");
}

TEST_F(PgServerTest, ParametersAsTextAndBinary) {
  const auto client = Connect();
  EXPECT_EQ(client->Ask(Parse("", "echo") + Describe('S', "") + Bind("", "", {"42"}) + Execute("") + kSync), "1tT2DCZI");
  EXPECT_EQ(client->First('t').body, "\0\1\0\0\0\x14"s);
  EXPECT_EQ(client->First('D').body,
            "\0\1\0\0\0\2"
            "42"s);
  EXPECT_EQ(client->Ask(Parse("", "echo") + Bind("", "", {"\0\0\0\0\0\0\0\x2a"s}, 1, 1) + Describe('P', "") + Execute("") + kSync), "12TDCZI");
  EXPECT_EQ(client->First('D').body, "\0\1\0\0\0\x08\0\0\0\0\0\0\0\x2a"s);
  EXPECT_EQ(client->First('T').body.substr(client->First('T').body.size() - 2), "\0\1"s);
  // The client declared int2 and sends two bytes; the statement works with int8.
  EXPECT_EQ(client->Ask(Parse("", "echo", {21}) + Bind("", "", {"\xff\xfe"s}, 1, 0) + Execute("") + kSync), "12DCZI");
  EXPECT_EQ(client->First('D').body, "\0\1\0\0\0\2-2"s);
}

TEST_F(PgServerTest, RefusesWrongParameters) {
  const auto client = Connect();
  EXPECT_EQ(client->Ask(Parse("", "echo") + Bind("", "", {"x"}) + kSync), "1EZI");
  EXPECT_EQ(client->First('E').Field('C'), "22P02");
  EXPECT_EQ(client->Ask(Parse("", "echo") + Bind("", "", {"1", "2"}) + kSync), "1EZI");
  EXPECT_EQ(client->First('E').Field('C'), "08P01");
  EXPECT_EQ(client->Ask(Parse("", "echo") + Bind("", "", {"1"}, 7) + kSync), "1EZI");
  EXPECT_EQ(client->First('E').Field('C'), "22023");
  EXPECT_EQ(client->Ask(Parse("", "echo") + Bind("", "", {"12"}, 1) + kSync), "1EZI");
  EXPECT_EQ(client->First('E').Field('C'), "22P03");
  EXPECT_EQ(client->Ask(Parse("", "echo", {25}) + Bind("", "", {"\xff\xfe"}) + kSync), "1EZI");
  EXPECT_EQ(client->First('E').Field('C'), "22021");
  EXPECT_EQ(client->Ask(Query("\xc0\x80")), "EZI");
  EXPECT_EQ(client->First('E').Field('C'), "22021");
}

TEST_F(PgServerTest, FlushSendsWithoutEndingTheCycle) {
  const auto client = Connect();
  client->Send(Parse("", "rows 1") + Frame('H', ""));
  EXPECT_EQ(client->Next().type, '1');
  EXPECT_EQ(client->Ask(Bind("", "") + Execute("") + kSync), "2DCZI");
}

TEST_F(PgServerTest, DeallocateReachesProtocolStatements) {
  const auto client = Connect();
  client->Ask(Parse("S_1", "rows 1") + Parse("s_2", "rows 1") + kSync);
  client->Ask(Query("DEALLOCATE \"S_1\""));
  EXPECT_EQ(client->Ask(Bind("", "S_1") + kSync), "EZI");
  EXPECT_EQ(client->Ask(Bind("", "s_2") + kSync), "2ZI");
}

TEST(DeallocatedNameTest, ReadsTheName) {
  EXPECT_EQ(pg::DeallocatedName("DEALLOCATE \"_pg3_0\""), "_pg3_0");
  EXPECT_EQ(pg::DeallocatedName(" deallocate prepare S1 ; "), "s1");
  EXPECT_EQ(pg::DeallocatedName("deallocate \"a\"\"b\""), "a\"b");
  EXPECT_EQ(pg::DeallocatedName("DEALLOCATE ALL"), "");
  EXPECT_EQ(pg::DeallocatedName("DEALLOCATE"), "");
  EXPECT_EQ(pg::DeallocatedName("SELECT 1"), "");
}

TEST_F(PgServerTest, CancelNeedsTheSecret) {
  const auto client = Connect();
  client->Send(Query("wait"));
  engine.AwaitWaiting();
  std::string wrong = client->key;
  wrong.back() = static_cast<char>(wrong.back() + 1);
  Client stranger(server->address());
  stranger.Send(Packet("\x04\xd2\x16\x2e"s + wrong));
  EXPECT_EQ(stranger.ReceiveAll(), "");  // closed: the request was handled
  {
    const std::lock_guard lock(engine.mutex);
    EXPECT_EQ(engine.cancels, 0);
  }
  Client friendly(server->address());
  friendly.Send(Packet("\x04\xd2\x16\x2e"s + client->key));
  client->last = client->UntilReady();
  EXPECT_EQ(client->First('E').Field('C'), "57014");
}

TEST_F(PgServerTest, CancelWithoutStatementDoesNothing) {
  const auto client = Connect();
  Client other(server->address());
  other.Send(Packet("\x04\xd2\x16\x2e"s + client->key));
  EXPECT_EQ(other.ReceiveAll(), "");
  EXPECT_EQ(client->Ask(Query("rows 1")), "TDCZI");
}

TEST_F(PgServerTest, AClientThatLeavesCancelsItsStatement) {
  const auto client = Connect();
  client->Send(Query("wait"));
  engine.AwaitWaiting();
  client->Close();
  engine.AwaitCancelled();
  engine.AwaitEnded(1);
}

TEST_F(PgServerTest, GarbageEndsTheConnectionWithAnError) {
  const std::string frames[] = {
      "\xff\0\0\0\4"s,                    // unknown type
      "Q\0\0\0\3"s,                       // length below its own size
      "Q\x7f\xff\xff\xff"s,               // more than the limit
      "Q\xff\xff\xff\xff"s, Frame('Q', "no end"), Frame('P', "a\0b\0\0\x09"s), Frame('S', "x"), Frame('p', "password\0"s),
  };
  for (const std::string& frame : frames) {
    const auto client = Connect();
    client->Send(frame);
    const Message error = client->Next();
    EXPECT_EQ(error.type, 'E');
    EXPECT_EQ(error.Field('S'), "FATAL");
    EXPECT_EQ(error.Field('C'), "08P01");
    EXPECT_EQ(client->Next().type, 0);
  }
}

TEST_F(PgServerTest, GarbageAtStartupEndsTheConnection) {
  const std::pair<std::string, std::string> packets[] = {
      {"GET / HTTP/1.1\r\n\r\n", "08P01"},
      {"\0\0\0\4"s, "08P01"},
      {"\0\0\x27\x11"s, "08P01"},  // 10001 bytes
      {Packet("\0\3\0\0user\0me"s), "08P01"},
      {Packet("\0\2\0\0"s), "0A000"},
      {Packet("\0\3\0\0database\0x\0\0"s), "28000"},
      {Packet("\0\3\0\0user\0me\0client_encoding\0LATIN1\0\0"s), "22023"},
      {Packet("\0\3\0\0user\0me\0replication\0true\0\0"s), "0A000"},
  };
  for (const auto& [packet, state] : packets) {
    Client client(server->address());
    client.Send(packet);
    const Message error = client.Next();
    EXPECT_EQ(error.type, 'E') << testing::PrintToString(packet);
    EXPECT_EQ(error.Field('C'), state) << testing::PrintToString(packet);
    EXPECT_EQ(client.Next().type, 0);
  }
}

TEST_F(PgServerTest, AMessageMayArriveInPieces) {
  const auto client = Connect();
  const std::string bytes = Query("rows 1");
  for (const char c : bytes) client->Send(std::string(1, c));
  EXPECT_EQ(client->Ask(""), "TDCZI");
}

TEST_F(PgServerTest, NegotiatesNewerMinorVersions) {
  Client client(server->address());
  client.Send(
      Packet("\0\3\0\2user\0me\0_pq_.new\0"
             "1\0\0"s));
  const Message first = client.Next();
  EXPECT_EQ(first.type, 'v');
  EXPECT_EQ(first.body, "\0\0\0\0\0\0\0\1_pq_.new\0"s);
  EXPECT_EQ(client.UntilReady().back().body, "I");
}

TEST_F(PgServerTest, RefusesTooManyClients) {
  StartServer({.max_connections = 1});
  const auto first = Connect();
  Client second(server->address());
  second.Start();
  EXPECT_EQ(second.First('E').Field('C'), "53300");
  EXPECT_EQ(first->Ask(Query("rows 1")), "TDCZI");
}

TEST_F(PgServerTest, StatementsAndPortalsAreBounded) {
  StartServer({.statements_max = 2, .portals_max = 1});
  const auto client = Connect();
  EXPECT_EQ(client->Ask(Parse("a", "rows 1") + Parse("b", "rows 1") + Parse("c", "rows 1") + kSync), "11EZI");
  EXPECT_EQ(client->First('E').Field('C'), "53000");
  EXPECT_EQ(client->Ask(Bind("p", "a") + Bind("q", "a") + kSync), "2EZI");
}

TEST_F(PgServerTest, IdleClientsAreToldWhyTheyAreClosed) {
  StartServer({.idle_timeout_us = 1});
  Client client(server->address());
  client.Start();
  EXPECT_EQ(client.Next().Field('C'), "57P05");
  EXPECT_EQ(client.Next().type, 0);
}

TEST_F(PgServerTest, StopTellsEveryClientAndCancels) {
  const auto idle = Connect();
  const auto busy = Connect();
  busy->Send(Query("wait"));
  engine.AwaitWaiting();
  server->Stop();
  EXPECT_EQ(idle->Next().Field('C'), "57P01");
  EXPECT_EQ(idle->Next().type, 0);
  EXPECT_EQ(busy->Next().Field('C'), "57014");
  engine.AwaitEnded(2);
}

TEST_F(PgServerTest, SaysWhenThePortIsTaken) {
  const auto second = PgServer::Start({.address = server->address()}, engine);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().message(), "could not listen on \"" + server->address() + "\": address already in use");
  EXPECT_THAT(second.error().hint(), HasSubstr("--pg"));
}

TEST_F(PgServerTest, RefusesAddressesOutsideLoopback) {
  EXPECT_THAT(PgServer::Start({.address = "0.0.0.0:0"}, engine).status().error().message(), HasSubstr("not a loopback address"));
  for (const char* address : {"", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ":5432", "::1:5432"}) {
    EXPECT_EQ(PgServer::Start({.address = address}, engine).status().error().sqlstate(), "22023") << address;
  }
}

}  // namespace
}  // namespace kappa::serve
