// Goal: who knows the password gets in, nobody else does, and a stranger learns nothing about who is a user.
// Method: the example of RFC 7677; exchanges with a client of our own, every message broken in turn; files of users read and written.
#include "auth/sasl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "auth/sasl_testing.h"
#include "io/folder.h"

namespace kappa::auth {
namespace {

using testing::HasSubstr;

TEST(ScramTest, TheExampleOfRfc7677) {
  const std::string salt = FromBase64("W22ZaJ0SNY7soEsUEjb6gQ==").value();
  const Verifier verifier = MakeVerifier(Hash::kSha256, "pencil", salt, 4096);
  const std::string nonces = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  const std::string message = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=" + nonces + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=" + nonces;
  EXPECT_TRUE(ProofFits(verifier, message, FromBase64("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").value()));
  EXPECT_FALSE(ProofFits(verifier, message, FromBase64("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVA=").value()));
  EXPECT_FALSE(ProofFits(verifier, message, ""));
  EXPECT_EQ(Base64(ServerSignature(verifier, message)), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

TEST(ScramTest, VerifiersAsText) {
  const Verifier made = MakeVerifier(Hash::kSha512, "pencil", "0123456789abcdef", 5000);
  auto read = ParseVerifier(VerifierText(made));
  ASSERT_TRUE(read.has_value());
  EXPECT_TRUE(PasswordFits(*read, "pencil"));
  EXPECT_FALSE(PasswordFits(*read, "pencil "));
  const std::string text = VerifierText(made);
  for (size_t length = 0; length < text.size(); ++length) EXPECT_FALSE(ParseVerifier(text.substr(0, length)).has_value()) << length;
  EXPECT_FALSE(ParseVerifier("SCRAM-SHA-256" + text.substr(13)).has_value()) << "keys of another length";
  EXPECT_FALSE(ParseVerifier("SCRAM-SHA-512$1" + text.substr(text.find(':'))).has_value()) << "too few iterations";
}

class SaslTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/kappa_auth_test_XXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    path_ = folder_ + "/users";
    Put("ann", "secret of ann");
    Open();
  }
  void TearDown() override { [[maybe_unused]] Status removed = io::RemoveTree(folder_); }
  void Put(const std::string& name, const std::string& password) {
    Status changed = ChangeUserFile(path_, [&](UserFile& file) {
      file.users.insert_or_assign(name, MakeUser(password, kIterationsMin));
      return Status::Ok();
    });
    ASSERT_TRUE(changed.ok()) << changed.error().ToString();
  }
  void Open() {
    auto users = Users::Open(path_, [this](const Error& error) { told_.push_back(error.message()); });
    ASSERT_TRUE(users.ok()) << users.error().ToString();
    users_ = std::move(*users);
  }
  Result<std::string> Exchange(const ScramClient& client) {
    const Mechanism mechanism = client.hash == Hash::kSha256 ? Mechanism::kScramSha256 : Mechanism::kScramSha512;
    auto exchange = SaslExchange::Begin(mechanism, *users_);
    KAPPA_ASSIGN_OR_RETURN(const std::string challenge, exchange->Step(client.First()));
    KAPPA_ASSIGN_OR_RETURN(const std::string end, exchange->Step(client.Final(challenge)));
    EXPECT_TRUE(exchange->done());
    return exchange->user() + " " + end;
  }
  std::string Challenge(const std::string& user) {
    ScramClient client{.user = user};
    return SaslExchange::Begin(Mechanism::kScramSha256, *users_)->Step(client.First()).value();
  }

  std::string folder_, path_;
  std::unique_ptr<Users> users_;
  std::vector<std::string> told_;
};

TEST_F(SaslTest, TheRightPasswordGetsInTheWrongOneDoesNot) {
  for (const Hash hash : {Hash::kSha256, Hash::kSha512}) {
    auto in = Exchange({.hash = hash, .user = "ann", .password = "secret of ann"});
    ASSERT_TRUE(in.ok()) << in.error().ToString();
    EXPECT_THAT(*in, HasSubstr("ann v="));
    auto wrong = Exchange({.hash = hash, .user = "ann", .password = "secret of bob"});
    auto nobody = Exchange({.hash = hash, .user = "bob", .password = "secret of ann"});
    ASSERT_FALSE(wrong.ok());
    ASSERT_FALSE(nobody.ok());
    EXPECT_TRUE(wrong.error().Is(sqlstate::kInvalidPassword));
    EXPECT_EQ(wrong.error().ToString(), nobody.error().ToString()) << "the same words";
    EXPECT_THAT(wrong.error().ToString(), testing::Not(HasSubstr("secret")));
  }
}

TEST_F(SaslTest, AStrangersChallengeLooksLikeAUsers) {
  auto tail = [](const std::string& challenge) { return challenge.substr(challenge.find(",s=")); };
  EXPECT_EQ(tail(Challenge("ann")), tail(Challenge("ann")));
  EXPECT_EQ(tail(Challenge("bob")), tail(Challenge("bob"))) << "the salt of a name stays";
  EXPECT_NE(tail(Challenge("bob")), tail(Challenge("cid")));
  EXPECT_EQ(tail(Challenge("bob")).size(), tail(Challenge("ann")).size());
  const std::string before = tail(Challenge("bob"));
  Open();
  EXPECT_EQ(tail(Challenge("bob")), before) << "also over a restart";
  EXPECT_THAT(Challenge("bob"), HasSubstr(",i=4096"));
  EXPECT_NE(Challenge("ann"), Challenge("ann")) << "the nonce is new each time";
}

TEST_F(SaslTest, MessagesOutOfFormFail) {
  const ScramClient client{.user = "ann", .password = "secret of ann"};
  for (const char* first : {"", "n", "n,", "n,,", "x,,n=ann,r=x", "p=tls-unique,,n=ann,r=x", "n,,r=x", "n,,n=ann", "n,,n=ann,",
                            "n,,n=ann,r=", "n,,n=ann,s=x", "n,,m=ext,n=ann,r=x", "n,,n=an=2n,r=x", "n,,n=an=,r=x", "n,a=bob,n=ann,r=x"}) {
    auto answer = SaslExchange::Begin(Mechanism::kScramSha256, *users_)->Step(first);
    ASSERT_FALSE(answer.ok()) << first;
    EXPECT_TRUE(answer.error().Is(sqlstate::kProtocolViolation)) << first;
  }
  auto last = [&](auto change) {
    auto exchange = SaslExchange::Begin(Mechanism::kScramSha256, *users_);
    std::string message = client.Final(exchange->Step(client.First()).value());
    change(message);
    auto answer = exchange->Step(message);
    EXPECT_FALSE(exchange->Step(client.First()).ok()) << "an exchange has one end";
    return answer.ok();
  };
  EXPECT_TRUE(last([](std::string&) {}));
  EXPECT_FALSE(last([](std::string& m) { m.clear(); }));
  EXPECT_FALSE(last([](std::string& m) { m.resize(m.rfind(",p=")); }));
  EXPECT_FALSE(last([](std::string& m) { m.resize(m.rfind(",p=") + 3); }));
  EXPECT_FALSE(last([](std::string& m) { m.replace(0, 6, "c=eSws"); })) << "another header than the first message's";
  EXPECT_FALSE(last([](std::string& m) { m.replace(m.find("r=") + 2, 1, "X"); })) << "another nonce";
  EXPECT_FALSE(last([](std::string& m) { m.insert(m.find(",p="), ",x=unsigned"); })) << "the proof is over all before it";
  EXPECT_FALSE(last([](std::string& m) { m.back() = m.back() == 'A' ? 'B' : 'A'; }));
}

TEST_F(SaslTest, ClientsThatSendTheirNonceTwice) {
  EXPECT_TRUE(Exchange({.user = "ann", .password = "secret of ann", .own_nonce_twice = true}).ok());
  EXPECT_FALSE(Exchange({.user = "ann", .password = "secret of bob", .own_nonce_twice = true}).ok());
}

TEST_F(SaslTest, NamesWithEscapesAndIdentities) {
  EXPECT_TRUE(Exchange({.user = "ann", .password = "secret of ann", .header = "y,,"}).ok()) << "a client that could bind the channel";
  EXPECT_TRUE(Exchange({.user = "ann", .password = "secret of ann", .header = "n,a=ann,"}).ok());
  EXPECT_FALSE(Exchange({.user = "a=2Cnn", .password = "secret of ann"}).ok());
}

TEST_F(SaslTest, Plain) {
  auto plain = [&](std::string_view message) { return SaslExchange::Begin(Mechanism::kPlain, *users_)->Step(message); };
  using namespace std::string_view_literals;
  EXPECT_TRUE(plain("\0ann\0secret of ann"sv).ok());
  EXPECT_TRUE(plain("ann\0ann\0secret of ann"sv).ok());
  EXPECT_TRUE(plain("\0ann\0secret of bob"sv).error().Is(sqlstate::kInvalidPassword));
  EXPECT_TRUE(plain("\0bob\0secret of ann"sv).error().Is(sqlstate::kInvalidPassword));
  EXPECT_TRUE(plain("\0ann\0"sv).error().Is(sqlstate::kInvalidPassword));
  EXPECT_TRUE(plain("bob\0ann\0secret of ann"sv).error().Is(sqlstate::kProtocolViolation));
  EXPECT_TRUE(plain("ann\0secret of ann"sv).error().Is(sqlstate::kProtocolViolation));
  EXPECT_TRUE(plain(""sv).error().Is(sqlstate::kProtocolViolation));
  EXPECT_TRUE(plain("\0ann\0secret of ann\0"sv).error().Is(sqlstate::kProtocolViolation));
  const auto failed = SaslExchange::Begin(Mechanism::kPlain, *users_);
  EXPECT_FALSE(failed->Step("ann"sv).ok());
  EXPECT_FALSE(failed->Step("\0ann\0secret of ann"sv).ok()) << "after an error it is over";
}

TEST_F(SaslTest, AChangeOfTheFileCountsAtOnce) {
  Put("bob", "secret of bob");
  EXPECT_TRUE(Exchange({.user = "bob", .password = "secret of bob"}).ok());
  Put("ann", "new secret");
  EXPECT_FALSE(Exchange({.user = "ann", .password = "secret of ann"}).ok());
  EXPECT_TRUE(Exchange({.user = "ann", .password = "new secret"}).ok());
  std::ofstream(path_, std::ios::app) << "rubbish";
  EXPECT_TRUE(Exchange({.user = "ann", .password = "new secret"}).ok()) << "the users stay as they were";
  EXPECT_TRUE(Exchange({.user = "ann", .password = "new secret"}).ok());
  EXPECT_THAT(told_, testing::ElementsAre(HasSubstr("line 5: the line is cut off")));
}

TEST_F(SaslTest, OnlyTheOwnerReadsTheFileAndNoPasswordIsInIt) {
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_THAT(io::ReadWholeFile(path_).value(), testing::Not(HasSubstr("secret")));
}

TEST_F(SaslTest, AFileOutOfFormIsRefusedByLine) {
  const std::string text = io::ReadWholeFile(path_).value();
  ASSERT_TRUE(UserFile::Parse("f", text).ok());
  for (size_t length = 0; length < text.size(); ++length) {
    const std::string part = text.substr(0, length);
    EXPECT_EQ(UserFile::Parse("f", part).ok(), length == text.find("user ann")) << "a file may have no users: " << length;
  }
  const std::string user = text.substr(text.find("user ann"));
  EXPECT_THAT(UserFile::Parse("f", text + user).error().message(), HasSubstr("line 4: user \"ann\" is there twice"));
  EXPECT_FALSE(UserFile::Parse("f", text + "user b$b " + user.substr(9)).ok());
}

TEST(UserNameTest, NamesAndPasswords) {
  for (const char* good : {"ann", "a.b_c-d@E9", "0"}) EXPECT_TRUE(CheckUserName(good).ok()) << good;
  for (const char* bad : {"", "a b", "a\n", "a,b", "a=b", "\xc3\xa9"}) EXPECT_FALSE(CheckUserName(bad).ok()) << bad;
  EXPECT_TRUE(CheckUserName(std::string(63, 'a')).ok());
  EXPECT_FALSE(CheckUserName(std::string(64, 'a')).ok());
  EXPECT_TRUE(CheckPassword("~ !").ok());
  EXPECT_FALSE(CheckPassword("").ok());
  EXPECT_FALSE(CheckPassword("p\xc3\xa4ss").ok());
  EXPECT_FALSE(CheckPassword("a\tb").ok());
}

}  // namespace
}  // namespace kappa::auth
