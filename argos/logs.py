"""How Argos logs; called by commands only."""

import logging
import re
from typing import Any

LAYOUT = "%(levelname)-9s %(message)s"
"""As 0.10.3 has it: a level, and a message."""

_SECRET = re.compile(
    r"(?i)(?:(bearer\s+|token=|password=|passwd=|secret=)[^\s&@\"']+"
    # The password of a URL; what is followed by no "@" is a port.
    r"|(://[^:/@\s]+:)[^\s/@\"']+(?=@))"
)

_CHATTY = (
    "httpx2",
    "httpcore2",
    "alembic.runtime.plugins",
    "alembic.runtime.migration",
)
"""Libraries whose INFO is nobody's news."""


def redact(text: str) -> str:
    """The text with what looks like a secret blotted out."""
    return _SECRET.sub(r"\1\2***", text)


class RedactingFormatter(logging.Formatter):
    """Formats a record, and never lets a secret through."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def configure_logging(level: str = "INFO", *, timestamps: bool = False) -> None:
    """Send the log to stderr, from `level` on."""
    layout = f"%(asctime)s {LAYOUT}" if timestamps else LAYOUT
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(layout))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level.upper() == "INFO":
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)


def logging_settings(level: str = "INFO") -> dict[str, Any]:
    """The same for `logging.config.dictConfig`, in processes that a library starts."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"argos": {"()": RedactingFormatter, "fmt": LAYOUT}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "argos"}
        },
        "root": {"level": level.upper(), "handlers": ["stderr"]},
    }
