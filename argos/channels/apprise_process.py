"""A process that sends one notice through the Apprise library, and ends.

Takes the order as JSON on its standard input, and tells what went wrong on its standard
output. Redirects are not followed: they may lead to where no notice may go.
"""

import json
import logging
import sys
from typing import Any

from argos.channels.apprise import REFUSED, UNUSABLE


def main() -> int:
    """Send, and return how it went."""
    from apprise import Apprise

    order = json.load(sys.stdin)
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(message)s")
    _follow_no_redirects()
    service = Apprise()
    if not service.add(order["url"]):
        return UNUSABLE
    is_taken = service.notify(
        body=order["body"], title=order["title"], notify_type=order["type"]
    )
    return 0 if is_taken else REFUSED


def _follow_no_redirects() -> None:
    """Let the library that Apprise posts with take a redirect for an answer."""
    import requests

    def none(_session: Any, _answer: Any) -> None:
        return None

    # In this process only.
    setattr(requests.Session, "get_redirect_target", none)  # noqa: B010  # mypy refuses the other way


if __name__ == "__main__":
    sys.exit(main())
