// Goal: a real client, librdkafka, gets what the protocol promises: all codecs, idempotence, large messages, keys, timestamps.
// Method: a real log behind the server, the stock library in front of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <map>

#include "group/group_testing.h"
#include "log/log_testing.h"
#include "serve/kafka/record_messages.h"
#include "serve/kafka/server.h"
#include "serve/kafka/wire_client.h"
#include "txn/txn_testing.h"

namespace kappa::serve::kafka {
namespace {

using testing::ElementsAre;

struct Message {
  std::optional<std::string> key, value;
  int64_t timestamp_ms = 0;
  std::vector<std::string> headers;
  bool operator==(const Message&) const = default;
};

using Settings = std::map<std::string, std::string>;

/// A librdkafka handle; destroyed with all it holds.
class Client {
 public:
  Client(rd_kafka_type_t type, const std::string& broker, const Settings& settings) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    char error[512];
    rd_kafka_conf_set(conf, "bootstrap.servers", broker.c_str(), error, sizeof error);
    for (const auto& [name, value] : settings) {
      EXPECT_EQ(rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof error), RD_KAFKA_CONF_OK) << error;
    }
    rd_kafka_conf_set_opaque(conf, this);
    rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
    if (type == RD_KAFKA_PRODUCER) {
      rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
        auto* self = static_cast<Client*>(opaque);
        ++(message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? self->delivered : self->failed);
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) self->last_error = rd_kafka_err2name(message->err);
      });
    }
    handle = rd_kafka_new(type, conf, error, sizeof error);
    KAPPA_CHECK(handle != nullptr);
  }
  ~Client() { rd_kafka_destroy(handle); }

  rd_kafka_resp_err_t Send(const std::string& topic, const Message& message, int32_t partition = 0) {
    rd_kafka_headers_t* headers = rd_kafka_headers_new(4);
    for (const std::string& header : message.headers) rd_kafka_header_add(headers, "h", 1, header.data(), static_cast<ssize_t>(header.size()));
    auto data = [](const std::optional<std::string>& text) { return const_cast<char*>(text ? text->data() : nullptr); };
    auto size = [](const std::optional<std::string>& text) { return text ? text->size() : 0; };
    rd_kafka_resp_err_t error =
        rd_kafka_producev(handle, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_KEY(data(message.key), size(message.key)), RD_KAFKA_V_VALUE(data(message.value), size(message.value)),
                          RD_KAFKA_V_TIMESTAMP(message.timestamp_ms), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_headers_destroy(headers);
    return error;
  }

  rd_kafka_t* handle;
  int delivered = 0;
  int failed = 0;
  std::string last_error;
};

class KafkaClientTest : public testing::Test {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "librdkafka starts its threads with C11's thrd_create, which the thread sanitizer of GCC 12 does not know";
#endif
    log_ = log::OpenLog(folder_.path());
    groups_ = group::OpenGroups(*log_);
    transactions_ = txn::OpenTransactions(*log_, *groups_);
    auto server = KafkaServer::Start({.address = "127.0.0.1:0"}, *log_, *groups_, *transactions_, *quotas_, io::RealClock());
    ASSERT_TRUE(server.ok()) << server.error().ToString();
    server_ = std::move(*server);
  }
  void TearDown() override {
    server_.reset();
    transactions_.reset();
    groups_.reset();
    if (log_) log_->Close();
  }
  void Produce(const std::string& topic, const std::vector<Message>& messages, const Settings& settings) {
    Client producer(RD_KAFKA_PRODUCER, server_->address(), settings);
    for (const Message& message : messages) ASSERT_EQ(producer.Send(topic, message), RD_KAFKA_RESP_ERR_NO_ERROR);
    ASSERT_EQ(rd_kafka_flush(producer.handle, 30'000), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(producer.failed, 0) << producer.last_error;
    EXPECT_EQ(producer.delivered, static_cast<int>(messages.size()));
  }
  /// Reads with the plain consumer until the end of the partition.
  std::vector<Message> Consume(const std::string& topic, int64_t from = RD_KAFKA_OFFSET_BEGINNING, Settings settings = {}) {
    settings.insert({"enable.partition.eof", "true"});
    settings.insert({"check.crcs", "true"});
    Client consumer(RD_KAFKA_CONSUMER, server_->address(), settings);
    rd_kafka_topic_t* handle = rd_kafka_topic_new(consumer.handle, topic.c_str(), nullptr);
    EXPECT_EQ(rd_kafka_consume_start(handle, 0, from), 0);
    std::vector<Message> messages;
    while (true) {
      rd_kafka_message_t* got = rd_kafka_consume(handle, 0, 30'000);
      if (got == nullptr) {
        ADD_FAILURE() << "no message and no end";
        break;
      }
      const bool ended = got->err != RD_KAFKA_RESP_ERR_NO_ERROR;
      if (got->err != RD_KAFKA_RESP_ERR_NO_ERROR && got->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) ADD_FAILURE() << rd_kafka_message_errstr(got);
      if (!ended) {
        Message message;
        if (got->key != nullptr) message.key.emplace(static_cast<const char*>(got->key), got->key_len);
        if (got->payload != nullptr) message.value.emplace(static_cast<const char*>(got->payload), got->len);
        rd_kafka_timestamp_type_t type;
        message.timestamp_ms = rd_kafka_message_timestamp(got, &type);
        EXPECT_EQ(type, RD_KAFKA_TIMESTAMP_CREATE_TIME);
        rd_kafka_headers_t* headers = nullptr;
        const void* value;
        size_t size;
        const char* name;
        if (rd_kafka_message_headers(got, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
          for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
            message.headers.emplace_back(static_cast<const char*>(value), size);
          }
        }
        messages.push_back(std::move(message));
      }
      rd_kafka_message_destroy(got);
      if (ended) break;
    }
    rd_kafka_consume_stop(handle, 0);
    rd_kafka_topic_destroy(handle);
    return messages;
  }

  log::ScratchFolder folder_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<group::Groups> groups_;
  std::unique_ptr<txn::Transactions> transactions_;
  const std::unique_ptr<quota::ClientQuotas> quotas_ = quota::ClientQuotas::Open(folder_.path() + "/quotas").value();
  std::unique_ptr<KafkaServer> server_;
};

/// Each compresses well alone: librdkafka sends a batch as it is when compressing would make it larger.
std::vector<Message> Samples() {
  std::vector<Message> messages;
  for (int i = 0; i < 1000; ++i)
    messages.push_back({"key " + std::to_string(i % 10), "value " + std::to_string(i) + std::string(300, '.'), 1'700'000'000'000 + i, {}});
  messages.push_back({std::nullopt, "no key", 1'700'000'000'000, {}});
  messages.push_back({"a tombstone", std::nullopt, 1'700'000'000'000, {}});
  messages.push_back({"", "", 1'700'000'000'000, {}});
  messages.push_back({"with headers", "x", 1'700'000'000'000, {"one", "", "three"}});
  return messages;
}

TEST_F(KafkaClientTest, EveryCodecArrivesCompressedAndReadsBack) {
  const std::map<std::string, int> codecs = {{"none", 0}, {"gzip", 1}, {"snappy", 2}, {"lz4", 3}, {"zstd", 4}};
  for (const auto& [name, number] : codecs) {
    SCOPED_TRACE(name);
    Produce(name, Samples(), {{"compression.type", name}, {"linger.ms", "50"}});
    const auto topic = log_->FindTopic(name);
    ASSERT_NE(topic, nullptr) << "made by the client's metadata request";
    auto header = log::ParseBatchHeader(topic->partition(0).Read(0, 1 << 20).bytes);
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->codec(), number) << "the batch was stored as the client compressed it";
    EXPECT_EQ(Consume(name), Samples());
  }
}

TEST_F(KafkaClientTest, AnIdempotentProducerWithManyRequestsInFlight) {
  std::vector<Message> messages;
  for (int i = 0; i < 20'000; ++i) messages.push_back({"k", std::to_string(i), 1'700'000'000'000, {}});
  Produce("t", messages, {{"enable.idempotence", "true"}, {"batch.num.messages", "100"}});
  EXPECT_EQ(Consume("t"), messages);
  auto header = log::ParseBatchHeader(log_->FindTopic("t")->partition(0).Read(0, 1).bytes);
  ASSERT_TRUE(header.ok());
  EXPECT_GE(header->producer_id, 0);
}

TEST_F(KafkaClientTest, AnIdempotentProducerWhoseConnectionsBreakStoresEachMessageOnce) {
  // Between client and log sits a server that is stopped and started again on the same port while the client sends.
  const std::string address = server_->address();
  Client producer(RD_KAFKA_PRODUCER, address,
                  {{"enable.idempotence", "true"}, {"batch.num.messages", "50"}, {"reconnect.backoff.ms", "10"}, {"retry.backoff.ms", "10"}});
  std::vector<Message> messages;
  for (int i = 0; i < 5000; ++i) {
    messages.push_back({"k", std::to_string(i), 1'700'000'000'000, {}});
    ASSERT_EQ(producer.Send("t", messages.back()), RD_KAFKA_RESP_ERR_NO_ERROR);
    if (i % 1000 != 999) continue;
    while (producer.delivered < i - 500) rd_kafka_poll(producer.handle, 10);
    server_.reset();
    auto again = KafkaServer::Start({.address = address}, *log_, *groups_, *transactions_, *quotas_, io::RealClock());
    ASSERT_TRUE(again.ok()) << again.error().ToString();
    server_ = std::move(*again);
  }
  ASSERT_EQ(rd_kafka_flush(producer.handle, 60'000), RD_KAFKA_RESP_ERR_NO_ERROR);
  EXPECT_EQ(producer.delivered, 5000) << producer.last_error;
  EXPECT_EQ(Consume("t"), messages);
}

TEST_F(KafkaClientTest, LargeMessages) {
  const Message large{"k", std::string(9'000'000, 'x'), 1'700'000'000'000, {}};
  Produce("t", {large, large}, {{"message.max.bytes", "10000000"}});
  EXPECT_EQ(Consume("t"), std::vector<Message>({large, large}));

  log::CreateOne(*log_, "small", {.max_message_bytes = 1000});
  Client producer(RD_KAFKA_PRODUCER, server_->address(), {});
  ASSERT_EQ(producer.Send("small", {"k", std::string(5000, 'x'), 1, {}}), RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_flush(producer.handle, 30'000);
  EXPECT_EQ(producer.failed, 1);
  EXPECT_EQ(producer.last_error, "MSG_SIZE_TOO_LARGE");
}

TEST_F(KafkaClientTest, AConnectionCutInsideAProduceFrameDoesNotDisturbOthers) {
  log::CreateOne(*log_, "t");
  const std::string batch = log::OneBatch({std::string(500'000, 'x')});
  ProduceRequest request{.acks = -1, .topics = {{"t", {{0, batch}}}}};
  const std::string frame = WithLength(EncodeRequest(ApiKey::kProduce, 7, 1, request));
  {
    WireClient cut(server_->address());
    ASSERT_TRUE(cut.Send(std::string_view(frame).substr(0, frame.size() / 2)));
  }
  Produce("t", {{"k", "after", 5, {}}}, {});
  EXPECT_EQ(Consume("t"), std::vector<Message>({{"k", "after", 5, {}}}));
}

TEST_F(KafkaClientTest, ReadingFromATimeAndFromAnOffset) {
  std::vector<Message> messages;
  for (int i = 0; i < 100; ++i) messages.push_back({"k", std::to_string(i), 1'000'000 + 1000 * i, {}});
  Produce("t", messages, {{"linger.ms", "20"}});
  EXPECT_EQ(Consume("t", 97).size(), 3u) << "an offset inside a batch";
  EXPECT_EQ(Consume("t", RD_KAFKA_OFFSET_TAIL(5)).size(), 5u);

  Client consumer(RD_KAFKA_CONSUMER, server_->address(), {});
  rd_kafka_topic_partition_list_t* times = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(times, "t", 0)->offset = 1'000'000 + 1000 * 42 - 500;
  ASSERT_EQ(rd_kafka_offsets_for_times(consumer.handle, times, 10'000), RD_KAFKA_RESP_ERR_NO_ERROR);
  EXPECT_EQ(times->elems[0].offset, 42);
  rd_kafka_topic_partition_list_destroy(times);
  int64_t low = -1, high = -1;
  ASSERT_EQ(rd_kafka_query_watermark_offsets(consumer.handle, "t", 0, &low, &high, 10'000), RD_KAFKA_RESP_ERR_NO_ERROR);
  EXPECT_EQ(low, 0);
  EXPECT_EQ(high, 100);
}

TEST_F(KafkaClientTest, ASmallFetchSizeStillReadsEverything) {
  std::vector<Message> messages;
  for (int i = 0; i < 50; ++i) messages.push_back({"k", std::string(20'000, static_cast<char>('a' + i % 26)), 5, {}});
  Produce("t", messages, {{"batch.num.messages", "3"}});
  EXPECT_EQ(Consume("t", RD_KAFKA_OFFSET_BEGINNING, {{"fetch.message.max.bytes", "1000"}}), messages);
}

TEST_F(KafkaClientTest, KeysGoWhereTheLogsPartitionerSaysTheyGo) {
  log::CreateOne(*log_, "t", {.partitions = 5});
  Client producer(RD_KAFKA_PRODUCER, server_->address(), {{"partitioner", "murmur2_random"}});
  for (int i = 0; i < 200; ++i)
    ASSERT_EQ(producer.Send("t", {"user" + std::to_string(i), "v", 5, {}}, RD_KAFKA_PARTITION_UA), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(rd_kafka_flush(producer.handle, 30'000), RD_KAFKA_RESP_ERR_NO_ERROR);
  std::map<int32_t, int64_t> expected;
  for (int i = 0; i < 200; ++i) ++expected[log::PartitionForKey("user" + std::to_string(i), 5)];
  for (const auto& [partition, count] : expected) EXPECT_EQ(log_->FindTopic("t")->partition(partition).end_offset(), count) << partition;
}

}  // namespace
}  // namespace kappa::serve::kafka
