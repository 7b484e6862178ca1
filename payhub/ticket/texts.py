"""Hold every word that a ticket says, in each language; the one place to look for a phrase.

A phrase may name `{kind}`, the forms of it that Russian needs, and what `payhub.ticket.wording` gives
it: `{amount}`, `{paid}`, `{state}`, `{fields}`, `{age}`, `{status}` (of HTTP) and `{doubt}`.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from payhub.journal import State
from payhub.ticket.situations import Doubt, Situation

Lang = Literal["en", "ru"]
LANGS: tuple[Lang, ...] = ("en", "ru")

In = Mapping[Lang, str]
"""A phrase in each language."""


class Phrases(NamedTuple):
    """Say a situation in a few words, and what the provider's support is asked for."""

    head: str
    ask: str


KINDS: Mapping[Lang, Mapping[str, Mapping[str, str]]] = {
    "en": {
        "payment": {"kind": "payment", "Kind": "Payment"},
        "payout": {"kind": "payout", "Kind": "Payout"},
    },
    "ru": {
        "payment": {
            "kind": "платёж",
            "Kind": "Платёж",
            "of_it": "платежа",
            "about_it": "по платежу",
            "this": "этот платёж",
            "it": "его",
        },
        "payout": {
            "kind": "выплата",
            "Kind": "Выплата",
            "of_it": "выплаты",
            "about_it": "по выплате",
            "this": "эту выплату",
            "it": "её",
        },
    },
}

_OTHER_KIND: Mapping[Lang, Mapping[str, str]] = {
    "en": {"kind": "{word}", "Kind": "Order ({word})"},
    "ru": {
        "kind": "операция ({word})",
        "Kind": "Операция ({word})",
        "of_it": "операции ({word})",
        "about_it": "по операции ({word})",
        "this": "эту операцию ({word})",
        "it": "её",
    },
}


def kind_words(lang: Lang, word: str) -> Mapping[str, str]:
    """Return the forms of a kind's word; a kind without words of its own is called by the one it has in code."""
    other = {form: text.format(word=word) for form, text in _OTHER_KIND[lang].items()}
    return KINDS[lang].get(word, other)


DOUBTS: Mapping[Doubt, In] = {
    Doubt.ERROR: {
        "en": "its creation was answered with HTTP {status}",
        "ru": "на создание вы ответили HTTP {status}",
    },
    Doubt.CUT: {
        "en": "its creation got no complete answer",
        "ru": "полного ответа на создание не было",
    },
    Doubt.UNREADABLE: {
        "en": "the answer to its creation is not the documented one",
        "ru": "ответ на создание не соответствует документации",
    },
    Doubt.LOST: {
        "en": "our process ended while it was being sent",
        "ru": "наш процесс прервался во время отправки",
    },
    Doubt.UNEXPLAINED: {
        "en": "no usable answer to its creation is on record",
        "ru": "пригодного ответа на создание у нас нет",
    },
}

SITUATIONS: Mapping[Situation, Mapping[Lang, Phrases]] = {
    Situation.SENDING: {
        "en": Phrases(
            "taken for sending {age} ago, outcome not known yet", "Nothing yet: our request may be on its way."
        ),
        "ru": Phrases(
            "взято в отправку {age} назад, результат пока неизвестен", "Пока ничего: запрос, возможно, ещё в пути."
        ),
    },
    Situation.NOT_SENT: {
        "en": Phrases(
            "nothing was sent to you",
            "Nothing about this {kind}: no byte of it reached you. If you had an outage at that time, "
            "or do not let our address in, please tell us.",
        ),
        "ru": Phrases(
            "запрос вам не отправлялся",
            "От вас {about_it} ничего не требуется: до вас не дошло ни байта. Если в это время у вас был сбой "
            "или наш адрес не допущен, сообщите, пожалуйста.",
        ),
    },
    Situation.REFUSED: {
        "en": Phrases(
            "you refused it",
            "Please tell us what exactly has to be corrected (your answer is quoted here), and confirm that "
            "no {kind} was created.",
        ),
        "ru": Phrases(
            "вы ответили отказом",
            "Пожалуйста, сообщите, что именно нужно исправить (ваш ответ приведён здесь), и подтвердите, что "
            "{of_it} по этому запросу у вас нет.",
        ),
    },
    Situation.UNKNOWN: {
        "en": Phrases(
            "outcome unknown, {doubt}",
            "Please tell us whether you accepted this {kind}, under which id, and what its status is now. "
            "Until you answer we hold it neither for paid nor for failed, and we will not send it again.",
        ),
        "ru": Phrases(
            "результат неизвестен, {doubt}",
            "Пожалуйста, сообщите, приняли ли вы {this}, под каким id и какой сейчас статус. До вашего ответа "
            "мы считаем результат неизвестным и повторно {it} не отправляем.",
        ),
    },
    Situation.NOT_FOUND: {
        "en": Phrases(
            "you answer that you do not find it",
            "Please look for this {kind} by the request and the answer of its creation (below), and tell us "
            'whether you accepted it and what its status is now. To us "not found" does not prove that no '
            "money moved, and we will not send it again.",
        ),
        "ru": Phrases(
            "вы отвечаете, что не находите {it}",
            "Пожалуйста, найдите {this} по запросу и ответу на создание (ниже) и сообщите, приняли ли вы {it} "
            "и какой сейчас статус. Для нас «не найдено» не доказывает, что деньги не двигались; повторно "
            "{it} мы не отправляем.",
        ),
    },
    Situation.PENDING: {
        "en": Phrases(
            "accepted by you, not final for {age}",
            "Please tell us what this {kind} waits for, and when we can expect its final status.",
        ),
        "ru": Phrases(
            "принято вами, без финального статуса уже {age}",
            "Пожалуйста, сообщите, чего ожидает {kind} и когда будет финальный статус.",
        ),
    },
    Situation.OVERDUE: {
        "en": Phrases(
            "still without a final status after {age}",
            "Please tell us the final status of this {kind}: in all this time none of your answers gave it.",
        ),
        "ru": Phrases(
            "всё ещё без финального статуса, прошло {age}",
            "Пожалуйста, сообщите финальный статус {of_it}: за всё это время ваши ответы его не содержали.",
        ),
    },
    Situation.MISMATCH: {
        "en": Phrases(
            "your answer does not fit our order ({fields})",
            "Please tell us which is right, our order or your answer (both are below), and what the status "
            "of this {kind} is now. Until then we do not hold it for paid.",
        ),
        "ru": Phrases(
            "ваш ответ не совпадает с нашим заказом ({fields})",
            "Пожалуйста, сообщите, что верно, наш заказ или ваш ответ (оба приведены ниже), и какой сейчас "
            "статус {of_it}. До этого мы не считаем результат успешным.",
        ),
    },
    Situation.SUCCEEDED: {
        "en": Phrases("succeeded", "Nothing: this is for your information."),
        "ru": Phrases("успешно", "Ничего: сообщаем для сведения."),
    },
    Situation.SETTLED: {
        "en": Phrases(
            "succeeded, although {doubt}",
            "Nothing about the money: this {kind} is settled. Please look into why its creation did not get "
            "the documented answer: without it nobody can tell whether you accepted a {kind}.",
        ),
        "ru": Phrases(
            "успешно, хотя {doubt}",
            "По деньгам вопросов нет. Пожалуйста, выясните, почему на создание {of_it} не было "
            "ответа по документации: без него нельзя понять, приняли вы запрос или нет.",
        ),
    },
    Situation.PAID_OTHER: {
        "en": Phrases(
            "paid {paid}, not the {amount} that we ordered",
            "Please confirm that exactly {paid} was paid, and tell us why it is not what we ordered.",
        ),
        "ru": Phrases(
            "проведено {paid}, а не {amount}, как в заказе",
            "Пожалуйста, подтвердите, что проведено именно {paid}, и сообщите, почему сумма отличается от заказа.",
        ),
    },
    Situation.FAILED: {
        "en": Phrases(
            "failed by your answer",
            "Please tell us why this {kind} failed, and confirm that no money moved and none will move later.",
        ),
        "ru": Phrases(
            "по вашему ответу — неуспешно",
            "Пожалуйста, сообщите причину и подтвердите, что деньги не двигались и позже двигаться не будут.",
        ),
    },
    Situation.CANCELED: {
        "en": Phrases(
            "canceled by your answer",
            "Please tell us why this {kind} was canceled, and confirm that no money moved and none will move later.",
        ),
        "ru": Phrases(
            "по вашему ответу — отменено",
            "Пожалуйста, сообщите причину отмены и подтвердите, что деньги не двигались и позже двигаться не будут.",
        ),
    },
    Situation.REVERSED: {
        "en": Phrases(
            "paid, and then reversed",
            "Please tell us when and why this {kind} was reversed, and whether the whole amount was given back.",
        ),
        "ru": Phrases(
            "проведено, затем возвращено",
            "Пожалуйста, сообщите, когда и почему был возврат {about_it} и возвращена ли вся сумма.",
        ),
    },
    Situation.CLOSED_HERE: {
        "en": Phrases(
            "closed on our side: {state}",
            "Please confirm that the status of this {kind} is the same with you.",
        ),
        "ru": Phrases(
            "закрыто на нашей стороне: {state}",
            "Пожалуйста, подтвердите, что у вас {about_it} тот же статус.",
        ),
    },
    Situation.CONTRADICTED: {
        "en": Phrases(
            "{state} in our books, but you also told us otherwise",
            "Please tell us which status of this {kind} holds, and since when. What contradicts is marked below.",
        ),
        "ru": Phrases(
            "у нас — {state}, но от вас пришло и другое",
            "Пожалуйста, сообщите, какой статус {of_it} верен и с какого времени. Противоречия отмечены ниже.",
        ),
    },
}

STATES: Mapping[State, In] = {
    State.NEW: {"en": "being sent", "ru": "отправляется"},
    State.SENDING: {"en": "taken for sending", "ru": "взято в отправку"},
    State.NOT_SENT: {"en": "not sent", "ru": "не отправлено"},
    State.DECLINED: {"en": "refused by you", "ru": "отказ с вашей стороны"},
    State.PENDING: {"en": "accepted by you, not final", "ru": "принято вами, не финальный"},
    State.UNKNOWN: {"en": "unknown", "ru": "неизвестен"},
    State.SUCCEEDED: {"en": "succeeded", "ru": "успешно"},
    State.FAILED: {"en": "failed", "ru": "неуспешно"},
    State.CANCELED: {"en": "canceled", "ru": "отменено"},
    State.REVERSED: {"en": "reversed", "ru": "возвращено"},
    State.NEEDS_ATTENTION: {"en": "unclear", "ru": "не ясен"},
}

METHODS: Mapping[str, In] = {
    "card": {"en": "card", "ru": "карта"},
    "sbp": {"en": "SBP", "ru": "СБП"},
    "sberpay": {"en": "SberPay", "ru": "SberPay"},
    "bank_account": {"en": "bank account", "ru": "банковский счёт"},
    "wallet": {"en": "wallet", "ru": "кошелёк"},
    "phone": {"en": "phone number", "ru": "номер телефона"},
}

FIELDS: Mapping[str, In] = {
    "order_id": {"en": "order_id", "ru": "order_id"},
    "provider_id": {"en": "your id", "ru": "ваш id"},
    "requested": {"en": "amount", "ru": "сумма"},
    "paid": {"en": "currency of the amount paid", "ru": "валюта проведённой суммы"},
    "credited": {"en": "currency of the amount credited", "ru": "валюта зачисленной суммы"},
    "commission": {"en": "currency of the commission", "ru": "валюта комиссии"},
}
"""What the names mean that a result's `mismatches` may have."""

LABELS: Mapping[str, In] = {
    "order": {"en": "Order", "ru": "Заказ"},
    "account": {"en": "our account", "ru": "наш аккаунт"},
    "amount": {"en": "Amount", "ru": "Сумма"},
    "paid": {"en": "Paid", "ru": "Проведено"},
    "commission": {"en": "commission", "ru": "комиссия"},
    "method": {"en": "Method", "ru": "Способ"},
    "ending": {"en": "ending in", "ru": "оканчивается на"},
    "your_id": {"en": "Your id", "ru": "Ваш id"},
    "no_id": {"en": "not known to us", "ru": "нам не известен"},
    "sent": {"en": "Sent", "ru": "Отправлено"},
    "never": {"en": "no", "ru": "нет"},
    "yes": {"en": "yes", "ru": "да"},
    "taken": {
        "en": "taken for sending {at}; whether it left our machine is not on record",
        "ru": "взято в отправку {at}; ушёл ли запрос с нашей машины, не записано",
    },
    "came": {"en": "Came back", "ru": "Ответ на создание"},
    "state": {"en": "State now", "ru": "Статус сейчас"},
    "your_word": {"en": "your status", "ru": "ваш статус"},
    "since": {"en": "since", "ru": "с"},
    "ask": {"en": "What we ask", "ru": "Что нужно от вас"},
    "happened": {"en": "What happened (UTC)", "ru": "Что произошло (UTC)"},
    "nothing_kept": {
        "en": "Requests and answers are not, or no longer, kept.",
        "ru": "Запросы и ответы не сохранены или уже удалены.",
    },
    "nothing_yet": {
        "en": "No exchange is on record: a request is written down together with what came back, and the creation's "
        "has not been.",
        "ru": "Обменов не записано: запрос сохраняется вместе с тем, что пришло в ответ, а по созданию этого не было.",
    },
    "no_answer": {"en": "no complete answer", "ru": "полного ответа нет"},
    "not_left": {"en": "nothing left our machine", "ru": "с нашей машины ничего не ушло"},
    "again": {
        "en": "the same answer came {often} more, last at {last}",
        "ru": "тот же ответ пришёл ещё {often}, последний раз {last}",
    },
    "notification": {"en": "your notification", "ru": "ваше уведомление"},
    "times": {"en": "it came {often}, last at {last}", "ru": "всего {often}, последний раз {last}"},
    "contradicts": {"en": "CONTRADICTS what we hold", "ru": "ПРОТИВОРЕЧИТ тому, что у нас"},
    "your_answer": {"en": "your answer", "ru": "ваш ответ"},
    "exchanges": {"en": "Requests and answers", "ru": "Запросы и ответы"},
    "notifications": {"en": "Notifications", "ru": "Уведомления"},
    "attempt": {"en": "sent as attempt", "ru": "попытка отправки"},
    "took": {"en": "took", "ru": "длительность"},
    "bytes": {"en": "bytes sent / received", "ru": "байт отправлено / получено"},
    "your_clock": {"en": "your clock (Date)", "ru": "ваши часы (Date)"},
    "signed_with": {"en": "signed with", "ru": "подписано"},
    "software": {"en": "software", "ru": "программы"},
    "manifest": {"en": "About this ticket", "ru": "Об этом обращении"},
    "masks": {"en": "Masks", "ru": "Маски"},
    "internal": {
        "en": "INTERNAL: not for the provider",
        "ru": "ВНУТРЕННЕЕ: не для провайдера",
    },
    "inside": {"en": "What happened on our side (internal)", "ru": "Что произошло на нашей стороне (внутреннее)"},
}

MANIFEST: Mapping[str, In] = {
    "version": {"en": "Version of this form", "ru": "Версия этой формы"},
    "internal": {"en": "Internal", "ru": "Внутреннее"},
    "made_at": {"en": "Made", "ru": "Составлено"},
    "made_with": {"en": "Made with", "ru": "Чем составлено"},
    "software": {"en": "At work in the exchanges", "ru": "Программы при обменах"},
    "method": {"en": "Method", "ru": "Способ"},
    "amount": {"en": "Amount", "ru": "Сумма"},
    "paid": {"en": "Paid", "ru": "Проведено"},
    "credited": {"en": "On our account", "ru": "По нашему счёту"},
    "commission": {"en": "Commission", "ru": "Комиссия"},
    "provider_status": {"en": "Your status", "ru": "Ваш статус"},
    "sent": {"en": "Taken for sending", "ru": "Взято в отправку"},
    "created_at": {"en": "Order written down", "ru": "Заказ записан"},
    "changed_at": {"en": "State changed", "ru": "Статус изменён"},
    "exchanges": {"en": "Requests kept", "ru": "Запросов сохранено"},
    "notifications": {"en": "Notifications kept", "ru": "Уведомлений сохранено"},
    "first_at": {"en": "The first of them", "ru": "Первое из этого"},
    "last_at": {"en": "The last of them", "ru": "Последнее из этого"},
}
"""What the fields of a manifest are called; but for the statement and the masks, which stand by themselves."""

MASKS: Mapping[str, In] = {
    "[hidden]": {
        "en": "a value that is not shown; in an address, its query",
        "ru": "значение не показано; в адресе — его параметры",
    },
    "411111******1111": {
        "en": "a card, account or other long number: the first six and the last four characters are true",
        "ru": "номер карты, счёта или другой длинный номер: подлинны первые шесть и последние четыре знака",
    },
    "7******2233": {
        "en": "a phone number: the first digit and the last four are true",
        "ru": "номер телефона: подлинны первая и последние четыре цифры",
    },
    "*******2233": {
        "en": "a number of 9 to 12 characters, also a phone number within a text: the last four are true",
        "ru": "номер из 9–12 знаков, в том числе номер телефона внутри текста: подлинны последние четыре",
    },
    "*****": {
        "en": "a number of less than 9 characters, or a later word of a name: its length is true, and no more",
        "ru": "номер короче 9 знаков или дальнейшее слово имени: подлинна только длина",
    },
    "I*** P*****": {
        "en": "a name: the first letters are true",
        "ru": "имя: подлинны первые буквы",
    },
    "i***@shop.example": {
        "en": "an e-mail address: the first character and the domain are true",
        "ru": "адрес почты: подлинны первый знак и домен",
    },
    "203.0.*.*": {
        "en": "an IP address: the first two groups are true",
        "ru": "IP-адрес: подлинны первые две группы",
    },
    "1999-**-**": {
        "en": "a date of birth: the year is true",
        "ru": "дата рождения: подлинный год",
    },
    "[not JSON, 120 bytes]": {
        "en": "a body that is not JSON, by its size; what follows is its beginning, masked",
        "ru": "тело не в формате JSON и его размер; далее его начало, замаскированное",
    },
    "[9000 characters]": {
        "en": "a long text, by its size; what precedes is its beginning",
        "ru": "длинный текст и его размер; перед этим — его начало",
    },
}
"""What each mask means, by a sample of it."""

STATEMENT: In = {
    "en": "Values were masked before they were kept. A field is shown only if a list of the driver's says so; card "
    "numbers are cut to the first six and last four everywhere. Keys, passwords and signatures are not kept at all.",
    "ru": "Значения замаскированы до сохранения. Поле показано, только если оно есть в списке драйвера; номера карт "
    "везде сокращены до первых шести и последних четырёх цифр. Ключи, пароли и подписи не хранятся вовсе.",
}

UNITS: Mapping[Lang, tuple[str, str, str, str]] = {"en": ("d", "h", "min", "s"), "ru": ("д", "ч", "мин", "с")}


def how_often(count: int, lang: Lang) -> str:
    """Say how often something came: once, twice, 5 times."""
    if lang == "ru":
        few = count % 10 in {2, 3, 4} and count % 100 not in {12, 13, 14}
        return f"{count} {'раза' if few else 'раз'}"
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
