"""Options as an MLproject file writes them: all are there, and those not meant are empty."""

from __future__ import annotations

import click

_TRUTH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class ProjectCommand(click.Command):
    """A command that takes ``--seed=`` as no seed, and ``--refit=yes`` or ``=no`` for a flag."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Rewrite ``--name=value`` arguments before click reads them."""
        kept = [arg for given in args if (arg := self._plain(ctx, given))]
        return super().parse_args(ctx, kept)

    def _plain(self, ctx: click.Context, arg: str) -> str:
        name, equals, value = arg.partition("=")
        if not (equals and name.startswith("--")):
            return arg
        if not value:
            return ""
        flag = next((f for f in self._flags(ctx) if name in f.opts), None)
        if flag is None:
            return arg
        if value.lower() not in _TRUTH:
            raise click.BadParameter(f"{value!r} is neither yes nor no.", ctx, flag)
        return name if _TRUTH[value.lower()] else (*flag.secondary_opts, "")[0]

    def _flags(self, ctx: click.Context) -> list[click.Option]:
        params = self.get_params(ctx)
        return [p for p in params if isinstance(p, click.Option) and p.is_flag]
