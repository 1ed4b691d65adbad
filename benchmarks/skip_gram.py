"""Skip-gram on sets of tags: our kernel, and gensim's word2vec with as many passes, draws and dimensions.

    python -m benchmarks.skip_gram

Both get the same sets, in which every tag is the context of every other one, and both use one thread. Speed
alone proves nothing, so each is also asked how often the tag nearest to a tag belongs to the same topic.
"""

import numpy as np
from gensim.models import Word2Vec

from benchmarks.common import compare, parser, report
from helpers.words import embeddings
from helpers.words.vectors import unit


def world(n_sets: int, n_tags: int, topics: int, size: int, seed: int = 0):
    """Sets of `size` distinct tags of one topic, long-tailed within it; and the topic of each tag."""
    rng = np.random.default_rng(seed)
    topic, per_topic = rng.integers(0, topics, n_sets), n_tags // topics
    popularity = np.log(np.arange(1, per_topic + 1)) * -0.7
    # the largest of log p plus Gumbel noise are a draw without replacement
    ranked = np.argsort(-(popularity + rng.gumbel(size=(n_sets, per_topic))), axis=1)[:, :size]
    tag = ranked + topic[:, None] * per_topic
    sets = embeddings.tag_sets(np.repeat(np.arange(n_sets), size), tag.ravel(), per_topic * topics)
    return sets, np.arange(per_topic * topics) // per_topic


def same_topic(vectors: np.ndarray, topic: np.ndarray) -> float:
    """Share of tags whose nearest other tag has their topic; by chance 1 / topics."""
    cosine = unit(vectors) @ unit(vectors).T
    np.fill_diagonal(cosine, -np.inf)
    return float((topic[cosine.argmax(axis=1)] == topic).mean())


def with_gensim(sentences: list[list[str]], d: int, epochs: int, seed: int = 0) -> Word2Vec:
    # a window that holds any set, not shrunk at random: the context is everything else, as in ours
    return Word2Vec(
        sentences, vector_size=d, window=100, shrink_windows=False, min_count=1, sg=1, negative=5, sample=0,
        epochs=epochs, alpha=0.05, min_alpha=5e-6, workers=1, seed=seed,
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    numbers = {"sets": 100_000, "tags": 10_000, "topics": 100, "size": 5, "d": 100, "epochs": 2}
    options = parser(__doc__, **numbers).parse_args(arguments)
    sets, topic = world(options.sets, options.tags, options.topics, options.size)
    sentences = [row.astype(str).tolist() for row in np.split(sets.tags, sets.indptr[1:-1])]
    d, epochs = options.d, options.epochs
    made = {}

    def ours():
        made["ours"] = embeddings.skip_gram(sets, d, epochs).vectors

    def theirs():
        made["gensim"] = with_gensim(sentences, d, epochs).wv

    def senses():
        made["multi-sense"] = embeddings.multi_sense(sets, d, epochs=epochs).vectors

    pairs = len(sets.tags) * (options.size - 1) * epochs
    print(f"{pairs / 1e6:.1f} million pairs of tags in {epochs} passes, {len(topic)} tags, d {d}")
    times = compare({"ours": ours, "gensim": theirs}, options.repeats)
    print("with four senses beside the global vectors:")
    print(compare({"multi-sense": senses, "ours": ours}, options.repeats).round(4).to_string())
    # gensim numbers words by frequency; back to our order, words that never occur have the zero vector
    found = np.zeros((sets.n_tags, d), np.float32)
    found[np.array(made["gensim"].index_to_key, int)] = made["gensim"].vectors
    made["gensim"], occurs = found, np.bincount(sets.tags, minlength=sets.n_tags) > 0
    right = {name: same_topic(vectors[occurs], topic[occurs]) for name, vectors in made.items()}
    print(f"nearest tag of the same topic: {right} (chance {1 / options.topics:.3f})")
    report("skip-gram, one thread", times, options, same_topic=right)


if __name__ == "__main__":
    main()
