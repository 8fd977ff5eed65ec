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

/// Calls `visit` with a zero of the integer type that has so many bytes.
template <typename Visit> auto WithInteger(size_t bytes, Visit&& visit) {
  if (bytes == 2) return visit(int16_t{});
  if (bytes == 4) return visit(int32_t{});
  return visit(int64_t{});
}

/// A table by number takes at most so many entries a key, which is less than the hash table has.
constexpr uint64_t kEntriesPerKeyMax = 8;

}  // namespace

DecodedSide::DecodedSide(const data::Schema& schema, std::span<const expr::ExprPtr> keys) : schema_(schema) {
  if (keys.size() == 1 && data::IsInteger(keys[0]->type().id)) number_bytes_ = static_cast<size_t>(keys[0]->type().width());
}

int64_t DecodedSide::BytesMax() {
  constexpr uint64_t kBytesMax = 32 << 20, kMemoryShare = 8;
  const uint64_t limit = state::GetMemoryUse().limit_bytes;
  return static_cast<int64_t>(limit == 0 ? kBytesMax : std::min(kBytesMax, limit / kMemoryShare));
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
  const int64_t bytes_max = BytesMax();
  int64_t bytes = 0;
  std::string scratch;
  if (!MakeNumbers(map)) places_.resize(std::bit_ceil(2 * static_cast<size_t>(map.keys().rows()) + 1));
  map.keys().ForEach([&](state::Ref key) {
    if (bytes > bytes_max) return;
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
    else RunOf(bytes_of_key, map.keys().Hash(key)) = run;
  });
  bytes += static_cast<int64_t>(keys_.size());
  if (bytes > bytes_max) {
    Clear();
    state_ = State::kTooLarge;
    return;
  }
  rows_ = decoder.Finish();
  CountMemory(bytes);
  state_ = State::kDecoded;
}

void DecodedSide::CountMemory(int64_t bytes) {
  memory_bytes_ = bytes + BatchBytes(data::ChangeBatch(rows_)) +
                  static_cast<int64_t>(counts_.size() * sizeof(int64_t) + places_.size() * sizeof(Place) + by_number_.size() * sizeof(DecodedRun));
}

void DecodedSide::Load(data::Batch rows, std::span<const data::ColumnPtr> keys, std::span<const int32_t> select) {
  Clear();
  std::vector<DecodedRun*> run_of(select.size());
  if (MakeNumbers(*keys[0], select)) {
    WithInteger(number_bytes_, [&]<typename Integer>(Integer) {
      const auto* values = keys[0]->data<Integer>();
      for (size_t j = 0; j < select.size(); ++j) run_of[j] = &by_number_[static_cast<size_t>(values[select[j]] - least_)];
    });
    for (DecodedRun* run : run_of) ++run->count;
  } else {
    places_.resize(std::bit_ceil(2 * select.size() + 1));
    const data::RowKeys row_keys(keys, rows.rows);
    for (size_t j = 0; j < select.size(); ++j) {
      run_of[j] = &RunOf(row_keys.key(select[j]), row_keys.hash(select[j]));
      ++run_of[j]->count;
    }
  }
  unique_ = std::all_of(run_of.begin(), run_of.end(), [](const DecodedRun* run) { return run->count == 1; });
  if (unique_) {
    for (size_t j = 0; j < select.size(); ++j) run_of[j]->from = select[j];
    rows_ = std::move(rows);
  } else {
    // Rows of a key lie together: first each run gets its place, then its rows, the last one first.
    int32_t end = 0;
    for (DecodedRun* run : run_of) {
      if (run->from == 0) run->from = end += run->count;
    }
    std::vector<int32_t> order(select.size());
    for (size_t j = select.size(); j-- > 0;) order[static_cast<size_t>(--run_of[j]->from)] = select[j];
    rows_ = data::Gather(data::ChangeBatch(std::move(rows)), order).AsBatch();
  }
  counts_.assign(static_cast<size_t>(rows_.rows), 1);
  CountMemory(static_cast<int64_t>(keys_.size()));
  state_ = State::kDecoded;
}

/// Makes room for so many keys by their number, if they lie close together.
bool DecodedSide::MakeNumbers(int64_t least, int64_t greatest, int64_t keys) {
  if (least > greatest) return false;
  const uint64_t range = static_cast<uint64_t>(greatest) - static_cast<uint64_t>(least);
  if (range >= kEntriesPerKeyMax * static_cast<uint64_t>(keys)) return false;
  least_ = least;
  by_number_.resize(range + 1);
  return true;
}

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
  return !null && MakeNumbers(least, greatest, map.keys().rows());
}

bool DecodedSide::MakeNumbers(const data::Column& key, std::span<const int32_t> select) {
  if (number_bytes_ == 0) return false;
  int64_t least = INT64_MAX, greatest = INT64_MIN;
  WithInteger(number_bytes_, [&]<typename Integer>(Integer) {
    const auto* values = key.data<Integer>();
    for (const int32_t row : select) {
      least = std::min<int64_t>(least, values[row]);
      greatest = std::max<int64_t>(greatest, values[row]);
    }
  });
  const bool null = std::any_of(select.begin(), select.end(), [&](int32_t row) { return key.IsNull(row); });
  return !null && MakeNumbers(least, greatest, static_cast<int64_t>(select.size()));
}

/// Of a key's bytes (data/row_key.h).
int64_t DecodedSide::NumberOf(std::string_view key) const {
  return WithInteger(number_bytes_, [&]<typename Integer>(Integer value) -> int64_t {
    std::memcpy(&value, key.data() + 1, sizeof value);
    return value;
  });
}

void DecodedSide::FindNumbers(const data::Column& key, std::span<const int32_t> select, DecodedRun* out) const {
  WithInteger(number_bytes_, [&]<typename Integer>(Integer) {
    const auto* values = key.data<Integer>();
    for (size_t j = 0; j < select.size(); ++j) {
      // Keys before the first wrap around to numbers behind the last.
      const uint64_t at = static_cast<uint64_t>(int64_t{values[select[j]]}) - static_cast<uint64_t>(least_);
      out[j] = at < by_number_.size() ? by_number_[at] : DecodedRun();
    }
  });
  // None of the numbers stands for NULL, though its value is 0.
  if (!key.has_nulls()) return;
  for (size_t j = 0; j < select.size(); ++j)
    if (key.IsNull(select[j])) out[j] = DecodedRun();
}

/// The rows of a key; none yet, and its place taken, where it was not there: the caller gives it some.
DecodedRun& DecodedSide::RunOf(std::string_view key, uint64_t hash) {
  size_t at = Home(hash);
  while (places_[at].run.count > 0 && !Is(places_[at], key, hash)) at = (at + 1) & (places_.size() - 1);
  Place& place = places_[at];
  if (place.run.count > 0) return place.run;
  place.hash = hash;
  place.key_bytes = static_cast<uint32_t>(key.size());
  if (key.size() <= Place::kInlineMax) {
    std::copy(key.begin(), key.end(), place.key.begin());
  } else {
    const uint64_t offset = keys_.size();
    std::memcpy(place.key.data(), &offset, sizeof offset);
    keys_ += key;
  }
  return place.run;
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
