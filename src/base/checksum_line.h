// Text files of our own that end with a line for their checksum: "crc32c <hex of all before it>".
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace kappa {

std::string WithChecksumLine(std::string text);
/// The text without that line; data_corrupted when it is missing or wrong. `path` is for messages.
Result<std::string_view> WithoutChecksumLine(std::string_view text, const std::string& path);

/// data_corrupted, naming the file.
Error DamagedFile(const std::string& path, std::string detail);

}  // namespace kappa
