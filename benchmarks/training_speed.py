"""How many target tokens a second are trained on, and what has been learnt of them?

    python benchmarks/training_speed.py DATA                    # Attentio alone
    python benchmarks/training_speed.py DATA --peers DIR        # beside OpenNMT-py and Eole, installed below DIR

Two models, R (recurrent) and T (Transformer), 256 wide. Every contestant is trained anew, by turns, on the same split
with the same vocabularies, for as many sentence pairs as the given number of batches of 64 holds. Then its loss on dev
is taken. Each round has a seed of its own, for the split, too.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from measure import by_turns, ratios, run, spread
from peers import TRAINERS, Peers
from report import Table, add_options, publish
from workload import BATCH_SENTENCES, FAMILIES, MODELS, SAME_TRAINING, Training, Workload, steps_for, train

SAME = "Attentio, same batches"
SAME_BF16 = "Attentio, same batches, bf16"
RECIPE = "Attentio, own batches"
DEFAULTS = "Attentio, all defaults"
NOTES = f"""\
Same batches: {BATCH_SENTENCES} sentences, fp32, Adam at a constant rate, as the peers; in bf16, the same
under autocast. Own batches: the same model with the batches, arithmetic and schedule of `attentio train`.
All defaults: its small model as well. Tokens
a second leave out the first {{skip}} updates; "command" is everything, from the start to the saved model. Dev
loss: nats a target token after the same sentence pairs, {{pairs:,}}. Share of the limit: the time of the linear
products of the same updates alone, with the same kernels and threads, divided by the time of the updates. Median
(least–greatest) of {{rounds}} rounds."""


def contestants(
    model: str, workloads: list[Workload], peers: Peers | None, folder: Path, arguments: argparse.Namespace
) -> dict[str, Callable[[int], Training]]:
    """Who trains `model`, each as a function of the round."""

    def ours(settings: tuple[str, ...], *, same: bool) -> Callable[[int], Training]:
        def training(number: int) -> Training:
            workload = workloads[number]
            steps = arguments.steps if same else steps_for(workload, settings, BATCH_SENTENCES * arguments.steps)
            training = train(workload, folder / "run", settings, steps=steps, threads=arguments.threads)
            return training._replace(products_per_second=products(folder / "run", arguments)) if same else training

        return training

    found = {
        SAME: ours((*MODELS[model], *SAME_TRAINING), same=True),
        SAME_BF16: ours((*MODELS[model], *SAME_TRAINING, "train.precision=bf16"), same=True),
        RECIPE: ours(MODELS[model], same=False),
        DEFAULTS: ours((FAMILIES[model],), same=False),
    }
    if arguments.only_same:
        found = {SAME: found[SAME], SAME_BF16: found[SAME_BF16]}
    if peers is not None:
        for peer in TRAINERS:
            found[str(peer)] = lambda number, peer=peer: peers.train(
                peer, model, workloads[number], folder / peer.name, steps=arguments.steps
            )
    return found


def products(run_folder: Path, arguments: argparse.Namespace) -> float:
    """Target tokens a second of the linear products of a finished run's updates, if nothing else were computed."""
    script = str(Path(__file__).with_name("products.py"))
    command = [sys.executable, script, str(run_folder), "--skip", str(arguments.skip)]
    found = json.loads(run(command, threads=arguments.threads).lines[-1][1])
    return found["target_tokens"] / found["seconds"]


def table(model: str, found: dict[str, list[Training]], arguments: argparse.Namespace) -> Table:
    """One row a contestant, with its ratio to each peer."""
    speeds = {name: [t.tokens_per_second(arguments.skip) for t in trainings] for name, trainings in found.items()}
    baselines = [name for name in map(str, TRAINERS) if name in found]
    rows = [
        (
            name,
            f"{trainings[0].parameters:,}",
            spread(speeds[name]),
            *(spread(ratios(speeds[name], speeds[baseline]), 2) for baseline in baselines),
            spread([t.command_seconds for t in trainings], 1),
            spread([t.share_of_limit(arguments.skip) for t in trainings], 2),
            spread([t.dev_loss for t in trainings], 3),
            memory(trainings),
        )
        for name, trainings in found.items()
    ]
    columns = ("", "parameters", "target tokens/s", *(f"to {name}" for name in baselines))
    columns += ("command, s", "share of the limit", "dev loss", "peak MB")
    samples = {name: [training._asdict() for training in trainings] for name, trainings in found.items()}
    pairs = BATCH_SENTENCES * arguments.steps
    notes = NOTES.format(skip=arguments.skip, pairs=pairs, rounds=arguments.rounds).replace("\n", " ")
    return Table(f"Training, model {model}", columns, rows, samples, notes)


def memory(trainings: list[Training]) -> str:
    """The median of the peaks, in megabytes."""
    peaks = [t.peak_bytes / 1e6 for t in trainings if t.peak_bytes is not None]
    return f"{median(peaks):,.0f}" if peaks else "–"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="parallel file")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="folder of the peers' environments")
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=sorted(MODELS))
    parser.add_argument("--steps", type=int, default=300, help="updates with batches of 64 sentences")
    parser.add_argument("--skip", type=int, default=50, help="updates at the beginning that are not timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dev", type=int, default=500, help="pairs held out, twice as many for the test")
    parser.add_argument("--only-same", action="store_true", help="of Attentio, only the rows with the same batches")
    add_options(parser)
    arguments = parser.parse_args(words)
    peers = None if arguments.peers is None else Peers(arguments.peers, threads=arguments.threads)
    tables: list[Table] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workloads = [
            Workload.of(arguments.data, folder, seed=seed + 1, dev=arguments.dev, test=2 * arguments.dev)
            for seed in range(arguments.rounds)
        ]
        for model in arguments.models:
            sys.stderr.write(f"model {model}\n")
            found = by_turns(contestants(model, workloads, peers, folder, arguments), arguments.rounds)
            tables.append(table(model, found, arguments))
    publish("training-speed", tables, arguments)


if __name__ == "__main__":
    main()
