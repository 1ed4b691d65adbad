"""From a drawing to a post: pose, background and one of eight styles, at thousands of pictures a second."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit, prange

from helpers.files import replacing


@dataclass(frozen=True)
class Poses:
    """How each post was edited: arrays of length M."""

    drawing: np.ndarray  # int32, row of the drawings array
    style: np.ndarray  # int8, index into STYLES
    angle: np.ndarray  # float32, radians
    scale: np.ndarray  # float32, size of the drawing relative to the picture
    shift: np.ndarray  # float32 (M, 2), as a share of the side
    background: np.ndarray  # float32 (M, 2, 3), RGB 0..255 at two ends of a gradient
    slope: np.ndarray  # float32, direction of the gradient in radians


def draw_poses(drawing: np.ndarray, style: np.ndarray, rng: np.random.Generator) -> Poses:
    """Random edits, independent of content and style, so that neither can be read off the pose."""
    m = len(drawing)
    hue = rng.random((m, 1, 1)) + rng.uniform(-0.12, 0.12, (m, 2, 1))
    light = rng.uniform(0.45, 1.0, (m, 2, 1))
    phase = 2 * np.pi * (hue + np.array([0, 1 / 3, 2 / 3]))
    background = 255 * light * (0.72 + 0.28 * np.cos(phase))
    return Poses(
        drawing.astype(np.int32),
        style.astype(np.int8),
        rng.uniform(-0.45, 0.45, m).astype(np.float32),
        rng.uniform(0.75, 1.05, m).astype(np.float32),
        rng.uniform(-0.08, 0.08, (m, 2)).astype(np.float32),
        background.astype(np.float32),
        rng.uniform(0, 2 * np.pi, m).astype(np.float32),
    )


def render_to_file(file: Path, drawings: np.ndarray, poses: Poses, size: int, block: int = 4096) -> None:
    """Write uint8 (M, size, size, 3) as .npy, a block at a time, so that memory does not grow with M.

    Args:
        file: target; it appears only when all pictures are in it.
        drawings: uint8 (n, side, side, 4), straight RGBA.
        poses: the edits.
        size: side of the pictures in pixels.
    """
    premultiplied = drawings.astype(np.float32)
    premultiplied[..., :3] *= premultiplied[..., 3:] / 255
    m = len(poses.drawing)
    with replacing(file) as new:
        out = np.lib.format.open_memmap(new, mode="w+", dtype=np.uint8, shape=(m, size, size, 3))
        for start in range(0, m, block):
            part = slice(start, min(start + block, m))
            _render(
                premultiplied, poses.drawing[part], poses.style[part], poses.angle[part], poses.scale[part],
                poses.shift[part], poses.background[part], poses.slope[part], out[part],
            )  # fmt: skip
        out.flush()
        del out  # Windows cannot rename a file that is still mapped


@njit(parallel=True, cache=True)
def _render(drawings, drawing, style, angle, scale, shift, background, slope, out):
    size = out.shape[1]
    for i in prange(out.shape[0]):
        canvas = np.empty((size, size, 3), np.float32)
        _compose(drawings[drawing[i]], angle[i], scale[i], shift[i], background[i], slope[i], canvas)
        _restyle(canvas, style[i], out[i])


@njit(cache=True)
def _compose(drawing, angle, scale, shift, background, slope, canvas):
    """Place the turned and scaled drawing on the gradient (bilinear, premultiplied alpha)."""
    size, side = canvas.shape[0], drawing.shape[0]
    step = np.float32(side / (size * scale))
    cos, sin = np.float32(np.cos(angle)) * step, np.float32(np.sin(angle)) * step
    centre = np.float32((side - 1) / 2)
    gx, gy = np.float32(np.cos(slope) / size), np.float32(np.sin(slope) / size)
    half = np.float32((size - 1) / 2)
    for y in range(size):
        dy = np.float32(y) - half
        for x in range(size):
            dx = np.float32(x) - half
            t = min(max(np.float32(0.5) + dx * gx + dy * gy, np.float32(0)), np.float32(1))
            for c in range(3):
                canvas[y, x, c] = background[0, c] * (np.float32(1) - t) + background[1, c] * t
            ox, oy = dx - shift[0] * size, dy - shift[1] * size
            sx, sy = cos * ox + sin * oy + centre, cos * oy - sin * ox + centre
            if sx <= 0 or sy <= 0 or sx >= side - 1 or sy >= side - 1:
                continue
            ix, iy = int(sx), int(sy)
            fx, fy = sx - np.float32(ix), sy - np.float32(iy)
            w00, w01 = (1 - fy) * (1 - fx), (1 - fy) * fx
            w10, w11 = fy * (1 - fx), fy * fx
            alpha = (
                w00 * drawing[iy, ix, 3] + w01 * drawing[iy, ix + 1, 3]
                + w10 * drawing[iy + 1, ix, 3] + w11 * drawing[iy + 1, ix + 1, 3]
            ) / np.float32(255)  # fmt: skip
            if alpha == 0:
                continue
            for c in range(3):
                ink = (
                    w00 * drawing[iy, ix, c] + w01 * drawing[iy, ix + 1, c]
                    + w10 * drawing[iy + 1, ix, c] + w11 * drawing[iy + 1, ix + 1, c]
                )  # fmt: skip
                canvas[y, x, c] = canvas[y, x, c] * (1 - alpha) + ink


@njit(cache=True, inline="always")
def _byte(value):
    return np.uint8(min(max(value + np.float32(0.5), np.float32(0)), np.float32(255)))


@njit(cache=True)
def _to_bytes(canvas, out):
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            for c in range(3):
                out[y, x, c] = _byte(canvas[y, x, c])


@njit(cache=True)
def _luminance(canvas):
    red, green, blue = canvas[..., 0], canvas[..., 1], canvas[..., 2]
    return np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue


@njit(cache=True)
def _restyle(canvas, style, out):
    """Apply one of STYLES, in that order, and round to bytes."""
    size = canvas.shape[0]
    if style == 1 or style == 2:  # mono, sepia
        grey = _luminance(canvas)
        for y in range(size):
            for x in range(size):
                g = grey[y, x]
                if style == 1:
                    out[y, x, :] = _byte(g)
                else:
                    out[y, x, 0] = _byte(np.float32(1.07) * g + 12)
                    out[y, x, 1] = _byte(np.float32(0.86) * g + 6)
                    out[y, x, 2] = _byte(np.float32(0.58) * g)
    elif style == 3:
        _blur(canvas, max(1, size // 20))
        _to_bytes(canvas, out)
    elif style == 4:
        _pixelate(canvas, max(2, size // 12), out)
    elif style == 5:  # poster: three levels a channel
        for y in range(size):
            for x in range(size):
                for c in range(3):
                    out[y, x, c] = np.uint8(min(int(canvas[y, x, c] / np.float32(85.01)), 2) * 127)
    elif style == 6 or style == 7:
        _edges(canvas, style == 7, out)
    else:
        _to_bytes(canvas, out)


@njit(cache=True)
def _blur(canvas, radius):
    """Two box filters in each direction, close to a Gaussian; the border is repeated."""
    for _ in range(2):
        _box(canvas, radius)
        _box(canvas.transpose((1, 0, 2)), radius)


@njit(cache=True)
def _box(rows, radius):
    size, width = rows.shape[0], np.float32(2 * radius + 1)
    for i in range(size):
        line = rows[i].copy()
        for c in range(3):
            total = np.float32(0)
            for k in range(-radius, radius + 1):
                total += line[min(max(k, 0), size - 1), c]
            for j in range(size):
                rows[i, j, c] = total / width
                total += line[min(j + radius + 1, size - 1), c] - line[max(j - radius, 0), c]


@njit(cache=True)
def _pixelate(canvas, block, out):
    size = canvas.shape[0]
    for top in range(0, size, block):
        for left in range(0, size, block):
            bottom, right = min(top + block, size), min(left + block, size)
            for c in range(3):
                total = np.float32(0)
                for y in range(top, bottom):
                    for x in range(left, right):
                        total += canvas[y, x, c]
                out[top:bottom, left:right, c] = _byte(total / np.float32((bottom - top) * (right - left)))


@njit(cache=True)
def _edges(canvas, glowing, out):
    """Sobel magnitude: dark lines on white (edges), or each channel's own lines on black (neon)."""
    size = canvas.shape[0]
    grey = _luminance(canvas)
    for y in range(size):
        up, down = max(y - 1, 0), min(y + 1, size - 1)
        for x in range(size):
            left, right = max(x - 1, 0), min(x + 1, size - 1)
            for c in range(3 if glowing else 1):
                a = canvas[:, :, c] if glowing else grey
                gx = (a[up, right] + 2 * a[y, right] + a[down, right]
                      - a[up, left] - 2 * a[y, left] - a[down, left])  # fmt: skip
                gy = (a[down, left] + 2 * a[down, x] + a[down, right]
                      - a[up, left] - 2 * a[up, x] - a[up, right])  # fmt: skip
                strength = np.sqrt(gx * gx + gy * gy)
                if glowing:
                    out[y, x, c] = _byte(strength)
                else:
                    out[y, x, :] = _byte(np.float32(255) - strength)
