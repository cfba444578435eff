"""A distribution that is wrong in every way a plugin can be; written into a folder by tests.

Nothing is installed: :func:`install` writes the modules and the ``*.dist-info`` folder that
``importlib.metadata`` reads, and the folder is put on ``sys.path`` or ``PYTHONPATH``.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = "vidseg-broken"
VERSION = "6.6.6"

BEGIN = '''
"""A module that leaves a trace when it is imported."""
import pathlib
pathlib.Path(__file__).with_suffix(".imported").touch()
'''
SAMPLE = "    def sample(self, videos, ctx): return []\n"
MODULES = {
    "broken_import": "import there_is_no_such_module\n",
    "broken_raises": 'raise RuntimeError("two\\nlines")\n',
    "broken_exit": "import sys\nsys.exit('licence expired')\n",
    "broken_abort": "import os\nos._exit(3)\n",
    "broken_syntax": "def f(:\n",
    "broken_classes": f"""
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from nowhere import Thing

class OldContract:
    contract = 0
{SAMPLE}
class NoContract:
{SAMPLE}
def function(n: int = 1):
    return None

class Kwargs:
    '''Takes anything.'''
    contract = 1
    def __init__(self, n: int = 1, **rest: int): ...
{SAMPLE}
class Untyped:
    contract = 1
    def __init__(self, n=1): ...
{SAMPLE}
class Unresolved:
    contract = 1
    def __init__(self, thing: Thing | None = None): ...
{SAMPLE}
class NoMethod:
    contract = 1
    def __init__(self, n: int = 1): ...

class Fails:
    '''Its signature is right, its constructor is not.'''
    contract = 1
    def __init__(self, n: int = 1):
        raise KeyError("no key")
{SAMPLE}
class Fine:
    '''Works, but a built-in has the name.'''
    contract = 1
{SAMPLE}""",
}
"""Source by module name; each leaves ``NAME.imported`` beside it when it is imported."""

SAMPLERS = {
    "absent": "broken_absent:Sampler",
    "import": "broken_import:Sampler",
    "raises": "broken_raises:Sampler",
    "exit": "broken_exit:Sampler",
    "abort": "broken_abort:Sampler",
    "syntax": "broken_syntax:Sampler",
    "attribute": "broken_classes:Absent",
    "old-contract": "broken_classes:OldContract",
    "no-contract": "broken_classes:NoContract",
    "function": "broken_classes:function",
    "kwargs": "broken_classes:Kwargs",
    "untyped": "broken_classes:Untyped",
    "unresolved": "broken_classes:Unresolved",
    "no-method": "broken_classes:NoMethod",
    "fails": "broken_classes:Fails",
    "successive": "broken_classes:Fine",
}
"""Entry points of the broken distribution; the last takes the name of a built-in."""


def install(
    folder: Path,
    *,
    package: str = PACKAGE,
    version: str | None = VERSION,
    samplers: dict[str, str] | None = None,
    modules: dict[str, str] | None = None,
    extra: str = "",
) -> Path:
    """Write a distribution that importlib.metadata finds in ``folder``; return ``folder``.

    Args:
        folder: goes onto ``sys.path`` afterwards.
        package: its name in METADATA.
        version: its version; None writes no METADATA, as an interrupted removal leaves it.
        samplers: entry points of the group ``vidseg.samplers``.
        modules: source by module name.
        extra: more lines of ``entry_points.txt``.
    """
    info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    if version is not None:
        text = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        (info / "METADATA").write_text(text)
    entries = SAMPLERS if samplers is None else samplers
    lines = ["[vidseg.samplers]", *(f"{name} = {target}" for name, target in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n" + extra)
    for name, source in (MODULES if modules is None else modules).items():
        future = "from __future__ import annotations\n" if "from __future__" in source else ""
        body = source.replace(future, "") if future else source
        (folder / f"{name}.py").write_text(future + BEGIN + body)
    return folder
