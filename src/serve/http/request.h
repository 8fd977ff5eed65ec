// Request: one HTTP/1.1 request, read within limits; Response: what goes back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "serve/http/server.h"
#include "serve/net/socket.h"

namespace kappa::serve::http {

struct Request {
  std::string method;  // "GET"
  std::string path;    // decoded: "/v1/views/orders"; segments that held an encoded slash are refused
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::string host, origin, content_type, fetch_site;      // headers, empty when missing
  std::string body;
  bool keep_alive = true;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string allow;    // of 405
  bool is_page = false;  // gets a content security policy that lets the console run
};

/// The head and body as they go over the wire. `head_only`: for HEAD.
std::string Serialize(const Response& response, bool keep_alive, bool head_only);
/// The head of an event stream.
std::string EventStreamHead();

/// Reads requests from one connection.
class RequestReader {
 public:
  RequestReader(Socket& socket, const HttpServerOptions& options) : socket_(socket), options_(options) {}
  /// nullopt: the client left, or was idle for too long. An error has the HTTP status that `status` receives; the connection
  /// must be closed then.
  std::optional<Result<Request>> Next(int& status);

 private:
  Socket& socket_;
  const HttpServerOptions& options_;
  std::string buffer_;  // received, not parsed
};

/// "%2f" and, in queries, "+". nullopt when malformed, or when the result is not UTF-8 or holds a zero byte.
std::optional<std::string> PercentDecode(std::string_view text, bool is_query);

}  // namespace kappa::serve::http
