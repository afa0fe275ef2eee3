"""`/api/app/silences`."""

import pytest
from fastapi.testclient import TestClient

URL = "/api/app/silences"
WANTED = {
    "match": {"website": ["shop.example.org"]},
    "minutes": 60,
    "comment": "moving",
}


def test_a_silence_is_made_listed_and_ended(admin: TestClient):
    made = admin.post(URL, json=WANTED)
    [listed] = admin.get(URL).json()
    number = made.json()["id"]
    ended = admin.post(f"{URL}/{number}/end")

    assert made.status_code == 201
    assert listed["id"] == number
    assert listed["match"]["website"] == ["shop.example.org"]
    assert (listed["kind"], listed["comment"]) == ("silence", "moving")
    assert listed["created_by"] == "admin"
    assert ended.json() == {"id": number}
    assert admin.get(URL).json() == []
    assert admin.post(f"{URL}/{number}/end").status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"match": {}},
        {"match": {"website": ["*"]}},
        {"match": {"website": ["a\x00"]}},
        {"minutes": 0},
        {"minutes": -5},
        {"minutes": 500_000},
        {"minutes": "NaN"},
        {"starts_at": "2026-01-01T00:00:00"},
        {"starts_at": "9999-12-31T23:59:59Z"},
        {"starts_at": "2020-01-01T00:00:00Z"},
        {"kind": "nap"},
    ],
    ids=str,
)
def test_what_cannot_be_a_silence_is_refused(admin: TestClient, changes):
    answer = admin.post(URL, json={**WANTED, **changes})

    assert answer.status_code == 422
    assert admin.get(URL).json() == []


def test_strangers_are_refused(stranger: TestClient):
    headers = {"Accept": "application/json"}

    assert stranger.get(URL, headers=headers).status_code == 401
    assert stranger.post(URL, json=WANTED, headers=headers).status_code == 401


@pytest.mark.parametrize("number", ["x", "-1", str(2**70)])
def test_a_number_that_is_none_is_refused(admin: TestClient, number):
    assert admin.post(f"{URL}/{number}/end").status_code == 422
