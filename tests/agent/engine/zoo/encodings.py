"""Bodies that are encoded in odd ways, or not at all."""

import gzip
import os
import zlib

from tests.agent.engine.servers import (
    answering,
)
from tests.agent.engine.zoo.behaviours import (
    encoded,
    repeating,
    with_headers,
)
from tests.agent.engine.zoo.member import (
    CAP,
    PROTOCOL,
    answers,
    fails,
    member,
)

TEXT = b"hello, website\n" * 100
raw_deflate = zlib.compressobj(wbits=-15)
RAW_DEFLATE = raw_deflate.compress(TEXT) + raw_deflate.flush()
BOMB = gzip.compress(bytes(50_000_000))
# A window of 16 MB of nothing; nobody should ever undo them.
BROTLI_BOMB = bytes.fromhex("5bffffff") + b"\x5d" * 4000
ZSTD_BOMB = b"\x28\xb5\x2f\xfd\x00\x90" + b"\x02\x00\x10\x00" * 1000


def nested(body: bytes, times: int) -> bytes:
    for _ in range(times):
        body = gzip.compress(body)
    return body


member("gzip", encoded(b"gzip", gzip.compress(TEXT)), answers(body=TEXT))
member("x-gzip", encoded(b"x-gzip", gzip.compress(TEXT)), answers(body=TEXT))
member(
    "two gzip members",
    encoded(b"gzip", gzip.compress(TEXT) * 2),
    answers(body=TEXT * 2),
)
member("deflate as zlib", encoded(b"deflate", zlib.compress(TEXT)), answers(body=TEXT))
member("deflate without zlib", encoded(b"deflate", RAW_DEFLATE), answers(body=TEXT))
member(
    "gzip cut short",
    encoded(b"gzip", gzip.compress(os.urandom(5000))[:3000]),
    answers(),
)
member(
    "gzip with a tail",
    encoded(b"gzip", gzip.compress(TEXT) + b"rubbish"),
    answers(body=TEXT),
)
member("text called gzip", encoded(b"gzip", TEXT), fails(PROTOCOL, '"gzip"'))
member("text called deflate", encoded(b"deflate", TEXT), fails(PROTOCOL, '"deflate"'))
member("gzip bomb", encoded(b"gzip", BOMB), answers(body=bytes(CAP), is_cut=True))
member(
    "bomb in a bomb",
    encoded(b"gzip, gzip", gzip.compress(BOMB)),
    answers(body=bytes(64 * 1024), is_cut=True),
)
member(
    "endless empty deflate blocks",
    repeating(
        with_headers(b"Content-Encoding: deflate"), b"\x00\x00\x00\xff\xff" * 10_000
    ),
    answers(body=b"", is_cut=True),
)
member(
    "20 encodings",
    encoded(b", ".join([b"gzip"] * 20), gzip.compress(TEXT)),
    fails(PROTOCOL, "20 encodings"),
)
member(
    "20 encodings in 20 headers",
    answering(with_headers(b"\r\n".join([b"Content-Encoding: gzip"] * 20), TEXT)),
    fails(PROTOCOL, "20 encodings"),
)
for encoding in (b"br", b"zstd", b"rot13", b"utf-7", b"\xff"):
    member(f"encoding {encoding!r}", encoded(encoding, TEXT), answers(body=TEXT))
member("encoding identity", encoded(b"identity", TEXT), answers(body=TEXT))
member("gzip without a body", encoded(b"gzip", b""), answers(body=b""))
member(
    "transfer encoding gzip",
    answering(with_headers(b"Transfer-Encoding: gzip", gzip.compress(TEXT))),
    fails(PROTOCOL),
)
member(
    "gzip cut within its head",
    encoded(b"gzip", gzip.compress(TEXT)[:6]),
    answers(body=b""),
)
member(
    "gzip with a wrong checksum",
    encoded(b"gzip", gzip.compress(TEXT)[:-8] + bytes(8)),
    fails(PROTOCOL, '"gzip"'),
)
member(
    "gzip with a tail of gzip",
    encoded(b"gzip", gzip.compress(TEXT) + b"\x1f\x8brubbish"),
    answers(body=TEXT),
)
member(
    "1,000 gzip members",
    encoded(b"gzip", gzip.compress(b"x") * 1000),
    answers(body=b"x" * 65, is_cut=True),
)
member(
    "deflate in gzip",
    encoded(b"deflate, gzip", gzip.compress(zlib.compress(TEXT))),
    answers(body=TEXT),
)
member(
    "encodings in the wrong order",
    encoded(b"gzip, deflate", gzip.compress(zlib.compress(TEXT))),
    fails(PROTOCOL, '"deflate"'),
)
member(
    "three encodings",
    encoded(b"gzip, gzip, gzip", gzip.compress(TEXT)),
    fails(PROTOCOL, "3 encodings"),
)
member(
    "gzip bomb nested ten times",
    encoded(b", ".join([b"gzip"] * 10), nested(bytes(1_000_000), 10)),
    fails(PROTOCOL, "10 encodings"),
)
member("gzip around brotli", encoded(b"br, gzip", gzip.compress(TEXT)), answers())
member("brotli bomb", encoded(b"br", BROTLI_BOMB), answers(body=BROTLI_BOMB))
member("zstd bomb", encoded(b"zstd", ZSTD_BOMB), answers(body=ZSTD_BOMB))
member(
    "encoding with a name of 10 kB",
    encoded(b"x" * 10_000, TEXT),
    answers(body=TEXT),
)
member(
    "1:1000 in a small body",
    encoded(b"gzip", gzip.compress(bytes(64_000))),
    answers(body=bytes(64_000)),
)
