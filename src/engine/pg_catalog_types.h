// The rows of pg_type.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace kappa::engine {

struct PgProcedure {
  int64_t oid = 0;
  std::string_view name;
};

struct PgType {
  int64_t oid = 0;
  std::string_view name;
  int64_t length = 0;
  bool by_value = false;
  std::string_view kind;      // typtype
  std::string_view category;
  bool preferred = false;
  int64_t element = 0;
  int64_t array = 0;
  PgProcedure input, output, receive, send;
  int64_t collation = 0;
  std::string_view alignment;
  std::string_view storage;
};

const std::vector<PgType>& PgTypes();
/// Null when there is none.
const PgType* FindPgType(int64_t oid);
const PgType* FindPgType(std::string_view name);

}  // namespace kappa::engine
