// Makers of plan nodes and rewrites that keep a tree's shape.
#include "plan/build.h"

#include <algorithm>

#include "data/enum_type.h"
#include "plan/subquery_expression.h"

namespace kappa::plan {
namespace {

using expr::ExprPtr;

data::Field FieldOf(const ExprPtr& expression, std::string name) { return {std::move(name), expression->type(), true}; }

/// NOT NULL survives where a column is passed on untouched.
bool Nullable(const ExprPtr& expression, const data::Schema& input) {
  switch (expression->kind()) {
    case expr::Expression::Kind::kColumn: {
      const int index = static_cast<const expr::ColumnRef&>(*expression).index();
      return index < 0 || index >= input.size() || input.fields[static_cast<size_t>(index)].nullable;
    }
    case expr::Expression::Kind::kLiteral: return static_cast<const expr::Literal&>(*expression).value().null;
    default: return true;
  }
}

}  // namespace

std::vector<std::string> ColumnNames(const data::Schema& schema) {
  std::vector<std::string> names;
  names.reserve(schema.fields.size());
  for (const data::Field& field : schema.fields) names.push_back(field.name);
  return names;
}

std::shared_ptr<Scan> MakeScan(RelationKind kind, uint32_t id, std::string name, const data::Schema& relation, std::vector<int> columns) {
  auto node = std::make_shared<Scan>();
  node->relation_kind = kind;
  node->relation_id = id;
  node->name = std::move(name);
  for (int column : columns) node->schema.fields.push_back(relation.fields[static_cast<size_t>(column)]);
  node->columns = std::move(columns);
  node->append_only = kind == RelationKind::kStream || kind == RelationKind::kWorking;
  return node;
}

NodePtr MakeValues(data::Schema schema, std::vector<std::vector<ExprPtr>> rows) {
  auto node = std::make_shared<Values>();
  node->schema = std::move(schema);
  node->rows = std::move(rows);
  node->append_only = true;
  return node;
}

NodePtr MakeFilter(NodePtr input, ExprPtr predicate) {
  auto node = std::make_shared<Filter>();
  node->schema = input->schema;
  node->append_only = input->append_only;
  node->predicate = std::move(predicate);
  node->inputs = {std::move(input)};
  return node;
}

NodePtr MakeCheckErrors(NodePtr scan, std::vector<CheckErrors::Step> steps) {
  KAPPA_CHECK(scan->schema.fields.size() >= 2);
  auto node = std::make_shared<CheckErrors>();
  node->schema = scan->schema;
  node->schema.fields.resize(node->schema.fields.size() - 2);
  node->append_only = scan->append_only;
  node->steps = std::move(steps);
  node->inputs = {std::move(scan)};
  return node;
}

NodePtr MakeTemporalFilter(NodePtr input, std::vector<TemporalFilter::Bound> bounds) {
  auto node = std::make_shared<TemporalFilter>();
  node->schema = input->schema;
  node->append_only = false;
  node->bounds = std::move(bounds);
  node->inputs = {std::move(input)};
  return node;
}

NodePtr MakeProject(NodePtr input, std::vector<ExprPtr> expressions, std::vector<std::string> names) {
  KAPPA_CHECK(expressions.size() == names.size());
  auto node = std::make_shared<Project>();
  for (size_t i = 0; i < expressions.size(); ++i) {
    data::Field field = FieldOf(expressions[i], std::move(names[i]));
    field.nullable = Nullable(expressions[i], input->schema);
    node->schema.fields.push_back(std::move(field));
  }
  node->expressions = std::move(expressions);
  node->append_only = input->append_only;
  node->inputs = {std::move(input)};
  return node;
}

NodePtr MakeWindow(NodePtr input, int time_column, int64_t slide_us, int64_t size_us, int64_t offset_us, Window::Shape shape, bool merges) {
  auto node = std::make_shared<Window>();
  node->shape = shape;
  node->schema = input->schema;
  const data::Type time = input->schema.fields[static_cast<size_t>(time_column)].type;
  node->schema.fields.push_back({"window_start", time, false});
  node->schema.fields.push_back({"window_end", time, false});
  node->time_column = time_column;
  node->slide_us = slide_us;
  node->size_us = size_us;
  node->offset_us = offset_us;
  node->merges = merges;
  node->append_only = input->append_only;
  node->inputs = {std::move(input)};
  return node;
}

NodePtr MakeSession(NodePtr input, std::vector<ExprPtr> keys, int time_column, int64_t gap_us, bool closes, uint32_t close_stream, bool expires) {
  auto node = std::make_shared<Session>();
  node->schema = input->schema;
  const data::Type time = input->schema.fields[static_cast<size_t>(time_column)].type;
  node->schema.fields.push_back({"window_start", time, false});
  node->schema.fields.push_back({"window_end", time, false});
  node->keys = std::move(keys);
  node->time_column = time_column;
  node->gap_us = gap_us;
  node->closes = closes;
  node->close_stream = close_stream;
  node->expires = expires;
  node->append_only = closes;
  node->inputs = {std::move(input)};
  return node;
}

NodePtr MakeSessionAggregate(NodePtr input, std::vector<ExprPtr> keys, std::vector<expr::AggregateCall> aggregates, std::vector<std::string> names,
                             int time_column, int64_t gap_us, bool closes, uint32_t close_stream, bool expires) {
  KAPPA_CHECK(names.size() == keys.size() + 2 + aggregates.size());
  auto node = std::make_shared<SessionAggregate>();
  const data::Type time = input->schema.fields[static_cast<size_t>(time_column)].type;
  for (size_t i = 0; i < keys.size(); ++i) {
    data::Field field = FieldOf(keys[i], names[i]);
    field.nullable = Nullable(keys[i], input->schema);
    node->schema.fields.push_back(std::move(field));
  }
  for (size_t i = 0; i < 2; ++i) node->schema.fields.push_back({names[keys.size() + i], time, false});
  for (size_t i = 0; i < aggregates.size(); ++i) {
    const bool count = aggregates[i].kind == expr::AggregateKind::kCount || aggregates[i].kind == expr::AggregateKind::kCountStar;
    node->schema.fields.push_back({names[keys.size() + 2 + i], aggregates[i].type, !count});
  }
  node->keys = std::move(keys);
  node->aggregates = std::move(aggregates);
  node->time_column = time_column;
  node->gap_us = gap_us;
  node->closes = closes;
  node->close_stream = close_stream;
  node->expires = expires;
  node->append_only = closes;
  node->inputs = {std::move(input)};
  return node;
}

NodePtr MakeUnnest(NodePtr input, ExprPtr array, bool with_ordinality, bool outer, std::string name, std::vector<ExprPtr> more,
                   const std::vector<std::string>& more_names) {
  KAPPA_CHECK(more.size() == more_names.size());
  auto node = std::make_shared<Unnest>();
  node->schema = input->schema;
  node->schema.fields.push_back({std::move(name), data::ElementType(array->type()), true});
  for (size_t i = 0; i < more.size(); ++i) node->schema.fields.push_back({more_names[i], data::ElementType(more[i]->type()), true});
  node->more = std::move(more);
  if (with_ordinality) node->schema.fields.push_back({"ordinality", data::TypeId::kInt8, true});
  node->array = std::move(array);
  node->with_ordinality = with_ordinality;
  node->outer = outer;
  node->append_only = input->append_only;
  node->inputs = {std::move(input)};
  return node;
}

NodePtr MakeAggregate(NodePtr input, std::vector<ExprPtr> keys, std::vector<expr::AggregateCall> aggregates, std::vector<std::string> names,
                      int close_key, uint32_t close_stream, int value_key) {
  KAPPA_CHECK(names.size() == keys.size() + aggregates.size());
  auto node = std::make_shared<Aggregate>();
  for (size_t i = 0; i < keys.size(); ++i) {
    data::Field field = FieldOf(keys[i], names[i]);
    field.nullable = Nullable(keys[i], input->schema);
    node->schema.fields.push_back(std::move(field));
  }
  for (size_t i = 0; i < aggregates.size(); ++i) {
    using enum expr::AggregateKind;
    const bool count = aggregates[i].kind == kCount || aggregates[i].kind == kCountStar || aggregates[i].kind == kRegrCount;
    node->schema.fields.push_back({names[keys.size() + i], aggregates[i].type, !count});
  }
  node->keys = std::move(keys);
  node->aggregates = std::move(aggregates);
  node->close_key = close_key;
  node->close_stream = close_stream;
  node->value_key = value_key;
  node->inputs = {std::move(input)};
  node->append_only = close_key >= 0 || node->gives_first_rows();
  return node;
}

NodePtr MakeJoin(JoinType type, NodePtr left, NodePtr right, std::vector<ExprPtr> left_keys, std::vector<ExprPtr> right_keys, ExprPtr residual,
                 std::vector<bool> null_equal) {
  auto node = std::make_shared<Join>();
  const bool left_outer = type == JoinType::kLeft || type == JoinType::kFull;
  const bool right_outer = type == JoinType::kRight || type == JoinType::kFull;
  for (data::Field field : left->schema.fields) {
    field.nullable = field.nullable || right_outer;
    node->schema.fields.push_back(std::move(field));
  }
  for (data::Field field : right->schema.fields) {
    if (type == JoinType::kSemi || type == JoinType::kAnti) break;
    field.nullable = field.nullable || left_outer;
    node->schema.fields.push_back(std::move(field));
  }
  node->type = type;
  node->left_keys = std::move(left_keys);
  node->right_keys = std::move(right_keys);
  node->residual = std::move(residual);
  node->null_equal = std::move(null_equal);
  node->append_only = (type == JoinType::kInner || type == JoinType::kCross || type == JoinType::kSemi) && left->append_only && right->append_only;
  node->inputs = {std::move(left), std::move(right)};
  return node;
}

NodePtr MakeAsOfJoin(bool outer, NodePtr left, NodePtr right, std::vector<ExprPtr> left_keys, std::vector<ExprPtr> right_keys, ExprPtr left_time,
                     ExprPtr right_time, AsOfJoin::Match match, ExprPtr right_tie) {
  KAPPA_CHECK(left_keys.size() == right_keys.size());
  auto node = std::make_shared<AsOfJoin>();
  node->schema = left->schema;
  for (data::Field field : right->schema.fields) {
    field.nullable = field.nullable || outer;
    node->schema.fields.push_back(std::move(field));
  }
  node->outer = outer;
  node->left_keys = std::move(left_keys);
  node->right_keys = std::move(right_keys);
  node->left_time = std::move(left_time);
  node->right_time = std::move(right_time);
  node->match = match;
  node->right_tie = std::move(right_tie);
  node->inputs = {std::move(left), std::move(right)};
  return node;
}

NodePtr MakeUnion(std::vector<NodePtr> inputs) {
  auto node = std::make_shared<Union>();
  node->schema = inputs.front()->schema;
  node->append_only = true;
  for (const NodePtr& input : inputs) {
    node->append_only = node->append_only && input->append_only;
    for (int i = 0; i < node->schema.size(); ++i) {
      data::Field& field = node->schema.fields[static_cast<size_t>(i)];
      const data::Field& other = input->schema.fields[static_cast<size_t>(i)];
      field.nullable = field.nullable || other.nullable;
      if (field.type != other.type) field.type = field.type.WithoutModifier();
    }
  }
  node->inputs = std::move(inputs);
  return node;
}

NodePtr MakeSort(NodePtr input, std::vector<SortKey> keys) {
  auto node = std::make_shared<Sort>();
  node->schema = input->schema;
  node->append_only = input->append_only;
  node->keys = std::move(keys);
  node->inputs = {std::move(input)};
  return node;
}

NodePtr MakeLimit(NodePtr input, ExprPtr limit, ExprPtr offset) {
  auto node = std::make_shared<Limit>();
  node->schema = input->schema;
  node->append_only = false;
  node->limit = std::move(limit);
  node->offset = std::move(offset);
  node->inputs = {std::move(input)};
  return node;
}

NodePtr MakeOver(NodePtr input, std::vector<ExprPtr> partition, std::vector<SortKey> order, std::vector<WindowCall> calls,
                 std::vector<std::string> names) {
  KAPPA_CHECK(names.size() == calls.size());
  auto node = std::make_shared<OverWindow>();
  node->schema = input->schema;
  for (size_t i = 0; i < calls.size(); ++i) {
    const bool never_null = calls[i].kind <= WindowCall::Kind::kCumeDist;
    node->schema.fields.push_back({std::move(names[i]), calls[i].type, !never_null});
  }
  node->partition = std::move(partition);
  node->order = std::move(order);
  node->calls = std::move(calls);
  node->inputs = {std::move(input)};
  return node;
}

NodePtr MakeTopN(NodePtr input, std::vector<ExprPtr> partition, std::vector<SortKey> order, TopN::Rank rank, int64_t from, int64_t to,
                 std::string rank_name) {
  auto node = std::make_shared<TopN>();
  node->schema = input->schema;
  node->with_rank = !rank_name.empty();
  if (node->with_rank) node->schema.fields.push_back({std::move(rank_name), data::TypeId::kInt8, false});
  node->partition = std::move(partition);
  node->order = std::move(order);
  node->rank = rank;
  node->from = from;
  node->to = to;
  node->inputs = {std::move(input)};
  return node;
}

NodePtr MakeTableFunction(std::string name, std::vector<ExprPtr> arguments, data::Schema schema) {
  auto node = std::make_shared<TableFunction>();
  node->name = std::move(name);
  node->arguments = std::move(arguments);
  node->schema = std::move(schema);
  node->append_only = true;
  return node;
}

NodePtr MakeRecursive(std::string name, uint32_t id, bool distinct, NodePtr base, NodePtr step) {
  auto node = std::make_shared<Recursive>();
  node->name = std::move(name);
  node->id = id;
  node->distinct = distinct;
  node->schema = base->schema;
  for (data::Field& field : node->schema.fields) field = {field.name, field.type.WithoutModifier(), true};
  node->append_only = true;
  node->inputs = {std::move(base), std::move(step)};
  return node;
}

namespace {

/// A mutable copy of the concrete node.
std::shared_ptr<Node> Clone(const Node& node) {
  switch (node.kind) {
    case NodeKind::kScan: return std::make_shared<Scan>(static_cast<const Scan&>(node));
    case NodeKind::kValues: return std::make_shared<Values>(static_cast<const Values&>(node));
    case NodeKind::kFilter: return std::make_shared<Filter>(static_cast<const Filter&>(node));
    case NodeKind::kTemporalFilter: return std::make_shared<TemporalFilter>(static_cast<const TemporalFilter&>(node));
    case NodeKind::kProject: return std::make_shared<Project>(static_cast<const Project&>(node));
    case NodeKind::kWindow: return std::make_shared<Window>(static_cast<const Window&>(node));
    case NodeKind::kSession: return std::make_shared<Session>(static_cast<const Session&>(node));
    case NodeKind::kSessionAggregate: return std::make_shared<SessionAggregate>(static_cast<const SessionAggregate&>(node));
    case NodeKind::kUnnest: return std::make_shared<Unnest>(static_cast<const Unnest&>(node));
    case NodeKind::kAggregate: return std::make_shared<Aggregate>(static_cast<const Aggregate&>(node));
    case NodeKind::kJoin: return std::make_shared<Join>(static_cast<const Join&>(node));
    case NodeKind::kUnion: return std::make_shared<Union>(static_cast<const Union&>(node));
    case NodeKind::kSort: return std::make_shared<Sort>(static_cast<const Sort&>(node));
    case NodeKind::kLimit: return std::make_shared<Limit>(static_cast<const Limit&>(node));
    case NodeKind::kTableFunction: return std::make_shared<TableFunction>(static_cast<const TableFunction&>(node));
    case NodeKind::kOver: return std::make_shared<OverWindow>(static_cast<const OverWindow&>(node));
    case NodeKind::kTopN: return std::make_shared<TopN>(static_cast<const TopN&>(node));
    case NodeKind::kCheckErrors: return std::make_shared<CheckErrors>(static_cast<const CheckErrors&>(node));
    case NodeKind::kAsOfJoin: return std::make_shared<AsOfJoin>(static_cast<const AsOfJoin&>(node));
    case NodeKind::kRecursive: return std::make_shared<Recursive>(static_cast<const Recursive&>(node));
  }
  KAPPA_CHECK(false);
}

/// Calls `change` on every expression slot of the node itself (not of its inputs). Null slots are skipped.
template <typename NodeType, typename Change> void EachExpression(NodeType& node, const Change& change) {
  auto slot = [&](auto& expression) {
    if (expression) change(expression);
  };
  auto as = [&]<typename T>(T*) -> auto& {
    if constexpr (std::is_const_v<NodeType>) return static_cast<const T&>(node);
    else return static_cast<T&>(node);
  };
  switch (node.kind) {
    case NodeKind::kScan: slot(as(static_cast<Scan*>(nullptr)).predicate); break;
    case NodeKind::kValues:
      for (auto& row : as(static_cast<Values*>(nullptr)).rows)
        for (auto& e : row) slot(e);
      break;
    case NodeKind::kFilter: slot(as(static_cast<Filter*>(nullptr)).predicate); break;
    case NodeKind::kTemporalFilter:
      for (auto& bound : as(static_cast<TemporalFilter*>(nullptr)).bounds) slot(bound.value);
      break;
    case NodeKind::kProject:
      for (auto& e : as(static_cast<Project*>(nullptr)).expressions) slot(e);
      break;
    case NodeKind::kSession:
      for (auto& e : as(static_cast<Session*>(nullptr)).keys) slot(e);
      break;
    case NodeKind::kSessionAggregate: {
      auto& sessions = as(static_cast<SessionAggregate*>(nullptr));
      for (auto& e : sessions.keys) slot(e);
      for (auto& call : sessions.aggregates) {
        for (auto& e : call.arguments) slot(e);
        slot(call.filter);
      }
      break;
    }
    case NodeKind::kUnnest:
      slot(as(static_cast<Unnest*>(nullptr)).array);
      for (auto& e : as(static_cast<Unnest*>(nullptr)).more) slot(e);
      break;
    case NodeKind::kAggregate: {
      auto& aggregate = as(static_cast<Aggregate*>(nullptr));
      for (auto& e : aggregate.keys) slot(e);
      for (auto& call : aggregate.aggregates) {
        for (auto& e : call.arguments) slot(e);
        slot(call.filter);
        for (auto& order : call.order_by) slot(order.expression);
        for (auto& e : call.direct) slot(e);
      }
      break;
    }
    case NodeKind::kJoin: {
      auto& join = as(static_cast<Join*>(nullptr));
      for (auto& e : join.left_keys) slot(e);
      for (auto& e : join.right_keys) slot(e);
      slot(join.residual);
      break;
    }
    case NodeKind::kSort:
      for (auto& key : as(static_cast<Sort*>(nullptr)).keys) slot(key.expression);
      break;
    case NodeKind::kLimit: {
      auto& limit = as(static_cast<Limit*>(nullptr));
      slot(limit.limit);
      slot(limit.offset);
      break;
    }
    case NodeKind::kTableFunction:
      for (auto& e : as(static_cast<TableFunction*>(nullptr)).arguments) slot(e);
      break;
    case NodeKind::kOver: {
      auto& over = as(static_cast<OverWindow*>(nullptr));
      for (auto& e : over.partition) slot(e);
      for (auto& key : over.order) slot(key.expression);
      for (auto& call : over.calls) {
        for (auto& e : call.arguments) slot(e);
        for (auto& e : call.aggregate.arguments) slot(e);
        slot(call.aggregate.filter);
        slot(call.frame.start_offset);
        slot(call.frame.end_offset);
      }
      break;
    }
    case NodeKind::kTopN: {
      auto& top = as(static_cast<TopN*>(nullptr));
      for (auto& e : top.partition) slot(e);
      for (auto& key : top.order) slot(key.expression);
      break;
    }
    case NodeKind::kCheckErrors:
      for (auto& step : as(static_cast<CheckErrors*>(nullptr)).steps) slot(step.expression);
      break;
    case NodeKind::kAsOfJoin: {
      auto& join = as(static_cast<AsOfJoin*>(nullptr));
      for (auto& e : join.left_keys) slot(e);
      for (auto& e : join.right_keys) slot(e);
      slot(join.left_time);
      slot(join.right_time);
      slot(join.right_tie);
      break;
    }
    case NodeKind::kWindow:
    case NodeKind::kRecursive:
    case NodeKind::kUnion: break;
  }
}

}  // namespace

NodePtr WithInputs(const NodePtr& node, std::vector<NodePtr> inputs) {
  if (node->inputs == inputs) return node;
  auto copy = Clone(*node);
  copy->inputs = std::move(inputs);
  const bool all = std::all_of(copy->inputs.begin(), copy->inputs.end(), [](const NodePtr& input) { return input->append_only; });
  switch (copy->kind) {
    case NodeKind::kFilter:
    case NodeKind::kProject:
    case NodeKind::kWindow:
    case NodeKind::kUnnest:
    case NodeKind::kSort:
    case NodeKind::kUnion: copy->append_only = all; break;
    case NodeKind::kJoin: {
      const JoinType type = static_cast<const Join&>(*copy).type;
      copy->append_only = all && (type == JoinType::kInner || type == JoinType::kCross || type == JoinType::kSemi);
      break;
    }
    case NodeKind::kAggregate: {
      const auto& aggregate = static_cast<const Aggregate&>(*copy);
      copy->append_only = aggregate.close_key >= 0 || aggregate.gives_first_rows();
      break;
    }
    default: break;  // their proof does not come from their input
  }
  return copy;
}

namespace {

/// Where numerics may go that have scales of their own, a sum keeps how many there are of each.
bool CountsScales(const expr::Expression& argument) { return argument.type().id == data::TypeId::kNumeric && expr::SumScale(argument.type()) < 0; }

}  // namespace

bool HasTwoStages(const Aggregate& node) {
  const bool append_only = node.inputs[0]->append_only;
  return std::all_of(node.aggregates.begin(), node.aggregates.end(), [append_only](const expr::AggregateCall& call) {
    switch (call.kind) {
      case expr::AggregateKind::kCountStar:
      case expr::AggregateKind::kCount:
      case expr::AggregateKind::kBoolAnd:
      case expr::AggregateKind::kBoolOr: return !call.distinct;
      case expr::AggregateKind::kSum:
      case expr::AggregateKind::kAvg: return !call.distinct && (append_only || !CountsScales(*call.arguments[0]));
      // Where rows may go, every value is kept.
      case expr::AggregateKind::kMin:
      case expr::AggregateKind::kMax:
      case expr::AggregateKind::kAnyValue: return !call.distinct && append_only;
      default: return false;
    }
  });
}

NodePtr WithOneFlush(const NodePtr& node) {
  std::vector<NodePtr> inputs;
  for (const NodePtr& input : node->inputs) inputs.push_back(WithOneFlush(input));
  NodePtr flushed = WithInputs(node, std::move(inputs));
  const bool collects = node->kind == NodeKind::kAggregate || node->kind == NodeKind::kTopN || node->kind == NodeKind::kOver;
  if (!collects || flushed->append_only) return flushed;
  auto copy = Clone(*flushed);
  copy->append_only = true;
  return copy;
}

namespace {

/// The table of which the node has some of the rows, changed one by one; null when it is anything else.
const Scan* TableOf(const Node& node) {
  if (node.kind == NodeKind::kFilter || node.kind == NodeKind::kProject) return TableOf(*node.inputs[0]);
  if (node.kind != NodeKind::kScan) return nullptr;
  const auto& scan = static_cast<const Scan&>(node);
  return scan.relation_kind == RelationKind::kTable && !scan.changelog ? &scan : nullptr;
}

/// True when the join gives no row of the port but with a partner.
bool GivesPairsAlone(JoinType type, int port) {
  switch (type) {
    case JoinType::kInner:
    case JoinType::kCross: return true;
    case JoinType::kLeft:
    case JoinType::kSemi:
    case JoinType::kAnti: return port == 1;
    case JoinType::kRight: return port == 0;
    case JoinType::kFull: return false;
  }
  KAPPA_CHECK(false);
}

}  // namespace

NodePtr WithReplicatedTables(const NodePtr& node, const std::function<int64_t(uint32_t)>& input_rows, int64_t rows_max) {
  std::vector<NodePtr> inputs;
  for (const NodePtr& input : node->inputs) inputs.push_back(WithReplicatedTables(input, input_rows, rows_max));
  NodePtr copy = WithInputs(node, std::move(inputs));
  if (node->kind != NodeKind::kJoin) return copy;
  for (const int port : {1, 0}) {
    const Scan* table = TableOf(*copy->inputs[static_cast<size_t>(port)]);
    if (table == nullptr || !copy->inputs[static_cast<size_t>(1 - port)]->append_only ||
        !GivesPairsAlone(static_cast<const Join&>(*copy).type, port) || input_rows(table->relation_id) > rows_max)
      continue;
    auto join = std::make_shared<Join>(static_cast<const Join&>(*copy));
    join->replicated = port;
    return join;
  }
  return copy;
}

NodePtr Over(const Node& node, NodePtr input) {
  auto copy = Clone(node);
  const auto width = static_cast<ptrdiff_t>(node.inputs[0]->schema.fields.size());
  switch (node.kind) {
    case NodeKind::kFilter:
    case NodeKind::kWindow:
    case NodeKind::kUnnest:
      copy->schema = input->schema;
      copy->schema.fields.insert(copy->schema.fields.end(), node.schema.fields.begin() + width, node.schema.fields.end());
      break;
    case NodeKind::kProject:
    case NodeKind::kAggregate: break;
    default: KAPPA_CHECK(false);
  }
  if (node.kind != NodeKind::kAggregate) copy->append_only = input->append_only;
  copy->inputs = {std::move(input)};
  return copy;
}

NodePtr WithNames(const NodePtr& node, std::span<const std::string> names) {
  KAPPA_CHECK(names.size() == node->schema.fields.size());
  bool same = true;
  for (size_t i = 0; i < names.size(); ++i) same = same && names[i] == node->schema.fields[i].name;
  if (same) return node;
  auto copy = Clone(*node);
  for (size_t i = 0; i < names.size(); ++i) copy->schema.fields[i].name = names[i];
  return copy;
}

NodePtr MapExpressions(const NodePtr& node, const std::function<ExprPtr(const ExprPtr&)>& change) {
  auto copy = Clone(*node);
  for (NodePtr& input : copy->inputs) input = MapExpressions(input, change);
  EachExpression(*copy, [&](ExprPtr& expression) { expression = change(expression); });
  return copy;
}

NodePtr MapOwnExpressions(const NodePtr& node, const std::function<ExprPtr(const ExprPtr&)>& change) {
  auto copy = Clone(*node);
  EachExpression(*copy, [&](ExprPtr& expression) { expression = change(expression); });
  return copy;
}

void VisitExpressions(const Node& node, const std::function<void(const ExprPtr&)>& visit) {
  for (const NodePtr& input : node.inputs) VisitExpressions(*input, visit);
  EachExpression(node, [&](const ExprPtr& expression) { visit(expression); });
}

void VisitOwnExpressions(const Node& node, const std::function<void(const ExprPtr&)>& visit) {
  EachExpression(node, [&](const ExprPtr& expression) { visit(expression); });
}

int64_t CountNodes(const Node& root) {
  int64_t count = 1;
  for (const NodePtr& input : root.inputs) count += CountNodes(*input);
  return count;
}

int Depth(const Node& root) {
  int deepest = 0;
  for (const NodePtr& input : root.inputs) deepest = std::max(deepest, Depth(*input));
  return deepest + 1;
}

bool SameExpression(const expr::Expression& a, const expr::Expression& b) {
  using Kind = expr::Expression::Kind;
  if (&a == &b) return true;
  if (a.kind() != b.kind() || a.type() != b.type() || a.children().size() != b.children().size()) return false;
  for (size_t i = 0; i < a.children().size(); ++i)
    if (!SameExpression(*a.children()[i], *b.children()[i])) return false;
  switch (a.kind()) {
    case Kind::kColumn: return static_cast<const expr::ColumnRef&>(a).index() == static_cast<const expr::ColumnRef&>(b).index();
    case Kind::kLiteral: return static_cast<const expr::Literal&>(a).value() == static_cast<const expr::Literal&>(b).value();
    case Kind::kParameter: return static_cast<const expr::Parameter&>(a).index() == static_cast<const expr::Parameter&>(b).index();
    case Kind::kSubquery: {
      const Subquery &x = *SubqueryOf(a), &y = *SubqueryOf(b);
      return x.kind == y.kind && x.first_parameter == y.first_parameter && (x.plan == y.plan || Explain(*x.plan) == Explain(*y.plan));
    }
    default: return a.ToString({}) == b.ToString({});
  }
}

}  // namespace kappa::plan
