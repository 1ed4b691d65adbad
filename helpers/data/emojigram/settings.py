"""Every knob of the simulated network. Each regularity has a strength, and 0 turns it off."""

from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from helpers.errors import BadInput

STYLES = ("plain", "mono", "sepia", "blur", "pixel", "poster", "edges", "neon")


class Settings(BaseModel):
    """What `generate` takes. Descriptions double as the table in notebook 00."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    seed: int = Field(0, ge=0, description="decides every random draw")
    posts: int = Field(2000, ge=1, le=50_000_000, description="pictures, one a post")
    users: int = Field(800, ge=2, le=50_000_000, description="people; anyone may post and view")
    views_per_user: float = Field(60.0, ge=0, description="mean number of views a user gives")
    tags_per_post: float = Field(4.0, ge=0, description="mean number of hashtags before spam is added")
    image_size: int = Field(64, ge=16, le=512, description="side of the square pictures in pixels")
    contents: int = Field(32, ge=2, le=119, description="kinds of drawing (OpenMoji subgroups)")
    drawings_per_content: int = Field(12, ge=1, le=100, description="drawings used of each kind, at most")

    communities: int = Field(12, ge=1, description="groups of people who share tastes")
    community_share: float = Field(0.7, ge=0, le=1, description="part of a taste that the community shares")
    taste_content: float = Field(1.5, ge=0, description="how much people differ in which content they like")
    taste_style: float = Field(1.2, ge=0, description="how much people differ in which style they like")
    attribute_taste: float = Field(1.0, ge=0, description="how much age, gender and country shift tastes")
    friends: float = Field(8.0, ge=0, description="mean number of friends, in circles without common tastes")
    friend_views: float = Field(
        0.15, ge=0, le=1, description="share of views that go to friends' posts (non-visual)"
    )
    noise_views: float = Field(0.1, ge=0, le=1, description="share of views that follow no taste")
    popularity_exponent: float = Field(0.8, ge=0, description="Zipf exponent of the exposure of posts")
    activity_exponent: float = Field(0.5, ge=0, description="Zipf exponent of views and posts per user")
    discovery: float = Field(0.3, gt=0, le=1, description="share of posts that a user comes across")

    multilingual: float = Field(
        0.3, ge=0, le=1, description="share of people who tag in a second language too"
    )
    synonyms: float = Field(
        0.7, ge=0, le=1, description="how firmly a person keeps to one of several words for a drawing"
    )
    ambiguous: float = Field(
        0.15,
        ge=0,
        le=1,
        description="share of tags that are words with two meanings; the community decides which",
    )
    self_expression: float = Field(
        0.2, ge=0, le=1, description="share of tags without visual content, a person's own"
    )
    attribute_tags: float = Field(
        0.12, ge=0, le=1, description="share of tags that tell age, gender or place"
    )
    spam_tags: float = Field(0.5, ge=0, le=1, description="share of posts with camera-like or numeric tags")
    spammers: float = Field(
        0.02, ge=0, le=1, description="share of people who put 20 to 30 tags on each post"
    )
    missing_attributes: float = Field(
        0.1, ge=0, le=1, description="share of people whose age or gender is unknown"
    )

    @classmethod
    def check(cls, options: dict) -> "Settings":
        """Validate options.

        Raises:
            BadInput: one line that names the option, the value and what was expected.
        """
        try:
            made = cls(**options)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"])) or "options"
            raise BadInput(f"emojigram: {name} = {first['input']!r}: {first['msg']}") from None
        if made.self_expression + made.ambiguous + made.attribute_tags > 1:
            raise BadInput(
                "emojigram: self_expression + ambiguous + attribute_tags are shares; their sum exceeds 1"
            )
        if made.friend_views + made.noise_views > 1:
            raise BadInput("emojigram: friend_views + noise_views are shares; their sum exceeds 1")
        return made

    def table(self) -> pd.DataFrame:
        """One row per option: name, value here, meaning."""
        fields = type(self).model_fields
        return pd.DataFrame(
            [(name, getattr(self, name), field.description) for name, field in fields.items()],
            columns=["parameter", "value", "what it plants"],
        )


def code_files() -> list[Path]:
    """The modules that decide what is generated; their content is part of the cache key."""
    return sorted(Path(__file__).parent.glob("*.py"))
