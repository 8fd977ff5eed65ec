#include "group/consumer_protocol.h"

#include "base/bytes.h"

namespace kappa::group {
namespace {

std::string_view ReadText(ByteReader& in) { return in.Bytes(static_cast<size_t>(static_cast<uint16_t>(in.Big<int16_t>()))); }

}  // namespace

// Both begin with a version, then an array; what later versions added comes after it.
std::set<std::string, std::less<>> SubscribedTopics(std::string_view metadata) {
  ByteReader in(metadata);
  in.Big<int16_t>();
  std::set<std::string, std::less<>> topics;
  for (int32_t left = in.Big<int32_t>(); left > 0 && in.ok(); --left) {
    std::string_view topic = ReadText(in);
    if (in.ok()) topics.emplace(topic);
  }
  return topics;
}

std::map<std::string, std::vector<int32_t>, std::less<>> AssignedPartitions(std::string_view assignment) {
  ByteReader in(assignment);
  in.Big<int16_t>();
  std::map<std::string, std::vector<int32_t>, std::less<>> assigned;
  for (int32_t left = in.Big<int32_t>(); left > 0 && in.ok(); --left) {
    std::string topic(ReadText(in));
    for (int32_t partitions = in.Big<int32_t>(); partitions > 0 && in.ok(); --partitions) {
      const auto partition = in.Big<int32_t>();
      if (in.ok()) assigned[topic].push_back(partition);
    }
  }
  return assigned;
}

}  // namespace kappa::group
