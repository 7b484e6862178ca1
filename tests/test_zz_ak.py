import json, pytest, tomllib
from payhub.testing import answer
from payhub.testing.conformance import CHECKS, Subject
from tests.alikassa import orders
import payhub_alikassa.plugin as plugin
from payhub_alikassa.sandbox import directory

STATE = {"payment_status": "wait", "id": 7, "order_id": None, "amount": "10.000000000", "currency": "RUB"}
def provider(call):
    asked = json.loads(call.body)
    if call.operation == "fetch_balance": return answer({"balance_available": "1.00","balance": "1.00", "currency": "RUB", "hold": ""})
    if call.operation == "fetch_account_info": return answer({"is_payment": True, "is_payout": True, "services": [], "payment_services": [], "payout_services": []})
    if call.operation == "list_payments": return answer({"data": [], "links": {"next": None}, "meta": {}})
    s = dict(STATE)
    for k in ("order_id", "amount", "id"):
        if k in asked: s[k] = asked[k]
    return answer(s)

@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    d = tmp_path_factory.mktemp("ak"); p = directory.write_directory(d, 1)
    table = tomllib.loads(p.read_text())["accounts"]["alikassa-rub"]
    secrets = tuple((d/"cert"/r/"password.txt").read_text() for r in ("payment","payout"))
    return Subject(plugin=plugin, config=table, base=d, answer=provider, secrets=secrets,
        payments=(orders.payment(),),
        payouts=tuple(orders.payout(to, order_id=f"po-{i}") for i, to in enumerate((orders.TO_CARD, orders.TO_PHONE, orders.TO_BANK_ACCOUNT, orders.TO_WALLET))))

@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_ak(check, subject):
    check.run(subject)
