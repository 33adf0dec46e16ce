"""Content-Disposition for any file name (RFC 6266, RFC 8187; THREATS T22)."""

from __future__ import annotations

from urllib.parse import quote

from pixlsrve.media.originals import visible_text

_ATTR_CHARS = "!#$&+-.^_`|~"
"""What RFC 8187 leaves unencoded beside letters and digits."""
_SEPARATORS = str.maketrans({"/": "_", "\\": "_"})
_NAME_MAX = 255


def content_disposition(filename: str | None, *, attachment: bool) -> str:
    """The header value: `inline` or `attachment` with a name that can be neither a path nor a second parameter.

    Controls, bidirectional characters and undecodable bytes are shown, not sent; where the name is not plain ASCII,
    `filename` holds an approximation for old clients (RFC 6266 appendix D) and `filename*` the name itself.
    """
    kind = "attachment" if attachment else "inline"
    if not filename:
        return kind
    name = visible_text(filename).translate(_SEPARATORS)[:_NAME_MAX]
    # Percent signs and quotes are what recipients disagree about (RFC 6266 appendix D).
    plain = "".join(character if " " <= character <= "~" and character not in '"%' else "_" for character in name)
    value = f'{kind}; filename="{plain}"'
    return value if plain == name else f"{value}; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"
