// SELECT: a bound plan run to its end over one epoch's picture.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "data/row_key.h"
#include "engine/core.h"
#include "engine/pg_catalog.h"
#include "plan/build.h"
#include "plan/subquery_expression.h"

namespace kappa::engine {
namespace {

constexpr int64_t kScanBatches = 16;  // batches pushed between two steps
constexpr int kSubqueryDepthMax = 32;
constexpr int64_t kRebuildWaitUs = 60'000'000;

Error StillReplaying(std::string_view name, const VersionRuntime* runtime, int64_t now_us) {
  Error error(sqlstate::kObjectNotInPrerequisiteState, fmt::format("materialized view \"{}\" is still replaying", name));
  if (runtime != nullptr && runtime->replay) {
    const ReplayProgress& progress = runtime->replay->progress;
    const double eta = progress.eta_seconds(now_us);
    error = std::move(error).Detail(fmt::format("{:.1f} % of {} records are done{}.", progress.percent(), progress.records_total.load(),
                                                eta < 0 ? "" : fmt::format(", about {:.0f} s to go", eta)));
  }
  return std::move(error).Hint("SELECT * FROM kappa.replays shows the progress.");
}

int64_t BytesOf(const data::Batch& batch) {
  int64_t bytes = 0;
  for (const data::ColumnPtr& column : batch.columns) {
    bytes += column->memory_bytes();
    if (!column->type().is_variable()) continue;
    const auto* views = column->data<data::StringView>();
    for (int64_t i = 0; i < batch.rows; ++i) bytes += views[i].is_inline() ? 0 : views[i].size();
  }
  return bytes;
}

void CollectSubqueries(const expr::Expression& expression, std::vector<const plan::Subquery*>& out) {
  if (const plan::Subquery* subquery = plan::SubqueryOf(expression)) out.push_back(subquery);
  for (const expr::ExprPtr& child : expression.children()) CollectSubqueries(*child, out);
}

void CollectExpressions(const plan::Node& node, std::vector<const expr::Expression*>& out) {
  plan::VisitOwnExpressions(node, [&](const expr::ExprPtr& e) { out.push_back(e.get()); });
}

}  // namespace

/// Scans of the plan and of all sub-queries in its expressions.
void CollectAllScans(const plan::Node& node, std::vector<const plan::Scan*>& scans) {
  if (node.kind == plan::NodeKind::kScan) scans.push_back(static_cast<const plan::Scan*>(&node));
  std::vector<const expr::Expression*> expressions;
  CollectExpressions(node, expressions);
  for (const expr::Expression* expression : expressions) {
    std::vector<const plan::Subquery*> subqueries;
    CollectSubqueries(*expression, subqueries);
    for (const plan::Subquery* subquery : subqueries) CollectAllScans(*subquery->plan, scans);
  }
  for (const plan::NodePtr& input : node.inputs) CollectAllScans(*input, scans);
}

Result<ReadSet> Core::OpenReadSet(const std::vector<const plan::Scan*>& scans, uint64_t route_key, int64_t wait_us) {
  ReadSet reads;
  std::unique_lock guard(publish_);
  const int64_t begin = clock_.SteadyMicros();
  for (size_t i = 0; i < scans.size();) {
    const plan::Scan& scan = *scans[i];
    reads.catalog = catalog_->snapshot();
    if (scan.relation_kind == plan::RelationKind::kView) {
      const catalog::View* view = reads.catalog->FindView(scan.name);
      if (view == nullptr) return Error(sqlstate::kUndefinedTable, fmt::format("relation \"{}\" does not exist", scan.name));
      int number = scan.version;
      if (number == 0) {
        number = view->serving;
        auto share = static_cast<int>(route_key % 100);
        for (const catalog::Route& route : view->routes) {
          if (share < route.percent) {
            number = route.version;
            break;
          }
          share -= route.percent;
        }
        if (number == 0 && !view->versions.empty()) number = view->versions.front().number;
      }
      const catalog::ViewVersion* version = view->FindVersion(number);
      if (version == nullptr) {
        return Error(sqlstate::kUndefinedTable, fmt::format("relation \"{}${}\" does not exist", scan.name, number))
            .Hint("SELECT * FROM kappa.versions shows what there is.");
      }
      auto runtime = versions_.find(version->id);
      if (version->state == catalog::VersionState::kFailed) {
        return Error(sqlstate::kObjectNotInPrerequisiteState, fmt::format("version {} of materialized view \"{}\" has failed", number, scan.name))
            .Detail(version->failure + ".");
      }
      if (version->state == catalog::VersionState::kRetired) {
        return Error(sqlstate::kObjectNotInPrerequisiteState, fmt::format("version {} of materialized view \"{}\" is retired", number, scan.name));
      }
      if (runtime == versions_.end() || !runtime->second->live) {
        const int64_t now = clock_.SteadyMicros();
        // A version that served before the restart and is rebuilt now is worth waiting for; a new one says that it replays.
        const int64_t until = version->state == catalog::VersionState::kServing ? begin + kRebuildWaitUs : begin + wait_us;
        if (now >= until || closing_) return StillReplaying(scan.name, runtime == versions_.end() ? nullptr : runtime->second.get(), now);
        visible_changed_.wait_for(guard, std::chrono::microseconds(until - now));
        i = 0;  // everything again: one epoch for all
        reads = {};
        continue;
      }
      reads.views.try_emplace({scan.name, scan.version}, runtime->second->store->Snapshot());
      reads.versions[scan.name] = number;
    } else if (scan.relation_kind == plan::RelationKind::kTable) {
      auto table = tables_.find(scan.name);
      if (table == tables_.end()) return Error(sqlstate::kUndefinedTable, fmt::format("relation \"{}\" does not exist", scan.name));
      reads.tables.try_emplace(scan.name, table->second->store->Snapshot());
    }
    ++i;
  }
  if (!reads.catalog) reads.catalog = catalog_->snapshot();
  reads.epoch = visible_epoch_;
  reads.wall_us = visible_wall_us_;
  return reads;
}

Result<data::Batch> Core::RunQuery(const plan::NodePtr& plan, ReadSet& reads, const expr::EvalContext& context,
                                   const std::function<bool()>& cancelled) {
  flow::ThreadPool inline_pool(1);
  return RunPlan(plan, reads, context, cancelled, inline_pool, 0, nullptr);
}

Result<data::Batch> Core::RunPlan(const plan::NodePtr& plan, ReadSet& reads, const expr::EvalContext& context, const std::function<bool()>& cancelled,
                                  flow::ThreadPool& pool, int depth, std::vector<flow::Graph::NodeStats>* stats) {
  if (depth > kSubqueryDepthMax) return Error(sqlstate::kStatementTooComplex, "sub-queries are nested too deeply");
  plan::SubqueryScope scope([&](const plan::NodePtr& inner, const std::vector<data::Value>& parameters) -> Result<data::Batch> {
    expr::EvalContext inner_context = context;
    inner_context.parameters = parameters;
    return RunPlan(inner, reads, inner_context, cancelled, pool, depth + 1, nullptr);
  });
  flow::FlowOptions options;
  options.shards = 1;
  options.batch_rows = options_.batch_rows;
  options.operators.bounded = true;
  options.operators.context = context;
  options.operators.context.fail_on_error = true;
  auto check = [&]() -> Status {
    if (cancelled && cancelled()) return Error(sqlstate::kQueryCanceled, "canceling statement due to user request");
    return {};
  };
  options.table_function = [&](const plan::TableFunction& function) -> Result<data::Batch> {
    std::vector<data::Value> arguments;
    for (const expr::ExprPtr& argument : function.arguments) {
      expr::EvalContext argument_context = context;
      KAPPA_ASSIGN_OR_RETURN(data::Value value, expr::EvaluateConstant(*argument, argument_context));
      arguments.push_back(std::move(value));
    }
    return TableFunctionRows(function.name, arguments, check);
  };
  int64_t bytes = 0;  // of the result so far
  auto bounded = [&](int64_t more) -> Status {
    if (bytes + more <= options_.query_memory_bytes) return {};
    return Error(sqlstate::kOutOfMemory,
                 more > bytes ? "the query needs more memory than query_memory" : "the query's result is larger than query_memory")
        .Detail(fmt::format("The bound is {} bytes.", options_.query_memory_bytes))
        .Hint("Select fewer rows or columns, join on equalities, aggregate, or start the server with a larger --query-memory-mb.");
  };
  options.watch = [&](int64_t held) -> Status {
    KAPPA_RETURN_IF_ERROR(check());
    return bounded(held);
  };
  KAPPA_RETURN_IF_ERROR(check());
  flow::LogFlow flow(options, pool);
  constexpr uint32_t kQuery = 0xffffffff;
  std::vector<const plan::Scan*> scans;
  CollectScans(*plan, scans);
  std::vector<flow::ViewInput> inputs;
  bool log_needed = false;
  for (const plan::Scan* scan : scans) {
    if (scan->relation_kind != plan::RelationKind::kStream) {
      inputs.push_back({flow::ViewInput::Kind::kInjected, 0});
      continue;
    }
    inputs.push_back({flow::ViewInput::Kind::kStream, scan->relation_id});
    log_needed = true;
    if (flow.HasRelation(scan->relation_id)) continue;
    for (const auto& [name, stream] : reads.catalog->streams) {
      if (stream.id != scan->relation_id) continue;
      auto topic = log_->FindTopic(stream.topic);
      if (!topic) return Error(sqlstate::kDataCorrupted, fmt::format("topic \"{}\" is missing", stream.topic));
      flow.AddStream(SpecOf(stream), std::move(topic));
    }
    if (!flow.HasRelation(scan->relation_id)) return Error(sqlstate::kUndefinedTable, fmt::format("relation \"{}\" does not exist", scan->name));
  }
  KAPPA_RETURN_IF_ERROR(flow.AddView(kQuery, plan, inputs));

  data::Schema schema = plan->schema;
  std::vector<data::ChangeBatch> results;
  auto consume = [&](flow::FlowChanges& changes) -> Status {
    for (data::ChangeBatch& batch : changes.views[kQuery]) {
      bytes += BytesOf(batch.AsBatch());
      KAPPA_RETURN_IF_ERROR(bounded(0));
      results.push_back(std::move(batch));
    }
    return {};
  };
  for (size_t i = 0; i < scans.size(); ++i) {
    const plan::Scan& scan = *scans[i];
    const ops::ViewSnapshot* snapshot = nullptr;
    if (scan.relation_kind == plan::RelationKind::kSystem) {
      KAPPA_ASSIGN_OR_RETURN(data::Batch rows, SystemRows(scan.name, reads));
      data::ChangeBatch projected;
      projected.rows = rows.rows;
      for (int column : scan.columns) projected.columns.push_back(rows.columns[static_cast<size_t>(column)]);
      flow.Inject(kQuery, static_cast<int>(i), std::move(projected));
      continue;
    }
    if (scan.relation_kind == plan::RelationKind::kStream) continue;
    if (scan.relation_kind == plan::RelationKind::kTable) {
      auto it = reads.tables.find(scan.name);
      if (it != reads.tables.end()) snapshot = &it->second;
    } else {
      auto it = reads.views.find({scan.name, scan.version});
      if (it != reads.views.end()) snapshot = &it->second;
    }
    if (snapshot == nullptr) return Error(sqlstate::kInternalError, fmt::format("relation \"{}\" was not opened for this query", scan.name));
    Status status;
    int64_t pushed = 0;
    snapshot->Scan(scan.columns, static_cast<int64_t>(options_.batch_rows), [&](data::Batch rows) {
      flow.Inject(kQuery, static_cast<int>(i), data::ChangeBatch(std::move(rows)));
      if (++pushed % kScanBatches == 0) {
        flow::FlowChanges changes;
        status = flow.Advance({}, false, changes);
        if (status.ok()) status = consume(changes);
        if (status.ok()) status = check();
      }
      return status.ok();
    });
    KAPPA_RETURN_IF_ERROR(std::move(status));
  }
  if (log_needed) {
    flow::JournalReader journal(journal_->partition(0), journal_->partition(0).start_offset());
    std::map<std::pair<uint32_t, int32_t>, log::Offset> ends;
    std::vector<flow::EpochRecord> ahead, step;
    int64_t records = 0;
    for (bool reached = false; !reached;) {
      ahead.clear();
      KAPPA_RETURN_IF_ERROR(journal.Read(4096, ahead));
      reached = ahead.empty();
      for (flow::EpochRecord& epoch : ahead) {
        if (epoch.epoch > reads.epoch) {
          reached = true;
          break;
        }
        std::erase_if(epoch.ends, [&](const auto& e) { return !flow.HasRelation(e.relation); });
        records += flow::EpochRecords(epoch, ends);
        step.push_back(std::move(epoch));
        if (records < options_.step_records) continue;
        flow::FlowChanges changes;
        KAPPA_RETURN_IF_ERROR(flow.Advance(step, false, changes));
        KAPPA_RETURN_IF_ERROR(consume(changes));
        KAPPA_RETURN_IF_ERROR(check());
        step.clear();
        records = 0;
      }
    }
    flow::FlowChanges changes;
    KAPPA_RETURN_IF_ERROR(flow.Advance(step, false, changes));
    KAPPA_RETURN_IF_ERROR(consume(changes));
  }
  flow.EndInput();
  flow::FlowChanges changes;
  KAPPA_RETURN_IF_ERROR(flow.Advance({}, true, changes));
  KAPPA_RETURN_IF_ERROR(consume(changes));
  if (stats != nullptr) *stats = flow.graph(kQuery).stats();

  data::Batch out = data::EmptyBatch(schema);
  if (results.empty()) return out;
  data::ChangeBatch all = results.size() == 1 ? std::move(results[0]) : data::Concatenate(results);
  if (all.weights) {
    // An outer join may have taken back rows; a row may come more than once. What is left over, in order of first sight:
    data::RowKeys keys(all.columns, all.rows, false);
    absl::flat_hash_map<std::string_view, int64_t> net;
    for (int64_t row = 0; row < all.rows; ++row) net[keys.key(row)] += all.weight(row);
    int64_t rows_total = 0;
    for (const auto& [key, count] : net) {
      if (count > 0 && __builtin_add_overflow(rows_total, count, &rows_total)) rows_total = INT64_MAX;
    }
    int64_t bytes_total = 0;
    if (__builtin_mul_overflow(rows_total, 8 + bytes / std::max<int64_t>(1, all.rows), &bytes_total)) bytes_total = INT64_MAX - bytes;
    KAPPA_RETURN_IF_ERROR(bounded(std::min(bytes_total, INT64_MAX - bytes)));
    std::vector<int32_t> rows;
    for (int64_t row = 0; row < all.rows; ++row) {
      int64_t& left = net[keys.key(row)];
      for (int64_t w = all.weight(row); w > 0 && left > 0; --w, --left) rows.push_back(static_cast<int32_t>(row));
    }
    all = data::Gather(all, rows);
  }
  return all.AsBatch();
}

}  // namespace kappa::engine
