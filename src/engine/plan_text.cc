// kappa.plan(text): what the statements of a file would change and replay, told without doing any of it.
#include <fmt/format.h>

#include <algorithm>

#include "engine/core.h"

namespace kappa::engine {
namespace {

struct Row {
  std::string kind, name, action, detail;
  std::optional<int64_t> records;
  std::optional<double> seconds;
};

bool SameSchema(const data::Schema& a, const data::Schema& b) {
  if (a.size() != b.size()) return false;
  for (int i = 0; i < a.size(); ++i) {
    const data::Field& x = a.fields[static_cast<size_t>(i)];
    const data::Field& y = b.fields[static_cast<size_t>(i)];
    if (x.name != y.name || !(x.type == y.type) || x.nullable != y.nullable) return false;
  }
  return true;
}

}  // namespace

data::Schema PlanSchema() {
  using data::TypeId;
  data::Schema schema;
  schema.fields = {{"kind", TypeId::kText},   {"name", TypeId::kText},    {"action", TypeId::kText},
                   {"detail", TypeId::kText}, {"records", TypeId::kInt8}, {"seconds", TypeId::kFloat8}};
  return schema;
}

Result<data::Batch> Core::PlanRows(const std::string& text) {
  KAPPA_ASSIGN_OR_RETURN(std::vector<sql::RawStatement> statements, sql::SplitStatements(text));
  catalog::Snapshot snapshot = *catalog();
  uint32_t next_id = 0x7f000000;  // ids that exist only in this plan
  std::vector<Row> rows;
  const double rate = last_replay_rate_.load();
  for (const sql::RawStatement& raw : statements) {
    KAPPA_ASSIGN_OR_RETURN(sql::BoundStatement bound, sql::Bind(raw, MakeBindContext(snapshot)));
    Row row;
    if (auto* create = std::get_if<sql::CreateStreamStatement>(&bound)) {
      const catalog::Stream* existing = snapshot.FindStream(create->stream.name);
      row.kind = "stream";
      row.name = create->stream.name;
      if (existing == nullptr) {
        row.action = "create";
        auto topic = log_->FindTopic(create->stream.topic);
        row.detail = topic ? fmt::format("reads the existing topic \"{}\"", create->stream.topic)
                           : fmt::format("makes topic \"{}\" with {} partitions", create->stream.topic, create->stream.partitions);
        create->stream.id = next_id++;
        snapshot.streams[row.name] = create->stream;
      } else {
        const bool same = SameSchema(existing->schema, create->stream.schema) && existing->event_time == create->stream.event_time &&
                          existing->watermark_delay_us == create->stream.watermark_delay_us && existing->domains == create->stream.domains;
        row.action = same ? "unchanged" : "refused";
        row.detail = same ? "" : "a stream of this name exists with another definition; drop it first, its topic is kept";
      }
    } else if (auto* table = std::get_if<sql::CreateTableStatement>(&bound)) {
      const catalog::Table* existing = snapshot.FindTable(table->table.name);
      row.kind = "table";
      row.name = table->table.name;
      if (existing == nullptr) {
        row.action = "create";
        table->table.id = next_id++;
        snapshot.tables[row.name] = table->table;
      } else {
        const bool same = SameSchema(existing->schema, table->table.schema) && existing->primary_key == table->table.primary_key &&
                          existing->version_time == table->table.version_time && existing->domains == table->table.domains &&
                          existing->ttl_us == table->table.ttl_us;
        row.action = same ? "unchanged" : "refused";
        row.detail = same ? "" : "a table of this name exists with another definition";
      }
    } else if (auto* domain = std::get_if<sql::CreateDomainStatement>(&bound)) {
      const catalog::Domain* existing = snapshot.FindDomain(domain->domain.name);
      row.kind = "domain";
      row.name = domain->domain.name;
      row.action = existing == nullptr ? "create" : existing->sql == domain->domain.sql ? "unchanged" : "refused";
      if (existing == nullptr) snapshot.domains[row.name] = domain->domain;
      else if (row.action == "refused") row.detail = "a domain of this name exists with another definition";
    } else if (auto* type = std::get_if<sql::CreateTypeStatement>(&bound)) {
      const catalog::NamedType* existing = snapshot.FindType(type->type.name);
      row.kind = "type";
      row.name = type->type.name;
      row.action = existing == nullptr ? "create" : existing->type().Same(type->type.type()) ? "unchanged" : "refused";
      if (existing == nullptr) snapshot.types[row.name] = type->type;
      else if (row.action == "refused") row.detail = "a type of this name exists with another definition";
    } else if (auto* view = std::get_if<sql::CreateViewStatement>(&bound)) {
      row.kind = "view";
      row.name = view->name;
      const catalog::View* existing = snapshot.FindView(view->name);
      const catalog::ViewVersion* serving = existing == nullptr ? nullptr : existing->FindVersion(existing->serving);
      uint64_t hash = plan::PlanHash(*view->plan);
      if (serving != nullptr && serving->plan_hash != hash) {  // the same query, planned when the inputs had other sizes?
        sql::BindContext then = MakeBindContext(snapshot);
        then.input_rows = sql::RecordedRows(serving->input_rows);
        if (auto plan = sql::BindViewQuery(view->query, then); plan.ok() && plan::PlanHash(**plan) == serving->plan_hash) hash = serving->plan_hash;
      }
      if (serving != nullptr && serving->plan_hash == hash) {
        row.action = "unchanged";
        row.detail = fmt::format("version {} computes the same", serving->number);
      } else if (existing != nullptr && !view->or_replace) {
        row.action = "refused";
        row.detail = "the view exists and computes something else; write CREATE OR REPLACE for a new version";
      } else {
        std::vector<const plan::Scan*> scans;
        CollectScans(*view->plan, scans);
        std::set<std::string> seen;
        int64_t records = 0;
        std::string cut;
        for (const plan::Scan* scan : scans) {
          const catalog::Stream* stream = snapshot.FindStream(scan->name);
          if (scan->relation_kind != plan::RelationKind::kStream || stream == nullptr || !seen.insert(scan->name).second) continue;
          auto topic = log_->FindTopic(stream->topic);
          for (int32_t p = 0; topic && p < topic->partition_count(); ++p) {
            records += topic->partition(p).durable_end() - topic->partition(p).start_offset();
            if (topic->partition(p).start_offset() > 0)
              cut = fmt::format("; the log of \"{}\" begins at offset {} of partition {}", scan->name, topic->partition(p).start_offset(), p);
          }
        }
        const int number = existing == nullptr || existing->versions.empty() ? 1 : existing->versions.back().number + 1;
        row.action = existing == nullptr ? "create" : "new version";
        row.detail = fmt::format("version {} replays from the start of the log{}{}", number, cut,
                                 existing == nullptr    ? ""
                                 : view->promote_manual ? ", then waits to be promoted"
                                                        : ", then is promoted");
        row.records = records;
        if (rate > 0) row.seconds = static_cast<double>(records) / rate;
        catalog::View planned = existing == nullptr ? catalog::View{} : *existing;
        planned.name = view->name;
        if (planned.id == 0) planned.id = next_id++;
        catalog::ViewVersion version;
        version.id = next_id++;
        version.number = number;
        version.schema = view->plan->schema;
        version.state = catalog::VersionState::kServing;
        version.depends_on = view->depends_on;
        version.plan_hash = hash;
        planned.versions.push_back(std::move(version));
        planned.serving = number;
        snapshot.views[view->name] = std::move(planned);
        for (const std::string& dependent : Dependents(snapshot, view->name)) {
          if (existing != nullptr) row.detail += fmt::format("; view \"{}\" gets the difference at the promotion", dependent);
        }
      }
    } else if (auto* insert = std::get_if<sql::InsertStatement>(&bound)) {
      row = {insert->into_stream ? "stream" : "table", insert->target, "insert", "", std::nullopt, std::nullopt};
    } else if (auto* drop = std::get_if<sql::DropStatement>(&bound)) {
      row.kind = drop->kind == sql::DropStatement::Kind::kStream   ? "stream"
                 : drop->kind == sql::DropStatement::Kind::kTable  ? "table"
                 : drop->kind == sql::DropStatement::Kind::kType   ? "type"
                 : drop->kind == sql::DropStatement::Kind::kDomain ? "domain"
                                                                   : "view";
      for (const std::string& name : drop->names) row.name += (row.name.empty() ? "" : ", ") + name;
      row.action = "drop";
    } else if (auto* alter = std::get_if<sql::AlterViewStatement>(&bound)) {
      row = {"view", alter->name, "alter", "", std::nullopt, std::nullopt};
    } else {
      continue;
    }
    rows.push_back(std::move(row));
  }
  data::Batch batch;
  batch.rows = static_cast<int64_t>(rows.size());
  data::ColumnBuilder kind(data::TypeId::kText), name(data::TypeId::kText), action(data::TypeId::kText), detail(data::TypeId::kText),
      records(data::TypeId::kInt8), seconds(data::TypeId::kFloat8);
  for (const Row& row : rows) {
    kind.AppendBytes(row.kind);
    name.AppendBytes(row.name);
    action.AppendBytes(row.action);
    detail.AppendBytes(row.detail);
    if (row.records) records.Append<int64_t>(*row.records);
    else records.AppendNull();
    if (row.seconds) seconds.Append<double>(*row.seconds);
    else seconds.AppendNull();
  }
  for (data::ColumnBuilder* builder : {&kind, &name, &action, &detail, &records, &seconds}) batch.columns.push_back(builder->Finish());
  return batch;
}

}  // namespace kappa::engine
