"""The payment machine is sound, fits its time and is what its page says.

And its checker is no rubber stamp: it finds each fault that is seeded into the machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jsonata import Jsonata

from infra.asl_check import (
    ExpressionError,
    Fault,
    Rule,
    check,
    check_text,
    edges,
    main,
    references,
)

Json = dict[str, Any]
Mutation = Callable[[Json], None]

STATE_MACHINES = Path(__file__).resolve().parents[2] / "state_machines"
PAYMENT = STATE_MACHINES / "payment.asl.json"
PAGE = (STATE_MACHINES / "README.md").read_text(encoding="utf-8")
MACHINE: Json = json.loads(PAYMENT.read_text(encoding="utf-8"))
STATES: dict[str, Json] = MACHINE["States"]
SUBSTITUTIONS = [
    "AssessRiskFunction",
    "AuthorizeFunction",
    "CaptureFunction",
    "VoidFunction",
    "FinishFunction",
    "ParkedQueueUrl",
]


@pytest.mark.parametrize("path", sorted(STATE_MACHINES.glob("*.asl.json")), ids=lambda p: p.name)
def test_every_machine_is_sound(path: Path) -> None:
    assert check_text(path.read_text(encoding="utf-8")) == []


def test_the_payment_machine_asks_for_these_substitutions_and_no_others() -> None:
    assert check(MACHINE, SUBSTITUTIONS) == []
    for name in SUBSTITUTIONS:
        others = [other for other in SUBSTITUTIONS if other != name]
        assert {fault.rule for fault in check(MACHINE, others)} == {Rule.SUBSTITUTION}


# Seeded faults: our own machine with one thing wrong.


class Seed(NamedTuple):
    name: str
    wrong: Mutation
    rule: Rule
    state: str
    says: str
    also: frozenset[Rule] = frozenset()  # what cannot be seeded alone


def put(*where: str | int, value: object) -> Mutation:
    def mutate(machine: Json) -> None:
        target: Any = machine
        for step in where[:-1]:
            target = target[step]
        target[where[-1]] = value

    return mutate


def in_states(*where: str | int, value: object) -> Mutation:
    return put("States", *where, value=value)


def drop(state: str, field: str) -> Mutation:
    return lambda machine: machine["States"][state].pop(field)


def rename(state: str, field: str, wrong: str) -> Mutation:
    def mutate(machine: Json) -> None:
        fields = machine["States"][state]
        fields[wrong] = fields.pop(field)

    return mutate


def both(*mutations: Mutation) -> Mutation:
    def mutate(machine: Json) -> None:
        for mutation in mutations:
            mutation(machine)

    return mutate


HOUSE = frozenset({Rule.HOUSE})
PASS = {"Type": "Pass", "Comment": "Seeded.", "Next": "Done"}
ON_ALL = {"ErrorEquals": ["States.ALL"], "Next": "Done"}
LOOP = both(
    drop("Parked", "Error"), drop("Parked", "Cause"), in_states("Parked", "Type", value="Pass")
)
ID = "{% $states.context.Execution.Id %}"

SEEDS = [
    Seed(
        "the input is not an object of states",
        put("States", value=[]),
        Rule.STRUCTURE,
        "",
        "is not of type 'object'",
    ),
    Seed(
        "another query language",
        put("QueryLanguage", value="JSONPath"),
        Rule.STRUCTURE,
        "",
        "must be JSONata",
    ),
    Seed(
        "start nowhere",
        put("StartAt", value="AssesRisk"),
        Rule.TARGET,
        "",
        "StartAt names AssesRisk, which is not a state",
    ),
    Seed(
        "missing target of Next",
        in_states("Authorize", "Next", value="Capturing"),
        Rule.TARGET,
        "Authorize",
        "Next names Capturing",
    ),
    Seed(
        "missing target of Default",
        in_states("Outcome", "Default", value="Parking"),
        Rule.TARGET,
        "Outcome",
        "Default names Parking",
    ),
    Seed(
        "missing target of a choice",
        in_states("Outcome", "Choices", 3, "Next", value="Refund"),
        Rule.TARGET,
        "Outcome",
        "Choices/3/Next names Refund",
    ),
    Seed(
        "missing target of Catch",
        in_states("Void", "Catch", 0, "Next", value="Prk"),
        Rule.TARGET,
        "Void",
        "Catch/0/Next names Prk",
    ),
    Seed(
        "unreachable state",
        in_states("Orphan", value=PASS),
        Rule.UNREACHABLE,
        "Orphan",
        "no way leads here",
    ),
    Seed(
        "no terminal",
        both(LOOP, in_states("Parked", "Next", value="Park")),
        Rule.NO_END,
        "Park",
        "no way leads from here to an end",
        HOUSE,
    ),
    Seed(
        "JSONata that does not parse",
        in_states("Authorize", "Assign", "outcome", value="{% $states.result. %}"),
        Rule.EXPRESSION,
        "Authorize",
        "Assign/outcome: ",
    ),
    Seed(
        "JSONata without its end",
        in_states("Authorize", "Output", value="{% $states.result.Payload }"),
        Rule.EXPRESSION,
        "Authorize",
        "Output: an expression is the whole string",
    ),
    Seed(
        "JSONata in the middle of a string",
        in_states("Void", "Arguments", "Payload", "execution", value=f"execution {ID}"),
        Rule.EXPRESSION,
        "Void",
        "Arguments/Payload/execution: an expression is the whole string",
    ),
    Seed(
        "a name that forgot its dollar",
        in_states("Outcome", "Choices", 0, "Condition", value="{% outcome = 'done' %}"),
        Rule.EXPRESSION,
        "Outcome",
        "outcome reads a context item",
    ),
    Seed(
        "a condition that is no expression",
        in_states("Outcome", "Choices", 0, "Condition", value="$outcome = 'done'"),
        Rule.STRUCTURE,
        "Outcome",
        "does not match",
    ),
    Seed(
        "unknown field of $states",
        in_states("Capture", "Output", value="{% $states.results.Payload %}"),
        Rule.STATES_FIELD,
        "Capture",
        "$states.results does not exist here",
    ),
    Seed(
        "unknown field of the context",
        in_states("Capture", "Arguments", "Payload", "execution", value="{% $states.context.Id %}"),
        Rule.STATES_FIELD,
        "Capture",
        "$states.context.Id does not exist here",
    ),
    Seed(
        "a result before there is one",
        in_states("Capture", "Arguments", "Payload", "execution", value="{% $states.result %}"),
        Rule.STATES_FIELD,
        "Capture",
        "$states.result does not exist here, only context, input",
    ),
    Seed(
        "an error output outside of Catch",
        in_states("Capture", "Assign", "outcome", value="{% $states.errorOutput.Error %}"),
        Rule.STATES_FIELD,
        "Capture",
        "$states.errorOutput does not exist here",
    ),
    Seed(
        "a result inside of Catch",
        in_states("Capture", "Catch", 0, "Output", value="{% $states.result %}"),
        Rule.STATES_FIELD,
        "Capture",
        "$states.result does not exist here, only context, errorOutput, input",
    ),
    Seed(
        "a result of a Choice",
        in_states("Outcome", "Assign", "failure", value="{% $states.result %}"),
        Rule.STATES_FIELD,
        "Outcome",
        "$states.result does not exist here",
    ),
    Seed(
        "a task token that nobody gave",
        in_states("Void", "Output", value="{% $states.context.Task.Token %}"),
        Rule.STATES_FIELD,
        "Void",
        "$states.context.Task does not exist here",
    ),
    Seed(
        "a JSONPath field",
        in_states("Finish", "ResultPath", value="$.failed"),
        Rule.JSONPATH,
        "Finish",
        "ResultPath belongs to JSONPath",
    ),
    Seed(
        "a JSONPath field of Wait",
        in_states("Pause", "SecondsPath", value="$.pause"),
        Rule.JSONPATH,
        "Pause",
        "SecondsPath belongs to JSONPath",
    ),
    Seed(
        "a JSONPath key",
        in_states("Void", "Arguments", "Payload", "payment_id.$", value="$.payment_id"),
        Rule.JSONPATH,
        "Void",
        "is JSONPath",
    ),
    Seed(
        "undefined variable",
        in_states("Outcome", "Choices", 1, "Condition", value="{% $outcom = 'wait' %}"),
        Rule.VARIABLE,
        "Outcome",
        "$outcom is not assigned on every way here",
    ),
    Seed(
        "a variable assigned on most ways only",
        lambda machine: machine["States"]["AssessRisk"]["Catch"][0]["Assign"].pop("payment_id"),
        Rule.VARIABLE,
        "Park",
        "$payment_id is not assigned on every way here",
    ),
    Seed(
        "a variable assigned too late",
        in_states("AssessRisk", "Arguments", "Payload", "payment_id", value="{% $payment_id %}"),
        Rule.VARIABLE,
        "AssessRisk",
        "$payment_id is not assigned",
    ),
    Seed(
        "a function that is none",
        in_states("Outcome", "Choices", 0, "Condition", value="{% $exist($outcome) %}"),
        Rule.VARIABLE,
        "Outcome",
        "$exist is not assigned",
    ),
    Seed(
        "the function that AWS left out",
        in_states("Outcome", "Choices", 0, "Condition", value="{% $eval('true') %}"),
        Rule.VARIABLE,
        "Outcome",
        "$eval is not assigned",
    ),
    Seed(
        "assigning $states",
        in_states("Void", "Assign", "states", value=1),
        Rule.VARIABLE,
        "Void",
        "$states is reserved",
    ),
    Seed(
        "unknown substitution",
        in_states("Void", "Arguments", "FunctionName", value="${VoidFn}"),
        Rule.SUBSTITUTION,
        "Void",
        "Arguments/FunctionName: nobody fills in ${VoidFn}",
    ),
    Seed(
        "States.ALL with company",
        in_states("Void", "Catch", 0, "ErrorEquals", value=["States.ALL", "States.Timeout"]),
        Rule.ERRORS,
        "Void",
        "Catch/0: States.ALL must stand alone",
        HOUSE,
    ),
    Seed(
        "Catch of all, not last",
        in_states("Void", "Catch", value=[ON_ALL, *STATES["Void"]["Catch"]]),
        Rule.ERRORS,
        "Void",
        "Catch/0: States.ALL must be last",
    ),
    Seed(
        "an error that Step Functions does not know",
        in_states("Void", "Retry", 0, "ErrorEquals", value=["States.TaskFailed", "States.TimeOut"]),
        Rule.ERRORS,
        "Void",
        "Retry/0: States.TimeOut is not an error",
        HOUSE,
    ),
    Seed(
        "a longest delay below the first",
        in_states("Void", "Retry", 0, "IntervalSeconds", value=9),
        Rule.ERRORS,
        "Void",
        "MaxDelaySeconds must be more than IntervalSeconds",
    ),
    Seed(
        "wrong type",
        in_states("Authorize", "TimeoutSeconds", value="12"),
        Rule.STRUCTURE,
        "Authorize",
        "TimeoutSeconds: '12' is not of type",
    ),
    Seed(
        "typo in a field of a state",
        rename("Authorize", "TimeoutSeconds", "TimeoutSecond"),
        Rule.STRUCTURE,
        "Authorize",
        "TimeoutSecond is not a field here, TimeoutSeconds is",
    ),
    Seed(
        "typo in a field of a retrier",
        in_states("Authorize", "Retry", 0, "MaxAttempt", value=3),
        Rule.STRUCTURE,
        "Authorize",
        "MaxAttempt is not a field here, MaxAttempts is",
    ),
    Seed(
        "a Choice with Next",
        in_states("Outcome", "Next", value="Done"),
        Rule.STRUCTURE,
        "Outcome",
        "Next is not a field here",
    ),
    Seed(
        "a Choice without choices",
        in_states("Outcome", "Choices", value=[]),
        Rule.STRUCTURE,
        "Outcome",
        "Choices: ",
    ),
    Seed(
        "unknown state Type",
        in_states("Done", "Type", value="Success"),
        Rule.STRUCTURE,
        "Done",
        "Type: 'Success' is not one of",
    ),
    Seed(
        "a task that leads nowhere",
        drop("Capture", "Next"),
        Rule.STRUCTURE,
        "Capture",
        "needs exactly one of Next and End",
    ),
    Seed("missing comment", drop("Pause", "Comment"), Rule.HOUSE, "Pause", "has no Comment"),
    Seed(
        "missing timeout",
        drop("Finish", "TimeoutSeconds"),
        Rule.HOUSE,
        "Finish",
        "a Task has TimeoutSeconds",
    ),
    Seed(
        "missing timeout of the whole",
        lambda machine: machine.pop("TimeoutSeconds"),
        Rule.HOUSE,
        "",
        "has no TimeoutSeconds",
    ),
    Seed("missing retry", drop("Park", "Retry"), Rule.HOUSE, "Park", "a Task has Retry"),
    Seed(
        "retry by the name of an exception",
        in_states("Void", "Retry", 0, "ErrorEquals", value=["ProviderUnavailable"]),
        Rule.HOUSE,
        "Void",
        "not an exception's name",
    ),
    Seed(
        "retries in step",
        in_states("Void", "Retry", 0, "JitterStrategy", value="NONE"),
        Rule.HOUSE,
        "Void",
        "JitterStrategy must be FULL",
    ),
    Seed(
        "retries without end of delay",
        lambda machine: machine["States"]["Void"]["Retry"][0].pop("MaxDelaySeconds"),
        Rule.HOUSE,
        "Void",
        "Retry/0: has no MaxDelaySeconds",
    ),
    Seed(
        "catch by the name of an exception only",
        in_states("Void", "Catch", 0, "ErrorEquals", value=["Declined"]),
        Rule.HOUSE,
        "Void",
        "a Task catches States.ALL",
    ),
    Seed("missing catch", drop("Void", "Catch"), Rule.HOUSE, "Void", "a Task catches States.ALL"),
    Seed(
        "missing default",
        drop("UndoOutcome", "Default"),
        Rule.HOUSE,
        "UndoOutcome",
        "a Choice has a Default",
    ),
]


def mutant(*mutations: Mutation) -> Json:
    machine = deepcopy(MACHINE)
    both(*mutations)(machine)
    return machine


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_a_seeded_fault_is_found_and_nothing_else(seed: Seed) -> None:
    faults = check(mutant(seed.wrong), SUBSTITUTIONS)
    assert any(fault.state == seed.state and seed.says in fault.message for fault in faults), faults
    assert {fault.rule for fault in faults} == {seed.rule, *seed.also}


# Sweeps: the same kinds of fault, in every place where our machine could have them.


def asl_fields(value: Any, where: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every field whose name AWS gave, as opposed to names of our own."""
    ours = {"States", "Arguments", "Assign", "Output"}
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from asl_fields(item, (*where, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield (*where, name)
            if name not in ours:
                yield from asl_fields(item, (*where, name))


# One of each kind: what the schema says of a Task's Retry it says of every Task's.
FIELDS = list(
    {
        (where[-2:], state.get("Type")): where
        for name, state in [("", MACHINE), *STATES.items()]
        for where in asl_fields(state, ("States", name) if name else ())
    }.values()
)


def at(machine: Json, where: Iterable[str | int]) -> Any:
    value: Any = machine
    for step in where:
        value = value[step]
    return value


def test_no_field_can_be_misspelt() -> None:
    for *where, name in FIELDS:
        machine = deepcopy(MACHINE)
        fields = at(machine, where)
        fields[f"{name}s"] = fields.pop(name)
        assert check(machine), (*where, name)


def test_no_field_can_have_another_type() -> None:
    for where in FIELDS:
        if where[-1] == "Output":  # may be any value
            continue
        wrong = "7" if isinstance(at(MACHINE, where), int) else 7
        assert check(mutant(put(*where, value=wrong))), where


def test_no_edge_can_lead_nowhere() -> None:
    for name, state in STATES.items():
        for edge in edges(state):
            path = [int(step) if step.isdigit() else step for step in edge.field.split("/")]
            message = f"{edge.field} names Nowhere, which is not a state"
            faults = check(mutant(in_states(name, *path, value="Nowhere")))
            assert Fault(Rule.TARGET, name, message) in faults


def expressions(value: Any, where: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, str) and value.startswith("{%"):
        yield where
    elif isinstance(value, dict | list):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from expressions(item, (*where, step))


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (" %}", " & %}", Rule.EXPRESSION),
        (" %}", "", Rule.EXPRESSION),
        ("{% $", "{% ", Rule.EXPRESSION),
        ("$", "$never_", Rule.VARIABLE),
        ("$states.", "$states.no", Rule.STATES_FIELD),
        ("$states", "$state", Rule.VARIABLE),
    ],
)
def test_no_expression_can_be_broken(old: str, new: str, rule: Rule) -> None:
    broken = 0
    for where in expressions(MACHINE):
        text: str = at(MACHINE, where)
        # A condition without its end is refused by the schema already, hence the second rule.
        if old in text:
            faults = check(mutant(put(*where, value=text.replace(old, new))))
            assert {fault.rule for fault in faults} <= {rule, Rule.STRUCTURE}, (where, faults)
            assert faults, where
            broken += 1
    assert broken > len(STATES)


# The checker's finer points.


@pytest.mark.parametrize(
    ("expression", "reads"),
    [
        ("$states.result.Payload.outcome", ["$states.result.Payload.outcome"]),
        ("$a & ':' & $b.c", ["$a", "$b.c"]),
        ("{'a': $a, 'b': b}", ["$a", "b"]),
        ("($t := $a; $t + $t)", ["$a"]),
        ("$map($a.b, function($v, $i) { $v.c * $w })", ["$map", "$a.b", "$w"]),
        ("$a.b[c = $d and $.e]", ["$a.b", "$d"]),
        ("$a.b^(>c).{'d': $.e, 'f': $g}", ["$a.b", "$g"]),
        ("$a.$b[c = 1]", ["$a", "$b"]),
        ("$a.b@$v.c#$i.[$v, $i]", ["$a.b.c"]),
        ("$a.b{c: $d}", ["$a.b", "$d"]),
        ("$a ~> $sum", ["$a", "$sum"]),
        ("$exists($a) ? $ : $$", ["$exists", "$a", "$", "$$"]),
        ("*.a", ["*"]),
        ("42", []),
    ],
)
def test_what_an_expression_reads(expression: str, reads: list[str]) -> None:
    assert [".".join((read.root, *read.fields)) for read in references(expression)] == reads


@pytest.mark.parametrize("text", ["", "a b", "$f(", "1 !2", "'open", "/(/", "%"])
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(ExpressionError):
        references(text)


def nesting(inner: Json, mode: str = "INLINE") -> Json:
    """A machine that maps over its input; `inner` is what it does with each item."""
    processor = {"ProcessorConfig": {"Mode": mode}, "StartAt": "One", "States": {"One": inner}}
    return {
        "Comment": "Seeded.",
        "QueryLanguage": "JSONata",
        "TimeoutSeconds": 60,
        "StartAt": "Remember",
        "States": {
            "Remember": PASS | {"Assign": {"tenant": "{% $states.input.tenant %}"}, "Next": "Each"},
            "Each": {
                "Type": "Map",
                "Comment": "Seeded.",
                "Items": "{% $states.input.items %}",
                "ItemSelector": {"item": "{% $states.context.Map.Item.Value %}"},
                "ItemProcessor": processor,
                "Assign": {"all": "{% $states.result %}"},
                "End": True,
            },
        },
    }


ONE = {"Type": "Pass", "Comment": "Seeded.", "End": True}


@pytest.mark.parametrize(
    ("inner", "rules"),
    [
        (ONE | {"Output": "{% $tenant %}"}, []),
        (ONE | {"Output": "{% $all %}"}, [Rule.VARIABLE]),
        (PASS, [Rule.TARGET]),
        ({**ONE, "Comment": ""}, [Rule.HOUSE]),
        (ONE | {"Output": "{% ( %}"}, [Rule.EXPRESSION]),
        (ONE | {"InputPath": "$"}, [Rule.JSONPATH]),
    ],
    ids=["outer variable", "later variable", "outer target", "house", "syntax", "JSONPath"],
)
def test_a_machine_in_a_machine_is_checked_too(inner: Json, rules: list[Rule]) -> None:
    assert [fault.rule for fault in check(nesting(inner))] == rules


def test_a_distributed_map_does_not_see_the_variables_around_it() -> None:
    faults = check(nesting(ONE | {"Output": "{% $tenant %}"}, mode="DISTRIBUTED"))
    assert [fault.rule for fault in faults] == [Rule.VARIABLE]


def test_the_branches_of_a_parallel_are_checked_too() -> None:
    machine = nesting(ONE)
    branch = {"StartAt": "One", "States": {"One": PASS}}
    machine["States"]["Each"] = {
        "Type": "Parallel",
        "Comment": "Seeded.",
        "Branches": [branch],
        "End": True,
    }
    assert [(fault.state, fault.rule) for fault in check(machine)] == [("One", Rule.TARGET)]


def test_the_same_state_twice_is_refused_and_so_is_what_is_no_json() -> None:
    assert [fault.rule for fault in check_text('{"States": {"A": 1, "A": 2}}')] == [Rule.JSON]
    assert [fault.rule for fault in check_text("{")] == [Rule.JSON]
    assert [fault.rule for fault in check_text("[]")] == [Rule.JSON]


def test_the_command_prints_a_line_for_each_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "faulty.asl.json"
    wrong = both(drop("Pause", "Comment"), in_states("Void", "Next", value="Nowhere"))
    file.write_text(json.dumps(mutant(wrong)), encoding="utf-8")

    assert main([str(PAYMENT)]) == 0
    assert capsys.readouterr().out == ""
    assert main([str(PAYMENT), str(file), *(f"--substitution={name}" for name in SUBSTITUTIONS)])
    assert capsys.readouterr().out.splitlines() == [
        f"{file}: Void: Next names Nowhere, which is not a state [target]",
        f"{file}: Pause: has no Comment [house]",
    ]


# What the machine does, read off its definition.

OUTCOMES = ("done", "wait", "continue", "compensate")


def route(choice: str, outcome: str) -> str:
    state = STATES[choice]
    for rule in state["Choices"]:
        condition = rule["Condition"].removeprefix("{%").removesuffix("%}")
        if Jsonata(condition).evaluate(None, {"outcome": outcome}):
            return str(rule["Next"])
    return str(state["Default"])


def walk(*outcomes: str) -> list[str]:
    """The states that an execution enters when its choices find these outcomes, in turn."""
    found = iter(outcomes)
    way = [str(MACHINE["StartAt"])]
    while STATES[way[-1]]["Type"] not in {"Succeed", "Fail"}:
        here = way[-1]
        choosing = STATES[here]["Type"] == "Choice"
        way.append(route(here, next(found)) if choosing else str(STATES[here]["Next"]))
    return way


def tasks(way: Iterable[str]) -> list[str]:
    return [name for name in way if STATES[name]["Type"] == "Task"]


def test_a_happy_payment_takes_six_transitions() -> None:
    way = ["the start", *walk("done")]
    assert way == ["the start", "AssessRisk", "Authorize", "Capture", "Outcome", "Done"]


@pytest.mark.parametrize(
    ("outcomes", "tail"),
    [
        (["wait"], ["Outcome", "Waiting"]),
        (["nonsense"], ["Outcome", "Park", "Parked"]),
        (["compensate", "done"], ["Outcome", "Void", "Finish", "UndoOutcome", "Done"]),
        (["compensate", "wait"], ["UndoOutcome", "Waiting"]),
        (
            ["compensate", "compensate", "done"],
            ["UndoOutcome", "UndoPause", *walk("compensate", "done")[4:]],
        ),
        (["compensate", "continue", "done"], ["UndoOutcome", "Pause", *walk("done")]),
        (["continue", "done"], ["Outcome", "Pause", *walk("done")]),
    ],
)
def test_where_outcomes_lead(outcomes: list[str], tail: list[str]) -> None:
    assert walk(*outcomes)[-len(tail) :] == tail


def test_a_step_is_handed_ids_only() -> None:
    for name in tasks(STATES):
        arguments = STATES[name]["Arguments"]
        if name != "Park":
            assert arguments["FunctionName"] == f"${{{name}Function}}"
            assert arguments["Payload"].keys() == {"payment_id", "execution"}


def test_parking_says_who_where_and_why() -> None:
    message = STATES["Park"]["Arguments"]["MessageBody"]
    assert message.keys() == {"hop", "payment_id", "execution", "state", "error"}
    assert message["hop"] == "payment", "the machine that a redrive starts"
    for state in STATES.values():
        ways = [edge for edge in edges(state) if edge.target == "Park"]
        assert all("failure" in edge.assigned for edge in ways)


# Time.

EXPRESS_LIMIT = 300
PROVIDER_CALL = 6
FUNCTION = {"AssessRisk": 5, "Authorize": 10, "Capture": 10, "Void": 10, "Finish": 5}
CALLING = ["Authorize", "Capture", "Void"]
FURTHER_PASSES = 3


def tries(name: str) -> int:
    return 1 + sum(int(retrier["MaxAttempts"]) for retrier in STATES[name]["Retry"])


def longest_delays(retrier: Json) -> int:
    """Full jitter draws between nothing and this."""
    first, rate, most = (
        retrier[key] for key in ("IntervalSeconds", "BackoffRate", "MaxDelaySeconds")
    )
    delays = [min(first * rate**attempt, most) for attempt in range(retrier["MaxAttempts"])]
    return sum(map(int, delays))


def worst(name: str) -> int:
    delays = sum(longest_delays(retrier) for retrier in STATES[name]["Retry"])
    return int(tries(name) * STATES[name]["TimeoutSeconds"] + delays)


def seconds(state: Json) -> int:
    return int(state.get("TimeoutSeconds") or state.get("Seconds") or 0)


def quiet(way: Iterable[str]) -> int:
    """The longest that these states take when none of them raises."""
    return sum(seconds(STATES[name]) for name in way)


def test_the_worst_case_and_three_more_passes_fit_the_machines_timeout() -> None:
    through_everything = walk("compensate", "nonsense")
    assert tasks(through_everything) == tasks(STATES)

    worst_pass = sum(map(worst, tasks(through_everything)))
    again = walk("continue", "done")
    forward_pass = quiet(again[: again.index("Pause") + 1])
    undo_pass = quiet(["Void", "Finish", "UndoOutcome", "UndoPause"])
    total = worst_pass + FURTHER_PASSES * max(forward_pass, undo_pass)

    assert total <= MACHINE["TimeoutSeconds"] <= EXPRESS_LIMIT
    for figure in (MACHINE["TimeoutSeconds"], worst_pass, forward_pass, total):
        assert f"{figure} s" in MACHINE["Comment"]


def test_who_calls_gives_up_before_who_waits() -> None:
    for name in CALLING:
        assert FUNCTION[name] > PROVIDER_CALL
    for name in tasks(STATES):
        assert FUNCTION.get(name, 0) < STATES[name]["TimeoutSeconds"]


def test_the_worst_case_and_four_more_passes_of_the_follow_up_fit_its_timeout() -> None:
    machine = json.loads((STATE_MACHINES / "follow_up.asl.json").read_text(encoding="utf-8"))
    assert check(machine) == []
    follow_up, park = machine["States"]["FollowUp"], machine["States"]["Park"]
    worst_pass = sum(
        state["TimeoutSeconds"] * (1 + retrier["MaxAttempts"]) + longest_delays(retrier)
        for state in (follow_up, park)
        for retrier in state["Retry"]
    )
    again = follow_up["TimeoutSeconds"] + machine["States"]["Pause"]["Seconds"]
    total = worst_pass + 4 * again
    assert total <= machine["TimeoutSeconds"] <= EXPRESS_LIMIT
    for figure in (machine["TimeoutSeconds"], worst_pass, again, total):
        assert f"{figure} s" in machine["Comment"]


# The page.


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under this heading, without its head."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_page_names_each_forward_step_with_its_undo() -> None:
    accepting, *steps = rows("Forward step and undo")
    undo = tasks(walk("compensate", "done"))[3:]

    assert [step for step, _, _ in steps] == tasks(walk("done"))
    assert {undone_by for _, _, undone_by in [accepting, *steps]} - {"nothing to undo"} == set(undo)
    for step, _, undone_by in steps:
        says = re.search(r"Undone by (\w+)\.|Nothing to undo", STATES[step]["Comment"])
        assert says
        assert undone_by == (says[1] or "nothing to undo")
        if says[1]:
            assert step in STATES[undone_by]["Comment"].split(":")[0], "each names the other"


def test_the_page_routes_as_the_machine_does() -> None:
    table = {outcome: targets for outcome, _, *targets in rows("Where an execution goes")}
    assert table == {
        **{
            outcome: [route("Outcome", outcome), route("UndoOutcome", outcome)]
            for outcome in OUTCOMES
        },
        "anything else": [route("Outcome", "nonsense"), route("UndoOutcome", "nonsense")],
    }


def test_the_picture_is_the_machine() -> None:
    drawn = re.findall(r"^ +(\S+) --> (\S+)$", PAGE, re.MULTILINE)
    meant = [("[*]", MACHINE["StartAt"])]
    for name, state in STATES.items():
        ways = [edge.target for edge in edges(state) if not edge.field.startswith("Catch")]
        meant += [(name, target) for target in ways or ["[*]"]]
    assert sorted(drawn) == sorted(meant)
    assert all(pair in meant for pair in pairwise(walk("compensate", "continue", "done")))


def test_the_page_has_the_times_right() -> None:
    def cell(limit: int | None) -> str:
        return str(limit) if limit else "none"

    assert rows("Time") == [
        [
            name,
            cell(PROVIDER_CALL if name in CALLING else None),
            cell(FUNCTION.get(name)),
            *map(str, (STATES[name]["TimeoutSeconds"], tries(name), worst(name))),
        ]
        for name in tasks(STATES)
    ]
    assert f": {sum(map(worst, tasks(STATES)))} for one pass" in PAGE
