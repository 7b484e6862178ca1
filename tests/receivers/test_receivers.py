"""A receiver verifies and keeps a notification, answers, and asks the provider then; in every way of serving it."""

import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import msgspec
import pytest
from structlog.testing import capture_logs

from payhub import Delivery, Status
from payhub.errors import JournalFailed
from payhub.journal import State
from payhub.journal.sql import SqlJournal
from payhub.models import LONGEST_DELIVERY
from payhub.receivers import answers
from payhub.testing import fake

from .conftest import PATIENCE, SECRET, Answered, Receiver, Serve, created, done, eventually, genuine

CARD = "4111111111111111"


class Stall:
    """A provider that answers only when the test lets it."""

    def __init__(self, answered: bytes) -> None:
        self.answered = answered
        self.asked = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        self.asked.release()
        self.go.wait(PATIENCE)
        connection.sendall(self.answered)

    def wait(self) -> None:
        """Wait until the provider is asked."""
        assert self.asked.acquire(timeout=PATIENCE)


def forged() -> Delivery:
    """Give a notification whose signature is another account's."""
    return fake.signed_notification("another secret", order_id="in-1", amount=fake.money("3000", "RUB"))


def test_a_notification_is_kept_answered_and_asked_about(serve: Serve) -> None:
    """The answer is 200 OK, the journal has it by then, and the provider's own word settles the order."""
    receiver = serve()
    receiver.pay()
    answered = receiver.send(genuine())
    (kept,) = receiver.kept()
    assert (200, b"OK", "text/plain; charset=utf-8", "2") == (
        answered.status, answered.body, answered.headers["content-type"], answered.headers["content-length"]
    )  # fmt: skip
    assert ("shop", "payment", "in-1", 1) == (*kept.content.key, kept.times)
    eventually(lambda: receiver.state() is State.SUCCEEDED)
    assert 1 == receiver.asked()


def test_only_the_answer_changes_the_order(serve: Serve) -> None:
    """A genuine notification that the provider does not confirm changes nothing."""
    receiver = serve(created())
    receiver.pay()
    assert 200 == receiver.send(genuine()).status
    eventually(lambda: receiver.asked() == 1)
    assert State.PENDING is receiver.state()


def test_an_order_that_nobody_knows_is_no_reason_to_refuse(serve: Serve) -> None:
    """It is kept and answered like any other, and the provider is not asked."""
    receiver = serve()
    assert (200, 200) == (receiver.send(genuine()).status, receiver.send(genuine()).status)
    (kept,) = receiver.kept()
    assert (2, 0) == (kept.times, receiver.asked())


def test_what_comes_is_handed_on_untouched(serve: Serve) -> None:
    """The driver gets the raw bytes of query and body, header names in lower case, and no header is dropped."""
    receiver = serve()
    query, body = b"a=%zz&b=+&b=%D0%9F&c=%00", bytes(range(256))
    request = (
        b"POST /in/shop?" + query + b" HTTP/1.1\r\nHost: shop.example\r\nX-Signature: one\r\nx-signature: two\r\n"
        b"X-Odd: \xff\r\nContent-Type: application/odd\r\nContent-Length: 256\r\nConnection: close\r\n\r\n" + body
    )
    assert 400 == raw(receiver.connect(), request).status
    (delivery,) = receiver.seen.deliveries
    assert ("POST", "/in/shop", query, body) == (delivery.method, delivery.path, delivery.query, delivery.body)
    assert {name: delivery.headers[name] for name in ("host", "x-odd", "content-type", "content-length")} == {
        "host": "shop.example", "x-odd": "\xff", "content-type": "application/odd", "content-length": "256"
    }  # fmt: skip
    assert ["one", "two"] == [value.strip() for value in delivery.headers["x-signature"].split(",")]
    assert all(name == name.lower() for name in delivery.headers)


def raw(connection: socket.socket, request: bytes) -> Answered:
    """Send bytes, and read an answer."""
    with connection:
        connection.sendall(request)
        return answer_on(connection)


def answer_on(connection: socket.socket) -> Answered:
    """Read an answer."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answered(response.status, headers, response.read())


def test_get_and_post(serve: Serve) -> None:
    """Both methods are taken; a query is the driver's matter as a body is."""
    receiver = serve()
    assert 400 == receiver.send(Delivery(method="GET", query=b"order_id=in-1")).status
    assert 200 == receiver.send(msgspec.structs.replace(genuine(), method="GET")).status
    assert [("GET", b"order_id=in-1"), ("GET", b"")] == [(d.method, d.query) for d in receiver.seen.deliveries]


# Refusing


def test_refusals_are_alike(serve: Serve) -> None:
    """A wrong signature, an account that there is not, none at all, and one without notifications: one answer."""
    receiver = serve()
    refused = [receiver.send(forged())]
    others = ("elsewhere", "", "deaf", "shop/x", "Shop", "shop%00", "%ff", "shop;x", "*", "a" * 9000)
    refused += [receiver.send(genuine(), account) for account in others]
    refused += [receiver.send(Delivery(method="POST", body=body)) for body in (b"", b"{}", b"\xff")]
    same = [(each.status, each.body, {**each.headers, "date": ""}) for each in refused]
    assert 400 == refused[0].status
    assert [] == [each for each in same if each != same[0]]
    assert () == receiver.kept()


@pytest.mark.parametrize("account", ["shop/", "/shop", "//shop/"])
def test_a_slash_too_many_names_no_other_account(serve: Serve, account: str) -> None:
    """People give a provider addresses with a slash at the end, or with two before the account's name."""
    receiver = serve()
    assert (200, 1) == (receiver.send(genuine(), account).status, len(receiver.kept()))


def test_an_account_is_not_looked_for(serve: Serve) -> None:
    """Only the account that the address names is asked whether it is its notification."""
    receiver = serve()
    assert 400 == receiver.send(genuine(), "other").status
    assert [] == receiver.seen.deliveries


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(serve: Serve, method: str) -> None:
    """GET and POST only, and HEAD is not GET."""
    receiver = serve()
    answered = receiver.send(msgspec.structs.replace(genuine(), method=method))
    assert (405, "GET, POST", method == "HEAD") == (answered.status, answered.headers["allow"], answered.body == b"")
    assert ((), []) == (receiver.kept(), receiver.seen.deliveries)


def test_a_body_of_64_KiB_is_taken(serve: Serve) -> None:  # noqa: N802 - the unit
    """The longest body that a driver reads arrives whole."""
    receiver = serve()
    body = genuine().body.ljust(LONGEST_DELIVERY)
    delivery = Delivery(method="POST", headers={"X-Signature": fake.sign(SECRET, body)}, body=body)
    assert 200 == receiver.send(delivery).status


def test_a_longer_body_is_refused_by_its_announcement(serve: Serve) -> None:
    """413, before a byte of it has come."""
    request = b"POST /in/shop HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % (LONGEST_DELIVERY + 1)
    receiver = serve()
    assert 413 == raw(receiver.connect(), request).status
    assert [] == receiver.seen.deliveries


@pytest.mark.parametrize("lines", [[b"X-%d: y" % n for n in range(answers.MOST_HEADERS)], [b"x: " + b"y" * 16300]])
def test_too_many_headers_are_refused(serve: Serve, lines: list[bytes]) -> None:
    """More than a hundred lines, or 16 KiB of them, are refused whatever they say, and in all servers alike."""
    receiver = serve()
    whole = genuine()
    head = b"POST /in/shop HTTP/1.1\r\nHost: shop.example\r\nX-Signature: %b\r\nContent-Length: %d\r\n%b\r\n\r\n"
    signature = whole.headers["x-signature"].encode()
    sent = [
        head % (signature, len(whole.body), b"\r\n".join(each)) for each in (lines, [each[:90] for each in lines[:90]])
    ]
    answered = [raw(receiver.connect(), each + whole.body).status for each in sent]
    assert ([True, False], 200) == ([each in {400, 431} for each in answered], answered[1])
    assert 1 == len(receiver.seen.deliveries)


# Failing


@pytest.mark.parametrize("cause", [JournalFailed("the disk is full"), RuntimeError(f"{SECRET} {CARD}")])
def test_what_could_not_be_kept_is_to_be_sent_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, cause: Exception
) -> None:
    """503, one log event without a secret; the same notification is taken when it can be."""
    receiver = serve()
    notice = SqlJournal.keep_notification

    def fails(*_: object, **__: object) -> None:
        raise cause

    monkeypatch.setattr(SqlJournal, "keep_notification", fails)
    with capture_logs() as logs:
        answered = receiver.send(genuine())
    assert (503, b"cannot be accepted now, send it again") == (answered.status, answered.body)
    (event,) = [each for each in logs if each["event"] == "payhub.notification_failed"]
    assert ("error", "shop", type(cause).__name__) == (event["log_level"], event["account"], event["error"])
    assert SECRET not in str(logs)
    assert CARD not in str(logs)
    monkeypatch.setattr(SqlJournal, "keep_notification", notice)
    assert 200 == receiver.send(genuine()).status
    assert 1 == len(receiver.kept())


def test_an_account_that_is_set_up_wrongly_is_our_fault(serve: Serve) -> None:
    """Without the key nothing can be verified, and nothing must be lost: 503, and the log says what is missing."""
    receiver = serve()
    with capture_logs() as logs:
        answered = receiver.send(genuine(), "keyless")
    (event,) = logs
    assert (503, "error") == (answered.status, event["log_level"])
    assert ("keyless", "ConfigurationError", "accounts.keyless: notifications need secret") == (
        event["account"], event["error"], event["reason"]
    )  # fmt: skip


def test_refusals_are_logged(serve: Serve) -> None:
    """A warning where a key or the address that was given may be wrong; a stranger's words are not logged."""
    receiver = serve()
    with capture_logs() as logs:
        receiver.send(forged())
        receiver.send(genuine(), CARD)
        receiver.send(Delivery(method="PUT"))
    event = {"event": "payhub.notification_refused"}
    assert [
        {**event, "log_level": "warning", "account": "shop", "status": 400, "error": "BadNotification", "times": 1},
        {**event, "log_level": "warning", "account": None, "status": 400, "error": "UnknownAccount", "times": 1},
        {**event, "log_level": "info", "account": "shop", "status": 405, "times": 1},
    ] == logs


def test_a_flood_does_not_fill_the_log(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line a minute for an account and a reason, with a count; what was counted is written with what comes next."""
    clock = SimpleNamespace(monotonic=lambda: 1000.0)
    monkeypatch.setattr(answers, "time", clock)
    receiver = serve()
    with capture_logs() as logs:
        for _ in range(10):
            receiver.send(forged())
            receiver.send(genuine(), CARD)
            receiver.send(genuine(), "keyless")
        clock.monotonic = lambda: 1000.0 + answers.LOG_PAUSE
        receiver.send(forged())
    said = [(each["event"].rpartition("_")[2], each["account"], each["times"]) for each in logs]
    first = [("refused", "shop", 1), ("refused", None, 1), ("failed", "keyless", 1)]
    assert [*first, ("refused", "shop", 10), ("refused", None, 9), ("failed", "keyless", 9)] == said


# Asking


def test_the_answer_comes_before_the_question(serve: Serve) -> None:
    """A provider that is slow to say how the order is does not delay the answer to its notification."""
    stall = Stall(done())
    receiver = serve(stall)
    receiver.pay()
    assert 200 == receiver.send(genuine()).status
    stall.wait()
    assert 200 == receiver.send(genuine()).status
    assert State.PENDING is receiver.state()
    stall.go.set()
    eventually(lambda: receiver.state() is State.SUCCEEDED)


def test_so_many_questions_at_once_and_no_more(serve: Serve) -> None:
    """The others are left to the sweep, which finds their orders due."""
    stall = Stall(done())
    receiver = serve(stall, done(), questions=1)
    receiver.pay("in-2")
    receiver.pay("in-1")
    assert 200 == receiver.send(genuine("in-1")).status
    stall.wait()
    assert 200 == receiver.send(genuine("in-2")).status
    assert 200 == receiver.send(genuine("in-2")).status
    assert 1 == receiver.asked()
    stall.go.set()
    eventually(lambda: receiver.state("in-1") is State.SUCCEEDED)
    assert (1, State.PENDING, True) == (receiver.asked(), receiver.state("in-2"), due(receiver, "in-2"))
    eventually(lambda: asked_again(receiver, "in-2", 2))


def asked_again(receiver: Receiver, order_id: str, count: int) -> bool:
    """Send something new about an order; tell whether there was room to ask by now."""
    assert 200 == receiver.send(genuine(order_id, provider_id=f"{time.monotonic_ns()}")).status
    return receiver.asked() >= count


def due(receiver: Receiver, order_id: str) -> bool:
    (record,) = receiver.hub.journal.story(order_id)[0]
    return record.due_at is not None and record.notified


def test_all_questions_may_be_left_to_the_sweep(serve: Serve) -> None:
    """Then a receiver only keeps and answers, and the next sweep asks, however soon it comes."""
    receiver = serve(ask=False)
    receiver.pay()
    assert 200 == receiver.send(genuine()).status
    assert (0, True) == (receiver.asked(), due(receiver, "in-1"))
    assert [Status.SUCCEEDED] == [found.status for found in receiver.hub.sweep()]
    assert 1 == receiver.asked()


def test_a_question_that_fails_is_logged(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notification is answered all the same, and the receiver goes on; the sweep asks again."""
    receiver = serve(done(), questions=1)
    receiver.pay()

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError(f"{SECRET} {CARD}")

    monkeypatch.setattr(SqlJournal, "find", fails)
    with capture_logs() as logs:
        assert 200 == receiver.send(genuine()).status
        eventually(lambda: any(each["event"] == "payhub.question_failed" for each in logs))
    (event,) = [each for each in logs if each["event"] == "payhub.question_failed"]
    assert ("error", "shop", "payment", "RuntimeError") == tuple(
        event[name] for name in ("log_level", "account", "kind", "error")
    )
    assert SECRET not in str(logs)
    assert CARD not in str(logs)
    monkeypatch.undo()
    eventually(lambda: asked_again(receiver, "in-1", 1))
    eventually(lambda: receiver.state() is State.SUCCEEDED)


# Senders


def test_a_sender_that_leaves_early_is_no_trouble(serve: Serve) -> None:
    """What did not come whole is not kept, what did is; and the next sender is served."""
    receiver = serve()
    whole = genuine()
    head = b"POST /in/shop HTTP/1.1\r\nHost: here\r\nX-Signature: %b\r\nContent-Length: %d\r\n\r\n"
    request = head % (whole.headers["x-signature"].encode(), len(whole.body)) + whole.body
    with capture_logs() as logs:
        with receiver.connect() as half:
            half.sendall(request[:-1])
        with receiver.connect() as deaf:
            deaf.sendall(request)
        eventually(lambda: len(receiver.kept()) == 1)
        assert 200 == receiver.send(whole).status
    assert [] == [each for each in logs if each["log_level"] == "error"]
    (kept,) = receiver.kept()
    assert 2 == kept.times


def test_many_senders_at_once_lose_none(serve: Serve) -> None:
    """Of 200 connections at once each is answered 200 twice, and the journal has all 400 notifications."""
    receiver = serve()
    ready = threading.Barrier(200)

    def sender(number: int) -> list[int]:
        connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=PATIENCE)
        ready.wait(PATIENCE)
        sent = [receiver.send(genuine(f"in-{number}-{turn}"), on=connection).status for turn in range(2)]
        connection.close()
        return sent

    with ThreadPoolExecutor(200) as pool:
        statuses = [status for sent in pool.map(sender, range(200)) for status in sent]
    assert [200] * 400 == statuses
    assert 400 == len({each.content.order_id for each in receiver.kept()})


def test_many_repeats_at_once_are_one_notification(serve: Serve) -> None:
    """However often it is sent, it is kept once and asked about once in a window."""
    receiver = serve(created())
    receiver.pay()
    with ThreadPoolExecutor(20) as pool:
        assert {200} == {answered.status for answered in pool.map(receiver.send, [genuine()] * 100)}
    eventually(lambda: receiver.asked() == 1)
    (kept,) = receiver.kept()
    assert (100, 1) == (kept.times, receiver.asked())
