"""What websites depend on: names that must exist, and no circles."""

from collections.abc import Iterable, Mapping
from typing import Any

from argos.core.cause import find_cycle
from argos.schemas.node import Node, Refused
from argos.schemas.reader import list_reader, locate
from argos.schemas.reading import Reading
from argos.schemas.website import Website, read_website
from argos.schemas.wording import did_you_mean, show

_read_list = list_reader(read_website, "a website")


def read_websites(node: Node, reading: Reading) -> tuple[Website, ...]:
    """The reader of all websites."""
    websites: tuple[Website, ...] = _read_list(node, reading)
    if reading.dependents:
        _check(websites, reading)
    return websites


def _check(websites: Iterable[Website], reading: Reading) -> None:
    domains = _domains_by_name(websites)
    is_faulty = False
    for node, website in reading.dependents:
        for index, name in enumerate(website.depends_on):
            if name not in domains:
                place = locate(node, ("depends_on", index))
                hint = did_you_mean(name, domains) or "; give its domain or its name"
                reading.fault(place, f"There is no website {show(name)}{hint}")
                is_faulty = True
    direct = _direct(websites, domains)
    cycle = find_cycle({domain: sorted(known) for domain, known in direct.items()})
    if cycle is not None:
        node = _node_of(cycle[0], reading)
        reading.fault(
            locate(node, ("depends_on",)),
            f"A website must not depend on itself: {' → '.join(cycle)}",
        )
        is_faulty = True
    if is_faulty:
        raise Refused(reading.dependents[0][0])


def _node_of(domain: str, reading: Reading) -> Node:
    return next(node for node, site in reading.dependents if site.domain == domain)


def dependencies(websites: Iterable[Website]) -> dict[str, frozenset[str]]:
    """By domain: the domains of all that a website depends on, over others too."""
    websites = tuple(websites)
    if not any(website.depends_on for website in websites):
        return {}
    direct = _direct(websites, _domains_by_name(websites))
    return {domain: _reachable(domain, direct) for domain in direct}


def dependents(found: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """The other way round: by domain, the domains of all that depend on a website."""
    by_parent: dict[str, set[str]] = {}
    for domain, parents in found.items():
        for parent in parents:
            by_parent.setdefault(parent, set()).add(domain)
    return {parent: frozenset(domains) for parent, domains in by_parent.items()}


def _domains_by_name(websites: Iterable[Website]) -> dict[str, str]:
    """Websites are named by their `name`, or by their domain with or without a slash."""
    names: dict[str, str] = {}
    for website in websites:
        for name in (website.name, website.domain, website.domain.rstrip("/")):
            if name is not None:
                names.setdefault(name, website.domain)
    return names


def _direct(
    websites: Iterable[Website], domains: Mapping[str, str]
) -> dict[str, set[str]]:
    direct: dict[str, set[str]] = {}
    for website in websites:
        found = {domains[name] for name in website.depends_on if name in domains}
        if found:
            direct.setdefault(website.domain, set()).update(found)
    return direct


def _reachable(domain: str, direct: Mapping[str, Any]) -> frozenset[str]:
    found: set[str] = set()
    todo = [domain]
    while todo:
        for parent in direct.get(todo.pop(), ()):
            if parent not in found:
                found.add(parent)
                todo.append(parent)
    return frozenset(found)
