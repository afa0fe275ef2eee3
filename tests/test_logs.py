"""What the log shows, and what it never shows."""

import logging
import logging.config

import pytest

from argos.logs import RedactingFormatter, logging_settings, redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("GET /?token=abc&x=1", "GET /?token=***&x=1"),
        ("password=hunter2 user=joe", "password=*** user=joe"),
        ("postgresql://joe:hunter2@db/argos", "postgresql://joe:***@db/argos"),
        ("https://joe:a:b@example.org:8443/", "https://joe:***@example.org:8443/"),
        ("Running agent against http://127.0.0.1:8000", None),
        ("http://[::1]:8000/api/tasks", None),
        ("nothing to hide", None),
    ],
)
def test_secrets_are_blotted_out_and_nothing_else(text: str, shown: str | None) -> None:
    assert redact(text) == (shown or text)


def test_the_settings_for_other_processes_show_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logging.config.dictConfig(logging_settings("warning"))
        logging.getLogger("argos.tests").warning("token=%s", "abc")
        logging.getLogger("argos.tests").info("too quiet")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)

    assert capsys.readouterr().err == "WARNING   token=***\n"


def test_a_formatter_redacts_the_whole_record() -> None:
    record = logging.LogRecord(
        "argos", logging.ERROR, "", 0, "%s", ("https://a:b@c/",), None
    )

    assert RedactingFormatter("%(message)s").format(record) == "https://a:***@c/"
