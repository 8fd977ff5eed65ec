// Plan nodes: what a query computes, as an immutable tree. sql/ makes and rewrites plans, flow/ runs them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "expr/aggregate_call.h"
#include "expr/expression.h"

namespace kappa::plan {

struct Node;
using NodePtr = std::shared_ptr<const Node>;

enum class NodeKind : uint8_t {
  kScan,
  kValues,
  kFilter,
  kProject,
  kTemporalFilter,
  kWindow,
  kSession,
  kSessionAggregate,
  kUnnest,
  kAggregate,
  kJoin,
  kUnion,
  kSort,
  kLimit,
  kTableFunction,
  kOver,
  kTopN,
  kAsOfJoin,
  kRecursive,
  kCheckErrors
};

/// Base of all nodes. `schema` describes the output columns.
struct Node {
  explicit Node(NodeKind k) : kind(k) {}
  virtual ~Node() = default;
  NodeKind kind;
  data::Schema schema;
  std::vector<NodePtr> inputs;
  /// True when the output never holds a deletion (proven from append-only sources upward).
  bool append_only = false;
};

/// Which rows of a stream a scan gives, by the verdict at arrival (design, "lateness is decided row by row").
enum class LateRows : uint8_t { kKeep, kDrop, kOnly };
/// kWorking: rows that the run of a query itself gives, see Recursive.
enum class RelationKind : uint8_t { kStream, kTable, kView, kSystem, kWorking };

/// Reads a relation. For streams `columns` may also name the hidden columns below.
struct Scan final : Node {
  Scan() : Node(NodeKind::kScan) {}
  RelationKind relation_kind = RelationKind::kStream;
  uint32_t relation_id = 0;         // catalog id of the stream, table or view; unused for system relations
  std::string name;                 // as the catalog spells it; "kappa.views", "pg_catalog.pg_class" for system relations
  int version = 0;                  // of a view: 0 is the serving (routed) version, else that version
  std::vector<int> columns;         // indexes into the relation's schema, in output order
  LateRows late = LateRows::kKeep;  // streams only
  expr::ExprPtr predicate;          // pushed down, over the output columns; may be null
  bool changelog = false;           // tables only: each change as a row, with the hidden columns below
};
/// Hidden columns of a stream, after its declared ones: kafka partition (int4), offset (int8), timestamp (timestamptz), and the
/// processing time (timestamptz): the wall time of the epoch that took the record, as the journal has it.
/// `stream$late` shows the first three as _partition, _offset, _timestamp; PROCTIME() is the last.
inline constexpr int kHiddenStreamColumns = 4;
inline constexpr int kPartitionColumn = 0, kOffsetColumn = 1, kTimestampColumn = 2, kProcessingTimeColumn = 3;  // among the hidden ones

/// Hidden columns of a table's changelog, after its declared ones: whether the change is a deletion (bool; then the columns are NULL but
/// for the key), from when on it is valid (type of the version time; of a deletion the record's timestamp), its offset (int8).
inline constexpr int kDeletedColumn = 0, kValidFromColumn = 1, kChangeColumn = 2;

struct Values final : Node {
  Values() : Node(NodeKind::kValues) {}
  std::vector<std::vector<expr::ExprPtr>> rows;  // constants or parameters; one row without columns for SELECT 1
};

struct Filter final : Node {
  Filter() : Node(NodeKind::kFilter) {}
  expr::ExprPtr predicate;
};

/// Conditions on now(): a row is there while all of its bounds hold. now() is the wall time of the epoch, as the journal has it.
/// Views only; in queries now() is a constant and this is a Filter.
struct TemporalFilter final : Node {
  TemporalFilter() : Node(NodeKind::kTemporalFilter) {}
  /// before: value > now() + shift (with `inclusive`, >=); else value < now() + shift (<=). NULL holds never.
  struct Bound {
    expr::ExprPtr value;  // timestamptz, over the input
    int64_t shift_us = 0;
    bool before = true;
    bool inclusive = false;
  };
  std::vector<Bound> bounds;
};

/// WITH (on_error = 'dead_letter'), over a scan of a stream whose last two columns are the record's partition and offset: the scan's other
/// columns of the rows for which no step fails. A row that fails gives a dead letter instead.
struct CheckErrors final : Node {
  CheckErrors() : Node(NodeKind::kCheckErrors) {}
  struct Step {
    expr::ExprPtr expression;  // over the output
    bool filter = false;       // later steps, and the output, are about the rows for which it is true
  };
  std::vector<Step> steps;
};

struct Project final : Node {
  Project() : Node(NodeKind::kProject) {}
  std::vector<expr::ExprPtr> expressions;
};

/// TUMBLE, HOP and CUMULATE: the input's columns, then window_start and window_end (type of the time column). A row of a hop
/// gives size / slide rows; a row of a cumulating window one for each of the ends start + slide, start + 2 slide, .. start + size
/// that lie after it. Rows with NULL time are dropped. Windows are aligned to 1970-01-01 00:00 UTC plus `offset`.
struct Window final : Node {
  Window() : Node(NodeKind::kWindow) {}
  enum class Shape : uint8_t { kHop, kCumulate };  // TUMBLE is a hop whose slide is its size
  Shape shape = Shape::kHop;
  int time_column = 0;
  int64_t slide_us = 0;  // the step of CUMULATE
  int64_t size_us = 0;
  int64_t offset_us = 0;
  /// Nobody reads the time column: rows of one slice (between two starts or ends of windows) that are equal otherwise may be merged
  /// into one of their weights' sum, with any of their times, before they are multiplied.
  bool merges = false;
};

/// SESSION: the input's columns, then window_start and window_end of the row's session. Rows of equal `keys` that lie at most
/// the gap apart, directly or through rows between them, are one session: from its first time to its last time plus the gap.
/// Rows with NULL time are dropped. Not append-only: a row may lengthen the session of others.
struct Session final : Node {
  Session() : Node(NodeKind::kSession) {}
  std::vector<expr::ExprPtr> keys;  // may be empty
  int time_column = 0;
  int64_t gap_us = 0;
  /// EMIT ON WINDOW CLOSE: rows are given once, when the watermark of `close_stream` is past the end of their session.
  bool closes = false;
  uint32_t close_stream = 0;
  /// Of a view with a ttl, over processing time: the rows of a session are taken back, and forgotten, when the epochs' time is past its end.
  bool expires = false;
};

/// GROUP BY keys, window_start, window_end over SESSION of append-only input, in one: no row is kept. Output: the keys,
/// window_start, window_end, the aggregates (over the session's input).
struct SessionAggregate final : Node {
  SessionAggregate() : Node(NodeKind::kSessionAggregate) {}
  std::vector<expr::ExprPtr> keys;
  std::vector<expr::AggregateCall> aggregates;
  int time_column = 0;
  int64_t gap_us = 0;
  bool closes = false;  // as in Session
  uint32_t close_stream = 0;
  bool expires = false;
};

/// unnest(array) and friends in FROM or in the select list: the input's columns, then the element (and the ordinality).
/// A row with an empty or NULL array disappears unless `outer` (LEFT JOIN LATERAL .. ON true).
struct Unnest final : Node {
  Unnest() : Node(NodeKind::kUnnest) {}
  expr::ExprPtr array;      // over the input
  std::vector<expr::ExprPtr> more;  // further arrays side by side, each a column after the first; shorter ones end in NULLs
  bool with_ordinality = false;
  bool outer = false;
};

struct Aggregate final : Node {
  Aggregate() : Node(NodeKind::kAggregate) {}
  std::vector<expr::ExprPtr> keys;               // output columns 0..keys-1; empty: one global group
  std::vector<expr::AggregateCall> aggregates;   // the output columns after the keys
  /// EMIT ON WINDOW CLOSE: index into `keys` of window_end; a group is emitted once, when the watermark of
  /// `close_stream` reaches its window_end, and its state is dropped. -1: an updating aggregate.
  int close_key = -1;
  uint32_t close_stream = 0;
  /// Of DISTINCT: index into `keys` of the one that has many values for each combination of the others'; they lie together. Of a type of at most
  /// kValueBytesMax. -1: there is none.
  int value_key = -1;
  static constexpr int kValueBytesMax = 8;
  /// DISTINCT over rows that never go: its rows never go either, and each is given when it is seen for the first time.
  bool gives_first_rows() const { return aggregates.empty() && !keys.empty() && close_key < 0 && inputs[0]->append_only; }
};

enum class JoinType : uint8_t { kInner, kLeft, kRight, kFull, kCross, kSemi, kAnti };

/// Output: left columns, then right columns; of a semi or anti join the left columns alone, once for each left row with, or
/// without, a match. A match is `left_keys[i] = right_keys[i]` for all i and `residual`, over left and right columns side by
/// side. A NULL key never matches, unless `null_equal[i]`: then NULL matches NULL.
struct Join final : Node {
  Join() : Node(NodeKind::kJoin) {}
  JoinType type = JoinType::kInner;
  std::vector<expr::ExprPtr> left_keys;
  std::vector<expr::ExprPtr> right_keys;
  std::vector<bool> null_equal;  // of keys; shorter than the keys: false
  bool left_only() const { return type == JoinType::kSemi || type == JoinType::kAnti; }
  expr::ExprPtr residual;  // may be null
  /// When a row of a side can meet no other any more: when the watermark of `stream` is past its `column` (of that side) plus the
  /// delay. column -1: never. Inner joins of append-only inputs only.
  struct Expiry {
    int column = -1;
    uint32_t stream = 0;
    int64_t delay_us = 0;
  };
  Expiry left_expiry, right_expiry;
  /// The port whose rows every shard has, so that those of the other stay where they are; -1: rows of equal keys meet in one shard.
  int replicated = -1;
};

/// ASOF JOIN: each left row with the one right row of equal keys whose time is nearest to the left row's among those on the wanted
/// side of it. Right rows of one time are taken by their bytes (data/row_key.h), the smallest. NULL keys and times match nothing. Output: left
/// columns, then right columns.
struct AsOfJoin final : Node {
  AsOfJoin() : Node(NodeKind::kAsOfJoin) {}
  /// Where the right row's time lies: left_time >= right_time, >, <=, <.
  enum class Match : uint8_t { kAtOrBefore, kBefore, kAtOrAfter, kAfter };
  bool outer = false;  // left rows without a match come with NULLs; else they do not come
  std::vector<expr::ExprPtr> left_keys;
  std::vector<expr::ExprPtr> right_keys;
  expr::ExprPtr left_time;  // of one type with right_time
  expr::ExprPtr right_time;
  expr::ExprPtr right_tie;  // int8, never NULL: of right rows of one time the one with the greatest counts; null: the smallest bytes
  Match match = Match::kAtOrBefore;
  /// Rows of an input that come after the watermark W of `stream` have no time before W - lag. Where the right input promises it, left rows
  /// go from the state when no right row can reach them any more; where both do, right rows that a later one hides.
  struct Progress {
    uint32_t stream = 0;
    int64_t lag_us = 0;
  };
  std::optional<Progress> left_progress, right_progress;
};

/// UNION ALL of inputs with equal column types.
struct Union final : Node {
  Union() : Node(NodeKind::kUnion) {}
};

struct SortKey {
  expr::ExprPtr expression;
  bool descending = false;
  bool nulls_first = false;
};

/// Queries only.
struct Sort final : Node {
  Sort() : Node(NodeKind::kSort) {}
  std::vector<SortKey> keys;
};

/// Queries only. Expressions are constants or parameters; null means none.
struct Limit final : Node {
  Limit() : Node(NodeKind::kLimit) {}
  expr::ExprPtr limit;
  expr::ExprPtr offset;
};

/// The frame of a window function: which rows of the partition it sees.
struct WindowFrame {
  enum class Mode : uint8_t { kRange, kRows, kGroups } mode = Mode::kRange;
  enum class Bound : uint8_t { kUnboundedPreceding, kPreceding, kCurrentRow, kFollowing, kUnboundedFollowing };
  Bound start = Bound::kUnboundedPreceding;
  Bound end = Bound::kCurrentRow;
  expr::ExprPtr start_offset;  // of kPreceding and kFollowing: constants; int8, with RANGE what is added to the order key
  expr::ExprPtr end_offset;
  enum class Exclude : uint8_t { kNone, kCurrentRow, kGroup, kTies } exclude = Exclude::kNone;
};

/// One window function over the rows of its Over node's input.
struct WindowCall {
  enum class Kind : uint8_t {
    kRowNumber,
    kRank,
    kDenseRank,
    kPercentRank,
    kCumeDist,
    kNtile,
    kLag,
    kLead,
    kFirstValue,
    kLastValue,
    kNthValue,
    kAggregate,
  };
  Kind kind = Kind::kRowNumber;
  std::vector<expr::ExprPtr> arguments;  // over the input; of an aggregate: in `aggregate`
  expr::AggregateCall aggregate;         // of kAggregate
  WindowFrame frame;                     // of the functions that have one
  data::Type type;
  std::string name;
};

/// Window functions of one PARTITION BY and ORDER BY: the input's columns, then one for each call. Rows that the order leaves equal
/// are ordered by their bytes (data/row_key.h), so that every function has one answer.
struct OverWindow final : Node {
  OverWindow() : Node(NodeKind::kOver) {}
  std::vector<expr::ExprPtr> partition;
  std::vector<SortKey> order;
  std::vector<WindowCall> calls;
};

/// The rows of each partition whose rank lies in [from, to]: a filter over a ranking function, DISTINCT ON, LIMIT in a view. The
/// input's columns, then the rank when `with_rank`. Rows that the order leaves equal are taken by their bytes, as in Over.
struct TopN final : Node {
  TopN() : Node(NodeKind::kTopN) {}
  std::vector<expr::ExprPtr> partition;
  std::vector<SortKey> order;
  /// kTies: FETCH FIRST .. WITH TIES, the rows whose row_number is at least `from` and whose rank is at most `to`.
  enum class Rank : uint8_t { kRowNumber, kRank, kDenseRank, kTies } rank = Rank::kRowNumber;
  int64_t from = 1;
  int64_t to = 1;  // INT64_MAX: no bound
  bool with_rank = false;
};

/// Functions in FROM that the engine answers: generate_series(..), kappa.diff(view, from, to), pg_options_to_table .. .
struct TableFunction final : Node {
  TableFunction() : Node(NodeKind::kTableFunction) {}
  std::string name;
  std::vector<expr::ExprPtr> arguments;  // constants, parameters
};

/// WITH RECURSIVE; queries only. Gives the rows of inputs[0]; then, again and again, those of inputs[1], in which the scan of kind
/// kWorking with this id gives the rows that the round before has given; until a round gives none. `distinct` (UNION) leaves out rows
/// that were given before.
struct Recursive final : Node {
  Recursive() : Node(NodeKind::kRecursive) {}
  std::string name;
  uint32_t id = 0;  // one of its own in the statement
  bool distinct = false;
};

/// A query inside an expression (queries only; views refuse it). Run by a runner that the engine puts into place.
struct Subquery {
  enum class Kind : uint8_t { kScalar, kExists, kIn, kArray } kind = Kind::kScalar;
  NodePtr plan;
  /// Outer columns that the sub-query refers to: inside `plan` they are Parameter(first_parameter + i).
  std::vector<expr::ExprPtr> outer;
  int first_parameter = 0;
};

/// EXPLAIN's text: one operator a line, two spaces a level.
std::string Explain(const Node& root);
/// The same as a JSON document.
std::string ExplainJson(const Node& root);
/// A stable 64-bit hash of Explain's text: two versions with equal hashes compute the same.
uint64_t PlanHash(const Node& root);

}  // namespace kappa::plan
