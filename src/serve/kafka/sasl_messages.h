// Messages by which a client proves who it is: SaslHandshake, SaslAuthenticate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "serve/kafka/codec.h"
#include "serve/kafka/protocol.h"

namespace kappa::serve::kafka {

struct SaslHandshakeRequest {
  std::string mechanism;
  template <class C> void Fields(C& c) { c(mechanism); }
};

struct SaslHandshakeResponse {
  Code error = Code::kNone;
  std::vector<std::string> mechanisms;  // that the server offers
  template <class C> void Fields(C& c) {
    c(error);
    c(mechanisms);
  }
};

struct SaslAuthenticateRequest {
  Blob message;
  template <class C> void Fields(C& c) {
    c(message);
    c.Tags();
  }
};

struct SaslAuthenticateResponse {
  Code error = Code::kNone;
  std::optional<std::string> text;
  Blob message;
  int64_t session_lifetime_ms = 0;  // 0: for ever
  template <class C> void Fields(C& c) {
    c(error);
    c(text);
    c(message);
    if (c.Since(1)) c(session_lifetime_ms);
    c.Tags();
  }
};

}  // namespace kappa::serve::kafka
