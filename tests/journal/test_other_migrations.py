"""The application's own migrations, of Alembic's, leave the journal alone; where they do not, nothing is sent."""

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic import command
from alembic.config import Config

from payhub import JournalFailed, Status
from payhub.cli import app
from tests.raw_server import answer
from tests.samples import PAYOUT, known

from .conftest import OpenShop, Place, Shop

PAGE = Path(__file__).parents[2] / "docs" / "journal.md"
[RECIPE] = re.findall(r"```python title=\"env.py\"\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
PO_2 = msgspec.structs.replace(PAYOUT, order_id="po-2")
PREFIX = "payhub_"

# As `alembic init` makes it, for a connection that is given.
ENV = """
import sqlalchemy as sa
from alembic import context

metadata = sa.MetaData()
sa.Table("customers", metadata, sa.Column("id", sa.Integer, primary_key=True))
{recipe}
url = context.config.get_main_option("sqlalchemy.url")
with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
    context.configure(connection=connection, target_metadata=metadata{option})
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
"""


@pytest.fixture
def mode() -> str:
    """Try one kind of hub: what is tested is the journal's."""
    return "sync"


@pytest.fixture
def place(own: Place) -> Place:
    return own


@pytest.fixture
def url(place: Place) -> str:
    return place.url


@pytest.fixture
def migrate(url: str, tmp_path: Path) -> Callable[..., str]:
    """Generate the application's migration, with the recipe or without it, apply it, and return it."""
    cascade = " CASCADE" if url.startswith("postgresql") else ""

    def migrated(*, recipe: bool) -> str:
        place = tmp_path / "migrations"
        config = Config(str(tmp_path / "alembic.ini"), stdout=io.StringIO())
        config.set_main_option("script_location", str(place))
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        with contextlib.redirect_stdout(io.StringIO()):
            command.init(config, str(place))
        option = ", include_name=include_name" if recipe else ""
        (place / "env.py").write_text(ENV.format(recipe=RECIPE if recipe else "", option=option))
        made: Any = command.revision(config, "customers", autogenerate=True)
        # What Alembic generates drops tables before those that refer to them; whoever wants it applied mends that.
        text = re.sub(
            r"op.drop_table\('(\w+)'\)", rf"op.execute('DROP TABLE \1{cascade}')", Path(made.path).read_text()
        )
        Path(made.path).write_text(re.sub(r" *op.drop_index.*", "", text))
        command.upgrade(config, "head")
        return text

    return migrated


@pytest.fixture
def begun(open_shop: OpenShop, url: str) -> Callable[..., Shop]:
    """Open shops as processes do, each of which knows nothing of the others: the key is in their configuration."""
    return lambda order=PAYOUT: open_shop(answer(known(order)), where=url, journal={"key": "k" * 32, "prefix": PREFIX})


def test_with_the_recipe_the_tables_are_left_alone(begun: Callable[..., Shop], migrate: Callable[..., str]) -> None:
    """What the page says for env.py keeps the journal's tables out of what Alembic generates."""
    begun().hub.create_payout("shop", PAYOUT)
    migration = migrate(recipe=True)
    assert ("customers" in migration, "DROP" in migration.partition("def downgrade")[0]) == (True, False)
    again = begun()
    assert (Status.PENDING, []) == (again.hub.create_payout("shop", PAYOUT).status, again.sent)


def test_tables_that_a_migration_dropped_are_not_made_anew(
    begun: Callable[..., Shop], migrate: Callable[..., str], url: str, tmp_path: Path
) -> None:
    """A journal whose tables were dropped is not begun anew by an order, nor by `init`, until a person agrees."""
    first = begun()
    first.hub.create_payout("shop", PAYOUT)
    first.journal.close()
    assert f"DROP TABLE {PREFIX}orders" in migrate(recipe=False)
    later = begun()
    with pytest.raises(JournalFailed, match="its tables were dropped, perhaps by a migration of the application's"):
        later.hub.create_payout("shop", PAYOUT)
    assert [] == later.sent
    (tmp_path / "payhub.toml").write_text(f'[journal]\nurl = "{url}"\nkey = "{"k" * 32}"\n')

    def run(*words: str) -> int:
        return app.run(["journal", *words, "--config", str(tmp_path / "payhub.toml")])

    assert (3, 0, 0) == (run("init"), run("accept", "--reason", "none was open", "--by", "anna"), run("init"))
    assert Status.PENDING is begun(PO_2).hub.create_payout("shop", PO_2).status
