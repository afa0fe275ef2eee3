"""Handshakes: what one of them shows, how it ends, and what may be asked of it."""

import ssl
import warnings

import pytest

from argos.core.options import ClientCertificate, ProbeOptions, TLSVersion
from argos.core.probe import FailureKind, Probe, ProbeFailure, ProbeResponse
from tests.agent.engine.servers import OK, answering, read_request, reset

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def client_files(shop, tmp_path):
    """A client certificate and its key, in one file and in two, plain and not."""
    pem = shop.issue("client.example")
    whole, cert, key = (tmp_path / f"{n}.pem" for n in ("whole", "cert", "key"))
    whole.write_bytes(pem)
    end = pem.index(b"-----BEGIN CERTIFICATE")
    key.write_bytes(pem[:end])
    cert.write_bytes(pem[end:])
    return whole, cert, key


@pytest.fixture
def demanding(servers, shop):
    """Start a website that wants a client certificate."""

    def start(version=ssl.TLSVersion.TLSv1_3) -> str:
        context = shop.context("good")
        context.maximum_version = version
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(shop.ca_file)
        return f"https://localhost:{servers.serve(answering(OK), tls=context)}/"

    return start


@pytest.fixture
def old_website(servers, shop) -> str:
    """A website that speaks TLS 1.0 and 1.1 only."""
    context = shop.context("good")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return f"https://localhost:{servers.serve(answering(OK), tls=context)}/"


async def test_version_and_cipher_are_told_when_asked_for(engine, healthy_ports):
    url = f"https://localhost:{healthy_ports['https']}/"

    silent = await engine.probe(Probe(url))
    outcome = await engine.probe(Probe(url, wants_handshake=True))

    assert silent.details.handshake is None
    assert outcome.details.handshake is not None
    assert outcome.details.handshake.protocol == "TLSv1.3"
    assert outcome.details.handshake.cipher.startswith("TLS_")


async def test_the_whole_chain_is_told(curl_engine, servers, shop):
    context = shop.context("with an intermediate")
    port = servers.serve(answering(OK), tls=context)

    outcome = await curl_engine.probe(Probe(f"https://localhost:{port}/"))

    certificate = outcome.certificate
    assert certificate is not None
    assert certificate.key == "EC P-256"
    assert certificate.signature == "ecdsa-with-SHA256"
    assert certificate.chain
    assert certificate.chain[0].subject == certificate.issuer
    assert certificate.chain[0].not_after.year == 3000
    assert certificate.chain[0].key == "EC P-256"


async def test_the_chain_is_told_when_it_is_not_accepted(curl_engine, servers, shop):
    port = servers.serve(answering(OK), tls=shop.context("intermediate expired"))
    probe = Probe(f"https://localhost:{port}/", wants_handshake=True)

    outcome = await curl_engine.probe(probe)

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.CERTIFICATE
    assert outcome.certificate is not None
    (link,) = outcome.certificate.chain
    assert link.not_after < shop.now
    assert link.subject == "CN = Expired authority"
    assert outcome.details.handshake is not None


@pytest.mark.parametrize("wants_handshake", [False, True])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_certificate_is_seen_of_a_handshake_that_fails_otherwise(
    curl_engine, demanding, version, wants_handshake
):
    probe = Probe(demanding(version), wants_handshake=wants_handshake)

    outcome = await curl_engine.probe(probe)

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind in {FailureKind.TLS, FailureKind.PROTOCOL}
    assert outcome.certificate is not None
    assert outcome.certificate.names[0] == "localhost"
    assert outcome.certificate.not_after.year == 3000
    assert outcome.certificate.key == "EC P-256"
    assert outcome.certificate.is_verified is (version is ssl.TLSVersion.TLSv1_3)


async def test_a_reset_after_the_certificate_does_not_hide_it(
    curl_engine, servers, shop
):
    async def break_off(reader, writer):
        await read_request(reader)
        reset(writer)

    port = servers.serve(break_off, tls=shop.context("expired"))

    outcome = await curl_engine.probe(Probe(f"https://localhost:{port}/"))

    assert outcome.certificate is not None
    assert outcome.certificate.not_after < shop.now


async def test_a_handshake_that_fails_is_not_mended_by_the_second_look(
    curl_engine, servers, shop
):
    context = shop.context("good")
    came = []

    async def tunnel(reader, writer):
        came.append(1)
        if len(came) == 1:
            await reader.read(100)
            return
        await writer.start_tls(context)
        await read_request(reader)
        writer.write(OK)
        await writer.drain()

    port = servers.serve(tunnel)

    outcome = await curl_engine.probe(Probe(f"https://localhost:{port}/"))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.TLS
    assert outcome.certificate is not None
    assert len(came) == 2


async def test_client_certificates_open_the_door(engine, demanding, client_files):
    whole, cert, key = client_files
    for files in (
        ClientCertificate(str(whole)),
        ClientCertificate(str(cert), str(key)),
    ):
        options = ProbeOptions(client_certificate=files)

        outcome = await engine.probe(Probe(demanding(), options=options))

        assert isinstance(outcome, ProbeResponse)
        assert outcome.status_code == 200


@pytest.mark.parametrize("fault", ["missing", "no key", "no certificate"])
async def test_a_client_certificate_of_no_use_is_our_own_trouble(
    engine, demanding, client_files, tmp_path, fault
):
    _, cert, key = client_files
    files = {
        "missing": ClientCertificate(str(tmp_path / "nowhere.pem")),
        "no key": ClientCertificate(str(cert)),
        "no certificate": ClientCertificate(str(key), str(key)),
    }
    options = ProbeOptions(client_certificate=files[fault])

    outcome = await engine.probe(Probe(demanding(), options=options))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.INTERNAL
    assert outcome.message.startswith("The client certificate cannot be used: ")
    assert "\n" not in outcome.message


async def test_old_versions_of_tls_are_a_finding_unless_allowed(
    curl_engine, old_website
):
    refused = await curl_engine.probe(Probe(old_website))
    options = ProbeOptions(tls_min=TLSVersion.V1_0)
    allowed = await curl_engine.probe(
        Probe(old_website, options=options, wants_handshake=True)
    )

    assert isinstance(refused, ProbeFailure)
    assert refused.kind is FailureKind.TLS
    assert isinstance(allowed, ProbeResponse)
    assert allowed.details.handshake is not None
    assert allowed.details.handshake.protocol == "TLSv1.1"


async def test_a_minimum_may_be_higher_than_usual(engine, servers, shop):
    context = shop.context("good")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    url = f"https://localhost:{servers.serve(answering(OK), tls=context)}/"
    options = ProbeOptions(tls_min=TLSVersion.V1_3)

    usual = await engine.probe(Probe(url))
    strict = await engine.probe(Probe(url, options=options))

    assert isinstance(usual, ProbeResponse)
    assert isinstance(strict, ProbeFailure)
    assert strict.kind is FailureKind.TLS


async def test_the_fallback_says_what_it_cannot_do(httpx_engine, healthy_ports):
    url = f"https://localhost:{healthy_ports['https']}/"
    options = ProbeOptions(tls_min=TLSVersion.V1_0)

    outcome = await httpx_engine.probe(Probe(url, options=options))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.INTERNAL
    assert "httpx2, cannot serve the probe option tls_min" in outcome.message
