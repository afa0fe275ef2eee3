"""Probing and judging tasks at once, as an agent and a server do together."""

import asyncio
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from argos.agent.engine import EngineSettings, create_engine
from argos.agent.judging import judge_tasks
from argos.agent.probing import plan_probes
from argos.checks import get_registered_check
from argos.checks.base import FinalizeRules, Verdict
from argos.clock import utcnow
from argos.core.probe import Outcome, Probe
from argos.core.severity import Severity
from argos.errors import ArgosError
from argos.protocol import Task

if TYPE_CHECKING:
    from argos.server.settings import LoadedConfig

PROBES_AT_ONCE = 20

DEFAULT_RULES = FinalizeRules(
    ssl_thresholds=((1, Severity.CRITICAL), (5, Severity.WARNING))
)
"""As in the example config."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of one check."""

    task: Task
    verdict: Verdict
    severity: Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe showed."""

    probe: Probe | None
    """None: there could be none."""
    outcome: Outcome | None
    judgements: list[Judgement]


def tasks_of_urls(
    urls: tuple[str, ...],
    *,
    ip_version: str,
    timeout_s: float,
    options: dict[str, Any] | None = None,
) -> list[Task]:
    """The checks that suit any website."""
    tasks: list[Task] = []
    for url in map(_complete, urls):
        wanted = {"status-is": "200"}
        if url.startswith("https:"):
            wanted["ssl-certificate-expiration"] = "on-check"
        tasks += [
            Task(
                id=len(tasks) + n,
                url=url,
                domain=url,
                ip_version=ip_version,  # type: ignore[arg-type]  # pydantic converts it
                check=name,
                method="GET",
                request_data=None,
                expected=expected,
                task_group=url,
                timeout_s=timeout_s,
                options=options,
            )
            for n, (name, expected) in enumerate(wanted.items())
        ]
    return tasks


def _complete(url: str) -> str:
    """The URL with its scheme and path; a usage error when it can be none."""
    if "://" not in url:
        url = f"https://{url}"
    scheme, _, rest = url.partition("://")
    try:
        has_host = bool(urlsplit(url).hostname)
    except ValueError:
        has_host = False
    if scheme.lower() not in {"http", "https"}:
        raise click.UsageError(
            f"{url}: Argos watches http:// and https:// URLs, not {scheme}://."
        )
    if not has_host:
        raise click.UsageError(f"{url} is not a URL.")
    return f"{scheme.lower()}://{rest}"


def tasks_of_domains(
    loaded: "LoadedConfig", domains: tuple[str, ...], *, ip_version: str | None
) -> list[Task]:
    """The config's tasks of some websites, named by domain or by host."""
    from argos.server.plan import wanted_tasks

    wanted = wanted_tasks(loaded.config)
    chosen = {
        website.domain
        for website in wanted.websites.values()
        if {website.domain, website.domain.rstrip("/"), website.host} & set(domains)
    }
    tasks = [
        Task(
            id=n,
            url=task.url,
            domain=task.attributes.domain,
            ip_version=task.ip_version,
            check=task.check,
            method=task.method,  # type: ignore[arg-type]  # the config has checked it
            request_data=task.request_data,
            expected=task.expected,
            task_group=task.task_group,
            timeout_s=wanted.groups[task.attributes.group_key].timeout_s,
            options=json.loads(
                wanted.groups[task.attributes.group_key].options or "null"
            ),
        )
        for n, task in enumerate(wanted.tasks.values())
        if task.attributes.domain in chosen and ip_version in {None, task.ip_version}
    ]
    if not tasks:
        raise ArgosError(f"The config has no tasks for {' or '.join(domains)}.")
    return tasks


async def look(tasks: list[Task], rules: FinalizeRules) -> list[Finding]:
    """Probe and judge, as an agent and a server do together."""
    plan = plan_probes(tasks)
    engine = create_engine(EngineSettings(slots=PROBES_AT_ONCE))
    await engine.start()
    try:
        outcomes = await asyncio.gather(
            # Handshakes are listened to: people want to see what was agreed upon.
            *(
                engine.probe(replace(group.probe, wants_handshake=True))
                for group in plan.groups
            )
        )
    finally:
        await engine.close()
    findings = [
        Finding(None, None, [_finalize(task, verdict, rules)])
        for task, verdict in plan.hopeless
    ]
    for group, outcome in zip(plan.groups, outcomes, strict=True):
        verdicts = judge_tasks(group.tasks, outcome, now=utcnow())
        judgements = [_finalize(task, verdict, rules) for task, verdict in verdicts]
        findings.append(Finding(group.probe, outcome, judgements))
    return findings


def _finalize(task: Task, verdict: Verdict, rules: FinalizeRules) -> Judgement:
    check = get_registered_check(task.check)
    status, severity = check.finalize(
        verdict.status, verdict.facts, rules, expected=task.expected
    )
    return Judgement(task, Verdict(status, verdict.facts), severity)
