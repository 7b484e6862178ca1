"""Guard orders in the database itself: no program takes an illegal step, skips the first state or deletes a row.

The states are words in these triggers and nowhere else in the schema. A CHECK on the column would be simpler, but
SQLite can only change one by rebuilding the table, which loses the triggers and cannot be done while other tables
refer to it. Triggers are replaced at any time.

A version that adds a state or a step replaces them. Its file in `migrations/versions` lists every step that is legal
from then on, as words of its own, so that it does the same whatever the program's state machine becomes later:

    STEPS = {"not_sent": ("sending", ...), "sending": ("authorized", "pending", ...), ...}

    def upgrade() -> None:
        replace_triggers(op.get_bind(), context.config.attributes["prefix"], STEPS)

A kind of order needs no migration: the schema does not list the kinds.
"""

from collections.abc import Collection, Iterator, Mapping

import sqlalchemy as sa

Steps = Mapping[str, Collection[str]]
"""The states that may follow each state."""


def replace_triggers(connection: sa.Connection, prefix: str, steps: Steps) -> None:
    """Let the database refuse every step but these; triggers that are there already are replaced."""
    write = _sqlite if connection.dialect.name == "sqlite" else _postgresql
    legal = "".join(f" {now}>{then} " for now in steps for then in steps[now])
    for statement in write(f"{prefix}orders", legal):
        connection.exec_driver_sql(statement)


def _sqlite(orders: str, legal: str) -> Iterator[str]:
    # One search in one text: of a list in parentheses a table is made anew for each row that is updated.
    illegal = f"OLD.state <> NEW.state AND instr('{legal}', ' ' || OLD.state || '>' || NEW.state || ' ') = 0"
    guards = (
        ("step", f"BEFORE UPDATE OF state ON {orders} WHEN {illegal}", "illegal step of an order"),
        ("step_new", f"BEFORE INSERT ON {orders} WHEN NEW.state <> 'sending'", "an order begins as sending"),
        ("step_kept", f"BEFORE DELETE ON {orders}", "an order is never deleted"),
    )
    for name, event, refusal in guards:
        yield f"DROP TRIGGER IF EXISTS {orders}_{name}"
        yield f"CREATE TRIGGER {orders}_{name} {event} BEGIN SELECT RAISE(ABORT, 'payhub: {refusal}'); END"


def _postgresql(orders: str, legal: str) -> Iterator[str]:
    name = f"{orders}_step"
    yield (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP = 'INSERT' THEN IF NEW.state <> 'sending' THEN "
        "RAISE EXCEPTION 'payhub: an order begins as sending'; END IF; RETURN NEW; END IF; "
        "IF TG_OP = 'DELETE' THEN RAISE EXCEPTION 'payhub: an order is never deleted'; END IF; "
        f"IF OLD.state <> NEW.state AND strpos('{legal}', ' ' || OLD.state || '>' || NEW.state || ' ') = 0 THEN "
        "RAISE EXCEPTION 'payhub: illegal step of an order'; END IF; RETURN NEW; END $$"
    )
    yield f"DROP TRIGGER IF EXISTS {name} ON {orders}"
    yield f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE OR DELETE ON {orders} FOR EACH ROW EXECUTE FUNCTION {name}()"
