// Binder: turns one parsed statement into a bound one. Internal to sql/. Its members are spread over the files of bind/:
//   binder.cc      entry, parameters          types.cc       type names and constants
//   row.cc         row values
//   expression.cc  scalar expressions         functions.cc   calls: functions, aggregates, sets
//   subquery.cc    queries in expressions     from.cc        FROM: relations, functions
//   join.cc        JOIN                       select.cc      SELECT, set operations, VALUES
//   grouping.cc    GROUP BY and aggregates    view.cc        what views refuse; keys
//   define.cc      CREATE, ALTER, DROP        modify.cc      INSERT, UPDATE, DELETE
//   session.cc     SHOW, SET, transactions   over.cc        window functions, DISTINCT ON, LIMIT by rank
//   grouping_sets.cc  GROUPING SETS, ROLLUP, CUBE, GROUPING()   window.cc      TUMBLE, HOP, CUMULATE, SESSION
//   with.cc, recursion.cc  WITH, WITH RECURSIVE
//   emit.cc        EMIT ON WINDOW CLOSE       time.cc        now() in views; how long joins keep rows
//   time_to_live.cc  WITH (ttl = ..) of views
//   domain.cc      CREATE DOMAIN, constraints of domains
//   as_of.cc       ASOF JOIN, FOR SYSTEM_TIME  on_error.cc    rows that become dead letters
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "plan/build.h"
#include "sql/bind/scope.h"
#include "sql/parse/tree.h"
#include "sql/statement.h"

struct PgQuery__AConst;
struct PgQuery__AExpr;
struct PgQuery__AIndirection;
struct PgQuery__Alias;
struct PgQuery__ColumnDef;
struct PgQuery__CommonTableExpr;
struct PgQuery__CreateDomainStmt;
struct PgQuery__CompositeTypeStmt;
struct PgQuery__CreateEnumStmt;
struct PgQuery__CreateStmt;
struct PgQuery__CreateTableAsStmt;
struct PgQuery__AlterTableStmt;
struct PgQuery__DefElem;
struct PgQuery__DropStmt;
struct PgQuery__DeleteStmt;
struct PgQuery__ExplainStmt;
struct PgQuery__FuncCall;
struct PgQuery__GroupingFunc;
struct PgQuery__InsertStmt;
struct PgQuery__JoinExpr;
struct PgQuery__RangeFunction;
struct PgQuery__RangeSubselect;
struct PgQuery__RangeVar;
struct PgQuery__RowExpr;
struct PgQuery__SelectStmt;
struct PgQuery__SubLink;
struct PgQuery__SortBy;
struct PgQuery__TypeCast;
struct PgQuery__TypeName;
struct PgQuery__UpdateStmt;
struct PgQuery__VariableSetStmt;
struct PgQuery__WindowDef;
struct PgQuery__WithClause;

namespace kappa::sql {

using expr::ExprPtr;
using plan::NodePtr;

/// Column indexes from here on stand for aggregates (and set-returning calls) of the query being bound, until the plan
/// around them is known.
inline constexpr int kAggregateColumn = 1 << 24;
inline constexpr int kSetColumn = 1 << 25;
/// The same for calls of GROUPING.
inline constexpr int kGroupingColumn = 1 << 28;
/// The same for window functions.
inline constexpr int kWindowColumn = 1 << 27;
/// Outer columns that one correlated sub-query may use.
inline constexpr int kOuterColumnsMax = 100;

/// A set-returning call in a select list.
struct SetCall {
  std::string name;                 // "unnest", "generate_series"
  std::vector<ExprPtr> arguments;
  ExprPtr array;                    // the elements
  data::Type type;                  // of an element
  int position = 0;
};

/// A window function call: its window, bound, and the frame as written.
struct BoundWindow {
  plan::WindowCall call;
  std::vector<ExprPtr> partition;
  std::vector<plan::SortKey> order;
  int frame_options = 0;
  const PgQuery__Node* start_offset = nullptr;
  const PgQuery__Node* end_offset = nullptr;
  int position = 0;
};
/// The window functions of one SELECT, whose WINDOW clause they may name.
struct WindowCalls {
  const PgQuery__SelectStmt* select = nullptr;
  std::vector<BoundWindow> calls;
};
/// row_number, lag and the others that are nothing else than window functions.
bool IsWindowFunction(std::string_view name);

/// Where an expression stands: what it may use.
struct ExprContext {
  const Scope* scope = nullptr;
  const char* clause = "";                            // "WHERE", for messages
  std::vector<expr::AggregateCall>* aggregates = nullptr;  // null: not allowed here
  std::vector<SetCall>* sets = nullptr;               // null: not allowed here
  bool in_aggregate = false;
  WindowCalls* windows = nullptr;                     // null: not allowed here
  bool in_window = false;
};

/// The plan and the names of a FROM clause.
struct FromResult {
  NodePtr plan;
  Scope scope;
};

/// True for the set-returning functions that unnest stands for.
bool IsSetFunction(std::string_view name);

class Binder {
 public:
  Binder(const ParseTree& tree, const BindContext& context) : tree_(tree), context_(context), parameter_types_(context.parameter_types) {}

  Result<BoundStatement> Statement();
  /// The defining query of a view.
  Result<NodePtr> ViewQuery(const PgQuery__Node& query, bool dead_letters, int64_t ttl_us);
  /// The constraints of a domain, whose statement this is.
  Result<expr::DomainPtr> StoredDomain(const catalog::Domain& domain);
  /// Parameter types as given and inferred, valid after binding.
  const std::vector<data::Type>& parameter_types() const { return parameter_types_; }
  /// True when binding left parameters without a type that their use tells: bind again with parameter_types().
  bool inferred() const { return inferred_; }

 private:
  /// A sub-query expression being bound: where its outer columns come from.
  struct Environment {
    Environment* parent = nullptr;
    const Scope* scope = nullptr;  // of the query around it
    int first_parameter = 0;
    std::vector<ExprPtr> outer;
  };
  /// A WITH query, bound once; each use shares its plan.
  struct CommonTable {
    std::string name;
    NodePtr plan;
    std::vector<std::string> columns;
    bool working = false;  // the recursive reference, while its query is bound
  };

  // ---- binder.cc
  int At(int location) const { return tree_.Position(location); }
  Result<BoundStatement> Dispatch(const PgQuery__Node& node);
  void InferParameters(const plan::Node& plan);
  void InferParameters(const expr::Expression& expression);
  Result<NodePtr> Finish(NodePtr plan);  // infers parameters, optimizes
  Result<BoundStatement> BindExplain(const PgQuery__ExplainStmt& statement);
  Error Unsupported(std::string what, std::string hint, int position) const;

  // ---- types.cc
  Result<data::Type> TypeOf(const PgQuery__TypeName& name);
  const data::Schema* RelationRow(const std::string& name);
  Result<ExprPtr> Constant(const PgQuery__AConst& constant);
  Result<ExprPtr> Cast(const PgQuery__TypeCast& cast, const ExprContext& context);
  Result<ExprPtr> CastToBase(const PgQuery__TypeCast& cast, const ExprContext& context);
  Result<data::Value> ConstantValue(const ExprPtr& expression, int position);
  /// Microseconds of a constant interval without months; `what` names it in errors.
  Result<int64_t> ConstantInterval(const PgQuery__Node& node, const std::string& what, int position);

  // ---- expression.cc
  Result<ExprPtr> Expr(const PgQuery__Node& node, const ExprContext& context);
  Result<ExprPtr> ExprNode(const PgQuery__Node& node, const ExprContext& context);
  Result<std::vector<ExprPtr>> Exprs(PgQuery__Node** nodes, size_t count, const ExprContext& context);
  /// A boolean expression for `clause`: unknown literals are cast, other types refused.
  Result<ExprPtr> Condition(const PgQuery__Node& node, const ExprContext& context);
  Result<ExprPtr> Column(const std::vector<std::string>& parts, int position, const ExprContext& context);
  Result<ExprPtr> Operator(const PgQuery__AExpr& node, const ExprContext& context);
  Result<ExprPtr> In(const PgQuery__AExpr& node, const ExprContext& context);
  Result<ExprPtr> Between(const PgQuery__AExpr& node, const ExprContext& context);
  Result<ExprPtr> Case(const PgQuery__Node& node, const ExprContext& context);
  Result<ExprPtr> Slice(ExprPtr value, std::span<PgQuery__Node* const> subscripts, const ExprContext& context, int position);
  Result<ExprPtr> Indirection(const PgQuery__AIndirection& node, const ExprContext& context);
  Result<ExprPtr> ValueFunction(const PgQuery__Node& node);
  Result<ExprPtr> Parameter(int number, int position);
  ExprPtr Placed(ExprPtr column, int position);
  int PositionOf(const expr::Expression& column) const;

  // ---- row.cc
  /// An expression that may be a row, whose fields are wanted; Expr gives it packed.
  Result<ExprPtr> RowOrExpr(const PgQuery__Node& node, const ExprContext& context);
  Result<ExprPtr> RowOrValue(const PgQuery__Node& node, const ExprContext& context);
  Result<bool> IsColumn(const std::vector<std::string>& parts, int position, const ExprContext& context);
  Result<ExprPtr> WholeRow(const std::vector<std::string>& parts, int position, const ExprContext& context);
  Result<ExprPtr> RowConstructor(const PgQuery__RowExpr& row, const ExprContext& context);
  Result<ExprPtr> Compare(const std::string& op, ExprPtr left, ExprPtr right, int position);
  Result<ExprPtr> RowTest(const std::string& op, const std::vector<ExprPtr>& lefts, const std::vector<ExprPtr>& rights, bool sql, int position);
  Result<ExprPtr> Distinct(ExprPtr left, ExprPtr right, bool negated, int position);
  Result<ExprPtr> NullTest(const ExprPtr& value, bool negated, int position);
  Result<ExprPtr> RowJson(const ExprPtr& value, int position);
  static bool TakesRows(const std::string& function);
  Result<std::vector<ExprPtr>> JsonArguments(PgQuery__Node** nodes, size_t count, const ExprContext& context);
  Result<ExprPtr> FieldOf(const ExprPtr& value, const std::string& name, int position);
  Result<ExprPtr> SubqueryRow(const PgQuery__SubLink& link, const ExprContext& context);

  // ---- functions.cc
  Result<ExprPtr> Call(const PgQuery__FuncCall& call, const ExprContext& context);
  Result<ExprPtr> MakeInterval(const PgQuery__FuncCall& call, const ExprContext& context);
  Result<ExprPtr> AggregateOf(const std::string& name, const PgQuery__FuncCall& call, const ExprContext& context);
  Result<ExprPtr> SetOf(const std::string& name, const PgQuery__FuncCall& call, const ExprContext& context);
  /// A column of what a set-returning function gives.
  struct SetColumn {
    std::string name;
    ExprPtr array;  // its rows; several columns may be made of one array
    ExprPtr value;  // over column 0, an element; null: the element
  };
  using ColumnDefinitions = std::span<PgQuery__Node* const>;
  Result<std::vector<SetColumn>> SetColumns(const std::string& name, std::vector<ExprPtr> arguments, ColumnDefinitions definitions, int position);
  Result<std::vector<SetColumn>> RecordColumns(const std::string& name, std::vector<ExprPtr> arguments, ColumnDefinitions definitions, int position);
  Result<std::vector<SetColumn>> PopulatedColumns(const std::string& name, std::vector<ExprPtr> arguments, ColumnDefinitions definitions,
                                                  int position);
  Result<ExprPtr> PopulatedRecord(const std::string& name, std::vector<ExprPtr> arguments, int position);
  Result<data::Type> BaseRow(const std::string& name, std::vector<ExprPtr>& arguments, int position);
  Result<ExprPtr> SetArray(const std::string& name, const char* function, std::vector<ExprPtr> arguments, int position);
  std::string DomainName(const expr::Expression& value, const ExprContext& context) const;
  Result<std::string> FunctionName(const PgQuery__FuncCall& call);
  /// MakeFunction plus what views refuse.
  Result<ExprPtr> Function(const std::string& name, std::vector<ExprPtr> arguments, int position);

  // ---- subquery.cc
  Result<ExprPtr> SubqueryExpression(const PgQuery__SubLink& link, const ExprContext& context);
  /// needles op ANY|ALL (plan) as an aggregate over the plan's rows that always gives one row.
  Result<NodePtr> Quantified(NodePtr plan, const std::string& op, bool all, std::vector<ExprPtr> needles, Environment& environment, int position);
  Result<std::optional<ExprPtr>> OuterColumn(const std::vector<std::string>& parts, int position);

  // ---- from.cc
  Result<FromResult> From(PgQuery__Node** items, size_t count);
  Result<FromResult> FromItem(const PgQuery__Node& item, const FromResult* left);
  Result<FromResult> Relation(const PgQuery__RangeVar& relation);
  Result<FromResult> CatalogRelation(const std::string& name, int position);
  Result<FromResult> SystemTable(const std::string& qualified, const std::string& schema, const std::string& name, int position);
  Result<FromResult> Subselect(const PgQuery__RangeSubselect& subselect);
  Result<FromResult> Aliased(const PgQuery__RangeSubselect& subselect, NodePtr plan);
  Result<FromResult> TableFunctionItem(const PgQuery__RangeFunction& function, const FromResult* left);
  /// A function that gives rows: generate_series, the engine's table functions, or a scalar function as one row.
  /// Casts the arguments of generate_series to what it takes; the type of an element.
  Result<data::Type> SeriesType(std::vector<ExprPtr>& arguments, int position);
  Result<FromResult> TableFunctionOf(const std::string& name, std::vector<ExprPtr> arguments, int position);
  Result<FromResult> WindowInput(const std::string& name, const PgQuery__Node& source);
  Status ApplyAlias(FromResult& result, const PgQuery__Alias* alias, int position, bool function);
  Error UndefinedRelation(const std::string& name, int position) const;
  FromResult Combine(FromResult left, FromResult right, plan::JoinType type);
  Status CheckDuplicateTables(const Scope& left, const Scope& right, int position) const;

  // ---- window.cc
  /// TUMBLE, HOP, CUMULATE and SESSION.
  Result<FromResult> WindowFunction(const std::string& name, const PgQuery__FuncCall& call, int position);
  Result<int> ProcessingTime(const PgQuery__Node& time, FromResult& input);
  Result<ExprPtr> WindowTime(const std::string& name, const PgQuery__Node& time, const FromResult& input);
  Result<NodePtr> AlignedWindow(const std::string& name, const PgQuery__FuncCall& call, NodePtr input, int time_column);

  // ---- join.cc
  Result<FromResult> JoinItem(const PgQuery__JoinExpr& join, const FromResult* lateral);
  /// The columns of one function of FROM; one that gives no set is one row.
  Result<std::vector<SetColumn>> FunctionColumns(const PgQuery__Node& node, ColumnDefinitions definitions, const Scope& scope);
  Result<FromResult> LateralItem(const PgQuery__Node& item, FromResult left, bool outer);
  /// A sub-select that sees the columns of the tables before it. `quals` is the condition of its JOIN.
  Result<FromResult> JoinLaterally(FromResult left, plan::JoinType type, const PgQuery__Node* quals, int position,
                                   const std::function<Result<FromResult>()>& bind_right);
  Result<FromResult> LateralSelect(const PgQuery__RangeSubselect& subselect, FromResult left, plan::JoinType type, const PgQuery__Node* quals);
  bool HasOuterColumns(const expr::Expression& expression) const;
  bool IsLateral(const PgQuery__Node& item) const;

  // ---- as_of.cc
  /// ASOF JOIN: `left` and `right` with the join's condition, which holds the marker asof().
  Result<FromResult> AsOfItem(FromResult left, FromResult right, plan::JoinType type, const PgQuery__Node& quals, int position);
  /// JOIN versions FOR SYSTEM_TIME AS OF time ON ..
  Result<FromResult> TemporalItem(FromResult left, const PgQuery__JoinExpr& join, plan::JoinType type);
  struct SidedConditions;
  Result<SidedConditions> Sided(const ExprPtr& condition, int width, int position) const;
  Status CheckTimeOrder(ExprPtr& left, ExprPtr& right, int position) const;

  // ---- select.cc
  /// `keep_unknown`: untyped literals in the select list stay untyped (INSERT, UNION decide their types).
  Result<NodePtr> Select(const PgQuery__SelectStmt& select, bool keep_unknown);
  Result<NodePtr> SelectBody(const PgQuery__SelectStmt& select, bool keep_unknown, bool ordered);
  Result<NodePtr> SetOperation(const PgQuery__SelectStmt& select, bool keep_unknown, bool ordered);
  Result<NodePtr> IntersectOrExcept(const NodePtr& left, const NodePtr& right, bool intersect, bool all);
  Result<NodePtr> ValuesLists(const PgQuery__SelectStmt& select, bool keep_unknown, bool ordered);
  Result<NodePtr> SortOutput(const PgQuery__SelectStmt& select, NodePtr plan, bool ordered);
  Result<NodePtr> LimitOutput(const PgQuery__SelectStmt& select, NodePtr plan);
  Result<ExprPtr> LimitCount(const PgQuery__Node* node, const char* clause);
  Result<FromResult> CommonTableUse(const CommonTable& common, int position);
  /// The plan with output column `index` cast to `type` where the rows are made.
  Result<NodePtr> CoerceColumn(const NodePtr& plan, int index, data::Type type, expr::CastContext how, int position);
  NodePtr UnknownToText(NodePtr plan);
  /// Output of a statement: also regclass and its kin become the names that clients expect.
  NodePtr Shown(NodePtr plan);
  static std::string OutputName(const PgQuery__Node& node);

  // ---- with.cc
  Status BindWith(const PgQuery__WithClause* with);
  Result<NodePtr> RecursiveQuery(const PgQuery__CommonTableExpr& definition);

  // ---- grouping.cc
  struct Target {
    ExprPtr expression;
    std::string name;
    int position = 0;
    const PgQuery__Node* node = nullptr;
  };
  Result<std::vector<Target>> Targets(const PgQuery__SelectStmt& select, const ExprContext& context);
  struct Order {
    ExprPtr expression;
    int output = -1;
    bool descending = false;
    bool nulls_first = false;
    int position = 0;
  };
  Result<bool> IsDescending(const PgQuery__SortBy& sort);
  Result<Order> OrderOf(const PgQuery__SortBy& sort, const std::vector<Target>& targets, const ExprContext& context);
  /// `sets` are the select list's set-returning calls; a key may be one of them.
  Result<ExprPtr> GroupKey(const PgQuery__Node& node, const std::vector<Target>& targets, const Scope& scope, std::vector<SetCall>* sets);
  /// The expression over the output of an aggregate with these keys; a column that is no key is a grouping error.
  Result<ExprPtr> OverGroups(const ExprPtr& expression, const Scope& scope, const std::vector<ExprPtr>& keys,
                             const std::vector<std::vector<size_t>>& grouping_sets, int position);

  // ---- grouping_sets.cc
  using KeySets = std::vector<std::vector<size_t>>;  // indexes of keys, ascending
  using AddKey = std::function<Result<size_t>(const PgQuery__Node&)>;
  struct Expanded {
    NodePtr plan;
    std::vector<ExprPtr> keys;
  };
  struct GroupingArguments {
    std::vector<ExprPtr> expressions;
    int position = 0;
  };
  /// The sets that a GROUP BY means; without GROUPING SETS, ROLLUP and CUBE one set of all keys.
  Result<KeySets> GroupingSets(const PgQuery__SelectStmt& select, const AddKey& add);
  Result<KeySets> SetsOf(const PgQuery__Node& node, const AddKey& add);
  Result<std::vector<size_t>> KeyList(const PgQuery__Node& node, const AddKey& add);
  /// Each row once for each set: keys that a set lacks are NULL, and the set's number is the last key.
  Result<Expanded> ExpandSets(NodePtr plan, const std::vector<ExprPtr>& keys, const KeySets& sets, std::vector<expr::AggregateCall>& aggregates);
  Result<ExprPtr> GroupingCall(const PgQuery__GroupingFunc& call, const ExprContext& context);
  /// The value of a GROUPING call over the aggregate's output; of several sets the last key is the set's number.
  Result<ExprPtr> GroupingValue(int call, const std::vector<ExprPtr>& keys, const KeySets& sets);

  // ---- over.cc
  Result<BoundWindow> WindowOf(const PgQuery__WindowDef& definition, const ExprContext& context);
  Result<plan::WindowFrame> FrameOf(const BoundWindow& window, int position);
  Result<ExprPtr> OverCall(const std::string& name, const PgQuery__FuncCall& call, const ExprContext& context);
  Status ResolveWindowFunction(std::vector<ExprPtr> arguments, size_t least, size_t most, plan::WindowCall::Kind kind, plan::WindowCall& call,
                               int position);
  Result<NodePtr> AddWindows(NodePtr plan, std::vector<BoundWindow>& windows, std::vector<int>& columns);
  Status CheckDistinctOn(const std::vector<Order>& distinct, const std::vector<Order>& orders) const;
  Result<NodePtr> LimitByRank(const NodePtr& plan, const ExprPtr& limit, const ExprPtr& offset, bool ties, int position);

  // ---- view.cc
  Status CheckView(const plan::Node& plan) const;
  std::vector<int> KeyColumns(const plan::Node& plan) const;

  // ---- time.cc
  struct Progress {
    uint32_t stream = 0;
    int64_t lag = 0;
  };
  std::optional<plan::TemporalFilter::Bound> TemporalBound(const ExprPtr& conjunct);
  Result<NodePtr> TemporalFilters(const NodePtr& node);
  std::optional<Progress> ProgressOf(const plan::Node& node, int column) const;
  NodePtr BoundJoins(const NodePtr& node) const;
  NodePtr BoundJoin(const NodePtr& join) const;
  NodePtr BoundAsOfJoin(const NodePtr& join) const;

  // ---- time_to_live.cc
  NodePtr WithArrival(const NodePtr& node) const;
  NodePtr Expiring(const NodePtr& node);

  // ---- on_error.cc
  NodePtr CheckErrors(const NodePtr& node, std::vector<plan::CheckErrors::Step> above) const;

  // ---- emit.cc
  Result<NodePtr> CloseWindows(const NodePtr& plan, const std::vector<ExprPtr>& partition = {});
  Result<NodePtr> HoldRows(const NodePtr& rows, int window_end, const std::vector<ExprPtr>& partition);
  Result<NodePtr> CloseAggregate(const NodePtr& aggregate, uint32_t* stream_id);
  Result<NodePtr> ClosingInput(const NodePtr& input, const plan::Node& window, uint32_t* stream_id);
  Error CloseRefused(std::string why) const;

  // ---- domain.cc
  Result<BoundStatement> CreateDomain(const PgQuery__CreateDomainStmt& statement);
  Result<expr::Domain> DomainConstraints(const PgQuery__CreateDomainStmt& statement, const std::string& name, data::Type base);
  /// Null when the type is no domain.
  const catalog::Domain* DomainNamed(const PgQuery__TypeName& name) const;

  // ---- define.cc
  Result<BoundStatement> CreateTable(const PgQuery__CreateStmt& statement);
  Result<data::Field> ColumnOf(const PgQuery__ColumnDef& column, bool table, bool* primary_key);
  Result<BoundStatement> CreateView(const PgQuery__CreateTableAsStmt& statement);
  /// Of a new type or domain.
  Status CheckTypeName(const std::vector<std::string>& names, int position) const;
  Result<BoundStatement> CreateEnum(const PgQuery__CreateEnumStmt& statement);
  Result<BoundStatement> CreateComposite(const PgQuery__CompositeTypeStmt& statement);
  Result<BoundStatement> AlterView(const PgQuery__AlterTableStmt& statement);
  Result<BoundStatement> Drop(const PgQuery__DropStmt& statement);
  Result<std::string> OptionText(const PgQuery__DefElem& option);

  // ---- modify.cc
  struct TargetRelation {
    std::string name;
    bool stream = false;
    uint32_t id = 0;
    data::Schema schema;
    std::vector<int> primary_key;
    std::map<int, expr::DomainPtr> domains;
  };
  Result<TargetRelation> ModifyTarget(const PgQuery__RangeVar& relation, const char* verb);
  Result<BoundStatement> Insert(const PgQuery__InsertStmt& statement);
  Result<BoundStatement> Update(const PgQuery__UpdateStmt& statement);
  Result<BoundStatement> Delete(const PgQuery__DeleteStmt& statement);

  // ---- session.cc
  Result<BoundStatement> Session(const PgQuery__Node& node);
  Result<BoundStatement> Set(const PgQuery__VariableSetStmt& statement);

  const ParseTree& tree_;
  const BindContext& context_;
  std::vector<data::Type> parameter_types_;
  bool inferred_ = false;
  int parameters_max_ = 0;             // the highest $n of the text: outer columns are numbered after it
  bool for_view_ = false;
  int64_t ttl_us_ = 0;                 // of the view; 0: none
  bool expires_ = false;               // something in the view's plan leaves after ttl_us_
  bool ordered_ = false;               // the next SELECT is ARRAY(..)'s: its ORDER BY counts in a view too
  int depth_ = 0;
  int64_t shared_nodes_ = 0;           // plan nodes that uses of WITH queries stand for: the plan is a tree when it runs
  uint32_t recursions_ = 0;
  int subquery_position_ = 0;          // of the first query in an expression, for errors found in the plan
  int now_position_ = 0;               // of the first now() in a view
  int window_position_ = 0;            // of the first window function in FROM
  Environment* environment_ = nullptr;
  std::vector<CommonTable> common_tables_;
  std::vector<std::string> depends_on_;
  std::vector<GroupingArguments> grouping_calls_;
  std::map<const expr::Expression*, std::pair<ExprPtr, int>> positions_;  // of column references; keeps them alive
};

}  // namespace kappa::sql
