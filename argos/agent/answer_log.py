"""What the server did with a report, as the agent's log tells it."""

import json
import logging

from argos.protocol import ReportAnswer

log = logging.getLogger(__name__)

_MAX_REFUSALS_LOGGED = 5


def log_answer(answer: ReportAnswer) -> None:
    """Tell what was stored, and why some was not."""
    if log.isEnabledFor(logging.INFO):
        ids = json.dumps({"result_ids": answer.result_ids})
        log.info("Successfully posted results %s", ids)
    for refusal in answer.refused[:_MAX_REFUSALS_LOGGED]:
        log.warning(
            "The server refused a result of task %s: %s",
            refusal.task_id,
            refusal.reason,
        )
    if len(answer.refused) > _MAX_REFUSALS_LOGGED:
        log.warning("The server refused %d results in all", len(answer.refused))
