"""What ``import vidseg`` offers: runs, suites, reports, models, data sets.

A call raises the errors of the command line as exceptions, and prints nothing but the progress
that was asked for.
"""
