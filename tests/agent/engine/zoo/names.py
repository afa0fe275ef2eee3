"""Names and addresses that lead nowhere, or where no probe may go."""

import struct

from tests.agent.engine.name_server import NO_SUCH_NAME, SERVER_FAILURE, Zone
from tests.agent.engine.servers import OK, answering
from tests.agent.engine.zoo.member import (
    CONNECT,
    DNS,
    REFUSED,
    SHORT,
    TIMEOUT,
    answers,
    fails,
    member,
)

METADATA_V4 = ("169.254.169.254", "100.100.100.200", "192.0.0.192")
METADATA_V6 = (
    "fd00:ec2::254",
    "fe80::a9fe:a9fe",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "64:ff9b::169.254.169.254",  # NAT64
    "64:ff9b:1::a9fe:a9fe",  # NAT64 of a network of its own
    "2002:a9fe:a9fe::1",  # 6to4
    "2001:db8::5efe:a9fe:a9fe",  # ISATAP
)
ODD_NUMBERS = (
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "2130706433",
    "127.1",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.254.43518",
    "1\uff127.0.0.1",  # a full-width digit
)

for name, zone, expects in (
    ("unknown", Zone(code=NO_SUCH_NAME), fails(DNS, "does not exist")),
    ("empty", Zone(), fails(DNS, "has no IPv4 address")),
    ("other-version", Zone(("::1",)), fails(DNS, "has no IPv4 address")),
    ("broken", Zone(code=SERVER_FAILURE), fails(DNS, "name servers")),
    ("metadata", Zone(("169.254.169.254",)), fails(REFUSED, "metadata")),
    ("beside-metadata", Zone(("169.254.169.254", "127.0.0.1")), answers(body=b"ok")),
    ("dead", Zone(("127.0.0.98", "127.0.0.99")), fails(CONNECT)),
    ("half-dead", Zone(("127.0.0.99", "127.0.0.1")), answers(body=b"ok")),
    ("crowd", Zone(tuple(f"127.0.1.{n}" for n in range(1, 29))), fails(CONNECT)),
):
    member(
        f"name: {name}",
        answering(OK),
        expects,
        url=f"http://{name}.zoo.example:{{port}}/",
        zone=zone,
    )
member(
    "name: silent",
    answering(OK),
    fails(TIMEOUT, "was not found within 0.5 s."),
    url="http://silent.zoo.example:{port}/",
    zone=Zone(is_silent=True),
    probe={"timeout": SHORT},
)


GOOD = ("127.0.0.1",)


def with_another_number(answer: bytes) -> bytes:
    """As if to somebody else's question: a forger who guesses."""
    return bytes([answer[0] ^ 0xFF]) + answer[1:]


def to_another_question(answer: bytes) -> bytes:
    return answer.replace(b"\x03zoo", b"\x03fox")


def pointing_to_itself(answer: bytes) -> bytes:
    """The name in the record is a pointer to where that pointer stands."""
    place = answer.index(b"\xc0\x0c")
    return answer[:place] + struct.pack("!H", 0xC000 | place) + answer[place + 2 :]


def as_an_alias_of_itself(answer: bytes) -> bytes:
    """The record is a CNAME whose target is the name that was asked for."""
    place = answer.index(b"\xc0\x0c")
    return (
        answer[:place] + b"\xc0\x0c" + struct.pack("!2HIH", 5, 1, 60, 2) + b"\xc0\x0c"
    )


def with_a_length_beyond_its_end(answer: bytes) -> bytes:
    return answer[:-6] + b"\xff\xff" + answer[-4:]


def with_a_thousand_records_promised(answer: bytes) -> bytes:
    return answer[:6] + struct.pack("!H", 1000) + answer[8:]


UNHEARD = fails(TIMEOUT, "was not found within 0.5 s.")
for name, forge, expects in (
    ("forged-number", with_another_number, UNHEARD),
    ("forged-question", to_another_question, UNHEARD),
    ("noise", lambda _: bytes(range(200)), fails(DNS, "Misformatted")),
    ("short", lambda answer: answer[:7], fails(DNS, "Misformatted")),
    ("pointer-to-itself", pointing_to_itself, fails(DNS)),
    ("alias-of-itself", as_an_alias_of_itself, fails(DNS)),
    ("length-beyond", with_a_length_beyond_its_end, fails(DNS)),
    ("thousand-records", with_a_thousand_records_promised, fails(DNS)),
):
    member(
        f"name: {name}",
        answering(OK),
        expects,
        url=f"http://{name}.zoo.example:{{port}}/",
        zone=Zone(GOOD, forge=forge),
        probe={"timeout": SHORT},
    )
