"""Whole numbers on the command line, whose refusals say what is allowed."""

from __future__ import annotations

import click


class WholeNumber(click.IntRange):
    """A number within bounds; what is none is refused with the bounds, like a number outside of them."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises click's BadParameter."""
        try:
            number = int(str(value))
        except ValueError:
            number = None
        if (
            number is None
            or (self.min is not None and number < self.min)
            or (self.max is not None and number > self.max)
        ):
            upper = " on" if self.max is None else f" to {self.max:.0f}"
            self.fail(f"{value} is not a whole number from {self.min or 0:.0f}{upper}.", param, ctx)
        return number
