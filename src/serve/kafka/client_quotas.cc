// DescribeClientQuotas and AlterClientQuotas: quotas as administrators see and set them.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "serve/kafka/broker.h"

namespace kappa::serve::kafka {
namespace {

using Part = DescribeClientQuotasRequest::Part;

/// What is wrong with a filter; nothing: all is well.
std::optional<std::string> Complaint(const std::vector<Part>& parts, Code& error) {
  std::set<std::string_view> kinds;
  error = Code::kInvalidRequest;
  for (const Part& part : parts) {
    if (part.kind.empty()) return "empty entity type";
    if (!kinds.insert(part.kind).second) return fmt::format("entity type \"{}\" is in the filter twice", part.kind);
    if (part.kind != quota::kUser && part.kind != quota::kClientId && part.kind != quota::kIp) {
      error = Code::kUnsupportedVersion;
      return fmt::format("unsupported entity type \"{}\"", part.kind);
    }
    if (part.match < Part::kExact || part.match > Part::kAny) return fmt::format("unknown match type {}", part.match);
    if (part.name.has_value() != (part.match == Part::kExact)) return "an exact match needs a name, and only that has one";
  }
  if (kinds.contains(quota::kIp) && kinds.size() > 1) return "an ip is combined with no user and no client-id";
  error = Code::kNone;
  return std::nullopt;
}

bool Matches(const quota::Entity& entity, const DescribeClientQuotasRequest& request) {
  if (request.strict && entity.size() != request.parts.size()) return false;
  return std::ranges::all_of(request.parts, [&](const Part& part) {
    const auto named = entity.find(part.kind);
    return named != entity.end() && (part.match == Part::kAny || named->second == part.name);
  });
}

/// Nothing when a part or a key is there twice.
std::optional<quota::Alteration> AlterationOf(const AlterClientQuotasRequest::Entry& entry) {
  quota::Alteration alteration;
  for (const QuotaEntityPart& part : entry.entity) {
    if (!alteration.entity.emplace(part.kind, part.name).second) return std::nullopt;
  }
  for (const auto& change : entry.changes) {
    const std::optional<double> value = change.remove ? std::nullopt : std::optional(change.value);
    if (!alteration.values.emplace(change.key, value).second) return std::nullopt;
  }
  return alteration;
}

}  // namespace

DescribeClientQuotasResponse Broker::DescribeClientQuotas(const DescribeClientQuotasRequest& request) {
  DescribeClientQuotasResponse response;
  response.message = Complaint(request.parts, response.error);
  if (response.message) return response;
  auto& entries = response.entries.emplace();
  const auto all = client_quotas_.all();
  for (const auto& [entity, values] : *all) {
    if (!Matches(entity, request)) continue;
    auto& entry = entries.emplace_back();
    for (const auto& [kind, name] : entity) entry.entity.push_back({kind, name});
    for (const auto& [key, value] : values) entry.values.push_back({key, value});
  }
  return response;
}

AlterClientQuotasResponse Broker::AlterClientQuotas(const AlterClientQuotasRequest& request) {
  AlterClientQuotasResponse response;
  std::vector<quota::Alteration> alterations;
  std::vector<size_t> places;  // of their outcomes in the response
  for (const auto& entry : request.entries) {
    auto& out = response.entries.emplace_back();
    out.entity = entry.entity;
    if (auto alteration = AlterationOf(entry)) {
      alterations.push_back(std::move(*alteration));
      places.push_back(response.entries.size() - 1);
    } else {
      out.error = Code::kInvalidRequest;
      out.message = "a part of the entity, or a key, is there twice";
    }
  }
  const std::vector<Status> outcomes = client_quotas_.Alter(alterations, request.validate_only);
  for (size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].ok()) continue;
    const Error& error = outcomes[i].error();
    auto& out = response.entries[places[i]];
    out.error = error.Is(sqlstate::kInvalidParameterValue) ? Code::kInvalidRequest : ToCode(error);
    out.message = ErrorText(error);
  }
  return response;
}

}  // namespace kappa::serve::kafka
