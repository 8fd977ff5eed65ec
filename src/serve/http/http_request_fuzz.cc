// Any bytes over an HTTP connection: requests, or an error with a status of its own, never a crash; paths are clean.
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "serve/http/request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kappa::serve;
  (void)http::PercentDecode({reinterpret_cast<const char*>(data), size}, size % 2 == 0);
  int ends[2];
  KAPPA_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const ssize_t sent = send(ends[0], data, std::min<size_t>(size, 64 << 10), MSG_DONTWAIT | MSG_NOSIGNAL);
  KAPPA_CHECK(sent >= 0 || size == 0);
  shutdown(ends[0], SHUT_WR);
  {
    Socket socket(ends[1]);
    static const HttpServerOptions options;
    http::RequestReader reader(socket, options);
    int status = 0;
    while (auto request = reader.Next(status)) {
      if (!request->ok()) {
        KAPPA_CHECK(status >= 400 && status < 600);
        break;
      }
      KAPPA_CHECK((*request)->path.starts_with('/') && (*request)->path.find('\0') == std::string::npos);
    }
  }
  close(ends[0]);
  return 0;
}
