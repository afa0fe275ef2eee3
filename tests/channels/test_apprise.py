import json
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from argos.channels import expand_recipient
from argos.channels.apprise import AppriseChannel
from argos.errors import DeliveryError

pytestmark = pytest.mark.filterwarnings(
    "ignore:'imghdr' is deprecated:DeprecationWarning"
)


def general(**groups):
    return SimpleNamespace(
        apprise={
            name: tuple(SecretStr(url) for url in urls) for name, urls in groups.items()
        }
    )


def json_url(http_sink, path="hook"):
    return f"{http_sink.url.replace('http', 'json')}/{path}"


def test_the_notice_reaches_the_service(http_sink, notice):
    channel = AppriseChannel.open(general(team=[json_url(http_sink)]), "team")

    channel.send(notice)
    channel.close()

    ((path, _, body),) = http_sink.requests
    sent = json.loads(body)
    assert path.rstrip("/") == "/hook"
    assert sent["title"] == "[Argos] ❌ example.org (IPv4): status critical"
    assert "https://example.org/ (IPv4)" in sent["message"]
    assert sent["type"] == "failure"


def test_each_url_of_a_group_is_a_target_that_does_not_tell_it(http_sink, notice):
    configured = general(
        team=[json_url(http_sink, "canary-a"), json_url(http_sink, "b")]
    )

    targets = expand_recipient("apprise:team", configured)

    assert len(set(targets)) == 2
    assert "canary" not in "".join(targets)
    assert expand_recipient(targets[0], configured) == (targets[0],)
    AppriseChannel.open(configured, targets[1].partition(":")[2]).send(notice)
    assert [path.rstrip("/") for path, _, _ in http_sink.requests] == ["/b"]


def test_a_service_that_refuses_is_tried_again(http_sink, notice):
    http_sink.status = 500
    channel = AppriseChannel.open(general(team=[json_url(http_sink)]), "team")

    with pytest.raises(DeliveryError, match="could not deliver to the json") as caught:
        channel.send(notice)

    assert not caught.value.permanent


def test_a_url_of_no_known_service_is_given_up(notice):
    channel = AppriseChannel.open(general(team=["canary://secret"]), "team")

    with pytest.raises(DeliveryError, match="cannot use the canary URL") as caught:
        channel.send(notice)

    assert caught.value.permanent
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("configured", [SimpleNamespace(apprise=None), general(a=[])])
def test_d58_an_unknown_group_is_given_up(configured):
    with pytest.raises(DeliveryError) as caught:
        AppriseChannel.open(configured, "team")

    assert caught.value.permanent
    assert expand_recipient("apprise:team", configured) == ("apprise:team",)
