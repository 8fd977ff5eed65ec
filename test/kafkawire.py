"""A few requests of the Kafka protocol, for tests that must see every answer: producing, fetching, committing, joining a group."""
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
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = self.received = 0

    def close(self):
        self.socket.close()

    def call(self, key, version, body):
        self.send(key, version, body)
        return self.receive()

    def send(self, key, version, body):
        self.sent += 1
        frame = struct.pack(">hhi", key, version, self.sent) + text("test") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def receive(self):
        """The answer to the oldest request without one."""
        reader = Reader(self.take(struct.unpack(">i", self.take(4))[0]))
        self.received += 1
        assert reader.number("i") == self.received
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

    def delete_records(self, topic, partition, before):
        """DeleteRecords version 0; the error code and where the partition begins."""
        reader = self.call(21, 0, struct.pack(">i", 1) + text(topic) + struct.pack(">iiqi", 1, partition, before, 30000))
        assert (reader.number("i"), reader.number("i"), reader.text(), reader.number("i"), reader.number("i")) == (0, 1, topic, 1, partition)
        begins, error = reader.number("q"), reader.number("h")
        return error, begins

    def heartbeat(self, group, generation, member):
        return self.call(12, 0, text(group) + struct.pack(">i", generation) + text(member)).number("h")

    def create_topic(self, topic, partitions, **settings):
        """CreateTopics version 0, settings with _ for the dot; the error code."""
        body = struct.pack(">i", 1) + text(topic) + struct.pack(">ihii", partitions, 1, 0, len(settings))
        for name, value in settings.items():
            body += text(name.replace("_", ".")) + text(str(value))
        reader = self.call(19, 0, body + struct.pack(">i", 10000))
        assert (reader.number("i"), reader.text()) == (1, topic)
        return reader.number("h")

    def alter_quota(self, entity, **values):
        """AlterClientQuotas version 0; `entity` has a name, or None for the default, for each of user, client-id and ip. A value of None removes. The error code and message."""
        body = struct.pack(">ii", 1, len(entity))
        for kind, name in entity.items():
            body += text(kind) + text(name)
        body += struct.pack(">i", len(values))
        for key, value in values.items():
            body += text(key) + struct.pack(">db", value or 0, value is None)
        reader = self.call(49, 0, body + b"\0")
        assert (reader.number("i"), reader.number("i")) == (0, 1)
        return reader.number("h"), reader.text()

    def producer_id(self):
        """InitProducerId version 0, without transactions; error code and id."""
        reader = self.call(22, 0, struct.pack(">hi", -1, 60000))
        reader.number("i")
        return reader.number("h"), reader.number("q")

    def init_transactions(self, transactional_id, timeout_ms=60000):
        """InitProducerId version 0; error code, producer id and epoch."""
        reader = self.call(22, 0, text(transactional_id) + struct.pack(">i", timeout_ms))
        reader.number("i")
        return reader.number("h"), reader.number("q"), reader.number("h")

    def add_partition(self, transactional_id, producer, epoch, topic, partition):
        """AddPartitionsToTxn version 0; the error code."""
        reader = self.call(24, 0, text(transactional_id) + struct.pack(">qhi", producer, epoch, 1) + text(topic) + struct.pack(">ii", 1, partition))
        assert (reader.number("i"), reader.number("i"), reader.text(), reader.number("i"), reader.number("i")) == (0, 1, topic, 1, partition)
        return reader.number("h")

    def add_offsets(self, transactional_id, producer, epoch, group):
        """AddOffsetsToTxn version 0; the error code."""
        reader = self.call(25, 0, text(transactional_id) + struct.pack(">qh", producer, epoch) + text(group))
        reader.number("i")
        return reader.number("h")

    def commit_in_transaction(self, transactional_id, producer, epoch, group, topic, partition, offset):
        """TxnOffsetCommit version 0; the error code."""
        body = text(transactional_id) + text(group) + struct.pack(">qhi", producer, epoch, 1) + text(topic) + struct.pack(">iiq", 1, partition, offset) + text(None)
        reader = self.call(28, 0, body)
        assert (reader.number("i"), reader.number("i"), reader.text(), reader.number("i"), reader.number("i")) == (0, 1, topic, 1, partition)
        return reader.number("h")

    def end_transaction(self, transactional_id, producer, epoch, commit):
        """EndTxn version 0; the error code."""
        reader = self.call(26, 0, text(transactional_id) + struct.pack(">qhb", producer, epoch, commit))
        reader.number("i")
        return reader.number("h")

    def send_produce(self, topic, partition, batch, transactional_id=None):
        """Produce version 3, acks all, without waiting: answers come in the order of requests, see produced()."""
        self.send(0, 3, text(transactional_id) + struct.pack(">hii", -1, 30000, 1) + text(topic) + struct.pack(">ii", 1, partition) + blob(batch))

    def produced(self):
        """The next answer to send_produce: error code and offset."""
        reader = self.receive()
        assert reader.number("i") == 1
        reader.text()
        _, _, error, offset = reader.number("i"), reader.number("i"), reader.number("h"), reader.number("q")
        return error, offset

    def fetch(self, topic, partition, offset, max_bytes=1 << 20):
        """Fetch version 4; error code, high watermark, whole batches and perhaps a part of the next."""
        asked = struct.pack(">iiiib", -1, 0, 0, max_bytes, 0) + struct.pack(">i", 1) + text(topic) + struct.pack(">iiqi", 1, partition, offset, max_bytes)
        reader = self.call(1, 4, asked)
        assert (reader.number("i"), reader.number("i"), reader.text(), reader.number("i")) == (0, 1, topic, 1)
        _, error, high, _, aborted = reader.number("i"), reader.number("h"), reader.number("q"), reader.number("q"), reader.number("i")
        assert aborted <= 0
        length = max(0, reader.number("i"))
        return error, high, reader.data[reader.at:reader.at + length]


    def read_committed(self, topic, partition, offset=0, max_bytes=1 << 20):
        """Fetch version 4 for readers of committed records; error code, last stable offset, and the values of all that were committed, up to there."""
        values, stable = [], offset + 1
        while offset < stable:
            asked = struct.pack(">iiiib", -1, 0, 0, max_bytes, 1) + struct.pack(">i", 1) + text(topic) + struct.pack(">iiqi", 1, partition, offset, max_bytes)
            reader = self.call(1, 4, asked)
            assert (reader.number("i"), reader.number("i"), reader.text(), reader.number("i")) == (0, 1, topic, 1)
            _, error, _, stable = reader.number("i"), reader.number("h"), reader.number("q"), reader.number("q")
            aborted = sorted((reader.number("q"), reader.number("q"))[::-1] for _ in range(max(0, reader.number("i"))))
            data = reader.data[reader.at + 4:]
            if error != 0:
                return error, stable, values
            batches = [(base, batch) for base, batch in whole_batches(data)]
            assert batches or offset >= stable, f"nothing to read at offset {offset}, below the last stable offset {stable}"
            aborting = set()  # producers whose transaction is not over and will be aborted
            for base, batch in batches:
                attributes, producer = struct.unpack_from(">h", batch, 21)[0], struct.unpack_from(">q", batch, 43)[0]
                while aborted and aborted[0][0] <= base:
                    aborting.add(aborted.pop(0)[1])
                if attributes & 32:
                    (_, key, _), = records_of(batch)
                    if key[3] == 0:
                        aborting.discard(producer)
                elif not (attributes & 16 and producer in aborting):
                    values += [value for delta, _, value in records_of(batch) if base + delta >= offset]
                offset = end_of(batch)
        return 0, stable, values


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC32C = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(number):
    number = number << 1 ^ number >> 63
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


BATCH_SAME_FROM = 16  # the bytes of a batch that the log does not set: from the magic on


def record_batch(values, producer, sequence, timestamp_ms=1_767_225_600_000, transactional=False, keys=None, epoch=0):
    """A batch of an idempotent or transactional producer, records without keys unless they are given."""
    records = b""
    for i, value in enumerate(values):
        key = varint(-1) if keys is None else varint(len(keys[i])) + keys[i]
        body = b"\0\0" + varint(i) + key + varint(len(value)) + value + b"\0"
        records += varint(len(body)) + body
    checked = struct.pack(">hiqqqhii", 16 if transactional else 0, len(values) - 1, timestamp_ms, timestamp_ms, producer, epoch, sequence, len(values)) + records
    return struct.pack(">qiibI", 0, len(checked) + 9, 0, 2, crc32c(checked)) + checked


def number_at(data, at):
    """The varint there, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value >> 1 ^ -(value & 1), at


def records_of(batch):
    """Offset delta, key and value of each record of an uncompressed batch without headers."""
    at, count = 61, struct.unpack_from(">i", batch, 57)[0]
    for _ in range(count):
        _, at = number_at(batch, at)
        _, at = number_at(batch, at + 1)
        delta, at = number_at(batch, at)
        found = []
        for _ in range(2):
            length, at = number_at(batch, at)
            found.append(None if length < 0 else batch[at:at + length])
            at += max(length, 0)
        at += 1
        yield delta, *found


def end_of(batch):
    """The offset behind a batch."""
    return struct.unpack_from(">q", batch)[0] + struct.unpack_from(">i", batch, 23)[0] + 1


def whole_batches(data):
    """The whole batches in what a fetch gave: pairs of base offset and bytes."""
    at = 0
    while at + 61 <= len(data):
        offset, length = struct.unpack_from(">qi", data, at)
        if at + 12 + length > len(data):
            return
        yield offset, data[at:at + 12 + length]
        at += 12 + length
