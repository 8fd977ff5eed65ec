"""Starts and stops `kappa serve` for tests, on free ports and a data folder of its own."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pgwire


def memory_folder():
    """Where short-lived data is quickest: what a test forgets with its end needs no disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Server:
    def __init__(self, kappa, folder, *flags):
        self.kappa = str(kappa)
        self.folder = pathlib.Path(folder)
        self.flags = list(flags)
        self.kafka = "127.0.0.1:0"  # clients that outlive a restart need a port that stays
        self.process = None
        self.log = self.folder.with_suffix(".log")

    def start(self, wait=True, **environment):
        (self.folder / "endpoints.json").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [self.kappa, "serve", "--data", str(self.folder), "--pg", "127.0.0.1:0", "--kafka", self.kafka, "--http", "127.0.0.1:0", *self.flags],
            stdout=open(self.log, "a"), stderr=subprocess.STDOUT, env={**os.environ, **environment})
        if wait:
            self.wait_serving()
        return self

    def wait_serving(self, seconds=120):
        deadline = time.monotonic() + seconds
        while not (self.folder / "endpoints.json").exists():
            if self.process.poll() is not None:
                raise RuntimeError(f"kappa serve ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")
            if time.monotonic() > deadline:
                raise RuntimeError("kappa serve does not serve")
            time.sleep(0.005)

    @property
    def endpoints(self):
        return json.loads((self.folder / "endpoints.json").read_text())

    def connect(self):
        return pgwire.Connection(self.endpoints["pg"])

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                code = self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise RuntimeError("kappa serve does not stop on SIGTERM") from None
            if code != 0:
                raise RuntimeError(f"kappa serve ended with {code} on SIGTERM:\n{self.log.read_text()[-2000:]}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def run(self, *command, check=True):
        """A client command of the program against this server; (exit status, output, errors)."""
        result = subprocess.run([self.kappa, *command, "--data", str(self.folder)], capture_output=True, text=True, timeout=300)
        if check and result.returncode != 0:
            raise RuntimeError(f"kappa {' '.join(command)} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
        return result.returncode, result.stdout, result.stderr
