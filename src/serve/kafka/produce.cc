// Produce: record batches go to the log as they came; the answer waits until all of them are durable.
#include <algorithm>
#include <atomic>

#include "serve/kafka/broker.h"
#include "serve/kafka/quotas.h"

namespace kappa::serve::kafka {
namespace {

/// One Produce request whose batches are written but perhaps not durable. Shared by the callbacks of its partitions.
struct PendingProduce {
  RequestHeader header;
  ProduceResponse response;
  Reply reply;
  std::atomic<int> open{1};  // appends not yet durable, plus one while the request is being handled

  void Finish() {
    if (open.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    for (auto& topic : response.topics) {
      for (auto& partition : topic.partitions) {
        if (partition.error != Code::kNone) partition.base_offset = -1;
      }
    }
    reply({.frame = EncodeFrame(header, response)});
  }
};

}  // namespace

int32_t Broker::ChargeProduce(const RequestHeader& header, const ProduceRequest& request, Client& client) {
  size_t bytes = 0;
  for (const auto& topic : request.topics) {
    for (const auto& partition : topic.partitions) bytes += partition.records ? partition.records->size() : 0;
  }
  const int64_t now_us = clock_.SteadyMicros();
  const int32_t throttle_ms = quotas_->Charge(Quotas::Kind::kProduce, header.user, header.client_id, bytes, now_us);
  if (throttle_ms > 0) {
    metrics_.throttled.fetch_add(1, std::memory_order_relaxed);
    client.muted_until_us = std::max(client.muted_until_us, now_us + throttle_ms * int64_t{1000});
  }
  return throttle_ms;
}

void Broker::Produce(const RequestHeader& header, ProduceRequest& request, Code refused, int32_t throttle_ms, Reply reply) {
  auto pending = std::make_shared<PendingProduce>();
  pending->header = header;
  pending->response.throttle_ms = throttle_ms;
  for (const ProduceRequest::Topic& topic : request.topics) {  // all answers exist before the first callback can come
    auto& answer = pending->response.topics.emplace_back();
    answer.name = topic.name;
    for (const ProduceRequest::Partition& partition : topic.partitions) answer.partitions.emplace_back().index = partition.index;
  }

  std::string why;
  if (header.version < 3) {
    refused = Code::kUnsupportedVersion;
  } else if (request.acks < -1 || request.acks > 1) {
    refused = Code::kInvalidRequiredAcks;
    why = "acks must be 0, 1 or -1";
  }
  uint64_t errors = 0;
  for (size_t t = 0; t < request.topics.size(); ++t) {
    std::shared_ptr<log::Topic> topic;
    for (size_t p = 0; p < request.topics[t].partitions.size(); ++p) {
      const ProduceRequest::Partition& in = request.topics[t].partitions[p];
      ProduceResponse::Partition& out = pending->response.topics[t].partitions[p];
      out.error = refused;
      if (!why.empty()) out.message = why;
      log::Partition* partition = refused == Code::kNone ? FindPartition(request.topics[t].name, in.index, topic, out.error) : nullptr;
      if (out.error == Code::kTopicAuthorizationFailed) out.message = "topic \"" + request.topics[t].name + "\" is internal";
      if (partition != nullptr && (!in.records || in.records->empty())) {
        out.error = Code::kInvalidRequest;
        out.message = "no records";
      } else if (partition != nullptr) {
        pending->open.fetch_add(1, std::memory_order_relaxed);
        // The callback may come before Append returns: it writes `error` alone, and the lines below do so only when it never comes.
        log::AppendResult appended = partition->Append(*in.records, [pending, &out, topic](log::KafkaError error) {
          if (error != log::KafkaError::kNone) out.error = ToCode(error);
          pending->Finish();
        });
        if (appended.error == log::KafkaError::kNone) {
          metrics_.records_in.fetch_add(static_cast<uint64_t>(appended.next_offset - appended.base_offset), std::memory_order_relaxed);
          metrics_.batch_bytes_in.fetch_add(in.records->size(), std::memory_order_relaxed);
          out.base_offset = appended.base_offset;
          out.log_start_offset = appended.log_start_offset;
          continue;
        }
        pending->open.fetch_sub(1, std::memory_order_relaxed);
        out.error = ToCode(appended.error);
        if (!appended.message.empty()) out.message = std::move(appended.message);
      }
      ++errors;
    }
  }
  metrics_.produce_errors.fetch_add(errors, std::memory_order_relaxed);
  if (request.acks == 0) {
    // No answer. A refused batch closes the connection: there is no other way to tell, and Kafka does the same.
    reply({.close = errors > 0 ? "a batch sent with acks = 0 was refused" : ""});
    return;
  }
  pending->reply = std::move(reply);
  pending->Finish();
}

}  // namespace kappa::serve::kafka
