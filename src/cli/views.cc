// Each command is a statement or two over the PostgreSQL wire, printed for people or for programs.
#include "cli/views.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <iostream>
#include <iterator>
#include <thread>

#include "cli/client.h"
#include "format/decoder.h"
#include "io/folder.h"

namespace kappa::cli {
namespace {

std::atomic<bool> interrupted{false};

/// What every command here takes.
struct Common {
  ServerAddress server{DefaultDataFolder(), ""};
  bool json = false;
};

void AddCommon(CLI::App& command, Common& common) {
  command.add_option("--data", common.server.data, "Data folder of the server (or $KAPPA_DATA)")->capture_default_str();
  command.add_option("--pg", common.server.pg, "HOST:PORT of the server instead");
  command.add_flag("--json", common.json, "One JSON object a line, for programs");
}

RowFormat FormatOf(const Common& common) { return common.json ? RowFormat::kJson : RowFormat::kTable; }

int Fail(const Error& error, const std::string& sql = {}) {
  PrintError(error, sql);
  return 1;
}

std::string Literal(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

std::string Identifier(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

/// One statement, printed.
int RunOne(const Common& common, const std::string& sql) {
  auto client = Client::Connect(common.server);
  if (!client.ok()) return Fail(client.error());
  auto rows = (*client)->Query(sql);
  if (!rows.ok()) return Fail(rows.error());
  if (common.json && rows->columns.empty()) {
    std::string tag;
    format::AppendJsonString(rows->tag, tag);
    fmt::print("{{\"done\":{}}}\n", tag);
    return 0;
  }
  PrintRows(*rows, FormatOf(common));
  return 0;
}

Result<std::string> HttpGet(const std::string& address, const std::string& path) {
  namespace beast = boost::beast;
  namespace http = beast::http;
  const size_t colon = address.rfind(':');
  boost::asio::io_context io;
  boost::asio::ip::tcp::resolver resolver(io);
  beast::tcp_stream stream(io);
  boost::system::error_code error;
  auto endpoints = resolver.resolve(address.substr(0, colon), address.substr(colon + 1), error);
  if (!error) stream.connect(endpoints, error);
  if (error) return Error(sqlstate::kConnectionFailure, fmt::format("could not connect to http://{}", address)).Detail(error.message());
  http::request<http::empty_body> request{http::verb::get, path, 11};
  request.set(http::field::host, address);
  http::write(stream, request, error);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> response;
  response.body_limit(64 << 20);
  if (!error) http::read(stream, buffer, response, error);
  if (error) return Error(sqlstate::kConnectionFailure, fmt::format("no answer from http://{}{}", address, path)).Detail(error.message());
  return response.get().body();
}

// ---- sql

struct SqlOptions {
  Common common;
  std::vector<std::string> commands;
  std::string file;
  bool csv = false;
};

int RunSql(const SqlOptions& options) {
  std::string text;
  for (const std::string& command : options.commands) text += command + ";\n";
  if (!options.file.empty()) {
    auto read = io::ReadWholeFile(options.file, 16 << 20);
    if (!read.ok()) return Fail(read.error());
    text += *read;
  }
  const bool prompt = text.empty() && isatty(STDIN_FILENO) != 0;
  auto client = Client::Connect(options.common.server);
  if (!client.ok()) return Fail(client.error());
  const RowFormat format = options.csv ? RowFormat::kCsv : FormatOf(options.common);
  auto run = [&](const std::string& sql) {
    Status status = (*client)->Script(sql, [&](Rows rows) { PrintRows(rows, format); });
    std::fflush(stdout);
    if (status.ok()) return 0;
    return Fail(status.error(), sql);
  };
  if (prompt) {
    fmt::print("kappa: statements end with a semicolon, Ctrl-D leaves\n");
    std::string statement, line;
    while (fmt::print("{}", statement.empty() ? "kappa=> " : "kappa-> "), std::fflush(stdout), std::getline(std::cin, line)) {
      statement += line + "\n";
      const size_t last = statement.find_last_not_of(" \t\n");
      if (last == std::string::npos) statement.clear();
      if (last == std::string::npos || statement[last] != ';') continue;
      run(statement);
      statement.clear();
    }
    fmt::print("\n");
    return 0;
  }
  if (text.empty()) text.assign(std::istreambuf_iterator<char>(std::cin), {});
  return run(text);
}

// ---- status

std::string Percent(const std::optional<std::string>& text) { return text ? fmt::format("{:.1f} %", std::atof(text->c_str())) : ""; }

int RunStatus(const Common& common, bool watch) {
  if (common.json) {
    auto http = ReadEndpoint(common.server.data, "http");
    if (!http.ok()) return Fail(http.error());
    auto body = HttpGet(*http, "/v1/status");
    if (!body.ok()) return Fail(body.error());
    fmt::print("{}\n", *body);
    return 0;
  }
  auto client = Client::Connect(common.server);
  if (!client.ok()) return Fail(client.error());
  do {
    if (watch && isatty(STDOUT_FILENO) != 0) fmt::print("\033[H\033[2J");
    for (const auto& [title, sql] :
         {std::pair{"streams", "SELECT name, partitions, rows, late_rows AS late, dead_letters AS dead, watermark FROM kappa.streams ORDER BY name"},
          std::pair{"tables", "SELECT name, rows FROM kappa.tables ORDER BY name"},
          std::pair{"views",
                    "SELECT v.view, v.version, v.state, v.rows, w.route, v.percent, r.records_per_second, r.eta_seconds, v.digest "
                    "FROM kappa.versions v JOIN kappa.views w ON w.name = v.view "
                    "LEFT JOIN kappa.replays r ON r.view = v.view AND r.version = v.version ORDER BY v.view, v.version"}}) {
      auto rows = (*client)->Query(sql);
      if (!rows.ok()) return Fail(rows.error(), sql);
      if (std::string_view(title) == "views") {
        for (auto& row : rows->rows) {
          row[5] = Percent(row[5]);
          if (row[6]) row[6] = fmt::format("{:.0f}", std::atof(row[6]->c_str()));
          if (row[7]) row[7] = fmt::format("{:.1f}", std::atof(row[7]->c_str()));
        }
      }
      if (rows->rows.empty()) continue;
      fmt::print("{}\n", title);
      PrintRows(*rows, RowFormat::kTable);
      fmt::print("\n");
    }
    std::fflush(stdout);
    if (watch) std::this_thread::sleep_for(std::chrono::seconds(1));
  } while (watch && !interrupted);
  return 0;
}

// ---- compare, verify, replay

int RunCompare(const Common& common, const std::string& view, int from, int to, int samples) {
  auto client = Client::Connect(common.server);
  if (!client.ok()) return Fail(client.error());
  if (from == 0 || to == 0) {
    auto known = (*client)->Query(
        "SELECT serving, (SELECT max(version) FROM kappa.versions WHERE view = $1 AND state IN ('ready', 'serving')) FROM kappa.views WHERE name = "
        "$1",
        {view});
    if (!known.ok()) return Fail(known.error());
    if (known->rows.empty()) return Fail(Error(sqlstate::kUndefinedTable, fmt::format("materialized view \"{}\" does not exist", view)));
    if (from == 0) from = std::atoi(known->rows[0][0].value_or("0").c_str());
    if (to == 0) to = std::atoi(known->rows[0][1].value_or("0").c_str());
  }
  if (from == to)
    return Fail(Error(sqlstate::kInvalidParameterValue, fmt::format("there is nothing to compare: both versions are {}", from))
                    .Hint("Name two versions: kappa compare VIEW FROM TO."));
  const std::string diff = fmt::format("kappa.diff({}, {}, {})", Literal(view), from, to);
  auto rows = (*client)->Query(fmt::format("SELECT change, old, new FROM {}", diff));
  if (!rows.ok()) return Fail(rows.error());
  std::map<std::string, int64_t> counts = {{fmt::format("only in {}", from), 0}, {fmt::format("only in {}", to), 0}, {"changed", 0}};
  for (const auto& row : rows->rows) ++counts[row[0].value_or("")];
  if (common.json) {
    fmt::print("{{\"view\":\"{}\",\"from\":{},\"to\":{},\"only_in_from\":{},\"only_in_to\":{},\"changed\":{}}}\n", view, from, to,
               counts[fmt::format("only in {}", from)], counts[fmt::format("only in {}", to)], counts["changed"]);
    PrintRows(*rows, RowFormat::kJson);
    return 0;
  }
  fmt::print("{}: version {} against version {}\n", view, from, to);
  fmt::print("  rows only in {}: {}\n  rows only in {}: {}\n  rows changed:   {}\n", from, counts[fmt::format("only in {}", from)], to,
             counts[fmt::format("only in {}", to)], counts["changed"]);
  std::map<std::string, int> shown;
  Rows sample;
  sample.columns = rows->columns;
  sample.types = rows->types;
  for (auto& row : rows->rows) {
    if (shown[row[0].value_or("")]++ < samples) sample.rows.push_back(std::move(row));
  }
  if (!sample.rows.empty()) PrintRows(sample, RowFormat::kTable);
  return 0;
}

int RunVerify(const Common& common, const std::string& view, int version, bool all) {
  auto client = Client::Connect(common.server);
  if (!client.ok()) return Fail(client.error());
  std::vector<std::pair<std::string, int>> targets;
  if (all || view.empty()) {
    auto rows = (*client)->Query("SELECT view, version FROM kappa.versions WHERE state IN ('ready', 'serving') ORDER BY view, version");
    if (!rows.ok()) return Fail(rows.error());
    for (const auto& row : rows->rows) targets.emplace_back(*row[0], std::atoi(row[1]->c_str()));
  } else {
    targets.emplace_back(view, version);
  }
  int failed = 0;
  for (const auto& [name, number] : targets) {
    auto rows = (*client)->Query(fmt::format("SELECT * FROM kappa.verify({}, {})", Literal(name), number));
    if (!rows.ok()) return Fail(rows.error());
    if (common.json) { PrintRows(*rows, RowFormat::kJson); }
    const auto& row = rows->rows.at(0);
    const bool equal = row[2].value_or("f") == "t";
    failed += !equal;
    if (common.json) continue;
    const double seconds = std::atof(row[8].value_or("0").c_str());
    const double records = std::atof(row[7].value_or("0").c_str());
    if (equal) {
      fmt::print("{} version {}: equal at epoch {}: {} rows, digest {} ({:.0f} records replayed in {:.2f} s, {:.0f}/s)\n", *row[0], *row[1], *row[3],
                 *row[4], *row[5], records, seconds, seconds > 0 ? records / seconds : 0);
    } else {
      fmt::print("{} version {}: DIFFERENT at epoch {}: live digest {}, replayed digest {} ({} rows)\n", *row[0], *row[1], *row[3], *row[5], *row[6],
                 *row[4]);
    }
  }
  return failed == 0 ? 0 : 1;
}

int RunReplay(const Common& common, const std::string& view, bool fresh, bool wait) {
  auto client = Client::Connect(common.server);
  if (!client.ok()) return Fail(client.error());
  if (fresh) {
    auto query = (*client)->Query(
        "SELECT v.query FROM kappa.versions v JOIN kappa.views w ON w.name = v.view AND w.serving = v.version WHERE v.view = $1", {view});
    if (!query.ok()) return Fail(query.error());
    if (query->rows.empty()) return Fail(Error(sqlstate::kUndefinedTable, fmt::format("materialized view \"{}\" does not exist", view)));
    Status created = (*client)->Script(fmt::format("SET kappa.wait = off; CREATE OR REPLACE MATERIALIZED VIEW {} WITH (promote = 'manual') AS {}",
                                                   Identifier(view), *query->rows[0][0]),
                                       [](Rows) {});
    if (!created.ok()) return Fail(created.error());
  }
  const bool terminal = isatty(STDERR_FILENO) != 0;
  std::string last;
  while (true) {
    auto rows = (*client)->Query(
        "SELECT view, version, percent, records_done, records_total, records_per_second, eta_seconds FROM kappa.replays WHERE $1 = '' OR view = $1 "
        "ORDER BY view, version",
        {view});
    if (!rows.ok()) return Fail(rows.error());
    if (!wait) {
      PrintRows(*rows, FormatOf(common));
      return 0;
    }
    if (rows->rows.empty() || interrupted) break;
    const auto& row = rows->rows[0];
    const double percent = std::atof(row[2].value_or("0").c_str());
    const int filled = static_cast<int>(percent / 100 * 30);
    last = fmt::format("{} version {} [{}{}] {:5.1f} %  {} of {} records  {:.0f}/s  {}", *row[0], *row[1],
                       std::string(static_cast<size_t>(filled), '#'), std::string(static_cast<size_t>(30 - filled), '.'), percent, *row[3], *row[4],
                       std::atof(row[5].value_or("0").c_str()), row[6] ? fmt::format("ETA {:.1f} s", std::atof(row[6]->c_str())) : "ETA unknown");
    fmt::print(stderr, "{}{}{}", terminal ? "\r" : "", last, terminal ? "\033[K" : "\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(terminal ? 100 : 500));
  }
  if (terminal && !last.empty()) fmt::print(stderr, "\r\033[K");
  auto versions = (*client)->Query(
      "SELECT view, version, state, rows, digest, failure FROM kappa.versions WHERE $1 = '' OR view = $1 ORDER BY view, version", {view});
  if (!versions.ok()) return Fail(versions.error());
  PrintRows(*versions, FormatOf(common));
  for (const auto& row : versions->rows) {
    if (row[2].value_or("") == "failed") return 1;
  }
  return 0;
}

}  // namespace

void AddViewCommands(CLI::App& app, std::function<int()>* run) {
  {
    auto options = std::make_shared<SqlOptions>();
    CLI::App* command = app.add_subcommand("sql", "Run SQL statements on a running server");
    command->footer(
        "Without -c and FILE, statements are read from the standard input, with a prompt on a terminal.\n\nExample: kappa sql -c 'SELECT * FROM "
        "kappa.views'");
    command->add_option("file", options->file, "SQL file");
    command->add_option("-c,--command", options->commands, "Statement to run; may be given several times");
    command->add_flag("--csv", options->csv, "Rows as CSV, as PostgreSQL's COPY writes them");
    AddCommon(*command, options->common);
    command->callback([options, run] { *run = [options] { return RunSql(*options); }; });
  }
  {
    auto common = std::make_shared<Common>();
    auto watch = std::make_shared<bool>(false);
    CLI::App* command = app.add_subcommand("status", "Show streams, tables, views, versions and replays");
    command->add_flag("--watch", *watch, "Again every second, until Ctrl-C");
    AddCommon(*command, *common);
    command->callback([common, watch, run] { *run = [common, watch] { return RunStatus(*common, *watch); }; });
  }
  {
    auto common = std::make_shared<Common>();
    auto file = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand("plan", "Tell what a SQL file would change and replay, without doing it");
    command->add_option("file", *file, "SQL file")->required();
    AddCommon(*command, *common);
    command->callback([common, file, run] {
      *run = [common, file] {
        auto text = io::ReadWholeFile(*file, 16 << 20);
        if (!text.ok()) return Fail(text.error());
        auto client = Client::Connect(common->server);
        if (!client.ok()) return Fail(client.error());
        auto rows = (*client)->Query(fmt::format("SELECT * FROM kappa.plan({})", Literal(*text)));
        if (!rows.ok()) return Fail(rows.error(), *text);
        PrintRows(*rows, FormatOf(*common));
        return 0;
      };
    });
  }
  {
    struct Options {
      Common common;
      std::string view;
      int from = 0, to = 0, samples = 5;
    };
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("compare", "Show the rows in which two versions of a view differ, at one epoch");
    command->add_option("view", options->view, "View")->required();
    command->add_option("from", options->from, "Version; the serving one unless given");
    command->add_option("to", options->to, "Version; the newest one unless given");
    command->add_option("--samples", options->samples, "Rows shown of each kind")->capture_default_str();
    AddCommon(*command, options->common);
    command->callback(
        [options, run] { *run = [options] { return RunCompare(options->common, options->view, options->from, options->to, options->samples); }; });
  }
  {
    struct Options {
      Common common;
      std::string view;
      std::vector<std::string> shares;
    };
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("route", "Split the reads of a view between versions");
    command->footer("Example: kappa route spend_by_user 1:90 2:10");
    command->add_option("view", options->view, "View")->required();
    command->add_option("shares", options->shares, "VERSION:PERCENT, adding up to 100")->required();
    AddCommon(*command, options->common);
    command->callback([options, run] {
      *run = [options] {
        std::string route;
        for (const std::string& share : options->shares) route += (route.empty() ? "" : ", ") + share;
        return RunOne(options->common, fmt::format("ALTER MATERIALIZED VIEW {} SET (route = {})", Identifier(options->view), Literal(route)));
      };
    });
  }
  {
    struct Options {
      Common common;
      std::string view;
      int version = 0;
    };
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("promote", "Let a version of a view serve all reads, at once");
    command->add_option("view", options->view, "View")->required();
    command->add_option("version", options->version, "Version that is ready")->required();
    AddCommon(*command, options->common);
    command->callback([options, run] {
      *run = [options] {
        return RunOne(options->common, fmt::format("ALTER MATERIALIZED VIEW {} PROMOTE VERSION {}", Identifier(options->view), options->version));
      };
    });
  }
  {
    struct Options {
      Common common;
      std::string view;
    };
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("rollback", "Go back to the version that served before, at once");
    command->add_option("view", options->view, "View")->required();
    AddCommon(*command, options->common);
    command->callback([options, run] {
      *run = [options] { return RunOne(options->common, fmt::format("ALTER MATERIALIZED VIEW {} ROLLBACK", Identifier(options->view))); };
    });
  }
  {
    struct Options {
      Common common;
      std::string view;
      bool fresh = false, wait = false;
    };
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("replay", "Show running replays, follow one, or start one");
    command->add_option("view", options->view, "View; all when left out");
    command->add_flag("--new", options->fresh, "Replay the view's query from the start of the log into a new version");
    command->add_flag("--wait,--watch", options->wait, "Follow the progress to the end");
    AddCommon(*command, options->common);
    command->callback([options, run] {
      *run = [options] {
        if (options->fresh && options->view.empty()) {
          fmt::print(stderr, "error: --new needs a view\n");
          return 2;
        }
        return RunReplay(options->common, options->view, options->fresh, options->wait);
      };
    });
  }
  {
    struct Options {
      Common common;
      std::string view;
      int version = 0;
      bool all = false;
    };
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("verify", "Replay a view from the start of the log and compare it with the live one");
    command->footer("Exit status 0: equal; 1: different.");
    command->add_option("view", options->view, "View; all when left out");
    command->add_option("version", options->version, "Version; the serving one unless given");
    command->add_flag("--all", options->all, "All versions of all views");
    AddCommon(*command, options->common);
    command->callback([options, run] { *run = [options] { return RunVerify(options->common, options->view, options->version, options->all); }; });
  }
}

}  // namespace kappa::cli
