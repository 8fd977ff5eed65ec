// LogFlow: views fed from the log. The live engine, a replay, a verification, recovery and an ad-hoc query over a stream are
// all one of these; they differ only in which epochs they are advanced over, and in how many at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "flow/graph.h"
#include "flow/journal.h"
#include "flow/stream_feed.h"
#include "ops/upsert.h"

namespace kappa::flow {

struct TableSpec {
  uint32_t id = 0;
  std::string name;
  data::Schema schema;
  std::vector<int> primary_key;
  int version_time = -1;
  int64_t ttl_us = 0;  // 0: none
  std::vector<ConstrainedColumn> constraints = {};
};

/// A view (version) to run. `inputs[i]` says what feeds scan i of the plan, in Graph::scans() order.
struct ViewInput {
  enum class Kind : uint8_t { kStream, kTable, kChangelog, kView, kInjected } kind = Kind::kStream;
  uint32_t id = 0;  // of the stream, the table (kChangelog: whose changes are rows), or the view version; unused when kInjected
};

struct FlowOptions {
  int shards = 1;
  size_t batch_rows = 8192;
  ops::OperatorOptions operators;
  std::function<Result<data::Batch>(const plan::TableFunction&)> table_function;
  std::function<Status(int64_t bytes)> watch;  // GraphOptions::watch
  log::Patience patience = log::BriefPatience;  // with a disk that fails
};

/// What one advance gave, by relation id.
struct FlowChanges {
  std::map<uint32_t, std::vector<data::ChangeBatch>> views;
  std::map<uint32_t, std::vector<data::ChangeBatch>> tables;
  std::vector<DeadLetter> dead;
};

/// Threads: one caller at a time; it works on the pool.
class LogFlow {
 public:
  LogFlow(FlowOptions options, ThreadPool& pool);
  ~LogFlow();

  void AddStream(StreamSpec spec, std::shared_ptr<log::Topic> topic);
  /// `changelog_only`: its rows are not kept, only kChangelog inputs read it.
  Status AddTable(TableSpec spec, std::shared_ptr<log::Topic> topic, bool changelog_only = false);
  void RemoveRelation(uint32_t id);
  bool HasRelation(uint32_t id) const { return streams_.contains(id) || tables_.contains(id); }

  /// Adds a view; its streams and tables must be there. Rows flow into it from the next Advance on.
  Status AddView(uint32_t id, plan::NodePtr plan, std::vector<ViewInput> inputs);
  /// Takes over a graph that another flow built up to the same epoch.
  void AdoptView(uint32_t id, std::unique_ptr<Graph> graph, std::vector<ViewInput> inputs);
  std::unique_ptr<Graph> ReleaseView(uint32_t id);
  void RemoveView(uint32_t id) { ReleaseView(id); }
  bool HasView(uint32_t id) const { return views_.contains(id); }
  Graph& graph(uint32_t id) { return *views_.at(id).graph; }
  const std::vector<ViewInput>& inputs(uint32_t id) const { return views_.at(id).inputs; }
  /// The view reads `to` from now on where it read `from` by the view's name, not by a version's (the caller injects the
  /// difference).
  void RedirectInput(uint32_t id, uint32_t from, uint32_t to);
  /// Rows for one scan, on top of what the log gives, with the next Advance.
  void Inject(uint32_t id, int scan, data::ChangeBatch rows);

  /// Runs these epochs as one step. `flush` false: a part of a bulk step (see EpochContext::flush). The context handed to
  /// operators has the last epoch's number and time. An empty span with flush finishes what was injected.
  Status Advance(std::span<const EpochRecord> epochs, bool flush, FlowChanges& changes);
  /// Rows that do not come from the log (batch mode): as if one epoch had held them.
  Status AdvanceRows(std::map<uint32_t, std::vector<JudgedBatch>> streams, std::map<uint32_t, std::vector<data::ChangeBatch>> tables, bool flush,
                     FlowChanges& changes);
  /// The epoch that restored state is of, and its time.
  void SetTime(uint64_t epoch, int64_t wall_us) { epoch_ = epoch, wall_us_ = wall_us; }
  /// Bounded input: the tables are whole, nothing more comes to them.
  void EndTables();
  /// Bounded input: nothing more comes to this stream.
  void EndStream(uint32_t stream);
  /// From now on all watermarks count as at the end of time: windows close with the next flush. For bounded input.
  void EndInput() { ended_ = true; }
  /// The next flush is the first and the last.
  void FlushOnce() { last_ = true; }
  /// The earliest wall time at which a table or a view changes by itself; INT64_MAX: none does.
  int64_t next_due_us() const;
  /// The wall time is at least this from the next Advance on: of epochs that are not handed in, or of all rows in batch mode.
  void PassTime(int64_t wall_us) { wall_us_ = std::max(wall_us_, wall_us); }
  /// Batch mode keeps the clocks itself.
  void set_watermark(uint32_t stream, int64_t watermark) { watermarks_[stream] = watermark; }

  StreamFeed& stream(uint32_t id) { return *streams_.at(id); }
  const std::map<uint32_t, std::unique_ptr<StreamFeed>>& streams() const { return streams_; }
  TableFeed& table(uint32_t id) { return *tables_.at(id).feed; }
  std::vector<uint32_t> table_ids() const;
  /// Up to where each partition (relation id, partition) has been fed.
  std::map<std::pair<uint32_t, int32_t>, log::Offset> positions() const;
  /// Columns of a stream that its views need.
  std::vector<int> NeededColumns(uint32_t stream) const;
  /// Whether a view leaves out the stream's late rows, or reads them alone: the others need no verdicts, and no watermark.
  bool NeedsVerdicts(uint32_t stream) const;

  /// State of the upsert of every table, and of every view's graph; names begin with "t<id>." and "v<id>.".
  void VisitTableState(uint32_t id, const std::function<void(std::string_view name, state::Arena&)>& visit);
  Status TableRestored(uint32_t id);
  void VisitViewState(uint32_t id, const std::function<void(std::string_view name, state::Arena&)>& visit);

 private:
  struct View {
    std::unique_ptr<Graph> graph;
    std::vector<ViewInput> inputs;
  };
  struct Table {
    std::unique_ptr<TableFeed> feed;
    std::unique_ptr<ops::Operator> upsert;  // null: changelog only
    int version_time = -1;
    bool expires = false;
    int64_t given = 0;  // changes that came from elsewhere than the log: they are numbered here
  };
  void NeedColumns(const View& view);
  void EndScans(const std::function<bool(const ViewInput&)>& ended);
  Status RunViews(const std::map<uint32_t, std::vector<JudgedBatch>>& streams, const std::map<uint32_t, std::vector<data::ChangeBatch>>& versions,
                  const ops::EpochContext& context, bool end, FlowChanges& changes);
  std::vector<uint32_t> Order() const;
  void CollectFailed(uint32_t id, Graph& graph, FlowChanges& changes) const;
  /// The changes of tables that views read as rows.
  std::map<uint32_t, std::vector<data::ChangeBatch>> VersionRows(const std::map<uint32_t, std::vector<data::ChangeBatch>>& tables,
                                                                 const std::map<uint32_t, std::vector<ChangeOrigin>>& origins);
  Status RunTables(std::map<uint32_t, std::vector<data::ChangeBatch>> in, const std::map<uint32_t, std::vector<ChangeOrigin>>& origins,
                   const ops::EpochContext& context, FlowChanges& changes);

  FlowOptions options_;
  ThreadPool& pool_;
  std::map<uint32_t, std::unique_ptr<StreamFeed>> streams_;
  std::map<uint32_t, Table> tables_;
  std::map<uint32_t, View> views_;
  std::map<uint32_t, std::vector<std::pair<int, data::ChangeBatch>>> injected_;
  absl::flat_hash_map<uint32_t, int64_t> watermarks_;
  uint64_t epoch_ = 0;
  int64_t wall_us_ = 0;
  bool ended_ = false;
  bool last_ = false;
};

/// Records that an epoch adds, given the ends before it (which it updates).
int64_t EpochRecords(const EpochRecord& epoch, std::map<std::pair<uint32_t, int32_t>, log::Offset>& ends);

}  // namespace kappa::flow
