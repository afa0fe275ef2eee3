"""Build the server: read the config, open the database, wire routes and threads."""

import asyncio
import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from random import SystemRandom
from types import FrameType
from typing import Any

from fastapi import FastAPI

from argos import VERSION
from argos.clock import Clock, system_clock
from argos.schemas import Config
from argos.server.database import Database
from argos.server.migrations.revision import check_revision
from argos.server.routes.api import agent, counters, health
from argos.server.routes.dependencies import AppState
from argos.server.routes.errors import add_error_handlers
from argos.server.routes.web import add_web
from argos.server.services import dispatch, upkeep
from argos.server.services.config_watch import ConfigWatch
from argos.server.services.duties import all_duties
from argos.server.settings import LoadedConfig, find_config, read_config

log = logging.getLogger(__name__)

GC_THRESHOLDS = (10_000, 100, 50)
"""A report of 500 results makes some ten thousand objects, none of them in a circle. Pages
make circles: to free five times as many at once kept one in seventy for 80 ms."""

Stop = Callable[[], None]


def get_application(
    loaded: LoadedConfig | None = None,
    *,
    config_path: Path | None = None,
    clock: Clock = system_clock,
) -> FastAPI:
    """The server, ready to be run; without a config, by the one that is found.

    `config_path` is where the config came from, to be read again when it has changed.
    Nothing is opened before the application starts up.
    """
    read = partial(read_config, environ=os.environ)
    if loaded is None:
        config_path = config_path or find_config(None, os.environ, Path.cwd())
        loaded = read(config_path)
    general = loaded.config.general
    app = FastAPI(
        title="Argos",
        version=VERSION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    # The parameter of this name is deprecated; a proxy may strip the prefix or not.
    app.root_path = general.root_path
    database = _open_database(loaded.config)
    watch = ConfigWatch(
        loaded, database=database, clock=clock, read=read, path=config_path
    )
    app.state.argos = AppState(database=database, clock=clock, watch=watch)
    for router in (agent.router, counters.router, health.router):
        app.include_router(router)
    add_web(app)
    add_error_handlers(app)
    return app


def __getattr__(name: str) -> Any:
    """`argos.server.main:app`, built when it is asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    app = get_application()
    globals()[name] = app
    return app


def _open_database(config: Config) -> Database:
    settings = config.general.db
    return Database(
        settings.url.get_secret_value(),
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state: AppState = app.state.argos
    await asyncio.to_thread(_check_database, state.database)
    stop = await asyncio.to_thread(_start_threads, state)
    with _ending_waits_on_signal(state), _collecting_seldom():
        try:
            yield
        finally:
            state.waiting.end()
            await asyncio.to_thread(stop)


def _check_database(database: Database) -> None:
    database.check_reachable()
    check_revision(database)
    database.warn_if_unsafe()


def _start_threads(state: AppState) -> Stop:
    """Start what the server does by itself; returns what ends it."""
    rng = SystemRandom()
    holder = f"{socket.gethostname()}:{os.getpid()}:{rng.getrandbits(32):08x}"
    dispatcher = dispatch.Dispatcher(
        dispatch.Means(
            database=state.database,
            clock=state.clock,
            rng=rng,
            get_config=lambda: state.config,
            holder=holder,
        )
    )
    means = upkeep.Means(
        database=state.database,
        clock=state.clock,
        get_config=lambda: state.config,
        holder=holder,
    )
    duties = all_duties(state.database, reload=state.watch.apply)
    housework = upkeep.Upkeep(
        means,
        [duty for duty in duties if not duty.is_long],
        on_look=state.watch.look,
    )
    long_work = upkeep.Upkeep(
        means,
        [duty for duty in duties if duty.is_long],
        look_interval=upkeep.LONG_LOOK_INTERVAL,
    )

    def stop() -> None:
        dispatcher.stop()
        long_work.stop(timeout_s=0)
        housework.stop()
        # Done at once, unless it packs a day: that is begun anew by somebody else.
        long_work.stop(timeout_s=1)
        state.database.close()

    dispatcher.start()
    housework.start()
    long_work.start()
    return stop


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Look for garbage less often, and not among what is loaded by now.

    Nearly all of what requests make ends without the collector, which looked through
    all modules in vain, for a fifth of the CPU and a tenth of a second at a time.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def _ending_waits_on_signal(state: AppState) -> Iterator[None]:
    """Let agents that wait for work go as soon as the server is told to stop.

    The web server tells the application only after the last request is over, which for
    a waiting agent would take a minute.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    before = {sign: signal.getsignal(sign) for sign in signals}

    def end_waits(sign: int, frame: FrameType | None) -> None:
        state.waiting.end()
        handler = before[signal.Signals(sign)]
        if callable(handler):
            handler(sign, frame)
        elif handler is signal.SIG_DFL:
            signal.signal(sign, handler)
            signal.raise_signal(sign)

    for sign in signals:
        signal.signal(sign, end_waits)
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
