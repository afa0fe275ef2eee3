"""httpx 0.28 as a plain client: the baseline. Run by the Python of Argos 0.10.3.

Checks a URL over and over, each time by a new connection, and prints how many checks it
made and the CPU they took, as JSON. Nothing of Argos is imported.
"""

import asyncio
import json
import resource
import ssl
import sys
import time

import httpx
import uvloop


async def main(url: str, ca_file: str, seconds: float, under_way: int) -> None:
    """Check for some seconds after a warm-up, with so many checks at once."""
    limits = httpx.Limits(max_keepalive_connections=0, max_connections=None)
    context = ssl.create_default_context(cafile=ca_file)
    counts = [0]
    is_over = asyncio.Event()
    async with httpx.AsyncClient(
        limits=limits, verify=context, timeout=60, trust_env=False
    ) as client:

        async def keep_checking() -> None:
            while not is_over.is_set():
                answer = await client.get(url)
                assert answer.status_code == 200
                assert len(answer.content) > 500
                counts[0] += 1

        tasks = [asyncio.create_task(keep_checking()) for _ in range(under_way)]
        await asyncio.sleep(seconds / 4)
        done, cpu, began_at = counts[0], cpu_s(), time.perf_counter()
        await asyncio.sleep(seconds)
        done = counts[0] - done
        cpu, elapsed = cpu_s() - cpu, time.perf_counter() - began_at
        is_over.set()
        await asyncio.gather(*tasks)
    figures = {"checks": done, "cpu_s": cpu, "elapsed_s": elapsed}
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures | {"version": httpx.__version__, "memory_mb": memory_mb}))


def cpu_s() -> float:
    """User and system time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
