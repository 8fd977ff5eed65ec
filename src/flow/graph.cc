#include "flow/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "base/int128.h"
#include "data/row_key.h"
#include "plan/build.h"
#include "state/memory.h"

namespace kappa::flow {
namespace {

using Lanes = std::vector<std::vector<data::ChangeBatch>>;

/// An output of more rows is handed to the next operator before the step goes on, when somebody watches.
constexpr int64_t kHandOverRows = 256 * 1024;

/// Rows of a batch where state may be out of memory: what one batch touches is fetched first and must stay until it is used.
constexpr int64_t kSpillingRows = 1024;

int ShardOf(uint64_t hash, int shards) {
  // Tables use the low bits of the same hash: take the high ones of another mix.
  return static_cast<int>((static_cast<uint128_t>(HashWord(hash ^ 0x5bd1e9955bd1e995ULL)) * static_cast<uint64_t>(shards)) >> 64);
}

/// Splits a batch by the hash of keys.
Status Scatter(const data::ChangeBatch& batch, const std::vector<expr::ExprPtr>& keys, expr::EvalContext& context, int shards,
               std::vector<std::vector<int32_t>>& rows) {
  data::Batch plain = batch.AsBatch();
  std::vector<data::ColumnPtr> columns;
  for (const expr::ExprPtr& key : keys) {
    KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr column, key->Evaluate(plain, context));
    columns.push_back(std::move(column));
  }
  data::RowKeys row_keys(columns, batch.rows);
  rows.assign(static_cast<size_t>(shards), {});
  for (int64_t i = 0; i < batch.rows; ++i) rows[static_cast<size_t>(ShardOf(row_keys.hash(i), shards))].push_back(static_cast<int32_t>(i));
  return {};
}

bool HasSeveralInputs(const plan::Node& plan) {
  return plan.inputs.size() > 1 ||
         std::any_of(plan.inputs.begin(), plan.inputs.end(), [](const plan::NodePtr& input) { return HasSeveralInputs(*input); });
}

}  // namespace

struct Graph::Impl {
  struct Node {
    const plan::Node* plan = nullptr;
    std::vector<size_t> inputs;
    int scan = -1;                                          // index into scans
    std::vector<ops::Distribution> distribution;            // per port
    std::vector<std::unique_ptr<ops::Operator>> operators;  // one per shard, or one in all
    Lanes out;
    int64_t rows_in = 0, rows_out = 0, batches = 0, nanos = 0;
    int64_t scan_errors = 0;  // rows for which the scan's predicate failed
    int users = 0, served = 0;  // nodes that read this one, and how many of them took its output in this step
    size_t user = SIZE_MAX;     // the only one that reads it; SIZE_MAX for the root and where several do
    int user_port = 0;
    // For the watch: what is known of the only lane and of the state.
    size_t counted_batches = 0;
    int64_t out_rows = 0, out_bytes = 0, state_bytes = 0;
  };

  plan::NodePtr root;
  GraphOptions options;
  std::vector<Node> nodes;  // inputs before users
  std::vector<const plan::Scan*> scans;
  std::vector<size_t> scan_nodes;
  bool may_share = false;               // the plan has a node of several inputs: two of its parts may be equal
  std::map<std::string, size_t> known;  // nodes by their text, while the graph is made; equal text means equal plans
  bool started = false;

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
          if (options.watch) operator_options.watch = [this, index = nodes.size()](ops::Output&, int64_t more) { return Watch(index, more); };
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

  /// Counts what the node holds, stops the run when it must, and hands a large output on.
  Status Watch(size_t index, int64_t more_bytes = 0) {
    Node& node = nodes[index];
    CountOutput(node);
    CountState(node);
    int64_t bytes = more_bytes;
    for (const Node& other : nodes) bytes += other.out_bytes + other.state_bytes;
    KAPPA_RETURN_IF_ERROR(options.watch(bytes));
    return node.out_rows >= kHandOverRows && node.user != SIZE_MAX ? HandOver(index) : Status();
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

  /// What the node gave so far goes to its user at once. The user is not at work: the graph is a tree that runs bottom up.
  Status HandOver(size_t index) {
    std::vector<data::ChangeBatch> batches = std::exchange(nodes[index].out[0], {});
    CountOutput(nodes[index]);
    for (data::ChangeBatch& batch : batches) {
      nodes[index].rows_out += batch.rows;
      if (batch.rows == 0) continue;
      const size_t user = nodes[index].user;
      nodes[user].rows_in += batch.rows;
      ++nodes[user].batches;
      KAPPA_RETURN_IF_ERROR(nodes[user].operators[0]->OnBatch(nodes[index].user_port, std::move(batch), nodes[user].out[0]));
      KAPPA_RETURN_IF_ERROR(Watch(user));
    }
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

  /// Pushed rows to the shards' lanes, through the scan's predicate.
  Status RunScan(Node& node, ThreadPool& pool) {
    const expr::Expression* predicate = scans[static_cast<size_t>(node.scan)]->predicate.get();
    std::vector<Status> status(lanes());
    std::vector<int64_t> errors(lanes());
    if (predicate != nullptr) {
      pool.ParallelFor(static_cast<int>(lanes()), [&](int lane) {
        expr::EvalContext context = options.operators.context;
        for (data::ChangeBatch& batch : node.out[static_cast<size_t>(lane)]) {
          auto rows = expr::SelectTrue(*predicate, batch.AsBatch(), context);
          if (!rows.ok()) {
            status[static_cast<size_t>(lane)] = rows.error();
            return;
          }
          if (static_cast<int64_t>(rows->size()) < batch.rows) batch = data::Gather(batch, *rows);
        }
        errors[static_cast<size_t>(lane)] = context.errors - options.operators.context.errors;
      });
    }
    for (const int64_t count : errors) node.scan_errors += count;
    for (Status& s : status) KAPPA_RETURN_IF_ERROR(std::move(s));
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

  /// The input of a port as lanes in the shape that the operator asks for.
  Status Distribute(const ops::Distribution& distribution, Lanes in, size_t shards, ThreadPool& pool, Lanes& out) {
    out.assign(shards, {});
    if (shards == 1) {
      for (auto& lane : in) std::move(lane.begin(), lane.end(), std::back_inserter(out[0]));
      return {};
    }
    if (distribution.kind != ops::Distribution::Kind::kHash) {
      out = std::move(in);
      return {};
    }
    std::vector<data::ChangeBatch*> batches;
    for (auto& lane : in) {
      for (data::ChangeBatch& batch : lane) batches.push_back(&batch);
    }
    std::vector<std::vector<std::vector<int32_t>>> rows(batches.size());
    std::vector<std::vector<data::ChangeBatch>> parts(batches.size(), std::vector<data::ChangeBatch>(shards));
    std::vector<Status> status(batches.size());
    pool.ParallelFor(static_cast<int>(batches.size()), [&](int i) {
      const auto at = static_cast<size_t>(i);
      expr::EvalContext context = options.operators.context;
      status[at] = Scatter(*batches[at], distribution.keys, context, static_cast<int>(shards), rows[at]);
      if (!status[at].ok()) return;
      for (size_t shard = 0; shard < shards; ++shard) {
        if (rows[at][shard].empty()) continue;
        parts[at][shard] =
            static_cast<int64_t>(rows[at][shard].size()) == batches[at]->rows ? *batches[at] : data::Gather(*batches[at], rows[at][shard]);
      }
    });
    for (Status& s : status) KAPPA_RETURN_IF_ERROR(std::move(s));
    for (auto& part : parts) {
      for (size_t shard = 0; shard < shards; ++shard) {
        if (part[shard].rows > 0) out[shard].push_back(std::move(part[shard]));
      }
    }
    return {};
  }

  /// The node's output for one of its users.
  Lanes TakeOutput(Node& node) const {
    if (++node.served < node.users) return node.out;
    node.served = 0;
    return std::exchange(node.out, Lanes(lanes()));
  }

  static Status RunBatch(ops::Operator& op, int port, data::ChangeBatch batch, ops::Output& out) {
    if (!state::Spilling() || batch.rows <= kSpillingRows) return op.OnBatch(port, std::move(batch), out);
    for (int64_t at = 0; at < batch.rows; at += kSpillingRows)
      KAPPA_RETURN_IF_ERROR(op.OnBatch(port, data::Slice(batch, at, std::min(kSpillingRows, batch.rows - at)), out));
    return {};
  }

  Status RunOperator(Node& node, ThreadPool& pool, const ops::EpochContext* end) {
    const size_t shards = node.operators.size();
    std::vector<Lanes> ports(node.inputs.size());
    bool any = false;
    for (size_t port = 0; port < ports.size(); ++port) {
      Lanes in = TakeOutput(nodes[node.inputs[port]]);
      for (const auto& lane : in) {
        for (const data::ChangeBatch& batch : lane) {
          node.rows_in += batch.rows;
          ++node.batches;
          any = true;
        }
      }
      KAPPA_RETURN_IF_ERROR(Distribute(node.distribution[port], std::move(in), shards, pool, ports[port]));
    }
    if (!any && end == nullptr) return {};
    std::vector<Status> status(shards);
    auto run = [&](int shard) {
      const auto at = static_cast<size_t>(shard);
      ops::Operator& op = *node.operators[at];
      ops::Output& out = node.out[at];
      for (size_t port = 0; port < ports.size(); ++port) {
        for (data::ChangeBatch& batch : ports[port][at]) {
          status[at] = RunBatch(op, static_cast<int>(port), std::move(batch), out);
          if (status[at].ok() && options.watch) status[at] = Watch(static_cast<size_t>(&node - nodes.data()));
          if (!status[at].ok()) return;
        }
      }
      if (end != nullptr) status[at] = op.OnEpochEnd(*end, out);
    };
    if (any) {
      pool.ParallelFor(static_cast<int>(shards), run);
    } else {
      for (size_t shard = 0; shard < shards; ++shard) run(static_cast<int>(shard));  // too little to share out
    }
    if (options.watch) {
      for (const size_t input : node.inputs) CountOutput(nodes[input]);
    }
    for (Status& s : status) KAPPA_RETURN_IF_ERROR(std::move(s));
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
  for (Impl::Node& node : impl->nodes) node.out.assign(impl->lanes(), {});
  return std::unique_ptr<Graph>(new Graph(std::move(impl)));
}

const std::vector<const plan::Scan*>& Graph::scans() const { return impl_->scans; }
const plan::Node& Graph::plan() const { return *impl_->root; }

void Graph::Push(int index, data::ChangeBatch rows) {
  const size_t at_node = impl_->scan_nodes[static_cast<size_t>(index)];
  if (at_node == SIZE_MAX) return;
  Impl::Node& node = impl_->nodes[at_node];
  const auto limit = static_cast<int64_t>(impl_->options.batch_rows);
  for (int64_t at = 0; at < rows.rows; at += limit) {
    const int64_t count = std::min(limit, rows.rows - at);
    // The shortest lane takes the batch, so that shards begin with equal shares.
    size_t lane = 0;
    for (size_t i = 1; i < node.out.size(); ++i) {
      if (node.out[i].size() < node.out[lane].size()) lane = i;
    }
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
  for (Impl::Node& node : impl_->nodes) {
    const auto begin = std::chrono::steady_clock::now();
    switch (node.plan->kind) {
      case plan::NodeKind::kScan: KAPPA_RETURN_IF_ERROR(impl_->RunScan(node, pool)); break;
      case plan::NodeKind::kValues: KAPPA_RETURN_IF_ERROR(impl_->RunValues(node)); break;
      case plan::NodeKind::kTableFunction:
        if (!impl_->started) {
          KAPPA_ASSIGN_OR_RETURN(data::Batch rows, impl_->options.table_function(static_cast<const plan::TableFunction&>(*node.plan)));
          const data::ChangeBatch all(std::move(rows));
          for (int64_t at = 0; at < all.rows; at += static_cast<int64_t>(impl_->options.batch_rows)) {
            node.out[0].push_back(data::Slice(all, at, std::min(static_cast<int64_t>(impl_->options.batch_rows), all.rows - at)));
          }
        }
        break;
      default: KAPPA_RETURN_IF_ERROR(impl_->RunOperator(node, pool, end));
    }
    for (auto& lane : node.out) {
      std::erase_if(lane, [](const data::ChangeBatch& batch) { return batch.rows == 0; });
      for (const data::ChangeBatch& batch : lane) node.rows_out += batch.rows;
    }
    if (impl_->options.watch) KAPPA_RETURN_IF_ERROR(impl_->Watch(static_cast<size_t>(&node - impl_->nodes.data())));
    node.nanos += (std::chrono::steady_clock::now() - begin).count();
  }
  impl_->started = true;
  Impl::Node& root = impl_->nodes.back();
  for (auto& lane : root.out) {
    std::move(lane.begin(), lane.end(), std::back_inserter(out));
    lane.clear();
  }
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
