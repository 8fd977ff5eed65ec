"""SQL as a tree of texts, so that a failing case can be cut down: an expression gives way to a part of it or to a constant, what is optional
to nothing, a list to a shorter one."""


class Node:
    """Parts are texts and nodes. `type` names what the node is: an SQL type, or "query" with the number of columns."""
    __slots__ = ("parts", "type", "optional")

    def __init__(self, type_, *parts, optional=False):
        self.type, self.parts, self.optional = type_, list(parts), optional

    def __str__(self):
        return "".join(map(str, self.parts))

    def nodes(self):
        """Every node below this one, parents first."""
        for part in self.parts:
            if isinstance(part, Node):
                yield part
                yield from part.nodes()


class List(Node):
    """Items between separators, of which all but `least` may go."""
    __slots__ = ("separator", "least")

    def __init__(self, separator, items, least=1):
        super().__init__(None, *items)
        self.separator, self.least = separator, least

    def __str__(self):
        return self.separator.join(map(str, self.parts))


def slots(root):
    """(parent, index) of every node below root, parents first."""
    for index, part in enumerate(root.parts):
        if isinstance(part, Node):
            yield root, index
            yield from slots(part)
