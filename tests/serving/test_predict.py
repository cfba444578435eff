"""Predictions: every picture once, whole files only, the right frames, nothing foreign touched."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow

from tests.helpers.mlflow_fixtures import make_model
from vidseg.errors import DataError, UsageError, VidsegError
from vidseg.media.write_clip import write_clip
from vidseg.serving import predict as prediction
from vidseg.serving import predictor as served
from vidseg.serving.predict import Prediction, open_source, predict
from vidseg.tasks.segmentation.overlays import draw_prediction
from vidseg.utils.progress import Quiet

Image = npt.NDArray[np.uint8]
MODEL = {"address": "models:/test/1", "digest": "d1"}


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> served.Predictor:
    return served.load(*served.save(make_model(), tmp_path_factory.mktemp("model")))


class Counting:
    """A predictor that counts, and can be told to fail."""

    def __init__(self, real: served.Predictor, fail_at: int | None = None) -> None:
        self.real, self.fail_at, self.count = real, fail_at, 0
        self.threshold, self.task = real.threshold, real.task

    def mask(self, image: Image, threshold: float | None = None) -> npt.NDArray[np.bool_]:
        if self.count == self.fail_at:
            raise KeyboardInterrupt
        self.count += 1
        return self.real.mask(image, threshold)


def picture(seed: int, height: int = 40, width: int = 56) -> Image:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def folder_of(place: Path, count: int = 4, **size: int) -> Path:
    place.mkdir(parents=True)
    for index in range(count):
        Pillow.fromarray(picture(index, **size)).save(place / f"{index:05d}.png")
    return place


def run(found_by: Any, inputs: list[Path], output: Path, **options: Any) -> Prediction:
    fps = options.pop("fps", None)
    options = {"model": MODEL, "progress": Quiet(), **options}
    return predict(found_by, open_source(inputs, fps), output, **options)


def mask_of(output: Path, name: str) -> Any:
    return np.asarray(Pillow.open(output / "masks" / f"{name}.png"))


def clip_of(file: Path) -> tuple[list[Image], Fraction]:
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.average_rate is not None
        return frames, stream.average_rate


def test_folder_of_consecutive_frames(predictor: served.Predictor, tmp_path: Path) -> None:
    frames = folder_of(tmp_path / "walk")
    done = run(predictor, [frames], tmp_path / "out", fps=12.5)
    assert (done.count, done.computed) == (4, 4)
    for index in range(4):
        expected = predictor.mask(picture(index))
        found = mask_of(tmp_path / "out", f"{index:05d}")
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected * np.uint8(255))
    assert done.clip is not None
    shown, rate = clip_of(done.clip)
    assert (len(shown), rate) == (4, Fraction(25, 2))
    assert shown[0].shape == (40, 56, 3)
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {
        *(f"{index:05d}{end}" for index in range(4) for end in (".png", ".jpg")),
        "overlay.mp4",
        "prediction.json",
    }


def test_overlay_shows_what_was_found(predictor: served.Predictor, tmp_path: Path) -> None:
    smooth = np.full((64, 96, 3), 90, np.uint8)
    smooth[20:40, 30:60] = (200, 40, 40)
    Pillow.fromarray(smooth).save(tmp_path / "a.png")
    run(predictor, [tmp_path / "a.png"], tmp_path / "out")
    found = mask_of(tmp_path / "out", "a") > 0
    overlay = np.asarray(Pillow.open(tmp_path / "out" / "overlays" / "a.jpg")).astype(int)
    expected = draw_prediction(smooth, found).astype(int)
    assert np.abs(overlay - expected).mean() < 4  # JPEG
    assert not (tmp_path / "out" / "overlay.mp4").exists()


def test_drawn_prediction_changes_foreground_and_its_outline_only() -> None:
    image = np.full((480, 640, 3), 100, np.uint8)
    mask = np.zeros((480, 640), bool)
    mask[100:200, 300:400] = True
    drawn = draw_prediction(image, mask)
    near = np.zeros_like(mask)
    near[97:203, 297:403] = True
    assert (drawn[~near] == 100).all()
    assert (drawn[120:180, 320:380] != 100).all()
    assert (image == 100).all()


@pytest.mark.parametrize("size", [(48, 64), (47, 65)])
def test_written_clip_has_the_frames_in_order(tmp_path: Path, size: tuple[int, int]) -> None:
    levels = [20, 120, 220]
    write_clip((np.full((*size, 3), level, np.uint8) for level in levels), tmp_path / "c.mp4", 30)
    frames, rate = clip_of(tmp_path / "c.mp4")
    assert rate == 30
    assert [round(float(frame.mean()) / 10) * 10 for frame in frames] == levels
    assert frames[0].shape[:2] == tuple(side + side % 2 for side in size)


def test_clip_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(VidsegError, match="cannot be written"):
        write_clip(iter([picture(0)]), tmp_path / "absent" / "c.mp4", 25)


def test_clip_is_predicted_frame_by_frame(predictor: served.Predictor, tmp_path: Path) -> None:
    write_clip((picture(i, 48, 64) // 4 + 40 * i for i in range(5)), tmp_path / "c.mp4", 10)
    frames, _ = clip_of(tmp_path / "c.mp4")
    done = run(predictor, [tmp_path / "c.mp4"], tmp_path / "out")
    assert done.count == 5
    for index, frame in enumerate(frames):
        agree = (mask_of(tmp_path / "out", f"{index:06d}") > 0) == predictor.mask(frame)
        assert agree.mean() > 0.95  # chroma is interpolated in another way here
    assert done.clip is not None
    assert clip_of(done.clip)[1] == 10


def test_restart_does_only_what_is_missing(predictor: served.Predictor, tmp_path: Path) -> None:
    frames, output = folder_of(tmp_path / "walk", 5), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(Counting(predictor, fail_at=2), [frames], output)
    assert not (output / "overlay.mp4").exists()
    counting = Counting(predictor)
    done = run(counting, [frames], output)
    assert (done.computed, counting.count) == (3, 3)
    whole = run(predictor, [frames], tmp_path / "whole")
    for name in (f"{index:05d}" for index in range(5)):
        np.testing.assert_array_equal(mask_of(output, name), mask_of(tmp_path / "whole", name))
    assert done.clip is not None
    assert whole.clip is not None
    for ours, theirs in zip(clip_of(done.clip)[0], clip_of(whole.clip)[0], strict=True):
        assert np.abs(ours.astype(int) - theirs).mean() < 2  # x264's threads decide some bits
    written = done.clip.stat().st_mtime_ns
    again = run(Counting(predictor, fail_at=0), [frames], output)
    assert again.computed == 0
    assert done.clip.stat().st_mtime_ns == written
    run(predictor, [frames], output, fps=5)
    assert clip_of(done.clip)[1] == 5


def test_another_prediction_is_not_mixed_in(predictor: served.Predictor, tmp_path: Path) -> None:
    frames, output = folder_of(tmp_path / "walk", 2), tmp_path / "out"
    run(predictor, [frames], output)
    with pytest.raises(UsageError, match=r"another threshold.*--fresh"):
        run(predictor, [frames], output, threshold=0.5)
    with pytest.raises(UsageError, match="another model"):
        run(predictor, [frames], output, model={"address": "x", "digest": "d2"})
    Pillow.fromarray(picture(9)).save(frames / "00001.png")
    with pytest.raises(UsageError, match="another source"):
        run(predictor, [frames], output)
    done = run(predictor, [frames], output, threshold=1e9, fresh=True)
    assert done.computed == 2
    assert not mask_of(output, "00001").any()
    assert json.loads((output / "prediction.json").read_text())["threshold"] == 1e9


def test_same_model_under_another_address_goes_on(
    predictor: served.Predictor, tmp_path: Path
) -> None:
    frames = folder_of(tmp_path / "walk", 2)
    run(predictor, [frames], tmp_path / "out")
    done = run(predictor, [frames], tmp_path / "out", model={"address": "runs:/1", "digest": "d1"})
    assert done.computed == 0


def test_foreign_folders_are_left_alone(predictor: served.Predictor, tmp_path: Path) -> None:
    frames = folder_of(tmp_path / "data" / "images")
    truth = folder_of(tmp_path / "data" / "masks")
    before = {path: path.read_bytes() for path in truth.iterdir()}
    for fresh in (False, True):
        with pytest.raises(UsageError, match="no prediction; choose another --output"):
            run(predictor, [frames], tmp_path / "data", fresh=fresh)
    assert {path: path.read_bytes() for path in truth.iterdir()} == before
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        run(predictor, [frames], tmp_path / "file")


@pytest.mark.parametrize(
    ("names", "sizes", "expected"),
    [
        (["1", "2", "3"], [40, 40, 40], prediction.FPS),
        (["a5", "a10", "a15"], [40, 40, 40], prediction.FPS),
        (["1", "2", "4"], [40, 40, 40], None),
        (["beach", "street", "yard"], [40, 40, 40], None),
        (["1"], [40], None),
    ],
)
def test_which_folders_are_sequences(
    tmp_path: Path, names: list[str], sizes: list[int], expected: float | None
) -> None:
    for name, height in zip(names, sizes, strict=True):
        Pillow.fromarray(picture(0, height)).save(tmp_path / f"{name}.png")
    assert open_source([tmp_path]).fps == expected


def test_frames_of_several_sizes_make_no_clip(predictor: served.Predictor, tmp_path: Path) -> None:
    frames = folder_of(tmp_path / "walk", 3)
    Pillow.fromarray(picture(0, 64, 40)).save(frames / "00003.png")
    done = run(predictor, [frames], tmp_path / "out")
    assert (done.count, done.clip) == (4, None)


def test_pictures_of_many_sizes(predictor: served.Predictor, tmp_path: Path) -> None:
    files = [tmp_path / "a.png", tmp_path / "b.jpg", tmp_path / "c.png"]
    for index, file in enumerate(files):
        Pillow.fromarray(picture(index, 30 + 11 * index, 41 + 7 * index)).save(file)
    done = run(predictor, files, tmp_path / "out")
    assert done.clip is None
    for index, file in enumerate(files):
        shape = (30 + 11 * index, 41 + 7 * index)
        assert mask_of(tmp_path / "out", file.stem).shape == shape


def test_bad_inputs_are_one_line(tmp_path: Path) -> None:
    frames = folder_of(tmp_path / "walk", 2)
    (tmp_path / "empty").mkdir()
    (tmp_path / "clip.mp4").write_bytes(b"no clip")
    other = folder_of(tmp_path / "other", 1)
    refused: list[tuple[list[Path], type[VidsegError], str]] = [
        ([tmp_path / "absent"], DataError, "no such file or folder"),
        ([tmp_path / "empty"], DataError, "holds no image"),
        ([tmp_path / "clip.mp4"], DataError, "no clip that opens"),
        ([frames, frames / "00000.png"], UsageError, "one folder, or one clip"),
        ([frames / "00000.png", other / "00000.png"], DataError, "two pictures are called"),
    ]
    for inputs, kind, text in refused:
        with pytest.raises(kind, match=text) as error:
            open_source(inputs)
        assert "\n" not in str(error.value)


def test_broken_picture_is_named_and_the_others_are_kept(
    predictor: served.Predictor, tmp_path: Path
) -> None:
    frames, output = folder_of(tmp_path / "walk", 3), tmp_path / "out"
    whole = (frames / "00001.png").read_bytes()
    (frames / "00001.png").write_bytes(whole[:300])
    done = run(predictor, [frames], output)
    assert (done.count, done.computed, done.clip) == (3, 2, None)
    assert list(done.failed) == ["00001"]
    assert "00001.png: is no complete image" in done.failed["00001"]
    assert {path.name for path in (output / "masks").iterdir()} == {"00000.png", "00002.png"}
    again = run(predictor, [frames], output)
    assert (again.computed, list(again.failed)) == (0, ["00001"])
    (frames / "00001.png").write_bytes(whole)
    mended = run(predictor, [frames], output, fresh=True)
    assert (mended.failed, mended.computed) == ({}, 3)
    assert mended.clip is not None


def test_gif_is_predicted_frame_by_frame(predictor: served.Predictor, tmp_path: Path) -> None:
    first, *others = [Pillow.fromarray(picture(index)) for index in range(3)]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=40)
    done = run(predictor, [tmp_path / "a.gif"], tmp_path / "out")
    assert (done.count, done.computed) == (3, 3)
    assert done.clip is not None


def test_full_disk_leaves_nothing_half_written(
    predictor: served.Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, output = folder_of(tmp_path / "walk", 3), tmp_path / "out"
    real = Path.write_bytes

    def write_bytes(self: Path, data: bytes) -> int:
        if "00001.jpg" in self.name:
            real(self, data[:100])
            raise OSError(28, "No space left on device", str(self))
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(VidsegError, match=r"No space left on device.*what is finished is kept"):
        run(predictor, [frames], output)
    monkeypatch.undo()
    assert not list(output.rglob("*.part"))
    done = run(predictor, [frames], output)
    assert done.computed == 2
    shutil.rmtree(output)
