"""A minimal PostgreSQL client (protocol 3.0, simple queries, text values): all that the test scripts need, standard library only."""
import collections
import socket
import struct

Result = collections.namedtuple("Result", "columns rows tag types modifiers")  # types: OIDs


class ServerError(Exception):
    def __init__(self, fields):
        self.sqlstate = fields.get("C", "")
        self.message = fields.get("M", "")
        self.detail = fields.get("D", "")
        self.hint = fields.get("H", "")
        self.position = int(fields.get("P", 0))
        super().__init__(f"{self.sqlstate}: {self.message}")


class Connection:
    def __init__(self, address, timeout=60, user="kappa", database="kappa"):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        startup = f"user\0{user}\0database\0{database}\0client_encoding\0UTF8\0\0".encode()
        self.socket.sendall(struct.pack("!ii", len(startup) + 8, 196608) + startup)
        self._until_ready()

    def close(self):
        try:
            self.socket.sendall(b"X\0\0\0\x04")
        except OSError:
            pass
        self.socket.close()

    def query(self, sql):
        """A Result of every statement, values as str or None; raises ServerError."""
        text = sql.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", len(text) + 4) + text)
        return self._until_ready()

    def rows(self, sql):
        return self.query(sql)[-1][1]

    def _read(self, count):
        while len(self.buffer) < count:
            chunk = self.socket.recv(1 << 16)
            if not chunk:
                raise ConnectionError("the server closed the connection")
            self.buffer += chunk
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def _until_ready(self):
        results, columns, types, modifiers, rows, error = [], [], [], [], [], None
        while True:
            kind = self._read(1)
            body = self._read(struct.unpack("!i", self._read(4))[0] - 4)
            if kind == b"T":
                columns, types, modifiers, rows, at = [], [], [], [], 2
                for _ in range(struct.unpack("!h", body[:2])[0]):
                    end = body.index(b"\0", at)
                    columns.append(body[at:end].decode())
                    oid, _, modifier = struct.unpack("!ihi", body[end + 7:end + 17])
                    types.append(oid)
                    modifiers.append(modifier)
                    at = end + 19
            elif kind == b"D":
                row, at = [], 2
                for _ in range(struct.unpack("!h", body[:2])[0]):
                    size = struct.unpack("!i", body[at:at + 4])[0]
                    at += 4
                    row.append(None if size < 0 else body[at:at + size].decode())
                    at += max(size, 0)
                rows.append(row)
            elif kind == b"C":
                results.append(Result(columns, rows, body[:-1].decode(), types, modifiers))
                columns, types, modifiers, rows = [], [], [], []
            elif kind == b"E":
                error = ServerError({part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part})
                if error.sqlstate.startswith("57P") or error.sqlstate == "53300":
                    raise error
            elif kind == b"Z":
                if error:
                    raise error
                return results
