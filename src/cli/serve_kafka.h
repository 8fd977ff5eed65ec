// What `kappa serve` is told about its Kafka clients, and what it tells of them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "log/log.h"
#include "serve/kafka/server.h"

namespace kappa::cli {

/// Limits.
void AddKafkaOptions(CLI::App& command, serve::KafkaServerOptions& options);

/// For /metrics.
std::string KafkaMetricsText(const serve::KafkaMetrics& metrics, const log::CompactionFigures& compaction);

}  // namespace kappa::cli
