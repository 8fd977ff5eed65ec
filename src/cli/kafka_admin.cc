#include "cli/kafka_admin.h"

#include "cli/client.h"

namespace kappa::cli {

Result<Owned<rd_kafka_event_t>> WaitFor(rd_kafka_queue_t* queue, const std::string& what) {
  Owned<rd_kafka_event_t> event(rd_kafka_queue_poll(queue, kAdminTimeoutMs));
  if (!event) return KafkaFailure(RD_KAFKA_RESP_ERR__TIMED_OUT, what);
  if (rd_kafka_resp_err_t error = rd_kafka_event_error(event.get()); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return KafkaFailure(error, what, rd_kafka_event_error_string(event.get()));
  }
  return event;
}

int Fail(const Error& error) {
  PrintError(error);
  return 1;
}

}  // namespace kappa::cli
