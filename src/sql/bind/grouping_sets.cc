// GROUPING SETS, ROLLUP and CUBE: which sets of keys a GROUP BY means, and the rows for all of them as one aggregate's input.
#include <algorithm>

#include "sql/bind/nodes.h"

namespace kappa::sql {
namespace {

using data::TypeId;

constexpr size_t kSetsMax = 4096;  // PostgreSQL's limits
constexpr size_t kCubeMax = 12;

Error TooMany(int position) { return Error(sqlstate::kStatementTooComplex, "too many grouping sets present (maximum 4096)").At(position); }

ExprPtr Int4(size_t value) { return expr::MakeLiteral(data::Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(value))); }

}  // namespace

Result<std::vector<size_t>> Binder::KeyList(const PgQuery__Node& node, const AddKey& add) {
  std::vector<size_t> keys;
  if (node.node_case == PG_QUERY__NODE__NODE_ROW_EXPR) {
    for (size_t i = 0; i < node.row_expr->n_args; ++i) {
      KAPPA_ASSIGN_OR_RETURN(const size_t key, add(*node.row_expr->args[i]));
      keys.push_back(key);
    }
    return keys;
  }
  KAPPA_ASSIGN_OR_RETURN(const size_t key, add(node));
  keys.push_back(key);
  return keys;
}

Result<Binder::KeySets> Binder::SetsOf(const PgQuery__Node& node, const AddKey& add) {
  const int position = At(LocationOf(node));
  if (node.node_case != PG_QUERY__NODE__NODE_GROUPING_SET) {
    KAPPA_ASSIGN_OR_RETURN(std::vector<size_t> keys, KeyList(node, add));
    return KeySets{std::move(keys)};
  }
  const PgQuery__GroupingSet& set = *node.grouping_set;
  if (set.kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_EMPTY) return KeySets{{}};
  KeySets result;
  if (set.kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_SETS) {
    for (size_t i = 0; i < set.n_content; ++i) {
      KAPPA_ASSIGN_OR_RETURN(KeySets part, SetsOf(*set.content[i], add));
      std::move(part.begin(), part.end(), std::back_inserter(result));
      if (result.size() > kSetsMax) return TooMany(position);
    }
    return result;
  }
  std::vector<std::vector<size_t>> parts;
  for (size_t i = 0; i < set.n_content; ++i) {
    KAPPA_ASSIGN_OR_RETURN(std::vector<size_t> keys, KeyList(*set.content[i], add));
    parts.push_back(std::move(keys));
  }
  const auto join = [&](const auto& takes) {
    std::vector<size_t> keys;
    for (size_t i = 0; i < parts.size(); ++i)
      if (takes(i)) keys.insert(keys.end(), parts[i].begin(), parts[i].end());
    result.push_back(std::move(keys));
  };
  if (set.kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_ROLLUP) {
    if (parts.size() >= kSetsMax) return TooMany(position);
    for (size_t count = parts.size() + 1; count-- > 0;) join([&](size_t i) { return i < count; });
  } else if (set.kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_CUBE) {
    if (parts.size() > kCubeMax) return Error(sqlstate::kStatementTooComplex, "CUBE is limited to 12 elements").At(position);
    for (size_t mask = size_t{1} << parts.size(); mask-- > 0;) join([&](size_t i) { return (mask >> (parts.size() - 1 - i) & 1) != 0; });
  } else {
    join([](size_t) { return true; });
  }
  return result;
}

Result<Binder::KeySets> Binder::GroupingSets(const PgQuery__SelectStmt& select, const AddKey& add) {
  KeySets result = {{}};
  for (size_t i = 0; i < select.n_group_clause; ++i) {  // each item with each
    KAPPA_ASSIGN_OR_RETURN(const KeySets item, SetsOf(*select.group_clause[i], add));
    if (result.size() * item.size() > kSetsMax) return TooMany(At(LocationOf(*select.group_clause[i])));
    KeySets product;
    for (const std::vector<size_t>& left : result) {
      for (const std::vector<size_t>& right : item) {
        product.push_back(left);
        product.back().insert(product.back().end(), right.begin(), right.end());
      }
    }
    result = std::move(product);
  }
  for (std::vector<size_t>& set : result) {
    std::sort(set.begin(), set.end());
    set.erase(std::unique(set.begin(), set.end()), set.end());
  }
  if (select.group_distinct) {
    KeySets unique;
    for (const std::vector<size_t>& set : result)
      if (std::find(unique.begin(), unique.end(), set) == unique.end()) unique.push_back(set);
    result = std::move(unique);
  }
  return result;
}

Result<Binder::Expanded> Binder::ExpandSets(NodePtr plan, const std::vector<ExprPtr>& keys, const KeySets& sets,
                                            std::vector<expr::AggregateCall>& aggregates) {
  std::vector<ExprPtr> all, empty;
  for (size_t i = 0; i < sets.size(); ++i) {
    all.push_back(Int4(i));
    if (sets[i].empty()) empty.push_back(Int4(i));
  }
  KAPPA_ASSIGN_OR_RETURN(ExprPtr numbers, expr::MakeArray(std::move(all), 0));
  numbers = expr::FoldConstants(numbers);
  const int width = plan->schema.size();
  if (!empty.empty()) {
    // A set without keys has its row even when there is no input: a row of NULLs, which no aggregate takes, makes its group.
    KAPPA_ASSIGN_OR_RETURN(ExprPtr empty_numbers, expr::MakeArray(std::move(empty), 0));
    std::vector<ExprPtr> columns, nulls;
    std::vector<std::string> names = plan::ColumnNames(plan->schema);
    for (int i = 0; i < width; ++i) {
      const data::Field& field = plan->schema.fields[static_cast<size_t>(i)];
      columns.push_back(expr::MakeColumn(i, field.type, field.name));
      nulls.push_back(expr::MakeNull(field.type));
    }
    columns.push_back(numbers);
    columns.push_back(expr::MakeLiteral(data::Value::Bool(true)));
    nulls.push_back(expr::FoldConstants(empty_numbers));
    nulls.push_back(expr::MakeLiteral(data::Value::Bool(false)));
    names.insert(names.end(), {"grouping sets", "given"});
    NodePtr given = plan::MakeProject(plan, std::move(columns), std::move(names));
    data::Schema schema = given->schema;
    for (data::Field& field : schema.fields) field.nullable = true;
    plan = plan::MakeUnion({given, plan::MakeValues(std::move(schema), {std::move(nulls)})});
    numbers = expr::MakeColumn(width, plan->schema.fields[static_cast<size_t>(width)].type, "grouping sets");
    const ExprPtr real = expr::MakeColumn(width + 1, TypeId::kBool, "given");
    for (expr::AggregateCall& call : aggregates) {
      if (call.filter == nullptr) {
        call.filter = real;
        continue;
      }
      KAPPA_ASSIGN_OR_RETURN(call.filter, expr::MakeAnd({real, call.filter}, 0));
    }
  }
  plan = plan::MakeUnnest(std::move(plan), std::move(numbers), false, false, "grouping set");
  const ExprPtr number = expr::MakeColumn(plan->schema.size() - 1, TypeId::kInt4, "grouping set");
  Expanded expanded;
  for (size_t key = 0; key < keys.size(); ++key) {
    std::vector<ExprPtr> in;
    for (size_t i = 0; i < sets.size(); ++i)
      if (std::binary_search(sets[i].begin(), sets[i].end(), key)) in.push_back(Int4(i));
    if (in.size() == sets.size()) {
      expanded.keys.push_back(keys[key]);
      continue;
    }
    KAPPA_ASSIGN_OR_RETURN(ExprPtr belongs, expr::MakeIn(number, std::move(in), false, 0));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr value, expr::MakeCase(nullptr, {{std::move(belongs), keys[key]}}, nullptr, 0));
    expanded.keys.push_back(std::move(value));
  }
  expanded.keys.push_back(number);
  expanded.plan = std::move(plan);
  return expanded;
}

Result<ExprPtr> Binder::GroupingCall(const PgQuery__GroupingFunc& call, const ExprContext& context) {
  const int position = At(call.location);
  if (context.in_aggregate || context.aggregates == nullptr)
    return Error(sqlstate::kGroupingError,
                 std::string("grouping operations are not allowed in ") + (context.in_aggregate ? "aggregate functions" : context.clause))
        .At(position);
  if (call.n_args > 31) return Error(sqlstate::kProgramLimitExceeded, "GROUPING must have fewer than 32 arguments").At(position);
  const ExprContext inside{context.scope, context.clause, nullptr, nullptr, true};
  KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> arguments, Exprs(call.args, call.n_args, inside));
  grouping_calls_.push_back({std::move(arguments), position});
  return expr::MakeColumn(kGroupingColumn + static_cast<int>(grouping_calls_.size()) - 1, TypeId::kInt4, "grouping");
}

Result<ExprPtr> Binder::GroupingValue(int call, const std::vector<ExprPtr>& keys, const KeySets& sets) {
  const GroupingArguments& arguments = grouping_calls_[static_cast<size_t>(call)];
  std::vector<int32_t> masks(sets.size(), 0);
  for (const ExprPtr& argument : arguments.expressions) {
    const auto found = std::find_if(keys.begin(), keys.end(), [&](const ExprPtr& key) { return plan::SameExpression(*key, *argument); });
    if (found == keys.end())
      return Error(sqlstate::kGroupingError, "arguments to GROUPING must be grouping expressions of the associated query level")
          .At(arguments.position);
    for (size_t i = 0; i < sets.size(); ++i) {
      const bool in = std::binary_search(sets[i].begin(), sets[i].end(), static_cast<size_t>(found - keys.begin()));
      masks[i] = masks[i] * 2 + (in ? 0 : 1);
    }
  }
  const auto literal = [](int32_t mask) { return expr::MakeLiteral(data::Value::Fixed<int32_t>(TypeId::kInt4, mask)); };
  if (sets.size() == 1) return literal(masks[0]);
  std::vector<std::pair<ExprPtr, ExprPtr>> branches;
  for (size_t i = 0; i + 1 < sets.size(); ++i) branches.emplace_back(Int4(i), literal(masks[i]));
  return expr::MakeCase(expr::MakeColumn(static_cast<int>(keys.size()) - 1, TypeId::kInt4, "grouping set"), std::move(branches),
                        literal(masks.back()), arguments.position);
}

}  // namespace kappa::sql
