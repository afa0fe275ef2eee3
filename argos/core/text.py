"""Text from outside: decoded without trust, made visible, and cut."""

import codecs
import encodings
import re
from encodings.aliases import aliases
from functools import lru_cache

_HIDDEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 and C1 controls
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidi marks, overrides, isolates
    "\u2028\u2029\ufeff\ufff9-\ufffb"  # separators, byte order mark, annotations
    "\ud800-\udfff"  # lone surrogates
    "]"
)

_CHARSET = re.compile(
    r"charset\s*=\s*[\"']?([^\s\"';,]{1,40})(?![^\s\"';,])", re.IGNORECASE
)

# Stateful, not of text, or able to spell markup that a reader does not see.
_REFUSED_CODECS = frozenset({
    "base64_codec",
    "bz2_codec",
    "hex_codec",
    "idna",
    "mbcs",
    "punycode",
    "quopri_codec",
    "raw_unicode_escape",
    "rot_13",
    "undefined",
    "unicode_escape",
    "utf_7",
    "uu_codec",
    "zlib_codec",
})

# Labels seen in the wild that the standard library's table of aliases leaves out.
_MORE_LABELS = {
    "cp874": "cp874",
    "koi8_u": "koi8_u",
    "windows_874": "cp874",
    "x_mac_cyrillic": "mac_cyrillic",
    "x_sjis": "shift_jis",
}

# A closed table, since codecs.lookup() would import, and remember for ever, whatever
# name a website makes up.
_CODECS = {
    label: codec
    for label, codec in [
        *aliases.items(),
        *((codec, codec) for codec in aliases.values()),
        *_MORE_LABELS.items(),
    ]
    if codec not in _REFUSED_CODECS
}

# The longer marks first: UTF-32's begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf_8"),
    (codecs.BOM_UTF32_LE, "utf_32_le"),
    (codecs.BOM_UTF32_BE, "utf_32_be"),
    (codecs.BOM_UTF16_LE, "utf_16_le"),
    (codecs.BOM_UTF16_BE, "utf_16_be"),
)


_MARKS = tuple(mark for mark, _ in _BYTE_ORDER_MARKS)


def visible(text: str) -> str:
    r"""Show control characters, bidi overrides and lone surrogates as `\uXXXX`.

    The notation is that of JSON, so that JSON text stays JSON text.
    """
    if text.isprintable():
        return text
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def cut(text: str, limit: int) -> str:
    """The text, or its beginning with a note of how long it was."""
    if len(text) <= limit:
        return text
    note = f"… ({len(text)} characters)"
    return (text[: max(0, limit - len(note))] + note)[:limit]


def decode_body(body: bytes, content_type: str | None) -> str:
    """The text of a body, by its byte order mark, its declared charset, or UTF-8.

    Never raises: bytes that make no sense become U+FFFD.
    """
    if body.startswith(_MARKS):
        mark, codec = next(
            pair for pair in _BYTE_ORDER_MARKS if body.startswith(pair[0])
        )
        return body[len(mark) :].decode(codec, "replace")
    return body.decode(_codec(content_type), "replace")


@lru_cache(maxsize=64)  # a website may send a long one
def _codec(content_type: str | None) -> str:
    declared = _CHARSET.search(content_type or "")
    if declared is None:
        return "utf_8"
    label = encodings.normalize_encoding(declared[1]).lower()
    return _CODECS.get(label, "utf_8")
