"""Pages have words for every step of an incident."""

from jinja2 import Environment, PackageLoader

from argos.core.incident import EventKind, Reason

SILENT = {
    Reason.FIRST_OK,
    Reason.STILL_OK,
    Reason.SOFT_RECOVERY,
    Reason.RETRYING,
    Reason.CONFIRMING,
    Reason.REFUTED,
    Reason.NO_ANSWER,
    Reason.AGENT_SUSPECT,
    Reason.STILL_BAD,
    Reason.RECOVERING,
    Reason.TOO_FEW,
    Reason.TOLD_ELSEWHERE,
    Reason.BAD_ELSEWHERE,
}
"""The reasons for which nothing is published."""


def test_every_event_and_its_reason_have_words():
    templates = Environment(loader=PackageLoader("argos.server"), autoescape=True)
    words = vars(templates.get_template("_reasons.html").module)

    assert set(words["verbs"]) == {kind.value for kind in EventKind}
    assert set(words["why"]) == {reason.value for reason in set(Reason) - SILENT}
