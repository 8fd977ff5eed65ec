#include "serve/http/view_query.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace kappa::serve::http {
namespace {

struct Operator {
  std::string_view name;
  std::string_view sql;
};
constexpr Operator kOperators[] = {{"eq", " = "},   {"ne", " <> "},     {"lt", " < "},        {"lte", " <= "}, {"gt", " > "},
                                   {"gte", " >= "}, {"like", " LIKE "}, {"ilike", " ILIKE "}, {"in", " IN "},  {"isnull", " IS "}};
constexpr std::string_view kReserved[] = {"select", "order", "limit", "offset", "version"};

const Operator* FindOperator(std::string_view name) {
  const auto* it = std::find_if(std::begin(kOperators), std::end(kOperators), [&](const Operator& each) { return each.name == name; });
  return it == std::end(kOperators) ? nullptr : it;
}

std::vector<std::string_view> SplitList(std::string_view text) {
  std::vector<std::string_view> items;
  while (true) {
    const size_t comma = std::min(text.find(','), text.size());
    items.push_back(text.substr(0, comma));
    if (comma == text.size()) return items;
    text.remove_prefix(comma + 1);
  }
}

class Builder {
 public:
  Builder(std::string_view view, const data::Schema& schema, const data::TextOptions& text) : view_(view), schema_(schema), text_(text) {}

  Error UndefinedColumn(std::string_view name) const {
    std::string columns;
    for (const data::Field& field : schema_.fields) columns += (columns.empty() ? "" : ", ") + field.name;
    return Error(sqlstate::kUndefinedColumn, "column \"" + std::string(name) + "\" does not exist")
        .Detail("View \"" + std::string(view_) + "\" has columns " + columns + ".");
  }

  Status Select(std::string_view list) {
    for (const std::string_view name : SplitList(list)) {
      if (schema_.Find(name) < 0) return UndefinedColumn(name);
      select_ += (select_.empty() ? "" : ", ") + QuoteName(name);
    }
    return {};
  }

  Status Order(std::string_view list) {
    for (const std::string_view item : SplitList(list)) {
      std::string_view name = item;
      std::string_view direction;
      if (schema_.Find(item) < 0) {  // a column may have a name that ends like a direction
        for (const std::string_view suffix : {".asc", ".desc"}) {
          if (item.ends_with(suffix)) {
            name = item.substr(0, item.size() - suffix.size());
            direction = suffix == ".desc" ? " DESC" : " ASC";
          }
        }
      }
      if (schema_.Find(name) < 0) return UndefinedColumn(name);
      order_ += (order_.empty() ? "" : ", ") + QuoteName(name);
      order_ += direction;
    }
    return {};
  }

  Status Condition(std::string_view key, std::string_view value) {
    std::string_view name = key;
    const Operator* op = FindOperator("eq");
    if (schema_.Find(key) < 0) {
      const size_t dot = key.rfind('.');
      const Operator* named = dot == key.npos ? nullptr : FindOperator(key.substr(dot + 1));
      if (named != nullptr) {
        op = named;
        name = key.substr(0, dot);
      }
    }
    const int column = schema_.Find(name);
    if (column < 0) return UndefinedColumn(name);
    where_ += (where_.empty() ? "" : " AND ") + QuoteName(name) + std::string(op->sql);
    if (op->name == "isnull") {
      if (value != "true" && value != "false") {
        return Error(sqlstate::kInvalidParameterValue, "invalid value for \"" + std::string(key) + "\": \"" + std::string(value) + "\"")
            .Hint("Give true or false.");
      }
      where_ += value == "true" ? "NULL" : "NOT NULL";
      return {};
    }
    data::Type type = schema_.fields[static_cast<size_t>(column)].type.WithoutModifier();
    if (type.id == data::TypeId::kUnknown || op->name == "like" || op->name == "ilike") type = data::TypeId::kText;
    if (op->name != "in") return Parameter(type, value);
    const std::vector<std::string_view> items = SplitList(value);
    if (items.size() > kListValuesMax) return Error(sqlstate::kProgramLimitExceeded, "too many values for \"" + std::string(key) + "\"");
    where_ += '(';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) where_ += ", ";
      KAPPA_RETURN_IF_ERROR(Parameter(type, items[i]));
    }
    where_ += ')';
    return {};
  }

  ViewQuery Finish(const std::string& relation, int64_t limit, int64_t offset) {
    query_.rows_max = limit;
    query_.text = "SELECT " + (select_.empty() ? "*" : select_) + " FROM " + relation;
    if (!where_.empty()) query_.text += " WHERE " + where_;
    if (!order_.empty()) query_.text += " ORDER BY " + order_;
    query_.text += " LIMIT " + Placeholder(data::Value::Int8(limit + 1));
    if (offset > 0) query_.text += " OFFSET " + Placeholder(data::Value::Int8(offset));
    return std::move(query_);
  }

 private:
  std::string Placeholder(data::Value value) {
    query_.types.push_back(value.type);
    query_.values.push_back(std::move(value));
    return "$" + std::to_string(query_.values.size());
  }

  Status Parameter(const data::Type& type, std::string_view value) {
    KAPPA_ASSIGN_OR_RETURN(data::Value parsed, data::FromText(value, type, text_));
    where_ += Placeholder(std::move(parsed));
    return {};
  }

  const std::string_view view_;
  const data::Schema& schema_;
  const data::TextOptions& text_;
  std::string select_, where_, order_;
  ViewQuery query_;
};

std::optional<std::string> Find(const QueryParameters& parameters, std::string_view name) {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string QuoteName(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

Result<int64_t> ParseBounded(std::string_view parameter, std::string_view value, int64_t min, int64_t max) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < min || number > max) {
    return Error(sqlstate::kInvalidParameterValue, "invalid value for \"" + std::string(parameter) + "\": \"" + std::string(value) + "\"")
        .Hint("Give a whole number from " + std::to_string(min) + " to " + std::to_string(max) + ".");
  }
  return number;
}

Result<std::string> QuotedRelation(std::string_view name, const QueryParameters& parameters) {
  const auto version = Find(parameters, "version");
  if (!version) return QuoteName(name);
  KAPPA_ASSIGN_OR_RETURN(const int64_t number, ParseBounded("version", *version, 1, INT32_MAX));
  return QuoteName(std::string(name) + "$" + std::to_string(number));
}

Result<ViewQuery> BuildViewQuery(std::string_view view, const std::string& relation, const data::Schema& schema, const QueryParameters& parameters,
                                 const data::TextOptions& text) {
  Builder builder(view, schema, text);
  int64_t limit = kRowsDefault;
  int64_t offset = 0;
  for (const auto& [key, value] : parameters) {
    if (key == "select") {
      KAPPA_RETURN_IF_ERROR(builder.Select(value));
    } else if (key == "order") {
      KAPPA_RETURN_IF_ERROR(builder.Order(value));
    } else if (key == "limit") {
      KAPPA_ASSIGN_OR_RETURN(limit, ParseBounded(key, value, 0, kRowsMax));
    } else if (key == "offset") {
      KAPPA_ASSIGN_OR_RETURN(offset, ParseBounded(key, value, 0, INT64_MAX));
    } else if (std::find(std::begin(kReserved), std::end(kReserved), key) == std::end(kReserved)) {
      std::string_view condition = key;
      if (condition.starts_with("col.") && schema.Find(key) < 0) condition.remove_prefix(4);
      KAPPA_RETURN_IF_ERROR(builder.Condition(condition, value));
    }
  }
  return builder.Finish(relation, limit, offset);
}

}  // namespace kappa::serve::http
