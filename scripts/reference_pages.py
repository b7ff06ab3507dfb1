"""Adds two generated pages to the reference of the site: the command line, and the public Python names."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import earlyrobust
from earlyrobust.cli import COMMANDS, load_command
from earlyrobust.cli.examples import EXAMPLES

# The public names by chapter of their page.
_CHAPTERS = {
    "The whole job": ("fit", "Fitted", "render_run"),
    "Options": ("options.RunConfig", "options.AttackConfig", "options.CompareConfig", "options.ExportConfig"),
    "Tickets": (
        *("search.Search", "EarlyRobustSearch", "SearchConfig", "EarlyBERTSearch", "EarlyBERTConfig"),
        *("RobustTicketSearch", "RobustTicketConfig", "Ticket", "WeightTicket", "draw_mask", "mask_distance"),
        *("compare_tickets", "Overlap", "merge_tickets", "redraw_ticket"),
    ),
    "Cutting": (
        *("prune", "ImportanceCoefficients", "masked", "to_dense", "zero_weights", "reinitialize_pruned"),
        *("families.Family", "register_family"),
    ),
    "Training": (
        *("AdversarialTrainer", "adversarial.Adversary", "FAT", "Flooding", "FreeAT", "FreeLB", "InfoBERT"),
        *(
            "PGD",
            "SMART",
            "YOPO",
            "noise.TextNoise",
            "noise.NoiseConfig",
            "noise.Lexicon",
            "noise.NoiseCollator",
        ),
    ),
    "Attacks": (
        *("attacks.base.Attack", "TextFooler", "TextBugger", "PWWS", "BertAttack", "BertAttackEarlyRobust"),
        *("DeepWordBug", "Evasion", "EvasionNormalised", "WordSwapAttack", "BoundAttack", "AttackedExample"),
        *("Resources", "attacks.swaps.Swaps", "attacks.constraints.WordLimit"),
        *("attacks.resources.neighbours.load_neighbours", "TextAttackWrapper", "read_textattack_csv"),
    ),
    "Judging a classifier": (
        *("evaluate_clean", "evaluate_under_attack", "judging.evaluate", "judging.attack", "judging.predict"),
        *("judging.replay", "judging.export", "judging.benchmark", "options.TestData", "export.export_onnx"),
    ),
    "Records": (
        *("results.RunRecord", "results.ModelRecord", "results.AttackRecord", "statistics.Accuracy"),
        "statistics.Mean",
    ),
    "Encoders and data": ("encoders.locate", "encoders.load_classifier", "data.count_overlap"),
    "Errors": ("EarlyRobustError",),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the files of the site. MkDocs calls this hook."""
    pages = {"reference/command-line.md": _command_line(), "reference/python.md": _python()}
    for place, lines in pages.items():
        files.append(File.generated(config, place, content="\n".join(lines) + "\n"))
    return files


def _command_line() -> Iterator[str]:
    yield "# Command line\n"
    yield (
        "This page shows every command with its options. An option is a flag (`--batch-size 32`) or a line "
        "of the YAML file that `--config` names (`batch_size: 32`). Flags win.\n"
    )
    for name in COMMANDS:
        command: Any = load_command(name)
        subcommands = getattr(command, "commands", None)
        if subcommands is None:
            yield from _command(name, command)
        else:
            for own, subcommand in subcommands.items():
                yield from _command(f"{name} {own}", subcommand)


def _command(name: str, command: Any) -> Iterator[str]:
    yield f"\n## `earlyrobust {name}`\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    yield "```sh"
    yield from EXAMPLES[name]
    yield "```\n"
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    for argument in arguments:
        yield f"- `{argument.name.upper()}`: {argument.help}"
    panels: dict[str, list[Any]] = {}
    for one in command.params:
        if one.param_type_name == "option" and one.name != "help":
            panels.setdefault(getattr(one, "rich_help_panel", None) or "Options", []).append(one)
    for panel, flags in panels.items():
        yield f'\n??? note "{panel}"\n'
        yield "    | option | meaning | default |"
        yield "    |---|---|---|"
        for flag in flags:
            spelling = ", ".join(f"`{text}`" for text in (*flag.opts, *flag.secondary_opts))
            shown = (
                flag.show_default
                if isinstance(flag.show_default, str)
                else "required"
                if flag.required
                else "–"
            )
            yield f"    | {spelling} | {_cell(flag.help)} | {_cell(shown)} |"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")


def _object(name: str) -> Any:
    """Return a public object by its name, such as `fit` or `search.Search`."""
    room, _, own = name.rpartition(".")
    return getattr(import_module(f"earlyrobust.{room}") if room else earlyrobust, own)


def _home_of(name: str) -> str:
    """Return the full name of a public object, by which the site finds its docstring."""
    return f"{_object(name).__module__}.{name.rpartition('.')[2]}"


def _python() -> Iterator[str]:
    yield "# Python\n"
    yield (
        "This page shows the public names of the package. `import earlyrobust` loads each name at its first "
        "use.\n"
    )
    for chapter, names in _CHAPTERS.items():
        yield f"\n## {chapter}\n"
        for name in names:
            yield f"::: {_home_of(name)}\n"
            if chapter == "Training" and (settings := getattr(_object(name), "Config", None)) is not None:
                yield f"::: {settings.__module__}.{settings.__name__}\n"
    if missing := set(earlyrobust.__all__) - {name for names in _CHAPTERS.values() for name in names}:
        raise ValueError(f"Public names without a chapter in {__file__}: {', '.join(sorted(missing))}.")
