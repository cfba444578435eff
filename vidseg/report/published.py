"""The paper's Tables I to VI as printed, in whole percents, with what is odd about them.

gscore is precision x recall: the paper does not define it, but 23 of the 27 published pairs fit
``PR <= IoU <= 1 / (2 / sqrt(PR) - 1)``, which holds for one confusion table, to rounding. The
others carry a note here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidseg.experiment.records import Row

MIXED = (
    "IoU and gscore of this row cannot come from one confusion table; they fit if IoU is a mean "
    "over videos and gscore is pooled, or mean precision × mean recall."
)
SWAPPED = (
    "IoU below precision × recall is impossible; the columns are probably swapped (the paper's "
    "text says 31 % gscore)."
)
SAME_OBJECTIVE = {
    "liblinear": ("pixel_svm", "liblinear", "block_liblinear"),
    "sgd": ("sgd", "sgd_svm"),
}
"""The paper's pipelines, and the classifiers here that minimise the same objective."""
SAME_NETWORK = {"vgg": ("vgg",), "unet": ("unet",), "deep unet": ("deep_unet",)}
"""The paper's networks, and the classifiers here of the same architecture."""


@dataclass(frozen=True)
class Printed:
    """One row as printed, whole percents; accuracy None on VIRAT."""

    arm: str
    pipeline: str
    accuracy: int | None
    iou: int
    gscore: int
    note: str = ""


@dataclass(frozen=True)
class PublishedTable:
    """One table of the paper."""

    number: str
    title: str
    data: str
    rows: tuple[Printed, ...]

    @property
    def arms(self) -> list[str]:
        """The frame settings of the table, in its order."""
        return list(dict.fromkeys(row.arm for row in self.rows))

    def row(self, arm: str, pipeline: str) -> Printed | None:
        """Return the row of a frame setting and a pipeline of the paper, None without one."""
        return next((r for r in self.rows if (r.arm, r.pipeline) == (arm, pipeline)), None)


MOT, VIRAT = "MOT16", "VIRAT"
TABLES = (
    PublishedTable(
        "I",
        "1 vs 20 for CNN+SVM on MOT16",
        MOT,
        (
            Printed("1", "liblinear", 90, 33, 29),
            Printed("20", "liblinear", 91, 36, 31),
            Printed("1", "sgd", 88, 12, 10),
            Printed("20", "sgd", 89, 38, 30),
        ),
    ),
    PublishedTable(
        "II",
        "1by20 vs 400 for CNN+SVM on MOT16",
        MOT,
        (
            Printed("1by20", "liblinear", 87, 40, 34),
            Printed("400", "liblinear", 89, 45, 39),
            Printed("1by20", "sgd", 87, 35, 27),
            Printed("400", "sgd", 89, 48, 33, MIXED),
        ),
    ),
    PublishedTable(
        "III",
        "1 vs 20 for CNN+SVM on VIRAT",
        VIRAT,
        (
            Printed("1", "liblinear", None, 17, 8),
            Printed("20", "liblinear", None, 12, 6),
            Printed("1", "sgd", None, 13, 9),
            Printed("20", "sgd", None, 11, 6),
        ),
    ),
    PublishedTable(
        "IV",
        "1by20 vs 400 for CNN+SVM on VIRAT",
        VIRAT,
        (
            Printed("1by20", "liblinear", None, 12, 4),
            Printed("400", "liblinear", None, 20, 10, MIXED),
            Printed("1by20", "sgd", None, 11, 6),
            Printed("400", "sgd", None, 21, 9, MIXED),
        ),
    ),
    PublishedTable(
        "V",
        "CNN on MOT16",
        MOT,
        (
            Printed("1", "vgg", 84, 8, 3),
            Printed("20", "vgg", 85, 13, 6),
            Printed("1", "unet", 88, 9, 6),
            Printed("20", "unet", 88, 12, 8),
            Printed("400", "unet", 83, 17, 11),
            Printed("1", "deep unet", 87, 0, 0),
            Printed("20", "deep unet", 89, 20, 16),
            Printed("400", "deep unet", 91, 31, 35, SWAPPED),
        ),
    ),
    PublishedTable(
        "VI",
        "CNN on VIRAT",
        VIRAT,
        (
            Printed("20", "vgg", None, 0, 0),
            Printed("1", "deep unet", None, 11, 9),
            Printed("400", "deep unet", None, 22, 21),
        ),
    ),
)


def tables_for(source: str) -> list[PublishedTable]:
    """Return the paper's tables that a data set is shown beside: VIRAT's for VIRAT, else MOT16's.

    Args:
        source: the data set's spec, such as ``"mot:data/mot"``.
    """
    data = VIRAT if source.partition(":")[0].startswith("virat") else MOT
    return [table for table in TABLES if table.data == data]


def paper_pipeline(name: str, config: Row) -> str | None:
    """Return the paper's pipeline that one of ours corresponds to, None without one.

    Args:
        name: our pipeline's name in the suite's file.
        config: the resolved suite file.
    """
    pipeline = config.get("pipelines", {}).get(name) or {}
    classifier = pipeline.get("classifier") or {}
    used: Sequence[str] = [str(classifier.get("use", "")), name]
    for one in used:
        for published, ours in (SAME_OBJECTIVE | SAME_NETWORK).items():
            if one in ours:
                return published
    return None
