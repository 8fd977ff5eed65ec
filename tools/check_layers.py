#!/usr/bin/env python3
"""Checks that the tree is what docs/architecture.md says it is. Prints "file:line: message" for every finding.

- every #include of a layer's file is allowed by that layer's kappa_layer(.. USES ..) line in src/CMakeLists.txt;
- the layer order has no cycle, and the table in docs/architecture.md is the same;
- every layer has a README.md of at most 40 lines; every header begins with a comment (and every source without one); no file is a "util" or larger than the bound.

usage: check_layers.py [--self-test]
"""
import pathlib
import re
import sys
import tempfile

LAYER = re.compile(r"^kappa_layer\((\w+)\s+USES\s*([\w ]*?)(?:\s+LINKS\b.*)?\)\s*$")
INCLUDE = re.compile(r'^\s*#include "(\w+)/')
VAGUE = re.compile(r"(^|_)(utils?|helpers?|common|managers?|misc)(_|\.|$)")
LINES_MAX = 1000
README_LINES_MAX = 40


def read_layers(root):
    layers = {}
    for line in (root / "src/CMakeLists.txt").read_text().splitlines():
        if match := LAYER.match(line):
            layers[match[1]] = match[2].split()
    return layers


def check(root):
    findings = []
    layers = read_layers(root)
    if not layers:
        return ["src/CMakeLists.txt:1: no kappa_layer lines"]
    seen = set()
    for name, uses in layers.items():
        for use in uses:
            if use not in seen:
                findings.append(f"src/CMakeLists.txt:1: layer {name} uses {use}, which is not below it")
        seen.add(name)
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        relative = path.relative_to(root)
        parts = path.relative_to(root / "src").parts
        lines = path.read_text().splitlines()
        own_header = f'#include "{path.relative_to(root / "src").with_suffix(".h")}"'
        if not lines or not (lines[0].startswith("//") or lines[0] == own_header):  # the header says it for its source
            findings.append(f"{relative}:1: the first line must say what the file is for")
        if VAGUE.search(path.name):
            findings.append(f"{relative}:1: the name says nothing; name the file after its concept")
        if len(lines) > LINES_MAX:
            findings.append(f"{relative}:{len(lines)}: longer than {LINES_MAX} lines; split it by concept")
        if len(parts) < 2:
            continue
        layer = parts[0]
        if layer not in layers:
            findings.append(f"{relative}:1: folder {layer} is not a layer of src/CMakeLists.txt")
            continue
        allowed = {layer, *layers[layer]}
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if match and match[1] in layers and match[1] not in allowed:
                findings.append(f"{relative}:{number}: layer {layer} may not include {match[1]}/")
    for name in layers:
        readme = root / "src" / name / "README.md"
        if not readme.exists():
            findings.append(f"src/{name}/README.md:1: missing")
        elif len(readme.read_text().splitlines()) > README_LINES_MAX:
            findings.append(f"src/{name}/README.md:{README_LINES_MAX + 1}: longer than {README_LINES_MAX} lines")
    architecture = root / "docs/architecture.md"
    if architecture.exists():
        table = dict(re.findall(r"^\| `src/(\w+)` \|.*\| ([\w, ]*|-) \|$", architecture.read_text(), re.M))
        for name, uses in layers.items():
            told = [word.strip() for word in table.get(name, "?").replace("-", "").split(",") if word.strip()]
            if told != uses:
                findings.append(f"docs/architecture.md:1: layer {name} uses {', '.join(uses) or '-'}, the table says {table.get(name, 'nothing')}")
    else:
        findings.append("docs/architecture.md:1: missing")
    return findings


def self_test():
    """A tree with one fault of each kind must give one finding of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name in ("low", "high"):
            (root / "src" / name).mkdir(parents=True)
            (root / "src" / name / "README.md").write_text("# x\n")
        (root / "docs").mkdir()
        (root / "docs/architecture.md").write_text("| `src/low` | x | - |\n| `src/high` | x | low |\n")
        (root / "src/CMakeLists.txt").write_text("kappa_layer(low USES)\nkappa_layer(high USES low)\n")
        (root / "src/low/good.h").write_text("// Good.\n")
        (root / "src/high/good.cc").write_text('// Good.\n#include "low/good.h"\n')
        assert check(root) == [], check(root)
        (root / "src/low/bad.cc").write_text('// Bad.\n#include "high/good.h"\n')
        assert any("may not include high" in finding for finding in check(root))
        (root / "src/low/string_utils.h").write_text("#pragma once\n")
        found = check(root)
        assert any("name says nothing" in finding for finding in found) and any("first line" in finding for finding in found)
        (root / "docs/architecture.md").write_text("| `src/low` | x | high |\n")
        assert any("the table says" in finding for finding in check(root))
    print("check_layers: self-test passed")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    findings = check(pathlib.Path(__file__).resolve().parent.parent)
    print("\n".join(findings) if findings else "layers: all includes, names and documents agree")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
