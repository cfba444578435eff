"""Work before there are labels: which frames of videos are worth labelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidseg.api.progress import showing
from vidseg.errors import UsageError
from vidseg.utils.paths import user_path
from vidseg.utils.progress import Progress

if TYPE_CHECKING:
    from vidseg.curate.advice import Advice
    from vidseg.curate.audit.audit import Audit
    from vidseg.curate.audit.given import GivenSplit
    from vidseg.curate.looked import Tools
    from vidseg.curate.selection import Selection
    from vidseg.experiment.config import RunConfig
    from vidseg.plugins.spec import Spec
    from vidseg.types import Size

BY = "k-center"
"""The sampler that chooses where none is named."""


def select(
    paths: str | Path | Sequence[str | Path],
    *,
    n: int | None = None,
    by: str | int | dict[str, Any] | None = None,
    total: int | None = None,
    like: str | Path | None = None,
    extractor: str | dict[str, Any] | None = None,
    image_size: str | Size | None = None,
    seed: int = 0,
    fps: float | None = None,
    output: str | Path | None = None,
    export: str | Sequence[str] = ("list", "csv"),
    device: str = "auto",
    threads: int | None = None,
    store: str | Path | None = None,
    store_limit: str | int | None = None,
    tracking_uri: str | None = None,
    progress: bool | Progress = False,
) -> Selection:
    """Choose frames worth labelling from clips and folders of pictures without labels.

    Args:
        paths: clips, folders of pictures, folders of either.
        n: frames of each video; None: 20, or what the sampler says.
        by: the sampler; None: ``k-center``.
        total: frames of all videos together, instead of ``n``.
        like: a finished suite whose advice is applied, instead of ``by``: a report's folder or
            JSON file, a run id, or a suite's name.
        extractor: whose features selectors compare; None: ``filters``, or the suite's.
        image_size: what it sees; None: the longer side is 160 pixels, or the suite's.
        seed: of random samplers.
        fps: frames a second of videos that do not state them.
        output: new folder of the files; None: nothing is written.
        export: what is written beside the contact sheets: list, csv, cvat, yolo, folder.
        device, threads, store, store_limit: as of :func:`vidseg.run`.
        tracking_uri: where a suite's run is looked up.
        progress: as of :func:`vidseg.run`.

    Returns:
        The frames; videos that could not be read are named in ``faults``.

    Raises:
        DataError: no video could be read, or the suite has shown nothing to apply.
        VidsegError: what was refused, where, and what to do about it.
    """
    from vidseg.curate.select import Wanted
    from vidseg.curate.select import select as done

    _check(n, by, total, like)
    kinds = _exports([export] if isinstance(export, str) else export)
    given = [paths] if isinstance(paths, str | Path) else paths
    advice = None if like is None else _advice(str(like), tracking_uri)
    sampler = _sampler(advice, by, n, total)
    with showing(progress) as shown:
        if advice is not None:
            shown.say(f"as the suite {advice.suite} advises ({advice.setting}): {sampler}")
        tools = _tools(advice, extractor, image_size, device, threads, store, store_limit, shown)
        wanted = Wanted(
            [user_path(path) for path in given],
            sampler,
            total,
            seed,
            fps,
            None if output is None else user_path(output),
            kinds,
        )
        return done(wanted, tools)


def _check(n: int | None, by: object, total: int | None, like: object) -> None:
    """Refuse options that contradict each other.

    Raises:
        UsageError: they do, or a number is not positive.
    """
    for name, value in (("n", n), ("total", total)):
        if value is not None and value < 1:
            raise UsageError(f"{value} is refused", where=name, hint="take 1 frame at least")
    if n is not None and total is not None:
        raise UsageError("n and total exclude each other", hint="n is of each video")
    if like is not None and (by is not None or n is not None or total is not None):
        raise UsageError(
            "the suite says how frames are chosen and how many",
            where="like",
            hint="leave out by, n and total",
        )


def _exports(kinds: Sequence[str]) -> list[str]:
    from vidseg.curate.exports import EXPORTS

    for kind in kinds:
        if kind not in EXPORTS:
            raise UsageError(
                f"there is no export {kind!r}", where="export", hint=f"choose {', '.join(EXPORTS)}"
            )
    return list(dict.fromkeys(kinds))


def _sampler(
    advice: Advice | None,
    by: str | int | dict[str, Any] | None,
    n: int | None,
    total: int | None,
) -> Spec:
    """Return the sampler; with ``total`` it has no number of frames yet."""
    from vidseg.curate.choose import all_of_short_videos, with_count, without_count
    from vidseg.plugins.spec import parse

    if advice is not None:
        return with_count(all_of_short_videos(advice.sampler), None, where="like")
    spec = parse(by if by is not None else BY, where="by")
    return with_count(spec, n, where="by") if total is None else without_count(spec, where="by")


def _advice(like: str, tracking_uri: str | None) -> Advice:
    from vidseg.curate.advice import find_advice, is_report, read_reports

    reports: list[Mapping[str, Any]]
    if is_report(like):
        reports = read_reports(user_path(like))
    else:
        from vidseg.api.suites import rebuild_report

        reports = [one.report.to_json() for one in rebuild_report(like, tracking_uri=tracking_uri)]
    return find_advice(reports, like)


def _tools(
    advice: Advice | None,
    extractor: str | dict[str, Any] | None,
    image_size: str | Size | None,
    device: str,
    threads: int | None,
    store: str | Path | None,
    store_limit: str | int | None,
    progress: Progress,
) -> Tools:
    """Return what frames are looked at with; of a suite's advice its extractor and image size."""
    from vidseg.api.session import Places
    from vidseg.curate.looked import Tools
    from vidseg.experiment.config import make_config
    from vidseg.experiment.open import open_extractor

    conditions: dict[str, Any] = {"device": device, "threads": threads}
    if image_size is not None:
        conditions["image_size"] = image_size
    plain = make_config({**conditions, "extractor": "filters"})
    config = make_config({**conditions, "extractor": extractor or "filters"})
    size: Any = (config.image_size or "native") if image_size is not None else None
    if advice is not None:
        config, size = _suites(advice.config, config, extractor is not None, size)
    return Tools(
        Places.find(store, store_limit).store,
        str(config.extractor),
        open_extractor(config),
        open_extractor(plain),
        size,
        progress,
    )


def _suites(
    advised: RunConfig, given: RunConfig, extractor: bool, size: Any
) -> tuple[RunConfig, Any]:
    """Return the configuration of a suite's pipeline, on the devices that are asked for here."""
    from dataclasses import replace

    here = replace(advised, device=given.device, threads=given.threads)
    if extractor:
        here = replace(here, extractor=given.extractor)
    return here, size or here.image_size or "native"


def audit(
    paths: str | Path | Sequence[str | Path],
    *,
    images: str | Path | None = None,
    near: int | None = None,
    pattern: str = "name",
    picture: str | Path | None = None,
    write: str | Path | None = None,
    price: bool = False,
    dataset: str | dict[str, Any] | Sequence[str | dict[str, Any]] | None = None,
    extractor: str | dict[str, Any] = "filters",
    classifier: str | dict[str, Any] = "pixel_svm",
    image_size: str | Size = "160x120",
    frames: int = 20,
    device: str = "auto",
    threads: int | None = None,
    store: str | Path | None = None,
    ledger: str | Path | None = None,
    progress: bool | Progress = False,
) -> Audit:
    """Find what of an existing split's test pictures was seen in training.

    Args:
        paths: a YOLO ``data.yaml`` or folder; COCO files or folders of pictures, the one that is
            trained on first; or a CSV of file,split.
        images: folder of the pictures, where YOLO or COCO files stand elsewhere.
        near: frames of one video count when they are at most so many apart; None: always.
        pattern: how frames of one video are found by their names: name, folder, picture, or a
            regular expression with the group ``video``.
        picture: PNG file of the worst pairs; None: none is written.
        write: new folder for a split without leaks, in the format of the given one.
        price: train on the split and without its leaks, and compare the scores.
        dataset: what has the labels for ``price``; None: the YOLO or COCO files.
        extractor, classifier, image_size: what is trained for ``price``.
        frames: of each video and side at most so many are trained on and tested on.
        device, threads, store, ledger, progress: as of :func:`vidseg.run`.

    Raises:
        VidsegError: what was refused, where, and what to do about it.
    """
    from vidseg.api.session import Places
    from vidseg.curate.audit.audit import Audit as Result
    from vidseg.curate.audit.given import read_split
    from vidseg.curate.audit.leaks import find_leaks
    from vidseg.curate.exports import check_output

    if write is not None:
        check_output(user_path(write))
    split = read_split([paths] if isinstance(paths, str | Path) else paths, images)
    conditions: dict[str, Any] = {
        "dataset": dataset if dataset is not None else split.datasets,
        "extractor": extractor,
        "classifier": classifier,
        "image_size": image_size,
        "sampler": "all",
        "device": device,
        "threads": threads,
    }
    config = _priced_config(conditions) if price else None
    places = Places.find(store, None, ledger)
    with showing(progress) as shown:
        found = find_leaks(split, near, pattern, places.store.fact_cache, shown)
        for note in found.notes:
            shown.say(note)
        done = Result(split, found, _disjoint(split, found.scenes))
        if write is not None:
            _write_disjoint(done, user_path(write))
        if picture is not None:
            _write_pairs(done, user_path(picture))
        if config is None:
            return done
        from dataclasses import replace

        from vidseg.curate.audit.price import Priced
        from vidseg.curate.audit.price import price as priced

        how = Priced(config, places.store, places.ledger, shown, frames)
        return replace(done, price=priced(split, found.scenes, how))


def _priced_config(conditions: dict[str, Any]) -> RunConfig:
    from vidseg.experiment.config import make_config

    if not conditions["dataset"]:
        raise UsageError(
            "folders and lists have no labels",
            where="price",
            hint="name the data set that labels the pictures, such as --dataset mot:PATH",
        )
    return make_config({name: value for name, value in conditions.items() if value is not None})


def _disjoint(split: GivenSplit, scenes: Sequence[int]) -> tuple[str, ...] | None:
    from vidseg.curate.audit.disjoint import scene_disjoint
    from vidseg.errors import DataError

    try:
        return tuple(scene_disjoint(split, scenes))
    except DataError:
        return None


def _write_disjoint(done: Audit, output: Path) -> None:
    from vidseg.curate.audit.disjoint import scene_disjoint, write_split

    sides = done.disjoint or scene_disjoint(done.split, done.found.scenes)
    write_split(done.split, sides, output)


def _write_pairs(done: Audit, file: Path) -> None:
    from PIL import Image

    from vidseg.curate.audit.audit import draw_pairs
    from vidseg.utils.files import replacing

    if not done.pairs:
        return
    try:
        with replacing(file) as temporary:
            Image.fromarray(draw_pairs(done)).save(temporary, "png")
    except OSError as error:
        raise UsageError(f"cannot be written ({error.strerror})", where=file) from error
