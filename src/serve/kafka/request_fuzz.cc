// Any bytes as a request frame: decoding must not crash, and what it accepts must survive encoding and decoding again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "serve/kafka/admin_messages.h"
#include "serve/kafka/cluster_messages.h"
#include "serve/kafka/group_messages.h"
#include "serve/kafka/protocol.h"
#include "serve/kafka/quota_messages.h"
#include "serve/kafka/record_messages.h"
#include "serve/kafka/sasl_messages.h"
#include "serve/kafka/transaction_messages.h"

namespace kappa::serve::kafka {
namespace {

template <class Request> void Check(const RequestHeader& header, std::string_view body) {
  const bool flexible = header.version >= header.api->flexible;
  Decoder decoder(body, header.version, flexible);
  Request request;
  request.Fields(decoder);
  if (!decoder.AtEnd()) return;
  auto encode = [&](Request& message) {
    Encoder encoder(header.version, flexible);
    message.Fields(encoder);
    std::string out;
    for (const Chunk& chunk : encoder.Take()) out += chunk.bytes;
    return out;
  };
  // Not always the same bytes: tagged fields are dropped, and booleans may be any byte.
  const std::string once = encode(request);
  Decoder again(once, header.version, flexible);
  Request copy;
  copy.Fields(again);
  KAPPA_CHECK(again.AtEnd());
  KAPPA_CHECK(encode(copy) == once);
}

}  // namespace
}  // namespace kappa::serve::kafka

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kappa::serve::kafka;
  std::string_view body;
  auto header = DecodeHeader({reinterpret_cast<const char*>(data), size}, body);
  if (!header.ok() || header->api == nullptr) return 0;
  switch (header->api->key) {
    case ApiKey::kProduce: Check<ProduceRequest>(*header, body); break;
    case ApiKey::kFetch: Check<FetchRequest>(*header, body); break;
    case ApiKey::kListOffsets: Check<ListOffsetsRequest>(*header, body); break;
    case ApiKey::kMetadata: Check<MetadataRequest>(*header, body); break;
    case ApiKey::kFindCoordinator: Check<FindCoordinatorRequest>(*header, body); break;
    case ApiKey::kApiVersions: Check<ApiVersionsRequest>(*header, body); break;
    case ApiKey::kCreateTopics: Check<CreateTopicsRequest>(*header, body); break;
    case ApiKey::kDeleteTopics: Check<DeleteTopicsRequest>(*header, body); break;
    case ApiKey::kInitProducerId: Check<InitProducerIdRequest>(*header, body); break;
    case ApiKey::kDescribeConfigs: Check<DescribeConfigsRequest>(*header, body); break;
    case ApiKey::kOffsetCommit: Check<OffsetCommitRequest>(*header, body); break;
    case ApiKey::kOffsetFetch: Check<OffsetFetchRequest>(*header, body); break;
    case ApiKey::kJoinGroup: Check<JoinGroupRequest>(*header, body); break;
    case ApiKey::kHeartbeat: Check<HeartbeatRequest>(*header, body); break;
    case ApiKey::kLeaveGroup: Check<LeaveGroupRequest>(*header, body); break;
    case ApiKey::kSyncGroup: Check<SyncGroupRequest>(*header, body); break;
    case ApiKey::kDescribeGroups: Check<DescribeGroupsRequest>(*header, body); break;
    case ApiKey::kListGroups: Check<ListGroupsRequest>(*header, body); break;
    case ApiKey::kDeleteGroups: Check<DeleteGroupsRequest>(*header, body); break;
    case ApiKey::kOffsetDelete: Check<OffsetDeleteRequest>(*header, body); break;
    case ApiKey::kCreatePartitions: Check<CreatePartitionsRequest>(*header, body); break;
    case ApiKey::kAlterConfigs: Check<AlterConfigsRequest>(*header, body); break;
    case ApiKey::kIncrementalAlterConfigs: Check<IncrementalAlterConfigsRequest>(*header, body); break;
    case ApiKey::kDeleteRecords: Check<DeleteRecordsRequest>(*header, body); break;
    case ApiKey::kOffsetForLeaderEpoch: Check<OffsetForLeaderEpochRequest>(*header, body); break;
    case ApiKey::kDescribeLogDirs: Check<DescribeLogDirsRequest>(*header, body); break;
    case ApiKey::kDescribeAcls: Check<DescribeAclsRequest>(*header, body); break;
    case ApiKey::kCreateAcls: Check<CreateAclsRequest>(*header, body); break;
    case ApiKey::kDeleteAcls: Check<DeleteAclsRequest>(*header, body); break;
    case ApiKey::kAddPartitionsToTxn: Check<AddPartitionsToTxnRequest>(*header, body); break;
    case ApiKey::kAddOffsetsToTxn: Check<AddOffsetsToTxnRequest>(*header, body); break;
    case ApiKey::kTxnOffsetCommit: Check<TxnOffsetCommitRequest>(*header, body); break;
    case ApiKey::kWriteTxnMarkers: Check<WriteTxnMarkersRequest>(*header, body); break;
    case ApiKey::kEndTxn: Check<EndTxnRequest>(*header, body); break;
    case ApiKey::kDescribeProducers: Check<DescribeProducersRequest>(*header, body); break;
    case ApiKey::kDescribeTransactions: Check<DescribeTransactionsRequest>(*header, body); break;
    case ApiKey::kListTransactions: Check<ListTransactionsRequest>(*header, body); break;
    case ApiKey::kSaslHandshake: Check<SaslHandshakeRequest>(*header, body); break;
    case ApiKey::kSaslAuthenticate: Check<SaslAuthenticateRequest>(*header, body); break;
    case ApiKey::kDescribeClientQuotas: Check<DescribeClientQuotasRequest>(*header, body); break;
    case ApiKey::kAlterClientQuotas: Check<AlterClientQuotasRequest>(*header, body); break;
    case ApiKey::kDescribeUserScramCredentials: Check<DescribeUserScramCredentialsRequest>(*header, body); break;
    case ApiKey::kDescribeCluster: Check<DescribeClusterRequest>(*header, body); break;
  }
  return 0;
}
