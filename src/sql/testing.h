// A small catalog and shorthands for the tests of sql/.
#pragma once

#include <string>
#include <vector>

#include "sql/statement.h"

namespace kappa::sql {

/// Streams commits and bids, table repos, view totals (versions 1 and 2), tables kv and pairs; a few system relations.
class TestCatalog {
 public:
  TestCatalog();

  BindContext context() const;
  /// Binds the one statement of `text`.
  Result<BoundStatement> Bind(const std::string& text) const;
  /// EXPLAIN's text of a SELECT or of a view's query; "error SQLSTATE @position: message" when binding fails.
  std::string Plan(const std::string& text) const;
  /// The error of a statement as "SQLSTATE @position message"; "bound" when it binds.
  std::string ErrorOf(const std::string& text) const;

  catalog::Snapshot snapshot;
  std::vector<SystemRelation> system;
  std::map<uint32_t, int64_t> input_rows;
};

inline TestCatalog::TestCatalog() {
  using data::Field;
  using data::Type;
  using data::TypeId;
  const auto Columns = [](auto... fields) { return data::Schema{{fields...}}; };
  catalog::Stream commits;
  commits.id = 1;
  commits.name = "commits";
  commits.schema = Columns(Field{"id", TypeId::kText}, Field{"repo", TypeId::kText}, Field{"author", TypeId::kText}, Field{"parents", TypeId::kInt4},
                           Field{"added", TypeId::kInt8}, Field{"dirs", Type::ArrayOf(TypeId::kText)}, Field{"authored_at", TypeId::kTimestamptz},
                           Field{"committed_at", TypeId::kTimestamptz}, Field{"extra", TypeId::kJsonb});
  commits.event_time = 6;
  commits.watermark_delay_us = 5'000'000;
  snapshot.streams["commits"] = commits;

  catalog::Stream bids;
  bids.id = 2;
  bids.name = "bids";
  bids.schema = Columns(Field{"item", TypeId::kText}, Field{"price", TypeId::kNumeric}, Field{"at", TypeId::kTimestamp});
  snapshot.streams["bids"] = bids;

  catalog::Table repos;
  repos.id = 3;
  repos.name = "repos";
  repos.schema = Columns(Field{"name", TypeId::kText, false}, Field{"language", TypeId::kText}, Field{"year", TypeId::kInt4});
  repos.primary_key = {0};
  snapshot.tables["repos"] = repos;

  catalog::Table pairs;
  pairs.id = 4;
  pairs.name = "pairs";
  pairs.schema = Columns(Field{"a", TypeId::kInt4, false}, Field{"b", TypeId::kInt4, false}, Field{"v", TypeId::kNumeric});
  pairs.primary_key = {0, 1};
  snapshot.tables["pairs"] = pairs;

  catalog::View totals;
  totals.id = 5;
  totals.name = "totals";
  for (int number = 1; number <= 2; ++number) {
    catalog::ViewVersion version;
    version.id = static_cast<uint32_t>(10 + number);
    version.number = number;
    version.schema = Columns(Field{"author", TypeId::kText}, Field{"commits", TypeId::kInt8}, Field{"added", TypeId::kNumeric});
    if (number == 2) version.schema.fields.push_back({"latest", TypeId::kTimestamptz});
    version.key_columns = {0};
    version.query = std::string("SELECT author, count(*) AS commits, sum(added) AS added") + (number == 2 ? ", max(authored_at) AS latest" : "") +
                    " FROM commits GROUP BY author";
    totals.versions.push_back(version);
  }
  totals.serving = 1;
  snapshot.views["totals"] = totals;

  system.push_back({"kappa.views", Columns(Field{"name", TypeId::kText}, Field{"rows", TypeId::kInt8})});
  system.push_back({"pg_catalog.pg_class", Columns(Field{"oid", TypeId::kOid}, Field{"relname", TypeId::kText}, Field{"relnamespace", TypeId::kOid},
                                                   Field{"relkind", TypeId::kText})});
  system.push_back({"pg_catalog.pg_namespace", Columns(Field{"oid", TypeId::kOid}, Field{"nspname", TypeId::kText})});
  system.push_back({"information_schema.tables", Columns(Field{"table_schema", TypeId::kText}, Field{"table_name", TypeId::kText})});
}

inline BindContext TestCatalog::context() const {
  BindContext context;
  context.catalog = &snapshot;
  context.input_rows = RecordedRows(input_rows);
  context.system_relation = [this](std::string_view name) -> const SystemRelation* {
    for (const SystemRelation& relation : system)
      if (relation.name == name) return &relation;
    return nullptr;
  };
  context.table_function = [](std::string_view name, const std::vector<data::Value>&) -> Result<data::Schema> {
    if (name != "kappa.diff") return Error(sqlstate::kUndefinedFunction, "function " + std::string(name) + " does not exist");
    return data::Schema{{{"change", data::TypeId::kText}, {"author", data::TypeId::kText}}};
  };
  return context;
}

inline Result<BoundStatement> TestCatalog::Bind(const std::string& text) const {
  KAPPA_ASSIGN_OR_RETURN(const std::vector<RawStatement> statements, SplitStatements(text));
  if (statements.size() != 1) return Error(sqlstate::kSyntaxError, std::to_string(statements.size()) + " statements");
  return sql::Bind(statements[0], context());
}

inline std::string TestCatalog::Plan(const std::string& text) const {
  const Result<BoundStatement> bound = Bind(text);
  if (!bound.ok())
    return "error " + bound.error().sqlstate() + " @" + std::to_string(bound.error().position()) + ": " + bound.error().message() + "\n";
  plan::NodePtr plan;
  if (const auto* select = std::get_if<SelectStatement>(&*bound)) plan = select->plan;
  if (const auto* view = std::get_if<CreateViewStatement>(&*bound)) plan = view->plan;
  if (const auto* explain = std::get_if<ExplainStatement>(&*bound)) plan = explain->plan;
  if (const auto* insert = std::get_if<InsertStatement>(&*bound)) plan = insert->plan;
  if (const auto* update = std::get_if<UpdateStatement>(&*bound)) plan = update->plan;
  if (const auto* remove = std::get_if<DeleteStatement>(&*bound)) plan = remove->plan;
  return plan ? plan::Explain(*plan) : "no plan\n";
}

inline std::string TestCatalog::ErrorOf(const std::string& text) const {
  const Result<BoundStatement> bound = Bind(text);
  if (bound.ok()) return "bound";
  return bound.error().sqlstate() + " @" + std::to_string(bound.error().position()) + " " + bound.error().message();
}

}  // namespace kappa::sql
