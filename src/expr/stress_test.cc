// Goal: no operator, function or cast crashes, hangs or depends on how its rows are batched, whatever its arguments.
// Method: every signature over edge values of its types, once as columns and once row by row as constants; the same answers
// are expected. Meant to run under the sanitizers as well.
#include <gtest/gtest.h>

#include "expr/call.h"
#include "expr/cast.h"

namespace kappa::expr {
namespace {

using data::Type;
using data::TypeId;
using data::Value;

const std::vector<std::string>& EdgeTexts(TypeId type) {
  static const std::map<TypeId, std::vector<std::string>> kTexts = {
      {TypeId::kBool, {"t", "f"}},
      {TypeId::kInt2, {"0", "1", "-1", "32767", "-32768"}},
      {TypeId::kInt4, {"0", "1", "-1", "3", "2147483647", "-2147483648"}},
      {TypeId::kInt8, {"0", "1", "-1", "1000", "9223372036854775807", "-9223372036854775808"}},
      {TypeId::kOid, {"0", "23", "4294967295"}},
      {TypeId::kFloat4, {"0", "-0", "1.5", "3.4e38", "1e-45", "NaN", "Infinity", "-Infinity"}},
      {TypeId::kFloat8, {"0", "-0", "0.5", "-2.5", "1.7e308", "5e-324", "NaN", "Infinity", "-Infinity"}},
      {TypeId::kNumeric,
       {"0", "1", "-1.50", "0.000001", "123456789012345678901234567890.123456789", "-99999999999999999999999999999999999999999", "NaN", "Infinity"}},
      {TypeId::kText,
       {"", "a", " ", "%", "\\", "a\\", "héllo wörld, a longer text", "((", "[a-", "a*?", "%1$s %I", "yyyy-MM-DD HH24:MI", "FM999,990.00S", "day",
        "UTC", "{1,2}", "\xF0\x9F\x98\x80"}},
      {TypeId::kBytea, {"", "\\x00", "\\xff00fe0102030405060708090a0b0c0d0e0f"}},
      {TypeId::kDate, {"1970-01-01", "2020-02-29", "4714-11-24 BC", "5874897-12-31", "infinity", "-infinity"}},
      {TypeId::kTimestamp,
       {"1970-01-01", "1969-12-31 23:59:59.999999", "2020-02-29 23:59:59.5", "4714-11-24 BC", "294246-12-31", "infinity", "-infinity"}},
      {TypeId::kTimestamptz,
       {"1970-01-01 00:00+00", "2020-02-29 23:59:59.5+14", "4714-11-25 BC 00:00+00", "294246-12-31 00:00+00", "infinity", "-infinity"}},
      {TypeId::kInterval,
       {"0", "1 mon -1 day 1 us", "-178000000 years", "178000000 years", "2147483647 days", "-2147483648 days", "2562047788 hours"}},
      {TypeId::kJsonb,
       {"null", "1", "-1.50", "\"a\"", "true", "[]", "{}", "[1, [2, {\"a\": null}], \"a\"]",
        "{\"a\": {\"b\": [1, 2]}, \"long key with spaces\": 1e10}"}},
      {TypeId::kUuid, {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"}},
  };
  static const std::vector<std::string> kNone;
  auto found = kTexts.find(type);
  return found == kTexts.end() ? kNone : found->second;
}

std::vector<Value> EdgeValues(const Type& type) {
  std::vector<std::string> texts;
  if (!type.is_array()) {
    texts = EdgeTexts(type.id);
  } else {
    texts = {"{}", "{NULL}"};
    if (type.element == TypeId::kInt4) texts.insert(texts.end(), {"{1,2,3}", "{{1,2},{3,4}}", "{0}", "{-1,2147483647}"});
    if (type.element == TypeId::kText) texts.insert(texts.end(), {"{a,NULL,\"b c\"}", "{a,b,0,-1}", "{{a},{b}}"});
  }
  std::vector<Value> values = {Value::Null(type)};
  for (const std::string& text : texts) {
    auto value = data::FromText(text, type);
    EXPECT_TRUE(value.ok()) << text << " as " << type.ToString() << ": " << value.status().ToString();
    if (value.ok()) values.push_back(*value);
  }
  return values;
}

Type TypeOf(const SignatureType& parameter) {
  using Pseudo = SignatureType::Pseudo;
  switch (parameter.pseudo) {
    case Pseudo::kNone: return parameter.type;
    case Pseudo::kArray:
    case Pseudo::kCompatibleArray: return Type::ArrayOf(TypeId::kInt4);
    default: return TypeId::kInt4;
  }
}

std::string Show(const Result<data::ColumnPtr>& column, int64_t row) {
  if (!column.ok()) return "error";
  if ((*column)->IsNull(row)) return "NULL";
  std::string text;
  data::AppendText(**column, row, {}, text);
  return text;
}

/// All combinations of edge values, at most `limit` evenly spread over them.
std::vector<std::vector<Value>> Combinations(const std::vector<Type>& types, size_t limit) {
  std::vector<std::vector<Value>> choices;
  size_t total = 1;
  for (const Type& type : types) {
    choices.push_back(EdgeValues(type));
    total *= choices.back().size();
  }
  const size_t step = std::max<size_t>(1, total / limit) | 1;  // odd, so that it does not keep to one value of a small set
  std::vector<std::vector<Value>> rows;
  for (size_t at = 0; at < total; at += step) {
    std::vector<Value> row;
    size_t rest = at;
    for (const auto& choice : choices) {
      row.push_back(choice[rest % choice.size()]);
      rest /= choice.size();
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

/// Evaluates over columns and row by row; `make` builds the expression over given arguments.
void CheckBatching(const std::string& what, const std::vector<Type>& types, const std::function<ExprPtr(std::vector<ExprPtr>)>& make) {
  const std::vector<std::vector<Value>> rows = Combinations(types, 150);
  std::vector<data::ColumnBuilder> builders;
  for (const Type& type : types) builders.emplace_back(type);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) data::AppendValue(builders[i], row[i]);
  }
  data::Batch batch;
  batch.rows = static_cast<int64_t>(rows.size());
  std::vector<ExprPtr> columns;
  for (size_t i = 0; i < types.size(); ++i) {
    batch.columns.push_back(builders[i].Finish());
    columns.push_back(MakeColumn(static_cast<int>(i), types[i], "c"));
  }
  EvalContext context;
  context.fail_on_error = false;
  context.now_us = 1'600'000'000'000'000;
  const auto whole = make(columns)->Evaluate(batch, context);
  if (!whole.ok()) {
    EXPECT_EQ(whole.error().sqlstate(), sqlstate::kFeatureNotSupported) << what << ": " << whole.error().message();
    return;
  }
  ASSERT_EQ((*whole)->size(), batch.rows) << what;
  for (int64_t row = 0; row < batch.rows; ++row) {
    std::vector<ExprPtr> literals;
    std::string shown;
    for (const Value& value : rows[static_cast<size_t>(row)]) {
      literals.push_back(MakeLiteral(value));
      shown += (shown.empty() ? "" : ", ") + (value.null ? "NULL" : data::ToText(value));
    }
    data::Batch one;
    one.rows = 2;  // two rows of constants
    const auto single = make(literals)->Evaluate(one, context);
    ASSERT_EQ(Show(single, 1), Show(whole, row)) << what << " of " << shown;
  }
}

TEST(Stress, FunctionsGiveTheSameInEveryBatch) {
  for (const Signature& signature : Functions().all()) {
    if (signature.volatility == Volatility::kVolatile) continue;
    std::vector<Type> types;
    for (const SignatureType& parameter : signature.parameters) types.push_back(TypeOf(parameter));
    std::string what = signature.name + "(";
    for (const Type& type : types) what += type.ToString() + " ";
    Type result = signature.result.type;
    if (signature.result.pseudo != SignatureType::Pseudo::kNone) {
      const bool array =
          signature.result.pseudo == SignatureType::Pseudo::kArray || signature.result.pseudo == SignatureType::Pseudo::kCompatibleArray;
      result = array ? Type::ArrayOf(TypeId::kInt4) : Type(TypeId::kInt4);
    }
    CheckBatching(what + ")", types,
                  [&](std::vector<ExprPtr> arguments) { return std::make_shared<Call>(&signature, result, std::move(arguments)); });
  }
}

TEST(Stress, CastsGiveTheSameInEveryBatch) {
  std::vector<Type> types = {TypeId::kBool,
                             TypeId::kInt2,
                             TypeId::kInt4,
                             TypeId::kInt8,
                             TypeId::kOid,
                             TypeId::kFloat4,
                             TypeId::kFloat8,
                             TypeId::kNumeric,
                             TypeId::kText,
                             TypeId::kBytea,
                             TypeId::kDate,
                             TypeId::kTimestamp,
                             TypeId::kTimestamptz,
                             TypeId::kInterval,
                             TypeId::kJsonb,
                             TypeId::kUuid,
                             Type::ArrayOf(TypeId::kInt4),
                             Type::ArrayOf(TypeId::kText)};
  std::vector<Type> targets = types;
  targets.push_back(Type(TypeId::kText).WithModifier(4 + 2));
  targets.push_back(Type(TypeId::kTimestamp).WithModifier(0));
  targets.push_back(Type(TypeId::kNumeric).WithModifier(((5 << 16) | 2) + 4));
  for (const Type& from : types) {
    for (const Type& to : targets) {
      if (!HasCast(from, to, CastContext::kExplicit)) continue;
      CheckBatching(from.ToString() + "::" + to.ToString(), {from}, [&](std::vector<ExprPtr> arguments) {
        auto cast = MakeCast(arguments[0], to, CastContext::kExplicit, 1);
        EXPECT_TRUE(cast.ok());
        return *cast;
      });
    }
  }
}

}  // namespace
}  // namespace kappa::expr
