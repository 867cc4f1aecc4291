"""A state machine's definition, walked in process: what Step Functions does with our two files.

It knows what these files use and refuses the rest, so that a definition which grows past it stops
the suite and is not half understood. Time is the clock's: a wait, the pause before a retry (the
longest that its jitter allows) and a task that takes too long all move it or are judged by it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonata import Jsonata

from florin.adapters.clock import ManualClock

Json = dict[str, Any]
Task = Callable[[Json], object]
"""What a resource does with a task's arguments; what it answers is the task's result."""

TRANSITIONS_MAX: Final = 200

KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "Task": frozenset(
        {"Resource", "Arguments", "TimeoutSeconds", "Retry", "Catch", "Assign", "Output", "Next"}
    ),
    "Choice": frozenset({"Choices", "Assign", "Default"}),
    "Wait": frozenset({"Seconds", "Next"}),
    "Succeed": frozenset(),
    "Fail": frozenset({"Error", "Cause"}),
}
"""The fields of each type of state that are understood here, beside its type and comment."""
INVOKE: Final = "arn:aws:states:::lambda:invoke"
SEND: Final = "arn:aws:states:::sqs:sendMessage"
KNOWN_RETRY: Final = frozenset(
    {
        *("ErrorEquals", "IntervalSeconds", "BackoffRate", "MaxAttempts", "MaxDelaySeconds"),
        "JitterStrategy",
    }
)
KNOWN_CATCH: Final = frozenset({"ErrorEquals", "Assign", "Next"})
KNOWN_CHOICE: Final = frozenset({"Condition", "Next"})
KNOWN_MACHINE: Final = frozenset(
    {"Comment", "QueryLanguage", "StartAt", "TimeoutSeconds", "States"}
)


class InvocationDied(BaseException):  # nothing that the engine catches
    """The process of an invocation is gone, and nothing of its code runs any more."""


class AllGone(BaseException):  # likewise
    """It is, and so is whoever had called it: nobody calls again."""


class NotUnderstoodError(Exception):
    """A definition uses what the walker does not know."""


class TaskError(Exception):
    """A task failed; `name` is the error as a retrier or catcher names it."""

    def __init__(self, name: str, cause: str) -> None:
        super().__init__(f"{name}: {cause}")
        self.name, self.cause = name, cause

    def is_among(self, names: list[str]) -> bool:
        """Whether a list of error names means this one. A timeout is no `States.TaskFailed`."""
        general = {"States.ALL"}
        if self.name != "States.Timeout":
            general.add("States.TaskFailed")
        return self.name in names or bool(general & set(names))


@dataclass
class Execution:
    """One execution: what it was given, how far it got, and how it ended."""

    name: str
    payment_id: str
    variables: Json = field(default_factory=dict)
    visited: list[str] = field(default_factory=list)
    status: str = "RUNNING"

    @property
    def arn(self) -> str:
        return f"arn:aws:states:eu-south-1:000000000000:execution:{self.name}"


@cache
def definition(path: Path) -> Json:
    """A definition that holds nothing unknown.

    Raises:
        NotUnderstoodError: it does.
    """
    machine: Json = json.loads(path.read_text(encoding="utf-8"))
    _only(machine, KNOWN_MACHINE, str(path))
    if machine.get("QueryLanguage") != "JSONata":
        raise NotUnderstoodError("only JSONata is")
    for name, state in machine["States"].items():
        known = KNOWN.get(state["Type"])
        if known is None:
            raise NotUnderstoodError(f"{name} is a {state['Type']}")
        _only(state, known | {"Type", "Comment"}, name)
        if state.get("Resource", INVOKE) not in {INVOKE, SEND}:
            raise NotUnderstoodError(f"{name} asks {state['Resource']}")
        for part, fields in (
            ("Retry", KNOWN_RETRY),
            ("Catch", KNOWN_CATCH),
            ("Choices", KNOWN_CHOICE),
        ):
            for rule in state.get(part, ()):
                _only(rule, fields, f"{name}.{part}")
    return machine


def _only(given: Json, known: frozenset[str], where: str) -> None:
    if unknown := given.keys() - known:
        raise NotUnderstoodError(f"{where} has {', '.join(sorted(unknown))}")


@dataclass(frozen=True, slots=True)
class Machine:
    """A definition, and what its resources do: by function name, and by queue."""

    definition: Json
    functions: Mapping[str, Task]
    queues: Mapping[str, Task]
    clock: ManualClock

    def walk(self, execution: Execution) -> None:
        """Take an execution to its end."""
        for _ in self.steps(execution):
            pass

    def steps(self, execution: Execution) -> Iterator[str]:
        """The states of an execution, each named before it is entered. Whoever asks for no more
        of them ends it there.
        """
        name, data = self.definition["StartAt"], {"payment_id": execution.payment_id}
        ends_at = self.clock.now() + timedelta(seconds=self.definition["TimeoutSeconds"])
        while len(execution.visited) < TRANSITIONS_MAX:
            yield name
            if self.clock.now() > ends_at:
                execution.status = "TIMED_OUT"
                return
            execution.visited.append(name)
            state = self.definition["States"][name]
            match state["Type"]:
                case "Task":
                    try:
                        name, data = self._task(execution, name, state, data)
                    except TaskError:
                        execution.status = "FAILED"
                        return
                case "Choice":
                    name = self._choice(execution, name, state, data)
                case "Wait":
                    self.clock.advance(timedelta(seconds=state["Seconds"]))
                    name = state["Next"]
                case "Succeed":
                    execution.status = "SUCCEEDED"
                    return
                case _:
                    execution.status = "FAILED"
                    return
        raise AssertionError(f"{execution.name} goes round and round: {execution.visited[-8:]}")

    def _task(self, execution: Execution, name: str, state: Json, data: Json) -> tuple[str, Json]:
        states = _states(execution, name, data)
        tried = [0] * len(state.get("Retry", ()))
        while True:
            try:
                result = self._done(state, states, execution)
            except TaskError as error:
                pause = _pause(state, error, tried)
                if pause is not None:
                    self.clock.advance(pause)
                    continue
                for catcher in state.get("Catch", ()):
                    if error.is_among(catcher["ErrorEquals"]):
                        told = {"Error": error.name, "Cause": error.cause}
                        failed = states | {"errorOutput": told}
                        self._assign(execution, catcher.get("Assign", {}), failed)
                        return catcher["Next"], told
                raise
            done = states | {"result": result}
            output = _value(state.get("Output", result), done, execution.variables)
            self._assign(execution, state.get("Assign", {}), done)
            return state["Next"], output

    def _done(self, state: Json, states: Json, execution: Execution) -> object:
        """The result of one try at a task.

        Raises:
            TaskError: it raised, its process died, or it took too long.
        """
        arguments = _value(state["Arguments"], states, execution.variables)
        began = self.clock.now()
        try:
            result = self._resource(state["Resource"], arguments)
        except InvocationDied as death:
            raise TaskError("Lambda.Unknown", str(death)) from death
        except Exception as error:
            raise TaskError(type(error).__name__, str(error)) from error
        if self.clock.now() - began > timedelta(seconds=state["TimeoutSeconds"]):
            raise TaskError("States.Timeout", "it took too long")
        return result

    def _resource(self, resource: str, arguments: Json) -> object:
        if resource == SEND:
            return self.queues[arguments["QueueUrl"]](arguments["MessageBody"])
        answer = self.functions[arguments["FunctionName"]](arguments["Payload"])
        return {"StatusCode": 200, "Payload": answer}

    def _choice(self, execution: Execution, name: str, state: Json, data: Json) -> str:
        states = _states(execution, name, data)
        for choice in state["Choices"]:
            if _value(choice["Condition"], states, execution.variables) is True:
                chosen: str = choice["Next"]
                return chosen
        self._assign(execution, state.get("Assign", {}), states)
        default: str = state["Default"]
        return default

    def _assign(self, execution: Execution, wanted: Json, states: Json) -> None:
        """Set variables, all from the values before."""
        execution.variables |= {
            name: _value(text, states, execution.variables) for name, text in wanted.items()
        }


def _states(execution: Execution, name: str, data: Json) -> Json:
    """What an expression can ask `$states` for."""
    context = {
        "Execution": {"Id": execution.arn, "Input": {"payment_id": execution.payment_id}},
        "State": {"Name": name},
    }
    return {"input": data, "context": context}


def _pause(state: Json, error: TaskError, tried: list[int]) -> timedelta | None:
    """How long to wait before another try, if there is one; counts it."""
    for number, retrier in enumerate(state.get("Retry", ())):
        if not error.is_among(retrier["ErrorEquals"]):
            continue
        if tried[number] >= retrier["MaxAttempts"]:
            return None
        pause = retrier["IntervalSeconds"] * retrier["BackoffRate"] ** tried[number]
        tried[number] += 1
        return timedelta(seconds=min(pause, retrier["MaxDelaySeconds"]))
    return None


def _value(wanted: Any, states: Json, variables: Json) -> Any:
    """A value of the definition with its expressions worked out."""
    match wanted:
        case dict():
            return {key: _value(each, states, variables) for key, each in wanted.items()}
        case list():
            return [_value(each, states, variables) for each in wanted]
        case str() if wanted.startswith("{%") and wanted.endswith("%}"):
            known = json.dumps({**variables, "states": states}, sort_keys=True)
            return json.loads(_worked_out(wanted[2:-2].strip(), known))
        case _:
            return wanted


@cache
def _worked_out(text: str, known: str) -> str:
    """The value of an expression, given these variables: as JSON, as a machine passes it on."""
    expression = _expression(text)
    frame = expression.create_frame()
    for name, value in json.loads(known).items():
        frame.bind(name, value)
    return json.dumps(expression.evaluate(None, frame))


@cache
def _expression(text: str) -> Jsonata:
    return Jsonata(text)
