"""From a drawing to a post: pose, background and one of eight styles, at thousands of pictures a second."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import float32, float64, njit, prange, uint8, vectorize

from helpers.files import replacing

BLOCK = 4096  # pictures rendered at a time


class Poses(NamedTuple):
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
    angle, scale = rng.uniform(-0.45, 0.45, m), rng.uniform(0.75, 1.05, m)
    shift, slope = rng.uniform(-0.08, 0.08, (m, 2)), rng.uniform(0, 2 * np.pi, m)
    edits = (edit.astype(np.float32) for edit in (angle, scale, shift, background, slope))
    return Poses(drawing.astype(np.int32), style.astype(np.int8), *edits)


def render_to_file(file: Path, drawings: np.ndarray, poses: Poses, size: int) -> None:
    """Write uint8 (M, size, size, 3) as .npy, a block at a time, so that memory does not grow with M.

    `drawings` are uint8 (n, side, side, 4), straight RGBA. The file appears only when all pictures are in it.
    """
    premultiplied = drawings.astype(np.float32)
    premultiplied[..., :3] *= premultiplied[..., 3:] / 255
    m = len(poses.drawing)
    with replacing(file) as new:
        out = np.lib.format.open_memmap(new, mode="w+", dtype=np.uint8, shape=(m, size, size, 3))
        for start in range(0, m, BLOCK):
            part = slice(start, start + BLOCK)
            _render(premultiplied, *(values[part] for values in poses), out[part])
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
            near = drawing[iy : iy + 2, ix : ix + 2]
            alpha = _between(near, 3, fx, fy) / np.float32(255)
            if alpha == 0:
                continue
            for c in range(3):
                canvas[y, x, c] = canvas[y, x, c] * (1 - alpha) + _between(near, c, fx, fy)


@njit(cache=True, inline="always")
def _between(near, c, fx, fy):
    """Channel c between four pixels (bilinear)."""
    top = (1 - fy) * (1 - fx) * near[0, 0, c] + (1 - fy) * fx * near[0, 1, c]
    return top + fy * (1 - fx) * near[1, 0, c] + fy * fx * near[1, 1, c]


@vectorize([uint8(float32), uint8(float64)], cache=True)
def _bytes(value):
    """Elementwise rounded and limited to 0..255."""
    return min(max(value + np.float32(0.5), np.float32(0)), np.float32(255))


@njit(cache=True)
def _restyle(canvas, style, out):
    """Apply one of STYLES, in that order, and round to bytes."""
    size = canvas.shape[0]
    red, green, blue = canvas[..., 0], canvas[..., 1], canvas[..., 2]
    grey = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    if style == 1:  # mono
        out[:] = _bytes(grey).reshape(size, size, 1)
    elif style == 2:  # sepia
        out[..., 0] = _bytes((np.float32(1.07) * grey).astype(np.float64) + 12)
        out[..., 1] = _bytes((np.float32(0.86) * grey).astype(np.float64) + 6)
        out[..., 2] = _bytes(np.float32(0.58) * grey)
    elif style == 3:  # blur: two box filters in each direction are close to a Gaussian
        for _ in range(2):
            _box(canvas, max(1, size // 20))
            _box(canvas.transpose((1, 0, 2)), max(1, size // 20))
        out[:] = _bytes(canvas)
    elif style == 4:  # pixel
        block = max(2, size // 12)
        for top in range(0, size, block):
            for left in range(0, size, block):
                for c in range(3):
                    part = canvas[top : top + block, left : left + block, c]
                    mean = part.sum() / np.float32(part.size)
                    canvas[top : top + block, left : left + block, c] = mean
        out[:] = _bytes(canvas)
    elif style == 5:  # poster: three levels a channel
        out[:] = (np.minimum((canvas / np.float32(85.01)).astype(np.int64), 2) * 127).astype(np.uint8)
    elif style == 6:  # edges: dark lines on white
        out[:] = _bytes(np.float32(255) - _sobel(grey)).reshape(size, size, 1)
    elif style == 7:  # neon: each channel's own lines on black
        for c in range(3):
            out[..., c] = _bytes(_sobel(canvas[..., c]))
    else:
        out[:] = _bytes(canvas)


@njit(cache=True)
def _box(rows, radius):
    """A box filter along each row; the border is repeated."""
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
def _sobel(a):
    """Magnitude of Sobel's gradient of a channel (size, size); the border is repeated."""
    size = len(a)
    out = np.empty((size, size))
    for y in range(size):
        up, down = a[max(y - 1, 0)], a[min(y + 1, size - 1)]
        for x in range(size):
            l, r = max(x - 1, 0), min(x + 1, size - 1)
            gx = up[r] + 2 * a[y, r] + down[r] - up[l] - 2 * a[y, l] - down[l]
            gy = down[l] + 2 * down[x] + down[r] - up[l] - 2 * up[x] - up[r]
            out[y, x] = np.sqrt(gx * gx + gy * gy)
    return out
