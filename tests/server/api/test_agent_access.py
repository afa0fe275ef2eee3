"""Who may call as an agent: shared secrets, agents' own tokens, and nobody else."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from argos.clock import utcnow
from argos.errors import AccessError
from argos.server.models import Agent, Result
from argos.server.queries.agents import Sighting
from argos.server.services import agent_access
from argos.server.services.agent_access import CACHED_INTERVAL, issue_token
from tests.server.factories import SECRET, add_group

ROUTES = [
    ("get", "/api/tasks"),
    ("post", "/api/results"),
    ("post", "/api/tasks/release"),
]


@pytest.fixture
def token(database) -> str:
    return issue_token(database, name="anna", now=utcnow())


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    ("header", "detail"),
    [
        (None, "Not authenticated"),
        ("", "Not authenticated"),
        ("Bearer", "Not authenticated"),
        ("Bearer ", "Not authenticated"),
        ("Basic YTpi", "Not authenticated"),
        (SECRET, "Not authenticated"),
        ("Bearer wrong", "Unauthorized"),
        (f"Bearer {SECRET}x", "Unauthorized"),
        (f"Bearer {SECRET[:-1]}", "Unauthorized"),
        ("Bearer argos_a_", "Unauthorized"),
        ("Bearer argos_a_0_0", "Unauthorized"),
        ("Bearer argos_a_" + "f" * 5000 + "_x", "Unauthorized"),
    ],
)
def test_caller_without_a_right_token_is_refused_as_0_10_3_does(
    client, method, path, header, detail
):
    headers = {} if header is None else {"Authorization": header}

    answer = getattr(client, method)(path, headers=headers)

    assert (answer.status_code, answer.json()) == (401, {"detail": detail})
    assert answer.headers["Argos-Protocol"] == "2"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_bytes_that_are_no_text_are_no_token(client):
    answer = client.get("/api/tasks", headers={"Authorization": b"Bearer \xff\x00\xe9"})

    assert answer.status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_any_shared_secret_opens(make_loaded, client, app, scheme):
    app.state.argos.watch._loaded = make_loaded(service__secrets=["one", "two"])

    answers = [
        client.get("/api/tasks", headers={"Authorization": f"{scheme} {secret}"})
        for secret in ("one", "two", SECRET)
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 401]


def test_without_shared_secrets_only_own_tokens_open(make_loaded, call_as, app, token):
    app.state.argos.watch._loaded = make_loaded(service__secrets=[])

    assert call_as(SECRET).get("/api/tasks").status_code == 401
    assert call_as(token).get("/api/tasks").status_code == 200


def test_name_comes_from_the_token_whatever_the_query_says(call_as, database, token):
    with database.transaction() as session:
        add_group(session, "a", due_at=utcnow())

    (task,) = call_as(token).get("/api/tasks", params={"agent_id": "bert"}).json()
    call_as(token).post(
        "/api/results",
        params={"agent_id": "carl"},
        json=[{"task_id": task["id"], "status": "success", "context": {}}],
    )

    assert task["selected_by"] == "anna"
    with database.reading() as session:
        assert session.scalars(select(Result.agent_id)).one() == "anna"


@pytest.mark.parametrize("part", ["id", "secret"])
def test_changed_token_is_refused(call_as, token, part):
    prefix, kind, token_id, secret = token.split("_", 3)
    assert (prefix, kind) == ("argos", "a")
    if part == "id":
        token_id = token_id[:-1] + ("0" if token_id[-1] != "0" else "1")
    else:
        secret = secret[:-1] + ("A" if secret[-1] != "A" else "B")

    answer = call_as(f"argos_a_{token_id}_{secret}").get("/api/tasks")

    assert answer.status_code == 401


def test_token_is_stored_nowhere(database, token):
    secret = token.split("_", 3)[3]
    with database.reading() as session:
        agent = session.scalars(select(Agent)).one()

    assert secret not in str(vars(agent))
    assert len(agent.token_digest) == 32
    assert len(secret) >= 43


def test_revoked_token_is_refused_within_seconds(database, loaded, token, now):
    desk = agent_access.AgentDesk()

    def identify(moment):
        return agent_access.identify(
            database,
            desk=desk,
            token=token,
            chosen_name="x",
            config=loaded.config,
            now=moment,
        )

    assert identify(now) == "anna"
    assert agent_access.revoke_token(database, name="anna", now=now)
    with pytest.raises(AccessError):
        identify(now + CACHED_INTERVAL)
    assert CACHED_INTERVAL.total_seconds() <= 5
    assert not agent_access.revoke_token(database, name="anna", now=now)


def test_who_called_a_moment_ago_is_at_hand(database, loaded, token, now):
    desk = agent_access.AgentDesk()
    callers = [
        {"desk": desk, "token": text, "chosen_name": "x", "config": loaded.config}
        for text in (token, SECRET)
    ]

    for caller in callers:
        assert not agent_access.is_at_hand(**caller, now=now)
        agent_access.identify(database, **caller, now=now)
        assert agent_access.is_at_hand(**caller, now=now + CACHED_INTERVAL / 2)
        assert not agent_access.is_at_hand(**caller, now=now + CACHED_INTERVAL)


def test_new_token_makes_the_old_one_worthless(call_as, database, token):
    newer = issue_token(database, name="anna", now=utcnow())

    assert call_as(token).get("/api/tasks").status_code == 401
    assert call_as(newer).get("/api/tasks").status_code == 200


def test_shared_secret_cannot_speak_for_an_agent_with_its_own_token(
    agent_client, call_as, token
):
    as_anna = agent_client.get("/api/tasks", params={"agent_id": "anna"})
    as_bert = agent_client.get("/api/tasks", params={"agent_id": "bert"})

    assert as_anna.status_code == 401
    assert as_bert.status_code == 200
    assert call_as(token).get("/api/tasks").status_code == 200


def test_agent_that_was_known_before_can_get_a_token(agent_client, database, call_as):
    agent_client.get("/api/tasks", params={"agent_id": "anna", "version": "1"})

    token = issue_token(database, name="anna", now=utcnow())

    assert call_as(token).get("/api/tasks").status_code == 200
    with database.reading() as session:
        agent = session.scalars(select(Agent)).one()
    assert (agent.name, agent.version) == ("anna", "1")


def test_sightings_are_written_once_in_a_while_unless_something_changed(now):
    desk = agent_access.AgentDesk()

    def news(after_s, **told):
        sighting = Sighting("anna", "127.0.0.1", **told)
        return desk.is_news(sighting, now=now + timedelta(seconds=after_s))

    assert [
        news(0, version="1", busy=3),
        news(1, version="1", busy=4),
        news(2),
        news(3, version="2"),
        news(4, version="2"),
        news(8, version="2"),
        news(-100, version="2"),
    ] == [True, False, False, True, False, True, True]
