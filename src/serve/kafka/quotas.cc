#include "serve/kafka/quotas.h"

#include <algorithm>

namespace kappa::serve::kafka {
namespace {

constexpr double kBurstSeconds = 1;
constexpr double kAtOnceSeconds = 10;  // worth of bytes in one answer: as many as Kafka's window has
constexpr double kSilenceMsMax = 30'000;  // below the time after which clients give a request up; the debt stays

}  // namespace

void Quotas::Account::Settle(double new_rate, int64_t now_us) {
  owed = std::max(owed - rate * static_cast<double>(now_us - at_us) / 1e6, -new_rate * kBurstSeconds);
  rate = new_rate;
  at_us = now_us;
}

quota::ClientQuotas::Share Quotas::ShareOf(Kind kind, std::string_view user, std::string_view client_id) const {
  const std::string_view key = kind == Kind::kProduce ? quota::kProduceRate : quota::kFetchRate;
  if (auto share = given_.Find(key, user.empty() ? quota::kAnonymous : user, client_id)) return *share;
  return {rates_[static_cast<size_t>(kind)], std::string(user.empty() ? client_id : user)};
}

Quotas::Account& Quotas::AccountOf(Kind kind, const std::string& payer, double rate, int64_t now_us) {
  Accounts& all = accounts_[static_cast<size_t>(kind)];
  const bool known = all.contains(payer);
  if (all.size() >= kPayersMax && !known) std::erase_if(all, [&](const auto& each) { return each.second.paid(now_us); });
  static const std::string kRest;
  const auto [at, is_new] = all.try_emplace(all.size() >= kPayersMax && !known ? kRest : payer);
  if (is_new) at->second = {.owed = -rate * kBurstSeconds, .rate = rate, .at_us = now_us};
  at->second.Settle(rate, now_us);
  return at->second;
}

int32_t Quotas::Charge(Kind kind, std::string_view user, std::string_view client_id, size_t bytes, int64_t now_us) {
  if (bytes == 0) return 0;
  const quota::ClientQuotas::Share share = ShareOf(kind, user, client_id);
  if (share.per_second == 0) return 0;
  const std::lock_guard lock(mutex_);
  Account& account = AccountOf(kind, share.payer, share.per_second, now_us);
  account.owed += static_cast<double>(bytes);
  return static_cast<int32_t>(std::clamp(account.owed * 1000 / account.rate, 0.0, kSilenceMsMax));
}

std::optional<int64_t> Quotas::BytesAtOnce(Kind kind, std::string_view user, std::string_view client_id) const {
  const double rate = ShareOf(kind, user, client_id).per_second;
  if (rate == 0) return std::nullopt;
  return static_cast<int64_t>(std::min(rate * kAtOnceSeconds, 1e15));
}

bool Quotas::AdmitConnection(const std::string& ip, int64_t now_us) {
  const std::optional<double> rate = given_.ConnectionRate(ip);
  if (!rate) return true;
  const std::lock_guard lock(mutex_);
  Account& account = AccountOf(Kind::kConnect, ip, *rate, now_us);
  if (account.owed + 1 > 0) return false;
  account.owed += 1;
  return true;
}

}  // namespace kappa::serve::kafka
