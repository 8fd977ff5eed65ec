// Quotas: how fast each client may produce and fetch, and for how long one that was faster is not listened to.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "quota/client_quotas.h"
#include "serve/kafka/server.h"

namespace kappa::serve::kafka {

/// Bytes a second, with a burst of one second. What is beyond is served all the same, and paid for with silence afterwards (KIP-219). Rates are
/// those that administrators set for the client, else those of the options. Thread-safe.
class Quotas {
 public:
  enum class Kind : uint8_t { kProduce, kFetch, kConnect };
  Quotas(const KafkaServerOptions& options, const quota::ClientQuotas& given)
      : rates_{static_cast<double>(options.produce_bytes_per_second), static_cast<double>(options.fetch_bytes_per_second)}, given_(given) {}

  /// Counts bytes of a client; `user` is empty when nobody authenticates. Returns for how many milliseconds it is not to be listened to.
  int32_t Charge(Kind kind, std::string_view user, std::string_view client_id, size_t bytes, int64_t now_us);
  /// What the client should be given at once, so that the silence for it ends in time; nothing: as much as there is.
  std::optional<int64_t> BytesAtOnce(Kind kind, std::string_view user, std::string_view client_id) const;
  /// False when there are too many new connections from this address.
  bool AdmitConnection(const std::string& ip, int64_t now_us);

 private:
  // Beyond so many that are not up to date, further clients share one quota.
  static constexpr size_t kPayersMax = 10'000;

  struct Account {
    double owed = 0;  // bytes at `at_us`; below zero: what may still be taken at once
    double rate = 0;
    int64_t at_us = 0;
    /// Lets the time pass. What is owed is paid at the new rate from now on.
    void Settle(double new_rate, int64_t now_us);
    bool paid(int64_t now_us) const { return owed - rate * static_cast<double>(now_us - at_us) / 1e6 <= -rate; }
  };
  using Accounts = std::unordered_map<std::string, Account>;

  /// The rate that counts for a client, and who pays for it; a rate of 0: none.
  quota::ClientQuotas::Share ShareOf(Kind kind, std::string_view user, std::string_view client_id) const;
  Account& AccountOf(Kind kind, const std::string& payer, double rate, int64_t now_us);  // mutex_ held

  const std::array<double, 2> rates_;
  const quota::ClientQuotas& given_;
  std::mutex mutex_;
  std::array<Accounts, 3> accounts_;  // guarded by mutex_
};

}  // namespace kappa::serve::kafka
