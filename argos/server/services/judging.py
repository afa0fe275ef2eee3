"""What the server has to say of what an agent found."""

import json
from collections.abc import Mapping, Sequence
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
    return _finalize(item, task.check, task.expected, rules)


def _finalize(
    item: ReadItem, name: str, expected: str, rules: FinalizeRules
) -> tuple[Status, Severity]:
    check = judge(name)
    if check is None:
        return finalize_by_status(item.result.status)
    return check.finalize(item.result.status, item.facts, rules, expected=expected)


def well_contexts(
    items: Sequence[ReadItem],
    checks: Sequence[str],
    expected: Mapping[int, str],
    rules: FinalizeRules,
) -> list[str]:
    """The contexts of results of some checks, up to the first that is not well.

    What is expected is told, by task, of checks that judge themselves only.
    """
    contexts: list[str] = []
    for item, check in zip(items, checks, strict=True):
        wanted = expected.get(item.result.task_id) if expected else None
        if wanted is not None:
            if _finalize(item, check, wanted, rules) != WELL:
                break
        elif item.result.status is not Status.SUCCESS:
            break
        context = item.context
        if len(context) <= _SHORT:
            contexts.append(_success_context(check, context))
        else:
            contexts.append(stored_context(item, check, Status.SUCCESS))
    return contexts


def stored_context(item: ReadItem, name: str, status: Status) -> str:
    """The context of a result, as far as it says what is not known without it."""
    if status is not Status.SUCCESS:
        return item.context
    if len(item.context) <= _SHORT:
        return _success_context(name, item.context)
    is_silent = _is_success_silent(name)
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
def judge(name: str) -> type[BaseCheck] | None:
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
