// kappa topic groups and offsets: consumer groups, and how far they have read.
#pragma once

#include <string>
#include <vector>

#include "cli/kafka_handle.h"

namespace kappa::cli {

struct GroupsOptions {
  BrokerAddress address;
  std::vector<std::string> remove;  // groups to delete; none: list them all
  bool json = false;
};
/// The exit status, as of the next.
int ShowGroups(const GroupsOptions& options);

struct OffsetsOptions {
  BrokerAddress address;
  std::string group;
  std::string topic;  // empty: all; must be given to set
  std::string to;     // earliest, latest, an offset or a time: set to this; empty: show
  bool json = false;
};
int ShowOffsets(const OffsetsOptions& options);

}  // namespace kappa::cli
