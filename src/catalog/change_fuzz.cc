// Any bytes as a change of the catalog: what is accepted can be applied, and survives being written and read again.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "catalog/catalog_log.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kappa::catalog;
  const auto change = DecodeChange({reinterpret_cast<const char*>(data), size});
  if (!change.ok()) return 0;
  (void)Apply(Snapshot(), *change);
  const std::string once = EncodeChange(*change);
  KAPPA_CHECK(EncodeChange(*DecodeChange(once)) == once);
  return 0;
}
