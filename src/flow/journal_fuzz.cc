// Any bytes as a record of the journal: what is accepted must survive being written and read again.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "flow/journal.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kappa::flow::EpochRecord;
  const auto record = EpochRecord::Decode({reinterpret_cast<const char*>(data), size});
  if (!record.ok()) return 0;
  const std::string once = record->Encode();
  KAPPA_CHECK(EpochRecord::Decode(once)->Encode() == once);
  return 0;
}
