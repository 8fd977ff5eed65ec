"""Starts a real PostgreSQL for tests: on loopback, in a temporary folder, as an unprivileged user, gone when the test ends."""
import glob
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pgwire
import server

SETTINGS = {
    "listen_addresses": "127.0.0.1", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off", "max_connections": "40",
    "timezone": "UTC", "log_timezone": "UTC", "datestyle": "ISO, MDY", "intervalstyle": "postgres", "bytea_output": "hex", "extra_float_digits": "1",
    "temp_file_limit": "256MB", "shared_buffers": "64MB", "jit": "off", "client_min_messages": "warning", "wal_level": "minimal", "max_wal_senders": "0",
}


def binaries():
    """The folder of PostgreSQL's programs: version 15 where Debian puts it, else whatever the path has."""
    for folder in ["/usr/lib/postgresql/15/bin", *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]:
        if os.access(f"{folder}/initdb", os.X_OK):
            return pathlib.Path(folder)
    found = shutil.which("initdb")
    if found is None:
        raise RuntimeError("no PostgreSQL server is installed: ./dev setup test installs it")
    return pathlib.Path(found).parent


def end_on_sigterm():
    """A test that is told to end cleans up behind itself as on Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Postgres:
    def __init__(self):
        self.process = None
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="kappa-postgres-", dir=server.memory_folder()))
        self.user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        self.as_user = {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []} if os.getuid() == 0 else {}

    def start(self):
        if self.as_user:
            shutil.chown(self.root, self.user)
        programs = binaries()
        # Texts sort by bytes, letters have the cases of Unicode: what kappa promises.
        subprocess.run([programs / "initdb", "-D", self.root / "data", "-U", "postgres", "-A", "trust", "--locale=C.UTF-8", "--encoding=UTF8", "-N"],
                       cwd="/", check=True, stdout=subprocess.DEVNULL, **self.as_user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        settings = [flag for name, value in SETTINGS.items() for flag in ("-c", f"{name}={value}")]
        self.log = open(self.root / "log", "w")
        self.process = subprocess.Popen([programs / "postgres", "-D", self.root / "data", "-p", str(self.port), "-k", str(self.root), *settings],
                                        cwd="/", stdout=self.log, stderr=self.log, **self.as_user)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connect().close()
                return self
            except (OSError, pgwire.ServerError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("PostgreSQL does not start:\n" + (self.root / "log").read_text()[-2000:]) from None
                time.sleep(0.02)

    def connect(self):
        return pgwire.Connection(f"127.0.0.1:{self.port}", user="postgres", database="postgres")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # fast shutdown
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process:
            self.log.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()
