"""Pictures that several notebooks draw. Functions take arrays and return what the notebook displays."""

import io
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import PIL.Image
from cycler import cycler
from IPython.display import Image

from helpers.notebook.palette import with_palette

# Okabe and Ito's colours: told apart with any colour vision, and in grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")


def use_style() -> None:
    """One look for all notebooks; figures stay small enough for git and for a phone."""
    look = {"figure.dpi": 90, "figure.constrained_layout.use": True, "font.size": 9, "legend.frameon": False}
    look |= {"axes.spines.top": False, "axes.spines.right": False, "axes.prop_cycle": cycler(color=COLOURS)}
    plt.rcParams.update(look)
    pd.set_option("display.max_colwidth", None)  # a sentence in a table is shown whole


def strip(images: np.ndarray) -> np.ndarray:
    """Pictures side by side, two white pixels between: uint8 (B, S, S, 3) -> (S, W, 3)."""
    return np.hstack(np.pad(images, ((0, 0), (0, 0), (0, 2), (0, 0)), constant_values=255))[:, :-2]


def framed(images: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """Pictures with a border, green where bool (B,) `marked` is true and white elsewhere: uint8 (B, S, S, 3)
    to uint8 (B, T, T, 3); the border is a sixteenth of S wide, two pixels at least."""
    side, wide = images.shape[1], max(2, images.shape[1] // 16)
    out = np.full((len(images), *[side + 2 * wide] * 2, 3), 255, np.uint8)
    out[marked] = [0, 158, 115]  # the third of COLOURS
    out[:, wide:-wide, wide:-wide] = images
    return out


def picture_rows(rows: Sequence[np.ndarray], titles: Sequence[str], zoom: float = 0.6):
    """Strips of pictures, each uint8 (B, S, S, 3), titles to the left, to display; `zoom` inches a picture.
    As JPEG: a strip of small pictures is four times heavier as PNG."""
    widest = max(len(row) for row in rows)
    height = len(rows) * (zoom + 0.12)
    figure, axes = plt.subplots(len(rows), 1, figsize=(widest * zoom, height), squeeze=False)
    for axis, row, title in zip(axes[:, 0], rows, titles, strict=True):
        if len(row):
            axis.imshow(strip(row))
            axis.set_xlim(-0.5, widest * (row.shape[1] + 2) - 0.5)
        axis.set_ylabel(title, rotation=0, ha="right", va="center")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    return as_jpeg(figure)


def captioned(images: np.ndarray, captions: Sequence[str], columns: int, zoom: float = 1.5) -> Image:
    """Pictures, uint8 (B, S, S, 3), `zoom` inches each, a text of a few lines under each, to display."""
    rows, lines = -(-len(images) // columns), max(text.count("\n") + 1 for text in captions)
    wide, high = 1.15 * zoom, 1.05 * zoom + 0.14 * lines + 0.12  # of a picture with its text, in inches
    figure = plt.figure(figsize=(columns * wide, rows * high), layout="none")
    for n, (image, text) in enumerate(zip(images, captions, strict=False)):
        row, column = divmod(n, columns)
        left, bottom = (column + 0.05) / columns, 1 - (row * high + 0.05 + zoom) / (rows * high)
        axis = figure.add_axes((left, bottom, zoom / (columns * wide), zoom / (rows * high)))
        axis.set_axis_off()
        axis.imshow(image)
        axis.text(0, -0.04, text, transform=axis.transAxes, va="top", size=8)
    return as_jpeg(figure)


def as_jpeg(figure) -> Image:
    """A figure made of pictures, to display, and closed."""
    encoded = io.BytesIO()
    figure.savefig(encoded, format="jpeg", dpi=100, pil_kwargs={"quality": 75})
    plt.close(figure)
    return Image(encoded.getvalue(), format="jpeg")


def as_png(figure) -> Image:
    """A figure of lines and text, to display, and closed: 64 colours, which take a third of the bytes."""
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png")
    plt.close(figure)
    return Image(with_palette(encoded.getvalue(), 64), format="png")


def long_tail(series: dict[str, np.ndarray], xlabel: str, ylabel: str, axis=None):
    """Counts against their rank on two logarithmic axes: a Zipf law is a straight line.
    series is legend -> counts of any order; zeros are left out."""
    figure, axis = plt.subplots(figsize=(4, 3)) if axis is None else (axis.figure, axis)
    for name, counts in series.items():
        ordered = np.sort(np.asarray(counts))[::-1]
        ordered = ordered[ordered > 0]
        axis.loglog(np.arange(1, len(ordered) + 1), ordered, label=name)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    if len(series) > 1:
        axis.legend()
    return figure


def word_cloud(words: Sequence[str], weights: np.ndarray, axis) -> None:
    """Words as running text, larger where the weight is larger; most frequent first."""
    weights = np.asarray(weights, float)
    sizes = 7 + 13 * np.sqrt(weights / weights.max())
    x, y, line = 0.01, 0.99, 1 / 6
    extent, renderer = axis.get_window_extent(), axis.figure.canvas.get_renderer()
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.set_axis_off()
    for k, (word, size) in enumerate(zip(words, sizes, strict=True)):
        text = axis.text(x, y, word, size=size, va="top", color=COLOURS[k % 5])
        width = text.get_window_extent(renderer).width / extent.width
        if x + width > 0.99 and x > 0.02:
            x, y = 0.01, y - line
            text.set_position((x, y))
        if y - text.get_window_extent(renderer).height / extent.height < 0:
            text.remove()
            return
        x += width + 0.03


def thumbnail_map(position: np.ndarray, images: np.ndarray, side: int = 640, edge: int = 0) -> Image:
    """Pictures at their places on a two-dimensional map of `side` pixels, to display, each `edge` pixels wide
    (0: about 24). position is float (B, 2), scaled to the map; images uint8 (B, S, S, 3), the last on top."""
    size = images.shape[1]
    near = np.arange(edge) * size // edge if edge else np.arange(0, size, max(1, round(size / 24)))
    small, edge = images[:, near][:, :, near], len(near)
    low, high = position.min(axis=0), position.max(axis=0)
    place = ((position - low) / np.where(high > low, high - low, 1) * (side - edge)).astype(int)
    canvas = np.full((side, side, 3), 255, np.uint8)
    for (x, y), image in zip(place, small, strict=True):
        canvas[y : y + edge, x : x + edge] = image
    return Image(jpeg(canvas), format="jpeg")


def jpeg(picture: np.ndarray) -> bytes:
    """uint8 (H, W, 3) as a JPEG file."""
    encoded = io.BytesIO()
    PIL.Image.fromarray(picture).save(encoded, format="jpeg", quality=75)
    return encoded.getvalue()
