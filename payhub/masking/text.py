"""Masks of texts: what must not be shown is replaced in place, with stars, so that the rest can be read.

There are two kinds of texts. For a value whose meaning is declared (a phone, a name, a link) one rule
says what stays. A text of no known shape, such as a proxy's page of HTML, is searched: what patterns
find to be personal or secret is hidden, and the rest stays.
"""

import functools
import html
import itertools
import operator
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
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
# tags, entities, and what JSON escapes of white space; but no percent sign: the digits after it are a character's code.
# Atomic groups: what was taken once is not tried otherwise, so that no text takes long.
_GAP = r"(?>(?:</?[A-Za-z][^<>]{0,80}>|&#?\w{1,8};|\\[nrt]|[^\w%]|_){0,3})"
_RUN = re.compile(rf"\d(?>{_GAP}\d){{12,}}")
_GAPS = re.compile(_GAP.replace("{0,3}", "{1,3}"))
# How a number is commonly grouped: spaces, dashes and dots of all kinds, and what stands for a byte that is no text.
_COMMON = re.compile("[ .+\t\u00a0\u2009\u202f\u00b7\u2010-\u2015\u2212\ufffd-]{1,2}")
_LONG_GROUP, _LONG_END, _THOUSANDS = 4, 3, 3
_LENGTHS = range(13, 20)  # ISO/IEC 7812
# First digits of the card schemes in use, national ones (Mir, UzCard, Humo, RuPay, Troy) included.
_SCHEME = re.compile(r"2[0-7]|3|4|5|6|8[126]|9[1789]")
_TWICE = str.maketrans("0123456789", "0246813579")  # the digit sum of each digit doubled


_OTHER_DIGIT = re.compile(r"(?![0-9])\d")


def fold_digits(text: str) -> str:
    """Return a text with the digits of all scripts as 0 to 9; it has the same length."""
    return text if text.isascii() else _OTHER_DIGIT.sub(lambda digit: str(int(digit.group())), text)


_FIRST_OF_CHINESE = 0x2E80


class _DigitsOfAnyForm(dict[int, int | str]):
    """A table that translates every character that Unicode calls a digit to 0 to 9: raised, lowered, circled ones."""

    def __missing__(self, code: int) -> int | str:
        """Look a character up; only those of most alphabets are kept, for strangers choose which ones come."""
        digit = unicodedata.digit(chr(code), None)
        found = code if digit is None else str(digit)
        if code < _FIRST_OF_CHINESE:
            self[code] = found
        return found


_DIGITS_OF_ANY_FORM = _DigitsOfAnyForm()


def is_card_number(digits: str) -> bool:
    """Tell whether a run of digits may be a card number: 13 to 19 digits, a scheme's prefix, Luhn."""
    return len(digits) in _LENGTHS and _SCHEME.match(digits) is not None and _luhn(digits)


def _luhn(digits: str) -> bool:
    summed = digits[-1::-2] + digits[-2::-2].translate(_TWICE)
    return (sum(summed.encode()) - len(summed) * ord("0")) % 10 == 0


def mask_cards(text: str) -> str:
    """Truncate every card number found in free text, in digits of any script and form, plain or in groups.

    What stands between the groups may be anything but letters.
    """
    if len(text) < _LENGTHS.start:
        return text
    shown: list[str] | None = None
    for run in _RUN.finditer(text if text.isascii() else text.translate(_DIGITS_OF_ANY_FORM)):
        for place in _places_to_hide(run.group()):
            shown = shown or list(text)
            shown[run.start() + place] = "*"
    return text if shown is None else "".join(shown)


def _places_to_hide(run: str) -> Iterator[int]:
    """Find the places of a run of digits that any card number in it hides.

    A card number is made of whole groups; those of one run may overlap. Sums from the beginning of the run say of
    any part of it what its digits sum up to, and what stands between them: each digit costs the same.
    """
    groups = _Groups(run)
    hidden = bytearray(len(groups.digits))
    for first, start in enumerate(groups.borders[:-1]):
        if not _SCHEME.match(groups.digits, start):
            continue
        for last, end in groups.ends_of_numbers(start):
            if groups.are_one_number(first, last):
                hidden[start + 6 : end - 4] = b"*" * (end - start - 10)
    return itertools.compress(groups.places, hidden)


class _Groups:
    """A run of digits as groups with gaps between them: group `n` begins at border `n`, gap `n` follows it."""

    def __init__(self, run: str) -> None:
        """Take it apart."""
        self.places: list[int] = []
        self.gaps: list[str] = []
        self.borders = [0]
        start = 0
        for gap in _GAPS.finditer(run):
            self.places += range(start, gap.start())
            self.gaps.append(gap.group())
            self.borders.append(len(self.places))
            start = gap.end()
        self.places += range(start, len(run))
        self.borders.append(len(self.places))
        self._ends = {border: number for number, border in enumerate(self.borders)}
        self.digits = "".join(map(run.__getitem__, self.places))
        lengths = self._lengths = [end - begin for begin, end in itertools.pairwise(self.borders)]
        # Sums of what stands before a place: of the digits, every second one doubled, and of what is odd about groups.
        plain, twice = self.digits.encode(), self.digits.translate(_TWICE).encode()
        even, odd = bytearray(plain), bytearray(plain)
        even[1::2], odd[::2] = twice[1::2], twice[::2]
        self._luhn = _sums(each - ord("0") for each in odd), _sums(each - ord("0") for each in even)
        self._uncommon = _sums(not _COMMON.fullmatch(gap) for gap in self.gaps)
        self._short = _sums(length < _LONG_GROUP for length in lengths)
        self._changing = _sums((0, *itertools.starmap(operator.ne, itertools.pairwise(self.gaps))))
        self._uneven = _sums((0, *itertools.starmap(operator.ne, itertools.pairwise(lengths))))

    def ends_of_numbers(self, start: int) -> Iterator[tuple[int, int]]:
        """Find where digits from a border on may end, as borders and digits: the last is the others' check digit."""
        for end in range(start + _LENGTHS.start, min(start + _LENGTHS.stop, len(self.digits) + 1)):
            sums = self._luhn[end % 2]
            if (sums[end] - sums[start]) % 10 == 0 and end in self._ends:
                yield self._ends[end], end

    def are_one_number(self, first: int, last: int) -> bool:
        """Tell whether groups may be one number, rather than the parts of a time or of a character's code.

        They stand apart in a common way, are as long as a card's groups are, or are all alike: single digits, or
        thousands, with the same between them.
        """
        if self._uncommon[last - 1] == self._uncommon[first]:
            return True
        if self._lengths[last - 1] >= _LONG_END and self._short[last - 1] == self._short[first]:
            return True
        if self._changing[last - 1] != self._changing[first + 1] or self._uneven[last] != self._uneven[first + 2]:
            return False
        head, length = self._lengths[first], self._lengths[last - 1]
        return head == length == 1 or (head <= length == _THOUSANDS and len(self.gaps[first]) == 1)


def _sums(values: Iterable[int]) -> list[int]:
    """Return the sums of the first none, one, two … values."""
    return list(itertools.accumulate(values, initial=0))


# Texts of no known shape.


def printable(text: str) -> str:
    """Replace what does not print and could steer a terminal, line ends included."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def printable_lines(text: str) -> str:
    """Replace what does not print, but for the ends of lines."""
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


_NOT_PLAIN = re.compile(r"[^\n -~]")


def printable_json(written: str) -> str:
    """Escape what does not print in JSON, where it can stand within texts only: a program reads the same."""

    def escape(found: re.Match[str]) -> str:
        units = found.group().encode("utf-16-be", "surrogatepass").hex()
        return "".join(f"\\u{unit}" for unit in re.findall("....", units))

    return _NOT_PLAIN.sub(lambda found: found.group() if found.group().isprintable() else escape(found), written)


def one_line(text: object) -> str:
    """Make one harmless line of what others wrote: no card number, and nothing that steers a terminal."""
    return mask_cards(printable(" ".join(str(text).splitlines())))


_LONGEST_WORD = 256
_NUMBERS = re.compile(rf"\d(?>{_GAP}\d)*+{_GAP}")


def excerpt(text: str, longest: int = MAX_SHOWN) -> str:
    """Cut a text to what is shown of it, but not within a word or number: a part of one would not be recognised."""
    if len(text) <= longest:
        return text
    head = text[:longest]
    border = max(head.rfind(mark, max(longest - _LONGEST_WORD, 0)) for mark in " \n\t\"'<>,;&")
    head = head[: border if border > 0 else longest]
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
_HIDERS: tuple[Callable[[str], str], ...] = (
    functools.partial(
        re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----.*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)", re.DOTALL).sub, HIDDEN
    ),
    functools.partial(
        re.compile(rf"((?:authorization|cookie){_BETWEEN})(?:{_QUOTED}|[^\n<]+)", re.IGNORECASE).sub, _hide_value
    ),
    functools.partial(re.compile(rf"({_NAMED}{_BETWEEN})(?:{_QUOTED}|[^\s\"'&,;<>]+)", re.IGNORECASE).sub, _hide_value),
    functools.partial(re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{40,}={0,2}").sub, _hide_run),
    functools.partial(re.compile(rf"[\w.+-]{{1,64}}@{_DOMAIN.pattern}").sub, lambda found: mask_email(found.group())),
    mask_cards,
    functools.partial(
        re.compile(r"\+\d[\d ()-]{7,20}\d|\b[78] ?\(\d{3}\) ?\d{3}[ -]?\d\d[ -]?\d\d", re.ASCII).sub,
        lambda found: mask_phone(found.group()),
    ),
    functools.partial(_NUMBER.sub, _truncate_number),
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
    head = printable_lines(head)
    for hide in _HIDERS:
        head = hide(head)
    return head if len(text) <= MAX_SHOWN else f"{head} [{len(text)} characters]"
