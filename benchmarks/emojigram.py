"""How fast the simulated network is made: `python -m benchmarks.emojigram`.

Targets: a million views in under 10 seconds, 5,000 pictures a second. The peer for pictures does the same
edits with Pillow.
"""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from benchmarks.common import compare, parser, record, report
from helpers.data.emojigram.behaviour import draw_posts, draw_views
from helpers.data.emojigram.people import draw_people
from helpers.data.emojigram.render import draw_poses, render_to_file
from helpers.data.emojigram.settings import STYLES, Settings
from helpers.data.openmoji import catalogue, rasterise


def pillow(drawings: list[Image.Image], poses, size: int) -> np.ndarray:
    """The same edits, picture by picture, with the functions that Pillow has for them."""
    out = np.empty((len(poses.drawing), size, size, 3), np.uint8)
    ramp = Image.linear_gradient("L").resize((size, size))
    for i in range(len(out)):
        first, second = (tuple(int(v) for v in colour) for colour in poses.background[i])
        canvas = ImageOps.colorize(ramp.rotate(np.degrees(poses.slope[i])), first, second)
        side = round(size * poses.scale[i])
        drawing = (
            drawings[poses.drawing[i]]
            .resize((side, side))
            .rotate(-np.degrees(poses.angle[i]), Image.Resampling.BILINEAR)
        )
        corner = [round((size - side) / 2 + size * s) for s in poses.shift[i]]
        canvas.paste(drawing, corner, drawing)
        style = STYLES[poses.style[i]]
        if style in ("mono", "sepia"):
            canvas = ImageOps.colorize(
                ImageOps.grayscale(canvas), "black", "white" if style == "mono" else "wheat"
            )
        elif style == "blur":
            canvas = canvas.filter(ImageFilter.GaussianBlur(size / 20))
        elif style == "pixel":
            canvas = canvas.resize((12, 12), Image.Resampling.BOX).resize(
                (size, size), Image.Resampling.NEAREST
            )
        elif style == "poster":
            canvas = ImageOps.posterize(canvas, 2)
        elif style in ("edges", "neon"):
            canvas = canvas.filter(ImageFilter.FIND_EDGES)
        out[i] = np.asarray(canvas)
    return out


def main(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, views=1_000_000, pictures=4_000).parse_args(arguments)
    settings = Settings(users=20_000, posts=20_000, views_per_user=options.views / 20_000)
    rng = np.random.default_rng(0)
    people = draw_people(settings, settings.contents, len(STYLES), rng)
    drawings_of = [np.arange(12 * c, 12 * c + 12) for c in range(settings.contents)]
    posts = draw_posts(settings, people, drawings_of, len(STYLES), rng)
    run = lambda: sum(len(user) for user, _, _ in draw_views(settings, people, posts))  # noqa: E731
    made, rate = run(), 1e5  # a million in ten seconds
    found = made / compare({"ours": run}, options.repeats)["median"].iloc[0]
    record("views of emojigram", options, per_second=round(found), target=rate, met=bool(found >= rate))

    size = 64
    rasters = rasterise(catalogue()["hexcode"][:384].tolist(), size)
    poses = draw_poses(posts.drawing[: options.pictures], posts.style[: options.pictures], rng)
    sources = [Image.fromarray(r, "RGBA") for r in rasters]
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            "ours": lambda: render_to_file(Path(folder) / "x.npy", rasters, poses, size),
            "Pillow": lambda: pillow(sources, poses, size),
        }
        times = compare(runs, options.repeats)
    rate = options.pictures / times["median"].iloc[0]
    report("pictures of emojigram, 64 px", times, options, per_second=round(rate))
    record("pictures a second", options, per_second=round(rate), target=5000, met=bool(rate >= 5000))


if __name__ == "__main__":
    main()
