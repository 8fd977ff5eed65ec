#include "serve/net/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstring>
#include <utility>

#include "base/check.h"

namespace kappa::serve {
namespace {

Result<std::shared_ptr<ssl_ctx_st>> MakeContext(const TlsOptions& options) {
  ERR_clear_error();
  std::shared_ptr<ssl_ctx_st> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  KAPPA_CHECK(context != nullptr);
  SSL_CTX* raw = context.get();
  const auto unusable = [](std::string_view flag, const std::string& file) {
    return Error(sqlstate::kInvalidParameterValue, fmt::format("could not use \"{}\" of {}: {}", file, flag, TlsComplaint()))
        .Hint("Give a file in PEM; a key must have no passphrase, and fit the certificate.");
  };
  KAPPA_CHECK(SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION) == 1);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);  // connections live long
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_default_passwd_cb(raw, [](char*, int, int, void*) { return 0; });  // never ask at the terminal
  if (SSL_CTX_use_certificate_chain_file(raw, options.certificate.c_str()) != 1) return unusable("--tls-cert", options.certificate);
  if (SSL_CTX_use_PrivateKey_file(raw, options.key.c_str(), SSL_FILETYPE_PEM) != 1) return unusable("--tls-key", options.key);
  if (SSL_CTX_check_private_key(raw) != 1) return unusable("--tls-key", options.key);
  if (!options.client_ca.empty()) {
    STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(options.client_ca.c_str());
    if (names == nullptr || SSL_CTX_load_verify_locations(raw, options.client_ca.c_str(), nullptr) != 1) {
      return unusable("--tls-client-ca", options.client_ca);
    }
    SSL_CTX_set_client_CA_list(raw, names);
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

}  // namespace

Result<std::unique_ptr<Tls>> Tls::Load(TlsOptions options) {
  std::unique_ptr<Tls> tls(new Tls(std::move(options)));
  KAPPA_RETURN_IF_ERROR(tls->Reload());
  return tls;
}

Status Tls::Reload() {
  KAPPA_ASSIGN_OR_RETURN(std::shared_ptr<ssl_ctx_st> made, MakeContext(options_));
  const std::lock_guard lock(mutex_);
  context_ = std::move(made);
  return Status::Ok();
}

ssl_st* Tls::NewConnection() const {
  const std::lock_guard lock(mutex_);
  SSL* connection = SSL_new(context_.get());  // holds the context from here on
  KAPPA_CHECK(connection != nullptr);
  SSL_set_accept_state(connection);
  return connection;
}

std::string TlsPeerName(const ssl_st* connection) {
  X509* certificate = SSL_get0_peer_certificate(connection);
  if (certificate == nullptr) return {};
  char name[256] = "";
  const int length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  return length <= 0 ? std::string() : std::string(name, static_cast<size_t>(length));
}

std::string TlsComplaint() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  const char* reason = ERR_GET_LIB(code) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
  return reason == nullptr ? fmt::format("error {:x}", code) : reason;
}

bool LooksLikeTls(std::string_view bytes) { return bytes.size() >= 2 && bytes[0] == 0x16 && bytes[1] == 0x03; }

}  // namespace kappa::serve
