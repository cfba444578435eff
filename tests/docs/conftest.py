"""Fixtures of the tests of the documentation."""

from tests.helpers.mlflow_fixtures import migrated

__all__ = ["migrated"]
