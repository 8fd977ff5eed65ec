// Goal: kernels agree with plain arithmetic for every shape of arguments, block border, NULL and failure, and every
// registered signature can be called. Method: columns of 200 rows against a loop over rows; a walk over the registry.
#include <gtest/gtest.h>

#include <random>

#include "base/int128.h"
#include "data/array.h"
#include "expr/call.h"

namespace kappa::expr {
namespace {

using data::Type;
using data::TypeId;
using data::Value;

constexpr int64_t kRows = 200;

struct Input {
  std::vector<std::optional<int64_t>> values;
  data::ColumnPtr column;
};

Input RandomColumn(TypeId type, uint32_t seed, int64_t span) {
  std::mt19937 generator(seed);
  Input input;
  data::ColumnBuilder builder(type);
  for (int64_t i = 0; i < kRows; ++i) {
    const int64_t value = static_cast<int64_t>(generator() % static_cast<uint32_t>(2 * span + 1)) - span;
    if (generator() % 5 == 0) {
      input.values.push_back(std::nullopt);
      builder.AppendNull();
    } else {
      input.values.push_back(value);
      if (type == TypeId::kInt4) builder.Append(static_cast<int32_t>(value));
      else builder.Append(value);
    }
  }
  input.column = builder.Finish();
  return input;
}

int64_t At(const data::Column& column, int64_t row) {
  switch (column.type().width()) {
    case 1: return column.data<uint8_t>()[row];
    case 4: return column.data<int32_t>()[row];
    default: return column.data<int64_t>()[row];
  }
}

/// What the operator gives for a row; nullopt when it fails.
std::optional<int64_t> Expected(std::string_view op, int64_t a, int64_t b, bool narrow) {
  int128_t result = 0;
  if (op == "+") result = static_cast<int128_t>(a) + b;
  else if (op == "-") result = static_cast<int128_t>(a) - b;
  else if (op == "*") result = static_cast<int128_t>(a) * b;
  else if (op == "/" && b != 0) result = a / b;
  else if (op == "%" && b != 0) result = a % b;
  else if (op == "<") result = a < b;
  else if (op == ">=") result = a >= b;
  else if (op == "=") result = a == b;
  else return std::nullopt;
  if (narrow ? result != static_cast<int32_t>(result) : result != static_cast<int64_t>(result)) return std::nullopt;
  return static_cast<int64_t>(result);
}

TEST(Kernels, AgreeWithPlainArithmeticInAllShapes) {
  for (const TypeId type : {TypeId::kInt4, TypeId::kInt8}) {
    const bool narrow = type == TypeId::kInt4;
    for (const int64_t span : {int64_t{3}, int64_t{70000}, int64_t{2000000000}}) {
      const Input a = RandomColumn(type, 1, span), b = RandomColumn(type, 2, span);
      data::Batch batch{kRows, {a.column, b.column}};
      const auto constant = [&](int64_t value) {
        return MakeLiteral(narrow ? Value::Fixed<int32_t>(type, static_cast<int32_t>(value)) : Value::Int8(value));
      };
      for (const std::string_view op : {"+", "-", "*", "/", "%", "<", ">=", "="}) {
        for (int shape = 0; shape < 3; ++shape) {
          const int64_t fixed = span / 2 + 1;
          const ExprPtr left = shape == 1 ? constant(fixed) : MakeColumn(0, type, "a");
          const ExprPtr right = shape == 2 ? constant(fixed) : MakeColumn(1, type, "b");
          EvalContext context;
          context.fail_on_error = false;
          const auto result = (*MakeOperator(op, {left, right}, 1))->Evaluate(batch, context);
          ASSERT_TRUE(result.ok());
          int64_t failures = 0;
          for (int64_t row = 0; row < kRows; ++row) {
            const auto x = shape == 1 ? std::optional(fixed) : a.values[static_cast<size_t>(row)];
            const auto y = shape == 2 ? std::optional(fixed) : b.values[static_cast<size_t>(row)];
            const auto expected = x && y ? Expected(op, *x, *y, narrow) : std::nullopt;
            failures += x && y && !expected;
            ASSERT_EQ((*result)->IsNull(row), !expected.has_value()) << op << " row " << row;
            ASSERT_EQ(At(**result, row), expected.value_or(0)) << op << " row " << row << ": the value under a NULL is zero";
          }
          EXPECT_EQ(context.errors, failures) << op;
          context.fail_on_error = true;
          EXPECT_EQ((*MakeOperator(op, {left, right}, 1))->Evaluate(batch, context).ok(), failures == 0) << op;
        }
      }
    }
  }
}

TEST(Kernels, SubsetsComputeOnlyTheirRows) {
  const Input a = RandomColumn(TypeId::kInt4, 3, 2);
  data::Batch batch{kRows, {a.column}};
  const ExprPtr division = *MakeOperator("/", {MakeLiteral(Value::Fixed<int32_t>(TypeId::kInt4, 12)), MakeColumn(0, TypeId::kInt4, "a")}, 1);
  std::vector<int32_t> safe, zero;
  for (int32_t row = 0; row < kRows; ++row) {
    const auto value = a.values[static_cast<size_t>(row)];
    (value == 0 ? zero : safe).push_back(row);
  }
  ASSERT_FALSE(zero.empty());
  EvalContext context;
  const auto result = division->Evaluate(batch, safe, context);
  ASSERT_TRUE(result.ok());
  for (size_t i = 0; i < safe.size(); ++i) {
    const auto value = a.values[static_cast<size_t>(safe[i])];
    EXPECT_EQ((*result)->IsNull(static_cast<int64_t>(i)), !value);
    EXPECT_EQ((*result)->data<int32_t>()[i], value ? 12 / *value : 0);
  }
  EXPECT_FALSE(division->Evaluate(batch, zero, context).ok());
  EXPECT_EQ((*division->Evaluate(batch, std::span<const int32_t>(), context))->size(), 0);
}

TEST(Kernels, FloatsFailAsPostgres) {
  auto number = [](double value) { return MakeLiteral(Value::Fixed<double>(TypeId::kFloat8, value)); };
  EvalContext context;
  auto error = [&](std::string_view op, double a, double b) {
    auto value = EvaluateConstant(**MakeOperator(op, {number(a), number(b)}, 1), context);
    return value.ok() ? std::string("ok") : value.error().message();
  };
  EXPECT_EQ(error("*", 1e200, 1e200), "value out of range: overflow");
  EXPECT_EQ(error("*", 1e-200, 1e-200), "value out of range: underflow");
  EXPECT_EQ(error("/", 1, 0), "division by zero");
  EXPECT_EQ(error("+", INFINITY, 1), "ok");
}

TEST(Kernels, ArraysAndText) {
  data::ColumnBuilder texts(TypeId::kText);
  texts.AppendBytes("a,b");
  texts.AppendNull();
  texts.AppendBytes("a text of more than twelve bytes,b");
  data::Batch batch{3, {texts.Finish()}};
  const ExprPtr column = MakeColumn(0, TypeId::kText, "s");
  const ExprPtr split = *MakeFunction("string_to_array", {column, MakeLiteral(Value::Text(","))}, 1);
  const ExprPtr first = *MakeSubscript(split, MakeLiteral(Value::Fixed<int32_t>(TypeId::kInt4, 1)), 1);
  const ExprPtr any = *MakeArrayComparison("=", MakeLiteral(Value::Text("b")), split, false, 1);
  EvalContext context;
  const auto firsts = first->Evaluate(batch, context);
  ASSERT_TRUE(firsts.ok());
  EXPECT_EQ((*firsts)->bytes(0), "a");
  EXPECT_TRUE((*firsts)->IsNull(1));
  EXPECT_EQ((*firsts)->bytes(2), "a text of more than twelve bytes");
  const auto found = any->Evaluate(batch, context);
  EXPECT_EQ((*found)->data<uint8_t>()[0], 1);
  EXPECT_TRUE((*found)->IsNull(1));
  EXPECT_EQ((*found)->data<uint8_t>()[2], 1);
  // Parts of texts are borrowed: they must outlive the batch.
  const ExprPtr left = *MakeFunction("left", {column, MakeLiteral(Value::Fixed<int32_t>(TypeId::kInt4, 20))}, 1);
  auto part = *left->Evaluate(batch, context);
  batch.columns.clear();
  EXPECT_EQ(part->bytes(2), "a text of more than ");
}

TEST(Functions, EverySignatureIsReachableAndDescribed) {
  for (const Signature& signature : Functions().all()) {
    EXPECT_FALSE(signature.description.empty()) << signature.name;
    std::vector<ExprPtr> arguments;
    for (const SignatureType& parameter : signature.parameters) {
      using Pseudo = SignatureType::Pseudo;
      const bool array = parameter.pseudo == Pseudo::kArray || parameter.pseudo == Pseudo::kCompatibleArray;
      const Type type = parameter.pseudo == Pseudo::kNone ? parameter.type : array ? Type::ArrayOf(TypeId::kDate) : Type(TypeId::kDate);
      arguments.push_back(MakeColumn(0, type, "x"));
    }
    const bool is_operator = signature.kind == FunctionInfo::Kind::kOperator;
    const auto made = is_operator ? MakeOperator(signature.name, arguments, 1) : MakeFunction(signature.name, arguments, 1);
    ASSERT_TRUE(made.ok()) << signature.name << ": " << made.error().message();
    const auto* call = dynamic_cast<const Call*>(made->get());
    ASSERT_NE(call, nullptr) << signature.name;
    EXPECT_EQ(&call->signature(), &signature) << signature.name << " " << (*made)->ToString({});
    // NULLs of every type go through every kernel.
    std::vector<data::ColumnPtr> columns;
    for (const ExprPtr& argument : arguments) columns.push_back(data::NullColumn(argument->type(), 3));
    std::vector<ExprPtr> distinct;
    for (size_t i = 0; i < arguments.size(); ++i) distinct.push_back(MakeColumn(static_cast<int>(i), arguments[i]->type(), "x"));
    const ExprPtr over_columns = (*made)->WithChildren(distinct);
    EvalContext context;
    context.fail_on_error = false;
    const auto result = over_columns->Evaluate(data::Batch{3, columns}, context);
    if (!result.ok()) {
      EXPECT_EQ(result.error().sqlstate(), sqlstate::kFeatureNotSupported) << signature.name << " " << result.error().message();
      continue;
    }
    EXPECT_EQ((*result)->size(), 3) << signature.name;
    EXPECT_TRUE((*result)->type().Same(over_columns->type())) << signature.name << " gives " << (*result)->type().ToString();
    if (signature.strict && !arguments.empty()) { EXPECT_EQ((*result)->null_count(), 3) << signature.name; }
  }
}

TEST(Functions, TheEngineAnswersForTheCatalog) {
  EvalContext context;
  std::vector<std::string> asked;
  context.engine_function = [&](std::string_view name, const std::vector<Value>& arguments) -> Result<Value> {
    asked.push_back(std::string(name) + "/" + std::to_string(arguments.size()));
    if (name == "to_regclass") return arguments[0].bytes == "orders" ? Value::Fixed<int64_t>(TypeId::kOid, 16384) : Value::Null(TypeId::kOid);
    if (name == "regclass_text") return Value::Text("orders");
    if (name == "pg_get_viewdef") return Value::Text("SELECT 1");
    return Error(sqlstate::kUndefinedFunction, "unknown");
  };
  auto show = [&](const Result<ExprPtr>& expression) {
    auto value = EvaluateConstant(**expression, context);
    return value.ok() ? data::ToText(*value) : value.error().message();
  };
  auto unknown = [](std::string text) { return MakeLiteral(Value::Bytes(TypeId::kUnknown, std::move(text))); };
  const ExprPtr oid = *MakeRegCast(unknown("orders"), "regclass", 1);
  EXPECT_TRUE(IsRegType(oid->type()));
  EXPECT_EQ(show(MakeCast(oid, TypeId::kText, CastContext::kExplicit, 1)), "orders");
  EXPECT_EQ(show(MakeCast(oid, TypeId::kOid, CastContext::kExplicit, 1)), "16384");
  EXPECT_EQ(show(MakeRegCast(unknown("nothing"), "regclass", 1)), "relation \"nothing\" does not exist");
  EXPECT_EQ(show(MakeCast(*MakeRegCast(unknown("23"), "regtype", 1), TypeId::kText, CastContext::kExplicit, 1)), "integer");
  EXPECT_EQ(show(MakeFunction("pg_get_viewdef", {oid, MakeLiteral(Value::Bool(true))}, 1)), "SELECT 1");
  EXPECT_EQ(show(MakeFunction("current_user", {}, 1)), "kappa");
  EXPECT_EQ(show(MakeFunction("version", {}, 1)), "PostgreSQL 15.0 (kappa 0.1.0)");
  EXPECT_EQ(asked.back(), "current_user/0");
  EvalContext alone;
  EXPECT_EQ(EvaluateConstant(**MakeFunction("pg_get_viewdef", {oid}, 1), alone).ok(), false);
}

TEST(Functions, TimeZonesOfTheSession) {
  EvalContext berlin;
  berlin.text.time_zone = "Europe/Berlin";
  const ExprPtr text = MakeLiteral(Value::Bytes(TypeId::kUnknown, "2020-01-01 00:00"));
  const ExprPtr moment = FoldConstants(*MakeCast(text, TypeId::kTimestamptz, CastContext::kExplicit, 1));
  EXPECT_EQ(data::ToText(*EvaluateConstant(*moment, berlin)), "2019-12-31 23:00:00+00");
  const ExprPtr zoned =
      *MakeCast(MakeLiteral(Value::Bytes(TypeId::kUnknown, "2020-01-01 00:00+00")), TypeId::kTimestamptz, CastContext::kExplicit, 1);
  EXPECT_EQ(zoned->kind(), Expression::Kind::kLiteral) << "a zone of its own makes it a constant";
  const ExprPtr day = FoldConstants(*MakeFunction("date_trunc", {MakeLiteral(Value::Text("day")), zoned}, 1));
  EXPECT_EQ(data::ToText(*EvaluateConstant(*day, berlin)), "2019-12-31 23:00:00+00");
  EXPECT_TRUE(day->is_immutable()) << "views fix the zone";
  const ExprPtr now = *MakeFunction("now", {}, 1);
  EXPECT_FALSE(now->is_immutable());
  EXPECT_TRUE(now->is_row_constant());
  EXPECT_FALSE((*MakeFunction("random", {}, 1))->is_row_constant());
}

}  // namespace
}  // namespace kappa::expr
