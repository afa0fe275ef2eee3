"""Hashing passwords: strong, and never by a crowd at once."""

import threading
import time

import pytest

from argos.errors import TooBusy
from argos.server.services import passwords

PASSWORD = "correct horse battery"


def test_no_more_than_two_passwords_are_hashed_at_once():
    running: list[int] = []
    peak: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        with passwords._hashing_turn():
            with lock:
                running.append(1)
                peak.append(len(running))
            time.sleep(0.02)
            with lock:
                running.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert max(peak) == 2


def test_a_crowd_is_turned_away_instead_of_holding_all_threads():
    gate = threading.Event()
    inside = threading.Semaphore(0)

    def hold() -> None:
        with passwords._hashing_turn():
            inside.release()
            gate.wait(10)

    def wait() -> None:
        with passwords._hashing_turn():
            pass

    threads = [threading.Thread(target=hold) for _ in range(2)]
    threads += [threading.Thread(target=wait) for _ in range(16)]
    for thread in threads:
        thread.start()
    inside.acquire(timeout=5)
    inside.acquire(timeout=5)
    while passwords._waiting._value:
        time.sleep(0.005)

    with pytest.raises(TooBusy), passwords._hashing_turn():
        pass
    gate.set()
    for thread in threads:
        thread.join()


def test_hashes_are_as_strong_as_promised():
    assert passwords.hash_password(PASSWORD).startswith(
        "$argon2id$v=19$m=65536,t=3,p=4$"
    )
