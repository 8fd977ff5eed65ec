// Connection: one client of the PostgreSQL wire, from the first byte to the last.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "serve/net/client_registry.h"
#include "serve/net/socket.h"
#include "serve/pg/extended_query.h"
#include "serve/pg/frame_reader.h"
#include "serve/pg/result_sender.h"
#include "serve/pg/server.h"

namespace kappa::serve::pg {

class Connection {
 public:
  Connection(Socket& socket, engine::Engine& engine, ClientRegistry& registry, const PgServerOptions& options, const std::atomic<bool>& stopping);
  ~Connection();

  /// Serves until the client leaves, breaks the protocol, or the server stops. `over_limit`: only to be refused.
  void Run(bool over_limit);

 private:
  /// False when there is nothing (more) to serve.
  bool Startup(bool over_limit);
  bool StartSession(const StartupPacket& packet);
  void ApplyStartupParameter(std::string_view name, std::string_view value);
  void ApplyOptions(std::string_view options);
  /// Serves one frame; false ends the connection.
  bool Dispatch(const FrontendMessage& message);
  void SimpleQuery(std::string_view text);
  Status RunStatements(std::string_view text);
  Status Execute(const ExecuteMessage& message);
  void Sync();
  void Ready();
  /// Follows what a completed statement changed: settings to report, statements and portals to drop.
  void AfterStatement(std::string_view tag, std::string_view text);
  void ReportSettings(bool all);
  void Fatal(const Error& error);

  Socket& socket_;
  engine::Engine& engine_;
  ClientRegistry& registry_;
  const PgServerOptions& options_;
  const std::atomic<bool>& stopping_;
  FrameReader reader_;
  ResultSender sender_;
  std::unique_ptr<engine::Session> session_;
  std::shared_ptr<Client> client_;
  std::unique_ptr<ExtendedQuery> extended_;
  std::map<std::string, std::string, std::less<>> reported_;  // settings as the client knows them
  bool skip_until_sync_ = false;
};

/// The name that "DEALLOCATE [PREPARE] name" gives, unquoted; empty for ALL and for any other text.
std::string DeallocatedName(std::string_view text);

}  // namespace kappa::serve::pg
