// Golden plans: test/plans/*.txt hold statements, each followed by the plan (or error) that it must give.
// REWRITE=1 writes the answers into the files instead of comparing them; read the difference before you commit it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sql/testing.h"

namespace kappa::sql {
namespace {

std::filesystem::path PlansFolder() { return std::filesystem::path(__FILE__).parent_path() / "../../test/plans"; }

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Answers every case of a file. A case is lines up to one that ends in ';', then its answer up to an empty line.
/// Lines that start with '#' between cases are kept.
std::string Answered(const std::string& file, const TestCatalog& catalog) {
  std::istringstream lines(file);
  std::string line, result;
  while (std::getline(lines, line)) {
    if (line.empty() || line[0] == '#') {
      result += line + "\n";
      continue;
    }
    std::string statement = line;
    while (!statement.ends_with(";") && std::getline(lines, line)) statement += "\n" + line;
    while (std::getline(lines, line) && !line.empty()) continue;  // the old answer
    result += statement + "\n" + catalog.Plan(statement) + "\n";
  }
  while (result.ends_with("\n\n")) result.pop_back();
  return result;
}

TEST(GoldenPlansTest, PlansAreAsWritten) {
  const TestCatalog catalog;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(PlansFolder())) {
    if (entry.path().extension() != ".txt") continue;
    ++files;
    const std::string wanted = ReadFile(entry.path());
    const std::string given = Answered(wanted, catalog);
    if (std::getenv("REWRITE") != nullptr) {
      std::ofstream(entry.path()) << given;
      continue;
    }
    EXPECT_EQ(given, wanted) << entry.path();
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace kappa::sql
