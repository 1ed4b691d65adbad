"""Every knob of the simulated network. Each regularity has a strength, and 0 turns it off."""

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from helpers.errors import BadInput

STYLES = ("plain", "mono", "sepia", "blur", "pixel", "poster", "edges", "neon")


def share(default: float, meaning: str):
    """A field from 0 to 1."""
    return Field(default, ge=0, le=1, description=meaning)


class Settings(BaseModel):
    """What `generate` takes. Descriptions double as the table in notebook 00."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    seed: int = Field(0, ge=0, description="decides every random draw")
    posts: int = Field(2000, ge=1, le=50_000_000, description="pictures, one a post")
    users: int = Field(800, ge=2, le=50_000_000, description="people; anyone may post and view")
    views_per_user: float = Field(60.0, ge=0, description="mean number of views a user gives")
    tags_per_post: float = Field(4.0, ge=0, description="mean number of hashtags before spam is added")
    image_size: int = Field(64, ge=16, le=512, description="side of the square pictures in pixels")
    contents: int = Field(32, ge=2, le=119, description="kinds of drawing (OpenMoji subgroups)")
    drawings_per_content: int = Field(12, ge=1, le=100, description="drawings used of each kind, at most")

    communities: int = Field(12, ge=1, description="groups of people who share tastes")
    community_share: float = share(0.7, "part of a taste that the community shares")
    taste_content: float = Field(1.5, ge=0, description="how much people differ in which content they like")
    taste_style: float = Field(1.2, ge=0, description="how much people differ in which style they like")
    attribute_taste: float = Field(1.0, ge=0, description="how much age, gender and country shift tastes")
    friends: float = Field(8.0, ge=0, description="mean number of friends, in circles without common tastes")
    friend_views: float = share(0.15, "share of views that go to friends' posts (non-visual)")
    noise_views: float = share(0.1, "share of views that follow no taste")
    popularity_exponent: float = Field(0.8, ge=0, description="Zipf exponent of the exposure of posts")
    activity_exponent: float = Field(0.5, ge=0, description="Zipf exponent of views and posts per user")
    discovery: float = Field(0.3, gt=0, le=1, description="share of posts that a user comes across")

    multilingual: float = share(0.3, "share of people who tag in a second language too")
    synonyms: float = share(0.7, "how firmly a person keeps to one of several words for a drawing")
    ambiguous: float = share(
        0.15, "share of tags that are words with two meanings; the community decides which"
    )
    self_expression: float = share(0.2, "share of tags without visual content, a person's own")
    attribute_tags: float = share(0.12, "share of tags that tell age, gender or place")
    spam_tags: float = share(0.5, "share of posts with camera-like or numeric tags")
    spammers: float = share(0.02, "share of people who put 20 to 30 tags on each post")
    missing_attributes: float = share(0.1, "share of people whose age or gender is unknown")

    @classmethod
    def check(cls, options: dict) -> "Settings":
        """Settings of these options. Raises BadInput: names the option, the value and what was expected."""
        try:
            made = cls(**options)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"])) or "options"
            raise BadInput(f"emojigram: {name} = {first['input']!r}: {first['msg']}") from None
        for names in (("self_expression", "ambiguous", "attribute_tags"), ("friend_views", "noise_views")):
            if sum(getattr(made, name) for name in names) > 1:
                raise BadInput(f"emojigram: {' + '.join(names)} are shares; their sum exceeds 1")
        return made

    def table(self) -> pd.DataFrame:
        """One row per option: name, value here, meaning."""
        rows = [(name, getattr(self, name), f.description) for name, f in type(self).model_fields.items()]
        return pd.DataFrame(rows, columns=["parameter", "value", "what it plants"], dtype=object)
