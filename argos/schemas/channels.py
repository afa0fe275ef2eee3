"""The reader of `general.channels`: channels with names, each by its type."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from argos.schemas.channel import CHANNEL_MODELS, ChannelSettings
from argos.schemas.node import MappingNode, Node, Refused, ScalarNode
from argos.schemas.reader import ReadBy, model_reader, wrong_shape
from argos.schemas.reading import Reading
from argos.schemas.wording import MAPPING, did_you_mean, show

TAKEN_NAMES = frozenset({"local", "mail", "gotify", "apprise"})
"""Recipients that mean something else already."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_TYPES = ", ".join(f"`{name}`" for name in CHANNEL_MODELS)


def read_channels(node: Node, reading: Reading) -> dict[str, ChannelSettings]:
    """The reader of the mapping from names to settings."""
    if isinstance(node, ScalarNode) and node.value is None:
        return {}
    if not isinstance(node, MappingNode):
        raise wrong_shape(node, MAPPING)
    channels = {}
    is_faulty = False
    for key, value in node.pairs():
        try:
            channels[_name(key)] = _read_channel(value, reading)
        except Refused as refused:
            reading.refuse(refused, f"`{key.value}`")
            is_faulty = True
    if is_faulty:
        raise Refused(node)
    return channels


def _name(key: ScalarNode) -> str:
    name = key.value
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Refused(
            key,
            f"The name of a channel must have small letters, digits, - and _, at most "
            f"40, not {show(name)}",
            subject="",
        )
    if name in TAKEN_NAMES:
        raise Refused(
            key,
            f"`{name}` is a recipient of its own already; give this channel another "
            f"name, such as `{name}-team`",
            subject="",
        )
    return name


def _read_channel(node: Node, reading: Reading) -> Any:
    if not isinstance(node, MappingNode):
        raise wrong_shape(node, MAPPING)
    kind = node.get("type")
    if kind is None:
        raise Refused(
            node, f"`type` is missing here; it is one of {_TYPES}", subject=""
        )
    value = kind.value if isinstance(kind, ScalarNode) else None
    model = CHANNEL_MODELS.get(str(value))
    if model is None:
        hint = did_you_mean(str(value), list(CHANNEL_MODELS))
        raise Refused(
            kind, f"`type` must be one of {_TYPES}, not {show(value)}{hint}", subject=""
        )
    return model_reader(model)(node, reading)


Channels = Annotated[Mapping[str, ChannelSettings], ReadBy(read_channels)]
