"""The log beside Apache Kafka: same disk, same client (src/serve/kafka/kafka_bench.cc), turn by turn. Part of bench.py, as `log`.

Three brokers: kappa, which acknowledges what was fdatasynced; Kafka as it comes, which acknowledges what the page cache has; Kafka told to fsync every
append. All run at the same time, so that each point is measured on all of them within seconds; those that are not measured have nothing to do.
"""
import json
import mmap
import os
import pathlib
import re
import resource
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test"))
import kafkawire  # noqa: E402
import server  # noqa: E402

PARTS = ("append", "latency", "consume", "start", "recovery", "idle", "connections")
CELLS = [(producers, partitions, size, codec) for codec in ("none", "lz4") for size in (100, 200, 1000) for producers in (1, 2) for partitions in (1, 4)]
SHORT_CELLS = ["1x1x200-none", "1x4x200-none", "2x1x200-none", "2x4x100-none", "2x4x200-none", "2x4x1000-none", "1x1x200-lz4", "2x4x200-lz4"]
KAFKA_SETTINGS = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/log
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.segment.delete.delay.ms=1000
"""


def name_of(cell):
    producers, partitions, size, codec = cell
    return f"{producers}x{partitions}x{size}-{codec}"


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) >> 10


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Kappa:
    name = "kappa"

    def __init__(self, bench, folder):
        self.server = server.Server(bench.kappa, folder)

    def start(self):
        self.server.start()
        self.address, self.pid = self.server.endpoints["kafka"], self.server.process.pid

    def kill(self):
        self.server.kill()

    def stop(self):
        self.server.stop()


class Kafka:
    """One node, broker and controller in one; Kafka's own defaults but for replication, heap of 1 GB as its start script gives."""

    def __init__(self, bench, folder, fsync):
        self.name = "kafka, fsync" if fsync else "kafka"
        self.folder, self.jars, self.process = folder, bench.kafka_jars(), None
        folder.mkdir(parents=True)
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        port, controller = (one.getsockname()[1] for one in sockets)
        for one in sockets:
            one.close()
        self.address = f"127.0.0.1:{port}"
        self.settings = folder / "server.properties"
        self.settings.write_text(KAFKA_SETTINGS.format(port=port, controller=controller, folder=folder) + ("log.flush.interval.messages=1\n" if fsync else ""))
        subprocess.run(["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{self.jars}/*", "kafka.tools.StorageTool", "format", "-t", "kappa-bench-of-log-00w", "-c",
                        str(self.settings)], check=True, stdout=subprocess.DEVNULL)

    def start(self):
        options = ["-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"]
        self.process = subprocess.Popen(["java", "-server", *options, "-cp", f"{self.jars}/*", "kafka.Kafka", str(self.settings)], cwd=self.folder,
                                        stdout=open(self.folder / "out", "a"), stderr=subprocess.STDOUT)
        self.pid = self.process.pid
        wait_for(lambda: serves(self.address), 120, "Kafka")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


def wait_for(ready, seconds, what):
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            sys.exit(f"bench: {what} is not ready after {seconds} s")
        time.sleep(0.005)


def leaders(address, topic=None):
    """Metadata version 1: the partitions of a topic that have a leader; without a topic, whether a broker answers."""
    connection = kafkawire.Connection(address)
    reader = connection.call(3, 1, struct.pack(">i", 0) if topic is None else struct.pack(">i", 1) + kafkawire.text(topic))
    brokers = reader.number("i")
    for _ in range(brokers):
        reader.number("i"), reader.text(), reader.number("i"), reader.text()
    reader.number("i")
    ready = 0
    for _ in range(reader.number("i")):
        reader.number("h"), reader.text(), reader.number("b")
        for _ in range(reader.number("i")):
            error, _, leader = reader.number("h"), reader.number("i"), reader.number("i")
            for _ in range(2):
                for _ in range(reader.number("i")):
                    reader.number("i")
            ready += error == 0 and leader >= 0
    connection.close()
    return brokers if topic is None else ready


def make_topic(address, name, partitions):
    """CreateTopics version 2: Kafka 4 has no older one."""
    connection = kafkawire.Connection(address)
    reader = connection.call(19, 2, struct.pack(">i", 1) + kafkawire.text(name) + struct.pack(">ihiiib", partitions, 1, 0, 0, 30000, 0))
    connection.close()
    throttled, topics, named, error = reader.number("i"), reader.number("i"), reader.text(), reader.number("h")
    assert (topics, named, error) == (1, name, 0), (throttled, topics, named, error)


def serves(address, topic=None, partitions=1):
    try:
        return leaders(address, topic) >= partitions
    except (OSError, struct.error):
        return False


class LogBench:
    """`options` has parts, cells, seconds, brokers, full, gigabytes."""

    def __init__(self, kappa, folder, note, options):
        self.kappa, self.folder, self.note, self.options = kappa, folder, note, options
        self.client = pathlib.Path(kappa).parent / "src/kafka_bench"
        self.topics, self.made = 0, []

    @staticmethod
    def kafka_jars():
        jars = ROOT / "build/kafka-java"
        description = ROOT / "test/clients/java/pom.xml"
        if not (jars / "ready").exists() or (jars / "ready").stat().st_mtime < description.stat().st_mtime:
            shutil.rmtree(jars, ignore_errors=True)
            subprocess.run(["mvn", "-q", "-B", "-f", str(description), "package", f"-DoutputDirectory={jars}"], check=True)
            (jars / "ready").touch()
        return jars

    def run(self):
        try:
            for part in self.options.parts:
                print(f" {part}", flush=True)
                getattr(self, part)()
        finally:
            for broker in self.made:
                broker.kill()

    # ---- brokers, topics, the client

    def brokers(self):
        every = {"kappa": lambda folder: Kappa(self, folder), "kafka": lambda folder: Kafka(self, folder, False),
                 "kafka-fsync": lambda folder: Kafka(self, folder, True)}
        made = [every[name](self.folder / f"log-{name}-{self.count()}") for name in self.options.brokers]
        self.made += made
        return made

    def running(self):
        """The brokers, started and warm: what Java has not compiled yet is nobody's figure."""
        brokers = self.brokers()
        for broker in brokers:
            broker.start()
        for broker in brokers:
            topic = self.topic(broker, 4)
            self.produce(broker, topic, partitions=4, producers=2, seconds=4, warm=0)
            self.delete(broker, topic)
        return brokers

    def stop(self, brokers):
        for broker in brokers:
            broker.stop()
            shutil.rmtree(broker.folder if isinstance(broker, Kafka) else broker.server.folder, ignore_errors=True)

    def count(self):
        self.topics += 1
        return self.topics

    def topic(self, broker, partitions):
        name = f"bench{self.count()}"
        make_topic(broker.address, name, partitions)
        wait_for(lambda: serves(broker.address, name, partitions), 20, name)
        return name

    @staticmethod
    def delete(broker, topic):
        """DeleteTopics version 1."""
        connection = kafkawire.Connection(broker.address)
        connection.call(20, 1, struct.pack(">i", 1) + kafkawire.text(topic) + struct.pack(">i", 30000))
        connection.close()
        os.sync()  # what the next point measures shall not be this one's files

    def client_run(self, broker, mode, **settings):
        """What the client printed, and the broker's CPU seconds meanwhile."""
        before = cpu_seconds(broker.pid)
        run = subprocess.run([self.client, mode, f"broker={broker.address}", *(f"{name}={value}" for name, value in settings.items())], capture_output=True, text=True,
                             timeout=600)
        if run.returncode != 0:
            self.note(f"NOT RIGHT, {broker.name}: {run.stdout}{run.stderr}".strip())
            return None
        figures = json.loads(run.stdout)
        figures["broker_cpu_seconds"] = cpu_seconds(broker.pid) - before
        return figures

    def produce(self, broker, topic, **settings):
        return self.client_run(broker, "produce", topic=topic, **settings)

    # ---- the disk alone

    def disk_mb_per_second(self, seconds=1.0):
        """Sequential writes of 1 MiB past the page cache, an fdatasync after each, to two files at a time, as the log has two sync threads."""
        written = [0, 0]

        def write(index):
            path = self.folder / f"disk-{index}"
            block = mmap.mmap(-1, 1 << 20)
            block.write(os.urandom(1 << 20))
            file = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_DIRECT, 0o600)
            os.posix_fallocate(file, 0, 256 << 20)
            os.fsync(file)
            barrier.wait()
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                os.pwrite(file, block, written[index] % (256 << 20))
                os.fdatasync(file)
                written[index] += 1 << 20
            os.close(file)
            path.unlink()

        barrier = threading.Barrier(2)
        threads = [threading.Thread(target=write, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(written) / seconds / 1e6

    def disk_sync_ms(self, seconds=2.0):
        """Times of an append of 4 KiB with its fdatasync."""
        path = self.folder / "disk"
        times = []
        with open(path, "wb", buffering=0) as file:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                begin = time.monotonic()
                file.write(b"\0" * 4096)
                os.fdatasync(file.fileno())
                times.append((time.monotonic() - begin) * 1000)
        path.unlink()
        return times

    # ---- the parts

    def append(self):
        wanted = [cell for cell in CELLS if (self.options.full or name_of(cell) in SHORT_CELLS or self.options.cells) and re.search(self.options.cells or ".", name_of(cell))]
        brokers = self.running()
        ratios = {"records": [], "cpu": []}
        self.note("producers x partitions x bytes; K records/s (MB/s), server CPU s per M records, longest stall ms")
        for cell in wanted:
            producers, partitions, size, codec = cell
            limit = self.disk_mb_per_second()
            texts, figures = [], {}
            for broker in brokers:
                topic = self.topic(broker, partitions)
                one = self.produce(broker, topic, partitions=partitions, producers=producers, bytes=size, codec=codec, seconds=self.options.seconds, warm=1)
                self.delete(broker, topic)
                if one is None:
                    continue
                cpu = one["broker_cpu_seconds"] / one["acknowledged"] * 1e6
                figures[broker.name] = one["records_per_second"], cpu
                clients = one["client_cpu_seconds"] / (self.options.seconds + 1)
                texts.append(f"{broker.name} {one['records_per_second'] / 1e3:.0f} ({one['mb_per_second']:.0f}), {cpu:.2f}, {one['longest_stall_ms']:.0f} [client {clients:.2f} cores]")
            text = ""
            if {"kappa", "kafka"} <= figures.keys():
                records, cpu = figures["kappa"][0] / figures["kafka"][0], figures["kappa"][1] / figures["kafka"][1]
                ratios["records"].append(records)
                ratios["cpu"].append(cpu)
                text = f"; kappa / kafka: {records:.2f} of records, {cpu:.2f} of CPU"
            self.note(f"{name_of(cell):>14}: {'; '.join(texts)}; disk {limit:.0f} MB/s{text}")
        if ratios["records"]:
            self.note(f"kappa / kafka without fsync: records geometric mean {statistics.geometric_mean(ratios['records']):.2f}, least {min(ratios['records']):.2f}; "
                      f"CPU geometric mean {statistics.geometric_mean(ratios['cpu']):.2f}, most {max(ratios['cpu']):.2f}")
        self.stop(brokers)

    def latency(self):
        brokers = self.running()
        self.note("200 bytes, 4 partitions, one consumer; due to acknowledged p50 / p99 / max, due to consumed p50 / p99 / max, ms")
        rates = [(10_000, 1, 0), (50_000, 1, 0), (200_000, 1, 0), ("half", 2, 5)]
        if self.options.cells:
            rates = [rate for rate in rates if re.search(self.options.cells, str(rate[0]))]
        half = 0
        if any(rate[0] == "half" for rate in rates):
            topic = self.topic(brokers[0], 4)
            half = int(self.produce(brokers[0], topic, partitions=4, producers=2, seconds=3, warm=1)["records_per_second"] / 2)
            self.delete(brokers[0], topic)
        for rate, producers, linger in rates:
            rate = half if rate == "half" else rate
            syncs = self.disk_sync_ms()
            texts = []
            for broker in brokers:
                topic = self.topic(broker, 4)
                one = self.produce(broker, topic, partitions=4, producers=producers, seconds=self.options.seconds, warm=1, rate=rate, linger=linger, consume=1)
                self.delete(broker, topic)
                if one is not None:
                    acknowledged, consumed = (" / ".join(f"{one[kind][name]:.1f}" for name in ("p50", "p99", "max")) for kind in ("ack_ms", "end_to_end_ms"))
                    texts.append(f"{broker.name} {acknowledged}, {consumed}")
            syncs += self.disk_sync_ms()
            self.note(f"{rate:>7}/s linger {linger}: {'; '.join(texts)}; disk 4 KiB write + fdatasync {quantile(syncs, 0.5):.2f} / {quantile(syncs, 0.99):.2f} / {max(syncs):.1f}")
        self.stop(brokers)

    def consume(self):
        brokers = self.running()
        self.note("one client, 4 partitions, from the beginning; K records/s (MB/s), server CPU s per M records")
        for size, codec in ((200, "none"), (1000, "none"), (200, "lz4")):
            if not re.search(self.options.cells or ".", f"{size}-{codec}"):
                continue
            texts = []
            for broker in brokers:
                topic = self.topic(broker, 4)
                self.produce(broker, topic, partitions=4, producers=2, bytes=size, codec=codec, seconds=self.options.seconds, warm=0)
                ones = [one for _ in range(3) if (one := self.client_run(broker, "consume", topic=topic, partitions=4))]
                self.delete(broker, topic)
                if ones:
                    one = sorted(ones, key=lambda one: one["records_per_second"])[len(ones) // 2]
                    cpu = statistics.median(one["broker_cpu_seconds"] / one["consumed"] * 1e6 for one in ones)
                    texts.append(f"{broker.name} {one['records_per_second'] / 1e3:.0f} ({one['mb_per_second']:.0f}), {cpu:.3f}")
            self.note(f"{size} bytes, {codec}: {'; '.join(texts)}")
        self.stop(brokers)

    def fill(self, broker, topic, gigabytes):
        """Writes so much through the wire; the bytes of records that are there."""
        done = 0
        while done < gigabytes * 1e9:
            one = self.produce(broker, topic, partitions=4, producers=2, bytes=1000, seconds=5, warm=0)
            done += one["acknowledged"] * 1000
        return done

    def restart_ms(self, broker, topic):
        """Until the broker tells leaders of all partitions."""
        begin = time.monotonic()
        broker.start()
        wait_for(lambda: serves(broker.address, topic, 4), 120, broker.name)
        return (time.monotonic() - begin) * 1000

    def start(self):
        for broker in self.brokers():
            broker.start()
            topic = self.topic(broker, 4)
            filled = self.fill(broker, topic, self.options.gigabytes)
            times = []
            for _ in range(3):
                broker.stop()
                times.append(self.restart_ms(broker, topic))
            self.note(f"{broker.name}: {statistics.median(times):.0f} ms from start to serving, {filled / 1e9:.1f} GB of log, after a clean stop; {resident_mib(broker.pid)} MiB resident")
            self.stop([broker])

    def recovery(self):
        for broker in self.brokers():
            broker.start()
            topic = self.topic(broker, 4)
            filled = self.fill(broker, topic, min(self.options.gigabytes, 2))
            one = self.produce(broker, topic, partitions=4, producers=2, seconds=1, warm=0)  # up to the moment of death
            broker.kill()
            milliseconds = self.restart_ms(broker, topic)
            note = f"{broker.name}: {milliseconds:.0f} ms from start to serving after kill -9 with {(filled + one['acknowledged'] * 200) / 1e9:.1f} GB of log"
            self.note(note)
            self.stop([broker])

    def idle(self):
        for broker in self.brokers():
            broker.start()
            for index in range(10):
                make_topic(broker.address, f"idle{index}", 100)
                wait_for(lambda: serves(broker.address, f"idle{index}", 100), 60, broker.name)
            time.sleep(2)
            first = resident_mib(broker.pid)
            broker.stop()
            broker.start()
            time.sleep(2)
            before = cpu_seconds(broker.pid)
            time.sleep(3)
            self.note(f"{broker.name}: 1,000 partitions, {first} MiB resident after making them, {resident_mib(broker.pid)} after a restart, "
                      f"{(cpu_seconds(broker.pid) - before) / 3 * 100:.1f} % of a core idle")
            self.stop([broker])

    def connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = min(10_000, hard - 200)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 200), hard))
        for broker in self.brokers():
            broker.start()
            topic = self.topic(broker, 4)
            before = resident_mib(broker.pid)
            begin = time.monotonic()
            idle = []
            for _ in range(count):
                idle.append(kafkawire.Connection(broker.address))
            answered = 0
            for connection in idle:
                try:
                    answered += connection.call(18, 0, b"").number("h") == 0
                except (OSError, struct.error):
                    pass
            seconds = time.monotonic() - begin
            after = resident_mib(broker.pid)
            one = self.produce(broker, topic, partitions=4, producers=1, seconds=3, warm=1, rate=10_000, linger=0)
            text = f"; 10 K records/s beside them p50 {one['ack_ms']['p50']:.1f}, p99 {one['ack_ms']['p99']:.1f} ms" if one else ""
            self.note(f"{broker.name}: {answered} of {count} connections answered within {seconds:.1f} s, {before} MiB resident before, {after} with them{text}")
            for connection in idle:
                connection.close()
            self.stop([broker])
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
