"""The header fields of an answer."""

from hypothesis import given, strategies as st

from argos.core.headers import HeaderFields


def test_values_of_repeated_names_are_joined_in_their_order():
    fields = HeaderFields(
        b"HTTP/1.1 200 OK\r\nVary: accept\r\nServer: x\r\nvary:  cookie \r\n\r\n"
    )

    assert fields.values == {"vary": "accept, cookie", "server": "x"}
    assert fields[2] == ("vary", "cookie")


@given(
    st.lists(
        st.text(
            st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20
        ).map(lambda text: f"{text}: {text} "),
        max_size=4,
    ),
    st.booleans(),
    st.sampled_from(["\r\n", "\n"]),
)
def test_a_line_is_read_alike_whether_it_is_known_or_not(
    lines: list[str], is_long: bool, end: str
):
    more = [f"X-Long: {'x' * 5000}"] if is_long else []
    text = end.join(["HTTP/1.1 200 OK", *lines, *more, "", ""])

    fields = HeaderFields(text.encode("utf-8", "replace")).read()

    read = [line.partition(":") for line in lines]
    expected = [(name.strip().lower(), value.strip(" \t")) for name, _, value in read]
    assert list(fields)[: len(lines)] == expected
    assert len(fields) == len(lines) + len(more)
