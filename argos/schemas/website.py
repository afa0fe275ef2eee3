"""The websites of a config.

A fleet has a hundred thousand of them, so that they are slotted dataclasses, and equal
checks are one object.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product
from typing import Annotated, Any
from urllib.parse import urljoin, urlsplit

from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from argos.checks import get_registered_check, get_registered_checks
from argos.errors import CheckNotFound, ExpectedError
from argos.protocol import Method
from argos.schemas.duration import OptionalDuration, OptionalTimeout
from argos.schemas.fields import HttpURL, Name, Text, first_counts_only
from argos.schemas.location import OptionalLocations, Quorum, check_quorum
from argos.schemas.node import (
    ListNode,
    MappingNode,
    Node,
    Refused,
    ScalarNode,
    ScalarValue,
    plain,
)
from argos.schemas.options import Options
from argos.schemas.quiet import MaintenanceList
from argos.schemas.reader import (
    ReadBy,
    SpreadOut,
    list_reader,
    locate,
    model_reader,
    wrong_shape,
)
from argos.schemas.reading import Reading
from argos.schemas.recipient import AddedRecipients, OverwritingRecipients
from argos.schemas.wording import describe, did_you_mean, listed, show

_OWN_PATH = re.compile(r"(?:/(?!/)[^\[\]\0]*)?")
"""Joined to a domain, it always gives a URL of that domain."""
_LINE_BREAK = re.compile(r"[\r\n\0]")


@dataclass(frozen=True, slots=True)
class WebsiteCheck:
    """What is asked of a target's answer."""

    check: str
    """The name of a registered check."""
    expected: Text
    """Given as in the config; kept as the text that the check makes of it."""

    @field_validator("check")
    @classmethod
    def _must_be_registered(cls, name: str) -> str:
        try:
            get_registered_check(name)
        except CheckNotFound as error:
            raise ValueError(str(error)) from error
        return name

    @field_validator("expected", mode="before")
    @classmethod
    def _encode(cls, value: object, info: ValidationInfo) -> object:
        if "check" not in info.data:
            return value
        return get_registered_check(info.data["check"]).encode_expected(value)


class RequestData(BaseModel):
    """What a probe sends along."""

    data: Any = None
    is_json: bool = False
    headers: Mapping[str, str] | None = None

    @field_validator("headers")
    @classmethod
    def _must_be_single_lines(
        cls, headers: Mapping[str, str] | None
    ) -> Mapping[str, str] | None:
        for name, value in (headers or {}).items():
            if _LINE_BREAK.search(name) or _LINE_BREAK.search(value):
                raise ValueError(f"must not hold line breaks, as {show(name)} does")
        return headers


def _read_request_data(node: Node, reading: Reading) -> str | None:
    """The reader of request data; the text is a part of a task's identity."""
    if isinstance(node, ScalarNode) and node.value is None:
        return None
    data: RequestData = model_reader(RequestData)(node, reading)
    stored = {"data": data.data, "json": data.is_json, "headers": data.headers}
    try:
        return json.dumps(stored)
    except TypeError as error:
        raise Refused(
            node, "must not hold a date; put it in quotes if it is a text"
        ) from error


def _read_check(node: Node, reading: Reading) -> WebsiteCheck:
    """The reader of a list entry such as `status-is: 200`."""
    if not isinstance(node, MappingNode) or not node.keys:
        raise wrong_shape(node, "a check with its value, such as `status-is: 200`")
    first, expected = node.keys[0], node.values[0]
    for other in node.keys[1:]:
        reading.warn(other, first_counts_only(first, other))
    name = str(first.value)
    known = get_registered_checks()
    if name not in known:
        hint = did_you_mean(name, known) or f"; the checks are {listed(known)}"
        raise Refused(first, f"There is no check {show(name)}{hint}", subject="")
    check, quirk = _make_check(name, expected)
    if quirk:
        reading.warn(expected, quirk)
    return check


def _make_check(name: str, expected: Node) -> tuple[WebsiteCheck, str | None]:
    """A check, and why its value may not do what was meant.

    Environment variables are not filled in: a check may well look for "${HOME}".
    """
    try:
        if isinstance(expected, ScalarNode):
            value = expected.value
            return _share_check(name, type(value).__name__, value)
        return _build_check(name, plain(expected))
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        is_sentence = isinstance(details.get("ctx", {}).get("error"), ExpectedError)
        subject = "" if is_sentence else f"`{name}`"
        raise Refused(expected, describe(details), subject=subject) from error


def _build_check(name: str, value: Any) -> tuple[WebsiteCheck, str | None]:
    check = WebsiteCheck(check=name, expected=value)
    return check, get_registered_check(name).legacy_quirk(value)


@lru_cache(maxsize=8192)
def _share_check(
    name: str,
    kind: str,  # noqa: ARG001  # keeps 1 and True apart
    value: ScalarValue,
) -> tuple[WebsiteCheck, str | None]:
    return _build_check(name, value)


@dataclass(frozen=True, slots=True)
class WebsitePath:
    """One target of a website and what its answer must be like."""

    path: Text
    """Joined to the domain as a browser joins a link to its page."""
    checks: Annotated[
        tuple[WebsiteCheck, ...],
        ReadBy(list_reader(_read_check, "an entry of `checks`")),
    ]
    method: Method = "GET"
    request_data: Annotated[str | None, ReadBy(_read_request_data)] = None
    """JSON text with the keys `data`, `json` and `headers`."""
    options: Annotated[Options | None, SpreadOut()] = None


@dataclass(frozen=True, slots=True)
class Website:
    """What is watched under one domain; None inherits the general setting."""

    domain: HttpURL
    paths: tuple[WebsitePath, ...]
    name: Name | None = None
    """Shown beside the domain."""
    group: Name | None = None
    tags: tuple[Name, ...] = ()
    ipv4: bool | None = None
    ipv6: bool | None = None
    frequency: OptionalDuration = None
    recheck_delay: OptionalDuration = None
    retry_before_notification: Annotated[int, Field(ge=0)] | None = None
    recoveries_before_notification: Annotated[int, Field(ge=0)] | None = None
    confirm: bool | None = None
    locations: OptionalLocations = None
    """From each of these it is watched; empty: from anywhere."""
    quorum: Quorum | None = None
    """At so many of them a problem must be seen."""
    depends_on: tuple[Name, ...] = ()
    """Names or domains of websites without which it cannot work."""
    timeout: OptionalTimeout = None
    options: Annotated[Options | None, SpreadOut()] = None
    add_alerts_recipients: AddedRecipients = None
    overwrite_alerts_recipients: OverwritingRecipients = None
    maintenance: MaintenanceList = ()
    remind_every: OptionalDuration = None


_read_fields = model_reader(Website)

_Inherited = tuple[tuple[bool, bool], tuple[str, ...]]
"""Whether over IPv4 and IPv6, and the locations."""
_Target = tuple[
    *tuple[str, str, str | None, tuple[Options | None, Options | None]],
    *tuple[WebsiteCheck, bool, str],
]
"""URL, method, request data, options, check, whether over IPv6, and the location."""


def _find_repeat(
    website: Website, inherited: _Inherited, reading: Reading
) -> _Target | None:
    """A check of the website that one before it has, too; remembers the website.

    Most hosts stand in a config once: only of others the checks are compared.
    """
    parts = urlsplit(website.domain)
    host = (parts.scheme, parts.netloc)
    known = reading.websites_by_host.get(host)
    if known is None:
        reading.websites_by_host[host] = (website, inherited)
        return None
    if isinstance(known, tuple):
        known = reading.websites_by_host[host] = set(_targets(*known))
    targets = list(_targets(website, inherited))
    repeat = next((target for target in targets if target in known), None)
    known.update(targets)
    return repeat


def _targets(website: Website, inherited: _Inherited) -> Iterator[_Target]:
    ip_versions, locations = inherited
    uses = [is_ipv6 for is_ipv6, is_used in enumerate(ip_versions) if is_used]
    for path in website.paths:
        url = urljoin(website.domain, path.path)
        for check in path.checks:
            for is_ipv6, location in product(uses, locations or ("",)):
                yield (
                    *(url, path.method, path.request_data),
                    *((website.options, path.options), check, bool(is_ipv6), location),
                )


def read_website(node: Node, reading: Reading) -> Website:
    """The reader of websites."""
    if isinstance(node, ListNode):
        raise Refused(
            node,
            "must be a mapping, not a list; to include files that hold lists, write "
            "`!include {urlpath: …, flatten: true}`",
        )
    website: Website = _read_fields(node, reading)
    if website.depends_on:
        reading.dependents.append((node, website))
    general_ipv4, general_ipv6 = reading.ip_versions
    uses_ipv4 = general_ipv4 if website.ipv4 is None else website.ipv4
    uses_ipv6 = general_ipv6 if website.ipv6 is None else website.ipv6
    if not uses_ipv4 and not uses_ipv6:
        reading.warn(node, "IPv4 and IPv6 are both off: this website is not watched")
    strays = [
        index
        for index, path in enumerate(website.paths)
        if not _OWN_PATH.fullmatch(path.path) and not _is_target(website, path)
    ]
    for index in strays:
        path = show(website.paths[index].path)
        place = locate(node, ("paths", index, "path"))
        reading.fault(place, f"{path} does not lead to an http or https URL")
    if strays:
        raise Refused(node)
    locations = reading.locations if website.locations is None else website.locations
    check_quorum(node, reading, quorum=website.quorum, locations=locations)
    repeat = _find_repeat(website, ((uses_ipv4, uses_ipv6), locations), reading)
    if repeat is not None:
        url, *_, check, _, _ = repeat
        reading.warn(
            node,
            f"`{check.check}` of {url} stands in a website above, too: it is done once, "
            "with the settings of the first; take one of them out",
        )
    return website


def _is_target(website: Website, path: WebsitePath) -> bool:
    try:
        parts = urlsplit(urljoin(website.domain, path.path))
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
