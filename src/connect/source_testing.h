// For tests of sources: threads that decode ahead.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "connect/file_source.h"

namespace kappa::connect {

/// `threads` - 1 threads help the one that reads, while this lives.
class Helpers {
 public:
  Helpers(FileSource& source, int threads) {
    for (int i = 1; i < threads; ++i) {
      threads_.emplace_back([this, &source] {
        while (!stop_) {
          if (!source.DecodeAhead()) std::this_thread::yield();
        }
      });
    }
  }
  ~Helpers() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;

 private:
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace kappa::connect
