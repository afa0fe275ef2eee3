"""How Argos logs; called by commands only."""

import logging
import re

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
    """Formats as 0.10.3 does (level, message), and never lets a secret through."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def configure_logging(level: str = "INFO", *, timestamps: bool = False) -> None:
    """Send the log to stderr, from `level` on."""
    layout = "%(levelname)-9s %(message)s"
    if timestamps:
        layout = f"%(asctime)s {layout}"
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(layout))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level.upper() == "INFO":
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
