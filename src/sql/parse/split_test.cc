// Splitting and the token pre-pass: which text reaches the parser, and where errors point in the user's text.
#include <gtest/gtest.h>

#include "sql/parse/tokens.h"
#include "sql/parse/tree.h"
#include "sql/statement.h"

namespace kappa::sql {
namespace {

std::vector<RawStatement> Split(std::string_view text) {
  Result<std::vector<RawStatement>> statements = SplitStatements(text);
  EXPECT_TRUE(statements.ok()) << statements.status().ToString();
  return statements.ok() ? *statements : std::vector<RawStatement>();
}

std::string Rewritten(std::string_view text) {
  const std::vector<RawStatement> statements = Split(text);
  return statements.size() == 1 ? statements[0].text : "";
}

/// "SQLSTATE @position" of the first error of splitting or parsing.
std::string ErrorOf(std::string_view text) {
  const Result<std::vector<RawStatement>> statements = SplitStatements(text);
  if (!statements.ok()) return statements.error().sqlstate() + " @" + std::to_string(statements.error().position());
  for (const RawStatement& statement : *statements) {
    const Result<ParseTree> tree = ParseTree::Parse(statement);
    if (!tree.ok()) return tree.error().sqlstate() + " @" + std::to_string(tree.error().position());
  }
  return "parsed";
}

TEST(SplitTest, CutsAtSemicolonsOutsideOfStringsAndComments) {
  const std::vector<RawStatement> statements = Split("  select ';' ; -- one; two\n;; select $$;$$ /* ; */ ;select \";\" ");
  ASSERT_EQ(statements.size(), 3u);
  EXPECT_EQ(statements[0].source, "select ';'");
  EXPECT_EQ(statements[0].offset, 2);
  EXPECT_EQ(statements[1].source, "select $$;$$");
  EXPECT_EQ(statements[2].source, "select \";\"");
}

TEST(SplitTest, NothingButCommentsIsNoStatement) {
  EXPECT_TRUE(Split("").empty());
  EXPECT_TRUE(Split(" ;; -- nothing\n /* at all */ ;").empty());
}

TEST(SplitTest, OffsetsCountCharactersNotBytes) {
  const std::vector<RawStatement> statements = Split("select 'äöü'; select 1");
  ASSERT_EQ(statements.size(), 2u);
  EXPECT_EQ(statements[1].offset, 14);
}

TEST(SplitTest, RewritesStreamsAndWatermarks) {
  EXPECT_EQ(Rewritten("CREATE STREAM s (ts timestamp, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH (topic = 't')"),
            "CREATE TABLE s (ts timestamp, CONSTRAINT watermark CHECK ( ts > ( ts - INTERVAL '5' SECOND))) WITH (topic = 't')");
  EXPECT_TRUE(Split("create source s (a int)")[0].stream);
  EXPECT_FALSE(Split("create table s (a int, primary key (a))")[0].stream);
}

TEST(SplitTest, AColumnMayBeCalledWatermark) {
  EXPECT_EQ(Rewritten("create stream s (watermark int, a int)"), "create TABLE s (watermark int, a int)");
}

TEST(SplitTest, TakesOrReplaceAndEmitOut) {
  const RawStatement view = Split("create or replace materialized view v as select 1 as a emit on window close")[0];
  EXPECT_TRUE(view.or_replace);
  EXPECT_EQ(view.emit, Emit::kOnWindowClose);
  EXPECT_EQ(view.source.substr(static_cast<size_t>(view.query_at)), "select 1 as a emit on window close");
  EXPECT_EQ(Split("create materialized view v as select 1 as a emit changes")[0].emit, Emit::kChanges);
  EXPECT_EQ(Split("create materialized view v with (promote = 'manual') as select 1 as a")[0].query_at, 56);
}

TEST(SplitTest, RewritesVersionActions) {
  EXPECT_EQ(Rewritten("alter materialized view v promote version 2"), "alter materialized view v SET (promote = 2)");
  EXPECT_EQ(Rewritten("alter materialized view v rollback"), "alter materialized view v SET (rollback = 0)");
  EXPECT_EQ(ErrorOf("alter materialized view v promote 2"), "42601 @35");
  EXPECT_EQ(ErrorOf("alter materialized view v retire version two"), "42601 @42");
}

// A position in the rewritten text must be told as the position in the text that the user wrote.
TEST(SplitTest, ErrorPositionsSurviveRewriting) {
  EXPECT_EQ(ErrorOf("select 1; create or replace materialized view v as select 1 frm x y"), "42601 @65");
  EXPECT_EQ(ErrorOf("create stream s (ts timestamp, watermark for ts as ts - ) with (topic = 't')"), "42601 @56");
  EXPECT_EQ(ErrorOf("select 'ä' x y"), "42601 @14");
  EXPECT_EQ(ErrorOf("select 1; select 'abc"), "42601 @18");
}

TEST(SplitTest, RewritesAsOfJoins) {
  EXPECT_EQ(Rewritten("select * from a asof join b on a.t >= b.t"), "select * from a  join b ON asof() AND a.t >= b.t");
  EXPECT_EQ(Rewritten("select * from a ASOF LEFT JOIN b on x where y"), "select * from a  LEFT JOIN b ON asof() AND x where y");
  EXPECT_EQ(Rewritten("select * from a left asof join b match_condition (a.t >= b.t) on a.k = b.k"),
            "select * from a left  join b ON asof() AND (a.t >= b.t) AND a.k = b.k");
  // The ON of a join is the one after those of the joins inside it.
  EXPECT_EQ(Rewritten("select * from a asof join b join (select 1 from c join d on p) e on q on r join f on s"),
            "select * from a  join b join (select 1 from c join d on p) e on q ON asof() AND r join f on s");
  EXPECT_EQ(Rewritten("select * from a asof join b cross join c on r"), "select * from a  join b cross join c ON asof() AND r");
  EXPECT_EQ(Rewritten("select asof from a as \"asof\" join b on true"), "select asof from a as \"asof\" join b on true");
  EXPECT_EQ(ErrorOf("select * from a asof join b"), "42601 @17");
  EXPECT_EQ(ErrorOf("select * from a asof join b where true"), "42601 @17");
  EXPECT_EQ(ErrorOf("select * from a asof join b using (t)"), "0A000 @29");
  EXPECT_EQ(ErrorOf("select * from a asof join"), "42601 @17");
}

TEST(SplitTest, RewritesSystemTimes) {
  EXPECT_EQ(Rewritten("select * from a join b for system_time as of a.t as c on true"),
            "select * from a join b as c TABLESAMPLE system_time( a.t)  on true");
  EXPECT_EQ(Rewritten("select * from a join b FOR SYSTEM_TIME AS OF a.t on true"), "select * from a join b TABLESAMPLE system_time( a.t) on true");
  EXPECT_EQ(Rewritten("select * from a join b for system_time as of (a.t + i) c on true"),
            "select * from a join b c TABLESAMPLE system_time( (a.t + i))  on true");
  EXPECT_EQ(Rewritten("select * from a join b for system_time as of f(a.t, 1) \"c\" on true"),
            "select * from a join b \"c\" TABLESAMPLE system_time( f(a.t, 1))  on true");
  EXPECT_EQ(ErrorOf("select * from a for system_time as of"), "42601 @38");
  EXPECT_EQ(ErrorOf("select * from a for system_time as of (a"), "42601 @41");
  EXPECT_EQ(ErrorOf("select * from a for system_time between 1 and 2"), "0A000 @17");
}

TEST(SplitTest, RefusesWhatPostgresWouldMisread) {
  EXPECT_EQ(ErrorOf("select * from a semi join b on true"), "0A000 @17");
  EXPECT_EQ(ErrorOf("select * from a match_recognize (b)"), "0A000 @17");
  EXPECT_EQ(ErrorOf("select * from a emit after window close"), "0A000 @17");
  EXPECT_EQ(ErrorOf("subscribe v"), "0A000 @1");
  EXPECT_EQ(ErrorOf("create sink s from v"), "0A000 @8");
}

TEST(SplitTest, RefusesBytesThatAreNotText) {
  EXPECT_EQ(ErrorOf("select '\xff'"), "22021 @9");
  EXPECT_EQ(ErrorOf(std::string_view("select \0 1", 10)), "22021 @8");
  EXPECT_EQ(ErrorOf("select '\xed\xa0\x80'"), "22021 @9");  // a surrogate
  EXPECT_EQ(ErrorOf("select 'ä€😀'"), "parsed");
}

TEST(SplitTest, BoundsSizeAndDepth) {
  EXPECT_EQ(ErrorOf(std::string(kStatementBytesMax + 1, ' ')), "54000 @0");
  const auto repeated = [](std::string_view part, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += part;
    return text;
  };
  const int many = 20'000;
  for (const std::string& text :
       {"select " + repeated("(", many) + "1" + repeated(")", many), "select 1" + repeated("+1", many), "select " + repeated("not ", many) + "true",
        "select " + repeated("- ", many) + "1", "select 1" + repeated(" union select 1", many), "select * from a" + repeated(" join a on true", many),
        "select 1" + repeated("::int", many), "select " + repeated("case when true then ", many) + "1" + repeated(" end", many),
        "select " + repeated("array[", many) + "1" + repeated("]", many), "select a" + repeated(" is null", many),
        "select a" + repeated(" collate \"C\"", many), "select " + repeated("(select ", many) + "1" + repeated(")", many)})
    EXPECT_TRUE(ErrorOf(text).starts_with("54001")) << text.substr(0, 60);
  // Flat lists are no depth.
  EXPECT_EQ(ErrorOf("select 1 in (1" + repeated(", 1", many) + ")"), "parsed");
  EXPECT_EQ(ErrorOf("select * from a where a = 1" + repeated(" or a = 1", many)), "parsed");
  EXPECT_EQ(ErrorOf("values (1)" + repeated(", (1)", many)), "parsed");
}

}  // namespace
}  // namespace kappa::sql
