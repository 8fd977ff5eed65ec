// Goal: messages are encoded as the Kafka protocol guide says, and hostile bytes neither crash nor allocate.
// Method: golden bytes written down by hand; every version of every message there and back; every prefix of a valid message.
#include <gtest/gtest.h>

#include "serve/kafka/admin_messages.h"
#include "serve/kafka/broker.h"
#include "serve/kafka/cluster_messages.h"
#include "serve/kafka/group_messages.h"
#include "serve/kafka/protocol.h"
#include "serve/kafka/record_messages.h"
#include "serve/kafka/sasl_messages.h"
#include "serve/kafka/transaction_messages.h"
#include "serve/kafka/wire_client.h"

namespace kappa::serve::kafka {
namespace {

std::string Bytes(std::initializer_list<int> values) {
  std::string out;
  for (int value : values) out.push_back(static_cast<char>(value));
  return out;
}

template <class Message> std::string Encode(Message message, int version, bool flexible) {
  Encoder encoder(version, flexible);
  message.Fields(encoder);
  std::string out;
  for (const Chunk& chunk : encoder.Take()) out += chunk.bytes;
  return out;
}

TEST(KafkaCodecTest, ApiVersionsRequestOfLibrdkafkaInVersion3) {
  // Header v2 (the client id is never compact), then compact strings and tagged fields.
  std::string frame = Bytes({0, 18, 0, 3, 0, 0, 0, 1, 0, 7}) + "rdkafka" + Bytes({0, 11}) + "librdkafka" + Bytes({6}) + "2.0.2" + Bytes({0});
  std::string_view body;
  auto header = DecodeHeader(frame, body);
  ASSERT_TRUE(header.ok());
  ASSERT_NE(header->api, nullptr);
  EXPECT_EQ(header->api->key, ApiKey::kApiVersions);
  EXPECT_EQ(header->correlation_id, 1);
  EXPECT_EQ(header->client_id, "rdkafka");
  Decoder decoder(body, 3, true);
  ApiVersionsRequest request;
  request.Fields(decoder);
  EXPECT_TRUE(decoder.AtEnd());
  EXPECT_EQ(request.client_software_name, "librdkafka");
  EXPECT_EQ(request.client_software_version, "2.0.2");
}

TEST(KafkaCodecTest, MetadataRequestVersion1) {
  std::string body = Bytes({0, 0, 0, 1, 0, 1}) + "t";
  Decoder decoder(body, 1, false);
  MetadataRequest request;
  request.Fields(decoder);
  ASSERT_TRUE(decoder.AtEnd());
  ASSERT_TRUE(request.topics.has_value());
  EXPECT_EQ(request.topics->at(0).name, "t");
  EXPECT_TRUE(request.allow_auto_topic_creation) << "the default before version 4";

  std::string all = Bytes({0xff, 0xff, 0xff, 0xff});
  Decoder null(all, 1, false);
  request.Fields(null);
  EXPECT_TRUE(null.AtEnd());
  EXPECT_FALSE(request.topics.has_value());
}

TEST(KafkaCodecTest, ProduceRequestVersion9) {
  std::string body = Bytes({0,                         // transactional_id: null
                            0xff, 0xff,                // acks: -1
                            0,    0,    0x75, 0x30,          // timeout: 30000
                            2,    2,    't',                 // one topic, "t"
                            2,    0,    0,    0,    5, 4, 1, 2, 3, // one partition, 5, three bytes of records
                            0,    0,    0});
  Decoder decoder(body, 9, true);
  ProduceRequest request;
  request.Fields(decoder);
  ASSERT_TRUE(decoder.AtEnd());
  EXPECT_FALSE(request.transactional_id.has_value());
  EXPECT_EQ(request.acks, -1);
  EXPECT_EQ(request.timeout_ms, 30000);
  EXPECT_EQ(request.topics.at(0).name, "t");
  EXPECT_EQ(request.topics[0].partitions.at(0).index, 5);
  EXPECT_EQ(request.topics[0].partitions[0].records, Bytes({1, 2, 3}));
}

TEST(KafkaCodecTest, JoinGroupRequestVersion6) {
  std::string body = Bytes({2, 'g', 0, 0, 0x27, 0x10, 0, 0, 0xea, 0x60, 1, 0, 9}) + "consumer" + Bytes({2, 6}) + "range" + Bytes({3, 7, 8, 0, 0});
  Decoder decoder(body, 6, true);
  JoinGroupRequest request;
  request.Fields(decoder);
  ASSERT_TRUE(decoder.AtEnd());
  EXPECT_EQ(request.group, "g");
  EXPECT_EQ(request.session_timeout_ms, 10'000);
  EXPECT_EQ(request.rebalance_timeout_ms, 60'000);
  EXPECT_EQ(request.member_id, "");
  EXPECT_FALSE(request.instance_id.has_value());
  EXPECT_EQ(request.protocols.at(0).metadata.bytes, Bytes({7, 8}));
}

TEST(KafkaCodecTest, OffsetCommitRequestVersion2) {
  std::string body = Bytes({0, 1, 'g', 0, 0, 0, 5, 0, 1, 'm'}) + std::string(8, '\xff') +
                     Bytes({0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0xff});
  Decoder decoder(body, 2, false);
  OffsetCommitRequest request;
  request.Fields(decoder);
  ASSERT_TRUE(decoder.AtEnd());
  EXPECT_EQ(request.generation, 5);
  EXPECT_EQ(request.retention_ms, -1);
  EXPECT_EQ(request.topics.at(0).partitions.at(0).index, 3);
  EXPECT_EQ(request.topics[0].partitions[0].offset, 9);
  EXPECT_FALSE(request.topics[0].partitions[0].metadata.has_value());
}

TEST(KafkaCodecTest, ProduceResponseVersion3) {
  ProduceResponse response;
  response.topics.push_back({"t", {{.index = 1, .error = Code::kCorruptMessage, .base_offset = 7}}});
  EXPECT_EQ(Encode(response, 3, false),
            Bytes({0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7}) + std::string(8, '\xff') + Bytes({0, 0, 0, 0}));
}

TEST(KafkaCodecTest, UnknownApiVersionsVersionIsAnsweredInVersion0) {
  RequestHeader header{.key = 18, .version = 9, .correlation_id = 4, .api = FindApi(18, 9)};
  ASSERT_EQ(header.api, nullptr);
  Frame frame = ApiVersionsFrame(header);
  ASSERT_EQ(frame.size(), 1u);
  const auto count = static_cast<int>(SupportedApis().size()), length = 10 + 6 * count;
  EXPECT_EQ(frame[0].bytes.substr(0, 14), Bytes({0, 0, length >> 8, length & 255, 0, 0, 0, 4, 0, 35, 0, 0, 0, count}));
}

TEST(KafkaCodecTest, LargeRecordsAreMovedNotCopied) {
  FetchResponse response;
  std::string batch(100'000, 'x');
  const char* at = batch.data();
  response.topics.emplace_back().partitions.emplace_back().records.bytes = std::move(batch);
  Encoder encoder(11, false);
  response.Fields(encoder);
  Frame chunks = encoder.Take();
  ASSERT_EQ(chunks.size(), 3u);
  EXPECT_EQ(chunks[1].bytes.data(), at);
}

/// Encodes in every supported version, decodes, encodes again; then decodes every prefix, which must fail cleanly.
template <class Message> void ThereAndBack(ApiKey key, const Message& message) {
  for (const Api& api : SupportedApis()) {
    if (api.key != key) continue;
    for (int version = api.advertised_min; version <= api.max; ++version) {
      SCOPED_TRACE(std::string(api.name) + " version " + std::to_string(version));
      const bool flexible = version >= api.flexible;
      const std::string bytes = Encode(message, version, flexible);
      Message decoded;
      Decoder decoder(bytes, version, flexible);
      decoded.Fields(decoder);
      ASSERT_TRUE(decoder.AtEnd());
      EXPECT_EQ(Encode(decoded, version, flexible), bytes);
      for (size_t length = 0; length < bytes.size(); ++length) {
        Message cut;
        Decoder short_decoder(std::string_view(bytes).substr(0, length), version, flexible);
        cut.Fields(short_decoder);
        EXPECT_FALSE(short_decoder.AtEnd()) << length << " of " << bytes.size() << " bytes";
      }
    }
  }
}

TEST(KafkaCodecTest, EveryMessageThereAndBackInEveryVersion) {
  ThereAndBack(ApiKey::kProduce,
               ProduceRequest{.transactional_id = "x", .acks = 1, .timeout_ms = 9, .topics = {{"a", {{1, "abc"}, {2, std::nullopt}}}}});
  ThereAndBack(ApiKey::kProduce,
               ProduceResponse{.topics = {{"a", {{.index = 1, .record_errors = {{3, "bad"}}, .message = "why"}}}}, .throttle_ms = 1});
  ThereAndBack(ApiKey::kFetch, FetchRequest{.topics = {{"a", {{.index = 1, .offset = 5}}}}, .forgotten = {{"b", {1, 2}}}, .rack_id = "r"});
  ThereAndBack(ApiKey::kFetch, FetchResponse{.topics = {{"a", {{.index = 1, .aborted = {{{4, 5}}}, .records = {"xyz"}}}}}});
  ThereAndBack(ApiKey::kListOffsets, ListOffsetsRequest{.topics = {{"a", {{.index = 1, .timestamp_ms = -2}}}}});
  ThereAndBack(ApiKey::kListOffsets, ListOffsetsResponse{.topics = {{"a", {{.index = 1, .offset = 7}}}}});
  ThereAndBack(ApiKey::kMetadata, MetadataRequest{.topics = {{{"a"}, {"b"}}}});
  ThereAndBack(ApiKey::kMetadata, MetadataRequest{});
  ThereAndBack(ApiKey::kMetadata, MetadataResponse{.brokers = {{0, "h", 9092, "r"}},
                                                   .cluster_id = "c",
                                                   .topics = {{.name = "a", .partitions = {{.replicas = {0}, .in_sync_replicas = {0}}}}}});
  ThereAndBack(ApiKey::kFindCoordinator, FindCoordinatorRequest{.key = "g"});
  ThereAndBack(ApiKey::kFindCoordinator, FindCoordinatorResponse{.message = "m", .host = "h"});
  ThereAndBack(ApiKey::kApiVersions, ApiVersionsRequest{"n", "v"});
  ThereAndBack(ApiKey::kSaslHandshake, SaslHandshakeRequest{"PLAIN"});
  ThereAndBack(ApiKey::kSaslHandshake, SaslHandshakeResponse{Code::kNone, {"PLAIN", "SCRAM-SHA-256"}});
  ThereAndBack(ApiKey::kSaslAuthenticate, SaslAuthenticateRequest{{"n,,n=ann,r=x"}});
  ThereAndBack(ApiKey::kSaslAuthenticate, SaslAuthenticateResponse{Code::kNone, "text", {"v=x"}, 0});
  ThereAndBack(ApiKey::kApiVersions,
               ApiVersionsResponse{
                   .apis = {{ApiKey::kFetch, 1, 2}}, .supported_features = {{"f", 0, 2}}, .finalized_epoch = 7, .finalized_features = {{"f", 2, 1}}});
  ThereAndBack(ApiKey::kCreateTopics,
               CreateTopicsRequest{.topics = {{.name = "a", .assignments = {{0, {0}}}, .configs = {{"k", "v"}, {"n", std::nullopt}}}}});
  ThereAndBack(ApiKey::kCreateTopics, CreateTopicsResponse{.topics = {{.name = "a", .message = "m", .configs = {{{.name = "k", .value = "v"}}}}}});
  ThereAndBack(ApiKey::kDeleteTopics, DeleteTopicsRequest{.names = {"a", "b"}});
  ThereAndBack(ApiKey::kDeleteTopics, DeleteTopicsResponse{.topics = {{"a", Code::kInvalidRequest, "m"}}});
  ThereAndBack(ApiKey::kInitProducerId, InitProducerIdRequest{.transactional_id = "t"});
  ThereAndBack(ApiKey::kInitProducerId, InitProducerIdResponse{.producer_id = 5});
  ThereAndBack(ApiKey::kDescribeConfigs, DescribeConfigsRequest{.resources = {{2, "a", {{"k"}}}}});
  ThereAndBack(ApiKey::kDescribeConfigs,
               DescribeConfigsResponse{.resources = {{.name = "a", .entries = {{.name = "k", .synonyms = {{"k", "v", 1}}}}}}});
  ThereAndBack(ApiKey::kFindCoordinator, FindCoordinatorRequest{.keys = {"g", "h"}});
  ThereAndBack(ApiKey::kFindCoordinator, FindCoordinatorResponse{.host = "h", .coordinators = {{"g", 0, "h", 1, Code::kNone, "m"}}});
  ThereAndBack(ApiKey::kJoinGroup, JoinGroupRequest{.group = "g",
                                                    .member_id = "m",
                                                    .instance_id = "i",
                                                    .protocol_type = "consumer",
                                                    .protocols = {{"range", {"xyz"}}, {"sticky", {""}}},
                                                    .reason = "r"});
  ThereAndBack(ApiKey::kJoinGroup, JoinGroupResponse{.protocol_type = "consumer",
                                                     .protocol = "range",
                                                     .leader = "l",
                                                     .skip_assignment = true,
                                                     .member_id = "m",
                                                     .members = {{"m", "i", {"xyz"}}, {"n", std::nullopt, {""}}}});
  ThereAndBack(
      ApiKey::kSyncGroup,
      SyncGroupRequest{
          .group = "g", .member_id = "m", .instance_id = "i", .protocol_type = "consumer", .protocol = "range", .assignments = {{"m", {"xyz"}}}});
  ThereAndBack(ApiKey::kSyncGroup, SyncGroupResponse{.protocol_type = "consumer", .protocol = "range", .assignment = {"xyz"}});
  ThereAndBack(ApiKey::kHeartbeat, HeartbeatRequest{.group = "g", .generation = 3, .member_id = "m", .instance_id = "i"});
  ThereAndBack(ApiKey::kHeartbeat, HeartbeatResponse{.error = Code::kRebalanceInProgress});
  ThereAndBack(ApiKey::kLeaveGroup, LeaveGroupRequest{.group = "g", .member_id = "m", .members = {{"m", "i", "r"}, {"n", std::nullopt, {}}}});
  ThereAndBack(ApiKey::kLeaveGroup, LeaveGroupResponse{.members = {{"m", "i", Code::kUnknownMemberId}}});
  ThereAndBack(ApiKey::kOffsetCommit,
               OffsetCommitRequest{.group = "g", .member_id = "m", .instance_id = "i", .topics = {{"t", {{1, 7, 2, "x"}, {2, 8, 2, {}}}}}});
  ThereAndBack(ApiKey::kOffsetCommit, OffsetCommitResponse{.topics = {{"t", {{1, Code::kNone}}}}});
  ThereAndBack(ApiKey::kOffsetFetch,
               OffsetFetchRequest{.group = "g", .topics = {{{"t", {1, 2}}}}, .groups = {{"g", "m", 3, {{{"t", {1}}}}}, {"h", {}, 0, {}}}});
  ThereAndBack(ApiKey::kOffsetFetch, OffsetFetchResponse{.topics = {{"t", {{1, 7, 2, "x"}}}}, .groups = {{"g", {{"t", {{1, 7, 2, "x"}}}}}}});
  ThereAndBack(ApiKey::kOffsetDelete, OffsetDeleteRequest{.group = "g", .topics = {{"t", {{1}, {2}}}}});
  ThereAndBack(ApiKey::kOffsetDelete, OffsetDeleteResponse{.topics = {{"t", {{1, Code::kNone}}}}});
  ThereAndBack(ApiKey::kListGroups, ListGroupsRequest{.states = {"Stable"}, .types = {"classic"}});
  ThereAndBack(ApiKey::kListGroups, ListGroupsResponse{.groups = {{"g", "consumer", "Stable"}}});
  ThereAndBack(ApiKey::kDescribeGroups, DescribeGroupsRequest{.groups = {"g"}, .include_operations = true});
  ThereAndBack(ApiKey::kDescribeGroups,
               DescribeGroupsResponse{.groups = {{.id = "g", .state = "Stable", .members = {{"m", "i", "c", "/h", {"x"}, {"y"}}}}}});
  ThereAndBack(ApiKey::kDeleteGroups, DeleteGroupsRequest{.groups = {"g"}});
  ThereAndBack(ApiKey::kDeleteGroups, DeleteGroupsResponse{.groups = {{"g", Code::kNonEmptyGroup}}});
  ThereAndBack(ApiKey::kCreatePartitions, CreatePartitionsRequest{.topics = {{"t", 3, {{{{0}}}}}, {"u", 2, std::nullopt}}});
  ThereAndBack(ApiKey::kCreatePartitions, CreatePartitionsResponse{.topics = {{"t", Code::kInvalidPartitions, "m"}}});
  ThereAndBack(ApiKey::kAlterConfigs, AlterConfigsRequest{.resources = {{2, "t", {{"k", "v"}}}}});
  ThereAndBack(ApiKey::kAlterConfigs, AlterConfigsResponse{.resources = {{Code::kInvalidConfig, "m", 2, "t"}}});
  ThereAndBack(ApiKey::kIncrementalAlterConfigs, IncrementalAlterConfigsRequest{.resources = {{2, "t", {{"k", 0, "v"}, {"l", 1, {}}}}}});
  ThereAndBack(ApiKey::kIncrementalAlterConfigs, AlterConfigsResponse{.resources = {{Code::kNone, {}, 2, "t"}}});
  ThereAndBack(ApiKey::kDeleteRecords, DeleteRecordsRequest{.topics = {{"t", {{1, 5}}}}});
  ThereAndBack(ApiKey::kDeleteRecords, DeleteRecordsResponse{.topics = {{"t", {{1, 5}}}}});
  ThereAndBack(ApiKey::kOffsetForLeaderEpoch, OffsetForLeaderEpochRequest{.topics = {{"t", {{1, 0, 0}}}}});
  ThereAndBack(ApiKey::kOffsetForLeaderEpoch, OffsetForLeaderEpochResponse{.topics = {{"t", {{Code::kNone, 1, 0, 9}}}}});
  ThereAndBack(ApiKey::kDescribeLogDirs, DescribeLogDirsRequest{.topics = {{{"t", {0, 1}}}}});
  ThereAndBack(ApiKey::kDescribeLogDirs, DescribeLogDirsResponse{.folders = {{.path = "/x", .topics = {{"t", {{0, 5}}}}}}});
  ThereAndBack(ApiKey::kDescribeAcls, DescribeAclsRequest{.resource_name = "t", .principal = "p", .host = "h"});
  ThereAndBack(ApiKey::kDescribeAcls, DescribeAclsResponse{.message = "m"});
  ThereAndBack(ApiKey::kCreateAcls, CreateAclsRequest{.acls = {{2, "t", 3, "p", "h", 1, 1}}});
  ThereAndBack(ApiKey::kCreateAcls, CreateAclsResponse{.outcomes = {{Code::kSecurityDisabled, "m"}}});
  ThereAndBack(ApiKey::kDeleteAcls, DeleteAclsRequest{.filters = {{.resource_name = "t"}}});
  ThereAndBack(ApiKey::kDeleteAcls, DeleteAclsResponse{.outcomes = {{Code::kSecurityDisabled, "m", {}}}});
  ThereAndBack(ApiKey::kAddPartitionsToTxn, AddPartitionsToTxnRequest{"x", 7, 1, {{"t", {1, 2}}}});
  ThereAndBack(ApiKey::kAddPartitionsToTxn, AddPartitionsToTxnResponse{.topics = {{"t", {{1, Code::kInvalidRequest}}}}});
  ThereAndBack(ApiKey::kAddOffsetsToTxn, AddOffsetsToTxnRequest{"x", 7, 1, "g"});
  ThereAndBack(ApiKey::kAddOffsetsToTxn, AddOffsetsToTxnResponse{.error = Code::kInvalidRequest});
  ThereAndBack(ApiKey::kTxnOffsetCommit, TxnOffsetCommitRequest{"x", "g", 7, 1, 3, "m", "i", {{"t", {{1, 5, 2, "n"}, {2, 6, 2, {}}}}}});
  ThereAndBack(ApiKey::kTxnOffsetCommit, TxnOffsetCommitResponse{.topics = {{"t", {{1, Code::kInvalidRequest}}}}});
  ThereAndBack(ApiKey::kWriteTxnMarkers, WriteTxnMarkersRequest{{{7, 1, true, {{"t", {0, 2}}}, 3}}});
  ThereAndBack(ApiKey::kWriteTxnMarkers, WriteTxnMarkersResponse{{{7, {{"t", {{0, Code::kNone}, {2, Code::kInvalidTxnState}}}}}}});
  ThereAndBack(ApiKey::kEndTxn, EndTxnRequest{"x", 7, 1, true});
  ThereAndBack(ApiKey::kEndTxn, EndTxnResponse{.producer_id = 7, .producer_epoch = 2});
  ThereAndBack(ApiKey::kDescribeProducers, DescribeProducersRequest{{{"t", {{1}, {2}}}}});
  ThereAndBack(ApiKey::kDescribeProducers,
               DescribeProducersResponse{.topics = {{"t", {{.index = 1, .message = "m", .producers = {{7, 1, 9, 10, 0, 11}}}}}}});
  ThereAndBack(ApiKey::kDescribeTransactions, DescribeTransactionsRequest{{"x", "y"}});
  ThereAndBack(ApiKey::kDescribeTransactions,
               DescribeTransactionsResponse{.transactions = {{.id = "x", .state = "Ongoing", .topics = {{"t", {1, 2}}}}}});
  ThereAndBack(ApiKey::kListTransactions, ListTransactionsRequest{{"Ongoing"}, {7}, 5});
  ThereAndBack(ApiKey::kListTransactions, ListTransactionsResponse{.unknown_states = {"z"}, .transactions = {{"x", 7, "Empty"}}});
  ThereAndBack(ApiKey::kDescribeClientQuotas, DescribeClientQuotasRequest{{{"user", 0, "ann"}, {"client-id", 1, {}}}, true});
  ThereAndBack(ApiKey::kDescribeClientQuotas,
               DescribeClientQuotasResponse{.message = "m", .entries = {{{{{"user", "ann"}, {"client-id", {}}}, {{"producer_byte_rate", 0.5}}}}}});
  ThereAndBack(ApiKey::kAlterClientQuotas, AlterClientQuotasRequest{{{{{"user", {}}}, {{"k", 1024, false}, {"l", 0, true}}}}, true});
  ThereAndBack(ApiKey::kAlterClientQuotas, AlterClientQuotasResponse{.entries = {{Code::kInvalidRequest, "m", {{"ip", "::1"}}}}});
  ThereAndBack(ApiKey::kDescribeUserScramCredentials, DescribeUserScramCredentialsRequest{{{{"ann"}}}});
  ThereAndBack(ApiKey::kDescribeUserScramCredentials, DescribeUserScramCredentialsResponse{.users = {{"ann", Code::kNone, "m", {{1, 8192}}}}});
  ThereAndBack(ApiKey::kDescribeCluster, DescribeClusterRequest{});
  ThereAndBack(ApiKey::kDescribeCluster, DescribeClusterResponse{.cluster_id = "c", .brokers = {{0, "h", 1, std::nullopt}}});
}

TEST(KafkaCodecTest, ImpossibleLengthsFailBeforeAnythingIsAllocated) {
  for (const std::string& count : {Bytes({0x7f, 0xff, 0xff, 0xff}), Bytes({0x80, 0, 0, 0}), Bytes({0xff, 0xff, 0xff, 0xfe}), Bytes({0, 0, 0, 9})}) {
    std::string body = count + Bytes({0, 1, 'a'});
    Decoder decoder(body, 1, false);
    MetadataRequest request;
    request.Fields(decoder);
    EXPECT_FALSE(decoder.ok());
    EXPECT_LE(request.topics ? request.topics->capacity() : 0, 8u);
  }
  std::string compact = Bytes({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0});
  Decoder decoder(compact, 9, true);
  MetadataRequest request;
  request.Fields(decoder);
  EXPECT_FALSE(decoder.ok());
}

TEST(KafkaCodecTest, ASmallFrameCannotAskForMillionsOfElements) {
  std::string body(4 + 2 * 1'000'000, '\0');  // a million empty names
  body[1] = 0x0f, body[2] = 0x42, body[3] = 0x40;
  Decoder decoder(body, 1, false);
  MetadataRequest request;
  request.Fields(decoder);
  EXPECT_FALSE(decoder.ok());
  EXPECT_LE(request.topics->size(), kElementsMax);
}

TEST(KafkaCodecTest, UnknownTaggedFieldsAreSkipped) {
  std::string body = Bytes({1, 1, 2, /*tag*/ 0, /*size*/ 3, 9, 9, 9, /*tag*/ 5, 0});
  Decoder decoder(body, 3, true);
  ApiVersionsRequest request;
  request.Fields(decoder);
  EXPECT_TRUE(decoder.AtEnd());
}

TEST(KafkaCodecTest, BrokenHeaders) {
  std::string_view body;
  EXPECT_FALSE(DecodeHeader("", body).ok());
  EXPECT_FALSE(DecodeHeader(Bytes({0, 3, 0, 1, 0, 0, 0}), body).ok());
  EXPECT_FALSE(DecodeHeader(Bytes({0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff}), body).ok()) << "client id beyond the frame";
  EXPECT_FALSE(DecodeHeader(Bytes({0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 3, 1}), body).ok()) << "tagged fields beyond the frame";
  auto unknown = DecodeHeader(Bytes({0x7f, 3, 0, 1, 0, 0, 0, 1}), body);
  ASSERT_TRUE(unknown.ok());
  EXPECT_EQ(unknown->api, nullptr);
}

}  // namespace
}  // namespace kappa::serve::kafka
