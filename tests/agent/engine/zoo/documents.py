"""Bodies that whoever reads them as text or JSON must survive."""

import pytest

from argos.core.json_document import read_json, resolve
from argos.core.probe import Outcome, ProbeResponse
from argos.core.text import decode_body
from argos.errors import UnreadableJSON
from tests.agent.engine.servers import answering
from tests.agent.engine.zoo.behaviours import with_headers
from tests.agent.engine.zoo.member import CAP, Check, answers, member


def reads(text: str) -> Check:
    """The page is this text, to the checks of it."""

    def check(outcome: Outcome) -> None:
        answers()(outcome)
        assert isinstance(outcome, ProbeResponse)
        declared = dict(outcome.headers).get("content-type")
        assert decode_body(outcome.body, declared) == text

    return check


def is_json(value: object, pointer: str = "") -> Check:
    """The page is JSON, and holds this value at the pointer."""

    def check(outcome: Outcome) -> None:
        answers()(outcome)
        assert isinstance(outcome, ProbeResponse)
        assert resolve(read_json(outcome.body), pointer) == value

    return check


def is_no_json(reason: str) -> Check:
    """The page is no JSON that anybody would read, and the user is told why."""

    def check(outcome: Outcome) -> None:
        answers()(outcome)
        assert isinstance(outcome, ProbeResponse)
        with pytest.raises(UnreadableJSON, match=reason):
            read_json(outcome.body)

    return check


def points_nowhere(pointer: str) -> Check:
    """The page is JSON, without anything at the pointer."""

    def check(outcome: Outcome) -> None:
        answers()(outcome)
        assert isinstance(outcome, ProbeResponse)
        document = read_json(outcome.body)
        with pytest.raises(LookupError):
            resolve(document, pointer)

    return check


def page(kind: bytes, body: bytes):
    return answering(with_headers(b"Content-Type: " + kind, body))


# --- charsets

for charset, body, text in (
    (b"utf-7", b"+ADw-script+AD4-", "+ADw-script+AD4-"),
    (b"idna", b"xn--caf-dma", "xn--caf-dma"),
    (b"rot13", b"uryyb", "uryyb"),
    (b"zip", b"PK", "PK"),
    (b"unicode_escape", rb"\x3cscript\x3e", r"\x3cscript\x3e"),
    (b"no-such-charset", "café".encode(), "café"),
    (b"x" * 10_000, "café".encode(), "café"),
    (b"../../etc/passwd", b"ok", "ok"),
    (b"iso-8859-1", b"caf\xe9", "café"),
):
    member(
        f"charset {charset[:20].decode()}",
        page(b"text/html; charset=" + charset, body),
        reads(text),
    )
member(
    "invalid UTF-8",
    page(b"text/html", b"a\xff\xc0\xafb"),
    reads("a\ufffd\ufffd\ufffdb"),
)
member(
    "UTF-16 without a mark",
    page(b"text/html; charset=utf-16", "hello".encode("utf-16-le")),
    reads("hello"),
)
member(
    "mark that contradicts the charset",
    page(b"text/html; charset=iso-8859-1", "\ufeffcafé".encode()),
    reads("café"),
)
MARKUP = "<title><script>alert(1)</script>\"'--></title>"
member("markup in the page", page(b"text/html", MARKUP.encode()), reads(MARKUP))
member(
    "markup in headers and cookies",
    answering(
        with_headers(b'X-A: <img src=x onerror="alert(1)">\r\nSet-Cookie: <b>=1', b"ok")
    ),
    answers(body=b"ok", header=("x-a", '<img src=x onerror="alert(1)">')),
)

# --- JSON

TOO_DEEP = "nested deeper than 200 levels"
for name, body, expects in (
    ("arrays of 99,999 levels", b"[" * (CAP - 1), is_no_json(TOO_DEEP)),
    ("objects of 15,000 levels", b'{"a":' * 15_000, is_no_json(TOO_DEEP)),
    (
        "as many levels as there may be",
        b"[" * 200 + b"]" * 200,
        is_json([], "/0" * 199),
    ),
    ("number of 90,000 digits", b'{"n":%s,"a":1}' % (b"7" * 90_000), is_json(1, "/a")),
    ("number with a wild exponent", b'{"n":1e999999999,"a":1}', is_json(1, "/a")),
    ("duplicate keys", b'{"a":1,"a":2}', is_json(2, "/a")),
    ("NaN", b'{"a":NaN}', is_no_json("it holds NaN")),
    ("Infinity", b'{"a":-Infinity}', is_no_json("it holds -Infinity")),
    ("lone surrogates", rb'{"a":"\ud800"}', is_json("\ud800", "/a")),
    ("byte order mark", b'\xef\xbb\xbf{"a":1}', is_json(1, "/a")),
    ("empty", b"", is_no_json("is empty")),
    ("page in its place", b"<html></html>", is_no_json("is not JSON")),
    ("cut in the middle", b'{"a":[1,', is_no_json("is not JSON")),
    ("invalid UTF-8", b'{"a":"\xff"}', is_no_json("not in UTF-8")),
    ("pointer into a number", b'{"a":1}', points_nowhere("/a/0")),
    ("pointer into a text", b'{"a":"text"}', points_nowhere("/a/0")),
    (
        "8,000 keys",
        b"{" + b",".join(b'"%d":1' % n for n in range(8_000)) + b"}",
        is_json(1, "/7999"),
    ),
):
    member(f"JSON: {name}", page(b"application/json", body), expects)
member(
    "JSON: number of 10 MB",
    page(b"application/json", b"7" * 10_000_000),
    answers(body=b"7" * CAP, is_cut=True),
)
