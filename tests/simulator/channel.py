"""A channel whose notices are noted as they arrive."""

from typing import TYPE_CHECKING

from argos.channels import Notice
from argos.errors import DeliveryError
from tests.simulator.disk import Disk
from tests.simulator.history import Sent

if TYPE_CHECKING:
    from tests.simulator.server import Common


class SimulatedChannel:
    """Takes notices, or does not, or does and denies it.

    No subclass of the product's: those enter themselves in a list.
    """

    def __init__(self, recipient: str, common: "Common", disk: Disk) -> None:
        self._recipient = recipient
        self._common = common
        self._disk = disk

    def send(self, notice: Notice) -> None:
        weather = self._common.weather
        if self._disk.hit(weather.unsent):
            raise DeliveryError("Nobody answers.")
        self._common.history.sent.append(
            Sent(
                self._common.loop.time(),
                self._recipient,
                notice.message_id,
                notice.kind,
                notice.task_id,
            )
        )
        if self._disk.hit(self._disk.faults.death * 10):
            # Found out at the next statement: the channel has a thread of its own.
            self._common.note_trouble()
            self._disk.is_dead = True
            return
        if self._disk.hit(weather.unconfirmed):
            self._common.note_trouble()
            raise DeliveryError("The connection was lost.")

    def close(self) -> None:
        """Nothing to close."""
