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

Error Malformed(std::string_view text, const char* detail) {
  return Error(sqlstate::kInvalidTextRepresentation, "malformed record literal: \"" + std::string(text) + "\"").Detail(detail);
}

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

Result<Value> ParseRecordText(std::string_view text, const Type& type, const TextOptions& options) {
  const RecordDefinition* definition = FindRecord(type);
  size_t at = 0;
  while (at < text.size() && IsSpace(text[at])) ++at;
  if (at == text.size() || text[at] != '(') return Malformed(text, "Missing left parenthesis.");
  ++at;
  RecordBuilder builder;
  for (size_t i = 0; i < definition->types.size(); ++i) {
    if (i > 0) {
      if (at == text.size() || text[at] != ',') return Malformed(text, "Too few columns.");
      ++at;
    }
    // Nothing between commas is NULL; "" is the empty text.
    std::string value;
    bool null = true, quoted = false;
    for (; at < text.size() && (quoted || (text[at] != ',' && text[at] != ')')); ++at) {
      null = false;
      if (text[at] == '\\') {
        if (++at == text.size()) return Malformed(text, "Unexpected end of input.");
        value += text[at];
      } else if (text[at] == '"') {
        if (quoted && text.substr(at + 1).starts_with('"')) value += text[++at];
        else quoted = !quoted;
      } else {
        value += text[at];
      }
    }
    if (at == text.size()) return Malformed(text, "Unexpected end of input.");
    if (null) {
      builder.AppendNull(definition->types[i]);
      continue;
    }
    KAPPA_ASSIGN_OR_RETURN(const Value field, FromText(value, definition->types[i], options));
    builder.Append(definition->types[i], field.bytes);
  }
  if (at == text.size() || text[at] != ')') return Malformed(text, "Too many columns.");
  for (++at; at < text.size(); ++at)
    if (!IsSpace(text[at])) return Malformed(text, "Junk after right parenthesis.");
  return Value::Bytes(type, builder.Finish());
}

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
