// Views: what they refuse, their keys, dependencies and append-only proofs.
#include <gtest/gtest.h>

#include "sql/testing.h"

namespace kappa::sql {
namespace {

class ViewTest : public testing::Test {
 protected:
  Result<CreateViewStatement> View(const std::string& query) {
    Result<BoundStatement> bound = catalog_.Bind("create materialized view v as " + query);
    if (!bound.ok()) return bound.error();
    return std::get<CreateViewStatement>(std::move(*bound));
  }
  std::vector<int> KeysOf(const std::string& query) {
    const Result<CreateViewStatement> view = View(query);
    EXPECT_TRUE(view.ok()) << view.status().ToString();
    return view.ok() ? view->key_columns : std::vector<int>{-1};
  }
  bool AppendOnly(const std::string& query) {
    const Result<CreateViewStatement> view = View(query);
    EXPECT_TRUE(view.ok()) << view.status().ToString();
    return view.ok() && view->plan->append_only;
  }

  TestCatalog catalog_;
};

TEST_F(ViewTest, JoinsBeginWithTheSmallestInputs) {
  const std::string query =
      "SELECT c.id, r.year, p.v FROM commits c JOIN repos r ON c.repo = r.name JOIN pairs p ON p.a = r.year AND p.b < c.parents WHERE c.added > "
      "r.year";
  const std::string written = catalog_.Plan(query);
  const auto order = [](const std::string& text) { return std::vector{text.find("commits ["), text.find("repos ["), text.find("pairs [")}; };
  const auto sorted = [&](const std::string& text, std::vector<size_t> leaves) {
    const auto at = order(text);
    return at[leaves[0]] < at[leaves[1]] && at[leaves[1]] < at[leaves[2]];
  };
  EXPECT_TRUE(sorted(written, {0, 1, 2})) << written;
  catalog_.input_rows = {{1, 1'000'000}, {3, 100}};  // nothing is known of pairs
  EXPECT_EQ(catalog_.Plan(query), written);
  catalog_.input_rows[4] = 50;
  const std::string ordered = catalog_.Plan(query);
  EXPECT_TRUE(sorted(ordered, {2, 1, 0})) << ordered;
  // The one condition that needs all three, and that of repos and commits, hold where the last comes in.
  EXPECT_NE(ordered.find("Join inner"), std::string::npos) << ordered;
  catalog_.input_rows = {{1, 10}, {3, 100}, {4, 1000}};
  EXPECT_EQ(catalog_.Plan(query), written);
  // What keys make equal connects inputs that no condition names together.
  catalog_.input_rows = {{1, 1'000'000}, {3, 100}, {4, 50}};
  const std::string star = catalog_.Plan("SELECT c.id, p.v, q.v FROM commits c JOIN pairs p ON p.a = c.parents JOIN pairs q ON q.b = c.parents");
  EXPECT_EQ(star.find("cross"), std::string::npos) << star;
  EXPECT_LT(star.rfind("pairs ["), star.find("commits [")) << star;
  Result<CreateViewStatement> view = View(query);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->input_rows, catalog_.input_rows);
}

using Columns = std::vector<int>;

TEST_F(ViewTest, Statement) {
  const Result<BoundStatement> bound = catalog_.Bind(
      "CREATE OR REPLACE MATERIALIZED VIEW spend WITH (promote = 'manual') AS\n  SELECT author, count(*) FROM commits GROUP BY author EMIT CHANGES");
  ASSERT_TRUE(bound.ok()) << bound.status().ToString();
  const auto& view = std::get<CreateViewStatement>(*bound);
  EXPECT_EQ(view.name, "spend");
  EXPECT_TRUE(view.or_replace);
  EXPECT_TRUE(view.promote_manual);
  EXPECT_EQ(view.query, "SELECT author, count(*) FROM commits GROUP BY author EMIT CHANGES");
  EXPECT_EQ(view.depends_on, std::vector<std::string>{"commits"});
  const Result<plan::NodePtr> again = BindViewQuery(view.query, catalog_.context());
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(plan::PlanHash(**again), plan::PlanHash(*view.plan));
}

TEST_F(ViewTest, DependsOnEveryRelationOnce) {
  const Result<CreateViewStatement> view =
      View("select r.name, t.commits from repos r join totals t on t.author = r.name join totals$2 u on u.author = r.language");
  ASSERT_TRUE(view.ok()) << view.status().ToString();
  EXPECT_EQ(view->depends_on, (std::vector<std::string>{"repos", "totals"}));
}

TEST_F(ViewTest, KeysAreGroupKeysThatAreShown) {
  EXPECT_EQ(KeysOf("select count(*) as n, author, repo from commits group by author, repo"), (Columns{1, 2}));
  EXPECT_EQ(KeysOf("select count(*) as n, author from commits group by author, repo"), Columns{});
  EXPECT_EQ(KeysOf("select distinct author, repo from commits"), (Columns{0, 1}));
  EXPECT_EQ(KeysOf("select author from commits"), Columns{});
  EXPECT_EQ(KeysOf("select count(*) as n from commits"), Columns{});
  EXPECT_EQ(KeysOf("select year, name from repos where year > 1"), Columns{1});
  EXPECT_EQ(KeysOf("select year from repos"), Columns{});
  EXPECT_EQ(KeysOf("select b, a from pairs"), (Columns{1, 0}));
  EXPECT_EQ(KeysOf("select commits, author from totals"), Columns{1});
  EXPECT_EQ(KeysOf("select t.author, r.year from totals t left join repos r on r.name = t.author"), Columns{0});
  EXPECT_EQ(KeysOf("select t.author, r.year from totals t left join repos r on r.year = t.commits"), Columns{});
  EXPECT_EQ(KeysOf("select window_start, count(*) as n from tumble(commits, authored_at, '1 day') group by window_start"), Columns{0});
}

TEST_F(ViewTest, AppendOnlyIsProvenUpward) {
  EXPECT_TRUE(AppendOnly("select lower(author) as a from commits where parents > 1"));
  EXPECT_TRUE(AppendOnly("select dir from commits, unnest(dirs) as dir"));
  EXPECT_TRUE(AppendOnly("select id from commits union all select item from bids"));
  EXPECT_TRUE(AppendOnly("select a.id from commits a join commits b on a.id = b.id"));
  EXPECT_TRUE(AppendOnly("select window_end, count(*) as n from tumble(commits, authored_at, '1 day') group by window_end emit on window close"));
  EXPECT_TRUE(
      AppendOnly("select n from (select window_end, count(*) as n from tumble(commits, authored_at, '1 day') group by window_end) x where n > 2 emit "
                 "on window close"));
  EXPECT_FALSE(AppendOnly("select window_end, count(*) as n from tumble(commits, authored_at, '1 day') group by window_end"));
  EXPECT_FALSE(AppendOnly("select name from repos"));
  EXPECT_FALSE(AppendOnly("select id from commits union all select name from repos"));
  EXPECT_FALSE(AppendOnly("select a.id from commits a left join commits b on a.id = b.id"));
  EXPECT_FALSE(AppendOnly("select a.id from commits a join repos b on a.id = b.name"));
}

TEST_F(ViewTest, RefusesWhatALiveViewCannotKeep) {
  const std::pair<const char*, const char*> kCases[] = {
      {"select author from commits order by 1", "ORDER BY without LIMIT in a view is not supported"},
      {"select author from commits union all select 'x' order by 1", "ORDER BY without LIMIT in a view is not supported"},
      {"select name from repos r left join commits c on (select max(year) from repos x where x.year < r.year and x.name = c.repo) > 0",
       "a sub-query that uses columns of both sides of an outer join is not supported in a view"},
      {"with recursive x(n) as (select 1 union all select n + 1 from x where n < 3) select n from x", "WITH RECURSIVE in a view is not supported"},
      {"select author, now() as t from commits", "function now() is not supported in views except to compare a time with it"},
      {"select author, current_date as d from commits", "function now() is not supported in views except to compare a time with it"},
      {"select author from commits where random() > 0.5", "function random() is not supported in views"},
      {"select name from kappa.views", "system relation \"kappa.views\" in a view is not supported"},
      {"select relname from pg_class", "system relation \"pg_catalog.pg_class\" in a view is not supported"},
      {"select change from kappa.diff('totals', 1, 2)", "function kappa.diff in a view is not supported"},
  };
  for (const auto& [query, message] : kCases) {
    const Result<CreateViewStatement> view = View(query);
    ASSERT_FALSE(view.ok()) << query;
    EXPECT_EQ(view.error().sqlstate(), sqlstate::kFeatureNotSupported) << query << ": " << view.error().ToString();
    EXPECT_EQ(view.error().message(), message) << query;
    EXPECT_FALSE(view.error().hint().empty()) << query;
    EXPECT_GT(view.error().position(), 0) << query;
  }
  EXPECT_TRUE(View("values (1, 'a'), (2, 'b')").ok());
}

TEST_F(ViewTest, RefusesOtherMistakes) {
  EXPECT_EQ(View("select author, id as author from commits").error().sqlstate(), sqlstate::kDuplicateColumn);
  EXPECT_EQ(View("select author from commits where parents > $1").error().sqlstate(), sqlstate::kUndefinedParameter);
  EXPECT_EQ(catalog_.ErrorOf("create materialized view v with (promot = 'manual') as select 1 as a"), "22023 @34 unrecognized parameter \"promot\"");
  EXPECT_EQ(catalog_.ErrorOf("create materialized view v with (promote = 'now') as select 1 as a"),
            "22023 @34 invalid value for parameter \"promote\": \"now\"");
  EXPECT_EQ(catalog_.ErrorOf("create materialized view v (a) as select 1"), "0A000 @26 a column list is not supported in CREATE MATERIALIZED VIEW");
  EXPECT_EQ(catalog_.ErrorOf("create materialized view v as select 1 as a with no data"),
            "0A000 @26 WITH NO DATA is not supported in CREATE MATERIALIZED VIEW");
  EXPECT_EQ(catalog_.ErrorOf("create materialized view v$1 as select 1 as a").substr(0, 9), "0A000 @26");
  EXPECT_EQ(catalog_.ErrorOf("create materialized view x.v as select 1 as a").substr(0, 9), "3F000 @26");
  EXPECT_EQ(catalog_.ErrorOf("create table t as select 1 as a").substr(0, 5), "0A000");
}

TEST_F(ViewTest, EmitOnWindowCloseNeedsAWindowOverAStreamsEventTime) {
  const auto detail = [&](const std::string& query) {
    const Result<CreateViewStatement> view = View(query + " emit on window close");
    return view.ok() ? "bound" : view.error().sqlstate() + " " + view.error().message() + " | " + view.error().detail();
  };
  const std::string no = "0A000 EMIT ON WINDOW CLOSE is not supported for this query | ";
  EXPECT_EQ(detail("select author from commits"), no + "It has no window.");
  EXPECT_EQ(detail("select author, count(*) as n from commits group by author"),
            no + "Neither window_start nor window_end of a window function is in GROUP BY.");
  EXPECT_EQ(detail("select author, count(*) as n from tumble(commits, authored_at, '1 day') group by author"),
            no + "Neither window_start nor window_end of a window function is in GROUP BY.");
  EXPECT_EQ(
      detail("select window_end, count(*) as n from tumble(commits, authored_at, '1 day') c join repos r on r.name = c.repo group by window_end"),
      no + "Neither window_start nor window_end of a window function is in GROUP BY.");
  EXPECT_EQ(
      detail("select window_start, count(*) as n from (select window_start from tumble(commits, authored_at, '1 day')) x group by window_start"),
      "bound");
  EXPECT_EQ(detail("select window_end, author from tumble(commits, authored_at, '1 day')"), "bound");
  EXPECT_EQ(detail("select author from tumble(commits, authored_at, '1 day')"), "bound");
  EXPECT_EQ(detail("select author, rank() over (partition by window_end order by id) from tumble(commits, authored_at, '1 day')"), "bound");
  EXPECT_EQ(detail("select author, rank() over (partition by author order by id) from tumble(commits, authored_at, '1 day')"),
            no + "A window function, DISTINCT ON or LIMIT is not within a window: PARTITION BY window_end (or window_start) is missing.");
  EXPECT_EQ(detail("select author, rank() over (partition by window_start order by id) from cumulate(commits, authored_at, '1 day', '2 days')"),
            no + "A window function, DISTINCT ON or LIMIT is not within a window: PARTITION BY window_end (or window_start) is missing.");
  EXPECT_EQ(detail("select window_end, count(*) as n from tumble(totals$2, latest, '1 day') group by window_end"),
            no + "The window must be over one stream, or over another GROUP BY of a window.");
  EXPECT_EQ(detail("select window_end, count(*) as n from tumble(bids, at, '1 day') group by window_end").substr(0, 36),
            "42P17 stream \"bids\" has no watermark");
  EXPECT_EQ(detail("select window_end, count(*) as n from tumble(commits, committed_at, '1 day') group by window_end").substr(0, 5), "42P17");
  EXPECT_EQ(detail("select window_end, count(*) as n from tumble(commits, authored_at, '1 day') group by window_end union all select authored_at, 1 "
                   "from commits"),
            no + "It has no window.");
}

TEST_F(ViewTest, EqualTextMeansEqualPlans) {
  const auto hash = [&](const std::string& query) { return plan::PlanHash(*View(query)->plan); };
  EXPECT_EQ(hash("select author as a from commits"), hash("SELECT  c.author AS a  FROM commits c"));
  EXPECT_NE(hash("select author as a from commits"), hash("select author as b from commits"));
  EXPECT_NE(hash("select x.a from pairs x join pairs y on x.a = y.b and x.v < y.v"),
            hash("select x.a from pairs x join pairs y on x.a = y.b and y.v < x.v"));
  EXPECT_NE(hash("select cast(added as int4) as x from commits"), hash("select cast(added as numeric) as x from commits"));
}

}  // namespace
}  // namespace kappa::sql
