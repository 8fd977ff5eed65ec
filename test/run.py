#!/usr/bin/env python3
"""Runs every suite of the tests and sums up. A suite is a program that ends with 0 when it passed.

usage: run.py --build FOLDER [PATTERN]      only suites whose name matches the regular expression
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def suites(build):
    kappa = str(build / "kappa")
    yield "layers", [sys.executable, "tools/check_layers.py"]
    yield "layers-self-test", [sys.executable, "tools/check_layers.py", "--self-test"]
    for program in sorted(build.glob("src/*_test")):
        yield f"unit-{program.name}", [str(program), "--gtest_brief=1"]
    yield "fuzz-corpus", [sys.executable, "test/fuzz_corpus.py", "--build", str(build)]
    yield "sim", [str(build / "src/simulate"), "--seeds", "200"]
    yield "sim-mutants", [sys.executable, "test/sim_mutants.py", "--simulate", str(build / "src/simulate")]
    yield "slt", [sys.executable, "test/slt.py", "--kappa", kappa, "--config", "all"]
    yield "oracle", [sys.executable, "test/oracle.py", "--kappa", kappa]
    yield "fuzz-sql", [sys.executable, "test/fuzz_sql.py", "--kappa", kappa, "--cases", "2000"]
    for script in sorted((ROOT / "test/e2e").glob("test_*.py")):
        yield f"e2e-{script.stem}", [sys.executable, str(script), "--kappa", kappa]
    yield "nexmark", [sys.executable, "test/nexmark.py", "--kappa", kappa, "--quick"]
    yield "crash", [sys.executable, "test/crash.py", "--kappa", kappa]
    yield "demo", [sys.executable, "examples/commits/demo.py", "--kappa", kappa]


def main():
    parser = argparse.ArgumentParser(description="Runs every suite of the tests.")
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("pattern", nargs="?", default="")
    arguments = parser.parse_args()
    passed, failed = [], []
    os.chdir(ROOT)
    for name, command in suites(arguments.build.resolve()):
        if not re.search(arguments.pattern, name):
            continue
        begin = time.monotonic()
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        ok = result.returncode == 0
        (passed if ok else failed).append(name)
        last = (result.stdout.strip().splitlines() or [""])[-1]
        print(f"{'ok    ' if ok else 'FAILED'} {name:<28} {time.monotonic() - begin:6.1f} s  {last[:100]}", flush=True)
        if not ok:
            print("\n".join("    " + line for line in result.stdout.splitlines()[-60:]), flush=True)
    if not passed and not failed:
        print(f"no suite matches {arguments.pattern!r}", file=sys.stderr)
        sys.exit(2)
    if failed:
        print("failed: " + ", ".join(failed))
    print(f"{len(passed)} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
