// Fuzzing of everything between a client's text and a plan: any bytes must give statements or an error, never a crash.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sql/testing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const kappa::sql::TestCatalog catalog;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto statements = kappa::sql::SplitStatements(text);
  if (!statements.ok()) return 0;
  for (const kappa::sql::RawStatement& statement : *statements) {
    const auto bound = kappa::sql::Bind(statement, catalog.context());
    if (bound.ok() || bound.error().position() == 0) continue;
    const int position = bound.error().position();
    KAPPA_CHECK(position >= 1 && position <= static_cast<int>(size) + 1);
  }
  return 0;
}
