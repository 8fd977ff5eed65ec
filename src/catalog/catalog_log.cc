#include "catalog/catalog_log.h"

#include <algorithm>
#include <condition_variable>

#include "base/bytes.h"
#include "base/format_version.h"
#include "data/record.h"
#include "log/record_batch.h"

namespace kappa::catalog {
namespace {

constexpr uint8_t kFormat =
    11;  // 1: streams without what late rows do; 2: versions without the rows of their inputs; 3: .. without what errors do; 4: tables without version times; 5: no types; 6: no ttl; 7: no domains; 8: no records, no domains over domains; 9: no composite types; 10: streams of committed records alone

void Put(ByteWriter& out, std::string_view text) { out.Prefixed(text); }
void Put(ByteWriter& out, const data::Type& type) {
  out.Little<uint8_t>(static_cast<uint8_t>(type.id));
  out.Little<uint8_t>(static_cast<uint8_t>(type.element));
  out.Little<int32_t>(type.modifier);
  if (!type.is_record()) return;
  const data::RecordDefinition* definition = data::FindRecord(type);
  KAPPA_CHECK(definition != nullptr);
  out.Varint(definition->names.size());
  for (size_t i = 0; i < definition->names.size(); ++i) {
    Put(out, definition->names[i]);
    Put(out, definition->types[i]);
  }
  Put(out, definition->name);
}
void Put(ByteWriter& out, const data::Schema& schema) {
  out.Varint(schema.fields.size());
  for (const data::Field& field : schema.fields) {
    Put(out, field.name);
    Put(out, field.type);
    out.Little<uint8_t>(field.nullable);
  }
}
void Put(ByteWriter& out, const std::vector<int>& values) {
  out.Varint(values.size());
  for (int value : values) out.ZigZag(value);
}

std::string Text(ByteReader& in) { return std::string(in.Prefixed()); }
data::Type GetType(ByteReader& in, uint8_t format, int depth = 0) {
  data::Type type;
  type.id = static_cast<data::TypeId>(in.Little<uint8_t>());
  type.element = static_cast<data::TypeId>(in.Little<uint8_t>());
  type.modifier = in.Little<int32_t>();
  constexpr data::TypeId kLast = data::TypeId::kTime;
  const bool known = type.id <= kLast && type.element <= kLast && (type.is_array() || type.element == data::TypeId::kUnknown);
  if (!known) in.Fail();
  if (!known || !type.is_record()) return type;
  constexpr int kDepthMax = 1000;  // a type in a type takes a level of a query, which has fewer
  data::RecordDefinition definition;
  for (uint64_t i = 0, n = depth < kDepthMax ? in.Varint() : 0; in.ok() && i < n; ++i) {
    definition.names.push_back(Text(in));
    definition.types.push_back(GetType(in, format, depth + 1));
  }
  if (format >= 10) definition.name = Text(in);
  if (!in.ok()) return type;
  data::RegisterRecord(definition);  // known from here on: values are read by it
  if (data::FindRecord(type) == nullptr) in.Fail();
  return type;
}
data::Schema GetSchema(ByteReader& in, uint8_t format) {
  data::Schema schema;
  for (uint64_t i = 0, n = in.Varint(); in.ok() && i < n; ++i) {
    data::Field field;
    field.name = Text(in);
    field.type = GetType(in, format);
    field.nullable = in.Little<uint8_t>() != 0;
    schema.fields.push_back(std::move(field));
  }
  return schema;
}
std::vector<int> GetInts(ByteReader& in) {
  std::vector<int> values;
  for (uint64_t i = 0, n = in.Varint(); in.ok() && i < n; ++i) values.push_back(static_cast<int>(in.ZigZag()));
  return values;
}

void Put(ByteWriter& out, const std::map<int, std::string>& domains) {
  out.Varint(domains.size());
  for (const auto& [column, name] : domains) {
    out.ZigZag(column);
    Put(out, name);
  }
}
std::map<int, std::string> GetDomains(ByteReader& in) {
  std::map<int, std::string> domains;
  for (uint64_t i = 0, n = in.Varint(); in.ok() && i < n; ++i) {
    const auto column = static_cast<int>(in.ZigZag());
    domains[column] = Text(in);
  }
  return domains;
}

void Encode(ByteWriter& out, const Stream& s) {
  out.Varint(s.id);
  Put(out, s.name);
  Put(out, s.schema);
  out.ZigZag(s.event_time);
  out.ZigZag(s.watermark_delay_us);
  Put(out, s.topic);
  out.ZigZag(s.partitions);
  Put(out, s.key);
  Put(out, s.format);
  Put(out, s.json_timestamps);
  out.ZigZag(s.retention_ms);
  out.ZigZag(s.idle_timeout_ms);
  out.ZigZag(s.future_limit_us);
  Put(out, s.sql);
  out.ZigZag(s.created_us);
  out.Little<uint8_t>(s.drop_late);
  out.ZigZag(s.allowed_lateness_us);
  Put(out, s.domains);
  out.Little<uint8_t>(s.read_uncommitted);
}
Stream DecodeStream(ByteReader& in, uint8_t format) {
  Stream s;
  s.id = static_cast<uint32_t>(in.Varint());
  s.name = Text(in);
  s.schema = GetSchema(in, format);
  s.event_time = static_cast<int>(in.ZigZag());
  s.watermark_delay_us = in.ZigZag();
  s.topic = Text(in);
  s.partitions = static_cast<int32_t>(in.ZigZag());
  s.key = Text(in);
  s.format = Text(in);
  s.json_timestamps = Text(in);
  s.retention_ms = in.ZigZag();
  s.idle_timeout_ms = in.ZigZag();
  s.future_limit_us = in.ZigZag();
  s.sql = Text(in);
  s.created_us = in.ZigZag();
  if (format < 2) return s;
  s.drop_late = in.Little<uint8_t>() != 0;
  s.allowed_lateness_us = in.ZigZag();
  if (format >= 8) s.domains = GetDomains(in);
  if (format >= 11) s.read_uncommitted = in.Little<uint8_t>() != 0;
  return s;
}

void Encode(ByteWriter& out, const Table& t) {
  out.Varint(t.id);
  Put(out, t.name);
  Put(out, t.schema);
  Put(out, t.primary_key);
  Put(out, t.topic);
  Put(out, t.sql);
  out.ZigZag(t.created_us);
  out.ZigZag(t.version_time);
  out.ZigZag(t.ttl_us);
  Put(out, t.domains);
}
Table DecodeTable(ByteReader& in, uint8_t format) {
  Table t;
  t.id = static_cast<uint32_t>(in.Varint());
  t.name = Text(in);
  t.schema = GetSchema(in, format);
  t.primary_key = GetInts(in);
  t.topic = Text(in);
  t.sql = Text(in);
  t.created_us = in.ZigZag();
  if (format >= 5) t.version_time = static_cast<int>(in.ZigZag());
  if (format >= 7) t.ttl_us = in.ZigZag();
  if (format >= 8) t.domains = GetDomains(in);
  return t;
}

void Encode(ByteWriter& out, const View& view) {
  out.Varint(view.id);
  Put(out, view.name);
  out.Varint(view.versions.size());
  for (const ViewVersion& v : view.versions) {
    out.Varint(v.id);
    out.ZigZag(v.number);
    Put(out, v.sql);
    Put(out, v.query);
    Put(out, v.schema);
    Put(out, v.key_columns);
    out.Varint(v.depends_on.size());
    for (const std::string& name : v.depends_on) Put(out, name);
    out.Little<uint64_t>(v.plan_hash);
    out.Little<uint8_t>(static_cast<uint8_t>(v.state));
    Put(out, v.failure);
    out.Little<uint8_t>(v.promote_when_ready);
    out.Varint(v.created_epoch);
    out.ZigZag(v.created_us);
    out.ZigZag(v.ready_us);
    out.ZigZag(v.promoted_us);
    out.Varint(v.input_rows.size());
    for (const auto& [id, rows] : v.input_rows) {
      out.Varint(id);
      out.ZigZag(rows);
    }
    out.Little<uint8_t>(v.dead_letters);
    out.ZigZag(v.ttl_us);
  }
  out.ZigZag(view.serving);
  out.ZigZag(view.previous);
  out.Varint(view.routes.size());
  for (const Route& route : view.routes) {
    out.ZigZag(route.version);
    out.ZigZag(route.percent);
  }
}
View DecodeView(ByteReader& in, uint8_t format) {
  View view;
  view.id = static_cast<uint32_t>(in.Varint());
  view.name = Text(in);
  for (uint64_t i = 0, n = in.Varint(); in.ok() && i < n; ++i) {
    ViewVersion v;
    v.id = static_cast<uint32_t>(in.Varint());
    v.number = static_cast<int>(in.ZigZag());
    v.sql = Text(in);
    v.query = Text(in);
    v.schema = GetSchema(in, format);
    v.key_columns = GetInts(in);
    for (uint64_t k = 0, m = in.Varint(); in.ok() && k < m; ++k) v.depends_on.push_back(Text(in));
    v.plan_hash = in.Little<uint64_t>();
    v.state = static_cast<VersionState>(in.Little<uint8_t>());
    if (v.state > VersionState::kFailed) in.Fail();
    v.failure = Text(in);
    v.promote_when_ready = in.Little<uint8_t>() != 0;
    v.created_epoch = in.Varint();
    v.created_us = in.ZigZag();
    v.ready_us = in.ZigZag();
    v.promoted_us = in.ZigZag();
    for (uint64_t k = 0, m = format < 3 ? 0 : in.Varint(); in.ok() && k < m; ++k) {
      const auto id = static_cast<uint32_t>(in.Varint());
      v.input_rows[id] = in.ZigZag();
    }
    if (format >= 4) v.dead_letters = in.Little<uint8_t>() != 0;
    if (format >= 7) v.ttl_us = in.ZigZag();
    view.versions.push_back(std::move(v));
  }
  view.serving = static_cast<int>(in.ZigZag());
  view.previous = static_cast<int>(in.ZigZag());
  for (uint64_t i = 0, n = in.Varint(); in.ok() && i < n; ++i) {
    Route route;
    route.version = static_cast<int>(in.ZigZag());
    route.percent = static_cast<int>(in.ZigZag());
    view.routes.push_back(route);
  }
  return view;
}

void Encode(ByteWriter& out, const NamedType& type) {
  out.Varint(type.id);
  Put(out, type.name);
  out.Varint(type.labels.size());
  for (const std::string& label : type.labels) Put(out, label);
  Put(out, type.sql);
  out.ZigZag(type.created_us);
  out.Little<uint8_t>(type.composite);
  Put(out, type.fields);
}
NamedType DecodeType(ByteReader& in, uint8_t format) {
  NamedType type;
  type.id = static_cast<uint32_t>(in.Varint());
  type.name = Text(in);
  for (uint64_t i = 0, n = in.Varint(); in.ok() && i < n; ++i) type.labels.push_back(Text(in));
  type.sql = Text(in);
  type.created_us = in.ZigZag();
  if (format >= 10) {
    type.composite = in.Little<uint8_t>() != 0;
    type.fields = GetSchema(in, format);
  }
  return type;
}

void Encode(ByteWriter& out, const Domain& domain) {
  out.Varint(domain.id);
  Put(out, data::Schema{{{domain.name, domain.base, !domain.not_null}}});
  Put(out, domain.sql);
  out.ZigZag(domain.created_us);
  Put(out, domain.parent);
}
Domain DecodeDomain(ByteReader& in, uint8_t format) {
  Domain domain;
  domain.id = static_cast<uint32_t>(in.Varint());
  const data::Schema schema = GetSchema(in, format);
  if (schema.size() != 1) in.Fail();
  if (!in.ok()) return domain;
  domain.name = schema.fields[0].name;
  domain.base = schema.fields[0].type;
  domain.not_null = !schema.fields[0].nullable;
  domain.sql = Text(in);
  domain.created_us = in.ZigZag();
  if (format >= 9) domain.parent = Text(in);
  return domain;
}

}  // namespace

std::string EncodeChange(const Change& change) {
  ByteWriter out;
  out.Little<uint8_t>(kFormat);
  out.Little<uint8_t>(static_cast<uint8_t>(change.index()));
  if (auto* stream = std::get_if<Stream>(&change)) Encode(out, *stream);
  if (auto* table = std::get_if<Table>(&change)) Encode(out, *table);
  if (auto* view = std::get_if<View>(&change)) Encode(out, *view);
  if (auto* type = std::get_if<NamedType>(&change)) Encode(out, *type);
  if (auto* domain = std::get_if<Domain>(&change)) Encode(out, *domain);
  if (auto* dropped = std::get_if<Dropped>(&change)) {
    out.Little<uint8_t>(static_cast<uint8_t>(dropped->kind));
    out.Varint(dropped->id);
    Put(out, dropped->name);
  }
  return out.Take();
}

Result<Change> DecodeChange(std::string_view bytes) {
  ByteReader in(bytes);
  const auto format = in.Little<uint8_t>();
  if (in.ok() && format > kFormat) return NewerFormat("catalog record", format, kFormat);
  Change change;
  switch (in.Little<uint8_t>()) {
    case 0: change = DecodeStream(in, format); break;
    case 1: change = DecodeTable(in, format); break;
    case 2: change = DecodeView(in, format); break;
    case 3: {
      Dropped dropped;
      dropped.kind = static_cast<Dropped::Kind>(in.Little<uint8_t>());
      if (dropped.kind < Dropped::Kind::kStream || dropped.kind > Dropped::Kind::kDomain) in.Fail();
      dropped.id = static_cast<uint32_t>(in.Varint());
      dropped.name = Text(in);
      change = std::move(dropped);
      break;
    }
    case 4: change = DecodeType(in, format); break;
    case 5: change = DecodeDomain(in, format); break;
    default: in.Fail();
  }
  if (!in.AtEnd()) return Error(sqlstate::kDataCorrupted, "catalog record cannot be decoded");
  return change;
}

Snapshot Apply(const Snapshot& snapshot, const Change& change) {
  Snapshot next = snapshot;
  ++next.change;
  if (auto* stream = std::get_if<Stream>(&change)) next.streams[stream->name] = *stream;
  if (auto* table = std::get_if<Table>(&change)) next.tables[table->name] = *table;
  if (auto* view = std::get_if<View>(&change)) next.views[view->name] = *view;
  if (auto* type = std::get_if<NamedType>(&change)) {
    next.types[type->name] = *type;
    (void)type->type();  // known from here on: values are read by it
  }
  if (auto* domain = std::get_if<Domain>(&change)) next.domains[domain->name] = *domain;
  if (auto* dropped = std::get_if<Dropped>(&change)) {
    if (dropped->kind == Dropped::Kind::kDomain) next.domains.erase(dropped->name);
    if (dropped->kind == Dropped::Kind::kType) next.types.erase(dropped->name);
    if (dropped->kind == Dropped::Kind::kStream) next.streams.erase(dropped->name);
    if (dropped->kind == Dropped::Kind::kTable) next.tables.erase(dropped->name);
    if (dropped->kind == Dropped::Kind::kView) next.views.erase(dropped->name);
  }
  return next;
}

Result<std::unique_ptr<CatalogLog>> CatalogLog::Open(log::Log& log) {
  auto topic = log.FindTopic("__catalog");
  if (!topic) {
    log::TopicConfig config;
    config.internal = true;
    config.segment_bytes = 16 << 20;
    KAPPA_ASSIGN_OR_RETURN(topic, log.CreateTopic("__catalog", config));
  }
  std::unique_ptr<CatalogLog> catalog(new CatalogLog(topic));
  const log::Partition& partition = topic->partition(0);
  Snapshot snapshot;
  std::string storage;
  std::vector<log::Record> records;
  for (log::Offset at = partition.start_offset(); at < partition.durable_end();) {
    log::ReadResult read = partition.Read(at, 1 << 20);
    if (read.error != log::KafkaError::kNone || read.bytes.empty()) return Error(sqlstate::kIoError, "could not read the catalog's topic");
    std::string_view left = read.bytes;
    while (!left.empty()) {
      KAPPA_ASSIGN_OR_RETURN(log::BatchHeader header, log::ParseBatchHeader(left));
      if (header.total_bytes() > left.size()) break;
      records.clear();
      KAPPA_ASSIGN_OR_RETURN(std::string_view section, log::RecordsSection(left.substr(0, header.total_bytes()), 64 << 20, storage));
      KAPPA_RETURN_IF_ERROR(log::ParseRecords(header, section, records));
      for (const log::Record& record : records) {
        if (record.offset < at || !record.value) continue;
        KAPPA_ASSIGN_OR_RETURN(Change change, DecodeChange(*record.value));
        std::visit([&](const auto& object) { catalog->NoteId(object.id); }, change);
        if (auto* view = std::get_if<View>(&change)) {
          for (const ViewVersion& version : view->versions) catalog->NoteId(version.id);
        }
        snapshot = Apply(snapshot, change);
      }
      at = header.last_offset() + 1;
      left.remove_prefix(header.total_bytes());
    }
  }
  catalog->snapshot_ = std::make_shared<Snapshot>(std::move(snapshot));
  return catalog;
}

SnapshotPtr CatalogLog::snapshot() const {
  std::lock_guard lock(mutex_);
  return snapshot_;
}

Status CatalogLog::Commit(const std::vector<Change>& changes) {
  log::BatchBuilder batch;
  Snapshot next = *snapshot();
  for (const Change& change : changes) {
    batch.Add(0, std::nullopt, EncodeChange(change));
    next = Apply(next, change);
  }
  std::mutex mutex;
  std::condition_variable durable;
  std::optional<log::KafkaError> outcome;
  log::AppendResult result = topic_->partition(0).Append(batch.Finish(), [&](log::KafkaError error) {
    std::lock_guard lock(mutex);
    outcome = error;
    durable.notify_all();
  });
  if (result.error != log::KafkaError::kNone) {
    return Error(sqlstate::kDiskFull, "could not write the catalog: " + result.message).Hint("Free some disk space and try again.");
  }
  std::unique_lock lock(mutex);
  durable.wait(lock, [&] { return outcome.has_value(); });
  if (*outcome != log::KafkaError::kNone) return Error(sqlstate::kIoError, "could not write the catalog");
  std::lock_guard publish(mutex_);
  snapshot_ = std::make_shared<Snapshot>(std::move(next));
  return {};
}

}  // namespace kappa::catalog
