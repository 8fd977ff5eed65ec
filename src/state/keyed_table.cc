// KeyedTable: inserting, erasing and growing.
#include "state/keyed_table.h"

#include "state/slot_array.h"

namespace kappa::state {
namespace {
constexpr uint32_t kFirstSlotBits = 5;
constexpr uint64_t kSlotBytes = 8;
}  // namespace

KeyedTable::KeyedTable(Arena& arena, int root_index, uint32_t payload_bytes)
    : TableReader<Arena>(arena, root_index), arena_(arena), root_index_(root_index), payload_bytes_((payload_bytes + 7) & ~7u) {
  KAPPA_CHECK(root_index >= 0 && root_index < 8);
  KAPPA_CHECK(RowBytes(internal::kInlineKeyMax) <= Arena::kAllocationMax);
  KAPPA_CHECK(Attach().ok());
}

Status KeyedTable::Attach() {
  header_ = {};
  std::memcpy(&header_ref_, arena_.root() + 8 * root_index_, sizeof header_ref_);
  if (header_ref_ == 0) return {};
  std::memcpy(&header_, arena_.Get(header_ref_), sizeof header_);
  if (header_.payload_bytes != payload_bytes_) { return Error(sqlstate::kDataCorrupted, "a table of the state has payloads of another size"); }
  return {};
}

void KeyedTable::Make() {
  header_ref_ = arena_.Allocate(sizeof(internal::TableHeader));
  std::memcpy(arena_.MutableRoot() + 8 * root_index_, &header_ref_, sizeof header_ref_);
  header_ = {0, AllocateSlots(arena_, kSlotBytes << kFirstSlotBits), kFirstSlotBits, payload_bytes_};
  SaveHeader();
}

// Slots are in the order of their tags apart from collisions, so this reads and writes both arrays from front to back.
void KeyedTable::Grow() {
  internal::TableHeader old = header_;
  uint64_t old_count = 1ULL << old.slot_bits;
  header_.slot_bits = old.slot_bits + 1;
  header_.slots = AllocateSlots(arena_, kSlotBytes << header_.slot_bits);
  uint64_t mask = (1ULL << header_.slot_bits) - 1;
  for (uint64_t from = 0; from < old_count; ++from) {
    uint64_t slot;
    std::memcpy(&slot, arena_.Get(old.slots + from * 8), sizeof slot);
    if (slot == 0) continue;
    uint64_t i = internal::Home(internal::SlotTag(slot), header_.slot_bits);
    while (Slot(i) != 0) i = (i + 1) & mask;
    SetSlot(i, slot);
  }
  FreeSlots(arena_, old.slots, kSlotBytes << old.slot_bits);
  SaveHeader();
}

Ref KeyedTable::FindOrInsert(std::string_view key, uint64_t hash, bool* inserted) {
  if (header_ref_ == 0) Make();
  if (inserted != nullptr) *inserted = false;
  uint64_t mask = (1ULL << header_.slot_bits) - 1;
  uint64_t tag = internal::TagOf(hash);
  uint64_t i = internal::Home(tag, header_.slot_bits);
  for (;; i = (i + 1) & mask) {
    uint64_t slot = Slot(i);
    if (slot == 0) break;
    if (internal::SlotTag(slot) == tag && KeyEquals(internal::SlotRef(slot), key, hash)) return internal::SlotRef(slot);
  }
  if (header_.rows + 1 > (mask + 1) / 4 * 3) {
    Grow();
    mask = (1ULL << header_.slot_bits) - 1;
    i = internal::Home(tag, header_.slot_bits);
    while (Slot(i) != 0) i = (i + 1) & mask;
  }
  KAPPA_CHECK(key.size() <= UINT32_MAX);
  auto key_size = static_cast<uint32_t>(key.size());
  Ref row = arena_.Allocate(RowBytes(key_size));
  char* memory = arena_.Mutable(row);
  internal::TableRow head{hash, key_size, 0};
  std::memcpy(memory, &head, sizeof head);
  if (key_size > internal::kInlineKeyMax) {
    Ref blob = StoreBlob(arena_, key);
    std::memcpy(memory + sizeof head + payload_bytes_, &blob, sizeof blob);
  } else if (key_size != 0) {
    std::memcpy(memory + sizeof head + payload_bytes_, key.data(), key_size);
  }
  SetSlot(i, internal::MakeSlot(hash, row));
  ++header_.rows;
  SaveHeader();
  if (inserted != nullptr) *inserted = true;
  return row;
}

void KeyedTable::Erase(Ref row) {
  uint64_t mask = (1ULL << header_.slot_bits) - 1;
  internal::TableRow head = *Row(row);
  uint64_t wanted = internal::MakeSlot(head.hash, row);
  uint64_t i = internal::Home(internal::TagOf(head.hash), header_.slot_bits);
  for (uint64_t slot = Slot(i); slot != wanted; slot = Slot(i)) {
    KAPPA_CHECK(slot != 0);
    i = (i + 1) & mask;
  }
  // Moves back every slot of the run that may sit in the hole: one whose home is not after it.
  for (uint64_t next = (i + 1) & mask;; next = (next + 1) & mask) {
    uint64_t slot = Slot(next);
    if (slot == 0) break;
    uint64_t home = internal::Home(internal::SlotTag(slot), header_.slot_bits);
    if (((next - home) & mask) >= ((next - i) & mask)) {
      SetSlot(i, slot);
      i = next;
    }
  }
  SetSlot(i, 0);
  if (head.key_size > internal::kInlineKeyMax) {
    Ref blob;
    std::memcpy(&blob, arena_.Get(row) + sizeof head + payload_bytes_, sizeof blob);
    FreeBlob(arena_, blob);
  }
  arena_.Free(row, RowBytes(head.key_size));
  --header_.rows;
  SaveHeader();
}

}  // namespace kappa::state
