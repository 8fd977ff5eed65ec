// QuotaMap of clients: what administrators set for users, client ids and addresses, kept in one file; and which of them counts for a client.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace kappa::quota {

inline constexpr std::string_view kUser = "user", kClientId = "client-id", kIp = "ip";  // kinds of entities
inline constexpr std::string_view kProduceRate = "producer_byte_rate", kFetchRate = "consumer_byte_rate";
inline constexpr std::string_view kRequestPercentage = "request_percentage";  // kept and shown, not enforced
inline constexpr std::string_view kConnectionRate = "connection_creation_rate";
inline constexpr std::string_view kAnonymous = "ANONYMOUS";  // the user of a client that did not authenticate, as in Kafka

inline constexpr size_t kEntitiesMax = 10'000;
inline constexpr size_t kNameBytesMax = 1024;

/// Whom a quota is for: a name of a user and a client id, or of one of them, or of an address. No name: all that have no quota of their own.
using Entity = std::map<std::string, std::optional<std::string>, std::less<>>;
using Values = std::map<std::string, double, std::less<>>;  // by key
using QuotaMap = std::map<Entity, Values>;

struct Alteration {
  Entity entity;
  std::map<std::string, std::optional<double>, std::less<>> values;  // nothing: it is removed
};

/// "user ann, the default client-id", for people.
std::string EntityText(const Entity& entity);

/// The file's contents. Format: docs/formats/quotas.md. Fails with data_corrupted, or feature_not_supported for a newer version.
Result<QuotaMap> ParseQuotas(const std::string& path, std::string_view text);
std::string QuotasText(const QuotaMap& quotas);

/// Thread-safe.
class ClientQuotas {
 public:
  /// A missing file has no quotas.
  static Result<std::unique_ptr<ClientQuotas>> Open(std::string path);

  /// The outcome of each: invalid_parameter_value for what Kafka refuses too. What is good is on disk on return, and in force, unless it
  /// was only to be looked at.
  std::vector<Status> Alter(const std::vector<Alteration>& alterations, bool validate_only);
  std::shared_ptr<const QuotaMap> all() const;

  /// A quota that counts for a client, and with whom it shares that.
  struct Share {
    double per_second = 0;
    std::string payer;
  };
  /// The most particular one: of user and client id, of the user, of the client id; of each the name before the default.
  std::optional<Share> Find(std::string_view key, std::string_view user, std::string_view client_id) const;
  std::optional<double> ConnectionRate(std::string_view ip) const;

 private:
  ClientQuotas(std::string path, QuotaMap quotas) : path_(std::move(path)), all_(std::make_shared<const QuotaMap>(std::move(quotas))) {}

  const std::string path_;
  std::mutex turn_;           // one alteration at a time
  mutable std::mutex mutex_;
  std::shared_ptr<const QuotaMap> all_;  // guarded by mutex_
};

}  // namespace kappa::quota
