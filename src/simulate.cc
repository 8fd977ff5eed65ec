// Runs simulations of the log (src/sim): one seed, or many; or proves that they notice a broken program.
//
// usage: simulate SEED | --seeds N [--from SEED] [--failpoints SPEC] [--expect-violation]
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstring>

#include "io/failpoint.h"
#include "sim/simulation.h"

namespace {

bool ParseNumber(const char* text, uint64_t& number) {
  auto [end, error] = std::from_chars(text, text + std::strlen(text), number);
  return error == std::errc() && *end == '\0';
}

int Usage() {
  fmt::print(stderr, "usage: simulate SEED | --seeds N [--from SEED] [--failpoints SPEC] [--expect-violation]\n");
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  uint64_t seed = 1, seeds = 1;
  const char* failpoints = "";
  bool expect_violation = false;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    const bool more = i + 1 < count;
    bool ok = true;
    if (name == "--seeds" && more) ok = ParseNumber(arguments[++i], seeds);
    else if (name == "--from" && more) ok = ParseNumber(arguments[++i], seed);
    else if (name == "--failpoints" && more) failpoints = arguments[++i];
    else if (name == "--expect-violation") expect_violation = true;
    else ok = ParseNumber(arguments[i], seed);
    if (!ok) return Usage();
  }
  const auto begin = std::chrono::steady_clock::now();
  uint64_t digest = 0, acknowledged = 0, committed = 0, crashes = 0, power_cuts = 0, calls = 0;
  for (uint64_t ran = 0; ran < seeds; ++ran) {
    if (kappa::Status set = kappa::io::SetFailpoints(failpoints); !set.ok()) {
      fmt::print(stderr, "simulate: {}\n", set.ToString());
      return 2;
    }
    const kappa::sim::Outcome outcome = kappa::sim::Simulate(seed + ran);
    digest ^= outcome.digest;
    acknowledged += outcome.acknowledged;
    committed += outcome.committed;
    crashes += outcome.crashes;
    power_cuts += outcome.power_cuts;
    calls += outcome.disk_calls;
    if (outcome.violation.empty()) continue;
    fmt::print("simulate: seed {}, digest {:016x}: {}\n", seed + ran, outcome.digest, outcome.violation);
    return expect_violation ? 0 : 1;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  fmt::print(
      "simulate: seeds {} to {}, digest {:016x}: all held; {} batches acknowledged, {} transactions committed, {} crashes ({} power cuts), {} "
      "changes "
      "of the disk, {:.1f} s\n",
      seed, seed + seeds - 1, digest, acknowledged, committed, crashes, power_cuts, calls, seconds);
  return expect_violation ? 1 : 0;
}
