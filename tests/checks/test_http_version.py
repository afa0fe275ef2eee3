"""The version of HTTP."""

import pytest

from argos.checks import HTTPVersionIs
from argos.core.probe import ProbeResponse
from argos.core.severity import Status
from argos.errors import ExpectedError
from tests.checks.outcomes import NOW


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (2, '["2"]'),
        ("3", '["3"]'),
        (1.1, '["1.1"]'),
        ([1.0, 2, "3"], '["1.0", "2", "3"]'),
    ],
)
def test_numbers_of_yaml_are_versions(value, encoded):
    assert HTTPVersionIs.encode_expected(value) == encoded


@pytest.mark.parametrize("value", [4, "2.0", [], True, None, {"min": 2}, [2, True]])
def test_other_values_are_refused(value):
    with pytest.raises(ExpectedError, match="should be a version"):
        HTTPVersionIs.encode_expected(value)


@pytest.mark.parametrize(
    ("version", "status"),
    [("2", Status.SUCCESS), ("3", Status.SUCCESS), ("1.1", Status.FAILURE)],
)
def test_the_version_of_the_answer_counts(version, status):
    response = ProbeResponse(200, http_version=version)

    verdict = HTTPVersionIs.evaluate(response, '["2", "3"]', now=NOW)

    assert verdict.status is status
    assert verdict.facts["retrieved"] == version
