// Views: what their queries may not hold, and which columns identify a row.
#include <algorithm>
#include <numeric>
#include <set>

#include "sql/bind/nodes.h"
#include "sql/bind/window_columns.h"
#include "sql/optimize/correlation.h"
#include "sql/optimize/optimize.h"

namespace kappa::sql {
namespace {

using plan::NodeKind;

/// The start of a session that goes before another of its keys begins: it tells no rows apart.
bool IsExpiringStart(const plan::Node& input, const expr::Expression& key) {
  return input.kind == NodeKind::kSession && static_cast<const plan::Session&>(input).expires && key.kind() == expr::Expression::Kind::kColumn &&
         static_cast<const expr::ColumnRef&>(key).index() == input.schema.size() - 2;
}

}  // namespace

Result<NodePtr> Binder::ViewQuery(const PgQuery__Node& query, bool dead_letters, int64_t ttl_us) {
  for_view_ = true;
  ttl_us_ = ttl_us;
  const int start = tree_.statement().offset + 1;
  if (query.node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return Error(sqlstate::kSyntaxError, "a view's query must be a SELECT").At(start);
  KAPPA_ASSIGN_OR_RETURN(NodePtr plan, Select(*query.select_stmt, /*keep_unknown=*/false));
  plan = UnknownToText(std::move(plan));
  if (plan->schema.size() == 0) return Error(sqlstate::kInvalidObjectDefinition, "a view must have at least one column").At(start);
  std::set<std::string> names;
  for (const data::Field& field : plan->schema.fields) {
    if (names.insert(field.name).second) continue;
    return Error(sqlstate::kDuplicateColumn, "column \"" + field.name + "\" specified more than once")
        .Hint("Name the columns apart with AS.")
        .At(start);
  }
  if (tree_.statement().emit == Emit::kOnWindowClose) {
    if (ttl_us > 0)
      return Unsupported("ttl with EMIT ON WINDOW CLOSE", "A group that was given once stays, and its state goes when its window closes.", start);
    bool subquery = false;
    plan::VisitExpressions(*plan, [&](const expr::ExprPtr& e) { subquery = subquery || (e != nullptr && HasSubquery(*e)); });
    if (subquery) return CloseRefused("The answer of a sub-query may change when the windows that it went into have closed.");
    KAPPA_ASSIGN_OR_RETURN(plan, CloseWindows(plan));
  }
  KAPPA_ASSIGN_OR_RETURN(plan, Finish(std::move(plan)));
  if (ttl_us > 0 && !expires_)
    return Error(sqlstate::kInvalidObjectDefinition, "the view reads no stream that its ttl could be about")
        .Hint("Rows of tables have a ttl of their own: CREATE TABLE .. WITH (ttl = '1 day').")
        .At(start);
  plan = BoundJoins(plan);
  KAPPA_RETURN_IF_ERROR(CheckView(*plan));
  if (dead_letters) plan = CheckErrors(plan, {});
  return plan;
}

Status Binder::CheckView(const plan::Node& plan) const {
  if (plan.kind == NodeKind::kTableFunction)
    return Unsupported("function " + static_cast<const plan::TableFunction&>(plan).name + " in a view", "Views read streams, tables and other views.",
                       tree_.statement().offset + 1);
  for (const NodePtr& input : plan.inputs) { KAPPA_RETURN_IF_ERROR(CheckView(*input)); }
  return {};
}

std::vector<int> Binder::KeyColumns(const plan::Node& plan) const {
  switch (plan.kind) {
    case NodeKind::kAggregate: {
      std::vector<int> keys;
      const auto& aggregate = static_cast<const plan::Aggregate&>(plan);
      for (size_t i = 0; i < aggregate.keys.size(); ++i)
        if (!IsExpiringStart(*plan.inputs[0], *aggregate.keys[i])) keys.push_back(static_cast<int>(i));
      return keys;
    }
    case NodeKind::kSessionAggregate: {  // sessions of one key begin at different times
      const auto& sessions = static_cast<const plan::SessionAggregate&>(plan);
      std::vector<int> keys(sessions.keys.size() + (sessions.expires ? 0 : 1));
      std::iota(keys.begin(), keys.end(), 0);
      return keys;
    }
    case NodeKind::kTemporalFilter:
    case NodeKind::kFilter:
    case NodeKind::kOver:
    case NodeKind::kAsOfJoin: return KeyColumns(*plan.inputs[0]);  // it adds no rows: the left side's key still identifies one
    case NodeKind::kTopN: {
      // One row of each partition, or one of each partition and row number.
      const auto& top = static_cast<const plan::TopN&>(plan);
      const bool one = top.from == top.to;
      if (top.rank != plan::TopN::Rank::kRowNumber || top.partition.empty() || (!one && !top.with_rank)) return KeyColumns(*plan.inputs[0]);
      std::vector<int> keys;
      for (const ExprPtr& key : top.partition) {
        if (AsColumn(key) == nullptr) return KeyColumns(*plan.inputs[0]);
        keys.push_back(AsColumn(key)->index());
      }
      if (!one) keys.push_back(plan.schema.size() - 1);
      return keys;
    }
    case NodeKind::kProject: {
      const auto& project = static_cast<const plan::Project&>(plan);
      std::vector<int> keys;
      for (const int key : KeyColumns(*plan.inputs[0])) {
        const auto found = std::find_if(project.expressions.begin(), project.expressions.end(),
                                        [&](const ExprPtr& e) { return AsColumn(e) != nullptr && AsColumn(e)->index() == key; });
        if (found == project.expressions.end()) return {};
        keys.push_back(static_cast<int>(found - project.expressions.begin()));
      }
      return keys;
    }
    case NodeKind::kScan: {
      const auto& scan = static_cast<const plan::Scan&>(plan);
      if (scan.changelog) return {};
      std::vector<int> source;
      if (scan.relation_kind == plan::RelationKind::kTable) {
        if (const catalog::Table* table = context_.catalog->FindTable(scan.name)) source = table->primary_key;
      } else if (scan.relation_kind == plan::RelationKind::kView) {
        const catalog::View* view = context_.catalog->FindView(scan.name);
        const catalog::ViewVersion* version = view == nullptr ? nullptr : view->FindVersion(scan.version > 0 ? scan.version : view->serving);
        if (version != nullptr) source = version->key_columns;
      }
      std::vector<int> keys;
      for (const int key : source) {
        const auto found = std::find(scan.columns.begin(), scan.columns.end(), key);
        if (found == scan.columns.end()) return {};
        keys.push_back(static_cast<int>(found - scan.columns.begin()));
      }
      return keys;
    }
    case NodeKind::kJoin: {
      // A side whose key is joined on adds at most one row, so the left side's key still identifies a row.
      const auto& join = static_cast<const plan::Join&>(plan);
      if (join.left_only()) return KeyColumns(*plan.inputs[0]);
      const std::vector<int> right = KeyColumns(*plan.inputs[1]);
      if (right.empty() || (join.type != plan::JoinType::kInner && join.type != plan::JoinType::kLeft)) return {};
      for (const int key : right) {
        const bool joined = std::any_of(join.right_keys.begin(), join.right_keys.end(),
                                        [&](const ExprPtr& e) { return AsColumn(e) != nullptr && AsColumn(e)->index() == key; });
        if (!joined) return {};
      }
      return KeyColumns(*plan.inputs[0]);
    }
    default: return {};
  }
}

}  // namespace kappa::sql
