// DecodedSide: the rows of a join's side as columns, all of them, while the side rests: those of a table that many rows meet.
#pragma once

#include <array>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "expr/expression.h"
#include "ops/row_decoder.h"
#include "ops/row_multimap.h"

namespace kappa::ops {

/// Rows of a key among the decoded ones.
struct DecodedRun {
  int32_t from = 0, count = 0;
};

/// Decoding all rows pays once more rows than the side holds have looked for theirs since it changed; it never holds more than kRowsMax rows
/// and BytesMax() bytes of them.
/// Cost         a look-up is one cache miss, where keys have up to 12 bytes; less where they are integers that lie close together.
/// Threads      one at a time.
class DecodedSide {
 public:
  static constexpr int64_t kRowsMax = 1 << 18;
  /// 32 MiB, and not more than an eighth of the bound of state memory.
  static int64_t BytesMax();

  /// `keys` give the keys of the side's rows.
  DecodedSide(const data::Schema& schema, std::span<const expr::ExprPtr> keys);

  /// The side is about to change.
  void Forget() {
    if (state_ != State::kNone) Clear();
    probes_ = 0;
  }
  /// So many rows are about to look for matches in `map`; true when its rows are here.
  bool Serves(const RowMultimap& map, size_t probes);

  /// True when rows are found by the number that is their key, with FindNumbers; else with Find.
  bool is_by_number() const { return !by_number_.empty(); }
  /// Serves these rows from now on, each once, instead of those of a map. `keys` are of the rows; those of `select` have one.
  void Load(data::Batch rows, std::span<const data::ColumnPtr> keys, std::span<const int32_t> select);

  /// The rows of the keys `select`.
  void Find(const data::RowKeys& keys, std::span<const int32_t> select, DecodedRun* out) const;
  void FindNumbers(const data::Column& key, std::span<const int32_t> select, DecodedRun* out) const;
  /// True when every key has one row, and that once.
  bool is_unique() const { return unique_; }
  const data::Batch& rows() const { return rows_; }
  /// How often each of the rows is there.
  const std::vector<int64_t>& counts() const { return counts_; }
  int64_t WeightOf(DecodedRun run) const { return std::accumulate(counts_.begin() + run.from, counts_.begin() + run.from + run.count, int64_t{0}); }
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

  DecodedSide(data::Schema schema, size_t number_bytes) : schema_(std::move(schema)), number_bytes_(number_bytes) {}

  void Clear() { *this = DecodedSide(std::move(schema_), number_bytes_); }
  void Decode(const RowMultimap& map);
  bool MakeNumbers(int64_t least, int64_t greatest, int64_t keys);
  bool MakeNumbers(const RowMultimap& map);
  bool MakeNumbers(const data::Column& key, std::span<const int32_t> select);
  int64_t NumberOf(std::string_view key) const;
  void CountMemory(int64_t bytes);
  DecodedRun& RunOf(std::string_view key, uint64_t hash);
  bool Is(const Place& place, std::string_view key, uint64_t hash) const;
  size_t Home(uint64_t hash) const { return HashWord(hash) & (places_.size() - 1); }

  data::Schema schema_;
  State state_ = State::kNone;
  int64_t probes_ = 0;
  data::Batch rows_;
  std::vector<int64_t> counts_;
  std::vector<Place> places_;  // a power of two of them, at most half of them taken
  std::string keys_;
  size_t number_bytes_ = 0;            // of keys that are one integer; else 0
  int64_t least_ = 0;                  // of such keys, where they lie close together ..
  std::vector<DecodedRun> by_number_;  // .. the rows of each from there on, instead of the hash table
  bool unique_ = true;
  int64_t memory_bytes_ = 0;
};

}  // namespace kappa::ops
