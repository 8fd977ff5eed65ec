// Broker: answers decoded requests from the log. Knows nothing of sockets; see server.cc for those.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "group/groups.h"
#include "io/clock.h"
#include "log/log.h"
#include "quota/client_quotas.h"
#include "serve/kafka/admin_messages.h"
#include "serve/kafka/authentication.h"
#include "serve/kafka/cluster_messages.h"
#include "serve/kafka/group_messages.h"
#include "serve/kafka/protocol.h"
#include "serve/kafka/quota_messages.h"
#include "serve/kafka/record_messages.h"
#include "serve/kafka/server.h"
#include "serve/kafka/transaction_messages.h"
#include "txn/transactions.h"

namespace kappa::serve::kafka {

/// What the broker needs from whoever runs it. Any thread may call.
class Runtime {
 public:
  virtual ~Runtime() = default;
  /// Runs soon, on a thread that must not block.
  virtual void Post(std::function<void()> work) = 0;
  /// Runs soon, one at a time, on a thread that may wait for the disk or the engine.
  virtual void Offload(std::function<void()> work) = 0;
  /// Runs after this time, or not at all when the runtime stops first.
  virtual void After(int64_t delay_ms, std::function<void()> work) = 0;
};

/// The outcome of one request.
struct Answer {
  Frame frame;         // empty: the client expects no answer (acks = 0)
  std::string close;   // not empty: close the connection after the frame, for this reason
  int32_t mute_ms = 0; // for so long nothing further is taken from this client
};
/// Called exactly once for each request, from any thread, perhaps before Handle returns.
using Reply = std::function<void(Answer)>;

/// Whether a connection may go on to its next request before this one is answered.
enum class Pace { kGoOn, kWait };

/// Where a client can reach this server.
struct Endpoint {
  std::string host;
  int32_t port = 0;
};
/// Who asks. Of one connection, on its strand.
struct Client {
  explicit Client(const KafkaServerOptions& options) : authentication(options) {}
  std::string host;     // its address
  Endpoint advertised;  // where it is told that the server is
  Authentication authentication;
  bool takes_slices = true;  // its answers go out as they are, so they may have parts of files
  int64_t muted_until_us = 0;  // nothing further is taken from it before
  const std::shared_ptr<std::atomic<int>> fetches = std::make_shared<std::atomic<int>>(0);  // not answered yet
};
/// Takes the response to one request, now or later.
template <class Response> using Respond = std::function<void(Response)>;

inline constexpr int32_t kNodeId = 0;  // of the one broker

class FetchSessions;
class FetchWaiters;
class Quotas;

/// Thread-safe.
class Broker {
 public:
  Broker(const KafkaServerOptions& options, log::Log& log, group::Groups& groups, txn::Transactions& transactions, quota::ClientQuotas& client_quotas,
         io::Clock& clock, Runtime& runtime, KafkaMetrics& metrics);
  ~Broker();

  /// False when this address made too many connections just now.
  bool AdmitConnection(const std::string& ip);
  /// Handles one frame (without its length). `frame` need not outlive the call.
  Pace Handle(std::string_view frame, Client& client, Reply reply);
  /// Answers all waiting fetches with what they have and all members that wait for their group, and from now on lets none wait.
  void StopWaiting();

 private:
  template <class Request> bool Decode(const RequestHeader& header, std::string_view body, Request& request, const Reply& reply);

  /// One message of the client's exchange; `header` is null when it came without.
  Pace Authenticate(const RequestHeader* header, std::string_view message, Client& client, const Reply& reply);
  /// Counts the request for its client's rate, and mutes the client when it is beyond: at once, since further requests may be on their way.
  int32_t ChargeProduce(const RequestHeader& header, const ProduceRequest& request, Client& client);
  /// `refused`: for all of it.
  void Produce(const RequestHeader& header, ProduceRequest& request, Code refused, int32_t throttle_ms, Reply reply);
  /// True when it was answered at once.
  bool Fetch(const RequestHeader& header, FetchRequest request, bool may_slice, Reply reply);
  ListOffsetsResponse ListOffsets(const ListOffsetsRequest& request);
  MetadataResponse Metadata(const MetadataRequest& request, int16_t version, const Endpoint& advertised);
  MetadataResponse::Topic DescribeTopic(const std::string& name, bool create);
  CreateTopicsResponse CreateTopics(const CreateTopicsRequest& request);
  DeleteTopicsResponse DeleteTopics(const DeleteTopicsRequest& request);
  DescribeConfigsResponse DescribeConfigs(const DescribeConfigsRequest& request);

  // groups.cc
  FindCoordinatorResponse FindCoordinator(const FindCoordinatorRequest& request, const Endpoint& advertised);
  void JoinGroup(const RequestHeader& header, JoinGroupRequest request, const std::string& host, Respond<JoinGroupResponse> respond);
  void SyncGroup(SyncGroupRequest request, Respond<SyncGroupResponse> respond);
  HeartbeatResponse Heartbeat(const HeartbeatRequest& request);
  void LeaveGroup(int16_t version, const LeaveGroupRequest& request, Respond<LeaveGroupResponse> respond);
  void OffsetCommit(OffsetCommitRequest request, Respond<OffsetCommitResponse> respond);
  void OffsetFetch(int16_t version, OffsetFetchRequest request, Respond<OffsetFetchResponse> respond);
  void OffsetDelete(const OffsetDeleteRequest& request, Respond<OffsetDeleteResponse> respond);
  ListGroupsResponse ListGroups(const ListGroupsRequest& request);
  DescribeGroupsResponse DescribeGroups(const DescribeGroupsRequest& request);
  void DeleteGroups(const DeleteGroupsRequest& request, Respond<DeleteGroupsResponse> respond);

  // transactions.cc
  void InitProducerId(int16_t version, const InitProducerIdRequest& request, Respond<InitProducerIdResponse> respond);
  void AddPartitionsToTxn(int16_t version, const AddPartitionsToTxnRequest& request, Respond<AddPartitionsToTxnResponse> respond);
  void AddOffsetsToTxn(int16_t version, const AddOffsetsToTxnRequest& request, Respond<AddOffsetsToTxnResponse> respond);
  void TxnOffsetCommit(int16_t version, TxnOffsetCommitRequest request, Respond<TxnOffsetCommitResponse> respond);
  void EndTxn(int16_t version, const EndTxnRequest& request, Respond<EndTxnResponse> respond);
  void WriteTxnMarkers(const WriteTxnMarkersRequest& request, Respond<WriteTxnMarkersResponse> respond);
  DescribeProducersResponse DescribeProducers(const DescribeProducersRequest& request);
  DescribeTransactionsResponse DescribeTransactions(const DescribeTransactionsRequest& request);
  ListTransactionsResponse ListTransactions(const ListTransactionsRequest& request);
  /// True when this request has transactional batches for partitions that are not part of the producer's transaction yet.
  bool AddsPartitions(const RequestHeader& header, const ProduceRequest& request, txn::ProducerIdentity& producer,
                      std::vector<txn::TopicPartition>& places) const;

  // admin.cc
  CreatePartitionsResponse CreatePartitions(const CreatePartitionsRequest& request);
  AlterConfigsResponse AlterConfigs(const AlterConfigsRequest& request);
  AlterConfigsResponse IncrementalAlterConfigs(const IncrementalAlterConfigsRequest& request);
  DeleteRecordsResponse DeleteRecords(const DeleteRecordsRequest& request);
  OffsetForLeaderEpochResponse OffsetForLeaderEpoch(const OffsetForLeaderEpochRequest& request);
  DescribeLogDirsResponse DescribeLogDirs(const DescribeLogDirsRequest& request);
  DescribeAclsResponse DescribeAcls();
  CreateAclsResponse CreateAcls(const CreateAclsRequest& request);
  DeleteAclsResponse DeleteAcls(const DeleteAclsRequest& request);
  DescribeUserScramCredentialsResponse DescribeUserScramCredentials(const DescribeUserScramCredentialsRequest& request);
  template <class Request, class Set> AlterConfigsResponse AlterTopicConfigs(const Request& request, Set&& set);
  void AlterTopicConfig(AlterConfigsResponse::Resource& out, bool validate_only, const std::function<Status(log::TopicConfig&)>& set);
  Status ChangeUnreadTopic(const std::string& name, const std::function<Status()>& change);

  // client_quotas.cc
  DescribeClientQuotasResponse DescribeClientQuotas(const DescribeClientQuotasRequest& request);
  AlterClientQuotasResponse AlterClientQuotas(const AlterClientQuotasRequest& request);

  Status MakeTopic(const std::string& name, const log::TopicConfig& config);
  Status RemoveTopic(const std::string& name);
  /// The topic and partition that a client may use; null with the error set otherwise.
  std::shared_ptr<log::Topic> FindTopic(const std::string& name, Code& error) const;
  log::Partition* FindPartition(const std::string& name, int32_t index, std::shared_ptr<log::Topic>& topic, Code& error) const;
  /// Goes through the partitions that a request names: each(in, out, partition, topic's name) where there is such a partition, and out.error
  /// tells what is wrong where there is none. Requests and responses have lists of OfTopic in common.
  template <class Request, class Response, class Each> void ForEachPartition(Request& request, Response& response, Each&& each) const {
    for (auto& asked : request.topics) {
      auto& answer = response.topics.emplace_back();
      answer.name = asked.name;
      std::shared_ptr<log::Topic> topic;
      for (auto& in : asked.partitions) {
        auto& out = answer.partitions.emplace_back();
        out.index = IndexOf(in);
        if (log::Partition* partition = FindPartition(asked.name, out.index, topic, out.error)) each(in, out, *partition, asked.name);
      }
    }
  }

  const KafkaServerOptions& options_;
  log::Log& log_;
  group::Groups& groups_;
  txn::Transactions& transactions_;
  quota::ClientQuotas& client_quotas_;
  io::Clock& clock_;
  Runtime& runtime_;
  KafkaMetrics& metrics_;
  const std::shared_ptr<FetchWaiters> waiters_;
  const std::shared_ptr<FetchSessions> sessions_;
  const std::shared_ptr<Quotas> quotas_;
  std::atomic<bool> stopping_{false};
  const std::shared_ptr<bool> gone_ = std::make_shared<bool>(false);  // guarded by the lock of transactions_, under which its replies run
};

/// Encodes a response; consumes it.
template <class Response> Frame EncodeFrame(const RequestHeader& header, Response& response) {
  Encoder encoder(header.version, header.version >= header.api->flexible);
  response.Fields(encoder);
  return MakeFrame(header, encoder.Take());
}

/// For a client: message and detail.
std::string ErrorText(const Error& error);
/// Why FindTopic gave none.
std::string NoSuchTopic(const std::string& name, Code error);

/// ApiVersions' answer for this header; to a version that is unknown, the one of version 0 with error 35.
Frame ApiVersionsFrame(RequestHeader header);

}  // namespace kappa::serve::kafka
