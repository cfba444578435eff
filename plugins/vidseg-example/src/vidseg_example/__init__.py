"""An example of a plugin package for vidseg, without an import of vidseg."""
