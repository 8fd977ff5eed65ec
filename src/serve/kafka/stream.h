// ClientStream: the bytes of one connection, plain or under TLS, for asio's algorithms.
#pragma once

#ifdef __SANITIZE_THREAD__
#define BOOST_ASIO_DISABLE_FENCED_BLOCK  // the sanitizer knows no fences; the scheduler's mutexes order everything anyway
#endif
#include <sys/socket.h>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>

#include <optional>
#include <utility>

#include "serve/net/tls.h"

namespace kappa::serve::kafka {

class ClientStream {
 public:
  using executor_type = boost::asio::ip::tcp::socket::executor_type;
  using Secured = boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>;

  /// `tls` may be null.
  ClientStream(boost::asio::ip::tcp::socket socket, const Tls* tls) : socket_(std::move(socket)) {
    if (tls != nullptr) secured_.emplace(socket_, tls->NewConnection());
  }
  ClientStream(const ClientStream&) = delete;

  executor_type get_executor() { return socket_.get_executor(); }
  boost::asio::ip::tcp::socket& socket() { return socket_; }
  /// Null on a plain connection.
  Secured* secured() { return secured_ ? &*secured_ : nullptr; }

  template <class Buffers, class Handler> void async_read_some(const Buffers& buffers, Handler&& handler) {
    if (secured_) return secured_->async_read_some(buffers, std::forward<Handler>(handler));
    socket_.async_read_some(buffers, std::forward<Handler>(handler));
  }
  template <class Buffers, class Handler> void async_write_some(const Buffers& buffers, Handler&& handler) {
    if (secured_) return secured_->async_write_some(buffers, std::forward<Handler>(handler));
    socket_.async_write_some(buffers, std::forward<Handler>(handler));
  }
  /// `say_goodbye`: nothing is being written, so that the peer can be told that this end is no cut.
  void Close(bool say_goodbye) {
    boost::system::error_code error;
    if (secured_ && say_goodbye && SSL_is_init_finished(secured_->native_handle())) {
      SSL* tls = secured_->native_handle();
      BIO* goodbye = BIO_new(BIO_s_mem());
      SSL_set0_wbio(tls, goodbye);  // past asio's buffers, which are empty
      SSL_shutdown(tls);
      char* bytes = nullptr;
      const long count = BIO_get_mem_data(goodbye, &bytes);
      [[maybe_unused]] const ssize_t sent = ::send(socket_.native_handle(), bytes, static_cast<size_t>(count), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_both, error);
    socket_.close(error);
  }

 private:
  boost::asio::ip::tcp::socket socket_;
  std::optional<Secured> secured_;
};

}  // namespace kappa::serve::kafka
