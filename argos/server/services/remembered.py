"""Moments that a duty remembers from one look to the next, as its note keeps them."""

from datetime import datetime
from typing import Any, Self

from argos.server.columns import from_epoch_us, to_epoch_us


class Remembered:
    """A dataclass of moments, some of which may be None."""

    __slots__ = ()

    @classmethod
    def read(cls, note: dict[str, Any] | None) -> Self | None:
        """What `write` wrote; None: nothing is remembered."""
        if note is None:
            return None
        names: dict[str, Any] = cls.__dataclass_fields__  # type: ignore[attr-defined]  # see above
        return cls(**{
            name: None if note.get(name) is None else from_epoch_us(note[name])
            for name in names
        })

    def write(self) -> dict[str, Any]:
        """As JSON-ready numbers."""
        names: dict[str, Any] = self.__dataclass_fields__  # type: ignore[attr-defined]  # see above
        moments: dict[str, datetime | None] = {
            name: getattr(self, name) for name in names
        }
        return {
            name: None if moment is None else to_epoch_us(moment)
            for name, moment in moments.items()
        }
