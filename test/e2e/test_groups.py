#!/usr/bin/env python3
"""Goal: consumer groups serve released clients, and what they were told of commits outlives kill -9. Method: real clients; and connections that
commit as fast as they are answered while the server is killed again and again."""
import json
import pathlib
import random
import subprocess
import threading
import time
import urllib.request

import harness

import kafkawire

CLIENTS = pathlib.Path(__file__).resolve().parent.parent / "clients"
ROUNDS, COMMITTERS = 12, 4


def test_clients(scratch):
    """librdkafka, kafka-python and aiokafka: codecs, idempotence, rebalances, commits, static and cooperative members, all in one group."""
    instance = scratch.server().start()
    result = subprocess.run(["bash", str(CLIENTS / "kafka_clients.sh"), instance.endpoints["kafka"]], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, f"ended with {result.returncode}:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    instance.stop()


class Committer(threading.Thread):
    """Commits 1, 2, 3 .. until the server is gone."""

    def __init__(self, address, group, first):
        super().__init__(daemon=True)
        self.connection, self.group = kafkawire.Connection(address), group
        self.acknowledged = self.sent = first
        self.start()

    def run(self):
        try:
            while True:
                self.sent += 1
                error = self.connection.commit(self.group, "t", 0, self.sent)
                assert error == 0, error
                self.acknowledged = self.sent
        except (ConnectionError, OSError):
            self.connection.close()


def test_commits_survive_kills(scratch):
    """After kill -9 a group has the last offset that was acknowledged, or one that was on its way; a member goes on without a rebalance."""
    random.seed(5)
    instance = scratch.server().start()
    instance.run("topic", "create", "t")
    reached = [0] * COMMITTERS
    kept = kafkawire.Connection(instance.endpoints["kafka"])
    generation, member = kept.join("members", "t", 0)
    harness.equal(kept.commit("members", "t", 0, 77, generation, member), 0)
    for turn in range(ROUNDS):
        address = instance.endpoints["kafka"]
        committers = [Committer(address, f"g{i}", reached[i]) for i in range(COMMITTERS)]
        reader = kafkawire.Connection(address)
        seen = [0] * COMMITTERS  # what somebody else was shown
        until = time.monotonic() + random.uniform(0.05, 0.4)
        while time.monotonic() < until:
            for i in range(COMMITTERS):
                seen[i] = max(seen[i], reader.committed(f"g{i}", "t", 0))
        instance.kill()
        for committer in committers:
            committer.join(30)
        instance.start()
        connection = kafkawire.Connection(instance.endpoints["kafka"])
        for i, committer in enumerate(committers):
            offset = connection.committed(f"g{i}", "t", 0)
            assert committer.acknowledged <= offset <= committer.sent, f"round {turn}: {committer.acknowledged} was acknowledged, {offset} is there"
            assert offset >= seen[i], f"round {turn}: {seen[i]} was shown, {offset} is there"
            assert committer.acknowledged > reached[i], "commits went on"
            reached[i] = offset
        harness.equal(connection.heartbeat("members", generation, member), 0, "the member is still one")
        harness.equal(connection.committed("members", "t", 0), 77)
    instance.stop()


def test_groups_are_seen(scratch):
    """kappa.groups, kappa.group_lag, the metrics and `kappa topic groups|offsets` tell what groups do."""
    instance = scratch.server().start()
    instance.run("topic", "create", "t", "--partitions", "2")
    lines = scratch.folder / "lines"
    lines.write_text("".join(f"{i}\n" for i in range(10)))
    instance.run("topic", "produce", "t", str(lines), "--partition", "0")
    kafka = kafkawire.Connection(instance.endpoints["kafka"])
    generation, member = kafka.join("working", "t", 0)
    harness.equal(kafka.commit("working", "t", 0, 4, generation, member), 0)
    harness.equal(kafka.commit("tool", "t", 1, 0), 0)
    sql = instance.connect()
    harness.equal(sql.rows("SELECT name, state, protocol_type, protocol, generation, members, offsets FROM kappa.groups ORDER BY name"),
                  [["tool", "Empty", "", "", "0", "0", "1"], ["working", "Stable", "consumer", "range", "1", "1", "1"]])
    harness.equal(sql.rows("SELECT group_name, topic, partition, committed_offset, end_offset, lag, metadata, client FROM kappa.group_lag ORDER BY 1"),
                  [["tool", "t", "1", "0", "0", "0", "note", None], ["working", "t", "0", "4", "10", "6", "note", "test"]])
    harness.equal(sql.rows("SELECT count(*) FROM kappa.group_lag WHERE committed_at > now() - INTERVAL '1 minute'"), [["2"]])
    metrics = urllib.request.urlopen(f"http://{instance.endpoints['http']}/metrics").read().decode()
    for line in ('kafka_consumergroup_lag{consumergroup="working",topic="t",partition="0"} 6', 'kafka_consumergroup_members{consumergroup="working"} 1', "kappa_group_commits_total 2"):
        assert line + "\n" in metrics, f"{line} is missing in the metrics"
    shown = [json.loads(line) for line in instance.run("topic", "groups", "--json")[1].splitlines()]
    harness.equal([(group["group"], group["state"], group["members"]) for group in shown], [("tool", "Empty", 0), ("working", "Stable", 1)])
    shown = json.loads(instance.run("topic", "offsets", "working", "--json")[1])
    harness.equal(shown, {"topic": "t", "partition": 0, "committed": 4, "latest": 10, "lag": 6})
    code, _, err = instance.run("topic", "offsets", "working", "t", "--to", "earliest", check=False)
    assert code == 1 and "it has members" in err, err
    instance.run("topic", "offsets", "tool", "t", "--to", "latest")
    harness.equal(kafka.committed("tool", "t", 0), 10)
    sql.rows("CREATE STREAM s (n int) WITH (topic = 't')")
    harness.equal(kafka.grow("t", 3), (44, 'topic "t" cannot be changed or deleted because stream "s" reads it'), "a stream's topic keeps its partitions")
    instance.stop()


if __name__ == "__main__":
    harness.main(globals())
