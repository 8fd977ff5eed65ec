// DecodedSide: the rows of a join's side as columns, all of them, while the side rests: those of a table that many rows meet.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <vector>

#include "ops/row_decoder.h"
#include "ops/row_multimap.h"

namespace kappa::ops {

/// Rows of a key among the decoded ones.
struct DecodedRun {
  int32_t from = 0, count = 0;
};

/// Decoding all rows pays once more rows than the side holds have looked for theirs since it changed; it never holds more than kRowsMax rows
/// and kBytesMax bytes of them.
/// Threads: one at a time.
class DecodedSide {
 public:
  static constexpr int64_t kRowsMax = 1 << 18;
  static constexpr int64_t kBytesMax = 32 << 20;

  explicit DecodedSide(const data::Schema& schema) : schema_(schema) {}

  /// The side is about to change.
  void Forget() {
    if (state_ != State::kNone) *this = DecodedSide(schema_);
    probes_ = 0;
  }
  /// So many rows are about to look for matches in `map`; true when its rows are here.
  bool Serves(const RowMultimap& map, size_t probes);

  DecodedRun Find(state::Ref key) const {
    const auto found = runs_.find(key);
    return found == runs_.end() ? DecodedRun() : found->second;
  }
  const data::Batch& rows() const { return rows_; }
  /// How often each of the rows is there.
  const std::vector<int64_t>& counts() const { return counts_; }
  /// Bytes held.
  int64_t memory_bytes() const { return memory_bytes_; }

 private:
  enum class State : uint8_t { kNone, kDecoded, kTooLarge };
  void Decode(const RowMultimap& map);

  data::Schema schema_;
  State state_ = State::kNone;
  int64_t probes_ = 0;
  data::Batch rows_;
  std::vector<int64_t> counts_;
  absl::flat_hash_map<state::Ref, DecodedRun> runs_;
  int64_t memory_bytes_ = 0;
};

}  // namespace kappa::ops
