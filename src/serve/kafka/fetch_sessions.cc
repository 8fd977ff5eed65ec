#include "serve/kafka/fetch_sessions.h"

#include <algorithm>

#include "base/hash.h"

namespace kappa::serve::kafka {
namespace {

constexpr int32_t kOpens = 0, kFinal = -1;  // epochs that are none

int32_t NextEpoch(int32_t epoch) { return epoch == INT32_MAX ? 1 : epoch + 1; }

}  // namespace

FetchSessions::FetchSessions(const KafkaServerOptions& options, io::Clock& clock, KafkaMetrics& metrics)
    : options_(options), clock_(clock), metrics_(metrics) {}

bool FetchSessions::Follow(Session& session, const std::string& topic, const FetchRequest::Partition& asked) {
  const Name name(topic, asked.index);
  if (auto known = session.by_name.find(name); known != session.by_name.end()) {
    known->second->asked = asked;
    return true;
  }
  if (partitions_ >= options_.fetch_session_partitions_max) return false;
  session.by_name[name] = session.partitions.insert(session.partitions.end(), {.name = name, .asked = asked});
  ++partitions_;
  return true;
}

void FetchSessions::Forget(Session& session, const Name& name) {
  auto known = session.by_name.find(name);
  if (known == session.by_name.end()) return;
  session.partitions.erase(known->second);
  session.by_name.erase(known);
  --partitions_;
}

void FetchSessions::Remove(Sessions::iterator session) {
  partitions_ -= session->second.partitions.size();
  sessions_.erase(session);
  metrics_.fetch_sessions.store(static_cast<int64_t>(sessions_.size()), std::memory_order_relaxed);
}

FetchSessions::Plan FetchSessions::Begin(FetchRequest& request) {
  Plan plan;
  std::lock_guard lock(mutex_);
  auto found = sessions_.find(request.session_id);
  if (request.session_epoch == kOpens || request.session_epoch == kFinal) {
    if (found != sessions_.end()) Remove(found);
    plan.topics = std::move(request.topics);
    plan.opens = request.session_epoch == kOpens;
    return plan;
  }
  if (found == sessions_.end() || found->second.epoch != request.session_epoch) {
    plan.error = found == sessions_.end() ? Code::kFetchSessionIdNotFound : Code::kInvalidFetchSessionEpoch;
    return plan;
  }
  Session& session = found->second;
  for (const auto& topic : request.forgotten) {
    for (const int32_t index : topic.partitions) Forget(session, {topic.name, index});
  }
  for (const FetchRequest::Topic& topic : request.topics) {
    for (const FetchRequest::Partition& asked : topic.partitions) {
      if (Follow(session, topic.name, asked)) continue;
      Remove(found);  // too large: the client goes on without one
      plan.error = Code::kFetchSessionIdNotFound;
      return plan;
    }
  }
  metrics_.fetches_incremental.fetch_add(1, std::memory_order_relaxed);
  for (const Followed& followed : session.partitions) {
    if (plan.topics.empty() || plan.topics.back().name != followed.name.first) plan.topics.push_back({.name = followed.name.first, .partitions = {}});
    plan.topics.back().partitions.push_back(followed.asked);
  }
  if (session.partitions.empty()) {  // nothing is left of it
    Remove(found);
    return plan;
  }
  session.epoch = NextEpoch(session.epoch);
  session.used_us = clock_.SteadyMicros();
  plan.session_id = request.session_id;
  plan.session_epoch = session.epoch;
  return plan;
}

bool FetchSessions::Note(Followed& followed, const FetchResponse::Partition& answer) {
  const bool changed = followed.high_watermark != answer.high_watermark || followed.log_start_offset != answer.log_start_offset;
  followed.high_watermark = answer.error == Code::kNone ? answer.high_watermark : -1;  // an error is told again and again
  followed.log_start_offset = answer.log_start_offset;
  return changed || answer.error != Code::kNone || answer.records.size() > 0;
}

/// Lets a session go, if need be, for one of so many partitions.
bool FetchSessions::MakeRoom(size_t partitions) {
  if (partitions_ + partitions > options_.fetch_session_partitions_max) return false;
  if (sessions_.size() < options_.fetch_sessions_max) return true;
  const int64_t now_us = clock_.SteadyMicros(), long_us = options_.fetch_session_evictable_ms * 1000;
  auto victim = std::ranges::min_element(sessions_, {}, [](const auto& entry) { return entry.second.used_us; });
  if (victim == sessions_.end()) return false;
  if (now_us - victim->second.used_us < long_us) {
    auto size = [&](const auto& entry) { return now_us - entry.second.created_us < long_us ? SIZE_MAX : entry.second.partitions.size(); };
    victim = std::ranges::min_element(sessions_, {}, size);
    if (size(*victim) >= partitions) return false;
  }
  Remove(victim);
  metrics_.fetch_sessions_evicted.fetch_add(1, std::memory_order_relaxed);
  return true;
}

/// A session that knows what is answered now. 0: there is no room.
int32_t FetchSessions::Open(const Plan& plan, const FetchResponse& response) {
  size_t partitions = 0;
  for (const auto& topic : plan.topics) partitions += topic.partitions.size();
  if (partitions == 0 || !MakeRoom(partitions)) return 0;
  int32_t id;
  do {
    id = static_cast<int32_t>(HashWord(++opened_ ^ static_cast<uint64_t>(clock_.WallMicros())) & INT32_MAX);
  } while (id == 0 || sessions_.contains(id));
  Session& session = sessions_[id];
  session.created_us = session.used_us = clock_.SteadyMicros();
  for (size_t t = 0; t < plan.topics.size(); ++t) {
    for (size_t p = 0; p < plan.topics[t].partitions.size(); ++p) {
      const FetchRequest::Partition& asked = plan.topics[t].partitions[p];
      if (!Follow(session, plan.topics[t].name, asked)) continue;  // cannot be: there is room
      Note(*session.by_name[{plan.topics[t].name, asked.index}], response.topics[t].partitions[p]);
    }
  }
  metrics_.fetch_sessions.store(static_cast<int64_t>(sessions_.size()), std::memory_order_relaxed);
  return id;
}

void FetchSessions::Finish(const Plan& plan, FetchResponse& response) {
  if (!plan.opens && plan.session_id == 0) return;
  std::lock_guard lock(mutex_);
  if (plan.opens) {
    response.session_id = Open(plan, response);
    return;
  }
  auto found = sessions_.find(plan.session_id);
  if (found == sessions_.end() || found->second.epoch != plan.session_epoch) {
    // It went, or went on, while this fetch waited.
    response.error = found == sessions_.end() ? Code::kFetchSessionIdNotFound : Code::kInvalidFetchSessionEpoch;
    response.topics.clear();
    return;
  }
  Session& session = found->second;
  response.session_id = plan.session_id;
  std::vector<FetchResponse::Topic> changed;
  for (auto& topic : response.topics) {
    FetchResponse::Topic kept{.name = topic.name, .partitions = {}};
    for (auto& answer : topic.partitions) {
      auto place = session.by_name.at({topic.name, answer.index});
      if (!Note(*place, answer)) continue;
      if (answer.records.size() > 0) session.partitions.splice(session.partitions.end(), session.partitions, place);
      kept.partitions.push_back(std::move(answer));
    }
    if (!kept.partitions.empty()) changed.push_back(std::move(kept));
  }
  response.topics = std::move(changed);
}

}  // namespace kappa::serve::kafka
