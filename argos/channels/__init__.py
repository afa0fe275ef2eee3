"""The ways to send a notice. To add one, import its module here."""

from argos.channels import apprise, gotify, log, mail, ntfy, webhook
from argos.channels.base import (
    ATTEMPT_TIMEOUT_S,
    Channel,
    Setup,
    expand_recipient,
    find_setup,
    get_channels,
    list_setups,
    open_channel,
    recipient_name,
)
from argos.channels.notice import ICONS, Entry, Item, Notice, NoticeKind

__all__ = [
    "ATTEMPT_TIMEOUT_S",
    "ICONS",
    "Channel",
    "Entry",
    "Item",
    "Notice",
    "NoticeKind",
    "Setup",
    "apprise",
    "expand_recipient",
    "find_setup",
    "get_channels",
    "gotify",
    "list_setups",
    "log",
    "mail",
    "ntfy",
    "open_channel",
    "recipient_name",
    "webhook",
]
