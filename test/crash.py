#!/usr/bin/env python3
"""What must survive: kills, power cuts, damaged files, failing disks, against a real server. And whether these tests can fail at all.

Each section is a module of test/faults that says what it does; options give the number of rounds, 0 leaves a section out. The first
broken promise ends the run and names seed, section and round; with --keep the folder stays.

usage: crash.py --kappa PROGRAM [--kills N] [--cuts N] [--flips N] [--disk-errors N|all] [--view-kills N] [--compaction-kills N] [--no-mutants] [--seed N] [--keep]
"""
import argparse
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import server  # noqa: E402
from faults import compaction, damage, disk_errors, kills, mutants, power_cuts, views_under_kills  # noqa: E402
from faults.workload import Violation  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description="Kills, power cuts, damaged files and failing disks.")
    parser.add_argument("--kappa", required=True, type=os.path.abspath)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--cuts", type=int, default=30)
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--disk-errors", default="100", help='a number, or "all": every call of every kind')
    parser.add_argument("--view-kills", type=int, default=3)
    parser.add_argument("--compaction-kills", type=int, default=20)
    parser.add_argument("--no-mutants", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    disk_error_count = None if arguments.disk_errors == "all" else int(arguments.disk_errors)
    print(f"crash: seed {arguments.seed}", flush=True)

    folder = pathlib.Path(tempfile.mkdtemp(prefix="kappa-crash-", dir=server.memory_folder()))
    cannot_cut = power_cuts.why_not()
    done = []

    def section(name, module, *counts):
        random.seed(f"{arguments.seed} {name}")
        place = folder / name
        place.mkdir()
        begin = time.monotonic()
        try:
            done.append(module.run(arguments.kappa, place, *counts))
        except Violation as violation:
            sys.exit(f"crash: seed {arguments.seed}, {name}: {violation}")
        print(f"crash: {done[-1]} ({time.monotonic() - begin:.0f} s)", flush=True)
        shutil.rmtree(place)

    try:
        if arguments.kills:
            section("kills", kills, arguments.kills)
        if arguments.cuts and cannot_cut is None:
            section("cuts", power_cuts, arguments.cuts)
        if arguments.flips:
            section("flips", damage, arguments.flips)
        if disk_error_count != 0:
            section("disk-errors", disk_errors, disk_error_count)
        if arguments.view_kills:
            section("view-kills", views_under_kills, arguments.view_kills)
        if arguments.compaction_kills:
            section("compaction", compaction, arguments.compaction_kills)
        if not arguments.no_mutants:
            section("mutants", mutants, cannot_cut is None)
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    skipped = f"; POWER CUTS SKIPPED: {cannot_cut}" if arguments.cuts and cannot_cut else ""
    print(f"crash: all held{skipped}: " + "; ".join(done))


if __name__ == "__main__":
    main()
