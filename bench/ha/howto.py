"""The configs of the how-to, moved to loopback addresses and a folder of ours."""

import re
from pathlib import Path

import yaml

from tests.tree import ROOT

PAGE = ROOT / "docs/howto/high-availability.md"

_BLOCK = re.compile(r"^```\w+\n(?:#|;|--) (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_OWN = {"/etc/default/etcd", "/etc/patroni/config.yml"}
"""Files that stand on the page as they are for the first machine."""
_SECOND = "10.0.0.2"
"""Their lines that name it list all machines, and are the same on each."""


def read_blocks() -> dict[str, str]:
    """The how-to's files by the name in their first line."""
    return dict(_BLOCK.findall(PAGE.read_text(encoding="utf-8")))


class Machines:
    """The how-to's machines, each with a loopback address and a folder.

    Ports stay what they are: every machine has its own address of 127.0.0.0/8.
    """

    def __init__(self, folder: Path, network: str) -> None:
        self._folder = folder
        self._network = network
        self._blocks = read_blocks()

    def address(self, number: int) -> str:
        """Where a machine is; the first is 1."""
        return f"{self._network}.{number}"

    def folder(self, number: int) -> Path:
        """Where its files lie."""
        return self._folder / f"machine{number}"

    def config(self, name: str, number: int) -> str:
        """A file of the how-to as it stands on a machine."""
        text = self._blocks[name]
        if name in _OWN:
            lines = text.splitlines()
            text = "\n".join(_localise(line, number) for line in lines) + "\n"
        else:
            text = text.replace("127.0.0.1", self.address(number))
        text = text.replace("10.0.0.0/24", "127.0.0.0/8")
        text = text.replace("10.0.0.", f"{self._network}.")
        for ours, theirs in (
            ("data", "/var/lib/postgresql/15/argos"),
            ("patroni.pgpass", "/var/lib/postgresql/patroni.pgpass"),
            ("etcd", "/var/lib/etcd/argos"),
            ("run", "/var/run/postgresql"),
            ("run", "/var/log/postgresql"),
            ("userlist.txt", "/etc/pgbouncer/userlist.txt"),
        ):
            text = text.replace(theirs, str(self.folder(number) / ours))
        return text

    def write(self, name: str, number: int) -> Path:
        """Write it into the machine's folder."""
        path = self.folder(number) / Path(name).name
        path.write_text(self.config(name, number), encoding="utf-8")
        return path

    def database_url(self, number: int) -> str:
        """What the how-to gives to Argos."""
        config = yaml.safe_load(self.config("config.yaml", number))
        return str(config["general"]["db"]["url"])

    def superuser_password(self) -> str:
        """What the how-to gives to PostgreSQL's superuser."""
        config = yaml.safe_load(self.config("/etc/patroni/config.yml", 1))
        return str(config["postgresql"]["authentication"]["superuser"]["password"])


def _localise(line: str, number: int) -> str:
    if _SECOND in line:
        return line
    line = line.replace("10.0.0.1", f"10.0.0.{number}")
    return re.sub(r"\b(etcd|db)1\b", rf"\g<1>{number}", line)
