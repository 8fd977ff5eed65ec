// For tests: a blocking client that sends raw frames, and encoded requests, to a KafkaServer.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "serve/kafka/codec.h"
#include "serve/kafka/protocol.h"
#include "serve/net/socket.h"

namespace kappa::serve::kafka {

/// A request frame without its length.
template <class Request> std::string EncodeRequest(ApiKey key, int16_t version, int32_t correlation_id, Request request) {
  const Api* api = FindApi(static_cast<int16_t>(key), version);
  KAPPA_CHECK(api != nullptr);
  const bool flexible = version >= api->flexible;
  ByteWriter frame;
  frame.Big(static_cast<int16_t>(key));
  frame.Big(version);
  frame.Big(correlation_id);
  frame.Big<int16_t>(4);
  frame.Bytes("test");
  if (flexible) frame.Varint(0);
  Encoder encoder(version, flexible);
  request.Fields(encoder);
  for (const Chunk& chunk : encoder.Take()) frame.Bytes(chunk.bytes);
  return frame.Take();
}

inline std::string WithLength(std::string_view frame) {
  ByteWriter writer;
  writer.Big(static_cast<int32_t>(frame.size()));
  writer.Bytes(frame);
  return writer.Take();
}

/// Decodes a response frame (without its length); nullopt when it is malformed or has another correlation id.
template <class Response> std::optional<Response> DecodeResponse(ApiKey key, int16_t version, int32_t correlation_id, std::string_view frame) {
  const Api* api = FindApi(static_cast<int16_t>(key), version);
  KAPPA_CHECK(api != nullptr);
  const bool flexible = version >= api->flexible;
  ByteReader header(frame);
  if (header.Big<int32_t>() != correlation_id) return std::nullopt;
  if (flexible && key != ApiKey::kApiVersions && header.Varint() != 0) return std::nullopt;
  Decoder decoder(frame.substr(header.position()), version, flexible);
  Response response;
  response.Fields(decoder);
  if (!header.ok() || !decoder.AtEnd()) return std::nullopt;
  return response;
}

class WireClient {
 public:
  explicit WireClient(const std::string& address) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    auto parts = ParseHostPort(address);
    KAPPA_CHECK(parts.ok());
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(parts->port)));
    KAPPA_CHECK(::inet_pton(AF_INET, parts->host.c_str(), &to.sin_addr) == 1);
    KAPPA_CHECK(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};  // only a broken server makes a test wait
    KAPPA_CHECK(::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
  }
  ~WireClient() { ::close(fd_); }

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  /// The next response frame; nullopt when the server closed the connection.
  std::optional<std::string> ReadFrame() {
    std::string length = ReadExactly(4);
    if (length.size() < 4) return std::nullopt;
    auto bytes = static_cast<size_t>(ByteReader(length).Big<int32_t>());
    std::string frame = ReadExactly(bytes);
    if (frame.size() < bytes) return std::nullopt;
    return frame;
  }
  /// True when the server ends the stream without another byte.
  bool Ended() {
    char byte = 0;
    const ssize_t got = ::recv(fd_, &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
  }

  template <class Response, class Request> std::optional<Response> Call(ApiKey key, int16_t version, Request request) {
    const int32_t id = ++correlation_id_;
    if (!Send(WithLength(EncodeRequest(key, version, id, std::move(request))))) return std::nullopt;
    std::optional<std::string> frame = ReadFrame();
    if (!frame) return std::nullopt;
    return DecodeResponse<Response>(key, version, id, *frame);
  }

 private:
  std::string ReadExactly(size_t bytes) {
    std::string out;
    char piece[65536];
    while (out.size() < bytes) {
      ssize_t got = ::recv(fd_, piece, std::min(sizeof piece, bytes - out.size()), 0);
      if (got <= 0) break;
      out.append(piece, static_cast<size_t>(got));
    }
    return out;
  }

  const int fd_;
  int32_t correlation_id_ = 0;
};

}  // namespace kappa::serve::kafka
