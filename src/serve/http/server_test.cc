// Goal: the HTTP interface answers as docs/http.md says, and refuses what could harm.
// Method: a raw client against a server over a fake engine that records the SQL it is given.
#include "serve/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <utility>

#include "serve/fake_engine.h"
#include "serve/net/test_client.h"

namespace kappa::serve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Answer {
  int status = 0;
  std::string head;
  std::string body;
};

class HttpServerTest : public testing::Test {
 protected:
  void SetUp() override {
    engine.view_schema = NumberedSchema();
    engine.view_rows = NumberedRows(2, 2);
    StartServer({});
  }
  void StartServer(HttpServerOptions options) {
    options.address = "127.0.0.1:0";
    server.reset();
    auto started = HttpServer::Start(options, engine, [] { return std::string("more_metrics 1\n"); });
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    server = std::move(*started);
  }
  static Answer ParseAnswer(const std::string& text) {
    Answer answer;
    const size_t end = text.find("\r\n\r\n");
    if (end == text.npos || !text.starts_with("HTTP/1.1 ")) return answer;
    answer.status = std::stoi(text.substr(9, 3));
    answer.head = text.substr(0, end + 2);
    answer.body = text.substr(end + 4);
    return answer;
  }
  Answer Raw(const std::string& request) {
    TestClient client(server->address());
    client.Send(request);
    return ParseAnswer(client.ReceiveAll());
  }
  Answer Get(const std::string& target, const std::string& headers = "") {
    return Raw("GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + headers + "\r\n");
  }
  Answer Post(const std::string& target, const std::string& body, const std::string& headers = "Content-Type: application/json\r\n") {
    return Raw("POST " + target + " HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n" + headers + "\r\n" + body);
  }
  FakeEngine engine;
  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpServerTest, ReadsAViewThroughParameters) {
  const Answer answer = Get("/v1/views/v?n.gte=2&name=it%27s+%22x%22%3B--&select=n,name&order=n.desc,name&limit=10&offset=5");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body,
            "{\"view\":\"v\",\"version\":2,\"epoch\":7,\"truncated\":false,\"rows\":[{\"n\":2,\"name\":\"row 2\"},{\"n\":3,\"name\":null}]}\n");
  EXPECT_THAT(engine.Statements(),
              ElementsAre("SELECT \"n\", \"name\" FROM \"v\" WHERE \"n\" >= $1 AND \"name\" = $2 ORDER BY \"n\" DESC, \"name\" LIMIT $3 OFFSET $4"
                          " <2> <it's \"x\";--> <11> <5>"));
}

TEST_F(HttpServerTest, KnowsEveryOperator) {
  EXPECT_EQ(Get("/v1/views/v?n=1&n.ne=2&n.lt=3&n.lte=4&n.gt=5&name.like=a%25&name.ilike=b&n.in=1,2&name.isnull=true&name.isnull=false").status, 200);
  EXPECT_THAT(
      engine.Statements().at(0),
      HasSubstr("WHERE \"n\" = $1 AND \"n\" <> $2 AND \"n\" < $3 AND \"n\" <= $4 AND \"n\" > $5 AND \"name\" LIKE $6 AND \"name\" ILIKE $7 AND "
                "\"n\" IN ($8, $9) AND \"name\" IS NULL AND \"name\" IS NOT NULL LIMIT $10"));
}

TEST_F(HttpServerTest, NamesAreQuoted) {
  EXPECT_EQ(Get("/v1/views/a%22b%3B%20DROP?version=2").status, 200);
  EXPECT_THAT(engine.Statements().at(0), HasSubstr("FROM \"a\"\"b; DROP$2\" LIMIT"));
}

TEST_F(HttpServerTest, AColumnMayHaveTheNameOfAParameter) {
  engine.view_schema.fields[0].name = "limit";
  EXPECT_EQ(Get("/v1/views/v?col.limit.gt=3&limit=1").status, 200);
  EXPECT_THAT(engine.Statements().at(0), HasSubstr("WHERE \"limit\" > $1 LIMIT $2 <3> <2>"));
}

TEST_F(HttpServerTest, SaysWhenThereAreMoreRows) {
  const Answer answer = Get("/v1/views/v?limit=1");
  EXPECT_THAT(answer.body, HasSubstr("\"truncated\":true,\"rows\":[{\"n\":2,\"name\":\"row 2\"}]"));
}

TEST_F(HttpServerTest, RefusesWrongReads) {
  const std::tuple<std::string, int, std::string> cases[] = {
      {"/v1/views/missing", 404, "42P01"},
      {"/v1/views/v?x=1", 400, "42703"},
      {"/v1/views/v?n=abc", 400, "22P02"},
      {"/v1/views/v?limit=-1", 400, "22023"},
      {"/v1/views/v?limit=100001", 400, "22023"},
      {"/v1/views/v?select=n,x", 400, "42703"},
      {"/v1/views/v?order=x.asc", 400, "42703"},
      {"/v1/views/v?version=a", 400, "22023"},
      {"/v1/views/v?name.isnull=x", 400, "22023"},
      {"/v1/views/", 404, "42704"},
      {"/v1/views/a/b", 404, "42704"},
      {"/nothing", 404, "42704"},
      {"/v1/views/v?n=%zz", 400, "08P01"},
      {"/v1/views/a%2Fb", 400, "08P01"},
      {"/%00", 400, "08P01"},
      {"/v1/views/%ff", 400, "08P01"},
      {"/../etc/passwd", 404, "42704"},
  };
  for (const auto& [target, status, state] : cases) {
    const Answer answer = Get(target);
    EXPECT_EQ(answer.status, status) << target;
    EXPECT_THAT(answer.body, HasSubstr("{\"sqlstate\":\"" + state + "\",\"message\":")) << target;
  }
  EXPECT_THAT(Get("/v1/views/v?x=1").body, HasSubstr("View \\\"v\\\" has columns n, name."));
  EXPECT_TRUE(engine.Statements().empty());
}

TEST_F(HttpServerTest, RunsSql) {
  const Answer answer = Post("/v1/sql", R"({"query": "rows 1; note"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(
      answer.body,
      "{\"results\":[{\"tag\":\"SELECT 1\",\"epoch\":7,\"columns\":[{\"name\":\"n\",\"type\":\"bigint\"},{\"name\":\"name\",\"type\":\"text\"}],"
      "\"rows\":[[0,\"row 0\"]],\"truncated\":false,\"notices\":[]},{\"tag\":\"note\",\"epoch\":7,\"notices\":[\"a notice\"]}]}\n");
  EXPECT_THAT(Post("/v1/sql", R"({"query": "rows 1", "format": "text"})").body, HasSubstr("\"rows\":[[\"0\",\"row 0\"]]"));
}

TEST_F(HttpServerTest, SqlErrorsKeepTheResultsBeforeThem) {
  const Answer answer = Post("/v1/sql", R"({"query": "rows 1; fail; rows 1"})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("\"tag\":\"SELECT 1\""));
  EXPECT_THAT(answer.body, HasSubstr("],\"error\":{\"sqlstate\":\"42703\",\"message\":\"column \\\"x\\\" does not exist\",\"detail\":\"A detail.\","
                                     "\"hint\":\"A hint.\",\"position\":5}}"));
  EXPECT_EQ(Post("/v1/sql", R"({"query": "busy"})").status, 409);
}

TEST_F(HttpServerTest, RefusesBadSqlRequests) {
  EXPECT_EQ(Post("/v1/sql", "{").status, 400);
  EXPECT_EQ(Post("/v1/sql", R"({"query": 1})").status, 400);
  EXPECT_EQ(Post("/v1/sql", R"({"query": "rows 1"})", "Content-Type: text/plain\r\n").status, 415);
  EXPECT_EQ(Post("/v1/sql", R"({"query": "rows 1"})", "").status, 415);
  EXPECT_EQ(Get("/v1/sql").status, 405);
  EXPECT_THAT(Get("/v1/sql").head, HasSubstr("Allow: POST\r\n"));
  EXPECT_TRUE(engine.Statements().empty());
}

// A web page of another site must neither read nor change anything through the user's browser.
TEST_F(HttpServerTest, RefusesOtherSites) {
  const std::string json = "Content-Type: application/json\r\n";
  EXPECT_EQ(Post("/v1/sql", "{\"query\":\"rows 1\"}", json + "Origin: https://evil.example\r\n").status, 403);
  EXPECT_EQ(Post("/v1/sql", "{\"query\":\"rows 1\"}", json + "Origin: null\r\n").status, 403);
  EXPECT_EQ(Post("/v1/sql", "{\"query\":\"rows 1\"}", json + "Sec-Fetch-Site: cross-site\r\n").status, 403);
  EXPECT_EQ(Raw("GET /v1/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").status, 403);
  EXPECT_EQ(Raw("GET /v1/views/v/changes HTTP/1.1\r\nHost: evil.example:8080\r\n\r\n").status, 403);
  EXPECT_EQ(Raw("GET /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n").status, 403);
  EXPECT_TRUE(engine.Statements().empty());
  EXPECT_EQ(Post("/v1/sql", "{\"query\":\"rows 1\"}", json + "Origin: http://localhost:8080\r\nSec-Fetch-Site: same-origin\r\n").status, 200);
  EXPECT_EQ(Raw("GET /v1/status HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close\r\n\r\n").status, 200);
  EXPECT_THAT(Get("/v1/status").head, testing::Not(HasSubstr("Access-Control")));
}

TEST_F(HttpServerTest, FurtherHostsCanBeAllowed) {
  StartServer({.hosts = {"kappa.example"}});
  EXPECT_EQ(Raw("GET /v1/status HTTP/1.1\r\nHost: KAPPA.example:443\r\nConnection: close\r\n\r\n").status, 200);
}

TEST_F(HttpServerTest, PromotesAndRollsBack) {
  EXPECT_EQ(Post("/v1/views/v/promote", "{\"version\": 2}").body, "{\"tag\":\"ALTER\"}\n");
  EXPECT_EQ(Post("/v1/views/a%22%3Bb/rollback", "{}").status, 200);
  EXPECT_EQ(Post("/v1/views/v/promote", "{\"version\": \"2; DROP\"}").status, 400);
  EXPECT_EQ(Post("/v1/views//promote", "{\"version\": 2}").status, 404);
  EXPECT_THAT(engine.Statements(), ElementsAre("ALTER MATERIALIZED VIEW \"v\" PROMOTE VERSION 2", "ALTER MATERIALIZED VIEW \"a\"\";b\" ROLLBACK"));
}

TEST_F(HttpServerTest, StreamsChanges) {
  engine.subscription = std::make_unique<FakeSubscription>();
  FakeSubscription& subscription = *engine.subscription;
  subscription.fields = NumberedSchema();
  const auto event = [](uint64_t epoch, int64_t first, int64_t rows) {
    engine::ChangeEvent out;
    out.epoch = epoch;
    out.changes = data::ChangeBatch(NumberedRows(first, rows));
    return out;
  };
  subscription.events.push_back(event(7, 0, 1));
  subscription.events.back().snapshot = true;
  subscription.events.push_back(event(8, 3, 2));
  subscription.events.back().changes.weights = std::make_shared<const std::vector<int64_t>>(std::vector<int64_t>{-1, 2});
  subscription.events.push_back(event(9, 0, 0));
  subscription.events.back().reset = true;
  const Answer answer = Get("/v1/views/v/changes?version=2");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.head, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_EQ(answer.body,
            "event: change\ndata: {\"epoch\":7,\"op\":\"insert\",\"snapshot\":true,\"row\":{\"n\":0,\"name\":\"row 0\"}}\n\n"
            "event: epoch\ndata: {\"epoch\":7}\n\n"
            "event: change\ndata: {\"epoch\":8,\"op\":\"delete\",\"row\":{\"n\":3,\"name\":null}}\n\n"
            "event: change\ndata: {\"epoch\":8,\"op\":\"insert\",\"row\":{\"n\":4,\"name\":\"row 4\"}}\n\n"
            "event: change\ndata: {\"epoch\":8,\"op\":\"insert\",\"row\":{\"n\":4,\"name\":\"row 4\"}}\n\n"
            "event: epoch\ndata: {\"epoch\":8}\n\n"
            "event: reset\ndata: {\"epoch\":9}\n\n"
            "event: error\ndata: {\"sqlstate\":\"53000\",\"message\":\"subscriber was too slow\",\"detail\":\"\",\"hint\":\"\",\"position\":0}\n\n");
  EXPECT_THAT(engine.Statements(), ElementsAre("subscribe v 2 snapshot"));
}

TEST_F(HttpServerTest, RefusesWrongSubscriptions) {
  EXPECT_EQ(Get("/v1/views/v/changes").status, 404);
  EXPECT_EQ(Get("/v1/views/v/changes?snapshot=maybe").status, 400);
  EXPECT_EQ(Get("/v1/views/v/changes?n=1").status, 400);
  StartServer({.max_subscriptions = 0});
  EXPECT_EQ(Get("/v1/views/v/changes").status, 503);
}

TEST_F(HttpServerTest, ServesStatusAndItsParts) {
  EXPECT_EQ(Get("/v1/status").body, engine.status_json);
  EXPECT_EQ(Get("/v1/views").body, "{\"views\":[{\"name\":\"v\"}]}\n");
  EXPECT_EQ(Get("/v1/streams").body, "{\"streams\":[{\"name\":\"s\"}]}\n");
}

TEST_F(HttpServerTest, ServesMetricsAndHealth) {
  EXPECT_EQ(Get("/metrics").body, "kappa_epoch 7\nmore_metrics 1\n");
  EXPECT_EQ(Get("/healthz").body, "ok\n");
  engine.unhealthy = "the log has stopped";
  EXPECT_EQ(Get("/readyz").status, 503);
  EXPECT_EQ(Get("/healthz").body, "the log has stopped\n");
  EXPECT_EQ(Get("/livez").status, 200);
}

TEST_F(HttpServerTest, ServesTheConsoleAndTheInterface) {
  const Answer page = Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.head, HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self'"));
  EXPECT_THAT(page.body, HasSubstr("<title>kappa</title>"));
  EXPECT_THAT(page.body, testing::Not(HasSubstr("http://www.example")));
  EXPECT_THAT(Get("/console.js").head, HasSubstr("text/javascript"));
  EXPECT_THAT(Get("/console.css").head, HasSubstr("text/css"));
  simdjson::dom::parser parser;
  const simdjson::padded_string text(Get("/openapi.json").body);
  simdjson::dom::object paths;
  ASSERT_EQ(parser.parse(text)["paths"].get(paths), simdjson::SUCCESS);
  for (const auto& [path, operations] : paths) {  // every path of the document exists
    if (path.find('{') == path.npos && operations["get"].error() == simdjson::SUCCESS) { EXPECT_EQ(Get(std::string(path)).status, 200) << path; }
  }
}

TEST_F(HttpServerTest, KeepsConnectionsAndTakesPipelinedRequests) {
  TestClient client(server->address());
  client.Send(
      "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
      "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string text = client.ReceiveAll();
  size_t answers = 0;
  for (size_t at = text.find("HTTP/1.1 200 OK"); at != text.npos; at = text.find("HTTP/1.1 200 OK", at + 1)) ++answers;
  EXPECT_EQ(answers, 3u);
  EXPECT_TRUE(text.ends_with("Connection: close\r\n\r\nok\n"));
}

TEST_F(HttpServerTest, RefusesWhatBreaksTheLimits) {
  EXPECT_EQ(Raw("nonsense\r\n\r\n").status, 400);
  EXPECT_EQ(Raw("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n").status, 431);
  EXPECT_EQ(Raw("POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n").status, 413);
  EXPECT_EQ(Raw("POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n").status, 400);
  EXPECT_EQ(Raw("DELETE /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").status, 405);
  EXPECT_EQ(Raw("GET status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").status, 400);
}

TEST_F(HttpServerTest, AClientThatLeavesCancelsItsStatement) {
  TestClient client(server->address());
  const std::string body = "{\"query\":\"wait\"}";
  client.Send("POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n\r\n" + body);
  engine.AwaitWaiting();
  client.Close();
  engine.AwaitCancelled();
}

TEST_F(HttpServerTest, StopEndsConnections) {
  TestClient client(server->address());
  client.Send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.Receive(15), "HTTP/1.1 200 OK");
  server->Stop();
  client.ReceiveAll();  // ends
}

TEST_F(HttpServerTest, SaysWhenThePortIsTaken) {
  const auto second = HttpServer::Start({.address = server->address()}, engine);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message(), HasSubstr("address already in use"));
  EXPECT_THAT(second.error().hint(), HasSubstr("--http"));
}

}  // namespace
}  // namespace kappa::serve
