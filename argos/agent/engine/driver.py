"""libcurl's multi interface, driven by a loop of ours."""

from collections.abc import Callable

import pycurl

from argos.agent.engine.failure import CurlCode
from argos.agent.engine.outcome import Finish
from argos.agent.engine.poller import Poller
from argos.agent.engine.profile import Profiles, aim
from argos.agent.engine.tcp_info import count_read_bytes
from argos.agent.engine.transfer import Intake, Transfer
from argos.clock import Clock
from argos.core.options import HTTPVersion

WhenDone = Callable[[Transfer, Finish], None]
"""Gets a transfer and how it ended, to be asked for details there and then."""
PROD_EVERY = 0.25
"""Seconds."""
MAX_IDLE_BYTES = 1024 * 1024
"""So much may come over HTTP/2 while the body does not grow: headers, and frames that say
nothing of the answer. libcurl reads and drops those, and ends but a few kinds of floods."""
_CLEAN_ENDS = frozenset({CurlCode.OK, CurlCode.WRITE_ERROR})
"""All was read, or as much of the body as was wanted."""


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
        self._clock = clock
        self._intake = intake
        self._when_done = when_done
        self._profiles = Profiles(ca_file=ca_file)
        self._running: dict[pycurl.Curl, Transfer] = {}
        self._timer_at: float | None = None
        self._restless: dict[pycurl.Curl, tuple[int, int]] = {}
        """Those of the running ones that are to be prodded, with the bytes of the body
        that they had when it grew last, and those that had been read by then."""
        self._prod_at = 0.0
        self._multi = multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_SOCKETFUNCTION, poller.on_socket)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self.process = multi.socket_action
        """Call with a descriptor that is ready and its mask."""

    @property
    def is_busy(self) -> bool:
        """Whether transfers are running."""
        return bool(self._running)

    def start(self, transfer: Transfer, *, remaining: float) -> None:
        """Make the next attempt of a transfer, within `remaining` seconds."""
        target = transfer.target
        if target.profile is None or target.profile.is_retired:
            target.profile = self._profiles.find(target.request)
        curl = self._profiles.take(target.profile)
        aim(curl, transfer, remaining=remaining)
        transfer.curl = curl
        self._running[curl] = transfer
        if transfer.request.connection.http_version is not HTTPVersion.V1_1:
            if not self._restless:
                self._prod_at = self._clock.monotonic() + PROD_EVERY
            self._restless[curl] = 0, 0
        self._multi.add_handle(curl)

    def cancel(self, transfer: Transfer) -> None:
        """Break a transfer off, if it is running; `when_done` is not called."""
        if transfer.curl is not None:
            self._multi.remove_handle(transfer.curl)
            self._set_free(transfer.curl, is_clean=False)

    def patience(self, now: float) -> float | None:
        """Seconds until `process_timers` wants to be called; None: not at all."""
        if self._intake.paused:
            return 0.0
        moments = [] if self._timer_at is None else [self._timer_at]
        if self._restless:
            moments.append(self._prod_at)
        return max(0.0, min(moments) - now) if moments else None

    def process_timers(self, now: float) -> None:
        """Let libcurl see to its timeouts."""
        if self._timer_at is not None and now >= self._timer_at:
            self._timer_at = None
            self.process(pycurl.SOCKET_TIMEOUT, 0)
        if self._restless and now >= self._prod_at:
            self._prod()
            self._prod_at = now + PROD_EVERY

    def _prod(self) -> None:
        """Have libcurl look at connections on which nothing happens, and end floods.

        It ends an HTTP/2 session that is not as it should be, but may wait for the other
        side to notice that, until the time is over.
        """
        for curl in list(self._restless):
            fd = curl.getinfo(pycurl.ACTIVESOCKET)
            if fd < 0:
                continue
            if self._is_flooded(curl, fd):
                self._finish(curl, CurlCode.HTTP2, "frames without end")
            else:
                self.process(fd, pycurl.CSELECT_IN)

    def _is_flooded(self, curl: pycurl.Curl, fd: int) -> bool:
        body, read = self._running[curl].body_size, count_read_bytes(fd)
        known_body, read_then = self._restless[curl]
        if body > known_body:
            # libcurl may hold more of it back: only what comes from now on counts.
            self._restless[curl] = body, read
            return False
        return read - read_then > MAX_IDLE_BYTES

    def resume(self) -> None:
        """Let the bodies go on that had their share of the last turn."""
        paused, self._intake.paused = self._intake.paused, []
        for transfer in paused:
            if transfer.curl is not None:
                transfer.begin_turn()
                self._resume(transfer.curl)

    def _resume(self, curl: pycurl.Curl) -> None:
        try:
            curl.pause(pycurl.PAUSE_CONT)
        except pycurl.error as err:
            # What had been held back passed a cap. Nobody else announces that.
            code, text = err.args
            self._finish(curl, code, text)

    def collect(self) -> None:
        """Hand over the transfers that have ended."""
        # Without a limit: what a limited read leaves would wait for the next event.
        _, succeeded, failed = self._multi.info_read()
        for curl in succeeded:
            self._finish(curl, CurlCode.OK, "")
        for curl, code, text in failed:
            self._finish(curl, code, text)

    def close(self) -> None:
        """Break everything off and give all memory back."""
        for transfer in list(self._running.values()):
            self.cancel(transfer)
        self._profiles.retire_all()
        self._multi.close()

    def _finish(self, curl: pycurl.Curl, code: int, text: str) -> None:
        self._multi.remove_handle(curl)
        transfer = self._running[curl]
        is_clean = code in _CLEAN_ENDS and transfer.header.is_whole
        # Not free yet: the next attempt may begin before this one was looked at.
        transfer.curl = None
        try:
            self._when_done(
                transfer, Finish(transfer, curl, code, text, clock=self._clock)
            )
        finally:
            self._set_free(curl, is_clean=is_clean)

    def _set_free(self, curl: pycurl.Curl, *, is_clean: bool) -> None:
        transfer = self._running.pop(curl)
        self._restless.pop(curl, None)
        if transfer.curl is curl:
            transfer.curl = None
        profile = transfer.target.profile
        assert profile is not None
        if is_clean:
            self._profiles.give_back(profile, curl)
        else:
            # libcurl keeps half a header line over the end of a transfer, and would put
            # it before the next answer, whosever that is.
            curl.close()

    def _on_timer(self, milliseconds: int) -> None:
        self._timer_at = (
            None if milliseconds < 0 else self._clock.monotonic() + milliseconds / 1000
        )
