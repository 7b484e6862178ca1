"""What README and docs show is run, and what they must list is complete."""

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from payhub import Hub, Money, Payer, PayhubError, PaymentOrder, errors, hookspecs
from payhub.accounts.config import JournalSettings, NotificationSettings
from payhub.driver import AccountConfig
from payhub.transport.settings import Transport
from payhub_alikassa import AliKassaPayment, AliKassaPayout, mapping
from payhub_alikassa.config import AliKassaConfig, PaymentServices, PayoutServices
from payhub_alikassa.sandbox import Sandbox
from tests.commands import environment

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (README, *sorted(DOCS.glob("*.md")))

ELSEWHERE = {"sandbox.md", "contributing.md"}
"""Pages whose samples are run by a test of their own: below, and in tests/test_contributing.py."""

DONE_BEFORE = ("make ", "python3 -m venv", ". .venv/", "pip install", "payhub sandbox")
"""Lines of shell samples that the tests' own set-up stands for: installing, and serving until Ctrl-C."""


def write_file(example: Example) -> None:
    """Write a sample that is headed by a file's name, so that later samples can import it."""
    name = example.region.lexemes["arguments"].split('"')[1]
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(example.parsed, "utf-8")


def run_shell(example: Example) -> None:
    """Run the lines of a sample as a person would, with the commands of this environment."""
    lines = [line for line in example.parsed.splitlines() if not line.startswith(DONE_BEFORE)]
    curl = 'curl() { command curl --silent --show-error --fail-with-body "$@"; }'
    here = Path(os.environ["SANDBOX"]).read_text("utf-8")
    script = "\n".join(("set -euo pipefail", curl, *lines)).replace("127.0.0.1:8765", here)
    done = subprocess.run(
        ["bash", "-c", script],
        input="4111111111111111\n",  # typed where a number is asked for
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{example.path}:{example.line}\n{done.stdout}\n{done.stderr}"


def read_toml(example: Example) -> None:
    """Read a piece of configuration."""
    tomllib.loads(example.parsed)


def read_json(example: Example) -> None:
    """Read an answer."""
    json.loads(example.parsed)


def leave(_example: Example) -> None:
    """Leave a drawing or a listing as it is."""


HANDLED = {"bash": run_shell, "sh": run_shell, "toml": read_toml, "json": read_json, "text": leave}


def samples(page: Path) -> Iterator[Example]:
    """Find the samples of a page, in their order."""
    headed = set(re.findall(r'^```(python title="[^"]+")$', page.read_text("utf-8"), re.MULTILINE))
    parsers = [CodeBlockParser(info, write_file) for info in headed]
    parsers += [CodeBlockParser(language, evaluator) for language, evaluator in HANDLED.items()]
    yield from Sybil(parsers=[PythonCodeBlockParser(), *parsers]).parse(page)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the keys of a sandbox once."""
    directory = tmp_path_factory.mktemp("keys")
    with Sandbox(directory):
        return directory


@pytest.fixture
def sandbox(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Work in an empty directory with a running sandbox in `sandbox`, and its payhub.toml here."""
    shutil.copytree(keys, tmp_path / "sandbox")
    (tmp_path / "payhub.toml").symlink_to("sandbox/payhub.toml")
    (tmp_path / "cert").symlink_to("sandbox/cert")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("PAYHUB_CONFIG", raising=False)
    with Sandbox(tmp_path / "sandbox") as sandbox:
        sandbox.configure(payout_delay=0.3)
        (tmp_path / "address").write_text(sandbox.url.removeprefix("http://"), "utf-8")
        monkeypatch.setenv("SANDBOX", str(tmp_path / "address"))
        yield sandbox


@pytest.fixture
def ordered(sandbox: Sandbox) -> None:
    """Have the payment that the sandbox's page steers, and somebody who is told of it."""
    sandbox.configure(notification_endpoints={5: "http://127.0.0.1:8000/notify"})
    order = PaymentOrder(
        order_id="in-1", amount=Money("1500", "RUB"), method="card", payer=Payer(id="u-881", ip="203.0.113.24")
    )
    with Hub.from_file(sandbox.config) as hub:
        hub.create_payment("alikassa-rub", order)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in ELSEWHERE], ids=lambda page: page.name)
@pytest.mark.usefixtures("sandbox")
def test_samples_run(page: Path) -> None:
    """Every sample of a page runs, one after another in one directory, against a real sandbox."""
    for sample in samples(page):
        sample.evaluate()


def test_rule_2_the_loop_of_the_readme_pays_once(sandbox: Sandbox, tmp_path: Path) -> None:
    """Deliver the order four times, to programs side by side; half have for the first account one that is not there."""
    loop = next(sample.parsed for sample in samples(README) if "for account in hub.accounts" in sample.parsed)
    journal = f'[journal]\nurl = "sqlite:///{tmp_path}/shared.db"\nkey = "{"shared" * 8}"\n\n'
    account = "".join(sandbox.config.read_text("utf-8").partition("[accounts.")[1:])
    with Sandbox(tmp_path / "sandbox") as second:
        other = account.replace("alikassa-rub", "other").replace(sandbox.url, second.url)
        gone = account.replace("alikassa-rub", "gone").replace(sandbox.url, "http://127.0.0.1:9")
        for name, first in {"up": account, "down": gone}.items():
            shutil.copytree(sandbox.config.parent, tmp_path / name / "sandbox")
            (tmp_path / name / "sandbox" / "payhub.toml").write_text(journal + first + other, "utf-8")
        run = partial(subprocess.Popen, [sys.executable, "-c", loop], stdout=subprocess.PIPE, text=True)
        for _ in range(2):
            programs = [run(cwd=tmp_path / name, env=environment(PYTHONPATH=str(ROOT))) for name in ("down", "up")]
            said = [program.communicate()[0].splitlines()[-1] for program in programs]
            assert said[0] == said[1]
            assert said[0].endswith(" pending")
        assert sum(each.accepted("payout", "win-18") for each in (sandbox, second)) == 1


@pytest.mark.usefixtures("ordered")
def test_samples_of_the_sandbox_run() -> None:
    """The samples that steer the sandbox run while it has an order to steer."""
    for sample in samples(DOCS / "sandbox.md"):
        sample.evaluate()


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "contributing.md"], ids=lambda page: page.name)
def test_every_sample_is_run(page: Path) -> None:
    """No block of a page stands outside of what is run: each names a language that is handled."""
    fences = re.findall(r"^ *```", page.read_text("utf-8"), re.MULTILINE)
    assert len(list(samples(page))) == len(fences) // 2


def signatures() -> dict[str, str]:
    """Return the exact signature of every hook, as it is written."""
    functions = [node for node in ast.parse(inspect.getsource(hookspecs)).body if isinstance(node, ast.FunctionDef)]
    return {f.name: f"{f.name}({ast.unparse(f.args)}) -> {ast.unparse(f.returns)}" for f in functions if f.returns}


@pytest.mark.parametrize("signature", signatures().values())
def test_every_hook_has_its_heading(signature: str) -> None:
    """A driver's author finds each hook with its exact signature."""
    assert f"### `{signature}`\n" in (DOCS / "drivers.md").read_text("utf-8")


def test_no_heading_without_a_hook() -> None:
    """A hook that is gone is gone from the page."""
    headings = re.findall(r"^### `(payhub_\w+)\(", (DOCS / "drivers.md").read_text("utf-8"), re.MULTILINE)
    assert headings == list(signatures())


CONFIGURATION = (
    Transport,
    JournalSettings,
    NotificationSettings,
    AccountConfig,
    AliKassaConfig,
    PaymentServices,
    PayoutServices,
)


@pytest.mark.parametrize("shape", [*CONFIGURATION, AliKassaPayment, AliKassaPayout], ids=lambda shape: shape.__name__)
def test_every_key_is_explained(shape: type[msgspec.Struct]) -> None:
    """Every key of payhub.toml, and every field that only AliKassa has, has a row, with its default."""
    text = (DOCS / "configuration.md").read_text("utf-8")
    for field in msgspec.structs.fields(shape):
        row = f"| `{field.name}` |"
        if isinstance(field.default, str | float):
            row += f" `{field.default}` |"
        assert field.name == "name" or row in text


def test_every_error_is_explained() -> None:
    """Every error class has a row that says what may be concluded from it."""
    text = (DOCS / "how-it-works.md").read_text("utf-8")
    names = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, PayhubError)]
    assert [name for name in names if f"\n| `{name}` | " not in text] == []


def test_the_tests_that_the_docs_name_exist() -> None:
    """What a page says is shown by a test is shown by a test."""
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    written = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text):
        assert f"def {name}(" in (ROOT / path).read_text("utf-8")
    for prefix in re.findall(r"`(test_rule_\d+_)\*`", text):
        assert f"def {prefix}" in written, f"no test is named {prefix}…"


def rows(kind: str) -> list[str]:
    """Return the rows of one of README's tables of services."""
    text = README.read_text("utf-8")
    table = text.split(f"<!-- {kind}:", 1)[1].split("<!-- end -->", 1)[0]
    return [line for line in table.splitlines() if "`" in line]


def words(required: tuple[str, ...], names: object) -> str:
    """Write the fields that a service needs in the application's words."""
    assert isinstance(names, dict)
    return ", ".join(f"`{names[field]}`" for field in required)


def test_every_payment_service_is_listed() -> None:
    """README lists what the driver knows, in its order."""
    assert rows("payments") == [
        f"| {s.currency} | {s.method} | {s.presentation} | `{s.code}` | {words(s.required, mapping.PAYMENT_FIELDS)} |"
        for s in mapping.PAYMENT_SERVICES
    ]


def test_every_payout_service_is_listed() -> None:
    """README lists what the driver knows, in its order."""
    assert rows("payouts") == [
        f"| {s.currency} | {s.method} | `{s.code}` | {words(s.required, mapping.PAYOUT_FIELDS)} |"
        for s in mapping.PAYOUT_SERVICES
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_make_is_asked_for_is_there(page: Path) -> None:
    """Every `make` command of a page is a target of the Makefile."""
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))
    assert set() == set(re.findall(r"(?m)(?:^|`)make ([a-z-]+)", page.read_text("utf-8"))) - targets


SECURITY = ROOT / "SECURITY.md"


def headings(page: Path) -> set[str]:
    """Return what a link to a heading of a page says."""
    found = re.findall(r"(?m)^#+ (.+)$", page.read_text("utf-8"))
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", [README, SECURITY], ids=lambda page: page.name)
def test_links_from_the_root_lead_somewhere(page: Path) -> None:
    """Every file that README and SECURITY link to is there, and the heading in it."""
    wrong = []
    for path, heading in re.findall(r"\]\((?!https?:)([^)#]+)(?:#([^)]+))?", page.read_text("utf-8")):
        there = (ROOT / path).exists() and (not heading or heading in headings(ROOT / path))
        wrong += [] if there else [f"{path}#{heading}"]
    assert [] == wrong


def test_the_threat_model_is_one_page() -> None:
    """SECURITY.md says who may attack, what holds, what does not, and how to report a fault, on one page."""
    found = SECURITY.read_text("utf-8").splitlines()
    titles = [line for line in found if line.startswith("## ")]
    assert ["## Report a fault", "## What is protected", "## Who is expected to attack, and what holds",
            "## What is not protected against"] == titles  # fmt: skip
    assert len(found) <= 60
