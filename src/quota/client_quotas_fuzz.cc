// Any bytes as the file of quotas: what is accepted must survive being written and read again.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/checksum_line.h"
#include "quota/client_quotas.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kappa;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  KAPPA_CHECK(!quota::ParseQuotas("fuzz", input).ok() || WithoutChecksumLine(input, "fuzz").ok());
  if (const auto quotas = quota::ParseQuotas("fuzz", WithChecksumLine(std::string(input))); quotas.ok()) {
    KAPPA_CHECK(*quota::ParseQuotas("fuzz", quota::QuotasText(*quotas)) == *quotas);
  }
  return 0;
}
