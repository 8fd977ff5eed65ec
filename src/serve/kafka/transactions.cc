// Transactions: requests to the coordinator, and its answers. The rules are in txn/coordinator.h.
#include <algorithm>

#include "log/record_batch.h"
#include "serve/kafka/broker.h"
#include "serve/kafka/transaction_messages.h"

namespace kappa::serve::kafka {
namespace {

/// Old versions do not know that a producer can be fenced off.
Code ToCode(txn::TxnError error, int16_t version, int16_t fenced_since) {
  if (error == txn::TxnError::kProducerFenced && version < fenced_since) return Code::kInvalidProducerEpoch;
  return static_cast<Code>(error);
}

bool IsKnownState(std::string_view name) {
  for (int state = 0; state <= static_cast<int>(txn::TransactionState::kCompleteAbort); ++state) {
    if (txn::Name(static_cast<txn::TransactionState>(state)) == name) return true;
  }
  return false;
}

}  // namespace

void Broker::InitProducerId(int16_t version, const InitProducerIdRequest& request, Respond<InitProducerIdResponse> respond) {
  if (!request.transactional_id) {
    // A producer that already has an id asks again to reset its sequence numbers (KIP-360): a fresh id does just that.
    InitProducerIdResponse response;
    Result<int64_t> id = log_.NextProducerId();
    if (id.ok()) {
      response.producer_id = *id;
      response.producer_epoch = 0;
    } else {
      response.error = kafka::ToCode(id.error());
    }
    return respond(response);
  }
  transactions_.Do([&](txn::Coordinator& coordinator) {
    coordinator.InitProducer(
        *request.transactional_id, request.transaction_timeout_ms, {request.producer_id, request.producer_epoch},
        [version, respond = std::move(respond)](const txn::Coordinator::InitResult& result) {
          respond({.error = ToCode(result.error, version, 4), .producer_id = result.producer.id, .producer_epoch = result.producer.epoch});
        });
  });
}

void Broker::AddPartitionsToTxn(int16_t version, const AddPartitionsToTxnRequest& request, Respond<AddPartitionsToTxnResponse> respond) {
  AddPartitionsToTxnResponse response;
  std::vector<txn::TopicPartition> places;
  ForEachPartition(request, response,
                   [&](int32_t index, const auto&, const log::Partition&, const std::string& topic) { places.push_back({topic, index}); });
  size_t asked = 0;
  for (const auto& topic : request.topics) asked += topic.partitions.size();
  if (places.size() < asked) {
    response.SetErrors(Code::kOperationNotAttempted);
    return respond(std::move(response));
  }
  transactions_.Do([&](txn::Coordinator& coordinator) {
    coordinator.AddPartitions(request.transactional_id, {request.producer_id, request.producer_epoch}, places,
                              [version, response = std::move(response), respond = std::move(respond)](txn::TxnError error) mutable {
                                response.SetErrors(ToCode(error, version, 2));
                                respond(std::move(response));
                              });
  });
}

void Broker::AddOffsetsToTxn(int16_t version, const AddOffsetsToTxnRequest& request, Respond<AddOffsetsToTxnResponse> respond) {
  transactions_.Do([&](txn::Coordinator& coordinator) {
    coordinator.AddGroup(request.transactional_id, {request.producer_id, request.producer_epoch}, request.group,
                         [version, respond = std::move(respond)](txn::TxnError error) { respond({.error = ToCode(error, version, 2)}); });
  });
}

void Broker::TxnOffsetCommit(int16_t version, TxnOffsetCommitRequest request, Respond<TxnOffsetCommitResponse> respond) {
  TxnOffsetCommitResponse response;
  std::vector<group::OffsetToCommit> offsets;
  ForEachPartition(request, response, [&](auto& in, auto&, const log::Partition&, const std::string& topic) {
    offsets.push_back({topic, in.index, in.offset, in.leader_epoch, std::move(in.metadata).value_or("")});
  });
  auto answer = [response = std::move(response), respond = std::move(respond)](Code error) mutable {
    response.SetErrors(error);
    respond(std::move(response));
  };
  const txn::ProducerIdentity producer{request.producer_id, request.producer_epoch};
  auto commit = [this, producer, offsets = std::move(offsets), answer,
                 claim = group::MemberClaim{request.group, request.generation, request.member_id, request.instance_id}]() mutable {
    groups_.Do([&](group::Coordinator& coordinator) {
      coordinator.CommitInTransaction(claim, producer.id, producer.epoch, std::move(offsets),
                                      [answer](group::GroupError error) mutable { answer(kafka::ToCode(error)); });
    });
  };
  if (version < kTxnOffsetCommitAdds) return commit();
  transactions_.Do([&](txn::Coordinator& coordinator) {
    coordinator.AddGroup(request.transactional_id, producer, request.group, [commit, answer, gone = gone_](txn::TxnError error) mutable {
      if (*gone) return;
      error == txn::TxnError::kNone ? commit() : answer(ToCode(error, 0, 1));
    });
  });
}

void Broker::EndTxn(int16_t version, const EndTxnRequest& request, Respond<EndTxnResponse> respond) {
  transactions_.Do([&](txn::Coordinator& coordinator) {
    coordinator.End(
        request.transactional_id, {request.producer_id, request.producer_epoch}, request.committed, version >= kEndTxnGivesEpoch,
        [version, respond = std::move(respond)](const txn::EndResult& result) {
          respond({.error = ToCode(result.error, version, 2), .producer_id = result.producer.id, .producer_epoch = result.producer.epoch});
        });
  });
}

/// Answered when all is done. A transaction that its coordinator knows is ended as a whole, not in single partitions.
void Broker::WriteTxnMarkers(const WriteTxnMarkersRequest& request, Respond<WriteTxnMarkersResponse> respond) {
  struct Waiting {
    WriteTxnMarkersResponse response;
    Respond<WriteTxnMarkersResponse> respond;
    size_t left;
  };
  auto waiting = std::make_shared<Waiting>(Waiting{{}, std::move(respond), request.markers.size()});
  if (request.markers.empty()) return waiting->respond({});
  for (const WriteTxnMarkersRequest::Marker& marker : request.markers) {
    ByTopic<PartitionError> answer;
    ForEachPartition(marker, answer, [](int32_t, const auto&, const log::Partition&, const std::string&) {});
    waiting->response.markers.push_back({marker.producer_id, std::move(answer.topics)});
  }
  transactions_.Do([&](txn::Coordinator& coordinator) {
    for (size_t i = 0; i < request.markers.size(); ++i) {
      const WriteTxnMarkersRequest::Marker& marker = request.markers[i];
      coordinator.EndFor({marker.producer_id, marker.producer_epoch}, marker.commits, [waiting, i](txn::TxnError error) {
        for (auto& topic : waiting->response.markers[i].topics) {
          for (auto& partition : topic.partitions) {
            if (partition.error == Code::kNone) partition.error = static_cast<Code>(error);
          }
        }
        if (--waiting->left == 0) waiting->respond(std::move(waiting->response));
      });
    }
  });
}

DescribeProducersResponse Broker::DescribeProducers(const DescribeProducersRequest& request) {
  DescribeProducersResponse response;
  ForEachPartition(request, response, [](const auto&, auto& out, const log::Partition& partition, const std::string&) {
    for (const log::ProducerInfo& producer : partition.producers()) {
      out.producers.push_back({.id = producer.id,
                               .epoch = producer.epoch,
                               .last_sequence = producer.last_sequence,
                               .last_timestamp_ms = producer.last_append_ms,
                               .transaction_start_offset = producer.transaction_first_offset});
    }
  });
  return response;
}

DescribeTransactionsResponse Broker::DescribeTransactions(const DescribeTransactionsRequest& request) {
  DescribeTransactionsResponse response;
  transactions_.Do([&](txn::Coordinator& coordinator) {
    for (const std::string& id : request.ids) {
      auto& out = response.transactions.emplace_back();
      out.id = id;
      const txn::Transaction* transaction = coordinator.FindTransaction(id);
      if (transaction == nullptr) {
        out.error = Code::kTransactionalIdNotFound;
        continue;
      }
      out.state = txn::Name(transaction->state);
      out.timeout_ms = transaction->timeout_ms;
      out.started_ms = transaction->started_ms;
      out.producer_id = transaction->producer.id;
      out.producer_epoch = transaction->producer.epoch;
      for (const auto& [place, begun] : transaction->partitions) {
        if (out.topics.empty() || out.topics.back().name != place.topic) out.topics.emplace_back().name = place.topic;
        out.topics.back().partitions.push_back(place.partition);
      }
    }
  });
  return response;
}

ListTransactionsResponse Broker::ListTransactions(const ListTransactionsRequest& request) {
  ListTransactionsResponse response;
  for (const std::string& state : request.states) {
    if (!IsKnownState(state)) response.unknown_states.push_back(state);
  }
  const int64_t now_ms = clock_.WallMicros() / 1000;
  auto among = [](const auto& wanted, const auto& value) { return wanted.empty() || std::ranges::find(wanted, value) != wanted.end(); };
  transactions_.Do([&](txn::Coordinator& coordinator) {
    for (const auto& [id, transaction] : coordinator.transactions()) {
      const std::string state(txn::Name(transaction.state));
      if (!among(request.states, state) || !among(request.producer_ids, transaction.producer.id)) continue;
      const bool open = transaction.started_ms >= 0;
      if (request.longer_than_ms >= 0 && (!open || now_ms - transaction.started_ms <= request.longer_than_ms)) continue;
      response.transactions.push_back({id, transaction.producer.id, state});
    }
  });
  return response;
}

bool Broker::AddsPartitions(const RequestHeader& header, const ProduceRequest& request, txn::ProducerIdentity& producer,
                            std::vector<txn::TopicPartition>& places) const {
  if (header.version < kProduceAdds || !request.transactional_id) return false;
  for (const ProduceRequest::Topic& asked : request.topics) {
    std::shared_ptr<log::Topic> topic;
    for (const ProduceRequest::Partition& in : asked.partitions) {
      Code error = Code::kNone;
      if (!in.records || FindPartition(asked.name, in.index, topic, error) == nullptr) continue;  // answered when it is their turn
      const Result<log::BatchHeader> batch = log::ParseBatchHeader(*in.records);
      if (!batch.ok() || !batch->is_transactional()) continue;
      producer = {batch->producer_id, batch->producer_epoch};
      places.push_back({asked.name, in.index});
    }
  }
  return !places.empty() &&
         !transactions_.Do([&](txn::Coordinator& coordinator) { return coordinator.HasBegun(*request.transactional_id, producer, places); });
}

}  // namespace kappa::serve::kafka
