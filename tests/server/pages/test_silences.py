"""The page of silences."""

import re

from fastapi.testclient import TestClient

FORM = {"website": "shop.example.org, *.example.com", "length": "2h", "comment": "<b>"}


def _token(page: str) -> str:
    match = re.search(r'name="csrf" value="([^"]+)"', page)
    assert match is not None
    return match[1]


def _make(admin: TestClient, **changes: str):
    token = _token(admin.get("/silences").text)
    return admin.post("/silences", data={**FORM, "csrf": token, **changes})


def test_a_silence_is_made_shown_and_ended(admin: TestClient):
    made = _make(admin)
    shown = admin.get("/silences").text
    ended = admin.post("/silences/1/end", data={"csrf": _token(shown)})

    assert made.status_code == 303
    assert "Silence of website shop.example.org or *.example.com" in shown
    assert "Silence 1: website shop.example.org or *.example.com, until" in shown
    assert "&lt;b&gt;" in shown
    assert ended.status_code == 303
    after = admin.get("/silences").text
    assert "Over, in the last week" in after
    assert "Made by hand" not in after


def test_what_is_refused_stands_in_the_form_again(admin: TestClient):
    answer = _make(admin, website="*")

    assert answer.status_code == 422
    assert "This would silence everything" in answer.text
    assert 'value="*"' in answer.text
    assert "Nothing." in admin.get("/silences").text


def test_a_length_that_is_none_is_refused(admin: TestClient):
    assert _make(admin, length="soon").status_code == 422
    assert _make(admin, length="1000c").status_code == 422


def test_a_forged_form_makes_no_silence(admin: TestClient):
    assert admin.post("/silences", data=FORM).status_code == 403
    assert admin.post("/silences/1/end", data={"csrf": "x"}).status_code == 403


def test_a_silence_that_is_not_there_cannot_be_ended(admin: TestClient):
    token = _token(admin.get("/silences").text)

    assert admin.post("/silences/9/end", data={"csrf": token}).status_code == 404


def test_a_link_fills_the_form_in(admin: TestClient):
    page = admin.get("/silences", params={"website": 'a"b.example'}).text

    assert 'value="a&#34;b.example"' in page
