"""Carry plans out: the only place where bytes leave this machine.

Two runners, one for threads and one for event loops, share every rule: TLS is verified, an answer
has a size and a deadline. They drive httpx's pooled transports and not its clients, so that there
is nothing to follow a redirect, keep a cookie or take a proxy from the environment. How far a call
got is observed on the connection itself, not guessed from the error.

Whoever is interrupted leaves nothing open that is known: what was not sent is written down as not sent.
In an event loop a plan has a task of its own, so that a caller that is cancelled takes no answer along:
nothing leaves any more, and what has left is waited for and written down.
"""

import contextlib
import functools
import math
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec
import tenacity

from payhub.driver import Call, insecure
from payhub.exchanges import events, record
from payhub.exchanges.events import Observer
from payhub.exchanges.reply import Reply
from payhub.journal import Journal
from payhub.journal.memory import MemoryJournal
from payhub.masking import HiddenBytes
from payhub.models import Exchange, Phase
from payhub.plans.plan import Act, Pause, Plan, Send
from payhub.transport import quiet
from payhub.transport.connection import NO_SLOT, CallerGone, CallTrace, build_request, timeouts
from payhub.transport.deadline import DeadlineTransport, call_deadline
from payhub.transport.pool import AsyncTransport, Pools
from payhub.transport.settings import Transport
from payhub.transport.signals import is_from_signal
from payhub.transport.tasks import spawn

T = TypeVar("T")
Pool = TypeVar("Pool")


def _is_worth_repeating(reply: Reply) -> bool:
    if reply.response is None:
        return reply.phase is Phase.NOT_SENT
    return reply.response.status >= 500  # noqa: PLR2004


def _retry_reads(deadline: float, gone: Callable[[], bool] = lambda: False) -> dict[str, Any]:
    """Return when tenacity repeats a read: not sent or 5xx, with growing jittered pauses, within the deadline.

    For a caller that has `gone` nothing is repeated.
    """
    return {
        "retry": tenacity.retry_if_result(lambda reply: not gone() and _is_worth_repeating(reply)),
        "wait": tenacity.wait_exponential(multiplier=0.2, max=5.0) + tenacity.wait_random(0, 0.2),
        "stop": tenacity.stop_before_delay(deadline) | tenacity.stop_after_attempt(4),
        "retry_error_callback": lambda state: state.outcome.result(),
    }


def _rate_limit_problem(wait: float | None, deadline: float) -> str | None:
    """Return why a call must not leave after its wait: it got no slot, or no time is left."""
    in_time = wait is not None and time.monotonic() < deadline
    return None if in_time else "the account's rate limit left no room within the time allowed"


class _Runner(Generic[Pool]):
    """The part that both runners share: the pools of connections, the time allowed, the journal, the observers."""

    def __init__(
        self, transport: Transport, observers: Iterable[Observer] = (), journal: Journal | None = None
    ) -> None:
        """Keep what the calls need; nothing is connected yet."""
        self._pools = Pools(self._open_pool, transport)
        self._transport = transport
        self._timeout = timeouts(transport)
        self._observers = tuple(observers)
        self._journal = journal or MemoryJournal()
        quiet.install()

    def _open_pool(self, context: ssl.SSLContext, proxy: str | None) -> Pool:
        raise NotImplementedError

    def _reserve_slot(self, account: str, rate: float, deadline: float) -> float | None:
        """Reserve the instant at which a call may leave under the account's rate limit; return how far it is."""
        return self._journal.reserve_slot(account, 1 / rate, deadline - time.monotonic())

    def _publish(self, plan: Plan[Any], call: Call, reply: Reply, trace: CallTrace) -> Reply:
        """Log what happened, and add it to the reply; a log that fails must not change what happens to money."""
        with contextlib.suppress(Exception):
            exchange = record.describe(
                call,
                reply,
                account=plan.account,
                provider=plan.provider,
                software=plan.software,
                started_at=trace.started_at,
                duration=trace.duration(),
            )
            events.publish(exchange, self._observers)
            return msgspec.structs.replace(reply, exchanges=(exchange,))
        return reply


def _left_open(step: Send | Act | Pause) -> Reply:
    """Return what becomes of a step of a plan whose caller is going: nothing is sent, and nothing waited for."""
    if isinstance(step, Pause):
        raise CallerGone
    return Reply(phase=Phase.NOT_SENT, problem=str(CallerGone()))


class Runner(_Runner[DeadlineTransport]):
    """A runner for threads: it carries plans out in the calling thread, over one pool of connections."""

    def _open_pool(self, context: ssl.SSLContext, proxy: str | None) -> DeadlineTransport:
        return DeadlineTransport(context, proxy)

    def run(self, plan: Plan[T]) -> T:
        """Carry a plan to its end and return what it ends with."""
        return self._go_on(plan, None)

    def _go_on(self, plan: Plan[T], done: object, *, going: bool = False) -> T:
        """Go on with a plan that waits for what became of its step; if its caller is `going`, only write down."""
        try:
            step = plan.steps.send(done)
            while True:
                try:
                    done = _left_open(step) if going and not isinstance(step, Act) else self._carry_out(plan, step)
                except Exception as cause:
                    # An order that moves money is answered, whatever interrupts; a question is not worth more than
                    # what a signal's handler has to say.
                    if isinstance(step, Send) and not step.call.moves_money and is_from_signal(cause):
                        raise
                    step = plan.steps.throw(cause)
                else:
                    step = plan.steps.send(done)
        except StopIteration as ended:
            result: T = ended.value
            return result

    def _carry_out(self, plan: Plan[Any], step: Send | Act | Pause) -> object:
        match step:
            case Send():
                return self._send(plan, step)
            case Pause():
                time.sleep(step.seconds)
                return None
            case Act():
                return step.perform(self._journal)

    def _send(self, plan: Plan[Any], send: Send) -> Reply:
        deadline = time.monotonic() + self._transport.deadline
        if send.call.moves_money:
            return self._try_once(plan, send, deadline)
        exchanges: list[Exchange] = []

        def attempt() -> Reply:
            reply = self._try_once(plan, send, deadline)
            exchanges.extend(reply.exchanges)
            return reply

        reply = tenacity.Retrying(**_retry_reads(self._transport.deadline))(attempt)
        return msgspec.structs.replace(reply, exchanges=tuple(exchanges))

    def _try_once(self, plan: Plan[Any], send: Send, deadline: float) -> Reply:
        call, trace = send.call, CallTrace(send.until)
        token = call_deadline.set(deadline)
        try:
            with quiet.during_call():
                reply = self._exchange(plan, call, trace, deadline)
        except BaseException as cause:
            reply = self._publish(plan, call, trace.fail(cause), trace)
            if not isinstance(cause, Exception):  # the program is told to stop
                with contextlib.suppress(Exception):
                    self._go_on(plan, reply, going=True)
            raise
        finally:
            call_deadline.reset(token)
        return self._publish(plan, call, reply, trace)

    def _exchange(self, plan: Plan[Any], call: Call, trace: CallTrace, deadline: float) -> Reply:
        try:
            if problem := insecure(call.url) or self._wait_for_rate(plan, deadline):
                return Reply(phase=Phase.NOT_SENT, problem=problem)
            pool = self._pools.current()
            if not pool.slots.acquire(timeout=max(0, min(self._timeout["pool"], deadline - time.monotonic()))):
                return Reply(phase=Phase.NOT_SENT, problem=NO_SLOT)
            try:
                request = build_request(call, trace.observe, self._timeout)
                trace.hand_over()
                response = pool.handle_request(request)
                try:
                    trace.take_head(response)
                    for chunk in map(HiddenBytes, response.iter_raw()):
                        trace.take_chunk(chunk)
                    return trace.finish()
                finally:
                    response.close()
            finally:
                pool.slots.release()
        except Exception as cause:  # whatever fails here, the phase says what it means
            if not call.moves_money and is_from_signal(cause):
                raise
            return trace.fail(cause)

    def _wait_for_rate(self, plan: Plan[Any], deadline: float) -> str | None:
        """Wait for the account's rate limit, if it has one; return why the call must not leave."""
        if plan.max_per_second is None:
            return None
        wait = self._reserve_slot(plan.account, plan.max_per_second, deadline)
        time.sleep(wait or 0)
        return _rate_limit_problem(wait, deadline)

    def close(self) -> None:
        """Close the connections."""
        self._pools.current().close()


class _Errand(Generic[T]):
    """A plan that is carried out in a task of its own; its caller waits for it, or is gone."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.gone = False
        self.result: T
        self.error: BaseException | None = None
        self.task: object = None  # an event loop does not keep it
        self._waiting: anyio.CancelScope | None = None

    @contextlib.contextmanager
    def waiting(self, seconds: float = math.inf) -> Iterator[None]:
        """Let what is waited for in the block take so many seconds at most, and end when the caller goes."""
        with anyio.move_on_after(0 if self.gone else seconds) as self._waiting:
            yield

    def leave(self) -> None:
        """Let nothing be sent any more that was not sent."""
        self.gone = True
        if self._waiting is not None:
            self._waiting.cancel()


class AsyncRunner(_Runner[AsyncTransport]):
    """A runner for event loops, of asyncio and trio: it carries plans out over one pool of connections."""

    def _open_pool(self, context: ssl.SSLContext, proxy: str | None) -> AsyncTransport:
        return AsyncTransport(context, proxy)  # `anyio.fail_after` keeps the deadline

    def _pool(self) -> AsyncTransport:
        return self._pools.current(anyio.lowlevel.current_token())

    async def in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function of the journal in a thread, one of payhub's own."""
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self._pool().threads)

    async def run(self, plan: Plan[T]) -> T:
        """Carry a plan to its end and return what it ends with, or leave it to itself when cancelled."""
        errand: _Errand[T] = _Errand()
        errands = self._pool().errands
        errands.add(errand)
        errand.task = spawn(functools.partial(self._perform, plan, errand, errands))
        try:
            await errand.done.wait()
        except BaseException:
            errand.leave()
            raise
        error, errand.error = errand.error, None
        if error is None:
            return errand.result
        try:
            raise error
        finally:
            del error  # its traceback has this frame

    async def _perform(self, plan: Plan[T], errand: _Errand[T], errands: set[Any]) -> None:
        """Carry a plan out; what it raises is for the errand's caller, but for what ends the task itself."""
        try:
            errand.result = await self._go_on(plan, None, errand)
        except BaseException as cause:
            errand.error = cause
            if not isinstance(cause, Exception):
                raise
        finally:
            errands.discard(errand)
            errand.done.set()

    async def _go_on(self, plan: Plan[T], done: object, errand: _Errand[Any]) -> T:
        """Go on with a plan that waits for what became of its step; see `Runner._go_on`."""
        try:
            step = plan.steps.send(done)
            while True:
                try:
                    going = errand.gone and not isinstance(step, Act)
                    done = _left_open(step) if going else await self._carry_out(plan, step, errand)
                except Exception as cause:
                    if isinstance(step, Send) and not step.call.moves_money and is_from_signal(cause):
                        raise
                    step = plan.steps.throw(cause)
                else:
                    step = plan.steps.send(done)
        except StopIteration as ended:
            result: T = ended.value
            return result

    async def _carry_out(self, plan: Plan[Any], step: Send | Act | Pause, errand: _Errand[Any]) -> object:
        match step:
            case Send():
                return await self._send(plan, step, errand)
            case Pause():
                with errand.waiting():
                    await anyio.sleep(step.seconds)
                return None
            case Act():
                return await self.in_thread(step.perform, self._journal)

    async def _send(self, plan: Plan[Any], send: Send, errand: _Errand[Any]) -> Reply:
        deadline = time.monotonic() + self._transport.deadline
        if send.call.moves_money:
            return await self._try_once(plan, send, deadline, errand)
        exchanges: list[Exchange] = []

        async def attempt() -> Reply:
            reply = await self._try_once(plan, send, deadline, errand)
            exchanges.extend(reply.exchanges)
            return reply

        repeated = _retry_reads(self._transport.deadline, lambda: errand.gone)
        reply: Reply = await tenacity.AsyncRetrying(**repeated)(attempt)
        return msgspec.structs.replace(reply, exchanges=tuple(exchanges))

    async def _try_once(self, plan: Plan[Any], send: Send, deadline: float, errand: _Errand[Any]) -> Reply:
        call, trace = send.call, CallTrace(send.until, lambda: errand.gone)
        try:
            with quiet.during_call():
                reply = await self._exchange(plan, call, trace, deadline, errand)
        except BaseException as cause:
            reply = self._publish(plan, call, trace.fail(cause), trace)
            if not isinstance(cause, Exception):  # the event loop ends
                errand.leave()
                with anyio.CancelScope(shield=True), contextlib.suppress(Exception):
                    await self._go_on(plan, reply, errand)
            raise
        return self._publish(plan, call, reply, trace)

    async def _exchange(
        self, plan: Plan[Any], call: Call, trace: CallTrace, deadline: float, errand: _Errand[Any]
    ) -> Reply:
        try:
            if problem := insecure(call.url) or await self._wait_for_rate(plan, deadline, errand):
                return Reply(phase=Phase.NOT_SENT, problem=problem)
            pool, slot = self._pool(), False
            with errand.waiting(min(self._timeout["pool"], deadline - time.monotonic())):
                await pool.slots.acquire()
                slot = True
            if not slot:
                return Reply(phase=Phase.NOT_SENT, problem=str(CallerGone()) if errand.gone else NO_SLOT)
            try:
                with anyio.fail_after(deadline - time.monotonic()):
                    request = build_request(call, trace.observe_async, self._timeout)
                    trace.hand_over()
                    response = await pool.handle_async_request(request)
                    try:
                        trace.take_head(response)
                        async for chunk in response.aiter_raw():
                            trace.take_chunk(chunk)
                            del chunk  # a traceback may show it, and the next one may be interrupted
                        return trace.finish()
                    finally:
                        await response.aclose()
            finally:
                pool.slots.release()
        except Exception as cause:  # whatever fails here, the phase says what it means
            if not call.moves_money and is_from_signal(cause):
                raise
            return trace.fail(cause)

    async def _wait_for_rate(self, plan: Plan[Any], deadline: float, errand: _Errand[Any]) -> str | None:
        """Wait for the account's rate limit, holding no thread: other accounts need them."""
        if plan.max_per_second is None:
            return None
        wait = await self.in_thread(self._reserve_slot, plan.account, plan.max_per_second, deadline)
        with errand.waiting():
            await anyio.sleep(wait or 0)
        return str(CallerGone()) if errand.gone else _rate_limit_problem(wait, deadline)

    async def close(self) -> None:
        """Close the connections, when what is under way without its caller has ended: each call has a deadline."""
        pool = self._pool()
        for errand in tuple(pool.errands):
            await errand.done.wait()
        await pool.aclose()
