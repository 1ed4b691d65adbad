"""The one rule: fed with the papers' own tables it gives the papers' own verdicts."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from helpers.claims import rule
from helpers.claims.board import corrected, counts
from helpers.claims.papers import CLAIMS, Claim, Measure
from helpers.errors import BadInput
from helpers.measures.stats import Effect, compare, compare_groups

POINTS = Measure(unit="points", scale=100, digits=1, margin=1, because="tables print tenths")


def claim(**more) -> Claim:
    about = {
        "id": "V7a",
        "paper": "a paper",
        "notebook": "07_user_models",
        "statement": "a beats b",
        "where": "Table 2",
    }
    about |= {"compared": "a and b", "over": "users", "measure": POINTS}
    return Claim(**about | more)


def judged(one: Claim, *ends: float, data="movielens", simulated=False, seen=0.0, **more) -> str:
    """The verdict from an interval in points."""
    low, high = (end / 100 for end in ends)
    parts = rule.parts_of(one, {"": Effect((low + high) / 2, low, high, **more)}, data)
    return rule.verdict(one, parts, simulated, seen)


@pytest.mark.parametrize(
    ("says", "ends", "verdict"),
    [
        ("above", (1.1, 5), "supported"),
        ("above", (0.9, 5), "undecided"),
        ("above", (-3, 5), "undecided"),
        ("above", (-5, -0.1), "contradicted"),
        ("above", (-0.9, 0.9), "contradicted"),  # equivalence, where a difference is claimed
        ("equal", (-0.9, 0.9), "supported"),
        ("equal", (-9, 9), "undecided"),  # a wide interval proves nothing
        ("equal", (1.1, 2), "contradicted"),
        ("equal", (-2, -1.1), "contradicted"),
        ("not below", (-0.9, 9), "supported"),
        ("not below", (-9, 9), "undecided"),
        ("not below", (-9, -1.1), "contradicted"),
        ("not above", (-9, 0.9), "supported"),
        ("not above", (-9, 9), "undecided"),
        ("not above", (1.1, 9), "contradicted"),
    ],
)
def test_the_table_of_the_rule(says, ends, verdict):
    assert judged(claim(says=says), *ends) == verdict
    parts = rule.parts_of(claim(says=says), {"": Effect(np.mean(ends) / 100, *np.divide(ends, 100))}, "")
    assert (rule.p_value(claim(says=says), parts) < 0.05) == (verdict != "undecided")
    assert bool(rule.would_decide(claim(says=says), parts)) == (verdict == "undecided")


def test_reproduced_needs_people_numbers_and_a_like_effect():
    cited = claim(numbers={"flickr": (43.65, 41.66)})  # 1.99 points
    assert judged(cited, 1.5, 4) == "reproduced"
    assert judged(cited, 1.5, 4, simulated=True) == "supported (planted)"
    assert judged(claim(), 1.5, 4) == "supported", "the paper gives no number"
    assert judged(cited, 6, 9) == "supported", "far more than the paper's effect"
    assert judged(cited, 1.5, 4, seen=0.9) == "supported", "memory is tested as much as sight"
    assert judged(cited, -9, 9, simulated=True) == "undecided"
    ratio = claim(numbers={"K 1000": (18, 8)}, relative=True)  # + 125 %
    assert judged(ratio, 1.5, 2.5, b=0.02) == "reproduced"
    assert judged(ratio, 1.5, 2.5, b=0.2) == "supported"
    assert judged(ratio, 1.5, 2.5) == "supported", "without levels no ratio is known"


def test_a_dataset_goes_by_its_own_number_and_its_own_exception():
    one = claim(numbers={"toys": (50, 40), "movielens": (33, 33)}, exceptions={"movielens": "equal"})
    assert judged(one, -0.5, 0.5, data="movielens") == "reproduced"
    assert judged(one, -0.5, 0.5, data="toys") == "contradicted"
    assert judged(one, 6, 9, data="toys") == "reproduced"
    assert judged(one, 2, 4, data="toys") == "supported", "less than half of 10 points"
    assert judged(one, 6, 9, data="movielens") == "contradicted", "there the paper sees no difference"


def test_all_parts_must_speak_for_a_claim():
    def parts_of(*means):
        effects = {str(n): Effect(m / 100, (m - 1) / 100, (m + 1) / 100) for n, m in enumerate(means)}
        return rule.parts_of(claim(), effects, "")

    def of(*means):
        parts = parts_of(*means)
        return rule.verdict(claim(), parts), rule.p_value(claim(), parts)

    assert of(5, 6)[0] == "supported"
    assert of(5, 1)[0] == "undecided"
    assert of(5, -5)[0] == "contradicted"
    assert of(5, 2.5)[1] == pytest.approx(of(2.5)[1]), "the weakest counts"
    assert of(-2, 1)[1] == pytest.approx(2 * of(-2)[1]), "two looks, one of which contradicts"
    # [-2.1, -0.1] contradicts alone; of two differences one does so twice as often by chance
    assert of(-1.1)[0] == "contradicted"
    assert of(-1.1)[1] < 0.05
    assert of(5, -1.1)[0] == "undecided"
    assert 0.05 < of(5, -1.1)[1] < 0.1
    assert "would decide it" in rule.would_decide(claim(), parts_of(5, -1.1))


def test_what_would_decide():
    def told(mean, half, units=100, seeds=1, share=0.0, **more):
        effect = Effect(mean / 100, (mean - half) / 100, (mean + half) / 100, units=units, seeds=seeds,
                        seed_share=share)  # fmt: skip
        return rule.would_decide(claim(**more), rule.parts_of(claim(**more), {"": effect}, ""))

    assert told(3, 4) == "about 400 users would decide it (100 here)", "twice as far as the bound: four times"
    assert told(-2, 4) == "about 400 users would decide it (100 here)"
    assert told(0, 2) == "about 400 users would decide it (100 here)", "equivalence would contradict it"
    assert told(0, 2, says="equal") == "about 400 users would decide it (100 here)"
    assert told(1.01, 4).startswith("too close")
    assert told(2, 1.2, seeds=3, share=0.9) == "about 5 seeds would decide it (3 here)"
    both = told(3, 4, seeds=3, share=0.5)
    assert both == "about 400 users would decide it (100 here) and about 12 seeds would decide it (3 here)"


def test_few_units_decide_nothing():
    parts = rule.parts_of(claim(), {"": Effect(0.0, 0.0, 0.0, units=3)}, "")
    assert rule.verdict(claim(), parts) == "undecided"
    assert rule.would_decide(claim(), parts) == "3 users are too few for an interval"


def test_more_units_do_decide():
    """The number that is told is the one that decides, on data with a known difference."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.02, 0.2, 400), np.zeros(400)
    parts = rule.parts_of(claim(), {"": compare(a, b, rng)}, "")
    assert rule.verdict(claim(), parts) == "undecided"
    needed = int(rule.would_decide(claim(), parts).split()[1].replace(",", ""))
    more = np.tile(a, -(-2 * needed // 400))
    parts = rule.parts_of(claim(), {"": compare(more, np.zeros(len(more)), rng)}, "")
    assert rule.verdict(claim(), parts) == "supported"


def test_holm():
    assert rule.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert rule.holm([0.5, 0.9]).max() == 1.0
    rows = [{"verdict": "supported", "p": p} for p in (0.0001, 0.04)]
    rows += [{"verdict": "undecided", "p": 0.3}, {"verdict": "procedure", "p": None}]
    after = corrected(rows)
    assert [c["corrected"] for c in after] == ["supported", "undecided", "undecided", "procedure"]
    assert counts(after)["supported"] == (2, 1)


def test_seeds_and_users_widen_the_interval():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, 300)
    one = compare(noise + 0.2, noise * 0, rng)
    seeds = noise + np.array([[0.2], [0.9], [-0.5]])
    several = compare(seeds, noise * 0, rng)
    assert several.high - several.low > 2 * (one.high - one.low)
    assert several.seeds == 3
    assert several.seed_share > 0.7
    assert one.seed_share == 0
    # the variance is that of users plus that of seeds
    expected = noise.var(ddof=1) / 300 + np.var([0.2, 0.9, -0.5], ddof=1) / 3
    width = (several.high - several.low) / (2 * scipy_stats.norm.ppf(0.975))
    assert width == pytest.approx(np.sqrt(expected), rel=0.1)
    # cases of one user move together
    users = np.repeat(np.arange(30), 10)
    alike = np.repeat(rng.normal(0, 1, 30), 10)
    assert np.ptp(compare(alike, alike * 0, rng, users)[1:3]) > 2 * np.ptp(
        compare(alike, alike * 0, rng)[1:3]
    )
    assert compare(alike, alike * 0, rng, users).units == 30
    apart = compare_groups(noise + 1, rng.normal(size=200), rng)
    assert apart.low > 0.6
    assert apart.a - apart.b == pytest.approx(apart.mean)
    for wrong in ((noise, noise[:-1]), (np.zeros((2, 9)), np.zeros((3, 9))), ([1.0], [2.0])):
        with pytest.raises(BadInput, match="compare"):
            compare(*wrong, rng)


CITED = [(one, case) for one in CLAIMS.values() for case in one.numbers]


@pytest.mark.parametrize(("one", "case"), CITED, ids=[f"{one.id}-{case}" for one, case in CITED])
def test_the_papers_own_numbers_give_the_papers_own_verdict(one, case):
    a, b = (number / one.measure.scale for number in one.numbers[case])
    parts = rule.parts_of(one, {case: Effect(a - b, a - b, a - b, a, b)}, "")
    assert rule.verdict(one, parts) == "reproduced"
    # and the opposite is not taken for it
    if one.side(case) == "above":
        parts = rule.parts_of(one, {case: Effect(b - a, b - a, b - a, b, a)}, "")
        assert rule.verdict(one, parts) == "contradicted"


@pytest.mark.parametrize(
    ("id", "case"), [("J8a", "flowers102"), ("J8b", "sports8"), ("B7b", "movielens"), ("B5b", "clothing")]
)
def test_exceptions_of_the_papers_are_kept(id, case):
    assert case in CLAIMS[id].numbers
    assert case in CLAIMS[id].exceptions


def test_zeros_on_both_sides_decide_nothing():
    """Neither method has a hit: the bootstrap gives [0, 0], which is no sign that they are equally good."""
    blank = {"": rule.Part("movielens", "above", Effect(0, 0, 0, 0, 0, 500))}
    assert rule.verdict(claim(), blank) == "undecided"
    assert rule.p_value(claim(), blank) == 1
    assert "zero on both sides" in rule.would_decide(claim(), blank)
    tie = {"": rule.Part("movielens", "above", Effect(0, 0, 0, 50, 50, 500))}
    assert rule.verdict(claim(), tie) == "contradicted"


@pytest.mark.parametrize(
    ("says", "ends", "undone_by"),
    [
        ("above", (1.1, 5), "fall"),
        ("above", (-5, -0.1), "rise"),
        ("above", (-0.9, 0.9), "rise"),
        ("equal", (-0.9, 0.9), "rise fall"),
        ("equal", (1.1, 2), "fall"),
        ("equal", (-2, -1.1), "rise"),
        ("not below", (-0.9, 9), "fall"),
        ("not below", (-9, -1.1), "rise"),
        ("not above", (-9, 0.9), "rise"),
        ("not above", (1.1, 9), "fall"),
    ],
)
def test_who_loses_at_an_edge_has_not_lost(says, ends, undone_by):
    """What the searches left open undoes a verdict exactly where it could move the difference out of it."""
    one, effect = claim(says=says), Effect(np.mean(ends) / 100, *np.divide(ends, 100))
    decided = rule.verdict(one, rule.parts_of(one, {"": effect}, ""))
    assert decided != "undecided"
    for way in ("rise", "fall"):
        parts = rule.parts_of(one, {"": effect}, "", **{way: {"": "tensor (epochs)"}})
        undone = way in undone_by.split()
        assert rule.verdict(one, parts) == ("undecided" if undone else decided)
        why = f"{decided} if more tries could not help tensor (epochs)" if undone else ""
        assert rule.would_decide(one, parts) == why
        assert rule.p_value(one, parts) < 0.05, "of the interval alone"


def test_one_part_that_is_left_open_leaves_a_claim_open():
    below, above = Effect(-0.05, -0.06, -0.04), Effect(0.05, 0.04, 0.06)

    def judge(effects, **left):
        return rule.verdict(claim(), rule.parts_of(claim(), effects, "", **left))

    two = {"K 1": above, "K 2": below}
    assert judge(two) == "contradicted"
    assert judge(two, rise={"K 2": "tensor (lr)"}) == "undecided"
    assert judge(two, rise={"K 1": "tensor (lr)"}) == "contradicted"
    assert judge(two | {"K 3": below}, rise={"K 2": "tensor (lr)"}) == "contradicted", "K 3 is enough"
    assert judge({"K 1": above, "K 2": above}, fall={"K 2": "pairs (lr)"}) == "undecided"
