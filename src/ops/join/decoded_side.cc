#include "ops/join/decoded_side.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "ops/operator.h"
#include "state/memory.h"

namespace kappa::ops {
namespace {

/// Of up to 16 bytes, without a call.
bool SameBytes(const char* a, const char* b, size_t size) {
  const auto same = [&]<typename Word>(Word, size_t at) {
    Word x, y;
    std::memcpy(&x, a + at, sizeof x);
    std::memcpy(&y, b + at, sizeof y);
    return x == y;
  };
  if (size >= 8) return same(uint64_t{}, 0) && same(uint64_t{}, size - 8);
  if (size >= 4) return same(uint32_t{}, 0) && same(uint32_t{}, size - 4);
  return std::equal(a, a + size, b);
}

}  // namespace

bool DecodedSide::Serves(const RowMultimap& map, size_t probes) {
  if (state_ != State::kNone) return state_ == State::kDecoded;
  probes_ += static_cast<int64_t>(probes);
  if (map.row_count() == 0 || map.row_count() > kRowsMax || probes_ <= map.row_count() || state::Spilling()) return false;
  Decode(map);
  return state_ == State::kDecoded;
}

void DecodedSide::Decode(const RowMultimap& map) {
  RowDecoder decoder(schema_);
  int64_t bytes = 0;
  std::string scratch;
  places_.resize(std::bit_ceil(2 * static_cast<size_t>(map.keys().rows()) + 1));
  map.keys().ForEach([&](state::Ref key) {
    if (bytes > kBytesMax) return;
    DecodedRun run{static_cast<int32_t>(counts_.size()), 0};
    map.ForEachOf(key, [&](std::string_view row, int64_t count, state::Ref) {
      decoder.Append(row, /*borrow=*/false);
      counts_.push_back(count);
      bytes += static_cast<int64_t>(row.size());
    });
    run.count = static_cast<int32_t>(counts_.size()) - run.from;
    if (run.count > 0) Enter(map.keys().Key(key, scratch), map.keys().Hash(key), run);
  });
  bytes += static_cast<int64_t>(keys_.size());
  if (bytes > kBytesMax) {
    *this = DecodedSide(schema_);
    state_ = State::kTooLarge;
    return;
  }
  rows_ = decoder.Finish();
  state_ = State::kDecoded;
  memory_bytes_ =
      bytes + BatchBytes(data::ChangeBatch(rows_)) + static_cast<int64_t>(counts_.size() * sizeof(int64_t) + places_.size() * sizeof(Place));
}

void DecodedSide::Enter(std::string_view key, uint64_t hash, DecodedRun run) {
  size_t at = Home(hash);
  while (places_[at].run.count > 0) at = (at + 1) & (places_.size() - 1);
  Place& place = places_[at];
  place.hash = hash;
  place.run = run;
  place.key_bytes = static_cast<uint32_t>(key.size());
  if (key.size() <= Place::kInlineMax) {
    std::copy(key.begin(), key.end(), place.key.begin());
    return;
  }
  const uint64_t offset = keys_.size();
  std::memcpy(place.key.data(), &offset, sizeof offset);
  keys_ += key;
}

bool DecodedSide::Is(const Place& place, std::string_view key, uint64_t hash) const {
  if (place.hash != hash || place.key_bytes != key.size()) return false;
  if (key.size() <= Place::kInlineMax) return SameBytes(key.data(), place.key.data(), key.size());
  uint64_t offset;
  std::memcpy(&offset, place.key.data(), sizeof offset);
  return key == std::string_view(keys_).substr(offset, key.size());
}

void DecodedSide::Find(const data::RowKeys& keys, std::span<const int32_t> select, DecodedRun* out) const {
  constexpr size_t kAhead = 16;
  for (size_t j = 0; j < std::min(kAhead, select.size()); ++j) __builtin_prefetch(&places_[Home(keys.hash(select[j]))]);
  for (size_t j = 0; j < select.size(); ++j) {
    if (j + kAhead < select.size()) __builtin_prefetch(&places_[Home(keys.hash(select[j + kAhead]))]);
    const std::string_view key = keys.key(select[j]);
    const uint64_t hash = keys.hash(select[j]);
    size_t at = Home(hash);
    while (places_[at].run.count > 0 && !Is(places_[at], key, hash)) at = (at + 1) & (places_.size() - 1);
    out[j] = places_[at].run;
  }
}

}  // namespace kappa::ops
