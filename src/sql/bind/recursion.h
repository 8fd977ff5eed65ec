// WITH RECURSIVE before it is bound: which query refers to which, and whether a query refers to itself as it may. Internal to sql/.
#pragma once

#include <functional>
#include <vector>

#include "base/error.h"

struct PgQuery__CommonTableExpr;
struct PgQuery__WithClause;

namespace kappa::sql {

/// PostgreSQL's invalid_recursion.
inline constexpr const char* kInvalidRecursion = "42P19";

/// Position in the user's text of a location in the tree.
using PositionAt = std::function<int(int location)>;

struct WithItem {
  const PgQuery__CommonTableExpr* definition = nullptr;
  bool recursive = false;  // it refers to itself
};

/// The queries of a WITH clause, of WITH RECURSIVE each after those that it refers to.
Result<std::vector<WithItem>> OrderWith(const PgQuery__WithClause& with, const PositionAt& at);
/// Fails unless the query is a non-recursive term UNION [ALL] a term that refers to the query once, at a place where new rows alone
/// decide what the next rows are.
Status CheckRecursion(const PgQuery__CommonTableExpr& definition, const PositionAt& at);

}  // namespace kappa::sql
