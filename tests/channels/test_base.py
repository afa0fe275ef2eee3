import pytest

from argos.channels import recipient_name


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        ("local", "local"),
        ("mail", "mail"),
        ("mail:ada@example.org", "mail"),
        ("gotify:0123456789ab", "gotify"),
        ("apprise:team", "apprise:team"),
        ("apprise:team#0123456789ab", "apprise:team"),
        ("carrier-pigeon", "carrier-pigeon"),
    ],
)
def test_pages_show_recipients_as_the_config_names_them(recipient, expected):
    assert recipient_name(recipient) == expected
