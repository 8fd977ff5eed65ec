#include "log/cache_window.h"

#include <vector>

namespace kappa::log {

void CacheWindow::NoteWritten(const std::shared_ptr<io::File>& file, uint64_t from, uint64_t to) {
  if (bytes_max_ == 0) return;
  std::vector<Part> old;
  {
    std::lock_guard lock(mutex_);
    parts_.push_back({file, from, to});
    bytes_ += to - from;
    while (bytes_ > bytes_max_ && !parts_.empty()) {
      bytes_ -= parts_.front().to - parts_.front().from;
      old.push_back(std::move(parts_.front()));
      parts_.pop_front();
    }
  }
  for (const Part& part : old) {
    if (auto open = part.file.lock()) open->DropFromCache(part.from, part.to - part.from);
  }
}

}  // namespace kappa::log
