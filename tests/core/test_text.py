import json

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from argos.core.text import cut, decode_body, visible

# A busy machine is no reason to fail.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain", "plain"),
        ("Škocjan 日本 🔥 non\xa0breaking", "Škocjan 日本 🔥 non\xa0breaking"),
        ("a\nb\tc\r", r"a\u000ab\u0009c\u000d"),
        ("\x00\x1b[31m\x7f\x85", r"\u0000\u001b[31m\u007f\u0085"),
        ("abc\u202etxt.exe", r"abc\u202etxt.exe"),
        ("\u2066\u2069\u200f\u061c", r"\u2066\u2069\u200f\u061c"),
        ("\ufeff\u2028", r"\ufeff\u2028"),
        ("\ud800x\udfff", r"\ud800x\udfff"),
        ("family 👨\u200d👩", "family 👨\u200d👩"),
        (r"\u0000", r"\u0000"),
    ],
)
def test_what_is_invisible_is_shown(text, shown):
    assert visible(text) == shown


@patient
@given(st.text(st.characters()))
def test_visible_text_can_be_stored_and_is_stable(text):
    shown = visible(text)

    shown.encode()
    assert "\x00" not in shown
    assert visible(shown) == shown


@patient
@given(st.recursive(st.text(), st.lists))
def test_json_stays_the_same_json(value):
    text = json.dumps(value, ensure_ascii=False)

    assert json.loads(visible(text)) == value


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("12345", 5, "12345"),
        ("", 0, ""),
        ("x" * 50, 49, "x" * 32 + "… (50 characters)"),
        ("x" * 50, 5, "… (50"),
    ],
)
def test_a_cut_is_marked(text, limit, shown):
    assert cut(text, limit) == shown


@patient
@given(st.text(), st.integers(0, 60))
def test_a_cut_text_keeps_the_limit(text, limit):
    assert len(cut(text, limit)) <= limit


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode(), None, "é"),
        ("é".encode(), "", "é"),
        ("é".encode(), "text/html", "é"),
        ("é".encode(), "text/html; charset=utf-8", "é"),
        ("é".encode("latin-1"), "text/html; charset=iso-8859-1", "é"),
        ("é".encode("latin-1"), "text/html;Charset = 'ISO-8859-1' ; x=y", "é"),
        ("é".encode("latin-1"), 'text/html; charset="latin1"', "é"),
        ("é".encode("latin-1"), "charset=latin-1", "é"),
        ("é".encode("latin-1"), "text/html; charset=latin-1; charset=utf-8", "é"),
        ("€".encode("cp1252"), "text/html; charset=windows-1252", "€"),
        ("я".encode("koi8-r"), "text/html; charset=koi8-r", "я"),
        ("є".encode("koi8-u"), "text/html; charset=KOI8-U", "є"),
        ("ก".encode("cp874"), "text/html; charset=windows-874", "ก"),
        ("日本".encode("shift_jis"), "text/html; charset=x-sjis", "日本"),
        ("日本".encode("euc-jp"), "text/html; charset=EUC-JP", "日本"),
        ("日本".encode("gb18030"), "text/html; charset=gb18030", "日本"),
        ("é".encode("utf-16-le"), "text/html; charset=utf-16le", "é"),
        ("é".encode("utf-16"), None, "é"),
        ("é".encode("utf-32"), "text/html; charset=utf-8", "é"),
        ("\ufeffé".encode(), "text/html; charset=iso-8859-1", "é"),
        ("\ufeffé".encode("utf-16-be"), None, "é"),
        ("\ufeffé".encode("utf-32-be"), None, "é"),
        (b"\xe9\xff", None, "\ufffd\ufffd"),
        (b"", "text/html; charset=utf-16", ""),
    ],
)
def test_bodies_are_decoded_by_mark_then_charset_then_utf_8(body, content_type, text):
    assert decode_body(body, content_type) == text


@pytest.mark.parametrize(
    "charset",
    [
        "idna",
        "punycode",
        "rot13",
        "rot_13",
        "utf-7",
        "unicode_escape",
        "raw-unicode-escape",
        "zip",
        "zlib",
        "base64",
        "hex",
        "uu",
        "quopri",
        "bz2",
        "undefined",
        "mbcs",
        "nonsense",
        "../../etc/passwd",
        "x\x00y",
        "é",
        "a" * 10_000,
        "",
    ],
)
def test_charsets_that_are_none_fall_back_to_utf_8(charset):
    body = "+AGE- é \\u0041 xn--a".encode()

    assert decode_body(body, f"text/html; charset={charset}") == body.decode()


@patient
@given(
    st.binary(), st.none() | st.text() | st.text().map("text/html; charset={}".format)
)
def test_decoding_never_fails(body, content_type):
    decode_body(body, content_type)
