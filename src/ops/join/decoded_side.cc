#include "ops/join/decoded_side.h"

#include "ops/operator.h"
#include "state/memory.h"

namespace kappa::ops {

bool DecodedSide::Serves(const RowMultimap& map, size_t probes) {
  if (state_ != State::kNone) return state_ == State::kDecoded;
  probes_ += static_cast<int64_t>(probes);
  if (map.row_count() > kRowsMax || probes_ <= map.row_count() || state::Spilling()) return false;
  Decode(map);
  return state_ == State::kDecoded;
}

void DecodedSide::Decode(const RowMultimap& map) {
  RowDecoder decoder(schema_);
  int64_t bytes = 0;
  map.keys().ForEach([&](state::Ref key) {
    if (bytes > kBytesMax) return;
    DecodedRun run{static_cast<int32_t>(counts_.size()), 0};
    map.ForEachOf(key, [&](std::string_view row, int64_t count, state::Ref) {
      decoder.Append(row, /*borrow=*/false);
      counts_.push_back(count);
      bytes += static_cast<int64_t>(row.size());
    });
    run.count = static_cast<int32_t>(counts_.size()) - run.from;
    runs_.emplace(key, run);
  });
  if (bytes > kBytesMax) {
    *this = DecodedSide(schema_);
    state_ = State::kTooLarge;
    return;
  }
  rows_ = decoder.Finish();
  state_ = State::kDecoded;
  memory_bytes_ = bytes + BatchBytes(data::ChangeBatch(rows_)) + rows_.rows * static_cast<int64_t>(sizeof(int64_t) + sizeof(DecodedRun) + sizeof(state::Ref));
}

}  // namespace kappa::ops
