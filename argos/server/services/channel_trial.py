"""Try a channel: send a notice that says it is a test, and tell how that went."""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from argos.channels import Notice, NoticeKind, find_setup, open_channel, recipient_name
from argos.clock import Clock, system_clock
from argos.core.incident import EventKind
from argos.core.probe import IPVersion
from argos.core.severity import Severity, Status
from argos.core.text import cut, visible
from argos.errors import DeliveryError
from argos.schemas import Config
from argos.server.queries.deliveries import ClaimedDelivery
from argos.server.services.attempt import Attempts, stumbled
from argos.server.services.notice import notice_of
from argos.server.services.own_words import in_own_words
from argos.server.services.wording import Wording, wording_for

log = logging.getLogger(__name__)

_MAX_ERROR_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Sample:
    """What a test notice tells of."""

    domain: str = "example.org"
    severity: Severity = Severity.CRITICAL


@dataclass(frozen=True, slots=True)
class Trial:
    """How sending to one target of a channel went."""

    recipient: str
    error: str | None = None
    """Why it did not work; None: it did."""


def try_channel(
    config: Config,
    name: str,
    sample: Sample | None = None,
    *,
    clock: Clock = system_clock,
) -> Sequence[Trial]:
    """Send to each target of a channel; one that fails stops no other.

    Raises a permanent DeliveryError when the config has no such channel.
    """
    setup = find_setup(name, config.general)
    notice = make_trial_notice(
        sample or Sample(), wording_for(name, config), clock=clock
    )
    return [_try(recipient, config, notice) for recipient in setup.recipients]


def _try(recipient: str, config: Config, notice: Notice) -> Trial:
    attempts = Attempts()
    name = recipient_name(recipient)
    try:
        attempts.send(
            recipient, lambda: open_channel(recipient, config.general), notice
        )
    except DeliveryError as err:
        return Trial(recipient, cut(visible(str(err)), _MAX_ERROR_LENGTH))
    except Exception as err:  # a channel's bug is what the test is to show
        log.exception("The channel of %s stumbled.", name)
        return Trial(recipient, stumbled(err))
    finally:
        attempts.close(recipient)
    return Trial(recipient)


def make_trial_notice(
    sample: Sample, wording: Wording, *, clock: Clock = system_clock
) -> Notice:
    """A notice like that of a real incident, which says that it is none."""
    now = clock.utcnow()
    is_ok = sample.severity is Severity.OK
    delivery = ClaimedDelivery(
        id=0,
        recipient="",
        message_id=f"test-{secrets.token_hex(8)}",
        created_at=now,
        notice=None,
        kind=EventKind.CLOSED if is_ok else EventKind.OPENED,
        at=now,
        severity=sample.severity,
        previous_severity=Severity.CRITICAL if is_ok else Severity.OK,
        status=Status.SUCCESS if is_ok else Status.FAILURE,
        facts={},
        agent_id=None,
        opened_at=now,
        incident_id=None,
        task_id=0,
        url=f"https://{sample.domain}/",
        ip_version=IPVersion.V4,
        check="body-contains",
    )
    notice = notice_of(delivery, wording)
    say = wording.texts.say
    note = say("This is a test: nothing happened to this website.")
    notice = replace(
        notice,
        kind=NoticeKind.TEST,
        lines=(*notice.lines, (say("Note"), note)),
        url=wording.link("/"),
        task_id=None,
    )
    worded = in_own_words(notice, wording.own)
    if worded.own_text is None or note in worded.own_text:
        return worded
    return replace(worded, own_text=f"{worded.own_text}\n\n{note}")
