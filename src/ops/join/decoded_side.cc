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

/// A table by number takes at most so many entries a key, which is less than the hash table has.
constexpr uint64_t kEntriesPerKeyMax = 8;

}  // namespace

DecodedSide::DecodedSide(const data::Schema& schema, std::span<const expr::ExprPtr> keys) : schema_(schema) {
  if (keys.size() == 1 && data::IsInteger(keys[0]->type().id)) number_bytes_ = static_cast<size_t>(keys[0]->type().width());
}

void DecodedSide::Clear() {
  state_ = State::kNone;
  rows_ = {};
  counts_ = {};
  places_ = {};
  keys_ = {};
  by_number_ = {};
  unique_ = true;
  memory_bytes_ = 0;
}

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
  if (!MakeNumbers(map)) places_.resize(std::bit_ceil(2 * static_cast<size_t>(map.keys().rows()) + 1));
  map.keys().ForEach([&](state::Ref key) {
    if (bytes > kBytesMax) return;
    DecodedRun run{static_cast<int32_t>(counts_.size()), 0};
    map.ForEachOf(key, [&](std::string_view row, int64_t count, state::Ref) {
      decoder.Append(row, /*borrow=*/false);
      counts_.push_back(count);
      unique_ = unique_ && count == 1;
      bytes += static_cast<int64_t>(row.size());
    });
    run.count = static_cast<int32_t>(counts_.size()) - run.from;
    unique_ = unique_ && run.count <= 1;
    if (run.count == 0) return;
    const std::string_view bytes_of_key = map.keys().Key(key, scratch);
    if (is_by_number()) by_number_[static_cast<size_t>(NumberOf(bytes_of_key) - least_)] = run;
    else Enter(bytes_of_key, map.keys().Hash(key), run);
  });
  bytes += static_cast<int64_t>(keys_.size());
  if (bytes > kBytesMax) {
    Clear();
    state_ = State::kTooLarge;
    return;
  }
  rows_ = decoder.Finish();
  state_ = State::kDecoded;
  memory_bytes_ = bytes + BatchBytes(data::ChangeBatch(rows_)) +
                  static_cast<int64_t>(counts_.size() * sizeof(int64_t) + places_.size() * sizeof(Place) + by_number_.size() * sizeof(DecodedRun));
}

/// Makes room for all keys by their number, if they lie close together.
bool DecodedSide::MakeNumbers(const RowMultimap& map) {
  if (number_bytes_ == 0) return false;
  int64_t least = INT64_MAX, greatest = INT64_MIN;
  bool null = false;
  std::string scratch;
  map.keys().ForEach([&](state::Ref key) {
    const std::string_view bytes = map.keys().Key(key, scratch);
    null = null || bytes.size() != 1 + number_bytes_;
    if (null) return;
    least = std::min(least, NumberOf(bytes));
    greatest = std::max(greatest, NumberOf(bytes));
  });
  if (null || least > greatest) return false;
  const uint64_t range = static_cast<uint64_t>(greatest) - static_cast<uint64_t>(least);
  if (range >= kEntriesPerKeyMax * static_cast<uint64_t>(map.keys().rows())) return false;
  least_ = least;
  by_number_.resize(range + 1);
  return true;
}

/// Of a key's bytes (data/row_key.h).
int64_t DecodedSide::NumberOf(std::string_view key) const {
  const auto number = [&]<typename Integer>(Integer value) -> int64_t {
    std::memcpy(&value, key.data() + 1, sizeof value);
    return value;
  };
  return number_bytes_ == 2 ? number(int16_t{}) : number_bytes_ == 4 ? number(int32_t{}) : number(int64_t{});
}

void DecodedSide::FindNumbers(const data::Column& key, std::span<const int32_t> select, DecodedRun* out) const {
  const auto find = [&]<typename Integer>(Integer) {
    const Integer* values = key.data<Integer>();
    for (size_t j = 0; j < select.size(); ++j) {
      // Keys before the first wrap around to numbers behind the last.
      const uint64_t at = static_cast<uint64_t>(int64_t{values[select[j]]}) - static_cast<uint64_t>(least_);
      out[j] = at < by_number_.size() ? by_number_[at] : DecodedRun();
    }
  };
  if (number_bytes_ == 2) find(int16_t{});
  else if (number_bytes_ == 4) find(int32_t{});
  else find(int64_t{});
  // None of the numbers stands for NULL, though its value is 0.
  if (!key.has_nulls()) return;
  for (size_t j = 0; j < select.size(); ++j)
    if (key.IsNull(select[j])) out[j] = DecodedRun();
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
