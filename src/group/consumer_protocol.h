// What consumers tell each other through the group, as far as a broker needs to read it: topics subscribed, partitions assigned.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace kappa::group {

/// Topics of a consumer's subscription ("consumer" protocol type, any version). Bytes that are not one give what could be read.
std::set<std::string, std::less<>> SubscribedTopics(std::string_view metadata);
/// Partitions of a consumer's assignment, by topic.
std::map<std::string, std::vector<int32_t>, std::less<>> AssignedPartitions(std::string_view assignment);

}  // namespace kappa::group
