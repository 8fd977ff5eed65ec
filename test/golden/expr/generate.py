#!/usr/bin/env python3
"""Fills in the expected column of the golden files: EXPRESSION <tab> what PostgreSQL 15 answers.

usage: generate.py FILE.tsv ..      (psql's environment variables choose the server: PGHOST, PGPORT, PGUSER)

Answers are psql's unaligned text with newlines as \\n; NULL is "NULL"; an error is "!" and its SQLSTATE. The server's
database should have the collation C and the time zone UTC. Lines that start with # are comments.
"""
import subprocess
import sys

MARK = "@@@next@@@"


def main():
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        expressions = [line.split("\t")[0] for line in lines]
        script = ["\\set VERBOSITY sqlstate", "\\pset null NULL", "SET timezone = 'UTC';", "SET bytea_output = 'hex';", f"\\echo {MARK}"]
        for expression in expressions:
            if expression and not expression.startswith("#"):
                script.append("SELECT " + expression + "\n;")
            script.append(f"\\echo {MARK}")
        run = subprocess.run(["psql", "-X", "-q", "-At"], input="\n".join(script) + "\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             check=True, text=True, encoding="utf-8")
        answers = run.stdout.split(MARK + "\n")[1:]
        with open(path, "w", encoding="utf-8") as file:
            for line, expression, answer in zip(lines, expressions, answers):
                if not expression or expression.startswith("#"):
                    file.write(line + "\n")
                    continue
                answer = answer.removesuffix("\n")
                if answer.startswith("ERROR:"):
                    answer = "!" + answer.split()[1]
                file.write(expression + "\t" + answer.replace("\\", "\\\\").replace("\n", "\\n") + "\n")


if __name__ == "__main__":
    main()
