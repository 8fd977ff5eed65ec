// Names in messages and in generated SQL: nearest names, quoting.
#include <algorithm>
#include <numeric>

#include "sql/statement.h"

namespace kappa::sql {
namespace {

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> two_back(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  std::iota(previous.begin(), previous.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) current[j] = std::min(current[j], two_back[j - 2] + 1);
    }
    std::swap(two_back, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

/// PostgreSQL's words that cannot stand as a column or table name without quotes (reserved, and those of functions and types).
bool NeedsQuotes(std::string_view name) {
  static constexpr std::string_view kReserved[] = {"all",
                                                   "analyse",
                                                   "analyze",
                                                   "and",
                                                   "any",
                                                   "array",
                                                   "as",
                                                   "asc",
                                                   "asymmetric",
                                                   "authorization",
                                                   "between",
                                                   "bigint",
                                                   "binary",
                                                   "bit",
                                                   "boolean",
                                                   "both",
                                                   "case",
                                                   "cast",
                                                   "char",
                                                   "character",
                                                   "check",
                                                   "coalesce",
                                                   "collate",
                                                   "collation",
                                                   "column",
                                                   "concurrently",
                                                   "constraint",
                                                   "create",
                                                   "cross",
                                                   "current_catalog",
                                                   "current_date",
                                                   "current_role",
                                                   "current_schema",
                                                   "current_time",
                                                   "current_timestamp",
                                                   "current_user",
                                                   "dec",
                                                   "decimal",
                                                   "default",
                                                   "deferrable",
                                                   "desc",
                                                   "distinct",
                                                   "do",
                                                   "else",
                                                   "end",
                                                   "except",
                                                   "exists",
                                                   "extract",
                                                   "false",
                                                   "fetch",
                                                   "float",
                                                   "for",
                                                   "foreign",
                                                   "freeze",
                                                   "from",
                                                   "full",
                                                   "grant",
                                                   "greatest",
                                                   "group",
                                                   "grouping",
                                                   "having",
                                                   "ilike",
                                                   "in",
                                                   "initially",
                                                   "inner",
                                                   "inout",
                                                   "int",
                                                   "integer",
                                                   "intersect",
                                                   "interval",
                                                   "into",
                                                   "is",
                                                   "isnull",
                                                   "join",
                                                   "lateral",
                                                   "leading",
                                                   "least",
                                                   "left",
                                                   "like",
                                                   "limit",
                                                   "localtime",
                                                   "localtimestamp",
                                                   "national",
                                                   "natural",
                                                   "nchar",
                                                   "none",
                                                   "normalize",
                                                   "not",
                                                   "notnull",
                                                   "null",
                                                   "nullif",
                                                   "numeric",
                                                   "offset",
                                                   "on",
                                                   "only",
                                                   "or",
                                                   "order",
                                                   "out",
                                                   "outer",
                                                   "overlaps",
                                                   "overlay",
                                                   "placing",
                                                   "position",
                                                   "precision",
                                                   "primary",
                                                   "real",
                                                   "references",
                                                   "returning",
                                                   "right",
                                                   "row",
                                                   "select",
                                                   "session_user",
                                                   "setof",
                                                   "similar",
                                                   "smallint",
                                                   "some",
                                                   "substring",
                                                   "symmetric",
                                                   "table",
                                                   "tablesample",
                                                   "then",
                                                   "time",
                                                   "timestamp",
                                                   "to",
                                                   "trailing",
                                                   "treat",
                                                   "trim",
                                                   "true",
                                                   "union",
                                                   "unique",
                                                   "user",
                                                   "using",
                                                   "values",
                                                   "varchar",
                                                   "variadic",
                                                   "verbose",
                                                   "when",
                                                   "where",
                                                   "window",
                                                   "with",
                                                   "xmlattributes",
                                                   "xmlconcat",
                                                   "xmlelement",
                                                   "xmlexists",
                                                   "xmlforest",
                                                   "xmlnamespaces",
                                                   "xmlparse",
                                                   "xmlpi",
                                                   "xmlroot",
                                                   "xmlserialize",
                                                   "xmltable"};
  if (name.empty() || !((name[0] >= 'a' && name[0] <= 'z') || name[0] == '_')) return true;
  for (const char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return true;
  return std::binary_search(std::begin(kReserved), std::end(kReserved), name);
}

}  // namespace

std::string NearestName(std::string_view name, const std::vector<std::string>& names) {
  if (name.size() > 128) return "";
  std::string best;
  size_t best_distance = std::max<size_t>(1, name.size() / 3) + 1;  // about one error in three letters
  for (const std::string& candidate : names) {
    if (candidate.size() > 128) continue;
    const size_t distance = EditDistance(name, candidate);
    if (distance < best_distance || (distance == best_distance && !best.empty() && candidate < best)) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string QuoteIdentifier(std::string_view name) {
  if (!NeedsQuotes(name)) return std::string(name);
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string QuoteLiteral(std::string_view text) {
  const bool escape = text.find('\\') != std::string_view::npos;
  std::string quoted = escape ? " E'" : "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + '\'';
}

}  // namespace kappa::sql
