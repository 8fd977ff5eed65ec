// Building a version beside the live ones, handing it over, promoting, rolling back, and verifying.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "engine/core.h"
#include "state/memory.h"

namespace kappa::engine {
namespace {

constexpr size_t kJournalRead = 4096;         // epochs read at a time
constexpr int64_t kHandoverRecords = 20'000;  // with so few records to go the epoch thread finishes the replay

data::ChangeBatch Project(const data::ChangeBatch& batch, const std::vector<int>& columns) {
  data::ChangeBatch out;
  out.rows = batch.rows;
  out.weights = batch.weights;
  for (int column : columns) out.columns.push_back(batch.columns[static_cast<size_t>(column)]);
  return out;
}

/// All rows of a snapshot as inserts.
std::vector<data::ChangeBatch> RowsOf(const ops::ViewSnapshot& snapshot, const std::vector<int>& columns, int64_t batch_rows, int64_t weight) {
  std::vector<data::ChangeBatch> out;
  snapshot.Scan(columns, batch_rows, [&](data::Batch rows) {
    data::ChangeBatch batch(std::move(rows));
    if (weight != 1) batch.weights = std::make_shared<std::vector<int64_t>>(static_cast<size_t>(batch.rows), weight);
    out.push_back(std::move(batch));
    return true;
  });
  return out;
}

/// Feeds a flow with the journal's epochs up to `target`, in bulk.
Status AdvanceTo(flow::LogFlow& flow, flow::JournalReader& journal, std::vector<flow::EpochRecord>& ahead, uint64_t target, int64_t step_records,
                 const std::function<Status(flow::FlowChanges&)>& consume, const std::function<void(int64_t)>& progress,
                 const std::function<bool()>& cancelled) {
  std::map<std::pair<uint32_t, int32_t>, log::Offset> ends = flow.positions();
  std::vector<flow::EpochRecord> step;
  auto matters = [&](const flow::EpochRecord& epoch) {
    return std::any_of(epoch.ends.begin(), epoch.ends.end(), [&](const auto& e) { return flow.HasRelation(e.relation); }) ||
           std::any_of(epoch.idle.begin(), epoch.idle.end(), [&](const auto& i) { return flow.HasRelation(i.relation); });
  };
  int64_t records = 0;
  BulkFlushes flushes(step_records);
  while (true) {
    if (ahead.empty()) KAPPA_RETURN_IF_ERROR(journal.Read(kJournalRead, ahead));
    size_t taken = 0;
    bool reached = ahead.empty();
    for (; taken < ahead.size() && records < step_records; ++taken) {
      if (ahead[taken].epoch > target) {
        reached = true;
        break;
      }
      flow.PassTime(ahead[taken].wall_us);  // also where nothing came: now() of views goes on
      std::erase_if(ahead[taken].ends, [&](const auto& e) { return !flow.HasRelation(e.relation); });
      if (!matters(ahead[taken])) continue;
      records += flow::EpochRecords(ahead[taken], ends);
      step.push_back(std::move(ahead[taken]));
    }
    ahead.erase(ahead.begin(), ahead.begin() + static_cast<ptrdiff_t>(taken));
    if (cancelled()) return Error(sqlstate::kQueryCanceled, "the replay was cancelled");
    if (!reached && records < step_records) continue;
    KAPPA_RETURN_IF_ERROR(state::CheckMemory());
    flow::FlowChanges changes;
    const bool flush = flushes.Due(records);
    KAPPA_RETURN_IF_ERROR(flow.Advance(step, reached || flush, changes));
    KAPPA_RETURN_IF_ERROR(consume(changes));
    progress(records);
    records = 0;
    step.clear();
    if (reached) return {};
  }
}

}  // namespace

void CollectScans(const plan::Node& node, std::vector<const plan::Scan*>& scans) {
  if (node.kind == plan::NodeKind::kScan) scans.push_back(static_cast<const plan::Scan*>(&node));
  for (const plan::NodePtr& input : node.inputs) CollectScans(*input, scans);
}

double ReplayProgress::percent() const {
  const int64_t total = records_total.load();
  if (finished_us.load() != 0 || total <= 0) return finished_us.load() != 0 ? 100.0 : 0.0;
  return std::min(100.0, 100.0 * static_cast<double>(records_done.load()) / static_cast<double>(total));
}

double ReplayProgress::records_per_second(int64_t now_us) const {
  const int64_t until = finished_us.load() != 0 ? finished_us.load() : now_us;
  const double seconds = static_cast<double>(until - started_us.load()) / 1e6;
  return seconds <= 0 ? 0 : static_cast<double>(records_done.load()) / seconds;
}

double ReplayProgress::eta_seconds(int64_t now_us) const {
  const double rate = records_per_second(now_us);
  if (rate <= 0) return -1;
  return std::max(0.0, static_cast<double>(records_total.load() - records_done.load()) / rate);
}

Result<std::vector<flow::ViewInput>> Core::ResolveInputs(const plan::Node& plan, const catalog::Snapshot& snapshot) const {
  std::vector<const plan::Scan*> scans;
  CollectScans(plan, scans);
  std::vector<flow::ViewInput> inputs;
  for (const plan::Scan* scan : scans) {
    switch (scan->relation_kind) {
      case plan::RelationKind::kStream: inputs.push_back({flow::ViewInput::Kind::kStream, scan->relation_id}); break;
      case plan::RelationKind::kTable:
        inputs.push_back({scan->changelog ? flow::ViewInput::Kind::kChangelog : flow::ViewInput::Kind::kTable, scan->relation_id});
        break;
      case plan::RelationKind::kView: {
        const catalog::View* view = snapshot.FindView(scan->name);
        const catalog::ViewVersion* version = view == nullptr ? nullptr : view->FindVersion(scan->version != 0 ? scan->version : view->serving);
        if (version == nullptr) {
          return Error(sqlstate::kObjectNotInPrerequisiteState, fmt::format("materialized view \"{}\" is not ready to be read", scan->name))
              .Hint("Wait until its replay is done: SELECT * FROM kappa.replays.");
        }
        inputs.push_back({flow::ViewInput::Kind::kView, version->id});
        break;
      }
      case plan::RelationKind::kWorking:
      case plan::RelationKind::kSystem:
        return Error(sqlstate::kFeatureNotSupported, fmt::format("a view cannot read the system relation \"{}\"", scan->name));
    }
  }
  return inputs;
}

Result<plan::NodePtr> Core::BindVersion(const catalog::ViewVersion& version, const catalog::Snapshot& snapshot) const {
  sql::BindContext context = MakeBindContext(snapshot);
  context.input_rows = sql::RecordedRows(version.input_rows);
  return sql::BindViewQuery(version.query, context, version.dead_letters, version.ttl_us);
}

void Core::QueueInjection(VersionRuntime& runtime, int scan, const data::ChangeBatch& rows) {
  std::vector<const plan::Scan*> scans;
  CollectScans(*runtime.plan, scans);
  std::lock_guard guard(runtime.replay->mutex);
  runtime.replay->pending.emplace_back(scan, Project(rows, scans[static_cast<size_t>(scan)]->columns));
}

Status Core::StartReplay(const catalog::View& view, const catalog::ViewVersion& version) {
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  auto runtime = std::make_shared<VersionRuntime>();
  runtime->id = version.id;
  runtime->number = version.number;
  runtime->view = view.name;
  KAPPA_ASSIGN_OR_RETURN(runtime->plan, BindVersion(version, *snapshot));
  KAPPA_ASSIGN_OR_RETURN(runtime->inputs, ResolveInputs(*runtime->plan, *snapshot));
  runtime->store = std::make_unique<ops::ViewStore>(version.schema, version.key_columns);

  auto replay = std::make_shared<Replay>();
  replay->version_id = version.id;
  replay->view = view.name;
  replay->flow = std::make_unique<flow::LogFlow>(ViewFlowOptions(), *replay_pool_);
  replay->journal = std::make_unique<flow::JournalReader>(journal_->partition(0), journal_->partition(0).start_offset());
  std::vector<flow::ViewInput> inputs = runtime->inputs;
  int64_t total = 0;
  for (flow::ViewInput& input : inputs) {
    if (input.kind == flow::ViewInput::Kind::kStream) {
      if (replay->flow->HasRelation(input.id)) continue;
      for (const auto& [name, stream] : snapshot->streams) {
        if (stream.id != input.id) continue;
        auto topic = log_->FindTopic(stream.topic);
        if (!topic) return Error(sqlstate::kDataCorrupted, fmt::format("topic \"{}\" is missing", stream.topic));
        for (int32_t p = 0; p < stream.partitions; ++p) total += positions_.ends[{stream.id, p}] - topic->partition(p).start_offset();
        replay->flow->AddStream(SpecOf(stream), std::move(topic));
      }
    } else if (input.kind == flow::ViewInput::Kind::kChangelog) {
      // Its whole history is in the log, and what a row was then must not depend on when the replay began.
      if (replay->flow->HasRelation(input.id)) continue;
      for (const auto& [name, table] : snapshot->tables) {
        if (table.id != input.id) continue;
        total += positions_.ends[{table.id, 0}];
        KAPPA_RETURN_IF_ERROR(replay->flow->AddTable(SpecOf(table), log_->FindTopic(table.topic), /*changelog_only=*/true));
      }
    } else {
      input.kind = flow::ViewInput::Kind::kInjected;
    }
  }
  KAPPA_RETURN_IF_ERROR(replay->flow->AddView(version.id, runtime->plan, inputs));
  // Upstream tables and views: their rows now, and from now on their changes (QueueForReplays).
  std::vector<const plan::Scan*> scans;
  CollectScans(*runtime->plan, scans);
  for (size_t i = 0; i < runtime->inputs.size(); ++i) {
    std::optional<ops::ViewSnapshot> rows;
    {
      std::lock_guard guard(publish_);
      if (runtime->inputs[i].kind == flow::ViewInput::Kind::kTable) {
        for (auto& [name, table] : tables_) {
          if (table->id == runtime->inputs[i].id) rows = table->store->Snapshot();
        }
      } else if (runtime->inputs[i].kind == flow::ViewInput::Kind::kView) {
        auto upstream = versions_.find(runtime->inputs[i].id);
        if (upstream == versions_.end() || !upstream->second->live) {
          return Error(sqlstate::kObjectNotInPrerequisiteState, fmt::format("materialized view \"{}\" is still replaying", scans[i]->name))
              .Hint("Create this view once that one is ready.");
        }
        rows = upstream->second->store->Snapshot();
      }
    }
    if (!rows) continue;
    for (data::ChangeBatch& batch : RowsOf(*rows, scans[i]->columns, static_cast<int64_t>(options_.batch_rows), 1)) {
      replay->flow->Inject(version.id, static_cast<int>(i), std::move(batch));
    }
  }
  replay->progress.records_total = total;
  replay->progress.started_us = clock_.SteadyMicros();
  runtime->replay = replay;
  {
    std::lock_guard guard(publish_);
    versions_[version.id] = runtime;
  }
  replay->thread = std::thread([this, replay, runtime] { RunReplay(replay, runtime); });
  return {};
}

Status Core::ReplayTo(Replay& replay, VersionRuntime& runtime, uint64_t target) {
  {
    std::lock_guard guard(replay.mutex);
    for (auto& [scan, rows] : replay.pending) replay.flow->Inject(replay.version_id, scan, std::move(rows));
    replay.pending.clear();
  }
  return AdvanceTo(
      *replay.flow, *replay.journal, replay.ahead, target, options_.step_records,
      [&](flow::FlowChanges& changes) {
        for (flow::DeadLetter& letter : changes.dead)  // records that gave no row were told when they came
          if (letter.view != 0 && static_cast<int64_t>(replay.dead.size()) < options_.dead_letters_max) replay.dead.push_back(std::move(letter));
        return runtime.store->Apply(changes.views[replay.version_id]);
      },
      [&](int64_t records) { replay.progress.records_done += records; }, [&] { return replay.progress.cancelled.load(); });
}

void Core::RunReplay(std::shared_ptr<Replay> replay, std::shared_ptr<VersionRuntime> runtime) {
  struct End {
    std::atomic<bool>& ended;
    ~End() { ended = true; }
  } end{replay->ended};
  Status status;
  while (status.ok()) {
    const uint64_t target = visible_epoch_.load();
    status = ReplayTo(*replay, *runtime, target);
    if (!status.ok()) break;
    // What came in meanwhile decides whether the rest is small enough to finish between two epochs.
    int64_t behind = 0;
    {
      std::lock_guard guard(publish_);
      for (const auto& [stream, feed] : replay->flow->streams()) {
        for (int p = 0; p < feed->spec().partitions; ++p) behind += visible_[{stream, p}] - feed->position(p);
      }
    }
    replay->progress.records_total = std::max(replay->progress.records_total.load(), replay->progress.records_done.load() + behind);
    if (behind <= kHandoverRecords) break;
  }
  if (replay->progress.cancelled) return;
  if (status.ok()) {
    status = AtBoundaryInTime([this, replay] { return FinishReplay(replay); });
  }
  if (!status.ok() && !replay->progress.cancelled && !closing_) {
    (void)AtBoundaryInTime([this, replay, error = status.error()] {
      if (versions_.contains(replay->version_id)) FailReplay(replay->view, replay->version_id, error);
      return Status();
    });
  }
}

Status Core::FinishReplay(std::shared_ptr<Replay> replay) {
  auto it = versions_.find(replay->version_id);
  if (it == versions_.end() || replay->progress.cancelled) return {};
  VersionRuntime& runtime = *it->second;
  KAPPA_RETURN_IF_ERROR(ReplayTo(*replay, runtime, epoch_));
  flow_->AdoptView(replay->version_id, replay->flow->ReleaseView(replay->version_id), runtime.inputs);
  replay->progress.finished_us = clock_.SteadyMicros();
  if (replay->progress.records_done > 0) last_replay_rate_ = replay->progress.records_per_second(clock_.SteadyMicros());

  catalog::View view = *catalog_->snapshot()->FindView(runtime.view);
  bool promote = false;
  for (catalog::ViewVersion& version : view.versions) {
    if (version.id != replay->version_id) continue;
    if (version.state == catalog::VersionState::kReplaying) {
      version.state = catalog::VersionState::kReady;
      version.ready_us = clock_.WallMicros();
      promote = view.serving == 0 || version.promote_when_ready;
    }
  }
  // One commit makes it ready and promotes it: should it fail, all of the replay is done again.
  if (!promote) KAPPA_RETURN_IF_ERROR(catalog_->Commit({view}));
  {
    std::lock_guard guard(publish_);
    RemoveDeadLetters(VersionName(runtime));  // of an earlier replay of the same
    AddDeadLetters(replay->dead);
    runtime.live = true;
    runtime.replay.reset();
  }
  finished_replays_.push_back(replay);
  checkpoint_forced_ = true;
  if (promote) KAPPA_RETURN_IF_ERROR(Promote(runtime.view, runtime.number, false));
  RebuildLost();  // a version that waited for this one
  std::lock_guard guard(publish_);
  retries_.erase(replay->version_id);
  visible_changed_.notify_all();
  return {};
}

void Core::StopReplay(VersionRuntime& runtime) {
  if (!runtime.replay) return;
  runtime.replay->progress.cancelled = true;
  finished_replays_.push_back(runtime.replay);  // joined later: it may be waiting for this very thread
}

Status Core::Promote(const std::string& name, int number, bool rollback) {
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  const catalog::View* found = snapshot->FindView(name);
  if (found == nullptr) return Error(sqlstate::kUndefinedTable, fmt::format("materialized view \"{}\" does not exist", name));
  catalog::View view = *found;
  if (rollback) {
    if (view.previous == 0) {
      return Error(sqlstate::kObjectNotInPrerequisiteState, fmt::format("materialized view \"{}\" has no version to roll back to", name))
          .Detail(view.serving == 0 ? "No version was promoted yet."
                                    : fmt::format("Version {} is the only one that was ever promoted.", view.serving));
    }
    number = view.previous;
  }
  const catalog::ViewVersion* version = view.FindVersion(number);
  if (version == nullptr) {
    return Error(sqlstate::kUndefinedObject, fmt::format("materialized view \"{}\" has no version {}", name, number))
        .Hint("SELECT * FROM kappa.versions shows what there is.");
  }
  if (view.serving == number) {
    return Error(sqlstate::kObjectNotInPrerequisiteState, fmt::format("version {} of materialized view \"{}\" is serving already", number, name));
  }
  auto runtime = versions_.find(version->id);
  if (version->state == catalog::VersionState::kFailed) {
    return Error(sqlstate::kObjectNotInPrerequisiteState, fmt::format("version {} of materialized view \"{}\" has failed", number, name))
        .Detail(version->failure + ".")
        .Hint("Create a corrected version with CREATE OR REPLACE MATERIALIZED VIEW.");
  }
  if (version->state == catalog::VersionState::kRetired) {
    return Error(sqlstate::kObjectNotInPrerequisiteState, fmt::format("version {} of materialized view \"{}\" is retired", number, name))
        .Hint("Create it again with CREATE OR REPLACE MATERIALIZED VIEW.");
  }
  if (runtime == versions_.end() || !runtime->second->live) {
    return Error(sqlstate::kObjectNotInPrerequisiteState, fmt::format("version {} of materialized view \"{}\" is still replaying", number, name))
        .Hint("Wait until it is ready: SELECT * FROM kappa.replays.");
  }
  if (view.serving != 0 && version->schema.fields.size() != 0 && !Dependents(*snapshot, name).empty()) {
    const catalog::ViewVersion* serving = view.FindVersion(view.serving);
    bool same = serving->schema.size() == version->schema.size();
    for (int i = 0; same && i < version->schema.size(); ++i) {
      const auto at = static_cast<size_t>(i);
      same =
          serving->schema.fields[at].name == version->schema.fields[at].name && serving->schema.fields[at].type.Same(version->schema.fields[at].type);
    }
    if (!same) {
      return Error(sqlstate::kDependentObjectsStillExist,
                   fmt::format("version {} of materialized view \"{}\" has other columns, and other views read it", number, name))
          .Hint("Keep the columns, or drop the views that read it first.");
    }
  }

  const int before = view.serving;
  const uint32_t before_id = before == 0 ? 0 : view.FindVersion(before)->id;
  const uint32_t after_id = version->id;
  const int64_t now = clock_.WallMicros();
  for (catalog::ViewVersion& v : view.versions) {
    if (v.number == number) {
      v.state = catalog::VersionState::kServing;
      if (v.ready_us == 0) v.ready_us = now;
      v.promoted_us = now;
    } else if (v.number == before) {
      v.state = catalog::VersionState::kReady;  // kept warm: rollback is instant
    }
  }
  view.previous = before;
  view.serving = number;
  view.routes.clear();
  KAPPA_RETURN_IF_ERROR(catalog_->Commit({view}));

  // Dependents go on from the new version: they get the difference as changes, between two epochs.
  if (before_id != 0 && versions_.contains(before_id)) {
    flow::FlowChanges changes;
    bool any = false;
    for (auto& [id, dependent] : versions_) {
      std::vector<const plan::Scan*> scans;
      CollectScans(*dependent->plan, scans);
      for (size_t i = 0; i < scans.size(); ++i) {
        flow::ViewInput& input = dependent->inputs[i];
        if (input.kind != flow::ViewInput::Kind::kView || input.id != before_id || scans[i]->version != 0) continue;
        std::unique_lock readers(publish_);  // take snapshots of the same stores
        const ops::ViewSnapshot old_rows = versions_.at(before_id)->store->Snapshot();
        const ops::ViewSnapshot new_rows = versions_.at(after_id)->store->Snapshot();
        readers.unlock();
        std::vector<data::ChangeBatch> difference = RowsOf(old_rows, scans[i]->columns, static_cast<int64_t>(options_.batch_rows), -1);
        for (data::ChangeBatch& batch : RowsOf(new_rows, scans[i]->columns, static_cast<int64_t>(options_.batch_rows), 1))
          difference.push_back(std::move(batch));
        for (data::ChangeBatch& batch : difference) {
          if (dependent->replay) {
            std::lock_guard guard(dependent->replay->mutex);
            dependent->replay->pending.emplace_back(static_cast<int>(i), std::move(batch));
          } else if (flow_->HasView(id)) {
            flow_->Inject(id, static_cast<int>(i), std::move(batch));
            any = true;
          }
        }
        input.id = after_id;
      }
      if (flow_->HasView(id)) flow_->RedirectInput(id, before_id, after_id);
    }
    if (any) {
      KAPPA_RETURN_IF_ERROR(Process({}, changes));
      flow::EpochRecord same;
      same.epoch = epoch_;
      same.wall_us = visible_wall_us_;
      KAPPA_RETURN_IF_ERROR(Publish(same, changes));
    }
  }
  std::lock_guard guard(publish_);
  ResetSubscribers(name);
  visible_changed_.notify_all();
  return {};
}

Status Core::RetireVersion(const std::string& name, int number) {
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  const catalog::View* found = snapshot->FindView(name);
  if (found == nullptr) return Error(sqlstate::kUndefinedTable, fmt::format("materialized view \"{}\" does not exist", name));
  catalog::View view = *found;
  const catalog::ViewVersion* version = view.FindVersion(number);
  if (version == nullptr) return Error(sqlstate::kUndefinedObject, fmt::format("materialized view \"{}\" has no version {}", name, number));
  if (view.serving == number) {
    return Error(sqlstate::kObjectInUse, fmt::format("version {} of materialized view \"{}\" is serving", number, name))
        .Hint("Promote another version first.");
  }
  for (auto& [id, dependent] : versions_) {
    for (const flow::ViewInput& input : dependent->inputs) {
      if (input.kind == flow::ViewInput::Kind::kView && input.id == version->id) {
        return Error(sqlstate::kDependentObjectsStillExist,
                     fmt::format("version {} of materialized view \"{}\" is read by materialized view \"{}\"", number, name, dependent->view));
      }
    }
  }
  const uint32_t id = version->id;
  for (catalog::ViewVersion& v : view.versions) {
    if (v.number == number) v.state = catalog::VersionState::kRetired;
  }
  if (view.previous == number) view.previous = 0;
  if (std::any_of(view.routes.begin(), view.routes.end(), [&](const auto& route) { return route.version == number; })) view.routes.clear();
  KAPPA_RETURN_IF_ERROR(catalog_->Commit({view}));
  RemoveVersion(id);
  return {};
}

void Core::RemoveVersion(uint32_t id) {
  rebuild_.erase(id);
  {
    std::lock_guard guard(publish_);
    retries_.erase(id);
  }
  auto it = versions_.find(id);
  if (it == versions_.end()) return;
  StopReplay(*it->second);
  flow_->RemoveView(id);
  std::lock_guard guard(publish_);
  RemoveDeadLetters(VersionName(*it->second));
  versions_.erase(it);
  checkpoint_forced_ = true;
}

std::vector<std::string> Core::Dependents(const catalog::Snapshot& snapshot, std::string_view name) const {
  std::vector<std::string> names;
  for (const auto& [view_name, view] : snapshot.views) {
    for (const catalog::ViewVersion& version : view.versions) {
      if (version.state == catalog::VersionState::kRetired || version.state == catalog::VersionState::kFailed) continue;
      if (std::find(version.depends_on.begin(), version.depends_on.end(), name) != version.depends_on.end()) {
        names.push_back(view_name);
        break;
      }
    }
  }
  return names;
}

Status Core::WaitReady(const std::string& view_name, int number, const std::function<bool()>& cancelled) {
  std::unique_lock guard(publish_);
  while (true) {
    const catalog::SnapshotPtr snapshot = catalog_->snapshot();
    const catalog::View* view = snapshot->FindView(view_name);
    const catalog::ViewVersion* version = view == nullptr ? nullptr : view->FindVersion(number);
    if (version == nullptr) return Error(sqlstate::kUndefinedTable, fmt::format("materialized view \"{}\" was dropped", view_name));
    if (version->state == catalog::VersionState::kFailed) {
      return Error(sqlstate::kObjectNotInPrerequisiteState,
                   fmt::format("the replay of version {} of materialized view \"{}\" failed", number, view_name))
          .Detail(version->failure + ".");
    }
    auto runtime = versions_.find(version->id);
    if (runtime != versions_.end() && runtime->second->live && (view->serving != 0)) return {};
    if (version->state == catalog::VersionState::kRetired) return {};
    if (closing_) return Error(sqlstate::kAdminShutdown, "the server is shutting down").Detail("The replay starts again at the next start.");
    if (cancelled()) {
      return Error(sqlstate::kQueryCanceled, "canceling statement due to user request").Detail(fmt::format("Version {} goes on replaying.", number));
    }
    visible_changed_.wait_for(guard, std::chrono::milliseconds(50));
  }
}

Result<Core::Verification> Core::Verify(const std::string& name, int number, const std::function<bool()>& cancelled) {
  // At a boundary: the digest to reproduce, and what the version is made of.
  struct Member {
    uint32_t id;
    plan::NodePtr plan;
    std::vector<flow::ViewInput> inputs;
    data::Schema schema;
  };
  std::vector<Member> members;  // the version and the views it reads, inputs first
  Verification result;
  result.view = name;
  uint32_t id = 0;
  auto flow = std::make_unique<flow::LogFlow>(ViewFlowOptions(), *replay_pool_);
  int64_t total = 0;
  KAPPA_RETURN_IF_ERROR(AtBoundary([&]() -> Status {
    const catalog::SnapshotPtr snapshot = catalog_->snapshot();
    const catalog::View* view = snapshot->FindView(name);
    if (view == nullptr) { return Error(sqlstate::kUndefinedTable, fmt::format("materialized view \"{}\" does not exist", name)); }
    const catalog::ViewVersion* version = view->FindVersion(number != 0 ? number : view->serving);
    auto runtime = version == nullptr ? versions_.end() : versions_.find(version->id);
    if (runtime == versions_.end() || !runtime->second->live) {
      return Error(sqlstate::kObjectNotInPrerequisiteState, fmt::format("materialized view \"{}\" is still replaying", name));
    }
    id = version->id;
    result.version = version->number;
    result.epoch = epoch_;
    result.live_digest = runtime->second->store->digest().ToString();
    std::set<uint32_t> seen;
    std::function<Status(uint32_t)> add = [&](uint32_t version_id) -> Status {
      if (!seen.insert(version_id).second) return {};
      auto member = versions_.find(version_id);
      if (member == versions_.end()) return Error(sqlstate::kInternalError, "a view that is read has no state");
      for (const flow::ViewInput& input : member->second->inputs) {
        if (input.kind == flow::ViewInput::Kind::kView) KAPPA_RETURN_IF_ERROR(add(input.id));
        if (input.kind == flow::ViewInput::Kind::kStream && !flow->HasRelation(input.id)) {
          for (const auto& [stream_name, stream] : snapshot->streams) {
            if (stream.id != input.id) continue;
            auto topic = log_->FindTopic(stream.topic);
            for (int32_t p = 0; p < stream.partitions; ++p) total += positions_.ends[{stream.id, p}] - topic->partition(p).start_offset();
            flow->AddStream(SpecOf(stream), std::move(topic));
          }
        }
        const bool table_read = input.kind == flow::ViewInput::Kind::kTable || input.kind == flow::ViewInput::Kind::kChangelog;
        if (table_read && !flow->HasRelation(input.id)) {
          for (const auto& [table_name, table] : snapshot->tables) {
            if (table.id == input.id) { KAPPA_RETURN_IF_ERROR(flow->AddTable(SpecOf(table), log_->FindTopic(table.topic))); }
          }
        }
      }
      members.push_back({version_id, member->second->plan, member->second->inputs, member->second->store->schema()});
      return {};
    };
    return add(id);
  }));
  const int64_t begin = clock_.SteadyMicros();
  data::Schema schema;
  for (const Member& member : members) {
    KAPPA_RETURN_IF_ERROR(flow->AddView(member.id, member.plan, member.inputs));
    if (member.id == id) schema = member.schema;
  }
  ops::ViewStore store(schema, {});
  flow::JournalReader journal(journal_->partition(0), journal_->partition(0).start_offset());
  std::vector<flow::EpochRecord> ahead;
  KAPPA_RETURN_IF_ERROR(AdvanceTo(
      *flow, journal, ahead, result.epoch, options_.step_records, [&](flow::FlowChanges& changes) { return store.Apply(changes.views[id]); },
      [&](int64_t records) { result.records += records; }, [&] { return closing_.load() || cancelled(); }));
  result.rows = store.row_count();
  result.replayed_digest = store.digest().ToString();
  result.equal = result.live_digest == result.replayed_digest;
  result.seconds = static_cast<double>(clock_.SteadyMicros() - begin) / 1e6;
  return result;
}

}  // namespace kappa::engine
