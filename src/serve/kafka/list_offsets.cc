// ListOffsets: the first, the last and the first-since-a-time offset of partitions.
#include <algorithm>
#include <tuple>

#include "serve/kafka/broker.h"

namespace kappa::serve::kafka {
namespace {

/// The record with the highest timestamp, and the first one of those. The log answers "first record at or after a time" only; each
/// probe raises the time to beat, and the gap halves, so that at most 63 probes are needed.
Result<std::optional<std::pair<log::Offset, int64_t>>> FindMaxTimestamp(const log::Partition& partition) {
  KAPPA_ASSIGN_OR_RETURN(auto best, partition.FindTimestamp(INT64_MIN));
  if (!best) return best;
  // The timestamp sought is in [best, above).
  uint64_t gap = static_cast<uint64_t>(INT64_MAX) - static_cast<uint64_t>(best->second);
  while (gap > 0) {
    const uint64_t step = std::min<uint64_t>(gap - gap / 2, INT64_MAX);
    KAPPA_ASSIGN_OR_RETURN(auto found, partition.FindTimestamp(best->second + static_cast<int64_t>(step)));
    if (!found) {
      gap = step - 1;
      continue;
    }
    const uint64_t moved = static_cast<uint64_t>(found->second) - static_cast<uint64_t>(best->second);
    gap = moved > gap ? 0 : gap - moved;  // records may arrive meanwhile
    best = found;
  }
  // The probe finds the first record at or after its time, which may not be the first with this very timestamp.
  return partition.FindTimestamp(best->second);
}

}  // namespace

ListOffsetsResponse Broker::ListOffsets(const ListOffsetsRequest& request) {
  ListOffsetsResponse response;
  const bool committed = request.isolation_level != 0;
  ForEachPartition(request, response, [committed](const auto& in, auto& out, const log::Partition& partition, const std::string&) {
    if (in.timestamp_ms == ListOffsetsRequest::kLatest) {
      out.offset = committed ? partition.last_stable_offset() : partition.durable_end();
    } else if (in.timestamp_ms == ListOffsetsRequest::kEarliest) {
      out.offset = partition.start_offset();
    } else if (in.timestamp_ms < ListOffsetsRequest::kMaxTimestamp) {
      out.error = Code::kInvalidRequest;
    } else {
      auto found = in.timestamp_ms == ListOffsetsRequest::kMaxTimestamp ? FindMaxTimestamp(partition) : partition.FindTimestamp(in.timestamp_ms);
      if (!found.ok()) {
        out.error = ToCode(found.error());
      } else if (found->has_value() && (!committed || (*found)->first < partition.last_stable_offset())) {
        std::tie(out.offset, out.timestamp_ms) = **found;
      }
    }
  });
  return response;
}

}  // namespace kappa::serve::kafka
