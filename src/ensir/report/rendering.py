"""Templates, filled in."""

from __future__ import annotations

from typing import Any


def render(template: str, **content: Any) -> str:
    """Return a page: a template of the package, in which all text is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ensir.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**content)
