"""Results that could not be reported, kept on disk until they can.

A spool is a folder of append-only segments. Each line of a segment is one record,
`1 CHECKSUM SPOOLED_AT RESULT`: the format's version, a CRC-32 of the rest, microseconds
since 1970, and the result as JSON. A torn or altered line costs that line alone. How far
a segment was delivered stands in a small file beside it; if that is lost, records are
delivered again, which servers notice.

Several agents may share a folder: each holds the lock of a number, writes under it, and
at its start takes over what numbers without a holder left behind.
"""

import contextlib
import fcntl
import logging
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from argos.core.schedule import EPOCH

log = logging.getLogger(__name__)

SPOOL_LIMIT_BYTES = 256 * 1024 * 1024
SPOOL_MAX_AGE = timedelta(days=7)
SEGMENT_BYTES = 1024 * 1024
MAX_RECORD_BYTES = 512 * 1024
MAX_SHARERS = 100
"""Agents that can use one folder at once."""

_VERSION = b"1"


@dataclass(slots=True)
class _Segment:
    path: Path
    size: int
    records: int
    """Not yet delivered, as far as can be told without checking each."""
    position: int = 0

    @property
    def position_path(self) -> Path:
        return self.path.with_suffix(".read")


@dataclass(frozen=True, slots=True)
class SpooledBatch:
    """The oldest records, and where they end."""

    payloads: list[bytes]
    segment: _Segment
    end: int
    records: int
    """Lines passed, the useless ones included."""
    unreadable: int
    too_old: int


@dataclass(frozen=True, slots=True)
class SpooledCopy:
    """Where results were written."""

    segment: _Segment
    start: int
    end: int
    records: int


class Spool:
    """A bounded, crash-proof queue of results on disk; safe to use from any thread."""

    def __init__(
        self,
        folder: Path,
        *,
        limit_bytes: int = SPOOL_LIMIT_BYTES,
        max_age: timedelta = SPOOL_MAX_AGE,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._max_age = max_age
        self._segment_bytes = min(segment_bytes, max(1, limit_bytes // 4))
        self._segments: list[_Segment] = []
        self._locks: list[int] = []
        self._number = 0
        self._sequence = 0
        self._descriptor: int | None = None
        self._mutex = threading.Lock()
        self.dropped = 0
        """Records given up for want of room or for their age, since the start."""
        self.unreadable = 0
        """Records found damaged, since the start."""

    @property
    def waiting(self) -> int:
        """How many records wait to be delivered."""
        return sum(segment.records for segment in self._segments)

    def open(self) -> None:
        """Take a place in the folder, and what agents that are gone left there."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(MAX_SHARERS):
            lock_path = self._folder / f"{number}.lock"
            if self._locks and not lock_path.exists():
                break
            if self._lock(lock_path):
                if len(self._locks) == 1:
                    self._number = number
                self._adopt(number)
        if not self._locks:
            raise OSError(f"{MAX_SHARERS} agents use {self._folder} already")

    def _lock(self, path: Path) -> bool:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._locks.append(descriptor)
        return True

    def _adopt(self, number: int) -> None:
        for path in sorted(self._folder.glob(f"{number}-*.spool")):
            segment = _load_segment(path)
            if segment.position >= segment.size:
                _delete(segment)
                continue
            self._segments.append(segment)
            self._sequence = max(self._sequence, _sequence_of(path))

    def append(self, payloads: Sequence[bytes], *, now: datetime) -> SpooledCopy:
        """Store results, on disk when this returns; the oldest may have to go."""
        moment = (now - EPOCH) // timedelta(microseconds=1)
        lines = b"".join(_encode_record(payload, moment) for payload in payloads)
        with self._mutex:
            self._make_room(len(lines))
            segment = self._open_segment()
            self._write(segment, lines)
            start = segment.size
            segment.size += len(lines)
            segment.records += len(payloads)
            return SpooledCopy(segment, start, segment.size, len(payloads))

    def take_back(self, copy: SpooledCopy) -> None:
        """Forget results that were delivered after all, if they are the newest."""
        segment = copy.segment
        with self._mutex:
            is_last = bool(self._segments) and segment is self._segments[-1]
            if not is_last or segment.size != copy.end or segment.position > copy.start:
                return
            with contextlib.suppress(OSError):  # then they go out twice
                os.truncate(segment.path, copy.start)
                segment.size = copy.start
                segment.records -= copy.records

    def _write(self, segment: _Segment, lines: bytes) -> None:
        assert self._descriptor is not None
        left = memoryview(lines)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
            os.fsync(self._descriptor)
        except OSError:
            # Half a line would damage the record that comes after it.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, segment.size)
            self._close_segment()
            raise

    def _make_room(self, size: int) -> None:
        while self._segments and self._total() + size > self._limit_bytes:
            oldest = self._segments.pop(0)
            if oldest.records:
                self.dropped += oldest.records
                log.warning(
                    "The spool %s is full: dropped its %d oldest results",
                    self._folder,
                    oldest.records,
                )
            if not self._segments:
                self._close_segment()
            _delete(oldest)

    def _total(self) -> int:
        return sum(segment.size for segment in self._segments)

    def _open_segment(self) -> _Segment:
        """The segment to write to: the newest, or a new one."""
        if (
            self._descriptor is not None
            and self._segments[-1].size < self._segment_bytes
        ):
            return self._segments[-1]
        self._close_segment()
        self._sequence += 1
        path = self._folder / f"{self._number}-{self._sequence:012d}.spool"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        self._segments.append(_Segment(path, path.stat().st_size, 0))
        return self._segments[-1]

    def _close_segment(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
        self._descriptor = None

    def peek(
        self,
        *,
        limit: int,
        limit_bytes: int,
        now: datetime,
        max_age: timedelta | None = None,
    ) -> SpooledBatch | None:
        """The oldest results, or None; they stay until `advance` is called.

        Raises OSError when the disk does not give them.
        """
        oldest_at = now - min(self._max_age, max_age or self._max_age)
        with self._mutex:
            while self._segments:
                batch = self._read(self._segments[0], limit, limit_bytes, oldest_at)
                if batch.payloads:
                    return batch
                self._advance(batch)
                if self._segments and self._segments[0] is batch.segment:
                    self._forget(batch.segment)
        return None

    def _read(
        self, segment: _Segment, limit: int, limit_bytes: int, oldest_at: datetime
    ) -> SpooledBatch:
        payloads: list[bytes] = []
        size = passed = unreadable = too_old = 0
        end = segment.position
        for line, line_end in _read_lines(segment):
            record = _decode_record(line)
            if record is None:
                unreadable += 1
            elif record[0] < oldest_at:
                too_old += 1
            elif payloads and size + len(record[1]) > limit_bytes:
                break
            else:
                payloads.append(record[1])
                size += len(record[1]) + 1
            end = line_end
            passed += 1
            if len(payloads) == limit:
                break
        return SpooledBatch(payloads, segment, end, passed, unreadable, too_old)

    def advance(self, batch: SpooledBatch) -> None:
        """Forget results that were delivered."""
        with self._mutex:
            self._advance(batch)

    def _advance(self, batch: SpooledBatch) -> None:
        segment = batch.segment
        if not any(segment is known for known in self._segments):
            return  # dropped meanwhile, to make room
        self.unreadable += batch.unreadable
        self.dropped += batch.too_old
        segment.position = batch.end
        segment.records = max(0, segment.records - batch.records)
        if segment.position >= segment.size:
            self._forget(segment)
        else:
            _save_position(segment)

    def _forget(self, segment: _Segment) -> None:
        if segment is self._segments[-1]:
            self._close_segment()
        self._segments.remove(segment)
        _delete(segment)

    def close(self) -> None:
        """Give the place in the folder up; what waits stays on disk."""
        with self._mutex:
            self._close_segment()
            for descriptor in self._locks:
                os.close(descriptor)
            self._locks.clear()


def _encode_record(payload: bytes, moment: int) -> bytes:
    content = b"%d %s" % (moment, payload)
    return b"%s %08x %s\n" % (_VERSION, zlib.crc32(content), content)


def _decode_record(line: bytes) -> tuple[datetime, bytes] | None:
    """When a result was spooled, and the result; None when the line is damaged."""
    version, _, rest = line.partition(b" ")
    checksum, _, content = rest.partition(b" ")
    if version != _VERSION or checksum != b"%08x" % zlib.crc32(content):
        return None
    moment, _, payload = content.partition(b" ")
    try:
        return EPOCH + timedelta(microseconds=int(moment)), payload
    except (ValueError, OverflowError):
        return None


def _read_lines(segment: _Segment) -> Iterator[tuple[bytes, int]]:
    """The lines from the position on, without their ends, and where each ends."""
    try:
        file = segment.path.open("rb")
    except FileNotFoundError:
        return  # somebody cleaned up; what is gone is gone
    with file:
        file.seek(segment.position)
        end = segment.position
        while line := file.readline(MAX_RECORD_BYTES):
            end += len(line)
            while not line.endswith(b"\n") and (
                rest := file.readline(MAX_RECORD_BYTES)
            ):
                end += len(rest)
                line = rest  # too long to be a record: what is left will not decode
            yield line.removesuffix(b"\n"), end


def _load_segment(path: Path) -> _Segment:
    segment = _Segment(path, path.stat().st_size, 0)
    segment.position = _load_position(segment)
    with contextlib.suppress(OSError):  # its reading tells what is wrong with it
        segment.records = sum(1 for _ in _read_lines(segment))
    return segment


def _load_position(segment: _Segment) -> int:
    """How far the segment was delivered; 0 when in doubt."""
    try:
        position = int(segment.position_path.read_bytes()[:20])
        with segment.path.open("rb") as file:
            file.seek(max(0, position - 1))
            is_line_end = file.read(1) == b"\n"
    except (OSError, ValueError):
        return 0
    return position if is_line_end and 0 < position <= segment.size else 0


def _save_position(segment: _Segment) -> None:
    fresh = segment.position_path.with_suffix(".new")
    with contextlib.suppress(OSError):  # costs at most that some go out twice
        fresh.write_bytes(b"%d" % segment.position)
        fresh.replace(segment.position_path)


def _delete(segment: _Segment) -> None:
    for path in (segment.path, segment.position_path):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _sequence_of(path: Path) -> int:
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0
