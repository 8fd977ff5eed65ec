// Topic names, and the choice of a partition by key.
#include "log/log.h"

#include <algorithm>

#include "base/check.h"

namespace kappa::log {
namespace {

/// MurmurHash2, 32 bit, with the seed of Kafka's Utils.murmur2.
uint32_t Murmur2(std::string_view key) {
  constexpr uint32_t kMultiplier = 0x5bd1e995;
  uint32_t hash = 0x9747b28c ^ static_cast<uint32_t>(key.size());
  auto byte = [&](size_t at) { return static_cast<uint32_t>(static_cast<uint8_t>(key[at])); };
  size_t at = 0;
  for (; at + 4 <= key.size(); at += 4) {
    uint32_t word = byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24;
    word *= kMultiplier;
    word ^= word >> 24;
    word *= kMultiplier;
    hash = hash * kMultiplier ^ word;
  }
  switch (key.size() - at) {
    case 3: hash ^= byte(at + 2) << 16; [[fallthrough]];
    case 2: hash ^= byte(at + 1) << 8; [[fallthrough]];
    case 1: hash = (hash ^ byte(at)) * kMultiplier; break;
    default: break;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  return hash ^ hash >> 15;
}

}  // namespace

bool IsValidTopicName(std::string_view name) {
  if (name.empty() || name.size() > 249 || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
}

int32_t PartitionForKey(std::string_view key, int32_t partitions) {
  KAPPA_CHECK(partitions > 0);
  return static_cast<int32_t>(Murmur2(key) & 0x7fffffffu) % partitions;
}

}  // namespace kappa::log
