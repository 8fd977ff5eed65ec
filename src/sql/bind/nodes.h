// Reading libpg_query's nodes: names, lists, locations. Only for .cc files of sql/bind (it includes libpg_query's header).
#pragma once

#include <pg_query/pg_query.pb-c.h>

#include <string>
#include <vector>

#include "sql/bind/binder.h"

namespace kappa::sql {

/// The text of a String node; empty for other nodes.
inline std::string TextOf(const PgQuery__Node& node) { return node.node_case == PG_QUERY__NODE__NODE_STRING ? node.string->sval : ""; }

inline std::vector<std::string> TextsOf(PgQuery__Node* const* nodes, size_t count) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < count; ++i) texts.push_back(TextOf(*nodes[i]));
  return texts;
}

/// Byte location of an expression node for error positions; -1 when it has none.
int LocationOf(const PgQuery__Node& node);

/// The marker asof() in the condition of a join, where the token pre-pass put it: under ANDs, or (a mistake) under OR.
bool IsAsOf(const PgQuery__Node& condition);
/// versions FOR SYSTEM_TIME AS OF time
bool IsSystemTime(const PgQuery__Node& item);

/// The string of an A_Const, null for other nodes.
inline const char* StringConstant(const PgQuery__Node& node) {
  if (node.node_case != PG_QUERY__NODE__NODE_A_CONST || node.a_const->isnull || node.a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL)
    return nullptr;
  return node.a_const->sval->sval;
}

}  // namespace kappa::sql
