// Messages of transactions: what they take place in, their end, and what tools ask about them.
#pragma once

#include "serve/kafka/codec.h"
#include "serve/kafka/protocol.h"
#include "serve/kafka/topic_messages.h"

namespace kappa::serve::kafka {

struct AddPartitionsToTxnRequest {
  std::string transactional_id;
  int64_t producer_id = -1;
  int16_t producer_epoch = -1;
  std::vector<OfTopic<int32_t>> topics;
  template <class C> void Fields(C& c) {
    c(transactional_id);
    c(producer_id);
    c(producer_epoch);
    c(topics);
    c.Tags();
  }
};

using AddPartitionsToTxnResponse = ByTopic<PartitionError>;

struct AddOffsetsToTxnRequest {
  std::string transactional_id;
  int64_t producer_id = -1;
  int16_t producer_epoch = -1;
  std::string group;
  template <class C> void Fields(C& c) {
    c(transactional_id);
    c(producer_id);
    c(producer_epoch);
    c(group);
    c.Tags();
  }
};

struct AddOffsetsToTxnResponse {
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(error);
    c.Tags();
  }
};

struct TxnOffsetCommitRequest {
  struct Partition {
    int32_t index = 0;
    int64_t offset = 0;
    int32_t leader_epoch = -1;
    std::optional<std::string> metadata;
    template <class C> void Fields(C& c) {
      c(index);
      c(offset);
      if (c.Since(2)) c(leader_epoch);
      c(metadata);
      c.Tags();
    }
  };
  std::string transactional_id;
  std::string group;
  int64_t producer_id = -1;
  int16_t producer_epoch = -1;
  int32_t generation = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::vector<OfTopic<Partition>> topics;
  template <class C> void Fields(C& c) {
    c(transactional_id);
    c(group);
    c(producer_id);
    c(producer_epoch);
    if (c.Since(3)) {
      c(generation);
      c(member_id);
      c(instance_id);
    }
    c(topics);
    c.Tags();
  }
};

using TxnOffsetCommitResponse = ByTopic<PartitionError>;

struct WriteTxnMarkersRequest {
  struct Marker {
    int64_t producer_id = -1;
    int16_t producer_epoch = -1;
    bool commits = false;
    std::vector<OfTopic<int32_t>> topics;
    int32_t coordinator_epoch = 0;
    template <class C> void Fields(C& c) {
      c(producer_id);
      c(producer_epoch);
      c(commits);
      c(topics);
      c(coordinator_epoch);
      c.Tags();
    }
  };
  std::vector<Marker> markers;
  template <class C> void Fields(C& c) {
    c(markers);
    c.Tags();
  }
};

struct WriteTxnMarkersResponse {
  struct Marker {
    int64_t producer_id = -1;
    std::vector<OfTopic<PartitionError>> topics;
    template <class C> void Fields(C& c) {
      c(producer_id);
      c(topics);
      c.Tags();
    }
  };
  std::vector<Marker> markers;
  template <class C> void Fields(C& c) {
    c(markers);
    c.Tags();
  }
};

struct EndTxnRequest {
  std::string transactional_id;
  int64_t producer_id = -1;
  int16_t producer_epoch = -1;
  bool committed = false;
  template <class C> void Fields(C& c) {
    c(transactional_id);
    c(producer_id);
    c(producer_epoch);
    c(committed);
    c.Tags();
  }
};

struct EndTxnResponse {
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  int64_t producer_id = -1;  // for the next transaction, as the epoch
  int16_t producer_epoch = -1;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(error);
    if (c.Since(5)) {
      c(producer_id);
      c(producer_epoch);
    }
    c.Tags();
  }
};

struct DescribeProducersRequest {
  std::vector<OfTopic<int32_t>> topics;
  template <class C> void Fields(C& c) {
    c(topics);
    c.Tags();
  }
};

struct PartitionProducers {
  struct Producer {
    int64_t id = -1;
    int32_t epoch = -1;
    int32_t last_sequence = -1;
    int64_t last_timestamp_ms = -1;
    int32_t coordinator_epoch = 0;
    int64_t transaction_start_offset = -1;
    template <class C> void Fields(C& c) {
      c(id);
      c(epoch);
      c(last_sequence);
      c(last_timestamp_ms);
      c(coordinator_epoch);
      c(transaction_start_offset);
      c.Tags();
    }
  };
  int32_t index = 0;
  Code error = Code::kNone;
  std::optional<std::string> message;
  std::vector<Producer> producers;
  template <class C> void Fields(C& c) {
    c(index);
    c(error);
    c(message);
    c(producers);
    c.Tags();
  }
};
using DescribeProducersResponse = ByTopic<PartitionProducers>;

struct DescribeTransactionsRequest {
  std::vector<std::string> ids;
  template <class C> void Fields(C& c) {
    c(ids);
    c.Tags();
  }
};

struct DescribeTransactionsResponse {
  struct Transaction {
    Code error = Code::kNone;
    std::string id;
    std::string state;
    int32_t timeout_ms = 0;
    int64_t started_ms = -1;
    int64_t producer_id = -1;
    int16_t producer_epoch = -1;
    std::vector<OfTopic<int32_t>> topics;
    template <class C> void Fields(C& c) {
      c(error);
      c(id);
      c(state);
      c(timeout_ms);
      c(started_ms);
      c(producer_id);
      c(producer_epoch);
      c(topics);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  std::vector<Transaction> transactions;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(transactions);
    c.Tags();
  }
};

struct ListTransactionsRequest {
  std::vector<std::string> states;     // empty: all, as for the producers
  std::vector<int64_t> producer_ids;
  int64_t longer_than_ms = -1;
  template <class C> void Fields(C& c) {
    c(states);
    c(producer_ids);
    if (c.Since(1)) c(longer_than_ms);
    c.Tags();
  }
};

struct ListTransactionsResponse {
  struct Transaction {
    std::string id;
    int64_t producer_id = -1;
    std::string state;
    template <class C> void Fields(C& c) {
      c(id);
      c(producer_id);
      c(state);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  std::vector<std::string> unknown_states;
  std::vector<Transaction> transactions;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(error);
    c(unknown_states);
    c(transactions);
    c.Tags();
  }
};

}  // namespace kappa::serve::kafka
