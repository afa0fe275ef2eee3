"""YAML text to nodes, as PyYAML reads YAML 1.1, with the place of each value.

PyYAML's C parser gives events; its own tree would need a gigabyte for a large fleet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml
from yaml.constructor import ConstructorError
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from argos.schemas.node import (
    MAX_DEPTH,
    TOO_DEEP,
    BrokenNode,
    ListNode,
    MappingNode,
    Node,
    Refused,
    ScalarNode,
    ScalarValue,
    pack_place,
    unpack_place,
)
from argos.schemas.reading import Reading
from argos.schemas.wording import show, show_key

INCLUDE_TAG = "!include"
_HINTS = (
    ("scanning an alias", "; put quotes around a text that begins with `*`"),
    ("cannot start any token", "; indent with spaces, and put quotes around the text"),
    ("expected ',' or", "; put quotes around a text that holds `{`, `}` or `,`"),
    ("mapping values are not allowed", "; put quotes around a text that holds `: `"),
)
MAX_NODES = 50_000_000
FREE_EXPANSIONS = 10_000
EXPANSION_FACTOR = 100
"""Aliases may make a config so many times longer than it is written."""
MAX_INTEGER_BITS = 4096

_PREFIX = "tag:yaml.org,2002:"
_MERGE = f"{_PREFIX}merge"
_TEXT = f"{_PREFIX}str"
_SCALAR_TAGS = {
    _PREFIX + name for name in ("int", "float", "bool", "null", "timestamp", "binary")
}
_LIST_TAGS = {None, "!", f"{_PREFIX}seq", f"{_PREFIX}python/tuple"}
_MAPPING_TAGS = {None, "!", f"{_PREFIX}map"}
_RESOLVERS: dict[str, list[tuple[str, Any]]] = yaml.CSafeLoader.yaml_implicit_resolvers
"""By first character: which texts without quotes are no texts."""

IncludeReader = Callable[[Node, int], Node]
"""Takes what stands after `!include`, and how deep that is; gives what is included."""


class Tally:
    """How many nodes a config has, over all its files; keeps alias bombs out."""

    def __init__(self) -> None:
        self.total = 0
        """Each alias counted as what it stands for."""
        self._expanded = 0

    def add_alias(self, weight: int) -> bool:
        """Count an alias; False when aliases come to too much."""
        self.total += weight
        self._expanded += weight
        written = self.total - self._expanded
        return self._expanded <= FREE_EXPANSIONS + EXPANSION_FACTOR * written


class _Anchor(NamedTuple):
    node: Node
    weight: int
    """How many nodes an alias adds."""


_OPEN = _Anchor(BrokenNode(0), 0)
"""Stands for an anchor inside of its own node."""


@dataclass(slots=True)
class Source:
    """One file's text, and what reading it needs."""

    text: str
    file: int
    """Its index in the reading."""
    reading: Reading
    tally: Tally
    include: IncludeReader


def compose(source: Source, depth: int = 0) -> Node:
    """The root of a file; nothing, when it is empty.

    Raises Refused when the text is no YAML, or more than Argos is ready to read.
    """
    loader = yaml.CSafeLoader(source.text)
    try:
        return _Composer(source, loader).compose_document(depth)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(source, error) from error
    except ReaderError as error:
        raise _not_text(source, error) from error
    finally:
        loader.dispose()


class _Composer:
    def __init__(self, source: Source, loader: yaml.CSafeLoader) -> None:
        self._file = source.file
        self._reading = source.reading
        self._tally = source.tally
        self._include = source.include
        self._anchors: dict[str, _Anchor] = {}
        self._plain_values: dict[str, Any] = {}
        self._construct = loader.construct_object
        self._next = loader.get_event

    def compose_document(self, depth: int) -> Node:
        self._next()  # the stream's start
        start = self._next()
        if isinstance(start, StreamEndEvent):
            return ScalarNode(None, _place(self._file, start))
        root = self._compose(self._next(), depth)
        self._next()  # the document's end
        end = self._next()
        if not isinstance(end, StreamEndEvent):
            raise self._refused(
                _place(self._file, end),
                "Here begins a second document; a config file has only one",
            )
        return root

    def _compose(self, event: Any, depth: int) -> Node:
        kind = type(event)
        place = _place(self._file, event)
        if kind is AliasEvent:
            return self._alias(event.anchor, place)
        before = self._tally.total
        self._tally.total = before + 1
        anchor = event.anchor
        if anchor is not None:
            self._open_anchor(anchor, place)
        if kind is ScalarEvent:
            node = self._scalar(event, place, depth)
        else:
            node = self._collection(event, place, depth)
        if anchor is not None:
            self._anchors[anchor] = _Anchor(node, self._tally.total - before)
        return node

    def _collection(self, event: Any, place: int, depth: int) -> Node:
        if depth >= MAX_DEPTH:
            raise self._refused(place, f"The config {TOO_DEEP}")
        if self._tally.total > MAX_NODES:
            raise self._refused(place, f"The config has more than {MAX_NODES:,} values")
        tag = event.tag
        node: Node
        if isinstance(event, SequenceStartEvent):
            node = self._list(place, depth + 1)
            is_known = tag in _LIST_TAGS
        else:
            node = self._mapping(place, depth + 1)
            is_known = tag in _MAPPING_TAGS
        if is_known:
            return node
        if tag == INCLUDE_TAG:
            return self._include(node, depth)
        return self._unknown_tag(tag, place)

    def _list(self, place: int, depth: int) -> ListNode:
        items = []
        event = self._next()
        while type(event) is not SequenceEndEvent:
            items.append(self._compose(event, depth))
            event = self._next()
        return ListNode(items, place)

    def _mapping(self, place: int, depth: int) -> MappingNode:
        keys: list[ScalarNode] = []
        values: list[Node] = []
        merged: list[MappingNode] = []
        event = self._next()
        while type(event) is not MappingEndEvent:
            if event.__class__ is ScalarEvent and _is_merge(event):
                merged += self._merged(self._compose(self._next(), depth))
            else:
                keys.append(self._key(self._compose(event, depth)))
                values.append(self._compose(self._next(), depth))
            event = self._next()
        node = MappingNode(keys, values, place)
        if len(keys) > 1 and len({key.value for key in keys}) < len(keys):
            self._doubt_repeated(keys)
            merged.append(node)
        return _unite([*merged, node]) if merged else node

    def _key(self, node: Node) -> ScalarNode:
        if isinstance(node, ScalarNode):
            return node
        if not isinstance(node, BrokenNode):
            self._reading.fault(node, "A list or a mapping cannot be a key")
        return ScalarNode(None, node.place)

    def _merged(self, node: Node) -> list[MappingNode]:
        """The mappings of a merge key, the weakest first."""
        parts = reversed(node.items) if isinstance(node, ListNode) else [node]
        mappings = []
        for part in parts:
            if isinstance(part, MappingNode):
                mappings.append(part)
            elif not isinstance(part, BrokenNode):
                self._reading.fault(
                    part, "Only a mapping or a list of mappings can be merged with `<<`"
                )
        return mappings

    def _doubt_repeated(self, keys: list[ScalarNode]) -> None:
        first: dict[ScalarValue, ScalarNode] = {}
        for key in keys:
            earlier = first.setdefault(key.value, key)
            if earlier is not key:
                _, line, _ = unpack_place(earlier.place)
                self._reading.doubt(
                    key,
                    f"`{key.value}` stands twice in this mapping, first in line "
                    f"{line}; only the last one counts",
                )

    def _scalar(self, event: ScalarEvent, place: int, depth: int) -> Node:
        text = event.value
        if event.tag is not None and event.tag != "!":
            return self._tagged(event.tag, text, place, depth)
        candidates = _RESOLVERS.get(text[:1]) if event.implicit[0] else None
        if candidates is None:
            return ScalarNode(text, place)
        return self._plain(text, candidates, place)

    def _tagged(self, tag: str, text: str, place: int, depth: int) -> Node:
        if tag == _TEXT:
            return ScalarNode(text, place)
        if tag in _SCALAR_TAGS:
            return self._value(tag, text, place)
        if tag == INCLUDE_TAG:
            return self._include(ScalarNode(text, place), depth)
        return self._unknown_tag(tag, place)

    def _plain(self, text: str, candidates: list[tuple[str, Any]], place: int) -> Node:
        """A text without quotes, which may be meant as something else."""
        if text in self._plain_values:
            return ScalarNode(self._plain_values[text], place)
        for tag, pattern in candidates:
            if tag in _SCALAR_TAGS and pattern.match(text):
                node = self._value(tag, text, place)
                break
        else:
            node = ScalarNode(text, place)
        if isinstance(node, ScalarNode):
            self._plain_values[text] = node.value
        return node

    def _value(self, tag: str, text: str, place: int) -> Node:
        try:
            return ScalarNode(self._construct_value(tag, text), place)
        except (ValueError, LookupError, AttributeError, ConstructorError):
            node = BrokenNode(place)
            kind = tag.removeprefix(_PREFIX)
            self._reading.fault(
                node, f"{show(text)} is no usable {kind}; a text needs quotes"
            )
            return node

    def _construct_value(self, tag: str, text: str) -> ScalarValue:
        value: Any = self._construct(yaml.ScalarNode(tag, text))
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
            raise ValueError(text)
        return value  # type: ignore[no-any-return]  # as the tag says

    def _alias(self, name: str, place: int) -> Node:
        anchor = self._anchors.get(name)
        if anchor is None:
            raise self._refused(
                place, f"There is no anchor `&{name}` before this alias"
            )
        if anchor is _OPEN:
            raise self._refused(place, f"`*{name}` stands for a value that holds it")
        if not self._tally.add_alias(anchor.weight):
            raise self._refused(
                place, "The aliases of this config stand for too many values"
            )
        return anchor.node

    def _open_anchor(self, name: str, place: int) -> None:
        if name in self._anchors:
            raise self._refused(place, f"There is an anchor `&{name}` before this one")
        self._anchors[name] = _OPEN

    def _unknown_tag(self, tag: str, place: int) -> BrokenNode:
        node = BrokenNode(place)
        short = tag.replace(_PREFIX, "!!")
        self._reading.fault(node, f"Argos does not know the tag `{show_key(short)}`")
        return node

    def _refused(self, place: int, message: str) -> Refused:
        return Refused(BrokenNode(place), message, subject="")


def _place(file: int, event: Any) -> int:
    mark = event.start_mark
    return pack_place(file, mark.line, mark.column)


def _is_merge(event: ScalarEvent) -> bool:
    if event.tag is None:
        return event.value == "<<" and event.implicit[0]
    return event.tag == _MERGE


def _unite(mappings: list[MappingNode]) -> MappingNode:
    """One mapping of several, as a dict would have it: the first key, the last value."""
    pairs: dict[ScalarValue, tuple[ScalarNode, Node]] = {}
    for mapping in mappings:
        for key, value in mapping.pairs():
            first, _ = pairs.get(key.value, (key, value))
            pairs[key.value] = first, value
    keys = [key for key, _ in pairs.values()]
    values = [value for _, value in pairs.values()]
    return MappingNode(keys, values, mappings[-1].place)


def _not_yaml(source: Source, error: yaml.MarkedYAMLError) -> Refused:
    mark = error.problem_mark or error.context_mark
    place = pack_place(source.file, mark.line, mark.column) if mark else 0
    context = f", {error.context}" if error.context else ""
    if error.context and error.context_mark:
        context += f" that begins in line {error.context_mark.line + 1}"
    words = f"{error.problem}{context}"
    hint = next((hint for sign, hint in _HINTS if sign in words), "")
    return Refused(BrokenNode(place), f"This is not YAML: {words}{hint}", subject="")


def _not_text(source: Source, error: ReaderError) -> Refused:
    before = source.text.encode()[: error.position].decode(errors="ignore")
    line = before.count("\n")
    column = len(before) - before.rfind("\n") - 1
    return Refused(
        BrokenNode(pack_place(source.file, line, column)),
        f"YAML does not allow the character U+{error.character:04X} here; in double "
        f'quotes it can be written "\\u{error.character:04x}"',
        subject="",
    )
