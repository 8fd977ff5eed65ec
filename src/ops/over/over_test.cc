// Goal: top-N and window functions are right after every epoch of any change stream, also across restarts.
// Method: random streams of inserts, deletes and updates; the sum of the output must equal the same functions worked out row by row
// from their definitions over the rows that are there.
#include <gtest/gtest.h>

#include "data/compare.h"
#include "data/numeric.h"
#include "data/text.h"
#include "ops/over/order_key.h"
#include "ops/testing.h"
#include "plan/build.h"

namespace kappa::ops {
namespace {

using data::TypeId;
using data::Value;
using plan::WindowCall;
using plan::WindowFrame;
using Kind = WindowCall::Kind;
using Mode = WindowFrame::Mode;
using Bound = WindowFrame::Bound;

data::Schema TestSchema() { return {{{"k", TypeId::kInt4}, {"a", TypeId::kInt4}, {"n", TypeId::kNumeric}, {"t", TypeId::kText}}}; }

TestRow RandomRow(std::mt19937_64& random) {
  static const char* kNumbers[] = {"1", "1.0", "-2.50", "1e9", "NaN", "0.001", "-Infinity", "123456789012345678901234567890"};
  const auto number = [&] { return Value::Bytes(TypeId::kNumeric, data::Numeric::Parse(kNumbers[random() % 8])->ToBytes()); };
  const auto small = [&](int range) {
    return random() % 7 == 0 ? Value::Null(TypeId::kInt4)
                             : Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(random() % static_cast<uint64_t>(range)) - range / 3);
  };
  return {small(4), small(9), random() % 6 == 0 ? Value::Null(TypeId::kNumeric) : number(),
          Value::Text(std::string(random() % 3, static_cast<char>('a' + random() % 3)))};
}

struct Order {
  int column;
  bool descending, nulls_first;
};
std::vector<plan::SortKey> Keys(const std::vector<Order>& orders) {
  std::vector<plan::SortKey> keys;
  const data::Schema schema = TestSchema();
  for (const Order& order : orders)
    keys.push_back({expr::MakeColumn(order.column, schema.fields[static_cast<size_t>(order.column)].type, ""), order.descending, order.nulls_first});
  return keys;
}

/// The rows of each partition in order, and where groups of peers begin.
struct Partitions {
  Partitions(const std::vector<TestRow>& all, const std::vector<Order>& orders, bool by_k) : batch(MakeBatch(TestSchema(), all)) {
    const data::RowKeys bytes(batch.columns, batch.rows, false);
    const auto compare = [&](int32_t x, int32_t y) {
      for (const Order& order : orders) {
        const data::Column& column = *batch.columns[static_cast<size_t>(order.column)];
        const bool null_x = column.IsNull(x), null_y = column.IsNull(y);
        if (null_x && null_y) continue;
        if (null_x || null_y) return null_x == order.nulls_first ? -1 : 1;
        if (const int c = data::CompareRows(column, x, column, y); c != 0) return order.descending ? -c : c;
      }
      return 0;
    };
    std::map<std::string, std::vector<int32_t>> groups;
    for (int32_t i = 0; i < batch.rows; ++i)
      groups[by_k ? data::ToText(data::ValueAt(*batch.columns[0], i)) + (batch.columns[0]->IsNull(i) ? "null" : "") : ""].push_back(i);
    for (auto& [key, rows] : groups) {
      std::sort(rows.begin(), rows.end(), [&](int32_t x, int32_t y) {
        const int c = compare(x, y);
        return c != 0 ? c < 0 : bytes.key(x) < bytes.key(y);
      });
      std::vector<int> peer;
      for (size_t i = 0; i < rows.size(); ++i) peer.push_back(i == 0 ? 0 : peer.back() + (compare(rows[i - 1], rows[i]) != 0 ? 1 : 0));
      lists.push_back(std::move(rows));
      peers.push_back(std::move(peer));
    }
  }
  data::ChangeBatch batch;
  std::vector<std::vector<int32_t>> lists;
  std::vector<std::vector<int>> peers;
};

/// Row `row` of the batch, with more values after it.
TestRow With(const data::ChangeBatch& batch, int32_t row, std::vector<Value> more) {
  TestRow out;
  for (const data::ColumnPtr& column : batch.columns) out.push_back(data::ValueAt(*column, row));
  for (Value& value : more) out.push_back(std::move(value));
  return out;
}

struct TopCase {
  std::vector<Order> orders;
  bool by_k;
  plan::TopN::Rank rank;
  int64_t from, to;
  bool with_rank;
};

Multiset ExpectedTop(const std::vector<TestRow>& rows, const TopCase& test, const data::Schema& schema) {
  using Rank = plan::TopN::Rank;
  const Partitions partitions(rows, test.orders, test.by_k);
  std::vector<TestRow> out;
  for (size_t p = 0; p < partitions.lists.size(); ++p) {
    const auto& list = partitions.lists[p];
    const auto& peers = partitions.peers[p];
    for (size_t i = 0; i < list.size(); ++i) {
      const int64_t number = static_cast<int64_t>(i) + 1;
      const int64_t rank = std::find(peers.begin(), peers.end(), peers[i]) - peers.begin() + 1;
      const int64_t shown = test.rank == Rank::kRowNumber ? number : test.rank == Rank::kDenseRank ? peers[i] + 1 : rank;
      const bool in = test.rank == Rank::kTies ? number >= test.from && rank <= test.to : shown >= test.from && shown <= test.to;
      if (in) out.push_back(With(partitions.batch, list[i], test.with_rank ? std::vector<Value>{Value::Int8(shown)} : std::vector<Value>{}));
    }
  }
  return ToMultiset(schema, out);
}

TEST(TopNTest, EqualsItsDefinitionAfterEveryEpoch) {
  using Rank = plan::TopN::Rank;
  const std::vector<TopCase> cases = {
      {{{1, true, true}}, true, Rank::kRowNumber, 1, 1, false},
      {{{1, false, false}}, true, Rank::kRowNumber, 1, 1, true},
      {{{2, true, false}, {1, false, true}}, true, Rank::kRowNumber, 1, 3, false},
      {{{2, false, true}}, true, Rank::kRowNumber, 2, 5, true},
      {{{1, false, false}}, true, Rank::kRank, 1, 3, true},
      {{{1, true, true}}, true, Rank::kRank, 2, 4, false},
      {{{1, false, false}}, true, Rank::kDenseRank, 1, 2, true},
      {{{3, false, false}}, false, Rank::kRowNumber, 1, 10, false},
      {{{3, true, true}, {2, false, false}}, false, Rank::kRowNumber, 4, INT64_MAX, false},
      {{{1, false, false}}, false, Rank::kTies, 3, 7, false},
      {{}, true, Rank::kRowNumber, 1, 2, false},
      {{{1, false, false}}, true, Rank::kRowNumber, 3, 2, false},
  };
  for (const bool append_only : {false, true}) {
    for (size_t c = 0; c < cases.size(); ++c) {
      SCOPED_TRACE(testing::Message() << "case " << c << (append_only ? ", append-only" : ""));
      const TopCase& test = cases[c];
      std::mt19937_64 random(c * 2 + append_only);
      TestStream stream(TestSchema(), append_only, RandomRow);
      const data::Schema schema = TestSchema();
      const std::vector<expr::ExprPtr> partition = test.by_k ? std::vector{Col(schema, "k")} : std::vector<expr::ExprPtr>();
      const plan::NodePtr node =
          plan::MakeTopN(TestInput(schema, append_only), partition, Keys(test.orders), test.rank, test.from, test.to, test.with_rank ? "rank" : "");
      TestRun run([&] { return MakeOrDie(*node); });
      for (int epoch = 0; epoch < 40; ++epoch) {
        for (data::ChangeBatch& batch : stream.Epoch(random, random() % 30)) run.Batch(0, std::move(batch));
        const bool flush = random() % 4 != 0;
        const Output output = run.End(INT64_MIN, flush);
        for (const data::ChangeBatch& batch : output) ASSERT_GT(batch.rows, 0);
        if (!flush) continue;
        ASSERT_EQ(run.contents(), ExpectedTop(stream.rows(), test, node->schema)) << "epoch " << epoch;
        if (random() % 5 == 0) run.Restart();
      }
    }
  }
}

TEST(TopNTest, EmitsNothingWhereNothingChanges) {
  const data::Schema schema = TestSchema();
  const plan::NodePtr node =
      plan::MakeTopN(TestInput(schema, true), {Col(schema, "k")}, Keys({{1, true, false}}), plan::TopN::Rank::kRowNumber, 1, 2, "");
  TestRun run([&] { return MakeOrDie(*node); });
  const auto row = [](int32_t a) {
    return TestRow{Value::Fixed<int32_t>(TypeId::kInt4, 1), Value::Fixed<int32_t>(TypeId::kInt4, a), Value::Null(TypeId::kNumeric), Value::Text("x")};
  };
  run.Batch(0, MakeBatch(schema, {row(5), row(7)}));
  EXPECT_EQ(ToMultiset(run.End()), ToMultiset(schema, {row(5), row(7)}));
  run.Batch(0, MakeBatch(schema, {row(1), row(2)}));
  EXPECT_TRUE(run.End().empty());
  run.Batch(0, MakeBatch(schema, {row(9)}));
  Multiset expected = ToMultiset(schema, {row(9)});
  for (auto& [bytes, count] : ToMultiset(schema, {row(5)})) expected[bytes] = -count;
  EXPECT_EQ(ToMultiset(run.End()), expected);
  EXPECT_EQ(run.op().state_rows(), 2);  // two rows a key are kept, whatever came
}

// Order keys must compare as the values do.
TEST(OrderKeysTest, BytesCompareAsValuesDo) {
  std::mt19937_64 random(7);
  std::vector<TestRow> rows;
  for (int i = 0; i < 300; ++i) rows.push_back(RandomRow(random));
  const data::ChangeBatch batch = MakeBatch(TestSchema(), rows);
  for (size_t c = 0; c < batch.columns.size(); ++c) {
    for (const bool descending : {false, true}) {
      const SortColumn by{batch.columns[c], descending, !descending};
      const OrderKeys keys(std::span(&by, 1), batch.rows);
      for (int64_t i = 0; i < batch.rows; ++i) {
        for (int64_t j = 0; j < batch.rows; ++j) {
          const bool null_i = by.column->IsNull(i), null_j = by.column->IsNull(j);
          int wanted = null_i && null_j ? 0
                       : null_i         ? (by.nulls_first ? -1 : 1)
                       : null_j         ? (by.nulls_first ? 1 : -1)
                                        : data::CompareRows(*by.column, i, *by.column, j);
          if (!null_i && !null_j && descending) wanted = -wanted;
          const int given = keys.key(i).compare(keys.key(j));
          ASSERT_EQ((given > 0) - (given < 0), wanted) << "column " << c << " rows " << i << ", " << j;
          if (wanted < 0) { ASSERT_LE(OrderPrefix(keys.key(i)), OrderPrefix(keys.key(j))); }
        }
      }
    }
  }
}

expr::ExprPtr Number(int64_t n) { return expr::MakeLiteral(Value::Int8(n)); }
expr::ExprPtr Number4(int32_t n) { return expr::MakeLiteral(Value::Fixed<int32_t>(TypeId::kInt4, n)); }

WindowCall Call(Kind kind, data::Type type, std::vector<expr::ExprPtr> arguments = {}, WindowFrame frame = {}) {
  WindowCall call;
  call.kind = kind;
  call.type = type;
  call.arguments = std::move(arguments);
  call.frame = std::move(frame);
  return call;
}
WindowCall AggregateCall(const std::string& name, WindowFrame frame, bool filtered = false) {
  const data::Schema schema = TestSchema();
  WindowCall call = Call(Kind::kAggregate, {}, {}, std::move(frame));
  std::vector<expr::ExprPtr> arguments;
  if (name != "count") arguments.push_back(Col(schema, "a"));
  call.aggregate = *expr::ResolveAggregate(name, arguments, name == "count", false, 0);
  if (filtered) call.aggregate.filter = *expr::MakeOperator(">", {Col(schema, "a"), Number4(0)}, 0);
  call.type = call.aggregate.type;
  return call;
}
WindowFrame Frame(Mode mode, Bound start, int64_t start_offset, Bound end, int64_t end_offset,
                  WindowFrame::Exclude exclude = WindowFrame::Exclude::kNone) {
  WindowFrame frame;
  frame.mode = mode;
  frame.start = start;
  frame.end = end;
  if (start == Bound::kPreceding || start == Bound::kFollowing) frame.start_offset = Number(start_offset);
  if (end == Bound::kPreceding || end == Bound::kFollowing) frame.end_offset = Number(end_offset);
  frame.exclude = exclude;
  return frame;
}

/// Whether row j is in the frame of row i, by the definition.
bool InFrame(const WindowFrame& frame, const Partitions& all, size_t p, size_t i, size_t j, const std::vector<Order>& orders) {
  const auto& peers = all.peers[p];
  const auto offset = [](const expr::ExprPtr& e) { return static_cast<const expr::Literal&>(*e).value().As<int64_t>(); };
  const auto side = [&](Bound bound, const expr::ExprPtr& by, bool start) {
    if (bound == Bound::kUnboundedPreceding || bound == Bound::kUnboundedFollowing) return true;
    int64_t x = 0, y = 0;  // positions of i and j
    if (frame.mode == Mode::kRows) x = static_cast<int64_t>(i), y = static_cast<int64_t>(j);
    if (frame.mode == Mode::kGroups || (frame.mode == Mode::kRange && bound == Bound::kCurrentRow)) x = peers[i], y = peers[j];
    if (frame.mode == Mode::kRange && bound != Bound::kCurrentRow) {
      const data::Column& key = *all.batch.columns[static_cast<size_t>(orders[0].column)];
      const int32_t a = all.lists[p][i], b = all.lists[p][j];
      if (key.IsNull(a) || key.IsNull(b)) {
        if (key.IsNull(a) && key.IsNull(b)) return true;
        const bool before = j < i;  // NULLs stand outside of every offset
        return start ? !before : before;
      }
      x = key.data<int32_t>()[a], y = key.data<int32_t>()[b];
      if (orders[0].descending) x = -x, y = -y;
    }
    if (bound == Bound::kPreceding) x -= offset(by);
    if (bound == Bound::kFollowing) x += offset(by);
    return start ? y >= x : y <= x;
  };
  if (!side(frame.start, frame.start_offset, true) || !side(frame.end, frame.end_offset, false)) return false;
  switch (frame.exclude) {
    case WindowFrame::Exclude::kNone: return true;
    case WindowFrame::Exclude::kCurrentRow: return i != j;
    case WindowFrame::Exclude::kGroup: return peers[i] != peers[j];
    case WindowFrame::Exclude::kTies: return i == j || peers[i] != peers[j];
  }
  return true;
}

Value Expected(const WindowCall& call, const Partitions& all, size_t p, size_t i, const std::vector<Order>& orders) {
  const auto& list = all.lists[p];
  const auto& peers = all.peers[p];
  const auto n = static_cast<int64_t>(list.size());
  const auto number = static_cast<int64_t>(i) + 1;
  const int64_t rank = std::find(peers.begin(), peers.end(), peers[i]) - peers.begin() + 1;
  const data::Column& a = *all.batch.columns[1];
  const auto argument = [&](size_t k) { return static_cast<const expr::Literal&>(*call.arguments[k]).value().As<int32_t>(); };
  switch (call.kind) {
    case Kind::kRowNumber: return Value::Int8(number);
    case Kind::kRank: return Value::Int8(rank);
    case Kind::kDenseRank: return Value::Int8(peers[i] + 1);
    case Kind::kPercentRank: return Value::Fixed<double>(TypeId::kFloat8, n == 1 ? 0 : static_cast<double>(rank - 1) / static_cast<double>(n - 1));
    case Kind::kCumeDist:
      return Value::Fixed<double>(
          TypeId::kFloat8,
          static_cast<double>(std::count_if(peers.begin(), peers.end(), [&](int peer) { return peer <= peers[i]; })) / static_cast<double>(n));
    case Kind::kNtile: {
      const int32_t buckets = argument(0);
      int64_t row = 0;
      for (int32_t bucket = 1; bucket <= buckets; ++bucket) {
        row += n / buckets + (bucket <= n % buckets ? 1 : 0);
        if (number <= row) return Value::Fixed<int32_t>(TypeId::kInt4, bucket);
      }
      return Value::Null(TypeId::kInt4);
    }
    case Kind::kLag:
    case Kind::kLead: {
      const int64_t at = static_cast<int64_t>(i) + (call.kind == Kind::kLag ? -argument(1) : argument(1));
      if (at >= 0 && at < n) return data::ValueAt(a, list[static_cast<size_t>(at)]);
      return call.arguments.size() > 2 ? Value::Fixed<int32_t>(TypeId::kInt4, argument(2)) : Value::Null(TypeId::kInt4);
    }
    default: break;
  }
  std::vector<int32_t> rows;
  for (size_t j = 0; j < list.size(); ++j)
    if (InFrame(call.frame, all, p, i, j, orders)) rows.push_back(list[j]);
  if (call.kind == Kind::kFirstValue) return rows.empty() ? Value::Null(TypeId::kInt4) : data::ValueAt(a, rows.front());
  if (call.kind == Kind::kLastValue) return rows.empty() ? Value::Null(TypeId::kInt4) : data::ValueAt(a, rows.back());
  if (call.kind == Kind::kNthValue)
    return static_cast<int64_t>(rows.size()) < argument(1) ? Value::Null(TypeId::kInt4)
                                                           : data::ValueAt(a, rows[static_cast<size_t>(argument(1)) - 1]);
  if (call.aggregate.filter) std::erase_if(rows, [&](int32_t row) { return a.IsNull(row) || a.data<int32_t>()[row] <= 0; });
  if (call.aggregate.name == "count") return Value::Int8(static_cast<int64_t>(rows.size()));
  std::erase_if(rows, [&](int32_t row) { return a.IsNull(row); });
  if (rows.empty()) return Value::Null(call.type);
  int64_t sum = 0;
  int32_t least = INT32_MAX;
  for (const int32_t row : rows) {
    sum += a.data<int32_t>()[row];
    least = std::min(least, a.data<int32_t>()[row]);
  }
  return call.aggregate.name == "sum" ? Value::Int8(sum) : Value::Fixed<int32_t>(TypeId::kInt4, least);
}

Multiset Expected(const plan::Node& node, const std::vector<TestRow>& input, const std::vector<WindowCall>& calls, const std::vector<Order>& orders,
                  bool by_k) {
  const Partitions all(input, orders, by_k);
  std::vector<TestRow> rows;
  for (size_t p = 0; p < all.lists.size(); ++p) {
    for (size_t i = 0; i < all.lists[p].size(); ++i) {
      std::vector<Value> more;
      for (const WindowCall& call : calls) more.push_back(Expected(call, all, p, i, orders));
      rows.push_back(With(all.batch, all.lists[p][i], std::move(more)));
    }
  }
  return ToMultiset(node.schema, rows);
}

/// After every epoch, and in one run that sees all changes before it gives a row.
void CheckOver(const std::vector<Order>& orders, std::vector<WindowCall> calls, bool by_k, uint64_t seed) {
  const data::Schema schema = TestSchema();
  std::vector<std::string> names;
  for (size_t i = 0; i < calls.size(); ++i) names.push_back("w" + std::to_string(i));
  const plan::NodePtr node =
      plan::MakeOver(TestInput(schema, false), by_k ? std::vector{Col(schema, "k")} : std::vector<expr::ExprPtr>(), Keys(orders), calls, names);
  std::mt19937_64 random(seed);
  TestStream stream(schema, false, RandomRow);
  TestRun run([&] { return MakeOrDie(*node); }), once([&] { return MakeOrDie(*node, /*bounded=*/true); });
  for (int epoch = 0; epoch < 30; ++epoch) {
    for (data::ChangeBatch& batch : stream.Epoch(random, random() % (epoch % 5 == 0 ? 40 : 4))) {
      once.Batch(0, batch);
      run.Batch(0, std::move(batch));
    }
    const bool flush = random() % 4 != 0;
    run.End(INT64_MIN, flush);
    once.End(INT64_MIN, /*flush=*/false);
    if (!flush) continue;
    ASSERT_EQ(run.contents(), Expected(*node, stream.rows(), calls, orders, by_k)) << "epoch " << epoch;
    if (random() % 5 == 0) run.Restart();
  }
  once.End();
  EXPECT_EQ(once.contents(), Expected(*node, stream.rows(), calls, orders, by_k));
}

TEST(OverTest, EachFunctionEqualsItsDefinitionAfterEveryEpoch) {
  const data::Schema schema = TestSchema();
  const expr::ExprPtr a = Col(schema, "a");
  std::vector<WindowCall> calls = {
      Call(Kind::kRowNumber, TypeId::kInt8),
      Call(Kind::kRank, TypeId::kInt8),
      Call(Kind::kDenseRank, TypeId::kInt8),
      Call(Kind::kPercentRank, TypeId::kFloat8),
      Call(Kind::kCumeDist, TypeId::kFloat8),
      Call(Kind::kNtile, TypeId::kInt4, {Number4(3)}),
      Call(Kind::kLag, TypeId::kInt4, {a, Number4(2)}),
      Call(Kind::kLead, TypeId::kInt4, {a, Number4(1), Number4(99)}),
      Call(Kind::kLag, TypeId::kInt4, {a, Number4(-1)}),
  };
  const WindowFrame frames[] = {
      {},
      Frame(Mode::kRows, Bound::kPreceding, 2, Bound::kCurrentRow, 0),
      Frame(Mode::kRows, Bound::kPreceding, 1, Bound::kFollowing, 2),
      Frame(Mode::kRows, Bound::kFollowing, 1, Bound::kFollowing, 3),
      Frame(Mode::kRows, Bound::kPreceding, 3, Bound::kPreceding, 2),
      Frame(Mode::kRows, Bound::kUnboundedPreceding, 0, Bound::kCurrentRow, 0),
      Frame(Mode::kRows, Bound::kCurrentRow, 0, Bound::kUnboundedFollowing, 0),
      Frame(Mode::kGroups, Bound::kPreceding, 1, Bound::kFollowing, 1),
      Frame(Mode::kRange, Bound::kPreceding, 2, Bound::kCurrentRow, 0),
      Frame(Mode::kRange, Bound::kPreceding, 1, Bound::kFollowing, 3),
      Frame(Mode::kRange, Bound::kFollowing, 1, Bound::kUnboundedFollowing, 0),
      Frame(Mode::kRange, Bound::kUnboundedPreceding, 0, Bound::kUnboundedFollowing, 0),
      Frame(Mode::kRows, Bound::kPreceding, 2, Bound::kFollowing, 2, WindowFrame::Exclude::kCurrentRow),
      Frame(Mode::kGroups, Bound::kPreceding, 1, Bound::kCurrentRow, 0, WindowFrame::Exclude::kGroup),
      Frame(Mode::kRange, Bound::kUnboundedPreceding, 0, Bound::kCurrentRow, 0, WindowFrame::Exclude::kTies),
  };
  for (const WindowFrame& frame : frames) {
    for (const char* name : {"count", "sum", "min"}) calls.push_back(AggregateCall(name, frame, name[0] == 's'));
    calls.push_back(Call(Kind::kFirstValue, TypeId::kInt4, {a}, frame));
    calls.push_back(Call(Kind::kLastValue, TypeId::kInt4, {a}, frame));
    calls.push_back(Call(Kind::kNthValue, TypeId::kInt4, {a, Number4(2)}, frame));
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "call " << i);
    CheckOver({{1, i % 2 == 1, i % 3 == 1}}, {calls[i]}, i % 4 != 3, i);
    if (testing::Test::HasFatalFailure()) return;
  }
  // Several at once: the widest reach holds for all.
  CheckOver({{1, false, false}, {3, true, true}}, {calls[0], calls[6], calls[15]}, true, 1000);
  CheckOver({{1, false, false}}, calls, true, 1001);
}

// Long partitions: running aggregates go on from states in the middle, and frames over keys look back only as far as they reach.
TEST(OverTest, LongPartitionsAreContinuedInTheMiddle) {
  const data::Schema schema = TestSchema();
  const std::vector<Order> orders = {{1, false, false}};
  const auto wide = [](std::mt19937_64& random) {
    TestRow row = RandomRow(random);
    if (!row[1].null) row[1] = Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(random() % 400));
    row[0] = Value::Null(TypeId::kInt4);
    return row;
  };
  std::vector<WindowCall> calls = {AggregateCall("sum", {}),
                                   AggregateCall("count", Frame(Mode::kRows, Bound::kUnboundedPreceding, 0, Bound::kCurrentRow, 0)),
                                   Call(Kind::kDenseRank, TypeId::kInt8),
                                   AggregateCall("min", {}),
                                   AggregateCall("sum", Frame(Mode::kRange, Bound::kPreceding, 3, Bound::kCurrentRow, 0)),
                                   AggregateCall("count", Frame(Mode::kGroups, Bound::kPreceding, 2, Bound::kCurrentRow, 0), true),
                                   Call(Kind::kLag, TypeId::kInt4, {Col(schema, "a"), Number4(3)})};
  for (size_t take = 0; take <= calls.size(); ++take) {
    SCOPED_TRACE(testing::Message() << "call " << take);
    const std::vector<WindowCall> chosen = take == calls.size() ? calls : std::vector<WindowCall>{calls[take]};
    std::vector<std::string> names(chosen.size(), "w");
    const plan::NodePtr node = plan::MakeOver(TestInput(schema, false), {}, Keys(orders), chosen, names);
    std::mt19937_64 random(take);
    TestStream stream(schema, false, wide);
    TestRun run([&] { return MakeOrDie(*node); });
    for (int epoch = 0; epoch < 12; ++epoch) {
      for (data::ChangeBatch& batch : stream.Epoch(random, epoch == 0 ? 500 : 1 + random() % 3)) run.Batch(0, std::move(batch));
      run.End();
      const Partitions all(stream.rows(), orders, false);
      std::vector<TestRow> rows;
      for (size_t i = 0; !all.lists.empty() && i < all.lists[0].size(); ++i) {
        std::vector<Value> more;
        for (const WindowCall& call : chosen) more.push_back(Expected(call, all, 0, i, orders));
        rows.push_back(With(all.batch, all.lists[0][i], std::move(more)));
      }
      ASSERT_EQ(run.contents(), ToMultiset(node->schema, rows)) << "epoch " << epoch;
      if (epoch % 4 == 2) run.Restart();
    }
  }
}

TEST(OverTest, AChangeTouchesTheRowsInReach) {
  const data::Schema schema = TestSchema();
  const plan::NodePtr node = plan::MakeOver(TestInput(schema, false), {}, Keys({{1, false, false}}),
                                            {AggregateCall("sum", Frame(Mode::kRows, Bound::kPreceding, 2, Bound::kCurrentRow, 0)),
                                             Call(Kind::kLag, TypeId::kInt4, {Col(schema, "a"), Number4(1)})},
                                            {"s", "l"});
  TestRun run([&] { return MakeOrDie(*node); });
  const auto row = [](int32_t a) {
    return TestRow{Value::Null(TypeId::kInt4), Value::Fixed<int32_t>(TypeId::kInt4, a), Value::Null(TypeId::kNumeric), Value::Text("")};
  };
  std::vector<TestRow> rows;
  for (int32_t i = 0; i < 1000; ++i) rows.push_back(row(i * 10));
  run.Batch(0, MakeBatch(schema, rows));
  run.End();
  run.Batch(0, MakeBatch(schema, {row(5005)}));
  int64_t changes = 0;
  for (const data::ChangeBatch& batch : run.End()) changes += batch.rows;
  EXPECT_EQ(changes, 1 + 2 * 2);  // the new row, and the two after it
}

// So many rows that a run parts them before it sorts them.
TEST(OverTest, ARunOfManyRowsIsSortedInParts) {
  constexpr int32_t kRows = 1'200'000, kPartitions = 1'000, kBatch = 8'192;
  const data::Schema schema{{{"k", TypeId::kInt4}, {"a", TypeId::kInt4}}};
  const plan::NodePtr node =
      plan::MakeOver(TestInput(schema, true), {Col(schema, "k")}, {{Col(schema, "a"), false, false}}, {Call(Kind::kRowNumber, TypeId::kInt8)}, {"n"});
  const auto op = MakeOrDie(*node, /*bounded=*/true);
  Output out;
  for (int32_t from = 0; from < kRows; from += kBatch) {
    data::ColumnBuilder k(TypeId::kInt4), a(TypeId::kInt4);
    for (int32_t i = from; i < std::min(kRows, from + kBatch); ++i) {
      k.Append(i % kPartitions);
      a.Append(i);
    }
    data::ChangeBatch batch;
    batch.rows = k.size();
    batch.columns = {k.Finish(), a.Finish()};
    ASSERT_TRUE(op->OnBatch(0, std::move(batch), out).ok());
  }
  ASSERT_TRUE(op->OnEpochEnd({}, out).ok());
  int64_t rows = 0;
  for (const data::ChangeBatch& batch : out) {
    rows += batch.rows;
    for (int64_t i = 0; i < batch.rows; ++i) {
      const int32_t a = batch.columns[1]->data<int32_t>()[i];
      ASSERT_EQ(batch.columns[0]->data<int32_t>()[i], a % kPartitions);
      ASSERT_EQ(batch.columns[2]->data<int64_t>()[i], a / kPartitions + 1);
    }
  }
  EXPECT_EQ(rows, kRows);
  EXPECT_EQ(op->held_bytes(), 0);
}

}  // namespace
}  // namespace kappa::ops
