"""Labelled pictures to measure features on: those that run here, and those that a user brings.

`open_set(name, folder)` reads a published set from the user's folder; `own_sets(collection)` and `digits()`
need no files. All come as a `LabelledSet`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from helpers.data.sets import objects, style
from helpers.data.sets.own import digits, own_sets
from helpers.data.sets.shape import ACCURACY, PRECISION, Absent, LabelledSet
from helpers.errors import BadInput

__all__ = ["ACCURACY", "BROUGHT", "PRECISION", "Absent", "LabelledSet", "digits", "open_set", "own_sets"]


class Brought(NamedTuple):
    """A set that a user brings: its reader, its title in the papers, and how to get it."""

    read: Callable[[Path], LabelledSet]
    title: str
    how: str


BROUGHT = {
    "flickr_style": Brought(
        style.flickr_style, "Flickr style",
        "flickr_style.csv.gz and style_names.txt are in caffe's repository, examples/finetune_flickr_style;"
        " assemble_data.py there downloads the photos; put all three into flickr_style/",
    ),
    "wikipaintings": Brought(
        style.wikipaintings, "Wikipaintings",
        "wikipaintings_oct2013.csv comes from Karayev et al. 2014 (Recognizing Image Style, their page);"
        " download each image_url to wikipaintings/images/<image_id>.jpg",
    ),
    "ava_style": Brought(
        style.ava_style, "AVA style",
        "style_image_lists are in the authors' AVA_dataset (Murray et al. 2012); put the photos of"
        " dpchallenge.com into AVA_dataset/images/<id>.jpg",
    ),
    "caltech256": Brought(
        style.caltech256, "Caltech256",
        "256_ObjectCategories.tar from data.caltech.edu (record nyy15-4j048), unpacked in caltech256/",
    ),
    "indoor67": Brought(
        objects.indoor67, "MIT Indoor",
        "indoorCVPR_09.tar, TrainImages.txt and TestImages.txt from web.mit.edu/torralba/www/indoor.html,"
        " in indoor67/",
    ),
    "sun397": Brought(
        objects.sun397, "MIT SUN",
        "SUN397.tar.gz and Partitions.zip from vision.princeton.edu/projects/2010/SUN, unpacked in SUN397/",
    ),
    "stanford40": Brought(
        objects.stanford40, "Stanford 40 actions",
        "JPEGImages and ImageSplits from vision.stanford.edu/Datasets/40actions.html, in Stanford40/",
    ),
    "flowers102": Brought(
        objects.flowers102, "Oxford Flowers",
        "torchvision.datasets.Flowers102(<data_dir>, download=True) once",
    ),
    "sports8": Brought(
        objects.sports8, "Sports",
        "event_dataset.zip from vision.stanford.edu/lijiali/event_dataset, unpacked in event_dataset/",
    ),
    "voc2007": Brought(
        objects.voc2007, "Pascal VOC 2007",
        "torchvision.datasets.VOCDetection(<data_dir>, '2007', image_set, download=True) once for 'trainval'"
        " and once for 'test'",
    ),
    "imagenet": Brought(
        objects.imagenet, "ImageNet",
        "request the archives of ILSVRC2012 at image-net.org; torchvision.datasets.ImageNet unpacks"
        " them, in imagenet/",
    ),
}  # fmt: skip


def open_set(name: str, folder: Path) -> LabelledSet:
    """A published set from the user's folder.

    Raises:
        Absent: its files are not there; the message says what was looked for and how to get it.
        BadInput: the name is unknown, or a file is not as published; the message names file and line.
    """
    if name not in BROUGHT:
        raise BadInput(f"set {name!r} is unknown; choose from {', '.join(BROUGHT)}")
    try:
        return BROUGHT[name].read(Path(folder).expanduser())
    except Absent as absent:
        raise Absent(f"{absent}; to get it: {BROUGHT[name].how}") from None
