#include "group/groups.h"

#include <random>
#include <set>

#include <fmt/format.h>

namespace kappa::group {
namespace {

/// As a UUID, version 4: members of different servers never have the same.
std::string RandomId() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  const uint64_t high = (random() & ~0xf000ull) | 0x4000, low = (random() & ~(3ull << 62)) | (2ull << 62);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & 0xffffffffffff);
}

}  // namespace

Groups::Groups(const GroupOptions& options, log::Log& log, io::Clock& clock)
    : log_(log, std::string(kGroupTopic)), coordinator_(options, clock, RandomId, log_) {}

Result<std::unique_ptr<Groups>> Groups::Open(const GroupOptions& options, log::Log& log, io::Clock& clock) {
  std::unique_ptr<Groups> groups(new Groups(options, log, clock));
  KAPPA_RETURN_IF_ERROR(groups->log_.Replay([&](std::string_view key, std::optional<std::string_view> value, log::Offset offset) {
    return groups->coordinator_.Load(key, value, offset);
  }));
  groups->coordinator_.FinishLoading();
  // A topic was deleted, and the process ended before its offsets were: they must not meet a new topic of that name.
  std::set<std::string> gone;
  for (const auto& [name, group] : groups->coordinator_.groups()) {
    auto look = [&](const auto& offsets) {
      for (const auto& [topic, partitions] : offsets) {
        if (log.FindTopic(topic) == nullptr) gone.insert(topic);
      }
    };
    look(group.offsets);
    for (const auto& [producer, transaction] : group.transactions) look(transaction.offsets);
  }
  for (const std::string& topic : gone) groups->coordinator_.ForgetTopic(topic);
  groups->host_.emplace(clock, groups->log_, groups->alarm_, groups->coordinator_);
  return groups;
}

}  // namespace kappa::group
