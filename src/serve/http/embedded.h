// Files of web/ and the OpenAPI document, as they were when the program was built.
#pragma once

#include <span>
#include <string_view>

namespace kappa::serve::http {

struct EmbeddedFile {
  std::string_view name;  // "console.js"
  std::string_view bytes;
};
std::span<const EmbeddedFile> EmbeddedFiles();

}  // namespace kappa::serve::http
