// Who may ask: defends a server on loopback against web pages in the same user's browser.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serve/http/request.h"

namespace kappa::serve::http {

/// Fails with a message for 403. `Host` must be loopback, the host that the server listens on, or one of `hosts`: a page of
/// another site whose name was rebound to 127.0.0.1 is refused by this.
Status CheckHost(const Request& request, std::string_view listen_host, const std::vector<std::string>& hosts);
/// For requests that change something: an `Origin` must be the server's own, and a browser must not say that the request
/// comes from another site.
Status CheckOrigin(const Request& request);
/// The host of "host:port", "[::1]:port" or "host", without brackets, in lower case.
std::string HostOnly(std::string_view host);

}  // namespace kappa::serve::http
