// Messages that carry or locate records: Produce, Fetch, ListOffsets, InitProducerId.
#pragma once

#include "serve/kafka/codec.h"
#include "serve/kafka/protocol.h"
#include "serve/kafka/topic_messages.h"

namespace kappa::serve::kafka {

struct ProduceRequest {
  struct Partition {
    int32_t index = 0;
    std::optional<std::string_view> records;  // points into the frame
    template <class C> void Fields(C& c) {
      c(index);
      c(records);
      c.Tags();
    }
  };
  using Topic = OfTopic<Partition>;
  std::optional<std::string> transactional_id;
  int16_t acks = 0;
  int32_t timeout_ms = 0;
  std::vector<Topic> topics;
  template <class C> void Fields(C& c) {
    if (c.Since(3)) c(transactional_id);
    c(acks);
    c(timeout_ms);
    c(topics);
    c.Tags();
  }
};

struct ProduceResponse {
  struct RecordError {
    int32_t index = 0;
    std::optional<std::string> message;
    template <class C> void Fields(C& c) {
      c(index);
      c(message);
      c.Tags();
    }
  };
  struct Partition {
    int32_t index = 0;
    Code error = Code::kNone;
    int64_t base_offset = -1;
    int64_t log_append_time_ms = -1;  // -1: the producer's timestamps were kept
    int64_t log_start_offset = -1;
    std::vector<RecordError> record_errors;
    std::optional<std::string> message;
    template <class C> void Fields(C& c) {
      c(index);
      c(error);
      c(base_offset);
      if (c.Since(2)) c(log_append_time_ms);
      if (c.Since(5)) c(log_start_offset);
      if (c.Since(8)) {
        c(record_errors);
        c(message);
      }
      c.Tags();
    }
  };
  using Topic = OfTopic<Partition>;
  std::vector<Topic> topics;
  int32_t throttle_ms = 0;
  template <class C> void Fields(C& c) {
    c(topics);
    if (c.Since(1)) c(throttle_ms);
    c.Tags();
  }
};

struct FetchRequest {
  struct Partition {
    int32_t index = 0;
    int32_t leader_epoch = -1;
    int64_t offset = 0;
    int32_t last_fetched_epoch = -1;
    int64_t log_start_offset = -1;
    int32_t max_bytes = 0;
    template <class C> void Fields(C& c) {
      c(index);
      if (c.Since(9)) c(leader_epoch);
      c(offset);
      if (c.Since(12)) c(last_fetched_epoch);
      if (c.Since(5)) c(log_start_offset);
      c(max_bytes);
      c.Tags();
    }
  };
  using Topic = OfTopic<Partition>;
  using Forgotten = OfTopic<int32_t>;
  int32_t replica_id = -1;
  int32_t max_wait_ms = 0;
  int32_t min_bytes = 0;
  int32_t max_bytes = INT32_MAX;
  int8_t isolation_level = 0;
  int32_t session_id = 0;
  int32_t session_epoch = -1;
  std::vector<Topic> topics;
  std::vector<Forgotten> forgotten;
  std::string rack_id;
  template <class C> void Fields(C& c) {
    c(replica_id);
    c(max_wait_ms);
    c(min_bytes);
    c(max_bytes);
    c(isolation_level);
    if (c.Since(7)) {
      c(session_id);
      c(session_epoch);
    }
    c(topics);
    if (c.Since(7)) c(forgotten);
    if (c.Since(11)) c(rack_id);
    c.Tags();
  }
};

struct FetchResponse {
  struct Aborted {
    int64_t producer_id = 0;
    int64_t first_offset = 0;
    bool operator==(const Aborted&) const = default;
    template <class C> void Fields(C& c) {
      c(producer_id);
      c(first_offset);
      c.Tags();
    }
  };
  struct Partition {
    int32_t index = 0;
    Code error = Code::kNone;
    int64_t high_watermark = -1;
    int64_t last_stable_offset = -1;
    int64_t log_start_offset = -1;
    std::optional<std::vector<Aborted>> aborted;
    int32_t preferred_read_replica = -1;
    Records records{std::string()};
    template <class C> void Fields(C& c) {
      c(index);
      c(error);
      c(high_watermark);
      c(last_stable_offset);
      if (c.Since(5)) c(log_start_offset);
      c(aborted);
      if (c.Since(11)) c(preferred_read_replica);
      c(records);
      c.Tags();
    }
  };
  using Topic = OfTopic<Partition>;
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  int32_t session_id = 0;
  std::vector<Topic> topics;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    if (c.Since(7)) {
      c(error);
      c(session_id);
    }
    c(topics);
    c.Tags();
  }
};

struct ListOffsetsRequest {
  struct Partition {
    int32_t index = 0;
    int32_t leader_epoch = -1;
    int64_t timestamp_ms = 0;
    template <class C> void Fields(C& c) {
      c(index);
      if (c.Since(4)) c(leader_epoch);
      c(timestamp_ms);
      c.Tags();
    }
  };
  using Topic = OfTopic<Partition>;
  static constexpr int64_t kLatest = -1, kEarliest = -2, kMaxTimestamp = -3;
  int32_t replica_id = -1;
  int8_t isolation_level = 0;
  std::vector<Topic> topics;
  template <class C> void Fields(C& c) {
    c(replica_id);
    if (c.Since(2)) c(isolation_level);
    c(topics);
    c.Tags();
  }
};

struct ListOffsetsResponse {
  struct Partition {
    int32_t index = 0;
    Code error = Code::kNone;
    int64_t timestamp_ms = -1;
    int64_t offset = -1;
    int32_t leader_epoch = -1;
    template <class C> void Fields(C& c) {
      c(index);
      c(error);
      c(timestamp_ms);
      c(offset);
      if (c.Since(4)) c(leader_epoch);
      c.Tags();
    }
  };
  using Topic = OfTopic<Partition>;
  int32_t throttle_ms = 0;
  std::vector<Topic> topics;
  template <class C> void Fields(C& c) {
    if (c.Since(2)) c(throttle_ms);
    c(topics);
    c.Tags();
  }
};

struct InitProducerIdRequest {
  std::optional<std::string> transactional_id;
  int32_t transaction_timeout_ms = 0;
  int64_t producer_id = -1;
  int16_t producer_epoch = -1;
  template <class C> void Fields(C& c) {
    c(transactional_id);
    c(transaction_timeout_ms);
    if (c.Since(3)) {
      c(producer_id);
      c(producer_epoch);
    }
    c.Tags();
  }
};

struct InitProducerIdResponse {
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  int64_t producer_id = -1;
  int16_t producer_epoch = -1;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(error);
    c(producer_id);
    c(producer_epoch);
    c.Tags();
  }
};

}  // namespace kappa::serve::kafka
