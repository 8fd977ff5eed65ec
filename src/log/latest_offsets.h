// The newest offset of each key, in bounded memory: what compaction knows of a stretch of the log.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "log/log.h"

namespace kappa::log {

/// Keys are told apart by 128 bits of their hash, as Kafka does. 24 bytes an entry, of which at most 3/4 are used.
class LatestOffsets {
 public:
  explicit LatestOffsets(size_t bytes_max);

  /// Whether so many more keys fit. An empty one takes any number: a pass must get on.
  bool HasRoomFor(size_t keys) const { return used_ == 0 || used_ + keys <= keys_max_; }
  void Note(std::string_view key, Offset offset);
  /// -1 for a key that was not noted.
  Offset Of(std::string_view key) const;
  size_t size() const { return used_; }

 private:
  struct Entry {
    Hash128 key;
    Offset offset = -1;  // -1: free
  };
  size_t PlaceOf(const Hash128& key) const;
  void Grow();

  const size_t keys_max_;
  size_t used_ = 0;
  std::vector<Entry> entries_;  // a power of two
};

}  // namespace kappa::log
