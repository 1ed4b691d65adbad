"""A small window to ask a user model questions: choose a user, an image or a tag."""

import base64
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np

from helpers.errors import BadInput
from helpers.notebook.plots import as_jpeg, jpeg, strip


@dataclass(frozen=True)
class Explorer:
    """What there is to choose from, and how a model answers."""

    users: dict[str, int]  # label -> user; as in items and tags, in the order of the menu
    items: dict[str, int]
    tags: dict[str, int]
    picture: Callable[[int], np.ndarray]  # item -> uint8 (S, S, 3)
    suggest: Callable[[int, int], Sequence[str]]  # (item, user) -> the user's tags, best first
    retrieve: Callable[[int, int], Sequence[int]]  # (tag, user) -> the user's items, best first
    habits: Callable[[int], str]  # user -> a short text on what this user usually writes

    def __post_init__(self):
        for name in ("users", "items", "tags"):
            if not getattr(self, name):
                raise BadInput(f"explorer: there are no {name} to choose from")

    def widget(self) -> widgets.VBox:
        """Three menus and their answers, for JupyterLab; needs a running kernel."""
        user, item, tag = (
            widgets.Dropdown(options=list(choices.items()), description=name)
            for name, choices in (("user", self.users), ("image", self.items), ("tag", self.tags))
        )
        habit, suggested = widgets.HTML(), widgets.HTML()
        shown = widgets.Image(format="jpeg", width=128)
        found = widgets.Image(format="jpeg", width=560)

        def renew(change=None) -> None:
            habit.value = f"usually writes: {html.escape(self.habits(user.value))}"
            shown.value = jpeg(self.picture(item.value))
            suggested.value = "<br>".join(map(html.escape, self.suggest(item.value, user.value)))
            found.value = jpeg(self._strip(tag.value, user.value))

        for menu in (user, item, tag):
            menu.observe(renew, names="value")
        renew()
        return widgets.VBox([
            widgets.HBox([user, habit]), widgets.HBox([item, shown, suggested]), widgets.HBox([tag, found])
        ])  # fmt: skip

    def answers(self) -> dict:
        """All answers, as JSON has them, for a page that needs no kernel (`helpers.runner.report`).

        "users", "tags" and "items" (label, number) stand in the order of the menus, and so do "habits" by
        user, "suggest" (tags) by user and item, and "retrieve" (numbers of items) by user and tag; "pictures"
        are data URIs, by number."""
        found = [
            [list(map(int, self.retrieve(t, u))) for t in self.tags.values()] for u in self.users.values()
        ]
        shown = {*self.items.values(), *(item for by_tag in found for row in by_tag for item in row)}
        pictures = {str(i): base64.b64encode(jpeg(self.picture(i))).decode() for i in sorted(shown)}
        return {
            "users": list(self.users), "tags": list(self.tags),
            "items": [{"label": label, "number": int(number)} for label, number in self.items.items()],
            "habits": [self.habits(user) for user in self.users.values()],
            "suggest": [[list(self.suggest(i, u)) for i in self.items.values()] for u in self.users.values()],
            "retrieve": found,
            "pictures": {number: f"data:image/jpeg;base64,{code}" for number, code in pictures.items()},
        }  # fmt: skip

    def still(self, users: Sequence[str], item: str, tag: str):
        """The same answers as a picture: one line a user; users, item and tag are labels of the choices."""
        for label, choices in [*((u, self.users) for u in users), (item, self.items), (tag, self.tags)]:
            if label not in choices:
                raise BadInput(f"explorer: {label!r} is not among the {len(choices)} choices")
        figure, axes = plt.subplots(len(users), 2, figsize=(9, 1.15 * len(users)), width_ratios=[1, 5],
                                    squeeze=False)  # fmt: skip
        for (left, right), label in zip(axes, users, strict=True):
            who = self.users[label]
            left.imshow(self.picture(self.items[item]))
            right.imshow(self._strip(self.tags[tag], who))
            words = " ".join(f"#{word}" for word in self.suggest(self.items[item], who)[:5])
            right.set_title(f"{label}: {words}", loc="left", fontsize=8)
        for axis in axes.ravel():
            axis.set_axis_off()
        return as_jpeg(figure)

    def _strip(self, tag: int, user: int) -> np.ndarray:
        return strip(np.stack([self.picture(item) for item in self.retrieve(tag, user)]))
