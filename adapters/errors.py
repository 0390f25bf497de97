"""Everything that this package raises.

AdapterError
  RefError            a text is not a model ref
  ManifestError       manifest.json or base.json does not say what it must
  TensorFileError     a .safetensors file breaks the format
  PreflightError      an adapter must not reach a replica; carries all problems
    NotServable         its manifest says that it cannot be served
  KeyUnfit            a file is no key that can sign
  RegistryError       the registry cannot do what was asked
    UnknownRef          nothing is registered under the ref
    RefConflict         the ref is bound to other bytes already
    CollectedAdapter    the ref is bound, its files were collected
    StillRead           a replica may read the files that should be collected
    CorruptAdapter      stored bytes are not those that were registered
  HomeError           a home cannot be used, or does not hold what it must
  TransitionError     an event that the state does not allow
  PlanError           a desired state that no sequence of steps can reach

Problems of the disk stay what they are: `OSError` passes through.
"""

from collections.abc import Iterable
from typing import Final

_SHOWN: Final = 80
"""Characters of a refused text that an error quotes."""

_LISTED: Final = 20
"""Problems in a message; the error's attribute has all of them."""


class AdapterError(Exception):
    """The root: one `except` for callers that only report."""


class RefError(AdapterError):
    """`text` is not a ref; the message says what one looks like."""

    def __init__(self, text: str, expected: str) -> None:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        super().__init__(f"{shown!r} is no model ref; expected {expected}")
        self.text = text


class ManifestError(AdapterError):
    """A manifest is missing, malformed, or contradicts what it describes."""

    def __init__(self, file: str, message: str) -> None:
        super().__init__(f"{file}: {message}")
        self.file = file
        self.message = message


class TensorFileError(AdapterError):
    """A .safetensors file breaks the format; `problems` lists each breach."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class PreflightError(AdapterError):
    """An adapter is not fit to be served; `problems` lists every reason found."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        listed = "".join(f"\n- {problem}" for problem in self.problems[:_LISTED])
        more = len(self.problems) - _LISTED
        rest = f"\n- and {more} more" if more > 0 else ""
        super().__init__(f"the adapter cannot be served:{listed}{rest}")


class NotServable(PreflightError):  # noqa: N818 - says what it is
    """`ref` says of itself that it cannot be served, and `because`."""

    def __init__(self, ref: str, because: str) -> None:
        said = f"{ref} says servable: false in its manifest, because {because}"
        super().__init__([f"{said}; train a LoRA instead, and register that"])
        self.ref = ref
        self.because = because


class KeyUnfit(AdapterError):  # noqa: N818 - says what it is
    """The file `key` holds no key that can sign; `message` is the library's reason."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(
            f"{key} cannot sign: {message}; expected the PEM of an elliptic-curve"
            " private key (P-256, P-384 or P-521) without a password"
        )
        self.key = key
        self.message = message


class RegistryError(AdapterError):
    """The registry cannot do what was asked."""


class UnknownRef(RegistryError):  # noqa: N818 - the base names the kind
    """Nothing is registered under `ref`."""

    def __init__(self, ref: str, known: Iterable[str]) -> None:
        names = ", ".join(known) or "nothing"
        super().__init__(f"{ref} is not registered; registered are: {names}")
        self.ref = ref


class RefConflict(RegistryError):  # noqa: N818 - the base names the kind
    """`ref` is bound to `registered` for ever; `offered` are other bytes."""

    def __init__(self, ref: str, registered: str, offered: str) -> None:
        super().__init__(
            f"{ref} is bound to {registered} and cannot become {offered};"
            " register new bytes under a new version"
        )
        self.ref = ref
        self.registered = registered
        self.offered = offered


class CollectedAdapter(RegistryError):  # noqa: N818 - the base names the kind
    """`ref` stays bound, and its files are gone because somebody asked for that."""

    def __init__(self, ref: str) -> None:
        super().__init__(
            f"the files of {ref} were collected; adding the same bytes again brings"
            " them back"
        )
        self.ref = ref


class StillRead(RegistryError):  # noqa: N818 - the base names the kind
    """`replicas` may read the files of `ref` yet."""

    def __init__(self, ref: str, replicas: Iterable[str]) -> None:
        self.replicas = tuple(replicas)
        super().__init__(
            f"the files of {ref} may still be read by {'; '.join(self.replicas)}"
        )
        self.ref = ref


class CorruptAdapter(RegistryError):  # noqa: N818 - the base names the kind
    """The stored bytes of `ref` are not those that were registered."""

    def __init__(self, ref: str, message: str) -> None:
        super().__init__(
            f"{ref} is damaged in the registry: {message};"
            " restore the files, or register the adapter under a new version"
        )
        self.ref = ref


class HomeError(AdapterError):
    """`home` cannot be used, or what it holds cannot be trusted.

    `message` says what is wrong there, `advice` what to do about it.
    """

    def __init__(self, home: str, message: str, advice: str) -> None:
        super().__init__(f"{home}: {message}; {advice}")
        self.home = home
        self.message = message
        self.advice = advice


class TransitionError(AdapterError):
    """The lifecycle table has no row for this state and event."""

    def __init__(self, state: str, event: str, allowed: Iterable[str]) -> None:
        possible = ", ".join(allowed) or "none"
        super().__init__(f"no {event!r} in state {state!r}; possible there: {possible}")
        self.state = state
        self.event = event


class PlanError(AdapterError):
    """The desired state does not fit the replica, whatever the order of steps."""
