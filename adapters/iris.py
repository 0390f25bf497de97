"""Which texts of a manifest are links: addresses, and paths of a repository."""

import re
from typing import Final

_PART: Final = r"[A-Za-z0-9._~!$&'()*+,;=@-]+"
_TAIL: Final = rf"(?:/{_PART})*/?(?:\?[A-Za-z0-9._~=&-]*)?(?:#[A-Za-z0-9._~-]*)?"
_LINK: Final = re.compile(
    rf"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{{1,5}})?{_TAIL}"
    rf"|{_PART}/{_PART}{_TAIL}",
    re.ASCII,
)


def is_link(text: str) -> bool:
    """Whether a text is an http address or a relative path with a slash in it.

    Narrower than what IRIs may be: what is taken for a link is one for every reader.
    """
    return _LINK.fullmatch(text) is not None
