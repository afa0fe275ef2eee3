"""Reading answers without libcurl: by any pieces, whatever they hold, within limits."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, strategies as st

from argos.agent.engine.chunked import MAX_TRAILER
from argos.agent.engine.failure import AnswerError, CurlCode
from argos.agent.engine.header import MAX_LINES, TOO_MANY
from argos.agent.engine.http1 import PIECES_AT_ONCE, AnswerReader
from argos.core.probe import MAX_HEADER_BYTES, MAX_HEADER_COUNT
from tests.agent.engine.fuzz import mutated

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass
class Reading:
    """All that an answer gave."""

    status: int
    version: int
    lines: bytes
    body: bytes
    is_complete: bool
    fault: tuple[CurlCode, str] | None
    pieces: list[bytes] = field(compare=False)


def read(*parts: bytes, is_head_asked_for: bool = False) -> Reading:
    """Read an answer that comes in these parts, after which the connection ends."""
    reader = AnswerReader(is_head_asked_for=is_head_asked_for)
    pieces: list[bytes] = []
    fault = None
    try:
        for part in parts:
            found = reader.feed(part)
            while True:
                assert len(found) <= PIECES_AT_ONCE
                pieces += found
                if reader.is_complete or not reader.has_more:
                    break
                found = reader.feed(b"")
            if reader.is_complete:
                break
        reader.end()
    except AnswerError as err:
        fault = err.code, err.text
    assert all(pieces)
    return Reading(
        reader.status,
        reader.version,
        reader.lines,
        b"".join(pieces),
        reader.is_complete,
        fault,
        pieces,
    )


def split(data: bytes, places: list[int]) -> list[bytes]:
    cuts = sorted({place % (len(data) + 1) for place in places})
    return [
        data[begin:end]
        for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)
    ]


mutations = st.integers(0, 10**6).map(mutated)
pieces_of_answers = st.lists(
    st.sampled_from([
        *(OK, b"HTTP/1.1 103 Hi\r\n", b"HTTP/1.0 404 x\n", b"HTTP/2 200 \r\n", b"\r\n"),
        *(
            b"Content-Length: 3\r\n",
            b"content-length: 0, 0\r\n",
            b"Content-Length: 9\n",
        ),
        *(
            b"Transfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: gzip\r\n",
            b"A: b\r\n",
        ),
        *(b" folded\r\n", b"\t\r\n", b"Location: a\r\n", b"Location: b\r\n", b"no\r\n"),
        *(b"3\r\nabc\r\n", b"0\r\n", b"0\r\n\r\n", b"ff;x\r\n", b"\0", b"\r", b"\n"),
        *(
            b"HTTP/1.1 204 x\r\n",
            b"HTTP/1.1 101 x\r\n",
            b"abc",
            b"x" * 300,
            b"A" * 70_000,
        ),
        b"A: b\r\n" * 150,
    ]),
    max_size=12,
).map(b"".join)
answers = st.one_of(mutations, pieces_of_answers, st.binary(max_size=300))


@given(answers, st.lists(st.integers(0, 10**6), max_size=8), st.booleans())
def test_any_split_gives_the_same_reading(answer, places, is_head_asked_for):
    whole = read(answer, is_head_asked_for=is_head_asked_for)

    parts = split(answer, places)
    assert read(*parts, is_head_asked_for=is_head_asked_for) == whole


@given(answers.filter(lambda answer: len(answer) < 3_000))
def test_byte_by_byte_gives_the_same_reading(answer):
    assert read(*(bytes([byte]) for byte in answer)) == read(answer)


@given(answers)
def test_what_is_kept_of_headers_is_bounded(answer):
    reading = read(answer)

    most = MAX_HEADER_BYTES + MAX_LINES * MAX_TRAILER
    assert len(reading.lines) <= min(most, 2 * len(answer) + 2)
    assert reading.lines.count(b"\n") <= 3 * MAX_LINES


names = st.from_regex(rb"X-[A-Za-z]{1,9}", fullmatch=True)
values = st.from_regex(rb"[!-~\x80-\xff]{0,20}", fullmatch=True)


@given(
    st.integers(200, 999).filter(lambda status: status not in {204, 304}),
    st.lists(st.tuples(names, values), max_size=MAX_HEADER_COUNT - 1),
    st.lists(st.binary(min_size=1, max_size=40), max_size=20),
    st.sampled_from(["length", "chunks", "close"]),
)
def test_a_good_answer_is_read_as_it_was_meant(status, fields, chunks, framing):
    body = b"".join(chunks)
    head = b"HTTP/1.1 %d Fine\r\n" % status
    head += b"".join(b"%s: %s\r\n" % each for each in fields)
    if framing == "length":
        head, sent = head + b"Content-Length: %d\r\n" % len(body), body
    elif framing == "chunks":
        head += b"Transfer-Encoding: chunked\r\n"
        sent = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in chunks)
        sent += b"0\r\n\r\n"
    else:
        sent = body
    head += b"\r\n"

    reading = read(head + sent)

    is_complete = framing != "close"
    assert reading == Reading(status, 11, head, body, is_complete, None, [])


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (b"", CurlCode.GOT_NOTHING, "Empty reply"),
        (b"SSH-2.0", CurlCode.UNSUPPORTED_PROTOCOL, "HTTP/0.9"),
        (OK[:-2] + b"\0\r\n", CurlCode.WEIRD_SERVER_REPLY, "NUL"),
        (OK + b"A: b\rc\r\n\r\n", CurlCode.WEIRD_SERVER_REPLY, "Carriage return"),
        (OK + b"nonsense\r\n\r\n", CurlCode.WEIRD_SERVER_REPLY, "without colon"),
        (OK + b"Content-Length: 9\r\n\r\nab", CurlCode.PARTIAL_FILE, "7 bytes missing"),
        (OK + b"Content-Length: -1\r\n\r\n", CurlCode.WEIRD_SERVER_REPLY, "Length"),
        (
            OK + b"Content-Length: 3\r\nA: b\r\n",
            CurlCode.PARTIAL_FILE,
            "3 bytes remaining",
        ),
        (
            OK + b"Location: a\r\nLocation: b\r\n\r\n",
            CurlCode.WEIRD_SERVER_REPLY,
            "Multiple Location",
        ),
        (
            OK + b"Transfer-Encoding: gzip\r\n\r\n",
            CurlCode.BAD_CONTENT_ENCODING,
            "(gzip)",
        ),
        (b"HTTP/1.1 099 x\r\n\r\n", CurlCode.UNSUPPORTED_PROTOCOL, "response code"),
        (b"HTTP/1.2 200 x\r\n\r\n", CurlCode.UNSUPPORTED_PROTOCOL, "subversion"),
        (b"HTTP/2 200 x\r\n\r\n", CurlCode.WEIRD_SERVER_REPLY, "Version mismatch"),
        (CHUNKED + b"zz\r\n", CurlCode.RECV_ERROR, "not a hex digit: 0x7a"),
        (CHUNKED + b"8" + b"0" * 15 + b"\r\n", CurlCode.RECV_ERROR, "chunk size"),
        (CHUNKED + b"1" * 18, CurlCode.RECV_ERROR, "longer than 17"),
        (CHUNKED + b"3\r\nabcd", CurlCode.RECV_ERROR, "Malformed"),
        (CHUNKED + b"3\r\nabc\r\n", CurlCode.PARTIAL_FILE, "outstanding"),
        (CHUNKED + b"0\r\nno\r\n\r\n", CurlCode.WEIRD_SERVER_REPLY, "without colon"),
        (CHUNKED + b"0\r\nA:" + b"b" * 5000, CurlCode.TOO_LARGE, "trailer"),
        (CHUNKED + b"0\r\n" + b"A:\r\n" * 300, CurlCode.TOO_LARGE, "trailers"),
        (OK + b"A: b\r\n" * 300, CurlCode.TOO_LARGE, "header fields"),
        (OK + b"A: b\r\n" + b" c\r\n" * 2000, CurlCode.TOO_LARGE, "header fields"),
        (OK + b"A: " + b"b" * 2**16, CurlCode.TOO_LARGE, "64 KiB"),
    ],
)
def test_what_is_wrong_is_told(answer, code, says):
    fault = read(answer).fault

    assert fault is not None
    assert fault[0] is code
    assert says in fault[1]


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (OK + b"Content-Length: 3, 3\r\nContent-Length:3\r\n\r\nabcd", 200, b"abc"),
        (OK + b"Content-Length: %s\r\n\r\nabc" % (b"9" * 9000), 200, b"abc"),
        (
            OK + b"Content-Length: 1\r\n" + CHUNKED[17:] + b"2\r\nab\r\n0\r\n\r\n",
            200,
            b"ab",
        ),
        (CHUNKED + b"0002;x=y\nab\n0\n\n", 200, b"ab"),
        (b"HTTP/1.1 204 x\r\nContent-Length: 9\r\n\r\nabc", 204, b""),
        (b"HTTP/1.1 304 x\r\nTransfer-Encoding: gzip\r\n\r\nabc", 304, b""),
        (b"HTTP/1.1 103 x\r\nContent-Length: x\r\n\r\n" + OK + b"\r\nab", 200, b"ab"),
        (b"HTTP/1.1 101 x\r\n\r\nab", 101, b"ab"),
        (b"http/9 what\n\nab", 200, b"ab"),
    ],
)
def test_what_is_odd_is_read_all_the_same(answer, status, body):
    reading = read(answer)

    assert (reading.fault, reading.status, reading.body) == (None, status, body)


@pytest.mark.parametrize("head", [OK, b"HTTP/1.1 200 OK\r\nA:b\r\n c\r\n"])
def test_as_many_fields_as_allowed_are_read_and_not_one_more(head):
    count = MAX_HEADER_COUNT + 1 - head.count(b":")

    def fault_of(count: int):
        return read(head + b"Name: value\r\n" * count + b"\r\n").fault

    assert fault_of(count - 1) is None
    assert fault_of(count) == (CurlCode.TOO_LARGE, TOO_MANY)


def test_nothing_follows_the_head_that_alone_was_asked_for():
    for framing in (b"Content-Length: 9", b"Transfer-Encoding: chunked"):
        reading = read(OK + framing + b"\r\n\r\nabc", is_head_asked_for=True)

        assert reading.is_complete
        assert reading.body == b""


def test_folded_headers_become_one_line_and_trailers_follow():
    answer = OK + b"A: b \r\n \t c\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n"

    reading = read(answer)

    assert reading.is_complete
    assert reading.lines == OK + b"A: b c\r\n" + CHUNKED[17:] + b"X: y\r\n"


def test_pieces_before_a_fault_are_given_out_first():
    reading = read(CHUNKED + b"1\r\na\r\n1\r\nb\r\nzz")

    assert reading.pieces == [b"a", b"b"]
    assert reading.fault is not None


def test_tiny_chunks_come_a_share_at_a_time():
    reader = AnswerReader()

    first = reader.feed(CHUNKED + b"1\r\nx\r\n" * (PIECES_AT_ONCE + 1) + b"0\r\n\r\n")

    assert first == [b"x"] * PIECES_AT_ONCE
    assert reader.has_more
    assert not reader.is_complete
    assert reader.feed(b"") == [b"x"]
    assert reader.is_complete
    assert not reader.has_more
