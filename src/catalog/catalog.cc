// Lookups in a catalog snapshot.
#include "catalog/catalog.h"

#include "data/enum_type.h"
#include "data/record.h"

namespace kappa::catalog {
namespace {

template <typename Map> auto Find(const Map& map, std::string_view name) -> const typename Map::mapped_type* {
  const auto found = map.find(name);
  return found == map.end() ? nullptr : &found->second;
}

}  // namespace

std::string_view ToString(VersionState state) {
  switch (state) {
    case VersionState::kReplaying: return "replaying";
    case VersionState::kReady: return "ready";
    case VersionState::kServing: return "serving";
    case VersionState::kRetired: return "retired";
    case VersionState::kFailed: return "failed";
  }
  return "";
}

const ViewVersion* View::FindVersion(int number) const {
  for (const ViewVersion& version : versions)
    if (version.number == number) return &version;
  return nullptr;
}

const Stream* Snapshot::FindStream(std::string_view name) const { return Find(streams, name); }
const Table* Snapshot::FindTable(std::string_view name) const { return Find(tables, name); }
const View* Snapshot::FindView(std::string_view name) const { return Find(views, name); }
const NamedType* Snapshot::FindType(std::string_view name) const { return Find(types, name); }
const Domain* Snapshot::FindDomain(std::string_view name) const { return Find(domains, name); }

data::Type NamedType::type() const {
  if (!composite) return data::RegisterEnum({name, labels});
  data::RecordDefinition definition{{}, {}, name};
  for (const data::Field& field : fields.fields) {
    definition.names.push_back(field.name);
    definition.types.push_back(field.type);
  }
  return data::RegisterRecord(definition);
}

bool Snapshot::Exists(std::string_view name) const { return FindStream(name) || FindTable(name) || FindView(name); }

std::vector<std::string> Snapshot::Names() const {
  std::vector<std::string> names;
  for (const auto& entry : streams) names.push_back(entry.first);
  for (const auto& entry : tables) names.push_back(entry.first);
  for (const auto& entry : views) names.push_back(entry.first);
  return names;
}

}  // namespace kappa::catalog
