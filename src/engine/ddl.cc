// CREATE, ALTER, DROP: catalog changes that take effect between two epochs.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "data/enum_type.h"
#include "data/record.h"
#include "engine/core.h"

namespace kappa::engine {
namespace {

Error AlreadyExists(std::string_view name) { return Error(sqlstate::kDuplicateTable, fmt::format("relation \"{}\" already exists", name)); }
Error TypeExists(std::string_view name) { return Error("42710", fmt::format("type \"{}\" already exists", name)); }

/// Also in arrays and rows.
bool Holds(const data::Type& type, const data::Type& wanted) {
  if (type.is_array()) return Holds(data::ElementType(type), wanted);
  const data::RecordDefinition* record = type.is_record() ? data::FindRecord(type) : nullptr;
  if (record == nullptr || type.Same(wanted)) return type.Same(wanted);
  return std::any_of(record->types.begin(), record->types.end(), [&](const data::Type& field) { return Holds(field, wanted); });
}

bool Uses(const data::Schema& schema, const data::Type& type) {
  return std::any_of(schema.fields.begin(), schema.fields.end(), [&](const data::Field& field) { return Holds(field.type, type); });
}

}  // namespace

Status Core::CreateStream(const sql::CreateStreamStatement& statement, std::string* notice) {
  return AtBoundary([&]() -> Status {
    catalog::Stream stream = statement.stream;
    const catalog::SnapshotPtr snapshot = catalog_->snapshot();
    if (snapshot->Exists(stream.name)) {
      if (!statement.if_not_exists) return AlreadyExists(stream.name);
      *notice = fmt::format("relation \"{}\" already exists, skipping", stream.name);
      return {};
    }
    if (snapshot->TypeExists(stream.name)) return TypeExists(stream.name);
    for (const auto& [name, table] : snapshot->tables) {
      if (table.topic == stream.topic) return Error(sqlstate::kObjectInUse, fmt::format("topic \"{}\" belongs to table \"{}\"", stream.topic, name));
    }
    auto topic = log_->FindTopic(stream.topic);
    if (topic && topic->config().internal) return Error(sqlstate::kInvalidParameterValue, fmt::format("topic \"{}\" is internal", stream.topic));
    if (topic) {
      if (topic->partition_count() != stream.partitions) {
        *notice = fmt::format("topic \"{}\" exists with {} partition{}: the stream reads them all", stream.topic, topic->partition_count(),
                              topic->partition_count() == 1 ? "" : "s");
      }
      stream.partitions = topic->partition_count();
    } else {
      log::TopicConfig config;
      config.partitions = stream.partitions;
      config.retention_ms = stream.retention_ms;
      KAPPA_ASSIGN_OR_RETURN(topic, log_->CreateTopic(stream.topic, config));
    }
    stream.id = catalog_->NextId();
    stream.created_us = clock_.WallMicros();
    KAPPA_RETURN_IF_ERROR(catalog_->Commit({stream}));
    return AddStreamRuntime(stream);
  });
}

Status Core::CreateTable(const sql::CreateTableStatement& statement, std::string* notice) {
  return AtBoundary([&]() -> Status {
    catalog::Table table = statement.table;
    const catalog::SnapshotPtr snapshot = catalog_->snapshot();
    if (snapshot->Exists(table.name)) {
      if (!statement.if_not_exists) return AlreadyExists(table.name);
      *notice = fmt::format("relation \"{}\" already exists, skipping", table.name);
      return {};
    }
    if (snapshot->TypeExists(table.name)) return TypeExists(table.name);
    table.id = catalog_->NextId();
    if (table.topic.empty()) table.topic = table.name;
    for (const auto& [name, stream] : snapshot->streams) {
      if (stream.topic == table.topic) return Error(sqlstate::kObjectInUse, fmt::format("topic \"{}\" belongs to stream \"{}\"", table.topic, name));
    }
    for (const auto& [name, other] : snapshot->tables) {
      if (other.topic == table.topic) return Error(sqlstate::kObjectInUse, fmt::format("topic \"{}\" belongs to table \"{}\"", table.topic, name));
    }
    auto topic = log_->FindTopic(table.topic);
    if (!topic) {
      log::TopicConfig config;  // one partition: the order of a table's changes is the order of its topic
      KAPPA_ASSIGN_OR_RETURN(topic, log_->CreateTopic(table.topic, config));
    } else if (topic->partition_count() != 1) {
      return Error(sqlstate::kInvalidParameterValue,
                   fmt::format("topic \"{}\" has {} partitions; a table's changelog has one", table.topic, topic->partition_count()));
    }
    table.created_us = clock_.WallMicros();
    KAPPA_RETURN_IF_ERROR(catalog_->Commit({table}));
    return AddTableRuntime(table);
  });
}

Status Core::CreateType(const sql::CreateTypeStatement& statement, std::string_view sql) {
  return AtBoundary([&]() -> Status {
    catalog::NamedType type = statement.type;
    const catalog::SnapshotPtr snapshot = catalog_->snapshot();
    // A relation is the name of its rows' type too.
    if (snapshot->TypeExists(type.name) || snapshot->Exists(type.name)) return TypeExists(type.name);
    type.id = catalog_->NextId();
    type.sql = std::string(sql);
    type.created_us = clock_.WallMicros();
    return catalog_->Commit({type});
  });
}

Status Core::CreateDomain(const sql::CreateDomainStatement& statement) {
  return AtBoundary([&]() -> Status {
    catalog::Domain domain = statement.domain;
    const catalog::SnapshotPtr snapshot = catalog_->snapshot();
    if (snapshot->TypeExists(domain.name) || snapshot->Exists(domain.name)) return TypeExists(domain.name);
    domain.id = catalog_->NextId();
    domain.created_us = clock_.WallMicros();
    return catalog_->Commit({domain});
  });
}

Status Core::DropTypes(const sql::DropStatement& statement, std::vector<std::string>* notices) {
  for (const std::string& name : statement.names) {
    const catalog::SnapshotPtr snapshot = catalog_->snapshot();
    const catalog::NamedType* type = snapshot->FindType(name);
    const catalog::Domain* domain = snapshot->FindDomain(name);
    if (type != nullptr && statement.kind == sql::DropStatement::Kind::kDomain)
      return Error(sqlstate::kWrongObjectType, fmt::format("\"{}\" is not a domain", name));
    if (type == nullptr && domain == nullptr) {
      if (!statement.if_exists) return Error(sqlstate::kUndefinedObject, fmt::format("type \"{}\" does not exist", name));
      notices->push_back(fmt::format("type \"{}\" does not exist, skipping", name));
      continue;
    }
    std::vector<std::string> users = Dependents(*snapshot, name);
    const auto uses = [&](const auto& relation) {
      const bool constrained =
          std::any_of(relation.domains.begin(), relation.domains.end(), [&](const auto& column) { return column.second == name; });
      return constrained || (type != nullptr && Uses(relation.schema, type->type()));
    };
    for (const auto& [stream_name, stream] : snapshot->streams)
      if (uses(stream)) users.push_back(stream_name);
    for (const auto& [table_name, table] : snapshot->tables)
      if (uses(table)) users.push_back(table_name);
    for (const auto& [type_name, other] : snapshot->types)
      if (type != nullptr && Uses(other.fields, type->type())) users.push_back(type_name);
    for (const auto& [domain_name, other] : snapshot->domains)
      if (other.parent == name || (type != nullptr && Holds(other.base, type->type()))) users.push_back(domain_name);
    for (const auto& [view_name, view] : snapshot->views)
      for (const catalog::ViewVersion& version : view.versions)
        if (type != nullptr && Uses(version.schema, type->type()) && std::find(users.begin(), users.end(), view_name) == users.end())
          users.push_back(view_name);
    if (!users.empty()) {
      return Error(sqlstate::kDependentObjectsStillExist, fmt::format("cannot drop type {} because other objects depend on it", name))
          .Detail(fmt::format("These use it: {}.", fmt::join(users, ", ")))
          .Hint("Drop them first.");
    }
    const catalog::Dropped dropped = type != nullptr ? catalog::Dropped{catalog::Dropped::Kind::kType, type->id, name}
                                                     : catalog::Dropped{catalog::Dropped::Kind::kDomain, domain->id, name};
    KAPPA_RETURN_IF_ERROR(catalog_->Commit({dropped}));
  }
  return {};
}

Status Core::CreateView(const sql::CreateViewStatement& statement, std::string_view sql, std::string* notice, int* number) {
  *number = 0;
  return AtBoundary([&]() -> Status {
    const catalog::SnapshotPtr snapshot = catalog_->snapshot();
    const catalog::View* existing = snapshot->FindView(statement.name);
    if (existing == nullptr && snapshot->Exists(statement.name)) {
      return statement.or_replace ? Error(sqlstate::kWrongObjectType, fmt::format("\"{}\" is not a materialized view", statement.name))
                                  : AlreadyExists(statement.name);
    }
    if (existing != nullptr && !statement.or_replace) {
      if (!statement.if_not_exists) {
        return Error(sqlstate::kDuplicateTable, fmt::format("relation \"{}\" already exists", statement.name))
            .Hint("CREATE OR REPLACE MATERIALIZED VIEW makes a new version beside the old one.");
      }
      *notice = fmt::format("relation \"{}\" already exists, skipping", statement.name);
      return {};
    }
    if (snapshot->TypeExists(statement.name)) return TypeExists(statement.name);
    catalog::View view;
    if (existing != nullptr) {
      view = *existing;
    } else {
      view.id = catalog_->NextId();
      view.name = statement.name;
    }
    catalog::ViewVersion version;
    version.id = catalog_->NextId();
    version.number = view.versions.empty() ? 1 : view.versions.back().number + 1;
    version.sql = std::string(sql);
    version.query = statement.query;
    version.schema = statement.plan->schema;
    version.key_columns = statement.key_columns;
    version.depends_on = statement.depends_on;
    version.plan_hash = plan::PlanHash(*statement.plan);
    version.input_rows = statement.input_rows;
    version.dead_letters = statement.dead_letters;
    version.ttl_us = statement.ttl_us;
    version.promote_when_ready = existing != nullptr && !statement.promote_manual;
    version.created_epoch = epoch_;
    version.created_us = clock_.WallMicros();
    if (std::find(version.depends_on.begin(), version.depends_on.end(), view.name) != version.depends_on.end()) {
      return Error(sqlstate::kInvalidObjectDefinition, fmt::format("materialized view \"{}\" cannot read itself", view.name))
          .Hint(fmt::format("Read a fixed version, such as {}$1, from a view of another name.", view.name));
    }
    // Without cycles over other views: none of them may read this one.
    std::set<std::string> seen;
    std::function<bool(const std::string&)> reaches = [&](const std::string& name) {
      if (name == view.name) return true;
      if (!seen.insert(name).second) return false;
      const catalog::View* upstream = snapshot->FindView(name);
      if (upstream == nullptr) return false;
      for (const catalog::ViewVersion& v : upstream->versions) {
        if (v.state == catalog::VersionState::kRetired || v.state == catalog::VersionState::kFailed) continue;
        if (std::any_of(v.depends_on.begin(), v.depends_on.end(), reaches)) return true;
      }
      return false;
    };
    for (const std::string& name : version.depends_on) {
      if (existing != nullptr && reaches(name)) {
        return Error(sqlstate::kInvalidObjectDefinition, fmt::format("materialized view \"{}\" would read itself through \"{}\"", view.name, name));
      }
    }
    *number = version.number;
    view.versions.push_back(version);
    // The runtime first: when the plan cannot run, nothing was created.
    KAPPA_RETURN_IF_ERROR(catalog_->Commit({view}));
    Status started = StartReplay(view, view.versions.back());
    if (!started.ok()) {
      view.versions.pop_back();
      if (view.versions.empty()) {
        KAPPA_RETURN_IF_ERROR(catalog_->Commit({catalog::Dropped{catalog::Dropped::Kind::kView, view.id, view.name}}));
      } else {
        KAPPA_RETURN_IF_ERROR(catalog_->Commit({view}));
      }
    }
    return started;
  });
}

Status Core::AlterView(const sql::AlterViewStatement& statement) {
  return AtBoundary([&]() -> Status {
    using Action = sql::AlterViewStatement::Action;
    const catalog::SnapshotPtr snapshot = catalog_->snapshot();
    const catalog::View* found = snapshot->FindView(statement.name);
    if (found == nullptr) {
      if (statement.if_exists) return {};
      return Error(sqlstate::kUndefinedTable, fmt::format("materialized view \"{}\" does not exist", statement.name));
    }
    switch (statement.action) {
      case Action::kPromote: return Promote(statement.name, statement.version, false);
      case Action::kRollback: return Promote(statement.name, 0, true);
      case Action::kRetire: return RetireVersion(statement.name, statement.version);
      case Action::kRoute: break;
    }
    catalog::View view = *found;
    int sum = 0;
    for (const catalog::Route& route : statement.routes) {
      const catalog::ViewVersion* version = view.FindVersion(route.version);
      if (version == nullptr) {
        return Error(sqlstate::kUndefinedObject, fmt::format("materialized view \"{}\" has no version {}", view.name, route.version));
      }
      auto runtime = versions_.find(version->id);
      if (route.percent > 0 && (runtime == versions_.end() || !runtime->second->live)) {
        return Error(sqlstate::kObjectNotInPrerequisiteState,
                     fmt::format("version {} of materialized view \"{}\" is {}", route.version, view.name, catalog::ToString(version->state)))
            .Hint("Only versions that are ready can be routed to.");
      }
      sum += route.percent;
    }
    if (!statement.routes.empty() && sum != 100) {
      return Error(sqlstate::kInvalidParameterValue, fmt::format("the shares of the route add up to {}, not 100", sum))
          .Hint("Write them as in SET (route = '1:90, 2:10').");
    }
    view.routes = statement.routes;
    return catalog_->Commit({view});
  });
}

/// The topic, and what groups have committed for it.
Status Core::DropTopic(const std::string& name) {
  KAPPA_RETURN_IF_ERROR(log_->DeleteTopic(name));
  groups_->Do([&](group::Coordinator& coordinator) { coordinator.ForgetTopic(name); });
  return {};
}

Status Core::DeleteTopic(const std::string& name) {
  return ChangeTopic(name, [&] { return DropTopic(name); });
}

Status Core::ChangeTopic(const std::string& name, const std::function<Status()>& change) {
  return AtBoundary([&]() -> Status {
    const catalog::SnapshotPtr snapshot = catalog_->snapshot();
    std::string reader;
    for (const auto& [stream_name, stream] : snapshot->streams) {
      if (stream.topic == name) reader = "stream \"" + stream_name + "\"";
    }
    for (const auto& [table_name, table] : snapshot->tables) {
      if (table.topic == name) reader = "table \"" + table_name + "\"";
    }
    if (!reader.empty()) {
      return Error(sqlstate::kDependentObjectsStillExist, fmt::format("topic \"{}\" cannot be changed or deleted because {} reads it", name, reader))
          .Hint("Drop that first.");
    }
    return change();
  });
}

Status Core::Drop(const sql::DropStatement& statement, std::vector<std::string>* notices) {
  return AtBoundary([&]() -> Status {
    using Kind = sql::DropStatement::Kind;
    if (statement.kind == Kind::kType || statement.kind == Kind::kDomain) return DropTypes(statement, notices);
    for (const std::string& name : statement.names) {
      const catalog::SnapshotPtr snapshot = catalog_->snapshot();
      const catalog::Stream* stream = snapshot->FindStream(name);
      const catalog::Table* table = snapshot->FindTable(name);
      const catalog::View* view = snapshot->FindView(name);
      const bool found = statement.kind == Kind::kStream ? stream != nullptr : statement.kind == Kind::kTable ? table != nullptr : view != nullptr;
      const std::string_view word = statement.kind == Kind::kStream ? "stream" : statement.kind == Kind::kTable ? "table" : "materialized view";
      if (!found) {
        if (snapshot->Exists(name)) return Error(sqlstate::kWrongObjectType, fmt::format("\"{}\" is not a {}", name, word));
        if (!statement.if_exists) return Error(sqlstate::kUndefinedTable, fmt::format("{} \"{}\" does not exist", word, name));
        notices->push_back(fmt::format("{} \"{}\" does not exist, skipping", word, name));
        continue;
      }
      // Dependents first, the ones that read dependents before them.
      std::vector<std::string> order;
      std::function<void(const std::string&)> collect = [&](const std::string& of) {
        for (const std::string& dependent : Dependents(*snapshot, of)) {
          if (std::find(order.begin(), order.end(), dependent) != order.end()) continue;
          collect(dependent);
          order.push_back(dependent);
        }
      };
      collect(name);
      if (!order.empty() && !statement.cascade) {
        std::string list;
        for (const std::string& dependent : order) list += (list.empty() ? "" : ", ") + dependent;
        return Error(sqlstate::kDependentObjectsStillExist, fmt::format("cannot drop {} {} because other objects depend on it", word, name))
            .Detail(fmt::format("These materialized views read it: {}.", list))
            .Hint("Use DROP ... CASCADE to drop the dependent objects too.");
      }
      std::vector<catalog::Change> changes;
      std::vector<uint32_t> versions;
      auto drop_view = [&](const catalog::View& v) {
        for (const catalog::ViewVersion& version : v.versions) versions.push_back(version.id);
        changes.push_back(catalog::Dropped{catalog::Dropped::Kind::kView, v.id, v.name});
      };
      for (const std::string& dependent : order) {
        drop_view(*snapshot->FindView(dependent));
        notices->push_back(fmt::format("drop cascades to materialized view {}", dependent));
      }
      if (view != nullptr) drop_view(*view);
      if (stream != nullptr) changes.push_back(catalog::Dropped{catalog::Dropped::Kind::kStream, stream->id, stream->name});
      if (table != nullptr) changes.push_back(catalog::Dropped{catalog::Dropped::Kind::kTable, table->id, table->name});
      KAPPA_RETURN_IF_ERROR(catalog_->Commit(changes));
      for (uint32_t version : versions) RemoveVersion(version);
      const uint32_t id = stream != nullptr ? stream->id : table != nullptr ? table->id : 0;
      if (id != 0) {
        flow_->RemoveRelation(id);
        std::erase_if(positions_.ends, [&](const auto& entry) { return entry.first.first == id; });
        std::lock_guard guard(publish_);
        std::erase_if(visible_, [&](const auto& entry) { return entry.first.first == id; });
        stream_figures_.erase(id);
        stream_rates_.erase(id);
        if (table != nullptr) tables_.erase(name);
      }
      if (stream != nullptr)
        notices->push_back(
            fmt::format("topic \"{}\" and its records are kept; \"kappa topic delete {}\" removes them", stream->topic, stream->topic));
      if (table != nullptr) KAPPA_RETURN_IF_ERROR(DropTopic(table->topic));
    }
    return {};
  });
}

}  // namespace kappa::engine
