// Makers of plan nodes: each computes the node's schema and its append-only proof from its inputs.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "plan/node.h"

namespace kappa::plan {

/// A scan of `columns` of a relation. `relation` is its whole schema (of streams with the hidden columns).
std::shared_ptr<Scan> MakeScan(RelationKind kind, uint32_t id, std::string name, const data::Schema& relation, std::vector<int> columns);
/// Rows of constants; `schema` names and types the columns.
NodePtr MakeValues(data::Schema schema, std::vector<std::vector<expr::ExprPtr>> rows);
NodePtr MakeFilter(NodePtr input, expr::ExprPtr predicate);
/// `scan` ends in the partition and the offset of its records, which are not passed on.
NodePtr MakeCheckErrors(NodePtr scan, std::vector<CheckErrors::Step> steps);
NodePtr MakeTemporalFilter(NodePtr input, std::vector<TemporalFilter::Bound> bounds);
NodePtr MakeProject(NodePtr input, std::vector<expr::ExprPtr> expressions, std::vector<std::string> names);
NodePtr MakeWindow(NodePtr input, int time_column, int64_t slide_us, int64_t size_us, int64_t offset_us, Window::Shape shape = Window::Shape::kHop,
                   bool merges = false);
NodePtr MakeSession(NodePtr input, std::vector<expr::ExprPtr> keys, int time_column, int64_t gap_us, bool closes, uint32_t close_stream,
                    bool expires = false);
/// `names` are those of the keys, of window_start and window_end, and of the aggregates.
NodePtr MakeSessionAggregate(NodePtr input, std::vector<expr::ExprPtr> keys, std::vector<expr::AggregateCall> aggregates,
                             std::vector<std::string> names, int time_column, int64_t gap_us, bool closes, uint32_t close_stream,
                             bool expires = false);
/// The element column is called `name`, the ordinality "ordinality".
NodePtr MakeUnnest(NodePtr input, expr::ExprPtr array, bool with_ordinality, bool outer, std::string name, std::vector<expr::ExprPtr> more = {},
                   const std::vector<std::string>& more_names = {});
NodePtr MakeAggregate(NodePtr input, std::vector<expr::ExprPtr> keys, std::vector<expr::AggregateCall> aggregates, std::vector<std::string> names,
                      int close_key = -1, uint32_t close_stream = 0, int value_key = -1);
NodePtr MakeJoin(JoinType type, NodePtr left, NodePtr right, std::vector<expr::ExprPtr> left_keys, std::vector<expr::ExprPtr> right_keys,
                 expr::ExprPtr residual, std::vector<bool> null_equal = {});
/// An ASOF JOIN whose inputs promise nothing.
NodePtr MakeAsOfJoin(bool outer, NodePtr left, NodePtr right, std::vector<expr::ExprPtr> left_keys, std::vector<expr::ExprPtr> right_keys,
                     expr::ExprPtr left_time, expr::ExprPtr right_time, AsOfJoin::Match match, expr::ExprPtr right_tie = nullptr);
/// Takes names from the first input.
NodePtr MakeUnion(std::vector<NodePtr> inputs);
NodePtr MakeSort(NodePtr input, std::vector<SortKey> keys);
NodePtr MakeLimit(NodePtr input, expr::ExprPtr limit, expr::ExprPtr offset);
NodePtr MakeOver(NodePtr input, std::vector<expr::ExprPtr> partition, std::vector<SortKey> order, std::vector<WindowCall> calls,
                 std::vector<std::string> names);
/// The rank column is called `rank_name`; none when that is empty.
NodePtr MakeTopN(NodePtr input, std::vector<expr::ExprPtr> partition, std::vector<SortKey> order, TopN::Rank rank, int64_t from, int64_t to,
                 std::string rank_name);
NodePtr MakeRecursive(std::string name, uint32_t id, bool distinct, NodePtr base, NodePtr step);
NodePtr MakeTableFunction(std::string name, std::vector<expr::ExprPtr> arguments, data::Schema schema);

/// The same node over other inputs (of the same schemas).
NodePtr WithInputs(const NodePtr& node, std::vector<NodePtr> inputs);
/// Whether rows can be added up where they lie, before what came of them is merged at their group (docs/decisions/0021).
bool HasTwoStages(const Aggregate& node);
/// The plan for a run with one flush: what collects until then never takes back what it gave.
NodePtr WithOneFlush(const NodePtr& node);
/// The plan in which joins of a small table with rows that never go have the table in every shard: where `input_rows` knows of at most `rows_max`
/// rows. The table's rows are those of a scan, filtered and projected at most; the join does not give them alone.
NodePtr WithReplicatedTables(const NodePtr& node, const std::function<int64_t(uint32_t relation)>& input_rows, int64_t rows_max);
/// The same node over an input that has more columns after (or, for nodes that pass columns on, between) those that it knew: its
/// expressions are over the new input already. Filters, projections, aggregates, unnests and windows.
NodePtr Over(const Node& node, NodePtr input);
/// The same node with output columns of these names.
NodePtr WithNames(const NodePtr& node, std::span<const std::string> names);
/// The same tree with every expression replaced by what `change` gives (null stays null). Types must not change.
NodePtr MapExpressions(const NodePtr& node, const std::function<expr::ExprPtr(const expr::ExprPtr&)>& change);
/// The same for the expressions of this node alone.
NodePtr MapOwnExpressions(const NodePtr& node, const std::function<expr::ExprPtr(const expr::ExprPtr&)>& change);
/// Calls `visit` with every expression of the tree, in the order of execution.
void VisitExpressions(const Node& node, const std::function<void(const expr::ExprPtr&)>& visit);

/// Nodes of the tree; a node that two parents share counts twice, as it runs.
int64_t CountNodes(const Node& root);
/// Nodes on the longest path to a leaf.
int Depth(const Node& root);

/// The same for this node alone.
void VisitOwnExpressions(const Node& node, const std::function<void(const expr::ExprPtr&)>& visit);

std::vector<std::string> ColumnNames(const data::Schema& schema);
/// True when both compute the same value: same node kinds, types, columns, constants and functions.
bool SameExpression(const expr::Expression& a, const expr::Expression& b);

}  // namespace kappa::plan
