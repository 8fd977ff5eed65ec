// Fetch: whole durable batches, verbatim; waits for min_bytes, at most max_wait_ms (a long poll).
#include <algorithm>

#include "log/record_batch.h"
#include "serve/kafka/broker.h"
#include "serve/kafka/fetch_sessions.h"
#include "serve/kafka/fetch_waiters.h"
#include "serve/kafka/quotas.h"

namespace kappa::serve::kafka {
namespace {

constexpr int32_t kScarceFetchBytesMax = 1 << 20;  // while memory is scarce, so that there is some for everybody

/// One partition that a fetch reads.
struct Part {
  std::shared_ptr<log::Topic> topic;  // keeps the partition alive
  log::Partition* partition;
  int64_t next_offset;
  int64_t bytes_left;  // that this partition may still give
  size_t topic_index, partition_index;  // in the response
};

class PendingFetch final : public WaitingFetch, public std::enable_shared_from_this<PendingFetch> {
 public:
  PendingFetch(const RequestHeader& header, log::Isolation isolation, bool may_slice, Reply reply, std::shared_ptr<FetchWaiters> waiters,
               std::shared_ptr<FetchSessions> sessions, FetchSessions::Plan plan, std::shared_ptr<Quotas> quotas, io::Clock& clock,
               KafkaMetrics& metrics)
      : header_(header),
        isolation_(isolation),
        may_slice_(may_slice),
        reply_(std::move(reply)),
        waiters_(std::move(waiters)),
        sessions_(std::move(sessions)),
        plan_(std::move(plan)),
        quotas_(std::move(quotas)),
        clock_(clock),
        metrics_(metrics) {}

  FetchResponse response;
  std::vector<Part> parts;
  int64_t bytes_left = 0;
  int64_t bytes_wanted = 0;
  bool has_error = false;

  const FetchSessions::Plan& plan() const { return plan_; }
  std::vector<const log::Partition*> partitions() const {
    std::vector<const log::Partition*> all;
    for (const Part& part : parts) all.push_back(part.partition);
    return all;
  }

  bool done() {
    std::lock_guard lock(mutex_);
    return done_;
  }

  void Advance(bool at_last) override {
    Frame frame;
    {
      std::lock_guard lock(mutex_);
      if (done_) return;
      for (Part& part : parts) Read(part);
      if (!at_last && !has_error && bytes_wanted > 0) return;
      done_ = true;
      metrics_.batch_bytes_out.fetch_add(bytes_read_, std::memory_order_relaxed);
      response.throttle_ms = quotas_->Charge(Quotas::Kind::kFetch, header_.user, header_.client_id, bytes_read_, clock_.SteadyMicros());
      if (response.throttle_ms > 0) metrics_.throttled.fetch_add(1, std::memory_order_relaxed);
      sessions_->Finish(plan_, response);
      frame = EncodeFrame(header_, response);
    }
    waiters_->Remove(*this, partitions());
    reply_({.frame = std::move(frame), .mute_ms = response.throttle_ms});
  }

 private:
  void Read(Part& part) {
    FetchResponse::Partition& out = response.topics[part.topic_index].partitions[part.partition_index];
    if (out.error != Code::kNone) return;
    out.high_watermark = part.partition->durable_end();
    out.last_stable_offset = part.partition->last_stable_offset();
    out.log_start_offset = part.partition->start_offset();
    const bool committed = isolation_ == log::Isolation::kReadCommitted;
    if (committed && !out.aborted) out.aborted.emplace();
    if (bytes_left <= 0 || part.bytes_left <= 0) return;
    if (out.records.size() > 0 && (committed ? out.last_stable_offset : out.high_watermark) <= part.next_offset) return;
    const auto most = static_cast<size_t>(std::min(bytes_left, part.bytes_left));
    const bool may_slice = may_slice_ && out.records.size() == 0;
    log::ReadResult read =
        may_slice ? part.partition->ReadForSending(part.next_offset, most, isolation_) : part.partition->Read(part.next_offset, most, isolation_);
    out.error = ToCode(read.error);
    out.high_watermark = read.high_watermark;
    out.last_stable_offset = read.last_stable_offset;
    out.log_start_offset = read.log_start_offset;
    for (const log::AbortedTransaction& aborted : read.aborted) {  // a fetch that goes on may meet one again
      const FetchResponse::Aborted named{aborted.producer_id, aborted.first_offset};
      if (std::ranges::find(*out.aborted, named) == out.aborted->end()) out.aborted->push_back(named);
    }
    if (out.error != Code::kNone) has_error = true;
    if (read.slice.bytes > 0) {
      bytes_left -= static_cast<int64_t>(read.slice.bytes);
      bytes_read_ += read.slice.bytes;
      part.bytes_left = bytes_wanted = 0;  // nothing can come behind it, so the answer does not wait for more
      out.records.slice = std::move(read.slice);
      return;
    }
    const auto bytes = static_cast<int64_t>(read.bytes.size());
    if (bytes == 0) return;
    bytes_left -= bytes;
    part.bytes_left -= bytes;
    bytes_wanted -= bytes;
    bytes_read_ += read.bytes.size();
    for (std::string_view rest = read.bytes; bytes_wanted > 0 && !rest.empty();) {  // only a fetch that goes on needs to know
      Result<log::BatchHeader> batch = log::ParseBatchHeader(rest);
      if (!batch.ok()) break;
      part.next_offset = batch->last_offset() + 1;
      rest.remove_prefix(std::min(rest.size(), batch->total_bytes()));
    }
    if (out.records.bytes->empty()) {
      out.records.bytes = std::move(read.bytes);
    } else {
      out.records.bytes->append(read.bytes);
    }
  }

  const RequestHeader header_;
  const log::Isolation isolation_;
  const bool may_slice_;
  const Reply reply_;
  const std::shared_ptr<FetchWaiters> waiters_;
  const std::shared_ptr<FetchSessions> sessions_;
  const FetchSessions::Plan plan_;
  const std::shared_ptr<Quotas> quotas_;
  io::Clock& clock_;
  KafkaMetrics& metrics_;
  std::mutex mutex_;  // guards response, the counters and done_
  bool done_ = false;
  uint64_t bytes_read_ = 0;
};

}  // namespace

bool Broker::Fetch(const RequestHeader& header, FetchRequest request, bool may_slice, Reply reply) {
  const auto isolation = request.isolation_level == 0 ? log::Isolation::kReadUncommitted : log::Isolation::kReadCommitted;
  auto fetch = std::make_shared<PendingFetch>(header, isolation, may_slice, std::move(reply), waiters_, sessions_, sessions_->Begin(request), quotas_,
                                              clock_, metrics_);
  const bool scarce = metrics_.in_flight_bytes.load() > static_cast<int64_t>(options_.in_flight_bytes_max / 2);
  fetch->bytes_left = std::clamp(request.max_bytes, 1, scarce ? std::min(options_.fetch_bytes_max, kScarceFetchBytesMax) : options_.fetch_bytes_max);
  if (const auto most = quotas_->BytesAtOnce(Quotas::Kind::kFetch, header.user, header.client_id)) {
    fetch->bytes_left = std::clamp<int64_t>(*most, 1, fetch->bytes_left);
  }
  fetch->bytes_wanted = std::min<int64_t>(request.min_bytes, fetch->bytes_left);
  if (fetch->plan().error != Code::kNone) {
    fetch->response.error = fetch->plan().error;
    fetch->Advance(/*at_last=*/true);
    return true;
  }
  for (const FetchRequest::Topic& asked : fetch->plan().topics) {
    std::shared_ptr<log::Topic> topic;
    auto& answer = fetch->response.topics.emplace_back();
    answer.name = asked.name;
    for (const FetchRequest::Partition& in : asked.partitions) {
      auto& out = answer.partitions.emplace_back();
      out.index = in.index;
      log::Partition* partition = FindPartition(asked.name, in.index, topic, out.error);
      if (partition == nullptr) {
        fetch->has_error = true;
        continue;
      }
      fetch->parts.push_back(
          {topic, partition, in.offset, std::max(in.max_bytes, 1), fetch->response.topics.size() - 1, answer.partitions.size() - 1});
    }
  }
  const int32_t wait_ms = std::min(request.max_wait_ms, options_.fetch_wait_ms_max);
  fetch->Advance(/*at_last=*/wait_ms <= 0);
  if (fetch->done()) return true;
  // Registered before the second look, so that records which become durable in between are not missed.
  if (!waiters_->Add(fetch, fetch->partitions())) {
    fetch->Advance(/*at_last=*/true);
    return true;
  }
  fetch->Advance(/*at_last=*/false);
  runtime_.After(wait_ms, [fetch] { fetch->Advance(/*at_last=*/true); });
  return false;
}

}  // namespace kappa::serve::kafka
