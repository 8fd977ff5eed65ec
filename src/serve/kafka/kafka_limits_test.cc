// Goal: no client can take what others need: neither connections, nor memory, nor more than its rate.
// Method: the arithmetic of quotas on a clock moved by hand; a server with small limits, clients that do not read, that only announce large
// requests, or that go too fast, and one that must be served meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "group/group_testing.h"
#include "log/log_testing.h"
#include "serve/kafka/cluster_messages.h"
#include "serve/kafka/quota_messages.h"
#include "serve/kafka/quotas.h"
#include "serve/kafka/record_messages.h"
#include "serve/kafka/server.h"
#include "serve/kafka/wire_client.h"
#include "txn/txn_testing.h"

namespace kappa::serve::kafka {
namespace {

TEST(QuotasTest, WhatIsBeyondTheRateIsPaidWithSilence) {
  log::ScratchFolder folder;
  const auto none = quota::ClientQuotas::Open(folder.path() + "/quotas").value();
  KafkaServerOptions options{.produce_bytes_per_second = 1000};
  Quotas quotas(options, *none);
  const auto produce = [&](const std::string& client, size_t bytes, int64_t now_ms) {
    return quotas.Charge(Quotas::Kind::kProduce, "", client, bytes, now_ms * 1000);
  };
  EXPECT_EQ(produce("a", 1000, 0), 0) << "a burst of one second";
  EXPECT_EQ(produce("a", 500, 0), 500);
  EXPECT_EQ(produce("b", 1000, 0), 0) << "each has its own";
  EXPECT_EQ(produce("a", 500, 500), 500);
  EXPECT_EQ(produce("a", 1000, 1000), 1000);
  EXPECT_EQ(produce("a", 1000, 10'000), 0) << "silence pays, up to one burst";
  EXPECT_EQ(produce("a", 1, 10'000), 1);
  EXPECT_EQ(produce("a", 1'000'000, 20'000), 30'000) << "never longer than clients wait";
  EXPECT_EQ(produce("a", 1, 50'000), 30'000) << "but the debt stays";
  EXPECT_EQ(quotas.Charge(Quotas::Kind::kFetch, "", "a", 1 << 30, 0), 0) << "no rate for fetches";
}

TEST(QuotasTest, ClientsBeyondTheBoundShareOneQuota) {
  log::ScratchFolder folder;
  const auto none = quota::ClientQuotas::Open(folder.path() + "/quotas").value();
  KafkaServerOptions options{.fetch_bytes_per_second = 1000};
  Quotas quotas(options, *none);
  for (int i = 0; i < 10'000; ++i) quotas.Charge(Quotas::Kind::kFetch, "", "client " + std::to_string(i), 2000, 0);
  EXPECT_EQ(quotas.Charge(Quotas::Kind::kFetch, "", "x", 1000, 0), 0);
  EXPECT_EQ(quotas.Charge(Quotas::Kind::kFetch, "", "y", 1000, 0), 1000) << "with x";
  EXPECT_EQ(quotas.Charge(Quotas::Kind::kFetch, "", "client 7", 1000, 0), 2000) << "still its own";
  EXPECT_EQ(quotas.Charge(Quotas::Kind::kFetch, "", "z", 1000, 3'000'000), 0) << "those that have paid make room";
}

class KafkaLimitsTest : public testing::Test {
 protected:
  void SetUp() override {
    log_ = log::OpenLog(folder_.path());
    groups_ = group::OpenGroups(*log_);
    transactions_ = txn::OpenTransactions(*log_, *groups_);
  }
  void TearDown() override {
    server_.reset();
    transactions_.reset();
    groups_.reset();
    log_->Close();
  }
  void Serve(KafkaServerOptions options) {
    options.address = "127.0.0.1:0";
    auto server = KafkaServer::Start(std::move(options), *log_, *groups_, *transactions_, *quotas_, io::RealClock());
    ASSERT_TRUE(server.ok()) << server.error().ToString();
    server_ = std::move(*server);
  }
  static ProduceRequest Batch(std::string_view batch, int16_t acks = -1) {
    return {.acks = acks, .timeout_ms = 1000, .topics = {{"t", {{0, batch}}}}};
  }
  static FetchRequest From(int64_t offset, int32_t bytes = 64 << 20) {
    return {.max_wait_ms = 0, .min_bytes = 1, .max_bytes = bytes, .topics = {{"t", {{.index = 0, .offset = offset, .max_bytes = bytes}}}}};
  }

  log::ScratchFolder folder_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<group::Groups> groups_;
  std::unique_ptr<txn::Transactions> transactions_;
  const std::unique_ptr<quota::ClientQuotas> quotas_ = quota::ClientQuotas::Open(folder_.path() + "/quotas").value();
  std::unique_ptr<KafkaServer> server_;
};

TEST_F(KafkaLimitsTest, ConnectionsOfOneAddress) {
  Serve({.connections_per_ip_max = 2});
  WireClient first(server_->address());
  {
    WireClient second(server_->address());
    ASSERT_TRUE(second.Call<ApiVersionsResponse>(ApiKey::kApiVersions, 0, ApiVersionsRequest{}).has_value());
    WireClient third(server_->address());
    EXPECT_TRUE(third.Ended());
    EXPECT_EQ(server_->metrics().connections_refused.load(), 1u);
  }
  while (server_->metrics().connections_open.load() > 1) std::this_thread::yield();
  WireClient again(server_->address());
  EXPECT_TRUE(again.Call<ApiVersionsResponse>(ApiKey::kApiVersions, 0, ApiVersionsRequest{}).has_value()) << "one that left makes room";
}

TEST_F(KafkaLimitsTest, AProducerThatIsTooFastIsAnsweredAndThenNotHeard) {
  log::CreateOne(*log_, "t");
  Serve({.produce_bytes_per_second = 100'000});
  WireClient fast(server_->address()), other(server_->address());
  const std::string batch = log::OneBatch({std::string(120'000, 'x')});
  const int64_t begin = io::RealClock().SteadyMicros();
  const auto first = fast.Call<ProduceResponse>(ApiKey::kProduce, 7, Batch(batch));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->topics[0].partitions[0].error, Code::kNone);
  EXPECT_GT(first->throttle_ms, 150);
  EXPECT_LT(io::RealClock().SteadyMicros() - begin, 150'000) << "the answer itself does not wait";
  ASSERT_TRUE(other.Call<MetadataResponse>(ApiKey::kMetadata, 1, MetadataRequest{}).has_value());
  EXPECT_LT(io::RealClock().SteadyMicros() - begin, 150'000) << "another connection is heard";
  ASSERT_TRUE(fast.Call<MetadataResponse>(ApiKey::kMetadata, 1, MetadataRequest{}).has_value());
  EXPECT_GE(io::RealClock().SteadyMicros() - begin, 150'000) << "this one is not, for a time";
  EXPECT_EQ(server_->metrics().throttled.load(), 1u);
}

TEST_F(KafkaLimitsTest, AConsumerThatIsTooFastIsAnsweredAndThenNotHeard) {
  log::Partition& partition = log::CreateOne(*log_, "t");
  log::AppendDurably(partition, log::OneBatch({std::string(120'000, 'x')}));
  Serve({.fetch_bytes_per_second = 100'000});
  WireClient client(server_->address());
  const int64_t begin = io::RealClock().SteadyMicros();
  const auto first = client.Call<FetchResponse>(ApiKey::kFetch, 11, From(0));
  ASSERT_TRUE(first.has_value());
  EXPECT_GT(first->throttle_ms, 150);
  EXPECT_GT(first->topics[0].partitions[0].records.bytes->size(), 100'000u);
  ASSERT_TRUE(client.Call<FetchResponse>(ApiKey::kFetch, 11, From(1)).has_value());
  EXPECT_GE(io::RealClock().SteadyMicros() - begin, 150'000);
}

TEST_F(KafkaLimitsTest, AdministratorsSetQuotasOfClients) {
  log::CreateOne(*log_, "t");
  Serve({.produce_bytes_per_second = 1'000'000'000});
  WireClient admin(server_->address());
  const auto alter = [&](std::vector<QuotaEntityPart> entity, std::vector<AlterClientQuotasRequest::Change> changes, bool validate_only = false) {
    const auto answer =
        admin.Call<AlterClientQuotasResponse>(ApiKey::kAlterClientQuotas, 1, AlterClientQuotasRequest{{{entity, changes}}, validate_only});
    EXPECT_EQ(answer->entries.at(0).entity.size(), entity.size());
    return answer->entries.at(0);
  };
  using Part = DescribeClientQuotasRequest::Part;
  const auto described = [&](std::vector<Part> parts, bool strict) {
    const auto answer = admin.Call<DescribeClientQuotasResponse>(ApiKey::kDescribeClientQuotas, 1, DescribeClientQuotasRequest{parts, strict});
    if (answer->error != Code::kNone) return "error " + std::to_string(static_cast<int>(answer->error));
    std::string text;
    for (const auto& entry : *answer->entries) {
      for (const auto& part : entry.entity) text += part.kind + "=" + part.name.value_or("*") + " ";
      for (const auto& value : entry.values) text += value.key + "=" + std::to_string(static_cast<int64_t>(value.value)) + " ";
      text += "; ";
    }
    return text;
  };
  EXPECT_EQ(described({}, false), "");
  EXPECT_EQ(alter({{"client-id", {}}}, {{"producer_byte_rate", 100'000, false}}, /*validate_only=*/true).error, Code::kNone);
  EXPECT_EQ(described({}, false), "") << "only looked at";
  EXPECT_EQ(alter({{"client-id", {}}}, {{"producer_byte_rate", 100'000, false}}).error, Code::kNone);
  EXPECT_EQ(alter({{"user", "ann"}}, {{"request_percentage", 50, false}}).error, Code::kNone);
  EXPECT_EQ(alter({{"user", "ann"}, {"client-id", "c"}}, {{"consumer_byte_rate", 7, false}}).error, Code::kNone);
  const auto refused = alter({{"user", "ann"}}, {{"retention.ms", 1, false}});
  EXPECT_EQ(refused.error, Code::kInvalidRequest);
  EXPECT_THAT(refused.message.value_or(""), testing::HasSubstr("retention.ms"));
  EXPECT_EQ(alter({{"user", "ann"}}, {{"producer_byte_rate", 1, false}, {"producer_byte_rate", 2, false}}).error, Code::kInvalidRequest) << "twice";
  EXPECT_EQ(alter({{"user", "ann"}, {"user", "bob"}}, {{"producer_byte_rate", 1, false}}).error, Code::kInvalidRequest) << "twice";

  const std::string of_user = "user=ann request_percentage=50 ; ", of_both = "client-id=c user=ann consumer_byte_rate=7 ; ",
                    of_all = "client-id=* producer_byte_rate=100000 ; ";
  EXPECT_EQ(described({}, false), of_all + of_both + of_user);
  EXPECT_EQ(described({}, true), "");
  EXPECT_EQ(described({{"user", Part::kAny, {}}}, false), of_both + of_user);
  EXPECT_EQ(described({{"user", Part::kAny, {}}}, true), of_user);
  EXPECT_EQ(described({{"user", Part::kExact, "ann"}, {"client-id", Part::kAny, {}}}, true), of_both);
  EXPECT_EQ(described({{"user", Part::kExact, "bob"}}, false), "");
  EXPECT_EQ(described({{"client-id", Part::kDefault, {}}}, false), of_all);
  EXPECT_EQ(described({{"user", Part::kExact, {}}}, false), "error 42") << "no name";
  EXPECT_EQ(described({{"user", Part::kAny, {}}, {"user", Part::kAny, {}}}, false), "error 42") << "twice";
  EXPECT_EQ(described({{"user", 9, {}}}, false), "error 42") << "another way to match";
  EXPECT_EQ(described({{"ip", Part::kAny, {}}, {"user", Part::kAny, {}}}, false), "error 42");
  EXPECT_EQ(described({{"group", Part::kAny, {}}}, false), "error 35");

  WireClient fast(server_->address());
  const auto first = fast.Call<ProduceResponse>(ApiKey::kProduce, 7, Batch(log::OneBatch({std::string(120'000, 'x')})));
  EXPECT_GT(first->throttle_ms, 150) << "the quota counts, not the server's own rate";
  EXPECT_EQ(alter({{"client-id", {}}}, {{"producer_byte_rate", 0, true}}).error, Code::kNone);
  const auto second = fast.Call<ProduceResponse>(ApiKey::kProduce, 7, Batch(log::OneBatch({std::string(120'000, 'x')})));
  EXPECT_EQ(second->throttle_ms, 0) << "and no more, once it is removed";
}

TEST_F(KafkaLimitsTest, AConsumerIsGivenWhatItsQuotaAllowsInTenSeconds) {
  log::Partition& partition = log::CreateOne(*log_, "t");
  for (int i = 0; i < 20; ++i) log::AppendDurably(partition, log::OneBatch({std::string(1000, 'x')}));
  Serve({});
  const auto set = quotas_->Alter({{{{"user", "ANONYMOUS"}}, {{"consumer_byte_rate", 500.0}}}}, false);
  ASSERT_TRUE(set.front().ok());
  WireClient client(server_->address());
  const auto first = client.Call<FetchResponse>(ApiKey::kFetch, 11, From(0));
  EXPECT_THAT(first->topics[0].partitions[0].records.size(), testing::AllOf(testing::Gt(3000u), testing::Lt(6000u)));
  EXPECT_THAT(first->throttle_ms, testing::AllOf(testing::Gt(5000), testing::Lt(10'001)));
}

TEST_F(KafkaLimitsTest, AnAddressThatConnectsTooOftenIsTurnedAway) {
  Serve({});
  const auto set = quotas_->Alter({{{{"ip", std::nullopt}}, {{"connection_creation_rate", 2.0}}}}, false);
  ASSERT_TRUE(set.front().ok());
  WireClient first(server_->address()), second(server_->address());
  ASSERT_TRUE(second.Call<ApiVersionsResponse>(ApiKey::kApiVersions, 0, ApiVersionsRequest{}).has_value());
  WireClient third(server_->address());
  EXPECT_TRUE(third.Ended());
  EXPECT_EQ(server_->metrics().connections_refused.load(), 1u);
}

TEST(QuotasTest, ADebtIsPaidAtTheRateOfNow) {
  log::ScratchFolder folder;
  const auto given = quota::ClientQuotas::Open(folder.path() + "/quotas").value();
  const auto set = [&](std::optional<double> rate) {
    return given->Alter({{{{"client-id", "a"}}, {{std::string(quota::kFetchRate), rate}}}}, false).front().ok();
  };
  KafkaServerOptions options{.fetch_bytes_per_second = 1'000'000};
  Quotas quotas(options, *given);
  const auto fetch = [&](size_t bytes, int64_t now_ms) { return quotas.Charge(Quotas::Kind::kFetch, "", "a", bytes, now_ms * 1000); };
  ASSERT_TRUE(set(10));
  EXPECT_EQ(fetch(1'000'010, 0), 30'000);
  EXPECT_EQ(quotas.BytesAtOnce(Quotas::Kind::kFetch, "", "a"), 100);
  ASSERT_TRUE(set(100'000));
  EXPECT_EQ(fetch(100'000, 0), 11'000) << "eleven seconds of what it is now, not a day of what it was";
  EXPECT_EQ(fetch(1, 5000), 6000);
  ASSERT_TRUE(set(std::nullopt));
  EXPECT_EQ(fetch(1'000'000, 5000), 0) << "then the rate that all have";
}

TEST_F(KafkaLimitsTest, ConsumersThatDoNotReadDoNotKeepOthersFromTheirs) {
  // One batch of each partition is less than what is sent from the file: all of it takes memory.
  constexpr int kPartitions = 16;
  ASSERT_TRUE(log_->CreateTopic("t", {.partitions = kPartitions}).ok());
  FetchRequest all{.max_wait_ms = 0, .min_bytes = 1, .max_bytes = 64 << 20, .topics = {{"t", {}}}};
  for (int p = 0; p < kPartitions; ++p) {
    log::AppendDurably(log_->FindTopic("t")->partition(p), log::OneBatch({std::string(1 << 20, 'x')}));
    all.topics[0].partitions.push_back({.index = p, .offset = 0, .max_bytes = 1});
  }
  Serve({.in_flight_bytes_max = 64 << 20});
  std::vector<std::unique_ptr<WireClient>> slow;
  for (int i = 0; i < 8; ++i) {  // together they want eight times what there is
    auto& client = slow.emplace_back(std::make_unique<WireClient>(server_->address()));
    std::string fetches;
    for (int32_t id = 0; id < 4; ++id) fetches += WithLength(EncodeRequest(ApiKey::kFetch, 11, id, all));
    ASSERT_TRUE(client->Send(fetches));
  }
  while (server_->metrics().in_flight_bytes.load() < 32 << 20) std::this_thread::yield();
  const int64_t begin = io::RealClock().SteadyMicros();
  for (int i = 0; i < 5; ++i) {
    WireClient client(server_->address());
    const auto produced = client.Call<ProduceResponse>(ApiKey::kProduce, 7, Batch(log::OneBatch({std::string(200'000, 'y')})));
    ASSERT_TRUE(produced.has_value());
    EXPECT_EQ(produced->topics[0].partitions[0].error, Code::kNone);
    ASSERT_TRUE(client.Call<FetchResponse>(ApiKey::kFetch, 11, all).has_value());
  }
  EXPECT_LT(io::RealClock().SteadyMicros() - begin, 5'000'000);
  EXPECT_LT(server_->metrics().in_flight_bytes.load(), 96 << 20);
}

TEST_F(KafkaLimitsTest, LargeRequestsThatAreOnlyAnnouncedDoNotKeepOthersFromTheirs) {
  log::CreateOne(*log_, "t");
  Serve({.in_flight_bytes_max = 64 << 20});
  std::vector<std::unique_ptr<WireClient>> huge;
  for (int i = 0; i < 8; ++i) {
    auto& client = huge.emplace_back(std::make_unique<WireClient>(server_->address()));
    ByteWriter announced;
    announced.Big<int32_t>(60 << 20);
    announced.Bytes(std::string(100, '\0'));
    ASSERT_TRUE(client->Send(announced.str()));
  }
  while (server_->metrics().in_flight_bytes.load() < 60 << 20) std::this_thread::yield();
  WireClient client(server_->address());
  const auto produced = client.Call<ProduceResponse>(ApiKey::kProduce, 7, Batch(log::OneBatch({std::string(200'000, 'y')})));
  ASSERT_TRUE(produced.has_value());
  EXPECT_EQ(produced->topics[0].partitions[0].error, Code::kNone);
  EXPECT_LT(server_->metrics().in_flight_bytes.load(), 128 << 20) << "one at a time is taken in";
}

}  // namespace
}  // namespace kappa::serve::kafka
