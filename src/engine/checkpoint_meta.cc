#include "engine/checkpoint_meta.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "ops/operator.h"

namespace kappa::engine {
namespace {

constexpr uint8_t kFormat = 2;
constexpr uint64_t kShardsMax = 1024;

CheckpointMeta::Place DecodePlace(ByteReader& in) {
  const auto relation = static_cast<uint32_t>(in.Varint());
  return {relation, static_cast<int32_t>(in.Varint())};
}

}  // namespace

std::string CheckpointMeta::Encode() const {
  ByteWriter out;
  const auto place = [&](const Place& of) {
    out.Varint(of.first);
    out.Varint(static_cast<uint64_t>(of.second));
  };
  out.Little<uint8_t>(kFormat);
  out.Varint(ops::kStateLayout);
  out.Varint(static_cast<uint64_t>(shards));
  out.Varint(epoch);
  out.Little<int64_t>(wall_us);
  out.Varint(static_cast<uint64_t>(journal_end));
  out.Varint(ends.size());
  for (const auto& [of, end] : ends) {
    place(of);
    out.Varint(static_cast<uint64_t>(end));
  }
  out.Varint(idle.size());
  for (const Place& of : idle) place(of);
  out.Varint(streams.size());
  for (const auto& [id, state] : streams) {
    out.Varint(id);
    out.Prefixed(state);
  }
  out.Varint(tables.size());
  for (const auto& [id, position] : tables) {
    out.Varint(id);
    out.Varint(static_cast<uint64_t>(position));
  }
  out.Varint(versions.size());
  for (const auto& [id, version] : versions) {
    out.Varint(id);
    out.Little<uint64_t>(version.plan_hash);
    out.Little<uint8_t>(version.started);
    out.Varint(version.inputs.size());
    for (const flow::ViewInput& input : version.inputs) {
      out.Little<uint8_t>(static_cast<uint8_t>(input.kind));
      out.Varint(input.id);
    }
  }
  out.Varint(static_cast<uint64_t>(dead_letters_dropped));
  return out.Take();
}

Result<CheckpointMeta> CheckpointMeta::Decode(std::string_view bytes) {
  ByteReader in(bytes);
  const auto format = in.Little<uint8_t>();
  if (format != kFormat) return Error(sqlstate::kFeatureNotSupported, fmt::format("checkpoint has format {}", format));
  if (const uint64_t layout = in.Varint(); layout != ops::kStateLayout) {
    return Error(sqlstate::kFeatureNotSupported, fmt::format("the state has layout {}, this build has {}", layout, ops::kStateLayout));
  }
  CheckpointMeta meta;
  const uint64_t shards = in.Varint();
  meta.shards = static_cast<int>(std::min(shards, kShardsMax));
  meta.epoch = in.Varint();
  meta.wall_us = in.Little<int64_t>();
  meta.journal_end = static_cast<log::Offset>(in.Varint());
  for (uint64_t i = 0, n = in.Varint(); in.ok() && i < n; ++i) {
    const Place of = DecodePlace(in);
    meta.ends[of] = static_cast<log::Offset>(in.Varint());
  }
  for (uint64_t i = 0, n = in.Varint(); in.ok() && i < n; ++i) meta.idle.insert(DecodePlace(in));
  for (uint64_t i = 0, n = in.Varint(); in.ok() && i < n; ++i) {
    const auto id = static_cast<uint32_t>(in.Varint());
    meta.streams[id] = in.Prefixed();
  }
  for (uint64_t i = 0, n = in.Varint(); in.ok() && i < n; ++i) {
    const auto id = static_cast<uint32_t>(in.Varint());
    meta.tables[id] = static_cast<log::Offset>(in.Varint());
  }
  bool known_kinds = true;
  for (uint64_t i = 0, n = in.Varint(); in.ok() && i < n; ++i) {
    Version& version = meta.versions[static_cast<uint32_t>(in.Varint())];
    version.plan_hash = in.Little<uint64_t>();
    version.started = in.Little<uint8_t>() != 0;
    for (uint64_t k = 0, m = in.Varint(); in.ok() && k < m; ++k) {
      const auto kind = in.Little<uint8_t>();
      known_kinds &= kind <= static_cast<uint8_t>(flow::ViewInput::Kind::kInjected);
      version.inputs.push_back({static_cast<flow::ViewInput::Kind>(kind), static_cast<uint32_t>(in.Varint())});
    }
  }
  meta.dead_letters_dropped = static_cast<int64_t>(in.Varint());
  if (!in.AtEnd() || !known_kinds || shards < 1 || shards > kShardsMax) return Error(sqlstate::kDataCorrupted, "checkpoint cannot be decoded");
  return meta;
}

}  // namespace kappa::engine
