// Messages that the server sends, appended to a buffer. Values as text or in PostgreSQL's binary form.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "data/batch.h"
#include "data/text.h"

namespace kappa::serve::pg {

enum class Severity : uint8_t { kError, kFatal, kNotice };

/// The type, length word and body of one message after the other. The caller takes the bytes and sends them.
class BackendMessages {
 public:
  void AuthenticationOk();
  void AuthenticationSasl(std::string_view mechanism);
  void AuthenticationSaslContinue(std::string_view message) { Authentication(11, message); }
  void AuthenticationSaslFinal(std::string_view message) { Authentication(12, message); }
  void ParameterStatus(std::string_view name, std::string_view value);
  void BackendKeyData(int32_t process_id, int32_t secret);
  /// `options`: the protocol options ("_pq_.x") that were not understood.
  void NegotiateProtocolVersion(int32_t minor, std::span<const std::string> options);
  void ReadyForQuery(char transaction_status);
  void ErrorOrNotice(Severity severity, const Error& error);
  /// `formats`: one per field, 0 text, 1 binary.
  void RowDescription(const data::Schema& schema, std::span<const int16_t> formats);
  void ParameterDescription(std::span<const uint32_t> oids);
  /// False when the row does not fit a message (2 GiB); nothing is appended then.
  bool DataRow(const data::Batch& batch, int64_t row, std::span<const int16_t> formats, const data::TextOptions& text);
  void CommandComplete(std::string_view tag);
  void ParseComplete() { Empty('1'); }
  void BindComplete() { Empty('2'); }
  void CloseComplete() { Empty('3'); }
  void NoData() { Empty('n'); }
  void PortalSuspended() { Empty('s'); }
  void EmptyQueryResponse() { Empty('I'); }

  std::string& bytes() { return writer_.str(); }
  size_t size() const { return writer_.size(); }

 private:
  size_t Begin(char type);
  void End(size_t begin);
  void Authentication(int32_t kind, std::string_view bytes);
  void Empty(char type) { End(Begin(type)); }
  void CString(std::string_view text);

  ByteWriter writer_;
};

/// What the wire says of a type: untyped literals go out as text.
data::Type WireType(const data::Type& type);

}  // namespace kappa::serve::pg
