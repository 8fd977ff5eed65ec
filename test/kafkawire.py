"""A few requests of the Kafka protocol, for tests that must see every answer: committing, fetching offsets, joining a group."""
import socket
import struct


def text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def blob(value):
    return struct.pack(">i", len(value)) + value


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, form):
        value, = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def text(self):
        length = self.number("h")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode()


class Connection:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 30)
        self.id = 0

    def close(self):
        self.socket.close()

    def call(self, key, version, body):
        self.id += 1
        frame = struct.pack(">hhi", key, version, self.id) + text("test") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        reader = Reader(self.take(struct.unpack(">i", self.take(4))[0]))
        assert reader.number("i") == self.id
        return reader

    def take(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionError("the server closed the connection")
            data += piece
        return data

    def commit(self, group, topic, partition, offset, generation=-1, member=""):
        """OffsetCommit version 2; the error code."""
        reader = self.call(8, 2, text(group) + struct.pack(">i", generation) + text(member) + struct.pack(">qi", -1, 1) + text(topic) + struct.pack(">iiq", 1, partition, offset) + text("note"))
        assert (reader.number("i"), reader.text(), reader.number("i"), reader.number("i")) == (1, topic, 1, partition)
        return reader.number("h")

    def committed(self, group, topic, partition):
        """OffsetFetch version 1; -1 when there is none."""
        reader = self.call(9, 1, text(group) + struct.pack(">i", 1) + text(topic) + struct.pack(">ii", 1, partition))
        assert (reader.number("i"), reader.text(), reader.number("i"), reader.number("i")) == (1, topic, 1, partition)
        return reader.number("q")

    def join(self, group, topic, partition, session_ms=30000):
        """JoinGroup version 1 as the only member, and one partition assigned to itself; generation and member id."""
        subscription = struct.pack(">hi", 0, 1) + text(topic) + struct.pack(">i", -1)
        assignment = struct.pack(">hi", 0, 1) + text(topic) + struct.pack(">iii", 1, partition, -1)
        reader = self.call(11, 1, text(group) + struct.pack(">ii", session_ms, session_ms) + text("") + text("consumer") + struct.pack(">i", 1) + text("range") + blob(subscription))
        error, generation, _, _, member = reader.number("h"), reader.number("i"), reader.text(), reader.text(), reader.text()
        assert error == 0, error
        reader = self.call(14, 0, text(group) + struct.pack(">i", generation) + text(member) + struct.pack(">i", 1) + text(member) + blob(assignment))
        assert reader.number("h") == 0
        return generation, member

    def grow(self, topic, count):
        """CreatePartitions version 0; the error code and message."""
        reader = self.call(37, 0, struct.pack(">i", 1) + text(topic) + struct.pack(">iiib", count, -1, 1000, 0))
        assert (reader.number("i"), reader.number("i"), reader.text()) == (0, 1, topic)
        return reader.number("h"), reader.text()

    def heartbeat(self, group, generation, member):
        return self.call(12, 0, text(group) + struct.pack(">i", generation) + text(member)).number("h")
