// Messages that a PostgreSQL client sends (protocol 3.0), decoded from one frame's body. Nothing here trusts a length.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace kappa::serve::pg {

// All views point into the body that was decoded.

/// The packet without a type byte that opens a connection.
struct StartupPacket {
  enum class Kind : uint8_t { kSsl, kGssEncryption, kCancel, kStartup };
  Kind kind = Kind::kStartup;
  int32_t major = 3, minor = 0;                                             // kStartup
  std::vector<std::pair<std::string_view, std::string_view>> parameters;    // kStartup
  int32_t process_id = 0;                                                   // kCancel
  int32_t secret = 0;                                                       // kCancel
};
inline constexpr size_t kStartupBytesMax = 10'000;

struct QueryMessage {
  std::string_view text;
};
struct ParseMessage {
  std::string_view name;
  std::string_view text;
  std::vector<uint32_t> parameter_oids;
};
struct BindMessage {
  std::string_view portal;
  std::string_view statement;
  std::vector<int16_t> parameter_formats;  // none: all text; one: for all
  std::vector<std::optional<std::string_view>> parameters;
  std::vector<int16_t> result_formats;
};
struct DescribeMessage {
  char kind;
  std::string_view name;
};  // 'S' statement, 'P' portal
struct CloseMessage {
  char kind;
  std::string_view name;
};
struct ExecuteMessage {
  std::string_view portal;
  int32_t rows_max;
};
struct SyncMessage {};
struct FlushMessage {};
struct TerminateMessage {};
struct PasswordMessage {};
struct FunctionCallMessage {};
struct CopyMessage {};  // CopyData, CopyDone, CopyFail

using FrontendMessage = std::variant<QueryMessage, ParseMessage, BindMessage, DescribeMessage, CloseMessage, ExecuteMessage, SyncMessage,
                                     FlushMessage, TerminateMessage, PasswordMessage, FunctionCallMessage, CopyMessage>;

bool IsFrontendMessageType(char type);
/// `body`: the packet after its length word. Fails with protocol_violation.
Result<StartupPacket> DecodeStartup(std::string_view body);
/// `body`: the frame after type and length. Fails with protocol_violation.
Result<FrontendMessage> DecodeFrontendMessage(char type, std::string_view body);

}  // namespace kappa::serve::pg
