#include "log/patient_read.h"

#include <chrono>
#include <thread>

namespace kappa::log {
namespace {

constexpr std::chrono::milliseconds kPauseFirst{50};  // doubled each time

}  // namespace

bool BriefPatience(const Partition& /*partition*/, Offset /*from*/, int failures) {
  if (failures > kBriefFailuresMax) return false;
  std::this_thread::sleep_for(kPauseFirst * (1 << (failures - 1)));
  return true;
}

ReadResult ReadPatiently(const Partition& partition, Offset from, size_t max_bytes, Isolation isolation, const Patience& patience) {
  ReadResult read = partition.Read(from, max_bytes, isolation);
  for (int failures = 1; read.error == KafkaError::kKafkaStorageError && patience(partition, from, failures); ++failures) {
    read = partition.Read(from, max_bytes, isolation);
  }
  return read;
}

}  // namespace kappa::log
