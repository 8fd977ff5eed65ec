// The values that a checkpoint keeps beside its pages: each with a checksum before it. docs/formats/checkpoint.md tells the whole story.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace kappa::state {

/// The body with its CRC-32C (4 bytes) before it.
std::string Sealed(std::string_view body);
/// The body; nullopt when its CRC is wrong.
std::optional<std::string_view> Unseal(std::string_view value);

struct Manifest {
  uint64_t generation = 0;  // of the last visible checkpoint
  uint32_t next_id = 1;     // of an arena
  std::optional<std::string> meta;
};
std::string EncodeManifest(const Manifest& manifest);
/// Fails with data_corrupted, for another format too: state can be rebuilt.
Result<Manifest> DecodeManifest(std::string_view value);

/// An arena by name: the generation of each of its pages, from 1 on.
std::string EncodeArena(std::string_view name, const std::vector<uint64_t>& generations);
/// Nullopt when it is damaged.
std::optional<std::vector<uint64_t>> DecodeArena(std::string_view value, std::string& name);

}  // namespace kappa::state
