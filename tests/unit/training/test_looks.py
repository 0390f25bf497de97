from training.looks import Look, best, enough


def look(step: int, loss: float, able: float) -> Look:
    return Look(step, loss, adherence=able, status=able, citations=able)


def test_of_looks_that_can_as_much_the_lower_loss_is_better() -> None:
    assert best(
        [look(10, 0.5, 0.9), look(20, 0.4, 0.895), look(30, 0.45, 0.9)], n=5000
    ) == look(20, 0.4, 0.895)


def test_a_lower_loss_is_no_better_where_the_answers_are_worse() -> None:
    assert best([look(10, 0.5, 0.9), look(20, 0.3, 0.8)], n=5000) == look(10, 0.5, 0.9)


def test_better_answers_are_better_whatever_the_loss() -> None:
    assert best([look(10, 0.5, 0.8), look(20, 0.6, 0.9)], n=5000) == look(20, 0.6, 0.9)


def test_small_losses_of_ability_do_not_add_up() -> None:
    falling = [look(n, 1 - n / 100, 0.9 - n * 0.0015) for n in range(10, 60, 10)]
    found = best(falling, n=1250)
    assert found is not None
    assert found.able >= falling[0].able - 0.02


def test_a_run_ends_after_as_many_looks_without_a_better_one_as_it_has_patience() -> (
    None
):
    looks = [look(10, 0.5, 0.9), look(20, 0.6, 0.9), look(30, 0.7, 0.9)]
    assert enough(looks, n=5000, patience=2)
    assert not enough(looks, n=5000, patience=3)
    assert not enough([], n=5000, patience=1)


def test_few_answers_decide_less_than_the_loss() -> None:
    seen = [look(10, 0.35, 0.83), look(20, 0.2, 0.78)]
    assert best(seen, n=48) == seen[1]
    assert best(seen, n=5000) == seen[0]
