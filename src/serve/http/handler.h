// Handler: answers the requests of one connection. Has the connection's session and the statements it prepared.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "serve/http/request.h"
#include "serve/net/client_registry.h"

namespace kappa::serve::http {

/// What all connections share.
struct Shared {
  engine::Engine& engine;
  const HttpServerOptions& options;
  const std::function<std::string()>& more_metrics;
  ClientRegistry& registry;
  const std::atomic<bool>& stopping;
  std::atomic<int>& subscriptions;
  std::string listen_host;  // without port
};

class Handler {
 public:
  Handler(Shared& shared, Socket& socket);
  ~Handler();

  /// Answers one request over the socket; false ends the connection.
  bool Serve(const Request& request);
  /// Answers a request that could not be read.
  void Refuse(int status, const Error& error);

 private:
  Response Answer(const Request& request);
  Response AnswerView(const Request& request, std::string_view name);
  Response AnswerPost(const Request& request);
  Response AlterView(const Request& request, std::string_view name, std::string_view action);
  Response RunSql(const Request& request);
  Response StatusPart(const char* member);
  Response EmbeddedPage(std::string_view name, std::string_view content_type);
  Response Metrics();
  Response Health(bool ready);
  /// Statements that this connection repeats are parsed once.
  Result<std::shared_ptr<engine::Prepared>> Prepare(const std::string& text, const std::vector<data::Type>& types);

  Shared& shared_;
  Socket& socket_;
  std::unique_ptr<engine::Session> session_;
  std::shared_ptr<Client> client_;
  std::map<std::string, std::shared_ptr<engine::Prepared>> prepared_;
};

/// GET /v1/views/NAME/changes: sends events until the client leaves, is too slow, or the server stops.
void StreamChanges(Shared& shared, Socket& socket, const Request& request, std::string_view view);

/// The error's status and document.
Response ErrorResponse(const Error& error);

}  // namespace kappa::serve::http
