// Quotas: how fast each client may produce and fetch, and for how long one that was faster is not listened to.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "serve/kafka/server.h"

namespace kappa::serve::kafka {

/// Bytes a second, with a burst of one second. What is beyond is served all the same, and paid for with silence afterwards (KIP-219). Thread-safe.
class Quotas {
 public:
  enum class Kind : uint8_t { kProduce, kFetch };
  explicit Quotas(const KafkaServerOptions& options) : rates_{options.produce_bytes_per_second, options.fetch_bytes_per_second} {}

  /// Counts bytes for `payer`. Returns for how many milliseconds it is not to be listened to.
  int32_t Charge(Kind kind, const std::string& payer, size_t bytes, int64_t now_us);

 private:
  // Beyond so many that are not up to date, further clients share one quota.
  static constexpr size_t kPayersMax = 10'000;

  using PaidUntil = std::unordered_map<std::string, int64_t>;  // when the bytes of each will have come at its rate, in microseconds
  static void ForgetPaid(PaidUntil& all, int64_t now_us);

  const std::array<int64_t, 2> rates_;
  std::mutex mutex_;
  std::array<PaidUntil, 2> paid_until_;  // guarded by mutex_
};

}  // namespace kappa::serve::kafka
