"""A process that was stopped between its claim and its attempt begins none."""

from datetime import timedelta
from random import Random
from typing import Any

from argos.server.models import Delivery, DeliveryState
from argos.server.services.dispatch import CLAIM_INTERVAL, Dispatcher, Means
from tests.server.services.desk import Desk
from tests.server.services.test_unknown_recipient import Taking


def test_f03_whoever_wakes_up_with_little_time_left_sends_nothing(
    database, config, now
):
    desk = Desk(database, config, now)
    desk.run("c")
    with database.reading() as session:
        recipient = session.query(Delivery.recipient).first()[0]
    sent: list[Any] = []
    looks = []

    def get_config() -> Any:
        looks.append(desk.clock.now)
        if len(looks) == 2:  # once to decide, and once to send what was claimed
            desk.clock.now += CLAIM_INTERVAL - timedelta(seconds=10)
        return config

    means = Means(
        database=database,
        clock=desk.clock,
        rng=Random(1),
        get_config=get_config,
        holder="here",
        open_channel=lambda *_: Taking(sent),  # type: ignore[arg-type]  # it stands in for one
    )
    Dispatcher(means).run_lane(recipient)

    assert sent == []
    with database.reading() as session:
        row = session.query(Delivery).filter(Delivery.recipient == recipient).one()
        assert row.state is DeliveryState.WAITING
        assert "no time left" in row.last_error
        assert row.batch_id is None
