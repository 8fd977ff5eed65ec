// Any bytes, read as text and as binary of any type: no crash, and what was read survives its own text.
#include "data/array.h"
#include "data/compare.h"
#include "data/row_key.h"
#include "data/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kappa;
  using namespace kappa::data;
  if (size < 2) return 0;
  constexpr uint8_t kTypes = static_cast<uint8_t>(TypeId::kUuid) + 1;
  Type type(static_cast<TypeId>(data[0] % kTypes));
  if ((data[1] & 1) != 0 && type.id != TypeId::kUnknown) type = Type::ArrayOf(type.id);
  std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  Result<Value> value = (data[1] & 2) != 0 ? FromBinary(input, type) : FromText(input, type);
  (void)IsValidArray(input);
  if (!value.ok()) return 0;
  if (type.is_array()) KAPPA_CHECK(IsValidArray(value->bytes));
  ColumnPtr column = ConstantColumn(*value, 1);
  KAPPA_CHECK(CompareRows(*column, 0, *column, 0) == 0);
  ColumnPtr canonical = CanonicalColumn(column);
  KAPPA_CHECK(CompareRows(*canonical, 0, *column, 0) == 0);
  KAPPA_CHECK(CanonicalColumn(canonical) == canonical);
  std::string text = ToText(*value);
  if ((data[1] & 2) != 0) return 0;  // binary floats and intervals may be finer than their text
  Result<Value> again = FromText(text, type);
  KAPPA_CHECK(again.ok() && ToText(*again) == text);
  std::string binary;
  AppendBinary(*column, 0, binary);
  Result<Value> from_binary = FromBinary(binary, type);
  KAPPA_CHECK(from_binary.ok() && from_binary->bytes == value->bytes);
  return 0;
}
