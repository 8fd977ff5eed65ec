// Registration of signatures and the reference that is generated from them.
#include "expr/registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "expr/aggregate_call.h"
#include "expr/functions/register.h"

namespace kappa::expr {
namespace {

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

SignatureType ParseType(std::string_view name) {
  using Pseudo = SignatureType::Pseudo;
  if (name == "any") return {{}, Pseudo::kAny};
  if (name == "anyelement") return {{}, Pseudo::kElement};
  if (name == "anyarray") return {{}, Pseudo::kArray};
  if (name == "anynonarray") return {{}, Pseudo::kNonArray};
  if (name == "anycompatible") return {{}, Pseudo::kCompatible};
  if (name == "anycompatiblearray") return {{}, Pseudo::kCompatibleArray};
  const bool array = name.ends_with("[]");
  if (array) name.remove_suffix(2);
  static const std::pair<std::string_view, data::TypeId> kNames[] = {
      {"bool", data::TypeId::kBool},         {"int2", data::TypeId::kInt2},
      {"int4", data::TypeId::kInt4},         {"int8", data::TypeId::kInt8},
      {"oid", data::TypeId::kOid},           {"float4", data::TypeId::kFloat4},
      {"float8", data::TypeId::kFloat8},     {"numeric", data::TypeId::kNumeric},
      {"text", data::TypeId::kText},         {"bytea", data::TypeId::kBytea},
      {"date", data::TypeId::kDate},         {"timestamp", data::TypeId::kTimestamp},
      {"time", data::TypeId::kTime},         {"timestamptz", data::TypeId::kTimestamptz},
      {"interval", data::TypeId::kInterval}, {"jsonb", data::TypeId::kJsonb},
      {"uuid", data::TypeId::kUuid},         {"record", data::TypeId::kRecord}};
  for (const auto& [known, id] : kNames) {
    if (known == name) return {array ? data::Type::ArrayOf(id) : data::Type(id)};
  }
  CheckFailed(__FILE__, __LINE__, "signature type is known", name);
}

const std::vector<const Signature*> kNoSignatures;

}  // namespace

std::string SignatureType::ToString() const {
  switch (pseudo) {
    case Pseudo::kNone: return type.ToString();
    case Pseudo::kAny: return "any";
    case Pseudo::kElement: return "anyelement";
    case Pseudo::kArray: return "anyarray";
    case Pseudo::kNonArray: return "anynonarray";
    case Pseudo::kCompatible: return "anycompatible";
    case Pseudo::kCompatibleArray: return "anycompatiblearray";
  }
  return "any";
}

Signature& Registry::Add(Index& index, FunctionInfo::Kind kind, std::string_view name, std::string_view types, Kernel kernel,
                         std::string_view description) {
  Signature& signature = signatures_.emplace_back();
  signature.name = name;
  signature.kind = kind;
  signature.kernel = std::move(kernel);
  signature.description = description;
  const size_t arrow = types.find("->");
  KAPPA_CHECK(arrow != std::string_view::npos);
  signature.result = ParseType(Trim(types.substr(arrow + 2)));
  std::string_view parameters = Trim(types.substr(0, arrow));
  while (!parameters.empty()) {
    const size_t comma = std::min(parameters.find(','), parameters.size());
    std::string_view parameter = Trim(parameters.substr(0, comma));
    parameters.remove_prefix(std::min(comma + 1, parameters.size()));
    if (parameter.starts_with("variadic ")) {
      signature.variadic = true;
      parameter.remove_prefix(9);
    }
    signature.parameters.push_back(ParseType(parameter));
  }
  index[std::string(name)].push_back(&signature);
  return signature;
}

Signature& Registry::Function(std::string_view name, std::string_view types, Kernel kernel, std::string_view description) {
  return Add(functions_, FunctionInfo::Kind::kFunction, name, types, std::move(kernel), description);
}
Signature& Registry::Operator(std::string_view name, std::string_view types, Kernel kernel, std::string_view description) {
  return Add(operators_, FunctionInfo::Kind::kOperator, name, types, std::move(kernel), description);
}
Signature& Registry::System(std::string_view name, std::string_view types, Kernel kernel, std::string_view description) {
  return Add(functions_, FunctionInfo::Kind::kSystem, name, types, std::move(kernel), description);
}

const std::vector<const Signature*>& Registry::FindFunctions(std::string_view name) const {
  auto found = functions_.find(std::string(name));
  return found == functions_.end() ? kNoSignatures : found->second;
}
const std::vector<const Signature*>& Registry::FindOperators(std::string_view name) const {
  auto found = operators_.find(std::string(name));
  return found == operators_.end() ? kNoSignatures : found->second;
}

const Registry& Functions() {
  static const Registry* registry = [] {
    auto* made = new Registry;
    RegisterAll(*made);
    return made;
  }();
  return *registry;
}

bool IsScalarFunction(std::string_view name) { return !Functions().FindFunctions(name).empty(); }

std::vector<std::string> FunctionNames() {
  std::vector<std::string> names;
  for (const Signature& signature : Functions().all()) {
    if (signature.kind != FunctionInfo::Kind::kOperator) names.push_back(signature.name);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::vector<FunctionInfo> ListFunctions() {
  std::vector<FunctionInfo> list;
  for (const Signature& signature : Functions().all()) {
    FunctionInfo info;
    info.name = signature.name;
    for (const SignatureType& parameter : signature.parameters) info.arguments.push_back(parameter.ToString());
    if (signature.variadic) info.arguments.back().insert(0, "variadic ");
    info.result = signature.result.ToString();
    info.description = signature.description;
    info.kind = signature.kind;
    list.push_back(std::move(info));
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const FunctionInfo& a, const FunctionInfo& b) { return std::tie(a.kind, a.name) < std::tie(b.kind, b.name); });
  std::ranges::move(ListAggregates(), std::back_inserter(list));
  return list;
}

}  // namespace kappa::expr
