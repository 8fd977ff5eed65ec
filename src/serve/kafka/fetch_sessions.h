// FetchSessions: which partitions a client follows, so that its fetches name only what it changes, and answers only what changed (KIP-227).
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/clock.h"
#include "serve/kafka/record_messages.h"
#include "serve/kafka/server.h"

namespace kappa::serve::kafka {

/// Kafka's rules: a full fetch may open a session, whose fetches then count up from 1; one with another number is INVALID_FETCH_SESSION_EPOCH, one of
/// a session that is not there FETCH_SESSION_ID_NOT_FOUND, after both of which a client begins anew. When there are as many sessions as may be, one
/// that was not used for long makes room, or a smaller one that is not new; else the client gets none, and goes on with full fetches. Thread-safe.
class FetchSessions {
 public:
  FetchSessions(const KafkaServerOptions& options, io::Clock& clock, KafkaMetrics& metrics);

  /// What one fetch reads.
  struct Plan {
    Code error = Code::kNone;
    std::vector<FetchRequest::Topic> topics;
    bool opens = false;  // a session, once the answer is known
    int32_t session_id = 0;  // of an incremental fetch
    int32_t session_epoch = 0;  // that its session has meanwhile
  };
  Plan Begin(FetchRequest& request);
  /// `response` has all partitions of the plan, in order: takes out what the client knows, and sets the session.
  void Finish(const Plan& plan, FetchResponse& response);

 private:
  using Name = std::pair<std::string, int32_t>;
  struct Followed {
    Name name;
    FetchRequest::Partition asked;
    int64_t high_watermark = -1, log_start_offset = -1;  // that the client knows
  };
  struct Session {
    int32_t epoch = 1;  // that comes next
    int64_t created_us = 0, used_us = 0;
    std::list<Followed> partitions;  // those that gave records go to the end, so that all have their turn
    std::map<Name, std::list<Followed>::iterator> by_name;
  };
  using Sessions = std::map<int32_t, Session>;

  bool Follow(Session& session, const std::string& topic, const FetchRequest::Partition& asked);
  void Forget(Session& session, const Name& name);
  void Remove(Sessions::iterator session);
  bool MakeRoom(size_t partitions);
  int32_t Open(const Plan& plan, const FetchResponse& response);
  /// True when the client must be told; notes that it was.
  static bool Note(Followed& followed, const FetchResponse::Partition& answer);

  const KafkaServerOptions& options_;
  io::Clock& clock_;
  KafkaMetrics& metrics_;
  std::mutex mutex_;  // guards what follows
  Sessions sessions_;
  size_t partitions_ = 0;  // of all sessions
  uint64_t opened_ = 0;
};

}  // namespace kappa::serve::kafka
