#include "state/checkpoint_format.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "state/arena.h"

namespace kappa::state {
namespace {

constexpr uint32_t kFormatVersion = 1;

}  // namespace

std::string Sealed(std::string_view body) {
  ByteWriter out;
  out.Little<uint32_t>(Crc32c(body));
  out.Bytes(body);
  return out.Take();
}

std::optional<std::string_view> Unseal(std::string_view value) {
  ByteReader reader(value);
  auto crc = reader.Little<uint32_t>();
  if (!reader.ok() || Crc32c(value.substr(4)) != crc) return std::nullopt;
  return value.substr(4);
}

std::string EncodeManifest(const Manifest& manifest) {
  ByteWriter out;
  out.Little<uint32_t>(kFormatVersion);
  out.Varint(manifest.generation);
  out.Varint(manifest.next_id);
  out.Little<uint8_t>(manifest.meta.has_value());
  out.Prefixed(manifest.meta.value_or(""));
  return Sealed(out.str());
}

Result<Manifest> DecodeManifest(std::string_view value) {
  const auto body = Unseal(value);
  if (!body) return Error(sqlstate::kDataCorrupted, "manifest");
  ByteReader reader(*body);
  const auto version = reader.Little<uint32_t>();
  if (version != kFormatVersion) {
    return Error(sqlstate::kDataCorrupted, "format version " + std::to_string(version) + ", this program reads " + std::to_string(kFormatVersion));
  }
  Manifest manifest;
  manifest.generation = reader.Varint();
  manifest.next_id = static_cast<uint32_t>(reader.Varint());
  const bool has_meta = reader.Little<uint8_t>() != 0;
  const std::string_view bytes = reader.Prefixed();
  if (!reader.AtEnd()) return Error(sqlstate::kDataCorrupted, "manifest");
  if (has_meta) manifest.meta = std::string(bytes);
  return manifest;
}

std::string EncodeArena(std::string_view name, const std::vector<uint64_t>& generations) {
  ByteWriter out;
  out.Prefixed(name);
  out.Varint(generations.size());
  uint64_t previous = 0;
  for (size_t i = 0; i < generations.size();) {  // runs: most pages share a few generations
    size_t run = 1;
    while (i + run < generations.size() && generations[i + run] == generations[i]) ++run;
    out.ZigZag(static_cast<int64_t>(generations[i] - previous));
    out.Varint(run);
    previous = generations[i];
    i += run;
  }
  return Sealed(out.str());
}

std::optional<std::vector<uint64_t>> DecodeArena(std::string_view value, std::string& name) {
  const auto body = Unseal(value);
  if (!body) return std::nullopt;
  ByteReader reader(*body);
  name = reader.Prefixed();
  const uint64_t pages = reader.Varint();
  if (!reader.ok() || pages > kPagesMax) return std::nullopt;
  std::vector<uint64_t> generations;
  uint64_t generation = 0;
  while (reader.ok() && generations.size() < pages) {
    generation += static_cast<uint64_t>(reader.ZigZag());
    const uint64_t run = reader.Varint();
    if (!reader.ok() || generation == 0 || run == 0 || run > pages - generations.size()) return std::nullopt;
    generations.insert(generations.end(), run, generation);
  }
  if (!reader.AtEnd()) return std::nullopt;
  return generations;
}

}  // namespace kappa::state
