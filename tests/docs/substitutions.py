"""What the tests change in a documented command before they run it, and why.

Every command runs through ``vidseg``'s own command line, in a folder that holds small copies of
what the page names. A rule adds options at the end, where the last of two wins; the specs that it
takes the place of are still resolved and constructed (:func:`tests.docs.desk.check_specs`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """Where ``pattern`` is found in a command (and ``unless`` is not), ``add`` is added."""

    pattern: str
    add: Sequence[str]
    why: str
    unless: str = r"$^"


SMALL = "synthetic:videos=2,frames=21,size=96x64"
PLAIN = r"^suite (?!list|show)"

RULES = (
    Rule(rf"^run |{PLAIN}", ("--image-size", "48x32"), "pixels cost time"),
    Rule(
        r"^(run|suite) .*mot:MOT",
        ("--split", "fixed:test=MOT16-09"),
        "one fold instead of six or seven, for time",
    ),
    Rule(r"^run .*masks:DAVIS", ("--split", "fixed:test=bear"), "one fold, for time"),
    Rule(r"^run .*masks:my-videos", ("--split", "fixed:test=yard"), "one fold, for time"),
    Rule(r"^run .*clip:cameras", ("--split", "fixed:test=yard"), "one fold, for time"),
    Rule(r"^run .*(yolo:road|coco:people)", ("--split", "fixed:test=cam2"), "one fold, for time"),
    Rule(r"^run .*cvat:exports", ("--split", "fixed:test=yard"), "one fold, for time"),
    Rule(r"^run .*youtube-vos:", ("--split", "fixed:test=b2"), "one fold, for time"),
    Rule(r"^run .*virat:", ("--split", "fixed:test=virat-9"), "one fold, for time"),
    Rule(
        r"^run .*synthetic:|^suite quickstart|^run (?!.*--dataset)",
        ("--dataset", SMALL),
        "rendering a hundred larger frames takes ten seconds",
    ),
    Rule(
        r"^run ",
        ("--extractor", "filters:octaves=1"),
        "VGG16 and ResNet weights are hundreds of megabytes, and tests have no network",
        unless=r"squeezenet|resnet18|--memory-budget",
    ),
    Rule(
        r"^run .*torchvision:squeezenet1_1(\s|$)",
        ("--extractor", "torchvision:squeezenet1_1,weights=squeezenet1_1.safetensors"),
        "no network: the same extractor with weights that the test drew",
    ),
    Rule(
        rf"{PLAIN}(?!.*my-suite|quickstart)",
        ("--extractor", "filters:octaves=1"),
        "the shipped suites use VGG16, see above",
    ),
    Rule(
        rf"^run |{PLAIN}(?!paper)",
        ("--classifier", "sgd:epochs=1,C=10"),
        "the exact SVM is compiled for half a minute before it is quick; it has its own tests",
        unless=r"liblinear",
    ),
    Rule(
        r"^suite paper ",
        (
            *("--set", "pipelines.svm.classifier=sgd:epochs=1,C=1"),
            *("--set", "pipelines.literal.classifier=sgd:epochs=1,C=2"),
            *("--set", "pipelines.sgd.classifier=sgd:epochs=1,C=3"),
            *("--set", "pipelines.unet.classifier=sgd:epochs=1,C=4"),
        ),
        "the same; values of C that differ, so that they stay pipelines of their own",
    ),
    Rule(r"^suite .*gain-curve", ("--only", "1 every 1 "), "one of ten settings"),
    Rule(r"^suite .*selectors", ("--only", "first"), "one of eight settings"),
    Rule(r"^suite .*leakage", ("--only", "fold 0"), "one fold of each setting"),
    Rule(
        r"^suite (gain-curve|iso-budget|selectors)",
        ("--set", "seeds=[0]"),
        "one seed instead of up to five",
    ),
    Rule(
        r"^suite paper .*(exclude=MOT16-05|delta|vgg16)",
        ("--only", "1 sgd"),
        "the suite runs whole once, on README's first command",
    ),
    Rule(
        r"--executor processes",
        ("--executor", "local"),
        "new processes import torch for ten seconds; the slow test runs the command as it is",
    ),
    Rule(
        r"^run ",
        ("--no-refit",),
        "the served model takes seconds to log; pages that use one afterwards have it",
        unless=r"--sampler 20 --experiment try|--register",
    ),
)


def substituted(words: Sequence[str]) -> list[str]:
    """Return the words of a command with what the rules add."""
    text = " ".join(words)
    rules = [r for r in RULES if re.search(r.pattern, text) and not re.search(r.unless, text)]
    added = [word for rule in rules for word in rule.add]
    return [*(_without_data(words) if "--dataset" in added else words), *added]


def _without_data(words: Sequence[str]) -> list[str]:
    """Return the words without ``--dataset SPEC``, which would be one data set more."""
    places = [place for place, word in enumerate(words) if word == "--dataset"]
    left = {one for place in places for one in (place, place + 1)}
    return [word for place, word in enumerate(words) if place not in left]
