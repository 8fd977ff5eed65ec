"""Failing disks: EIO, and a full disk, at the nth call of each kind of file operation, for all n until the work needs no more.

After a failed sync of records the process must end at once, and have acknowledged nothing that a restart does not find. After any
other fault it may refuse what it was asked, with an error after which producers try again, or end; never may it answer wrongly.
Then the disk is well again: the server must start, have every acknowledged record and take new ones.
"""
import random
import shutil
import subprocess

import pgwire
import server

from faults.workload import Refused, Violation, Workload, require

PLACES = ("append_write", "write", "read", "sync", "file_sync", "open", "create", "rename", "unlink", "dir_sync", "truncate", "mkdir", "list", "size")
ACTIONS = ("error", "enospc")
BATCHES, SEGMENT_BYTES = 30, 16 << 10


def work(instance, workload, failpoint):
    """A server's life under the fault. Why it did not do all that it was asked; None when it did."""
    try:
        instance.start(KAPPA_FAILPOINT=failpoint)
        workload.prepare(instance, SEGMENT_BYTES)
        workload.start(instance, batches=BATCHES, retry=True)
        workload.finish()
        workload.check_views(instance)
        if min(workload.acknowledged()) < BATCHES:
            return "it ended"
        instance.stop()
    except (RuntimeError, ConnectionError, OSError, pgwire.ServerError, Refused) as reason:
        return str(reason)
    return None


def strike(kappa, folder, failpoint):
    """One fault: whether it came to it, and whether the process ended by itself. Fails with Violation."""
    instance = server.Server(kappa, folder / "data", "--checkpoint-interval-ms", "50")
    workload = Workload()
    try:
        unfinished = work(instance, workload, failpoint)
        struck = "strikes at passing" in instance.log.read_text()
        require(struck or unfinished is None, f"nothing failed, but: {unfinished}")
        if failpoint.startswith("sync:") and struck:
            try:
                instance.process.wait(2)
            except subprocess.TimeoutExpired:
                raise Violation("the server goes on after a failed sync") from None
            require(instance.process.returncode != 0, "the server ended as if nothing had been after a failed sync")
        ended = instance.process.poll() is not None
        instance.kill()
        workload.end_quietly()
        recover(instance, workload)
        return struck, ended and unfinished is not None
    finally:
        instance.kill()
        shutil.rmtree(folder / "data", ignore_errors=True)
        instance.log.unlink(missing_ok=True)


def recover(instance, workload):
    """On a disk that is well again."""
    instance.start()
    connection = instance.connect()
    states = [row[0] for row in connection.rows("SELECT state FROM kappa.versions")]
    connection.close()
    if states:
        workload.recheck(instance)
        require("failed" not in states, "a version has failed for good, of an error that passed")
        workload.check_views(instance)
    else:
        require(not any(workload.acknowledged()), "records were acknowledged, but the view is gone")
    instance.stop()


def run(kappa, folder, count=None):
    """Every place at every n, or `count` of them by chance; fails with Violation. What was done, in words."""
    struck = ended = tried = 0
    for place in PLACES:
        for action in ACTIONS:
            if place == "sync" and action == "enospc":
                continue  # alike: any failure of a sync ends the process
            nth, misses = 0, 0
            share = None if count is None else max(1, count // (len(PLACES) * len(ACTIONS)))
            while misses == 0 if share is None else share > 0:
                nth = nth + 1 if share is None else int(2 ** random.uniform(0, 7))
                share = None if share is None else share - 1
                failpoint = f"{place}:{nth}:{action}"
                try:
                    hit, end = strike(kappa, folder, failpoint)
                except (Violation, RuntimeError, pgwire.ServerError) as error:
                    raise Violation(f"{failpoint}: {error}") from error
                tried, struck, ended, misses = tried + 1, struck + hit, ended + end, misses + (not hit)
    return f"{struck} disk errors, {ended} of them ended the process"
