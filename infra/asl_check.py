"""Is a Step Functions definition sound, before anybody deploys it?

The local stack takes nearly any definition, and AWS itself takes one that reads a variable nobody
assigned; such a machine fails when a payment is on its way. So it is checked here, in three layers,
each of which presumes the one before:

    structure   cfn-lint's own JSON Schema of the language, narrowed to JSONata
    meaning     targets, reachability, ends, error names, expressions, variables, substitutions
    house       what this project asks of every state machine, beyond what AWS does

    python -m infra.asl_check state_machines/payment.asl.json [--substitution VoidFunction ...]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from importlib.resources import files
from itertools import chain, takewhile
from pathlib import Path
from typing import Any, Final

from jsonata import Jsonata
from jsonata.jexception import JException
from jsonata.parser import Parser
from jsonschema import Draft202012Validator

Json = dict[str, Any]
Where = tuple[str | int, ...]  # the way to a value, inside its state
Node = Any  # of the JSONata parser's tree; the library carries no types


class Rule(StrEnum):
    """What a fault offends against."""

    JSON = "json"
    STRUCTURE = "structure"
    JSONPATH = "jsonpath"
    TARGET = "target"
    UNREACHABLE = "unreachable"
    NO_END = "no-end"
    ERRORS = "errors"
    EXPRESSION = "expression"
    STATES_FIELD = "states-field"
    VARIABLE = "variable"
    SUBSTITUTION = "substitution"
    HOUSE = "house"


@dataclass(frozen=True, slots=True)
class Fault:
    rule: Rule
    state: str  # empty for what concerns the machine as a whole
    message: str

    def __str__(self) -> str:
        return f"{self.state or 'the machine'}: {self.message} [{self.rule}]"


def check_text(text: str, substitutions: Collection[str] | None = None) -> list[Fault]:
    """The faults of a definition as it stands in its file."""
    try:
        definition = json.loads(text, object_pairs_hook=_without_duplicates)
    except ValueError as error:
        return [Fault(Rule.JSON, "", str(error))]
    return check(definition, substitutions)


def check(definition: object, substitutions: Collection[str] | None = None) -> list[Fault]:
    """The faults of a definition; `substitutions` are the `${Names}` that its template fills in."""
    if not isinstance(definition, dict):
        return [Fault(Rule.JSON, "", "a definition is a JSON object")]
    if faults := list(_structure(definition)):
        return faults

    # After this point every field is known to be there, or not, and to have its type.
    faults = list(_meaning(definition, frozenset()))
    if substitutions is not None:
        faults += _unknown_substitutions(definition, substitutions)
    return faults + list(_house(definition))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Json:
    """Two states of one name: JSON keeps the last and says nothing."""
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"the same key twice in one object: {', '.join(twice)}")
    return dict(pairs)


# Structure: cfn-lint keeps the schema, we close what it leaves open for JSONata. Seconds stay
# numbers (AWS would take an expression there), else nobody could add the times up.

JSONPATH_FIELDS: Final = {
    *("InputPath", "OutputPath", "Parameters", "ResultPath", "ResultSelector", "Result"),
    *("ItemsPath", "MaxConcurrencyPath", "TimeoutSecondsPath", "HeartbeatSecondsPath"),
    *("ToleratedFailureCountPath", "ToleratedFailurePercentagePath"),
    *("SecondsPath", "TimestampPath", "ErrorPath", "CausePath", "Variable"),
}
# Fields that cfn-lint lets every type have, and AWS does not.
NOT_OF_TYPE: Final = {
    "choice": {"Next", "End", "Arguments"},
    "fail": {"Arguments", "Output"},
    "pass": {"Arguments"},
    "wait": {"Arguments"},
    "map": {"Arguments", "Iterator"},
}
EXPRESSION_SCHEMA: Final = {"type": "string", "pattern": r"^\{%[\s\S]*%\}$"}
CHOICE_RULE: Final = {
    "type": "object",
    "properties": {
        "Comment": {"type": "string"},
        "Condition": EXPRESSION_SCHEMA,
        "Next": {"type": "string"},
        "Assign": {"type": "object"},
        "Output": {},
    },
    "required": ["Condition", "Next"],
    "additionalProperties": False,
}
ERROR_EQUALS: Final = {"type": "array", "items": {"type": "string"}, "minItems": 1}
RETRIER: Final = {
    "type": "object",
    "properties": {
        "Comment": {"type": "string"},
        "ErrorEquals": ERROR_EQUALS,
        "IntervalSeconds": {"type": "integer", "minimum": 1},
        "MaxAttempts": {"type": "integer", "minimum": 0},
        "BackoffRate": {"type": "number", "minimum": 1},
        "MaxDelaySeconds": {"type": "integer", "minimum": 1},
        "JitterStrategy": {"enum": ["FULL", "NONE"]},
    },
    "required": ["ErrorEquals"],
    "additionalProperties": False,
}
CATCHER: Final = {
    "type": "object",
    "properties": {
        "Comment": {"type": "string"},
        "ErrorEquals": ERROR_EQUALS,
        "Next": {"type": "string"},
        "Assign": {"type": "object"},
        "Output": {},
    },
    "required": ["ErrorEquals", "Next"],
    "additionalProperties": False,
}
LISTS: Final = {"Choices": CHOICE_RULE, "Retry": RETRIER, "Catch": CATCHER}


def _structure(definition: Json) -> Iterator[Fault]:
    if definition.get("QueryLanguage") != "JSONata":
        yield Fault(Rule.STRUCTURE, "", "QueryLanguage must be JSONata")
    for error in _validator().iter_errors(definition):
        state, where = _place(tuple(error.path))
        for rule, message in _explained(error):
            at = f"{_slashed(where)}: " if where else ""
            yield Fault(rule, state, f"{at}{message}")


def _explained(error: Any) -> Iterator[tuple[Rule, str]]:
    """One of jsonschema's errors (whose attributes are typed as "maybe unset") in plain words."""
    if error.validator == "additionalProperties":
        allowed: Json = error.schema.get("properties", {})
        for name in sorted(error.instance.keys() - allowed.keys()):
            yield _unknown_field(name, allowed)
    elif error.validator == "oneOf":
        choice = [option["required"][0] for option in error.validator_value]
        yield Rule.STRUCTURE, f"needs exactly one of {' and '.join(choice)}"
    else:
        yield Rule.STRUCTURE, error.message


def _unknown_field(name: str, allowed: Collection[str]) -> tuple[Rule, str]:
    if name in JSONPATH_FIELDS:
        return Rule.JSONPATH, f"{name} belongs to JSONPath; this machine speaks JSONata"
    meant = "".join(f", {near} is" for near in get_close_matches(name, allowed, 1))
    return Rule.STRUCTURE, f"{name} is not a field here{meant}"


def _place(path: Where) -> tuple[str, Where]:
    """The innermost state on the way to a value, and the rest of the way from there."""
    for depth in range(len(path) - 2, -1, -1):
        if path[depth] == "States":
            return str(path[depth + 1]), path[depth + 2 :]
    return "", path


@cache
def _validator() -> Draft202012Validator:
    source = files("cfnlint.data.schemas.other.step_functions") / "statemachine.json"
    schema: Json = json.loads(source.read_text(encoding="utf-8"))
    definitions: Json = schema["definitions"]
    definitions["common"] = {}  # forbids by query language what is taken out below
    definitions["queryLanguage"] = {"const": "JSONata"}
    for kind in ("choice", "fail", "map", "parallel", "pass", "succeed", "task", "wait"):
        _narrow(definitions[kind], JSONPATH_FIELDS | NOT_OF_TYPE.get(kind, set()))
    del definitions["choice"]["allOf"]
    definitions["wait"]["allOf"] = [_exactly_one("Seconds", "Timestamp")]
    definitions["map"]["allOf"] = [_exactly_one("Next", "End"), {"required": ["ItemProcessor"]}]
    definitions["parallel"]["properties"]["Branches"]["items"] = {"$ref": "#"}
    return Draft202012Validator(schema)


def _narrow(state: Json, forbidden: Collection[str]) -> None:
    fields: Json = state["properties"]
    for name in forbidden & fields.keys():
        del fields[name]
    for name in LISTS.keys() & fields.keys():
        fields[name] = {"type": "array", "items": LISTS[name], "minItems": 1}
    for name in {"Arguments"} & fields.keys():
        fields[name] = {"type": ["object", "string"]}
    for name in {"Output"} & fields.keys():
        fields[name] = {}  # any JSON value
    state |= _exactly_one(*state.pop("requiredXor", ()))


def _exactly_one(*names: str) -> Json:
    """In the standard's words; cfn-lint has a keyword of its own."""
    return {"oneOf": [{"required": [name]} for name in names]} if names else {}


# Meaning, first half: the machine as a graph.


@dataclass(frozen=True, slots=True)
class Edge:
    """A way out of a state, with the variables that are assigned on it."""

    field: str
    target: str
    assigned: frozenset[str]


def edges(state: Json) -> Iterator[Edge]:
    # Whether a Choice's own Assign holds for its rules too is told in two ways; for its Default it
    # always does, so there it counts, and only there.
    for field in ("Next", "Default"):
        if field in state:
            yield Edge(field, state[field], frozenset(state.get("Assign", ())))
    for field in ("Choices", "Catch"):
        for index, rule in enumerate(state.get(field, ())):
            yield Edge(f"{field}/{index}/Next", rule["Next"], frozenset(rule.get("Assign", ())))


def _meaning(machine: Json, inherited: frozenset[str]) -> Iterator[Fault]:
    states: dict[str, Json] = machine["States"]
    missing = list(_missing_targets(machine))
    yield from missing
    # With a broken edge everything behind it would be reported too.
    known = {} if missing else _known_on_entry(machine, inherited)
    if not missing:
        yield from _unreachable(states, known)
        yield from _endless(states)
    for name, state in states.items():
        yield from _error_lists(name, state)
        yield from _expressions(name, state, known.get(name))
        for nested in _nested(state) if name in known else ():
            yield from _meaning(nested, frozenset() if _is_distributed(nested) else known[name])


def _missing_targets(machine: Json) -> Iterator[Fault]:
    states: dict[str, Json] = machine["States"]
    if machine["StartAt"] not in states:
        yield Fault(Rule.TARGET, "", f"StartAt names {machine['StartAt']}, which is not a state")
    for name, state in states.items():
        for edge in edges(state):
            if edge.target not in states:
                message = f"{edge.field} names {edge.target}, which is not a state"
                yield Fault(Rule.TARGET, name, message)


def _known_on_entry(machine: Json, inherited: frozenset[str]) -> dict[str, frozenset[str]]:
    """For each state that can be reached, the variables assigned on *every* way to it."""
    known: dict[str, frozenset[str]] = {}
    arrivals = [(str(machine["StartAt"]), inherited)]
    while arrivals:
        name, arriving = arrivals.pop()
        now = known.get(name, arriving) & arriving
        if known.get(name) != now:
            known[name] = now
            state = machine["States"][name]
            arrivals += [(edge.target, now | edge.assigned) for edge in edges(state)]
    return known


def _unreachable(states: Mapping[str, Json], reached: Collection[str]) -> Iterator[Fault]:
    for name in states:
        if name not in reached:
            yield Fault(Rule.UNREACHABLE, name, "no way leads here from StartAt")


def _endless(states: Mapping[str, Json]) -> Iterator[Fault]:
    ending = {name for name, state in states.items() if _is_end(state)}
    grown = True
    while grown:
        before = len(ending)
        ending |= {
            name
            for name, state in states.items()
            if any(edge.target in ending for edge in edges(state))
        }
        grown = len(ending) > before
    for name in states:
        if name not in ending:
            yield Fault(Rule.NO_END, name, "no way leads from here to an end")


def _is_end(state: Json) -> bool:
    return state["Type"] in {"Succeed", "Fail"} or "End" in state


def _nested(state: Json) -> Iterator[Json]:
    """The machines inside a Parallel or a Map."""
    yield from state.get("Branches", ())
    if "ItemProcessor" in state:
        yield state["ItemProcessor"]


def _is_distributed(machine: Json) -> bool:
    """Runs as executions of its own, which do not see the variables around it."""
    mode: str = machine.get("ProcessorConfig", {}).get("Mode", "INLINE")
    return mode == "DISTRIBUTED"


ERROR_NAMES: Final = {
    *("States.ALL", "States.BranchFailed", "States.DataLimitExceeded"),
    *("States.ExceedToleratedFailureThreshold", "States.HeartbeatTimeout"),
    *("States.Http.Socket", "States.ItemReaderFailed", "States.NoChoiceMatched"),
    *("States.Permissions", "States.QueryEvaluationError", "States.ResultWriterFailed"),
    *("States.Runtime", "States.TaskFailed", "States.Timeout"),
}


def _error_lists(name: str, state: Json) -> Iterator[Fault]:
    for field in ("Retry", "Catch"):
        rules: list[Json] = state.get(field, [])
        for index, rule in enumerate(rules):
            for message in _error_list(rule, last=index == len(rules) - 1):
                yield Fault(Rule.ERRORS, name, f"{field}/{index}: {message}")


def _error_list(rule: Json, *, last: bool) -> Iterator[str]:
    errors: list[str] = rule["ErrorEquals"]
    if "States.ALL" in errors and len(errors) > 1:
        yield "States.ALL must stand alone"
    if "States.ALL" in errors and not last:
        yield "States.ALL must be last, what follows is never asked"
    for error in errors:
        if error.startswith("States.") and error not in ERROR_NAMES:
            yield f"{error} is not an error of Step Functions"
    if rule.get("MaxDelaySeconds", sys.maxsize) <= rule.get("IntervalSeconds", 1):
        yield "MaxDelaySeconds must be more than IntervalSeconds"


# Meaning, second half: expressions.


@dataclass(frozen=True, slots=True)
class Reference:
    """What an expression reads: `$outcome`, `$states` with its fields, or a bare name."""

    root: str
    fields: tuple[str, ...] = ()


NESTING_FIELDS: Final = {"Branches", "ItemProcessor"}


def _expressions(name: str, state: Json, known: frozenset[str] | None) -> Iterator[Fault]:
    """`known` are the variables to be had here; None when the graph is broken and nobody knows."""
    own = {field: value for field, value in state.items() if field not in NESTING_FIELDS}
    if "states" in {variable for edge in edges(state) for variable in edge.assigned}:
        yield Fault(Rule.VARIABLE, name, "$states is reserved, it cannot be assigned")
    for where, text in _strings(own):
        for rule, message in _expression(state, where, text, known):
            yield Fault(rule, name, f"{_slashed(where)}: {message}")


def _expression(
    state: Json, where: Where, text: str, known: frozenset[str] | None
) -> Iterator[tuple[Rule, str]]:
    if str(where[-1]).endswith(".$") or text.startswith(("$.", "$$.")):
        yield Rule.JSONPATH, f"{text!r} is JSONPath; this machine speaks JSONata"
    if "{%" not in text and "%}" not in text:
        return
    if not (text.startswith("{%") and text.endswith("%}")):
        yield Rule.EXPRESSION, f"an expression is the whole string, {{% to %}}: {text!r}"
        return
    try:
        found = references(text.removeprefix("{%").removesuffix("%}"))
    except ExpressionError as error:
        yield Rule.EXPRESSION, f"{error}: {text!r}"
        return
    there = _states_fields(state, where)
    for reference in found:
        yield from _reference(reference, there, known)


def _reference(
    reference: Reference, there: Mapping[str, Any], known: frozenset[str] | None
) -> Iterator[tuple[Rule, str]]:
    root, fields = reference.root, reference.fields
    if root == "$states":
        if problem := _missing_field(fields, there):
            yield Rule.STATES_FIELD, problem
    elif not root.startswith("$") or root in {"$", "$$"}:
        yield Rule.EXPRESSION, f"{root} reads a context item, and there is none: begin with a $name"
    elif known is not None and root[1:] not in known | _functions():
        yield Rule.VARIABLE, f"{root} is not assigned on every way here"


# `$states`, as AWS documents it; None stands for "anything below".
EXECUTION_CONTEXT: Final[Mapping[str, Any]] = {
    "Execution": dict.fromkeys(
        ("Id", "Input", "Name", "RoleArn", "StartTime", "RedriveCount", "RedriveTime")
    ),
    "State": dict.fromkeys(("EnteredTime", "Name", "RetryCount")),
    "StateMachine": dict.fromkeys(("Id", "Name")),
}
TASK_CONTEXT: Final[Mapping[str, Any]] = {"Task": {"Token": None}}
MAP_CONTEXT: Final[Mapping[str, Any]] = {"Map": {"Item": dict.fromkeys(("Index", "Key", "Value"))}}
ERROR_OUTPUT: Final[Mapping[str, Any]] = dict.fromkeys(("Error", "Cause"))
WITH_RESULT: Final = {"Task", "Parallel", "Map"}


def _states_fields(state: Json, where: Where) -> Mapping[str, Any]:
    """What `$states` holds in this place."""
    context = dict(EXECUTION_CONTEXT)
    if state.get("Resource", "").endswith(".waitForTaskToken"):
        context |= TASK_CONTEXT
    if where[0] == "ItemSelector":
        context |= MAP_CONTEXT
    there: Json = {"input": None, "context": context}
    if where[0] in {"Assign", "Output"} and state["Type"] in WITH_RESULT:
        there["result"] = None
    if where[0] == "Catch":
        there["errorOutput"] = ERROR_OUTPUT
    return there


def _missing_field(fields: tuple[str, ...], there: Mapping[str, Any]) -> str | None:
    if not fields:
        return "$states needs the name of a field"
    level: Mapping[str, Any] | None = there
    for depth, field in enumerate(fields, start=1):
        if level is None:
            return None
        if field not in level:
            path = ".".join(("$states", *fields[:depth]))
            return f"{path} does not exist here, only {', '.join(sorted(level))}"
        level = level[field]
    return None


class ExpressionError(Exception):
    """Not JSONata."""


@cache
def references(expression: str) -> tuple[Reference, ...]:
    """What an expression reads from outside of itself, each once."""
    try:
        tree = Parser().parse(expression.strip())
    except JException as error:
        raise ExpressionError(str(error)) from error
    except (LookupError, re.error) as error:
        # The port of the parser trips over what the original calls a syntax error.
        raise ExpressionError(f"no JSONata ({error!r})") from error
    own = {f"${name}" for node in _nodes(tree) for name in _bound(node)}
    return tuple(read for read in dict.fromkeys(_read(tree, top=True)) if read.root not in own)


# How the parser's tree hangs together. A name below INNER is a field of what is being looked at;
# anywhere else it would be a field of the context item, which Step Functions does not have.
INNER: Final = ("predicate", "stages", "group", "terms", "rhs_terms", "pattern", "update", "delete")
OUTER: Final = (
    *("lhs", "rhs", "lhs_object", "rhs_object", "expression", "expressions", "expr"),
    *("condition", "then", "_else", "procedure", "arguments", "body"),
)


def _read(node: Node, *, top: bool) -> Iterator[Reference]:
    first, *rest = node.steps or [node]
    # `$` is a variable without a name. Below a path it is the item looked at, as is a bare name.
    if first.type == "variable" and (first.value or top):
        fields = takewhile(lambda step: step.type == "name", rest)
        yield Reference(f"${first.value}", tuple(step.value for step in fields))
    elif first.type in {"name", "wildcard", "descendant"} and top:
        yield Reference(str(first.value))
    yield from _read_below(first, top=top)
    for step in rest:
        yield from _read(step, top=False)
    if node is not first:
        yield from _read_below(node, top=top)


def _read_below(node: Node, *, top: bool) -> Iterator[Reference]:
    for child in _children(node, OUTER):
        yield from _read(child, top=top)
    for child in _children(node, INNER):
        yield from _read(child, top=False)


def _bound(node: Node) -> Iterator[str]:
    """The names that an expression gives itself: parameters, `:=`, `@$item` and `#$index`."""
    if node.type == "lambda":
        yield from (str(argument.value) for argument in node.arguments)
    if node.type == "bind":
        yield str(node.lhs.value)
    yield from (name for name in (node.focus, node.index) if isinstance(name, str))


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in _children(node, ("steps", *OUTER, *INNER)):
        yield from _nodes(child)


def _children(node: Node, fields: Iterable[str]) -> Iterator[Node]:
    return chain.from_iterable(_symbols(getattr(node, field, None)) for field in fields)


def _symbols(value: object) -> Iterator[Node]:
    if isinstance(value, Parser.Symbol):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _symbols(item)


@cache
def _functions() -> frozenset[str]:
    """JSONata's functions without $eval, and the six that Step Functions adds."""
    added = {"partition", "range", "hash", "random", "uuid", "parse"}
    return frozenset(added | (Jsonata.static_frame.bindings.keys() - {"eval"}))


# Substitutions.

SUBSTITUTION: Final = re.compile(r"\$\{(.*?)\}")


def _unknown_substitutions(definition: Json, known: Collection[str]) -> Iterator[Fault]:
    for path, text in _strings(definition):
        state, where = _place(path)
        for name in SUBSTITUTION.findall(text):
            if name not in known:
                message = f"{_slashed(where)}: nobody fills in ${{{name}}}"
                yield Fault(Rule.SUBSTITUTION, state, message)


# House rules: each is handed a state and the states around it, and says what it misses.


def _explains_itself(state: Json, _around: Mapping[str, Json]) -> Iterator[str]:
    if not state.get("Comment", "").strip():
        yield "has no Comment"


def _ends_in_time(state: Json, _around: Mapping[str, Json]) -> Iterator[str]:
    if state["Type"] == "Task" and "TimeoutSeconds" not in state:
        yield "a Task has TimeoutSeconds"


def _retries(state: Json, _around: Mapping[str, Json]) -> Iterator[str]:
    if state["Type"] == "Task" and "Retry" not in state:
        yield "a Task has Retry"


RETRIED: Final = ["States.TaskFailed", "States.Timeout"]
BACKOFF: Final = ("IntervalSeconds", "BackoffRate", "MaxAttempts", "MaxDelaySeconds")


def _retries_whatever_was_raised(state: Json, _around: Mapping[str, Json]) -> Iterator[str]:
    """No routing by class name: outcomes are values, and the local stack has no such names."""
    for index, retrier in enumerate(state.get("Retry", ())):
        if sorted(retrier["ErrorEquals"]) != RETRIED:
            yield f"Retry/{index}: ErrorEquals is {' and '.join(RETRIED)}, not an exception's name"


def _retries_gently(state: Json, _around: Mapping[str, Json]) -> Iterator[str]:
    for index, retrier in enumerate(state.get("Retry", ())):
        for field in BACKOFF:
            if field not in retrier:
                yield f"Retry/{index}: has no {field}"
        if retrier.get("JitterStrategy") != "FULL":
            yield f"Retry/{index}: JitterStrategy must be FULL"


def _catches_the_rest(state: Json, around: Mapping[str, Json]) -> Iterator[str]:
    """All but the state that parks: behind that there is only the failure of the execution."""
    parks = around.get(state.get("Next", ""), {}).get("Type") == "Fail"
    catchers: list[Json] = state.get("Catch", [])
    if state["Type"] != "Task" or parks:
        return
    if not any(catcher["ErrorEquals"] == ["States.ALL"] for catcher in catchers):
        yield "a Task catches States.ALL"


def _knows_a_way_on(state: Json, _around: Mapping[str, Json]) -> Iterator[str]:
    if state["Type"] == "Choice" and "Default" not in state:
        yield "a Choice has a Default"


HOUSE_RULES: Final[tuple[Callable[[Json, Mapping[str, Json]], Iterator[str]], ...]] = (
    _explains_itself,
    _ends_in_time,
    _retries,
    _retries_whatever_was_raised,
    _retries_gently,
    _catches_the_rest,
    _knows_a_way_on,
)


def _house(definition: Json) -> Iterator[Fault]:
    for field in ("Comment", "TimeoutSeconds"):
        if field not in definition:
            yield Fault(Rule.HOUSE, "", f"has no {field}")
    for states in _all_states(definition):
        for name, state in states.items():
            for rule in HOUSE_RULES:
                yield from (Fault(Rule.HOUSE, name, message) for message in rule(state, states))


def _all_states(machine: Json) -> Iterator[dict[str, Json]]:
    yield machine["States"]
    for state in machine["States"].values():
        for nested in _nested(state):
            yield from _all_states(nested)


# Small things.


def _strings(value: object, where: Where = ()) -> Iterator[tuple[Where, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, (*where, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, (*where, index))


def _slashed(where: Where) -> str:
    return "/".join(map(str, where))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check Step Functions definitions (ASL, JSONata).")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--substitution",
        action="append",
        metavar="NAME",
        help="a ${Name} that the template fills in; without any, none is looked at",
    )
    asked = parser.parse_args(arguments)
    found = [
        f"{file}: {fault}"
        for file in asked.files
        for fault in check_text(file.read_text(encoding="utf-8"), asked.substitution)
    ]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
