// DecodedSide: the rows of a join's side as columns, all of them, while the side rests: those of a table that many rows meet.
#pragma once

#include <array>
#include <span>
#include <string>
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
/// Cost         a look-up is one cache miss, where keys have up to 12 bytes.
/// Threads      one at a time.
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

  /// The rows of the keys `select`.
  void Find(const data::RowKeys& keys, std::span<const int32_t> select, DecodedRun* out) const;
  const data::Batch& rows() const { return rows_; }
  /// How often each of the rows is there.
  const std::vector<int64_t>& counts() const { return counts_; }
  /// Bytes held.
  int64_t memory_bytes() const { return memory_bytes_; }

 private:
  enum class State : uint8_t { kNone, kDecoded, kTooLarge };
  /// A place of the hash table; free where the run has no rows.
  struct Place {
    static constexpr size_t kInlineMax = 12;
    uint64_t hash = 0;
    DecodedRun run;
    uint32_t key_bytes = 0;
    std::array<char, kInlineMax> key;  // longer ones: where they lie in keys_
  };
  static_assert(sizeof(Place) == 32);

  void Decode(const RowMultimap& map);
  void Enter(std::string_view key, uint64_t hash, DecodedRun run);
  bool Is(const Place& place, std::string_view key, uint64_t hash) const;
  size_t Home(uint64_t hash) const { return HashWord(hash) & (places_.size() - 1); }

  data::Schema schema_;
  State state_ = State::kNone;
  int64_t probes_ = 0;
  data::Batch rows_;
  std::vector<int64_t> counts_;
  std::vector<Place> places_;  // a power of two of them, at most half of them taken
  std::string keys_;
  int64_t memory_bytes_ = 0;
};

}  // namespace kappa::ops
