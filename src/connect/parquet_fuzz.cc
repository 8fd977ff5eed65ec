// Any bytes as a Parquet file: rows, bad records or an error, never a crash.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "connect/parquet.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kappa;
  using data::TypeId;
  static const data::Schema schema{{{"i", TypeId::kInt4},
                                    {"n", TypeId::kNumeric},
                                    {"s", TypeId::kText},
                                    {"t", TypeId::kTimestamptz},
                                    {"f", TypeId::kFloat8},
                                    {"a", data::Type::ArrayOf(TypeId::kText)}}};
  const int file = memfd_create("fuzz", 0);
  KAPPA_CHECK(file >= 0 && write(file, data, size) == static_cast<ssize_t>(size));
  auto source = connect::OpenParquetSource("/proc/self/fd/" + std::to_string(file), schema, {0, 1, 2, 3, 4, 5}, 1);
  while (source.ok()) {
    auto batch = (*source)->Next(1 << 16);
    if (!batch.ok() || !*batch) break;
  }
  close(file);
  return 0;
}
