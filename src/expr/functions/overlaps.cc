// OVERLAPS: whether two periods have a moment in common.
#include <fmt/format.h>

#include "data/datetime.h"
#include "expr/functions/register.h"
#include "expr/functions/session_zone.h"
#include "expr/rowwise.h"

namespace kappa::expr {
namespace {

using Time = std::optional<int64_t>;
struct Period {
  Time from, to;
};

/// The end that is there, or the earlier one, is the start.
void Order(Period& period) {
  if (!period.from) std::swap(period.from, period.to);
  else if (period.to && *period.from > *period.to) std::swap(period.from, period.to);
}

/// A period contains its start, and all up to its end; NULL where a missing end decides.
std::optional<bool> Overlap(Period a, Period b) {
  Order(a);
  Order(b);
  if (!a.from || !b.from) return std::nullopt;
  if (*a.from == *b.from) return a.to && b.to ? std::optional(true) : std::nullopt;
  if (*a.from > *b.from) std::swap(a, b);
  if (!a.to) return std::nullopt;
  if (*b.from < *a.to) return true;
  return b.to ? std::optional(false) : std::nullopt;
}

Result<Period> PeriodAt(KernelCall& call, size_t argument, int64_t row, bool zoned, bool length) {
  Period period;
  const Argument &from = call.arguments[argument], &to = call.arguments[argument + 1];
  if (!from.IsNull(row)) period.from = from.Get<int64_t>(row);
  if (to.IsNull(row)) return period;
  if (!length) {
    period.to = to.Get<int64_t>(row);
  } else if (period.from && zoned) {
    KAPPA_ASSIGN_OR_RETURN(const data::TimeZone zone, SessionZone(call.context));
    KAPPA_ASSIGN_OR_RETURN(period.to, data::AddIntervalInZone(*period.from, to.Get<data::Interval>(row), zone));
  } else if (period.from) {
    KAPPA_ASSIGN_OR_RETURN(period.to, data::AddInterval(*period.from, to.Get<data::Interval>(row)));
  }
  return period;
}

}  // namespace

void RegisterOverlaps(Registry& registry) {
  registry
      .Function("overlaps", "time, time, time, time -> bool", ByRow([](KernelCall& call, int64_t row) -> Result<std::optional<bool>> {
                  KAPPA_ASSIGN_OR_RETURN(const Period a, PeriodAt(call, 0, row, false, false));
                  KAPPA_ASSIGN_OR_RETURN(const Period b, PeriodAt(call, 2, row, false, false));
                  return Overlap(a, b);
                }),
                "whether two periods, by start and end, have a moment in common")
      .CalledOnNull();
  for (const bool zoned : {false, true}) {
    const char* time = zoned ? "timestamptz" : "timestamp";
    for (const bool first_length : {false, true}) {
      for (const bool second_length : {false, true}) {
        const Kernel kernel = ByRow([=](KernelCall& call, int64_t row) -> Result<std::optional<bool>> {
          KAPPA_ASSIGN_OR_RETURN(const Period a, PeriodAt(call, 0, row, zoned, first_length));
          KAPPA_ASSIGN_OR_RETURN(const Period b, PeriodAt(call, 2, row, zoned, second_length));
          return Overlap(a, b);
        });
        const std::string types =
            fmt::format("{0}, {1}, {0}, {2} -> bool", time, first_length ? "interval" : time, second_length ? "interval" : time);
        Signature& signature =
            registry.Function("overlaps", types, kernel, "whether two periods, by start and end or length, have a moment in common");
        signature.CalledOnNull();
        if (zoned && (first_length || second_length)) signature.Session();
      }
    }
  }
}

}  // namespace kappa::expr
