"""vidseg: should we label and train on every frame of a video, or on key frames?"""

__version__ = "0.1.0"
