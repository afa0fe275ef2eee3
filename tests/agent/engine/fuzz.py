"""Answers of websites, mutated at random: each seed makes the same one every time."""

import asyncio
import gzip
import random
import re
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from argos.agent.engine.curl_engine import CurlEngine
from argos.core.probe import FailureKind, Outcome, Probe, ProbeResponse
from tests.agent.engine.servers import Behaviour, reset, wait_for_end

CAP = 65_536
DEADLINE = timedelta(seconds=2)
HEALTHY_EVERY = 4
LATE = timedelta(seconds=1)
"""How much later than its deadline a probe may end."""

_TEXT = b"<html><body>" + b"Welcome, visitor. " * 40 + b"</body></html>"
_OK = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Thu, 26 Nov 2026 00:00:00 GMT\r\n"
_PACKED = gzip.compress(_TEXT)
_CHUNKS = b"1f\r\n" + _TEXT[:31] + b"\r\n100;x=y\r\n" + _TEXT[31:287] + b"\r\n0\r\n"
CORPUS = (
    _OK + b"Content-Length: %d\r\n\r\n" % len(_TEXT) + _TEXT,
    _OK + b"Connection: close\r\n\r\n" + _TEXT,
    _OK + b"Transfer-Encoding: chunked\r\n\r\n" + _CHUNKS + b"\r\n",
    _OK + b"Transfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n" + _CHUNKS
    + b"X-A: b\r\n\r\n",
    _OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(_PACKED)
    + _PACKED,
    _OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(_TEXT),
    _OK + b"Set-Cookie: a=b; Path=/; HttpOnly\r\nSet-Cookie: c=d\r\n"
    b"Content-Type: application/json; charset=utf-8\r\n\r\n" + b'{"a": [1, 2, null]}',
    b"HTTP/1.1 301 Moved Permanently\r\nLocation: https://example.org/\r\n"
    b"Content-Length: 0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + _OK
    + b"Content-Length: 2\r\n\r\nok",
    b"HTTP/1.1 204 No Content\r\nETag: \"x\"\r\n\r\n",
    b"HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nnothing here",
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n"
    b"Content-Length: 0\r\n\r\n",
)  # fmt: skip
HEALTHY = CORPUS[0]
_PIECES = (
    b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"\t", b"\x1b[2J", b"\xff\xfe", b"0\r\n\r\n",
    b"ffffffffffffffff\r\n", b"-1", b"99999999999999999999", b"HTTP/1.1 200 OK\r\n",
    b"HTTP/2 200\r\n", b"Content-Length: 5\r\n", b"Content-Length: 4294967297\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip, deflate\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Location: //\r\n", b"Set-Cookie: =\r\n",
    b"A" * 5_000, b"X: y\r\n" * 300,
)  # fmt: skip


def mutated(seed: int) -> bytes:
    """The answer of a seed."""
    rng = random.Random(seed)
    answer = bytearray(rng.choice(CORPUS))
    for _ in range(rng.randint(1, 6)):
        _MUTATIONS[rng.randrange(len(_MUTATIONS))](rng, answer)
    return bytes(answer)


def _span(rng: random.Random, answer: bytearray) -> slice:
    start = rng.randrange(len(answer) + 1)
    return slice(start, start + rng.randint(1, 40))


def _flip(rng: random.Random, answer: bytearray) -> None:
    if answer:
        answer[rng.randrange(len(answer))] ^= 1 << rng.randrange(8)


def _delete(rng: random.Random, answer: bytearray) -> None:
    del answer[_span(rng, answer)]


def _repeat(rng: random.Random, answer: bytearray) -> None:
    span = _span(rng, answer)
    answer[span.stop : span.stop] = answer[span] * rng.choice((1, 2, 50))


def _insert(rng: random.Random, answer: bytearray) -> None:
    place = rng.randrange(len(answer) + 1)
    answer[place:place] = rng.choice(_PIECES)


def _insert_noise(rng: random.Random, answer: bytearray) -> None:
    place = rng.randrange(len(answer) + 1)
    answer[place:place] = rng.randbytes(rng.randint(1, 64))


def _cut(rng: random.Random, answer: bytearray) -> None:
    del answer[rng.randrange(len(answer) + 1) :]


def _cross(rng: random.Random, answer: bytearray) -> None:
    other = rng.choice(CORPUS)
    answer[rng.randrange(len(answer) + 1) :] = other[rng.randrange(len(other)) :]


def _swap_lines(rng: random.Random, answer: bytearray) -> None:
    lines = answer.split(b"\r\n")
    one, other = (rng.randrange(len(lines)) for _ in range(2))
    lines[one], lines[other] = lines[other], lines[one]
    answer[:] = b"\r\n".join(lines)


_MUTATIONS = (
    _flip, _flip, _delete, _repeat, _insert, _insert, _insert_noise, _cut, _cross,
    _swap_lines,
)  # fmt: skip


def fuzzing() -> Behaviour:
    """Answers `/SEED` with the answer of that seed, and ends in a way of that seed.

    All else is answered with `HEALTHY`.
    """

    async def behave(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.match(rb"GET /(\d+) ", head)
        if found is None:
            writer.write(HEALTHY)
            return
        seed = int(found[1])
        rng = random.Random(-seed - 1)
        answer = mutated(seed)
        place = rng.randrange(len(answer) + 1) if rng.random() < 0.3 else len(answer)
        writer.write(answer[:place])
        await writer.drain()
        writer.write(answer[place:])
        await writer.drain()
        end = rng.random()
        if end < 0.05:
            reset(writer)
        elif end < 0.06:
            await wait_for_end(reader)

    return behave


@dataclass
class Findings:
    """What came of fuzzed answers."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[int]] = field(default_factory=dict)
    """What is wrong, with the seeds that show it."""
    longest_s: float = 0.0

    def note(self, seed: int, outcome: Outcome, elapsed_s: float) -> None:
        """Take an outcome down."""
        self.longest_s = max(self.longest_s, elapsed_s)
        if isinstance(outcome, ProbeResponse):
            self.outcomes["answered"] += 1
        else:
            self.outcomes[outcome.kind.value] += 1
        for fault in _faults(outcome, elapsed_s):
            self.faults.setdefault(fault, []).append(seed)

    def note_healthy(self, seed: int, outcome: Outcome) -> None:
        """Take down what became of the healthy answer after that of a seed."""
        if not isinstance(outcome, ProbeResponse) or outcome.body != _TEXT:
            what = (
                outcome.status_code
                if isinstance(outcome, ProbeResponse)
                else outcome.message
            )
            fault = f"a healthy answer was spoilt: {what}"
            self.faults.setdefault(fault, []).append(seed)


def _faults(outcome: Outcome, elapsed_s: float) -> list[str]:
    faults = []
    if elapsed_s > (DEADLINE + LATE).total_seconds():
        faults.append("later than the deadline and a second")
    if isinstance(outcome, ProbeResponse):
        if len(outcome.body) > CAP:
            faults.append("more of a body than the cap")
        if not 100 <= outcome.status_code <= 999:
            faults.append(f"the status {outcome.status_code}")
        return faults
    if outcome.kind is FailureKind.INTERNAL:
        faults.append(f"a failure of ours: {outcome.message}")
    if not outcome.message.isprintable():
        faults.append("a message with control characters")
    return faults


async def fuzz(
    engine: CurlEngine, root: str, seeds: range, *, at_once: int
) -> Findings:
    """Probe the answers of all seeds, some at once, with healthy ones in between.

    `root` is the URL of a website that behaves as `fuzzing` does.
    """
    findings = Findings()
    left = iter(seeds)

    async def look(path: object) -> tuple[Outcome, float]:
        probe = Probe(f"{root}{path}", timeout=DEADLINE, max_body_bytes=CAP)
        began_at = time.monotonic()
        return await engine.probe(probe), time.monotonic() - began_at

    async def work() -> None:
        for seed in left:
            findings.note(seed, *await look(seed))
            if seed % HEALTHY_EVERY == 0:
                findings.note_healthy(seed, (await look("healthy"))[0])

    await asyncio.gather(*(work() for _ in range(at_once)))
    return findings
