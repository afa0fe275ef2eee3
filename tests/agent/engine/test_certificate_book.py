"""How long a certificate is remembered."""

from datetime import UTC, datetime

import pytest

from argos.agent.engine.certificate_book import MAX_AGE, MAX_ENTRIES, CertificateBook
from argos.agent.engine.request import prepare_request
from argos.agent.engine.target import Target
from argos.agent.engine.transfer import Intake, Transfer
from argos.core.probe import (
    Certificate,
    FailureKind,
    Probe,
    ProbeFailure,
    ProbeResponse,
)
from tests.hand_clock import HandClock

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
ANSWER = ProbeResponse(200, certificate=Certificate(MOMENT, MOMENT, "a", "b"))


def transfer_to(url: str, address: str = "192.0.2.1") -> Transfer:
    probe = Probe(url)
    target = Target(probe, prepare_request(probe, user_agent="x"))
    transfer = Transfer(1, target, Intake(10))
    transfer.address = address
    return transfer


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def book(clock):
    book = CertificateBook(clock)
    book.note(transfer_to("https://a.example/one"), ANSWER)
    return book


def test_certificate_is_known_for_all_pages_of_a_website(book):
    assert book.find(transfer_to("https://a.example/two")) == ANSWER.certificate


@pytest.mark.parametrize(
    "other",
    [
        transfer_to("https://b.example/one"),
        transfer_to("https://a.example:444/one"),
        transfer_to("https://a.example/one", "192.0.2.2"),
    ],
    ids=["host", "port", "address"],
)
def test_certificate_of_one_website_is_not_taken_for_anothers(book, other):
    assert book.find(other) is None


def test_certificate_is_read_again_after_some_minutes(book, clock):
    clock.seconds += MAX_AGE
    assert book.find(transfer_to("https://a.example/")) is not None

    clock.seconds += 1

    assert book.find(transfer_to("https://a.example/")) is None


def test_what_is_only_remembered_does_not_become_younger(book, clock):
    transfer = transfer_to("https://a.example/")
    clock.seconds += MAX_AGE
    transfer.certificate = book.find(transfer)
    book.note(transfer, ANSWER)

    clock.seconds += 1

    assert book.find(transfer) is None


def test_certificate_is_read_again_after_a_failure(book):
    failure = ProbeFailure(FailureKind.TLS, "No.")

    book.note(transfer_to("https://a.example/"), failure)

    assert book.find(transfer_to("https://a.example/")) is None


def test_book_is_bounded(book):
    for n in range(MAX_ENTRIES):
        book.note(transfer_to(f"https://{n}.example/"), ANSWER)

    assert book.find(transfer_to("https://a.example/")) is None
