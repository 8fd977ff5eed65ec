#include "auth/sasl.h"

#include <fmt/format.h>
#include <strings.h>

#include <array>
#include <utility>

#include "auth/scram.h"

namespace kappa::auth {
namespace {

constexpr std::array kNames = {"SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"};
constexpr size_t kNonceBytes = 24;

Error WrongCredentials() { return Error(sqlstate::kInvalidPassword, "wrong user or password"); }
Error Malformed(const char* mechanism, std::string_view what) {
  return Error(sqlstate::kProtocolViolation, fmt::format("malformed {} message: {}", mechanism, what));
}

/// RFC 5802: two messages of the client, "n,,n=user,r=nonce" and "c=biws,r=nonces,p=proof".
class ScramExchange final : public SaslExchange {
 public:
  ScramExchange(Mechanism mechanism, Users& users) : mechanism_(mechanism), users_(users) {}

  Result<std::string> Step(std::string_view message) override {
    if (!done_ && state_ == State::kFirst) return Challenge(message);
    if (!done_ && state_ == State::kFinal) return Finish(message);
    return Wrong("unexpected after the end of the exchange");
  }

 private:
  enum class State : uint8_t { kFirst, kFinal, kOver };
  Error Wrong(std::string_view what) const { return Malformed(MechanismName(mechanism_), what); }

  Result<std::string> Challenge(std::string_view message) {
    state_ = State::kOver;
    // The header: binding flag, identity to act as.
    if (message.starts_with("p=")) return Wrong("channel binding is not supported");
    if (!message.starts_with("n,") && !message.starts_with("y,")) return Wrong("no binding flag");
    const size_t header_end = message.find(',', 2);
    if (header_end == message.npos) return Wrong("no header");
    const std::string_view acts_as = message.substr(2, header_end - 2);
    header_ = message.substr(0, header_end + 1);
    bare_ = message.substr(header_end + 1);
    // The rest: name, nonce, extensions that are passed over.
    std::string_view rest = bare_;
    if (!rest.starts_with("n=")) return Wrong(rest.starts_with("m=") ? "unknown mandatory extension" : "no user name");
    const size_t name_end = rest.find(',');
    if (name_end == rest.npos) return Wrong("no nonce");
    auto name = Unescape(rest.substr(2, name_end - 2));
    if (!name) return Wrong("user name with a broken escape");
    rest.remove_prefix(name_end + 1);
    if (!rest.starts_with("r=")) return Wrong("no nonce");
    const std::string_view nonce = rest.substr(2, std::min(rest.find(','), rest.size()) - 2);
    if (nonce.empty()) return Wrong("empty nonce");
    if (!acts_as.empty() && acts_as != "a=" + std::string(bare_.substr(2, name_end - 2))) return Wrong("to act as another user is not supported");
    if (!named_) SetUser(*name);

    found_ = users_.Find(user_, mechanism_ == Mechanism::kScramSha256 ? Hash::kSha256 : Hash::kSha512);
    own_nonce_ = nonce;
    nonces_ = own_nonce_ + Base64(RandomBytes(kNonceBytes));
    challenge_ = fmt::format("r={},s={},i={}", nonces_, Base64(found_.verifier.salt), found_.verifier.iterations);
    state_ = State::kFinal;
    return challenge_;
  }

  Result<std::string> Finish(std::string_view message) {
    state_ = State::kOver;
    const size_t proof_at = message.rfind(",p=");
    if (proof_at == message.npos) return Wrong("no proof");
    const std::string_view without_proof = message.substr(0, proof_at);
    const auto proof = FromBase64(message.substr(proof_at + 3));
    if (!proof) return Wrong("the proof is not base64");
    if (!without_proof.starts_with("c=")) return Wrong("no binding");
    const size_t binding_end = std::min(without_proof.find(','), without_proof.size());
    if (without_proof.substr(2, binding_end - 2) != Base64(header_)) return Wrong("the binding is not that of the first message");
    std::string_view rest = without_proof.substr(binding_end);
    if (!rest.starts_with(",r=")) return Wrong("no nonce");
    rest.remove_prefix(3);
    const std::string_view nonces = rest.substr(0, rest.find(','));
    // librdkafka before 2.6.1 puts its own nonce before both. The proof covers what was given all the same.
    if (nonces != nonces_ && nonces != own_nonce_ + nonces_) return Wrong("the nonce is not the one that was given");

    const std::string signed_text = fmt::format("{},{},{}", bare_, challenge_, without_proof);
    if (!ProofFits(found_.verifier, signed_text, *proof) || !found_.known) return WrongCredentials();
    done_ = true;
    return "v=" + Base64(ServerSignature(found_.verifier, signed_text));
  }

  /// "=2C" is a comma, "=3D" an equals sign.
  static std::optional<std::string> Unescape(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '=') {
        out.push_back(text[i]);
        continue;
      }
      const std::string_view code = text.substr(i, 3);
      if (code != "=2C" && code != "=3D") return std::nullopt;
      out.push_back(code == "=2C" ? ',' : '=');
      i += 2;
    }
    return out;
  }

  const Mechanism mechanism_;
  Users& users_;
  State state_ = State::kFirst;
  std::string header_, bare_, own_nonce_, nonces_, challenge_;
  Users::Found found_;
};

/// RFC 4616: one message, "[identity]\0user\0password".
class PlainExchange final : public SaslExchange {
 public:
  explicit PlainExchange(Users& users) : users_(users) {}

  Result<std::string> Step(std::string_view message) override {
    const size_t first = message.find('\0');
    const size_t second = first == message.npos ? message.npos : message.find('\0', first + 1);
    if (std::exchange(over_, true)) return Malformed("PLAIN", "unexpected after the end of the exchange");
    if (second == message.npos || message.find('\0', second + 1) != message.npos) return Malformed("PLAIN", "not two separators");
    const std::string_view acts_as = message.substr(0, first), name = message.substr(first + 1, second - first - 1),
                           password = message.substr(second + 1);
    if (!acts_as.empty() && acts_as != name) return Malformed("PLAIN", "to act as another user is not supported");
    SetUser(name);
    if (password.size() > kPasswordBytesMax) return WrongCredentials();
    const Users::Found found = users_.Find(user_, Hash::kSha256);
    if (!PasswordFits(found.verifier, password) || !found.known) return WrongCredentials();
    done_ = true;
    return std::string();
  }

 private:
  Users& users_;
  bool over_ = false;
};

}  // namespace

const char* MechanismName(Mechanism mechanism) { return kNames[static_cast<size_t>(mechanism)]; }

std::optional<Mechanism> FindMechanism(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name.size() == std::string_view(kNames[i]).size() && ::strncasecmp(name.data(), kNames[i], name.size()) == 0)
      return static_cast<Mechanism>(i);
  }
  return std::nullopt;
}

std::unique_ptr<SaslExchange> SaslExchange::Begin(Mechanism mechanism, Users& users) {
  if (mechanism == Mechanism::kPlain) return std::make_unique<PlainExchange>(users);
  return std::make_unique<ScramExchange>(mechanism, users);
}

void SaslExchange::SetUser(std::string_view name) {
  named_ = true;
  user_ = name.size() <= kUserNameBytesMax ? std::string(name) : std::string(name.substr(0, kUserNameBytesMax)) + "...";  // no user's name
}

}  // namespace kappa::auth
