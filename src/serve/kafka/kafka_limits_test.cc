// Goal: no client can take what others need: neither connections, nor memory, nor more than its rate.
// Method: the arithmetic of quotas on a clock moved by hand; a server with small limits, clients that do not read, that only announce large
// requests, or that go too fast, and one that must be served meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "group/group_testing.h"
#include "log/log_testing.h"
#include "serve/kafka/cluster_messages.h"
#include "serve/kafka/quotas.h"
#include "serve/kafka/record_messages.h"
#include "serve/kafka/server.h"
#include "serve/kafka/wire_client.h"
#include "txn/txn_testing.h"

namespace kappa::serve::kafka {
namespace {

TEST(QuotasTest, WhatIsBeyondTheRateIsPaidWithSilence) {
  KafkaServerOptions options{.produce_bytes_per_second = 1000};
  Quotas quotas(options);
  const auto produce = [&](const std::string& payer, size_t bytes, int64_t now_ms) {
    return quotas.Charge(Quotas::Kind::kProduce, payer, bytes, now_ms * 1000);
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
  EXPECT_EQ(quotas.Charge(Quotas::Kind::kFetch, "a", 1 << 30, 0), 0) << "no rate for fetches";
}

TEST(QuotasTest, ClientsBeyondTheBoundShareOneQuota) {
  KafkaServerOptions options{.fetch_bytes_per_second = 1000};
  Quotas quotas(options);
  for (int i = 0; i < 10'000; ++i) quotas.Charge(Quotas::Kind::kFetch, "client " + std::to_string(i), 2000, 0);
  EXPECT_EQ(quotas.Charge(Quotas::Kind::kFetch, "x", 1000, 0), 0);
  EXPECT_EQ(quotas.Charge(Quotas::Kind::kFetch, "y", 1000, 0), 1000) << "with x";
  EXPECT_EQ(quotas.Charge(Quotas::Kind::kFetch, "client 7", 1000, 0), 2000) << "still its own";
  EXPECT_EQ(quotas.Charge(Quotas::Kind::kFetch, "z", 1000, 3'000'000), 0) << "those that have paid make room";
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
    auto server = KafkaServer::Start(std::move(options), *log_, *groups_, *transactions_, io::RealClock());
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
