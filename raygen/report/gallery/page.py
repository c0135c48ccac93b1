"""A gallery: what a model made, each with its caption, as one HTML file that needs nothing else and can do nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from raygen.errors import DataError
from raygen.report.gallery.items import (
    MAX_CHARACTERS,
    MAX_PAGE_BYTES,
    Content,
    address,
    checked_text,
    gallery_template,
    plain_png,
    png_size,
)
from raygen.report.page import Picture
from raygen.report.wording import inert, size


@dataclass(frozen=True)
class Item:
    """One thing that a model made.

    Attributes:
        content: A text, or a PNG file.
        caption: What stands below it: a prompt, a class, a score.
    """

    content: Content
    caption: str = ""


def gallery_page(title: str, items: Sequence[Item], *, subtitle: str = "") -> str:
    """The gallery as HTML, pictures first; it shows everything, and its characters can all be written as UTF-8.

    Args:
        title: The heading.
        items: In the order to be shown.
        subtitle: A line below the heading.

    Raises:
        DataError: there are no items, a picture is not a PNG file or is damaged, a text is too long, or all are too much for a page.
    """
    if not items:
        raise DataError("there is nothing to show", remedy="Give at least one item.")
    pictures: list[tuple[Picture, str]] = []
    texts: list[tuple[Markup, str]] = []
    left = MAX_PAGE_BYTES
    for number, item in enumerate(items):
        if isinstance(item.content, str):
            left -= len(item.content.encode("utf-8", "replace"))
            text = inert(checked_text(item.content, f"item {number}"), MAX_CHARACTERS)
            texts.append((Markup.escape(text), item.caption))
        else:
            png = plain_png(item.content, f"item {number}")
            left -= len(png)
            # A data address of Base64 holds nothing to escape.
            pictures.append((Picture(Markup(address(png)), *png_size(png)), item.caption))  # noqa: S704
        if left < 0:
            raise too_large()
    style, style_hash, template = gallery_template("gallery.html.jinja")
    return template.render(
        title=title, subtitle=subtitle, pictures=pictures, texts=texts, style=style, style_hash=style_hash
    )


def too_large() -> DataError:
    """More than a browser opens without trouble."""
    return DataError(
        f"a page shows at most {size(MAX_PAGE_BYTES)} of texts and pictures",
        remedy="Make several pages of fewer items.",
    )
