"""What is refused before any work on a data set begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.trees import mot_sequence
from vidseg import plugins
from vidseg.datasets.checks import examine
from vidseg.errors import DataError
from vidseg.experiment.open import open_dataset
from vidseg.plugins.spec import parse
from vidseg.utils.progress import Quiet


@pytest.mark.parametrize("name", ["a\nb", "c\td", "e\x1b[31m", "f\u2028"])
def test_names_with_control_characters(tmp_path: Path, name: str) -> None:
    mot_sequence(tmp_path, name, frames=2, seqinfo=False)
    with pytest.raises(DataError, match="holds a line break or another control") as caught:
        open_dataset(parse(f"mot:{tmp_path}"), Quiet())
    assert repr(name) in str(caught.value)
    found = examine(plugins.create("dataset", f"mot:{tmp_path}")).findings
    assert [one.video for one in found if one.wrong] == [name]
