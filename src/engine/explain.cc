// EXPLAIN (ANALYZE): what the operators of a query, or of a live view, did.
#include <fmt/format.h>

#include "engine/core.h"
#include "format/decoder.h"

namespace kappa::engine {
namespace {

using Stats = std::vector<flow::Graph::NodeStats>;

std::string Quoted(std::string_view text) {
  std::string out;
  format::AppendJsonString(text, out);
  return out;
}

std::string TextOf(const Stats& stats) {
  std::string text;
  for (const flow::Graph::NodeStats& node : stats) {
    text += fmt::format("{}{}  (rows in {}, out {}, batches {}, {:.3f} ms", std::string(static_cast<size_t>(node.depth) * 2, ' '), node.text,
                        node.rows_in, node.rows_out, node.batches, static_cast<double>(node.nanos) / 1e6);
    if (node.state_bytes > 0) text += fmt::format(", state {} rows {} bytes", node.state_rows, node.state_bytes);
    if (node.errors > 0) text += fmt::format(", errors {}", node.errors);
    text += ")\n";
  }
  return text;
}

/// The node at `at` with its inputs; `at` moves behind them.
void AppendJson(const Stats& stats, size_t& at, std::string& out) {
  const flow::Graph::NodeStats& node = stats[at++];
  out += fmt::format(
      R"({{"operator":{},"text":{},"rows_in":{},"rows_out":{},"batches":{},"ms":{:.3f},"errors":{},"state_rows":{},"state_bytes":{},"inputs":[)",
      Quoted(std::string_view(node.text).substr(0, node.text.find(' '))), Quoted(node.text), node.rows_in, node.rows_out, node.batches,
      static_cast<double>(node.nanos) / 1e6, node.errors, node.state_rows, node.state_bytes);
  for (bool first = true; at < stats.size() && stats[at].depth > node.depth; first = false) {
    if (!first) out += ",";
    AppendJson(stats, at, out);
  }
  out += "]}";
}

std::string JsonOf(const Stats& stats) {
  std::string out;
  size_t at = 0;
  AppendJson(stats, at, out);
  return out;
}

}  // namespace

Result<std::string> Core::ExplainAnalyze(const plan::NodePtr& plan, ReadSet& reads, const expr::EvalContext& context,
                                         const std::function<bool()>& cancelled, bool json) {
  flow::ThreadPool inline_pool(1);
  Stats stats;
  const int64_t begin = clock_.SteadyMicros();
  KAPPA_ASSIGN_OR_RETURN(data::Batch rows, RunPlan(plan, reads, context, cancelled, inline_pool, 0, &stats));
  const double ms = static_cast<double>(clock_.SteadyMicros() - begin) / 1e3;
  if (json) return fmt::format(R"({{"plan":{},"rows":{},"ms":{:.3f},"epoch":{}}})", JsonOf(stats), rows.rows, ms, reads.epoch);
  return TextOf(stats) + fmt::format("{} rows in {:.3f} ms, epoch {}\n", rows.rows, ms, reads.epoch);
}

Result<std::string> Core::ExplainLive(const std::string& view, int version, bool json) {
  std::string text;
  KAPPA_RETURN_IF_ERROR(AtBoundary([&]() -> Status {
    for (const auto& [id, runtime] : versions_) {
      if (runtime->view != view || runtime->number != version || !runtime->live || !flow_->HasView(id)) continue;
      const Stats stats = flow_->graph(id).stats();
      const int64_t rows = runtime->store->row_count();
      text = json ? fmt::format(R"({{"view":{},"version":{},"plan":{},"rows":{},"epoch":{}}})", Quoted(view), version, JsonOf(stats), rows, epoch_)
                  : TextOf(stats) + fmt::format("version {} of {}: {} rows, epoch {}\n", version, view, rows, epoch_);
      return {};
    }
    return Error(sqlstate::kObjectNotInPrerequisiteState, fmt::format("version {} of materialized view \"{}\" is not live", version, view))
        .Hint("EXPLAIN without ANALYZE shows its plan; SELECT * FROM kappa.replays shows how far a replay is.");
  }));
  return text;
}

}  // namespace kappa::engine
