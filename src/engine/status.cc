// The status document (docs/http.md) and the metrics.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "engine/core.h"
#include "engine/group_status.h"
#include "format/decoder.h"
#include "state/memory.h"

namespace kappa::engine {
namespace {

constexpr int64_t kRateWindowUs = 5'000'000;

std::string Quoted(std::string_view text) {
  std::string out;
  format::AppendJsonString(text, out);
  return out;
}

std::string TimeJson(int64_t micros) {
  if (micros == 0 || micros == flow::kNoWatermark) return "null";
  const std::time_t seconds = static_cast<std::time_t>(micros >= 0 ? micros / 1'000'000 : (micros - 999'999) / 1'000'000);
  std::tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr || parts.tm_year > 8099) return "null";
  return fmt::format("\"{:04d}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}.{:06d}Z\"", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                     parts.tm_min, parts.tm_sec, micros - static_cast<int64_t>(seconds) * 1'000'000);
}

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0, resident = 0;
  statm >> pages >> resident;
  return resident * 4096;
}

std::string StateMemoryJson() {
  const state::MemoryUse use = state::GetMemoryUse();
  return fmt::format(R"({{"limit_bytes":{},"used_bytes":{},"resident_bytes":{},"spill_bytes":{}}})", use.limit_bytes, use.page_bytes,
                     use.resident_bytes, use.spill_bytes);
}

/// A label's value in the Prometheus text format.
std::string EscapeLabel(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c == '\n' ? ' ' : c;
  }
  return escaped;
}

}  // namespace

void RateMeter::Add(int64_t now_us, int64_t count) {
  samples.emplace_back(now_us, count);
  while (samples.size() > 2 && now_us - samples.front().first > kRateWindowUs) samples.pop_front();
}

double RateMeter::per_second() const {
  if (samples.size() < 2) return 0;
  const auto& [from_us, from] = samples.front();
  const auto& [to_us, to] = samples.back();
  return to_us <= from_us ? 0 : std::max(0.0, static_cast<double>(to - from) * 1e6 / static_cast<double>(to_us - from_us));
}

void Core::Histogram::Add(int64_t us) {
  int bucket = 0;
  while (bucket < kBuckets - 1 && (int64_t{64} << bucket) < us) ++bucket;
  ++counts[bucket];
  sum_us += us;
  ++total;
}

std::string Core::StatusJson() {
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  const int64_t now = clock_.SteadyMicros();
  const int64_t waiting = oldest_waiting_us_.load();
  const char* state = closing_ ? "stopping" : recovering_ ? "recovering" : "serving";
  std::string failure = "null";
  {
    std::lock_guard guard(wake_mutex_);
    if (fatal_ || log_wait_) {
      state = fatal_ ? "failed" : "waiting";
      failure = Quoted(fatal_ ? fatal_->message() : log_wait_->message());
    }
  }
  bool unsafe = false;
  for (const auto& topic : log_->ListTopics()) unsafe |= topic->config().unsafe;
  std::lock_guard guard(publish_);
  std::string out = fmt::format(
      R"({{"version":"0.1.0","state":"{}","failure":{},"unsafe":{},"uptime_s":{:.1f},"epoch":{},"epoch_time":{},"epochs_per_second":{:.1f},"checkpoint_epoch":{},"checkpoint_age_s":{},"recovery_ms":{:.1f},"memory_bytes":{},"state_memory":{},"sessions":{},"subscriptions":{},"dead_letters":{})",
      state, failure, unsafe, static_cast<double>(now - opened_us_) / 1e6, visible_epoch_.load(), TimeJson(visible_wall_us_),
      epoch_rate_.per_second(), checkpoint_epoch_,
      last_checkpoint_us_ == 0 ? "null" : fmt::format("{:.1f}", static_cast<double>(now - last_checkpoint_us_) / 1e6),
      static_cast<double>(recovery_us_.load()) / 1e3, ResidentBytes(), StateMemoryJson(), sessions.load(), subscriptions_.size(),
      dead_letters_->row_count() + dead_letters_dropped_);
  std::map<std::string, int64_t> lag;  // by stream name
  out += ",\"streams\":[";
  const char* comma = "";
  for (const auto& [name, stream] : snapshot->streams) {
    const StreamFigures& figures = stream_figures_[stream.id];
    int64_t records = 0;
    std::string partitions;
    auto topic = log_->FindTopic(stream.topic);
    for (int32_t p = 0; topic && p < topic->partition_count(); ++p) {
      const log::Partition& partition = topic->partition(p);
      const log::Offset visible = visible_[{stream.id, p}];
      const auto at = static_cast<size_t>(p);
      records += partition.durable_end() - partition.start_offset();
      lag[name] += std::max<int64_t>(0, partition.durable_end() - visible);
      partitions += fmt::format(R"({}{{"partition":{},"start":{},"end":{},"visible":{},"watermark":{},"idle":{}}})", p == 0 ? "" : ",", p,
                                partition.start_offset(), partition.durable_end(), visible,
                                at < figures.partition_watermarks.size() ? TimeJson(figures.partition_watermarks[at]) : "null",
                                at < figures.idle.size() && figures.idle[at]);
    }
    out += fmt::format(
        R"({}{{"name":{},"topic":{},"records":{},"records_per_second":{:.1f},"late_rows":{},"dead_letters":{},"watermark":{},"partitions":[{}]}})",
        comma, Quoted(name), Quoted(stream.topic), records, stream_rates_[stream.id].per_second(), figures.late, figures.dead,
        TimeJson(figures.watermark), partitions);
    comma = ",";
  }
  out += "],\"tables\":[";
  comma = "";
  for (const auto& [name, table] : snapshot->tables) {
    auto runtime = tables_.find(name);
    out += fmt::format(R"({}{{"name":{},"topic":{},"rows":{}}})", comma, Quoted(name), Quoted(table.topic),
                       runtime == tables_.end() ? 0 : runtime->second->store->row_count());
    comma = ",";
  }
  out += "],\"views\":[";
  comma = "";
  for (const auto& [name, view] : snapshot->views) {
    const catalog::ViewVersion* serving = view.FindVersion(view.serving);
    auto serving_runtime = serving == nullptr ? versions_.end() : versions_.find(serving->id);
    int64_t lag_records = 0;
    std::string depends, routes, versions;
    if (serving != nullptr) {
      for (const std::string& upstream : serving->depends_on) {
        depends += (depends.empty() ? "" : ",") + Quoted(upstream);
        lag_records += lag[upstream];
      }
    }
    std::vector<catalog::Route> shares = view.routes;
    if (shares.empty() && view.serving != 0) shares.push_back({view.serving, 100});
    for (const catalog::Route& route : shares)
      routes += fmt::format(R"({}{{"version":{},"percent":{}}})", routes.empty() ? "" : ",", route.version, route.percent);
    for (const catalog::ViewVersion& version : view.versions) {
      auto it = versions_.find(version.id);
      const VersionRuntime* runtime = it == versions_.end() ? nullptr : it->second.get();
      const bool live = runtime != nullptr && runtime->live;
      const ReplayProgress* progress = runtime != nullptr && runtime->replay ? &runtime->replay->progress : nullptr;
      std::string eta = "null", rate = "null", percent = live ? "100" : "null";
      if (progress != nullptr) {
        percent = fmt::format("{:.2f}", progress->percent());
        rate = fmt::format("{:.1f}", progress->records_per_second(now));
        if (double seconds = progress->eta_seconds(now); seconds >= 0) eta = fmt::format("{:.2f}", seconds);
      }
      versions += fmt::format(
          R"({}{{"version":{},"state":"{}","rows":{},"digest":{},"percent":{},"rows_per_second":{},"eta_seconds":{},"records_done":{},"records_total":{},"state_bytes":{},"errors":{},"failure":{},"created_at":{},"ready_at":{},"promoted_at":{}}})",
          versions.empty() ? "" : ",", version.number, catalog::ToString(version.state), live ? std::to_string(runtime->store->row_count()) : "null",
          live ? Quoted(runtime->store->digest().ToString()) : "null", percent, rate, eta,
          progress == nullptr ? "null" : std::to_string(progress->records_done.load()),
          progress == nullptr ? "null" : std::to_string(progress->records_total.load()), runtime == nullptr ? 0 : runtime->state_bytes,
          runtime == nullptr ? 0 : runtime->errors, version.failure.empty() ? "null" : Quoted(version.failure), TimeJson(version.created_us),
          TimeJson(version.ready_us), TimeJson(version.promoted_us));
    }
    out += fmt::format(
        R"({}{{"name":{},"serving":{},"previous":{},"rows":{},"freshness_ms":{:.3f},"lag_records":{},"depends_on":[{}],"routes":[{}],"versions":[{}]}})",
        comma, Quoted(name), view.serving, view.previous, serving_runtime == versions_.end() ? 0 : serving_runtime->second->store->row_count(),
        lag_records == 0 || waiting == 0 ? 0.0 : static_cast<double>(now - waiting) / 1e3, lag_records, depends, routes, versions);
    comma = ",";
  }
  out += "]}";
  return out;
}

/// Consumer groups, under the names that dashboards of Kafka's exporters know; -1: no commit yet.
void Core::AppendGroupMetrics(std::string& out) {
  auto family = [&](std::string_view name, std::string_view type, std::string_view help) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  };
  const auto [rebalances, commits] =
      groups_->Do([](group::Coordinator& coordinator) { return std::pair(coordinator.rebalances(), coordinator.commits()); });
  family("kappa_group_rebalances_total", "counter", "Rebalances of consumer groups that began.");
  out += fmt::format("kappa_group_rebalances_total {}\n", rebalances);
  family("kappa_group_commits_total", "counter", "Offsets that consumer groups committed.");
  out += fmt::format("kappa_group_commits_total {}\n", commits);
  family("kafka_consumergroup_members", "gauge", "Members of a consumer group.");
  for (const GroupStatus& group : ListGroupStatus(*groups_)) {
    out += fmt::format("kafka_consumergroup_members{{consumergroup=\"{}\"}} {}\n", EscapeLabel(group.name), group.members);
  }
  family("kafka_consumergroup_current_offset", "gauge", "Committed offset of a partition.");
  std::string lags;
  for (const GroupLag& lag : ListGroupLag(*groups_, *log_)) {
    const std::string labels =
        fmt::format("consumergroup=\"{}\",topic=\"{}\",partition=\"{}\"", EscapeLabel(lag.group), EscapeLabel(lag.topic), lag.partition);
    out += fmt::format("kafka_consumergroup_current_offset{{{}}} {}\n", labels, lag.committed.value_or(-1));
    lags += fmt::format("kafka_consumergroup_lag{{{}}} {}\n", labels, lag.lag().value_or(-1));
  }
  family("kafka_consumergroup_lag", "gauge", "Records behind the committed offset.");
  out += lags;
}

void Core::AppendTransactionMetrics(std::string& out) {
  struct Figures {
    uint64_t commits, aborts, timeouts;
    int64_t open = 0, oldest_ms = -1;
  };
  const Figures figures = transactions_->Do([](txn::Coordinator& coordinator) {
    Figures seen{coordinator.commits(), coordinator.aborts(), coordinator.timeouts()};
    for (const auto& [id, transaction] : coordinator.transactions()) {
      if (transaction.started_ms < 0) continue;
      ++seen.open;
      if (seen.oldest_ms < 0 || transaction.started_ms < seen.oldest_ms) seen.oldest_ms = transaction.started_ms;
    }
    return seen;
  });
  auto metric = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
    out += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n{0} {3}\n", name, type, help, value);
  };
  const double oldest_seconds = figures.oldest_ms < 0 ? 0 : std::max(0.0, static_cast<double>(clock_.WallMicros() / 1000 - figures.oldest_ms) / 1e3);
  metric("kappa_transactions_open", "gauge", "Transactions that have begun and not ended.", figures.open);
  metric("kappa_transaction_oldest_open_seconds", "gauge",
         "Age of the oldest open transaction, which readers of committed records wait for; 0: none.", oldest_seconds);
  metric("kappa_transaction_commits_total", "counter", "Transactions that were committed.", figures.commits);
  metric("kappa_transaction_aborts_total", "counter", "Transactions that were aborted.", figures.aborts);
  metric("kappa_transaction_timeouts_total", "counter", "Transactions that were aborted because their time was over.", figures.timeouts);
}

std::string Core::MetricsText() {
  std::string out;
  auto family = [&](std::string_view name, std::string_view type, std::string_view help) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  };
  const auto label = EscapeLabel;
  auto histogram = [&](std::string_view name, const Histogram& h, std::string_view help) {
    family(name, "histogram", help);
    int64_t sum = 0;
    for (int b = 0; b < Histogram::kBuckets; ++b) {
      sum += h.counts[b].load();
      out += b == Histogram::kBuckets - 1 ? fmt::format("{}_bucket{{le=\"+Inf\"}} {}\n", name, sum)
                                          : fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, static_cast<double>(int64_t{64} << b) / 1e6, sum);
    }
    out += fmt::format("{}_sum {}\n{}_count {}\n", name, static_cast<double>(h.sum_us.load()) / 1e6, name, h.total.load());
  };
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  const int64_t now = clock_.SteadyMicros();
  family("kappa_build_info", "gauge", "The version that runs.");
  out += "kappa_build_info{version=\"0.1.0\"} 1\n";
  family("kappa_uptime_seconds", "gauge", "Time since the start.");
  out += fmt::format("kappa_uptime_seconds {:.3f}\n", static_cast<double>(now - opened_us_) / 1e6);
  family("kappa_recovery_duration_seconds", "gauge", "What the last start took until it served.");
  out += fmt::format("kappa_recovery_duration_seconds {:.6f}\n", static_cast<double>(recovery_us_.load()) / 1e6);
  family("kappa_memory_bytes", "gauge", "Resident memory of the process.");
  out += fmt::format("kappa_memory_bytes {}\n", ResidentBytes());
  const state::MemoryUse use = state::GetMemoryUse();
  family("kappa_state_limit_bytes", "gauge", "Bound of state in memory.");
  out += fmt::format("kappa_state_limit_bytes {}\n", use.limit_bytes);
  family("kappa_state_bytes", "gauge", "State of all views, in memory and spilled.");
  out += fmt::format("kappa_state_bytes {}\n", use.page_bytes);
  family("kappa_state_resident_bytes", "gauge", "Memory that state takes.");
  out += fmt::format("kappa_state_resident_bytes {}\n", use.resident_bytes);
  family("kappa_state_spill_bytes", "gauge", "Size of the spill file.");
  out += fmt::format("kappa_state_spill_bytes {}\n", use.spill_bytes);
  if (checkpoints_ && !recovering_) {
    family("kappa_checkpoint_memory_bytes", "gauge", "Memory of the store that checkpoints are written to.");
    out += fmt::format("kappa_checkpoint_memory_bytes {}\n", checkpoints_->memory_bytes());
  }
  bool waiting = false;
  {
    std::lock_guard guard(wake_mutex_);
    waiting = log_wait_.has_value();
  }
  family("kappa_epochs_waiting", "gauge", "1 while live views wait for a log that cannot be read.");
  out += fmt::format("kappa_epochs_waiting {}\n", waiting ? 1 : 0);
  family("kappa_log_read_retries_total", "counter", "Reads of the log by live views that the disk failed.");
  out += fmt::format("kappa_log_read_retries_total {}\n", log_read_retries_.load());
  family("kappa_sessions", "gauge", "Open SQL sessions.");
  out += fmt::format("kappa_sessions {}\n", sessions.load());
  family("kappa_epoch", "counter", "The epoch that readers see.");
  out += fmt::format("kappa_epoch {}\n", visible_epoch_.load());
  histogram("kappa_freshness_seconds", freshness_, "From a record being durable to its epoch being visible.");
  histogram("kappa_epoch_duration_seconds", epoch_seconds_, "Cutting, computing and publishing one epoch.");
  family("kappa_log_durable_offset", "gauge", "One past the last durable record of a partition.");
  std::string sizes;
  for (const auto& topic : log_->ListTopics()) {
    for (int32_t p = 0; p < topic->partition_count(); ++p) {
      out +=
          fmt::format("kappa_log_durable_offset{{topic=\"{}\",partition=\"{}\"}} {}\n", label(topic->name()), p, topic->partition(p).durable_end());
      sizes += fmt::format("kappa_log_bytes{{topic=\"{}\",partition=\"{}\"}} {}\n", label(topic->name()), p, topic->partition(p).size_bytes());
    }
  }
  family("kappa_log_bytes", "gauge", "Bytes of a partition's segments.");
  out += sizes;
  AppendGroupMetrics(out);
  AppendTransactionMetrics(out);
  std::lock_guard guard(publish_);
  family("kappa_checkpoint_epoch", "gauge", "The epoch that the last checkpoint holds.");
  out += fmt::format("kappa_checkpoint_epoch {}\n", checkpoint_epoch_);
  family("kappa_dead_letters_total", "counter", "Records that no row came of.");
  out += fmt::format("kappa_dead_letters_total {}\n", dead_letters_->row_count() + dead_letters_dropped_);
  std::string rows, late, watermark;
  for (const auto& [name, stream] : snapshot->streams) {
    const StreamFigures& figures = stream_figures_[stream.id];
    rows += fmt::format("kappa_stream_rows_total{{stream=\"{}\"}} {}\n", label(name), figures.rows);
    late += fmt::format("kappa_late_rows_total{{stream=\"{}\"}} {}\n", label(name), figures.late);
    if (figures.watermark != flow::kNoWatermark)
      watermark += fmt::format("kappa_stream_watermark_seconds{{stream=\"{}\"}} {:.6f}\n", label(name), static_cast<double>(figures.watermark) / 1e6);
  }
  family("kappa_stream_rows_total", "counter", "Rows decoded from a stream's records.");
  out += rows;
  family("kappa_late_rows_total", "counter", "Rows that came behind the watermark.");
  out += late;
  family("kappa_stream_watermark_seconds", "gauge", "The stream's watermark, seconds since 1970.");
  out += watermark;
  std::string view_rows, errors, bytes, replays;
  for (const auto& [id, runtime] : versions_) {
    const std::string labels = fmt::format("view=\"{}\",version=\"{}\"", label(runtime->view), runtime->number);
    if (runtime->live) view_rows += fmt::format("kappa_view_rows{{{}}} {}\n", labels, runtime->store->row_count());
    errors += fmt::format("kappa_expression_errors_total{{{}}} {}\n", labels, runtime->errors);
    bytes += fmt::format("kappa_view_state_bytes{{{}}} {}\n", labels, runtime->state_bytes);
    if (runtime->replay) replays += fmt::format("kappa_replay_progress_ratio{{{}}} {:.4f}\n", labels, runtime->replay->progress.percent() / 100);
  }
  family("kappa_view_rows", "gauge", "Rows of a view version.");
  out += view_rows;
  family("kappa_view_state_bytes", "gauge", "Memory of a view version's state and rows.");
  out += bytes;
  family("kappa_expression_errors_total", "counter", "Rows in which an expression failed and gave NULL.");
  out += errors;
  family("kappa_replay_progress_ratio", "gauge", "Done share of a running replay.");
  out += replays;
  return out;
}

bool Core::healthy(std::string* why) {
  if (Status memory = state::CheckMemory(); !memory.ok()) {
    *why = "epochs wait: " + memory.error().message();
    return false;
  }
  std::lock_guard guard(wake_mutex_);
  if (fatal_ || log_wait_) {
    *why = fatal_ ? "epochs stopped: " + fatal_->message() : log_wait_->message();
    return false;
  }
  if (recovering_ || closing_) {
    *why = closing_ ? "stopping" : "recovering";
    return false;
  }
  return true;
}

}  // namespace kappa::engine
