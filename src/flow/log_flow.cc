#include "flow/log_flow.h"

#include <fmt/format.h>

#include <algorithm>

namespace kappa::flow {

LogFlow::LogFlow(FlowOptions options, ThreadPool& pool) : options_(std::move(options)), pool_(pool) {}
LogFlow::~LogFlow() = default;

void LogFlow::AddStream(StreamSpec spec, std::shared_ptr<log::Topic> topic) {
  const uint32_t id = spec.id;
  streams_[id] = std::make_unique<StreamFeed>(std::move(spec), std::move(topic), std::vector<int>{}, options_.batch_rows, options_.patience);
}

Status LogFlow::AddTable(TableSpec spec, std::shared_ptr<log::Topic> topic, bool changelog_only) {
  Table table;
  if (!changelog_only) table.upsert = ops::MakeUpsert(spec.schema, spec.primary_key, spec.ttl_us);
  table.expires = spec.ttl_us > 0;
  table.version_time = spec.version_time;
  table.feed =
      topic ? std::make_unique<TableFeed>(spec.id, spec.name, spec.schema, spec.primary_key, spec.constraints, std::move(topic), options_.patience)
            : nullptr;
  tables_[spec.id] = std::move(table);
  return {};
}

void LogFlow::RemoveRelation(uint32_t id) {
  streams_.erase(id);
  tables_.erase(id);
  watermarks_.erase(id);
}

void LogFlow::NeedColumns(const View& view) {
  for (size_t i = 0; i < view.inputs.size(); ++i) {
    if (view.inputs[i].kind != ViewInput::Kind::kStream) continue;
    auto stream = streams_.find(view.inputs[i].id);
    if (stream != streams_.end()) stream->second->NeedColumns(view.graph->scans()[i]->columns);
  }
}

Status LogFlow::AddView(uint32_t id, plan::NodePtr plan, std::vector<ViewInput> inputs) {
  GraphOptions graph_options;
  graph_options.shards = options_.shards;
  graph_options.batch_rows = options_.batch_rows;
  graph_options.operators = options_.operators;
  graph_options.table_function = options_.table_function;
  graph_options.watch = options_.watch;
  KAPPA_ASSIGN_OR_RETURN(auto graph, Graph::Make(std::move(plan), std::move(graph_options)));
  AdoptView(id, std::move(graph), std::move(inputs));
  return {};
}

void LogFlow::AdoptView(uint32_t id, std::unique_ptr<Graph> graph, std::vector<ViewInput> inputs) {
  KAPPA_CHECK(graph->scans().size() == inputs.size());
  View view{std::move(graph), std::move(inputs)};
  NeedColumns(view);
  views_[id] = std::move(view);
}

std::unique_ptr<Graph> LogFlow::ReleaseView(uint32_t id) {
  auto it = views_.find(id);
  if (it == views_.end()) return nullptr;
  auto graph = std::move(it->second.graph);
  views_.erase(it);
  injected_.erase(id);
  return graph;
}

void LogFlow::RedirectInput(uint32_t id, uint32_t from, uint32_t to) {
  View& view = views_.at(id);
  for (size_t i = 0; i < view.inputs.size(); ++i) {
    const bool pinned = view.graph->scans()[i]->version != 0;
    if (view.inputs[i].kind == ViewInput::Kind::kView && view.inputs[i].id == from && !pinned) view.inputs[i].id = to;
  }
}

void LogFlow::Inject(uint32_t id, int scan, data::ChangeBatch rows) { injected_[id].emplace_back(scan, std::move(rows)); }

std::vector<uint32_t> LogFlow::table_ids() const {
  std::vector<uint32_t> ids;
  for (const auto& [id, table] : tables_) ids.push_back(id);
  return ids;
}

std::map<std::pair<uint32_t, int32_t>, log::Offset> LogFlow::positions() const {
  std::map<std::pair<uint32_t, int32_t>, log::Offset> positions;
  for (const auto& [id, feed] : streams_) {
    for (int p = 0; p < feed->spec().partitions; ++p) positions[{id, p}] = feed->position(p);
  }
  for (const auto& [id, table] : tables_) {
    if (table.feed) positions[{id, 0}] = table.feed->position();
  }
  return positions;
}

int64_t LogFlow::next_due_us() const {
  int64_t due = std::numeric_limits<int64_t>::max();
  for (const auto& [id, table] : tables_)
    if (table.upsert) due = std::min(due, table.upsert->next_due_us());
  for (const auto& [id, view] : views_) due = std::min(due, view.graph->next_due_us());
  return due;
}

void LogFlow::EndScans(const std::function<bool(const ViewInput&)>& ended) {
  for (auto& [id, view] : views_) {
    for (size_t i = 0; i < view.inputs.size(); ++i)
      if (ended(view.inputs[i])) view.graph->EndScan(static_cast<int>(i));
  }
}

void LogFlow::EndTables() {
  EndScans([](const ViewInput& input) { return input.kind == ViewInput::Kind::kTable; });
}

void LogFlow::EndStream(uint32_t stream) {
  EndScans([stream](const ViewInput& input) { return input.kind == ViewInput::Kind::kStream && input.id == stream; });
}

std::vector<int> LogFlow::NeededColumns(uint32_t stream) const { return streams_.at(stream)->columns(); }

bool LogFlow::NeedsVerdicts(uint32_t stream) const {
  for (const auto& [id, view] : views_) {
    for (size_t i = 0; i < view.inputs.size(); ++i) {
      const ViewInput& input = view.inputs[i];
      if (input.kind == ViewInput::Kind::kStream && input.id == stream && view.graph->scans()[i]->late != plan::LateRows::kKeep) return true;
    }
  }
  return false;
}

std::vector<uint32_t> LogFlow::Order() const {
  std::vector<uint32_t> order;
  std::map<uint32_t, int> mark;  // 1 on the way, 2 done
  std::function<void(uint32_t)> visit = [&](uint32_t id) {
    if (mark[id] != 0) return;
    mark[id] = 1;
    for (const ViewInput& input : views_.at(id).inputs) {
      if (input.kind == ViewInput::Kind::kView && views_.contains(input.id)) visit(input.id);
    }
    mark[id] = 2;
    order.push_back(id);
  };
  for (const auto& [id, view] : views_) visit(id);
  return order;
}

std::map<uint32_t, std::vector<data::ChangeBatch>> LogFlow::VersionRows(const std::map<uint32_t, std::vector<data::ChangeBatch>>& tables,
                                                                        const std::map<uint32_t, std::vector<ChangeOrigin>>& origins) {
  std::map<uint32_t, std::vector<data::ChangeBatch>> versions;
  for (const auto& [id, batches] : tables) {
    const bool read = std::any_of(views_.begin(), views_.end(), [id = id](const auto& view) {
      return std::any_of(view.second.inputs.begin(), view.second.inputs.end(),
                         [&](const ViewInput& input) { return input.kind == ViewInput::Kind::kChangelog && input.id == id; });
    });
    const auto table = tables_.find(id);
    if (!read || table == tables_.end()) continue;
    const auto from = origins.find(id);
    for (size_t i = 0; i < batches.size(); ++i) {
      const data::ChangeBatch& changes = batches[i];
      data::ChangeBatch rows(changes.AsBatch());
      auto deleted = std::make_shared<data::Column>(data::TypeId::kBool, changes.rows);
      auto number = std::make_shared<data::Column>(data::TypeId::kInt8, changes.rows);
      const data::Column& declared = *changes.columns[static_cast<size_t>(table->second.version_time)];
      auto valid_from = std::make_shared<data::Column>(declared.type(), changes.rows);
      for (int64_t row = 0; row < changes.rows; ++row) {
        const bool gone = changes.weight(row) < 0;
        deleted->mutable_data<uint8_t>()[row] = gone ? 1 : 0;
        number->mutable_data<int64_t>()[row] = from != origins.end() ? from->second[i].offsets[static_cast<size_t>(row)] : table->second.given++;
        if (gone)
          valid_from->mutable_data<int64_t>()[row] = from != origins.end() ? from->second[i].timestamps_us[static_cast<size_t>(row)] : wall_us_;
        else if (declared.IsNull(row)) valid_from->SetNull(row);
        else valid_from->mutable_data<int64_t>()[row] = declared.data<int64_t>()[row];
      }
      rows.columns.insert(rows.columns.end(), {std::move(deleted), std::move(valid_from), std::move(number)});
      versions[id].push_back(std::move(rows));
    }
  }
  return versions;
}

Status LogFlow::RunTables(std::map<uint32_t, std::vector<data::ChangeBatch>> in, const std::map<uint32_t, std::vector<ChangeOrigin>>& origins,
                          const ops::EpochContext& context, FlowChanges& changes) {
  for (auto& [id, table] : tables_) {
    if (!table.upsert || (!table.expires && !in.contains(id))) continue;
    std::vector<data::ChangeBatch>& batches = in[id];
    const auto from = origins.find(id);
    ops::Output out;
    for (size_t i = 0; i < batches.size(); ++i) {
      data::ChangeBatch& batch = batches[i];
      if (table.expires) {
        auto times = std::make_shared<data::Column>(data::TypeId::kTimestamptz, batch.rows);
        for (int64_t row = 0; row < batch.rows; ++row)
          times->mutable_data<int64_t>()[row] = from == origins.end() ? wall_us_ : from->second[i].processed_us[static_cast<size_t>(row)];
        batch.columns.push_back(std::move(times));
      }
      KAPPA_RETURN_IF_ERROR(table.upsert->OnBatch(0, std::move(batch), out));
    }
    KAPPA_RETURN_IF_ERROR(table.upsert->OnEpochEnd(context, out));
    std::vector<data::ChangeBatch> rows = out.Take();
    std::erase_if(rows, [](const data::ChangeBatch& batch) { return batch.rows == 0; });
    if (!rows.empty()) changes.tables[id] = std::move(rows);
  }
  return {};
}

/// Rows that the view leaves out, each once: it may read a stream at several places.
void LogFlow::CollectFailed(uint32_t id, Graph& graph, FlowChanges& changes) const {
  std::vector<std::pair<uint32_t, ops::FailedRow>> failed;
  graph.TakeFailed(failed);
  const auto key = [](const auto& row) { return std::tie(row.first, row.second.partition, row.second.offset); };
  std::sort(failed.begin(), failed.end(),
            [&](const auto& a, const auto& b) { return key(a) != key(b) ? key(a) < key(b) : a.second.reason < b.second.reason; });
  failed.erase(std::unique(failed.begin(), failed.end(), [&](const auto& a, const auto& b) { return key(a) == key(b); }), failed.end());
  for (auto& [stream, row] : failed)
    changes.dead.push_back({streams_.at(stream)->spec().topic, row.partition, row.offset, std::move(row.reason), "", id});
}

Status LogFlow::RunViews(const std::map<uint32_t, std::vector<JudgedBatch>>& streams,
                         const std::map<uint32_t, std::vector<data::ChangeBatch>>& versions, const ops::EpochContext& context, bool end,
                         FlowChanges& changes) {
  for (uint32_t id : Order()) {
    View& view = views_.at(id);
    for (size_t i = 0; i < view.inputs.size(); ++i) {
      const ViewInput& input = view.inputs[i];
      const plan::Scan& scan = *view.graph->scans()[i];
      switch (input.kind) {
        case ViewInput::Kind::kStream: {
          auto rows = streams.find(input.id);
          if (rows == streams.end()) break;
          auto feed = streams_.find(input.id);
          std::vector<size_t> at;  // position of each scan column in the judged batch
          for (int column : scan.columns) {
            const std::vector<int>& given = feed->second->columns();
            at.push_back(static_cast<size_t>(std::find(given.begin(), given.end(), column) - given.begin()));
          }
          for (const JudgedBatch& judged : rows->second) {
            if (scan.late == plan::LateRows::kOnly && judged.late.empty()) continue;
            JudgedBatch projected;
            projected.rows.rows = judged.rows.rows;
            for (size_t column : at) projected.rows.columns.push_back(judged.rows.columns[column]);
            projected.late = judged.late;
            view.graph->Push(static_cast<int>(i),
                             data::ChangeBatch(SelectByVerdict(projected, scan.late != plan::LateRows::kOnly, scan.late != plan::LateRows::kDrop)));
          }
          break;
        }
        case ViewInput::Kind::kTable:
        case ViewInput::Kind::kChangelog:
        case ViewInput::Kind::kView: {
          const auto& source = input.kind == ViewInput::Kind::kTable       ? changes.tables
                               : input.kind == ViewInput::Kind::kChangelog ? versions
                                                                           : changes.views;
          auto rows = source.find(input.id);
          if (rows == source.end()) break;
          for (const data::ChangeBatch& batch : rows->second) {
            data::ChangeBatch projected;
            projected.rows = batch.rows;
            projected.weights = batch.weights;
            for (int column : scan.columns) projected.columns.push_back(batch.columns[static_cast<size_t>(column)]);
            view.graph->Push(static_cast<int>(i), std::move(projected));
          }
          break;
        }
        case ViewInput::Kind::kInjected: break;
      }
    }
    if (auto injected = injected_.find(id); injected != injected_.end()) {
      for (auto& [scan, rows] : injected->second) view.graph->Push(scan, std::move(rows));
      injected_.erase(injected);
    }
    std::vector<data::ChangeBatch> out;
    KAPPA_RETURN_IF_ERROR(view.graph->Step(pool_, end ? &context : nullptr, out));
    CollectFailed(id, *view.graph, changes);
    if (!out.empty()) changes.views[id] = std::move(out);
  }
  return {};
}

Status LogFlow::Advance(std::span<const EpochRecord> epochs, bool flush, FlowChanges& changes) {
  std::map<uint32_t, std::vector<JudgedBatch>> streams;
  std::map<uint32_t, std::vector<data::ChangeBatch>> tables;
  std::map<uint32_t, std::vector<ChangeOrigin>> origins;
  for (auto& [id, feed] : streams_) {
    if (!epochs.empty()) {
      std::vector<JudgedBatch> rows;
      KAPPA_RETURN_IF_ERROR(feed->Advance(epochs, pool_, rows, changes.dead));
      if (!rows.empty()) streams[id] = std::move(rows);
    }
    watermarks_[id] = ended_ ? std::numeric_limits<int64_t>::max() : feed->clock().watermark();
  }
  for (auto& [id, table] : tables_) {
    if (epochs.empty() || !table.feed) continue;
    std::vector<data::ChangeBatch> rows;
    KAPPA_RETURN_IF_ERROR(table.feed->Advance(epochs, rows, changes.dead, table.version_time >= 0 || table.expires ? &origins[id] : nullptr));
    if (!rows.empty()) tables[id] = std::move(rows);
  }
  if (!epochs.empty()) {
    epoch_ = epochs.back().epoch;
    PassTime(epochs.back().wall_us);
  }
  ops::EpochContext context{epoch_, wall_us_, &watermarks_, flush, flush && last_};
  const auto versions = VersionRows(tables, origins);
  KAPPA_RETURN_IF_ERROR(RunTables(std::move(tables), origins, context, changes));
  return RunViews(streams, versions, context, true, changes);
}

Status LogFlow::AdvanceRows(std::map<uint32_t, std::vector<JudgedBatch>> streams, std::map<uint32_t, std::vector<data::ChangeBatch>> tables,
                            bool flush, FlowChanges& changes) {
  if (ended_) {
    for (auto& [id, watermark] : watermarks_) watermark = std::numeric_limits<int64_t>::max();
  }
  ops::EpochContext context{++epoch_, wall_us_, &watermarks_, flush, flush && last_};
  const auto versions = VersionRows(tables, {});
  KAPPA_RETURN_IF_ERROR(RunTables(std::move(tables), {}, context, changes));
  return RunViews(streams, versions, context, true, changes);
}

void LogFlow::VisitTableState(uint32_t id, const std::function<void(std::string_view, state::Arena&)>& visit) {
  tables_.at(id).upsert->VisitState([&](std::string_view name, state::Arena& arena) { visit(fmt::format("t{}.{}", id, name), arena); });
}

Status LogFlow::TableRestored(uint32_t id) { return tables_.at(id).upsert->OnRestored(); }

void LogFlow::VisitViewState(uint32_t id, const std::function<void(std::string_view, state::Arena&)>& visit) {
  views_.at(id).graph->VisitState([&](std::string_view name, state::Arena& arena) { visit(fmt::format("v{}.{}", id, name), arena); });
}

int64_t EpochRecords(const EpochRecord& epoch, std::map<std::pair<uint32_t, int32_t>, log::Offset>& ends) {
  int64_t count = 0;
  for (const PartitionEnd& end : epoch.ends) {
    log::Offset& known = ends[{end.relation, end.partition}];
    if (end.end > known) {
      count += end.end - known;
      known = end.end;
    }
  }
  return count;
}

}  // namespace kappa::flow
