// Access to packed arrays for functions.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "data/array.h"
#include "expr/kernel.h"

namespace kappa::expr {

/// Elements of a text[]; nullopt for NULL. Views into the array.
std::vector<std::optional<std::string_view>> TextElements(std::string_view array);
/// The physical value of a row, as ArrayBuilder takes it.
std::string_view PhysicalBytes(const Argument& argument, int64_t row);
/// Appends all elements of an array, NULLs included.
void AppendElements(const data::ArrayView& array, data::ArrayBuilder& builder);
std::vector<int32_t> LengthsOf(const data::ArrayView& array);
/// array || array: along the outermost dimension. Fails with array_subscript_error.
Result<std::string> ConcatenateArrays(std::string_view a, std::string_view b);

}  // namespace kappa::expr
