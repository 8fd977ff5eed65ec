// GroupLog: the internal topic "__groups", where committed offsets and groups are kept. Layout: docs/formats/groups.md.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "group/coordinator.h"
#include "log/log.h"

namespace kappa::group {

inline constexpr std::string_view kGroupTopic = "__groups";

/// Thread-safe, except Replay.
class GroupLog final : public GroupStore {
 public:
  /// The topic is made by the first append. `log` must outlive this.
  explicit GroupLog(log::Log& log);

  using Visit = std::function<Status(std::string_view key, std::optional<std::string_view> value, log::Offset offset)>;
  /// All records, in order.
  Status Replay(const Visit& visit);

  Result<log::Offset> Append(std::span<const GroupRecord> records) override;
  void WhenDurable(std::function<void()> work) override;

  uint64_t size_bytes() const;
  /// Where the oldest segment ends; nullopt while there is but one.
  std::optional<log::Offset> FirstSegmentEnd() const;
  Status DeleteBefore(log::Offset offset);

 private:
  /// Work that waits for records to be durable. Outlives the log's callbacks.
  struct Waiting {
    struct Work {
      log::Offset end;  // of the records that it waits for
      std::function<void()> run;
    };
    std::mutex mutex;
    std::deque<Work> queue;  // ascending by end
    log::Offset appended_end = 0;

    void RunUntil(log::Offset durable_end);
  };
  Status Open();

  log::Log& log_;
  std::shared_ptr<log::Topic> topic_;  // null: nothing was ever stored
  log::Partition* partition_ = nullptr;
  const std::shared_ptr<Waiting> waiting_ = std::make_shared<Waiting>();
};

}  // namespace kappa::group
