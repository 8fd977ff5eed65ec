// Goal: pg_catalog shows what the catalog holds, with stable ids and definitions that clients can read back.
// Method: a small catalog; relations are read whole and compared as text.
#include "engine/pg_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "data/text.h"

namespace kappa::engine {
namespace {

using data::TypeId;
using data::Value;
using testing::Contains;
using testing::ElementsAre;

class PgCatalogTest : public testing::Test {
 protected:
  void SetUp() override {
    catalog::Stream stream;
    stream.id = 1;
    stream.name = "orders";
    stream.schema.fields = {{"order_id", TypeId::kText, false},
                            {"amount", data::Type(TypeId::kNumeric).WithModifier(((12 << 16) | 2) + 4), true},
                            {"ts", TypeId::kTimestamptz, true},
                            {"tags", data::Type::ArrayOf(TypeId::kText), true}};
    stream.event_time = 2;
    stream.watermark_delay_us = 30'000'000;
    stream.topic = "orders";
    stream.partitions = 4;
    stream.key = "order_id";
    snapshot.streams.emplace("orders", stream);
    catalog::Table table;
    table.id = 2;
    table.name = "Repositories";
    table.schema.fields = {{"name", TypeId::kText, false}, {"year", TypeId::kInt4, true}};
    table.primary_key = {0};
    snapshot.tables.emplace("Repositories", table);
    catalog::View view;
    view.id = 3;
    view.name = "totals";
    view.serving = 2;
    for (const int number : {1, 2, 3}) {
      catalog::ViewVersion version;
      version.number = number;
      version.query = "SELECT " + std::to_string(number) + " AS total FROM orders;";
      version.schema.fields = {{"total", TypeId::kInt8, true}};
      version.depends_on = {"orders"};
      view.versions.push_back(version);
    }
    snapshot.views.emplace("totals", view);
    context.catalog = &snapshot;
    context.system_relations = &kappa_relations;
    context.relation_size = [](std::string_view) { return std::pair<int64_t, int64_t>(42, 4096); };
  }

  /// All rows as {column: text}; NULL as "∅".
  std::vector<std::map<std::string, std::string>> Rows(std::string_view relation) const {
    const auto batch = PgCatalogRows(relation, context);
    EXPECT_TRUE(batch.ok()) << relation;
    const data::Schema& schema = FindPgCatalogRelation(relation)->schema;
    std::vector<std::map<std::string, std::string>> rows(static_cast<size_t>(batch->rows));
    for (int column = 0; column < schema.size(); ++column) {
      for (int64_t row = 0; row < batch->rows; ++row) {
        const data::Column& values = *batch->columns[static_cast<size_t>(column)];
        std::string text = "∅";
        if (!values.IsNull(row)) {
          text.clear();
          data::AppendText(values, row, {}, text);
        }
        rows[static_cast<size_t>(row)][schema.fields[static_cast<size_t>(column)].name] = text;
      }
    }
    return rows;
  }
  std::map<std::string, std::string> Row(std::string_view relation, const std::string& column, const std::string& value) const {
    for (auto& row : Rows(relation)) {
      if (row[column] == value) return row;
    }
    return {};
  }
  std::string Call(std::string_view name, const std::vector<Value>& arguments) const {
    const auto value = PgCatalogFunction(name, arguments, context);
    if (!value.ok()) return "error " + value.error().sqlstate();
    return value->null ? "∅" : data::ToText(*value);
  }
  static Value Oid(int64_t oid) { return Value::Fixed<int64_t>(TypeId::kOid, oid); }

  catalog::Snapshot snapshot;
  std::vector<sql::SystemRelation> kappa_relations = {{"kappa.views", {{{"name", TypeId::kText, true}}}}};
  PgCatalogContext context;
};

TEST_F(PgCatalogTest, EveryRelationHasRowsOfItsSchema) {
  std::set<std::string> names;
  for (const sql::SystemRelation& relation : PgCatalogRelations()) {
    EXPECT_TRUE(names.insert(relation.name).second) << relation.name;
    ASSERT_GT(relation.schema.size(), 0) << relation.name;
    const auto batch = PgCatalogRows(relation.name, context);
    ASSERT_TRUE(batch.ok()) << relation.name;
    ASSERT_EQ(batch->columns.size(), static_cast<size_t>(relation.schema.size())) << relation.name;
    for (int i = 0; i < relation.schema.size(); ++i) {
      const data::Column& column = *batch->columns[static_cast<size_t>(i)];
      EXPECT_EQ(column.size(), batch->rows);
      EXPECT_TRUE(column.type().Same(relation.schema.fields[static_cast<size_t>(i)].type));
    }
  }
  EXPECT_GT(names.size(), 60u);
  EXPECT_EQ(PgCatalogRows("pg_catalog.absent", context).status().error().sqlstate(), "42P01");
  EXPECT_EQ(FindPgCatalogRelation("tables"), nullptr);  // needs its schema
}

TEST_F(PgCatalogTest, ClassesHaveStableIdsAndKinds) {
  EXPECT_EQ(Row("pg_class", "relname", "orders")["oid"], "16385");
  EXPECT_EQ(Row("pg_class", "relname", "orders")["relkind"], "f");
  EXPECT_EQ(Row("pg_class", "relname", "Repositories")["relkind"], "r");
  EXPECT_EQ(Row("pg_class", "relname", "Repositories")["relhasindex"], "t");
  EXPECT_EQ(Row("pg_class", "relname", "Repositories_pkey")["oid"], "1000000002");
  EXPECT_EQ(Row("pg_class", "relname", "totals")["relkind"], "m");
  EXPECT_EQ(Row("pg_class", "relname", "totals")["reltuples"], "42");
  EXPECT_EQ(Row("pg_class", "relname", "pg_class")["oid"], "1259");
  EXPECT_EQ(Row("pg_class", "relname", "views")["relkind"], "v");
  std::set<std::string> ids;
  for (auto& row : Rows("pg_class")) EXPECT_TRUE(ids.insert(row["oid"]).second) << row["relname"];
}

TEST_F(PgCatalogTest, AttributesHaveTypesAndModifiers) {
  std::vector<std::string> seen;
  for (auto& row : Rows("pg_attribute")) {
    if (row["attrelid"] == "16385")
      seen.push_back(row["attnum"] + " " + row["attname"] + " " + row["atttypid"] + " " + row["atttypmod"] + " " + row["attnotnull"]);
  }
  EXPECT_THAT(seen, ElementsAre("1 order_id 25 -1 t", "2 amount 1700 786438 f", "3 ts 1184 -1 f", "4 tags 1009 -1 f"));
}

TEST_F(PgCatalogTest, TypesOfAllColumnsExist) {
  std::set<std::string> types;
  for (auto& row : Rows("pg_type")) types.insert(row["oid"]);
  for (auto& row : Rows("pg_attribute")) EXPECT_THAT(types, Contains(row["atttypid"])) << row["attname"];
  for (auto& row : Rows("pg_type")) {
    if (row["typarray"] != "0") { EXPECT_THAT(types, Contains(row["typarray"])) << row["typname"]; }
  }
}

TEST_F(PgCatalogTest, StreamsShowTheirOptions) {
  EXPECT_EQ(Row("pg_foreign_table", "ftrelid", "16385")["ftoptions"],
            "{topic=orders,partitions=4,format=json,key=order_id,\"watermark=ts - 30 seconds\"}");
}

TEST_F(PgCatalogTest, PrimaryKeysAreIndexesAndConstraints) {
  EXPECT_EQ(Row("pg_index", "indrelid", "16386")["indkey"], "{1}");
  EXPECT_EQ(Row("pg_constraint", "conrelid", "16386")["conkey"], "{1}");
  EXPECT_EQ(Row("information_schema.key_column_usage", "table_name", "Repositories")["column_name"], "name");
  EXPECT_EQ(Call("pg_get_indexdef", {Oid(1'000'000'002)}), "CREATE UNIQUE INDEX \"Repositories_pkey\" ON public.\"Repositories\" USING btree (name)");
  EXPECT_EQ(Call("pg_get_indexdef", {Oid(1'000'000'002), Value::Fixed<int32_t>(TypeId::kInt4, 1), Value::Bool(true)}), "name");
  EXPECT_EQ(Call("pg_get_constraintdef", {Oid(1'100'000'002), Value::Bool(true)}), "PRIMARY KEY (name)");
}

TEST_F(PgCatalogTest, ViewsShowTheServingVersion) {
  EXPECT_EQ(Call("pg_get_viewdef", {Oid(16387), Value::Bool(true)}), "SELECT 2 AS total FROM orders;");
  EXPECT_EQ(Call("pg_get_viewdef", {Value::Text("totals")}), "SELECT 2 AS total FROM orders;");
  EXPECT_EQ(Call("pg_get_viewdef", {Oid(16385)}), "∅");
  EXPECT_EQ(Row("pg_matviews", "matviewname", "totals")["definition"], "SELECT 2 AS total FROM orders;");
  snapshot.views.at("totals").serving = 0;
  EXPECT_EQ(Call("pg_get_viewdef", {Oid(16387)}), "SELECT 1 AS total FROM orders;");
}

TEST_F(PgCatalogTest, InformationSchemaListsColumns) {
  auto row = Row("information_schema.columns", "column_name", "amount");
  EXPECT_EQ(row["data_type"], "numeric");
  EXPECT_EQ(row["numeric_precision"], "12");
  EXPECT_EQ(row["numeric_scale"], "2");
  EXPECT_EQ(row["ordinal_position"], "2");
  EXPECT_EQ(Row("information_schema.columns", "column_name", "tags")["udt_name"], "_text");
  EXPECT_EQ(Row("information_schema.tables", "table_name", "orders")["table_type"], "FOREIGN");
}

TEST_F(PgCatalogTest, NamesBecomeIdsAndBack) {
  EXPECT_EQ(Call("to_regclass", {Value::Text("orders")}), "16385");
  EXPECT_EQ(Call("to_regclass", {Value::Text("public.\"Repositories\"")}), "16386");
  EXPECT_EQ(Call("to_regclass", {Value::Text("Repositories")}), "∅");  // folded to lower case
  EXPECT_EQ(Call("to_regclass", {Value::Text("kappa.views")}), "15000");
  EXPECT_EQ(Call("to_regclass", {Value::Null(TypeId::kText)}), "∅");
  EXPECT_EQ(Call("regclassin", {Value::Text("absent")}), "error 42P01");
  EXPECT_EQ(Call("regclassin", {Value::Text("16385")}), "16385");
  EXPECT_EQ(Call("regclassout", {Oid(16386)}), "\"Repositories\"");
  EXPECT_EQ(Call("regclassout", {Oid(15000)}), "kappa.views");
  EXPECT_EQ(Call("regclass_text", {Oid(15000)}), "kappa.views");
  EXPECT_EQ(Call("regclassout", {Oid(999)}), "999");
  EXPECT_EQ(Call("regclassout", {Oid(0)}), "-");
  EXPECT_EQ(Call("regtypeout", {Oid(1007)}), "integer[]");
  EXPECT_EQ(Call("regtypein", {Value::Text("bigint")}), "20");
  EXPECT_EQ(Call("regprocout", {Oid(750)}), "array_in");
}

TEST_F(PgCatalogTest, TypesAreSpelledAsInPostgres) {
  const auto format = [&](int64_t oid, int32_t modifier) { return Call("format_type", {Oid(oid), Value::Fixed<int32_t>(TypeId::kInt4, modifier)}); };
  EXPECT_EQ(format(1700, 786438), "numeric(12,2)");
  EXPECT_EQ(format(1043, 14), "character varying(10)");
  EXPECT_EQ(format(1184, -1), "timestamp with time zone");
  EXPECT_EQ(format(1016, -1), "bigint[]");
  EXPECT_EQ(format(18, -1), "\"char\"");
  EXPECT_EQ(format(0, -1), "-");
  EXPECT_EQ(format(99999, -1), "???");
  EXPECT_EQ(Call("format_type", {Value::Null(TypeId::kOid), Value::Null(TypeId::kInt4)}), "∅");
}

TEST_F(PgCatalogTest, VisibilityAndSizes) {
  EXPECT_EQ(Call("pg_table_is_visible", {Oid(16385)}), "t");
  EXPECT_EQ(Call("pg_table_is_visible", {Oid(15000)}), "f");
  EXPECT_EQ(Call("pg_table_is_visible", {Oid(999)}), "∅");
  EXPECT_EQ(Call("pg_total_relation_size", {Oid(16387)}), "4096");
  EXPECT_EQ(Call("pg_size_pretty", {Value::Int8(10239)}), "10239 bytes");
  EXPECT_EQ(Call("pg_size_pretty", {Value::Int8(10240)}), "10 kB");
  EXPECT_EQ(Call("pg_size_pretty", {Value::Int8(20'971'520)}), "20 MB");
  EXPECT_EQ(Call("no_such_function", {}), "error 42883");
}

}  // namespace
}  // namespace kappa::engine
