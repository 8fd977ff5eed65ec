// Versions of stored formats.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace kappa {

/// Of bytes that a newer program wrote. `what`: "catalog record".
inline Error NewerFormat(std::string_view what, int found, int newest) {
  return Error(sqlstate::kFeatureNotSupported, std::string(what) + " has format " + std::to_string(found) + ", newer than " + std::to_string(newest))
      .Hint("Use the kappa that wrote this data folder, or a newer one.");
}

}  // namespace kappa
