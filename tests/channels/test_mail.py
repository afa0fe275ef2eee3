import socket
import threading
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from pydantic import SecretStr

from argos.channels import expand_recipient
from argos.channels.mail import MailChannel
from argos.errors import DeliveryError
from argos.schemas.channel import MailAuth, MailSettings


class Inbox:
    """Takes mails, and refuses what it is told to refuse."""

    def __init__(self):
        self.mails = []
        self.refuse_recipient = {}
        self.refuse_data = None

    async def handle_RCPT(  # noqa: N802  # the library calls it so
        self, server, session, envelope, address, options
    ):
        if address in self.refuse_recipient:
            return self.refuse_recipient[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  # as above
        if self.refuse_data:
            return self.refuse_data
        self.mails.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture
def smtp(inbox):
    controller = Controller(inbox, hostname="127.0.0.1", port=0)
    controller.port = free_port()
    controller.start()
    yield controller
    controller.stop()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def settings(port, **changes):
    return MailSettings(
        mailfrom="argos@example.org",
        host="127.0.0.1",
        port=port,
        addresses=("ada@example.org", "bob@example.org"),
        **changes,
    )


def general(port, **changes):
    return SimpleNamespace(mail=settings(port, **changes))


def test_a_mail_has_all_headers_that_a_mail_should_have(smtp, inbox, notice):
    channel = MailChannel.open(general(smtp.port), "ada@example.org")

    channel.send(notice)
    channel.close()

    ((recipients, content),) = inbox.mails
    headers = content.partition("\r\n\r\n")[0]
    assert recipients == ["ada@example.org"]
    assert "From: argos@example.org" in headers
    assert "To: ada@example.org" in headers
    assert "Message-ID: <7.1.1000.abc@example.org>" in headers
    assert "Date: " in headers
    assert "Auto-Submitted: auto-generated" in headers
    assert "Subject: [Argos] =?utf-8?" in headers


def test_each_address_is_a_target_of_its_own(smtp):
    assert expand_recipient("mail", general(smtp.port)) == (
        "mail:ada@example.org",
        "mail:bob@example.org",
    )
    assert expand_recipient("mail:ada@example.org", general(smtp.port)) == (
        "mail:ada@example.org",
    )


def test_the_whole_recipient_reaches_every_address(smtp, inbox, notice):
    channel = MailChannel.open(general(smtp.port), "")

    channel.send(notice)
    channel.close()

    assert [recipients for recipients, _ in inbox.mails] == [
        ["ada@example.org"],
        ["bob@example.org"],
    ]


def test_a_second_notice_uses_the_same_connection(smtp, inbox, notice):
    channel = MailChannel.open(general(smtp.port), "ada@example.org")

    channel.send(notice)
    channel.send(notice)
    channel.close()

    assert len(inbox.mails) == 2


@pytest.mark.parametrize(
    ("answer", "permanent"),
    [
        pytest.param("550 no such user", True, id="unknown user"),
        pytest.param("451 try later", False, id="greylisted"),
    ],
)
def test_a_refused_address(smtp, inbox, notice, answer, permanent):
    inbox.refuse_recipient = {"ada@example.org": answer}
    channel = MailChannel.open(general(smtp.port), "ada@example.org")

    with pytest.raises(DeliveryError, match=answer[4:]) as caught:
        channel.send(notice)

    assert caught.value.permanent is permanent
    assert f"127.0.0.1:{smtp.port}" in str(caught.value)


def test_after_a_refusal_the_channel_can_send_again(smtp, inbox, notice):
    channel = MailChannel.open(general(smtp.port), "ada@example.org")
    inbox.refuse_data = "451 disk full"
    with pytest.raises(DeliveryError, match="disk full"):
        channel.send(notice)

    inbox.refuse_data = None
    channel.send(notice)
    channel.close()

    assert len(inbox.mails) == 1


def test_a_server_that_is_away_is_tried_again_later(notice):
    channel = MailChannel.open(general(free_port()), "ada@example.org")

    with pytest.raises(DeliveryError, match="refused") as caught:
        channel.send(notice)

    assert not caught.value.permanent


def test_starttls_is_never_left_out_silently(smtp, inbox, notice):
    channel = MailChannel.open(general(smtp.port, starttls=True), "ada@example.org")

    with pytest.raises(DeliveryError, match="STARTTLS") as caught:
        channel.send(notice)

    assert not caught.value.permanent
    assert inbox.mails == []


def test_a_refused_login_never_shows_the_password(inbox, notice):
    controller = Controller(
        inbox,
        hostname="127.0.0.1",
        port=free_port(),
        auth_require_tls=False,
        authenticator=lambda *_: AuthResult(success=False, handled=False),
    )
    controller.start()
    auth = MailAuth(login="argos", password=SecretStr("canary-password"))
    channel = MailChannel.open(general(controller.port, auth=auth), "ada@example.org")

    with pytest.raises(DeliveryError, match="refused the login") as caught:
        channel.send(notice)
    controller.stop()

    assert "canary" not in str(caught.value)
    assert not caught.value.permanent


def test_a20_a_server_that_stays_silent_costs_no_more_than_the_deadline(notice):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        channel = MailChannel(
            settings(silent.getsockname()[1]),
            ("ada@example.org",),
            attempt_timeout_s=0.3,
        )

        with pytest.raises(DeliveryError, match="timed out"):
            channel.send(notice)


def test_f18_a_tarpit_is_left_at_the_deadline(notice):
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=tarpit, args=[server])
        thread.start()
        channel = MailChannel(
            settings(server.getsockname()[1]),
            ("ada@example.org",),
            attempt_timeout_s=0.5,
        )

        with pytest.raises(DeliveryError, match=r"timed out|too long"):
            channel.send(notice)

        thread.join()


def tarpit(server):
    """Answer each command at the last moment, for ever."""
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"220 hello\r\n")
        waiting = threading.Event()
        try:
            while connection.recv(1024):
                waiting.wait(0.2)
                connection.sendall(b"250 slowly\r\n")
        except OSError:
            return


@pytest.mark.parametrize("target", ["carol@example.org", ""])
def test_an_unknown_address_is_given_up(target):
    without = SimpleNamespace(mail=None if not target else settings(25))

    with pytest.raises(DeliveryError) as caught:
        MailChannel.open(without, target)

    assert caught.value.permanent
