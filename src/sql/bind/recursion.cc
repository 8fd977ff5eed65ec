#include "sql/bind/recursion.h"

#include <algorithm>
#include <string>

#include "sql/bind/nodes.h"
#include "sql/parse/tokens.h"

namespace kappa::sql {
namespace {

/// Where a reference stands.
enum class Place : uint8_t { kAllowed, kNonRecursiveTerm, kSubquery, kOuterJoin, kIntersect, kExcept };

/// Walks a tree for names of relations that no WITH clause on the way defines.
class References {
 public:
  using Found = std::function<Status(const PgQuery__RangeVar& relation, Place place)>;
  explicit References(Found found) : found_(std::move(found)) {}

  Status In(const ProtobufCMessage& message, Place place) {
    place_ = place;
    return Visit(message);
  }

 private:
  Status Visit(const ProtobufCMessage& message) {
    // A level of nesting is some three messages.
    if (depth_ > 4 * kDepthMax) return Error(sqlstate::kStatementTooComplex, "query is nested too deeply");
    ++depth_;
    Status status = Dispatch(message);
    --depth_;
    return status;
  }

  Status Dispatch(const ProtobufCMessage& message) {
    if (message.descriptor == &pg_query__range_var__descriptor) return Relation(reinterpret_cast<const PgQuery__RangeVar&>(message));
    if (message.descriptor == &pg_query__select_stmt__descriptor) return Select(reinterpret_cast<const PgQuery__SelectStmt&>(message));
    if (message.descriptor == &pg_query__join_expr__descriptor && place_ == Place::kAllowed)
      return Join(reinterpret_cast<const PgQuery__JoinExpr&>(message));
    if (message.descriptor == &pg_query__sub_link__descriptor) {
      const auto& link = reinterpret_cast<const PgQuery__SubLink&>(message);
      KAPPA_RETURN_IF_ERROR(Within(link.subselect, Place::kSubquery));
      return Within(link.testexpr, place_);
    }
    return Children(message, "");
  }

  Status Children(const ProtobufCMessage& message, std::string_view without) {
    return VisitChildren(message, [&](std::string_view field, const ProtobufCMessage& child) { return field == without ? Status() : Visit(child); });
  }

  Status Within(const PgQuery__Node* node, Place place) {
    if (node == nullptr) return {};
    const Place before = std::exchange(place_, place);
    Status status = Visit(node->base);
    place_ = before;
    return status;
  }

  Status Relation(const PgQuery__RangeVar& relation) {
    const std::string name = relation.relname;
    if (relation.schemaname[0] != '\0' || std::find(hidden_.begin(), hidden_.end(), name) != hidden_.end()) return {};
    return found_(relation, place_);
  }

  Status Select(const PgQuery__SelectStmt& select) {
    const size_t hidden = hidden_.size();
    if (const PgQuery__WithClause* with = select.with_clause) {
      if (with->recursive)
        for (size_t i = 0; i < with->n_ctes; ++i) hidden_.emplace_back(with->ctes[i]->common_table_expr->ctename);
      for (size_t i = 0; i < with->n_ctes; ++i) {
        const PgQuery__CommonTableExpr& definition = *with->ctes[i]->common_table_expr;
        KAPPA_RETURN_IF_ERROR(Visit(definition.ctequery->base));
        if (!with->recursive) hidden_.emplace_back(definition.ctename);
      }
    }
    KAPPA_RETURN_IF_ERROR(Body(select));
    hidden_.resize(hidden);
    return {};
  }

  Status Body(const PgQuery__SelectStmt& select) {
    const bool intersect = select.op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT, except = select.op == PG_QUERY__SET_OPERATION__SETOP_EXCEPT;
    if (place_ != Place::kAllowed || (!intersect && !except)) return Children(select.base, "with_clause");
    const auto side = [&](const PgQuery__SelectStmt& query, bool refused) -> Status {
      const Place before = place_;
      if (refused) place_ = intersect ? Place::kIntersect : Place::kExcept;
      Status status = Visit(query.base);
      place_ = before;
      return status;
    };
    KAPPA_RETURN_IF_ERROR(side(*select.larg, select.all != 0));
    return side(*select.rarg, except || select.all != 0);
  }

  Status Join(const PgQuery__JoinExpr& join) {
    const bool left = join.jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT || join.jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL;
    const bool right = join.jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT || join.jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL;
    KAPPA_RETURN_IF_ERROR(Within(join.larg, left ? Place::kOuterJoin : place_));
    KAPPA_RETURN_IF_ERROR(Within(join.rarg, right ? Place::kOuterJoin : place_));
    return Within(join.quals, place_);
  }

  Found found_;
  Place place_ = Place::kAllowed;
  std::vector<std::string> hidden_;
  int depth_ = 0;
};

}  // namespace

Result<std::vector<WithItem>> OrderWith(const PgQuery__WithClause& with, const PositionAt& at) {
  std::vector<WithItem> items;
  for (size_t i = 0; i < with.n_ctes; ++i) items.push_back({with.ctes[i]->common_table_expr, false});
  if (!with.recursive) return items;
  std::vector<std::vector<bool>> needs(items.size(), std::vector<bool>(items.size()));
  for (size_t i = 0; i < items.size(); ++i) {
    References references([&](const PgQuery__RangeVar& relation, Place) -> Status {
      for (size_t k = 0; k < items.size(); ++k) {
        if (std::string_view(items[k].definition->ctename) != relation.relname) continue;
        if (k == i) items[i].recursive = true;
        else needs[i][k] = true;
      }
      return {};
    });
    KAPPA_RETURN_IF_ERROR(references.In(items[i].definition->ctequery->base, Place::kAllowed));
  }
  std::vector<WithItem> ordered;
  std::vector<bool> done(items.size());
  while (ordered.size() < items.size()) {
    size_t next = 0;
    const auto waits = [&](size_t i) {
      for (size_t k = 0; k < items.size(); ++k)
        if (needs[i][k] && !done[k]) return true;
      return false;
    };
    while (next < items.size() && (done[next] || waits(next))) ++next;
    if (next == items.size()) {
      next = static_cast<size_t>(std::find(done.begin(), done.end(), false) - done.begin());
      return Error(sqlstate::kFeatureNotSupported, "mutual recursion between WITH items is not implemented")
          .Hint("Write one recursive query with a column that tells the kinds of rows apart.")
          .At(at(items[next].definition->location));
    }
    done[next] = true;
    ordered.push_back(items[next]);
  }
  return ordered;
}

Status CheckRecursion(const PgQuery__CommonTableExpr& definition, const PositionAt& at) {
  const std::string name = "\"" + std::string(definition.ctename) + "\"";
  const PgQuery__SelectStmt& select = *definition.ctequery->select_stmt;
  if (select.op != PG_QUERY__SET_OPERATION__SETOP_UNION)
    return Error(kInvalidRecursion, "recursive query " + name + " does not have the form non-recursive-term UNION [ALL] recursive-term")
        .At(at(definition.location));
  int count = 0;
  References references([&](const PgQuery__RangeVar& relation, Place place) -> Status {
    if (std::string_view(definition.ctename) != relation.relname) return {};
    static constexpr const char* kPlaces[] = {"",
                                              " must not appear within its non-recursive term",
                                              " must not appear within a subquery",
                                              " must not appear within an outer join",
                                              " must not appear within INTERSECT",
                                              " must not appear within EXCEPT"};
    const char* wrong = place != Place::kAllowed ? kPlaces[static_cast<size_t>(place)] : ++count > 1 ? " must not appear more than once" : nullptr;
    if (wrong == nullptr) return {};
    return Error(kInvalidRecursion, "recursive reference to query " + name + wrong).At(at(relation.location));
  });
  KAPPA_RETURN_IF_ERROR(references.In(select.larg->base, Place::kNonRecursiveTerm));
  KAPPA_RETURN_IF_ERROR(references.In(select.rarg->base, Place::kAllowed));
  if (select.with_clause != nullptr) KAPPA_RETURN_IF_ERROR(references.In(select.with_clause->base, Place::kSubquery));
  const auto refused = [&](const char* clause, const PgQuery__Node& node) {
    return Error(sqlstate::kFeatureNotSupported, std::string(clause) + " in a recursive query is not implemented")
        .Hint("Put it into the query that reads " + name + ".")
        .At(at(LocationOf(node)));
  };
  if (select.n_sort_clause > 0) return refused("ORDER BY", *select.sort_clause[0]->sort_by->node);
  if (select.limit_offset != nullptr) return refused("OFFSET", *select.limit_offset);
  if (select.limit_count != nullptr) return refused("LIMIT", *select.limit_count);
  if (select.n_locking_clause > 0) return refused("FOR UPDATE/SHARE", *select.locking_clause[0]);
  return {};
}

}  // namespace kappa::sql
