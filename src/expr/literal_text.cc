// Literals as SQL text.
#include "expr/literal_text.h"

#include "data/text.h"
#include "expr/quoting.h"

namespace kappa::expr {

std::string LiteralText(const data::Value& value) {
  using data::TypeId;
  if (value.null) return value.type.id == TypeId::kUnknown ? "NULL" : "NULL::" + value.type.ToString();
  std::string text = value.type.id == TypeId::kUnknown ? value.bytes : data::ToText(value);
  switch (value.type.id) {
    case TypeId::kUnknown:
    case TypeId::kText: return QuoteLiteral(text);
    case TypeId::kBool: return value.As<uint8_t>() != 0 ? "true" : "false";
    case TypeId::kInt4: return text;
    case TypeId::kNumeric:
      if (text.find('.') != std::string::npos && text[0] != '-') return text;
      break;
    default: break;
  }
  return QuoteLiteral(text) + "::" + value.type.WithoutModifier().ToString();
}

}  // namespace kappa::expr
