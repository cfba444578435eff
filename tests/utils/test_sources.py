"""The import closure: what a module runs is in it, however it is imported, and nothing else."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path

import pytest

from vidseg.errors import VidsegError
from vidseg.utils import sources
from vidseg.utils.sources import Package, closure, code_of, locate

FILES = {
    "pack/__init__.py": "from pack.always import x\n",
    "pack/always.py": "x = 1\n",
    "pack/main.py": (
        '"""Text."""\n'
        "from typing import TYPE_CHECKING\n"
        "import numpy, pack.plain\n"
        "from pack import module\n"
        "from .sub import thing\n"
        "from . import beside\n"
        "if TYPE_CHECKING:\n    from pack import types_only\n"
        "def late():\n    import pack.inside\n    return run('-m', 'pack.started')\n"
        "LAZY = 'pack.lazy:Name'\n"
    ),
    "pack/plain.py": "import pack.main\n",
    "pack/module.py": "",
    "pack/beside.py": "from pathlib import Path\nCHILD = Path(__file__).with_name('child.py')\n",
    "pack/child.py": "from pack import of_child\n",
    "pack/of_child.py": "",
    "pack/inside.py": "",
    "pack/started.py": "",
    "pack/lazy.py": "",
    "pack/types_only.py": "",
    "pack/unused.py": "",
    "pack/sub/__init__.py": "",
    "pack/sub/thing.py": "from .. import up\nfrom .space import inner\n",
    "pack/sub/space/inner.py": "",
    "pack/up.py": "",
    "pack/table.csv": "1,2\n",
    "pack/sub/data/deep.json": "{}",
    "pack/__pycache__/main.nbi": "compiled",
    "pack/.hidden": "",
}
REACHED = {
    "pack", "pack.always", "pack.main", "pack.plain", "pack.module", "pack.beside", "pack.child",
    "pack.of_child", "pack.inside", "pack.started", "pack.lazy", "pack.sub", "pack.sub.thing",
    "pack.up", "pack.sub.space.inner", "pack/table.csv", "pack/sub/data/deep.json",
}  # fmt: skip


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return written(tmp_path / "site", FILES)


def read(root: Path, module: str = "pack.main", **more: object) -> dict[str, str]:
    """Return a closure as a new process would see it."""
    for cached in (sources._read_once, sources._find, sources._data_once):
        cached.cache_clear()
    return closure(module, {Package("pack", (str(root / "pack"),))}, **more)


def test_the_closure_is_what_runs(place: Path) -> None:
    assert read(place).keys() == REACHED


@pytest.mark.parametrize("name", sorted(REACHED))
def test_each_file_of_it_counts(place: Path, name: str) -> None:
    before = read(place)
    file = place / name if "/" in name else place / f"{name.replace('.', '/')}.py"
    file = file if file.exists() else place / name.replace(".", "/") / "__init__.py"
    file.write_text(file.read_text() + "\nchanged = 1\n")
    after = read(place)
    assert {one for one in before if before[one] != after[one]} == {name}


def test_the_code_of_a_module_is_read_without_its_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"alone/__init__.py": "", "alone/main.py": "import alone.other\n"}
    root = written(tmp_path, files)
    (root / "alone" / "other.py").write_bytes(b"x = '\xff'\n")
    monkeypatch.syspath_prepend(root)
    _, package = locate("alone")
    with pytest.raises(VidsegError, match="cannot be read"):
        closure("alone.main", {package})
    assert code_of("alone.main")
    with pytest.raises(VidsegError, match=r"alone\.missing is not found"):
        code_of("alone.missing")


def test_what_does_not_run_does_not_count(place: Path) -> None:
    before = read(place)
    for name in ("unused.py", "types_only.py", "__pycache__/main.nbi", ".hidden"):
        (place / "pack" / name).write_text("changed = 1\n")
    main = place / "pack" / "main.py"
    text = main.read_text().replace('"""Text."""', '"""Another text."""\n\n# a comment')
    main.write_text(
        text.replace("LAZY = 'pack.lazy:Name'", 'LAZY = (  "pack.lazy:Name" )\n"""Doc"""')
    )
    assert read(place) == before


def test_every_python_gives_the_same_hash() -> None:
    """``ast.dump`` names empty fields up to 3.12; 3.12.1 has an empty text after ``{n}``."""
    text = "def f(n=None) -> str:\n    return f'{1:0{n}}'\n"
    expected = (
        "Module(body=[FunctionDef(name='f',args=arguments(args=[arg(arg='n')],defaults=[Constant()])"
        ",body=[Return(value=JoinedStr(values=[FormattedValue(value=Constant(value=1),"
        "conversion=-1,format_spec=JoinedStr(values=[Constant(value='0'),"
        "FormattedValue(value=Name(id='n',ctx=Load()),conversion=-1)]))]))],"
        "returns=Name(id='str',ctx=Load()))])"
    )
    found = sources._parsed(text, "pack.f", "pack", "f.py").digest
    assert found == hashlib.sha256(expected.encode()).hexdigest()


def test_what_is_left_out_is_left_out_with_what_only_it_imports(place: Path) -> None:
    gone = {
        "pack.sub.thing",
        "pack.sub.space.inner",
        "pack.up",
        "pack.beside",
        "pack.child",
        "pack.of_child",
    }
    found = read(place, leave={"pack.sub.thing", "pack.beside"})
    assert {name for name in REACHED - found.keys() if "/" not in name} == gone


def test_a_file_is_read_once_a_process(place: Path) -> None:
    before = read(place)
    (place / "pack" / "main.py").write_text("")
    package = Package("pack", (str(place / "pack"),))
    assert closure("pack.main", {package}) == before


def test_the_folder_is_not_in_it(place: Path, tmp_path: Path) -> None:
    assert read(place) == read(written(tmp_path / "elsewhere", FILES))


def test_a_module_that_reads_from_its_own_folder_only(place: Path) -> None:
    written(place, {"pack/sub/reads.py": "HERE = __file__\n", "pack/sub/own.txt": "1"})
    found = closure("pack.sub.reads", {Package("pack", (str(place / "pack"),), near=True)})
    data = {name for name in found if "/" in name}
    assert data == {"pack/sub/own.txt", "pack/sub/data/deep.json"}


@pytest.mark.parametrize("module", ["pack.absent", "pack.absent.deeper", "other", "pack.sub.data"])
def test_a_module_without_source_is_an_error(place: Path, module: str) -> None:
    with pytest.raises(VidsegError, match=f"the module {module} is not found"):
        read(place, module)


def test_a_compiled_module_and_one_that_cannot_be_parsed_count(place: Path) -> None:
    written(place, {"pack/old.py": "print 1\n", "pack/fast.so": "binary"})
    (place / "pack" / "main.py").write_text("def late():\n    from pack import fast, old\n")
    suffix = EXTENSION_SUFFIXES[0]
    (place / "pack" / "fast.so").rename(place / "pack" / f"fast{suffix}")
    before = read(place)
    assert {"pack.old", "pack.fast"} <= before.keys()
    (place / "pack" / f"fast{suffix}").write_text("another")
    assert read(place)["pack.fast"] != before["pack.fast"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def of(module: str) -> dict[str, str]:
    name, package = locate(module)
    return closure(name, {package})


def test_a_module_of_one_file(site: Path) -> None:
    text = "from pathlib import Path\nTABLE = Path(__file__).with_name('alone.csv')\n"
    written(site, {"vs_alone.py": text, "alone.csv": "1", "vs_neighbour.py": "", "other.csv": ""})
    assert of("vs_alone").keys() == {"vs_alone", "vs_alone/alone.csv"}


def test_a_namespace_package_over_two_folders(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(site / "b", {"vs_company/other/__init__.py": "", "vs_company/other/data.txt": ""})
    text = "import vs_company.other, vs_company.mine.part\n"
    written(site, {"vs_company/mine/__init__.py": text, "vs_company/mine/part.py": ""})
    monkeypatch.syspath_prepend(str(site / "b"))
    assert of("vs_company.mine").keys() == {
        "vs_company.mine",
        "vs_company.mine.part",
        "vs_company.other",
    }


def test_a_zip_file(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def packed(table: str) -> dict[str, str]:
        archive = site / f"{len(table)}" / "plugins.zip"
        archive.parent.mkdir()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("vs_zipped/__init__.py", "")
            file.writestr("vs_zipped/part.py", "from vs_zipped import more\n")
            file.writestr("vs_zipped/more.py", "import importlib.resources\n")
            file.writestr("vs_zipped/table.csv", table)
        monkeypatch.syspath_prepend(str(archive))
        return of("vs_zipped.part")

    names = {"vs_zipped", "vs_zipped.part", "vs_zipped.more"}
    first, second = packed("1"), packed("10")
    assert first.keys() == second.keys() == names | {"plugins.zip"}
    assert {name for name in first if first[name] != second[name]} == {"plugins.zip"}


def test_the_main_module(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(site, {"script.py": "x = 1\n", "vs_run/__init__.py": "", "vs_run/it.py": ""})
    main = type(sys)("__main__")
    main.__file__, main.__spec__ = str(site / "script.py"), None
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert of("__main__").keys() == {"script"}
    main.__spec__ = ModuleSpec("vs_run.it", None)
    assert of("__main__").keys() == {"vs_run", "vs_run.it"}
    main.__spec__ = None
    del main.__file__
    with pytest.raises(VidsegError, match="the module __main__ is not found"):
        of("__main__")


@pytest.mark.parametrize("module", ["vs_no_such_package.part", "sys"])
def test_a_package_that_is_not_there(module: str) -> None:
    with pytest.raises(VidsegError, match="is not found"):
        locate(module)
