"""What makes a task the same task, and a task group the same group. Pure."""

import hashlib
import json
from collections.abc import Mapping
from enum import IntFlag
from functools import cache, lru_cache
from json.encoder import encode_basestring as encode_text
from typing import Any

from argos.checks import BaseCheck, get_registered_check
from argos.core.probe import IPVersion, Probe

KEY_BYTES = 16


class Pool(IntFlag):
    """What an agent must be able to do to lease a task group; one queue for each."""

    ANYONE = 0
    IPV6 = 1
    """It reaches IPv6 targets."""
    NEW_CHECKS = 2
    """It knows the checks and the probe options that agents of 0.10.3 do not."""


_LOCATION_SHIFT = 3
"""Above the bits of `Pool`, with room for one more."""
_LOCATION_POOLS = 4095
"""So many numbers are left of a small integer."""


def located(pool: int, location: str) -> int:
    """The queue of a location's agents that can do what a pool demands.

    Two locations may share a number: whoever leases looks at the location itself, too.
    """
    digest = hashlib.blake2b(location.encode("utf-8", "surrogatepass"), digest_size=4)
    number = int.from_bytes(digest.digest(), "big") % _LOCATION_POOLS + 1
    return int(pool) | number << _LOCATION_SHIFT


def task_key(
    *, url: str, method: str, request_data: str | None, check: str, expected: str,
    ip_version: str,
) -> bytes:  # fmt: skip
    """The 128 bits that identify a task."""
    return TaskKeys(url, method, request_data, ip_version).of(check, expected)


class TaskKeys:
    """The keys of the tasks of one request: what they share is written once."""

    def __init__(
        self, url: str, method: str, request_data: str | None, ip_version: str
    ) -> None:
        self._begin = f"[{_listed(url, method, request_data)},"
        self._end = f",{_listed(ip_version)}]"

    def of(self, check: str, expected: str) -> bytes:
        """The key of a check's task."""
        return _hash(f"{self._begin}{_listed_check(check, expected)}{self._end}")


def task_key_apart(key: bytes, group: bytes) -> bytes:
    """The same for a task that differs from the one of that key by its options only."""
    return _digest(key.hex(), group.hex())


def task_key_at(key: bytes, location: str) -> bytes:
    """The same for the task of a location."""
    return _digest(key.hex(), "at", location)


def group_key(
    *,
    probe_url: str,
    method: str,
    request_data: str | None,
    ip_version: str,
    options: str | None = None,
    location: str | None = None,
) -> bytes:
    """The 128 bits that identify the probe which answers a task."""
    own: tuple[str | None, ...] = () if options is None else (options,)
    if location is not None:
        own = (options, location)
    return _digest(probe_url, method, request_data, ip_version, *own)


def _digest(*parts: str | None) -> bytes:
    # JSON keeps the parts apart, and None from "".
    # Put together here: making an encoder takes longer than using it.
    return _hash(f"[{_listed(*parts)}]")


def _listed(*parts: str | None) -> str:
    return ",".join("null" if part is None else encode_text(part) for part in parts)


@lru_cache(maxsize=8192)  # most checks of a fleet are alike
def _listed_check(check: str, expected: str) -> str:
    return _listed(check, expected)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES
    ).digest()


def task_group(
    *, url: str, method: str, request_data: str | None, ip_version: str
) -> str:
    """The text by which agents of 0.10.3 see which tasks share a request."""
    digest = hashlib.md5((request_data or "").encode(), usedforsecurity=False)
    return f"{method}-{ip_version}-{url}-{digest.hexdigest()}"


def probe_url(check: str, url: str) -> str:
    """The URL that a check's probe asks for; raises CheckNotFound."""
    if not _has_own_probe(check):
        return url
    return get_registered_check(check).prepare_probe(Probe(url=url)).url


@cache
def _has_own_probe(check: str) -> bool:
    """Whether a check may ask for something else: most do not, and a fleet has many."""
    classes = get_registered_check(check).__mro__
    own = classes[: classes.index(BaseCheck)]
    return any("prepare_probe" in vars(each) for each in own)


def check_options(check: str, options: Mapping[str, Any] | None) -> str | None:
    """The options of a path, as far as a check's probe has use for them, as JSON."""
    if options is None:
        return None
    unwanted = get_registered_check(check).unwanted_options
    wanted = {k: v for k, v in options.items() if k not in unwanted}
    return json.dumps(wanted, sort_keys=True) if wanted else None


def required_pool(
    check: str,
    ip_version: str,
    options: str | None = None,
    location: str | None = None,
) -> int:
    """What a task demands of an agent: the number of its queue."""
    return _pool(check, ip_version, options is not None, location)


@lru_cache(maxsize=4096)
def _pool(check: str, ip_version: str, has_options: bool, location: str | None) -> int:
    pool = Pool.IPV6 if ip_version == IPVersion.V6 else Pool.ANYONE
    if location is not None:
        # Agents of 0.10.3 cannot say where they stand.
        return located(pool | Pool.NEW_CHECKS, location)
    if has_options or not get_registered_check(check).is_legacy:
        pool |= Pool.NEW_CHECKS
    return int(pool)
