"""Probes that take more than one request: redirects, all addresses, second looks."""

from dataclasses import replace

from msgspec.structs import replace as change

from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.redirect import next_hop
from argos.agent.engine.target import Target
from argos.agent.engine.transfer import Intake, Transfer
from argos.core.probe import (
    Details,
    FailureKind,
    IPVersion,
    Outcome,
    ProbeFailure,
    ProbeResponse,
)


def needs_second_look(transfer: Transfer, outcome: Outcome) -> bool:
    """Whether the handshake broke off so that libcurl tells nothing of a certificate.

    To listen to every handshake would cost each of them a fifth of its time.
    """
    return (
        isinstance(outcome, ProbeFailure)
        and outcome.kind is FailureKind.TLS
        and outcome.certificate is None
        and transfer.probe.wants_certificate
        and transfer.tap is None
    )


def second_look(transfer: Transfer, outcome: Outcome) -> Transfer:
    """The same again, listened to; the outcome stays the first one."""
    assert isinstance(outcome, ProbeFailure)
    request = replace(transfer.request, is_tapped=True)
    again = _heir(transfer, Target(transfer.probe, request))
    again.addresses = [transfer.address]
    again.known_addresses = transfer.known_addresses
    again.visited = transfer.visited
    again.former_us = transfer.former_us
    again.dns_us = transfer.dns_us
    again.started_at = transfer.started_at
    again.setback = outcome
    return again


def follow(
    transfer: Transfer, response: ProbeResponse, settings: EngineSettings
) -> Transfer | Outcome:
    """The transfer to which a redirect leads, or what comes of the probe instead."""
    visited = transfer.visited or (transfer.request.url,)
    hop = next_hop(
        transfer.probe,
        transfer.request,
        response,
        visited,
        user_agent=settings.user_agent,
        proxy=settings.proxy,
    )
    if hop is None:
        return response
    if isinstance(hop, ProbeFailure):
        return change(
            hop,
            timings=response.timings,
            certificate=response.certificate,
            remote_address=response.remote_address,
        )
    ahead = _heir(transfer, Target(hop.probe, hop.request))
    ahead.visited = (*visited, hop.request.url)
    return ahead


def branch(transfer: Transfer, address: str, intake: Intake) -> Transfer:
    """The transfer to one of all addresses."""
    child = Transfer(transfer.number, transfer.target, intake)
    child.started_at = transfer.started_at
    child.deadline_at = transfer.deadline_at
    child.dns_us = transfer.dns_us
    child.known_addresses = transfer.known_addresses
    child.fan = transfer.fan
    child.fan_place = child.address = address
    return child


def with_details(transfer: Transfer, outcome: Outcome) -> Outcome:
    """The outcome with what its journey showed; mostly that is nothing."""
    setback = transfer.setback
    if setback is not None:
        # The second handshake only was to show the certificate.
        outcome = change(setback, certificate=outcome.certificate)
    known = transfer.known_addresses
    if transfer.tap is None and not transfer.visited and len(known) < 2:
        return outcome
    details = Details(
        addresses=known if len(known) > 1 else (),
        hops=transfer.visited[1:],
        handshake=transfer.tap.handshake if transfer.tap is not None else None,
    )
    return change(outcome, details=details)


def other_version(version: IPVersion) -> IPVersion:
    """The IP version that it is not."""
    return IPVersion.V6 if version is IPVersion.V4 else IPVersion.V4


def _heir(transfer: Transfer, target: Target) -> Transfer:
    heir = Transfer(transfer.number, target, transfer.intake)
    heir.deadline_at = transfer.deadline_at
    heir.fan = transfer.fan
    heir.fan_place = transfer.fan_place
    return heir
