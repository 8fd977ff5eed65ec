// Text files of the log that hold one number: a line that says what it is, the number, a checksum.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace kappa::log {

/// `first_line` ends with a newline.
std::string EncodeNumber(std::string_view first_line, int64_t number);
/// Fails with data_corrupted, or with feature_not_supported for another first line; `path` is for messages.
Result<int64_t> DecodeNumber(std::string_view text, std::string_view first_line, const std::string& path);

Status WriteNumber(const std::string& path, std::string_view first_line, int64_t number);
/// Nothing when the file is missing.
Result<std::optional<int64_t>> ReadNumber(const std::string& path, std::string_view first_line);

}  // namespace kappa::log
