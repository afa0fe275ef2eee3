"""How tasks are written for agents."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from argos.protocol import Task
from argos.server.queries.leased import LeanTask, LeasedTask
from argos.server.routes.api.wire import (
    LegacyTask,
    TaskForm,
    describe_task,
    encode_tasks,
)

LEASED_AT = datetime(2026, 3, 14, 12, tzinfo=UTC)
TASK = LeasedTask(
    id=1,
    url="https://example.org/",
    domain="https://example.org",
    ip_version="4",
    check="status-is",
    method="GET",
    request_data=None,
    add_alerts_recipients="[1]",
    overwrite_alerts_recipients="[2]",
    expected="200",
    task_group="GET-https://example.org/",
    retry_before_notification=3,
    contiguous_failures=5,
    selected_at="2026-03-14T13:00:00.000000",
    selected_by="anna",
    group_id=7,
    lease_no=9,
    leased_at=LEASED_AT,
    timeout_s=30.0,
    options={"follow": 2},
    due_in_s=1.5,
)


@pytest.mark.parametrize(
    ("form", "kind"),
    [(TaskForm.LEGACY, LegacyTask), (TaskForm.FULL, LeasedTask)],
    ids=["0.10.3", "ours"],
)
def test_each_field_has_the_value_of_its_name(form, kind):
    now = LEASED_AT + timedelta(seconds=1)

    (task,) = json.loads(encode_tasks([TASK], form=form, now=now))

    assert tuple(task) == kind.__struct_fields__
    if "leased_at" in task:
        task["leased_at"] = datetime.fromisoformat(task["leased_at"])
    wanted = msgspec.structs.asdict(TASK) | {"due_in_s": 0.5}
    assert task == {name: wanted[name] for name in task}


def test_lean_task_is_all_that_a_probe_needs():
    now = LEASED_AT + timedelta(seconds=1)
    told = {
        form: msgspec.json.decode(
            encode_tasks([TASK], form=form, now=now), type=list[Task]
        )[0]
        for form in TaskForm
    }

    needed = LeanTask.__struct_fields__
    for name in needed:
        assert getattr(told[TaskForm.LEAN], name) == getattr(told[TaskForm.FULL], name)


def test_lean_task_says_nothing_of_what_is_usual():
    task = msgspec.structs.replace(TASK, options=None, due_in_s=0.5)

    (said,) = json.loads(
        encode_tasks([task], form=TaskForm.LEAN, now=LEASED_AT + timedelta(seconds=1))
    )

    assert said.keys() == set(LeanTask.__struct_fields__) - {
        "request_data",
        "options",
        "due_in_s",
    }


def test_documentation_of_the_api_names_the_fields_that_agents_get():
    schema = describe_task().model_json_schema()

    assert list(schema["properties"]) == list(LeasedTask.__struct_fields__)
    assert set(schema["required"]) < set(LegacyTask.__struct_fields__)
