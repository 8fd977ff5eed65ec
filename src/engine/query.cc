// SELECT: the picture of one epoch that a query reads. query_run.h runs it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "engine/core.h"
#include "engine/pg_catalog.h"
#include "engine/query_run.h"
#include "plan/build.h"
#include "plan/subquery_expression.h"

namespace kappa::engine {
namespace {

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
  const QueryContext query{*this, reads, cancelled, pool};
  return QueryRun(query, context, depth).Run(plan, stats);
}

}  // namespace kappa::engine
