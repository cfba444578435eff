"""Names of videos as names of folders."""

from __future__ import annotations

import re

from vidseg.errors import DataError

_ODD = re.compile(r"[^\w .()+,=@-]|^[. ]|[. ]$", re.UNICODE)
_LONGEST = 200
_CODING = ("utf-8", "surrogateescape")


def safe_name(name: str) -> str:
    """Return a name that is safe as a folder's: anything odd is percent-encoded as in addresses.

    Letters of any script, digits, spaces inside and ``_-.()+,=@`` stay. Two names never become one,
    and decoding the percents gives the name back.

    Raises:
        DataError: the name is empty or too long for a folder.
    """
    found = _ODD.sub(lambda match: "".join(f"%{b:02X}" for b in match[0].encode(*_CODING)), name)
    if not found or len(found.encode()) > _LONGEST:
        raise DataError(
            f"{name[:60]!r} cannot be the name of a folder", hint="rename the video, then convert"
        )
    return found
