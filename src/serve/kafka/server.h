// KafkaServer: speaks the Kafka protocol over the log. Versions, limits and differences from Kafka: docs/kafka.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/sasl.h"
#include "base/error.h"
#include "group/groups.h"
#include "io/clock.h"
#include "log/log.h"
#include "quota/client_quotas.h"
#include "serve/net/tls.h"
#include "txn/transactions.h"

namespace kappa::serve {

struct KafkaServerOptions {
  std::string address = "127.0.0.1:9092";  // "host:port"; port 0 takes a free one
  std::string flag = "--kafka";            // the command line option that sets it, for hints
  bool insecure = false;                   // allow an address that is not loopback without TLS and authentication
  /// "host:port" that clients are told to connect to. Empty: the address at which each client reached this server.
  std::string advertised_address;
  std::string cluster_id = "kappa";
  int io_threads = 2;

  // Who may connect. `tls` and `users` must outlive the server.
  const Tls* tls = nullptr;                   // not null: every connection is encrypted
  auth::Users* users = nullptr;               // not null: clients authenticate before anything else
  std::vector<auth::Mechanism> mechanisms;    // that are offered then
  bool plain_without_tls = false;             // allow the mechanism PLAIN on connections that are not encrypted
  int64_t authentication_timeout_ms = 10'000; // from the connection to the end of TLS's handshake and of the authentication
  int64_t session_lifetime_ms = 0;            // after which a client must authenticate again; 0: never
  int64_t failure_delay_ms = 100;             // before a failed authentication is answered

  // Limits. Memory that clients can make the server hold is at most in_flight_bytes_max, plus 64 KiB for each connection (and as much for
  // TLS), plus one batch for each fetch that waits to be written, plus one frame.
  int connections_max = 15'000;
  int connections_per_ip_max = 0;                 // 0: no bound of its own
  int64_t produce_bytes_per_second = 0;           // of each user, or of each client id without users, that has no quota; 0: no bound
  int64_t fetch_bytes_per_second = 0;
  int64_t idle_timeout_ms = 10 * 60 * 1000;       // a connection without traffic and without a request under way
  int64_t stall_timeout_ms = 60 * 1000;           // a frame that stopped arriving, or an answer that the client does not take
  int32_t frame_bytes_max = 100 << 20;
  size_t in_flight_bytes_max = 512 << 20;         // large frames being read and answers not yet taken, of all connections. In the
                                                  // upper half of it only small requests of connections that hold little are taken in
  size_t connection_unanswered_bytes_max = 64 << 20;  // requests read but not answered; reading stops beyond
  int connection_unanswered_requests_max = 1000;
  int32_t fetch_bytes_max = 32 << 20;             // of one fetch, whatever the client asks (but always one batch)
  int32_t fetch_wait_ms_max = 60 * 1000;
  int32_t partitions_max = 10'000;                // of one topic
  size_t fetch_sessions_max = 1000;               // clients beyond have none, and name all partitions with each fetch
  size_t fetch_session_partitions_max = 200'000;  // of all sessions, some 200 bytes each
  int64_t fetch_session_evictable_ms = 120'000;   // one that was not used for so long may make room; one younger only for larger ones

  bool auto_create_topics = true;
  log::TopicConfig auto_create_config;            // partitions and the like of topics made by a Metadata request
  /// Made or deleted by clients. Unset: straight to the log. May block; called from one thread at a time.
  std::function<Status(const std::string& name, const log::TopicConfig& config)> create_topic;
  std::function<Status(const std::string& name)> delete_topic;
  /// Runs `change` (new partitions), or refuses because somebody reads the topic. Unset: always runs it.
  std::function<Status(const std::string& name, const std::function<Status()>& change)> change_topic;
  /// Deletes the records below an offset, or refuses because somebody needs them. Unset: always deletes them.
  std::function<Status(log::Partition& partition, log::Offset before)> delete_records;
  std::string log_folder;                         // shown by DescribeLogDirs
  /// Told once for each connection that was closed because of what it sent. Any thread; must return quickly.
  std::function<void(std::string_view peer, std::string_view reason)> on_client_error;
};

/// Counters since the start. Monotonic, except connections_open, in_flight_bytes and fetch_sessions.
struct KafkaMetrics {
  std::atomic<uint64_t> connections_total{0}, connections_refused{0}, requests{0};
  std::atomic<int64_t> connections_open{0}, in_flight_bytes{0};
  std::atomic<uint64_t> bytes_in{0}, bytes_out{0};                  // on the wire
  std::atomic<uint64_t> records_in{0}, batch_bytes_in{0}, batch_bytes_out{0};  // accepted by Produce; given by Fetch
  std::atomic<uint64_t> throttled{0};                               // requests whose client went beyond its rate
  std::atomic<uint64_t> authentications{0}, authentication_failures{0};
  std::atomic<int64_t> fetch_sessions{0};
  std::atomic<uint64_t> fetch_sessions_evicted{0}, fetches_incremental{0};
  std::atomic<uint64_t> produce_errors{0}, client_errors{0};        // refused partitions of Produce; connections closed for malformed requests
};

class KafkaServer {
 public:
  /// Fails with invalid_parameter_value for a bad address, object_in_use when the port is taken; the hint names the flag. `log`,
  /// `groups`, `transactions`, `quotas` and `clock` must outlive the server.
  static Result<std::unique_ptr<KafkaServer>> Start(KafkaServerOptions options, log::Log& log, group::Groups& groups, txn::Transactions& transactions,
                                                    quota::ClientQuotas& quotas, io::Clock& clock);
  ~KafkaServer();  // stops

  /// As bound: "127.0.0.1:9093".
  std::string address() const;
  const KafkaMetrics& metrics() const;
  /// Ends listening and reading, answers what is under way (at most two seconds), closes all connections. Stop the server before
  /// the log is closed.
  void Stop();

 private:
  struct Impl;
  explicit KafkaServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace kappa::serve
