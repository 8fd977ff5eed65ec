// Goal: quotas outlive restarts and damage is told; Kafka's rules decide which is taken, which counts for whom, and who shares it.
// Method: files in a scratch folder; every order of precedence; a disk that fails at each step.
#include "quota/client_quotas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/checksum_line.h"
#include "io/failpoint.h"
#include "io/folder.h"

namespace kappa::quota {
namespace {

using testing::HasSubstr;

class ClientQuotasTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "quotas_" + std::to_string(getpid());
    ASSERT_TRUE(io::RemoveTree(folder_).ok());
    ASSERT_TRUE(io::CreateFolders(folder_).ok());
    Reopen();
  }
  void TearDown() override { ASSERT_TRUE(io::RemoveTree(folder_).ok()); }
  void Reopen() {
    auto opened = ClientQuotas::Open(path());
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    quotas_ = std::move(*opened);
  }
  std::string path() const { return folder_ + "/quotas"; }
  Status Set(const Entity& entity, std::string_view key, std::optional<double> value, bool validate_only = false) {
    return quotas_->Alter({{entity, {{std::string(key), value}}}}, validate_only).front();
  }
  double Rate(std::string_view user, std::string_view client) {
    const auto share = quotas_->Find(kProduceRate, user, client);
    return share ? share->per_second : 0;
  }

  std::string folder_;
  std::unique_ptr<ClientQuotas> quotas_;
};

const Entity kAnn{{"user", "ann"}};
const Entity kAnnsLoad{{"user", "ann"}, {"client-id", "a load\ntest=*%"}};

TEST_F(ClientQuotasTest, WhatIsSetIsThereAfterARestart) {
  ASSERT_TRUE(Set(kAnn, kProduceRate, 1024).ok());
  ASSERT_TRUE(Set(kAnn, kRequestPercentage, 12.5).ok());
  ASSERT_TRUE(Set(kAnnsLoad, kFetchRate, 9223372036854775807.0).ok());
  ASSERT_TRUE(Set({{"ip", std::nullopt}}, kConnectionRate, 3).ok());
  const QuotaMap expected{{kAnn, {{"producer_byte_rate", 1024}, {"request_percentage", 12.5}}},
                          {kAnnsLoad, {{"consumer_byte_rate", 9223372036854775807.0}}},
                          {{{"ip", std::nullopt}}, {{"connection_creation_rate", 3}}}};
  EXPECT_EQ(*quotas_->all(), expected);
  Reopen();
  EXPECT_EQ(*quotas_->all(), expected);
  ASSERT_TRUE(Set(kAnn, kProduceRate, std::nullopt).ok());
  ASSERT_TRUE(Set(kAnn, kRequestPercentage, std::nullopt).ok());
  ASSERT_TRUE(Set(kAnn, kRequestPercentage, std::nullopt).ok()) << "what is not there can be removed";
  Reopen();
  EXPECT_FALSE(quotas_->all()->contains(kAnn));
}

TEST_F(ClientQuotasTest, WhatIsOnlyLookedAtChangesNothing) {
  EXPECT_TRUE(Set(kAnn, kProduceRate, 1, /*validate_only=*/true).ok());
  EXPECT_FALSE(Set(kAnn, kProduceRate, -1, /*validate_only=*/true).ok());
  EXPECT_TRUE(quotas_->all()->empty());
  EXPECT_FALSE(io::Exists(path()));
}

TEST_F(ClientQuotasTest, WhatKafkaRefusesIsRefused) {
  const auto refused = [&](const Entity& entity, std::string_view key, double value) {
    const Status status = Set(entity, key, value);
    EXPECT_FALSE(status.ok());
    EXPECT_TRUE(status.ok() || status.error().Is(sqlstate::kInvalidParameterValue));
    return status.ok() ? "" : status.error().message();
  };
  EXPECT_THAT(refused({}, kProduceRate, 1), HasSubstr("needs a user"));
  EXPECT_THAT(refused({{"group", "g"}}, kProduceRate, 1), HasSubstr("\"group\" has no quotas"));
  EXPECT_THAT(refused({{"user", ""}}, kProduceRate, 1), HasSubstr("empty user"));
  EXPECT_THAT(refused({{"user", std::string(2000, 'x')}}, kProduceRate, 1), HasSubstr("at most 1024 bytes"));
  EXPECT_THAT(refused({{"ip", "here"}}, kConnectionRate, 1), HasSubstr("no IP address"));
  EXPECT_THAT(refused({{"ip", "0::1"}}, kConnectionRate, 1), HasSubstr("usual form")) << "connections are told as ::1";
  EXPECT_THAT(refused({{"ip", "::1"}, {"user", "ann"}}, kConnectionRate, 1), HasSubstr("no user"));
  EXPECT_THAT(refused(kAnn, "retention.ms", 1), HasSubstr("invalid configuration key \"retention.ms\": user \"ann\" has producer_byte_rate, "));
  EXPECT_THAT(refused(kAnn, kConnectionRate, 1), HasSubstr("invalid configuration key"));
  EXPECT_THAT(refused({{"ip", "::1"}}, kProduceRate, 1), HasSubstr("has connection_creation_rate"));
  EXPECT_THAT(refused(kAnn, kProduceRate, 0.5), HasSubstr("whole number"));
  for (const double value : {0.0, -1.0, 1e300, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    EXPECT_THAT(refused(kAnn, kRequestPercentage, value), HasSubstr("must be above 0"));
  }
  // One that is refused does not keep the others out, and takes none of its own keys.
  const std::vector<Status> outcomes =
      quotas_->Alter({{kAnn, {{std::string(kProduceRate), 5.0}, {"no", 1.0}}}, {{{"user", "bob"}}, {{std::string(kProduceRate), 5.0}}}}, false);
  EXPECT_FALSE(outcomes[0].ok());
  EXPECT_TRUE(outcomes[1].ok());
  EXPECT_EQ(*quotas_->all(), (QuotaMap{{{{"user", "bob"}}, {{"producer_byte_rate", 5}}}}));
}

TEST_F(ClientQuotasTest, TheMostParticularCounts) {
  const std::vector<Entity> orders = {{{"client-id", std::nullopt}},
                                      {{"client-id", "c"}},
                                      {{"user", std::nullopt}},
                                      {{"user", std::nullopt}, {"client-id", std::nullopt}},
                                      {{"user", std::nullopt}, {"client-id", "c"}},
                                      {{"user", "ann"}},
                                      {{"user", "ann"}, {"client-id", std::nullopt}},
                                      {{"user", "ann"}, {"client-id", "c"}}};
  EXPECT_EQ(Rate("ann", "c"), 0);
  for (size_t i = 0; i < orders.size(); ++i) {
    ASSERT_TRUE(Set(orders[i], kFetchRate, 1000).ok()) << "of another key";
    ASSERT_TRUE(Set(orders[i], kProduceRate, static_cast<double>(i + 1)).ok());
    EXPECT_EQ(Rate("ann", "c"), i + 1);
  }
  EXPECT_EQ(Rate("ann", "d"), 7);
  EXPECT_EQ(Rate("bob", "c"), 5);
  EXPECT_EQ(Rate("bob", "d"), 4);
}

TEST_F(ClientQuotasTest, WhoSharesAQuota) {
  const auto payer = [&](std::string_view user, std::string_view client) { return quotas_->Find(kProduceRate, user, client)->payer; };
  ASSERT_TRUE(Set({{"client-id", std::nullopt}}, kProduceRate, 1).ok());
  EXPECT_EQ(payer("ann", "c"), payer("bob", "c")) << "of a client id: whoever uses it";
  EXPECT_NE(payer("ann", "c"), payer("ann", "d"));
  ASSERT_TRUE(Set({{"user", std::nullopt}}, kProduceRate, 1).ok());
  EXPECT_EQ(payer("ann", "c"), payer("ann", "d")) << "of a user: all of its clients";
  EXPECT_NE(payer("ann", "c"), payer("bob", "c")) << "each user has the default for itself";
  ASSERT_TRUE(Set({{"user", "ann"}, {"client-id", std::nullopt}}, kProduceRate, 1).ok());
  EXPECT_NE(payer("ann", "c"), payer("ann", "d"));
  EXPECT_EQ(payer("bob", "c"), payer("bob", "d"));
}

TEST_F(ClientQuotasTest, AddressesHaveTheirOwn) {
  EXPECT_EQ(quotas_->ConnectionRate("10.0.0.1"), std::nullopt);
  ASSERT_TRUE(Set({{"ip", std::nullopt}}, kConnectionRate, 7).ok());
  ASSERT_TRUE(Set({{"ip", "10.0.0.1"}}, kConnectionRate, 2).ok());
  EXPECT_EQ(quotas_->ConnectionRate("10.0.0.1"), 2);
  EXPECT_EQ(quotas_->ConnectionRate("::1"), 7);
}

TEST_F(ClientQuotasTest, ADamagedFileIsRefusedAndNamed) {
  ASSERT_TRUE(Set(kAnn, kProduceRate, 1024).ok());
  const std::string text = *io::ReadWholeFile(path());
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    ASSERT_TRUE(io::WriteFileAtomically(path(), damaged).ok());
    const auto opened = ClientQuotas::Open(path());
    ASSERT_FALSE(opened.ok()) << i;
    EXPECT_TRUE(opened.error().Is(sqlstate::kDataCorrupted));
    EXPECT_THAT(opened.error().message(), HasSubstr(path()));
    EXPECT_FALSE(ParseQuotas("f", text.substr(0, i)).ok()) << i;
  }
  for (const char* wrong :
       {"", "kappa-quotas 1", "something\n", "kappa-quotas 1\n\n", "kappa-quotas 1\nuser=ann\n", "kappa-quotas 1\nuser=a b=1\n",
        "kappa-quotas 1\nuser=a producer_byte_rate=1\nuser=a producer_byte_rate=2\n", "kappa-quotas 1\nuser=%4 producer_byte_rate=1\n",
        "kappa-quotas 1\nproducer_byte_rate=1 user=a\n", "kappa-quotas 1\nuser=a user=b producer_byte_rate=1\n"}) {
    EXPECT_FALSE(ParseQuotas("f", WithChecksumLine(wrong)).ok()) << wrong;
  }
  EXPECT_TRUE(ParseQuotas("f", WithChecksumLine("kappa-quotas 2\n")).error().Is(sqlstate::kFeatureNotSupported));
}

TEST_F(ClientQuotasTest, ADiskThatFailsLeavesWhatWas) {
  ASSERT_TRUE(Set(kAnn, kProduceRate, 1).ok());
  for (const char* point : {"create", "write", "file_sync", "rename"}) {
    ASSERT_TRUE(io::SetFailpoints(std::string(point) + ":1:error").ok());
    EXPECT_FALSE(Set(kAnn, kProduceRate, 2).ok()) << point;
    ASSERT_TRUE(io::SetFailpoints("").ok());
    EXPECT_EQ(Rate("ann", "c"), 1) << point;
    Reopen();
    EXPECT_EQ(Rate("ann", "c"), 1) << point;
  }
}

TEST_F(ClientQuotasTest, ThereIsABound) {
  std::vector<Alteration> all(kEntitiesMax + 1, {{}, {{std::string(kProduceRate), 1.0}}});
  for (size_t i = 0; i < all.size(); ++i) all[i].entity["user"] = std::to_string(i);
  const std::vector<Status> outcomes = quotas_->Alter(all, false);
  EXPECT_TRUE(outcomes[kEntitiesMax - 1].ok());
  ASSERT_FALSE(outcomes[kEntitiesMax].ok());
  EXPECT_TRUE(outcomes[kEntitiesMax].error().Is(sqlstate::kProgramLimitExceeded));
  EXPECT_TRUE(Set({{"user", "0"}}, kProduceRate, 2).ok()) << "what is there can be changed";
}

}  // namespace
}  // namespace kappa::quota
