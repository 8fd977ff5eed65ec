#include "log/patient_read.h"

#include <chrono>
#include <thread>

namespace kappa::log {
namespace {

constexpr std::chrono::milliseconds kPauseFirst{50}, kPauseMost{1600};  // doubled each time

}  // namespace

ReadResult ReadPatiently(const Partition& partition, Offset from, size_t max_bytes, Isolation isolation) {
  ReadResult read = partition.Read(from, max_bytes, isolation);
  for (auto pause = kPauseFirst; read.error == KafkaError::kKafkaStorageError && pause <= kPauseMost; pause *= 2) {
    std::this_thread::sleep_for(pause);
    read = partition.Read(from, max_bytes, isolation);
  }
  return read;
}

}  // namespace kappa::log
