#!/usr/bin/env python3
"""Goal: consumer groups serve released clients, and what they were told of commits outlives kill -9. Method: real clients; and connections that
commit as fast as they are answered while the server is killed again and again."""
import pathlib
import random
import subprocess
import threading
import time

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
    generation, member = kept.join("members")
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


if __name__ == "__main__":
    harness.main(globals())
