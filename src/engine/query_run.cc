#include "engine/query_run.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <fmt/format.h>

#include <algorithm>

#include "data/row_key.h"
#include "ops/held_rows.h"
#include "plan/build.h"
#include "plan/subquery_expression.h"
#include "state/memory.h"

namespace kappa::engine {
namespace {

constexpr int64_t kScanBatches = 16;  // batches pushed between two steps
constexpr int64_t kSmallQuery = 8 << 20;  // bytes
constexpr int kSubqueryDepthMax = 32;
constexpr uint32_t kQuery = 0xffffffff;   // the plan's id in its flow
constexpr uint32_t kParts = 1 << 20;   // ids of leaves that stand for parts; recursions count from 0

using plan::JoinType;
using plan::NodeKind;

bool HasRecursion(const plan::Node& node) {
  return node.kind == NodeKind::kRecursive ||
         std::any_of(node.inputs.begin(), node.inputs.end(), [](const plan::NodePtr& input) { return HasRecursion(*input); });
}

bool ReadsWorking(const plan::Node& node, uint32_t id) {
  if (node.kind == NodeKind::kScan) {
    const auto& scan = static_cast<const plan::Scan&>(node);
    return scan.relation_kind == plan::RelationKind::kWorking && scan.relation_id == id;
  }
  return std::any_of(node.inputs.begin(), node.inputs.end(), [&](const plan::NodePtr& input) { return ReadsWorking(*input, id); });
}

/// True when the rows that new working rows add are what the step gives for them alone: then its operators need not begin anew.
bool IsLinear(const plan::Node& node, uint32_t id) {
  switch (node.kind) {
    case NodeKind::kScan: return ReadsWorking(node, id);
    case NodeKind::kFilter:
    case NodeKind::kProject:
    case NodeKind::kWindow:
    case NodeKind::kUnnest: return IsLinear(*node.inputs[0], id);
    case NodeKind::kUnion:
      return std::all_of(node.inputs.begin(), node.inputs.end(), [&](const plan::NodePtr& input) { return IsLinear(*input, id); });
    case NodeKind::kJoin: {
      const JoinType type = static_cast<const plan::Join&>(node).type;
      const bool left = ReadsWorking(*node.inputs[0], id), right = ReadsWorking(*node.inputs[1], id);
      if (left == right) return false;
      if (right) return (type == JoinType::kInner || type == JoinType::kCross) && IsLinear(*node.inputs[1], id);
      return type != JoinType::kRight && type != JoinType::kFull && IsLinear(*node.inputs[0], id);
    }
    default: return false;
  }
}

}  // namespace

Status QueryRun::Check() const {
  if (query_.cancelled && query_.cancelled()) return Error(sqlstate::kQueryCanceled, "canceling statement due to user request");
  return {};
}

Status QueryRun::Bounded(int64_t more) const {
  const int64_t limit = query_.core.options_.query_memory_bytes;
  if (bytes_ + more <= limit) return {};
  return Error(sqlstate::kOutOfMemory,
               more > bytes_ ? "the query needs more memory than query_memory" : "the query's result is larger than query_memory")
      .Detail(fmt::format("The bound is {} bytes.", limit))
      .Hint("Select fewer rows or columns, join on equalities, aggregate, or start the server with a larger --query-memory-mb.");
}

/// The plan with its recursions replaced by leaves. `limited`: a LIMIT above ends this plan's run already.
plan::NodePtr QueryRun::Cut(const plan::NodePtr& node, bool limited) {
  if (!HasRecursion(*node)) return node;
  if (node->kind == NodeKind::kRecursive || (node->kind == NodeKind::kLimit && !limited)) {
    for (const Part& part : parts_)
      if (part.plan == node) return part.leaf;
    std::vector<int> columns;
    for (int i = 0; i < node->schema.size(); ++i) columns.push_back(i);
    parts_.push_back({node, plan::MakeScan(plan::RelationKind::kWorking, kParts + static_cast<uint32_t>(parts_.size()), "recursive query",
                                           node->schema, columns)});
    return parts_.back().leaf;
  }
  const bool above = limited && node->kind == NodeKind::kProject;  // of the root, above its Limit
  std::vector<plan::NodePtr> inputs;
  for (const plan::NodePtr& input : node->inputs) inputs.push_back(Cut(input, above));
  return plan::WithInputs(node, std::move(inputs));
}

Status QueryRun::Open(const plan::NodePtr& plan) {
  const plan::Node* root = plan.get();
  while (root->kind == NodeKind::kProject) root = root->inputs[0].get();
  const bool limited = root->kind == NodeKind::kLimit && (plan.get() == root || plan->inputs[0].get() == root);
  plan_ = Cut(plan, limited);
  if (limited && !parts_.empty()) {
    const auto& limit = static_cast<const plan::Limit&>(*root);
    if (limit.limit) {
      expr::EvalContext context = context_;
      KAPPA_ASSIGN_OR_RETURN(const data::Value value, expr::EvaluateConstant(*limit.limit, context));
      if (!value.null) rows_wanted_ = value.As<int64_t>();
    }
  }
  Core& core = query_.core;
  flow::FlowOptions options;
  options.shards = 1;
  options.batch_rows = core.options_.batch_rows;
  options.operators.bounded = true;
  options.operators.once = true;
  options.operators.context = context_;
  options.operators.context.fail_on_error = true;
  options.table_function = [this](const plan::TableFunction& function) -> Result<data::Batch> {
    std::vector<data::Value> arguments;
    for (const expr::ExprPtr& argument : function.arguments) {
      expr::EvalContext context = context_;
      KAPPA_ASSIGN_OR_RETURN(data::Value value, expr::EvaluateConstant(*argument, context));
      arguments.push_back(std::move(value));
    }
    return query_.core.TableFunctionRows(function.name, arguments, [this] { return Check(); });
  };
  options.watch = [this](int64_t held) -> Status {
    KAPPA_RETURN_IF_ERROR(Check());
    if (held > kSmallQuery) KAPPA_RETURN_IF_ERROR(state::CheckMemory());  // small ones are answered without room, too
    return Bounded(held);
  };
  KAPPA_RETURN_IF_ERROR(Check());
  flow_ = std::make_unique<flow::LogFlow>(options, query_.pool);
  CollectScans(*plan_, scans_);
  std::vector<flow::ViewInput> inputs;
  for (const plan::Scan* scan : scans_) {
    if (scan->changelog) {
      inputs.push_back({flow::ViewInput::Kind::kChangelog, scan->relation_id});
      log_needed_ = true;
      const catalog::Table* table = query_.reads.catalog->FindTable(scan->name);
      if (table == nullptr) return Error(sqlstate::kUndefinedTable, fmt::format("relation \"{}\" does not exist", scan->name));
      if (!flow_->HasRelation(scan->relation_id))
        KAPPA_RETURN_IF_ERROR(flow_->AddTable(core.SpecOf(*table), core.log_->FindTopic(table->topic), /*changelog_only=*/true));
      continue;
    }
    if (scan->relation_kind != plan::RelationKind::kStream) {
      inputs.push_back({flow::ViewInput::Kind::kInjected, 0});
      continue;
    }
    inputs.push_back({flow::ViewInput::Kind::kStream, scan->relation_id});
    log_needed_ = true;
    if (flow_->HasRelation(scan->relation_id)) continue;
    for (const auto& [name, stream] : query_.reads.catalog->streams) {
      if (stream.id != scan->relation_id) continue;
      auto topic = core.log_->FindTopic(stream.topic);
      if (!topic) return Error(sqlstate::kDataCorrupted, fmt::format("topic \"{}\" is missing", stream.topic));
      flow_->AddStream(core.SpecOf(stream), std::move(topic));
    }
    if (!flow_->HasRelation(scan->relation_id)) return Error(sqlstate::kUndefinedTable, fmt::format("relation \"{}\" does not exist", scan->name));
  }
  return flow_->AddView(kQuery, plan_, inputs);
}

Status QueryRun::Advance(bool flush, std::span<const flow::EpochRecord> epochs) {
  flow::FlowChanges changes;
  KAPPA_RETURN_IF_ERROR(flow_->Advance(epochs, flush, changes));
  for (data::ChangeBatch& batch : changes.views[kQuery]) {
    bytes_ += ops::BytesWithStrings(batch.columns);
    result_rows_ += batch.rows;
    KAPPA_RETURN_IF_ERROR(Bounded(0));
    results_.push_back(std::move(batch));
  }
  return {};
}

Status QueryRun::Push(int scan, const data::Batch& rows) {
  data::ChangeBatch projected;
  projected.rows = rows.rows;
  for (const int column : scans_[static_cast<size_t>(scan)]->columns) projected.columns.push_back(rows.columns[static_cast<size_t>(column)]);
  flow_->Inject(kQuery, scan, std::move(projected));
  return {};
}

/// Rows that are at hand: of tables, views, system relations and working tables.
Status QueryRun::PushStored() {
  ReadSet& reads = query_.reads;
  for (size_t i = 0; i < scans_.size(); ++i) {
    const plan::Scan& scan = *scans_[i];
    const ops::ViewSnapshot* snapshot = nullptr;
    switch (scan.relation_kind) {
      case plan::RelationKind::kStream: continue;
      case plan::RelationKind::kSystem: {
        KAPPA_ASSIGN_OR_RETURN(const data::Batch rows, query_.core.SystemRows(scan.name, reads));
        KAPPA_RETURN_IF_ERROR(Push(static_cast<int>(i), rows));
        continue;
      }
      case plan::RelationKind::kWorking: {
        const auto it = working_.find(scan.relation_id);
        if (it != working_.end()) KAPPA_RETURN_IF_ERROR(Push(static_cast<int>(i), *it->second));
        continue;
      }
      case plan::RelationKind::kTable: {
        if (scan.changelog) continue;
        const auto it = reads.tables.find(scan.name);
        if (it != reads.tables.end()) snapshot = &it->second;
        break;
      }
      case plan::RelationKind::kView: {
        const auto it = reads.views.find({scan.name, scan.version});
        if (it != reads.views.end()) snapshot = &it->second;
        break;
      }
    }
    if (snapshot == nullptr) return Error(sqlstate::kInternalError, fmt::format("relation \"{}\" was not opened for this query", scan.name));
    Status status;
    int64_t pushed = 0;
    snapshot->Scan(scan.columns, static_cast<int64_t>(query_.core.options_.batch_rows), [&](data::Batch rows) {
      flow_->Inject(kQuery, static_cast<int>(i), data::ChangeBatch(std::move(rows)));
      if (++pushed % kScanBatches == 0 || state::Spilling()) {  // what was fetched for a batch may go soon
        status = Advance(false);
        if (status.ok()) status = Check();
      }
      return status.ok();
    });
    KAPPA_RETURN_IF_ERROR(std::move(status));
  }
  return log_needed_ ? PushLog() : Status();
}

Status QueryRun::PushLog() {
  Core& core = query_.core;
  flow::JournalReader journal(core.journal_->partition(0), core.journal_->partition(0).start_offset());
  std::map<std::pair<uint32_t, int32_t>, log::Offset> ends;
  std::vector<flow::EpochRecord> ahead, step;
  int64_t records = 0;
  for (bool reached = false; !reached;) {
    ahead.clear();
    KAPPA_RETURN_IF_ERROR(journal.Read(4096, ahead));
    reached = ahead.empty();
    for (flow::EpochRecord& epoch : ahead) {
      if (epoch.epoch > query_.reads.epoch) {
        reached = true;
        break;
      }
      std::erase_if(epoch.ends, [&](const auto& e) { return !flow_->HasRelation(e.relation); });
      records += flow::EpochRecords(epoch, ends);
      step.push_back(std::move(epoch));
      if (records < core.options_.step_records) continue;
      KAPPA_RETURN_IF_ERROR(Advance(false, step));
      step.clear();
      KAPPA_RETURN_IF_ERROR(Check());
      records = 0;
    }
  }
  return Advance(false, step);
}

bool QueryRun::Satisfied() const { return result_rows_ >= rows_wanted_; }

Status QueryRun::PushParts() {
  for (const Part& part : parts_) {
    const auto scan = static_cast<int>(std::find(scans_.begin(), scans_.end(), part.leaf.get()) - scans_.begin());
    if (part.plan->kind != NodeKind::kRecursive) {
      KAPPA_ASSIGN_OR_RETURN(const data::Batch rows, RunOther(part.plan, working_));
      KAPPA_RETURN_IF_ERROR(Push(scan, rows));
      continue;
    }
    KAPPA_RETURN_IF_ERROR(Recurse(static_cast<const plan::Recursive&>(*part.plan), [&](const data::Batch& rows) -> Result<bool> {
      KAPPA_RETURN_IF_ERROR(Push(scan, rows));
      KAPPA_RETURN_IF_ERROR(Advance(false));
      return Satisfied();
    }));
  }
  return {};
}

Result<data::Batch> QueryRun::RunOther(const plan::NodePtr& plan, const WorkingTables& working) const {
  return QueryRun(query_, context_, depth_ + 1, working).Run(plan, nullptr);
}

Status QueryRun::Recurse(const plan::Recursive& recursive, const Sink& sink) const {
  absl::flat_hash_set<std::string> seen;  // UNION
  int64_t seen_bytes = 0;
  const auto fresh = [&](data::Batch rows) -> Result<data::Batch> {
    if (!recursive.distinct) return rows;
    const data::RowKeys keys(rows.columns, rows.rows);
    std::vector<int32_t> kept;
    for (int64_t row = 0; row < rows.rows; ++row) {
      const auto [entry, added] = seen.emplace(keys.key(row));
      if (!added) continue;
      kept.push_back(static_cast<int32_t>(row));
      seen_bytes += static_cast<int64_t>(sizeof(std::string) + entry->capacity());
    }
    KAPPA_RETURN_IF_ERROR(Bounded(seen_bytes));
    return static_cast<int64_t>(kept.size()) == rows.rows ? std::move(rows) : data::Gather(data::ChangeBatch(std::move(rows)), kept).AsBatch();
  };
  KAPPA_ASSIGN_OR_RETURN(data::Batch working, RunOther(recursive.inputs[0], working_));
  KAPPA_ASSIGN_OR_RETURN(working, fresh(std::move(working)));

  std::unique_ptr<QueryRun> step;  // kept from round to round
  while (working.rows > 0) {
    KAPPA_ASSIGN_OR_RETURN(const bool enough, sink(working));
    if (enough) return {};
    KAPPA_RETURN_IF_ERROR(Check());
    data::Batch next;
    if (IsLinear(*recursive.inputs[1], recursive.id)) {
      if (!step) {
        step = std::make_unique<QueryRun>(query_, context_, depth_ + 1, working_);
        KAPPA_RETURN_IF_ERROR(step->Open(recursive.inputs[1]));
        KAPPA_RETURN_IF_ERROR(step->PushStored());
        KAPPA_RETURN_IF_ERROR(step->PushParts());
        step->flow_->EndInput();
        KAPPA_RETURN_IF_ERROR(step->Advance(true));
      }
      for (size_t i = 0; i < step->scans_.size(); ++i) {
        const plan::Scan& scan = *step->scans_[i];
        if (scan.relation_kind == plan::RelationKind::kWorking && scan.relation_id == recursive.id)
          KAPPA_RETURN_IF_ERROR(step->Push(static_cast<int>(i), working));
      }
      KAPPA_RETURN_IF_ERROR(step->Advance(true));
      KAPPA_ASSIGN_OR_RETURN(next, step->Take());
    } else {
      WorkingTables tables = working_;
      tables[recursive.id] = &working;
      KAPPA_ASSIGN_OR_RETURN(next, RunOther(recursive.inputs[1], tables));
    }
    KAPPA_ASSIGN_OR_RETURN(working, fresh(std::move(next)));
  }
  return {};
}

/// The results so far as rows, in the order of first sight: an outer join may have taken back rows, a row may come more than once.
Result<data::Batch> QueryRun::Take() {
  if (results_.empty()) return data::EmptyBatch(plan_->schema);
  data::ChangeBatch all = results_.size() == 1 ? std::move(results_[0]) : data::Concatenate(results_);
  results_.clear();
  const int64_t bytes = std::exchange(bytes_, 0);
  if (!all.weights) return all.AsBatch();
  data::RowKeys keys(all.columns, all.rows, false);
  absl::flat_hash_map<std::string_view, int64_t> net;
  for (int64_t row = 0; row < all.rows; ++row) net[keys.key(row)] += all.weight(row);
  int64_t rows_total = 0;
  for (const auto& [key, count] : net) {
    if (count > 0 && __builtin_add_overflow(rows_total, count, &rows_total)) rows_total = INT64_MAX;
  }
  int64_t bytes_total = 0;
  if (__builtin_mul_overflow(rows_total, 8 + bytes / std::max<int64_t>(1, all.rows), &bytes_total)) bytes_total = INT64_MAX - bytes;
  KAPPA_RETURN_IF_ERROR(Bounded(bytes_total > INT64_MAX - bytes ? INT64_MAX : bytes + bytes_total));
  std::vector<int32_t> rows;
  for (int64_t row = 0; row < all.rows; ++row) {
    int64_t& left = net[keys.key(row)];
    for (int64_t w = all.weight(row); w > 0 && left > 0; --w, --left) rows.push_back(static_cast<int32_t>(row));
  }
  return data::Gather(all, rows).AsBatch();
}

Result<data::Batch> QueryRun::Run(const plan::NodePtr& plan, std::vector<flow::Graph::NodeStats>* stats) {
  if (depth_ > kSubqueryDepthMax) return Error(sqlstate::kStatementTooComplex, "sub-queries are nested too deeply");
  plan::SubqueryScope scope([&](const plan::NodePtr& inner, const std::vector<data::Value>& parameters) -> Result<data::Batch> {
    expr::EvalContext inner_context = context_;
    inner_context.parameters = parameters;
    return QueryRun(query_, inner_context, depth_ + 1, working_).Run(inner, nullptr);
  });
  KAPPA_RETURN_IF_ERROR(Open(plan));
  KAPPA_RETURN_IF_ERROR(PushStored());
  KAPPA_RETURN_IF_ERROR(PushParts());
  flow_->EndInput();
  KAPPA_RETURN_IF_ERROR(Advance(true));
  if (stats != nullptr) *stats = flow_->graph(kQuery).stats();
  return Take();
}

}  // namespace kappa::engine
