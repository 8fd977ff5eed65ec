// CREATE STREAM, CREATE TABLE, CREATE MATERIALIZED VIEW, ALTER MATERIALIZED VIEW, DROP.
#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "data/record.h"
#include "sql/bind/nodes.h"
#include "sql/parse/tokens.h"

namespace kappa::sql {
namespace {

using data::TypeId;

std::optional<int64_t> WholeNumber(std::string_view text) {
  int64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Error UnknownOption(const std::string& name, const std::vector<std::string>& known, int position) {
  Error error = Error(sqlstate::kInvalidParameterValue, "unrecognized parameter \"" + name + "\"").At(position);
  std::string all;
  for (const std::string& option : known) all += (all.empty() ? "" : ", ") + option;
  const std::string near = NearestName(name, known);
  return std::move(error).Hint(near.empty() ? "Options are " + all + "." : "Perhaps you meant \"" + near + "\". Options are " + all + ".");
}

/// A length of time: a number of `unit_us` microseconds, or an interval's text without months. In microseconds.
Result<int64_t> Length(const std::string& name, const std::string& value, int64_t unit_us, int position) {
  if (const std::optional<int64_t> number = WholeNumber(value)) {
    if (*number < 0 || *number > std::numeric_limits<int64_t>::max() / unit_us)
      return Error(sqlstate::kInvalidParameterValue, "value of \"" + name + "\" is out of range").At(position);
    return *number * unit_us;
  }
  const Result<data::Value> parsed = data::FromText(value, TypeId::kInterval);
  if (!parsed.ok())
    return Error(sqlstate::kInvalidParameterValue, "invalid value for parameter \"" + name + "\": \"" + value + "\"")
        .Hint("Write an interval such as '30 days' or '10 seconds'.")
        .At(position);
  const auto interval = parsed->As<data::Interval>();
  if (interval.months != 0)
    return Error(sqlstate::kInvalidParameterValue, "\"" + name + "\" must not use months or years")
        .Hint("Months have no fixed length: use days.")
        .At(position);
  int64_t us = 0;
  if (__builtin_mul_overflow(int64_t{interval.days}, int64_t{86'400'000'000}, &us) || __builtin_add_overflow(us, interval.micros, &us) || us < 0)
    return Error(sqlstate::kInvalidParameterValue, "value of \"" + name + "\" is out of range").At(position);
  return us;
}

Result<int64_t> TimeToLive(const std::string& value, int position) {
  KAPPA_ASSIGN_OR_RETURN(const int64_t us, Length("ttl", value, 1000, position));
  constexpr int64_t kYearsMaxUs = int64_t{1000} * 366 * 86'400'000'000;  // so that it can be added to any time of an epoch
  if (us == 0 || us > kYearsMaxUs)
    return Error(sqlstate::kInvalidParameterValue, "value of \"ttl\" is out of range").Hint("Write an interval such as '1 day'.").At(position);
  return us;
}

Status CheckName(const std::string& name, int position) {
  if (name.find('$') != std::string::npos)
    return Error(sqlstate::kFeatureNotSupported, "the name \"" + name + "\" with a $ is not supported")
        .Hint("NAME$2 and NAME$late mean versions and late rows.")
        .At(position);
  if (name.starts_with("__"))
    return Error(sqlstate::kFeatureNotSupported, "the name \"" + name + "\" is reserved: names that start with two underscores are not supported")
        .At(position);
  return {};
}

}  // namespace

Result<std::string> Binder::OptionText(const PgQuery__DefElem& option) {
  if (option.arg == nullptr) return std::string("true");
  const PgQuery__Node& arg = *option.arg;
  switch (arg.node_case) {
    case PG_QUERY__NODE__NODE_STRING: return std::string(arg.string->sval);
    case PG_QUERY__NODE__NODE_INTEGER: return std::to_string(arg.integer->ival);
    case PG_QUERY__NODE__NODE_FLOAT: return std::string(arg.float_->fval);
    case PG_QUERY__NODE__NODE_BOOLEAN: return std::string(arg.boolean->boolval ? "true" : "false");
    case PG_QUERY__NODE__NODE_TYPE_NAME:
      if (arg.type_name->n_names > 0) return TextOf(*arg.type_name->names[arg.type_name->n_names - 1]);
      [[fallthrough]];
    default:
      return Error(sqlstate::kInvalidParameterValue, std::string("invalid value for parameter \"") + option.defname + "\"")
          .Hint("Write a string or a number.")
          .At(At(option.location));
  }
}

namespace {

Error PseudoTypeColumn(const std::string& name, int position) {
  return Error("42P16", "column \"" + name + "\" has pseudo-type record").At(position);
}

}  // namespace

Result<data::Field> Binder::ColumnOf(const PgQuery__ColumnDef& column, bool table, bool* primary_key) {
  const int position = At(column.location);
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(column.base, {"colname", "type_name", "is_local", "constraints"}, "a column definition", position));
  if (column.type_name == nullptr) return Error(sqlstate::kSyntaxError, std::string("column \"") + column.colname + "\" has no type").At(position);
  KAPPA_ASSIGN_OR_RETURN(const data::Type type, TypeOf(*column.type_name));
  const std::string spelled = TextOf(*column.type_name->names[column.type_name->n_names - 1]);
  if (spelled == "serial" || spelled == "bigserial") return Unsupported("type " + spelled, "Use bigint and give the values.", position);
  if (!data::FieldsAreKnown(type)) return PseudoTypeColumn(column.colname, position);
  const catalog::Domain* domain = DomainNamed(*column.type_name);
  data::Field field{column.colname, type, domain == nullptr || !domain->not_null};
  for (size_t i = 0; i < column.n_constraints; ++i) {
    const PgQuery__Constraint& constraint = *column.constraints[i]->constraint;
    const int at = At(constraint.location);
    switch (constraint.contype) {
      case PG_QUERY__CONSTR_TYPE__CONSTR_NULL: break;
      case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL: field.nullable = false; break;
      case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY:
        if (!table)
          return Unsupported("PRIMARY KEY in CREATE STREAM", "A stream keeps every event. For the latest row of each key use CREATE TABLE.", at);
        if (*primary_key) return Error(sqlstate::kInvalidObjectDefinition, "multiple primary keys for one table are not allowed").At(at);
        *primary_key = true;
        field.nullable = false;
        break;
      case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT: return Unsupported("DEFAULT in a column definition", "Give the value in INSERT.", at);
      case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK: return Unsupported("CHECK in a column definition", "Filter in a view.", at);
      case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE: return Unsupported("UNIQUE in a column definition", "A table's PRIMARY KEY is unique.", at);
      case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN: return Unsupported("REFERENCES in a column definition", "Join in a view.", at);
      case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY:
      case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED: return Unsupported("GENERATED in a column definition", "Compute the value in a view.", at);
      default: return Unsupported("this column constraint", "Columns take NOT NULL, and in tables PRIMARY KEY.", at);
    }
  }
  return field;
}

Result<BoundStatement> Binder::CreateTable(const PgQuery__CreateStmt& statement) {
  const bool stream = tree_.statement().stream;
  const char* what = stream ? "CREATE STREAM" : "CREATE TABLE";
  const int position = At(statement.relation->location);
  KAPPA_RETURN_IF_ERROR(
      RefuseOtherFields(statement.base, {"relation", "table_elts", "constraints", "options", "oncommit", "if_not_exists"}, what, position));
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(statement.relation->base, {"schemaname", "relname", "relpersistence"}, what, position));
  if (std::string_view(statement.relation->relpersistence) != "p")
    return Unsupported(std::string("TEMPORARY or UNLOGGED in ") + what, "Every stream and table is a topic of the log.", position);
  const std::string schema_name = statement.relation->schemaname, name = statement.relation->relname;
  if (!schema_name.empty() && schema_name != "public")
    return Error(sqlstate::kInvalidSchemaName, "schema \"" + schema_name + "\" does not exist")
        .Hint("All objects live in schema public.")
        .At(position);
  KAPPA_RETURN_IF_ERROR(CheckName(name, position));

  data::Schema schema;
  std::vector<int> primary_key;
  std::vector<std::string> key_names;
  std::map<int, std::string> domains;
  const PgQuery__Constraint* watermark = nullptr;
  int key_position = position;
  for (size_t i = 0; i < statement.n_table_elts; ++i) {
    const PgQuery__Node& element = *statement.table_elts[i];
    if (element.node_case == PG_QUERY__NODE__NODE_COLUMN_DEF) {
      bool is_key = false;
      KAPPA_ASSIGN_OR_RETURN(data::Field field, ColumnOf(*element.column_def, !stream, &is_key));
      if (schema.Find(field.name) >= 0)
        return Error(sqlstate::kDuplicateColumn, "column \"" + field.name + "\" specified more than once").At(At(element.column_def->location));
      if (is_key) {
        if (!key_names.empty())
          return Error(sqlstate::kInvalidObjectDefinition, "multiple primary keys for table \"" + name + "\" are not allowed")
              .Hint("Write PRIMARY KEY (a, b) for a key of several columns.")
              .At(At(element.column_def->location));
        key_names.push_back(field.name);
      }
      if (const catalog::Domain* domain = DomainNamed(*element.column_def->type_name)) domains[schema.size()] = domain->name;
      schema.fields.push_back(std::move(field));
      continue;
    }
    if (element.node_case != PG_QUERY__NODE__NODE_CONSTRAINT) return Unsupported(std::string("LIKE in ") + what, "List the columns.", position);
    const PgQuery__Constraint& constraint = *element.constraint;
    const int at = At(constraint.location);
    if (constraint.contype == PG_QUERY__CONSTR_TYPE__CONSTR_CHECK && std::string_view(constraint.conname) == "watermark") {
      if (!stream) return Unsupported("WATERMARK in CREATE TABLE", "A watermark belongs to a stream.", at);
      if (watermark != nullptr) return Error(sqlstate::kInvalidObjectDefinition, "a stream has one watermark").At(at);
      watermark = &constraint;
    } else if (constraint.contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY) {
      if (stream)
        return Unsupported("PRIMARY KEY in CREATE STREAM", "A stream keeps every event. For the latest row of each key use CREATE TABLE.", at);
      KAPPA_RETURN_IF_ERROR(RefuseOtherFields(constraint.base, {"contype", "conname", "keys", "initially_valid"}, "PRIMARY KEY", at));
      if (!key_names.empty())
        return Error(sqlstate::kInvalidObjectDefinition, "multiple primary keys for table \"" + name + "\" are not allowed").At(at);
      key_names = TextsOf(constraint.keys, constraint.n_keys);
      key_position = at;
    } else {
      return Unsupported("this table constraint",
                         stream ? "Streams take WATERMARK FOR column AS column - INTERVAL '..'." : "Tables take PRIMARY KEY (columns).", at);
    }
  }
  if (statement.n_constraints > 0) return Unsupported("this table constraint", "", position);
  if (schema.fields.empty())
    return Error(sqlstate::kInvalidObjectDefinition, std::string(stream ? "a stream" : "a table") + " must have at least one column").At(position);
  constexpr int kColumnsMax = 1600;  // PostgreSQL's limit
  if (schema.size() > kColumnsMax) return Error(sqlstate::kProgramLimitExceeded, "tables can have at most 1600 columns").At(position);
  for (const std::string& key : key_names) {
    const int column = schema.Find(key);
    if (column < 0) return Error(sqlstate::kUndefinedColumn, "column \"" + key + "\" named in key does not exist").At(key_position);
    if (std::find(primary_key.begin(), primary_key.end(), column) != primary_key.end())
      return Error(sqlstate::kDuplicateColumn, "column \"" + key + "\" appears twice in primary key constraint").At(key_position);
    schema.fields[static_cast<size_t>(column)].nullable = false;
    primary_key.push_back(column);
  }

  std::map<std::string, std::pair<std::string, int>> options;
  static const std::vector<std::string> kStreamOptions = {"topic",        "partitions",   "key",  "format",           "retention", "json_timestamps",
                                                          "idle_timeout", "future_limit", "late", "allowed_lateness", "isolation"};
  static const std::vector<std::string> kTableOptions = {"topic", "version_time", "ttl"};
  const std::vector<std::string>& known = stream ? kStreamOptions : kTableOptions;
  for (size_t i = 0; i < statement.n_options; ++i) {
    const PgQuery__DefElem& option = *statement.options[i]->def_elem;
    const int at = At(option.location);
    KAPPA_RETURN_IF_ERROR(RefuseOtherFields(option.base, {"defname", "arg", "defaction"}, "WITH (..)", at));
    if (std::find(known.begin(), known.end(), option.defname) == known.end()) return UnknownOption(option.defname, known, at);
    KAPPA_ASSIGN_OR_RETURN(std::string value, OptionText(option));
    if (!options.emplace(option.defname, std::pair(std::move(value), at)).second)
      return Error(sqlstate::kSyntaxError, std::string("parameter \"") + option.defname + "\" specified more than once").At(at);
  }
  const auto take = [&](const char* option) -> std::optional<std::pair<std::string, int>> {
    const auto found = options.find(option);
    if (found == options.end()) return std::nullopt;
    return found->second;
  };
  const auto bad = [](const char* option, const std::pair<std::string, int>& value, std::string hint) {
    return Error(sqlstate::kInvalidParameterValue, std::string("invalid value for parameter \"") + option + "\": \"" + value.first + "\"")
        .Hint(std::move(hint))
        .At(value.second);
  };
  std::string topic = name;
  if (const auto value = take("topic")) {
    const bool legal = !value->first.empty() && value->first.size() <= 249 && value->first != "." && value->first != ".." &&
                       value->first.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == std::string::npos;
    if (!legal) return bad("topic", *value, "A topic's name has letters, digits, '.', '_' and '-', at most 249 of them.");
    topic = value->first;
  }

  if (!stream) {
    if (primary_key.empty())
      return Error(sqlstate::kInvalidObjectDefinition, "table \"" + name + "\" has no primary key")
          .Detail("A table keeps the latest row of each key.")
          .Hint("Add PRIMARY KEY to a column, or use CREATE STREAM to keep every event.")
          .At(position);
    CreateTableStatement create;
    create.if_not_exists = statement.if_not_exists != 0;
    create.table.name = name;
    create.table.schema = std::move(schema);
    create.table.domains = std::move(domains);
    create.table.primary_key = std::move(primary_key);
    if (const auto value = take("version_time")) {
      const int column = create.table.schema.Find(value->first);
      if (column < 0) {
        std::vector<std::string> names;
        for (const data::Field& field : create.table.schema.fields) names.push_back(field.name);
        const std::string near = NearestName(value->first, names);
        return Error(sqlstate::kUndefinedColumn, "column \"" + value->first + "\" named in option version_time does not exist")
            .Hint(near.empty() ? "It is the column that says from when on a row is valid." : "Perhaps you meant \"" + near + "\".")
            .At(value->second);
      }
      const data::Type& type = create.table.schema.fields[static_cast<size_t>(column)].type;
      if (type.id != TypeId::kTimestamp && type.id != TypeId::kTimestamptz)
        return Error(sqlstate::kDatatypeMismatch,
                     "the version_time of a table must be of type timestamp or timestamp with time zone, not " + type.ToString())
            .At(value->second);
      create.table.version_time = column;
    }
    if (const auto value = take("ttl")) {
      KAPPA_ASSIGN_OR_RETURN(create.table.ttl_us, TimeToLive(value->first, value->second));
      if (create.table.version_time >= 0)
        return Error(sqlstate::kFeatureNotSupported, "ttl of a table with version_time is not supported")
            .Hint("Versions are in the log for ever; a row of the table that has no value is no version.")
            .At(value->second);
    }
    create.table.topic = std::move(topic);
    create.table.sql = tree_.statement().source;
    return BoundStatement(std::move(create));
  }

  CreateStreamStatement create;
  create.if_not_exists = statement.if_not_exists != 0;
  catalog::Stream& result = create.stream;
  result.name = name;
  result.topic = std::move(topic);
  result.sql = tree_.statement().source;
  result.partitions = context_.default_partitions;
  if (const auto value = take("partitions")) {
    const std::optional<int64_t> number = WholeNumber(value->first);
    constexpr int64_t kPartitionsMax = 1024;
    if (!number || *number < 1 || *number > kPartitionsMax) return bad("partitions", *value, "Write a number from 1 to 1024.");
    result.partitions = static_cast<int32_t>(*number);
  }
  if (const auto value = take("key")) {
    if (schema.Find(value->first) < 0) {
      std::vector<std::string> names;
      for (const data::Field& field : schema.fields) names.push_back(field.name);
      const std::string near = NearestName(value->first, names);
      return Error(sqlstate::kUndefinedColumn, "column \"" + value->first + "\" named in option key does not exist")
          .Hint(near.empty() ? "The key is a column of the stream." : "Perhaps you meant \"" + near + "\".")
          .At(value->second);
    }
    result.key = value->first;
  }
  if (const auto value = take("format"); value && value->first != "json") return bad("format", *value, "The format is 'json'.");
  if (const auto value = take("json_timestamps")) {
    if (value->first != "iso" && value->first != "s" && value->first != "ms" && value->first != "us")
      return bad("json_timestamps", *value, "Write 'iso', 's', 'ms' or 'us': what a JSON number means.");
    result.json_timestamps = value->first;
  }
  if (const auto value = take("retention")) {
    if (value->first == "-1" || value->first == "forever") {
      result.retention_ms = -1;
    } else {
      KAPPA_ASSIGN_OR_RETURN(const int64_t us, Length("retention", value->first, 1000, value->second));
      result.retention_ms = us / 1000;
    }
  }
  if (const auto value = take("idle_timeout")) {
    if (value->first == "-1" || value->first == "never") {
      result.idle_timeout_ms = -1;
    } else {
      KAPPA_ASSIGN_OR_RETURN(const int64_t us, Length("idle_timeout", value->first, 1000, value->second));
      if (us < 1000) return bad("idle_timeout", *value, "Write an interval such as '60 seconds', or 'never'.");
      result.idle_timeout_ms = us / 1000;
    }
  }
  if (const auto value = take("future_limit")) {
    KAPPA_ASSIGN_OR_RETURN(result.future_limit_us, Length("future_limit", value->first, 1000, value->second));
  }

  if (const auto value = take("isolation")) {
    if (value->first != "read_committed" && value->first != "read_uncommitted")
      return bad("isolation", *value, "Write 'read_committed', or 'read_uncommitted' to take records of open and aborted transactions too.");
    result.read_uncommitted = value->first == "read_uncommitted";
  }

  const auto late = take("late");
  if (late && late->first != "update" && late->first != "drop")
    return bad("late", *late, "Write 'update' or 'drop': what views do with rows behind the watermark.");
  result.drop_late = late && late->first == "drop";
  const auto lateness = take("allowed_lateness");
  if (lateness) { KAPPA_ASSIGN_OR_RETURN(result.allowed_lateness_us, Length("allowed_lateness", lateness->first, 1000, lateness->second)); }
  if ((late || lateness) && watermark == nullptr)
    return Error(sqlstate::kInvalidObjectDefinition, std::string("option \"") + (late ? "late" : "allowed_lateness") + "\" needs a watermark")
        .Hint("Declare it: WATERMARK FOR ts AS ts - INTERVAL '5 seconds'.")
        .At(late ? late->second : lateness->second);

  if (watermark != nullptr) {
    // CHECK (column > (column - INTERVAL '..')), as the pre-pass wrote it.
    const int at = At(watermark->location);
    const PgQuery__Node& check = *watermark->raw_expr;
    const Error malformed = Error(sqlstate::kSyntaxError, "a watermark must be a column, or a column minus an interval")
                                .Hint("Write WATERMARK FOR ts AS ts - INTERVAL '5 seconds'.")
                                .At(at);
    if (check.node_case != PG_QUERY__NODE__NODE_A_EXPR || check.a_expr->lexpr == nullptr ||
        check.a_expr->lexpr->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || TextOf(*check.a_expr->name[0]) != ">")
      return malformed;
    const PgQuery__ColumnRef& column = *check.a_expr->lexpr->column_ref;
    const int column_position = At(column.location);
    const std::string column_name = TextOf(*column.fields[column.n_fields - 1]);
    const int index = schema.Find(column_name);
    if (index < 0 || column.n_fields != 1) {
      std::vector<std::string> names;
      for (const data::Field& field : schema.fields) names.push_back(field.name);
      const std::string near = NearestName(column_name, names);
      Error error = Error(sqlstate::kUndefinedColumn, "column \"" + column_name + "\" named in WATERMARK does not exist").At(column_position);
      if (!near.empty()) return std::move(error).Hint("Perhaps you meant \"" + near + "\".");
      return error;
    }
    const TypeId type = schema.fields[static_cast<size_t>(index)].type.id;
    if (type != TypeId::kTimestamp && type != TypeId::kTimestamptz)
      return Error(sqlstate::kDatatypeMismatch, "the column of a watermark must be of type timestamp or timestamp with time zone, not " +
                                                    schema.fields[static_cast<size_t>(index)].type.ToString())
          .At(column_position);
    const auto same_column = [&](const PgQuery__Node& node) {
      return node.node_case == PG_QUERY__NODE__NODE_COLUMN_REF && node.column_ref->n_fields == 1 &&
             TextOf(*node.column_ref->fields[0]) == column_name;
    };
    const PgQuery__Node& bound = *check.a_expr->rexpr;
    if (!same_column(bound)) {
      const bool minus = bound.node_case == PG_QUERY__NODE__NODE_A_EXPR && bound.a_expr->lexpr != nullptr && TextOf(*bound.a_expr->name[0]) == "-" &&
                         same_column(*bound.a_expr->lexpr);
      if (!minus) return malformed;
      const int delay_position = At(LocationOf(*bound.a_expr->rexpr));
      KAPPA_ASSIGN_OR_RETURN(result.watermark_delay_us, ConstantInterval(*bound.a_expr->rexpr, "the delay of a watermark", delay_position));
      if (result.watermark_delay_us < 0)
        return Error(sqlstate::kInvalidParameterValue, "the delay of a watermark must not be negative").At(delay_position);
    }
    result.event_time = index;
  }
  result.schema = std::move(schema);
  result.domains = std::move(domains);
  return BoundStatement(std::move(create));
}

Result<BoundStatement> Binder::CreateView(const PgQuery__CreateTableAsStmt& statement) {
  const PgQuery__IntoClause& into = *statement.into;
  const int position = At(into.rel->location);
  if (statement.objtype != PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW)
    return Unsupported(statement.is_select_into ? "SELECT INTO" : "CREATE TABLE AS", "Use CREATE MATERIALIZED VIEW, or CREATE TABLE and INSERT.",
                       position);
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(statement.base, {"query", "into", "objtype", "if_not_exists"}, "CREATE MATERIALIZED VIEW", position));
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(into.base, {"rel", "options", "on_commit"}, "CREATE MATERIALIZED VIEW", position));
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(into.rel->base, {"schemaname", "relname", "relpersistence"}, "CREATE MATERIALIZED VIEW", position));
  const std::string schema = into.rel->schemaname;
  if (!schema.empty() && schema != "public")
    return Error(sqlstate::kInvalidSchemaName, "schema \"" + schema + "\" does not exist").Hint("All objects live in schema public.").At(position);
  CreateViewStatement create;
  create.name = into.rel->relname;
  KAPPA_RETURN_IF_ERROR(CheckName(create.name, position));
  create.or_replace = tree_.statement().or_replace;
  create.if_not_exists = statement.if_not_exists != 0;
  if (create.or_replace && create.if_not_exists) return Error(sqlstate::kSyntaxError, "OR REPLACE and IF NOT EXISTS exclude each other").At(position);
  static const std::vector<std::string> kOptions = {"promote", "on_error", "ttl"};
  for (size_t i = 0; i < into.n_options; ++i) {
    const PgQuery__DefElem& option = *into.options[i]->def_elem;
    const int at = At(option.location);
    if (std::find(kOptions.begin(), kOptions.end(), option.defname) == kOptions.end()) return UnknownOption(option.defname, kOptions, at);
    KAPPA_ASSIGN_OR_RETURN(const std::string value, OptionText(option));
    create.options[option.defname] = value;
    if (std::string_view(option.defname) == "ttl") {
      KAPPA_ASSIGN_OR_RETURN(create.ttl_us, TimeToLive(value, at));
      continue;
    }
    const bool promote = std::string_view(option.defname) == "promote";
    const char *first = promote ? "auto" : "null", *second = promote ? "manual" : "dead_letter";
    if (value != first && value != second)
      return Error(sqlstate::kInvalidParameterValue, std::string("invalid value for parameter \"") + option.defname + "\": \"" + value + "\"")
          .Hint(std::string("Write '") + first + "' or '" + second + "'.")
          .At(at);
    (promote ? create.promote_manual : create.dead_letters) = value == second;
  }
  const RawStatement& raw = tree_.statement();
  KAPPA_CHECK(raw.query_at >= 0 && raw.query_at <= static_cast<int>(raw.source.size()));
  create.query = raw.source.substr(static_cast<size_t>(raw.query_at));
  KAPPA_ASSIGN_OR_RETURN(create.plan, ViewQuery(*statement.query, create.dead_letters, create.ttl_us));
  for (const data::Field& field : create.plan->schema.fields)
    if (!data::FieldsAreKnown(field.type)) return PseudoTypeColumn(field.name, tree_.statement().offset + 1);
  create.key_columns = KeyColumns(*create.plan);
  create.depends_on = depends_on_;
  for (const std::string& name : depends_on_) {
    const catalog::Stream* stream = context_.catalog->FindStream(name);
    const catalog::Table* table = context_.catalog->FindTable(name);
    const uint32_t id = stream != nullptr ? stream->id : table != nullptr ? table->id : 0;
    const int64_t rows = context_.input_rows && id != 0 ? context_.input_rows(id) : 0;
    if (rows > 0) create.input_rows[id] = rows;
  }
  return BoundStatement(std::move(create));
}

Result<BoundStatement> Binder::AlterView(const PgQuery__AlterTableStmt& statement) {
  const int position = At(statement.relation->location);
  if (statement.objtype != PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW)
    return Unsupported("ALTER TABLE", "Create the object anew, or replace a view with CREATE OR REPLACE MATERIALIZED VIEW.",
                       tree_.statement().offset + 1);
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(statement.base, {"relation", "cmds", "objtype", "missing_ok"}, "ALTER MATERIALIZED VIEW", position));
  const std::string schema = statement.relation->schemaname;
  if (!schema.empty() && schema != "public") return Error(sqlstate::kInvalidSchemaName, "schema \"" + schema + "\" does not exist").At(position);
  AlterViewStatement alter;
  alter.name = statement.relation->relname;
  alter.if_exists = statement.missing_ok != 0;
  if (statement.n_cmds != 1) return Unsupported("more than one action in ALTER MATERIALIZED VIEW", "Write one statement for each action.", position);
  const PgQuery__AlterTableCmd& command = *statement.cmds[0]->alter_table_cmd;
  const bool reset = command.subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_ResetRelOptions;
  if ((command.subtype != PG_QUERY__ALTER_TABLE_TYPE__AT_SetRelOptions && !reset) || command.def == nullptr ||
      command.def->node_case != PG_QUERY__NODE__NODE_LIST || command.def->list->n_items != 1)
    return Unsupported("this action of ALTER MATERIALIZED VIEW",
                       "Actions are SET (route = '1:90, 2:10'), PROMOTE VERSION n, ROLLBACK and RETIRE VERSION n.", position);
  const PgQuery__DefElem& option = *command.def->list->items[0]->def_elem;
  const int at = At(option.location);
  const std::string name = option.defname;
  static const std::vector<std::string> kOptions = {"route", "promote", "rollback", "retire"};
  if (std::find(kOptions.begin(), kOptions.end(), name) == kOptions.end()) return UnknownOption(name, {"route"}, at);
  if (reset) {
    if (name != "route") return UnknownOption(name, {"route"}, at);
    return BoundStatement(std::move(alter));  // no routes: all reads go to the serving version
  }
  KAPPA_ASSIGN_OR_RETURN(const std::string value, OptionText(option));
  if (name == "rollback") {
    alter.action = AlterViewStatement::Action::kRollback;
  } else if (name == "promote" || name == "retire") {
    const std::optional<int64_t> number = WholeNumber(value);
    if (!number || *number < 1 || *number > std::numeric_limits<int>::max())
      return Error(sqlstate::kInvalidParameterValue, "invalid version number \"" + value + "\"").At(at);
    alter.action = name == "promote" ? AlterViewStatement::Action::kPromote : AlterViewStatement::Action::kRetire;
    alter.version = static_cast<int>(*number);
  } else {
    const auto bad = [&](std::string why) {
      return Error(sqlstate::kInvalidParameterValue, "invalid route \"" + value + "\": " + why)
          .Hint("Write versions and percentages: '1:90, 2:10'.")
          .At(at);
    };
    std::string_view rest = value;
    int sum = 0;
    std::set<int64_t> versions;
    while (!rest.empty()) {
      const size_t comma = rest.find(',');
      std::string_view part = rest.substr(0, comma);
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
      const auto trim = [](std::string_view text) {
        while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
        while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
        return text;
      };
      const size_t colon = part.find(':');
      if (colon == std::string_view::npos) return bad("a part has no colon");
      const std::optional<int64_t> version = WholeNumber(trim(part.substr(0, colon))), percent = WholeNumber(trim(part.substr(colon + 1)));
      if (!version || *version < 1 || *version > std::numeric_limits<int>::max()) return bad("a version is not a positive number");
      if (!percent || *percent < 0 || *percent > 100) return bad("a percentage is not from 0 to 100");
      if (!versions.insert(*version).second) return bad("version " + std::to_string(*version) + " is named twice");
      sum += static_cast<int>(*percent);
      alter.routes.push_back({static_cast<int>(*version), static_cast<int>(*percent)});
    }
    if (sum != 100) return bad("the percentages add up to " + std::to_string(sum) + ", not 100");
  }
  return BoundStatement(std::move(alter));
}

Status Binder::CheckTypeName(const std::vector<std::string>& names, int position) const {
  if (names.size() > 2 || (names.size() == 2 && names[0] != "public"))
    return Error(sqlstate::kInvalidSchemaName, "schema \"" + names.front() + "\" does not exist")
        .Hint("All objects live in schema public.")
        .At(position);
  KAPPA_RETURN_IF_ERROR(CheckName(names.back(), position));
  if (data::TypeFromName(names.back()).ok())
    return Unsupported("a type with the name of one that is built in", "Choose another name than \"" + names.back() + "\".", position);
  return {};
}

Result<BoundStatement> Binder::CreateEnum(const PgQuery__CreateEnumStmt& statement) {
  const int start = tree_.statement().offset + 1;
  const std::vector<std::string> names = TextsOf(statement.type_name, statement.n_type_name);
  KAPPA_RETURN_IF_ERROR(CheckTypeName(names, start));
  CreateTypeStatement create;
  create.type.name = names.back();
  constexpr size_t kLabelBytesMax = 63, kLabelsMax = 65535;  // the first is PostgreSQL's; a place among the labels takes two bytes
  if (statement.n_vals > kLabelsMax) return Error(sqlstate::kProgramLimitExceeded, "enums can have at most 65535 labels").At(start);
  std::set<std::string> seen;
  for (size_t i = 0; i < statement.n_vals; ++i) {
    const std::string label = TextOf(*statement.vals[i]);
    if (label.size() > kLabelBytesMax)
      return Error("42602", "invalid enum label \"" + label + "\"").Detail("Labels must be 63 bytes or less.").At(start);
    if (!seen.insert(label).second) return Error("23505", "enum label \"" + label + "\" used more than once").At(start);
    create.type.labels.push_back(label);
  }
  return BoundStatement(std::move(create));
}

Result<BoundStatement> Binder::CreateComposite(const PgQuery__CompositeTypeStmt& statement) {
  const int start = tree_.statement().offset + 1;
  std::vector<std::string> names = {statement.typevar->relname};
  if (*statement.typevar->schemaname != '\0') names.insert(names.begin(), statement.typevar->schemaname);
  KAPPA_RETURN_IF_ERROR(CheckTypeName(names, start));
  CreateTypeStatement create;
  create.type.name = names.back();
  create.type.composite = true;
  if (statement.n_coldeflist > data::kRecordFieldsMax) return Error("54011", "tables can have at most 1600 columns").At(start);
  for (size_t i = 0; i < statement.n_coldeflist; ++i) {
    const PgQuery__ColumnDef& column = *statement.coldeflist[i]->column_def;
    const int position = At(column.location);
    KAPPA_RETURN_IF_ERROR(RefuseOtherFields(column.base, {"colname", "type_name", "is_local"}, "a field of a composite type", position));
    if (DomainNamed(*column.type_name) != nullptr)
      return Unsupported("a domain as a field of a composite type", "Use its base type.", At(column.type_name->location));
    KAPPA_ASSIGN_OR_RETURN(const data::Type type, TypeOf(*column.type_name));
    if (!data::FieldsAreKnown(type)) return PseudoTypeColumn(column.colname, position);
    if (create.type.fields.Find(column.colname) >= 0)
      return Error(sqlstate::kDuplicateColumn, std::string("column \"") + column.colname + "\" specified more than once").At(position);
    create.type.fields.fields.push_back({column.colname, type});
  }
  return BoundStatement(std::move(create));
}

Result<BoundStatement> Binder::Drop(const PgQuery__DropStmt& statement) {
  const int start = tree_.statement().offset + 1;
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(statement.base, {"objects", "remove_type", "behavior", "missing_ok"}, "DROP", start));
  DropStatement drop;
  switch (statement.remove_type) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW: drop.kind = DropStatement::Kind::kView; break;
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE: drop.kind = DropStatement::Kind::kTable; break;
    case PG_QUERY__OBJECT_TYPE__OBJECT_FOREIGN_TABLE:
      if (!tree_.statement().stream) return Unsupported("DROP FOREIGN TABLE", "Use DROP STREAM, DROP TABLE or DROP MATERIALIZED VIEW.", start);
      drop.kind = DropStatement::Kind::kStream;
      break;
    case PG_QUERY__OBJECT_TYPE__OBJECT_TYPE: drop.kind = DropStatement::Kind::kType; break;
    case PG_QUERY__OBJECT_TYPE__OBJECT_DOMAIN: drop.kind = DropStatement::Kind::kDomain; break;
    case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW: return Unsupported("DROP VIEW", "Use DROP MATERIALIZED VIEW.", start);
    default: return Unsupported("DROP of this kind of object", "Use DROP STREAM, DROP TABLE or DROP MATERIALIZED VIEW.", start);
  }
  drop.if_exists = statement.missing_ok != 0;
  drop.cascade = statement.behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
  for (size_t i = 0; i < statement.n_objects; ++i) {
    const PgQuery__Node& object = *statement.objects[i];
    std::vector<std::string> names;
    if (object.node_case == PG_QUERY__NODE__NODE_TYPE_NAME) names = TextsOf(object.type_name->names, object.type_name->n_names);
    else if (object.node_case == PG_QUERY__NODE__NODE_LIST) names = TextsOf(object.list->items, object.list->n_items);
    else return Unsupported("DROP of this kind of object", "", start);
    if (names.size() > 2 || (names.size() == 2 && names[0] != "public"))
      return Error(sqlstate::kInvalidSchemaName, "schema \"" + names[names.size() - 2] + "\" does not exist")
          .Hint("All objects live in schema public.")
          .At(start);
    drop.names.push_back(names.back());
  }
  return BoundStatement(std::move(drop));
}

}  // namespace kappa::sql
