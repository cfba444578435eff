"""Labels of every frame as a human makes them with a tracker's help, replayed from the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.labels.effort import Effort, Price, key_frame_seconds
from vidseg.labels.key_boxes import KeyTrack, Objects, key_tracks
from vidseg.labels.made_boxes import MadeBoxes, Rows, rounded
from vidseg.labels.propagated import Seconds
from vidseg.labels.replay import Ask, Made, Rules, first_keys, replay_forward, replay_keys
from vidseg.labels.true_tracks import Truth, true_tracks
from vidseg.trackers.base import DEFAULT, TrackerSource
from vidseg.trackers.fill import Method
from vidseg.types import Video, labelled_frames
from vidseg.utils.hashing import digest
from vidseg.utils.progress import Parts, Progress, ProgressBar

_RULE = "assisted 5"

_WIDER = 1.15
"""By so much the distance of key boxes grows, at least, when the budget was not enough."""


class Assisted:
    """Train on what a human makes with a tracker's help: the simulated annotator's boxes.

    The human draws a box of each object every ``every`` frames, on its first frame and on its last;
    the frames between are filled, and boxes that are wrong are drawn anew. With ``forward``, the
    paper's way, the tracker follows the last box, and the human watches every frame.

    Args:
        every: frames from one key box of an object to the next, at first.
        tracker: fills the frames between, such as lk or dsst; a spec in quotes may have parameters.
        method: auto, linear, blend or forward.
        ask: who finds the box to draw anew: doubt looks at the most doubtful frame of a gap until
            it is right, truth at every frame, nobody at none.
        threshold: a box is wrong when its IoU with the truth is below it.
        doubt: with ask=doubt: a frame with no more doubt is not looked at.
        objects: ids takes boxes of one identity as one object; linked takes boxes, or connected
            parts of masks, that overlap from one labelled frame to the next, as a human would see
            what is one; one takes the box around all foreground of a frame; auto is ids where the
            labels have them, else linked.
        budget: choose ``every`` for each video: about the least with which no more seconds are
            spent than on drawing every box of every ``budget``-th frame by hand, or where more has
            to be mended the cheapest. Of no use with forward.
        seconds_per_box, seconds_per_look: for ``budget``: what a box drawn and a frame looked at
            take; 7 and 1 where they are not given.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        every: Annotated[int, Field(ge=1)] = 40,
        tracker: str = DEFAULT,
        method: Method = "auto",
        ask: Ask = "doubt",
        threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        doubt: Annotated[float, Field(ge=0, le=1)] = 0.6,
        objects: Objects = "auto",
        budget: Annotated[int, Field(ge=1)] | None = None,
        seconds_per_box: Seconds | None = None,
        seconds_per_look: Seconds | None = None,
    ) -> None:
        self._rules = Rules(threshold, every, doubt)
        self._how = TrackerSource.of(tracker, where="train_labels tracker"), method, ask, objects
        self._budget, self._price = budget, Price.of(seconds_per_box, seconds_per_look)

    def of(self, video: Video) -> AssistedLabels:
        """Return the labels of a video; nothing is tracked before it is needed."""
        return AssistedLabels(video, self._rules, *self._how, self._budget, self._price)


class AssistedLabels(MadeBoxes):
    """The boxes of one video; a :class:`vidseg.labels.base.VideoLabels`."""

    def __init__(
        self,
        video: Video,
        rules: Rules,
        tracker: TrackerSource,
        method: Method,
        ask: Ask,
        objects: Objects,
        budget: int | None,
        price: Price,
    ) -> None:
        super().__init__(video, rules, tracker, method, ask, objects, budget, price)
        self._rules, self._tracker, self._method = rules, tracker, method
        self._ask, self._objects, self._budget, self._price = ask, objects, budget, price

    @cached_property
    def key(self) -> str:
        """Hash of the labels and frames that it is made of, and of how."""
        rules, price = self._rules, self._price
        spent = None if self._budget is None else [self._budget, price.box, price.look]
        way = self._method, self._ask, self._objects, spent, self._tracker.key
        keys = self.video.label_key, self.video.image_key
        return digest([_RULE, *keys, rules.threshold, rules.every, rules.doubt, *way])

    def labelled(self) -> Sequence[int]:
        """Return the frames with ground truth: those that can be replayed."""
        return labelled_frames(self.video)

    @cached_property
    def _known(self) -> list[KeyTrack]:
        return key_tracks(self.video, list(self.labelled()), self._objects)

    @cached_property
    def _truth(self) -> Truth:
        return Truth(self.video, self.video.probe().size, true_tracks(self._known))

    def make(self, bar: ProgressBar, stop: Callable[[], None]) -> tuple[Rows, Effort]:
        """Return the boxes that result; ignored ones are the truth's, and cost nothing."""
        stop()
        parts = Parts(bar, 1.0 if self._method == "forward" else 0.5)
        made, effort = self._affordable(parts)
        parts.done()
        ids = [track.id for track in self._known if not track.ignored for _ in _runs(track)]
        rows = [
            [track.first + place, number, False, *rounded(box)]
            for number, track, boxes in zip(ids, self._truth.tracks, made.boxes, strict=True)
            for place, box in enumerate(boxes.tolist())
        ]
        rows += [
            [frame, track.id, True, *rounded(box)]
            for track in self._known
            if track.ignored
            for frame, box in track.keys.items()
        ]
        return sorted(rows), effort

    def _affordable(self, progress: Progress) -> tuple[Made, Effort]:
        """Return what results with about the least distance of key boxes that the budget affords.

        What is mended hardly depends on the distance, what is drawn at first can be counted without
        a tracker: so the next distance is the least that leaves as much for mending as the last one
        needed, or twice the last one, until one is within the budget. Where none is, the cheapest
        is returned; the search ends when two in a row were not the cheapest so far.
        """
        if self._budget is None or self._method == "forward":
            return self._replayed(self._rules.every, progress)
        most = key_frame_seconds(self.video, self._budget, self._price)
        longest = max([2, *map(len, self._truth.tracks)])
        every = self._least(1, longest, most) or longest
        best = found = self._replayed(every, progress)
        dearer = 0
        while (spent := self._price.seconds(found[1])) > most and every < longest and dearer < 2:
            mending = spent - self._before(every)
            wider = max(every + 1, round(every * _WIDER))
            every = self._least(wider, longest, most - mending) or min(longest, 2 * every)
            found = self._replayed(every, progress)
            cheaper = self._price.seconds(found[1]) < self._price.seconds(best[1])
            best, dearer = (found, 0) if cheaper else (best, dearer + 1)
        return best

    def _least(self, low: int, high: int, most: float) -> int | None:
        """Return the least distance from ``low`` to ``high`` whose key boxes take ``most`` seconds.

        None where no distance does.
        """
        fitting = (every for every in range(low, high + 1) if self._before(every) <= most)
        return next(fitting, None)

    def _before(self, every: int) -> float:
        """Return the seconds that are spent before anything is mended."""
        keys = [first_keys(track, every) for track in self._truth.tracks]
        looks = self._truth.seen if self._ask == "truth" else {f for own in keys for f in own}
        return self._price.seconds(Effort(sum(map(len, keys)), len(looks)))

    def _replayed(self, every: int, progress: Progress) -> tuple[Made, Effort]:
        made = Made()
        rules = Rules(self._rules.threshold, every, self._rules.doubt)
        given = self._truth, self._tracker
        if self._method == "forward":
            tally = replay_forward(*given, rules, progress, made)
        else:
            tally = replay_keys(*given, self._method, self._ask, rules, progress, made=made)
        return made, Effort(tally.drawn, len(made.looked), self._of_masks)

    @cached_property
    def _of_masks(self) -> bool:
        frames = self.labelled()
        return bool(frames) and self.video.labels(frames[0]).boxes is None


def _runs(track: KeyTrack) -> Sequence[object]:
    return true_tracks([track])
