// Any bytes as the values of a checkpoint: its manifest, and the record of an arena. What is accepted must survive being written and read again. The
// checksum is put right first, for else nothing would be accepted.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "state/checkpoint_format.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kappa::state;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto body = Unseal(input)) KAPPA_CHECK(Sealed(*body) == input);
  const std::string value = Sealed(input);
  if (const auto manifest = DecodeManifest(value); manifest.ok()) {
    const auto again = DecodeManifest(EncodeManifest(*manifest));
    KAPPA_CHECK(again.ok() && again->generation == manifest->generation && again->next_id == manifest->next_id && again->meta == manifest->meta);
  }
  std::string name, name_again;
  if (const auto generations = DecodeArena(value, name); generations && generations->size() < 1'000'000) {
    KAPPA_CHECK(DecodeArena(EncodeArena(name, *generations), name_again) == generations && name_again == name);
  }
  return 0;
}
