"""The spool survives kills, damage and full disks; it keeps order and bounds."""

import errno
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from argos.agent.spool import MAX_RECORD_BYTES, Spool, SpooledBatch
from tests.tree import ROOT

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@contextmanager
def opened(folder: Path, **options: int) -> Iterator[Spool]:
    spool = Spool(folder, **options)  # type: ignore[arg-type]  # only numbers here
    spool.open()
    try:
        yield spool
    finally:
        spool.close()


def peek(spool: Spool, *, limit: int = 10_000) -> SpooledBatch | None:
    return spool.peek(limit=limit, limit_bytes=10**9, now=NOW)


def drain(spool: Spool, *, limit: int = 10_000) -> list[bytes]:
    """All that the spool gives, batch by batch."""
    payloads = []
    while (batch := peek(spool, limit=limit)) is not None:
        payloads += batch.payloads
        spool.advance(batch)
    return payloads


def numbered(count: int) -> list[bytes]:
    return [b'{"task_id":%d}' % n for n in range(count)]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def test_results_come_back_oldest_first_and_once(tmp_path: Path) -> None:
    payloads = numbered(10)
    with opened(tmp_path) as spool:
        spool.append(payloads[:6], now=NOW)
        spool.append(payloads[6:], now=NOW)

        assert spool.waiting == 10
        assert drain(spool, limit=3) == payloads
        assert spool.waiting == 0
        assert segments(tmp_path) == []


def test_what_was_not_delivered_comes_again(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append(numbered(3), now=NOW)

        first, second = peek(spool), peek(spool)

    assert first is not None
    assert second is not None
    assert first.payloads == second.payloads == numbered(3)


def test_the_next_process_goes_on_where_this_one_ended(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append(numbered(10), now=NOW)
        batch = peek(spool, limit=4)
        assert batch is not None
        spool.advance(batch)

    with opened(tmp_path) as spool:
        assert spool.waiting == 6
        assert drain(spool) == numbered(10)[4:]


def test_a_batch_is_bounded_in_bytes_but_never_empty(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append([b"x" * 1000] * 5, now=NOW)

        sizes = []
        while batch := spool.peek(limit=100, limit_bytes=2100, now=NOW):
            sizes.append(len(batch.payloads))
            spool.advance(batch)

    assert sizes == [2, 2, 1]


def test_results_survive_kill_9(tmp_path: Path) -> None:
    code = (
        "import sys, time, datetime, pathlib\n"
        "from argos.agent.spool import Spool\n"
        "spool = Spool(pathlib.Path(sys.argv[1])); spool.open()\n"
        "now = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)\n"
        "spool.append([b'{}'] * 7, now=now)\n"
        "print('stored', flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"stored\n"
        process.send_signal(signal.SIGKILL)
        process.wait()

    with opened(tmp_path) as spool:
        assert drain(spool) == [b"{}"] * 7


def test_agents_share_a_folder_without_sharing_results(tmp_path: Path) -> None:
    with opened(tmp_path) as one, opened(tmp_path) as other:
        one.append([b"one"], now=NOW)
        other.append([b"other"], now=NOW)

        assert drain(one) == [b"one"]
        assert drain(other) == [b"other"]


def test_what_an_agent_that_is_gone_left_is_taken_over(tmp_path: Path) -> None:
    with opened(tmp_path) as one:
        with opened(tmp_path) as other:
            other.append([b"other"], now=NOW)
        one.append([b"one"], now=NOW)

        with opened(tmp_path) as third:
            assert drain(third) == [b"other"]
        assert drain(one) == [b"one"]


# Bounds


def test_a_full_spool_drops_the_oldest_and_counts_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    payloads = [b'{"task_id":%04d}' % n for n in range(1000)]
    with opened(tmp_path, limit_bytes=8_000) as spool:
        for payload in payloads:
            spool.append([payload], now=NOW)

        used = sum(path.stat().st_size for path in segments(tmp_path))
        left = drain(spool)

    assert used <= 8_000
    assert 100 < len(left) < 300
    assert left == payloads[-len(left) :]
    assert spool.dropped == 1000 - len(left)
    assert "is full: dropped its" in caplog.text


def test_results_too_old_are_dropped_and_counted(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append([b"old"] * 3, now=NOW - timedelta(days=7, seconds=1))
        spool.append([b"fresh"], now=NOW - timedelta(days=6))

        assert drain(spool) == [b"fresh"]
        assert spool.dropped == 3


def test_a_caller_may_want_only_what_is_younger(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append([b"old"], now=NOW - timedelta(seconds=91))
        spool.append([b"fresh"], now=NOW - timedelta(seconds=89))

        batch = spool.peek(
            limit=9, limit_bytes=999, now=NOW, max_age=timedelta(seconds=90)
        )

    assert batch is not None
    assert batch.payloads == [b"fresh"]


def test_what_was_delivered_after_all_is_taken_back(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append([b"waits"], now=NOW)
        copy = spool.append([b"was delivered"], now=NOW)
        spool.take_back(copy)
        spool.append([b"comes later"], now=NOW)

        assert spool.waiting == 2
        assert drain(spool) == [b"waits", b"comes later"]


def test_only_the_newest_can_be_taken_back(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        copy = spool.append([b"first"], now=NOW)
        spool.append([b"second"], now=NOW)
        spool.take_back(copy)

        assert drain(spool) == [b"first", b"second"]


# F-29: damage


def test_one_flipped_byte_costs_at_most_the_records_beside_it(tmp_path: Path) -> None:
    rng = random.Random(29)
    payloads = [b'{"task_id":%d,"context":{"a":"bc"}}' % n for n in range(200)]
    pristine = tmp_path / "pristine"
    with opened(pristine) as spool:
        spool.append(payloads, now=NOW)
    content = segments(pristine)[0].read_bytes()
    damaged = tmp_path / "damaged"
    damaged.mkdir()

    for offset in rng.sample(range(len(content)), 1000):
        changed = bytearray(content)
        changed[offset] ^= rng.randrange(1, 256)
        (damaged / "0-000000000001.spool").write_bytes(changed)

        with opened(damaged) as spool:
            delivered = drain(spool)

        # A line's end that is lost joins two records into one that does not fit.
        assert len(payloads) - 2 <= len(delivered) < len(payloads)
        assert set(delivered) < set(payloads)
        assert spool.unreadable >= 1


@pytest.mark.parametrize("cut", [1, 20, 37, 400])
def test_a_torn_segment_gives_all_records_before_the_tear(
    tmp_path: Path, cut: int
) -> None:
    with opened(tmp_path) as spool:
        spool.append(numbered(100), now=NOW)
    [segment] = segments(tmp_path)
    os.truncate(segment, segment.stat().st_size - cut)

    with opened(tmp_path) as spool:
        delivered = drain(spool)
        spool.append([b"new"], now=NOW)

        assert delivered == numbered(100)[: len(delivered)]
        assert len(delivered) >= 100 - cut // 30 - 2
        assert drain(spool) == [b"new"]


@pytest.mark.parametrize(
    "content",
    [
        b"\n\n\n",
        b"2 00000000 1777636800000000 {}\n",
        b"1 00000000 1777636800000000 {}\n",
        b"\x00" * 5000,
        b"x" * (MAX_RECORD_BYTES * 2 + 7) + b"\n",
    ],
    ids=["empty lines", "another version", "wrong checksum", "zeros", "endless line"],
)
def test_garbage_is_counted_and_what_follows_it_delivered(
    tmp_path: Path, content: bytes
) -> None:
    with opened(tmp_path) as spool:
        spool.append([b"good"], now=NOW)
    [segment] = segments(tmp_path)
    good = segment.read_bytes()
    segment.write_bytes(good + content.removesuffix(b"\n") + b"\n" + good)

    with opened(tmp_path) as spool:
        assert drain(spool) == [b"good", b"good"]
        assert spool.unreadable >= 1
    assert segments(tmp_path) == []


@pytest.mark.parametrize("position", [b"", b"-5", b"7", b"999999", b"\xff", b"1" * 99])
def test_a_damaged_position_means_to_begin_again(
    tmp_path: Path, position: bytes
) -> None:
    with opened(tmp_path) as spool:
        spool.append(numbered(5), now=NOW)
    segments(tmp_path)[0].with_suffix(".read").write_bytes(position)

    with opened(tmp_path) as spool:
        assert drain(spool) == numbered(5)


# The disk


def test_segments_that_somebody_removed_are_forgotten(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append([b"gone"], now=NOW)
        segments(tmp_path)[0].unlink()

        assert drain(spool) == []
        assert spool.waiting == 0
        spool.append([b"new"], now=NOW)
        assert drain(spool) == [b"new"]


def test_a_full_disk_is_told_and_costs_no_earlier_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short_write(descriptor: int, data: memoryview) -> int:
        if len(data) < 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_write(descriptor, data[: len(data) // 2])

    real_write = os.write
    with opened(tmp_path) as spool:
        spool.append([b"before"], now=NOW)
        with monkeypatch.context() as patch:
            patch.setattr("os.write", short_write)
            with pytest.raises(OSError, match="No space left"):
                spool.append([b"lost"], now=NOW)
        spool.append([b"after"], now=NOW)

        assert drain(spool) == [b"before", b"after"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OSError, match="file"):
        Spool(tmp_path / "file" / "spool").open()


def test_nobody_else_can_read_the_spool(tmp_path: Path) -> None:
    with opened(tmp_path / "spool") as spool:
        spool.append([b"private"], now=NOW)

        modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "spool").iterdir()}
        modes.add((tmp_path / "spool").stat().st_mode & 0o077)

    assert modes == {0}
