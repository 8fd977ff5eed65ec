"""kill -9 under load, at random moments and at named places, also while the server recovers from the kill before."""
import random
import shutil
import time

import server

from faults.workload import Workload, require

PLACES = ("append_write", "write", "sync", "file_sync", "create", "rename", "dir_sync", "unlink", "truncate", "read", "open", "mkdir", "list")
KILLS_PER_SERVER = 25


def dying(environment, passings):
    """The environment of a server that dies at a named place of io, at one of its first passings, more often an early one."""
    failpoint = f"{random.choice(PLACES)}:{int(passings ** random.random())}:abort"
    return {**environment, "KAPPA_FAILPOINT": ",".join(filter(None, (environment.get("KAPPA_FAILPOINT"), failpoint)))}


def recover(instance, environment):
    """Starts the server, killing it up to four times meanwhile. How many kills."""
    nested = 0
    while random.random() < 0.35 and nested < 4:
        nested += 1
        instance.start(wait=False, **(dying(environment, 40) if random.random() < 0.5 else environment))
        deadline = time.monotonic() + random.uniform(0.0, 0.12)
        while instance.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        instance.kill()
    return nested


class Rig:
    """A server, its load, and how often it was struck."""

    def __init__(self, kappa, folder, environment):
        self.environment = environment
        self.instance = server.Server(kappa, folder / "data", "--checkpoint-interval-ms", "100")
        self.workload = Workload()
        self.at_places = self.nested = 0
        self.instance.start(**environment)
        self.workload.prepare(self.instance)

    def strike(self):
        """Load, a kill, perhaps more while the server recovers, and what must be there then."""
        if random.random() < 0.5:
            self.at_places += 1
            self.instance.stop()
            self.instance.start(wait=False, **dying(self.environment, 500))
            try:
                self.instance.wait_serving()
            except RuntimeError:
                pass  # struck at the start already
        if self.instance.process.poll() is None:
            try:
                self.workload.start(self.instance)
            except (ConnectionError, OSError):
                pass
            deadline = time.monotonic() + random.uniform(0.02, 0.4)
            while self.instance.process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
        self.instance.kill()
        self.workload.end()
        self.nested += recover(self.instance, self.environment)
        self.instance.start(**self.environment)
        self.workload.recheck(self.instance)

    def check_whole(self):
        self.workload.check(self.instance.endpoints["kafka"], everything=True)
        self.workload.check_views(self.instance)
        self.instance.stop()
        code, out, err = self.instance.run("topic", "verify", "--offline", check=False)
        require(code == 0, f"kappa topic verify --offline: {out}{err}")


def run(kappa, folder, kills, environment=None):
    """Kills the server `kills` times; fails with Violation. What was done, in words."""
    done = at_places = nested = batches = 0
    while done < kills:
        rig = Rig(kappa, folder, environment or {})
        try:
            for _ in range(min(KILLS_PER_SERVER, kills - done)):
                rig.strike()
                done += 1
            rig.check_whole()
        finally:
            rig.instance.kill()
            shutil.rmtree(folder / "data")
        at_places, nested, batches = at_places + rig.at_places, nested + rig.nested, batches + sum(rig.workload.acknowledged())
    return f"{kills} kills ({at_places} at named places) and {nested} during recovery, {batches} batches"
