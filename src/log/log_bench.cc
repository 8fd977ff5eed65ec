// Appends batches of 200-byte records to the real disk and reads them back.
//
// Sketch: a 64 KiB batch costs one pass of CRC-32C (about 8 us at 8 GB/s) and one copy into the page cache (about 15 us), so one
// producer that does not wait should reach 2 to 3 GB/s in bursts, and the disk's own speed for long. A producer that waits
// for each batch pays one fdatasync, 0.1 to 0.3 ms here: 300 records a batch is then about 1 M records/s.
// Built on demand: ninja -C build/release log_bench.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>

#include "io/clock.h"
#include "io/folder.h"
#include "log/log.h"
#include "log/record_batch.h"

using namespace kappa;
using namespace kappa::log;

namespace {

double Seconds() { return static_cast<double>(io::RealClock().SteadyMicros()) * 1e-6; }

void Report(const char* what, double seconds, int64_t batches, const std::string& batch, int records) {
  std::printf("%-34s %8.1f us/batch  %10.0f records/s  %8.1f MB/s\n", what, seconds * 1e6 / static_cast<double>(batches),
              static_cast<double>(batches) * records / seconds, static_cast<double>(batches) * static_cast<double>(batch.size()) / seconds / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "/tmp/kappa_log_bench";
  if (!io::RemoveTree(folder).ok()) return 1;
  for (int records : {1, 300}) {
    BatchBuilder builder;
    for (int i = 0; i < records; ++i) builder.Add(1'700'000'000'000 + i, "key-1234", std::string(200, 'x'));
    const std::string batch = builder.Finish();
    auto log = Log::Open(folder, {}, io::RealClock());
    if (!log.ok()) return 1;
    auto topic = (*log)->CreateTopic("t" + std::to_string(records), {});
    if (!topic.ok()) return 1;
    Partition& partition = (*topic)->partition(0);
    std::printf("-- batches of %d records, %zu bytes\n", records, batch.size());

    std::mutex mutex;
    std::condition_variable wake;
    int64_t answered = 0;
    auto wait_for = [&](int64_t count) {
      std::unique_lock lock(mutex);
      wake.wait(lock, [&] { return answered >= count; });
    };
    auto on_durable = [&](KafkaError) {
      std::lock_guard lock(mutex);
      ++answered;
      wake.notify_one();
    };
    int64_t sent = 0;
    for (int in_flight : {1, 5, 100}) {
      const int64_t batches = in_flight == 1 ? 1000 : 4000;
      double start = Seconds();
      for (int64_t i = 0; i < batches; ++i) {
        ++sent;
        partition.Append(batch, on_durable);
        wait_for(sent - in_flight + 1);
      }
      wait_for(sent);
      char what[64];
      std::snprintf(what, sizeof what, "append, %d in flight", in_flight);
      Report(what, Seconds() - start, batches, batch, records);
    }
    double start = Seconds();
    int64_t read = 0;
    for (Offset from = 0; from < partition.durable_end();) {
      ReadResult result = partition.Read(from, 1 << 20);
      if (result.error != KafkaError::kNone) return 1;
      std::string_view rest = result.bytes;
      while (!rest.empty()) {
        auto header = ParseBatchHeader(rest);
        from = header->last_offset() + 1;
        ++read;
        rest.remove_prefix(header->total_bytes());
      }
    }
    Report("read, 1 MiB at a time", Seconds() - start, read, batch, records);
    std::vector<Record> parsed;
    std::string storage;
    start = Seconds();
    constexpr int kParses = 2000;
    for (int i = 0; i < kParses; ++i) {
      parsed.clear();
      if (!ParseRecords(*ParseBatchHeader(batch), *RecordsSection(batch, 1 << 26, storage), parsed).ok()) return 1;
    }
    Report("parse records", Seconds() - start, kParses, batch, records);
    log->reset();
    start = Seconds();
    log = Log::Open(folder, {}, io::RealClock());
    std::printf("open after a clean stop: %.2f ms\n", (Seconds() - start) * 1e3);
  }
  return io::RemoveTree(folder).ok() ? 0 : 1;
}
