// What a checkpoint says beside its pages: up to which epoch it holds, where each input stood, and which tables and versions are in it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "flow/log_flow.h"
#include "log/log.h"

namespace kappa::engine {

struct CheckpointMeta {
  using Place = std::pair<uint32_t, int32_t>;  // relation and partition
  struct Version {
    uint64_t plan_hash = 0;
    bool started = false;
    std::vector<flow::ViewInput> inputs;
  };

  int shards = 1;  // by which the state is split
  uint64_t epoch = 0;
  int64_t wall_us = 0;
  log::Offset journal_end = 0;  // behind the record of the epoch
  std::map<Place, log::Offset> ends;
  std::set<Place> idle;
  std::map<uint32_t, std::string> streams;    // as StreamFeed encodes itself
  std::map<uint32_t, log::Offset> tables;     // positions of their topics
  std::map<uint32_t, Version> versions;       // that were live
  int64_t dead_letters_dropped = 0;

  std::string Encode() const;
  /// Fails with data_corrupted, or with feature_not_supported for another format or another layout of state.
  static Result<CheckpointMeta> Decode(std::string_view bytes);
};

}  // namespace kappa::engine
