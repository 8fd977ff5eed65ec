// Checkpoints and restart: open the last checkpoint, replay the log's tail along the journal, serve.
#include <fmt/format.h>

#include <algorithm>

#include "engine/checkpoint_meta.h"
#include "engine/core.h"
#include "io/folder.h"
#include "state/memory.h"

namespace kappa::engine {
namespace {

constexpr int64_t kCheckpointShare = 4;  // time between two early checkpoints, in times of what writing one took

}  // namespace

std::string Core::EncodeMeta() const {
  CheckpointMeta meta{.shards = shards_,
                      .epoch = epoch_,
                      .wall_us = visible_wall_us_,
                      .journal_end = journal_end_,
                      .ends = positions_.ends,
                      .idle = idle_,
                      .dead_letters_dropped = dead_letters_dropped_};
  for (const auto& [id, feed] : flow_->streams()) {
    ByteWriter state;
    feed->Encode(state);
    meta.streams[id] = state.Take();
  }
  for (uint32_t id : flow_->table_ids()) meta.tables[id] = flow_->table(id).position();
  for (const auto& [id, runtime] : versions_) {
    if (runtime->live) meta.versions[id] = {plan::PlanHash(*runtime->plan), flow_->graph(id).started(), runtime->inputs};
  }
  return meta.Encode();
}

Status Core::Recover() {
  const std::string folder = options_.folder + "/state";
  auto opened = state::CheckpointStore::Open(folder);
  if (!opened.ok()) {
    // State is derived: without it the log is replayed from the start.
    fmt::print(stderr, "kappa: the checkpoints cannot be used ({}); rebuilding all views from the log\n", opened.error().message());
    KAPPA_RETURN_IF_ERROR(io::RemoveTree(folder));
    opened = state::CheckpointStore::Open(folder);
    if (!opened.ok()) return opened.error();
  }
  checkpoints_ = std::move(opened).value();
  auto meta = checkpoints_->LoadMeta();
  Status restored = meta.ok() ? Status() : meta.status();
  if (meta.ok() && meta->has_value()) restored = RestoreFrom(**meta);
  if (restored.ok() && meta.ok() && meta->has_value()) return ReplayTail(journal_end_, epoch_);

  if (!restored.ok() && restored.error().Is(sqlstate::kDiskFull)) return restored;  // it is good, there is no room for it
  if (!restored.ok()) {
    fmt::print(stderr, "kappa: the last checkpoint cannot be used ({}); rebuilding all views from the log\n", restored.error().message());
    checkpoints_.reset();
    KAPPA_RETURN_IF_ERROR(io::RemoveTree(folder));
    KAPPA_ASSIGN_OR_RETURN(checkpoints_, state::CheckpointStore::Open(folder));
  }
  // From the start of the log: everything in one pass.
  flow_ = std::make_unique<flow::LogFlow>(LiveFlowOptions(), *pool_);
  versions_.clear();
  tables_.clear();
  positions_ = {};
  idle_.clear();
  epoch_ = 0;
  dead_letters_->Clear();
  dead_letters_dropped_ = 0;
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  for (const auto& [name, stream] : snapshot->streams) KAPPA_RETURN_IF_ERROR(AddStreamRuntime(stream));
  for (const auto& [name, table] : snapshot->tables) KAPPA_RETURN_IF_ERROR(AddTableRuntime(table));
  for (const auto& [name, view] : snapshot->views) {
    for (const catalog::ViewVersion& version : view.versions) {
      if (version.state != catalog::VersionState::kReady && version.state != catalog::VersionState::kServing) continue;
      auto runtime = std::make_shared<VersionRuntime>();
      runtime->id = version.id;
      runtime->number = version.number;
      runtime->view = name;
      KAPPA_ASSIGN_OR_RETURN(runtime->plan, BindVersion(version, *snapshot));
      KAPPA_ASSIGN_OR_RETURN(runtime->inputs, ResolveInputs(*runtime->plan, *snapshot));
      runtime->store = std::make_unique<ops::ViewStore>(version.schema, version.key_columns);
      runtime->live = true;
      KAPPA_RETURN_IF_ERROR(flow_->AddView(version.id, runtime->plan, runtime->inputs));
      versions_[version.id] = std::move(runtime);
    }
  }
  return ReplayTail(journal_->partition(0).start_offset(), 0);
}

Status Core::RestoreFrom(std::string_view bytes) {
  KAPPA_ASSIGN_OR_RETURN(CheckpointMeta meta, CheckpointMeta::Decode(bytes));
  shards_ = meta.shards;  // the pool's threads may differ
  flow_ = std::make_unique<flow::LogFlow>(LiveFlowOptions(), *pool_);
  epoch_ = meta.epoch;
  visible_wall_us_ = meta.wall_us;
  journal_end_ = meta.journal_end;
  flow_->SetTime(epoch_, visible_wall_us_);
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  std::map<uint32_t, const catalog::Stream*> streams;
  std::map<uint32_t, const catalog::Table*> tables;
  for (const auto& [name, stream] : snapshot->streams) {
    streams[stream.id] = &stream;
    KAPPA_RETURN_IF_ERROR(AddStreamRuntime(stream));
  }
  for (const auto& [name, table] : snapshot->tables) {
    tables[table.id] = &table;
    KAPPA_RETURN_IF_ERROR(AddTableRuntime(table));
  }
  auto known = [&](uint32_t id) { return streams.contains(id) || tables.contains(id); };
  for (const auto& [place, end] : meta.ends) {
    if (known(place.first)) positions_.ends[place] = end;
  }
  for (const auto& place : meta.idle) {
    if (known(place.first)) idle_.insert(place);
  }
  for (const auto& [id, encoded] : meta.streams) {
    if (!streams.contains(id)) continue;
    ByteReader state(encoded);
    flow_->stream(id).Decode(state);
    if (!state.AtEnd()) return Error(sqlstate::kDataCorrupted, "checkpoint cannot be decoded");
  }
  auto load = [&](const std::string& name, state::Arena& arena, bool* all) -> Status {
    KAPPA_RETURN_IF_ERROR(state::CheckMemory());
    KAPPA_ASSIGN_OR_RETURN(bool found, checkpoints_->LoadArena(name, arena));
    *all &= found;
    return {};
  };
  for (const auto& [id, position] : meta.tables) {
    auto table = tables.find(id);
    if (table == tables.end()) continue;
    bool all = true;
    Status status;
    flow_->VisitTableState(id, [&](std::string_view name, state::Arena& arena) {
      if (status.ok()) status = load(std::string(name), arena, &all);
    });
    KAPPA_RETURN_IF_ERROR(std::move(status));
    ops::ViewStore& store = *tables_.at(table->second->name)->store;
    store.VisitState([&](std::string_view name, state::Arena& arena) {
      if (status.ok()) status = load(fmt::format("ts{}.{}", id, name), arena, &all);
    });
    KAPPA_RETURN_IF_ERROR(std::move(status));
    if (!all) return Error(sqlstate::kDataCorrupted, fmt::format("checkpoint lacks state of table \"{}\"", table->second->name));
    KAPPA_RETURN_IF_ERROR(flow_->TableRestored(id));
    KAPPA_RETURN_IF_ERROR(store.OnRestored());
    flow_->table(id).set_position(position);
  }
  dead_letters_dropped_ = meta.dead_letters_dropped;
  {
    bool all = true;
    Status status;
    dead_letters_->VisitState([&](std::string_view name, state::Arena& arena) {
      if (status.ok()) status = load(fmt::format("dead.{}", name), arena, &all);
    });
    KAPPA_RETURN_IF_ERROR(std::move(status));
    if (all) KAPPA_RETURN_IF_ERROR(dead_letters_->OnRestored());
  }

  // Versions: those whose plan is still the same come back from their pages, the others are replayed.
  std::set<uint32_t> lost;
  for (const auto& [view_name, view] : snapshot->views) {
    for (const catalog::ViewVersion& version : view.versions) {
      if (version.state == catalog::VersionState::kRetired || version.state == catalog::VersionState::kFailed) continue;
      auto found = meta.versions.find(version.id);
      KAPPA_ASSIGN_OR_RETURN(plan::NodePtr plan, BindVersion(version, *snapshot));
      if (version.state == catalog::VersionState::kReplaying || found == meta.versions.end() || found->second.plan_hash != plan::PlanHash(*plan)) {
        lost.insert(version.id);
        continue;
      }
      auto runtime = std::make_shared<VersionRuntime>();
      runtime->id = version.id;
      runtime->number = version.number;
      runtime->view = view_name;
      runtime->plan = plan;
      runtime->inputs = found->second.inputs;
      runtime->store = std::make_unique<ops::ViewStore>(version.schema, version.key_columns);
      KAPPA_RETURN_IF_ERROR(flow_->AddView(version.id, plan, runtime->inputs));
      bool all = true;
      Status status;
      flow_->VisitViewState(version.id, [&](std::string_view name, state::Arena& arena) {
        if (status.ok()) status = load(std::string(name), arena, &all);
      });
      runtime->store->VisitState([&](std::string_view name, state::Arena& arena) {
        if (status.ok()) status = load(fmt::format("vs{}.{}", version.id, name), arena, &all);
      });
      KAPPA_RETURN_IF_ERROR(std::move(status));
      if (!all) return Error(sqlstate::kDataCorrupted, fmt::format("checkpoint lacks state of materialized view \"{}\"", view_name));
      KAPPA_RETURN_IF_ERROR(flow_->graph(version.id).Restored(found->second.started));
      KAPPA_RETURN_IF_ERROR(runtime->store->OnRestored());
      runtime->live = true;
      versions_[version.id] = std::move(runtime);
    }
  }
  // A version that read a lost one missed its changes: it is lost too.
  for (bool more = true; more;) {
    more = false;
    for (auto it = versions_.begin(); it != versions_.end(); ++it) {
      const auto& inputs = it->second->inputs;
      if (std::any_of(inputs.begin(), inputs.end(),
                      [&](const auto& input) { return input.kind == flow::ViewInput::Kind::kView && !versions_.contains(input.id); })) {
        lost.insert(it->first);
        flow_->RemoveView(it->first);
        versions_.erase(it);
        more = true;
        break;
      }
    }
  }
  rebuild_ = std::move(lost);
  checkpoint_epoch_ = epoch_;
  checkpoint_ends_ = positions_.ends;
  return {};
}

Status Core::ReplayTail(log::Offset journal_from, uint64_t after_epoch) {
  flow::JournalReader journal(journal_->partition(0), journal_from);
  std::vector<flow::EpochRecord> ahead;
  std::vector<flow::EpochRecord> step;
  std::map<std::pair<uint32_t, int32_t>, log::Offset> ends = positions_.ends;
  int64_t records = 0;
  BulkFlushes flushes(options_.step_records);
  const auto run_step = [&]() -> Status {
    if (step.empty()) return {};
    KAPPA_RETURN_IF_ERROR(state::CheckMemory());
    flow::FlowChanges changes;
    KAPPA_RETURN_IF_ERROR(flow_->Advance(step, flushes.Due(records), changes));
    epoch_ = step.back().epoch;
    positions_.ends = ends;
    KAPPA_RETURN_IF_ERROR(Publish(step.back(), changes));
    step.clear();
    records = 0;
    return {};
  };
  while (true) {
    ahead.clear();
    KAPPA_RETURN_IF_ERROR(journal.Read(4096, ahead));
    if (ahead.empty()) break;
    for (flow::EpochRecord& epoch : ahead) {
      if (epoch.epoch <= after_epoch) continue;
      std::erase_if(epoch.ends, [&](const auto& e) { return !flow_->HasRelation(e.relation); });
      records += flow::EpochRecords(epoch, ends);
      for (const flow::IdleChange& change : epoch.idle) {
        if (!flow_->HasRelation(change.relation)) continue;
        if (change.idle) {
          idle_.insert({change.relation, change.partition});
        } else {
          idle_.erase({change.relation, change.partition});
        }
      }
      step.push_back(std::move(epoch));
      if (records >= options_.step_records) KAPPA_RETURN_IF_ERROR(run_step());
    }
  }
  KAPPA_RETURN_IF_ERROR(run_step());
  journal_end_ = journal_->partition(0).durable_end();
  // A flush at the end: what an aggregate's group was in between nobody reads. Where nothing came since the checkpoint it
  // changes nothing, and what the checkpoint holds becomes visible.
  flow::EpochRecord last;
  last.epoch = epoch_;
  last.wall_us = visible_wall_us_;
  flow::FlowChanges changes;
  KAPPA_RETURN_IF_ERROR(flow_->Advance({}, true, changes));
  KAPPA_RETURN_IF_ERROR(Publish(last, changes));
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  // Promotions that the checkpoint had not seen: dependents get the difference now.
  bool redirected = false;
  for (auto& [id, runtime] : versions_) {
    std::vector<const plan::Scan*> scans;
    CollectScans(*runtime->plan, scans);
    for (size_t i = 0; i < scans.size(); ++i) {
      if (runtime->inputs[i].kind != flow::ViewInput::Kind::kView || scans[i]->version != 0) continue;
      const catalog::View* upstream = snapshot->FindView(scans[i]->name);
      if (upstream == nullptr || upstream->serving == 0) continue;
      const uint32_t serving = upstream->FindVersion(upstream->serving)->id;
      const uint32_t read = runtime->inputs[i].id;
      if (serving == read) continue;
      if (!versions_.contains(serving) || !versions_.contains(read)) {
        rebuild_.insert(id);
        continue;
      }
      for (auto [version, weight] : {std::pair{read, int64_t{-1}}, std::pair{serving, int64_t{1}}}) {
        versions_.at(version)->store->Snapshot().Scan(scans[i]->columns, static_cast<int64_t>(options_.batch_rows),
                                                      [&, w = weight](data::Batch rows) {
                                                        data::ChangeBatch batch(std::move(rows));
                                                        batch.weights = std::make_shared<std::vector<int64_t>>(static_cast<size_t>(batch.rows), w);
                                                        flow_->Inject(id, static_cast<int>(i), std::move(batch));
                                                        return true;
                                                      });
      }
      runtime->inputs[i].id = serving;
      flow_->RedirectInput(id, read, serving);
      redirected = true;
    }
  }
  for (uint32_t id : rebuild_) {
    flow_->RemoveView(id);
    versions_.erase(id);
  }
  if (redirected) {
    changes = {};
    KAPPA_RETURN_IF_ERROR(flow_->Advance({}, true, changes));
    KAPPA_RETURN_IF_ERROR(Publish(last, changes));
  }
  // Versions that were replaying when the process ended begin again.
  for (const auto& [name, view] : snapshot->views) {
    for (const catalog::ViewVersion& version : view.versions) {
      if (version.state == catalog::VersionState::kReplaying) rebuild_.insert(version.id);
    }
  }
  RebuildLost();
  return {};
}

void Core::RebuildLost() {
  if (rebuild_.empty()) return;
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  for (const auto& [name, view] : snapshot->views) {
    for (const catalog::ViewVersion& version : view.versions) {
      if (!rebuild_.contains(version.id)) continue;
      // Its inputs first.
      bool ready = true;
      for (const std::string& upstream_name : version.depends_on) {
        const catalog::View* upstream = snapshot->FindView(upstream_name);
        if (upstream == nullptr) continue;
        const catalog::ViewVersion* serving = upstream->FindVersion(upstream->serving);
        auto runtime = serving == nullptr ? versions_.end() : versions_.find(serving->id);
        ready &= runtime != versions_.end() && runtime->second->live;
      }
      if (!ready || WaitsForRetry(version.id)) continue;
      rebuild_.erase(version.id);
      Status started = StartReplay(view, version);
      if (!started.ok()) FailReplay(name, version.id, started.error());
      return RebuildLost();  // the snapshot may have changed
    }
  }
}

void Core::MaybeCheckpoint(bool force) {
  if (checkpoint_running_) return;
  if (checkpoint_thread_.joinable()) checkpoint_thread_.join();
  const int64_t now = clock_.SteadyMicros();
  if (!force && !checkpoint_forced_) {
    if (epoch_ == checkpoint_epoch_) return;
    // A long tail would make the restart long. Checkpoints that take long themselves come less often, so that under load
    // most of the time is left for epochs.
    const bool long_tail =
        records_since_checkpoint_ >= options_.checkpoint_records && now - last_checkpoint_us_ >= kCheckpointShare * checkpoint_write_us_.load();
    if (!long_tail && now - last_checkpoint_us_ < options_.checkpoint_interval_us) return;
  }
  Status status = WriteCheckpoint(false);
  if (!status.ok()) fmt::print(stderr, "kappa: checkpoint failed: {}\n", status.ToString());
}

Status Core::WriteCheckpoint(bool wait) {
  if (checkpoint_thread_.joinable()) checkpoint_thread_.join();
  last_checkpoint_us_ = clock_.SteadyMicros();
  checkpoint_forced_ = false;
  auto parts = std::make_shared<std::vector<state::CheckpointStore::Part>>();
  std::set<std::string> prefixes = {"dead"};
  const bool full = checkpoint_full_.exchange(false);
  auto take = [&](std::string name, state::Arena& arena) { parts->push_back({std::move(name), full ? state::FullDelta(arena) : arena.TakeDelta()}); };
  std::string meta;
  {
    std::lock_guard guard(publish_);  // readers take snapshots of the same arenas
    for (uint32_t id : flow_->table_ids()) {
      flow_->VisitTableState(id, [&](std::string_view name, state::Arena& arena) { take(std::string(name), arena); });
      prefixes.insert({fmt::format("t{}", id), fmt::format("ts{}", id)});
    }
    for (auto& [name, table] : tables_) {
      const uint32_t id = table->id;
      table->store->VisitState([&](std::string_view part, state::Arena& arena) { take(fmt::format("ts{}.{}", id, part), arena); });
    }
    for (auto& [id, runtime] : versions_) {
      if (!runtime->live) continue;
      prefixes.insert({fmt::format("v{}", id), fmt::format("vs{}", id)});
      flow_->VisitViewState(id, [&](std::string_view name, state::Arena& arena) { take(std::string(name), arena); });
      const uint32_t version = id;
      runtime->store->VisitState([&](std::string_view part, state::Arena& arena) { take(fmt::format("vs{}.{}", version, part), arena); });
    }
    dead_letters_->VisitState([&](std::string_view part, state::Arena& arena) { take(fmt::format("dead.{}", part), arena); });
    meta = EncodeMeta();
  }
  checkpoint_epoch_ = epoch_;
  NoteWrittenCheckpoint();
  checkpoint_taken_ends_ = positions_.ends;
  records_since_checkpoint_ = 0;
  auto write = [this, parts, meta = std::move(meta), prefixes = std::move(prefixes)]() -> Status {
    const int64_t begin = clock_.SteadyMicros();
    Status status = checkpoints_->Write(meta, *parts);
    checkpoint_write_us_ = clock_.SteadyMicros() - begin;
    if (!status.ok()) {
      checkpoint_full_ = true;
      return status;
    }
    std::set<std::string> dropped;
    for (const std::string& name : checkpoints_->Names("")) {
      const std::string prefix = name.substr(0, name.find('.'));
      if (!prefixes.contains(prefix)) dropped.insert(prefix);
    }
    for (const std::string& prefix : dropped) KAPPA_RETURN_IF_ERROR(checkpoints_->Drop(prefix + "."));
    checkpoint_written_ = true;
    return {};
  };
  if (wait) return write();
  checkpoint_running_ = true;
  checkpoint_thread_ = std::thread([this, write] {
    Status status = write();
    if (!status.ok()) fmt::print(stderr, "kappa: checkpoint failed: {}\n", status.ToString());
    checkpoint_running_ = false;
  });
  return {};
}

}  // namespace kappa::engine
