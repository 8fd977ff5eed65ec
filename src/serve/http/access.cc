#include "serve/http/access.h"

#include <algorithm>
#include <cctype>

namespace kappa::serve::http {
namespace {
Error Refused(std::string message, std::string hint) { return Error("42501", std::move(message)).Hint(std::move(hint)); }
}  // namespace

std::string HostOnly(std::string_view host) {
  if (host.starts_with('[')) {
    host = host.substr(1, std::min(host.find(']'), host.size()) - 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  std::string out(host);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

Status CheckHost(const Request& request, std::string_view listen_host, const std::vector<std::string>& hosts) {
  const std::string host = HostOnly(request.host);
  if (!host.empty() && (IsLoopbackHost(host) || host == listen_host)) return {};
  if (std::any_of(hosts.begin(), hosts.end(), [&](const std::string& each) { return HostOnly(each) == host; })) return {};
  return Refused("host \"" + host + "\" is not served here", "Use the address that the server listens on, for example http://127.0.0.1.");
}

Status CheckOrigin(const Request& request) {
  if (!request.fetch_site.empty() && request.fetch_site != "same-origin" && request.fetch_site != "none") {
    return Refused("request from another site", "Send it from the console, or from a program that is not a web page.");
  }
  if (request.origin.empty()) return {};
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (request.origin.starts_with(scheme) && std::string_view(request.origin).substr(scheme.size()) == request.host) return {};
  }
  return Refused("origin \"" + request.origin + "\" is not this server", "Send it from the console, or from a program that is not a web page.");
}

}  // namespace kappa::serve::http
