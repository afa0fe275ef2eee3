"""The nemesis at full length: ten thousand changes of state, on each database.

python -m bench.nemesis [--changes 10000] [--pages 300] [--seed 1] [--sqlite|--postgresql]
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.nemesis.run import run


def main() -> int:
    """Run it on what was chosen, print what came of it; 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=3600, help="seconds")
    parser.add_argument("--pause", type=float, default=6, help="seconds")
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--postgresql", action="store_true")
    chosen = parser.parse_args()
    is_faulty = False
    for name in ("sqlite", "postgresql"):
        if (chosen.sqlite or chosen.postgresql) and not getattr(chosen, name):
            continue
        folder = Path(tempfile.mkdtemp(prefix=f"nemesis-{name}-"))
        started_at = time.monotonic()
        verdict = run(
            folder,
            seed=chosen.seed,
            pages=chosen.pages,
            changes=chosen.changes,
            with_postgres=name == "postgresql",
            limit_s=chosen.limit,
            pause_s=chosen.pause,
            say=lambda text: print(text, flush=True),
        )
        print(f"{name}: {verdict}, {time.monotonic() - started_at:.0f} s, {folder}")
        print("\n".join(verdict.faults[:20]))
        is_faulty = is_faulty or bool(verdict.faults)
    return int(is_faulty)


if __name__ == "__main__":
    sys.exit(main())
