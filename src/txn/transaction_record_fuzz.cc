// Any bytes as records of the log of transactions: what is accepted must survive being written and read again.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "txn/transaction_record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kappa::txn;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto id = DecodeKey(input); id.ok()) KAPPA_CHECK(*DecodeKey(EncodeKey(*id)) == *id);
  if (const auto transaction = DecodeTransaction(input); transaction.ok()) {
    const std::string once = EncodeTransaction(*transaction);
    KAPPA_CHECK(EncodeTransaction(*DecodeTransaction(once)) == once);
    (void)Name(transaction->state);
  }
  return 0;
}
