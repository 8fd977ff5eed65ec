// Goal: the nodes of expressions give PostgreSQL's answers with NULLs, over all rows and over some.
// Method: small batches, expressions built with the Make functions, results compared as text.
#include "expr/expression.h"

#include <gtest/gtest.h>

#include "expr/aggregate_call.h"

namespace kappa::expr {
namespace {

using data::Type;
using data::TypeId;
using data::Value;

ExprPtr Int(int32_t value) { return MakeLiteral(Value::Fixed<int32_t>(TypeId::kInt4, value)); }
ExprPtr Big(int64_t value) { return MakeLiteral(Value::Int8(value)); }
ExprPtr Text(std::string value) { return MakeLiteral(Value::Text(std::move(value))); }
ExprPtr Bool(bool value) { return MakeLiteral(Value::Bool(value)); }
ExprPtr Unknown(std::string value) { return MakeLiteral(Value::Bytes(TypeId::kUnknown, std::move(value))); }
ExprPtr Op(std::string_view name, ExprPtr a, ExprPtr b) {
  auto made = MakeOperator(name, {std::move(a), std::move(b)}, 1);
  KAPPA_CHECK(made.ok());
  return *made;
}

/// a int4: 1 NULL 3 0; b int8: 10 20 NULL 0; s text: "x" NULL "a longer string" "".
data::Batch Sample() {
  data::Batch batch;
  batch.rows = 4;
  data::ColumnBuilder a(TypeId::kInt4), b(TypeId::kInt8), s(TypeId::kText);
  a.Append<int32_t>(1);
  a.AppendNull();
  a.Append<int32_t>(3);
  a.Append<int32_t>(0);
  b.Append<int64_t>(10);
  b.Append<int64_t>(20);
  b.AppendNull();
  b.Append<int64_t>(0);
  s.AppendBytes("x");
  s.AppendNull();
  s.AppendBytes("a longer string");
  s.AppendBytes("");
  batch.columns = {a.Finish(), b.Finish(), s.Finish()};
  return batch;
}
ExprPtr A() { return MakeColumn(0, TypeId::kInt4, "a"); }
ExprPtr B() { return MakeColumn(1, TypeId::kInt8, "b"); }
ExprPtr S() { return MakeColumn(2, TypeId::kText, "s"); }

std::string Show(const data::Column& column) {
  std::string out;
  for (int64_t i = 0; i < column.size(); ++i) {
    if (i > 0) out += ' ';
    if (column.IsNull(i)) out += "NULL";
    else if (column.type().id == TypeId::kBool) out += column.data<uint8_t>()[i] != 0 ? 't' : 'f';
    else data::AppendText(column, i, {}, out);
  }
  return out;
}

/// The text of all rows, or "SQLSTATE message". Checks that rows in pieces give the same.
std::string Eval(const ExprPtr& expression, bool fail_on_error = true) {
  data::Batch batch = Sample();
  EvalContext context;
  context.fail_on_error = fail_on_error;
  auto all = expression->Evaluate(batch, context);
  if (!all.ok()) return all.error().sqlstate() + " " + all.error().message();
  std::string pieces;
  for (int32_t row = 0; row < 4; ++row) {
    auto piece = expression->Evaluate(batch, std::span(&row, 1), context);
    if (!piece.ok()) return "piece failed: " + piece.error().message();
    pieces += (row > 0 ? " " : "") + Show(**piece);
  }
  EXPECT_EQ(Show(**all), pieces);
  return Show(**all);
}

std::string Message(const Result<ExprPtr>& result) { return result.ok() ? "ok" : result.error().sqlstate() + " " + result.error().message(); }

TEST(Expression, ArithmeticPropagatesNulls) {
  EXPECT_EQ(Eval(Op("+", A(), Int(5))), "6 NULL 8 5");
  EXPECT_EQ(Eval(Op("+", A(), B())), "11 NULL NULL 0");
  EXPECT_EQ(Op("+", A(), B())->type(), Type(TypeId::kInt8));
  EXPECT_EQ(Eval(Op("-", Int(7), A())), "6 NULL 4 7");
  EXPECT_EQ(Eval(Op("*", A(), MakeNull(TypeId::kInt4))), "NULL NULL NULL NULL");
}

TEST(Expression, IntegerOverflow) {
  EXPECT_EQ(Eval(Op("+", A(), Int(INT32_MAX))), "22003 integer out of range");
  EXPECT_EQ(Eval(Op("-", Int(INT32_MIN), A())), "22003 integer out of range");
  EXPECT_EQ(Eval(Op("*", B(), Big(INT64_MAX))), "22003 bigint out of range");
  EXPECT_EQ(Eval(Op("+", B(), Big(INT64_MAX - 20))), "9223372036854775797 9223372036854775807 NULL 9223372036854775787");
  EXPECT_EQ(Eval(Op("+", B(), Big(INT64_MAX - 19))), "22003 bigint out of range");
  EXPECT_EQ(Eval(Op("/", Big(INT64_MIN), Op("-", B(), Big(11)))), "22003 bigint out of range");
}

TEST(Expression, DivisionByZeroFailsOnlyForRowsThatAreNotNull) {
  EXPECT_EQ(Eval(Op("/", Int(6), A())), "22012 division by zero");
  EXPECT_EQ(Eval(Op("/", Int(6), A()), false), "6 NULL 2 NULL");
  EXPECT_EQ(Eval(Op("/", Op("*", A(), Int(10)), Int(3))), "3 NULL 10 0");
  EXPECT_EQ(Eval(Op("%", A(), Int(2))), "1 NULL 1 0");
}

TEST(Expression, FailingRowsAreCounted) {
  data::Batch batch = Sample();
  EvalContext context;
  context.fail_on_error = false;
  ASSERT_TRUE(Op("/", Int(6), A())->Evaluate(batch, context).ok());
  EXPECT_EQ(context.errors, 1);
  EXPECT_EQ(context.first_error, "division by zero");
}

TEST(Expression, ThreeValuedLogic) {
  ExprPtr t = Bool(true), f = Bool(false), n = MakeNull(TypeId::kBool);
  ExprPtr x = Op(">", A(), Int(0));  // t NULL t f
  EXPECT_EQ(Eval(*MakeAnd({x, n}, 1)), "NULL NULL NULL f");
  EXPECT_EQ(Eval(*MakeOr({x, n}, 1)), "t NULL t NULL");
  EXPECT_EQ(Eval(*MakeAnd({n, x}, 1)), "NULL NULL NULL f");
  EXPECT_EQ(Eval(*MakeAnd({x, Op(">", B(), Big(5))}, 1)), "t NULL NULL f");
  EXPECT_EQ(Eval(*MakeOr({x, Op(">", B(), Big(5))}, 1)), "t t t f");
  EXPECT_EQ(Eval(*MakeNot(x, 1)), "f NULL f t");
  EXPECT_EQ(Eval(MakeIsNull(A(), false)), "f t f f");
  EXPECT_EQ(Eval(MakeIsNull(A(), true)), "t f t t");
  EXPECT_EQ(FoldConstants(*MakeAnd({x, t}, 1))->ToString({}), x->ToString({}));
  EXPECT_EQ(FoldConstants(*MakeAnd({x, f}, 1))->ToString({}), "false");
  EXPECT_EQ(FoldConstants(*MakeOr({n, f}, 1))->ToString({}), "NULL::boolean");
}

TEST(Expression, ShortCircuitHidesErrorsOfRowsThatAreDecided) {
  ExprPtr safe = Op("<>", A(), Int(0));
  ExprPtr risky = Op(">", Op("/", Int(6), A()), Int(1));
  EXPECT_EQ(Eval(*MakeAnd({safe, risky}, 1)), "t NULL t f");
  EXPECT_EQ(Eval(*MakeAnd({risky, safe}, 1)), "22012 division by zero");
  EXPECT_EQ(Eval(*MakeOr({Op("=", A(), Int(0)), risky}, 1)), "t NULL t t");
  EXPECT_EQ(Eval(*MakeCase(nullptr, {{safe, Op("/", Int(6), A())}}, Int(-1), 1)), "6 -1 2 -1");
  EXPECT_EQ(Eval(*MakeCoalesce({B(), Op("/", Big(6), Op("-", B(), B()))}, 1)), "10 20 NULL 0");
}

TEST(Expression, SelectTrue) {
  data::Batch batch = Sample();
  EvalContext context;
  auto select = [&](const ExprPtr& predicate) { return *SelectTrue(*predicate, batch, context); };
  EXPECT_EQ(select(Op(">=", A(), Int(1))), (std::vector<int32_t>{0, 2}));
  EXPECT_EQ(select(*MakeAnd({Op(">=", A(), Int(0)), Op("<", B(), Big(10))}, 1)), (std::vector<int32_t>{3}));
  EXPECT_EQ(select(*MakeAnd({Op("<>", A(), Int(0)), Op("=", Op("/", Int(3), A()), Int(1))}, 1)), (std::vector<int32_t>{2}));
  EXPECT_EQ(select(Bool(true)).size(), 4u);
  EXPECT_TRUE(select(MakeNull(TypeId::kBool)).empty());
}

TEST(Expression, ConditionalsAndNullIf) {
  EXPECT_EQ(Eval(*MakeCase(A(), {{Int(1), Unknown("one")}, {Int(3), Text("three")}}, nullptr, 1)), "one NULL three NULL");
  // Branches that cannot fail are computed for all rows.
  EXPECT_EQ(Eval(*MakeCase(nullptr, {{Op(">", A(), Int(2)), S()}, {Op(">", A(), Int(0)), Text("some")}}, Text("a longer default text"), 1)),
            "some a longer default text a longer string a longer default text");
  EXPECT_EQ(Eval(*MakeCase(nullptr, {{Op(">", A(), Int(2)), MakeNull(TypeId::kInt8)}, {MakeNull(TypeId::kBool), Big(1)}}, B(), 1)), "10 20 NULL 0");
  EXPECT_EQ(Eval(*MakeCase(nullptr, {{Op(">", A(), Int(0)), Bool(true)}}, MakeNull(TypeId::kUnknown), 1)), "t NULL t NULL");
  EXPECT_EQ(Eval(*MakeCoalesce({S(), Unknown("none")}, 1)), "x none a longer string ");
  EXPECT_EQ(Eval(*MakeNullIf(A(), Int(3), 1)), "1 NULL NULL 0");
  EXPECT_EQ(Eval(*MakeGreatest({A(), Int(2)}, false, 1)), "2 2 3 2");
  EXPECT_EQ(Eval(*MakeGreatest({A(), Int(2), B()}, true, 1)), "1 2 2 0");
  EXPECT_EQ(Eval(*MakeDistinct(A(), Int(3), false, 1)), "t t f t");
  EXPECT_EQ(Eval(*MakeDistinct(A(), MakeNull(TypeId::kInt4), true, 1)), "f t f f");
}

TEST(Expression, InLists) {
  EXPECT_EQ(Eval(*MakeIn(A(), {Int(1), Int(2)}, false, 1)), "t NULL f f");
  EXPECT_EQ(Eval(*MakeIn(A(), {Int(1), MakeNull(TypeId::kUnknown)}, false, 1)), "t NULL NULL NULL");
  EXPECT_EQ(Eval(*MakeIn(A(), {Int(1), MakeNull(TypeId::kUnknown)}, true, 1)), "f NULL NULL NULL");
  EXPECT_EQ(Eval(*MakeIn(S(), {Unknown("x"), Unknown("a longer string")}, true, 1)), "f NULL f t");
  std::vector<ExprPtr> many;
  for (int i = 1; i < 40; ++i) many.push_back(Int(i));
  EXPECT_EQ(Eval(*MakeIn(A(), many, false, 1)), "t NULL t f");
  EXPECT_EQ(Eval(*MakeIn(A(), {Op("+", Int(1), A()), Int(3)}, false, 1)), "f NULL t f");
}

TEST(Expression, ComparisonsOfText) {
  EXPECT_EQ(Eval(Op("=", S(), Unknown("x"))), "t NULL f f");
  EXPECT_EQ(Eval(Op("<", S(), Unknown("b"))), "f NULL t t");
  EXPECT_EQ(Eval(Op(">=", Unknown("a longer string"), S())), "f NULL t t");
}

TEST(Expression, ResolutionErrors) {
  EXPECT_EQ(Message(MakeOperator("+", {A(), S()}, 3)), "42883 operator does not exist: integer + text");
  EXPECT_EQ(Message(MakeOperator("+", {Unknown("1"), Unknown("2")}, 3)), "42725 operator is not unique: unknown + unknown");
  EXPECT_EQ(Message(MakeFunction("abss", {A()}, 3)), "42883 function abss(integer) does not exist");
  EXPECT_EQ(MakeFunction("abss", {A()}, 3).error().hint(), "Perhaps you meant the function \"abs\".");
  EXPECT_EQ(MakeFunction("abss", {A()}, 3).error().position(), 3);
  EXPECT_EQ(Message(MakeFunction("abs", {S()}, 3)), "42883 function abs(text) does not exist");
  EXPECT_EQ(Message(MakeAnd({A(), Bool(true)}, 3)), "42804 argument of AND must be type boolean, not type integer");
  EXPECT_EQ(Message(MakeCase(nullptr, {{Bool(true), Int(1)}}, S(), 1)), "42804 CASE types text and integer cannot be matched");
  EXPECT_EQ(Message(MakeOperator("+", {A(), Unknown("x")}, 9)), "22P02 invalid input syntax for type integer: \"x\"");
  EXPECT_EQ(MakeOperator("+", {A(), Unknown("x")}, 9).error().position(), 9);
}

TEST(Expression, Casts) {
  EXPECT_EQ(Eval(*MakeCast(A(), TypeId::kText, CastContext::kExplicit, 1)), "1 NULL 3 0");
  EXPECT_EQ(Eval(*MakeCast(S(), Type(TypeId::kText).WithModifier(4 + 3), CastContext::kExplicit, 1)), "x NULL a l ");
  EXPECT_EQ(Eval(*MakeCast(S(), Type(TypeId::kText).WithModifier(4 + 3), CastContext::kAssignment, 1)),
            "22001 value too long for type character varying(3)");
  EXPECT_EQ(Eval(*MakeCast(S(), TypeId::kInt4, CastContext::kExplicit, 1)), "22P02 invalid input syntax for type integer: \"x\"");
  EXPECT_EQ(Eval(*MakeCast(S(), TypeId::kInt4, CastContext::kExplicit, 1), false), "NULL NULL NULL NULL");
  EXPECT_EQ(Message(MakeCast(B(), TypeId::kInt4, CastContext::kImplicit, 1)), "42804 cannot cast type bigint to integer");
  EXPECT_EQ(Message(MakeCast(B(), TypeId::kDate, CastContext::kExplicit, 1)), "42846 cannot cast type bigint to date");
  auto half = [](double value) {
    return Eval(*MakeCast(MakeLiteral(Value::Fixed<double>(TypeId::kFloat8, value)), TypeId::kInt4, CastContext::kExplicit, 1));
  };
  EXPECT_EQ(half(2.5), "2 2 2 2");
  EXPECT_EQ(half(3.5), "4 4 4 4");
  EXPECT_EQ(half(2147483647.5), "22003 integer out of range");
}

TEST(Expression, RewritesKeepMeaning) {
  ExprPtr sum = Op("+", A(), Op("+", Int(1), Int(2)));
  EXPECT_EQ(FoldConstants(sum)->ToString({}), "($0 + 3)");
  const int mapping[] = {4};
  EXPECT_EQ(RemapColumns(sum, mapping)->ToString({}), "($4 + (1 + 2))");
  const ExprPtr replacement[] = {Int(7)};
  EXPECT_EQ(FoldConstants(SubstituteColumns(sum, replacement))->ToString({}), "10");
  std::vector<bool> used;
  CollectColumns(*Op("+", B(), A()), used);
  EXPECT_EQ(used, (std::vector<bool>{true, true}));
  ExprPtr division = Op("/", Int(1), Int(0));
  EXPECT_EQ(FoldConstants(division), division) << "errors stay for run time";
}

TEST(Aggregate, Resolution) {
  EXPECT_EQ(ResolveAggregate("sum", {A()}, false, false, 1)->type, Type(TypeId::kInt8));
  EXPECT_EQ(ResolveAggregate("sum", {B()}, false, false, 1)->type, Type(TypeId::kNumeric));
  EXPECT_EQ(ResolveAggregate("avg", {A()}, false, false, 1)->type, Type(TypeId::kNumeric));
  EXPECT_EQ(ResolveAggregate("max", {S()}, false, false, 1)->type, Type(TypeId::kText));
  EXPECT_EQ(ResolveAggregate("count", {}, true, false, 1)->kind, AggregateKind::kCountStar);
  EXPECT_EQ(ResolveAggregate("count", {S()}, false, true, 1)->ToString({}), "count(DISTINCT $2)");
  EXPECT_EQ(ResolveAggregate("sum", {S()}, false, false, 5).error().message(), "function sum(text) does not exist");
  EXPECT_EQ(ResolveAggregate("stddev", {A()}, false, false, 5)->type, Type(TypeId::kNumeric));
  EXPECT_EQ(ResolveAggregate("corr", {A(), B()}, false, false, 5)->type, Type(TypeId::kFloat8));
  EXPECT_EQ(ResolveAggregate("range_agg", {A()}, false, false, 5).error().sqlstate(), sqlstate::kFeatureNotSupported);
  EXPECT_EQ(ResolveOrderedSet("rank", {MakeLiteral(Value::Int8(7))}, {{B(), true, true}}, 5)->ToString({}),
            "rank('7'::bigint) WITHIN GROUP (ORDER BY $1 DESC)");
  EXPECT_EQ(ResolveAggregate("mode", {}, false, false, 5).error().message(), "WITHIN GROUP is required for ordered-set aggregate mode");
  EXPECT_EQ(ResolveOrderedSet("mode", {}, {{S(), true, false}}, 5)->ToString({}), "mode() WITHIN GROUP (ORDER BY $2 DESC NULLS LAST)");
  EXPECT_EQ(ResolveOrderedSet("sum", {}, {{S(), false, false}}, 5).error().sqlstate(), sqlstate::kWrongObjectType);
}

}  // namespace
}  // namespace kappa::expr
