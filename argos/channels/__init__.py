"""The ways to send a notice. To add one, import its module here."""

from argos.channels import apprise, gotify, log, mail
from argos.channels.base import (
    ICONS,
    Channel,
    Notice,
    NoticeKind,
    expand_recipient,
    get_channel,
    get_channels,
    recipient_name,
)

__all__ = [
    "ICONS",
    "Channel",
    "Notice",
    "NoticeKind",
    "apprise",
    "expand_recipient",
    "get_channel",
    "get_channels",
    "gotify",
    "log",
    "mail",
    "recipient_name",
]
