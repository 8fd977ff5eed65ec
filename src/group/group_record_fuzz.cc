// Any bytes as records of the group log, and as what consumers tell each other: what is accepted must survive being written and read again.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "group/consumer_protocol.h"
#include "group/group_record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kappa::group;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto key = RecordKey::Decode(input); key.ok()) KAPPA_CHECK(*RecordKey::Decode(key->Encode()) == *key);
  if (const auto offset = DecodeOffset(input); offset.ok()) {
    const std::string once = EncodeOffset(*offset);
    KAPPA_CHECK(EncodeOffset(*DecodeOffset(once)) == once);
  }
  if (const auto pending = DecodePending(input); pending.ok()) {
    const std::string once = EncodePending(*pending);
    KAPPA_CHECK(EncodePending(*DecodePending(once)) == once);
  }
  if (Group group; DecodeGroup(input, group).ok()) {
    const std::string once = EncodeGroup(group);
    Group again;
    KAPPA_CHECK(DecodeGroup(once, again).ok() && EncodeGroup(again) == once);
  }
  (void)SubscribedTopics(input);
  (void)AssignedPartitions(input);
  return 0;
}
