// A piece of work takes the file's next part, if one must be begun, and decodes a batch of it. The thread that reads, and those that decode
// ahead, each do one piece after another; batches lie in their part's queue, and the reader empties the queues in the file's order.
#include "connect/file_parts.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <utility>

namespace kappa::connect {
namespace {

using Step = Result<std::optional<FileBatch>>;

class PartSource final : public FileSource {
 public:
  explicit PartSource(std::vector<std::unique_ptr<PartDecoder>> decoders) : decoders_(std::move(decoders)) {
    for (const auto& decoder : decoders_) free_.push_back(decoder.get());
  }

  Step Next(size_t target_bytes) override {
    if (ended_) return std::optional<FileBatch>();
    Step step = Await(target_bytes);
    ended_ = !step.ok() || !step->has_value();
    if (ended_) return step;
    FileBatch& batch = **step;
    batch.first_offset = records_;
    for (int64_t& offset : batch.offsets) offset += records_;
    for (FileBatch::Bad& bad : batch.bad) bad.offset += records_;
    records_ += batch.records;
    return step;
  }

  bool IsReady() override {
    std::lock_guard lock(mutex_);
    return ended_ || FrontIsReady();
  }

  bool DecodeAhead() override {
    std::unique_lock lock(mutex_);
    Part* part = Choose();
    if (part == nullptr) return false;
    DecodePiece(*part, lock);
    return true;
  }

 private:
  struct Part {
    PartDecoder* decoder = nullptr;  // none once all is decoded
    bool begun = false;              // the decoder has taken it
    bool busy = false;               // somebody decodes a piece
    std::deque<Step> ready;          // decoded and not yet delivered
  };

  Step Await(size_t target_bytes) {
    std::unique_lock lock(mutex_);
    target_bytes_ = target_bytes;
    while (!FrontIsReady()) {
      if (Part* part = Choose(); part != nullptr) DecodePiece(*part, lock);
      else progress_.wait(lock);
    }
    Part& part = parts_.front();
    Step step = std::move(part.ready.front());
    part.ready.pop_front();
    if (step.ok() && step->has_value()) ready_bytes_ -= (*step)->input_bytes;
    return step;
  }

  /// By mutex_, as all that follows.
  bool FrontIsReady() {
    while (!parts_.empty() && parts_.front().ready.empty() && parts_.front().decoder == nullptr) parts_.pop_front();
    return !parts_.empty() && !parts_.front().ready.empty();
  }

  /// The part to go on with, the earliest that nobody works on, or a new one. Null when there is none, or enough lies ready.
  Part* Choose() {
    if (FrontIsReady() && ready_bytes_ >= kAheadBytes) return nullptr;
    for (Part& part : parts_) {
      if (!part.busy && part.decoder != nullptr) return &part;
    }
    if (taking_ || all_taken_ || free_.empty() || parts_.size() >= decoders_.size() + kPartsAhead) return nullptr;
    Part& part = parts_.emplace_back();
    part.decoder = free_.back();
    free_.pop_back();
    taking_ = true;
    return &part;
  }

  void DecodePiece(Part& part, std::unique_lock<std::mutex>& lock) {
    part.busy = true;
    const size_t target = target_bytes_;
    lock.unlock();
    Result<bool> taken = true;
    if (!part.begun) {
      taken = part.decoder->Take(target);
      lock.lock();
      part.begun = true;
      taking_ = false;
      all_taken_ = all_taken_ || !taken.ok() || !*taken;
      progress_.notify_all();
      lock.unlock();
    }
    Step step = !taken.ok() ? Step(taken.error()) : *taken ? part.decoder->Next(target) : Step(std::optional<FileBatch>());
    lock.lock();
    part.busy = false;
    const bool more = step.ok() && step->has_value();
    if (!step.ok()) all_taken_ = true;
    if (more) ready_bytes_ += (*step)->input_bytes;
    else free_.push_back(std::exchange(part.decoder, nullptr));
    // The end of a part is nothing to deliver, the file's end is.
    if (more || !step.ok() || !*taken) part.ready.push_back(std::move(step));
    progress_.notify_all();
  }

  const std::vector<std::unique_ptr<PartDecoder>> decoders_;
  int64_t records_ = 0;  // of the reader
  bool ended_ = false;

  std::mutex mutex_;
  std::condition_variable progress_;
  std::vector<PartDecoder*> free_;
  std::list<Part> parts_;    // in the file's order
  size_t ready_bytes_ = 0;   // of them all
  bool taking_ = false;      // somebody takes a part
  bool all_taken_ = false;
  size_t target_bytes_ = 1 << 20;
};

}  // namespace

std::unique_ptr<FileSource> MakePartSource(std::vector<std::unique_ptr<PartDecoder>> decoders) {
  return std::make_unique<PartSource>(std::move(decoders));
}

}  // namespace kappa::connect
