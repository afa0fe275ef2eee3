"""From nodes to the models of the config; the models are the only description of it.

What YAML gives goes to pydantic, and pydantic's errors come back as sentences with the
place of the value. Fields with more to them than a type name a reader of their own.
"""

import dataclasses
from collections.abc import Callable, Mapping as AbstractMapping, Set as AbstractSet
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    NamedTuple,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel, ValidationError

from argos.schemas.node import (
    MAX_DEPTH,
    TOO_DEEP,
    BrokenNode,
    ListNode,
    MappingNode,
    Node,
    Refused,
    ScalarNode,
)
from argos.schemas.reading import Reading
from argos.schemas.wording import LIST, MAPPING, describe, did_you_mean, say_unknown

Reader: TypeAlias = Callable[[Node, Reading], Any]
"""Returns the value to use; raises Refused."""

PRIVATE_KEY = "x-"
"""Keys that begin so are the user's own, for instance to hold anchors."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReadBy:
    """Marks a field whose values have a reader of their own."""

    read: Reader


@dataclasses.dataclass(frozen=True, slots=True)
class SpreadOut:
    """Marks a field of a model whose own keys stand among the others; None: none do."""


def reader_for(annotation: Any, subject: str) -> Reader:
    """The reader of values of this type; the subject is how messages call them."""
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Annotated:
        marks = (mark.read for mark in arguments[1:] if isinstance(mark, ReadBy))
        return next(marks, None) or reader_for(arguments[0], subject)
    if origin in {Union, UnionType}:
        (other,) = set(arguments) - {NoneType}
        return _optional(reader_for(other, subject))
    if origin in {tuple, AbstractMapping}:
        is_entry = subject.startswith("an entry of ")
        entry = subject if is_entry else f"an entry of {subject}"
        return _container_reader(origin, arguments, entry)
    if isinstance(annotation, type) and _is_model(annotation):
        return model_reader(annotation)
    return read_raw


def _container_reader(origin: Any, arguments: tuple[Any, ...], entry: str) -> Reader:
    if origin is AbstractMapping:
        return _names_reader(reader_for(arguments[1], entry), entry)
    read_entry = reader_for(arguments[0], entry)
    return read_raw if read_entry is read_raw else list_reader(read_entry, entry)


def read_raw(node: Node, reading: Reading, depth: int = 0) -> Any:
    """The plain value of a node, environment variables filled in."""
    if isinstance(node, ScalarNode):
        return reading.value(node)
    if depth == MAX_DEPTH:
        raise Refused(node, TOO_DEEP)
    if isinstance(node, ListNode):
        return [read_raw(item, reading, depth + 1) for item in node.items]
    if isinstance(node, MappingNode):
        return {
            key.value: read_raw(value, reading, depth + 1)
            for key, value in node.pairs()
        }
    raise Refused(node)


def list_reader(read_entry: Reader, entry: str) -> Reader:
    """The reader of lists; `entry` is how messages call an entry."""

    def read(node: Node, reading: Reading) -> tuple[Any, ...]:
        if not isinstance(node, ListNode):
            raise wrong_shape(node, LIST)
        entries = []
        is_faulty = False
        for item in node.items:
            try:
                entries.append(read_entry(item, reading))
            except Refused as refused:
                reading.refuse(refused, entry)
                is_faulty = True
        if is_faulty:
            raise Refused(node)
        return tuple(entries)

    return read


def _names_reader(read_entry: Reader, entry: str) -> Reader:
    """The reader of mappings whose keys the user chooses."""

    def read(node: Node, reading: Reading) -> dict[str, Any]:
        if not isinstance(node, MappingNode):
            raise wrong_shape(node, MAPPING)
        entries = {}
        is_faulty = False
        for key, value in node.pairs():
            try:
                entries[_name(key)] = read_entry(value, reading)
            except Refused as refused:
                reading.refuse(refused, entry)
                is_faulty = True
        if is_faulty:
            raise Refused(node)
        return entries

    return read


def _name(key: ScalarNode) -> str:
    if isinstance(key.value, str):
        return key.value
    raise Refused(key, "must have a text as its name; put it in quotes")


def _optional(read: Reader) -> Reader:
    def read_optional(node: Node, reading: Reading) -> Any:
        if isinstance(node, ScalarNode) and node.value is None:
            return None
        return read(node, reading)

    return read_optional


@cache
def model_reader(model: type) -> Reader:
    """The reader of a model: a pydantic model or dataclass."""
    fields, parts = _fields(model)
    readers = {
        name: reader_for(annotation, f"`{name}`") for name, annotation in fields.items()
    }
    known = tuple(readers)

    def read(node: Node, reading: Reading) -> Any:
        if not isinstance(node, MappingNode):
            raise wrong_shape(node, MAPPING)
        values: dict[Any, Any] = {}
        refused_names = set()
        for key, value in node.pairs():
            name = key.value
            read_value = readers.get(name)  # type: ignore[arg-type]  # any key may come
            if read_value is None:
                doubt_unknown_key(key, known, reading)
                continue
            try:
                values[name] = read_value(value, reading)
            except Refused as refused:
                reading.refuse(refused, f"`{name}`")
                refused_names.add(name)
        built, errors = _build(model, parts, values)
        for each in errors:
            _note_errors(each, node, reading, known=known, refused_names=refused_names)
        if errors or refused_names:
            raise Refused(node)
        return built

    return read


class _Part(NamedTuple):
    """A field whose model's own keys stand among the others."""

    name: str
    model: type
    keys: AbstractSet[str]


def _fields(model: type) -> tuple[dict[str, Any], list[_Part]]:
    """The types by key, and which fields are spread out over keys of their own."""
    hints = get_type_hints(model, include_extras=True)
    fields = {name: hints[name] for name in hints if name in _field_names(model)}
    parts = [
        _Part(name, part, frozenset(_field_names(part)))
        for name in fields
        if (part := _spread_out(fields[name]))
    ]
    for part in parts:
        del fields[part.name]
        fields |= _fields(part.model)[0]
    return fields, parts


def _spread_out(annotation: Any) -> Any:
    """The model of a field whose keys stand among the others."""
    if get_origin(annotation) is Annotated and SpreadOut() in annotation.__metadata__:
        (model,) = set(get_args(get_args(annotation)[0])) - {NoneType}
        return model
    return None


def _build(
    model: type, parts: list[_Part], values: dict[Any, Any]
) -> tuple[Any, list[ValidationError]]:
    """The model of these values, those of its parts gathered; or all that is wrong."""
    errors = []
    built = None
    for part in parts:
        own = {key: values.pop(key) for key in part.keys & values.keys()}
        if own:
            try:
                values[part.name] = part.model(**own)
            except ValidationError as error:
                errors.append(error)
    try:
        built = model(**values)
    except ValidationError as error:
        errors.append(error)
    return built, errors


def wrong_shape(node: Node, needed: str) -> Refused:
    """What to raise on a list where a mapping is needed, and the like."""
    if isinstance(node, BrokenNode):
        return Refused(node)
    is_empty = isinstance(node, ScalarNode) and node.value is None
    return Refused(node, f"must be {needed}{', not nothing' if is_empty else ''}")


def doubt_unknown_key(
    key: ScalarNode, known: tuple[str, ...], reading: Reading
) -> None:
    """Note a key that has no effect, unless it is marked as the user's own."""
    name = str(key.value)
    if not name.startswith(PRIVATE_KEY):
        reading.doubt(key, say_unknown(name, known))


def _note_errors(
    error: ValidationError,
    node: MappingNode,
    reading: Reading,
    *,
    known: tuple[str, ...],
    refused_names: set[Any],
) -> None:
    """Note what pydantic found, but for values that were refused before."""
    for details in error.errors(include_url=False):
        name = details["loc"][0]
        if name in refused_names:
            continue
        place = locate(node, details["loc"])
        words = f"`{name}`" if len(details["loc"]) == 1 else f"an entry of `{name}`"
        hint = ""
        if details["type"] == "missing":
            strays = [str(key.value) for key in node.keys if key.value not in known]
            hint = did_you_mean(str(name), strays, question="is it")
        reading.refuse(Refused(place, describe(details) + hint), words)


def locate(node: Node, path: tuple[int | str, ...]) -> Node:
    """The node that a pydantic location leads to, or the last one on the way."""
    for step in path:
        if isinstance(node, MappingNode):
            below = node.get(step)
        elif isinstance(node, ListNode) and isinstance(step, int):
            below = node.items[step]
        else:
            below = None
        if below is None:
            break
        node = below
    return node


def _field_names(model: type) -> AbstractSet[str]:
    if issubclass(model, BaseModel):
        return model.model_fields.keys()
    return get_type_hints(model).keys()


def _is_model(annotation: type) -> bool:
    return issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)
