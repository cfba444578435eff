"""Data sets: one file per format, each yielding :class:`vidseg.types.Video` objects."""
