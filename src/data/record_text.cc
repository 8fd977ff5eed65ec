#include "data/record_text.h"

#include "data/record.h"

namespace kappa::data {
namespace {

/// Quotes doubled, the whole in quotes where a reader could not tell where it ends.
void AppendField(std::string_view text, std::string& out) {
  const bool plain = !text.empty() && text.find_first_of("\"\\(), \t\n\v\f\r") == std::string_view::npos;
  if (plain) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += c;
    out += c;
  }
  out += '"';
}

}  // namespace

void AppendRecordText(std::string_view bytes, const TextOptions& options, std::string& out) {
  RecordReader reader(bytes);
  out += '(';
  for (int i = 0; i < reader.fields(); ++i) {
    if (i > 0) out += ',';
    const RecordReader::Field field = reader.Next();
    if (field.physical) AppendField(ToText(Value::Bytes(field.type, std::string(*field.physical)), options), out);
  }
  out += ')';
}

}  // namespace kappa::data
