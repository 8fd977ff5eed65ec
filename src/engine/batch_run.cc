// Declares what the file declares, loads tables, feeds the streams, closes the windows, writes the views.
#include "engine/batch_run.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <numeric>

#include "connect/file_source.h"
#include "engine/core.h"
#include "format/decoder.h"
#include "io/folder.h"
#include "ops/sort_order.h"
#include "ops/sorted_rows.h"
#include "plan/build.h"
#include "state/memory.h"

namespace kappa::engine {
namespace {

constexpr int64_t kRecordBytesGuess = 100;  // which input is larger matters, and whether a table is small
constexpr int64_t kReplicatedRowsMax = 1 << 18;  // of a table, about, and all shards
constexpr size_t kStepBytes = 4 << 20;      // of input between two steps, of all files together
constexpr size_t kChunkBytesMin = 1 << 20;  // of one file
constexpr size_t kDeadSamples = 5;
constexpr const char* kBlackhole = "blackhole:";

/// Where an error at a character of the file is: "file.sql:3:8".
Error InFile(const Error& error, const std::string& path, std::string_view text) {
  if (error.position() <= 0) return error;
  int line = 1, column = 1, character = 1;
  for (size_t i = 0; i < text.size() && character < error.position(); ++i) {
    if ((text[i] & 0xC0) == 0x80) continue;  // inside a UTF-8 character
    ++character;
    ++column;
    if (text[i] == '\n') {
      ++line;
      column = 1;
    }
  }
  Error located(error.sqlstate().c_str(), fmt::format("{}:{}:{}: {}", path, line, column, error.message()));
  return std::move(located).Detail(error.detail()).Hint(error.hint());
}

/// Rows in ascending order of all columns, NULLs last.
data::Batch Sorted(const data::Batch& rows) {
  std::vector<int32_t> order(static_cast<size_t>(rows.rows));
  std::iota(order.begin(), order.end(), 0);
  std::vector<ops::SortColumn> columns;
  for (const data::ColumnPtr& column : rows.columns) columns.push_back({column});
  ops::SortRows(columns, order);
  return data::Gather(data::ChangeBatch(rows), order).AsBatch();
}

/// No row is taken back or comes more than once in a batch's row.
bool OnlyGives(const std::vector<data::ChangeBatch>& changes) {
  return std::all_of(changes.begin(), changes.end(), [](const data::ChangeBatch& batch) {
    return batch.weights == nullptr || std::all_of(batch.weights->begin(), batch.weights->end(), [](int64_t weight) { return weight == 1; });
  });
}

/// What a pool's idle threads do while this lives.
class SpareWork {
 public:
  SpareWork(flow::ThreadPool& pool, std::function<bool()> work) : pool_(pool) { pool_.SetSpareWork(std::move(work)); }
  ~SpareWork() { pool_.SetSpareWork(nullptr); }
  SpareWork(const SpareWork&) = delete;
  SpareWork& operator=(const SpareWork&) = delete;

 private:
  flow::ThreadPool& pool_;
};

class BatchRun {
 public:
  explicit BatchRun(const BatchRunOptions& options) : options_(options), pool_(options.threads) {
    flow::FlowOptions flow_options;
    flow_options.shards = options.threads;
    flow_options.batch_rows = options.batch_rows;
    flow_options.operators.context.fail_on_error = false;
    flow_options.operators.once = true;
    flow_ = std::make_unique<flow::LogFlow>(flow_options, pool_);
  }

  Result<BatchRunStats> Run() {
    const auto begin = std::chrono::steady_clock::now();
    KAPPA_RETURN_IF_ERROR(BoundMemory());
    KAPPA_ASSIGN_OR_RETURN(text_, io::ReadWholeFile(options_.sql_path, 16 << 20));
    Status status = Declare();
    if (!status.ok()) return InFile(status.error(), options_.sql_path, text_);
    KAPPA_RETURN_IF_ERROR(CheckNames());
    flow_->PassTime(options_.now_us);
    KAPPA_RETURN_IF_ERROR(LoadTables());
    KAPPA_RETURN_IF_ERROR(ReadStreams());
    flow_->EndInput();
    flow_->FlushOnce();
    KAPPA_RETURN_IF_ERROR(Step({}, {}, true));
    stats_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    stats_.state_bytes = state::GetMemoryUse().page_bytes;
    KAPPA_RETURN_IF_ERROR(WriteOutputs());
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    stats_.peak_rss_bytes = static_cast<int64_t>(usage.ru_maxrss) * 1024;
    return stats_;
  }

 private:
  struct View {
    uint32_t id = 0;
    std::string path;      // empty: not asked for
    bool wanted = false;
    std::unique_ptr<ops::SortedRows> rows;  // null when dropped into the black hole or not wanted
    std::vector<data::ChangeBatch> last;    // instead of these: rows that the last step alone gave, and only gave
    data::Schema schema;
  };

  Status BoundMemory() {
    const uint64_t bytes = options_.state_memory_bytes > 0 ? options_.state_memory_bytes : state::DefaultMemoryLimit();
    if (!options_.spill_folder.empty()) return state::SetMemoryLimit(bytes, options_.spill_folder);
    const char* named = std::getenv("TMPDIR");
    const std::string folder = named != nullptr && *named != 0 ? named : io::Exists("/var/tmp") ? "/var/tmp" : "/tmp";
    (void)state::SetMemoryLimit(bytes, folder);  // nobody asked for this folder: it is an error when it is needed
    return {};
  }

  /// About how many records a stream's or table's files have; 0 without files.
  int64_t InputRows(uint32_t relation) const {
    for (const auto& [name, paths] : options_.inputs) {
      const catalog::Stream* stream = catalog_.FindStream(name);
      const catalog::Table* table = catalog_.FindTable(name);
      if ((stream == nullptr || stream->id != relation) && (table == nullptr || table->id != relation)) continue;
      int64_t bytes = 0;
      for (const std::string& path : paths) {
        std::error_code unreadable;  // is told when the file is opened
        const auto size = std::filesystem::file_size(path, unreadable);
        if (!unreadable) bytes += static_cast<int64_t>(size);
      }
      return bytes / kRecordBytesGuess + 1;
    }
    return 0;
  }

  sql::BindContext Context() {
    sql::BindContext context;
    context.catalog = &catalog_;
    context.input_rows = [this](uint32_t relation) { return InputRows(relation); };
    context.system_relation = [](std::string_view) -> const sql::SystemRelation* { return nullptr; };
    context.table_function = [](std::string_view name, const std::vector<data::Value>&) -> Result<data::Schema> {
      return Error(sqlstate::kFeatureNotSupported, fmt::format("function {} is not available in batch mode", name));
    };
    return context;
  }

  Status Declare() {
    KAPPA_ASSIGN_OR_RETURN(std::vector<sql::RawStatement> statements, sql::SplitStatements(text_));
    for (const sql::RawStatement& raw : statements) {
      KAPPA_ASSIGN_OR_RETURN(sql::BoundStatement bound, sql::Bind(raw, Context()));
      if (auto* create = std::get_if<sql::CreateStreamStatement>(&bound)) {
        KAPPA_RETURN_IF_ERROR(DeclareStream(create->stream, create->if_not_exists));
      } else if (auto* table = std::get_if<sql::CreateTableStatement>(&bound)) {
        KAPPA_RETURN_IF_ERROR(DeclareTable(table->table, table->if_not_exists));
      } else if (auto* type = std::get_if<sql::CreateTypeStatement>(&bound)) {
        if (catalog_.TypeExists(type->type.name) || catalog_.Exists(type->type.name))
          return Error("42710", fmt::format("type \"{}\" already exists", type->type.name));
        catalog_.types[type->type.name] = type->type;
      } else if (auto* domain = std::get_if<sql::CreateDomainStatement>(&bound)) {
        if (catalog_.TypeExists(domain->domain.name) || catalog_.Exists(domain->domain.name))
          return Error("42710", fmt::format("type \"{}\" already exists", domain->domain.name));
        catalog_.domains[domain->domain.name] = domain->domain;
      } else if (auto* view = std::get_if<sql::CreateViewStatement>(&bound)) {
        KAPPA_RETURN_IF_ERROR(DeclareView(*view));
      } else if (auto* insert = std::get_if<sql::InsertStatement>(&bound)) {
        KAPPA_ASSIGN_OR_RETURN(data::Batch rows, Evaluate(insert->plan));
        inserted_[insert->target].push_back(std::move(rows));
      } else if (std::holds_alternative<sql::SetStatement>(bound) || std::holds_alternative<sql::TransactionStatement>(bound)) {
        continue;
      } else {
        return Error(sqlstate::kFeatureNotSupported, "batch mode takes CREATE and INSERT statements")
            .At(raw.offset + 1)
            .Hint("Put queries into views; their rows are the output.");
      }
    }
    return {};
  }

  Result<std::vector<flow::ConstrainedColumn>> ConstraintsOf(const std::map<int, std::string>& domains) {
    KAPPA_ASSIGN_OR_RETURN(auto bound, sql::BindDomains(domains, Context()));
    std::vector<flow::ConstrainedColumn> constraints;
    for (auto& [column, domain] : bound) constraints.push_back({column, std::move(domain)});
    return constraints;
  }

  Status DeclareStream(catalog::Stream stream, bool if_not_exists) {
    if (catalog_.Exists(stream.name)) {
      if (if_not_exists) return {};
      return Error(sqlstate::kDuplicateTable, fmt::format("relation \"{}\" already exists", stream.name));
    }
    stream.id = next_id_++;
    auto input = options_.inputs.find(stream.name);
    if (input != options_.inputs.end()) stream.partitions = static_cast<int32_t>(input->second.size());
    flow::StreamSpec spec;
    spec.id = stream.id;
    spec.name = stream.name;
    spec.topic = stream.topic;
    spec.schema = stream.schema;
    spec.partitions = stream.partitions;
    KAPPA_ASSIGN_OR_RETURN(spec.constraints, ConstraintsOf(stream.domains));
    constraints_[stream.id] = spec.constraints;
    flow_->AddStream(std::move(spec), nullptr);
    catalog_.streams[stream.name] = std::move(stream);
    return {};
  }

  Status DeclareTable(catalog::Table table, bool if_not_exists) {
    if (catalog_.Exists(table.name)) {
      if (if_not_exists) return {};
      return Error(sqlstate::kDuplicateTable, fmt::format("relation \"{}\" already exists", table.name));
    }
    table.id = next_id_++;
    KAPPA_ASSIGN_OR_RETURN(constraints_[table.id], ConstraintsOf(table.domains));
    KAPPA_RETURN_IF_ERROR(flow_->AddTable({table.id, table.name, table.schema, table.primary_key, table.version_time, table.ttl_us}, nullptr));
    catalog_.tables[table.name] = std::move(table);
    return {};
  }

  Status DeclareView(const sql::CreateViewStatement& create) {
    const bool exists = catalog_.Exists(create.name);
    if (exists && create.if_not_exists) return {};
    if (exists && (!create.or_replace || catalog_.FindView(create.name) == nullptr)) {
      return Error(sqlstate::kDuplicateTable, fmt::format("relation \"{}\" already exists", create.name));
    }
    std::vector<const plan::Scan*> scans;
    CollectScans(*create.plan, scans);
    std::vector<flow::ViewInput> inputs;
    for (const plan::Scan* scan : scans) {
      switch (scan->relation_kind) {
        case plan::RelationKind::kStream: inputs.push_back({flow::ViewInput::Kind::kStream, scan->relation_id}); break;
        case plan::RelationKind::kTable:
          inputs.push_back({scan->changelog ? flow::ViewInput::Kind::kChangelog : flow::ViewInput::Kind::kTable, scan->relation_id});
          break;
        case plan::RelationKind::kView: {
          const catalog::View* view = catalog_.FindView(scan->name);
          const catalog::ViewVersion* version = view == nullptr ? nullptr : view->FindVersion(scan->version != 0 ? scan->version : view->serving);
          if (version == nullptr) return Error(sqlstate::kUndefinedTable, fmt::format("relation \"{}\" does not exist", scan->name));
          inputs.push_back({flow::ViewInput::Kind::kView, version->id});
          break;
        }
        case plan::RelationKind::kWorking:
        case plan::RelationKind::kSystem: return Error(sqlstate::kFeatureNotSupported, "a view cannot read a system relation");
      }
    }
    catalog::View view = exists ? *catalog_.FindView(create.name) : catalog::View{};
    catalog::ViewVersion version;
    version.id = next_id_++;
    version.number = static_cast<int>(view.versions.size()) + 1;
    version.schema = create.plan->schema;
    version.state = catalog::VersionState::kServing;
    version.query = create.query;
    version.depends_on = create.depends_on;
    version.key_columns = create.key_columns;
    if (!exists) {
      view.id = next_id_++;
      view.name = create.name;
    }
    // The file's last word counts; what read the older version before keeps reading it.
    view.serving = version.number;
    for (const flow::ViewInput& input : inputs) {
      if (input.kind == flow::ViewInput::Kind::kStream) streams_read_.insert(input.id);
      if (input.kind == flow::ViewInput::Kind::kView) views_read_.insert(input.id);
    }
    const auto rows = [this](uint32_t relation) { return InputRows(relation); };
    const plan::NodePtr plan = plan::WithOneFlush(plan::WithReplicatedTables(create.plan, rows, kReplicatedRowsMax / options_.threads));
    KAPPA_RETURN_IF_ERROR(flow_->AddView(version.id, plan, std::move(inputs)));
    View& out = views_[create.name];
    out.id = version.id;
    out.schema = version.schema;
    view.versions.push_back(std::move(version));
    catalog_.views[create.name] = std::move(view);
    return {};
  }

  /// Rows of a plan without relations (VALUES).
  Result<data::Batch> Evaluate(const plan::NodePtr& plan) {
    std::vector<const plan::Scan*> scans;
    CollectScans(*plan, scans);
    if (!scans.empty()) {
      return Error(sqlstate::kFeatureNotSupported, "INSERT ... SELECT from a relation is not supported in batch mode")
          .Hint("Give the rows as VALUES, or as a file with --input.");
    }
    flow::GraphOptions graph_options;
    graph_options.operators.bounded = true;
    graph_options.operators.once = true;
    graph_options.operators.context.now_us = options_.now_us;
    KAPPA_ASSIGN_OR_RETURN(auto graph, flow::Graph::Make(plan, std::move(graph_options)));
    std::vector<data::ChangeBatch> out;
    absl::flat_hash_map<uint32_t, int64_t> none;
    ops::EpochContext end{1, options_.now_us, &none, true};
    flow::ThreadPool one(1);
    KAPPA_RETURN_IF_ERROR(graph->Step(one, &end, out));
    return out.empty() ? data::EmptyBatch(plan->schema) : data::Concatenate(out).AsBatch();
  }

  Status CheckNames() {
    for (const auto& [name, paths] : options_.inputs) {
      if (catalog_.FindStream(name) == nullptr && catalog_.FindTable(name) == nullptr) {
        std::vector<std::string> names;
        for (const auto& [stream, _] : catalog_.streams) names.push_back(stream);
        for (const auto& [table, _] : catalog_.tables) names.push_back(table);
        const std::string near = sql::NearestName(name, names);
        return Error(sqlstate::kUndefinedTable, fmt::format("--input names \"{}\", which {} does not declare", name, options_.sql_path))
            .Hint(near.empty() ? "Inputs are streams and tables of the SQL file." : fmt::format("Perhaps you meant \"{}\".", near));
      }
    }
    for (const auto& [name, stream] : catalog_.streams) {
      if (streams_read_.contains(stream.id) && !options_.inputs.contains(name) && !inserted_.contains(name)) {
        return Error(sqlstate::kInvalidParameterValue, fmt::format("stream \"{}\" has no input", name))
            .Hint(fmt::format("Add --input {}=FILE (.jsonl, .csv or .parquet, also .zst and .gz).", name));
      }
    }
    for (const auto& [name, path] : options_.outputs) {
      auto view = views_.find(name);
      if (view == views_.end()) {
        std::vector<std::string> names;
        for (const auto& [v, _] : views_) names.push_back(v);
        const std::string near = sql::NearestName(name, names);
        return Error(sqlstate::kUndefinedTable, fmt::format("--output names \"{}\", which {} does not declare as a view", name, options_.sql_path))
            .Hint(near.empty() ? "Outputs are views of the SQL file." : fmt::format("Perhaps you meant \"{}\".", near));
      }
      view->second.wanted = true;
      view->second.path = path;
    }
    for (auto& [name, view] : views_) {
      if (options_.print_all) view.wanted = true;
      const bool kept = view.wanted && view.path != kBlackhole;
      if (kept) view.rows = std::make_unique<ops::SortedRows>(view.schema);
      if (views_read_.contains(view.id)) continue;
      if (kept) flow_->graph(view.id).GiveTo([&view = view](data::ChangeBatch batch) { return view.rows->Add(batch); });
      else flow_->graph(view.id).DropOutput();
    }
    return {};
  }

  Status Step(std::map<uint32_t, std::vector<flow::JudgedBatch>> streams, std::map<uint32_t, std::vector<data::ChangeBatch>> tables, bool flush) {
    if (options_.cancelled && options_.cancelled()) return Error(sqlstate::kQueryCanceled, "interrupted").Detail("No output was written.");
    KAPPA_RETURN_IF_ERROR(state::CheckMemory());
    flow::FlowChanges changes;
    KAPPA_RETURN_IF_ERROR(flow_->AdvanceRows(std::move(streams), std::move(tables), flush, changes));
    stats_.dead_letters += static_cast<int64_t>(changes.dead.size());
    for (const flow::DeadLetter& letter : changes.dead) {
      if (stats_.dead_letter_samples.size() >= kDeadSamples) break;
      const auto view = std::find_if(views_.begin(), views_.end(), [&](const auto& entry) { return entry.second.id == letter.view; });
      stats_.dead_letter_samples.push_back(
          fmt::format("{}: file {} of {}: record {}: {}", view->first, letter.partition + 1, letter.topic, letter.offset, letter.reason));
    }
    for (auto& [name, view] : views_) {
      auto it = changes.views.find(view.id);
      if (it == changes.views.end() || !view.rows) continue;
      if (flush && view.rows->empty() && !state::Spilling() && OnlyGives(it->second)) {
        view.last = std::move(it->second);
      } else {
        for (data::ChangeBatch& batch : it->second) KAPPA_RETURN_IF_ERROR(view.rows->Add(std::exchange(batch, {})));
      }
    }
    return {};
  }

  /// Rows that a domain refuses count as bad records.
  void TakeRefused(uint32_t relation, const std::vector<int>& columns, connect::FileBatch& batch) {
    const auto found = constraints_.find(relation);
    if (found == constraints_.end() || found->second.empty()) return;
    const auto rows = static_cast<size_t>(batch.rows.rows);
    std::vector<flow::RefusedRow> refused;
    flow::TakeRefused(found->second, columns, batch.rows, refused);
    if (refused.empty()) return;
    if (batch.offsets.empty()) {
      batch.offsets.resize(rows);
      std::iota(batch.offsets.begin(), batch.offsets.end(), batch.first_offset);
    }
    size_t kept = 0;
    for (size_t row = 0, at = 0; row < rows; ++row) {
      if (at < refused.size() && refused[at].row == static_cast<int32_t>(row))
        batch.bad.push_back({batch.offsets[row], std::move(refused[at++].reason), ""});
      else batch.offsets[kept++] = batch.offsets[row];
    }
    batch.offsets.resize(kept);
    std::sort(batch.bad.begin(), batch.bad.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  }

  void CountBad(const std::string& path, const connect::FileBatch& batch) {
    stats_.dead_letters += static_cast<int64_t>(batch.bad.size());
    for (const auto& bad : batch.bad) {
      if (stats_.dead_letter_samples.size() < kDeadSamples)
        stats_.dead_letter_samples.push_back(fmt::format("{}: record {}: {}", path, bad.offset, bad.reason));
    }
  }

  Status LoadTables() {
    for (const auto& [name, table] : catalog_.tables) {
      std::vector<data::ChangeBatch> changes;
      if (auto rows = inserted_.find(name); rows != inserted_.end()) {
        for (const data::Batch& batch : rows->second) changes.emplace_back(batch);
      }
      if (auto input = options_.inputs.find(name); input != options_.inputs.end()) {
        std::vector<int> columns(static_cast<size_t>(table.schema.size()));
        std::iota(columns.begin(), columns.end(), 0);
        for (const std::string& path : input->second) {
          KAPPA_ASSIGN_OR_RETURN(auto source, connect::OpenFileSource(path, table.schema, columns, {}, 1));
          while (true) {
            KAPPA_ASSIGN_OR_RETURN(std::optional<connect::FileBatch> batch, source->Next(kStepBytes));
            if (!batch) break;
            TakeRefused(table.id, columns, *batch);
            CountBad(path, *batch);
            stats_.events += batch->records;
            if (batch->rows.rows > 0) changes.emplace_back(std::move(batch->rows));
          }
        }
      }
      if (!changes.empty()) KAPPA_RETURN_IF_ERROR(Step({}, {{table.id, std::move(changes)}}, false));
    }
    flow_->EndTables();
    return {};
  }

  struct OpenFile {
    const catalog::Stream* stream;
    int partition;
    std::string path;
    std::unique_ptr<connect::FileSource> source;
    bool done = false;
  };

  Status ReadStreams() {
    std::vector<OpenFile> files;
    std::map<uint32_t, flow::StreamClock> clocks;
    std::map<uint32_t, std::vector<int>> columns;  // what each stream's files decode: the flow's columns, then the event time
    for (const auto& [name, stream] : catalog_.streams) {
      clocks.emplace(stream.id, flow::StreamClock(stream.partitions, stream.watermark_delay_us + stream.allowed_lateness_us, stream.future_limit_us));
      std::vector<int>& needed = columns[stream.id];
      needed = flow_->NeededColumns(stream.id);
      std::erase_if(needed, [&](int column) {  // Feed puts them in
        return column >= stream.schema.size() && column != stream.schema.size() + plan::kTimestampColumn;
      });
      if (!needed.empty() && *std::max_element(needed.begin(), needed.end()) >= stream.schema.size())
        return Error(sqlstate::kFeatureNotSupported, "the hidden column _timestamp is not available in batch mode");
      if (IsJudged(stream)) {
        needed.push_back(stream.event_time);
        stats_.late = stats_.late.value_or(0);
      }
      if (auto rows = inserted_.find(name); rows != inserted_.end()) {
        for (const data::Batch& batch : rows->second) {
          data::Batch projected;
          projected.rows = batch.rows;
          for (int column : needed) projected.columns.push_back(batch.columns[static_cast<size_t>(column)]);
          const int64_t first = inserted_rows_[stream.id];
          inserted_rows_[stream.id] += batch.rows;
          std::map<uint32_t, std::vector<flow::JudgedBatch>> streams;
          Judge(stream, 0, std::move(projected), {}, first, clocks.at(stream.id), streams);
          KAPPA_RETURN_IF_ERROR(Step(std::move(streams), {}, false));
        }
      }
      auto input = options_.inputs.find(name);
      if (input == options_.inputs.end()) continue;
      format::DecodeOptions decode;
      if (stream.json_timestamps == "s") decode.json_timestamps = format::JsonTimestamps::kSeconds;
      if (stream.json_timestamps == "ms") decode.json_timestamps = format::JsonTimestamps::kMillis;
      if (stream.json_timestamps == "us") decode.json_timestamps = format::JsonTimestamps::kMicros;
      for (size_t p = 0; p < input->second.size(); ++p) {
        KAPPA_ASSIGN_OR_RETURN(auto source, connect::OpenFileSource(input->second[p], stream.schema, needed, decode, options_.threads));
        files.push_back({&stream, static_cast<int>(p), input->second[p], std::move(source), false});
      }
    }
    const auto decode_ahead = [&files] { return std::any_of(files.begin(), files.end(), [](OpenFile& file) { return file.source->DecodeAhead(); }); };
    SpareWork spare(pool_, decode_ahead);
    const auto begin = std::chrono::steady_clock::now();
    for (size_t open = files.size(); open > 0;) {
      const size_t chunk = std::max(kChunkBytesMin, kStepBytes / open);
      std::map<uint32_t, std::vector<flow::JudgedBatch>> streams;
      for (OpenFile& file : files) {
        // As many batches as fit.
        for (size_t bytes = 0, last = 0; !file.done && bytes + last <= chunk; bytes += last) {
          // While another thread decodes what comes next, there is work ahead.
          while (!file.source->IsReady() && (file.source->DecodeAhead() || decode_ahead())) {}
          KAPPA_ASSIGN_OR_RETURN(std::optional<connect::FileBatch> batch, file.source->Next(chunk));
          pool_.WakeForSpareWork();
          if (!batch) {
            file.done = true;
            --open;
            break;
          }
          last = std::max<size_t>(1, batch->input_bytes);
          TakeRefused(file.stream->id, columns.at(file.stream->id), *batch);
          CountBad(file.path, *batch);
          stats_.events += batch->records;
          Judge(*file.stream, file.partition, std::move(batch->rows), batch->offsets, batch->first_offset, clocks.at(file.stream->id), streams);
        }
      }
      KAPPA_RETURN_IF_ERROR(Step(std::move(streams), {}, false));
      EndStreams(files);
      if (options_.progress) options_.progress(stats_.events, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    return {};
  }

  /// What joins need not keep rows for when a stream's files are at their end.
  void EndStreams(const std::vector<OpenFile>& files) {
    std::map<uint32_t, bool> done;
    for (const OpenFile& file : files) done.try_emplace(file.stream->id, true).first->second &= file.done;
    for (const auto& [stream, at_end] : done)
      if (at_end) flow_->EndStream(stream);
  }

  bool IsJudged(const catalog::Stream& stream) const { return stream.event_time >= 0 && flow_->NeedsVerdicts(stream.id); }

  /// Adds rows to a step. `rows`: the flow's columns without the hidden ones, then the event time where the stream is judged. `offsets` and
  /// `first_offset` as in FileBatch. A run is one epoch, whose wall time is its start.
  void Judge(const catalog::Stream& stream, int partition, data::Batch rows, const std::vector<int64_t>& offsets, int64_t first_offset,
             flow::StreamClock& clock, std::map<uint32_t, std::vector<flow::JudgedBatch>>& streams) {
    if (rows.rows == 0) return;
    flow::JudgedBatch judged;
    judged.partition = partition;
    if (IsJudged(stream)) {
      judged.late.resize(static_cast<size_t>(rows.rows), 0);
      const int64_t late = clock.Judge(partition, *rows.columns.back(), 0, rows.rows, options_.now_us, judged.late.data());
      clock.EndEpoch();
      flow_->set_watermark(stream.id, clock.watermark());
      *stats_.late += late;
      if (late == 0) judged.late.clear();
      rows.columns.pop_back();
    } else {
      flow_->set_watermark(stream.id, flow::kNoWatermark);
    }
    const std::vector<int> columns = flow_->NeededColumns(stream.id);
    for (size_t i = 0; i < columns.size(); ++i) {
      data::ColumnPtr hidden;
      switch (columns[i] - stream.schema.size()) {
        case plan::kPartitionColumn: hidden = data::ConstantColumn(data::Value::Fixed<int32_t>(data::TypeId::kInt4, partition), rows.rows); break;
        case plan::kOffsetColumn: {
          auto numbers = std::make_shared<data::Column>(data::TypeId::kInt8, rows.rows);
          if (offsets.empty()) std::iota(numbers->mutable_data<int64_t>(), numbers->mutable_data<int64_t>() + rows.rows, first_offset);
          else std::copy(offsets.begin(), offsets.end(), numbers->mutable_data<int64_t>());
          hidden = std::move(numbers);
          break;
        }
        case plan::kProcessingTimeColumn:
          hidden = data::ConstantColumn(data::Value::Fixed<int64_t>(data::TypeId::kTimestamptz, options_.now_us), rows.rows);
          break;
        default: break;
      }
      if (hidden) rows.columns.insert(rows.columns.begin() + static_cast<ptrdiff_t>(i), std::move(hidden));
    }
    judged.rows = std::move(rows);
    streams[stream.id].push_back(std::move(judged));
  }

  Status WriteOutputs() {
    for (auto& [name, view] : views_) {
      if (!view.wanted) continue;
      BatchRunStats::View& stats = stats_.views[name];
      stats.changes = flow_->graph(view.id).rows_given();
      stats.kept = view.rows != nullptr;
      if (!view.rows) continue;
      ops::Digest digest = view.rows->digest();
      stats.rows = view.rows->row_count();
      std::vector<ops::Digest> digests(view.last.size());
      pool_.ParallelFor(static_cast<int>(view.last.size()),
                        [&](int i) { digests[static_cast<size_t>(i)] = ops::DigestOf(view.last[static_cast<size_t>(i)]); });
      for (const ops::Digest& of_part : digests) digest.sum += of_part.sum;
      for (const data::ChangeBatch& part : view.last) stats.rows += part.rows;
      stats.digest = digest.ToString();
      if (!view.path.empty()) {
        KAPPA_ASSIGN_OR_RETURN(auto sink, connect::OpenFileSink(view.path, view.schema));
        KAPPA_RETURN_IF_ERROR(TakeRows(view, [&](const data::Batch& rows) { return sink->Write(rows); }));
        KAPPA_RETURN_IF_ERROR(sink->Close());
      } else if (options_.print) {
        std::vector<data::ChangeBatch> parts;
        KAPPA_RETURN_IF_ERROR(TakeRows(view, [&](data::Batch rows) -> Status {
          parts.emplace_back(std::move(rows));
          return {};
        }));
        options_.print(name, view.schema, parts.empty() ? data::EmptyBatch(view.schema) : data::Concatenate(parts).AsBatch());
      }
    }
    return {};
  }

  /// The rows of a view in order.
  static Status TakeRows(View& view, const std::function<Status(data::Batch)>& consume) {
    if (view.last.empty()) return view.rows->Take(consume);
    const data::Batch all = data::Concatenate(std::exchange(view.last, {})).AsBatch();
    return consume(Sorted(all));
  }

  const BatchRunOptions& options_;
  flow::ThreadPool pool_;
  std::unique_ptr<flow::LogFlow> flow_;
  std::string text_;
  catalog::Snapshot catalog_;
  uint32_t next_id_ = 1;
  std::set<uint32_t> streams_read_;  // by some view; the others need no input
  std::set<uint32_t> views_read_;    // by another view
  std::map<std::string, View> views_;
  std::map<std::string, std::vector<data::Batch>> inserted_;
  std::map<uint32_t, std::vector<flow::ConstrainedColumn>> constraints_;  // of streams and tables
  std::map<uint32_t, int64_t> inserted_rows_;  // given to their streams so far
  BatchRunStats stats_;
};

}  // namespace

Result<BatchRunStats> RunBatch(const BatchRunOptions& options) {
  BatchRun run(options);
  return run.Run();
}

std::string BatchRunStats::ToJson() const {
  std::string out = fmt::format(
      R"({{"events":{},"seconds":{:.6f},"events_per_second":{:.1f},"late":{},"dead_letters":{},"peak_rss_bytes":{},"state_bytes":{},"views":{{)",
      events, seconds, seconds > 0 ? static_cast<double>(events) / seconds : 0.0, late ? std::to_string(*late) : "null", dead_letters, peak_rss_bytes,
      state_bytes);
  const char* comma = "";
  for (const auto& [name, view] : views) {
    out += comma;
    format::AppendJsonString(name, out);
    out += view.kept ? fmt::format(R"(:{{"rows":{},"digest":"{}","changes":{}}})", view.rows, view.digest, view.changes)
                     : fmt::format(R"(:{{"rows":null,"digest":null,"changes":{}}})", view.changes);
    comma = ",";
  }
  out += "}}\n";
  return out;
}

}  // namespace kappa::engine
