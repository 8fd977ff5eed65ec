// kappa serve: opens the data folder, starts the listeners, says where they are, and stops cleanly on SIGTERM and SIGINT.
#include "cli/serve.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "cli/client.h"
#include "cli/client_complaints.h"
#include "cli/serve_kafka.h"
#include "cli/serve_security.h"
#include "engine/engine.h"
#include "format/decoder.h"
#include "io/folder.h"
#include "serve/http/server.h"
#include "serve/kafka/server.h"
#include "serve/pg/server.h"

namespace kappa::cli {
namespace {

struct ServeOptions {
  std::string data = DefaultDataFolder();
  std::string pg = "127.0.0.1:5432";
  std::string kafka = "127.0.0.1:9092";
  std::string http = "127.0.0.1:8080";
  std::string advertise;
  int threads = 0;
  size_t batch_rows = 8192;
  int64_t step_records = 32'000;
  int64_t checkpoint_interval_ms = 10'000;
  int64_t checkpoint_records = 2'000'000;
  int64_t query_memory_mb = 1024;
  uint64_t state_memory_bytes = 0;
  int64_t statement_timeout_ms = 0;
  int64_t dead_letters_max = 100'000;
  int64_t cleanup_interval_ms = 60'000;
  log::LogOptions log;
  group::GroupOptions groups;
  txn::TransactionOptions transactions;
  int default_partitions = 1;
  SecurityOptions security;
  serve::KafkaServerOptions kafka_limits;
  bool insecure = false;
  bool quiet = false;
};

int Fail(const Error& error) {
  PrintError(error);
  return 1;
}

int Serve(const ServeOptions& options) {
  // The signals are taken by sigwait below; every thread inherits the mask.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file size limit is an error of that write, not the end
  io::RaiseOpenFileLimit();

  auto security = Security::Load(options.security, options.data);
  if (!security.ok()) return Fail(security.error());
  if ((*security)->reloads()) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  engine::EngineOptions engine_options;
  engine_options.folder = options.data;
  engine_options.threads = options.threads;
  engine_options.batch_rows = options.batch_rows;
  engine_options.step_records = options.step_records;
  engine_options.checkpoint_interval_us = options.checkpoint_interval_ms * 1000;
  engine_options.checkpoint_records = options.checkpoint_records;
  engine_options.query_memory_bytes = options.query_memory_mb << 20;
  engine_options.state_memory_bytes = options.state_memory_bytes;
  engine_options.statement_timeout_us = options.statement_timeout_ms * 1000;
  engine_options.dead_letters_max = options.dead_letters_max;
  engine_options.cleanup_interval_us = options.cleanup_interval_ms * 1000;
  engine_options.log = options.log;
  engine_options.groups = options.groups;
  engine_options.transactions = options.transactions;
  engine_options.default_partitions = options.default_partitions;
  auto engine = engine::Engine::Open(engine_options, io::RealClock());
  if (!engine.ok()) return Fail(engine.error());

  serve::KafkaServerOptions kafka_options = options.kafka_limits;
  kafka_options.address = options.kafka;
  kafka_options.advertised_address = options.advertise;
  kafka_options.insecure = options.insecure;
  (*security)->Apply(kafka_options);
  kafka_options.on_client_error = [complaints = std::make_shared<ClientComplaints>("Kafka")](std::string_view peer, std::string_view reason) {
    complaints->Add(peer, reason);
  };
  kafka_options.auto_create_config.partitions = options.default_partitions;
  kafka_options.log_folder = options.data + "/log";
  kafka_options.change_topic = [&](const std::string& name, const std::function<Status()>& change) { return (*engine)->ChangeTopic(name, change); };
  kafka_options.delete_records = [&](log::Partition& partition, log::Offset before) { return (*engine)->DeleteRecords(partition, before); };
  kafka_options.delete_topic = [&](const std::string& name) { return (*engine)->DeleteTopic(name); };
  auto kafka = serve::KafkaServer::Start(kafka_options, (*engine)->log(), (*engine)->groups(), (*engine)->transactions(), (*engine)->quotas(),
                                         io::RealClock());
  if (!kafka.ok()) return Fail(kafka.error());
  serve::PgServerOptions pg_options;
  pg_options.address = options.pg;
  pg_options.insecure = options.insecure;
  (*security)->Apply(pg_options);
  auto pg = serve::PgServer::Start(pg_options, **engine);
  if (!pg.ok()) return Fail(pg.error());
  serve::HttpServerOptions http_options;
  http_options.address = options.http;
  http_options.insecure = options.insecure;
  auto http = serve::HttpServer::Start(http_options, **engine, [&] { return KafkaMetricsText((*kafka)->metrics(), (*engine)->log().compaction()); });
  if (!http.ok()) return Fail(http.error());

  const std::string endpoints = options.data + "/endpoints.json";
  Status written = io::WriteFileAtomically(endpoints, fmt::format("{{\"pg\": \"{}\", \"kafka\": \"{}\", \"http\": \"{}\", \"pid\": {}}}\n",
                                                                  (*pg)->address(), (*kafka)->address(), (*http)->address(), getpid()));
  if (!written.ok()) return Fail(written.error());
  if (!options.quiet) {
    fmt::print("kappa serves {}\n  PostgreSQL  psql -h {} -p {} -U kappa kappa\n  Kafka       {}\n  console     http://{}/\n", options.data,
               (*pg)->address().substr(0, (*pg)->address().rfind(':')), (*pg)->address().substr((*pg)->address().rfind(':') + 1), (*kafka)->address(),
               (*http)->address());
    std::fflush(stdout);
  }
  int signal_number = 0;
  while (sigwait(&signals, &signal_number) == 0 && signal_number == SIGHUP) (*security)->Reload();
  if (!options.quiet) {
    fmt::print("stopping\n");
    std::fflush(stdout);
  }
  (void)io::DurableUnlink(endpoints);
  (*http)->Stop();
  (*pg)->Stop();
  (*kafka)->Stop();
  Status closed = (*engine)->Close();
  if (!closed.ok()) return Fail(closed.error());
  return 0;
}

/// Of the log, its groups and its transactions.
void AddLogOptions(CLI::App& command, ServeOptions& options) {
  auto add = [&](const char* name, auto& value, const char* text) {
    command.add_option(name, value, text)->capture_default_str()->check(CLI::PositiveNumber);
  };
  add("--cleanup-interval-ms", options.cleanup_interval_ms, "Time between two looks for what retention and compaction may take");
  command.add_option("--log-page-cache", options.log.page_cache_bytes, "Newest records that stay in the page cache, as 1GB; 0: as the kernel likes")
      ->capture_default_str()
      ->transform(CLI::AsSizeValue(false));
  command.add_option("--compaction-buffer", options.log.compaction_buffer_bytes, "Memory for keys while a topic is compacted, as 64MB")
      ->capture_default_str()
      ->transform(CLI::AsSizeValue(false));
  command
      .add_option("--compaction-rate", options.log.compaction_bytes_per_second,
                  "Bytes a second that compaction reads and writes, as 64MB; 0: no bound")
      ->capture_default_str()
      ->transform(CLI::AsSizeValue(false));
  add("--groups-max", options.groups.groups_max, "Consumer groups");
  add("--group-members-max", options.groups.members_max, "Members of a consumer group");
  add("--group-offsets-max", options.groups.offsets_max, "Committed offsets of all groups");
  add("--group-offsets-retention-ms", options.groups.offsets_retention_ms, "Time for which offsets of a group without members are kept");
  add("--group-session-timeout-ms-min", options.groups.session_timeout_ms_min, "Shortest session timeout of a member");
  add("--group-session-timeout-ms-max", options.groups.session_timeout_ms_max, "Longest session timeout of a member");
  command.add_option("--group-gather-ms", options.groups.gather_ms, "Time for which a group's first rebalance waits for further members")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  add("--transaction-timeout-ms-max", options.transactions.timeout_ms_max, "Longest timeout of a transaction");
  add("--transactional-ids-max", options.transactions.ids_max, "Transactional ids");
  add("--transactional-id-expiry-ms", options.transactions.id_expiry_ms, "Time after which an unused transactional id is forgotten");
}

}  // namespace

void AddServeCommand(CLI::App& app, std::function<int()>* run) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command = app.add_subcommand("serve", "Run the server: log, views, and the PostgreSQL, Kafka and HTTP listeners");
  command->footer(
      "Everything is kept in the data folder. DIR/endpoints.json names the addresses while the server runs;\n"
      "port 0 takes a free port. SIGTERM or Ctrl-C stops cleanly; after kill -9 nothing acknowledged is lost.\n\n"
      "Example: kappa serve --data ./kappa-data");
  command->add_option("--data", options->data, "Data folder, made when missing (or $KAPPA_DATA)")->capture_default_str();
  command->add_option("--pg", options->pg, "PostgreSQL listener, HOST:PORT")->capture_default_str();
  command->add_option("--kafka", options->kafka, "Kafka listener, HOST:PORT")->capture_default_str();
  command->add_option("--http", options->http, "HTTP listener and console, HOST:PORT")->capture_default_str();
  command->add_option("--kafka-advertise", options->advertise, "HOST:PORT that Kafka clients are told to connect to");
  command->add_option("--threads", options->threads, "Threads for views; 0 is one a core")->capture_default_str()->check(CLI::Range(0, 256));
  command->add_option("--default-partitions", options->default_partitions, "Partitions of streams and topics that do not say")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("--checkpoint-interval-ms", options->checkpoint_interval_ms, "Time between checkpoints of state")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--checkpoint-records", options->checkpoint_records, "Records after which a checkpoint comes earlier")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--query-memory-mb", options->query_memory_mb, "Bound of one query's result")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--state-memory", options->state_memory_bytes, "State in memory, as 512MB or 4GB; the rest spills. 0: 60 % of the memory")
      ->capture_default_str()
      ->transform(CLI::AsSizeValue(false));
  command->add_option("--statement-timeout-ms", options->statement_timeout_ms, "Bound of a statement's time; 0 is none")->capture_default_str();
  command->add_option("--dead-letters-max", options->dead_letters_max, "Rows kept in kappa.dead_letters")->capture_default_str();
  command->add_option("--step-records", options->step_records, "Records of a step of a replay (tests use 1 and 7)")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--batch-rows", options->batch_rows, "Rows of a batch (tests use 1 and 7)")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  AddLogOptions(*command, *options);
  AddKafkaOptions(*command, options->kafka_limits);
  AddSecurityOptions(*command, options->security);
  command->add_flag("--insecure", options->insecure, "Allow addresses that are not loopback for listeners without encryption or authentication");
  command->add_flag("--quiet", options->quiet, "Print nothing but errors");
  command->callback([options, run] { *run = [options] { return Serve(*options); }; });
}

}  // namespace kappa::cli
