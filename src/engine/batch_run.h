// Batch mode: the same SQL over files that end, without a server. Its views hold what the live system would hold.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/batch.h"

namespace kappa::engine {

struct BatchRunOptions {
  std::string sql_path;
  std::map<std::string, std::vector<std::string>> inputs;  // stream or table -> files, each one partition
  std::map<std::string, std::string> outputs;              // view -> path by extension, or "blackhole:"
  bool print_all = false;                                  // no outputs given: `print` gets every view
  int threads = 1;
  size_t batch_rows = 8192;
  uint64_t state_memory_bytes = 0;                         // 0: state::DefaultMemoryLimit()
  std::string spill_folder;                                // empty: $TMPDIR, or /var/tmp, or /tmp
  int64_t now_us = 0;                                      // the one epoch's wall time
  std::function<void(int64_t events, double seconds)> progress;
  std::function<void(const std::string& view, const data::Schema& schema, const data::Batch& rows)> print;
  std::function<void(const std::string& message)> notice;
  std::function<bool()> cancelled;
};

struct BatchRunStats {
  int64_t events = 0;
  double seconds = 0;
  std::optional<int64_t> late;  // rows behind the watermark, of the streams of which a view asks; none: no event time was looked at
  int64_t dead_letters = 0;
  int64_t peak_rss_bytes = 0;
  uint64_t state_bytes = 0;  // at the end of the input
  struct View {
    int64_t rows = 0;
    std::string digest;
    int64_t changes = 0;
    bool kept = true;
  };
  std::map<std::string, View> views;
  std::vector<std::string> dead_letter_samples;  // the first few: "file:offset: reason"
  std::string ToJson() const;
};

/// Runs the file. Rows of an output come in ascending order of all columns (NULLs last).
Result<BatchRunStats> RunBatch(const BatchRunOptions& options);

}  // namespace kappa::engine
