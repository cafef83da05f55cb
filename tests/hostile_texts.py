# ruff: noqa: E501 - rows of hostile words
"""Overrides and formulas made to break what reads them, from a seeded generator."""

import random
from dataclasses import fields, is_dataclass

from homog.command import composition

_GROUPS = composition.groups()
_HYDRA = [
    *("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.job.chdir", "hydra.job.num", "hydra.job.name"),
    *("hydra.job.env_set.A", "hydra.job.env_copy", "hydra.mode", "hydra.verbose", "hydra.output_subdir", "hydra.launcher"),
    *("hydra.launcher.max_parallel", "hydra.launcher._target_", "hydra.sweeper", "hydra.sweeper._target_"),
    *("hydra.sweeper.params", "hydra.sweeper.max_batch_size", "hydra/launcher", "hydra/sweeper", "hydra/job_logging"),
    *("hydra.job_logging.handlers.file.class", "hydra.job_logging.handlers.file.filename", "hydra.job_logging.root"),
    *("hydra.job_logging.handlers.file.()", "hydra.job_logging", "hydra.hydra_logging", "hydra.callbacks"),
    *("hydra.callbacks.a", "hydra.callbacks.a._target_", "hydra.searchpath", "hydra.runtime.output_dir", "hydra.help"),
    *("hydra.overrides.task", "hydra.job.config.override_dirname.kv_sep", "hydra", "hydra.job", "hydra.runtime.cwd"),
]  # fmt: skip
_VALUES = [
    *("0", "-0", "1", "-1", "0.5", "1e-3", "3", "2.5", "1e5", "1e999", "-1e999", "1e-999", "nan", "inf", "-inf", ".nan"),
    *("9" * 30, "9" * 5000, "-" + "9" * 30, "1_000", "0x10", "1e", "1.2.3", "true", "false", "null", "None", "", " "),
    *("[]", "{}", "[1]", "[1,2]", "[0,0,0]", "[a,b]", "{a:1}", "{a:{b:{c:[1,{d:2}]}}}", "[[[[1]]]]", "[" * 300, "{a:" * 99),
    *("[null,null]", "{_target_:os.system}", "{_target_:builtins.exec,_args_:['1']}", "???", "${eps}", "${.}", "${..}"),
    *("${.a}", "${name}", "${seed}", "${method}", "${problem}", "${problem.name}", "${oc.env:HOME}", "${oc.env:NONE}"),
    *("${oc.decode:'[1'}", "${oc.create:{a:1}}", "${oc.create:'&a [*a]'}", "${oc.select:a}", "${oc.dict.keys:problem}"),
    *("${hydra:run.dir}", "${homog_home:}", "${homog_home:1}", "${run_id:}", "${run_id:${eps}}", "${nothing:1}", "${", "$"),
    *("${${name}}", "${oc.deprecated:eps}", "'", '"', "'a'", "\\", "\\'", "a=b", "a:b", "a,b", ",", "1,2", "range(0,3)"),
    *("range(0,1e12)", "range(0,1,0)", "range(1)", "range(a,b)", "range(0,inf)", "range(3,0)", "choice(1,2)", "choice()"),
    *("interval(0,1)", "glob(*)", "shuffle(range(0,1e9))", "sort(3,1,2)", "tag(a,1,2)", "int(1)", "float(abc)", "str([1])"),
    *("bool(3)", "extend_list(1)", "json_str(a)", "sin(x1)", "lambda: 1", "__import__('os')", "../../x", "/etc/passwd"),
    *("~", "~/x", "%s%n%(x)s", "[red]a[/]", "[/red]", "$\\frac{$", "linear", "nonlinear", "random_field", "dflm", "energy"),
    *("\u0430\u0435", "\u202e", "\x00", "\n", "a\nb", "\x1b[31m", "\ud800", "\N{FULLWIDTH DIGIT ONE}", "\N{PILE OF POO}"),
    *("a" * 300, "a" * 30_000, "1" * 400, "a b", "-", "--", "=", "==", "@", "!", "#", "&a", "*a", "<<", "|", ">", "%", "`"),
]  # fmt: skip
_FLAGS = [
    *("-m", "--multirun", "-r", "--run", "--cfg", "--cfg=job", "--cfg=all", "--cfg=hydra", "-c", "--resolve", "--info"),
    *("--info=all", "--info=config", "--info=defaults", "--info=searchpath", "--info=x", "-i", "-p", "--package=problem"),
    *("--package=x", "--package=${eps}", "--config-name=x", "--config-name=config", "--config-name=../x", "-cn", "-cd"),
    *("--config-dir=x", "--config-dir=/dev/null", "--config-dir=.", "--config-path=x", "--config-path=pkg://os", "-cp"),
    *("--config-path=pkg://homog.nothing", "--experimental-rerun=x", "--exp", "--version", "--unknown", "-x", "-", "--"),
    *("---", "-1", "--=", "--config-dir=\x00", "--hydra-hel=1", "-mm", "--multirun=1", "--no-multirun", "--cfg=job=1"),
]  # fmt: skip
_FORMULA_KEYS = [
    "problem.coefficient", "problem.forcing", "problem.boundary", "problem.period", "problem.reaction",
]  # fmt: skip
_NEEDED = {"problem/field=file": ["problem.field.path=none.npy"], "timestep=ratio": ["timestep.ratio=0.5"]}


def _keys() -> list[str]:
    """Every setting, as one writes it on the command line."""
    found = set()
    for path, schema in composition._SCHEMA.items():
        prefix = ".".join(path.split("/")[1:-1])
        for field in fields(schema):
            key = f"{prefix}.{field.name}" if prefix else field.name
            found.add(key)
            default = field.default_factory() if callable(field.default_factory) else field.default
            if is_dataclass(default):
                found |= {f"{key}.{inner.name}" for inner in fields(default)}
    return sorted(found)


_KEYS = _keys()


def arguments(chance: random.Random) -> list[str]:
    """A command line: one to four arguments, most of them near to what is valid."""
    given = [_argument(chance) for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4)))]
    for argument in list(given):
        given += _NEEDED.get(argument, []) if chance.random() < 0.7 else []
    return given


def _argument(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.45:
        text = f"{chance.choice(_KEYS)}={chance.choice(_VALUES)}"
    elif kind < 0.6:
        group = chance.choice(list(_GROUPS))
        text = f"{group}={chance.choice(_GROUPS[group])}"
    elif kind < 0.67:
        text = f"{chance.choice(_FORMULA_KEYS)}={formula(chance)}"
    elif kind < 0.685:
        key, made = chance.choice((("coefficient", matrix), ("velocity", vector)))
        text = f"problem.{key}=" + str(made(chance)).replace("'", chance.choice(("", "", "'")))
    elif kind < 0.7:
        text = "problem.boundary=" + str(walls(chance)).replace("'", chance.choice(("", "", "'")))
    elif kind < 0.8:
        text = f"{chance.choice(_HYDRA)}={chance.choice(_VALUES)}"
    elif kind < 0.88:
        text = chance.choice(_FLAGS)
    elif kind < 0.97:
        text = f"{chance.choice((*_KEYS, *_GROUPS, *_HYDRA))}={chance.choice(_VALUES)}"
        text = chance.choice(("+", "++", "~", "~~", "+-", "", "@", "+problem.parameters.")) + text
        text = text.replace(
            "=", chance.choice(("=", "=", "", ":=", "@a=", "@:=", "@_global_=", ".a=", "..=", "[0]=", "==")), 1
        )
    else:
        text = "".join(chance.choice(_CHARACTERS) for _ in range(chance.randrange(1, 40)))
    return _damaged(text, chance) if chance.random() < 0.25 else text


_CHARACTERS = [chr(i) for i in range(128)] + list(
    "\u00e9\u0430\u202e\u2028\u0085\ud800\udcff\U0001f600=.=$[]{}'\"\\,()"
)
_ATOMS = [
    *("x1", "x2", "x3", "eps", "pi", "u", "field", "0", "1", "2", "0.5", "1e-3", "1e999", "1e29", "9" * 29, "x4", "e", "E", "I"),
    *("1j", "True", "None", "...", "'a'", "b'a'", "f'{x1}'", "x1.real", "x1.__class__", "().__class__", "__builtins__", "oo"),
    *("__import__('os')", "open('f')", "lambda: 1", "[x1 for x1 in (1,)]", "(x1 := 2)", "{x1}", "[x1]", "x1[0]", "*x1"),
    *("x1 if x1 else x2", "not x1", "x1 and x2", "x1 < x2", "await x1", "yield", "sin", "0x10", "1_0", "1.e5", ".5", "0o7"),
    *("\u0445", "\uff41", "x\u00b9", "\u03c0", "\x00", "\n", "\\", "#", ";", "nan", "inf", "zoo", "S", "Symbol('x')", "print(1)"),
]  # fmt: skip
_FUNCTIONS = ["sin", "cos", "tan", "exp", "log", "sqrt", "sinh", "cosh", "tanh", "atan", "erf", "abs"] * 6 + [
    "eval",
    "exec",
    "where",
    "max",
    "sn",
    "Sin",
]
_OPERATIONS = ["+", "-", "*", "/", "**"] * 8 + ["//", "%", "@", "^", "<<", "|", "&", "==", "<", ",", "", " "]
_SOUND_ATOMS = ["x1", "x2", "eps", "pi", "1", "2", "3", "0.5", "0.1", "7", "x1", "x2", "1e5"]


def formula(chance: random.Random) -> str:
    """Mathematics, or what looks like it; a third of it is valid, some of that is large."""
    kind = chance.random()
    if kind < 0.6:
        text = _expression(chance, chance.choice((1, 2, 2, 3, 3, 4, 5)), sound=kind < 0.45)
    elif kind < 0.8:
        text = _grown(chance)
    else:
        text = f"1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps) + {_expression(chance, 1, sound=True)}"
    if chance.random() < 0.15:
        text = f"{chance.choice(('1', '2', '3'))} + ({text})**2"
    return _damaged(text, chance) if chance.random() < 0.2 else text


def walls(chance: random.Random) -> object:
    """What may be said of faces, or nearly: a third of it is sound."""
    sound = chance.random() < 0.4

    def condition() -> object:
        text = _expression(chance, chance.choice((0, 1, 2)), sound=sound)
        kinds: list[object] = [{"value": text}, {"flux": text}, {"robin": {"factor": f"({text})**2", "flux": text}}]
        if sound:
            return chance.choice(kinds)
        odd = [
            {"value": 1, "flux": 0},
            {"robin": text},
            {"robin": {"flux": 1}},
            {"robin": {"factor": "-1"}},
            {},
            [],
            None,
        ]
        return chance.choice([*kinds, "periodic", "open", text, *odd, {"value": {"value": 1}}, {"flux": [1]}, 3, True])

    first = chance.choice((condition(), "periodic"))
    faces = {"x1": first, "x2-": condition(), "x2+": condition()}
    if not sound:
        faces[chance.choice(("all", "x1-", "x1+", "x3", "left", "X1", "", "x2", "x"))] = condition()
        faces.pop(chance.choice(list(faces)))
    return faces


def vector(chance: random.Random) -> object:
    """What may be said of a velocity, or nearly: a third of it is sound."""
    if chance.random() < 0.4:
        return [_expression(chance, chance.choice((0, 1, 2)), sound=True) for _ in range(2)]
    odd = [None, [], {}, "x1", 3, True, [[1, 2]], ["1", None], ["1", True], {"x1": 1}, ["x1"] * 3, [["x1"], ["x2"]]]
    return chance.choice([*odd, [formula(chance), formula(chance)], [formula(chance)]])


def matrix(chance: random.Random) -> object:
    """What may be said of a coefficient that is a matrix, or nearly: a third of it is sound."""
    if chance.random() < 0.4:
        one, two, both = (_expression(chance, chance.choice((0, 1, 2)), sound=True) for _ in range(3))
        first, second = f"1 + ({one})**2 + ({both})**2", f"1 + ({two})**2 + ({both})**2"
        return chance.choice(([first, second], [[first, both], [both, second]]))
    odd = [
        [],
        {},
        None,
        True,
        [[]],
        [[1, 2], [3]],
        [[1, 2], [2, 1]],
        [["1", "x1"], ["0", "1"]],
        ["1", ["1", "1"]],
        [1, 2, 3],
    ]
    given = [formula(chance) for _ in range(3)]
    return chance.choice([*odd, given[:2], [[given[0], given[1]], [given[1], given[2]]], [given[:2], given[1:]]])


def _expression(chance: random.Random, depth: int, *, sound: bool) -> str:
    if depth == 0 or chance.random() < 0.1:
        return chance.choice(_SOUND_ATOMS if sound else _ATOMS)
    kind = chance.random()
    inner = _expression(chance, depth - 1, sound=sound)
    if kind < 0.35:
        return f"{chance.choice(_FUNCTIONS[:12] if sound else _FUNCTIONS)}({inner})"
    if kind < 0.45:
        return f"({inner})**{chance.choice(('2', '3', '-1', '-2', '0.5', '16', '1.5', '(1/3)', '-0.5', '17', '99', 'x1', '(x2+1)', 'eps', '2.0', '1e9'))}"
    if kind < 0.5:
        return f"-({inner})"
    operation = chance.choice(_OPERATIONS[:40] if sound else _OPERATIONS)
    other = _expression(chance, depth - 1, sound=sound)
    if kind < 0.55:
        return f"{chance.choice(('min', 'max'))}({inner}, {other})"
    if operation == "**":
        other = chance.choice(("2", "3", "0.5", "-1", "x1"))
    return f"({inner}){operation}({other})"


def _grown(chance: random.Random) -> str:
    """Something small, repeated until it is large: towers, products, sums of powers."""
    atom = _expression(chance, chance.choice((0, 1)), sound=True)
    times = chance.choice((3, 10, 16, 30, 60, 100, 300))
    function = chance.choice(_FUNCTIONS[:12])
    power = chance.choice(("2", "3", "16", "0.5", "-1", "-16", "1.5"))
    match chance.randrange(8):
        case 0:
            return f"{function}(" * times + atom + ")" * times
        case 1:
            return "(" * times + atom + f"+1)**{power}" * times
        case 2:
            return chance.choice("+-*/").join(f"{function}({i}*x1+{atom})" for i in range(1, times))
        case 3:
            return chance.choice("*/").join(f"(x1+{i}*x2+{atom})" for i in range(1, times))
        case 4:
            return chance.choice(("-", "+", "--", "(", "2*", "x1*", "1/", "x1**")) * times + atom
        case 5:
            return f"{function}(" + "(" * times + f"x1+x2+{atom}" + f")**{power}" * times + ")"
        case 6:
            return f"{function}(2*pi*(" + "*".join(f"(x1+x2*{i}+eps)**{power}" for i in range(1, times)) + "))"
        case _:
            inner = atom
            for _ in range(min(times, 30)):
                inner = f"{chance.choice(_FUNCTIONS[:12])}({inner}*x1+x2)"
            return inner


def _damaged(text: str, chance: random.Random) -> str:
    """One to three characters replaced, left out or put in."""
    characters = list(text)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(characters) + 1)
        characters[place : place + chance.randrange(2)] = chance.choice((*_CHARACTERS, "")) * chance.randrange(2)
    return "".join(characters)
