"""From where websites are watched, and how many of these places must see a problem."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from argos.core.text import visible
from argos.schemas.fields import Name
from argos.schemas.node import Node
from argos.schemas.reader import locate
from argos.schemas.reading import Reading


def _check_location(name: str) -> str:
    # As a server keeps the names that agents give: else they would never meet.
    if visible(name) != name or name.strip() != name:
        raise ValueError(
            "must neither hold control characters nor begin or end with a blank"
        )
    return name


def _check_repeats(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    for place, name in enumerate(names or ()):
        if name in (names or ())[:place]:
            raise ValueError(f"must name each location once, not {name!r} twice")
    return names


_Location = Annotated[Name, AfterValidator(_check_location)]
Locations = Annotated[tuple[_Location, ...], AfterValidator(_check_repeats)]
OptionalLocations = Annotated[
    tuple[_Location, ...] | None, AfterValidator(_check_repeats)
]
Quorum = Annotated[int, Field(ge=1)]


def check_quorum(
    node: Node, reading: Reading, *, quorum: int | None, locations: Sequence[str]
) -> None:
    """Note a quorum that can never be reached, or asks nobody."""
    if quorum is None or quorum <= len(locations):
        return
    place = locate(node, ("quorum",))
    if not locations:
        reading.fault(place, "`quorum` counts `locations`, and there are none")
    else:
        reading.fault(
            place,
            f"`quorum` must be at most {len(locations)}, the number of `locations`",
        )
