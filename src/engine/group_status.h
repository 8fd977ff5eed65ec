// What kappa.groups, kappa.group_lag and the metrics show of consumer groups.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "group/groups.h"
#include "log/log.h"

namespace kappa::engine {

struct GroupStatus {
  std::string name;
  std::string state;
  std::string protocol_type;
  std::string protocol;
  int32_t generation = 0;
  std::string leader;
  int64_t members = 0;
  int64_t offsets = 0;
};
std::vector<GroupStatus> ListGroupStatus(group::Groups& groups);

/// One partition that a group has committed an offset of, or that a member is assigned.
struct GroupLag {
  std::string group;
  std::string topic;
  int32_t partition = 0;
  std::optional<int64_t> committed;  // unset: assigned, but nothing was committed yet
  std::optional<int64_t> end;        // of the partition; unset: there is none
  int64_t committed_ms = 0;
  std::string metadata;
  std::string member;                // empty: nobody reads it
  std::string client;

  std::optional<int64_t> lag() const {
    if (!committed || !end) return std::nullopt;
    return *end > *committed ? *end - *committed : 0;
  }
};
std::vector<GroupLag> ListGroupLag(group::Groups& groups, log::Log& log);

}  // namespace kappa::engine
