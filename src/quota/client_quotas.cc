#include "quota/client_quotas.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "base/checksum_line.h"
#include "io/folder.h"

namespace kappa::quota {
namespace {

constexpr std::string_view kFirstLine = "kappa-quotas 1";
constexpr std::string_view kFirstWord = "kappa-quotas ";
constexpr uint64_t kFileBytesMax = 64 << 20;
constexpr double kValueMax = static_cast<double>(std::numeric_limits<int64_t>::max());

/// What can be set, for whom.
struct Key {
  std::string_view name;
  bool of_addresses;  // else of users and client ids
  bool whole;         // only whole numbers, as in Kafka
};
constexpr Key kKeys[] = {{kProduceRate, false, true}, {kFetchRate, false, true}, {kRequestPercentage, false, false}, {kConnectionRate, true, true}};

Error Invalid(std::string message) { return {sqlstate::kInvalidParameterValue, std::move(message)}; }

/// In the form in which the addresses of connections are told.
bool IsAddress(const std::string& text) {
  for (const int family : {AF_INET, AF_INET6}) {
    unsigned char bytes[sizeof(in6_addr)];
    char usual[INET6_ADDRSTRLEN];
    if (::inet_pton(family, text.c_str(), bytes) == 1 && ::inet_ntop(family, bytes, usual, sizeof usual) != nullptr) return text == usual;
  }
  return false;
}

Status CheckEntity(const Entity& entity) {
  if (entity.empty()) return Invalid("a quota needs a user, a client-id or an ip");
  for (const auto& [kind, name] : entity) {
    if (kind != kUser && kind != kClientId && kind != kIp)
      return Invalid(fmt::format("\"{}\" has no quotas: there are user, client-id and ip", kind));
    if (name && name->empty()) return Invalid(fmt::format("empty {} not supported", kind));
    if (name && name->size() > kNameBytesMax) return Invalid(fmt::format("a {} of a quota has at most {} bytes", kind, kNameBytesMax));
    if (kind == kIp && name && !IsAddress(*name)) return Invalid(fmt::format("\"{}\" is no IP address in its usual form", *name));
  }
  if (entity.contains(kIp) && entity.size() > 1) return Invalid("a quota of an ip names no user and no client-id");
  return {};
}

Status CheckValue(const Entity& entity, std::string_view name, const std::optional<double>& value) {
  for (const Key& key : kKeys) {
    if (key.name != name || key.of_addresses != entity.contains(kIp)) continue;
    if (!value) return {};
    if (!(*value > 0 && *value <= kValueMax)) return Invalid(fmt::format("{} must be above 0, and at most {:.0f}", name, kValueMax));
    if (key.whole && *value != std::floor(*value)) return Invalid(fmt::format("{} must be a whole number", name));
    return {};
  }
  std::string known;
  for (const Key& key : kKeys) {
    if (key.of_addresses == entity.contains(kIp)) known += fmt::format("{}{}", known.empty() ? "" : ", ", key.name);
  }
  return Invalid(fmt::format("invalid configuration key \"{}\": {} has {}", name, EntityText(entity), known));
}

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '@' || c == '-' || c == ':';
}

/// A name as one word: what could be taken for something else is "%" and two digits.
std::string NameText(const std::optional<std::string>& name) {
  if (!name) return "*";
  std::string text;
  for (const char c : *name) IsPlain(c) ? text += c : text += fmt::format("%{:02x}", static_cast<unsigned char>(c));
  return text;
}

std::optional<std::optional<std::string>> ParseName(std::string_view text) {
  if (text == "*") return std::optional<std::string>();
  std::string name;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    if (text[i] != '%') {
      if (!IsPlain(text[i])) return std::nullopt;
      name += text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2) return std::nullopt;
    name += static_cast<char>(byte);
    i += 2;
  }
  return std::optional<std::string>(std::move(name));
}

/// "user=ann client-id=* producer_byte_rate=1024", into `quotas`.
bool ParseLine(std::string_view line, QuotaMap& quotas) {
  Entity entity;
  Values values;
  while (!line.empty()) {
    const size_t space = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, space);
    line.remove_prefix(std::min(space + 1, line.size()));
    const size_t equals = word.find('=');
    if (equals == word.npos) return false;
    const std::string_view name = word.substr(0, equals), text = word.substr(equals + 1);
    if (name == kUser || name == kClientId || name == kIp) {
      auto parsed = ParseName(text);
      if (!parsed || !values.empty() || !entity.emplace(name, std::move(*parsed)).second) return false;
      continue;
    }
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !CheckValue(entity, name, value).ok()) return false;
    if (!values.emplace(name, value).second) return false;
  }
  return CheckEntity(entity).ok() && !values.empty() && quotas.emplace(std::move(entity), std::move(values)).second;
}

/// Into `quotas`, which stays as it is when the alteration is refused.
Status Apply(const Alteration& alteration, QuotaMap& quotas) {
  KAPPA_RETURN_IF_ERROR(CheckEntity(alteration.entity));
  for (const auto& [key, value] : alteration.values) KAPPA_RETURN_IF_ERROR(CheckValue(alteration.entity, key, value));
  if (quotas.size() >= kEntitiesMax && !quotas.contains(alteration.entity)) {
    return Error(sqlstate::kProgramLimitExceeded, fmt::format("there are at most {} users, client ids and addresses with quotas", kEntitiesMax));
  }
  Values& values = quotas[alteration.entity];
  for (const auto& [key, value] : alteration.values) {
    if (value) values[key] = *value;
    else values.erase(key);
  }
  if (values.empty()) quotas.erase(alteration.entity);
  return {};
}

}  // namespace

std::string EntityText(const Entity& entity) {
  std::string text;
  for (const auto& [kind, name] : entity) {
    text += text.empty() ? "" : ", ";
    text += name ? fmt::format("{} \"{}\"", kind, *name) : fmt::format("the default {}", kind);
  }
  return text;
}

Result<QuotaMap> ParseQuotas(const std::string& path, std::string_view text) {
  KAPPA_ASSIGN_OR_RETURN(std::string_view body, WithoutChecksumLine(text, path));
  QuotaMap quotas;
  for (int number = 1; !body.empty() || number == 1; ++number) {
    const size_t end = body.find('\n');
    if (end == body.npos) return DamagedFile(path, "A line is cut off.");
    const std::string_view line = body.substr(0, end);
    body.remove_prefix(end + 1);
    if (number > 1) {
      if (!ParseLine(line, quotas)) return DamagedFile(path, fmt::format("Line {} is malformed.", number));
    } else if (line != kFirstLine) {
      if (!line.starts_with(kFirstWord)) return DamagedFile(path, "It has no quotas.");
      return Error(sqlstate::kFeatureNotSupported, fmt::format("file \"{}\" has a newer format", path))
          .Hint("Open the folder with the newer program that wrote it.");
    }
  }
  return quotas;
}

std::string QuotasText(const QuotaMap& quotas) {
  std::string text = fmt::format("{}\n", kFirstLine);
  for (const auto& [entity, values] : quotas) {
    std::string line;
    for (const auto& [kind, name] : entity) line += fmt::format("{}{}={}", line.empty() ? "" : " ", kind, NameText(name));
    for (const auto& [key, value] : values) line += fmt::format(" {}={}", key, value);
    text += line + "\n";
  }
  return WithChecksumLine(std::move(text));
}

Result<std::unique_ptr<ClientQuotas>> ClientQuotas::Open(std::string path) {
  QuotaMap quotas;
  if (io::Exists(path)) {
    KAPPA_ASSIGN_OR_RETURN(const std::string text, io::ReadWholeFile(path, kFileBytesMax));
    KAPPA_ASSIGN_OR_RETURN(quotas, ParseQuotas(path, text));
  }
  return std::unique_ptr<ClientQuotas>(new ClientQuotas(std::move(path), std::move(quotas)));
}

std::vector<Status> ClientQuotas::Alter(const std::vector<Alteration>& alterations, bool validate_only) {
  const std::lock_guard turn(turn_);
  const std::shared_ptr<const QuotaMap> before = all();
  auto after = std::make_shared<QuotaMap>(*before);
  std::vector<Status> outcomes;
  for (const Alteration& alteration : alterations) outcomes.push_back(Apply(alteration, *after));
  if (validate_only || *after == *before) return outcomes;
  if (const Status written = io::WriteFileAtomically(path_, QuotasText(*after)); !written.ok()) {
    for (Status& outcome : outcomes) {
      if (outcome.ok()) outcome = written;
    }
    return outcomes;
  }
  const std::lock_guard lock(mutex_);
  all_ = std::move(after);
  return outcomes;
}

std::shared_ptr<const QuotaMap> ClientQuotas::all() const {
  const std::lock_guard lock(mutex_);
  return all_;
}

std::optional<ClientQuotas::Share> ClientQuotas::Find(std::string_view key, std::string_view user, std::string_view client_id) const {
  const std::shared_ptr<const QuotaMap> quotas = all();
  if (quotas->empty()) return std::nullopt;
  enum Part { kNamed, kDefault, kAbsent };
  const auto put = [](Entity& entity, std::string_view kind, Part part, std::string_view name) {
    if (part != kAbsent) entity.emplace(kind, part == kNamed ? std::optional<std::string>(name) : std::nullopt);
  };
  for (const Part of_user : {kNamed, kDefault, kAbsent}) {
    for (const Part of_client : {kNamed, kDefault, kAbsent}) {
      Entity entity;
      put(entity, kUser, of_user, user);
      put(entity, kClientId, of_client, client_id);
      const auto values = quotas->find(entity);
      if (values == quotas->end()) continue;
      const auto value = values->second.find(key);
      if (value == values->second.end()) continue;
      // A default is each one's own, so names are part of it.
      return Share{value->second, fmt::format("{}{}\n{}",
                                              entity.size() == 2   ? "both "
                                              : of_user != kAbsent ? "user "
                                                                   : "client ",
                                              of_user != kAbsent ? user : "", of_client != kAbsent ? client_id : "")};
    }
  }
  return std::nullopt;
}

std::optional<double> ClientQuotas::ConnectionRate(std::string_view ip) const {
  const std::shared_ptr<const QuotaMap> quotas = all();
  for (const std::optional<std::string>& name : {std::optional<std::string>(ip), std::optional<std::string>()}) {
    const auto values = quotas->find(Entity{{std::string(kIp), name}});
    if (values == quotas->end()) continue;
    if (const auto value = values->second.find(kConnectionRate); value != values->second.end()) return value->second;
  }
  return std::nullopt;
}

}  // namespace kappa::quota
