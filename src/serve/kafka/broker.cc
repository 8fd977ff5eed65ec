#include "serve/kafka/broker.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "serve/kafka/fetch_sessions.h"
#include "serve/kafka/fetch_waiters.h"
#include "serve/kafka/quotas.h"

namespace kappa::serve::kafka {

Broker::Broker(const KafkaServerOptions& options, log::Log& log, group::Groups& groups, txn::Transactions& transactions,
               quota::ClientQuotas& client_quotas, io::Clock& clock, Runtime& runtime, KafkaMetrics& metrics)
    : options_(options),
      log_(log),
      groups_(groups),
      transactions_(transactions),
      client_quotas_(client_quotas),
      clock_(clock),
      runtime_(runtime),
      metrics_(metrics),
      waiters_(FetchWaiters::Make(log, runtime)),
      sessions_(std::make_shared<FetchSessions>(options, clock, metrics)),
      quotas_(std::make_shared<Quotas>(options, client_quotas)) {}

Broker::~Broker() { waiters_->Stop(); }

bool Broker::AdmitConnection(const std::string& ip) { return quotas_->AdmitConnection(ip, clock_.SteadyMicros()); }

void Broker::StopWaiting() {
  waiters_->Stop();
  stopping_ = true;
  groups_.Do([](group::Coordinator& coordinator) { coordinator.AnswerWaiting(); });
  transactions_.Do([this](txn::Coordinator& coordinator) {
    coordinator.AnswerWaiting();
    *gone_ = true;  // what still waits there may be called back when this is gone
  });
}

Frame ApiVersionsFrame(RequestHeader header) {
  ApiVersionsResponse response;
  for (const Api& api : SupportedApis()) response.apis.push_back({api.key, api.advertised_min, api.max});
  // Version 2 of transactions is KIP-890: clients that see it use the versions in which a transaction's end gives a new epoch.
  response.supported_features.push_back({"transaction.version", 0, 2});
  response.finalized_features.push_back({"transaction.version", 2, 2});
  if (header.api == nullptr) {
    response.error = Code::kUnsupportedVersion;
    header.api = FindApi(header.key, 0);
    header.version = 0;
  }
  return EncodeFrame(header, response);
}

template <class Request> bool Broker::Decode(const RequestHeader& header, std::string_view body, Request& request, const Reply& reply) {
  Decoder decoder(body, header.version, header.version >= header.api->flexible);
  request.Fields(decoder);
  if (decoder.ok()) return true;  // bytes after the last field are passed over, as Kafka does: librdkafka 2.0 sends some
  reply({.close = fmt::format("malformed {} request, version {}", header.api->name, header.version)});
  return false;
}

Pace Broker::Handle(std::string_view frame, Client& client, Reply reply) {
  const Endpoint& advertised = client.advertised;
  metrics_.requests.fetch_add(1, std::memory_order_relaxed);
  if (client.authentication.takes_bare_message()) return Authenticate(nullptr, frame, client, reply);
  std::string_view body;
  Result<RequestHeader> decoded = DecodeHeader(frame, body);
  if (!decoded.ok()) {
    reply({.close = decoded.error().message()});
    return Pace::kWait;
  }
  decoded->user = client.authentication.user();
  const RequestHeader header = std::move(*decoded);
  if (static_cast<ApiKey>(header.key) == ApiKey::kApiVersions) {
    // A request in a version that we know may still be malformed; one in a newer version cannot be read.
    ApiVersionsRequest request;
    if (header.api == nullptr || Decode(header, body, request, reply)) reply({.frame = ApiVersionsFrame(header)});
    return Pace::kGoOn;
  }
  if (header.api == nullptr) {
    reply({.close = fmt::format("request {} in version {} is not supported", header.key, header.version)});
    return Pace::kWait;
  }

  if (header.api->key != ApiKey::kSaslHandshake && header.api->key != ApiKey::kSaslAuthenticate &&
      client.authentication.Blocks(clock_.SteadyMicros())) {
    const char* why = client.authentication.pending() ? "before authentication" : "after the end of its session";
    reply({.close = fmt::format("{} request {}", header.api->name, why)});
    return Pace::kWait;
  }

  // Decodes, then answers: at once, or (`offload`) where blocking is allowed.
  auto answer = [&]<class Request>(Request request, bool offload, auto respond) {
    if (!Decode(header, body, request, reply)) return Pace::kWait;
    if (!offload) {
      auto response = respond(request);
      reply({.frame = EncodeFrame(header, response)});
      return Pace::kGoOn;
    }
    runtime_.Offload([header, request = std::move(request), respond, reply] {
      auto response = respond(request);
      reply({.frame = EncodeFrame(header, response)});
    });
    return Pace::kWait;
  };
  // Decodes, then hands over a function that takes the response, whenever it comes.
  auto later = [&]<class Request>(Request request, auto handle) {
    if (Decode(header, body, request, reply)) {
      handle(request, [header, reply](auto response) { reply({.frame = EncodeFrame(header, response)}); });
    }
    return Pace::kGoOn;
  };
  switch (header.api->key) {
    case ApiKey::kProduce: {
      ProduceRequest request;
      if (!Decode(header, body, request, reply)) return Pace::kGoOn;
      const int32_t throttle_ms = ChargeProduce(header, request, client);
      txn::ProducerIdentity producer;
      std::vector<txn::TopicPartition> places;
      if (!AddsPartitions(header, request, producer, places)) {
        Produce(header, request, Code::kNone, throttle_ms, std::move(reply));
        return Pace::kGoOn;
      }
      // The records stay behind until the coordinator has answered, and what follows on the connection behind them.
      transactions_.Do([&](txn::Coordinator& coordinator) {
        coordinator.AddPartitions(*request.transactional_id, producer, places,
                                  [this, gone = gone_, header, kept = std::string(body), throttle_ms, reply](txn::TxnError error) {
                                    if (*gone) return;
                                    ProduceRequest again;
                                    if (!Decode(header, kept, again, reply)) return;
                                    Produce(header, again,
                                            error == txn::TxnError::kProducerFenced ? Code::kInvalidProducerEpoch : static_cast<Code>(error),
                                            throttle_ms, reply);
                                  });
      });
      return Pace::kWait;
    }
    case ApiKey::kFetch: {
      FetchRequest request;
      if (!Decode(header, body, request, reply)) return Pace::kGoOn;
      // Answers are large, and counted when they come: so there is never more than one that waits for records and one that is read.
      const bool another_waits = client.fetches->fetch_add(1) > 0;
      const bool answered = Fetch(header, std::move(request), client.takes_slices, [fetches = client.fetches, reply](Answer answer) {
        fetches->fetch_sub(1);
        reply(std::move(answer));
      });
      return answered || another_waits ? Pace::kWait : Pace::kGoOn;
    }
    case ApiKey::kListOffsets: return answer(ListOffsetsRequest(), true, [this](const auto& request) { return ListOffsets(request); });
    case ApiKey::kMetadata:  // may create topics
      return answer(MetadataRequest(), options_.auto_create_topics,
                    [this, version = header.version, advertised](const auto& request) { return Metadata(request, version, advertised); });
    case ApiKey::kInitProducerId: {
      InitProducerIdRequest request;
      if (!Decode(header, body, request, reply)) return Pace::kWait;
      runtime_.Offload([this, header, request = std::move(request), reply] {  // now and then ids are reserved on disk
        InitProducerId(header.version, request, [header, reply](auto response) { reply({.frame = EncodeFrame(header, response)}); });
      });
      return Pace::kWait;
    }
    case ApiKey::kAddPartitionsToTxn:
      return later(AddPartitionsToTxnRequest(), [&](auto& request, Respond<AddPartitionsToTxnResponse> respond) {
        AddPartitionsToTxn(header.version, request, std::move(respond));
      });
    case ApiKey::kAddOffsetsToTxn:
      return later(AddOffsetsToTxnRequest(),
                   [&](auto& request, Respond<AddOffsetsToTxnResponse> respond) { AddOffsetsToTxn(header.version, request, std::move(respond)); });
    case ApiKey::kTxnOffsetCommit:
      return later(TxnOffsetCommitRequest(), [&](auto& request, Respond<TxnOffsetCommitResponse> respond) {
        TxnOffsetCommit(header.version, std::move(request), std::move(respond));
      });
    case ApiKey::kEndTxn:
      return later(EndTxnRequest(), [&](auto& request, Respond<EndTxnResponse> respond) { EndTxn(header.version, request, std::move(respond)); });
    case ApiKey::kWriteTxnMarkers:
      return later(WriteTxnMarkersRequest(),
                   [&](auto& request, Respond<WriteTxnMarkersResponse> respond) { WriteTxnMarkers(request, std::move(respond)); });
    case ApiKey::kDescribeProducers:
      return answer(DescribeProducersRequest(), false, [this](const auto& request) { return DescribeProducers(request); });
    case ApiKey::kDescribeTransactions:
      return answer(DescribeTransactionsRequest(), false, [this](const auto& request) { return DescribeTransactions(request); });
    case ApiKey::kListTransactions:
      return answer(ListTransactionsRequest(), false, [this](const auto& request) { return ListTransactions(request); });
    case ApiKey::kCreateTopics: return answer(CreateTopicsRequest(), true, [this](const auto& request) { return CreateTopics(request); });
    case ApiKey::kDeleteTopics: return answer(DeleteTopicsRequest(), true, [this](const auto& request) { return DeleteTopics(request); });
    case ApiKey::kDescribeConfigs: return answer(DescribeConfigsRequest(), false, [this](const auto& request) { return DescribeConfigs(request); });
    case ApiKey::kFindCoordinator:
      return answer(FindCoordinatorRequest(), false, [this, &advertised](const auto& request) { return FindCoordinator(request, advertised); });
    case ApiKey::kJoinGroup:
      return later(JoinGroupRequest(), [&](auto& request, Respond<JoinGroupResponse> respond) {
        JoinGroup(header, std::move(request), client.host, std::move(respond));
      });
    case ApiKey::kSyncGroup:
      return later(SyncGroupRequest(), [&](auto& request, Respond<SyncGroupResponse> respond) { SyncGroup(std::move(request), std::move(respond)); });
    case ApiKey::kHeartbeat: return answer(HeartbeatRequest(), false, [this](const auto& request) { return Heartbeat(request); });
    case ApiKey::kLeaveGroup:
      return later(LeaveGroupRequest(),
                   [&](auto& request, Respond<LeaveGroupResponse> respond) { LeaveGroup(header.version, request, std::move(respond)); });
    case ApiKey::kOffsetCommit:
      return later(OffsetCommitRequest(),
                   [&](auto& request, Respond<OffsetCommitResponse> respond) { OffsetCommit(std::move(request), std::move(respond)); });
    case ApiKey::kOffsetFetch:
      return later(OffsetFetchRequest(),
                   [&](auto& request, Respond<OffsetFetchResponse> respond) { OffsetFetch(header.version, std::move(request), std::move(respond)); });
    case ApiKey::kOffsetDelete:
      return later(OffsetDeleteRequest(), [&](auto& request, Respond<OffsetDeleteResponse> respond) { OffsetDelete(request, std::move(respond)); });
    case ApiKey::kListGroups: return answer(ListGroupsRequest(), false, [this](const auto& request) { return ListGroups(request); });
    case ApiKey::kDescribeGroups: return answer(DescribeGroupsRequest(), false, [this](const auto& request) { return DescribeGroups(request); });
    case ApiKey::kDeleteGroups:
      return later(DeleteGroupsRequest(), [&](auto& request, Respond<DeleteGroupsResponse> respond) { DeleteGroups(request, std::move(respond)); });
    case ApiKey::kCreatePartitions: return answer(CreatePartitionsRequest(), true, [this](const auto& request) { return CreatePartitions(request); });
    case ApiKey::kAlterConfigs: return answer(AlterConfigsRequest(), true, [this](const auto& request) { return AlterConfigs(request); });
    case ApiKey::kIncrementalAlterConfigs:
      return answer(IncrementalAlterConfigsRequest(), true, [this](const auto& request) { return IncrementalAlterConfigs(request); });
    case ApiKey::kDeleteRecords: return answer(DeleteRecordsRequest(), true, [this](const auto& request) { return DeleteRecords(request); });
    case ApiKey::kOffsetForLeaderEpoch:
      return answer(OffsetForLeaderEpochRequest(), false, [this](const auto& request) { return OffsetForLeaderEpoch(request); });
    case ApiKey::kDescribeLogDirs: return answer(DescribeLogDirsRequest(), true, [this](const auto& request) { return DescribeLogDirs(request); });
    case ApiKey::kDescribeAcls: return answer(DescribeAclsRequest(), false, [this](const auto&) { return DescribeAcls(); });
    case ApiKey::kCreateAcls: return answer(CreateAclsRequest(), false, [this](const auto& request) { return CreateAcls(request); });
    case ApiKey::kDeleteAcls: return answer(DeleteAclsRequest(), false, [this](const auto& request) { return DeleteAcls(request); });
    case ApiKey::kDescribeClientQuotas:
      return answer(DescribeClientQuotasRequest(), false, [this](const auto& request) { return DescribeClientQuotas(request); });
    case ApiKey::kAlterClientQuotas:
      return answer(AlterClientQuotasRequest(), true, [this](const auto& request) { return AlterClientQuotas(request); });
    case ApiKey::kDescribeUserScramCredentials:
      return answer(DescribeUserScramCredentialsRequest(), true, [this](const auto& request) { return DescribeUserScramCredentials(request); });
    case ApiKey::kDescribeCluster:
      return answer(DescribeClusterRequest(), false, [this, &advertised](const DescribeClusterRequest& request) {
        DescribeClusterResponse response;
        response.endpoint_type = request.endpoint_type;
        response.cluster_id = options_.cluster_id;
        response.controller_id = kNodeId;
        response.brokers.push_back({kNodeId, advertised.host, advertised.port, std::nullopt});
        return response;
      });
    case ApiKey::kSaslHandshake:
      return answer(SaslHandshakeRequest(), false,
                    [&client, version = header.version](const auto& request) { return client.authentication.Handshake(version, request); });
    case ApiKey::kSaslAuthenticate: {
      SaslAuthenticateRequest request;
      if (!Decode(header, body, request, reply)) return Pace::kWait;
      return Authenticate(&header, request.message.bytes, client, reply);
    }
    case ApiKey::kApiVersions: break;  // handled above
  }
  KAPPA_CHECK(false);
}

Pace Broker::Authenticate(const RequestHeader* header, std::string_view message, Client& client, const Reply& reply) {
  Answer answer;
  SaslAuthenticateResponse response = client.authentication.Authenticate(message, clock_.SteadyMicros(), answer.close);
  if (header != nullptr) {
    answer.frame = EncodeFrame(*header, response);
  } else if (answer.close.empty()) {  // a bare message's answer is bare too, and a failure has none
    ByteWriter writer;
    writer.Big(static_cast<int32_t>(response.message.bytes.size()));
    writer.Bytes(response.message.bytes);
    answer.frame.push_back({writer.Take()});
  }
  if (!answer.close.empty()) {
    metrics_.authentication_failures.fetch_add(1);
    // Later, so that passwords cannot be tried quickly.
    runtime_.After(options_.failure_delay_ms, [reply, answer = std::move(answer)] { reply(answer); });
    return Pace::kWait;
  }
  if (!client.authentication.exchanging()) metrics_.authentications.fetch_add(1);
  reply(std::move(answer));
  return Pace::kWait;
}

std::shared_ptr<log::Topic> Broker::FindTopic(const std::string& name, Code& error) const {
  std::shared_ptr<log::Topic> topic = IsInternalTopic(name) ? nullptr : log_.FindTopic(name);
  if (IsInternalTopic(name) || (topic && topic->config().internal)) {
    error = Code::kTopicAuthorizationFailed;
    return nullptr;
  }
  if (!topic) error = Code::kUnknownTopicOrPartition;
  return topic;
}

log::Partition* Broker::FindPartition(const std::string& name, int32_t index, std::shared_ptr<log::Topic>& topic, Code& error) const {
  if (!topic || topic->name() != name) topic = FindTopic(name, error);
  if (!topic) return nullptr;
  if (index >= 0 && index < topic->partition_count()) return &topic->partition(index);
  error = Code::kUnknownTopicOrPartition;
  return nullptr;
}

}  // namespace kappa::serve::kafka
