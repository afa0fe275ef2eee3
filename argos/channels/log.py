"""The recipient `local`: the server's own log."""

import logging

from argos.channels.base import Channel
from argos.channels.notice import Notice

log = logging.getLogger(__name__)


class LogChannel(Channel):
    """Writes a line of level ERROR for each change, whatever the news, as 0.10.3 does."""

    name = "local"
    is_patient = False

    def send(self, notice: Notice) -> None:
        if not notice.items:
            log.error("Alert: %s", notice.title)
        # People search their logs for these words of 0.10.3.
        for item in notice.items:
            log.error(
                "Alerting stub: task=%s, status=%s, severity=%s (%s)",
                item.task_id,
                item.status,
                item.severity,
                item.title,
            )
