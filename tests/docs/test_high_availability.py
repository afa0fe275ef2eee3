"""The how-to's configs fit together, wherever `bench.ha` moves them."""

from pathlib import Path

import pytest
import yaml
from sqlalchemy import make_url

from bench.ha.howto import Machines, read_blocks

PATRONI = "/etc/patroni/config.yml"
PASSWORD = "change-me-3"


@pytest.fixture
def machines() -> Machines:
    return Machines(Path("/nowhere"), "127.9.9")


def test_all_files_are_on_the_page():
    assert {*read_blocks()} == {
        "/etc/default/etcd",
        PATRONI,
        "/etc/haproxy/haproxy.cfg",
        "argos.sql",
        "/etc/pgbouncer/pgbouncer.ini",
        "/etc/pgbouncer/userlist.txt",
        "config.yaml",
    }


def test_argos_has_the_password_of_its_role_everywhere(machines):
    assert make_url(machines.database_url(1)).password == PASSWORD
    for name in ("argos.sql", "/etc/pgbouncer/userlist.txt"):
        assert PASSWORD in machines.config(name, 1)


@pytest.mark.parametrize("number", [1, 2])
def test_a_node_listens_at_its_own_address_and_knows_all_voters(machines, number):
    config = yaml.safe_load(machines.config(PATRONI, number))

    address = machines.address(number)
    assert config["name"] == f"db{number}"
    assert config["restapi"]["listen"] == f"{address}:8008"
    assert config["postgresql"]["listen"] == f"{address}:5432"
    assert config["etcd3"]["hosts"].split(",") == [
        f"{machines.address(voter)}:2379" for voter in (1, 2, 3)
    ]


@pytest.mark.parametrize("number", [1, 2])
def test_haproxy_of_each_machine_knows_both_nodes(machines, number):
    config = machines.config("/etc/haproxy/haproxy.cfg", number)

    for node in (1, 2):
        assert f"server db{node} {machines.address(node)}:5432 check" in config
    assert f"bind {machines.address(number)}:5000" in config
