"""Lists of recipients: who hears of a website's problems."""

from collections.abc import Callable
from typing import Annotated

from argos.schemas.node import ListNode, Node, Refused, ScalarNode
from argos.schemas.reader import ReadBy, list_reader, read_raw
from argos.schemas.reading import Reading
from argos.schemas.wording import did_you_mean, show


def _recipient(node: Node, reading: Reading) -> str:
    value = read_raw(node, reading)
    if not isinstance(value, str):
        raise Refused(node, "must be a text, such as `mail`")
    return value


_read_names = list_reader(_recipient, "a recipient")


def _recipients(node: Node, reading: Reading) -> tuple[str, ...]:
    """The reader of lists from which those that cannot be reached are left out."""
    return _reachable(node, reading, reading.doubt)


def _own_recipients(node: Node, reading: Reading) -> tuple[str, ...]:
    """The reader of lists that 0.10.3 does not have: all must be reachable."""
    return _reachable(node, reading, reading.fault)


def _reachable(
    node: Node, reading: Reading, complain: Callable[[Node, str], None]
) -> tuple[str, ...]:
    names: tuple[str, ...] = _read_names(node, reading)
    known = reading.recipients
    if known is None or not isinstance(node, ListNode):
        return names
    for item, name in zip(node.items, names, strict=True):
        if name not in known:
            complain(item, _say_unknown(name, known))
    return tuple(name for name in names if name in known)


def _overwriting(node: Node, reading: Reading) -> tuple[str, ...] | None:
    """As in 0.10.3, unknown recipients overwrite nothing; but an empty list mutes."""
    names = _adding(node, reading)
    if isinstance(node, ListNode) and not node.items:
        reading.warn(node, "This list is empty: nobody will hear of this website")
        return ()
    return names or None


def _say_unknown(name: str, known: frozenset[str]) -> str:
    if name in {"mail", "gotify"}:
        return f"`{name}` has no effect: `general.{name}` is not configured"
    hint = did_you_mean(name, sorted(known))
    return f"{show(name)} names no recipient and has no effect{hint}"


def _adding(node: Node, reading: Reading) -> tuple[str, ...] | None:
    is_left_out = isinstance(node, ScalarNode) and node.value is None
    return None if is_left_out else _recipients(node, reading)


Recipients = Annotated[tuple[str, ...], ReadBy(_recipients)]
OwnRecipients = Annotated[tuple[str, ...], ReadBy(_own_recipients)]
"""Of a key that 0.10.3 does not have."""
AddedRecipients = Annotated[tuple[str, ...] | None, ReadBy(_adding)]
OverwritingRecipients = Annotated[tuple[str, ...] | None, ReadBy(_overwriting)]
