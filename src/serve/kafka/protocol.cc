#include "serve/kafka/protocol.h"

#include <algorithm>
#include <array>

#include "serve/kafka/codec.h"

namespace kappa::serve::kafka {
namespace {

// Produce is advertised from 0 because librdkafka before 2.11 leaves compression off when its minimum is above 0; 0 to 2 are
// answered with an error for each partition.
constexpr std::array kApis = {
    Api{ApiKey::kProduce, "Produce", 0, 12, 9},
    Api{ApiKey::kFetch, "Fetch", 4, 12, 12},
    Api{ApiKey::kListOffsets, "ListOffsets", 1, 7, 6},
    Api{ApiKey::kMetadata, "Metadata", 0, 9, 9},
    Api{ApiKey::kOffsetCommit, "OffsetCommit", 2, 9, 8},
    Api{ApiKey::kOffsetFetch, "OffsetFetch", 1, 9, 6},
    Api{ApiKey::kFindCoordinator, "FindCoordinator", 0, 4, 3},
    Api{ApiKey::kJoinGroup, "JoinGroup", 0, 9, 6},
    Api{ApiKey::kHeartbeat, "Heartbeat", 0, 4, 4},
    Api{ApiKey::kLeaveGroup, "LeaveGroup", 0, 5, 4},
    Api{ApiKey::kSyncGroup, "SyncGroup", 0, 5, 4},
    Api{ApiKey::kDescribeGroups, "DescribeGroups", 0, 5, 5},
    Api{ApiKey::kListGroups, "ListGroups", 0, 5, 3},
    Api{ApiKey::kSaslHandshake, "SaslHandshake", 0, 1, 2},
    Api{ApiKey::kApiVersions, "ApiVersions", 0, 3, 3},
    Api{ApiKey::kCreateTopics, "CreateTopics", 0, 6, 5},
    Api{ApiKey::kDeleteTopics, "DeleteTopics", 0, 5, 4},
    Api{ApiKey::kDeleteRecords, "DeleteRecords", 0, 2, 2},
    Api{ApiKey::kInitProducerId, "InitProducerId", 0, 5, 2},
    Api{ApiKey::kOffsetForLeaderEpoch, "OffsetForLeaderEpoch", 2, 4, 4},
    Api{ApiKey::kAddPartitionsToTxn, "AddPartitionsToTxn", 0, 3, 3},
    Api{ApiKey::kAddOffsetsToTxn, "AddOffsetsToTxn", 0, 4, 3},
    Api{ApiKey::kEndTxn, "EndTxn", 0, 5, 3},
    Api{ApiKey::kWriteTxnMarkers, "WriteTxnMarkers", 0, 1, 1},
    Api{ApiKey::kTxnOffsetCommit, "TxnOffsetCommit", 0, 5, 3},
    Api{ApiKey::kDescribeAcls, "DescribeAcls", 1, 3, 2},
    Api{ApiKey::kCreateAcls, "CreateAcls", 1, 3, 2},
    Api{ApiKey::kDeleteAcls, "DeleteAcls", 1, 3, 2},
    Api{ApiKey::kDescribeConfigs, "DescribeConfigs", 0, 4, 4},
    Api{ApiKey::kAlterConfigs, "AlterConfigs", 0, 2, 2},
    Api{ApiKey::kDescribeLogDirs, "DescribeLogDirs", 0, 4, 2},
    Api{ApiKey::kSaslAuthenticate, "SaslAuthenticate", 0, 2, 2},
    Api{ApiKey::kCreatePartitions, "CreatePartitions", 0, 3, 2},
    Api{ApiKey::kDeleteGroups, "DeleteGroups", 0, 2, 2},
    Api{ApiKey::kIncrementalAlterConfigs, "IncrementalAlterConfigs", 0, 1, 1},
    Api{ApiKey::kOffsetDelete, "OffsetDelete", 0, 0, 1},
    Api{ApiKey::kDescribeClientQuotas, "DescribeClientQuotas", 0, 1, 1},
    Api{ApiKey::kAlterClientQuotas, "AlterClientQuotas", 0, 1, 1},
    Api{ApiKey::kDescribeUserScramCredentials, "DescribeUserScramCredentials", 0, 0, 0},
    Api{ApiKey::kDescribeCluster, "DescribeCluster", 0, 1, 0},
    Api{ApiKey::kDescribeProducers, "DescribeProducers", 0, 0, 0},
    Api{ApiKey::kDescribeTransactions, "DescribeTransactions", 0, 0, 0},
    Api{ApiKey::kListTransactions, "ListTransactions", 0, 1, 0},
};

}  // namespace

std::span<const Api> SupportedApis() { return kApis; }

const Api* FindApi(int16_t key, int16_t version) {
  auto api = std::ranges::find(kApis, static_cast<ApiKey>(key), &Api::key);
  if (api == kApis.end() || version < api->advertised_min || version > api->max) return nullptr;
  return &*api;
}

Code ToCode(const Error& error) {
  if (error.Is(sqlstate::kDuplicateTable)) return Code::kTopicAlreadyExists;
  if (error.Is(sqlstate::kUndefinedTable)) return Code::kUnknownTopicOrPartition;
  if (error.Is(sqlstate::kInvalidParameterValue)) return Code::kInvalidConfig;
  if (error.Is(sqlstate::kDependentObjectsStillExist) || error.Is(sqlstate::kObjectInUse) || error.Is(sqlstate::kFeatureNotSupported) ||
      error.Is(sqlstate::kObjectNotInPrerequisiteState) || error.Is(sqlstate::kProgramLimitExceeded)) {
    return Code::kPolicyViolation;
  }
  if (error.Is(sqlstate::kDiskFull) || error.Is(sqlstate::kIoError) || error.Is(sqlstate::kDataCorrupted)) { return Code::kStorageError; }
  return Code::kUnknownServerError;
}

bool IsInternalTopic(std::string_view name) { return name.starts_with("__"); }

Result<RequestHeader> DecodeHeader(std::string_view frame, std::string_view& body) {
  RequestHeader header;
  Decoder fixed(frame.substr(0, 8), 0, false);
  fixed(header.key);
  fixed(header.version);
  fixed(header.correlation_id);
  if (!fixed.ok()) return Error(sqlstate::kProtocolViolation, "request of " + std::to_string(frame.size()) + " bytes has no header");
  header.api = FindApi(header.key, header.version);
  body = frame.substr(8);
  if (header.api == nullptr) return header;  // the form of what follows is unknown

  std::optional<std::string> client_id;
  Decoder name(body, 0, false);  // never compact, so that a server can read it in any version
  name(client_id);
  if (!name.ok()) return Error(sqlstate::kProtocolViolation, std::string(header.api->name) + " request has a broken client id");
  header.client_id = client_id.value_or("");
  body = body.substr(body.size() - name.remaining());
  Decoder tags(body, 0, header.version >= header.api->flexible);
  tags.Tags();
  if (!tags.ok()) return Error(sqlstate::kProtocolViolation, std::string(header.api->name) + " request has broken tagged fields");
  body = body.substr(body.size() - tags.remaining());
  return header;
}

size_t FrameBytes(const Frame& frame) {
  size_t bytes = 0;
  for (const Chunk& chunk : frame) bytes += chunk.size();
  return bytes;
}

size_t FrameMemory(const Frame& frame) {
  size_t bytes = 0;
  for (const Chunk& chunk : frame) bytes += chunk.bytes.size();
  return bytes;
}

Frame MakeFrame(const RequestHeader& header, Frame body) {
  ByteWriter writer;
  writer.Big<int32_t>(0);
  writer.Big(header.correlation_id);
  // The header of an ApiVersions answer is never flexible: the client cannot know yet what it may expect (KIP-511).
  const Api* api = header.api;
  if (api != nullptr && api->key != ApiKey::kApiVersions && header.version >= api->flexible) writer.Varint(0);
  writer.PatchBig(0, static_cast<int32_t>(writer.size() - 4 + FrameBytes(body)));
  body.front().bytes.insert(0, writer.str());
  return body;
}

}  // namespace kappa::serve::kafka
