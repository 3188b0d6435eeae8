"""The session generator: shares, and no duplicate questions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from jobs.practice.generator import SessionConfig, Topics, generate, largest_remainder

POOL = {topic: [f"{topic}-{n:02}" for n in range(30)] for topic in ("alg", "cal", "geo", "tri")}
ALL = {question for questions in POOL.values() for question in questions}


def by_topic(session: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for question in session:
        topic = question.partition("-")[0]
        counts[topic] = counts.get(topic, 0) + 1
    return counts


def test_twenty_questions_are_ten_current_six_weak_and_four_for_revision() -> None:
    topics = Topics(current=["alg"], weak=["geo"], revision=["tri"])

    session = generate(SessionConfig(), POOL, topics, (), "asha")

    assert by_topic(session) == {"alg": 10, "geo": 6, "tri": 4}


def test_missing_questions_of_a_group_come_from_the_subject() -> None:
    null_keys = generate(SessionConfig(), POOL, Topics(), (), "asha")
    only_current = generate(SessionConfig(), POOL, Topics(current=["alg"]), (), "asha")

    assert len(null_keys) == len(only_current) == 20
    assert by_topic(only_current)["alg"] >= 10


def test_a_topic_of_another_subject_gives_no_questions() -> None:
    session = generate(SessionConfig(), {"alg": POOL["alg"]}, Topics(current=["ink", "alg"]), (), "asha")

    assert by_topic(session) == {"alg": 20}


def test_recently_solved_questions_come_last() -> None:
    solved = {question for question in ALL if not question.startswith("alg")}
    topics = Topics(current=["geo"], weak=["tri"], revision=["cal"])

    others_left = generate(SessionConfig(), POOL, topics, solved, "asha")
    few_left = generate(SessionConfig(questions=40), POOL, topics, solved, "asha")
    none_left = generate(SessionConfig(), POOL, topics, ALL, "asha")

    assert by_topic(others_left) == {"alg": 20}
    assert by_topic(few_left)["alg"] == 30
    assert len(few_left) == 40
    assert len(none_left) == 20


def test_a_small_subject_gives_all_its_questions() -> None:
    pool = {"ink": ["ink-1", "ink-2", "ink-3"]}

    assert sorted(generate(SessionConfig(), pool, Topics(), {"ink-2"}, "asha")) == ["ink-1", "ink-2", "ink-3"]
    assert generate(SessionConfig(), {}, Topics(), (), "asha") == []


def test_the_session_depends_on_the_seed() -> None:
    topics = Topics(current=["alg", "cal"], weak=["geo"])
    turned = {topic: questions[::-1] for topic, questions in reversed(POOL.items())}

    asha = generate(SessionConfig(), POOL, topics, (), "asha")

    assert generate(SessionConfig(), turned, topics, frozenset(), "asha") == asha
    assert generate(SessionConfig(), POOL, topics, (), "ben") != asha


names = st.sampled_from(["alg", "cal", "geo", "tri", "ink"])
configs = st.builds(
    SessionConfig,
    questions=st.integers(1, 60),
    current=st.floats(0, 5),
    weak=st.floats(0, 5),
    revision=st.sampled_from([0.0, 0.2, 1.0]),
)
topics_of = st.builds(
    Topics,
    current=st.lists(names, unique=True),
    weak=st.lists(names, unique=True),
    revision=st.lists(names, max_size=2),
)
pools = st.dictionaries(names, st.lists(st.integers(0, 12), unique=True, max_size=12)).map(
    lambda drawn: {topic: [f"{topic}-{n}" for n in numbers] for topic, numbers in drawn.items()}
)


@given(configs, pools, topics_of, st.data())
def test_the_rules_hold_for_any_input(
    config: SessionConfig, pool: dict[str, list[str]], topics: Topics, data: st.DataObject
) -> None:
    everything = {question for questions in pool.values() for question in questions}
    solved = data.draw(st.sets(st.sampled_from(sorted(everything)))) if everything else set()

    session = generate(config, pool, topics, solved, "seed")

    assert len(session) == len(set(session)) == min(config.questions, len(everything))
    assert set(session) <= everything
    left_out = everything - solved - set(session)
    assert not left_out or not solved & set(session)
    assert generate(config, pool, topics, solved, "seed") == session
    shares = largest_remainder(config.questions, (config.current, config.weak, config.revision))
    for share, group in zip(shares, (topics.current, topics.weak, topics.revision), strict=True):
        of_group = {question for topic in group for question in pool.get(topic, ())} - solved
        assert len(of_group & set(session)) >= min(share, len(of_group))


@given(st.integers(0, 300), st.lists(st.integers(0, 50), min_size=1, max_size=6))
def test_shares_are_rounded_to_the_nearest_whole_numbers(total: int, weights: list[int]) -> None:
    counts = largest_remainder(total, weights)

    if not sum(weights):
        assert counts == [0] * len(weights)
        return
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    assert sum(counts) == total
    assert all(int(part) <= count <= int(part) + 1 for part, count in zip(exact, counts, strict=True))
    rounded_up = [part - int(part) for part, count in zip(exact, counts, strict=True) if count > int(part)]
    cut = [part - int(part) for part, count in zip(exact, counts, strict=True) if count == int(part)]
    assert not rounded_up or not cut or min(rounded_up) >= max(cut)


@pytest.mark.parametrize(
    ("total", "shares", "counts"),
    [
        (20, (0.5, 0.3, 0.2), [10, 6, 4]),
        (25, (0.5, 0.3, 0.2), [13, 7, 5]),
        (10, (1, 1, 1), [4, 3, 3]),
        (1, (0, 0, 2), [0, 0, 1]),
    ],
)
def test_ties_of_remainders_go_to_the_first(total: int, shares: tuple[float, ...], counts: list[int]) -> None:
    assert largest_remainder(total, shares) == counts
