"""What the end-to-end tests share: a scratch folder, servers, checks, and a main that runs every function named test_*."""
import argparse
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import server  # noqa: E402


class Scratch:
    """A temporary folder, and servers that end with it."""

    def __init__(self, kappa):
        self.kappa = str(pathlib.Path(kappa).resolve())
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kappa-e2e-"))
        self.servers = []

    def server(self, name="data", *flags, folder=None):
        instance = server.Server(self.kappa, folder or self.folder / name, *flags)
        self.servers.append(instance)
        return instance

    def close(self):
        for instance in self.servers:
            instance.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def equal(got, wanted, what=""):
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"


def eventually(condition, what, seconds=30):
    """Waits for a condition of the server under test; a bound, not a sleep that hopes."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def main(tests):
    parser = argparse.ArgumentParser()
    parser.add_argument("--kappa", required=True)
    parser.add_argument("pattern", nargs="?", default="")
    arguments = parser.parse_args()
    passed = failed = 0
    for name, test in list(tests.items()):
        if not name.startswith("test_") or arguments.pattern not in name:
            continue
        scratch = Scratch(arguments.kappa)
        try:
            test(scratch)
            passed += 1
        except Exception:
            failed += 1
            print(f"FAILED {name}: {test.__doc__}")
            traceback.print_exc(file=sys.stdout)
            for instance in scratch.servers:
                if instance.log.exists():
                    print(instance.log.read_text()[-1500:])
        finally:
            scratch.close()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)
