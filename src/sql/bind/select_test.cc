// SELECT: names, types, positions and PostgreSQL's wording of errors. Plans are in test/plans.
#include <gtest/gtest.h>

#include "sql/testing.h"

namespace kappa::sql {
namespace {

class SelectTest : public testing::Test {
 protected:
  Error ErrorFor(const std::string& text) {
    const Result<BoundStatement> bound = catalog_.Bind(text);
    if (bound.ok()) return Error("00000", "bound");
    return bound.error();
  }
  /// "name type, name type" of the output.
  std::string ColumnsOf(const std::string& text) {
    const Result<BoundStatement> bound = catalog_.Bind(text);
    if (!bound.ok()) return bound.error().ToString();
    std::string columns;
    for (const data::Field& field : std::get<SelectStatement>(*bound).plan->schema.fields)
      columns += (columns.empty() ? "" : ", ") + field.name + " " + field.type.ToString();
    return columns;
  }
  std::string ParametersOf(const std::string& text) {
    const Result<BoundStatement> bound = catalog_.Bind(text);
    if (!bound.ok()) return bound.error().ToString();
    std::string types;
    const auto append = [&](const std::vector<data::Type>& parameters) {
      for (const data::Type& type : parameters) types += (types.empty() ? "" : ", ") + type.ToString();
    };
    if (const auto* select = std::get_if<SelectStatement>(&*bound)) append(select->parameter_types);
    if (const auto* insert = std::get_if<InsertStatement>(&*bound)) append(insert->parameter_types);
    if (const auto* update = std::get_if<UpdateStatement>(&*bound)) append(update->parameter_types);
    return types;
  }
  std::string ErrorOf(const std::string& text) { return catalog_.ErrorOf(text); }

  TestCatalog catalog_;
};

TEST_F(SelectTest, OutputNamesArePostgres) {
  EXPECT_EQ(ColumnsOf("select 1, 'a', null, true"), "?column? integer, ?column? text, ?column? text, ?column? boolean");
  EXPECT_EQ(ColumnsOf("select lower(name), name || 'x', year::text, 1::int8, r.year from repos r"),
            "lower text, ?column? text, year text, int8 bigint, year integer");
  EXPECT_EQ(ColumnsOf("select case when true then 1 end, case when true then 1 else year end, coalesce(year, 1), nullif(year, 1), least(1, 2), "
                      "array[1] from repos"),
            "case integer, year integer, coalesce integer, nullif integer, least integer, array integer[]");
  EXPECT_EQ(ColumnsOf("select exists (select 1), (select year from repos), array(select 1), count(*), sum(1)"),
            "exists boolean, year integer, array integer[], count bigint, sum bigint");
  EXPECT_EQ(ColumnsOf("select current_date, extract(year from now()), now() at time zone 'UTC'"),
            "current_date date, extract numeric, timezone timestamp without time zone");
  EXPECT_EQ(ColumnsOf("values (1, 'a')"), "column1 integer, column2 text");
}

TEST_F(SelectTest, NumbersTakeTheSmallestType) {
  EXPECT_EQ(ColumnsOf("select 2147483647 a, 2147483648 b, 9223372036854775808 c, 1.5 d, 1e3 e, -2147483648 f"),
            "a integer, b bigint, c numeric, d numeric, e numeric, f integer");
}

TEST_F(SelectTest, NamesFoldToLowerCase) {
  EXPECT_EQ(ColumnsOf("SELECT R.NAME, \"year\" FROM Repos AS r"), "name text, year integer");
  EXPECT_EQ(ErrorOf("select \"Name\" from repos"), "42703 @8 column \"Name\" does not exist");
  EXPECT_EQ(ColumnsOf("select public.repos.name from public.repos"), "name text");
}

TEST_F(SelectTest, UndefinedColumnNamesTheColumnsAndTheNearest) {
  const Error error = ErrorFor("SELECT prise FROM bids");
  EXPECT_EQ(error.ToString(),
            "column \"prise\" does not exist (SQLSTATE 42703). Stream \"bids\" has columns item, price, at. Perhaps you meant to reference the "
            "column \"bids.price\".");
  EXPECT_EQ(error.position(), 8);
  EXPECT_EQ(ErrorFor("select 1; select b.prise from bids b").sqlstate(), "42601");  // TestCatalog binds one statement
  EXPECT_EQ(ErrorOf("select b.prise from bids b"), "42703 @8 column b.prise does not exist");
  EXPECT_EQ(ErrorOf("select x.price from bids b"), "42P01 @8 missing FROM-clause entry for table \"x\"");
  EXPECT_EQ(ErrorFor("select bids.price from bids b").hint(), "Perhaps you meant to reference the table alias \"b\".");
}

TEST_F(SelectTest, PositionsCountCharactersOfTheWholeText) {
  const auto statements = SplitStatements("select 'ä'; select 'ö', prise from bids");
  ASSERT_TRUE(statements.ok());
  const Result<BoundStatement> bound = Bind((*statements)[1], catalog_.context());
  ASSERT_FALSE(bound.ok());
  EXPECT_EQ(bound.error().position(), 25);
}

TEST_F(SelectTest, UndefinedRelationsNameTheNearest) {
  EXPECT_EQ(ErrorFor("select * from comits").ToString(),
            "relation \"comits\" does not exist (SQLSTATE 42P01). Perhaps you meant the relation \"commits\".");
  EXPECT_EQ(ErrorOf("select * from totals$3"), "42P01 @15 view \"totals\" has no version 3");
  EXPECT_EQ(ErrorOf("select * from repos$late"), "42P01 @15 relation \"repos$late\" does not exist");
  EXPECT_EQ(ErrorOf("select * from nowhere.t"), "42P01 @15 relation \"nowhere.t\" does not exist");
  EXPECT_EQ(ErrorOf("select * from pg_catalog.pg_nothing"), "42P01 @15 relation \"pg_catalog.pg_nothing\" does not exist");
}

TEST_F(SelectTest, LateRowsShowWhereTheyCameFrom) {
  EXPECT_EQ(ColumnsOf("select * from bids$late"),
            "item text, price numeric, at timestamp without time zone, _partition integer, _offset bigint, _timestamp timestamp with time zone");
  EXPECT_EQ(ErrorOf("select _offset from bids"), "42703 @8 column \"_offset\" does not exist");
}

TEST_F(SelectTest, AmbiguousNames) {
  EXPECT_EQ(ErrorOf("select a from pairs x, pairs y"), "42702 @8 column reference \"a\" is ambiguous");
  EXPECT_EQ(ErrorOf("select 1 from pairs, pairs"), "42712 @22 table name \"pairs\" specified more than once");
  EXPECT_EQ(ErrorOf("select name as x, year as x from repos order by x"), "42702 @49 ORDER BY \"x\" is ambiguous");
  EXPECT_EQ(ColumnsOf("select a from pairs x join pairs y using (a)"), "a integer");
  EXPECT_EQ(ErrorOf("select b from pairs x join pairs y using (a)"), "42702 @8 column reference \"b\" is ambiguous");
  EXPECT_EQ(ColumnsOf("select x.b, y.b from pairs x join pairs y using (a)"), "b integer, b integer");
  EXPECT_EQ(ColumnsOf("select * from pairs x join pairs y using (b)"), "b integer, a integer, v numeric, a integer, v numeric");
}

TEST_F(SelectTest, GroupingErrors) {
  EXPECT_EQ(ErrorOf("select repo, author, count(*) from commits group by repo"),
            "42803 @14 column \"commits.author\" must appear in the GROUP BY clause or be used in an aggregate function");
  EXPECT_EQ(ErrorOf("select c.author, count(*) from commits c"),
            "42803 @8 column \"c.author\" must appear in the GROUP BY clause or be used in an aggregate function");
  EXPECT_EQ(ErrorOf("select count(*) from commits having author = 'x'"),
            "42803 @37 column \"commits.author\" must appear in the GROUP BY clause or be used in an aggregate function");
  EXPECT_EQ(ErrorOf("select repo from commits group by repo order by author"),
            "42803 @49 column \"commits.author\" must appear in the GROUP BY clause or be used in an aggregate function");
  EXPECT_EQ(ErrorOf("select 1 from commits where count(*) > 1"), "42803 @29 aggregate functions are not allowed in WHERE");
  EXPECT_EQ(ErrorOf("select count(*) from commits group by count(*)"), "42803 @39 aggregate functions are not allowed in GROUP BY");
  EXPECT_EQ(ErrorOf("select count(*) from commits group by 1"), "42803 @8 aggregate functions are not allowed in GROUP BY");
  EXPECT_EQ(ErrorOf("select sum(count(*)) from commits"), "42803 @12 aggregate function calls cannot be nested");
  EXPECT_EQ(ErrorOf("select 1 from repos a join repos b on count(*) > 1"), "42803 @39 aggregate functions are not allowed in JOIN/ON");
  EXPECT_EQ(ErrorOf("select * from commits group by repo").substr(0, 5), "42803");
}

TEST_F(SelectTest, GroupKeysMayBeExpressionsAliasesAndOrdinals) {
  EXPECT_EQ(ColumnsOf("select lower(repo) || 'x', count(*) from commits group by lower(repo)"), "?column? text, count bigint");
  EXPECT_EQ(ColumnsOf("select lower(repo) as l from commits group by l having count(*) > 1 order by l"), "l text");
  // An input column wins over an output name in GROUP BY, the output name wins in ORDER BY.
  EXPECT_EQ(ErrorOf("select lower(repo) as author from commits group by author").substr(0, 5), "42803");
  EXPECT_EQ(ErrorOf("select 1 from repos group by 2"), "42P10 @30 GROUP BY position 2 is not in select list");
  EXPECT_EQ(ErrorOf("select 1 from repos order by 2"), "42P10 @30 ORDER BY position 2 is not in select list");
  EXPECT_EQ(ErrorOf("select 1 from repos group by 'a'"), "42601 @30 non-integer constant in GROUP BY");
}

TEST_F(SelectTest, TypeErrorsHavePositions) {
  EXPECT_EQ(ErrorOf("select 1 from repos where year"), "42804 @27 argument of WHERE must be type boolean, not type integer");
  EXPECT_EQ(ErrorOf("select year and true from repos"), "42804 @8 argument of AND must be type boolean, not type integer");
  EXPECT_EQ(ErrorOf("select name + 1 from repos"), "42883 @13 operator does not exist: text + integer");
  EXPECT_EQ(ErrorOf("select lowr(name) from repos").substr(0, 50), "42883 @8 function lowr(text) does not exist");
  EXPECT_EQ(ErrorOf("select 'abc'::int"), "22P02 @8 invalid input syntax for type integer: \"abc\"");
  EXPECT_EQ(ErrorOf("select year + 'x', 'y' from repos"), "22P02 @15 invalid input syntax for type integer: \"x\"");
  EXPECT_EQ(ErrorOf("select 1::date"), "42846 @9 cannot cast type integer to date");
  EXPECT_EQ(ErrorOf("select 1::nothing"), "42704 @11 type \"nothing\" does not exist");
  EXPECT_EQ(ErrorOf("select case when 1 then 2 end").substr(0, 8), "42804 @1");
  EXPECT_EQ(ErrorOf("select year from repos union select name from repos"), "42804 @37 UNION types integer and text cannot be matched");
  EXPECT_EQ(ErrorOf("select 1, 2 union select 1"), "42601 @26 each UNION query must have the same number of columns");
  EXPECT_EQ(ErrorOf("select 1 limit 'x'").substr(0, 5), "22P02");
  EXPECT_EQ(ErrorOf("select 1 limit -1"), "2201W @16 LIMIT must not be negative");
  EXPECT_EQ(ErrorOf("select 1 from repos limit year"), "42P10 @27 argument of LIMIT must not contain variables");
}

TEST_F(SelectTest, ParametersTakeTheirTypesFromUse) {
  EXPECT_EQ(ParametersOf("select name from repos where year > $1 and name = $2"), "integer, text");
  EXPECT_EQ(ParametersOf("select $1"), "text");
  EXPECT_EQ(ParametersOf("select $2::int8, $1::date"), "date, bigint");
  EXPECT_EQ(ParametersOf("select 1 limit $1 offset $2"), "bigint, bigint");
  EXPECT_EQ(ParametersOf("select name from repos where year in ($1, $2) or year = any($3)"), "integer, integer, integer[]");
  EXPECT_EQ(ParametersOf("insert into repos values ($1, $2, $3)"), "text, text, integer");
  EXPECT_EQ(ParametersOf("update repos set year = $2 where name = $1"), "text, integer");
  EXPECT_EQ(ParametersOf("select (select max(a) from pairs where v > $1) from repos where year = $2"), "numeric, integer");
  EXPECT_EQ(ErrorOf("select $0").substr(0, 5), "42P02");
}

TEST_F(SelectTest, CorrelatedSubqueriesNumberTheirOuterColumnsAfterTheParameters) {
  EXPECT_EQ(ColumnsOf("select (select max(v) from pairs where a = r.year and b = $1) as m from repos r"), "m numeric");
  EXPECT_EQ(ColumnsOf("select (select (select r.name) from pairs where a = r.year limit 1) as m from repos r"), "m text");
  EXPECT_EQ(ErrorOf("select (select a, b from pairs)"), "42601 @8 subquery must return only one column");
  EXPECT_EQ(ErrorOf("select 1 in (select a, b from pairs)"), "42601 @10 subquery has too many columns");
  EXPECT_EQ(ErrorOf("select (select nothing from pairs) from repos").substr(0, 9), "42703 @16");
}

TEST_F(SelectTest, CommonTablesAreScoped) {
  EXPECT_EQ(ColumnsOf("with repos as (select 1 as one) select * from repos"), "one integer");
  EXPECT_EQ(ColumnsOf("with x as (select * from repos), repos as (select 2 as two) select x.year, two from x, repos"), "year integer, two integer");
  EXPECT_EQ(ErrorOf("select * from (with x as (select 1) select * from x) y, x"), "42P01 @57 relation \"x\" does not exist");
  EXPECT_EQ(ErrorOf("with x as (select nothing from repos) select 1").substr(0, 5), "42703");  // bound although unused
  EXPECT_EQ(ErrorOf("with x as (select 1), x as (select 2) select 1"), "42712 @23 WITH query name \"x\" specified more than once");
  std::string doubling = "with t0 as (select 1 as a)";
  for (int i = 1; i < 40; ++i)
    doubling += ", t" + std::to_string(i) + " as (select x.a from t" + std::to_string(i - 1) + " x, t" + std::to_string(i - 1) + " y)";
  EXPECT_EQ(ErrorOf(doubling + " select * from t39").substr(0, 5), "54001");
}

TEST_F(SelectTest, WhatIsNotSupportedSaysSo) {
  const std::pair<const char*, const char*> kCases[] = {
      {"select 1 from repos for update", "FOR UPDATE/SHARE is not supported in SELECT"},
      {"select name into x from repos", "SELECT INTO is not supported in SELECT"},
      {"with recursive x(n) as (select 1 union all select n + 1 from x) search depth first by n set o select * from x", "SEARCH is not supported"},
      {"with recursive x(n) as (select 1 union all select n from x) cycle n set c using p select * from x", "CYCLE is not supported"},
      {"select * from repos tablesample system (10)", "TABLESAMPLE is not supported"},
      {"select name collate \"de_DE\" from repos", "collation \"de_DE\" is not supported"},
      {"select b'101'", "a bit string is not supported"},
      {"select xmlagg(year) from repos", "aggregate function xmlagg is not supported"},
      {"select 1 from commits where unnest(dirs) = 'x'", "set-returning functions are not allowed in WHERE"},
      {"select row(1, 2) ~ row(1, 2)", "could not determine interpretation of row comparison operator ~"},
      {"select 1::char(3)", "type character(n) is not supported"},
      {"select interval '1' day to second", "an interval with several fields or a precision is not supported"},
      {"select rank(year) within group (order by year) from repos", "a column as the direct argument of rank is not supported"},
      {"select * from jsonb_populate_recordset(row(1, 2), '[]')", "jsonb_populate_recordset over a row that is not NULL is not supported"},
      {"select * from jsonb_populate_record(null::repos, '{}') as x(a int)", "a column definition list for jsonb_populate_record is not supported"},
      {"select '[1,2)'::int4range", "type \"int4range\" is not supported"},
      {"select 1 emit changes", "EMIT outside of a view is not supported"},
      {"select * from repos as final", "\"final\" is not supported here as an alias of a table"},
      {"select * from repos qualify", "\"qualify\" is not supported here as an alias of a table"},
  };
  for (const auto& [text, message] : kCases) {
    const Error error = ErrorFor(text);
    EXPECT_EQ(error.sqlstate(), sqlstate::kFeatureNotSupported) << text << ": " << error.ToString();
    EXPECT_EQ(error.message(), message) << text;
    EXPECT_FALSE(error.hint().empty()) << text;
    EXPECT_GT(error.position(), 0) << text;
  }
  EXPECT_EQ(ErrorOf("select * from repos as \"final\""), "bound");
  EXPECT_EQ(ErrorOf("select 1 as final, 2 as emit"), "bound");
}

TEST_F(SelectTest, WindowFunctionsCheckTheirArguments) {
  EXPECT_EQ(
      ColumnsOf("select * from tumble(bids, at, interval '1' minute)"),
      "item text, price numeric, at timestamp without time zone, window_start timestamp without time zone, window_end timestamp without time zone");
  EXPECT_EQ(ErrorOf("select * from tumble(bids, price, '1 minute')"),
            "42804 @28 the time column of tumble must be of type timestamp or timestamp with time zone, not numeric");
  EXPECT_EQ(ErrorOf("select * from tumble(bids, when_, '1 minute')").substr(0, 9), "42703 @28");
  EXPECT_EQ(ErrorOf("select * from tumble(nothing, at, '1 minute')"), "42P01 @22 relation \"nothing\" does not exist");
  EXPECT_EQ(ErrorOf("select * from tumble(bids, at, '1 month')"), "0A000 @32 an interval with months or years for the window size is not supported");
  EXPECT_EQ(ErrorOf("select * from tumble(bids, at, '0 seconds')"), "22023 @32 the window size must be positive");
  EXPECT_EQ(ErrorOf("select * from hop(bids, at, '7 seconds', '10 seconds')"), "22023 @42 the window size must be a multiple of the slide");
  EXPECT_EQ(ErrorOf("select * from hop(bids, at, '1 second', '7 days')").substr(0, 9), "54000 @41");
  EXPECT_EQ(ErrorOf("select * from tumble(bids, at)").substr(0, 9), "42883 @15");
  EXPECT_EQ(ErrorOf("select * from tumble(bids, at, 5)").substr(0, 9), "42804 @32");
}

TEST_F(SelectTest, UsesOfRegclass) {
  EXPECT_EQ(ColumnsOf("select oid::regclass, oid::regclass::text from pg_class where oid = 'pg_class'::regclass"), "oid text, oid text");
}

TEST_F(SelectTest, DepthIsBounded) {
  // Depth that the tokens do not show: views of views would come from the catalog, here long chains of derived tables.
  std::string text = "select 1 as a";
  for (int i = 0; i < 400; ++i) text = "select a from (" + text + ") x";
  const std::string error = ErrorOf(text);
  EXPECT_TRUE(error == "bound" || error.starts_with("54001")) << error;
}

}  // namespace
}  // namespace kappa::sql
