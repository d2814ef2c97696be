"""Query strings and forms become names and values; knows no parameter."""

from urllib.parse import unquote_to_bytes


def octets(text: str) -> bytes:
    """The bytes that came over the line, of header or target text (Latin-1)."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def parse_pairs(query: str | bytes, plus: bytes = b" ") -> list[tuple[bytes, bytes]]:
    """Decode a query string or a form into pairs in their order; `plus` is what + stands for."""
    raw = octets(query) if isinstance(query, str) else query
    return [
        (unquote_to_bytes(name.replace(b"+", plus)), unquote_to_bytes(value.replace(b"+", plus)))
        for name, _, value in (part.partition(b"=") for part in raw.split(b"&") if part)
    ]


def parse_query(query: str | bytes) -> dict[str, str]:
    """Decode a query string or a form; of a repeated name the first value stays."""
    decoded: dict[str, str] = {}
    for name, value in parse_pairs(query):
        decoded.setdefault(_decode(name), _decode(value))
    return decoded


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
