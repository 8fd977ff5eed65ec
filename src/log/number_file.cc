#include "log/number_file.h"

#include <charconv>

#include "base/checksum_line.h"
#include "io/folder.h"

namespace kappa::log {

std::string EncodeNumber(std::string_view first_line, int64_t number) {
  return WithChecksumLine(std::string(first_line) + std::to_string(number) + "\n");
}

Result<int64_t> DecodeNumber(std::string_view text, std::string_view first_line, const std::string& path) {
  KAPPA_ASSIGN_OR_RETURN(std::string_view body, WithoutChecksumLine(text, path));
  if (!body.starts_with(first_line)) return Error(sqlstate::kFeatureNotSupported, "file \"" + path + "\" has a newer format");
  body.remove_prefix(first_line.size());
  int64_t number = 0;
  const auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), number);
  if (error != std::errc() || std::string_view(end, body.data() + body.size()) != "\n") return DamagedFile(path, "It has no number.");
  return number;
}

Status WriteNumber(const std::string& path, std::string_view first_line, int64_t number) {
  return io::WriteFileAtomically(path, EncodeNumber(first_line, number));
}

Result<std::optional<int64_t>> ReadNumber(const std::string& path, std::string_view first_line) {
  auto text = io::ReadWholeFile(path, 4096);
  if (!text.ok()) {
    if (text.error().Is(sqlstate::kUndefinedFile)) return std::optional<int64_t>();
    return text.status().error();
  }
  KAPPA_ASSIGN_OR_RETURN(const int64_t number, DecodeNumber(*text, first_line, path));
  return std::optional(number);
}

}  // namespace kappa::log
