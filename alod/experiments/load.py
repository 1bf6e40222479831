"""Experiment files: the fields of a config as YAML, crossed with each other.

- A field given as a list takes each value in turn; all lists are crossed with each other.
- A list's entry may be a mapping, which sets its own field and others beside it. It wins over
  what the file says of those.
- ``seeds`` takes the place of ``seed``: a number n stands for 0 to n - 1, a list for itself.
- The file may be a list of such blocks.
- ``strategy`` and ``dataset`` may be your own, ``module:function``, importable from where you are.

Two data sets × three strategies × ten seeds, ResNet18 with fewer rounds and five seeds::

    dataset: [mnist_mini, fashion_mnist_mini]
    model: [lenet5, {model: resnet18, rounds: 4, seeds: 5}]
    strategy: [random, outlier, {strategy: outlier, strategy_params: {detector: lof}}]
    rounds: 9
    seeds: 10

>>> _ = Path("two.yaml").write_text("{model: lenet5, strategy: [random, outlier], seeds: 3}")
>>> len(load_configs("two.yaml"))
6
"""

import re
from collections.abc import Iterable
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from alod.data.known import check_dataset
from alod.errors import AlodError, check_count, check_name, one_line
from alod.experiments.config import FIELDS, ExperimentConfig

KNOWN = [*(field for field in FIELDS if field != "seed"), "seeds"]
Choice = tuple[tuple[str, Any], ...]  # fields that are set together, and their values


def load_configs(path: str | Path) -> list[ExperimentConfig]:
    """Read the experiment file at `path`; a refusal names the entries that are at fault.

    All of the lowest seed come first, so that a sweep that is cut off has something to compare;
    those in the order of the file, the first field varying slowest; each once.
    """
    path = Path(path)
    try:
        spec = yaml.load(path.read_bytes(), _Loader)
        blocks = spec if isinstance(spec, list) and spec else [spec]
        configs = {config.hash(): config for block in blocks for config in _expand(block)}
    except AlodError as error:
        raise AlodError(f"{path}: {error}") from None
    except OSError as error:
        raise AlodError(f"{path}: {error.strerror}; give an experiment file") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that there is not
        mend = "mend it there, with spaces for tabs"
        raise AlodError(f"{path}: not YAML ({one_line(error)}); {mend}") from None
    return sorted(configs.values(), key=lambda config: config.seed)


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but a field is given once, and what it reads otherwise than meant is refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for name, (_, value) in zip(names, node.value, strict=True):
            if names.count(name) > 1:
                raise AlodError(f"{name}: is given twice; keep one of them")
            nodes = [value]
            for entry in nodes:
                if isinstance(entry, yaml.SequenceNode):
                    nodes += (n for n in entry.value if n not in nodes)
                elif isinstance(entry, yaml.ScalarNode) and entry.style is None:
                    _check_scalar(name, entry)
        return super().construct_mapping(node, deep)

    def construct_power(self, node: yaml.ScalarNode) -> float:
        """Read 1e-3 and 3e2 as numbers; to YAML 1.1 they are words."""
        value = float(node.value)
        return int(value) if value.is_integer() and "." not in node.value else value


_Loader.add_implicit_resolver(
    "!power", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)
_Loader.add_constructor("!power", _Loader.construct_power)
_TRAPS = {
    r"[-+]?0[\d_]+": "a number in base 8; write it without the 0 in front",
    r"[-+]?\d+(:\d+)+": "a number in base 60; write it in base 10",
    r"\d{1,3}(,\d{3})+": "a word; write the number without commas",
    r".*\$[{(\w].*": "a word, and fills in no variable; write the value",
}
_WORDS = {f.name for f in fields(ExperimentConfig) if isinstance(f.default, str)}


def _check_scalar(name: str, node: yaml.ScalarNode) -> None:
    reads = next((why for trap, why in _TRAPS.items() if re.fullmatch(trap, node.value)), "")
    if name in _WORDS and node.tag.endswith(":bool"):
        reads = "true or false; write it in quotes if it is a name"
    if reads:
        raise AlodError(f"{name}: {node.value}: YAML reads it as {reads}")


def _expand(spec: object) -> list[ExperimentConfig]:
    if not isinstance(spec, dict) or not spec:
        raise AlodError("expected fields of a config, such as 'strategy: [random, outlier]'")
    lists = [_choices(name, value) for name, value in spec.items()]
    configs = []
    for choices in product(*lists):
        told = {k: v for c, of in zip(choices, lists, strict=True) if len(of) > 1 for k, v in c}
        try:
            settings = _merged(choices)
            for seed in _seeds(settings.pop("seeds", 1)):
                config = ExperimentConfig(**settings, seed=seed)
                check_dataset(config.dataset)
                configs.append(config)
        except AlodError as error:
            where = ", ".join(f"{name}={value!r}" for name, value in told.items())
            raise AlodError(f"{where}: {error}" if told else str(error)) from None
    return configs


def _choices(name: str, value: object) -> list[Choice]:
    check_name("field", name, KNOWN)
    # One list of budgets is a value; several are a list of lists.
    one = name == "budgets" and isinstance(value, list) and all(isinstance(n, int) for n in value)
    if not isinstance(value, list) or name == "seeds" or one:
        return [((name, value),)]
    if not value:
        raise AlodError(f"{name}: []: expected at least one value")
    # The values of strategy_params are mappings themselves.
    alone = [not isinstance(entry, dict) or name == "strategy_params" for entry in value]
    entries = [{name: e} if one else e for e, one in zip(value, alone, strict=True)]
    for entry in entries:
        for key in entry:
            check_name("field", key, KNOWN)
        if name not in entry:
            raise AlodError(f"{name}: {entry!r}: expected {name!r} among its fields")
    return [tuple(entry.items()) for entry in entries]


def _merged(choices: Iterable[Choice]) -> dict[str, Any]:
    """Join one choice for every field; those that set several fields win over the others."""
    alone: dict[str, Any] = {}
    together: dict[str, Any] = {}
    for choice in choices:
        if len(choice) == 1:
            alone |= choice
            continue
        for name, value in choice:
            known = together.setdefault(name, value)
            if known != value:
                raise AlodError(f"{name} is set to {known!r} and to {value!r}; set it in one entry")
    return alone | together


def _seeds(seeds: object) -> Iterable[int]:
    if seeds == []:
        raise AlodError("seeds: []: expected at least one seed")
    return seeds if isinstance(seeds, list) else range(check_count("seeds", seeds, 1))
