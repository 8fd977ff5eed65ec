#include "cli/serve_security.h"

#include <fmt/format.h>

#include "cli/client.h"

namespace kappa::cli {

void AddSecurityOptions(CLI::App& command, SecurityOptions& options) {
  command
      .add_option("--tls-cert", options.tls.certificate,
                  "Certificate of the server, PEM: the Kafka and PostgreSQL ports then speak TLS alone. SIGHUP reads it again")
      ->type_name("FILE");
  command.add_option("--tls-key", options.tls.key, "Its private key, PEM, without a passphrase")->type_name("FILE");
  command.add_option("--tls-client-ca", options.tls.client_ca, "Authorities, PEM: clients must have a certificate of one of them")->type_name("FILE");
  command.add_option("--users", options.users_file, "File of users, made by \"kappa user add\". Default: \"users\" in the data folder")
      ->type_name("FILE");
  command
      .add_option("--kafka-sasl", options.kafka_sasl,
                  "Kafka clients must authenticate, with one of these mechanisms: scram-sha-256, scram-sha-512, plain; separated by commas")
      ->delimiter(',')
      ->type_name("LIST");
  command.add_option("--pg-auth", options.pg_auth, "How PostgreSQL clients authenticate: trust (not at all), scram-sha-256")
      ->capture_default_str()
      ->check(CLI::IsMember({"trust", "scram-sha-256"}))
      ->type_name("METHOD");
  command.add_flag("--kafka-sasl-plain-without-tls", options.plain_without_tls, "Allow plain, which sends passwords as they are, without TLS");
  command.add_option("--kafka-session-lifetime-ms", options.session_lifetime_ms, "Time after which Kafka clients authenticate again; 0: never")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command.add_option("--authentication-timeout-ms", options.authentication_timeout_ms, "Time for TLS's handshake and the authentication together")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
}

std::string UsersFile(const std::string& named, const std::string& data_folder) { return named.empty() ? data_folder + "/users" : named; }

Result<std::unique_ptr<Security>> Security::Load(const SecurityOptions& options, const std::string& data_folder) {
  auto security = std::make_unique<Security>();
  security->options_ = options;
  const bool encrypts = !options.tls.certificate.empty() || !options.tls.key.empty() || !options.tls.client_ca.empty();
  if (encrypts && (options.tls.certificate.empty() || options.tls.key.empty())) {
    return Error(sqlstate::kInvalidParameterValue, "TLS needs both a certificate and its key").Hint("Name the files with --tls-cert and --tls-key.");
  }
  if (encrypts) { KAPPA_ASSIGN_OR_RETURN(security->tls_, serve::Tls::Load(options.tls)); }
  for (const std::string& name : options.kafka_sasl) {
    const auto mechanism = auth::FindMechanism(name);
    if (!mechanism) {
      return Error(sqlstate::kInvalidParameterValue, fmt::format("--kafka-sasl: \"{}\" is no mechanism", name))
          .Hint("There are scram-sha-256, scram-sha-512 and plain.");
    }
    security->mechanisms_.push_back(*mechanism);
  }
  if (!security->mechanisms_.empty() || options.pg_auth != "trust") {
    KAPPA_ASSIGN_OR_RETURN(security->users_,
                           auth::Users::Open(UsersFile(options.users_file, data_folder), [](const Error& error) { PrintError(error); }));
  }
  return security;
}

void Security::Apply(serve::KafkaServerOptions& options) const {
  options.tls = tls_.get();
  options.users = mechanisms_.empty() ? nullptr : users_.get();
  options.mechanisms = mechanisms_;
  options.plain_without_tls = options_.plain_without_tls;
  options.authentication_timeout_ms = options_.authentication_timeout_ms;
  options.session_lifetime_ms = options_.session_lifetime_ms;
}

void Security::Apply(serve::PgServerOptions& options) const {
  options.tls = tls_.get();
  options.users = options_.pg_auth == "trust" ? nullptr : users_.get();
  options.startup_timeout_us = options_.authentication_timeout_ms * 1000;
}

void Security::Reload() {
  Status read = tls_->Reload();
  if (!read.ok()) return PrintError(read.error());
  fmt::print(stderr, "kappa: read the certificate again\n");
}

}  // namespace kappa::cli
