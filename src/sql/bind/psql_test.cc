// psql's backslash commands and what they need of the language: each query that psql 15 sends must bind.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "sql/testing.h"

namespace kappa::sql {
namespace {

/// The catalogs that psql reads, reduced to the columns of its queries. The engine has the whole ones.
std::vector<SystemRelation> PsqlCatalogs() {
  static constexpr std::string_view kRelations =
      "pg_class: oid oid, relname text, relnamespace oid, reloftype oid, relowner oid, relam oid, reltablespace oid, reltoastrelid oid, relhasindex "
      "bool, relisshared bool, "
      "relpersistence text, relkind text, relchecks int2, relhasrules bool, relhastriggers bool, relrowsecurity bool, relforcerowsecurity bool, "
      "relreplident text, "
      "relispartition bool, relpartbound text, relacl _text, reloptions _text\n"
      "pg_namespace: oid oid, nspname text, nspowner oid, nspacl _text\n"
      "pg_am: oid oid, amname text\n"
      "pg_attribute: attrelid oid, attname text, atttypid oid, attstattarget int4, attlen int2, attnum int2, atttypmod int4, attnotnull bool, "
      "atthasdef bool, attidentity text, "
      "attgenerated text, attisdropped bool, attcollation oid, attstorage text, attcompression text\n"
      "pg_attrdef: oid oid, adrelid oid, adnum int2, adbin text\n"
      "pg_collation: oid oid, collname text\n"
      "pg_type: oid oid, typname text, typnamespace oid, typcollation oid, typrelid oid, typelem oid, typarray oid, typtype text, typacl _text, "
      "typowner oid\n"
      "pg_index: indexrelid oid, indrelid oid, indisprimary bool, indisunique bool, indisclustered bool, indisvalid bool, indisreplident bool\n"
      "pg_constraint: oid oid, conname text, conrelid oid, conindid oid, contype text, condeferrable bool, condeferred bool\n"
      "pg_policy: polname text, polrelid oid, polpermissive bool, polroles _oid, polcmd text, polqual text, polwithcheck text\n"
      "pg_roles: oid oid, rolname text, rolsuper bool, rolinherit bool, rolcreaterole bool, rolcreatedb bool, rolcanlogin bool, rolconnlimit int4, "
      "rolvaliduntil timestamptz, "
      "rolreplication bool, rolbypassrls bool\n"
      "pg_auth_members: roleid oid, member oid\n"
      "pg_statistic_ext: oid oid, stxrelid oid, stxnamespace oid, stxname text, stxkind _text, stxstattarget int4\n"
      "pg_publication: oid oid, pubname text, puballtables bool\n"
      "pg_publication_namespace: pnpubid oid, pnnspid oid\n"
      "pg_publication_rel: prpubid oid, prrelid oid, prqual text, prattrs _int2\n"
      "pg_inherits: inhrelid oid, inhparent oid, inhseqno int4, inhdetachpending bool\n"
      "pg_database: oid oid, datname text, datdba oid, encoding int4, datcollate text, datctype text, daticulocale text, datlocprovider text, datacl "
      "_text\n"
      "pg_proc: oid oid, proname text, pronamespace oid, prokind text\n"
      "pg_rewrite: oid oid, rulename text, ev_class oid, ev_type text\n"
      "pg_description: objoid oid, classoid oid, objsubid int4, description text\n";
  std::vector<SystemRelation> relations;
  std::istringstream lines{std::string(kRelations)};
  for (std::string line; std::getline(lines, line);) {
    SystemRelation relation{"pg_catalog." + line.substr(0, line.find(':')), {}};
    std::istringstream columns(line.substr(line.find(':') + 1));
    std::string name, type;
    while (columns >> name >> type) {
      if (type.back() == ',') type.pop_back();
      relation.schema.fields.push_back({name, *data::TypeFromName(type)});
    }
    relations.push_back(std::move(relation));
  }
  return relations;
}

TEST(PsqlTest, EveryBackslashQueryBinds) {
  TestCatalog catalog;
  catalog.system = PsqlCatalogs();
  std::ifstream file(std::string(__FILE__).substr(0, std::string(__FILE__).rfind("/src/")) + "/test/plans/psql_queries.sql");
  std::stringstream text;
  text << file.rdbuf();
  const Result<std::vector<RawStatement>> statements = SplitStatements(text.str());
  ASSERT_TRUE(statements.ok()) << statements.status().ToString();
  ASSERT_GT(statements->size(), 30u);
  for (const RawStatement& statement : *statements) {
    const Result<BoundStatement> bound = Bind(statement, catalog.context());
    EXPECT_TRUE(bound.ok()) << statement.source << "\n" << bound.status().ToString();
  }
}

}  // namespace
}  // namespace kappa::sql
