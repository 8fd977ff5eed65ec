// StateLog: an internal topic that keeps what a coordinator must not forget, as keyed records of which the last of each key counts.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "log/log.h"

namespace kappa::log {

/// Without a value it deletes what the key names.
struct StateRecord {
  std::string key;
  std::optional<std::string> value;
};

/// Where a coordinator keeps its state.
class StateStore {
 public:
  virtual ~StateStore() = default;
  /// Appends records, all or none, in order; gives the log offset of the first. They will become durable, or the process ends.
  virtual Result<Offset> Append(std::span<const StateRecord> records) = 0;
  /// Runs `work` once all that was appended until now is durable; at once when it is.
  virtual void WhenDurable(std::function<void()> work) = 0;
};

/// Thread-safe, except Replay.
class StateLog final : public StateStore {
 public:
  /// The topic is made by the first append. `log` must outlive this.
  StateLog(Log& log, std::string topic);

  using Visit = std::function<Status(std::string_view key, std::optional<std::string_view> value, Offset offset)>;
  /// All records, in order.
  Status Replay(const Visit& visit);

  Result<Offset> Append(std::span<const StateRecord> records) override;
  void WhenDurable(std::function<void()> work) override;

  uint64_t size_bytes() const;
  /// Where the oldest segment ends; nullopt while there is but one.
  std::optional<Offset> FirstSegmentEnd() const;
  Status DeleteBefore(Offset offset);

 private:
  /// Work that waits for records to be durable. Outlives the log's callbacks.
  struct Waiting {
    struct Work {
      Offset end;  // of the records that it waits for
      std::function<void()> run;
    };
    std::mutex mutex;
    std::deque<Work> queue;  // ascending by end
    Offset appended_end = 0;

    void RunUntil(Offset durable_end);
  };
  Status Open();

  Log& log_;
  const std::string name_;
  std::shared_ptr<Topic> topic_;  // null: nothing was ever stored
  Partition* partition_ = nullptr;
  const std::shared_ptr<Waiting> waiting_ = std::make_shared<Waiting>();
};

}  // namespace kappa::log
