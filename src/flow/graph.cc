#include "flow/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <numeric>
#include <set>

#include "base/int128.h"
#include "data/row_key.h"
#include "ops/aggregate/group_combiner.h"
#include "ops/held_rows.h"
#include "plan/build.h"
#include "state/memory.h"

namespace kappa::flow {
namespace {

using Lanes = std::vector<std::vector<data::ChangeBatch>>;

/// An output of more rows is handed to the next operator before the step goes on, when somebody watches.
constexpr int64_t kHandOverRows = 256 * 1024;

/// Where state is beyond its bound an output of more bytes is handed on: what waits between operators is in no pages.
constexpr int64_t kSpillingHandOverBytes = 1 << 20;

int64_t Rows(std::span<const data::ChangeBatch> batches) {
  return std::accumulate(batches.begin(), batches.end(), int64_t{0}, [](int64_t sum, const data::ChangeBatch& batch) { return sum + batch.rows; });
}

int ShardOf(uint64_t hash, int shards) {
  // Tables use the low bits of the same hash: take the high ones of another mix.
  return static_cast<int>((static_cast<uint128_t>(HashWord(hash ^ 0x5bd1e9955bd1e995ULL)) * static_cast<uint64_t>(shards)) >> 64);
}

/// A batch, parted by the hash of its rows' keys.
void PartByKeys(data::ChangeBatch batch, std::span<const data::ColumnPtr> keys, Lanes& parts) {
  if (parts.size() == 1) return parts[0].push_back(std::move(batch));
  const data::RowKeys row_keys(keys, batch.rows);
  const auto shards = static_cast<int>(parts.size());
  std::vector<std::vector<int32_t>> rows(parts.size());
  for (auto& of_shard : rows) of_shard.reserve(static_cast<size_t>(batch.rows));
  if (!row_keys.has_kinds()) {
    for (int64_t i = 0; i < batch.rows; ++i) rows[static_cast<size_t>(ShardOf(row_keys.hash(i), shards))].push_back(static_cast<int32_t>(i));
  } else {
    std::vector<int> shard_of_kind(row_keys.kind_count(), -1);
    for (int64_t i = 0; i < batch.rows; ++i) {
      int& shard = shard_of_kind[row_keys.kind(i)];
      if (shard < 0) shard = ShardOf(row_keys.hash(i), shards);
      rows[static_cast<size_t>(shard)].push_back(static_cast<int32_t>(i));
    }
  }
  for (size_t shard = 0; shard < parts.size(); ++shard) {
    if (rows[shard].empty()) continue;
    const bool all = static_cast<int64_t>(rows[shard].size()) == batch.rows;
    parts[shard].push_back(all ? std::move(batch) : data::Gather(batch, rows[shard]));
    if (all) break;
  }
}

Status Part(data::ChangeBatch batch, const std::vector<expr::ExprPtr>& keys, expr::EvalContext context, Lanes& parts) {
  KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> columns, expr::EvaluateAll(keys, batch.AsBatch(), context));
  PartByKeys(std::move(batch), columns, parts);
  return {};
}

bool HasSeveralInputs(const plan::Node& plan) {
  return plan.inputs.size() > 1 ||
         std::any_of(plan.inputs.begin(), plan.inputs.end(), [](const plan::NodePtr& input) { return HasSeveralInputs(*input); });
}

}  // namespace

struct Graph::Impl {
  /// What a lane did in a node.
  struct Work {
    int64_t rows_in = 0, rows_out = 0, batches = 0, errors = 0, nanos = 0;
  };
  struct Node {
    const plan::Node* plan = nullptr;
    std::vector<size_t> inputs;
    int scan = -1;                                          // index into scans
    std::vector<ops::Distribution> distribution;            // per port
    std::vector<std::unique_ptr<ops::Operator>> operators;  // one per shard, or one in all
    size_t pipeline = 0;  // index into pipelines
    Lanes out;            // of a pipeline's last node: what it gave; of its first: rows of its own, pushed or constant
    std::vector<int64_t> lane_rows;  // of a scan: pushed since the last step
    int64_t rows_in = 0, rows_out = 0, batches = 0, nanos = 0;
    int64_t scan_errors = 0;  // rows for which the scan's predicate failed
    int users = 0, served = 0;  // nodes that read this one, and how many of them took its output in this step
    size_t user = SIZE_MAX;     // the only one that reads it; SIZE_MAX for the root and where several do
    int user_port = 0;
    // Where the only user takes its rows by hash: the output of each lane, parted for the user's shards. Where that is a GROUP BY, what was
    // combined goes to another port of it.
    bool parts_for_user = false;
    std::vector<Lanes> parts, combined;
    std::vector<std::unique_ptr<ops::GroupCombiner>> combiners;  // one per lane
    std::vector<int64_t> waiting_bytes;   // per lane: of out, parts and combined, counted where state is beyond its bound
    std::unique_ptr<std::mutex[]> busy;   // of a pipeline's first, per operator: who hands rows over takes turns
    // For the watch: what is known of the only lane and of the state.
    size_t counted_batches = 0;
    int64_t out_rows = 0, out_bytes = 0, state_bytes = 0;
  };

  plan::NodePtr root;
  GraphOptions options;
  std::vector<Node> nodes;  // inputs before users
  /// Nodes that a lane goes through without a look at the others: each but the first reads the one before it, lane by lane. In the order in
  /// which they run.
  std::vector<std::vector<size_t>> pipelines;
  std::vector<const plan::Scan*> scans;
  std::vector<size_t> scan_nodes;
  bool may_share = false;               // the plan has a node of several inputs: two of its parts may be equal
  std::map<std::string, size_t> known;  // nodes by their text, while the graph is made; equal text means equal plans
  bool started = false;
  bool drop_output = false;
  std::function<Status(data::ChangeBatch)> consumer;
  std::mutex consumer_mutex;
  std::mutex work_mutex;  // of what handing over adds to nodes

  /// What equal plans have in common; empty for those that may give other rows when they run twice.
  std::string Identity(const plan::Node& plan) const {
    if (!may_share) return {};
    bool immutable = true;
    plan::VisitExpressions(plan,
                           [&](const expr::ExprPtr& expression) { immutable = immutable && (expression == nullptr || expression->is_immutable()); });
    if (!immutable) return {};
    std::string text = plan::Explain(plan);
    for (const data::Field& field : plan.schema.fields) text += field.type.ToString() + ",";
    return text;
  }

  /// Scans of a part that runs elsewhere: they are counted, as the plan has them, but what is pushed to them goes nowhere.
  void AddUnusedScans(const plan::Node& plan) {
    if (plan.kind == plan::NodeKind::kScan) {
      scans.push_back(static_cast<const plan::Scan*>(&plan));
      scan_nodes.push_back(SIZE_MAX);
    }
    for (const plan::NodePtr& input : plan.inputs) AddUnusedScans(*input);
  }

  /// The node of a plan, the same one for equal plans: what a view computes twice is computed once.
  Result<size_t> Add(const plan::Node& plan) {
    const std::string identity = Identity(plan);
    if (!identity.empty()) {
      if (const auto found = known.find(identity); found != known.end()) {
        AddUnusedScans(plan);
        return found->second;
      }
    }
    Node node;
    node.plan = &plan;
    for (const plan::NodePtr& input : plan.inputs) {
      KAPPA_ASSIGN_OR_RETURN(size_t index, Add(*input));
      node.inputs.push_back(index);
    }
    switch (plan.kind) {
      case plan::NodeKind::kScan:
        node.scan = static_cast<int>(scans.size());
        scans.push_back(static_cast<const plan::Scan*>(&plan));
        scan_nodes.push_back(nodes.size());
        break;
      case plan::NodeKind::kValues: break;
      case plan::NodeKind::kTableFunction:
        if (!options.table_function) { return Error(sqlstate::kFeatureNotSupported, "functions in FROM are not supported in a view"); }
        break;
      default: {
        bool single = false;
        for (size_t port = 0; port < plan.inputs.size(); ++port) {
          node.distribution.push_back(ops::RequiredDistribution(plan, static_cast<int>(port)));
          single |= node.distribution.back().kind == ops::Distribution::Kind::kSingle;
        }
        const int count = single ? 1 : options.shards;
        for (int shard = 0; shard < count; ++shard) {
          ops::OperatorOptions operator_options = options.operators;
          // The node's index: its inputs are already in the list.
          if (options.watch) operator_options.watch = [this, index = nodes.size()](int64_t more) { return Watch(index, more); };
          KAPPA_ASSIGN_OR_RETURN(auto op, ops::MakeOperator(plan, operator_options));
          node.operators.push_back(std::move(op));
        }
      }
    }
    for (size_t port = 0; port < node.inputs.size(); ++port) {
      Node& input = nodes[node.inputs[port]];
      input.user = input.users++ == 0 ? nodes.size() : SIZE_MAX;
      input.user_port = static_cast<int>(port);
    }
    if (!identity.empty()) known.emplace(identity, nodes.size());
    nodes.push_back(std::move(node));
    return nodes.size() - 1;
  }

  /// Counts what the node and the end of its pipeline hold, stops the run when it must, and hands a large output on.
  Status Watch(size_t index, int64_t more_bytes = 0) {
    CountState(nodes[index]);
    Node& tail = nodes[pipelines[nodes[index].pipeline].back()];
    CountOutput(tail);
    int64_t bytes = more_bytes;
    for (const Node& other : nodes) bytes += other.out_bytes + other.state_bytes;
    KAPPA_RETURN_IF_ERROR(options.watch(bytes));
    return tail.out_rows >= kHandOverRows && tail.user != SIZE_MAX ? HandOver(tail) : Status();
  }

  static void CountOutput(Node& node) {
    const auto& lane = node.out[0];
    if (lane.size() < node.counted_batches || lane.empty()) node.counted_batches = 0, node.out_rows = 0, node.out_bytes = 0;
    for (; node.counted_batches < lane.size(); ++node.counted_batches) {
      node.out_rows += lane[node.counted_batches].rows;
      node.out_bytes += ops::BatchBytes(lane[node.counted_batches]);
    }
  }

  static void CountState(Node& node) {
    if (node.operators.empty()) return;
    node.state_bytes = node.operators[0]->held_bytes();
    node.operators[0]->VisitState([&](std::string_view, state::Arena& arena) { node.state_bytes += static_cast<int64_t>(arena.memory_bytes()); });
  }

  /// What the only lane of a pipeline gave so far goes to its user at once.
  Status HandOver(Node& tail) {
    std::vector<data::ChangeBatch> batches = std::exchange(tail.out[0], {});
    CountOutput(tail);
    return PassOn(tail.user, tail.user_port, 0, std::move(batches));
  }

  /// What a lane of a pipeline gave so far goes to the lanes of its user at once, or to the consumer.
  Status HandOver(Node& tail, size_t lane) {
    if (tail.users == 0 && consumer) {
      std::lock_guard guard(consumer_mutex);
      for (data::ChangeBatch& batch : std::exchange(tail.out[lane], {})) KAPPA_RETURN_IF_ERROR(consumer(std::move(batch)));
    }
    if (tail.users > 0 && tail.user != SIZE_MAX) {
      const size_t shards = nodes[tail.user].operators.size();
      if (tail.parts_for_user) {
        int port = tail.user_port;
        for (auto* parts : {&tail.parts, &tail.combined}) {
          if (parts->empty()) continue;
          Lanes batches = std::exchange((*parts)[lane], Lanes(shards));
          for (size_t shard = 0; shard < shards; ++shard) KAPPA_RETURN_IF_ERROR(PassOn(tail.user, port, shard, std::move(batches[shard])));
          ++port;
        }
      } else {
        std::vector<data::ChangeBatch> batches = std::exchange(tail.out[lane], {});
        const bool replicated = nodes[tail.user].distribution[static_cast<size_t>(tail.user_port)].kind == ops::Distribution::Kind::kReplicated;
        for (size_t shard = 0; replicated && shard + 1 < shards; ++shard) KAPPA_RETURN_IF_ERROR(PassOn(tail.user, tail.user_port, shard, batches));
        KAPPA_RETURN_IF_ERROR(PassOn(tail.user, tail.user_port, replicated || shards == 1 ? shards - 1 : lane, std::move(batches)));
      }
    }
    tail.waiting_bytes[lane] = 0;
    return {};
  }

  /// Batches for a lane of a pipeline that begins with this node and is not at work: the graph runs bottom up. Lanes of the one below may come
  /// at the same time, and wait for those above alone.
  Status PassOn(size_t head, int port, size_t lane, std::vector<data::ChangeBatch> batches) {
    if (batches.empty()) return {};
    const std::vector<size_t>& pipeline = pipelines[nodes[head].pipeline];
    std::vector<Work> work(pipeline.size());
    {
      std::lock_guard guard(nodes[head].busy[lane]);
      LaneRun run(*this, pipeline, lane, work);
      for (data::ChangeBatch& batch : batches) KAPPA_RETURN_IF_ERROR(run.Take(0, port, std::move(batch)));
      run.Stop();
    }
    std::lock_guard guard(work_mutex);
    AddWork(pipeline, {work});
    return {};
  }

  /// The node gives no more rows.
  void End(size_t ended) {
    for (size_t n = 0; n < nodes.size(); ++n) {
      Node& node = nodes[n];
      for (size_t port = 0; port < node.inputs.size(); ++port) {
        if (node.inputs[port] != ended) continue;
        for (auto& op : node.operators) op->OnInputEnd(static_cast<int>(port));
        // These give nothing but what came in.
        const plan::NodeKind kind = node.plan->kind;
        if (kind == plan::NodeKind::kFilter || kind == plan::NodeKind::kProject || kind == plan::NodeKind::kUnnest) End(n);
      }
    }
  }

  size_t lanes() const { return static_cast<size_t>(options.shards); }

  /// Rows of a batch when so many are pushed behind `before` others: within the limit, equal, and as many batches as fill all lanes when that
  /// is worth the copies: not behind many others, of which each lane has its share.
  int64_t PieceRows(int64_t rows, int64_t before) const {
    constexpr int64_t kWorthSharing = 1024;
    const bool share = rows >= kWorthSharing && rows > before / 4;
    const auto limit = static_cast<int64_t>(options.batch_rows), shares = share ? static_cast<int64_t>(options.shards) : 1;
    const int64_t pieces = ((rows + limit - 1) / limit + shares - 1) / shares * shares;
    return (rows + pieces - 1) / pieces;
  }

  /// Pushed rows through the scan's predicate.
  Status FilterScan(const Node& scan, data::ChangeBatch& batch, int64_t& errors) const {
    const expr::Expression* predicate = scans[static_cast<size_t>(scan.scan)]->predicate.get();
    if (predicate == nullptr) return {};
    expr::EvalContext context = options.operators.context;
    KAPPA_ASSIGN_OR_RETURN(const std::vector<int32_t> rows, expr::SelectTrue(*predicate, batch.AsBatch(), context));
    if (static_cast<int64_t>(rows.size()) < batch.rows) batch = data::Gather(batch, rows);
    errors += context.errors - options.operators.context.errors;
    return {};
  }

  Status RunTableFunction(Node& node) {
    if (started) return {};
    KAPPA_ASSIGN_OR_RETURN(data::Batch rows, options.table_function(static_cast<const plan::TableFunction&>(*node.plan)));
    const data::ChangeBatch all(std::move(rows));
    const auto limit = static_cast<int64_t>(options.batch_rows);
    for (int64_t at = 0; at < all.rows; at += limit) node.out[0].push_back(data::Slice(all, at, std::min(limit, all.rows - at)));
    return {};
  }

  Status RunValues(Node& node) {
    if (started) return {};
    const auto& values = static_cast<const plan::Values&>(*node.plan);
    expr::EvalContext context = options.operators.context;
    std::vector<data::ColumnBuilder> builders;
    for (const data::Field& field : values.schema.fields) builders.emplace_back(field.type);
    for (const auto& row : values.rows) {
      for (size_t i = 0; i < row.size(); ++i) {
        KAPPA_ASSIGN_OR_RETURN(data::Value value, expr::EvaluateConstant(*row[i], context));
        data::AppendValue(builders[i], value);
      }
    }
    data::ChangeBatch batch;
    batch.rows = static_cast<int64_t>(values.rows.size());
    for (data::ColumnBuilder& builder : builders) batch.columns.push_back(builder.Finish());
    node.out[0].push_back(std::move(batch));
    return {};
  }

  /// The lanes of all parts, in order.
  static Lanes Joined(std::vector<Lanes> parts, size_t shards) {
    Lanes out(shards);
    for (Lanes& part : parts)
      for (size_t shard = 0; shard < part.size(); ++shard) std::move(part[shard].begin(), part[shard].end(), std::back_inserter(out[shard]));
    return out;
  }

  static std::vector<data::ChangeBatch> Concatenated(Lanes lanes) {
    std::vector<data::ChangeBatch> out;
    for (auto& lane : lanes) std::move(lane.begin(), lane.end(), std::back_inserter(out));
    return out;
  }

  /// The input of a port as lanes in the shape that the operator asks for.
  Result<Lanes> Distribute(const ops::Distribution& distribution, Lanes in, size_t shards, ThreadPool& pool) {
    if (shards == 1) return Lanes(1, Concatenated(std::move(in)));
    if (distribution.kind == ops::Distribution::Kind::kReplicated) return Lanes(shards, Concatenated(std::move(in)));
    if (distribution.kind != ops::Distribution::Kind::kHash) return in;
    std::vector<data::ChangeBatch*> batches;
    for (auto& lane : in) {
      for (data::ChangeBatch& batch : lane) batches.push_back(&batch);
    }
    std::vector<Lanes> parts(batches.size(), Lanes(shards));
    std::vector<Status> status(batches.size());
    pool.ParallelFor(static_cast<int>(batches.size()), [&](int i) {
      const auto at = static_cast<size_t>(i);
      status[at] = Part(std::move(*batches[at]), distribution.keys, options.operators.context, parts[at]);
    });
    for (Status& s : status) KAPPA_RETURN_IF_ERROR(std::move(s));
    return Joined(std::move(parts), shards);
  }

  /// The node's output for one of its users.
  Lanes TakeOutput(Node& node) const {
    if (++node.served < node.users) return node.out;
    node.served = 0;
    return std::exchange(node.out, Lanes(lanes()));
  }

  /// The way of a lane through a pipeline: what a node gives goes to the next at once, what the last one gives to its user's parts or its output.
  class LaneRun {
   public:
    /// `work`: of each node, added to.
    LaneRun(Impl& graph, const std::vector<size_t>& pipeline, size_t lane, std::vector<Work>& work)
        : graph_(graph), pipeline_(pipeline), lane_(lane), work_(work) {
      for (size_t i = 0; i < pipeline.size(); ++i) outputs_.emplace_back([this, i](data::ChangeBatch batch) { return Give(i, std::move(batch)); });
    }

    /// What the first node has of its own.
    Status Begin() {
      Node& head = node(0);
      if (!head.operators.empty()) return {};
      for (data::ChangeBatch& batch : std::exchange(head.out[lane_], {})) {
        if (head.scan >= 0) KAPPA_RETURN_IF_ERROR(graph_.FilterScan(head, batch, work_[0].errors));
        outputs_[0].push_back(std::move(batch));
        KAPPA_RETURN_IF_ERROR(outputs_[0].status());
      }
      return {};
    }

    /// A batch for node `i`.
    Status Take(size_t i, int port, data::ChangeBatch batch) {
      const size_t before = Enter(i);
      ++work_[i].batches;
      work_[i].rows_in += batch.rows;
      ops::Operator& op = *node(i).operators[lane_];
      // Where state may be out of memory, what a batch touches must fit into it.
      const int64_t rows = batch.rows, piece = state::StepRows(rows);
      for (int64_t at = 0; at < rows; at += piece) {
        KAPPA_RETURN_IF_ERROR(op.OnBatch(port, piece == rows ? std::move(batch) : data::Slice(batch, at, std::min(piece, rows - at)), outputs_[i]));
        KAPPA_RETURN_IF_ERROR(outputs_[i].status());
      }
      if (graph_.options.watch) KAPPA_RETURN_IF_ERROR(graph_.Watch(pipeline_[i]));
      Enter(before);
      return {};
    }

    /// The end of an epoch, node by node.
    Status End(const ops::EpochContext& context) {
      for (size_t i = 0; i < pipeline_.size(); ++i) {
        if (node(i).operators.empty()) continue;
        Enter(i);
        KAPPA_RETURN_IF_ERROR(node(i).operators[lane_]->OnEpochEnd(context, outputs_[i]));
        KAPPA_RETURN_IF_ERROR(outputs_[i].status());
        if (graph_.options.watch) KAPPA_RETURN_IF_ERROR(graph_.Watch(pipeline_[i]));
      }
      return {};
    }
    void Stop() { Enter(0); }

   private:
    Node& node(size_t i) { return graph_.nodes[pipeline_[i]]; }

    /// The clock runs for node `i` from here on; gives the one for which it ran.
    size_t Enter(size_t i) {
      const auto now = std::chrono::steady_clock::now();
      work_[at_].nanos += std::chrono::nanoseconds(now - since_).count();
      since_ = now;
      return std::exchange(at_, i);
    }

    Status Give(size_t i, data::ChangeBatch batch) {
      work_[i].rows_out += batch.rows;
      if (i + 1 < pipeline_.size()) return Take(i + 1, 0, std::move(batch));
      Node& tail = node(i);
      const int64_t bytes = state::Spilling() && !graph_.options.watch ? ops::BytesWithStrings(batch.columns) : 0;
      KAPPA_RETURN_IF_ERROR(Keep(tail, std::move(batch)));
      return (tail.waiting_bytes[lane_] += bytes) > kSpillingHandOverBytes ? graph_.HandOver(tail, lane_) : Status();
    }

    /// For the user of the pipeline's last node.
    Status Keep(Node& tail, data::ChangeBatch batch) {
      if (tail.parts_for_user) {
        if (!tail.combiners.empty()) {
          KAPPA_ASSIGN_OR_RETURN(std::optional<data::ChangeBatch> combined, tail.combiners[lane_]->Combine(batch));
          if (combined) {
            const std::vector<data::ColumnPtr> keys(combined->columns.begin(), combined->columns.end() - 1);
            PartByKeys(std::move(*combined), keys, tail.combined[lane_]);
            return {};
          }
        }
        const std::vector<expr::ExprPtr>& keys = graph_.nodes[tail.user].distribution[static_cast<size_t>(tail.user_port)].keys;
        return Part(std::move(batch), keys, graph_.options.operators.context, tail.parts[lane_]);
      }
      if (tail.users > 0 || !graph_.drop_output) tail.out[lane_].push_back(std::move(batch));
      return {};
    }

    Impl& graph_;
    const std::vector<size_t>& pipeline_;
    const size_t lane_;
    std::vector<Work>& work_;
    std::vector<ops::Output> outputs_;
    size_t at_ = 0;
    std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  };

  /// The input of a pipeline's first node by port; its own rows are in its output.
  Result<std::vector<Lanes>> TakeInput(Node& head, ThreadPool& pool) {
    if (head.plan->kind == plan::NodeKind::kValues) KAPPA_RETURN_IF_ERROR(RunValues(head));
    if (head.plan->kind == plan::NodeKind::kTableFunction) KAPPA_RETURN_IF_ERROR(RunTableFunction(head));
    std::vector<Lanes> ports;
    for (size_t port = 0; port < head.inputs.size(); ++port) {
      Node& input = nodes[head.inputs[port]];
      input.waiting_bytes.assign(lanes(), 0);
      if (input.parts_for_user) {
        const std::vector<Lanes> empty(lanes(), Lanes(head.operators.size()));
        ports.push_back(Joined(std::exchange(input.parts, empty), head.operators.size()));
        if (!input.combiners.empty()) ports.push_back(Joined(std::exchange(input.combined, empty), head.operators.size()));
      } else {
        KAPPA_ASSIGN_OR_RETURN(Lanes lanes, Distribute(head.distribution[port], TakeOutput(input), head.operators.size(), pool));
        if (options.watch) CountOutput(input);
        ports.push_back(std::move(lanes));
      }
    }
    return ports;
  }

  Status RunLane(const std::vector<size_t>& pipeline, size_t lane, std::vector<Lanes>& ports, const ops::EpochContext* end, std::vector<Work>& work) {
    LaneRun run(*this, pipeline, lane, work);
    KAPPA_RETURN_IF_ERROR(run.Begin());
    std::vector<size_t> order(ports.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const bool last = end != nullptr && end->last && ports.size() > 1;
    // The small side of a join is kept for the large one, which then need not be.
    if (last) std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return Rows(ports[a][lane]) < Rows(ports[b][lane]); });
    for (const size_t port : order) {
      for (data::ChangeBatch& batch : ports[port][lane]) KAPPA_RETURN_IF_ERROR(run.Take(0, static_cast<int>(port), std::move(batch)));
      if (last) nodes[pipeline.front()].operators[lane]->OnInputEnd(static_cast<int>(port));
    }
    if (end != nullptr) KAPPA_RETURN_IF_ERROR(run.End(*end));
    run.Stop();
    return {};
  }

  /// What the lanes did counts for the nodes; lanes run side by side, so that the longest tells the time.
  void AddWork(const std::vector<size_t>& pipeline, const std::vector<std::vector<Work>>& work) {
    for (size_t i = 0; i < pipeline.size(); ++i) {
      Node& node = nodes[pipeline[i]];
      int64_t longest = 0;
      for (const std::vector<Work>& lane : work) {
        node.rows_in += lane[i].rows_in;
        node.rows_out += lane[i].rows_out;
        node.batches += lane[i].batches;
        node.scan_errors += lane[i].errors;
        longest = std::max(longest, lane[i].nanos);
      }
      node.nanos += longest;
    }
  }

  Status RunPipeline(const std::vector<size_t>& pipeline, ThreadPool& pool, const ops::EpochContext* end) {
    Node& head = nodes[pipeline.front()];
    const auto begin = std::chrono::steady_clock::now();
    KAPPA_ASSIGN_OR_RETURN(std::vector<Lanes> ports, TakeInput(head, pool));
    head.nanos += std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
    const auto has_rows = [](const Lanes& lanes) { return std::any_of(lanes.begin(), lanes.end(), [](const auto& lane) { return !lane.empty(); }); };
    const bool any = has_rows(head.out) || std::any_of(ports.begin(), ports.end(), has_rows);
    if (!any && end == nullptr) return {};
    const size_t count = head.operators.empty() ? lanes() : head.operators.size();
    std::vector<std::vector<Work>> work(count, std::vector<Work>(pipeline.size()));
    std::vector<Status> status(count);
    const auto run = [&](int lane) {
      const auto at = static_cast<size_t>(lane);
      status[at] = RunLane(pipeline, at, ports, end, work[at]);
    };
    if (any || WorthSharing(pipeline)) {
      pool.ParallelFor(static_cast<int>(count), run);
    } else {
      for (size_t lane = 0; lane < count; ++lane) run(static_cast<int>(lane));
    }
    AddWork(pipeline, work);
    head.lane_rows.assign(lanes(), 0);
    for (Status& s : status) KAPPA_RETURN_IF_ERROR(std::move(s));
    return {};
  }

  /// The end of an epoch without rows: mostly there is nothing to do, but large states may have much to give.
  bool WorthSharing(const std::vector<size_t>& pipeline) const {
    constexpr int64_t kRowsMin = 16 * 1024;
    int64_t rows = 0;
    for (const size_t index : pipeline)
      for (const auto& op : nodes[index].operators) rows += op->state_rows();
    return rows >= kRowsMin;
  }

  /// True when a lane of the node needs nothing but the same lane of its input.
  bool FollowsInLane(const Node& node) const {
    return node.inputs.size() == 1 && nodes[node.inputs[0]].user != SIZE_MAX && node.operators.size() == lanes() &&
           (lanes() == 1 || node.distribution[0].kind == ops::Distribution::Kind::kAny);
  }

  /// Makes what combines the node's rows for a GROUP BY on other lanes.
  Status MakeCombiners(Node& node) {
    const plan::Node& user = *nodes[node.user].plan;
    if (lanes() == 1 || user.kind != plan::NodeKind::kAggregate) return {};
    for (size_t lane = 0; lane < lanes(); ++lane) {
      KAPPA_ASSIGN_OR_RETURN(auto combiner, ops::GroupCombiner::Make(static_cast<const plan::Aggregate&>(user), options.operators));
      if (combiner == nullptr) return {};
      node.combiners.push_back(std::move(combiner));
    }
    return {};
  }

  Status MakePipelines() {
    for (size_t n = 0; n < nodes.size(); ++n) {
      Node& node = nodes[n];
      node.waiting_bytes.assign(lanes(), 0);
      node.busy = std::make_unique<std::mutex[]>(lanes());
      const bool follows = FollowsInLane(node) && (nodes[node.inputs[0]].operators.empty() || nodes[node.inputs[0]].operators.size() == lanes());
      node.pipeline = follows ? nodes[node.inputs[0]].pipeline : pipelines.size();
      if (!follows) pipelines.emplace_back();
      pipelines[node.pipeline].push_back(n);
      if (node.user == SIZE_MAX) continue;
      const Node& user = nodes[node.user];
      KAPPA_RETURN_IF_ERROR(MakeCombiners(node));
      node.parts_for_user = !node.combiners.empty() || (user.operators.size() > 1 && user.distribution[static_cast<size_t>(node.user_port)].kind ==
                                                                                         ops::Distribution::Kind::kHash);
      if (node.parts_for_user) node.parts.assign(lanes(), Lanes(user.operators.size()));
      if (!node.combiners.empty()) node.combined = node.parts;
    }
    return {};
  }
};

Graph::Graph(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Graph::~Graph() = default;

Result<std::unique_ptr<Graph>> Graph::Make(plan::NodePtr plan, GraphOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->root = std::move(plan);
  impl->options = std::move(options);
  KAPPA_CHECK(!impl->options.watch || impl->options.shards == 1);
  impl->may_share = HasSeveralInputs(*impl->root);
  KAPPA_ASSIGN_OR_RETURN([[maybe_unused]] size_t root, impl->Add(*impl->root));
  for (Impl::Node& node : impl->nodes) {
    node.out.assign(impl->lanes(), {});
    node.lane_rows.assign(impl->lanes(), 0);
  }
  KAPPA_RETURN_IF_ERROR(impl->MakePipelines());
  return std::unique_ptr<Graph>(new Graph(std::move(impl)));
}

void Graph::GiveTo(std::function<Status(data::ChangeBatch)> consumer) { impl_->consumer = std::move(consumer); }
void Graph::DropOutput() { impl_->drop_output = true; }
int64_t Graph::rows_given() const { return impl_->nodes.back().rows_out; }
const std::vector<const plan::Scan*>& Graph::scans() const { return impl_->scans; }
const plan::Node& Graph::plan() const { return *impl_->root; }

void Graph::Push(int index, data::ChangeBatch rows) {
  const size_t at_node = impl_->scan_nodes[static_cast<size_t>(index)];
  if (at_node == SIZE_MAX) return;
  Impl::Node& node = impl_->nodes[at_node];
  if (rows.rows == 0) return;
  const int64_t piece = impl_->PieceRows(rows.rows, std::accumulate(node.lane_rows.begin(), node.lane_rows.end(), int64_t{0}));
  for (int64_t at = 0; at < rows.rows; at += piece) {
    const int64_t count = std::min(piece, rows.rows - at);
    // The lane with the fewest rows takes the batch, so that shards begin with equal shares.
    const size_t lane = static_cast<size_t>(std::min_element(node.lane_rows.begin(), node.lane_rows.end()) - node.lane_rows.begin());
    node.lane_rows[lane] += count;
    node.rows_in += count;
    ++node.batches;
    if (count == rows.rows) {
      node.out[lane].push_back(std::move(rows));
      return;
    }
    node.out[lane].push_back(data::Slice(rows, at, count));
  }
}

void Graph::EndScan(int index) {
  const size_t at_node = impl_->scan_nodes[static_cast<size_t>(index)];
  if (at_node != SIZE_MAX) impl_->End(at_node);
}

Status Graph::Step(ThreadPool& pool, const ops::EpochContext* end, std::vector<data::ChangeBatch>& out) {
  for (const std::vector<size_t>& pipeline : impl_->pipelines) KAPPA_RETURN_IF_ERROR(impl_->RunPipeline(pipeline, pool, end));
  impl_->started = true;
  Impl::Node& root = impl_->nodes.back();
  for (auto& lane : root.out) {
    std::move(lane.begin(), lane.end(), std::back_inserter(out));
    lane.clear();
  }
  root.waiting_bytes.assign(impl_->lanes(), 0);
  return {};
}

void Graph::VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) {
  for (size_t n = 0; n < impl_->nodes.size(); ++n) {
    for (size_t shard = 0; shard < impl_->nodes[n].operators.size(); ++shard) {
      impl_->nodes[n].operators[shard]->VisitState(
          [&](std::string_view name, state::Arena& arena) { visit(fmt::format("{}.{}.{}", n, shard, name), arena); });
    }
  }
}

Status Graph::Restored(bool started) {
  impl_->started = started;
  for (Impl::Node& node : impl_->nodes) {
    for (auto& op : node.operators) KAPPA_RETURN_IF_ERROR(op->OnRestored());
  }
  return {};
}

bool Graph::started() const { return impl_->started; }

int64_t Graph::errors() const {
  int64_t total = 0;
  for (const Impl::Node& node : impl_->nodes) {
    total += node.scan_errors;
    for (const auto& op : node.operators) total += op->errors();
    for (const auto& combiner : node.combiners) total += combiner->errors();
  }
  return total;
}

void Graph::TakeFailed(std::vector<std::pair<uint32_t, ops::FailedRow>>& out) {
  std::vector<ops::FailedRow> rows;
  for (Impl::Node& node : impl_->nodes) {
    if (node.plan->kind != plan::NodeKind::kCheckErrors) continue;
    for (auto& op : node.operators) op->TakeFailed(rows);
    const uint32_t stream = static_cast<const plan::Scan&>(*node.plan->inputs[0]).relation_id;
    for (ops::FailedRow& row : rows) out.emplace_back(stream, std::move(row));
    rows.clear();
  }
}

int64_t Graph::next_due_us() const {
  int64_t due = INT64_MAX;
  for (const Impl::Node& node : impl_->nodes) {
    for (const auto& op : node.operators) due = std::min(due, op->next_due_us());
  }
  return due;
}

int64_t Graph::state_rows() const {
  int64_t total = 0;
  for (const Impl::Node& node : impl_->nodes) {
    for (const auto& op : node.operators) total += op->state_rows();
  }
  return total;
}

uint64_t Graph::state_bytes() const {
  uint64_t total = 0;
  for (const Impl::Node& node : impl_->nodes) {
    for (const auto& op : node.operators) op->VisitState([&](std::string_view, state::Arena& arena) { total += arena.memory_bytes(); });
  }
  return total;
}

std::vector<Graph::NodeStats> Graph::stats() {
  std::vector<NodeStats> all;
  std::set<const Impl::Node*> seen;
  const auto add = [&](const auto& self, const Impl::Node& node, int depth) -> void {
    if (!seen.insert(&node).second) {
      const std::string text = plan::Explain(*node.plan);
      all.push_back({depth, text.substr(0, text.find('\n')) + " (the same as above)"});
      return;
    }
    NodeStats stats{depth, "", node.rows_in, node.rows_out, node.batches, node.nanos, node.scan_errors, 0, 0};
    std::string text = plan::Explain(*node.plan);
    stats.text = text.substr(0, text.find('\n'));
    for (const auto& op : node.operators) {
      stats.errors += op->errors();
      stats.state_rows += op->state_rows();
      op->VisitState([&](std::string_view, state::Arena& arena) { stats.state_bytes += arena.memory_bytes(); });
    }
    all.push_back(std::move(stats));
    for (const size_t input : node.inputs) self(self, impl_->nodes[input], depth + 1);
  };
  add(add, impl_->nodes.back(), 0);
  return all;
}

}  // namespace kappa::flow
