#include "group/group_record.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/format_version.h"

namespace kappa::group {
namespace {

constexpr uint8_t kVersion = 1;

Error Damaged(std::string_view what) { return Error(sqlstate::kDataCorrupted, fmt::format("{} of the group log cannot be decoded", what)); }

Error Newer(std::string_view what, int found) { return NewerFormat(fmt::format("{} of the group log", what), found, kVersion); }

void PutText(ByteWriter& out, const std::optional<std::string>& text) {
  out.Little<uint8_t>(text ? 1 : 0);
  if (text) out.Prefixed(*text);
}

std::optional<std::string> GetText(ByteReader& in) {
  if (in.Little<uint8_t>() == 0) return std::nullopt;
  return std::string(in.Prefixed());
}

}  // namespace

std::string RecordKey::Encode() const {
  ByteWriter out;
  out.Little(kind);
  out.Prefixed(group);
  if (kind == RecordKind::kOffset) {
    out.Prefixed(topic);
    out.Varint(static_cast<uint64_t>(partition));
  }
  if (kind == RecordKind::kPending) out.Little(producer_id);
  return out.Take();
}

Result<RecordKey> RecordKey::Decode(std::string_view bytes) {
  ByteReader in(bytes);
  RecordKey key;
  key.kind = static_cast<RecordKind>(in.Little<uint8_t>());
  if (in.ok() && (key.kind < RecordKind::kOffset || key.kind > RecordKind::kPending)) return Newer("a key", static_cast<int>(key.kind));
  key.group = in.Prefixed();
  if (key.kind == RecordKind::kOffset) {
    key.topic = in.Prefixed();
    key.partition = static_cast<int32_t>(in.Varint());
  }
  if (key.kind == RecordKind::kPending) key.producer_id = in.Little<int64_t>();
  if (!in.AtEnd() || key.partition < 0) return Damaged("a key");
  return key;
}

std::string EncodeOffset(const CommittedOffset& offset) {
  ByteWriter out;
  out.Little(kVersion);
  out.Little(offset.offset);
  out.Little(offset.leader_epoch);
  out.Little(offset.committed_ms);
  out.Prefixed(offset.metadata);
  return out.Take();
}

Result<CommittedOffset> DecodeOffset(std::string_view bytes) {
  ByteReader in(bytes);
  const auto version = in.Little<uint8_t>();
  if (in.ok() && version > kVersion) return Newer("an offset", version);
  CommittedOffset offset;
  offset.offset = in.Little<int64_t>();
  offset.leader_epoch = in.Little<int32_t>();
  offset.committed_ms = in.Little<int64_t>();
  offset.metadata = in.Prefixed();
  if (!in.AtEnd()) return Damaged("an offset");
  return offset;
}

std::string EncodePending(const PendingOffsets& pending) {
  ByteWriter out;
  out.Little(kVersion);
  out.Little(pending.epoch);
  out.Varint(pending.offsets.size());
  for (const auto& [topic, partitions] : pending.offsets) {
    out.Prefixed(topic);
    out.Varint(partitions.size());
    for (const auto& [partition, offset] : partitions) {
      out.Varint(static_cast<uint64_t>(partition));
      out.Prefixed(EncodeOffset(offset));
    }
  }
  return out.Take();
}

Result<PendingOffsets> DecodePending(std::string_view bytes) {
  ByteReader in(bytes);
  const auto version = in.Little<uint8_t>();
  if (in.ok() && version > kVersion) return Newer("offsets of a transaction", version);
  PendingOffsets pending;
  pending.epoch = in.Little<int16_t>();
  for (uint64_t topics = in.Varint(); in.ok() && topics > 0; --topics) {
    TopicOffsets& offsets = pending.offsets[std::string(in.Prefixed())];
    for (uint64_t left = in.Varint(); in.ok() && left > 0; --left) {
      const auto partition = static_cast<int32_t>(in.Varint());
      KAPPA_ASSIGN_OR_RETURN(offsets[partition], DecodeOffset(in.Prefixed()));
    }
  }
  if (!in.AtEnd()) return Damaged("offsets of a transaction");
  return pending;
}

std::string EncodeGroup(const Group& group) {
  ByteWriter out;
  out.Little(kVersion);
  out.Prefixed(group.protocol_type);
  out.Prefixed(group.protocol);
  out.Little(group.generation);
  out.Prefixed(group.leader);
  out.Little(group.empty_since_ms);
  out.Varint(group.members.size());
  for (const auto& [id, member] : group.members) {
    out.Prefixed(id);
    PutText(out, member.instance_id);
    out.Prefixed(member.client_id);
    out.Prefixed(member.client_host);
    out.Little(member.session_timeout_ms);
    out.Little(member.rebalance_timeout_ms);
    out.Varint(member.protocols.size());
    for (const Protocol& protocol : member.protocols) {
      out.Prefixed(protocol.name);
      out.Prefixed(protocol.metadata);
    }
    out.Prefixed(member.assignment);
  }
  return out.Take();
}

Status DecodeGroup(std::string_view bytes, Group& group) {
  ByteReader in(bytes);
  const auto version = in.Little<uint8_t>();
  if (in.ok() && version > kVersion) return Newer("a group", version);
  group.protocol_type = in.Prefixed();
  group.protocol = in.Prefixed();
  group.generation = in.Little<int32_t>();
  group.leader = in.Prefixed();
  group.empty_since_ms = in.Little<int64_t>();
  for (uint64_t left = in.Varint(); in.ok() && left > 0; --left) {
    Member member;
    member.id = in.Prefixed();
    member.instance_id = GetText(in);
    member.client_id = in.Prefixed();
    member.client_host = in.Prefixed();
    member.session_timeout_ms = in.Little<int32_t>();
    member.rebalance_timeout_ms = in.Little<int32_t>();
    for (uint64_t protocols = in.Varint(); in.ok() && protocols > 0; --protocols) {
      Protocol& protocol = member.protocols.emplace_back();
      protocol.name = in.Prefixed();
      protocol.metadata = in.Prefixed();
    }
    member.assignment = in.Prefixed();
    if (member.instance_id) group.static_members[*member.instance_id] = member.id;
    group.members.emplace(member.id, std::move(member));
  }
  if (!in.AtEnd()) return Damaged("a group");
  group.state = group.members.empty() ? GroupState::kEmpty : GroupState::kStable;
  return {};
}

}  // namespace kappa::group
