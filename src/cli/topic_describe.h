// kappa topic describe: where a topic's partitions begin and end, what needs their records, and the topic's settings.
#pragma once

#include <string>

#include "cli/kafka_handle.h"

namespace kappa::cli {

/// Prints it, as tables or as a JSON object; the exit status. What needs records is known of a server whose data folder was named.
int DescribeTopic(const BrokerAddress& address, const std::string& name, bool json);

}  // namespace kappa::cli
