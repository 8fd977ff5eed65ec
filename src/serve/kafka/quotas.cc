#include "serve/kafka/quotas.h"

#include <algorithm>

namespace kappa::serve::kafka {
namespace {

constexpr int64_t kBurstMicros = 1'000'000;
constexpr int64_t kSilenceMsMax = 30'000;  // below the time after which clients give a request up; the debt stays

}  // namespace

void Quotas::ForgetPaid(PaidUntil& all, int64_t now_us) {
  std::erase_if(all, [&](const auto& each) { return each.second <= now_us - kBurstMicros; });
}

int32_t Quotas::Charge(Kind kind, const std::string& payer, size_t bytes, int64_t now_us) {
  const int64_t rate = rates_[static_cast<size_t>(kind)];
  if (rate == 0 || bytes == 0) return 0;
  const std::lock_guard lock(mutex_);
  PaidUntil& all = paid_until_[static_cast<size_t>(kind)];
  if (all.size() >= kPayersMax && !all.contains(payer)) ForgetPaid(all, now_us);
  static const std::string kRest;
  int64_t& until = all.try_emplace(all.size() >= kPayersMax && !all.contains(payer) ? kRest : payer, now_us - kBurstMicros).first->second;
  const auto cost_us = static_cast<int64_t>(static_cast<double>(bytes) * 1e6 / static_cast<double>(rate));
  until = std::max(until, now_us - kBurstMicros) + cost_us;
  return static_cast<int32_t>(std::clamp<int64_t>((until - now_us) / 1000, 0, kSilenceMsMax));
}

}  // namespace kappa::serve::kafka
