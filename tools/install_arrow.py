#!/usr/bin/env python3
"""Unpacks Apache Arrow C++ (headers, libarrow, libparquet and what they need) out of a pinned pyarrow wheel.

Debian 12 has no Arrow; the wheel carries it. The wheel is checked against its SHA-256, unpacked beside the target and
renamed into place, so that an interrupted run leaves nothing half done. Running it again does nothing.

usage: install_arrow.py FOLDER      (ARROW_WHEEL=file uses that wheel instead of downloading it)
"""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

VERSION = "26.0.1"
SHA256 = "c718bf97a92a6dea97fd1062c3b9f9e2e83cb9cc926e752289fa4ffff41738f9"
LIBRARY = re.compile(r"pyarrow/(lib(?:arrow|arrow_compute|parquet)\.so)\.\d+")


def download(into):
    # The Arrow libraries do not touch Python: any CPython tag carries the same ones.
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
                    "--implementation", "cp", "--python-version", "312", "--abi", "cp312", "--platform", "manylinux_2_28_x86_64",
                    "--dest", str(into), f"pyarrow=={VERSION}"], check=True)
    return next(pathlib.Path(into).glob("pyarrow-*.whl"))


def unpack(wheel, into):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            library = LIBRARY.fullmatch(name)
            if library:
                target = into / "lib" / pathlib.PurePosixPath(name).name
            elif name.startswith("pyarrow/include/") and "/python/" not in name and not name.endswith("/"):
                target = into / name.removeprefix("pyarrow/")
            elif re.search(r"(LICENSE|NOTICE)\.txt$", name):
                target = into / pathlib.PurePosixPath(name).name
            else:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
            if library:
                target.chmod(0o755)
                (target.parent / library[1]).symlink_to(target.name)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    hider = pathlib.Path(__file__).with_name("hide_symbols.py")
    stamp = f"{VERSION} {SHA256} {hashlib.sha256(hider.read_bytes()).hexdigest()[:16]}\n"
    marker = folder / ".stamp"
    if marker.exists() and marker.read_text() == stamp:
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        wheel = pathlib.Path(os.environ["ARROW_WHEEL"]) if os.environ.get("ARROW_WHEEL") else download(scratch)
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
            sys.exit(f"install_arrow: {wheel} is not the pinned wheel of pyarrow {VERSION}")
        fresh = pathlib.Path(scratch) / "arrow"
        unpack(wheel, fresh)
        libraries = sorted(str(path) for path in (fresh / "lib").glob("*.so.*"))
        subprocess.run([sys.executable, str(hider), *libraries], check=True, stdout=subprocess.DEVNULL)
        (fresh / ".stamp").write_text(stamp)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    print(f"arrow: {VERSION} is in {folder}")


if __name__ == "__main__":
    main()
