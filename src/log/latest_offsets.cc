#include "log/latest_offsets.h"

#include <algorithm>
#include <bit>

namespace kappa::log {
namespace {

constexpr size_t kEntriesMin = 1024;
constexpr size_t Usable(size_t entries) { return entries / 4 * 3; }

}  // namespace

LatestOffsets::LatestOffsets(size_t bytes_max)
    : keys_max_(Usable(std::bit_floor(std::max(bytes_max / sizeof(Entry), kEntriesMin)))), entries_(kEntriesMin) {}

/// Where the key is, or where it would go.
size_t LatestOffsets::PlaceOf(const Hash128& key) const {
  size_t place = key.low & (entries_.size() - 1);
  while (entries_[place].offset >= 0 && entries_[place].key != key) place = (place + 1) & (entries_.size() - 1);
  return place;
}

void LatestOffsets::Grow() {
  std::vector<Entry> old(entries_.size() * 2);
  old.swap(entries_);
  for (const Entry& entry : old) {
    if (entry.offset >= 0) entries_[PlaceOf(entry.key)] = entry;
  }
}

void LatestOffsets::Note(std::string_view key, Offset offset) {
  if (used_ + 1 > Usable(entries_.size())) Grow();
  const Hash128 hash = HashBytes128(key);
  Entry& entry = entries_[PlaceOf(hash)];
  if (entry.offset < 0) ++used_;
  entry = {hash, std::max(entry.offset, offset)};
}

Offset LatestOffsets::Of(std::string_view key) const { return entries_[PlaceOf(HashBytes128(key))].offset; }

}  // namespace kappa::log
