// Records of the group log: offsets and groups as bytes, and back. Layout: docs/formats/groups.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "group/group.h"

namespace kappa::group {

enum class RecordKind : uint8_t { kOffset = 1, kGroup = 2, kPending = 3 };

/// What a record is about. Topic and partition belong to kOffset, the producer to kPending.
struct RecordKey {
  RecordKind kind = RecordKind::kGroup;
  std::string group;
  std::string topic;
  int32_t partition = 0;
  int64_t producer_id = -1;
  bool operator==(const RecordKey&) const = default;

  std::string Encode() const;
  /// Fails with data_corrupted, or feature_not_supported for a kind that this program does not know.
  static Result<RecordKey> Decode(std::string_view bytes);
};

std::string EncodePending(const PendingOffsets& pending);
Result<PendingOffsets> DecodePending(std::string_view bytes);

std::string EncodeOffset(const CommittedOffset& offset);
Result<CommittedOffset> DecodeOffset(std::string_view bytes);

/// Members, generation and assignment; not the offsets, nor what is waiting.
std::string EncodeGroup(const Group& group);
/// Sets the stored fields of `group`, which has none of them yet.
Status DecodeGroup(std::string_view bytes, Group& group);

}  // namespace kappa::group
