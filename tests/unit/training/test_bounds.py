import pytest

from training.bounds import exact_bounds


@pytest.mark.parametrize(
    ("successes", "n", "lower", "upper"),
    [
        (0, 10, 0.0, 0.3085),
        (10, 10, 0.6915, 1.0),
        (8, 10, 0.4439, 0.9748),
        (24, 24, 0.8575, 1.0),
        (48, 100, 0.3790, 0.5822),
    ],
)
def test_bounds_agree_with_published_tables(
    successes: int, n: int, lower: float, upper: float
) -> None:
    assert exact_bounds(successes, n) == pytest.approx((lower, upper), abs=5e-5)


def test_more_samples_give_narrower_bounds() -> None:
    few, many = exact_bounds(9, 10), exact_bounds(90, 100)
    assert many[1] - many[0] < few[1] - few[0]
