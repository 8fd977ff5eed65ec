"""Damaged files: a bit flipped, a file cut, a block zeroed, in every kind of file of a data folder. The server must refuse to start
and name the file, or answer reads of what is damaged with an error, or not need the damaged bytes. It must never give wrong data,
and never end a partition early as if the rest had not been written.
"""
import pathlib
import random
import shutil

import kafkawire
import pgwire
import server

from faults.workload import PARTITIONS, TOPIC, VIEW_QUERY, Violation, Workload, require

BATCHES = 250  # of each partition: five segments
SEGMENT_HEADER_BYTES = 12288
GROUP, COMMITTED = "readers", 42
QUOTA_OF, QUOTA = "a client of its own", 4096


def kind_of(path, sizes):
    """What a file of the data folder is, for counting and for choosing all kinds alike."""
    if path.suffix == ".seg":
        topic = path.parts[-3]
        later = [other for other in sizes if other.parent == path.parent and other.suffix == ".seg" and other.name > path.name]
        return f"segment of {topic if topic.startswith('__') else 'a topic'}, {'sealed' if later else 'active'}"
    if path.suffix == ".idx":
        return "index"
    if path.parts[0] == "state":
        return f"checkpoint {path.name.split('-')[0]}" if path.suffix not in (".sst", ".blob", ".log") else f"checkpoint {path.suffix}"
    return path.name


class Base:
    """A data folder with everything in it, and what a server must answer about it."""

    def __init__(self, kappa, folder, clean):
        self.kappa, self.folder, self.clean = kappa, folder, clean
        instance = server.Server(kappa, folder, "--checkpoint-interval-ms", "50")
        self.workload = Workload()
        try:
            instance.start()
            self.workload.prepare(instance)
            for _ in range(2):  # checkpoints and producer snapshots of two ages
                self.workload.start(instance, batches=BATCHES // 2)
                self.workload.finish()
                connection = kafkawire.Connection(instance.endpoints["kafka"])
                require(connection.commit(GROUP, TOPIC, 0, COMMITTED) == 0, "the commit was refused")
                require(connection.alter_quota({"client-id": QUOTA_OF}, consumer_byte_rate=QUOTA)[0] == 0, "the quota was refused")
                connection.close()
                self.workload.check_views(instance)
                if clean:
                    instance.stop()
                else:
                    instance.kill()
                instance.start()
            connection = instance.connect()
            self.rows = sorted(connection.rows(VIEW_QUERY))
            connection.close()
            if clean:
                instance.stop()
        finally:
            instance.kill()
        (folder / "endpoints.json").unlink(missing_ok=True)
        self.sizes = {path.relative_to(folder): path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 0}
        self.kinds = {}
        for path in self.sizes:
            self.kinds.setdefault(kind_of(path, self.sizes), []).append(path)

    def is_record_data(self, path, position):
        """Whether acknowledged records of the topic are there: damage to them must never go unnoticed."""
        return path.suffix == ".seg" and path.parts[-3] == TOPIC and position >= SEGMENT_HEADER_BYTES


def damage(base, folder):
    """Damages one file of `folder`, a copy of `base`: its path, the first damaged byte, and what was done in words."""
    path = random.choice(base.kinds[random.choice(sorted(base.kinds))])
    size = base.sizes[path]
    after_header = path.suffix == ".seg" and size > SEGMENT_HEADER_BYTES and random.random() < 0.7
    position = random.randrange(SEGMENT_HEADER_BYTES if after_header else 0, size)
    action = random.choices(("flip", "truncate", "zero"), (7, 2, 1))[0]
    with open(folder / path, "r+b") as file:
        if action == "truncate":
            file.truncate(position)
        else:
            file.seek(position)
            old = file.read(1 if action == "flip" else 512)
            new = bytes([old[0] ^ 1 << random.randrange(8)]) if action == "flip" else bytes(len(old))
            if old == new:
                action = "zeroing what was zero"
            file.seek(position)
            file.write(new)
    return path, position, action


class Checker:
    """Asks a server on a damaged folder for everything."""

    def __init__(self, base, instance):
        self.base, self.instance, self.told = base, instance, 0

    def records(self):
        connection = kafkawire.Connection(self.instance.endpoints["kafka"])
        for history in self.base.workload.histories:
            index = 0
            while index < history.acknowledged:
                error, _, data = connection.fetch(TOPIC, history.partition, history.offsets[index])
                if error != 0:
                    require(error in (2, 56), f"partition {history.partition}: error {error} for damaged records")
                    self.told += 1
                    index += 1  # what lies behind the damage must be right, too
                    continue
                found = list(kafkawire.whole_batches(data))
                require(found, f"partition {history.partition}: the log ends at offset {history.offsets[index]}, {history.acknowledged} batches were acknowledged and {index} read")
                for offset, batch in found:
                    require(offset == history.offsets[index] and batch[kafkawire.BATCH_SAME_FROM:] == history.batches[index][kafkawire.BATCH_SAME_FROM:],
                            f"partition {history.partition}: batch {index} at offset {offset} is not what was acknowledged")
                    index += 1
        connection.close()

    def rows(self):
        connection = self.instance.connect()
        for query in ("SELECT * FROM per_key", VIEW_QUERY):
            try:
                rows = sorted(connection.rows(query))
                require(rows == self.base.rows, f"{query} gives {rows} instead of {self.base.rows}")
            except pgwire.ServerError:
                self.told += 1
        connection.close()

    def quotas(self):
        connection = self.instance.connect()
        rows = connection.rows("SELECT client_id, key, value FROM kappa.quotas")
        require(rows == [[QUOTA_OF, "consumer_byte_rate", str(QUOTA)]], f"the quotas are {rows}")
        connection.close()

    def offsets_and_duplicates(self):
        connection = kafkawire.Connection(self.instance.endpoints["kafka"])
        offset = connection.committed(GROUP, TOPIC, 0)
        require(offset == COMMITTED, f"the committed offset is {offset}")
        for history in self.base.workload.histories:
            for index in range(history.acknowledged - 5, history.acknowledged):
                connection.send_produce(TOPIC, history.partition, history.batches[index])
                error, offset = connection.produced()
                require(error != 0 or offset == history.offsets[index], f"partition {history.partition}: batch {index}, sent again, was stored again")
        connection.close()


def run(kappa, folder, count):
    """Damages files `count` times; fails with Violation. What was done, in words."""
    bases = [Base(kappa, folder / name, clean) for name, clean in (("clean", True), ("killed", False))]
    outcomes = {"refused at the start": 0, "told by reads": 0, "not needed": 0}
    kinds = set()
    for turn in range(count):
        base = random.choice(bases)
        copy = folder / "damaged"
        shutil.copytree(base.folder, copy)
        path, position, action = damage(base, copy)
        kinds.add(kind_of(path, base.sizes))
        instance = server.Server(kappa, copy, "--checkpoint-interval-ms", "100000")
        what = f"damage {turn}: {action} at byte {position} of {path} ({base.sizes[path]} bytes, after a {'clean stop' if base.clean else 'kill'})"
        try:
            instance.start()
        except RuntimeError as error:
            text = instance.log.read_text()
            require(str(path.parent.name) in text or path.name in text, f"{what}: the server does not start, and does not say why: {error}")
            require("PANIC" not in text and "CHECK" not in text and instance.process.returncode == 1, f"{what}: the server ended with {instance.process.returncode}: {text[-1000:]}")
            outcomes["refused at the start"] += 1
        else:
            checker = Checker(base, instance)
            try:
                checker.records()
                noticed = checker.told > 0
                require(noticed or action == "zeroing what was zero" or not base.is_record_data(path, position), "nobody noticed damage to records")
                checker.rows()
                checker.offsets_and_duplicates()
                checker.quotas()
                instance.stop()
            except (Violation, RuntimeError, ConnectionError, OSError) as error:
                raise Violation(f"{what}: {error}; {instance.log.read_text()[-1000:]}") from error
            outcomes["told by reads" if checker.told else "not needed"] += 1
        finally:
            instance.kill()
            instance.log.unlink(missing_ok=True)
            shutil.rmtree(copy)
    return f"{count} damaged files of {len(kinds)} kinds: " + ", ".join(f"{number} {name}" for name, number in outcomes.items())
