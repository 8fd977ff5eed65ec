// What becomes of a version whose building met an error: begun again when the error may pass, given up otherwise.
#include <fmt/format.h>

#include <algorithm>

#include "engine/core.h"

namespace kappa::engine {
namespace {

constexpr int64_t kPauseFirstUs = 1'000'000, kPauseMostUs = 60'000'000;  // doubled each time

/// Errors of the disk, and for want of descriptors: the same may succeed later.
bool MayPass(const Error& error) {
  return error.Is(sqlstate::kIoError) || error.Is(sqlstate::kDiskFull) || error.Is(sqlstate::kInsufficientResources);
}

}  // namespace

void Core::FailReplay(const std::string& view_name, uint32_t version_id, const Error& error) {
  if (MayPass(error)) return RetryReplay(version_id, error);
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  if (const catalog::View* found = snapshot->FindView(view_name)) {
    catalog::View view = *found;
    for (catalog::ViewVersion& version : view.versions) {
      if (version.id != version_id) continue;
      version.state = catalog::VersionState::kFailed;
      version.failure = error.ToString();
    }
    (void)catalog_->Commit({view});
  }
  EndReplay(version_id);
}

/// From the start, for what its flow took in of the step that failed is not known. Until then it stays what it was: replaying, or ready
/// and being rebuilt.
void Core::RetryReplay(uint32_t version_id, const Error& error) {
  int64_t pause_us;
  {
    std::lock_guard guard(publish_);
    ReplayRetry& retry = retries_[version_id];
    pause_us = std::min(kPauseFirstUs << std::min(retry.failures++, 10), kPauseMostUs);
    retry.due_us = clock_.SteadyMicros() + pause_us;
    retry.error = error.ToString();
  }
  fmt::print(stderr, "kappa: a replay begins again in {} s: {}\n", pause_us / 1'000'000, error.ToString());
  rebuild_.insert(version_id);
  flow_->RemoveView(version_id);  // there already, when the handover failed
  EndReplay(version_id);
}

void Core::EndReplay(uint32_t version_id) {
  std::lock_guard guard(publish_);
  if (auto it = versions_.find(version_id); it != versions_.end()) {
    if (it->second->replay) finished_replays_.push_back(it->second->replay);
    versions_.erase(it);
  }
  visible_changed_.notify_all();
}

bool Core::WaitsForRetry(uint32_t version_id) {
  std::lock_guard guard(publish_);
  const auto retry = retries_.find(version_id);
  return retry != retries_.end() && clock_.SteadyMicros() < retry->second.due_us;
}

}  // namespace kappa::engine
