#include "cli/serve_kafka.h"

#include <fmt/format.h>

namespace kappa::cli {

void AddKafkaOptions(CLI::App& command, serve::KafkaServerOptions& options) {
  auto count = [&](const char* name, auto& value, const char* text, const CLI::Validator& check) {
    command.add_option(name, value, text)->capture_default_str()->check(check);
  };
  auto size = [&](const char* name, auto& value, const char* text) {
    command.add_option(name, value, text)->capture_default_str()->transform(CLI::AsSizeValue(false));
  };
  count("--kafka-connections-max", options.connections_max, "Kafka connections; one more is closed at once", CLI::PositiveNumber);
  count("--kafka-connections-per-ip-max", options.connections_per_ip_max, "Kafka connections from one address; 0: no bound of its own",
        CLI::NonNegativeNumber);
  count("--kafka-idle-timeout-ms", options.idle_timeout_ms, "Time after which a Kafka connection without requests is closed", CLI::PositiveNumber);
  size("--kafka-memory", options.in_flight_bytes_max, "Memory for requests and answers of all Kafka connections, as 512MB");
  size("--kafka-produce-rate", options.produce_bytes_per_second, "Bytes a second that a Kafka user, or client id, may produce, as 10MB; 0: no bound");
  size("--kafka-fetch-rate", options.fetch_bytes_per_second, "Bytes a second that a Kafka user, or client id, may fetch, as 10MB; 0: no bound");
}

std::string KafkaMetricsText(const serve::KafkaMetrics& metrics, const log::CompactionFigures& compaction) {
  std::string out;
  auto add = [&](const char* name, const char* type, const char* help, auto value) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n{} {}\n", name, help, name, type, name, value);
  };
  add("kappa_kafka_connections_total", "counter", "Kafka connections accepted.", metrics.connections_total.load());
  add("kappa_kafka_connections_refused_total", "counter", "Kafka connections beyond a limit.", metrics.connections_refused.load());
  add("kappa_kafka_connections_open", "gauge", "Kafka connections open.", metrics.connections_open.load());
  add("kappa_kafka_authentications_total", "counter", "Kafka clients that proved who they are.", metrics.authentications.load());
  add("kappa_kafka_authentication_failures_total", "counter", "Kafka clients that failed to.", metrics.authentication_failures.load());
  add("kappa_kafka_requests_total", "counter", "Kafka requests.", metrics.requests.load());
  add("kappa_kafka_throttled_requests_total", "counter", "Requests whose client went beyond its rate.", metrics.throttled.load());
  add("kappa_kafka_memory_bytes", "gauge", "Memory for requests and answers under way.", metrics.in_flight_bytes.load());
  add("kappa_kafka_received_bytes_total", "counter", "Bytes received from Kafka clients.", metrics.bytes_in.load());
  add("kappa_kafka_sent_bytes_total", "counter", "Bytes sent to Kafka clients.", metrics.bytes_out.load());
  add("kappa_log_appended_records_total", "counter", "Records accepted from producers.", metrics.records_in.load());
  add("kappa_kafka_produce_errors_total", "counter", "Partitions of produce requests that were refused.", metrics.produce_errors.load());
  add("kappa_kafka_fetch_sessions", "gauge", "Fetch sessions of clients.", metrics.fetch_sessions.load());
  add("kappa_kafka_fetch_sessions_evicted_total", "counter", "Fetch sessions that made room for others.", metrics.fetch_sessions_evicted.load());
  add("kappa_kafka_incremental_fetches_total", "counter", "Fetches of a session.", metrics.fetches_incremental.load());
  add("kappa_kafka_client_errors_total", "counter", "Connections closed for malformed requests.", metrics.client_errors.load());
  add("kappa_log_compaction_passes_total", "counter", "Passes of compaction over a partition.", compaction.passes);
  add("kappa_log_compaction_failures_total", "counter", "Passes of compaction that gave up.", compaction.failures);
  add("kappa_log_compaction_read_bytes_total", "counter", "Bytes that compaction read.", compaction.bytes_read);
  add("kappa_log_compaction_written_bytes_total", "counter", "Bytes that compaction wrote.", compaction.bytes_written);
  add("kappa_log_compaction_removed_records_total", "counter", "Records that compaction removed.", compaction.records_removed);
  return out;
}

}  // namespace kappa::cli
