#include "serve/pg/frontend_message.h"

#include <string>

#include "base/bytes.h"

namespace kappa::serve::pg {
namespace {

constexpr int32_t kCancelRequestCode = 80877102;
constexpr int32_t kSslRequestCode = 80877103;
constexpr int32_t kGssEncryptionRequestCode = 80877104;

Error Malformed(std::string_view what) { return Error(sqlstate::kProtocolViolation, "invalid message format in " + std::string(what)); }

/// A zero-terminated string; fails the reader when there is no terminator.
std::string_view CString(ByteReader& reader, std::string_view body) {
  const size_t end = body.find('\0', reader.position());
  if (!reader.ok() || end == std::string_view::npos) {
    reader.Fail();
    return {};
  }
  const std::string_view text = reader.Bytes(end - reader.position());
  reader.Bytes(1);
  return text;
}

/// A count that claims at least `bytes_each` bytes for each item: refused before anything is allocated.
size_t Count16(ByteReader& reader, size_t bytes_each) {
  const size_t count = reader.Big<uint16_t>();
  if (count * bytes_each > reader.remaining()) {
    reader.Fail();
    return 0;
  }
  return count;
}

std::vector<int16_t> Formats(ByteReader& reader) {
  std::vector<int16_t> formats(Count16(reader, sizeof(int16_t)));
  for (int16_t& format : formats) format = reader.Big<int16_t>();
  return formats;
}

ParseMessage DecodeParse(ByteReader& reader, std::string_view body) {
  ParseMessage message;
  message.name = CString(reader, body);
  message.text = CString(reader, body);
  message.parameter_oids.resize(Count16(reader, sizeof(uint32_t)));
  for (uint32_t& oid : message.parameter_oids) oid = reader.Big<uint32_t>();
  return message;
}

BindMessage DecodeBind(ByteReader& reader, std::string_view body) {
  BindMessage message;
  message.portal = CString(reader, body);
  message.statement = CString(reader, body);
  message.parameter_formats = Formats(reader);
  message.parameters.resize(Count16(reader, sizeof(int32_t)));
  for (auto& parameter : message.parameters) {
    const int32_t length = reader.Big<int32_t>();
    if (length == -1) continue;
    if (length < 0) {
      reader.Fail();
      break;
    }
    parameter = reader.Bytes(static_cast<size_t>(length));
  }
  message.result_formats = Formats(reader);
  return message;
}

}  // namespace

bool IsFrontendMessageType(char type) { return std::string_view("QPBDCESHXpFdcf").find(type) != std::string_view::npos; }

Result<StartupPacket> DecodeStartup(std::string_view body) {
  ByteReader reader(body);
  StartupPacket packet;
  const int32_t code = reader.Big<int32_t>();
  if (!reader.ok()) return Error(sqlstate::kProtocolViolation, "invalid length of startup packet");
  if (code == kSslRequestCode || code == kGssEncryptionRequestCode) {
    packet.kind = code == kSslRequestCode ? StartupPacket::Kind::kSsl : StartupPacket::Kind::kGssEncryption;
    if (!reader.AtEnd()) return Error(sqlstate::kProtocolViolation, "invalid length of startup packet");
    return packet;
  }
  if (code == kCancelRequestCode) {
    packet.kind = StartupPacket::Kind::kCancel;
    packet.process_id = reader.Big<int32_t>();
    packet.secret = reader.Big<int32_t>();
    if (!reader.AtEnd()) return Error(sqlstate::kProtocolViolation, "invalid length of cancel request packet");
    return packet;
  }
  packet.major = code >> 16;
  packet.minor = code & 0xffff;
  if (packet.major != 3) return packet;  // the layout of another version is unknown: the caller refuses it
  while (true) {
    const std::string_view name = CString(reader, body);
    if (!reader.ok()) break;
    if (name.empty()) {
      if (!reader.AtEnd()) break;
      return packet;
    }
    const std::string_view value = CString(reader, body);
    packet.parameters.emplace_back(name, value);
  }
  return Error(sqlstate::kProtocolViolation, "invalid startup packet layout: expected terminator as last byte");
}

Result<FrontendMessage> DecodeFrontendMessage(char type, std::string_view body) {
  ByteReader reader(body);
  FrontendMessage message;
  const char* what = "message";
  switch (type) {
    case 'Q':
      what = "Query message";
      message = QueryMessage{CString(reader, body)};
      break;
    case 'P':
      what = "Parse message";
      message = DecodeParse(reader, body);
      break;
    case 'B':
      what = "Bind message";
      message = DecodeBind(reader, body);
      break;
    case 'D':
    case 'C': {
      what = type == 'D' ? "Describe message" : "Close message";
      const char kind = reader.Big<char>();
      const std::string_view name = CString(reader, body);
      if (kind != 'S' && kind != 'P') reader.Fail();
      if (type == 'D') message = DescribeMessage{kind, name};
      else message = CloseMessage{kind, name};
      break;
    }
    case 'E': {
      what = "Execute message";
      const std::string_view portal = CString(reader, body);
      message = ExecuteMessage{portal, reader.Big<int32_t>()};
      break;
    }
    case 'S':
      what = "Sync message";
      message = SyncMessage{};
      break;
    case 'H':
      what = "Flush message";
      message = FlushMessage{};
      break;
    case 'X':
      what = "Terminate message";
      message = TerminateMessage{};
      break;
    // Their bodies are not looked at.
    case 'p': return FrontendMessage(PasswordMessage{});
    case 'F': return FrontendMessage(FunctionCallMessage{});
    case 'd':
    case 'c':
    case 'f': return FrontendMessage(CopyMessage{});
    default: return Error(sqlstate::kProtocolViolation, "invalid frontend message type " + std::to_string(static_cast<unsigned char>(type)));
  }
  if (!reader.AtEnd()) return Malformed(what);
  return message;
}

}  // namespace kappa::serve::pg
