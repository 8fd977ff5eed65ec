// ViewQuery: GET /v1/views/NAME?.. as one SELECT with parameters. Values never become part of the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/text.h"
#include "data/value.h"

namespace kappa::serve::http {

inline constexpr int64_t kRowsDefault = 1'000;
inline constexpr int64_t kRowsMax = 100'000;
inline constexpr size_t kListValuesMax = 1'000;  // of ?column.in=a,b,..

struct ViewQuery {
  std::string text;                       // with $1..
  std::vector<data::Type> types;          // of the parameters
  std::vector<data::Value> values;
  int64_t rows_max = kRowsDefault;        // one row more is asked for, to know whether there are more
};

using QueryParameters = std::vector<std::pair<std::string, std::string>>;

/// "name", or "name$2" when the parameters hold version=2; quoted. Fails with invalid_parameter_value.
Result<std::string> QuotedRelation(std::string_view name, const QueryParameters& parameters);
/// `relation` as QuotedRelation gave it, `view` for messages. Fails with undefined_column, invalid_parameter_value, and with
/// the errors of reading the values.
Result<ViewQuery> BuildViewQuery(std::string_view view, const std::string& relation, const data::Schema& schema, const QueryParameters& parameters,
                                 const data::TextOptions& text);
/// Always quoted, so that no name can be anything but a name.
std::string QuoteName(std::string_view name);
/// A whole number in [min, max]. Fails with invalid_parameter_value, naming the parameter.
Result<int64_t> ParseBounded(std::string_view parameter, std::string_view value, int64_t min, int64_t max);

}  // namespace kappa::serve::http
