// What messages that go through topics and partitions have in common.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "serve/kafka/protocol.h"

namespace kappa::serve::kafka {

/// A topic with a list of something for each of its partitions.
template <class Partition> struct OfTopic {
  std::string name;
  std::vector<Partition> partitions;
  template <class C> void Fields(C& c) {
    c(name);
    c(partitions);
    c.Tags();
  }
};

/// The index of a partition that a request names, with more about it or alone.
inline int32_t IndexOf(int32_t partition) { return partition; }
template <class Partition> int32_t IndexOf(const Partition& partition) { return partition.index; }

struct PartitionError {
  int32_t index = 0;
  Code error = Code::kNone;
  template <class C> void Fields(C& c) {
    c(index);
    c(error);
    c.Tags();
  }
};

/// A response with something for each partition that was named.
template <class P> struct ByTopic {
  using Partition = P;
  int32_t throttle_ms = 0;
  std::vector<OfTopic<Partition>> topics;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(topics);
    c.Tags();
  }
  /// The same outcome for the partitions that have none yet.
  void SetErrors(Code error) {
    for (auto& topic : topics) {
      for (auto& partition : topic.partitions) {
        if (partition.error == Code::kNone) partition.error = error;
      }
    }
  }
};

}  // namespace kappa::serve::kafka
