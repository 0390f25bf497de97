"""Where the references of a schema lead: `$id` bases, anchors, registered documents.

The validator resolves references by itself. This is for what has to be known before it
is let loose: how large a schema gets (`structured.expansion`) and what an instance may
cost under it (`structured.cost`). What cannot be found here leads to a metaschema, or
is not a reference at all; the validator's compilation has refused everything else by
then.
"""

from collections.abc import Iterator, Mapping
from typing import Final, cast
from urllib.parse import unquote, urldefrag, urljoin

from structured.pointer import child

# JSON Schema 2020-12, core and applicator vocabularies: which keywords hold schemas.
_ONE: Final = frozenset(
    {
        *("additionalProperties", "contains", "contentSchema", "else", "if", "items"),
        *("not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
    }
)
_LIST: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAP: Final = frozenset(
    {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)
_ROOT: Final = ""
"""The base of a document that names no `$id`."""


def subschemas(node: object) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Yield the schemas directly below a schema, each with the steps to it."""
    if not isinstance(node, dict):
        return
    for keyword, value in cast("dict[str, object]", node).items():
        if keyword in _ONE:
            yield (keyword,), value
        elif keyword in _LIST and isinstance(value, list):
            for at, each in enumerate(cast("list[object]", value)):
                yield (keyword, at), each
        elif keyword in _MAP and isinstance(value, dict):
            for name, each in cast("dict[str, object]", value).items():
                yield (keyword, name), each


class Documents:
    """A schema and the registered ones, with the names that references may use."""

    def __init__(self, root: object, registered: Mapping[str, object]) -> None:
        self._resources: dict[str, object] = {}
        self._anchors: dict[tuple[str, str], object] = {}
        self._dynamic: dict[str, list[object]] = {}
        self._bases: dict[int, str] = {}
        self._registered = {urldefrag(uri).url: uri for uri in registered}
        self._documents = registered
        self._index(root, _ROOT)
        self._reach(root)

    def _reach(self, root: object) -> None:
        """Index whatever references lead to, and nothing else that is registered."""
        seen: set[int] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            if isinstance(node, dict) and id(cast("object", node)) not in seen:
                seen.add(id(cast("object", node)))
                stack.extend(below for _, below in subschemas(cast("object", node)))
                stack.extend(self.targets(cast("object", node)))

    def targets(self, node: object) -> list[object]:
        """Return every schema that a schema's references may lead to.

        A reference that leads to nothing known here is in the list as None.
        """
        if not isinstance(node, dict):
            return []
        members = cast("dict[str, object]", node)
        base = self._bases.get(id(members), _ROOT)
        found: list[object] = []
        for keyword in ("$ref", "$dynamicRef"):
            reference = members.get(keyword)
            if not isinstance(reference, str):
                continue
            found.append(self._resolve(base, reference))
            if keyword == "$dynamicRef":
                # which one it is depends on the way here: all of them count
                found += self._dynamic.get(reference.rpartition("#")[2], [])
        return found

    def _index(self, document: object, base: str) -> None:
        self._resources.setdefault(base, document)
        stack = [(document, base)]
        while stack:
            node, base = stack.pop()
            if not isinstance(node, dict) or id(cast("object", node)) in self._bases:
                continue
            members = cast("dict[str, object]", node)
            identifier = members.get("$id")
            if isinstance(identifier, str):
                base = urldefrag(urljoin(base, identifier)).url
                self._resources.setdefault(base, members)
            self._bases[id(members)] = base
            for keyword in ("$anchor", "$dynamicAnchor"):
                name = members.get(keyword)
                if isinstance(name, str):
                    self._anchors.setdefault((base, name), members)
                    if keyword == "$dynamicAnchor":
                        self._dynamic.setdefault(name, []).append(members)
            stack.extend((below, base) for _, below in subschemas(members))

    def _resolve(self, base: str, reference: str) -> object:
        """Return what a reference names; None where nothing here has the name."""
        uri, fragment = urldefrag(
            base + reference if reference.startswith("#") else urljoin(base, reference)
        )
        if uri not in self._resources and uri in self._registered:
            self._index(self._documents[self._registered[uri]], uri)
        resource = self._resources.get(uri)
        if resource is None or not fragment:
            return resource
        fragment = unquote(fragment)
        if not fragment.startswith("/"):
            return self._anchors.get((uri, fragment))
        node: object = resource
        for step in fragment[1:].split("/"):
            node = child(node, step.replace("~1", "/").replace("~0", "~"))
            if node is None:
                return None
        self._index_at(node, uri)
        return node

    def _index_at(self, node: object, base: str) -> None:
        """A pointer may lead where no keyword does; its references count there too."""
        if isinstance(node, dict) and id(cast("object", node)) not in self._bases:
            self._index(cast("object", node), base)
