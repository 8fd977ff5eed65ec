// UTF-8: validity, and lengths in characters.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace kappa::data {

/// Fails with character_not_in_repertoire (invalid byte sequence for encoding "UTF8": 0x..); the byte 0 is invalid too.
Status CheckUtf8(std::string_view text);
bool IsUtf8(std::string_view text);
bool IsAscii(std::string_view text);
/// Characters of valid UTF-8.
int64_t CharacterCount(std::string_view text);
/// The first `count` characters of valid UTF-8.
std::string_view FirstCharacters(std::string_view text, int64_t count);
/// The text for varchar(length): spaces beyond it are cut, other characters fail with string_data_right_truncation.
Result<std::string_view> FitToLength(std::string_view text, int64_t length);

}  // namespace kappa::data
