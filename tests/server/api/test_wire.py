"""How tasks are written for agents."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from argos.server.queries.leases import LeasedTask
from argos.server.routes.api.wire import (
    LegacyTask,
    OurTask,
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
    group_id=7,
    lease_no=9,
    leased_at=LEASED_AT,
    leased_by="anna",
    timeout_s=30.0,
    options={"follow": 2},
    due_in_s=1.5,
)


@pytest.mark.parametrize(
    ("is_legacy", "kind"),
    [(True, LegacyTask), (False, OurTask)],
    ids=["0.10.3", "ours"],
)
def test_each_field_has_the_value_of_its_name(is_legacy, kind):
    now = LEASED_AT + timedelta(seconds=1)

    (task,) = json.loads(encode_tasks([TASK], is_legacy=is_legacy, now=now))

    assert tuple(task) == kind.__struct_fields__
    assert task.pop("selected_by") == "anna"
    selected_at = datetime.fromisoformat(task.pop("selected_at"))
    assert selected_at == LEASED_AT.astimezone().replace(tzinfo=None)
    wanted = TASK._asdict() | {"leased_at": LEASED_AT.isoformat(), "due_in_s": 0.5}
    assert task == {name: wanted[name] for name in task}


def test_documentation_of_the_api_names_the_fields_that_agents_get():
    schema = describe_task().model_json_schema()

    assert list(schema["properties"]) == list(OurTask.__struct_fields__)
    assert set(schema["required"]) < set(LegacyTask.__struct_fields__)
