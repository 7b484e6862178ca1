"""Masks of texts: what must not be shown is replaced in place, with stars, so that the rest can be read.

There are two kinds of texts. For a value whose meaning is declared (a phone, a name, a link) one rule
says what stays. A text of no known shape, such as a proxy's page of HTML, is searched: what patterns
find to be personal or secret is hidden, and the rest stays.
"""

import html
import itertools
import re
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from urllib.parse import unquote, urlsplit, urlunsplit

HIDDEN = "[hidden]"

MAX_SHOWN = 8192
"""Characters of one text that are shown."""

# Values whose meaning is declared.

_LONG, _SHORT = 13, 9


def truncate(number: str) -> str:
    """Keep what support needs of a number: first 6 and last 4, the last 4, or nothing.

    From 13 characters on (card and account numbers) the first six and last four stay;
    from 9 on (phones) the last four; anything shorter is hidden whole.
    """
    if len(number) >= _LONG:
        return number[:6] + "*" * (len(number) - 10) + number[-4:]
    return "*" * (len(number) - 4) + number[-4:] if len(number) >= _SHORT else "*" * len(number)


_DIGITS = frozenset("0123456789")
_BETWEEN_DIGITS = frozenset("+ ()-./")


def mask_phone(number: str) -> str:
    """Keep a phone number's first digit, its last four, and how it is written; of fewer than 9 digits none."""
    places = [place for place, character in enumerate(number) if character not in _BETWEEN_DIGITS]
    shown = {*places[:1], *places[-4:]} if len(places) >= _SHORT else set()
    return "".join(
        c if c in _BETWEEN_DIGITS or (place in shown and c in _DIGITS) else "*" for place, c in enumerate(number)
    )


_WORD = re.compile(r"\w+")


def mask_name(name: str) -> str:
    """Keep the first letter of each word, of the first four."""
    initials = itertools.chain([1] * 4, itertools.repeat(0))

    def mask(found: re.Match[str]) -> str:
        word, kept = found.group(), next(initials)
        shown = word[:kept] if word[0].isalpha() else ""
        return shown + "*" * (len(word) - len(shown))

    return _WORD.sub(mask, name)


# Request and trace ids are what support asks for first: UUIDs, and 16 or 32 hexadecimal digits.
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER = re.compile(
    rf"(?P<id>\b{_UUID.pattern}\b|\b(?=\d*[a-f])(?:[0-9a-f]{{16}}|[0-9a-f]{{32}})\b)|\d{{9,}}", re.ASCII
)


def _truncate_number(found: re.Match[str]) -> str:
    return found.group() if found["id"] else truncate(found.group())


_DOMAIN = re.compile(r"(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,63}")


def mask_email(address: str) -> str:
    """Keep an e-mail address's first character and its domain."""
    local, _, domain = address.rpartition("@")
    if not local or not _DOMAIN.fullmatch(domain):
        return HIDDEN
    return f"{local[0]}{'*' * (len(local) - 1)}@{_NUMBER.sub(_truncate_number, domain)}"


_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)", re.ASCII)


def mask_birth(date: str) -> str:
    """Keep the year of a date of birth."""
    year = _YEAR.search(date)
    if year is None:
        return HIDDEN
    around = date[: year.start()], date[year.end() :]
    before, after = (_WORD.sub(lambda part: "*" * len(part.group()), text) for text in around)
    return f"{before}{year.group()}{after}"


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


# Card numbers.

# What may stand between two digits of a number: three characters of any kind that are neither letters nor digits, or
# tags; but no percent sign: the digits after it are a character's code. Atomic groups: what was taken once is not
# tried otherwise, so that no text takes long.
_GAP = r"(?>(?:</?[A-Za-z][^<>]{0,80}>|[^\w%]|_){0,3})"
_RUN = re.compile(rf"\d(?>{_GAP}\d){{12,}}")
_GAPS = re.compile(_GAP.replace("{0,3}", "{1,3}"))
# How a number is commonly grouped: spaces, dashes and dots of all kinds, and what stands for a byte that is no text.
_COMMON = re.compile("[ .+\t\u00a0\u2009\u202f\u00b7\u2010-\u2015\u2212\ufffd-]{1,2}")
_LONG_GROUP, _LONG_END = 4, 3
_LENGTHS = range(13, 20)  # ISO/IEC 7812
# First digits of the card schemes in use, national ones (Mir, UzCard, Humo, RuPay, Troy) included.
_SCHEME = re.compile(r"2[0-7]|3|4|5|6|8[126]|9[1789]")
_TWICE = str.maketrans("0123456789", "0246813579")  # the digit sum of each digit doubled


_OTHER_DIGIT = re.compile(r"(?![0-9])\d")


def fold_digits(text: str) -> str:
    """Return a text with the digits of all scripts as 0 to 9; it has the same length."""
    return text if text.isascii() else _OTHER_DIGIT.sub(lambda digit: str(int(digit.group())), text)


def is_card_number(digits: str) -> bool:
    """Tell whether a run of digits may be a card number: 13 to 19 digits, a scheme's prefix, Luhn."""
    return len(digits) in _LENGTHS and _SCHEME.match(digits) is not None and _luhn(digits)


def _luhn(digits: str) -> bool:
    summed = digits[-1::-2] + digits[-2::-2].translate(_TWICE)
    return (sum(summed.encode()) - len(summed) * ord("0")) % 10 == 0


def mask_cards(text: str) -> str:
    """Truncate every card number found in free text, in digits of any script, plain or grouped in any way."""
    return _RUN.sub(_mask_run, text)


def _mask_run(found: re.Match[str]) -> str:
    """Hide, in place, every digit that any card number in a run of digits hides.

    A card number is made of whole groups; those of one run may overlap.
    """
    run = found.group()
    shown = list(run)
    places: list[int] = []
    gaps: list[str] = []
    borders = [0]
    start = 0
    for gap in _GAPS.finditer(run):
        places += range(start, gap.start())
        gaps.append(gap.group())
        borders.append(len(places))
        start = gap.end()
    places += range(start, len(run))
    borders.append(len(places))
    digits = fold_digits("".join(run[place] for place in places))
    ends = {border: number for number, border in enumerate(borders)}
    for first, start in enumerate(borders[:-1]):
        if not _SCHEME.match(digits, start):
            continue
        for end in (start + length for length in _LENGTHS):
            last = ends.get(end)
            if last is None or not _luhn(digits[start:end]):
                continue
            if _is_one_number(
                gaps[first : last - 1], [b - a for a, b in itertools.pairwise(borders[first : last + 1])]
            ):
                for place in places[start:end][6:-4]:
                    shown[place] = "*"
    return "".join(shown)


def _is_one_number(gaps: list[str], groups: list[int]) -> bool:
    """Tell whether groups of digits may be one number, rather than the parts of a time or of a character's code.

    They stand apart in a common way, or are as long as a card's groups are.
    """
    return all(map(_COMMON.fullmatch, gaps)) or (
        groups[-1] >= _LONG_END and all(group >= _LONG_GROUP for group in groups[:-1])
    )


# Texts of no known shape.


def printable(text: str) -> str:
    """Replace what does not print and could steer a terminal, line ends included."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


_LONGEST_WORD = 256
_NUMBERS = re.compile(rf"\d(?>{_GAP}\d)*+{_GAP}")


def excerpt(text: str) -> str:
    """Cut a text to what is shown of it, but not within a word or number: a part of one would not be recognised."""
    if len(text) <= MAX_SHOWN:
        return text
    head = text[:MAX_SHOWN]
    border = max(head.rfind(mark, MAX_SHOWN - _LONGEST_WORD) for mark in " \n\t\"'<>,;&")
    head = head[: border if border > 0 else MAX_SHOWN]
    at_end = (number.start() for number in _NUMBERS.finditer(head) if number.end() == len(head))
    return head[: next(at_end, None)]


_JOINT = re.compile(r"[+/=_-]+")
_PLAIN = re.compile(r"[A-Za-z]?[a-z]{0,19}|[A-Z]{1,12}|v?\d{1,4}")


def _hide_run(found: re.Match[str]) -> str:
    """Hide a long run of letters and digits, but no path and nothing else that is made of words and ids."""
    pieces = _JOINT.split(_UUID.sub("", found.group()))
    return found.group() if all(map(_PLAIN.fullmatch, pieces)) else HIDDEN


def _hide_value(found: re.Match[str]) -> str:
    name, quote = found.groups()
    return f"{name}{quote or ''}{HIDDEN}"


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
    (_RUN, _mask_run),
    (
        re.compile(r"\+\d[\d ()-]{7,20}\d|\b[78] ?\(\d{3}\) ?\d{3}[ -]?\d\d[ -]?\d\d", re.ASCII),
        lambda found: mask_phone(found.group()),
    ),
    (_NUMBER, _truncate_number),
)

_HARMLESS = re.compile(r"[A-Za-z ,.!?'()/-]{0,39}")
_ESCAPED = re.compile(r"""\\(?:u00([0-7][0-9a-fA-F])|([/"']))""")
_LINK = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s\"'<>\\]+", re.IGNORECASE)
_SPACE = re.compile(r"[^\S\n]")


def mask_text(text: str) -> str:
    """Hide what patterns find to be personal or secret in a text of no known shape; the rest stays readable.

    Hidden are keys in PEM form, the queries of links, values after names such as `password`, `token`
    or `sign`, and runs of 40 and more characters of Base64 or hexadecimal. E-mail addresses, phone
    numbers and card numbers are shown as everywhere, and every run of nine and more digits is
    truncated. What does not print is replaced. Of a long text the beginning is shown, and its length.
    """
    if _HARMLESS.fullmatch(text):
        return text
    # What JSON, HTML and URLs have escaped is written out first: no pattern would know it.
    head = _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], excerpt(text))
    head = unquote(_LINK.sub(lambda found: mask_link(found.group()), html.unescape(head)))
    head = fold_digits(_SPACE.sub(" ", head.replace("\0", "")))  # UTF-16 of Latin letters is full of NUL
    head = "\n".join(map(printable, head.split("\n")))
    for pattern, hide in _PATTERNS:
        head = pattern.sub(hide, head)
    return head if len(text) <= MAX_SHOWN else f"{head} [{len(text)} characters]"
