// The session's time zone.
#pragma once

#include "data/time_zone.h"
#include "expr/expression.h"

namespace kappa::expr {

/// The zone named by the context; the last one is kept by each thread.
inline Result<data::TimeZone> SessionZone(const EvalContext& context) {
  thread_local std::string name = "UTC";
  thread_local data::TimeZone zone;
  if (context.text.time_zone != name) {
    KAPPA_ASSIGN_OR_RETURN(zone, data::TimeZone::Load(context.text.time_zone));
    name = context.text.time_zone;
  }
  return zone;
}

}  // namespace kappa::expr
