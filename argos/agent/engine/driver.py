"""libcurl's multi interface, driven by a loop of ours."""

from collections.abc import Callable

import pycurl

from argos.agent.engine.failure import CurlCode
from argos.agent.engine.poller import Poller
from argos.agent.engine.transfer import Intake, Transfer, set_up
from argos.clock import Clock

WhenDone = Callable[[Transfer, pycurl.Curl, int, str], None]
"""Gets a transfer, its handle to ask for details, libcurl's code and sentence."""


class Driver:
    """Runs transfers. One multi for a worker's whole life: it keeps the trusted roots."""

    def __init__(
        self,
        poller: Poller,
        clock: Clock,
        *,
        ca_file: str,
        intake: Intake,
        when_done: WhenDone,
    ) -> None:
        self._poller = poller
        self._clock = clock
        self._ca_file = ca_file
        self._intake = intake
        self._when_done = when_done
        self._handles: dict[Transfer, pycurl.Curl] = {}
        self._transfers: dict[pycurl.Curl, Transfer] = {}
        self._free: list[pycurl.Curl] = []
        self._timer_at: float | None = None
        self._has_done = False
        self._multi = multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        multi.setopt(pycurl.M_NOTIFYFUNCTION, self._on_notice)
        multi.notify_enable(pycurl.M_NOTIFY_INFO_READ)
        self.process = multi.socket_action
        """Call with a descriptor that is ready and its mask."""

    @property
    def is_busy(self) -> bool:
        """Whether transfers are running."""
        return bool(self._handles)

    def start(self, transfer: Transfer, *, remaining: float) -> None:
        """Make the next attempt of a transfer, within `remaining` seconds."""
        curl = self._free.pop() if self._free else pycurl.Curl()
        set_up(curl, transfer, ca_file=self._ca_file, remaining=remaining)
        self._handles[transfer] = curl
        self._transfers[curl] = transfer
        self._multi.add_handle(curl)

    def cancel(self, transfer: Transfer) -> None:
        """Break a transfer off, if it is running; `when_done` is not called."""
        curl = self._handles.pop(transfer, None)
        if curl is not None:
            self._multi.remove_handle(curl)
            self._set_free(curl)

    def patience(self, now: float) -> float | None:
        """Seconds until `process_timers` wants to be called; None: not at all."""
        if self._intake.paused:
            return 0.0
        return None if self._timer_at is None else max(0.0, self._timer_at - now)

    def process_timers(self, now: float) -> None:
        """Let libcurl see to its timeouts."""
        if self._timer_at is not None and now >= self._timer_at:
            self._timer_at = None
            self.process(pycurl.SOCKET_TIMEOUT, 0)

    def resume(self) -> None:
        """Let the bodies go on that had their share of the last turn."""
        paused, self._intake.paused = self._intake.paused, []
        for transfer in paused:
            curl = self._handles.get(transfer)
            if curl is not None:
                transfer.begin_turn()
                self._resume(curl)

    def _resume(self, curl: pycurl.Curl) -> None:
        try:
            curl.pause(pycurl.PAUSE_CONT)
        except pycurl.error as err:
            # What had been held back passed a cap. Nobody else announces that.
            code, text = err.args
            self._finish(curl, code, text)

    def collect(self) -> None:
        """Hand over the transfers that have ended."""
        while self._has_done:
            self._has_done = False
            # Without a limit: what a limited read leaves is not announced again.
            _, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                self._finish(curl, CurlCode.OK, "")
            for curl, code, text in failed:
                self._finish(curl, code, text)

    def close(self) -> None:
        """Break everything off and give all memory back."""
        for transfer in list(self._handles):
            self.cancel(transfer)
        for curl in self._free:
            curl.close()
        self._free.clear()
        self._multi.close()

    def _finish(self, curl: pycurl.Curl, code: int, text: str) -> None:
        self._multi.remove_handle(curl)
        transfer = self._transfers[curl]
        del self._handles[transfer]
        try:
            self._when_done(transfer, curl, code, text)
        finally:
            self._set_free(curl)

    def _set_free(self, curl: pycurl.Curl) -> None:
        del self._transfers[curl]
        # Nothing of this probe, its callbacks included, may reach the next one.
        curl.reset()
        self._free.append(curl)

    def _on_socket(self, what: int, fd: int, _multi: object, _data: object) -> None:
        self._poller.watch(fd, 0 if what == pycurl.POLL_REMOVE else what)

    def _on_timer(self, milliseconds: int) -> None:
        self._timer_at = (
            None if milliseconds < 0 else self._clock.monotonic() + milliseconds / 1000
        )

    def _on_notice(self, *_: object) -> None:
        self._has_done = True
