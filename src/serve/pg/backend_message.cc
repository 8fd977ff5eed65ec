#include "serve/pg/backend_message.h"

#include <limits>

namespace kappa::serve::pg {

data::Type WireType(const data::Type& type) { return type.id == data::TypeId::kUnknown ? data::Type(data::TypeId::kText) : type; }

size_t BackendMessages::Begin(char type) {
  writer_.Big(type);
  const size_t begin = writer_.size();
  writer_.Big<int32_t>(0);
  return begin;
}

void BackendMessages::End(size_t begin) { writer_.PatchBig(begin, static_cast<int32_t>(writer_.size() - begin)); }

void BackendMessages::CString(std::string_view text) {
  // A zero byte would end the field early and shift everything behind it.
  writer_.Bytes(text.substr(0, text.find('\0')));
  writer_.Big<char>(0);
}

void BackendMessages::Authentication(int32_t kind, std::string_view bytes) {
  const size_t begin = Begin('R');
  writer_.Big(kind);
  writer_.Bytes(bytes);
  End(begin);
}

void BackendMessages::AuthenticationOk() { Authentication(0, {}); }

void BackendMessages::AuthenticationSasl(std::string_view mechanism) {
  Authentication(10, std::string(mechanism) + std::string(2, '\0'));  // the end of the name, and of the list
}

void BackendMessages::ParameterStatus(std::string_view name, std::string_view value) {
  const size_t begin = Begin('S');
  CString(name);
  CString(value);
  End(begin);
}

void BackendMessages::BackendKeyData(int32_t process_id, int32_t secret) {
  const size_t begin = Begin('K');
  writer_.Big(process_id);
  writer_.Big(secret);
  End(begin);
}

void BackendMessages::NegotiateProtocolVersion(int32_t minor, std::span<const std::string> options) {
  const size_t begin = Begin('v');
  writer_.Big(minor);
  writer_.Big(static_cast<int32_t>(options.size()));
  for (const std::string& option : options) CString(option);
  End(begin);
}

void BackendMessages::ReadyForQuery(char transaction_status) {
  const size_t begin = Begin('Z');
  writer_.Big(transaction_status);
  End(begin);
}

void BackendMessages::ErrorOrNotice(Severity severity, const Error& error) {
  const char* name = severity == Severity::kFatal ? "FATAL" : severity == Severity::kError ? "ERROR" : "NOTICE";
  const size_t begin = Begin(severity == Severity::kNotice ? 'N' : 'E');
  const auto field = [this](char type, std::string_view text) {
    writer_.Big(type);
    CString(text);
  };
  field('S', name);
  field('V', name);
  field('C', error.sqlstate());
  field('M', error.message());
  if (!error.detail().empty()) field('D', error.detail());
  if (!error.hint().empty()) field('H', error.hint());
  if (error.position() > 0) field('P', std::to_string(error.position()));
  writer_.Big<char>(0);
  End(begin);
}

void BackendMessages::RowDescription(const data::Schema& schema, std::span<const int16_t> formats) {
  const size_t begin = Begin('T');
  writer_.Big(static_cast<int16_t>(schema.fields.size()));
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const data::Type type = WireType(schema.fields[i].type);
    CString(schema.fields[i].name);
    writer_.Big<int32_t>(0);  // table and column of origin: not known of a result
    writer_.Big<int16_t>(0);
    writer_.Big(type.oid());
    writer_.Big(type.length());
    writer_.Big(type.is_record() ? -1 : type.modifier);
    writer_.Big(formats[i]);
  }
  End(begin);
}

void BackendMessages::ParameterDescription(std::span<const uint32_t> oids) {
  const size_t begin = Begin('t');
  writer_.Big(static_cast<int16_t>(oids.size()));
  for (const uint32_t oid : oids) writer_.Big(oid);
  End(begin);
}

bool BackendMessages::DataRow(const data::Batch& batch, int64_t row, std::span<const int16_t> formats, const data::TextOptions& text) {
  const size_t start = writer_.size();
  const size_t begin = Begin('D');
  writer_.Big(static_cast<int16_t>(batch.columns.size()));
  for (size_t i = 0; i < batch.columns.size(); ++i) {
    const data::Column& column = *batch.columns[i];
    const size_t length_at = writer_.size();
    if (column.IsNull(row)) {
      writer_.Big<int32_t>(-1);
      continue;
    }
    writer_.Big<int32_t>(0);
    if (column.type().id == data::TypeId::kUnknown) writer_.Bytes(column.bytes(row));
    else if (formats[i] == 1) data::AppendBinary(column, row, writer_.str());
    else data::AppendText(column, row, text, writer_.str());
    const size_t length = writer_.size() - length_at - sizeof(int32_t);
    if (writer_.size() - start > static_cast<size_t>(std::numeric_limits<int32_t>::max()) - 64) {
      writer_.str().resize(start);
      return false;
    }
    writer_.PatchBig(length_at, static_cast<int32_t>(length));
  }
  End(begin);
  return true;
}

void BackendMessages::CommandComplete(std::string_view tag) {
  const size_t begin = Begin('C');
  CString(tag);
  End(begin);
}

}  // namespace kappa::serve::pg
