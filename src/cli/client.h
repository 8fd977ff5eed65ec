// How commands reach a running server: DIR/endpoints.json, a PostgreSQL connection, and tables for people.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace kappa::cli {

/// Options that all client commands share.
struct ServerAddress {
  std::string data;  // data folder whose endpoints.json is read; default $KAPPA_DATA, else ./kappa-data
  std::string pg;    // host:port; wins over the folder
};
std::string DefaultDataFolder();

/// One address of DIR/endpoints.json ("pg", "kafka", "http"). Fails with connection_failure when nothing serves that folder.
Result<std::string> ReadEndpoint(const std::string& folder, const std::string& name);

/// Rows as text, as PostgreSQL's text format gives them.
struct Rows {
  std::vector<std::string> columns;
  std::vector<unsigned> types;  // pg_type oids
  std::vector<std::vector<std::optional<std::string>>> rows;
  std::string tag;
};

/// A connection over libpq.
class Client {
 public:
  static Result<std::unique_ptr<Client>> Connect(const ServerAddress& address);
  ~Client();
  /// One statement with text parameters.
  Result<Rows> Query(const std::string& sql, const std::vector<std::string>& parameters = {});
  /// Any number of statements; `each` gets every result in order.
  Status Script(const std::string& sql, const std::function<void(Rows)>& each);
  /// Asks the server to stop the running statement. Safe in another thread.
  void Cancel();

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

enum class RowFormat { kTable, kCsv, kJson };
/// Prints rows to stdout: a table with rulers, CSV as COPY writes it, or one JSON object a line.
void PrintRows(const Rows& rows, RowFormat format);
/// "error: ..." with detail, hint and, when the text is given, the line with a caret. To stderr.
void PrintError(const Error& error, const std::string& sql = {});

}  // namespace kappa::cli
