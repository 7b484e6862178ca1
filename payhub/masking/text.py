"""Hide in texts what must not be shown: in place, with stars, so that the rest can be read.

Two kinds of texts come here. Of a value whose meaning is declared (a phone, a name, a link) one rule
tells what stays. A text of no known shape, such as a proxy's page of HTML, is searched:
what patterns find to be personal or secret is hidden, and the rest stays.
"""

import html
import itertools
import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, ip_address
from urllib.parse import unquote, urlsplit, urlunsplit

HIDDEN = "[hidden]"

MAX_SHOWN = 8192
"""Characters of one text that are shown."""

_LONG, _SHORT = 13, 9


def truncate(number: str) -> str:
    """Keep what support needs of a number: first 6 and last 4, the last 4, or nothing.

    From 13 characters on (card and account numbers) the first six and last four stay;
    from 9 on (phones) the last four; anything shorter is hidden whole.
    """
    if len(number) >= _LONG:
        return number[:6] + "*" * (len(number) - 10) + number[-4:]
    return "*" * (len(number) - 4) + number[-4:] if len(number) >= _SHORT else "*" * len(number)


def mask_phone(number: str) -> str:
    """Keep a phone number's first digit, its last four, and how it is written; of fewer than 9 digits none."""
    places = [place for place, character in enumerate(number) if character not in _WRITTEN]
    shown = {*places[:1], *places[-4:]} if len(places) >= _SHORT else set()
    return "".join(c if c in _WRITTEN or (place in shown and c in _DIGITS) else "*" for place, c in enumerate(number))


_WRITTEN = frozenset("+ ()-./")
_DIGITS = frozenset("0123456789")


def mask_name(name: str) -> str:
    """Keep the first letter of each word, of the first four."""
    initials = itertools.chain([1] * 4, itertools.repeat(0))
    return _WORD.sub(lambda word: _initial(word.group(), next(initials)), name)


_WORD = re.compile(r"\w+")


def _initial(word: str, kept: int) -> str:
    shown = word[:kept] if word[0].isalpha() else ""
    return shown + "*" * (len(word) - len(shown))


def mask_email(address: str) -> str:
    """Keep an e-mail address's first character and its domain."""
    local, _, domain = address.rpartition("@")
    if not local or not _DOMAIN.fullmatch(domain):
        return HIDDEN
    return f"{local[0]}{'*' * (len(local) - 1)}@{_hide_numbers(domain)}"


_DOMAIN = re.compile(r"(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,63}")


def mask_birth(date: str) -> str:
    """Keep the year of a date of birth."""
    year = _YEAR.search(date)
    if year is None:
        return HIDDEN
    before, after = (_WORD.sub(lambda part: "*" * len(part.group()), text) for text in _around(date, year))
    return f"{before}{year.group()}{after}"


_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)", re.ASCII)


def _around(text: str, found: re.Match[str]) -> tuple[str, str]:
    return text[: found.start()], text[found.end() :]


def mask_ip(address: str) -> str:
    """Keep the network of an IP address: the first two groups."""
    try:
        ip = ip_address(address.partition("%")[0].replace("*", "0"))  # without the zone; it may be masked already
    except ValueError:
        return HIDDEN
    mark, rest = (".", ".*.*") if isinstance(ip, IPv4Address) else (":", "::*")
    return mark.join(ip.exploded.split(mark)[:2]) + rest


def mask_link(url: str) -> str:
    """Keep a URL without its user part, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    if "//" in parts.path and "@" in parts.path:  # a link in a link: there may be a user part
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    query = HIDDEN if parts.query else ""
    return mask_cards(urlunsplit((parts.scheme, host, parts.path, query, "")))


# How a number is grouped: spaces, dashes and dots of all kinds, and what stands for a byte that is no text.
_SEPARATORS = " .+\t\u00a0\u2009\u202f\u2010\u2011\u2012\u2013\u2014\u2015\ufffd-"
_RUN = re.compile(rf"\d(?:[{re.escape(_SEPARATORS)}]{{0,2}}\d){{12,}}", re.ASCII)
_GROUP = re.compile(r"\d+", re.ASCII)
_LENGTHS = range(13, 20)  # ISO/IEC 7812
# First digits of the card schemes in use, national ones (Mir, UzCard, Humo, RuPay, Troy) included.
_SCHEME = re.compile(r"2[0-7]|3|4|5|6|8[126]|9[1789]")
_TWICE = str.maketrans("0123456789", "0246813579")  # the digit sum of each digit doubled


def is_card_number(digits: str) -> bool:
    """Tell whether a run of digits may be a card number: 13 to 19 digits, a scheme's prefix, Luhn."""
    return len(digits) in _LENGTHS and _SCHEME.match(digits) is not None and _luhn(digits)


def _luhn(digits: str) -> bool:
    summed = digits[-1::-2] + digits[-2::-2].translate(_TWICE)
    return (sum(summed.encode()) - len(summed) * ord("0")) % 10 == 0


def mask_cards(text: str) -> str:
    """Truncate every card number found in free text, plain, spaced, dotted or dashed."""
    return _RUN.sub(lambda run: _mask_run(run.group()), text)


def _mask_run(run: str) -> str:
    """Hide, in place, every digit that any card number in the run hides."""
    shown = list(run)
    for places in _card_numbers(run):
        for place in places[6:-4]:
            shown[place] = "*"
    return "".join(shown)


def _card_numbers(run: str) -> Iterator[list[int]]:
    """Find the whole groups of digits that together may be a card number; they may overlap."""
    places = [place for place, character in enumerate(run) if character.isdigit()]
    digits = "".join(run[place] for place in places)
    borders = [0, *itertools.accumulate(len(group) for group in _GROUP.findall(run))]
    ends = set(borders)
    for start in borders[:-1]:
        if _SCHEME.match(digits, start):
            for end in (start + length for length in _LENGTHS):
                if end in ends and _luhn(digits[start:end]):
                    yield places[start:end]


def excerpt(text: str) -> str:
    """Cut a text to what is shown of it, and not within a word or number, whose part would not be known again."""
    if len(text) <= MAX_SHOWN:
        return text
    head = text[:MAX_SHOWN]
    border = max(head.rfind(mark, MAX_SHOWN - _LONGEST_WORD) for mark in " \n\t\"'<>,;&")
    return head[: border if border > 0 else MAX_SHOWN].rstrip(_ENDS)


_LONGEST_WORD = 256
_ENDS = "0123456789" + _SEPARATORS


def mask_text(text: str) -> str:
    """Hide what patterns tell to be personal or secret in a text of no known shape; the rest stays readable.

    Hidden are keys in PEM form, the queries of links, values after names such as `password`, `token`
    or `sign`, and runs of 40 and more characters of Base64 or hexadecimal. E-mail addresses, phone
    numbers and card numbers are shown as everywhere, and every run of nine and more digits is
    truncated. What does not print is replaced. Of a long text the beginning is shown, and its length.
    """
    if _HARMLESS.fullmatch(text):
        return text
    head = _LINK.sub(lambda found: mask_link(found.group()), _unescaped(excerpt(text)))
    head = _printable(unquote(head))
    for pattern, hide in _PATTERNS:
        head = pattern.sub(hide, head)
    return head if len(text) <= MAX_SHOWN else f"{head} [{len(text)} characters]"


_HARMLESS = re.compile(r"[A-Za-z ,.!?'()/-]{0,39}")
_LINK = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s\"'<>\\]+", re.IGNORECASE)


def _unescaped(text: str) -> str:
    """Write out what HTML and JSON have escaped, for a pattern would not know it."""
    return html.unescape(_ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text))


_ESCAPED = re.compile(r"""\\(?:u00([0-7][0-9a-fA-F])|([/"']))""")


def _printable(text: str) -> str:
    """Make white space plain, and replace what does not print; NUL, of which UTF-16 is full, is left out."""
    text = _SPACE.sub(" ", text.replace("\0", ""))
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


_SPACE = re.compile(r"[^\S\n]")


def _hide_numbers(text: str) -> str:
    return _NUMBER.sub(_hide_number, text)


def _hide_number(found: re.Match[str]) -> str:
    return found.group() if found["id"] else truncate(found.group())


def _hide_run(found: re.Match[str]) -> str:
    """Hide a long run of letters and digits, but no path and nothing else that is made of words and ids."""
    pieces = _JOINT.split(_UUID.sub("", found.group()))
    return found.group() if all(map(_PLAIN.fullmatch, pieces)) else HIDDEN


def _hide_value(found: re.Match[str]) -> str:
    name, quote = found.groups()
    return f"{name}{quote or ''}{HIDDEN}"


# Request and trace ids are what support asks for first: UUIDs, and 16 or 32 hexadecimal digits.
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER = re.compile(
    rf"(?P<id>\b{_UUID.pattern}\b|\b(?=\d*[a-f])(?:[0-9a-f]{{16}}|[0-9a-f]{{32}})\b)|\d{{9,}}", re.ASCII
)
_JOINT = re.compile(r"[+/=_-]+")
_PLAIN = re.compile(r"[A-Za-z]?[a-z]{0,19}|[A-Z]{1,12}|v?\d{1,4}")

_NAMED = (
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token|(?<![a-z])sign(?:ature)?(?![a-z])|sess(?:ion)?_?id|credentials?"
    r"|api[_-]?key|private[_-]?key|(?<![a-z])c[vs][vc]2?(?![a-z]))[\w-]{0,30}"
)
# What stands between a name and its value: `=`, `": "`, `' => '`, the `>` of XML, or the border of two cells.
_BETWEEN = r"""(?:["']?\s{0,3}(?:=>|[:=])\s{0,3}|>|</\w{1,8}>\s{0,9}<(?:td|dd|code|pre|span)\b[^<>]{0,80}>)"""
_QUOTED = r"""(["'])(?:(?!\2)[^\n])*"""
_PATTERNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----.*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(rf"((?:authorization|cookie){_BETWEEN})(?:{_QUOTED}|[^\n<]+)", re.IGNORECASE), _hide_value),
    (re.compile(rf"({_NAMED}{_BETWEEN})(?:{_QUOTED}|[^\s\"'&,;<>]+)", re.IGNORECASE), _hide_value),
    (re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{40,}={0,2}"), _hide_run),
    (re.compile(rf"[\w.+-]{{1,64}}@{_DOMAIN.pattern}"), lambda found: mask_email(found.group())),
    (_RUN, lambda run: _mask_run(run.group())),
    (
        re.compile(r"\+\d[\d ()-]{7,20}\d|\b[78] ?\(\d{3}\) ?\d{3}[ -]?\d\d[ -]?\d\d", re.ASCII),
        lambda found: mask_phone(found.group()),
    ),
    (_NUMBER, _hide_number),
)
