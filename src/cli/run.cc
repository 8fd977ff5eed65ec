// kappa run: batch mode over files; kappa bench generate: files to run it on.
#include "cli/run.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <thread>

#include "cli/client.h"
#include "cli/progress.h"
#include "connect/generator.h"
#include "connect/nexmark.h"
#include "data/text.h"
#include "engine/batch_run.h"
#include "io/clock.h"
#include "io/folder.h"

namespace kappa::cli {
namespace {

std::atomic<bool> interrupted{false};

struct RunOptions {
  std::string sql;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::string stats;
  int threads = 0;
  size_t batch_rows = 8192;
  uint64_t state_memory_bytes = 0;
  std::string spill_folder;
};

std::vector<std::string> SplitOn(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    size_t end = text.find(separator, at);
    if (end == std::string::npos) end = text.size();
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

int Usage(const std::string& message) {
  fmt::print(stderr, "error: {}\n", message);
  return 2;
}

int Run(const RunOptions& options) {
  engine::BatchRunOptions batch;
  batch.sql_path = options.sql;
  batch.threads = options.threads > 0 ? options.threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  batch.batch_rows = options.batch_rows;
  batch.state_memory_bytes = options.state_memory_bytes;
  batch.spill_folder = options.spill_folder;
  batch.now_us = io::RealClock().WallMicros();
  for (const std::string& input : options.inputs) {
    const size_t equals = input.find('=');
    if (equals == std::string::npos || equals == 0) return Usage(fmt::format("--input takes NAME=PATH[,PATH..], not \"{}\"", input));
    auto& paths = batch.inputs[input.substr(0, equals)];
    for (std::string& path : SplitOn(input.substr(equals + 1), ',')) {
      if (path.empty()) return Usage(fmt::format("--input \"{}\" has an empty path", input));
      paths.push_back(std::move(path));
    }
  }
  for (const std::string& output : options.outputs) {
    const size_t equals = output.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == output.size())
      return Usage(fmt::format("--output takes VIEW=PATH, not \"{}\"", output));
    batch.outputs[output.substr(0, equals)] = output.substr(equals + 1);
  }
  batch.print_all = batch.outputs.empty();
  batch.print = [](const std::string& view, const data::Schema& schema, const data::Batch& rows) {
    Rows printed;
    for (const data::Field& field : schema.fields) {
      printed.columns.push_back(field.name);
      printed.types.push_back(field.type.oid());
    }
    std::string text;
    for (int64_t row = 0; row < rows.rows; ++row) {
      auto& cells = printed.rows.emplace_back();
      for (const data::ColumnPtr& column : rows.columns) {
        if (column->IsNull(row)) {
          cells.emplace_back();
          continue;
        }
        text.clear();
        data::AppendText(*column, row, {}, text);
        cells.emplace_back(text);
      }
    }
    fmt::print("{}\n", view);
    PrintRows(printed, RowFormat::kTable);
    fmt::print("\n");
  };
  struct sigaction action{};
  action.sa_handler = [](int) { interrupted = true; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGXFSZ, SIG_IGN);  // a file size limit is an error of that write, not the end
  batch.cancelled = [] { return interrupted.load(); };
  const bool terminal = isatty(STDERR_FILENO) != 0;
  double shown = 0;
  if (terminal) {
    batch.progress = [&](int64_t events, double seconds) {
      if (seconds - shown < 0.2) return;
      shown = seconds;
      fmt::print(stderr, "\r{} events, {:.0f} events/s \033[K", events, static_cast<double>(events) / seconds);
    };
  }
  auto stats = engine::RunBatch(batch);
  if (terminal && shown > 0) fmt::print(stderr, "\r\033[K");
  if (!stats.ok()) {
    PrintError(stats.error());
    return 1;
  }
  for (const std::string& sample : stats->dead_letter_samples) fmt::print(stderr, "dead letter: {}\n", sample);
  if (stats->dead_letters > static_cast<int64_t>(stats->dead_letter_samples.size()))
    fmt::print(stderr, "dead letters: {} in all\n", stats->dead_letters);
  fmt::print(stderr, "{} in {:.3f} s, {:.0f} events/s, {}{} dead letters\n", Counted(static_cast<uint64_t>(stats->events), "event"), stats->seconds,
             stats->seconds > 0 ? static_cast<double>(stats->events) / stats->seconds : 0.0,
             stats->late ? fmt::format("{} late, ", *stats->late) : "", stats->dead_letters);
  for (const auto& [view, figures] : stats->views) {
    if (figures.kept) {
      fmt::print(stderr, "{}: {} rows, digest {}\n", view, figures.rows, figures.digest);
    } else {
      fmt::print(stderr, "{}: {} changes dropped\n", view, figures.changes);
    }
  }
  if (!options.stats.empty()) {
    Status written = io::WriteFileAtomically(options.stats, stats->ToJson());
    if (!written.ok()) {
      PrintError(written.error());
      return 1;
    }
  }
  return 0;
}

}  // namespace

void AddRunCommand(CLI::App& app, std::function<int()>* run) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Run a SQL file over files that end, without a server");
  command->footer(
      "The file declares streams, tables and views. Each PATH is one partition in file order; tables are loaded before\n"
      "the streams; at the end of input all windows close. Rows come in ascending order of all columns.\n"
      "Kinds by extension: .jsonl .csv .parquet, the first two also with .zst or .gz. VIEW=blackhole: computes and drops.\n"
      "Without --output every view is printed.\n\n"
      "Example: kappa run views.sql --input orders=orders.jsonl.zst --output spend_by_user=spend.csv");
  command->add_option("file", options->sql, "SQL file")->required();
  command->add_option("--input", options->inputs, "NAME=PATH[,PATH..] of a stream or table")->type_name("NAME=PATH[,PATH]");
  command->add_option("--output", options->outputs, "VIEW=PATH, or VIEW=blackhole:")->type_name("VIEW=PATH");
  command->add_option("--threads", options->threads, "Threads; 0 is one a core")->capture_default_str()->check(CLI::Range(0, 256));
  command->add_option("--state-memory", options->state_memory_bytes, "State in memory, as 512MB or 4GB; the rest spills. 0: 60 % of the memory")
      ->capture_default_str()
      ->transform(CLI::AsSizeValue(false));
  command->add_option("--spill-dir", options->spill_folder, "Folder on a disk for state beyond --state-memory ($TMPDIR, else /var/tmp)");
  command->add_option("--stats", options->stats, "Write figures as JSON to this file");
  command->add_option("--batch-rows", options->batch_rows, "Rows of a batch (tests use 1 and 7)")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  command->callback([options, run] { *run = [options] { return Run(*options); }; });
}

void AddGenerateCommand(CLI::App& app, std::function<int()>* run) {
  struct Options {
    std::string path;
    connect::GenerateOptions generate;
    connect::NexmarkOptions nexmark;
    bool is_nexmark = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("generate", "Write made-up events as JSON lines, the same bytes for the same options");
  command->add_option("path", options->path, "File to write (.jsonl, also .zst and .gz); with --nexmark a folder")->required();
  command->add_option("--events", options->generate.events, "Number of events")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_option("--users", options->generate.users, "Distinct users")->capture_default_str()->check(CLI::PositiveNumber);
  command->add_option("--bytes", options->generate.bytes_per_event, "Bytes of an event")->capture_default_str();
  command->add_option("--seed", options->generate.seed, "Seed")->capture_default_str();
  command->add_option("--step-us", options->generate.step_us, "Event time between events, microseconds")->capture_default_str();
  command->add_option("--first", options->generate.first_event, "Number of the first event, so that files can be parts")->capture_default_str();
  CLI::Option* nexmark =
      command->add_flag("--nexmark", options->is_nexmark, "The Nexmark benchmark's people, auctions and bids instead, as files in a folder");
  command->add_option("--rate", options->nexmark.rate, "Nexmark: events per second of event time")
      ->needs(nexmark)
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--out-of-order-ms", options->nexmark.out_of_order_ms, "Nexmark: event times lie up to so much behind")
      ->needs(nexmark)
      ->capture_default_str();
  command->add_option("--parts", options->nexmark.parts, "Nexmark: files of each kind")
      ->needs(nexmark)
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command->callback([options, run] {
    *run = [options] {
      options->nexmark.events = options->generate.events;
      options->nexmark.seed = options->generate.seed;
      options->nexmark.first_event = options->generate.first_event;
      const Status status =
          options->is_nexmark ? connect::GenerateNexmark(options->path, options->nexmark) : connect::GenerateEvents(options->path, options->generate);
      if (!status.ok()) {
        PrintError(status.error());
        return 1;
      }
      return 0;
    };
  });
}

}  // namespace kappa::cli
