"""The recipient `local`: the server's own log."""

import logging

from argos.channels.base import Channel, Notice

log = logging.getLogger(__name__)


class LogChannel(Channel):
    """Writes a line of level ERROR, whatever the news, as 0.10.3 does."""

    name = "local"

    def send(self, notice: Notice) -> None:
        if notice.task_id is None:
            log.error("Alert: %s", notice.title)
            return
        # People search their logs for these words of 0.10.3.
        log.error(
            "Alerting stub: task=%s, status=%s, severity=%s (%s)",
            notice.task_id,
            notice.status,
            notice.severity,
            notice.title,
        )
