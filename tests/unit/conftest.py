"""Fixtures of the unit tests."""

from tests.mlflow_fixtures import migrated, tracking

__all__ = ["migrated", "tracking"]
