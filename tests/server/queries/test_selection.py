from datetime import datetime

from sqlalchemy import select

from argos.core.probe import is_time_trustworthy
from argos.core.severity import Severity, Status
from argos.server.database import Database
from argos.server.models import Result
from argos.server.queries.selection import HAS_TRUSTWORTHY_TIME
from tests.server.factories import add_group, task_ids

TIMES = [
    (None, None),
    (None, 5),
    (1_000, None),
    (1_000, 10_000),
    (1_000, 10_001),
    (200_019, 10_001),
    (200_020, 10_001),
    (30_000_000, 1_500_000),
    (30_000_000, 1_500_001),
    (2**31 - 1, 2**31 - 1),
]


def test_the_condition_on_results_is_the_rule(database: Database, now: datetime):
    with database.transaction() as session:
        [task_id] = task_ids(session, add_group(session, "a", due_at=now).id)
        session.add_all([
            Result(
                id=place,
                task_id=task_id,
                submitted_at=now.replace(minute=place),
                status=Status.SUCCESS,
                severity=Severity.OK,
                total_us=total_us,
                timing_error_us=error_us,
            )
            for place, (total_us, error_us) in enumerate(TIMES)
        ])

    with database.reading() as session:
        found = session.scalars(select(Result.id).where(HAS_TRUSTWORTHY_TIME))
        assert sorted(found) == [
            place
            for place, (total_us, error_us) in enumerate(TIMES)
            if is_time_trustworthy(total_us, error_us)
        ]
