// JSON tokens as SQL values, a column at a time.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "format/cell_writer.h"
#include "format/decoder.h"
#include "format/json_scan.h"

namespace kappa::format {

/// Converts tokens into the rows first_row, first_row + 1, .. of a writer. Threads: one converter per thread.
class JsonValues {
 public:
  explicit JsonValues(JsonTimestamps timestamps) : timestamps_(timestamps) {}

  using Failed = std::function<void(size_t, std::string)>;
  /// Calls failed(i, reason) for each token that is not a value of the column; its row stays undefined.
  void Convert(std::span<const JsonToken> tokens, CellWriter& writer, int64_t first_row, const Failed& failed);

 private:
  template <typename Quick>
  void ConvertWith(std::span<const JsonToken> tokens, CellWriter& writer, int64_t first_row, const Failed& failed, Quick&& quick);
  bool One(const JsonToken& token, CellWriter& writer, int64_t row);
  bool Number(const JsonToken& token, CellWriter& writer, int64_t row);
  bool Time(std::string_view number, CellWriter& writer, int64_t row);
  bool Jsonb(std::string_view text, CellWriter& writer, int64_t row);
  bool Array(std::string_view text, CellWriter& writer, int64_t row);
  bool Record(std::string_view text, CellWriter& writer, int64_t row);
  bool Mismatch(const JsonToken& token, const CellWriter& writer);

  JsonTimestamps timestamps_;
  std::string unescaped_, normalized_;
  std::vector<JsonToken> elements_;
  std::string reason_;
};

}  // namespace kappa::format
