"""Commands about held-out sets: commit (make one, and publish its commitment), reveal (publish and check its secret)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.options import AsJson, TaskName, say, waiting
from benchmark.files import check_ending

app = typer.Typer()


@app.command(
    epilog="Example: python -m benchmark commit --task topleft --secret ~/topleft-secret.json --out commitment.json"
)
def commit(
    secret: Annotated[
        Path,
        typer.Option("--secret", metavar="FILE", help="New file for the secret, readable by its owner alone. Keep it."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The commitment to write, which is published.")],
    task: TaskName = None,
    data: Annotated[str, typer.Option("--data", metavar="NAME", help="Which digits (see: list data).")] = "tiny",
    as_json: AsJson = False,
) -> None:
    """Make a held-out set of a new secret: images nobody can tune to. Score on it with run --data SECRETFILE."""
    from benchmark.structures import UserError
    from datasets.load import DEFAULT_TASK
    from datasets.tasks import held_out

    for file in (secret, out):
        check_ending(file, "a secret or its commitment", (".json",))
    if out.exists():
        raise UserError(f"{out}: is there already; a commitment is not replaced, so name a new file")
    if secret.resolve() == out.resolve():
        raise UserError(f"{out}: is named for the secret and for its commitment; name two files")
    with waiting("making it"):
        made = held_out.commit(task or DEFAULT_TASK, data)
    held_out.write(made, secret)
    try:
        held_out.write(made.public, out)
    except UserError:
        secret.unlink()  # a secret that nothing was published of is worth nothing, and in the way of the next try
        raise
    if as_json:
        print(made.public.model_dump_json(exclude_none=True))
        return
    say(f"{made.task}@{made.version} on {made.name}, data {made.data_digest[:12]}: commitment {made.commitment}")
    say(f"publish {out} before anybody is scored; keep {secret} to yourself, and give it to: run --data {secret}")


@app.command(
    epilog="Example: python -m benchmark reveal ~/topleft-secret.json --commitment commitment.json --out revealed.json"
)
def reveal(
    secret: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The file with the secret; or, to check it once more, the revealed one."),
    ],
    commitment: Annotated[
        Path, typer.Option("--commitment", metavar="FILE", help="The file that was published beforehand.")
    ],
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="PATH", help="Folder or bundle whose runs are held against its data."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="What to publish; written where everything fits.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that a secret fits its commitment and that stored runs were made on its data; write what is published."""
    from benchmark.runs.bundle import open_results
    from benchmark.structures import UserError
    from datasets.tasks import held_out
    from leaderboard.render.words import numbered
    from leaderboard.reveal import check

    if out is not None:
        check_ending(out, "what is revealed", (".json",))
    if out is not None and out.resolve() in (secret.resolve(), commitment.resolve()):
        raise UserError(f"{out}: would be replaced by what is revealed; name a new file")
    with waiting("making the data again"):
        found = check(secret, commitment, None if results is None else open_results(results))
    if out is not None and not found.problems:
        held_out.write(found.held_out.revealed, out)
    if as_json:
        print(json.dumps(found.as_dict(), allow_nan=False))
    else:
        runs = "" if found.runs is None else f"; made on exactly its data: {numbered(found.runs, 'run')}"
        for problem in found.problems:
            say(f"does not fit: {problem}", style="red")
        if not found.problems:
            say(f"{found.held_out.name}: the secret fits the commitment {found.held_out.commitment}{runs}")
        if out is not None and not found.problems:
            say(f"{out}: anybody makes the same images from it (run --data {out})")
    if found.problems:
        raise typer.Exit(1)
