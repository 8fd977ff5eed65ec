// A worker takes the file's next part under a lock, decodes it without one, and puts its batches into the part's queue. The reader empties
// the queues in the order in which the parts were taken.
#include "connect/file_parts.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

namespace kappa::connect {
namespace {

using Step = Result<std::optional<FileBatch>>;

class PartSource final : public FileSource {
 public:
  PartSource(std::vector<std::unique_ptr<PartDecoder>> decoders, bool ahead) : decoders_(std::move(decoders)), ahead_(ahead) {}
  ~PartSource() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    space_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Step Next(size_t target_bytes) override {
    if (ended_) return std::optional<FileBatch>();
    Step step = ahead_ ? Await(target_bytes) : Decode(target_bytes);
    ended_ = !step.ok() || !step->has_value();
    if (ended_) return step;
    FileBatch& batch = **step;
    batch.first_offset = records_;
    for (int64_t& offset : batch.offsets) offset += records_;
    for (FileBatch::Bad& bad : batch.bad) bad.offset += records_;
    records_ += batch.records;
    return step;
  }

 private:
  /// What is decoded of a part and not yet delivered.
  struct Part {
    std::deque<Step> ready;
    size_t ready_bytes = 0;
    bool decoded = false;  // nothing more comes
  };

  Step Decode(size_t target_bytes) {
    for (;;) {
      if (!taken_) {
        KAPPA_ASSIGN_OR_RETURN(taken_, decoders_[0]->Take(target_bytes));
        if (!taken_) return std::optional<FileBatch>();
      }
      KAPPA_ASSIGN_OR_RETURN(std::optional<FileBatch> batch, decoders_[0]->Next(target_bytes));
      if (batch) return batch;
      taken_ = false;
    }
  }

  Step Await(size_t target_bytes) {
    target_bytes_ = target_bytes;
    if (threads_.empty()) {
      for (auto& decoder : decoders_) threads_.emplace_back([this, &decoder] { Work(*decoder); });
    }
    std::unique_lock lock(mutex_);
    for (;;) {
      ready_.wait(lock, [&] { return !parts_.empty() && (!parts_.front().ready.empty() || parts_.front().decoded); });
      Part& part = parts_.front();
      if (!part.ready.empty()) {
        Step step = std::move(part.ready.front());
        part.ready.pop_front();
        if (step.ok() && step->has_value()) part.ready_bytes -= (*step)->input_bytes;
        lock.unlock();
        space_.notify_all();
        return step;
      }
      parts_.pop_front();
      space_.notify_all();
    }
  }

  void Work(PartDecoder& decoder) {
    for (;;) {
      Part* part = nullptr;
      {
        std::lock_guard taking(taking_);
        {
          std::unique_lock lock(mutex_);
          space_.wait(lock, [&] { return stopping_ || parts_.size() < 2 * decoders_.size(); });
          if (stopping_ || all_taken_) return;
        }
        Result<bool> taken = decoder.Take(target_bytes_);
        std::lock_guard lock(mutex_);
        part = &parts_.emplace_back();
        all_taken_ = !taken.ok() || !*taken;
        if (all_taken_) {
          part->ready.push_back(taken.ok() ? Step(std::optional<FileBatch>()) : Step(taken.error()));
          ready_.notify_one();
          return;
        }
      }
      for (bool more = true; more;) {
        Step step = decoder.Next(target_bytes_);
        more = step.ok() && step->has_value();
        std::unique_lock lock(mutex_);
        space_.wait(lock, [&] { return stopping_ || part->ready.empty() || part->ready_bytes < kAheadBytes; });
        if (stopping_) return;
        part->decoded = !more;
        if (more) part->ready_bytes += (*step)->input_bytes;
        if (more || !step.ok()) part->ready.push_back(std::move(step));
        lock.unlock();
        ready_.notify_one();
      }
    }
  }

  std::vector<std::unique_ptr<PartDecoder>> decoders_;
  const bool ahead_;
  bool taken_ = false;  // without threads: the decoder is within a part
  int64_t records_ = 0;
  bool ended_ = false;

  std::atomic<size_t> target_bytes_{1 << 20};
  std::mutex taking_;       // before mutex_
  bool all_taken_ = false;  // by taking_
  std::mutex mutex_;
  std::condition_variable ready_, space_;
  std::list<Part> parts_;  // by mutex_; in the file's order
  bool stopping_ = false;  // by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<FileSource> MakePartSource(std::vector<std::unique_ptr<PartDecoder>> decoders, bool ahead) {
  return std::make_unique<PartSource>(std::move(decoders), ahead);
}

}  // namespace kappa::connect
