"""Mutated answers by the thousand: no crash, no lateness, no more memory than allowed.

`python -m bench.probe.fuzz` makes a hundred thousand of them.
"""

import pytest

from argos.agent.engine.curl_engine import CurlEngine
from tests.agent.engine.certificates import CertificateShop
from tests.agent.engine.fuzz import fuzz, fuzzing, mutated
from tests.agent.engine.servers import ServerThread

COUNTS = {"http": 2_000, "https": 1_000}
SEEDS_THAT_ONCE_HARMED = (40_989, 63_353, 63_949, 88_241, 96_349)


@pytest.fixture
def website(servers: ServerThread, shop: CertificateShop):
    """Start one that gives mutated answers, and return its URL."""

    def website(scheme: str) -> str:
        tls = shop.context("good") if scheme == "https" else None
        return f"{scheme}://localhost:{servers.serve(fuzzing(), tls=tls)}/"

    return website


# Plain http goes without libcurl.
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scheme", COUNTS)
async def test_no_mutated_answer_harms_the_engine_or_the_next_answer(
    curl_engine: CurlEngine, website, scheme
):
    count = COUNTS[scheme]
    pids = curl_engine.pids

    findings = await fuzz(curl_engine, website(scheme), range(count), at_once=50)

    assert findings.faults == {}
    assert findings.outcomes.total() == count
    # Answers of every kind, or the mutations would be too wild, or too tame.
    assert findings.outcomes["answered"] > count / 5
    assert findings.outcomes["protocol"] > count / 20
    assert (curl_engine.restarts, curl_engine.pids) == (0, pids)


def test_a_seed_always_makes_the_same_answer():
    assert [mutated(seed) for seed in range(50)] == [
        mutated(seed) for seed in range(50)
    ]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("seed", SEEDS_THAT_ONCE_HARMED)
async def test_what_was_found_once_is_mended(seed, curl_engine: CurlEngine, website):
    findings = await fuzz(
        curl_engine, website("http"), range(seed, seed + 1), at_once=1
    )

    assert findings.faults == {}
