import re
import time

import pytest
from hypothesis import given, strategies as st

from argos.core.matching import Matcher, Subject

SHOP = Subject(
    domain="https://shop.example.org/",
    url="https://shop.example.org/cart",
    check="status-is",
    website="The shop",
    group="Sales",
    tags=frozenset({"public", "shop"}),
)


@pytest.mark.parametrize(
    ("matcher", "matches"),
    [
        pytest.param(Matcher(), True, id="no condition"),
        pytest.param(Matcher(website=["shop.example.org"]), True, id="host"),
        pytest.param(Matcher(website=["https://shop.example.org"]), True, id="domain"),
        pytest.param(Matcher(website=["the shop"]), True, id="name, in other letters"),
        pytest.param(Matcher(website=["*.example.org"]), True, id="stars"),
        pytest.param(Matcher(website=["shop?example.org"]), True, id="question mark"),
        pytest.param(Matcher(website=["example.org"]), False, id="no part of a host"),
        pytest.param(
            Matcher(website=["shop.example.or"]), False, id="whole words only"
        ),
        pytest.param(Matcher(website=["shopXexample.org"]), False, id="a dot is a dot"),
        pytest.param(Matcher(website=["a", "shop.example.org"]), True, id="one of two"),
        pytest.param(Matcher(url=["*/cart"]), True, id="url"),
        pytest.param(Matcher(group=["sales"]), True, id="group"),
        pytest.param(Matcher(tag=["shop"]), True, id="tag"),
        pytest.param(Matcher(tag=["internal"]), False, id="another tag"),
        pytest.param(Matcher(check=["ssl-*"]), False, id="another check"),
        pytest.param(Matcher(tag=["shop"], check=["ssl-*"]), False, id="all must hold"),
        pytest.param(Matcher(tag=["shop"], check=["status-*"]), True, id="both hold"),
    ],
)
def test_a_matcher_means_what_it_names(matcher, matches):
    assert matcher.matches(SHOP) is matches


def test_a_website_without_group_name_and_tags_matches_no_condition_on_them():
    bare = Subject("https://a.example/", "https://a.example/", "status-is")

    assert not Matcher(group=["*"]).matches(bare)
    assert not Matcher(tag=["*"]).matches(bare)
    assert Matcher(website=["a.example"]).matches(bare)


@pytest.mark.parametrize(
    ("matcher", "is_boundless"),
    [
        (Matcher(), True),
        (Matcher(website=["*"]), True),
        (Matcher(website=["**?"], check=["*"]), True),
        (Matcher(website=["a.example", "*"]), True),
        (Matcher(website=["*.example"]), False),
        (Matcher(website=["*"], tag=["shop"]), False),
    ],
)
def test_a_boundless_matcher_is_known(matcher, is_boundless):
    assert matcher.is_boundless is is_boundless


def test_many_stars_take_no_more_time_than_one():
    assert not Matcher(url=["*" * 50 + "x"]).matches(SHOP)


def test_a_matcher_says_what_it_means():
    assert Matcher().describe() == "everything"
    matcher = Matcher(website=["shop.example.org"], tag=["a", "b"])
    assert matcher.describe() == "website shop.example.org, tag a or b"


@given(st.text("a?*"), st.text("ab", max_size=9))
def test_stars_and_question_marks_stand_for_any_text(pattern, url):
    meant = "".join({"*": ".*", "?": "."}.get(each, each) for each in pattern)

    found = Matcher(url=[pattern]).matches(Subject("", url, ""))

    assert found is (re.fullmatch(meant, url) is not None)


def test_many_stars_take_no_time():
    subject = Subject("", f"https://example.org/{'a' * 2_000}", "")
    started = time.process_time()

    assert not Matcher(url=["*a" * 900 + "b"]).matches(subject)
    assert time.process_time() - started < 5
