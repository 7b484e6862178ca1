"""Take PostgreSQL away: the server crashes, the connection ends, the answer to COMMIT is lost."""

import functools
from collections.abc import Callable
from typing import Any
from unittest import mock

import msgspec
import psycopg
import sqlalchemy as sa

from payhub import Hub
from torture.experiments.storage import COMMIT, Outcome, Place, database, judge_outcomes, open_hub, sum_up, try_create
from torture.judge import Judge
from torture.postgres import Postgres
from torture.processes import call
from torture.report import Bench, Finding, Found
from torture.shop import Shop

_Fault = Callable[[Hub, Postgres], None]


def at_each_statement(bench: Bench) -> Found:
    """Meet every fault `trials` times at each statement; 0 is a sample."""
    with Postgres(bench.directory / "server") as server:
        if not bench.trials:
            bench = msgspec.structs.replace(bench, trials=1)
            return Found([_everywhere(bench, server, "cut", "connection ends", _end_connections)])
        findings = [
            _everywhere(bench, server, "restart", "server crashes and is back", _restart),
            _everywhere(bench, server, "down", "server crashes and stays away", _crash),
            _everywhere(bench, server, "cut", "connection ends", _end_connections),
            _everywhere(bench, server, "mute", "COMMIT is done, its answer is lost", _lose_answer, only=COMMIT),
        ]
    return Found(findings)


def _everywhere(
    bench: Bench, server: Postgres, name: str, title: str, fault: _Fault, *, only: str | None = None
) -> Finding:
    with Judge() as judge:
        judge.order(waits=0)
        shop = Shop(directory=bench.directory / name, judge=judge, journal=server.database(name))
        hub, places = open_hub(shop)
        chosen: list[Place] = [place for place in places if only in {None, place.words}]
        outcomes = []
        for number, place in enumerate(chosen * bench.trials):
            work = functools.partial(try_create, hub, f"{name}-{number}", place, functools.partial(fault, hub, server))
            try:
                outcomes.append(call(work, Outcome))
            finally:
                server.start()
        return sum_up(
            f"PostgreSQL, {title}, at each statement", outcomes, judge_outcomes(shop, hub, outcomes, clean=True)
        )


def _crash(_: Hub, server: Postgres) -> None:
    server.stop()


def _restart(_: Hub, server: Postgres) -> None:
    server.stop()
    server.start()


def _end_connections(hub: Hub, _: Postgres) -> None:
    others = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    engine = sa.create_engine(database(hub).url)
    with engine.connect() as connection:
        connection.exec_driver_sql(others)
    engine.dispose()


def _lose_answer(_: Hub, __: Postgres) -> None:
    """Let the next COMMIT be carried out, and its answer be lost."""

    def committed(connection: psycopg.Connection[Any]) -> None:
        mended.stop()
        connection.commit()
        connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    mended = mock.patch.object(psycopg.Connection, "commit", committed)
    mended.start()
