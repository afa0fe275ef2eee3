"""The zoo holds what it must, and expects something of each member."""

from pathlib import Path

import pytest

from argos.core.probe import FailureKind, ProbeFailure, ProbeResponse
from tests.agent.engine.zoo import MEMBERS, SUBJECTS as MODULES
from tests.agent.engine.zoo.promised import ELSEWHERE, NOBODY_HAS, SUBJECTS

HERE = Path(__file__).parent


@pytest.mark.parametrize("subject", SUBJECTS)
def test_each_kind_of_server_that_is_promised_has_its_members(subject):
    empty = [kind for kind, members in SUBJECTS[subject].items() if not members]
    missing = {
        kind: set(members) - set(MEMBERS)
        for kind, members in SUBJECTS[subject].items()
        if not MEMBERS.keys() >= set(members)
    }

    assert empty == []
    assert missing == {}


def test_each_kind_is_promised_once():
    kinds = [kind for subject in SUBJECTS.values() for kind in subject]
    kinds += [*ELSEWHERE, *NOBODY_HAS]

    assert len(kinds) == len(set(kinds))


@pytest.mark.parametrize("place", ELSEWHERE.values())
def test_what_is_tested_elsewhere_is_there(place):
    file, _, test = place.partition(": ")

    assert f"async def {test}(" in (HERE / file).read_text()


@pytest.mark.parametrize("name", MEMBERS)
def test_each_member_has_an_expectation_that_not_every_outcome_meets(name):
    member = MEMBERS[name]
    wrong = (
        ProbeResponse(418),
        ProbeFailure(FailureKind.INTERNAL, "Nothing was tried."),
    )

    for expects in (member.expects, member.expects_of_httpx):
        for outcome in wrong:
            with pytest.raises(AssertionError):
                expects(outcome)


def test_each_file_of_members_is_a_subject():
    others = {"__init__", "behaviours", "member", "promised"}
    files = {path.stem for path in (HERE / "zoo").glob("*.py")} - others

    assert files == {module.__name__.rpartition(".")[2] for module in MODULES}
