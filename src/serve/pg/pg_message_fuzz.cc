// Feeds arbitrary bytes to the decoders of frontend messages: first byte as the type, the rest as the body.
#include <cstddef>
#include <cstdint>

#include "serve/pg/frontend_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const char type = static_cast<char>(data[0]);
  const auto message = kappa::serve::pg::DecodeFrontendMessage(type, body);
  if (message.ok() != kappa::serve::pg::DecodeFrontendMessage(type, body).ok()) __builtin_trap();
  const auto startup = kappa::serve::pg::DecodeStartup(body);
  // What was decoded must lie inside the body.
  if (startup.ok()) {
    for (const auto& [name, value] : startup->parameters) {
      if (name.data() < body.data() || value.data() + value.size() > body.data() + body.size()) __builtin_trap();
    }
  }
  return 0;
}
