"""Show the payer a page with what is to be paid, a button to pay and one to cancel, and send the payer back.

The way to the success page is a signed form: https://doc-merchant.alikassa.com/payment/check/sign.
Of the fail page only the address is documented, so the way there is a plain redirect.
"""

import hashlib
from base64 import b64encode
from html import escape
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from payhub_alikassa.sandbox.books import Books
from payhub_alikassa.sandbox.notifications import add_signature, return_fields
from payhub_alikassa.sandbox.php import php_json
from payhub_alikassa.sandbox.records import Outcome, Record
from payhub_alikassa.sandbox.services import PAYMENT_SERVICES
from payhub_alikassa.sandbox.signatures import Signer

_SHELL = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 4rem auto; }}
dt {{ color: #555; }} dd {{ margin: 0 0 .75rem; font-size: 1.15rem; overflow-wrap: anywhere; }}
button {{ font: inherit; padding: .6rem 1.4rem; margin-right: .5rem; }}
small {{ color: #555; }}
</style>
</head>
<body>
<h1>{title}</h1>
<dl>
<dt>Amount</dt><dd>{amount} {currency}</dd>
<dt>Order</dt><dd>{order}</dd>
<dt>Description</dt><dd>{description}</dd>
</dl>
{rest}
<p><small>Sandbox: a simulation, no money moves.</small></p>
</body>
</html>
"""

_BUTTONS = """<form method="post">
<button name="choice" value="pay">Pay</button>
<button name="choice" value="cancel">Cancel</button>
</form>"""

_SUBMIT = "document.forms[0].submit()"
_RETURN = f"""<form method="post" action="{{address}}">
{{fields}}
<button>Back to the shop</button>
</form>
<script>{_SUBMIT}</script>"""
_HIDDEN = '<input type="hidden" name="{name}" value="{value}">'

_CHOICES = {"pay": Outcome("paid"), "cancel": Outcome("cancel")}
_TITLES = {
    "wait": "Payment",
    "paid": "The payment is paid",
    "cancel": "The payment is canceled",
    "fail": "The payment failed",
}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_ALLOW_SUBMIT = f"; script-src 'sha256-{b64encode(hashlib.sha256(_SUBMIT.encode()).digest()).decode()}'"


class PaymentPage:
    """The page `/pay/{uuid}`, served from one set of books."""

    def __init__(self, books: Books, signer: Signer) -> None:
        """Show the payments of these books, and sign for the payers who return."""
        self._books = books
        self._signer = signer

    def route(self) -> Route:
        """Return the page's path."""
        return Route("/pay/{uuid}", self._serve, methods=["GET", "POST"])

    async def _serve(self, request: Request) -> Response:
        record = self._books.by_uuid(request.path_params["uuid"])
        if record is None or PAYMENT_SERVICES[record.service].page != "address":
            return Response(php_json({"message": "Not found"}), 404, media_type="application/json")
        if request.method != "POST":
            return self._show(record)
        form = parse_qs((await request.body()).decode(errors="replace"))
        choice = form.get("choice", [""])[0]
        if record.status == "wait" and choice in _CHOICES:
            record = self._books.settle(record, _CHOICES[choice])
        return self._leave(record)

    def _leave(self, record: Record) -> Response:
        """Send the payer back to the merchant, or show the result where no address was given."""
        name = "success_redirect_url" if record.status == "paid" else "fail_redirect_url"
        address = str(record.fields.get(name) or "")
        if record.status == "wait" or urlsplit(address).scheme not in {"http", "https"}:
            return self._show(record)
        if record.status != "paid":
            return RedirectResponse(address, 303)
        message = add_signature(return_fields(record), self._signer)
        fields = (_HIDDEN.format(name=name, value=escape(str(value))) for name, value in message.items())
        form = _RETURN.format(address=escape(address), fields="\n".join(fields))
        return self._page(record, form, _POLICY + _ALLOW_SUBMIT)

    def _show(self, record: Record) -> Response:
        return self._page(record, _BUTTONS if record.status == "wait" else "", _POLICY)

    def _page(self, record: Record, rest: str, policy: str) -> Response:
        html = _SHELL.format(
            title=_TITLES[record.status],
            amount=f"{record.amount:.2f}",
            currency=escape(self._books.account.currency),
            order=escape(record.order_id),
            description=escape(str(record.fields.get("desc") or "-")),
            rest=rest,
        )
        return HTMLResponse(html, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})
