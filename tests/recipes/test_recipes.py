"""docs/recipes.md is run as it stands: its files, its lines, real workers, a real provider's simulation."""

import html
import re
from collections.abc import Callable

import httpx
import psycopg
import pytest

from payhub import Money, Payer, PaymentOrder, PayoutOrder, ToCard
from payhub_alikassa.sandbox import Sandbox

from .conftest import ACCOUNT, SECTIONS, Recipe

Cook = Callable[..., Recipe]
Lose = Callable[[Recipe, str], None]


def test_every_recipe_has_its_test() -> None:
    """A recipe without a test here would not be one."""
    assert list(SECTIONS) == ["cron", "Celery", "procrastinate", "FastAPI", *NOTIFIED, *RETURNED]


def test_cron(cook: Cook, lose: Lose, sandbox: Sandbox) -> None:
    """The lines of the crontab find out about a lost payout, and are silent once all is known."""
    recipe = cook("cron")
    schedules, commands = zip(*[(line.split()[:5], line.split(maxsplit=5)[5]) for line in recipe.lines], strict=True)
    assert all(re.fullmatch(r"\*|\d+", field) for schedule in schedules for field in schedule)
    sweep, alarm = (command.replace("/srv/shop", str(recipe.directory)) for command in commands)
    lose(recipe, "po-1")
    assert "po-1" in recipe.run(f"{alarm.replace('1h', '0s')} || test $? = 5")
    while recipe.state("po-1") != "succeeded":
        recipe.run(sweep)
    assert recipe.run(alarm.replace("1h", "0s")) == ""
    assert "1 succeeded" in (recipe.directory / "sweep.log").read_text("utf-8")
    assert sandbox.accepted("payout", "po-1") == 1


def test_celery(cook: Cook, lose: Lose, sandbox: Sandbox) -> None:
    """A worker follows a new payout to its end, and its beat finds out about a lost one; each is paid once."""
    recipe = cook("Celery")
    lose(recipe, "po-lost")
    (line,) = recipe.lines
    with recipe.running(line, "--loglevel", "info") as worker:
        recipe.wait(worker, lambda: " ready." in recipe.log)  # it has made the broker's tables
        order = "PayoutOrder(order_id='po-new', amount=Money('500', 'RUB'), to=ToCard('4111111111111111'))"
        recipe.run(
            f'python -c "from payhub import *; from checkout import pay_out; '
            f"assert pay_out({order}).status == 'pending'\""
        )
        recipe.wait_for(worker, "po-new", "po-lost")
        done = r"Task tasks\.(follow|sweep)\[.+\] succeeded"
        recipe.wait(worker, lambda: set(re.findall(done, recipe.log)) == {"follow", "sweep"})
    assert (sandbox.accepted("payout", "po-new"), sandbox.accepted("payout", "po-lost")) == (1, 1)
    queued = b"".join(path.read_bytes() for path in recipe.directory.glob("queue.db*"))
    assert b"po-new" in queued
    assert b"4111111111111111" not in queued


def test_procrastinate(cook: Cook, lose: Lose, sandbox: Sandbox, database: str) -> None:
    """A worker on PostgreSQL follows a payout to its end, and its periodic sweep finds out about another."""
    where = {"DATABASE": database, "PAYHUB_JOURNAL": database.replace("postgresql:", "postgresql+psycopg:", 1)}
    recipe = cook("procrastinate", **where, PAYHUB_KEY="the secret key of this one test only")
    *once, work = recipe.lines
    for line in once:
        recipe.run(line)
    for order_id in ("po-new", "po-lost"):
        lose(recipe, order_id)
    arguments = f'{{"account": "{ACCOUNT}", "kind": "payout", "order_id": "po-new"}}'
    recipe.run(f"PYTHONPATH=. procrastinate --app jobs.app defer jobs.follow '{arguments}'")
    with recipe.running(work) as worker:
        recipe.wait_for(worker, "po-new", "po-lost")
        recipe.wait(worker, lambda: succeeded(database) == {"jobs.follow", "jobs.sweep"})
    assert (sandbox.accepted("payout", "po-new"), sandbox.accepted("payout", "po-lost")) == (1, 1)


def succeeded(database: str) -> set[str]:
    """Return the tasks of which a job has succeeded."""
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT task_name FROM procrastinate_jobs WHERE status = 'succeeded'")
        return {name for (name,) in found}


def test_fastapi(cook: Cook, lose: Lose, sandbox: Sandbox) -> None:
    """An application sweeps beside its requests, pays out once, answers each error as what it is, and ends well."""
    recipe = cook("FastAPI")
    lose(recipe, "po-lost")
    (line,) = recipe.lines
    with recipe.running(line, "--port", "0") as server, httpx.Client(trust_env=False) as client:
        recipe.wait(server, lambda: "running on http" in recipe.log)
        (url,) = re.findall(r"running on (http://[\d.:]+)", recipe.log)
        answers = [client.put(f"{url}/payouts/po-new") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        recipe.wait_for(server, "po-new", "po-lost")
        assert client.post(f"{url}/payouts/po-new/check").json() == {"status": "succeeded"}
        refused = [
            client.put(f"{url}/payouts/po-lost"),  # another order than the lost one
            client.post(f"{url}/payouts/po-nobody/check"),
            client.put(f"{url}/payouts/{'x' * 256}"),
        ]
    assert "Traceback" not in recipe.log
    text = recipe.config.read_text("utf-8")
    recipe.config.write_text(text.replace(sandbox.url, "http://127.0.0.1:9"), "utf-8")  # where nobody listens
    with recipe.running(line, "--port", "0") as server:
        recipe.wait(server, lambda: "running on http" in recipe.log)
        (url,) = re.findall(r"running on (http://[\d.:]+)", recipe.log)
        refused.append(httpx.put(f"{url}/payouts/po-later", trust_env=False))
    assert [409, 404, 422, 503] == [answer.status_code for answer in refused]
    assert all(answer.json()["error"] for answer in refused)
    assert "Traceback" not in recipe.log
    assert (sandbox.accepted("payout", "po-new"), sandbox.accepted("payout", "po-lost")) == (1, 1)


GUNICORN = ("--bind", "127.0.0.1:0", "--no-control-socket"), r"Listening at: (http://[\d.:]+)"
NOTIFIED = {
    "Notifications in FastAPI": ("JSON", ("--port", "0"), r"running on (http://[\d.:]+)"),
    "Notifications in Django": ("form", *GUNICORN),
    "Notifications in Flask": ("GET", *GUNICORN),
}
"""Say of each receiver how it is sent to here, how it is given a free port, and how it says which."""

DJANGO = """
SECRET_KEY = "of a test"
ROOT_URLCONF = "shop.urls"
ALLOWED_HOSTS = ["127.0.0.1"]
MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware"]
"""
URLS = """
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("site", lambda request: HttpResponse("Django"))]
"""


@pytest.mark.parametrize("name", NOTIFIED)
def test_notifications(cook: Cook, lose: Lose, sandbox: Sandbox, name: str) -> None:
    """The provider's notification arrives and settles a payout; the sweep settles one that nobody was told of."""
    recipe = cook(name)
    transport, options, said = NOTIFIED[name]
    sandbox.configure(notification_transport=transport)
    if "Django" in name:
        (recipe.directory / "shop" / "settings.py").write_text(DJANGO, "utf-8")
        (recipe.directory / "shop" / "urls.py").write_text(URLS, "utf-8")
    sweep, serve = recipe.lines
    lose(recipe, "po-lost")
    with recipe.running(serve, *options) as server:
        recipe.wait(server, lambda: re.search(said, recipe.log))
        (url,) = re.findall(said, recipe.log)
        with recipe.hub() as hub:
            endpoint = f"{url}/notifications/{ACCOUNT}"
            order = PayoutOrder(
                order_id="po-told",
                amount=Money("500", "RUB"),
                to=ToCard("4111111111111111"),
                notification_url=endpoint,
            )
            hub.create_payout(ACCOUNT, order)
        recipe.wait_for(server, "po-told")
        answers = [sent.answer for sent in sandbox.notifications("payout", "po-told")]
        assert [200] == [answer for answer in answers if answer is not None]  # None: it did not come in time
        elsewhere = httpx.post(f"{url}/site", trust_env=False)
        forged = httpx.post(f"{url}/notifications/{ACCOUNT}", data={"order_id": "po-told"}, trust_env=False)
    assert (403 if "Django" in name else 404, 400) == (elsewhere.status_code, forged.status_code)
    assert "Traceback" not in recipe.log
    with recipe.running(sweep) as sweeping:
        recipe.wait_for(sweeping, "po-lost")


RETURNED = {
    "The payer comes back to Django": GUNICORN,
    "The payer comes back to FastAPI": (("--port", "0"), r"running on (http://[\d.:]+)"),
}
RETURNING = """
from django.http import HttpResponse
from django.urls import path

from shop import views

orders = path("orders", lambda request: HttpResponse("orders"))
urlpatterns = [path("back", views.back), path("orders/<path:order_id>", views.order), orders]
"""
WSGI = """
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()
"""
PROXY = {
    "Host": "shop.example",
    "X-Forwarded-For": "203.0.113.24",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "shop.example",
    "Via": "1.1 proxy",
}


@pytest.mark.parametrize("name", RETURNED)
def test_returns(cook: Cook, sandbox: Sandbox, name: str) -> None:
    """A payer comes back by the provider's form, through a proxy, and sees the order; without the form, all orders."""
    recipe = cook(name)
    options, said = RETURNED[name]
    if "Django" in name:
        settings = DJANGO.replace("127.0.0.1", "shop.example")
        for file, text in {"settings": settings, "urls": RETURNING, "wsgi": WSGI}.items():
            (recipe.directory / "shop" / f"{file}.py").write_text(text, "utf-8")
    (line,) = recipe.lines
    order = PaymentOrder(
        order_id="in/1?é",
        amount=Money("3000.00", "RUB"),
        method="card",
        presentation="hosted",
        payer=Payer(id="u-881", ip="203.0.113.24"),
        success_url="https://shop.example/back",
    )
    with recipe.running(line, *options) as server, recipe.hub() as hub:
        recipe.wait(server, lambda: re.search(said, recipe.log))
        (url,) = re.findall(said, recipe.log)
        page = hub.create_payment(ACCOUNT, order).redirect_url
        assert page
        with httpx.Client(trust_env=False, base_url=url, headers=PROXY) as browser:
            form = httpx.post(page, data={"choice": "pay"}, trust_env=False).text
            assert 'action="https://shop.example/back"' in form
            fields = {name: html.unescape(text) for name, text in re.findall(r'name="(\w+)" value="([^"]*)"', form)}
            came = browser.post("/back", data=fields, headers={"Origin": sandbox.url})
            seen = [browser.get(came.headers["location"])]
            hub.advance(ACCOUNT, "payment", order.order_id)
            seen.append(browser.get(came.headers["location"]))
            lost = [browser.get("/back"), browser.post("/back", data={**fields, "order_id": "in-2"})]
    assert "/orders/in%2F1%3F%C3%A9" == came.headers["location"]
    assert ["/orders"] * 2 == [each.headers["location"] for each in lost]
    assert [("pending" in each.text, "succeeded" in each.text) for each in seen] == [(True, False), (False, True)]
    assert "Traceback" not in recipe.log


@pytest.mark.parametrize("name", SECTIONS)
def test_a_recipe_hands_no_number_to_a_queue(name: str) -> None:
    """No recipe gives a card number to a task."""
    assert "ToCard" not in SECTIONS[name]
