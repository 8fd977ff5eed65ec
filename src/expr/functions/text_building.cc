// Functions that put text together: ||, concat, format, quoting, encodings, md5.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "data/utf8.h"
#include "expr/cast.h"
#include "expr/functions/message_digest.h"
#include "expr/functions/register.h"
#include "expr/functions/utf8.h"
#include "expr/quoting.h"
#include "expr/rowwise.h"

namespace kappa::expr {

namespace {

using View = std::string_view;

/// Text of an argument as its type's output function gives it.
void AppendOutput(const Argument& argument, int64_t row, EvalContext& context, std::string& out) {
  if (argument.id() == data::TypeId::kText) out += argument.bytes(row);
  else data::AppendText(*argument.column, argument.At(row), context.text, out);
}

/// text || anything: the other side is cast to text.
Kernel ConcatenateAny() {
  return [](KernelCall& call) -> Result<data::ColumnPtr> {
    for (Argument& argument : call.arguments) {
      if (argument.id() == data::TypeId::kText) continue;
      KernelCall cast{{{argument.column, false}}, argument.constant ? 1 : call.rows, data::TypeId::kText, call.context};
      KAPPA_ASSIGN_OR_RETURN(argument.column, CastKernel(argument.column->type(), data::TypeId::kText, true)(cast));
    }
    data::ColumnBuilder builder(call.type, call.rows);
    const bool nulls = call.HasNulls();
    std::string text;
    for (int64_t row = 0; row < call.rows; ++row) {
      if (nulls && call.AnyNull(row)) {
        builder.AppendNull();
        continue;
      }
      text = call.arguments[0].bytes(row);
      text += call.arguments[1].bytes(row);
      builder.AppendBytes(text);
    }
    return builder.Finish();
  };
}

Result<data::ColumnPtr> Concat(KernelCall& call) {
  data::ColumnBuilder builder(call.type, call.rows);
  std::string text;
  for (int64_t row = 0; row < call.rows; ++row) {
    text.clear();
    for (const Argument& argument : call.arguments) {
      if (!argument.IsNull(row)) AppendOutput(argument, row, call.context, text);
    }
    builder.AppendBytes(text);
  }
  return builder.Finish();
}

Result<data::ColumnPtr> ConcatWithSeparator(KernelCall& call) {
  data::ColumnBuilder builder(call.type, call.rows);
  std::string text;
  for (int64_t row = 0; row < call.rows; ++row) {
    if (call.arguments[0].IsNull(row)) {
      builder.AppendNull();
      continue;
    }
    text.clear();
    bool first = true;
    for (size_t i = 1; i < call.arguments.size(); ++i) {
      if (call.arguments[i].IsNull(row)) continue;
      if (!first) text += call.arguments[0].bytes(row);
      first = false;
      AppendOutput(call.arguments[i], row, call.context, text);
    }
    builder.AppendBytes(text);
  }
  return builder.Finish();
}

/// format(): %[n$][-][width]{s,I,L} and %%.
class Formatter {
 public:
  Formatter(KernelCall& call, int64_t row) : call_(call), row_(row) {}

  Result<std::string> Run(View pattern) {
    for (size_t i = 0; i < pattern.size(); ++i) {
      if (pattern[i] != '%') {
        out_ += pattern[i];
        continue;
      }
      if (++i == pattern.size()) return Unterminated();
      if (pattern[i] == '%') {
        out_ += '%';
        continue;
      }
      KAPPA_RETURN_IF_ERROR(Specifier(pattern, i));
    }
    return std::move(out_);
  }

 private:
  static Error Unterminated() {
    return Error(sqlstate::kInvalidParameterValue, "unterminated format() type specifier").Hint("For a single \"%\" use \"%%\".");
  }
  static std::optional<int64_t> Number(View pattern, size_t& i) {
    const size_t start = i;
    int64_t value = 0;
    while (i < pattern.size() && pattern[i] >= '0' && pattern[i] <= '9' && value < 1000000000) value = value * 10 + (pattern[i++] - '0');
    return i == start ? std::nullopt : std::optional(value);
  }
  Result<const Argument*> Next(int64_t index) {
    if (index < 1) return Error(sqlstate::kInvalidParameterValue, "format specifies argument 0, but arguments are numbered from 1");
    if (index >= static_cast<int64_t>(call_.arguments.size())) return Error(sqlstate::kInvalidParameterValue, "too few arguments for format()");
    next_ = index + 1;
    return &call_.arguments[static_cast<size_t>(index)];
  }
  Status Specifier(View pattern, size_t& i) {
    int64_t index = next_, width = 0;
    size_t start = i;
    std::optional<int64_t> number = Number(pattern, i);
    if (number && i < pattern.size() && pattern[i] == '$') {
      index = *number;
      if (index == 0) return Error(sqlstate::kInvalidParameterValue, "format specifies argument 0, but arguments are numbered from 1");
      ++i;
    } else {
      i = start;
    }
    bool left = false;
    while (i < pattern.size() && pattern[i] == '-') {
      left = true;
      ++i;
    }
    if (i < pattern.size() && pattern[i] == '*')
      return Error(sqlstate::kFeatureNotSupported, "format() with a width taken from an argument is not supported");
    if (auto given = Number(pattern, i)) width = *given;
    if (width > 0xFFFFFF) return Error(sqlstate::kProgramLimitExceeded, "requested length too large");
    if (i >= pattern.size()) return Unterminated();
    const char type = pattern[i];
    if (type != 's' && type != 'I' && type != 'L') {
      return Error(sqlstate::kInvalidParameterValue,
                   fmt::format("unrecognized format() type specifier \"{}\"", pattern.substr(i, CharacterSize(pattern, i))))
          .Hint("For a single \"%\" use \"%%\".");
    }
    KAPPA_ASSIGN_OR_RETURN(const Argument* argument, Next(index));
    std::string text;
    if (argument->IsNull(row_)) {
      if (type == 'I') return Error(sqlstate::kNullValueNotAllowed, "null values cannot be formatted as an SQL identifier");
      if (type == 'L') text = "NULL";
    } else {
      AppendOutput(*argument, row_, call_.context, text);
      if (type == 'I') text = QuoteIdentifier(text);
      if (type == 'L') text = QuoteLiteral(text);
    }
    const auto fill = static_cast<size_t>(std::max<int64_t>(0, width - CharacterCount(text)));
    if (left) out_ += text + std::string(fill, ' ');
    else out_ += std::string(fill, ' ') + text;
    return {};
  }

  KernelCall& call_;
  int64_t row_;
  int64_t next_ = 1;
  std::string out_;
};

Result<data::ColumnPtr> Format(KernelCall& call) {
  data::ColumnBuilder builder(call.type, call.rows);
  for (int64_t row = 0; row < call.rows; ++row) {
    if (call.arguments[0].IsNull(row)) {
      builder.AppendNull();
      continue;
    }
    auto text = Formatter(call, row).Run(call.arguments[0].bytes(row));
    if (!text.ok()) {
      if (!call.Tolerate(text.error())) return text.error();
      builder.AppendNull();
      continue;
    }
    builder.AppendBytes(*text);
  }
  return builder.Finish();
}

/// quote_literal and quote_nullable, which differ in what NULL gives.
template <bool nullable> Result<data::ColumnPtr> Quote(KernelCall& call) {
  data::ColumnBuilder builder(call.type, call.rows);
  std::string text;
  for (int64_t row = 0; row < call.rows; ++row) {
    if (call.arguments[0].IsNull(row)) {
      if (nullable) builder.AppendBytes("NULL");
      else builder.AppendNull();
      continue;
    }
    text.clear();
    if (call.arguments[0].id() == data::TypeId::kBool) text = call.arguments[0].Get<uint8_t>(row) != 0 ? "true" : "false";  // a cast to text
    else AppendOutput(call.arguments[0], row, call.context, text);
    builder.AppendBytes(QuoteLiteral(text));
  }
  return builder.Finish();
}

// ---- encode, decode

constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char kHexDigits[] = "0123456789abcdef";

std::string EncodeBase64(View bytes) {
  std::string out;
  size_t line = 0;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < count ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= count ? kBase64[group >> (18 - 6 * k) & 63] : '=';
    if ((line += 4) >= 76) {  // RFC 2045 line length, as PostgreSQL
      out += '\n';
      line = 0;
    }
  }
  if (!out.empty() && out.back() == '\n' && bytes.size() % 57 != 0) out.pop_back();
  return out;
}

Result<std::string> DecodeBase64(View text) {
  std::string out;
  uint32_t group = 0;
  int count = 0, padding = 0;
  for (char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
    uint32_t value = 0;
    if (c == '=') {
      if (++padding > 2 || count < 2) return Error(sqlstate::kInvalidParameterValue, "unexpected \"=\" while decoding base64 sequence");
    } else {
      const char* found = std::find(kBase64, kBase64 + 64, c);
      if (found == kBase64 + 64 || padding > 0)
        return Error(sqlstate::kInvalidParameterValue, fmt::format("invalid symbol \"{}\" found while decoding base64 sequence", c));
      value = static_cast<uint32_t>(found - kBase64);
    }
    group = group << 6 | value;
    if (++count < 4) continue;
    out += static_cast<char>(group >> 16);
    if (padding < 2) out += static_cast<char>(group >> 8);
    if (padding < 1) out += static_cast<char>(group);
    group = 0;
    count = 0;
  }
  if (count != 0)
    return Error(sqlstate::kInvalidParameterValue, "invalid base64 end sequence")
        .Hint("Input data is missing padding, is truncated, or is otherwise corrupted.");
  return out;
}

Result<std::string> DecodeHex(View text) {
  auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  std::string out;
  int high = -1;
  for (char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
    const int value = digit(c);
    if (value < 0) return Error(sqlstate::kInvalidParameterValue, fmt::format("invalid hexadecimal digit: \"{}\"", c));
    if (high < 0) {
      high = value;
    } else {
      out += static_cast<char>(high << 4 | value);
      high = -1;
    }
  }
  if (high >= 0) return Error(sqlstate::kInvalidParameterValue, "invalid hexadecimal data: odd number of digits");
  return out;
}

std::string EncodeHex(View bytes) {
  std::string out;
  for (char c : bytes) {
    out += kHexDigits[static_cast<uint8_t>(c) >> 4];
    out += kHexDigits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

Error UnknownEncoding(View name) { return Error(sqlstate::kInvalidParameterValue, fmt::format("unrecognized encoding: \"{}\"", name)); }

Result<std::string> Encode(View bytes, View encoding) {
  const std::string name = Lower(encoding);
  if (name == "base64") return EncodeBase64(bytes);
  if (name == "hex") return EncodeHex(bytes);
  if (name != "escape") return UnknownEncoding(encoding);
  std::string out;
  for (char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte == 0 || byte >= 0x80) out += fmt::format("\\{:03o}", byte);
    else if (c == '\\') out += "\\\\";
    else out += c;
  }
  return out;
}

Result<std::string> Decode(View text, View encoding) {
  const std::string name = Lower(encoding);
  if (name == "base64") return DecodeBase64(text);
  if (name == "hex") return DecodeHex(text);
  if (name != "escape") return UnknownEncoding(encoding);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    auto octal = [&](size_t at, char max) { return at < text.size() && text[at] >= '0' && text[at] <= max; };
    if (text[i] != '\\') {
      out += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == '\\') {
      out += '\\';
      ++i;
    } else if (octal(i + 1, '3') && octal(i + 2, '7') && octal(i + 3, '7')) {
      out += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
      i += 3;
    } else {
      return Error(sqlstate::kInvalidTextRepresentation, "invalid input syntax for type bytea");
    }
  }
  return out;
}

Status CheckEncoding(View name) {
  const std::string lower = Lower(name);
  if (lower == "utf8" || lower == "utf-8" || lower == "unicode") return {};
  return Error(sqlstate::kFeatureNotSupported, fmt::format("encoding \"{}\" is not supported", name)).Hint("Use UTF8.");
}

}  // namespace

void RegisterTextBuilding(Registry& registry) {
  registry.Operator("||", "text, text -> text", ConcatenateAny(), "concatenation");
  registry.Operator("||", "text, anynonarray -> text", ConcatenateAny(), "concatenation with the text of a value");
  registry.Operator("||", "anynonarray, text -> text", ConcatenateAny(), "concatenation with the text of a value");
  registry.Operator("||", "bytea, bytea -> bytea", Rowwise([](View a, View b) { return std::string(a).append(b); }), "concatenation");
  registry.Function("concat", "variadic any -> text", Concat, "texts of all arguments that are not NULL, together").CalledOnNull().Session();
  registry
      .Function("concat_ws", "text, variadic any -> text", ConcatWithSeparator, "texts of the arguments that are not NULL, separated by the first")
      .CalledOnNull()
      .Session();
  registry.Function("format", "text -> text", Format, "text with %s, %I, %L filled in").CalledOnNull();
  registry.Function("format", "text, variadic any -> text", Format, "text with %s, %I, %L filled in").CalledOnNull().Session();
  registry.Function("quote_ident", "text -> text", Rowwise([](View name) { return QuoteIdentifier(name); }), "quoted where needed as an identifier");
  registry.Function("quote_literal", "text -> text", Rowwise([](View text) { return QuoteLiteral(text); }), "quoted as a literal");
  registry.Function("quote_literal", "anyelement -> text", Quote<false>, "text of the value, quoted as a literal").Session();
  registry.Function("quote_nullable", "text -> text", Quote<true>, "quoted as a literal, or NULL").CalledOnNull();
  registry.Function("quote_nullable", "anyelement -> text", Quote<true>, "text of the value, quoted as a literal, or NULL").CalledOnNull().Session();
  registry.Function("encode", "bytea, text -> text", Rowwise([](View bytes, View encoding) { return Encode(bytes, encoding); }),
                    "bytes as text: hex, base64, escape");
  registry.Function("decode", "text, text -> bytea", Rowwise([](View text, View encoding) { return Decode(text, encoding); }),
                    "bytes from text: hex, base64, escape");
  registry.Function("convert_from", "bytea, text -> text", Rowwise([](View bytes, View encoding) -> Result<View> {
                      KAPPA_RETURN_IF_ERROR(CheckEncoding(encoding));
                      KAPPA_RETURN_IF_ERROR(data::CheckUtf8(bytes));
                      return bytes;
                    }),
                    "text from bytes in UTF8");
  registry.Function("convert_to", "text, text -> bytea", Rowwise([](View text, View encoding) -> Result<View> {
                      KAPPA_RETURN_IF_ERROR(CheckEncoding(encoding));
                      return text;
                    }),
                    "bytes of a text in UTF8");
  for (View type : {"text", "bytea"}) {
    registry.Function("md5", fmt::format("{} -> text", type), Rowwise([](View bytes) {
                        static const MessageDigest digest("MD5");
                        return EncodeHex(digest(bytes));
                      }),
                      "MD5 hash in hexadecimal");
  }
}

}  // namespace kappa::expr
