"""What may stay untold of an incident for which another one speaks."""

import pytest

from tests.nemesis.checking import Told, without_silent_parts

SPEAKER = [Told("/a", "critical", "12:00:00"), Told("/a", "ok", "12:00:30")]
BEGIN = Told("/b", "critical", "12:00:10")
LATER = Told("/b", "critical", "12:00:40")
END = Told("/b", "ok", "12:00:50")


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        pytest.param([], [], id="nothing of it"),
        pytest.param([LATER, END], [LATER, END], id="what stands for its begin"),
        pytest.param([END], [BEGIN, LATER, END], id="no recovery alone"),
        pytest.param([BEGIN, LATER], [BEGIN, LATER, END], id="no begin alone"),
    ],
)
def test_of_a_part_only_its_begin_may_stay_untold(told, wanted):
    found = {"/a": SPEAKER, "/b": told}
    part = [BEGIN, LATER, END]

    asked = without_silent_parts({"/a": SPEAKER, "/b": part}, [(part, SPEAKER)], found)

    assert asked == {"/a": SPEAKER, "/b": wanted}
