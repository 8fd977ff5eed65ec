"""Whether the tests can fail: the program is made to break its promises, and each time some fault must bring it to light."""
from faults import kills, power_cuts
from faults.workload import Violation

TRIES = 40
# What is broken (failpoints: src/io/failpoint.h), and what must notice.
CUTS = {
    "no fsync of records": "sync:1+:skip",
    "no fsync of new files and folders": "file_sync:1+:skip,dir_sync:1+:skip",
    "acknowledged before the fsync": "early_ack:1+:skip,sync:1+:delay",
}
KILLS = {"no duplicates recognised": "dedupe:1+:skip"}


def run(kappa, folder, may_cut):
    """Fails with Violation when a broken program passes. What was done, in words."""
    caught = 0
    for section, mutants in ((power_cuts, CUTS if may_cut else {}), (kills, KILLS)):
        for name, failpoints in mutants.items():
            place = folder / f"mutant{caught}"
            place.mkdir()
            try:
                section.run(kappa, place, TRIES, {"KAPPA_FAILPOINT": failpoints})
            except Violation:
                caught += 1
            else:
                raise Violation(f"a program with {name} passed {TRIES} rounds of {section.__name__}")
    return f"{caught} broken programs caught"
