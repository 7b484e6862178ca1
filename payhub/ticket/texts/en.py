"""A ticket's texts in English: "we" are the merchant, "you" the provider's support."""

from payhub.journal import State, Why
from payhub.models import Phase
from payhub.ticket.situations import Doubt, Situation
from payhub.ticket.texts.form import Labels, Phrases, Texts

EN = Texts(
    kinds={
        "payment": {"kind": "payment", "paid": "paid"},
        "payout": {"kind": "payout", "paid": "paid"},
    },
    other_kind={"kind": "{name}", "paid": "paid"},
    situations={
        Situation.SENDING: Phrases(
            "sending began {age} ago, the outcome is not known yet",
            "Nothing yet: our request may still be on its way.",
        ),
        Situation.NOT_SENT: Phrases(
            "nothing was sent to you",
            "No action is needed on this {kind}: our request never reached you. If you had an outage at the time, "
            "or our IP address is not on your allow-list, please let us know.",
        ),
        Situation.REFUSED: Phrases(
            "declined by you",
            "Please tell us exactly what has to be corrected (your answer is quoted here), and confirm that no "
            "{kind} was created.",
        ),
        Situation.UNKNOWN: Phrases(
            "outcome unknown, {doubt}",
            "Please tell us whether you accepted this {kind}, under which id, and what its status is now. Until you "
            "reply we treat it as neither paid nor failed, and we will not send it again.",
        ),
        Situation.NOT_FOUND: Phrases(
            'you answer "not found"',
            "Please look up this {kind} by our create request and your answer to it (below), and tell us whether you "
            'accepted it and what its status is now. To us, "not found" does not prove that no money moved, and we '
            "will not send it again.",
        ),
        Situation.PENDING: Phrases(
            "accepted by you, no final status after {age}",
            "Please tell us what this {kind} is waiting for, and when we can expect its final status.",
        ),
        Situation.OVERDUE: Phrases(
            "still no final status after {age}",
            "Please tell us the final status of this {kind}: none of your answers has given it in all this time.",
        ),
        Situation.MISMATCH: Phrases(
            "your answer does not match our order ({fields})",
            "Please tell us which is correct, our order or your answer (both are below), and what the status of "
            "this {kind} is now. Until then we do not treat it as paid.",
        ),
        Situation.SUCCEEDED: Phrases("succeeded", "Nothing: this is for your information."),
        Situation.SETTLED: Phrases(
            "succeeded, although {doubt}",
            "No action is needed on the money: the outcome of this {kind} is final. Please find out why our create "
            "request did not get the documented answer: without it nobody can tell whether you accepted a {kind}.",
        ),
        Situation.PAID_OTHER: Phrases(
            "{paid} {paid_amount} instead of the {amount} that we ordered",
            "Please confirm that exactly {paid_amount} was {paid}, and tell us why it differs from our order.",
        ),
        Situation.FAILED: Phrases(
            "failed, according to you",
            "Please tell us why this {kind} failed, and confirm that no money has moved and that none will.",
        ),
        Situation.CANCELED: Phrases(
            "canceled, according to you",
            "Please tell us why this {kind} was canceled, and confirm that no money has moved and that none will.",
        ),
        Situation.REVERSED: Phrases(
            "{paid}, then reversed",
            "Please tell us when and why this {kind} was reversed, and whether the whole amount was returned.",
        ),
        Situation.CLOSED_HERE: Phrases(
            "closed on our side as {state}",
            "Please confirm that this {kind} has the same status on your side.",
        ),
        Situation.RETURNED_HERE: Phrases(
            "{paid}, then returned, according to our records",
            "Please confirm that the money of this {kind} came back, and tell us when and why it was returned and "
            "whether the whole amount was.",
        ),
        Situation.DENIED_HERE: Phrases(
            "{state} in our records, but we have information that it was {paid}",
            "Please tell us whether any money moved for this {kind}, when, and what its status is now.",
        ),
        Situation.CONTRADICTED: Phrases(
            "{state} in our records, but you have also reported otherwise",
            "Please tell us which status of this {kind} is correct, and since when. Contradictions are marked below.",
        ),
    },
    doubts={
        Doubt.ERROR: "our create request was answered with HTTP {status}",
        Doubt.CUT: "our create request got no complete answer",
        Doubt.UNREADABLE: "the answer to our create request is not the documented one",
        Doubt.LOST: "our process stopped while it was sending",
        Doubt.UNEXPLAINED: "we have no usable answer to our create request on record",
    },
    states={
        State.SENDING: "being sent",
        State.NOT_SENT: "not sent",
        State.DECLINED: "declined by you",
        State.PENDING: "accepted by you, not final",
        State.UNKNOWN: "unknown",
        State.SUCCEEDED: "succeeded",
        State.FAILED: "failed",
        State.CANCELED: "canceled",
        State.REVERSED: "reversed",
        State.NEEDS_ATTENTION: "unclear",
    },
    phases={
        Phase.NOT_SENT: "not sent",
        Phase.MAYBE_SENT: "may have been sent",
        Phase.ANSWERED: "answered",
    },
    reasons={
        Why.NOT_SENT: "nothing left our server: {words}",
        Why.NO_ANSWER: "no complete answer: {words}",
        Why.UNUSABLE_ANSWER: "{words}",
        Why.UNPROVEN: "the answer does not prove the status {words}",
        Why.TOO_EARLY: "the answer to the create says {words}, which only the status query can prove",
        Why.CONTRADICTS_ORDER: "does not match our order ({fields})",
        Why.NOT_FOUND: "not found, which does not prove that no money moved",
        Why.DRIVER_FAILED: "our integration could not process the answer",
        Why.WRONG_RESULT: "our integration could not process the answer",
        Why.MALFORMED_RESULT: "our integration could not process the answer",
        Why.SENT_TWICE: "our integration stopped rather than send the request twice",
        Why.NOTHING_MOVED: "our integration did not send the request that moves money",
        Why.OVERSLEPT: "our server was suspended for too long, so the request was not sent",
        Why.SENDER_SILENT: "our process did not report the outcome in time",
        Why.SCHEDULE_OVER: "no final status in all the time that we asked for it",
        Why.NOTIFIED_BEFORE: "your notification came before the order was recorded here",
        Why.CONTRADICTED: "what we received does not match what is recorded here",
        Why.OTHER_KEY: "the key of our journal was replaced, so the order cannot be compared",
        Why.OTHER_ACCOUNT: "our integration uses another account of ours now, so it did not ask",
        Why.SHARED_ID: "your answer has the id of another order of ours",
        Why.OTHER_LEG: "your answer is about a later request of ours for the same order",
    },
    methods={
        "card": "card",
        "sbp": "SBP",
        "sberpay": "SberPay",
        "bank_account": "bank account",
        "wallet": "wallet",
        "phone": "phone number",
    },
    mismatches={
        "order_id": "order_id",
        "provider_id": "your id",
        "requested": "amount",
        "currency": "currency",
        "paid": "amount paid",
        "credited": "currency of the amount credited",
        "commission": "currency of the commission",
    },
    labels=Labels(
        order="Order",
        account="our account",
        amount="Amount",
        commission="commission",
        method="Method",
        ending="ending in",
        provider_id="Your id",
        no_provider_id="not known to us",
        sent="Sent",
        not_sent="no",
        started="not known; sending began {at}, and whether the request left our server is not on record",
        answer="Answer to our create request",
        state="Our status now",
        provider_status="your status",
        since="since",
        ask="What we need from you",
        timeline="Timeline (UTC)",
        nothing_kept="Requests and answers were not kept, or have been deleted since.",
        nothing_yet="No request is on record: each is recorded together with its result, and for our create request "
        "there is none.",
        no_answer="no complete answer",
        nothing_left="nothing left our server",
        same_again="the same answer came {times} more, last at {last}",
        notification="your notification",
        received="received {times}, last at {last}",
        contradicts="CONTRADICTS our records",
        provider_answer="your answer",
        exchanges="Requests and answers",
        notifications="Notifications",
        attempt="attempt",
        duration="duration",
        size="bytes sent / received",
        provider_clock="your clock (Date)",
        signed_with="signed with",
        software="software",
        context="bound by our application (internal)",
        manifest="About this ticket",
        masks="Masks",
        internal="INTERNAL: not for the provider",
        history="What happened on our side (internal)",
        yes="yes",
    ),
    manifest={
        "version": "Version of the ticket format",
        "internal": "Internal",
        "made_at": "Made",
        "made_with": "Made with",
        "software": "Software that made the requests",
        "method": "Method",
        "amount": "Amount",
        "paid": "Amount paid",
        "credited": "Balance amount reported by you",
        "commission": "Commission",
        "provider_status": "Your status",
        "sent": "Attempts to send",
        "created_at": "Order recorded",
        "changed_at": "Status changed",
        "exchanges": "Requests on record",
        "notifications": "Notifications on record",
        "first_at": "First entry",
        "last_at": "Last entry",
    },
    masks={
        "[hidden]": "a value that is not shown; in a URL, its query",
        "411111******1111": "a card, account or other long number: the first six and the last four characters are real",
        "7******2233": "a phone number: the first digit and the last four are real",
        "*******2233": "a number of 9 to 12 characters, or a phone number within a text: the last four are real",
        "*****": "stars alone, however many: a number of fewer than 9 characters, or a further word of a name; only "
        "the length is real",
        "I*** P*****": "a name: the first letters are real",
        "i***@shop.example": "an e-mail address: the first character and the domain are real",
        "203.0.*.*": "an IP address: the first two groups are real",
        "1999-**-**": "a date of birth: only the year is real",
        "[not JSON, 120 bytes]": "a body that is not JSON, and its size; its beginning follows, masked",
        "[9000 characters]": "the length of a text of which only the beginning is shown, before this",
    },
    statement="Values were masked before they were stored. A field is shown only if our integration lists it as one "
    "that may be shown; card numbers are truncated to the first six and last four digits everywhere. Keys, passwords "
    "and signatures are never stored.",
    units=("d", "h", "min", "s"),
    times=lambda count: {1: "once", 2: "twice"}.get(count, f"{count} times"),
)
