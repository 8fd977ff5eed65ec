"""Cuts a failing case down: whatever can go or be simpler, and the case still fails in the same way, goes."""
import copy
import time

from fuzz import values
from fuzz.tree import List, Node, slots


class Reducer:
    def __init__(self, fails, seconds=60):
        """`fails(case)` says whether the case still fails in the same way."""
        self.fails, self.deadline, self.attempts = fails, time.monotonic() + seconds, 0

    def reduce(self, case):
        progress = True
        while progress and time.monotonic() < self.deadline:
            progress = self.statements(case)
            progress = self.columns(case) or progress
            for statement in case.statements:
                progress = self.tree(case, statement.node) or progress
        return case

    def attempt(self, case):
        self.attempts += 1
        return time.monotonic() < self.deadline and self.fails(case)

    def statements(self, case):
        progress = False
        for size in (8, 4, 2, 1):
            at = len(case.statements)
            while at > 0:
                at = max(0, at - size)
                before = list(case.statements)
                del case.statements[at:at + size]
                if self.attempt(case):
                    progress = True
                else:
                    case.statements[:] = before
        return progress

    def columns(self, case):
        """A column goes from its relation and from every row that is inserted."""
        progress = False
        for relation in [statement for statement in case.statements if statement.kind == "relation"]:
            parts = next(part for part in relation.node.parts if isinstance(part, List)).parts
            for at in reversed(range(len(parts))):
                before = copy.deepcopy([statement.node for statement in case.statements])
                column = str(parts[at]).split()[0]
                if column in ("PRIMARY", "WATERMARK", "id", "sub"):
                    continue
                self.drop_column(case, relation, at, column)
                if self.attempt(case):
                    progress = True
                    parts = next(part for part in relation.node.parts if isinstance(part, List)).parts
                else:
                    for statement, node in zip(case.statements, before):
                        statement.node = node
                    parts = next(part for part in relation.node.parts if isinstance(part, List)).parts
        return progress

    @staticmethod
    def drop_column(case, relation, at, column):
        shape = next(part for part in relation.node.parts if isinstance(part, List))
        del shape.parts[at]
        for statement in case.statements:
            if statement.kind != "insert" or statement.name != relation.name:
                continue
            for row in statement.node.parts[1].parts:
                del row.parts[1].parts[at]
            conflict = statement.node.parts[2]
            if isinstance(conflict, Node):
                for part in conflict.parts:
                    if isinstance(part, List):
                        part.parts[:] = [item for item in part.parts if not str(item).startswith(column + " =")]

    def tree(self, case, root):
        progress, again = False, True
        while again and time.monotonic() < self.deadline:
            again = False
            for parent, index in list(slots(root)):
                if index >= len(parent.parts) or not isinstance(parent.parts[index], Node):
                    continue
                node = parent.parts[index]
                if isinstance(node, List) and self.shorten(case, node):
                    again = True
                for candidate in candidates(node):
                    if str(candidate) == str(node):
                        continue
                    parent.parts[index] = candidate
                    if self.attempt(case):
                        again = True
                        break
                    parent.parts[index] = node
            progress = progress or again
        return progress

    def shorten(self, case, node):
        progress = False
        for at in reversed(range(len(node.parts))):
            if len(node.parts) <= node.least:
                break
            item = node.parts.pop(at)
            if self.attempt(case):
                progress = True
            else:
                node.parts.insert(at, item)
        return progress


def candidates(node):
    """What may stand for the node, simplest first."""
    if node.optional:
        yield ""
    if node.type == "cell":
        yield Node("cell", "NULL")
        for text in ("0", "1", "''", "'a'"):
            if len(text) < len(str(node)):
                yield Node("cell", text)
        return
    if node.type in values.TYPES:
        simple = [f"NULL::{values.TYPES[node.type]}", "true" if node.type == "bool" else f"'{values.COMMON[node.type][1]}'::{values.TYPES[node.type]}"]
        if node.type == "i4":
            simple += ["0", "1"]
        for text in simple:
            if text != str(node) and (len(text) < len(str(node)) or not str(node).startswith(("NULL", "'"))):
                yield Node(node.type, text)
    if node.type:
        below = sorted((inner for inner in node.nodes() if inner.type == node.type), key=lambda inner: len(str(inner)))
        yield from below[:6]
