"""Power cuts: the data folder lies on an ext4 file system in an image file; the image is copied while the server works. What the
file system had not written yet is not in the copy, as if the power had failed at that moment. The copy is mounted (ext4 recovers
its journal) and served by a second server: every record that was acknowledged before the cut must be there, in order, once, and every transaction
is there whole or not at all.
"""
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time

import pgwire
import server

from faults.transactions import Transactions
from faults.workload import Workload, require

IMAGE_BYTES = 96 << 20
CUTS_PER_IMAGE = 10


class CannotMount(Exception):
    """This machine does not let us mount image files."""


def call(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise CannotMount(f"{' '.join(map(str, command))}: {result.stderr.strip() or result.stdout.strip()}")


class Image:
    """An image file and the folder where it is mounted."""

    def __init__(self, path):
        self.path, self.folder = path, path.with_suffix(".mounted")
        self.mounted = False

    def format(self):
        with open(self.path, "wb") as file:
            file.truncate(IMAGE_BYTES)
        call("mkfs.ext4", "-q", "-F", "-m", "0", self.path)

    def mount(self):
        """The file system writes by itself only after ten minutes: in between, what is in the image was synced."""
        self.folder.mkdir(exist_ok=True)
        call("mount", "-o", "loop,commit=600", self.path, self.folder)
        self.mounted = True

    def unmount(self):
        if not self.mounted:
            return
        for _ in range(50):
            if subprocess.run(["umount", self.folder], capture_output=True).returncode == 0:
                self.mounted = False
                return
            time.sleep(0.02)
        subprocess.run(["umount", "--lazy", self.folder], capture_output=True)
        self.mounted = False

    def remove(self):
        self.unmount()
        self.path.unlink(missing_ok=True)


def why_not():
    """Why images cannot be mounted here; None when they can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    for program in ("mkfs.ext4", "mount", "umount"):
        if shutil.which(program) is None:
            return f"{program} is missing"
    image = Image(pathlib.Path(server.memory_folder() or "/tmp") / f"kappa-power-probe-{os.getpid()}.img")
    try:
        image.format()
        image.mount()
    except CannotMount as error:
        return str(error)
    finally:
        image.remove()
        if image.folder.exists():
            image.folder.rmdir()
    return None


def pause(process):
    """Stops the server and waits until all of its threads stand still."""
    process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        states = [task.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0] for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()]
        if all(state == "T" for state in states):
            return
        time.sleep(0.001)
    raise RuntimeError("the server does not stop")


def copy_whole(source, target):
    """Copies until nothing was written to the image meanwhile: a copy that is smeared over time is no power cut."""
    for _ in range(20):
        subprocess.run(["cp", "--sparse=always", source, target], check=True)
        if subprocess.run(["cmp", "-s", source, target]).returncode == 0:
            return
    raise RuntimeError("the image changes all the time")


class Rig:
    """A server on an image, its load, and room for the copy."""

    def __init__(self, kappa, folder, environment):
        self.kappa, self.environment = kappa, environment
        self.live, self.copy = Image(folder / "live.img"), Image(folder / "copy.img")
        self.live.format()
        self.live.mount()
        self.instance = server.Server(kappa, self.live.folder / "data", "--checkpoint-interval-ms", "100")
        self.instance.log = folder / "live.log"
        self.survivor = server.Server(kappa, self.copy.folder / "data", "--checkpoint-interval-ms", "100")
        self.survivor.log = folder / "copy.log"
        self.workload, self.transactions = Workload(), Transactions()
        self.instance.start(**environment)
        self.workload.prepare(self.instance)
        self.transactions.prepare(self.instance)

    def cut(self):
        """One cut at a random moment of the load, some of them a moment after the load began."""
        self.workload.start(self.instance)
        self.transactions.start(self.instance)
        time.sleep(random.choice((0.0, 0.005, random.uniform(0.01, 0.25))))
        pause(self.instance.process)
        time.sleep(0.02)  # producers note the answers that the server gave before
        acknowledged, committed = self.workload.acknowledged(), self.transactions.committed()
        copy_whole(self.live.path, self.copy.path)
        self.instance.process.send_signal(signal.SIGCONT)
        self.workload.end()
        self.transactions.end()
        self.copy.mount()
        try:
            self.survivor.start()
            address = self.survivor.endpoints["kafka"]
            found = self.workload.check(address, everything=True, acknowledged=acknowledged)
            self.workload.check_duplicates(address, found)
            self.workload.check_views(self.survivor)
            self.transactions.check(self.survivor, committed)
            self.survivor.stop()
        finally:
            self.survivor.kill()
            self.copy.remove()

    def close(self):
        self.instance.kill()
        for producer in self.workload.producers + self.transactions.producers:
            producer.join(10)
        self.copy.remove()
        self.live.remove()


def run(kappa, folder, cuts, environment=None):
    """Cuts the power `cuts` times; fails with Violation. What was done, in words."""
    done = batches = transactions = 0
    while done < cuts:
        rig = Rig(kappa, folder, environment or {})
        try:
            for _ in range(min(CUTS_PER_IMAGE, cuts - done)):
                try:
                    rig.cut()
                except (RuntimeError, pgwire.ServerError) as error:  # the copy cannot be opened, or lacks the stream
                    require(False, f"after power cut {done}: {error}")
                done += 1
            batches += sum(rig.workload.acknowledged())
            transactions += sum(map(len, rig.transactions.committed()))
        finally:
            rig.close()
    return f"{cuts} power cuts, {batches} batches, {transactions} transactions committed"
