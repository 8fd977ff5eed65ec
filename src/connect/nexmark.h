// The Nexmark benchmark's events: people, auctions and bids of an auction site, as JSON lines. The model is the public one
// (of 50 consecutive events 1 is a person, 3 are auctions, 46 are bids; half of the bids go to the hot auction, three
// quarters come from the hot bidder); random numbers, strings and prices are made with integers alone, so that the same
// options give the same bytes on every machine and published answers hold.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"

namespace kappa::connect {

struct NexmarkOptions {
  int64_t events = 1'000'000;
  int64_t first_event = 0;      // event n depends on n and the options alone, so folders can be parts
  uint64_t seed = 1;
  int64_t rate = 10'000;        // events per second of event time; event 0 is at 2015-07-15 23:50 UTC
  int64_t out_of_order_ms = 0;  // event times lie up to so much behind
  int parts = 1;                // files of each kind; groups of 50 events go round
  int64_t side_rows = 10'000;   // rows of side_input.csv
};

/// Writes person, auction and bid (.jsonl, or -0.jsonl, -1.jsonl .. when there are parts) and side_input.csv into `folder`.
/// Fails with invalid_parameter_value, disk_full, io_error.
Status GenerateNexmark(const std::string& folder, const NexmarkOptions& options, const std::function<void(int64_t)>& progress = {});

}  // namespace kappa::connect
