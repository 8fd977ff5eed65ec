// Records of the same shape, in one pass. Producers write their members in one order and one spelling, so the bytes between the
// values of a record are mostly those of a record before: they are compared, not parsed, and just the values are read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/json_scan.h"

namespace kappa::format {

/// Knows a few shapes by heart. What it accepts follows the whole grammar, with valid escapes and UTF-8; what it does not, may
/// still be a good record. Threads: one per thread.
class JsonShapes {
 public:
  /// Every record gives `columns` tokens.
  explicit JsonShapes(size_t columns) : columns_(columns) {}

  /// Parses records from the front of `records` while they have a known shape. Record r's token for column c goes to
  /// tokens[c * stride + r]. The memory is readable for 64 bytes behind the last record.
  size_t Parse(std::span<const std::string_view> records, JsonToken* tokens, size_t stride);
  /// Takes the shape of a good record to heart; `column_of(name)` is -1 for what no column declares. The shape that was not met
  /// for longest is forgotten.
  template <typename ColumnOf> void Learn(std::string_view record, ColumnOf&& column_of) {
    Shape shape;
    if (!Dissect(record, shape)) return;
    for (Member& member : shape.members) member.column = column_of(std::string_view(shape.names).substr(member.name_at, member.name_size));
    Remember(std::move(shape));
  }

 private:
  struct Member {
    int32_t column = -1;
    uint32_t literal_at = 0, literal_size = 0;  // what stands before the value, from the end of the value before
    uint32_t name_at = 0, name_size = 0;
  };
  struct Shape {
    std::vector<Member> members;
    std::string literals;  // with kLiteralPadding bytes behind them
    std::string names;
    uint32_t tail_at = 0, tail_size = 0;  // the literal behind the last value
    std::vector<size_t> missing;          // columns without a member
  };
  static constexpr size_t kShapesMax = 4;
  static constexpr size_t kMembersMax = 256;
  static constexpr size_t kLiteralPadding = 32;

  static bool Dissect(std::string_view record, Shape& shape);
  void Remember(Shape shape);
  static bool ParseOne(const Shape& shape, std::string_view record, JsonToken* tokens, size_t stride);

  size_t columns_;
  std::vector<Shape> shapes_;  // the one met last comes first
};

}  // namespace kappa::format
