"""The config file, and the names that others import."""

from argos.protocol import AgentResult, SerializableException, Task
from argos.schemas.config import Config
from argos.schemas.website import Website, WebsiteCheck, WebsitePath

__all__ = [
    "AgentResult",
    "Config",
    "SerializableException",
    "Task",
    "Website",
    "WebsiteCheck",
    "WebsitePath",
]
