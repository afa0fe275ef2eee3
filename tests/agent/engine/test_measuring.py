"""Phases, certificates and the bound of the error."""

import asyncio
import os
import signal
import ssl
import warnings
from datetime import UTC, datetime, timedelta

import pytest

from argos.core.probe import Probe, ProbeFailure, ProbeResponse, Timings
from tests.agent.engine.outcomes import known
from tests.agent.engine.servers import OK, answering, read_request, server_thread
from tests.agent.engine.zoo.behaviours import repeating, silent

pytestmark = pytest.mark.asyncio(loop_scope="module")


def slow(before: float, within: float):
    """Wait before the answer, and in the middle of its body."""

    async def behave(reader, writer):
        await read_request(reader)
        await asyncio.sleep(before)
        writer.write(OK[:-1])
        await writer.drain()
        await asyncio.sleep(within)
        writer.write(OK[-1:])
        await writer.drain()

    return behave


def is_about(microseconds: int | None, seconds: float, timings: Timings) -> bool:
    assert microseconds is not None
    # Either end of a phase may be noticed late; the server is late by itself too.
    error = timings.timing_error_us
    return -2000 - error <= microseconds - seconds * 1e6 <= 50_000 + error


async def test_each_phase_is_timed_for_itself(engine, servers, shop):
    port = servers.serve(slow(0.2, 0.3), tls=shop.context("good"))

    outcome = await engine.probe(Probe(f"https://localhost:{port}/"))

    assert isinstance(outcome, ProbeResponse)
    timings = outcome.timings
    assert timings.dns_us is not None
    assert 0 < known(timings.connect_us) < 100_000 + timings.timing_error_us
    assert 0 < known(timings.tls_us) < 200_000 + timings.timing_error_us
    assert is_about(timings.first_byte_us, 0.2, timings)
    assert is_about(timings.transfer_us, 0.3, timings)
    phases = (
        known(timings.dns_us)
        + known(timings.connect_us)
        + known(timings.tls_us)
        + known(timings.first_byte_us)
        + known(timings.transfer_us)
    )
    assert phases <= known(timings.total_us) <= phases + 100_000


async def test_phase_that_did_not_happen_has_no_time(engine, healthy_ports):
    outcome = await engine.probe(Probe(f"http://127.0.0.1:{healthy_ports['http']}/"))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.timings.dns_us is None
    assert outcome.timings.tls_us is None
    assert known(outcome.timings.total_us) > 0


@pytest.mark.parametrize(
    ("scheme", "reached"),
    [("http", {"connect_us"}), ("https", {"connect_us"})],
)
async def test_probe_that_fails_has_the_times_of_what_it_reached(
    engine, servers, scheme, reached
):
    url = f"{scheme}://127.0.0.1:{servers.serve(silent)}/"

    outcome = await engine.probe(Probe(url, timeout=timedelta(seconds=0.3)))

    assert isinstance(outcome, ProbeFailure)
    timings = outcome.timings
    phases = ("dns_us", "connect_us", "tls_us", "first_byte_us", "transfer_us")
    assert {name for name in phases if getattr(timings, name) is not None} == reached
    assert is_about(timings.total_us, 0.3, timings)


async def test_refused_connection_has_no_time_but_the_total(engine):
    outcome = await engine.probe(Probe("http://127.0.0.1:9/"))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.timings.connect_us is None
    assert outcome.timings.first_byte_us is None
    assert known(outcome.timings.total_us) > 0
    assert (
        outcome.message == "Could not connect to 127.0.0.1 port 9: Connection refused."
    )
    assert outcome.remote_address == "127.0.0.1"


async def test_deadline_is_one_for_everything(engine, servers):
    """A website that is never silent for long cannot outlast it."""

    async def drip(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    url = f"http://localhost:{servers.serve(drip)}/"

    outcome = await engine.probe(Probe(url, timeout=timedelta(seconds=0.5)))

    assert isinstance(outcome, ProbeFailure)
    assert is_about(outcome.timings.total_us, 0.5, outcome.timings)


async def test_stopped_worker_says_how_wrong_its_times_may_be(curl_engine, servers):
    port = servers.serve(slow(0.1, 0.0))
    url = f"http://127.0.0.1:{port}/"
    (pid,) = curl_engine.pids
    await curl_engine.probe(Probe(url))
    running = asyncio.create_task(curl_engine.probe(Probe(url)))
    await asyncio.sleep(0.02)

    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(0.5)
    os.kill(pid, signal.SIGCONT)
    outcome = await running

    assert isinstance(outcome, ProbeResponse)
    assert known(outcome.timings.total_us) > 400_000
    # It sleeps for 50 ms at the most, and cannot know when in them it was stopped.
    assert outcome.timings.timing_error_us > 350_000


async def test_flood_of_tiny_chunks_does_not_keep_the_loop_from_turning(
    curl_engine, servers, healthy_ports
):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    flood = servers.serve(repeating(head, b"1\r\nx\r\n" * 10_000))
    probe = Probe(f"http://127.0.0.1:{flood}/", timeout=timedelta(seconds=10))

    outcomes = await asyncio.gather(*(curl_engine.probe(probe) for _ in range(5)))

    for outcome in outcomes:
        assert isinstance(outcome, ProbeResponse)
        assert outcome.body_is_cut
        # libcurl by itself would read on for as long as something comes: seconds.
        assert outcome.timings.timing_error_us < 500_000


async def test_waiting_for_a_handshake_slot_is_no_time_of_the_website(
    curl_engine, servers, healthy_ports
):
    stalled = Probe(
        f"https://127.0.0.1:{servers.serve(silent)}/", timeout=timedelta(seconds=1)
    )
    healthy = Probe(f"https://localhost:{healthy_ports['https']}/")
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    crowd = [asyncio.create_task(curl_engine.probe(stalled)) for _ in range(150)]
    await asyncio.sleep(0)

    outcome = await curl_engine.probe(healthy)

    waited = loop.time() - began_at
    assert isinstance(outcome, ProbeResponse)
    # 150 stalled handshakes before it: four waves of 32 of 0.1 s each.
    assert waited > 0.35
    assert known(outcome.timings.total_us) < waited * 1e6 - 300_000
    await asyncio.gather(*crowd)


async def test_certificate_of_a_good_website_is_shown(engine, servers, shop):
    port = servers.serve(answering(OK), tls=shop.context("valid into 2050"))

    outcome = await engine.probe(Probe(f"https://localhost:{port}/"))

    assert isinstance(outcome, ProbeResponse)
    certificate = outcome.certificate
    assert certificate is not None
    assert certificate.not_after == datetime(2050, 1, 1, tzinfo=UTC)
    assert certificate.subject == "CN = leaf"
    assert certificate.names[:2] == ("localhost", "127.0.0.1")
    assert certificate.fault is None
    assert certificate.fault_code == 0


async def test_certificate_is_shown_each_time(engine, servers, shop):
    port = servers.serve(answering(OK), tls=shop.context("good"))
    url = f"https://localhost:{port}/"

    first, second = [await engine.probe(Probe(url)) for _ in range(2)]

    assert first.certificate is not None
    assert second.certificate == first.certificate


async def test_certificate_that_goes_bad_is_told_with_all_its_facts(
    curl_engine, servers, shop
):
    context = shop.context("good")
    url = f"https://localhost:{servers.serve(answering(OK), tls=context)}/"
    good = await curl_engine.probe(Probe(url))
    shop.exchange(context, "expired")

    bad = await curl_engine.probe(Probe(url))
    shop.exchange(context, "valid into 2050")
    mended = await curl_engine.probe(Probe(url))

    assert isinstance(good, ProbeResponse)
    assert isinstance(bad, ProbeFailure)
    assert bad.kind == "certificate"
    assert bad.certificate is not None
    assert "expired" in (bad.certificate.fault or "")
    assert bad.certificate.not_after < shop.now
    assert isinstance(mended, ProbeResponse)
    assert mended.certificate is not None
    assert mended.certificate.not_after.year == 2050


async def test_no_certificate_is_shown_without_a_handshake(curl_engine, shop):
    with server_thread() as thread:
        port = thread.serve(answering(OK), tls=shop.context("good"))
        await curl_engine.probe(Probe(f"https://localhost:{port}/"))

    outcome = await curl_engine.probe(Probe(f"https://localhost:{port}/"))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind == "connect"
    assert outcome.certificate is None


async def test_certificate_is_left_out_when_nobody_wants_it(engine, healthy_ports):
    url = f"https://localhost:{healthy_ports['https']}/"

    outcome = await engine.probe(Probe(url, wants_certificate=False))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.certificate is None


async def test_bad_certificate_fails_even_when_nobody_wants_it(engine, servers, shop):
    port = servers.serve(answering(OK), tls=shop.context("expired"))
    url = f"https://localhost:{port}/"

    outcome = await engine.probe(Probe(url, wants_certificate=False))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind == "certificate"


async def test_names_in_a_certificate_are_for_reading_only(engine, servers, shop):
    """A comma in a name may look like two names; it opens no other host."""
    port = servers.serve(answering(OK), tls=shop.context("name with a comma"))

    outcome = await engine.probe(Probe(f"https://localhost:{port}/"))

    assert isinstance(outcome, ProbeResponse)


async def test_server_that_wants_a_client_certificate_gets_none(engine, servers, shop):
    context = shop.context("good")
    context.load_verify_locations(shop.ca_file)
    context.verify_mode = ssl.CERT_OPTIONAL
    optional = servers.serve(answering(OK), tls=context)

    outcome = await engine.probe(Probe(f"https://localhost:{optional}/"))

    assert isinstance(outcome, ProbeResponse)


async def test_name_is_told_to_the_server_before_the_handshake(engine, servers, shop):
    seen = []
    context = shop.context("good")
    context.sni_callback = lambda _sock, name, _context: seen.append(name)
    port = servers.serve(answering(OK), tls=context)

    await engine.probe(Probe(f"https://localhost:{port}/"))
    await engine.probe(Probe(f"https://127.0.0.1:{port}/"))

    assert seen == ["localhost", None]


async def test_old_tls_is_refused_as_a_fault_of_tls(engine, servers, shop):
    context = shop.context("good")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    port = servers.serve(answering(OK), tls=context)

    outcome = await engine.probe(Probe(f"https://localhost:{port}/"))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind == "tls"
