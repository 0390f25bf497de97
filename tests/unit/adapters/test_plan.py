from collections.abc import Collection, Mapping

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from adapters.errors import PlanError
from adapters.lifecycle import Event, State, advance, observe
from adapters.plan import (
    GONE,
    RESIDENT,
    Action,
    Observed,
    Step,
    Wanted,
    check_fits,
    plan,
    settled,
)
from adapters.refs import AdapterRef
from tests.unit.adapters import making

A, B, C, D = (AdapterRef(f"{name}@v1") for name in "abcd")
ALL = (A, B, C, D)


def _plan(
    desired: Mapping[AdapterRef, Wanted],
    states: Mapping[AdapterRef, State],
    *,
    max_loras: int = 4,
    ghosts: int = 0,
    retry: Collection[AdapterRef] = (),
    in_flight: Mapping[AdapterRef, int] | None = None,
) -> list[tuple[Action, AdapterRef]]:
    busy = in_flight or {}
    observed = {
        ref: Observed(state, busy.get(ref, 0), ghosts) for ref, state in states.items()
    }
    steps = plan(desired, observed, max_loras, retry)
    return [(step.action, step.ref) for step in steps]


def test_an_adapter_that_nobody_has_seen_is_staged_first() -> None:
    assert _plan({A: "mounted"}, {}) == [(Action.STAGE, A)]


def test_nothing_is_to_do_when_all_is_as_it_should_be() -> None:
    states = {A: State.READY, B: State.RETIRED, C: State.STAGED}
    assert _plan({A: "mounted", B: "absent"}, states) == []


def test_one_load_at_a_time() -> None:
    wanted: dict[AdapterRef, Wanted] = {A: "mounted", B: "mounted"}
    both = {A: State.STAGED, B: State.STAGED}
    assert _plan(wanted, both) == [(Action.LOAD, A)]
    assert _plan(wanted, {**both, A: State.LOADING}) == []


def test_no_load_while_another_one_may_still_be_running() -> None:
    wanted: dict[AdapterRef, Wanted] = {A: "mounted", B: "mounted"}
    states = {A: State.UNKNOWN, B: State.STAGED}
    assert _plan(wanted, states) == [(Action.LOOK_UP, A)]


def test_an_unload_waits_for_the_last_request() -> None:
    drained = {A: State.DRAINING}
    assert _plan({}, drained, in_flight={A: 1}) == []
    assert _plan({}, drained) == [(Action.UNLOAD, A)]


def test_routing_is_taken_away_before_anything_else_even_with_requests() -> None:
    assert _plan({}, {A: State.READY}, in_flight={A: 9}) == [(Action.DRAIN, A)]


def test_what_is_wanted_again_stops_draining() -> None:
    states = {A: State.DRAINING}
    assert _plan({A: "mounted"}, states, in_flight={A: 1}) == [(Action.RESUME, A)]


def test_a_load_that_does_not_fit_waits() -> None:
    states = {A: State.READY, B: State.DRAINING, C: State.STAGED}
    wanted: dict[AdapterRef, Wanted] = {A: "mounted", C: "mounted"}
    assert _plan(wanted, states, max_loras=2, in_flight={B: 1}) == []
    states[B] = State.RETIRED
    assert (Action.LOAD, C) in _plan(wanted, states, max_loras=2, ghosts=1)


def test_live_adapters_are_pinned_before_a_load_that_has_to_evict_a_ghost() -> None:
    states = {A: State.READY, B: State.STAGED}
    wanted: dict[AdapterRef, Wanted] = {A: "mounted", B: "mounted"}
    assert _plan(wanted, states, max_loras=3, ghosts=1) == [(Action.LOAD, B)]
    assert _plan(wanted, states, max_loras=3, ghosts=2) == [
        (Action.PIN, A),
        (Action.LOAD, B),
    ]


def test_a_failed_load_is_tried_again_only_when_its_time_has_come() -> None:
    states = {A: State.FAILED}
    assert _plan({A: "mounted"}, states) == []
    assert _plan({A: "mounted"}, states, retry=[A]) == [(Action.STAGE, A)]
    assert _plan({}, states, retry=[A]) == []


def test_a_quarantined_adapter_waits_for_a_person_or_leaves() -> None:
    states = {A: State.QUARANTINED}
    assert _plan({A: "mounted"}, states, retry=[A]) == []
    assert _plan({}, states) == [(Action.DRAIN, A)]


def test_what_is_mounted_and_was_never_asked_for_is_removed() -> None:
    assert _plan({}, {A: State.LOADED}) == [(Action.DRAIN, A)]


def test_a_desired_state_that_does_not_fit_is_refused_with_the_remedy() -> None:
    wanted: dict[AdapterRef, Wanted] = {A: "mounted", B: "mounted", C: "absent"}
    check_fits(wanted, 2)
    with pytest.raises(PlanError, match=r"2 adapters.*1 slots.*--max-loras"):
        check_fits(wanted, 1)


SUCCESS = {
    State.LOADING: Event.LOAD_DONE,
    State.WARMING: Event.PROVEN,
    State.UNLOADING: Event.UNLOADED,
}


class World:
    """A replica that does what it is asked, when it is let."""

    def __init__(self, states: Mapping[AdapterRef, State], max_loras: int) -> None:
        self.states = dict(states)
        self.in_flight = dict.fromkeys(ALL, 0)
        self.listed = {ref for ref, state in states.items() if state in RESIDENT}
        self.ghosts = 0
        self.worked = dict.fromkeys(ALL, 0)
        self.max_loras = max_loras
        self.used: list[AdapterRef | int] = sorted(self.listed)
        """The engine's slots, least recently used first; a ghost is a number."""

    def steps(
        self, desired: Mapping[AdapterRef, Wanted], retry: Collection[AdapterRef] = ()
    ) -> tuple[Step, ...]:
        observed = {
            ref: Observed(state, self.in_flight[ref], self.ghosts - self.worked[ref])
            for ref, state in self.states.items()
        }
        return plan(desired, observed, self.max_loras, retry)

    def works(self, ref: AdapterRef) -> None:
        self.worked[ref] = self.ghosts
        self.request(ref)

    def request(self, ref: AdapterRef) -> None:
        """Use a slot; whoever was used least recently makes room."""
        if ref in self.used:
            self.used.remove(ref)
        elif len(self.used) >= self.max_loras:
            evicted = self.used.pop(0)
            ghost = isinstance(evicted, int)
            assert ghost or self.states[evicted] is not State.READY, f"{ref} evicts it"
        self.used.append(ref)

    def take(self, ref: AdapterRef, event: Event) -> None:
        self.states[ref] = advance(self.states.get(ref, State.ABSENT), event)

    def begin(self, step: Step) -> None:
        if step.action is Action.LOAD:
            loading = [ref for ref, one in self.states.items() if one is State.LOADING]
            assert not loading
        if step.action is Action.UNLOAD:
            assert self.in_flight[step.ref] == 0
        if step.action is Action.PIN:
            assert self.states[step.ref] is State.READY
            self.works(step.ref)
        if step.begins:
            self.take(step.ref, step.begins)
        elif step.action is Action.STAGE:
            self.take(step.ref, Event.PREPARED)
        elif step.action is Action.LOOK_UP:
            self.states[step.ref] = observe(
                self.states[step.ref], listed=step.ref in self.listed
            )

    def finish(self, ref: AdapterRef, event: Event | None = None) -> None:
        state = self.states[ref]
        if state in SUCCESS:
            self.answer(ref, event or SUCCESS[state])

    def answer(self, ref: AdapterRef, event: Event) -> None:
        if event is Event.LOAD_DONE:
            self.listed.add(ref)
            self.request(ref)
        if event is Event.PROVEN:
            self.works(ref)
        if event is Event.UNLOADED:
            self.listed.discard(ref)
            self.ghosts += 1
            if ref in self.used:
                self.used[self.used.index(ref)] = self.ghosts
        self.take(ref, event)


def converge(world: World, desired: Mapping[AdapterRef, Wanted], rounds: int) -> None:
    for _ in range(rounds):
        steps = world.steps(desired, retry=ALL)
        for step in steps:
            world.begin(step)
        for ref in list(world.states):
            world.finish(ref)
            world.in_flight[ref] = max(0, world.in_flight[ref] - 1)


_WANTED = st.dictionaries(
    st.sampled_from(ALL), st.sampled_from(["mounted", "absent"]), max_size=4
)
_STATES = st.dictionaries(st.sampled_from(ALL), st.sampled_from(State), max_size=4)


@settings(making.PATIENT, max_examples=300)
@given(_WANTED, _STATES, st.lists(st.integers(0, 5), min_size=4, max_size=4), st.data())
def test_from_any_state_the_plan_reaches_what_is_desired_and_then_rests(
    desired: dict[AdapterRef, Wanted],
    states: dict[AdapterRef, State],
    busy: list[int],
    data: st.DataObject,
) -> None:
    mounted = sum(wanted == "mounted" for wanted in desired.values())
    world = World(states, max_loras=data.draw(st.integers(max(mounted, 1), 4)))
    maybe = [ref for ref, state in states.items() if state is State.UNKNOWN]
    for ref in maybe:
        if data.draw(st.booleans()):
            world.listed.discard(ref)
    for ref, count in zip(ALL, busy, strict=True):
        if states.get(ref) in (State.READY, State.DRAINING, State.QUARANTINED):
            world.in_flight[ref] = count
    # Each adapter takes at most 8 steps there, one load at a time, after at most
    # 5 rounds of requests in flight.
    converge(world, desired, rounds=8 * len(ALL) + 5)
    for ref, state in world.states.items():
        waits = state is State.QUARANTINED and states.get(ref) is State.QUARANTINED
        assert settled(desired, ref, state) or (waits and desired[ref] == "mounted")
    assert {ref for ref, want in desired.items() if want == "mounted"} <= set(
        world.states
    )
    assert world.steps(desired, retry=ALL) == ()


@settings(making.PATIENT, max_examples=300)
@given(_WANTED, _STATES)
def test_a_step_that_was_begun_is_not_planned_again(
    desired: dict[AdapterRef, Wanted], states: dict[AdapterRef, State]
) -> None:
    world = World(states, max_loras=4)
    before = world.steps(desired)
    for step in before:
        world.begin(step)
    pins_aside = {step for step in before if step.action is not Action.PIN}
    assert pins_aside.isdisjoint(world.steps(desired))


@settings(making.PATIENT, max_examples=300)
@given(_WANTED, _STATES, st.integers(0, 4), st.integers(0, 9))
def test_a_plan_has_one_load_at_most_and_each_step_is_allowed_by_the_table(
    desired: dict[AdapterRef, Wanted],
    states: dict[AdapterRef, State],
    max_loras: int,
    ghosts: int,
) -> None:
    observed = {ref: Observed(state, 0, ghosts) for ref, state in states.items()}
    steps = plan(desired, observed, max_loras, retry=ALL)
    assert sum(step.action is Action.LOAD for step in steps) <= 1
    changing = [step.ref for step in steps if step.action is not Action.PIN]
    assert len(changing) == len(set(changing))
    for step in steps:
        if step.begins:
            advance(states.get(step.ref, State.ABSENT), step.begins)


@settings(making.PATIENT, max_examples=300)
@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sets(st.sampled_from(ALL), max_size=4), st.integers(0, 9))),
)
def test_no_load_evicts_an_adapter_that_lives(
    max_loras: int, turns: list[tuple[set[AdapterRef], int]]
) -> None:
    world = World({}, max_loras)
    for wishes, asked in turns:
        desired: dict[AdapterRef, Wanted] = dict.fromkeys(
            sorted(wishes)[:max_loras], "mounted"
        )
        converge(world, desired, rounds=8 * len(ALL))
        for ref in ALL[: asked % len(ALL)]:
            if world.states.get(ref) is State.READY:
                world.request(ref)  # which nobody tells the plan


def test_an_idle_adapter_is_not_pinned_for_each_swap_of_another() -> None:
    world = World({}, max_loras=4)
    pins = 0
    for turn in range(30):
        desired: dict[AdapterRef, Wanted] = {A: "mounted", B: "mounted"}
        if turn % 2:
            del desired[B]
        for _ in range(8):
            for step in world.steps(desired):
                pins += step.action is Action.PIN
                world.begin(step)
            for ref in list(world.states):
                world.finish(ref)
    assert pins == 4


class Faults(RuleBasedStateMachine):
    """Wishes change, answers get lost, replicas restart: the invariants hold."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World({}, max_loras=2)
        self.desired: dict[AdapterRef, Wanted] = {}

    @rule(ref=st.sampled_from(ALL), wanted=st.sampled_from(["mounted", "absent"]))
    def wish(self, ref: AdapterRef, wanted: Wanted) -> None:
        wished: dict[AdapterRef, Wanted] = {**self.desired, ref: wanted}
        try:
            check_fits(wished, self.world.max_loras)
        except PlanError:
            return
        self.desired = wished

    @rule(retry=st.sets(st.sampled_from(ALL)))
    def reconcile(self, retry: set[AdapterRef]) -> None:
        for step in self.world.steps(self.desired, retry):
            self.world.begin(step)

    @rule(ref=st.sampled_from(ALL), happened=st.booleans(), outcome=st.integers(0, 2))
    def answer(self, ref: AdapterRef, *, happened: bool, outcome: int) -> None:
        state = self.world.states.get(ref)
        if state not in SUCCESS:
            return
        if outcome == 0:
            self.world.finish(ref)
        elif outcome == 1:
            if happened and state is State.LOADING:
                self.world.listed.add(ref)
            if happened and state is State.UNLOADING:
                self.world.listed.discard(ref)
            self.world.take(ref, Event.UNCLEAR)
        elif state is State.LOADING:
            self.world.take(ref, Event.LOAD_REFUSED)
        elif state is State.WARMING:
            self.world.take(ref, Event.DISPROVEN)

    @rule(ref=st.sampled_from(ALL))
    def request(self, ref: AdapterRef) -> None:
        if self.world.states.get(ref) is State.READY:
            assert ref in self.world.listed
            self.world.in_flight[ref] += 1

    @rule(ref=st.sampled_from(ALL))
    def complete(self, ref: AdapterRef) -> None:
        self.world.in_flight[ref] = max(0, self.world.in_flight[ref] - 1)

    @rule(ref=st.sampled_from(ALL))
    def release(self, ref: AdapterRef) -> None:
        if self.world.states.get(ref) is State.QUARANTINED:
            self.world.take(ref, Event.RELEASED)

    @precondition(lambda self: self.world.states)
    @rule()
    def restart(self) -> None:
        self.world.listed.clear()
        self.world.ghosts = 0
        for ref in self.world.states:
            self.world.take(ref, Event.RESTARTED)
            self.world.in_flight[ref] = 0

    @invariant()
    def never_more_than_the_slots_hold(self) -> None:
        assert len(self.world.listed) <= self.world.max_loras

    @invariant()
    def one_load_at_most(self) -> None:
        states = list(self.world.states.values())
        assert states.count(State.LOADING) <= 1

    @invariant()
    def nothing_is_unloaded_under_a_request(self) -> None:
        for ref, state in self.world.states.items():
            if state in GONE or state is State.UNLOADING:
                assert self.world.in_flight[ref] == 0

    def teardown(self) -> None:
        for ref, state in self.world.states.items():
            if state is State.QUARANTINED:
                self.world.take(ref, Event.RELEASED)
        converge(self.world, self.desired, rounds=80)
        for ref, state in self.world.states.items():
            assert settled(self.desired, ref, state)


TestFaults = Faults.TestCase
TestFaults.settings = settings(max_examples=250, stateful_step_count=50, deadline=None)
