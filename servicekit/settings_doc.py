"""Render settings classes as markdown, for docs/configuration.md."""

from __future__ import annotations

from pydantic_core import PydanticUndefined

from servicekit.settings import ServiceSettings


def render(service: str, settings: type[ServiceSettings]) -> str:
    """Return a section with a table of a service's settings."""
    lines = [f"## {service}\n", "| Variable | Default | What |", "|---|---|---|"]
    for name, field in settings.model_fields.items():
        if not field.description:
            raise ValueError(f"{settings.__module__}.{name} has no description")
        default = f"`{field.default}`"
        if field.default_factory is not None:
            default = "by the machine"
        elif field.default is PydanticUndefined:
            default = "**needed**"
        elif field.default in ("", None, []):
            default = "empty"
        lines.append(f"| `{settings.prefix()}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"
