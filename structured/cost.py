"""What an instance may cost the validator: so much for each of its values.

The validator holds the interpreter's lock until it is done, in a thread as well, so
what it is given has to be bounded beforehand. A value is evaluated by every subschema
that may apply to it at once: all that apply to its parent in place, and of each of them
one member of `properties`, every one of `patternProperties`, and so on.

A yes or no is cheaper than a reason. The validator remembers what a reference back into
a circle gave for a value, but not while it collects errors: then two such references
beside each other double the work with each level of the instance.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, cast

from structured.load import DEEPEST
from structured.references import Documents, subschemas
from structured.units import MOST, Cost, own

STEPS: Final = 1_000
"""Most steps to find the cost by depth, about 20 ms."""

_REVISITED: Final = 4
"""How often `unevaluated…` goes again through what is beside it."""

_ROLES: Final = {
    **dict.fromkeys(("allOf", "if", "then", "else", "not", "dependentSchemas"), "here"),
    **dict.fromkeys(("anyOf", "oneOf"), "branches"),
    **dict.fromkeys(("properties", "additionalProperties"), "member"),
    **dict.fromkeys(
        ("patternProperties", "propertyNames", "unevaluatedProperties"), "members"
    ),
    **dict.fromkeys(("prefixItems", "items"), "item"),
    **dict.fromkeys(("contains", "unevaluatedItems"), "items"),
}
"""To which values the schemas of a keyword apply: to the same; to one member or item
of it each; to all of them. Those of the other keywords apply to none."""

METASCHEMA: Final = Cost(each=1_000, numeric=100, scans=8, branched=1_100)
"""A reference to one of the dialect's own metaschemas."""


class Costs(NamedTuple):
    """What asking for a yes or no costs, and what asking for the reason does."""

    asked: Cost
    told: tuple[Cost, ...]
    """By the depth of the instance; the last one holds for every greater depth, unless
    that is `endless`."""

    endless: bool

    def at(self, depth: int) -> Cost | None:
        """What a reason costs at a depth; None where it is not known or too much."""
        if depth < len(self.told):
            return self.told[depth]
        return None if self.endless else self.told[-1]


class _Total(NamedTuple):
    """What a subschema and all that it holds cost."""

    value: Cost
    """The value that it is for."""

    below: Cost
    """Each value below that one."""

    @property
    def most(self) -> Cost:
        return self.value.or_(self.below)


_NOTHING: Final = _Total(Cost(), Cost())
_META: Final = _Total(METASCHEMA, METASCHEMA)


class _Node(NamedTuple):
    """A subschema, and by role what applies with it."""

    own: Cost
    roles: Mapping[str, list[int]]
    revisits: bool

    def having(self, *roles: str) -> list[int]:
        return [at for role in roles for at in self.roles.get(role, ())]


_Nodes = dict[int, _Node]
_IN_PLACE: Final = ("here", "branches")
_BELOW: Final = ("member", "members", "item", "items")
_EVERY: Final = (*_IN_PLACE, *_BELOW)
_REVISITING: Final = frozenset({"unevaluatedProperties", "unevaluatedItems"})
_OTHER: Final = 0
"""No object's id: stands for a metaschema."""


def costs(document: object, registered: Mapping[str, object]) -> Costs:
    """Return what the values of an instance cost under a schema.

    Args:
        document: a schema whose expansion is bounded.
        registered: what its references may lead to beside itself, by URI.
    """
    nodes = _nodes(document, Documents(document, registered))
    root = id(document)
    order, circles = _post_order([root], lambda at: nodes[at].having(*_EVERY))
    known = {_OTHER: _META}
    for at in order:
        known[at] = _total(nodes[at], known, known)
    # a reference back into a circle is followed once for each value
    asked = known[root].most
    for target in circles:
        asked = asked.plus(known[target].most)
    told = _by_depth(root, nodes) if circles else ((asked,), False)
    return Costs(asked, *told)


def _by_depth(root: int, nodes: _Nodes) -> tuple[tuple[Cost, ...], bool]:
    """Follow every reference anew, level by level, until nothing is added any more."""
    here = {at: node.having(*_IN_PLACE) for at, node in nodes.items()}
    below = {at: node.having(*_BELOW) for at, node in nodes.items()}
    order, _ = _post_order(list(nodes), here.__getitem__)
    now = {_OTHER: _META}
    told: list[Cost] = []
    grown: set[int] = set()
    left = STEPS
    for depth in range(DEEPEST + 1):
        before, last, grown = dict(now), grown, set[int]()
        for at in order:
            same = grown.isdisjoint(here[at]) and last.isdisjoint(below[at])
            if same and at in now:
                continue
            left -= 1
            total = _total(nodes[at], now, before)
            if total != now.get(at):
                now[at] = total
                grown.add(at)
        most = now[root].most
        told.append(most)
        if not grown:
            return tuple(told), False
        # an instance of this depth has at least one value more than that
        if left < 0 or most.each * (depth + 1) >= MOST:
            break
    return tuple(told), True


def _total(
    node: _Node, here: Mapping[int, _Total], below: Mapping[int, _Total]
) -> _Total:
    """What a subschema costs the value that it is for, and what any below that one."""
    at_value, at_child = node.own, Cost()
    for one, every in (("member", "members"), ("item", "items")):
        child = Cost()
        for at in node.having(one):
            child = child.or_(below.get(at, _NOTHING).most)
        for at in node.having(every):
            child = child.plus(below.get(at, _NOTHING).most)
        at_child = at_child.or_(child)
    for at in node.having("here"):
        found = here.get(at, _NOTHING)
        at_value, at_child = at_value.plus(found.value), at_child.plus(found.below)
    for at in node.having("branches"):
        found = here.get(at, _NOTHING)
        at_value = at_value.plus(found.value.collected())
        at_child = at_child.plus(found.below.collected())
    again = _REVISITED if node.revisits else 1
    return _Total(at_value.times(again), at_child.times(again))


def _nodes(document: object, documents: Documents) -> _Nodes:
    found: _Nodes = {}
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if id(node) in found:
            continue
        roles: dict[str, list[int]] = defaultdict(list)
        for (keyword, *_), each in subschemas(node):
            if role := _ROLES.get(str(keyword)):
                roles[role].append(id(each))
                waiting.append(each)
        for each in documents.targets(node):
            roles["here"].append(_OTHER if each is None else id(each))
            if each is not None:
                waiting.append(each)
        members = cast("dict[str, object]", node) if isinstance(node, dict) else {}
        revisits = not _REVISITING.isdisjoint(members)
        found[id(cast("object", node))] = _Node(own(members), dict(roles), revisits)
    return found


def _post_order(
    roots: Iterable[int], below: Callable[[int], Iterable[int]]
) -> tuple[list[int], list[int]]:
    """Order nodes so that what they lead to comes first; and where circles lead back.

    A node is in the second list once for each of the references that lead back to it.
    """
    order: list[int] = []
    circles: list[int] = []
    done = {_OTHER}
    for root in roots:
        if root in done:
            continue
        running = {root}
        stack = [(root, iter(below(root)))]
        while stack:
            at, further = stack[-1]
            for each in further:
                if each in running:
                    circles.append(each)
                elif each not in done:
                    running.add(each)
                    stack.append((each, iter(below(each))))
                    break
            else:
                stack.pop()
                running.discard(at)
                done.add(at)
                order.append(at)
    return order, circles
