// What a core aggregates: count(*), sum(int8) and sum(numeric) by a text key. Expected on a 3 GHz core: at least 5 M rows/s at
// 1 M groups (about two cache misses a row, overlapped) and 15 M rows/s at 100 groups. Usage: program [rows] [groups ..].
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "data/numeric.h"
#include "data/value.h"
#include "ops/factories.h"
#include "plan/build.h"

namespace kappa::ops {
namespace {

constexpr int64_t kBatchRows = 8192;

/// Seconds of CPU, so that a busy machine does not count.
double Now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

std::vector<data::ChangeBatch> MakeInput(const data::Schema& schema, int64_t rows, int64_t groups) {
  std::vector<data::ChangeBatch> batches;
  uint64_t x = 88172645463325252ULL;
  for (int64_t from = 0; from < rows; from += kBatchRows) {
    data::ColumnBuilder key(schema.fields[0].type), number(schema.fields[1].type), amount(schema.fields[2].type);
    for (int64_t i = 0; i < kBatchRows; ++i) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      key.AppendBytes("user-" + std::to_string(10'000'000 + static_cast<int64_t>(x % static_cast<uint64_t>(groups))));
      number.Append(static_cast<int64_t>(x % 1000));
      data::Numeric(static_cast<int64_t>(x % 100000), 2).AppendTo(amount);
    }
    data::ChangeBatch batch;
    batch.rows = kBatchRows;
    batch.columns = {key.Finish(), number.Finish(), amount.Finish()};
    batches.push_back(std::move(batch));
  }
  return batches;
}

void Run(int64_t rows, int64_t groups, bool append_only) {
  data::Schema schema{
      {{"k", data::TypeId::kText}, {"l", data::TypeId::kInt8}, {"n", data::Type(data::TypeId::kNumeric).WithModifier(((12 << 16) | 2) + 4)}}};
  auto scan = std::make_shared<plan::Scan>();
  scan->schema = schema;
  scan->append_only = append_only;
  auto column = [&](int i) { return expr::MakeColumn(i, schema.fields[static_cast<size_t>(i)].type, "c"); };
  using expr::AggregateKind;
  std::vector<expr::AggregateCall> calls;
  calls.push_back({.kind = AggregateKind::kCountStar,
                   .arguments = {},
                   .distinct = false,
                   .filter = nullptr,
                   .order_by = {},
                   .type = data::TypeId::kInt8,
                   .name = "count"});
  calls.push_back({.kind = AggregateKind::kSum,
                   .arguments = {column(1)},
                   .distinct = false,
                   .filter = nullptr,
                   .order_by = {},
                   .type = data::TypeId::kNumeric,
                   .name = "sum"});
  calls.push_back({.kind = AggregateKind::kSum,
                   .arguments = {column(2)},
                   .distinct = false,
                   .filter = nullptr,
                   .order_by = {},
                   .type = data::TypeId::kNumeric,
                   .name = "sum"});
  auto node = plan::MakeAggregate(scan, {column(0)}, calls, {"k", "a", "b", "c"}, -1, 0);
  auto op = std::move(MakeOperator(*node, {})).value();
  auto batches = MakeInput(schema, rows, groups);
  Output out;
  for (const char* phase : {"first", "again"}) {
    double start = Now();
    for (const auto& batch : batches) KAPPA_CHECK(op->OnBatch(0, batch, out).ok());
    double update = Now() - start;
    start = Now();
    KAPPA_CHECK(op->OnEpochEnd({}, out).ok());
    int64_t emitted = 0;
    for (const auto& batch : out) emitted += batch.rows;
    double flush = Now() - start;
    std::printf("%9lld groups, %s pass: %6.1f M rows/s in batches, flush of %lld rows %.3f s\n", static_cast<long long>(groups), phase,
                static_cast<double>(rows) / update / 1e6, static_cast<long long>(emitted), flush);
    out.Take();
  }
}

}  // namespace
}  // namespace kappa::ops

int main(int argc, char** argv) {
  int64_t rows = argc > 1 ? std::atoll(argv[1]) / 8192 * 8192 : 8'192'000;
  if (argc > 2) {
    for (int i = 2; i < argc; ++i) kappa::ops::Run(rows, std::atoll(argv[i]), true);
  } else {
    for (int64_t groups : {100, 10'000, 1'000'000}) kappa::ops::Run(rows, groups, true);
  }
}
