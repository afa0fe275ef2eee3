"""The header fields of an answer."""

from argos.core.headers import HeaderFields


def test_values_of_repeated_names_are_joined_in_their_order():
    fields = HeaderFields(
        b"HTTP/1.1 200 OK\r\nVary: accept\r\nServer: x\r\nvary:  cookie \r\n\r\n"
    )

    assert fields.values == {"vary": "accept, cookie", "server": "x"}
    assert fields[2] == ("vary", "cookie")
