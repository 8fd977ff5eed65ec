// Goal: docs/functions.md is what the registry says. Method: write the page from the registry and compare; REWRITE=1 stores it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "expr/expression.h"

namespace kappa::expr {
namespace {

std::string Escaped(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '|') result += '\\';
    result += c;
  }
  return result;
}

/// One row for each name, its signatures separated by line breaks.
std::string Section(FunctionInfo::Kind kind, const std::vector<FunctionInfo>& all) {
  std::string text;
  for (size_t i = 0; i < all.size();) {
    if (all[i].kind != kind) {
      ++i;
      continue;
    }
    std::string signatures;
    std::vector<std::string> descriptions;
    size_t end = i;
    for (; end < all.size() && all[end].kind == kind && all[end].name == all[i].name; ++end) {
      std::string arguments;
      for (const std::string& argument : all[end].arguments) arguments += (arguments.empty() ? "" : ", ") + argument;
      signatures += (signatures.empty() ? "" : "<br>") + (arguments.empty() ? std::string() : arguments + " ") + "→ " + all[end].result;
      if (std::find(descriptions.begin(), descriptions.end(), all[end].description) == descriptions.end())
        descriptions.push_back(all[end].description);
    }
    std::string description;
    for (const std::string& line : descriptions) description += (description.empty() ? "" : "; ") + line;
    text += "| `" + Escaped(all[i].name) + "` | " + Escaped(signatures) + " | " + Escaped(description) + " |\n";
    i = end;
  }
  return text;
}

std::string Page() {
  const std::vector<FunctionInfo> all = ListFunctions();
  std::string text =
      "# Functions and operators\n\n"
      "Written from the registry by a test (`REWRITE=1 build/dev/src/expr_test --gtest_filter='FunctionsDocTest.*'`); `SELECT * FROM "
      "kappa.functions` "
      "gives the same.\nNames, NULLs, errors and output are PostgreSQL 15's. What differs on purpose: `test/golden/expr/differences.tsv`.\n\n"
      "## Aggregates\n\n"
      "All of them take `DISTINCT` (but not with `WITHIN GROUP`) and `FILTER (WHERE ..)`, in views and in queries, and follow deletes. "
      "How order and rounding are fixed: [sql.md](sql.md#aggregates).\n\n";
  const auto table = [&](FunctionInfo::Kind kind) { text += "| name | takes → gives | |\n|---|---|---|\n" + Section(kind, all); };
  table(FunctionInfo::Kind::kAggregate);
  text += "\n## Functions\n\n";
  table(FunctionInfo::Kind::kFunction);
  text += "\n## Operators\n\n";
  table(FunctionInfo::Kind::kOperator);
  text += "\n## For clients\n\nWhat psql and drivers call.\n\n";
  table(FunctionInfo::Kind::kSystem);
  return text;
}

TEST(FunctionsDocTest, ThePageIsWhatTheRegistrySays) {
  const std::filesystem::path path = std::filesystem::path(__FILE__).parent_path() / "../../docs/functions.md";
  if (std::getenv("REWRITE") != nullptr) std::ofstream(path) << Page();
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), Page()) << "functions changed: run with REWRITE=1";
}

}  // namespace
}  // namespace kappa::expr
