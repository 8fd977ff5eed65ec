// Goal: nobody is served before it is known who they are, and what comes before is bounded in size, time and kind.
// Method: a server that asks for SCRAM, and a client that sends every step, and every wrong step, by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "auth/sasl_testing.h"
#include "group/group_testing.h"
#include "log/log_testing.h"
#include "serve/kafka/admin_messages.h"
#include "serve/kafka/cluster_messages.h"
#include "serve/kafka/record_messages.h"
#include "serve/kafka/sasl_messages.h"
#include "serve/kafka/server.h"
#include "serve/kafka/wire_client.h"
#include "txn/txn_testing.h"

namespace kappa::serve::kafka {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class KafkaSecurityTest : public testing::Test {
 protected:
  void SetUp() override {
    log_ = log::OpenLog(folder_.path() + "/log");
    groups_ = group::OpenGroups(*log_);
    transactions_ = txn::OpenTransactions(*log_, *groups_);
    Status changed = auth::ChangeUserFile(folder_.path() + "/users", [](auth::UserFile& file) {
      file.users["ann"] = auth::MakeUser("secret of ann", auth::kIterationsMin);
      file.users["bob"] = auth::MakeUser("secret of bob", auth::kIterationsMin);
      return Status::Ok();
    });
    ASSERT_TRUE(changed.ok());
    users_ = auth::Users::Open(folder_.path() + "/users").value();
    Serve({});
  }
  void TearDown() override {
    server_.reset();
    transactions_.reset();
    groups_.reset();
    log_->Close();
  }
  void Serve(KafkaServerOptions options) {
    server_.reset();
    options.address = "127.0.0.1:0";
    options.users = users_.get();
    if (options.mechanisms.empty()) options.mechanisms = {auth::Mechanism::kScramSha256, auth::Mechanism::kScramSha512};
    options.failure_delay_ms = 1;
    options.on_client_error = [this](std::string_view, std::string_view reason) {
      const std::lock_guard lock(mutex_);
      reasons_ += std::string(reason) + "\n";
    };
    auto server = KafkaServer::Start(std::move(options), *log_, *groups_, *transactions_, *quotas_, io::RealClock());
    ASSERT_TRUE(server.ok()) << server.error().ToString();
    server_ = std::move(*server);
  }
  std::string reasons() {
    const std::lock_guard lock(mutex_);
    return reasons_;
  }
  static std::optional<SaslHandshakeResponse> Handshake(WireClient& client, const std::string& mechanism, int16_t version = 1) {
    return client.Call<SaslHandshakeResponse>(ApiKey::kSaslHandshake, version, SaslHandshakeRequest{mechanism});
  }
  static std::optional<SaslAuthenticateResponse> Send(WireClient& client, const std::string& message, int16_t version = 2) {
    return client.Call<SaslAuthenticateResponse>(ApiKey::kSaslAuthenticate, version, SaslAuthenticateRequest{{message}});
  }
  /// The whole exchange; the last answer.
  static SaslAuthenticateResponse Authenticate(WireClient& client, const auth::ScramClient& who, int16_t version = 2) {
    auto begun = Handshake(client, who.hash == auth::Hash::kSha256 ? "SCRAM-SHA-256" : "SCRAM-SHA-512");
    KAPPA_CHECK(begun && begun->error == Code::kNone);
    auto challenge = Send(client, who.First(), version);
    KAPPA_CHECK(challenge && challenge->error == Code::kNone);
    return Send(client, who.Final(challenge->message.bytes), version).value();
  }
  static bool Served(WireClient& client) { return client.Call<MetadataResponse>(ApiKey::kMetadata, 1, MetadataRequest{}).has_value(); }

  log::ScratchFolder folder_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<group::Groups> groups_;
  std::unique_ptr<txn::Transactions> transactions_;
  const std::unique_ptr<quota::ClientQuotas> quotas_ = quota::ClientQuotas::Open(folder_.path() + "/quotas").value();
  std::unique_ptr<auth::Users> users_;
  std::mutex mutex_;
  std::string reasons_;
  std::unique_ptr<KafkaServer> server_;
};

const auth::ScramClient kAnn{.user = "ann", .password = "secret of ann"};

TEST_F(KafkaSecurityTest, WhoProvesItIsServedInEveryVersionAndHash) {
  for (int16_t version = 0; version <= 2; ++version) {
    for (const auth::Hash hash : {auth::Hash::kSha256, auth::Hash::kSha512}) {
      WireClient client(server_->address());
      auth::ScramClient ann = kAnn;
      ann.hash = hash;
      const auto end = Authenticate(client, ann, version);
      EXPECT_EQ(end.error, Code::kNone);
      EXPECT_THAT(end.message.bytes, HasSubstr("v="));
      EXPECT_EQ(end.session_lifetime_ms, 0);
      EXPECT_TRUE(Served(client));
    }
  }
  EXPECT_EQ(server_->metrics().authentications.load(), 6u);
  EXPECT_EQ(server_->metrics().authentication_failures.load(), 0u);
}

TEST_F(KafkaSecurityTest, WrongPasswordAndUnknownUserAreToldTheSameAndClosed) {
  std::string texts;
  for (const char* name : {"ann", "nobody"}) {
    WireClient client(server_->address());
    const auto end = Authenticate(client, {.user = name, .password = "secret of bob"});
    EXPECT_EQ(end.error, Code::kSaslAuthenticationFailed);
    texts += end.text.value_or("") + "\n";
    EXPECT_TRUE(client.Ended());
  }
  EXPECT_EQ(texts, "authentication failed: wrong user or password\nauthentication failed: wrong user or password\n");
  EXPECT_THAT(reasons(), HasSubstr("user \"nobody\" with SCRAM-SHA-256"));
  EXPECT_THAT(reasons(), testing::Not(HasSubstr("secret")));
  EXPECT_EQ(server_->metrics().authentication_failures.load(), 2u);
}

TEST_F(KafkaSecurityTest, BeforeItOnlyVersionsAndMechanismsAreAnswered) {
  {
    WireClient client(server_->address());
    EXPECT_TRUE(client.Call<ApiVersionsResponse>(ApiKey::kApiVersions, 3, ApiVersionsRequest{"a", "1"}).has_value());
    const auto refused = Handshake(client, "GSSAPI");
    ASSERT_TRUE(refused.has_value());
    EXPECT_EQ(refused->error, Code::kUnsupportedSaslMechanism);
    EXPECT_THAT(refused->mechanisms, ElementsAre("SCRAM-SHA-256", "SCRAM-SHA-512"));
    EXPECT_EQ(Handshake(client, "PLAIN")->error, Code::kUnsupportedSaslMechanism) << "it is not offered";
    EXPECT_EQ(Handshake(client, "scram-sha-256")->error, Code::kNone);
    EXPECT_EQ(Handshake(client, "SCRAM-SHA-256")->error, Code::kIllegalSaslState) << "one exchange at a time";
    EXPECT_FALSE(Served(client)) << "in the middle of an exchange";
    EXPECT_TRUE(client.Ended());
  }
  for (const ApiKey key : {ApiKey::kMetadata, ApiKey::kDescribeCluster}) {
    WireClient client(server_->address());
    ASSERT_TRUE(client.Send(
        WithLength(key == ApiKey::kMetadata ? EncodeRequest(key, 1, 1, MetadataRequest{}) : EncodeRequest(key, 0, 1, DescribeClusterRequest{}))));
    EXPECT_TRUE(client.Ended());
  }
  WireClient client(server_->address());
  EXPECT_EQ(Send(client, "n,,n=ann,r=x")->error, Code::kIllegalSaslState) << "no mechanism was named";
  EXPECT_TRUE(client.Ended());
  EXPECT_THAT(reasons(), HasSubstr("Metadata request before authentication"));
  EXPECT_THAT(reasons(), HasSubstr("DescribeCluster request before authentication"));
}

TEST_F(KafkaSecurityTest, AStrangersFramesAreSmallAndItsTimeIsShort) {
  Serve({.authentication_timeout_ms = 200});
  WireClient large(server_->address());
  ASSERT_TRUE(large.Send(WithLength(EncodeRequest(ApiKey::kSaslHandshake, 1, 1, SaslHandshakeRequest{std::string(20'000, 'x')})).substr(0, 100)));
  EXPECT_TRUE(large.Ended());
  EXPECT_THAT(reasons(), HasSubstr("are allowed before authentication"));
  WireClient silent(server_->address());
  WireClient slow(server_->address());
  ASSERT_TRUE(Handshake(slow, "SCRAM-SHA-256").has_value());
  WireClient known(server_->address());
  ASSERT_EQ(Authenticate(known, kAnn).error, Code::kNone);
  EXPECT_TRUE(silent.Ended());
  EXPECT_TRUE(slow.Ended());
  EXPECT_THAT(reasons(), HasSubstr("no authentication within 200 ms"));
  EXPECT_TRUE(Served(known)) << "its time is its own";
}

TEST_F(KafkaSecurityTest, MessagesWithoutHeadersAfterHandshakeVersion0) {
  WireClient client(server_->address());
  ASSERT_EQ(Handshake(client, "SCRAM-SHA-256", 0)->error, Code::kNone);
  ASSERT_TRUE(client.Send(WithLength(kAnn.First())));
  const std::string challenge = client.ReadFrame().value_or("");
  ASSERT_TRUE(client.Send(WithLength(kAnn.Final(challenge))));
  EXPECT_THAT(client.ReadFrame().value_or(""), testing::StartsWith("v="));
  EXPECT_TRUE(Served(client));

  WireClient wrong(server_->address());
  ASSERT_EQ(Handshake(wrong, "SCRAM-SHA-256", 0)->error, Code::kNone);
  ASSERT_TRUE(wrong.Send(WithLength("rubbish")));
  EXPECT_TRUE(wrong.Ended());
}

TEST_F(KafkaSecurityTest, ASessionEndsAndIsRenewedByItsUser) {
  Serve({.session_lifetime_ms = 300});
  WireClient renewed(server_->address()), other(server_->address()), late(server_->address());
  for (WireClient* client : {&renewed, &other, &late}) EXPECT_EQ(Authenticate(*client, kAnn).session_lifetime_ms, 300);
  EXPECT_EQ(Authenticate(other, {.user = "bob", .password = "secret of bob"}).error, Code::kSaslAuthenticationFailed) << "as another user";
  EXPECT_TRUE(other.Ended());
  const int64_t begin = io::RealClock().SteadyMicros();
  while (io::RealClock().SteadyMicros() - begin < 310'000) EXPECT_EQ(Authenticate(renewed, kAnn).error, Code::kNone);
  EXPECT_TRUE(Served(renewed));
  EXPECT_FALSE(Served(late));
  EXPECT_THAT(reasons(), HasSubstr("Metadata request after the end of its session"));
}

TEST_F(KafkaSecurityTest, PlainNeedsTlsOrAFlag) {
  KafkaServerOptions options{.address = "127.0.0.1:0", .users = users_.get(), .mechanisms = {auth::Mechanism::kPlain}};
  auto refused = KafkaServer::Start(options, *log_, *groups_, *transactions_, *quotas_, io::RealClock());
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message(), HasSubstr("PLAIN without TLS"));
  options.plain_without_tls = true;
  Serve(options);
  WireClient client(server_->address());
  ASSERT_EQ(Handshake(client, "PLAIN")->error, Code::kNone);
  EXPECT_EQ(Send(client, std::string("\0ann\0secret of ann", 18))->error, Code::kNone);
  EXPECT_TRUE(Served(client));
}

TEST_F(KafkaSecurityTest, AnAddressForAllNeedsBothTlsAndAuthentication) {
  auto refused = KafkaServer::Start({.address = "0.0.0.0:0", .users = users_.get(), .mechanisms = {auth::Mechanism::kScramSha256}}, *log_, *groups_,
                                    *transactions_, *quotas_, io::RealClock());
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().detail(), HasSubstr("no encryption"));
}

TEST_F(KafkaSecurityTest, ATlsClientIsToldApartOnAPlainPort) {
  WireClient client(server_->address());
  ASSERT_TRUE(client.Send(std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01", 8)));
  EXPECT_TRUE(client.Ended());
  EXPECT_THAT(reasons(), HasSubstr("a TLS handshake came, but this port speaks plain text"));
}

TEST_F(KafkaSecurityTest, AUsersQuotaCountsForAllOfItsConnections) {
  log::CreateOne(*log_, "t");
  const auto set = quotas_->Alter({{{{"user", "ann"}}, {{"producer_byte_rate", 100'000.0}}}}, false);
  ASSERT_TRUE(set.front().ok());
  WireClient first(server_->address()), second(server_->address()), other(server_->address());
  Authenticate(first, kAnn);
  Authenticate(second, kAnn);
  Authenticate(other, {.user = "bob", .password = "secret of bob"});
  const std::string batch = log::OneBatch({std::string(60'000, 'x')});
  const auto throttle = [&](WireClient& client) {
    return client.Call<ProduceResponse>(ApiKey::kProduce, 7, ProduceRequest{.acks = -1, .timeout_ms = 1000, .topics = {{"t", {{0, batch}}}}})
        ->throttle_ms;
  };
  EXPECT_EQ(throttle(first), 0);
  EXPECT_GT(throttle(second), 100);
  EXPECT_EQ(throttle(other), 0);
}

TEST_F(KafkaSecurityTest, UsersAreShownWithoutWhatTheirPasswordsGive) {
  WireClient client(server_->address());
  Authenticate(client, kAnn);
  const auto describe = [&](std::optional<std::vector<DescribeUserScramCredentialsRequest::User>> users) {
    std::string text;
    const auto answer = client.Call<DescribeUserScramCredentialsResponse>(ApiKey::kDescribeUserScramCredentials, 0,
                                                                          DescribeUserScramCredentialsRequest{std::move(users)});
    for (const auto& user : answer->users) {
      text += user.name + " " + std::to_string(static_cast<int>(user.error));
      for (const auto& each : user.credentials) text += " " + std::to_string(each.mechanism) + ":" + std::to_string(each.iterations);
      text += "; ";
    }
    return text;
  };
  EXPECT_EQ(describe(std::nullopt), "ann 0 1:4096 2:4096; bob 0 1:4096 2:4096; ");
  EXPECT_EQ(describe({{{"bob"}, {"eve"}}}), "bob 0 1:4096 2:4096; eve 91; ");
  EXPECT_EQ(describe({{{"bob"}, {"bob"}}}), "bob 92; ");
}

TEST(KafkaNoSecurityTest, WithoutUsersSaslIsOutOfPlace) {
  log::ScratchFolder folder;
  auto log = log::OpenLog(folder.path());
  auto groups = group::OpenGroups(*log);
  auto transactions = txn::OpenTransactions(*log, *groups);
  const auto quotas = quota::ClientQuotas::Open(folder.path() + "/quotas").value();
  {
    auto server = KafkaServer::Start({.address = "127.0.0.1:0"}, *log, *groups, *transactions, *quotas, io::RealClock()).value();
    WireClient client(server->address());
    auto begun = client.Call<SaslHandshakeResponse>(ApiKey::kSaslHandshake, 1, SaslHandshakeRequest{"PLAIN"});
    EXPECT_EQ(begun->error, Code::kIllegalSaslState);
    auto sent = client.Call<SaslAuthenticateResponse>(ApiKey::kSaslAuthenticate, 1, SaslAuthenticateRequest{{"x"}});
    EXPECT_EQ(sent->error, Code::kIllegalSaslState);
    EXPECT_TRUE(client.Call<ApiVersionsResponse>(ApiKey::kApiVersions, 0, ApiVersionsRequest{}).has_value()) << "the connection goes on";
  }
  transactions.reset();
  groups.reset();
  log->Close();
}

}  // namespace
}  // namespace kappa::serve::kafka
