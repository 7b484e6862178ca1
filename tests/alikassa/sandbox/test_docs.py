"""What the documentation says of the sandbox is what the sandbox does."""

import re
from pathlib import Path

import msgspec
import pytest

from payhub_alikassa.sandbox import Sandbox, Settings
from payhub_alikassa.sandbox.delivery import Attempt
from payhub_alikassa.sandbox.faults import AnyFault, Fault
from payhub_alikassa.sandbox.notification_faults import NotificationFault

from .merchant import HOSTED, Merchant
from .receiver import Receiver

PAGE = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text("utf-8")
CURL = re.compile(r"curl (?:-X (\w+) )?http://127\.0\.0\.1:8765(/\S+)(?: \\\n  --json '([^']+)')?")
EXAMPLES = [(method or ("POST" if body else "GET"), path, body) for method, path, body in CURL.findall(PAGE)]


@pytest.mark.parametrize(("method", "path", "body"), EXAMPLES, ids=repr)
def test_every_curl_example_works(
    sandbox: Sandbox, merchant: Merchant, receiver: Receiver, method: str, path: str, body: str
) -> None:
    """As it stands there, with an order that has an endpoint."""
    merchant.ask("payment", {**HOSTED, "notification_endpoint_url": receiver.url})
    body = body.replace("http://127.0.0.1:8000/notify", receiver.url)
    headers = {"content-type": "application/json"} if body else {}
    response = merchant.client.request(method, path, content=body.encode(), headers=headers)
    assert response.status_code == 200


def test_every_control_path_has_an_example(sandbox: Sandbox) -> None:
    """All eight of them."""
    assert sorted((method, path) for method, path, _ in EXAMPLES) == [
        ("DELETE", "/sandbox/faults"),
        ("GET", "/sandbox/ledger"),
        ("GET", "/sandbox/notifications"),
        ("POST", "/sandbox/faults"),
        ("POST", "/sandbox/faults"),
        ("POST", "/sandbox/notify"),
        ("POST", "/sandbox/reset"),
        ("POST", "/sandbox/settings"),
        ("POST", "/sandbox/settle"),
    ]


@pytest.mark.parametrize("fault", AnyFault.__args__, ids=lambda fault: fault.__name__)
def test_every_fault_and_its_options_are_documented(fault: type[msgspec.Struct]) -> None:
    """In one row, with the options that only it has."""
    tag = fault.__struct_config__.tag
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{tag}` |"))
    common = next((each for each in (Fault, NotificationFault) if issubclass(fault, each)), msgspec.Struct)
    for option in set(fault.__struct_fields__) - set(getattr(common, "__struct_fields__", ())):
        assert f"`{option}`" in row


@pytest.mark.parametrize("setting", Settings.__struct_fields__)
def test_every_setting_is_documented(setting: str) -> None:
    """In the settings' table."""
    table = PAGE.partition("| setting |")[2].partition("\n\n")[0]
    assert f"`{setting}`" in table


@pytest.mark.parametrize("field", Attempt.__struct_fields__)
def test_every_field_of_what_was_sent_is_shown(field: str) -> None:
    """In the example of the list."""
    assert f'"{field}":' in PAGE.partition("/sandbox/notifications\n")[2]
