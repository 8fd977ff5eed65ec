// Goal: the server answers each API from the log, in order, and outlives whatever bytes a client sends.
// Method: a real log in a scratch folder, and a client that writes frames byte by byte.
#include "serve/kafka/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "group/group_testing.h"
#include "log/log_testing.h"
#include "serve/kafka/admin_messages.h"
#include "serve/kafka/cluster_messages.h"
#include "serve/kafka/group_messages.h"
#include "serve/kafka/record_messages.h"
#include "serve/kafka/transaction_messages.h"
#include "serve/kafka/wire_client.h"
#include "txn/txn_testing.h"

namespace kappa::serve::kafka {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class KafkaServerTest : public testing::Test {
 protected:
  void Serve(KafkaServerOptions options = {}) {
    server_.reset();
    options.address = "127.0.0.1:0";
    auto server = KafkaServer::Start(std::move(options), *log_, *groups_, *transactions_, *quotas_, io::RealClock());
    ASSERT_TRUE(server.ok()) << server.error().ToString();
    server_ = std::move(*server);
  }
  void SetUp() override {
    log_ = log::OpenLog(folder_.path());
    groups_ = group::OpenGroups(*log_);
    transactions_ = txn::OpenTransactions(*log_, *groups_);
    Serve();
  }
  void TearDown() override {
    server_.reset();
    transactions_.reset();
    groups_.reset();
    log_->Close();
  }
  /// The server still takes and answers requests.
  void ExpectAlive() {
    WireClient client(server_->address());
    auto answer = client.Call<ApiVersionsResponse>(ApiKey::kApiVersions, 0, ApiVersionsRequest{});
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->error, Code::kNone);
  }
  ProduceRequest Batch(const std::string& topic, std::string_view batch, int16_t acks = -1, int32_t partition = 0) {
    return {.acks = acks, .timeout_ms = 1000, .topics = {{topic, {{partition, batch}}}}};
  }
  FetchRequest From(const std::string& topic, int64_t offset, int32_t wait_ms = 0) {
    return {.max_wait_ms = wait_ms, .min_bytes = 1, .topics = {{topic, {{.index = 0, .offset = offset, .max_bytes = 1 << 20}}}}};
  }

  log::ScratchFolder folder_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<group::Groups> groups_;
  std::unique_ptr<txn::Transactions> transactions_;
  const std::unique_ptr<quota::ClientQuotas> quotas_ = quota::ClientQuotas::Open(folder_.path() + "/quotas").value();
  std::unique_ptr<KafkaServer> server_;
};

TEST_F(KafkaServerTest, APortInUseIsSaidClearly) {
  auto second = KafkaServer::Start({.address = server_->address()}, *log_, *groups_, *transactions_, *quotas_, io::RealClock());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().message(), "could not listen on \"" + server_->address() + "\": address already in use");
  EXPECT_THAT(second.error().hint(), HasSubstr("--kafka"));
}

TEST_F(KafkaServerTest, AddressesThatAreRefused) {
  EXPECT_FALSE(KafkaServer::Start({.address = "127.0.0.1"}, *log_, *groups_, *transactions_, *quotas_, io::RealClock()).ok());
  EXPECT_FALSE(KafkaServer::Start({.address = "127.0.0.1:99999"}, *log_, *groups_, *transactions_, *quotas_, io::RealClock()).ok());
  auto open = KafkaServer::Start({.address = "0.0.0.0:0"}, *log_, *groups_, *transactions_, *quotas_, io::RealClock());
  ASSERT_FALSE(open.ok());
  EXPECT_THAT(open.error().message(), HasSubstr("not a loopback address"));
}

TEST_F(KafkaServerTest, ApiVersionsInANewerVersionGetsError35AndTheRanges) {
  WireClient client(server_->address());
  ByteWriter frame;
  frame.Big<int16_t>(18);
  frame.Big<int16_t>(99);
  frame.Big<int32_t>(7);
  frame.Bytes("whatever follows");
  ASSERT_TRUE(client.Send(WithLength(frame.str())));
  auto answer = DecodeResponse<ApiVersionsResponse>(ApiKey::kApiVersions, 0, 7, client.ReadFrame().value_or(""));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->error, Code::kUnsupportedVersion);
  EXPECT_EQ(answer->apis.size(), SupportedApis().size());
  EXPECT_TRUE(client.Call<ApiVersionsResponse>(ApiKey::kApiVersions, 3, ApiVersionsRequest{"a", "1"}).has_value()) << "the connection goes on";
}

TEST_F(KafkaServerTest, ProduceThenFetchInEveryVersionGivesTheSameBatch) {
  log::CreateOne(*log_, "t");
  WireClient client(server_->address());
  int64_t offset = 0;
  for (int16_t version = 3; version <= 9; ++version) {
    SCOPED_TRACE(version);
    const std::string batch = log::OneBatch({"a", "b"});
    auto produced = client.Call<ProduceResponse>(ApiKey::kProduce, version, Batch("t", batch, version % 2 == 0 ? 1 : -1));
    ASSERT_TRUE(produced.has_value());
    EXPECT_EQ(produced->topics[0].partitions[0].error, Code::kNone);
    EXPECT_EQ(produced->topics[0].partitions[0].base_offset, offset);
    const int16_t fetch_version = static_cast<int16_t>(version + 3);
    auto fetched = client.Call<FetchResponse>(ApiKey::kFetch, fetch_version, From("t", offset));
    ASSERT_TRUE(fetched.has_value());
    EXPECT_EQ(fetched->topics[0].partitions[0].error, Code::kNone);
    EXPECT_EQ(fetched->topics[0].partitions[0].high_watermark, offset + 2);
    const std::string& bytes = *fetched->topics[0].partitions[0].records.bytes;
    EXPECT_EQ(bytes.substr(16), batch.substr(16)) << "everything but base offset and leader epoch is verbatim";
    EXPECT_EQ(ByteReader(bytes).Big<int64_t>(), offset);
    offset += 2;
  }
  EXPECT_EQ(server_->metrics().records_in.load(), 14u);
}

TEST_F(KafkaServerTest, ManyBatchesAreSentFromTheFile) {
  log::Partition& partition = log::CreateOne(*log_, "t");
  for (int i = 0; i < 50; ++i) log::AppendDurably(partition, log::OneBatch({std::to_string(i) + std::string(20'000, 'x')}));
  const size_t sliced = partition.ReadForSending(0, 1 << 20, log::Isolation::kReadUncommitted).slice.bytes;
  WireClient client(server_->address());
  for (int64_t offset : {0, 49, 0}) {
    const std::string bytes = *client.Call<FetchResponse>(ApiKey::kFetch, 11, From("t", offset))->topics[0].partitions[0].records.bytes;
    EXPECT_EQ(bytes, partition.Read(offset, 1 << 20).bytes.substr(0, offset == 0 ? sliced : 1 << 20));
  }
}

TEST_F(KafkaServerTest, ProduceErrorsAreGivenForEachPartition) {
  log::CreateOne(*log_, "t", {.partitions = 2});
  log::CreateOne(*log_, "__hidden", {.internal = true});
  WireClient client(server_->address());
  const std::string good = log::OneBatch({"a"});
  std::string damaged = good;
  damaged.back() ^= 1;
  ProduceRequest request{
      .acks = -1, .topics = {{"t", {{0, good}, {1, damaged}, {2, good}, {0, std::nullopt}}}, {"nope", {{0, good}}}, {"__hidden", {{0, good}}}}};
  auto answer = client.Call<ProduceResponse>(ApiKey::kProduce, 8, request);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->topics[0].partitions[0].error, Code::kNone);
  EXPECT_EQ(answer->topics[0].partitions[1].error, Code::kCorruptMessage);
  EXPECT_THAT(answer->topics[0].partitions[1].message.value_or(""), HasSubstr("checksum"));
  EXPECT_EQ(answer->topics[0].partitions[2].error, Code::kUnknownTopicOrPartition);
  EXPECT_EQ(answer->topics[0].partitions[3].error, Code::kInvalidRequest);
  EXPECT_EQ(answer->topics[1].partitions[0].error, Code::kUnknownTopicOrPartition);
  EXPECT_EQ(answer->topics[2].partitions[0].error, Code::kTopicAuthorizationFailed);
  EXPECT_EQ(log_->FindTopic("__hidden")->partition(0).end_offset(), 0);
  EXPECT_EQ(server_->metrics().produce_errors.load(), 5u);

  EXPECT_EQ(client.Call<ProduceResponse>(ApiKey::kProduce, 2, Batch("t", good))->topics[0].partitions[0].error, Code::kUnsupportedVersion);
  EXPECT_EQ(client.Call<ProduceResponse>(ApiKey::kProduce, 7, Batch("t", good, 2))->topics[0].partitions[0].error, Code::kInvalidRequiredAcks);
  ProduceRequest transactional = Batch("t", good);
  transactional.transactional_id = "x";
  const std::string unknown = log::OneBatch({"a"}, 1000, 0, {.id = 7, .epoch = 0, .base_sequence = 0, .transactional = true});
  transactional.topics[0].partitions[0].records = unknown;
  EXPECT_EQ(client.Call<ProduceResponse>(ApiKey::kProduce, 7, transactional)->topics[0].partitions[0].error, Code::kInvalidTxnState);
  EXPECT_EQ(client.Call<ProduceResponse>(ApiKey::kProduce, 12, transactional)->topics[0].partitions[0].error, Code::kInvalidProducerIdMapping);
  EXPECT_EQ(log_->FindTopic("t")->partition(0).end_offset(), 1);
}

TEST_F(KafkaServerTest, ManyRequestsInFlightAreAnsweredInOrder) {
  log::CreateOne(*log_, "t");
  WireClient client(server_->address());
  const std::string batch = log::OneBatch({"a"});
  std::string all;
  for (int32_t id = 0; id < 300; ++id) {  // fast and slow ones in turn
    if (id % 3 == 0) all += WithLength(EncodeRequest(ApiKey::kProduce, 7, id, Batch("t", batch)));
    if (id % 3 == 1) all += WithLength(EncodeRequest(ApiKey::kApiVersions, 2, id, ApiVersionsRequest{}));
    if (id % 3 == 2) all += WithLength(EncodeRequest(ApiKey::kInitProducerId, 1, id, InitProducerIdRequest{}));
  }
  ASSERT_TRUE(client.Send(all));
  for (int32_t id = 0; id < 300; ++id) {
    std::optional<std::string> frame = client.ReadFrame();
    ASSERT_TRUE(frame.has_value());
    ASSERT_EQ(ByteReader(*frame).Big<int32_t>(), id);
  }
}

TEST_F(KafkaServerTest, AcksZeroGetsNoAnswerAndARefusedOneClosesTheConnection) {
  log::Partition& partition = log::CreateOne(*log_, "t");
  WireClient client(server_->address());
  ASSERT_TRUE(client.Send(WithLength(EncodeRequest(ApiKey::kProduce, 7, 1, Batch("t", log::OneBatch({"a"}), 0)))));
  auto next = client.Call<ApiVersionsResponse>(ApiKey::kApiVersions, 0, ApiVersionsRequest{});
  EXPECT_TRUE(next.has_value()) << "the next answer is to the next request";
  EXPECT_EQ(partition.end_offset(), 1);
  ASSERT_TRUE(client.Send(WithLength(EncodeRequest(ApiKey::kProduce, 7, 2, Batch("nope", log::OneBatch({"a"}), 0)))));
  EXPECT_TRUE(client.Ended());
  ExpectAlive();
}

TEST_F(KafkaServerTest, AFetchWaitsForRecordsAndIsWokenByThem) {
  log::Partition& partition = log::CreateOne(*log_, "t");
  WireClient client(server_->address());
  ASSERT_TRUE(client.Send(WithLength(EncodeRequest(ApiKey::kFetch, 11, 5, From("t", 0, /*wait_ms=*/60'000)))));
  log::AppendDurably(partition, log::OneBatch({"late"}));
  auto answer = DecodeResponse<FetchResponse>(ApiKey::kFetch, 11, 5, client.ReadFrame().value_or(""));
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->topics[0].partitions[0].records.bytes->empty());
  EXPECT_EQ(answer->session_id, 0);

  // Several wakings that are not enough by themselves: nothing is read twice, nothing is left out.
  FetchRequest much = From("t", 0, 60'000);
  much.min_bytes = static_cast<int32_t>(3 * log::OneBatch({"late"}).size());
  ASSERT_TRUE(client.Send(WithLength(EncodeRequest(ApiKey::kFetch, 11, 6, much))));
  log::AppendDurably(partition, log::OneBatch({"more"}));
  log::AppendDurably(partition, log::OneBatch({"most"}));
  answer = DecodeResponse<FetchResponse>(ApiKey::kFetch, 11, 6, client.ReadFrame().value_or(""));
  ASSERT_TRUE(answer.has_value());
  std::vector<int64_t> offsets;
  for (std::string_view rest = *answer->topics[0].partitions[0].records.bytes; !rest.empty();) {
    auto header = log::ParseBatchHeader(rest);
    ASSERT_TRUE(header.ok());
    offsets.push_back(header->base_offset);
    rest.remove_prefix(header->total_bytes());
  }
  EXPECT_THAT(offsets, ElementsAre(0, 1, 2));
}

TEST_F(KafkaServerTest, AFetchThatFindsNothingIsAnsweredWhenItsTimeIsOver) {
  log::CreateOne(*log_, "t");
  WireClient client(server_->address());
  auto answer = client.Call<FetchResponse>(ApiKey::kFetch, 11, From("t", 0, 20));
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->topics[0].partitions[0].records.bytes->empty());
  EXPECT_EQ(answer->topics[0].partitions[0].high_watermark, 0);
}

TEST_F(KafkaServerTest, FetchErrors) {
  log::AppendDurably(log::CreateOne(*log_, "t"), log::OneBatch({"a"}));
  log::CreateOne(*log_, "__hidden", {.internal = true});
  WireClient client(server_->address());
  auto code = [&](const std::string& topic, int64_t offset) {
    return client.Call<FetchResponse>(ApiKey::kFetch, 12, From(topic, offset, 10'000))->topics[0].partitions[0].error;
  };
  EXPECT_EQ(code("t", 2), Code::kOffsetOutOfRange);
  EXPECT_EQ(code("t", -1), Code::kOffsetOutOfRange);
  EXPECT_EQ(code("nope", 0), Code::kUnknownTopicOrPartition);
  EXPECT_EQ(code("__hidden", 0), Code::kTopicAuthorizationFailed);
}

/// One fetch of a session: partitions of "t" that it names, and forgets.
FetchRequest OfSession(int32_t id, int32_t epoch, const std::vector<std::pair<int32_t, int64_t>>& named, const std::vector<int32_t>& forgotten = {}) {
  FetchRequest request{.max_wait_ms = 0, .min_bytes = 0, .session_id = id, .session_epoch = epoch};
  if (!named.empty()) request.topics.push_back({.name = "t", .partitions = {}});
  for (const auto& [index, offset] : named) request.topics[0].partitions.push_back({.index = index, .offset = offset, .max_bytes = 1 << 20});
  if (!forgotten.empty()) request.forgotten.push_back({.name = "t", .partitions = forgotten});
  return request;
}

/// "index:records" of each partition in an answer, in order; "index!code" for an error.
std::string Told(const FetchResponse& response) {
  std::string told;
  for (const auto& topic : response.topics) {
    for (const auto& partition : topic.partitions) {
      if (!told.empty()) told += " ";
      told += std::to_string(partition.index);
      if (partition.error != Code::kNone) {
        told += "!" + std::to_string(static_cast<int>(partition.error));
        continue;
      }
      int records = 0;
      for (std::string_view rest = *partition.records.bytes; !rest.empty();) {
        const log::BatchHeader header = *log::ParseBatchHeader(rest);
        records += header.record_count;
        rest.remove_prefix(header.total_bytes());
      }
      told += ":" + std::to_string(records);
    }
  }
  return told;
}

TEST_F(KafkaServerTest, SessionsAreToldWhatChanged) {
  log::CreateOne(*log_, "t", {.partitions = 4});
  const std::shared_ptr<log::Topic> topic = log_->FindTopic("t");
  auto append = [&](int32_t index) { log::AppendDurably(topic->partition(index), log::OneBatch({"a"})); };
  append(1);
  WireClient client(server_->address());
  auto fetch = [&](const FetchRequest& request) { return *client.Call<FetchResponse>(ApiKey::kFetch, 12, request); };
  const FetchResponse full = fetch(OfSession(0, 0, {{0, 0}, {1, 0}, {2, 0}}));
  const int32_t id = full.session_id;
  EXPECT_GT(id, 0);
  EXPECT_EQ(Told(full), "0:0 1:1 2:0") << "a full fetch tells all";
  EXPECT_EQ(Told(fetch(OfSession(id, 1, {{1, 1}}))), "") << "nothing new";
  append(0);
  append(2);
  EXPECT_EQ(Told(fetch(OfSession(id, 2, {}))), "0:1 2:1");
  EXPECT_EQ(Told(fetch(OfSession(id, 3, {}))), "0:1 2:1") << "offsets stay where the client left them";
  EXPECT_EQ(Told(fetch(OfSession(id, 4, {{0, 1}, {2, 1}}))), "");
  append(1);
  append(0);
  EXPECT_EQ(Told(fetch(OfSession(id, 5, {{3, 0}}, {1}))), "0:1 3:0") << "one forgotten, one new, whose end is told once";
  EXPECT_EQ(Told(fetch(OfSession(id, 6, {{0, 2}}))), "");
  EXPECT_EQ(Told(fetch(OfSession(id, 7, {{0, 9}}))), "0!1") << "an error";
  EXPECT_EQ(Told(fetch(OfSession(id, 8, {}))), "0!1") << "until the client does something about it";
  EXPECT_EQ(Told(fetch(OfSession(id, 9, {{0, 2}}))), "0:0") << "and that it is over";
  ASSERT_TRUE(topic->partition(2).DeleteBefore(1).ok());
  EXPECT_EQ(Told(fetch(OfSession(id, 10, {}))), "2:0") << "the start has moved";

  EXPECT_EQ(fetch(OfSession(id, 10, {})).error, Code::kInvalidFetchSessionEpoch);
  EXPECT_EQ(fetch(OfSession(id, 12, {})).error, Code::kInvalidFetchSessionEpoch);
  EXPECT_EQ(fetch(OfSession(id + 1, 1, {})).error, Code::kFetchSessionIdNotFound);
  EXPECT_EQ(fetch(OfSession(0, 1, {})).error, Code::kFetchSessionIdNotFound);
  EXPECT_EQ(server_->metrics().fetch_sessions.load(), 1);
  const FetchResponse again = fetch(OfSession(id, 0, {{0, 0}}));
  EXPECT_NE(again.session_id, id) << "another in its place";
  EXPECT_EQ(Told(again), "0:2");
  EXPECT_EQ(fetch(OfSession(id, 11, {})).error, Code::kFetchSessionIdNotFound);
  const FetchResponse last = fetch(OfSession(again.session_id, -1, {{0, 0}}));
  EXPECT_EQ(Told(last), "0:2");
  EXPECT_EQ(last.session_id, 0);
  EXPECT_EQ(server_->metrics().fetch_sessions.load(), 0);
  const FetchResponse empty = fetch(OfSession(fetch(OfSession(0, 0, {{0, 0}})).session_id, 1, {}, {0}));
  EXPECT_EQ(empty.session_id, 0) << "one that follows nothing is none";
}

TEST_F(KafkaServerTest, AFetchOfASessionWaitsAndItsPartitionsTakeTurns) {
  log::CreateOne(*log_, "t", {.partitions = 3});
  const std::shared_ptr<log::Topic> topic = log_->FindTopic("t");
  WireClient client(server_->address()), other(server_->address());
  const int32_t id = client.Call<FetchResponse>(ApiKey::kFetch, 12, OfSession(0, 0, {{0, 0}, {1, 0}, {2, 0}}))->session_id;
  FetchRequest waits = OfSession(id, 1, {});
  waits.max_wait_ms = 30'000;
  waits.min_bytes = 1;
  std::thread producer([&] { log::AppendDurably(topic->partition(1), log::OneBatch({std::string(5000, 'x')})); });
  EXPECT_EQ(Told(*client.Call<FetchResponse>(ApiKey::kFetch, 12, waits)), "1:1");
  producer.join();
  log::AppendDurably(topic->partition(0), log::OneBatch({std::string(5000, 'x')}));
  FetchRequest small = OfSession(id, 2, {});
  small.max_bytes = 1;
  EXPECT_EQ(Told(*client.Call<FetchResponse>(ApiKey::kFetch, 12, small)), "0:1")
      << "partition 1 gave records before, so it comes last; its end is known";
  small.session_epoch = 3;
  EXPECT_EQ(Told(*client.Call<FetchResponse>(ApiKey::kFetch, 12, small)), "1:1");
}

TEST_F(KafkaServerTest, SessionsAreBoundedAndTheOldMakeRoom) {
  server_.reset();
  Serve({.fetch_sessions_max = 2, .fetch_session_partitions_max = 5, .fetch_session_evictable_ms = 0});
  log::CreateOne(*log_, "t", {.partitions = 8});
  WireClient client(server_->address());
  auto open = [&](const std::vector<std::pair<int32_t, int64_t>>& named) {
    return client.Call<FetchResponse>(ApiKey::kFetch, 12, OfSession(0, 0, named))->session_id;
  };
  auto error = [&](const FetchRequest& request) { return client.Call<FetchResponse>(ApiKey::kFetch, 12, request)->error; };
  const int32_t a = open({{0, 0}}), b = open({{0, 0}, {1, 0}});
  EXPECT_EQ(error(OfSession(a, 1, {})), Code::kNone);
  EXPECT_NE(open({{0, 0}}), 0);
  EXPECT_EQ(server_->metrics().fetch_sessions.load(), 2);
  EXPECT_EQ(server_->metrics().fetch_sessions_evicted.load(), 1u);
  EXPECT_EQ(error(OfSession(b, 1, {})), Code::kFetchSessionIdNotFound) << "the one that was not used for longest";
  EXPECT_EQ(open({{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}}), 0) << "larger than all may be together";
  EXPECT_EQ(error(OfSession(a, 2, {{1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}})), Code::kFetchSessionIdNotFound) << "grown too large: it goes";
  EXPECT_EQ(server_->metrics().fetch_sessions.load(), 1);
  server_.reset();
  Serve({.fetch_sessions_max = 1});
  WireClient later(server_->address());
  EXPECT_NE(later.Call<FetchResponse>(ApiKey::kFetch, 12, OfSession(0, 0, {{0, 0}}))->session_id, 0);
  EXPECT_EQ(later.Call<FetchResponse>(ApiKey::kFetch, 12, OfSession(0, 0, {{0, 0}, {1, 0}}))->session_id, 0) << "the other is young: none to be had";
}

TEST_F(KafkaServerTest, AFetchGivesOneBatchHoweverSmallItsLimitAndStopsAtTheLimit) {
  log::Partition& partition = log::CreateOne(*log_, "t", {.partitions = 2});
  const std::string batch = log::OneBatch({std::string(10'000, 'x')});
  for (int i = 0; i < 3; ++i) log::AppendDurably(partition, batch);
  log::AppendDurably(log_->FindTopic("t")->partition(1), batch);
  WireClient client(server_->address());
  FetchRequest request = From("t", 0);
  request.max_bytes = 10;
  request.topics[0].partitions.push_back({.index = 1, .offset = 0, .max_bytes = 1 << 20});
  auto answer = client.Call<FetchResponse>(ApiKey::kFetch, 11, request);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->topics[0].partitions[0].records.bytes->size(), batch.size());
  EXPECT_TRUE(answer->topics[0].partitions[1].records.bytes->empty());
  EXPECT_EQ(answer->topics[0].partitions[1].high_watermark, 1);
}

TEST_F(KafkaServerTest, ListOffsets) {
  log::Partition& partition = log::CreateOne(*log_, "t");
  for (int64_t time : {1000, 3000, 2000, 3000}) log::AppendDurably(partition, log::OneBatch({"a"}, time));
  log::CreateOne(*log_, "empty");
  WireClient client(server_->address());
  auto find = [&](const std::string& topic, int64_t timestamp_ms) {
    auto answer = client.Call<ListOffsetsResponse>(ApiKey::kListOffsets, 7,
                                                   ListOffsetsRequest{.topics = {{topic, {{.index = 0, .timestamp_ms = timestamp_ms}}}}});
    const auto& out = answer->topics[0].partitions[0];
    EXPECT_EQ(out.error, Code::kNone);
    return std::make_pair(out.offset, out.timestamp_ms);
  };
  using Found = std::pair<int64_t, int64_t>;
  EXPECT_EQ(find("t", -1), Found(4, -1));
  EXPECT_EQ(find("t", -2), Found(0, -1));
  EXPECT_EQ(find("t", -3), Found(1, 3000)) << "the first record with the highest timestamp";
  EXPECT_EQ(find("t", 1001), Found(1, 3000));
  EXPECT_EQ(find("t", 3001), Found(-1, -1));
  EXPECT_EQ(find("empty", -3), Found(-1, -1));
  EXPECT_EQ(find("empty", -1), Found(0, -1));
}

TEST_F(KafkaServerTest, MetadataHidesInternalTopicsAndMakesMissingOnes) {
  log::CreateOne(*log_, "t", {.partitions = 3});
  log::CreateOne(*log_, "__journal", {.internal = true});
  WireClient client(server_->address());
  auto all = client.Call<MetadataResponse>(ApiKey::kMetadata, 9, MetadataRequest{});
  ASSERT_TRUE(all.has_value());
  ASSERT_EQ(all->topics.size(), 1u);
  EXPECT_EQ(all->topics[0].name, "t");
  EXPECT_EQ(all->topics[0].partitions.size(), 3u);
  ASSERT_EQ(all->brokers.size(), 1u);
  EXPECT_EQ(all->brokers[0].host + ":" + std::to_string(all->brokers[0].port), server_->address());

  MetadataRequest asked{.topics = {{{"t"}, {"new"}, {"__journal"}, {"bad name"}}}, .allow_auto_topic_creation = false};
  auto some = client.Call<MetadataResponse>(ApiKey::kMetadata, 4, asked);
  EXPECT_EQ(some->topics[1].error, Code::kUnknownTopicOrPartition);
  EXPECT_EQ(some->topics[2].error, Code::kTopicAuthorizationFailed);
  asked.allow_auto_topic_creation = true;
  some = client.Call<MetadataResponse>(ApiKey::kMetadata, 4, asked);
  EXPECT_EQ(some->topics[0].error, Code::kNone);
  EXPECT_EQ(some->topics[1].error, Code::kNone);
  EXPECT_EQ(some->topics[1].partitions.size(), 1u);
  EXPECT_EQ(some->topics[3].error, Code::kInvalidTopic);
  EXPECT_NE(log_->FindTopic("new"), nullptr);

  Serve({.auto_create_topics = false});
  WireClient other(server_->address());
  EXPECT_EQ(other.Call<MetadataResponse>(ApiKey::kMetadata, 4, MetadataRequest{.topics = {{{"newer"}}}})->topics[0].error,
            Code::kUnknownTopicOrPartition);
}

TEST_F(KafkaServerTest, CreateAndDeleteTopics) {
  WireClient client(server_->address());
  auto create = [&](CreateTopicsRequest::Topic topic, bool validate_only = false) {
    return client
        .Call<CreateTopicsResponse>(ApiKey::kCreateTopics, 6, CreateTopicsRequest{.topics = {std::move(topic)}, .validate_only = validate_only})
        ->topics[0];
  };
  EXPECT_EQ(create({.name = "t", .partitions = 2}, true).error, Code::kNone);
  EXPECT_EQ(log_->FindTopic("t"), nullptr) << "validated only";
  EXPECT_EQ(
      create({.name = "t", .partitions = 2, .configs = {{"retention.ms", "5000"}, {"segment.bytes", "1048576"}, {"max.message.bytes", "1000000"}}})
          .error,
      Code::kNone);
  ASSERT_NE(log_->FindTopic("t"), nullptr);
  EXPECT_EQ(log_->FindTopic("t")->partition_count(), 2);
  EXPECT_EQ(log_->FindTopic("t")->config().retention_ms, 5000);
  EXPECT_EQ(log_->FindTopic("t")->config().segment_bytes, 1048576);
  EXPECT_EQ(log_->FindTopic("t")->config().max_message_bytes, 1000000);

  EXPECT_EQ(create({.name = "t"}).error, Code::kTopicAlreadyExists);
  EXPECT_EQ(create({.name = "a/b"}).error, Code::kInvalidTopic);
  EXPECT_EQ(create({.name = "__x"}).error, Code::kInvalidTopic);
  EXPECT_EQ(create({.name = "x", .partitions = 0}).error, Code::kInvalidPartitions);
  EXPECT_EQ(create({.name = "x", .replication_factor = 3}).error, Code::kInvalidReplicationFactor);
  EXPECT_EQ(create({.name = "x", .configs = {{"retention.ms", "soon"}}}).error, Code::kInvalidConfig);
  auto unknown = create({.name = "x", .configs = {{"retention.msec", "1"}}});
  EXPECT_EQ(unknown.error, Code::kInvalidConfig);
  EXPECT_THAT(unknown.message.value_or(""), HasSubstr("unknown topic configuration \"retention.msec\""));
  EXPECT_EQ(create({.name = "x", .partitions = -1, .replication_factor = -1, .assignments = {{0, {7}}}}).error, Code::kInvalidReplicaAssignment);
  EXPECT_EQ(create({.name = "y", .partitions = -1, .replication_factor = -1, .assignments = {{1, {0}}, {0, {0}}}}).partitions, 2);

  auto configs = client.Call<DescribeConfigsResponse>(ApiKey::kDescribeConfigs, 4,
                                                      DescribeConfigsRequest{.resources = {{kTopicResource, "t", {{"retention.ms"}}}}});
  ASSERT_EQ(configs->resources[0].entries.size(), 1u);
  EXPECT_EQ(configs->resources[0].entries[0].value, "5000");

  auto removed = client.Call<DeleteTopicsResponse>(ApiKey::kDeleteTopics, 5, DeleteTopicsRequest{.names = {"t", "nope", "__journal"}});
  EXPECT_EQ(removed->topics[0].error, Code::kNone);
  EXPECT_EQ(removed->topics[1].error, Code::kUnknownTopicOrPartition);
  EXPECT_EQ(removed->topics[2].error, Code::kTopicAuthorizationFailed);
  EXPECT_EQ(log_->FindTopic("t"), nullptr);
}

TEST_F(KafkaServerTest, TheEngineMayTakeOverCreationAndRefuseDeletion) {
  std::vector<std::string> created;
  Serve({.create_topic =
             [&](const std::string& name, const log::TopicConfig& config) {
               created.push_back(name);
               return log_->CreateTopic(name, config).status();
             },
         .delete_topic = [](const std::string&) { return Status(Error(sqlstate::kDependentObjectsStillExist, "stream \"s\" reads topic \"t\"")); }});
  WireClient client(server_->address());
  client.Call<CreateTopicsResponse>(ApiKey::kCreateTopics, 4, CreateTopicsRequest{.topics = {{.name = "t"}}});
  client.Call<MetadataResponse>(ApiKey::kMetadata, 1, MetadataRequest{.topics = {{{"u"}}}});
  EXPECT_THAT(created, ElementsAre("t", "u"));
  auto removed = client.Call<DeleteTopicsResponse>(ApiKey::kDeleteTopics, 5, DeleteTopicsRequest{.names = {"t"}});
  EXPECT_EQ(removed->topics[0].error, Code::kPolicyViolation);
  EXPECT_EQ(removed->topics[0].message, "stream \"s\" reads topic \"t\"");
}

TEST_F(KafkaServerTest, IdempotentProducersGetFreshIds) {
  WireClient client(server_->address());
  auto first = client.Call<InitProducerIdResponse>(ApiKey::kInitProducerId, 4, InitProducerIdRequest{});
  auto second = client.Call<InitProducerIdResponse>(ApiKey::kInitProducerId, 0, InitProducerIdRequest{});
  EXPECT_NE(first->producer_id, second->producer_id);
  EXPECT_EQ(client.Call<DescribeClusterResponse>(ApiKey::kDescribeCluster, 1, DescribeClusterRequest{})->brokers.size(), 1u);
}

// One transaction that is committed and one that is aborted, each with a record and an offset; before version 5 places are added by
// requests of their own.
TEST_F(KafkaServerTest, TransactionsInEveryVersionOfTheirRequests) {
  log::CreateOne(*log_, "t");
  for (int16_t version = 0; version <= 5; ++version) {
    SCOPED_TRACE(version);
    const auto at_most = [&](int16_t max) { return std::min(version, max); };
    const std::string id = "id" + std::to_string(version), group = "g" + std::to_string(version);
    WireClient client(server_->address());
    auto found = client.Call<FindCoordinatorResponse>(ApiKey::kFindCoordinator, static_cast<int16_t>(at_most(3) + 1),
                                                      FindCoordinatorRequest{.key = id, .key_type = 1, .keys = {id}});
    EXPECT_EQ(found->error, Code::kNone);
    auto producer = client.Call<InitProducerIdResponse>(ApiKey::kInitProducerId, version,
                                                        InitProducerIdRequest{.transactional_id = id, .transaction_timeout_ms = 60'000});
    ASSERT_EQ(producer->error, Code::kNone);
    const int64_t pid = producer->producer_id;
    int16_t epoch = producer->producer_epoch;
    int32_t sequence = 0;
    for (const bool commit : {true, false}) {
      const int64_t start = log_->FindTopic("t")->partition(0).end_offset();
      if (version < kEndTxnGivesEpoch) {
        auto added =
            client.Call<AddPartitionsToTxnResponse>(ApiKey::kAddPartitionsToTxn, at_most(3), AddPartitionsToTxnRequest{id, pid, epoch, {{"t", {0}}}});
        EXPECT_EQ(added->topics.at(0).partitions.at(0).error, Code::kNone);
        auto offsets = client.Call<AddOffsetsToTxnResponse>(ApiKey::kAddOffsetsToTxn, at_most(4), AddOffsetsToTxnRequest{id, pid, epoch, group});
        EXPECT_EQ(offsets->error, Code::kNone);
      }
      const std::string batch = log::OneBatch({"a"}, 1000, 0, {.id = pid, .epoch = epoch, .base_sequence = sequence++, .transactional = true});
      ProduceRequest produce = Batch("t", batch);
      produce.transactional_id = id;
      auto produced =
          client.Call<ProduceResponse>(ApiKey::kProduce, version < kEndTxnGivesEpoch ? static_cast<int16_t>(version + 7) : kProduceAdds, produce);
      EXPECT_EQ(produced->topics[0].partitions[0].error, Code::kNone);
      EXPECT_EQ(produced->topics[0].partitions[0].base_offset, start);
      auto committed = client.Call<TxnOffsetCommitResponse>(
          ApiKey::kTxnOffsetCommit, version, TxnOffsetCommitRequest{id, group, pid, epoch, -1, "", {}, {{"t", {{0, commit ? 42 : 43, -1, "note"}}}}});
      EXPECT_EQ(committed->topics[0].partitions[0].error, Code::kNone);
      const auto offset = [&](bool stable) {
        return client
            .Call<OffsetFetchResponse>(ApiKey::kOffsetFetch, 7,
                                       OffsetFetchRequest{.group = group, .topics = {{{"t", {0}}}}, .require_stable = stable})
            ->topics.at(0)
            .partitions.at(0);
      };
      EXPECT_EQ(offset(true).error, Code::kUnstableOffsetCommit);
      EXPECT_EQ(offset(false).offset, commit ? -1 : 42) << "what was committed before";

      FetchRequest fetch = From("t", start);
      fetch.isolation_level = 1;
      auto fetched = client.Call<FetchResponse>(ApiKey::kFetch, 12, fetch);
      EXPECT_EQ(fetched->topics[0].partitions[0].last_stable_offset, start);
      EXPECT_TRUE(fetched->topics[0].partitions[0].records.bytes->empty());
      EXPECT_FALSE(client.Call<FetchResponse>(ApiKey::kFetch, 12, From("t", start))->topics[0].partitions[0].records.bytes->empty());
      auto ends = client.Call<ListOffsetsResponse>(ApiKey::kListOffsets, 5,
                                                   ListOffsetsRequest{.isolation_level = 1, .topics = {{"t", {{.index = 0, .timestamp_ms = -1}}}}});
      EXPECT_EQ(ends->topics[0].partitions[0].offset, start);
      auto described = client.Call<DescribeTransactionsResponse>(ApiKey::kDescribeTransactions, 0, DescribeTransactionsRequest{{id, "nobody"}});
      EXPECT_EQ(described->transactions.at(0).state, "Ongoing");
      EXPECT_EQ(described->transactions.at(0).topics.at(0).partitions, std::vector<int32_t>{0});
      EXPECT_EQ(described->transactions.at(1).error, Code::kTransactionalIdNotFound);
      auto producers = client.Call<DescribeProducersResponse>(ApiKey::kDescribeProducers, 0, DescribeProducersRequest{{{"t", {{0}}}}});
      EXPECT_TRUE(std::ranges::any_of(producers->topics.at(0).partitions.at(0).producers,
                                      [&](const auto& one) { return one.id == pid && one.transaction_start_offset == start; }));

      auto ended = client.Call<EndTxnResponse>(ApiKey::kEndTxn, version, EndTxnRequest{id, pid, epoch, commit});
      EXPECT_EQ(ended->error, Code::kNone);
      if (version >= kEndTxnGivesEpoch) {
        EXPECT_EQ(ended->producer_epoch, epoch + 1);
        epoch = ended->producer_epoch;
        sequence = 0;
      }
      fetched = client.Call<FetchResponse>(ApiKey::kFetch, 12, fetch);
      EXPECT_EQ(fetched->topics[0].partitions[0].last_stable_offset, start + 2) << "a record and a marker";
      EXPECT_EQ(fetched->topics[0].partitions[0].aborted->size(), commit ? 0u : 1u);
      EXPECT_EQ(offset(true).offset, 42);
    }
    // One more, which an administrator ends.
    if (version < kEndTxnGivesEpoch) {
      client.Call<AddPartitionsToTxnResponse>(ApiKey::kAddPartitionsToTxn, at_most(3), AddPartitionsToTxnRequest{id, pid, epoch, {{"t", {0}}}});
    }
    ProduceRequest produce = Batch("t", log::OneBatch({"a"}, 1000, 0, {.id = pid, .epoch = epoch, .base_sequence = sequence, .transactional = true}));
    produce.transactional_id = id;
    client.Call<ProduceResponse>(ApiKey::kProduce, version < kEndTxnGivesEpoch ? static_cast<int16_t>(version + 7) : kProduceAdds, produce);
    auto mark = [&](bool commit) {
      return client.Call<WriteTxnMarkersResponse>(ApiKey::kWriteTxnMarkers, at_most(1),
                                                  WriteTxnMarkersRequest{{{pid, epoch, commit, {{"t", {0, 9}}}, 0}}});
    };
    EXPECT_EQ(mark(true)->markers.at(0).topics.at(0).partitions.at(0).error, Code::kInvalidTxnState);
    auto marked = mark(false);
    EXPECT_EQ(marked->markers.at(0).producer_id, pid);
    EXPECT_EQ(marked->markers.at(0).topics.at(0).partitions.at(0).error, Code::kNone);
    EXPECT_EQ(marked->markers.at(0).topics.at(0).partitions.at(1).error, Code::kUnknownTopicOrPartition);
    EXPECT_EQ(log_->FindTopic("t")->partition(0).last_stable_offset(), log_->FindTopic("t")->partition(0).end_offset());
    ++epoch;  // fenced off
    auto listed = client.Call<ListTransactionsResponse>(ApiKey::kListTransactions, at_most(1),
                                                        ListTransactionsRequest{{"CompleteAbort", "Sleeping"}, {pid}, -1});
    EXPECT_EQ(listed->unknown_states, std::vector<std::string>{"Sleeping"});
    ASSERT_EQ(listed->transactions.size(), 1u);
    EXPECT_EQ(listed->transactions[0].id, id);
    // The producer is replaced.
    auto next = client.Call<InitProducerIdResponse>(ApiKey::kInitProducerId, version,
                                                    InitProducerIdRequest{.transactional_id = id, .transaction_timeout_ms = 60'000});
    EXPECT_EQ(next->producer_epoch, epoch + 1);
    auto fenced = client.Call<AddOffsetsToTxnResponse>(ApiKey::kAddOffsetsToTxn, at_most(4), AddOffsetsToTxnRequest{id, pid, epoch, group});
    EXPECT_EQ(fenced->error, version < 2 ? Code::kInvalidProducerEpoch : Code::kProducerFenced);
  }
}

TEST_F(KafkaServerTest, AGroupInEveryVersionOfItsRequests) {
  log::CreateOne(*log_, "t", {.partitions = 2});
  for (int16_t version = 0; version <= 9; ++version) {
    SCOPED_TRACE(version);
    const std::string group = "g" + std::to_string(version);
    const auto at_most = [&](int16_t max) { return std::min(version, max); };
    WireClient client(server_->address());
    auto found = client.Call<FindCoordinatorResponse>(ApiKey::kFindCoordinator, at_most(4), FindCoordinatorRequest{.key = group, .keys = {group}});
    EXPECT_EQ(version < 4 ? found->node_id : found->coordinators.at(0).node_id, 0);
    JoinGroupRequest join{
        .group = group, .session_timeout_ms = 10'000, .rebalance_timeout_ms = 10'000, .protocol_type = "consumer", .protocols = {{"range", {"sub"}}}};
    auto joined = client.Call<JoinGroupResponse>(ApiKey::kJoinGroup, version, join);
    if (version >= 4) {
      EXPECT_EQ(joined->error, Code::kMemberIdRequired);
      join.member_id = joined->member_id;
      joined = client.Call<JoinGroupResponse>(ApiKey::kJoinGroup, version, join);
    }
    ASSERT_EQ(joined->error, Code::kNone);
    EXPECT_EQ(joined->leader, joined->member_id);
    EXPECT_EQ(joined->protocol, "range");
    ASSERT_EQ(joined->members.size(), 1u);
    EXPECT_EQ(joined->members[0].metadata.bytes, "sub");
    const std::string id = joined->member_id;
    auto synced = client.Call<SyncGroupResponse>(ApiKey::kSyncGroup, at_most(5),
                                                 SyncGroupRequest{.group = group, .generation = 1, .member_id = id, .assignments = {{id, {"all"}}}});
    EXPECT_EQ(synced->assignment.bytes, "all");
    EXPECT_EQ(client.Call<HeartbeatResponse>(ApiKey::kHeartbeat, at_most(4), HeartbeatRequest{group, 1, id, {}})->error, Code::kNone);
    EXPECT_EQ(client.Call<HeartbeatResponse>(ApiKey::kHeartbeat, at_most(4), HeartbeatRequest{group, 0, id, {}})->error, Code::kIllegalGeneration);

    OffsetCommitRequest commit{.group = group, .generation = 1, .member_id = id, .topics = {{"t", {{1, 42, 7, "note"}, {2, 1}}}, {"nope", {{0, 1}}}}};
    const auto commit_version = static_cast<int16_t>(std::max<int>(version, 2));
    auto committed = client.Call<OffsetCommitResponse>(ApiKey::kOffsetCommit, commit_version, commit);
    EXPECT_EQ(committed->topics[0].partitions[0].error, Code::kNone);
    EXPECT_EQ(committed->topics[0].partitions[1].error, Code::kUnknownTopicOrPartition);
    EXPECT_EQ(committed->topics[1].partitions[0].error, Code::kUnknownTopicOrPartition);
    const auto fetch_version = static_cast<int16_t>(std::max<int>(version, 1));
    auto fetched = client.Call<OffsetFetchResponse>(ApiKey::kOffsetFetch, fetch_version,
                                                    OffsetFetchRequest{.group = group, .topics = {{{"t", {0, 1}}}}, .groups = {{group, {}, -1, {}}}});
    const auto& topics = version < 8 ? fetched->topics : fetched->groups.at(0).topics;
    ASSERT_EQ(topics.size(), 1u);
    EXPECT_EQ(topics[0].partitions.size(), version < 8 ? 2u : 1u) << "asked for, or all that are committed";
    EXPECT_EQ(topics[0].partitions.back().offset, 42);
    EXPECT_EQ(topics[0].partitions.back().metadata, "note") << "given back as it was";
    if (version < 8) { EXPECT_EQ(topics[0].partitions[0].offset, -1); }

    auto described = client.Call<DescribeGroupsResponse>(ApiKey::kDescribeGroups, at_most(5), DescribeGroupsRequest{.groups = {group, "none"}});
    EXPECT_EQ(described->groups[0].state, "Stable");
    EXPECT_EQ(described->groups[0].protocol, "range");
    EXPECT_EQ(described->groups[0].members.at(0).assignment.bytes, "all");
    EXPECT_EQ(described->groups[0].members[0].client_id, "test");
    EXPECT_EQ(described->groups[0].members[0].client_host, "/127.0.0.1");
    EXPECT_EQ(described->groups[1].state, "Dead");
    EXPECT_EQ(client.Call<DeleteGroupsResponse>(ApiKey::kDeleteGroups, at_most(2), DeleteGroupsRequest{{group}})->groups[0].error,
              Code::kNonEmptyGroup);
    auto left = client.Call<LeaveGroupResponse>(ApiKey::kLeaveGroup, at_most(5),
                                                LeaveGroupRequest{.group = group, .member_id = id, .members = {{id}, {"stranger"}}});
    EXPECT_EQ(left->error, Code::kNone);
    if (version >= 3) { EXPECT_EQ(left->members.at(1).error, Code::kUnknownMemberId); }
  }
  WireClient client(server_->address());
  auto listed = client.Call<ListGroupsResponse>(ApiKey::kListGroups, 5, ListGroupsRequest{});
  EXPECT_EQ(listed->groups.size(), 10u);
  EXPECT_EQ(listed->groups[0].state, "Empty");
  EXPECT_TRUE(client.Call<ListGroupsResponse>(ApiKey::kListGroups, 4, ListGroupsRequest{.states = {"stable"}})->groups.empty());
  EXPECT_TRUE(client.Call<ListGroupsResponse>(ApiKey::kListGroups, 5, ListGroupsRequest{.types = {"Consumer"}})->groups.empty());
  EXPECT_EQ(client.Call<ListGroupsResponse>(ApiKey::kListGroups, 5, ListGroupsRequest{.states = {"empty"}, .types = {"Classic"}})->groups.size(),
            10u);
  EXPECT_EQ(client.Call<OffsetDeleteResponse>(ApiKey::kOffsetDelete, 0, OffsetDeleteRequest{.group = "g1", .topics = {{"t", {{1}}}}})
                ->topics[0]
                .partitions[0]
                .error,
            Code::kNone);
  EXPECT_EQ(client.Call<DeleteGroupsResponse>(ApiKey::kDeleteGroups, 2, DeleteGroupsRequest{{"g1", "none"}})->groups[1].error,
            Code::kGroupIdNotFound);
  client.Call<DeleteTopicsResponse>(ApiKey::kDeleteTopics, 5, DeleteTopicsRequest{.names = {"t"}});
  auto fetched = client.Call<OffsetFetchResponse>(ApiKey::kOffsetFetch, 8, OffsetFetchRequest{.groups = {{"g2", {}, -1, {}}, {"g3", {}, -1, {}}}});
  EXPECT_TRUE(fetched->groups[0].topics.empty()) << "offsets go with their topic";
  EXPECT_EQ(fetched->groups[1].id, "g3");
}

TEST_F(KafkaServerTest, TopicsGrowAndChangeTheirSettings) {
  log::CreateOne(*log_, "t");
  log::CreateOne(*log_, "__hidden", {.internal = true});
  log::AppendDurably(log_->FindTopic("t")->partition(0), log::OneBatch({"a"}));
  WireClient client(server_->address());
  auto grow = [&](CreatePartitionsRequest::Topic topic, bool validate_only = false) {
    return client.Call<CreatePartitionsResponse>(ApiKey::kCreatePartitions, 3, CreatePartitionsRequest{{std::move(topic)}, 0, validate_only})
        ->topics[0];
  };
  EXPECT_EQ(grow({"t", 3, {}}, true).error, Code::kNone);
  EXPECT_EQ(log_->FindTopic("t")->partition_count(), 1) << "validated only";
  const std::shared_ptr<log::Topic> held = log_->FindTopic("t");
  EXPECT_EQ(grow({"t", 3, {{{{0}}, {{0}}}}}).error, Code::kNone);
  EXPECT_EQ(held->partition_count(), 1) << "who holds the topic sees what was";
  EXPECT_EQ(client.Call<MetadataResponse>(ApiKey::kMetadata, 9, MetadataRequest{})->topics[0].partitions.size(), 3u);
  EXPECT_EQ(client.Call<ProduceResponse>(ApiKey::kProduce, 7, Batch("t", log::OneBatch({"b"}), -1, 2))->topics[0].partitions[0].error, Code::kNone);
  EXPECT_EQ(grow({"t", 3, {}}).error, Code::kInvalidPartitions);
  EXPECT_EQ(grow({"t", 2, {}}).error, Code::kInvalidPartitions);
  EXPECT_EQ(grow({"t", 4, {{{{1}}}}}).error, Code::kInvalidReplicaAssignment);
  EXPECT_EQ(grow({"t", 4, {{}}}).error, Code::kInvalidReplicaAssignment);
  EXPECT_EQ(grow({"nope", 4, {}}).error, Code::kUnknownTopicOrPartition);
  EXPECT_EQ(grow({"__hidden", 4, {}}).error, Code::kTopicAuthorizationFailed);

  using Change = IncrementalAlterConfigsRequest::Config;
  auto alter = [&](const std::string& name, std::vector<Change> changes, bool validate_only = false, int8_t type = kTopicResource) {
    return client
        .Call<AlterConfigsResponse>(ApiKey::kIncrementalAlterConfigs, 1,
                                    IncrementalAlterConfigsRequest{{{type, name, std::move(changes)}}, validate_only})
        ->resources[0];
  };
  EXPECT_EQ(alter("t", {{"retention.ms", 0, "5000"}, {"max.message.bytes", 0, "300"}}, true).error, Code::kNone);
  EXPECT_EQ(log_->FindTopic("t")->config().retention_ms, -1);
  EXPECT_EQ(alter("t", {{"retention.ms", 0, "5000"}, {"max.message.bytes", 0, "300"}}).error, Code::kNone);
  EXPECT_EQ(log_->FindTopic("t")->config().retention_ms, 5000);
  EXPECT_EQ(client.Call<ProduceResponse>(ApiKey::kProduce, 7, Batch("t", log::OneBatch({std::string(400, 'x')})))->topics[0].partitions[0].error,
            Code::kMessageTooLarge)
      << "in force at once";
  EXPECT_EQ(alter("t", {{"max.message.bytes", 1, {}}}).error, Code::kNone);
  EXPECT_EQ(log_->FindTopic("t")->config().max_message_bytes, log::TopicConfig().max_message_bytes);
  EXPECT_EQ(log_->FindTopic("t")->config().retention_ms, 5000) << "what is not named stays";
  EXPECT_EQ(alter("t", {{"retention.ms", 0, "soon"}}).error, Code::kInvalidConfig);
  EXPECT_EQ(alter("t", {{"cleanup.policy", 2, "compact"}}).error, Code::kInvalidConfig);
  EXPECT_EQ(alter("t", {{"cleanup.policy", 0, "compact,forget"}}).error, Code::kInvalidConfig);
  EXPECT_EQ(alter("t", {{"cleanup.policy", 0, ""}}).error, Code::kInvalidConfig);
  EXPECT_EQ(alter("t", {{"min.cleanable.dirty.ratio", 0, "1.1"}}).error, Code::kInvalidConfig);
  EXPECT_EQ(alter("t", {{"cleanup.policy", 0, "compact, delete"}, {"min.cleanable.dirty.ratio", 0, "0.01"}, {"segment.ms", 0, "100"}}).error,
            Code::kNone);
  EXPECT_TRUE(log_->FindTopic("t")->config().compact && log_->FindTopic("t")->config().delete_old);
  EXPECT_EQ(log_->FindTopic("t")->config().min_cleanable_dirty_ratio, 0.01);
  EXPECT_EQ(alter("t", {{"cleanup.policy", 0, "compact"}}).error, Code::kNone);
  log::BatchBuilder keyless;
  keyless.Add(1, std::nullopt, "v");
  EXPECT_EQ(client.Call<ProduceResponse>(ApiKey::kProduce, 7, Batch("t", keyless.Finish()))->topics[0].partitions[0].error,
            static_cast<Code>(log::KafkaError::kInvalidRecord));
  EXPECT_EQ(alter("t", {{"cleanup.policy", 1, {}}}).error, Code::kNone);
  EXPECT_FALSE(log_->FindTopic("t")->config().compact);
  EXPECT_EQ(alter("t", {{"kappa.unsafe", 0, "true"}}).error, Code::kInvalidConfig);
  EXPECT_EQ(alter("nope", {}).error, Code::kUnknownTopicOrPartition);
  EXPECT_EQ(alter("0", {{"num.partitions", 0, "3"}}, false, kBrokerResource).error, Code::kInvalidRequest);
  auto all = client.Call<AlterConfigsResponse>(ApiKey::kAlterConfigs, 2, AlterConfigsRequest{{{kTopicResource, "t", {{"retention.bytes", "7"}}}}});
  EXPECT_EQ(all->resources[0].error, Code::kNone);
  EXPECT_EQ(log_->FindTopic("t")->config().retention_ms, -1) << "this one sets all";
  EXPECT_EQ(log_->FindTopic("t")->config().retention_bytes, 7);

  server_.reset();
  transactions_.reset();
  groups_.reset();
  log_->Close();
  log_.reset();
  log_ = log::OpenLog(folder_.path());
  groups_ = group::OpenGroups(*log_);
  transactions_ = txn::OpenTransactions(*log_, *groups_);
  EXPECT_EQ(log_->FindTopic("t")->partition_count(), 3);
  EXPECT_EQ(log_->FindTopic("t")->config().retention_bytes, 7);
  EXPECT_EQ(log_->FindTopic("t")->partition(2).end_offset(), 1);
}

TEST_F(KafkaServerTest, WhoReadsATopicKeepsItAsItIs) {
  log::AppendDurably(log::CreateOne(*log_, "t"), log::OneBatch({"a"}));
  auto refuse = [](const std::string& name) { return Error(sqlstate::kDependentObjectsStillExist, "stream \"s\" reads topic \"" + name + "\""); };
  Serve({.change_topic = [&](const std::string& name, const std::function<Status()>&) { return refuse(name); },
         .delete_records = [&](log::Partition& partition, log::Offset) { return refuse(partition.topic()); }});
  WireClient client(server_->address());
  auto grown = client.Call<CreatePartitionsResponse>(ApiKey::kCreatePartitions, 1, CreatePartitionsRequest{.topics = {{"t", 2, {}}}});
  EXPECT_EQ(grown->topics[0].error, Code::kPolicyViolation);
  EXPECT_EQ(grown->topics[0].message, "stream \"s\" reads topic \"t\"");
  auto deleted = client.Call<DeleteRecordsResponse>(ApiKey::kDeleteRecords, 2, DeleteRecordsRequest{.topics = {{"t", {{0, 1}}}}});
  EXPECT_EQ(deleted->topics[0].partitions[0].error, Code::kPolicyViolation);
  EXPECT_EQ(log_->FindTopic("t")->partition(0).start_offset(), 0);
}

TEST_F(KafkaServerTest, DeletedRecordsAreGoneAndOffsetsOfTheOneEpochAreKnown) {
  log::Partition& partition = log::CreateOne(*log_, "t", {.partitions = 2});
  for (int i = 0; i < 10; ++i) log::AppendDurably(partition, log::OneBatch({"a"}));
  WireClient client(server_->address());
  auto remove = [&](int32_t index, int64_t offset) {
    return client.Call<DeleteRecordsResponse>(ApiKey::kDeleteRecords, 2, DeleteRecordsRequest{.topics = {{"t", {{index, offset}}}}})
        ->topics[0]
        .partitions[0];
  };
  EXPECT_EQ(remove(0, 4).low_watermark, 4);
  EXPECT_EQ(remove(0, 2).low_watermark, 4) << "nothing comes back";
  EXPECT_EQ(remove(0, 11).error, Code::kOffsetOutOfRange);
  EXPECT_EQ(remove(0, -2).error, Code::kOffsetOutOfRange);
  EXPECT_EQ(remove(2, 0).error, Code::kUnknownTopicOrPartition);
  auto fetched = client.Call<FetchResponse>(ApiKey::kFetch, 12, From("t", 3));
  EXPECT_EQ(fetched->topics[0].partitions[0].error, Code::kOffsetOutOfRange);
  fetched = client.Call<FetchResponse>(ApiKey::kFetch, 12, From("t", 4));
  EXPECT_EQ(fetched->topics[0].partitions[0].log_start_offset, 4);
  EXPECT_FALSE(fetched->topics[0].partitions[0].records.bytes->empty());
  EXPECT_EQ(remove(0, -1).low_watermark, 10) << "all that is durable";

  auto epochs = client.Call<OffsetForLeaderEpochResponse>(
      ApiKey::kOffsetForLeaderEpoch, 4, OffsetForLeaderEpochRequest{.topics = {{"t", {{0, -1, 0}, {0, 0, 1}, {0, 5, 0}, {7, -1, 0}}}}});
  const auto& parts = epochs->topics[0].partitions;
  EXPECT_EQ(parts[0].end_offset, 10);
  EXPECT_EQ(parts[1].end_offset, -1) << "an epoch that never was";
  EXPECT_EQ(parts[2].error, Code::kUnknownLeaderEpoch);
  EXPECT_EQ(parts[3].error, Code::kUnknownTopicOrPartition);
}

TEST_F(KafkaServerTest, FoldersAndAccessControl) {
  log::AppendDurably(log::CreateOne(*log_, "t", {.partitions = 2}), log::OneBatch({"a"}));
  log::CreateOne(*log_, "__hidden", {.internal = true});
  Serve({.log_folder = folder_.path()});
  WireClient client(server_->address());
  auto all = client.Call<DescribeLogDirsResponse>(ApiKey::kDescribeLogDirs, 4, DescribeLogDirsRequest{});
  ASSERT_EQ(all->folders.size(), 1u);
  EXPECT_EQ(all->folders[0].path, folder_.path());
  EXPECT_GT(all->folders[0].total_bytes, 0);
  ASSERT_EQ(all->folders[0].topics.size(), 1u);
  EXPECT_EQ(all->folders[0].topics[0].partitions.size(), 2u);
  EXPECT_GT(all->folders[0].topics[0].partitions[0].bytes, 0);
  auto some = client.Call<DescribeLogDirsResponse>(ApiKey::kDescribeLogDirs, 1,
                                                   DescribeLogDirsRequest{.topics = {{{"t", {1}}, {"__hidden", {0}}, {"nope", {0}}}}});
  ASSERT_EQ(some->folders[0].topics.size(), 1u);
  EXPECT_EQ(some->folders[0].topics[0].partitions.at(0).index, 1);

  EXPECT_EQ(client.Call<DescribeAclsResponse>(ApiKey::kDescribeAcls, 3, DescribeAclsRequest{})->error, Code::kSecurityDisabled);
  auto created = client.Call<CreateAclsResponse>(ApiKey::kCreateAcls, 2, CreateAclsRequest{.acls = {{2, "t", 3, "p", "h", 1, 1}, {}}});
  EXPECT_EQ(created->outcomes.size(), 2u);
  EXPECT_EQ(created->outcomes[1].error, Code::kSecurityDisabled);
  EXPECT_EQ(client.Call<DeleteAclsResponse>(ApiKey::kDeleteAcls, 1, DeleteAclsRequest{.filters = {{}}})->outcomes.at(0).error,
            Code::kSecurityDisabled);
}

TEST_F(KafkaServerTest, MembersThatWaitDoNotHoldUpTheServersEnd) {
  transactions_.reset();
  groups_.reset();
  groups_ = group::OpenGroups(*log_, {.gather_ms = 60'000});
  transactions_ = txn::OpenTransactions(*log_, *groups_);
  Serve();
  WireClient client(server_->address());
  JoinGroupRequest join{.group = "g", .session_timeout_ms = 10'000, .protocol_type = "consumer", .protocols = {{"range", {""}}}};
  ASSERT_TRUE(client.Send(WithLength(EncodeRequest(ApiKey::kJoinGroup, 2, 1, join))));
  while (groups_->Do([](group::Coordinator& coordinator) { return coordinator.groups().empty(); })) std::this_thread::yield();
  const int64_t begin_us = io::RealClock().SteadyMicros();
  server_->Stop();
  EXPECT_LT(io::RealClock().SteadyMicros() - begin_us, 1'500'000);
  auto answer = DecodeResponse<JoinGroupResponse>(ApiKey::kJoinGroup, 2, 1, client.ReadFrame().value_or(""));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(static_cast<int>(answer->error), 16) << "not coordinator: the client looks for it again";
}

TEST_F(KafkaServerTest, MalformedFramesCloseTheirConnectionOnly) {
  std::string reason;
  std::mutex mutex;
  Serve({.on_client_error = [&](std::string_view, std::string_view why) {
    std::lock_guard lock(mutex);
    reason = why;
  }});
  auto bytes = [](std::initializer_list<int> values) {
    std::string out;
    for (int value : values) out.push_back(static_cast<char>(value));
    return out;
  };
  const std::string good = EncodeRequest(ApiKey::kMetadata, 9, 1, MetadataRequest{.topics = {{{"t"}}}});
  std::vector<std::string> bad = {
      bytes({0x7f, 0xff, 0xff, 0xff}),              // 2 GB announced
      bytes({0xff, 0xff, 0xff, 0xff}),              // a negative length
      bytes({0, 0, 0, 0}),                          // nothing in it
      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",  // not Kafka at all
      WithLength(bytes({0x70, 0, 0, 0, 0, 0, 0, 1, 0, 0})),                                    // unknown API
      WithLength(bytes({0, 1, 0, 99, 0, 0, 0, 1, 0, 0})),                                      // unknown version
      WithLength(bytes({0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff})),                                 // client id beyond the frame
      WithLength(bytes({0, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff})),               // 2 billion topics
      WithLength(bytes({0, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0x80, 0, 0, 0})),                        // a negative number of topics
      WithLength(bytes({0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 0, 0x7f, 0, 0, 0})),
  };
  for (size_t cut = 10; cut < good.size(); ++cut) bad.push_back(WithLength(good.substr(0, cut)));
  for (size_t i = 0; i < bad.size(); ++i) {
    SCOPED_TRACE(i);
    WireClient client(server_->address());
    ASSERT_TRUE(client.Send(bad[i]));
    EXPECT_TRUE(client.Ended());
  }
  EXPECT_EQ(server_->metrics().client_errors.load(), bad.size());
  ExpectAlive();
  std::lock_guard lock(mutex);
  EXPECT_THAT(reason, HasSubstr("malformed Metadata request, version 9"));
}

TEST_F(KafkaServerTest, BytesAfterTheLastFieldArePassedOver) {
  WireClient client(server_->address());
  ASSERT_TRUE(
      client.Send(WithLength(EncodeRequest(ApiKey::kListGroups, 4, 1, ListGroupsRequest{}) + std::string(1, '\0'))));  // as librdkafka 2.0.2 sends it
  auto answer = DecodeResponse<ListGroupsResponse>(ApiKey::kListGroups, 4, 1, client.ReadFrame().value_or(""));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->error, Code::kNone);
}

TEST_F(KafkaServerTest, RequestsBeforeAMalformedOneAreStillAnswered) {
  log::CreateOne(*log_, "t");
  WireClient client(server_->address());
  ASSERT_TRUE(
      client.Send(WithLength(EncodeRequest(ApiKey::kProduce, 7, 1, Batch("t", log::OneBatch({"a"})))) + WithLength("rubbish that is no request")));
  EXPECT_TRUE(client.ReadFrame().has_value());
  EXPECT_TRUE(client.Ended());
}

TEST_F(KafkaServerTest, FramesInPiecesAndLargerThanTheBuffer) {
  log::Partition& partition = log::CreateOne(*log_, "t");
  WireClient client(server_->address());
  const std::string large = WithLength(EncodeRequest(ApiKey::kProduce, 7, 1, Batch("t", log::OneBatch({std::string(3 << 20, 'x')}))));
  const std::string small = WithLength(EncodeRequest(ApiKey::kProduce, 7, 2, Batch("t", log::OneBatch({"y"}))));
  for (char byte : small) ASSERT_TRUE(client.Send({&byte, 1}));
  EXPECT_TRUE(client.ReadFrame().has_value());
  ASSERT_TRUE(client.Send(small + large + large + small + large));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(client.ReadFrame().has_value());
  EXPECT_EQ(partition.durable_end(), 6);
}

TEST_F(KafkaServerTest, AConnectionCutInsideAFrameLeavesNothing) {
  log::Partition& partition = log::CreateOne(*log_, "t");
  const std::string frame = WithLength(EncodeRequest(ApiKey::kProduce, 7, 1, Batch("t", log::OneBatch({std::string(200'000, 'x')}))));
  for (size_t cut : {size_t{2}, size_t{20}, frame.size() / 2, frame.size() - 1}) {
    WireClient client(server_->address());
    ASSERT_TRUE(client.Send(std::string_view(frame).substr(0, cut)));
  }
  ExpectAlive();
  EXPECT_EQ(partition.end_offset(), 0);
}

TEST_F(KafkaServerTest, LimitsOfFramesAndConnections) {
  Serve({.connections_max = 2, .frame_bytes_max = 1000});
  WireClient first(server_->address());
  WireClient second(server_->address());
  ASSERT_TRUE(first.Call<ApiVersionsResponse>(ApiKey::kApiVersions, 0, ApiVersionsRequest{}).has_value());
  ASSERT_TRUE(second.Call<ApiVersionsResponse>(ApiKey::kApiVersions, 0, ApiVersionsRequest{}).has_value());
  WireClient third(server_->address());
  EXPECT_TRUE(third.Ended());
  EXPECT_EQ(server_->metrics().connections_refused.load(), 1u);
  ASSERT_TRUE(first.Send(std::string("\0\0\x03\xe9", 4)));  // 1001 bytes
  EXPECT_TRUE(first.Ended());
}

TEST_F(KafkaServerTest, IdleConnectionsAreClosed) {
  Serve({.idle_timeout_ms = 40});
  WireClient client(server_->address());
  EXPECT_TRUE(client.Ended());
}

TEST_F(KafkaServerTest, AClientThatDoesNotReadIsNotBufferedWithoutBound) {
  log::Partition& partition = log::CreateOne(*log_, "t");
  log::AppendDurably(partition, log::OneBatch({std::string(1 << 20, 'x')}));
  Serve({.connection_unanswered_bytes_max = 2 << 20});
  {
    WireClient client(server_->address());
    std::string all;
    for (int32_t id = 0; id < 200; ++id) all += WithLength(EncodeRequest(ApiKey::kFetch, 11, id, From("t", 0)));
    ASSERT_TRUE(client.Send(all));
    WireClient other(server_->address());  // served meanwhile
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(other.Call<FetchResponse>(ApiKey::kFetch, 11, From("t", 0)).has_value());
    EXPECT_LT(server_->metrics().in_flight_bytes.load(), 8 << 20);
    for (int32_t id = 0; id < 200; ++id) ASSERT_TRUE(client.ReadFrame().has_value());
  }
}

TEST_F(KafkaServerTest, MemoryIsBoundedForAllConnectionsTogether) {
  log::CreateOne(*log_, "t");
  Serve({.in_flight_bytes_max = 1});  // so little that one large frame at a time may be under way
  const std::string frame = WithLength(EncodeRequest(ApiKey::kProduce, 7, 1, Batch("t", log::OneBatch({std::string(100'000, 'x')}))));
  std::vector<std::unique_ptr<WireClient>> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(std::make_unique<WireClient>(server_->address()));
  for (auto& client : clients) ASSERT_TRUE(client->Send(frame));
  for (auto& client : clients) EXPECT_TRUE(client->ReadFrame().has_value());
}

TEST_F(KafkaServerTest, StopAnswersWaitingFetches) {
  log::CreateOne(*log_, "t");
  WireClient client(server_->address());
  ASSERT_TRUE(client.Call<ApiVersionsResponse>(ApiKey::kApiVersions, 0, ApiVersionsRequest{}).has_value());
  ASSERT_TRUE(client.Send(WithLength(EncodeRequest(ApiKey::kFetch, 11, 5, From("t", 0, /*wait_ms=*/60'000)))));
  while (server_->metrics().requests.load() < 2) std::this_thread::yield();
  server_->Stop();
  EXPECT_TRUE(client.ReadFrame().has_value()) << "answered with what there is";
  EXPECT_TRUE(client.Ended());
}

TEST_F(KafkaServerTest, LocalhostIsServedInBothFamilies) {
  KafkaServerOptions options{.address = "localhost:0"};
  auto server = KafkaServer::Start(options, *log_, *groups_, *transactions_, *quotas_, io::RealClock());
  ASSERT_TRUE(server.ok()) << server.error().ToString();
  EXPECT_THAT((*server)->address(), HasSubstr("127.0.0.1:"));
  WireClient client((*server)->address());
  EXPECT_TRUE(client.Call<ApiVersionsResponse>(ApiKey::kApiVersions, 0, ApiVersionsRequest{}).has_value());
}

}  // namespace
}  // namespace kappa::serve::kafka
