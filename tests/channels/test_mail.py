import re
import socket
import threading
from dataclasses import replace
from email import message_from_bytes, policy
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from pydantic import SecretStr

from argos.channels import expand_recipient, open_channel
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


def read(inbox):
    ((_, content),) = inbox.mails
    return message_from_bytes(content.encode(), policy=policy.default)


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


def open_mail(port, target="ada@example.org", **changes):
    return MailChannel.open(settings(port, **changes), target)


def test_a_mail_has_all_headers_that_a_mail_should_have(smtp, inbox, notice):
    channel = open_mail(smtp.port)

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


def test_a_mail_says_it_as_text_and_as_html_that_loads_nothing(smtp, inbox, notice):
    channel = open_mail(smtp.port)

    channel.send(notice)
    channel.close()

    mail = read(inbox)
    text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    page = mail.get_body(("html",)).get_content()
    assert mail.get_content_type() == "multipart/alternative"
    assert text == notice.text
    assert "Reason: *bold* <b> [x](y)" in text
    assert "*bold* &lt;b&gt; [x](y)" in page
    assert 'href="https://argos.example/acknowledge/7?k=a&amp;b=c"' in page
    assert not re.search(r"<(img|link|script|style|iframe)|url\(", page)


def test_a_digest_lists_its_entries(smtp, inbox, digest):
    channel = open_mail(smtp.port)

    channel.send(digest)
    channel.close()

    mail = read(inbox)
    assert mail["Subject"] == f"[Argos] {digest.title}"
    text = mail.get_body(("plain",)).get_content()
    assert text.replace("\r\n", "\n") == digest.text
    assert digest.text.splitlines()[:3] == [
        "❌ <b>example.org</b> critical",
        "   https://argos.example/task/7",
        "✅ shop.example.org ok",
    ]
    page = mail.get_body(("html",)).get_content()
    assert ">&lt;b&gt;example.org&lt;/b&gt; critical</a></li>" in page


def test_a_recovery_stands_below_its_problem(smtp, inbox, notice):
    channel = open_mail(smtp.port)

    channel.send(replace(notice, message_id="9", references=("7", "8")))
    channel.close()

    mail = read(inbox)
    assert mail["Message-ID"] == "<9@example.org>"
    assert mail["In-Reply-To"] == "<7@example.org>"
    assert mail["References"] == "<7@example.org> <8@example.org>"


@pytest.mark.parametrize("text", ["a\r\nBcc: eve@example.org", "a\nb", "x" * 10_000])
def test_s43_a_title_stays_one_header(smtp, inbox, notice, text):
    channel = open_mail(smtp.port)

    channel.send(replace(notice, title=text))
    channel.close()

    mail = read(inbox)
    assert mail["Bcc"] is None
    assert len(mail["Subject"]) <= 270
    assert inbox.mails[0][0] == ["ada@example.org"]


def test_f18_a_server_that_goes_away_after_the_mail_may_have_it(inbox, notice):
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=take_and_leave, args=[server])
        thread.start()
        channel = open_mail(server.getsockname()[1])

        with pytest.raises(DeliveryError) as caught:
            channel.send(notice)

        thread.join()
    assert not caught.value.is_unsent
    assert not caught.value.permanent


def take_and_leave(server):
    """Take a mail, and cut the connection where the answer should come."""
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"220 hello\r\n")
        while (line := lines.readline()) != b"data\r\n":
            connection.sendall(b"250 fine\r\n" if line else b"")
        connection.sendall(b"354 go on\r\n")
        while lines.readline() != b".\r\n":
            pass


def test_each_address_is_a_target_of_its_own(smtp):
    assert expand_recipient("mail", general(smtp.port)) == (
        "mail:ada@example.org",
        "mail:bob@example.org",
    )
    assert expand_recipient("mail:ada@example.org", general(smtp.port)) == (
        "mail:ada@example.org",
    )


def test_the_whole_recipient_reaches_every_address(smtp, inbox, notice):
    channel = open_mail(smtp.port, "")

    channel.send(notice)
    channel.close()

    assert [recipients for recipients, _ in inbox.mails] == [
        ["ada@example.org"],
        ["bob@example.org"],
    ]


def test_a_second_notice_uses_the_same_connection(smtp, inbox, notice):
    channel = open_mail(smtp.port)

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
    channel = open_mail(smtp.port)

    with pytest.raises(DeliveryError, match=answer[4:]) as caught:
        channel.send(notice)

    assert caught.value.permanent is permanent
    assert f"127.0.0.1:{smtp.port}" in str(caught.value)


def test_after_a_refusal_the_channel_can_send_again(smtp, inbox, notice):
    channel = open_mail(smtp.port)
    inbox.refuse_data = "451 disk full"
    with pytest.raises(DeliveryError, match="disk full"):
        channel.send(notice)

    inbox.refuse_data = None
    channel.send(notice)
    channel.close()

    assert len(inbox.mails) == 1


def test_a_server_that_is_away_is_tried_again_later(notice):
    channel = open_mail(free_port())

    with pytest.raises(DeliveryError, match="refused") as caught:
        channel.send(notice)

    assert not caught.value.permanent


def test_starttls_is_never_left_out_silently(smtp, inbox, notice):
    channel = open_mail(smtp.port, starttls=True)

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
    channel = open_mail(controller.port, auth=auth)

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
        open_channel(f"mail:{target}" if target else "mail", without)

    assert caught.value.permanent
