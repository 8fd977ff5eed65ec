// Goal: what `kappa topic` promises: ranges of lines, keys, positions, counts, exit statuses.
// Method: the commands' functions against a Kafka server in this process, over a real log in a scratch folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>

#include "cli/line_source.h"
#include "cli/progress.h"
#include "cli/topic_consume.h"
#include "cli/topic_groups.h"
#include "cli/topic_produce.h"
#include "cli/topic_reader.h"
#include "group/group_testing.h"
#include "log/log_testing.h"
#include "serve/kafka/server.h"
#include "txn/txn_testing.h"

namespace kappa::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(PositionTest, OffsetsTimesAndWords) {
  EXPECT_EQ(ParsePosition("earliest")->kind, Position::Kind::kEarliest);
  EXPECT_EQ(ParsePosition("latest")->kind, Position::Kind::kLatest);
  EXPECT_EQ(ParsePosition("1200")->value, 1200);
  auto time = ParsePosition("2026-01-31 12:00:00.0001+01");
  ASSERT_TRUE(time.ok());
  EXPECT_EQ(time->kind, Position::Kind::kTime);
  EXPECT_EQ(time->value, 1'769'857'200'001) << "rounded up: the record timestamp must not be earlier";
  EXPECT_FALSE(ParsePosition("soon").ok());
  EXPECT_FALSE(ParsePosition("-5").ok());
  EXPECT_FALSE(ParsePosition("infinity").ok());
  EXPECT_FALSE(ParsePosition("99999999999999999999").ok());
}

TEST(ProgressTest, NumbersForPeople) {
  EXPECT_EQ(HumanCount(0), "0");
  EXPECT_EQ(HumanCount(999), "999");
  EXPECT_EQ(HumanCount(1'234'567), "1,234,567");
  EXPECT_EQ(HumanBytes(999), "999 B");
  EXPECT_EQ(HumanBytes(12'345'678), "12.3 MB");
  EXPECT_EQ(HumanSeconds(0.84), "0.8 s");
  EXPECT_EQ(HumanSeconds(59.2), "59 s");
  EXPECT_EQ(HumanSeconds(245), "4:05");
  EXPECT_EQ(HumanSeconds(3723), "1:02:03");
}

class TopicCommandTest : public testing::Test {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "librdkafka starts its threads with C11's thrd_create, which the thread sanitizer of GCC 12 does not know";
#endif
    log_ = log::OpenLog(folder_.path() + "/log");
    groups_ = group::OpenGroups(*log_);
    transactions_ = txn::OpenTransactions(*log_, *groups_);
    auto server = serve::KafkaServer::Start({.address = "127.0.0.1:0"}, *log_, *groups_, *transactions_, *quotas_, io::RealClock());
    ASSERT_TRUE(server.ok()) << server.error().ToString();
    server_ = std::move(*server);
  }
  void TearDown() override {
    server_.reset();
    transactions_.reset();
    groups_.reset();
    if (log_) log_->Close();
  }
  std::string File(const std::string& name, const std::string& content) {
    const std::string path = folder_.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  ProduceOptions Produce(std::vector<std::string> files) {
    return {.address = {.broker = server_->address()}, .topic = "t", .files = std::move(files)};
  }
  ConsumeOptions Consume() { return {.address = {.broker = server_->address()}, .topic = "t"}; }
  /// Runs, and gives the exit status and what was printed.
  template <class Function> std::pair<int, std::string> Run(Function function) {
    testing::internal::CaptureStdout();
    const int status = function();
    return {status, testing::internal::GetCapturedStdout()};
  }
  std::string Consumed(const ConsumeOptions& options) {
    auto [status, text] = Run([&] { return ConsumeTopic(options); });
    EXPECT_EQ(status, 0);
    return text;
  }

  log::ScratchFolder folder_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<group::Groups> groups_;
  std::unique_ptr<txn::Transactions> transactions_;
  const std::unique_ptr<quota::ClientQuotas> quotas_ = quota::ClientQuotas::Open(folder_.path() + "/quotas").value();
  std::unique_ptr<serve::KafkaServer> server_;
};

TEST_F(TopicCommandTest, LinesOfSeveralFilesInRanges) {
  log::CreateOne(*log_, "t");
  const std::string first = File("a.jsonl", "1\n2\n\n3\r\n");
  const std::string second = File("b.jsonl", "4\n5");  // no line end
  gzFile gz = gzopen((folder_.path() + "/c.jsonl.gz").c_str(), "wb");
  gzputs(gz, "6\n7\n");
  gzclose(gz);
  auto [status, text] = Run([&] { return ProduceToTopic(Produce({first, second, folder_.path() + "/c.jsonl.gz"})); });
  EXPECT_EQ(status, 0);
  EXPECT_THAT(text, HasSubstr("7 records (7 B) acknowledged by topic \"t\""));
  EXPECT_EQ(Consumed(Consume()), "1\n2\n3\n4\n5\n6\n7\n");

  ProduceOptions range = Produce({first, second});
  range.from_line = 2;
  range.lines = 4;  // lines 2 to 5: "2", "", "3", "4"
  range.json = true;
  std::tie(status, text) = Run([&] { return ProduceToTopic(range); });
  EXPECT_EQ(status, 0);
  EXPECT_THAT(text, HasSubstr("\"acknowledged\":3,\"failed\":0,\"unacknowledged\":0"));
  ConsumeOptions rest = Consume();
  rest.from = "7";
  EXPECT_EQ(Consumed(rest), "2\n3\n4\n");
  rest.to = "9";
  EXPECT_EQ(Consumed(rest), "2\n3\n");
  rest.to.clear();
  rest.limit = 1;
  EXPECT_EQ(Consumed(rest), "2\n");
}

TEST_F(TopicCommandTest, KeysComeFromAJsonField) {
  log::CreateOne(*log_, "t", {.partitions = 7});
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += "{\"n\": 1, \"user\": \"u\\u00e9" + std::to_string(i % 10) + "\"}\n";
  lines += "{\"user\": 42}\n{\"user\": null}\nnot json\n";
  ProduceOptions options = Produce({File("a.jsonl", lines)});
  options.key = "user";
  options.json = true;
  auto [status, text] = Run([&] { return ProduceToTopic(options); });
  EXPECT_EQ(status, 0);
  EXPECT_THAT(text, HasSubstr("\"without_key\":2"));
  int64_t found = 0;
  for (int32_t p = 0; p < 7; ++p) {
    std::string storage;
    const std::string bytes = log_->FindTopic("t")->partition(p).Read(0, 1 << 20).bytes;
    for (std::string_view rest = bytes; !rest.empty();) {
      auto header = log::ParseBatchHeader(rest);
      ASSERT_TRUE(header.ok());
      std::vector<log::Record> records;
      auto section = log::RecordsSection(rest.substr(0, header->total_bytes()), 1 << 20, storage);
      ASSERT_TRUE(section.ok());
      ASSERT_TRUE(log::ParseRecords(*header, *section, records).ok());
      for (const log::Record& record : records) {
        if (!record.key) continue;
        ++found;
        EXPECT_EQ(log::PartitionForKey(*record.key, 7), p) << *record.key;
        EXPECT_TRUE(record.key->starts_with("u\xc3\xa9") || *record.key == "42") << *record.key;
      }
      rest.remove_prefix(header->total_bytes());
    }
  }
  EXPECT_EQ(found, 101);
}

TEST_F(TopicCommandTest, ReadingByTimeAndAsJson) {
  log::Partition& partition = log::CreateOne(*log_, "t");
  for (int64_t ms : {1'000, 2'000, 3'000}) log::AppendDurably(partition, log::OneBatch({"at " + std::to_string(ms)}, ms));
  log::AppendDurably(partition, log::OneBatch({std::string("\xff\x00x", 3)}, 4'000));
  ConsumeOptions options = Consume();
  options.from = "1970-01-01 00:00:01.5";
  options.to = "1970-01-01 00:00:03";
  EXPECT_EQ(Consumed(options), "at 2000\n");
  options.from = "2";
  options.to.clear();
  options.format = RecordFormat::kJson;
  EXPECT_EQ(Consumed(options),
            "{\"partition\":0,\"offset\":2,\"timestamp_ms\":3000,\"key\":\"key\",\"value\":\"at 3000\"}\n"
            "{\"partition\":0,\"offset\":3,\"timestamp_ms\":4000,\"key\":\"key\",\"value_base64\":\"/wB4\"}\n");
  options.format = RecordFormat::kTable;
  options.limit = 1;
  EXPECT_THAT(Consumed(options), HasSubstr("        0           2  1970-01-01 00:00:03      key               at 3000\n"));
}

TEST_F(TopicCommandTest, FailuresGiveStatus1) {
  log::CreateOne(*log_, "t", {.max_message_bytes = 1024});
  EXPECT_EQ(ProduceToTopic(Produce({folder_.path() + "/missing"})), 1);
  ProduceOptions unknown = Produce({File("a", "x\n")});
  unknown.topic = "tt";
  EXPECT_EQ(ProduceToTopic(unknown), 1);
  EXPECT_EQ(log_->FindTopic("tt"), nullptr) << "a typing error must not make a topic";
  ProduceOptions partition = Produce({File("a", "x\n")});
  partition.partition = 1;
  EXPECT_EQ(ProduceToTopic(partition), 1);
  auto [status, text] = Run([&] { return ProduceToTopic(Produce({File("b", std::string(3000, 'x') + "\n")})); });
  EXPECT_EQ(status, 1);
  EXPECT_THAT(text, HasSubstr("0 records"));
  EXPECT_EQ(ProduceToTopic(Produce({File("cut.gz", "\x1f\x8b\x08")})), 1);

  ConsumeOptions consume = Consume();
  consume.topic = "tt";
  EXPECT_EQ(ConsumeTopic(consume), 1);
  consume = Consume();
  consume.partition = 3;
  EXPECT_EQ(ConsumeTopic(consume), 1);
  consume = Consume();
  consume.from = "soon";
  EXPECT_EQ(ConsumeTopic(consume), 1);
  consume = Consume();
  consume.address = {.data = folder_.path() + "/no server here"};
  EXPECT_EQ(ConsumeTopic(consume), 1);
}

TEST_F(TopicCommandTest, VerifyCountsEverything) {
  log::Partition& partition = log::CreateOne(*log_, "t", {.partitions = 2});
  for (int i = 0; i < 5; ++i) log::AppendDurably(partition, log::OneBatch({"a", "b"}));
  auto [status, text] = Run([&] { return VerifyTopics({.broker = server_->address()}, {}, false); });
  EXPECT_EQ(status, 0);
  EXPECT_THAT(text, HasSubstr("topic \"t\" is intact: 10 records"));
  EXPECT_EQ(VerifyTopics({.broker = server_->address()}, {"missing"}, false), 1);
}

TEST(LineSourceTest, LongLinesAndManyFiles) {
  log::ScratchFolder folder;
  const std::string path = folder.path() + "/long";
  std::ofstream(path) << std::string(5'000'000, 'a') << "\n" << std::string(2'500'000, 'b');
  auto source = LineSource::Open({path, path});
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->bytes_total(), 15'000'002u);
  std::vector<size_t> sizes;
  while (true) {
    auto line = source->Next();
    ASSERT_TRUE(line.ok());
    if (!*line) break;
    sizes.push_back((*line)->size());
  }
  EXPECT_THAT(sizes, ElementsAre(5'000'000, 2'500'000, 5'000'000, 2'500'000));
  EXPECT_EQ(source->bytes_read(), 15'000'002u);
}

TEST_F(TopicCommandTest, GroupsAndTheirOffsets) {
  log::CreateOne(*log_, "t", {.partitions = 2});
  for (int i = 0; i < 10; ++i) log::AppendDurably(log_->FindTopic("t")->partition(1), log::OneBatch({"a"}, 1000 * (i + 1)));
  const BrokerAddress broker{.broker = server_->address()};
  auto offsets = [&](const std::string& to) {
    auto [status, text] = Run([&] { return ShowOffsets({.address = broker, .group = "g", .topic = to.empty() ? "" : "t", .to = to, .json = true}); });
    EXPECT_EQ(status, 0);
    return text;
  };
  EXPECT_EQ(offsets(""), "");
  EXPECT_THAT(offsets("latest"), HasSubstr(R"("partition":1,"committed":10,"latest":10,"lag":0)"));
  EXPECT_THAT(offsets("earliest"), HasSubstr(R"("partition":1,"committed":0,"latest":10,"lag":10)"));
  EXPECT_THAT(offsets("4"), HasSubstr(R"("partition":1,"committed":4,"latest":10,"lag":6)"));
  EXPECT_THAT(offsets("1970-01-01 00:00:07"), HasSubstr(R"("partition":1,"committed":6,"latest":10,"lag":4)"));
  EXPECT_THAT(offsets(""), HasSubstr(R"("partition":0,"committed":0,"latest":0,"lag":0)"));
  auto [status, text] = Run([&] { return ShowGroups({.address = broker, .json = true}); });
  EXPECT_EQ(status, 0);
  EXPECT_THAT(text, HasSubstr(R"("group":"g","state":"Empty")"));
  EXPECT_EQ(ShowOffsets({.address = broker, .group = "g", .to = "latest"}), 1) << "of which topic?";
  EXPECT_EQ(Run([&] { return ShowGroups({.address = broker, .remove = {"g"}}); }).first, 0);
  EXPECT_EQ(ShowGroups({.address = broker, .remove = {"g"}}), 1);
  EXPECT_EQ(offsets(""), "");
}

}  // namespace
}  // namespace kappa::cli
