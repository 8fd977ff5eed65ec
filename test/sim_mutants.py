#!/usr/bin/env python3
"""Whether the simulation can fail: one rule after the other is taken out of the program, and each time some seed must bring it to light.

usage: sim_mutants.py --simulate PROGRAM [--seeds N] [RULE..]
"""
import argparse
import re
import subprocess
import sys

# Rules, by the names that src/io/failpoint.h knows (Failpoint or Without), and what follows without them.
RULES = {
    "sync": "records are acknowledged without fsync",
    "file_sync": "new files are not fsynced",
    "dir_sync": "folders are not fsynced",
    "early_ack": "appends are acknowledged before the fsync",
    "read_durable": "records are visible before they are durable",
    "sync_failure_ends": "the process goes on after a failed fsync",
    "tail_rewrite": "after a crash the tail is not written again: pages of a failed fsync count as clean",
    "tail_sync": "after a crash the tail is served before it is fsynced",
    "tail_checksum": "after a crash torn batches are taken for whole ones",
    "names_sync": "after a crash names are built upon that are not durable",
    "mark": "the durable end is not recorded: damage looks like a torn write",
    "read_checksum": "reads give damaged batches",
    "roll_sync": "a segment begins before the one before it is durable",
    "log_start": "files are deleted before the new start of the log is recorded",
    "covered": "segments that a compacted one covers stay after a crash",
    "dedupe": "batches that come twice are stored twice",
    "duplicate_offset": "batches that come twice are answered with another offset",
    "producers_replay": "after a crash the last batches of producers are not read from the log",
    "refused": "a batch behind a refused one is taken",
    "producer_ids": "which producer ids were given is not recorded",
    "clock_leap": "records are deleted though the clock leapt",
    "state_durable": "coordinators answer before their records are durable",
    "decision_durable": "a transaction's decision is carried out before it is durable",
    "decision_repeated": "a decision is not carried out again after a crash",
    "ends_durable": "a commit is answered before its markers are durable",
    "transaction_begun": "batches are taken of transactions that are over, and of producers that were replaced",
    "offsets_dropped": "the offsets of aborted transactions count",
    "offsets_fenced": "offsets are taken of producers that were replaced",
}


def caught_at(simulate, rule, seeds):
    """The seed and the words that betray a program without the rule; None when it passes."""
    command = [simulate, "--seeds", str(seeds), "--failpoints", f"{rule}:1+:skip", "--expect-violation"]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace")
    found = re.search(r"seed (\d+), digest \w+: (.*)", result.stdout)
    return found.groups() if result.returncode == 0 and found else None


def main():
    parser = argparse.ArgumentParser(description="Takes rules out of the program; the simulation must notice each.")
    parser.add_argument("--simulate", required=True)
    parser.add_argument("--seeds", type=int, default=1000, help="to try for each rule, until one betrays it")
    parser.add_argument("rules", nargs="*", default=RULES)
    arguments = parser.parse_args()
    passed = []
    for rule in arguments.rules:
        caught = caught_at(arguments.simulate, rule, arguments.seeds)
        print(f"{rule:<20} {RULES[rule]}: " + (f"caught at seed {caught[0]}: {caught[1]}" if caught else "NOT CAUGHT"), flush=True)
        if not caught:
            passed.append(rule)
    caught = len(arguments.rules) - len(passed)
    print(f"{caught} broken programs caught" + (", not caught: " + ", ".join(passed) if passed else ""))
    sys.exit(1 if passed else 0)


if __name__ == "__main__":
    main()
