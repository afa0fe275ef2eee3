"""How `argos check` shows what it found: as tables, or as JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from argos.clock import utcnow
from argos.commands.probing import Finding, Judgement
from argos.core.probe import Certificate, Details, Outcome, ProbeFailure, Timings
from argos.core.severity import Severity, worst
from argos.core.text import cut, visible

STYLES = {
    Severity.OK: "green",
    Severity.WARNING: "yellow",
    Severity.CRITICAL: "bold red",
    Severity.UNKNOWN: "magenta",
}
PHASES = ("dns", "connect", "tls", "first_byte", "transfer", "total")
_MAX_FACT_LENGTH = 200


def print_findings(findings: Iterable[Finding]) -> None:
    """Print one table for each probe."""
    console = Console(highlight=False)
    for finding in findings:
        for line in _describe(finding):
            console.print(line)
        console.print(_table(finding.judgements))


def _describe(finding: Finding) -> list[Text]:
    """What there is to say of the probe as a whole."""
    task = finding.judgements[0].task
    url = finding.probe.url if finding.probe is not None else task.url
    title = visible(f"{task.method} {url} (IPv{task.ip_version})")
    lines = [Text(title, style="bold")]
    outcome = finding.outcome
    if outcome is None:
        return lines
    told = [_answer(outcome), _phases(outcome.timings), *_way(outcome)]
    if outcome.certificate is not None:
        told += _certificates(outcome.certificate)
    return [*lines, *(Text(visible(line)) for line in told)]


def _way(outcome: Outcome) -> Iterator[str]:
    """How it got there: redirects, addresses, and what was agreed upon."""
    details = outcome.details
    if details.hops:
        yield f"Redirects: {' → '.join(details.hops)}"
    if details.by_address:
        for each in details.by_address:
            yield f"  {_answer(each)}"
    elif details.addresses:
        yield f"Addresses: {', '.join(details.addresses)}"
    if details.handshake is not None:
        yield f"Handshake: {details.handshake.protocol}, {details.handshake.cipher}"


def _answer(outcome: Outcome) -> str:
    address = f" from {outcome.remote_address}" if outcome.remote_address else ""
    if isinstance(outcome, ProbeFailure):
        return f"No answer{address} ({outcome.kind}): {outcome.message}"
    size = f"{len(outcome.body)} bytes" + (" and more" if outcome.body_is_cut else "")
    return f"Status {outcome.status_code}, HTTP/{outcome.http_version}{address}, {size}"


def _phases(timings: Timings) -> str:
    phases = milliseconds(timings)
    shown = [f"{name.replace('_', ' ')} {value:g} ms" for name, value in phases.items()]
    return f"Time: {', '.join(shown) or 'not measured'}"


def milliseconds(timings: Timings) -> dict[str, float]:
    """The phases that took place."""
    found = {name: getattr(timings, f"{name}_us") for name in PHASES}
    return {name: value / 1000 for name, value in found.items() if value is not None}


def _certificates(certificate: Certificate) -> Iterator[str]:
    """The website's own certificate, and the others of its chain."""
    fault = f"; not accepted: {certificate.fault}" if certificate.fault else ""
    unverified = "" if certificate.is_verified else "; not verified"
    key = f", {certificate.key}" if certificate.key else ""
    yield (
        f"Certificate: {certificate.subject}{key}, issued by {certificate.issuer},"
        f" {_until(certificate.not_after)}{fault}{unverified}"
    )
    for link in certificate.chain:
        key = f", {link.key}" if link.key else ""
        yield f"  signed by: {link.subject}{key}, {_until(link.not_after)}"


def _until(moment: datetime) -> str:
    days = (moment - utcnow()).days
    return f"until {moment:%Y-%m-%d %H:%M} UTC ({days} days)"


def _table(judgements: Iterable[Judgement]) -> Table:
    table = Table("Check", "Expected", "Status", "Severity", "Facts")
    for one in judgements:
        table.add_row(
            one.task.check,
            Text(visible(cut(one.task.expected, _MAX_FACT_LENGTH))),
            one.verdict.status,
            Text(one.severity, style=STYLES[one.severity]),
            Text(_facts(one.verdict.facts)),
        )
    return table


def _facts(facts: Mapping[str, Any]) -> str:
    lines = [
        visible(cut(f"{name}: {value}", _MAX_FACT_LENGTH))
        for name, value in facts.items()
        if value not in {"", None}
    ]
    return "\n".join(lines)


def print_json(findings: Iterable[Finding]) -> None:
    """Print everything as one JSON object."""
    probes = [_as_json(finding) for finding in findings]
    severity = worst(Severity(probe["severity"]) for probe in probes)
    document = {"severity": severity, "probes": probes}
    print(json.dumps(document, indent=2, default=_encode))


def _encode(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _as_json(finding: Finding) -> dict[str, Any]:
    task = finding.judgements[0].task
    document: dict[str, Any] = {
        "url": finding.probe.url if finding.probe is not None else task.url,
        "method": task.method,
        "ip_version": task.ip_version,
        "severity": worst(one.severity for one in finding.judgements),
        "checks": [
            {
                "check": one.task.check,
                "expected": one.task.expected,
                "status": one.verdict.status,
                "severity": one.severity,
                "facts": dict(one.verdict.facts),
            }
            for one in finding.judgements
        ],
    }
    if finding.outcome is not None:
        document |= _outcome_as_json(finding.outcome)
    return document


def _outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    document: dict[str, Any] = {
        "remote_address": outcome.remote_address,
        "milliseconds": milliseconds(outcome.timings),
    }
    if isinstance(outcome, ProbeFailure):
        document["failure"] = {"kind": outcome.kind, "message": outcome.message}
    else:
        document["status_code"] = outcome.status_code
        document["http_version"] = outcome.http_version
    document |= _details_as_json(outcome.details)
    if (certificate := outcome.certificate) is not None:
        document["certificate"] = asdict(certificate)
    return document


def _details_as_json(details: Details) -> dict[str, Any]:
    document: dict[str, Any] = {
        "addresses": details.addresses,
        "hops": details.hops,
        "by_address": [_outcome_as_json(each) for each in details.by_address],
    }
    if details.handshake is not None:
        document["handshake"] = asdict(details.handshake)
    return {name: value for name, value in document.items() if value}
