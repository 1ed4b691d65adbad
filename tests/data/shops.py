"""Tiny invented releases in the layouts of Behance's and Amazon's files, with the oddities of real ones."""

import gzip
import json
from pathlib import Path

import numpy as np
from PIL import Image

START = 1_300_000_000  # seconds of the first event
TOP = "Clothing, Shoes & Jewelry"
KINDS = ("Dresses", "Boots", "Scarves", "Watches")
WORDS = ("red", "blue", "wool", "summer", "plain", "striped", "silver", "soft")


def crowd(people: int, items: int, share: float = 0.4, seed: int = 0) -> list[tuple[int, int, int]]:
    """Who did something with what: (user, item,
    second); people prefer items with their own remainder by 4."""
    rng = np.random.default_rng(seed)
    odds = share * (1 + (np.arange(people)[:, None] % 4 == np.arange(items) % 4)) / 1.25
    users, chosen = np.nonzero(rng.random((people, items)) < odds)
    return [(int(u), int(i), START + 60 * n) for n, (u, i) in enumerate(zip(users, chosen, strict=True))]


def write(file: Path, lines: list[str]) -> Path:
    """One line each; compressed if the name ends with .gz."""
    content = "".join(f"{line}\n" for line in lines).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return file


def vectors(file: Path, ids: list[str], seed: int = 0) -> np.ndarray:
    """A file of features, and what it holds: never negative, and alike where an item's place by 4 is."""
    rng = np.random.default_rng(seed)
    values = np.maximum(
        rng.normal(size=(4, 4096))[np.arange(len(ids)) % 4] + rng.normal(size=(len(ids), 4096)), 0
    )
    values = values.astype("<f4")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(one.encode() + row.tobytes() for one, row in zip(ids, values, strict=True)))
    return values


def pictures(folder: Path, ids: list[str]) -> None:
    folder.mkdir(parents=True)
    for n, one in enumerate(ids):
        pixels = np.random.default_rng(n).integers(0, 256, (40, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{one}.jpg")


def project(item: int) -> str:
    return f"{1000 + 37 * item:08d}"


def behance(folder: Path, people: int = 40, items: int = 60) -> Path:
    """Item 0 has no features, as one item of the real release; item 1 has two owners, item 2 none."""
    events = crowd(people, items)
    write(folder / "Behance_appreciate_1M.gz", [f"{200 + u} {project(i)} {at}" for u, i, at in events])
    owners = [f"{project(i)} {200 + i % people}" for i in range(items) if i != 2]
    write(folder / "Behance_Item_to_Owners.gz", [*owners, f"{project(1)} 999999"])
    vectors(folder / "Behance_Image_Features.b", [project(i) for i in range(1, items)])
    return folder


def asin(item: int) -> str:
    return f"B00{item:07d}"


def person(user: int) -> str:
    return f"A{user:012d}X"


def title(item: int) -> str:
    return (
        f"{WORDS[item % 8]} {WORDS[item // 8 % 8]} {KINDS[item % 4]} {'for Women' if item % 2 else 'for Men'}"
    )


def paths(item: int) -> list[list[str]]:
    """Of the rule's odd cases: a step of one letter, another first category, a last step of its own."""
    path = [TOP, "Women" if item % 2 else "Men", "N", KINDS[item % 4], f"Style {item}"]
    return [path, ["Sports & Outdoors", "Clothing", "Running"]] if item % 5 == 0 else [path]


def amazon_2014(folder: Path, people: int = 40, items: int = 60) -> Path:
    """Reviews are JSON and products Python literals."""
    reviews = [
        {
            "reviewerID": person(u), "asin": asin(i), "reviewerName": 'J. "Jo" Doe', "helpful": [0, 2],
            "reviewText": "Fits well.\nI'd buy it again", "overall": 1.0 + i % 5, "summary": "é ✓",
            "unixReviewTime": at, "reviewTime": "03 13, 2011",
        }
        for u, i, at in crowd(people, items)
    ]  # fmt: skip
    write(folder / "reviews_Clothing_5.json.gz", [json.dumps(review) for review in reviews])
    products = [
        {
            "asin": asin(i), "title": f"{title(i)}, the Tailor's &amp; Co", "price": 9.5,
            "imUrl": f"http://pictures.example/{i}.jpg",
            "related": {"also_bought": [asin(i + 1)], "asin": asin(0)}, "salesRank": {"Clothing": i},
            "categories": paths(i),
        }
        for i in range(items + 5)
    ]  # fmt: skip
    del products[3]["title"]
    products[4]["imUrl"] = "http://pictures.example/x/site/no-img-sm._V1_.gif"
    write(folder / "meta_Clothing.json.gz", [str(product) for product in products])
    return folder


def amazon_2018(folder: Path, people: int = 40, items: int = 60) -> Path:
    reviews = [
        {
            "overall": 5.0, "verified": True, "reviewTime": "03 13, 2011", "reviewerID": person(u),
            "asin": asin(i),
            "style": {"Size:": " M"}, "reviewText": "Nice", "unixReviewTime": at,
        } | ({"image": ["https://pictures.example/r.jpg"], "vote": "3"} if i % 3 else {})
        for u, i, at in crowd(people, items)
    ]  # fmt: skip
    write(folder / "Clothing.json.gz", [json.dumps(review) for review in reviews])
    products = [
        {
            "category": [step.replace("&", "&amp;") for step in paths(i)[0]], "tech1": "",
            "title": title(i), "asin": asin(i),
            "imageURL": [f"https://pictures.example/{i}.small.jpg"] * (i != 4),
            "imageURLHighRes": [f"https://pictures.example/{i}.jpg"] * (i != 4),
        }
        for i in range(items)
    ]  # fmt: skip
    write(folder / "meta_Clothing.json.gz", [json.dumps(product) for product in [*products, products[0]]])
    return folder


def amazon_2023(folder: Path, people: int = 40, items: int = 60) -> Path:
    """A variant's `asin` differs from its product's `parent_asin`."""
    reviews = [
        {
            "rating": 5.0, "title": "Nice", "text": "Nice", "images": [], "asin": asin(i + 500),
            "parent_asin": asin(i),
            "user_id": f"AG{u:026d}", "timestamp": 1000 * at + 7, "helpful_vote": 0,
            "verified_purchase": True,
        }
        for u, i, at in crowd(people, items)
    ]  # fmt: skip
    write(folder / "Clothing.jsonl.gz", [json.dumps(review) for review in reviews])
    products = [
        {
            "main_category": "AMAZON FASHION", "title": title(i), "average_rating": 4.2, "features": [],
            "price": None,
            "images": [{"thumb": "https://pictures.example/t.jpg",
            "large": f"https://pictures.example/{i}.jpg",
                        "variant": "MAIN", "hi_res": None}] * (i != 4),
            "categories": paths(i)[0] if i != 6 else [], "details": {"Color": "Red"}, "parent_asin": asin(i),
            "bought_together": None,
        }
        for i in range(items)
    ]  # fmt: skip
    write(folder / "meta_Clothing.jsonl.gz", [json.dumps(product) for product in products])
    return folder
