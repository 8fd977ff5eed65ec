#!/usr/bin/env python3
"""Runs every fuzzer of the build over the inputs that are kept for it in test/corpus/NAME: one for each kind of thing it decodes, and each that ever failed.

usage: fuzz_corpus.py --build FOLDER
"""
import argparse
import pathlib
import subprocess
import sys

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def main():
    parser = argparse.ArgumentParser(description="Runs the fuzzers over the inputs that are kept.")
    parser.add_argument("--build", required=True, type=pathlib.Path)
    programs = sorted((parser.parse_args().build / "src").glob("*_fuzz"))
    inputs, failed = 0, []
    for program in programs:
        files = sorted(map(str, (CORPUS / program.name).glob("*")))
        result = subprocess.run([program, *files], capture_output=True, text=True, errors="replace")
        inputs += len(files)
        if result.returncode != 0 or not files:
            failed.append(program.name)
            print(f"{program.name}: " + ("\n".join(result.stderr.splitlines()[-20:]) if files else "has no inputs in test/corpus"))
    print(f"{inputs} inputs of {len(programs)} fuzzers" + (", failed: " + ", ".join(failed) if failed else ""))
    sys.exit(1 if failed or not programs else 0)


if __name__ == "__main__":
    main()
