import pytest
from hypothesis import given, strategies as st

from gateway.engine.sse import EventParser, EventSizeError

payloads = st.lists(
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))
    .filter(bool)
    .map(str.encode),
    max_size=8,
)


def parse(parts: list[bytes]) -> list[bytes]:
    parser = EventParser()
    return [event for part in parts for event in parser.feed(part)]


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(whole) + 1) for place in places)
    return [whole[a:b] for a, b in zip([0, *ends], [*ends, len(whole)], strict=True)]


@given(payloads, st.sampled_from(["\n", "\r\n"]), st.lists(st.integers(0), max_size=12))
def test_events_are_the_same_wherever_the_bytes_are_cut(
    data: list[bytes], end: str, places: list[int]
) -> None:
    newline = end.encode()
    whole = b"".join(b"data: " + item + newline * 2 for item in data)

    assert parse(cut(whole, places)) == data


def test_a_character_torn_by_the_network_comes_out_whole() -> None:
    whole = "data: für → dich\n\n".encode()

    events = parse([whole[i : i + 1] for i in range(len(whole))])

    assert [event.decode() for event in events] == ["für → dich"]


def test_data_lines_of_one_event_are_joined_by_a_line_feed() -> None:
    assert parse([b"data: a\ndata:b\ndata:\n\n"]) == [b"a\nb\n"]


def test_comments_and_other_fields_are_no_events() -> None:
    noise = b": ping\n\nevent: x\nid: 7\nretry: 10\n\n\n\n"

    assert parse([noise, b"event: y\ndata: 1\n\n", noise]) == [b"1"]


def test_an_event_without_its_empty_line_is_not_given_out() -> None:
    assert parse([b"data: 1\n\ndata: 2\n"]) == [b"1"]


@pytest.mark.parametrize(
    "line", [b"data: " + b"x" * 30, b"data: x\n", b": " + b"y" * 30]
)
def test_an_event_that_does_not_end_is_an_error_and_not_a_memory_leak(
    line: bytes,
) -> None:
    parser = EventParser(limit=100)
    taken = 0

    def feed_for_ever() -> None:
        nonlocal taken
        while True:
            parser.feed(line)
            taken += len(line)

    with pytest.raises(EventSizeError, match="100 bytes"):
        feed_for_ever()

    assert taken < 1_000


def test_the_limit_is_of_one_event_and_not_of_the_stream() -> None:
    parser = EventParser(limit=100)

    events = [
        e for _ in range(100) for e in parser.feed(b"data: " + b"x" * 80 + b"\n\n")
    ]

    assert len(events) == 100
