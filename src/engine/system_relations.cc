// kappa.*: the system's state as rows, and the functions that only the engine can answer.
#include <fmt/format.h>

#include <algorithm>

#include "data/datetime.h"
#include "data/row_key.h"
#include "engine/core.h"
#include "engine/group_status.h"
#include "engine/pg_catalog.h"
#include "format/decoder.h"

namespace kappa::engine {
namespace {

using data::TypeId;

constexpr size_t kEpochsShown = 1000;
constexpr std::string_view kDefaultEntity = "<default>";  // of a quota, as Kafka's tools say

sql::SystemRelation Relation(std::string name, std::vector<data::Field> fields) {
  sql::SystemRelation relation;
  relation.name = std::move(name);
  relation.schema.fields = std::move(fields);
  return relation;
}

/// Builds rows cell by cell, in the order of a schema.
class RowBuilder {
 public:
  explicit RowBuilder(const data::Schema& schema) {
    for (const data::Field& field : schema.fields) builders_.emplace_back(field.type);
  }
  RowBuilder& Text(std::string_view text) {
    Next().AppendBytes(text);
    return *this;
  }
  RowBuilder& Int4(int64_t value) {
    Next().Append<int32_t>(static_cast<int32_t>(value));
    return *this;
  }
  RowBuilder& Int8(int64_t value) {
    Next().Append<int64_t>(value);
    return *this;
  }
  RowBuilder& Float8(double value) {
    Next().Append<double>(value);
    return *this;
  }
  RowBuilder& Bool(bool value) {
    Next().Append<uint8_t>(value);
    return *this;
  }
  RowBuilder& Null() {
    Next().AppendNull();
    return *this;
  }
  RowBuilder& Time(int64_t micros) { return micros == 0 ? Null() : Int8(micros); }
  RowBuilder& Watermark(int64_t micros) { return micros == flow::kNoWatermark ? Null() : Int8(micros); }
  data::Batch Finish() {
    data::Batch batch;
    KAPPA_CHECK(cell_ == 0);
    for (data::ColumnBuilder& builder : builders_) {
      batch.rows = builder.size();
      batch.columns.push_back(builder.Finish());
    }
    return batch;
  }

 private:
  data::ColumnBuilder& Next() {
    data::ColumnBuilder& builder = builders_[cell_];
    cell_ = (cell_ + 1) % builders_.size();
    return builder;
  }
  std::vector<data::ColumnBuilder> builders_;
  size_t cell_ = 0;
};

std::string RouteText(const catalog::View& view) {
  if (view.routes.empty()) return view.serving == 0 ? "" : fmt::format("{}:100", view.serving);
  std::string text;
  for (const catalog::Route& route : view.routes) text += fmt::format("{}{}:{}", text.empty() ? "" : ", ", route.version, route.percent);
  return text;
}

/// EMIT ON WINDOW CLOSE ends the query's text.
bool Closes(std::string_view query) {
  std::string text;
  for (char c : query) {
    if (c == ';') continue;
    const bool space = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (space && (text.empty() || text.back() == ' ')) continue;
    text += space ? ' ' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text.ends_with("EMIT ON WINDOW CLOSE");
}

/// generate_series(from, to [, step]) of integers or times: the binder has cast `from` and `to` to one type.
Result<data::Batch> GenerateSeries(const std::vector<data::Value>& arguments, int64_t bytes_max, const std::function<Status()>& check) {
  constexpr int64_t kCheckRows = 1 << 20;
  const data::Type type = arguments[0].type;
  data::ColumnBuilder builder(type);
  data::Batch batch;
  const bool any_null = std::any_of(arguments.begin(), arguments.end(), [](const data::Value& value) { return value.null; });
  auto too_large = [&] {
    return Error(sqlstate::kOutOfMemory, "generate_series gives more rows than query_memory holds").Hint("Choose a larger step or a shorter range.");
  };
  if (!any_null && (type.id == TypeId::kTimestamp || type.id == TypeId::kTimestamptz)) {
    const auto step = arguments[2].As<data::Interval>();
    int64_t at = arguments[0].As<int64_t>();
    const int64_t to = arguments[1].As<int64_t>();
    const bool down = step.months < 0 || (step.months == 0 && (step.days < 0 || (step.days == 0 && step.micros < 0)));
    if (step == data::Interval{}) return Error(sqlstate::kInvalidParameterValue, "step size cannot equal zero");
    while (down ? at >= to : at <= to) {
      builder.Append<int64_t>(at);
      if (builder.size() * 8 > bytes_max) return too_large();
      if (builder.size() % kCheckRows == 0) KAPPA_RETURN_IF_ERROR(check());
      KAPPA_ASSIGN_OR_RETURN(at, data::AddInterval(at, step));
    }
  } else if (!any_null) {
    const auto integer = [](const data::Value& value) { return value.type.id == TypeId::kInt4 ? value.As<int32_t>() : value.As<int64_t>(); };
    int64_t at = integer(arguments[0]);
    const int64_t to = integer(arguments[1]), step = arguments.size() > 2 ? integer(arguments[2]) : 1;
    if (step == 0) return Error(sqlstate::kInvalidParameterValue, "step size cannot equal zero");
    while (step > 0 ? at <= to : at >= to) {
      if (type.id == TypeId::kInt4) {
        builder.Append<int32_t>(static_cast<int32_t>(at));
      } else {
        builder.Append<int64_t>(at);
      }
      if (builder.size() * type.width() > bytes_max) return too_large();
      if (builder.size() % kCheckRows == 0) KAPPA_RETURN_IF_ERROR(check());
      if (__builtin_add_overflow(at, step, &at)) break;
    }
  }
  batch.rows = builder.size();
  batch.columns.push_back(builder.Finish());
  return batch;
}

std::string RowJson(const data::Schema& schema, const data::Batch& rows, int64_t row) {
  std::string json;
  format::AppendJsonRow(schema, rows, row, json);
  return json;
}

}  // namespace

const std::vector<sql::SystemRelation>& KappaRelations() {
  static const std::vector<sql::SystemRelation> relations = {
      Relation("kappa.streams", {{"name", TypeId::kText},
                                 {"topic", TypeId::kText},
                                 {"partitions", TypeId::kInt4},
                                 {"rows", TypeId::kInt8},
                                 {"late_rows", TypeId::kInt8},
                                 {"dead_letters", TypeId::kInt8},
                                 {"watermark", TypeId::kTimestamptz},
                                 {"created_at", TypeId::kTimestamptz},
                                 {"sql", TypeId::kText}}),
      Relation(
          "kappa.tables",
          {{"name", TypeId::kText}, {"topic", TypeId::kText}, {"rows", TypeId::kInt8}, {"created_at", TypeId::kTimestamptz}, {"sql", TypeId::kText}}),
      Relation("kappa.views", {{"name", TypeId::kText},
                               {"serving", TypeId::kInt4},
                               {"previous", TypeId::kInt4},
                               {"versions", TypeId::kInt4},
                               {"rows", TypeId::kInt8},
                               {"route", TypeId::kText},
                               {"rows_late", TypeId::kInt8}}),
      Relation("kappa.versions", {{"view", TypeId::kText},
                                  {"version", TypeId::kInt4},
                                  {"state", TypeId::kText},
                                  {"rows", TypeId::kInt8},
                                  {"digest", TypeId::kText},
                                  {"percent", TypeId::kFloat8},
                                  {"query", TypeId::kText},
                                  {"emit", TypeId::kText},
                                  {"plan_hash", TypeId::kText},
                                  {"depends_on", TypeId::kText},
                                  {"errors", TypeId::kInt8},
                                  {"state_bytes", TypeId::kInt8},
                                  {"created_at", TypeId::kTimestamptz},
                                  {"ready_at", TypeId::kTimestamptz},
                                  {"promoted_at", TypeId::kTimestamptz},
                                  {"failure", TypeId::kText}}),
      Relation("kappa.replays", {{"view", TypeId::kText},
                                 {"version", TypeId::kInt4},
                                 {"percent", TypeId::kFloat8},
                                 {"records_done", TypeId::kInt8},
                                 {"records_total", TypeId::kInt8},
                                 {"records_per_second", TypeId::kFloat8},
                                 {"eta_seconds", TypeId::kFloat8},
                                 {"failures", TypeId::kInt4},
                                 {"error", TypeId::kText}}),
      Relation("kappa.epochs", {{"epoch", TypeId::kInt8}, {"wall_time", TypeId::kTimestamptz}, {"partitions", TypeId::kInt4}}),
      Relation(
          "kappa.topics",
          {{"name", TypeId::kText}, {"partitions", TypeId::kInt4}, {"bytes", TypeId::kInt8}, {"internal", TypeId::kBool}, {"unsafe", TypeId::kBool}}),
      Relation("kappa.partitions", {{"topic", TypeId::kText},
                                    {"partition", TypeId::kInt4},
                                    {"start_offset", TypeId::kInt8},
                                    {"end_offset", TypeId::kInt8},
                                    {"durable_end", TypeId::kInt8},
                                    {"stable_end", TypeId::kInt8},
                                    {"bytes", TypeId::kInt8},
                                    {"segments", TypeId::kInt4},
                                    {"needed_from", TypeId::kInt8},
                                    {"needed_by", TypeId::kText}}),
      Relation("kappa.groups", {{"name", TypeId::kText},
                                {"state", TypeId::kText},
                                {"protocol_type", TypeId::kText},
                                {"protocol", TypeId::kText},
                                {"generation", TypeId::kInt4},
                                {"leader", TypeId::kText},
                                {"members", TypeId::kInt4},
                                {"offsets", TypeId::kInt8}}),
      Relation("kappa.group_lag", {{"group_name", TypeId::kText},
                                   {"topic", TypeId::kText},
                                   {"partition", TypeId::kInt4},
                                   {"committed_offset", TypeId::kInt8},
                                   {"end_offset", TypeId::kInt8},
                                   {"lag", TypeId::kInt8},
                                   {"committed_at", TypeId::kTimestamptz},
                                   {"metadata", TypeId::kText},
                                   {"member", TypeId::kText},
                                   {"client", TypeId::kText}}),
      Relation("kappa.transactions", {{"id", TypeId::kText},
                                      {"state", TypeId::kText},
                                      {"producer_id", TypeId::kInt8},
                                      {"producer_epoch", TypeId::kInt4},
                                      {"timeout_ms", TypeId::kInt4},
                                      {"started_at", TypeId::kTimestamptz},
                                      {"changed_at", TypeId::kTimestamptz},
                                      {"partitions", TypeId::kInt4},
                                      {"groups", TypeId::kInt4}}),
      Relation("kappa.quotas", {{"user_name", TypeId::kText},
                                {"client_id", TypeId::kText},
                                {"ip", TypeId::kText},
                                {"key", TypeId::kText},
                                {"value", TypeId::kFloat8},
                                {"enforced", TypeId::kBool}}),
      Relation("kappa.dead_letters", {{"topic", TypeId::kText},
                                      {"partition", TypeId::kInt4},
                                      {"offset", TypeId::kInt8},
                                      {"reason", TypeId::kText},
                                      {"bytes", TypeId::kBytea},
                                      {"view", TypeId::kText}}),
      Relation("kappa.functions", {{"kind", TypeId::kText},
                                   {"name", TypeId::kText},
                                   {"arguments", TypeId::kText},
                                   {"result", TypeId::kText},
                                   {"description", TypeId::kText}}),
  };
  return relations;
}

sql::BindContext Core::MakeBindContext(const catalog::Snapshot& snapshot) const {
  sql::BindContext context;
  context.catalog = &snapshot;
  context.default_partitions = options_.default_partitions;
  context.input_rows = [this, &snapshot](uint32_t relation) {
    const auto is_it = [&](const auto& named) { return named.second.id == relation; };
    const auto stream = std::find_if(snapshot.streams.begin(), snapshot.streams.end(), is_it);
    const auto table = std::find_if(snapshot.tables.begin(), snapshot.tables.end(), is_it);
    int64_t records = 0;
    if (stream == snapshot.streams.end() && table == snapshot.tables.end()) return records;
    const auto topic = log_->FindTopic(stream != snapshot.streams.end() ? stream->second.topic : table->second.topic);
    for (int32_t p = 0; topic && p < topic->partition_count(); ++p) records += topic->partition(p).durable_end() - topic->partition(p).start_offset();
    return records;
  };
  context.system_relation = [](std::string_view name) -> const sql::SystemRelation* {
    for (const sql::SystemRelation& relation : KappaRelations()) {
      if (relation.name == name) return &relation;
    }
    return FindPgCatalogRelation(name);
  };
  context.table_function = [this](std::string_view name, const std::vector<data::Value>& arguments) { return TableFunctionSchema(name, arguments); };
  return context;
}

std::shared_ptr<SessionInfo> Core::RegisterSession() {
  auto info = std::make_shared<SessionInfo>();
  std::lock_guard guard(sessions_mutex_);
  std::erase_if(session_infos_, [](const auto& session) { return session.expired(); });
  session_infos_.push_back(info);
  return info;
}

PgCatalogContext Core::CatalogContext(const catalog::Snapshot& snapshot, const Settings* settings) {
  PgCatalogContext context;
  context.catalog = &snapshot;
  context.system_relations = &KappaRelations();
  if (settings != nullptr) {
    for (const auto& [name, value] : *settings) {
      if (name == kUserSetting) context.user = value;
      else if (name == kDatabaseSetting) context.database = value;
      else context.settings.emplace_back(name, value);
    }
  }
  {
    std::lock_guard guard(sessions_mutex_);
    for (const auto& session : session_infos_) {
      const std::shared_ptr<SessionInfo> info = session.lock();
      if (!info) continue;
      std::lock_guard lock(info->mutex);
      if (info->activity.pid != 0) context.activity.push_back(info->activity);
    }
  }
  context.relation_size = [this, &snapshot](std::string_view object) -> std::pair<int64_t, int64_t> {
    std::lock_guard guard(publish_);
    if (auto table = tables_.find(object); table != tables_.end()) {
      return {table->second->store->row_count(), static_cast<int64_t>(table->second->store->memory_bytes())};
    }
    const catalog::View* view = snapshot.FindView(object);
    const catalog::ViewVersion* version = view == nullptr ? nullptr : view->FindVersion(view->serving);
    if (version == nullptr || !versions_.contains(version->id)) return {0, 0};
    const auto& store = versions_.at(version->id)->store;
    return {store->row_count(), static_cast<int64_t>(store->memory_bytes())};
  };
  return context;
}

Result<data::Batch> Core::SystemRows(std::string_view name, const ReadSet& reads) {
  const sql::SystemRelation* relation = nullptr;
  for (const sql::SystemRelation& r : KappaRelations()) {
    if (r.name == name) relation = &r;
  }
  const catalog::Snapshot& snapshot = *reads.catalog;
  if (relation == nullptr) { return PgCatalogRows(name, CatalogContext(snapshot, reads.settings)); }
  RowBuilder rows(relation->schema);
  if (name == "kappa.topics" || name == "kappa.partitions") {
    std::function<LogNeeds::Need(const log::Partition&)> need_of;
    if (name == "kappa.partitions") { KAPPA_ASSIGN_OR_RETURN(need_of, LogHolds()); }
    for (const auto& topic : log_->ListTopics()) {
      uint64_t bytes = 0;
      for (int32_t p = 0; p < topic->partition_count(); ++p) {
        log::Partition& partition = topic->partition(p);
        bytes += partition.size_bytes();
        if (name == "kappa.partitions") {
          rows.Text(topic->name())
              .Int4(p)
              .Int8(partition.start_offset())
              .Int8(partition.end_offset())
              .Int8(partition.durable_end())
              .Int8(partition.last_stable_offset())
              .Int8(static_cast<int64_t>(partition.size_bytes()))
              .Int4(static_cast<int64_t>(partition.segments().size()));
          const LogNeeds::Need need = need_of(partition);
          if (need.by.empty()) rows.Null().Null();
          else rows.Int8(std::min(need.from, partition.durable_end())).Text(need.by);
        }
      }
      if (name == "kappa.topics") {
        rows.Text(topic->name())
            .Int4(topic->partition_count())
            .Int8(static_cast<int64_t>(bytes))
            .Bool(topic->config().internal)
            .Bool(topic->config().unsafe);
      }
    }
    return rows.Finish();
  }
  if (name == "kappa.groups") {
    for (const GroupStatus& group : ListGroupStatus(*groups_)) {
      rows.Text(group.name)
          .Text(group.state)
          .Text(group.protocol_type)
          .Text(group.protocol)
          .Int4(group.generation)
          .Text(group.leader)
          .Int4(group.members)
          .Int8(group.offsets);
    }
    return rows.Finish();
  }
  if (name == "kappa.transactions") {
    transactions_->Do([&](txn::Coordinator& coordinator) {
      for (const auto& [id, transaction] : coordinator.transactions()) {
        rows.Text(id).Text(txn::Name(transaction.state)).Int8(transaction.producer.id).Int4(transaction.producer.epoch).Int4(transaction.timeout_ms);
        transaction.started_ms < 0 ? rows.Null() : rows.Time(transaction.started_ms * 1000);
        rows.Time(transaction.updated_ms * 1000)
            .Int4(static_cast<int64_t>(transaction.partitions.size()))
            .Int4(static_cast<int64_t>(transaction.groups.size()));
      }
    });
    return rows.Finish();
  }
  if (name == "kappa.quotas") {
    const auto quotas = quotas_->all();
    for (const auto& [entity, values] : *quotas) {
      for (const auto& [key, value] : values) {
        for (const std::string_view kind : {quota::kUser, quota::kClientId, quota::kIp}) {
          const auto named = entity.find(kind);
          named == entity.end() ? rows.Null() : rows.Text(named->second.value_or(std::string(kDefaultEntity)));
        }
        rows.Text(key).Float8(value).Bool(key != quota::kRequestPercentage);
      }
    }
    return rows.Finish();
  }
  if (name == "kappa.group_lag") {
    for (const GroupLag& lag : ListGroupLag(*groups_, *log_)) {
      auto number = [&](std::optional<int64_t> value) { value ? rows.Int8(*value) : rows.Null(); };
      auto text = [&](const std::string& value) { value.empty() ? rows.Null() : rows.Text(value); };
      rows.Text(lag.group).Text(lag.topic).Int4(lag.partition);
      number(lag.committed);
      number(lag.end);
      number(lag.lag());
      rows.Time(lag.committed_ms * 1000).Text(lag.metadata);
      text(lag.member);
      text(lag.client);
    }
    return rows.Finish();
  }
  if (name == "kappa.epochs") {
    const log::Partition& journal = journal_->partition(0);
    const log::Offset from = std::max(journal.start_offset(), journal.durable_end() - static_cast<log::Offset>(kEpochsShown));
    flow::JournalReader reader(journal, from);
    std::vector<flow::EpochRecord> epochs;
    KAPPA_RETURN_IF_ERROR(reader.Read(kEpochsShown, epochs));
    for (const flow::EpochRecord& epoch : epochs) {
      if (epoch.epoch <= reads.epoch) rows.Int8(static_cast<int64_t>(epoch.epoch)).Int8(epoch.wall_us).Int4(static_cast<int64_t>(epoch.ends.size()));
    }
    return rows.Finish();
  }
  std::lock_guard guard(publish_);
  if (name == "kappa.functions") {
    constexpr std::string_view kKinds[] = {"operator", "function", "system", "aggregate"};
    for (const expr::FunctionInfo& function : expr::ListFunctions()) {
      rows.Text(kKinds[static_cast<size_t>(function.kind)])
          .Text(function.name)
          .Text(fmt::format("{}", fmt::join(function.arguments, ", ")))
          .Text(function.result)
          .Text(function.description);
    }
  }
  if (name == "kappa.dead_letters") {
    const int columns[] = {0, 1, 2, 3, 4, 5};
    std::vector<data::Batch> parts;
    dead_letters_->Snapshot().Scan(columns, 8192, [&](data::Batch batch) {
      parts.push_back(std::move(batch));
      return true;
    });
    if (parts.empty()) return data::EmptyBatch(relation->schema);
    std::vector<data::ChangeBatch> changes;
    for (data::Batch& part : parts) changes.emplace_back(std::move(part));
    return data::Concatenate(changes).AsBatch();
  }
  if (name == "kappa.streams") {
    for (const auto& [stream_name, stream] : snapshot.streams) {
      const StreamFigures& figures = stream_figures_[stream.id];
      rows.Text(stream_name)
          .Text(stream.topic)
          .Int4(stream.partitions)
          .Int8(figures.rows)
          .Int8(figures.late)
          .Int8(figures.dead)
          .Watermark(figures.watermark)
          .Time(stream.created_us)
          .Text(stream.sql);
    }
  }
  if (name == "kappa.tables") {
    for (const auto& [table_name, table] : snapshot.tables) {
      auto runtime = tables_.find(table_name);
      rows.Text(table_name)
          .Text(table.topic)
          .Int8(runtime == tables_.end() ? 0 : runtime->second->store->row_count())
          .Time(table.created_us)
          .Text(table.sql);
    }
  }
  if (name == "kappa.views") {
    for (const auto& [view_name, view] : snapshot.views) {
      const catalog::ViewVersion* serving = view.FindVersion(view.serving);
      auto runtime = serving == nullptr ? versions_.end() : versions_.find(serving->id);
      int64_t late = 0;
      if (serving != nullptr) {
        for (const std::string& upstream : serving->depends_on) {
          if (const catalog::Stream* stream = snapshot.FindStream(upstream)) late += stream_figures_[stream->id].late;
        }
      }
      rows.Text(view_name)
          .Int4(view.serving)
          .Int4(view.previous)
          .Int4(static_cast<int64_t>(view.versions.size()))
          .Int8(runtime == versions_.end() ? 0 : runtime->second->store->row_count())
          .Text(RouteText(view))
          .Int8(late);
    }
  }
  if (name == "kappa.versions" || name == "kappa.replays") {
    const int64_t now = clock_.SteadyMicros();
    for (const auto& [view_name, view] : snapshot.views) {
      for (const catalog::ViewVersion& version : view.versions) {
        auto it = versions_.find(version.id);
        const VersionRuntime* runtime = it == versions_.end() ? nullptr : it->second.get();
        const ReplayProgress* progress = runtime != nullptr && runtime->replay ? &runtime->replay->progress : nullptr;
        if (name == "kappa.replays") {
          const auto retry = retries_.find(version.id);
          if (progress == nullptr && retry == retries_.end()) continue;
          const ReplayProgress not_begun;
          if (progress == nullptr) progress = &not_begun;
          rows.Text(view_name)
              .Int4(version.number)
              .Float8(progress->percent())
              .Int8(progress->records_done)
              .Int8(progress->records_total)
              .Float8(progress->records_per_second(now));
          const double eta = progress->eta_seconds(now);
          if (eta < 0) rows.Null();
          else rows.Float8(eta);
          if (retry == retries_.end()) rows.Int4(0).Null();
          else rows.Int4(retry->second.failures).Text(retry->second.error);
          continue;
        }
        const bool live = runtime != nullptr && runtime->live;
        std::string depends;
        for (const std::string& upstream : version.depends_on) depends += (depends.empty() ? "" : ", ") + upstream;
        rows.Text(view_name).Int4(version.number).Text(catalog::ToString(version.state));
        if (live) rows.Int8(runtime->store->row_count()).Text(runtime->store->digest().ToString());
        else rows.Null().Null();
        if (progress != nullptr) rows.Float8(progress->percent());
        else if (live) rows.Float8(100);
        else rows.Null();
        const bool closing = Closes(version.query);
        rows.Text(version.query)
            .Text(closing ? "on window close" : "changes")
            .Text(fmt::format("{:016x}", version.plan_hash))
            .Text(depends)
            .Int8(runtime == nullptr ? 0 : runtime->errors)
            .Int8(runtime == nullptr ? 0 : static_cast<int64_t>(runtime->state_bytes))
            .Time(version.created_us)
            .Time(version.ready_us)
            .Time(version.promoted_us);
        if (version.failure.empty()) rows.Null();
        else rows.Text(version.failure);
      }
    }
  }
  return rows.Finish();
}

Result<data::Schema> Core::TableFunctionSchema(std::string_view name, const std::vector<data::Value>& arguments) const {
  if (name == "kappa.diff") {
    if (arguments.size() != 3) {
      return Error(sqlstate::kUndefinedFunction, "kappa.diff takes a view's name and two version numbers")
          .Hint("SELECT * FROM kappa.diff('my_view', 1, 2).");
    }
    data::Schema schema;
    schema.fields = {{"change", TypeId::kText}, {"old", TypeId::kJsonb}, {"new", TypeId::kJsonb}};
    return schema;
  }
  if (name == "kappa.verify") {
    if (arguments.empty() || arguments.size() > 2) {
      return Error(sqlstate::kUndefinedFunction, "kappa.verify takes a view's name and, if wanted, a version number")
          .Hint("SELECT * FROM kappa.verify('my_view').");
    }
    data::Schema schema;
    schema.fields = {{"view", TypeId::kText},     {"version", TypeId::kInt4},     {"equal", TypeId::kBool},           {"epoch", TypeId::kInt8},
                     {"rows", TypeId::kInt8},     {"live_digest", TypeId::kText}, {"replayed_digest", TypeId::kText}, {"records", TypeId::kInt8},
                     {"seconds", TypeId::kFloat8}};
    return schema;
  }
  if (name == "kappa.plan") {
    if (arguments.size() != 1) return Error(sqlstate::kUndefinedFunction, "kappa.plan takes the text of the statements");
    return PlanSchema();
  }
  if (name == "pg_options_to_table" || name == "pg_catalog.pg_options_to_table") {
    data::Schema schema;
    schema.fields = {{"option_name", TypeId::kText}, {"option_value", TypeId::kText}};
    return schema;
  }
  return Error(sqlstate::kUndefinedFunction, fmt::format("function {} does not exist", name))
      .Hint("Functions in FROM: unnest, generate_series, kappa.diff, kappa.plan, kappa.verify.");
}

Result<data::Batch> Core::TableFunctionRows(std::string_view name, const std::vector<data::Value>& arguments, const std::function<Status()>& check) {
  if (name == "generate_series") return GenerateSeries(arguments, options_.query_memory_bytes, check);
  KAPPA_ASSIGN_OR_RETURN(data::Schema schema, TableFunctionSchema(name, arguments));
  RowBuilder rows(schema);
  auto integer = [](const data::Value& value) -> int {
    if (value.null) return 0;
    return std::atoi(data::ToText(value).c_str());
  };
  if (name == "pg_options_to_table" || name == "pg_catalog.pg_options_to_table") {
    if (arguments.empty() || arguments[0].null) return rows.Finish();
    // An array of "name=value" in text form: {topic=orders,partitions=4}.
    std::string text = data::ToText(arguments[0]);
    if (text.size() >= 2) text = text.substr(1, text.size() - 2);
    for (size_t at = 0; at < text.size();) {
      size_t end = text.find(',', at);
      if (end == std::string::npos) end = text.size();
      std::string option = text.substr(at, end - at);
      if (option.size() >= 2 && option.front() == '"') option = option.substr(1, option.size() - 2);
      const size_t equals = option.find('=');
      rows.Text(option.substr(0, equals)).Text(equals == std::string::npos ? "" : option.substr(equals + 1));
      at = end + 1;
    }
    return rows.Finish();
  }
  const std::string view = arguments[0].null ? "" : arguments[0].bytes;
  if (name == "kappa.plan") return PlanRows(view);
  if (name == "kappa.verify") {
    KAPPA_ASSIGN_OR_RETURN(Verification v, Verify(view, arguments.size() > 1 ? integer(arguments[1]) : 0, [] { return false; }));
    rows.Text(v.view)
        .Int4(v.version)
        .Bool(v.equal)
        .Int8(static_cast<int64_t>(v.epoch))
        .Int8(v.rows)
        .Text(v.live_digest)
        .Text(v.replayed_digest)
        .Int8(v.records)
        .Float8(v.seconds);
    return rows.Finish();
  }
  // kappa.diff: both versions at one epoch.
  plan::Scan from, to;
  from.relation_kind = to.relation_kind = plan::RelationKind::kView;
  from.name = to.name = view;
  from.version = integer(arguments[1]);
  to.version = integer(arguments[2]);
  if (from.version <= 0 || to.version <= 0) return Error(sqlstate::kInvalidParameterValue, "version numbers are 1 and above");
  KAPPA_ASSIGN_OR_RETURN(ReadSet reads, OpenReadSet({&from, &to}, 0, 0));
  const catalog::View* found = reads.catalog->FindView(view);
  struct Side {
    data::Schema schema;
    std::vector<int> keys;
    std::vector<data::Batch> batches;
  };
  auto load = [&](int number) {
    Side side;
    const catalog::ViewVersion* version = found->FindVersion(number);
    side.schema = version->schema;
    side.keys = version->key_columns;
    std::vector<int> columns;
    for (int i = 0; i < side.schema.size(); ++i) columns.push_back(i);
    reads.views.at({view, number}).Scan(columns, 8192, [&](data::Batch batch) {
      side.batches.push_back(std::move(batch));
      return true;
    });
    return side;
  };
  const Side a = load(from.version), b = load(to.version);
  // Rows by their JSON, which names the columns: versions with other columns compare too.
  struct Row {
    int64_t net = 0;
    std::string key;
  };
  std::map<std::string, Row> net;
  auto count = [&](const Side& side, int64_t weight) {
    for (const data::Batch& batch : side.batches) {
      for (int64_t row = 0; row < batch.rows; ++row) {
        Row& entry = net[RowJson(side.schema, batch, row)];
        entry.net += weight;
        if (entry.key.empty()) {
          data::Schema key_schema;
          data::Batch key_rows;
          key_rows.rows = batch.rows;
          for (int column : side.keys) {
            key_schema.fields.push_back(side.schema.fields[static_cast<size_t>(column)]);
            key_rows.columns.push_back(batch.columns[static_cast<size_t>(column)]);
          }
          if (!side.keys.empty()) entry.key = RowJson(key_schema, key_rows, row);
        }
      }
    }
  };
  count(a, -1);
  count(b, 1);
  std::map<std::string, std::pair<std::vector<const std::string*>, std::vector<const std::string*>>> by_key;
  std::vector<std::pair<const std::string*, int64_t>> loose;
  for (const auto& [json, row] : net) {
    if (row.net == 0) continue;
    if (row.key.empty()) {
      loose.emplace_back(&json, row.net);
      continue;
    }
    auto& pair = by_key[row.key];
    for (int64_t i = 0; i < std::abs(row.net); ++i) (row.net < 0 ? pair.first : pair.second).push_back(&json);
  }
  auto jsonb = [&](const std::string* json) -> Status {
    if (json == nullptr) {
      rows.Null();
      return {};
    }
    KAPPA_ASSIGN_OR_RETURN(data::Value value, data::FromText(*json, TypeId::kJsonb));
    rows.Text(value.bytes);
    return {};
  };
  auto emit = [&](std::string_view change, const std::string* old_row, const std::string* new_row) -> Status {
    rows.Text(change);
    KAPPA_RETURN_IF_ERROR(jsonb(old_row));
    return jsonb(new_row);
  };
  const std::string only_a = fmt::format("only in {}", from.version), only_b = fmt::format("only in {}", to.version);
  for (const auto& [key, pair] : by_key) {
    const size_t both = std::min(pair.first.size(), pair.second.size());
    for (size_t i = 0; i < both; ++i) KAPPA_RETURN_IF_ERROR(emit("changed", pair.first[i], pair.second[i]));
    for (size_t i = both; i < pair.first.size(); ++i) KAPPA_RETURN_IF_ERROR(emit(only_a, pair.first[i], nullptr));
    for (size_t i = both; i < pair.second.size(); ++i) KAPPA_RETURN_IF_ERROR(emit(only_b, nullptr, pair.second[i]));
  }
  for (const auto& [json, copies] : loose) {
    for (int64_t i = 0; i < std::abs(copies); ++i) { KAPPA_RETURN_IF_ERROR(copies < 0 ? emit(only_a, json, nullptr) : emit(only_b, nullptr, json)); }
  }
  return rows.Finish();
}

Result<data::Value> Core::EngineFunction(std::string_view name, const std::vector<data::Value>& arguments, const catalog::Snapshot& snapshot,
                                         const Settings& settings) {
  return PgCatalogFunction(name, arguments, CatalogContext(snapshot, &settings));
}

}  // namespace kappa::engine
