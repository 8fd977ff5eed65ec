// SCRAM-SHA-256 in PostgreSQL's messages, between the startup packet and AuthenticationOk.
#pragma once

#include <cstdint>
#include <string_view>

#include "auth/users.h"
#include "serve/pg/frame_reader.h"
#include "serve/pg/result_sender.h"

namespace kappa::serve::pg {

/// Lets the client prove that it is `user`. Fails with invalid_password, with the same words when there is no such user; with protocol_violation
/// for messages out of form; with connection_failure when they do not come within the time.
Status Authenticate(FrameReader& reader, ResultSender& sender, auth::Users& users, std::string_view user, int64_t timeout_us);

}  // namespace kappa::serve::pg
