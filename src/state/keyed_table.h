// KeyedTable: a hash table from byte strings to fixed-size payloads, inside an arena. Open addressing over slots of 8
// bytes; the rows never move, so a Ref to one is a stable name for it. docs/formats/checkpoint.md has the layout.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "state/arena.h"
#include "state/blob.h"
#include "state/memory.h"

namespace kappa::state {

namespace internal {

//   at  bytes  field
//    0      8  hash of the key
//    8      4  bytes of the key
//   12      4  zero
//   16      n  payload, a multiple of 8
// 16+n      k  the key; keys longer than kInlineKeyMax: 8 bytes, ref of a blob
struct TableRow {
  uint64_t hash;
  uint32_t key_size;
  uint32_t reserved;
};
static_assert(sizeof(TableRow) == 16);
inline constexpr uint32_t kInlineKeyMax = 2048;

//   at  bytes  field
//    0      8  rows
//    8      8  ref of the slots
//   16      4  log2 of the number of slots
//   20      4  bytes of a payload
struct TableHeader {
  uint64_t rows;
  Ref slots;
  uint32_t slot_bits;
  uint32_t payload_bytes;
};
static_assert(sizeof(TableHeader) == 24);

// A slot is 28 bits of the hash (its highest: they also give the home position, so growing and deleting move slots without
// a look at the rows) and 36 bits of the row's ref, which is a multiple of 8. 0 is an empty slot.
inline constexpr uint32_t kTagBits = 28;
inline constexpr uint32_t kRefBits = 36;
inline uint64_t SlotTag(uint64_t slot) { return slot >> kRefBits; }
inline Ref SlotRef(uint64_t slot) { return (slot & ((1ULL << kRefBits) - 1)) << 3; }
inline uint64_t TagOf(uint64_t hash) { return hash >> (64 - kTagBits); }
inline uint64_t MakeSlot(uint64_t hash, Ref ref) { return TagOf(hash) << kRefBits | ref >> 3; }
inline uint64_t Home(uint64_t tag, uint32_t slot_bits) {
  return slot_bits <= kTagBits ? tag >> (kTagBits - slot_bits) : tag << (slot_bits - kTagBits);
}

}  // namespace internal

/// Reading, over an Arena or an ArenaSnapshot (`Memory`).
template <typename Memory> class TableReader {
 public:
  /// `root_index`: which of the 8 words of the arena's root names the table. A table that was never made is empty.
  TableReader(const Memory& memory, int root_index) : memory_(&memory) {
    Ref header;
    std::memcpy(&header, memory.root() + 8 * root_index, sizeof header);
    if (header != 0) std::memcpy(&header_, memory.Get(header), sizeof header_);
  }
  int64_t rows() const { return static_cast<int64_t>(header_.rows); }
  uint64_t slot_count() const { return header_.slots == 0 ? 0 : 1ULL << header_.slot_bits; }

  /// The row of this key, 0 when there is none.
  Ref Find(std::string_view key, uint64_t hash) const {
    if (header_.slots == 0) return 0;
    uint64_t mask = (1ULL << header_.slot_bits) - 1;
    uint64_t tag = internal::TagOf(hash);
    for (uint64_t i = internal::Home(tag, header_.slot_bits);; i = (i + 1) & mask) {
      uint64_t slot = Slot(i);
      if (slot == 0) return 0;
      if (internal::SlotTag(slot) == tag && KeyEquals(internal::SlotRef(slot), key, hash)) return internal::SlotRef(slot);
    }
  }
  /// The row in slot i, 0 when it is empty: iteration is over 0 <= i < slot_count().
  Ref RowAt(uint64_t i) const { return internal::SlotRef(Slot(i)); }
  /// For iterations: begins to fetch the rows of the slots from i on that are out of memory, now and then.
  void FetchAhead(uint64_t i) const {
    if (!Spilling() || i % kFetchRows != 0) return;
    const uint64_t end = std::min(i + kFetchRows, slot_count());
    if (end < slot_count()) WillRead(memory_->Get(header_.slots + end * 8), 8);
    std::vector<Ref> rows;
    for (; i < end; ++i) rows.push_back(RowAt(i));
    FetchAhead(rows, 0);
  }
  /// For loops over rows that a batch call gave, in any order: begins to fetch those from j on, now and then.
  void FetchAhead(std::span<const Ref> rows, size_t j) const {
    if (!Spilling() || j % kFetchRows != 0) return;
    rows = rows.subspan(j, std::min<size_t>(kFetchRows, rows.size() - j));
    const size_t fixed = sizeof(internal::TableRow) + header_.payload_bytes;
    for (Ref row : rows) {
      if (row != 0) WillRead(memory_->Get(row), fixed);
    }
    for (Ref row : rows) {
      if (row != 0 && Row(row)->key_size > 0) WillRead(memory_->Get(row) + fixed, std::min(Row(row)->key_size, internal::kInlineKeyMax));
    }
  }
  template <typename Visit> void ForEach(Visit&& visit) const {
    constexpr uint64_t kAhead = 8;
    for (uint64_t i = 0; i < slot_count(); ++i) {
      FetchAhead(i);
      if (i + kAhead < slot_count()) {
        if (Ref ahead = RowAt(i + kAhead); ahead != 0) __builtin_prefetch(memory_->Get(ahead));
      }
      if (Ref row = RowAt(i); row != 0) visit(row);
    }
  }

  const char* Payload(Ref row) const { return memory_->Get(row) + sizeof(internal::TableRow); }
  uint64_t Hash(Ref row) const { return Row(row)->hash; }
  uint32_t KeySize(Ref row) const { return Row(row)->key_size; }
  /// The key, where it is or (a very long one) copied to `scratch`.
  std::string_view Key(Ref row, std::string& scratch) const {
    const internal::TableRow* head = Row(row);
    const char* bytes = reinterpret_cast<const char*>(head + 1) + header_.payload_bytes;
    if (head->key_size <= internal::kInlineKeyMax) return {bytes, head->key_size};
    Ref blob;
    std::memcpy(&blob, bytes, sizeof blob);
    return BlobView(*memory_, blob, scratch);
  }
  /// True when Key() does not copy: the bytes are contiguous in the row.
  bool KeyIsInline(Ref row) const { return Row(row)->key_size <= internal::kInlineKeyMax; }

 protected:
  static constexpr uint64_t kFetchRows = 512;  // rows out of memory that the disk looks for side by side: one page of slots

  uint64_t Slot(uint64_t i) const {
    uint64_t slot;
    std::memcpy(&slot, memory_->Get(header_.slots + i * 8), sizeof slot);
    return slot;
  }
  const internal::TableRow* Row(Ref row) const { return reinterpret_cast<const internal::TableRow*>(memory_->Get(row)); }
  bool KeyEquals(Ref row, std::string_view key, uint64_t hash) const {
    const internal::TableRow* head = Row(row);
    if (head->hash != hash || head->key_size != key.size()) return false;
    const char* bytes = reinterpret_cast<const char*>(head + 1) + header_.payload_bytes;
    if (key.size() <= internal::kInlineKeyMax) return key.empty() || std::memcmp(bytes, key.data(), key.size()) == 0;
    Ref blob;
    std::memcpy(&blob, bytes, sizeof blob);
    return BlobEquals(*memory_, blob, key);
  }

  const Memory* memory_;
  internal::TableHeader header_ = {};
};

/// Input        keys with their Hash64 (the same function for the table's life: hashes are stored).
/// State        in the arena only; the object caches the header and can be made again over a restored arena.
/// Cost         8 bytes of slot (load at most 3/4) and 16 + payload + key bytes of row, rounded up to a size class. Batch
///              calls keep many cache misses in flight.
/// Threads      one writer; readers use TableReader<ArenaSnapshot>.
class KeyedTable : public TableReader<Arena> {
 public:
  /// Opens the table that the root word names, or will make it at the first insert. The payload size must be the one that
  /// it was made with (KAPPA_CHECKed here; data_corrupted from Attach, because what was loaded may be another build's).
  KeyedTable(Arena& arena, int root_index, uint32_t payload_bytes);
  /// After the arena was loaded or cleared.
  Status Attach();

  /// The row of the key; a new row has a zero payload.
  Ref FindOrInsert(std::string_view key, uint64_t hash, bool* inserted = nullptr);
  /// Frees the row. Refs of other rows stay valid; an iteration does not.
  void Erase(Ref row);
  char* MutablePayload(Ref row) { return arena_.Mutable(row) + sizeof(internal::TableRow); }
  uint32_t payload_bytes() const { return payload_bytes_; }
  Arena& arena() { return arena_; }

  /// Batches. `Keys` has key(i) -> std::string_view and hash(i) -> uint64_t (data::RowKeys is one, whose kinds are looked up once);
  /// `select` lists the i's to look at; out[j] is the row for select[j] (Find: 0 for none).
  template <typename Keys> void FindBatch(const Keys& keys, std::span<const int32_t> select, Ref* out) const {
    BatchOfKinds<false>(keys, select, out, [](int32_t) { return Ref{0}; });
  }
  template <typename Keys> void FindOrInsertBatch(const Keys& keys, std::span<const int32_t> select, Ref* out) {
    BatchOfKinds<true>(keys, select, out, [&](int32_t i) { return FindOrInsert(keys.key(i), keys.hash(i)); });
  }

 private:
  template <bool kInsert, typename Keys, typename Miss>
  void BatchOfKinds(const Keys& keys, std::span<const int32_t> select, Ref* out, Miss&& miss) const {
    if constexpr (requires { keys.has_kinds(); }) {
      if (keys.has_kinds()) {
        std::vector<int32_t> place(keys.kind_count(), -1), firsts;  // the kind's place in firsts
        for (int32_t i : select) {
          int32_t& at = place[keys.kind(i)];
          if (at >= 0) continue;
          at = static_cast<int32_t>(firsts.size());
          firsts.push_back(i);
        }
        std::vector<Ref> rows(firsts.size());
        Batch<kInsert>(keys, firsts, rows.data(), miss);
        for (size_t j = 0; j < select.size(); ++j) out[j] = rows[static_cast<size_t>(place[keys.kind(select[j])])];
        return;
      }
    }
    Batch<kInsert>(keys, select, out, miss);
  }
  template <bool kInsert, typename Keys, typename Miss> void Batch(const Keys& keys, std::span<const int32_t> select, Ref* out, Miss&& miss) const {
    constexpr size_t kBlock = 64;  // enough to keep all of a core's ~12-48 line fills busy, small enough for L1
    Ref candidates[kBlock];
    for (size_t from = 0; from < select.size(); from += kBlock) {
      if (Spilling() && from % kFetchRows == 0) Fetch(keys, select.subspan(from, std::min<size_t>(kFetchRows, select.size() - from)));
      size_t count = std::min(kBlock, select.size() - from);
      if (header_.slots != 0) {
        for (size_t j = 0; j < count; ++j) {
          uint64_t home = internal::Home(internal::TagOf(keys.hash(select[from + j])), header_.slot_bits);
          __builtin_prefetch(arena_.Get(header_.slots + home * 8));
        }
        for (size_t j = 0; j < count; ++j) {
          candidates[j] = FirstCandidate(keys.hash(select[from + j]));
          if (candidates[j] != 0) {
            constexpr size_t kLine = 64, kLinesMax = 4;
            const char* row = arena_.Get(candidates[j]);
            const char* end = row + std::min<size_t>(RowBytes(static_cast<uint32_t>(keys.key(select[from + j]).size())), kLine * kLinesMax);
            for (; row < end; row += kLine) __builtin_prefetch(row);
            __builtin_prefetch(end - 1);
          }
        }
      } else {
        std::fill_n(candidates, count, Ref{0});
      }
      for (size_t j = 0; j < count; ++j) {
        int32_t i = select[from + j];
        if (candidates[j] != 0 && KeyEquals(candidates[j], keys.key(i), keys.hash(i))) out[from + j] = candidates[j];
        else if (kInsert || candidates[j] != 0) out[from + j] = kInsert ? miss(i) : Find(keys.key(i), keys.hash(i));
        else out[from + j] = 0;
      }
    }
  }
  /// Begins to read what is out of memory, first the slots, then the rows.
  template <typename Keys> void Fetch(const Keys& keys, std::span<const int32_t> select) const {
    if (header_.slots == 0) return;
    for (int32_t i : select) WillRead(arena_.Get(header_.slots + internal::Home(internal::TagOf(keys.hash(i)), header_.slot_bits) * 8), 8);
    for (int32_t i : select) {
      if (Ref row = FirstCandidate(keys.hash(i)); row != 0) WillRead(arena_.Get(row), RowBytes(static_cast<uint32_t>(keys.key(i).size())));
    }
  }
  Ref FirstCandidate(uint64_t hash) const {
    uint64_t mask = (1ULL << header_.slot_bits) - 1;
    uint64_t tag = internal::TagOf(hash);
    for (uint64_t i = internal::Home(tag, header_.slot_bits);; i = (i + 1) & mask) {
      uint64_t slot = Slot(i);
      if (slot == 0) return 0;
      if (internal::SlotTag(slot) == tag) return internal::SlotRef(slot);
    }
  }
  uint32_t RowBytes(uint32_t key_size) const {
    return static_cast<uint32_t>(sizeof(internal::TableRow)) + payload_bytes_ + (key_size <= internal::kInlineKeyMax ? key_size : 8);
  }
  void SetSlot(uint64_t i, uint64_t slot) { std::memcpy(arena_.Mutable(header_.slots + i * 8), &slot, sizeof slot); }
  void Grow();
  void Make();
  void SaveHeader() { std::memcpy(arena_.Mutable(header_ref_), &header_, sizeof header_); }

  Arena& arena_;
  int root_index_;
  uint32_t payload_bytes_;
  Ref header_ref_ = 0;
};

}  // namespace kappa::state
