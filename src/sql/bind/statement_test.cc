// Statements that define, change and control: CREATE STREAM and TABLE, ALTER, DROP, INSERT, UPDATE, DELETE, SET, SHOW.
#include <gtest/gtest.h>

#include "sql/testing.h"

namespace kappa::sql {
namespace {

class StatementTest : public testing::Test {
 protected:
  template <typename T> T Bound(const std::string& text) {
    Result<BoundStatement> bound = catalog_.Bind(text);
    EXPECT_TRUE(bound.ok()) << text << ": " << bound.status().ToString();
    if (!bound.ok() || !std::holds_alternative<T>(*bound)) {
      ADD_FAILURE() << text << " is another statement";
      return {};
    }
    return std::get<T>(*std::move(bound));
  }
  std::string ErrorOf(const std::string& text) { return catalog_.ErrorOf(text); }

  TestCatalog catalog_;
};

TEST_F(StatementTest, CreateStream) {
  const auto create = Bound<CreateStreamStatement>(
      "CREATE STREAM IF NOT EXISTS orders (order_id text NOT NULL, amount numeric(12,2), tags text[], ts timestamptz, WATERMARK FOR ts AS ts - "
      "INTERVAL '30 seconds') "
      "WITH (topic = 'o', partitions = 4, key = 'order_id', format = 'json', retention = '365 days', json_timestamps = 'ms', idle_timeout = '5 "
      "seconds', future_limit = '1 hour')");
  const catalog::Stream& stream = create.stream;
  EXPECT_TRUE(create.if_not_exists);
  EXPECT_EQ(stream.name, "orders");
  EXPECT_EQ(stream.topic, "o");
  EXPECT_EQ(stream.partitions, 4);
  EXPECT_EQ(stream.key, "order_id");
  EXPECT_EQ(stream.retention_ms, 365ll * 86'400'000);
  EXPECT_EQ(stream.json_timestamps, "ms");
  EXPECT_EQ(stream.idle_timeout_ms, 5000);
  EXPECT_EQ(stream.future_limit_us, 3'600'000'000);
  EXPECT_EQ(stream.event_time, 3);
  EXPECT_EQ(stream.watermark_delay_us, 30'000'000);
  ASSERT_EQ(stream.schema.size(), 4);
  EXPECT_FALSE(stream.schema.fields[0].nullable);
  EXPECT_EQ(stream.schema.fields[1].type.ToString(), "numeric(12,2)");
  EXPECT_EQ(stream.schema.fields[2].type.ToString(), "text[]");
}

TEST_F(StatementTest, CreateStreamDefaults) {
  const catalog::Stream stream = Bound<CreateStreamStatement>("create source s (a int, t timestamp, watermark for t as t)").stream;
  EXPECT_EQ(stream.topic, "s");
  EXPECT_EQ(stream.partitions, 1);
  EXPECT_EQ(stream.retention_ms, -1);
  EXPECT_EQ(stream.event_time, 1);
  EXPECT_EQ(stream.watermark_delay_us, 0);
  EXPECT_EQ(Bound<CreateStreamStatement>("create stream s (a int)").stream.event_time, -1);
  EXPECT_EQ(Bound<CreateStreamStatement>("create stream s (a int) with (retention = 1000, idle_timeout = 'never')").stream.retention_ms, 1000);
}

TEST_F(StatementTest, CreateStreamMistakes) {
  EXPECT_EQ(ErrorOf("create stream s (a int) with (partitons = 2)"), "22023 @31 unrecognized parameter \"partitons\"");
  EXPECT_EQ(ErrorOf("create stream s (a int) with (partitions = 0)"), "22023 @31 invalid value for parameter \"partitions\": \"0\"");
  EXPECT_EQ(ErrorOf("create stream s (a int) with (key = 'b')"), "42703 @31 column \"b\" named in option key does not exist");
  EXPECT_EQ(ErrorOf("create stream s (a int) with (format = 'avro')"), "22023 @31 invalid value for parameter \"format\": \"avro\"");
  EXPECT_EQ(ErrorOf("create stream s (a int) with (retention = '1 month')"), "22023 @31 \"retention\" must not use months or years");
  EXPECT_EQ(ErrorOf("create stream s (a int) with (topic = 'a b')"), "22023 @31 invalid value for parameter \"topic\": \"a b\"");
  EXPECT_EQ(ErrorOf("create stream s (a int, a text)"), "42701 @25 column \"a\" specified more than once");
  EXPECT_EQ(ErrorOf("create stream s (a intt)"), "42704 @20 type \"intt\" does not exist");
  EXPECT_EQ(ErrorOf("create stream s (a int primary key)"), "0A000 @24 PRIMARY KEY in CREATE STREAM is not supported");
  EXPECT_EQ(ErrorOf("create stream s (a int default 1)"), "0A000 @24 DEFAULT in a column definition is not supported");
  EXPECT_EQ(ErrorOf("create stream s (a int, watermark for a as a)"),
            "42804 @39 the column of a watermark must be of type timestamp or timestamp with time zone, not integer");
  EXPECT_EQ(ErrorOf("create stream s (ts timestamp, watermark for tss as tss - '1 s'::interval)"),
            "42703 @46 column \"tss\" named in WATERMARK does not exist");
  EXPECT_EQ(ErrorOf("create stream s (ts timestamp, watermark for ts as ts + interval '1 second')").substr(0, 5), "42601");
  EXPECT_EQ(ErrorOf("create stream s (ts timestamp, watermark for ts as ts - interval '1 month')").substr(0, 9), "0A000 @57");
  EXPECT_EQ(ErrorOf("create stream s (ts timestamp, watermark for ts as ts - interval '-1 second')"),
            "22023 @57 the delay of a watermark must not be negative");
  EXPECT_EQ(ErrorOf("create stream s (a int, check (a > 1))"), "0A000 @25 this table constraint is not supported");
  EXPECT_EQ(ErrorOf("create stream s () with (topic = 'x')").substr(0, 5), "42P17");
  EXPECT_EQ(ErrorOf("create stream s (a int) partition by hash (a)"), "0A000 @15 PARTITION BY is not supported in CREATE STREAM");
}

TEST_F(StatementTest, CreateTable) {
  const auto create = Bound<CreateTableStatement>("create table t (a int, b text not null, c jsonb, primary key (b, a)) with (topic = 'tt')");
  EXPECT_EQ(create.table.primary_key, (std::vector<int>{1, 0}));
  EXPECT_FALSE(create.table.schema.fields[0].nullable);
  EXPECT_EQ(create.table.topic, "tt");
  EXPECT_EQ(Bound<CreateTableStatement>("create table t (a int primary key)").table.primary_key, std::vector<int>{0});
  EXPECT_EQ(ErrorOf("create table t (a int)"), "42P17 @14 table \"t\" has no primary key");
  EXPECT_EQ(ErrorOf("create table t (a int primary key, b int primary key)").substr(0, 5), "42P17");
  EXPECT_EQ(ErrorOf("create table t (a int, primary key (b))"), "42703 @24 column \"b\" named in key does not exist");
  EXPECT_EQ(ErrorOf("create table t (a int primary key) with (partitions = 2)").substr(0, 5), "22023");
  EXPECT_EQ(ErrorOf("create temp table t (a int primary key)").substr(0, 5), "0A000");
  EXPECT_EQ(ErrorOf("create table t (a int primary key references repos)").substr(0, 5), "0A000");
  EXPECT_EQ(ErrorOf("create table t (like repos)").substr(0, 5), "0A000");
  EXPECT_EQ(ErrorOf("create table t (a serial primary key)").substr(0, 5), "42704");
}

TEST_F(StatementTest, AlterView) {
  using Action = AlterViewStatement::Action;
  auto alter = Bound<AlterViewStatement>("alter materialized view v set (route = '1:90, 2:10')");
  ASSERT_EQ(alter.routes.size(), 2u);
  EXPECT_EQ(alter.routes[1].version, 2);
  EXPECT_EQ(alter.routes[1].percent, 10);
  alter = Bound<AlterViewStatement>("ALTER MATERIALIZED VIEW IF EXISTS v PROMOTE VERSION 2");
  EXPECT_EQ(alter.action, Action::kPromote);
  EXPECT_EQ(alter.version, 2);
  EXPECT_TRUE(alter.if_exists);
  EXPECT_EQ(Bound<AlterViewStatement>("alter materialized view v rollback").action, Action::kRollback);
  EXPECT_EQ(Bound<AlterViewStatement>("alter materialized view v retire version 1").action, Action::kRetire);
  EXPECT_TRUE(Bound<AlterViewStatement>("alter materialized view v reset (route)").routes.empty());
  EXPECT_EQ(ErrorOf("alter materialized view v set (route = '1:90')"), "22023 @32 invalid route \"1:90\": the percentages add up to 90, not 100");
  EXPECT_EQ(ErrorOf("alter materialized view v set (route = '1:50, 1:50')").substr(0, 5), "22023");
  EXPECT_EQ(ErrorOf("alter materialized view v set (route = 'x')").substr(0, 5), "22023");
  EXPECT_EQ(ErrorOf("alter materialized view v set (rout = '1:100')").substr(0, 5), "22023");
  EXPECT_EQ(ErrorOf("alter materialized view v rename to w").substr(0, 5), "0A000");
  EXPECT_EQ(ErrorOf("alter table repos add column x int").substr(0, 5), "0A000");
}

TEST_F(StatementTest, Drop) {
  const auto drop = Bound<DropStatement>("drop stream if exists a, public.b cascade");
  EXPECT_EQ(drop.kind, DropStatement::Kind::kStream);
  EXPECT_EQ(drop.names, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(drop.if_exists);
  EXPECT_TRUE(drop.cascade);
  EXPECT_EQ(Bound<DropStatement>("drop materialized view v").kind, DropStatement::Kind::kView);
  EXPECT_EQ(Bound<DropStatement>("drop table t").kind, DropStatement::Kind::kTable);
  EXPECT_EQ(ErrorOf("drop foreign table t").substr(0, 5), "0A000");
  EXPECT_EQ(ErrorOf("drop view v").substr(0, 5), "0A000");
  EXPECT_EQ(ErrorOf("drop schema public").substr(0, 5), "0A000");
}

TEST_F(StatementTest, InsertMistakes) {
  EXPECT_EQ(ErrorOf("insert into repos values ('a', 'b', 1, 2)"), "42601 @40 INSERT has more expressions than target columns");
  EXPECT_EQ(ErrorOf("insert into repos (name, year) values ('a')"), "42601 @26 INSERT has more target columns than expressions");
  EXPECT_EQ(ErrorOf("insert into repos (name, yaer) values ('a', 1)"), "42703 @26 column \"yaer\" of relation \"repos\" does not exist");
  EXPECT_EQ(ErrorOf("insert into repos (name, name) values ('a', 'b')"), "42701 @26 column \"name\" specified more than once");
  EXPECT_EQ(ErrorOf("insert into repos values ('a', 'b', true)"), "42804 @37 column \"year\" is of type integer but expression is of type boolean");
  EXPECT_EQ(ErrorOf("insert into repos values ('a', 'b', 'x')"), "22P02 @37 invalid input syntax for type integer: \"x\"");
  EXPECT_EQ(ErrorOf("insert into repos select name, language, name from repos"),
            "42804 @42 column \"year\" is of type integer but expression is of type text");
  EXPECT_EQ(ErrorOf("insert into totals values ('a')"), "42809 @13 cannot change materialized view \"totals\"");
  EXPECT_EQ(ErrorOf("insert into nothing values (1)"), "42P01 @13 relation \"nothing\" does not exist");
  EXPECT_EQ(ErrorOf("insert into repos values ('a') returning name"), "0A000 @13 RETURNING is not supported in INSERT");
  EXPECT_EQ(ErrorOf("insert into commits (id) values ('a') on conflict do nothing").substr(0, 5), "0A000");
}

TEST_F(StatementTest, InsertOnConflict) {
  using Conflict = InsertStatement::Conflict;
  EXPECT_EQ(Bound<InsertStatement>("insert into repos values ('a')").conflict, Conflict::kError);
  EXPECT_EQ(Bound<InsertStatement>("insert into repos values ('a') on conflict do nothing").conflict, Conflict::kNothing);
  EXPECT_EQ(
      Bound<InsertStatement>("insert into repos values ('a') on conflict (name) do update set year = excluded.year, language = excluded.language")
          .conflict,
      Conflict::kUpdate);
  EXPECT_EQ(ErrorOf("insert into repos values ('a') on conflict (name) do update set year = excluded.year").substr(0, 5), "0A000");
  EXPECT_EQ(ErrorOf("insert into repos values ('a') on conflict (name) do update set year = 1, language = excluded.language").substr(0, 5), "0A000");
  EXPECT_EQ(ErrorOf("insert into repos values ('a') on conflict (year) do nothing").substr(0, 5), "42P10");
  EXPECT_TRUE(Bound<InsertStatement>("insert into bids values ('a', 1, now())").into_stream);
}

TEST_F(StatementTest, UpdateAndDeleteMistakes) {
  EXPECT_EQ(ErrorOf("update repos set name = 'x'"), "0A000 @18 changing the primary key column \"name\" is not supported");
  EXPECT_EQ(ErrorOf("update repos set yaer = 1"), "42703 @18 column \"yaer\" of relation \"repos\" does not exist");
  EXPECT_EQ(ErrorOf("update repos set year = 1, year = 2"), "42601 @28 multiple assignments to same column \"year\"");
  EXPECT_EQ(ErrorOf("update repos set year = true"), "42804 @25 column \"year\" is of type integer but expression is of type boolean");
  EXPECT_EQ(ErrorOf("update repos set year = 1 from pairs"), "0A000 @8 FROM is not supported in UPDATE");
  EXPECT_EQ(ErrorOf("update commits set parents = 1"), "0A000 @8 UPDATE of a stream is not supported");
  EXPECT_EQ(ErrorOf("delete from commits"), "0A000 @13 DELETE of a stream is not supported");
  EXPECT_EQ(ErrorOf("delete from totals"), "42809 @13 cannot change materialized view \"totals\"");
  EXPECT_EQ(ErrorOf("delete from repos using pairs"), "0A000 @13 USING is not supported in DELETE");
  EXPECT_EQ(ErrorOf("delete from repos returning *"), "0A000 @13 RETURNING is not supported in DELETE");
}

TEST_F(StatementTest, SessionStatements) {
  EXPECT_EQ(Bound<ShowStatement>("SHOW STREAMS").name, "streams");
  EXPECT_EQ(Bound<ShowStatement>("show materialized views").name, "views");
  EXPECT_EQ(Bound<ShowStatement>("show time zone").name, "timezone");
  EXPECT_EQ(Bound<ShowStatement>("show all").name, "all");
  EXPECT_EQ(Bound<ShowStatement>("show transaction isolation level").name, "transaction_isolation");
  auto set = Bound<SetStatement>("set local search_path to a, 'b'");
  EXPECT_EQ(set.name, "search_path");
  EXPECT_EQ(set.value, "a, b");
  EXPECT_TRUE(set.local);
  set = Bound<SetStatement>("set time zone 'Europe/Berlin'");
  EXPECT_EQ(set.name, "timezone");
  EXPECT_EQ(set.value, "Europe/Berlin");
  EXPECT_EQ(Bound<SetStatement>("set session characteristics as transaction isolation level read committed").name, "default_transaction_isolation");
  EXPECT_EQ(Bound<SetStatement>("set extra_float_digits = 3").value, "3");
  EXPECT_TRUE(Bound<SetStatement>("reset timezone").reset);
  EXPECT_EQ(Bound<SetStatement>("reset all").name, "all");
  using Kind = TransactionStatement::Kind;
  EXPECT_EQ(Bound<TransactionStatement>("begin").kind, Kind::kBegin);
  EXPECT_EQ(Bound<TransactionStatement>("start transaction read only").kind, Kind::kBegin);
  EXPECT_EQ(Bound<TransactionStatement>("end").kind, Kind::kCommit);
  EXPECT_EQ(Bound<TransactionStatement>("abort").kind, Kind::kRollback);
  EXPECT_EQ(Bound<UtilityStatement>("discard all").tag, "DISCARD ALL");
  EXPECT_EQ(Bound<UtilityStatement>("deallocate \"P1\"").name, "P1");
  EXPECT_EQ(Bound<UtilityStatement>("deallocate all").tag, "DEALLOCATE ALL");
  EXPECT_EQ(Bound<UtilityStatement>("close all").tag, "CLOSE CURSOR ALL");
  EXPECT_EQ(Bound<UtilityStatement>("unlisten *").tag, "UNLISTEN");
  const auto explain = Bound<ExplainStatement>("explain materialized view totals$2");
  EXPECT_EQ(explain.view, "totals");
  EXPECT_EQ(explain.version, 2);
  EXPECT_EQ(Bound<ExplainStatement>("explain (analyze) materialized view totals").version, 1);
  EXPECT_EQ(plan::Explain(*explain.plan),
            "Aggregate by author: count(*), sum(added), max(authored_at) in two stages\n  Scan stream commits [author, added, authored_at]\n");
  EXPECT_EQ(ErrorOf("explain materialized view repos"), "42809 @27 \"repos\" is not a materialized view");
}

TEST_F(StatementTest, RefusedStatementsAreNamed) {
  const std::pair<const char*, const char*> kCases[] = {
      {"copy repos to stdout", "COPY"},
      {"create index on repos (year)", "CREATE INDEX"},
      {"create view v as select 1", "CREATE VIEW"},
      {"create schema s", "CREATE SCHEMA"},
      {"truncate repos", "TRUNCATE"},
      {"grant select on repos to x", "GRANT and REVOKE"},
      {"listen x", "LISTEN"},
      {"notify x", "NOTIFY"},
      {"savepoint a", "SAVEPOINT"},
      {"declare c cursor for select 1", "DECLARE CURSOR"},
      {"prepare p as select 1", "PREPARE"},
      {"execute p", "EXECUTE"},
      {"vacuum", "VACUUM"},
      {"refresh materialized view totals", "REFRESH MATERIALIZED VIEW"},
      {"create function f() returns int language sql as 'select 1'", "CREATE FUNCTION"},
      {"do $$ begin end $$", "DO"},
      {"comment on table repos is 'x'", "COMMENT"},
      {"call f()", "CALL"},
      {"create role x", "CREATE ROLE"},
      {"prepare transaction 'x'", "two-phase commit"},
      {"explain (settings) select 1", "EXPLAIN (settings)"},
      {"explain delete from repos", "EXPLAIN of this statement"},
      {"lock table repos", "LOCK"},
      {"create trigger t before insert on repos for each row execute function f()", "CREATE TRIGGER"},
      {"show create view v", "SHOW CREATE"}};
  for (const auto& [text, name] : kCases) {
    const Result<BoundStatement> bound = catalog_.Bind(text);
    ASSERT_FALSE(bound.ok()) << text;
    EXPECT_EQ(bound.error().message(), std::string(name) + " is not supported") << text;
    EXPECT_EQ(bound.error().sqlstate(), sqlstate::kFeatureNotSupported) << text;
    EXPECT_GT(bound.error().position(), 0) << text;
    EXPECT_FALSE(bound.error().hint().empty()) << text;
  }
}

}  // namespace
}  // namespace kappa::sql
