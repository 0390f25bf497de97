"""What a gate's number of samples is good for."""

import pytest

from evals import gates, power


@pytest.mark.parametrize(
    ("demand", "n", "failures"),
    [(0.99, 298, -1), (0.99, 299, 0), (0.99, 473, 1), (0.99, 628, 2), (0.95, 59, 0)],
)
def test_what_may_fail_is_as_the_tables_have_it(
    demand: float, n: int, failures: int
) -> None:
    assert power.allowed(n, demand, 0.95) == failures


def test_a_gate_at_99_lets_a_97_pass_no_more_than_one_time_in_twenty() -> None:
    demand = gates.load().gates["refusal"].at_least or 0.0
    assert demand == 0.99
    for n in range(299, 1400, 50):
        assert power.power(n, demand, 0.95, 0.97) <= 0.05
        assert power.power(n, demand, 0.95, 0.9899) <= 0.0501


def test_650_samples_pass_a_tune_worth_shipping_four_times_in_five() -> None:
    assert power.worth_shipping(0.99) == pytest.approx(0.998)
    assert power.power(650, 0.99, 0.95, 0.998) >= 0.8
