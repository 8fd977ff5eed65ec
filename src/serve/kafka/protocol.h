// Which Kafka APIs and versions are spoken, the header of a request, and Kafka's error codes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "group/group.h"
#include "log/log.h"
#include "serve/kafka/codec.h"

namespace kappa::serve::kafka {

enum class ApiKey : int16_t {
  kProduce = 0,
  kFetch = 1,
  kListOffsets = 2,
  kMetadata = 3,
  kOffsetCommit = 8,
  kOffsetFetch = 9,
  kFindCoordinator = 10,
  kJoinGroup = 11,
  kHeartbeat = 12,
  kLeaveGroup = 13,
  kSyncGroup = 14,
  kDescribeGroups = 15,
  kListGroups = 16,
  kSaslHandshake = 17,
  kApiVersions = 18,
  kCreateTopics = 19,
  kDeleteTopics = 20,
  kDeleteRecords = 21,
  kInitProducerId = 22,
  kOffsetForLeaderEpoch = 23,
  kAddPartitionsToTxn = 24,
  kAddOffsetsToTxn = 25,
  kEndTxn = 26,
  kWriteTxnMarkers = 27,
  kTxnOffsetCommit = 28,
  kDescribeAcls = 29,
  kCreateAcls = 30,
  kDeleteAcls = 31,
  kDescribeConfigs = 32,
  kAlterConfigs = 33,
  kDescribeLogDirs = 35,
  kSaslAuthenticate = 36,
  kCreatePartitions = 37,
  kDeleteGroups = 42,
  kIncrementalAlterConfigs = 44,
  kOffsetDelete = 47,
  kDescribeClientQuotas = 48,
  kAlterClientQuotas = 49,
  kDescribeUserScramCredentials = 50,
  kDescribeCluster = 60,
  kDescribeProducers = 61,
  kDescribeTransactions = 65,
  kListTransactions = 66,
};

struct Api {
  ApiKey key;
  const char* name;
  int16_t advertised_min;  // in the ApiVersions answer
  int16_t max;
  int16_t flexible;  // first version with compact lengths and tagged fields
};
// Versions from which a transaction's places are added by what is sent to them, and a producer gets a new epoch with its end (KIP-890).
inline constexpr int16_t kProduceAdds = 12, kTxnOffsetCommitAdds = 5, kEndTxnGivesEpoch = 5;

/// Ascending by key.
std::span<const Api> SupportedApis();
/// Null when the key is unknown or the version is out of range.
const Api* FindApi(int16_t key, int16_t version);

/// The error codes that this server answers with. Source: Kafka protocol guide.
enum class Code : int16_t {
  kUnknownServerError = -1,
  kNone = 0,
  kOffsetOutOfRange = 1,
  kCorruptMessage = 2,
  kUnknownTopicOrPartition = 3,
  kMessageTooLarge = 10,
  kCoordinatorNotAvailable = 15,
  kInvalidTopic = 17,
  kInvalidRequiredAcks = 21,
  kIllegalGeneration = 22,
  kInvalidGroupId = 24,
  kUnknownMemberId = 25,
  kRebalanceInProgress = 27,
  kTopicAuthorizationFailed = 29,
  kUnsupportedSaslMechanism = 33,
  kIllegalSaslState = 34,
  kUnsupportedVersion = 35,
  kTopicAlreadyExists = 36,
  kInvalidPartitions = 37,
  kInvalidReplicationFactor = 38,
  kInvalidReplicaAssignment = 39,
  kInvalidConfig = 40,
  kInvalidRequest = 42,
  kPolicyViolation = 44,
  kInvalidProducerEpoch = 47,
  kInvalidTxnState = 48,
  kInvalidProducerIdMapping = 49,
  kSecurityDisabled = 54,
  kOperationNotAttempted = 55,
  kStorageError = 56,
  kSaslAuthenticationFailed = 58,
  kNonEmptyGroup = 68,
  kGroupIdNotFound = 69,
  kFetchSessionIdNotFound = 70,
  kInvalidFetchSessionEpoch = 71,
  kUnknownLeaderEpoch = 76,
  kMemberIdRequired = 79,
  kFencedInstanceId = 82,
  kUnstableOffsetCommit = 88,
  kProducerFenced = 90,
  kResourceNotFound = 91,
  kDuplicateResource = 92,
  kTransactionalIdNotFound = 105,
};
inline Code ToCode(log::KafkaError error) { return static_cast<Code>(error); }
inline Code ToCode(group::GroupError error) { return static_cast<Code>(error); }
/// The code that fits an error of the log or of the engine.
Code ToCode(const Error& error);

/// True for names that clients may neither see nor touch: "__journal" and the like.
bool IsInternalTopic(std::string_view name);

struct RequestHeader {
  int16_t key = 0;
  int16_t version = 0;
  int32_t correlation_id = 0;
  const Api* api = nullptr;  // null: key or version not supported; only then may the rest be unread
  std::string client_id;
  std::string user;  // who sent it; empty when nobody authenticates
};
/// Reads a frame's header; `body` receives the rest. Fails with protocol_violation.
Result<RequestHeader> DecodeHeader(std::string_view frame, std::string_view& body);

/// A whole response frame as chunks to be written one after the other.
using Frame = std::vector<Chunk>;
/// On the wire.
size_t FrameBytes(const Frame& frame);
/// Of these, what is in memory.
size_t FrameMemory(const Frame& frame);

/// Puts the length and the response header before an encoded body.
Frame MakeFrame(const RequestHeader& header, Frame body);

}  // namespace kappa::serve::kafka
