#include "base/checksum_line.h"

#include <cstdio>

#include "base/crc32c.h"

namespace kappa {

std::string WithChecksumLine(std::string text) {
  char line[24];
  std::snprintf(line, sizeof line, "crc32c %08x\n", Crc32c(text));
  return text + line;
}

Result<std::string_view> WithoutChecksumLine(std::string_view text, const std::string& path) {
  constexpr size_t kLineBytes = 16;
  if (text.size() < kLineBytes) return DamagedFile(path, "The file is too short.");
  std::string_view body = text.substr(0, text.size() - kLineBytes);
  if (text != WithChecksumLine(std::string(body))) return DamagedFile(path, "Its checksum is wrong.");
  return body;
}

Error DamagedFile(const std::string& path, std::string detail) {
  return Error(sqlstate::kDataCorrupted, "file \"" + path + "\" is damaged").Detail(std::move(detail)).Hint("Restore the file from a copy.");
}

}  // namespace kappa
