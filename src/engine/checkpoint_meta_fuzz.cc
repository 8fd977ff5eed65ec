// Any bytes as what a checkpoint says beside its pages, behind the format and the layout of this build: what is accepted must survive being written and
// read again.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "engine/checkpoint_meta.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kappa::engine::CheckpointMeta;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  (void)CheckpointMeta::Decode(input);
  const auto meta = CheckpointMeta::Decode(CheckpointMeta().Encode().substr(0, 2) + std::string(input));
  if (!meta.ok()) return 0;
  const std::string once = meta->Encode();
  KAPPA_CHECK(CheckpointMeta::Decode(once)->Encode() == once);
  return 0;
}
