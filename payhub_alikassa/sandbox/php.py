r"""Write JSON and queries to the byte as the provider's PHP does, because it signs what it writes.

https://www.php.net/manual/en/function.json-encode.php and
https://www.php.net/manual/en/function.http-build-query.php, both with their default flags. The
driver has a writer of its own, so that the two do not share a mistake.
"""

import json
import re
from collections.abc import Mapping
from urllib.parse import quote_plus


def php_json(value: object) -> bytes:
    r"""Encode JSON: compact, `\/`, `\uXXXX` for what is not ASCII, DEL as it is."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    text = re.sub(r"[^\x00-\x7f]", lambda character: json.dumps(character[0])[1:-1], text)
    return text.replace("/", "\\/").encode()


def php_query(fields: Mapping[str, object]) -> bytes:
    """Encode a query or a form: `null` is left out, `true` is 1 and `false` is 0."""
    given = ((name, value) for name, value in fields.items() if value is not None)
    pairs = ((name, str(int(value) if isinstance(value, bool) else value)) for name, value in given)
    return "&".join(f"{quote_plus(name)}={quote_plus(text)}" for name, text in pairs).replace("~", "%7E").encode()
