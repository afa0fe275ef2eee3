"""What the server has to say of what an agent found."""

import json
from functools import cache, lru_cache
from typing import Any

from argos.checks import get_registered_check
from argos.checks.base import BaseCheck, FinalizeRules, finalize_by_status
from argos.core.severity import Severity, Status
from argos.errors import CheckNotFound
from argos.schemas import Config
from argos.server.queries.calm import Glance
from argos.server.services.report import ReadItem

NOTHING = "{}"
WELL = (Status.SUCCESS, Severity.OK)
_EXPECTED_FACTS = {"expected", "retrieved"}
_SHORT = 300
"""Characters of a context that is worth to be remembered."""


def finalize(
    item: ReadItem, task: Glance, rules: FinalizeRules
) -> tuple[Status, Severity]:
    """The final status and the severity of a result."""
    check = _judge(task.check)
    if check is None:
        return finalize_by_status(item.result.status)
    return check.finalize(item.result.status, item.facts, rules, expected=task.expected)


def well_context(item: ReadItem, task: Glance, rules: FinalizeRules) -> str | None:
    """The context of a result that is well; None: it is not."""
    if _judge(task.check) is None:
        if item.result.status is not Status.SUCCESS:
            return None
    elif finalize(item, task, rules) != WELL:
        return None
    return stored_context(item, task, Status.SUCCESS)


def stored_context(item: ReadItem, task: Glance, status: Status) -> str:
    """The context of a result, as far as it says what is not known without it."""
    if status is not Status.SUCCESS:
        return item.context
    if len(item.context) <= _SHORT:
        return _success_context(task.check, item.context)
    is_silent = _is_success_silent(task.check)
    return (
        NOTHING if is_silent and item.facts.keys() <= _EXPECTED_FACTS else item.context
    )


@lru_cache(maxsize=4096)  # those of websites that are well are mostly alike
def _success_context(check: str, context: str) -> str:
    if not _is_success_silent(check):
        return context
    facts: dict[str, Any] = json.loads(context)
    return NOTHING if facts.keys() <= _EXPECTED_FACTS else context


@cache
def _judge(name: str) -> type[BaseCheck] | None:
    """The check, if it judges itself; most go by the status that the agent found."""
    try:
        check = get_registered_check(name)
    except CheckNotFound:
        return None
    is_own = check.finalize.__func__ is not BaseCheck.finalize.__func__  # type: ignore[attr-defined]  # class methods have it
    return check if is_own else None


@cache
def _is_success_silent(name: str) -> bool:
    try:
        return get_registered_check(name).is_success_silent
    except CheckNotFound:
        return False


def finalize_rules(config: Config) -> FinalizeRules:
    """What the config says on judging."""
    return FinalizeRules(
        ssl_thresholds=tuple(config.ssl.thresholds), ssl_invalid=config.ssl.invalid
    )
