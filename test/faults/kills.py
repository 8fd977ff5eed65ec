"""kill -9 under load, at random moments and at named places, also while the server recovers from the kill before."""
import random
import time

import server

from faults.workload import Workload, require

PLACES = ("append_write", "write", "sync", "file_sync", "create", "rename", "dir_sync", "unlink", "truncate", "read", "open", "mkdir", "list")


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


def run(kappa, folder, rounds, environment=None, everything_every=25):
    """Kills the server `rounds` times; fails with Violation. What was done, in words."""
    environment = environment or {}
    instance = server.Server(kappa, folder / "data", "--checkpoint-interval-ms", "100")
    workload = Workload()
    at_places = nested = 0
    try:
        instance.start(**environment)
        workload.prepare(instance)
        for turn in range(rounds):
            if random.random() < 0.5:
                at_places += 1
                instance.stop()
                instance.start(wait=False, **dying(environment, 500))
                try:
                    instance.wait_serving()
                except RuntimeError:
                    pass  # struck at the start already
            if instance.process.poll() is None:
                try:
                    workload.start(instance)
                except (ConnectionError, OSError):
                    pass
                deadline = time.monotonic() + random.uniform(0.02, 0.4)
                while instance.process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.005)
            instance.kill()
            workload.end()
            nested += recover(instance, environment)
            instance.start(**environment)
            workload.recheck(instance)
            if turn % everything_every == everything_every - 1 or turn == rounds - 1:
                workload.check(instance.endpoints["kafka"], everything=True)
                workload.check_views(instance)
        instance.stop()
        code, out, err = instance.run("topic", "verify", "--offline", check=False)
        require(code == 0, f"kappa topic verify --offline: {out}{err}")
    finally:
        instance.kill()
    return f"{rounds} kills ({at_places} at named places) and {nested} during recovery, {sum(workload.acknowledged())} batches"
