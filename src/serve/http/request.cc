#include "serve/http/request.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>

namespace kappa::serve::http {
namespace {

namespace beast = boost::beast;
using Clock = std::chrono::steady_clock;

constexpr size_t kReadBytes = 16 << 10;

constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";
constexpr std::string_view kDataPolicy = "default-src 'none'; frame-ancestors 'none'";

std::string_view Reason(int status) {
  const beast::string_view reason = beast::http::obsolete_reason(static_cast<beast::http::status>(status));
  return {reason.data(), reason.size()};
}

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

Error BadRequest(std::string message) { return Error(sqlstate::kProtocolViolation, std::move(message)); }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<Request> Convert(const beast::http::request<beast::http::string_body>& message) {
  Request request;
  request.method = View(message.method_string());
  request.keep_alive = message.keep_alive();
  const auto header = [&](beast::http::field field) { return std::string(View(message[field])); };
  request.host = header(beast::http::field::host);
  request.origin = header(beast::http::field::origin);
  request.content_type = header(beast::http::field::content_type);
  request.fetch_site = std::string(View(message["Sec-Fetch-Site"]));
  request.body = message.body();

  const std::string_view target = View(message.target());
  if (target.empty() || target[0] != '/') return BadRequest("invalid request target");
  const size_t mark = std::min(target.find('?'), target.size());
  for (const std::string_view raw = target.substr(0, mark); const char c : raw) {
    if (static_cast<unsigned char>(c) <= ' ') return BadRequest("invalid request target");
  }
  // A slash that is part of a name would be taken for a separator below.
  if (target.substr(0, mark).find("%2f") != target.npos || target.substr(0, mark).find("%2F") != target.npos) {
    return BadRequest("encoded slash in the path");
  }
  const auto path = PercentDecode(target.substr(0, mark), false);
  if (!path) return BadRequest("malformed percent-encoding in the path");
  request.path = *path;
  std::string_view query = target.substr(std::min(mark + 1, target.size()));
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    auto name = PercentDecode(pair.substr(0, equals), true);
    auto value = PercentDecode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!name || !value) return BadRequest("malformed percent-encoding in the query");
    request.query.emplace_back(std::move(*name), std::move(*value));
  }
  return request;
}

}  // namespace

std::optional<std::string> PercentDecode(std::string_view text, bool is_query) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && is_query) {
      out.push_back(' ');
    } else if (text[i] != '%') {
      out.push_back(text[i]);
    } else {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0 || high + low == 0) return std::nullopt;
      out.push_back(static_cast<char>(high << 4 | low));
      i += 2;
    }
  }
  if (!simdjson::validate_utf8(out.data(), out.size())) return std::nullopt;
  return out;
}

std::string Serialize(const Response& response, bool keep_alive, bool head_only) {
  std::string out = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
      "Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\nContent-Security-Policy: {}\r\n",
      response.status, Reason(response.status), response.content_type, response.body.size(), response.is_page ? kPagePolicy : kDataPolicy);
  if (!response.allow.empty()) out += "Allow: " + response.allow + "\r\n";
  out += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  if (!head_only) out += response.body;
  return out;
}

std::string EventStreamHead() {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
         "X-Accel-Buffering: no\r\nConnection: close\r\n\r\n";
}

std::optional<Result<Request>> RequestReader::Next(int& status) {
  beast::http::request_parser<beast::http::string_body> parser;
  parser.header_limit(static_cast<uint32_t>(options_.header_bytes_max));
  parser.body_limit(options_.body_bytes_max);
  parser.eager(true);
  bool told_to_continue = false;
  int64_t timeout_us = options_.idle_timeout_us;
  auto deadline = Clock::time_point::max();  // of the header, once its first byte is here
  while (true) {
    while (!buffer_.empty() && !parser.is_done()) {
      boost::system::error_code error;
      const size_t used = parser.put(boost::asio::const_buffer(buffer_.data(), buffer_.size()), error);
      buffer_.erase(0, used);
      if (error == beast::http::error::need_more) break;
      if (!error) continue;
      status = error == beast::http::error::header_limit ? 431 : error == beast::http::error::body_limit ? 413 : 400;
      return Result<Request>(BadRequest(status == 431   ? "request header is too large"
                                        : status == 413 ? "request body is too large"
                                                        : "malformed request: " + error.message()));
    }
    if (parser.is_done()) break;
    if (parser.is_header_done() && !told_to_continue && View(parser.get()[beast::http::field::expect]) == "100-continue") {
      told_to_continue = true;
      if (!socket_.Write("HTTP/1.1 100 Continue\r\n\r\n", options_.write_stall_timeout_us)) return std::nullopt;
    }
    if (parser.got_some() || !buffer_.empty()) {
      if (deadline == Clock::time_point::max()) deadline = Clock::now() + std::chrono::microseconds(options_.header_timeout_us);
      timeout_us = options_.header_timeout_us;
      if (!parser.is_header_done()) { timeout_us = std::chrono::duration_cast<std::chrono::microseconds>(deadline - Clock::now()).count(); }
      if (timeout_us <= 0) return std::nullopt;
    }
    if (buffer_.size() > options_.header_bytes_max && !parser.is_header_done()) {
      status = 431;
      return Result<Request>(BadRequest("request header is too large"));
    }
    if (socket_.Read(buffer_, kReadBytes, timeout_us) != Socket::ReadStatus::kData) return std::nullopt;
  }
  Result<Request> request = Convert(parser.get());
  if (!request.ok()) status = 400;
  return request;
}

}  // namespace kappa::serve::http
