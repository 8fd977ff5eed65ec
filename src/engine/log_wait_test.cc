// Goal: a log that cannot be read stops live views for as long as that lasts, and no longer; everybody is told, and nobody is kept waiting for it.
// Method: every read of the disk fails from a moment on, with rows that views have not seen, until it is right again or the server is stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "engine/engine.h"
#include "io/failpoint.h"
#include "log/log_testing.h"

namespace kappa::engine {
namespace {

using testing::HasSubstr;

class LogWaitTest : public testing::Test {
 protected:
  void SetUp() override {
    Open();
    Sql("CREATE STREAM s (n int); CREATE MATERIALIZED VIEW v AS SELECT count(*) AS rows, sum(n) AS total FROM s; INSERT INTO s VALUES (1), (2)");
  }
  void TearDown() override { FailReads(false); }
  void Open() {
    EngineOptions options;
    options.folder = folder_.path();
    options.threads = 2;
    auto opened = Engine::Open(options, io::RealClock());
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    engine_ = std::move(*opened);
    session_ = engine_->NewSession();
  }
  static void FailReads(bool fail) { ASSERT_TRUE(io::SetFailpoints(fail ? "read:1+:error" : "").ok()); }
  /// The last result's first row, or the error.
  std::string Sql(const std::string& text) {
    auto results = session_->Query(text);
    if (!results.ok()) return results.error().ToString();
    std::string row;
    for (const data::Batch& batch : results->back().batches) {
      for (const auto& column : batch.columns) row += (row.empty() ? "" : " ") + std::to_string(column->data<int64_t>()[0]);
    }
    return row;
  }
  void Append(const std::string& json) {
    log::BatchBuilder batch;
    batch.Add(1000, std::nullopt, json);
    ASSERT_EQ(log::AppendDurably(engine_->log().FindTopic("s")->partition(0), batch.Finish()).error, log::KafkaError::kNone);
  }
  /// A row that no view can read, until they say so.
  void MakeThemWait() {
    FailReads(true);
    Append(R"({"n": 3})");
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (engine_->StatusJson().find(R"("state":"waiting")") == std::string::npos) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << engine_->StatusJson();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  log::ScratchFolder folder_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Session> session_;
};

TEST_F(LogWaitTest, LiveViewsGoOnWhenTheLogCanBeReadAgain) {
  MakeThemWait();
  std::string why;
  EXPECT_FALSE(engine_->healthy(&why));
  EXPECT_EQ(why, "epochs wait: topic \"s\" partition 0 cannot be read at offset 2");
  EXPECT_THAT(engine_->StatusJson(), HasSubstr(R"("failure":"epochs wait: topic \"s\" partition 0)"));
  EXPECT_THAT(engine_->MetricsText(), HasSubstr("kappa_epochs_waiting 1\n"));
  EXPECT_EQ(Sql("SELECT rows FROM v"), "2") << "what was there is read";
  EXPECT_THAT(Sql("CREATE STREAM t (n int)"), HasSubstr("epochs wait")) << "what must be done between epochs is refused";
  EXPECT_THAT(Sql("SET statement_timeout = 300; INSERT INTO s VALUES (4)"), HasSubstr("They become visible once it can be read"));
  EXPECT_EQ(Sql("SET statement_timeout = 0"), "");
  EXPECT_THAT(Sql("SELECT count(*) FROM s"), HasSubstr("could not read")) << "a query does not wait for ever";
  FailReads(false);
  const Status visible = engine_->WaitVisible(30'000'000);
  ASSERT_TRUE(visible.ok()) << visible.error().ToString();
  EXPECT_EQ(Sql("SELECT rows FROM v"), "4");
  EXPECT_EQ(Sql("SELECT total FROM v"), "10");
  EXPECT_TRUE(engine_->healthy(&why)) << why;
  EXPECT_THAT(engine_->MetricsText(), HasSubstr("kappa_epochs_waiting 0\n"));
  EXPECT_EQ(Sql("CREATE STREAM t (n int)"), "");
  EXPECT_TRUE(engine_->Close().ok());
}

TEST_F(LogWaitTest, TheServerCanBeStoppedMeanwhile) {
  MakeThemWait();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(engine_->Close().ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(4)) << "less than the pause between two reads";
  session_.reset();
  engine_.reset();
  FailReads(false);
  Open();
  EXPECT_EQ(Sql("SELECT rows FROM v"), "3") << "the epoch that was not finished is run again";
  EXPECT_EQ(Sql("SELECT total FROM v"), "6");
}

}  // namespace
}  // namespace kappa::engine
