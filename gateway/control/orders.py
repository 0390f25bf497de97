"""What a person does to a rollout: start it, hold it, let it go on, end it either way."""

import secrets
from collections.abc import Callable, Mapping

import msgspec

from gateway.control.changes import Changes, Who
from gateway.control.preflight import Ground, impossible, missing, taken
from gateway.errors import BadRequest, NotAllowed, NotFound, StateConflict
from routing.errors import RolloutError
from routing.rollout import Pause, Plan, Rollout


class Orders(msgspec.Struct, frozen=True):
    """Carries out what operators want.

    Args:
        changes: how it is written down.
        ground: what has to be there for a start.
        now: wall clock, seconds since 1970.
    """

    changes: Changes
    ground: Ground
    now: Callable[[], float]

    async def start(self, plan: Plan, who: Who, override: str) -> Rollout:
        """Write a new rollout down; the controller takes it from there.

        Raises:
            StateConflict: something is missing, and no reason was given to do without.
            StoreUnavailable: giving boost needs the store.
        """
        no = impossible(plan, self.ground)
        if no:
            raise StateConflict(f"this cannot be rolled out: {'; '.join(no)}")
        lacks = await missing(plan, self.ground)
        if lacks and not override:
            raise StateConflict(
                f"not ready to be rolled out: {'; '.join(lacks)}. Make it so, or give a"
                " reason as `override`, which is logged"
            )
        made = Rollout(
            id=f"ro-{secrets.token_hex(4)}",
            plan=plan,
            begun=self.now(),
            entered=self.now(),
            overridden=f"{override}: {'; '.join(lacks)}" if lacks else "",
        )
        what = f"rollout.start {made.id}"
        if lacks:
            what = f"rollout.start.overridden {made.id}"
            who = Who(who.name, f"{who.why} [{made.overridden}]".strip())

        def edit(held: Mapping[str, Rollout]) -> Rollout:
            # Another operator may have been quicker since the look above.
            if others := taken(plan, held):
                raise StateConflict(f"this cannot be rolled out: {'; '.join(others)}")
            return made

        return await self.changes.rollout(edit, who, what)

    async def pause(self, id_: str, who: Who) -> Rollout:
        """Hold a rollout where it is; harm still rolls it back."""
        pause = Pause("operator", who.why or "no reason was given")
        return await self._change(id_, lambda held: held.held(pause), who, "pause")

    async def resume(self, id_: str, who: Who) -> Rollout:
        """Let it go on."""
        return await self._change(id_, lambda held: held.held(None), who, "resume")

    async def promote(self, id_: str, who: Who, override: str) -> Rollout:
        """Give the whole scope to the candidate.

        Raises:
            NotAllowed: the plan names others.
            StateConflict: not every gate has passed, and no reason was given.
        """

        def edit(held: Rollout) -> Rollout:
            if held.plan.promoters and who.name not in held.plan.promoters:
                may = ", ".join(sorted(held.plan.promoters))
                raise NotAllowed(f"{id_} is promoted by {may}, not by {who.name}")
            proved = held.pause is not None and held.pause.kind == "promote"
            if not proved and not override:
                raise StateConflict(
                    f"{id_} has not proved that it is good; `wastegate rollout status"
                    f" {id_}` says what is missing. Give a reason as `override` to"
                    " promote it anyway, which is logged"
                )
            why = f"by {who.name}" + (f", overriding: {override}" if not proved else "")
            return held.after("promoted", self.now(), why=why)

        done = await self._change(id_, edit, who, "promote")
        await self.changes.rule(done, who)
        return done

    async def roll_back(self, id_: str, who: Who) -> tuple[Rollout, bool]:
        """Give the scope back to the control, at once; whether the store has it too."""
        held = _found(self.ground.live.stored.rollouts, id_)
        why = f"by {who.name}: {who.why}" if who.why else f"by {who.name}"
        after = _tried(
            lambda held: held.after("rolled_back", self.now(), why=why), held
        )
        return await self.changes.roll_back(after, who)

    async def _change(
        self, id_: str, edit: Callable[[Rollout], Rollout], who: Who, what: str
    ) -> Rollout:
        return await self.changes.rollout(
            lambda held: _tried(edit, _found(held, id_)), who, f"rollout.{what} {id_}"
        )


def _found(rollouts: Mapping[str, Rollout], id_: str) -> Rollout:
    if id_ not in rollouts:
        raise NotFound(f"there is no rollout {id_[:64]!r}; `wastegate rollout list`")
    return rollouts[id_]


def _tried(edit: Callable[[Rollout], Rollout], held: Rollout) -> Rollout:
    try:
        return edit(held)
    except RolloutError as error:
        raise StateConflict(f"{held.id}: {error}") from error


def planned(given: Mapping[str, object]) -> Plan:
    """Return the plan that an operator has written.

    Raises:
        BadRequest: it is none, with the path.
    """
    try:
        return msgspec.convert(given, Plan)
    except RolloutError as error:
        raise BadRequest(error.message, param=f"plan.{error.path}") from error
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        raise BadRequest(message, param=f"plan{path.strip('`$')}") from error
