// Functions of pg_catalog that psql and drivers call. What depends on the catalog is asked of the engine.
#include <fmt/format.h>

#include "data/numeric.h"
#include "expr/functions/numeric_rows.h"
#include "expr/functions/reg_types.h"
#include "expr/functions/register.h"
#include "expr/rowwise.h"

namespace kappa::expr {
namespace {

using data::Type;
using data::TypeId;
using data::Value;
using View = std::string_view;

constexpr View kVersion = "PostgreSQL 15.0 (kappa 0.1.0)";

/// The same value for all rows without a NULL argument.
Kernel Constant(View text_of_value) {
  return [text = std::string(text_of_value)](KernelCall& call) -> Result<data::ColumnPtr> {
    KAPPA_ASSIGN_OR_RETURN(const Value value, data::FromText(text, call.type));
    if (!call.HasNulls()) return data::ConstantColumn(value, call.rows);
    data::ColumnBuilder builder(call.type, call.rows);
    for (int64_t row = 0; row < call.rows; ++row) {
      if (call.AnyNull(row)) builder.AppendNull();
      else data::AppendValue(builder, value);
    }
    return builder.Finish();
  };
}
Result<data::ColumnPtr> AlwaysNull(KernelCall& call) { return data::NullColumn(call.type, call.rows); }

/// Asks the engine for each row; `fallback` answers when the engine does not know the function.
Kernel Engine(View name, std::optional<View> fallback, bool strict) {
  return [name = std::string(name), fallback, strict](KernelCall& call) -> Result<data::ColumnPtr> {
    data::ColumnBuilder builder(call.type, call.rows);
    for (int64_t row = 0; row < call.rows; ++row) {
      if (strict && call.AnyNull(row)) {
        builder.AppendNull();
        continue;
      }
      std::vector<Value> arguments;
      for (const Argument& argument : call.arguments) arguments.push_back(data::ValueAt(*argument.column, argument.At(row)));
      auto value = CallEngine(call.context, name, arguments);
      if (!value.ok() && fallback && (value.error().Is(sqlstate::kUndefinedFunction) || value.error().Is(sqlstate::kFeatureNotSupported))) {
        value = data::FromText(*fallback, call.type);
      }
      if (value.ok() && !value->null && !value->type.Same(call.type)) {
        value =
            data::FromText(value->type.id == TypeId::kText ? value->bytes : data::ToText(*value, call.context.text), call.type, call.context.text);
      }
      if (!value.ok()) {
        if (!call.Tolerate(value.error())) return value.error();
        builder.AppendNull();
        continue;
      }
      value->type = call.type;
      data::AppendValue(builder, *value);
    }
    return builder.Finish();
  };
}

Result<data::ColumnPtr> FormatTypeKernel(KernelCall& call) {
  data::ColumnBuilder builder(call.type, call.rows);
  for (int64_t row = 0; row < call.rows; ++row) {
    if (call.arguments[0].IsNull(row)) builder.AppendNull();
    else
      builder.AppendBytes(FormatType(call.arguments[0].Get<int64_t>(row), call.arguments[1].IsNull(row) ? -1 : call.arguments[1].Get<int32_t>(row)));
  }
  return builder.Finish();
}

/// pg_size_pretty: bytes, kB, MB, GB, TB, PB, each used up to 10 * 1024 of it; halves are rounded away from zero.
std::string SizePretty(int64_t size) {
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB", "PB"};
  const bool negative = size < 0;
  auto magnitude = negative ? 0 - static_cast<uint64_t>(size) : static_cast<uint64_t>(size);
  const char* sign = negative ? "-" : "";
  if (magnitude < 10 * 1024) return fmt::format("{}{} bytes", sign, magnitude);
  magnitude >>= 9;  // kB with one bit for rounding
  for (int unit = 0;; ++unit) {
    if (magnitude < 20 * 1024 - 1 || unit == 4) return fmt::format("{}{} {}", sign, (magnitude + 1) / 2, kUnits[unit]);
    magnitude >>= 10;
  }
}

Result<data::ColumnPtr> TypeOf(KernelCall& call) {
  const Type type = call.arguments[0].column->type();
  return data::ConstantColumn(Value::Text(type.WithoutModifier().ToString()), call.rows);
}

/// Arguments: types, kernel, fixed answer.
void RegisterFixed(Registry& registry) {
  struct Fixed {
    View name, types, value;
  };
  static constexpr Fixed kFixed[] = {
      {"version", "-> text", kVersion},
      {"current_schema", "-> text", "public"},
      {"pg_encoding_to_char", "int4 -> text", "UTF8"},
      {"pg_client_encoding", "-> text", "UTF8"},
      {"getdatabaseencoding", "-> text", "UTF8"},
      {"pg_char_to_encoding", "text -> int4", "6"},
      {"pg_type_is_visible", "oid -> bool", "t"},
      {"pg_function_is_visible", "oid -> bool", "t"},
      {"pg_operator_is_visible", "oid -> bool", "t"},
      {"pg_opclass_is_visible", "oid -> bool", "t"},
      {"pg_collation_is_visible", "oid -> bool", "t"},
      {"pg_statistics_obj_is_visible", "oid -> bool", "t"},
      {"pg_is_in_recovery", "-> bool", "f"},
      {"pg_is_other_temp_schema", "oid -> bool", "f"},
      {"pg_my_temp_schema", "-> oid", "0"},
      {"pg_relation_is_publishable", "oid -> bool", "f"},
      {"row_security_active", "oid -> bool", "f"},
      {"pg_tablespace_location", "oid -> text", ""},
      {"pg_advisory_unlock_all", "-> text", ""},
      {"pg_get_function_arguments", "oid -> text", ""},
      {"pg_get_function_identity_arguments", "oid -> text", ""},
  };
  for (const Fixed& fixed : kFixed)
    registry.System(fixed.name, fixed.types, Constant(fixed.value), "answers as a database with one schema and one user").Stable();
  registry
      .System(
          "current_schemas", "bool -> text[]",
          [](KernelCall& call) -> Result<data::ColumnPtr> {
            data::ColumnBuilder builder(call.type, call.rows);
            for (int64_t row = 0; row < call.rows; ++row) {
              if (call.arguments[0].IsNull(row)) {
                builder.AppendNull();
                continue;
              }
              KAPPA_ASSIGN_OR_RETURN(const Value value,
                                     data::FromText(call.arguments[0].Get<uint8_t>(row) != 0 ? "{pg_catalog,public}" : "{public}", call.type));
              data::AppendValue(builder, value);
            }
            return builder.Finish();
          },
          "schemas that are searched")
      .Stable();
  for (View name : {"has_table_privilege", "has_any_column_privilege", "has_column_privilege", "has_schema_privilege", "has_database_privilege",
                    "has_function_privilege", "has_sequence_privilege", "has_type_privilege", "has_tablespace_privilege", "has_language_privilege",
                    "has_server_privilege", "pg_has_role"}) {
    registry.System(name, "any, variadic any -> bool", Constant("t"), "true: kappa has no privileges").Stable();
  }
}

void RegisterEmpty(Registry& registry) {
  struct Empty {
    View name, types;
  };
  static constexpr Empty kEmpty[] = {
      {"obj_description", "oid, text -> text"},
      {"obj_description", "oid -> text"},
      {"col_description", "oid, int4 -> text"},
      {"shobj_description", "oid, text -> text"},
      {"pg_get_statisticsobjdef_columns", "oid -> text"},
      {"pg_get_statisticsobjdef", "oid -> text"},
      {"pg_get_serial_sequence", "text, text -> text"},
      {"pg_get_function_result", "oid -> text"},
      {"pg_get_functiondef", "oid -> text"},
      {"pg_get_function_sqlbody", "oid -> text"},
      {"pg_get_partkeydef", "oid -> text"},
      {"pg_get_partition_constraintdef", "oid -> text"},
      {"pg_get_triggerdef", "oid -> text"},
      {"pg_get_triggerdef", "oid, bool -> text"},
  };
  for (const Empty& empty : kEmpty) registry.System(empty.name, empty.types, AlwaysNull, "NULL: kappa keeps no such objects").Stable();
}

void RegisterEngine(Registry& registry) {
  struct Asked {
    View name, types;
    std::optional<View> fallback;
  };
  static const Asked kAsked[] = {
      {"current_database", "-> text", "kappa"},
      {"current_catalog", "-> text", "kappa"},
      {"current_user", "-> text", "kappa"},
      {"current_role", "-> text", "kappa"},
      {"user", "-> text", "kappa"},
      {"session_user", "-> text", "kappa"},
      {"pg_get_userbyid", "oid -> text", "kappa"},
      {"pg_backend_pid", "-> int4", "0"},
      {"pg_get_viewdef", "oid -> text", {}},
      {"pg_get_viewdef", "oid, bool -> text", {}},
      {"pg_get_indexdef", "oid -> text", {}},
      {"pg_get_indexdef", "oid, int4, bool -> text", {}},
      {"pg_get_constraintdef", "oid -> text", {}},
      {"pg_get_constraintdef", "oid, bool -> text", {}},
      {"pg_get_ruledef", "oid -> text", {}},
      {"pg_get_ruledef", "oid, bool -> text", {}},
      {"to_regclass", "text -> oid", {}},
      {"pg_table_is_visible", "oid -> bool", "t"},
      {"pg_total_relation_size", "oid -> int8", {}},
      {"pg_relation_size", "oid -> int8", {}},
      {"pg_table_size", "oid -> int8", {}},
      {"pg_total_relation_size", "text -> int8", {}},
      {"pg_relation_size", "text -> int8", {}},
      {"pg_table_size", "text -> int8", {}},
      {"pg_indexes_size", "oid -> int8", "0"},
      {"pg_database_size", "text -> int8", {}},
      {"pg_cancel_backend", "int4 -> bool", {}},
      {"pg_get_viewdef", "text -> text", {}},
      {"pg_get_viewdef", "text, bool -> text", {}},
      {"pg_database_size", "oid -> int8", {}},
      {"pg_relation_size", "oid, text -> int8", {}},
      {"pg_stat_get_numscans", "oid -> int8", "0"},
      {"to_regnamespace", "text -> oid", {}},
      {"to_regrole", "text -> oid", {}},
      {"to_regproc", "text -> oid", {}},
      {"pg_postmaster_start_time", "-> timestamptz", {}},
      {"set_config", "text, text, bool -> text", {}},
      {"current_setting", "text -> text", {}},
      {"current_setting", "text, bool -> text", {}},
  };
  for (const Asked& asked : kAsked) {
    const bool strict = asked.name != "set_config";
    Signature& signature = registry.System(asked.name, asked.types, Engine(asked.name, asked.fallback, strict), "answered by the server").Stable();
    if (!strict) signature.Volatile().CalledOnNull();
  }
}

}  // namespace

void RegisterSystem(Registry& registry) {
  RegisterFixed(registry);
  RegisterEmpty(registry);
  RegisterEngine(registry);
  registry.System("format_type", "oid, int4 -> text", FormatTypeKernel, "name of a type with its modifier").CalledOnNull();
  registry.System("pg_get_expr", "text, oid -> text", Rowwise([](View text, int64_t) { return text; }), "text of a stored expression");
  registry.System("pg_get_expr", "text, oid, bool -> text", Rowwise([](View text, int64_t, bool) { return text; }), "text of a stored expression");
  registry.System("to_regtype", "text -> oid", Rowwise([](View name) -> std::optional<int64_t> {
                    const auto type = data::TypeFromName(name);
                    if (!type.ok()) return std::nullopt;
                    return static_cast<int64_t>(type->oid());
                  }),
                  "oid of a type, NULL when there is none");
  registry.Function("pg_typeof", "any -> text", TypeOf, "name of the argument's type").CalledOnNull();
  registry.Function("pg_size_pretty", "int8 -> text", Rowwise([](int64_t size) { return SizePretty(size); }),
                    "a number of bytes with a fitting unit");
  registry.Function("pg_size_pretty", "numeric -> text", Rowwise([](data::Numeric size) -> Result<std::string> {
                      KAPPA_ASSIGN_OR_RETURN(const data::Numeric whole, size.Truncate(0));
                      KAPPA_ASSIGN_OR_RETURN(const int64_t bytes, whole.ToInt8());
                      return SizePretty(bytes);
                    }),
                    "a number of bytes with a fitting unit");
}

}  // namespace kappa::expr
