"""What the zoo must hold: each kind of server by name, and the members that are it.

A kind without members stands in `ELSEWHERE`, with the test that has it, or in
`NOBODY_HAS`, with the reason.
"""

from tests.agent.engine.zoo.names import METADATA_V4, METADATA_V6, ODD_NUMBERS

TIMING = {
    "accepts and says nothing": ["silent"],
    "headers, a byte at a time": ["headers byte by byte", "stall within the headers"],
    "body, a byte at a time, for ever": ["body byte by byte"],
    "body slower than the deadline": ["body slower than the deadline"],
    "fast headers, then a stall": ["stall after the headers"],
    "100 Continue, and never more": ["100 Continue and nothing else"],
    "flood of interim answers": ["flood of interim answers"],
}

BYTES = {
    "reset before the headers": ["reset at once", "reset after the request"],
    "reset in the headers": ["reset in the headers"],
    "reset in the body": ["reset in the body"],
    "end before the length": ["close in the body"],
    "length too small": ["length too small", "2 GB behind a small length"],
    "length too large": ["close in the body"],
    "length negative": ["length negative"],
    "length with a plus": ["length with a plus"],
    "two lengths": ["two lengths", "lengths of a list"],
    "length as a huge integer": ["length beyond all numbers"],
    "chunk of 0x7fffffffffffffff": ["chunk of 8 exabytes"],
    "chunk size in bad hex": ["chunk size is no number"],
    "chunks without an end": ["last chunk missing", "endless chunks"],
    "bomb of trailers": ["flood of trailers"],
    "length and chunks": ["length and chunks"],
    "HTTP/0.9": ["HTTP/0.9"],
    "HTTP/9.9": ["HTTP/9.9"],
    "odd status": [
        f"status {status}" for status in ("000", "099", "600", "999", "20O")
    ],
    "reason of a megabyte": ["reason of a megabyte"],
    "reason with escape codes and markup": ["reason with escape codes and markup"],
    "headers without an end": ["stall within the headers", "close in the headers"],
    "a million headers": ["a million headers"],
    "a header of 100 MB": ["a header of 100 MB"],
    "NUL in a header": ["NUL in a header"],
    "bare CR": ["bare CR in a header"],
    "bare LF": ["bare line feeds"],
    "folded header": ["folded header"],
    "header that is not Latin": ["header in Latin-1", "header in UTF-8"],
    "10,000 cookies": ["10,000 cookies"],
    "HTTP/2 preface on a plain port": ["HTTP/2 preface"],
    "banners of other services": ["SSH", "SMTP", "Redis"],
    "random bytes": ["noise"],
    "TLS to a plain client": ["TLS to a plain client"],
    "plain text to a TLS client": ["plain text to a TLS client"],
    "endless body": ["endless body", "body of a gigabyte"],
}

ENCODINGS = {
    "gzip bomb of 1:1000": ["gzip bomb", "1:1000 in a small body"],
    "gzip bomb nested ten times": ["gzip bomb nested ten times", "bomb in a bomb"],
    "zlib raw and wrapped": ["deflate as zlib", "deflate without zlib"],
    "truncated gzip": ["gzip cut short", "gzip cut within its head"],
    "gzip with a tail of rubbish": ["gzip with a tail", "gzip with a tail of gzip"],
    "plain text called gzip": ["text called gzip"],
    "brotli and zstd bombs": ["brotli bomb", "zstd bomb"],
    "20 stacked encodings": ["20 encodings", "20 encodings in 20 headers"],
    "one encoding too many": ["three encodings"],
    "unknown encoding": ["encoding b'rot13'", "encoding with a name of 10 kB"],
    "charset utf-7": ["charset utf-7"],
    "charset idna": ["charset idna"],
    "charset rot13": ["charset rot13"],
    "charset zip": ["charset zip"],
    "unknown charset": ["charset no-such-charset"],
    "charset with a name of 10 kB": ["charset xxxxxxxxxxxxxxxxxxxx"],
    "invalid UTF-8": ["invalid UTF-8"],
    "UTF-16 without a mark": ["UTF-16 without a mark"],
}

REDIRECTS = {
    "loop": ["followed: to itself", "followed: loop of three"],
    "1,000 hops": ["followed: 1,000 hops"],
    "to file:": ["followed: to b'file:///etc/passwd'"],
    "to gopher:": ["followed: to b'gopher://127.0.0.1:6379/_x'"],
    "to javascript:": ["followed: to b'javascript:alert(1)'"],
    "to a metadata address": [
        f"followed: to {f'http://{host}/'.encode()!r}" for host in METADATA_V4
    ],
    "to a metadata address in IPv6": [
        f"followed over IPv6: to {host}" for host in METADATA_V6
    ],
    "to an address as an odd number": [
        f"followed: to {f'http://{host}/'.encode()!r}" for host in ODD_NUMBERS
    ],
    "from https to http": ["followed: from https to http"],
    "Location empty": ["followed: empty", "redirect to b''"],
    "Location of a megabyte": ["followed: Location of a megabyte"],
    "Location with CRLF": [
        "followed: another header behind the Location",
        "followed: to b'/a%0d%0aX-More:%201'",
        "followed: Location with a bare CR",
    ],
    "Location //": ["followed: Location //", "followed: Location ///a"],
}

NAMES = {
    "no such name": ["name: unknown"],
    "no address": ["name: empty", "name: other-version"],
    "server failure": ["name: broken"],
    "silent name server": ["name: silent"],
    "name of a metadata address": ["name: metadata", "name: beside-metadata"],
    "many dead addresses": ["name: crowd"],
    "forged answer": ["name: forged-number", "name: forged-question"],
    "broken answer": [
        "name: noise",
        "name: short",
        "name: length-beyond",
        "name: thousand-records",
    ],
    "answer in a circle": ["name: pointer-to-itself", "name: alias-of-itself"],
}

HANDSHAKES = {
    "expired": ["expired", "expired a moment ago"],
    "not yet valid": ["not yet valid", "begins at the end of time"],
    "wrong host": ["wrong host", "wrong host and expired"],
    "self-signed": ["self-signed"],
    "unknown issuer": ["unknown issuer"],
    "missing chain": ["intermediate missing"],
    "SHA-1": ["SHA-1"],
    "no SAN": ["no alternative names"],
    "wildcard misuse": [
        "wildcard for everything",
        "wildcard for a top-level name",
        "wildcard within a label",
    ],
    "NUL in a name": ["NUL in the name"],
    "10,000 SANs": ["10,000 names", "1,000 names"],
    "notAfter 9999": ["valid to the end of time"],
    "notAfter in 2049 and 2050": ["valid into 2049", "valid into 2050"],
    "empty subject": ["empty subject"],
    "markup in the certificate": ["subject with markup"],
    "TLS 1.0 only": ["TLS 1.0 only", "TLS 1.0 where it is allowed"],
    "handshake stalls": ["handshake stalls"],
    "flood of alerts": ["flood of TLS alerts"],
    "ALPN of nonsense": ["ALPN of nonsense"],
    "huge certificate chain": ["long chain"],
    "client certificate demanded": [
        "client certificate wished for",
        "client certificate demanded over TLS 1.2",
        "client certificate demanded over TLS 1.3",
    ],
    "another answer for another name": ["answers to one name only", "name refused"],
    "small RSA key": ["RSA of 1024 bits"],
}

DOCUMENTS = {
    "100,000 levels of arrays": ["JSON: arrays of 99,999 levels"],
    "number of 10 MB": ["JSON: number of 10 MB", "JSON: number of 90,000 digits"],
    "duplicate keys": ["JSON: duplicate keys"],
    "NaN": ["JSON: NaN", "JSON: Infinity"],
    "lone surrogates": ["JSON: lone surrogates"],
    "byte order mark": ["JSON: byte order mark"],
    "pointer into the wrong type": [
        "JSON: pointer into a number",
        "JSON: pointer into a text",
    ],
    "markup in page, headers and cookies": [
        "markup in the page",
        "markup in headers and cookies",
    ],
}

POLITE = {
    "429 with Retry-After": ["429"],
    "401 with odd challenges": ["401 with odd challenges"],
    "204 with a body": ["204 with a body"],
    "304": ["304"],
    "HEAD with a body": ["HEAD with a body"],
    "206": ["206"],
    "block of robots": ["block of robots"],
}

SUBJECTS = {
    "timing": TIMING,
    "bytes": BYTES,
    "encodings": ENCODINGS,
    "redirects": REDIRECTS,
    "names": NAMES,
    "handshakes": HANDSHAKES,
    "documents": DOCUMENTS,
    "polite": POLITE,
}

ELSEWHERE = {
    "name that rebinds": "test_resolving.py: "
    "test_name_that_rebinds_is_judged_by_what_it_stands_for_now",
    "to another website, with credentials": "test_redirects.py: "
    "test_hops_are_told_and_credentials_stay_with_their_website",
}
"""A single probe cannot show these; a test of its own does."""

NOBODY_HAS = {
    "keep-alive closed between two requests": "each probe has a connection of its own",
    "other answers for other agents": "no matter of the engine; the server judges it",
    "revoked, with a stapled answer": "the tests' TLS servers cannot staple",
    "renegotiation": "the tests' TLS servers cannot ask for one",
    "RSA of 512 bits": "the tests' libraries make no such key",
}
"""Kinds without a server, and why."""
